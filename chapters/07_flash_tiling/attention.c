// The softmax one tile at a time: no [N, M] matrix is ever made.

#include "attention.h"

#include "merge.h"
#include "tiles.h"

#include "../../common/count.h"

#include <math.h>
#include <stdio.h>

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

// Folds one tile of scores into each row's running softmax. The row's maximum m may rise from
// m' to m; what was summed relative to m' shrinks by exp(m' - m):
//
//     l = exp(m' - m) l' + sum over the tile of exp(S[i,j] - m),    P[i,j] = exp(S[i,j] - m)
static void online_softmax(Tensor s, Tensor state)
{
    long N = s.shape[0], C = s.shape[1];
    for (long i = 0; i < N; i++) {
        float *x = row(s, i), *st = row(state, i), max = st[STATE_MAX], sum = 0.0f;
        for (long j = 0; j < C; j++)
            max = fmaxf(max, x[j]);
        // Nothing visible so far: subtract 0, for -inf - -inf is NaN.
        float base = max == -INFINITY ? 0.0f : max;
        for (long j = 0; j < C; j++)
            sum += x[j] = expf(x[j] - base);
        st[STATE_OLD_MAX] = st[STATE_MAX];
        st[STATE_MAX] = max;
        st[STATE_RESCALE] = expf(st[STATE_OLD_MAX] - base);
        st[STATE_SUM] = st[STATE_RESCALE] * st[STATE_SUM] + sum;
    }
    count_flops(4 * N * C + 4 * N); // compare, subtract, exp, add; and the row's own update
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

// acc[i,d] = exp(m' - m) acc[i,d] + what this tile adds
static void fold(Tensor acc, Tensor tile, Tensor state)
{
    long N = acc.shape[0], Dv = acc.shape[1];
    for (long i = 0; i < N; i++)
        for (long d = 0; d < Dv; d++)
            row(acc, i)[d] = row(state, i)[STATE_RESCALE] * row(acc, i)[d] + row(tile, i)[d];
    count_flops(2 * N * Dv);
}

// The division by the row's sum, put off to the end: O = acc / l, L = m + log(l). A row that
// saw nothing has l = 0: its output is exactly 0.
static void divide(Tensor out, Tensor lse, Tensor acc, Tensor state)
{
    long N = acc.shape[0], Dv = acc.shape[1];
    for (long i = 0; i < N; i++) {
        float sum = row(state, i)[STATE_SUM], max = row(state, i)[STATE_MAX];
        for (long d = 0; d < Dv; d++)
            row(out, i)[d] = sum == 0.0f ? 0.0f : row(acc, i)[d] / sum;
        lse.data[i] = max == -INFINITY ? logf(sum) : max + logf(sum);
    }
    count_flops(N * Dv);
    count_moved(0, N * Dv + N);
}

// --- the loops ---------------------------------------------------------------------------------

// The running state after a tile that begins at query i and key j, as two steps.
static void trace_state(Trace *trace, Tensor state, Tensor acc, long i, long j)
{
    static const char *const columns[] = {"old_max", "max", "rescale", "sum"};
    char name[64];
    snprintf(name, sizeof name, "q%ld.k%ld.state", i, j);
    trace_table(trace, name, state, trace_queries(trace, i), (Names){columns, 4, 'c', 0});
    snprintf(name, sizeof name, "q%ld.k%ld.acc", i, j);
    trace_table(trace, name, acc, trace_queries(trace, i), (Names){.letter = 'd'});
}

// The running softmax of the rows in q (they begin at query i) over the keys from:to, tile by
// tile, into state and acc.
static void walk_keys(Fast *f, Tensor q, Tensor state, Tensor acc, Keys keys, long i, long from,
                      long to, float scale, const Mask *mask, Trace *trace)
{
    long C = f->k.shape[0], N = q.shape[0];
    state_clear(state, acc);
    for (long j = from; j < to; j += C) {
        long end = j + C < to ? j + C : to;
        Mask part = mask_part(mask, i, j);
        bool empty = tile_is_empty(&part, N, end - j);
        count_tile(empty);
        if (empty)
            continue;
        Tensor k = load_tokens(f->k, keys, keys.pool->k, j, end); // [C, D], or fewer at the end
        Tensor v = load_tokens(f->v, keys, keys.pool->v, j, end); // [C, Dv]
        Tensor s = tensor_slice(first_rows(f->s, N), 1, 0, end - j);
        Tensor mixed = first_rows(f->mixed, N);
        dot_rows(s, q, k);
        scale_scores(s, scale);
        hide(s, &part);
        online_softmax(s, state);
        tensor_fill(mixed, 0.0f);
        mix_rows(mixed, s, v, &part);
        fold(acc, mixed, state);
        if (trace_wanted(trace))
            trace_state(trace, state, acc, i, j);
    }
}

// Chapter 06 for one head, tile by tile: R queries at a time walk over all keys, C at a time.
// Where the tiling cuts the keys, each part is computed apart and merged.
static void one_head(Tensor out, Tensor lse, Tensor q, Fast *f, Keys keys, float scale,
                     const Mask *mask, const Tiling *tiling, Trace *trace)
{
    long N = q.shape[0], M = keys.table->len, R = tiling->rows;
    for (long i = 0; i < N; i += R) {
        long end = i + R < N ? i + R : N, from = 0;
        Tensor tile = load_rows(f->q, q, i, end);
        Tensor state = first_rows(f->state, end - i), acc = first_rows(f->acc, end - i);
        Tensor state2 = first_rows(f->state2, end - i), acc2 = first_rows(f->acc2, end - i);
        for (long c = 0; c <= tiling->cut_count; c++) {
            long to = c < tiling->cut_count && tiling->cuts[c] < M ? tiling->cuts[c] : M;
            walk_keys(f, tile, c ? state2 : state, c ? acc2 : acc, keys, i, from, to, scale, mask,
                      trace);
            if (c > 0)
                state_merge(state, acc, state2, acc2);
            from = to;
        }
        divide(tensor_slice(out, 0, i, end), tensor_slice(lse, 0, i, end), acc, state);
    }
    trace_step(trace, "output", out);
    trace_step(trace, "lse", lse);
}

// x[b][h]: the matrix of one head, [N, D] of [B, H, N, D].
static Tensor head(Tensor x, long b, long h)
{
    return tensor_at(tensor_at(x, b), h);
}

PagesStatus attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
                      const Mask *mask, Pool *pool, BlockTable *tables, const Tiling *tiling,
                      Trace *trace)
{
    long B = q.shape[0], H = q.shape[1], G = k.shape[1];
    PagesStatus status = pages_append(pool, tables, k, v);
    if (status != PAGES_OK)
        return status;
    Fast fast = fast_new(tiling->rows, tiling->columns, q.shape[3], v.shape[3]);
    for (long b = 0; b < B; b++)
        for (long h = 0; h < H; h++) {
            long g = h / (H / G); // neighbours share: 0 0 1 1 for H = 4, G = 2
            Mask m = mask_head(mask, b, h);
            trace_at(trace, b, h);
            one_head(head(out, b, h), head(lse, b, h), head(q, b, h), &fast,
                     (Keys){pool, &tables[b], g}, scale, &m, tiling, trace);
        }
    fast_free(&fast);
    return PAGES_OK;
}
