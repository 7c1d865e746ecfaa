// Chapter 02: a mask says which keys a query may look at.
//
//     Attention(Q, K, V) = softmax(mask(Q K^T / sqrt(D))) V
//
// "Attention Is All You Need" (arXiv 1706.03762), section 3.2.3: illegal connections are set
// to -inf inside of the scaled dot-product attention, before the softmax.

#ifndef ATTENTION_H
#define ATTENTION_H

#include "../../common/trace.h"

// q: [N, D]    k: [M, D]    v: [M, Dv]    out: [N, Dv]    lse: [N]
// mask: the rule for this head; common/mask.h has it in five lines.
// A query that may look at nothing gets an output of exactly 0 and an lse of -inf. What a
// hidden key or value holds, be it NaN, changes nothing. Scratch: the N*M scores.
void attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
               const Mask *mask, Trace *trace);

#endif
