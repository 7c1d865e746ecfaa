// The pool of chapters 06 and 07 once more, float for float, in device memory. It stays there from
// pass to pass: a pass brings its new tokens and the block tables, and nothing else.
//
//     DevicePages pages;
//     PagesStatus status = mirror_append(&pages, pool, tables, k, v, trace);
//     ... kernels that look at pages ...
//     mirror_free_tables(&pages);       // the pool stays

#ifndef MIRROR_H
#define MIRROR_H

#include "../../chapters/06_paged_blocks/pages.h"
#include "../../common/trace.h"
#include "device_pages.h"

// The chapters' pages_append, on both sides: the host hands out the blocks, and the chapter prints
// its pool. Where the tokens found no room, *pages is untouched and nothing was stored.
// k: [B, G, n, D]    v: [B, G, n, Dv]
PagesStatus mirror_append(DevicePages *pages, Pool *pool, BlockTable *tables, Tensor k, Tensor v,
                          const Trace *trace);
void mirror_free_tables(DevicePages *pages);

// All tokens of one memory out of their blocks: [B, G, M, width], to be freed. Behind the end of a
// shorter sequence lie NaNs.
float *mirror_gather(const float *memory, DevicePages pages, long B, long M, long width);

// Tokens of the longest of B sequences.
long mirror_longest(const BlockTable *tables, long B);

#endif
