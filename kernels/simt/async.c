// Copies in the background. On the GPU they arrive some time before the wait returns; here at
// the last possible moment, and until then the destination is poison: who does not wait gets
// NaN, and in the counted build a report.
//
//   cp.async        a thread's own copies, in groups, with its own wait
//   cp.async.bulk   a copy that reports its bytes to an mbarrier (Hopper)
//   mbarrier        a phase ends when all arrivals and all expected bytes are in

#include "inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BARRIERS = 256, BULKS = 1024 };

struct Copy {
    char *to;
    const char *from;
    int bytes, valid, group;
};

typedef struct {
    uintptr_t address;
    unsigned arrivals, missing, phase;
    long bytes;                 // expected and not yet arrived; below 0 if the data was faster
    Clock *known;               // what a thread that has waited for the latest phase knows
    Clock *next;                // gathered for the phase under way
} Barrier;

typedef struct {
    char *to;
    const char *from;
    unsigned bytes;
    Barrier *barrier;
    Clock *known;               // what the thread that asked for it knew
} Bulk;

struct Async {
    Barrier barrier[BARRIERS];
    Bulk bulk[BULKS];
    int barriers, bulks;
};

void async_worker(Worker *w)
{
    w->async = calloc(1, sizeof *w->async);
    if (!w->async)
        abort();
}

// A new block: its mbarriers and copies are its own.
void async_block(Worker *w)
{
    w->async->barriers = w->async->bulks = 0;
}

// --- cp.async --------------------------------------------------------------------------------

// The destination is poison from now on; the source is read when the copy lands, as on a GPU it
// may be (PTX ISA, "cp.async": no order before the wait). Bounds are checked at once, where the
// line is known.
void simt_cp_async(void *shared, const void *global, int n, int valid, int line)
{
    Thread *t = simt_worker->current;
    uintptr_t pc = CALLER;
    (void)line;
    if ((n != 4 && n != 8 && n != 16) || valid < 0 || valid > n) {
        report(ERROR_LAUNCH, "WRONG cp.async", t, pc, "it copies %d bytes, of which %d are valid: "
               "4, 8 or 16 bytes can be copied", n, valid);
        return;
    }
    if (valid)
        access_memory((uintptr_t)global, valid, SIMT_READ, pc);
    access_memory((uintptr_t)shared, n, SIMT_WRITE, pc);
    memset(shared, 0xff, (size_t)n);
    race_async(t->worker, (uintptr_t)shared, n, ASYNC_COPY);
    if (t->copy_count == t->copy_room) {
        t->copy_room = t->copy_room ? 2 * t->copy_room : 16;
        t->copies = realloc(t->copies, (size_t)t->copy_room * sizeof *t->copies);
        if (!t->copies)
            abort();
    }
    t->copies[t->copy_count++] = (Copy){shared, global, n, valid, t->group};
}

// Counts groups, rather than keeping lists: a copy knows the number of its own.
void simt_cp_commit(void)
{
    simt_worker->current->group++;
}

// A copy arrives. For races it is a write of the waiting thread, at the wait: before that, its
// bytes are pending, and after it, they are this thread's alone until all meet.
static void land(Thread *t, const Copy *c, uintptr_t pc)
{
    memcpy(c->to, c->from, (size_t)c->valid);
    memset(c->to + c->valid, 0, (size_t)(c->bytes - c->valid));
    race_async(t->worker, (uintptr_t)c->to, c->bytes, PLAIN);
    if (pc) // the moment from which on it must be ordered before others' reads
        race_shared(t, (uintptr_t)c->to, c->bytes, SIMT_STORE_SHARED, ASYNC_COPY, pc);
}

// Waits until at most `groups` of the latest groups are under way. Copies that were not yet
// closed into a group by a commit are in none, and are not waited for.
void simt_cp_wait(int groups, int line)
{
    Thread *t = simt_worker->current;
    int left = 0;
    (void)line;
    for (int i = 0; i < t->copy_count; i++)
        if (t->copies[i].group < t->group - groups)
            land(t, &t->copies[i], CALLER);
        else
            t->copies[left++] = t->copies[i];
    t->copy_count = left;
}

// A thread that returns without a wait: its copies arrive, so that nothing is left for the next
// block.
void async_thread_ends(Thread *t)
{
    for (int i = 0; i < t->copy_count; i++)
        land(t, &t->copies[i], 0);
    t->copy_count = 0;
}

// --- mbarrier --------------------------------------------------------------------------------

// Blocks have few mbarriers, two for a stage of a ring: a search is quick enough.
static Barrier *find_barrier(Worker *w, const void *p)
{
    for (int i = 0; i < w->async->barriers; i++)
        if (w->async->barrier[i].address == (uintptr_t)p)
            return &w->async->barrier[i];
    return NULL;
}

// The mbarrier at p, which somebody must have initialised, and of whose init the caller must
// know.
static Barrier *known_barrier(Thread *t, const void *p, uintptr_t pc)
{
    Barrier *b = find_barrier(t->worker, p);
    if (!b) {
        report(ERROR_ADDRESS, "UNINITIALISED mbarrier", t, pc,
               "no thread of this block has called mbarrier.init for this address yet");
        thread_gives_up(t->worker);
    }
    race_shared(t, (uintptr_t)p, 8, SIMT_LOAD_SHARED, MBARRIER, pc);
    return b;
}

// PTX ISA, "mbarrier.init": 64 bits of shared memory, and the number of arrivals that end a
// phase. What a GPU packs into these bits lies in the emulator's own table; the word itself stays
// as it is.
void simt_mbar_init(uint64_t *bar, unsigned arrivals, int line)
{
    Thread *t = simt_worker->current;
    Async *async = t->worker->async;
    Barrier *b = find_barrier(t->worker, bar);
    (void)line;
    if (access_kind(t, (uintptr_t)bar, 8, SIMT_WRITE, CALLER) != SIMT_STORE_SHARED ||
        async->barriers == BARRIERS || arrivals == 0) {
        report(ERROR_ADDRESS, "WRONG mbarrier", t, CALLER, "an mbarrier lies in shared memory and "
               "waits for at least one arrival; a block has at most %d", BARRIERS);
        thread_gives_up(t->worker);
    }
    race_access(t, (uintptr_t)bar, 8, SIMT_STORE_SHARED, CALLER);
    if (b)
        clock_drop(t->worker, &b->known), clock_drop(t->worker, &b->next);
    else
        b = &async->barrier[async->barriers++];
    *b = (Barrier){.address = (uintptr_t)bar, .arrivals = arrivals, .missing = arrivals};
}

// A phase ends when nothing is missing: no arrival, no byte. The next one begins at once, with
// the other parity, and who waited for this one learns what all arrivals knew.
static void end_phase(Worker *w, Barrier *b)
{
    if (b->missing || b->bytes)
        return;
    b->phase ^= 1;
    b->missing = b->arrivals;
    clock_join(w, &b->known, b->next);
    w->progress++;
}

// Arrives, and first announces `expected_bytes` more that the phase has to wait for.
void simt_mbar_arrive(uint64_t *bar, unsigned expected_bytes, int line)
{
    Thread *t = simt_worker->current;
    Barrier *b = known_barrier(t, bar, CALLER);
    (void)line;
    if (!b->missing) {
        report(ERROR_LAUNCH, "TOO MANY ARRIVALS", t, CALLER, "the mbarrier waits for %u arrivals "
               "a phase: they are all in, but its bytes are not, and the phase has not ended",
               b->arrivals);
        return;
    }
    b->bytes += expected_bytes;
    clock_give(t, &b->next); // what this lane did, not what its warp did
    b->missing--;
    t->worker->progress++;
    end_phase(t->worker, b);
}

// True if the phase of this parity has ended. Otherwise waits a while first, and says false.
int simt_mbar_try_wait(uint64_t *bar, unsigned parity, int line)
{
    Thread *t = simt_worker->current;
    Barrier *b = known_barrier(t, bar, CALLER);
    if (b->phase == (parity & 1)) {
        t->line = line;
        t->wait_pc = CALLER;
        t->mbarrier = (uintptr_t)bar;
        thread_waits(t, AT_MBARRIER);
    }
    if (b->phase == (parity & 1))
        return 0;
    clock_take(t, b->known);
    return 1;
}

// Reports of races speak of mbarriers only where the block has some.
bool async_has_barriers(const Worker *w)
{
    return w->async->barriers > 0;
}

// "its phase 0 lacks 1 of 96 arrivals and 256 bytes": why a thread still waits.
void async_describe(char *out, size_t room, const Thread *t)
{
    const Barrier *b = find_barrier(t->worker, (const void *)t->mbarrier);
    if (b)
        snprintf(out, room, ", whose phase of parity %u lacks %u of %u arrivals and %ld bytes",
                 b->phase, b->missing, b->arrivals, b->bytes);
    else
        out[0] = 0;
}

// --- cp.async.bulk ---------------------------------------------------------------------------

// The one lane that asks reads all the bytes: counted as requests of 32 times 16 bytes.
static void count_bulk(Thread *t, uintptr_t from, unsigned n, uintptr_t pc)
{
    uintptr_t address[LANES];
    t->pc = pc;
    t->size = 16;
    t->kind = SIMT_LOAD_GLOBAL;
    for (unsigned done = 0, lanes; simt_counted && done < n; done += 16 * lanes) {
        lanes = (n - done) / 16 < LANES ? (n - done) / 16 : LANES;
        for (unsigned i = 0; i < lanes; i++) {
            address[i] = from + done + 16 * i;
            race_access(t, address[i], 16, SIMT_LOAD_GLOBAL, pc);
        }
        account_request(t->worker, t->warp, t, lanes == LANES ? ~0u : (1u << lanes) - 1, address);
    }
}

// PTX ISA, "cp.async.bulk": sizes and addresses are multiples of 16. One lane asks; the copy
// engine, another actor, writes. So what it overwrites must be ordered before the lane's asking,
// and what it wrote is known to those only who waited at its mbarrier.
void simt_bulk_copy(void *shared, const void *global, unsigned n, uint64_t *bar, int line)
{
    Thread *t = simt_worker->current;
    Worker *w = t->worker;
    uintptr_t pc = CALLER;
    Barrier *b = known_barrier(t, bar, pc);
    (void)line;
    if (n % 16 || (uintptr_t)shared % 16 || (uintptr_t)global % 16) {
        report(ERROR_MISALIGNED, "MISALIGNED bulk copy", t, pc,
               "size and both addresses must be multiples of 16, size is %u", n);
        thread_gives_up(w);
    }
    access_kind(t, (uintptr_t)global, (int)n, SIMT_READ, pc);
    access_kind(t, (uintptr_t)shared, (int)n, SIMT_WRITE, pc);
    if (w->async->bulks == BULKS)
        async_lands(w);
    count_bulk(t, (uintptr_t)global, n, pc);
    race_shared(t, (uintptr_t)shared, (int)n, SIMT_STORE_SHARED, BULK_COPY, pc);
    race_async(w, (uintptr_t)shared, (int)n, BULK_COPY);
    memset(shared, 0xff, n);
    Bulk *c = &w->async->bulk[w->async->bulks++];
    *c = (Bulk){.to = shared, .from = global, .bytes = n, .barrier = b};
    clock_give(t, &c->known);
}

// The copy engine works when no warp can: later than any kernel should rely on.
bool async_lands(Worker *w)
{
    Async *async = w->async;
    bool any = async->bulks > 0;
    for (int i = 0; i < async->bulks; i++) {
        Bulk *c = &async->bulk[i];
        memcpy(c->to, c->from, c->bytes);
        race_async(w, (uintptr_t)c->to, (int)c->bytes, PLAIN);
        clock_join(w, &c->barrier->next, c->known);
        clock_drop(w, &c->known);
        c->barrier->bytes -= (long)c->bytes;
        end_phase(w, c->barrier);
    }
    async->bulks = 0;
    return any;
}
