// The fast CPU kernels by the thousand: every chapter by every step of the ladders, on every
// instruction set that this processor has, against the float64 oracle.
//
//     fast [CASES [SEED [WAY]]]    300 cases from seed 1, unless told otherwise; "avx2" or
//                                  "avx2 prefill skip": only the ways whose names begin so
//
// Case i is made from SEED + i and nothing else, so `fast 1 SEED+i` runs that one again. A case
// also says what bf16 and fp16 keys and values give, and the last steps are run with other numbers
// of threads, which must not change a bit. Exits with 1 if a result was out of its bound.

#define _DEFAULT_SOURCE // mkdtemp, and memory that may not be read
#include "hold.h"
#include "kernels.h"
#include "naive_bf16.h"

#include "../kernels/cpu/host.h"
#include "../kernels/cpu/threads.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    WORK = 16000,        // multiplications of a case, about
    LONG_WORK = 8000000, // and of one that is to be long
    LONG_EACH = 8,       // cases between two long ones
    MOST_WAYS = 128,
};

// One step of one ladder on one instruction set.
typedef struct {
    const Isa *isa;
    bool decodes;
    int  step;
    long held, failed;
} FastWay;

static FastWay ways[MOST_WAYS];
static int way_count;
static const char *only = "";
static long passed, failed, skipped;

static char folder[] = "/tmp/attention-fast-XXXXXX";
static char doing[3 * TEXT]; // what is to be said if a kernel reads where it may not

static void report_signal(int signal)
{
    (void)signal;
    unlink("mask.npy");
    rmdir(folder);
    ssize_t written = write(STDOUT_FILENO, doing, strlen(doing));
    _exit(written > 0 ? EXIT_DIFFERS : 2);
}

// --- the ways ------------------------------------------------------------------------------------

static const char *way_name(const FastWay *w)
{
    static char name[64];
    snprintf(name, sizeof name, "%s %s %s", w->isa->name, w->decodes ? "decode" : "prefill",
             (w->decodes ? decode_names : prefill_names)[w->step]);
    return name;
}

static void add_way(const Isa *isa, bool decodes, int step)
{
    CHECK(way_count < MOST_WAYS, "%d ways", way_count);
    ways[way_count] = (FastWay){.isa = isa, .decodes = decodes, .step = step};
    if (strncmp(way_name(&ways[way_count]), only, strlen(only)) == 0)
        way_count++;
}

static void find_ways(void)
{
    for (int i = 0; isa_at(i); i++)
        if (isa_runs(isa_at(i))) {
            for (int step = 0; step < PREFILL_STEPS; step++)
                add_way(isa_at(i), false, step);
            for (int step = 0; step < DECODE_STEPS; step++)
                add_way(isa_at(i), true, step);
        } else {
            printf("skip - fast %s: this processor does not have it\n", isa_at(i)->name);
            skipped++;
        }
}

// The chapters compute by this way from now on.
static void use(const FastWay *w)
{
    isa_choose(w->isa);
    host_choice.always = w->decodes ? w->isa->decode[w->step] : w->isa->prefill[w->step];
}

// --- float32 -------------------------------------------------------------------------------------

static long hold(Result r, const Answer *a)
{
    return count_wrong("output", r.out, a->output, a->bound, NULL) +
           count_undead(r.out, a->lse) + count_wrong("lse", r.lse, a->lse, a->lse_bound, NULL);
}

// A case by one way and one chapter: how many numbers are wrong?
static long try_chapter(const Subject *s, int chapter)
{
    Case c = s->c;
    if (chapter == 1)
        c.mask = "none";
    Result r = run_chapter(chapter, &c);
    long wrong = hold(r, chapter == 1 ? &s->unmasked : &s->masked);
    result_free(&r);
    return wrong;
}

// Chapters take turns: all of them for the last steps, which is what a user gets, and one for each
// of the others. Pass by pass only where no token sees a later one.
static void try_way_of(FastWay *w, const Subject *s, long turn)
{
    bool last = w->step == (w->decodes ? DECODE_STEPS : PREFILL_STEPS) - 1;
    long wrong = 0;
    use(w);
    snprintf(doing, sizeof doing, "not ok - fast %s: reads where it may not: %s\n", way_name(w),
             s->text);
    for (int chapter = 1; chapter <= CHAPTERS; chapter++)
        if (last || chapter == 1 + turn % CHAPTERS) {
            long found = try_chapter(s, chapter);
            if (found > 0)
                printf("  %s, chapter %02d: %ld are wrong: %s\n", way_name(w), chapter, found,
                       s->text);
            wrong += found;
        }
    w->held += wrong == 0;
    w->failed += wrong > 0;
}

// --- threads, 16 bits ----------------------------------------------------------------------------

static long thread_cases, thread_wrong, kept_cases[3], kept_wrong[3];

// The same case on 1, 2, 3 and 7 threads.
static void try_threads(const FastWay *w, const Subject *s)
{
    static const int counts[] = {2, 3, 7};
    int chapter = 4 + (int)(s->seed % 4), usual = threads_count();
    use(w);
    threads_set(1);
    Result one = run_chapter(chapter, &s->c);
    for (int i = 0; i < 3; i++) {
        threads_set(counts[i]);
        Result r = run_chapter(chapter, &s->c);
        long wrong = count_other("output", r.out, one.out, "on several threads", "on one") +
                     count_other("lse", r.lse, one.lse, "on several threads", "on one");
        if (wrong > 0)
            printf("  %s, %d threads, chapter %02d: %s\n", way_name(w), counts[i], chapter,
                   s->text);
        thread_wrong += wrong > 0;
        result_free(&r);
    }
    thread_cases++;
    result_free(&one);
    threads_set(usual);
}

// fp16's nearest, ties to even, by arithmetic in float64: no bit of it is the kernels' own.
static float f16_nearest(float x)
{
    double size = fabs((double)x), step;
    int exponent;
    if (!isfinite(x) || x == 0.0f)
        return x;
    frexp(size, &exponent);
    step = ldexp(1.0, exponent - 11 > -24 ? exponent - 11 : -24); // 11 bits, none below 2^-24
    size = rint(size / step) * step;
    return (float)copysign(size > 65504.0 ? INFINITY : size, (double)x);
}

static Tensor kept_copy(Tensor t, Kept kept)
{
    Tensor copy = bf16_copy(t);
    for (long i = 0; kept == KEPT_F16 && i < tensor_count(t); i++)
        copy.data[i] = f16_nearest(t.data[i]);
    return copy;
}

// Keys and values kept in 16 bits: float32 attention over what is left of them.
static void try_kept(const FastWay *w, const Subject *s, Kept kept)
{
    Tensor k = kept_copy(s->k, kept), v = kept_copy(s->v, kept); // past and new ones
    OracleMask mask = oracle_mask(s->spec, s->sizes);
    mask.offset = s->c.P;
    Answer answer = answer_new(s->c.q.data, k, v, s->sizes, s->c.scale, &mask);
    use(w);
    host_choice.kept = kept;
    Result r = run_chapter(4 + (int)(s->seed % 4), &s->c);
    long wrong = hold(r, &answer);
    if (wrong > 0)
        printf("  %s, %s, chapter %02d: %ld are wrong: %s\n", way_name(w),
               kept == KEPT_BF16 ? "bf16" : "fp16", 4 + (int)(s->seed % 4), wrong, s->text);
    kept_cases[kept]++;
    kept_wrong[kept] += wrong > 0;
    host_choice.kept = KEPT_F32;
    oracle_mask_free(&mask);
    answer_free(&answer);
    result_free(&r);
    tensor_free(&k);
    tensor_free(&v);
}

// --- hidden keys are not read --------------------------------------------------------------------

// Memory whose first `bytes` may be read, and behind them nothing may.
static float *fenced(size_t bytes, size_t *whole)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
    *whole = room + page;
    char *at = mmap(NULL, *whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED && mprotect(at + room, page, PROT_NONE) == 0, "no fenced memory");
    return (float *)(void *)(at + room - bytes);
}

static long fence_wrong;

// One head of 300 keys of which padding leaves `seen`: the others lie where reading is fatal.
static void try_fence(const FastWay *w, long N, long seen, long D, Kept kept)
{
    size_t bytes = (size_t)(seen * D * kept_bytes(kept)), whole;
    float *k = fenced(bytes, &whole), *v = fenced(bytes, &whole);
    Tensor q = tensor_new(SHAPE(1, 1, N, D)), out = tensor_new(SHAPE(1, 1, N, D));
    Tensor lse = tensor_new(SHAPE(1, 1, N));
    Mask mask = {.window = -1, .prefix = -1, .keys = seen};
    Rows rows = {.kept = kept, .sequence = 300 * D, .head = 300 * D, .token = D};
    Pass p = {.B = 1, .H = 1, .G = 1, .N = N, .M = 300, .D = D, .Dv = D, .scale = 1, .q = q,
              .out = out, .lse = lse, .k = rows, .v = rows, .mask = &mask};
    p.k.data = k, p.v.data = v;
    tensor_fill(q, 1.0f);
    use(w);
    host_choice.always(&p);
    fence_wrong += !(out.data[0] == 0.0f); // all values are 0
    tensor_free(&q), tensor_free(&out), tensor_free(&lse);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap((char *)k + bytes + page - whole, whole);
    munmap((char *)v + bytes + page - whole, whole);
}

static void try_fences(void)
{
    static const long sizes[] = {0, 1, 17, 255, 256, 257, 299}, widths[] = {1, 8, 33, 64};
    for (int i = 0; i < way_count; i++)
        for (int s = 0; s < 7; s++)
            for (int d = 0; d < 4; d++) {
                snprintf(doing, sizeof doing, "not ok - fast %s: reads keys behind the first %ld, "
                         "%ld numbers each\n", way_name(&ways[i]), sizes[s], widths[d]);
                try_fence(&ways[i], 1, sizes[s], widths[d], KEPT_F32);
                try_fence(&ways[i], 9, sizes[s], widths[d], KEPT_BF16);
            }
}

// --- the run -------------------------------------------------------------------------------------

static Subject subject;
static bool running;

// At any exit. `running` says that a case was not finished: it is named.
static void leave(void)
{
    if (running)
        printf("fast: stopped in: %s\n", subject.text);
    unlink("mask.npy");
    rmdir(folder);
}

static void try_subject(uint64_t seed, Wish wish)
{
    running = true;
    subject_make(&subject, seed, wish);
    for (int i = 0; i < way_count; i++) {
        FastWay *w = &ways[i];
        bool last = w->step == (w->decodes ? DECODE_STEPS : PREFILL_STEPS) - 1;
        if (wish.kind == LONG && w->isa->lanes == 1 && !last)
            continue; // takes long, and tells what the last one tells
        try_way_of(w, &subject, (long)seed + i);
        if (last)
            try_threads(w, &subject);
        if (wish.kind != LONG || last)
            try_kept(w, &subject, seed % 2 ? KEPT_BF16 : KEPT_F16);
    }
    subject_free(&subject);
    running = false;
}

static void report_line(const char *what, long cases, long wrong)
{
    printf("%s - fast %s: %ld cases, %ld wrong\n", wrong ? "not ok" : cases ? "ok" : "skip", what,
           cases, wrong);
    failed += wrong > 0;
    passed += wrong == 0 && cases > 0;
    skipped += cases == 0;
}

static void report(void)
{
    for (int i = 0; i < way_count; i++)
        report_line(way_name(&ways[i]), ways[i].held + ways[i].failed, ways[i].failed);
    report_line("the same bits on 1, 2, 3 and 7 threads", thread_cases, thread_wrong);
    report_line("keys and values in bf16", kept_cases[KEPT_BF16], kept_wrong[KEPT_BF16]);
    report_line("keys and values in fp16", kept_cases[KEPT_F16], kept_wrong[KEPT_F16]);
    report_line("hidden keys are not read", 2l * 7 * 4 * way_count, fence_wrong);
    printf("fast: %ld passed, %ld failed, %ld skipped\n", passed, failed, skipped);
}

static long number(const char *text, const char *what)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end)
        refuse(EXIT_USAGE, "%s: expected a whole number, got \"%s\"", what, text);
    return n;
}

int main(int argc, char **argv)
{
    fail_program("fast");
    if (argc > 4)
        refuse(EXIT_USAGE, "expected [CASES [SEED [WAY]]], got %d words", argc - 1);
    long cases = argc > 1 ? number(argv[1], "CASES") : 300;
    long seed = argc > 2 ? number(argv[2], "SEED") : 1;
    only = argc > 3 ? argv[3] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(folder) || chdir(folder) != 0)
        refuse(EXIT_WRITE, "%s: cannot be made", folder);
    CHECK(atexit(leave) == 0, "no room for an exit handler");
    signal(SIGSEGV, report_signal);
    signal(SIGBUS, report_signal);
    find_ways();
    if (way_count == 0)
        refuse(EXIT_USAGE, "no way's name begins with \"%s\"", only);
    for (long i = 0; i < cases; i++) {
        Wish wish = {.kind = i % 3 == 2 ? DECODE : ANY, .work = WORK, .float32 = true};
        try_subject((uint64_t)(seed + i), wish);
        if (i % LONG_EACH == 0)
            try_subject((uint64_t)(seed + i), (Wish){LONG, LONG_WORK, true});
    }
    try_fences(); // last: what it finds ends the run
    report();
    return failed ? EXIT_DIFFERS : 0;
}
