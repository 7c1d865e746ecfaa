// --experiment io: bytes moved, counted, beside the formula and beside naive attention.
// --experiment ulps: by how many ulps tiling changes the result, and which step does it.

#ifndef EXPERIMENT_H
#define EXPERIMENT_H

#include "../../common/options.h"

// Runs the experiment that o names and prints its table; refuses a name it does not know.
void experiment(const Options *o);

#endif
