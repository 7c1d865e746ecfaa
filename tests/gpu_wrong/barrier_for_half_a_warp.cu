// Report: WRONG BARRIER at barrier_for_half_a_warp.cu:9
// A named barrier counts whole warps: 48 threads are one and a half.

#include "wrong.h"

__global__ void part(const float *a, float *b)
{
    if (threadIdx.x < 48)
        named_barrier(1, 48);
    b[threadIdx.x] = a[threadIdx.x];
}

int main()
{
    float *a = zeros(64), *b = zeros(64);
    LAUNCH(part, 1, 64, 0, 0, a, b);
    return verdict();
}
