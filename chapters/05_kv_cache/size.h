// --size: the KV calculator. What the keys and values of a model take, without running it.

#ifndef SIZE_H
#define SIZE_H

#include "../../common/options.h"

// Prints the KV cache's bytes a token, a layer and a model for o->config, beside multi-head
// attention's and the weights'. context 0 is the model's longest; dtype is f32, f16, q8 or q4.
//
// --heads, --kv-heads and --dim override the configuration. Refuses (EXIT_USAGE) any other
// flag, unequal groups and a number of bytes that no long can hold. Under f32 the answer is
// CHECKed against what cache_new allocates.
void print_size(const Options *o, long context, const char *dtype);

#endif
