// Hard cases that need a pointer in the hand: floats beyond 2^31, views with gaps, memory that
// must not be read, states that saw nothing, and how an error grows with the number of keys.
// Everything that a command line can ask is in tests/cli.sh.
//
// Chapter 07 is linked, chapter 04 included: both call their entry point attention().

#define _DEFAULT_SOURCE // mmap's MAP_ANONYMOUS and MAP_NORESERVE
#define attention attention_04
#include "../chapters/04_gqa/attention.c"
#undef attention
#undef ATTENTION_H

#include "../chapters/07_flash_tiling/attention.h"
#include "../chapters/07_flash_tiling/merge.h"
#include "../common/random.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "child.h"

static const Mask SEES_ALL = {.window = -1, .prefix = -1, .keys = LONG_MAX};

// --- helpers ----------------------------------------------------------------------------

// The same bits, NaN included, but for the sign of zero.
static void expect_same(Tensor a, Tensor b)
{
    if (a.axes > 0) {
        assert_int_equal(a.shape[0], b.shape[0]);
        for (long i = 0; i < a.shape[0]; i++)
            expect_same(tensor_at(a, i), tensor_at(b, i));
        return;
    }
    if (*a.data != *b.data && !(isnan(*a.data) && isnan(*b.data)))
        fail_msg("expected %.9g, got %.9g", (double)*b.data, (double)*a.data);
}

// Chapter 04 without a trace.
static void run_04(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, const Mask *mask)
{
    Trace trace = {.quiet = true};
    tensor_fill(out, NAN);
    attention_04(out, lse, q, k, v, 1.0f, mask, &trace);
}

// Chapter 07 without a trace, in tiles of R x C over blocks of T tokens.
static void run_07(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, const Mask *mask, long R,
                   long C, long T)
{
    long B = q.shape[0], G = k.shape[1], M = k.shape[2], each = (M + T - 1) / T;
    Trace trace = {.quiet = true};
    Tiling tiling = {.rows = R, .columns = C};
    Pool pool = pages_pool(B * each, G, T, k.shape[3], v.shape[3], 1);
    BlockTable tables[2] = {pages_table(each), pages_table(each)};
    CHECK(B <= 2, "the tests run up to 2 sequences, not %ld", B);
    tensor_fill(out, NAN);
    assert_int_equal(attention(out, lse, q, k, v, 1.0f, mask, &pool, tables, &tiling, &trace),
                     PAGES_OK);
    for (int b = 0; b < 2; b++) {
        assert_int_equal(pages_clear(&pool, &tables[b]), PAGES_OK);
        pages_free_table(&tables[b]);
    }
    pages_free_pool(&pool);
}

// --- 12, 13: merging the states of parts ------------------------------------------------------

// One row: its maximum, its sum, its output so far.
static void put_state(Tensor state, Tensor acc, float max, float sum, float output)
{
    state_clear(state, acc);
    row(state, 0)[STATE_MAX] = max;
    row(state, 0)[STATE_SUM] = sum;
    row(acc, 0)[0] = output;
}

static void expect_state(Tensor state, Tensor acc, float max, float sum, float output)
{
    assert_true(row(state, 0)[STATE_MAX] == max);
    assert_true(row(state, 0)[STATE_SUM] == sum);
    assert_true(row(acc, 0)[0] == output);
}

// Finite or not, on either side: what saw nothing adds nothing, and -inf - -inf is not NaN.
static void test_12_13_merging_empty_parts(void **unused)
{
    (void)unused;
    Tensor a = tensor_new(SHAPE(1, STATE_SIZE)), b = tensor_new(SHAPE(1, STATE_SIZE));
    Tensor acc_a = tensor_new(SHAPE(1, 1)), acc_b = tensor_new(SHAPE(1, 1));
    put_state(a, acc_a, -1e4f, 3, 5);
    state_clear(b, acc_b);
    state_merge(a, acc_a, b, acc_b);
    expect_state(a, acc_a, -1e4f, 3, 5);
    state_merge(b, acc_b, a, acc_a);
    expect_state(b, acc_b, -1e4f, 3, 5);
    state_clear(a, acc_a);
    state_clear(b, acc_b);
    state_merge(a, acc_a, b, acc_b);
    expect_state(a, acc_a, -INFINITY, 0, 0);
    tensor_free(&a), tensor_free(&b), tensor_free(&acc_a), tensor_free(&acc_b);
}

// A NaN that one part saw survives the other, whichever comes first.
static void test_merging_keeps_nan(void **unused)
{
    (void)unused;
    Tensor a = tensor_new(SHAPE(1, STATE_SIZE)), b = tensor_new(SHAPE(1, STATE_SIZE));
    Tensor acc_a = tensor_new(SHAPE(1, 1)), acc_b = tensor_new(SHAPE(1, 1));
    for (int swapped = 0; swapped < 2; swapped++) {
        put_state(a, acc_a, 1, 2, 3);
        put_state(b, acc_b, -INFINITY, NAN, NAN); // of a part whose only score was NaN
        if (swapped)
            state_merge(b, acc_b, a, acc_a);
        else
            state_merge(a, acc_a, b, acc_b);
        assert_true(isnan(row(swapped ? b : a, 0)[STATE_SUM]));
        assert_true(isnan(row(swapped ? acc_b : acc_a, 0)[0]));
    }
    tensor_free(&a), tensor_free(&b), tensor_free(&acc_a), tensor_free(&acc_b);
}

// --- 17: what is hidden is not read -------------------------------------------------------------

enum { PAGE_FLOATS = 1 << 14 }; // a multiple of every machine's page

// V of a hidden key lies where reading it ends the program.
static void read_beyond_padding(const char *unused)
{
    (void)unused;
    size_t bytes = PAGE_FLOATS * sizeof(float);
    float *memory = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                         -1, 0);
    CHECK(memory != MAP_FAILED && mprotect((char *)memory + bytes, bytes, PROT_NONE) == 0,
          "no memory to forbid");
    Tensor q = tensor_new(SHAPE(1, 1, 2, 1)), k = tensor_new(SHAPE(1, 1, 3, 1));
    Tensor out = tensor_new(SHAPE(1, 1, 2, 1)), lse = tensor_new(SHAPE(1, 1, 2));
    // [1, 1, 3, 1]: keys 0 and 1 end at the forbidden page, key 2 lies in it.
    Tensor v = {.axes = 4, .shape = {1, 1, 3, 1}, .stride = {3, 3, 1, 1},
                .data = memory + PAGE_FLOATS - 2};
    Mask two_keys = SEES_ALL;
    two_keys.keys = 2;
    v.data[0] = 1;
    v.data[1] = 3;
    tensor_fill(q, 1);
    tensor_fill(k, 1);
    run_04(out, lse, q, k, v, &two_keys);
    CHECK(out.data[0] == 2 && out.data[1] == 2, "got %g and %g", (double)out.data[0],
          (double)out.data[1]);
    tensor_free(&q), tensor_free(&k), tensor_free(&out), tensor_free(&lse);
    munmap(memory, 2 * bytes);
}

static void test_17_hidden_values_are_not_read(void **unused)
{
    char text[CHILD_TEXT];
    (void)unused;
    int status = child(read_beyond_padding, NULL, text);
    if (status != 0)
        fail_msg("ended with %d: %s", status, text);
}

// --- 25: the error of a long sum ---------------------------------------------------------------

// One query that sees M keys alike, each with the value 0.1: how far the output is off.
static double error_of(long M, long C)
{
    Tensor q = tensor_new(SHAPE(1, 1, 1, 1)), k = tensor_new(SHAPE(1, 1, M, 1));
    Tensor v = tensor_new(SHAPE(1, 1, M, 1));
    Tensor out = tensor_new(SHAPE(1, 1, 1, 1)), lse = tensor_new(SHAPE(1, 1, 1));
    tensor_fill(q, 0);
    tensor_fill(k, 0);
    tensor_fill(v, 0.1f);
    run_07(out, lse, q, k, v, &SEES_ALL, 1, C, 1000);
    double error = fabs((double)out.data[0] - (double)0.1f);
    tensor_free(&q), tensor_free(&k), tensor_free(&v), tensor_free(&out), tensor_free(&lse);
    return error;
}

// Every addition rounds by up to 2^-24 of its sum. In tiles of C keys a value goes through C
// additions, and its tile's sum through M / C more; in one tile, through all M.
static void test_25_the_error_grows_with_the_tiles(void **unused)
{
    (void)unused;
    for (long M = 1000; M <= 100000; M *= 10) {
        double bound = 0.1 * 0x1p-24 * (double)(300 + M / 300 + 4);
        if (!(error_of(M, 300) <= bound))
            fail_msg("%ld keys: expected an error up to %g, got %g", M, bound, error_of(M, 300));
    }
    // And the test can tell: one tile of all keys is far beyond that.
    assert_true(error_of(100000, 100000) > 0.1 * 0x1p-24 * 640);
}

// --- 41: offsets beyond 2^31 -------------------------------------------------------------------

// Two rows that lie 2^32 + 2^31 floats apart, in 24 GiB of addresses of which only the pages
// touched become memory. An offset kept in an int of either sign misses the second row.
static const long FAR = (1L << 32) + (1L << 31);

static float *far_memory(void)
{
    float *memory = mmap(NULL, ((size_t)FAR + PAGE_FLOATS) * sizeof(float), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        print_message("# skip - 41: this system hands out no 24 GiB of addresses\n");
        skip();
    }
    return memory;
}

// A copy of x: [1, 1, 2, D] with its rows FAR apart.
static Tensor spread(float *memory, Tensor x)
{
    Tensor far = x;
    far.data = memory;
    far.block = NULL;
    far.stride[0] = far.stride[1] = 2 * FAR;
    far.stride[2] = FAR;
    tensor_copy(far, x);
    return far;
}

static void test_41_far_rows(void **unused)
{
    (void)unused;
    float *memory = far_memory();
    Tensor q = tensor_new(SHAPE(1, 1, 2, 3)), k = tensor_new(SHAPE(1, 1, 2, 3));
    Tensor v = tensor_new(SHAPE(1, 1, 2, 3)), out = tensor_new(SHAPE(1, 1, 2, 3));
    Tensor far_out = tensor_new(SHAPE(1, 1, 2, 3)), lse = tensor_new(SHAPE(1, 1, 2));
    tensor_random(q, 1);
    tensor_random(k, 2);
    tensor_random(v, 3);
    Tensor far_q = spread(memory, q), far_k = spread(memory + 8, k);
    Tensor far_v = spread(memory + 16, v), out_view = spread(memory + 24, far_out);
    run_04(out, lse, q, k, v, &SEES_ALL);
    run_04(out_view, lse, far_q, far_k, far_v, &SEES_ALL);
    expect_same(out_view, out);
    run_07(out, lse, q, k, v, &SEES_ALL, 1, 1, 1);
    run_07(out_view, lse, far_q, far_k, far_v, &SEES_ALL, 1, 1, 1);
    expect_same(out_view, out);
    tensor_free(&q), tensor_free(&k), tensor_free(&v);
    tensor_free(&out), tensor_free(&far_out), tensor_free(&lse);
    munmap(memory, ((size_t)FAR + PAGE_FLOATS) * sizeof(float));
}

// A block table may point at a block whose keys begin beyond 2^31 floats.
static void test_41_far_blocks(void **unused)
{
    (void)unused;
    float *memory = far_memory();
    Pool pool = pages_pool(2, 1, 1, 1, 1, 0);
    Tensor own_k = pool.k, own_v = pool.v;
    // [blocks, G, T, D], block 1 FAR behind block 0
    pool.k = (Tensor){.axes = 4, .shape = {2, 1, 1, 1}, .stride = {FAR, 1, 1, 1}, .data = memory};
    pool.v = pool.k;
    pool.v.data += 8;
    BlockTable table = pages_table(2);
    Tensor tokens = tensor_new(SHAPE(1, 1, 2, 1));
    tokens.data[0] = 5;
    tokens.data[1] = 7;
    assert_int_equal(pages_append(&pool, &table, tokens, tokens), PAGES_OK);
    for (long i = 0; i < 2; i++)
        assert_true(row(pages_block(&pool, pool.v, &table, 0, i), 0)[0] == tokens.data[i]);
    assert_true(memory[FAR + 8] == 5 || memory[FAR + 8] == 7);
    assert_int_equal(pages_clear(&pool, &table), PAGES_OK);
    pool.k = own_k;
    pool.v = own_v;
    pages_free_table(&table);
    pages_free_pool(&pool);
    tensor_free(&tokens);
    munmap(memory, ((size_t)FAR + PAGE_FLOATS) * sizeof(float));
}

// --- 42: views with gaps ------------------------------------------------------------------------

// x: [B, H, N, D] inside an array [B, N, H, D + 3] of -7, one float off whatever alignment
// malloc gave it: heads and tokens exchanged, a gap behind every row. *owner is the array.
static Tensor gapped(Tensor x, Tensor *owner)
{
    *owner = tensor_new(SHAPE(x.shape[0], x.shape[2], x.shape[1], x.shape[3] + 3));
    tensor_fill(*owner, -7);
    Tensor view = tensor_swap(tensor_slice(*owner, 3, 1, 1 + x.shape[3]), 1, 2);
    tensor_copy(view, x);
    return view;
}

static long count_of(Tensor t, float x)
{
    long n = 0;
    for (long i = 0; i < tensor_count(t); i++)
        n += t.data[i] == x;
    return n;
}

static void test_42_gaps_change_nothing(void **unused)
{
    (void)unused;
    Tensor q = tensor_new(SHAPE(2, 4, 5, 3)), k = tensor_new(SHAPE(2, 2, 6, 3));
    Tensor v = tensor_new(SHAPE(2, 2, 6, 2)), out = tensor_new(SHAPE(2, 4, 5, 2));
    Tensor lse = tensor_new(SHAPE(2, 4, 5)), gapped_lse = tensor_new(SHAPE(2, 4, 5));
    Tensor owner[4];
    Mask causal = SEES_ALL;
    causal.causal = true;
    causal.keys = 6;
    tensor_random(q, 1);
    tensor_random(k, 2);
    tensor_random(v, 3);
    Tensor gq = gapped(q, &owner[0]), gk = gapped(k, &owner[1]), gv = gapped(v, &owner[2]);
    Tensor gout = gapped(out, &owner[3]);
    run_04(out, lse, q, k, v, &causal);
    run_04(gout, gapped_lse, gq, gk, gv, &causal);
    expect_same(gout, out);
    expect_same(gapped_lse, lse);
    run_07(out, lse, q, k, v, &causal, 2, 3, 4);
    run_07(gout, gapped_lse, gq, gk, gv, &causal, 2, 3, 4);
    expect_same(gout, out);
    expect_same(gapped_lse, lse);
    // The gaps of the output were not written to: three floats for each of its 40 rows.
    assert_int_equal(count_of(owner[3], -7), 2 * 4 * 5 * 3);
    for (int i = 0; i < 4; i++)
        tensor_free(&owner[i]);
    tensor_free(&q), tensor_free(&k), tensor_free(&v), tensor_free(&out);
    tensor_free(&lse), tensor_free(&gapped_lse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_12_13_merging_empty_parts),
        cmocka_unit_test(test_merging_keeps_nan),
        cmocka_unit_test(test_17_hidden_values_are_not_read),
        cmocka_unit_test(test_25_the_error_grows_with_the_tiles),
        cmocka_unit_test(test_41_far_rows),
        cmocka_unit_test(test_41_far_blocks),
        cmocka_unit_test(test_42_gaps_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
