// Kernels that are right, in ways that a checker of races may not understand: no report may come.
// Each has a wrong brother in tests/gpu_wrong.

#include "gpu.h"

#include <stdio.h>

static int failed;

static float *zeros(int n)
{
    float *p = NULL;
    if (cudaMalloc(&p, n * sizeof(float)) == cudaSuccess)
        cudaMemset(p, 0, n * sizeof(float));
    return p;
}

// No report, and the number that must come out in b[0].
static void silent(const char *what, const float *b, float expected)
{
    float result = -1;
    cudaMemcpy(&result, b, sizeof result, cudaMemcpyDeviceToHost);
    bool good = simt_last()->reports == 0 && result == expected;
    printf("%sok - orders: %s\n", good ? "" : "not ", what);
    if (!good)
        printf("    %lu reports, %g instead of %g\n", (unsigned long)simt_last()->reports, result,
               expected);
    failed |= !good;
}

// Each half of the warp turns its own 16 numbers round: its own mask is enough.
__global__ void two_halves(float *b)
{
    __shared__ float tile[32];
    int i = threadIdx.x, first = i & 16;
    for (int turn = 0; turn < 3; turn++) {
        tile[i] = i + turn;
        __syncwarp(first ? 0xffff0000u : 0x0000ffffu);
        b[31 - i] = tile[first + (15 - (i & 15))];
        __syncwarp(first ? 0xffff0000u : 0x0000ffffu);
    }
}

// What the halves did, a meeting of the whole warp orders for all.
__global__ void halves_then_all(float *b)
{
    __shared__ float tile[32];
    int i = threadIdx.x;
    tile[i] = i;
    __syncwarp(i & 16 ? 0xffff0000u : 0x0000ffffu);
    float x = tile[i ^ 1];
    __syncwarp();
    tile[31 - i] = x;
    __syncwarp();
    b[i] = tile[i];
}

// The last block to finish adds up what all have written (CUDA C++ Programming Guide, "Memory
// Fence Functions"), and puts the counter back for the next launch.
__global__ void last_block(float *partial, unsigned *finished, float *result)
{
    __shared__ bool last;
    partial[blockIdx.x * 32 + threadIdx.x] = 1;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        last = atomicAdd(finished, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last)
        return;
    float sum = 0;
    for (unsigned k = threadIdx.x; k < gridDim.x * 32; k += 32)
        sum += partial[k];
    atomicAdd(result, sum);
    if (threadIdx.x == 0)
        *finished = 0;
}

// The same, where every thread fences what it wrote itself, before the block meets.
__global__ void fence_by_each(float *partial, unsigned *finished, float *result)
{
    __shared__ bool last;
    partial[blockIdx.x * 32 + threadIdx.x] = 1;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0)
        last = atomicAdd(finished, 1) == gridDim.x - 1;
    __syncthreads();
    float sum = 0;
    for (unsigned k = threadIdx.x; last && k < gridDim.x * 32; k += 32)
        sum += partial[k];
    if (last)
        atomicAdd(result, sum);
}

// A ring of two tiles, as in tests/gpu_wrong/ring_*.cu: one lane waits, one lane arrives for its
// warp, and the warp meets in between.
__global__ void ring(const float *a, float *b)
{
    __shared__ __align__(16) float tile[2][64];
    __shared__ uint64_t full[2], empty[2];
    int i = threadIdx.x;
    if (i == 0)
        for (int k = 0; k < 2; k++) {
            mbarrier_init(&full[k], 1);
            mbarrier_init(&empty[k], 3);
        }
    __syncthreads();
    if (i < 32) {
        for (int t = 0; t < 6 && i == 0; t++) {
            while (t >= 2 && !mbarrier_try_wait(&empty[t % 2], (t / 2 - 1) % 2))
                ;
            mbarrier_arrive(&full[t % 2], 256);
            bulk_copy(tile[t % 2], a + 64 * t, 256, &full[t % 2]);
        }
        return;
    }
    float sum = 0;
    for (int t = 0; t < 6; t++) {
        while (i % 32 == 0 && !mbarrier_try_wait(&full[t % 2], t / 2 % 2))
            ;
        __syncwarp();
        sum += tile[t % 2][(i + 5) % 64] + 1;
        __syncwarp();
        if (i % 32 == 0)
            mbarrier_arrive(&empty[t % 2], 0);
    }
    b[i - 32] = sum;
}

// Votes of the whole block, straight after one another: none may count for the next.
__global__ void votes(float *b)
{
    int i = threadIdx.x;
    int odd = __syncthreads_count(i % 2), any = __syncthreads_or(i == 77);
    int all = __syncthreads_and(i >= 0), none = __syncthreads_count(i < 0);
    b[i] = odd + 100 * any + 200 * all + 400 * none;
}

// Locks and flags within a block, even within a warp: since Volta every lane gets its turn, however
// long another one of its warp spins (CUDA C++ Programming Guide, "Independent Thread Scheduling").
__global__ void lock_of_a_lane(int *lock, float *b)
{
    while (atomicCAS(lock, 0, 1) != 0)
        ;
    __threadfence();
    *b = *b + 1;
    __threadfence();
    atomicExch(lock, 0);
}

__global__ void lane_waits_for_lane(int *ready, float *b)
{
    if (threadIdx.x == 0) {
        while (atomicAdd(ready, 0) == 0)
            ;
        __threadfence();
        b[0] = b[1];
    } else if (threadIdx.x == 1) {
        b[1] = 7;
        __threadfence();
        atomicExch(ready, 1);
    }
}

// For threads of one block a fence of the block is enough.
__global__ void warp_waits_for_warp(float *b)
{
    __shared__ int ready;
    __shared__ float x;
    if (threadIdx.x == 0)
        ready = 0;
    __syncthreads();
    if (threadIdx.x == 32) {
        x = 5;
        __threadfence_block();
        atomicExch(&ready, 1);
    }
    if (threadIdx.x < 32) {
        while (atomicAdd(&ready, 0) == 0)
            ;
        __threadfence_block();
        b[threadIdx.x] = x;
    }
}

int main()
{
    float *a = zeros(384), *b = zeros(128), *c = zeros(1), *partial = zeros(1024);
    unsigned *finished = reinterpret_cast<unsigned *>(zeros(1));
    LAUNCH(two_halves, 1, 32, 0, 0, b);
    silent("two halves of a warp, each with a __syncwarp of its own", b, 18);
    LAUNCH(halves_then_all, 1, 32, 0, 0, b);
    silent("halves, then the whole warp", b, 30);
    LAUNCH(last_block, 32, 32, 0, 0, partial, finished, b + 64);
    silent("the last block adds up, behind a fence and a counter", b + 64, 1024);
    LAUNCH(last_block, 32, 32, 0, 0, partial, finished, b + 64);
    silent("and again, with the counter that it put back", b + 64, 2048);
    LAUNCH(fence_by_each, 32, 32, 0, 0, partial, finished, c);
    silent("a fence by each thread before the block meets", c, 1024);
    LAUNCH(ring, 1, 128, 0, 0, a, b);
    silent("a ring of copies, one lane waiting and arriving for its warp", b, 6);
    LAUNCH(votes, 1, 100, 0, 0, b);
    silent("four votes of the block in a row", b, 350);
    b = zeros(128);
    LAUNCH(lock_of_a_lane, 2, 64, 0, 0, reinterpret_cast<int *>(b + 1), b);
    silent("a lock for which the lanes of a warp spin", b, 128);
    LAUNCH(lane_waits_for_lane, 1, 32, 0, 0, reinterpret_cast<int *>(b + 3), b + 4);
    silent("a lane that waits for its neighbour", b + 4, 7);
    LAUNCH(warp_waits_for_warp, 1, 64, 0, 0, b);
    silent("a warp that waits for another one", b, 5);
    cudaDeviceReset();
    return failed;
}
