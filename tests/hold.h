// Holding what a kernel gave against what must come out. Each says on stdout which number was the
// first to be wrong, and returns how many are.

#ifndef HOLD_H
#define HOLD_H

#include "../common/tensor.h"

// Numbers out of bound. spread: what rounded weights add to the bound, BF16_UNIT of it; or NULL.
long count_wrong(const char *what, Tensor got, const double *ref, double bound,
                 const double *spread);

// A row without a visible score is exactly 0, not nearly.
long count_undead(Tensor out, const double *lse);

// Two runs that must give the same bits (-0 equals 0, NaN equals NaN); what they are called.
long count_other(const char *what, Tensor got, Tensor other, const char *is, const char *was);

#endif
