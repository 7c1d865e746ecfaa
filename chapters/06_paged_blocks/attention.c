// Keys and values lie in blocks anywhere in a pool; attention walks the table, block by block.

#include "attention.h"

#include "../../common/count.h"

#include <math.h>

// S[i,j] = sum over d of Q[i,d] K[j,d]
static void dot_rows(Tensor s, Tensor q, Tensor k)
{
    long N = q.shape[0], M = k.shape[0], D = q.shape[1];
    for (long i = 0; i < N; i++)
        for (long j = 0; j < M; j++) {
            const float *qi = row(q, i), *kj = row(k, j);
            float sum = 0.0f;
            for (long d = 0; d < D; d++)
                sum += qi[d] * kj[d];
            row(s, i)[j] = sum;
        }
    count_scores(N * M);
    count_flops(2 * N * M * D);
}

// S[i,j] = scale * S[i,j]. A sum of D random products grows like sqrt(D); undoing that keeps
// the softmax from settling on one key, whatever the head size.
static void scale_scores(Tensor s, float scale)
{
    long N = s.shape[0], M = s.shape[1];
    for (long i = 0; i < N; i++)
        for (long j = 0; j < M; j++)
            row(s, i)[j] *= scale;
    count_flops(N * M);
}

// S[i,j] = -inf where query i may not look at key j, S[i,j] + bias[i,j] elsewhere.
//
// exp(-inf) is exactly 0, so a hidden key takes no part in its row's sum. A large negative
// number in place of -inf would let it in again where every other score is lower still.
static void hide(Tensor s, const Mask *mask)
{
    long N = s.shape[0], M = s.shape[1], allowed = 0;
    for (long i = 0; i < N; i++)
        for (long j = 0; j < M; j++)
            if (mask_allows(mask, i, j)) {
                row(s, i)[j] += mask_bias(mask, i, j);
                allowed++;
            } else {
                row(s, i)[j] = -INFINITY;
            }
    if (mask->bias.data) { // the user's own [N, M] is read, and added where it does not hide
        count_flops(allowed);
        count_moved(N * M, 0);
    }
}

// P[i,j] = exp(S[i,j] - max) / sum of the row,    L[i] = max + log(sum)
//
// Every row becomes positive and sums to one. Subtracting the row's largest score first keeps
// expf from overflowing and cancels out in the quotient.
static void softmax(Tensor s, Tensor lse)
{
    long N = s.shape[0], M = s.shape[1];
    for (long i = 0; i < N; i++) {
        float *x = row(s, i), max = -INFINITY, sum = 0.0f;
        for (long j = 0; j < M; j++)
            max = fmaxf(max, x[j]);
        // A dead row, with no score above -inf, has nothing to subtract: -inf - -inf is NaN.
        float base = max == -INFINITY ? 0.0f : max;
        for (long j = 0; j < M; j++)
            sum += x[j] = expf(x[j] - base);
        // 0 stays 0, in a dead row (0 / 0) and in one that is NaN: what is hidden weighs nothing.
        for (long j = 0; j < M; j++)
            x[j] = x[j] == 0.0f ? 0.0f : x[j] / sum;
        lse.data[i] = base + logf(sum); // log 0 = -inf marks the dead row
    }
    count_flops(5 * N * M); // compare, subtract, exp, add, divide
}

// O[i,d] += sum over j of P[i,j] V[j,d]. A hidden key's V is never read: 0 * NaN is NaN.
static void mix_rows(Tensor out, Tensor p, Tensor v, const Mask *mask)
{
    long N = p.shape[0], M = v.shape[0], Dv = v.shape[1], pairs = 0;
    for (long i = 0; i < N; i++)
        for (long j = 0; j < M; j++) {
            if (!mask_allows(mask, i, j))
                continue;
            const float *vj = row(v, j);
            float *oi = row(out, i), pij = row(p, i)[j];
            for (long d = 0; d < Dv; d++)
                oi[d] += pij * vj[d];
            pairs++;
        }
    count_flops(2 * pairs * Dv);
}

// A dead row's output is exactly 0, whatever V holds.
static void clear_dead_rows(Tensor out, Tensor lse)
{
    long N = out.shape[0], Dv = out.shape[1];
    for (long i = 0; i < N; i++)
        for (long d = 0; d < Dv; d++)
            if (lse.data[i] == -INFINITY)
                row(out, i)[d] = 0.0f;
}

// The columns of s that belong to block i: [N, <= T]
static Tensor block_columns(Tensor s, long i, long T)
{
    long from = i * T, to = from + T;
    return tensor_slice(s, 1, from, to < s.shape[1] ? to : s.shape[1]);
}

// Chapter 05 for one head, its keys and values taken from their blocks, without a copy. Sums
// still run in token order: the same bits.    q, out: [N, D], [N, Dv]
static void one_head(Tensor out, Tensor lse, Tensor q, const Pool *pool, const BlockTable *table,
                     long g, float scale, const Mask *mask, Trace *trace)
{
    long N = q.shape[0], M = table->len, D = q.shape[1], Dv = out.shape[1], T = pool->T;
    Tensor s = tensor_new(SHAPE(N, M)); // the scores; the weights in the end

    for (long i = 0; i < pages_count(pool, table); i++)
        dot_rows(block_columns(s, i, T), q, pages_block(pool, pool->k, table, g, i));
    count_moved(N * D + M * D, N * M);
    trace_step(trace, "scores", s);
    scale_scores(s, scale);
    count_moved(N * M, N * M);
    trace_step(trace, "scaled", s);
    hide(s, mask);
    count_moved(N * M, N * M);
    trace_step(trace, "masked", s);
    softmax(s, lse);
    count_moved(N * M, N * M + N);
    trace_step(trace, "weights", s);
    tensor_fill(out, 0.0f);
    for (long i = 0; i < pages_count(pool, table); i++) {
        Mask part = mask_part(mask, 0, i * T);
        mix_rows(out, block_columns(s, i, T), pages_block(pool, pool->v, table, g, i), &part);
    }
    clear_dead_rows(out, lse);
    count_moved(N * M + M * Dv, N * Dv);
    trace_step(trace, "output", out);
    trace_step(trace, "lse", lse);

    tensor_free(&s);
}

// x[b][h]: the matrix of one head, [N, D] of [B, H, N, D].
static Tensor head(Tensor x, long b, long h)
{
    return tensor_at(tensor_at(x, b), h);
}

PagesStatus attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
                      const Mask *mask, Pool *pool, BlockTable *tables, Trace *trace)
{
    long B = q.shape[0], H = q.shape[1], G = k.shape[1];
    PagesStatus status = pages_append(pool, tables, k, v);
    if (status != PAGES_OK)
        return status;
    for (long b = 0; b < B; b++)
        for (long h = 0; h < H; h++) {
            long g = h / (H / G); // neighbours share: 0 0 1 1 for H = 4, G = 2
            Mask m = mask_head(mask, b, h);
            trace_at(trace, b, h);
            one_head(head(out, b, h), head(lse, b, h), head(q, b, h), pool, &tables[b], g, scale,
                     &m, trace);
        }
    return PAGES_OK;
}
