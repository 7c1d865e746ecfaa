#include "pages.h"

#include "../../common/count.h"
#include "../../common/random.h"

#include <math.h>
#include <stdlib.h>

// --- the pool ------------------------------------------------------------------------------

static long *new_numbers(long n)
{
    long *numbers = calloc(n > 0 ? (size_t)n : 1, sizeof *numbers);
    if (!numbers)
        refuse(EXIT_MEMORY, "out of memory: a table of %ld blocks", n);
    return numbers;
}

Pool pages_pool(long blocks, long G, long T, long D, long Dv, uint64_t seed)
{
    Random r = random_seed(seed);
    Pool pool = {.k = tensor_new(SHAPE(blocks, G, T, D)), .v = tensor_new(SHAPE(blocks, G, T, Dv)),
                 .blocks = blocks, .T = T, .owners = new_numbers(blocks),
                 .free_list = new_numbers(blocks), .free_count = blocks};
    for (long i = 0; i < blocks; i++)
        pool.free_list[i] = blocks - 1 - i; // a stack: block 0 lies on top
    for (long i = blocks - 1; seed != 0 && i > 0; i--) { // Fisher and Yates
        long j = random_below(&r, i + 1), other = pool.free_list[j];
        pool.free_list[j] = pool.free_list[i];
        pool.free_list[i] = other;
    }
    return pool;
}

void pages_free_pool(Pool *pool)
{
    tensor_free(&pool->k);
    tensor_free(&pool->v);
    free(pool->owners);
    free(pool->free_list);
    *pool = (Pool){0};
}

BlockTable pages_table(long capacity)
{
    return (BlockTable){.blocks = new_numbers(capacity), .capacity = capacity};
}

void pages_free_table(BlockTable *table)
{
    free(table->blocks);
    *table = (BlockTable){0};
}

// --- blocks --------------------------------------------------------------------------------

PagesStatus pages_allocate(Pool *pool, long n, long *ids)
{
    if (n > pool->free_count)
        return PAGES_NO_FREE_BLOCKS;
    for (long i = 0; i < n; i++) {
        ids[i] = pool->free_list[--pool->free_count];
        pool->owners[ids[i]] = 1;
    }
    return PAGES_OK;
}

// Could all of ids be given up? A block seen once is marked by turning its count negative, and
// every mark is taken back before the answer: the pool is as it was.
static PagesStatus check_release(Pool *pool, const long *ids, long n)
{
    PagesStatus status = PAGES_OK;
    long seen = 0;
    for (; seen < n && status == PAGES_OK; seen++) {
        long id = ids[seen];
        if (id < 0 || id >= pool->blocks)
            status = PAGES_NO_SUCH_BLOCK;
        else if (pool->owners[id] == 0)
            status = PAGES_NOT_ALLOCATED;
        else if (pool->owners[id] < 0)
            status = PAGES_NAMED_TWICE;
        else
            pool->owners[id] = -pool->owners[id];
    }
    for (long i = 0; i < seen; i++)
        if (ids[i] >= 0 && ids[i] < pool->blocks && pool->owners[ids[i]] < 0)
            pool->owners[ids[i]] = -pool->owners[ids[i]];
    return status;
}

PagesStatus pages_release(Pool *pool, const long *ids, long n)
{
    PagesStatus status = check_release(pool, ids, n);
    // The last of a sequence's blocks goes first, so that its first is on top of the stack.
    for (long i = n - 1; i >= 0 && status == PAGES_OK; i--) {
        if (--pool->owners[ids[i]] > 0)
            continue;
        tensor_fill(tensor_at(pool->k, ids[i]), NAN);
        tensor_fill(tensor_at(pool->v, ids[i]), NAN);
        pool->free_list[pool->free_count++] = ids[i];
    }
    return status;
}

// --- sequences -----------------------------------------------------------------------------

static long blocks_for(long tokens, long T)
{
    return tokens / T + (tokens % T != 0);
}

long pages_count(const Pool *pool, const BlockTable *table)
{
    return blocks_for(table->len, pool->T);
}

Tensor pages_block(const Pool *pool, Tensor memory, const BlockTable *table, long g, long i)
{
    long left = table->len - i * pool->T;
    CHECK(0 <= i && left > 0, "block %ld of a sequence of %ld tokens", i, table->len);
    Tensor block = tensor_at(tensor_at(memory, table->blocks[i]), g); // [T, D]
    return tensor_slice(block, 0, 0, left < pool->T ? left : pool->T);
}

// Copies the n tokens of one sequence into its slots. k: [G, n, D]
static void store(Pool *pool, const BlockTable *table, long from, Tensor k, Tensor v)
{
    for (long t = 0; t < k.shape[1]; t++) {
        long block = table->blocks[(from + t) / pool->T], slot = (from + t) % pool->T;
        for (long g = 0; g < k.shape[0]; g++) {
            tensor_copy(tensor_at(tensor_at(tensor_at(pool->k, block), g), slot),
                        tensor_at(tensor_at(k, g), t));
            tensor_copy(tensor_at(tensor_at(tensor_at(pool->v, block), g), slot),
                        tensor_at(tensor_at(v, g), t));
        }
    }
    count_moved(tensor_count(k) + tensor_count(v), tensor_count(k) + tensor_count(v));
}

PagesStatus pages_append(Pool *pool, BlockTable *tables, Tensor k, Tensor v)
{
    long B = k.shape[0], n = k.shape[2], needed = 0;
    for (long b = 0; b < B; b++) {
        long after = blocks_for(tables[b].len + n, pool->T);
        if (after > tables[b].capacity)
            return PAGES_TABLE_FULL;
        needed += after - pages_count(pool, &tables[b]);
    }
    if (needed > pool->free_count)
        return PAGES_NO_FREE_BLOCKS;
    for (long b = 0; b < B; b++) {
        long from = tables[b].len, have = pages_count(pool, &tables[b]);
        pages_allocate(pool, blocks_for(from + n, pool->T) - have, tables[b].blocks + have);
        tables[b].len += n;
        store(pool, &tables[b], from, tensor_at(k, b), tensor_at(v, b));
    }
    return PAGES_OK;
}

PagesStatus pages_clear(Pool *pool, BlockTable *table)
{
    PagesStatus status = pages_release(pool, table->blocks, pages_count(pool, table));
    if (status == PAGES_OK)
        table->len = 0;
    return status;
}

long pages_bytes(const Pool *pool)
{
    return (tensor_count(pool->k) + tensor_count(pool->v)) * (long)sizeof(float);
}

const char *pages_message(PagesStatus status)
{
    static const char *const messages[] = {
        "done", "no free blocks", "the block table is full", "no such block",
        "the block is not allocated", "the same block is named twice",
    };
    return messages[status];
}
