// Decode, step 6 of 6: step 5 on all threads.
//
// One query has too few heads to keep many processors busy, so its keys are shared out, too: an
// item is one part of the keys, by some KV heads. Each leaves a state (maximum, sum, output so
// far); in the end a row's states are merged in the order of the keys ("flash-decoding"). Parts are
// the same however many threads there are, and so are the bits.
//
// Predicted: as much faster as memory serves two processors better than one; states are Dv + 2
// numbers for every 1,024 keys of a query head, less than a hundredth of what is read.

#include "kernels.h"
#include "threads.h"
#include "vector.h"
#include "workspace.h"

#include "../../common/count.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    PART = 1024,     // keys at a time, and then their values
    SOME = 32,       // a few of those: all heads take them while they are in the first cache
    ROW = PART + 16, // scores of a head: no power of two apart, which would collide in the cache
    AHEAD = 8 << 10, // bytes between what is read and what is asked for
    KEYS = 4,        // keys whose sums are in registers at once, of HEADS heads: 4 * 4 of 32
    HEADS = PANEL > 2 ? 4 : 2, // registers, with 4 keys and a query; or 2 * 4 of 16
    WIDTH = 4,       // the same for values: HEADS heads by WIDTH vectors of features
    ITEMS_EACH = 12, // items for each of several threads, at least, if there are so many
    MOST_QUERIES = 16, // whose states are held at once
    MOST_HEADS = 64, // query heads that walk together: their scores stay in the second cache
};

static const float LOG2E = 0x1.715476p+0f;

// K, or V.
typedef struct {
    const Rows *rows;
    long width, padded; // numbers of a row; the same, rounded up to whole vectors
    long step, head;    // bytes from one token, from one KV head, to the next
} Side;

// One query of the heads of some KV heads: all of them see the same keys.
typedef struct {
    const Pass *pass;
    Side k, v;
    float sign, scale;      // the scale, as a sign, which Q takes, and a size
    float scale_of_m, unit; // what is left of it for S and m; the same for exp2: times log2 e
    long b, i, g, groups;   // sequence, query; first KV head, how many
    long group;             // H / G
    long head, heads;       // first query head; how many
    Seen seen;              // its keys
    float *q;               // [heads, D], zeros up to whole vectors
    float *o;               // [heads, Dv], the same: sum of exp2(S - m) V so far
    float *l;               // [heads, LANES]: sum of exp2(S - m), lane by lane
    float *m;               // [heads]: the largest score so far
    float *s;               // [heads, ROW]: scores, then weights
    float *copy;            // [SOME, D or Dv]: rows that do not fill vectors
} Walk;

// Everything that the items share.
typedef struct {
    const Pass *pass;
    Walk *walks;          // [threads]
    long parts, most;     // parts of the longest sequence; KV heads of an item
    long first, queries;  // of this round
    float *o, *l, *m;     // [queries, B, parts, H]: what each part found, as in a Walk
    atomic_long next;     // the item that is handed out next
    atomic_long next_row; // the row that is merged next
} Job;

// --- the way through memory ----------------------------------------------------------------------

// What is read at a time: a few rows of one KV head that lie at one distance from each other.
typedef struct {
    const Side *of;    // K, or V
    Seen part;         // the PART keys that are under way
    Seen run;          // those of them that lie together
    const char *first; // row run.from of the first KV head
    long g;            // KV head, counted from the first
    long j, n;         // rows j to j + n; n = 0: behind the last one
    const char *at;    // the first of them
} Piece;

// As many rows from j on as lie together; behind a part's keys come its values, and then the keys
// of the next part.
static void find_run(const Walk *w, Piece *c, long j)
{
    if (j == c->part.to) {
        if (c->of == &w->v)
            c->part = (Seen){j, within(w->seen.to, j, j + PART)};
        c->of = c->of == &w->k ? &w->v : &w->k;
        j = c->part.from;
    }
    c->run = (Seen){j, j};
    if (j == c->part.to)
        return;
    c->run.to += within(rows_together(c->of->rows, j), 0, c->part.to - j);
    c->first = row_of(c->of->rows, w->b, w->g, j);
}

static void find_piece(Piece *c)
{
    c->n = within(c->run.to - c->j, 0, SOME);
    c->at = c->first + c->g * c->of->head + (c->j - c->run.from) * c->of->step;
}

// The rest of a run, then the same run of the next KV head, then the next run.
static void next_piece(const Walk *w, Piece *c)
{
    c->j += c->n;
    if (c->j == c->run.to) {
        if (++c->g == w->groups) {
            find_run(w, c, c->j);
            c->g = 0;
        }
        c->j = c->run.from;
    }
    find_piece(c);
}

static Piece first_piece(const Walk *w)
{
    long from = w->seen.from;
    Piece c = {.of = &w->k, .part = {from, within(w->seen.to, from, from + PART)}, .j = from};
    c.run = (Seen){from, from};
    if (from < w->seen.to) {
        find_run(w, &c, from);
        find_piece(&c);
    }
    return c;
}

// The piece that lies AHEAD of the first one.
static Piece piece_ahead(const Walk *w)
{
    Piece c = first_piece(w);
    for (long bytes = 0; bytes < AHEAD && c.n > 0; next_piece(w, &c))
        bytes += c.n * c.of->width * kept_bytes(c.of->rows->kept);
    return c;
}

// --- rows of K and V -----------------------------------------------------------------------------

// Some rows to compute with: whole vectors.
typedef struct {
    const char *at;
    long step, n; // bytes from one to the next; how many
    Kept kept;
} Lines;

// A row that does not fill vectors, as floats with zeros behind them.
static void fill_row(float *to, const void *row, Kept kept, const Side *of)
{
    for (long d = 0; d < of->padded; d += LANES)
        vec_store(to + d, vec_kept(row, kept, d, within(of->width - d, 0, LANES)));
}

static Lines lines_of(const Walk *w, const Piece *c)
{
    const Side *of = c->of;
    if (of->width == of->padded)
        return (Lines){c->at, of->step, c->n, of->rows->kept};
    for (long i = 0; i < c->n; i++)
        fill_row(w->copy + i * of->padded, c->at + i * of->step, of->rows->kept, of);
    return (Lines){(const char *)w->copy, of->padded * (long)sizeof(float), c->n, KEPT_F32};
}

// What to ask for while rows are read: `step` bytes for each vector of them.
typedef struct {
    const char *at;
    long step;
} Ask;

// While piece c is read: as many bytes of the piece that walks AHEAD of it. Rows of which one does
// not lie behind the other are not asked for.
static Ask ask_ahead(const Walk *w, const Piece *c, const Piece *ahead)
{
    bool dense = w->k.rows->token == w->k.width && w->v.rows->token == w->v.width;
    return (Ask){ahead->at, dense ? LANES * kept_bytes(c->of->rows->kept) : 0};
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
INLINE void score_kept(const Walk *w, float *s, const float *q, const Lines *c, Ask ask,
                       const Kept kept)
{
    long Dp = w->k.padded, vectors = KEYS * Dp / LANES;
    for (long j = 0; j < c->n; j += KEYS, ask.at += vectors * ask.step) {
        const char *k[KEYS]; // behind the last key, the last one again
        UNROLL for (int i = 0; i < KEYS; i++)
            k[i] = c->at + within(j + i, 0, c->n - 1) * c->step;
        long h = 0;
        for (; h + HEADS <= w->group; h += HEADS)
            scores_of(s + h * ROW + j, q + h * Dp, k, Dp, ask, kept, HEADS);
        for (; h < w->group; h++)
            scores_of(s + h * ROW + j, q + h * Dp, k, Dp, ask, kept, 1);
    }
}

static void score_piece(const Walk *w, const Piece *piece, Ask ask)
{
    long head = piece->g * w->group;
    float *s = w->s + head * ROW + (piece->j - piece->part.from), *q = w->q + head * w->k.padded;
    Lines c = lines_of(w, piece);
    switch (c.kept) {
    case KEPT_F32: score_kept(w, s, q, &c, ask, KEPT_F32); break;
    case KEPT_BF16: score_kept(w, s, q, &c, ask, KEPT_BF16); break;
    case KEPT_F16: score_kept(w, s, q, &c, ask, KEPT_F16); break;
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
        const char *row = c->at + j * c->step;
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

INLINE void mix_kept(const Walk *w, float *o, const float *p, const Lines *c, Ask ask,
                     const Kept kept)
{
    long h = 0, Dvp = w->v.padded;
    for (; h + HEADS <= w->group; h += HEADS)
        mix_heads(o + h * Dvp, Dvp, p + h * ROW, c, ask, kept, HEADS);
    for (; h < w->group; h++)
        mix_heads(o + h * Dvp, Dvp, p + h * ROW, c, ask, kept, 1);
}

// The same for one head where an array may hide a key whose value is NaN: 0 * NaN is NaN.
static void mix_seen(float *o, long Dvp, const float *p, const Lines *c, const float *bias,
                     long step)
{
    for (long j = 0; j < c->n; j++)
        for (long d = 0; d < Dvp && bias[j * step] != -INFINITY; d += LANES) {
            vec v = vec_kept(c->at + j * c->step, c->kept, d, LANES);
            vec_store(o + d, vec_load(o + d) + vec_of(p[j]) * v);
        }
}

static void mix_piece(const Walk *w, const Piece *piece, Ask ask)
{
    const Tensor *bias = &w->pass->mask->bias;
    long head = piece->g * w->group, Dvp = w->v.padded;
    float *o = w->o + head * Dvp, *p = w->s + head * ROW + (piece->j - piece->part.from);
    Lines c = lines_of(w, piece);
    for (long h = 0; h < w->group && bias->data; h++)
        mix_seen(o + h * Dvp, Dvp, p + h * ROW, &c, bias_of(w, head + h, piece->j),
                 bias->stride[3]);
    if (bias->data)
        return;
    switch (c.kept) {
    case KEPT_F32: mix_kept(w, o, p, &c, ask, KEPT_F32); break;
    case KEPT_BF16: mix_kept(w, o, p, &c, ask, KEPT_BF16); break;
    case KEPT_F16: mix_kept(w, o, p, &c, ask, KEPT_F16); break;
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

// PART keys, their weights, their values, and so on, piece by piece.
static void walk(const Walk *w)
{
    Piece c = first_piece(w), ahead = piece_ahead(w);
    begin(w);
    while (c.n > 0) {
        const Side *of = c.of;
        Seen part = c.part;
        if (of == &w->k)
            score_piece(w, &c, ask_ahead(w, &c, &ahead));
        else
            mix_piece(w, &c, ask_ahead(w, &c, &ahead));
        next_piece(w, &c);
        if (of == &w->k && c.of == &w->v)
            weigh_part(w, part);
        if (ahead.n > 0)
            next_piece(w, &ahead);
    }
}

// --- items ---------------------------------------------------------------------------------------

// KV heads g to g + most, or as many as there are, and their query heads.
static void choose_heads(Walk *w, long g, long most)
{
    w->g = g;
    w->groups = within(w->pass->G - g, 0, most);
    w->head = g * w->group;
    w->heads = w->groups * w->group;
}

// The state of query head h in part `part` of query i of this round.
static long state_of(const Job *job, long i, long b, long part, long h)
{
    return ((i * job->pass->B + b) * job->parts + part) * job->pass->H + h;
}

// One part of one query's keys, by some KV heads.
static void walk_part(const Job *job, Walk *w, long part)
{
    Mask rule = mask_head(w->pass->mask, w->b, w->head);
    Seen seen = mask_seen(&rule, w->i);
    long at = state_of(job, w->i - job->first, w->b, part, w->head);
    w->seen.from = within(seen.from + part * PART, seen.from, seen.to);
    w->seen.to = within(seen.to, w->seen.from, w->seen.from + PART);
    w->o = job->o + at * w->v.padded;
    w->l = job->l + at * LANES;
    w->m = job->m + at;
    walk(w);
}

static void work(void *argument, int thread)
{
    Job *job = argument;
    const Pass *p = job->pass;
    long slices = rounded(p->G, job->most) / job->most, index;
    while ((index = atomic_fetch_add(&job->next, 1)) <
           job->queries * p->B * job->parts * slices) {
        Walk *w = &job->walks[thread];
        choose_heads(w, index % slices * job->most, job->most);
        w->b = index / slices / job->parts % p->B;
        w->i = job->first + index / slices / job->parts / p->B;
        walk_part(job, w, index / slices % job->parts);
    }
}

// --- merging -------------------------------------------------------------------------------------

// Adds the state of one part to the others': m' = max(m, m_c), and both sums shrink to it.
static void merge_state(const Walk *w, const float *o, const float *l, float m)
{
    float most = m > *w->m ? m : *w->m, base = most == -INFINITY ? 0.0f : most;
    vec fade = vec_exp2(vec_of((*w->m - base) * w->unit));
    vec share = vec_exp2(vec_of((m - base) * w->unit));
    vec_store(w->l, vec_load(w->l) * fade + vec_load(l) * share);
    for (long d = 0; d < w->v.padded; d += LANES)
        vec_store(w->o + d, vec_load(w->o + d) * fade + vec_load(o + d) * share);
    *w->m = most;
}

// The parts of one row after the other, in the order of their keys, into the first.
static void merge(void *argument, int thread)
{
    Job *job = argument;
    const Pass *p = job->pass;
    Walk w = job->walks[thread];
    long index;
    while ((index = atomic_fetch_add(&job->next_row, 1)) < job->queries * p->B * p->H) {
        w.head = index % p->H, w.heads = 1;
        w.b = index / p->H % p->B;
        w.i = job->first + index / p->H / p->B;
        long at = state_of(job, w.i - job->first, w.b, 0, w.head);
        w.o = job->o + at * w.v.padded;
        w.l = job->l + at * LANES;
        w.m = job->m + at;
        for (long part = 1; part < job->parts; part++) {
            long other = at + part * p->H;
            merge_state(&w, job->o + other * w.v.padded, job->l + other * LANES, job->m[other]);
        }
        finish(&w);
    }
}

// --- the whole pass ------------------------------------------------------------------------------

static Side side_of(const Rows *rows, long width)
{
    long size = kept_bytes(rows->kept);
    return (Side){rows, width, rounded(width, LANES), rows->token * size, rows->head * size};
}

static Walk plan(const Pass *p)
{
    Walk w = {.pass = p, .group = p->H / p->G};
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
static long share_room(Job *job, int threads, float *room)
{
    const Pass *p = job->pass;
    long Dp = rounded(p->D, LANES), Dvp = rounded(p->Dv, LANES), at = 0;
    long states = job->queries * p->B * job->parts * p->H, heads = job->most * (p->H / p->G);
    job->o = take(room, &at, states * Dvp);
    job->l = take(room, &at, states * LANES);
    job->m = take(room, &at, states);
    for (int t = 0; t < threads; t++) {
        job->walks[t].q = take(room, &at, heads * Dp);
        job->walks[t].s = take(room, &at, heads * ROW);
        job->walks[t].copy = take(room, &at, SOME * (Dp > Dvp ? Dp : Dvp));
    }
    return at;
}

// All keys and values that a query sees, once for each KV head, and what it begins and ends with.
static void count_pass(const Pass *p)
{
    long row = p->D * kept_bytes(p->k.kept) + p->Dv * kept_bytes(p->v.kept);
    for (long b = 0; b < p->B; b++) {
        Mask rule = mask_head(p->mask, b, 0);
        for (long i = 0; i < p->N; i++) {
            Seen seen = mask_seen(&rule, i);
            count_moved(p->G * (seen.to - seen.from) * row / 4 + p->H * p->D, p->H * (p->Dv + 1));
        }
    }
    pass_count(p);
}

// How many KV heads walk together: fewer where several threads would find too few items.
static void cut_heads(Job *job, int threads)
{
    const Pass *p = job->pass;
    job->most = within(MOST_HEADS / (p->H / p->G), 1, p->G);
    while (threads > 1 && job->most > 1 &&
           job->queries * p->B * job->parts * (p->G / job->most) < ITEMS_EACH * threads)
        job->most = (job->most + 1) / 2;
}

void KERNEL(decode_threads)(const Pass *p)
{
    int threads = threads_count();
    if (p->B * p->H * p->N == 0)
        return;
    Job job = {.pass = p, .parts = p->M > PART ? rounded(p->M, PART) / PART : 1};
    job.queries = within(p->N, 1, MOST_QUERIES);
    job.walks = malloc((size_t)threads * sizeof *job.walks);
    if (!job.walks)
        refuse(EXIT_MEMORY, "out of memory: %d threads", threads);
    for (int t = 0; t < threads; t++)
        job.walks[t] = plan(p);
    cut_heads(&job, threads);
    long floats = share_room(&job, threads, NULL);
    share_room(&job, threads, workspace_take(floats));
    for (job.first = 0; job.first < p->N; job.first += job.queries) {
        job.queries = within(p->N - job.first, 0, job.queries);
        atomic_store(&job.next, 0);
        atomic_store(&job.next_row, 0);
        threads_run(work, &job);
        threads_run(merge, &job);
    }
    workspace_give(floats);
    free(job.walks);
    count_pass(p);
}
