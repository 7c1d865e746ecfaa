// What chapter 03 starts on the device. All arrays are device memory, row-major:
//
//     q: [B, H, N, D]    k: [B, H, M, D]    v: [B, H, M, Dv]
//     s: [B, H, N, M]    out: [B, H, N, Dv]    lse: [B, H, N]
//
// mask: the rule for all heads of all sequences. All heads are computed at once, each by blocks
// of its own. A launch returns at once; nothing is started for arrays of none.

#ifndef CUDA_MULTI_HEAD_H
#define CUDA_MULTI_HEAD_H

#include "device_mask.h"

#include <cuda_runtime_api.h>

// Who computes what: a thread for each element of the result, a warp for each row of it, or
// cuBLAS for the two products and warps for the rest.
enum { BY_THREAD, BY_WARP, BY_CUBLAS };

// S[i,j] = scale * sum over d of Q[i,d] K[j,d] + bias[i,j], -inf where i may not look at j
cudaError_t heads_scores(int by, float *s, const float *q, const float *k, long B, long H, long N,
                         long M, long D, float scale, DeviceMask mask, cudaStream_t stream);

// S[i,j] = scale * S[i,j], and S[i,j] = S[i,j] + bias[i,j] or -inf: for a trace that shows the
// scores in between, and for cuBLAS, which knows no masks.
cudaError_t heads_scale(float *s, long B, long H, long N, long M, float scale,
                        cudaStream_t stream);
cudaError_t heads_hide(float *s, long B, long H, long N, long M, DeviceMask mask,
                       cudaStream_t stream);

// P[i,j] = exp(S[i,j] - max) / sum of the row, in place;    L[i] = max + log(sum)
cudaError_t heads_softmax(int by, float *s, float *lse, long B, long H, long N, long M,
                          cudaStream_t stream);

// O[i,d] = sum over allowed j of P[i,j] V[j,d], and 0 in a dead row
cudaError_t heads_output(int by, float *out, const float *p, const float *v, const float *lse,
                         long B, long H, long N, long M, long Dv, DeviceMask mask,
                         cudaStream_t stream);

// After a product over all j: the same result, also where a hidden value is NaN.
cudaError_t heads_repair(float *out, const float *p, const float *v, const float *lse, long B,
                         long H, long N, long M, long Dv, DeviceMask mask, cudaStream_t stream);

#endif
