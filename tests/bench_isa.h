// What the benchmark itself needs of an instruction set: loops that show what the processor could
// do, and the matrix products of a small model. Compiled once for each set, like the kernels.

#ifndef BENCH_ISA_H
#define BENCH_ISA_H

typedef struct {
    const char *name;
    // `turns` turns of independent multiply-adds, `flops` of them a turn.
    float (*multiply_add)(long turns);
    long flops;
    // Reads n floats once, in order.
    float (*read)(const float *from, long n);
    // y[r,c] = sum over i of x[r,i] w[i,c] for one panel of w, [in, panel]: a product of matrices
    // for many rows, and for one row a walk over w.
    long panel;
    void (*product)(float *y, long y_row, const float *x, const float *w, long rows, long in);
    // x = x sigmoid(1.702 x), n a multiple of 16.
    void (*gelu)(float *x, long n);
} BenchIsa;

// That of an instruction set by its name.
const BenchIsa *bench_isa(const char *name);

#endif
