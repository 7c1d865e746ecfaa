// How a block runs. Each lane of a warp runs until it has to wait: for the memory, for its warp,
// for its block. Then the scheduler decides who may go on:
//
//   access        the lanes at the same instruction, which came the same way, go on together:
//                 one request to the memory. This is what lockstep means.
//   collective    when every live lane of the mask is there
//   barrier       when every live thread of the block is there
//
// Nobody can go on, but somebody waits: the kernel hangs, and we say who waits where.

#include "inside.h"

#include <stdlib.h>
#include <string.h>

// States are kept twice: in the thread, and as a bit in its warp, so that "is anybody at an
// access?" is one comparison.
static void enter(Thread *t, State state)
{
    t->warp->in[t->state] &= ~bit_of(t);
    t->warp->in[state] |= bit_of(t);
    t->state = state;
}

// The next lane of the queue runs straight after this one: half as many switches as a return
// to the scheduler would cost.
void thread_waits(Thread *t, State state)
{
    Worker *w = t->worker;
    enter(t, state);
    if (w->next < w->queued && !atomic_load_explicit(&launch.stopped, memory_order_relaxed)) {
        w->current = w->queue[w->next++];
        fiber_switch(&t->fiber, w->current->fiber);
    } else {
        w->current = NULL;
        fiber_switch(&t->fiber, w->scheduler);
    }
}

// Where every CUDA thread begins: its stack is fresh, and simt_worker says who it is.
static void thread_main(void)
{
    Thread *t = simt_worker->current;
    launch.kernel.body(launch.kernel.args);
    async_thread_ends(t);
    thread_waits(t, RETURNED);
    abort(); // nobody wakes a thread that has returned
}

// Leaves a kernel in the middle, for good: its stack is simply never gone back to.
_Noreturn void thread_gives_up(Worker *w)
{
    Fiber nowhere;
    launch.stopped = 1; // nobody may wake a thread that has gone
    w->current = NULL;
    fiber_switch(&nowhere, w->scheduler);
    abort();
}

// Runs all lanes that may go on, one behind the other, until each of them waits.
static void run_lanes(Worker *w, Warp *p)
{
    w->queued = 0;
    for (uint32_t m = p->in[RUNS]; m; m &= m - 1)
        w->queue[w->queued++] = p->lane[__builtin_ctz(m)];
    w->next = 1;
    w->current = w->queue[0];
    fiber_switch(&w->scheduler, w->queue[0]->fiber);
}

// Lanes that met go on side by side, whichever way each of them came.
void wake(Warp *p, uint32_t mask)
{
    for (uint32_t m = mask; m; m &= m - 1) {
        Thread *t = p->lane[__builtin_ctz(m)];
        t->path_length = t->path_next = 0;
        t->path_hash = 0;
        enter(t, RUNS);
    }
}

// --- collectives -----------------------------------------------------------------------------

// The lanes that wait for the same meeting as t. __syncwarp may be in several branches of an
// if; everything else must be one and the same call.
static uint32_t same_meeting(const Warp *p, const Thread *t)
{
    uint32_t same = 0;
    for (uint32_t m = p->in[AT_COLLECTIVE] & t->mask; m; m &= m - 1) {
        const Thread *other = p->lane[__builtin_ctz(m)];
        if (other->meeting == t->meeting && other->mask == t->mask &&
            (other->line == t->line || t->meeting == SYNCWARP))
            same |= bit_of(other);
    }
    return same;
}

// Only __syncwarp orders memory, and only between the lanes that took part: "it guarantees memory
// ordering among threads participating in the barrier" (CUDA C++ Programming Guide, "Warp
// Synchronization Functions"). A shuffle or a vote does not.
static void count_meeting(Worker *w, const Warp *p, const Thread *t, uint32_t lanes)
{
    simt_stats *s = &w->stats;
    uint64_t *counter[] = {&s->syncwarps, &s->shuffles, &s->shuffles, &s->mmas, &s->ldmatrices};
    uint32_t at[MAX_WARPS] = {0};
    at[p->index] = lanes;
    ++*counter[t->meeting];
    if (t->meeting == SYNCWARP)
        clock_meet(w, at);
}

// Lets every complete meeting take place; true if there was one.
static bool meet(Worker *w, Warp *p)
{
    bool any = false;
    for (uint32_t left = p->in[AT_COLLECTIVE]; left;) {
        const Thread *t = p->lane[__builtin_ctz(left)];
        uint32_t there = same_meeting(p, t), needed = t->mask & live_lanes(p);
        left &= ~bit_of(t);
        if (there != needed)
            continue;
        for (uint32_t m = there; m; m &= m - 1) {
            int lane = __builtin_ctz(m);
            memcpy(p->deposit[lane], p->lane[lane]->deposit, DEPOSIT);
            p->lane[lane]->came = there;
        }
        count_meeting(w, p, t, there);
        wake(p, there);
        left &= ~there;
        any = true;
    }
    return any;
}

// --- memory, in lockstep ---------------------------------------------------------------------

// Lanes that parted at an `if` meet again behind it. Where that is, the addresses of the basic
// blocks tell, as compilers keep them in the source's order: the lanes that are furthest behind
// go first, block by block, until one of them stands before its access. A lane whose way was too
// long to remember has no access yet: once the others have come as far, it goes on from there.
static uint32_t furthest_behind(const Warp *p, uint32_t waiting)
{
    for (;;) {
        uintptr_t lowest = UINTPTR_MAX;
        uint32_t group = 0, full = 0;
        bool arrived = false;
        for (uint32_t m = waiting; m; m &= m - 1) {
            const Thread *t = p->lane[__builtin_ctz(m)];
            bool at_end = t->path_next == t->path_length;
            if (at_end && t->kind == NO_ACCESS)
                full |= bit_of(t);
            // One instruction can copy, that is load and then store: the kind breaks the tie.
            uintptr_t here = at_end ? t->pc * 8 + (uintptr_t)(t->kind - LOOK)
                                    : t->path[t->path_next] * 8;
            if (here < lowest) {
                lowest = here;
                group = 0;
                arrived = at_end;
            }
            if (here == lowest)
                group |= bit_of(t);
        }
        if (full)
            return full;
        if (arrived)
            return group;
        for (uint32_t m = group; m; m &= m - 1)
            p->lane[__builtin_ctz(m)]->path_next++;
    }
}

// The lanes whose accesses are one instruction.
static uint32_t together(Warp *p)
{
    uint32_t waiting = p->in[AT_ACCESS] & ~p->patient;
    if (!waiting) {
        p->patient = 0;
        waiting = p->in[AT_ACCESS];
    }
    const Thread *first = p->lane[__builtin_ctz(waiting)];
    for (uint32_t m = waiting; m; m &= m - 1) {
        const Thread *t = p->lane[__builtin_ctz(m)];
        if (t->pc != first->pc || t->kind != first->kind || t->path_hash != first->path_hash)
            return furthest_behind(p, waiting);
    }
    return waiting;
}

// A loop of atomics may wait for what another lane or another warp has yet to do, and on GPUs since
// Volta each of these gets its turn (CUDA C++ Programming Guide, "Independent Thread Scheduling").
// Who has made many updates in one turn stands back until the others can do no more.
static void grow_patient(Worker *w, Warp *p, const Thread *first, uint32_t group)
{
    if (first->kind == SIMT_ATOMIC_GLOBAL || first->kind == SIMT_ATOMIC_SHARED)
        p->updates++;
    else if (!simt_counted) // simt_touch has counted
        p->updates = TURN;
    if (p->updates < TURN)
        return;
    p->patient = group;
    w->progress++;
}

// A request of the lanes that stand together at one instruction; then they go on.
static void serve_memory(Worker *w, Warp *p)
{
    uintptr_t address[LANES];
    uint32_t group = together(p);
    const Thread *first = p->lane[__builtin_ctz(group)];
    for (uint32_t m = group; m; m &= m - 1) {
        Thread *t = p->lane[__builtin_ctz(m)];
        address[t->lane] = t->address;
        t->came = group;
    }
    if (first->kind >= 0) {
        account_request(w, p, first, group, address);
        w->stats.partial += group != p->all;
    }
    grow_patient(w, p, first, group);
    wake(p, group);
}

// Runs a warp until all its threads wait for the block, or have returned, or its turn is over.
static void run_warp(Worker *w, Warp *p)
{
    p->updates = 0;
    while (p->updates < TURN && !atomic_load_explicit(&launch.stopped, memory_order_relaxed)) {
        if (p->in[RUNS])
            run_lanes(w, p);
        else if (p->in[AT_COLLECTIVE] && meet(w, p))
            continue;
        else if (p->in[AT_ACCESS])
            serve_memory(w, p);
        else
            return;
        if (atomic_load_explicit(&w->stop, memory_order_relaxed) && !launch.stopped)
            dump_waiting(w, ERROR_TIMEOUT, "NEVER ENDS");
    }
}

// --- blocks ----------------------------------------------------------------------------------

// A new block: thread i is lane i % 32 of warp i / 32, x runs fastest (CUDA C++ Programming
// Guide, "Thread Hierarchy").
static void place_threads(Worker *w)
{
    simt_dim size = launch.kernel.block;
    for (int i = 0; i < launch.warps; i++) {
        memset(&w->warp[i], 0, sizeof w->warp[i]);
        w->warp[i].index = i;
    }
    for (int i = 0; i < launch.threads; i++) {
        Thread *t = &w->thread[i];
        unsigned u = (unsigned)i;
        Copy *copies = t->copies;
        int room = t->copy_room;
        memset(t, 0, sizeof *t);
        t->copies = copies;
        t->copy_room = room;
        t->worker = w;
        t->warp = &w->warp[i / LANES];
        t->index = i;
        t->lane = i % LANES;
        t->at = (simt_dim){u % size.x, u / size.x % size.y, u / size.x / size.y};
        t->warp->lane[t->lane] = t;
        t->warp->all |= bit_of(t);
        t->warp->in[RUNS] |= bit_of(t);
        // Stacks that all began at the same place in their page would fight for the same
        // corner of the cache.
        t->fiber = fiber_new(w->stacks + (size_t)STACK_BYTES * (u + 1) - u % 31 * 64, thread_main);
    }
}

static bool all_returned(const Worker *w)
{
    for (int i = 0; i < launch.warps; i++)
        if (live_lanes(&w->warp[i]))
            return false;
    return true;
}

// Something has happened: who waits at an mbarrier looks again.
static void wake_spinning(Worker *w)
{
    for (int i = 0; i < launch.warps; i++)
        wake(&w->warp[i], w->warp[i].in[AT_MBARRIER]);
}

// Warp after warp, each until it can no more; then barriers open, copies land. If nothing moves
// and not all have returned, nobody ever will.
void run_block(Worker *w, unsigned block)
{
    simt_dim grid = launch.kernel.grid;
    w->block = block;
    w->at = (simt_dim){block % grid.x, block / grid.x % grid.y, block / grid.x / grid.y};
    shared_begin(w);
    async_block(w);
    place_threads(w);
    race_block(w);
    while (!all_returned(w) && !launch.stopped) {
        uint64_t before = w->progress;
        for (int i = 0; i < launch.warps; i++)
            run_warp(w, &w->warp[i]);
        if (launch.stopped || all_returned(w))
            break;
        bool moved = open_barriers(w) || w->progress != before || async_lands(w);
        if (moved)
            wake_spinning(w);
        else
            dump_waiting(w, ERROR_TIMEOUT, "DEADLOCK");
    }
    w->current = NULL;
    atomic_fetch_add(&w->beat, 1);
}
