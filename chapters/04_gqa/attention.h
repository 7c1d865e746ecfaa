// Chapter 04: grouped-query attention. H query heads share G heads of K and V, H / G to one.
//
//     head_h = Attention(Q_h, K_g, V_g),    g = h / (H / G)
//
// "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints"
// (Ainslie et al., arXiv 2305.13245), section 2.2. G = H is chapter 03; G = 1 is multi-query
// attention (Shazeer, arXiv 1911.02150).

#ifndef ATTENTION_H
#define ATTENTION_H

#include "../../common/trace.h"

// q: [B, H, N, D]    k: [B, G, M, D]    v: [B, G, M, Dv]    out: [B, H, N, Dv]    lse: [B, H, N]
// H is a multiple of G. mask: the rule for all heads of all sequences.
// Scratch: the N*M scores of one head at a time.
void attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
               const Mask *mask, Trace *trace);

#endif
