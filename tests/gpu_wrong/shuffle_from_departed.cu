// Report: SHUFFLE FROM NOBODY at shuffle_from_departed.cu:13
// The upper half has nothing to do and returns; the lower half adds up all 32 lanes.

#include "wrong.h"

__global__ void sum(const float *a, float *b)
{
    int i = threadIdx.x;
    if (i % 32 >= 16)
        return;
    float x = a[i];
    for (int apart = 16; apart > 0; apart /= 2)
        x += __shfl_xor_sync(0xffffffff, x, apart);
    b[i] = x;
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(sum, 1, 128, 0, 0, a, b);
    return verdict();
}
