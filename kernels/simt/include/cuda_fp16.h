// IEEE half precision: 5 bits of exponent, 10 of mantissa; the largest number is 65504.

#ifndef SIMT_CUDA_FP16_H
#define SIMT_CUDA_FP16_H

#include "cuda_runtime.h"

struct __half {
    uint16_t bits;
    constexpr __half() : bits() {}
    SIMT_UNSEEN explicit __half(float f);
    SIMT_UNSEEN operator float() const;
};
typedef __half half;
template <>
struct simt_shuffles<__half> : std::true_type {};

struct alignas(4) __half2 {
    __half x, y;
};
typedef __half2 half2;
template <>
struct simt_shuffles<__half2> : std::true_type {};

// A subnormal half is its mantissa times 2^-24; a normal one only needs another exponent.
SIMT_INLINE SIMT_UNSEEN float __half2float(__half h)
{
    uint32_t sign = static_cast<uint32_t>(h.bits & 0x8000u) << 16;
    uint32_t exponent = h.bits >> 10 & 31u, mantissa = h.bits & 1023u;
    if (exponent == 0) {
        float tiny = static_cast<float>(mantissa) * 0x1p-24f;
        return simt_bits<float>(simt_bits<uint32_t>(tiny) | sign);
    }
    if (exponent == 31 && mantissa)
        return simt_bits<float>(0x7fffffffu); // NVIDIA's NaN: no sign, every bit set
    exponent = exponent == 31 ? 255 : exponent + 112;
    return simt_bits<float>(sign | exponent << 23 | mantissa << 13);
}

// To the nearest, ties to the even one.
SIMT_INLINE SIMT_UNSEEN __half __float2half(float f)
{
    uint32_t u = simt_bits<uint32_t>(f), magnitude = u & 0x7fffffffu;
    uint32_t sign = u >> 16 & 0x8000u, bits;
    if (magnitude > 0x7f800000u)
        sign = 0, bits = 0x7fff;                    // NaN: NVIDIA's has no sign
    else if (magnitude >= 0x477ff000u)
        bits = 0x7c00;                              // 65520 and above: infinity
    else if (magnitude < 0x38800000u)               // below 2^-14: the float unit rounds for us
        bits = simt_bits<uint32_t>(simt_bits<float>(magnitude) + 0.5f) - 0x3f000000u;
    else
        bits = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1)) >> 13;
    __half h;
    h.bits = static_cast<uint16_t>(sign | bits);
    return h;
}
SIMT_INLINE __half __float2half_rn(float f) { return __float2half(f); }

inline __half::__half(float f) : bits(__float2half(f).bits) {}
inline __half::operator float() const { return __half2float(*this); }

SIMT_INLINE SIMT_UNSEEN __half2 __halves2half2(__half low, __half high)
{
    __half2 pair;
    pair.x = low;
    pair.y = high;
    return pair;
}
SIMT_INLINE __half2 __floats2half2_rn(float low, float high)
{
    return __halves2half2(__float2half(low), __float2half(high));
}
SIMT_INLINE SIMT_UNSEEN float2 __half22float2(__half2 pair)
{
    return make_float2(__half2float(pair.x), __half2float(pair.y));
}
SIMT_INLINE unsigned short __half_as_ushort(__half h) { return h.bits; }
SIMT_INLINE __half __ushort_as_half(unsigned short u)
{
    __half h;
    h.bits = u;
    return h;
}

#endif
