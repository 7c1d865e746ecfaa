// Report: DEADLOCK at barrier_and_shuffle.cu:13
// Half a warp waits for the block, the other half for all lanes of the warp: for ever.

#include "wrong.h"

__global__ void halves(const float *a, float *b)
{
    int i = threadIdx.x;
    float x = a[i];
    if (i % 32 < 16)
        __syncthreads();
    else
        x += __shfl_xor_sync(0xffffffffu, x, 1);
    b[i] = x;
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(halves, 1, 128, 0, 0, a, b);
    return verdict();
}
