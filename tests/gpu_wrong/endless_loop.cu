// Report: NEVER ENDS at endless_loop.cu
// The step is 0 as soon as the row is short: the loop stays where it is.

#include "wrong.h"

__global__ void strided(const float *a, float *b, int n)
{
    float sum = 0;
    for (int i = threadIdx.x; i < 128; i += n / 32)
        sum += a[i];
    b[threadIdx.x] = sum;
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(strided, 1, 32, 0, 0, a, b, 20);
    return verdict();
}
