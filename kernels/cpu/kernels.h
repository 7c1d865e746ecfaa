// The kernels of this folder: two ladders, each step with one idea more than the last, compiled
// once for each instruction set. All compute the same pass; the last step is the one to use.
//
//     const Isa *isa = isa_best();
//     isa->prefill[PREFILL_threads](&pass);   // writes pass.out and pass.lse

#ifndef CPU_KERNELS_H
#define CPU_KERNELS_H

#include "pass.h"

#include <stdbool.h>

// A step is a row here and a file, prefill_N_name.c or decode_N_name.c.
#define PREFILL_LADDER(STEP) STEP(naive) STEP(order) STEP(blas) STEP(tile) STEP(registers) \
    STEP(exp) STEP(packed) STEP(fused) STEP(skip) STEP(threads)
#define DECODE_LADDER(STEP) \
    STEP(naive) STEP(group) STEP(streams) STEP(prefetch) STEP(paged) STEP(threads)

#define PREFILL_ENUM(name) PREFILL_##name,
#define DECODE_ENUM(name) DECODE_##name,
enum { PREFILL_LADDER(PREFILL_ENUM) PREFILL_STEPS };
enum { DECODE_LADDER(DECODE_ENUM) DECODE_STEPS };

typedef void PassKernel(const Pass *p);

typedef struct {
    const char *name;  // "avx512"
    int lanes;         // floats in a vector
    PassKernel *prefill[PREFILL_STEPS]; // any pass
    PassKernel *decode[DECODE_STEPS + 1]; // any pass, meant for one query a sequence
    void (*exp2)(float *to, const float *from, long n); // vec_exp2 of each, for its test
} Isa;

// The words of --kernel, in the ladders' order.
extern const char *const prefill_names[], *const decode_names[];

// Does that step of prefill hold all scores of a head, and show them where p->trace is set?
bool prefill_traces(int step);

// Instruction set i of those compiled, the best first; NULL past the last.
const Isa *isa_at(int i);

// Can this processor run it?
bool isa_runs(const Isa *isa);

// The best that this processor runs, or the one that isa_choose said.
const Isa *isa_best(void);
void isa_choose(const Isa *isa);

#endif
