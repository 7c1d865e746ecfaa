// The kernels by the thousand, in parts: a random case with its answer (kernels_case.c), every way
// to compute it on the device (kernels_ways.c), and the run over many of them (kernels.c).

#ifndef KERNELS_H
#define KERNELS_H

#include "answer.h"
#include "draw.h"

// --- a case --------------------------------------------------------------------------------------

typedef struct {
    uint64_t seed;
    Random random;
    Case c;
    char spec[TEXT], text[2 * TEXT]; // the mask as --mask takes it; the case in words
    long keys;                       // P + M
    Tensor k, v;                     // all of them
    OracleSizes sizes;
    bool causal, window;             // causal: pass by pass changes nothing
    bool steep, subnormal;           // logits of order 4096; values of order 2^-140
    Answer masked, unmasked;         // chapter 01 knows no mask
} Subject;

// Makes mask.npy in the current folder, where the mask has an array. `work` is how many
// multiplications the case may take, about.
void subject_make(Subject *s, uint64_t seed, long work);
void subject_free(Subject *s);

// --- a way ---------------------------------------------------------------------------------------

// A chapter, and one of its kernels as ATTENTION_KERNEL takes it.
typedef struct {
    int chapter;
    const char *kernel;
    bool passes;  // prefill and then token by token over what stays on the device
    long held, failed, skipped;
} Way;

// Computes the case that way and holds it against the answer; counts, and says what is wrong.
void try_way(Way *w, const Subject *s);

#endif
