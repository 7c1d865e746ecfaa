// Report: CALL REFUSED: cudaFree at freed_twice.cu:17: no allocation begins here
// Two owners, and each of them cleans up.

#include "wrong.h"

__global__ void fill(float *a)
{
    a[threadIdx.x] = 1;
}

int main()
{
    float *a = zeros(32), *b = zeros(32), *mine = a;
    LAUNCH(fill, 1, 32, 0, 0, a);
    cudaFree(a);
    cudaFree(b);
    cudaFree(mine);
    return verdict();
}
