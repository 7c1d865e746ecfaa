// The emulator's counters on kernels small enough to count by hand, and its tensor core, shuffles
// and copies against arithmetic done here. One `ok - ` or `not ok - ` line each; then the counts
// themselves, one line a kernel, which must be the same at -O0 and -O1, with 1 thread and many:
// tests/simt_exact.sh compares them.

#include "gpu.h"

#include <stdio.h>
#include <string.h>

static int failed;

static void check(const char *what, bool good)
{
    printf("%sok - exact %s\n", good ? "" : "not ", what);
    failed |= !good;
}

static const simt_stats *stats(void)
{
    return simt_last();
}

// Everything that a launch counted, as one line.
static void print_counts(const char *name)
{
    const simt_stats *s = stats();
    printf("counts %s:", name);
    for (const simt_count &c : s->count)
        printf(" %lu/%lu/%lu/%lu/%lu", c.requests, c.lanes, c.bytes, c.units, c.ideal);
    printf(" distinct %lu %lu cache %lu %lu barriers %lu shuffles %lu partial %lu races %lu\n",
           s->distinct_read, s->distinct_written, s->cache_read, s->cache_written, s->barriers,
           s->shuffles, s->partial, s->races);
}

static bool is(int kind, unsigned long requests, unsigned long lanes, unsigned long bytes,
               unsigned long units, unsigned long ideal)
{
    const simt_count &c = stats()->count[kind];
    return c.requests == requests && c.lanes == lanes && c.bytes == bytes && c.units == units &&
           c.ideal == ideal;
}

static float *device(const float *from, int n)
{
    float *p = NULL;
    if (cudaMalloc(&p, n * sizeof(float)) == cudaSuccess && from)
        cudaMemcpy(p, from, n * sizeof(float), cudaMemcpyHostToDevice);
    else if (p)
        cudaMemset(p, 0, n * sizeof(float));
    return p;
}

// --- global memory ---------------------------------------------------------------------------

__global__ void copy(const float *a, float *b)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    b[i] = a[i];
}

__global__ void column(const float *a, float *b)
{
    b[threadIdx.x] = a[32 * threadIdx.x];
}

__global__ void broadcast(const float *a, float *b)
{
    b[threadIdx.x] = a[0];
}

__global__ void by_fours(const float *a, float *b)
{
    int i = threadIdx.x;
    reinterpret_cast<float4 *>(b)[i] = reinterpret_cast<const float4 *>(a)[i];
}

__global__ void shifted(const float *a, float *b)
{
    b[threadIdx.x] = a[threadIdx.x + 1];
}

__global__ void count_up(float *b)
{
    atomicAdd(&b[threadIdx.x % 4], 1.0f);
}

static void global_memory(const float *a, float *b)
{
    LAUNCH(copy, 8, 128, 0, 0, a, b); // 32 warps, 4 sectors each
    check("copy", is(SIMT_LOAD_GLOBAL, 32, 1024, 4096, 128, 128) &&
                  is(SIMT_STORE_GLOBAL, 32, 1024, 4096, 128, 128) &&
                  stats()->distinct_read == 4096 && stats()->distinct_written == 4096 &&
                  stats()->partial == 0);
    print_counts("copy");
    LAUNCH(column, 1, 32, 0, 0, a, b);
    check("column: 32 sectors for 128 bytes", is(SIMT_LOAD_GLOBAL, 1, 32, 128, 32, 4) &&
                                              stats()->distinct_read == 1024);
    print_counts("column");
    LAUNCH(broadcast, 1, 32, 0, 0, a, b);
    check("broadcast: one sector for all", is(SIMT_LOAD_GLOBAL, 1, 32, 128, 1, 1));
    print_counts("broadcast");
    LAUNCH(by_fours, 1, 32, 0, 0, a, b);
    check("float4: one request of 16 sectors", is(SIMT_LOAD_GLOBAL, 1, 32, 512, 16, 16) &&
                                               is(SIMT_STORE_GLOBAL, 1, 32, 512, 16, 16));
    print_counts("by_fours");
    LAUNCH(shifted, 1, 32, 0, 0, a, b);
    check("shifted by one: a fifth sector", is(SIMT_LOAD_GLOBAL, 1, 32, 128, 5, 4));
    print_counts("shifted");
    LAUNCH(count_up, 4, 32, 0, 0, b);
    check("atomics", is(SIMT_ATOMIC_GLOBAL, 4, 128, 512, 4, 4) && stats()->races == 0);
    print_counts("count_up");
}

// --- shared memory: banks --------------------------------------------------------------------

template <int STEP> __global__ void strided(float *b)
{
    __shared__ float tile[32 * STEP];
    int i = threadIdx.x;
    tile[i * STEP] = i;
    __syncthreads();
    b[i] = tile[(31 - i) * STEP];
}

__global__ void shared_fours(float *b)
{
    __shared__ __align__(16) float4 tile[32];
    int i = threadIdx.x;
    tile[i] = make_float4(i, i, i, i);
    __syncthreads();
    float4 v = tile[31 - i];
    b[i] = v.x;
}

static void banks(float *b)
{
    const unsigned long wavefronts[] = {1, 2, 4, 32};
    for (int k = 0; k < 4; k++) {
        if (k == 0) LAUNCH((strided<1>), 1, 32, 0, 0, b);
        if (k == 1) LAUNCH((strided<2>), 1, 32, 0, 0, b);
        if (k == 2) LAUNCH((strided<4>), 1, 32, 0, 0, b);
        if (k == 3) LAUNCH((strided<32>), 1, 32, 0, 0, b);
        char name[64];
        snprintf(name, sizeof name, "a stride of %d words: %lu wavefronts", k < 3 ? 1 << k : 32,
                 wavefronts[k]);
        check(name, is(SIMT_STORE_SHARED, 1, 32, 128, wavefronts[k], 1) &&
                    is(SIMT_LOAD_SHARED, 1, 32, 128, wavefronts[k], 1) && stats()->barriers == 1);
        print_counts("strided");
    }
    LAUNCH((strided<33>), 1, 32, 0, 0, b);
    check("a stride of 33 words: no conflict", is(SIMT_LOAD_SHARED, 1, 32, 128, 1, 1));
    print_counts("strided");
    LAUNCH(shared_fours, 1, 32, 0, 0, b);
    check("float4 in shared memory: 4 quarters", is(SIMT_LOAD_SHARED, 1, 32, 512, 4, 4) &&
                                                 is(SIMT_STORE_SHARED, 1, 32, 512, 4, 4));
    print_counts("shared_fours");
}

// --- divergence ------------------------------------------------------------------------------

// Lanes leave the loop after 1, 2, 3 or 4 turns: 4 requests of 32, 24, 16 and 8 lanes.
__global__ void loop(const float *a, float *b)
{
    int i = threadIdx.x;
    float sum = 0;
    for (int k = 0; k < i % 4 + 1; k++)
        sum += a[k * 32 + i];
    b[i] = sum;
}

// An if inside a loop: behind it, the lanes are together again.
__global__ void if_in_loop(const float *a, float *b)
{
    int i = threadIdx.x;
    float sum = 0;
    for (int k = 0; k < 4; k++) {
        if (i & 1)
            sum += a[k * 32 + i];
        sum += a[k * 32 + (i ^ 1)];
    }
    b[i] = sum;
}

__global__ void both_branches(const float *a, float *b)
{
    int i = threadIdx.x;
    float x;
    if (i < 8) {
        x = a[i];
    } else {
        float4 v = reinterpret_cast<const float4 *>(a)[i];
        x = v.w;
    }
    b[i] = x;
}

__global__ void jumps(const float *a, float *b)
{
    int i = threadIdx.x;
    float sum = 0;
    for (int k = 0; k < 4; k++) {
        if (i < 8) {
            sum += a[i];
            continue;
        }
        if (i < 16) {
            sum -= a[i + 32];
            if (k == 2)
                break;
        }
        sum *= a[i + 64];
    }
    b[i] = sum;
}

static void divergence(const float *a, float *b)
{
    LAUNCH(loop, 1, 32, 0, 0, a, b);
    check("a loop that lanes leave one after the other",
          stats()->count[SIMT_LOAD_GLOBAL].requests == 4 &&
          stats()->count[SIMT_LOAD_GLOBAL].lanes == 80 && stats()->partial == 3 &&
          is(SIMT_STORE_GLOBAL, 1, 32, 128, 4, 4));
    print_counts("loop");
    LAUNCH(if_in_loop, 1, 32, 0, 0, a, b);
    check("an if in a loop", stats()->count[SIMT_LOAD_GLOBAL].requests == 8 &&
                             stats()->partial == 4);
    print_counts("if_in_loop");
    LAUNCH(both_branches, 1, 32, 0, 0, a, b);
    check("if and else: two requests, then one",
          stats()->count[SIMT_LOAD_GLOBAL].requests == 2 &&
          stats()->count[SIMT_STORE_GLOBAL].requests == 1);
    print_counts("both_branches");
    LAUNCH(jumps, 1, 32, 0, 0, a, b); // 4 turns of the first, 3 of the second, 4 of the third
    check("continue and break", stats()->count[SIMT_LOAD_GLOBAL].requests == 11 &&
                                stats()->count[SIMT_LOAD_GLOBAL].lanes ==
                                8 * 4 + 8 * 3 + 8 * 2 + 16 * 4);
    print_counts("jumps");
}

// --- the cache -------------------------------------------------------------------------------

// Every block reads the same 2 KiB: from DRAM once, if the cache holds them.
__global__ void all_read_all(const float *a, float *b)
{
    float sum = 0;
    for (int i = threadIdx.x; i < 512; i += 32)
        sum += a[i];
    b[blockIdx.x * 32 + threadIdx.x] = sum;
}

static void cache(const float *a, float *b)
{
    simt_set_cache(4096);
    LAUNCH(all_read_all, 16, 32, 0, 0, a, b);
    check("a cache of 4 KiB: read once, written once",
          stats()->cache_read == 2048 && stats()->cache_written == 2048 &&
          stats()->count[SIMT_LOAD_GLOBAL].bytes == 16 * 2048 && stats()->distinct_read == 2048);
    print_counts("all_read_all 4096");
    simt_set_cache(1024);
    LAUNCH(all_read_all, 16, 32, 0, 0, a, b);
    check("a cache of 1 KiB: every block reads anew", stats()->cache_read == 16 * 2048);
    print_counts("all_read_all 1024");
    simt_keep_cache(1);
    simt_set_cache(8192);
    LAUNCH(all_read_all, 16, 32, 0, 0, a, b);
    bool first = stats()->cache_read == 2048 && stats()->cache_written == 0;
    LAUNCH(all_read_all, 16, 32, 0, 0, a, b);
    check("a cache of 8 KiB that is kept: the second launch reads nothing",
          first && stats()->cache_read == 0 && stats()->cache_written == 0);
    print_counts("all_read_all kept");
    simt_keep_cache(0);
    simt_set_cache(0);
}

// --- shuffles, votes -------------------------------------------------------------------------

__global__ void shuffles(int *b)
{
    int i = threadIdx.x;
    b[i] = __shfl_sync(0xffffffffu, i, 5);
    b[32 + i] = __shfl_up_sync(0xffffffffu, i, 3);
    b[64 + i] = __shfl_down_sync(0xffffffffu, i, 3);
    b[96 + i] = __shfl_xor_sync(0xffffffffu, i, 9);
    b[128 + i] = __shfl_down_sync(0xffffffffu, i, 1, 8);
    b[160 + i] = (int)__ballot_sync(0xffffffffu, i % 3 == 0);
    b[192 + i] = __any_sync(0xffffffffu, i == 7) + 2 * __all_sync(0xffffffffu, i < 31);
    double wide = __shfl_sync(0xffffffffu, i * 0.1, 30);
    b[224 + i] = wide == 30 * 0.1;
}

static void warps(int *b)
{
    int r[256];
    bool good = true;
    LAUNCH(shuffles, 1, 32, 0, 0, b);
    cudaMemcpy(r, b, sizeof r, cudaMemcpyDeviceToHost);
    for (int i = 0; i < 32; i++)
        good &= r[i] == 5 && r[32 + i] == (i < 3 ? i : i - 3) &&
                r[64 + i] == (i > 28 ? i : i + 3) && r[96 + i] == (i ^ 9) &&
                r[128 + i] == (i % 8 == 7 ? i : i + 1) &&
                (unsigned)r[160 + i] == 0x49249249u && r[192 + i] == 1 && r[224 + i] == 1;
    check("shuffles and votes", good && stats()->shuffles == 10);
    print_counts("shuffles");
}

// --- tensor cores ----------------------------------------------------------------------------

// C [16, 8] = A [16, 16] B [16, 8], loaded by ldmatrix: B transposed, as flash attention needs V.
template <class T> __global__ void tensor(const T *a, const T *b, float *c)
{
    __shared__ __align__(16) T A[16 * 16], B[16 * 8];
    int lane = threadIdx.x, g = lane / 4, t = lane % 4;
    uint32_t ra[4], rb[2];
    float rc[4] = {1, 1, 1, 1};
    cp_async16(&A[8 * lane], &a[8 * lane]);
    if (lane < 16)
        cp_async16(&B[8 * lane], &b[8 * lane]);
    cp_async_commit();
    cp_async_wait(0);
    __syncthreads();
    ldmatrix_x4(ra, &A[lane % 16 * 16 + lane / 16 * 8]);
    ldmatrix_x2_trans(rb, &B[lane % 16 * 8]);
    if (sizeof(T) == 2 && c[0] == 0.0f) {
        mma_bf16(rc, ra, rb, rc);
    } else {
        mma_f16(rc, ra, rb, rc);
    }
    __syncwarp();
    for (int i = 0; i < 4; i++)
        c[1 + (g + i / 2 * 8) * 8 + 2 * t + i % 2] = rc[i];
}

template <class T> static void tensor_core(const char *name, float flag)
{
    T a[256], b[128], *da = NULL, *db = NULL;
    float c[129], *dc = device(NULL, 129);
    bool good = true;
    for (int i = 0; i < 256; i++)
        a[i] = T((float)(i * 7 % 13) - 6.0f);
    for (int i = 0; i < 128; i++)
        b[i] = T((float)(i * 5 % 11) * 0.25f - 1.0f);
    cudaMalloc(&da, sizeof a);
    cudaMalloc(&db, sizeof b);
    cudaMemcpy(da, a, sizeof a, cudaMemcpyHostToDevice);
    cudaMemcpy(db, b, sizeof b, cudaMemcpyHostToDevice);
    cudaMemcpy(dc, &flag, sizeof flag, cudaMemcpyHostToDevice);
    LAUNCH((tensor<T>), 1, 32, 0, 0, da, db, dc);
    cudaMemcpy(c, dc, sizeof c, cudaMemcpyDeviceToHost);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++) {
            float sum = 1;
            for (int k = 0; k < 16; k++)
                sum += (float)a[i * 16 + k] * (float)b[k * 8 + j];
            good &= c[1 + i * 8 + j] == sum;
        }
    check(name, good && stats()->mmas == 1 && stats()->ldmatrices == 2 && stats()->races == 0);
    print_counts(name);
    cudaFree(da);
    cudaFree(db);
    cudaFree(dc);
}

__global__ void round_bf16(const float *a, uint32_t *b)
{
    float x = a[threadIdx.x];
    b[threadIdx.x] = pack_bf16(x, -x);
}

static void rounding()
{
    // To the nearest, ties to even; beyond the range; NaN.
    static const uint32_t from[] = {0x3f808000, 0x3f818000, 0x3f808001, 0, 0x3fffffff, 0x00018000,
                                    0x7f7f7fff, 0x7f7fffff, 0x7f800000, 0x7f800001};
    static const uint32_t to[] = {0x3f80, 0x3f82, 0x3f81, 0, 0x4000, 0x0002,
                                  0x7f7f, 0x7f80, 0x7f80, 0x7fff};
    float x[32];
    uint32_t pairs[32];
    bool good = true;
    for (int i = 0; i < 32; i++)
        memcpy(&x[i], &from[i % 10], sizeof x[i]);
    float *a = device(x, 32), *b = device(NULL, 32);
    LAUNCH(round_bf16, 1, 32, 0, 0, a, reinterpret_cast<uint32_t *>(b));
    cudaMemcpy(pairs, b, sizeof pairs, cudaMemcpyDeviceToHost);
    for (int i = 0; i < 32; i++) {
        uint32_t low = to[i % 10], high = low == 0x7fff ? low : low | 0x8000; // NaN has no sign
        good &= pairs[i] == (low | high << 16);
    }
    check("bf16: to the nearest, ties to even, beyond the range, NaN; no lane parts",
          good && is(SIMT_STORE_GLOBAL, 1, 32, 128, 4, 4) && stats()->partial == 0);
    print_counts("round_bf16");
    cudaFree(a);
    cudaFree(b);
}

int main()
{
    float host[1056], *b = device(NULL, 1056);
    for (int i = 0; i < 1056; i++)
        host[i] = i;
    float *a = device(host, 1056);
    global_memory(a, b);
    banks(b);
    divergence(a, b);
    cache(a, b);
    warps(reinterpret_cast<int *>(b));
    tensor_core<__nv_bfloat16>("mma bf16", 0);
    tensor_core<__half>("mma fp16", 1);
    rounding();
    check("no launch reported anything", cudaGetLastError() == cudaSuccess);
    cudaFree(a);
    cudaFree(b);
    return failed;
}
