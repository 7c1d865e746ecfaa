// Decode, step 4 of 6: memory is asked for before it is needed.
//
// The processor guesses what comes next only while addresses go straight on, and starts anew with
// every part. So each vector that is read asks for the one AHEAD of it, in the order of addresses,
// across the ends of parts. The asking stands in the loops that compute, spread evenly: in a
// function of its own, which neither writes nor returns anything, gcc leaves it out.
//
// Huge pages are the caller's to choose: huge_alloc (workspace.h) makes a cache that needs one
// address lookup for 2 MiB, where small pages need 512.
//
// Predicted: the same bytes, at 0.85 of the DRAM rate or more.

#include "kernels.h"
#include "vector.h"
#include "workspace.h"

#include "../../common/count.h"

#include <float.h>
#include <math.h>

enum {
    PART = 1024,     // keys at a time, and then their values
    SOME = 32,       // a few of those: all heads take them while they are in the first cache
    ROW = PART + 16, // scores of a head: no power of two apart, which would collide in the cache
    AHEAD = 8 << 10, // bytes between what is read and what is asked for
    KEYS = 4,        // keys whose sums are in registers at once, of HEADS heads: 4 * 4 of 32
    HEADS = PANEL > 2 ? 4 : 2, // registers, with 4 keys and a query; or 2 * 4 of 16
    WIDTH = 4        // the same for values: HEADS heads by WIDTH vectors of features
};

static const float LOG2E = 0x1.715476p+0f;

// K, or V.
typedef struct {
    const Rows *rows;
    long width, padded; // numbers of a row; the same, rounded up to whole vectors
} Side;

// One query of the heads that share a KV head: all of them see the same keys.
typedef struct {
    const Pass *pass;
    Side k, v;
    float sign, scale;      // the scale, as a sign, which Q takes, and a size
    float scale_of_m, unit; // what is left of it for S and m; the same for exp2: times log2 e
    long b, i, g;           // sequence, query, KV head
    long head, heads;       // first query head; how many
    Seen seen;              // its keys
    float *q;               // [heads, D], zeros up to whole vectors
    float *o;               // [heads, Dv], the same: sum of exp2(S - m) V so far
    float *l;               // [heads, LANES]: sum of exp2(S - m), lane by lane
    float *m;               // [heads]: the largest score so far
    float *s;               // [heads, ROW]: scores, then weights
    float *copy;            // [SOME, D or Dv]: rows that do not fill vectors
} Walk;

// --- rows of K and V -----------------------------------------------------------------------------

// Some rows to compute with: whole vectors.
typedef struct {
    const char *row[SOME];
    long n;
    Kept kept;
} Lines;

// A row that does not fill vectors, as floats with zeros behind them.
static void fill_row(float *to, const void *row, Kept kept, const Side *of)
{
    for (long d = 0; d < of->padded; d += LANES)
        vec_store(to + d, vec_kept(row, kept, d, within(of->width - d, 0, LANES)));
}

// Rows j to j + n.
static void lines_of(Lines *c, const Walk *w, const Side *of, long j, long n)
{
    c->n = n;
    c->kept = of->width == of->padded ? of->rows->kept : KEPT_F32;
    for (long i = 0; i < n; i++) {
        c->row[i] = row_of(of->rows, w->b, w->g, j + i);
        if (of->width != of->padded) {
            fill_row(w->copy + i * of->padded, c->row[i], of->rows->kept, of);
            c->row[i] = (const char *)(w->copy + i * of->padded);
        }
    }
}

// What to ask for while rows are read: `step` bytes for each vector of them.
typedef struct {
    const char *at;
    long step;
} Ask;

// What lies AHEAD of row j: behind a part's keys come its values, behind those the next keys. Takes
// it that rows lie one behind the other; where they do not, as in pages, what it asks for is wrong
// in part, which costs time and nothing else.
static Ask ask_ahead(const Walk *w, const Side *of, Seen part, long j)
{
    const Rows *rows = of->rows;
    long size = LANES * kept_bytes(rows->kept), end = part.to;
    long later = j + AHEAD / (of->width * kept_bytes(rows->kept));
    if (later >= part.to) {
        later -= of == &w->k ? part.to - part.from : 0;
        end = of == &w->k ? part.to : w->seen.to;
        rows = of == &w->k ? w->v.rows : w->k.rows;
    }
    return (Ask){row_of(rows, w->b, w->g, later < end ? later : j), size};
}

// --- scores --------------------------------------------------------------------------------------

// S[h,i] = sum over d of Q[h,d] K[i,d] for KEYS keys and `heads` heads, all sums in registers
INLINE void scores_of(float *restrict s, const float *restrict q, const char *const k[KEYS],
                      long Dp, Ask ask, const Kept kept, const int heads)
{
    const char *k0 = k[0], *k1 = k[1], *k2 = k[2], *k3 = k[3];
    vec sum[HEADS][KEYS];
    UNROLL for (int h = 0; h < heads; h++)
        UNROLL for (int i = 0; i < KEYS; i++)
            sum[h][i] = (vec){0};
    for (long d = 0; d < Dp; d += LANES) {
        UNROLL for (int i = 0; i < KEYS; i++, ask.at += ask.step)
            __builtin_prefetch(ask.at);
        vec kd[KEYS] = {vec_kept(k0, kept, d, LANES), vec_kept(k1, kept, d, LANES),
                        vec_kept(k2, kept, d, LANES), vec_kept(k3, kept, d, LANES)};
        UNROLL for (int h = 0; h < heads; h++) {
            vec qd = vec_load(q + h * Dp + d);
            UNROLL for (int i = 0; i < KEYS; i++)
                sum[h][i] += qd * kd[i];
        }
    }
    UNROLL for (int h = 0; h < heads; h++)
        vec_totals(s + h * ROW, sum[h]);
}

// Scores of some keys for all heads of the group.
INLINE void score_kept(const Walk *w, float *s, const Lines *c, Ask ask, const Kept kept)
{
    long Dp = w->k.padded, vectors = KEYS * Dp / LANES;
    for (long j = 0; j < c->n; j += KEYS, ask.at += vectors * ask.step) {
        const char *k[KEYS]; // behind the last key, the last one again
        UNROLL for (int i = 0; i < KEYS; i++)
            k[i] = c->row[within(j + i, 0, c->n - 1)];
        long h = 0;
        for (; h + HEADS <= w->heads; h += HEADS)
            scores_of(s + h * ROW + j, w->q + h * Dp, k, Dp, ask, kept, HEADS);
        for (; h < w->heads; h++)
            scores_of(s + h * ROW + j, w->q + h * Dp, k, Dp, ask, kept, 1);
    }
}

static void score_part(const Walk *w, Seen part)
{
    Lines c;
    for (long j = part.from; j < part.to; j += SOME) {
        float *s = w->s + (j - part.from);
        lines_of(&c, w, &w->k, j, within(part.to - j, 0, SOME));
        Ask ask = ask_ahead(w, &w->k, part, j);
        switch (c.kept) {
        case KEPT_F32: score_kept(w, s, &c, ask, KEPT_F32); break;
        case KEPT_BF16: score_kept(w, s, &c, ask, KEPT_BF16); break;
        case KEPT_F16: score_kept(w, s, &c, ask, KEPT_F16); break;
        }
    }
}

// --- softmax -------------------------------------------------------------------------------------

// What the user's own array adds to the scores of head h: the address of key j's; or NULL.
static const float *bias_of(const Walk *w, long h, long j)
{
    const Tensor *bias = &w->pass->mask->bias; // [B, H, N, M]
    if (!bias->data)
        return NULL;
    return bias->data + w->b * bias->stride[0] + (w->head + h) * bias->stride[1] +
           w->i * bias->stride[2] + j * bias->stride[3];
}

// S[j] = scale S[j] + bias[j], and -inf where that is -inf, whatever S[j] was
static void add_bias(float *s, const float *bias, long step, float scale, long n)
{
    for (long j = 0; j < n; j++)
        s[j] = bias[j * step] == -INFINITY ? -INFINITY : s[j] * scale + bias[j * step];
}

// P = exp2(unit (S - m')) with m' = max(m, largest S), for whole vectors of keys; what was summed
// up before shrinks by exp2(unit (m - m')).
static void weigh(const Walk *w, long h, long n)
{
    float *s = w->s + h * ROW, *l = w->l + h * LANES, *o = w->o + h * w->v.padded;
    vec most = vec_of(w->m[h]), sum = {0};
    for (long j = 0; j < n; j += LANES)
        most = vec_max(vec_load(s + j), most); // a NaN gets lost: its weight will be NaN
    vec_spread_max(&most, 1);
    float base = most[0] == -INFINITY ? 0.0f : most[0]; // nothing visible: -inf - -inf is NaN
    vec fade = vec_exp2(vec_of((w->m[h] - base) * w->unit));
    for (long j = 0; j < n; j += LANES) {
        vec p = vec_exp2((vec_load(s + j) - vec_of(base)) * vec_of(w->unit));
        vec_store(s + j, p);
        sum += p;
    }
    w->m[h] = most[0];
    vec_store(l, vec_load(l) * fade + sum);
    for (long d = 0; d < w->v.padded; d += LANES)
        vec_store(o + d, vec_load(o + d) * fade);
}

// All heads, once the scores of a part are there.
static void weigh_part(const Walk *w, Seen part)
{
    long n = part.to - part.from, whole = rounded(n, LANES);
    for (long h = 0; h < w->heads; h++) {
        const float *bias = bias_of(w, h, part.from);
        if (bias)
            add_bias(w->s + h * ROW, bias, w->pass->mask->bias.stride[3], w->scale, n);
        for (long j = n; j < whole; j++)
            w->s[h * ROW + j] = -INFINITY;
        weigh(w, h, whole);
    }
}

// --- values --------------------------------------------------------------------------------------

// O[h,d] += sum over j of P[h,j] V[j,d] for `heads` heads and `width` vectors of features
INLINE void mix_of(float *restrict o, long Dvp, const float *restrict p, const Lines *c, long d,
                   Ask ask, const Kept kept, const int heads, const int width)
{
    vec sum[HEADS][WIDTH];
    UNROLL for (int h = 0; h < heads; h++)
        UNROLL for (int x = 0; x < width; x++)
            sum[h][x] = vec_load(o + h * Dvp + d + x * LANES);
    for (long j = 0, n = c->n; j < n; j++) {
        const char *row = c->row[j];
        vec vj[WIDTH];
        UNROLL for (int x = 0; x < width; x++, ask.at += ask.step) {
            __builtin_prefetch(ask.at);
            vj[x] = vec_kept(row, kept, d + x * LANES, LANES);
        }
        UNROLL for (int h = 0; h < heads; h++) {
            vec pj = vec_of(p[h * ROW + j]);
            UNROLL for (int x = 0; x < width; x++)
                sum[h][x] += pj * vj[x];
        }
    }
    UNROLL for (int h = 0; h < heads; h++)
        UNROLL for (int x = 0; x < width; x++)
            vec_store(o + h * Dvp + d + x * LANES, sum[h][x]);
}

INLINE void mix_heads(float *o, long Dvp, const float *p, const Lines *c, Ask ask, const Kept kept,
                      const int heads)
{
    long d = 0;
    for (; d + WIDTH * LANES <= Dvp; d += WIDTH * LANES, ask.at += c->n * WIDTH * ask.step)
        mix_of(o, Dvp, p, c, d, ask, kept, heads, WIDTH);
    for (; d < Dvp; d += LANES, ask.at += c->n * ask.step)
        mix_of(o, Dvp, p, c, d, ask, kept, heads, 1);
}

INLINE void mix_kept(const Walk *w, const float *p, const Lines *c, Ask ask, const Kept kept)
{
    long h = 0, Dvp = w->v.padded;
    for (; h + HEADS <= w->heads; h += HEADS)
        mix_heads(w->o + h * Dvp, Dvp, p + h * ROW, c, ask, kept, HEADS);
    for (; h < w->heads; h++)
        mix_heads(w->o + h * Dvp, Dvp, p + h * ROW, c, ask, kept, 1);
}

// The same for one head where an array may hide a key whose value is NaN: 0 * NaN is NaN.
static void mix_seen(float *o, long Dvp, const float *p, const Lines *c, const float *bias,
                     long step)
{
    for (long j = 0; j < c->n; j++)
        for (long d = 0; d < Dvp && bias[j * step] != -INFINITY; d += LANES) {
            vec v = vec_kept(c->row[j], c->kept, d, LANES);
            vec_store(o + d, vec_load(o + d) + vec_of(p[j]) * v);
        }
}

static void mix_part(const Walk *w, Seen part)
{
    const Tensor *bias = &w->pass->mask->bias;
    Lines c;
    for (long j = part.from; j < part.to; j += SOME) {
        const float *p = w->s + (j - part.from);
        lines_of(&c, w, &w->v, j, within(part.to - j, 0, SOME));
        for (long h = 0; h < w->heads && bias->data; h++)
            mix_seen(w->o + h * w->v.padded, w->v.padded, p + h * ROW, &c, bias_of(w, h, j),
                     bias->stride[3]);
        if (bias->data)
            continue;
        Ask ask = ask_ahead(w, &w->v, part, j);
        switch (c.kept) {
        case KEPT_F32: mix_kept(w, p, &c, ask, KEPT_F32); break;
        case KEPT_BF16: mix_kept(w, p, &c, ask, KEPT_BF16); break;
        case KEPT_F16: mix_kept(w, p, &c, ask, KEPT_F16); break;
        }
    }
}

// --- one query -----------------------------------------------------------------------------------

// Where head h of the query lies in q, out or lse.
static float *row_in(const Tensor *t, const Walk *w, long h)
{
    return t->data + w->b * t->stride[0] + (w->head + h) * t->stride[1] + w->i * t->stride[2];
}

// Q times the scale's sign, zeros behind it; and a state that has seen nothing.
static void begin(const Walk *w)
{
    long D = w->k.width, Dp = w->k.padded;
    for (long h = 0; h < w->heads; h++) {
        const float *from = row_in(&w->pass->q, w, h);
        for (long d = 0; d < Dp; d++)
            w->q[h * Dp + d] = d < D ? from[d] * w->sign : 0.0f;
        w->m[h] = -INFINITY;
    }
    memset(w->o, 0, (size_t)(w->heads * w->v.padded) * sizeof(float));
    memset(w->l, 0, (size_t)(w->heads * LANES) * sizeof(float));
}

// O / l, and L = m + log l. A row that saw nothing has l = 0: its output is exactly 0.
static void finish(const Walk *w)
{
    for (long h = 0; h < w->heads; h++) {
        float sum = vec_total(vec_load(w->l + h * LANES)), max = w->m[h];
        float *to = row_in(&w->pass->out, w, h);
        for (long d = 0; d < w->v.width; d++)
            to[d] = sum == 0.0f ? 0.0f : w->o[h * w->v.padded + d] / sum;
        *row_in(&w->pass->lse, w, h) =
            max == -INFINITY ? logf(sum) : max * w->scale_of_m + logf(sum);
    }
}

// PART keys, their weights, their values, and so on.
static void walk(const Walk *w)
{
    begin(w);
    for (long j = w->seen.from; j < w->seen.to; j += PART) {
        Seen part = {j, within(w->seen.to, j, j + PART)};
        score_part(w, part);
        weigh_part(w, part);
        mix_part(w, part);
    }
}

// --- the whole pass ------------------------------------------------------------------------------

static Side side_of(const Rows *rows, long width)
{
    return (Side){rows, width, rounded(width, LANES)};
}

static Walk plan(const Pass *p)
{
    Walk w = {.pass = p, .heads = p->H / p->G};
    float size = p->scale == 0.0f ? 1.0f : fabsf(p->scale);
    w.k = side_of(&p->k, p->D);
    w.v = side_of(&p->v, p->Dv);
    w.sign = p->scale == 0.0f ? 0.0f : p->scale / size;
    w.scale = size;
    w.scale_of_m = p->mask->bias.data ? 1.0f : size;
    w.unit = fminf(w.scale_of_m * LOG2E, FLT_MAX); // infinity times 0 is NaN
    return w;
}

// Shares out `room`, and says how many floats that takes.
static long share_room(Walk *w, float *room)
{
    long at = 0;
    w->q = take(room, &at, w->heads * w->k.padded);
    w->o = take(room, &at, w->heads * w->v.padded);
    w->l = take(room, &at, w->heads * LANES);
    w->m = take(room, &at, w->heads);
    w->s = take(room, &at, w->heads * ROW);
    w->copy = take(room, &at, SOME * (w->k.padded > w->v.padded ? w->k.padded : w->v.padded));
    return at;
}

// The keys and values of this walk, and what it began and ended with.
static void count_walk(const Walk *w)
{
    const Pass *p = w->pass;
    long row = p->D * kept_bytes(p->k.kept) + p->Dv * kept_bytes(p->v.kept);
    long rows = (w->seen.to - w->seen.from);
    count_moved(rows * row / 4 + w->heads * p->D, w->heads * (p->Dv + 1));
}

static void walk_query(Walk *w)
{
    Mask rule = mask_head(w->pass->mask, w->b, w->head);
    w->seen = mask_seen(&rule, w->i);
    walk(w);
    finish(w);
    count_walk(w);
}

void KERNEL(decode_prefetch)(const Pass *p)
{
    if (p->B * p->H * p->N == 0)
        return;
    Walk w = plan(p);
    long floats = share_room(&w, NULL);
    share_room(&w, workspace_take(floats));
    for (w.b = 0; w.b < p->B; w.b++)
        for (w.g = 0; w.g < p->G; w.g++)
            for (w.head = w.g * w.heads, w.i = 0; w.i < p->N; w.i++)
                walk_query(&w);
    workspace_give(floats);
    pass_count(p);
}
