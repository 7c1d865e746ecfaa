// Tensors: up to four axes of float32, row-major, the last axis contiguous.
//
// A Tensor is a small value: pass it and return it by copy; the copy shares the same
// floats. One Tensor owns each block of floats (the one that tensor_new returned), every
// other is a view. Free the owner once, after its last view.
//
// Nothing here returns an error. A wrong shape is a bug: CHECK stops the program. Too
// large a shape is the user's: refuse() with EXIT_MEMORY.

#ifndef TENSOR_H
#define TENSOR_H

#include "fail.h"

enum { MAX_AXES = 4 };

_Static_assert(sizeof(long) == 8, "sizes and counts are longs of 64 bits");

typedef struct {
    int    axes;             // how many entries of shape[] count; 0 is a single number
    long   shape[MAX_AXES];  // elements along each axis, outermost first; 0 is allowed
    long   stride[MAX_AXES]; // floats from one element to the next; the last one is 1
    float *data;             // the first element
    float *block;            // what tensor_free frees; NULL in a view
} Tensor;

// tensor_new(SHAPE(N, D)): the two arguments that tensor_new wants, written as one.
#define SHAPE(...) (int)(sizeof((long[]){__VA_ARGS__}) / sizeof(long)), (long[]){__VA_ARGS__}

// --- making and freeing ------------------------------------------------------------------

// New floats are NaN: a cell that nobody wrote shows up in the result. A guard zone lies
// on either side, and tensor_free checks that nobody wrote there.
Tensor tensor_new(int axes, const long *shape);
void   tensor_free(Tensor *t);                   // owner only; clears *t
void   tensor_copy(Tensor to, Tensor from);      // same shape, any strides
void   tensor_fill(Tensor t, float x);
long   tensor_count(Tensor t);                   // elements

// --- views: all share t's floats and cost nothing ----------------------------------------

Tensor tensor_at(Tensor t, long i);                            // t[i]: drops axis 0
Tensor tensor_slice(Tensor t, int axis, long from, long to);   // t[.., from:to, ..]
Tensor tensor_swap(Tensor t, int a, int b);                    // exchange two axes
Tensor tensor_split(Tensor t, int axis, long parts);           // [.., P*D] -> [.., P, D]
Tensor tensor_lift(Tensor t);                                  // [N, D] -> [1, N, D]

// Row i of a matrix [N, D], as D floats.
static inline float *row(Tensor t, long i)
{
    CHECK(t.axes == 2 && 0 <= i && i < t.shape[0], "row %ld of %ld", i, t.shape[0]);
    return t.data + i * t.stride[0];
}

// --- the bytes that tensors hold, counted exactly (guards not included) -------------------

long tensor_live_bytes(void);
long tensor_peak_bytes(void);
void tensor_reset_peak(void);   // peak = live: what follows is measured from here

// Memory that is no tensor's, as long as it is in use: bytes to be counted with theirs, or, less
// than 0, no longer.
void tensor_hold(long bytes);

// Refuses (EXIT_MEMORY, with the estimate) when `bytes` more would not fit in this
// machine's memory: called before anything large is allocated.
void memory_require(double bytes, const char *what);

#endif
