// Prefill, step 5 of 10: both products in blocks of registers.
//
// Step 4 loaded two numbers and stored one for each product of two. Here six queries and four keys
// (two where there are 16 registers) are taken together: 24 sums stay in registers, and each
// vector that is loaded serves four or six products. A vector holds features. K's rows are used
// as they lie, and a score is the sum of its vector's lanes; in the second product neighbours in
// O's row are neighbours in V's.
//
// Predicted: each product several times as fast, and expf is what remains: about 20 % of the FMA
// peak. Loses: besides expf, the sum across the lanes takes more instructions than the 64 features
// that it adds up.

#include "kernels.h"
#include "vector.h"
#include "workspace.h"

#include "../../common/count.h"

#include <math.h>

enum {
    BLOCK = 512,          // keys at a time
    MOST_ROWS = 96,       // rows of an item, a multiple of STRIP: 192 KiB of scores
    ROW_FLOATS = 48 << 10 // and what its Q and O may take, in floats: they stay in the second cache
};

// What an item works on. A row is a query of one head: row r of a group of g heads is head
// r % g of query r / g, so that the rows of a strip see nearly the same keys.
typedef struct {
    float *q;        // [rows, Dq]
    float *o;        // [rows, Dp]: sum of exp(S - m) V so far
    float *l;        // [rows]: sum of exp(S - m)
    float *m;        // [rows]: the largest score so far
    float *s;        // [rows, BLOCK]: the tile of scores, then weights
    float *k;        // [BLOCK, Dq]: the block's keys
    float *v;        // [BLOCK, Dp]: its values, if they cannot be read where they lie
} Scratch;

// Everything that the items share.
typedef struct {
    const Pass *pass;
    long group, rows;        // H / G; rows of all queries of a KV head
    long item_rows, items;   // rows of an item; row items of a KV head
    long Dq, Dp;             // D and Dv, rounded up to whole vectors
    bool  copies_v;
    Scratch scratch;
} Job;

// One KV head of one sequence, and the keys that its queries see between them, in blocks.
typedef struct {
    long b, g;
    Mask rule;          // of this sequence; its array is not looked at
    Seen seen;
    long first, blocks; // block `first` is the first of so many
} Head;

// --- one strip, one block -----------------------------------------------------------------------

// S[i,j] = sum over d of Q[i,d] K[j,d] for PANEL keys, lane by lane, then across the lanes
INLINE void scores_of(float *restrict s, const float *restrict q, const float *restrict k, long Dq)
{
    vec sum[STRIP][PANEL];
    UNROLL for (int i = 0; i < STRIP; i++)
        UNROLL for (int c = 0; c < PANEL; c++)
            sum[i][c] = (vec){0};
    for (long d = 0; d < Dq; d += LANES) {
        vec kd[PANEL];
        UNROLL for (int c = 0; c < PANEL; c++)
            kd[c] = vec_load(k + c * Dq + d);
        UNROLL for (int i = 0; i < STRIP; i++) {
            vec qd = vec_load(q + i * Dq + d);
            UNROLL for (int c = 0; c < PANEL; c++)
                sum[i][c] += qd * kd[c];
        }
    }
    UNROLL for (int i = 0; i < STRIP; i++)
        UNROLL for (int c = 0; c < PANEL; c++)
            s[i * BLOCK + c] = vec_total(sum[i][c]);
}

static void strip_scores(float *s, const float *q, const float *k, long Dq, long from, long to)
{
    for (long j = from; j < to; j += PANEL)
        scores_of(s + j, q, k + j * Dq, Dq);
}

// O[i,d] += sum over j of P[i,j] V[j,d] for `width` vectors of features, all sums in registers
INLINE void mix_of(float *restrict o, long Dp, const float *restrict p, const float *restrict v,
                   long v_row, long from, long to, const int width)
{
    vec sum[STRIP][PANEL];
    UNROLL for (int i = 0; i < STRIP; i++)
        UNROLL for (int c = 0; c < width; c++)
            sum[i][c] = vec_load(o + i * Dp + c * LANES);
    _Pragma("GCC unroll 2") for (long j = from; j < to; j++) {
        vec vj[PANEL];
        UNROLL for (int c = 0; c < width; c++)
            vj[c] = vec_load(v + j * v_row + c * LANES);
        UNROLL for (int i = 0; i < STRIP; i++) {
            vec pj = vec_of(p[i * BLOCK + j]);
            UNROLL for (int c = 0; c < width; c++)
                sum[i][c] += pj * vj[c];
        }
    }
    UNROLL for (int i = 0; i < STRIP; i++)
        UNROLL for (int c = 0; c < width; c++)
            vec_store(o + i * Dp + c * LANES, sum[i][c]);
}

static void strip_mix(float *o, long Dp, const float *p, const float *v, long v_row, long from,
                      long to)
{
    long d = 0;
    for (; d + PANEL_KEYS <= Dp; d += PANEL_KEYS)
        mix_of(o + d, Dp, p, v + d, v_row, from, to, PANEL);
    switch ((Dp - d) / LANES) {
    case 1: mix_of(o + d, Dp, p, v + d, v_row, from, to, 1); break;
    case 2: mix_of(o + d, Dp, p, v + d, v_row, from, to, 2); break;
    case 3: mix_of(o + d, Dp, p, v + d, v_row, from, to, PANEL > 3 ? 3 : PANEL); break;
    }
}

// m' = max(m, largest S), P[j] = exp(S[j] - m') for keys from:to, and what O and l shrink by.
static float row_weights(float *s, float *m, float *l, long from, long to)
{
    float max = *m, sum = 0.0f;
    for (long j = from; j < to; j++)
        max = s[j] > max ? s[j] : max;
    float base = max == -INFINITY ? 0.0f : max; // nothing visible so far: -inf - -inf is NaN
    float fade = expf(*m - base);
    for (long j = from; j < to; j++)
        sum += s[j] = expf(s[j] - base);
    *l = *l * fade + sum;
    *m = max;
    return fade;
}

// --- masks ---------------------------------------------------------------------------------------

// What the user's own array adds to the scores of row r: the address of its first key's; or NULL.
static const float *bias_of(const Job *job, const Head *h, long r)
{
    const Tensor *bias = &job->pass->mask->bias; // [B, H, N, M]
    long head = h->g * job->group + r % job->group;
    if (!bias->data)
        return NULL;
    return bias->data + h->b * bias->stride[0] + head * bias->stride[1] +
           r / job->group * bias->stride[2];
}

static void hide(float *s, long from, long to)
{
    for (long j = from; j < to; j++)
        s[j] = -INFINITY;
}

// S[j] = scale S[j] + bias[j], and -inf where that is -inf, whatever S[j] was
static void add_bias(float *s, const float *bias, long step, float scale, long from, long to)
{
    for (long j = from; j < to; j++)
        s[j] = bias[j * step] == -INFINITY ? -INFINITY : s[j] * scale + bias[j * step];
}

// S[j] = scale S[j]
static void scale_by(float *s, float scale, long from, long to)
{
    for (long j = from; j < to; j++)
        s[j] *= scale;
}

// Keys from:to of n rows, of a block that begins at key j0: -inf where the rule hides, scaled
// elsewhere, with the user's array added.
static void hide_rows(float *s, const Job *job, const Head *h, long row, long n, long j0, long from,
                      long to)
{
    for (long i = 0; i < n; i++, s += BLOCK) {
        Seen seen = mask_seen(&h->rule, (row + i) / job->group);
        long first = within(seen.from - j0, from, to), last = within(seen.to - j0, first, to);
        const float *bias = bias_of(job, h, row + i);
        hide(s, from, first);
        hide(s, last, to);
        if (bias)
            add_bias(s, bias + j0 * job->pass->mask->bias.stride[3],
                     job->pass->mask->bias.stride[3], job->pass->scale, first, last);
        else
            scale_by(s, job->pass->scale, first, last);
    }
}

// O += P V of n rows, each over the keys that it sees alone: a NaN or an infinity among the values
// must not reach the others, and 0 * NaN is NaN.
static void mix_rows(float *o, const Job *job, const Head *h, const float *p, const float *v,
                     long v_row, long row, long n, long j0, long from, long to)
{
    long Dp = job->Dp;
    for (long i = 0; i < n; i++, o += Dp, p += BLOCK) {
        Seen seen = mask_seen(&h->rule, (row + i) / job->group);
        const float *bias = bias_of(job, h, row + i);
        long first = within(seen.from - j0, from, to), last = within(seen.to - j0, first, to);
        for (long j = first; j < last; j++)
            if (!bias || bias[(j0 + j) * job->pass->mask->bias.stride[3]] != -INFINITY)
                for (long d = 0; d < Dp; d++)
                    o[d] += p[j] * v[j * v_row + d];
    }
}

// --- one item ------------------------------------------------------------------------------------

// Some rows of one KV head, and the block of keys that they have come to.
typedef struct {
    const Job *job;
    Head h;
    Scratch *w;
    long row, rows;  // the item's first row, and how many
    long j0;         // the block's first key
    Seen seen;       // keys of it that the head sees, counted from j0
    Seen scored;     // the same in whole panels
    const float *k;  // key j lies at k + j * Dq
    const float *v;  // value j lies at v + j * v_row
    long v_row;
    bool finite;     // are all its values?
} Item;

// Keys as floats, with zeros behind them and in the place of those that nobody sees.
static void find_keys(Item *it)
{
    const Job *job = it->job;
    const Rows *k = &job->pass->k;
    it->k = it->w->k;
    for (long j = it->scored.from; j < it->scored.to; j++) {
        bool seen = it->seen.from <= j && j < it->seen.to;
        const void *row = seen ? row_of(k, it->h.b, it->h.g, it->j0 + j) : NULL;
        for (long d = 0; d < job->Dq; d += LANES)
            vec_store(it->w->k + j * job->Dq + d,
                      row ? vec_kept(row, k->kept, d, within(job->pass->D - d, 0, LANES))
                          : (vec){0});
    }
}

// Values that are no floats, or lie in pages, or do not fill vectors, are copied.
static void find_values(Item *it)
{
    const Job *job = it->job;
    const Rows *v = &job->pass->v;
    it->v_row = job->copies_v ? job->Dp : v->token;
    it->v = job->copies_v ? it->w->v : row_of(v, it->h.b, it->h.g, it->j0);
    for (long j = it->seen.from; job->copies_v && j < it->seen.to; j++) {
        const void *row = row_of(v, it->h.b, it->h.g, it->j0 + j);
        for (long d = 0; d < job->Dp; d += LANES)
            vec_store(it->w->v + j * job->Dp + d,
                      vec_kept(row, v->kept, d, within(job->pass->Dv - d, 0, LANES)));
    }
}

// x - x is 0 for a number, and NaN for all else.
static bool are_finite(const Item *it)
{
    vec sum = {0};
    for (long j = it->seen.from; j < it->seen.to; j++)
        for (long d = 0; d < it->job->Dp; d += LANES) {
            vec x = vec_load(it->v + j * it->v_row + d);
            sum += x - x;
        }
    return vec_total(sum) == 0.0f;
}

// S = Q K^T, strip by strip
static void tile_scores(const Item *it)
{
    long Dq = it->job->Dq;
    for (long row = 0; row < it->rows; row += STRIP)
        strip_scores(it->w->s + row * BLOCK, it->w->q + row * Dq, it->k, Dq, it->scored.from,
                     it->scored.to);
}

// The softmax, carried on: scores become weights, and what was summed so far shrinks.
static void tile_weights(const Item *it)
{
    Scratch *w = it->w;
    long Dp = it->job->Dp;
    for (long r = 0; r < it->rows; r++) {
        float fade = row_weights(w->s + r * BLOCK, w->m + r, w->l + r, it->seen.from, it->seen.to);
        for (long d = 0; d < Dp; d++)
            w->o[r * Dp + d] *= fade;
    }
}

// O += P V, strip by strip
static void tile_mix(const Item *it)
{
    Scratch *w = it->w;
    long Dp = it->job->Dp;
    for (long row = 0; row < it->rows; row += STRIP)
        strip_mix(w->o + row * Dp, Dp, w->s + row * BLOCK, it->v, it->v_row, it->seen.from,
                  it->seen.to);
}

// All rows of the item against one block: three walks over the tile of scores.
static void walk_tile(const Item *it)
{
    Scratch *w = it->w;
    tile_scores(it);
    hide_rows(w->s, it->job, &it->h, it->row, it->rows, it->j0, it->seen.from, it->seen.to);
    tile_weights(it);
    if (it->finite)
        tile_mix(it);
    else
        mix_rows(w->o, it->job, &it->h, w->s, it->v, it->v_row, it->row, it->rows, it->j0,
                 it->seen.from, it->seen.to);
}

// Where row r of the item lies in q, out or lse.
static float *row_in(const Tensor *t, const Item *it, long r)
{
    long query = (it->row + r) / it->job->group;
    long head = it->h.g * it->job->group + (it->row + r) % it->job->group;
    return t->data + it->h.b * t->stride[0] + head * t->stride[1] + query * t->stride[2];
}

// Rows of Q; those behind the last one, which fill a strip, are 0, as are features that fill a
// vector.
static void load_rows(const Item *it)
{
    const Job *job = it->job;
    long D = job->pass->D, Dq = job->Dq, rows = rounded(it->rows, STRIP);
    for (long r = 0; r < rows; r++) {
        const float *from = r < it->rows ? row_in(&job->pass->q, it, r) : NULL;
        for (long d = 0; d < Dq; d++)
            it->w->q[r * Dq + d] = from && d < D ? from[d] : 0.0f;
        it->w->m[r] = -INFINITY;
    }
    memset(it->w->o, 0, (size_t)(rows * job->Dp) * sizeof(float));
    memset(it->w->l, 0, (size_t)rows * sizeof(float));
}

// O / l, and L = m + log l. A row that saw nothing has l = 0: its output is exactly 0.
static void store_rows(const Item *it)
{
    const Job *job = it->job;
    for (long r = 0; r < it->rows; r++) {
        float sum = it->w->l[r], max = it->w->m[r];
        const float *o = it->w->o + r * job->Dp;
        float *to = row_in(&job->pass->out, it, r);
        for (long d = 0; d < job->pass->Dv; d += LANES) {
            vec x = vec_load(o + d) / vec_of(sum);
            if (sum == 0.0f)
                x = (vec){0};
            if (d + LANES <= job->pass->Dv)
                vec_store(to + d, x);
            else
                vec_store_part(to + d, x, job->pass->Dv - d);
        }
        *row_in(&job->pass->lse, it, r) = max == -INFINITY ? logf(sum) : max + logf(sum);
    }
}

// Item `index` of one KV head.
static void compute_rows(const Job *job, Head h, Scratch *w, long index)
{
    Item it = {.job = job, .h = h, .w = w, .row = index * job->item_rows};
    it.rows = within(job->rows - it.row, 0, job->item_rows);
    load_rows(&it);
    for (long block = h.first; block < h.first + h.blocks; block++) {
        it.j0 = block * BLOCK;
        it.seen.from = within(h.seen.from - it.j0, 0, BLOCK);
        it.seen.to = within(h.seen.to - it.j0, 0, BLOCK);
        it.scored.from = it.seen.from / PANEL_KEYS * PANEL_KEYS;
        it.scored.to = rounded(it.seen.to, PANEL_KEYS);
        find_keys(&it);
        find_values(&it);
        it.finite = are_finite(&it);
        walk_tile(&it);
    }
    store_rows(&it);
}

// --- all items ----------------------------------------------------------------------------------

// KV head x of all sequences.
static Head find_head(const Job *job, long x)
{
    const Pass *p = job->pass;
    Head h = {.b = x / p->G, .g = x % p->G};
    h.rule = mask_head(p->mask, h.b, h.g * job->group);
    h.seen.from = mask_seen(&h.rule, 0).from;
    h.seen.to = mask_seen(&h.rule, p->N - 1).to;
    h.first = h.seen.from / BLOCK;
    h.blocks = h.seen.from < h.seen.to ? (h.seen.to + BLOCK - 1) / BLOCK - h.first : 0;
    return h;
}

static void compute_head(Job *job, long x)
{
    Head h = find_head(job, x);
    for (long index = 0; index < job->items; index++)
        compute_rows(job, h, &job->scratch, index);
}

// --- the whole pass -----------------------------------------------------------------------------

// How the rows are cut: few items, for each reads all keys, and of about the same size.
static void cut_rows(Job *job)
{
    long most = within(ROW_FLOATS / (job->Dq + job->Dp) / STRIP * STRIP, STRIP, MOST_ROWS);
    long items = rounded(job->rows, most) / most;
    job->item_rows = rounded(rounded(job->rows, items) / items, STRIP);
    job->items = rounded(job->rows, job->item_rows) / job->item_rows;
}

static Job plan(const Pass *p)
{
    Job job = {.pass = p, .group = p->H / p->G};
    job.rows = p->N * job.group;
    job.Dq = rounded(p->D, LANES);
    job.Dp = rounded(p->Dv, LANES);
    job.copies_v = p->v.kept != KEPT_F32 || p->v.tables || p->Dv % LANES != 0;
    cut_rows(&job);
    return job;
}

// Shares out `room`, and says how many floats that takes.
static long share_room(Job *job, float *room)
{
    long at = 0, Dp = job->Dp, rows = job->item_rows;
    Scratch *w = &job->scratch;
    w->q = take(room, &at, rows * job->Dq);
    w->o = take(room, &at, rows * Dp);
    w->l = take(room, &at, rows);
    w->m = take(room, &at, rows);
    w->s = take(room, &at, rows * BLOCK);
    w->k = take(room, &at, BLOCK * job->Dq);
    w->v = take(room, &at, job->copies_v ? BLOCK * Dp : 0);
    return at;
}

// Every item reads its Q, all keys and all values.
static void count_items(const Job *job)
{
    const Pass *p = job->pass;
    for (long x = 0; x < p->B * p->G; x++) {
        Head h = find_head(job, x);
        long keys = h.seen.to - h.seen.from;
        count_moved(job->rows * p->D, job->rows * (p->Dv + 1));
        count_moved(job->items * keys * (p->D + p->Dv), 0);
    }
}

void KERNEL(prefill_registers)(const Pass *p)
{
    if (p->B * p->H * p->N == 0)
        return;
    Job job = plan(p);
    long floats = share_room(&job, NULL);
    share_room(&job, workspace_take(floats));
    for (long x = 0; x < p->B * p->G; x++)
        compute_head(&job, x);
    workspace_give(floats);
    pass_count(p);
    count_items(&job);
}
