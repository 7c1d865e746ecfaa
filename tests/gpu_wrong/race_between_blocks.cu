// Report: RACE between blocks at race_between_blocks.cu:9
// Every block adds to the same number: without atomicAdd, additions get lost.

#include "wrong.h"

__global__ void total(const float *a, float *b)
{
    if (threadIdx.x == 0)
        b[0] += a[blockIdx.x];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(total, 4, 128, 0, 0, a, b);
    return verdict();
}
