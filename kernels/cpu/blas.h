// OpenBLAS's matrix product, where this machine has OpenBLAS: opened while the program runs, so
// that it builds and runs without. The C interface of the BLAS is netlib's (cblas_sgemm).
//
//     blas_multiply(c, a, b, false);   // C = A B
//
// OpenBLAS runs on one thread unless blas_threads says otherwise, and then no result depends on how
// many processors there are.

#ifndef BLAS_H
#define BLAS_H

#include "../../common/tensor.h"

#include <stdbool.h>

// Is it here, and does it multiply? A few products of whole numbers, which are exact in any order,
// are compared with a plain loop's first: old builds are wrong on processors newer than they are.
bool blas_is_here(void);

// "OpenBLAS 0.3.21", or why it is not used.
const char *blas_name(void);

void blas_threads(int count);

// C = A B, or A B^T where b is turned. c: [n, m]    a: [n, depth]    b: [depth, m], turned
// [m, depth]. A NaN in a row of A, or in a column of B, reaches that row or column of C alone. A
// plain loop in index order where OpenBLAS is not here, or a size is more than an int.
void blas_multiply(Tensor c, Tensor a, Tensor b, bool turned);

#endif
