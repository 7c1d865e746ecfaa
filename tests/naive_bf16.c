#include "naive_bf16.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

// Adding just less than half of the last place that stays lets what is more carry into it; a tie
// does where that place is odd.
float bf16_nearest(float x)
{
    uint32_t bits;
    if (isnan(x))
        return x;
    memcpy(&bits, &x, sizeof bits);
    bits += 0x7fff + (bits >> 16 & 1);
    bits &= 0xffff0000;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

Tensor bf16_copy(Tensor t)
{
    Tensor copy = tensor_new(t.axes, t.shape);
    tensor_copy(copy, t);
    for (long i = 0; i < tensor_count(copy); i++)
        copy.data[i] = bf16_nearest(copy.data[i]);
    return copy;
}

// One row of one head, which looks at keys k and values v.
typedef struct {
    const float *q, *k, *v; // [D], [M, D], [M, Dv]
    long b, h, i;
} Row;

// S[j] = scale * sum over d of Q[d] K[j,d] + bias[j], -inf where it is hidden
static float score(const Row *r, long j, OracleSizes s, float scale, const OracleMask *mask)
{
    float sum = 0.0f;
    if (!oracle_allows(mask, s, r->b, r->h, r->i, j))
        return -INFINITY;
    for (long d = 0; d < s.D; d++)
        sum += r->q[d] * r->k[j * s.D + d];
    long at = ((r->b * s.H + r->h) * s.N + r->i) * s.M + j;
    return sum * scale + (mask->bias ? (float)mask->bias[at] : 0.0f);
}

// P[j] = exp(S[j] - max) / sum, rounded; x holds S, and then P. Returns max + log(sum).
static float soften(float *x, long M)
{
    float max = -INFINITY, sum = 0.0f;
    for (long j = 0; j < M; j++)
        max = fmaxf(max, x[j]);
    float base = max == -INFINITY ? 0.0f : max;
    for (long j = 0; j < M; j++)
        sum += x[j] = expf(x[j] - base);
    for (long j = 0; j < M; j++)
        x[j] = x[j] == 0.0f ? 0.0f : bf16_nearest(x[j] / sum);
    return base + logf(sum);
}

// O[d] = sum over allowed j of P[j] V[j,d], and 0 where no score is above -inf.
static float one_row(float *out, float *x, const Row *r, OracleSizes s, float scale,
                     const OracleMask *mask)
{
    for (long j = 0; j < s.M; j++)
        x[j] = score(r, j, s, scale, mask);
    float lse = soften(x, s.M);
    for (long d = 0; d < s.Dv; d++) {
        float sum = 0.0f;
        for (long j = 0; j < s.M; j++)
            if (oracle_allows(mask, s, r->b, r->h, r->i, j))
                sum += x[j] * r->v[j * s.Dv + d];
        out[d] = lse == -INFINITY ? 0.0f : sum;
    }
    return lse;
}

void naive_bf16(Tensor out, Tensor lse, const float *q, const float *k, const float *v,
                OracleSizes s, float scale, const OracleMask *mask)
{
    Tensor x = tensor_new(SHAPE(s.M)); // scores of a row; its weights in the end
    for (long b = 0; b < s.B; b++)
        for (long h = 0; h < s.H; h++)
            for (long i = 0; i < s.N; i++) {
                long at = (b * s.H + h) * s.N + i, kv = (b * s.G + h * s.G / s.H) * s.M;
                Row r = {q + at * s.D, k + kv * s.D, v + kv * s.Dv, b, h, i};
                lse.data[at] = one_row(out.data + at * s.Dv, x.data, &r, s, scale, mask);
            }
    tensor_free(&x);
}
