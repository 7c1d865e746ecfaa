// Report: OUT OF BOUNDS at freed_memory.cu:9
// The memory was given back before the kernel used it.

#include "wrong.h"

__global__ void copy(const float *a, float *b)
{
    int i = threadIdx.x;
    b[i] = a[i];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    cudaFree(a);
    LAUNCH(copy, 1, 128, 0, 0, a, b);
    return verdict();
}
