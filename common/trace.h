// A trace is the list of named steps that a run went through. The arithmetic calls
// trace_step once a step and never learns where it goes: to the terminal, and with --trace
// DIR to DIR/trace.txt, to DIR/trace.jsonl and to one .npy a step, with what it had cost by then in
// DIR/counts.csv. DIR/run.json says what was run (docs/TRACES.md).
//
// A step is named by pass, batch, head and name: p0.b0.h1.scaled.

#ifndef TRACE_H
#define TRACE_H

#include "input.h"
#include "output.h"

typedef struct {
    const Options *options;
    const Input   *input;
    Output text, json, costs, run; // in the trace directory, if there is one
    Print  print;        // which steps the terminal shows
    bool   quiet;        // show and keep nothing: this round is only timed
    long   pass, batch, head; // where the next step belongs
    long   first;        // the pass's row 0 is query `first` of the run
    Mask   mask;         // the rule of this pass, so that masked cells print as such
    long   peak;         // bytes: the most that was held, but for what is held to be shown
} Trace;

Trace trace_open(const Options *o, const Input *in);
void  trace_close(Trace *t);

// The steps to come belong to head h of sequence b.
void trace_at(Trace *t, long b, long h);

// Emits x ([rows, columns] or [rows]) as a step. scores, scaled, masked and weights have keys
// as columns, every other step features.
void trace_step(Trace *t, const char *name, Tensor x);

// Emits a table with labels of its own.
void trace_table(Trace *t, const char *name, Tensor x, Names rows, Names columns);

// The labels of this pass's queries, from row i of the pass on.
Names trace_queries(const Trace *t, long i);

// A line of text between the steps: for the reader, not for the comparer.
void trace_note(Trace *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Does anybody see the steps? Work that serves only the eye asks first.
bool trace_wanted(const Trace *t);

// Begins the pass that handles queries first to first + n of the run, with m keys in all, and
// emits its new rows of X, Q, K and V. Returns the pass's mask, for all heads.
Mask trace_pass(Trace *t, long first, long n, long m);

#endif
