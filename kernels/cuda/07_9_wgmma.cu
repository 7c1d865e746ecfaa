// Flash attention, step 9: Hopper's own way. No GPU has run this file yet: nvcc compiles it, and
// that is all that is known. It takes D = Dv = 64 or 128 on an H100; elsewhere, the emulator
// included, the launcher returns cudaErrorNotSupported. Read 07_8_async.cu first.
//
// Three things are new. (1) Four warps together, a warpgroup, multiply by wgmma, which reads K, V
// and Q from shared memory by itself, while its threads do something else; results stay in
// registers, where they lie as those of mma.sync. (2) One thread copies whole boxes of a tensor
// (TMA): rows beyond the end come as 0, and each row of 128 bytes is swizzled on its way, its
// 16-byte pieces exchanged by the row's number, so that 8 rows lie in different banks without
// any padding. (3) Warps have different jobs: the first warpgroup produces tiles, two more
// consume them, 64 queries each. They meet at mbarriers only: `full` when a tile's bytes are
// there, `empty` when all 8 warps that consume it are done with it (FlashAttention-3, Shah et al.
// 2024, section 3.1).
//
//     produce:  wait empty[s] -> copy K, V into stage s, which report to full[s]
//     consume:  wait full[s]  -> S = Q K^T, softmax, acc += P V -> arrive at empty[s]
//
// Prediction, causal, N = M, a head: tiles have R = 128 queries, in place of 64, and reading is
// in boxes of C = 128 keys, what the mask hides of them included: global memory is asked for
//
//     2 (N D + sum over the tiles of (i + R) (D + Dv)) + 4 (N Dv + N)
//
// bytes, where N is a multiple of 128: N = 256, D = Dv = 64 gives 197632 in place of 263168.
//
// Counted: not yet. The emulator has no wgmma, for only a GPU can tell whether it would be right.

#include "07_flash_tiling.h"
#include "bf16.cuh"
#include "mask.cuh"

enum { GROUPS = 2, R = 64 * GROUPS, KEYS = 128, STAGES = 2 }; // warpgroups that consume
enum { THREADS = 128 * (1 + GROUPS) };

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

// The scaled score of query i and key j, -inf where it is hidden.
static __device__ float hide(float s, const Flash &f, const DeviceMask &mask, int i, int j)
{
    bool seen = i < f.N && j < f.M && mask_rule(mask, i, j);
    float bias = seen ? mask_bias(mask, i, j) : -INFINITY;
    return bias == -INFINITY ? -INFINITY : f.scale * s + bias;
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

// Shared memory. 64 columns are a box, its rows of 128 bytes swizzled: element (r, c) of a box lies
// in piece c / 8 ^ r % 8 of row r. wgmma undoes it.
template <int D>
struct Tiles {
    uint16_t q[D / 64][R][64], k[STAGES][D / 64][KEYS][64], v[STAGES][D / 64][KEYS][64];
    uint64_t q_full, full[STAGES], empty[STAGES];
};

static __device__ void wait(uint64_t *bar, int parity)
{
    while (!mbarrier_try_wait(bar, (unsigned)parity))
        ;
}

// One thread's work: a tile after the other, as soon as its stage has been emptied. Of a barrier
// that nobody has used yet, the phase before, of parity 1, counts as over.
template <int D>
static __device__ void produce(Tiles<D> &tiles, const Flash &f, const CUtensorMap *q,
                               const CUtensorMap *k, const CUtensorMap *v, Span span)
{
    int h = blockIdx.y, b = blockIdx.z, kv_head = b * f.G + h / (f.H / f.G);
    mbarrier_arrive(&tiles.q_full, sizeof tiles.q);
    for (int c = 0; c < D / 64; c++)
        tensor_copy(tiles.q[c], q, 64 * c, blockIdx.x * R, b * f.H + h, &tiles.q_full);
    for (int j = span.from / KEYS * KEYS, n = 0; j < span.to; j += KEYS, n++) {
        int stage = n % STAGES;
        wait(&tiles.empty[stage], n / STAGES % 2 ^ 1);
        mbarrier_arrive(&tiles.full[stage], sizeof tiles.k[0] + sizeof tiles.v[0]);
        for (int c = 0; c < D / 64; c++) {
            tensor_copy(tiles.k[stage][c], k, 64 * c, j, kv_head, &tiles.full[stage]);
            tensor_copy(tiles.v[stage][c], v, 64 * c, j, kv_head, &tiles.full[stage]);
        }
    }
}

// What wgmma reads or writes in registers is finished before it begins, and looked at after it.
template <class T, int ROWS>
static __device__ void pin(T (&d)[ROWS][4])
{
#pragma unroll
    for (int i = 0; i < 4 * ROWS; i++)
        wgmma_pin(d[i / 4][i % 4]);
}

// S = Q K^T for a warpgroup's 64 queries: s[n] are keys 8n to 8n + 8, as an mma holds them.
template <int D>
static __device__ void multiply_keys(float (&s)[KEYS / 8][4], const Tiles<D> &tiles, int group,
                                     int stage)
{
    pin(s);
    wgmma_fence();
#pragma unroll
    for (int d = 0; d < D; d += 16)
        wgmma_64x128(s, &tiles.q[d / 64][64 * group][d % 64], &tiles.k[stage][d / 64][0][d % 64]);
    wgmma_commit();
    wgmma_wait();
    pin(s);
}

// acc += P V. P comes from registers, V by its rows: 16 keys, 64 columns.
template <int D>
static __device__ void multiply_values(float (&acc)[D / 8][4], const float p[KEYS / 8][4],
                                       const Tiles<D> &tiles, int stage)
{
    uint32_t a[KEYS / 16][4];
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++) {
        a[n / 2][n % 2 * 2] = pack_bf16(p[n][0], p[n][1]);
        a[n / 2][n % 2 * 2 + 1] = pack_bf16(p[n][2], p[n][3]);
    }
    pin(a);
    pin(acc);
    wgmma_fence();
#pragma unroll
    for (int n = 0; n < KEYS / 16; n++)
#pragma unroll
        for (int c = 0; c < D / 64; c++)
            wgmma_64x64(acc + 8 * c, a[n], tiles.v[stage][c][16 * n]);
    wgmma_commit();
    wgmma_wait();
    pin(acc);
}

// A warpgroup's work: every tile, folded into the state of its 64 queries.
template <int D>
static __device__ void consume(Tiles<D> &tiles, const Flash &f, const DeviceMask &mask, Span span,
                               Span all)
{
    int group = threadIdx.x / 128 - 1, lane = threadIdx.x % 32;
    int i0 = blockIdx.x * R + 64 * group + threadIdx.x % 128 / 32 * 16, i = i0 + lane / 4;
    State<D / 8> state = {{-INFINITY, -INFINITY}};
    wait(&tiles.q_full, 0);
    for (int j0 = span.from / KEYS * KEYS, n = 0; j0 < span.to; j0 += KEYS, n++) {
        int stage = n % STAGES, j = j0 + lane % 4 * 2;
        bool whole = all.from <= j0 && j0 + KEYS <= all.to;
        float s[KEYS / 8][4] = {};
        wait(&tiles.full[stage], n / STAGES % 2);
        multiply_keys<D>(s, tiles, group, stage);
#pragma unroll
        for (int c = 0; c < KEYS / 8; c++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                s[c][e] = whole ? f.scale * s[c][e]
                                : hide(s[c][e], f, mask, i + e / 2 * 8, j + 8 * c + e % 2);
        online_softmax<KEYS>(s, state, 0);
        online_softmax<KEYS>(s, state, 1);
        multiply_values<D>(state.acc, s, tiles, stage);
        if (lane == 0)
            mbarrier_arrive(&tiles.empty[stage], 0); // this warp is done with it
    }
    divide(state, f, mask, i0, 0);
    divide(state, f, mask, i0, 1);
}

// Grid: (tiles of queries, heads, sequences). Who produces gives most of its registers to those
// who consume: 24 + 2 x 240 are as many as the 3 x 168 with which the three warpgroups begin.
template <int D>
static __global__ void __launch_bounds__(THREADS, 1)
flash_wgmma(Flash f, __grid_constant__ const CUtensorMap q, __grid_constant__ const CUtensorMap k,
            __grid_constant__ const CUtensorMap v)
{
    DYNAMIC_SHARED(Tiles<D>, tiles);
    int i0 = blockIdx.x * R, queries = f.N - i0 < R ? f.N - i0 : R;
    DeviceMask mask = mask_of_head(f.mask, blockIdx.z, blockIdx.y);
    Span span = visible(mask, f.M, i0, queries), all = seen_by_all(mask, f.M, i0, queries);
    if (threadIdx.x == 0) {
        mbarrier_init(&tiles->q_full, 1);
        for (int s = 0; s < STAGES; s++) {
            mbarrier_init(&tiles->full[s], 1);
            mbarrier_init(&tiles->empty[s], 4 * GROUPS); // a lane of each warp
        }
    }
    __syncthreads(); // the barriers are there
    if (threadIdx.x < 128) {
        fewer_registers(24);
        if (threadIdx.x == 0)
            produce<D>(*tiles, f, &q, &k, &v, span);
    } else {
        more_registers(240);
        consume<D>(*tiles, f, mask, span, all);
    }
}

// --- the launch ---------------------------------------------------------------------------------

template <int D>
static cudaError_t launch(const Flash *f, cudaStream_t stream)
{
    size_t shared = sizeof(Tiles<D>);
    dim3 grid((f->N + R - 1) / R, f->H, f->B);
    CUtensorMap q, k, v;
    cudaError_t error = tensor_map(&q, f->q16, D, f->N, (long)f->B * f->H, R);
    if (error == cudaSuccess)
        error = tensor_map(&k, f->k16, D, f->M, (long)f->B * f->G, KEYS);
    if (error == cudaSuccess)
        error = tensor_map(&v, f->v16, D, f->M, (long)f->B * f->G, KEYS);
    if (error == cudaSuccess)
        error = cudaFuncSetAttribute(flash_wgmma<D>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     (int)shared);
    if (error != cudaSuccess)
        return error;
    LAUNCH(flash_wgmma<D>, grid, dim3(THREADS), shared, stream, *f, q, k, v);
    return cudaGetLastError();
}

// Only on an H100, and only these two widths: the boxes are 64 columns wide.
extern "C" cudaError_t launch_wgmma(const Flash *f, cudaStream_t stream)
{
    if (!is_hopper() || f->D != f->Dv || (f->D != 64 && f->D != 128))
        return cudaErrorNotSupported;
    cudaError_t error = round_inputs(f, stream);
    if (error != cudaSuccess)
        return error;
    return f->D == 64 ? launch<64>(f, stream) : launch<128>(f, stream);
}
