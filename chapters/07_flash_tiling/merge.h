// The state of a softmax that has seen only some of the keys, and how two such states over
// different keys become one. Keys may be cut anywhere, walked apart (on two processors, say)
// and merged: the same result up to rounding.
//
// Milakov and Gimelshein, "Online normalizer calculation for softmax" (arXiv 1805.02867),
// equation 4; used by flash-decoding to share out one long row.

#ifndef MERGE_H
#define MERGE_H

#include "../../common/tensor.h"

// The columns of a state [R, STATE_SIZE], one row a query.
enum {
    STATE_OLD_MAX, // the maximum before the last tile
    STATE_MAX,     // m: the largest score so far, -inf before any
    STATE_RESCALE, // exp(old m - m): what the last tile shrank the sums by
    STATE_SUM,     // l: the sum of exp(score - m)
    STATE_SIZE,
};

// Nothing seen yet. state: [R, STATE_SIZE]    acc: [R, Dv], the sum of exp(score - m) V
void state_clear(Tensor state, Tensor acc);

// Merges (state2, acc2) into (state, acc). A part that saw nothing adds nothing.
void state_merge(Tensor state, Tensor acc, Tensor state2, Tensor acc2);

#endif
