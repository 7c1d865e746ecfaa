// The instructions that gpu.h wraps, against plain loops: mma.m16n8k16 with bf16 and fp16,
// ldmatrix, cp.async, mbarriers and bulk copies. Which lane holds what is written down here once
// more, from the PTX ISA and not from the emulator; every number is chosen so that the answer does
// not depend on the order of a sum. So the same file runs on a GPU (nvcc -arch=sm_90a), too.

#include "gpu.h"

#include <stdio.h>
#include <string.h>
#include <vector>

static int failed;

static void check(const char *what, bool good)
{
    printf("%sok - tensor %s\n", good ? "" : "not ", what);
    failed |= !good;
}

template <class T> static T *to_device(const std::vector<T> &host)
{
    T *p = NULL;
    if (cudaMalloc(&p, host.size() * sizeof(T)) == cudaSuccess)
        cudaMemcpy(p, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice);
    return p;
}

template <class T> static std::vector<T> to_host(T *from, size_t n)
{
    std::vector<T> host(n);
    cudaMemcpy(host.data(), from, n * sizeof(T), cudaMemcpyDeviceToHost);
    cudaFree(from);
    return host;
}

// --- mma -------------------------------------------------------------------------------------

// D [16, 8] = A [16, 16] B [16, 8] + C [16, 8], all row-major, every number put by hand where the
// PTX ISA wants it ("Matrix Fragments for mma.m16n8k16 with floating point type").
template <bool BF16>
__global__ void product(const uint16_t *A, const uint16_t *B, const float *C, float *D)
{
    int group = threadIdx.x >> 2, thread = threadIdx.x & 3;
    uint32_t a[4] = {}, b[2] = {};
    float c[4], d[4];
    for (int i = 0; i < 8; i++) {
        int row = i < 2 || (4 <= i && i < 6) ? group : group + 8;
        int column = thread * 2 + (i & 1) + (i < 4 ? 0 : 8);
        a[i / 2] |= (uint32_t)A[row * 16 + column] << (i & 1) * 16;
    }
    for (int i = 0; i < 4; i++) {
        int row = thread * 2 + (i & 1) + (i < 2 ? 0 : 8);
        b[i / 2] |= (uint32_t)B[row * 8 + group] << (i & 1) * 16;
    }
    for (int i = 0; i < 4; i++)
        c[i] = C[(i < 2 ? group : group + 8) * 8 + thread * 2 + (i & 1)];
    if constexpr (BF16) {
        mma_bf16(d, a, b, c);
    } else {
        mma_f16(d, a, b, c);
    }
    for (int i = 0; i < 4; i++)
        D[(i < 2 ? group : group + 8) * 8 + thread * 2 + (i & 1)] = d[i];
}

template <bool BF16> static float number(uint16_t bits)
{
    int exponent = BF16 ? bits >> 7 & 255 : bits >> 10 & 31;
    int mantissa = BF16 ? bits & 127 : bits & 1023, digits = BF16 ? 7 : 10;
    int bias = BF16 ? 127 : 15, top = BF16 ? 255 : 31;
    double x = exponent == 0 ? ldexp(mantissa, 1 - bias - digits)
                             : ldexp(mantissa + (1 << digits), exponent - bias - digits);
    if (exponent == top)
        x = mantissa ? NAN : INFINITY;
    return (float)(bits & 0x8000 ? -x : x);
}

static bool same(float x, float y)
{
    return memcmp(&x, &y, sizeof x) == 0 || (std::isnan(x) && std::isnan(y)) || (x == 0 && y == 0);
}

template <bool BF16>
static bool agrees(const std::vector<uint16_t> &A, const std::vector<uint16_t> &B,
                   const std::vector<float> &C)
{
    uint16_t *a = to_device(A), *b = to_device(B);
    float *c = to_device(C), *d = to_device(std::vector<float>(128, -1.0f));
    LAUNCH((product<BF16>), 1, 32, 0, 0, a, b, c, d);
    std::vector<float> D = to_host(d, 128);
    bool good = true;
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++) {
            double sum = C[i * 8 + j];
            for (int k = 0; k < 16; k++)
                sum += (double)number<BF16>(A[i * 16 + k]) * number<BF16>(B[k * 8 + j]);
            good &= same(D[i * 8 + j], (float)sum);
        }
    cudaFree(a), cudaFree(b), cudaFree(c);
    return good;
}

// Every number of A and B another small integer: a swapped pair of lanes changes some sum.
template <bool BF16> static bool integers()
{
    std::vector<uint16_t> A(256), B(128);
    std::vector<float> C(128);
    unsigned seed = 1;
    auto small = [&seed]() {
        seed = seed * 1664525u + 1013904223u;
        int x = (int)(seed >> 24) % 128 - 64;
        float f = (float)x;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        // An integer below 128 has at most 7 bits: exact in both formats.
        return (uint16_t)(BF16 ? bits >> 16 : x == 0 ? 0 : (bits >> 16 & 0x8000) |
                          (((bits >> 13 & 0x3ffff) - (112 << 10)) & 0x7fff));
    };
    bool good = true;
    for (int turn = 0; turn < 8; turn++) {
        for (uint16_t &x : A)
            x = small();
        for (uint16_t &x : B)
            x = small();
        for (float &x : C)
            x = number<BF16>(small()) * 1024;
        good &= agrees<BF16>(A, B, C);
    }
    return good;
}

// One number of A meets one of B, everything else is 0: at each of the 16 x 16 places of A, and
// with the corresponding row of B.
template <bool BF16> static bool one_pair(uint16_t x, uint16_t y, float c)
{
    bool good = true;
    for (int place = 0; place < 256; place += 37) {
        std::vector<uint16_t> A(256), B(128);
        std::vector<float> C(128, c);
        A[place] = x;
        B[place % 16 * 8 + place / 32] = y;
        good &= agrees<BF16>(A, B, C);
    }
    return good;
}

template <bool BF16> static void all_products(const char *type)
{
    const uint16_t one = BF16 ? 0x3f80 : 0x3c00, inf = BF16 ? 0x7f80 : 0x7c00, nan = inf + 1;
    const uint16_t tiny = 1, largest = inf - 1, negative = 0x8000;
    char name[64];
    auto says = [&](const char *what) {
        snprintf(name, sizeof name, "mma %s: %s", type, what);
        return name;
    };
    check(says("integers, every lane's piece"), integers<BF16>());
    check(says("subnormals count"), one_pair<BF16>(tiny, one, 0) &&
                                    one_pair<BF16>(one, tiny | negative, 0) &&
                                    one_pair<BF16>(largest, tiny, 0));
    check(says("the largest number squared"), one_pair<BF16>(largest, largest, 0));
    check(says("infinity times one, and times zero"), one_pair<BF16>(inf, one, 1) &&
                                                      one_pair<BF16>(inf | negative, one, 1) &&
                                                      one_pair<BF16>(inf, 0, 1));
    check(says("NaN spreads along its row and column only"), one_pair<BF16>(nan, one, 0) &&
                                                             one_pair<BF16>(one, nan, 0));
    check(says("infinity less infinity"), one_pair<BF16>(inf, one, -INFINITY));
}

// --- ldmatrix --------------------------------------------------------------------------------

// 32 rows of 8 halves, number 8 r + c in row r, column c, lie in shared memory in a mixed order.
template <int N, bool TRANSPOSED> __global__ void load(uint32_t *out)
{
    __shared__ __align__(16) uint16_t rows[32 * 8];
    int lane = threadIdx.x;
    for (int c = 0; c < 8; c++)
        rows[lane * 5 % 32 * 8 + c] = (uint16_t)(lane * 8 + c);
    __syncthreads();
    uint32_t r[4] = {};
    const uint16_t *mine = &rows[lane * 5 % 32 * 8];
    if constexpr (N == 4 && !TRANSPOSED) {
        ldmatrix_x4(r, mine);
    } else if constexpr (N == 4) {
        ldmatrix_x4_trans(r, mine);
    } else if constexpr (!TRANSPOSED) {
        ldmatrix_x2(r, mine);
    } else {
        ldmatrix_x2_trans(r, mine);
    }
    for (int m = 0; m < N; m++)
        out[m * 32 + lane] = r[m];
}

// Register m of a lane: row lane / 4 of matrix m, columns 2 (lane % 4) and the next; transposed,
// the matrix has changed rows and columns before.
template <int N, bool TRANSPOSED> static bool loads()
{
    uint32_t *out = to_device(std::vector<uint32_t>(128));
    LAUNCH((load<N, TRANSPOSED>), 1, 32, 0, 0, out);
    std::vector<uint32_t> r = to_host(out, 128);
    bool good = true;
    for (int m = 0; m < N; m++)
        for (int lane = 0; lane < 32; lane++) {
            int row = lane / 4, column = lane % 4 * 2;
            uint32_t low = TRANSPOSED ? column * 8 + row : row * 8 + column;
            uint32_t high = TRANSPOSED ? (column + 1) * 8 + row : row * 8 + column + 1;
            good &= r[m * 32 + lane] == ((64 * m + low) | (64 * m + high) << 16);
        }
    return good;
}

// --- copies in the background ----------------------------------------------------------------

// Lane i copies the first i % 17 bytes of 16; what it does not copy must become 0.
__global__ void copy_some(const unsigned char *from, unsigned char *to)
{
    __shared__ __align__(16) unsigned char tile[32 * 16];
    int lane = threadIdx.x;
    for (int k = 0; k < 16; k++)
        tile[lane * 16 + k] = 0xee;
    cp_async16_some(&tile[lane * 16], &from[lane * 16], lane % 17);
    cp_async_commit();
    cp_async_wait(0);
    for (int k = 0; k < 16; k++)
        to[lane * 16 + k] = tile[lane * 16 + k];
}

static bool copies_some()
{
    std::vector<unsigned char> bytes(512);
    for (int i = 0; i < 512; i++)
        bytes[i] = (unsigned char)(i % 251 + 1);
    unsigned char *from = to_device(bytes), *to = to_device(std::vector<unsigned char>(512));
    LAUNCH(copy_some, 1, 32, 0, 0, from, to);
    std::vector<unsigned char> got = to_host(to, 512);
    bool good = true;
    for (int i = 0; i < 512; i++)
        good &= got[i] == (i % 16 < i / 16 % 17 ? bytes[i] : 0);
    cudaFree(from);
    return good;
}

// Three groups, waited for one by one: with n groups allowed to be on their way, the older are in.
__global__ void groups(const float *from, float *to)
{
    __shared__ __align__(16) float tile[3][128];
    int lane = threadIdx.x;
    for (int g = 0; g < 3; g++) {
        cp_async16(&tile[g][4 * lane], &from[g * 128 + 4 * lane]);
        cp_async_commit();
    }
    cp_async_wait(2);
    to[lane] = tile[0][4 * lane + 1];
    cp_async_wait(1);
    to[32 + lane] = tile[1][4 * lane + 2];
    cp_async_wait(0);
    to[64 + lane] = tile[2][4 * lane + 3];
}

static bool copies_in_groups()
{
    std::vector<float> numbers(384);
    for (int i = 0; i < 384; i++)
        numbers[i] = (float)i;
    float *from = to_device(numbers), *to = to_device(std::vector<float>(96));
    LAUNCH(groups, 1, 32, 0, 0, from, to);
    std::vector<float> got = to_host(to, 96);
    bool good = true;
    for (int g = 0; g < 3; g++)
        for (int lane = 0; lane < 32; lane++)
            good &= got[g * 32 + lane] == (float)(g * 128 + 4 * lane + g + 1);
    cudaFree(from);
    return good;
}

// 20 bulk copies of growing sizes through one buffer; the mbarrier's parity changes with each.
__global__ void bulk(const float *from, float *to)
{
    __shared__ __align__(16) float tile[320];
    __shared__ uint64_t full;
    int i = threadIdx.x;
    if (i == 0)
        mbarrier_init(&full, 1);
    __syncthreads();
    for (int turn = 0; turn < 20; turn++) {
        int n = 16 * (turn + 1); // floats
        if (i == 0) {
            mbarrier_arrive(&full, n * sizeof(float));
            bulk_copy(tile, from + turn * 320, n * sizeof(float), &full);
        }
        while (!mbarrier_try_wait(&full, turn & 1))
            ;
        for (int k = i; k < n; k += 64)
            to[turn * 320 + k] = tile[k];
        __syncthreads();
    }
}

static bool copies_in_bulk()
{
    std::vector<float> numbers(6400);
    for (int i = 0; i < 6400; i++)
        numbers[i] = (float)i;
    float *from = to_device(numbers), *to = to_device(std::vector<float>(6400, -1.0f));
    LAUNCH(bulk, 1, 64, 0, 0, from, to);
    std::vector<float> got = to_host(to, 6400);
    bool good = true;
    for (int i = 0; i < 6400; i++)
        good &= got[i] == (i % 320 < 16 * (i / 320 + 1) ? (float)i : -1.0f);
    cudaFree(from);
    return good;
}

int main()
{
    all_products<true>("bf16");
    all_products<false>("fp16");
    check("ldmatrix x2", loads<2, false>());
    check("ldmatrix x2, transposed", loads<2, true>());
    check("ldmatrix x4", loads<4, false>());
    check("ldmatrix x4, transposed", loads<4, true>());
    check("cp.async of 0 to 16 bytes, the rest zeros", copies_some());
    check("cp.async in three groups", copies_in_groups());
    check("bulk copies of 64 to 1280 bytes behind one mbarrier", copies_in_bulk());
    check("no launch reported anything", cudaGetLastError() == cudaSuccess &&
                                         cudaDeviceSynchronize() == cudaSuccess);
    return failed;
}
