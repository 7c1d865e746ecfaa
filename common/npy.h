// .npy files, NumPy's format for one array: versions 1.0, 2.0 and 3.0.
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)
//
// Read: C and Fortran order, either byte order, f2 f4 f8, bool and the integers u1 i1 to
// u8 i8. Everything is checked against the file's size before anything is allocated, and
// what cannot be taken is refused (EXIT_INPUT) by file name, with what was expected and
// what came.

#ifndef NPY_H
#define NPY_H

#include "output.h"
#include "tensor.h"

#include <stdbool.h>

typedef struct {
    char  kind;             // 'f' float, 'b' bool, 'i' signed, 'u' unsigned
    int   bytes;            // of one element: 1, 2, 4 or 8
    bool  big_endian;
    bool  fortran;          // first axis contiguous
    int   axes;             // 0 to MAX_AXES
    long  shape[MAX_AXES];
    long  count;            // elements
    unsigned char *data;    // count * bytes, as in the file
} Npy;

enum {
    NPY_HEAD  = 12 + 65535, // the longest magic, version, length and header taken
    NPY_ERROR = 240,        // room for a reason
};

// The part of reading that touches no file. `head` holds the first bytes of a file of
// `file_bytes` bytes: NPY_HEAD of them, or all where the file is shorter. Fills *npy but for
// its data (NULL) and returns where the data begins. Returns 0, and why in `error`, when
// the file cannot be taken.
long npy_parse(const unsigned char *head, long file_bytes, Npy *npy, char error[NPY_ERROR]);

// Reads `path` whole. Free with npy_free. Bytes after the array are ignored, with a note
// on stderr. A pipe or directory is refused with the system's reason.
Npy npy_read(const char *path);
void npy_free(Npy *npy);

// Element i in C order (row-major), whatever the file's order and type, as a double.
// Exact for everything but integers beyond 2^53.
double npy_value(const Npy *npy, long i);

// The array as a float32 tensor (the caller's to free). f2 and f8 are converted, and a
// note on stderr says so; a finite f8 beyond float32's range is refused. So are bool and
// integers: they are masks, not numbers.
Tensor npy_read_tensor(const char *path);

// Writes t as version 1.0, '<f4', C order, any strides: the bytes that numpy.save writes.
void npy_write(const char *path, Tensor t);

// The same for float64 values in C order: the oracle's answers.
void npy_write_double(const char *path, int axes, const long *shape, const double *values);

#endif
