#include "explain.h"

#include <stdio.h>

// --- the row -------------------------------------------------------------------------------

static const float *token_of(Tensor past, Tensor fresh, long P, long g, long j)
{
    Tensor heads = tensor_at(j < P ? past : fresh, 0);
    return row(tensor_at(heads, g), j < P ? j : j - P);
}

const float *explain_key(const ExplainedRow *r, long j)
{
    return token_of(r->in->past_k, r->in->k, r->in->P, r->g, j);
}

const float *explain_value(const ExplainedRow *r, long j)
{
    return token_of(r->in->past_v, r->in->v, r->in->P, r->g, j);
}

ExplainedRow explain_begin(const Input *in, long i, long h, long keys)
{
    char name[64];
    CHECK(i < in->N && h < in->H && in->B > 0, "no row %ld of head %ld", i, h); // see input_read
    Mask pass = mask_pass(&in->mask, 0, in->N, in->P, in->P + in->M);
    ExplainedRow r = {.in = in, .mask = mask_head(&pass, 0, h), .i = i, .h = h,
                      .g = h / (in->H / in->G), .M = keys};
    name_of(name, sizeof name, in->queries[0], i);
    printf("-- query %s, head h%ld", name, h);
    if (in->G < in->H)
        printf(", which reads KV head h%ld", r.g);
    if (in->B > 1)
        printf(", sequence 0");
    return r;
}

// --- its arithmetic ------------------------------------------------------------------------

// "(q2, k0)", with labels where there are some.
static void print_pair(const ExplainedRow *r, const char *what, long j)
{
    char q[64], k[64];
    name_of(q, sizeof q, r->in->queries[0], r->i);
    name_of(k, sizeof k, r->in->keys[0], j);
    printf("  %s(%s, %s) = ", what, q, k);
}

// s[j] = scale * sum over d of q[d] k[j,d]
static void explain_scores(const ExplainedRow *r, float *s)
{
    const float *q = row(tensor_at(tensor_at(r->in->q, 0), r->h), r->i);
    for (long j = 0; j < r->M; j++) {
        float sum = 0.0f;
        print_pair(r, "score", j);
        for (long d = 0; d < r->in->D; d++) {
            printf("%s%.4g*%.4g", d ? " + " : "", shown(q[d]), shown(explain_key(r, j)[d]));
            sum += q[d] * explain_key(r, j)[d];
        }
        printf(" = %.4f\n", shown(sum));
        s[j] = sum;
    }
    for (long j = 0; j < r->M; j++) {
        print_pair(r, "scaled", j);
        printf("%.4f * %.4f = %.4f\n", shown(s[j]), shown(r->in->scale),
               shown(s[j] * r->in->scale));
        s[j] *= r->in->scale;
    }
}

static void explain_mask(const ExplainedRow *r, float *s)
{
    for (long j = 0; j < r->M; j++) {
        float bias = mask_bias(&r->mask, r->i, j);
        bool allowed = mask_allows(&r->mask, r->i, j);
        if (allowed && bias == 0.0f)
            continue;
        print_pair(r, "masked", j);
        if (allowed)
            printf("%.4f + %.4f = %.4f\n", shown(s[j]), shown(bias), shown(s[j] + bias));
        else
            printf("-inf\n");
        s[j] = allowed ? s[j] + bias : -INFINITY;
    }
}

// s becomes the weights: exp(s - max) / sum.
static void explain_softmax(const ExplainedRow *r, float *s)
{
    float max = -INFINITY, sum = 0.0f;
    for (long j = 0; j < r->M; j++)
        max = fmaxf(max, s[j]);
    float base = max == -INFINITY ? 0.0f : max;
    printf("  largest score = %.4f\n", shown(max));
    for (long j = 0; j < r->M; j++) {
        printf("  exp(%.4f - %.4f) = %.4f\n", shown(s[j]), shown(base),
               shown(expf(s[j] - base)));
        sum += s[j] = expf(s[j] - base);
    }
    printf("  their sum = %.4f, log-sum-exp = %.4f\n", shown(sum), shown(base + logf(sum)));
    for (long j = 0; j < r->M; j++) {
        print_pair(r, "weight", j);
        printf("%.4f / %.4f = %.4f\n", shown(s[j]), shown(sum),
               s[j] == 0.0f ? 0.0 : shown(s[j] / sum));
        s[j] = s[j] == 0.0f ? 0.0f : s[j] / sum;
    }
    if (sum == 0.0f)
        printf("  nothing may be seen: a dead row, its output is 0\n");
}

// A row whose weights are all 0: not even the V of a key that may be seen is read.
static bool is_dead(const ExplainedRow *r, const float *p)
{
    for (long j = 0; j < r->M; j++)
        if (p[j] != 0.0f)
            return false;
    return true;
}

static void explain_output(const ExplainedRow *r, const float *p)
{
    bool dead = is_dead(r, p);
    for (long d = 0; d < r->in->Dv; d++) {
        char name[64];
        const char *plus = "";
        float sum = 0.0f;
        name_of(name, sizeof name, r->in->features, d);
        printf("  output(%s) = ", name);
        for (long j = 0; j < r->M && !dead; j++)
            if (mask_allows(&r->mask, r->i, j)) {
                printf("%s%.4f*%.4g", plus, shown(p[j]), shown(explain_value(r, j)[d]));
                sum += p[j] * explain_value(r, j)[d];
                plus = " + ";
            }
        printf("%s%.4f\n", *plus ? " = " : "", shown(sum));
    }
}

// o = sum over blocks of (sum over the block's tokens j of P[j] V[j]): PagedAttention, eq. 4.
static void explain_blocks(const ExplainedRow *r, const float *p, long T)
{
    bool dead = is_dead(r, p);
    for (long from = 0; from < r->M; from += T) {
        long to = from + T < r->M ? from + T : r->M;
        float weight = 0.0f;
        for (long j = from; j < to; j++)
            weight += mask_allows(&r->mask, r->i, j) ? p[j] : 0.0f;
        printf("  block %ld, tokens %ld to %ld: weight %.4f, adds", from / T, from, to - 1,
               shown(weight));
        for (long d = 0; d < r->in->Dv; d++) {
            float sum = 0.0f;
            for (long j = from; j < to && !dead; j++)
                sum += mask_allows(&r->mask, r->i, j) ? p[j] * explain_value(r, j)[d] : 0.0f;
            printf(" %.4f", shown(sum));
        }
        printf("\n");
    }
}

void explain_row(const Input *in, long i, long h, long keys, long T)
{
    ExplainedRow r = explain_begin(in, i, h, keys);
    Tensor s = tensor_new(SHAPE(r.M));
    printf(" --\n");
    explain_scores(&r, s.data);
    explain_mask(&r, s.data);
    explain_softmax(&r, s.data);
    explain_output(&r, s.data);
    if (T > 0)
        explain_blocks(&r, s.data, T);
    tensor_free(&s);
}
