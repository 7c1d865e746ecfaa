// Report: OUT OF BOUNDS at before_the_start.cu:9
// A stencil that forgets that the first element has no left neighbour.

#include "wrong.h"

__global__ void differences(const float *a, float *b)
{
    int i = threadIdx.x;
    b[i] = a[i] - a[i - 1];
}

int main()
{
    float *a = zeros(128), *b = zeros(128);
    LAUNCH(differences, 1, 128, 0, 0, a, b);
    return verdict();
}
