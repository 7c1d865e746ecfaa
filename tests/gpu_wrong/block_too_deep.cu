// Report: LAUNCH REFUSED: kernel fill: blockDim.z: 128, at most 64
// 128 threads are few, but not one behind the other.

#include "wrong.h"

__global__ void fill(float *a)
{
    a[threadIdx.z] = 1;
}

int main()
{
    float *a = zeros(128);
    LAUNCH(fill, 1, dim3(1, 1, 128), 0, 0, a);
    return verdict();
}
