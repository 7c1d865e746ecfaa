// Chapter 07 on a device: the contract of chapters/07_flash_tiling/attention.h, computed by one
// of nine kernels. The pages are appended to in the host's memory, where the chapter keeps them,
// and what the kernel needs of them is copied to the device for each pass.
//
//     ATTENTION_KERNEL=tile|vector|banks|skip|split|paged|mma|async|wgmma    "list" prints them
//
// Unless told otherwise one query is computed by `paged`, several by `skip`, or by `split` where
// the tiling cuts the keys. The kernels' tiles are their own, 32 by 32, whatever the tiling says.
// split and paged cut the keys where the tiling does, and then every 128 keys; the others ignore
// cuts, which change nothing but the last bits.

#include "../../chapters/07_flash_tiling/attention.h"

#include "07_flash_tiling.h"
#include "device.h"

#include <limits.h>
#include <stdlib.h>

enum { PART = 128 }; // the most keys in a part

enum { TILE, VECTOR, BANKS, SKIP, SPLIT, PAGED, MMA, ASYNC, WGMMA }; // as they stand in `names`
static const char names[] = "tile vector banks skip split paged mma async wgmma";

// Is there a cut with keys on both sides?
static bool cuts_keys(const Tiling *tiling, long M)
{
    for (long c = 0; c < tiling->cut_count; c++)
        if (0 < tiling->cuts[c] && tiling->cuts[c] < M)
            return true;
    return false;
}

static int choose_kernel(const Tiling *tiling, long N, long M)
{
    return device_kernel(names, N == 1 ? "paged" : cuts_keys(tiling, M) ? "split" : "skip");
}

// Queued, not awaited.
static cudaError_t launch(int kernel, const Flash *f)
{
    cudaStream_t stream = device_stream();
    switch (kernel) {
    case TILE:   return launch_tile(f, stream);
    case VECTOR: return launch_vector(f, stream);
    case BANKS:  return launch_banks(f, stream);
    case SKIP:   return launch_skip(f, stream);
    case SPLIT:  return launch_split(f, stream);
    case MMA:    return launch_mma(f, stream);
    case ASYNC:  return launch_async(f, stream);
    case WGMMA:  return launch_wgmma(f, stream);
    default:     return launch_paged(f, stream);
    }
}

// --- what the kernels are given -----------------------------------------------------------------

// n numbers, the caller's to free.
static long *new_longs(long n)
{
    long *numbers = malloc((n > 0 ? (size_t)n : 1) * sizeof *numbers);
    if (!numbers)
        refuse(EXIT_MEMORY, "out of memory: a list of %ld numbers", n);
    return numbers;
}

// Tokens of the longest of B sequences.
static long longest(const BlockTable *tables, long B)
{
    long most = 0;
    for (long b = 0; b < B; b++)
        most = tables[b].len > most ? tables[b].len : most;
    return most;
}

// The mask on the device. What a table does not hold is padding, like what the user hides. Where
// all sequences are of one length there is no list of lengths to be read.
static DeviceMask upload_mask(const Mask *mask, const BlockTable *tables, long B)
{
    Mask own = *mask;
    bool alike = true;
    own.lengths = new_longs(B);
    own.length_count = B;
    for (long b = 0; b < B; b++) {
        long keys = mask_head(mask, b, 0).keys;
        own.lengths[b] = keys < tables[b].len ? keys : tables[b].len;
        alike = alike && own.lengths[b] == own.lengths[0];
    }
    own.keys = alike ? own.lengths[0] : longest(tables, B);
    long *lengths = own.lengths;
    if (alike)
        own.lengths = NULL;
    DeviceMask m = device_mask(&own, B);
    free(lengths);
    return m;
}

// All tokens of one memory out of their blocks, on the device: [B, G, M, D]. Behind the end of a
// shorter sequence lie NaNs.
static float *upload_gathered(const Pool *pool, Tensor memory, const BlockTable *tables, long B,
                              long M)
{
    long G = memory.shape[1], T = pool->T;
    Tensor all = tensor_new(SHAPE(B, G, M, memory.shape[3]));
    for (long b = 0; b < B; b++)
        for (long g = 0; g < G; g++)
            for (long i = 0; i < pages_count(pool, &tables[b]); i++) {
                Tensor block = pages_block(pool, memory, &tables[b], g, i);
                tensor_copy(tensor_slice(tensor_at(tensor_at(all, b), g), 0, i * T,
                                         i * T + block.shape[0]), block);
            }
    float *at = device_upload(all);
    tensor_free(&all);
    return at;
}

// The tables as one, [B, entries]. What lies past a sequence's end is no block's number.
static long *upload_tables(const Pool *pool, const BlockTable *tables, long B, long entries)
{
    long *all = new_longs(B * entries);
    for (long b = 0; b < B; b++)
        for (long i = 0; i < entries; i++)
            all[b * entries + i] = i < pages_count(pool, &tables[b]) ? tables[b].blocks[i] : -1;
    long *at = device_longs(all, B * entries);
    free(all);
    return at;
}

// The bounds of all parts: 0, where the tiling cuts, every PART keys from there, and M.
// Returns how many parts that makes. bounds NULL: only counts.
static long find_parts(const Tiling *tiling, long M, long *bounds)
{
    long parts = 0, from = 0;
    for (long c = 0; c <= tiling->cut_count; c++) {
        long to = c < tiling->cut_count && tiling->cuts[c] < M ? tiling->cuts[c] : M;
        do { // a part without keys has its block, too, which finds nothing
            if (bounds)
                bounds[parts] = from;
            parts++;
            from = from + PART < to ? from + PART : to;
        } while (from < to);
    }
    if (bounds)
        bounds[parts] = M;
    return parts;
}

static int upload_cuts(const Tiling *tiling, long M, long **cuts)
{
    long parts = find_parts(tiling, M, NULL), *bounds = new_longs(parts + 1);
    find_parts(tiling, M, bounds);
    *cuts = device_longs(bounds, parts + 1);
    free(bounds);
    return (int)parts;
}

// --- one pass -----------------------------------------------------------------------------------

// All arrays of a pass, on the device. Those that are not needed are NULL.
typedef struct {
    float *q, *k, *v, *out, *lse, *state, *acc, *halves;
    long  *cuts, *table;
    DeviceMask mask;
} Arrays;

static void free_arrays(Arrays *a)
{
    float **floats[] = {&a->q, &a->k, &a->v, &a->out, &a->lse, &a->state, &a->acc,
                        &a->halves};
    for (int i = 0; i < 8; i++)
        device_free(floats[i]);
    device_free(&a->cuts);
    device_free(&a->table);
    device_mask_free(&a->mask);
}

static int fits(long n, const char *what)
{
    if (n > INT_MAX / 2)
        refuse(EXIT_MEMORY, "%ld %s: expected at most %d", n, what, INT_MAX / 2);
    return (int)n;
}

static Flash sizes(Tensor q, const Pool *pool, long M, float scale)
{
    long D = q.shape[3], Dv = pool->v.shape[3];
    if (D > FLASH_WIDTH || Dv > FLASH_WIDTH)
        refuse(EXIT_USAGE, "head sizes of %ld and %ld: the kernels take up to %d", D, Dv,
               FLASH_WIDTH);
    return (Flash){.B = fits(q.shape[0], "sequences"), .H = fits(q.shape[1], "heads"),
                   .G = fits(pool->k.shape[1], "key heads"), .N = fits(q.shape[2], "queries"),
                   .M = fits(M, "keys"), .D = (int)D, .Dv = (int)Dv, .scale = scale};
}

// Room for Q, K and V in bf16, one behind the other: two of them take the place of one float.
static void make_halves(Flash *f, Arrays *a)
{
    long q = (long)f->B * f->H * f->N * flash_pitch16(f->D), keys = (long)f->B * f->G * f->M;
    long k = keys * flash_pitch16(f->D), v = keys * flash_pitch16(f->Dv);
    a->halves = device_floats((q + k + v) / 2);
    f->q16 = (uint16_t *)a->halves;
    f->k16 = f->q16 + q;
    f->v16 = f->k16 + k;
}

// The kernel's inputs into f. What belongs to the device is kept in a, too, to be freed.
static void upload(Flash *f, Arrays *a, int kernel, Tensor q, const Mask *mask, const Pool *pool,
                   const BlockTable *tables, const Tiling *tiling)
{
    long rows = (long)f->B * f->H * f->N;
    f->T = fits(pool->T, "tokens in a block");
    f->entries = (f->M + f->T - 1) / f->T;
    f->mask = a->mask = upload_mask(mask, tables, f->B);
    f->q = a->q = device_upload(q);
    if (kernel == PAGED) {
        f->k = a->k = device_upload(pool->k);
        f->v = a->v = device_upload(pool->v);
        f->table = a->table = upload_tables(pool, tables, f->B, f->entries);
    } else {
        f->k = a->k = upload_gathered(pool, pool->k, tables, f->B, f->M);
        f->v = a->v = upload_gathered(pool, pool->v, tables, f->B, f->M);
    }
    if (kernel == SPLIT || kernel == PAGED) {
        f->parts = upload_cuts(tiling, f->M, &a->cuts);
        f->cuts = a->cuts;
        f->state = a->state = device_floats(rows * f->parts * 2);
        f->acc = a->acc = device_floats(rows * f->parts * f->Dv);
    }
    if (kernel >= MMA)
        make_halves(f, a);
    f->out = a->out = device_floats(rows * f->Dv);
    f->lse = a->lse = device_floats(rows);
}

PagesStatus attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
                      const Mask *mask, Pool *pool, BlockTable *tables, const Tiling *tiling,
                      Trace *trace)
{
    long B = q.shape[0], H = q.shape[1], N = q.shape[2];
    PagesStatus status = pages_append(pool, tables, k, v);
    if (status != PAGES_OK)
        return status;
    long M = longest(tables, B);
    int kernel = choose_kernel(tiling, N, M);
    if (B * H * N > 0) { // a grid of no blocks is refused
        Arrays arrays = {0};
        Flash f = sizes(q, pool, M, scale);
        upload(&f, &arrays, kernel, q, mask, pool, tables, tiling);
        GPU(launch(kernel, &f));
        device_download(out, f.out);
        device_download(lse, f.lse);
        free_arrays(&arrays);
    }
    for (long b = 0; b < B; b++)
        for (long h = 0; h < H; h++) {
            trace_at(trace, b, h);
            trace_step(trace, "output", tensor_at(tensor_at(out, b), h));
            trace_step(trace, "lse", tensor_at(tensor_at(lse, b), h));
        }
    return PAGES_OK;
}
