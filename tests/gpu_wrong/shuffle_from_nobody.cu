// Report: SHUFFLE FROM NOBODY at shuffle_from_nobody.cu:11
// The lower half shuffles among itself, and asks for lanes of the upper half.

#include "wrong.h"

__global__ void lower_half(const float *a, float *b)
{
    int i = threadIdx.x;
    float x = a[i];
    if (i % 32 < 16)
        x += __shfl_down_sync(0x0000ffffu, x, 8);
    b[i] = x;
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(lower_half, 1, 128, 0, 0, a, b);
    return verdict();
}
