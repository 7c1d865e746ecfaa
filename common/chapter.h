// What every chapter's main.c needs: flags -> inputs -> attention -> output.

#ifndef CHAPTER_H
#define CHAPTER_H

#include "explain.h"
#include "input.h"
#include "measure.h"
#include "options.h"
#include "output.h"
#include "trace.h"

// With --x: W_O for rows from:to of the heads' outputs, and its steps, concat and result.
void chapter_combine(Input *in, Tensor out, long from, long to, Trace *trace);

// The end of a run: what --output, --lse, --stats and --bench asked for, then everything
// freed. out and lse are owners, and freed too.
void chapter_finish(const Options *o, Input *in, Trace *trace, const Measure *m, Tensor out,
                    Tensor lse);

#endif
