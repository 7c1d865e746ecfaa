// What G costs: the parameters that make K and V, and the bytes that every token leaves behind,
// for each G that divides a model's H query heads. All of it is counted, in whole numbers.

#include "experiment.h"

#include "../../common/fail.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { FP16 = 2 }; // bytes of one cached number

// --- counting --------------------------------------------------------------------------------

// W_K and W_V: two matrices [G * D, hidden].
static long kv_parameters(const Config *c, long G)
{
    return 2 * G * c->head_dim * c->hidden;
}

// W_Q [H * D, hidden] and W_O [hidden, H * D] do not shrink with G. Biases are not counted.
static long attention_parameters(const Config *c, long G)
{
    return 2 * c->heads * c->head_dim * c->hidden + kv_parameters(c, G);
}

// One row of K and one of V, D numbers each, in every KV head of every layer.
static long kv_bytes(const Config *c, long G, long tokens)
{
    return 2 * c->layers * tokens * G * c->head_dim * FP16;
}

// --- the table -------------------------------------------------------------------------------

// In the largest unit up to MiB in which it is a whole number: nothing is rounded.
static void print_bytes(int width, long bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB"};
    int unit = 0;
    while (unit < 2 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    printf(" %*ld %-3s", width, bytes, units[unit]);
}

// The three names that papers use: multi-head, grouped-query and multi-query attention.
static const char *kind(const Config *c, long G)
{
    return G == c->heads ? "MHA" : G == 1 ? "MQA" : "GQA";
}

// One line: the model with G KV heads in place of its own number.
static void print_groups(const Config *c, long G)
{
    printf("%4ld  %s %14ld %15ld", G, kind(c, G), kv_parameters(c, G), attention_parameters(c, G));
    print_bytes(8, kv_bytes(c, G, 1));
    print_bytes(10, kv_bytes(c, G, c->context));
    bool own = G == c->kv_heads;
    printf(" %8ldx%s%s\n", c->heads / G, own ? "  <- " : "", own ? c->name : "");
}

static void print_conclusion(const Config *c)
{
    long H = c->heads, G = c->kv_heads;
    printf("\nMHA: every query head has a KV head. GQA: H / G share one. MQA: all share one.\n"
           "Parameters of a layer: W_K and W_V; then with W_Q and W_O, which stay. No biases.\n"
           "%s has %ld KV heads for %ld query heads: %.4g %% of multi-head's cache, and\n"
           "%.4g %% of its attention parameters.\n", c->name, G, H, 100.0 * (double)G / (double)H,
           100.0 * (double)attention_parameters(c, G) / (double)attention_parameters(c, H));
}

// One of the heading's two lines.
static void print_columns(const char *g, const char *kv, const char *all, const char *token,
                          const char *context, const char *ratio)
{
    printf("%4s  %3s %14s %15s %12s %14s %9s\n", g, "", kv, all, token, context, ratio);
}

// --config says whose numbers; without it those of Llama-2-70B, 64 query heads over 8.
static void run_groups(const Options *o)
{
    const Config *c = o->config ? o->config : config_find("llama-70b");
    printf("== groups: %s, H = %ld, D = %ld, hidden %ld, %ld layers, context %ld, fp16 ==\n",
           c->name, c->heads, c->head_dim, c->hidden, c->layers, c->context);
    print_columns("", "K, V", "attention", "KV cache", "KV cache", "smaller");
    print_columns("G", "parameters", "parameters", "a token", "at context", "than MHA");
    for (long G = c->heads; G >= 1; G--)
        if (c->heads % G == 0)
            print_groups(c, G);
    print_conclusion(c);
}

void experiment(const Options *o)
{
    options_only(o, "--experiment", "--experiment --config");
    if (strcmp(o->experiment, "groups") != 0)
        refuse(EXIT_USAGE, "--experiment: expected %s, got \"%s\"", o->chapter->experiments,
               o->experiment);
    run_groups(o);
}
