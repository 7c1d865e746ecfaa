// Seeded numbers, the same bits on every machine: integer arithmetic and exact sums only.

#ifndef RANDOM_H
#define RANDOM_H

#include "tensor.h"

#include <stdint.h>

typedef struct {
    uint64_t state;
} Random;

Random   random_seed(uint64_t seed);
uint64_t random_bits(Random *r);              // 64 uniform bits
float    random_uniform(Random *r);           // in [-1, 1), a multiple of 2^-23
float    random_normal(Random *r);            // mean 0, variance 1, within +-6 (see random.c)
long     random_below(Random *r, long n);     // 0 <= result < n

void tensor_random(Tensor t, uint64_t seed);  // uniform in [-1, 1), in row-major order

// Fills a matrix with independent numbers of mean 0 and variance 1, row by row: what the paper's
// footnote on the factor 1/sqrt(D) assumes of q and k.
void tensor_normal(Tensor matrix, Random *r);

#endif
