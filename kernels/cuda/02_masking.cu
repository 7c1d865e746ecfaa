// O = softmax(mask(Q K^T / sqrt(D))) V on the device: the mask is a rule that each kernel asks,
// and no array of it is ever stored.

#include "gpu.h"
#include "mask.cuh"

extern "C" {
#include "02_masking.h"
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

// S[i,j] = scale * sum over d of Q[i,d] K[j,d] + bias[i,j], -inf where i may not look at j
//
// Neighbouring threads have neighbouring keys: with each d they read 32 floats D apart, and
// every float comes with a whole sector of 8. The query is one address for nearly all of them.
// s: [N, M]    q: [N, D]    k: [M, D]
static __global__ void scores_by_thread(float *s, const float *q, const float *k, long N, long M,
                                        long D, float scale, DeviceMask mask)
{
    long at = thread_number(), i = at / M, j = at % M;
    if (i >= N)
        return;
    float added = mask_added(mask, i, j), sum = -INFINITY;
    if (added != -INFINITY) {
        sum = 0.0f;
        for (long d = 0; d < D; d++)
            sum += q[i * D + d] * k[j * D + d];
        sum = sum * scale + added;
    }
    s[i * M + j] = sum;
}

// The same with a warp for row i: the lanes share out d, so that a key is read in one piece. The
// rule gives one answer for all lanes, and a hidden key is not read at all.
static __global__ void scores_by_warp(float *s, const float *q, const float *k, long N, long M,
                                      long D, float scale, DeviceMask mask)
{
    long i = warp_number(), lane = threadIdx.x % WARP;
    if (i >= N)
        return;
    for (long j = 0; j < M; j++) {
        float added = mask_added(mask, i, j), sum = -INFINITY;
        if (added != -INFINITY) {
            sum = 0.0f;
            for (long d = lane; d < D; d += WARP)
                sum += q[i * D + d] * k[j * D + d];
            sum = warp_sum(sum) * scale + added;
        }
        if (lane == 0)
            s[i * M + j] = sum;
    }
}

// S[i,j] = scale * S[i,j]
static __global__ void scale_scores(float *s, long N, long M, float scale)
{
    long at = thread_number();
    if (at < N * M)
        s[at] *= scale;
}

// S[i,j] = -inf where query i may not look at key j, S[i,j] + bias[i,j] elsewhere
static __global__ void hide_scores(float *s, long N, long M, DeviceMask mask)
{
    long at = thread_number(), i = at / M, j = at % M;
    if (i >= N)
        return;
    float added = mask_added(mask, i, j);
    s[at] = added == -INFINITY ? added : s[at] + added;
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

// O[i,d] = sum over j of P[i,j] V[j,d]. A hidden key's V is not read: 0 * NaN is NaN. A dead
// row's output is exactly 0, whatever V holds.
//
// Neighbouring threads have neighbouring columns d: their values lie in a row, and the weight is
// one address for all.    out: [N, Dv]    p: [N, M]    v: [M, Dv]    lse: [N]
static __global__ void output_by_thread(float *out, const float *p, const float *v,
                                        const float *lse, long N, long M, long Dv,
                                        DeviceMask mask)
{
    long at = thread_number(), i = at / Dv, d = at % Dv;
    if (i >= N)
        return;
    float sum = 0.0f;
    for (long j = 0; j < M; j++)
        if (mask_allows(mask, i, j))
            sum += p[i * M + j] * v[j * Dv + d];
    out[i * Dv + d] = lse[i] == -INFINITY ? 0.0f : sum;
}

// The same with a warp for row i: the lanes share out d, and all read the same weight at once.
static __global__ void output_by_warp(float *out, const float *p, const float *v,
                                      const float *lse, long N, long M, long Dv,
                                      DeviceMask mask)
{
    long i = warp_number(), lane = threadIdx.x % WARP;
    if (i >= N)
        return;
    for (long d = lane; d < Dv; d += WARP) {
        float sum = 0.0f;
        for (long j = 0; j < M; j++)
            if (mask_allows(mask, i, j))
                sum += p[i * M + j] * v[j * Dv + d];
        out[i * Dv + d] = lse[i] == -INFINITY ? 0.0f : sum;
    }
}

// What a product of whole matrices gets wrong: it reads hidden values, too. Their weight is 0, so
// that nothing comes of it unless they are NaN or infinite; 0 * NaN is NaN. Where NaN came out
// the sum is taken again, over the keys that count. A dead row is 0.
static __global__ void repair_output(float *out, const float *p, const float *v, const float *lse,
                                     long N, long M, long Dv, DeviceMask mask)
{
    long at = thread_number(), i = at / Dv, d = at % Dv;
    if (i >= N)
        return;
    float sum = out[at];
    if (isnan(sum)) {
        sum = 0.0f;
        for (long j = 0; j < M; j++)
            if (mask_allows(mask, i, j))
                sum += p[i * M + j] * v[j * Dv + d];
    }
    out[at] = lse[i] == -INFINITY ? 0.0f : sum;
}

// --- for C -----------------------------------------------------------------------------------

// A launch is queued and not awaited: what cudaGetLastError() says here is whether it could be
// queued at all. What fails inside of a kernel is said by a later call that waits. A grid of no
// blocks is an error, so nothing is started for arrays of none.

cudaError_t masked_scores(int by, float *s, const float *q, const float *k, long N, long M, long D,
                          float scale, DeviceMask mask, cudaStream_t stream)
{
    if (N * M == 0)
        return cudaSuccess;
    if (by == BY_THREAD)
        LAUNCH(scores_by_thread, blocks_of_threads(N * M), BLOCK, 0, stream, s, q, k, N, M, D,
               scale, mask);
    else
        LAUNCH(scores_by_warp, blocks_of_warps(N), BLOCK, 0, stream, s, q, k, N, M, D, scale,
               mask);
    return cudaGetLastError();
}

cudaError_t masked_scale(float *s, long N, long M, float scale, cudaStream_t stream)
{
    if (N * M == 0)
        return cudaSuccess;
    LAUNCH(scale_scores, blocks_of_threads(N * M), BLOCK, 0, stream, s, N, M, scale);
    return cudaGetLastError();
}

cudaError_t masked_hide(float *s, long N, long M, DeviceMask mask, cudaStream_t stream)
{
    if (N * M == 0)
        return cudaSuccess;
    LAUNCH(hide_scores, blocks_of_threads(N * M), BLOCK, 0, stream, s, N, M, mask);
    return cudaGetLastError();
}

cudaError_t masked_softmax(int by, float *s, float *lse, long N, long M, cudaStream_t stream)
{
    if (N == 0)
        return cudaSuccess;
    if (by == BY_THREAD)
        LAUNCH(softmax_by_thread, blocks_of_threads(N), BLOCK, 0, stream, s, lse, N, M);
    else
        LAUNCH(softmax_by_warp, blocks_of_warps(N), BLOCK, 0, stream, s, lse, N, M);
    return cudaGetLastError();
}

cudaError_t masked_output(int by, float *out, const float *p, const float *v, const float *lse,
                          long N, long M, long Dv, DeviceMask mask, cudaStream_t stream)
{
    if (N * Dv == 0)
        return cudaSuccess;
    if (by == BY_THREAD)
        LAUNCH(output_by_thread, blocks_of_threads(N * Dv), BLOCK, 0, stream, out, p, v, lse, N,
               M, Dv, mask);
    else
        LAUNCH(output_by_warp, blocks_of_warps(N), BLOCK, 0, stream, out, p, v, lse, N, M, Dv,
               mask);
    return cudaGetLastError();
}

cudaError_t masked_repair(float *out, const float *p, const float *v, const float *lse, long N,
                          long M, long Dv, DeviceMask mask, cudaStream_t stream)
{
    if (N * Dv == 0)
        return cudaSuccess;
    LAUNCH(repair_output, blocks_of_threads(N * Dv), BLOCK, 0, stream, out, p, v, lse, N, M, Dv,
           mask);
    return cudaGetLastError();
}
