// Report: NOT YOUR VARIABLE at neighbours_variable.cu:13
// A pointer to a local variable, left in shared memory for the others.

#include "wrong.h"

__global__ void share(float *b)
{
    __shared__ const float *theirs;
    float x[4] = {b[0], b[1], b[2], b[3]};
    if (threadIdx.x == 0)
        theirs = x;
    __syncthreads();
    b[threadIdx.x] = theirs[threadIdx.x % 4];
}

int main()
{
    float *b = zeros(32);
    LAUNCH(share, 1, 32, 0, 0, b);
    return verdict();
}
