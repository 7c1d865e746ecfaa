// What chapter 02 starts on the device. All arrays are device memory, row-major:
//
//     q: [N, D]    k: [M, D]    v: [M, Dv]    s: [N, M]    out: [N, Dv]    lse: [N]
//
// mask: the rule for this head. What a hidden key or value holds, be it NaN, changes nothing. A
// launch returns at once; the stream keeps the order. Nothing is started for arrays of none.

#ifndef CUDA_MASKING_H
#define CUDA_MASKING_H

#include "device_mask.h"

#include <cuda_runtime_api.h>

// Who computes what: a thread for each element of the result, a warp for each row of it, or
// cuBLAS for the two products and warps for the rest.
enum { BY_THREAD, BY_WARP, BY_CUBLAS };

// S[i,j] = scale * sum over d of Q[i,d] K[j,d] + bias[i,j], -inf where i may not look at j
cudaError_t masked_scores(int by, float *s, const float *q, const float *k, long N, long M, long D,
                          float scale, DeviceMask mask, cudaStream_t stream);

// S[i,j] = scale * S[i,j], and S[i,j] = S[i,j] + bias[i,j] or -inf: for a trace that shows the
// scores in between, and for cuBLAS, which knows no masks.
cudaError_t masked_scale(float *s, long N, long M, float scale, cudaStream_t stream);
cudaError_t masked_hide(float *s, long N, long M, DeviceMask mask, cudaStream_t stream);

// P[i,j] = exp(S[i,j] - max) / sum of the row, in place;    L[i] = max + log(sum)
cudaError_t masked_softmax(int by, float *s, float *lse, long N, long M, cudaStream_t stream);

// O[i,d] = sum over allowed j of P[i,j] V[j,d], and 0 in a dead row
cudaError_t masked_output(int by, float *out, const float *p, const float *v, const float *lse,
                          long N, long M, long Dv, DeviceMask mask, cudaStream_t stream);

// After a product over all j: the same result, also where a hidden value is NaN.
cudaError_t masked_repair(float *out, const float *p, const float *v, const float *lse, long N,
                          long M, long Dv, DeviceMask mask, cudaStream_t stream);

#endif
