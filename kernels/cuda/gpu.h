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
//
// What only an H100 (sm_90a) has and the emulator has not: it compiles everywhere, and stops the
// kernel elsewhere. A launcher asks first whether it is_hopper():
//
//     tensor_map(&map, x, width, rows, heads, box)     x [heads, rows, width] in 16 bits, from
//                                     which boxes of 64 columns and `box` rows can be copied
//     tensor_copy(to, &map, column, row, head, bar)    one box, its rows of 128 bytes swizzled;
//                                     what lies beyond x comes as 0; reports to bar
//     wgmma_64x128(d, a, b)           d += a b^T over 16: a [64, 16], b [128, 16] in such boxes
//     wgmma_64x64(d, a, b)            d += a b over 16: a in registers, b [16, 64] in such a box
//     wgmma_fence(), wgmma_commit()   before the first of some; after the last of them
//     wgmma_wait()                    until all that were committed are done
//     wgmma_pin(x)                    x is computed before this line, and not used before it
//     more_registers(n)               a warpgroup's threads may use n from here on;
//     fewer_registers(n)              they need no more than n

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

// --- Hopper's -----------------------------------------------------------------------------------

#include <cuda.h> // the type of a tensor map; its maker is looked up when the program runs

// nvcc compiles a kernel for every target, this one, too.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define HOPPER_ASM asm volatile
#else
#define HOPPER_ASM(...) __trap()
#endif

__device__ __forceinline__ void mbarrier_init(uint64_t *bar, unsigned arrivals)
{
    HOPPER_ASM("mbarrier.init.shared.b64 [%0], %1;"
                 :: "r"(shared_address(bar)), "r"(arrivals) : "memory");
    // The copy engine must see the barrier as initialised.
    HOPPER_ASM("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// One arrival; before the phase ends, `bytes` must come as well.
__device__ __forceinline__ void mbarrier_arrive(uint64_t *bar, unsigned bytes)
{
    HOPPER_ASM("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;"
                 :: "r"(shared_address(bar)), "r"(bytes) : "memory");
}

__device__ __forceinline__ int mbarrier_try_wait(uint64_t *bar, unsigned parity)
{
    int done = 0;
    HOPPER_ASM("{ .reg .pred p;\n"
                 "  mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n"
                 "  selp.b32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(shared_address(bar)), "r"(parity) : "memory");
    return done;
}

__device__ __forceinline__ void bulk_copy(void *to, const void *from, unsigned n, uint64_t *bar)
{
    HOPPER_ASM("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1], %2, [%3];"
                 :: "r"(shared_address(to)), "l"(from), "r"(n), "r"(shared_address(bar))
                 : "memory");
}

static inline bool is_hopper(void)
{
    int device, major = 0;
    return cudaGetDevice(&device) == cudaSuccess &&
           cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) ==
               cudaSuccess && major == 9;
}

static inline cudaError_t tensor_map(CUtensorMap *map, const uint16_t *x, int width, long rows,
                                     long heads, unsigned box)
{
    typedef CUresult Encode(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
                            const cuuint64_t *, const cuuint64_t *, const cuuint32_t *,
                            const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,
                            CUtensorMapL2promotion, CUtensorMapFloatOOBfill);
    void *encode = NULL;
    cudaDriverEntryPointQueryResult found;
    cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &encode, 12000,
                                                         cudaEnableDefault, &found);
    if (error != cudaSuccess || found != cudaDriverEntryPointSuccess)
        return error != cudaSuccess ? error : cudaErrorNotSupported;
    const cuuint64_t row = 2 * (cuuint64_t)width, count = rows > 0 ? (cuuint64_t)rows : 1;
    const cuuint64_t size[] = {(cuuint64_t)width, count, (cuuint64_t)heads};
    const cuuint64_t bytes[] = {row, count * row}; // from row to row, from head to head
    const cuuint32_t part[] = {64, box, 1}, step[] = {1, 1, 1};
    CUresult result = reinterpret_cast<Encode *>(encode)(
        map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<uint16_t *>(x), size, bytes, part,
        step, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
        CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

__device__ __forceinline__ void tensor_copy(void *to, const CUtensorMap *map, int column, int row,
                                            int head, uint64_t *bar)
{
    HOPPER_ASM("cp.async.bulk.tensor.3d.shared::cluster.global.tile"
                 ".mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];"
                 :: "r"(shared_address(to)), "l"(map), "r"(column), "r"(row), "r"(head),
                    "r"(shared_address(bar)) : "memory");
}

// What wgmma is told about a tile in shared memory (PTX ISA, "Matrix Descriptor Format"): where
// it begins and how far apart groups of 8 rows are, in 16 bytes each; bit 62: swizzled in 128
// bytes. The leading dimension's offset matters only beyond 64 columns, which we do not use.
__device__ __forceinline__ uint64_t wgmma_tile(const void *tile)
{
    return (shared_address(tile) & 0x3ffffu) >> 4 | 1ull << 16 | 1024ull / 16 << 32 | 1ull << 62;
}

// Places of the 4 registers that hold a thread's part of 8 columns, and of 32 columns.
#define PLACE(d, i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define PLACES(d, i) PLACE(d, i), PLACE(d, i + 1), PLACE(d, i + 2), PLACE(d, i + 3)

__device__ __forceinline__ void wgmma_64x128(float (*d)[4], const void *a, const void *b)
{
    HOPPER_ASM("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,"
                 "%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,"
                 "%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,"
                 "%60,%61,%62,%63}, %64, %65, 1, 1, 1, 0, 0;"
                 : PLACES(d, 0), PLACES(d, 4), PLACES(d, 8), PLACES(d, 12)
                 : "l"(wgmma_tile(a)), "l"(wgmma_tile(b)));
}

__device__ __forceinline__ void wgmma_64x64(float (*d)[4], const uint32_t a[4], const void *b)
{
    HOPPER_ASM("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,"
                 "%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, {%32,%33,%34,%35}, %36, 1, 1, 1, 1;"
                 : PLACES(d, 0), PLACES(d, 4)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(wgmma_tile(b)));
}

// The compiler does not know that d is written in the background until wgmma_wait: without a pin
// it may move what it computes from d, or for it, across the wait or the fence.
__device__ __forceinline__ void wgmma_pin(float &x)
{
    HOPPER_ASM("" : "+f"(x) :: "memory");
}

__device__ __forceinline__ void wgmma_pin(uint32_t &x)
{
    HOPPER_ASM("" : "+r"(x) :: "memory");
}

#define wgmma_fence() HOPPER_ASM("wgmma.fence.sync.aligned;" ::: "memory")
#define wgmma_commit() HOPPER_ASM("wgmma.commit_group.sync.aligned;" ::: "memory")
#define wgmma_wait() HOPPER_ASM("wgmma.wait_group.sync.aligned 0;" ::: "memory")
#define more_registers(n) HOPPER_ASM("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(n))
#define fewer_registers(n) HOPPER_ASM("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(n))

#else

#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    simt_go(#kernel, (grid), (block), (shared_bytes), (stream), (kernel) __VA_OPT__(,) \
            __VA_ARGS__)
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

// Named, so that a kernel for Hopper compiles; its launcher never launches it.
struct CUtensorMap {};
static inline bool is_hopper(void) { return false; }
static inline cudaError_t tensor_map(CUtensorMap *, const uint16_t *, int, long, long, unsigned)
{
    return cudaErrorNotSupported;
}
#define NOT_HERE(name, ...) static inline void name(__VA_ARGS__) { __builtin_trap(); }
NOT_HERE(tensor_copy, void *, const CUtensorMap *, int, int, int, uint64_t *)
NOT_HERE(wgmma_64x128, float (*)[4], const void *, const void *)
NOT_HERE(wgmma_64x64, float (*)[4], const uint32_t *, const void *)
NOT_HERE(wgmma_pin, float &)
NOT_HERE(wgmma_pin, uint32_t &)
NOT_HERE(wgmma_fence, void)
NOT_HERE(wgmma_commit, void)
NOT_HERE(wgmma_wait, void)
NOT_HERE(more_registers, int)
NOT_HERE(fewer_registers, int)

#endif

#endif
