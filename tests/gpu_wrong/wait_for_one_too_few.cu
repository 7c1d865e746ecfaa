// Report: TOO EARLY at wait_for_one_too_few.cu:17
// With one group still allowed to be on its way, the latest tile is not there yet.

#include "wrong.h"

__global__ void staged(const float *a, float *b)
{
    __shared__ __align__(16) float tile[256];
    int i = threadIdx.x;
    cp_async16(&tile[4 * i], &a[4 * i]);
    cp_async_commit();
    cp_async16(&tile[128 + 4 * i], &a[4 * i]);
    cp_async_commit();
    cp_async_wait(1);
    __syncthreads();
    b[i] = tile[i];
    b[i + 32] = tile[128 + i];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(staged, 1, 32, 0, 0, a, b);
    return verdict();
}
