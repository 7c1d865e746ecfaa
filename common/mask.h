// Which keys a query may look at. A mask is a rule first: mask_allows(mask, i, j) answers
// for one pair and needs no [N, M] array. It is a tensor only where the user brings one.

#ifndef MASK_H
#define MASK_H

#include "tensor.h"

#include <math.h>
#include <stdbool.h>

typedef struct {
    bool causal;    // no key after the query's own position
    bool from_end;  // positions are counted so that the last query meets the last key
    long window;    // only the last window + 1 keys, the query's own included; -1: no limit
    long prefix;    // the first `prefix` keys are seen by all, the rest causally; -1: no such rule
    long keys;      // keys from here on are padding
    long offset;    // query i stands at position p = i + offset
    Tensor bias;    // added to the scaled scores, -inf hides; data NULL: none. [B, H, N, M]
                    // with stride 0 along what is broadcast; [N, M] after mask_head
    long  *lengths; // padding: the real length of each sequence, or NULL
    long   length_count; // 1 (for all) or B
} Mask;

// What the user's own tensor adds to score (i, j); 0 where there is none.
static inline float mask_bias(const Mask *m, long i, long j)
{
    return m->bias.data ? m->bias.data[i * m->bias.stride[0] + j * m->bias.stride[1]] : 0.0f;
}

// May query i look at key j? Every rule that is on must say yes.
static inline bool mask_allows(const Mask *m, long i, long j)
{
    long p = i + m->offset; // the query's position in its sequence
    return (!m->causal || j <= p) &&
           (m->window < 0 || (p - m->window <= j && j <= p)) &&
           (m->prefix < 0 || j < m->prefix || j <= p) &&
           j < m->keys &&
           mask_bias(m, i, j) != -INFINITY;
}

// Reads SPEC ("causal+padding=3,5", see --help) for B sequences of N queries and M keys with
// H heads. Refuses what it does not know or what does not fit those sizes.
Mask mask_read(const char *spec, long B, long H, long N, long M);
void mask_free(Mask *m);

// The rule for one head of one sequence: its key length, its [N, M] slice of the tensor.
Mask mask_head(const Mask *m, long b, long h);

// The rule for one pass: queries first to first + n of the run, with `past` keys before
// query 0 of the run, and m keys in all by the end of the pass.
Mask mask_pass(const Mask *mask, long first, long n, long past, long m);

// The same rule for a part of one head's scores: query i and key j become 0 and 0.
Mask mask_part(const Mask *mask, long i, long j);

#endif
