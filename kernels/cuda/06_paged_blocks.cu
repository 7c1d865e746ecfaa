// Keys and values lie in blocks anywhere in a pool: every address goes through the block table.
// A warp takes a key or a value once, for all query heads that share it.
//
// "Efficient Memory Management for Large Language Model Serving with PagedAttention" (Kwon et al.,
// 2023), equation 4.

#include "gpu.h"
#include "mask.cuh"
#include "pages.cuh"

extern "C" {
#include "06_paged_blocks.h"
}

constexpr int WARP = 32, BLOCK = 128; // threads
constexpr int WARPS = BLOCK / WARP;
constexpr int PARTS = 8;              // floats of a row that a lane holds: rows up to 256 wide
constexpr unsigned EVERY_LANE = 0xffffffff;

// 32 threads, a warp, run in step. What their lanes ask of the memory with one instruction is one
// request, and it is answered in sectors of 32 bytes: 32 floats in a row take 4 sectors, 32 floats
// far from each other take 32. The comments below say which of the two a kernel's reads are; all
// of its bytes are counted in docs/COUNTS.md.

// --- where a thread stands -------------------------------------------------------------------

// Among all threads, and among all warps, that work on the same head.
__device__ static inline long thread_number()
{
    return (long)blockIdx.x * BLOCK + threadIdx.x;
}

__device__ static inline long warp_number()
{
    return thread_number() / WARP;
}

// The block's head among all heads of all sequences: [b][h] of [B, H, ...].
__device__ static inline long head_number()
{
    return (long)blockIdx.z * gridDim.y + blockIdx.y;
}

// Blocks enough for n threads, or for n warps, in each of H heads of B sequences.
static dim3 blocks_of_threads(long n, long H, long B)
{
    return dim3((unsigned)((n + BLOCK - 1) / BLOCK), (unsigned)H, (unsigned)B);
}

static dim3 blocks_of_warps(long n, long H, long B)
{
    return blocks_of_threads(n * WARP, H, B);
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
// A thread an element: the threads of H / G heads fetch the same key, each for itself.
// s: [B, H, N, M]    q: [B, H, N, D]    pages.k: [blocks, G, T, D]
static __global__ void scores_by_thread(float *s, const float *q, DevicePages pages, long N,
                                        long M, long D, float scale, DeviceMask mask)
{
    long at = thread_number(), i = at / M, j = at % M;
    if (i >= N)
        return;
    q += head_number() * N * D;
    s += head_number() * N * M;
    mask = mask_of_head(mask, blockIdx.z, blockIdx.y);
    float added = mask_added(mask, i, j), sum = -INFINITY;
    if (added != -INFINITY) {
        long g = blockIdx.y / (gridDim.y / pages.G);
        const float *key = pages.k + slot_of(pages, blockIdx.z, g, j) * D;
        sum = 0.0f;
        for (long d = 0; d < D; d++)
            sum += q[i * D + d] * key[d];
        sum = sum * scale + added;
    }
    s[i * M + j] = sum;
}

// A warp for key j of one KV head (gridDim.y of them here). It spreads the key over its lanes,
// lane l holding floats l, l + 32, ..., and then scores it against every query of the H / G heads
// that share it: one load of K, N * H / G dot products.
static __global__ void scores_by_warp(float *s, const float *q, DevicePages pages, long H, long N,
                                      long M, long D, float scale, DeviceMask mask)
{
    long j = warp_number(), lane = threadIdx.x % WARP, b = blockIdx.z, shared_by = H / pages.G;
    if (j >= M)
        return;
    const float *key = pages.k + slot_of(pages, b, blockIdx.y, j) * D;
    float part[PARTS];
#pragma unroll
    for (int c = 0; c < PARTS; c++)
        part[c] = lane + c * WARP < D ? key[lane + c * WARP] : 0.0f;
    DeviceMask first = mask_of_head(mask, b, blockIdx.y * shared_by);
    for (long row = 0; row < shared_by * N; row++) {
        long h = blockIdx.y * shared_by + row / N, i = row % N;
        const float *query = q + ((b * H + h) * N + i) * D;
        float sum = 0.0f;
#pragma unroll
        for (int c = 0; c < PARTS; c++)
            if (lane + c * WARP < D)
                sum += query[lane + c * WARP] * part[c];
        sum = warp_sum(sum) * scale;
        if (lane == 0) {
            float added = mask_added(mask_further(first, row / N), i, j);
            s[((b * H + h) * N + i) * M + j] = added == -INFINITY ? added : sum + added;
        }
    }
}

// S[i,j] = scale * S[i,j]
static __global__ void scale_scores(float *s, long N, long M, float scale)
{
    long at = thread_number();
    s += head_number() * N * M;
    if (at < N * M)
        s[at] *= scale;
}

// S[i,j] = -inf where query i may not look at key j, S[i,j] + bias[i,j] elsewhere
static __global__ void hide_scores(float *s, long N, long M, DeviceMask mask)
{
    long at = thread_number(), i = at / M, j = at % M;
    s += head_number() * N * M;
    mask = mask_of_head(mask, blockIdx.z, blockIdx.y);
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
// the next lane's, in a sector of its own.    s: [B, H, N, M]    lse: [B, H, N]
static __global__ void softmax_by_thread(float *s, float *lse, long N, long M)
{
    long i = thread_number();
    if (i >= N)
        return;
    float *x = s + (head_number() * N + i) * M, max = -INFINITY, sum = 0.0f;
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
    lse[head_number() * N + i] = base + logf(sum);
}

// The same with a warp for row i: each lane takes every 32nd score, and comes back to its own. So
// 32 lanes read 32 scores in a row, 4 sectors; and since no lane reads what another wrote, the
// row in memory needs no barrier.
static __global__ void softmax_by_warp(float *s, float *lse, long N, long M)
{
    long i = warp_number(), lane = threadIdx.x % WARP;
    if (i >= N)
        return;
    float *x = s + (head_number() * N + i) * M, max = -INFINITY, sum = 0.0f;
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
        lse[head_number() * N + i] = base + logf(sum);
}

// --- output ----------------------------------------------------------------------------------

// O[i,d] = sum over j of P[i,j] V[j,d]. A hidden key's V is not read: 0 * NaN is NaN. A dead
// row's output is exactly 0, whatever V holds.
//
// Neighbouring threads have neighbouring columns d: their values lie in a row, and the weight is
// one address for all.    out: [B, H, N, Dv]    p: [B, H, N, M]    lse: [B, H, N]
static __global__ void output_by_thread(float *out, const float *p, DevicePages pages,
                                        const float *lse, long N, long M, long Dv,
                                        DeviceMask mask)
{
    long at = thread_number(), i = at / Dv, d = at % Dv;
    if (i >= N)
        return;
    out += head_number() * N * Dv;
    p += head_number() * N * M;
    lse += head_number() * N;
    mask = mask_of_head(mask, blockIdx.z, blockIdx.y);
    long g = blockIdx.y / (gridDim.y / pages.G);
    float sum = 0.0f;
    for (long j = 0; j < M; j++)
        if (mask_allows(mask, i, j))
            sum += p[i * M + j] * pages.v[slot_of(pages, blockIdx.z, g, j) * Dv + d];
    out[i * Dv + d] = lse[i] == -INFINITY ? 0.0f : sum;
}

// A block for 32 columns of row i in WARPS heads that share a KV head, gridDim.y of those. Its
// warps share out the tokens: warp w takes w, w + 4, ..., each value once for all of its heads.
// What they found is added up in shared memory, where warp w finishes head w.
//
// blockIdx.x counts columns first, then rows, then heads by fours.
static __global__ void output_by_warp(float *out, const float *p, DevicePages pages,
                                      const float *lse, long H, long N, long M, long Dv,
                                      DeviceMask mask)
{
    __shared__ float found[WARPS][WARPS][WARP]; // [warp that found it][head][column]
    long warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, b = blockIdx.z;
    long columns = (Dv + WARP - 1) / WARP, shared_by = H / pages.G;
    long d = blockIdx.x % columns * WARP + lane, i = blockIdx.x / columns % N;
    long first = blockIdx.x / (columns * N) * WARPS; // of the heads that share
    long heads = shared_by - first < WARPS ? shared_by - first : WARPS;
    long h = blockIdx.y * shared_by + first;
    long row = (b * H + h) * N + i;                  // of all rows; the next head's is N further
    float sum[WARPS] = {};

    mask = mask_of_head(mask, b, h);
    for (long j = warp; j < M; j += WARPS) {
        if (!mask_rule(mask, i, j))
            continue; // hidden from all heads: only the user's tensor tells them apart
        float value = d < Dv ? pages.v[slot_of(pages, b, blockIdx.y, j) * Dv + d] : 0.0f;
#pragma unroll
        for (int c = 0; c < WARPS; c++)
            if (c < heads && mask_bias(mask_further(mask, c), i, j) != -INFINITY)
                sum[c] += p[(row + c * N) * M + j] * value;
    }
#pragma unroll
    for (int c = 0; c < WARPS; c++)
        found[warp][c][lane] = sum[c]; // 32 lanes, 32 banks: no conflict
    __syncthreads(); // what one warp has found, another adds up
    if (warp >= heads || d >= Dv)
        return;
    float total = 0.0f;
    for (int w = 0; w < WARPS; w++)
        total += found[w][warp][lane];
    out[(row + warp * N) * Dv + d] = lse[row + warp * N] == -INFINITY ? 0.0f : total;
}

// What a product of whole matrices gets wrong: it reads hidden values, too. Their weight is 0, so
// that nothing comes of it unless they are NaN or infinite; 0 * NaN is NaN. Where NaN came out
// the sum is taken again, over the keys that count. A dead row is 0.
static __global__ void repair_output(float *out, const float *p, const float *v, const float *lse,
                                     long G, long N, long M, long Dv, DeviceMask mask)
{
    long at = thread_number(), i = at / Dv, d = at % Dv;
    if (i >= N)
        return;
    out += head_number() * N * Dv;
    p += head_number() * N * M;
    v += (blockIdx.z * G + blockIdx.y / (gridDim.y / G)) * M * Dv;
    lse += head_number() * N;
    mask = mask_of_head(mask, blockIdx.z, blockIdx.y);
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

cudaError_t paged_scores(int by, float *s, const float *q, DevicePages pages, long B, long H,
                         long N, long M, long D, float scale, DeviceMask mask, cudaStream_t stream)
{
    if (B * N * M == 0)
        return cudaSuccess;
    if (by == BY_THREAD || D > PARTS * WARP)
        LAUNCH(scores_by_thread, blocks_of_threads(N * M, H, B), BLOCK, 0, stream, s, q, pages, N,
               M, D, scale, mask);
    else
        LAUNCH(scores_by_warp, blocks_of_warps(M, pages.G, B), BLOCK, 0, stream, s, q, pages, H,
               N, M, D, scale, mask);
    return cudaGetLastError();
}

cudaError_t paged_scale(float *s, long B, long H, long N, long M, float scale, cudaStream_t stream)
{
    if (B * N * M == 0)
        return cudaSuccess;
    LAUNCH(scale_scores, blocks_of_threads(N * M, H, B), BLOCK, 0, stream, s, N, M, scale);
    return cudaGetLastError();
}

cudaError_t paged_hide(float *s, long B, long H, long N, long M, DeviceMask mask,
                       cudaStream_t stream)
{
    if (B * N * M == 0)
        return cudaSuccess;
    LAUNCH(hide_scores, blocks_of_threads(N * M, H, B), BLOCK, 0, stream, s, N, M, mask);
    return cudaGetLastError();
}

cudaError_t paged_softmax(int by, float *s, float *lse, long B, long H, long N, long M,
                          cudaStream_t stream)
{
    if (B * N == 0)
        return cudaSuccess;
    if (by == BY_THREAD)
        LAUNCH(softmax_by_thread, blocks_of_threads(N, H, B), BLOCK, 0, stream, s, lse, N, M);
    else
        LAUNCH(softmax_by_warp, blocks_of_warps(N, H, B), BLOCK, 0, stream, s, lse, N, M);
    return cudaGetLastError();
}

cudaError_t paged_output(int by, float *out, const float *p, DevicePages pages, const float *lse,
                         long B, long H, long N, long M, long Dv, DeviceMask mask,
                         cudaStream_t stream)
{
    long columns = (Dv + WARP - 1) / WARP, fours = (H / pages.G + WARPS - 1) / WARPS;
    dim3 blocks((unsigned)(columns * N * fours), (unsigned)pages.G, (unsigned)B);
    if (B * N * Dv == 0)
        return cudaSuccess;
    if (by == BY_THREAD)
        LAUNCH(output_by_thread, blocks_of_threads(N * Dv, H, B), BLOCK, 0, stream, out, p, pages,
               lse, N, M, Dv, mask);
    else
        LAUNCH(output_by_warp, blocks, BLOCK, 0, stream, out, p, pages, lse, H, N, M, Dv, mask);
    return cudaGetLastError();
}

cudaError_t paged_repair(float *out, const float *p, const float *v, const float *lse, long B,
                         long H, long G, long N, long M, long Dv, DeviceMask mask,
                         cudaStream_t stream)
{
    if (B * N * Dv == 0)
        return cudaSuccess;
    LAUNCH(repair_output, blocks_of_threads(N * Dv, H, B), BLOCK, 0, stream, out, p, v, lse, G,
           N, M, Dv, mask);
    return cudaGetLastError();
}
