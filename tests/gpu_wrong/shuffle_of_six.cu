// Report: WRONG WIDTH at shuffle_of_six.cu:8
// A shuffle's segments have 1, 2, 4, 8, 16 or 32 lanes; six are answered by chance.

#include "wrong.h"

__global__ void next_of_six(float *b)
{
    b[threadIdx.x] = __shfl_down_sync(0xffffffffu, b[threadIdx.x], 1, 6);
}

int main()
{
    float *b = zeros(32);
    LAUNCH(next_of_six, 1, 32, 0, 0, b);
    return verdict();
}
