// Report: HOST TOUCHES DEVICE MEMORY at host_reads_device.cu:15: byte 16 of the 128 bytes
// The sum is read where the kernel left it, on the device: a cudaMemcpy is missing.

#include "wrong.h"

__global__ void double_it(float *a)
{
    a[threadIdx.x] *= 2;
}

int main()
{
    float *a = zeros(32);
    LAUNCH(double_it, 1, 32, 0, 0, a);
    printf("%g\n", a[4]);
    return verdict();
}
