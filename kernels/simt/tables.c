// What the counts look like: SIMT_COUNTS=file.csv (a line per launch), SIMT_TABLE=1 (a table of
// the kernels), SIMT_SITES=1 (source lines, the costliest first), SIMT_TRACE_WARP=BLOCK,WARP.

#define _GNU_SOURCE
#include "inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Room for n elements. A table that cannot grow ends the program: a list with gaps would lie.
static void *resize(void *p, size_t n, size_t bytes)
{
    p = realloc(p, n * bytes);
    if (!p) {
        fprintf(stderr, "simt: out of memory for tables\n");
        exit(5);
    }
    return p;
}

// --- a line per launch -----------------------------------------------------------------------

static FILE *csv; // NULL until the first line is due
static bool csv_given; // by simt_set_counts, which closes it

// The columns: for each kind of access its five numbers, then what a launch has once.
// Every column is a sum over the launch; _bytes are bytes, the ideal is in the units left of it.
static void csv_header(void)
{
    static const char *const kind[] = {"load_global", "store_global", "atomic_global",
                                       "load_shared", "store_shared", "atomic_shared"};
    fprintf(csv, "kernel,grid,block,shared_bytes");
    for (int k = 0; k < SIMT_KINDS; k++)
        fprintf(csv, ",%s_requests,%s_lanes,%s_bytes,%s_%s,%s_ideal", kind[k], kind[k], kind[k],
                kind[k], k < SIMT_LOAD_SHARED ? "sectors" : "wavefronts", kind[k]);
    fprintf(csv, ",distinct_read,distinct_written,cache_read,cache_written,barriers,syncwarps,"
                 "shuffles,mmas,ldmatrices,partial,races,reports\n");
}

// Half a file would pass for a whole one, so the program ends.
static void no_counts(void)
{
    fprintf(stderr, "simt: SIMT_COUNTS: cannot write %s\n", settings.counts);
    exit(6);
}

// Written at once and flushed: a program that dies has left its lines.
static void csv_line(const simt_stats *s)
{
    // In quotes: a template's name has commas, flash<64,32>.
    fprintf(csv, "\"%s\",%ux%ux%u,%ux%ux%u,%zu", s->name, s->grid.x, s->grid.y, s->grid.z,
            s->block.x, s->block.y, s->block.z, s->shared_bytes);
    for (int k = 0; k < SIMT_KINDS; k++) {
        const simt_count *c = &s->count[k];
        fprintf(csv, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64, c->requests,
                c->lanes, c->bytes, c->units, c->ideal);
    }
    const uint64_t rest[] = {s->distinct_read, s->distinct_written, s->cache_read,
                             s->cache_written, s->barriers, s->syncwarps, s->shuffles, s->mmas,
                             s->ldmatrices, s->partial, s->races, s->reports};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        fprintf(csv, ",%" PRIu64, rest[i]);
    fprintf(csv, "\n");
    if ((fflush(csv) != 0 || ferror(csv)) && !csv_given)
        no_counts();
}

// A file that the caller opened and will close; NULL: no more lines. It goes before SIMT_COUNTS.
void simt_set_counts(FILE *file)
{
    settings_read();
    csv = file;
    csv_given = file != NULL;
    if (csv)
        csv_header();
}

// --- kernels ---------------------------------------------------------------------------------

typedef struct {
    const char *name;
    long launches; // under this name
    simt_stats sum;
} Row;

static Row *rows; // [row_count]
static int row_count;

static void add_count(simt_count *sum, const simt_count *c)
{
    sum->requests += c->requests;
    sum->lanes += c->lanes;
    sum->bytes += c->bytes;
    sum->units += c->units;
    sum->ideal += c->ideal;
}

// Plain sums, the distinct bytes, too: a sector that two launches touch counts in both of them.
static void add_stats(simt_stats *sum, const simt_stats *s)
{
    for (int k = 0; k < SIMT_KINDS; k++)
        add_count(&sum->count[k], &s->count[k]);
    sum->distinct_read += s->distinct_read;
    sum->distinct_written += s->distinct_written;
    sum->cache_read += s->cache_read;
    sum->cache_written += s->cache_written;
    sum->barriers += s->barriers;
    sum->syncwarps += s->syncwarps;
    sum->shuffles += s->shuffles;
    sum->mmas += s->mmas;
    sum->ldmatrices += s->ldmatrices;
    sum->partial += s->partial;
    sum->races += s->races;
    sum->reports += s->reports;
    sum->seconds += s->seconds;
}

// Launches of one kernel are one row; rows stand in the order of their first launch.
static void add_row(const simt_stats *s)
{
    int i = 0;
    while (i < row_count && strcmp(rows[i].name, s->name) != 0)
        i++;
    if (i == row_count) {
        rows = resize(rows, (size_t)++row_count, sizeof *rows);
        rows[i] = (Row){.name = s->name}; // names stay valid (symbols.c)
    }
    rows[i].launches++;
    add_stats(&rows[i].sum, s);
}

// 1: every sector (or wavefront) was needed. 8: a float from each sector of 32 bytes, the rest of
// it unused. Nothing asked, nothing wasted: 1 as well. The kinds stand in two groups of three, so
// that `first` names a group.
double simt_over_ideal(const simt_stats *s, int first)
{
    uint64_t units = 0, ideal = 0; // loads, stores and atomics together
    for (int k = first; k < first + 3; k++) {
        units += s->count[k].units;
        ideal += s->count[k].ideal;
    }
    return ideal ? (double)units / (double)ideal : 1;
}

// requested    bytes as the kernel's source asks for them, each time it does
// distinct     bytes of the different sectors: what a cache without end would fetch and write back
// cached       bytes to and from DRAM behind SIMT_CACHE: a larger cache, closer to distinct
// sectors      of global memory, wavefronts of shared memory: how often more than needed
static void print_rows(void)
{
    printf("%-28s %8s %14s %14s %14s %9s %11s %6s\n", "kernel", "launches", "requested",
           "distinct", "cached", "sectors", "wavefronts", "races");
    for (int i = 0; i < row_count; i++) {
        const simt_stats *s = &rows[i].sum;
        uint64_t asked = s->count[0].bytes + s->count[1].bytes + s->count[2].bytes;
        // Without a cache a dash: 0 would read like a result.
        char cached[24] = "-";
        if (settings.cache)
            snprintf(cached, sizeof cached, "%" PRIu64, s->cache_read + s->cache_written);
        printf("%-28s %8ld %14" PRIu64 " %14" PRIu64 " %14s %8.2fx %10.2fx %6" PRIu64 "\n",
               rows[i].name, rows[i].launches, asked, s->distinct_read + s->distinct_written,
               cached, simt_over_ideal(s, SIMT_LOAD_GLOBAL),
               simt_over_ideal(s, SIMT_LOAD_SHARED), s->races);
    }
    printf("bytes of global memory; sectors and wavefronts over the ideal\n");
}

// --- source lines ----------------------------------------------------------------------------

typedef struct {
    const char *kernel, *place; // place: "file.cu:12", known only when it is printed
    uintptr_t pc; // the return address of the compiler's call
    int kind; // SIMT_LOAD_GLOBAL...
    simt_count count;
} SourceLine;

static SourceLine *lines; // [line_count]
static int line_count;

// Called at the end of each launch, once for each instruction that asked for memory.
void tables_site(const char *kernel, uintptr_t pc, int kind, const simt_count *c)
{
    for (int i = 0; i < line_count; i++)
        if (lines[i].pc == pc && lines[i].kind == kind && strcmp(lines[i].kernel, kernel) == 0) {
            add_count(&lines[i].count, c);
            return;
        }
    lines = resize(lines, (size_t)line_count + 1, sizeof *lines);
    lines[line_count++] = (SourceLine){.kernel = kernel, .pc = pc, .kind = kind, .count = *c};
}

// Compilers copy code: the instructions of one source line become one entry.
static void merge_lines(void)
{
    uintptr_t *pc = resize(NULL, (size_t)line_count + 1, sizeof *pc);
    int n = 0;
    for (int i = 0; i < line_count; i++)
        pc[i] = lines[i].pc;
    // One question for all of them: where.c says what a single one costs.
    where_all(pc, line_count);
    free(pc);
    for (int i = 0; i < line_count; i++) {
        SourceLine one = lines[i];
        int j = 0;
        one.place = where(one.pc);
        while (j < n && (strcmp(lines[j].place, one.place) != 0 || lines[j].kind != one.kind ||
                         strcmp(lines[j].kernel, one.kernel) != 0))
            j++;
        if (j < n)
            add_count(&lines[j].count, &one.count);
        else
            lines[n++] = one;
    }
    line_count = n;
}

// For qsort: most units first; then by place and kind, so that two runs print the same order.
static int costlier(const void *a, const void *b)
{
    const SourceLine *x = a, *y = b;
    if (x->count.units != y->count.units)
        return x->count.units < y->count.units ? 1 : -1;
    int order = strcmp(x->place, y->place);
    return order ? order : x->kind - y->kind;
}

// lanes    of each request: below 32, some lanes were elsewhere or had returned
// bytes    of each lane: 4 for a float, 16 for a float4
// units    of all requests; ideal: how many times the units that they needed
static void print_lines(void)
{
    merge_lines();
    qsort(lines, (size_t)line_count, sizeof *lines, costlier);
    printf("%-26s %-28s %-13s %10s %6s %6s %11s %7s\n", "line", "kernel", "access", "requests",
           "lanes", "bytes", "units", "ideal");
    for (int i = 0; i < line_count; i++) {
        const simt_count *c = &lines[i].count;
        double n = (double)c->requests;
        printf("%-26s %-28s %-13s %10" PRIu64 " %6.1f %6.1f %11" PRIu64 " %6.2fx\n",
               lines[i].place, lines[i].kernel, kind_name[lines[i].kind], c->requests,
               (double)c->lanes / n, (double)c->bytes / (double)c->lanes, c->units,
               (double)c->units / (double)(c->ideal ? c->ideal : 1));
    }
    printf("units: sectors of 32 bytes for global memory, wavefronts for shared; lanes and bytes:"
           " of each request, of each lane\n");
}

// --- one warp --------------------------------------------------------------------------------

static atomic_long traced; // requests printed so far, by all OS threads

long simt_traced(void)
{
    return traced;
}

// One request, in stretches of lanes whose addresses lie equally far apart. Every 4 bytes from
// lane to lane is what coalescing wants of floats; every 128 bytes is a sector for each lane, and,
// in shared memory, the same one of 32 banks for all. Bit i of the mask: lane i takes part.
void trace_request(const Worker *w, const Warp *p, const Thread *first, uint32_t mask,
                   const uintptr_t *address, unsigned units, unsigned ideal)
{
    char place[256];
    bool global = first->kind < SIMT_LOAD_SHARED;
    traced++;
    // OS threads trace at the same time; a request's lines stay together.
    flockfile(stderr);
    fprintf(stderr, "warp %d of block %u: %s, %d bytes a lane, at %s, %s %u (ideal %u)\n",
            p->index, w->block, kind_name[first->kind], first->size, where(first->pc),
            global ? "sectors" : "wavefronts", units, ideal);
    for (int from = 0, to; from < LANES; from = to) {
        if (!(mask >> from & 1)) { // this lane sits the request out
            to = from + 1;
            continue;
        }
        // Lanes at even distances share a line.
        uintptr_t step = from + 1 < LANES && mask >> (from + 1) & 1
                             ? address[from + 1] - address[from] : 0;
        for (to = from + 1; to < LANES && mask >> to & 1; to++)
            if (address[to] - address[to - 1] != step)
                break;
        if (global)
            describe_global(place, sizeof place, address[from]);
        else
            describe_shared(place, sizeof place, w, address[from]);
        fprintf(stderr, "    lanes %2d-%2d: %s, then every %ld bytes\n", from, to - 1, place,
                (long)step);
    }
    funlockfile(stderr);
}

// --- when ------------------------------------------------------------------------------------

static simt_stats sum; // of all launches since simt_forget()

const simt_stats *simt_sum(void)
{
    return &sum;
}

void simt_forget(void)
{
    sum = (simt_stats){0};
    row_count = line_count = 0; // the room is kept for what comes
}

void tables_launch(const simt_stats *s)
{
    add_stats(&sum, s);
    if (settings.table)
        add_row(s);
    if (!settings.counts && !csv)
        return;
    if (!csv && (csv = fopen(settings.counts, "w")) != NULL)
        csv_header();
    if (!csv)
        no_counts();
    csv_line(s);
}

// A fast build would print zeros, which look like a very good kernel: a line says why not.
void tables_exit(void)
{
    bool wanted = settings.table || settings.sites || settings.counts || settings.trace_warp >= 0;
    if (wanted && !simt_counted)
        fprintf(stderr, "simt: nothing was counted: these kernels are a fast build\n");
    if (simt_counted && settings.table)
        print_rows();
    if (simt_counted && settings.sites)
        print_lines();
    if (csv && !csv_given)
        fclose(csv);
}

int simt_is_counted(void)
{
    return simt_counted;
}

void simt_print_sites(void)
{
    print_lines();
    settings.sites = false; // once is enough
}
