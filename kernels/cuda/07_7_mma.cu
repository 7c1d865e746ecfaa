// Flash attention, step 7: on the tensor cores. Goes on from 07_4_skip.cu; diff with that one.
//
// mma.sync multiplies 16 x 16 by 16 x 8 numbers in one instruction of a warp, if they have 16
// bits: Q, K, V are rounded to bf16 first, by a kernel of their own, and sums stay fp32. A warp
// owns 16 queries and holds their scores in registers, lane l those of rows l / 4 and l / 4 + 8
// (docs/FRAGMENTS.md draws it), so that a row's maximum is a matter of 4 lanes. What
// comes out of S = Q K^T lies as P must lie to go into P V: P never leaves the registers
// (FlashAttention-2, Dao 2023, section 3.2).
//
// ldmatrix fetches 8 rows of 16 bytes at once. Rows are an odd number of 16 bytes apart, hence
// 8 neighbours lie in different banks, whichever they are. Storing a tile is free of conflicts,
// too, where D and Dv are multiples of 64; elsewhere 8 lanes that store may meet in a bank.
//
// Inside of an mma a hidden key's weight of 0 is multiplied like any other, and 0 times NaN is
// NaN. So a row whose output is not finite is computed again (bf16.cuh): rare, slow, and right.
//
// Prediction, causal, N = M, a head: rounding reads 4 N (2 D + Dv) bytes and writes half of it,
// 294912 where N = 256, D = Dv = 64. Then tiles of R = 64 queries, in place of 32, read 16 bits
// a number, in place of 32: global memory is asked for
//
//     2 (N D + sum over the tiles of min(i + R, N) (D + Dv)) + 4 (N Dv + N)
//
// bytes, a quarter of step 4 in the term that grows with N squared: 263168 in place of 721920.
//
// Counted, N = M = 256, D = Dv = 64, causal: 294912 and 263168 bytes, no bank conflict.

#include "07_flash_tiling.h"
#include "bf16.cuh"
#include "mask.cuh"

enum { WARPS = 4, ROWS = 16, R = WARPS * ROWS }; // a warp's queries are the rows of an mma

// --- what the mask leaves -----------------------------------------------------------------------

static __device__ long least(long a, long b)
{
    return a < b ? a : b;
}

static __device__ long most(long a, long b)
{
    return a > b ? a : b;
}

struct Span {
    int from, to; // from <= j < to
};

// The keys that at least one of the queries i to i + rows may look at; none: from >= to.
static __device__ Span visible(const DeviceMask &mask, int M, int i, int rows)
{
    long first = i + mask.offset, last = first + rows - 1; // positions
    long from = 0, to = least(mask.keys, M);
    if (mask.causal || mask.window >= 0)
        to = least(to, last + 1);
    if (mask.window >= 0)
        from = most(from, first - mask.window);
    if (mask.prefix >= 0)
        to = least(to, most(mask.prefix, last + 1));
    return {(int)least(from, M), (int)most(to, 0)};
}

// The keys that every one of them sees: there nothing has to be asked, and most tiles lie there.
static __device__ Span seen_by_all(const DeviceMask &mask, int M, int i, int rows)
{
    long first = i + mask.offset, last = first + rows - 1;
    long from = 0, to = mask.bias ? 0 : least(mask.keys, M);
    if (mask.causal || mask.window >= 0)
        to = least(to, first + 1);
    if (mask.window >= 0)
        from = most(from, last - mask.window);
    if (mask.prefix >= 0)
        to = least(to, most(mask.prefix, first + 1));
    return {(int)least(from, M), (int)most(to, 0)};
}

// --- the parts of a tile ------------------------------------------------------------------------

// Halves from one row to the next in shared memory: up to 16, for an mma takes 16 at once, and 8
// more, which makes it an odd number of 16 bytes.
static __host__ __device__ int pitch_of(int width)
{
    return (width + 15) / 16 * 16 + 8;
}

// The 8 halves from x on, as one.
static __device__ uint4 &eight_at(uint16_t *x)
{
    return *reinterpret_cast<uint4 *>(x);
}

static __device__ const uint4 &eight_at(const uint16_t *x)
{
    return *reinterpret_cast<const uint4 *>(x);
}

// The first `rows` rows of x [.., width] into a tile of `room` rows, by all threads of the block.
// The rest becomes 0, up to the next 16 columns: nothing may come of it inside of an mma.
static __device__ void load_rows(uint16_t *tile, int room, const uint16_t *x, int rows, int width)
{
    int eights = (width + 15) / 16 * 2, pitch = pitch_of(width), from_pitch = flash_pitch16(width);
    for (int e = threadIdx.x; e < room * eights; e += blockDim.x) {
        int r = e / eights, d = e % eights * 8;
        uint4 eight = make_uint4(0, 0, 0, 0);
        if (r < rows && d < from_pitch)
            eight = eight_at(x + (long)r * from_pitch + d);
        eight_at(tile + r * pitch + d) = eight;
    }
}

// S = Q K^T for the warp's 16 queries: s[n] is the 16 x 8 of keys 8n to 8n + 8.
// q: [ROWS, D]    k: [KEYS, D]
template <int KEYS>
static __device__ void dot_rows(float s[KEYS / 8][4], const uint16_t *q, const uint16_t *k, int D)
{
    int lane = threadIdx.x % 32, pitch = pitch_of(D);
    // Each lane names the row of 8 halves that it stands for. Q: 16 rows, then the next 8
    // columns. K: 8 keys, the next 8 columns, then 8 keys more: what two mma need.
    q += lane % 16 * pitch + lane / 16 * 8;
    k += (lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 8;
    for (int d = 0; d < D; d += 16) {
        uint32_t a[4], b[4];
        ldmatrix_x4(a, q + d);
#pragma unroll
        for (int n = 0; n < KEYS / 8; n += 2) {
            ldmatrix_x4(b, k + 8 * n * pitch + d);
            mma_bf16(s[n], a, b, s[n]);
            mma_bf16(s[n + 1], a, b + 2, s[n + 1]);
        }
    }
}

// The scaled score of query i and key j, -inf where it is hidden.
static __device__ float hide(float s, const Flash &f, const DeviceMask &mask, int i, int j)
{
    bool seen = i < f.N && j < f.M && mask_rule(mask, i, j);
    float bias = seen ? mask_bias(mask, i, j) : -INFINITY;
    return bias == -INFINITY ? -INFINITY : f.scale * s + bias;
}

// acc += P V, where p[n] is as it came out of S.    v: [KEYS, Dv]
template <int KEYS, int COLUMNS>
static __device__ void mix_rows(float acc[COLUMNS][4], const float p[KEYS / 8][4],
                                const uint16_t *v, int Dv)
{
    int lane = threadIdx.x % 32, pitch = pitch_of(Dv);
    v += lane % 16 * pitch + lane / 16 * 8; // V is needed by columns: its rows, transposed
#pragma unroll
    for (int n = 0; n < KEYS / 8; n += 2) {
        const uint32_t a[4] = {pack_bf16(p[n][0], p[n][1]), pack_bf16(p[n][2], p[n][3]),
                               pack_bf16(p[n + 1][0], p[n + 1][1]),
                               pack_bf16(p[n + 1][2], p[n + 1][3])};
#pragma unroll
        for (int c = 0; c < COLUMNS; c += 2)
            if (8 * c < Dv) { // the same for all
                uint32_t b[4];
                ldmatrix_x4_trans(b, v + 8 * n * pitch + 8 * c);
                mma_bf16(acc[c], a, b, acc[c]);
                mma_bf16(acc[c + 1], a, b + 2, acc[c + 1]);
            }
    }
}

// --- what lanes know together -------------------------------------------------------------------

// Of the 4 lanes that hold a row.
static __device__ float quad_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

static __device__ float quad_sum(float x)
{
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

// --- the kernel ---------------------------------------------------------------------------------

// The state of a lane's two rows, r = lane / 4 and r + 8. Features: 8c + 2 (lane % 4) and the
// next in acc[c][0] and [1], those of the second row in [2] and [3]. sum is the lane's own part.
template <int COLUMNS>
struct State {
    float max[2], sum[2], acc[COLUMNS][4];
};

// The running softmax of row `half` of the lane's two: scores become weights. The sum shrinks as
// the maximum rises from m' to m, and so does what was summed into acc.
//
//     l = exp(m' - m) l' + sum over the tile of exp(S[j] - m)
template <int KEYS, int COLUMNS>
static __device__ void online_softmax(float s[KEYS / 8][4], State<COLUMNS> &state, int half)
{
    float old = state.max[half], max = old, sum = 0.0f;
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++)
        max = fmaxf(max, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
    max = quad_max(max);
    // Nothing visible so far: subtract 0, for -inf - -inf is NaN.
    float base = max == -INFINITY ? 0.0f : max, rescale = expf(old - base);
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++) {
        s[n][2 * half] = expf(s[n][2 * half] - base);
        s[n][2 * half + 1] = expf(s[n][2 * half + 1] - base);
        sum += s[n][2 * half] + s[n][2 * half + 1];
    }
    state.max[half] = max;
    state.sum[half] = rescale * state.sum[half] + sum;
#pragma unroll
    for (int c = 0; c < COLUMNS; c++) {
        state.acc[c][2 * half] *= rescale;
        state.acc[c][2 * half + 1] *= rescale;
    }
}

// Folds one tile of keys, from j0 on, into the state of the warp's rows, the first of them i0.
// q: [ROWS, D]    k: [KEYS, D]    v: [KEYS, Dv]
template <int KEYS, int COLUMNS>
static __device__ void fold_tile(State<COLUMNS> &state, const Flash &f, const DeviceMask &mask,
                                 const uint16_t *q, const uint16_t *k, const uint16_t *v, int i0,
                                 int j0, Span all)
{
    int lane = threadIdx.x % 32, i = i0 + lane / 4, j = j0 + lane % 4 * 2;
    bool whole = all.from <= j0 && j0 + KEYS <= all.to;
    float s[KEYS / 8][4] = {};
    dot_rows<KEYS>(s, q, k, f.D);
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
        for (int e = 0; e < 4; e++)
            s[n][e] = whole ? f.scale * s[n][e]
                            : hide(s[n][e], f, mask, i + e / 2 * 8, j + 8 * n + e % 2);
    online_softmax<KEYS>(s, state, 0);
    online_softmax<KEYS>(s, state, 1);
    mix_rows<KEYS, COLUMNS>(state.acc, s, v, f.Dv);
}

// The lane's features of one of its rows. Two neighbours at once where rows begin at even floats.
template <int COLUMNS>
static __device__ void store_row(float *out, const float acc[COLUMNS][4], int half, int Dv)
{
#pragma unroll
    for (int c = 0; c < COLUMNS; c++) {
        int d = 8 * c + threadIdx.x % 4 * 2;
        float x = acc[c][2 * half], y = acc[c][2 * half + 1];
        if (Dv % 2 == 0 && d < Dv)
            *reinterpret_cast<float2 *>(out + d) = make_float2(x, y);
        if (Dv % 2 == 1 && d < Dv)
            out[d] = x;
        if (Dv % 2 == 1 && d + 1 < Dv)
            out[d + 1] = y;
    }
}

// The division by the row's sum, put off to the end: O = acc / l, L = m + log(l). A row that
// saw nothing has l = 0: its output is exactly 0.
template <int COLUMNS>
static __device__ void divide(State<COLUMNS> &state, const Flash &f, const DeviceMask &mask,
                              int i0, int half)
{
    int lane = threadIdx.x % 32, i = i0 + lane / 4 + 8 * half;
    long row = ((long)blockIdx.z * f.H + blockIdx.y) * f.N + i;
    float max = state.max[half], sum = quad_sum(state.sum[half]);
    bool finite = true;
#pragma unroll
    for (int c = 0; c < COLUMNS; c++)
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; e++) {
            state.acc[c][e] = sum == 0.0f ? 0.0f : state.acc[c][e] / sum;
            finite = finite && isfinite(state.acc[c][e]);
        }
    // A sum that is NaN comes of a score that the row sees: that row is NaN for good.
    unsigned bad = __ballot_sync(0xffffffffu, i < f.N && !finite && sum == sum);
    if (i < f.N && lane % 4 == 0)
        f.lse[row] = max == -INFINITY ? logf(sum) : max + logf(sum);
    if (i < f.N && !(bad >> lane / 4 * 4 & 15))
        store_row<COLUMNS>(f.out + row * f.Dv, state.acc, half, f.Dv);
    for (int r = 0; r < 8; r++)
        if (bad >> 4 * r & 15)
            repair_row(f, mask, i0 + 8 * half + r, __shfl_sync(0xffffffffu, max, 4 * r),
                       __shfl_sync(0xffffffffu, sum, 4 * r));
}

// Grid: (tiles of queries, heads, sequences).
template <int KEYS, int COLUMNS>
static __global__ void __launch_bounds__(32 * WARPS) flash_mma(Flash f)
{
    DYNAMIC_SHARED(uint16_t, q);                             // [R, D]
    uint16_t *k = q + R * pitch_of(f.D);                     // [KEYS, D]
    uint16_t *v = k + KEYS * pitch_of(f.D);                  // [KEYS, Dv]
    int h = blockIdx.y, b = blockIdx.z, g = h / (f.H / f.G), first = threadIdx.x / 32 * ROWS;
    int i0 = blockIdx.x * R, left = f.N - i0, queries = left < R ? left : R;
    long keys = ((long)b * f.G + g) * f.M;      // rows of K and V before this head's
    const uint16_t *q_rows = f.q16 + (((long)b * f.H + h) * f.N + i0) * flash_pitch16(f.D);
    DeviceMask mask = mask_of_head(f.mask, b, h);
    State<COLUMNS> state = {{-INFINITY, -INFINITY}};
    load_rows(q, R, q_rows, queries, f.D);
    Span span = visible(mask, f.M, i0, queries), all = seen_by_all(mask, f.M, i0, queries);
    for (int j = span.from / KEYS * KEYS; j < span.to; j += KEYS) {
        int rows = span.to - j < KEYS ? span.to - j : KEYS;
        __syncthreads(); // nobody reads the tile before this one any more
        load_rows(k, KEYS, f.k16 + (keys + j) * flash_pitch16(f.D), rows, f.D);
        load_rows(v, KEYS, f.v16 + (keys + j) * flash_pitch16(f.Dv), rows, f.Dv);
        __syncthreads(); // the tile is there
        if (first < left) // a warp without queries has only helped to load
            fold_tile<KEYS>(state, f, mask, q + first * pitch_of(f.D), k, v, i0 + first, j, all);
    }
    divide(state, f, mask, i0 + first, 0);
    divide(state, f, mask, i0 + first, 1);
}

// --- the launch ---------------------------------------------------------------------------------

template <int KEYS, int COLUMNS>
static cudaError_t launch(const Flash *f, cudaStream_t stream)
{
    size_t shared = sizeof(uint16_t) * ((R + KEYS) * pitch_of(f->D) + KEYS * pitch_of(f->Dv));
    dim3 grid((f->N + R - 1) / R, f->H, f->B);
    cudaError_t error = cudaFuncSetAttribute(
        flash_mma<KEYS, COLUMNS>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    if (error != cudaSuccess)
        return error;
    LAUNCH((flash_mma<KEYS, COLUMNS>), grid, dim3(32 * WARPS), shared, stream, *f);
    return cudaGetLastError();
}

// A lane's features are an array in registers, so their number must be known to the compiler.
// Heads wider than 128 leave room for half the keys only, in registers and in shared memory.
extern "C" cudaError_t launch_mma(const Flash *f, cudaStream_t stream)
{
    cudaError_t error = round_inputs(f, stream);
    if (error != cudaSuccess)
        return error;
    if (f->D > 128 || f->Dv > 128)
        return launch<32, 32>(f, stream);
    if (f->Dv <= 32)
        return launch<64, 4>(f, stream);
    return f->Dv <= 64 ? launch<64, 8>(f, stream) : launch<64, 16>(f, stream);
}
