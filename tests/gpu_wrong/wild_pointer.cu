// Report: HOST MEMORY at wild_pointer.cu:8
// An index that was never set leads far away from every array.

#include "wrong.h"

__global__ void gather(const float *a, const long *index, float *b)
{
    b[threadIdx.x] = a[index[threadIdx.x]];
}

int main()
{
    float *a = zeros(32), *b = zeros(32);
    long *index = NULL;
    cudaMalloc(&index, 32 * sizeof(long)); // and nothing copied there: every byte is 0xff
    cudaMemset(index, 0x7f, 32 * sizeof(long));
    LAUNCH(gather, 1, 32, 0, 0, a, index, b);
    return verdict();
}
