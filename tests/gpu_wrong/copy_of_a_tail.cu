// Report: WRONG cp.async at copy_of_a_tail.cu:11
// The rest of a row is 3 floats; the copy is told that 20 of its 16 bytes are valid.

#include "wrong.h"

__global__ void staged(const float *a, float *b, int n)
{
    __shared__ __align__(16) float tile[128];
    int i = threadIdx.x;
    if (4 * i < n)
        cp_async16_some(&tile[4 * i], &a[4 * i], 20);
    cp_async_commit();
    cp_async_wait(0);
    __syncthreads();
    b[i] = i < n ? tile[i] : 0;
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(staged, 1, 32, 0, 0, a, b, 32);
    return verdict();
}
