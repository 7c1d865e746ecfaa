// Chapter 06's pages: blocks taken and given back, tables, and the hard cases by their number.
#define _XOPEN_SOURCE 700
#include "../chapters/06_paged_blocks/pages.h"
#include "../common/count.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "child.h"

enum { G = 2, D = 2, DV = 3, MOST = 64 };

// --- contents ---------------------------------------------------------------------------

// What token t of sequence b holds: a number of its own. V's are negative.
static float key_of(long b, long g, long t, long d)
{
    return (float)(10000 * b + 100 * t + 10 * g + d + 1);
}

static float value_of(long b, long g, long t, long d)
{
    return -key_of(b, g, t, d);
}

typedef float Content(long b, long g, long t, long d);

// Tokens from:to of sequences first:first + B, as [B, G, to - from, width].
static Tensor tokens(long first, long B, long from, long to, long width, Content *content)
{
    Tensor x = tensor_new(SHAPE(B, G, to - from, width));
    for (long b = 0; b < B; b++)
        for (long g = 0; g < G; g++)
            for (long t = from; t < to; t++)
                for (long d = 0; d < width; d++)
                    row(tensor_at(tensor_at(x, b), g), t - from)[d] = content(first + b, g, t, d);
    return x;
}

// Appends tokens from:to to one table, as those of sequence b.
static PagesStatus append(Pool *pool, BlockTable *table, long b, long from, long to)
{
    Tensor k = tokens(b, 1, from, to, D, key_of), v = tokens(b, 1, from, to, DV, value_of);
    PagesStatus status = pages_append(pool, table, k, v);
    tensor_free(&k);
    tensor_free(&v);
    return status;
}

// Appends n tokens to each of B tables that hold `from` tokens, or claim to.
static PagesStatus append_all(Pool *pool, BlockTable *tables, long B, long from, long n)
{
    Tensor k = tokens(0, B, from, from + n, D, key_of);
    Tensor v = tokens(0, B, from, from + n, DV, value_of);
    PagesStatus status = pages_append(pool, tables, k, v);
    tensor_free(&k);
    tensor_free(&v);
    return status;
}

// --- checks -----------------------------------------------------------------------------

static long numbers_in(Tensor memory)
{
    long n = 0;
    for (long i = 0; i < tensor_count(memory); i++)
        n += !isnan(memory.data[i]);
    return n;
}

// Reads a sequence the way attention does, block by block and head by head: len tokens, each
// with its own contents, and no more.
static void expect_sequence(const Pool *pool, const BlockTable *table, long b, long len)
{
    assert_int_equal(table->len, len);
    assert_int_equal(pages_count(pool, table), (len + pool->T - 1) / pool->T);
    for (long g = 0; g < G; g++) {
        long t = 0;
        for (long i = 0; i < pages_count(pool, table); i++) {
            Tensor k = pages_block(pool, pool->k, table, g, i);
            Tensor v = pages_block(pool, pool->v, table, g, i);
            assert_int_equal(k.shape[0], v.shape[0]);
            for (long slot = 0; slot < k.shape[0]; slot++, t++) {
                for (long d = 0; d < D; d++)
                    assert_true(row(k, slot)[d] == key_of(b, g, t, d));
                for (long d = 0; d < DV; d++)
                    assert_true(row(v, slot)[d] == value_of(b, g, t, d));
            }
        }
        assert_int_equal(t, len);
    }
}

// Every block is in the free list once or has owners, and there are `used` of the latter.
static void expect_pool(const Pool *pool, long used)
{
    long listed[MOST] = {0}, owned = 0;
    assert_in_range(pool->blocks, 0, MOST);
    assert_int_equal(pool->free_count + used, pool->blocks);
    for (long i = 0; i < pool->free_count; i++) {
        assert_in_range(pool->free_list[i], 0, pool->blocks - 1);
        listed[pool->free_list[i]]++;
    }
    for (long id = 0; id < pool->blocks; id++) {
        assert_int_equal(listed[id], pool->owners[id] == 0 ? 1 : 0);
        owned += pool->owners[id] > 0;
    }
    assert_int_equal(owned, used);
}

// --- nothing changed --------------------------------------------------------------------

// All that a pool is, to hold against what it is later.
typedef struct {
    Pool pool;
    long owners[MOST], free_list[MOST];
    float *k, *v;
} Copy;

static Copy copy_of(const Pool *pool)
{
    size_t n = (size_t)pool->blocks * sizeof(long);
    size_t k = (size_t)tensor_count(pool->k) * sizeof(float);
    size_t v = (size_t)tensor_count(pool->v) * sizeof(float);
    Copy c = {.pool = *pool, .k = malloc(k), .v = malloc(v)};
    assert_true(c.k && c.v && pool->blocks <= MOST);
    memcpy(c.owners, pool->owners, n);
    memcpy(c.free_list, pool->free_list, n);
    memcpy(c.k, pool->k.data, k);
    memcpy(c.v, pool->v.data, v);
    return c;
}

static void free_copy(Copy *c)
{
    free(c->k);
    free(c->v);
}

// The pool is as it was, to the bit and to the order of its free list.
static void expect_unchanged(const Pool *pool, const Copy *c)
{
    assert_int_equal(pool->free_count, c->pool.free_count);
    assert_memory_equal(pool->owners, c->owners, (size_t)pool->blocks * sizeof(long));
    assert_memory_equal(pool->free_list, c->free_list, (size_t)pool->free_count * sizeof(long));
    assert_memory_equal(pool->k.data, c->k, (size_t)tensor_count(pool->k) * sizeof(float));
    assert_memory_equal(pool->v.data, c->v, (size_t)tensor_count(pool->v) * sizeof(float));
}

// --- the pool ---------------------------------------------------------------------------

// All free, all NaN, handed out in order; the bytes are those of keys and values.
static void test_new_pool(void **state)
{
    long ids[5];
    (void)state;
    Pool pool = pages_pool(5, G, 4, D, DV, 0);
    expect_pool(&pool, 0);
    assert_int_equal(pages_bytes(&pool), 5 * G * 4 * (D + DV) * 4);
    assert_int_equal(tensor_live_bytes(), pages_bytes(&pool));
    assert_int_equal(numbers_in(pool.k) + numbers_in(pool.v), 0);
    assert_int_equal(pages_allocate(&pool, 5, ids), PAGES_OK);
    for (long i = 0; i < 5; i++)
        assert_int_equal(ids[i], i);
    pages_free_pool(&pool);
    assert_null(pool.owners);
    assert_int_equal(tensor_live_bytes(), 0);
}

// A seed shuffles the order: every block still once, the same order for the same seed.
static void test_shuffled_pool(void **state)
{
    long ids[3][16], moved = 0, differ = 0;
    (void)state;
    for (int i = 0; i < 3; i++) {
        Pool pool = pages_pool(16, G, 1, D, DV, i < 2 ? 7 : 8);
        expect_pool(&pool, 0);
        assert_int_equal(pages_allocate(&pool, 16, ids[i]), PAGES_OK);
        for (long id = 0; id < 16; id++)
            assert_int_equal(pool.owners[id], 1);
        pages_free_pool(&pool);
    }
    for (long i = 0; i < 16; i++) {
        moved += ids[0][i] != i;
        differ += ids[0][i] != ids[2][i];
    }
    assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    assert_true(moved > 8 && differ > 8);
}

// Hard case 43: a pool of one block of one token.
static void test_43_smallest(void **state)
{
    long id = -1;
    (void)state;
    Pool pool = pages_pool(1, G, 1, D, DV, 3);
    BlockTable table = pages_table(2);
    assert_int_equal(pages_allocate(&pool, 0, &id), PAGES_OK);
    assert_int_equal(append(&pool, &table, 0, 0, 1), PAGES_OK);
    expect_sequence(&pool, &table, 0, 1);
    expect_pool(&pool, 1);
    assert_int_equal(append(&pool, &table, 0, 1, 2), PAGES_NO_FREE_BLOCKS);
    expect_sequence(&pool, &table, 0, 1);
    assert_int_equal(pages_clear(&pool, &table), PAGES_OK);
    expect_pool(&pool, 0);
    pages_free_table(&table);
    pages_free_pool(&pool);
}

// Hard case 44: n blocks are there, n + 1 are not, and asking changes nothing.
static void test_44_no_free_blocks(void **state)
{
    long ids[8] = {-5, -5, -5, -5, -5, -5, -5, -5};
    (void)state;
    Pool pool = pages_pool(6, G, 2, D, DV, 1);
    assert_int_equal(pages_allocate(&pool, 2, ids), PAGES_OK);
    Copy before = copy_of(&pool);
    assert_int_equal(pages_allocate(&pool, 5, ids + 2), PAGES_NO_FREE_BLOCKS);
    assert_string_equal(pages_message(PAGES_NO_FREE_BLOCKS), "no free blocks");
    expect_unchanged(&pool, &before);
    assert_int_equal(ids[2], -5); // not even a part of them
    assert_int_equal(pages_allocate(&pool, 4, ids + 2), PAGES_OK);
    expect_pool(&pool, 6);
    assert_int_equal(pages_allocate(&pool, 1, ids), PAGES_NO_FREE_BLOCKS);
    free_copy(&before);
    pages_free_pool(&pool);
}

// Hard case 45: full, one block given back and taken a hundred times: always the same one.
static void test_45_full_and_back(void **state)
{
    long ids[4], again;
    (void)state;
    Pool pool = pages_pool(4, G, 2, D, DV, 9);
    assert_int_equal(pages_allocate(&pool, 4, ids), PAGES_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(pages_release(&pool, &ids[i % 4], 1), PAGES_OK);
        expect_pool(&pool, 3);
        assert_int_equal(pages_allocate(&pool, 1, &again), PAGES_OK);
        assert_int_equal(again, ids[i % 4]);
        expect_pool(&pool, 4);
    }
    assert_int_equal(tensor_live_bytes(), pages_bytes(&pool)); // it never grew
    pages_free_pool(&pool);
}

// Blocks given back together are taken again in the same order.
static void test_release_order(void **state)
{
    long ids[5], again[5];
    (void)state;
    Pool pool = pages_pool(5, G, 2, D, DV, 9);
    assert_int_equal(pages_allocate(&pool, 5, ids), PAGES_OK);
    assert_int_equal(pages_release(&pool, ids, 5), PAGES_OK);
    assert_int_equal(pages_allocate(&pool, 5, again), PAGES_OK);
    assert_memory_equal(again, ids, sizeof ids);
    pages_free_pool(&pool);
}

// --- what cannot be given back ----------------------------------------------------------

// Rejected with this status, and nothing changed.
static void expect_rejected(Pool *pool, const long *ids, long n, PagesStatus expected)
{
    Copy before = copy_of(pool);
    PagesStatus status = pages_release(pool, ids, n);
    if (status != expected)
        fail_msg("expected \"%s\", got \"%s\"", pages_message(expected), pages_message(status));
    expect_unchanged(pool, &before);
    free_copy(&before);
}

// A pool of 6 with blocks 0 to 3 taken and their slots filled.
static Pool four_of_six(void)
{
    long ids[4];
    Pool pool = pages_pool(6, G, 2, D, DV, 0);
    assert_int_equal(pages_allocate(&pool, 4, ids), PAGES_OK);
    for (long i = 0; i < 4; i++) {
        assert_int_equal(ids[i], i);
        tensor_fill(tensor_at(pool.k, i), (float)i);
        tensor_fill(tensor_at(pool.v, i), (float)-i);
    }
    return pool;
}

// Hard case 50: a block given back twice, alone and among others.
static void test_50_double_free(void **state)
{
    (void)state;
    Pool pool = four_of_six();
    assert_int_equal(pages_release(&pool, (long[]){2}, 1), PAGES_OK);
    expect_rejected(&pool, (long[]){2}, 1, PAGES_NOT_ALLOCATED);
    expect_rejected(&pool, (long[]){0, 1, 2}, 3, PAGES_NOT_ALLOCATED);
    expect_rejected(&pool, (long[]){2, 0, 1}, 3, PAGES_NOT_ALLOCATED);
    assert_int_equal(pages_release(&pool, (long[]){0, 1, 3}, 3), PAGES_OK);
    expect_pool(&pool, 0);
    pages_free_pool(&pool);
}

// Hard case 51: the same block twice in one call, even when it has two owners.
static void test_51_named_twice(void **state)
{
    (void)state;
    Pool pool = four_of_six();
    expect_rejected(&pool, (long[]){1, 1}, 2, PAGES_NAMED_TWICE);
    expect_rejected(&pool, (long[]){0, 1, 3, 0}, 4, PAGES_NAMED_TWICE);
    pool.owners[1] = 2;
    expect_rejected(&pool, (long[]){1, 0, 1}, 3, PAGES_NAMED_TWICE);
    expect_rejected(&pool, (long[]){1, 1, 1}, 3, PAGES_NAMED_TWICE);
    pages_free_pool(&pool);
}

// Hard case 52: a block never taken, and numbers that are no block.
static void test_52_no_such_block(void **state)
{
    (void)state;
    Pool pool = four_of_six();
    expect_rejected(&pool, (long[]){4}, 1, PAGES_NOT_ALLOCATED);
    expect_rejected(&pool, (long[]){6}, 1, PAGES_NO_SUCH_BLOCK);
    expect_rejected(&pool, (long[]){-1}, 1, PAGES_NO_SUCH_BLOCK);
    expect_rejected(&pool, (long[]){LONG_MAX}, 1, PAGES_NO_SUCH_BLOCK);
    expect_rejected(&pool, (long[]){LONG_MIN}, 1, PAGES_NO_SUCH_BLOCK);
    expect_rejected(&pool, (long[]){0, 1, 6}, 3, PAGES_NO_SUCH_BLOCK);
    expect_rejected(&pool, (long[]){6, 0, 0}, 3, PAGES_NO_SUCH_BLOCK); // the first mistake
    expect_rejected(&pool, (long[]){0, 0, 6}, 3, PAGES_NAMED_TWICE);
    pages_free_pool(&pool);
}

// A block of two owners stays, contents and all, until the second one gives it up.
static void test_two_owners(void **state)
{
    (void)state;
    Pool pool = four_of_six();
    pool.owners[1] = 2; // as a later chapter will
    assert_int_equal(pages_release(&pool, (long[]){0, 1}, 2), PAGES_OK);
    expect_pool(&pool, 3);
    assert_int_equal(pool.owners[1], 1);
    assert_true(pool.k.data[1 * pool.k.stride[0]] == 1 && pool.v.data[1 * pool.v.stride[0]] == -1);
    assert_int_equal(pages_release(&pool, (long[]){1}, 1), PAGES_OK);
    expect_pool(&pool, 2);
    assert_true(isnan(pool.k.data[1 * pool.k.stride[0]]));
    pages_free_pool(&pool);
}

// --- contents ---------------------------------------------------------------------------

// Hard case 53: slots without a token are NaN and never shown to a reader, after every token
// of three blocks.
static void test_53_unused_slots(void **state)
{
    (void)state;
    Pool pool = pages_pool(4, G, 3, D, DV, 2);
    BlockTable table = pages_table(3);
    for (long t = 0; t < 9; t++) {
        assert_int_equal(append(&pool, &table, 0, t, t + 1), PAGES_OK);
        expect_sequence(&pool, &table, 0, t + 1);
        assert_int_equal(pages_block(&pool, pool.k, &table, 0, t / 3).shape[0], t % 3 + 1);
        assert_int_equal(numbers_in(pool.k), (t + 1) * G * D);
        assert_int_equal(numbers_in(pool.v), (t + 1) * G * DV);
        expect_pool(&pool, t / 3 + 1);
    }
    assert_int_equal(pages_clear(&pool, &table), PAGES_OK);
    pages_free_table(&table);
    pages_free_pool(&pool);
}

// Hard case 54: whatever the table holds past its end, nobody reads it.
static void test_54_stale_tail(void **state)
{
    static const long junk[] = {-1, LONG_MAX, LONG_MIN, 0, 7};
    (void)state;
    for (int j = 0; j < 5; j++) {
        Pool pool = pages_pool(6, G, 2, D, DV, 1);
        BlockTable table = pages_table(5), other = pages_table(2);
        assert_int_equal(append(&pool, &other, 1, 0, 2), PAGES_OK);
        for (long i = 0; i < 5; i++)
            table.blocks[i] = junk[j];
        assert_int_equal(append(&pool, &table, 0, 0, 0), PAGES_OK); // no token, no block
        expect_pool(&pool, 1);
        assert_int_equal(append(&pool, &table, 0, 0, 3), PAGES_OK);
        expect_sequence(&pool, &table, 0, 3);
        assert_int_equal(append(&pool, &table, 0, 3, 5), PAGES_OK);
        expect_sequence(&pool, &table, 0, 5);
        assert_int_equal(table.blocks[3], junk[j]); // nor written
        assert_int_equal(pages_clear(&pool, &table), PAGES_OK);
        expect_pool(&pool, 1);
        expect_sequence(&pool, &other, 1, 2);
        assert_int_equal(pages_clear(&pool, &table), PAGES_OK); // it lists no block any more
        expect_pool(&pool, 1);
        pages_free_table(&other);
        pages_free_table(&table);
        pages_free_pool(&pool);
    }
}

// Hard case 55: a block that is used again shows nothing of its past. From the moment it is
// given back its slots are NaN; its new owner's empty slots still are.
static void test_55_reused_block(void **state)
{
    (void)state;
    Pool pool = pages_pool(2, G, 4, D, DV, 0);
    BlockTable first = pages_table(2), second = pages_table(2);
    assert_int_equal(append(&pool, &first, 0, 0, 8), PAGES_OK);
    assert_int_equal(numbers_in(pool.k), 8 * G * D);
    assert_int_equal(pages_clear(&pool, &first), PAGES_OK);
    assert_int_equal(numbers_in(pool.k) + numbers_in(pool.v), 0);
    assert_int_equal(append(&pool, &second, 1, 0, 1), PAGES_OK);
    expect_sequence(&pool, &second, 1, 1);
    assert_int_equal(numbers_in(pool.k), G * D);
    assert_int_equal(numbers_in(pool.v), G * DV);
    pages_free_table(&second);
    pages_free_table(&first);
    pages_free_pool(&pool);
}

// Hard case 56: wherever in a block a sequence ends, all of its blocks come back.
static void test_56_ends_anywhere(void **state)
{
    (void)state;
    Pool pool = pages_pool(4, G, 3, D, DV, 5);
    BlockTable table = pages_table(4);
    for (long len = 0; len <= 12; len++) {
        assert_int_equal(append(&pool, &table, 0, 0, len), PAGES_OK);
        expect_pool(&pool, (len + 2) / 3);
        assert_int_equal(pages_clear(&pool, &table), PAGES_OK);
        assert_int_equal(table.len, 0);
        expect_pool(&pool, 0);
        assert_int_equal(numbers_in(pool.k) + numbers_in(pool.v), 0);
    }
    pages_free_table(&table);
    pages_free_pool(&pool);
}

// Hard case 61: in whatever order the blocks are handed out, the tokens read are the same bits.
// Two sequences grow in turns, so that their blocks lie between each other's.
static void test_61_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        Pool pool = pages_pool(12, G, 2, D, DV, seed);
        BlockTable tables[2] = {pages_table(6), pages_table(6)};
        for (long t = 0; t < 11; t++)
            assert_int_equal(append_all(&pool, tables, 2, t, 1), PAGES_OK);
        expect_sequence(&pool, &tables[0], 0, 11);
        expect_sequence(&pool, &tables[1], 1, 11);
        expect_pool(&pool, 12);
        for (int b = 0; b < 2; b++)
            pages_free_table(&tables[b]);
        pages_free_pool(&pool);
    }
}

// --- limits -----------------------------------------------------------------------------

// Hard case 62: exactly as many tokens as the table has room for, and one more, which changes
// nothing, although the pool has blocks left.
static void test_62_table_full(void **state)
{
    (void)state;
    Pool pool = pages_pool(8, G, 2, D, DV, 0);
    BlockTable table = pages_table(3), none = pages_table(0);
    assert_int_equal(append(&pool, &table, 0, 0, 7), PAGES_TABLE_FULL);
    expect_pool(&pool, 0);
    assert_int_equal(append(&pool, &table, 0, 0, 5), PAGES_OK);
    assert_int_equal(append(&pool, &table, 0, 5, 7), PAGES_TABLE_FULL);
    expect_sequence(&pool, &table, 0, 5);
    assert_int_equal(append(&pool, &table, 0, 5, 6), PAGES_OK);
    expect_sequence(&pool, &table, 0, 6);
    Copy before = copy_of(&pool);
    assert_int_equal(append(&pool, &table, 0, 6, 7), PAGES_TABLE_FULL);
    expect_unchanged(&pool, &before);
    expect_sequence(&pool, &table, 0, 6);
    assert_int_equal(append(&pool, &none, 1, 0, 1), PAGES_TABLE_FULL);
    assert_int_equal(append(&pool, &none, 1, 0, 0), PAGES_OK);
    free_copy(&before);
    pages_free_table(&none);
    pages_free_table(&table);
    pages_free_pool(&pool);
}

// All or nothing over several sequences: the pool has a block for two of three, so none gets
// one, not even the one that needed none.
static void test_all_or_nothing(void **state)
{
    (void)state;
    Pool pool = pages_pool(5, G, 2, D, DV, 0);
    BlockTable tables[3] = {pages_table(4), pages_table(4), pages_table(4)};
    assert_int_equal(append_all(&pool, tables, 3, 0, 2), PAGES_OK); // each block is full
    Copy before = copy_of(&pool);
    assert_int_equal(append_all(&pool, tables, 3, 2, 1), PAGES_NO_FREE_BLOCKS);
    expect_unchanged(&pool, &before);
    for (int b = 0; b < 3; b++)
        expect_sequence(&pool, &tables[b], b, 2);
    assert_int_equal(append_all(&pool, tables, 2, 2, 1), PAGES_OK); // two of them fit
    expect_pool(&pool, 5);
    expect_sequence(&pool, &tables[1], 1, 3);
    free_copy(&before);

    // now the first two have a slot left and the third has none
    before = copy_of(&pool);
    assert_int_equal(append_all(&pool, tables, 3, 3, 1), PAGES_NO_FREE_BLOCKS);
    expect_unchanged(&pool, &before);
    assert_int_equal(tables[0].len, 3);
    assert_int_equal(append_all(&pool, tables, 2, 3, 1), PAGES_OK); // without a new block
    expect_sequence(&pool, &tables[0], 0, 4);
    free_copy(&before);
    for (int b = 0; b < 3; b++)
        pages_free_table(&tables[b]);
    pages_free_pool(&pool);
}

// The same when it is the last sequence's table that is full.
static void test_one_table_full(void **state)
{
    (void)state;
    Pool pool = pages_pool(9, G, 2, D, DV, 0);
    BlockTable tables[3] = {pages_table(3), pages_table(3), pages_table(2)};
    assert_int_equal(append_all(&pool, tables, 3, 0, 4), PAGES_OK);
    Copy before = copy_of(&pool);
    assert_int_equal(append_all(&pool, tables, 3, 4, 1), PAGES_TABLE_FULL);
    expect_unchanged(&pool, &before);
    for (int b = 0; b < 3; b++)
        expect_sequence(&pool, &tables[b], b, 4);
    free_copy(&before);
    for (int b = 0; b < 3; b++)
        pages_free_table(&tables[b]);
    pages_free_pool(&pool);
}

// A reader asks for block `index` of a sequence of three tokens in blocks of two.
static void read_block(const char *index)
{
    Pool pool = pages_pool(2, G, 2, D, DV, 0);
    BlockTable table = pages_table(2);
    append(&pool, &table, 0, 0, 3);
    pages_block(&pool, pool.k, &table, 0, strtol(index, NULL, 10));
    pages_free_table(&table);
    pages_free_pool(&pool);
}

static void test_block_out_of_range(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(read_block, "1", text), 0);
    assert_int_equal(child(read_block, "2", text), 128 + SIGABRT);
    expect_words(text, "block 2 of a sequence of 3 tokens");
    assert_int_equal(child(read_block, "-1", text), 128 + SIGABRT);
    expect_words(text, "block -1 of a sequence of 3 tokens");
}

// --- costs and words --------------------------------------------------------------------

// Only the tokens that are stored are moved, once.
static void test_moved(void **state)
{
    (void)state;
    Pool pool = pages_pool(4, G, 2, D, DV, 0);
    BlockTable tables[2] = {pages_table(2), pages_table(2)};
    counts = (Counts){0};
    assert_int_equal(append_all(&pool, tables, 2, 0, 3), PAGES_OK);
    assert_int_equal(counts.read_bytes, 2 * 3 * G * (D + DV) * 4);
    assert_int_equal(counts.written_bytes, 2 * 3 * G * (D + DV) * 4);
    assert_int_equal(append_all(&pool, tables, 2, 3, 9), PAGES_TABLE_FULL);
    assert_int_equal(counts.written_bytes, 2 * 3 * G * (D + DV) * 4);
    for (int b = 0; b < 2; b++)
        pages_free_table(&tables[b]);
    pages_free_pool(&pool);
}

static void test_messages(void **state)
{
    (void)state;
    assert_string_equal(pages_message(PAGES_OK), "done");
    assert_string_equal(pages_message(PAGES_NO_FREE_BLOCKS), "no free blocks");
    assert_string_equal(pages_message(PAGES_TABLE_FULL), "the block table is full");
    assert_string_equal(pages_message(PAGES_NO_SUCH_BLOCK), "no such block");
    assert_string_equal(pages_message(PAGES_NOT_ALLOCATED), "the block is not allocated");
    assert_string_equal(pages_message(PAGES_NAMED_TWICE), "the same block is named twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_pool),
        cmocka_unit_test(test_shuffled_pool),
        cmocka_unit_test(test_43_smallest),
        cmocka_unit_test(test_44_no_free_blocks),
        cmocka_unit_test(test_45_full_and_back),
        cmocka_unit_test(test_release_order),
        cmocka_unit_test(test_50_double_free),
        cmocka_unit_test(test_51_named_twice),
        cmocka_unit_test(test_52_no_such_block),
        cmocka_unit_test(test_two_owners),
        cmocka_unit_test(test_53_unused_slots),
        cmocka_unit_test(test_54_stale_tail),
        cmocka_unit_test(test_55_reused_block),
        cmocka_unit_test(test_56_ends_anywhere),
        cmocka_unit_test(test_61_any_order),
        cmocka_unit_test(test_62_table_full),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_one_table_full),
        cmocka_unit_test(test_block_out_of_range),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
