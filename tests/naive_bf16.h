// Naive attention at the precision of bf16: the yardstick of kernels on tensor cores. Q, K, V and
// the weights are rounded to bf16, all sums are float32 in index order; otherwise it is chapter 04.
//
// A bf16 is the upper half of a float: 8 significant bits, and the same exponents.

#ifndef NAIVE_BFLOAT_H
#define NAIVE_BFLOAT_H

#include "../common/tensor.h"
#include "oracle.h"

// Half the distance between neighbours, relative: |bf16_nearest(x) - x| <= BF16_UNIT |x|.
#define BF16_UNIT 0x1p-8

// To the nearest, ties to even, subnormal numbers too. What lies beyond 3.39e38 becomes infinite.
float  bf16_nearest(float x);
Tensor bf16_copy(Tensor t); // the caller's to free

// q, k, v: rounded already.    out: [B, H, N, Dv]    lse: [B, H, N]
void naive_bf16(Tensor out, Tensor lse, const float *q, const float *k, const float *v,
                OracleSizes s, float scale, const OracleMask *mask);

#endif
