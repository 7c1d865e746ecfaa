// What chapter 01 starts on the device. All arrays are device memory, row-major:
//
//     q: [N, D]    k: [M, D]    v: [M, Dv]    s: [N, M]    out: [N, Dv]    lse: [N]
//
// A launch returns at once; the stream keeps the order. Nothing is started for arrays of none.

#ifndef CUDA_NAIVE_ATTENTION_H
#define CUDA_NAIVE_ATTENTION_H

#include <cuda_runtime_api.h>

// Who computes what: a thread for each element of the result, a warp for each row of it, or
// cuBLAS for the two products and warps for the rest.
enum { BY_THREAD, BY_WARP, BY_CUBLAS };

// S[i,j] = scale * sum over d of Q[i,d] K[j,d]
cudaError_t naive_scores(int by, float *s, const float *q, const float *k, long N, long M, long D,
                         float scale, cudaStream_t stream);

// S[i,j] = scale * S[i,j], for a trace that shows the scores before and after.
cudaError_t naive_scale(float *s, long N, long M, float scale, cudaStream_t stream);

// P[i,j] = exp(S[i,j] - max) / sum of the row, in place;    L[i] = max + log(sum)
cudaError_t naive_softmax(int by, float *s, float *lse, long N, long M, cudaStream_t stream);

// O[i,d] = sum over j of P[i,j] V[j,d], and 0 in a dead row
cudaError_t naive_output(int by, float *out, const float *p, const float *v, const float *lse,
                         long N, long M, long Dv, cudaStream_t stream);

// O[i,d] = 0 in a dead row, which a product with V leaves as it comes.
cudaError_t naive_clear(float *out, const float *lse, long N, long Dv, cudaStream_t stream);

#endif
