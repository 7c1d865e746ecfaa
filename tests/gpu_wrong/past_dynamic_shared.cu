// Report: OUT OF BOUNDS in shared memory at past_dynamic_shared.cu:10
// The launch asked for fewer bytes than the kernel uses.

#include "wrong.h"

__global__ void stage(const float *a, float *b)
{
    DYNAMIC_SHARED(float, tile);
    int i = threadIdx.x;
    tile[i] = a[i];
    __syncthreads();
    b[i] = tile[127 - i];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(stage, 1, 128, 100 * sizeof(float), 0, a, b);
    return verdict();
}
