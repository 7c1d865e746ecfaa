// The comparer must say each of its verdicts for the right reason, and above all must be able
// to fail: a checker that lets NaN or a missing row pass proves nothing.

#define _XOPEN_SOURCE 700
#include "comparer.h"

#include "../common/fail.h"
#include "../common/npy.h"

#include <float.h>
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"

// --- helpers --------------------------------------------------------------------------------

static char scratch[] = "/tmp/unit_compare.XXXXXX";

typedef char Path[512];

static const CompareRules strict = {.bound = -1};

#define COUNT(array) (long)(sizeof(array) / sizeof *(array))

// The file of a step of a run: scratch/run/name.npy. Makes the run's directory.
static void path_of(Path path, const char *run, const char *name)
{
    Path directory;
    snprintf(directory, sizeof directory, "%s/%s", scratch, run);
    mkdir(directory, 0777);
    snprintf(path, sizeof(Path), "%.255s/%.200s.npy", directory, name);
}

// Writes rows x columns floats as step `name` of run `run`: put("a", "p0.b0.h0.q", 2, 2, ...).
static void put(const char *run, const char *name, long rows, long columns, const float *values)
{
    Path path;
    float *copy = malloc((size_t)(rows * columns) * sizeof *copy + 1);
    assert_non_null(copy);
    memcpy(copy, values, (size_t)(rows * columns) * sizeof *copy);
    Tensor t = {.axes = 2, .shape = {rows, columns}, .stride = {columns, 1}, .data = copy};
    path_of(path, run, name);
    npy_write(path, t);
    free(copy);
}

// The same for one axis, as lse has.
static void put_vector(const char *run, const char *name, long n, const float *values)
{
    Path path;
    float copy[16];
    memcpy(copy, values, (size_t)n * sizeof *copy);
    path_of(path, run, name);
    npy_write(path, (Tensor){.axes = 1, .shape = {n}, .stride = {1}, .data = copy});
}

static void put_text(const char *run, const char *text)
{
    Path path;
    path_of(path, run, "text");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

// Two runs as traces, without reference.
static Comparison directories(const char *a, const char *b, CompareRules rules)
{
    Path left, right;
    snprintf(left, sizeof left, "%s/%s", scratch, a);
    snprintf(right, sizeof right, "%s/%s", scratch, b);
    return compare_paths(left, right, NULL, NULL, rules);
}

// The output of two runs as single files.
static Comparison files(const char *a, const char *b, CompareRules rules)
{
    Path left, right;
    path_of(left, a, "p0.b0.h0.output");
    path_of(right, b, "p0.b0.h0.output");
    return compare_paths(left, right, NULL, NULL, rules);
}

// Two runs in memory, without reference.
static Comparison floats(long n, const float *a, const float *b, CompareRules rules)
{
    return compare_floats(n, a, b, NULL, NULL, rules);
}

// The verdict line begins so.
static void expect_text(Comparison c, const char *start)
{
    if (strncmp(c.text, start, strlen(start)) != 0)
        fail_msg("expected \"%s\", got \"%s\"", start, c.text);
}

static void expect_part(Comparison c, const char *part)
{
    if (!strstr(c.text, part))
        fail_msg("expected \"%s\" in \"%s\"", part, c.text);
}

// Nothing of a test is left when the next one starts.
static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    return where->level ? remove(path) : 0;
}

static int clean(void **state)
{
    (void)state;
    return nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

// --- two numbers ----------------------------------------------------------------------------

static void test_ulps(void **state)
{
    (void)state;
    assert_int_equal(ulps_between(1, 1), 0);
    assert_int_equal(ulps_between(0.0, -0.0), 0);
    assert_int_equal(ulps_between(1, 1 + (double)FLT_EPSILON), 1);
    assert_int_equal(ulps_between(1, 1 - (double)FLT_EPSILON / 2), 1); // closer below 1
    assert_int_equal(ulps_between(1, 2), 1 << 23);                     // one binade
    assert_int_equal(ulps_between(-1, -2), 1 << 23);
    assert_int_equal(ulps_between(0x1p-149, -0x1p-149), 2);            // across zero
    assert_int_equal(ulps_between(-1, 1), 2L * 0x3f800000);            // twice the pattern of 1
    assert_int_equal(ulps_between((double)FLT_MAX, INFINITY), 1);
    assert_int_equal(ulps_between(1, 1 + 1e-12), 0);                   // alike as float32
    assert_int_equal(ulps_between(NAN, 1), -1);
    assert_int_equal(ulps_between(1, NAN), -1);
}

static void test_equal_values_pass(void **state)
{
    (void)state;
    static const float a[] = {1, -0.0f, -INFINITY, INFINITY}, b[] = {1, 0.0f, -INFINITY, INFINITY};
    Comparison c = floats(4, a, b, strict);
    assert_int_equal(c.verdict, BIT_EXACT);
    assert_string_equal(c.text, "BIT-EXACT     1 step, 4 values");
    c = floats(0, a, b, strict);
    assert_int_equal(c.verdict, BIT_EXACT);
    assert_string_equal(c.text,
                        "BIT-EXACT     1 step, 0 values: there was nothing to compare");
}

static void test_infinities_must_agree(void **state)
{
    (void)state;
    static const float minus[] = {-INFINITY}, plus[] = {INFINITY}, large[] = {-FLT_MAX};
    CompareRules wide = {.bound = 1e300};
    assert_int_equal(floats(1, minus, plus, wide).verdict, FAIL);
    assert_int_equal(floats(1, minus, large, wide).verdict, FAIL);
    assert_int_equal(floats(1, large, minus, wide).verdict, FAIL);
}

static void test_nan_passes_nowhere(void **state)
{
    (void)state;
    static const float number[] = {1, 2, 3}, nan[] = {1, NAN, 3};
    const CompareRules rules[] = {strict, {.bound = 1e300}};
    for (int n = 0; n < 2; n++) {
        assert_int_equal(floats(3, nan, number, rules[n]).verdict, FAIL);
        assert_int_equal(floats(3, number, nan, rules[n]).verdict, FAIL);
        assert_int_equal(floats(3, nan, nan, rules[n]).verdict, FAIL);
    }
    Comparison c = floats(3, number, nan, strict);
    assert_string_equal(c.text,
                        "FAIL          first differing step array, worst at [1]: 2 and nan, "
                        "not a number");
    // Expected, NaN equals NaN and nothing else.
    CompareRules expected = {.bound = 1e300, .nan_expected = true};
    assert_int_equal(floats(3, nan, nan, expected).verdict, BIT_EXACT);
    assert_int_equal(floats(3, nan, number, expected).verdict, FAIL);
    assert_int_equal(floats(3, number, nan, expected).verdict, FAIL);
}

static void test_nan_is_the_worst(void **state)
{
    (void)state;
    // Before it and behind it stand larger differences than any number could excuse.
    static const float a[] = {0, 0, 0, 0}, b[] = {1e30f, NAN, INFINITY, NAN};
    Comparison c = floats(4, a, b, strict);
    expect_part(c, "worst at [1]: 0 and nan");
    assert_true(isnan(c.difference));
}

// --- the rules ------------------------------------------------------------------------------

static void test_one_ulp_fails_without_a_rule(void **state)
{
    (void)state;
    static const float a[] = {1}, b[] = {1 + FLT_EPSILON};
    Comparison c = floats(1, a, b, strict);
    assert_string_equal(c.text, "FAIL          first differing step array, worst at [0]: "
                                "1 and 1.00000012, 1 ulp");
    assert_int_equal(c.ulps, 1);
    assert_true(c.difference == (double)FLT_EPSILON);
}

static void test_bound(void **state)
{
    (void)state;
    static const float a[] = {0, 5}, b[] = {0.25f, 5};
    static const double near[] = {0.125, 5}, far[] = {0.75, 5}, nan[] = {0.125, NAN};
    CompareRules rules = {.bound = 0.25};
    Comparison c = floats(2, a, b, rules); // exactly at the bound is within
    assert_string_equal(c.text, "REASSOCIATED  array: largest difference 0.25 (1048576000 ulps) "
                                "at array[0]: 0 and 0.25; bound 0.25");
    assert_string_equal(c.step, "array");
    assert_int_equal(floats(2, a, b, (CompareRules){.bound = 0.2499}).verdict, FAIL);
    assert_int_equal(floats(2, a, b, (CompareRules){.bound = 0}).verdict, FAIL);
    // Near each other, but both must be near the reference too. A reference of NaN is near nobody.
    assert_int_equal(compare_floats(2, a, b, near, NULL, rules).verdict, REASSOCIATED);
    c = compare_floats(2, a, b, far, NULL, rules);
    assert_int_equal(c.verdict, FAIL);
    expect_part(c, "A is 0.75 from the reference at array[0], allowed 0.25");
    c = compare_floats(2, b, a, far, NULL, (CompareRules){.bound = 0.6});
    expect_part(c, "B is 0.75 from the reference at array[0], allowed 0.6");
    assert_int_equal(c.verdict, FAIL);
    assert_int_equal(compare_floats(2, a, b, nan, NULL, rules).verdict, FAIL);
}

static void test_infinite_bound_excuses_nothing(void **state)
{
    (void)state;
    static const float a[] = {0}, b[] = {1};
    assert_int_equal(floats(1, a, b, (CompareRules){.bound = INFINITY}).verdict, FAIL);
}

static void test_naive_rule(void **state)
{
    (void)state;
    // ref + 0.3 - 0.3 is exact at 0, so the tolerance is 2 * 0.25. A and B may be farther from
    // each other than that.
    static const float naive[] = {-0.25f, 0}, low[] = {-0.5f, 0}, high[] = {0.5f, 0};
    static const float higher[] = {0.50001f, 0};
    static const double ref[] = {0, 0};
    Comparison c = compare_floats(2, low, high, ref, naive, strict);
    expect_text(c, "REASSOCIATED  array: largest difference 1 (");
    expect_part(c, "; twice the naive error 0.5");
    c = compare_floats(2, low, higher, ref, naive, strict);
    assert_int_equal(c.verdict, FAIL);
    expect_part(c, "B is 0.5 from the reference");
    assert_int_equal(compare_floats(2, higher, low, ref, naive, strict).verdict, FAIL);
    // What is equal needs no rule.
    assert_int_equal(compare_floats(2, higher, higher, ref, naive, strict).verdict, BIT_EXACT);
}

static void test_cancellation_term(void **state)
{
    (void)state;
    // The naive run is exact by luck. In float32 0.1 + 0.3 - 0.3 is one ulp off 0.1 (2^-27), so
    // twice that, two ulps, are allowed all the same.
    static const double ref[] = {(double)0.1f};
    float naive = 0.1f, one = nextafterf(naive, 1), two = nextafterf(one, 1);
    float three = nextafterf(two, 1);
    assert_int_equal(compare_floats(1, &two, &naive, ref, &naive, strict).verdict, REASSOCIATED);
    assert_int_equal(compare_floats(1, &one, &two, ref, &naive, strict).verdict, REASSOCIATED);
    assert_int_equal(compare_floats(1, &three, &naive, ref, &naive, strict).verdict, FAIL);
}

static void test_broken_yardstick(void **state)
{
    (void)state;
    // A NaN or inf in the reference or in the naive run must not open the gate for the rest.
    static const float a[] = {1, 2}, b[] = {1, 3}, fine[] = {1, 2};
    static const float nan[] = {NAN, 2}, inf[] = {INFINITY, 2};
    static const double ref[] = {1, 2}, nan_ref[] = {NAN, 2}, inf_ref[] = {INFINITY, 2};
    CompareRules nan_ok = {.bound = -1, .nan_expected = true};
    assert_int_equal(compare_floats(2, a, b, nan_ref, fine, strict).verdict, FAIL);
    assert_int_equal(compare_floats(2, a, b, inf_ref, fine, strict).verdict, FAIL);
    assert_int_equal(compare_floats(2, a, b, ref, nan, strict).verdict, FAIL);
    assert_int_equal(compare_floats(2, a, b, ref, inf, strict).verdict, FAIL);
    assert_int_equal(compare_floats(2, a, b, nan_ref, nan, strict).verdict, FAIL);
    assert_int_equal(compare_floats(2, a, b, nan_ref, nan, nan_ok).verdict, FAIL);
    assert_int_equal(compare_floats(2, a, b, ref, nan, nan_ok).verdict, FAIL);
}

static void test_expected_nan_beside_a_difference(void **state)
{
    (void)state;
    // Where all are NaN, the other values are still held to the tolerance of 2 * 0.25.
    static const float a[] = {NAN, 0.5f}, b[] = {NAN, 0}, c[] = {NAN, 0.75f};
    static const float naive[] = {NAN, 0.25f};
    static const double ref[] = {NAN, 0};
    CompareRules rules = {.bound = -1, .nan_expected = true};
    assert_int_equal(compare_floats(2, a, b, ref, naive, rules).verdict, REASSOCIATED);
    assert_int_equal(compare_floats(2, c, b, ref, naive, rules).verdict, FAIL);
}

static void test_both_rules_must_hold(void **state)
{
    (void)state;
    static const float a[] = {0.5f}, b[] = {0}, close[] = {0.125f}, wide[] = {4};
    static const double ref[] = {0};
    CompareRules loose = {.bound = 1}, tight = {.bound = 0.25};
    assert_int_equal(compare_floats(1, a, b, ref, wide, loose).verdict, REASSOCIATED);
    assert_int_equal(compare_floats(1, a, b, ref, close, loose).verdict, FAIL);
    assert_int_equal(compare_floats(1, a, b, ref, wide, tight).verdict, FAIL);
}

// --- whole files ----------------------------------------------------------------------------

static void test_files(void **state)
{
    (void)state;
    static const float x[] = {1, 2, 3, 4, 5, 6}, y[] = {1, 2, 3, 4, 5.5f, 6};
    put("a", "p0.b0.h0.output", 2, 3, x);
    put("b", "p0.b0.h0.output", 2, 3, x);
    put("c", "p0.b0.h0.output", 2, 3, y);
    put("d", "p0.b0.h0.output", 1, 5, x);
    assert_string_equal(files("a", "b", strict).text, "BIT-EXACT     1 step, 6 values");
    expect_text(files("a", "c", strict),
                "FAIL          first differing step array, worst at [1,1]: 5 and 5.5, ");
    Comparison c = files("a", "d", (CompareRules){.bound = 1e300});
    assert_string_equal(c.text,
                        "FAIL          first differing step array: [2 x 3] and [1 x 5]");
}

// The same values in the same order, as a file of this shape.
static void put_shape(const char *run, int axes, const long *shape)
{
    Path path;
    static const double values[] = {1, 2, 3, 4, 5, 6};
    path_of(path, run, "p0.b0.h0.output");
    npy_write_double(path, axes, shape, values);
}

static void test_shapes(void **state)
{
    static const struct {
        int axes[2];
        long left[4], right[4];
        const char *text;
    } SHAPES[] = {
        {{2, 2}, {2, 3}, {3, 2}, "FAIL          first differing step array: [2 x 3] and [3 x 2]"},
        {{2, 1}, {2, 3}, {6}, "FAIL          first differing step array: [2 x 3] and [6]"},
        {{2, 3}, {6, 1}, {1, 1, 6}, "FAIL          first differing step array: [6 x 1] and [1 x 1"},
        {{3, 3}, {3, 1, 2}, {3, 2, 1}, "FAIL          first differing step array: [3 x 1 x 2] "},
        {{2, 2}, {0, 3}, {0, 7}, "FAIL          first differing step array: [0 x 3] and [0 x 7]"},
        {{2, 1}, {0, 3}, {0}, "FAIL          first differing step array: [0 x 3] and [0]"},
        {{2, 2}, {0, 3}, {0, 3}, "BIT-EXACT     1 step, 0 values: there was nothing to compare"},
        {{2, 4}, {3, 2}, {1, 1, 3, 2}, "BIT-EXACT     1 step, 6 values"}, // a batch of one
        {{0, 2}, {0}, {1, 1}, "BIT-EXACT     1 step, 1 value"},
    };
    (void)state;
    for (int i = 0; i < COUNT(SHAPES); i++) {
        put_shape("a", SHAPES[i].axes[0], SHAPES[i].left);
        put_shape("b", SHAPES[i].axes[1], SHAPES[i].right);
        expect_text(files("a", "b", strict), SHAPES[i].text);
        expect_text(files("a", "b", (CompareRules){.bound = 1e300}), SHAPES[i].text);
    }
}

// Of a step the rows are counted and measured; what is left is a step without rows, and axes
// below them.
static void test_shapes_of_steps(void **state)
{
    (void)state;
    put_shape("a", 2, (long[]){0, 3});
    put_shape("b", 2, (long[]){0, 7});
    expect_text(directories("a", "b", strict),
                "FAIL          first differing step b0.h0.output: [0 x 3] and [0 x 7]");
    put_shape("a", 3, (long[]){3, 1, 2});
    put_shape("b", 2, (long[]){3, 2});
    expect_text(directories("a", "b", strict),
                "FAIL          first differing step b0.h0.output: [3 x 1 x 2] and [3 x 2]");
    put_shape("b", 3, (long[]){3, 1, 2});
    assert_string_equal(directories("a", "b", strict).text, "BIT-EXACT     1 step, 6 values");
}

static void test_float64_files(void **state)
{
    (void)state;
    Path a, b;
    path_of(a, "a", "p0.b0.h0.output");
    path_of(b, "b", "p0.b0.h0.output");
    npy_write_double(a, 3, (long[]){2, 1, 2}, (double[]){1, 2, 3, 4});
    npy_write_double(b, 3, (long[]){2, 1, 2}, (double[]){1, 2, 3, 4.0000000000000009});
    assert_string_equal(files("a", "b", strict).text,
                        "FAIL          first differing step array, worst at [1,0,1]: "
                        "4 and 4.0000000000000009, 0 ulps, float64");
    // float64 only if every file is: of A's two passes, the first one is not.
    path_of(a, "a", "p1.b0.h0.lse");
    put_vector("a", "p0.b0.h0.lse", 1, (float[]){1});
    npy_write_double(a, 1, (long[]){1}, (double[]){2});
    path_of(b, "b", "p0.b0.h0.lse");
    npy_write_double(b, 1, (long[]){2}, (double[]){1, 3});
    CompareRules lse = {.bound = -1, .steps = "lse"};
    assert_string_equal(directories("a", "b", lse).text,
                        "FAIL          first differing step p1.b0.h0.lse, worst at [0]: "
                        "2 and 3, 4194304 ulps");
    // The same number in both widths is equal.
    path_of(a, "a", "p0.b0.h0.output");
    npy_write_double(a, 2, (long[]){1, 4}, (double[]){1, 2, 3, 4});
    put("b", "p0.b0.h0.output", 1, 4, (float[]){1, 2, 3, 4});
    assert_int_equal(files("a", "b", strict).verdict, BIT_EXACT);
}

// --- directories ----------------------------------------------------------------------------

static const float square[] = {1, 2, 3, 4}, other[] = {1, 2, 3, 8}, third[] = {0, 0, 16, 0};

static void test_first_differing_step(void **state)
{
    (void)state;
    static const float x[] = {1, 1, 1, 1, 1, 0.5f}, y[] = {1, 1.125f, 1, 1, 1, 0.25f};
    put("a", "p0.b0.h0.scores", 2, 2, square);
    put("b", "p0.b0.h0.scores", 2, 2, square);
    put("a", "p0.b0.h0.scaled", 2, 3, x);
    put("b", "p0.b0.h0.scaled", 2, 3, y);
    put("a", "p0.b0.h0.lse", 2, 2, square); // alphabetically before scaled
    put("b", "p0.b0.h0.lse", 2, 2, third);
    put("a", "p0.b0.h0.output", 2, 2, square);
    put("b", "p0.b0.h0.output", 2, 2, third);
    Comparison c = directories("a", "b", strict);
    assert_string_equal(c.text, "FAIL          first differing step p0.b0.h0.scaled, worst at "
                                "[1,2]: 0.5 and 0.25, 8388608 ulps");
    assert_string_equal(c.step, "scaled");
    assert_int_equal(c.steps, 4);
    assert_int_equal(c.values, 18);
}

static void test_reassociated_directory(void **state)
{
    (void)state;
    put("a", "p0.b0.h0.output", 2, 2, square);
    put("b", "p0.b0.h0.output", 2, 2, square);
    put("a", "p0.b0.h1.output", 2, 2, square);
    put("b", "p0.b0.h1.output", 2, 2, other);
    assert_string_equal(directories("a", "b", (CompareRules){.bound = 4}).text,
                        "REASSOCIATED  output: largest difference 4 (8388608 ulps) at "
                        "p0.b0.h1.output[1,1]: 4 and 8; bound 4");
    // A step that is excused does not hide a later one that is not.
    put("a", "p0.b0.h0.lse", 2, 2, square);
    put("b", "p0.b0.h0.lse", 2, 2, (float[]){1, 2, 3, 4.25f});
    expect_text(directories("a", "b", (CompareRules){.bound = 4}), "REASSOCIATED  lse: ");
    expect_text(directories("a", "b", (CompareRules){.bound = 3}),
                "FAIL          first failing step p0.b0.h1.output, worst at [1,1]: 4 and 8");
}

static void test_reference_directories(void **state)
{
    (void)state;
    Path path[4];
    static const float low[] = {-0.5f, 0}, high[] = {0.5f, 0}, naive[] = {0.25f, 0};
    static const float ref[] = {0, 0};
    static const char *const run[] = {"a", "b", "ref", "naive"};
    const float *const values[] = {low, high, ref, naive};
    for (int n = 0; n < 4; n++) {
        put(run[n], "p0.b0.h0.output", 1, 2, values[n]);
        snprintf(path[n], sizeof(Path), "%s/%s", scratch, run[n]);
    }
    Comparison c = compare_paths(path[0], path[1], path[2], path[3], strict);
    assert_int_equal(c.verdict, REASSOCIATED);
    // Copies are held to equality, whatever the yardsticks say.
    static const char *const copied[] = {"q", "past_v", "pages"};
    for (long s = 0; s < COUNT(copied); s++) {
        Path name;
        snprintf(name, sizeof name, "p0.b0.h0.%s", copied[s]);
        for (int n = 0; n < 4; n++)
            put(run[n], name, 1, 2, values[n]);
        CompareRules rules = {.bound = -1, .steps = copied[s]};
        c = compare_paths(path[0], path[1], path[2], path[3], rules);
        assert_int_equal(c.verdict, FAIL);
    }
}

static void test_yardsticks_need_the_step(void **state)
{
    (void)state;
    Path path[4];
    static const char *const run[] = {"a", "b", "ref", "naive"};
    // A and B are one ulp apart: cancellation alone would excuse that.
    const float tenth[] = {0.1f}, next[] = {nextafterf(0.1f, 1)};
    for (int n = 0; n < 4; n++) {
        put(run[n], "p0.b0.h0.output", 1, 1, tenth);
        put(run[n], "p0.b0.h0.weights", 1, 1, n == 1 ? next : tenth);
        snprintf(path[n], sizeof(Path), "%s/%s", scratch, run[n]);
    }
    Comparison c = compare_paths(path[0], path[1], path[2], path[3], strict);
    expect_text(c, "REASSOCIATED  weights: ");
    put("naive", "p0.b0.h0.weights", 1, 2, (float[]){0.1f, 0.1f}); // of another shape
    assert_int_equal(compare_paths(path[0], path[1], path[2], path[3], strict).verdict, FAIL);
    for (int n = 3; n > 1; n--) { // none in the naive run, then none in the reference either
        Path file;
        path_of(file, run[n], "p0.b0.h0.weights");
        assert_int_equal(remove(file), 0);
        c = compare_paths(path[0], path[1], path[2], path[3], strict);
        expect_text(c, "FAIL          first differing step p0.b0.h0.weights");
    }
}

static void test_bounds_of_earlier_steps(void **state)
{
    (void)state;
    // max|O| = 4, so a bound of 0.5 for the output is 0.125 for lse, weights and scaled scores.
    // Scores are 8 times as large as scaled: 1.
    static const float eight[] = {8, 16, 24, 32};
    static const struct {
        const char *step;
        float change;
        Verdict verdict;
    } rows[] = {
        {"output", 0.5f, REASSOCIATED}, {"output", 0.75f, FAIL}, {"concat", 0.5f, REASSOCIATED},
        {"lse", 0.125f, REASSOCIATED},  {"lse", 0.25f, FAIL},    {"weights", 0.125f, REASSOCIATED},
        {"weights", 0.25f, FAIL},       {"masked", 0.25f, FAIL}, {"scaled", 0.125f, REASSOCIATED},
        {"scores", 1, REASSOCIATED},    {"scores", 2, FAIL},     {"result", 0.125f, FAIL},
    };
    for (long n = 0; n < COUNT(rows); n++) {
        Path name;
        float changed[4];
        clean(state);
        put("a", "p0.b0.h0.output", 2, 2, square);
        put("b", "p0.b0.h0.output", 2, 2, square);
        put("b", "p0.b0.h0.scaled", 2, 2, square);
        put("b", "p0.b0.h0.scores", 2, 2, eight);
        bool scores = strcmp(rows[n].step, "scores") == 0;
        memcpy(changed, scores ? eight : square, sizeof changed);
        snprintf(name, sizeof name, "p0.b0.h0.%s", rows[n].step);
        put("b", name, 2, 2, changed);
        changed[1] += rows[n].change;
        put("a", name, 2, 2, changed);
        CompareRules rules = {.bound = 0.5, .steps = rows[n].step};
        if (directories("a", "b", rules).verdict != rows[n].verdict)
            fail_msg("%s, off by %g: %s", rows[n].step, (double)rows[n].change,
                     directories("a", "b", rules).text);
    }
}

static void test_inputs_may_not_differ(void **state)
{
    (void)state;
    put("a", "p0.b0.h0.output", 2, 2, square);
    put("b", "p0.b0.h0.output", 2, 2, square);
    put("a", "p0.b0.h0.q", 2, 2, square);
    put("b", "p0.b0.h0.q", 2, 2, other);
    expect_text(directories("a", "b", (CompareRules){.bound = 1e30}),
                "FAIL          first differing step p0.b0.h0.q");
    // What nobody computes is copied: no rounding, no bound.
    put("a", "p0.b0.h0.pages", 2, 2, square);
    put("b", "p0.b0.h0.pages", 2, 2, other);
    expect_text(directories("a", "b", (CompareRules){.bound = 1e30, .steps = "pages"}),
                "FAIL          first differing step p0.b0.h0.pages");
}

static void test_which_steps(void **state)
{
    (void)state;
    char *notes = NULL;
    size_t size;
    put("a", "p0.b0.h0.output", 2, 2, square);
    put("b", "p0.b0.h0.output", 2, 2, square);
    put("a", "p0.b0.h0.weights", 2, 2, square); // only in A
    put("b", "p0.b0.h0.pages", 2, 2, square);   // only in B
    put("b", "p0.b0.h1.pages", 2, 2, square);
    put("b", "p0.b0.slots", 2, 2, square);
    put("a", "p0.b0.concat", 2, 2, square); // in both, but not asked for
    put("b", "p0.b0.concat", 2, 2, third);
    put("a", "p0.b0.h0.out", 2, 2, square); // half a name
    put("b", "p0.b0.h0.out", 2, 2, third);
    CompareRules rules = strict;
    rules.notes = open_memstream(&notes, &size);
    assert_non_null(rules.notes);
    assert_string_equal(directories("a", "b", rules).text, "BIT-EXACT     1 step, 4 values");
    fclose(rules.notes);
    assert_string_equal(notes, "only in A: weights\nonly in B: pages, slots\n");
    free(notes);
    // By name.
    CompareRules output = {.bound = -1, .steps = "output"};
    assert_string_equal(directories("a", "b", output).text, "BIT-EXACT     1 step, 4 values");
    expect_text(directories("a", "b", (CompareRules){.bound = -1, .steps = "output,concat"}),
                "FAIL          first differing step p0.b0.concat, worst at [1,0]: 3 and 16");
    expect_text(directories("a", "b", (CompareRules){.bound = -1, .steps = "output,weights"}),
                "FAIL          step weights is missing in ");
    expect_text(directories("a", "b", (CompareRules){.bound = -1, .steps = "put"}),
                "FAIL          step put is missing in ");
}

static void test_output_must_be_there(void **state)
{
    (void)state;
    put("a", "p0.b0.h0.scaled", 2, 2, square);
    put("b", "p0.b0.h0.scaled", 2, 2, square);
    put("b", "p0.b0.h0.output", 2, 2, square);
    expect_text(directories("a", "b", strict), "FAIL          step output is missing in ");
    expect_text(directories("b", "a", strict), "FAIL          step output is missing in ");
    CompareRules scaled = {.bound = -1, .steps = "scaled"};
    assert_int_equal(directories("a", "b", scaled).verdict, BIT_EXACT);
}

// Asked to be complete, A may show more than B but nothing of the arithmetic less.
static void test_no_step_is_lost(void **state)
{
    (void)state;
    CompareRules complete = {.bound = -1, .complete = true};
    put("a", "p0.b0.h0.output", 2, 2, square);
    put("b", "p0.b0.h0.output", 2, 2, square);
    put("b", "p0.b0.h0.pages", 2, 2, square); // bookkeeping: no arithmetic
    assert_int_equal(directories("a", "b", complete).verdict, BIT_EXACT);
    put("b", "p0.b0.h0.weights", 2, 2, square);
    assert_int_equal(directories("a", "b", strict).verdict, BIT_EXACT);
    assert_int_equal(directories("b", "a", complete).verdict, BIT_EXACT);
    expect_text(directories("a", "b", complete), "FAIL          step weights is missing in ");
    put("b", "p0.b0.h0.scores", 2, 2, square);
    expect_text(directories("a", "b", complete), "FAIL          step scores is missing in ");
    put("a", "p0.b0.h0.output", 2, 2, other); // a difference does not hide it
    expect_text(directories("a", "b", complete), "FAIL          step scores is missing in ");
}

static void test_heads_must_agree(void **state)
{
    (void)state;
    put("a", "p0.b0.h0.output", 2, 2, square);
    put("b", "p0.b0.h0.output", 2, 2, square);
    put("b", "p0.b0.h1.output", 2, 2, square);
    expect_text(directories("a", "b", strict),
                "FAIL          first differing step b0.h1.output is only in ");
    expect_text(directories("b", "a", strict),
                "FAIL          first differing step b0.h1.output is only in ");
    put("a", "p0.b1.h1.output", 2, 2, square); // as many, but of another sequence
    expect_text(directories("a", "b", strict), "FAIL          first differing step b1.h1.output");
}

static void test_grouped_heads_have_no_counterpart(void **state)
{
    (void)state;
    put("a", "p0.b0.h0.output", 2, 2, square);
    put("b", "p0.b0.h0.output", 2, 2, square);
    put("a", "p0.b0.h0.k", 2, 2, square);
    put("b", "p0.b0.h0.k", 2, 2, other);
    expect_text(directories("a", "b", strict), "FAIL          first differing step p0.b0.h0.k");
    put("b", "p0.b0.h1.k", 2, 2, other); // two KV heads against one
    assert_string_equal(directories("a", "b", strict).text, "BIT-EXACT     1 step, 4 values");
    assert_int_equal(directories("b", "a", strict).verdict, BIT_EXACT);
    CompareRules keys = {.bound = -1, .steps = "k"};
    assert_int_equal(directories("a", "b", keys).verdict, FAIL);
}

// --- passes ---------------------------------------------------------------------------------

// Three queries at once, and in passes of two rows and one: the first two see two keys.
static void put_passes(void)
{
    static const float whole[] = {9, 9, 9, 9, 9, 9, 7, 8, 9}, lse[] = {1, 2, 3};
    static const float early[] = {9, 9, 9, 9}, late[] = {7, 8, 9};
    static const float masked[] = {1, -INFINITY, -INFINITY, 1, 2, -INFINITY, 1, 2, 3};
    static const float masked_early[] = {1, -INFINITY, 1, 2}, masked_late[] = {1, 2, 3};
    static const float weights[] = {1, 0, 0, 0.5f, 0.5f, 0, 0.2f, 0.3f, 0.5f};
    static const float weights_early[] = {1, 0, 0.5f, 0.5f}, weights_late[] = {0.2f, 0.3f, 0.5f};
    put("a", "p0.b0.h0.scaled", 3, 3, whole);
    put("b", "p0.b0.h0.scaled", 2, 2, early);
    put("b", "p1.b0.h0.scaled", 1, 3, late);
    put("a", "p0.b0.h0.masked", 3, 3, masked);
    put("b", "p0.b0.h0.masked", 2, 2, masked_early);
    put("b", "p1.b0.h0.masked", 1, 3, masked_late);
    put("a", "p0.b0.h0.weights", 3, 3, weights);
    put("b", "p0.b0.h0.weights", 2, 2, weights_early);
    put("b", "p1.b0.h0.weights", 1, 3, weights_late);
    put_vector("a", "p0.b0.h0.lse", 3, lse);
    put_vector("b", "p0.b0.h0.lse", 2, lse);
    put_vector("b", "p1.b0.h0.lse", 1, lse + 2);
    put("a", "p0.b0.h0.output", 3, 2, (float[]){1, 2, 3, 4, 5, 6});
    put("b", "p0.b0.h0.output", 2, 2, (float[]){1, 2, 3, 4});
    put("b", "p1.b0.h0.output", 1, 2, (float[]){5, 6});
}

static void test_passes_are_stacked(void **state)
{
    (void)state;
    put_passes();
    // 7 scaled scores that both have; 9 masked and 9 weights; 3 lse; 6 of the output.
    assert_string_equal(directories("a", "b", strict).text, "BIT-EXACT     5 steps, 34 values");
    assert_string_equal(directories("b", "a", strict).text, "BIT-EXACT     5 steps, 34 values");
    put("b", "p1.b0.h0.output", 1, 2, (float[]){5, 7});
    expect_text(directories("b", "a", strict),
                "FAIL          first differing step p1.b0.h0.output, worst at [0,1]: 7 and 6");
    expect_text(directories("a", "b", strict),
                "FAIL          first differing step p0.b0.h0.output, worst at [2,1]: 6 and 7");
    put_vector("b", "p1.b0.h0.lse", 1, (float[]){4});
    expect_text(directories("b", "a", strict),
                "FAIL          first differing step p1.b0.h0.lse, worst at [0]: 4 and 3");
}

static void test_missing_keys_count_as_nothing(void **state)
{
    (void)state;
    put_passes();
    // A key that a pass did not have yet, and that the whole run lets a query see.
    put("a", "p0.b0.h0.weights", 3, 3, (float[]){1, 0, 0, 0.5f, 0.5f, 0.01f, 0.2f, 0.3f, 0.5f});
    expect_text(directories("a", "b", strict),
                "FAIL          first differing step p0.b0.h0.weights, worst at [1,2]: 0.00999");
    assert_int_equal(directories("b", "a", strict).verdict, FAIL);
    put("a", "p0.b0.h0.masked", 3, 3,
        (float[]){1, -INFINITY, -INFINITY, 1, 2, -1e30f, 1, 2, 3});
    expect_text(directories("a", "b", strict),
                "FAIL          first differing step p0.b0.h0.masked, worst at [1,2]: -1.00");
}

static void test_last_pass_has_all_keys(void **state)
{
    (void)state;
    put_passes();
    put("b", "p1.b0.h0.masked", 1, 2, (float[]){1, 2});
    expect_text(directories("b", "a", strict),
                "FAIL          first differing step p1.b0.h0.masked: row 2 has 2 values and 3");
    clean(state);
    // One pass on either side: a narrower matrix is a wrong one, not an early one.
    put("a", "p0.b0.h0.output", 1, 1, square);
    put("b", "p0.b0.h0.output", 1, 1, square);
    put("a", "p0.b0.h0.scaled", 1, 3, square);
    put("b", "p0.b0.h0.scaled", 1, 2, square);
    assert_int_equal(directories("a", "b", strict).verdict, FAIL);
    assert_int_equal(directories("b", "a", strict).verdict, FAIL);
}

static void test_rows_must_be_complete(void **state)
{
    (void)state;
    put_passes();
    put("b", "p2.b0.h0.output", 1, 2, (float[]){5, 6});
    expect_text(directories("a", "b", strict),
                "FAIL          first differing step b0.h0.output: 3 rows and 4");
    clean(state);
    // No row of the output may be short, early or not.
    put_passes();
    put("b", "p0.b0.h0.output", 2, 1, (float[]){1, 3});
    expect_text(directories("a", "b", strict),
                "FAIL          first differing step p0.b0.h0.output: row 0 has 2 values and 1");
}

static void test_tenth_pass_comes_after_second(void **state)
{
    (void)state;
    float whole[12];
    for (int n = 0; n < 12; n++) {
        Path name;
        whole[n] = (float)n;
        snprintf(name, sizeof name, "p%d.b0.h0.output", n);
        put("b", name, 1, 1, &whole[n]);
    }
    put("a", "p0.b0.h0.output", 12, 1, whole);
    assert_string_equal(directories("a", "b", strict).text, "BIT-EXACT     1 step, 12 values");
}

// --- printed runs ---------------------------------------------------------------------------

// Two printed runs, given as what they printed.
static TextComparison texts(const char *a, const char *b)
{
    Path left, right;
    put_text("a", a);
    put_text("b", b);
    path_of(left, "a", "text");
    path_of(right, "b", "text");
    return compare_texts(left, right, NULL);
}

static const char *const printed = "a run\n\n"
                                   "== p0.b0.h0.weights [2 x 3] ==\n"
                                   "                  k0        k1        k2\n"
                                   "q0            1.0000         .         .\n"
                                   "q1            0.5000    0.5000         .\n"
                                   "\n"
                                   "== p0.b0.h0.lse [2] ==\n"
                                   "q0              -inf\n"
                                   "q1               nan\n"
                                   "done\n";

static void test_printed_runs(void **state)
{
    (void)state;
    TextComparison c = texts(printed, printed);
    assert_true(c.same);
    assert_string_equal(c.text, "SAME          2 steps, 8 numbers");
    c = texts(printed, "== p0.b0.h0.weights [2 x 3] ==\n        an     apple       and\n"
                       "an            1.0000         .    0.0000\n"
                       "0.5           0.2500  5.00e-01         .\n"
                       "== p0.b0.h0.lse [2] ==\nq0 -inf\nq1 1\n");
    assert_false(c.same);
    assert_int_equal(c.differing, 3); // a dot is not 0.0000; 0.5 and 0.25; nan and 1
    assert_string_equal(c.text, "DIFFERS       2 of 2 steps, 3 of 8 numbers");
    c = texts(printed, "== p0.b0.h0.lse [2] ==\nq0 -inf\nq1 nan\n");
    assert_true(c.same);
    assert_string_equal(c.text, "SAME          1 step, 2 numbers; in one run alone: 1");
    assert_false(texts(printed, "== p0.b0.h0.lse [1] ==\nq0 -inf\n").same); // another shape
    assert_false(texts("== p0.b0.h0.lse [1] ==\nq0 -inf\n", printed).same);
    // A name that comes twice: first with first, second with second.
    const char *twice = "== x [1] ==\nr 1\n== x [1] ==\nr 2\n";
    assert_true(texts(twice, twice).same);
    assert_false(texts(printed, "== other [1] ==\nq0 -inf\n").same);         // nothing in common
}

static void test_printed_notes(void **state)
{
    (void)state;
    Path left, right;
    char *notes = NULL;
    size_t size;
    FILE *f = open_memstream(&notes, &size);
    assert_non_null(f);
    put_text("a", "== x [2 x 2] ==\n a b\nr 1 2\nr 3 4\n== y [1] ==\nr 1\n");
    put_text("b", "== x [2 x 2] ==\n a b\nr 1 2.5\nr 5 4\n== z [1] ==\nr 1\n");
    path_of(left, "a", "text");
    path_of(right, "b", "text");
    compare_texts(left, right, f);
    fclose(f);
    assert_string_equal(notes, "x                    2 of 4 numbers differ, by up to 2 at [1,0]\n"
                               "y                    only in A\n"
                               "z                    only in B\n");
    free(notes);
}

// --- refusals -------------------------------------------------------------------------------

static Path child_right; // the second run of the child process

static void compare_as_paths(const char *left)
{
    compare_paths(left, child_right, NULL, NULL, strict);
}

static void compare_as_texts(const char *left)
{
    compare_texts(left, child_right, NULL);
}

// The code with which a program ends that compares a with b.
static int exit_of(const char *a, const char *b, bool text)
{
    Path left;
    char message[CHILD_TEXT];
    snprintf(left, sizeof left, "%s/%s", scratch, a);
    snprintf(child_right, sizeof child_right, "%s/%s", scratch, b);
    int code = child(text ? compare_as_texts : compare_as_paths, left, message);
    if (code)
        expect_words(message, child_right); // the file is named
    return code;
}

static void test_refusals(void **state)
{
    (void)state;
    put("a", "p0.b0.h0.output", 2, 2, square);
    put_text("empty", "no array");
    assert_int_equal(exit_of("a", "a", false), 0);
    assert_int_equal(exit_of("a", "missing", false), EXIT_INPUT);
    assert_int_equal(exit_of("a", "empty", false), EXIT_INPUT); // no step in it
    assert_int_equal(exit_of("a/p0.b0.h0.output.npy", "empty/text.npy", false), EXIT_INPUT);
    assert_int_equal(exit_of("a", "a/p0.b0.h0.output.npy", false), EXIT_USAGE);
}

static void test_text_refusals(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "no steps at all\n",
        "== x [2 x 2] ==\n a b\nr 1 2\n",              // a row is missing
        "== x [1 x 2] ==\n a b\nr 1\n",                // a number is missing
        "== x [1 x 2] ==\n a b\nr 1 two\n",            // not a number
        "== x [1 x 288230376151711744] ==\n a\nr 1\n",  // 2^58
        "== x [1 x 1152921504606846977] ==\n a\nr 1\n", // 2^60 + 1 cells of 16 bytes wrap to 16
    };
    put_text("good", "== x [1] ==\nr 1\n");
    assert_int_equal(exit_of("good/text.npy", "good/text.npy", true), 0);
    assert_int_equal(exit_of("good/text.npy", "missing", true), EXIT_INPUT);
    for (long n = 0; n < COUNT(broken); n++) {
        put_text("broken", broken[n]);
        if (exit_of("good/text.npy", "broken/text.npy", true) != EXIT_INPUT)
            fail_msg("not refused: %s", broken[n]);
    }
}

// --- all of them ----------------------------------------------------------------------------

static int make_scratch(void **state)
{
    (void)state;
    return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
    return clean(state) || rmdir(scratch);
}

#define TEST(function) cmocka_unit_test_teardown(function, clean)

static const struct CMUnitTest tests[] = {
    TEST(test_ulps),
    TEST(test_equal_values_pass),
    TEST(test_infinities_must_agree),
    TEST(test_nan_passes_nowhere),
    TEST(test_nan_is_the_worst),
    TEST(test_one_ulp_fails_without_a_rule),
    TEST(test_bound),
    TEST(test_infinite_bound_excuses_nothing),
    TEST(test_naive_rule),
    TEST(test_cancellation_term),
    TEST(test_broken_yardstick),
    TEST(test_expected_nan_beside_a_difference),
    TEST(test_both_rules_must_hold),
    TEST(test_files),
    TEST(test_shapes),
    TEST(test_shapes_of_steps),
    TEST(test_float64_files),
    TEST(test_first_differing_step),
    TEST(test_reassociated_directory),
    TEST(test_reference_directories),
    TEST(test_yardsticks_need_the_step),
    TEST(test_bounds_of_earlier_steps),
    TEST(test_inputs_may_not_differ),
    TEST(test_which_steps),
    TEST(test_output_must_be_there),
    TEST(test_no_step_is_lost),
    TEST(test_heads_must_agree),
    TEST(test_grouped_heads_have_no_counterpart),
    TEST(test_passes_are_stacked),
    TEST(test_missing_keys_count_as_nothing),
    TEST(test_last_pass_has_all_keys),
    TEST(test_rows_must_be_complete),
    TEST(test_tenth_pass_comes_after_second),
    TEST(test_printed_runs),
    TEST(test_printed_notes),
    TEST(test_refusals),
    TEST(test_text_refusals),
};

int main(void)
{
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
