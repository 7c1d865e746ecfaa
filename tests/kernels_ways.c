#define _POSIX_C_SOURCE 200809L
#include "kernels.h"
#include "hold.h"
#include "naive_bf16.h"

#include "../common/trace.h"
#include "../kernels/cuda/device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Chapters 05 to 07 are called here pass by pass, as their main.c does it.
#undef ATTENTION_H
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

enum { MOST = 4, PART = 128 }; // sequences; keys in a part of chapter 07's split and paged

// --- one pass over what stays on the device ------------------------------------------------------

// What a sequence is remembered in: a cache in 05, a pool and its tables from 06 on.
typedef struct {
    int chapter;
    Cache cache;
    Pool pool;
    BlockTable tables[MOST];
    long surplus; // bytes that a token's pass brought to the device, and need not have
} Memory;

static Result new_result(const Case *c)
{
    return (Result){.out = tensor_new(SHAPE(c->B, c->H, c->N, c->Dv)),
                    .lse = tensor_new(SHAPE(c->B, c->H, c->N))};
}

static void attend(const Case *c, Memory *m, Result r, Tensor q, Tensor k, Tensor v,
                   const Mask *mask, Trace *trace)
{
    Tiling tiling = {c->R, c->C, c->cuts, c->cut_count};
    PagesStatus status = PAGES_OK;
    if (m->chapter == 5)
        attention_05(r.out, r.lse, q, k, v, c->scale, mask, &m->cache, trace);
    else if (m->chapter == 6)
        status = attention_06(r.out, r.lse, q, k, v, c->scale, mask, &m->pool, m->tables, trace);
    else
        status = attention_07(r.out, r.lse, q, k, v, c->scale, mask, &m->pool, m->tables, &tiling,
                              trace);
    CHECK(status == PAGES_OK, "%s", pages_message(status));
}

// The most that n tokens a sequence need bring to the device: their rows, the block tables, and a
// few numbers a sequence and a part. A user's own mask comes along, with columns for later keys.
static long most_uploaded(const Case *c, const Mask *mask, long n, long keys)
{
    long rows = c->B * n * (c->H * c->D + c->G * (c->D + c->Dv));
    long entries = c->B * ((keys + c->block_size - 1) / c->block_size);
    long parts = keys / PART + c->cut_count + 2;
    long own = mask->bias.data ? c->B * c->H * n * (c->P + c->M) : 0;
    return (rows + own) * (long)sizeof(float) + (entries + 2 * c->B + parts) * (long)sizeof(long);
}

// The pass over tokens t to t + n. A cache that grows is uploaded whenever it moves.
static void run_pass(const Case *c, Result *r, Memory *m, const Mask *all, Trace *trace, long t,
                     long n)
{
    long to = t + n, before = device_uploaded_bytes();
    Mask mask = mask_pass(all, t, n, c->P, c->P + to);
    Result rows = {.out = tensor_slice(r->out, 2, t, to), .lse = tensor_slice(r->lse, 2, t, to)};
    attend(c, m, rows, tensor_slice(c->q, 2, t, to), tensor_slice(c->k, 2, t, to),
           tensor_slice(c->v, 2, t, to), &mask, trace);
    long uploaded = device_uploaded_bytes() - before;
    long surplus = uploaded - most_uploaded(c, &mask, n, c->P + to);
    bool moves = m->chapter == 5 && c->growth == CACHE_GROW;
    if (trace->pass > 0 && !moves && surplus > m->surplus)
        m->surplus = surplus;
}

// trace.pass counts, as in main.c: from pass 1 on the device's copy of the cache is used again.
static void run_passes(const Case *c, Result *r, Memory *m)
{
    Trace trace = {.quiet = true};
    Mask mask = mask_read(c->mask, c->B, c->H, c->N, c->P + c->M);
    long n = c->prefill;
    for (long t = 0; t < c->N; t += n, n = 1, trace.pass++) {
        n = t == 0 ? c->prefill : 1;
        run_pass(c, r, m, &mask, &trace, t, n);
    }
    mask_free(&mask);
}

// --- before the first pass -----------------------------------------------------------------------

// Before the run the same memory, at the same address, holds as many tokens of something else, and
// the device has seen them. A run that takes those for its own past shows it.
static void run_decoy(const Case *c, Memory *m)
{
    Trace trace = {.quiet = true};
    Mask mask = mask_read("none", c->B, c->H, 1, c->P);
    Result r = {.out = tensor_new(SHAPE(c->B, c->H, 1, c->Dv)),
                .lse = tensor_new(SHAPE(c->B, c->H, 1))};
    Tensor k = tensor_new(SHAPE(c->B, c->G, c->P, c->D));
    Tensor v = tensor_new(SHAPE(c->B, c->G, c->P, c->Dv));
    tensor_fill(k, 1.0f);
    tensor_fill(v, 7.0f);
    attend(c, m, r, tensor_slice(c->q, 2, 0, 1), k, v, &mask, &trace);
    result_free(&r);
    tensor_free(&k);
    tensor_free(&v);
    mask_free(&mask);
}

static void open_cache(const Case *c, Memory *m)
{
    m->cache = cache_new(c->B, c->G, c->growth == CACHE_GROW ? 1 : c->P + c->M, c->D, c->Dv,
                         c->growth, c->layout);
    if (c->P > 0) {
        run_decoy(c, m);
        cache_rewind(&m->cache, 0);
        cache_append(&m->cache, c->past_k, c->past_v);
    }
}

static void open_pages(const Case *c, Memory *m)
{
    long each = (c->P + c->M + c->block_size - 1) / c->block_size;
    m->pool = pages_pool(c->B * each + 2, c->G, c->block_size, c->D, c->Dv, (uint64_t)c->shuffle);
    CHECK(c->B <= MOST, "%ld sequences", c->B);
    for (long b = 0; b < c->B; b++)
        m->tables[b] = pages_table(each);
    if (c->P > 0) {
        run_decoy(c, m);
        for (long b = 0; b < c->B; b++)
            CHECK(pages_clear(&m->pool, &m->tables[b]) == PAGES_OK, "sequence %ld stays", b);
        CHECK(pages_append(&m->pool, m->tables, c->past_k, c->past_v) == PAGES_OK, "no room");
    }
}

static void close_memory(const Case *c, Memory *m)
{
    if (m->chapter == 5) {
        cache_free(&m->cache);
        return;
    }
    for (long b = 0; b < c->B; b++)
        pages_free_table(&m->tables[b]);
    pages_free_pool(&m->pool);
}

static Result pass_by_pass(int chapter, const Case *c, long *surplus)
{
    Memory m = {.chapter = chapter};
    Result r = new_result(c);
    if (chapter == 5)
        open_cache(c, &m);
    else
        open_pages(c, &m);
    run_passes(c, &r, &m);
    close_memory(c, &m);
    *surplus = m.surplus;
    return r;
}

// --- holding a kernel against the answer -----------------------------------------------------

// A kernel in bf16 answers the rounded case.
static long hold_against_oracle(const Way *w, const Subject *s, Result r)
{
    const Answer *a = w->halves         ? &s->halves.answer
                      : w->chapter == 1 ? &s->unmasked
                                        : &s->masked;
    const double *spread = w->halves ? s->halves.spread : NULL;
    return count_wrong("output", r.out, a->output, a->bound, spread) +
           count_undead(r.out, a->lse) +
           count_wrong("lse", r.lse, a->lse, a->lse_bound, NULL);
}

// In chapter 07 a row meets its keys tile by tile, whatever the pass: the same bits, under one
// kernel. Only where a window lets parts begin anywhere do the tiles lie elsewhere; and a tensor
// core's row is computed again, in another order, if it meets a hidden NaN in one of the two.
static bool keeps_bits(const Way *w, const Subject *s)
{
    bool parts = strcmp(w->kernel, "split") == 0 || strcmp(w->kernel, "paged") == 0;
    return w->chapter == 7 && !(parts && s->window && s->c.cut_count > 0) &&
           !(w->halves && s->poisoned);
}

// --- bf16: the sweep -----------------------------------------------------------------------------

// The larger one, and NaN for good once there is one: fmax would drop it.
static double worst_of(double so_far, double error)
{
    return isnan(so_far) || error <= so_far ? so_far : error;
}

// Errors against the answer of the case as it was before rounding, for the kernel and for its
// yardstick. What is no number there has been held against the rounded case.
static void add_to_sweep(Sweep *w, const Subject *s, Tensor out)
{
    if (s->subnormal) // its errors are of the last bit of the smallest numbers
        return;
    w->cases++;
    for (long i = 0; i < tensor_count(out); i++) {
        double ref = s->masked.output[i], naive = (double)s->halves.naive.out.data[i];
        float x = (float)ref, there = x + 0.3f, back = there - 0.3f;
        if (!isfinite(ref) || !isfinite(naive))
            continue;
        w->naive = worst_of(w->naive, fabs(naive - ref));
        w->found = worst_of(w->found, fabs((double)out.data[i] - ref));
        w->cancel = worst_of(w->cancel, (double)fabsf(back - x));
    }
}

// --- the ways ------------------------------------------------------------------------------------

// Can this way be asked this case?
static bool applies(const Way *w, const Subject *s)
{
    const Case *c = &s->c;
    return !w->passes || (s->causal && c->N == c->M && c->prefill < c->N && c->B > 0);
}

static Result copy_of(Result r)
{
    Result copy = {.out = tensor_new(r.out.axes, r.out.shape),
                   .lse = tensor_new(r.lse.axes, r.lse.shape)};
    tensor_copy(copy.out, r.out);
    tensor_copy(copy.lse, r.lse);
    return copy;
}

static Result in_one(const Way *w, const Subject *s)
{
    Case c = s->c;
    c.prefill = c.N;
    if (w->chapter == 0)
        return copy_of(s->halves.naive);
    if (w->chapter == 1)
        c.mask = "none";
    return run_chapter(w->chapter, &c);
}

// Returns how much was wrong.
static long try_passes(const Way *w, const Subject *s)
{
    long surplus, wrong = 0;
    Result r = pass_by_pass(w->chapter, &s->c, &surplus);
    if (surplus > 0) {
        printf("  a token brought %ld bytes too many to the device\n", surplus);
        wrong++;
    }
    if (keeps_bits(w, s)) {
        Result one = in_one(w, s);
        wrong += count_other("output", r.out, one.out, "pass by pass", "in one") +
                 count_other("lse", r.lse, one.lse, "pass by pass", "in one");
        result_free(&one);
    }
    wrong += hold_against_oracle(w, s, r);
    result_free(&r);
    return wrong;
}

static long try_one(const Way *w, const Subject *s, Tally *t)
{
    Result r = in_one(w, s);
    long wrong = hold_against_oracle(w, s, r);
    if (w->halves)
        add_to_sweep(&t->sweeps[s->steep], s, r.out);
    result_free(&r);
    return wrong;
}

void try_way(const Way *w, const Subject *s, Tally *t)
{
    if (!applies(w, s)) {
        t->skipped++;
        return;
    }
    setenv("ATTENTION_KERNEL", w->kernel, 1);
    long wrong = w->passes ? try_passes(w, s) : try_one(w, s, t);
    if (wrong > 0)
        printf("  %02d %s%s: %ld are wrong: %s\n", w->chapter, w->kernel,
               w->passes ? ", pass by pass" : "", wrong, s->text);
    t->failed += wrong > 0;
    t->held += wrong == 0;
}
