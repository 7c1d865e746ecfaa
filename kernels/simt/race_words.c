// What a report of a race says: who, whom, and what is missing between the two. "A barrier is
// missing" would be true of each and help with none: what is missing depends on how far apart
// the two threads are, and on whether one of them is a copy in the background.

#include "inside.h"

#include <stdio.h>
#include <string.h>

enum { ENOUGH = 100 }; // reports worth printing

// One line that reads and writes is often a sum in the making: x[i] += y.
static bool may_be_a_sum(const Deed *now, const Deed *before)
{
    return now->means == PLAIN && before->means == PLAIN &&
           strcmp(where(now->pc), where(before->pc)) == 0;
}

// The order of the questions is from the far to the near. Nothing but the end of a kernel waits for
// all blocks, so between blocks no barrier is proposed; a copy in the background is not a thread,
// so that __syncthreads() does not wait for it; only for two threads of a block is a barrier the
// answer, and within a warp the smaller one will do.
static const char *what_is_missing(const Thread *t, const Deed *now, const Deed *before)
{
    if (before->thread < 0)
        return "blocks run in any order; use atomicAdd, or a second kernel, or a flag set by an "
               "atomic behind a __threadfence()";
    if (now->means == MBARRIER)
        return "behind an mbarrier_init, all who use the mbarrier must meet (__syncthreads())";
    if (now->means == BULK_COPY)
        return "before it copies, it must wait (mbarrier_try_wait) for an mbarrier at which that "
               "thread arrives behind its access";
    if (before->means == BULK_COPY)
        return "wait first for the mbarrier to which the copy reports (mbarrier_try_wait; if one "
               "lane does it for its warp, a __syncwarp() must follow)";
    // Not even within a warp is order given: since Volta lanes may advance one by one (CUDA C++
    // Programming Guide, "Independent Thread Scheduling").
    bool own_warp = before->thread / LANES == t->warp->index;
    if (async_has_barriers(t->worker))
        return own_warp ? "a __syncwarp() or __syncthreads() is missing between them, or an "
                          "arrival of the one at an mbarrier for which the other waits"
                        : "a __syncthreads() is missing between them, or an arrival of the one "
                          "at an mbarrier for which the other waits";
    if (may_be_a_sum(now, before))
        return own_warp ? "a __syncwarp() or __syncthreads() is missing between them, or, if both "
                          "add to it, an atomicAdd()"
                        : "a __syncthreads() is missing between them, or, if both add to it, an "
                          "atomicAdd()";
    return own_warp ? "a __syncwarp() or __syncthreads() is missing between them"
                    : "a __syncthreads() is missing between them";
}

// Who reads of a line that "writes" but only starts a copy must be told that the copy is meant.
static const char *by(Means means)
{
    return means == BULK_COPY ? ", by a bulk copy," : means == ASYNC_COPY ? ", by cp.async," : "";
}

// "it reads shared tile, byte 252 of 512, which thread 63 wrote at sum.cu:10, and nothing orders
// the two: ..." Each line of code says so once a launch (report.c).
void race_found(Thread *t, const char *what, uintptr_t a, Deed now, Deed before)
{
    char place[256], who[32];
    if (t->worker->stats.races++ >= ENOUGH)
        return;
    if (in_arena(a))
        describe_global(place, sizeof place, a);
    else
        describe_shared(place, sizeof place, t->worker, a);
    if (before.thread >= 0)
        snprintf(who, sizeof who, "thread %d", before.thread);
    else
        snprintf(who, sizeof who, "block %d", -1 - before.thread);
    report(ERROR_LAUNCH, what, t, now.pc, "it %s%s %s, which %s %s%s at %s, and nothing orders "
           "the two: %s", now.did, by(now.means), place, who, before.did, by(before.means),
           where(before.pc), what_is_missing(t, &now, &before));
}
