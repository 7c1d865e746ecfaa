// Report: LAUNCH REFUSED: kernel fill: gridDim.y: 70000, at most 65535
// x may go to 2^31 - 1, y and z not.

#include "wrong.h"

__global__ void fill(float *a)
{
    if (blockIdx.y == 0)
        a[threadIdx.x] = 1;
}

int main()
{
    float *a = zeros(32);
    LAUNCH(fill, dim3(1, 70000), 32, 0, 0, a);
    return verdict();
}
