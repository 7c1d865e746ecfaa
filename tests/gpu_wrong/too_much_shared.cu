// Report: LAUNCH REFUSED: kernel stage: bytes of dynamic shared memory
// Above 48 KiB, cudaFuncSetAttribute has to be asked first.

#include "wrong.h"

__global__ void stage(float *a)
{
    DYNAMIC_SHARED(float, tile);
    tile[threadIdx.x] = 1;
    a[threadIdx.x] = tile[threadIdx.x];
}

int main()
{
    float *a = zeros(32);
    LAUNCH(stage, 1, 32, 64 << 10, 0, a);
    return verdict();
}
