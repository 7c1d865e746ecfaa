// What is measured: any chapter, and any step of the fast kernels, on arrays that those of a group
// share. What a run needs is made before the clock starts, and put back between two runs.

#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include "../common/random.h"
#include "../kernels/cpu/blas.h"
#include "../kernels/cpu/threads.h"
#include "../kernels/cpu/workspace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Seven headers, each with an attention() of its own, as in tests/book.c.
#define attention attention_01
#include "../chapters/01_naive_attention/attention.h"
#undef ATTENTION_H
#undef attention
#define attention attention_02
#include "../chapters/02_masking/attention.h"
#undef ATTENTION_H
#undef attention
#define attention attention_03
#include "../chapters/03_multi_head/attention.h"
#undef ATTENTION_H
#undef attention
#define attention attention_04
#include "../chapters/04_gqa/attention.h"
#undef ATTENTION_H
#undef attention
#define attention attention_05
#include "../chapters/05_kv_cache/attention.h"
#undef ATTENTION_H
#undef attention
#define attention attention_06
#include "../chapters/06_paged_blocks/attention.h"
#undef ATTENTION_H
#undef attention
#define attention attention_07
#include "../chapters/07_flash_tiling/attention.h"

enum { MOST_ARRAYS = 16, CHAPTER_BLOCK = 16, CHAPTER_TILE = 32 };

// --- shapes -------------------------------------------------------------------------------------

double shape_flops(const Shape *s)
{
    double all = 4.0 * (double)(s->B * s->H) * (double)s->N * (double)s->M * (double)s->D;
    return s->causal ? all / 2 : all;
}

long shape_kv_bytes(const Shape *s)
{
    return 2 * s->B * s->G * s->M * s->D * kept_bytes(s->kept);
}

double shape_bytes(const Shape *s)
{
    return (double)shape_kv_bytes(s) + 8.0 * (double)(s->B * s->H * s->N * s->D);
}

// --- arrays -------------------------------------------------------------------------------------

static Arrays all[MOST_ARRAYS];

// A tensor [B, heads, rows, D] in huge pages; tensor_free is not for it.
static Tensor huge_tensor(long B, long heads, long rows, long D)
{
    long bytes = B * heads * rows * D * (long)sizeof(float);
    Tensor t = {.axes = 4, .shape = {B, heads, rows, D},
                .stride = {heads * rows * D, rows * D, D, 1}, .data = huge_alloc(bytes)};
    tensor_hold(bytes);
    return t;
}

static void huge_free(Tensor *t)
{
    if (t->data)
        tensor_hold(-tensor_count(*t) * (long)sizeof(float));
    free(t->data);
    *t = (Tensor){0};
}

static bool same_arrays(const Shape *a, const Shape *b)
{
    return a->B == b->B && a->H == b->H && a->G == b->G && a->N == b->N && a->M == b->M &&
           a->D == b->D && a->causal == b->causal;
}

Arrays *arrays_use(const Shape *s)
{
    Arrays *a = all;
    while (a < all + MOST_ARRAYS && a->q.data && !same_arrays(&a->shape, s))
        a++;
    CHECK(a < all + MOST_ARRAYS, "more than %d shapes in a group", MOST_ARRAYS);
    if (!a->q.data) {
        *a = (Arrays){.shape = *s, .q = huge_tensor(s->B, s->H, s->N, s->D),
                      .k = huge_tensor(s->B, s->G, s->M, s->D),
                      .v = huge_tensor(s->B, s->G, s->M, s->D),
                      .reference = tensor_new(SHAPE(s->B, s->H, s->N, s->D))};
        tensor_random(a->q, 1), tensor_random(a->k, 2), tensor_random(a->v, 3);
    }
    return a;
}

void arrays_free(void)
{
    for (Arrays *a = all; a < all + MOST_ARRAYS && a->q.data; a++) {
        huge_free(&a->q), huge_free(&a->k), huge_free(&a->v);
        tensor_free(&a->reference);
        *a = (Arrays){0};
    }
}

// The last query stands at the last key.
static Mask mask_of(const Shape *s)
{
    return (Mask){.causal = s->causal, .window = -1, .prefix = -1, .keys = s->M,
                  .offset = s->causal ? s->M - s->N : 0};
}

static void *new_state(size_t size)
{
    void *state = calloc(1, size);
    CHECK(state, "no memory for what an entry keeps");
    return state;
}

// --- chapters -----------------------------------------------------------------------------------

// What a chapter's attention() is given. All tokens are new, but for one query: then all are held
// but the last.
typedef struct {
    Mask   mask;
    Cache  cache;
    Pool   pool;
    BlockTable *tables; // [B]
    long   past;
    Tensor k, v;        // the new ones
    Tiling tiling;
    Trace  trace;
} Asked;

static void must(PagesStatus status)
{
    CHECK(status == PAGES_OK, "%s", pages_message(status));
}

// A pool with its blocks in no order, and the past in it.
static void open_pages(Asked *c, const Entry *e)
{
    const Shape *s = &e->shape;
    long T = s->block_size ? s->block_size : CHAPTER_BLOCK, each = (s->M + T - 1) / T;
    c->pool = pages_pool(s->B * each, s->G, T, s->D, s->D, 1);
    c->tables = new_state((size_t)s->B * sizeof *c->tables);
    for (long b = 0; b < s->B; b++)
        c->tables[b] = pages_table(each);
    if (c->past > 0)
        must(pages_append(&c->pool, c->tables, tensor_slice(e->arrays->k, 2, 0, c->past),
                          tensor_slice(e->arrays->v, 2, 0, c->past)));
}

static void open_chapter(Entry *e)
{
    const Shape *s = &e->shape;
    Asked *c = e->state = new_state(sizeof *c);
    c->mask = mask_of(s);
    c->trace.quiet = true;
    c->past = e->step >= 5 && s->N == 1 ? s->M - 1 : 0;
    c->k = tensor_slice(e->arrays->k, 2, c->past, s->M);
    c->v = tensor_slice(e->arrays->v, 2, c->past, s->M);
    long tile = s->tile ? s->tile : CHAPTER_TILE;
    c->tiling = (Tiling){tile, tile, NULL, 0};
    if (e->step == 5) {
        c->cache = cache_new(s->B, s->G, s->M, s->D, s->D, CACHE_PREALLOC, LAYOUT_HEADS);
        if (c->past > 0)
            cache_append(&c->cache, tensor_slice(e->arrays->k, 2, 0, c->past),
                         tensor_slice(e->arrays->v, 2, 0, c->past));
    }
    if (e->step >= 6)
        open_pages(c, e);
}

// The matrix of one head: chapters 01 and 02 know no others.
static Tensor head(Tensor x, long b, long h)
{
    return tensor_at(tensor_at(x, b), h);
}

static void run_heads(Entry *e, Asked *c, float scale)
{
    const Shape *s = &e->shape;
    for (long b = 0; b < s->B; b++)
        for (long h = 0; h < s->H; h++) {
            Tensor out = head(e->out, b, h), lse = head(e->lse, b, h), q = head(e->arrays->q, b, h);
            long g = h / (s->H / s->G);
            Tensor k = head(c->k, b, g), v = head(c->v, b, g);
            if (e->step == 1)
                attention_01(out, lse, q, k, v, scale, &c->trace);
            else
                attention_02(out, lse, q, k, v, scale, &c->mask, &c->trace);
        }
}

// One call, over all heads but in 01 and 02: this alone is timed.
static void run_chapter_entry(Entry *e)
{
    Asked *c = e->state;
    Tensor out = e->out, lse = e->lse, q = e->arrays->q;
    float scale = 1 / sqrtf((float)e->shape.D);
    if (e->step <= 2)
        run_heads(e, c, scale);
    else if (e->step == 3)
        attention_03(out, lse, q, c->k, c->v, scale, &c->mask, &c->trace);
    else if (e->step == 4)
        attention_04(out, lse, q, c->k, c->v, scale, &c->mask, &c->trace);
    else if (e->step == 5)
        attention_05(out, lse, q, c->k, c->v, scale, &c->mask, &c->cache, &c->trace);
    else if (e->step == 6)
        must(attention_06(out, lse, q, c->k, c->v, scale, &c->mask, &c->pool, c->tables,
                          &c->trace));
    else
        must(attention_07(out, lse, q, c->k, c->v, scale, &c->mask, &c->pool, c->tables,
                          &c->tiling, &c->trace));
}

// The tokens of the run are forgotten; their blocks stay, and are filled again.
static void reset_chapter(Entry *e)
{
    Asked *c = e->state;
    if (e->step == 5)
        cache_rewind(&c->cache, c->past);
    for (long b = 0; c->tables && b < e->shape.B; b++)
        if (c->past > 0)
            c->tables[b].len = c->past;
        else
            must(pages_clear(&c->pool, &c->tables[b]));
}

// A pool looks whether every block came back.
static void close_chapter(Entry *e)
{
    Asked *c = e->state;
    if (e->step == 5)
        cache_free(&c->cache);
    for (long b = 0; c->tables && b < e->shape.B; b++) {
        must(pages_clear(&c->pool, &c->tables[b]));
        pages_free_table(&c->tables[b]);
    }
    if (c->tables)
        pages_free_pool(&c->pool);
    free(c->tables);
    free(c);
}

void chapter_entry(Entry *e, int chapter)
{
    static const char *const names[] = {"", "01_naive_attention", "02_masking", "03_multi_head",
                                        "04_gqa", "05_kv_cache", "06_paged_blocks",
                                        "07_flash_tiling"};
    e->what = "chapter", e->kernel = names[chapter], e->step = chapter, e->isa = NULL;
    e->open = open_chapter, e->run = run_chapter_entry;
    e->reset = reset_chapter, e->close = close_chapter;
    e->guess = shape_flops(&e->shape) / 4e9;
    snprintf(e->name, sizeof e->name, "chapter-%02d", chapter);
}

// --- the fast kernels ---------------------------------------------------------------------------

// A pass, and what its K and V lie in if not in the arrays: 16 bits, or pages.
typedef struct {
    Pass pass;
    Mask mask;
    void *k, *v;
    long  bytes;  // of both
    BlockTable table;
} Fast;

// The upper half of a float, or the nearest below that fp16 has; numbers below 2^-14 become 0.
static uint16_t narrow(float x, Kept kept)
{
    uint32_t bits, least = 113u << 23;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (kept == KEPT_BF16)
        return (uint16_t)(bits >> 16);
    return (uint16_t)(size < least ? sign : sign | (size - least + (1u << 23)) >> 13);
}

// A copy in huge pages: token j of KV head g in 16 bits, or in block order[j / T] of a pool.
static void *copy_kept(Rows *rows, Tensor from, Fast *f, const Shape *s)
{
    long G = s->G, M = s->M, D = s->D, T = s->block_size, bytes = kept_bytes(s->kept);
    long room = T ? f->table.capacity * T : M;
    char *to = huge_alloc(room * G * D * bytes);
    f->bytes += room * G * D * bytes;
    *rows = (Rows){.data = to, .kept = s->kept, .sequence = G * M * D, .head = M * D, .token = D};
    if (T) {
        rows->tables = &f->table;
        rows->T = T, rows->sequence = G * T * D, rows->head = T * D;
    }
    for (long g = 0; g < G; g++)
        for (long j = 0; j < M; j++) {
            const float *x = from.data + g * from.stride[1] + j * D;
            char *at = (char *)row_of(rows, 0, g, j);
            for (long d = 0; d < D; d++) {
                uint16_t half = narrow(x[d], s->kept);
                memcpy(at + d * bytes, s->kept == KEPT_F32 ? (void *)&x[d] : (void *)&half,
                       (size_t)bytes);
            }
        }
    return to;
}

// Blocks in an order that is none, as in a pool that has been in use for a while.
static BlockTable shuffled(long M, long T)
{
    BlockTable table = pages_table((M + T - 1) / T);
    Random r = random_seed(4);
    table.len = M;
    for (long i = 0; i < table.capacity; i++) {
        long other = random_below(&r, i + 1);
        table.blocks[i] = table.blocks[other];
        table.blocks[other] = i;
    }
    return table;
}

// Floats that lie together are read where they are; anything else gets a copy of its own.
static void open_fast(Entry *e)
{
    const Shape *s = &e->shape;
    Arrays *a = e->arrays;
    Fast *f = e->state = new_state(sizeof *f);
    f->mask = mask_of(s);
    f->pass = (Pass){.B = s->B, .H = s->H, .G = s->G, .N = s->N, .M = s->M, .D = s->D, .Dv = s->D,
                     .scale = 1 / sqrtf((float)s->D), .q = a->q, .out = e->out, .lse = e->lse,
                     .k = pass_tensor(a->k), .v = pass_tensor(a->v), .mask = &f->mask};
    if (s->kept == KEPT_F32 && s->block_size == 0)
        return;
    CHECK(s->B == 1, "pages and 16 bits are measured for one sequence");
    if (s->block_size)
        f->table = shuffled(s->M, s->block_size);
    f->k = copy_kept(&f->pass.k, a->k, f, s);
    f->v = copy_kept(&f->pass.v, a->v, f, s);
    tensor_hold(f->bytes);
}

static bool by_blas(const Entry *e)
{
    return !e->decodes && strcmp(e->kernel, "blas") == 0;
}

static void run_fast(Entry *e)
{
    Fast *f = e->state;
    threads_set(e->threads);
    if (by_blas(e))
        blas_threads(e->threads);
    (e->decodes ? e->isa->decode : e->isa->prefill)[e->step](&f->pass);
}

// OpenBLAS's own threads look for more work for a while: whoever is next shall not pay for it.
static void reset_fast(Entry *e)
{
    if (!by_blas(e) || e->threads == 1)
        return;
    blas_threads(1);
    nanosleep(&(struct timespec){0, 50000000}, NULL);
}

static void close_fast(Entry *e)
{
    Fast *f = e->state;
    tensor_hold(-f->bytes);
    free(f->k);
    free(f->v);
    if (f->table.blocks)
        pages_free_table(&f->table);
    free(f);
}

void fast_entry(Entry *e, bool decodes, int step)
{
    const char *name = (decodes ? decode_names : prefill_names)[step];
    e->what = "fast", e->decodes = decodes, e->step = step, e->kernel = name;
    e->open = open_fast, e->run = run_fast, e->reset = reset_fast, e->close = close_fast;
    // The first steps take as long for half a pass as for all of it.
    double rate = decodes || step > 3 ? 80e9 * e->threads : step ? 12e9 : 2.5e9;
    e->guess = shape_flops(&e->shape) / rate + shape_bytes(&e->shape) / 20e9;
    snprintf(e->name, sizeof e->name, "%s-%s", decodes ? "decode" : "prefill", name);
    if (e->threads > 1)
        snprintf(e->name + strlen(e->name), 16, "-%dt", e->threads);
    if (!(decodes ? e->isa->decode : e->isa->prefill)[step])
        e->skipped = "this instruction set does not have the step";
    if (by_blas(e) && !blas_is_here())
        e->skipped = blas_name(); // says why
}
