// Chapter 01: attention as the paper writes it.
//
//     Attention(Q, K, V) = softmax(Q K^T / sqrt(D)) V
//
// "Attention Is All You Need" (Vaswani et al., arXiv 1706.03762), equation 1.

#ifndef ATTENTION_H
#define ATTENTION_H

#include "../../common/trace.h"

// q: [N, D]    k: [M, D]    v: [M, Dv]    out: [N, Dv]    lse: [N]
// scale multiplies the scores, 1/sqrt(D) in the paper. lse receives the log-sum-exp of each
// row of scaled scores, -inf where the row is dead. Scratch: the N*M scores.
void attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale, Trace *trace);

#endif
