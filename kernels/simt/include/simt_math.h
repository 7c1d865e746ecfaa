// CUDA's arithmetic, as far as the C library has not got it.

#ifndef SIMT_MATH_H
#define SIMT_MATH_H

// The C library declares some of these names without defining them: macros, behind <cmath>.
#define __expf(x) expf(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __sincosf(x, s, c) sincosf(x, s, c)
#define __fmaf_rn(a, b, c) fmaf(a, b, c)
SIMT_INLINE float __fdividef(float a, float b) { return a / b; }
SIMT_INLINE float __fdiv_rn(float a, float b) { return a / b; }
SIMT_INLINE float __fadd_rn(float a, float b) { return a + b; }
SIMT_INLINE float __fsub_rn(float a, float b) { return a - b; }
SIMT_INLINE float __fmul_rn(float a, float b) { return a * b; }
SIMT_INLINE float __fsqrt_rn(float x) { return sqrtf(x); }
SIMT_INLINE float __frcp_rn(float x) { return 1.0f / x; }
SIMT_INLINE float __frsqrt_rn(float x) { return static_cast<float>(1.0 / sqrt(double(x))); }
SIMT_INLINE float rsqrtf(float x) { return 1.0f / sqrtf(x); }
SIMT_INLINE double rsqrt(double x) { return 1.0 / sqrt(x); }
SIMT_INLINE float __saturatef(float x) { return x > 0.0f ? fminf(x, 1.0f) : 0.0f; } // NaN: 0

// --- bits --------------------------------------------------------------------------------------

SIMT_INLINE int __popc(unsigned x) { return __builtin_popcount(x); }
SIMT_INLINE int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
SIMT_INLINE int __ffs(int x) { return __builtin_ffs(x); }
SIMT_INLINE int __ffsll(long long x) { return __builtin_ffsll(x); }
SIMT_INLINE int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
SIMT_INLINE int __clzll(long long x)
{
    return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64;
}

// Halves of the whole change places, then halves of the halves, down to single bits.
SIMT_INLINE unsigned __brev(unsigned x)
{
    x = x >> 16 | x << 16;
    x = (x & 0xff00ff00u) >> 8 | (x & 0x00ff00ffu) << 8;
    x = (x & 0xf0f0f0f0u) >> 4 | (x & 0x0f0f0f0fu) << 4;
    x = (x & 0xccccccccu) >> 2 | (x & 0x33333333u) << 2;
    return (x & 0xaaaaaaaau) >> 1 | (x & 0x55555555u) << 1;
}

SIMT_INLINE unsigned long long __brevll(unsigned long long x)
{
    return static_cast<unsigned long long>(__brev(static_cast<unsigned>(x))) << 32 |
           __brev(static_cast<unsigned>(x >> 32));
}

// Four bytes out of the eight of b:a; each digit of `which` names one (PTX ISA, "prmt").
SIMT_INLINE unsigned __byte_perm(unsigned a, unsigned b, unsigned which)
{
    unsigned long long both = static_cast<unsigned long long>(b) << 32 | a;
    unsigned x = 0;
    for (unsigned i = 0; i < 4; i++)
        x |= static_cast<unsigned>(both >> 8 * (which >> 4 * i & 7) & 255) << 8 * i;
    return x;
}

// The upper half of a product of 64 bits.
SIMT_INLINE int __mulhi(int a, int b)
{
    return static_cast<int>(static_cast<long long>(a) * b >> 32);
}
SIMT_INLINE unsigned __umulhi(unsigned a, unsigned b)
{
    return static_cast<unsigned>(static_cast<unsigned long long>(a) * b >> 32);
}

// The upper 32 bits of high:low, shifted to the left by less than 32; the lower, to the right.
SIMT_INLINE unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift)
{
    unsigned long long both = static_cast<unsigned long long>(high) << 32 | low;
    return static_cast<unsigned>(both << (shift & 31) >> 32);
}
SIMT_INLINE unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift)
{
    unsigned long long both = static_cast<unsigned long long>(high) << 32 | low;
    return static_cast<unsigned>(both >> (shift & 31));
}

template <class To, class From>
SIMT_INLINE SIMT_UNSEEN To simt_bits(From from)
{
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}
SIMT_INLINE float __int_as_float(int i) { return simt_bits<float>(i); }
SIMT_INLINE float __uint_as_float(unsigned i) { return simt_bits<float>(i); }
SIMT_INLINE int __float_as_int(float f) { return simt_bits<int>(f); }
SIMT_INLINE unsigned __float_as_uint(float f) { return simt_bits<unsigned>(f); }
SIMT_INLINE long long __double_as_longlong(double d) { return simt_bits<long long>(d); }
SIMT_INLINE double __longlong_as_double(long long i) { return simt_bits<double>(i); }

// --- to whole numbers: the nearest, or the next one below, above or towards 0. What an int does not
// hold becomes the largest or the smallest, and NaN becomes 0. --------------------------------------

SIMT_INLINE int simt_to_int(float x)
{
    return x >= 0x1p31f ? 0x7fffffff : x >= -0x1p31f ? static_cast<int>(x)
                                     : x < 0         ? -0x7fffffff - 1 : 0;
}
SIMT_INLINE int __float2int_rn(float x) { return simt_to_int(rintf(x)); }
SIMT_INLINE int __float2int_rd(float x) { return simt_to_int(floorf(x)); }
SIMT_INLINE int __float2int_ru(float x) { return simt_to_int(ceilf(x)); }
SIMT_INLINE int __float2int_rz(float x) { return simt_to_int(x); }
SIMT_INLINE float __int2float_rn(int x) { return static_cast<float>(x); }
SIMT_INLINE float __uint2float_rn(unsigned x) { return static_cast<float>(x); }

// --- the smaller, the larger -------------------------------------------------------------------
// For every pair of types that nvcc takes: int and float together it does not.

#define SIMT_MIN_MAX(type, one, other)                                                           \
    SIMT_INLINE type min(one a, other b)                                                         \
    {                                                                                            \
        return static_cast<type>(b) < static_cast<type>(a) ? static_cast<type>(b)                \
                                                           : static_cast<type>(a);               \
    }                                                                                            \
    SIMT_INLINE type max(one a, other b)                                                         \
    {                                                                                            \
        return static_cast<type>(a) < static_cast<type>(b) ? static_cast<type>(b)                \
                                                           : static_cast<type>(a);               \
    }
#define SIMT_MIN_MAX_SIGNS(type)                                                                 \
    SIMT_MIN_MAX(type, type, type)                                                               \
    SIMT_MIN_MAX(unsigned type, unsigned type, unsigned type)                                    \
    SIMT_MIN_MAX(unsigned type, type, unsigned type)                                             \
    SIMT_MIN_MAX(unsigned type, unsigned type, type)
SIMT_MIN_MAX_SIGNS(int)
SIMT_MIN_MAX_SIGNS(long)
SIMT_MIN_MAX_SIGNS(long long)
SIMT_INLINE float min(float a, float b) { return fminf(a, b); }
SIMT_INLINE float max(float a, float b) { return fmaxf(a, b); }
#define SIMT_MIN_MAX_DOUBLE(one, other)                                                          \
    SIMT_INLINE double min(one a, other b) { return fmin(a, b); }                                \
    SIMT_INLINE double max(one a, other b) { return fmax(a, b); }
SIMT_MIN_MAX_DOUBLE(double, double)
SIMT_MIN_MAX_DOUBLE(float, double)
SIMT_MIN_MAX_DOUBLE(double, float)

#endif
