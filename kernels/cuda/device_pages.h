// A pool of pages as the device knows it, for chapters 06 and 07. Plain data, the same for C and
// for a kernel; pages.cuh has the address of a token, mirror.h brings the pool there.

#ifndef DEVICE_PAGES_H
#define DEVICE_PAGES_H

#include <cuda_runtime_api.h>

// Token j of sequence b lies in block table[b, j / T], slot j % T. All are device memory.
typedef struct {
    float *k, *v;      // [blocks, G, T, D], [blocks, G, T, Dv]
    const long *table; // [B, entries]: numbers of blocks, -1 behind the end of a sequence
    const long *held;  // [B]: tokens of each sequence before this pass
    long G, T, entries;
} DevicePages;

#ifdef __cplusplus
extern "C" {
#endif

// Scatter: the n new tokens of each of B sequences go behind those that it held.
// rows: [B, G, n, width]    memory: pages.k or pages.v
cudaError_t paged_append(float *memory, DevicePages pages, const float *rows, long B, long n,
                         long width, cudaStream_t stream);

// Gather: the first M tokens of every sequence in one piece, [B, G, M, width]. Behind the end of
// a shorter sequence nothing is written.
cudaError_t paged_gather(float *rows, const float *memory, DevicePages pages, long B, long M,
                         long width, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
