// Report: LAUNCH REFUSED: kernel fill: threads in a block: 2048, at most 1024
// Nothing runs, and only cudaGetLastError() tells.

#include "wrong.h"

__global__ void fill(float *a)
{
    a[threadIdx.x] = 1;
}

int main()
{
    float *a = zeros(2048);
    LAUNCH(fill, 1, 2048, 0, 0, a);
    return verdict();
}
