// A run of T tokens through attention layers of GPT-2 small's shape, three ways. All three give
// the same bits; what they differ in is how much they compute again.

#include "experiment.h"

#include "attention.h"

#include "../../common/count.h"
#include "../../common/measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// What the step from t to t + 1 tokens computes.
typedef enum {
    CACHED,    // Q, K, V of the new token, and its row of scores
    KV_AGAIN,  // K and V of all tokens, but one query: --no-cache
    ALL_AGAIN, // everything for all tokens: a model that keeps nothing
    WAYS
} Way;

static const char *const names[WAYS] = {"(1) cached", "(2) KV again", "(3) all again"};

enum {
    CHECKED = 8,   // tokens of the run that warms up and compares the three ways' results
    TIMED = 128,   // tokens of the timed run, unless --n says otherwise
    LONGEST = 1000,
    ROUNDS = 3,    // each time is their median
    MARKS = 11,    // rows of a table, at most
};

typedef struct {
    const Config *config;
    Input in;      // X: [1, T, hidden], random; the weights of one layer, seeded
    Tensor out;    // [1, H, T, D]
    Tensor lse;    // [1, H, T]
    Cache cache;   // room for T tokens
} Layer;

// Seconds from the start of a run to its mark-th row: [way][mark][round].
typedef double Times[WAYS][MARKS][ROUNDS];

// --- one layer, run ------------------------------------------------------------------------

// One layer is run; the stack's others cost the same. Its cache takes the whole run, so growing
// adds nothing to either side.
static Layer layer_new(const Options *o, const Config *c, long tokens)
{
    Options random = {.chapter = o->chapter, .config = c, .mask = "causal", .batch = 1,
                      .seed = o->seed, .n = tokens};
    return (Layer){.config = c,
                   .in = input_read(&random),
                   .out = tensor_new(SHAPE(1, c->heads, tokens, c->head_dim)),
                   .lse = tensor_new(SHAPE(1, c->heads, tokens)),
                   .cache = cache_new(1, c->kv_heads, tokens, c->head_dim, c->head_dim,
                                      CACHE_PREALLOC, LAYOUT_HEADS)};
}

static void layer_free(Layer *l)
{
    tensor_free(&l->out);
    tensor_free(&l->lse);
    cache_free(&l->cache);
    input_free(&l->in);
}

// Token t comes. Where a way computes rows again it begins with row 0, else with row t.
static void step(Layer *l, Way way, long t)
{
    long q0 = way == ALL_AGAIN ? 0 : t, k0 = way == CACHED ? t : 0, end = t + 1;
    Trace quiet = {.quiet = true};
    cache_rewind(&l->cache, k0);
    input_project_q(&l->in, q0, end);
    input_project_kv(&l->in, k0, end);
    Mask mask = mask_pass(&l->in.mask, q0, end - q0, 0, end);
    attention(tensor_slice(l->out, 2, q0, end), tensor_slice(l->lse, 2, q0, end),
              tensor_slice(l->in.q, 2, q0, end), tensor_slice(l->in.k, 2, k0, end),
              tensor_slice(l->in.v, 2, k0, end), l->in.scale, &mask, &l->cache, &quiet);
    input_combine(&l->in, l->out, q0, end);
}

// --- counted: the formula, and the counters that it must equal -----------------------------

// y = x W^T for n rows of x.
static void add_linear(Counts *c, long n, long in, long out)
{
    c->flops += 2 * n * in * out;
    c->read_bytes += 4 * (n * in + in * out);
    c->written_bytes += 4 * n * out;
}

// One head: n queries, of which the last sees all m keys, the one before it m - 1, ...
//
// Flops of a score: 2 D for q.k, 1 to scale, 5 for softmax; of one that the mask lets through:
// 2 D for P V. The [n, m] matrix is read four times and written four times.
static void add_head(Counts *c, long n, long m, long D)
{
    long seen = n * m - n * (n - 1) / 2;
    c->scores += n * m;
    c->flops += n * m * (2 * D + 6) + seen * 2 * D;
    c->read_bytes += 4 * (n * D + 2 * m * D + 4 * n * m);
    c->written_bytes += 4 * (4 * n * m + n + n * D);
}

// Token t of one layer.
static void add_step(Counts *c, const Config *s, Way way, long t)
{
    long m = t + 1, n = way == ALL_AGAIN ? m : 1, fresh = way == CACHED ? 1 : m;
    long q_row = s->heads * s->head_dim, kv_row = s->kv_heads * s->head_dim;
    add_linear(c, n, s->hidden, q_row);
    add_linear(c, fresh, s->hidden, kv_row); // K
    add_linear(c, fresh, s->hidden, kv_row); // V
    c->read_bytes += 4 * 2 * fresh * kv_row; // into the cache
    c->written_bytes += 4 * 2 * fresh * kv_row;
    for (long h = 0; h < s->heads; h++)
        add_head(c, n, m, s->head_dim);
    add_linear(c, n, q_row, s->hidden);
}

static Counts count_run(const Config *s, Way way, long tokens)
{
    Counts c = {0};
    for (long t = 0; t < tokens; t++)
        add_step(&c, s, way, t);
    return c;
}

// Whole stacks, as doubles: every layer costs the same, and 2^53 is far beyond what comes here.
static double flops(const Config *s, Way way, long tokens, long layers)
{
    return (double)layers * (double)count_run(s, way, tokens).flops;
}

static double bytes(const Config *s, Way way, long tokens, long layers)
{
    Counts c = count_run(s, way, tokens);
    return (double)layers * (double)(c.read_bytes + c.written_bytes);
}

// The formula describes what the code does only if the code's own counters say the same.
static void check_counts(const Config *s, Way way, long tokens)
{
    Counts c = count_run(s, way, tokens);
    CHECK(counts.flops == c.flops, "way %d: %ld flops counted, %ld by the formula", way + 1,
          counts.flops, c.flops);
    CHECK(counts.read_bytes == c.read_bytes && counts.written_bytes == c.written_bytes,
          "way %d: %ld + %ld bytes counted, %ld + %ld by the formula", way + 1, counts.read_bytes,
          counts.written_bytes, c.read_bytes, c.written_bytes);
    CHECK(counts.scores == c.scores, "way %d: %ld scores counted, %ld by the formula", way + 1,
          counts.scores, c.scores);
}

// --- running -------------------------------------------------------------------------------

// The rows of a table: 1, 2, 4, ... and `last` itself. Returns how many.
static int make_marks(long *marks, long last)
{
    int n = 0;
    for (long t = 1; t < last; t *= 2)
        marks[n++] = t;
    marks[n++] = last;
    return n;
}

// Runs the marks' last number of tokens; seconds[i] is the time that marks[i] tokens took.
static void run(Layer *l, Way way, const long *marks, int mark_count, double *seconds)
{
    int next = 0;
    step(l, way, 0); // untimed: the weights come into the processor's caches
    tensor_fill(l->in.result, NAN); // whatever is not written shows
    counts = (Counts){0};
    double began = measure_clock();
    for (long t = 0; next < mark_count; t++) {
        step(l, way, t);
        if (t + 1 == marks[next])
            seconds[next++] = measure_clock() - began;
    }
    check_counts(l->config, way, marks[mark_count - 1]);
}

// The first tokens, each way: the same result, bit for bit.
static void check_results(Layer *l, long tokens)
{
    size_t size = (size_t)(tokens * l->config->hidden) * sizeof(float);
    Tensor cached = tensor_new(SHAPE(tokens, l->config->hidden));
    double unused[1];
    for (Way way = CACHED; way < WAYS; way++) {
        run(l, way, &tokens, 1, unused);
        if (way == CACHED)
            memcpy(cached.data, l->in.result.data, size);
        CHECK(memcmp(cached.data, l->in.result.data, size) == 0,
              "way %d gives another result than the cache", way + 1);
    }
    tensor_free(&cached);
}

// Way after way, round after round: what slows the machine for a while slows all three.
static void time_runs(Layer *l, const long *marks, int mark_count, Times times)
{
    double seconds[MARKS];
    for (int round = 0; round < ROUNDS; round++)
        for (Way way = CACHED; way < WAYS; way++) {
            run(l, way, marks, mark_count, seconds);
            for (int i = 0; i < mark_count; i++)
                times[way][i][round] = seconds[i];
        }
}

// --- tables: what was counted ---------------------------------------------------------------

static void print_setting(const Config *c)
{
    printf("== with and without a KV cache: %ld layers, hidden %ld, %ld heads of %ld (%s) ==\n",
           c->layers, c->hidden, c->heads, c->head_dim, c->name);
    printf("Attention layers only: W_Q, W_K, W_V, attention, W_O; a random X of T tokens, one a "
           "step.\nEach step, from t to t + 1 tokens, computes\n\n"
           "  (1) cached     Q, K, V of the new token and its row of scores\n"
           "  (2) KV again   K and V of all t + 1 tokens, one query (--no-cache)\n"
           "  (3) all again  all of it for all t + 1 tokens, as a model that keeps nothing\n\n"
           "All three give the same bits: compared over %d tokens in one layer. What follows is\n"
           "counted by formulas, and the counters of every run must equal them.\n\n",
           CHECKED);
}

typedef double Cost(const Config *s, Way way, long tokens, long layers);

static void print_counts(const char *heading, Cost *cost, const Config *c)
{
    long marks[MARKS];
    int n = make_marks(marks, LONGEST);
    printf("== %s, %ld layers ==\n", heading, c->layers);
    printf("%6s %20s %20s %20s %9s %9s\n", "T", names[CACHED], names[KV_AGAIN],
           names[ALL_AGAIN], "(2)/(1)", "(3)/(1)");
    for (int i = 0; i < n; i++) {
        double x[WAYS];
        for (Way way = CACHED; way < WAYS; way++)
            x[way] = cost(c, way, marks[i], c->layers);
        printf("%6ld %20.0f %20.0f %20.0f %9.2f %9.2f\n", marks[i], x[CACHED], x[KV_AGAIN],
               x[ALL_AGAIN], x[KV_AGAIN] / x[CACHED], x[ALL_AGAIN] / x[CACHED]);
    }
    printf("\n");
}

// The time of a run, in flops, where x flops take as long as one byte: whichever of the two
// keeps the machine busy for longer (the roofline model, Williams et al. 2009).
static double roofline(const Config *c, Way way, long tokens, double x)
{
    double work = flops(c, way, tokens, c->layers), traffic = x * bytes(c, way, tokens, c->layers);
    return work > traffic ? work : traffic;
}

// The same two runs on machines from 1/4 to 64 flops a byte: why one ratio cannot fit all.
static void print_rooflines(const Config *c)
{
    double one_flops = flops(c, CACHED, LONGEST, c->layers);
    double all_flops = flops(c, ALL_AGAIN, LONGEST, c->layers);
    printf("== (3)/(1) at T = %d, by how many flops a machine does while it moves one byte ==\n",
           LONGEST);
    printf("%12s %9s   %-14s %s\n", "flops a byte", "(3)/(1)", "(1) waits for", "(3) waits for");
    for (double x = 0.25; x <= 64; x *= 2) {
        double one = roofline(c, CACHED, LONGEST, x), all = roofline(c, ALL_AGAIN, LONGEST, x);
        printf("%12.2f %9.2f   %-14s %s\n", x, all / one, one > one_flops ? "bytes" : "flops",
               all > all_flops ? "bytes" : "flops");
    }
    printf("\n");
}

// --- tables: what was timed ----------------------------------------------------------------

static void print_times(const long *marks, int mark_count, Times times)
{
    printf("clock == timed: seconds, ONE layer, median of %d: %s ==\n", ROUNDS,
           measure_hardware());
    printf("clock %6s %14s %14s %14s %9s %9s\n", "T", names[CACHED], names[KV_AGAIN],
           names[ALL_AGAIN], "(2)/(1)", "(3)/(1)");
    for (int i = 0; i < mark_count; i++) {
        double x[WAYS];
        for (Way way = CACHED; way < WAYS; way++)
            x[way] = measure_median(times[way][i], ROUNDS);
        printf("clock %6ld %14.6f %14.6f %14.6f %9.2f %9.2f\n", marks[i], x[CACHED], x[KV_AGAIN],
               x[ALL_AGAIN], x[KV_AGAIN] / x[CACHED], x[ALL_AGAIN] / x[CACHED]);
    }
}

// The loops' speed at the last mark carries the flops of LONGEST tokens in every layer. `last`
// holds that mark's times, sorted by their median.
static double print_speed(const Config *c, Way way, long tokens, const double *last)
{
    double speed = flops(c, way, tokens, 1) / last[ROUNDS / 2]; // flops a second
    double seconds = flops(c, way, LONGEST, c->layers) / speed;
    printf("clock %-14s %10.6f %10.6f %9.2f %16.1f\n", names[way], last[0], last[ROUNDS - 1],
           speed / 1e9, seconds);
    return seconds;
}

// T = LONGEST would take hours without a cache: its seconds are worked out, and say so.
static void print_extrapolation(const Config *c, const long *marks, int mark_count, Times times)
{
    int last = mark_count - 1;
    double seconds[WAYS];
    printf("clock\nclock == extrapolated, not timed: flops of T = %d, %ld layers, at the speed of "
           "T = %ld ==\n", LONGEST, c->layers, marks[last]);
    printf("clock %-14s %10s %10s %9s %16s\n", "", "min s", "max s", "Gflop/s", "extrapolated s");
    for (Way way = CACHED; way < WAYS; way++)
        seconds[way] = print_speed(c, way, marks[last], times[way][last]);
    printf("clock (2)/(1) %.0f, (3)/(1) %.0f\n\n", seconds[KV_AGAIN] / seconds[CACHED],
           seconds[ALL_AGAIN] / seconds[CACHED]);
}

// --- what the ratios compare ---------------------------------------------------------------

static void print_ratios(const Config *c)
{
    double one_flops = flops(c, CACHED, LONGEST, c->layers);
    double one_bytes = bytes(c, CACHED, LONGEST, c->layers);
    double all_flops = flops(c, ALL_AGAIN, LONGEST, c->layers);
    printf("== beside \"about 100x\", T = %d ==\n", LONGEST);
    printf("%9.2f  (3)/(1) in flops. Every linear layer gives (T + 1) / 2: the mean length.\n",
           all_flops / one_flops);
    printf("%9.2f  (2)/(1) in flops: only K and V come again.\n",
           flops(c, KV_AGAIN, LONGEST, c->layers) / one_flops);
    printf("%9.2f  (3)/(1) in bytes: a step reads the weights once, for one row or many.\n",
           bytes(c, ALL_AGAIN, LONGEST, c->layers) / one_bytes);
    printf("   100     (3)/(1) in seconds, as widely quoted. One row uses each weight once, so\n"
           "           (1) waits for bytes; many rows use it many times, so (3) waits for flops.\n"
           "           100x is then a machine of %.2f flops a byte. Plain loops like those timed\n"
           "           here do so few flops that they wait for them both ways: about T / 2.\n\n",
           all_flops / (100 * one_bytes));
    printf("Left out: MLPs, norms and logits. An MLP is two more linear layers: (T + 1) / 2 in\n"
           "flops, and in bytes more weights, read once a step either way, which lowers that\n"
           "ratio. Logits of the last token alone cost the same either way and lower both.\n");
}

// --- the experiment ------------------------------------------------------------------------

static void cache_experiment(const Options *o)
{
    const Config *c = config_find("gpt2-small");
    long marks[MARKS], tokens = options_given(o, "--n") ? o->n : TIMED;
    if (tokens > LONGEST)
        refuse(EXIT_USAGE, "--n: expected 1 to %d timed tokens, got %ld", LONGEST, tokens);
    int mark_count = make_marks(marks, tokens);
    Layer l = layer_new(o, c, tokens > CHECKED ? tokens : CHECKED);
    Times times;

    check_results(&l, CHECKED);
    print_setting(c);
    print_counts("flops", flops, c);
    print_counts("bytes moved", bytes, c);
    print_rooflines(c);
    fflush(stdout);
    if (tokens > 32)
        fprintf(stderr, "timing %ld tokens, three ways, %d rounds: a minute for 128; --n 32 takes "
                "seconds\n", tokens, ROUNDS);
    time_runs(&l, marks, mark_count, times);
    print_times(marks, mark_count, times);
    print_extrapolation(c, marks, mark_count, times);
    print_ratios(c);

    layer_free(&l);
}

void experiment(const Options *o)
{
    options_only(o, "--experiment", "--experiment --n --seed");
    if (strcmp(o->experiment, "cache") != 0)
        refuse(EXIT_USAGE, "--experiment: expected cache, got \"%s\"", o->experiment);
    cache_experiment(o);
}
