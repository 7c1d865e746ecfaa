// Report: RACE within a warp at missing_barrier_after_init.cu:12
// Nobody may use an mbarrier before it is there: after its init, all threads must meet.

#include "wrong.h"

__global__ void arrive(const float *a, float *b)
{
    __shared__ uint64_t bar;
    int i = threadIdx.x;
    if (i == 0)
        mbarrier_init(&bar, 64);
    mbarrier_arrive(&bar, 0);
    while (!mbarrier_try_wait(&bar, 0))
        ;
    b[i] = a[i];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(arrive, 1, 64, 0, 0, a, b);
    return verdict();
}
