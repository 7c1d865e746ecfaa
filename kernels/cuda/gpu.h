// The one header that separates nvcc from the emulator. A kernel that includes it compiles with
// nvcc for a GPU, and with g++ against kernels/simt/include to run on any machine.
//
//     LAUNCH(kernel, grid, block, shared_bytes, stream, arguments...)   kernel<<<...>>>(...)
//     DYNAMIC_SHARED(float, tile);                                      extern __shared__ ...
//
// and, as PTX instructions there and as calls of the emulator here (the macros pass the line on,
// for its reports):
//
//     pack_bf16(low, high)            two floats, rounded to bf16, in one register
//     mma_bf16(d, a, b, c)            d = a b + c, 16 x 8 over 16, over a whole warp; also mma_f16
//     ldmatrix_x4(r, row)             four 8 x 8 matrices of halves; also _x2 and .._trans
//     cp_async16(to, from)            16 bytes from global to shared memory, in the background
//     cp_async16_some(to, from, n)    the first n of them (0 to 16); the rest become 0
//     cp_async_commit()               all since the last commit are a group
//     cp_async_wait(n)                until at most n groups are still on their way
//     named_barrier(id, threads)      __syncthreads for a part of the block
//
// For Hopper (sm_90), a barrier in shared memory that counts arrivals and bytes:
//
//     mbarrier_init(bar, arrivals)    how many arrivals end a phase
//     mbarrier_arrive(bar, bytes)     one arrival; this many bytes must come as well
//     mbarrier_try_wait(bar, parity)  has the phase of this parity ended?
//     bulk_copy(to, from, n, bar)     n bytes, a multiple of 16, that report to bar

#ifndef GPU_H
#define GPU_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__

#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    (kernel)<<<(grid), (block), (shared_bytes), (stream)>>>(__VA_ARGS__)
#define DYNAMIC_SHARED(type, name)                              \
    extern __shared__ __align__(1024) unsigned char dynamic_[]; \
    type *name = reinterpret_cast<type *>(dynamic_)

// PTX addresses shared memory with 32 bits of its own.
__device__ __forceinline__ uint32_t shared_address(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

__device__ __forceinline__ uint32_t pack_bf16(float low, float high)
{
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

#define MMA(type)                                                                             \
    __device__ __forceinline__ void mma_##type(float d[4], const uint32_t a[4],               \
                                               const uint32_t b[2], const float c[4])         \
    {                                                                                         \
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." #type "." #type ".f32 "         \
                     "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"              \
                     : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])                         \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]),      \
                       "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));                           \
    }
#define LDMATRIX_X4(name, trans)                                                              \
    __device__ __forceinline__ void name(uint32_t r[4], const void *row)                      \
    {                                                                                         \
        asm volatile("ldmatrix.sync.aligned.m8n8.x4" trans ".shared.b16 {%0,%1,%2,%3}, [%4];" \
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])                         \
                     : "r"(shared_address(row)) : "memory");                                  \
    }
#define LDMATRIX_X2(name, trans)                                                              \
    __device__ __forceinline__ void name(uint32_t r[2], const void *row)                      \
    {                                                                                         \
        asm volatile("ldmatrix.sync.aligned.m8n8.x2" trans ".shared.b16 {%0,%1}, [%2];"       \
                     : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");         \
    }

MMA(bf16)
MMA(f16)
LDMATRIX_X4(ldmatrix_x4, "")
LDMATRIX_X4(ldmatrix_x4_trans, ".trans")
LDMATRIX_X2(ldmatrix_x2, "")
LDMATRIX_X2(ldmatrix_x2_trans, ".trans")

__device__ __forceinline__ void cp_async16_some(void *to, const void *from, int n)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :: "r"(shared_address(to)), "l"(from), "r"(n) : "memory");
}

__device__ __forceinline__ void cp_async16(void *to, const void *from)
{
    cp_async16_some(to, from, 16);
}

#define cp_async_commit() asm volatile("cp.async.commit_group;" ::: "memory")
#define cp_async_wait(n) asm volatile("cp.async.wait_group %0;" :: "n"(n) : "memory")
#define named_barrier(id, threads) \
    asm volatile("bar.sync %0, %1;" :: "r"(id), "r"(threads) : "memory")

__device__ __forceinline__ void mbarrier_init(uint64_t *bar, unsigned arrivals)
{
    asm volatile("mbarrier.init.shared.b64 [%0], %1;"
                 :: "r"(shared_address(bar)), "r"(arrivals) : "memory");
    // The copy engine must see the barrier as initialised.
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// One arrival; before the phase ends, `bytes` must come as well.
__device__ __forceinline__ void mbarrier_arrive(uint64_t *bar, unsigned bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;"
                 :: "r"(shared_address(bar)), "r"(bytes) : "memory");
}

__device__ __forceinline__ int mbarrier_try_wait(uint64_t *bar, unsigned parity)
{
    int done;
    asm volatile("{ .reg .pred p;\n"
                 "  mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n"
                 "  selp.b32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(shared_address(bar)), "r"(parity) : "memory");
    return done;
}

__device__ __forceinline__ void bulk_copy(void *to, const void *from, unsigned n, uint64_t *bar)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1], %2, [%3];"
                 :: "r"(shared_address(to)), "l"(from), "r"(n), "r"(shared_address(bar))
                 : "memory");
}

#else

#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    simt_go(#kernel, (grid), (block), (shared_bytes), (stream), (kernel), __VA_ARGS__)
#define DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(simt_dynamic_shared())

SIMT_INLINE SIMT_UNSEEN uint32_t pack_bf16(float low, float high)
{
    return __float2bfloat16(low).bits | (uint32_t)__float2bfloat16(high).bits << 16;
}

#define mma_bf16(d, a, b, c) simt_mma_bf16(d, a, b, c, __LINE__)
#define mma_f16(d, a, b, c) simt_mma_f16(d, a, b, c, __LINE__)
#define ldmatrix_x4(r, row) simt_ldmatrix(r, 4, 0, row, __LINE__)
#define ldmatrix_x4_trans(r, row) simt_ldmatrix(r, 4, 1, row, __LINE__)
#define ldmatrix_x2(r, row) simt_ldmatrix(r, 2, 0, row, __LINE__)
#define ldmatrix_x2_trans(r, row) simt_ldmatrix(r, 2, 1, row, __LINE__)
#define cp_async16_some(to, from, n) simt_cp_async(to, from, 16, n, __LINE__)
#define cp_async16(to, from) simt_cp_async(to, from, 16, 16, __LINE__)
#define cp_async_commit() simt_cp_commit()
#define cp_async_wait(n) simt_cp_wait(n, __LINE__)
#define named_barrier(id, threads) simt_named_barrier(id, threads, __LINE__)
#define mbarrier_init(bar, arrivals) simt_mbar_init(bar, arrivals, __LINE__)
#define mbarrier_arrive(bar, bytes) simt_mbar_arrive(bar, bytes, __LINE__)
#define mbarrier_try_wait(bar, parity) simt_mbar_try_wait(bar, parity, __LINE__)
#define bulk_copy(to, from, n, bar) simt_bulk_copy(to, from, n, bar, __LINE__)

#endif

#endif
