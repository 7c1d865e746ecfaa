// Report: RACE in shared memory at missing_barrier.cu:11
// Each thread reads what a thread of another warp has just written: a __syncthreads() is missing.

#include "wrong.h"

__global__ void reverse(const float *a, float *b)
{
    __shared__ float tile[128];
    int i = threadIdx.x;
    tile[i] = a[i];
    b[i] = tile[127 - i];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(reverse, 1, 128, 0, 0, a, b);
    return verdict();
}
