// CUDA's words as a learner writes them: every intrinsic, atomic and vector type that the emulator's
// headers have, with the value that it must give. nvcc has to compile this file, too, and on a GPU it
// must say the same. One `ok - ` or `not ok - ` line for each group.

#include "gpu.h"

#include <assert.h>
#include <stdio.h>

// Every kernel adds a bit to *wrong for each value that is not the one expected.
#define EXPECT(n, condition) \
    if (!(condition))        \
        atomicOr(wrong, 1u << (n))

__global__ void bits(unsigned *wrong, int zero)
{
    EXPECT(0, __clz(zero + 1) == 31 && __clz(zero) == 32 && __clz(zero - 1) == 0);
    EXPECT(1, __clzll(zero + 1LL) == 63 && __clzll(zero) == 64);
    EXPECT(2, __popc(zero + 0xf0f0u) == 8 && __popcll(~0ull - zero) == 64);
    EXPECT(3, __ffs(zero) == 0 && __ffs(zero + 8) == 4 && __ffsll(1LL << 40) == 41);
    EXPECT(4, __brev(zero + 1u) == 0x80000000u && __brev(0x12345678u) == 0x1e6a2c48u);
    EXPECT(5, __brevll(1ull << 3) == 1ull << 60);
    EXPECT(6, __byte_perm(0x33221100u, 0x77665544u, 0x7250u) == 0x77225500u);
    EXPECT(7, __mulhi(-2, 3) == -1 && __umulhi(0x80000000u, 6u) == 3u);
    EXPECT(8, __funnelshift_l(0x80000000u, 1u, 4u) == 0x18u);
    EXPECT(9, __funnelshift_r(0x80000000u, 1u, 4u) == 0x18000000u);
    EXPECT(10, __float_as_int(1.0f) == 0x3f800000 && __uint_as_float(0x40000000u) == 2.0f);
    EXPECT(11, __longlong_as_double(__double_as_longlong(0.1)) == 0.1);
}

__global__ void numbers(unsigned *wrong, float two)
{
    EXPECT(0, min(3, 2) == 2 && max(3u, 2u) == 3u && min(1L, 2L) == 1L && max(1ull, 2ull) == 2ull);
    EXPECT(1, max(-1, 1u) == 0xffffffffu && min(two, 3.0f) == 2.0f); // an int becomes unsigned
    EXPECT(2, max(two, 3.0) == 3.0 && min(3.0, two) == 2.0 && fmaxf(two, NAN) == 2.0f);
    EXPECT(3, __float2int_rn(two + 0.5f) == 2 && __float2int_rn(two + 1.5f) == 4);
    EXPECT(4, __float2int_rd(-two - 0.5f) == -3 && __float2int_ru(two + 0.25f) == 3);
    EXPECT(5, __float2int_rz(-two - 0.5f) == -2 && __int2float_rn(16777217) == 16777216.0f);
    EXPECT(6, __saturatef(two) == 1.0f && __saturatef(-two) == 0.0f && __saturatef(0.5f) == 0.5f);
    EXPECT(7, __fadd_rn(two, 1) == 3 && __fsub_rn(two, 1) == 1 && __fmul_rn(two, 3) == 6);
    EXPECT(8, __fdiv_rn(two, 4) == 0.5f && __fsqrt_rn(two + 2) == 2 && __frcp_rn(two) == 0.5f);
    EXPECT(9, fabsf(rsqrtf(two + 2) - 0.5f) < 1e-6f && fabs(rsqrt(two + 2.0) - 0.5) < 1e-12);
    EXPECT(10, fabsf(__expf(two) - expf(two)) < 1e-5f && fabsf(__logf(two) - logf(two)) < 1e-5f);
    EXPECT(11, fabsf(__fdividef(two, 4) - 0.5f) < 1e-6f && fabsf(__powf(two, 3) - 8) < 1e-4f);
    EXPECT(12, __float2int_rz(two * 1e10f) == 0x7fffffff && __float2int_rz(NAN) == 0);
}

// One thread: what each atomic returns, and what it leaves.
__global__ void atomics(unsigned *wrong, int *i, unsigned *u, unsigned long long *q, float *f)
{
    EXPECT(0, atomicAdd(i, 5) == 0 && atomicSub(i, 2) == 5 && *i == 3);
    EXPECT(1, atomicMax(i, -7) == 3 && atomicMin(i, -7) == 3 && *i == -7);
    EXPECT(2, atomicExch(i, 12) == -7 && atomicCAS(i, 12, 6) == 12 && atomicCAS(i, 0, 1) == 6);
    EXPECT(3, atomicAnd(i, 3) == 6 && atomicOr(i, 8) == 2 && atomicXor(i, 15) == 10 && *i == 5);
    EXPECT(4, atomicInc(u, 1) == 0 && atomicInc(u, 1) == 1 && *u == 0); // back to 0 behind 1
    EXPECT(5, atomicDec(u, 9) == 0 && *u == 9 && atomicDec(u, 9) == 9 && *u == 8);
    EXPECT(6, atomicAdd(q, 1ull << 40) == 0 && atomicMax(q, 5ull) == 1ull << 40);
    EXPECT(7, atomicAdd(f, 1.5f) == 0 && atomicExch(f, 2.5f) == 1.5f && *f == 2.5f);
    EXPECT(8, atomicCAS(q, 1ull << 40, 7) == 1ull << 40 && atomicAdd(u, 1) == 8);
}

__global__ void lanes(unsigned *wrong)
{
    int i = threadIdx.x, all = -1, none = -1;
    unsigned m = 0xffffffffu;
    EXPECT(0, __match_any_sync(m, i % 4) == 0x11111111u << i % 4);
    EXPECT(1, __match_all_sync(m, 7.0, &all) == m && all == 1);
    EXPECT(2, __match_all_sync(m, i / 31, &none) == 0 && none == 0);
    EXPECT(3, __reduce_add_sync(m, i) == 496 && __reduce_max_sync(m, 5 - i) == 5);
    EXPECT(4, __reduce_min_sync(m, i - 20) == -20 && __reduce_max_sync(m, i + 3u) == 34u);
    EXPECT(5, __reduce_or_sync(m, 1u << i) == m && __reduce_and_sync(m, i | 64u) == 64u);
    EXPECT(6, __reduce_xor_sync(m, i == 3 ? 6u : 0u) == 6u);
    EXPECT(7, __float2half(2.0f) == __shfl_xor_sync(m, __float2half(i / 16 + 1.0f), 16) || i >= 16);
    EXPECT(8, __activemask() == m);
    __threadfence_system();
    __nanosleep(20);
}

union Both {
    float4 v;
    float f[4];
};

struct Pixel {
    uchar4 colour;
    float3 place;
};

// Vectors, in braces and by make_, in a union, in a struct, in shared memory.
__global__ void vectors(unsigned *wrong, float4 *a, const Pixel *p)
{
    __shared__ double2 tile[32];
    int i = threadIdx.x;
    float4 v = {1, 2, 3, 4}, zero{};
    Both both;
    tile[i] = make_double2(i, -i);
    __syncwarp();
    double2 other = tile[31 - i];
    EXPECT(0, other.x == 31 - i && other.y == i - 31);
    both.v = v;
    EXPECT(1, both.f[0] + both.f[3] == 5 && zero.w == 0);
    a[i] = float4{0, 1, 2, 3};
    EXPECT(2, __ldg(&a[i]).z == 2 && __ldcg(a + i).y == 1);
    Pixel pixel = p[i];
    EXPECT(3, pixel.colour.w == i && pixel.place.z == 3.0f * i);
    float3 there = p[31 - i].place;
    EXPECT(4, there.x + there.y == 3.0f * (31 - i));
    uint3 t = threadIdx;
    dim3 n = blockDim;
    EXPECT(5, t.x == threadIdx.x && n.x * n.y * n.z == 32);
    EXPECT(6, make_short2(3, 4).y == 4 && make_int3(1, 2, 3).z == 3 && make_uchar4(1, 2, 3, 255).w == 255);
}

__global__ void no_arguments()
{
    assert(blockDim.x == 32);
    if (blockDim.x != 32)
        __trap();
    if (threadIdx.x == 31 && blockIdx.x == 0)
        printf("block %d says %.1f\n", (int)blockIdx.x, 1.5);
}

static int failed;

static void check(const char *what, unsigned *wrong)
{
    unsigned bits = ~0u;
    cudaError_t error = cudaMemcpy(&bits, wrong, sizeof bits, cudaMemcpyDeviceToHost);
    printf("%sok - words: %s\n", bits ? "not " : "", what);
    if (bits)
        printf("    wrong: %08x, %s\n", bits, cudaGetErrorName(error));
    failed |= bits != 0;
    cudaMemset(wrong, 0, sizeof bits);
}

int main()
{
    unsigned *wrong = NULL;
    char *room = NULL;
    Pixel host[32], *p = NULL;
    float4 *a = NULL;
    for (int i = 0; i < 32; i++) {
        host[i].colour = make_uchar4(0, 0, 0, (unsigned char)i);
        host[i].place = make_float3(1.0f * i, 2.0f * i, 3.0f * i);
    }
    cudaMalloc(&wrong, sizeof *wrong);
    cudaMalloc(&room, 64);
    cudaMalloc(&p, sizeof host);
    cudaMalloc(&a, 32 * sizeof *a);
    cudaMemset(wrong, 0, sizeof *wrong);
    cudaMemset(room, 0, 64);
    cudaMemcpy(p, host, sizeof host, cudaMemcpyHostToDevice);
    LAUNCH(bits, 1, 1, 0, 0, wrong, 0);
    check("bits", wrong);
    LAUNCH(numbers, 1, 1, 0, 0, wrong, 2.0f);
    check("numbers", wrong);
    LAUNCH(atomics, 1, 1, 0, 0, wrong, reinterpret_cast<int *>(room),
           reinterpret_cast<unsigned *>(room + 16), reinterpret_cast<unsigned long long *>(room + 32),
           reinterpret_cast<float *>(room + 48));
    check("atomics", wrong);
    LAUNCH(lanes, 1, 32, 0, 0, wrong);
    check("lanes", wrong);
    LAUNCH(vectors, 1, 32, 0, 0, wrong, a, p);
    check("vectors", wrong);
    LAUNCH(no_arguments, 2, 32, 0, 0);
    check("a kernel without arguments, printf, assert", wrong);
    cudaFree(wrong);
    cudaFree(room);
    cudaFree(p);
    cudaFree(a);
    return failed;
}
