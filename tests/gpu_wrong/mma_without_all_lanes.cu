// Report: MISSING LANES at mma_without_all_lanes.cu:13
// Lanes without a row return early, but the tensor core needs the registers of all 32.

#include "wrong.h"

__global__ void multiply(float *c, int rows)
{
    uint32_t a[4] = {}, b[2] = {};
    float sum[4] = {};
    int lane = threadIdx.x;
    if (lane >= rows)
        return;
    mma_bf16(sum, a, b, sum);
    c[lane] = sum[0];
}

int main()
{
    float *c = zeros(32);
    LAUNCH(multiply, 1, 32, 0, 0, c, 20);
    return verdict();
}
