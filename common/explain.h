// --explain ROW[,HEAD]: the arithmetic of one row written out, product by product, in the
// order in which the chapters do it.

#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "input.h"

// One row and what it needs, whatever a chapter keeps it in: keys and values by token, whether
// they are new or were there before.
typedef struct {
    const Input *in;
    Mask mask;
    long i, h, g, M; // query, its head, its KV head, keys in all
} ExplainedRow;

// Query i of head h in sequence 0, looking at the first `keys` keys; input_read has refused a row
// or head that is not there. Prints "-- query q2, head h1, which reads KV head h0".
ExplainedRow explain_begin(const Input *in, long i, long h, long keys);

// Key and value j as they lie in memory: D and Dv floats.
const float *explain_key(const ExplainedRow *r, long j);
const float *explain_value(const ExplainedRow *r, long j);

// Query i of head h in sequence 0, written out.
// keys: how many there were when the row was computed (a cached run has no later ones yet).
// T > 0: the output once more, as the sum over blocks of T tokens.
void explain_row(const Input *in, long i, long h, long keys, long T);

#endif
