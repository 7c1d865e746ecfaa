// Report: TRAP at trap.cu:9
// A kernel that gives up.

#include "wrong.h"

__global__ void of_whole_warps(float *a)
{
    if (blockDim.x % 32)
        __trap();
    a[threadIdx.x] = 1;
}

int main()
{
    float *a = zeros(33);
    LAUNCH(of_whole_warps, 1, 33, 0, 0, a);
    return verdict();
}
