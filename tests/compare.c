// compare A B [--ref R --naive C] [--bound X] [--steps name,name] [--complete] [--nan-ok]
// compare --text A.txt B.txt
//
// The command line of tests/comparer.c. Exit: 0 alike, 1 FAIL or DIFFERS, 2 usage, 3 bad file.

#include "comparer.h"

#include "../common/fail.h"
#include "../common/output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *usage =
    "usage: compare A B [--ref R --naive C] [--bound X] [--steps name,name] [--complete]\n"
    "               [--nan-ok] [--quiet]\n"
    "       compare --text A.txt B.txt [--quiet]\n"
    "A, B, R, C: .npy files or trace directories, two runs, their float64 reference and a naive\n"
    "float32 run. The last line is BIT-EXACT, REASSOCIATED or FAIL (--text: SAME or DIFFERS).\n"
    "  --ref R --naive C   A and B may be twice as far from R as C is\n"
    "  --bound X           A and B may be X apart, and X from R; with --naive both must hold\n"
    "  --steps NAMES       these steps alone; default q,k,v and scores to output\n"
    "  --complete          A must have every step from scores to output that B has\n"
    "  --nan-ok            NaN equals NaN\n"
    "  --quiet             the last line alone\n"
    "example: compare build/trace/04 build/trace/03\n";

// What was asked for; NULL or false where it was not.
typedef struct {
    const char *path[2], *ref, *naive;
    int  paths;
    bool text, quiet;
    CompareRules rules;
} Arguments;

// The value of the flag at argv[*n]; moves there.
static const char *value_of(int argc, char **argv, int *n, bool given)
{
    if (given)
        refuse(EXIT_USAGE, "%s: given twice", argv[*n]);
    if (*n + 1 == argc || argv[*n + 1][0] == '\0')
        refuse(EXIT_USAGE, "%s: expected a value", argv[*n]);
    return argv[++*n];
}

// A bound of inf or NaN would let everything pass.
static double read_bound(const char *text)
{
    char *end;
    double bound = strtod(text, &end);
    if (end == text || *end || !(bound >= 0) || isinf(bound))
        refuse(EXIT_USAGE, "--bound: expected a finite number from 0 on, got \"%s\"", text);
    return bound;
}

// The argument at argv[*n], a flag with its value or a path; moves to its last word.
static void take_argument(Arguments *a, int argc, char **argv, int *n)
{
    const char *flag = argv[*n];
    if (strcmp(flag, "--ref") == 0)
        a->ref = value_of(argc, argv, n, a->ref);
    else if (strcmp(flag, "--naive") == 0)
        a->naive = value_of(argc, argv, n, a->naive);
    else if (strcmp(flag, "--bound") == 0)
        a->rules.bound = read_bound(value_of(argc, argv, n, a->rules.bound >= 0));
    else if (strcmp(flag, "--steps") == 0)
        a->rules.steps = value_of(argc, argv, n, a->rules.steps);
    else if (strcmp(flag, "--complete") == 0)
        a->rules.complete = true;
    else if (strcmp(flag, "--nan-ok") == 0)
        a->rules.nan_expected = true;
    else if (strcmp(flag, "--quiet") == 0)
        a->quiet = true;
    else if (strcmp(flag, "--text") == 0)
        a->text = true;
    else if (flag[0] == '-' || a->paths == 2)
        refuse(EXIT_USAGE, "unknown argument %s; try --help", flag);
    else
        a->path[a->paths++] = flag;
}

// Flags that would be ignored are refused: a check that was not made must not look like one.
static Arguments read_arguments(int argc, char **argv)
{
    Arguments a = {.rules = {.bound = -1}};
    for (int n = 1; n < argc; n++)
        if (strcmp(argv[n], "--help") == 0) {
            fputs(usage, stdout);
            output_finish();
            exit(0);
        } else {
            take_argument(&a, argc, argv, &n);
        }
    if (a.paths != 2)
        refuse(EXIT_USAGE, "expected two runs, got %d; try --help", a.paths);
    bool has_rules = a.ref || a.naive || a.rules.bound >= 0 || a.rules.steps || a.rules.complete;
    if (a.text && (has_rules || a.rules.nan_expected))
        refuse(EXIT_USAGE, "--text: takes no other flag than --quiet");
    if (a.naive && !a.ref)
        refuse(EXIT_USAGE, "--naive: expected --ref beside it");
    if (a.ref && !a.naive && a.rules.bound < 0)
        refuse(EXIT_USAGE, "--ref: expected --naive or --bound beside it");
    a.rules.notes = a.quiet ? NULL : stdout;
    return a;
}

int main(int argc, char **argv)
{
    bool alike;
    fail_program("compare");
    output_start();
    Arguments a = read_arguments(argc, argv);
    if (a.text) {
        TextComparison c = compare_texts(a.path[0], a.path[1], a.rules.notes);
        alike = c.same;
        puts(c.text);
    } else {
        Comparison c = compare_paths(a.path[0], a.path[1], a.ref, a.naive, a.rules);
        alike = c.verdict != FAIL;
        puts(c.text);
    }
    output_finish();
    return alike ? 0 : EXIT_DIFFERS;
}
