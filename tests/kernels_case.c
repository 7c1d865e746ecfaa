#include "kernels.h"
#include "naive_bf16.h"

#include "../common/npy.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 12 }; // tokens that come one by one, at most

// --- drawing it ----------------------------------------------------------------------------------

// Sizes around a warp of 32, a block of 128 threads and the 8 floats of a sector; and 1.
static const long lengths[] = {1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 61, 64, 65, 127,
                               128, 129, 239};
static const long widths[] = {1, 2, 3, 4, 5, 7, 8, 16, 21, 31, 32, 33, 40, 64, 65, 111, 128, 203,
                              256};

static long work_of(const Case *c)
{
    return c->B * c->H * c->N * (c->P + c->M) * (c->D + c->Dv);
}

static void draw_sizes(Random *r, Case *c, long work)
{
    do {
        c->B = 1 + random_below(r, 3);
        c->G = 1 + random_below(r, 3);
        c->H = c->G * (1 + random_below(r, 6));
        c->N = coin(r, 4) ? 1 : draw_from(r, lengths, sizeof lengths);
        c->M = coin(r, 2) ? c->N : draw_from(r, lengths, sizeof lengths);
        c->P = coin(r, 3) ? draw_from(r, lengths, sizeof lengths) : 0;
        c->D = draw_from(r, widths, sizeof widths);
        c->Dv = coin(r, 2) ? c->D : draw_from(r, widths, sizeof widths);
    } while (work_of(c) > work);
    long *empty[] = {&c->B, &c->N, &c->M}; // rarely there is nothing to do
    if (coin(r, 40))
        *empty[random_below(r, 3)] = 0;
}

// Sizes around 512 keys and 384 rows, of few heads.
static void draw_long(Random *r, Case *c, long work)
{
    static const long rows[] = {1, 2, 6, 95, 250, 257, 383, 385, 513};
    static const long keys[] = {255, 257, 511, 512, 513, 700, 1024, 1025, 1300};
    static const long wide[] = {8, 16, 24, 40, 64, 80, 128};
    do {
        c->B = 1 + random_below(r, 2);
        c->G = 1 + random_below(r, 2);
        c->H = c->G * (1 + random_below(r, 3));
        c->N = draw_from(r, rows, sizeof rows);
        c->M = coin(r, 3) ? c->N : draw_from(r, keys, sizeof keys);
        c->P = coin(r, 2) ? draw_from(r, keys, sizeof keys) : 0;
        c->D = draw_from(r, wide, sizeof wide);
        c->Dv = coin(r, 2) ? c->D : draw_from(r, wide, sizeof wide);
    } while (work_of(c) > work);
}

// A few tokens after so many others that those fill several tiles and parts.
static void draw_decode(Random *r, Case *c, long work)
{
    static const long past[] = {0, 5, 31, 32, 33, 63, 64, 65, 97, 126, 127, 128, 200, 259, 301};
    do {
        c->B = 1 + random_below(r, 2);
        c->G = 1 + random_below(r, 2);
        c->H = c->G * (1 + random_below(r, 3));
        c->N = c->M = 2 + random_below(r, 4);
        c->P = draw_from(r, past, sizeof past);
        c->D = draw_from(r, widths, sizeof widths);
        c->Dv = coin(r, 2) ? c->D : draw_from(r, widths, sizeof widths);
    } while (work_of(c) > work);
}

// Logits of order 1 or 4096, values of order 1 or subnormal; any scale. Where a value will be
// infinite no weight may be too small for float32: 0 times infinity is NaN.
static void draw_values(Subject *s, Kind kind)
{
    static const float scales[] = {0.0f, 1.0f, -0.5f, 0.25f};
    Case *c = &s->c;
    Random *r = &s->random;
    s->steep = coin(r, 8) && kind != OVERFLOW;
    s->subnormal = coin(r, 8);
    float factor = s->steep ? 64.0f : 1.0f, size = s->subnormal ? 0x1p-140f : 1.0f;
    c->q = draw_tensor(r, c->B, c->H, c->N, c->D, factor);
    c->k = draw_tensor(r, c->B, c->G, c->M, c->D, factor);
    c->v = draw_tensor(r, c->B, c->G, c->M, c->Dv, size);
    c->past_k = draw_tensor(r, c->B, c->G, c->P, c->D, factor);
    c->past_v = draw_tensor(r, c->B, c->G, c->P, c->Dv, size);
    c->scale = coin(r, 4) ? scales[random_below(r, 4)] : 1 / sqrtf((float)c->D);
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
    add_word(s->spec, "mask.npy");
}

// A quarter has no mask, a quarter a plain causal one, the rest several rules joined. Tokens that
// come one by one never see a later one.
static void draw_mask(Subject *s, bool decode)
{
    Random *r = &s->random;
    long kind = random_below(r, 8);
    if (decode || (kind >= 2 && (kind < 4 || coin(r, 2))))
        add_word(s->spec, coin(r, 3) ? "causal-end" : "causal");
    if (kind >= 4 && coin(r, 3))
        add_word(s->spec, "window=%ld", random_below(r, s->keys + 2));
    if (kind >= 4 && coin(r, 4))
        add_word(s->spec, "prefix=%ld", random_below(r, s->keys + 2));
    if (kind >= 4 && coin(r, 3))
        add_array(s);
    if (kind >= 4 && coin(r, 2)) {
        add_word(s->spec, "padding=%ld", random_below(r, s->keys + 1));
        for (long b = 1; b < s->c.B; b++)
            snprintf(s->spec + strlen(s->spec), 32, ",%ld", random_below(r, s->keys + 1));
    }
    if (!s->spec[0])
        add_word(s->spec, "none");
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

// A few of t's numbers become such that arithmetic has a case of its own for them.
static void strew(Random *r, Tensor t, const float *odd, long kinds)
{
    long n = tensor_count(t);
    for (long i = n > 0 ? 1 + random_below(r, 3) : 0; i > 0; i--)
        t.data[random_below(r, n)] = odd[random_below(r, kinds)];
}

// mask.npy once more, with numbers that are infinite, NaN, or all that float32 has room for.
static void strew_array(Random *r)
{
    static const float odd[] = {NAN, INFINITY, -FLT_MAX, 1e30f, -1e4f};
    Tensor t = npy_read_tensor("mask.npy");
    strew(r, t, odd, 5);
    npy_write("mask.npy", t);
    tensor_free(&t);
}

// Now and then what the other draws leave out: queries that are NaN, infinite or huge, Q so small
// that products are subnormal or 0, oddities in the user's own mask. They come from random numbers
// of their own, so that all other cases stay what they were.
static void draw_extremes(Subject *s)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f}, tiny[] = {0x1p-140f, 1e-20f};
    Random own = random_seed(~s->seed);
    bool has_array = strstr(s->spec, "mask.npy") != NULL;
    if (!coin(&own, has_array ? 2 : 6))
        return;
    long kind = has_array ? 1 : 2 * random_below(&own, 2);
    if (kind == 0)
        strew(&own, s->c.q, odd, 4);
    if (kind == 1)
        strew_array(&own);
    float factor = tiny[random_below(&own, 2)];
    for (long i = 0; kind == 2 && i < tensor_count(s->c.q); i++)
        s->c.q.data[i] *= factor;
    s->poisoned = s->poisoned || kind < 2;
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
    s->poisoned = count > 0;
}

// One number of V is the largest that there is.
static void draw_overflow(Subject *s)
{
    long n = tensor_count(s->c.v);
    if (n > 0)
        s->c.v.data[random_below(&s->random, n)] = FLT_MAX;
    s->poisoned = s->poisoned || n > 0;
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
    c->R = c->C = 8; // a kernel's tiles are its own
    draw_cuts(r, c, s->keys);
}

static void describe(Subject *s)
{
    const Case *c = &s->c;
    snprintf(s->text, sizeof s->text,
             "B=%ld H=%ld G=%ld N=%ld M=%ld P=%ld D=%ld Dv=%ld mask=%s scale=%.9g prefill=%ld "
             "cache=%s layout=%s block-size=%ld shuffle=%ld cuts=", c->B, c->H,
             c->G, c->N, c->M, c->P, c->D, c->Dv, s->spec, (double)c->scale, c->prefill,
             c->growth == CACHE_GROW ? "grow" : "prealloc",
             c->layout == LAYOUT_HEADS ? "heads" : "tokens", c->block_size, c->shuffle);
    add_numbers(s->text, sizeof s->text, c->cuts, c->cut_count);
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof s->text - n, "; again: kernels 1 %llu",
             (unsigned long long)s->seed);
}

// --- the answers ---------------------------------------------------------------------------------

static Halves halves_new(const Subject *s, const OracleMask *mask)
{
    const Case *c = &s->c;
    Tensor q = bf16_copy(c->q), k = bf16_copy(s->k), v = bf16_copy(s->v);
    Halves h = {.spread = oracle_zeros(c->B * c->H * c->N * c->Dv)};
    h.answer = answer_new(q.data, k, v, s->sizes, c->scale, mask);
    h.naive = (Result){.out = tensor_new(SHAPE(c->B, c->H, c->N, c->Dv)),
                       .lse = tensor_new(SHAPE(c->B, c->H, c->N))};
    naive_bf16(h.naive.out, h.naive.lse, q.data, k.data, v.data, s->sizes, c->scale, mask);
    for (long i = 0; i < tensor_count(v); i++)
        v.data[i] = fabsf(v.data[i]);
    oracle_attention((OracleSteps){.output = h.spread}, q.data, k.data, v.data, s->sizes,
                     (double)c->scale, mask);
    Tensor *owned[] = {&q, &k, &v};
    for (int i = 0; i < 3; i++)
        tensor_free(owned[i]);
    return h;
}

static void halves_free(Halves *h)
{
    answer_free(&h->answer);
    free(h->spread);
    result_free(&h->naive);
}

// --- making and forgetting it --------------------------------------------------------------------

void subject_make(Subject *s, uint64_t seed, Wish wish)
{
    *s = (Subject){.seed = seed, .random = random_seed(seed)};
    Case *c = &s->c;
    snprintf(s->text, sizeof s->text, "seed %llu, not yet drawn", (unsigned long long)seed);
    if (wish.kind == DECODE)
        draw_decode(&s->random, c, wish.work);
    else if (wish.kind == LONG)
        draw_long(&s->random, c, wish.work);
    else
        draw_sizes(&s->random, c, wish.work);
    s->keys = c->P + c->M;
    draw_values(s, wish.kind);
    draw_mask(s, wish.kind == DECODE);
    draw_poison(s);
    draw_extremes(s);
    if (wish.kind == OVERFLOW)
        draw_overflow(s);
    s->k = join_tokens(c->past_k, c->k);
    s->v = join_tokens(c->past_v, c->v);
    s->sizes = (OracleSizes){c->B, c->H, c->G, c->N, s->keys, c->D, c->Dv};
    OracleMask mask = oracle_mask(s->spec, s->sizes);
    mask.offset = c->P;
    s->window = mask.window >= 0;
    s->causal = mask.causal || s->window;
    draw_ways(s);
    describe(s);
    s->masked = answer_new(c->q.data, s->k, s->v, s->sizes, c->scale, &mask);
    s->unmasked = answer_new(c->q.data, s->k, s->v, s->sizes, c->scale, &ORACLE_SEES_ALL);
    if (!wish.float32)
        s->halves = halves_new(s, &mask);
    oracle_mask_free(&mask);
}

void subject_free(Subject *s)
{
    Tensor *owned[] = {&s->k, &s->v, &s->c.q, &s->c.k, &s->c.v, &s->c.past_k, &s->c.past_v};
    for (int i = 0; i < 7; i++)
        tensor_free(owned[i]);
    answer_free(&s->masked);
    answer_free(&s->unmasked);
    if (s->halves.spread)
        halves_free(&s->halves);
    CHECK(tensor_live_bytes() == 0, "%ld bytes of tensors were not freed", tensor_live_bytes());
}
