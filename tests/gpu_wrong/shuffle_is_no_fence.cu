// Report: RACE within a warp at shuffle_is_no_fence.cu:12
// A shuffle makes lanes meet, but promises nothing about what they wrote to memory.

#include "wrong.h"

__global__ void reverse(const float *a, float *b)
{
    __shared__ float tile[32];
    int i = threadIdx.x;
    tile[i] = a[i];
    float first = __shfl_sync(0xffffffffu, a[i], 0);
    b[i] = tile[31 - i] + first;
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(reverse, 1, 32, 0, 0, a, b);
    return verdict();
}
