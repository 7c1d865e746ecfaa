// Vectors of LANES floats, in GCC's and clang's own extension of C: a + b adds lane by lane, and
// the compiler picks the instructions. One source serves every instruction set; the build
// compiles it once for each (Makefile, ISAS) and dispatch.c picks one of them at run time:
//
//     name      lanes  registers  compiled for
//     avx512     16       32      x86-64-v4
//     avx2        8       16      x86-64-v3
//     base        4      16, 32   what every processor of this kind has: SSE2, or NEON
//     scalar      1       16      the same, one float at a time
//
// This is the one header of kernels/cpu that asks which instruction set it is compiled for.

#ifndef VECTOR_H
#define VECTOR_H

#include "pass.h"

#include <stdint.h>
#include <string.h>

#ifndef LANES
#define LANES 4
#define ISA base
#endif

// KERNEL(prefill_skip) is prefill_skip_avx512: a name for each instruction set.
#define KERNEL_NAME(name, isa) name##_##isa
#define KERNEL_OF(name, isa) KERNEL_NAME(name, isa)
#define KERNEL(name) KERNEL_OF(name, ISA)

typedef float    vec  __attribute__((vector_size(4 * LANES), may_alias));
typedef int32_t  ivec __attribute__((vector_size(4 * LANES), may_alias));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES), may_alias));
typedef uint16_t hvec __attribute__((vector_size(2 * LANES), may_alias));

// A strip is STRIP queries; a panel is PANEL vectors of keys. STRIP * PANEL sums, PANEL loads and
// a broadcast must fit the registers: 24 + 4 + 1 of 32, or 12 + 2 + 1 of 16.
#if defined __AVX512F__ || defined __ARM_NEON
enum { STRIP = 6, PANEL = 4 };
#else
enum { STRIP = 6, PANEL = 2 };
#endif

enum { PANEL_KEYS = PANEL * LANES };

// In front of a short loop over an array of vectors: laid out in full, the array is registers.
#define UNROLL _Pragma("GCC unroll 16")

// The same number in every caller's loop: what a caller passes as a constant must become one.
#define INLINE static inline __attribute__((always_inline))

// x in every lane. x - 0 is x, and costs nothing; 0 + x would be an addition, for 0 + -0 is 0.
static inline vec vec_of(float x)
{
    return x - (vec){0};
}

static inline vec vec_load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void vec_store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

// The first n floats of p, n < LANES, and zeros behind them. Reads nothing else.
static inline vec vec_load_part(const float *p, long n)
{
    vec v = {0};
    memcpy(&v, p, (size_t)n * sizeof(float));
    return v;
}

static inline void vec_store_part(float *p, vec v, long n)
{
    memcpy(p, &v, (size_t)n * sizeof(float));
}

// yes where the lanes of `which` are -1, no where they are 0.
static inline vec vec_select(ivec which, vec yes, vec no)
{
    return (vec)((which & (ivec)yes) | (~which & (ivec)no));
}

// a > b ? a : b, so that the result is b where one of them is NaN. x86 has one instruction for
// exactly that, which neither compiler makes of the comparison.
#if defined __AVX512F__ || defined __AVX2__ || defined __SSE2__
#include <immintrin.h>
#endif
static inline vec vec_max(vec a, vec b)
{
#if defined __AVX512F__ && LANES == 16
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined __AVX2__ && LANES == 8
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined __SSE2__ && LANES == 4
    return (vec)_mm_max_ps((__m128)a, (__m128)b);
#else
    return vec_select(a > b, a, b);
#endif
}

// --- across lanes ------------------------------------------------------------------------------

#if LANES == 16
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
#elif LANES == 8
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7}
#elif LANES == 4
#define LANE_NUMBERS {0, 1, 2, 3}
#else
#define LANE_NUMBERS {0}
#endif

// Lane i is lane which[i] of a and b, b's counted on from LANES.
#ifdef __clang__
static inline vec vec_pick(vec a, vec b, ivec which) // which clang has only for fixed numbers
{
    float from[2 * LANES], to[LANES];
    vec_store(from, a);
    vec_store(from + LANES, b);
    for (int i = 0; i < LANES; i++)
        to[i] = from[which[i] & (2 * LANES - 1)];
    return vec_load(to);
}
#else
INLINE vec vec_pick(vec a, vec b, ivec which)
{
    return __builtin_shuffle(a, b, which);
}
#endif

// Lane i + n in lane i, around the end.
INLINE vec vec_turn(vec v, int n)
{
    const ivec lane = LANE_NUMBERS;
    return vec_pick(v, v, (lane + n) & (LANES - 1));
}

// Every x[i] gets its largest lane into all of its lanes. In step, since each depends on itself
// alone: n chains of dependent instructions at once take as long as one. A NaN may get lost.
INLINE void vec_spread_max(vec *x, int n)
{
    UNROLL for (int step = LANES / 2; step > 0; step /= 2)
        UNROLL for (int i = 0; i < n; i++)
            x[i] = vec_max(x[i], vec_turn(x[i], step));
}

// The sum of all lanes, by halves.
static inline float vec_total(vec v)
{
    UNROLL for (int step = LANES / 2; step > 0; step /= 2)
        v += vec_turn(v, step);
    return v[0];
}

// Two vectors into one: lanes `step` apart are added, a's into the lanes whose number has no such
// bit, b's into those that have.
INLINE vec vec_fold(vec a, vec b, const int step)
{
    const ivec lane = LANE_NUMBERS, left = (lane & step) == 0;
    const ivec upper = (left & lane) | (~left & (lane - step + LANES));
    const ivec lower = (left & (lane + step)) | (~left & (lane + LANES));
    return vec_pick(a, b, upper) + vec_pick(a, b, lower);
}

// to[i] = the sum of all lanes of x[i], i < 4, in the order of vec_total, and so the same bits.
INLINE void vec_totals(float to[4], const vec x[4])
{
    const ivec quarter = (ivec)LANE_NUMBERS * (LANES / 4) & (LANES - 1);
    vec even = vec_fold(x[0], x[2], LANES / 2), odd = vec_fold(x[1], x[3], LANES / 2);
    vec sum = vec_fold(even, odd, LANES / 4);
    UNROLL for (int step = LANES / 8; step > 0; step /= 2)
        sum += vec_turn(sum, step);
    sum = vec_pick(sum, sum, quarter);
    UNROLL for (int i = 0; i < 4; i++)
        to[i] = LANES < 4 ? vec_total(x[i]) : sum[i & (LANES - 1)];
}

// LANES rows of LANES floats become columns. In each step blocks of `half` by `half` change places
// with their neighbours across the diagonal, in blocks twice as large.
INLINE void vec_transpose(vec x[LANES])
{
    const ivec lane = LANE_NUMBERS;
    UNROLL for (int half = LANES / 2; half > 0; half /= 2) {
        const ivec left = (lane & half) == 0;
        const ivec upper = (left & lane) | (~left & (lane - half + LANES));
        const ivec lower = (left & (lane + half)) | (~left & (lane + LANES));
        UNROLL for (int i = 0; i < LANES; i++)
            if (!(i & half)) {
                vec a = x[i], b = x[i + half];
                x[i] = vec_pick(a, b, upper);
                x[i + half] = vec_pick(a, b, lower);
            }
    }
}

// --- exponentials ------------------------------------------------------------------------------

// Exponentials are taken several at a time, step by step: each is a chain of a dozen instructions
// that wait for each other, and so many chains at once take hardly longer than one.
enum { ABREAST = PANEL > 2 ? STRIP : STRIP / 2 };

// y[i] = 2^y[i] for n <= ABREAST vectors of -126.5 < y <= 0; 0 below that, -inf included; NaN for
// NaN. Off by less than 2.1 ulps, which tests/unit_vector.c tries for every float there is.
//
// y = n + f with n whole and |f| <= 1/2. Adding ROUND pushes the fraction out of the float, so
// that its low bits hold n + 127: moved to where the exponent is, they are the float 2^n, and for
// n = -127 the float 0. 2^f is a polynomial that is 1 at 0, its largest error in ulps made as small
// as five more coefficients allow. A NaN comes through: 0 * NaN is NaN, too.
INLINE void vec_exp2_all(vec *y, const int n)
{
    const vec ROUND = vec_of(0x1.8p23f + 127.0f), least = vec_of(-127.0f);
    const float factor[] = {0x1.5aac90p-10f, 0x1.3cec48p-7f, 0x1.c6babap-5f, 0x1.ebf9b6p-3f,
                            0x1.62e424p-1f, 1.0f};
    vec shifted[ABREAST], p[ABREAST];
    UNROLL for (int i = 0; i < n; i++) {
        y[i] = vec_max(least, y[i]); // a NaN stays: vec_max returns its second argument then
        shifted[i] = y[i] + ROUND;
    }
    UNROLL for (int i = 0; i < n; i++) {
        y[i] -= shifted[i] - ROUND; // f
        p[i] = vec_of(factor[0]);
    }
    UNROLL for (int k = 1; k < 6; k++)
        UNROLL for (int i = 0; i < n; i++)
            p[i] = p[i] * y[i] + vec_of(factor[k]);
    UNROLL for (int i = 0; i < n; i++)
        y[i] = p[i] * (vec)((ivec)shifted[i] << 23);
}

static inline vec vec_exp2(vec y)
{
    vec_exp2_all(&y, 1);
    return y;
}

// --- what K and V may be kept in -----------------------------------------------------------------

// 16 bits become 32, zeros above them. AVX-512 has one instruction for it; gcc makes five.
static inline uvec vec_wide(hvec bits)
{
#if defined __AVX512F__ && LANES == 16
    return (uvec)_mm512_cvtepu16_epi32((__m256i)bits);
#else
    return __builtin_convertvector(bits, uvec);
#endif
}

// bf16 is the upper half of a float.
static inline vec vec_of_bf16(hvec bits)
{
    return (vec)(vec_wide(bits) << 16);
}

// fp16: sign, 5 bits of exponent, 10 of fraction. Moved to where a float has them it is too small
// by 2^112, which a product mends, for subnormals, too. inf and NaN get the float's own exponent.
static inline vec vec_of_f16(hvec bits)
{
    uvec wide = vec_wide(bits), size = wide & 0x7fff;
    uvec number = (uvec)((vec)(size << 13) * vec_of(0x1p112f));
    uvec special = (uvec)(size >= 0x7c00) & 0x7f800000;
    return (vec)(number | special | (wide & 0x8000) << 16);
}

// Numbers d to d + n of a row, n <= LANES, as floats; zeros behind them. Reads nothing else.
INLINE vec vec_kept(const void *row, Kept kept, long d, long n)
{
    if (kept == KEPT_F32)
        return n == LANES ? vec_load((const float *)row + d)
                          : vec_load_part((const float *)row + d, n);
    hvec bits = {0};
    if (n == LANES) // a size that the compiler knows is one instruction
        memcpy(&bits, (const uint16_t *)row + d, sizeof bits);
    else
        memcpy(&bits, (const uint16_t *)row + d, (size_t)n * sizeof(uint16_t));
    return kept == KEPT_BF16 ? vec_of_bf16(bits) : vec_of_f16(bits);
}

#endif
