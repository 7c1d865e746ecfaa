// DRAM traffic behind a cache of SIMT_CACHE bytes: fully associative, sectors of 32 bytes, the
// one not used for the longest time leaves (LRU), written sectors go back when they leave.
//
// It begins each launch empty, so that a kernel's bytes are its own, whatever ran before it. A
// GPU's L2 keeps what it holds from one launch to the next: SIMT_CACHE_KEEP=1 does so, too. Then a
// written sector counts in the launch in which it leaves, and what never leaves is not counted.
//
// What a cache holds depends on the order of the accesses, and OS threads finish blocks in any
// order. So each block notes its sectors, and the cache sees the blocks in the grid's order,
// whoever ran them: the same numbers with 1 thread and with 16.

#include "inside.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

// Sectors in the order of access: 2 * sector + (1 if written).
struct Log {
    uint64_t *entry;
    size_t count, room;
};

// A cached sector, in a hash chain and in the list from most to least recently used.
typedef struct {
    uint32_t sector, dirty;
    int chain, newer, older;
} Line;

static Line *line;
static int *bucket;               // a hash table of lines
static int capacity, filled, newest, oldest;
static int kept;                  // the capacity of a cache that an earlier launch left behind
static uint64_t read_bytes, written_bytes;
static Log *waiting;              // logs of blocks whose turn has not come
static unsigned blocks, turn;
static bool *finished;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *resize(void *p, size_t n, size_t bytes)
{
    p = realloc(p, (n ? n : 1) * bytes);
    if (!p) {
        fprintf(stderr, "simt: out of memory for the cache model\n");
        exit(5);
    }
    return p;
}

static void make_empty(void)
{
    line = resize(line, (size_t)capacity, sizeof *line);
    bucket = resize(bucket, (size_t)capacity, sizeof *bucket);
    for (int i = 0; i < capacity; i++)
        bucket[i] = -1;
    filled = 0;
    newest = oldest = -1;
}

// A launch of n blocks begins. The cache is emptied unless it is to be kept.
void cache_begin(unsigned n)
{
    capacity = (int)(settings.cache / 32);
    if (!capacity || !simt_counted)
        return;
    read_bytes = written_bytes = 0;
    waiting = resize(waiting, n, sizeof *waiting);
    finished = resize(finished, n, sizeof *finished);
    for (unsigned i = 0; i < n; i++)
        finished[i] = false;
    blocks = n;
    turn = 0;
    if (!settings.cache_keep || capacity != kept)
        make_empty();
    kept = settings.cache_keep ? capacity : 0;
}

// A block touched a sector: into its log, as its turn may not have come.
void cache_note(Worker *w, uint32_t sector, bool write)
{
    if (!settings.cache)
        return;
    if (!w->log)
        w->log = calloc(1, sizeof *w->log);
    Log *log = w->log;
    if (log->count == log->room) {
        log->room = log->room ? 2 * log->room : 4096;
        log->entry = resize(log->entry, log->room, sizeof *log->entry);
    }
    log->entry[log->count++] = 2 * (uint64_t)sector + write;
}

// --- least recently used ---------------------------------------------------------------------

// Knuth's multiplicative hash: neighbouring sectors go to different buckets.
static int *chain_of(uint32_t sector)
{
    return &bucket[(sector * 2654435761u >> 3) % (unsigned)capacity];
}

// Out of the list from most to least recently used, wherever it stands.
static void unlink_line(int i)
{
    *(line[i].newer < 0 ? &newest : &line[line[i].newer].older) = line[i].older;
    *(line[i].older < 0 ? &oldest : &line[line[i].older].newer) = line[i].newer;
}

static void make_newest(int i)
{
    line[i].newer = -1;
    line[i].older = newest;
    *(newest < 0 ? &oldest : &line[newest].newer) = i;
    newest = i;
}

// A free line, or the one that leaves.
static int take_line(void)
{
    if (filled < capacity)
        return filled++;
    int i = oldest, *link = chain_of(line[i].sector);
    while (*link != i)
        link = &line[*link].chain;
    *link = line[i].chain;
    unlink_line(i);
    written_bytes += line[i].dirty ? 32 : 0;
    return i;
}

// A sector is asked for. Present: it becomes the newest, no bytes move. Absent: it takes the
// place of the oldest. A written sector is taken to be written whole, without being read.
static void cache_access(uint32_t sector, bool write)
{
    int i = *chain_of(sector);
    while (i >= 0 && line[i].sector != sector)
        i = line[i].chain;
    if (i >= 0) {
        unlink_line(i);
    } else {
        i = take_line();
        line[i] = (Line){.sector = sector, .chain = *chain_of(sector)};
        *chain_of(sector) = i;
        read_bytes += write ? 0 : 32; // what is written need not be read first
    }
    line[i].dirty |= write;
    make_newest(i);
}

// --- blocks, in order ------------------------------------------------------------------------

static void replay(Log *log)
{
    for (size_t i = 0; i < log->count; i++)
        cache_access((uint32_t)(log->entry[i] / 2), log->entry[i] % 2);
    free(log->entry);
    *log = (Log){0};
}

// Hands the block's log over, and replays all whose turn has come: 0, 1, 2, ... without a gap.
// Logs of blocks that finished early wait, which is the price of results that do not depend on
// threads.
void cache_block_ends(Worker *w)
{
    if (!capacity || !simt_counted)
        return;
    pthread_mutex_lock(&lock);
    waiting[w->block] = w->log ? *w->log : (Log){0};
    if (w->log)
        *w->log = (Log){0};
    finished[w->block] = true;
    while (turn < blocks && finished[turn])
        replay(&waiting[turn++]);
    pthread_mutex_unlock(&lock);
}

// The launch has ended: what is still dirty goes to DRAM, unless the cache is kept.
void cache_end(simt_stats *s)
{
    if (!capacity || !simt_counted)
        return;
    for (int i = newest; i >= 0 && !settings.cache_keep; i = line[i].older)
        written_bytes += line[i].dirty ? 32 : 0;
    s->cache_read = read_bytes;
    s->cache_written = written_bytes;
}
