// Report: ASSERTION at failed_assertion.cu:9, kernel inverse, block (0,0,0), thread (7,0,0)
// What a kernel takes for granted, it can say: here, that no element is 0.

#include "wrong.h"
#include <assert.h>

__global__ void inverse(float *a)
{
    assert(a[threadIdx.x] != 0);
    a[threadIdx.x] = 1 / a[threadIdx.x];
}

int main()
{
    float *a = zeros(32), numbers[32];
    for (int i = 0; i < 32; i++)
        numbers[i] = i - 7;
    cudaMemcpy(a, numbers, sizeof numbers, cudaMemcpyHostToDevice);
    LAUNCH(inverse, 1, 32, 0, 0, a);
    return verdict();
}
