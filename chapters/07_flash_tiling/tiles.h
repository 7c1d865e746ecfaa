// Fast memory: the few tiles that all arithmetic works on, and the copies into them. On a GPU
// this is shared memory; here it is scratch that stays small enough for the nearest cache. What
// is read from slow memory is counted here and nowhere else.

#ifndef TILES_H
#define TILES_H

#include "../../common/mask.h"
#include "pages.h"

// All that is held in fast memory: tiles of Q, K, V, of scores, and each row's state.
typedef struct {
    Tensor q, k, v;      // [R, D], [C, D], [C, Dv]
    Tensor s, mixed;     // [R, C], [R, Dv]: scores, then weights; what one tile adds
    Tensor state, acc;   // [R, STATE_SIZE], [R, Dv]: maximum, sum and output so far
    Tensor state2, acc2; // the same for a part of the keys, computed apart
} Fast;

// One KV head of one sequence, and where its tokens are looked for.
typedef struct {
    const Pool *pool;
    const BlockTable *table;
    long g;
} Keys;

Fast fast_new(long R, long C, long D, long Dv);
void fast_free(Fast *f);

// The first n rows of a tile.
Tensor first_rows(Tensor tile, long n);

// Rows from:to of x into the tile. Returns the tile's rows that were filled.
Tensor load_rows(Tensor tile, Tensor x, long from, long to);

// Tokens from:to of one KV head into the tile, wherever their blocks lie. memory is the pool's
// k or v. Returns the tile's rows that were filled.
Tensor load_tokens(Tensor tile, Keys keys, Tensor memory, long from, long to);

// Does the mask leave nothing of a tile of N queries and C keys?
bool tile_is_empty(const Mask *mask, long N, long C);

#endif
