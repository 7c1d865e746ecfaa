// What a trace tells other programs: JSON, and what was run. tests/cli.sh asks the chapters.
#define _XOPEN_SOURCE 700
#include "../common/describe.h"
#include "../common/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

// --- helpers ----------------------------------------------------------------------------

static FILE *page; // what is written goes here
static char *page_text;
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

// --- JSON -------------------------------------------------------------------------------

#define LOST "\xef\xbf\xbd" // U+FFFD

static const struct {
    const char *text, *json;
} STRINGS[] = {
    {"", "\"\""},
    {"q0", "\"q0\""},
    {"a \"b\" \\ c", "\"a \\\"b\\\" \\\\ c\""},
    {"100%s", "\"100%s\""},
    {"\x01\t\n\x1f\x7f", "\"\\u0001\\u0009\\u000a\\u001f\x7f\""},
    {NULL, "null"},
    // characters of 2, 3 and 4 bytes, the first and the last of each length
    {"\xc2\x80\xdf\xbf", "\"\xc2\x80\xdf\xbf\""},
    {"\xe0\xa0\x80\xef\xbf\xbf", "\"\xe0\xa0\x80\xef\xbf\xbf\""},
    {"\xed\x9f\xbf\xee\x80\x80", "\"\xed\x9f\xbf\xee\x80\x80\""},
    {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""},
    // no UTF-8: a byte of Latin-1, of a character's middle, one cut off, one that no length has
    {"\xe9", "\"" LOST "\""},
    {"caf\xe9 a", "\"caf" LOST " a\""},
    {"\x80z\xbf", "\"" LOST "z" LOST "\""},
    {"\xe2\x82", "\"" LOST LOST "\""},
    {"\xf0\x90\x80", "\"" LOST LOST LOST "\""},
    {"\xff\xf8", "\"" LOST LOST "\""},
    // a longer form than needed would smuggle a quote or a 0 in; surrogates; beyond the last
    {"\xc0\xa2", "\"" LOST LOST "\""},
    {"\xe0\x80\xa2", "\"" LOST LOST LOST "\""},
    {"\xf0\x8f\xbf\xbf", "\"" LOST LOST LOST LOST "\""},
    {"\xed\xa0\x80", "\"" LOST LOST LOST "\""},
    {"\xf4\x90\x80\x80", "\"" LOST LOST LOST LOST "\""},
};

static void test_strings(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(STRINGS); i++) {
        page_open();
        json_string(page, STRINGS[i].text);
        expect_page(STRINGS[i].json);
    }
}

static const struct {
    float x;
    const char *json;
} NUMBERS[] = {
    {0, "0"}, {-0.0f, "-0"}, {0.1f, "0.100000001"}, {1e-45f, "1.40129846e-45"},
    {3.4028235e38f, "3.40282347e+38"}, {INFINITY, "\"inf\""}, {-INFINITY, "\"-inf\""},
    {NAN, "\"nan\""}, {-NAN, "\"nan\""},
};

static void test_numbers(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(NUMBERS); i++) {
        page_open();
        json_number(page, NUMBERS[i].x);
        expect_page(NUMBERS[i].json);
    }
}

// --- what was run -----------------------------------------------------------------------

static const char *path, *name = "a\"b";
static long size = 3, count;
static float number = 0.1f;
static bool on, off;

static const Flag own[] = {
    {"--path", FLAG_TEXT, &path, 0, "F", "not given"},
    {"--name", FLAG_TEXT, &name, 0, "NAME", "not given, and there is a default"},
    {"--block-size", FLAG_SIZE, &size, 0, "T", "given"},
    {"--count", FLAG_COUNT, &count, 0, "N", "not given"},
    {"--number", FLAG_NUMBER, &number, 0, "X", "not given"},
    {"--on", FLAG_SWITCH, &on, 0, NULL, "given"},
    {"--off", FLAG_SWITCH, &off, 0, NULL, "not given"},
    {0},
};
static const Chapter chapter = {
    .name = "a\\chapter", .idea = {"", ""}, .example = "", .takes = TAKES_MASK | MAKES_SCORES,
    .mask = "none", .heads = 1, .flags = own,
};

// Every kind of flag; and words that look like a place for results, but are values.
static void test_settings(void **state)
{
    static char *words[] = {"program", "--print=none", "--n", "1", "--trace", "somewhere", "--on",
                            "--tokens=--trace", "--block-size=5", "--lse", "print", "--seed", "2"};
    Options o;
    (void)state;
    options_read(&o, COUNT(words), words, &chapter);
    Input in = input_read(&o);
    page_open();
    describe_run(page, &o, &in);
    expect_page("{\"program\":\"a\\\\chapter\",\"device\":\"cpu\",\n"
                "\"flags\":[\"--n\",\"1\",\"--on\",\"--tokens=--trace\",\"--block-size=5\","
                "\"--seed\",\"2\"],\n"
                "\"B\":1,\"H\":1,\"G\":1,\"N\":1,\"M\":1,\"P\":0,\"D\":4,\"Dv\":4,\"scale\":0.5,\n"
                "\"settings\":{\"path\":null,\"name\":\"a\\\"b\",\"block-size\":5,\"count\":0,"
                "\"number\":0.100000001,\"on\":true,\"off\":false},\n"
                "\"mask\":\"none\",\n\"masks\":[\n"
                "{\"batch\":0,\"head\":0,\"rows\":[\"1\"]}]}\n");
    input_free(&in);
}

// docs/TRACES.md: query i of a cached pass sees row i of the whole run's mask, cut to the keys
// that are there.
static void test_passes(void **state)
{
    static const char *const masks[] = {"none", "causal", "causal-end", "window=2", "prefix=4",
                                        "padding=6", "causal-end+window=1", "prefix=3+padding=5"};
    const long P = 3, N = 5;
    (void)state;
    for (int k = 0; k < COUNT(masks); k++) {
        Mask mask = mask_read(masks[k], 1, 1, N, P + N);
        Mask run = mask_pass(&mask, 0, N, P, P + N), whole = mask_head(&run, 0, 0);
        for (long i = 0; i < N; i++) {
            Mask pass = mask_pass(&mask, i, 1, P, P + i + 1), one = mask_head(&pass, 0, 0);
            for (long j = 0; j < P + i + 1; j++)
                if (mask_allows(&one, 0, j) != mask_allows(&whole, i, j))
                    fail_msg("--mask %s: query %ld, key %ld", masks[k], i, j);
        }
        mask_free(&mask);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_passes),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
