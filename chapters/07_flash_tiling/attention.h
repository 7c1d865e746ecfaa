// Chapter 07: attention in tiles. The softmax of a row is carried along as (maximum, sum,
// output so far) while the keys come by, so that the N*M scores never exist together.
//
// "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness" (Dao et al.,
// arXiv 2205.14135), algorithm 1; with queries in the outer loop and one division at the end,
// as in FlashAttention-2 (Dao, arXiv 2307.08691), algorithm 1.

#ifndef ATTENTION_H
#define ATTENTION_H

#include "../../common/trace.h"
#include "pages.h"

// How the scores are cut: R queries by C keys a tile, whatever the blocks of the pages beneath.
typedef struct {
    long rows, columns; // R, C
    const long *cuts;   // ascending: keys up to cuts[0], from there to cuts[1], ... apart
    long cut_count;     // 0: all keys in one go
} Tiling;

// One pass over n new tokens for each of B sequences; table b is sequence b's.
//
// q: [B, H, n, D]    k: [B, G, n, D]    v: [B, G, n, Dv]    out: [B, H, n, Dv]    lse: [B, H, n]
// mask: the rule of this pass, over all tokens that the sequences then hold.
// Returns PAGES_OK, or why the tokens found no room: then nothing was stored or computed.
//
// The sums are divided last, so that M * max|V| must stay below float32's 3.4e38; chapters 01 to
// 06 divide first and need only max|V| to.
//
// Scratch: 4 * (R*D + C*D + C*Dv + R*C + 3*R*Dv + 2*R*4) bytes, constant in N and M. Slow memory
// is read once a row of tiles: 4 * (N*D + keys of all computed tiles * (D + Dv)) bytes a head.
PagesStatus attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
                      const Mask *mask, Pool *pool, BlockTable *tables, const Tiling *tiling,
                      Trace *trace);

#endif
