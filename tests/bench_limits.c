// What the machine could do at this moment: multiply-adds a second in registers, bytes a second
// from memory, on as many threads as what it is held against. Measured again around every single
// timing, because a machine that others use, or that gets warm, is not the same one a second later.

#include "bench.h"
#include "bench_isa.h"

#include "../common/measure.h"
#include "../kernels/cpu/threads.h"
#include "../kernels/cpu/workspace.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_LIMITS = 64,
    LOOKS = 25,          // calibrations before a limit is used: its best is known by then
    TIMES_CACHE = 6,     // the buffer is so many times the last cache
};

// COMPILED is the build's list of instruction sets: SET(avx512) SET(avx2) ...
#define DECLARE(name) extern const BenchIsa bench_isa_##name;
#define ROW(name) &bench_isa_##name,
#define SET DECLARE
COMPILED
#undef SET
#define SET ROW
static const BenchIsa *const compiled[] = {COMPILED NULL};

const char *const bench_flags = BENCH_FLAGS;

const BenchIsa *bench_isa(const char *name)
{
    for (int i = 0; compiled[i]; i++)
        if (strcmp(compiled[i]->name, name) == 0)
            return compiled[i];
    CHECK(false, "no loops for %s", name);
    return NULL;
}

// --- one calibration ----------------------------------------------------------------------------

static struct {
    const BenchIsa *isa;
    long turns;
    const float *buffer; // [floats]
    long floats;
    volatile float sink[MOST_THREADS];
} work;

static void multiply(void *job, int thread)
{
    (void)job;
    work.sink[thread] = work.isa->multiply_add(work.turns);
}

// Each thread reads a part of its own, from its beginning to its end.
static void read_part(void *job, int thread)
{
    (void)job;
    long each = work.floats / threads_count() / 1024 * 1024;
    work.sink[thread] = work.isa->read(work.buffer + thread * each, each);
}

static double seconds_of(void (*what)(void *, int))
{
    double began = measure_clock();
    threads_run(what, NULL);
    return measure_clock() - began;
}

// Linux's own list tells a virtual machine's share of a cache, where sysconf() may tell the chip's.
long last_cache_bytes(void)
{
    long most = 0, kilobytes;
    char path[96];
    for (int level = 0; level < 8; level++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", level);
        FILE *f = fopen(path, "r");
        if (f && fscanf(f, "%ldK", &kilobytes) == 1 && kilobytes << 10 > most)
            most = kilobytes << 10;
        if (f)
            fclose(f);
    }
    return most ? most : 32l << 20;
}

long limits_bytes(void)
{
    return flags.tiny ? 4l << 20 : TIMES_CACHE * last_cache_bytes();
}

static void free_buffer(void)
{
    free((void *)work.buffer);
}

static void make_buffer(void)
{
    float *buffer = huge_alloc(limits_bytes());
    memset(buffer, 0, (size_t)limits_bytes());
    work.buffer = buffer;
    work.floats = limits_bytes() / 4;
    CHECK(atexit(free_buffer) == 0, "no room for an exit handler");
}

// For the self-test: all alike, but for one or two.
static Sample canned_sample(void)
{
    static long asked;
    asked++;
    double factor = asked == flags.spoil || asked == flags.spoil_too ? 0.5 : 1;
    return (Sample){.peak = factor * 1e12, .dram = factor * 1e11};
}

// Some 2 ms of multiply-adds, and the buffer once.
Sample limit_sample(const Limit *l)
{
    if (flags.spoil > 0)
        return canned_sample();
    if (!work.buffer)
        make_buffer();
    threads_set(l->threads);
    work.isa = bench_isa(l->isa->name);
    work.turns = flags.tiny ? 100000 : 1500000;
    double flops = (double)work.turns * (double)work.isa->flops * l->threads;
    long each = work.floats / l->threads / 1024 * 1024;
    return (Sample){.peak = flops / seconds_of(multiply),
                    .dram = (double)(each * 4 * l->threads) / seconds_of(read_part)};
}

// --- limits by instruction set and threads ------------------------------------------------------

static Limit limits[MOST_LIMITS];
static int limit_count;

void limit_note(Limit *l, Sample s)
{
    l->best.peak = s.peak > l->best.peak ? s.peak : l->best.peak;
    l->best.dram = s.dram > l->best.dram ? s.dram : l->best.dram;
}

Limit *limit_of(const Isa *isa, int threads)
{
    for (int i = 0; i < limit_count; i++)
        if (limits[i].isa == isa && limits[i].threads == threads)
            return &limits[i];
    CHECK(limit_count < MOST_LIMITS, "%d limits", limit_count);
    Limit *l = &limits[limit_count++];
    *l = (Limit){.isa = isa, .threads = threads};
    for (int i = 0; i < (flags.tiny ? 3 : LOOKS); i++)
        limit_note(l, limit_sample(l));
    return l;
}
