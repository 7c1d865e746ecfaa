#include "merge.h"

#include "../../common/count.h"

#include <math.h>

void state_clear(Tensor state, Tensor acc)
{
    tensor_fill(state, 0.0f);
    tensor_fill(acc, 0.0f);
    for (long i = 0; i < state.shape[0]; i++)
        row(state, i)[STATE_OLD_MAX] = row(state, i)[STATE_MAX] = -INFINITY;
}

// m = max(m1, m2),  l = exp(m1 - m) l1 + exp(m2 - m) l2,  acc likewise
void state_merge(Tensor state, Tensor acc, Tensor state2, Tensor acc2)
{
    long R = acc.shape[0], Dv = acc.shape[1];
    for (long i = 0; i < R; i++) {
        float *a = row(state, i), *b = row(state2, i);
        float max = fmaxf(a[STATE_MAX], b[STATE_MAX]);
        float base = max == -INFINITY ? 0.0f : max; // both parts empty: exp(-inf - 0) = 0
        float left = expf(a[STATE_MAX] - base), right = expf(b[STATE_MAX] - base);
        a[STATE_OLD_MAX] = a[STATE_MAX];
        a[STATE_MAX] = max;
        a[STATE_RESCALE] = left;
        a[STATE_SUM] = left * a[STATE_SUM] + right * b[STATE_SUM];
        for (long d = 0; d < Dv; d++)
            row(acc, i)[d] = left * row(acc, i)[d] + right * row(acc2, i)[d];
    }
    count_flops(R * (8 + 3 * Dv));
}
