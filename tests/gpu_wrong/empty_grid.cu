// Report: LAUNCH REFUSED: kernel fill: grid (0,1,1) of blocks (32,1,1): no size may be 0
// n / 32 blocks for fewer than 32 elements: none.

#include "wrong.h"

__global__ void fill(float *a, unsigned n)
{
    if (threadIdx.x < n)
        a[threadIdx.x] = 1;
}

int main()
{
    int n = 20;
    float *a = zeros(n);
    LAUNCH(fill, n / 32, 32, 0, 0, a, n);
    return verdict();
}
