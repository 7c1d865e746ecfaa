// --experiment cache: a run of tokens with and without a cache, counted and timed.

#ifndef EXPERIMENT_H
#define EXPERIMENT_H

#include "../../common/options.h"

// Runs the experiment that o names and prints its tables; refuses a name it does not know.
//
// --n sets the tokens of the timed run. Only lines that begin with "clock" depend on the
// machine.
void experiment(const Options *o);

#endif
