// The kernels by the thousand, in parts: a random case with its answer (kernels_case.c), every way
// to compute it on the device (kernels_ways.c), and the run over many of them (kernels.c).

#ifndef KERNELS_H
#define KERNELS_H

#include "answer.h"
#include "draw.h"

// --- a case --------------------------------------------------------------------------------------

// The case as bf16 has it. A kernel that rounds Q, K and V first computes another case, whose
// answer it must meet as any float32 run would, but for its weights: each is rounded once more, by
// BF16_UNIT of itself at most, so that O[i,d] is off by BF16_UNIT * spread[i,d], and
//
//     spread[i,d] = sum over j of P[i,j] |V[j,d]|
typedef struct {
    Answer answer;
    double *spread; // [B, H, N, Dv]
    Result naive;   // by naive_bf16
} Halves;

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
    bool poisoned;                   // some keys and values are NaN or infinite
    Answer masked, unmasked;         // chapter 01 knows no mask
    Halves halves;
} Subject;

// What kind of case: any; one for bf16 alone, with a value that is finite in float32 and not in
// bf16; a few tokens that come one by one after many others; or so many queries and keys that they
// fill several of the CPU kernels' blocks.
typedef enum { ANY, OVERFLOW, DECODE, LONG } Kind;

// And how many multiplications it may take, about.
typedef struct {
    Kind kind;
    long work;
    bool float32; // the answer in bf16 is not asked for
} Wish;

// Makes mask.npy in the current folder, where the mask has an array.
void subject_make(Subject *s, uint64_t seed, Wish wish);
void subject_free(Subject *s);

// --- a way ---------------------------------------------------------------------------------------

// A chapter, and one of its kernels as ATTENTION_KERNEL takes it. Chapter 0: the yardstick of the
// kernels in bf16, which is held against the same answer.
typedef struct {
    int chapter;
    const char *kernel;
    bool passes; // prefill and then token by token over what stays on the device
    bool halves; // computes in bf16
} Way;

// The largest errors over a sweep of cases, and max |(ref + 0.3 - 0.3) - ref| in float32.
typedef struct {
    long cases;
    double naive, found, cancel;
} Sweep;

// What became of a way. Sweeps are those of bf16: logits of order 1, and steep ones.
typedef struct {
    long held, failed, skipped;
    Sweep sweeps[2];
} Tally;

// Computes the case that way and holds it against the answer; counts, and says what is wrong.
void try_way(const Way *w, const Subject *s, Tally *t);

// The same chapter 07 over sequences of different lengths, which no case above has: how many
// numbers are out of bound?
long try_ragged(const char *kernel);

#endif
