// What the emulator can show: in the counted build every access was seen, in the fast one none.

#include "probe.h"

#include "../../common/fail.h"
#include "../../common/output.h"
#include "../simt/simt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WARPS = 32 }; // in a block, at most

static const char *trace_text, *counts_path;
static bool sites;
static long cache_bytes;
static Output counts_file;

// The fast build shows none of them in --help: it knows them in order to say where they work.
const Flag *probe_flags(void)
{
    static Flag flags[] = {
        {"--trace-warp", FLAG_TEXT, &trace_text, 0, "B,W",
         "each access of warp W of block B, lane by lane (on stderr)"},
        {"--sites", FLAG_SWITCH, &sites, 0, NULL, "source lines, the costliest first"},
        {"--counts", FLAG_TEXT, &counts_path, 0, "F.csv", "what each launch asked of the memory"},
        {"--cache-bytes", FLAG_SIZE, &cache_bytes, 0, "BYTES",
         "for --stats and --counts: traffic behind a cache of that size"},
        {0},
    };
    for (Flag *flag = flags; flag->name && !simt_is_counted(); flag++)
        flag->meaning = NULL;
    return flags;
}

// --- opening -----------------------------------------------------------------------------------

// Warps are traced in every launch that has them; that none had them shows at the end.
static void open_trace(void)
{
    long block, warp;
    char more;
    bool plain = trace_text[strspn(trace_text, "0123456789,")] == '\0';
    if (!plain || sscanf(trace_text, "%9ld,%9ld%c", &block, &warp, &more) != 2 || warp >= WARPS)
        refuse(EXIT_USAGE, "--trace-warp: expected BLOCK,WARP, a block of the grid and a warp "
               "below %d, got \"%s\"", WARPS, trace_text);
    simt_set_trace(block, warp);
}

void probe_open(const Options *o)
{
    for (const Flag *flag = probe_flags(); flag->name; flag++) {
        if (!options_given(o, flag->name))
            continue;
        if (!simt_is_counted())
            refuse(EXIT_USAGE, "%s: this is the emulator's fast build, which counts nothing: make "
                   "run-%.2s DEVICE=counted ARGS=...", flag->name, o->chapter->name);
        if (o->bench)
            refuse(EXIT_USAGE, "%s does not go with --bench, which only times", flag->name);
    }
    if (trace_text)
        open_trace();
    if (cache_bytes)
        simt_set_cache((size_t)cache_bytes);
    if (sites)
        simt_set_sites(1);
    if (counts_path) {
        counts_file = output_open(counts_path);
        simt_set_counts(counts_file.file);
    }
}

// --- counting ----------------------------------------------------------------------------------

void probe_begin(void)
{
    simt_forget();
}

void probe_report(void)
{
    const simt_stats *s = simt_sum();
    if (!simt_is_counted())
        return;
    uint64_t asked = 0;
    for (int k = SIMT_LOAD_GLOBAL; k <= SIMT_ATOMIC_GLOBAL; k++)
        asked += s->count[k].bytes;
    printf("%-16s %16" PRIu64 "\n", "bytes requested", asked);
    printf("%-16s %16" PRIu64 "\n", "bytes distinct", s->distinct_read + s->distinct_written);
    if (simt_cache())
        printf("%-16s %16" PRIu64 "   behind a cache of %zu bytes\n", "bytes cached",
               s->cache_read + s->cache_written, simt_cache());
    printf("%-16s %15.2fx\n", "sectors/ideal", simt_over_ideal(s, SIMT_LOAD_GLOBAL));
    printf("%-16s %15.2fx\n", "wavefronts/ideal", simt_over_ideal(s, SIMT_LOAD_SHARED));
    printf("%-16s %16" PRIu64 "\n", "barriers", s->barriers);
    printf("%-16s %16" PRIu64 "\n", "races", s->races);
}

void probe_close(void)
{
    if (sites)
        simt_print_sites();
    if (trace_text && simt_traced() == 0)
        fprintf(stderr, "note: --trace-warp %s: no launch had that warp\n", trace_text);
    if (!counts_path)
        return;
    simt_set_counts(NULL);
    output_close(&counts_file);
}
