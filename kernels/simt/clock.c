// Which of two accesses came first? Time on a GPU is no help: what happened to be first today may
// be second tomorrow. What counts is whether one thread *knows* of the other's access, because
// the two have met in between. That is a vector clock (Lamport 1978, Mattern 1989), kept as in
// FastTrack (Flanagan and Freund, 2009):
//
//   moment    every thread counts its own moments; a new one begins whenever others learn of it
//   clock     up to which moment of every thread of the block something is known to be finished
//
//   __syncthreads, __syncwarp    who meets knows what any of them knew, and has done (clock_meet)
//   mbarrier                     an arrival gives what a thread knows, a wait takes it
//
// Threads that met share one clock, as it never changes: a block that only uses __syncthreads
// has a single one.

#include "inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOCKS = 8192 }; // three for a thread, two for an mbarrier, one for a copy, some to spare

struct Clock {
    int users;
    Clock *spare;               // the next one nobody uses
    uint32_t of[];              // [threads] moments
};

static size_t clock_bytes(void)
{
    return sizeof(Clock) + (size_t)launch.threads * sizeof(uint32_t);
}

// --- keeping clocks --------------------------------------------------------------------------

static Clock *clock_new(Worker *w)
{
    Clock *c = w->spare;
    if (c) {
        w->spare = c->spare;
    } else if (w->clock_count < CLOCKS) {
        size_t room = (clock_bytes() + 63) & ~(size_t)63;
        c = (Clock *)(void *)(w->clocks + room * (size_t)w->clock_count++);
    } else {
        fprintf(stderr, "simt: out of clocks\n");
        abort();
    }
    memset(c, 0, clock_bytes());
    return c;
}

// *place lets go of its clock and holds c.
static void hold(Worker *w, Clock **place, Clock *c)
{
    Clock *old = *place;
    if (c)
        c->users++;
    *place = c;
    if (old && --old->users == 0) {
        old->spare = w->spare;
        w->spare = old;
    }
}

void clock_drop(Worker *w, Clock **place)
{
    hold(w, place, NULL);
}

static void join(Clock *into, const Clock *from)
{
    for (int i = 0; from && i < launch.threads; i++)
        into->of[i] = into->of[i] > from->of[i] ? into->of[i] : from->of[i];
}

// A new block: nobody knows anything, and everybody is in his first moment.
void clock_block(Worker *w)
{
    if (!simt_counted)
        return;
    if (!w->clocks)
        w->clocks = reserve(CLOCKS * (sizeof(Clock) + 64 + MAX_THREADS * sizeof(uint32_t)));
    w->clock_count = 0;
    w->spare = NULL;
    Clock *nothing = clock_new(w);
    for (int i = 0; i < launch.threads; i++) {
        w->thread[i].moment = 1;
        w->thread[i].knows = w->thread[i].fenced[DEVICE] = w->thread[i].fenced[BLOCK] = NULL;
        hold(w, &w->thread[i].knows, nothing);
    }
}

// --- learning --------------------------------------------------------------------------------

bool clock_knows(const Thread *t, int thread, uint32_t moment)
{
    return thread == t->index || moment <= t->knows->of[thread];
}

uint32_t clock_of(const Clock *c, int thread)
{
    return c ? c->of[thread] : 0;
}

// The lanes at[warp] of every warp meet. Whatever number was their moment, from here on it is
// the same, so that lanes of a warp that always meet fit into one entry of a cell (race.c).
void clock_meet(Worker *w, const uint32_t *at)
{
    if (!simt_counted)
        return;
    Clock *all = clock_new(w), *latest = NULL;
    uint32_t moment = 0;
    for (int i = 0; i < launch.warps; i++)
        for (uint32_t m = at[i]; m; m &= m - 1) {
            const Thread *t = w->warp[i].lane[__builtin_ctz(m)];
            if (t->knows != latest)
                join(all, latest = t->knows);
        }
    for (int i = 0; i < launch.warps; i++)
        for (uint32_t m = at[i]; m; m &= m - 1) {
            const Thread *t = w->warp[i].lane[__builtin_ctz(m)];
            all->of[t->index] = t->moment;
            moment = t->moment > moment ? t->moment : moment;
        }
    for (int i = 0; i < launch.warps; i++)
        for (uint32_t m = at[i]; m; m &= m - 1) {
            Thread *t = w->warp[i].lane[__builtin_ctz(m)];
            hold(w, &t->knows, all);
            t->moment = moment + 1;
        }
}

// *into learns what t knows, and what t has done up to now.
void clock_give(Thread *t, Clock **into)
{
    if (!simt_counted)
        return;
    Clock *sum = clock_new(t->worker);
    join(sum, *into);
    join(sum, t->knows);
    sum->of[t->index] = t->moment++;
    hold(t->worker, into, sum);
}

void clock_join(Worker *w, Clock **into, const Clock *from)
{
    if (!simt_counted)
        return;
    Clock *sum = clock_new(w);
    join(sum, *into);
    join(sum, from);
    hold(w, into, sum);
}

void clock_take(Thread *t, const Clock *from)
{
    clock_join(t->worker, &t->knows, from);
}

// __threadfence(): what t knows and has done is now for everybody to see, once he tells (flag.c).
// __threadfence_block(): for everybody in the block.
void clock_fence(Thread *t, Scope scope)
{
    if (!simt_counted)
        return;
    for (int s = scope; s <= BLOCK; s++) {
        hold(t->worker, &t->fenced[s], t->knows);
        t->fence[s] = t->moment;
    }
    t->moment++;
}
