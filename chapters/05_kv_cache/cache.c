#include "cache.h"

#include "../../common/count.h"

#include <math.h>
#include <stddef.h>

// Memory for `capacity` tokens in the given layout. Free rows are NaN (tensor_new's junk): a
// program that reads one sees it in the result.
static Tensor new_memory(long B, long G, long capacity, long D, CacheLayout layout)
{
    return layout == LAYOUT_HEADS ? tensor_new(SHAPE(B, G, capacity, D))
                                  : tensor_new(SHAPE(B, capacity, G, D));
}

// The memory as [B, G, capacity, D], whichever way it lies.
static Tensor by_head(Tensor memory, CacheLayout layout)
{
    memory.block = NULL;
    return layout == LAYOUT_HEADS ? memory : tensor_swap(memory, 1, 2);
}

static Tensor held(const Cache *c, Tensor memory)
{
    return tensor_slice(by_head(memory, c->layout), 2, 0, c->len);
}

Cache cache_new(long B, long G, long capacity, long D, long Dv, CacheGrowth growth,
                CacheLayout layout)
{
    return (Cache){.k = new_memory(B, G, capacity, D, layout),
                   .v = new_memory(B, G, capacity, Dv, layout),
                   .capacity = capacity, .growth = growth, .layout = layout};
}

void cache_free(Cache *c)
{
    tensor_free(&c->k);
    tensor_free(&c->v);
    *c = (Cache){0};
}

Tensor cache_keys(const Cache *c)
{
    return held(c, c->k);
}

Tensor cache_values(const Cache *c)
{
    return held(c, c->v);
}

long cache_reserved_bytes(const Cache *c)
{
    return (tensor_count(c->k) + tensor_count(c->v)) * (long)sizeof(float);
}

long cache_used_bytes(const Cache *c)
{
    return (tensor_count(cache_keys(c)) + tensor_count(cache_values(c))) * (long)sizeof(float);
}

// Doubling keeps copying cheap: 1 + 2 + 4 + ... tokens moved is less than two for each held.
static void grow(Cache *c, long needed)
{
    long room = c->capacity > 0 ? c->capacity : 1;
    while (room < needed)
        room *= 2;
    Tensor k = cache_keys(c), v = cache_values(c); // [B, G, len, D]
    Cache larger = cache_new(k.shape[0], k.shape[1], room, k.shape[3], v.shape[3], c->growth,
                             c->layout);
    larger.len = c->len;
    larger.copied_bytes = c->copied_bytes + cache_used_bytes(c);
    tensor_copy(cache_keys(&larger), k);
    tensor_copy(cache_values(&larger), v);
    count_moved(tensor_count(k) + tensor_count(v), tensor_count(k) + tensor_count(v));
    tensor_free(&c->k);
    tensor_free(&c->v);
    *c = larger;
}

void cache_append(Cache *c, Tensor k, Tensor v)
{
    long from = c->len, to = from + k.shape[2];
    if (to > c->capacity && c->growth == CACHE_GROW)
        grow(c, to);
    CHECK(to <= c->capacity, "%ld tokens into a cache of %ld", to, c->capacity);
    c->len = to;
    tensor_copy(tensor_slice(cache_keys(c), 2, from, to), k);
    tensor_copy(tensor_slice(cache_values(c), 2, from, to), v);
    count_moved(tensor_count(k) + tensor_count(v), tensor_count(k) + tensor_count(v));
}

void cache_rewind(Cache *c, long len)
{
    CHECK(0 <= len && len <= c->len, "rewind to %ld of %ld tokens", len, c->len);
    tensor_fill(tensor_slice(cache_keys(c), 2, len, c->len), NAN);
    tensor_fill(tensor_slice(cache_values(c), 2, len, c->len), NAN);
    c->len = len;
}
