// Report: RACE between blocks at overwritten_while_read.cu:11
// All blocks scale by the largest number, and the last one resets it: others may not have read.

#include "wrong.h"

__global__ void scale(float *a, float *largest)
{
    a[blockIdx.x * 32 + threadIdx.x] *= largest[0];
    __syncthreads();
    if (blockIdx.x == gridDim.x - 1 && threadIdx.x == 0)
        largest[0] = 0;
}

int main()
{
    float *a = zeros(128), *b = zeros(1);
    LAUNCH(scale, 4, 32, 0, 0, a, b);
    return verdict();
}
