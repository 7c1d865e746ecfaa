// Who holds what: the instructions of kernels/cuda/gpu.h, one at a time, on inputs that show every
// bit that goes astray. The same program runs on a GPU and on the emulator; what both print is
// compared line by line (tests/gpu_check.sh):
//
//     exact NAME CASE VALUES...          must be the same text
//     near  NAME CASE VALUE SCALE        may differ by rounding: 2^-20 of SCALE
//
// Fragments are given and shown as registers, so that nothing but the instruction decides where a
// number goes: line e of `mma_bf16 a` has a single 1 in A, at register e / 2 % 4 of lane e / 8, half
// e % 2, and B full of numbers of its own; what comes out names the row and the column.

#include "gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(cudaError_t error, const char *what)
{
    if (error == cudaSuccess)
        return;
    fprintf(stderr, "gpu_fragments: %s: %s\n", what, cudaGetErrorString(error));
    exit(4);
}

template <class T> static T *to_device(const T *from, int n)
{
    T *p = NULL;
    must(cudaMalloc(&p, n * sizeof(T)), "cudaMalloc");
    must(cudaMemcpy(p, from, n * sizeof(T), cudaMemcpyHostToDevice), "to the device");
    return p;
}

// What the device holds at p, which is freed.
template <class T> static void take_back(T *to, T *p, int n)
{
    must(cudaGetLastError(), "a launch");
    must(cudaMemcpy(to, p, n * sizeof(T), cudaMemcpyDeviceToHost), "a kernel");
    must(cudaFree(p), "cudaFree");
}

// --- mma -----------------------------------------------------------------------------------------

enum { LANES = 32, CASES = 256, A = 4, B = 2, D = 4 }; // registers a lane

// One warp a case. a: [CASES, 32, 4], two halves each    b: [CASES, 32, 2]    d: [CASES, 32, 4]
static __global__ void multiply_bf16(const uint32_t *a, const uint32_t *b, float *d)
{
    int at = blockIdx.x * LANES + threadIdx.x;
    float x[D] = {d[at * D], d[at * D + 1], d[at * D + 2], d[at * D + 3]};
    uint32_t ra[A] = {a[at * A], a[at * A + 1], a[at * A + 2], a[at * A + 3]};
    uint32_t rb[B] = {b[at * B], b[at * B + 1]};
    mma_bf16(x, ra, rb, x);
    for (int i = 0; i < D; i++)
        d[at * D + i] = x[i];
}

static __global__ void multiply_f16(const uint32_t *a, const uint32_t *b, float *d)
{
    int at = blockIdx.x * LANES + threadIdx.x;
    float x[D] = {d[at * D], d[at * D + 1], d[at * D + 2], d[at * D + 3]};
    uint32_t ra[A] = {a[at * A], a[at * A + 1], a[at * A + 2], a[at * A + 3]};
    uint32_t rb[B] = {b[at * B], b[at * B + 1]};
    mma_f16(x, ra, rb, x);
    for (int i = 0; i < D; i++)
        d[at * D + i] = x[i];
}

static uint16_t a16[CASES * LANES * A * 2], b16[CASES * LANES * B * 2];
static float d32[CASES * LANES * D];

// Small numbers exactly: the upper half of a float, or 5 bits of exponent and 10 of mantissa.
static uint16_t half_of(float x, int bf16)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if (bf16 || x == 0)
        return (uint16_t)(u >> 16);
    return (uint16_t)((u >> 16 & 0x8000u) | (((u >> 23 & 255) - 112) << 10) | (u >> 13 & 0x3ffu));
}

static void multiply(int bf16, int cases)
{
    uint32_t *a = reinterpret_cast<uint32_t *>(to_device(a16, CASES * LANES * A * 2));
    uint32_t *b = reinterpret_cast<uint32_t *>(to_device(b16, CASES * LANES * B * 2));
    float *d = to_device(d32, CASES * LANES * D);
    if (bf16)
        LAUNCH(multiply_bf16, cases, LANES, 0, 0, a, b, d);
    else
        LAUNCH(multiply_f16, cases, LANES, 0, 0, a, b, d);
    take_back(d32, d, CASES * LANES * D);
    must(cudaFree(a), "cudaFree");
    must(cudaFree(b), "cudaFree");
}

static void print_float(float x)
{
    if (x != x)
        printf(" nan"); // of any sign
    else
        printf(" %.9g", x);
}

static void print_exact(const char *name, int cases)
{
    for (int c = 0; c < cases; c++) {
        printf("exact %s %d", name, c);
        for (int i = 0; i < LANES * D; i++)
            print_float(d32[c * LANES * D + i]);
        printf("\n");
    }
}

// A single 1 in A against a full B, then a single 1 in B against a full A.
static void single_ones(int bf16)
{
    enum { IN_A = LANES * A * 2, IN_B = LANES * B * 2 };
    memset(a16, 0, sizeof a16);
    memset(d32, 0, sizeof d32);
    for (int i = 0; i < CASES * IN_B; i++)
        b16[i] = half_of((float)(i % IN_B + 1), bf16);
    for (int c = 0; c < IN_A; c++)
        a16[c * IN_A + c] = half_of(1, bf16);
    multiply(bf16, IN_A);
    print_exact(bf16 ? "mma_bf16_a" : "mma_f16_a", IN_A);
    memset(b16, 0, sizeof b16);
    memset(d32, 0, sizeof d32);
    for (int i = 0; i < CASES * IN_A; i++)
        a16[i] = half_of((float)(i % IN_A + 1), bf16);
    for (int c = 0; c < IN_B; c++)
        b16[c * IN_B + c] = half_of(1, bf16);
    multiply(bf16, IN_B);
    print_exact(bf16 ? "mma_bf16_b" : "mma_f16_b", IN_B);
}

static uint32_t state = 12345;
static int draw(int n)
{
    state = state * 1664525u + 1013904223u;
    return (int)(state >> 16) % n;
}

// Whole numbers: any order of sums gives the same bits.
static void whole_numbers(int bf16)
{
    for (uint16_t &h : a16)
        h = half_of((float)(draw(17) - 8), bf16);
    for (uint16_t &h : b16)
        h = half_of((float)(draw(17) - 8), bf16);
    for (float &x : d32)
        x = (float)(draw(2001) - 1000);
    multiply(bf16, 8);
    print_exact(bf16 ? "mma_bf16_whole" : "mma_f16_whole", 8);
}

// Infinity and NaN, in A and in C: which rows do they reach?
static void specials(int bf16)
{
    const float odd[] = {INFINITY, -INFINITY, NAN};
    for (uint16_t &h : a16)
        h = half_of(1, bf16);
    for (uint16_t &h : b16)
        h = half_of(2, bf16);
    for (float &x : d32)
        x = 0.5f;
    const uint16_t inf = bf16 ? 0x7f80 : 0x7c00, nan = bf16 ? 0x7fc0 : 0x7e00;
    a16[5] = inf;                           // case 0
    a16[LANES * A * 2 + 77] = nan;          // case 1
    a16[2 * LANES * A * 2 + 9] = inf;       // case 2: inf * 0
    for (int i = 0; i < LANES * B * 2; i++)
        b16[2 * LANES * B * 2 + i] = 0;
    for (int i = 0; i < 3; i++)
        d32[3 * LANES * D + 31 * i] = odd[i];
    multiply(bf16, 4);
    print_exact(bf16 ? "mma_bf16_special" : "mma_f16_special", 4);
}

// Any numbers: the hardware adds in an order, and with a width, of its own.
static void any_numbers(int bf16)
{
    const float scale = 16 * 2.0f * 2.0f; // of the largest sum
    for (uint16_t &h : a16)
        h = half_of((float)(draw(4001) - 2000) / 1000, bf16);
    for (uint16_t &h : b16)
        h = half_of((float)(draw(4001) - 2000) / 1000, bf16);
    for (float &x : d32)
        x = (float)(draw(4001) - 2000) / 1000;
    multiply(bf16, 8);
    for (int i = 0; i < 8 * LANES * D; i++)
        printf("near mma_%s %d %.9g %g\n", bf16 ? "bf16" : "f16", i, d32[i], scale);
}

// --- ldmatrix ------------------------------------------------------------------------------------

// Four matrices of 8 x 8 halves; half e of them is the number e. r: [4 kinds, 32, 4]
static __global__ void load_matrices(uint32_t *r)
{
    __shared__ __align__(16) uint16_t m[4 * 64];
    int lane = threadIdx.x;
    uint32_t x[4] = {};
    for (int e = lane; e < 4 * 64; e += LANES)
        m[e] = (uint16_t)e;
    __syncthreads();
    ldmatrix_x4(x, &m[8 * lane]);
    for (int i = 0; i < 4; i++)
        r[(0 * LANES + lane) * 4 + i] = x[i];
    ldmatrix_x4_trans(x, &m[8 * lane]);
    for (int i = 0; i < 4; i++)
        r[(1 * LANES + lane) * 4 + i] = x[i];
    ldmatrix_x2(x, &m[8 * (lane % 16)]);
    for (int i = 0; i < 2; i++)
        r[(2 * LANES + lane) * 4 + i] = x[i];
    ldmatrix_x2_trans(x, &m[8 * (lane % 16)]);
    for (int i = 0; i < 2; i++)
        r[(3 * LANES + lane) * 4 + i] = x[i];
}

static void matrices()
{
    static const char *const kinds[] = {"x4", "x4_trans", "x2", "x2_trans"};
    uint32_t r[4 * LANES * 4] = {};
    uint32_t *there = to_device(r, 4 * LANES * 4);
    LAUNCH(load_matrices, 1, LANES, 0, 0, there);
    take_back(r, there, 4 * LANES * 4);
    for (int k = 0; k < 4; k++) {
        printf("exact ldmatrix %s", kinds[k]);
        for (int i = 0; i < LANES * 4; i++)
            if (k < 2 || i % 4 < 2)
                printf(" %08x", r[k * LANES * 4 + i]);
        printf("\n");
    }
}

// --- copies in the background, and rounding ------------------------------------------------------

// Lane n copies n bytes of 16, or 16 more where n > 16; the rest becomes 0. to: [32, 16] bytes
static __global__ void copy_some(uint8_t *to, const uint8_t *from)
{
    __shared__ __align__(16) uint8_t tile[LANES * 16];
    int lane = threadIdx.x;
    for (int i = 0; i < 16; i++)
        tile[16 * lane + i] = 0xaa;
    __syncthreads();
    if (lane <= 16)
        cp_async16_some(&tile[16 * lane], &from[16 * lane], lane);
    else
        cp_async16(&tile[16 * lane], &from[16 * lane]);
    cp_async_commit();
    cp_async_wait(0);
    __syncthreads();
    for (int i = 0; i < 16; i++)
        to[16 * lane + i] = tile[16 * lane + i];
}

static void copies()
{
    uint8_t from[LANES * 16], to[LANES * 16] = {};
    for (int i = 0; i < LANES * 16; i++)
        from[i] = (uint8_t)(i * 37 + 1);
    uint8_t *here = to_device(from, LANES * 16), *there = to_device(to, LANES * 16);
    LAUNCH(copy_some, 1, LANES, 0, 0, there, here);
    take_back(to, there, LANES * 16);
    must(cudaFree(here), "cudaFree");
    printf("exact cp_async 0");
    for (uint8_t byte : to)
        printf(" %02x", byte);
    printf("\n");
}

// bf16 of x, and exp and log of it. x: [32]    halves: [32]    y: [2, 32]
static __global__ void round_and_exp(const float *x, uint16_t *halves, float *y)
{
    int lane = threadIdx.x;
    halves[lane] = __bfloat16_as_ushort(__float2bfloat16(x[lane]));
    y[lane] = expf(-fabsf(x[lane]));
    y[LANES + lane] = logf(1 + fabsf(x[lane]));
}

// Ties go to the even neighbour, what is too large becomes infinite.
static void rounding()
{
    float x[LANES] = {1, 1.00390625f, 1.01171875f, 1.00390637f, -1.00390625f, 3.4e38f, -3.4e38f,
                      1e-40f, 0, -0.0f, INFINITY};
    uint16_t halves[LANES] = {};
    float y[2 * LANES] = {};
    for (int i = 11; i < LANES; i++)
        x[i] = (float)i * 0.73f - 15;
    float *from = to_device(x, LANES), *to = to_device(y, 2 * LANES);
    uint16_t *rounded = to_device(halves, LANES);
    LAUNCH(round_and_exp, 1, LANES, 0, 0, from, rounded, to);
    take_back(y, to, 2 * LANES);
    take_back(halves, rounded, LANES);
    must(cudaFree(from), "cudaFree");
    printf("exact to_bf16 0");
    for (uint16_t h : halves)
        printf(" %04x", h);
    printf("\n");
    for (int i = 11; i < LANES; i++)
        printf("near exp %d %.9g %.9g\nnear log %d %.9g %.9g\n", i, y[i], y[i], i, y[LANES + i],
               y[LANES + i]);
}

int main()
{
    for (int bf16 = 0; bf16 < 2; bf16++) {
        single_ones(bf16);
        whole_numbers(bf16);
        specials(bf16);
        any_numbers(bf16);
    }
    matrices();
    copies();
    rounding();
    return 0;
}
