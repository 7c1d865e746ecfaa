// Report: CALL REFUSED: a copy at wrong_direction.cu:15: it takes this for memory of the device
// cudaMemcpyHostToDevice where the result was meant to come back.

#include "wrong.h"

__global__ void fill(float *a)
{
    a[threadIdx.x] = 1;
}

int main()
{
    float host[32] = {}, *a = zeros(32);
    LAUNCH(fill, 1, 32, 0, 0, a);
    cudaMemcpy(host, a, sizeof host, cudaMemcpyHostToDevice);
    return verdict();
}
