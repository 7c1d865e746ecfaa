// DIR/run.json of a trace: what was run, so that a program that shows the steps need not guess
// (docs/TRACES.md lists the fields).

#ifndef DESCRIBE_H
#define DESCRIBE_H

#include "input.h"

#include <stdio.h>

// Writes one JSON object, a few lines long. The same run writes the same bytes wherever its results
// go.
void describe_run(FILE *f, const Options *o, const Input *in);

#endif
