// Decode, step 6 of 6: step 5 on all threads.
//
// One query has too few heads to keep several processors busy, so the keys are shared out: an item
// is a part of one KV head's keys. Each leaves a maximum, a sum and an output so far, which are
// merged in order when all are done ("flash-decoding"). Parts are the same however many threads
// there are, and so are the bits.
//
// Predicted: as many times faster as the memory has room for; one thread alone does not fill it.

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
    PART = 1024,       // keys of an item: long streams, and scores that stay in the second cache
    MOST_ROWS = 32,    // rows whose scores are held at once
    AHEAD = 32 << 10,  // bytes between what is read and what is asked for
    LINE = 64,         // bytes that memory sends at a time
    RUN = 32,          // values at a time: they stay in the first cache while the rows go by
    ROWS_ABREAST = 4,  // rows whose outputs are in registers
};

static const float LOG2E = 0x1.715476p+0f;

// What one thread works on. Row r of a group of g heads is head r % g of query r / g.
typedef struct {
    float *q; // [MOST_ROWS, Dq]: padded with zeros to whole vectors
    float *s; // [MOST_ROWS, PART]: scores, then weights
    float *k; // [LANES, Dq]: keys that cannot be read where they lie
    float *v; // [RUN, Dp]: values that cannot
} Scratch;

// Everything that the items share.
typedef struct {
    const Pass *pass;
    long group, rows, parts; // H / G; rows of all queries; parts of the longest sequence
    long Dq, Dp;             // D and Dv, rounded up to whole vectors
    float sign, scale;       // the scale, as a sign, which Q takes, and a size
    float scale_of_m, unit;  // what is left of it for S and m; and times log2 e, for exp2
    bool  copies_k, copies_v;
    long  heads;             // KV heads of an item
    Scratch *scratch;        // [threads]
    float *m, *l, *o;        // [B, G, rows, parts], and [.., Dp]: what each part found
    atomic_long next;        // the item that is handed out next
} Job;

// A part of some KV heads' keys, and the rows that look at it.
typedef struct {
    const Job *job;
    Scratch *w;
    long b, part;
    long g, heads;     // the first KV head, and how many: their blocks lie side by side in a pool
    Mask rule;         // of this sequence; its array is not looked at
    long row, rows;    // the first row of each head, and how many at a time
    long from, to;     // keys of the part that some of them see
} Item;

static long within(long x, long least, long most)
{
    return x < least ? least : x > most ? most : x;
}

// n, up to the next multiple.
static long rounded(long n, long multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

// --- memory ahead of time -----------------------------------------------------------------------

// Keys that are walked over in one go, from j on: all that lie together, in whole vectors; where
// blocks fill no vector, a vector's worth.
static long run_of(const Item *it, const Rows *rows, long j)
{
    long together = rows_together(rows, j), left = it->to - j;
    if (together < left)
        left = together < LANES ? within(left, 0, LANES) : together / LANES * LANES;
    return left;
}

// What is read after the run that begins at key j of head g: the next head's, or the first one's
// next run. Where all keys lie together that is far off: then what lies AHEAD bytes later is asked
// for, and this is NULL.
static const char *next_run(const Item *it, const Rows *rows, long j, long g)
{
    long next = j + run_of(it, rows, j);
    if (!rows->tables)
        return NULL;
    if (g + 1 < it->g + it->heads)
        return row_of(rows, it->b, g + 1, j);
    return row_of(rows, it->b, it->g, next < it->to ? next : j);
}

// --- scores -------------------------------------------------------------------------------------

// One row as whole vectors of floats, zeros behind it. `kept` is a constant in every caller.
INLINE void widen_as(float *to, const void *from, const Kept kept, long width, long padded)
{
    long d = 0;
    for (; d + LANES <= width; d += LANES)
        vec_store(to + d, vec_kept(from, kept, d, LANES));
    if (d < padded)
        vec_store(to + d, vec_kept(from, kept, d, width - d));
}

static void widen(float *to, const void *from, Kept kept, long width, long padded)
{
    switch (kept) {
    case KEPT_F32:  widen_as(to, from, KEPT_F32, width, padded); break;
    case KEPT_BF16: widen_as(to, from, KEPT_BF16, width, padded); break;
    case KEPT_F16:  widen_as(to, from, KEPT_F16, width, padded); break;
    }
}

// Rows j to j + n as vectors: where they lie, or copied to `to`, [.., Dp], zeros behind each.
static const float *find_rows(const Item *it, const Rows *rows, long g, bool copies, float *to,
                              long j, long n, long width, long padded, long *step)
{
    if (!copies && rows_together(rows, j) >= n) {
        *step = rows->token;
        return row_of(rows, it->b, g, j);
    }
    for (long i = 0; i < n; i++)
        widen(to + i * padded, row_of(rows, it->b, g, j + i), rows->kept, width, padded);
    *step = padded;
    return to;
}

// The sums of LANES vectors, as one: in each step two halves are added, of two vectors at once.
INLINE vec sums_of(vec x[LANES])
{
    const ivec lane = LANE_NUMBERS;
    UNROLL for (int half = LANES / 2; half > 0; half /= 2) {
        const ivec left = (lane & half) == 0;
        const ivec upper = (left & lane) | (~left & (lane - half + LANES));
        const ivec lower = (left & (lane + half)) | (~left & (lane + LANES));
        UNROLL for (int i = 0; i < half; i++)
            x[i] = vec_pick(x[i], x[i + half], upper) + vec_pick(x[i], x[i + half], lower);
    }
    return x[0];
}

// S[j] = sum over d of Q[d] K[j,d] for LANES keys, each in a vector of its own. With every LANES
// products `lines` of what comes later are asked for: all at once they would be waited for.
INLINE vec dots_of(const float *restrict q, const float *restrict k, long step, long Dq,
                   const char *ahead, long lines)
{
    vec sum[LANES];
    UNROLL for (int i = 0; i < LANES; i++)
        sum[i] = (vec){0};
    UNROLL for (long d = 0; d < Dq; d += LANES) {
        vec qd = vec_load(q + d);
        for (long i = 0; i < lines; i++, ahead += LINE)
            __builtin_prefetch(ahead);
        UNROLL for (int i = 0; i < LANES; i++)
            sum[i] += qd * vec_load(k + i * step + d);
    }
    return sums_of(sum);
}

// Where rows follow each other and have a usual width, all addresses are the first one and a number
// that the compiler knows: there are not enough registers for LANES addresses and the loop's own.
static vec dots(const float *q, const float *k, long step, long Dq, const char *ahead, long lines)
{
    if (step == 64 && Dq == 64)
        return dots_of(q, k, 64, 64, ahead, lines);
    if (step == 128 && Dq == 128)
        return dots_of(q, k, 128, 128, ahead, lines);
    return dots_of(q, k, step, Dq, ahead, lines);
}

// Scores of one KV head's rows for keys j to j + n, LANES keys at a time: the rows come by while
// those are in the first cache.
static void score_run(const Item *it, long g, long j, long n)
{
    const Job *job = it->job;
    const Pass *p = job->pass;
    long steps = job->Dq / LANES, bytes = LANES * p->D * kept_bytes(p->k.kept);
    long lines = (bytes / LINE + it->rows * steps - 1) / (it->rows * steps);
    const char *ahead = next_run(it, &p->k, j, g);
    for (long end = j + n; j < end; j += LANES) {
        long step, m = within(end - j, 0, LANES);
        bool copies = job->copies_k || m < LANES; // a vector is not filled: not all rows are there
        const float *k = find_rows(it, &p->k, g, copies, it->w->k, j, m, p->D, job->Dq, &step);
        const char *later = ahead ? ahead : (const char *)row_of(&p->k, it->b, g, j) + AHEAD;
        for (long i = 0, r = (g - it->g) * it->rows; i < it->rows; i++, r++)
            vec_store(it->w->s + r * PART + (j - it->from),
                      dots(it->w->q + r * job->Dq, k, step, job->Dq,
                           later + i * steps * lines * LINE, lines));
        ahead += ahead ? bytes : 0;
    }
}

static void score_part(const Item *it)
{
    for (long j = it->from, n; j < it->to; j += n) {
        n = run_of(it, &it->job->pass->k, j);
        for (long g = it->g; g < it->g + it->heads; g++)
            score_run(it, g, j, n);
    }
}

// --- softmax ------------------------------------------------------------------------------------

// What the user's own array adds to the scores of row r of KV head g: the address of its first
// key's; or NULL.
static const float *bias_of(const Item *it, long g, long r)
{
    const Tensor *bias = &it->job->pass->mask->bias; // [B, H, N, M]
    long head = g * it->job->group + r % it->job->group;
    if (!bias->data)
        return NULL;
    return bias->data + it->b * bias->stride[0] + head * bias->stride[1] +
           r / it->job->group * bias->stride[2];
}

// Row r's scores: -inf where the rule hides and behind the last key, the array added elsewhere.
static void hide_row(const Item *it, float *s, long g, long r)
{
    Seen seen = mask_seen(&it->rule, r / it->job->group);
    const float *bias = bias_of(it, g, r);
    long step = bias ? it->job->pass->mask->bias.stride[3] : 0;
    for (long j = it->from; j < it->to; j++, s++) {
        float b = bias ? bias[j * step] : 0.0f;
        if (j < seen.from || j >= seen.to || b == -INFINITY)
            *s = -INFINITY;
        else if (bias)
            *s = *s * it->job->scale + b;
    }
}

// P = exp2(unit (S - m)), its sum and m, of one row of whole vectors.
static void weigh_row(float *s, long n, float unit, float *m, float *l)
{
    vec most = vec_of(-INFINITY), sum = {0};
    for (long j = 0; j < n; j += LANES)
        most = vec_max(most, vec_load(s + j));
    vec_spread_max(&most, 1);
    *m = most[0];
    float base = *m == -INFINITY ? 0.0f : *m; // -inf - -inf is NaN
    for (long j = 0; j < n; j += LANES) {
        vec p = vec_exp2((vec_load(s + j) - vec_of(base)) * vec_of(unit));
        vec_store(s + j, p);
        sum += p;
    }
    *l = vec_total(sum);
}

// The place of the state of row r of KV head g: of m and l, and times Dp of o.
static long state_of(const Item *it, long g, long r)
{
    const Job *job = it->job;
    return ((it->b * job->pass->G + g) * job->rows + r) * job->parts + it->part;
}

// One row's weights, and its m and l. True if it does not see all of the keys.
static bool weigh(const Item *it, float *s, long g, long r)
{
    long n = it->to - it->from, whole = rounded(n, LANES), at = state_of(it, g, r);
    Seen seen = mask_seen(&it->rule, r / it->job->group);
    bool hidden = it->from < seen.from || seen.to < it->to || it->job->pass->mask->bias.data;
    if (hidden)
        hide_row(it, s, g, r);
    for (long j = n; j < whole; j++)
        s[j] = -INFINITY;
    weigh_row(s, whole, it->job->unit, it->job->m + at, it->job->l + at);
    return hidden;
}

// All rows. True if some of them do not see all of the keys.
static bool weigh_part(const Item *it)
{
    bool hides = false;
    float *s = it->w->s;
    for (long g = it->g; g < it->g + it->heads; g++)
        for (long i = 0; i < it->rows; i++, s += PART)
            hides |= weigh(it, s, g, it->row + i);
    return hides;
}

// --- values -------------------------------------------------------------------------------------

// Values as the loops below read them: n rows `step` floats apart, and what comes later.
typedef struct {
    const float *at;
    long n, step;
    const char *ahead; // what row j asks for: ahead + j * step * size; NULL: nothing
    long size;         // bytes of a number there
} Values;

// O[i,d] += sum over j of P[i,j] V[j,d] for `rows` rows and `width` vectors of features
INLINE void mix_of(float *const *o, const float *restrict p, Values v, long d, const int rows,
                   const int width)
{
    vec sum[ROWS_ABREAST][PANEL];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int c = 0; c < width; c++)
            sum[i][c] = vec_load(o[i] + d + c * LANES);
    for (long j = 0; j < v.n; j++)
        UNROLL for (int c = 0; c < width; c++) {
            long at = j * v.step + d + c * LANES;
            vec vj = vec_load(v.at + at);
            if (v.ahead)
                __builtin_prefetch(v.ahead + at * v.size);
            UNROLL for (int i = 0; i < rows; i++)
                sum[i][c] += vec_of(p[i * PART + j]) * vj;
        }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int c = 0; c < width; c++)
            vec_store(o[i] + d + c * LANES, sum[i][c]);
}

INLINE void mix_rows(float *const *o, const float *p, Values v, long Dp, const int rows)
{
    long d = 0;
    for (; d + PANEL_KEYS <= Dp; d += PANEL_KEYS)
        mix_of(o, p, v, d, rows, PANEL);
    for (; d < Dp; d += LANES)
        mix_of(o, p, v, d, rows, 1);
}

// x - x is 0 for a number, and NaN for all else.
static bool are_finite(Values v, long Dp)
{
    vec sum = {0};
    for (long j = 0; j < v.n; j++)
        for (long d = 0; d < Dp; d += LANES) {
            vec x = vec_load(v.at + j * v.step + d);
            sum += x - x;
        }
    return vec_total(sum) == 0.0f;
}

// The same sums where a value is NaN or infinite and not all rows see it: 0 * NaN is NaN.
static void mix_seen(const Item *it, float *o, const float *p, Values v, long j0, long g, long r)
{
    Seen seen = mask_seen(&it->rule, r / it->job->group);
    const float *bias = bias_of(it, g, r);
    for (long j = 0; j < v.n; j++) {
        float b = bias ? bias[(j0 + j) * it->job->pass->mask->bias.stride[3]] : 0.0f;
        if (seen.from <= j0 + j && j0 + j < seen.to && b != -INFINITY)
            for (long d = 0; d < it->job->Dp; d++)
                o[d] += p[j] * v.at[j * v.step + d];
    }
}

// Values of keys from j on into all rows of KV head g.
static void mix_values(const Item *it, Values v, long g, long j, bool hides)
{
    const Job *job = it->job;
    bool careful = hides && !are_finite(v, job->Dp);
    const float *p = it->w->s + (g - it->g) * it->rows * PART + (j - it->from);
    for (long i = 0; i < it->rows;) {
        long abreast = it->rows - i >= ROWS_ABREAST && !careful ? ROWS_ABREAST : 1;
        float *o[ROWS_ABREAST];
        for (long a = 0; a < abreast; a++)
            o[a] = job->o + state_of(it, g, it->row + i + a) * job->Dp;
        if (careful)
            mix_seen(it, o[0], p, v, j, g, it->row + i);
        else if (abreast == 1)
            mix_rows(o, p, v, job->Dp, 1);
        else
            mix_rows(o, p, v, job->Dp, ROWS_ABREAST);
        v.ahead = NULL;
        i += abreast;
        p += abreast * PART;
    }
}

// The same for keys j to j + n, RUN of them at a time, or as many as lie together.
static void mix_run(const Item *it, long g, long j, long n, bool hides)
{
    const Job *job = it->job;
    const Rows *rows = &job->pass->v;
    const char *ahead = next_run(it, rows, j, g);
    for (long end = j + n; j < end;) {
        Values v = {.n = within(end - j, 0, RUN), .size = kept_bytes(rows->kept)};
        if (!job->copies_v)
            v.n = within(rows_together(rows, j), 1, v.n);
        v.at = find_rows(it, rows, g, job->copies_v, it->w->v, j, v.n, job->pass->Dv, job->Dp,
                         &v.step);
        v.ahead = ahead ? ahead : (const char *)row_of(rows, it->b, g, j) + AHEAD;
        mix_values(it, v, g, j, hides);
        j += v.n;
        ahead += ahead ? v.n * v.step * v.size : 0;
    }
}

static void mix_part(const Item *it, bool hides)
{
    for (long j = it->from, n; j < it->to; j += n) {
        n = run_of(it, &it->job->pass->v, j);
        for (long g = it->g; g < it->g + it->heads; g++)
            mix_run(it, g, j, n, hides);
    }
}

// --- items --------------------------------------------------------------------------------------

// Where row r of KV head g lies in q, out or lse.
static float *row_in(const Tensor *t, const Item *it, long g, long r)
{
    long query = r / it->job->group, head = g * it->job->group + r % it->job->group;
    return t->data + it->b * t->stride[0] + head * t->stride[1] + query * t->stride[2];
}

// Q times the scale's sign, padded with zeros; and a state that has seen nothing.
static void load_row(const Item *it, float *q, long g, long r)
{
    const Job *job = it->job;
    const float *from = row_in(&job->pass->q, it, g, r);
    long at = state_of(it, g, r);
    for (long d = 0; d < job->Dq; d++)
        q[d] = d < job->pass->D ? from[d] * job->sign : 0.0f;
    memset(job->o + at * job->Dp, 0, (size_t)job->Dp * sizeof(float));
    job->m[at] = -INFINITY;
    job->l[at] = 0.0f;
}

// One part: all rows of its heads, as many at a time as there are scores for.
static void compute_part(Item it)
{
    const Job *job = it.job;
    long most = MOST_ROWS / it.heads, first = it.part * PART;
    for (it.row = 0; it.row < job->rows; it.row += most) {
        it.rows = within(job->rows - it.row, 0, most);
        it.from = within(mask_seen(&it.rule, it.row / job->group).from, first, first + PART);
        it.to = within(mask_seen(&it.rule, (it.row + it.rows - 1) / job->group).to, it.from,
                       first + PART);
        for (long g = 0, r = 0; g < it.heads; g++)
            for (long i = 0; i < it.rows; i++, r++)
                load_row(&it, it.w->q + r * job->Dq, it.g + g, it.row + i);
        if (it.from == it.to)
            continue;
        score_part(&it);
        mix_part(&it, weigh_part(&it));
    }
}

static void work(void *argument, int thread)
{
    Job *job = argument;
    const Pass *p = job->pass;
    long bundles = (p->G + job->heads - 1) / job->heads;
    long all = p->B * bundles * job->parts, index;
    while ((index = atomic_fetch_add(&job->next, 1)) < all) {
        Item it = {.job = job, .w = &job->scratch[thread], .part = index % job->parts};
        it.b = index / job->parts / bundles;
        it.g = index / job->parts % bundles * job->heads;
        it.heads = within(p->G - it.g, 0, job->heads);
        it.rule = mask_head(p->mask, it.b, it.g * job->group);
        compute_part(it);
    }
}

// --- merging ------------------------------------------------------------------------------------

// m = max m_c,  l = sum of exp2(unit (m_c - m)) l_c,  O = sum of the same times O_c, over l
static void merge_row(const Item *it, long g, long r)
{
    const Job *job = it->job;
    long at = state_of(it, g, r);
    float m = -INFINITY, sum = 0.0f, *to = row_in(&job->pass->out, it, g, r), *o = it->w->q;
    for (long c = 0; c < job->parts; c++)
        m = job->m[at + c] > m ? job->m[at + c] : m;
    float base = m == -INFINITY ? 0.0f : m;
    memset(o, 0, (size_t)job->Dp * sizeof(float));
    for (long c = 0; c < job->parts; c++) {
        vec fade = vec_exp2(vec_of((job->m[at + c] - base) * job->unit));
        if (job->l[at + c] == 0.0f) // saw nothing, and may hold 0 * NaN
            continue;
        sum += fade[0] * job->l[at + c];
        for (long d = 0; d < job->Dp; d += LANES)
            vec_store(o + d, vec_load(o + d) + fade * vec_load(job->o + (at + c) * job->Dp + d));
    }
    for (long d = 0; d < job->pass->Dv; d++)
        to[d] = sum == 0.0f ? 0.0f : o[d] / sum;
    *row_in(&job->pass->lse, it, g, r) =
        m == -INFINITY ? logf(sum) : m * job->scale_of_m + logf(sum);
}

static void merge(const Job *job)
{
    Item it = {.job = job, .w = &job->scratch[0]};
    for (it.b = 0; it.b < job->pass->B; it.b++)
        for (long g = 0; g < job->pass->G; g++)
            for (long r = 0; r < job->rows; r++)
                merge_row(&it, g, r);
}

// --- the whole pass -----------------------------------------------------------------------------

static Job plan(const Pass *p)
{
    Job job = {.pass = p, .group = p->H / p->G};
    float size = p->scale == 0.0f ? 1.0f : fabsf(p->scale);
    job.Dq = rounded(p->D, LANES);
    job.Dp = rounded(p->Dv, LANES);
    job.rows = p->N * job.group;
    job.parts = p->M > 0 ? rounded(p->M, PART) / PART : 1;
    job.sign = p->scale == 0.0f ? 0.0f : p->scale / size;
    job.scale = size;
    job.scale_of_m = p->mask->bias.data ? 1.0f : size;
    job.unit = fminf(job.scale_of_m * LOG2E, FLT_MAX); // infinity times 0 is NaN
    job.copies_k = p->k.kept != KEPT_F32 || p->D % LANES != 0;
    job.copies_v = p->v.kept != KEPT_F32 || p->Dv % LANES != 0;
    // In a pool the heads' rows of a block lie side by side: one stream for all of them. Elsewhere
    // each head has a stream of its own.
    job.heads = p->k.tables ? within(MOST_ROWS / job.rows, 1, p->G) : 1;
    return job;
}

// n floats from *at on, which moves behind them; at NULL only counts. Begins at a whole vector.
static float *take(float *room, long *at, long n)
{
    float *taken = room ? room + *at : NULL;
    *at += rounded(n, 16);
    return taken;
}

// Shares out `room`, and says how many floats that takes.
static long share_room(Job *job, int threads, float *room)
{
    const Pass *p = job->pass;
    long at = 0, states = p->B * p->G * job->rows * job->parts;
    long widest = job->Dq > job->Dp ? job->Dq : job->Dp;
    job->m = take(room, &at, states);
    job->l = take(room, &at, states);
    job->o = take(room, &at, states * job->Dp);
    for (int t = 0; t < threads; t++) {
        Scratch *w = &job->scratch[t];
        w->q = take(room, &at, MOST_ROWS * widest);
        w->s = take(room, &at, MOST_ROWS * PART);
        w->k = take(room, &at, LANES * job->Dq);
        w->v = take(room, &at, RUN * job->Dp);
    }
    return at;
}

// Keys and values are read once for all heads of a group.
static void count_parts(const Pass *p)
{
    pass_count(p);
    count_moved(p->B * p->H * p->N * p->D, p->B * p->H * p->N * (p->Dv + 1));
    for (long b = 0; b < p->B; b++) {
        Mask rule = mask_head(p->mask, b, 0);
        long keys = mask_seen(&rule, p->N - 1).to - mask_seen(&rule, 0).from;
        count_moved(p->G * within(keys, 0, p->M) * (p->D + p->Dv) * kept_bytes(p->k.kept) / 4, 0);
    }
}

void KERNEL(decode_threads)(const Pass *p)
{
    int threads = threads_count();
    if (p->B * p->H * p->N == 0)
        return;
    Job job = plan(p);
    job.scratch = calloc((size_t)threads, sizeof *job.scratch);
    if (!job.scratch)
        refuse(EXIT_MEMORY, "out of memory: %d threads", threads);
    long floats = share_room(&job, threads, NULL);
    share_room(&job, threads, workspace_take(floats));
    threads_run(work, &job);
    merge(&job);
    workspace_give(floats);
    count_parts(p);
    free(job.scratch);
}
