// Report: RACE in shared memory at missing_second_barrier.cu:12
// One barrier, two dangers: the tile of the next turn overwrites what slower warps still read.

#include "wrong.h"

__global__ void sums(const float *a, float *b)
{
    __shared__ float tile[128];
    int i = threadIdx.x;
    float sum = 0;
    for (int turn = 0; turn < 3; turn++) {
        tile[i] = a[i] + turn;
        __syncthreads();
        sum += tile[(i + 33) % 128];
    }
    b[i] = sum;
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(sums, 1, 128, 0, 0, a, b);
    return verdict();
}
