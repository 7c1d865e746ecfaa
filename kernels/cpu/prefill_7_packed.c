// Prefill, step 7 of 10: keys packed into panels, so that a vector holds one feature of many keys.
//
// Step 6 multiplied vectors of features, and each score was the sum of a vector's lanes: as much
// work as the product itself. Here a panel holds, for each feature, that feature of 64 keys (of 32
// where there are 16 registers). A query's feature is spread over all lanes, and every lane's sum
// is a score. Packing turns K by transposes in registers, once for each KV head.
//
// Predicted: both products near the FMA peak, about 80 % of it in all. Loses: the tile of scores
// lies in the second cache, and is written by the product, read for the maximum, read and written
// by the exponentials, and read by the second product.

#include "kernels.h"
#include "vector.h"
#include "workspace.h"

#include "../../common/count.h"

#include <float.h>
#include <math.h>

enum {
    BLOCK = 512,          // keys at a time
    MOST_ROWS = 96,       // rows of an item, a multiple of STRIP: 192 KiB of scores
    ROW_FLOATS = 48 << 10 // and what its Q and O may take, in floats: they stay in the second cache
};

static const float LOG2E = 0x1.715476p+0f;

// What an item works on. A row is a query of one head: row r of a group of g heads is head
// r % g of query r / g, so that the rows of a strip see nearly the same keys.
typedef struct {
    float *q;        // [rows, D]
    float *o;        // [rows, Dp]: sum of exp2(S - m) V so far
    float *l;        // [rows, LANES]: sum of exp2(S - m), lane by lane
    float *m;        // [rows]: the largest score so far
    float *s;        // [rows, BLOCK]: the tile of scores, then weights
    float *v;        // [BLOCK, Dp]: values that cannot be read where they lie
} Scratch;

// Everything that the items share.
typedef struct {
    const Pass *pass;
    long group, rows;        // H / G; rows of all queries of a KV head
    long item_rows, items;   // rows of an item; row items of a KV head
    long Dp;                 // Dv, rounded up to whole vectors
    float sign, scale;       // the scale, as a sign, which Q takes, and a size
    float scale_of_m;        // what is left of it for S and m: 1 where an array was added
    float unit;              // and for exp2: times log2 e
    bool  copies_v;
    float *packed;           // [blocks, BLOCK / PANEL_KEYS, D, PANEL_KEYS]: one KV head
    Scratch scratch;
} Job;

// One KV head of one sequence, and the keys that its queries see between them, in blocks.
typedef struct {
    long b, g;
    Mask rule;          // of this sequence; its array is not looked at
    Seen seen;
    long first, blocks; // block `first` is the first of so many
    float *packed;
} Head;

// --- keys in panels -----------------------------------------------------------------------------

// Keys j to j + LANES, of a row each, into lanes: to[d, lane] = K[j + lane, d], or 0.
static void pack_lanes(float *to, const Pass *p, const Head *h, long j)
{
    const void *rows[LANES];
    for (int i = 0; i < LANES; i++) {
        bool seen = h->seen.from <= j + i && j + i < h->seen.to;
        rows[i] = seen ? row_of(&p->k, h->b, h->g, j + i) : NULL;
    }
    for (long d = 0; d < p->D; d += LANES) {
        long n = p->D - d < LANES ? p->D - d : LANES;
        vec x[LANES];
        UNROLL for (int i = 0; i < LANES; i++)
            x[i] = rows[i] ? vec_kept(rows[i], p->k.kept, d, n) : (vec){0};
        vec_transpose(x);
        for (int i = 0; i < n; i++)
            vec_store(to + (d + i) * PANEL_KEYS, x[i]);
    }
}

// One block of keys as panels [D, PANEL_KEYS]: what a step of the product needs lies together.
static void pack_block(float *to, const Pass *p, const Head *h, long block)
{
    for (long j = 0; j < BLOCK && block * BLOCK + j < h->seen.to; j += LANES) {
        float *panel = to + j / PANEL_KEYS * PANEL_KEYS * p->D;
        pack_lanes(panel + j % PANEL_KEYS, p, h, block * BLOCK + j);
    }
}

// --- one strip, one block -----------------------------------------------------------------------

// S[i,j] = sum over d of Q[i,d] K[j,d] for `width` vectors of keys, all sums in registers
INLINE void scores_of(float *restrict s, const float *restrict q, const float *restrict k, long D,
                      const int width)
{
    vec sum[STRIP][PANEL];
    UNROLL for (int i = 0; i < STRIP; i++)
        UNROLL for (int c = 0; c < width; c++)
            sum[i][c] = (vec){0};
    _Pragma("GCC unroll 4") for (long d = 0; d < D; d++) {
        vec kd[PANEL];
        UNROLL for (int c = 0; c < width; c++)
            kd[c] = vec_load(k + d * PANEL_KEYS + c * LANES);
        UNROLL for (int i = 0; i < STRIP; i++) {
            vec qd = vec_of(q[i * D + d]);
            UNROLL for (int c = 0; c < width; c++)
                sum[i][c] += qd * kd[c];
        }
    }
    UNROLL for (int i = 0; i < STRIP; i++)
        UNROLL for (int c = 0; c < width; c++)
            vec_store(s + i * BLOCK + c * LANES, sum[i][c]);
}

// Scores of the keys from:to of a block, whole vectors of them.
static void strip_scores(float *s, const float *q, const float *k, long D, long from, long to)
{
    long j = from / PANEL_KEYS * PANEL_KEYS;
    for (; j + PANEL_KEYS <= to; j += PANEL_KEYS)
        scores_of(s + j, q, k + j * D, D, PANEL);
    switch ((to - j + LANES - 1) / LANES) {
    case 1: scores_of(s + j, q, k + j * D, D, 1); break;
    case 2: scores_of(s + j, q, k + j * D, D, 2); break;
    case 3: scores_of(s + j, q, k + j * D, D, PANEL > 3 ? 3 : PANEL); break;
    case 4: scores_of(s + j, q, k + j * D, D, PANEL); break;
    }
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

// The largest scores of each row, lane by lane.
static void strip_most(vec *most, const float *s, long from, long to)
{
    UNROLL for (int i = 0; i < STRIP; i++)
        most[i] = vec_of(-INFINITY);
    for (long j = from; j < to; j += LANES)
        UNROLL for (int i = 0; i < STRIP; i++)
            most[i] = vec_max(most[i], vec_load(s + i * BLOCK + j));
}

// m' = max(m, largest S), and exp2(m - m'), which every sum so far shrinks by
static void strip_reduce(float *m, float *base, float *fade, vec *most, float unit)
{
    float change[STRIP + LANES] = {0};
    vec_spread_max(most, STRIP);
    for (int i = 0; i < STRIP; i++) {
        float max = most[i][0] > m[i] ? most[i][0] : m[i];
        base[i] = max == -INFINITY ? 0.0f : max; // nothing visible so far: -inf - -inf is NaN
        change[i] = (m[i] - base[i]) * unit;
        m[i] = max;
    }
    for (int i = 0; i < STRIP; i += LANES)
        vec_store(fade + i, vec_exp2(vec_load(change + i)));
}

// P[i,j] = exp2(unit (S[i,j] - m)) and its sum, for whole vectors of keys from:to.
static void strip_weights(float *restrict s, float *restrict l, const float *restrict base,
                          const float *restrict fade, float unit, long from, long to)
{
    vec sum[STRIP];
    UNROLL for (int i = 0; i < STRIP; i++)
        sum[i] = (vec){0};
    for (long j = from; j < to; j += LANES)
        UNROLL for (int first = 0; first < STRIP; first += ABREAST) {
            vec p[ABREAST];
            UNROLL for (int i = 0; i < ABREAST; i++)
                p[i] = (vec_load(s + (first + i) * BLOCK + j) - vec_of(base[first + i])) *
                       vec_of(unit);
            vec_exp2_all(p, ABREAST);
            UNROLL for (int i = 0; i < ABREAST; i++) {
                vec_store(s + (first + i) * BLOCK + j, p[i]);
                sum[first + i] += p[i];
            }
        }
    UNROLL for (int i = 0; i < STRIP; i++)
        vec_store(l + i * LANES, vec_load(l + i * LANES) * fade[i] + sum[i]);
}

// What was summed so far shrinks, in a walk of its own.
static void strip_fade(float *o, long Dp, const float *fade)
{
    for (int i = 0; i < STRIP; i++)
        for (long d = 0; d < Dp; d += LANES)
            vec_store(o + i * Dp + d, vec_load(o + i * Dp + d) * fade[i]);
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

// Keys from:to of n rows, of a block that begins at key j0: -inf where the rule hides, the user's
// array added elsewhere.
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
                     job->pass->mask->bias.stride[3], job->scale, first, last);
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
    Seen scored;     // the same in whole panels and vectors
    const float *k;  // its panels
    const float *v;  // value j lies at v + j * v_row
    long v_row;
    bool finite;     // are all its values?
} Item;

// Values that are no floats, or lie in pages, or do not fill vectors, are copied.
static void find_values(Item *it, long block)
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
    it->k = it->h.packed + (block - it->h.first) * BLOCK * job->pass->D;
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
    long D = it->job->pass->D;
    for (long row = 0; row < it->rows; row += STRIP)
        strip_scores(it->w->s + row * BLOCK, it->w->q + row * D, it->k, D, it->scored.from,
                     it->scored.to);
}

// The softmax, carried on: scores become weights, and what was summed so far shrinks.
static void tile_weights(const Item *it)
{
    Scratch *w = it->w;
    for (long row = 0; row < it->rows; row += STRIP) {
        vec most[STRIP];
        float base[STRIP + LANES], fade[STRIP + LANES], *s = w->s + row * BLOCK;
        strip_most(most, s, it->scored.from, it->scored.to);
        strip_reduce(w->m + row, base, fade, most, it->job->unit);
        strip_weights(s, w->l + row * LANES, base, fade, it->job->unit, it->scored.from,
                      it->scored.to);
        strip_fade(w->o + row * it->job->Dp, it->job->Dp, fade);
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
    hide_rows(w->s, it->job, &it->h, it->row, it->rows, it->j0, it->scored.from, it->scored.to);
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

// Q times the scale's sign; rows behind the last one, which fill a strip, are 0.
static void load_rows(const Item *it)
{
    const Job *job = it->job;
    long D = job->pass->D, rows = rounded(it->rows, STRIP);
    for (long r = 0; r < rows; r++) {
        const float *from = r < it->rows ? row_in(&job->pass->q, it, r) : NULL;
        for (long d = 0; d < D; d++)
            it->w->q[r * D + d] = from ? from[d] * job->sign : 0.0f;
        it->w->m[r] = -INFINITY;
    }
    memset(it->w->o, 0, (size_t)(rows * job->Dp) * sizeof(float));
    memset(it->w->l, 0, (size_t)(rows * LANES) * sizeof(float));
}

// O / l, and L = m + log l. A row that saw nothing has l = 0: its output is exactly 0.
static void store_rows(const Item *it)
{
    const Job *job = it->job;
    for (long r = 0; r < it->rows; r++) {
        float sum = vec_total(vec_load(it->w->l + r * LANES)), max = it->w->m[r];
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
        *row_in(&job->pass->lse, it, r) =
            max == -INFINITY ? logf(sum) : max * job->scale_of_m + logf(sum);
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
        it.scored.to = rounded(it.seen.to, LANES);
        find_values(&it, block);
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
    h.packed = job->packed;
    return h;
}

// KV head x of all sequences: its keys are packed once, for all queries of its group.
static void compute_head(Job *job, long x)
{
    Head h = find_head(job, x);
    for (long block = 0; block < h.blocks; block++)
        pack_block(h.packed + block * BLOCK * job->pass->D, job->pass, &h, h.first + block);
    for (long index = 0; index < job->items; index++)
        compute_rows(job, h, &job->scratch, index);
}

// --- the whole pass -----------------------------------------------------------------------------

// How the rows are cut: few items, for each reads all keys, and of about the same size.
static void cut_rows(Job *job)
{
    long most = within(ROW_FLOATS / (job->pass->D + job->Dp) / STRIP * STRIP, STRIP, MOST_ROWS);
    long items = rounded(job->rows, most) / most;
    job->item_rows = rounded(rounded(job->rows, items) / items, STRIP);
    job->items = rounded(job->rows, job->item_rows) / job->item_rows;
}

static Job plan(const Pass *p)
{
    Job job = {.pass = p, .group = p->H / p->G, .Dp = rounded(p->Dv, LANES)};
    bool bias = p->mask->bias.data;
    float size = p->scale == 0.0f ? 1.0f : fabsf(p->scale);
    job.rows = p->N * job.group;
    job.sign = p->scale == 0.0f ? 0.0f : p->scale / size;
    job.scale = size;
    job.scale_of_m = bias ? 1.0f : size;
    job.unit = fminf(job.scale_of_m * LOG2E, FLT_MAX); // infinity times 0 is NaN
    job.copies_v = p->v.kept != KEPT_F32 || p->v.tables || p->Dv % LANES != 0;
    cut_rows(&job);
    return job;
}

// Shares out `room`, and says how many floats that takes.
static long share_room(Job *job, float *room)
{
    long at = 0, D = job->pass->D, Dp = job->Dp, rows = job->item_rows;
    Scratch *w = &job->scratch;
    job->packed = take(room, &at, rounded(job->pass->M, BLOCK) * D);
    w->q = take(room, &at, rows * D);
    w->o = take(room, &at, rows * Dp);
    w->l = take(room, &at, rows * LANES);
    w->m = take(room, &at, rows);
    w->s = take(room, &at, rows * BLOCK);
    w->v = take(room, &at, job->copies_v ? BLOCK * Dp : 0);
    return at;
}

// Keys are packed once; every item reads them, its Q and the values.
static void count_items(const Job *job)
{
    const Pass *p = job->pass;
    for (long x = 0; x < p->B * p->G; x++) {
        Head h = find_head(job, x);
        long keys = h.seen.to - h.seen.from;
        count_moved(keys * p->D + job->rows * p->D, keys * p->D + job->rows * (p->Dv + 1));
        count_moved(job->items * keys * (p->D + p->Dv), 0);
    }
}

void KERNEL(prefill_packed)(const Pass *p)
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
