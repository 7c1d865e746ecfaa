// Report: TOO EARLY at copy_without_wait.cu:13
// The barrier waits for the threads, not for the copies that they have started.

#include "wrong.h"

__global__ void staged(const float *a, float *b)
{
    __shared__ __align__(16) float tile[128];
    int i = threadIdx.x;
    cp_async16(&tile[4 * i], &a[4 * i]);
    cp_async_commit();
    __syncthreads();
    b[i] = tile[i];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(staged, 1, 32, 0, 0, a, b);
    return verdict();
}
