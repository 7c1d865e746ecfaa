// Flash attention, step 6: chapter 06 times chapter 07. Keys are found through the block table,
// and the query heads that share a KV head share what is loaded of it. Diff with 07_5_split.cu.
//
// Token j of sequence b lies in block table[b, j / T], slot j % T of it, of the pool's
// [blocks, G, T, D]. So a row of the tile may lie anywhere, and rows are copied one by one, each
// by a warp: the address is translated once a row. No copy of the cache is made.
//
// Under GQA the H / G query heads of a group want the same keys. The rows of a tile are therefore
// queries of a whole group, row r being head r % (H / G) of the group at query r / (H / G): in
// decode, where 07_5_split.cu has one query and 31 empty rows, there are H / G queries.
//
// Prediction, decode with all keys seen, n parts, a group of up to 32 heads: global memory is
// asked for H / G times fewer keys and values than in 07_5_split.cu, and 8 bytes of table a key:
//
//     4 B (n H D + G M (D + Dv) + n H (Dv + 2)) + 8 B G M + 2048 B G n
//
// bytes. Counted, B = 1, H = 8, G = 2, M = 1024, D = Dv = 64, n = 8: 1131008.

#include "07_flash_tiling.h"
#include "mask.cuh"

enum { R = FLASH_ROWS, C = FLASH_KEYS, WARPS = 4, ROWS = R / WARPS };
static_assert(C == 32 && R == C, "a lane for each key of a tile, a warp for each 8 rows");

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

// --- the rows of a group ------------------------------------------------------------------------

// Query heads that share a KV head, and the rows that they make together.
static __device__ int share_of(const Flash &f)
{
    return f.H / f.G;
}

static __device__ int rows_of(const Flash &f)
{
    return f.N * share_of(f);
}

// Which head and which query row r of group g is, and which row of Q and of the output.
static __device__ int head_of(const Flash &f, int g, int r)
{
    return g * share_of(f) + r % share_of(f);
}

static __device__ long row_at(const Flash &f, int b, int g, int r)
{
    return ((long)b * f.H + head_of(f, g, r)) * f.N + r / share_of(f);
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

// One row of a tile, by one warp: width floats from x, or zeros where x is NULL. The mask hides
// those, but nobody shall compute with what nobody wrote.
static __device__ void load_row(float *row, const float *x, int width)
{
    int lane = threadIdx.x % 32;
    if (width % 4 == 0)
        for (int d = 4 * lane; d < width; d += 4 * 32) {
            float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (x)
                four = float4_at(x + d);
            float4_at(row + d) = four;
        }
    else
        for (int d = lane; d < pitch_of(width); d += 32)
            row[d] = x && d < width ? x[d] : 0.0f;
}

// The group's queries from row r0 on.    tile: [R, D]
static __device__ void load_queries(float *tile, const Flash &f, int b, int g, int r0)
{
    for (int r = threadIdx.x / 32; r < R; r += WARPS)
        load_row(tile + r * pitch_of(f.D),
                 r0 + r < rows_of(f) ? f.q + row_at(f, b, g, r0 + r) * f.D : NULL, f.D);
}

// The keys j0 to j0 + rows of one KV head, and their values, wherever their blocks lie.
// k: [C, D]    v: [C, Dv]
static __device__ void load_tokens(float *k, float *v, const Flash &f, int b, int g, int j0,
                                   int rows)
{
    int lane = threadIdx.x % 32, first = threadIdx.x / 32 * ROWS, j = j0 + first + lane;
    long own = -1; // a lane looks up one of the warp's rows, and tells the others
    if (lane < ROWS && first + lane < rows)
        own = (f.table[(long)b * f.entries + j / f.T] * f.G + g) * f.T + j % f.T;
    for (int r = 0; r < ROWS; r++) {
        long at = __shfl_sync(0xffffffffu, own, r);
        load_row(k + (first + r) * odd_pitch_of(f.D), at < 0 ? NULL : f.k + at * f.D, f.D);
        load_row(v + (first + r) * pitch_of(f.Dv), at < 0 ? NULL : f.v + at * f.Dv, f.Dv);
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

// The lane's key j against row r of the group: -inf where it is hidden, or where j is the next
// part's, from `to` on. Returns the row's mask as a word. mask is the rule for the group's first
// head, whose neighbours may have another tensor.
static __device__ unsigned hide(float &s, const Flash &f, DeviceMask mask, int r, int j, int to)
{
    int share = share_of(f), i = r / share;
    if (mask.bias)
        mask.bias += r % share * mask.stride[1];
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
// of them r0.
// q: [ROWS, D]    k: [C, D]    v: [C, Dv]    p: [ROWS, C], the warp's own
template <int COLUMNS>
static __device__ void fold_tile(State<COLUMNS> &state, const Flash &f, const DeviceMask &mask,
                                 const float *q, const float *k, const float *v, float *p, int r0,
                                 int j0, int to)
{
    int lane = threadIdx.x % 32;
    float s[ROWS], rescale[ROWS], mixed[ROWS][COLUMNS] = {};
    unsigned seen[ROWS];
    dot_rows(s, q, k, f.D);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        seen[r] = hide(s[r], f, mask, r0 + r, j0 + lane, to);
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
static __device__ void store(const State<COLUMNS> &state, const Flash &f, int r0, int part)
{
    int lane = threadIdx.x % 32, g = blockIdx.y, b = blockIdx.z;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        long at = row_at(f, b, g, r0 + r) * f.parts + part;
        if (r0 + r >= rows_of(f))
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

// Grid: (tiles of a group's queries * parts, groups, sequences).
// The 1 leaves all registers to the compiler: with fewer more blocks would fit, and some spill.
template <int COLUMNS>
static __global__ void __launch_bounds__(32 * WARPS, 1) flash_paged(Flash f)
{
    int pitch = pitch_of(f.D), k_pitch = odd_pitch_of(f.D), v_pitch = pitch_of(f.Dv);
    DYNAMIC_SHARED(float, q);                   // [R, D]
    float *k = q + R * pitch, *v = k + C * k_pitch; // [C, D], [C, Dv]
    float *p = v + C * v_pitch;                 // [R, C]
    int g = blockIdx.y, b = blockIdx.z, first = threadIdx.x / 32 * ROWS;
    int r0 = blockIdx.x / f.parts * R, left = rows_of(f) - r0, part = blockIdx.x % f.parts;
    DeviceMask mask = mask_of_head(f.mask, b, head_of(f, g, 0));
    State<COLUMNS> state = {};
#pragma unroll
    for (int r = 0; r < ROWS; r++)
        state.max[r] = -INFINITY;
    // The queries of the tile's rows follow each other, each as often as a group has heads.
    int i0 = r0 / share_of(f), last = (r0 + (left < R ? left : R) - 1) / share_of(f);
    Span span = visible(mask, f.M, i0, last - i0 + 1);
    int from = most(span.from / C * C, f.cuts[part]), to = least(span.to, f.cuts[part + 1]);
    load_queries(q, f, b, g, r0);
    for (int j = from; j < to; j += C) {
        __syncthreads(); // nobody reads the tile before this one any more
        load_tokens(k, v, f, b, g, j, to - j < C ? to - j : C);
        __syncthreads(); // the tile is there
        if (first < left) // a warp without queries has only helped to load
            fold_tile(state, f, mask, q + first * pitch, k, v, p + first * C, r0 + first, j, to);
    }
    store(state, f, r0 + first, part);
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
    long group = (long)f->N * (f->H / f->G);
    dim3 grid((group + R - 1) / R * f->parts, f->G, f->B);
    long rows = (long)f->B * f->H * f->N;
    cudaError_t error = cudaFuncSetAttribute(
        flash_paged<COLUMNS>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    if (error != cudaSuccess)
        return error;
    LAUNCH(flash_paged<COLUMNS>, grid, dim3(32 * WARPS), shared, stream, *f);
    error = cudaGetLastError();
    if (error != cudaSuccess)
        return error;
    LAUNCH(merge_parts, dim3((rows + WARPS - 1) / WARPS), dim3(32 * WARPS), 0, stream, *f);
    return cudaGetLastError();
}

// A lane's features are an array in registers, so their number must be known to the compiler.
extern "C" cudaError_t launch_paged(const Flash *f, cudaStream_t stream)
{
    if (f->Dv <= 32)
        return launch<1>(f, stream);
    if (f->Dv <= 64)
        return launch<2>(f, stream);
    return f->Dv <= 128 ? launch<4>(f, stream) : launch<8>(f, stream);
}
