// A machine that runs CUDA kernels without a GPU: what a kernel, the emulated CUDA runtime and a
// test may ask of it. SIMT is NVIDIA's word: single instruction, multiple threads.
//
// Every CUDA thread is a small stack of its own (fiber.c). 32 of them are a warp and advance
// together, one memory access at a time (schedule.c), so that what a warp asks of the memory can
// be counted (account.c) and what its threads do to each other can be checked (race.c).

#ifndef SIMT_H
#define SIMT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    unsigned x, y, z;
} simt_dim;

// --- for kernels: who am I? ------------------------------------------------------------------

simt_dim simt_threadIdx(void) __attribute__((const));
simt_dim simt_blockIdx(void) __attribute__((const));
simt_dim simt_blockDim(void) __attribute__((const));
simt_dim simt_gridDim(void) __attribute__((const));
void *simt_dynamic_shared(void) __attribute__((const));

// --- for kernels: waiting for each other -----------------------------------------------------
//
// `line` is the source line of the call. Two threads are at the same barrier if they are in the
// same line: the compiler may have copied the code, so that the address would not do.

enum { SIMT_COUNT, SIMT_AND, SIMT_OR };                     // __syncthreads_count, _and, _or
enum { SIMT_FROM, SIMT_UP, SIMT_DOWN, SIMT_XOR };           // __shfl_sync, _up, _down, _xor
enum { SIMT_BALLOT, SIMT_ALL, SIMT_ANY };                   // __ballot_sync, __all, __any
enum { SIMT_SUM, SIMT_MIN, SIMT_MAX, SIMT_BITS_AND, SIMT_BITS_OR, SIMT_BITS_XOR }; // __reduce_

void simt_syncthreads(int line);
int simt_syncthreads_reduce(int how, int predicate, int line);
void simt_named_barrier(int id, int threads, int line);     // bar.sync id, threads
void simt_syncwarp(uint32_t mask, int line);
uint32_t simt_shuffle(int how, uint32_t mask, uint32_t value, int b, int width, int line);
uint32_t simt_vote(int how, uint32_t mask, int predicate, int line);
uint32_t simt_activemask(void);
uint32_t simt_match(uint32_t mask, uint64_t value, int line, int *all); // lanes with that value
uint32_t simt_reduce(int how, uint32_t mask, uint32_t value, int line);
void simt_fence(void);                                      // __threadfence: see flag.c
void simt_fence_block(void);                                // __threadfence_block
void simt_trap(void);                                       // ends the kernel with an error

// --- for kernels: tensor cores and copies in the background ----------------------------------

// Row and column of number i of a lane's piece of a matrix: see fragment.c.
typedef struct {
    int row, column;
} simt_place;

simt_place simt_place_a(int lane, int i);
simt_place simt_place_b(int lane, int i);
simt_place simt_place_c(int lane, int i);
simt_place simt_place_ldmatrix(int lane, int i, int transposed);

// d = a b + c for one 16 x 8 tile, k = 16, spread over the warp as PTX's mma.m16n8k16 spreads it.
void simt_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4],
                   int line);
void simt_mma_f16(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4],
                  int line);

// n matrices (1, 2, 4) of 8 x 8 halves; lane 8m + i brings the address of row i of matrix m.
void simt_ldmatrix(uint32_t *r, int n, int transposed, const void *row, int line);

// cp.async: n bytes (4, 8, 16), of which the first `valid` come from src and the rest become 0.
// The bytes are there after simt_cp_wait(groups still allowed to be on their way).
void simt_cp_async(void *shared, const void *global, int n, int valid, int line);
void simt_cp_commit(void);
void simt_cp_wait(int groups, int line);

// Hopper's barrier in shared memory, and the copy that reports to it.
void simt_mbar_init(uint64_t *bar, unsigned arrivals, int line);
void simt_mbar_arrive(uint64_t *bar, unsigned expected_bytes, int line);
int simt_mbar_try_wait(uint64_t *bar, unsigned parity, int line);
void simt_bulk_copy(void *shared, const void *global, unsigned n, uint64_t *bar, int line);

// One access of `size` bytes that the compiler's instrumentation cannot see, at `pc`.
enum { SIMT_READ, SIMT_WRITE, SIMT_ATOMIC };
void simt_touch(const void *p, int size, int how, const void *pc);

// If *p == *old: *p = *next, true. Otherwise: *old = *p, false. 2, 4 or 8 bytes, in one step.
int simt_exchange(void *p, void *old, const void *next, size_t bytes);

// --- launching -------------------------------------------------------------------------------

typedef struct {
    const char *name;
    const void *kernel;          // the function, which cudaFuncSetAttribute knows, too
    simt_dim grid, block;
    size_t shared_bytes;         // dynamic shared memory
    void (*body)(void *args);    // calls the kernel once, for one thread
    void *args;
    size_t args_bytes;           // threads may read there
} simt_kernel;

// Runs a kernel to its end. Returns 0 or the code of a cudaError_t, which cudaGetLastError()
// will return as well.
int simt_launch(const simt_kernel *kernel, void *stream);

// --- counts ----------------------------------------------------------------------------------

// What warps asked of the memory. A request is one instruction of one warp, for up to 32 lanes.
typedef struct {
    uint64_t requests, lanes, bytes;
    uint64_t units;              // global: sectors of 32 bytes; shared: wavefronts
    uint64_t ideal;              // the units, had the same bytes lain well
} simt_count;

enum { SIMT_LOAD_GLOBAL, SIMT_STORE_GLOBAL, SIMT_ATOMIC_GLOBAL,
       SIMT_LOAD_SHARED, SIMT_STORE_SHARED, SIMT_ATOMIC_SHARED, SIMT_KINDS };

typedef struct {
    const char *name;
    simt_dim grid, block;
    size_t shared_bytes;
    simt_count count[SIMT_KINDS];
    uint64_t distinct_read, distinct_written; // bytes of the different sectors touched
    uint64_t cache_read, cache_written;       // bytes from and to DRAM behind SIMT_CACHE
    uint64_t barriers, syncwarps, shuffles, mmas, ldmatrices;
    uint64_t partial;                         // requests without some of the warp's lanes
    uint64_t races, reports;
    double seconds;
} simt_stats;

// The latest launch, and the settings that tests change between two launches.
const simt_stats *simt_last(void);
void simt_set_threads(int threads);
void simt_set_cache(size_t bytes);
void simt_keep_cache(int keep);                // from one launch to the next, as an L2 does
size_t simt_cache(void);
int simt_devices(void);                        // 1, or what SIMT_DEVICES says

// What a program's flags ask for, as the environment's SIMT_... do. A file of counts stays the
// caller's; NULL: no more.
void simt_set_trace(long block, long warp);
void simt_set_sites(int on);
void simt_set_counts(FILE *csv);
long simt_traced(void);                        // requests of the traced warp
void simt_print_sites(void);                   // now instead of at exit

// Are accesses counted in this program? All launches since simt_forget(), added up.
int simt_is_counted(void);
const simt_stats *simt_sum(void);
void simt_forget(void);

// The units that three kinds of access took, over those they needed: from SIMT_LOAD_GLOBAL on
// sectors, from SIMT_LOAD_SHARED on wavefronts.
double simt_over_ideal(const simt_stats *s, int first);

// --- device memory, for the emulated runtime -------------------------------------------------

// The host cannot read or write it, as it could not a GPU's: only between these two, which nest.
void simt_open_memory(void);
void simt_close_memory(void);

void *simt_malloc(size_t bytes, const void *caller);
int simt_free(void *p);                        // 0, or -1 for what is no allocation
int simt_is_device(const void *p);
int simt_range_is_allocated(const void *p, size_t bytes);
size_t simt_memory_free(void);
size_t simt_memory_total(void);
void simt_free_all(void);

// The largest dynamic shared memory that cudaFuncSetAttribute allowed a kernel; 48 KiB before.
size_t simt_shared_limit(const void *kernel);
void simt_set_shared_limit(const void *kernel, size_t bytes);

// Says which call of the CUDA runtime was wrong, and why; `caller` is its return address.
void simt_refuse_call(const char *call, const void *caller, const char *why, const void *p);

// The error that cudaGetLastError() returns: the latest, and for ever one that killed a kernel.
void simt_set_error(int code);
int simt_get_error(int forget);
void simt_reset_error(void);
int simt_stream_is_alive(void *stream);

#ifdef __cplusplus
}
#endif

#endif
