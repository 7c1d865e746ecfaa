// What chapter 05 starts on the device. All arrays are device memory; all but k and v row-major:
//
//     q: [B, H, N, D]    k: [B, G, M, D]    v: [B, G, M, Dv]
//     s: [B, H, N, M]    out: [B, H, N, Dv]    lse: [B, H, N]
//
// N new tokens look at all M that are held; k and v are the cache's memory, in its layout.
// Head h reads KV head h / (H / G). mask: the rule for all heads of all sequences. All heads are
// computed at once, each by blocks of its own. A launch returns at once; nothing is started for
// arrays of none.

#ifndef CUDA_KV_CACHE_H
#define CUDA_KV_CACHE_H

#include "device_mask.h"

#include <cuda_runtime_api.h>

// Who computes what: a thread for each element of the result, a warp for each row of it, or
// cuBLAS for the two products and warps for the rest.
enum { BY_THREAD, BY_WARP, BY_CUBLAS };

// A cache's keys or values as [B, G, tokens, width]. A row of `width` floats lies in one piece.
typedef struct {
    float *data;
    long   stride[3]; // floats from one sequence, head and token to the next
} DeviceRows;

// Tokens from:from + n of the memory become the rows of [B, G, n, width].
cudaError_t cached_append(DeviceRows memory, const float *rows, long B, long G, long from, long n,
                          long width, cudaStream_t stream);

// S[i,j] = scale * sum over d of Q[i,d] K[j,d] + bias[i,j], -inf where i may not look at j
cudaError_t cached_scores(int by, float *s, const float *q, DeviceRows k, long B, long H, long G,
                          long N, long M, long D, float scale, DeviceMask mask,
                          cudaStream_t stream);

// S[i,j] = scale * S[i,j], and S[i,j] = S[i,j] + bias[i,j] or -inf: for a trace that shows the
// scores in between, and for cuBLAS, which knows no masks.
cudaError_t cached_scale(float *s, long B, long H, long N, long M, float scale,
                         cudaStream_t stream);
cudaError_t cached_hide(float *s, long B, long H, long N, long M, DeviceMask mask,
                        cudaStream_t stream);

// P[i,j] = exp(S[i,j] - max) / sum of the row, in place;    L[i] = max + log(sum)
cudaError_t cached_softmax(int by, float *s, float *lse, long B, long H, long N, long M,
                           cudaStream_t stream);

// O[i,d] = sum over allowed j of P[i,j] V[j,d], and 0 in a dead row
cudaError_t cached_output(int by, float *out, const float *p, DeviceRows v, const float *lse,
                          long B, long H, long G, long N, long M, long Dv, DeviceMask mask,
                          cudaStream_t stream);

// After a product over all j: the same result, also where a hidden value is NaN.
cudaError_t cached_repair(float *out, const float *p, DeviceRows v, const float *lse, long B,
                          long H, long G, long N, long M, long Dv, DeviceMask mask,
                          cudaStream_t stream);

#endif
