// Where threads of a block wait for each other: __syncthreads, which is barrier 0, and the named
// barriers 1 to 15. The scheduler comes here when no warp can go on by itself.

#include "inside.h"

// CUDA C++ Programming Guide, "Synchronization Functions": __syncthreads() in a branch is allowed
// only if the whole block takes it. A GPU that waits for the live threads only forgives both
// mistakes sometimes; the next one, or the next compiler, will not.
// `one` waits at the barrier; `other` too, in another line if anybody does. Both reports let the
// kernel go on: here, too, the barrier opens for the live threads, and further mistakes show.
static void check_barrier(const Worker *w, const Thread *one, const Thread *other, int live)
{
    if (other->line != one->line)
        report(ERROR_LAUNCH, "DIVERGENT __syncthreads", other, other->wait_pc,
               "thread %d waits here while thread %d waits in line %d: all threads of a block "
               "must come to the same __syncthreads()", other->index, one->index, one->line);
    if (live < launch.threads)
        for (int i = 0; i < launch.threads; i++)
            if (w->thread[i].state == RETURNED) {
                report(ERROR_LAUNCH, "MISSING __syncthreads", &w->thread[i], one->wait_pc,
                       "%d of %d threads returned before this __syncthreads(), thread %d the "
                       "first: every thread of the block must reach it", launch.threads - live,
                       launch.threads, i);
                return;
            }
}

// Opens barrier `id` if everybody is there. Barrier 0 is __syncthreads, for all live threads;
// the others say themselves how many they wait for.
// PTX ISA, "bar, barrier": a block has 16 barriers, numbered 0 to 15; `bar.sync id, threads` opens
// when that many threads have arrived, so that one part of a block can wait without the rest.
static bool open_barrier(Worker *w, int id)
{
    uint32_t at[MAX_WARPS] = {0}; // [warps]: lanes that wait at this one
    int count = 0, live = 0, needed = 0, votes = 0;
    const Thread *one = NULL, *other = NULL;
    for (int i = 0; i < launch.warps; i++) {
        Warp *p = &w->warp[i];
        live += __builtin_popcount(live_lanes(p));
        for (uint32_t m = p->in[AT_BARRIER]; m; m &= m - 1) {
            const Thread *t = p->lane[__builtin_ctz(m)];
            if (t->barrier != id)
                continue;
            at[i] |= bit_of(t);
            count++;
            votes += t->vote;
            one = one ? one : t;
            other = !other || t->line != one->line ? t : other;
            needed = t->barrier_threads;
        }
    }
    // Threads that returned are not waited for: CUDA C++ Programming Guide, "Independent Thread
    // Scheduling".
    if (!count || count < (needed ? needed : live))
        return false;
    if (id == 0) {
        check_barrier(w, one, other, live);
        w->votes = votes; // for __syncthreads_count, _and, _or
    }
    clock_meet(w, at);
    for (int i = 0; i < launch.warps; i++)
        wake(&w->warp[i], at[i]);
    w->stats.barriers++;
    return true;
}

// Barriers 0 to 15 are independent of each other. True if one of them opened.
bool open_barriers(Worker *w)
{
    bool any = false;
    for (int id = 0; id < 16; id++)
        any |= open_barrier(w, id);
    return any;
}
