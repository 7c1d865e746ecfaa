// Report: OUT OF BOUNDS at past_the_end.cu:9
// The classic: as many threads as fit, and no question whether i < n.

#include "wrong.h"

__global__ void copy(const float *a, float *b)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    b[i] = a[i];
}

int main()
{
    float *a = zeros(100), *b = zeros(128);
    LAUNCH(copy, 1, 128, 0, 0, a, b);
    return verdict();
}
