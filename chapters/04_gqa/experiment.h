// --experiment groups: what each number of KV heads would cost a real model.

#ifndef EXPERIMENT_H
#define EXPERIMENT_H

#include "../../common/options.h"

// Runs the experiment that o names and prints its table; refuses a name it does not know.
void experiment(const Options *o);

#endif
