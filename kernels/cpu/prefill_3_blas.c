// Prefill, step 3 of 10: both products by OpenBLAS, the softmax between them as before.
//
// Three passes over an N x M matrix, as one writes attention with a library. On its own thread
// alone, so that steps can be compared; a plain loop where there is no OpenBLAS.
//
// Predicted: 15 to 20 % of the FMA peak. The products come near it, but at D = 64 they are 256
// flops a score, done four times over while expf takes one number. Loses: besides expf, N x M
// scores go to memory and back four times; a library knows nothing of masks, so what is hidden is
// computed, too.

#include "blas.h"
#include "kernels.h"
#include "vector.h"

#include "../../common/count.h"

#include <math.h>

// One query head of one sequence.
typedef struct {
    const Pass *pass;
    long b, h, g;
    Mask rule;    // its own: [N, M]
    Seen keys;    // those that are read: all that some query sees
    Tensor k, v;  // [D, M], [M, Dv]: its keys, turned, and its values, as floats
    Tensor s;     // [N, M]: scores, in the end weights
} Head;

// This head of a tensor [B, H, N, D]: [N, D].
static Tensor rows_of(const Head *h, Tensor t)
{
    return tensor_at(tensor_at(t, h->b), h->h);
}

// Row i of it.
static float *row_in(const Head *h, const Tensor *t, long i)
{
    return t->data + h->b * t->stride[0] + h->h * t->stride[1] + i * t->stride[2];
}

// K turned, as floats: all keys' first feature, then their second.
static void gather_turned(Tensor to, const Head *h, const Rows *rows)
{
    long width = to.shape[0];
    for (long j = h->keys.from; j < h->keys.to; j++)
        for (long d = 0; d < width; d += LANES) {
            long n = width - d < LANES ? width - d : LANES;
            vec x = vec_kept(row_of(rows, h->b, h->g, j), rows->kept, d, n);
            for (long i = 0; i < n; i++)
                row(to, d + i)[j] = x[i];
        }
}

// Keys or values as floats: they may lie in pages, or be kept in 16 bits.
static void gather(Tensor to, const Head *h, const Rows *rows)
{
    long width = to.shape[1];
    for (long j = h->keys.from; j < h->keys.to; j++)
        for (long d = 0; d < width; d += LANES) {
            long n = width - d < LANES ? width - d : LANES;
            vec x = vec_kept(row_of(rows, h->b, h->g, j), rows->kept, d, n);
            vec_store_part(row(to, j) + d, x, n);
        }
}

// S = Q K^T, for the keys that are read
static void dot_rows(const Head *h)
{
    long from = h->keys.from, to = h->keys.to;
    blas_multiply(tensor_slice(h->s, 1, from, to), rows_of(h, h->pass->q),
                  tensor_slice(h->k, 1, from, to), false);
}

// S[i,j] = scale S[i,j]
static void scale_scores(const Head *h)
{
    for (long i = 0; i < h->pass->N; i++)
        for (long j = h->keys.from; j < h->keys.to; j++)
            row(h->s, i)[j] *= h->pass->scale;
}

// S[i,j] = -inf where query i may not look at key j, S[i,j] + bias[i,j] elsewhere
static void hide(const Head *h)
{
    for (long i = 0; i < h->pass->N; i++) {
        Seen seen = mask_seen(&h->rule, i);
        float *s = row(h->s, i);
        for (long j = 0; j < seen.from; j++)
            s[j] = -INFINITY;
        for (long j = seen.to; j < h->pass->M; j++)
            s[j] = -INFINITY;
        for (long j = seen.from; h->rule.bias.data && j < seen.to; j++) {
            float bias = mask_bias(&h->rule, i, j);
            s[j] = bias == -INFINITY ? -INFINITY : s[j] + bias;
        }
    }
}

// P[i,j] = exp(S[i,j] - max) / sum of the row,    L[i] = max + log(sum)
static void softmax(const Head *h)
{
    long M = h->pass->M;
    for (long i = 0; i < h->pass->N; i++) {
        float *x = row(h->s, i), max = -INFINITY, sum = 0.0f;
        for (long j = 0; j < M; j++)
            max = x[j] > max ? x[j] : max;
        float base = max == -INFINITY ? 0.0f : max; // nothing visible: -inf - -inf is NaN
        for (long j = 0; j < M; j++)
            sum += x[j] = expf(x[j] - base);
        // 0 stays 0, also where the sum is 0 or NaN: what is hidden weighs nothing.
        for (long j = 0; j < M; j++)
            x[j] = x[j] == 0.0f ? 0.0f : x[j] / sum;
        *row_in(h, &h->pass->lse, i) = base + logf(sum);
    }
}

// x - x is 0 for a number, and NaN for all else.
static bool are_finite(const Head *h)
{
    float sum = 0.0f;
    for (long j = h->keys.from; j < h->keys.to; j++)
        for (long d = 0; d < h->pass->Dv; d++)
            sum += row(h->v, j)[d] - row(h->v, j)[d];
    return sum == 0.0f;
}

// O[i,d] = sum over j of P[i,j] V[j,d]. A hidden key's V is not touched: 0 * NaN is NaN.
static void mix_seen(const Head *h)
{
    const Pass *p = h->pass;
    for (long i = 0; i < p->N; i++) {
        Seen seen = mask_seen(&h->rule, i);
        float *restrict o = row_in(h, &p->out, i);
        for (long d = 0; d < p->Dv; d++)
            o[d] = 0.0f;
        for (long j = seen.from; j < seen.to; j++) {
            const float *restrict v = row(h->v, j), pj = row(h->s, i)[j];
            if (mask_bias(&h->rule, i, j) != -INFINITY)
                for (long d = 0; d < p->Dv; d++)
                    o[d] += pj * v[d];
        }
    }
}

// O = P V. A library would multiply what is hidden by 0.
static void mix_rows(const Head *h)
{
    long from = h->keys.from, to = h->keys.to;
    if (are_finite(h))
        blas_multiply(rows_of(h, h->pass->out), tensor_slice(h->s, 1, from, to),
                      tensor_slice(h->v, 0, from, to), false);
    else
        mix_seen(h);
}

// The output of a row that saw nothing is exactly 0, whatever V holds.
static void clear_dead_rows(const Head *h)
{
    const Pass *p = h->pass;
    for (long i = 0; i < p->N; i++)
        for (long d = 0; d < p->Dv; d++)
            if (*row_in(h, &p->lse, i) == -INFINITY)
                row_in(h, &p->out, i)[d] = 0.0f;
}

// Every pass over an array reads what it needs once from slow memory, and writes its result once.
static void count_head(const Head *h)
{
    const Pass *p = h->pass;
    long NM = p->N * p->M, keys = h->keys.to - h->keys.from, width = p->D + p->Dv;
    count_moved(keys * width, keys * width);        // gather
    count_moved(p->N * p->D + keys * p->D, NM);     // dot_rows
    count_moved(2 * NM, 2 * NM);                    // scale_scores, hide
    count_moved(h->rule.bias.data ? NM : 0, 0);
    count_moved(NM, NM + p->N);                     // softmax
    count_moved(NM + keys * p->Dv, p->N * p->Dv);   // mix_rows
}

static void show(const Head *h, const char *name, Tensor x)
{
    if (h->pass->trace)
        trace_step(h->pass->trace, name, x);
}

// Keys that no query sees are not read, unless somebody wants to see their scores, too.
static Seen keys_read(const Pass *p, long b)
{
    Mask m = mask_head(p->mask, b, 0);
    if (p->trace)
        return (Seen){0, p->M};
    return (Seen){mask_seen(&m, 0).from, mask_seen(&m, p->N - 1).to};
}

static void one_head(Head h)
{
    const Pass *p = h.pass;
    h.g = h.h / (p->H / p->G);
    h.rule = mask_head(p->mask, h.b, h.h);
    h.keys = keys_read(p, h.b);
    if (p->trace)
        trace_at(p->trace, h.b, h.h);
    gather_turned(h.k, &h, &p->k);
    gather(h.v, &h, &p->v);
    dot_rows(&h);
    show(&h, "scores", h.s);
    scale_scores(&h);
    show(&h, "scaled", h.s);
    hide(&h);
    show(&h, "masked", h.s);
    softmax(&h);
    show(&h, "weights", h.s);
    mix_rows(&h);
    clear_dead_rows(&h);
    show(&h, "output", rows_of(&h, p->out));
    show(&h, "lse", rows_of(&h, p->lse));
    count_head(&h);
}

void KERNEL(prefill_blas)(const Pass *p)
{
    if (p->N == 0)
        return;
    Tensor k = tensor_new(SHAPE(p->D, p->M)), v = tensor_new(SHAPE(p->M, p->Dv));
    Tensor s = tensor_new(SHAPE(p->N, p->M));
    for (long b = 0; b < p->B; b++)
        for (long h = 0; h < p->H; h++)
            one_head((Head){.pass = p, .b = b, .h = h, .k = k, .v = v, .s = s});
    pass_count(p);
    tensor_free(&k);
    tensor_free(&v);
    tensor_free(&s);
}
