// Chapter 05, the KV cache. Built alone, from the project's root:
//
//     cc -std=c11 -O2 -ffp-contract=off -o kv_cache chapters/05_kv_cache/*.c common/*.c -lm

#include "attention.h"
#include "experiment.h"
#include "size.h"

#include "../../common/chapter.h"
#include "../../common/npy.h"

#include <string.h>

static const char *growth_text = "prealloc", *layout_text = "heads", *dtype = "f16";
static long capacity, context;
static bool no_cache, size;

static const Flag flags[] = {
    {"--cache", FLAG_TEXT, &growth_text, 0, "HOW", "prealloc (default) or grow: double and copy"},
    {"--layout", FLAG_TEXT, &layout_text, 0, "HOW",
     "heads (default) or tokens: which lie together"},
    {"--capacity", FLAG_SIZE, &capacity, 0, "N",
     "tokens that prealloc reserves (default: twice the run)"},
    {"--no-cache", FLAG_SWITCH, &no_cache, 0, NULL,
     "project K and V of the whole prefix at each step (--x)"},
    {"--size", FLAG_SWITCH, &size, 0, NULL, "the KV calculator: with --config, and then"},
    {"--context", FLAG_SIZE, &context, 0, "N", "tokens held (default: the model's longest)"},
    {"--dtype", FLAG_TEXT, &dtype, 0, "TYPE", "f32, f16 (default), q8 or q4"},
    {0},
};

static const Chapter chapter = {
    .name = "05_kv_cache",
    .idea = {
        "Chapter 05, KV cache: keys and values are kept, so that a new token computes one row of",
        "Q, K and V and one row of scores instead of all of them again.",
    },
    .example = "build/cpu/05_kv_cache --prefill 1 --cache grow",
    .takes = TAKES_MASK | TAKES_HEADS | TAKES_KV_HEADS | TAKES_PAST | MAKES_SCORES,
    .mask = "causal",
    .heads = 4,
    .kv_heads = 2,
    .experiments = "cache",
    .flags = flags,
};

// Which of two words a flag says.
static int choice(const char *flag, const char *text, const char *first, const char *second)
{
    if (strcmp(text, first) != 0 && strcmp(text, second) != 0)
        refuse(EXIT_USAGE, "%s: expected %s or %s, got \"%s\"", flag, first, second, text);
    return strcmp(text, second) == 0;
}

// What --cache, --layout and --capacity ask for, checked before anything is traced.
typedef struct {
    CacheGrowth growth;
    CacheLayout layout;
    long room; // tokens that there is room for at first
} Plan;

static Plan read_plan(const Input *in)
{
    long tokens = in->P + in->M;
    Plan plan = {.growth = (CacheGrowth)choice("--cache", growth_text, "prealloc", "grow"),
                 .layout = (CacheLayout)choice("--layout", layout_text, "heads", "tokens")};
    plan.room = plan.growth == CACHE_GROW ? 1 : capacity ? capacity : 2 * tokens;
    if (plan.growth == CACHE_GROW && capacity)
        refuse(EXIT_USAGE, "--capacity is what prealloc reserves; --cache grow finds its own");
    if (plan.growth == CACHE_PREALLOC && plan.room < tokens)
        refuse(EXIT_USAGE, "--capacity: expected room for the %ld tokens of this run, got %ld",
               tokens, plan.room);
    memory_require(4.0 * (double)(in->B * in->G) * (double)plan.room * (double)(in->D + in->Dv),
                   "the KV cache");
    return plan;
}

// An empty cache, or one that holds the past.
static Cache open_cache(const Input *in, Plan plan)
{
    Cache cache = cache_new(in->B, in->G, plan.room, in->D, in->Dv, plan.growth, plan.layout);
    if (in->P > 0)
        cache_append(&cache, in->past_k, in->past_v);
    return cache;
}

// What the cache holds after a pass, as a step and as a bar: # is a token, . room for one.
static void trace_cache(Trace *trace, const Cache *c)
{
    enum { BAR = 64 };
    static const char *const columns[] = {"reserved", "used", "wasted", "copied"};
    char bar[BAR + 1] = "";
    long width = c->capacity < BAR ? c->capacity : BAR, used = cache_used_bytes(c);
    if (trace_wanted(trace)) {
        Tensor bytes = tensor_new(SHAPE(1, 4));
        bytes.data[0] = (float)cache_reserved_bytes(c);
        bytes.data[1] = (float)used;
        bytes.data[2] = (float)(cache_reserved_bytes(c) - used);
        bytes.data[3] = (float)c->copied_bytes;
        trace_at(trace, 0, 0);
        trace_table(trace, "cache", bytes, (Names){.letter = 'p', .first = trace->pass},
                    (Names){columns, 4, 'c', 0});
        for (long i = 0; i < width; i++)
            bar[i] = i * c->capacity < c->len * width ? '#' : '.';
        trace_note(trace, "[%s] %ld of %ld tokens\n\n", bar, c->len, c->capacity);
        tensor_free(&bytes);
    }
}

// The pass over tokens t to t + n. With --no-cache everything before is computed again.
static void run_pass(Input *in, Tensor out, Tensor lse, Cache *cache, Trace *trace, long t, long n)
{
    long from = no_cache ? 0 : t, to = in->N == in->M ? t + n : in->M; // rows of K and V
    cache_rewind(cache, in->P + from);
    input_project_q(in, t, t + n);
    input_project_kv(in, from, to);
    Mask mask = trace_pass(trace, t, n, in->P + to);
    attention(tensor_slice(out, 2, t, t + n), tensor_slice(lse, 2, t, t + n),
              tensor_slice(in->q, 2, t, t + n), tensor_slice(in->k, 2, from, to),
              tensor_slice(in->v, 2, from, to), in->scale, &mask, cache, trace);
    chapter_combine(in, out, t, t + n, trace);
    trace_cache(trace, cache);
}

// Tokens of the first pass: --prefill, or half of them, or all under a mask that looks ahead, as
// a cached token cannot. Where queries and keys do not come in pairs there is no token by token,
// and one pass takes all.
static long first_pass(const Options *o, const Input *in)
{
    bool looks_back = in->mask.causal || in->mask.window >= 0;
    if (in->N != in->M && o->prefill && o->prefill < in->N)
        refuse(EXIT_USAGE, "--prefill %ld: with %ld queries and %ld new keys one pass takes all of "
               "them", o->prefill, in->N, in->M);
    long n = o->prefill ? o->prefill : looks_back ? (in->N + 1) / 2 : in->N;
    return in->N != in->M || n > in->N ? in->N : n;
}

// The keys that were there when row i of the run was computed: its whole pass's.
static long keys_of_row(const Options *o, const Input *in, long i)
{
    long first = first_pass(o, in);
    return in->P + (in->N != in->M ? in->M : i < first ? first : i + 1);
}

static void write_present(const Options *o, const Cache *cache)
{
    if (o->present_k)
        npy_write(o->present_k, cache_keys(cache));
    if (o->present_v)
        npy_write(o->present_v, cache_values(cache));
}

// All passes over one cache: the first over a prompt, then one for each token.
static void run(const Options *o, Input *in, Tensor out, Tensor lse, Cache *cache, Trace *trace)
{
    long t = 0, n = first_pass(o, in);
    do {
        run_pass(in, out, lse, cache, trace, t, n);
        trace->pass++;
        t += n;
        n = 1;
    } while (t < in->N);
}

// --size and --experiment are runs of their own.
static bool runs_apart(const Options *o)
{
    if (size)
        print_size(o, context, dtype);
    else if (o->experiment)
        experiment(o);
    else if (context || options_given(o, "--dtype"))
        refuse(EXIT_USAGE, "%s belongs to the calculator: expected --size",
               context ? "--context" : "--dtype");
    return size || o->experiment;
}

int main(int argc, char **argv)
{
    Options o;
    output_start();
    options_read(&o, argc, argv, &chapter);
    if (runs_apart(&o)) {
        output_finish();
        return 0;
    }
    Input in = input_read(&o);
    if (no_cache && !in.projected)
        refuse(EXIT_USAGE, "--no-cache projects K and V again from X: expected --x or --config");
    Plan plan = read_plan(&in);
    first_pass(&o, &in); // refuses a --prefill that cannot be, before anything is traced
    Tensor out = tensor_new(SHAPE(in.B, in.H, in.N, in.Dv));
    Tensor lse = tensor_new(SHAPE(in.B, in.H, in.N));
    Trace trace = trace_open(&o, &in);
    Measure measure = measure_start(&o, &in, &trace);

    while (measure_again(&measure, out, lse)) {
        Cache cache = open_cache(&in, plan);
        run(&o, &in, out, lse, &cache, &trace);
        if (measure.round == 1)
            write_present(&o, &cache);
        measure.kv_bytes = measure.cache_bytes = cache_reserved_bytes(&cache);
        cache_free(&cache);
    }
    if (o.explain_row >= 0)
        explain_row(&in, o.explain_row, o.explain_head,
                    keys_of_row(&o, &in, o.explain_row), 0);

    chapter_finish(&o, &in, &trace, &measure, out, lse);
}
