// Report: MISALIGNED bulk copy at bulk_copy_of_a_tail.cu:15
// Rows of 10 floats are 40 bytes; bulk copies move multiples of 16.

#include "wrong.h"

__global__ void staged(const float *a, float *b)
{
    __shared__ __align__(16) float tile[32];
    __shared__ uint64_t full;
    int i = threadIdx.x;
    if (i == 0) {
        mbarrier_init(&full, 1);
        __threadfence_block();
        mbarrier_arrive(&full, 40);
        bulk_copy(tile, a, 40, &full);
    }
    __syncthreads();
    while (!mbarrier_try_wait(&full, 0))
        ;
    b[i] = i < 10 ? tile[i] : 0;
}

int main()
{
    float *a = zeros(32), *b = zeros(32);
    LAUNCH(staged, 1, 32, 0, 0, a, b);
    return verdict();
}
