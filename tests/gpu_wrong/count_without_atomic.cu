// Report: __syncthreads() is missing between them, or, if both add to it, an atomicAdd()
// Threads that find the same value add to the same counter: one of them is lost.

#include "wrong.h"

__global__ void histogram(const int *a, int *b)
{
    __shared__ int count[4];
    int i = threadIdx.x;
    if (i < 4)
        count[i] = 0;
    __syncthreads();
    count[a[i] & 3]++;
    __syncthreads();
    if (i < 4)
        b[i] = count[i];
}

int main()
{
    int *a = reinterpret_cast<int *>(zeros(64)), *b = reinterpret_cast<int *>(zeros(4));
    LAUNCH(histogram, 1, 64, 0, 0, a, b);
    return verdict();
}
