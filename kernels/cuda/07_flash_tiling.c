// Chapter 07 on a device: the contract of chapters/07_flash_tiling/attention.h, computed by one
// of nine kernels. The pool stays there from pass to pass (mirror.h): a pass uploads its new rows,
// the block tables and its queries. A kernel that reads no table gets the keys and values gathered
// into one piece, which the device does by itself.
//
//     --kernel tile|vector|banks|skip|split|paged|mma|async|wgmma    "list" prints them
//
// Unless told otherwise one query is computed by `paged`, several by `skip`, or by `split` where
// the tiling cuts the keys. The kernels' tiles are their own, whatever the tiling says: 32 by 32,
// in bf16 64 by 64 (wgmma: 128 by 128). split and paged cut the keys where the tiling does, and
// then every 128 keys; the others ignore cuts, which change nothing but the last bits.
//
// What to expect of the last bits. Under one kernel a row's keys lie in the same tiles, and are
// added in the same order, whatever the pass: one pass, token by token, and any block size give
// the same bits. Two exceptions: where cuts meet a window, a part begins at the cut for one row
// and at its window for another; and in bf16 a row that met a hidden NaN is computed again, in
// another order. Two kernels agree within the oracle's bound; so does a prompt with the tokens
// after it, unless --kernel names one for both.

#include "../../chapters/07_flash_tiling/attention.h"

#include "07_flash_tiling.h"
#include "device.h"
#include "flash_count.h"
#include "mirror.h"

#include <limits.h>
#include <stdlib.h>

enum { PART = 128 }; // the most keys in a part

enum { TILE, VECTOR, BANKS, SKIP, SPLIT, PAGED, MMA, ASYNC, WGMMA }; // as they stand in `names`
static const char names[] = "tile vector banks skip split paged mma async wgmma";
const DeviceKernels device_kernels = {names, "skip", "one query: paged; with --cut: split"};

// How each of them walks over the scores.
static const FlashWalk walks[] = {
    [TILE] = {.rows = 32, .keys = 32},
    [VECTOR] = {.rows = 32, .keys = 32},
    [BANKS] = {.rows = 32, .keys = 32},
    [SKIP] = {.rows = 32, .keys = 32, .skips = true},
    [SPLIT] = {.rows = 32, .keys = 32, .skips = true, .splits = true},
    [PAGED] = {.rows = 32, .keys = 32, .skips = true, .splits = true, .groups = true},
    [MMA] = {.rows = 64, .keys = 64, .skips = true, .halves = true},
    [ASYNC] = {.rows = 64, .keys = 64, .skips = true, .halves = true},
    [WGMMA] = {.rows = 128, .keys = 128, .skips = true, .halves = true},
};

// On the tensor cores wide heads leave room for half the keys.
static FlashWalk walk_of(int kernel, const Flash *f)
{
    FlashWalk walk = walks[kernel];
    if (walk.halves && (f->D > 128 || f->Dv > 128))
        walk.keys /= 2;
    return walk;
}

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

// The mask of this pass with a length for every sequence: what a table does not hold is padding,
// like what the user hides. The lengths are the caller's to free.
static Mask own_mask(const Mask *mask, const BlockTable *tables, long B)
{
    Mask own = *mask;
    own.lengths = new_longs(B);
    own.length_count = B;
    for (long b = 0; b < B; b++) {
        long keys = mask_head(mask, b, 0).keys;
        own.lengths[b] = keys < tables[b].len ? keys : tables[b].len;
    }
    own.keys = mirror_longest(tables, B);
    return own;
}

// The same on the device. Where all sequences are of one length there is no list to be read.
static DeviceMask upload_mask(Mask own, long B)
{
    bool alike = true;
    for (long b = 0; b < B; b++)
        alike = alike && own.lengths[b] == own.lengths[0];
    if (alike) {
        own.keys = own.lengths[0];
        own.lengths = NULL;
    }
    return device_mask(&own, B);
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

// [parts + 1], the caller's to free.
static long *new_bounds(const Tiling *tiling, long M, int *parts)
{
    long count = find_parts(tiling, M, NULL), *bounds = new_longs(count + 1);
    find_parts(tiling, M, bounds);
    *parts = (int)count;
    return bounds;
}

// --- one pass -----------------------------------------------------------------------------------

// All arrays of a pass, on the device. Those that are not needed are NULL.
typedef struct {
    float *q, *k, *v, *out, *lse, *state, *acc, *halves; // k, v: gathered
    long *cuts;
    DeviceMask mask;
} Arrays;

static void free_arrays(Arrays *a)
{
    float **floats[] = {&a->q, &a->k, &a->v, &a->out, &a->lse, &a->state, &a->acc,
                        &a->halves};
    for (int i = 0; i < 8; i++)
        device_free(floats[i]);
    device_free(&a->cuts);
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

// Keys and values as the kernel reads them: where they lie, or in one piece.
static void give_keys(Flash *f, Arrays *a, int kernel, DevicePages pages)
{
    f->k = pages.k;
    f->v = pages.v;
    f->table = pages.table;
    f->T = fits(pages.T, "tokens in a block");
    f->entries = fits(pages.entries, "blocks of a sequence");
    if (kernel == PAGED)
        return;
    f->k = a->k = mirror_gather(pages.k, pages, f->B, f->M, f->D);
    f->v = a->v = mirror_gather(pages.v, pages, f->B, f->M, f->Dv);
}

// Room for what the kernel writes.
static void make_room(Flash *f, Arrays *a, int kernel)
{
    long rows = (long)f->B * f->H * f->N;
    f->out = a->out = device_floats(rows * f->Dv);
    f->lse = a->lse = device_floats(rows);
    if (walks[kernel].splits) {
        f->state = a->state = device_floats(rows * f->parts * 2);
        f->acc = a->acc = device_floats(rows * f->parts * f->Dv);
    }
    if (walks[kernel].halves)
        make_halves(f, a);
}

// One pass over tokens that the pool holds already. Whatever is uploaded or made is freed.
static void run_pass(Flash f, int kernel, Tensor out, Tensor lse, Tensor q, Mask own,
                     DevicePages pages, const Tiling *tiling)
{
    Arrays a = {0};
    long *bounds = NULL;
    f.q = a.q = device_upload(q);
    f.mask = a.mask = upload_mask(own, f.B);
    if (walks[kernel].splits) {
        bounds = new_bounds(tiling, f.M, &f.parts);
        f.cuts = a.cuts = device_longs(bounds, f.parts + 1);
    }
    give_keys(&f, &a, kernel, pages);
    make_room(&f, &a, kernel);
    cudaError_t error = launch(kernel, &f);
    if (error == cudaErrorNotSupported)
        refuse(EXIT_DEVICE, "--kernel wgmma: not supported: it needs an H100 (sm_90a), and heads "
               "of 64 or 128");
    GPU(error);
    device_download(out, f.out);
    device_download(lse, f.lse);
    flash_count(&f, walk_of(kernel, &f), &own, bounds);
    free_arrays(&a);
    free(bounds);
}

PagesStatus attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
                      const Mask *mask, Pool *pool, BlockTable *tables, const Tiling *tiling,
                      Trace *trace)
{
    long B = q.shape[0], H = q.shape[1], N = q.shape[2];
    DevicePages pages;
    device_check_grid(B, H);
    PagesStatus status = mirror_append(&pages, pool, tables, k, v, trace);
    if (status != PAGES_OK)
        return status;
    long M = mirror_longest(tables, B), held = device_live_bytes();
    int kernel = choose_kernel(tiling, N, M);
    if (B * H * N > 0) { // a grid of no blocks is refused
        Mask own = own_mask(mask, tables, B);
        run_pass(sizes(q, pool, M, scale), kernel, out, lse, q, own, pages, tiling);
        free(own.lengths);
    }
    CHECK(device_live_bytes() == held, "%ld bytes stay on the device", device_live_bytes() - held);
    mirror_free_tables(&pages);
    for (long b = 0; b < B; b++)
        for (long h = 0; h < H; h++) {
            trace_at(trace, b, h);
            trace_step(trace, "output", tensor_at(tensor_at(out, b), h));
            trace_step(trace, "lse", tensor_at(tensor_at(lse, b), h));
        }
    return PAGES_OK;
}
