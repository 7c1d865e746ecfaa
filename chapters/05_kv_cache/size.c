#include "size.h"

#include "cache.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

// Allocated to check the formula: a whole layer up to LARGEST bytes, SAMPLE bytes beyond.
enum { LARGEST = 256 << 20, SAMPLE = 64 << 20 };

// A number of `values` takes `bytes`. f32 and f16 stand alone; llama.cpp's q8_0 and q4_0 pack
// 32 numbers of 8 or 4 bits behind one fp16 scale: 32 + 2 and 16 + 2 bytes.
typedef struct {
    const char *name, *text;
    long values, bytes;
} Dtype;

static const Dtype dtypes[] = {
    {"f32", "4", 1, 4}, {"f16", "2", 1, 2}, {"q8", "34/32", 32, 34}, {"q4", "18/32", 32, 18},
};

// What is asked for, and the answer in bytes. A row is one token's K (or V) in every KV head.
typedef struct {
    const Config *config;
    const Dtype  *dtype;
    long H, G, D;          // query heads, KV heads, head size
    long context, tokens;  // tokens of one sequence, of the whole batch
    long token_layer, token, layer, model; // bytes
} Size;

// --- what is asked for ---------------------------------------------------------------------

static void check_flags(const Options *o)
{
    options_only(o, "--size", "--size --config --context --batch --dtype --heads --kv-heads --dim");
    if (!o->config)
        refuse(EXIT_USAGE, "--size: expected --config and one of the models that --help lists, "
               "got none");
}

static const Dtype *find_dtype(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    refuse(EXIT_USAGE, "--dtype: expected f32, f16, q8 or q4, got \"%s\"", name);
}

// a * b, refused before it would wrap. Both are positive.
static long times(long a, long b)
{
    if (a > LONG_MAX / b)
        refuse(EXIT_USAGE, "--size: expected fewer than 2^63 bytes, got sizes that multiply to "
               "%.3g and more", (double)a * (double)b);
    return a * b;
}

// bytes = 2 * layers * tokens * kv_heads * head_dim * bytes of a value, the 2 for K and V
static void answer(Size *s)
{
    s->token_layer = times(times(2 * s->G, s->D / s->dtype->values), s->dtype->bytes);
    s->token = times(s->token_layer, s->config->layers);
    s->layer = times(s->token_layer, s->tokens);
    s->model = times(s->layer, s->config->layers);
}

static Size read_size(const Options *o, long context, const char *dtype)
{
    check_flags(o);
    const Config *c = o->config;
    Size s = {.config = c, .dtype = find_dtype(dtype)};
    s.H = options_given(o, "--heads") ? o->heads : c->heads;
    s.G = options_given(o, "--kv-heads") ? o->kv_heads : c->kv_heads;
    s.D = options_given(o, "--dim") ? o->dim : c->head_dim;
    if (s.H % s.G != 0)
        refuse(EXIT_USAGE, "--kv-heads: expected a divisor of the %ld query heads, got %ld", s.H,
               s.G);
    // A block never spans two heads, so that each head can be read alone (as in llama.cpp).
    if (s.D % s.dtype->values != 0)
        refuse(EXIT_USAGE, "--dtype %s: expected a head size in blocks of %ld, got %ld",
               s.dtype->name, s.dtype->values, s.D);
    s.context = context ? context : c->context;
    s.tokens = times(o->batch, s.context);
    answer(&s);
    return s;
}

// --- what this chapter allocates -----------------------------------------------------------

// The bytes that one layer's cache really takes, by the cache's own account and by the
// allocator's.
static long allocated_bytes(const Size *s, long B, long tokens)
{
    long before = tensor_live_bytes();
    Cache cache = cache_new(B, s->G, tokens, s->D, s->D, CACHE_PREALLOC, LAYOUT_HEADS);
    long reserved = cache_reserved_bytes(&cache), live = tensor_live_bytes() - before;
    cache_free(&cache);
    CHECK(reserved == live, "a cache of %ld bytes took %ld", reserved, live);
    return live;
}

// Under f32 the formula is no estimate: every layer's cache has the same shape, so one of them,
// allocated, decides. A layer too large to try is tried on fewer tokens.
static void print_allocated(const Size *s, long B)
{
    long layers = s->config->layers;
    if (s->layer <= LARGEST) {
        long bytes = allocated_bytes(s, B, s->context) * layers;
        CHECK(bytes == s->model, "allocated %ld bytes, the formula says %ld", bytes, s->model);
        printf("allocated: one layer's cache, times %ld layers: %ld B, equal to the formula\n",
               layers, bytes);
    } else if (s->token_layer <= SAMPLE) {
        long tokens = SAMPLE / s->token_layer, bytes = allocated_bytes(s, 1, tokens);
        CHECK(bytes == tokens * s->token_layer, "allocated %ld bytes, the formula says %ld", bytes,
              tokens * s->token_layer);
        printf("allocated: %ld of the %ld tokens in one layer, which takes %.3g GiB with all:\n"
               "%ld B, equal to the formula for as many\n", tokens, s->tokens,
               (double)s->layer / 0x1p30, bytes);
    } else {
        printf("not allocated: one token in one layer alone takes more than %d MiB\n",
               SAMPLE >> 20);
    }
}

// --- the answer ----------------------------------------------------------------------------

static void print_bytes(const char *what, long bytes)
{
    printf("%-20s %19ld %15.2f %12.2f %9.2f\n", what, bytes, (double)bytes / 0x1p10,
           (double)bytes / 0x1p20, (double)bytes / 0x1p30);
}

static void print_formula(const Size *s, long B)
{
    const Config *c = s->config;
    printf("== KV cache of %s, %s ==\n", c->name, s->dtype->name);
    printf("%ld layers, %ld query heads over %ld KV heads, head size %ld; longest context %ld\n",
           c->layers, s->H, s->G, s->D, c->context);
    printf("tokens = batch * context = %ld * %ld = %ld\n\n", B, s->context, s->tokens);
    printf("bytes = 2 * layers * tokens * kv_heads * head_dim * bytes of a value\n");
    printf("      = 2 * %ld * %ld * %ld * %ld * %s\n", c->layers, s->tokens, s->G, s->D,
           s->dtype->text);
    if (s->dtype->values > 1)
        printf("%s: %ld values share one fp16 scale and take %ld bytes\n", s->dtype->name,
               s->dtype->values, s->dtype->bytes);
    printf("\n%-20s %19s %15s %12s %9s\n", "", "bytes", "KiB", "MiB", "GiB");
}

// 4 * b * l * h * (m + n): 2 for K and V, 2 bytes of fp16; a prompt of m tokens, n written.
// Every head would keep its own K and V, and the H * D floats of a row would be hidden's.
static void print_multi_head(const Size *s, long B, long bytes)
{
    const Config *c = s->config;
    printf("\nmulti-head = 4 * b * l * h * (m + n) = 4 * %ld * %ld * %ld * %ld = %ld B in fp16\n",
           B, c->layers, c->hidden, s->context, bytes);
    printf("h is hidden: every query head keeps its own K and V. It is this model's cache only "
           "where\nkv_heads * head_dim = hidden; here %ld * %ld = %ld, and hidden is %ld.\n", s->G,
           s->D, s->G * s->D, c->hidden);
    if (s->H * s->D != c->hidden)
        printf("heads * head_dim = %ld * %ld = %ld is not hidden either: the form does not hold "
               "here.\n", s->H, s->D, s->H * s->D);
    printf("heads / kv_heads = %ld / %ld: %s", s->H, s->G,
           s->H == s->G ? "this is multi-head\n" : "");
    if (s->H > s->G)
        printf("%ldx smaller than multi-head of the same dtype\n", s->H / s->G);
}

void print_size(const Options *o, long context, const char *dtype)
{
    Size s = read_size(o, context, dtype);
    long multi_head = times(times(4 * s.config->layers, s.config->hidden), s.tokens);
    long weights = (long)(2 * s.config->parameters);
    print_formula(&s, o->batch);
    print_bytes("a token, a layer", s.token_layer);
    print_bytes("a token", s.token);
    print_bytes("a layer", s.layer);
    print_bytes("the model", s.model);
    print_bytes("multi-head, fp16", multi_head);
    print_bytes("weights, fp16", weights);
    print_multi_head(&s, o->batch, multi_head);
    printf("\nweights = 2 * %.4g parameters as published; KV / (KV + weights) = %.1f %%\n",
           s.config->parameters,
           100 * (double)s.model / ((double)s.model + (double)weights));
    if (strcmp(s.dtype->name, "f32") == 0)
        print_allocated(&s, o->batch);
    else
        printf("%s is by the formula; --dtype f32 is checked against what is allocated\n",
               s.dtype->name);
}
