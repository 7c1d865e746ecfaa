// The kernels by the thousand: every chapter on the device, in every way that it can be computed
// there, against the float64 oracle. Linked with the emulator, or with CUDA on a GPU.
//
//     kernels [CASES [SEED]]      1000 cases from seed 1, unless told otherwise
//
// Case i is made from SEED + i and nothing else, so `kernels 1 SEED+i` runs that one again.
// Exits with 1 if a result was out of its bound. Each chapter checks by itself that it leaves
// nothing on the device.

#define _POSIX_C_SOURCE 200809L
#include "book.h"
#include "oracle.h"

#include "../common/npy.h"
#include "../common/random.h"
#include "../kernels/cuda/device.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Chapters 05 and 06 are called here pass by pass, as their main.c does it.
#undef ATTENTION_H
#define attention attention_05
#include "../chapters/05_kv_cache/attention.h"
#undef ATTENTION_H
#undef attention
#define attention attention_06
#include "../chapters/06_paged_blocks/attention.h"

enum {
    TEXT   = 512,
    WORK   = 16000, // multiplications of one case, about: a kernel runs them thread by thread
    LONGER = 400,   // cases after which one is allowed to be longer
    STEPS  = 12,    // tokens that come one by one, at most
};

// A chapter and one of its ways, as ATTENTION_KERNEL takes it.
typedef struct {
    int chapter;
    const char *kernel;
    bool passes;  // prefill and then token by token over what stays on the device
    long held, failed, skipped;
} Way;

static Way ways[] = {
    {1, "thread", false, 0, 0, 0}, {1, "warp", false, 0, 0, 0}, {1, "cublas", false, 0, 0, 0},
    {2, "thread", false, 0, 0, 0}, {2, "warp", false, 0, 0, 0}, {2, "cublas", false, 0, 0, 0},
    {3, "thread", false, 0, 0, 0}, {3, "warp", false, 0, 0, 0}, {3, "cublas", false, 0, 0, 0},
    {4, "thread", false, 0, 0, 0}, {4, "warp", false, 0, 0, 0}, {4, "cublas", false, 0, 0, 0},
    {5, "thread", false, 0, 0, 0}, {5, "warp", false, 0, 0, 0}, {5, "cublas", false, 0, 0, 0},
    {6, "thread", false, 0, 0, 0}, {6, "warp", false, 0, 0, 0}, {6, "cublas", false, 0, 0, 0},
    {5, "warp", true, 0, 0, 0},    {5, "cublas", true, 0, 0, 0},
    {6, "warp", true, 0, 0, 0},    {6, "cublas", true, 0, 0, 0},
};

enum { WAYS = sizeof ways / sizeof ways[0] };

// What must come out, by the oracle, and how far from it a kernel may be.
typedef struct {
    double *output, *lse; // [B, H, N, Dv], [B, H, N]
    double bound, lse_bound;
} Answer;

typedef struct {
    uint64_t seed;
    Random random;
    Case c;
    char spec[TEXT], text[2 * TEXT]; // the mask as --mask takes it; the case in words
    long keys;                       // P + M
    Tensor k, v;                     // all of them
    OracleSizes sizes;
    bool causal;                     // nobody sees a later key: pass by pass changes nothing
    Answer masked, unmasked;         // chapter 01 knows no mask
} Subject;

// --- drawing a case --------------------------------------------------------------------------

static bool coin(Random *r, long one_in)
{
    return random_below(r, one_in) == 0;
}

static long draw_from(Random *r, const long *list, size_t bytes)
{
    return list[random_below(r, (long)(bytes / sizeof *list))];
}

// Sizes around a warp of 32, a block of 128 threads and the 8 floats of a sector; and 1.
static void draw_sizes(Random *r, Case *c, long work)
{
    static const long lengths[] = {1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 61, 64, 65,
                                   127, 128, 129, 239};
    static const long widths[] = {1, 2, 3, 4, 5, 7, 8, 16, 21, 31, 32, 33, 40, 64, 65, 111, 128,
                                  203, 256};
    do {
        c->B = 1 + random_below(r, 3);
        c->G = 1 + random_below(r, 3);
        c->H = c->G * (1 + random_below(r, 6));
        c->N = coin(r, 4) ? 1 : draw_from(r, lengths, sizeof lengths);
        c->M = coin(r, 2) ? c->N : draw_from(r, lengths, sizeof lengths);
        c->P = coin(r, 3) ? draw_from(r, lengths, sizeof lengths) : 0;
        c->D = draw_from(r, widths, sizeof widths);
        c->Dv = coin(r, 2) ? c->D : draw_from(r, widths, sizeof widths);
    } while (c->B * c->H * c->N * (c->P + c->M) * (c->D + c->Dv) > work);
    long *empty[] = {&c->B, &c->N, &c->M}; // rarely there is nothing to do
    if (coin(r, 40))
        *empty[random_below(r, 3)] = 0;
}

static Tensor draw_tensor(Random *r, long b, long heads, long n, long width, float factor)
{
    Tensor t = tensor_new(SHAPE(b, heads, n, width));
    for (long i = 0; i < tensor_count(t); i++)
        t.data[i] = random_normal(r) * factor;
    return t;
}

// Logits of order 1 or 4096, values of order 1 or subnormal; any scale.
static void draw_values(Subject *s)
{
    static const float scales[] = {0.0f, 1.0f, -0.5f, 0.25f};
    Case *c = &s->c;
    Random *r = &s->random;
    float factor = coin(r, 8) ? 64.0f : 1.0f, size = coin(r, 8) ? 0x1p-140f : 1.0f;
    c->q = draw_tensor(r, c->B, c->H, c->N, c->D, factor);
    c->k = draw_tensor(r, c->B, c->G, c->M, c->D, factor);
    c->v = draw_tensor(r, c->B, c->G, c->M, c->Dv, size);
    c->past_k = draw_tensor(r, c->B, c->G, c->P, c->D, factor);
    c->past_v = draw_tensor(r, c->B, c->G, c->P, c->Dv, size);
    c->scale = coin(r, 4) ? scales[random_below(r, 4)] : 1 / sqrtf((float)c->D);
}

__attribute__((format(printf, 2, 3)))
static void add_word(Subject *s, const char *format, ...)
{
    size_t n = strlen(s->spec);
    va_list args;
    if (n)
        s->spec[n++] = '+';
    va_start(args, format);
    vsnprintf(s->spec + n, sizeof s->spec - n, format, args);
    va_end(args);
}

// mask.npy: added to the scores, a quarter of it -inf, each of 1 to 4 axes full or 1.
static void add_array(Subject *s)
{
    const long full[MAX_AXES] = {s->c.B, s->c.H, s->c.N, s->keys};
    long shape[MAX_AXES];
    int axes = 1 + (int)random_below(&s->random, MAX_AXES);
    for (int a = 0; a < axes; a++)
        shape[a] = coin(&s->random, 3) ? 1 : full[MAX_AXES - axes + a];
    Tensor t = tensor_new(axes, shape);
    for (long i = 0; i < tensor_count(t); i++)
        t.data[i] = coin(&s->random, 4) ? -INFINITY : random_normal(&s->random);
    npy_write("mask.npy", t);
    tensor_free(&t);
    add_word(s, "mask.npy");
}

// A quarter has no mask, a quarter a plain causal one, the rest several rules joined.
static void draw_mask(Subject *s)
{
    Random *r = &s->random;
    long kind = random_below(r, 8);
    if (kind >= 2 && (kind < 4 || coin(r, 2)))
        add_word(s, coin(r, 3) ? "causal-end" : "causal");
    if (kind >= 4 && coin(r, 3))
        add_word(s, "window=%ld", random_below(r, s->keys + 2));
    if (kind >= 4 && coin(r, 4))
        add_word(s, "prefix=%ld", random_below(r, s->keys + 2));
    if (kind >= 4 && coin(r, 3))
        add_array(s);
    if (kind >= 4 && coin(r, 2)) {
        add_word(s, "padding=%ld", random_below(r, s->keys + 1));
        for (long b = 1; b < s->c.B; b++)
            snprintf(s->spec + strlen(s->spec), 32, ",%ld", random_below(r, s->keys + 1));
    }
    if (!s->spec[0])
        add_word(s, "none");
    s->c.mask = s->spec;
}

// Key j of all those of a sequence, past ones first, with its value: both become x.
static void overwrite(Subject *s, long b, long g, long j, float x)
{
    Case *c = &s->c;
    Tensor k = tensor_at(tensor_at(j < c->P ? c->past_k : c->k, b), g);
    Tensor v = tensor_at(tensor_at(j < c->P ? c->past_v : c->v, b), g);
    long at = j < c->P ? j : j - c->P;
    tensor_fill(tensor_at(k, at), x);
    tensor_fill(tensor_at(v, at), x);
}

// A few keys and their values become NaN or infinite, hidden or not: rows that do not see them
// must not notice, rows that do are NaN.
static void draw_poison(Subject *s)
{
    Random *r = &s->random;
    long count = s->keys > 0 && s->c.B > 0 && coin(r, 2) ? 1 + random_below(r, 3) : 0;
    for (long i = 0; i < count; i++)
        overwrite(s, random_below(r, s->c.B), random_below(r, s->c.G), random_below(r, s->keys),
                  coin(r, 3) ? INFINITY : NAN);
}

static void draw_ways(Subject *s)
{
    static const long block_sizes[] = {1, 2, 3, 5, 8, 16, 64};
    Case *c = &s->c;
    Random *r = &s->random;
    c->prefill = c->N;
    if (s->causal && c->N == c->M && c->N > 1) // the last few tokens come one by one
        c->prefill -= 1 + random_below(r, c->N - 1 < STEPS ? c->N - 1 : STEPS);
    c->growth = coin(r, 2) ? CACHE_PREALLOC : CACHE_GROW;
    c->layout = coin(r, 2) ? LAYOUT_HEADS : LAYOUT_TOKENS;
    c->block_size = draw_from(r, block_sizes, sizeof block_sizes);
    c->shuffle = random_below(r, 1000);
    c->R = c->C = 8;
}

static void describe(Subject *s)
{
    const Case *c = &s->c;
    snprintf(s->text, sizeof s->text,
             "B=%ld H=%ld G=%ld N=%ld M=%ld P=%ld D=%ld Dv=%ld mask=%s scale=%.9g prefill=%ld "
             "cache=%s layout=%s block-size=%ld shuffle=%ld; again: kernels 1 %llu", c->B, c->H,
             c->G, c->N, c->M, c->P, c->D, c->Dv, s->spec, (double)c->scale, c->prefill,
             c->growth == CACHE_GROW ? "grow" : "prealloc",
             c->layout == LAYOUT_HEADS ? "heads" : "tokens", c->block_size, c->shuffle,
             (unsigned long long)s->seed);
}

// --- the answer ------------------------------------------------------------------------------

// The bound for V = 1 is that of a weight, and no less than that of the log-sum-exp.
static Answer ask_oracle(const Subject *s, const OracleMask *mask)
{
    const Case *c = &s->c;
    long rows = c->B * c->H * c->N;
    OracleSizes narrow = s->sizes;
    Answer a = {.output = oracle_zeros(rows * c->Dv), .lse = oracle_zeros(rows)};
    oracle_attention((OracleSteps){.output = a.output, .lse = a.lse}, c->q.data, s->k.data,
                     s->v.data, s->sizes, (double)c->scale, mask);
    a.bound = oracle_bound(c->q.data, s->k.data, s->v.data, s->sizes, (double)c->scale, mask);
    Tensor ones = tensor_new(SHAPE(c->B * c->G * s->keys, 1));
    tensor_fill(ones, 1.0f);
    narrow.Dv = 1;
    a.lse_bound = oracle_bound(c->q.data, s->k.data, ones.data, narrow, (double)c->scale, mask);
    tensor_free(&ones);
    return a;
}

static void subject_make(Subject *s, uint64_t seed, long work)
{
    *s = (Subject){.seed = seed, .random = random_seed(seed)};
    Case *c = &s->c;
    snprintf(s->text, sizeof s->text, "seed %llu, not yet drawn", (unsigned long long)seed);
    draw_sizes(&s->random, c, work);
    s->keys = c->P + c->M;
    draw_values(s);
    draw_mask(s);
    draw_poison(s);
    s->k = join_tokens(c->past_k, c->k);
    s->v = join_tokens(c->past_v, c->v);
    s->sizes = (OracleSizes){c->B, c->H, c->G, c->N, s->keys, c->D, c->Dv};
    OracleMask mask = oracle_mask(s->spec, s->sizes);
    mask.offset = c->P;
    s->causal = mask.causal || mask.window >= 0;
    draw_ways(s);
    describe(s);
    s->masked = ask_oracle(s, &mask);
    s->unmasked = ask_oracle(s, &ORACLE_SEES_ALL);
    oracle_mask_free(&mask);
}

static void subject_free(Subject *s)
{
    Tensor *owned[] = {&s->k, &s->v, &s->c.q, &s->c.k, &s->c.v, &s->c.past_k, &s->c.past_v};
    double *answers[] = {s->masked.output, s->masked.lse, s->unmasked.output, s->unmasked.lse};
    for (int i = 0; i < 7; i++)
        tensor_free(owned[i]);
    for (int i = 0; i < 4; i++)
        free(answers[i]);
    CHECK(tensor_live_bytes() == 0, "%ld bytes of tensors were not freed", tensor_live_bytes());
}

// --- pass by pass, over what stays on the device ---------------------------------------------

static Result new_result(const Case *c)
{
    return (Result){.out = tensor_new(SHAPE(c->B, c->H, c->N, c->Dv)),
                    .lse = tensor_new(SHAPE(c->B, c->H, c->N))};
}

// One pass over tokens t to t + n of either chapter.
typedef struct {
    Cache *cache;       // 05, or NULL
    Pool *pool;         // 06
    BlockTable *tables;
} Memory;

static void run_pass(const Case *c, Result *r, Memory m, const Mask *all, Trace *trace, long t,
                     long n)
{
    long to = t + n;
    Mask mask = mask_pass(all, t, n, c->P, c->P + to);
    Tensor out = tensor_slice(r->out, 2, t, to), lse = tensor_slice(r->lse, 2, t, to);
    Tensor q = tensor_slice(c->q, 2, t, to);
    Tensor k = tensor_slice(c->k, 2, t, to), v = tensor_slice(c->v, 2, t, to);
    if (m.cache)
        attention_05(out, lse, q, k, v, c->scale, &mask, m.cache, trace);
    else {
        PagesStatus status = attention_06(out, lse, q, k, v, c->scale, &mask, m.pool, m.tables,
                                          trace);
        CHECK(status == PAGES_OK, "%s", pages_message(status));
    }
}

// trace.pass counts, as in main.c: from pass 1 on the device's copy of the cache is used again.
static void run_passes(const Case *c, Result *r, Memory m)
{
    Trace trace = {.quiet = true};
    Mask mask = mask_read(c->mask, c->B, c->H, c->N, c->P + c->M);
    long n = c->prefill;
    for (long t = 0; t < c->N; t += n, n = 1, trace.pass++) {
        n = t == 0 ? c->prefill : 1;
        run_pass(c, r, m, &mask, &trace, t, n);
    }
    mask_free(&mask);
}

// Before the run the same memory, at the same address, holds as many tokens of something else, and
// the device has seen them. A run that takes those for its own past shows it.
static void run_decoy(const Case *c, Memory m)
{
    Trace trace = {.quiet = true};
    Mask mask = mask_read("none", c->B, c->H, 1, c->P);
    Tensor out = tensor_new(SHAPE(c->B, c->H, 1, c->Dv)), lse = tensor_new(SHAPE(c->B, c->H, 1));
    Tensor k = tensor_new(SHAPE(c->B, c->G, c->P, c->D));
    Tensor v = tensor_new(SHAPE(c->B, c->G, c->P, c->Dv)), q = tensor_slice(c->q, 2, 0, 1);
    tensor_fill(k, 1.0f);
    tensor_fill(v, 7.0f);
    if (m.cache)
        attention_05(out, lse, q, k, v, c->scale, &mask, m.cache, &trace);
    else
        attention_06(out, lse, q, k, v, c->scale, &mask, m.pool, m.tables, &trace);
    Tensor *owned[] = {&out, &lse, &k, &v};
    for (int i = 0; i < 4; i++)
        tensor_free(owned[i]);
    mask_free(&mask);
}

static Result run_cache(const Case *c)
{
    Result r = new_result(c);
    Cache cache = cache_new(c->B, c->G, c->growth == CACHE_GROW ? 1 : c->P + c->M, c->D, c->Dv,
                            c->growth, c->layout);
    if (c->P > 0) {
        run_decoy(c, (Memory){.cache = &cache});
        cache_rewind(&cache, 0);
        cache_append(&cache, c->past_k, c->past_v);
    }
    run_passes(c, &r, (Memory){.cache = &cache});
    cache_free(&cache);
    return r;
}

static Result run_pages(const Case *c)
{
    enum { MOST = 4 };
    Result r = new_result(c);
    BlockTable tables[MOST];
    long each = (c->P + c->M + c->block_size - 1) / c->block_size;
    Pool pool = pages_pool(c->B * each + 2, c->G, c->block_size, c->D, c->Dv,
                           (uint64_t)c->shuffle);
    CHECK(c->B <= MOST, "%ld sequences", c->B);
    for (long b = 0; b < c->B; b++)
        tables[b] = pages_table(each);
    if (c->P > 0) {
        run_decoy(c, (Memory){.pool = &pool, .tables = tables});
        for (long b = 0; b < c->B; b++)
            CHECK(pages_clear(&pool, &tables[b]) == PAGES_OK, "sequence %ld stays", b);
        CHECK(pages_append(&pool, tables, c->past_k, c->past_v) == PAGES_OK, "no room");
    }
    run_passes(c, &r, (Memory){.pool = &pool, .tables = tables});
    for (long b = 0; b < c->B; b++)
        pages_free_table(&tables[b]);
    pages_free_pool(&pool);
    return r;
}

// --- holding a kernel against the answer -----------------------------------------------------

// Equal values pass first (-inf equals -inf), and NaN where NaN must be; what is left is negated,
// so that any other NaN fails.
static bool beyond(double x, double ref, double bound)
{
    return x != ref && !(isnan(x) && isnan(ref)) && !(fabs(x - ref) <= bound);
}

// Returns how many numbers are out of bound, and says which was the first.
static long count_wrong(const char *what, Tensor got, const double *ref, double bound)
{
    long wrong = 0;
    for (long i = 0; i < tensor_count(got); i++)
        if (beyond((double)got.data[i], ref[i], bound) && wrong++ == 0)
            printf("  %s %ld is %.9g, the oracle has %.9g, bound %.3g\n", what, i,
                   (double)got.data[i], ref[i], bound);
    return wrong;
}

// Can this way be asked this case?
static bool applies(const Way *w, const Subject *s)
{
    const Case *c = &s->c;
    return !w->passes || (s->causal && c->N == c->M && c->prefill < c->N && c->B > 0);
}

// Chapters 05 and 06 in one call start from a cache that nobody has seen on the device.
static Result run_way(const Way *w, const Subject *s)
{
    Case c = s->c;
    if (w->passes)
        return w->chapter == 5 ? run_cache(&c) : run_pages(&c);
    if (w->chapter == 1)
        c.mask = "none";
    return run_chapter(w->chapter, &c);
}

static void try_way(Way *w, const Subject *s)
{
    const Answer *a = w->chapter == 1 ? &s->unmasked : &s->masked;
    if (!applies(w, s)) {
        w->skipped++;
        return;
    }
    setenv("ATTENTION_KERNEL", w->kernel, 1);
    Result r = run_way(w, s);
    long wrong = count_wrong("output", r.out, a->output, a->bound) +
                 count_wrong("lse", r.lse, a->lse, a->lse_bound);
    if (wrong > 0)
        printf("  %02d %s%s: %ld numbers out of bound: %s\n", w->chapter, w->kernel,
               w->passes ? ", pass by pass" : "", wrong, s->text);
    w->failed += wrong > 0;
    w->held += wrong == 0;
    result_free(&r);
}

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
