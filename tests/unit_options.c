// What comes in: flags, inputs and their labels, seeded numbers, projections, the models' table.
#define _XOPEN_SOURCE 700
#include "../common/config.h"
#include "../common/count.h"
#include "../common/input.h"
#include "../common/npy.h"
#include "../common/options.h"
#include "../common/projection.h"
#include "../common/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "child.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

// --- two chapters to read flags for -----------------------------------------------------

static long block_size;

static const Flag own_flags[] = {
    {"--block-size", FLAG_SIZE, &block_size, 0, "T", "tokens in a block"},
    {0},
};

// One that takes everything, and one that takes as little as chapter 01.
static const Chapter everything = {
    .name = "everything",
    .idea = {"First line.", "Second line."},
    .example = "everything --n 3",
    .takes = TAKES_MASK | TAKES_HEADS | TAKES_KV_HEADS | TAKES_PAST | MAKES_SCORES,
    .mask = "causal",
    .heads = 4,
    .kv_heads = 2,
    .experiments = "waste|speed",
    .flags = own_flags,
};
static const Chapter plain = {
    .name = "plain", .idea = {"One.", "Two."}, .example = "plain", .takes = MAKES_SCORES,
    .heads = 1,
};
// Chapter 03: heads, each with its own keys.
static const Chapter without_groups = {
    .name = "without_groups", .idea = {"", ""}, .example = "", .heads = 4,
    .takes = TAKES_MASK | TAKES_HEADS,
};

// Reads a command line written as one string: one space between words, so that two in a row
// make an empty word; _ stands for a space inside a word.
static Options read_line_of(const Chapter *chapter, const char *line)
{
    static char text[1024], *words[64]; // what the options point into
    int count = 0;
    Options o;
    snprintf(text, sizeof text, *line ? "program %s" : "program", line);
    for (char *at = text; at;) {
        words[count++] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = '\0';
    }
    for (int i = 0; i < count; i++)
        for (char *c = words[i]; *c; c++)
            *c = *c == '_' ? ' ' : *c;
    options_read(&o, count, words, chapter);
    return o;
}

static Options read_flags(const char *line)
{
    return read_line_of(&everything, line);
}

// For child(): the flags alone, and the flags with what they bring in.
static void only_flags(const char *line) { read_flags(line); }
static void plain_flags(const char *line) { read_line_of(&plain, line); }

static void input_of(const Chapter *chapter, const char *line)
{
    Options o = read_line_of(chapter, line);
    Input in = input_read(&o);
    input_free(&in);
}

static void any_input(const char *line) { input_of(&everything, line); }
static void plain_input(const char *line) { input_of(&plain, line); }
static void ungrouped_input(const char *line) { input_of(&without_groups, line); }

// The command line ends `body` with this exit code and one line with these words in it.
static void expect_refused(void (*body)(const char *), const char *line, int code,
                           const char *words)
{
    char text[CHILD_TEXT];
    int status = child(body, line, text);
    if (status != code)
        fail_msg("%s: expected exit %d, got %d: %s", line, code, status, text);
    expect_words(text, words);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static Input read_input(Options *o, const char *line)
{
    *o = read_flags(line);
    return input_read(o);
}

// --- options ----------------------------------------------------------------------------

static void test_defaults(void **state)
{
    (void)state;
    Options o = read_flags("");
    assert_string_equal(o.mask, "causal");
    assert_int_equal(o.heads, 4);
    assert_int_equal(o.kv_heads, 2);
    assert_int_equal(o.batch, 1);
    assert_int_equal(o.seed, 1);
    assert_int_equal(o.n, 8);
    assert_int_equal(o.dim, 4);
    assert_int_equal(o.prefill, 0);
    assert_int_equal(o.explain_row, -1);
    assert_int_equal(o.print, PRINT_DEFAULT);
    assert_false(o.has_scale || o.heat || o.stats || o.bench);
    assert_null(o.example);
    assert_null(o.q);
    assert_null(o.tokens);
    assert_null(o.trace);
    assert_null(o.config);
    assert_false(options_given(&o, "--n"));
    o = read_line_of(&plain, "");
    assert_null(o.mask);
    assert_int_equal(o.heads, 1);
}

// A value may follow behind = or as the next word; a number may be negative.
static void test_values(void **state)
{
    (void)state;
    Options o = read_flags("--n=5 --m 7 --seed 0 --scale -0.5 --mask=window=3 --heat "
                           "--dim 2147483647 --output a=b.npy --block-size 16 --print=weights");
    assert_int_equal(o.n, 5);
    assert_int_equal(o.m, 7);
    assert_int_equal(o.seed, 0);
    assert_true(o.scale == -0.5f && o.has_scale);
    assert_string_equal(o.mask, "window=3"); // only the first = parts name and value
    assert_string_equal(o.output, "a=b.npy");
    assert_int_equal(o.dim, 2147483647);
    assert_int_equal(block_size, 16);
    assert_int_equal(o.print, PRINT_WEIGHTS);
    assert_true(o.heat);
    assert_false(o.stats);
    assert_true(options_given(&o, "--n") && options_given(&o, "--heat"));
    assert_false(options_given(&o, "--heads"));
    assert_false(options_given(&o, "--nonsense"));
    o = read_flags("--scale 0 --explain 3,1");
    assert_true(o.has_scale && o.scale == 0);
    assert_int_equal(o.explain_row, 3);
    assert_int_equal(o.explain_head, 1);
    assert_int_equal(o.print, PRINT_DEFAULT); // nothing is left of the line before
    o = read_flags("--explain 0");
    assert_int_equal(o.explain_row, 0);
    assert_int_equal(o.explain_head, 0);
    assert_int_equal(read_flags("--print all").print, PRINT_ALL);
    assert_int_equal(read_flags("--print output").print, PRINT_OUTPUT);
    assert_int_equal(read_flags("--print none").print, PRINT_NONE);
    assert_string_equal(read_flags("--config gpt2-small").config->name, "gpt2-small");
}

typedef struct {
    const char *line, *words; // the command line, part of the answer
} Refusal;

// Hard case 77: flags that nobody knows, that stand there twice, that miss their value.
static const Refusal WRONG_NAMES[] = {
    {"--nonsense", "everything: unknown flag \"--nonsense\"; --help lists the known ones"},
    {"--N 3", "unknown flag \"--N\""},
    {"-n 3", "unknown flag \"-n\""},
    {"--hea", "unknown flag \"--hea\""}, // no prefix of a flag is the flag
    {"--headss 2", "unknown flag \"--headss\""},
    {"worked", "unknown flag \"worked\""},
    {" ", "unknown flag \"\""},
    {"--", "unknown flag \"--\""},
    {"--=3", "unknown flag \"--=3\""},
    {"--n 3 --n 3", "--n stands there twice"},
    {"--heat --heat", "--heat stands there twice"},
    {"--n=3 --n 4", "--n stands there twice"},
    {"--n", "--n: expected N, got nothing"},
    {"--n --m 3", "--n: expected N, got nothing"},
    {"--bk", "--bk: expected a value, got nothing"},
    {"--heat=1", "--heat takes no value, got \"1\""},
    {"--heat=", "--heat takes no value"},
    {"--n=", "--n: expected N, got an empty value"},
    {"--mask ", "--mask: expected SPEC, got an empty value"},
};

// Hard case 78, and words that a flag does not know.
static const Refusal WRONG_VALUES[] = {
    {"--n -1", "--n: expected a whole number from 1 to 2147483647, got \"-1\""},
    {"--n 0", "--n: expected a whole number from 1"},
    {"--n 1e99", "got \"1e99\""},
    {"--n 99999999999999", "got \"99999999999999\""},
    {"--n 99999999999999999999", "got \"99999999999999999999\""},
    {"--n 2147483648", "got \"2147483648\""},
    {"--n 8x", "got \"8x\""},
    {"--n x", "got \"x\""},
    {"--n _8", "got \" 8\""},
    {"--n +8", "got \"+8\""},
    {"--n 8.0", "got \"8.0\""},
    {"--n 0x8", "got \"0x8\""},
    {"--seed -1", "--seed: expected a whole number from 0 to 2147483647"},
    {"--block-size 0", "--block-size: expected a whole number from 1"},
    {"--scale x", "--scale: expected a finite number, got \"x\""},
    {"--scale nan", "--scale: expected a finite number"},
    {"--scale inf", "--scale: expected a finite number"},
    {"--scale 1e99", "--scale: expected a finite number"},
    {"--scale 1e-60", "--scale: expected a finite number, got \"1e-60\""}, // would be 0
    {"--scale 0,5", "got \"0,5\""}, // no decimal comma (hard case 82)
    {"--scale 1_", "got \"1 \""},
    {"--print some", "--print: expected all, weights, output or none, got \"some\""},
    {"--explain x", "--explain: expected a whole number from 0"},
    {"--explain -1", "--explain: expected a whole number from 0"},
    {"--explain 1,", "--explain: expected a whole number from 0"},
    {"--explain 1,2,3", "got \"2,3\""},
    {"--explain 0000000000000000000000000000000001", "expected ROW or ROW,HEAD"},
    {"--config gpt5", "--config: expected one of those that --help lists, got \"gpt5\""},
};

// What would be ignored in silence is a mistake worth a word.
static const Refusal WRONG_COMPANY[] = {
    {"--q a.npy", "--q, --k and --v go together, --k is missing"},
    {"--v a.npy --k b.npy", "--q, --k and --v go together, --q is missing"},
    {"--q a.npy --k a.npy", "--q, --k and --v go together, --v is missing"},
    {"--past-k a.npy", "--past-k and --past-v go together, --past-v is missing"},
    {"--past-v a.npy", "--past-k is missing"},
    {"--q a --k a --v a --example worked", "--example does not go with --q, --k and --v, which"},
    {"--q a --k a --v a --x random", "--x does not go with --q, --k and --v"},
    {"--q a --k a --v a --config gpt2-small", "--config does not go with --q, --k and --v"},
    {"--q a --k a --v a --m 3", "--m does not go with --q, --k and --v"},
    {"--q a --k a --v a --dim-v 3", "--dim-v does not go with --q, --k and --v"},
    {"--q a --k a --v a --dim 3", "--dim does not go with --q, --k and --v"},
    {"--q a --k a --v a --seed 3", "--seed does not go with --q, --k and --v"},
    {"--q a --k a --v a --hidden 3", "--hidden does not go with --q, --k and --v"},
    {"--wq a.npy", "--wq does not go with an input without --x or --config"},
    {"--bo a.npy", "--bo does not go with an input without --x or --config"},
    {"--hidden 12", "--hidden does not go with an input without --x or --config"},
    {"--example worked --n 4", "--n does not go with this --example, which has its own numbers"},
    {"--example fruit --batch 4", "--batch does not go with this --example"},
    {"--example fruit --dim 4", "--dim does not go with this --example"},
    {"--example fruit --seed 4", "--seed does not go with this --example"},
    {"--x random --m 5", "--m does not go with --x or --config, where K and V come from X"},
    {"--x random --dim-v 3", "--dim-v does not go with --x or --config"},
    {"--config gpt2-small --m 7", "--m does not go with --x or --config"},
    {"--x random --example fruit", "--example does not go with --x or --config, which are"},
    {"--x example --n 5", "--n does not go with this --x, which has its own size"},
    {"--x a.npy --n 5", "--n does not go with this --x"},
    {"--x a.npy --batch 2", "--batch does not go with this --x"},
    {"--x a.npy --hidden 8", "--hidden does not go with this --x"},
    {"--bench --trace t", "--trace does not go with --bench, which only times"},
    {"--bench --print all", "--print does not go with --bench"},
    {"--explain 0 --bench", "--explain does not go with --bench"},
    {"--heat --bench", "--heat does not go with --bench"},
    {"--bench --stats", "--stats does not go with --bench"},
};

static void expect_all_refused(const Refusal *table, int count)
{
    for (int i = 0; i < count; i++)
        expect_refused(only_flags, table[i].line, EXIT_USAGE, table[i].words);
}

static void test_refused_flags(void **state)
{
    (void)state;
    expect_all_refused(WRONG_NAMES, COUNT(WRONG_NAMES));
    expect_all_refused(WRONG_VALUES, COUNT(WRONG_VALUES));
    expect_all_refused(WRONG_COMPANY, COUNT(WRONG_COMPANY));
}

// What those refusals leave alone.
static void test_taken_flags(void **state)
{
    static const char *const lines[] = {
        "--x example --example fruit --seed 2",
        "--x a.npy --seed 3 --dim 4 --wq identity",
        "--x random --n 5 --hidden 12 --batch 2 --seed 3",
        "--config gpt2-small --n 7 --wo identity",
        "--example random --n 4",
        "--seed 3",
        "--bench --output o.npy --mask none",
        "--scale 1e-30",
        "--scale 0",
    };
    char text[CHILD_TEXT];
    (void)state;
    for (int i = 0; i < COUNT(lines); i++)
        if (child(only_flags, lines[i], text) != 0)
            fail_msg("%s: %s", lines[i], text);
}

// What a chapter does not take is refused by name, and not as unknown.
static void test_does_not_apply(void **state)
{
    (void)state;
    expect_refused(plain_flags, "--heads 2", EXIT_USAGE, "plain: --heads does not apply to plain");
    expect_refused(plain_flags, "--mask causal", EXIT_USAGE, "--mask does not apply to plain");
    expect_refused(plain_flags, "--kv-heads 2", EXIT_USAGE, "--kv-heads does not apply to plain");
    expect_refused(plain_flags, "--past-k a.npy", EXIT_USAGE, "--past-k does not apply to plain");
    expect_refused(plain_flags, "--batch=2", EXIT_USAGE, "--batch does not apply to plain");
    expect_refused(plain_flags, "--block-size 2", EXIT_USAGE, "unknown flag");
    expect_refused(plain_flags, "--experiment x", EXIT_USAGE, "unknown flag");
}

static void read_pair(const char *text)
{
    long r, c;
    options_pair("--tile", text, &r, &c);
}

static void test_two_sizes(void **state)
{
    static const char *const wrong[] = {"16,", ",16", "0,3", "1,0", "1,2,3", "x,3", "1, 3", "1 ,3",
                                        "11111111111111111111111111111111,1"};
    static const char *const alone[] = {"16", "1;3", ""};
    char text[CHILD_TEXT];
    long r, c;
    (void)state;
    options_pair("--tile", "16,32", &r, &c);
    assert_int_equal(r, 16);
    assert_int_equal(c, 32);
    for (int i = 0; i < COUNT(wrong); i++) {
        if (child(read_pair, wrong[i], text) != EXIT_USAGE)
            fail_msg("taken: \"%s\"", wrong[i]);
        expect_words(text, "--tile: expected ");
    }
    for (int i = 0; i < COUNT(alone); i++)
        expect_refused(read_pair, alone[i], EXIT_USAGE,
                       "--tile: expected two sizes joined by a comma, got \"");
}

// --- help -------------------------------------------------------------------------------

// stdout in place of stderr, so that child() hears it.
static void help_of(const Chapter *chapter, const char *line)
{
    dup2(STDERR_FILENO, STDOUT_FILENO);
    read_line_of(chapter, line);
    abort(); // --help does not come back
}

static void help_everything(const char *line) { help_of(&everything, line); }
static void help_plain(const char *line) { help_of(&plain, line); }

static void expect_absent(const char *text, const char *words)
{
    if (strstr(text, words))
        fail_msg("unexpected \"%s\" in \"%s\"", words, text);
}

// The idea, a command to paste, and the flags that apply, each with its value and meaning.
static void test_help(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(help_everything, "--help", text), 0);
    expect_words(text, "First line.\nSecond line.\n\nusage: everything [flags]\n"
                       "   try: everything --n 3\n");
    expect_words(text, "\n  --n N                queries of --example random (default 8)\n");
    expect_words(text, "\n  --heads H            query heads (default 4)\n");
    expect_words(text, "\n  --kv-heads G         KV heads; H must be a multiple (default 2, ");
    expect_words(text, "\n  --past-k F.npy       ");
    expect_words(text, "\n  --block-size T       tokens in a block\n");
    expect_words(text, "\n  --experiment NAME    waste|speed\n");
    expect_words(text, "Default: causal.");
    expect_absent(text, "(null)"); // --bk, --bv and --bo stand in the line of --bq
    expect_absent(text, "\n  --bk");
    expect_words(text, "Configurations: gpt2-small gpt2-large llama-7b llama-70b mistral-7b "
                       "qwen2.5-0.5b.\n");
    expect_words(text, "Exit: 0 good, 1 a comparison failed, 2 usage, 3 bad input file, "
                       "4 no such device,\n5 out of memory, 6 could not write.\n");

    assert_int_equal(child(help_plain, "--help", text), 0);
    expect_words(text, "\n  --n N                queries of --example random (default 8)\n");
    expect_words(text, "\n  --scale X  ");
    static const char *const others[] = {"--heads", "--kv-heads", "--past-k", "--mask", "--x ",
                                         "--batch", "--config", "--prefill", "--experiment",
                                         "--block-size", "Configurations", "Default: "};
    for (int i = 0; i < COUNT(others); i++)
        expect_absent(text, others[i]);
}

// --help is an answer to a wrong command line, too; -h is the same.
static void test_help_anywhere(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(help_plain, "--nonsense --n 0 --help", text), 0);
    expect_words(text, "usage: plain [flags]");
    assert_int_equal(child(help_plain, "-h", text), 0);
    expect_words(text, "usage: plain [flags]");
    assert_int_equal(child(help_plain, "--version", text), 0);
    assert_ptr_equal(strstr(text, "plain, attention step by step, version "), text);
}

// --- built-in inputs --------------------------------------------------------------------

static void expect_shape(Tensor t, long b, long h, long n, long d)
{
    const long shape[] = {b, h, n, d};
    assert_int_equal(t.axes, 4);
    for (int a = 0; a < 4; a++)
        assert_int_equal(t.shape[a], shape[a]);
}

static void expect_sizes(const Input *in, const long *sizes)
{
    const long got[] = {in->B, in->H, in->G, in->N, in->M, in->P, in->D, in->Dv};
    static const char *const letters[] = {"B", "H", "G", "N", "M", "P", "D", "Dv"};
    for (int i = 0; i < COUNT(got); i++)
        if (got[i] != sizes[i])
            fail_msg("%s: expected %ld, got %ld", letters[i], sizes[i], got[i]);
    expect_shape(in->q, in->B, in->H, in->N, in->D);
    expect_shape(in->k, in->B, in->G, in->M, in->D);
    expect_shape(in->v, in->B, in->G, in->M, in->Dv);
}

// In the order B, H, G, N, M, P, D, Dv.
#define EXPECT_SIZES(in, ...) expect_sizes(in, (const long[8]){__VA_ARGS__})

static float element(Tensor t, long b, long h, long i, long d)
{
    return row(tensor_at(tensor_at(t, b), h), i)[d];
}

// t[0][h][i][d] = matrix[i][h * D + d]: each head has its own columns of the example.
static void expect_columns(Tensor t, const float *matrix, long columns)
{
    for (long h = 0; h < t.shape[1]; h++)
        for (long i = 0; i < t.shape[2]; i++)
            for (long d = 0; d < t.shape[3]; d++)
                assert_true(element(t, 0, h, i, d) == matrix[i * columns + h * t.shape[3] + d]);
}

static const float WORKED_Q[] = {1, 0, 1, 0, 0, 1, 0, 1, 1, 1, 1, 0};
static const float WORKED_K[] = {1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1};
static const float WORKED_V[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

// The worked example, whole and split into heads.
static void test_worked(void **state)
{
    (void)state;
    Options o = read_line_of(&plain, "");
    Input in = input_read(&o);
    EXPECT_SIZES(&in, 1, 1, 1, 3, 3, 0, 4, 4);
    expect_columns(in.q, WORKED_Q, 4);
    expect_columns(in.k, WORKED_K, 4);
    expect_columns(in.v, WORKED_V, 4);
    assert_true(in.scale == 0.5f);
    assert_false(in.mask.causal);
    assert_false(in.projected);
    input_free(&in);

    in = read_input(&o, "");
    EXPECT_SIZES(&in, 1, 4, 2, 3, 3, 0, 1, 1);
    expect_columns(in.q, WORKED_Q, 4);
    expect_columns(in.k, WORKED_K, 4); // the first two columns
    expect_columns(in.v, WORKED_V, 4);
    assert_true(in.scale == 1);
    assert_true(in.mask.causal);
    input_free(&in);

    in = read_input(&o, "--example worked --heads 2 --kv-heads 1 --scale 3");
    EXPECT_SIZES(&in, 1, 2, 1, 3, 3, 0, 2, 2);
    expect_columns(in.q, WORKED_Q, 4);
    expect_columns(in.k, WORKED_K, 4);
    assert_true(in.scale == 3);
    input_free(&in);
    assert_int_equal(tensor_live_bytes(), 0);
}

// The notes differ from it in one number and its neighbour: Q's last row is 1 1 0 0.
static void test_other_examples(void **state)
{
    static const float notes[] = {1, 0, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0};
    static const float fruit[] = {0, 0, 3, 0, 2, 2, 0, 0, 0, 0, 0, 3, 0, 0, 3, 0, 5, 0, 0, 0};
    (void)state;
    Options o = read_line_of(&plain, "--example notes");
    Input in = input_read(&o);
    expect_columns(in.q, notes, 4);
    expect_columns(in.k, WORKED_K, 4);
    expect_columns(in.v, WORKED_V, 4);
    input_free(&in);

    o = read_line_of(&plain, "--example fruit");
    in = input_read(&o);
    EXPECT_SIZES(&in, 1, 1, 1, 5, 5, 0, 4, 4);
    expect_columns(in.q, fruit, 4);
    expect_columns(in.k, fruit, 4);
    assert_string_equal(in.queries[0].words[1], "apple");
    assert_string_equal(in.keys[0].words[4], "orange");
    assert_int_equal(in.features.count, 4);
    assert_string_equal(in.features.words[2], "article");
    input_free(&in);

    in = read_input(&o, "--example fruit"); // split into heads, the features lose their names
    assert_null(in.features.words);
    input_free(&in);

    o = read_line_of(&plain, "--example onehot");
    in = input_read(&o);
    EXPECT_SIZES(&in, 1, 1, 1, 4, 4, 0, 4, 4);
    assert_true(element(in.q, 0, 0, 3, 2) == 1000 && element(in.q, 0, 0, 0, 0) == 1000);
    assert_true(element(in.k, 0, 0, 3, 3) == 1 && element(in.v, 0, 0, 2, 3) == 34);
    input_free(&in);
}

static void test_refused_examples(void **state)
{
    (void)state;
    expect_refused(any_input, "--example nonsense", EXIT_USAGE, "--example: expected worked, ");
    expect_refused(any_input, "--heads 3", EXIT_USAGE,
                   "--heads: expected a divisor of the 4 columns of worked, got 3");
    expect_refused(any_input, "--kv-heads 3", EXIT_USAGE, "4 heads over 3 KV heads leave 1");
    expect_refused(any_input, "--n 2147483647 --dim 2147483647", EXIT_MEMORY,
                   "Q, K, V and the output of N=2147483647, M=2147483647 with 4 heads, and the "
                   "N*M scores of one head, would take");
    expect_refused(any_input, "--n 500000000 --dim 1", EXIT_MEMORY, "out of memory: "); // N*M
    expect_refused(any_input, "--x random --n 2147483647 --hidden 2147483647", EXIT_MEMORY,
                   "out of memory: X would take");
    expect_refused(any_input, "--x random --n 1 --hidden 1024 --dim 2147483647", EXIT_MEMORY,
                   "out of memory: the weights W_Q, W_K, W_V and W_O would take");
}

// A size alone asks for random numbers. Q, K and V have seeds of their own.
static void test_random_input(void **state)
{
    (void)state;
    Options o;
    Input in = read_input(&o, "--n 5 --seed 7 --batch 2");
    EXPECT_SIZES(&in, 2, 4, 2, 5, 5, 0, 4, 4);
    Tensor q = tensor_new(SHAPE(2, 4, 5, 4)), k = tensor_new(SHAPE(2, 2, 5, 4));
    Tensor v = tensor_new(SHAPE(2, 2, 5, 4));
    tensor_random(q, 21);
    tensor_random(k, 22);
    tensor_random(v, 23);
    assert_memory_equal(in.q.data, q.data, (size_t)tensor_count(q) * sizeof(float));
    assert_memory_equal(in.k.data, k.data, (size_t)tensor_count(k) * sizeof(float));
    assert_memory_equal(in.v.data, v.data, (size_t)tensor_count(v) * sizeof(float));
    tensor_free(&v);
    tensor_free(&k);
    tensor_free(&q);
    input_free(&in);

    in = read_input(&o, "--example random --m 3 --dim 9 --dim-v 2 --heads 1 --kv-heads 1");
    EXPECT_SIZES(&in, 1, 1, 1, 8, 3, 0, 9, 2);
    assert_true(in.scale == 1.0f / 3);
    assert_int_equal(in.mask.keys, 3);
    input_free(&in);
}

// --heads alone: as many KV heads as the chapter says, or one each where those do not divide.
static void test_heads(void **state)
{
    (void)state;
    Options o;
    Input in = read_input(&o, "--n 1 --heads 6");
    EXPECT_SIZES(&in, 1, 6, 2, 1, 1, 0, 4, 4);
    input_free(&in);
    in = read_input(&o, "--n 1 --heads 3");
    EXPECT_SIZES(&in, 1, 3, 3, 1, 1, 0, 4, 4);
    input_free(&in);
    in = read_input(&o, "--n 1 --heads 6 --kv-heads 1");
    EXPECT_SIZES(&in, 1, 6, 1, 1, 1, 0, 4, 4);
    input_free(&in);
    o = read_line_of(&without_groups, "--n 1 --heads 3");
    in = input_read(&o);
    EXPECT_SIZES(&in, 1, 3, 3, 1, 1, 0, 4, 4);
    input_free(&in);
    expect_refused(any_input, "--n 1 --heads 6 --kv-heads 4", EXIT_USAGE,
                   "expected query heads in equal groups: 6 heads over 4 KV heads leave 2");
    expect_refused(any_input, "--n 1 --heads 2 --kv-heads 4", EXIT_USAGE,
                   "2 heads over 4 KV heads leave 2");
}

// --- inputs from files ------------------------------------------------------------------

// A file's name is its shape: "2x3.npy" holds 0, 1, 2, 3, 4, 5.
static void save_shape(const char *name)
{
    long shape[MAX_AXES];
    int axes = 0;
    for (const char *at = name; *at != '.'; axes++) {
        char *end;
        shape[axes] = strtol(at, &end, 10);
        at = *end == 'x' ? end + 1 : end;
    }
    Tensor t = tensor_new(axes, shape);
    for (long i = 0; i < tensor_count(t); i++)
        t.data[i] = (float)i;
    npy_write(name, t);
    tensor_free(&t);
}

// Writes every file that the command line names.
static void save_named(const char *line)
{
    char text[512];
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        if (strstr(word, ".npy") && *word >= '0' && *word <= '9')
            save_shape(word);
}

static void test_files(void **state)
{
    static const struct {
        const char *line;
        long sizes[8]; // B, H, G, N, M, P, D, Dv
    } FILES[] = {
        {"--q 3x4.npy --k 5x4.npy --v 5x2.npy", {1, 1, 1, 3, 5, 0, 4, 2}},
        {"--q 4x3x4.npy --k 2x5x4.npy --v 2x5x2.npy", {1, 4, 2, 3, 5, 0, 4, 2}},
        {"--q 2x4x3x4.npy --k 2x2x5x4.npy --v 2x2x5x2.npy", {2, 4, 2, 3, 5, 0, 4, 2}},
        {"--q 4x3x4.npy --k 1x4x5x4.npy --v 4x5x4.npy", {1, 4, 4, 3, 5, 0, 4, 4}},
        {"--q 6x1x1.npy --k 1x1.npy --v 1x1.npy --heads 6 --kv-heads 1", {1, 6, 1, 1, 1, 0, 1, 1}},
        // nothing at all is something, too (hard case 34)
        {"--q 0x4.npy --k 3x4.npy --v 3x4.npy", {1, 1, 1, 0, 3, 0, 4, 4}},
        {"--q 0x1x3x4.npy --k 0x1x3x4.npy --v 0x1x3x4.npy", {0, 1, 1, 3, 3, 0, 4, 4}},
        {"--q 4x1x4.npy --k 2x1x4.npy --v 2x1x2.npy --past-k 2x5x4.npy --past-v 2x5x2.npy",
         {1, 4, 2, 1, 1, 5, 4, 2}},
    };
    (void)state;
    for (int f = 0; f < COUNT(FILES); f++) {
        Options o;
        save_named(FILES[f].line);
        Input in = read_input(&o, FILES[f].line);
        expect_sizes(&in, FILES[f].sizes);
        for (long i = 0; i < tensor_count(in.q); i++)
            assert_true(in.q.data[i] == (float)i);
        assert_int_equal(tensor_count(in.k), in.B * in.G * in.M * in.D);
        assert_int_equal(tensor_count(in.v), in.B * in.G * in.M * in.Dv);
        assert_int_equal(in.mask.keys, in.P + in.M);
        if (in.P > 0) {
            assert_true(element(in.past_k, 0, 1, 4, 3) == 39);
            assert_true(element(in.past_v, 0, 1, 4, 1) == 19);
        }
        input_free(&in);
        assert_int_equal(tensor_live_bytes(), 0);
        scratch_entries(1);
    }
}

typedef struct {
    const char *line;
    int code;
    const char *words;
} FileRefusal;

// Shapes of Q, K, V and of the past that do not fit each other or the flags.
static const FileRefusal WRONG_HEADS[] = {
    {"--q 3x4.npy --k 5x3.npy --v 5x2.npy", EXIT_INPUT,
     "5x3.npy: expected [B, G, M, D] with D = 4, got [1 x 1 x 5 x 3]"},
    {"--q 3x4.npy --k 5x4.npy --v 6x4.npy", EXIT_INPUT,
     "6x4.npy: expected [B, G, M, V] with M = 5, got [1 x 1 x 6 x 4]"},
    {"--q 2x1x3x4.npy --k 3x1x5x4.npy --v 3x1x5x4.npy", EXIT_INPUT,
     "3x1x5x4.npy: expected [B, G, M, D] with B = 2"},
    {"--q 4x3x4.npy --k 2x5x4.npy --v 4x5x4.npy", EXIT_INPUT,
     "4x5x4.npy: expected [B, G, M, V] with G = 2"},
    {"--q 3x3x4.npy --k 2x5x4.npy --v 2x5x2.npy", EXIT_INPUT,
     "3 heads over 2 KV heads leave 1"},
    {"--q 0x3x4.npy --k 2x5x4.npy --v 2x5x2.npy", EXIT_INPUT, "expected at least one head"},
    {"--q 4.npy --k 5x4.npy --v 5x4.npy", EXIT_INPUT,
     "4.npy: expected [N, D], [H, N, D] or [B, H, N, D], got [4]"},
    {"--q 3x0.npy --k 5x0.npy --v 5x4.npy", EXIT_INPUT,
     "3x0.npy: expected at least one column"},
    {"--q 4x3x4.npy --k 2x5x4.npy --v 2x5x4.npy --heads 2", EXIT_USAGE,
     "--heads 2: 4x3x4.npy has 4"},
    {"--q 4x3x4.npy --k 2x5x4.npy --v 2x5x4.npy --kv-heads 4", EXIT_USAGE,
     "--kv-heads 4: 2x5x4.npy has 2"},
    {"--q none.npy --k 2x5x4.npy --v 2x5x4.npy", EXIT_INPUT, "none.npy: "},
    {"--q 1x4.npy --k 1x4.npy --v 1x4.npy --past-k 2x4.npy --past-v 3x4.npy", EXIT_INPUT,
     "3x4.npy: expected [B, G, P, V] with P = 2"},
    {"--q 1x4.npy --k 1x4.npy --v 1x4.npy --past-k 2x3.npy --past-v 2x4.npy", EXIT_INPUT,
     "2x3.npy: expected [B, G, P, D] with D = 4"},
};

// X, its projections, a mask.
static const FileRefusal WRONG_PROJECTIONS[] = {
    {"--x 2x2x3x8.npy", EXIT_INPUT, "2x2x3x8.npy: --x expects [B, N, hidden], got [2 x 2 x 3"},
    {"--x 8.npy", EXIT_INPUT, "8.npy: --x expects [B, N, hidden], got [8]"},
    {"--x 3x0.npy", EXIT_INPUT, "3x0.npy: --x expects [B, N, hidden]"},
    {"--x 3x8.npy --heads 3 --kv-heads 3", EXIT_USAGE,
     "3 heads do not share a hidden size of 8 evenly; --dim D sets the head size"},
    {"--x 3x8.npy --wq 3x4.npy", EXIT_INPUT,
     "3x4.npy: --wq expects [8 x 8], got 2 axes, the first two 3 x 4"},
    {"--x 3x8.npy --wq 8x4.npy", EXIT_INPUT, "8x4.npy: --wq expects [8 x 8]"},
    {"--x 3x8.npy --wk 8x8.npy", EXIT_INPUT, "8x8.npy: --wk expects [4 x 8]"},
    {"--x 3x8.npy --wk identity", EXIT_USAGE,
     "--wk identity: expected a square matrix, this one is [4 x 8]"},
    {"--x 3x8.npy --bq 4.npy", EXIT_INPUT, "4.npy: a bias expects [8], got 1 axes, the first"},
    {"--x 3x8.npy --bq 8x1.npy", EXIT_INPUT, "8x1.npy: a bias expects [8], got 2 axes"},
    {"--mask 3x4.npy", EXIT_INPUT, "3x4.npy: a mask for [B=1, H=4, N=3, M=3]"},
};

static void expect_files_refused(const FileRefusal *table, int count)
{
    for (int i = 0; i < count; i++) {
        save_named(table[i].line);
        expect_refused(any_input, table[i].line, table[i].code, table[i].words);
        scratch_entries(1);
    }
}

static void test_refused_files(void **state)
{
    (void)state;
    expect_files_refused(WRONG_HEADS, COUNT(WRONG_HEADS));
    expect_files_refused(WRONG_PROJECTIONS, COUNT(WRONG_PROJECTIONS));
    save_shape("2x3x4.npy");
    save_shape("4x3x4.npy");
    expect_refused(plain_input, "--q 2x3x4.npy --k 2x3x4.npy --v 2x3x4.npy", EXIT_INPUT,
                   "2x3x4.npy: plain expects one matrix [rows x columns], got [2 x 3 x 4]");
    expect_refused(ungrouped_input, "--q 4x3x4.npy --k 2x3x4.npy --v 2x3x4.npy", EXIT_INPUT,
                   "without_groups gives every query head its own K and V: expected 4 KV heads, "
                   "got 2");
}

// --- X and its projections --------------------------------------------------------------

// With W = identity, Q is X, each head its own columns; nothing is computed before it is asked
// for, and only the rows that are.
static void test_projected(void **state)
{
    (void)state;
    Options o;
    Input in = read_input(&o, "--x example --heads 2 --kv-heads 2 --wq identity --wk identity "
                              "--wv identity --wo identity");
    EXPECT_SIZES(&in, 1, 2, 2, 3, 3, 0, 2, 2);
    assert_true(in.projected);
    assert_true(isnan(element(in.q, 0, 0, 0, 0)));
    input_project_q(&in, 1, 3);
    assert_true(isnan(element(in.q, 0, 1, 0, 1)));
    input_project_q(&in, 0, 1);
    expect_columns(in.q, WORKED_Q, 4);
    input_project_kv(&in, 0, 3);
    expect_columns(in.k, WORKED_Q, 4); // X is the example's Q
    expect_columns(in.v, WORKED_Q, 4);

    Tensor out = tensor_new(SHAPE(1, 2, 3, 2)); // [B, H, N, Dv]
    for (long i = 0; i < 12; i++)
        out.data[i] = (float)i;
    input_combine(&in, out, 1, 3);
    // token 1: head 0 gave 2 3, head 1 gave 8 9
    static const float concat[] = {2, 3, 8, 9, 4, 5, 10, 11};
    for (long i = 0; i < 12; i++) {
        float got = in.concat.data[i], result = in.result.data[i];
        assert_true(i < 4 ? isnan(got) && isnan(result)
                          : got == concat[i - 4] && result == concat[i - 4]);
    }
    tensor_free(&out);
    input_free(&in);
    assert_int_equal(tensor_live_bytes(), 0);
}

// Weights and a bias from files: row i of X is 8i, 8i+1, ..., W[o,e] = 8o + e, b[o] = o.
static void test_projected_from_files(void **state)
{
    (void)state;
    Options o;
    save_shape("2x3x8.npy");
    save_shape("4x8.npy");
    save_shape("4.npy");
    save_shape("8x8.npy");
    Input in = read_input(&o, "--x 2x3x8.npy --wk 4x8.npy --bk 4.npy --wv 4x8.npy --wo 8x8.npy");
    EXPECT_SIZES(&in, 2, 4, 2, 3, 3, 0, 2, 2);
    input_project_kv(&in, 0, 3);
    // x = 24 ... 31 (batch 1, token 0), w = 0 ... 7: the sum of e (24 + e) is 24 * 28 + 140
    assert_true(element(in.k, 1, 0, 0, 0) == 812);
    // w = 24 ... 31: the sum of squares from 24 to 31, and b = 3
    assert_true(element(in.k, 1, 1, 0, 1) == 6092 + 3);
    assert_true(element(in.v, 1, 1, 0, 1) == 6092);
    // W_O's row o sums to 8 * 8o + 28
    Tensor out = tensor_new(SHAPE(2, 4, 3, 2));
    tensor_fill(out, 1);
    input_combine(&in, out, 0, 3);
    for (long j = 0; j < 8; j++)
        assert_true(row(tensor_at(in.result, 1), 2)[j] == (float)(64 * j + 28));
    tensor_free(&out);
    input_free(&in);

    save_shape("3x8.npy");
    in = read_input(&o, "--x 3x8.npy --dim 5");
    EXPECT_SIZES(&in, 1, 4, 2, 3, 3, 0, 5, 5);
    assert_int_equal(in.wq.w.shape[0], 20);
    assert_int_equal(in.wk.w.shape[0], 10);
    assert_int_equal(in.wo.w.shape[0], 8);
    assert_int_equal(in.wo.w.shape[1], 20);
    input_free(&in);
}

// Where Q, K and V were given there is nothing to project.
static void test_not_projected(void **state)
{
    (void)state;
    Options o;
    Input in = read_input(&o, "--n 2");
    Tensor out = tensor_new(SHAPE(1, 4, 2, 4));
    float before = element(in.q, 0, 0, 0, 0);
    input_project_q(&in, 0, 2);
    input_project_kv(&in, 0, 2);
    input_combine(&in, out, 0, 2);
    assert_true(element(in.q, 0, 0, 0, 0) == before);
    assert_null(in.concat.data);
    tensor_free(&out);
    input_free(&in);
}

// A model's own heads, KV heads, head size and width; flags still have the last word.
static void test_configuration(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    Options o;
    Input in = read_input(&o, "--config qwen2.5-0.5b --n 2");
    EXPECT_SIZES(&in, 1, 14, 2, 2, 2, 0, 64, 64);
    assert_int_equal(in.x.shape[2], 896);
    input_free(&in);
    in = read_input(&o, "--config qwen2.5-0.5b --n 2 --hidden 10"); // D is not 10 / 14
    EXPECT_SIZES(&in, 1, 14, 2, 2, 2, 0, 64, 64);
    input_free(&in);
    in = read_input(&o, "--config qwen2.5-0.5b --n 2 --heads 3 --kv-heads 1 --dim 2 --hidden 5");
    EXPECT_SIZES(&in, 1, 3, 1, 2, 2, 0, 2, 2);
    assert_int_equal(in.x.shape[2], 5);
    input_free(&in);
    assert_int_equal(child(ungrouped_input, "--config qwen2.5-0.5b --n 2 --dim 1", text), 0);
    expect_words(text, "note: qwen2.5-0.5b shares 2 KV heads; without_groups gives each of the 14 "
                       "heads its own");
}

// --- labels -----------------------------------------------------------------------------

// The first `count` names are those of `words`, parted by spaces.
static void expect_names(Names names, long count, const char *words)
{
    char text[256] = "", name[32];
    for (long i = 0; i < count; i++) {
        name_of(name, sizeof name, names, i);
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%s%s", i ? " " : "", name);
    }
    assert_string_equal(text, words);
}

static void test_labels(void **state)
{
    static const struct {
        const char *line;
        const char *queries[2], *keys[2]; // of sequences 0 and 1
    } LABELS[] = {
        {"--n 3", {"q0 q1 q2"}, {"k0 k1 k2"}},
        {"--tokens the_cat_sat", {"the cat sat"}, {"the cat sat"}},
        {"--tokens __the___cat__sat_", {"the cat sat"}, {"the cat sat"}},
        {"--tokens a_b_c_|_x_y_z", {"a b c"}, {"x y z"}},
        {"--n 2 --m 3 --tokens a_b_c", {"q0 q1"}, {"a b c"}}, // they fit the keys
        {"--n 2 --m 3 --tokens a_b", {"a b"}, {"k0 k1 k2"}},  // they fit the queries
        {"--n 2 --m 3 --tokens a_b|c_d_e", {"a b"}, {"c d e"}},
        {"--n 2 --batch 2 --tokens a_b\nc_d", {"a b", "c d"}, {"a b", "c d"}},
        {"--n 2 --batch 2 --tokens a_b|c_d\ne_f|g_h\n", {"a b", "e f"}, {"c d", "g h"}},
        {"--n 2 --batch 2 --tokens a_b", {"a b", "a b"}, {"a b", "a b"}}, // one serves all
        {"--n 2 --batch 2 --tokens a_b|c_d\n", {"a b", "a b"}, {"c d", "c d"}},
    };
    (void)state;
    for (int i = 0; i < COUNT(LABELS); i++) {
        Options o;
        Input in = read_input(&o, LABELS[i].line);
        for (long b = 0; b < in.B; b++) {
            expect_names(in.queries[b], in.N, LABELS[i].queries[b]);
            expect_names(in.keys[b], in.M, LABELS[i].keys[b]);
        }
        input_free(&in);
    }
}

// With a past of P tokens, row 0 is token P.
static void test_labels_with_past(void **state)
{
    const char *files = "--q 2x4.npy --k 2x4.npy --v 2x4.npy --past-k 3x4.npy --past-v 3x4.npy";
    char line[256];
    (void)state;
    Options o;
    save_named(files);
    Input in = read_input(&o, files);
    expect_names(in.queries[0], 2, "q3 q4");
    expect_names(in.keys[0], 5, "k0 k1 k2 k3 k4");
    input_free(&in);
    snprintf(line, sizeof line, "%s --tokens a_b_c_d_e", files);
    in = read_input(&o, line);
    expect_names(in.queries[0], 2, "d e");
    expect_names(in.keys[0], 5, "a b c d e");
    input_free(&in);
    snprintf(line, sizeof line, "%s --tokens d_e", files);
    in = read_input(&o, line);
    expect_names(in.queries[0], 2, "d e");
    expect_names(in.keys[0], 5, "k0 k1 k2 k3 k4");
    input_free(&in);
}

static void test_refused_labels(void **state)
{
    (void)state;
    expect_refused(any_input, "--tokens a_b", EXIT_USAGE, "--tokens: expected 3 labels, got 2");
    expect_refused(any_input, "--tokens a_b_c_d", EXIT_USAGE, "expected 3 labels, got 4");
    expect_refused(any_input, "--tokens __", EXIT_USAGE, "--tokens: expected 3 labels, got 0");
    expect_refused(any_input, "--tokens a_b|c_d_e", EXIT_USAGE,
                   "--tokens: expected 3 labels | 3 labels, got 2 | 3");
    expect_refused(any_input, "--tokens a_b_c|", EXIT_USAGE, "got 3 | 0");
    expect_refused(any_input, "--n 1 --batch 3 --tokens a\nb", EXIT_USAGE,
                   "--tokens: expected 1 line of labels or 3, one a sequence, got 2");
    expect_refused(any_input, "--n 1 --batch 2 --tokens a\nb\nc", EXIT_USAGE, "got 3");
    expect_refused(any_input, "--n 1 --batch 3 --tokens a\n\nb", EXIT_USAGE,
                   "--tokens: expected 1 labels, got 0");
}

// --- random numbers ---------------------------------------------------------------------

static void expect_bits(float x, uint32_t bits)
{
    uint32_t got;
    memcpy(&got, &x, sizeof got);
    if (got != bits)
        fail_msg("expected bits %08x, got %08x", (unsigned)bits, (unsigned)got);
}

// The bits, worked out by another program (Python, whole numbers of any size):
//
//     def splitmix64(state):
//         while True:
//             state = (state + 0x9e3779b97f4a7c15) % 2**64
//             z = state
//             z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9 % 2**64
//             z = (z ^ (z >> 27)) * 0x94d049bb133111eb % 2**64
//             yield z ^ (z >> 31)
static void test_random_bits(void **state)
{
    static const struct {
        uint64_t seed, bits[4];
    } STREAMS[] = {
        {0, {0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f, 0xf88bb8a8724c81ec}},
        {1, {0x910a2dec89025cc1, 0xbeeb8da1658eec67, 0xf893a2eefb32555e, 0x71c18690ee42c90b}},
        {42, {0xbdd732262feb6e95, 0x28efe333b266f103, 0x47526757130f9f52, 0x581ce1ff0e4ae394}},
        {UINT64_MAX, {0xe4d971771b652c20, 0xe99ff867dbf682c9, 0x382ff84cb27281e9,
                      0x6d1db36ccba982d2}},
    };
    (void)state;
    for (int i = 0; i < COUNT(STREAMS); i++) {
        Random r = random_seed(STREAMS[i].seed);
        for (int j = 0; j < 4; j++)
            assert_true(random_bits(&r) == STREAMS[i].bits[j]);
    }
}

// The same generator `g`, and floats as struct.pack('<f', x) writes them:
//     uniform = (next(g) >> 40) / 2**23 - 1
//     normal = (sum(next(g) >> 44 for _ in range(12)) - 6 * 2**20) / 2**20
//     below = next(g) % n
static void test_random_floats(void **state)
{
    static const uint32_t uniform_42[] = {0x3ef75cc8, 0xbf2e203a, 0xbee2b664, 0xbe9f8c7c,
                                          0xbf6c8750, 0x3f3c8862};
    static const uint32_t normal_1[] = {0x3fb650d0, 0xbf1e70e0, 0xbf173ce0};
    static const long below_7[] = {7, 4, 6, 3, 4, 5, 8, 2, 5, 5, 3, 6};
    Random r = random_seed(42);
    (void)state;
    for (int i = 0; i < COUNT(uniform_42); i++)
        expect_bits(random_uniform(&r), uniform_42[i]);
    r = random_seed(1);
    for (int i = 0; i < COUNT(normal_1); i++)
        expect_bits(random_normal(&r), normal_1[i]);
    r = random_seed(7);
    for (int i = 0; i < COUNT(below_7); i++)
        assert_int_equal(random_below(&r, 10), below_7[i]);
    assert_int_equal(random_below(&r, 1), 0);
}

// A tensor is filled in the order of its own axes, whatever its strides.
static void test_random_tensor(void **state)
{
    (void)state;
    Tensor t = tensor_new(SHAPE(2, 3)), other = tensor_new(SHAPE(3, 2, 1));
    static const uint32_t uniform_3[] = {0xbf45e9d8, 0x3ecd19bc, 0x3e675f40, 0xbf5ab138,
                                         0xbf112ee6, 0x3e8b7ddc};
    tensor_random(t, 3);
    tensor_random(tensor_swap(other, 0, 1), 3); // [2, 3, 1]
    for (long i = 0; i < 6; i++) {
        expect_bits(t.data[i], uniform_3[i]);
        expect_bits(other.data[i % 3 * 2 + i / 3], uniform_3[i]);
    }
    tensor_free(&other);
    tensor_free(&t);
}

// Of 100,000 numbers the mean is within five of its standard deviations, the variance within
// 3 %; the seed is fixed, so this cannot fail by chance.
static void test_distributions(void **state)
{
    enum { MANY = 100000 };
    Random r = random_seed(5);
    double sum = 0, squares = 0, usum = 0, usquares = 0;
    long hits[7] = {0};
    (void)state;
    for (long i = 0; i < MANY; i++) {
        double x = (double)random_normal(&r), u = (double)random_uniform(&r);
        assert_true(-6 <= x && x <= 6);
        assert_true(-1 <= u && u < 1);
        sum += x, squares += x * x;
        usum += u, usquares += u * u;
        hits[random_below(&r, 7)]++;
    }
    assert_true(fabs(sum / MANY) < 5 * sqrt(1.0 / MANY));
    assert_true(fabs(squares / MANY - 1) < 0.03);
    assert_true(fabs(usum / MANY) < 5 * sqrt(1.0 / 3 / MANY));
    assert_true(fabs(usquares / MANY - 1.0 / 3) < 0.01);
    for (int i = 0; i < 7; i++)
        assert_in_range(hits[i], MANY / 7 - 600, MANY / 7 + 600);
}

static void below_zero(const char *a)
{
    Random r = random_seed(0);
    (void)a;
    random_below(&r, 0);
}

static void test_below_nothing(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(below_zero, NULL, text), 128 + SIGABRT);
    expect_words(text, "a random number below 0");
}

// --- projections ------------------------------------------------------------------------

static Tensor matrix(long rows, long columns, const float *numbers)
{
    Tensor t = tensor_new(SHAPE(rows, columns));
    memcpy(t.data, numbers, (size_t)(rows * columns) * sizeof(float));
    return t;
}

// y = x W' + b, by hand, and its cost: a product and a sum each, and the bias.
static void test_linear(void **state)
{
    static const float by_hand[] = {1 * 1 + 2 * 3 + 10, 1 * 0 + 2 * -1 + 20, 1 * 2 + 2 * 5 + 30,
                                    4 * 1 - 3 * 3 + 10, 4 * 0 - 3 * -1 + 20, 4 * 2 - 3 * 5 + 30};
    (void)state;
    Tensor x = matrix(2, 2, (float[]){1, 2, 4, -3}), y = tensor_new(SHAPE(2, 3));
    Linear l = {.w = matrix(3, 2, (float[]){1, 3, 0, -1, 2, 5}), .b = tensor_new(SHAPE(3))};
    memcpy(l.b.data, (float[]){10, 20, 30}, 3 * sizeof(float));
    counts = (Counts){0};
    linear(y, x, l);
    for (long i = 0; i < 6; i++)
        assert_true(y.data[i] == by_hand[i]);
    assert_int_equal(counts.flops, 2 * 2 * 3 * 2 + 6);
    assert_int_equal(counts.read_bytes, 4 * (4 + 6 + 3));
    assert_int_equal(counts.written_bytes, 4 * 6);
    tensor_free(&l.b);
    linear(y, x, l); // without a bias
    for (long i = 0; i < 6; i++)
        assert_true(y.data[i] == by_hand[i] - (float)(i % 3 + 1) * 10);
    linear_free(&l);
    assert_null(l.w.block);
    tensor_free(&y);
    tensor_free(&x);
    assert_int_equal(tensor_live_bytes(), 0);
}

// Sums run in index order: (1 + 1e8) - 1e8 is 0 in float32, from the other end it is 1.
static void test_order_of_sums(void **state)
{
    (void)state;
    Tensor x = matrix(1, 3, (float[]){1, 1e8f, -1e8f}), y = tensor_new(SHAPE(1, 1));
    Linear l = {.w = matrix(1, 3, (float[]){1, 1, 1})};
    linear(y, x, l);
    assert_true(y.data[0] == 0);
    linear_free(&l);
    tensor_free(&y);
    tensor_free(&x);
}

// The identity gives back the same bits, of tiny and of huge numbers.
static void test_identity(void **state)
{
    static const float numbers[] = {0.1f, -1e-45f, 3.4e38f, -7, 1e-30f, 1.0f / 3};
    (void)state;
    Tensor x = matrix(2, 3, numbers), y = tensor_new(SHAPE(2, 3));
    Linear l = linear_read("--wq", "identity", NULL, 3, 3, 1);
    linear(y, x, l);
    assert_memory_equal(y.data, numbers, sizeof numbers);
    linear_free(&l);
    tensor_free(&y);
    tensor_free(&x);
}

// Weights that nobody brought: within 1/sqrt(in), the same every time, others for other seeds.
static void test_seeded_weights(void **state)
{
    (void)state;
    Linear a = linear_read("--wq", NULL, NULL, 8, 16, 5);
    Linear b = linear_read("--wk", NULL, NULL, 8, 16, 5);
    Linear c = linear_read("--wq", NULL, NULL, 8, 16, 6);
    float most = 0;
    for (long i = 0; i < 128; i++)
        most = fmaxf(most, fabsf(a.w.data[i]));
    assert_true(0.2f < most && most <= 0.25f);
    assert_memory_equal(a.w.data, b.w.data, 128 * sizeof(float));
    assert_memory_not_equal(a.w.data, c.w.data, 128 * sizeof(float));
    assert_null(a.b.data);
    linear_free(&c);
    linear_free(&b);
    linear_free(&a);
}

// --- the models -------------------------------------------------------------------------

static void test_configurations(void **state)
{
    static const Config FACTS[] = {
        {"gpt2-small", 12, 768, 12, 12, 64, 1024, 0},
        {"gpt2-large", 36, 1280, 20, 20, 64, 1024, 0},
        {"llama-7b", 32, 4096, 32, 32, 128, 2048, 0},
        {"llama-70b", 80, 8192, 64, 8, 128, 4096, 0},
        {"mistral-7b", 32, 4096, 32, 8, 128, 32768, 0},
        {"qwen2.5-0.5b", 24, 896, 14, 2, 64, 32768, 0},
    };
    (void)state;
    for (int i = 0; i < COUNT(FACTS); i++) {
        const Config *c = config_find(FACTS[i].name);
        assert_non_null(c);
        assert_ptr_equal(c, config_at(i));
        assert_int_equal(c->layers, FACTS[i].layers);
        assert_int_equal(c->hidden, FACTS[i].hidden);
        assert_int_equal(c->heads, FACTS[i].heads);
        assert_int_equal(c->kv_heads, FACTS[i].kv_heads);
        assert_int_equal(c->head_dim, FACTS[i].head_dim);
        assert_int_equal(c->context, FACTS[i].context);
        assert_int_equal(c->heads % c->kv_heads, 0);
        assert_true(c->parameters > 1e8);
    }
    assert_null(config_at(COUNT(FACTS)));
    assert_null(config_at(-1));
    assert_null(config_find("gpt2"));
    assert_null(config_find(""));
}

// KV cache bytes = 2 * layers * tokens * kv_heads * head_dim * bytes, in fp16.
static long cache_bytes(const char *name, long tokens)
{
    const Config *c = config_find(name);
    return 2 * c->layers * tokens * c->kv_heads * c->head_dim * 2;
}

// The numbers that readers know from elsewhere.
static void test_cache_sizes(void **state)
{
    (void)state;
    assert_int_equal(cache_bytes("qwen2.5-0.5b", 1), 12288);
    assert_int_equal(cache_bytes("qwen2.5-0.5b", 4096), 48 << 20);
    assert_int_equal(cache_bytes("mistral-7b", 4096), 512 << 20);
    assert_int_equal(cache_bytes("llama-7b", 4096), 2048L << 20);
    assert_int_equal(config_find("llama-70b")->heads / config_find("llama-70b")->kv_heads, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused_flags),
        cmocka_unit_test(test_taken_flags),
        cmocka_unit_test(test_does_not_apply),
        cmocka_unit_test(test_two_sizes),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_help_anywhere),
        cmocka_unit_test(test_worked),
        cmocka_unit_test(test_other_examples),
        cmocka_unit_test(test_refused_examples),
        cmocka_unit_test(test_random_input),
        cmocka_unit_test(test_heads),
        cmocka_unit_test_teardown(test_files, scratch_empty),
        cmocka_unit_test_teardown(test_refused_files, scratch_empty),
        cmocka_unit_test(test_projected),
        cmocka_unit_test_teardown(test_projected_from_files, scratch_empty),
        cmocka_unit_test(test_not_projected),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_labels),
        cmocka_unit_test_teardown(test_labels_with_past, scratch_empty),
        cmocka_unit_test(test_refused_labels),
        cmocka_unit_test(test_random_bits),
        cmocka_unit_test(test_random_floats),
        cmocka_unit_test(test_random_tensor),
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_below_nothing),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_order_of_sums),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_seeded_weights),
        cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_cache_sizes),
    };
    return cmocka_run_group_tests_name("options", tests, scratch_enter, scratch_leave);
}
