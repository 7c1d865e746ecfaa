// Report: RACE in global memory at normalised_in_place.cu:11
// Every thread reads the whole row and then overwrites its own element, which others still read.

#include "wrong.h"

__global__ void normalise(float *a, int n)
{
    float sum = 0;
    for (int k = 0; k < n; k++)
        sum += a[k];
    a[threadIdx.x] = a[threadIdx.x] / sum;
}

int main()
{
    float *a = zeros(128);
    LAUNCH(normalise, 1, 128, 0, 0, a, 128);
    return verdict();
}
