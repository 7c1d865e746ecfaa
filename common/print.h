// Matrices as text that diff can compare: the same heading, labels and widths everywhere.
//
//     == p0.b0.h0.weights [3 x 3] ==
//                      k0        k1        k2
//     q0           1.0000         .         .
//     q1           0.5000    0.5000         .
//     q2           0.1863    0.3072    0.5065

#ifndef PRINT_H
#define PRINT_H

#include "mask.h"

#include <stdio.h>

// Names for the rows or the columns of a matrix. Without words, or past the last of them,
// element i is called by its letter and number: q0, q1, ...
typedef struct {
    const char *const *words;
    long count;
    char letter; // q, k, d, ...
    long first;  // the number of element 0
} Names;

// How a masked cell is shown: HIDE_NOTHING prints the value, HIDE_SCORES prints -inf,
// HIDE_WEIGHTS prints a dot. A weight that underflowed is not masked: it prints 0.0000.
typedef enum { HIDE_NOTHING, HIDE_SCORES, HIDE_WEIGHTS } Hide;

// x: [rows, cols], or [rows] printed as one column. mask may be NULL with HIDE_NOTHING.
void print_matrix(FILE *f, const char *heading, Tensor x, Names rows, Names cols,
                  const Mask *mask, Hide hide);

// Weights [N, M] in [0, 1] as a heat map for a terminal: two rows of cells a line, the upper
// one in the foreground of a half block, the lower one in its background. Masked cells are
// left blank. With `colour` off, a ramp of characters instead, one row a line.
void print_heat(FILE *f, const char *heading, Tensor weights, const Mask *mask, bool colour);

// The name of element i as it is printed, at most `size` bytes with its final 0.
void name_of(char *to, size_t size, Names names, long i);

// x for printf: a NaN without its sign, which differs between compilers, and 0 for -0.
static inline double shown(float x)
{
    return isnan(x) ? (double)NAN : x == 0.0f ? 0.0 : (double)x;
}

// A number in nine characters: %9.4f, %9.2e from 1e4 on, nan and 0.0000 without a sign.
void print_number(FILE *f, float x);

#endif
