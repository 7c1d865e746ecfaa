// The oracle: attention in float64, with masks of its own.
//
// It shares no line with the chapters, neither arithmetic nor mask rules, so that a mistake
// would have to be made twice to go unnoticed. tests/unit_oracle.c checks it against answers
// worked out by hand.
//
//     OracleSizes s = {.B = 1, .H = 4, .G = 2, .N = 5, .M = 5, .D = 8, .Dv = 8};
//     OracleMask causal = oracle_mask("causal", s);
//     oracle_attention((OracleSteps){.output = out, .lse = lse}, q, k, v, s, 0.5, &causal);
//     double bound = oracle_bound(q, k, v, s, 0.5, &causal);
//     oracle_mask_free(&causal);

#ifndef ORACLE_H
#define ORACLE_H

#include <stdbool.h>

typedef struct {
    long B, H, G, N, M, D, Dv; // the letters of docs/NOTATION.md
} OracleSizes;

// Which keys a query sees. The query in row i stands at position p = i + offset, under
// from_end at p = i + M - N. All rules that are set must allow a key.
typedef struct {
    bool causal;           // j <= p
    bool from_end;         // causal-end
    long window;           // W: p - W <= j <= p; -1: no such rule
    long prefix;           // P: j < P or j <= p; -1: no such rule
    const long   *padding; // [B], keys that count: j < padding[b]; NULL: all
    const double *bias;    // [B, H, N, M], added to the scaled scores; -inf hides; NULL: 0
    long offset;           // the past length
} OracleMask;

// Hides nothing. To start from: a mask of zeros would have a window and a prefix of 0.
extern const OracleMask ORACLE_SEES_ALL;

// Where each step goes, in float64; NULL where it is not wanted.
typedef struct {
    double *scores, *scaled, *masked, *weights; // [B, H, N, M]
    double *output;                             // [B, H, N, Dv]
    double *lse;                                // [B, H, N]
} OracleSteps;

// q [B, H, N, D], k [B, G, M, D], v [B, G, M, Dv], all contiguous. Scores are computed for
// every pair, masked or not; what a masked K or V holds, NaN included, reaches nothing else.
// A dead row is 0 with log-sum-exp -inf; a NaN that is allowed makes its row NaN, and so does
// a logit of +inf (inf - inf).
void oracle_attention(OracleSteps to, const float *q, const float *k, const float *v,
                      OracleSizes s, double scale, const OracleMask *mask);

// How far one float32 run may be from the oracle, in any element of the output:
//     2^-23 ((D + 6) A + 4 max|bias| + M + 5) max|V| + M 2^-149
// A = max of |scale| sum over d of |q_d k_d|. All maxima are over allowed pairs and over
// finite terms alone: what a NaN or an inf reaches is NaN or inf in every arithmetic, and a
// pair with logit -inf adds exactly 0. So the bound is finite and speaks of finite results.
double oracle_bound(const float *q, const float *k, const float *v, OracleSizes s, double scale,
                    const OracleMask *mask);

bool oracle_allows(const OracleMask *mask, OracleSizes s, long b, long h, long i, long j);

// Reads a mask as --mask takes it: none, causal, causal-end, prefix=P, window=W,
// padding=L0,L1,... (a length for each sequence, or one for all), a .npy (bool: true may be
// seen; float: added), joined by '+'. An array is broadcast to [B, H, N, M] from the right.
// Refuses with EXIT_USAGE or EXIT_INPUT. The offset is 0: set it. Free with oracle_mask_free.
OracleMask oracle_mask(const char *spec, OracleSizes s);
void oracle_mask_free(OracleMask *mask);

// n zeros, the caller's to free; refuses with EXIT_MEMORY.
double *oracle_zeros(long n);

#endif
