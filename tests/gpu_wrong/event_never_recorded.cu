// Report: cudaErrorInvalidResourceHandle
// A time is measured between two events, but the second one was never recorded.

#include "wrong.h"

__global__ void fill(float *a)
{
    a[threadIdx.x] = 1;
}

int main()
{
    float *a = zeros(32), ms = 0;
    cudaEvent_t start, end;
    cudaEventCreate(&start);
    cudaEventCreate(&end);
    cudaEventRecord(start, 0);
    LAUNCH(fill, 1, 32, 0, 0, a);
    cudaEventElapsedTime(&ms, start, end);
    cudaEventDestroy(start);
    cudaEventDestroy(end);
    return verdict();
}
