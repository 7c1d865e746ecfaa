// O = softmax(Q K^T / sqrt(D)) V on the device: one kernel for each sign of the formula, first
// with a thread for each element, then with a warp for each row.
//
// Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V is equation 1 of "Attention Is All You Need"
// (Vaswani et al., 2017).

#include "gpu.h"

extern "C" {
#include "01_naive_attention.h"
}

constexpr int WARP = 32, BLOCK = 128; // threads
constexpr unsigned EVERY_LANE = 0xffffffff;

// 32 threads, a warp, run in step. What their lanes ask of the memory with one instruction is one
// request, and it is answered in sectors of 32 bytes: 32 floats in a row take 4 sectors, 32 floats
// far from each other take 32. The comments below say which of the two a kernel's reads are; all
// of its bytes are counted in docs/COUNTS.md.

// --- where a thread stands -------------------------------------------------------------------

// Of all threads of the grid, and of all its warps.
__device__ static inline long thread_number()
{
    return (long)blockIdx.x * BLOCK + threadIdx.x;
}

__device__ static inline long warp_number()
{
    return thread_number() / WARP;
}

// Blocks enough for n threads, or for n warps.
static unsigned blocks_of_threads(long n)
{
    return (unsigned)((n + BLOCK - 1) / BLOCK);
}

static unsigned blocks_of_warps(long n)
{
    return blocks_of_threads(n * WARP);
}

// --- across a warp ---------------------------------------------------------------------------

// The sum of x over all lanes, in every lane: each adds its neighbour's 16 apart, then 8, ... 1.
// A shuffle goes from register to register: no memory, no barrier, and 5 of them serve 32 lanes.
// All lanes must come; a lane that returned early would leave the others waiting.
__device__ static inline float warp_sum(float x)
{
    for (int apart = WARP / 2; apart > 0; apart /= 2)
        x += __shfl_xor_sync(EVERY_LANE, x, apart);
    return x;
}

// The largest x, in every lane, the same way.
__device__ static inline float warp_max(float x)
{
    for (int apart = WARP / 2; apart > 0; apart /= 2)
        x = fmaxf(x, __shfl_xor_sync(EVERY_LANE, x, apart));
    return x;
}

// --- scores ----------------------------------------------------------------------------------

// S[i,j] = scale * sum over d of Q[i,d] K[j,d]
//
// Neighbouring threads have neighbouring keys: with each d they read 32 floats D apart, and
// every float comes with a whole sector of 8. The query is one address for nearly all of them.
// s: [N, M]    q: [N, D]    k: [M, D]
static __global__ void scores_by_thread(float *s, const float *q, const float *k, long N, long M,
                                        long D, float scale)
{
    long at = thread_number(), i = at / M, j = at % M;
    if (i >= N)
        return;
    float sum = 0.0f;
    for (long d = 0; d < D; d++)
        sum += q[i * D + d] * k[j * D + d];
    s[i * M + j] = sum * scale;
}

// The same with a warp for row i: the lanes share out d, so that a key is read in one piece.
static __global__ void scores_by_warp(float *s, const float *q, const float *k, long N, long M,
                                      long D, float scale)
{
    long i = warp_number(), lane = threadIdx.x % WARP;
    if (i >= N)
        return;
    for (long j = 0; j < M; j++) {
        float sum = 0.0f;
        for (long d = lane; d < D; d += WARP)
            sum += q[i * D + d] * k[j * D + d];
        sum = warp_sum(sum);
        if (lane == 0)
            s[i * M + j] = sum * scale;
    }
}

// S[i,j] = scale * S[i,j]
static __global__ void scale_scores(float *s, long N, long M, float scale)
{
    long at = thread_number();
    if (at < N * M)
        s[at] *= scale;
}

// --- softmax ---------------------------------------------------------------------------------

// P[i,j] = exp(S[i,j] - max) / sum of the row,    L[i] = max + log(sum)
//
// Chapter 01's loop over rows, a thread a row. What it does in a dead row is said there. The
// maximum first, so that no exp is above 1: "safe softmax", algorithm 2 of "Online normalizer
// calculation for softmax" (Milakov and Gimelshein, 2018). That takes three passes over the row,
// and chapter 07 one. Neighbouring threads have neighbouring rows: each score is M floats from
// the next lane's, in a sector of its own.    s: [N, M]    lse: [N]
static __global__ void softmax_by_thread(float *s, float *lse, long N, long M)
{
    long i = thread_number();
    if (i >= N)
        return;
    float *x = s + i * M, max = -INFINITY, sum = 0.0f;
    for (long j = 0; j < M; j++)
        max = fmaxf(max, x[j]);
    float base = max == -INFINITY ? 0.0f : max; // -inf - -inf would be NaN
    for (long j = 0; j < M; j++) {
        float weight = expf(x[j] - base); // by name: what is written is not read back
        x[j] = weight;
        sum += weight;
    }
    for (long j = 0; j < M; j++) {
        float weight = x[j];
        x[j] = weight == 0.0f ? 0.0f : weight / sum;
    }
    lse[i] = base + logf(sum);
}

// The same with a warp for row i: each lane takes every 32nd score, and comes back to its own. So
// 32 lanes read 32 scores in a row, 4 sectors; and since no lane reads what another wrote, the
// row in memory needs no barrier.
static __global__ void softmax_by_warp(float *s, float *lse, long N, long M)
{
    long i = warp_number(), lane = threadIdx.x % WARP;
    if (i >= N)
        return;
    float *x = s + i * M, max = -INFINITY, sum = 0.0f;
    for (long j = lane; j < M; j += WARP)
        max = fmaxf(max, x[j]);
    max = warp_max(max);
    float base = max == -INFINITY ? 0.0f : max; // -inf - -inf would be NaN
    for (long j = lane; j < M; j += WARP) {
        float weight = expf(x[j] - base); // by name: what is written is not read back
        x[j] = weight;
        sum += weight;
    }
    sum = warp_sum(sum);
    for (long j = lane; j < M; j += WARP) {
        float weight = x[j];
        x[j] = weight == 0.0f ? 0.0f : weight / sum;
    }
    if (lane == 0)
        lse[i] = base + logf(sum);
}

// --- output ----------------------------------------------------------------------------------

// O[i,d] = sum over j of P[i,j] V[j,d]. A dead row's output is exactly 0, whatever V holds.
//
// Neighbouring threads have neighbouring columns d: their values lie in a row, and the weight is
// one address for all.    out: [N, Dv]    p: [N, M]    v: [M, Dv]    lse: [N]
static __global__ void output_by_thread(float *out, const float *p, const float *v,
                                        const float *lse, long N, long M, long Dv)
{
    long at = thread_number(), i = at / Dv, d = at % Dv;
    if (i >= N)
        return;
    float sum = 0.0f;
    for (long j = 0; j < M; j++)
        sum += p[i * M + j] * v[j * Dv + d];
    out[i * Dv + d] = lse[i] == -INFINITY ? 0.0f : sum;
}

// The same with a warp for row i: the lanes share out d, and all read the same weight at once.
static __global__ void output_by_warp(float *out, const float *p, const float *v,
                                      const float *lse, long N, long M, long Dv)
{
    long i = warp_number(), lane = threadIdx.x % WARP;
    if (i >= N)
        return;
    for (long d = lane; d < Dv; d += WARP) {
        float sum = 0.0f;
        for (long j = 0; j < M; j++)
            sum += p[i * M + j] * v[j * Dv + d];
        out[i * Dv + d] = lse[i] == -INFINITY ? 0.0f : sum;
    }
}

// O[i,d] = 0 where no key was seen
static __global__ void clear_dead_rows(float *out, const float *lse, long N, long Dv)
{
    long at = thread_number();
    if (at < N * Dv && lse[at / Dv] == -INFINITY)
        out[at] = 0.0f;
}

// --- for C -----------------------------------------------------------------------------------

// A launch is queued and not awaited: what cudaGetLastError() says here is whether it could be
// queued at all. What fails inside of a kernel is said by a later call that waits. A grid of no
// blocks is an error, so nothing is started for arrays of none.

cudaError_t naive_scores(int by, float *s, const float *q, const float *k, long N, long M, long D,
                         float scale, cudaStream_t stream)
{
    if (N * M == 0)
        return cudaSuccess;
    if (by == BY_THREAD)
        LAUNCH(scores_by_thread, blocks_of_threads(N * M), BLOCK, 0, stream, s, q, k, N, M, D,
               scale);
    else
        LAUNCH(scores_by_warp, blocks_of_warps(N), BLOCK, 0, stream, s, q, k, N, M, D, scale);
    return cudaGetLastError();
}

cudaError_t naive_scale(float *s, long N, long M, float scale, cudaStream_t stream)
{
    if (N * M == 0)
        return cudaSuccess;
    LAUNCH(scale_scores, blocks_of_threads(N * M), BLOCK, 0, stream, s, N, M, scale);
    return cudaGetLastError();
}

cudaError_t naive_softmax(int by, float *s, float *lse, long N, long M, cudaStream_t stream)
{
    if (N == 0)
        return cudaSuccess;
    if (by == BY_THREAD)
        LAUNCH(softmax_by_thread, blocks_of_threads(N), BLOCK, 0, stream, s, lse, N, M);
    else
        LAUNCH(softmax_by_warp, blocks_of_warps(N), BLOCK, 0, stream, s, lse, N, M);
    return cudaGetLastError();
}

cudaError_t naive_output(int by, float *out, const float *p, const float *v, const float *lse,
                         long N, long M, long Dv, cudaStream_t stream)
{
    if (N * Dv == 0)
        return cudaSuccess;
    if (by == BY_THREAD)
        LAUNCH(output_by_thread, blocks_of_threads(N * Dv), BLOCK, 0, stream, out, p, v, lse, N,
               M, Dv);
    else
        LAUNCH(output_by_warp, blocks_of_warps(N), BLOCK, 0, stream, out, p, v, lse, N, M, Dv);
    return cudaGetLastError();
}

cudaError_t naive_clear(float *out, const float *lse, long N, long Dv, cudaStream_t stream)
{
    if (N * Dv == 0)
        return cudaSuccess;
    LAUNCH(clear_dead_rows, blocks_of_threads(N * Dv), BLOCK, 0, stream, out, lse, N, Dv);
    return cudaGetLastError();
}
