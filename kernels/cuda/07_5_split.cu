// Flash attention, step 5: the keys are split, for decode. Diff with 07_4_skip.cu.
//
// With one query a head there is one tile of queries a head: 32 heads are 32 blocks, and a GPU
// with a hundred processors leaves most of them idle while one walks over all keys. So the keys
// are cut into parts, each with a block of its own, and each block writes down its state: the
// maximum, the sum and the undivided output. A second kernel merges the parts of a row:
//
//     m = max of m[c],    l = sum of exp(m[c] - m) l[c],    O = sum of exp(m[c] - m) acc[c] / l
//
// "Flash-Decoding for long-context inference" (Dao, Haziza, Massa and Sizov, 2023).
//
// Prediction: K and V are read once, as before, by as many blocks as there are parts. With n parts
// global memory is asked for, in decode with all keys seen (128 threads read two cuts each),
//
//     4 B H (n D + M (D + Dv) + n (Dv + 2)) + 2048 B H n           by flash_split
//     4 B H (n (Dv + 3 + Dv/32) + Dv + 1)                     by merge_parts, Dv/32 rounded up
//
// bytes. Counted, B = 1, H = 8, M = 1024, D = Dv = 64, n = 8: 4358656 and 19744, from 64 blocks;
// 07_4_skip.cu asks for 4198432, from 8.

#include "07_flash_tiling.h"
#include "mask.cuh"

enum { R = FLASH_ROWS, C = FLASH_KEYS, WARPS = 4, ROWS = R / WARPS };
static_assert(C == 32 && R == C, "a lane for each key of a tile; queries are loaded as keys are");

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

// The 4 floats from x on, as one. x is a multiple of 16 bytes.
static __device__ float4 &float4_at(float *x)
{
    return *reinterpret_cast<float4 *>(x);
}

static __device__ const float4 &float4_at(const float *x)
{
    return *reinterpret_cast<const float4 *>(x);
}

// Floats from one row to the next in shared memory.
static __host__ __device__ int pitch_of(int width)
{
    return (width + 3) / 4 * 4;
}

// The same for K: an odd number of float4, so that neighbours begin in different banks.
static __host__ __device__ int odd_pitch_of(int width)
{
    int pitch = pitch_of(width);
    return pitch / 4 % 2 == 0 ? pitch + 4 : pitch;
}

// The first `rows` rows of x [.., width] into a tile of 32, by all threads of the block. The rest
// becomes 0: the mask hides it, but nobody shall compute with what nobody wrote.
static __device__ void load_rows(float *tile, int pitch, const float *x, int rows, int width)
{
    if (width % 4 == 0)
        for (int e = 4 * threadIdx.x; e < C * width; e += 4 * blockDim.x) {
            float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (e < rows * width)
                four = float4_at(x + e);
            float4_at(tile + e / width * pitch + e % width) = four;
        }
    else
        for (int e = threadIdx.x; e < C * pitch; e += blockDim.x) {
            int r = e / pitch, d = e % pitch;
            tile[e] = r < rows && d < width ? x[r * width + d] : 0.0f;
        }
}

// S[r] = sum over d of Q[r,d] K[lane,d], for the warp's rows r.    q: [ROWS, D]    k: [C, D]
// Where D is no multiple of 4, products of zeros with zeros come last.
static __device__ void dot_rows(float s[ROWS], const float *q, const float *k, int D)
{
    int lane = threadIdx.x % 32, pitch = pitch_of(D), k_pitch = odd_pitch_of(D);
    for (int r = 0; r < ROWS; r++)
        s[r] = 0.0f;
    for (int d = 0; d < D; d += 4) {
        float4 x = float4_at(k + lane * k_pitch + d);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            float4 y = float4_at(q + r * pitch + d);
            s[r] += y.x * x.x;
            s[r] += y.y * x.y;
            s[r] += y.z * x.z;
            s[r] += y.w * x.w;
        }
    }
}

// The lane's key j against query i: -inf where it is hidden, or where j is the next part's, from
// `to` on. Returns the row's mask as a word.
static __device__ unsigned hide(float &s, const Flash &f, const DeviceMask &mask, int i, int j,
                                int to)
{
    bool seen = i < f.N && j < to && mask_rule(mask, i, j);
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
    int lane = threadIdx.x % 32, pitch = pitch_of(Dv);
    for (int j = 0; j < C; j += 4) {
        float x[4][COLUMNS];
#pragma unroll
        for (int t = 0; t < 4; t++)
#pragma unroll
            for (int c = 0; c < COLUMNS; c++)
                x[t][c] = 32 * c + lane < Dv ? v[(j + t) * pitch + 32 * c + lane] : 0.0f;
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            float4 four = float4_at(p + r * C + j);
            const float weight[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
            for (int t = 0; t < 4; t++) {
                if (!(seen[r] >> (j + t) & 1)) // the same for all lanes: nobody waits
                    continue;
#pragma unroll
                for (int c = 0; c < COLUMNS; c++)
                    mixed[r][c] += weight[t] * x[t][c];
            }
        }
    }
}

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

// --- the kernel ---------------------------------------------------------------------------------

// The state of a warp's rows. acc[r][c] is feature 32c + lane of row r.
template <int COLUMNS>
struct State {
    float max[ROWS], sum[ROWS], acc[ROWS][COLUMNS];
};

// Folds one tile of keys, from j0 on and up to `to`, into the state of the warp's rows, the first
// of them i0.
// q: [ROWS, D]    k: [C, D]    v: [C, Dv]    p: [ROWS, C], the warp's own
template <int COLUMNS>
static __device__ void fold_tile(State<COLUMNS> &state, const Flash &f, const DeviceMask &mask,
                                 const float *q, const float *k, const float *v, float *p, int i0,
                                 int j0, int to)
{
    int lane = threadIdx.x % 32;
    float s[ROWS], rescale[ROWS], mixed[ROWS][COLUMNS] = {};
    unsigned seen[ROWS];
    dot_rows(s, q, k, f.D);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        seen[r] = hide(s[r], f, mask, i0 + r, j0 + lane, to);
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

// What part `part` has to say of the warp's rows.
template <int COLUMNS>
static __device__ void store(const State<COLUMNS> &state, const Flash &f, int i0, int part)
{
    int lane = threadIdx.x % 32, h = blockIdx.y, b = blockIdx.z;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        long at = (((long)b * f.H + h) * f.N + i0 + r) * f.parts + part;
        if (i0 + r >= f.N)
            continue;
#pragma unroll
        for (int c = 0; c < COLUMNS; c++)
            if (32 * c + lane < f.Dv)
                f.acc[at * f.Dv + 32 * c + lane] = state.acc[r][c];
        if (lane == 0) {
            f.state[2 * at] = state.max[r];
            f.state[2 * at + 1] = state.sum[r];
        }
    }
}

// Grid: (tiles of queries * parts, heads, sequences).
template <int COLUMNS>
static __global__ void __launch_bounds__(32 * WARPS) flash_split(Flash f)
{
    int pitch = pitch_of(f.D), k_pitch = odd_pitch_of(f.D), v_pitch = pitch_of(f.Dv);
    DYNAMIC_SHARED(float, q);                   // [R, D]
    float *k = q + R * pitch, *v = k + C * k_pitch; // [C, D], [C, Dv]
    float *p = v + C * v_pitch;                 // [R, C]
    int h = blockIdx.y, b = blockIdx.z, g = h / (f.H / f.G), first = threadIdx.x / 32 * ROWS;
    int i0 = blockIdx.x / f.parts * R, left = f.N - i0, part = blockIdx.x % f.parts;
    long keys = ((long)b * f.G + g) * f.M;      // rows of K and V before this head's
    DeviceMask mask = mask_of_head(f.mask, b, h);
    State<COLUMNS> state = {};
#pragma unroll
    for (int r = 0; r < ROWS; r++)
        state.max[r] = -INFINITY;
    load_rows(q, pitch, f.q + (((long)b * f.H + h) * f.N + i0) * f.D, left < R ? left : R, f.D);
    Span span = visible(mask, f.M, i0, left < R ? left : R);
    int from = most(span.from / C * C, f.cuts[part]), to = least(span.to, f.cuts[part + 1]);
    for (int j = from; j < to; j += C) {
        int rows = to - j < C ? to - j : C;
        __syncthreads(); // nobody reads the tile before this one any more
        load_rows(k, k_pitch, f.k + (keys + j) * f.D, rows, f.D);
        load_rows(v, v_pitch, f.v + (keys + j) * f.Dv, rows, f.Dv);
        __syncthreads(); // the tile is there
        if (first < left) // a warp without queries has only helped to load
            fold_tile(state, f, mask, q + first * pitch, k, v, p + first * C, i0 + first, j, to);
    }
    store(state, f, i0 + first, part);
}

// One warp a row: all parts' states become one, which is divided. A part that saw nothing has
// m = -inf and weighs exp(-inf) = 0; a row that saw nothing in any has l = 0, and is exactly 0.
static __global__ void __launch_bounds__(32 * WARPS) merge_parts(Flash f)
{
    long i = (long)blockIdx.x * WARPS + threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    if (i >= (long)f.B * f.H * f.N)
        return; // the whole warp
    const float *state = f.state + 2 * i * f.parts; // [parts, 2]
    const float *acc = f.acc + i * f.parts * f.Dv;  // [parts, Dv]
    float max = -INFINITY, sum = 0.0f;
    for (int c = lane; c < f.parts; c += 32)
        max = fmaxf(max, state[2 * c]);
    max = warp_max(max);
    float base = max == -INFINITY ? 0.0f : max;
    for (int c = lane; c < f.parts; c += 32)
        sum += expf(state[2 * c] - base) * state[2 * c + 1];
    sum = warp_sum(sum);
    for (int d = lane; d - lane < f.Dv; d += 32) {
        float x = 0.0f;
        for (int c0 = 0; c0 < f.parts; c0 += 32) { // a lane weighs a part, and tells the others
            float weight = c0 + lane < f.parts ? expf(state[2 * (c0 + lane)] - base) : 0.0f;
            for (int c = c0; c < f.parts && c < c0 + 32; c++) {
                float w = __shfl_sync(0xffffffffu, weight, c - c0);
                if (d < f.Dv)
                    x += w * acc[(long)c * f.Dv + d];
            }
        }
        if (d < f.Dv)
            f.out[i * f.Dv + d] = sum == 0.0f ? 0.0f : x / sum;
    }
    if (lane == 0)
        f.lse[i] = max == -INFINITY ? logf(sum) : max + logf(sum);
}

// --- the launch ---------------------------------------------------------------------------------

template <int COLUMNS>
static cudaError_t launch(const Flash *f, cudaStream_t stream)
{
    size_t shared = sizeof(float) * (R * pitch_of(f->D) + C * odd_pitch_of(f->D) +
                                     C * pitch_of(f->Dv) + R * C);
    dim3 grid((f->N + R - 1) / R * f->parts, f->H, f->B);
    long rows = (long)f->B * f->H * f->N;
    cudaError_t error = cudaFuncSetAttribute(
        flash_split<COLUMNS>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    if (error != cudaSuccess)
        return error;
    LAUNCH(flash_split<COLUMNS>, grid, dim3(32 * WARPS), shared, stream, *f);
    error = cudaGetLastError();
    if (error != cudaSuccess)
        return error;
    LAUNCH(merge_parts, dim3((rows + WARPS - 1) / WARPS), dim3(32 * WARPS), 0, stream, *f);
    return cudaGetLastError();
}

// A lane's features are an array in registers, so their number must be known to the compiler.
extern "C" cudaError_t launch_split(const Flash *f, cudaStream_t stream)
{
    if (f->Dv <= 32)
        return launch<1>(f, stream);
    if (f->Dv <= 64)
        return launch<2>(f, stream);
    return f->Dv <= 128 ? launch<4>(f, stream) : launch<8>(f, stream);
}
