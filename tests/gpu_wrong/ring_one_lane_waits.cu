// Report: RACE in shared memory at ring_one_lane_waits.cu:32
// One lane waits for its warp, but the warp does not meet behind it: others read at once.

#include "wrong.h"

// One warp copies tile after tile into a ring of two, three warps read them.
__global__ void ring(const float *a, float *b)
{
    __shared__ __align__(16) float tile[2][64];
    __shared__ uint64_t full[2], empty[2];
    int i = threadIdx.x;
    if (i == 0)
        for (int k = 0; k < 2; k++) {
            mbarrier_init(&full[k], 1);
            mbarrier_init(&empty[k], 96);
        }
    __syncthreads();
    if (i < 32) {
        for (int t = 0; t < 4 && i == 0; t++) {
            while (t >= 2 && !mbarrier_try_wait(&empty[t % 2], (t / 2 - 1) % 2))
                ;
            mbarrier_arrive(&full[t % 2], 256);
            bulk_copy(tile[t % 2], a + 64 * t, 256, &full[t % 2]);
        }
        return;
    }
    float sum = 0;
    for (int t = 0; t < 4; t++) {
        while (i % 32 == 0 && !mbarrier_try_wait(&full[t % 2], t / 2 % 2))
            ;
        __shfl_sync(0xffffffffu, i, 0); // meets, and promises nothing about memory
        sum += tile[t % 2][(i + 5) % 64];
        mbarrier_arrive(&empty[t % 2], 0);
    }
    b[i] = sum;
}

int main()
{
    float *a = zeros(256), *b = zeros(128);
    LAUNCH(ring, 1, 128, 0, 0, a, b);
    return verdict();
}
