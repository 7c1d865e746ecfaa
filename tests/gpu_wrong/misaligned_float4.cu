// Report: MISALIGNED at misaligned_float4.cu:9
// 16 bytes at once, from addresses that are multiples of 4 only.

#include "wrong.h"

__global__ void firsts(const float *a, float *b)
{
    int i = threadIdx.x;
    float4 v = *reinterpret_cast<const float4 *>(a + i);
    b[i] = v.x;
}

int main()
{
    float *a = zeros(256), *b = zeros(128);
    LAUNCH(firsts, 1, 128, 0, 0, a, b);
    return verdict();
}
