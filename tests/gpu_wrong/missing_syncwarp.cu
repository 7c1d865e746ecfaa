// Report: RACE within a warp at missing_syncwarp.cu:11
// "A warp runs in lockstep" has been wrong since Volta: its lanes may run one after the other.

#include "wrong.h"

__global__ void reverse(const float *a, float *b)
{
    __shared__ float tile[32];
    int i = threadIdx.x;
    tile[i] = a[i];
    b[i] = tile[31 - i];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(reverse, 1, 32, 0, 0, a, b);
    return verdict();
}
