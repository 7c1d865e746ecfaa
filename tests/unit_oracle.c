// The oracle against answers worked out by hand. No expected number comes from a program that
// this repository contains: each has its derivation beside it.

#define _POSIX_C_SOURCE 200809L
#include "oracle.h"

#include "../common/fail.h"
#include "../common/npy.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "child.h"

// --- helpers --------------------------------------------------------------------------------

enum { MOST = 64 }; // values a step has here, at most

// What one run of the oracle gave. Poisoned first: a cell that it does not write is NaN.
typedef struct {
    double scores[MOST], scaled[MOST], masked[MOST], weights[MOST], output[MOST], lse[MOST];
} Answer;

static Answer run(const float *q, const float *k, const float *v, OracleSizes s, double scale,
                  const OracleMask *mask)
{
    Answer a;
    memset(&a, 0xff, sizeof a);
    oracle_attention((OracleSteps){a.scores, a.scaled, a.masked, a.weights, a.output, a.lse}, q, k,
                     v, s, scale, mask);
    return a;
}

// One head of one sequence.
static OracleSizes head(long N, long M, long D, long Dv)
{
    return (OracleSizes){.B = 1, .H = 1, .G = 1, .N = N, .M = M, .D = D, .Dv = Dv};
}

static void expect(const double *got, const double *want, long n, double tolerance)
{
    for (long i = 0; i < n; i++)
        if (got[i] != want[i] && !(fabs(got[i] - want[i]) <= tolerance))
            fail_msg("element %ld: %.17g, by hand %.17g", i, got[i], want[i]);
}

static void expect_all(const double *got, double want, long n)
{
    for (long i = 0; i < n; i++)
        if (got[i] != want)
            fail_msg("element %ld: %.17g, by hand %.17g", i, got[i], want);
}

static void expect_nan(const double *got, long n)
{
    for (long i = 0; i < n; i++)
        if (!isnan(got[i]))
            fail_msg("element %ld: %.17g, expected NaN", i, got[i]);
}

// The keys that SPEC lets each query of sequence b see, drawn as 0 and 1, row after row.
static void expect_drawing(const char *spec, OracleSizes s, long b, long offset, const char *want)
{
    char got[MOST] = "";
    size_t n = 0;
    OracleMask mask = oracle_mask(spec, s);
    mask.offset = offset;
    for (long i = 0; i < s.N; i++) {
        if (i)
            got[n++] = ' ';
        for (long j = 0; j < s.M; j++)
            got[n++] = oracle_allows(&mask, s, b, 0, i, j) ? '1' : '0';
    }
    oracle_mask_free(&mask);
    if (strcmp(got, want) != 0)
        fail_msg("%s, offset %ld: %s, by hand %s", spec, offset, got, want);
}

static OracleSizes child_sizes;

static void read_mask(const char *spec)
{
    OracleMask mask = oracle_mask(spec, child_sizes);
    oracle_mask_free(&mask);
}

// The code with which a program ends that reads SPEC.
static int exit_of(const char *spec, OracleSizes s)
{
    char text[CHILD_TEXT];
    child_sizes = s;
    int code = child(read_mask, spec, text);
    if (code == EXIT_USAGE)
        expect_words(text, "--mask");
    return code;
}

// --- the numbers that readers check ---------------------------------------------------------

static const float worked_q[] = {1, 0, 1, 0, 0, 1, 0, 1, 1, 1, 1, 0};
static const float worked_k[] = {1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1};
static const float worked_v[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void test_worked(void **state)
{
    (void)state;
    // q0 = (1,0,1,0): with k0 = (1,0,0,1) 1; with k1 = (0,1,1,0) 1; with k2 = (1,1,1,1) 2.
    // q1 = (0,1,0,1): 1, 1, 2. q2 = (1,1,1,0): 1, 2, 3.
    static const double scores[] = {1, 1, 2, 1, 1, 2, 1, 2, 3};
    static const double scaled[] = {0.5, 0.5, 1, 0.5, 0.5, 1, 0.5, 1, 1.5};
    // Rows 0 and 1, divided by e^0.5: 1 : 1 : e^0.5, sum 2 + 1.6487212707 = 3.6487212707.
    // Row 2, divided by e^0.5: 1 : e^0.5 : e, sum 1 + 1.6487212707 + 2.7182818285.
    static const double weights[] = {
        0.2740686190, 0.2740686190, 0.4518627619, 0.2740686190, 0.2740686190, 0.4518627619,
        0.1863237232, 0.3071958857, 0.5064803911};
    // V[j,c] = 1 + c + 4j, so O[i,c] = 1 + c + 4 (w1 + 2 w2): w1 + 2 w2 = 1.1777941428 in rows
    // 0 and 1, 1.3201566678 in row 2.
    static const double output[] = {
        5.7111765713, 6.7111765713, 7.7111765713, 8.7111765713, 5.7111765713, 6.7111765713,
        7.7111765713, 8.7111765713, 6.2806266713, 7.2806266713, 8.2806266713, 9.2806266713};
    // log(e^0.5 times the sums above) = 0.5 + log 3.6487212707, 0.5 + log 5.3670030992
    static const double lse[] = {1.7943767694, 1.7943767694, 2.1802696706};
    Answer a = run(worked_q, worked_k, worked_v, head(3, 3, 4, 4), 0.5, &ORACLE_SEES_ALL);
    expect(a.scores, scores, 9, 0);
    expect(a.scaled, scaled, 9, 0);
    expect(a.masked, scaled, 9, 0);
    expect(a.weights, weights, 9, 1e-9);
    expect(a.output, output, 12, 1e-8);
    expect(a.lse, lse, 3, 1e-9);
}

static void test_notes(void **state)
{
    (void)state;
    // Q's last row is (1,1,0,0) here: with k0 1, with k1 1, with k2 2, as every other row.
    static const float q[] = {1, 0, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0};
    static const double scores[] = {1, 1, 2, 1, 1, 2, 1, 1, 2};
    Answer a = run(q, worked_k, worked_v, head(3, 3, 4, 4), 0.5, &ORACLE_SEES_ALL);
    expect(a.scores, scores, 9, 0);
    for (int i = 1; i < 3; i++)
        expect(a.output + 4 * i, a.output, 4, 0);
}

// K = V = identity and scale 1: the scores are Q itself and the output is the weights.
static const float identity[] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};

static void test_causal_rows(void **state)
{
    (void)state;
    static const float q[] = {0.5f, 9, 9, 9, 0.3f, 0.7f, 9, 9, 0.2f, 0.4f, 0.6f, 9,
                              0.1f, 0.3f, 0.5f, 0.8f};
    // Row 1: 1 / (1 + e^0.4) = 1 / 2.49182 = 0.4013.
    // Row 2: 1 : e^0.2 : e^0.4 = 1 : 1.22140 : 1.49182, sum 3.71323.
    // Row 3: 1 : e^0.2 : e^0.4 : e^0.7 = 1 : 1.22140 : 1.49182 : 2.01375, sum 5.72698.
    static const double weights[] = {1,      0,      0,      0, 0.4013, 0.5987, 0,      0,
                                     0.2693, 0.3289, 0.4018, 0, 0.1746, 0.2133, 0.2605, 0.3516};
    OracleMask causal = oracle_mask("causal", head(4, 4, 4, 4));
    Answer a = run(q, identity, identity, head(4, 4, 4, 4), 1, &causal);
    expect(a.weights, weights, 16, 5e-5);
    expect(a.output, a.weights, 16, 0); // 1 w + 0 + 0 + 0 is exact
    assert_true(a.masked[1] == -INFINITY && a.scores[1] == 9 && a.scaled[1] == 9);
    assert_true(a.lse[0] == 0.5); // one key: log e^0.5
    oracle_mask_free(&causal);
}

// --- exact answers --------------------------------------------------------------------------

static void test_one_hot(void **state)
{
    (void)state;
    // Scores 2000 on one key, 0 on the others: e^-2000 is 0 even in float64, so the output is
    // exactly the V of that key. Query 0 asks for key 2, query 1 for key 0.
    static const float q[] = {0, 0, 2000, 0, 2000, 0, 0, 0};
    static const float v[] = {1, 2, 3, 4, 5, 6};
    static const double output[] = {5, 6, 1, 2}, lse[] = {2000, 2000};
    Answer a = run(q, identity, v, head(2, 3, 4, 2), 1, &ORACLE_SEES_ALL);
    expect(a.output, output, 4, 0);
    expect(a.lse, lse, 2, 0);
}

static void test_equal_logits(void **state)
{
    (void)state;
    // Two logits of 1e4: e^0 / (e^0 + e^0) = 1/2, the mean of 3 and 8 is 5.5.
    static const float q[] = {100}, k[] = {100, 100}, v[] = {3, 8};
    Answer a = run(q, k, v, head(1, 2, 1, 1), 1, &ORACLE_SEES_ALL);
    assert_true(a.weights[0] == 0.5 && a.output[0] == 5.5);
    expect(a.lse, (double[]){1e4 + 0.69314718056}, 1, 1e-9); // + log 2
}

static void test_scale(void **state)
{
    (void)state;
    static const float q[] = {1}, k[] = {1, 2, 3, 6}, v[] = {10, 20, 30, 60};
    // Scale 0: all logits 0, every weight 1/4, the mean of V is 120 / 4.
    Answer flat = run(q, k, v, head(1, 4, 1, 1), 0, &ORACLE_SEES_ALL);
    expect_all(flat.weights, 0.25, 4);
    assert_true(flat.output[0] == 30);
    // Scale -1000: logits -1000 .. -6000, the smallest score wins alone.
    Answer inverted = run(q, k, v, head(1, 4, 1, 1), -1000, &ORACLE_SEES_ALL);
    assert_true(inverted.output[0] == 10 && inverted.lse[0] == -1000);
}

static void test_far_below_zero(void **state)
{
    (void)state;
    // One key: its weight is 1, whatever its score. -1024 * 512 = -524288.
    static const float q[] = {-1024}, k[] = {512}, v[] = {7};
    Answer a = run(q, k, v, head(1, 1, 1, 1), 1, &ORACLE_SEES_ALL);
    assert_true(a.scores[0] == -524288 && a.weights[0] == 1 && a.output[0] == 7);
    // A logit of -20000 beside a masked key: the masked one still counts for nothing.
    static const float k2[] = {20000, 1}, minus[] = {-1}, v2[] = {7, 100};
    static const long one_key[] = {1};
    OracleMask mask = ORACLE_SEES_ALL;
    mask.padding = one_key;
    Answer b = run(minus, k2, v2, head(1, 2, 1, 1), 1, &mask);
    assert_true(b.output[0] == 7 && b.weights[1] == 0 && b.lse[0] == -20000);
}

// --- which keys a query sees ----------------------------------------------------------------

static void test_drawings(void **state)
{
    (void)state;
    OracleSizes square = head(4, 4, 1, 1), wide = head(2, 4, 1, 1), tall = head(4, 2, 1, 1);
    expect_drawing("none", square, 0, 0, "1111 1111 1111 1111");
    expect_drawing("causal", square, 0, 0, "1000 1100 1110 1111");
    expect_drawing("causal-end", square, 0, 0, "1000 1100 1110 1111");
    // Two queries, four keys: top-left ends where the queries end, bottom-right at the last key.
    expect_drawing("causal", wide, 0, 0, "1000 1100");
    expect_drawing("causal-end", wide, 0, 0, "1110 1111");
    expect_drawing("causal", wide, 0, 2, "1110 1111"); // two tokens in the cache: the same
    // Four queries, two keys: the offset is 2 - 4, the first two queries see nothing.
    expect_drawing("causal", tall, 0, 0, "10 11 11 11");
    expect_drawing("causal-end", tall, 0, 0, "00 00 10 11");
    // The last W + 1 keys, itself included.
    expect_drawing("window=0", square, 0, 0, "1000 0100 0010 0001");
    expect_drawing("window=1", square, 0, 0, "1000 1100 0110 0011");
    expect_drawing("window=4", square, 0, 0, "1000 1100 1110 1111");
    expect_drawing("window=1", wide, 0, 2, "0110 0011"); // p = 2 and 3
    expect_drawing("window=1", tall, 0, 0, "10 11 01 00"); // p = 3 sees keys 2 and 3: none
    expect_drawing("causal-end+window=9223372036854775807", tall, 0, 0, "00 00 10 11");
    // The first P keys for all, the rest causally.
    expect_drawing("prefix=0", square, 0, 0, "1000 1100 1110 1111");
    expect_drawing("prefix=2", square, 0, 0, "1100 1100 1110 1111");
    expect_drawing("prefix=4", square, 0, 0, "1111 1111 1111 1111");
    expect_drawing("prefix=1", wide, 0, 1, "1100 1110");
}

static void test_joined_drawings(void **state)
{
    (void)state;
    OracleSizes square = head(4, 4, 1, 1), two = {.B = 2, .H = 1, .G = 1, .N = 3, .M = 3};
    expect_drawing("padding=2", square, 0, 0, "1100 1100 1100 1100");
    expect_drawing("padding=0", square, 0, 0, "0000 0000 0000 0000");
    expect_drawing("causal+padding=1,2", two, 0, 0, "100 100 100");
    expect_drawing("causal+padding=1,2", two, 1, 0, "100 110 110");
    expect_drawing("padding=2", two, 1, 0, "110 110 110"); // one length for all
    // All must allow: the window takes back what the prefix gave.
    expect_drawing("prefix=3+window=1", square, 0, 0, "1000 1100 0110 0011");
    expect_drawing("none+prefix=3+padding=2", square, 0, 0, "1100 1100 1100 1100");
    expect_drawing("causal+prefix=4", square, 0, 0, "1000 1100 1110 1111");
}

// --- dead rows, NaN and infinity ------------------------------------------------------------

static void test_dead_rows(void **state)
{
    (void)state;
    // Bottom-right causal with three queries and one key: offset -2, only the last query lives.
    static const float q[] = {1, 1, 1}, k[] = {1}, v[] = {5, 6};
    static const double output[] = {0, 0, 0, 0, 5, 6}, weights[] = {0, 0, 1};
    static const double lse[] = {-INFINITY, -INFINITY, 1};
    OracleMask mask = oracle_mask("causal-end", head(3, 1, 1, 2));
    Answer a = run(q, k, v, head(3, 1, 1, 2), 1, &mask);
    expect(a.output, output, 6, 0);
    expect(a.weights, weights, 3, 0);
    expect(a.lse, lse, 3, 0);
    oracle_mask_free(&mask);
}

static void test_all_logits_minus_infinity(void **state)
{
    (void)state;
    // Allowed, but 1 * -inf = -inf: nothing to divide by. Dead, and its V is not read.
    static const float q[] = {1}, k[] = {-INFINITY, -INFINITY}, v[] = {NAN, 4};
    Answer a = run(q, k, v, head(1, 2, 1, 1), 1, &ORACLE_SEES_ALL);
    assert_true(a.output[0] == 0 && a.lse[0] == -INFINITY);
    expect_all(a.weights, 0, 2);
    // No keys at all.
    Answer b = run(q, k, v, head(1, 0, 1, 1), 1, &ORACLE_SEES_ALL);
    assert_true(b.output[0] == 0 && b.lse[0] == -INFINITY);
}

static void test_masked_nan_is_not_seen(void **state)
{
    (void)state;
    // Causal, key 2 is NaN and inf: queries 0 and 1 cannot see it, query 2 does.
    static const float q[] = {0, 0, 0}, k[] = {1, 1, NAN}, v[] = {2, 4, INFINITY};
    static const double output[] = {2, 3}, weights[] = {1, 0, 0, 0.5, 0.5, 0};
    OracleMask mask = oracle_mask("causal", head(3, 3, 1, 1));
    Answer a = run(q, k, v, head(3, 3, 1, 1), 1, &mask);
    expect(a.output, output, 2, 0);
    expect(a.weights, weights, 6, 0);
    assert_true(isnan(a.scores[2]) && a.masked[2] == -INFINITY);
    expect_nan(a.output + 2, 1);
    expect_nan(a.weights + 6, 3);
    expect_nan(a.lse + 2, 1);
    oracle_mask_free(&mask);
}

static void test_nan_wins_over_dead(void **state)
{
    (void)state;
    // The other logits are -inf: without the NaN the row would be dead. First or last alike.
    static const float q[] = {1}, v[] = {1, 2, 3};
    static const float first[] = {NAN, -INFINITY, -INFINITY}, last[] = {-INFINITY, 0, NAN};
    Answer a = run(q, first, v, head(1, 3, 1, 1), 1, &ORACLE_SEES_ALL);
    Answer b = run(q, last, v, head(1, 3, 1, 1), 1, &ORACLE_SEES_ALL);
    expect_nan(a.output, 1);
    expect_nan(a.lse, 1);
    expect_nan(b.output, 1);
}

static void test_plus_infinity(void **state)
{
    (void)state;
    // The largest logit is inf: inf - inf is NaN, and so is the sum that divides the others.
    static const float q[] = {1}, k[] = {0, INFINITY}, v[] = {1, 2};
    Answer a = run(q, k, v, head(1, 2, 1, 1), 1, &ORACLE_SEES_ALL);
    expect_nan(a.weights, 2);
    expect_nan(a.output, 1);
    expect_nan(a.lse, 1);
}

// --- heads and shapes -----------------------------------------------------------------------

static void test_grouped_heads(void **state)
{
    (void)state;
    // One key, so the output is its V. H / G = 2: heads 0 and 1 read KV head 0, 2 and 3 read 1.
    OracleSizes s = {.B = 2, .H = 4, .G = 2, .N = 1, .M = 1, .D = 1, .Dv = 1};
    static const float q[] = {1, 2, 3, 4, 5, 6, 7, 8}, k[] = {1, 10, 100, 1000};
    static const float v[] = {10, 20, 30, 40};
    static const double output[] = {10, 10, 20, 20, 30, 30, 40, 40};
    // The same for K: 1*1, 2*1, 3*10, 4*10, 5*100, 6*100, 7*1000, 8*1000.
    static const double scores[] = {1, 2, 30, 40, 500, 600, 7000, 8000};
    Answer a = run(q, k, v, s, 1, &ORACLE_SEES_ALL);
    expect(a.output, output, 8, 0);
    expect(a.scores, scores, 8, 0);
}

static void test_cached_queries(void **state)
{
    (void)state;
    // The worked example under causal, its last two queries alone with an offset of 1: the
    // same rows as in the whole run.
    OracleMask mask = oracle_mask("causal", head(3, 3, 4, 4));
    Answer whole = run(worked_q, worked_k, worked_v, head(3, 3, 4, 4), 0.5, &mask);
    mask.offset = 1;
    Answer part = run(worked_q + 4, worked_k, worked_v, head(2, 3, 4, 4), 0.5, &mask);
    expect(part.output, whole.output + 4, 8, 0);
    // Query 1 sees two equal logits: (1 + 5) / 2, (2 + 6) / 2, ...
    expect(part.output, (double[]){3, 4, 5, 6}, 4, 0);
    oracle_mask_free(&mask);
}

// --- masks that are arrays ------------------------------------------------------------------

static void test_bias(void **state)
{
    (void)state;
    static const float q[] = {0}, k[] = {0, 0, 0}, v[] = {1, 2, 6};
    OracleMask mask = ORACLE_SEES_ALL;
    // e^log 3 : 1, and the third is hidden: weights 3/4 and 1/4, output 3/4 + 2/4.
    mask.bias = (double[]){1.0986122886681098, 0, -INFINITY};
    Answer a = run(q, k, v, head(1, 3, 1, 1), 1, &mask);
    expect(a.weights, (double[]){0.75, 0.25, 0}, 3, 1e-15);
    expect(a.output, (double[]){1.25}, 1, 1e-15);
    // The most negative float32, not -inf: all alike, so the mean of 1, 2 and 6.
    mask.bias = (double[]){-0x1.fffffep127, -0x1.fffffep127, -0x1.fffffep127};
    Answer b = run(q, k, v, head(1, 3, 1, 1), 1, &mask);
    expect(b.output, (double[]){3}, 1, 1e-15);
    // A NaN that is allowed.
    mask.bias = (double[]){0, NAN, 0};
    Answer c = run(q, k, v, head(1, 3, 1, 1), 1, &mask);
    expect_nan(c.output, 1);
}

// A .npy of bool, byte by byte as the format says: magic, version 1.0, the header's length.
static void write_bool(const char *path, const char *shape, const char *bits)
{
    char header[118];
    int n = snprintf(header, sizeof header,
                     "{'descr': '|b1', 'fortran_order': False, 'shape': (%s), }", shape);
    memset(header + n, ' ', sizeof header - (size_t)n);
    header[117] = '\n';
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, f); // 0x76 = 118, and 10 + 118 is 2 * 64
    fwrite(header, 1, sizeof header, f);
    for (; *bits; bits++)
        fputc(*bits == '1', f);
    fclose(f);
}

static void test_bias_files(void **state)
{
    (void)state;
    static const char bits[] = "bits.npy", added[] = "added.npy";
    static const char spec[] = "added.npy+bits.npy+causal+added.npy";
    OracleSizes s = {.B = 2, .H = 1, .G = 1, .N = 2, .M = 3};
    // [3]: the same row for every query of every sequence.
    write_bool(bits, "3,", "101");
    expect_drawing(bits, s, 1, 0, "101 101");
    // [2, 1, 1, 3]: one row a sequence.
    write_bool(bits, "2, 1, 1, 3", "110011");
    expect_drawing(bits, s, 0, 0, "110 110");
    expect_drawing(bits, s, 1, 0, "011 011");
    // [2, 1]: one bit a query.
    write_bool(bits, "2, 1", "01");
    expect_drawing(bits, s, 0, 0, "000 111");
    // Three arrays and a rule: all must allow, and what is added adds up, 7 + 0 + 7. Before
    // or behind an inf, -inf hides.
    const double values[] = {INFINITY, 0, -INFINITY, 0, -INFINITY, 7};
    npy_write_double(added, 2, (long[]){2, 3}, values);
    expect_drawing(added, s, 1, 0, "110 101");
    expect_drawing(spec, s, 0, 1, "000 101");
    OracleMask mask = oracle_mask(spec, s);
    assert_true(mask.bias[5] == 14 && mask.bias[0] == -INFINITY);
    oracle_mask_free(&mask);
    assert_int_equal(exit_of(bits, (OracleSizes){.B = 1, .H = 1, .N = 3, .M = 3}), EXIT_INPUT);
}

static void test_refusals(void **state)
{
    (void)state;
    OracleSizes s = {.B = 2, .H = 1, .G = 1, .N = 3, .M = 3};
    static const char *const wrong[] = {
        "", "casual", "causal+", "+causal", "causal causal", "causal+causal", "causal+causal-end",
        "window", "window=", "window=-1", "window=1x", "window=1,2", "window=1,", "window=+1",
        "window=99999999999999999999", "window=1+window=2", "prefix=two", "padding=",
        "padding=1,2,3", "padding=1,", "padding=,1", "padding=1,x", "mask.bin",
    };
    for (size_t n = 0; n < sizeof wrong / sizeof *wrong; n++)
        if (exit_of(wrong[n], s) != EXIT_USAGE)
            fail_msg("--mask \"%s\" was not refused with EXIT_USAGE", wrong[n]);
    assert_int_equal(exit_of("/nowhere/mask.npy", s), EXIT_INPUT);
    assert_int_equal(exit_of("causal+padding=1,2+window=0+prefix=0+none", s), 0);
}

// --- the bound ------------------------------------------------------------------------------

static void test_bound(void **state)
{
    (void)state;
    OracleSizes s = head(3, 3, 4, 4);
    // All products are 0 or 1, so sum |q_d k_d| is the score; the largest is 3, A = 3/2.
    // (4 + 6) 3/2 + 3 + 5 = 23, and max |V| = 12.
    double all = oracle_bound(worked_q, worked_k, worked_v, s, 0.5, &ORACLE_SEES_ALL);
    expect(&all, (double[]){23.0 * 12 * 0x1p-23}, 1, 1e-40);
    // The first key alone: every score is 1, A = 1/2, and |V| reaches 4. 10/2 + 8 = 13.
    OracleMask first = ORACLE_SEES_ALL;
    first.padding = (long[]){1};
    double one = oracle_bound(worked_q, worked_k, worked_v, s, -0.5, &first);
    expect(&one, (double[]){13.0 * 4 * 0x1p-23}, 1, 1e-40);
    // 2 * 3 and 2 * -3 cancel in the score but not in A: (2 + 6) 12 + 1 + 5 = 102, |V| = 2.
    static const float q[] = {2, 2}, k[] = {3, -3}, v[] = {-2};
    double cancels = oracle_bound(q, k, v, head(1, 1, 2, 1), 1, &ORACLE_SEES_ALL);
    expect(&cancels, (double[]){102.0 * 2 * 0x1p-23}, 1, 1e-40);
    // A bias of -10 adds 4 * 10.
    OracleMask biased = ORACLE_SEES_ALL;
    biased.bias = (double[]){-10};
    double more = oracle_bound(q, k, v, head(1, 1, 2, 1), 1, &biased);
    expect(&more, (double[]){142.0 * 2 * 0x1p-23}, 1, 1e-40);
}

static void test_bound_stays_finite(void **state)
{
    (void)state;
    // Keys 1 and 2 are left out term by term, key 0 stays: A = 1, |V| = 3 (and 3 from key 2).
    // (1 + 6) 1 + 3 + 5 = 15.
    static const float q[] = {1}, k[] = {1, NAN, -INFINITY}, v[] = {3, -INFINITY, NAN};
    double bound = oracle_bound(q, k, v, head(1, 3, 1, 1), 1, &ORACLE_SEES_ALL);
    expect(&bound, (double[]){15.0 * 3 * 0x1p-23}, 1, 1e-40);
    // V below the normal range: half the spacing there, 2^-150, for each of M products and more.
    static const float ones[] = {1, 1, 1}, tiny[] = {1e-45f, 1e-45f, 1e-45f};
    bound = oracle_bound(q, ones, tiny, head(1, 3, 1, 1), 1, &ORACLE_SEES_ALL);
    assert_true(bound >= 3 * 0x1p-149);
}

// --- all of them ----------------------------------------------------------------------------

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_causal_rows),
        cmocka_unit_test(test_one_hot),
        cmocka_unit_test(test_equal_logits),
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_far_below_zero),
        cmocka_unit_test(test_drawings),
        cmocka_unit_test(test_joined_drawings),
        cmocka_unit_test(test_dead_rows),
        cmocka_unit_test(test_all_logits_minus_infinity),
        cmocka_unit_test(test_masked_nan_is_not_seen),
        cmocka_unit_test(test_nan_wins_over_dead),
        cmocka_unit_test(test_plus_infinity),
        cmocka_unit_test(test_grouped_heads),
        cmocka_unit_test(test_cached_queries),
        cmocka_unit_test(test_bias),
        cmocka_unit_test_setup_teardown(test_bias_files, scratch_enter, scratch_leave),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_bound_stays_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
