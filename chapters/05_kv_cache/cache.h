// The keys and values of every token so far, held in one of two ways:
//
//   prealloc   room for the longest sequence is reserved at once; nothing is ever copied
//   grow       room doubles when it runs out, and what was held is copied over
//
// and laid out in one of two ways, with the same results:
//
//   heads      [B, G, capacity, D]   a head's tokens lie together
//   tokens     [B, capacity, G, D]   a token's heads lie together, as in llama.cpp

#ifndef CACHE_H
#define CACHE_H

#include "../../common/tensor.h"

typedef enum { CACHE_PREALLOC, CACHE_GROW } CacheGrowth;
typedef enum { LAYOUT_HEADS, LAYOUT_TOKENS } CacheLayout;

typedef struct {
    Tensor k, v;             // the memory, in its layout; rows that hold no token are NaN
    long   len, capacity;    // tokens held, tokens that there is room for
    CacheGrowth growth;
    CacheLayout layout;
    long   copied_bytes;     // moved by growing, so far
} Cache;

// Room for `capacity` tokens of B sequences with G heads, D floats a key and Dv a value.
Cache cache_new(long B, long G, long capacity, long D, long Dv, CacheGrowth growth,
                CacheLayout layout);
void  cache_free(Cache *c);

// Adds the tokens of k: [B, G, n, D] and v: [B, G, n, Dv] behind those held. A growing cache
// makes room; a preallocated one must have it (CHECK: whoever calls knows the capacity).
void cache_append(Cache *c, Tensor k, Tensor v);

// Forgets the tokens from len on, as if they had never been there.
void cache_rewind(Cache *c, long len);

// What is held, as views [B, G, len, D] and [B, G, len, Dv] whatever the layout.
Tensor cache_keys(const Cache *c);
Tensor cache_values(const Cache *c);

long cache_reserved_bytes(const Cache *c);
long cache_used_bytes(const Cache *c);

#endif
