// Memory for one pass, kept for the next: a page that is new costs more than the pass's own use of
// it. Asked for once a pass, by thread 0; counted as scratch while it is in use.
//
//     float *room = workspace_take(floats);
//     ...
//     workspace_give(floats);
//
// Begins at a multiple of 2 MiB, in huge pages where the system has them. Holds what it held
// before. One at a time. Refuses with EXIT_MEMORY.

#ifndef WORKSPACE_H
#define WORKSPACE_H

#include "pass.h" // rounded

float *workspace_take(long floats);
void   workspace_give(long floats);

// Shares out such room: n floats from *at on, which moves behind them; at NULL only
// counts. Begins at a whole vector.
static inline float *take(float *room, long *at, long n)
{
    float *taken = room ? room + *at : NULL;
    *at += rounded(n, 16);
    return taken;
}

// The same kind of memory for a caller's own arrays: huge pages, for fewer address lookups. Freed
// by free().
void *huge_alloc(long bytes);

#endif
