// What chapter 06 starts on the device. All arrays are device memory, row-major:
//
//     q: [B, H, N, D]    s: [B, H, N, M]    out: [B, H, N, Dv]    lse: [B, H, N]
//
// N new tokens of each sequence look at the M that it holds; keys and values stay in their blocks.
// mask: the rule for all heads of all sequences. A launch returns at once; nothing is started for
// arrays of none.

#ifndef CUDA_PAGED_BLOCKS_H
#define CUDA_PAGED_BLOCKS_H

#include "device_mask.h"
#include "device_pages.h"

#include <cuda_runtime_api.h>

// Who computes what: a thread for each element of the result, a warp for each key and row, or
// cuBLAS for the two products, on keys and values gathered into one piece.
enum { BY_THREAD, BY_WARP, BY_CUBLAS };

// S[i,j] = scale * sum over d of Q[i,d] K[j,d] + bias[i,j], -inf where i may not look at j
cudaError_t paged_scores(int by, float *s, const float *q, DevicePages pages, long B, long H,
                         long N, long M, long D, float scale, DeviceMask mask,
                         cudaStream_t stream);

// S[i,j] = scale * S[i,j], and S[i,j] = S[i,j] + bias[i,j] or -inf: for a trace that shows the
// scores in between, and for cuBLAS, which knows no masks.
cudaError_t paged_scale(float *s, long B, long H, long N, long M, float scale,
                        cudaStream_t stream);
cudaError_t paged_hide(float *s, long B, long H, long N, long M, DeviceMask mask,
                       cudaStream_t stream);

// P[i,j] = exp(S[i,j] - max) / sum of the row, in place;    L[i] = max + log(sum)
cudaError_t paged_softmax(int by, float *s, float *lse, long B, long H, long N, long M,
                          cudaStream_t stream);

// O[i,d] = sum over allowed j of P[i,j] V[j,d], and 0 in a dead row
cudaError_t paged_output(int by, float *out, const float *p, DevicePages pages, const float *lse,
                         long B, long H, long N, long M, long Dv, DeviceMask mask,
                         cudaStream_t stream);

// After a product over all j of gathered values, v: [B, G, M, Dv]: the same result, also where a
// hidden value is NaN.
cudaError_t paged_repair(float *out, const float *p, const float *v, const float *lse, long B,
                         long H, long G, long N, long M, long Dv, DeviceMask mask,
                         cudaStream_t stream);

#endif
