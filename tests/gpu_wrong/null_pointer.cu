// Report: NULL POINTER at null_pointer.cu:9
// A cudaMalloc whose error nobody looked at: there is no such amount of memory.

#include "wrong.h"

__global__ void copy(const float *a, float *b)
{
    int i = threadIdx.x;
    b[i] = a[i];
}

int main()
{
    float *a = NULL, *b = zeros(128);
    cudaMalloc(&a, (size_t)1 << 50);
    LAUNCH(copy, 1, 128, 0, 0, a, b);
    return verdict();
}
