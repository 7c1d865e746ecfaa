// What a kernel calls to wait for others: __syncthreads and the warp's shuffles and votes.

#include "inside.h"

#include <string.h>

simt_dim simt_threadIdx(void) { return simt_worker->current->at; }
simt_dim simt_blockIdx(void) { return simt_worker->at; }
simt_dim simt_blockDim(void) { return launch.kernel.block; }
simt_dim simt_gridDim(void) { return launch.kernel.grid; }
void *simt_dynamic_shared(void) { return simt_worker->shared; }

// --- the block -------------------------------------------------------------------------------

// Notes for which barrier the thread waits; open_barrier lets it go on when all are there.
static void wait_at_barrier(int id, int threads, int line, uintptr_t pc)
{
    Thread *t = simt_worker->current;
    t->barrier = id;
    t->barrier_threads = threads;
    t->line = line;
    t->wait_pc = pc;
    thread_waits(t, AT_BARRIER);
}

void simt_syncthreads(int line)
{
    wait_at_barrier(0, 0, line, CALLER);
}

// PTX ISA, "bar.sync a, b": sixteen barriers a block, 0 is __syncthreads; b counts threads and
// must be a multiple of the warp's size.
void simt_named_barrier(int id, int threads, int line)
{
    if (id < 0 || id > 15 || threads <= 0 || threads % LANES)
        report(ERROR_LAUNCH, "WRONG BARRIER", simt_worker->current, CALLER,
               "barrier %d for %d threads: there are barriers 0 to 15, for whole warps", id,
               threads);
    else
        wait_at_barrier(id, threads, line, CALLER);
}

// Whoever opens the barrier counts the votes. The sum holds until the next barrier opens, which
// cannot be before all have read it here.
int simt_syncthreads_reduce(int how, int predicate, int line)
{
    Worker *w = simt_worker;
    w->current->vote = predicate != 0;
    wait_at_barrier(0, 0, line, CALLER);
    int votes = w->votes;
    if (how == SIMT_AND)
        return votes == launch.threads;
    return how == SIMT_OR ? votes > 0 : votes;
}

// --- the warp --------------------------------------------------------------------------------

static const char *const meeting_name[] = {"__syncwarp", "a shuffle", "a vote", "mma", "ldmatrix"};

// Brings `bytes` to a meeting of the lanes in `mask`; returns what everybody brought.
static unsigned char (*meet_lanes(Meeting meeting, uint32_t mask, const void *bring, size_t bytes,
                                  int line, uintptr_t pc))[DEPOSIT]
{
    Thread *t = simt_worker->current;
    if (!(mask & bit_of(t)))
        report(ERROR_LAUNCH, "WRONG MASK", t, pc,
               "lane %d calls %s with mask %08x, in which its own bit is missing", t->lane,
               meeting_name[meeting], mask);
    t->meeting = meeting;
    t->mask = (mask | bit_of(t)) & t->warp->all;
    t->line = line;
    t->wait_pc = pc;
    if (bytes)
        memcpy(t->deposit, bring, bytes);
    thread_waits(t, AT_COLLECTIVE);
    return t->warp->deposit;
}

unsigned char (*simt_meet(int meeting, const void *bring, size_t bytes, int line,
                          uintptr_t pc))[DEPOSIT]
{
    return meet_lanes((Meeting)meeting, ~0u, bring, bytes, line, pc);
}

// Waits for the lanes of the mask, and orders what they did to memory (see count_meeting).
void simt_syncwarp(uint32_t mask, int line)
{
    meet_lanes(SYNCWARP, mask, NULL, 0, line, CALLER);
}

// The lane whose value `lane` gets. Segments of `width` lanes shuffle among themselves; who
// would look beyond his segment gets his own value.
static int source_lane(int how, int lane, int b, int width)
{
    int first = lane & ~(width - 1), from = lane;
    if (how == SIMT_FROM)
        return first + (b & (width - 1));
    if (how == SIMT_UP)
        from = lane - b;
    else if (how == SIMT_DOWN)
        from = lane + b;
    else
        from = lane ^ b;
    if (how == SIMT_XOR) // may look at lower segments, but not at higher ones
        return from < first + width ? from : lane;
    return first <= from && from < first + width ? from : lane;
}

// CUDA C++ Programming Guide, "Warp Shuffle Functions": the value of another lane, which must
// take part in the same call. Nothing is said about memory.
uint32_t simt_shuffle(int how, uint32_t mask, uint32_t value, int b, int width, int line)
{
    Thread *t = simt_worker->current;
    unsigned char(*brought)[DEPOSIT] = meet_lanes(SHUFFLE, mask, &value, 4, line, CALLER);
    if (width < 1 || width > LANES || width & (width - 1)) {
        report(ERROR_LAUNCH, "WRONG WIDTH", t, CALLER,
               "a shuffle of %d lanes: the width must be 1, 2, 4, 8, 16 or 32", width);
        return value;
    }
    int from = source_lane(how, t->lane, b, width);
    if (from < 0 || from >= LANES || !(t->came & 1u << from)) // or has returned
        report(ERROR_LAUNCH, "SHUFFLE FROM NOBODY", t, CALLER,
               "lane %d asks for the value of lane %d, which does not take part (here: %08x)",
               t->lane, from, t->came);
    else
        memcpy(&value, brought[from], 4);
    return value;
}

// CUDA C++ Programming Guide, "Warp Vote Functions": a bit for every lane that said yes.
uint32_t simt_vote(int how, uint32_t mask, int predicate, int line)
{
    Thread *t = simt_worker->current;
    uint32_t votes = 0;
    unsigned char(*brought)[DEPOSIT] = meet_lanes(VOTE, mask, &predicate, 4, line, CALLER);
    for (uint32_t m = t->came; m; m &= m - 1) {
        int yes;
        memcpy(&yes, brought[__builtin_ctz(m)], 4);
        votes |= yes ? 1u << __builtin_ctz(m) : 0;
    }
    if (how == SIMT_ALL)
        return votes == t->came;
    return how == SIMT_ANY ? votes != 0 : votes;
}

// CUDA C++ Programming Guide, "Warp Match Functions".
uint32_t simt_match(uint32_t mask, uint64_t value, int line, int *all)
{
    Thread *t = simt_worker->current;
    uint32_t same = 0;
    unsigned char(*brought)[DEPOSIT] = meet_lanes(VOTE, mask, &value, sizeof value, line, CALLER);
    for (uint32_t m = t->came; m; m &= m - 1)
        same |= memcmp(brought[__builtin_ctz(m)], &value, sizeof value) == 0 ? m & -m : 0;
    if (all)
        *all = same == t->came;
    return same;
}

static uint32_t reduce(int how, uint32_t a, uint32_t b)
{
    switch (how) {
    case SIMT_SUM: return a + b;
    case SIMT_MIN: return a < b ? a : b;
    case SIMT_MAX: return a < b ? b : a;
    case SIMT_BITS_AND: return a & b;
    case SIMT_BITS_OR: return a | b;
    default: return a ^ b;
    }
}

// CUDA C++ Programming Guide, "Warp Reduce Functions" (from sm_80 on).
uint32_t simt_reduce(int how, uint32_t mask, uint32_t value, int line)
{
    Thread *t = simt_worker->current;
    unsigned char(*brought)[DEPOSIT] = meet_lanes(VOTE, mask, &value, 4, line, CALLER);
    for (uint32_t m = t->came & ~bit_of(t); m; m &= m - 1) {
        uint32_t other;
        memcpy(&other, brought[__builtin_ctz(m)], 4);
        value = reduce(how, value, other);
    }
    return value;
}

// The lanes that stand here together, as at an access. In a fast build only those do that came
// without waiting on the way; a GPU promises nothing, either (CUDA C++ Programming Guide, "Warp
// Vote Functions"): kernels that need to know should pass masks themselves.
uint32_t simt_activemask(void)
{
    Thread *t = simt_worker->current;
    t->pc = CALLER;
    t->kind = LOOK;
    thread_waits(t, AT_ACCESS);
    return t->came;
}
