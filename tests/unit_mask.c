// Masks: every rule as a picture drawn by hand, 1 where query i (row) may look at key j.
#define _XOPEN_SOURCE 700
#include "../common/mask.h"

#include "../common/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "child.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

// --- helpers ----------------------------------------------------------------------------

// The rows of m as the picture shows them, one string of N * M digits.
static void expect_picture(const Mask *m, const char *what, long N, long M, const char *picture)
{
    assert_int_equal(strlen(picture), N * M);
    for (long i = 0; i < N; i++)
        for (long j = 0; j < M; j++)
            if (mask_allows(m, i, j) != (picture[i * M + j] == '1'))
                fail_msg("%s: query %ld, key %ld: expected %c", what, i, j, picture[i * M + j]);
}

// `spec` for N queries of one head, behind `past` keys, over M keys in all.
static void expect_rule(const char *spec, long N, long past, long M, const char *picture)
{
    Mask whole = mask_read(spec, 1, 1, N, M), pass = mask_pass(&whole, 0, N, past, M);
    Mask head = mask_head(&pass, 0, 0);
    expect_picture(&head, spec, N, M, picture);
    mask_free(&whole);
}

// A version 1.0 file: `shape` as Python writes it, `bytes` as they are.
static void save_mask(const char *name, const char *descr, const char *shape, const void *bytes,
                      size_t n)
{
    char header[128];
    int length = snprintf(header, sizeof header,
                          "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", descr,
                          shape);
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    fwrite("\x93NUMPY\1\0", 1, 8, f);
    fputc(length, f); // the header's length, low byte first
    fputc(0, f);
    fputs(header, f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

// --- the rules, one by one --------------------------------------------------------------

static void test_none(void **state)
{
    (void)state;
    expect_rule("none", 2, 0, 3, "111"
                                 "111");
    expect_rule("none", 2, 1, 3, "111"
                                 "111");
}

// j <= p: a token sees itself and what came before it.
static void test_causal(void **state)
{
    (void)state;
    expect_rule("causal", 1, 0, 1, "1");
    expect_rule("causal", 4, 0, 4, "1000"
                                   "1100"
                                   "1110"
                                   "1111");
    // N < M without a past: from the top left, as in PyTorch and ONNX
    expect_rule("causal", 2, 0, 4, "1000"
                                   "1100");
    expect_rule("causal", 4, 0, 2, "10"
                                   "11"
                                   "11"
                                   "11");
}

// The same from the bottom right: the last query meets the last key (hard cases 4 and 38).
static void test_causal_end(void **state)
{
    (void)state;
    expect_rule("causal-end", 3, 0, 3, "100"
                                       "110"
                                       "111");
    expect_rule("causal-end", 2, 0, 4, "1110"
                                       "1111");
    expect_rule("causal-end", 4, 0, 2, "00" // dead rows
                                       "00"
                                       "10"
                                       "11");
    expect_rule("causal-end", 4, 0, 1, "0"
                                       "0"
                                       "0"
                                       "1");
}

// With a past, query i stands behind it (hard case 37), and the end is where it was.
static void test_past(void **state)
{
    (void)state;
    expect_rule("causal", 2, 3, 5, "11110"
                                   "11111");
    expect_rule("causal-end", 2, 3, 5, "11110"
                                       "11111");
    expect_rule("causal", 1, 3, 4, "1111");
    expect_rule("window=1", 2, 3, 5, "00110"
                                     "00011");
    expect_rule("prefix=2", 2, 1, 5, "11000"
                                     "11100");
    expect_rule("padding=4", 2, 3, 5, "11110"
                                      "11110");
}

// window=W: the last W + 1 keys, the query's own included (hard case 35).
static void test_window(void **state)
{
    (void)state;
    expect_rule("window=0", 3, 0, 3, "100"
                                     "010"
                                     "001");
    expect_rule("window=1", 4, 0, 4, "1000"
                                     "1100"
                                     "0110"
                                     "0011");
    expect_rule("window=2", 4, 0, 4, "1000"
                                     "1100"
                                     "1110"
                                     "0111");
    expect_rule("window=3", 3, 0, 3, "100" // W >= N: plain causal
                                     "110"
                                     "111");
    expect_rule("window=1099511627776", 3, 0, 3, "100"
                                                 "110"
                                                 "111");
    expect_rule("window=0", 4, 0, 2, "10" // behind the last key: dead rows
                                     "01"
                                     "00"
                                     "00");
    expect_rule("window=1+causal-end", 2, 0, 4, "0110"
                                                "0011");
}

// prefix=P: the first P keys are seen by all, the rest causally (hard case 36).
static void test_prefix(void **state)
{
    (void)state;
    expect_rule("prefix=0", 3, 0, 3, "100"
                                     "110"
                                     "111");
    expect_rule("prefix=2", 4, 0, 4, "1100"
                                     "1100"
                                     "1110"
                                     "1111");
    expect_rule("prefix=4", 4, 0, 4, "1111"
                                     "1111"
                                     "1111"
                                     "1111");
    expect_rule("prefix=9", 2, 0, 2, "11"
                                     "11");
}

static void test_padding(void **state)
{
    (void)state;
    expect_rule("padding=2", 3, 0, 3, "110"
                                      "110"
                                      "110");
    expect_rule("padding=0", 2, 0, 2, "00"
                                      "00");
    expect_rule("padding=2", 2, 0, 2, "11"
                                      "11");
}

// Joined rules: a key is seen if every one of them says so, in whatever order.
static void test_joined(void **state)
{
    (void)state;
    expect_rule("causal+padding=2", 4, 0, 4, "1000"
                                             "1100"
                                             "1100"
                                             "1100");
    expect_rule("padding=2+causal", 4, 0, 4, "1000"
                                             "1100"
                                             "1100"
                                             "1100");
    expect_rule("causal+window=1", 3, 0, 3, "100"
                                            "110"
                                            "011");
    expect_rule("causal+prefix=2", 3, 0, 3, "100" // the stricter one wins
                                            "110"
                                            "111");
    expect_rule("window=1+prefix=1", 4, 0, 4, "1000" // a prefix off the window is not seen
                                              "1100"
                                              "0110"
                                              "0011");
    expect_rule("window=1+padding=2", 4, 0, 4, "1000"
                                               "1100"
                                               "0100"
                                               "0000");
    expect_rule("prefix=3+padding=2", 3, 0, 3, "110"
                                               "110"
                                               "110");
    expect_rule("none+causal", 2, 0, 2, "10"
                                        "11");
}

// Each sequence has its own length; a single one serves all.
static void test_padding_each(void **state)
{
    (void)state;
    Mask each = mask_read("padding=1,3,0", 3, 2, 2, 3), one = mask_read("padding=2", 3, 2, 2, 3);
    static const char *const pictures[] = {"100100", "111111", "000000"};
    for (long b = 0; b < 3; b++)
        for (long h = 0; h < 2; h++) {
            Mask m = mask_head(&each, b, h);
            expect_picture(&m, "padding=1,3,0", 2, 3, pictures[b]);
            m = mask_head(&one, b, h);
            expect_picture(&m, "padding=2", 2, 3, "110110");
        }
    mask_free(&one);
    mask_free(&each);
}

// Positions beyond 2^31 (hard case 41): of rules, no array is ever made.
static void test_far_positions(void **state)
{
    long far = 3L << 31;
    (void)state;
    Mask causal = mask_read("causal", 1, 1, far, far + 1);
    Mask window = mask_read("window=2", 1, 1, far, far + 1);
    assert_true(mask_allows(&causal, far, far));
    assert_false(mask_allows(&causal, far - 1, far));
    assert_true(mask_allows(&window, far, far - 2));
    assert_false(mask_allows(&window, far, far - 3));
    mask_free(&window);
    mask_free(&causal);
}

// --- parts of a mask --------------------------------------------------------------------

// A mask of every kind for B = 2, H = 2, N = 4, M = 5; the last few need the file.
static const char *const RULES[] = {
    "none", "causal", "causal-end", "window=0", "window=2", "window=9", "prefix=0", "prefix=1",
    "prefix=3", "prefix=9", "padding=0,4", "padding=3", "causal+padding=2,4", "window=1+prefix=2",
    "window=3+padding=4", "causal-end+window=1", "bias.npy", "causal+bias.npy",
    "prefix=2+padding=3,4+bias.npy",
};
enum { NEED_FILE = 3 };

// bias[b,h,i,j] = its number in row-major order, every seventh -inf.
static void save_bias(void)
{
    Tensor bias = tensor_new(SHAPE(2, 2, 4, 5));
    for (long i = 0; i < 80; i++)
        bias.data[i] = i % 7 == 3 ? -INFINITY : (float)i;
    npy_write("bias.npy", bias);
    tensor_free(&bias);
}

// Query i and key j of the part are query i + di and key j + dj of the whole.
static void expect_same(const Mask *part, const Mask *whole, const char *what, long di, long dj)
{
    for (long i = 0; i + di < 4; i++)
        for (long j = 0; j + dj < 5; j++)
            if (mask_allows(part, i, j) != mask_allows(whole, i + di, j + dj) ||
                mask_bias(part, i, j) != mask_bias(whole, i + di, j + dj))
                fail_msg("%s from %ld, %ld on differs at %ld, %ld", what, di, dj, i, j);
}

// mask_part on every pair, for every rule and every corner, and for a part of a part.
static void test_part(void **state)
{
    (void)state;
    save_bias();
    for (int r = 0; r < COUNT(RULES); r++) {
        Mask read = mask_read(RULES[r], 2, 2, 4, 5), pass = mask_pass(&read, 0, 4, 1, 5);
        for (long bh = 0; bh < 4; bh++) {
            Mask whole = mask_head(&pass, bh / 2, bh % 2);
            for (long di = 0; di <= 4; di++)
                for (long dj = 0; dj <= 5; dj++) {
                    Mask part = mask_part(&whole, di, dj);
                    expect_same(&part, &whole, RULES[r], di, dj);
                    Mask corner = mask_part(&whole, 0, dj / 2);
                    corner = mask_part(&corner, di, dj - dj / 2);
                    expect_same(&corner, &whole, RULES[r], di, dj);
                }
        }
        mask_free(&read);
    }
}

// Token by token, each pass over the keys so far, a query sees what it sees in one pass: but
// for rules that let it look ahead, whose later keys do not exist yet. N = M = 4.
static void test_passes(void **state)
{
    (void)state;
    for (int r = 0; r < COUNT(RULES) - NEED_FILE; r++) {
        Mask read = mask_read(RULES[r], 2, 2, 4, 4), whole = mask_pass(&read, 0, 4, 0, 4);
        for (long i = 0; i < 4; i++) {
            Mask pass = mask_pass(&read, i, 1, 0, i + 1);
            Mask now = mask_head(&pass, 1, 0), then = mask_head(&whole, 1, 0);
            for (long j = 0; j <= i; j++)
                if (mask_allows(&now, 0, j) != mask_allows(&then, i, j))
                    fail_msg("%s: pass %ld, key %ld differs", RULES[r], i, j);
            assert_false(mask_allows(&now, 0, i + 1)); // no such key yet
        }
        mask_free(&read);
    }
}

// A pass over the later queries reads their rows of the tensor, not the first ones.
static void test_pass_of_tensor(void **state)
{
    (void)state;
    save_bias();
    Mask read = mask_read("bias.npy", 2, 2, 4, 5), pass = mask_pass(&read, 2, 2, 0, 5);
    Mask head = mask_head(&pass, 1, 1);
    assert_true(mask_bias(&head, 0, 0) == 70); // [1,1,2,0] of [2,2,4,5]
    assert_true(mask_bias(&head, 1, 4) == 79);
    mask_free(&read);
}

// --- tensors that the user brings -------------------------------------------------------

// Bool and whole numbers: 1 may be seen. Additive: -inf hides. The same meaning is the same
// mask, bit for bit (hard case 21).
static void test_meanings(void **state)
{
    static const signed char bools[] = {1, 0, 1, 0, 1, 1};
    static const int16_t shorts[] = {1, 0, 1, 0, 1, 1};
    static const unsigned char big[] = {0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1};
    static const int64_t longs[] = {1, 0, 1, 0, 1, 1};
    static const float floats[] = {0, -INFINITY, 0, -INFINITY, 0, -0.0f};
    static const double doubles[] = {0, -INFINITY, 0, -INFINITY, 0, 0};
    static const uint16_t halves[] = {0, 0xfc00, 0, 0xfc00, 0, 0x8000};
    static const struct {
        const char *descr;
        const void *bytes;
        size_t size;
    } FILES[] = {
        {"|b1", bools, sizeof bools},    {"|i1", bools, sizeof bools},
        {"|u1", bools, sizeof bools},    {"<i2", shorts, sizeof shorts},
        {">u2", big, sizeof big},        {"<i8", longs, sizeof longs},
        {"<f4", floats, sizeof floats},  {"<f8", doubles, sizeof doubles},
        {"<f2", halves, sizeof halves},
    };
    (void)state;
    for (int f = 0; f < COUNT(FILES); f++) {
        save_mask("m.npy", FILES[f].descr, "(2, 3)", FILES[f].bytes, FILES[f].size);
        expect_rule("m.npy", 2, 0, 3, "101"
                                      "011");
        expect_rule("causal+m.npy", 2, 0, 3, "100"
                                             "010");
        Mask m = mask_read("m.npy", 1, 1, 2, 3), head = mask_head(&m, 0, 0);
        for (long i = 0; i < 6; i++)
            assert_true(mask_bias(&head, i / 3, i % 3) == (bools[i] ? 0.0f : -INFINITY));
        mask_free(&m);
    }
}

// Only -inf hides: the lowest finite number (hard case 19), NaN and +inf are added.
static void test_only_infinity_hides(void **state)
{
    static const float floats[] = {-3.4028234663852886e38f, NAN, INFINITY, -INFINITY};
    (void)state;
    save_mask("m.npy", "<f4", "(4,)", floats, sizeof floats);
    expect_rule("m.npy", 1, 0, 4, "1110");
    Mask m = mask_read("m.npy", 1, 1, 1, 4), head = mask_head(&m, 0, 0);
    assert_true(mask_bias(&head, 0, 0) == -3.4028234663852886e38f);
    assert_true(isnan(mask_bias(&head, 0, 1)));
    assert_true(mask_bias(&head, 0, 2) == INFINITY);
    mask_free(&m);
}

// Every way in which NumPy broadcasts to [B=2, H=3, N=2, M=4] (hard case 39). Element e of
// the file holds e / 4; `steps` says, by hand, how far one more b, h, i, j goes in it.
static const struct {
    const char *shape;
    long count, steps[4];
} BROADCASTS[] = {
    {"()", 1, {0, 0, 0, 0}},
    {"(1,)", 1, {0, 0, 0, 0}},
    {"(4,)", 4, {0, 0, 0, 1}},
    {"(1, 1)", 1, {0, 0, 0, 0}},
    {"(1, 4)", 4, {0, 0, 0, 1}},
    {"(2, 1)", 2, {0, 0, 1, 0}},
    {"(2, 4)", 8, {0, 0, 4, 1}},
    {"(3, 1, 1)", 3, {0, 1, 0, 0}},
    {"(3, 1, 4)", 12, {0, 4, 0, 1}},
    {"(3, 2, 4)", 24, {0, 8, 4, 1}},
    {"(1, 2, 4)", 8, {0, 0, 4, 1}},
    {"(2, 1, 1, 1)", 2, {1, 0, 0, 0}},
    {"(2, 1, 2, 4)", 16, {8, 0, 4, 1}},
    {"(2, 3, 1, 1)", 6, {3, 1, 0, 0}},
    {"(1, 3, 2, 1)", 6, {0, 2, 1, 0}},
    {"(2, 3, 2, 4)", 48, {24, 8, 4, 1}},
};

static void test_broadcast(void **state)
{
    float floats[48];
    (void)state;
    for (int e = 0; e < 48; e++)
        floats[e] = (float)e / 4;
    for (int f = 0; f < COUNT(BROADCASTS); f++) {
        const long *steps = BROADCASTS[f].steps;
        save_mask("m.npy", "<f4", BROADCASTS[f].shape, floats,
                  (size_t)BROADCASTS[f].count * sizeof(float));
        Mask m = mask_read("m.npy", 2, 3, 2, 4);
        assert_int_equal(tensor_live_bytes(), BROADCASTS[f].count * 4); // no copy for each head
        for (long e = 0; e < 48; e++) {
            long b = e / 24, h = e / 8 % 3, i = e / 4 % 2, j = e % 4;
            Mask head = mask_head(&m, b, h);
            long read = b * steps[0] + h * steps[1] + i * steps[2] + j * steps[3];
            if (mask_bias(&head, i, j) != (float)read / 4)
                fail_msg("%s: element [%ld, %ld, %ld, %ld]", BROADCASTS[f].shape, b, h, i, j);
        }
        mask_free(&m);
        assert_int_equal(tensor_live_bytes(), 0);
    }
}

// Broadcast over queries, a part still reads the right keys, and a pass the right rows.
static void test_broadcast_part(void **state)
{
    static const float floats[] = {0, 10, 20, 30};
    (void)state;
    save_mask("m.npy", "<f4", "(4,)", floats, sizeof floats);
    Mask m = mask_read("m.npy", 1, 1, 3, 4), pass = mask_pass(&m, 2, 1, 0, 4);
    Mask head = mask_head(&pass, 0, 0), part = mask_part(&head, 0, 2);
    assert_true(mask_bias(&part, 0, 1) == 30);
    mask_free(&m);
}

// --- refusals ---------------------------------------------------------------------------

// B = 2, H = 3, N = 2, M = 4.
static void read_refused(const char *spec)
{
    Mask m = mask_read(spec, 2, 3, 2, 4);
    mask_free(&m);
}

static void expect_refused(const char *spec, int code, const char *words)
{
    char text[CHILD_TEXT];
    int status = child(read_refused, spec, text);
    if (status != code)
        fail_msg("\"%s\": expected exit %d, got %d: %s", spec, code, status, text);
    expect_words(text, words);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); // one line
}

// What is no rule, no number of a rule, or a rule too many.
static const struct {
    const char *spec, *words;
} WRONG_WORDS[] = {
    {"", "expected none, causal, causal-end, window=W, prefix=P, padding=L,"},
    {"diagonal", "--mask diagonal: expected none, causal,"},
    {"diagonal", "got \"diagonal\""},
    {"Causal", "got \"Causal\""},
    {"causal ", "got \"causal \""},
    {"causal+", "--mask causal+: expected none, causal,"},
    {"+causal", "got \"\""},
    {"causal++window=1", "got \"\""},
    {".npy", "got \".npy\""},
    {"causal+causal", "expected one causal rule, got \"causal\" too"},
    {"causal+causal-end", "expected one causal rule, got \"causal-end\" too"},
    {"window", "got \"window\""},
    {"window=", "window expects a whole number from 0 to 1099511627776, got \"\""},
    {"window=-1", "window expects a whole number from 0"},
    {"window=x", "got \"x\""},
    {"window=+3", "--mask window=+3"},
    {"window= 3", "got \" 3\""},
    {"window=3x", "window expects one whole number, got \"x\" behind it"},
    {"window=1,2", "window expects one whole number, got \",2\" behind it"},
    {"window=1099511627777", "got \"1099511627777\""},
    {"window=99999999999999999999", "got \"99999999999999999999\""},
    {"window=1e3", "got \"e3\" behind it"},
    {"window=1+window=2", "window stands there twice"},
    {"prefix=", "prefix expects a whole number"},
    {"prefix=-1", "prefix expects a whole number"},
    {"prefix=2+prefix=2", "prefix stands there twice"},
    {"padding=", "padding expects a whole number from 0 to 4, got \"\""},
    {"padding=5", "padding expects a whole number from 0 to 4, got \"5\""},
    {"padding=-1", "padding expects a whole number from 0 to 4"},
    {"padding=1,", "padding expects a whole number from 0 to 4, got \"\""},
    {"padding=1;2", "padding expects lengths joined by commas"},
    {"padding=1,2,3", "padding expects one length, or one for each of 2 sequences, got 3"},
    {"padding=1+padding=2", "padding stands there twice"},
};

static void test_refused_words(void **state)
{
    char long_word[OUTPUT_PATH + 8] = "";
    (void)state;
    for (int i = 0; i < COUNT(WRONG_WORDS); i++)
        expect_refused(WRONG_WORDS[i].spec, EXIT_USAGE, WRONG_WORDS[i].words);
    memset(long_word, 'a', sizeof long_word - 1);
    expect_refused(long_word, EXIT_USAGE, "--mask: a rule of");
}

// Files: shapes that do not broadcast, numbers that are no mask, files that are none.
static void test_refused_files(void **state)
{
    static const float floats[48];
    static const int16_t two[] = {0, 1, 2, 1}, minus[] = {0, -1, 0, 1};
    static const struct {
        const char *shape;
        size_t count;
        const char *words;
    } SHAPES[] = {
        {"(3,)", 3, "got [1, 1, 1, 3]"}, // shorter than the keys (hard case 40)
        {"(5,)", 5, "got [1, 1, 1, 5]"},
        {"(4, 2)", 8, "got [1, 1, 4, 2]"},
        {"(2, 2, 4)", 16, "got [1, 2, 2, 4]"},
        {"(3, 1, 1, 1)", 3, "a mask for [B=2, H=3, N=2, M=4] has 1 or the full size along each"},
        {"(0,)", 0, "got [1, 1, 1, 0]"},
        {"(1, 1, 1, 1, 4)", 4, "expected up to 4 axes, got 5"},
    };
    (void)state;
    for (int i = 0; i < COUNT(SHAPES); i++) {
        save_mask("m.npy", "<f4", SHAPES[i].shape, floats, SHAPES[i].count * sizeof(float));
        expect_refused("m.npy", EXIT_INPUT, SHAPES[i].words);
        expect_refused("causal+m.npy", EXIT_INPUT, "m.npy: ");
    }
    save_mask("m.npy", "<i2", "(4,)", two, sizeof two);
    expect_refused("m.npy", EXIT_INPUT, "m.npy: a mask of whole numbers holds 0 and 1 only, "
                                        "element 2 is 2");
    save_mask("m.npy", "<i2", "(4,)", minus, sizeof minus);
    expect_refused("m.npy", EXIT_INPUT, "element 1 is -1");
    expect_refused("missing.npy", EXIT_INPUT, "missing.npy: cannot be read: No such file");
    save_mask("m.npy", "<f4", "(4,)", floats, 16);
    expect_refused("m.npy+m.npy", EXIT_USAGE, "expected one .npy, got a second: m.npy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_causal),
        cmocka_unit_test(test_causal_end),
        cmocka_unit_test(test_past),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_padding_each),
        cmocka_unit_test(test_far_positions),
        cmocka_unit_test_teardown(test_part, scratch_empty),
        cmocka_unit_test(test_passes),
        cmocka_unit_test_teardown(test_pass_of_tensor, scratch_empty),
        cmocka_unit_test_teardown(test_meanings, scratch_empty),
        cmocka_unit_test_teardown(test_only_infinity_hides, scratch_empty),
        cmocka_unit_test_teardown(test_broadcast, scratch_empty),
        cmocka_unit_test_teardown(test_broadcast_part, scratch_empty),
        cmocka_unit_test(test_refused_words),
        cmocka_unit_test_teardown(test_refused_files, scratch_empty),
    };
    return cmocka_run_group_tests_name("mask", tests, scratch_enter, scratch_leave);
}
