// The comparer: two runs, three verdicts.
//
//     BIT_EXACT     every value equals its counterpart (-0 equals +0, -inf equals -inf)
//     REASSOCIATED  some differ, all within a bound that the float64 reference sets
//     FAIL          anything else
//
// A run is one .npy file or a trace directory with files pP.bB.hH.STEP.npy (pass, batch, head;
// a step of all heads together leaves hH out). Of a trace, the passes of a cached run are
// stacked: the rows of p0, p1, ... follow each other, as they do in an uncached run.

#ifndef COMPARER_H
#define COMPARER_H

#include <stdbool.h>
#include <stdio.h>

typedef enum { BIT_EXACT, REASSOCIATED, FAIL } Verdict;

// What may differ. Inputs (q, k, v, past_k, past_v) and steps without arithmetic never may.
//
// With a bound, A and B must lie within it of each other and, if there is a reference, of the
// reference: that is the rule for each single run. With a naive run the reference must be
// there too, and A and B may be at most twice as far from it as the naive run is (plus
// cancellation, see comparer.c): the rule for a sweep. With both, both must hold. Either alone
// lets something through: the bound is loose for long rows, and twice a large error is larger.
typedef struct {
    double bound;       // of one run's output, as the oracle prints it; negative: none
    bool   nan_expected;// NaN equals NaN, and nothing else
    bool   complete;    // A has every step of arithmetic (scores to output) that B has
    const char *steps;  // "scaled,output"; NULL: q, k, v and the six steps of attention
    FILE  *notes;       // a line for everything worth knowing; NULL: none
} CompareRules;

enum { STEP_NAME = 64, COMPARISON_TEXT = 640 };

typedef struct {
    Verdict verdict;
    long   steps, values;            // held against each other; a step of each head counts
    double difference;               // the largest, in the step that the verdict names
    long   ulps;                     // of it; -1 beside a NaN
    char   step[STEP_NAME];          // the first that differs, or that fails; "" if none
    char   text[COMPARISON_TEXT];    // the verdict as a line, without its newline
} Comparison;

// ref and naive may be NULL. All are files or all are directories. Shapes must agree; of files
// axes of 1 in front do not count. Refuses with EXIT_INPUT what cannot be read.
Comparison compare_paths(const char *a, const char *b, const char *ref, const char *naive,
                         CompareRules rules);

// The same for n values in memory, judged as an output; ref and naive may be NULL.
Comparison compare_floats(long n, const float *a, const float *b, const double *ref,
                          const float *naive, CompareRules rules);

// How many float32 numbers lie from a to b, both rounded to float32: 1 for neighbours, 0 for
// -0 and +0. -1 if one is NaN.
long ulps_between(double a, double b);

// Two printed runs (common/print.h), step by step, by name: one line for each that differs on
// `notes`, and a last line SAME or DIFFERS in `text`. A masked `.` is not a 0.0000.
typedef struct {
    bool same;
    long steps, values, differing;
    char text[COMPARISON_TEXT];
} TextComparison;

TextComparison compare_texts(const char *a, const char *b, FILE *notes);

#endif
