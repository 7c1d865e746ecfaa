// Flash attention, step 1: the tile. Chapter 07's loops on a GPU, in float32.
//
// A block of 4 warps owns R = 32 queries of one head and walks over its keys, C = 32 at a time.
// What all of the block needs lies in shared memory; what one query carries along (maximum, sum,
// output so far) lies in registers:
//
//     queries    warp w owns rows 8 w to 8 w + 8 of the tile; nobody else touches them
//     scores     a lane has a key of its own: 32 lanes, 32 keys, 8 scores each
//     output     a lane has features of its own: lane, lane + 32, ...
//
// A row's mask over the tile is a word: bit j says whether it sees key j. So a key that is
// hidden from a row is passed over, whatever its V holds.
//
// Prediction, a head without a mask. Global bytes asked for, to the byte chapter 07's formula:
//
//     4 (N D + N/R M (D + Dv) + N Dv + N)                   N/R rounded up
//
// Shared memory, wavefronts a warp and tile: the 32 lanes read 32 rows of K at the same d, D
// floats apart. Shared memory has 32 banks, float e in bank e % 32: for D = 64 all 32 lanes meet
// in one bank and wait for each other, 32 wavefronts for each of D loads, 2048 in all. The 8
// queries are one address for all lanes: 8 D = 512. V, 32 floats in a row, one a load: Dv = 64.
// The weights, one address again: 8 C = 256.
//
// Counted, N = M = 256, D = Dv = 64: 1180672 bytes, the formula's; 2880 wavefronts a warp and tile
// read shared memory, 3.21 times the 896 it would take without conflicts.

#include "07_flash_tiling.h"
#include "mask.cuh"

enum { R = FLASH_ROWS, C = FLASH_KEYS, WARPS = 4, ROWS = R / WARPS };
static_assert(C == 32, "a lane for each key of a tile");

// --- what a warp knows together -----------------------------------------------------------------

static __device__ float warp_max(float x)
{
    for (int apart = 16; apart > 0; apart /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, apart));
    return x;
}

static __device__ float warp_sum(float x)
{
    for (int apart = 16; apart > 0; apart /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, apart);
    return x;
}

// --- the parts of a tile ------------------------------------------------------------------------

// The first `rows` rows of x [.., width] into a tile of `tall` rows, by all threads of the block.
// Neighbouring threads copy neighbouring floats, 32 to a request: 4 whole sectors. The rows that
// are missing become 0: the mask hides them, but nobody shall compute with what nobody wrote.
static __device__ void load_rows(float *tile, int tall, const float *x, int rows, int width)
{
    for (int e = threadIdx.x; e < tall * width; e += blockDim.x)
        tile[e] = e < rows * width ? x[e] : 0.0f;
}

// S[r] = sum over d of Q[r,d] K[lane,d], for the warp's rows r.    q: [ROWS, D]    k: [C, D]
static __device__ void dot_rows(float s[ROWS], const float *q, const float *k, int D)
{
    int lane = threadIdx.x % 32;
    for (int r = 0; r < ROWS; r++)
        s[r] = 0.0f;
    for (int d = 0; d < D; d++) {
        float x = k[lane * D + d];
#pragma unroll
        for (int r = 0; r < ROWS; r++)
            s[r] += q[r * D + d] * x;
    }
}

// The lane's key j against query i: -inf where it is hidden. Returns the row's mask as a word.
static __device__ unsigned hide(float &s, const Flash &f, const DeviceMask &mask, int i, int j)
{
    bool seen = i < f.N && j < f.M && mask_rule(mask, i, j);
    float bias = seen ? mask_bias(mask, i, j) : -INFINITY;
    seen = bias != -INFINITY;
    s = seen ? f.scale * s + bias : -INFINITY;
    return __ballot_sync(0xffffffffu, seen);
}

// A row's running softmax: the maximum may rise from m' to m, and what was summed relative to m'
// shrinks by exp(m' - m), which is returned. The lane's score becomes its weight.
//
//     l = exp(m' - m) l' + sum over the tile of exp(S[j] - m)
static __device__ float online_softmax(float &s, float &max, float &sum)
{
    float old = max;
    max = fmaxf(max, warp_max(s));
    // Nothing visible so far: subtract 0, for -inf - -inf is NaN.
    float base = max == -INFINITY ? 0.0f : max;
    s = expf(s - base);
    float rescale = expf(old - base);
    sum = rescale * sum + warp_sum(s);
    return rescale;
}

// mixed[r,c] = sum over j of P[r,j] V[j,32c + lane], over the keys that row r sees.
// p: [ROWS, C]    v: [C, Dv]
template <int COLUMNS>
static __device__ void mix_rows(float mixed[ROWS][COLUMNS], const float *p, const float *v,
                                const unsigned seen[ROWS], int Dv)
{
    int lane = threadIdx.x % 32;
    for (int j = 0; j < C; j++) {
        float x[COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; c++)
            x[c] = 32 * c + lane < Dv ? v[j * Dv + 32 * c + lane] : 0.0f;
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (!(seen[r] >> j & 1)) // the same for all lanes: nobody waits for another
                continue;
            float weight = p[r * C + j];
#pragma unroll
            for (int c = 0; c < COLUMNS; c++)
                mixed[r][c] += weight * x[c];
        }
    }
}

// --- the kernel ---------------------------------------------------------------------------------

// The state of a warp's rows. acc[r][c] is feature 32c + lane of row r.
template <int COLUMNS>
struct State {
    float max[ROWS], sum[ROWS], acc[ROWS][COLUMNS];
};

// Folds one tile of keys, from j0 on, into the state of the warp's rows, the first of them i0.
// q: [ROWS, D]    k: [C, D]    v: [C, Dv]    p: [ROWS, C], the warp's own
template <int COLUMNS>
static __device__ void fold_tile(State<COLUMNS> &state, const Flash &f, const DeviceMask &mask,
                                 const float *q, const float *k, const float *v, float *p, int i0,
                                 int j0)
{
    int lane = threadIdx.x % 32;
    float s[ROWS], rescale[ROWS], mixed[ROWS][COLUMNS] = {};
    unsigned seen[ROWS];
    dot_rows(s, q, k, f.D);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        seen[r] = hide(s[r], f, mask, i0 + r, j0 + lane);
        rescale[r] = online_softmax(s[r], state.max[r], state.sum[r]);
        p[r * C + lane] = s[r];
    }
    __syncwarp(); // what 32 lanes wrote, each lane reads
    mix_rows(mixed, p, v, seen, f.Dv);
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int c = 0; c < COLUMNS; c++)
            state.acc[r][c] = rescale[r] * state.acc[r][c] + mixed[r][c];
}

// The division by the row's sum, put off to the end: O = acc / l, L = m + log(l). A row that
// saw nothing has l = 0: its output is exactly 0.
template <int COLUMNS>
static __device__ void divide(const State<COLUMNS> &state, const Flash &f, int i0)
{
    int lane = threadIdx.x % 32, h = blockIdx.y, b = blockIdx.z;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        long i = ((long)b * f.H + h) * f.N + i0 + r;
        float max = state.max[r], sum = state.sum[r];
        if (i0 + r >= f.N)
            continue;
#pragma unroll
        for (int c = 0; c < COLUMNS; c++)
            if (32 * c + lane < f.Dv)
                f.out[i * f.Dv + 32 * c + lane] = sum == 0.0f ? 0.0f : state.acc[r][c] / sum;
        if (lane == 0)
            f.lse[i] = max == -INFINITY ? logf(sum) : max + logf(sum);
    }
}

// Grid: (tiles of queries, heads, sequences).
template <int COLUMNS>
static __global__ void __launch_bounds__(32 * WARPS) flash_tile(Flash f)
{
    DYNAMIC_SHARED(float, q);                   // [R, D]
    float *k = q + R * f.D, *v = k + C * f.D;   // [C, D], [C, Dv]
    float *p = v + C * f.Dv;                    // [R, C]
    int h = blockIdx.y, b = blockIdx.z, g = h / (f.H / f.G), first = threadIdx.x / 32 * ROWS;
    int i0 = blockIdx.x * R, left = f.N - i0;
    long keys = ((long)b * f.G + g) * f.M;      // rows of K and V before this head's
    DeviceMask mask = mask_of_head(f.mask, b, h);
    State<COLUMNS> state = {};
#pragma unroll
    for (int r = 0; r < ROWS; r++)
        state.max[r] = -INFINITY;
    load_rows(q, R, f.q + (((long)b * f.H + h) * f.N + i0) * f.D, left < R ? left : R, f.D);
    for (int j = 0; j < f.M; j += C) {
        int rows = f.M - j < C ? f.M - j : C;
        __syncthreads(); // nobody reads the tile before this one any more
        load_rows(k, C, f.k + (keys + j) * f.D, rows, f.D);
        load_rows(v, C, f.v + (keys + j) * f.Dv, rows, f.Dv);
        __syncthreads(); // the tile is there
        if (first < left) // a warp without queries has only helped to load
            fold_tile(state, f, mask, q + first * f.D, k, v, p + first * C, i0 + first, j);
    }
    divide(state, f, i0 + first);
}

// --- the launch ---------------------------------------------------------------------------------

template <int COLUMNS>
static cudaError_t launch(const Flash *f, cudaStream_t stream)
{
    size_t shared = sizeof(float) * (R * f->D + C * f->D + C * f->Dv + R * C);
    dim3 grid((f->N + R - 1) / R, f->H, f->B);
    cudaError_t error = cudaFuncSetAttribute(
        flash_tile<COLUMNS>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    if (error != cudaSuccess)
        return error;
    LAUNCH(flash_tile<COLUMNS>, grid, dim3(32 * WARPS), shared, stream, *f);
    return cudaGetLastError();
}

// A lane's features are an array in registers, so their number must be known to the compiler.
extern "C" cudaError_t launch_tile(const Flash *f, cudaStream_t stream)
{
    if (f->Dv <= 32)
        return launch<1>(f, stream);
    if (f->Dv <= 64)
        return launch<2>(f, stream);
    return f->Dv <= 128 ? launch<4>(f, stream) : launch<8>(f, stream);
}
