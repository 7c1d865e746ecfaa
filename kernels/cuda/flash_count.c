#include "flash_count.h"

#include "../../common/count.h"

static long least(long a, long b)
{
    return a < b ? a : b;
}

static long most(long a, long b)
{
    return a > b ? a : b;
}

typedef struct {
    long from, to; // from <= j < to
} Span;

// The keys that at least one of the queries i to i + n may look at: visible() of 07_4_skip.cu.
static Span visible(const Mask *m, long M, long i, long n)
{
    long first = i + m->offset, last = first + n - 1; // positions
    Span s = {0, least(m->keys, M)};
    if (m->causal || m->window >= 0)
        s.to = least(s.to, last + 1);
    if (m->window >= 0)
        s.from = most(s.from, first - m->window);
    if (m->prefix >= 0)
        s.to = least(s.to, most(m->prefix, last + 1));
    return s;
}

// One tile of `rows` queries against the keys from:to, in each of so many heads. Every pair in a
// tile counts, hidden or not: scale, compare, subtract, exp and add, beside two products.
static void count_keys(const Flash *f, FlashWalk w, long heads, long rows, long from, long to)
{
    long keys = most(to - from, 0), tiles = (keys + w.keys - 1) / w.keys, pairs = rows * keys;
    long bias = f->mask.bias != NULL;
    long wide = w.halves ? flash_pitch16(f->D) / 2 : f->D; // in floats
    long high = w.halves ? flash_pitch16(f->Dv) / 2 : f->Dv;
    counts.tiles += heads * tiles;
    count_scores(heads * pairs);
    count_flops(heads * (pairs * (2L * f->D + 2L * f->Dv + 5 + bias) +
                         tiles * rows * (4 + 2L * f->Dv)));
    count_moved(heads * (rows * wide + keys * (wide + high) + bias * pairs), 0);
}

// One tile of rows: all its keys, or what the mask leaves of each part.
static void count_rows(const Flash *f, FlashWalk w, const long *bounds, long heads, long rows,
                       Span seen)
{
    for (int part = 0; part < (w.splits ? f->parts : 1); part++) {
        long from = w.splits ? bounds[part] : 0, to = w.splits ? bounds[part + 1] : f->M;
        long all = (to - from + w.keys - 1) / w.keys, before = counts.tiles;
        if (w.skips) {
            from = most(from, seen.from / w.keys * w.keys);
            to = least(to, seen.to);
        }
        count_keys(f, w, heads, rows, from, to);
        counts.skipped += heads * all - (counts.tiles - before);
    }
}

// All tiles of rows of one sequence. A group's rows are its heads' queries, in the queries' order.
static void count_sequence(const Flash *f, FlashWalk w, const Mask *m, const long *bounds)
{
    long share = w.groups ? f->H / f->G : 1, heads = f->H / share, all = f->N * share;
    for (long r = 0; r < all; r += w.rows) {
        long rows = least(w.rows, all - r), i = r / share, last = (r + rows - 1) / share;
        count_rows(f, w, bounds, heads, rows, visible(m, f->M, i, last - i + 1));
    }
}

// What is written, once a row; and the merging of parts, which are written first. merge_parts
// reads a part's maximum twice, its sum once, and again the maximum for every 32 features.
static void count_results(const Flash *f, FlashWalk w)
{
    long rows = (long)f->B * f->H * f->N, Dv = f->Dv, parts = rows * f->parts;
    count_flops(rows * Dv);
    count_moved(0, rows * (Dv + 1));
    if (w.splits) {
        count_flops(parts * (5 + 2 * Dv));
        count_moved(parts * (Dv + 3 + (Dv + 31) / 32), parts * (Dv + 2));
    }
}

// fp32 to bf16, half as many bytes; a row is filled up to 16 bytes.
static void count_halves(const Flash *f)
{
    long q = (long)f->B * f->H * f->N, keys = (long)f->B * f->G * f->M;
    long wide = flash_pitch16(f->D) / 2, high = flash_pitch16(f->Dv) / 2;
    count_moved(q * f->D + keys * (f->D + f->Dv), q * wide + keys * (wide + high));
}

void flash_count(const Flash *f, FlashWalk walk, const Mask *mask, const long *bounds)
{
    for (long b = 0; b < f->B; b++) {
        Mask m = mask_head(mask, b, 0);
        count_sequence(f, walk, &m, bounds);
    }
    count_results(f, walk);
    if (walk.halves)
        count_halves(f);
}
