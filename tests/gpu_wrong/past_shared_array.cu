// Report: OUT OF BOUNDS in an array at past_shared_array.cu:10
// One column too few: the last thread writes behind its row.

#include "wrong.h"

__global__ void shifted(const float *a, float *b)
{
    __shared__ float tile[128];
    int i = threadIdx.x;
    tile[i + 1] = a[i];
    __syncthreads();
    b[i] = tile[i];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(shifted, 1, 128, 0, 0, a, b);
    return verdict();
}
