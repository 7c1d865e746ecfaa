// Report: RACE within a warp at half_a_syncwarp.cu:14
// __syncwarp orders the lanes of its mask among each other, and the lower half reads the upper's.

#include "wrong.h"

__global__ void reverse(const float *a, float *b)
{
    __shared__ float tile[32];
    int i = threadIdx.x;
    float x = a[i];
    tile[i] = x;
    unsigned mine = i < 16 ? 0x0000ffffu : 0xffff0000u;
    __syncwarp(mine);
    b[i] = tile[31 - i];
}

int main()
{
    float *a = zeros(32), *b = zeros(32);
    LAUNCH(reverse, 1, 32, 0, 0, a, b);
    return verdict();
}
