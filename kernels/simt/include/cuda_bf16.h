// bfloat16: the upper half of a float. 8 bits of exponent, 7 of mantissa.

#ifndef SIMT_CUDA_BF16_H
#define SIMT_CUDA_BF16_H

#include "cuda_runtime.h"

struct __nv_bfloat16 {
    uint16_t bits;
    constexpr __nv_bfloat16() : bits() {}
    SIMT_UNSEEN explicit __nv_bfloat16(float f);
    SIMT_UNSEEN operator float() const;
};
typedef __nv_bfloat16 nv_bfloat16;
template <>
struct simt_shuffles<__nv_bfloat16> : std::true_type {};

struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
typedef __nv_bfloat162 nv_bfloat162;
template <>
struct simt_shuffles<__nv_bfloat162> : std::true_type {};

SIMT_INLINE SIMT_UNSEEN float __bfloat162float(__nv_bfloat16 h)
{
    return simt_bits<float>(static_cast<uint32_t>(h.bits) << 16);
}

// To the nearest, ties to the even one. Adding half of the last place carries where it must;
// a NaN would carry into the exponent, so it is answered apart: by a mask and not by a branch, at
// which lanes would part, for on a GPU this is one instruction.
SIMT_INLINE SIMT_UNSEEN __nv_bfloat16 __float2bfloat16(float f)
{
    uint32_t u = simt_bits<uint32_t>(f), rounded = (u + 0x7fffu + (u >> 16 & 1)) >> 16;
    uint32_t nan = 0u - static_cast<uint32_t>((u & 0x7fffffffu) > 0x7f800000u); // all bits or none
    __nv_bfloat16 h;
    h.bits = static_cast<uint16_t>((rounded & ~nan) | (0x7fffu & nan));
    return h;
}
SIMT_INLINE __nv_bfloat16 __float2bfloat16_rn(float f) { return __float2bfloat16(f); }

inline __nv_bfloat16::__nv_bfloat16(float f) : bits(__float2bfloat16(f).bits) {}
inline __nv_bfloat16::operator float() const { return __bfloat162float(*this); }

SIMT_INLINE SIMT_UNSEEN __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 low, __nv_bfloat16 high)
{
    __nv_bfloat162 pair;
    pair.x = low;
    pair.y = high;
    return pair;
}
SIMT_INLINE __nv_bfloat162 __floats2bfloat162_rn(float low, float high)
{
    return __halves2bfloat162(__float2bfloat16(low), __float2bfloat16(high));
}
SIMT_INLINE SIMT_UNSEEN float2 __bfloat1622float2(__nv_bfloat162 pair)
{
    return make_float2(__bfloat162float(pair.x), __bfloat162float(pair.y));
}
SIMT_INLINE float __low2float(__nv_bfloat162 pair) { return __bfloat162float(pair.x); }
SIMT_INLINE float __high2float(__nv_bfloat162 pair) { return __bfloat162float(pair.y); }
SIMT_INLINE unsigned short __bfloat16_as_ushort(__nv_bfloat16 h) { return h.bits; }
SIMT_INLINE __nv_bfloat16 __ushort_as_bfloat16(unsigned short u)
{
    __nv_bfloat16 h;
    h.bits = u;
    return h;
}

#endif
