// Report: RACE in global memory at race_in_global_memory.cu:10
// Global memory is no more ordered than shared memory is.

#include "wrong.h"

__global__ void neighbours(float *a, float *b)
{
    int i = threadIdx.x;
    a[i] = i;
    b[i] = a[(i + 32) % 128];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(neighbours, 1, 128, 0, 0, a, b);
    return verdict();
}
