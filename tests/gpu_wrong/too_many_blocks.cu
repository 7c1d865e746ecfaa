// Report: LAUNCH REFUSED: kernel fill: blocks, here: 4200000000, at most 4000000000
// Each side is within its limit, the product is more than the emulator counts.

#include "wrong.h"

__global__ void fill(float *a)
{
    if (blockIdx.y == 0)
        a[threadIdx.x] = 1;
}

int main()
{
    float *a = zeros(32);
    LAUNCH(fill, dim3(70000, 60000), 32, 0, 0, a);
    return verdict();
}
