// Report: RACE between blocks at fence_too_narrow.cu:17
// The last block to finish adds up; but __threadfence_block() promises something to the own block
// only, and another one must see the sum before its count: __threadfence() it must be.

#include "wrong.h"

__global__ void total(const float *a, float *partial, unsigned *finished, float *result)
{
    if (threadIdx.x > 0)
        return;
    partial[blockIdx.x] = a[blockIdx.x];
    __threadfence_block();
    if (atomicAdd(finished, 1) < gridDim.x - 1)
        return;
    float sum = 0;
    for (unsigned k = 0; k < gridDim.x; k++)
        sum += partial[k];
    result[0] = sum;
}

int main()
{
    float *a = zeros(4), *partial = zeros(4), *finished = zeros(1), *b = zeros(1);
    LAUNCH(total, 4, 32, 0, 0, a, partial, reinterpret_cast<unsigned *>(finished), b);
    return verdict();
}
