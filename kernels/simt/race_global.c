// Races in global memory. Within a block the clocks decide (clock.c); between two blocks of one
// launch nothing is ordered, unless the kernel does it with a flag (flag.c).
//
// For every 4 bytes we keep the latest write, the latest atomic update, and two of the readers
// since: of different blocks if there were any, else of different warps. Readers of two blocks
// suffice for every write, as it races with one of them. Within a block a write can be missed
// only if it is ordered after these two and not after a third reader.

#define _GNU_SOURCE
#include "inside.h"

#include <string.h>
#include <sys/mman.h>

// One access: whose, when, where, and to which of the 4 bytes.
typedef struct {
    uint32_t block;             // its number + 1, counted over all launches; 0: none
    uint32_t thread : 10, moment : 22;
    uint32_t pc : 28, bytes : 4;
} Access;

typedef struct {
    Access write, update, read, other_read;
} Word;

enum { STRIPES = 1024 };
static Word *words;
static uint32_t first_block = 1; // of this launch; smaller numbers are of launches long ended
static atomic_flag lock[STRIPES];

// Words are not cleared between launches: a launch's blocks have numbers of their own, and
// smaller ones are over. All that a kernel did is done before the next one begins.
void race_launch(void)
{
    static uint32_t blocks; // of the launch before
    if (!simt_counted)
        return;
    flag_launch();
    if (!words)
        words = reserve(ARENA / 4 * sizeof *words);
    if (first_block > UINT32_MAX / 2) { // begin anew before the numbers run out
        madvise(words, ARENA / 4 * sizeof *words, MADV_DONTNEED);
        first_block = 1;
        blocks = 0;
    }
    first_block += blocks;
    blocks = launch.blocks;
}

// --- two accesses ----------------------------------------------------------------------------

// Within a block by the clocks; else only by a flag.
static bool ordered(const Thread *t, const Access *before)
{
    unsigned block = before->block - first_block;
    if (block == t->worker->block && clock_knows(t, (int)before->thread, before->moment))
        return true;
    return flag_orders(t, block, (int)before->thread, before->moment);
}

// Reports two accesses to the same bytes, of the same launch, that nothing orders.
static void check(Thread *t, const Access *before, const Access *now, uintptr_t a, uintptr_t pc,
                  const char *does, const char *did)
{
    if (before->block < first_block || !(before->bytes & now->bytes) || ordered(t, before))
        return;
    bool same_block = before->block == now->block;
    race_found(t, same_block ? "RACE in global memory" : "RACE between blocks", a,
               (Deed){t->index, does, pc, PLAIN},
               (Deed){same_block ? (int)before->thread : -1 - (int)(before->block - first_block),
                      did, before->pc + load_address(), PLAIN});
}

// How much a reader tells beside the latest one: 0 nothing, for who is ordered after the latest
// is ordered after it.
static int worth(const Thread *t, const Access *r, const Access *latest)
{
    if (r->block < first_block || !r->bytes)
        return 0;
    if (r->block != latest->block)
        return 3;
    if (r->thread == latest->thread || clock_knows(t, (int)r->thread, r->moment))
        return 0;
    return r->thread / LANES != latest->thread / LANES ? 2 : 1;
}

static void note_read(const Thread *t, Word *w, Access now)
{
    if (worth(t, &w->read, &now) >= worth(t, &w->other_read, &now))
        w->other_read = w->read;
    w->read = now;
}

// Readers of these bytes are forgotten: what follows the write follows them.
static void note_write(Word *w, Access now)
{
    Access *read[] = {&w->read, &w->other_read, &w->update};
    for (int i = 0; i < 3; i++)
        if (!(read[i]->bytes & ~now.bytes))
            read[i]->block = 0;
    w->write = now;
}

// --- an access -------------------------------------------------------------------------------

// The lock of this word is held.
static void note(const Thread *t, Word *w, Access now, int kind)
{
    if (kind == SIMT_LOAD_GLOBAL)
        note_read(t, w, now);
    else if (kind == SIMT_STORE_GLOBAL)
        note_write(w, now);
    else
        w->update = now;
}

// The word is locked for as long as it is copied and changed; it is judged afterwards.
static void word_access(Thread *t, size_t i, unsigned bytes, int kind, uintptr_t a, uintptr_t pc)
{
    Access now = {.block = first_block + t->worker->block, .thread = (uint32_t)t->index & 1023u,
                  .moment = t->moment & 0x3fffffu,
                  .pc = (uint32_t)(pc - load_address()) & 0xfffffffu, .bytes = bytes & 15u};
    static const char *const verb[] = {"reads", "writes", "updates"};
    const char *does = verb[kind - SIMT_LOAD_GLOBAL];
    while (atomic_flag_test_and_set_explicit(&lock[i / 8 % STRIPES], memory_order_acquire))
        ; // another OS thread is at it, for a few nanoseconds
    Word before = words[i];
    note(t, &words[i], now, kind);
    atomic_flag_clear_explicit(&lock[i / 8 % STRIPES], memory_order_release);
    check(t, &before.write, &now, a, pc, does, "wrote");
    if (kind != SIMT_ATOMIC_GLOBAL) // two atomics never race
        check(t, &before.update, &now, a, pc, does, "updated");
    if (kind == SIMT_LOAD_GLOBAL)
        return;
    check(t, &before.read, &now, a, pc, does, "read");
    check(t, &before.other_read, &now, a, pc, does, "read");
}

// Word by word, with a bit for each of its bytes that is touched.
void race_global(Thread *t, uintptr_t a, int size, int kind, uintptr_t pc)
{
    uintptr_t offset = a - (uintptr_t)simt_arena, end = offset + (uintptr_t)size;
    for (uintptr_t at = offset, next; at < end; at = next) {
        next = (at / 4 + 1) * 4 < end ? (at / 4 + 1) * 4 : end;
        unsigned bytes = ((1u << (next - at)) - 1) << at % 4;
        word_access(t, at / 4, bytes, kind, (uintptr_t)simt_arena + at, pc);
    }
}
