// Report: UNINITIALISED mbarrier at mbarrier_without_init.cu:9
// The barrier is used as if zeros, or whatever lay there, were one.

#include "wrong.h"

__global__ void arrive(const float *a, float *b)
{
    __shared__ uint64_t bar;
    mbarrier_arrive(&bar, 0);
    while (!mbarrier_try_wait(&bar, 0))
        ;
    b[threadIdx.x] = a[threadIdx.x];
}

int main()
{
    float *a = zeros(32), *b = zeros(32);
    LAUNCH(arrive, 1, 32, 0, 0, a, b);
    return verdict();
}
