// --explain in this chapter: one row's running softmax, tile by tile, beside the dense answer.

#ifndef ONLINE_H
#define ONLINE_H

#include "../../common/input.h"

// Query i of head h in sequence 0, looking at the first `keys` keys, C at a time.
void explain_online(const Input *in, long i, long h, long keys, long C);

#endif
