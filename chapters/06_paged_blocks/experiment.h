// --experiment waste: how much KV memory prealloc, grow and paged waste on one workload.
// --experiment sequences: several sequences come and go in one pool, the block map after each.

#ifndef EXPERIMENT_H
#define EXPERIMENT_H

#include "../../common/options.h"

// Runs the experiment that o names and prints its table; refuses a name it does not know.
void experiment(const Options *o);

#endif
