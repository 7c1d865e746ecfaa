// Random cases by the thousand, and what must hold for each of them: every chapter against the
// float64 oracle, the chapters against each other, and laws that need no expected answer.
//
//     property [CASES [SEED]]      3000 cases from seed 1, unless told otherwise
//
// Case i is made from SEED + i and nothing else, so `property 1 SEED+i` runs that one again.
// Exits with 1 if a law was broken.

#define _POSIX_C_SOURCE 200809L
#include "answer.h"
#include "comparer.h"
#include "draw.h"

#include "../chapters/07_flash_tiling/merge.h"
#include "../common/count.h"
#include "../common/npy.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WORK      = 60000, // multiplications of one case, about
    SMALL     = 24,    // keys up to which weights are taken apart
    SWEEP     = 100,   // fewer cases are no sweep
    STEEPNESS = 4,
    SUBNORMAL = -140,  // values near 2^-140 lie below the smallest normal number
};

// How large Q and K are: logits near 0, of order 1, 4 and 4096.
static const struct {
    const char *name;
    float factor;
} steepness[STEEPNESS] = {{"faint", 0x1p-100f}, {"ordinary", 1}, {"steep", 2}, {"huge", 64}};

// One random case with all that is known about it.
typedef struct {
    uint64_t seed;
    Random random;
    Case c;
    char spec[TEXT], text[2 * TEXT]; // the mask as --mask takes it; the case in words
    int  steep;                      // index into steepness
    int  exponent;                   // V is of order 2^exponent
    long keys;                       // P + M
    Tensor k, v;                     // all of them: [B, G, P + M, D], [B, G, P + M, Dv]
    OracleSizes sizes;
    OracleMask  mask;
    bool  *sees;                     // [B, H, N, P + M]
    bool   causal;                   // nobody sees a later key: pass by pass changes nothing
    Answer answer;                   // the oracle's
    Result of[CHAPTERS + 1];         // what each chapter made of it; no data where it cannot
    char   why[COMPARISON_TEXT + TEXT]; // the last failure
} Subject;

typedef enum { DOES_NOT_APPLY, HOLDS, FAILS } Outcome;

__attribute__((format(printf, 2, 3)))
static Outcome fails(Subject *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->why, sizeof s->why, format, args);
    va_end(args);
    return FAILS;
}

// --- drawing a case ----------------------------------------------------------------------------

// Odd, prime and round sizes, one of a kind, and around those of tiles and blocks. Long, wide
// and many at once would take too long, so what is too much work is drawn again.
static void draw_sizes(Random *r, Case *c)
{
    static const long lengths[] = {1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 17, 23, 31, 32, 33,
                                   61, 64, 127, 239, 401};
    static const long widths[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 21, 32, 40, 59, 64, 111, 128, 203,
                                  256};
    do {
        c->B = 1 + random_below(r, 3);
        c->G = 1 + random_below(r, 4);
        c->H = c->G * (1 + random_below(r, 4));
        c->N = draw_from(r, lengths, sizeof lengths);
        c->M = coin(r, 2) ? c->N : draw_from(r, lengths, sizeof lengths);
        c->P = coin(r, 3) ? draw_from(r, lengths, sizeof lengths) : 0;
        c->D = draw_from(r, widths, sizeof widths);
        c->Dv = coin(r, 2) ? c->D : draw_from(r, widths, sizeof widths);
    } while (c->B * c->H * c->N * (c->P + c->M) * (c->D + c->Dv) > WORK);
    long *empty[] = {&c->B, &c->N, &c->M}; // rarely there is nothing to do
    if (coin(r, 60))
        *empty[random_below(r, 3)] = 0;
}

// Half of the cases have logits of order 1. Scales of 0 and below are allowed: the mean of all
// values, and the least similar first.
static void draw_values(Subject *s)
{
    static const long exponents[] = {0, 0, 0, -10, 14, SUBNORMAL};
    static const float scales[] = {0.0f, 1.0f, -0.5f, 0.25f, 0x1p-7f};
    Case *c = &s->c;
    Random *r = &s->random;
    s->steep = coin(r, 2) ? 1 : (int)random_below(r, STEEPNESS);
    s->exponent = (int)draw_from(r, exponents, sizeof exponents);
    float factor = steepness[s->steep].factor, size = ldexpf(1, s->exponent);
    c->q = draw_tensor(r, c->B, c->H, c->N, c->D, factor);
    c->k = draw_tensor(r, c->B, c->G, c->M, c->D, factor);
    c->v = draw_tensor(r, c->B, c->G, c->M, c->Dv, size);
    c->past_k = draw_tensor(r, c->B, c->G, c->P, c->D, factor);
    c->past_v = draw_tensor(r, c->B, c->G, c->P, c->Dv, size);
    c->scale = coin(r, 3) ? scales[random_below(r, 5)] : 1 / sqrtf((float)c->D);
}

// --- masks as files ----------------------------------------------------------------------------

// bool: is the number above -inf? npy_write knows floats alone, so the header is written here.
static void write_bools(const char *path, Tensor t)
{
    char header[TEXT];
    int n = snprintf(header, sizeof header, "{'descr': '|b1', 'fortran_order': False, 'shape': (");
    for (int a = 0; a < t.axes; a++)
        n += snprintf(header + n, sizeof header - (size_t)n, "%ld,", t.shape[a]);
    n += snprintf(header + n, sizeof header - (size_t)n, ")}\n");
    Output out = output_open(path);
    fwrite("\x93NUMPY\1\0", 1, 8, out.file);
    fputc(n % 256, out.file);
    fputc(n / 256, out.file);
    fwrite(header, 1, (size_t)n, out.file);
    for (long i = 0; i < tensor_count(t); i++)
        fputc(t.data[i] != -INFINITY, out.file);
    output_close(&out);
}

// mask.npy: bool or additive, any number of axes, each of full size or 1. Says which in `text`.
static void draw_array(Subject *s, char text[TEXT])
{
    const Case *c = &s->c;
    Random *r = &s->random;
    const long full[MAX_AXES] = {c->B, c->H, c->N, s->keys};
    long shape[MAX_AXES];
    int axes = 1 + (int)random_below(r, MAX_AXES);
    bool bools = coin(r, 2);
    int n = snprintf(text, TEXT, "(%s", bools ? "bool" : "float");
    for (int a = 0; a < axes; a++) {
        shape[a] = coin(r, 3) ? 1 : full[MAX_AXES - axes + a];
        n += snprintf(text + n, TEXT - (size_t)n, "%s%ld", a ? "," : "[", shape[a]);
    }
    snprintf(text + n, TEXT - (size_t)n, "])");
    Tensor t = tensor_new(axes, shape);
    float size = coin(r, 2) ? 1 : 8;
    for (long i = 0; i < tensor_count(t); i++)
        t.data[i] = coin(r, 4) ? -INFINITY : bools ? 0 : random_normal(r) * size;
    if (bools)
        write_bools("mask.npy", t);
    else
        npy_write("mask.npy", t);
    tensor_free(&t);
}

// The case's rules as one array, written out pair by pair: 0 or what is added where a query
// sees a key, -inf where it does not. [B, H, N, P + M], the caller's to free.
static Tensor rule_array(const Subject *s)
{
    const Case *c = &s->c;
    Tensor t = tensor_new(SHAPE(c->B, c->H, c->N, s->keys));
    for (long i = 0; i < tensor_count(t); i++)
        t.data[i] = !s->sees[i] ? -INFINITY : s->mask.bias ? (float)s->mask.bias[i] : 0;
    return t;
}

// --- masks as rules ----------------------------------------------------------------------------

// padding=3,5: from no key at all to all of them, one length a sequence.
static void add_padding(Subject *s)
{
    for (long b = 0; b < s->c.B; b++) {
        long length = random_below(&s->random, s->keys + 1);
        if (b == 0)
            add_word(s->spec, "padding=%ld", length);
        else
            snprintf(s->spec + strlen(s->spec), 32, ",%ld", length);
    }
}

// A quarter has no mask, a quarter a plain causal one, the rest several rules joined.
static void draw_mask(Subject *s, char array[TEXT])
{
    Random *r = &s->random;
    long kind = random_below(r, 8);
    s->spec[0] = array[0] = '\0';
    if (kind >= 2 && (kind < 4 || coin(r, 2)))
        add_word(s->spec, coin(r, 3) ? "causal-end" : "causal");
    if (kind >= 4 && coin(r, 4))
        add_word(s->spec, "window=%ld", random_below(r, s->keys + 2));
    if (kind >= 4 && coin(r, 4))
        add_word(s->spec, "prefix=%ld", random_below(r, s->keys + 2));
    if (kind >= 4 && coin(r, 2))
        add_padding(s);
    if (kind >= 4 && coin(r, 2)) {
        add_word(s->spec, "mask.npy");
        draw_array(s, array);
    }
    if (!s->spec[0])
        add_word(s->spec, "none");
    s->c.mask = s->spec;
}

// --- how the chapters are to run it ------------------------------------------------------------

// A tile's side: from 1 to 9, or longer than there is anything to fill it.
static long draw_side(Random *r, long longest)
{
    return coin(r, 4) ? longest + 1 + random_below(r, 3) : 1 + random_below(r, 9);
}

static void draw_ways(Subject *s)
{
    static const long block_sizes[] = {1, 2, 3, 4, 5, 7, 8, 16, 64};
    Case *c = &s->c;
    Random *r = &s->random;
    // Pass by pass is the same question only where no query sees a later key.
    bool passes = s->causal && c->N == c->M && c->N > 0;
    c->prefill = passes && !coin(r, 3) ? 1 + random_below(r, c->N) : c->N;
    c->growth = coin(r, 2) ? CACHE_PREALLOC : CACHE_GROW;
    c->layout = coin(r, 2) ? LAYOUT_HEADS : LAYOUT_TOKENS;
    c->block_size = draw_from(r, block_sizes, sizeof block_sizes);
    c->blocks = coin(r, 2) ? 0 : c->B * ((s->keys + c->block_size - 1) / c->block_size);
    c->shuffle = random_below(r, 1000);
    c->R = draw_side(r, c->N);
    c->C = draw_side(r, s->keys);
    draw_cuts(r, c, s->keys);
}

// --- the case in words, and for whoever wants it again -----------------------------------------

// All parameters on one line, by the names of the flags where there is one.
static void describe(Subject *s, const char *array)
{
    const Case *c = &s->c;
    snprintf(s->text, sizeof s->text,
             "B=%ld H=%ld G=%ld N=%ld M=%ld P=%ld D=%ld Dv=%ld mask=%s%s scale=%.9g "
             "logits=%s V=2^%d prefill=%ld cache=%s layout=%s block-size=%ld blocks=%ld "
             "shuffle=%ld tile=%ld,%ld cuts=", c->B, c->H, c->G, c->N, c->M, c->P, c->D,
             c->Dv, c->mask, array, (double)c->scale, steepness[s->steep].name,
             s->exponent, c->prefill, c->growth == CACHE_GROW ? "grow" : "prealloc",
             c->layout == LAYOUT_HEADS ? "heads" : "tokens", c->block_size, c->blocks,
             c->shuffle, c->R, c->C);
    add_numbers(s->text, sizeof s->text, c->cuts, c->cut_count);
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof s->text - n, "; again: property 1 %llu",
             (unsigned long long)s->seed);
}

// --- making it, asking everybody, forgetting it ------------------------------------------------

// Which query sees which key, pair by pair, by the oracle's rules.
static bool *all_seen(const Subject *s)
{
    const Case *c = &s->c;
    long n = 0;
    bool *sees = malloc((size_t)(c->B * c->H * c->N * s->keys) + 1);
    CHECK(sees, "no memory for a mask of %ld keys", s->keys);
    for (long b = 0; b < c->B; b++)
        for (long h = 0; h < c->H; h++)
            for (long i = 0; i < c->N; i++)
                for (long j = 0; j < s->keys; j++)
                    sees[n++] = oracle_allows(&s->mask, s->sizes, b, h, i, j);
    return sees;
}

// The order matters: each step draws from the same stream and builds on the ones before.
static void subject_make(Subject *s, uint64_t seed)
{
    char array[TEXT];
    *s = (Subject){.seed = seed, .random = random_seed(seed)};
    Case *c = &s->c;
    snprintf(s->text, sizeof s->text, "seed %llu, not yet drawn", (unsigned long long)seed);
    draw_sizes(&s->random, c);
    s->keys = c->P + c->M;
    draw_values(s);
    draw_mask(s, array);
    s->k = join_tokens(c->past_k, c->k);
    s->v = join_tokens(c->past_v, c->v);
    s->sizes = (OracleSizes){c->B, c->H, c->G, c->N, s->keys, c->D, c->Dv};
    s->mask = oracle_mask(s->spec, s->sizes);
    s->mask.offset = c->P;
    s->causal = s->mask.causal || s->mask.window >= 0;
    s->sees = all_seen(s);
    draw_ways(s);
    describe(s, array);
    s->answer = answer_new(c->q.data, s->k, s->v, s->sizes, c->scale, &s->mask);
    for (int n = 1; n <= CHAPTERS; n++)
        if (chapter_takes(n, c))
            s->of[n] = run_chapter(n, c);
}

// Whatever is still held afterwards, a chapter has lost.
static void subject_free(Subject *s)
{
    Tensor *owned[] = {&s->k, &s->v, &s->c.q, &s->c.k, &s->c.v, &s->c.past_k, &s->c.past_v};
    for (int i = 0; i < 7; i++)
        tensor_free(owned[i]);
    for (int n = 1; n <= CHAPTERS; n++)
        if (s->of[n].out.data)
            result_free(&s->of[n]);
    oracle_mask_free(&s->mask);
    free(s->sees);
    answer_free(&s->answer);
    CHECK(tensor_live_bytes() == 0, "%ld bytes of tensors were not freed", tensor_live_bytes());
}

// --- holding results against each other --------------------------------------------------------

// Are the two equal, bit for bit (-0 equals +0)?
static Outcome same(Subject *s, int n, const char *what, const Result *a, const Result *b)
{
    const Tensor *x[] = {&a->out, &a->lse}, *y[] = {&b->out, &b->lse};
    for (int i = 0; i < 2; i++) {
        Comparison c = compare_floats(tensor_count(*x[i]), x[i]->data, y[i]->data, NULL, NULL,
                                      (CompareRules){.bound = -1});
        if (c.verdict != BIT_EXACT || tensor_count(*x[i]) != tensor_count(*y[i]))
            return fails(s, "%02d, %s: %s: %s", n, what, i ? "lse" : "output", c.text);
    }
    return HOLDS;
}

// Chapter n on a case that asks the same in another way: the same bits as before.
static Outcome same_after(Subject *s, int n, const char *what, const Case *changed)
{
    Result r = run_chapter(n, changed);
    Outcome o = same(s, n, what, &s->of[n], &r);
    result_free(&r);
    return o;
}

// Two cases that ask the same.
static Outcome same_cases(Subject *s, int n, const char *what, const Case *a, const Case *b)
{
    Result x = run_chapter(n, a), y = run_chapter(n, b);
    Outcome o = same(s, n, what, &x, &y);
    result_free(&x);
    result_free(&y);
    return o;
}

// Equal values pass first (-inf equals -inf); what is left is negated, so that NaN fails.
static bool beyond(double x, double ref, double bound)
{
    return x != ref && !(fabs(x - ref) <= bound);
}

// Is a result within its bound of the oracle's answer, in every number of it?
static Outcome near(Subject *s, int n, const char *what, const Result *r)
{
    for (long i = 0; i < tensor_count(r->out); i++)
        if (beyond((double)r->out.data[i], s->answer.output[i], s->answer.bound))
            return fails(s, "%02d%s: output %ld is %.9g, the oracle has %.9g, bound %.3g", n, what,
                         i, (double)r->out.data[i], s->answer.output[i], s->answer.bound);
    for (long i = 0; i < tensor_count(r->lse); i++)
        if (beyond((double)r->lse.data[i], s->answer.lse[i], s->answer.lse_bound))
            return fails(s, "%02d%s: lse %ld is %.9g, the oracle has %.9g, bound %.3g", n, what, i,
                         (double)r->lse.data[i], s->answer.lse[i], s->answer.lse_bound);
    return HOLDS;
}

// Row r of two outputs and its log-sum-exp: equal?
static bool same_row(const Result *a, const Result *b, long r, long Dv)
{
    for (long d = r * Dv; d < (r + 1) * Dv; d++)
        if (a->out.data[d] != b->out.data[d])
            return false;
    return a->lse.data[r] == b->lse.data[r];
}

// One of the chapters from:8 that the mask is no obstacle to. Over the sweep all get their turn.
static int some_chapter(Subject *s, int from, const Case *c)
{
    int n = from + (int)random_below(&s->random, CHAPTERS + 1 - from);
    return chapter_takes(n, c) ? n : 4;
}

// --- keys and values that may be altered -------------------------------------------------------

static Tensor copy_of(Tensor t)
{
    Tensor copy = tensor_new(t.axes, t.shape);
    tensor_copy(copy, t);
    return copy;
}

static Case with_own_kv(const Case *c)
{
    Case own = *c;
    own.k = copy_of(c->k);
    own.v = copy_of(c->v);
    own.past_k = copy_of(c->past_k);
    own.past_v = copy_of(c->past_v);
    return own;
}

static void free_own_kv(Case *c)
{
    tensor_free(&c->k);
    tensor_free(&c->v);
    tensor_free(&c->past_k);
    tensor_free(&c->past_v);
}

// Key (or value) j of all those of the sequence, past ones first, in one KV head: [D]
static Tensor token(Tensor past, Tensor fresh, long b, long g, long j)
{
    long P = past.shape[2];
    Tensor t = tensor_at(tensor_at(j < P ? past : fresh, b), g);
    return tensor_at(t, j < P ? j : j - P);
}

// Key j with its value becomes x, in one KV head.
static void overwrite(Case *c, long b, long g, long j, float x)
{
    tensor_fill(token(c->past_k, c->k, b, g, j), x);
    tensor_fill(token(c->past_v, c->v, b, g, j), x);
}

// --- the oracle, and each other ----------------------------------------------------------------

// The rule for each single run (oracle.h), and the same for the log-sum-exp.
static Outcome within_bound(Subject *s, int n)
{
    return s->of[n].out.data ? near(s, n, "", &s->of[n]) : DOES_NOT_APPLY;
}

// Addresses change from chapter to chapter, sums do not. 05 and 06 take the case in passes where
// it can be, 03 gets K and V repeated, 01 and 02 come head by head.
static Outcome same_as_04(Subject *s, int n)
{
    return s->of[n].out.data ? same(s, n, "beside 04", &s->of[4], &s->of[n]) : DOES_NOT_APPLY;
}

// Nothing is remembered from one call to the next.
static Outcome same_again(Subject *s, int n)
{
    n = some_chapter(s, 1, &s->c);
    return same_after(s, n, "once more", &s->c);
}

// A row only sees earlier tokens: whether later ones are there yet makes no difference.
static Outcome token_by_token(Subject *s, int n)
{
    Case one = s->c, all = s->c;
    if (!s->causal || one.N != one.M || one.N < 2)
        return DOES_NOT_APPLY;
    one.prefill = 1;
    all.prefill = all.N;
    return same_cases(s, n, "one pass and token by token", &all, &one);
}

// Where a token lies, and how often it was moved there, is no business of the sums.
static Outcome any_cache(Subject *s, int n)
{
    Outcome o = HOLDS;
    for (int way = 0; way < 4 && o == HOLDS; way++) {
        Case c = s->c;
        c.growth = way % 2 ? CACHE_GROW : CACHE_PREALLOC;
        c.layout = way / 2 ? LAYOUT_TOKENS : LAYOUT_HEADS;
        o = same_after(s, n, "another growth or layout", &c);
    }
    return o;
}

// Nor which block holds it, nor how many tokens a block takes.
static Outcome any_pages(Subject *s, int n)
{
    Case c = s->c;
    c.shuffle = 1 + random_below(&s->random, 1 << 20);
    Outcome o = same_after(s, n, "another order of blocks", &c);
    c.block_size = 1 + random_below(&s->random, s->keys + 2);
    c.blocks = 0;
    return o == HOLDS ? same_after(s, n, "another block size", &c) : o;
}

// The same numbers elsewhere: token by token, the heads within, and off by one float.
static Tensor scattered(Tensor *owner, Tensor x)
{
    *owner = tensor_new(SHAPE(x.shape[0], x.shape[2], x.shape[1], x.shape[3] + 3));
    Tensor view = tensor_slice(tensor_swap(*owner, 1, 2), 3, 1, 1 + x.shape[3]);
    tensor_copy(view, x);
    return view;
}

// Views are as good as tensors of their own.
static Outcome any_strides(Subject *s, int n)
{
    Case c = s->c;
    Tensor owners[5], *to[] = {&c.q, &c.k, &c.v, &c.past_k, &c.past_v};
    for (int i = 0; i < 5; i++)
        *to[i] = scattered(&owners[i], *to[i]);
    n = some_chapter(s, 1, &c);
    Outcome o = same_after(s, n, "strided and unaligned", &c);
    for (int i = 0; i < 5; i++)
        tensor_free(&owners[i]);
    return o;
}

// Every query head gets a copy of the K and V that it shares.
static Outcome repeated_heads(Subject *s)
{
    Case c = s->c;
    Tensor *to[] = {&c.k, &c.v, &c.past_k, &c.past_v};
    for (int i = 0; i < 4; i++)
        *to[i] = repeat_heads(*to[i], c.H);
    c.G = c.H;
    Outcome o = same_after(s, some_chapter(s, 4, &c), "K and V repeated", &c);
    free_own_kv(&c);
    return o;
}

// GQA: more than one group, with more than one head each.
static Outcome groups_repeated(Subject *s, int n)
{
    (void)n;
    return s->c.G < s->c.H && s->c.G > 1 ? repeated_heads(s) : DOES_NOT_APPLY;
}

// MQA: all heads share one K and V.
static Outcome one_group_repeated(Subject *s, int n)
{
    (void)n;
    return s->c.G < s->c.H && s->c.G == 1 ? repeated_heads(s) : DOES_NOT_APPLY;
}

// --- weights -----------------------------------------------------------------------------------

// V = identity: token j is the j-th row of it, so that the output is the weights.
static void fill_identity(Case *c, long keys)
{
    c->Dv = keys;
    c->v = tensor_new(SHAPE(c->B, c->G, c->M, keys));
    c->past_v = tensor_new(SHAPE(c->B, c->G, c->P, keys));
    for (long b = 0; b < c->B; b++)
        for (long g = 0; g < c->G; g++)
            for (long j = 0; j < keys; j++) {
                Tensor one = token(c->past_v, c->v, b, g, j);
                tensor_fill(one, 0.0f);
                one.data[j] = 1.0f;
            }
}

// One row of weights: those of hidden keys exactly 0, the sum 1, or 0 of a dead row.
static Outcome check_weights(Subject *s, int n, const float *weight, const bool *sees, long r)
{
    double sum = 0, want = 0;
    for (long j = 0; j < s->keys; j++) {
        sum += (double)weight[j];
        if (sees[j])
            want = 1;
        else if (weight[j] != 0.0f)
            return fails(s, "%02d: row %ld gives hidden key %ld weight %g", n, r, j,
                         (double)weight[j]);
    }
    if (!(fabs(sum - want) <= want * (double)(s->keys + 2) * 0x1p-23))
        return fails(s, "%02d: the weights of row %ld sum to %.9g, not %g", n, r, sum, want);
    return HOLDS;
}

// The sum of M weights is 1 but for rounding: (M + 2) 2^-23. Only short rows: V has as many
// columns as there are keys.
static Outcome weights(Subject *s, int n)
{
    Case c = s->c;
    Outcome o = HOLDS;
    if (s->keys > SMALL || s->keys == 0)
        return DOES_NOT_APPLY;
    n = some_chapter(s, 1, &c);
    fill_identity(&c, s->keys);
    Result result = run_chapter(n, &c);
    for (long r = 0; r < c.B * c.H * c.N && o == HOLDS; r++)
        o = check_weights(s, n, result.out.data + r * s->keys, s->sees + r * s->keys, r);
    result_free(&result);
    tensor_free(&c.v);
    tensor_free(&c.past_v);
    return o;
}

// --- masks -------------------------------------------------------------------------------------

// Some chapter under one mask and under another.
static Outcome same_masks(Subject *s, const char *a, const char *b)
{
    Case x = s->c, y = s->c;
    x.mask = a;
    y.mask = b;
    char what[TEXT];
    snprintf(what, sizeof what, "mask %s and %s", a, b);
    return same_cases(s, some_chapter(s, 2, &y), what, &x, &y);
}

// A window that reaches back to the first token hides nothing more.
static Outcome wide_window(Subject *s, int n)
{
    (void)n;
    char window[32];
    snprintf(window, sizeof window, "window=%ld", s->keys + s->c.N);
    return same_masks(s, "causal", window);
}

// Without a prefix, prefix=P is causal.
static Outcome prefix_of_none(Subject *s, int n)
{
    (void)n;
    return same_masks(s, "causal", "prefix=0");
}

// With all keys in the prefix nothing is hidden, in one pass: early tokens of a cached run
// could not see what is not there yet.
static Outcome prefix_of_all(Subject *s, int n)
{
    Case none = s->c, prefix = s->c;
    char spec[32];
    snprintf(spec, sizeof spec, "prefix=%ld", s->keys);
    none.mask = "none";
    prefix.mask = spec;
    none.prefill = prefix.prefill = none.N;
    n = some_chapter(s, 2, &prefix);
    return same_cases(s, n, "mask none and prefix=P+M", &none, &prefix);
}

// Counted from the first query or from the last, positions are the same where N = M.
static Outcome both_ends(Subject *s, int n)
{
    (void)n;
    return s->c.N == s->c.M ? same_masks(s, "causal", "causal-end") : DOES_NOT_APPLY;
}

// window=0: a query sees its own token alone, and gives back that token's value, to the bit.
static Outcome own_value(Subject *s, int n)
{
    Case c = s->c;
    c.mask = "window=0";
    n = some_chapter(s, 2, &c);
    Result result = run_chapter(n, &c);
    Outcome o = HOLDS;
    for (long at = 0; at < tensor_count(result.out); at++) {
        long r = at / c.Dv, i = r % c.N, h = r / c.N % c.H, b = r / c.N / c.H, p = i + c.P;
        Tensor v = tensor_at(tensor_at(s->v, b), h * c.G / c.H); // [P + M, Dv]
        float want = p < s->keys ? row(v, p)[at % c.Dv] : 0.0f;
        if (result.out.data[at] != want)
            o = fails(s, "%02d: row %ld gives %.9g, its own value is %.9g", n, r,
                      (double)result.out.data[at], (double)want);
    }
    result_free(&result);
    return o;
}

// The rules, and the same rules written out as an array of numbers.
static Outcome rule_as_array(Subject *s, int n)
{
    Case c = s->c;
    Tensor rule = rule_array(s);
    npy_write("rule.npy", rule);
    tensor_free(&rule);
    c.mask = "rule.npy";
    n = s->of[1].out.data ? 4 : some_chapter(s, 2, &c);
    return same_after(s, n, "the rule as an array", &c);
}

// What is hidden as a bool array, and as an array of 0 and -inf.
static Outcome bool_as_float(Subject *s, int n)
{
    Case bools = s->c, floats = s->c;
    Tensor rule = rule_array(s);
    for (long i = 0; i < tensor_count(rule); i++)
        rule.data[i] = rule.data[i] == -INFINITY ? -INFINITY : 0.0f;
    npy_write("floats.npy", rule);
    write_bools("bools.npy", rule);
    tensor_free(&rule);
    bools.mask = "bools.npy";
    floats.mask = "floats.npy";
    n = some_chapter(s, 2, &bools);
    return same_cases(s, n, "bool and additive", &bools, &floats);
}

// --- what reaches what -------------------------------------------------------------------------

// From key `first` on everything becomes another number, then NaN. Rows that see none of those
// keys must not notice; s->sees tells which.
static Outcome unnoticed(Subject *s, int n, long first, float x)
{
    Case c = with_own_kv(&s->c);
    Outcome o = HOLDS;
    for (long b = 0; b < c.B; b++)
        for (long g = 0; g < c.G; g++)
            for (long j = first; j < s->keys; j++)
                overwrite(&c, b, g, j, x);
    Result result = run_chapter(n, &c);
    for (long r = 0; r < c.B * c.H * c.N; r++) {
        bool reached = false;
        for (long j = first; j < s->keys; j++)
            reached = reached || s->sees[r * s->keys + j];
        if (!reached && !same_row(&result, &s->of[n], r, c.Dv))
            o = fails(s, "%02d: row %ld changes with keys %ld on = %g, which it does not see", n,
                      r, first, (double)x);
    }
    result_free(&result);
    free_own_kv(&c);
    return o;
}

// The first query stands at position P: there is a row before every key beyond it.
static Outcome later_tokens(Subject *s, int n)
{
    long later = s->keys - s->c.P - 1;
    if (!s->causal || later < 1 || s->c.N == 0 || (s->mask.from_end && s->c.N != s->c.M))
        return DOES_NOT_APPLY;
    n = some_chapter(s, 2, &s->c);
    long first = s->c.P + 1 + random_below(&s->random, later);
    Outcome o = unnoticed(s, n, first, ldexpf(3.5f, s->exponent));
    return o == HOLDS ? unnoticed(s, n, first, NAN) : o;
}

// The counterpart: with the mask off and all weights equal, the last value reaches every row.
static Outcome last_value(Subject *s, int n)
{
    Case c = with_own_kv(&s->c);
    Result r[2];
    Outcome o = HOLDS;
    c.mask = "none";
    c.scale = 0;
    c.prefill = c.N;
    n = some_chapter(s, 1, &c);
    for (int i = 0; i < 2; i++) {
        for (long b = 0; b < c.B && s->keys > 0; b++)
            for (long g = 0; g < c.G; g++)
                tensor_fill(token(c.past_v, c.v, b, g, s->keys - 1),
                            i ? ldexpf((float)s->keys, s->exponent) : 0.0f);
        r[i] = run_chapter(n, &c);
    }
    // A weight of 1/M times M: every number grows by one unit of V.
    for (long i = 0; i < tensor_count(r[0].out) && s->keys > 0; i++)
        if (!(r[1].out.data[i] - r[0].out.data[i] > ldexpf(0.5f, s->exponent)))
            o = fails(s, "%02d: the last value does not reach output %ld", n, i);
    result_free(&r[0]);
    result_free(&r[1]);
    free_own_kv(&c);
    return s->keys > 0 ? o : DOES_NOT_APPLY;
}

// Does any query that reads KV head g of sequence b see key j?
static bool seen_by_any(const Subject *s, long b, long g, long j)
{
    const Case *c = &s->c;
    long sharing = c->H / c->G;
    for (long h = g * sharing; h < (g + 1) * sharing; h++)
        for (long i = 0; i < c->N; i++)
            if (s->sees[((b * c->H + h) * c->N + i) * s->keys + j])
                return true;
    return false;
}

// NaN, infinities and huge numbers where nobody looks.
static Outcome unseen_junk(Subject *s, int n)
{
    static const float junk[] = {NAN, INFINITY, -INFINITY, 1e30f};
    Case c = with_own_kv(&s->c);
    long unseen = 0;
    n = some_chapter(s, 2, &c);
    for (long b = 0; b < c.B; b++)
        for (long g = 0; g < c.G; g++)
            for (long j = 0; j < s->keys; j++)
                if (!seen_by_any(s, b, g, j))
                    overwrite(&c, b, g, j, junk[unseen++ % 4]);
    Outcome o = unseen ? same_after(s, n, "junk where nobody looks", &c) : DOES_NOT_APPLY;
    free_own_kv(&c);
    return o;
}

// One key is NaN: rows that see it become NaN, and no others notice.
static Outcome one_nan(Subject *s, int n)
{
    Case c = with_own_kv(&s->c);
    Outcome o = s->keys > 0 && c.B > 0 ? HOLDS : DOES_NOT_APPLY;
    long b = random_below(&s->random, c.B + 1) % (c.B + !c.B), g = random_below(&s->random, c.G);
    long j = random_below(&s->random, s->keys + !s->keys);
    n = some_chapter(s, 1, &c);
    if (o == HOLDS)
        tensor_fill(token(c.past_k, c.k, b, g, j), NAN);
    Result result = run_chapter(n, &c);
    for (long r = 0; r < c.B * c.H * c.N && o != DOES_NOT_APPLY; r++) {
        long h = r / c.N % c.H;
        bool met = r / c.N / c.H == b && h * c.G / c.H == g && s->sees[r * s->keys + j];
        bool nan = isnan(result.lse.data[r]);
        for (long d = 0; d < c.Dv; d++)
            nan = nan && isnan(result.out.data[r * c.Dv + d]);
        if (met ? !nan : !same_row(&result, &s->of[n], r, c.Dv))
            o = fails(s, "%02d: key %ld of sequence %ld is NaN; row %ld, which %s it, %s", n, j, b,
                      r, met ? "sees" : "does not see", met ? "is not" : "changes");
    }
    result_free(&result);
    free_own_kv(&c);
    return o;
}

// Keys that are allowed and score -inf: a dead row without a mask. Its weights are 0, but 0 times
// infinity would be NaN.
static Outcome dead_scores(Subject *s, int n)
{
    Case c = with_own_kv(&s->c);
    Outcome o = HOLDS;
    c.q = copy_of(s->c.q);
    c.scale = 1;
    n = some_chapter(s, 1, &c);
    tensor_fill(c.q, 1);
    tensor_fill(c.k, -INFINITY);
    tensor_fill(c.v, INFINITY);
    tensor_fill(c.past_k, -INFINITY);
    tensor_fill(c.past_v, NAN);
    Result result = run_chapter(n, &c);
    for (long i = 0; i < tensor_count(result.out); i++)
        if (result.out.data[i] != 0.0f)
            o = fails(s, "%02d: every score is -inf, and output %ld is %g", n, i,
                      (double)result.out.data[i]);
    for (long i = 0; i < tensor_count(result.lse); i++)
        if (result.lse.data[i] != -INFINITY)
            o = fails(s, "%02d: every score is -inf, and lse %ld is %g", n, i,
                      (double)result.lse.data[i]);
    result_free(&result);
    tensor_free(&c.q);
    free_own_kv(&c);
    return o;
}

// --- the order of keys -------------------------------------------------------------------------

// One axis in another order: y[.., i, ..] = x[.., order[i], ..]
static Tensor reordered(Tensor x, int axis, const long *order)
{
    Tensor y = tensor_new(x.axes, x.shape);
    for (long i = 0; i < x.shape[axis]; i++)
        tensor_copy(tensor_slice(y, axis, i, i + 1),
                    tensor_slice(x, axis, order[i], order[i] + 1));
    return y;
}

// Keys, values and the columns of the mask in another order: the same sums, added up
// differently. The rules go by position, so they are written out as an array first.
static Outcome another_order(Subject *s, int n)
{
    Case c = s->c;
    long *order = malloc((size_t)(s->keys + 1) * sizeof *order);
    CHECK(order, "no memory for %ld numbers", s->keys);
    for (long i = 0; i < s->keys; i++) {
        long j = random_below(&s->random, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    Tensor rule = rule_array(s), moved = reordered(rule, 3, order);
    npy_write("moved.npy", moved);
    c.P = 0;
    c.past_k = c.past_v = (Tensor){0};
    c.M = s->keys;
    c.k = reordered(s->k, 2, order);
    c.v = reordered(s->v, 2, order);
    c.mask = "moved.npy";
    c.prefill = c.N;
    n = some_chapter(s, 2, &c);
    Result r = run_chapter(n, &c);
    Outcome o = near(s, n, ", keys in another order", &r);
    result_free(&r);
    tensor_free(&rule);
    tensor_free(&moved);
    tensor_free(&c.k);
    tensor_free(&c.v);
    free(order);
    return o;
}

// --- tiles -------------------------------------------------------------------------------------

// Cut at every key, or as often as there are cuts.
static Outcome cut_everywhere(Subject *s, int n)
{
    Case c = s->c;
    c.cut_count = s->keys < MOST_CUTS ? s->keys : MOST_CUTS;
    for (long i = 0; i < c.cut_count; i++)
        c.cuts[i] = 1 + i * s->keys / (c.cut_count + 1);
    Result r = run_chapter(n, &c);
    Outcome o = near(s, n, ", cut everywhere", &r);
    result_free(&r);
    return o;
}

// Cuts at the ends leave one part whole and the others empty: not a bit changes.
static Outcome cut_at_ends(Subject *s, int n)
{
    Case whole = s->c, cut = s->c;
    whole.cut_count = 0;
    cut.cut_count = 1 + random_below(&s->random, 4);
    for (long i = 0; i < cut.cut_count; i++)
        cut.cuts[i] = i < cut.cut_count / 2 ? 0 : s->keys;
    return same_cases(s, n, "cut at the ends", &whole, &cut);
}

// What a part of the keys gave for one row. `scale` 0: it saw nothing.
static void make_part(Subject *s, Tensor *state, Tensor *acc, float scale)
{
    *state = tensor_new(SHAPE(1, STATE_SIZE));
    *acc = tensor_new(SHAPE(1, s->c.Dv));
    state_clear(*state, *acc);
    if (scale == 0)
        return;
    state->data[STATE_MAX] = random_normal(&s->random) * scale;
    state->data[STATE_SUM] = 1.5f + random_uniform(&s->random);
    for (long d = 0; d < s->c.Dv; d++)
        acc->data[d] = random_normal(&s->random);
}

// Merging with a part that saw nothing, on either side, changes nothing; nor is anything made
// out of two such parts.
static Outcome merge_with_empty(Subject *s, int n)
{
    Outcome o = HOLDS;
    for (int full = 0; full < 3; full++) { // the side that saw something; 2: neither did
        Tensor state[2], acc[2];
        make_part(s, &state[0], &acc[0], full == 0 ? 100 : 0);
        make_part(s, &state[1], &acc[1], full == 1 ? 100 : 0);
        Tensor want = copy_of(state[full % 2]), sums = copy_of(acc[full % 2]);
        state_merge(state[0], acc[0], state[1], acc[1]);
        bool good = state[0].data[STATE_MAX] == want.data[STATE_MAX] &&
                    state[0].data[STATE_SUM] == want.data[STATE_SUM];
        for (long d = 0; d < s->c.Dv; d++)
            good = good && acc[0].data[d] == sums.data[d];
        if (!good)
            o = fails(s, "%02d: merging with an empty part gives m = %g, l = %g, acc = %g", n,
                      (double)state[0].data[STATE_MAX], (double)state[0].data[STATE_SUM],
                      (double)acc[0].data[0]);
        Tensor *owned[] = {&state[0], &state[1], &acc[0], &acc[1], &want, &sums};
        for (int i = 0; i < 6; i++)
            tensor_free(owned[i]);
    }
    return o;
}

// --- bytes -------------------------------------------------------------------------------------

// 01 to 06: the scores of one head at a time, n * (P + n) in a pass over n tokens. 07: what its
// header says, without an N or an M in it.
static long scratch_of(int n, const Case *c)
{
    long first = n < 5 ? c->N : c->prefill, R = c->R, C = c->C;
    long to = c->N == c->M ? c->P + first : c->P + c->M;
    long scores = first * to, last = first < c->N ? c->P + c->N : 0;
    if (n == 7)
        return 4 * (R * c->D + C * c->D + C * c->Dv + R * C + 3 * R * c->Dv + 2 * R * STATE_SIZE);
    return c->B > 0 ? 4 * (scores > last ? scores : last) : 0;
}

// Counted by the tensors themselves: the peak during a pass, less what was held before it.
static Outcome scratch(Subject *s, int n)
{
    if (!s->of[n].out.data || (n == 5 && s->c.growth == CACHE_GROW)) // growing takes its own
        return DOES_NOT_APPLY;
    if (s->of[n].scratch != scratch_of(n, &s->c))
        return fails(s, "%02d: held %ld bytes of scratch, not %ld", n, s->of[n].scratch,
                     scratch_of(n, &s->c));
    return HOLDS;
}

// --- counts ------------------------------------------------------------------------------------

// Pairs that are seen among the rows r to r + n of the mask and the keys j to end.
static long pairs_seen(const Subject *s, long r, long n, long j, long end)
{
    long seen = 0;
    for (long i = r; i < r + n; i++)
        for (long key = j; key < end; key++)
            seen += s->sees[i * s->keys + key];
    return seen;
}

// 01 to 06 in one pass, a head. Flops: 2 N M D for Q K^T, N M for the scale, 5 N M for the softmax,
// 2 Dv for each pair that is seen. Floats: each step reads what it needs and writes what it makes,
// N M scores in each step but one; the mask is a step from 02 on, storing the tokens from 05 on. A
// mask that is an array is read whole, and added once for each pair that is seen.
static Outcome costs(Subject *s, int n)
{
    Case c = s->c;
    long rows = c.B * c.H * c.N, keys = c.B * c.H * s->keys, all = rows * s->keys;
    long flops = (2 * c.D + 6) * all + 2 * c.Dv * pairs_seen(s, 0, rows, 0, s->keys);
    c.prefill = c.N;
    c.growth = CACHE_PREALLOC;
    n = 1 + (int)random_below(&s->random, 6);
    n = chapter_takes(n, &c) ? n : 4;
    bool brought = n > 1 && s->mask.bias;
    flops += brought ? pairs_seen(s, 0, rows, 0, s->keys) : 0;
    long scores = (n == 1 ? 3 : 4) * all;
    long stored = n < 5 ? 0 : c.B * c.G * s->keys * (c.D + c.Dv);
    long read = rows * c.D + keys * (c.D + c.Dv) + scores + stored + (brought ? all : 0);
    long written = scores + rows + rows * c.Dv + stored;
    counts = (Counts){0};
    Result r = run_chapter(n, &c);
    result_free(&r);
    if (counts.flops != flops || counts.scores != all)
        return fails(s, "%02d: counted %ld flops and %ld scores, not %ld and %ld", n, counts.flops,
                     counts.scores, flops, all);
    if (counts.read_bytes != 4 * read || counts.written_bytes != 4 * written)
        return fails(s, "%02d: counted %ld bytes read and %ld written, not %ld and %ld", n,
                     counts.read_bytes, counts.written_bytes, 4 * read, 4 * written);
    return HOLDS;
}

// 07 computes a tile if any of its pairs is seen. It loads that tile's keys and values, and each
// query once; storing the tokens in their blocks has read all of them once.
static Outcome tiles(Subject *s, int n)
{
    Case c = s->c;
    long seen = 0, hidden = 0, loaded = 0, brought = 0; // brought: of a mask that is an array
    c.prefill = c.N;
    c.cut_count = 0;
    for (long head = 0; head < c.B * c.H; head++)
        for (long i = 0; i < c.N; i += c.R)
            for (long j = 0; j < s->keys; j += c.C) {
                long rows = c.R < c.N - i ? c.R : c.N - i;
                long end = j + c.C < s->keys ? j + c.C : s->keys;
                bool any = pairs_seen(s, head * c.N + i, rows, j, end) > 0;
                seen += any;
                hidden += !any;
                loaded += any ? end - j : 0;
                brought += any && s->mask.bias ? rows * (end - j) : 0;
            }
    counts = (Counts){0};
    Result r = run_chapter(n, &c);
    result_free(&r);
    long read = (c.B * c.G * s->keys + loaded) * (c.D + c.Dv) + c.B * c.H * c.N * c.D + brought;
    if (counts.tiles != seen || counts.skipped != hidden || counts.read_bytes != 4 * read)
        return fails(s, "%02d: %ld tiles, %ld skipped, %ld bytes read, not %ld, %ld and %ld", n,
                     counts.tiles, counts.skipped, counts.read_bytes, seen, hidden, 4 * read);
    return HOLDS;
}

// --- the sweep as a whole ----------------------------------------------------------------------

// The largest errors over all cases of one steepness, in units of V.
typedef struct {
    long cases;
    double naive, tiled; // of 06 and of 07, to float64
    double cancel;       // max |(ref + 0.3 - 0.3) - ref| in float32
} Sweep;

static Sweep sweeps[STEEPNESS];

// The larger one, and NaN for good once there is one: fmax would drop it.
static double worst_of(double so_far, double error)
{
    return isnan(so_far) || error <= so_far ? so_far : error;
}

// In units of V, so that cases with large values do not hide the others.
static void add_to_sweep(const Subject *s)
{
    Sweep *w = &sweeps[s->steep];
    if (s->exponent == SUBNORMAL) // its errors are of the last bit of the smallest numbers
        return;
    w->cases++;
    for (long i = 0; i < tensor_count(s->of[7].out); i++) {
        double unit = ldexp(1, s->exponent), ref = s->answer.output[i];
        float x = (float)(ref / unit), there = x + 0.3f, back = there - 0.3f;
        w->naive = worst_of(w->naive, fabs((double)s->of[6].out.data[i] - ref) / unit);
        w->tiled = worst_of(w->tiled, fabs((double)s->of[7].out.data[i] - ref) / unit);
        w->cancel = worst_of(w->cancel, (double)fabsf(back - x));
    }
}

// --- all laws ----------------------------------------------------------------------------------

typedef struct {
    const char *name;
    Outcome (*holds)(Subject *s, int chapter);
    int  chapter;      // 0: a random one each time
    long cases, failures;
    char first[COMPARISON_TEXT + TEXT];
} Law;

static Law laws[] = {
    {.name = "01 lies within the bound of the oracle", .holds = within_bound, .chapter = 1},
    {.name = "02 lies within the bound of the oracle", .holds = within_bound, .chapter = 2},
    {.name = "03 lies within the bound of the oracle", .holds = within_bound, .chapter = 3},
    {.name = "04 lies within the bound of the oracle", .holds = within_bound, .chapter = 4},
    {.name = "05 lies within the bound of the oracle", .holds = within_bound, .chapter = 5},
    {.name = "06 lies within the bound of the oracle", .holds = within_bound, .chapter = 6},
    {.name = "07 lies within the bound of the oracle", .holds = within_bound, .chapter = 7},
    {.name = "01 and 04: the same bits", .holds = same_as_04, .chapter = 1},
    {.name = "02 and 04: the same bits", .holds = same_as_04, .chapter = 2},
    {.name = "03 and 04: the same bits", .holds = same_as_04, .chapter = 3},
    {.name = "05 and 04: the same bits", .holds = same_as_04, .chapter = 5},
    {.name = "06 and 04: the same bits", .holds = same_as_04, .chapter = 6},
    {.name = "twice: the same bits", .holds = same_again},
    {.name = "05 in one pass and token by token: the same bits", .holds = token_by_token,
     .chapter = 5},
    {.name = "06 in one pass and token by token: the same bits", .holds = token_by_token,
     .chapter = 6},
    {.name = "07 in one pass and token by token: the same bits", .holds = token_by_token,
     .chapter = 7},
    {.name = "05 with any growth and layout: the same bits", .holds = any_cache, .chapter = 5},
    {.name = "06 with any blocks in any order: the same bits", .holds = any_pages, .chapter = 6},
    {.name = "07 with any blocks in any order: the same bits", .holds = any_pages, .chapter = 7},
    {.name = "strided and unaligned Q, K, V: the same bits", .holds = any_strides},
    {.name = "GQA is multi-head with K and V repeated: the same bits", .holds = groups_repeated},
    {.name = "MQA is multi-head with K and V repeated: the same bits",
     .holds = one_group_repeated},
    {.name = "weights sum to one, hidden ones are 0, dead rows sum to 0", .holds = weights},
    {.name = "a window over everything is causal", .holds = wide_window},
    {.name = "a prefix of nothing is causal", .holds = prefix_of_none},
    {.name = "a prefix of everything is no mask", .holds = prefix_of_all},
    {.name = "causal and causal-end agree where N = M", .holds = both_ends},
    {.name = "window=0 gives back each token's own value", .holds = own_value},
    {.name = "a rule and the same rule as an array: the same bits", .holds = rule_as_array},
    {.name = "a bool and an additive mask: the same bits", .holds = bool_as_float},
    {.name = "later tokens never reach earlier rows", .holds = later_tokens},
    {.name = "without a mask the last value reaches every row", .holds = last_value},
    {.name = "NaN and infinity where nobody looks change nothing", .holds = unseen_junk},
    {.name = "a NaN key reaches the rows that see it, and no others", .holds = one_nan},
    {.name = "scores of -inf make a row dead, whatever V holds", .holds = dead_scores},
    {.name = "keys in another order lie within the bound", .holds = another_order},
    {.name = "07 cut everywhere lies within the bound", .holds = cut_everywhere, .chapter = 7},
    {.name = "07 cut at its ends: the same bits", .holds = cut_at_ends, .chapter = 7},
    {.name = "07 merged with an empty part: unchanged", .holds = merge_with_empty, .chapter = 7},
    {.name = "01 takes the scores of one head as scratch", .holds = scratch, .chapter = 1},
    {.name = "02 takes the scores of one head as scratch", .holds = scratch, .chapter = 2},
    {.name = "03 takes the scores of one head as scratch", .holds = scratch, .chapter = 3},
    {.name = "04 takes the scores of one head as scratch", .holds = scratch, .chapter = 4},
    {.name = "05 takes the scores of one head as scratch", .holds = scratch, .chapter = 5},
    {.name = "06 takes the scores of one head as scratch", .holds = scratch, .chapter = 6},
    {.name = "07 takes what its tiles take, whatever N and M", .holds = scratch, .chapter = 7},
    {.name = "flops, scores and bytes are those of the formula", .holds = costs},
    {.name = "07 computes and loads the tiles that the mask leaves", .holds = tiles, .chapter = 7},
};
enum { LAWS = sizeof laws / sizeof laws[0] };

// Every law on one case. What breaks one is named in full, the first three times.
static void try_laws(Subject *s)
{
    for (int i = 0; i < LAWS; i++) {
        Law *law = &laws[i];
        Outcome o = law->holds(s, law->chapter);
        law->cases += o != DOES_NOT_APPLY;
        if (o != FAILS)
            continue;
        if (law->failures++ == 0)
            memcpy(law->first, s->why, sizeof law->first);
        if (law->failures <= 3)
            printf("property CASE %s: %s: %s\n", law->name, s->why, s->text);
    }
}

// --- reporting ---------------------------------------------------------------------------------

static long passed, failed, skipped;

// A law that no case asked for was not kept, it was skipped.
static void report_laws(void)
{
    for (int i = 0; i < LAWS; i++) {
        const Law *law = &laws[i];
        if (law->cases == 0) {
            printf("skip - %s: no case asked for it\n", law->name);
            skipped++;
        } else if (law->failures) {
            printf("not ok - %s: %ld of %ld cases, first %s\n", law->name, law->failures,
                   law->cases, law->first);
            failed++;
        } else {
            printf("ok - %s (%ld cases)\n", law->name, law->cases);
            passed++;
        }
    }
}

// Reordered sums may err twice as much as naive ones, and as much as one cancellation.
static void report_sweeps(void)
{
    for (int i = 0; i < STEEPNESS; i++) {
        const Sweep *w = &sweeps[i];
        const char *name = "07 errs at most twice as much as 06";
        double most = 2 * w->naive + 2 * w->cancel;
        if (w->cases < SWEEP) {
            printf("skip - %s, %s logits: %ld cases are no sweep, it takes %d\n", name,
                   steepness[i].name, w->cases, SWEEP);
            skipped++;
        } else if (!(w->tiled <= most)) {
            printf("not ok - %s, %s logits: %.3g, naive %.3g, allowed %.3g\n", name,
                   steepness[i].name, w->tiled, w->naive, most);
            failed++;
        } else {
            printf("ok - %s, %s logits: %.3g, naive %.3g, allowed %.3g (%ld cases)\n", name,
                   steepness[i].name, w->tiled, w->naive, most, w->cases);
            passed++;
        }
    }
}

// --- the run -----------------------------------------------------------------------------------

static char folder[] = "/tmp/attention-property-XXXXXX";
static Subject subject;
static bool running;

// At any exit, also from a signal: only calls that are allowed there. `running` says that a case
// was not finished.
static void leave(void)
{
    static const char *const files[] = {"mask.npy", "rule.npy", "floats.npy", "bools.npy",
                                        "moved.npy"};
    static const char start[] = "property CASE stopped in: ";
    if (running && write(STDOUT_FILENO, start, sizeof start - 1) > 0 &&
        write(STDOUT_FILENO, subject.text, strlen(subject.text)) > 0 &&
        write(STDOUT_FILENO, "\n", 1) > 0)
        running = false;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        unlink(files[i]);
    rmdir(folder);
}

// A chapter that aborts, or worse: the case is named before the program ends.
static void on_signal(int number)
{
    leave();
    raise(number); // SA_RESETHAND: the default action, this time
}

// A folder for mask files, and the signals that may end the run.
static void enter(void)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGFPE, SIGBUS, SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(folder) || chdir(folder) != 0)
        refuse(EXIT_WRITE, "%s: cannot be made", folder);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
    CHECK(atexit(leave) == 0, "no room for an exit handler");
}

static uint64_t number(const char *text, const char *what)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end)
        refuse(EXIT_USAGE, "%s: expected a whole number, got \"%s\"", what, text);
    return n;
}

int main(int argc, char **argv)
{
    fail_program("property");
    if (argc > 3)
        refuse(EXIT_USAGE, "expected [CASES [SEED]], got %d words", argc - 1);
    long cases = argc > 1 ? (long)number(argv[1], "CASES") : 3000;
    uint64_t seed = argc > 2 ? number(argv[2], "SEED") : 1;
    enter();
    for (long i = 0; i < cases; i++) {
        running = true;
        subject_make(&subject, seed + (uint64_t)i);
        try_laws(&subject);
        add_to_sweep(&subject);
        subject_free(&subject);
        running = false;
    }
    report_laws();
    report_sweeps();
    printf("property: %ld passed, %ld failed, %ld skipped\n", passed, failed, skipped);
    return failed ? EXIT_DIFFERS : 0;
}
