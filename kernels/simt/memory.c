// The device's memory: one stretch of addresses, in which cudaMalloc takes block after block and
// never the same one twice. Between two blocks lies a red zone that belongs to nobody, so that
// an index just past the end is found. New memory is poison: every float in it is a NaN.

#define _GNU_SOURCE
#include "inside.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { RED_ZONE = 512, ALIGN = 256 };  // bytes; cudaMalloc aligns to 256, too
#define HOME ((void *)0x500000000000)  // addresses that are the same in every run, where free

typedef struct {
    uintptr_t from, to;
    bool live;
    uintptr_t caller;
} Allocation;

char *simt_arena;
static size_t used;
static Allocation *table; // sorted by address, as addresses only grow
static int count, room;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// NORESERVE: gigabytes of addresses cost nothing until they are written.
static void *map(void *wish, size_t bytes)
{
    void *p = mmap(wish, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        perror("simt: cannot reserve addresses");
        exit(5);
    }
    return p;
}

// Addresses without memory behind them: a page comes when it is first written.
void *reserve(size_t bytes)
{
    return map(NULL, bytes);
}

// Whoever works for the device (a launch, a copy, cuBLAS) opens its memory and closes it behind
// itself. A host that follows a pointer to it in between ends as it would with a GPU, and stop.c
// says why. A fast build leaves it open: some microseconds for every copy are too many there.
static void protect(int step, int protection)
{
    static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
    static int inside;
    if (!simt_counted)
        return;
    pthread_mutex_lock(&door);
    int alone = step > 0 ? inside == 0 : inside == 1;
    inside += step;
    if (simt_arena && alone && mprotect(simt_arena, ARENA, protection) != 0)
        perror("simt: cannot protect the device's memory");
    pthread_mutex_unlock(&door);
}

void simt_open_memory(void)
{
    protect(1, PROT_READ | PROT_WRITE);
}

void simt_close_memory(void)
{
    protect(-1, PROT_NONE);
}

// One subtraction: below the arena the difference wraps round and is large.
bool in_arena(uintptr_t a)
{
    return simt_arena && a - (uintptr_t)simt_arena < ARENA;
}

size_t arena_used(void)
{
    return used;
}

// Behind everything that was ever given, plus a red zone. Addresses are not used again while
// anything is allocated: who keeps a pointer to freed memory finds nobody else's data there, but
// a report.
void *simt_malloc(size_t bytes, const void *caller)
{
    pthread_mutex_lock(&lock);
    if (!simt_arena) {
        simt_arena = map(HOME, ARENA);
        watch_begin(); // for a host that touches it
    }
    size_t at = (used + RED_ZONE + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    size_t end = simt_memory_total();
    void *p = NULL;
    if (at + RED_ZONE < end && bytes <= end - RED_ZONE - at) {
        if (count == room) {
            room = room ? 2 * room : 64;
            table = realloc(table, (size_t)room * sizeof *table);
            if (!table)
                abort();
        }
        p = simt_arena + at;
        used = at + bytes;
        simt_open_memory();
        memset(p, 0xff, bytes);
        simt_close_memory();
        table[count++] = (Allocation){(uintptr_t)p, (uintptr_t)p + bytes, true, (uintptr_t)caller};
    }
    pthread_mutex_unlock(&lock);
    return p;
}

// The last allocation that begins at or before a; -1 without one.
static int allocation_at(uintptr_t a)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (table[middle].from <= a)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

// Freed memory is poison again.
static void discard(Allocation *block)
{
    block->live = false;
    // Whole pages go back to the operating system; the addresses stay forbidden.
    uintptr_t from = (block->from + 4095) & ~(uintptr_t)4095, to = block->to & ~(uintptr_t)4095;
    simt_open_memory();
    if (from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
    else
        memset((void *)block->from, 0xff, block->to - block->from);
    simt_close_memory();
}

// -1: no allocation begins here, or it was freed before.
int simt_free(void *p)
{
    int i = allocation_at((uintptr_t)p);
    if (!p)
        return 0;
    if (i < 0 || table[i].from != (uintptr_t)p || !table[i].live)
        return -1;
    discard(&table[i]);
    // With nothing left, begin anew: long runs of tests must not use up the addresses.
    while (count && !table[count - 1].live)
        count--;
    used = count ? table[count - 1].to - (uintptr_t)simt_arena : 0;
    return 0;
}

// For cudaDeviceReset.
void simt_free_all(void)
{
    for (int i = 0; i < count; i++)
        if (table[i].live)
            discard(&table[i]);
    count = 0;
    used = 0;
}

int simt_is_device(const void *p)
{
    return in_arena((uintptr_t)p);
}

// Do all the bytes lie in one live allocation? Asked at every access: each OS thread remembers
// its latest answer.
bool allocated(uintptr_t a, size_t bytes)
{
    static __thread int latest; // most accesses are near the one before
    int i = latest;
    if (i >= count || a < table[i].from || a >= table[i].to)
        latest = i = allocation_at(a) < 0 ? 0 : allocation_at(a);
    return i < count && table[i].live && table[i].from <= a && a + bytes <= table[i].to;
}

int simt_range_is_allocated(const void *p, size_t bytes)
{
    return allocated((uintptr_t)p, bytes);
}

// The whole arena, unless SIMT_MEMORY asks for a smaller device.
size_t simt_memory_total(void)
{
    settings_read();
    return settings.memory < ARENA ? settings.memory : ARENA;
}

// What cudaMemGetInfo says: freed memory in the middle does not count, as it is not given again.
size_t simt_memory_free(void)
{
    return simt_memory_total() > used ? simt_memory_total() - used : 0;
}

// "byte 512 of the 512 that cudaMalloc gave at host.c:12"
void describe_global(char *out, size_t bytes, uintptr_t a)
{
    int i = allocation_at(a);
    if (i < 0 || a - table[i].to > ARENA / 2)
        i = i < 0 ? 0 : i;
    if (!count)
        snprintf(out, bytes, "an address where nothing is allocated");
    else if (i + 1 < count && a >= table[i].to && table[i + 1].from - a < a - table[i].to)
        snprintf(out, bytes, "%lu bytes before the %lu bytes allocated at %s",
                 (unsigned long)(table[i + 1].from - a),
                 (unsigned long)(table[i + 1].to - table[i + 1].from), where(table[i + 1].caller));
    else if (a < table[i].from)
        snprintf(out, bytes, "%lu bytes before the %lu bytes allocated at %s",
                 (unsigned long)(table[i].from - a), (unsigned long)(table[i].to - table[i].from),
                 where(table[i].caller));
    else
        snprintf(out, bytes, "byte %lu of the %lu bytes allocated at %s%s",
                 (unsigned long)(a - table[i].from), (unsigned long)(table[i].to - table[i].from),
                 where(table[i].caller), table[i].live ? "" : " and freed since");
}

// After everything else that runs at exit, for that may free memory.
__attribute__((destructor)) static void warn_unfreed(void)
{
    if (simt_get_error(0)) // a program that was stopped could not clean up
        return;
    for (int i = 0; i < count; i++)
        if (table[i].live)
            fprintf(stderr, "simt: UNFREED device memory: %lu bytes, allocated at %s\n",
                    (unsigned long)(table[i].to - table[i].from), where(table[i].caller));
}
