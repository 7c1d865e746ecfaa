// y = x Wᵀ + b, as in PyTorch's nn.Linear: how X becomes Q, K and V, and how the heads'
// outputs become one row again. ("Attention Is All You Need", section 3.2.2: W^Q ... W^O.)

#ifndef PROJECTION_H
#define PROJECTION_H

#include "tensor.h"

#include <stdint.h>

typedef struct {
    Tensor w; // [out, in]
    Tensor b; // [out], or no data: no bias
} Linear;

// y: [n, out]    x: [n, in]. Sums in index order, the bias last.
void linear(Tensor y, Tensor x, Linear l);

// Weights [out, in] and, unless bias is NULL, a bias [out]. `weights` is a .npy, "identity"
// (out = in only), or NULL: seeded, uniform in +-1/sqrt(in). Refuses shapes that do not fit,
// naming `flag`.
Linear linear_read(const char *flag, const char *weights, const char *bias, long out, long in,
                   uint64_t seed);
void   linear_free(Linear *l);

#endif
