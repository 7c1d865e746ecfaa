// One row as attention.c computes it, in the same order, with every number shown.

#include "online.h"

#include "merge.h"
#include "ulps.h"

#include "../../common/explain.h"

#include <stdio.h>

// s[j] = scale * sum over d of q[d] k[j,d], masked. Scores are what they were in chapter 01, to
// the bit; what is new begins with the softmax.
static float score(const ExplainedRow *r, long j)
{
    const float *q = row(tensor_at(tensor_at(r->in->q, 0), r->h), r->i), *k = explain_key(r, j);
    float sum = 0.0f;
    for (long d = 0; d < r->in->D; d++)
        sum += q[d] * k[d];
    sum *= r->in->scale;
    return mask_allows(&r->mask, r->i, j) ? sum + mask_bias(&r->mask, r->i, j) : -INFINITY;
}

// --- tile by tile --------------------------------------------------------------------------

// A tile that this row sees nothing of adds 0 and rescales by 1: it is skipped. (In a run the
// row's neighbours in a tile of R queries may want it; the row's numbers stay as they are.)
static bool sees_any(const ExplainedRow *r, long from, long to)
{
    for (long j = from; j < to; j++)
        if (mask_allows(&r->mask, r->i, j))
            return true;
    return false;
}

// "score(q2, k0) = 1.0000", with labels where there are some.
static void print_tile_scores(const ExplainedRow *r, const float *s, long from, long to)
{
    for (long j = from; j < to; j++) {
        char q[64], k[64];
        name_of(q, sizeof q, r->in->queries[0], r->i);
        name_of(k, sizeof k, r->in->keys[0], j);
        printf("  score(%s, %s) = %.4f%s\n", q, k, shown(s[j]),
               mask_allows(&r->mask, r->i, j) ? "" : ", masked");
    }
}

// The tile's scores become weights relative to the new maximum; returns their sum. A masked key
// adds exp(-inf) = 0, exactly. The division by the row's sum is still to come.
static float weigh_tile(float *s, long from, long to, float base)
{
    float sum = 0.0f;
    for (long j = from; j < to; j++) {
        float weight = expf(s[j] - base);
        printf("  exp(%.4f - %.4f) = %.4f\n", shown(s[j]), shown(base), shown(weight));
        sum += s[j] = weight;
    }
    return sum;
}

// m = max(m', scores),  l = exp(m' - m) l' + sum of exp(score - m)
//
// Milakov and Gimelshein's algorithm 3, a tile at a time. Before the first tile m' is -inf, and
// exp(-inf) = 0 makes the empty past weigh nothing.
static void fold_sum(float *state, float *s, long from, long to)
{
    float max = state[STATE_MAX], old_sum = state[STATE_SUM];
    for (long j = from; j < to; j++)
        max = fmaxf(max, s[j]);
    float base = max == -INFINITY ? 0.0f : max; // nothing visible so far: -inf - -inf is NaN
    state[STATE_OLD_MAX] = state[STATE_MAX];
    state[STATE_MAX] = max;
    state[STATE_RESCALE] = expf(state[STATE_OLD_MAX] - base);
    printf("  old max %.4f, new max %.4f, rescale by exp(%.4f - %.4f) = %.4f\n",
           shown(state[STATE_OLD_MAX]), shown(max), shown(state[STATE_OLD_MAX]), shown(base),
           shown(state[STATE_RESCALE]));
    float sum = weigh_tile(s, from, to, base);
    state[STATE_SUM] = state[STATE_RESCALE] * old_sum + sum;
    printf("  sum = %.4f * %.4f + %.4f = %.4f\n", shown(state[STATE_RESCALE]), shown(old_sum),
           shown(sum), shown(state[STATE_SUM]));
}

// acc[d] = exp(m' - m) acc[d] + sum over the tile of weight[j] V[j,d]
//
// The tile's part is summed by itself and then added, as attention.c does it: another order would
// be the same on paper, and other bits.
static void fold_acc(const ExplainedRow *r, float *acc, float rescale, const float *s, long from,
                     long to)
{
    for (long d = 0; d < r->in->Dv; d++) {
        char name[64];
        float mixed = 0.0f, old = acc[d];
        for (long j = from; j < to; j++)
            if (mask_allows(&r->mask, r->i, j))
                mixed += s[j] * explain_value(r, j)[d];
        acc[d] = rescale * old + mixed;
        name_of(name, sizeof name, r->in->features, d);
        printf("  acc(%s) = %.4f * %.4f + %.4f = %.4f\n", name, shown(rescale), shown(old),
               shown(mixed), shown(acc[d]));
    }
}

// state: [1, STATE_SIZE]    acc: [1, Dv]    s: [M], a tile's scores and then its weights
//
// From tile to tile only state and acc are carried. (s has room for M because the dense answer
// needs it afterwards; here no more than C of it are in use at a time.)
static void walk_tiles(const ExplainedRow *r, Tensor state, Tensor acc, float *s, long C)
{
    state_clear(state, acc);
    for (long from = 0; from < r->M; from += C) {
        long to = from + C < r->M ? from + C : r->M;
        printf("tile of keys %ld to %ld%s\n", from, to - 1,
               sees_any(r, from, to) ? "" : ": nothing of it is seen, it adds 0 and rescales by 1");
        if (!sees_any(r, from, to))
            continue;
        for (long j = from; j < to; j++)
            s[j] = score(r, j);
        print_tile_scores(r, s, from, to);
        fold_sum(state.data, s, from, to);
        fold_acc(r, acc.data, state.data[STATE_RESCALE], s, from, to);
    }
}

// --- the dense answer ------------------------------------------------------------------------

// The whole row at once, divided before it is mixed, as in chapters 01 to 06. Returns the
// log-sum-exp.
//     O[d] = sum over j of (exp(s[j] - max) / sum) V[j,d],    L = max + log(sum)
static float dense_row(const ExplainedRow *r, float *s, float *out)
{
    float max = -INFINITY, sum = 0.0f;
    for (long j = 0; j < r->M; j++)
        max = fmaxf(max, s[j] = score(r, j));
    float base = max == -INFINITY ? 0.0f : max;
    for (long j = 0; j < r->M; j++)
        sum += s[j] = expf(s[j] - base);
    for (long d = 0; d < r->in->Dv; d++) {
        out[d] = 0.0f;
        for (long j = 0; j < r->M && sum != 0.0f; j++)
            if (mask_allows(&r->mask, r->i, j))
                out[d] += s[j] / sum * explain_value(r, j)[d];
    }
    return base + logf(sum);
}

// b, and how far a is from it.
static void print_distance(float a, float b)
{
    long ulps = ulps_apart(a, b);
    if (ulps < 0)
        printf("dense %.4f\n", shown(b));
    else
        printf("dense %.4f, %ld ulp%s apart\n", shown(b), ulps, ulps == 1 ? "" : "s");
}

// O = acc / l,  L = m + log(l), each beside the dense answer
static void print_result(const ExplainedRow *r, const float *state, const float *acc, float *s)
{
    Tensor dense = tensor_new(SHAPE(r->in->Dv));
    float sum = state[STATE_SUM], max = state[STATE_MAX], lse = logf(sum);
    float dense_lse = dense_row(r, s, dense.data);
    printf(sum == 0.0f ? "nothing may be seen: a dead row, its output is 0\n"
                       : "the division, put off to the end\n");
    for (long d = 0; d < r->in->Dv; d++) {
        char name[64];
        float out = sum == 0.0f ? 0.0f : acc[d] / sum;
        name_of(name, sizeof name, r->in->features, d);
        printf("  output(%s) = ", name);
        if (sum != 0.0f)
            printf("%.4f / %.4f = ", shown(acc[d]), shown(sum));
        printf("%.4f   ", shown(out));
        print_distance(out, dense.data[d]);
    }
    if (max != -INFINITY)
        lse = max + lse;
    printf("  log-sum-exp = ");
    if (max != -INFINITY)
        printf("%.4f + log(%.4f) = ", shown(max), shown(sum));
    printf("%.4f   ", shown(lse));
    print_distance(lse, dense_lse);
    tensor_free(&dense);
}

void explain_online(const Input *in, long i, long h, long keys, long C)
{
    ExplainedRow r = explain_begin(in, i, h, keys);
    Tensor s = tensor_new(SHAPE(r.M)), state = tensor_new(SHAPE(1, STATE_SIZE));
    Tensor acc = tensor_new(SHAPE(1, in->Dv));
    printf(", %ld key%s at a time --\n", C, C == 1 ? "" : "s");
    walk_tiles(&r, state, acc, s.data, C);
    print_result(&r, state.data, acc.data, s.data);
    tensor_free(&s);
    tensor_free(&state);
    tensor_free(&acc);
}
