// Report: cudaErrorInvalidResourceHandle
// The stream was destroyed before the kernel was launched on it.

#include "wrong.h"

__global__ void fill(float *a)
{
    a[threadIdx.x] = 1;
}

int main()
{
    float *a = zeros(32);
    cudaStream_t stream;
    cudaStreamCreate(&stream);
    cudaStreamDestroy(stream);
    LAUNCH(fill, 1, 32, 0, stream, a);
    return verdict();
}
