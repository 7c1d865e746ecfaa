// The kernels by the thousand: every chapter on the device, in every way that it can be computed
// there, against the float64 oracle. Linked with the emulator, or with CUDA on a GPU.
//
//     kernels [CASES [SEED]]      1000 cases from seed 1, unless told otherwise
//
// Case i is made from SEED + i and nothing else, so `kernels 1 SEED+i` runs that one again.
// Exits with 1 if a result was out of its bound. Each chapter checks by itself that it leaves
// nothing on the device.

#define _POSIX_C_SOURCE 200809L
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    WORK   = 16000, // multiplications of one case, about: a kernel runs them thread by thread
    LONGER = 400,   // cases after which one is allowed to be longer
};

static Way ways[] = {
    {1, "thread", false, 0, 0, 0}, {1, "warp", false, 0, 0, 0}, {1, "cublas", false, 0, 0, 0},
    {2, "thread", false, 0, 0, 0}, {2, "warp", false, 0, 0, 0}, {2, "cublas", false, 0, 0, 0},
    {3, "thread", false, 0, 0, 0}, {3, "warp", false, 0, 0, 0}, {3, "cublas", false, 0, 0, 0},
    {4, "thread", false, 0, 0, 0}, {4, "warp", false, 0, 0, 0}, {4, "cublas", false, 0, 0, 0},
    {5, "thread", false, 0, 0, 0}, {5, "warp", false, 0, 0, 0}, {5, "cublas", false, 0, 0, 0},
    {6, "thread", false, 0, 0, 0}, {6, "warp", false, 0, 0, 0}, {6, "cublas", false, 0, 0, 0},
    {7, "tile", false, 0, 0, 0}, {7, "vector", false, 0, 0, 0}, {7, "banks", false, 0, 0, 0},
    {7, "skip", false, 0, 0, 0}, {7, "split", false, 0, 0, 0}, {7, "paged", false, 0, 0, 0},
    {7, "tile", true, 0, 0, 0}, {7, "vector", true, 0, 0, 0}, {7, "banks", true, 0, 0, 0},
    {7, "skip", true, 0, 0, 0}, {7, "split", true, 0, 0, 0}, {7, "paged", true, 0, 0, 0},
    {5, "thread", true, 0, 0, 0}, {5, "warp", true, 0, 0, 0}, {5, "cublas", true, 0, 0, 0},
    {6, "thread", true, 0, 0, 0}, {6, "warp", true, 0, 0, 0}, {6, "cublas", true, 0, 0, 0},
};

enum { WAYS = sizeof ways / sizeof ways[0] };

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

static long report(void)
{
    long passed = 0, failed = 0, skipped = 0;
    for (int i = 0; i < WAYS; i++) {
        const Way *w = &ways[i];
        const char *word = w->failed > 0 ? "not ok" : w->held > 0 ? "ok" : "skip";
        printf("%s - %02d %s%s: %ld shapes, %ld wrong, %ld do not apply\n", word, w->chapter,
               w->kernel, w->passes ? ", pass by pass" : "", w->held + w->failed, w->failed,
               w->skipped);
        failed += w->failed > 0;
        passed += w->failed == 0 && w->held > 0;
        skipped += w->failed == 0 && w->held == 0;
    }
    printf("kernels: %ld passed, %ld failed, %ld skipped\n", passed, failed, skipped);
    return failed;
}

int main(int argc, char **argv)
{
    fail_program("kernels");
    if (argc > 3)
        refuse(EXIT_USAGE, "expected [CASES [SEED]], got %d words", argc - 1);
    long cases = argc > 1 ? (long)number(argv[1], "CASES") : 1000;
    uint64_t seed = argc > 2 ? number(argv[2], "SEED") : 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(folder) || chdir(folder) != 0)
        refuse(EXIT_WRITE, "%s: cannot be made", folder);
    CHECK(atexit(leave) == 0, "no room for an exit handler");
    for (long i = 0; i < cases; i++) {
        running = true;
        uint64_t own = seed + (uint64_t)i;
        subject_make(&subject, own, own % LONGER ? WORK : 8 * WORK);
        for (int w = 0; w < WAYS; w++)
            try_way(&ways[w], &subject);
        subject_free(&subject);
        running = false;
    }
    return report() ? EXIT_DIFFERS : 0;
}
