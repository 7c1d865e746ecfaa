#include "answer.h"

#include <stdlib.h>

// The bound for V = 1 is that of a weight, and no less than that of the log-sum-exp: logits are
// off by (D + 2) A, the M terms and their logarithm by M + 4, all in units of 2^-24.
static double lse_bound(const float *q, Tensor k, OracleSizes sizes, double scale,
                        const OracleMask *mask)
{
    Tensor ones = tensor_new(SHAPE(sizes.B * sizes.G * sizes.M, 1));
    tensor_fill(ones, 1.0f);
    sizes.Dv = 1;
    double bound = oracle_bound(q, k.data, ones.data, sizes, scale, mask);
    tensor_free(&ones);
    return bound;
}

Answer answer_new(const float *q, Tensor k, Tensor v, OracleSizes sizes, float scale,
                  const OracleMask *mask)
{
    long rows = sizes.B * sizes.H * sizes.N;
    double factor = (double)scale;
    Answer a = {.output = oracle_zeros(rows * sizes.Dv), .lse = oracle_zeros(rows)};
    oracle_attention((OracleSteps){.output = a.output, .lse = a.lse}, q, k.data, v.data, sizes,
                     factor, mask);
    a.bound = oracle_bound(q, k.data, v.data, sizes, factor, mask);
    a.lse_bound = lse_bound(q, k, sizes, factor, mask);
    return a;
}

void answer_free(Answer *a)
{
    free(a->output);
    free(a->lse);
    *a = (Answer){0};
}
