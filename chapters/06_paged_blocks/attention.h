// Chapter 06: the KV cache in pages. Blocks of T tokens lie anywhere in a pool; a table a
// sequence says which. No sequence needs memory in one piece, and none reserves what it does
// not use.
//
// "Efficient Memory Management for Large Language Model Serving with PagedAttention" (Kwon et
// al., arXiv 2309.06180), equation 4: the same sums as before, block by block.

#ifndef ATTENTION_H
#define ATTENTION_H

#include "../../common/trace.h"
#include "pages.h"

// One pass over n new tokens for each of B sequences; table b is sequence b's.
//
// q: [B, H, n, D]    k: [B, G, n, D]    v: [B, G, n, Dv]    out: [B, H, n, Dv]    lse: [B, H, n]
// mask: the rule of this pass, over all tokens that the sequences then hold. All B sequences
// hold equally many; shorter ones are padded (mask padding=L0,L1,...).
// Returns PAGES_OK, or why the tokens found no room: then nothing was stored or computed.
// Scratch: the n * (P + n) scores of one head at a time.
PagesStatus attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
                      const Mask *mask, Pool *pool, BlockTable *tables, Trace *trace);

#endif
