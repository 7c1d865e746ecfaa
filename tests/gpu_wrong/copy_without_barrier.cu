// Report: RACE within a warp at copy_without_barrier.cu:13
// The wait is for a thread's own copies only. Those of the others need a barrier as well.

#include "wrong.h"

__global__ void staged(const float *a, float *b)
{
    __shared__ __align__(16) float tile[128];
    int i = threadIdx.x;
    cp_async16(&tile[4 * i], &a[4 * i]);
    cp_async_commit();
    cp_async_wait(0);
    b[i] = tile[i];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(staged, 1, 32, 0, 0, a, b);
    return verdict();
}
