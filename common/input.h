// What a chapter computes on: Q, K, V from a built-in example, from .npy files, at random, or
// projected from X. Also their labels, the scale and the mask.

#ifndef INPUT_H
#define INPUT_H

#include "mask.h"
#include "options.h"
#include "print.h"
#include "projection.h"

typedef struct {
    long B, H, G, N, M, P;  // M: new keys, P: keys that the cache already holds
    long D, Dv;
    Tensor q;               // [B, H, N, D]
    Tensor k, v;            // [B, G, M, D], [B, G, M, Dv]
    Tensor past_k, past_v;  // [B, G, P, D], [B, G, P, Dv]; no data where P = 0
    float scale;
    Mask mask;              // for all B, H, N queries and P + M keys

    bool projected;         // q, k, v come from X, by way of input_project_…
    Tensor x;               // [B, N, hidden]
    Linear wq, wk, wv, wo;
    Tensor concat, result;  // [B, N, H*Dv], [B, N, hidden]

    const char **words;     // every label; `queries` and `keys` point into it
    Names *queries, *keys;  // [B]
    Names  features;        // columns of Q, K, V where the example names them
    Tensor owned[8];        // the blocks behind the views
    int    owned_count;
} Input;

// Reads what the options ask for. Refuses shapes that do not fit (EXIT_INPUT for files,
// EXIT_USAGE for flags) and sizes that would not fit in memory, before allocating them.
Input input_read(const Options *o);
void  input_free(Input *in);

// With --x: computes rows from:to of q, or of k and v, from those rows of X. Nothing to do
// where Q, K and V were given.
void input_project_q(Input *in, long from, long to);
void input_project_kv(Input *in, long from, long to);

// With --x: result = concat W_O^T for rows from:to, where a row of concat is the H outputs of
// one token side by side. out: [B, H, N, Dv]. Nothing to do where Q, K and V were given.
void input_combine(Input *in, Tensor out, long from, long to);

#endif
