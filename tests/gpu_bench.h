// What tests/gpu_bench.c and tests/gpu_time.c share.

#ifndef GPU_BENCH_H
#define GPU_BENCH_H

#include "gpu_problem.h"

enum { MOST_SHAPES = 32, MOST_SOLVERS = 32 };

typedef struct {
    bool tiny;
    const char *only, *without;
    double seconds;
    long repeats;
} Flags;

extern Flags flags;
extern long failures;

// Is the kernel asked for, and for such a problem?
bool is_wanted(const Solver *w, const Problem *p);

// What is timed. Returns how many.
int  timed_shapes(Shape list[MOST_SHAPES]);
void print_shape(const Shape *s);

// Launches and waits. cudaErrorNotSupported is an answer; anything else breaks the device.
cudaError_t launch_and_wait(const Solver *w, Problem *p);

// gpu_bench time
void time_all(void);

#endif
