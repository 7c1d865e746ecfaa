#include "options.h"

#include "backend.h"
#include "fail.h"
#include "output.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 2147483647 }; // the largest size a flag takes

static const char *print_text, *explain_text, *config_text;

// --- the table -----------------------------------------------------------------------------

static void add(Options *o, Flag flag)
{
    CHECK(o->flag_count < MAX_FLAGS, "more than %d flags", MAX_FLAGS);
    o->flags[o->flag_count++] = flag;
}

// What goes in.
static void add_input_flags(Options *o)
{
    add(o, (Flag){"--example", FLAG_TEXT, &o->example, 0, "NAME",
                  "worked (default), notes, onehot, rows, fruit or random"});
    add(o, (Flag){"--q", FLAG_TEXT, &o->q, 0, "F.npy", "queries [B,H,N,D]; with --k and --v"});
    add(o, (Flag){"--k", FLAG_TEXT, &o->k, 0, "F.npy", "keys [B,G,M,D]"});
    add(o, (Flag){"--v", FLAG_TEXT, &o->v, 0, "F.npy", "values [B,G,M,Dv]"});
    add(o, (Flag){"--past-k", FLAG_TEXT, &o->past_k, TAKES_PAST, "F.npy",
                  "keys that the cache already holds"});
    add(o, (Flag){"--past-v", FLAG_TEXT, &o->past_v, TAKES_PAST, "F.npy", "their values"});
    add(o, (Flag){"--tokens", FLAG_TEXT, &o->tokens, 0, "\"a b c\"",
                  "labels; \"a b | c d\" for rows | columns"});
    add(o, (Flag){"--n", FLAG_SIZE, &o->n, 0, "N",
                  "queries of --example random (default 8)"});
    add(o, (Flag){"--m", FLAG_SIZE, &o->m, 0, "M", "keys of --example random (default N)"});
    add(o, (Flag){"--dim", FLAG_SIZE, &o->dim, 0, "D",
                  "head size of --example random (default 4) and of --x"});
    add(o, (Flag){"--dim-v", FLAG_SIZE, &o->dim_v, 0, "D",
                  "width of V of --example random (default D)"});
    add(o, (Flag){"--batch", FLAG_SIZE, &o->batch, TAKES_HEADS, "B",
                  "sequences of --example random"});
    add(o, (Flag){"--seed", FLAG_COUNT, &o->seed, 0, "S",
                  "seed of --example random and of weights"});
}

// From chapter 03 on: heads, and the projections in front of them.
static void add_head_flags(Options *o)
{
    add(o, (Flag){"--heads", FLAG_SIZE, &o->heads, TAKES_HEADS, "H", "query heads (default 4)"});
    add(o, (Flag){"--kv-heads", FLAG_SIZE, &o->kv_heads, TAKES_KV_HEADS, "G",
                  "KV heads; H must be a multiple (default 2, or H where 2 is none)"});
    add(o, (Flag){"--config", FLAG_TEXT, &config_text, TAKES_HEADS, "NAME",
                  "a model's hidden, heads and head size (random X)"});
    add(o, (Flag){"--x", FLAG_TEXT, &o->x, TAKES_HEADS, "F.npy",
                  "X [B,N,hidden], projected to Q, K, V; or: example, random"});
    add(o, (Flag){"--hidden", FLAG_SIZE, &o->hidden, TAKES_HEADS, "E",
                  "width of --x random (default H*D)"});
    add(o, (Flag){"--wq", FLAG_TEXT, &o->wq, TAKES_HEADS, "F.npy",
                  "[H*D,hidden], or: identity (default: seeded)"});
    add(o, (Flag){"--wk", FLAG_TEXT, &o->wk, TAKES_HEADS, "F.npy", "[G*D,hidden]"});
    add(o, (Flag){"--wv", FLAG_TEXT, &o->wv, TAKES_HEADS, "F.npy", "[G*D,hidden]"});
    add(o, (Flag){"--wo", FLAG_TEXT, &o->wo, TAKES_HEADS, "F.npy", "[hidden,H*D]"});
    add(o, (Flag){"--bq", FLAG_TEXT, &o->bq, TAKES_HEADS, "F.npy",
                  "bias [H*D]; likewise --bk --bv --bo"});
    add(o, (Flag){"--bk", FLAG_TEXT, &o->bk, TAKES_HEADS, NULL, NULL});
    add(o, (Flag){"--bv", FLAG_TEXT, &o->bv, TAKES_HEADS, NULL, NULL});
    add(o, (Flag){"--bo", FLAG_TEXT, &o->bo, TAKES_HEADS, NULL, NULL});
}

// What is done, and what comes out.
static void add_run_flags(Options *o)
{
    add(o, (Flag){"--scale", FLAG_NUMBER, &o->scale, 0, "X",
                  "factor of the scores (default 1/sqrt(D))"});
    add(o, (Flag){"--mask", FLAG_TEXT, &o->mask, TAKES_MASK, "SPEC",
                  "none, causal, causal-end, window=W, prefix=P, padding=L0,L1,.."});
    add(o, (Flag){"--prefill", FLAG_SIZE, &o->prefill, TAKES_PAST, "N",
                  "tokens of the first pass (default: half; all if the mask looks ahead)"});
    add(o, (Flag){"--print", FLAG_TEXT, &print_text, 0, "WHAT",
                  "all, weights, output or none (default: all up to 16 tokens)"});
    add(o, (Flag){"--explain", FLAG_TEXT, &explain_text, 0, "ROW[,HEAD]",
                  "one row's arithmetic, product by product"});
    add(o, (Flag){"--trace", FLAG_TEXT, &o->trace, 0, "DIR",
                  "every step as text, .npy and JSON lines, its cost, and what was run"});
    add(o, (Flag){"--output", FLAG_TEXT, &o->output, 0, "F.npy", "write the result"});
    add(o, (Flag){"--lse", FLAG_TEXT, &o->lse, 0, "F.npy", "write each row's log-sum-exp"});
    add(o, (Flag){"--present-k", FLAG_TEXT, &o->present_k, TAKES_PAST, "F.npy",
                  "write the keys that the cache holds at the end"});
    add(o, (Flag){"--present-v", FLAG_TEXT, &o->present_v, TAKES_PAST, "F.npy", "and the values"});
    add(o, (Flag){"--heat", FLAG_SWITCH, &o->heat, 0, NULL,
                  "weights as a heat map (in colour on a terminal, unless NO_COLOR is set)"});
    add(o, (Flag){"--stats", FLAG_SWITCH, &o->stats, 0, NULL, "bytes, flops and time"});
    add(o, (Flag){"--bench", FLAG_SWITCH, &o->bench, 0, NULL, "time it: median, min, max as CSV"});
    if (o->chapter->experiments)
        add(o, (Flag){"--experiment", FLAG_TEXT, &o->experiment, 0,
                  "NAME", o->chapter->experiments});
}

// --- --help --------------------------------------------------------------------------------

static void print_flag(const Options *o, const Flag *flag)
{
    char left[64];
    if ((flag->needs & ~o->chapter->takes) || !flag->meaning)
        return;
    snprintf(left, sizeof left, "%s %s", flag->name, flag->value ? flag->value : "");
    printf("  %-20s %s\n", left, flag->meaning);
}

static void print_help(const Options *o)
{
    const Chapter *c = o->chapter;
    printf("%s\n%s\n\n", c->idea[0], c->idea[1]);
    printf("usage: %s [flags]\n   try: %s\n\n", c->name, c->example);
    for (int i = 0; i < o->flag_count; i++)
        print_flag(o, &o->flags[i]);
    printf("  %-20s %s\n  %-20s %s\n\n", "--help", "this text", "--version", "the version");
    if (c->takes & TAKES_MASK) {
        printf("A mask may also be a .npy (bool: true may be seen; float: added to the scores),\n"
               "and rules are joined by +, as in causal+padding=3,5. Default: %s.\n", c->mask);
    }
    if (c->takes & TAKES_HEADS) {
        printf("Configurations:");
        for (int i = 0; config_at(i); i++)
            printf(" %s", config_at(i)->name);
        printf(".\n");
    }
    printf("Exit: 0 good, 1 a comparison failed, 2 usage, 3 bad input file, 4 no such device,\n"
           "5 out of memory, 6 could not write.\n");
}

// --- values --------------------------------------------------------------------------------

// A whole number and nothing behind it; refuses by the flag's name.
static long read_long(const char *flag, const char *text, long least, long most)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    bool digits = isdigit((unsigned char)text[0]) || text[0] == '-'; // strtol would skip spaces
    if (!digits || end == text || *end || errno || n < least || n > most)
        refuse(EXIT_USAGE, "%s: expected a whole number from %ld to %ld, got \"%s\"", flag, least,
               most, text);
    return n;
}

static float read_float(const char *flag, const char *text)
{
    char *end;
    double x = strtod(text, &end);
    bool lost = x != 0 && (float)x == 0.0f; // too small for a float: it would mean 0
    if (end == text || *end || !isfinite((float)x) || lost || isspace((unsigned char)text[0]))
        refuse(EXIT_USAGE, "%s: expected a finite number, got \"%s\"", flag, text);
    return (float)x;
}

void options_pair(const char *flag, const char *text, long *first, long *second)
{
    char left[32];
    size_t n = strcspn(text, ",");
    if (text[n] != ',' || n >= sizeof left)
        refuse(EXIT_USAGE, "%s: expected two sizes joined by a comma, got \"%s\"", flag, text);
    memcpy(left, text, n);
    left[n] = '\0';
    *first = read_long(flag, left, 1, MOST);
    *second = read_long(flag, text + n + 1, 1, MOST);
}

static void read_value(const Flag *flag, const char *text)
{
    if (*text == '\0')
        refuse(EXIT_USAGE, "%s: expected %s, got an empty value", flag->name,
               flag->value ? flag->value : "a value");
    if (flag->kind == FLAG_TEXT)
        *(const char **)flag->to = text;
    else if (flag->kind == FLAG_NUMBER)
        *(float *)flag->to = read_float(flag->name, text);
    else
        *(long *)flag->to = read_long(flag->name, text, flag->kind == FLAG_SIZE ? 1 : 0, MOST);
}

static void read_print(Options *o)
{
    static const char *const names[] = {"", "all", "weights", "output", "none"};
    for (int i = PRINT_ALL; print_text && i <= PRINT_NONE; i++)
        if (strcmp(print_text, names[i]) == 0)
            o->print = (Print)i;
    if (print_text && o->print == PRINT_DEFAULT)
        refuse(EXIT_USAGE, "--print: expected all, weights, output or none, got \"%s\"",
               print_text);
}

static void read_explain(Options *o)
{
    char row_text[32];
    o->explain_row = -1;
    if (!explain_text)
        return;
    size_t n = strcspn(explain_text, ",");
    if (n >= sizeof row_text)
        refuse(EXIT_USAGE, "--explain: expected ROW or ROW,HEAD, got \"%s\"", explain_text);
    memcpy(row_text, explain_text, n);
    row_text[n] = '\0';
    o->explain_row = read_long("--explain", row_text, 0, MOST);
    if (explain_text[n] == ',')
        o->explain_head = read_long("--explain", explain_text + n + 1, 0, MOST);
}

static void read_config(Options *o)
{
    if (!config_text)
        return;
    o->config = config_find(config_text);
    if (!o->config)
        refuse(EXIT_USAGE, "--config: expected one of those that --help lists, got \"%s\"",
               config_text);
}

// --- the command line ------------------------------------------------------------------------

// The flag whose name is the first n bytes of `text`, or -1.
static int find(const Options *o, const char *text, size_t n)
{
    for (int i = 0; i < o->flag_count; i++)
        if (strlen(o->flags[i].name) == n && memcmp(o->flags[i].name, text, n) == 0)
            return i;
    return -1;
}

bool options_given(const Options *o, const char *flag)
{
    int i = find(o, flag, strlen(flag));
    return i >= 0 && o->given[i];
}

bool word_among(const char *word, const char *words)
{
    size_t n = strlen(word);
    for (const char *at = strstr(words, word); at; at = strstr(at + 1, word))
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

void options_only(const Options *o, const char *what, const char *names)
{
    for (int i = 0; i < o->flag_count; i++)
        if (o->given[i] && !word_among(o->flags[i].name, names))
            refuse(EXIT_USAGE, "%s does not go with %s, which takes %s", o->flags[i].name, what,
                   names);
}

// Reads argv[i] and its value; returns the index of the next flag. Both "--n 8" and "--n=8".
static int read_flag(Options *o, int argc, char **argv, int i)
{
    const char *text = argv[i];
    size_t n = strcspn(text, "=");
    int found = find(o, text, n);
    if (found < 0)
        refuse(EXIT_USAGE, "unknown flag \"%s\"; --help lists the known ones", text);
    const Flag *flag = &o->flags[found];
    if (flag->needs & ~o->chapter->takes)
        refuse(EXIT_USAGE, "%s does not apply to %s", flag->name, o->chapter->name);
    if (o->given[found])
        refuse(EXIT_USAGE, "%s stands there twice", flag->name);
    o->given[found] = true;
    if (flag->kind == FLAG_SWITCH) {
        if (text[n] == '=')
            refuse(EXIT_USAGE, "%s takes no value, got \"%s\"", flag->name, text + n + 1);
        *(bool *)flag->to = true;
        return i + 1;
    }
    if (text[n] == '=') {
        read_value(flag, text + n + 1);
        return i + 1;
    }
    if (i + 1 == argc || strncmp(argv[i + 1], "--", 2) == 0)
        refuse(EXIT_USAGE, "%s: expected %s, got nothing", flag->name,
               flag->value ? flag->value : "a value");
    read_value(flag, argv[i + 1]);
    return i + 2;
}

// Refuses every given flag among `names`, because of what the input is.
static void not_with(const Options *o, const char *names, const char *input)
{
    for (int i = 0; i < o->flag_count; i++)
        if (o->given[i] && word_among(o->flags[i].name, names))
            refuse(EXIT_USAGE, "%s does not go with %s", o->flags[i].name, input);
}

// Which flags go together: what an input has of its own, no flag may set.
static void check_sources(const Options *o)
{
    bool files = o->q || o->k || o->v, projected = o->x || o->config;
    bool x_example = o->x && strcmp(o->x, "example") == 0;
    bool x_random = projected && (!o->x || strcmp(o->x, "random") == 0);
    bool named = o->example && strcmp(o->example, "random") != 0;
    if (files && !(o->q && o->k && o->v))
        refuse(EXIT_USAGE, "--q, --k and --v go together, %s is missing",
               !o->q ? "--q" : !o->k ? "--k" : "--v");
    if (!o->past_k != !o->past_v)
        refuse(EXIT_USAGE, "--past-k and --past-v go together, %s is missing",
               !o->past_k ? "--past-k" : "--past-v");
    if (files)
        not_with(o, "--example --x --config --n --m --dim --dim-v --batch --seed --hidden",
                 "--q, --k and --v, which are the input");
    if (!projected)
        not_with(o, "--wq --wk --wv --wo --bq --bk --bv --bo --hidden",
                 "an input without --x or --config: there is no X to project");
    if (projected)
        not_with(o, "--m --dim-v", "--x or --config, where K and V come from X");
    if (projected && !x_example)
        not_with(o, "--example", "--x or --config, which are the input");
    if (projected && !x_random)
        not_with(o, "--n --batch --hidden", "this --x, which has its own size");
    if (named && !projected)
        not_with(o, "--n --m --dim --dim-v --batch --seed --hidden",
                 "this --example, which has its own numbers");
}

// Two results in one file: the second would overwrite the first.
static void check_outputs(const Options *o)
{
    const char *const paths[] = {o->output, o->lse, o->present_k, o->present_v};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            if (paths[i] && paths[j] && strcmp(paths[i], paths[j]) == 0 &&
                strncmp(paths[i], "/dev/", 5) != 0)
                refuse(EXIT_USAGE, "%s: expected a file of its own for each result", paths[i]);
}

// What --bench prints is one line of CSV, and nothing may be written while the clock runs.
static void check_bench(const Options *o)
{
    if (o->bench)
        not_with(o, "--trace --print --explain --heat --stats", "--bench, which only times");
}

void options_read(Options *o, int argc, char **argv, const Chapter *chapter)
{
    *o = (Options){.chapter = chapter, .argc = argc, .argv = argv, .mask = chapter->mask,
                   .heads = chapter->heads, .kv_heads = chapter->kv_heads, .batch = 1, .seed = 1,
                   .n = 8, .dim = 4};
    print_text = explain_text = config_text = NULL;
    fail_program(chapter->name);
    add_input_flags(o);
    add_head_flags(o);
    add_run_flags(o);
    for (const Flag *own = chapter->flags; own && own->name; own++)
        add(o, *own);
    for (const Flag *device = backend_flags(); device->name; device++)
        add(o, *device);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(o);
            output_finish();
            exit(0);
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("%s, attention step by step, version 0.1\n", chapter->name);
            output_finish();
            exit(0);
        }
    }
    for (int i = 1; i < argc;)
        i = read_flag(o, argc, argv, i);
    o->has_scale = options_given(o, "--scale");
    read_print(o);
    bool weights = o->print == PRINT_WEIGHTS;
    if (!(chapter->takes & MAKES_SCORES) && (weights || o->heat))
        refuse(EXIT_USAGE, "%s does not apply to %s: it never holds the weights",
               weights ? "--print weights" : "--heat", chapter->name);
    read_explain(o);
    read_config(o);
    check_sources(o);
    check_bench(o);
    check_outputs(o);
    backend_open(o);
}
