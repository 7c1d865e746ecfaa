// Chapter 05's cache: the same contents however it grows and lies, and every byte counted.
#define _XOPEN_SOURCE 700
#include "../chapters/05_kv_cache/cache.h"
#include "../common/count.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "child.h"

enum { B = 2, G = 3, D = 2, DV = 1, ABORTED = 128 + SIGABRT };

static const struct {
    CacheGrowth growth;
    CacheLayout layout;
} KINDS[] = {
    {CACHE_PREALLOC, LAYOUT_HEADS},
    {CACHE_PREALLOC, LAYOUT_TOKENS},
    {CACHE_GROW, LAYOUT_HEADS},
    {CACHE_GROW, LAYOUT_TOKENS},
};
enum { KIND_COUNT = 4 };

// --- helpers ----------------------------------------------------------------------------

// What token t holds in feature d of head g of sequence b: a number of its own. V's are
// negative.
static float key_of(long b, long g, long t, long d)
{
    return (float)(1000 * t + 100 * b + 10 * g + d + 1);
}

static float value_of(long b, long g, long t, long d)
{
    return -key_of(b, g, t, d);
}

typedef float Content(long b, long g, long t, long d);

// Tokens from:to as [B, G, to - from, width].
static Tensor tokens(long from, long to, long width, Content *content)
{
    Tensor x = tensor_new(SHAPE(B, G, to - from, width));
    for (long b = 0; b < B; b++)
        for (long g = 0; g < G; g++)
            for (long t = from; t < to; t++)
                for (long d = 0; d < width; d++)
                    row(tensor_at(tensor_at(x, b), g), t - from)[d] = content(b, g, t, d);
    return x;
}

static void append(Cache *c, long from, long to)
{
    Tensor k = tokens(from, to, D, key_of), v = tokens(from, to, DV, value_of);
    cache_append(c, k, v);
    tensor_free(&k);
    tensor_free(&v);
}

// held: [B, G, len, width] with the contents of tokens 0:len, bit for bit.
static void expect_tokens(Tensor held, long len, long width, Content *content)
{
    const long shape[] = {B, G, len, width};
    assert_int_equal(held.axes, 4);
    for (int a = 0; a < 4; a++)
        assert_int_equal(held.shape[a], shape[a]);
    for (long b = 0; b < B; b++)
        for (long g = 0; g < G; g++)
            for (long t = 0; t < len; t++)
                for (long d = 0; d < width; d++)
                    if (row(tensor_at(tensor_at(held, b), g), t)[d] != content(b, g, t, d))
                        fail_msg("token %ld of head %ld of sequence %ld, feature %ld", t, g, b, d);
}

// How many floats of a memory are not NaN: no unused row holds a number.
static long numbers_in(Tensor memory)
{
    long n = 0;
    for (long i = 0; i < tensor_count(memory); i++)
        n += !isnan(memory.data[i]);
    return n;
}

static void expect_cache(const Cache *c, long len)
{
    assert_int_equal(c->len, len);
    expect_tokens(cache_keys(c), len, D, key_of);
    expect_tokens(cache_values(c), len, DV, value_of);
    assert_int_equal(numbers_in(c->k), B * G * len * D);
    assert_int_equal(numbers_in(c->v), B * G * len * DV);
    assert_int_equal(cache_used_bytes(c), B * G * len * (D + DV) * 4);
    assert_int_equal(cache_reserved_bytes(c), B * G * c->capacity * (D + DV) * 4);
    assert_int_equal(tensor_live_bytes(), cache_reserved_bytes(c)); // really allocated
}

// --- the same contents ------------------------------------------------------------------

// Appended in one piece, one by one, and in uneven pieces, some of them empty.
static void test_contents(void **state)
{
    static const long pieces[][6] = {
        {0, 7, 7, 7, 7, 7}, {0, 1, 2, 3, 4, 7}, {0, 4, 4, 5, 5, 7}, {0, 0, 0, 0, 3, 7},
    };
    (void)state;
    for (int i = 0; i < KIND_COUNT; i++)
        for (int p = 0; p < 4; p++) {
            Cache c = cache_new(B, G, 7, D, DV, KINDS[i].growth, KINDS[i].layout);
            expect_cache(&c, 0);
            for (int j = 0; j + 1 < 6; j++) {
                append(&c, pieces[p][j], pieces[p][j + 1]);
                expect_cache(&c, pieces[p][j + 1]);
            }
            assert_int_equal(c.capacity, 7); // exactly reached: nobody grew
            assert_int_equal(c.copied_bytes, 0);
            cache_free(&c);
            assert_null(c.k.block);
            assert_int_equal(tensor_live_bytes(), 0);
        }
}

// Where a token's floats lie: a head's tokens together, or a token's heads together.
static void test_layouts(void **state)
{
    (void)state;
    Cache heads = cache_new(B, G, 4, D, DV, CACHE_PREALLOC, LAYOUT_HEADS);
    append(&heads, 0, 4);
    for (long i = 0; i < B * G * 4 * D; i++)
        assert_true(heads.k.data[i] == key_of(i / 24, i / 8 % 3, i / 2 % 4, i % 2));
    cache_free(&heads);
    Cache by_token = cache_new(B, G, 4, D, DV, CACHE_PREALLOC, LAYOUT_TOKENS);
    append(&by_token, 0, 4);
    for (long i = 0; i < B * 4 * G * D; i++)
        assert_true(by_token.k.data[i] == key_of(i / 24, i / 2 % 3, i / 6 % 4, i % 2));
    cache_free(&by_token);
}

// What is appended may be a view with strides of its own.
static void test_append_view(void **state)
{
    (void)state;
    Cache c = cache_new(B, G, 3, D, DV, CACHE_PREALLOC, LAYOUT_TOKENS);
    Tensor k = tokens(0, 9, D, key_of), v = tokens(0, 9, DV, value_of);
    cache_append(&c, tensor_slice(k, 2, 0, 1), tensor_slice(v, 2, 0, 1));
    cache_append(&c, tensor_slice(k, 2, 1, 3), tensor_slice(v, 2, 1, 3));
    tensor_free(&k);
    tensor_free(&v);
    expect_cache(&c, 3);
    cache_free(&c);
}

// --- growing ----------------------------------------------------------------------------

// From 1 by doubling; each time what was held is copied over, and the old memory freed.
static void test_growth(void **state)
{
    static const long capacities[] = {1, 2, 4, 4, 8, 8, 8, 8, 16};
    long token = B * G * (D + DV) * 4, copied = 0; // bytes
    (void)state;
    for (int layout = 0; layout < 2; layout++, copied = 0) {
        Cache c = cache_new(B, G, 1, D, DV, CACHE_GROW, (CacheLayout)layout);
        for (long t = 0; t < 9; t++) {
            long before = c.capacity;
            append(&c, t, t + 1);
            assert_int_equal(c.capacity, capacities[t]);
            copied += c.capacity > before ? t * token : 0;
            assert_int_equal(c.copied_bytes, copied);
            expect_cache(&c, t + 1);
        }
        assert_int_equal(c.copied_bytes, (1 + 2 + 4 + 8) * token);
        cache_free(&c);
    }
}

// A cache for nothing grows from there; a long piece doubles as often as it needs.
static void test_growth_in_leaps(void **state)
{
    (void)state;
    Cache c = cache_new(B, G, 0, D, DV, CACHE_GROW, LAYOUT_HEADS);
    expect_cache(&c, 0);
    append(&c, 0, 1);
    assert_int_equal(c.capacity, 1);
    assert_int_equal(c.copied_bytes, 0); // nothing was held yet
    append(&c, 1, 5);
    assert_int_equal(c.capacity, 8);
    append(&c, 5, 33);
    assert_int_equal(c.capacity, 64);
    assert_int_equal(c.copied_bytes, (1 + 5) * B * G * (D + DV) * 4);
    expect_cache(&c, 33);
    cache_free(&c);

    c = cache_new(B, G, 3, D, DV, CACHE_GROW, LAYOUT_TOKENS);
    append(&c, 0, 4);
    assert_int_equal(c.capacity, 6);
    cache_free(&c);
}

// The peak while growing is the old memory and the new one.
static void test_growth_peak(void **state)
{
    long token = B * G * (D + DV) * 4;
    (void)state;
    Cache c = cache_new(B, G, 4, D, DV, CACHE_GROW, LAYOUT_HEADS);
    append(&c, 0, 4);
    tensor_reset_peak();
    append(&c, 4, 5); // one token besides, which is being appended
    assert_int_equal(tensor_peak_bytes(), (4 + 8 + 1) * token);
    assert_int_equal(tensor_live_bytes(), 8 * token);
    cache_free(&c);
}

// --- too much ---------------------------------------------------------------------------

// Appends as many tokens as `count` says to three of four.
static void append_beyond(const char *count)
{
    Cache c = cache_new(B, G, 4, D, DV, CACHE_PREALLOC, LAYOUT_HEADS);
    append(&c, 0, 3);
    append(&c, 3, 3 + strtol(count, NULL, 10));
    cache_free(&c);
}

// Exactly at capacity is fine, one more is the program's mistake.
static void test_full(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(append_beyond, "1", text), 0);
    assert_int_equal(child(append_beyond, "2", text), ABORTED);
    expect_words(text, "5 tokens into a cache of 4");
}

// --- rewinding --------------------------------------------------------------------------

// Forgotten tokens leave NaN behind, room stays, and others may take their place.
static void test_rewind(void **state)
{
    (void)state;
    for (int i = 0; i < KIND_COUNT; i++) {
        Cache c = cache_new(B, G, 6, D, DV, KINDS[i].growth, KINDS[i].layout);
        append(&c, 0, 6);
        cache_rewind(&c, 6); // nothing to forget
        expect_cache(&c, 6);
        cache_rewind(&c, 2);
        expect_cache(&c, 2);
        append(&c, 2, 4);
        expect_cache(&c, 4);
        cache_rewind(&c, 0);
        expect_cache(&c, 0);
        append(&c, 0, 6);
        expect_cache(&c, 6);
        assert_int_equal(c.capacity, 6);
        cache_free(&c);
    }
}

// Rewinds three tokens to as many as `len` says.
static void rewind_to(const char *len)
{
    Cache c = cache_new(B, G, 4, D, DV, CACHE_PREALLOC, LAYOUT_HEADS);
    append(&c, 0, 3);
    cache_rewind(&c, strtol(len, NULL, 10));
    cache_free(&c);
}

static void test_rewind_forward(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(rewind_to, "3", text), 0);
    assert_int_equal(child(rewind_to, "4", text), ABORTED);
    expect_words(text, "rewind to 4 of 3 tokens");
    assert_int_equal(child(rewind_to, "-1", text), ABORTED);
    expect_words(text, "rewind to -1 of 3 tokens");
}

// --- costs ------------------------------------------------------------------------------

// An append reads and writes its own tokens, growing reads and writes those held besides.
static void test_moved(void **state)
{
    long token = B * G * (D + DV) * 4;
    (void)state;
    Cache c = cache_new(B, G, 4, D, DV, CACHE_GROW, LAYOUT_TOKENS);
    counts = (Counts){0};
    append(&c, 0, 3);
    assert_int_equal(counts.read_bytes, 3 * token);
    assert_int_equal(counts.written_bytes, 3 * token);
    append(&c, 3, 5);
    assert_int_equal(counts.read_bytes, (3 + 3 + 2) * token);
    assert_int_equal(counts.written_bytes, (3 + 3 + 2) * token);
    cache_rewind(&c, 1); // forgetting is free
    assert_int_equal(counts.written_bytes, (3 + 3 + 2) * token);
    assert_int_equal(counts.flops, 0);
    cache_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_append_view),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_growth_in_leaps),
        cmocka_unit_test(test_growth_peak),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_rewind_forward),
        cmocka_unit_test(test_moved),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
