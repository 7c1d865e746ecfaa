// Report: LAUNCH REFUSED: kernel stage: bytes of shared memory, its own arrays and the dynamic part
// 32 KiB of its own and 32 KiB from the launch: each is allowed, both are too much.

#include "wrong.h"

__global__ void stage(float *a)
{
    __shared__ float own[8192];
    DYNAMIC_SHARED(float, tile);
    own[threadIdx.x] = tile[threadIdx.x] = 1;
    a[threadIdx.x] = own[threadIdx.x];
}

int main()
{
    float *a = zeros(32);
    LAUNCH(stage, 1, 32, 32 << 10, 0, a);
    return verdict();
}
