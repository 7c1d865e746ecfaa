// Races in shared memory: two threads touch the same bytes, one of them writes, and neither knows
// of the other (clock.c). Also reads of what nobody has written, and reads that come before a copy
// in the background has landed.
//
// For every 4 bytes (or 2, or 1, once something that small is touched) a cell holds the latest
// write, the latest atomic update, and, of every warp, the lanes that have read since. That is
// enough: an older write that nothing orders would have been reported when the newer one came.

#define _GNU_SOURCE
#include "inside.h"

#include <string.h>
#include <sys/mman.h>

enum { ENOUGH = 100, SPREADS = 1 << 16 }; // reports worth printing; lanes' moments apart

// The latest of its sort. moment 0: none.
typedef struct {
    uint32_t moment, pc;        // pc: from the program's beginning
    uint16_t thread;
    uint16_t means;
} Past;

// Which lanes of a warp have read, and in which moment. If their moments differ, they lie in
// worker->spread[moment - APART].
typedef struct {
    uint32_t lanes, moment;
} Reads;
#define APART 0x80000000u

struct Cell {
    uint32_t stamp;             // of the block for which the rest holds
    uint32_t read_pc;
    Past write, update;
    uint32_t pending;           // Means of a copy that is on its way
    Reads read[];               // [warps]
};

// --- cells -----------------------------------------------------------------------------------

// Cells have room for as many warps as the launch has: small blocks, small cells.
static size_t cell_bytes(int warps)
{
    return sizeof(Cell) + (size_t)warps * sizeof(Reads);
}

static size_t all_cells(void)
{
    return (shared_room() + 16) * cell_bytes(MAX_WARPS);
}

// Once for every launch: a cell's size depends on the number of warps.
void race_worker(Worker *w)
{
    if (!simt_counted)
        return;
    if (!w->cells) {
        w->cells = reserve(all_cells());
        w->spread = reserve(SPREADS * LANES * sizeof *w->spread);
    } else {
        madvise(w->cells, all_cells(), MADV_DONTNEED);
    }
    w->stamp = 0;
    w->granule = 2;
}

// Cells of earlier blocks are stale by their stamp; nothing has to be cleared.
void race_block(Worker *w)
{
    w->stamp++;
    w->spreads = 0;
    clock_block(w);
    flag_block(w);
}

static Cell *cell_at(const Worker *w, size_t i)
{
    return (Cell *)(void *)((char *)w->cells + i * cell_bytes(launch.warps));
}

static Cell *fresh_cell(const Worker *w, size_t i)
{
    Cell *c = cell_at(w, i);
    if (c->stamp != w->stamp) {
        memset(c, 0, cell_bytes(launch.warps));
        c->stamp = w->stamp;
    }
    return c;
}

// The first access smaller than a cell: two halves in one cell would look like one. From here
// on cells are finer. Each new cell knows what the old one knew, which held for all its bytes.
static void refine(Worker *w, int granule)
{
    size_t factor = (size_t)1 << (w->granule - granule), bytes = cell_bytes(launch.warps);
    unsigned char old[sizeof(Cell) + MAX_WARPS * sizeof(Reads)];
    for (size_t i = (shared_room() >> w->granule) + 1; i-- > 0;) {
        memcpy(old, cell_at(w, i), bytes);
        for (size_t k = 0; k < factor; k++)
            memcpy(cell_at(w, i * factor + k), old, bytes);
    }
    w->granule = granule;
}

// 4 bytes to begin with, 2 or 1 from the first access on that is so small or lies so.
static void fit_granule(Worker *w, uintptr_t a, int size)
{
    int granule = size % 4 == 0 && a % 4 == 0 ? 2 : size % 2 == 0 && a % 2 == 0 ? 1 : 0;
    if (granule < w->granule)
        refine(w, granule);
}

// --- an access and those before it -----------------------------------------------------------

// What t does now, for comparison with the past.
typedef struct {
    uintptr_t address, pc;
    int kind;
    Means means;
} Now;

// Is what t does now behind that moment of another thread of its block?
static bool ordered(const Thread *t, int thread, uint32_t moment)
{
    return clock_knows(t, thread, moment) ||
           flag_orders(t, t->worker->block, thread, moment);
}

static void race(Thread *t, const Now *now, int thread, const char *did, uint32_t pc, Means means)
{
    bool own_warp = thread / LANES == t->warp->index;
    const char *does = now->means == MBARRIER ? "uses" : "writes";
    if (now->kind == SIMT_LOAD_SHARED && now->means != MBARRIER)
        does = "reads";
    race_found(t, own_warp ? "RACE within a warp" : "RACE in shared memory", now->address,
               (Deed){t->index, does, now->pc, now->means},
               (Deed){thread, did, pc + load_address(), means});
}

static void check_past(Thread *t, const Past *before, const Now *now)
{
    if (before->moment && !ordered(t, before->thread, before->moment))
        race(t, now, before->thread, "wrote", before->pc, (Means)before->means);
}

// In which moment did this lane read?
static uint32_t moment_of(const Worker *w, const Reads *r, int lane)
{
    return r->moment & APART ? w->spread[(r->moment - APART) * LANES + (uint32_t)lane]
                             : r->moment;
}

// A write must come after every read: of all warps, and of each lane that is still remembered.
static void check_reads(Thread *t, const Cell *c, const Now *now)
{
    for (int i = 0; i < launch.warps; i++)
        for (uint32_t m = c->read[i].lanes; m; m &= m - 1) {
            int lane = __builtin_ctz(m), thread = i * LANES + lane;
            if (ordered(t, thread, moment_of(t->worker, &c->read[i], lane)))
                continue;
            race(t, now, thread, "read", c->read_pc, PLAIN);
            return;
        }
}

// Notes that t reads. Readers of whom t knows can be forgotten: who comes after t comes after
// them. Others of its warp remain, each with a moment of its own if need be.
static void note_read(Thread *t, Cell *c, uintptr_t pc)
{
    Worker *w = t->worker;
    Reads *r = &c->read[t->warp->index];
    uint32_t others = r->lanes & ~bit_of(t);
    c->read_pc = (uint32_t)(pc - load_address());
    if (others && r->moment == t->moment) {
        r->lanes |= bit_of(t);
        return;
    }
    for (uint32_t m = others; m; m &= m - 1) {
        int lane = __builtin_ctz(m);
        if (clock_knows(t, t->warp->index * LANES + lane, moment_of(w, r, lane)))
            others &= ~(1u << lane);
    }
    if (!others || (!(r->moment & APART) && w->spreads == SPREADS)) {
        *r = (Reads){bit_of(t), t->moment};
        return;
    }
    if (!(r->moment & APART)) {
        uint32_t *spread = &w->spread[w->spreads * LANES];
        for (int lane = 0; lane < LANES; lane++)
            spread[lane] = r->moment;
        r->moment = APART + w->spreads++;
    }
    w->spread[(r->moment - APART) * LANES + (uint32_t)t->lane] = t->moment;
    r->lanes = others | bit_of(t);
}

// Reads that came before a write are forgotten: what follows the write follows them. An atomic
// update orders nothing, so that reads before it remain.
static void note_write(Thread *t, Cell *c, const Now *now)
{
    Past past = {t->moment, (uint32_t)(now->pc - load_address()), (uint16_t)t->index,
                 (uint16_t)now->means};
    if (now->kind == SIMT_ATOMIC_SHARED) {
        c->update = past;
        return;
    }
    c->write = past;
    c->update.moment = 0;
    for (int i = 0; i < launch.warps; i++)
        c->read[i].lanes = 0;
}

static const char *pending_wait(uint32_t means)
{
    return means == BULK_COPY
               ? "wait first for the mbarrier to which the copy reports (mbarrier_try_wait)"
               : "wait for the copy first (cp_async_wait), then let all threads meet";
}

// Was the word written at all, and has the copy that will write it landed?
static void check_state(Thread *t, Cell *c, const Now *now)
{
    char place[256];
    bool written = c->write.moment || c->update.moment || now->kind == SIMT_STORE_SHARED;
    if ((!c->pending && written) || t->worker->stats.reports >= ENOUGH)
        return;
    describe_shared(place, sizeof place, t->worker, now->address);
    if (c->pending)
        report(ERROR_LAUNCH, "TOO EARLY", t, now->pc, "it %s %s, to which an asynchronous copy, "
               "started at %s, is still on its way: %s",
               now->kind == SIMT_LOAD_SHARED ? "reads" : "writes", place,
               where(c->write.pc + load_address()), pending_wait(c->pending));
    else
        report(ERROR_LAUNCH, "UNINITIALISED shared memory", t, now->pc, "it reads %s, which no "
               "thread of this block has written yet: shared memory begins with anything in it, "
               "and a barrier may be missing behind the write", place);
    c->pending = PLAIN;
}

// One access of a lane: against the past of each cell it touches, and then it is the past itself.
static void shared_access(Thread *t, int size, const Now *now)
{
    Worker *w = t->worker;
    fit_granule(w, now->address, size);
    size_t offset = (size_t)shared_offset(w, now->address);
    for (size_t i = offset >> w->granule; i <= (offset + (size_t)size - 1) >> w->granule; i++) {
        Cell *c = fresh_cell(w, i);
        check_state(t, c, now);
        check_past(t, &c->write, now);
        if (now->kind != SIMT_ATOMIC_SHARED) // two atomics never race
            check_past(t, &c->update, now);
        if (now->kind == SIMT_LOAD_SHARED) {
            note_read(t, c, now->pc);
            continue;
        }
        check_reads(t, c, now);
        note_write(t, c, now);
    }
}

// --- for the others --------------------------------------------------------------------------

// Marks the bytes of a copy that is under way, or has arrived.
void race_async(Worker *w, uintptr_t a, int size, Means pending)
{
    if (!simt_counted || shared_offset(w, a) < 0)
        return;
    size_t offset = (size_t)shared_offset(w, a);
    for (size_t i = offset >> w->granule; i <= (offset + (size_t)size - 1) >> w->granule; i++)
        fresh_cell(w, i)->pending = pending;
}

void race_shared(Thread *t, uintptr_t a, int size, int kind, Means means, uintptr_t pc)
{
    if (simt_counted)
        shared_access(t, size, &(Now){a, pc, kind, means});
}

// An atomic first tells what its thread has fenced (flag.c), then it is an access as any other.
void race_access(Thread *t, uintptr_t a, int size, int kind, uintptr_t pc)
{
    if (!simt_counted)
        return;
    if (kind == SIMT_ATOMIC_SHARED || kind == SIMT_ATOMIC_GLOBAL)
        flag_release(t, a);
    if (kind >= SIMT_LOAD_SHARED)
        race_shared(t, a, size, kind, PLAIN, pc);
    else
        race_global(t, a, size, kind, pc);
}
