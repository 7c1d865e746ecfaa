// What the emulator costs: a switch between two stacks, a meeting of a warp, a million accesses of
// threads. Compiled in both ways, fast and counted, by make simt-speed. Clocks, so nothing here is
// a test.

#include "gpu.h"

#include <stdio.h>
#include <time.h>

extern "C" {
#include "../kernels/simt/fiber.h"
}

static double now()
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// --- two stacks ------------------------------------------------------------------------------

static Fiber here, there;

static void other()
{
    for (;;)
        fiber_switch(&there, here);
}

static double switch_seconds()
{
    static char stack[64 << 10] __attribute__((aligned(64)));
    const int rounds = 1000000;
    there = fiber_new(stack + sizeof stack, other);
    double from = now();
    for (int i = 0; i < rounds; i++)
        fiber_switch(&here, there);
    return (now() - from) / (2.0 * rounds);
}

// --- kernels ---------------------------------------------------------------------------------

enum { N = 256 };

__global__ void meetings(int rounds)
{
    for (int i = 0; i < rounds; i++)
        __syncwarp();
}

// C = A B, an element a thread: two reads of global memory for each product, coalesced.
__global__ void global(const float *a, const float *b, float *c)
{
    int i = blockIdx.x, j = threadIdx.x;
    float sum = 0;
    for (int k = 0; k < N; k++)
        sum += a[i * N + k] * b[k * N + j];
    c[i * N + j] = sum;
}

// The same amount of reads from shared memory, with a barrier for every 32.
__global__ void shared(const float *a, float *c)
{
    __shared__ float tile[2][N];
    int i = threadIdx.x;
    float sum = 0;
    for (int turn = 0; turn < N / 32; turn++) {
        tile[0][i] = tile[1][i] = a[turn * 32 + i % 32];
        __syncthreads();
        for (int k = 0; k < 32; k++)
            sum += tile[0][(i + k) % N] * tile[1][k];
        __syncthreads();
    }
    c[blockIdx.x * N + i] = sum;
}

// 1e6 is a unit of accesses; the emulator's own count where it counts, else the same by hand.
static void tell(const char *what, double accesses)
{
    const simt_stats *s = simt_last();
    double lanes = 0;
    for (const simt_count &c : s->count)
        lanes += (double)c.lanes;
    printf("%-34s %8.4f s a million thread accesses (%.1f million)\n", what,
           s->seconds / (lanes > 0 ? lanes : accesses) * 1e6, (lanes > 0 ? lanes : accesses) * 1e-6);
}

int main()
{
    float *a = NULL, *b = NULL, *c = NULL;
    cudaMalloc(&a, N * N * sizeof(float));
    cudaMalloc(&b, N * N * sizeof(float));
    cudaMalloc(&c, N * N * sizeof(float));
    cudaMemset(a, 0, N * N * sizeof(float));
    cudaMemset(b, 0, N * N * sizeof(float));
    simt_set_threads(1);
    printf("%-34s %8.1f ns\n", "a switch of stacks", switch_seconds() * 1e9);
    LAUNCH(meetings, 1, 32, 0, 0, 100000);
    printf("%-34s %8.1f ns a lane\n", "__syncwarp", simt_last()->seconds / 3.2e6 * 1e9);
    LAUNCH(global, 64, N, 0, 0, a, b, c);
    tell("global memory", 64.0 * N * (2 * N + 1));
    LAUNCH(shared, 64, N, 0, 0, a, c);
    tell("shared memory, a barrier every 32", 64.0 * N * (2 * N + 3 * N / 32 + 1));
    cudaDeviceReset();
    return cudaGetLastError() != cudaSuccess;
}
