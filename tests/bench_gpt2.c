// GPT-2 small's shape, 1,000 tokens, with and without a KV cache. How much a cache saves is no one
// number: it depends on what recomputes. Each comparison has a name:
//
//     same-code   a new token recomputes all before it by the very code that the cached side runs,
//                 which walks over all weights for each: about half as many times as tokens
//     by-layer    the same, but a layer takes all its tokens before the next one is begun: its
//                 weights may stay in a cache
//     naive       recomputed by plain loops over whole matrices, cached as before
//     limits      recomputed by products at the peak, cached at memory's rate
//
// Nothing is run in full but at sampled lengths, and counted up. Cached: all 12 layers, 16 tokens
// evenly over the 1,000. The same code: 16 tokens out of the 500,500 that it computes, likewise.
// Others: layers are alike, so one of them, at 5 lengths. Embeddings and the last product, over the
// words, are the same on both sides and left out.

#include "bench.h"
#include "bench_isa.h"

#include "../common/random.h"
#include "../kernels/cpu/threads.h"
#include "../kernels/cpu/workspace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LAYERS = 12, HEADS = 12, D = 64, HIDDEN = HEADS * D, MLP = 4 * HIDDEN, TOKENS = 1000,
    MATRICES = 4, LENGTHS = 5, STEPS = 16,
};

// Queries, keys and values at once; the heads' output; up, and down again.
static const struct {
    long in, out;
} matrices[MATRICES] = {{HIDDEN, 3 * HIDDEN}, {HIDDEN, HIDDEN}, {HIDDEN, MLP}, {MLP, HIDDEN}};

static long layer_floats(void)
{
    long n = 0;
    for (int i = 0; i < MATRICES; i++)
        n += matrices[i].in * matrices[i].out;
    return n;
}

typedef enum { BY_WALK, BY_LOOPS, BY_PANELS } How;

// One model, or one layer of it, and what a pass through it needs.
typedef struct {
    How    how;
    long   tokens;           // the most that a pass takes
    const BenchIsa *isa;
    float *weights;          // [layers] of matrices, each in panels [out / panel, in, panel]
    float *k, *v;            // [layers, HEADS, TOKENS, D]
    float *x, *y, *wide;     // [tokens, HIDDEN], the same, [tokens, MLP]
    float *lse;              // [HEADS, tokens]
} Model;

// Random numbers between -most and most, a few million of them, over and over.
static float *new_numbers(long n, float most)
{
    enum { SOME = 3 << 20 };
    float *x = huge_alloc(n * 4);
    Random r = random_seed(5);
    for (long i = 0; i < n && i < SOME; i++)
        x[i] = random_uniform(&r) * most;
    for (long i = SOME; i < n; i++)
        x[i] = x[i - SOME];
    return x;
}

static Model *open_model(How how, long layers, long tokens, const Isa *isa)
{
    Model *m = calloc(1, sizeof *m);
    CHECK(m, "no memory for a model");
    *m = (Model){.how = how, .tokens = tokens, .isa = bench_isa(isa->name)};
    long cache = layers * HEADS * TOKENS * D;
    m->weights = new_numbers(layers * layer_floats(), 1.0f / 32); // what goes through stays finite
    m->k = new_numbers(cache, 1), m->v = new_numbers(cache, 1);
    m->x = new_numbers(tokens * HIDDEN, 1), m->y = new_numbers(tokens * HIDDEN, 1);
    m->wide = new_numbers(tokens * MLP, 1), m->lse = new_numbers(tokens * HEADS, 1);
    return m;
}

static void close_model(Entry *e)
{
    Model *m = e->state;
    float *owned[] = {m->weights, m->k, m->v, m->x, m->y, m->wide, m->lse};
    for (int i = 0; i < 7; i++)
        free(owned[i]);
    free(m);
}

// --- products -----------------------------------------------------------------------------------

typedef struct {
    const Model *m;
    float *y;
    const float *x, *w;
    long rows, in, out;
} Product;

// Each thread takes a run of panels: one stream of weights.
static void product_part(void *job, int thread)
{
    const Product *p = job;
    long panel = p->m->isa->panel, panels = p->out / panel, threads = threads_count();
    for (long c = thread * panels / threads; c < (thread + 1) * panels / threads; c++)
        for (long r = 0; r < p->rows; r += p->m->how == BY_WALK ? 1 : p->rows)
            p->m->isa->product(p->y + r * p->out + c * panel, p->out, p->x + r * p->in,
                               p->w + c * panel * p->in, p->m->how == BY_WALK ? 1 : p->rows,
                               p->in);
}

// y[r,c] = sum over i of x[r,i] w[i,c], as anybody writes it; the compiler makes vectors of it.
static void product_by_loops(const Product *p)
{
    for (long r = 0; r < p->rows; r++) {
        float *restrict y = p->y + r * p->out;
        memset(y, 0, (size_t)p->out * sizeof *y);
        for (long i = 0; i < p->in; i++) {
            const float *restrict w = p->w + i * p->out;
            float x = p->x[r * p->in + i];
            for (long c = 0; c < p->out; c++)
                y[c] += x * w[c];
        }
    }
}

// Token after token, the same walk over the weights; or all tokens at once.
static void multiply(const Model *m, float *y, const float *x, const float *w, long rows, int which)
{
    Product p = {m, y, x, w, rows, matrices[which].in, matrices[which].out};
    if (m->how == BY_LOOPS) {
        product_by_loops(&p);
        return;
    }
    long each = m->how == BY_WALK ? 1 : rows;
    for (long r = 0; r < rows; r += each) {
        p.y = y + r * p.out, p.x = x + r * p.in, p.rows = each;
        threads_run(product_part, &p);
    }
}

// --- a layer ------------------------------------------------------------------------------------

// Rows divided by their root mean square.
static void normalize(float *y, const float *x, long rows)
{
    for (long r = 0; r < rows; r++, x += HIDDEN, y += HIDDEN) {
        float sum = 0;
        for (long i = 0; i < HIDDEN; i++)
            sum += x[i] * x[i];
        for (long i = 0; i < HIDDEN; i++)
            y[i] = x[i] / sqrtf(sum / HIDDEN + 1e-5f);
    }
}

static Tensor view(float *data, long heads, long rows, long head, long row)
{
    return (Tensor){.axes = 4, .shape = {1, heads, rows, D},
                    .stride = {heads * head, head, row, 1}, .data = data};
}

// Queries first to first + n against the keys up to their own. q: in m->wide, [n, 3 HIDDEN]
static void attend(const Entry *e, const Model *m, long layer, long first, long n)
{
    long at = layer * HEADS * TOKENS * D;
    Tensor k = view(m->k + at, HEADS, TOKENS, TOKENS * D, D);
    Tensor v = view(m->v + at, HEADS, TOKENS, TOKENS * D, D);
    Mask mask = {.causal = true, .window = -1, .prefix = -1, .keys = first + n, .offset = first};
    Pass p = {.B = 1, .H = HEADS, .G = HEADS, .N = n, .M = first + n, .D = D, .Dv = D,
              .scale = 0.125f, .k = pass_tensor(k), .v = pass_tensor(v), .mask = &mask,
              .q = view(m->wide, HEADS, n, D, 3 * HIDDEN), .out = view(m->y, HEADS, n, D, HIDDEN)};
    p.lse = (Tensor){.axes = 3, .shape = {1, HEADS, n}, .stride = {HEADS * n, n, 1},
                     .data = m->lse};
    bool alone = n == 1 && DECODE_STEPS > 0;
    int naive = m->how == BY_LOOPS ? 0 : PREFILL_STEPS - 1;
    (alone ? e->isa->decode[DECODE_STEPS - 1] : e->isa->prefill[naive])(&p);
}

// The new keys and values go where they belong.
static void keep(const Model *m, long layer, long first, long n)
{
    for (long r = 0; r < n; r++)
        for (long h = 0; h < HEADS; h++) {
            const float *from = m->wide + r * 3 * HIDDEN + HIDDEN + h * D;
            long at = ((layer * HEADS + h) * TOKENS + first + r) * D;
            memcpy(m->k + at, from, D * sizeof *from);
            memcpy(m->v + at, from + HIDDEN, D * sizeof *from);
        }
}

static void add(float *to, const float *from, long n)
{
    for (long i = 0; i < n; i++)
        to[i] += from[i];
}

// The same code for a walk attends token by token, too.
static void attend_all(const Entry *e, const Model *m, long layer, long first, long n)
{
    if (m->how != BY_WALK || n == 1) {
        attend(e, m, layer, first, n);
        return;
    }
    Model one = *m;
    for (long r = 0; r < n; r++) {
        one.wide = m->wide + r * 3 * HIDDEN, one.y = m->y + r * HIDDEN;
        attend(e, &one, layer, first + r, 1);
    }
}

// Tokens first to first + n through one layer.
static void run_layer(const Entry *e, const Model *m, long layer, long first, long n)
{
    const float *w = m->weights + layer * layer_floats();
    normalize(m->y, m->x, n);
    multiply(m, m->wide, m->y, w, n, 0), w += matrices[0].in * matrices[0].out;
    keep(m, layer, first, n);
    attend_all(e, m, layer, first, n);
    multiply(m, m->wide, m->y, w, n, 1), w += matrices[1].in * matrices[1].out;
    add(m->x, m->wide, n * HIDDEN);
    normalize(m->y, m->x, n);
    multiply(m, m->wide, m->y, w, n, 2), w += matrices[2].in * matrices[2].out;
    m->isa->gelu(m->wide, n * MLP);
    multiply(m, m->y, m->wide, w, n, 3);
    add(m->x, m->y, n * HIDDEN);
}

// --- entries ------------------------------------------------------------------------------------

// The middle of part i of so many parts of the way.
static long length_of(int i, int parts)
{
    return TOKENS * (2 * i + 1) / (2 * parts);
}

// The same of all the tokens that are computed anew where token t takes t: number i of 1,000 is
// among 1,001 - i of them. Part of those up to a fraction x of the way: 1 - (1 - x)^2.
static long repeated_length_of(int i, int parts)
{
    return (long)(TOKENS * (1 - sqrt(1 - (2 * i + 1) / (2.0 * parts)))) + 1;
}

// Sixteen tokens, each with all keys before it, through all layers.
static void run_tokens(Entry *e, long (*length)(int, int))
{
    Model *m = e->state;
    threads_set(e->threads);
    for (int i = 0; i < STEPS; i++)
        for (long layer = 0; layer < LAYERS; layer++)
            run_layer(e, m, layer, length(i, STEPS) - 1, 1);
}

static void run_cached(Entry *e)
{
    run_tokens(e, length_of);
}

static void run_same_code(Entry *e)
{
    run_tokens(e, repeated_length_of);
}

static void run_recomputed(Entry *e)
{
    Model *m = e->state;
    threads_set(e->threads);
    for (int i = 0; i < LENGTHS; i++)
        run_layer(e, m, 0, 0, length_of(i, LENGTHS));
}

static void open_cached(Entry *e)
{
    e->state = open_model(BY_WALK, LAYERS, 1, e->isa);
}

static void open_walk(Entry *e)
{
    e->state = open_model(BY_WALK, 1, TOKENS, e->isa);
}

static void open_loops(Entry *e)
{
    e->state = open_model(BY_LOOPS, 1, TOKENS, e->isa);
}

static void open_panels(Entry *e)
{
    e->state = open_model(BY_PANELS, 1, TOKENS, e->isa);
}

// A way to compute all 1,000 tokens, and the part of it that is run.
typedef struct {
    const char *name;
    void (*open)(Entry *);
    void (*run)(Entry *);
    long (*length)(int, int);
    int    parts;            // lengths
    long   layers;
    bool   alone;            // a length is one token, and not all up to it
    double weight;           // the whole way is so many times the part
} Way;

static const Way cached = {"cached-16-of-1000-tokens", open_cached, run_cached, length_of, STEPS,
                           LAYERS, true, (double)TOKENS / STEPS};

static const Way same_code = {"recomputed-same-code-16-of-500500-tokens", open_cached,
                              run_same_code, repeated_length_of, STEPS, LAYERS, true,
                              TOKENS * (TOKENS + 1) / 2.0 / STEPS};

// One layer of 12 at 5 of 1,000 lengths.
static Way by_layer(const char *name, void (*open)(Entry *))
{
    return (Way){name, open, run_recomputed, length_of, LENGTHS, 1, false,
                 (double)LAYERS * TOKENS / LENGTHS};
}

// Flops and bytes are those of what is run: a row's seconds, too, and its name says what they are.
static Entry *add_way(int threads, const Way *w, const char *against)
{
    Shape s = {.B = 1, .H = HEADS, .G = HEADS, .N = 1, .M = TOKENS, .D = D, .causal = true};
    Entry *e = group_add(&s, threads);
    double weights = 4.0 * (double)layer_floats(), layers = (double)w->layers;
    e->what = "fast", e->kernel = "gpt2", e->open = w->open, e->close = close_model;
    e->run = w->run, e->weight = w->weight, e->alone = true;
    e->room = layers * (weights + 8.0 * TOKENS * HIDDEN) + 4.0 * TOKENS * (MLP + 3 * HIDDEN);
    e->flops = e->streamed = 0;
    for (int i = 0; i < w->parts; i++) {
        double t = (double)w->length(i, w->parts), pairs = w->alone ? t : t * (t + 1) / 2;
        e->flops += layers * ((w->alone ? 1 : t) * weights / 2 + 4.0 * pairs * HIDDEN);
        e->streamed += layers * (weights + 8.0 * t * HIDDEN);
    }
    e->kv = w->layers * 8 * HIDDEN * TOKENS;
    e->guess = w->alone ? e->streamed / 30e9 : e->flops / (w->open == open_loops ? 6e9 : 80e9);
    snprintf(e->name, sizeof e->name, "gpt2-%s%s", w->name, against);
    return e;
}

Entry *gpt2_add_cached(int threads)
{
    return add_way(threads, &cached, "");
}

// Both sides in the same rounds; the ratio is that of whole ways.
static void compare(Way way, const char *against, Bound bound)
{
    group_begin("gpt2", bound);
    Entry *without = add_way(1, &way, "");
    add_way(1, &cached, against)->against = without;
    group_run();
    group_end();
}

void gpt2_suite(void)
{
    compare(same_code, "-against-same-code", BY_DRAM);
    if (!flags.tiny)
        compare(by_layer("recomputed-by-layer-1-of-12-layers-5-of-1000-lengths", open_walk),
                "-against-by-layer", BY_PEAK);
    if (!flags.tiny)
        compare(by_layer("recomputed-limits-1-of-12-layers-5-of-1000-lengths", open_panels),
                "-against-limits", BY_PEAK);
    if (!flags.tiny && !flags.quick)
        compare(by_layer("recomputed-naive-1-of-12-layers-5-of-1000-lengths", open_loops),
                "-against-naive", BY_PEAK);
}
