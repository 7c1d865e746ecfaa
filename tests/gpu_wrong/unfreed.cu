// Report: UNFREED device memory: 512 bytes
// Nobody frees a: the program still works, until a longer run is out of memory.

#include "wrong.h"

__global__ void fill(float *a)
{
    a[threadIdx.x] = 1;
}

int main()
{
    float *a = zeros(128);
    LAUNCH(fill, 1, 128, 0, 0, a);
    return cudaDeviceSynchronize() != cudaSuccess;
}
