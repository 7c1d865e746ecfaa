// Report: WRONG MASK at wrong_mask.cu:9
// Every lane calls, but the mask says that only the lower half does.

#include "wrong.h"

__global__ void halved(const float *a, float *b)
{
    int i = threadIdx.x;
    b[i] = __shfl_xor_sync(0x0000ffffu, a[i], 1);
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(halved, 1, 128, 0, 0, a, b);
    return verdict();
}
