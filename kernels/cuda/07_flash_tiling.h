// Kernels that compute the same attention in tiles, each with one idea more than the last.
// kernels/cuda/07_1_tile.cu begins; diff a file with the one before to see its idea. After the
// fourth the way forks: split and paged are for decode, in fp32; mma, async and wgmma go on from
// 07_4_skip.cu for prefill, in bf16 on the tensor cores.
//
//     cudaError_t error = launch_tile(&flash, stream);    // asynchronous: synchronize before use

#ifndef FLASH_TILING_H
#define FLASH_TILING_H

#include "device_mask.h"

#include <cuda_runtime_api.h>
#include <stdint.h>

// One pass over N queries and M keys, all in device memory, contiguous. M counts the keys of the
// longest sequence; mask.lengths tells how many are a sequence's own.
typedef struct {
    int B, H, G, N, M, D, Dv; // D, Dv <= FLASH_WIDTH
    float scale;
    const float *q;     // [B, H, N, D]
    const float *k, *v; // [B, G, M, D], [B, G, M, Dv]; paged: [blocks, G, T, D], [.., Dv]
    float *out, *lse;   // [B, H, N, Dv], [B, H, N]
    DeviceMask mask;

    // split and paged: part c holds the keys cuts[c] <= j < cuts[c + 1]
    const long *cuts; // [parts + 1], ascending, from 0 to M
    int parts;
    float *state;     // [B, H, N, parts, 2]: maximum and sum of each part
    float *acc;       // [B, H, N, parts, Dv]: its output so far

    // paged: token j of sequence b lies in block table[b, j / T], slot j % T
    const long *table; // [B, entries]
    int  entries, T;

    // mma, async, wgmma: room for Q, K, V in bf16, which the launcher writes. A row is as wide as
    // flash_pitch16 says, so that each begins at a multiple of 16 bytes, as the arrays must.
    uint16_t *q16, *k16, *v16; // [B, H, N, pitch of D], [B, G, M, same], [B, G, M, pitch of Dv]
} Flash;

enum { FLASH_ROWS = 32, FLASH_KEYS = 32, FLASH_WIDTH = 256 }; // R, C, and the largest D and Dv

// Halves from one row of q16, k16 or v16 to the next: the width, rounded up to 16 bytes.
#define flash_pitch16(width) (((width) + 7) / 8 * 8)

#ifdef __cplusplus
extern "C" {
#endif

// Nothing may be empty but M: B, H, N > 0.
cudaError_t launch_tile(const Flash *f, cudaStream_t stream);
cudaError_t launch_vector(const Flash *f, cudaStream_t stream);
cudaError_t launch_banks(const Flash *f, cudaStream_t stream);
cudaError_t launch_skip(const Flash *f, cudaStream_t stream);
cudaError_t launch_split(const Flash *f, cudaStream_t stream);
cudaError_t launch_paged(const Flash *f, cudaStream_t stream);
cudaError_t launch_mma(const Flash *f, cudaStream_t stream);
cudaError_t launch_async(const Flash *f, cudaStream_t stream);
// Only for Hopper and D = Dv = 64 or 128; otherwise cudaErrorNotSupported, and nothing is written.
cudaError_t launch_wgmma(const Flash *f, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
