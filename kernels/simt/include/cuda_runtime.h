// What makes g++ take a .cu file for C++: CUDA's words, as macros and templates over simt.h.
// Nothing here may be more permissive than nvcc; what nvcc refuses, it must still refuse.

#ifndef SIMT_CUDA_RUNTIME_H
#define SIMT_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"
#ifdef __cplusplus
#include "../simt.h"

#include <cmath>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

// --- words -----------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __constant__
#define __shared__ static __thread // an OS thread runs one block at a time: shared.c
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __grid_constant__

// The shim's own functions vanish into the kernel, so that reports name the kernel's lines.
#define SIMT_INLINE static inline __attribute__((always_inline))
#define SIMT_UNSEEN __attribute__((no_sanitize("thread"), no_sanitize_coverage))
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 12
#undef SIMT_UNSEEN
#define SIMT_UNSEEN __attribute__((no_sanitize("thread")))
#elif defined(__clang__)
#undef SIMT_UNSEEN
#define SIMT_UNSEEN __attribute__((no_sanitize("thread", "coverage")))
#endif

#define threadIdx (simt_threadIdx())
#define blockIdx (simt_blockIdx())
#define blockDim (simt_blockDim())
#define gridDim (simt_gridDim())
static constexpr int warpSize = 32;

// --- waiting for each other ------------------------------------------------------------------
// Macros, for they must know the kernel's line.

#define __syncthreads() simt_syncthreads(__LINE__)
#define __syncthreads_count(p) simt_syncthreads_reduce(SIMT_COUNT, (p) != 0, __LINE__)
#define __syncthreads_and(p) simt_syncthreads_reduce(SIMT_AND, (p) != 0, __LINE__)
#define __syncthreads_or(p) simt_syncthreads_reduce(SIMT_OR, (p) != 0, __LINE__)
#define __syncwarp(...) simt_syncwarp(simt_mask(__VA_ARGS__), __LINE__)
#define __ballot_sync(m, p) simt_vote(SIMT_BALLOT, (m), (p) != 0, __LINE__)
#define __all_sync(m, p) ((int)simt_vote(SIMT_ALL, (m), (p) != 0, __LINE__))
#define __any_sync(m, p) ((int)simt_vote(SIMT_ANY, (m), (p) != 0, __LINE__))
#define __activemask() simt_activemask()
#define __shfl_sync(m, ...) simt_shuffle_any(SIMT_FROM, __LINE__, m, __VA_ARGS__)
#define __shfl_up_sync(m, ...) simt_shuffle_any(SIMT_UP, __LINE__, m, __VA_ARGS__)
#define __shfl_down_sync(m, ...) simt_shuffle_any(SIMT_DOWN, __LINE__, m, __VA_ARGS__)
#define __shfl_xor_sync(m, ...) simt_shuffle_any(SIMT_XOR, __LINE__, m, __VA_ARGS__)
#define __threadfence() simt_fence()
#define __threadfence_block() ((void)0)

SIMT_INLINE constexpr unsigned simt_mask(unsigned mask = 0xffffffffu)
{
    return mask;
}

// A shuffle moves 4 bytes; wider types take several, as on the GPU.
template <class T>
SIMT_INLINE SIMT_UNSEEN T simt_shuffle_any(int how, int line, unsigned mask, T value, int b,
                                           int width = 32)
{
    static_assert(std::is_arithmetic<T>::value || sizeof(T) <= 4, "shuffle: no such type");
    uint32_t part[(sizeof(T) + 3) / 4] = {};
    memcpy(part, &value, sizeof value);
    for (uint32_t &x : part)
        x = simt_shuffle(how, mask, x, b, width, line);
    memcpy(&value, part, sizeof value);
    return value;
}

// --- vectors ---------------------------------------------------------------------------------
// A float4 must count as one access of 16 bytes. Compilers copy it as four floats, so where
// accesses are counted the copy is a function of our own, which reports the one access.

#if defined(__SANITIZE_THREAD__)
#define SIMT_COUNTED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIMT_COUNTED 1
#endif
#endif

// The constructor is constexpr so that a __shared__ array of them needs no code to begin with.
#ifdef SIMT_COUNTED
#define SIMT_REST_2
#define SIMT_REST_4 , z(), w()
#define SIMT_VECTOR(count, name, type, align, ...)                                               \
    struct alignas(align) name {                                                                 \
        type __VA_ARGS__;                                                                        \
        constexpr name() : x(), y() SIMT_REST_##count {}                                         \
        __attribute__((noinline)) SIMT_UNSEEN name(const name &o)                                \
        {                                                                                        \
            simt_touch(&o, sizeof o, SIMT_READ, __builtin_return_address(0));                    \
            simt_touch(this, sizeof o, SIMT_WRITE, __builtin_return_address(0));                 \
            __builtin_memcpy(static_cast<void *>(this), &o, sizeof o);                           \
        }                                                                                        \
        __attribute__((noinline)) SIMT_UNSEEN name &operator=(const name &o)                     \
        {                                                                                        \
            simt_touch(&o, sizeof o, SIMT_READ, __builtin_return_address(0));                    \
            simt_touch(this, sizeof o, SIMT_WRITE, __builtin_return_address(0));                 \
            __builtin_memcpy(static_cast<void *>(this), &o, sizeof o);                           \
            return *this;                                                                        \
        }                                                                                        \
    };
#else
#define SIMT_VECTOR(count, name, type, align, ...)                                               \
    struct alignas(align) name {                                                                 \
        type __VA_ARGS__;                                                                        \
    };
#endif
#define SIMT_VECTOR2(name, type, align)                                                          \
    SIMT_VECTOR(2, name, type, align, x, y)                                                      \
    SIMT_INLINE SIMT_UNSEEN name make_##name(type x, type y)                                     \
    {                                                                                            \
        name v;                                                                                  \
        v.x = x, v.y = y;                                                                        \
        return v;                                                                                \
    }
#define SIMT_VECTOR4(name, type, align)                                                          \
    SIMT_VECTOR(4, name, type, align, x, y, z, w)                                                \
    SIMT_INLINE SIMT_UNSEEN name make_##name(type x, type y, type z, type w)                     \
    {                                                                                            \
        name v;                                                                                  \
        v.x = x, v.y = y, v.z = z, v.w = w;                                                      \
        return v;                                                                                \
    }
SIMT_VECTOR2(float2, float, 8)
SIMT_VECTOR4(float4, float, 16)
SIMT_VECTOR2(int2, int, 8)
SIMT_VECTOR4(int4, int, 16)
SIMT_VECTOR2(uint2, unsigned, 8)
SIMT_VECTOR4(uint4, unsigned, 16)

// --- reading, and adding without a race ------------------------------------------------------

template <class T>
SIMT_INLINE T __ldg(const T *p)
{
    return *p;
}

// old = *p; *p = change(old), as one step: blocks run on several OS threads.
template <class T, class F>
SIMT_INLINE SIMT_UNSEEN T simt_atomic(T *p, F change)
{
    T old, next;
    __builtin_memcpy(&old, p, sizeof old);
    do
        next = change(old);
    while (!simt_exchange(p, &old, &next, sizeof old));
    return old;
}
#define SIMT_ATOMIC_FUNCTION(name, change)                                                       \
    template <class T>                                                                           \
    __attribute__((noinline)) SIMT_UNSEEN T simt_##name(T *p, T v)                               \
    {                                                                                            \
        simt_touch(p, sizeof *p, SIMT_ATOMIC, __builtin_return_address(0));                      \
        return simt_atomic(p, [v](T old) SIMT_UNSEEN -> T { return change; });                   \
    }                                                                                            \
    template <class T, class U>                                                                  \
    SIMT_INLINE T name(T *p, U v)                                                                \
    {                                                                                            \
        return simt_##name(p, static_cast<T>(v));                                                \
    }
SIMT_ATOMIC_FUNCTION(atomicAdd, old + v)
SIMT_ATOMIC_FUNCTION(atomicMax, old < v ? v : old)
SIMT_ATOMIC_FUNCTION(atomicMin, v < old ? v : old)
SIMT_ATOMIC_FUNCTION(atomicExch, ((void)old, v))

template <class T>
__attribute__((noinline)) SIMT_UNSEEN T atomicCAS(T *p, T expected, T v)
{
    simt_touch(p, sizeof *p, SIMT_ATOMIC, __builtin_return_address(0));
    simt_exchange(p, &expected, &v, sizeof v);
    return expected;
}

// --- arithmetic ------------------------------------------------------------------------------
// The C library declares some of these names without defining them: macros, behind <cmath>.

#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __fmaf_rn(a, b, c) fmaf(a, b, c)
SIMT_INLINE float __fdividef(float a, float b) { return a / b; }
SIMT_INLINE float rsqrtf(float x) { return 1.0f / sqrtf(x); }
SIMT_INLINE float __frcp_rn(float x) { return 1.0f / x; }
SIMT_INLINE int __popc(unsigned x) { return __builtin_popcount(x); }
SIMT_INLINE int __ffs(int x) { return __builtin_ffs(x); }
SIMT_INLINE int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }

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

#define SIMT_MIN_MAX(type)                                                                       \
    SIMT_INLINE type min(type a, type b) { return b < a ? b : a; }                               \
    SIMT_INLINE type max(type a, type b) { return a < b ? b : a; }
SIMT_MIN_MAX(int)
SIMT_MIN_MAX(unsigned)
SIMT_MIN_MAX(long)
SIMT_MIN_MAX(unsigned long)
SIMT_MIN_MAX(long long)
SIMT_INLINE float min(float a, float b) { return fminf(a, b); }
SIMT_INLINE float max(float a, float b) { return fmaxf(a, b); }

// --- launching -------------------------------------------------------------------------------

// A kernel and its arguments, converted once to the parameters' types, as nvcc does.
template <class... P>
struct simt_call {
    void (*kernel)(P...);
    std::tuple<std::decay_t<P>...> arguments;

    SIMT_UNSEEN static void run(void *self)
    {
        simt_call *call = static_cast<simt_call *>(self);
        std::apply(call->kernel, call->arguments);
    }
};

template <class... P, class... A>
static inline void simt_go(const char *name, dim3 grid, dim3 block, size_t shared_bytes,
                           cudaStream_t stream, void (*kernel)(P...), A &&...argument)
{
    static_assert(sizeof...(P) == sizeof...(A), "LAUNCH: wrong number of arguments");
    simt_call<P...> call{kernel, std::tuple<std::decay_t<P>...>(std::forward<A>(argument)...)};
    simt_kernel k = {};
    k.name = name;
    k.kernel = reinterpret_cast<const void *>(kernel);
    k.grid = {grid.x, grid.y, grid.z};
    k.block = {block.x, block.y, block.z};
    k.shared_bytes = shared_bytes;
    k.body = simt_call<P...>::run;
    k.args = &call;
    k.args_bytes = sizeof call;
    simt_launch(&k, stream);
}
#endif

#endif
