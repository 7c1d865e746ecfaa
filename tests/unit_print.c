// The text that readers diff, compared to the letter: widths, rounding, labels, heat maps.
#define _XOPEN_SOURCE 700
#include "../common/print.h"

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

static FILE *page;      // what is printed goes here,
static char *page_text; // and is read here
static size_t page_size;

static void page_open(void)
{
    page = open_memstream(&page_text, &page_size);
    assert_non_null(page);
}

// The page holds exactly this; it is thrown away.
static void expect_page(const char *expected)
{
    assert_int_equal(fclose(page), 0);
    assert_string_equal(page_text, expected);
    free(page_text);
}

// [rows, columns] of these numbers.
static Tensor matrix(long rows, long columns, const float *numbers)
{
    Tensor t = tensor_new(SHAPE(rows, columns));
    memcpy(t.data, numbers, (size_t)(rows * columns) * sizeof(float));
    return t;
}

static const Names ROWS = {.letter = 'q'}, COLUMNS = {.letter = 'k'};

// --- numbers ----------------------------------------------------------------------------

// What is printed of a number: nine characters.
static const struct {
    float x;
    const char *text;
} NUMBERS[] = {
    {0, "   0.0000"},
    {1, "   1.0000"},
    {-1, "  -1.0000"},
    {0.5f, "   0.5000"},
    {3.14159f, "   3.1416"},
    {123.456789f, " 123.4568"},
    {9999, "9999.0000"},
    {-999.9999f, "-999.9999"},
    // from 1e4 on, by what would be printed, not by the number itself
    {9999.9990f, "9999.9990"},
    {9999.99996f, " 1.00e+04"},
    {10000, " 1.00e+04"},
    {-10000, "-1.00e+04"},
    {12345, " 1.23e+04"},
    {1e30f, " 1.00e+30"},
    {-3.4028235e38f, "-3.40e+38"},
    // no number is -0.0000
    {-0.0f, "   0.0000"},
    {-0.00001f, "   0.0000"},
    {-0.00004999f, "   0.0000"},
    {-0.00005f, "   0.0000"}, // the float below 0.00005: rounds to 0
    {0.00005f, "   0.0000"},
    {-0.000050001f, "  -0.0001"},
    {0.00006f, "   0.0001"},
    {1e-45f, "   0.0000"},
    {-1e-45f, "   0.0000"},
    // no NaN has a sign
    {NAN, "      nan"},
    {-NAN, "      nan"},
    {INFINITY, "      inf"},
    {-INFINITY, "     -inf"},
};

static void test_numbers(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(NUMBERS); i++) {
        page_open();
        print_number(page, NUMBERS[i].x);
        expect_page(NUMBERS[i].text);
    }
}

// One sign more than nine characters hold: the cell widens, no digit is lost.
static void test_wide_number(void **state)
{
    (void)state;
    page_open();
    print_number(page, -1234.5f);
    expect_page("-1234.5000");
}

// --- names ------------------------------------------------------------------------------

static void expect_name(Names names, long i, const char *expected)
{
    char name[32];
    name_of(name, sizeof name, names, i);
    assert_string_equal(name, expected);
}

// Words while there are some; past the last of them letter and number.
static void test_names(void **state)
{
    static const char *const words[] = {"an", "apple", "and"};
    char small[4];
    (void)state;
    expect_name((Names){.letter = 'q'}, 0, "q0");
    expect_name((Names){.letter = 'k', .first = 5}, 12, "k17");
    expect_name((Names){words, 3, 'q', 0}, 1, "apple");
    expect_name((Names){words, 3, 'q', 0}, 3, "q3");
    expect_name((Names){words, 3, 'q', 2}, 0, "and");
    expect_name((Names){words, 3, 'q', 2}, 1, "q3");
    name_of(small, sizeof small, (Names){words, 3, 'q', 0}, 1);
    assert_string_equal(small, "app");
}

// --- matrices ---------------------------------------------------------------------------

static void test_matrix(void **state)
{
    (void)state;
    Tensor x = matrix(2, 3, (float[]){1, -0.5f, 12345, NAN, -INFINITY, 0.00001f});
    page_open();
    print_matrix(page, "p0.b0.h1.scores", x, ROWS, COLUMNS, NULL, HIDE_NOTHING);
    expect_page("== p0.b0.h1.scores [2 x 3] ==\n"
                "                  k0        k1        k2\n"
                "q0            1.0000   -0.5000  1.23e+04\n"
                "q1               nan      -inf    0.0000\n"
                "\n");
    tensor_free(&x);
}

// A view prints as what it shows, wherever its rows lie.
static void test_view(void **state)
{
    (void)state;
    Tensor x = matrix(3, 3, (float[]){0, 1, 2, 3, 4, 5, 6, 7, 8});
    Tensor view = tensor_slice(tensor_slice(x, 0, 1, 3), 1, 1, 2);
    page_open();
    print_matrix(page, "view", view, (Names){.letter = 'q', .first = 1},
                 (Names){.letter = 'd', .first = 1}, NULL, HIDE_NOTHING);
    expect_page("== view [2 x 1] ==\n"
                "                  d1\n"
                "q1            4.0000\n"
                "q2            7.0000\n"
                "\n");
    tensor_free(&x);
}

// A step of one axis is a column without a heading of its own.
static void test_one_axis(void **state)
{
    (void)state;
    Tensor x = tensor_new(SHAPE(3));
    memcpy(x.data, (float[]){1.5f, -INFINITY, 0}, 3 * sizeof(float));
    page_open();
    print_matrix(page, "p0.b0.h0.lse", x, ROWS, COLUMNS, NULL, HIDE_NOTHING);
    expect_page("== p0.b0.h0.lse [3] ==\n"
                "q0            1.5000\n"
                "q1              -inf\n"
                "q2            0.0000\n"
                "\n");
    tensor_free(&x);
}

static void test_empty(void **state)
{
    (void)state;
    Tensor none = tensor_new(SHAPE(0, 2)), narrow = tensor_new(SHAPE(2, 0));
    page_open();
    print_matrix(page, "none", none, ROWS, COLUMNS, NULL, HIDE_NOTHING);
    print_matrix(page, "narrow", narrow, ROWS, COLUMNS, NULL, HIDE_NOTHING);
    expect_page("== none [0 x 2] ==\n"
                "                  k0        k1\n"
                "\n"
                "== narrow [2 x 0] ==\n"
                "          \n"
                "q0        \n"
                "q1        \n"
                "\n");
    tensor_free(&narrow);
    tensor_free(&none);
}

// Masked: -inf among scores, a dot among weights. An allowed weight that underflowed is still
// 0.0000, and an allowed score of -inf still -inf; the rule decides, not the value.
static void test_hidden(void **state)
{
    Mask causal = {.causal = true, .window = -1, .prefix = -1, .keys = 3};
    (void)state;
    Tensor x = matrix(3, 3, (float[]){1, 7, 7, 0, 1, 7, 1e-30f, -INFINITY, 1});
    page_open();
    print_matrix(page, "weights", x, ROWS, COLUMNS, &causal, HIDE_WEIGHTS);
    expect_page("== weights [3 x 3] ==\n"
                "                  k0        k1        k2\n"
                "q0            1.0000         .         .\n"
                "q1            0.0000    1.0000         .\n"
                "q2            0.0000      -inf    1.0000\n"
                "\n");
    page_open();
    print_matrix(page, "masked", x, ROWS, COLUMNS, &causal, HIDE_SCORES);
    expect_page("== masked [3 x 3] ==\n"
                "                  k0        k1        k2\n"
                "q0            1.0000      -inf      -inf\n"
                "q1            0.0000    1.0000      -inf\n"
                "q2            0.0000      -inf    1.0000\n"
                "\n");
    page_open();
    print_matrix(page, "scores", x, ROWS, COLUMNS, &causal, HIDE_NOTHING);
    expect_page("== scores [3 x 3] ==\n"
                "                  k0        k1        k2\n"
                "q0            1.0000    7.0000    7.0000\n"
                "q1            0.0000    1.0000    7.0000\n"
                "q2            0.0000      -inf    1.0000\n"
                "\n");
    tensor_free(&x);
}

// Labels are cut to the column in characters, not bytes: nothing is cut in two, and what
// follows stays where it was.
static void test_labels(void **state)
{
    static const char *const words[] = {"an", "naïve", "日本語", "internationalization",
                                        "ÄÖÜäöüßéèê"};
    Names names = {words, COUNT(words), 'q', 0};
    (void)state;
    Tensor x = matrix(5, 1, (float[]){1, 2, 3, 4, 5}), line = tensor_new(SHAPE(1, 5));
    tensor_fill(line, 1);
    page_open();
    print_matrix(page, "rows", x, names, COLUMNS, NULL, HIDE_NOTHING);
    expect_page("== rows [5 x 1] ==\n"
                "                  k0\n"
                "an            1.0000\n"
                "naïve         2.0000\n"
                "日本語           3.0000\n"
                "internatio    4.0000\n"
                "ÄÖÜäöüßéèê    5.0000\n"
                "\n");
    page_open();
    print_matrix(page, "columns", line, ROWS, names, NULL, HIDE_NOTHING);
    expect_page("== columns [1 x 5] ==\n"
                "                  an     naïve       日本語 internati ÄÖÜäöüßéè\n"
                "q0            1.0000    1.0000    1.0000    1.0000    1.0000\n"
                "\n");
    tensor_free(&line);
    tensor_free(&x);
}

static void print_three_axes(const char *a)
{
    (void)a;
    print_matrix(stderr, "cube", tensor_new(SHAPE(1, 1, 1)), ROWS, COLUMNS, NULL, HIDE_NOTHING);
}

static void test_three_axes(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(print_three_axes, NULL, text), 128 + SIGABRT);
    expect_words(text, "cube: a matrix to print has 2 axes, not 3");
}

// --- heat maps --------------------------------------------------------------------------

// Without colour: nine characters from . to @, doubled so that cells are nearly square;
// masked cells are blank.
static void test_heat_in_text(void **state)
{
    Mask causal = {.causal = true, .window = -1, .prefix = -1, .keys = 9};
    Mask none = {.window = -1, .prefix = -1, .keys = 9};
    (void)state;
    Tensor ramp = matrix(1, 9, (float[]){0, .125f, .25f, .375f, .5f, .625f, .75f, .875f, 1});
    Tensor x = matrix(3, 3, (float[]){1, 1, 1, .5f, .49f, 1, NAN, 2, 0.0625f});
    page_open();
    print_heat(page, "ramp", ramp, &none, false);
    expect_page("-- ramp as a heat map, 0 dark to 1 bright --\n"
                "..::--==++**##%%@@\n"
                "\n");
    page_open();
    print_heat(page, "weights", x, &causal, false);
    expect_page("-- weights as a heat map, 0 dark to 1 bright --\n"
                "@@    \n"
                "++++  \n"
                "..@@::\n"
                "\n");
    tensor_free(&x);
    tensor_free(&ramp);
}

#define TOP(rgb) "\x1b[38;2;" rgb "m"
#define BOTTOM(rgb) "\x1b[48;2;" rgb "m"
#define DARK "68;1;84"
#define BRIGHT "253;231;37"
#define RESET "\x1b[0m"

// In colour: two rows a line, the upper in the foreground of the upper half block, the lower
// in its background; a lower half block where only the lower one may be seen.
static void test_heat_in_colour(void **state)
{
    Mask causal = {.causal = true, .window = -1, .prefix = -1, .keys = 3};
    (void)state;
    Tensor x = matrix(3, 3, (float[]){1, 9, 9, 0, 1, 9, 0, 0, 1});
    page_open();
    print_heat(page, "weights", x, &causal, true);
    expect_page("-- weights as a heat map, 0 dark to 1 bright --\n"
                RESET TOP(BRIGHT) BOTTOM(DARK) "▀▀" // q0 bright over q1 dark
                RESET TOP(BRIGHT) "▄▄"              // q0 masked, q1 bright
                RESET "  "                          // both masked
                RESET "\n"
                RESET TOP(DARK) "▀▀" RESET TOP(DARK) "▀▀" RESET TOP(BRIGHT) "▀▀" // q2 alone
                RESET "\n"
                "\n");
    tensor_free(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_wide_number),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_view),
        cmocka_unit_test(test_one_axis),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_three_axes),
        cmocka_unit_test(test_heat_in_text),
        cmocka_unit_test(test_heat_in_colour),
    };
    return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
