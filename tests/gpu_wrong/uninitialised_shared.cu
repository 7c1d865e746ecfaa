// Report: UNINITIALISED shared memory at uninitialised_shared.cu:15
// Only 100 of the 128 elements are loaded; the sum takes them all.

#include "wrong.h"

__global__ void total(const float *a, float *b)
{
    __shared__ float tile[128];
    int i = threadIdx.x;
    if (i < 100)
        tile[i] = a[i];
    __syncthreads();
    float sum = 0;
    for (int k = 0; k < 128; k++)
        sum += tile[k];
    b[i] = sum;
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(total, 1, 128, 0, 0, a, b);
    return verdict();
}
