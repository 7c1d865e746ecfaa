// Report: MISSING __syncthreads at returned_before_barrier.cu:12
// Threads without work return early, and never come to the barrier.

#include "wrong.h"

__global__ void guarded(const float *a, float *b)
{
    int i = threadIdx.x;
    if (i >= 100)
        return;
    float x = a[i];
    __syncthreads();
    b[i] = x;
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(guarded, 1, 128, 0, 0, a, b);
    return verdict();
}
