// Report: DEADLOCK at shuffle_missing_lanes.cu:12
// The mask names 32 lanes, but the tail of the row keeps some of them out of the branch.

#include "wrong.h"

__global__ void row_sum(const float *a, float *b)
{
    int i = threadIdx.x;
    float x = a[i];
    if (i < 100)
        for (int step = 16; step > 0; step /= 2)
            x += __shfl_xor_sync(0xffffffffu, x, step);
    __syncthreads();
    b[i] = x;
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(row_sum, 1, 128, 0, 0, a, b);
    return verdict();
}
