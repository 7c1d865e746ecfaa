// Report: DIVERGENT __syncthreads at divergent_barrier.cu:14
// Both branches have a barrier, but all threads must come to the same one.

#include "wrong.h"

__global__ void branches(const float *a, float *b)
{
    int i = threadIdx.x;
    if (i < 64) {
        __syncthreads();
        b[i] = a[i];
    } else {
        b[i] = -a[i];
        __syncthreads();
    }
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(branches, 1, 128, 0, 0, a, b);
    return verdict();
}
