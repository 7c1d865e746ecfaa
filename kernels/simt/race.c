// Races: two threads touch the same bytes, one of them writes, and nothing orders the two.
//
// What orders them is followed with vector clocks, as in FastTrack (Flanagan and Freund, 2009).
// Each warp has a clock for every warp of its block: clock[i] tells up to which of its own
// moments warp i is known to have finished. A barrier makes everybody know everything and begins
// a new moment. An access is ordered after another one if that one's moment is known.
// Within a warp a new moment begins with each __syncwarp or barrier; before it, lanes are
// unordered: since Volta they need not run in lockstep.

#define _GNU_SOURCE
#include "inside.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { SEVERAL = 32, ENOUGH = 100 }; // more than one lane; reports worth printing

// What is known about 2^granule bytes of shared memory.
struct Cell {
    uint32_t stamp;             // of the block for which the rest holds
    uint32_t write_clock;       // 0: not yet written
    uint32_t write_pc, read_pc; // from the program's beginning
    uint8_t write_warp, write_lane, atomic, pending;
    uint32_t read[];            // [warps] clock << 6 | lane of the latest read, or SEVERAL
};

void clock_join(uint32_t *into, const uint32_t *from)
{
    for (int i = 0; i < MAX_WARPS; i++)
        if (from[i] > into[i])
            into[i] = from[i];
}

// --- cells -----------------------------------------------------------------------------------

static size_t cell_bytes(int warps)
{
    return sizeof(Cell) + (size_t)warps * sizeof(uint32_t);
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
    if (!w->cells)
        w->cells = reserve(all_cells());
    else
        madvise(w->cells, all_cells(), MADV_DONTNEED);
    w->stamp = 0;
    w->granule = 2;
}

void race_block(Worker *w)
{
    w->stamp++;
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
    unsigned char old[sizeof(Cell) + MAX_WARPS * sizeof(uint32_t)];
    for (size_t i = (shared_room() >> w->granule) + 1; i-- > 0;) {
        memcpy(old, cell_at(w, i), bytes);
        for (size_t k = 0; k < factor; k++)
            memcpy(cell_at(w, i * factor + k), old, bytes);
    }
    w->granule = granule;
}

static void fit_granule(Worker *w, uintptr_t a, int size)
{
    int granule = size % 4 == 0 && a % 4 == 0 ? 2 : size % 2 == 0 && a % 2 == 0 ? 1 : 0;
    if (granule < w->granule)
        refine(w, granule);
}

// --- shared memory ---------------------------------------------------------------------------

static uint32_t short_pc(uintptr_t pc)
{
    return (uint32_t)(pc - load_address());
}

void race_found(Thread *t, const char *what, uintptr_t a, uintptr_t pc, const char *does,
                  int other, const char *did, uint32_t other_pc)
{
    char place[256], who[32];
    if (t->worker->stats.races++ >= ENOUGH)
        return;
    if (in_arena(a))
        describe_global(place, sizeof place, a);
    else
        describe_shared(place, sizeof place, t->worker, a);
    const char *missing = "a __syncthreads() is missing between them";
    if (other >= 0 && other / LANES == t->warp->index)
        missing = "a __syncwarp() or __syncthreads() is missing between them";
    if (other < -1)
        missing = "blocks run in any order; use atomicAdd, or a second kernel";
    if (other >= 0)
        snprintf(who, sizeof who, "thread %d", other);
    else if (other == -1)
        snprintf(who, sizeof who, "several threads");
    else
        snprintf(who, sizeof who, "block %d", -other - 2);
    report(ERROR_LAUNCH, what, t, pc, "it %s %s, which %s %s at %s, and nothing orders the two: "
           "%s", does, place, who, did, where(other_pc + load_address()), missing);
}

static const char *sort_of_race(const Thread *t, int warp)
{
    return warp == t->warp->index ? "RACE within a warp" : "RACE in shared memory";
}

static void check_write(Thread *t, const Cell *c, uintptr_t a, int kind, uintptr_t pc)
{
    const uint32_t *clock = t->warp->clock;
    int warp = t->warp->index;
    if (!c->write_clock || (kind == SIMT_ATOMIC_SHARED && c->atomic))
        return;
    bool race = c->write_warp == warp
                    ? c->write_clock == clock[warp] && c->write_lane != t->lane
                    : c->write_clock > clock[c->write_warp];
    if (race)
        race_found(t, sort_of_race(t, c->write_warp), a, pc,
                   kind == SIMT_LOAD_SHARED ? "reads" : "writes",
              c->write_warp * LANES + c->write_lane, "wrote", c->write_pc);
}

static void check_reads(Thread *t, const Cell *c, uintptr_t a, uintptr_t pc)
{
    for (int i = 0; i < launch.warps; i++) {
        uint32_t clock = c->read[i] >> 6;
        int lane = (int)(c->read[i] & 63);
        bool race = i == t->warp->index ? clock == t->warp->clock[i] && lane != t->lane
                                        : clock > t->warp->clock[i];
        if (clock && race)
            race_found(t, sort_of_race(t, i), a, pc, "writes",
                       lane == SEVERAL ? -1 : i * LANES + lane, "read", c->read_pc);
    }
}

static void check_state(Thread *t, Cell *c, uintptr_t a, int kind, uintptr_t pc)
{
    char place[256];
    if (!c->pending && (c->write_clock || kind == SIMT_STORE_SHARED))
        return;
    if (t->worker->stats.reports >= ENOUGH)
        return;
    describe_shared(place, sizeof place, t->worker, a);
    if (c->pending)
        report(ERROR_LAUNCH, "TOO EARLY", t, pc, "it %s %s, to which an asynchronous copy, "
               "started at %s, is still on its way: wait for the copy first",
               kind == SIMT_LOAD_SHARED ? "reads" : "writes", place,
               where(c->write_pc + load_address()));
    else
        report(ERROR_LAUNCH, "UNINITIALISED shared memory", t, pc, "it reads %s, which no thread "
               "of this block has written: shared memory begins with anything in it", place);
    c->pending = 0;
}

static void shared_access(Thread *t, uintptr_t a, int size, int kind, uintptr_t pc)
{
    Worker *w = t->worker;
    int me = t->warp->index;
    uint32_t clock = t->warp->clock[me];
    fit_granule(w, a, size);
    size_t offset = (size_t)shared_offset(w, a);
    for (size_t i = offset >> w->granule; i <= (offset + (size_t)size - 1) >> w->granule; i++) {
        Cell *c = fresh_cell(w, i);
        check_state(t, c, a, kind, pc);
        check_write(t, c, a, kind, pc);
        if (kind == SIMT_LOAD_SHARED) {
            bool others = c->read[me] >> 6 == clock && (c->read[me] & 63) != (uint32_t)t->lane;
            c->read[me] = clock << 6 | (others ? SEVERAL : (uint32_t)t->lane);
            c->read_pc = short_pc(pc);
            continue;
        }
        check_reads(t, c, a, pc);
        c->write_clock = clock;
        c->write_warp = (uint8_t)me;
        c->write_lane = (uint8_t)t->lane;
        c->atomic = kind == SIMT_ATOMIC_SHARED;
        c->write_pc = short_pc(pc);
    }
}

// Marks the bytes of a copy that is under way, or has arrived.
void race_async(Worker *w, uintptr_t a, int size, bool pending)
{
    if (!simt_counted || shared_offset(w, a) < 0)
        return;
    size_t offset = (size_t)shared_offset(w, a);
    for (size_t i = offset >> w->granule; i <= (offset + (size_t)size - 1) >> w->granule; i++)
        fresh_cell(w, i)->pending = pending;
}

void race_access(Thread *t, uintptr_t a, int size, int kind, uintptr_t pc)
{
    if (!simt_counted)
        return;
    if (kind >= SIMT_LOAD_SHARED)
        shared_access(t, a, size, kind, pc);
    else
        race_global(t, a, size, kind, pc);
}
