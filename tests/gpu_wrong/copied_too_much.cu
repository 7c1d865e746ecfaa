// Report: CALL REFUSED: a copy at copied_too_much.cu:15: it takes this for memory of the device
// The size of the array on the host, which is longer than the one on the device.

#include "wrong.h"

__global__ void fill(float *a)
{
    a[threadIdx.x] = 1;
}

int main()
{
    float host[64] = {}, *a = zeros(32);
    LAUNCH(fill, 1, 32, 0, 0, a);
    cudaMemcpy(host, a, sizeof host, cudaMemcpyDeviceToHost);
    return verdict();
}
