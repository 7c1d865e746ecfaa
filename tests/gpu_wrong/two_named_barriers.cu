// Report: threads 64-127: at barrier 2 of 128 threads in two_named_barriers.cu:15
// Producers wait at barrier 1 until the tile is read, consumers at barrier 2 until it is written:
// nobody begins.

#include "wrong.h"

__global__ void handshake(const float *a, float *b)
{
    __shared__ float tile[64];
    int i = threadIdx.x;
    if (i < 64) {
        named_barrier(1, 128);
        tile[i] = a[i];
    } else {
        named_barrier(2, 128);
        b[i - 64] = tile[i - 64];
    }
}

int main()
{
    float *a = zeros(64), *b = zeros(64);
    LAUNCH(handshake, 1, 128, 0, 0, a, b);
    return verdict();
}
