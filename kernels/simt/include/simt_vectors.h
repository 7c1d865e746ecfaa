// CUDA's vectors: float4 and its like. A float4 must count as one access of 16 bytes. Compilers copy
// it as four floats, so where accesses are counted the copy is a function of our own, which reports
// the one access. A float3 has no such luck on a GPU, either: its 12 bytes come one by one.

#ifndef SIMT_VECTORS_H
#define SIMT_VECTORS_H

#if defined(__SANITIZE_THREAD__)
#define SIMT_COUNTED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIMT_COUNTED 1
#endif
#endif

#define SIMT_MAKE(name, type, n) SIMT_MAKE_##n(name, type)
#define SIMT_MAKE_2(name, type)                                                                  \
    SIMT_INLINE SIMT_UNSEEN name make_##name(type x, type y) { return name{x, y}; }
#define SIMT_MAKE_3(name, type)                                                                  \
    SIMT_INLINE SIMT_UNSEEN name make_##name(type x, type y, type z) { return name{x, y, z}; }
#define SIMT_MAKE_4(name, type)                                                                  \
    SIMT_INLINE SIMT_UNSEEN name make_##name(type x, type y, type z, type w)                     \
    {                                                                                            \
        return name{x, y, z, w};                                                                 \
    }

// The default constructor does nothing, so that a __shared__ array of vectors needs no code to begin
// with, and a union may hold one.
#ifdef SIMT_COUNTED
#define SIMT_FROM_2(name, type) constexpr name(type a, type b) : x(a), y(b) {}
#define SIMT_FROM_3(name, type) constexpr name(type a, type b, type c = 0) : x(a), y(b), z(c) {}
#define SIMT_FROM_4(name, type)                                                                  \
    constexpr name(type a, type b, type c = 0, type d = 0) : x(a), y(b), z(c), w(d) {}
#define SIMT_COPY(name, o, piece)                                                                \
    for (size_t at = 0; at < sizeof o; at += piece) {                                            \
        const char *from = reinterpret_cast<const char *>(&o) + at;                              \
        simt_touch(from, piece, SIMT_READ, __builtin_return_address(0));                         \
        simt_touch(reinterpret_cast<char *>(this) + at, piece, SIMT_WRITE,                       \
                   __builtin_return_address(0));                                                 \
    }                                                                                            \
    __builtin_memcpy(static_cast<void *>(this), &o, sizeof o);
#define SIMT_VECTOR(name, type, n, align, piece, ...)                                            \
    struct alignas(align) name {                                                                 \
        type __VA_ARGS__;                                                                        \
        name() = default;                                                                        \
        SIMT_FROM_##n(name, type)                                                                \
        __attribute__((noinline)) SIMT_UNSEEN name(const name &o)                                \
        {                                                                                        \
            SIMT_COPY(name, o, piece)                                                            \
        }                                                                                        \
        __attribute__((noinline)) SIMT_UNSEEN name &operator=(const name &o)                     \
        {                                                                                        \
            SIMT_COPY(name, o, piece)                                                            \
            return *this;                                                                        \
        }                                                                                        \
    };                                                                                           \
    SIMT_MAKE(name, type, n)
#else
#define SIMT_VECTOR(name, type, n, align, piece, ...)                                            \
    struct alignas(align) name {                                                                 \
        type __VA_ARGS__;                                                                        \
    };                                                                                           \
    SIMT_MAKE(name, type, n)
#endif
#define SIMT_VECTOR2(name, type) SIMT_VECTOR(name, type, 2, 2 * sizeof(type), sizeof o, x, y)
#define SIMT_VECTOR3(name, type) SIMT_VECTOR(name, type, 3, sizeof(type), sizeof(type), x, y, z)
#define SIMT_VECTOR4(name, type) SIMT_VECTOR(name, type, 4, 4 * sizeof(type), sizeof o, x, y, z, w)

SIMT_VECTOR2(char2, signed char)
SIMT_VECTOR2(uchar2, unsigned char)
SIMT_VECTOR2(short2, short)
SIMT_VECTOR2(ushort2, unsigned short)
SIMT_VECTOR2(int2, int)
SIMT_VECTOR2(uint2, unsigned)
SIMT_VECTOR2(float2, float)
SIMT_VECTOR2(double2, double)
SIMT_VECTOR2(longlong2, long long)
SIMT_VECTOR2(ulonglong2, unsigned long long)
SIMT_VECTOR3(int3, int)
SIMT_VECTOR3(float3, float)
SIMT_VECTOR4(char4, signed char)
SIMT_VECTOR4(uchar4, unsigned char)
SIMT_VECTOR4(short4, short)
SIMT_VECTOR4(ushort4, unsigned short)
SIMT_VECTOR4(int4, int)
SIMT_VECTOR4(uint4, unsigned)
SIMT_VECTOR4(float4, float)

typedef simt_dim uint3; // also what threadIdx and blockIdx are
SIMT_INLINE SIMT_UNSEEN uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return uint3{x, y, z}; }

#endif
