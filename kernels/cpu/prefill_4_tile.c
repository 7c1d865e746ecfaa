// Prefill, step 4 of 10: keys block by block and the softmax online, so that there is no [N, M].
//
// Some rows and a block of keys make a tile of scores. Each row remembers the largest score so far
// and its sums; where a block brings a larger one, the sums shrink by exp(old - new). (Milakov and
// Gimelshein, arXiv 1805.02867; FlashAttention, arXiv 2205.14135.) The loops are step 2's. From
// here on rows are those of a whole group, which all use the KV head's keys.
//
// Predicted: step 2's speed at any length, less than BLAS gave step 3; memory grows with N alone.
// Loses: the same loads and stores as in step 2, and one expf after the other.

#include "kernels.h"
#include "vector.h"
#include "workspace.h"

#include "../../common/count.h"

#include <math.h>

enum {
    BLOCK = 512,          // keys at a time
    MOST_ROWS = 96,       // rows of an item: 192 KiB of scores
    ROW_FLOATS = 48 << 10 // and what its Q and O may take, in floats: they stay in the second cache
};

// What an item works on. A row is a query of one head: row r of a group of g heads is head
// r % g of query r / g, so that neighbours see nearly the same keys.
typedef struct {
    float *q;        // [rows, D]
    float *o;        // [rows, Dp]: sum of exp(S - m) V so far
    float *l;        // [rows]: sum of exp(S - m)
    float *m;        // [rows]: the largest score so far
    float *s;        // [rows, BLOCK]: the tile of scores, then weights
    float *k;        // [D, BLOCK]: the block's keys, turned
    float *v;        // [BLOCK, Dp]: its values, if they cannot be read where they lie
} Scratch;

// Everything that the items share.
typedef struct {
    const Pass *pass;
    long group, rows;        // H / G; rows of all queries of a KV head
    long item_rows, items;   // rows of an item; row items of a KV head
    long Dp;                 // Dv, rounded up to whole vectors
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

// --- one row, one block --------------------------------------------------------------------------

// S[j] = sum over d of Q[d] K[j,d], the inner loop along the keys
static void row_scores(float *restrict s, const float *restrict q, const float *restrict k, long D,
                       long from, long to)
{
    for (long j = from; j < to; j++)
        s[j] = 0.0f;
    for (long d = 0; d < D; d++)
        for (long j = from; j < to; j++)
            s[j] += q[d] * k[d * BLOCK + j];
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
    const float *v;  // value j lies at v + j * v_row
    long v_row;
} Item;

// Keys as floats, turned: all keys' first feature, then their second.
static void find_keys(Item *it)
{
    const Job *job = it->job;
    const Rows *k = &job->pass->k;
    for (long j = it->seen.from; j < it->seen.to; j++) {
        const void *row = row_of(k, it->h.b, it->h.g, it->j0 + j);
        for (long d = 0; d < job->pass->D; d += LANES) {
            long n = within(job->pass->D - d, 0, LANES);
            vec x = vec_kept(row, k->kept, d, n);
            for (long i = 0; i < n; i++)
                it->w->k[(d + i) * BLOCK + j] = x[i];
        }
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

// S = Q K^T, row by row
static void tile_scores(const Item *it)
{
    long D = it->job->pass->D;
    for (long r = 0; r < it->rows; r++)
        row_scores(it->w->s + r * BLOCK, it->w->q + r * D, it->w->k, D, it->seen.from,
                   it->seen.to);
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

// All rows of the item against one block: three walks over the tile of scores.
static void walk_tile(const Item *it)
{
    Scratch *w = it->w;
    tile_scores(it);
    hide_rows(w->s, it->job, &it->h, it->row, it->rows, it->j0, it->seen.from, it->seen.to);
    tile_weights(it);
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

static void load_rows(const Item *it)
{
    const Job *job = it->job;
    long D = job->pass->D, rows = it->rows;
    for (long r = 0; r < rows; r++) {
        memcpy(it->w->q + r * D, row_in(&job->pass->q, it, r), (size_t)D * sizeof(float));
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
        find_keys(&it);
        find_values(&it);
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
    long most = within(ROW_FLOATS / (job->pass->D + job->Dp), 1, MOST_ROWS);
    long items = rounded(job->rows, most) / most;
    job->item_rows = rounded(job->rows, items) / items;
    job->items = rounded(job->rows, job->item_rows) / job->item_rows;
}

static Job plan(const Pass *p)
{
    Job job = {.pass = p, .group = p->H / p->G};
    job.rows = p->N * job.group;
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
    w->q = take(room, &at, rows * job->pass->D);
    w->o = take(room, &at, rows * Dp);
    w->l = take(room, &at, rows);
    w->m = take(room, &at, rows);
    w->s = take(room, &at, rows * BLOCK);
    w->k = take(room, &at, BLOCK * job->pass->D);
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

void KERNEL(prefill_tile)(const Pass *p)
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
