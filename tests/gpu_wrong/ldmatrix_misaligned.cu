// Report: MISALIGNED at ldmatrix_misaligned.cu:13
// Rows of 17 halves avoid bank conflicts, and no longer begin at multiples of 16 bytes.

#include "wrong.h"

__global__ void load(float *b)
{
    __shared__ __align__(16) __half tile[16 * 17];
    for (int i = threadIdx.x; i < 16 * 17; i += 32)
        tile[i] = __half(0.0f);
    __syncthreads();
    uint32_t r[4];
    ldmatrix_x4(r, &tile[threadIdx.x % 16 * 17 + threadIdx.x / 16 * 8]);
    b[threadIdx.x] = __uint_as_float(r[0] + r[1] + r[2] + r[3]);
}

int main()
{
    float *b = zeros(32);
    LAUNCH(load, 1, 32, 0, 0, b);
    return verdict();
}
