// The kernels by the thousand: every chapter on the device, in every way that it can be computed
// there, against the float64 oracle. Linked with the emulator, or with CUDA on a GPU.
//
//     kernels [CASES [SEED [WAY]]]    1000 cases from seed 1, unless told otherwise; "07" or
//                                     "07 skip": only the ways whose names begin so
//
// A case is two: any sizes at once, and a few tokens one by one after many others. Case i is made
// from SEED + i and nothing else, so `kernels 1 SEED+i` runs that one again. Exits with 1 if a
// result was out of its bound. Each chapter checks by itself that it leaves nothing on the device.

#define _POSIX_C_SOURCE 200809L
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WORK   = 16000, // multiplications of one case, about: a kernel runs them thread by thread
    LONGER = 400,   // cases after which one is allowed to be longer
    OVERFLOWS = 10, // cases after which one is tried again with a value that overflows in bf16
    SWEEP  = 15,    // fewer cases are no sweep
};

// Chapter, kernel, pass by pass, in bf16. wgmma is for Hopper alone.
static const Way ways[] = {
    {1, "thread", false, false}, {1, "warp", false, false}, {1, "cublas", false, false},
    {2, "thread", false, false}, {2, "warp", false, false}, {2, "cublas", false, false},
    {3, "thread", false, false}, {3, "warp", false, false}, {3, "cublas", false, false},
    {4, "thread", false, false}, {4, "warp", false, false}, {4, "cublas", false, false},
    {5, "thread", false, false}, {5, "warp", false, false}, {5, "cublas", false, false},
    {6, "thread", false, false}, {6, "warp", false, false}, {6, "cublas", false, false},
    {7, "tile", false, false}, {7, "vector", false, false}, {7, "banks", false, false},
    {7, "skip", false, false}, {7, "split", false, false}, {7, "paged", false, false},
    {7, "mma", false, true}, {7, "async", false, true},
    {7, "tile", true, false}, {7, "vector", true, false}, {7, "banks", true, false},
    {7, "skip", true, false}, {7, "split", true, false}, {7, "paged", true, false},
    {7, "mma", true, true}, {7, "async", true, true},
    {5, "thread", true, false}, {5, "warp", true, false}, {5, "cublas", true, false},
    {6, "thread", true, false}, {6, "warp", true, false}, {6, "cublas", true, false},
    {0, "naive bf16", false, true},
};

enum { WAYS = sizeof ways / sizeof ways[0] };

static Tally tallies[WAYS];

// --- the run ---------------------------------------------------------------------------------

static char folder[] = "/tmp/attention-kernels-XXXXXX";
static Subject subject;
static bool running;

// At any exit. `running` says that a case was not finished: it is named.
static void leave(void)
{
    if (running)
        printf("kernels: stopped in: %s\n", subject.text);
    unlink("mask.npy");
    rmdir(folder);
}

static uint64_t number(const char *text, const char *what)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end)
        refuse(EXIT_USAGE, "%s: expected a whole number, got \"%s\"", what, text);
    return n;
}

// How a way is called in the report.
static const char *name_of_way(const Way *w)
{
    static char name[64];
    if (w->chapter == 0)
        return "naive bf16, the yardstick";
    snprintf(name, sizeof name, "%02d %s%s", w->chapter, w->kernel,
             w->passes ? ", pass by pass" : "");
    return name;
}

static const char *only = ""; // the beginning of a way's name

static bool is_wanted(const Way *w)
{
    return strncmp(name_of_way(w), only, strlen(only)) == 0;
}

static long passed, failed, skipped;

static void report_ways(void)
{
    for (int i = 0; i < WAYS; i++) {
        if (!is_wanted(&ways[i]))
            continue;
        const Tally *t = &tallies[i];
        const char *word = t->failed > 0 ? "not ok" : t->held > 0 ? "ok" : "skip";
        printf("%s - %s: %ld shapes, %ld wrong, %ld do not apply\n", word,
               name_of_way(&ways[i]), t->held + t->failed, t->failed, t->skipped);
        failed += t->failed > 0;
        passed += t->failed == 0 && t->held > 0;
        skipped += t->failed == 0 && t->held == 0;
    }
}

static void report_ragged(const char *kernel)
{
    long wrong = try_ragged(kernel);
    printf("%s - 07 %s, sequences of different lengths: %ld numbers wrong\n",
           wrong ? "not ok" : "ok", kernel, wrong);
    failed += wrong > 0;
    passed += wrong == 0;
}

// Over a sweep a kernel in bf16 may err twice as much as naive attention in bf16, and as much as
// one cancellation.
static void report_sweep(const Way *w, const char *logits, const Sweep *s)
{
    double most = 2 * s->naive + 2 * s->cancel;
    const char *word = s->cases < SWEEP ? "skip" : s->found <= most ? "ok" : "not ok";
    printf("%s - %s, %s logits: error %.3g, naive bf16 %.3g, allowed %.3g (%ld shapes)\n", word,
           name_of_way(w), logits, s->found, s->naive, most, s->cases);
    skipped += s->cases < SWEEP;
    passed += s->cases >= SWEEP && s->found <= most;
    failed += s->cases >= SWEEP && !(s->found <= most);
}

static void report(void)
{
    report_ways();
    report_ragged("skip"); // over gathered keys
    report_ragged("paged"); // through the tables
    for (int i = 0; i < WAYS; i++)
        if (ways[i].chapter > 0 && ways[i].halves && !ways[i].passes && is_wanted(&ways[i])) {
            report_sweep(&ways[i], "ordinary", &tallies[i].sweeps[0]);
            report_sweep(&ways[i], "steep", &tallies[i].sweeps[1]);
        }
    printf("kernels: %ld passed, %ld failed, %ld skipped\n", passed, failed, skipped);
}

static bool is_for(const Way *w, Kind kind)
{
    return kind == ANY ? !w->passes : kind == OVERFLOW ? w->halves : w->passes;
}

// One case in all ways that it is for.
static void try_case(uint64_t seed, Wish wish)
{
    running = true;
    subject_make(&subject, seed, wish);
    for (int w = 0; w < WAYS; w++)
        if (is_wanted(&ways[w]) && is_for(&ways[w], wish.kind))
            try_way(&ways[w], &subject, &tallies[w]);
    subject_free(&subject);
    running = false;
}

int main(int argc, char **argv)
{
    fail_program("kernels");
    if (argc > 4)
        refuse(EXIT_USAGE, "expected [CASES [SEED [WAY]]], got %d words", argc - 1);
    long cases = argc > 1 ? (long)number(argv[1], "CASES") : 1000;
    uint64_t seed = argc > 2 ? number(argv[2], "SEED") : 1;
    only = argc > 3 ? argv[3] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(folder) || chdir(folder) != 0)
        refuse(EXIT_WRITE, "%s: cannot be made", folder);
    CHECK(atexit(leave) == 0, "no room for an exit handler");
    for (long i = 0; i < cases; i++) {
        uint64_t own = seed + (uint64_t)i;
        try_case(own, (Wish){.kind = ANY, .work = own % LONGER ? WORK : 8 * WORK});
        try_case(own, (Wish){.kind = DECODE, .work = WORK});
        if (own % OVERFLOWS == 0)
            try_case(own, (Wish){.kind = OVERFLOW, .work = WORK});
    }
    report();
    if (passed + failed + skipped == 0)
        refuse(EXIT_USAGE, "no way's name begins with \"%s\"", only);
    return failed ? EXIT_DIFFERS : 0;
}
