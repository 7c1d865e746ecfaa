// Report: HOST MEMORY at host_pointer.cu:9
// The pointer is good, but the memory belongs to the other processor.

#include "wrong.h"

__global__ void copy(const float *a, float *b)
{
    int i = threadIdx.x;
    b[i] = a[i];
}

int main()
{
    float *a = new float[128](), *b = zeros(128);
    LAUNCH(copy, 1, 128, 0, 0, a, b);
    delete[] a;
    return verdict();
}
