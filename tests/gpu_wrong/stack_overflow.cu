// Report: STACK OVERFLOW
// Recursion: a GPU thread has room for a few calls, not for thousands.

#include "wrong.h"

__device__ __noinline__ float deep(const float *a, int depth)
{
    volatile float room[64];
    room[depth % 64] = a[0];
    return depth ? deep(a, depth - 1) + room[depth % 64] : 0.0f;
}

__global__ void recursion(const float *a, float *b)
{
    b[threadIdx.x] = deep(a, 100000);
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(recursion, 1, 1, 0, 0, a, b);
    return verdict();
}
