// What makes g++ take a .cu file for C++: CUDA's words, as macros and templates over simt.h.
// Nothing here may be more permissive than nvcc; what nvcc refuses, it must still refuse.

#ifndef SIMT_CUDA_RUNTIME_H
#define SIMT_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"
#ifdef __cplusplus
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
// An OS thread runs one block at a time: shared.c. No code may run to begin with such an array: g++
// needs to be told (from its version 10 on it can be), clang sees it by itself.
#ifdef __clang__
#define __shared__ static __thread
#else
#define __shared__ __constinit static __thread
#endif
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __grid_constant__
#define __maxnreg__(n)
#ifndef __clang__
#define __builtin_assume(x) ((void)0)
#endif

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
#define __match_any_sync(m, v) simt_match_any(m, v, __LINE__)
#define __match_all_sync(m, v, all) simt_match_all(m, v, all, __LINE__)
#define __reduce_add_sync(m, v) simt_reduce_any(SIMT_SUM, m, v, __LINE__)
#define __reduce_min_sync(m, v) simt_reduce_any(SIMT_MIN, m, v, __LINE__)
#define __reduce_max_sync(m, v) simt_reduce_any(SIMT_MAX, m, v, __LINE__)
#define __reduce_and_sync(m, v) simt_reduce(SIMT_BITS_AND, m, v, __LINE__)
#define __reduce_or_sync(m, v) simt_reduce(SIMT_BITS_OR, m, v, __LINE__)
#define __reduce_xor_sync(m, v) simt_reduce(SIMT_BITS_XOR, m, v, __LINE__)
#define __threadfence() simt_fence()
#define __threadfence_system() simt_fence()
#define __threadfence_block() simt_fence_block()
#define __nanosleep(ns) ((void)(ns))
#define __trap() simt_trap()

SIMT_INLINE constexpr unsigned simt_mask(unsigned mask = 0xffffffffu)
{
    return mask;
}

// Numbers can be shuffled, and the 16-bit floats whose headers say so.
template <class T>
struct simt_shuffles : std::false_type {};

// A shuffle moves 4 bytes; wider types take several, as on the GPU.
template <class T>
SIMT_INLINE SIMT_UNSEEN T simt_shuffle_any(int how, int line, unsigned mask, T value, int b,
                                           int width = 32)
{
    static_assert(std::is_arithmetic<T>::value || simt_shuffles<T>::value, "shuffle: what type?");
    uint32_t part[(sizeof(T) + 3) / 4] = {};
    memcpy(part, &value, sizeof value);
    for (uint32_t &x : part)
        x = simt_shuffle(how, mask, x, b, width, line);
    memcpy(&value, part, sizeof value);
    return value;
}

#include "simt_atomics.h"
#include "simt_math.h"
#include "simt_vectors.h"

// --- comparing and adding up over a warp -----------------------------------------------------

// The lanes that bring the same bits: 4 or 8 bytes.
template <class T>
SIMT_INLINE SIMT_UNSEEN unsigned simt_match_any(unsigned mask, T value, int line)
{
    static_assert(std::is_arithmetic<T>::value && sizeof(T) >= 4, "match: 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    return simt_match(mask, bits, line, NULL);
}

// All of them or none, and whether it was all.
template <class T>
SIMT_INLINE SIMT_UNSEEN unsigned simt_match_all(unsigned mask, T value, int *all, int line)
{
    static_assert(std::is_arithmetic<T>::value && sizeof(T) >= 4, "match: 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    unsigned same = simt_match(mask, bits, line, all);
    return *all ? same : 0;
}

SIMT_INLINE unsigned simt_reduce_any(int how, unsigned mask, unsigned value, int line)
{
    return simt_reduce(how, mask, value, line);
}
SIMT_INLINE int simt_reduce_any(int how, unsigned mask, int value, int line)
{
    if (how == SIMT_MIN || how == SIMT_MAX) // the order of numbers with a sign
        return (int)(simt_reduce(how, mask, (unsigned)value ^ 0x80000000u, line) ^ 0x80000000u);
    return (int)simt_reduce(how, mask, (unsigned)value, line);
}

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
