// Chapter 05: the KV cache. A token's key and value never change once computed, so they are
// kept; each new token computes its own query, key and value and looks at all that is there.
//
// Shazeer, "Fast Transformer Decoding" (arXiv 1911.02150), section 2.4, incremental decoding.
// Queries are not kept: no later token ever asks for them.

#ifndef ATTENTION_H
#define ATTENTION_H

#include "../../common/trace.h"
#include "cache.h"

// One pass over n new tokens. P tokens are in the cache before it, P + n after it.
//
// q: [B, H, n, D]    k: [B, G, n, D]    v: [B, G, n, Dv]    out: [B, H, n, Dv]    lse: [B, H, n]
// mask: the rule of this pass, over P + n keys (mask_pass knows how positions are counted).
// Scratch: the n * (P + n) scores of one head at a time.
void attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
               const Mask *mask, Cache *cache, Trace *trace);

#endif
