// What must come out of a random case, by the oracle, and how far from it one run may be.

#ifndef ANSWER_H
#define ANSWER_H

#include "book.h"
#include "oracle.h"

typedef struct {
    double *output, *lse;    // [B, H, N, Dv], [B, H, N]
    double bound, lse_bound; // for float32 in any order of sums
} Answer;

// q, scale and sizes are the case's own; k and v: past and new ones as one.
Answer answer_new(const float *q, Tensor k, Tensor v, OracleSizes sizes, float scale,
                  const OracleMask *mask);
void   answer_free(Answer *a);

#endif
