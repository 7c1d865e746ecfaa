// --explain ROW[,HEAD]: the arithmetic of one row written out, product by product, in the
// order in which the chapters do it.

#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "input.h"

// Query i of head h in sequence 0. Refuses (EXIT_USAGE) a row or head that is not there.
// T > 0: the output once more, as the sum over blocks of T tokens.
void explain_row(const Input *in, long i, long h, long T);

#endif
