#include "book.h"

#include "../common/mask.h"

#include <stdlib.h>
#include <string.h>

// Seven headers, each with an attention() of its own. They share a guard, since no program of
// the book includes two of them.
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

// --- what chapters 01 to 04 are given ----------------------------------------------------------

Tensor join_tokens(Tensor past, Tensor fresh)
{
    long P = past.data ? past.shape[2] : 0, M = fresh.shape[2];
    Tensor all = tensor_new(SHAPE(fresh.shape[0], fresh.shape[1], P + M, fresh.shape[3]));
    if (P > 0)
        tensor_copy(tensor_slice(all, 2, 0, P), past);
    tensor_copy(tensor_slice(all, 2, P, P + M), fresh);
    return all;
}

// Written out, not h / (H / G): whoever checks that rule must not use it.
Tensor repeat_heads(Tensor kv, long H)
{
    long B = kv.shape[0], G = kv.shape[1], h = 0;
    Tensor all = tensor_new(SHAPE(B, H, kv.shape[2], kv.shape[3]));
    for (long g = 0; g < G; g++)
        for (long copy = 0; copy < H / G; copy++, h++)
            tensor_copy(tensor_slice(all, 1, h, h + 1), tensor_slice(kv, 1, g, g + 1));
    return all;
}

// x[b][h]: the matrix of one head, [N, D] of [B, H, N, D].
static Tensor head(Tensor x, long b, long h)
{
    return tensor_at(tensor_at(x, b), h);
}

// --- counting scratch --------------------------------------------------------------------------

// Bytes held by whoever calls: they are no scratch.
static long begin_pass(void)
{
    tensor_reset_peak();
    return tensor_live_bytes();
}

static void end_pass(Result *r, long live)
{
    long scratch = tensor_peak_bytes() - live;
    if (scratch > r->scratch)
        r->scratch = scratch;
}

// --- all at once: chapters 01 to 04 ------------------------------------------------------------

// Chapters 01 and 02 know one head.    k, v: [B, H, P + M, D], [B, H, P + M, Dv]
static void run_heads(int n, const Case *c, Result *r, Tensor k, Tensor v, const Mask *mask,
                      Trace *trace)
{
    for (long b = 0; b < c->B; b++)
        for (long h = 0; h < c->H; h++) {
            Mask m = mask_head(mask, b, h);
            if (n == 1)
                attention_01(head(r->out, b, h), head(r->lse, b, h), head(c->q, b, h),
                             head(k, b, h), head(v, b, h), c->scale, trace);
            else
                attention_02(head(r->out, b, h), head(r->lse, b, h), head(c->q, b, h),
                             head(k, b, h), head(v, b, h), c->scale, &m, trace);
        }
}

// One call over all queries and keys.
static void run_at_once(int n, const Case *c, Result *r, const Mask *all, Trace *trace)
{
    // Without a past K and V are passed on as they are, strides and all.
    Tensor joined_k = {0}, joined_v = {0}, heads_k = {0}, heads_v = {0};
    Tensor k = c->P > 0 ? joined_k = join_tokens(c->past_k, c->k) : c->k;
    Tensor v = c->P > 0 ? joined_v = join_tokens(c->past_v, c->v) : c->v;
    if (n < 4 && c->G < c->H) {
        k = heads_k = repeat_heads(k, c->H);
        v = heads_v = repeat_heads(v, c->H);
    }
    Mask mask = mask_pass(all, 0, c->N, c->P, c->P + c->M);
    long live = begin_pass();
    if (n < 3)
        run_heads(n, c, r, k, v, &mask, trace);
    else if (n == 3)
        attention_03(r->out, r->lse, c->q, k, v, c->scale, &mask, trace);
    else
        attention_04(r->out, r->lse, c->q, k, v, c->scale, &mask, trace);
    end_pass(r, live);
    Tensor *owned[] = {&joined_k, &joined_v, &heads_k, &heads_v};
    for (int i = 0; i < 4; i++)
        if (owned[i]->block)
            tensor_free(owned[i]);
}

// --- pass by pass: chapters 05 to 07 -----------------------------------------------------------

// What a sequence is remembered in: a cache in 05, a pool and B tables from 06 on.
typedef struct {
    Cache cache;
    Pool pool;
    BlockTable *tables; // [B]
} Memory;

// The pool is large enough, so that a refusal is a bug.
static void must(PagesStatus status)
{
    CHECK(status == PAGES_OK, "%s", pages_message(status));
}

// What is there before the first pass: empty, or the past.
static Memory memory_open(int n, const Case *c)
{
    long tokens = c->P + c->M, each = (tokens + c->block_size - 1) / c->block_size;
    Memory m = {0};
    if (n == 5) {
        m.cache = cache_new(c->B, c->G, c->growth == CACHE_GROW ? 1 : tokens, c->D, c->Dv,
                            c->growth, c->layout);
        if (c->P > 0)
            cache_append(&m.cache, c->past_k, c->past_v);
        return m;
    }
    m.pool = pages_pool(c->blocks ? c->blocks : c->B * each + 2, c->G, c->block_size, c->D, c->Dv,
                        (uint64_t)c->shuffle);
    m.tables = calloc((size_t)c->B + 1, sizeof *m.tables);
    CHECK(m.tables, "no memory for %ld tables", c->B);
    for (long b = 0; b < c->B; b++)
        m.tables[b] = pages_table(each);
    if (c->P > 0)
        must(pages_append(&m.pool, m.tables, c->past_k, c->past_v));
    return m;
}

// Every block must come back: one that does not is a leak.
static void memory_close(int n, const Case *c, Memory *m)
{
    if (n == 5) {
        cache_free(&m->cache);
        return;
    }
    for (long b = 0; b < c->B; b++) {
        must(pages_clear(&m->pool, &m->tables[b]));
        pages_free_table(&m->tables[b]);
    }
    CHECK(m->pool.free_count == m->pool.blocks, "%ld of %ld blocks came back", m->pool.free_count,
          m->pool.blocks);
    pages_free_pool(&m->pool);
    free(m->tables);
}

// The pass over queries t to t + size and the keys that come with them.
static void run_pass(int n, const Case *c, Result *r, Memory *m, const Mask *all, Trace *trace,
                     long t, long size)
{
    long to = c->N == c->M ? t + size : c->M; // rows of K and V
    Tensor out = tensor_slice(r->out, 2, t, t + size), lse = tensor_slice(r->lse, 2, t, t + size);
    Tensor q = tensor_slice(c->q, 2, t, t + size);
    Tensor k = tensor_slice(c->k, 2, t, to), v = tensor_slice(c->v, 2, t, to);
    Mask mask = mask_pass(all, t, size, c->P, c->P + to);
    Tiling tiling = {c->R, c->C, c->cuts, c->cut_count};
    long live = begin_pass();
    if (n == 5)
        attention_05(out, lse, q, k, v, c->scale, &mask, &m->cache, trace);
    else if (n == 6)
        must(attention_06(out, lse, q, k, v, c->scale, &mask, &m->pool, m->tables, trace));
    else
        must(attention_07(out, lse, q, k, v, c->scale, &mask, &m->pool, m->tables, &tiling,
                          trace));
    end_pass(r, live);
}

// The first pass takes `prefill` tokens, each later one takes one.
static void run_passes(int n, const Case *c, Result *r, const Mask *mask, Trace *trace)
{
    Memory m = memory_open(n, c);
    long t = 0, size = c->prefill;
    do { // once even without a query: its keys still go into the cache
        run_pass(n, c, r, &m, mask, trace, t, size);
        t += size;
        size = 1;
    } while (t < c->N);
    memory_close(n, c, &m);
}

// --- the door ----------------------------------------------------------------------------------

bool chapter_takes(int n, const Case *c)
{
    return n > 1 || strcmp(c->mask, "none") == 0;
}

Result run_chapter(int n, const Case *c)
{
    Trace trace = {.quiet = true}; // nobody looks at the steps
    Result r = {.out = tensor_new(SHAPE(c->B, c->H, c->N, c->Dv)),
                .lse = tensor_new(SHAPE(c->B, c->H, c->N))};
    CHECK(1 <= n && n <= CHAPTERS && chapter_takes(n, c), "chapter %d does not take this", n);
    CHECK(c->N == c->M || c->prefill == c->N, "%ld queries, %ld keys: one pass", c->N, c->M);
    Mask mask = mask_read(c->mask, c->B, c->H, c->N, c->P + c->M);
    if (n < 5)
        run_at_once(n, c, &r, &mask, &trace);
    else
        run_passes(n, c, &r, &mask, &trace);
    mask_free(&mask);
    return r;
}

void result_free(Result *r)
{
    tensor_free(&r->out);
    tensor_free(&r->lse);
}
