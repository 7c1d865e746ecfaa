// Chapter 03: H attentions side by side, each on its own slice.
//
//     MultiHead(X) = concat(head_0, ..., head_H-1) W_O^T
//     head_h = Attention(X W_Q,h^T, X W_K,h^T, X W_V,h^T)
//
// "Attention Is All You Need" (arXiv 1706.03762), section 3.2.2. The projections are in
// common/projection.c; attention() is what lies between them.

#ifndef ATTENTION_H
#define ATTENTION_H

#include "../../common/trace.h"

// q: [B, H, N, D]    k: [B, H, M, D]    v: [B, H, M, Dv]    out: [B, H, N, Dv]    lse: [B, H, N]
// mask: the rule for all heads of all sequences. Any strides, the last axis contiguous.
// Scratch: the N*M scores of one head at a time.
void attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
               const Mask *mask, Trace *trace);

#endif
