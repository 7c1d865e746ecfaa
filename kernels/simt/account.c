// Counting what a warp asks of the memory.
//
// Global memory answers in sectors of 32 bytes: 32 lanes that read 32 neighbouring floats need
// 4 sectors, 32 lanes that read a column need 32. Shared memory has 32 banks of 4 bytes, and each
// answers once per cycle: a request takes as many wavefronts as the busiest bank has different
// words to give. "Ideal" is what the same bytes would need if they lay well.

#include "inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SITES = 4096, SECTOR = 32, BANKS = 32 };

// One instruction's counts.
struct Site {
    uintptr_t pc;
    simt_count count[SIMT_KINDS];
};

const char *const kind_name[SIMT_KINDS] = {"load global", "store global", "atomic global",
                                           "load shared", "store shared", "atomic shared"};

// A bit for every sector of the arena: touched in this launch? Written by all workers.
static atomic_ullong *seen[2]; // [0] read, [1] written
static size_t seen_words;

// A new launch: this worker's counts at 0, and no sector of the arena touched. Only as many words
// of the two bit maps are cleared as the program has memory.
void account_begin(Worker *w)
{
    memset(&w->stats, 0, sizeof w->stats);
    if (!w->sites)
        w->sites = calloc(SITES, sizeof *w->sites);
    else if (simt_counted)
        memset(w->sites, 0, SITES * sizeof *w->sites);
    if (w->index > 0 || !simt_counted) // the rest is everybody's: once is enough
        return;
    for (int i = 0; i < 2; i++)
        if (!seen[i])
            seen[i] = reserve(ARENA / SECTOR / 8);
    seen_words = arena_used() / SECTOR / 64 + 1;
    memset(seen[0], 0, seen_words * 8);
    memset(seen[1], 0, seen_words * 8);
}

// The counts of one instruction, in a hash table with open addressing. Its key is the return
// address of the compiler's call: that is where a source line is known.
static simt_count *site_of(Worker *w, uintptr_t pc, int kind)
{
    size_t i = (size_t)(pc * 0x9E3779B97F4A7C15u >> 40) % SITES;
    for (int tries = 0; w->sites[i].pc && w->sites[i].pc != pc && tries < SITES; tries++)
        i = (i + 1) % SITES;
    w->sites[i].pc = pc;
    return &w->sites[i].count[kind];
}

// --- global: sectors -------------------------------------------------------------------------

// Adds x to a set of n numbers; returns the new n. Lanes mostly touch what the lane before
// touched, so the search begins at the end.
static int add_to_set(uintptr_t *set, int n, uintptr_t x)
{
    for (int i = n; i-- > 0;)
        if (set[i] == x)
            return n;
    set[n] = x;
    return n + 1;
}

// A sector is touched: for the distinct bytes (a bit map that all workers share, hence the atomic
// or, and the load before it, which mostly spares it), and for the modelled cache.
static void note_sector(Worker *w, uintptr_t sector, int kind)
{
    size_t word = sector / 64;
    unsigned long long bit = 1ull << sector % 64;
    for (int i = 0; i < 2; i++) {
        if (kind == (i ? SIMT_LOAD_GLOBAL : SIMT_STORE_GLOBAL))
            continue; // an atomic update reads and writes
        if (!(atomic_load_explicit(&seen[i][word], memory_order_relaxed) & bit))
            atomic_fetch_or_explicit(&seen[i][word], bit, memory_order_relaxed);
        cache_note(w, (uint32_t)sector, i == 1);
    }
}

// How many sectors a request needs. A lane's bytes may reach into a second one. The ideal is what
// the different addresses would need side by side: a broadcast of one float is ideal with one
// sector (CUDA C++ Best Practices Guide, "Coalesced Access to Global Memory").
static unsigned sectors(Worker *w, const Thread *first, uint32_t mask, const uintptr_t *address,
                        unsigned *ideal)
{
    uintptr_t sector[2 * LANES], start[LANES];
    int n = 0, starts = 0;
    uintptr_t size = (uintptr_t)first->size;
    for (uint32_t m = mask; m; m &= m - 1) {
        uintptr_t a = address[__builtin_ctz(m)] - (uintptr_t)simt_arena;
        n = add_to_set(sector, n, a / SECTOR);
        n = add_to_set(sector, n, (a + size - 1) / SECTOR);
        starts = add_to_set(start, starts, a);
    }
    for (int i = 0; i < n; i++)
        note_sector(w, sector[i], first->kind);
    *ideal = (unsigned)(((uintptr_t)starts * size + SECTOR - 1) / SECTOR);
    return (unsigned)n;
}

// --- shared: wavefronts ----------------------------------------------------------------------

// How many different words does the busiest bank have to give to these lanes?
static unsigned busiest_bank(uint32_t mask, const uintptr_t *address, int words)
{
    uintptr_t word[4 * LANES];
    int before[4 * LANES], latest[BANKS], n = 0;
    unsigned depth[BANKS] = {0}, most = 0;
    memset(latest, -1, sizeof latest);
    for (uint32_t m = mask; m; m &= m - 1)
        for (int k = 0; k < words; k++) {
            uintptr_t x = address[__builtin_ctz(m)] / 4 + (uintptr_t)k;
            unsigned bank = (unsigned)(x % BANKS);
            int i = latest[bank];
            while (i >= 0 && word[i] != x)
                i = before[i];
            if (i >= 0)
                continue; // the same word again: one answer serves all
            word[n] = x;
            before[n] = latest[bank];
            latest[bank] = n++;
            most = ++depth[bank] > most ? depth[bank] : most;
        }
    return most;
}

// 8 and 16 bytes a lane are more than the banks give at once: half the warp, a quarter of it.
static unsigned wavefronts(int size, uint32_t mask, const uintptr_t *address, unsigned *ideal)
{
    int words = size <= 4 ? 1 : size / 4, lanes = LANES / words;
    unsigned total = 0;
    *ideal = 0;
    for (int from = 0; from < LANES; from += lanes) {
        uint32_t part = (lanes == LANES ? ~0u : (1u << lanes) - 1) << from & mask;
        if (!part)
            continue;
        total += busiest_bank(part, address, words);
        ++*ideal;
    }
    return total;
}

// --- a request -------------------------------------------------------------------------------

// One request of the lanes in `mask`, all at the same instruction as `first`: counted for the
// launch and for its source line.
void account_request(Worker *w, Warp *p, const Thread *first, uint32_t mask,
                     const uintptr_t *address)
{
    unsigned ideal, lanes = (unsigned)__builtin_popcount(mask);
    unsigned units = first->kind < SIMT_LOAD_SHARED
                         ? sectors(w, first, mask, address, &ideal)
                         : wavefronts(first->size, mask, address, &ideal);
    simt_count *counts[] = {&w->stats.count[first->kind], site_of(w, first->pc, first->kind)};
    for (int i = 0; i < 2; i++) {
        counts[i]->requests++;
        counts[i]->lanes += lanes;
        counts[i]->bytes += (uint64_t)lanes * (unsigned)first->size;
        counts[i]->units += units;
        counts[i]->ideal += ideal;
    }
    if ((long)w->block == settings.trace_block && p->index == settings.trace_warp)
        trace_request(w, p, first, mask, address, units, ideal);
}

// --- adding up -------------------------------------------------------------------------------

static void add_count(simt_count *sum, const simt_count *c)
{
    sum->requests += c->requests;
    sum->lanes += c->lanes;
    sum->bytes += c->bytes;
    sum->units += c->units;
    sum->ideal += c->ideal;
}

// Bytes of the different sectors that were read (0) or written (1): what a cache without limits
// would move.
static uint64_t distinct_bytes(int which)
{
    uint64_t n = 0;
    for (size_t i = 0; i < seen_words; i++)
        n += (uint64_t)__builtin_popcountll(seen[which][i]);
    return n * SECTOR;
}

// The workers' counts in one. Each is a sum over requests, so that it does not matter who ran
// which block.
void account_merge(Worker **workers, int n, simt_stats *s)
{
    for (int i = 0; i < n; i++) {
        const simt_stats *one = &workers[i]->stats;
        for (int k = 0; k < SIMT_KINDS; k++)
            add_count(&s->count[k], &one->count[k]);
        s->barriers += one->barriers;
        s->syncwarps += one->syncwarps;
        s->shuffles += one->shuffles;
        s->mmas += one->mmas;
        s->ldmatrices += one->ldmatrices;
        s->partial += one->partial;
        s->races += one->races;
        s->reports += one->reports;
    }
    if (!simt_counted)
        return;
    s->distinct_read = distinct_bytes(0);
    s->distinct_written = distinct_bytes(1);
}

// Hands every instruction's counts to tables.c.
void sites_end(Worker **workers, int n, const char *name)
{
    if (!settings.sites || !simt_counted)
        return;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < SITES; j++)
            for (int k = 0; k < SIMT_KINDS && workers[i]->sites[j].pc; k++)
                if (workers[i]->sites[j].count[k].requests)
                    tables_site(name, workers[i]->sites[j].pc, k, &workers[i]->sites[j].count[k]);
}
