// The cache cut into blocks of T tokens. A pool owns all blocks; a sequence is a table that
// lists, in token order, which blocks hold it. Token t lies in block table[t / T], slot t % T.
//
//     block   free -> owned by one table -> free
//
// pages_allocate takes a block out of the free list with one owner; pages_release gives it back
// and fills it with NaN, so that whoever reads a block it no longer owns sees it. A block counts
// its owners, so that a later chapter may let several tables share one. Every call does all it
// was asked or nothing.
//
// "Efficient Memory Management for Large Language Model Serving with PagedAttention" (Kwon et
// al., arXiv 2309.06180), section 4.

#ifndef PAGES_H
#define PAGES_H

#include "../../common/tensor.h"

#include <stdint.h>

typedef enum {
    PAGES_OK,
    PAGES_NO_FREE_BLOCKS,  // the pool has fewer free blocks than are needed
    PAGES_TABLE_FULL,      // the sequence would outgrow its table
    PAGES_NO_SUCH_BLOCK,   // a block number outside of the pool
    PAGES_NOT_ALLOCATED,   // a block that is free already
    PAGES_NAMED_TWICE,     // the same block twice in one call
} PagesStatus;

typedef struct {
    Tensor k, v;      // [blocks, G, T, D], [blocks, G, T, Dv]; slots without a token are NaN
    long   blocks, T;
    long  *owners;    // [blocks]: how many tables hold each; 0 is free
    long  *free_list; // [free_count]: a stack, so that the last block freed is the first reused
    long   free_count;
} Pool;

typedef struct {
    long *blocks;     // [capacity]: numbers of physical blocks; what lies past len is never read
    long  capacity;   // entries
    long  len;        // tokens
} BlockTable;

// A pool of `blocks` free blocks. seed 0: handed out in order 0, 1, 2, ...; any other: in an
// order shuffled by it, so that neighbours in a sequence are no neighbours in the pool.
Pool pages_pool(long blocks, long G, long T, long D, long Dv, uint64_t seed);
void pages_free_pool(Pool *pool);

BlockTable pages_table(long capacity);
void       pages_free_table(BlockTable *table);   // the memory of the table, not its blocks

// n blocks into ids[0:n], each with one owner.
PagesStatus pages_allocate(Pool *pool, long n, long *ids);

// Gives up one owner of each of ids[0:n]; a block without owners is free and its slots NaN.
PagesStatus pages_release(Pool *pool, const long *ids, long n);

// Appends n tokens to each of B sequences. k: [B, G, n, D]    v: [B, G, n, Dv]
PagesStatus pages_append(Pool *pool, BlockTable *tables, Tensor k, Tensor v);

// Gives back all blocks of a sequence; its length becomes 0.
PagesStatus pages_clear(Pool *pool, BlockTable *table);

// Blocks that hold the sequence, and the tokens of block i of it: [<= T, D] of one KV head.
// memory is pool->k or pool->v.
long   pages_count(const Pool *pool, const BlockTable *table);
Tensor pages_block(const Pool *pool, Tensor memory, const BlockTable *table, long g, long i);

// Bytes of the pool's keys and values, used or not.
long pages_bytes(const Pool *pool);

// What a status means, as a sentence without a full stop.
const char *pages_message(PagesStatus status);

#endif
