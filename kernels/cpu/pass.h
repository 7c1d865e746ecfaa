// What every CPU kernel is given: one pass of N queries over M keys, for all heads of B sequences.
//
//     Pass pass = {.q = q, .k = pass_tensor(k), .v = pass_tensor(v), ...};
//     kernels->prefill[PREFILL_threads](&pass);

#ifndef PASS_H
#define PASS_H

#include "../../chapters/06_paged_blocks/pages.h"
#include "../../common/mask.h"
#include "../../common/trace.h"

// How a number of K or V is kept. Sums are float32 whatever it is.
typedef enum { KEPT_F32, KEPT_BF16, KEPT_F16 } Kept;

// Keys, or values: where the row of token j of KV head g of sequence b lies. Either all tokens of
// a head lie at one distance from each other, or in blocks of T that a table finds.
typedef struct {
    const void *data;
    Kept  kept;
    long  sequence;           // numbers from one sequence to the next; in a pool: one block
    long  head, token;        // from one KV head, one token to the next
    const BlockTable *tables; // [B], or NULL: no pages
    long  T;                  // tokens in a block
} Rows;

typedef struct {
    long  B, H, G, N, M, D, Dv; // the letters of docs/NOTATION.md; M: keys of the longest sequence
    float scale;
    Tensor q, out, lse;         // [B, H, N, D], [B, H, N, Dv], [B, H, N], any strides
    Rows  k, v;                 // rows of D and of Dv numbers
    const Mask *mask;           // the rule of this pass, for all heads
    Trace *trace;               // or NULL: who keeps an [N, M] array shows it there
} Pass;

static inline long kept_bytes(Kept kept)
{
    return kept == KEPT_F32 ? 4 : 2;
}

// The row of token j. Never called for a token that is not there.
static inline const void *row_of(const Rows *r, long b, long g, long j)
{
    long at = r->tables ? r->tables[b].blocks[j / r->T] * r->sequence + j % r->T * r->token
                        : b * r->sequence + j * r->token;
    return (const char *)r->data + (at + g * r->head) * kept_bytes(r->kept);
}

// Tokens from j on that lie at one distance in memory: to the end of the block, or all.
static inline long rows_together(const Rows *r, long j)
{
    return r->tables ? r->T - j % r->T : INT64_MAX;
}

// Rows of a tensor [B, G, M, D], any strides, and of a pool's memory [blocks, G, T, D].
Rows pass_tensor(Tensor t);
Rows pass_pages(Tensor memory, const BlockTable *tables);

// n, up to the next multiple.
static inline long rounded(long n, long multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

// x, or the end of the range that it lies beyond.
static inline long within(long x, long least, long most)
{
    return x < least ? least : x > most ? most : x;
}

// --- which keys a query sees ---------------------------------------------------------------------

// Every rule of a Mask but its array leaves each query one run of keys, from <= j < to; later
// queries see no earlier ones. m is one head's (mask_head). A run of none lies between 0 and the
// number of keys, like any other.
typedef struct {
    long from, to;
} Seen;

Seen mask_seen(const Mask *m, long i);

// Counts the pass's scores and flops (common/count.h): two products over the pairs that are seen,
// and a maximum, a difference, an exponential and a sum for each.
void pass_count(const Pass *p);

#endif
