// Report: WRONG ldmatrix at ldmatrix_from_global.cu:9
// ldmatrix reads shared memory only: the tile has to be copied there first.

#include "wrong.h"

__global__ void load(const __half *a, float *b)
{
    uint32_t r[4];
    ldmatrix_x4(r, &a[8 * threadIdx.x]);
    b[threadIdx.x] = __uint_as_float(r[0] + r[1] + r[2] + r[3]);
}

int main()
{
    float *a = zeros(128), *b = zeros(32);
    LAUNCH(load, 1, 32, 0, 0, reinterpret_cast<__half *>(a), b);
    return verdict();
}
