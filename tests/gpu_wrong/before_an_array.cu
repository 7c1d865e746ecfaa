// Report: index -1 of 'float [64]' is below 0
// The neighbour on the left of the first element.

#include "wrong.h"

__global__ void difference(const float *a, float *b)
{
    __shared__ float tile[64];
    int i = threadIdx.x;
    tile[i] = a[i];
    __syncthreads();
    b[i] = tile[i] - tile[i - 1];
}

int main()
{
    float *a = zeros(64), *b = zeros(64);
    LAUNCH(difference, 1, 64, 0, 0, a, b);
    return verdict();
}
