// What tiling does to memory traffic, and what it does to the last bits.

#include "experiment.h"

#include "attention.h"
#include "merge.h"
#include "ulps.h"

#include "../../common/count.h"
#include "../../common/random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { T = 16 }; // tokens in a block of the pages beneath: moves no byte more or less

// --- one head of chapter 07's own attention ------------------------------------------------

static long least(long a, long b)
{
    return a < b ? a : b;
}

// [rows, columns] of normal numbers: scores of two such vectors spread as a trained model's do.
static Tensor normal_matrix(long rows, long columns, Random *r)
{
    Tensor t = tensor_new(SHAPE(rows, columns));
    for (long i = 0; i < rows * columns; i++)
        t.data[i] = random_normal(r);
    return t;
}

// [N, D] as [1, 1, N, D]
static Tensor as_batch(Tensor t)
{
    return tensor_lift(tensor_lift(t));
}

static Mask mask_rule(bool causal, long M)
{
    return (Mask){.causal = causal, .window = -1, .prefix = -1, .keys = M};
}

// What a run cost: its counts, and the bytes held beyond its inputs, result and pages.
typedef struct {
    Counts counts;
    long scratch;
} Cost;

// out = attention(q, k, v) in one pass, as the chapter computes it.    q, out: [N, D], [N, Dv]
static Cost run_chapter(Tensor out, Tensor q, Tensor k, Tensor v, bool causal, Tiling tiling)
{
    long M = k.shape[0], D = k.shape[1], blocks = (M + T - 1) / T;
    Pool pool = pages_pool(blocks, 1, T, D, v.shape[1], 1);
    BlockTable table = pages_table(blocks);
    Tensor lse = tensor_new(SHAPE(1, 1, q.shape[0]));
    Mask mask = mask_rule(causal, M);
    Trace trace = {.quiet = true};
    // From here on: what is allocated is scratch, what is moved is attention's own.
    long live = tensor_live_bytes();
    counts = (Counts){0};
    tensor_reset_peak();
    PagesStatus status = attention(as_batch(out), lse, as_batch(q), as_batch(k), as_batch(v),
                                   1.0f / sqrtf((float)D), &mask, &pool, &table, &tiling, &trace);
    CHECK(status == PAGES_OK, "%s", pages_message(status));
    Cost cost = {counts, tensor_peak_bytes() - live};
    tensor_free(&lse);
    pages_free_table(&table);
    pages_free_pool(&pool);
    return cost;
}

// --- io ------------------------------------------------------------------------------------

// What the formula says of N queries and as many keys, of D floats each, in floats. It knows the
// causal mask as arithmetic and asks no mask_allows.
typedef struct {
    long append; // K and V into the pages: read once, written once
    long read;   // Q once, and for each row of tiles the keys and values that it computes
    long write;  // the output and the log-sum-exp
    long tiles, skipped;
} Formula;

static Formula count_on_paper(long N, long D, bool causal, long R, long C)
{
    Formula f = {.append = 4 * N * D, .read = N * D, .write = N * D + N};
    for (long i = 0; i < N; i += R) {
        long seen = causal ? least(i + R, N) : N;     // keys up to the tile's last query
        long tiles = (seen + C - 1) / C, all = (N + C - 1) / C;
        f.read += least(tiles * C, N) * 2 * D;        // K and V; the last tile may be cut short
        f.tiles += tiles;
        f.skipped += all - tiles;
    }
    return f;
}

// Bytes of chapter 06, which is the dense computation of 01 to 06 behind the same append: each of
// its steps reads its inputs from slow memory and writes its result there: Q, K -> S, S -> S twice,
// S -> P and the log-sum-exp, P, V -> O. That is 8 N M floats of S and P.
static long naive_bytes(long N, long D)
{
    long scores = 2 * N * D + N * N, scaled = 2 * N * N, masked = 2 * N * N;
    long weights = 2 * N * N + N, output = N * N + 2 * N * D, append = 4 * N * D;
    return 4 * (append + scores + scaled + masked + weights + output);
}

// The bytes of fast memory that attention.h promises for a tile, with Dv = D. [R, D] comes four
// times: Q, what one tile adds, the output so far, and that of a second part; [C, D] for K and V.
static long scratch_bytes(long D, long R, long C)
{
    return 4 * (4 * R * D + 2 * C * D + R * C + 2 * R * STATE_SIZE);
}

// Runs one case and holds the formula against it. Returns the bytes moved.
static long run_case(long N, long D, bool causal, long R, long C, Formula *f, long *scratch)
{
    Random r = random_seed(1); // what is moved does not depend on the numbers
    Tensor q = normal_matrix(N, D, &r), k = normal_matrix(N, D, &r), v = normal_matrix(N, D, &r);
    Tensor out = tensor_new(SHAPE(N, D));
    Cost cost = run_chapter(out, q, k, v, causal, (Tiling){.rows = R, .columns = C});
    *f = count_on_paper(N, D, causal, R, C);
    *scratch = cost.scratch;
    long read = 4 * (f->append / 2 + f->read), written = 4 * (f->append / 2 + f->write);
    // Equal, not near: one float off is a copy forgotten, or made twice.
    CHECK(cost.counts.read_bytes == read, "%ld bytes read, the formula says %ld",
          cost.counts.read_bytes, read);
    CHECK(cost.counts.written_bytes == written, "%ld bytes written, the formula says %ld",
          cost.counts.written_bytes, written);
    CHECK(cost.counts.tiles == f->tiles && cost.counts.skipped == f->skipped,
          "%ld tiles and %ld skipped, the formula says %ld and %ld", cost.counts.tiles,
          cost.counts.skipped, f->tiles, f->skipped);
    CHECK(*scratch == scratch_bytes(D, R, C), "%ld bytes of scratch, the formula says %ld",
          *scratch, scratch_bytes(D, R, C));
    tensor_free(&q), tensor_free(&k), tensor_free(&v), tensor_free(&out);
    return cost.counts.read_bytes + cost.counts.written_bytes;
}

// One line: the formula's three terms, their sum, and what the chapter really moved.
static void print_case(long N, long D, bool causal, long R, long C)
{
    Formula f;
    long scratch, bytes = run_case(N, D, causal, R, C, &f, &scratch);
    char tile[32];
    snprintf(tile, sizeof tile, "%ld,%ld", R, C);
    printf("%4ld %7s %6ld %7ld %7ld %9ld %7ld %9ld %9ld %8ld %6.2f %8ld\n", N, tile, f.tiles,
           f.skipped, 4 * f.append, 4 * f.read, 4 * f.write,
           4 * (f.append + f.read + f.write), bytes, naive_bytes(N, D),
           (double)bytes / (double)naive_bytes(N, D), scratch);
}

static void print_cases(long D, bool causal)
{
    static const long sizes[] = {64, 128, 256, 512};
    // 16,64 and 64,16 have the same area: which of its sides counts?
    static const long tiles[][2] = {{8, 8}, {16, 16}, {32, 32}, {64, 64}, {16, 64}, {64, 16}};
    printf("-- io: bytes moved, one head, N = M, D = %ld, %s --\n", D,
           causal ? "causal" : "no mask");
    printf("%4s %7s %6s %7s %7s %9s %7s %9s %9s %8s %6s %8s\n", "N", "tile", "tiles", "skipped",
           "append", "read", "write", "formula", "counted", "naive", "ratio", "scratch");
    for (int n = 0; n < 4; n++)
        for (int t = 0; t < 6; t++)
            print_case(sizes[n], D, causal, tiles[t][0], tiles[t][1]);
    printf("\n");
}

// FlashAttention, algorithm 1, line 1: with S floats of fast memory, C = ceil(S / 4D) keys and
// R = min(C, D) queries a tile. The 4 are Q, K, V and O; the tile of scores is not among them.
static void print_fast_memory(long N, long D)
{
    printf("-- the tile that FlashAttention's algorithm 1 takes, N = M = %ld, D = %ld --\n", N, D);
    printf("%9s %9s %10s %6s %10s %6s %9s\n", "fast", "tile", "no mask", "ratio", "causal",
           "ratio", "scratch");
    for (long bytes = 4096; bytes <= 131072; bytes *= 2) {
        long C = (bytes / 4 + 4 * D - 1) / (4 * D), R = least(C, D), scratch;
        double naive = (double)naive_bytes(N, D);
        Formula f;
        char tile[48];
        long all = run_case(N, D, false, R, C, &f, &scratch);
        long half = run_case(N, D, true, R, C, &f, &scratch);
        snprintf(tile, sizeof tile, "%ld,%ld", R, C);
        printf("%9ld %9s %10ld %6.2f %10ld %6.2f %9ld\n", bytes, tile, all, (double)all / naive,
               half, (double)half / naive, scratch);
    }
}

static void io(void)
{
    enum { D = 64 };
    print_cases(D, false);
    print_cases(D, true);
    print_fast_memory(512, D);
    printf("\nappend   K and V into the pages: 8 N (D + Dv) bytes, moved once, in chapter 06 too\n"
           "read     Q once; K and V once for each row of tiles that computes them\n"
           "write    the output and the log-sum-exp\n"
           "formula  append + read + write; counted is what attention() moved: equal to the byte\n"
           "naive    chapter 06: its steps pass the N*M scores through slow memory 8 times\n"
           "scratch  fast memory in use, which N does not enter. Algorithm 1 sizes its tile by\n"
           "         Q, K, V and O; here lie the scores as well, and a second part to merge.\n\n"
           "Without a mask all keys are read N / R times: 8 N M D / R bytes beside 32 N M.\n"
           "A tile of fewer than D / 4 = %d queries moves MORE than naive attention; one of %d\n"
           "tends to a quarter of it as N grows. (A naive attention that scales, masks and\n"
           "divides in one step moves 16 N M, and the limit is D / 2 = %d queries.) C, the keys\n"
           "in a tile, changes nothing there: it decides how closely tiles follow the diagonal\n"
           "of a causal mask. Naive attention moves masked scores like all others.\n",
           D / 4, D, D / 2);
}

// --- ulps ----------------------------------------------------------------------------------

// On paper it is all the same where the division stands and how the keys are grouped:
//
//     O = sum of (p[j] / l) V[j] = (sum of p[j] V[j]) / l = (sum of sums of p[j] V[j]) / l
//
// In float32 every sign rounds, and each of the variants below rounds elsewhere. They begin with
// the same scores, so that nothing else tells them apart.
enum { ROWS = 256, KEYS = 256, WIDTH = 64 }; // N, M, D = Dv

// One row's scores, and what its result is made of.
typedef struct {
    const float *s; // [M], scaled
    float *p;       // [M]: weights, overwritten
    Tensor v;       // [M, Dv]
    long C;         // keys in a tile
} ScoreRow;

// The largest of max and s[from:to].
static float largest(const float *s, long from, long to, float max)
{
    for (long j = from; j < to; j++)
        max = fmaxf(max, s[j]);
    return max;
}

// p[j] = exp(s[j] - max) for a part of the keys. Returns their sum.
static float weigh(const ScoreRow *r, long from, long to, float max)
{
    float sum = 0.0f;
    for (long j = from; j < to; j++)
        sum += r->p[j] = expf(r->s[j] - max);
    return sum;
}

// out[d] = sum over a part of the keys of p[j] V[j,d]
static void mix(float *out, const ScoreRow *r, long from, long to)
{
    for (long d = 0; d < WIDTH; d++)
        out[d] = 0.0f;
    for (long j = from; j < to; j++)
        for (long d = 0; d < WIDTH; d++)
            out[d] += r->p[j] * row(r->v, j)[d];
}

// out[d] = sum over the tiles of (sum over the tile's keys of p[j] V[j,d])
static void mix_tiles(float *out, const ScoreRow *r)
{
    float part[WIDTH];
    for (long d = 0; d < WIDTH; d++)
        out[d] = 0.0f;
    for (long j = 0; j < KEYS; j += r->C) {
        mix(part, r, j, least(j + r->C, KEYS));
        for (long d = 0; d < WIDTH; d++)
            out[d] += part[d];
    }
}

// The sum of all weights as a sum of the tiles' sums.
static float weigh_tiles(const ScoreRow *r, float max)
{
    float sum = 0.0f;
    for (long j = 0; j < KEYS; j += r->C)
        sum += weigh(r, j, least(j + r->C, KEYS), max);
    return sum;
}

static void divide_all(float *x, long n, float sum)
{
    for (long i = 0; i < n; i++)
        x[i] /= sum;
}

// Chapters 01 to 06: the weights are divided, then mixed.    O = sum of (p[j] / l) V[j]
static void dense(float *out, const ScoreRow *r)
{
    float sum = weigh(r, 0, KEYS, largest(r->s, 0, KEYS, -INFINITY));
    divide_all(r->p, KEYS, sum);
    mix(out, r, 0, KEYS);
}

// Mixed, then divided: one rounding an output in place of one a weight.
//     O = (sum of p[j] V[j]) / l
static void late_division(float *out, const ScoreRow *r)
{
    float sum = weigh(r, 0, KEYS, largest(r->s, 0, KEYS, -INFINITY));
    mix(out, r, 0, KEYS);
    divide_all(out, WIDTH, sum);
}

// Summed by tile, the row's maximum known beforehand: nothing is ever rescaled.
//     O = sum over the tiles of (sum over the tile's keys of (p[j] / l) V[j])
static void tile_sums(float *out, const ScoreRow *r)
{
    float sum = weigh_tiles(r, largest(r->s, 0, KEYS, -INFINITY));
    divide_all(r->p, KEYS, sum);
    mix_tiles(out, r);
}

// Both: all of FlashAttention-2 except that nothing is rescaled.
static void tile_sums_late(float *out, const ScoreRow *r)
{
    float sum = weigh_tiles(r, largest(r->s, 0, KEYS, -INFINITY));
    mix_tiles(out, r);
    divide_all(out, WIDTH, sum);
}

// FlashAttention's algorithm 1: the output is divided after every tile, so each tile multiplies
// it by the old sum first.    O = (exp(m' - m) l' O' + P V) / l
// (There the tile's weights are taken relative to its own maximum and rescaled as well.)
static void rescale_divided(float *out, const ScoreRow *r)
{
    float part[WIDTH], max = -INFINITY, sum = 0.0f;
    for (long d = 0; d < WIDTH; d++)
        out[d] = 0.0f;
    for (long j = 0; j < KEYS; j += r->C) {
        long to = least(j + r->C, KEYS);
        float new_max = largest(r->s, j, to, max), shrunk = expf(max - new_max) * sum;
        sum = shrunk + weigh(r, j, to, new_max);
        mix(part, r, j, to);
        for (long d = 0; d < WIDTH; d++)
            out[d] = (shrunk * out[d] + part[d]) / sum;
        max = new_max;
    }
}

// The keys from:to as attention.c walks them: maximum, sum and output rescaled, not divided.
//     l = exp(m' - m) l' + sum of p[j],    acc = exp(m' - m) acc' + sum of p[j] V[j]
static void walk(Tensor state, Tensor acc, const ScoreRow *r, long from, long to)
{
    float part[WIDTH], *st = state.data;
    state_clear(state, acc);
    for (long j = from; j < to; j += r->C) {
        long end = least(j + r->C, to);
        float max = largest(r->s, j, end, st[STATE_MAX]), rescale = expf(st[STATE_MAX] - max);
        st[STATE_SUM] = rescale * st[STATE_SUM] + weigh(r, j, end, max);
        st[STATE_MAX] = max;
        mix(part, r, j, end);
        for (long d = 0; d < WIDTH; d++)
            acc.data[d] = rescale * acc.data[d] + part[d];
    }
}

// All of it, in `parts` of the keys that are walked apart and merged. Each part has a maximum of
// its own: only the merge brings them to the same one.
static void online_parts(float *out, const ScoreRow *r, long parts)
{
    Tensor state = tensor_new(SHAPE(1, STATE_SIZE)), acc = tensor_new(SHAPE(1, WIDTH));
    Tensor state2 = tensor_new(SHAPE(1, STATE_SIZE)), acc2 = tensor_new(SHAPE(1, WIDTH));
    // The chapter's own merge; the walk over the keys is written out above.
    walk(state, acc, r, 0, KEYS / parts);
    for (long c = 1; c < parts; c++) {
        walk(state2, acc2, r, c * KEYS / parts, (c + 1) * KEYS / parts);
        state_merge(state, acc, state2, acc2);
    }
    memcpy(out, acc.data, sizeof(float[WIDTH]));
    divide_all(out, WIDTH, state.data[STATE_SUM]);
    tensor_free(&state), tensor_free(&acc), tensor_free(&state2), tensor_free(&acc2);
}

// FlashAttention-2's algorithm 1, which is this chapter's attention().
static void online(float *out, const ScoreRow *r)
{
    online_parts(out, r, 1);
}

// The same with --cut 64,128,192.
static void online_merged(float *out, const ScoreRow *r)
{
    online_parts(out, r, 4);
}

// --- the comparison ------------------------------------------------------------------------

typedef struct {
    Tensor q, k, v;      // [N, D], [M, D], [M, Dv]
    Tensor scores;       // [N, M], scaled, as every variant takes them
    Tensor reference;    // [N, Dv]: dense, in float32
    double *exact;       // [N, Dv]: the same in float64
} Trial;

// scale * sum over d of q[d] k[d], in index order as the chapters do
static void fill_scores(Trial *t)
{
    for (long i = 0; i < ROWS; i++)
        for (long j = 0; j < KEYS; j++) {
            float sum = 0.0f;
            for (long d = 0; d < WIDTH; d++)
                sum += row(t->q, i)[d] * row(t->k, j)[d];
            row(t->scores, i)[j] = sum * (1.0f / sqrtf((float)WIDTH));
        }
}

// One row in float64, from the float32 inputs on. It rounds 2^29 times more finely than float32,
// so that the order of its own sums does not matter here.
static void exact_row(const Trial *t, long i, double *out)
{
    double s[KEYS], max = -INFINITY, sum = 0;
    for (long j = 0; j < KEYS; j++) {
        s[j] = 0;
        for (long d = 0; d < WIDTH; d++)
            s[j] += (double)row(t->q, i)[d] * (double)row(t->k, j)[d];
        s[j] /= sqrt(WIDTH);
        max = fmax(max, s[j]);
    }
    for (long j = 0; j < KEYS; j++)
        sum += s[j] = exp(s[j] - max);
    for (long d = 0; d < WIDTH; d++) {
        out[d] = 0;
        for (long j = 0; j < KEYS; j++)
            out[d] += s[j] * (double)row(t->v, j)[d] / sum;
    }
}

typedef void (*Variant)(float *out, const ScoreRow *r);

// Every row by one variant.
static void compute(Tensor out, const Trial *t, Variant variant, long C)
{
    float p[KEYS];
    for (long i = 0; i < ROWS; i++) {
        ScoreRow r = {row(t->scores, i), p, t->v, C};
        variant(row(out, i), &r);
    }
}

// One variant as a line: against dense in ulps, against float64 as a difference. Two answers to
// "how far": ulps count the floats in between, and near 0 there are very many of them.
static void print_variant(const char *name, const Trial *t, Tensor out)
{
    long differ = 0, most = 0, n = tensor_count(out);
    double ulps = 0, worst = 0, error = 0;
    for (long i = 0; i < n; i++) {
        long apart = ulps_apart(out.data[i], t->reference.data[i]);
        double off = fabs((double)out.data[i] - t->exact[i]);
        differ += apart != 0;
        ulps += (double)apart;
        most = apart > most ? apart : most;
        error += off;
        worst = fmax(worst, off);
    }
    printf("%-46s %7.1f %8.2f %8ld %10.2e %10.2e\n", name, 100.0 * (double)differ / (double)n,
           ulps / (double)n, most, error / (double)n, worst);
}

// The table speaks of the chapter itself: these must be its own bits.
static void check_chapter(const Trial *t, Tensor out, long C, long parts)
{
    long cuts[] = {KEYS / 4, 2 * KEYS / 4, 3 * KEYS / 4};
    Tensor own = tensor_new(SHAPE(ROWS, WIDTH));
    // Rows do not meet in any sum: how many share a tile changes no bit.
    Tiling tiling = {.rows = 16, .columns = C, .cuts = cuts, .cut_count = parts - 1};
    run_chapter(own, t->q, t->k, t->v, false, tiling);
    CHECK(memcmp(own.data, out.data, sizeof(float[ROWS][WIDTH])) == 0,
          "tiles of %ld keys in %ld parts: not the bits of attention()", C, parts);
    tensor_free(&own);
}

// What depends on the tile: each part of the algebra by itself, then the parts together.
static void print_tile(const Trial *t, Tensor out, long C)
{
    static const struct { const char *name; Variant variant; long parts; } variants[] = {
        {"sums by tile", tile_sums, 0},
        {"sums by tile, division at the end", tile_sums_late, 0},
        {"rescaling, division in every tile (FA1)", rescale_divided, 0},
        {"rescaling, division at the end: attention()", online, 1},
        {"the same, cut in 4 parts and merged", online_merged, 4},
    };
    printf("tiles of %ld keys\n", C);
    for (int i = 0; i < 5; i++) {
        char name[64];
        compute(out, t, variants[i].variant, C);
        if (variants[i].parts > 0)
            check_chapter(t, out, C, variants[i].parts);
        snprintf(name, sizeof name, "  %s", variants[i].name);
        print_variant(name, t, out);
    }
}

// The scores are the same to the bit in every variant: what differs comes after them.
static Trial new_trial(long seed, double *exact)
{
    Random r = random_seed((uint64_t)seed);
    Trial t = {.exact = exact};
    t.q = normal_matrix(ROWS, WIDTH, &r);
    t.k = normal_matrix(KEYS, WIDTH, &r);
    t.v = normal_matrix(KEYS, WIDTH, &r);
    t.scores = tensor_new(SHAPE(ROWS, KEYS));
    t.reference = tensor_new(SHAPE(ROWS, WIDTH));
    fill_scores(&t);
    compute(t.reference, &t, dense, KEYS);
    for (long i = 0; i < ROWS; i++)
        exact_row(&t, i, exact + i * WIDTH);
    return t;
}

// Where each part was first proposed, and how to read the table.
static void print_parts_of_it(void)
{
    printf("\nrescaling            online softmax (Milakov and Gimelshein); FlashAttention (FA1)\n"
           "division at the end  FlashAttention-2 (FA2)\n"
           "sums by tile         what both bring along: short sums, summed\n"
           "merged               flash-decoding: parts of the keys computed apart\n\n"
           "With one tile nothing is cut or rescaled: sums by tile are dense again, the rest\n"
           "is the division at the end. An ulp of an output near 0 is tiny, and the largest\n"
           "distances are found there: the error to float64 says more. Short sums round less,\n"
           "so that tiles are a little closer to it than dense; where the division stands\n"
           "hardly shows.\n");
}

static void ulps(const Options *o)
{
    static double exact[ROWS * WIDTH];
    static const long tiles[] = {8, 32, 128, 256};
    Trial t = new_trial(o->seed, exact);
    Tensor out = tensor_new(SHAPE(ROWS, WIDTH));
    printf("-- ulps: %d rows of %d keys, D = %d, normal numbers, seed %ld --\n", ROWS, KEYS, WIDTH,
           o->seed);
    printf("%-46s %25s %21s\n", "", "ulps from dense", "error to float64");
    printf("%-46s %7s %8s %8s %10s %10s\n", "", "differ%", "mean", "max", "mean", "max");
    print_variant("dense, as in chapters 01 to 06", &t, t.reference);
    compute(out, &t, late_division, KEYS);
    print_variant("division at the end (FA2)", &t, out);
    for (int i = 0; i < 4; i++)
        print_tile(&t, out, tiles[i]);
    print_parts_of_it();
    tensor_free(&t.q), tensor_free(&t.k), tensor_free(&t.v);
    tensor_free(&t.scores), tensor_free(&t.reference), tensor_free(&out);
}

void experiment(const Options *o)
{
    options_only(o, "--experiment", "--experiment --seed");
    if (strcmp(o->experiment, "io") == 0) {
        options_only(o, "--experiment io", "--experiment"); // bytes do not depend on the numbers
        io();
    } else if (strcmp(o->experiment, "ulps") == 0)
        ulps(o);
    else
        refuse(EXIT_USAGE, "--experiment: expected io or ulps, got \"%s\"", o->experiment);
}
