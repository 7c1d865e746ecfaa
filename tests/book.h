// The whole book in one program: a case goes into any chapter, its output comes back.
//
// Every chapter calls its function attention(). To stand side by side each chapter's
// attention.c is compiled with -Dattention=attention_01, ... -Dattention=attention_07.
//
// A chapter that has no word for something gets it in its own terms: 01 and 02 are called head
// by head, 03 gets K and V repeated for every query head, and 01 to 04, which know no past, get
// past and new keys as one.

#ifndef BOOK_H
#define BOOK_H

#include "../chapters/05_kv_cache/cache.h"
#include "../common/tensor.h"

#include <stdbool.h>

enum { CHAPTERS = 7, MOST_CUTS = 64 };

typedef struct {
    long B, H, G, N, M, P, D, Dv; // M: new keys, P: keys before them, as in docs/NOTATION.md
    Tensor q;                     // [B, H, N, D]
    Tensor k, v;                  // [B, G, M, D], [B, G, M, Dv]
    Tensor past_k, past_v;        // [B, G, P, D], [B, G, P, Dv]
    const char *mask;             // as --mask takes it, for N queries and P + M keys
    float scale;
    long prefill;                 // 05 on: tokens of the first pass, then one by one; N if N != M
    CacheGrowth growth;           // 05
    CacheLayout layout;
    long block_size, shuffle;     // 06 on: T, and the seed of the blocks' order
    long blocks;                  // in the pool; 0: what the run needs, and two
    long R, C;                    // 07: the tile
    long cuts[MOST_CUTS], cut_count;
} Case;

typedef struct {
    Tensor out, lse;              // [B, H, N, Dv], [B, H, N]; NaN where nobody wrote
    long scratch;                 // the most bytes that one pass held beyond what it found
} Result;

// Can chapter n (1 to 7) be asked this at all? 01 has no mask.
bool chapter_takes(int n, const Case *c);

// Aborts where a chapter breaks its contract: a guard zone written, a block not given back.
Result run_chapter(int n, const Case *c);
void   result_free(Result *r);

// Past and new keys (or values) as one: [B, G, P, D] and [B, G, M, D] -> [B, G, P + M, D], the
// caller's to free.
Tensor join_tokens(Tensor past, Tensor fresh);

// Every KV head as often as query heads read it: [B, G, M, D] -> [B, H, M, D], the caller's to
// free.
Tensor repeat_heads(Tensor kv, long H);

#endif
