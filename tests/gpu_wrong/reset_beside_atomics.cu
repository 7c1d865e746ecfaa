// Report: RACE within a warp at reset_beside_atomics.cu:11
// The counter is set to 0 by one thread, and nobody waits for it: early additions may get lost.

#include "wrong.h"

__global__ void count(const float *a, float *b)
{
    __shared__ int found;
    if (threadIdx.x == 0)
        found = 0;
    atomicAdd(&found, a[threadIdx.x] == 0);
    __syncthreads();
    b[threadIdx.x] = found;
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(count, 1, 128, 0, 0, a, b);
    return verdict();
}
