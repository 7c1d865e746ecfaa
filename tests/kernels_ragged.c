// Sequences of different lengths in one pool, which no main.c makes: chapter 07's pool on the
// device must take each token behind its own sequence's last one, pass after pass.

#define _POSIX_C_SOURCE 200809L
#include "kernels.h"

#include "../common/trace.h"
#undef ATTENTION_H
#define attention attention_07
#include "../chapters/07_flash_tiling/attention.h"

#include <math.h>
#include <stdlib.h>

enum { B = 2, H = 2, G = 1, D = 6, MOST = 40, STEPS = 4, ROOM = 48 };

static const long held[B] = {5, MOST}; // tokens before the first pass

// A sequence as its table has it: its tokens, then NaN up to M.    all: [B, G, ROOM, D]
static Tensor first_tokens(Tensor all, long step, long M)
{
    Tensor t = tensor_new(SHAPE(B, G, M, D)); // NaN
    for (long b = 0; b < B; b++)
        tensor_copy(tensor_slice(tensor_at(t, b), 1, 0, held[b] + step + 1),
                    tensor_slice(tensor_at(all, b), 1, 0, held[b] + step + 1));
    return t;
}

// Token held + step of each sequence, [B, G, 1, D].
static Tensor new_tokens(Tensor all, long step)
{
    Tensor t = tensor_new(SHAPE(B, G, 1, D));
    for (long b = 0; b < B; b++)
        tensor_copy(tensor_at(t, b), tensor_slice(tensor_at(all, b), 1, held[b] + step,
                                                  held[b] + step + 1));
    return t;
}

// How many numbers of one pass are out of bound. Each sequence sees all of its own tokens.
static long hold(Result r, Tensor q, Tensor all_k, Tensor all_v, float scale, long step)
{
    long M = MOST + step + 1, lengths[B] = {held[0] + step + 1, held[1] + step + 1}, wrong = 0;
    OracleMask mask = ORACLE_SEES_ALL;
    mask.padding = lengths;
    Tensor k = first_tokens(all_k, step, M), v = first_tokens(all_v, step, M);
    Answer a = answer_new(q.data, k, v, (OracleSizes){B, H, G, 1, M, D, D}, scale, &mask);
    for (long i = 0; i < tensor_count(r.out); i++)
        wrong += !(fabs((double)r.out.data[i] - a.output[i]) <= a.bound);
    answer_free(&a);
    tensor_free(&k);
    tensor_free(&v);
    return wrong;
}

// One token of each sequence.
static long step_on(Pool *pool, BlockTable *tables, Random *random, Tensor all_k, Tensor all_v,
                    Trace *trace)
{
    const float scale = 0.5f;
    Mask mask = mask_read("none", B, H, 1, MOST + trace->pass + 1);
    Tiling tiling = {.rows = 8, .columns = 8};
    Result r = {.out = tensor_new(SHAPE(B, H, 1, D)), .lse = tensor_new(SHAPE(B, H, 1))};
    Tensor q = draw_tensor(random, B, H, 1, D, 1);
    Tensor k = new_tokens(all_k, trace->pass), v = new_tokens(all_v, trace->pass);
    PagesStatus status = attention_07(r.out, r.lse, q, k, v, scale, &mask, pool, tables, &tiling,
                                      trace);
    CHECK(status == PAGES_OK, "%s", pages_message(status));
    long wrong = hold(r, q, all_k, all_v, scale, trace->pass);
    Tensor *owned[] = {&q, &k, &v};
    for (int i = 0; i < 3; i++)
        tensor_free(owned[i]);
    result_free(&r);
    mask_free(&mask);
    return wrong;
}

long try_ragged(const char *kernel)
{
    Random random = random_seed(7);
    Trace trace = {.quiet = true};
    long T = 4, wrong = 0;
    Tensor k = draw_tensor(&random, B, G, ROOM, D, 1), v = draw_tensor(&random, B, G, ROOM, D, 1);
    Pool pool = pages_pool(B * ROOM / T, G, T, D, D, 3);
    BlockTable tables[B] = {pages_table(ROOM / T), pages_table(ROOM / T)};
    setenv("ATTENTION_KERNEL", kernel, 1);
    for (long b = 0; b < B; b++) // each alone: pages_append takes equally many of all
        pages_append(&pool, &tables[b],
                     tensor_slice(tensor_slice(k, 0, b, b + 1), 2, 0, held[b]),
                     tensor_slice(tensor_slice(v, 0, b, b + 1), 2, 0, held[b]));
    for (; trace.pass < STEPS; trace.pass++)
        wrong += step_on(&pool, tables, &random, k, v, &trace);
    for (long b = 0; b < B; b++)
        pages_free_table(&tables[b]);
    pages_free_pool(&pool);
    tensor_free(&k);
    tensor_free(&v);
    return wrong;
}
