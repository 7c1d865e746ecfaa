// Races in global memory: within a block by the clocks of race.c; between blocks always, for
// nothing orders two blocks of one launch.
//
// For every 4 bytes we know the latest write and the latest read: enough to be never wrong in
// what is reported, though of several readers only the last one is remembered.

#define _GNU_SOURCE
#include "inside.h"

#include <string.h>
#include <sys/mman.h>

// One access: whose, when, where, and to which of the 4 bytes.
typedef struct {
    uint32_t block;             // its number + 1, counted over all launches; 0: none
    uint32_t thread : 10, atomic : 1, clock : 21;
    uint32_t pc : 28, bytes : 4;
} Access;

typedef struct {
    Access write, read;
} Word;

enum { STRIPES = 1024 };
static Word *words;
static uint32_t first_block = 1; // of this launch; smaller numbers are of launches long ended
static atomic_flag lock[STRIPES];

void race_launch(void)
{
    static uint32_t blocks; // of the launch before
    if (!simt_counted)
        return;
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

static bool ordered(const Thread *t, const Access *before)
{
    if (before->block != first_block + t->worker->block)
        return false;
    int warp = (int)before->thread / LANES, lane = (int)before->thread % LANES;
    uint32_t known = t->warp->clock[warp];
    return warp == t->warp->index ? before->clock < known || lane == t->lane
                                  : before->clock <= known;
}

static void check(Thread *t, const Access *before, const Access *now, uintptr_t a, uintptr_t pc,
                  const char *does, const char *did)
{
    if (before->block < first_block || !(before->bytes & now->bytes) || ordered(t, before) ||
        (before->atomic && now->atomic))
        return;
    bool same_block = before->block == now->block;
    race_found(t, same_block ? "RACE in global memory" : "RACE between blocks", a, pc, does,
               same_block ? (int)before->thread : -(int)(before->block - first_block) - 2, did,
               before->pc);
}

static void word_access(Thread *t, size_t i, unsigned bytes, int kind, uintptr_t a, uintptr_t pc)
{
    uint32_t clock = t->warp->clock[t->warp->index];
    Access now = {.block = first_block + t->worker->block, .thread = (uint32_t)t->index & 1023u,
                  .atomic = kind == SIMT_ATOMIC_GLOBAL, .clock = clock & 0x1fffffu,
                  .pc = (uint32_t)(pc - load_address()) & 0xfffffffu, .bytes = bytes & 15u};
    Word before = words[i];
    if (kind == SIMT_LOAD_GLOBAL) {
        words[i].read = now;
    } else {
        words[i].write = now;
    }
    atomic_flag_clear_explicit(&lock[i / 8 % STRIPES], memory_order_release);
    check(t, &before.write, &now, a, pc, kind == SIMT_LOAD_GLOBAL ? "reads" : "writes", "wrote");
    if (kind != SIMT_LOAD_GLOBAL)
        check(t, &before.read, &now, a, pc, "writes", "read");
}

void race_global(Thread *t, uintptr_t a, int size, int kind, uintptr_t pc)
{
    uintptr_t offset = a - (uintptr_t)simt_arena, end = offset + (uintptr_t)size;
    for (uintptr_t at = offset, next; at < end; at = next) {
        next = (at / 4 + 1) * 4 < end ? (at / 4 + 1) * 4 : end;
        unsigned bytes = ((1u << (next - at)) - 1) << at % 4;
        while (atomic_flag_test_and_set_explicit(&lock[at / 4 / 8 % STRIPES],
                                                 memory_order_acquire))
            ; // another OS thread is at it, for a few nanoseconds
        word_access(t, at / 4, bytes, kind, (uintptr_t)simt_arena + at, pc);
    }
}
