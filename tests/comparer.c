// From the files up: two numbers, one step of one run, the steps of a trace, the difference of
// two runs in a step, what excuses it, the verdict. Printed runs come last.

#define _POSIX_C_SOURCE 200809L
#include "comparer.h"

#include "../common/fail.h"
#include "../common/npy.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PLACE = 192 }; // bytes of "p0.b0.h1.output" and of "[3,2]"

// --- small tools ----------------------------------------------------------------------------

// realloc to n elements, or refuse.
static void *grow(void *block, long n, size_t bytes)
{
    block = realloc(block, (size_t)n * bytes + 1); // + 1: n may be 0
    if (!block)
        refuse(EXIT_MEMORY, "out of memory: %ld elements of %zu bytes", n, bytes);
    return block;
}

// Adds to the text in `to`, cutting what does not fit.
__attribute__((format(printf, 3, 4)))
static void append(char *to, size_t size, const char *format, ...)
{
    size_t n = strlen(to);
    va_list args;
    va_start(args, format);
    vsnprintf(to + n, size - n, format, args);
    va_end(args);
}

// Is `name` one of the names in "a,b,c"?
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == '\0'))
            return true;
    return false;
}

// --- two numbers ----------------------------------------------------------------------------

// float32 bit patterns as integers in the order of the numbers: the patterns of negative ones
// grow downwards from -0, so they are counted down from 0.
static int64_t ordered(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? -(int64_t)(bits & 0x7fffffffu) : (int64_t)bits;
}

long ulps_between(double a, double b)
{
    if (isnan(a) || isnan(b))
        return -1;
    return labs((long)(ordered((float)a) - ordered((float)b)));
}

// == holds for -0 and +0 and for infinities of one sign, and never for NaN.
static bool equal(double x, double y, bool nan_expected)
{
    return x == y || (nan_expected && isnan(x) && isnan(y));
}

// The negated form fails NaN on either side, where `diff > tolerance` would let it pass. A
// tolerance of inf comes from a yardstick that is broken itself.
static bool beyond(double diff, double tolerance)
{
    return !(diff <= tolerance) || isinf(tolerance);
}

// --- one step of one run --------------------------------------------------------------------

typedef struct {
    long pass, number; // row `number` of the file of this pass
    long start, width; // value[start] to value[start + width]
} Row;

// A step of one head, the passes stacked. Rows may differ in width: an early pass has scores
// only for the keys that existed by then. Of a single file, all of it is one row.
typedef struct {
    long batch, head;      // head -1: of all heads together
    const char *step;
    bool file, wide;       // a single file; nothing but float64
    int  axes;             // of one file: with passes, of the last
    long shape[MAX_AXES];
    long rows, values;
    Row *row;
    double *value;
} Series;

typedef struct {
    const char *path;      // of the run
    long count;
    Series *series;        // by batch, then head
} Step;

static void step_free(Step *step)
{
    for (long n = 0; n < step->count; n++) {
        free(step->series[n].row);
        free(step->series[n].value);
    }
    free(step->series);
    *step = (Step){0};
}

// "p0.b0.h1.output"; without a pass "b0.h1.output"; of a single file its step alone.
static void append_name(char *to, size_t size, const Series *s, long pass)
{
    if (!s->file && pass >= 0)
        append(to, size, "p%ld.", pass);
    if (!s->file && s->batch >= 0)
        append(to, size, "b%ld.", s->batch);
    if (!s->file && s->head >= 0)
        append(to, size, "h%ld.", s->head);
    append(to, size, "%s", s->step);
}

// "[3,2]": the row's number in its file, then the axes below it.
static void append_index(char *to, size_t size, const Series *s, const Row *row, long column)
{
    int first = s->file ? 0 : 1;
    append(to, size, "[");
    if (!s->file)
        append(to, size, s->axes > 1 ? "%ld," : "%ld", row->number);
    for (int a = first; a < s->axes; a++) {
        long below = 1;
        for (int c = a + 1; c < s->axes; c++)
            below *= s->shape[c];
        long i = column / below;
        append(to, size, a > first ? ",%ld" : "%ld", a > first ? i % s->shape[a] : i);
    }
    append(to, size, "]");
}

// Reads one file and puts its rows below those of the passes before it.
static void append_file(Series *s, const char *path, long pass)
{
    Npy npy = npy_read(path);
    long rows = s->file || npy.axes == 0 ? 1 : npy.shape[0];
    long width = rows ? npy.count / rows : 0;
    s->row = grow(s->row, s->rows + rows, sizeof *s->row);
    s->value = grow(s->value, s->values + npy.count, sizeof *s->value);
    for (long r = 0; r < rows; r++)
        s->row[s->rows++] = (Row){pass, r, s->values + r * width, width};
    for (long i = 0; i < npy.count; i++)
        s->value[s->values++] = npy_value(&npy, i);
    s->wide = s->wide && npy.kind == 'f' && npy.bytes == 8;
    s->axes = npy.axes;
    memcpy(s->shape, npy.shape, sizeof s->shape);
    npy_free(&npy);
}

// --- the files of one run -------------------------------------------------------------------

typedef struct {
    long pass, batch, head;
    char step[STEP_NAME];
    char name[256];
} StepFile;

typedef struct {
    const char *path;
    bool single;     // path is one .npy file
    long count;
    StepFile *file;  // in the order of the algorithm, then by batch, head and pass
} Run;

// The steps in the order in which a run goes through them.
static const char *const algorithm[] = {"q",      "k",      "v",       "past_k", "past_v",
                                        "scores", "scaled", "masked",  "weights", "lse",
                                        "output", "concat", "result"};
enum { PAST_K = 3, SCORES = 5, OUTPUT = 10, OTHERS = 13 };

// The step's place in that order; OTHERS for what is not in it.
static int rank(const char *step)
{
    int r = 0;
    while (r < OTHERS && strcmp(algorithm[r], step) != 0)
        r++;
    return r;
}

// The order of the algorithm; the others behind it, by name.
static int by_step(const char *x, const char *y)
{
    return rank(x) != rank(y) ? rank(x) - rank(y) : strcmp(x, y);
}

static int by_place(const void *x, const void *y)
{
    const StepFile *f = x, *g = y;
    const long differ[] = {by_step(f->step, g->step), f->batch - g->batch, f->head - g->head,
                           f->pass - g->pass};
    for (int n = 0; n < 4; n++)
        if (differ[n])
            return differ[n] < 0 ? -1 : 1;
    return 0;
}

// Takes "h12." off the front of *name; -1 where something else stands there.
static long take_letter(const char **name, char letter)
{
    char *end;
    if ((*name)[0] != letter || !isdigit((unsigned char)(*name)[1]))
        return -1;
    long n = strtol(*name + 1, &end, 10);
    if (*end != '.')
        return -1;
    *name = end + 1;
    return n;
}

// pP.bB.hH.STEP.npy, or without hH, or without bB and hH. False: some other file.
static bool read_name(StepFile *f, const char *name)
{
    snprintf(f->name, sizeof f->name, "%s", name);
    f->pass = take_letter(&name, 'p');
    f->batch = take_letter(&name, 'b');
    f->head = take_letter(&name, 'h');
    size_t n = strlen(name);
    if (f->pass < 0 || n <= 4 || n - 4 >= STEP_NAME || strcmp(name + n - 4, ".npy") != 0)
        return false;
    snprintf(f->step, sizeof f->step, "%.*s", (int)(n - 4), name);
    return true;
}

// The step files of a trace. Whatever else lies there (trace.txt, trace.jsonl) is no step.
static void list_directory(Run *run)
{
    DIR *directory = opendir(run->path);
    if (!directory)
        refuse(EXIT_INPUT, "%s: %s", run->path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory));) {
        StepFile f;
        if (!read_name(&f, entry->d_name))
            continue;
        run->file = grow(run->file, run->count + 1, sizeof *run->file);
        run->file[run->count++] = f;
    }
    closedir(directory);
    if (run->count == 0)
        refuse(EXIT_INPUT, "%s: expected files named pP.bB.hH.STEP.npy, found none", run->path);
    qsort(run->file, (size_t)run->count, sizeof *run->file, by_place);
}

// Without a path an empty run, which has no step.
static Run run_open(const char *path)
{
    Run run = {.path = path};
    struct stat info;
    if (!path)
        return run;
    if (stat(path, &info) != 0)
        refuse(EXIT_INPUT, "%s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode)) {
        list_directory(&run);
        return run;
    }
    run.single = true;
    run.count = 1;
    run.file = grow(NULL, 1, sizeof *run.file);
    run.file[0] = (StepFile){.step = "array"};
    return run;
}

static bool has_step(const Run *run, const char *step)
{
    for (long n = 0; n < run->count; n++)
        if (strcmp(run->file[n].step, step) == 0)
            return true;
    return false;
}

// One step of all batches and heads. The files are sorted, so those of one head are
// neighbours and its passes come in order.
static Step step_load(const Run *run, const char *name)
{
    Step step = {.path = run->path};
    for (long n = 0; n < run->count; n++) {
        const StepFile *f = &run->file[n];
        char path[4096 + sizeof f->name];
        if (strcmp(f->step, name) != 0)
            continue;
        Series *last = step.count ? &step.series[step.count - 1] : NULL;
        if (!last || last->batch != f->batch || last->head != f->head) {
            step.series = grow(step.series, step.count + 1, sizeof *step.series);
            last = &step.series[step.count++];
            *last = (Series){f->batch, f->head, f->step, .file = run->single, .wide = true};
        }
        snprintf(path, sizeof path, "%s/%s", run->path, f->name);
        append_file(last, run->single ? run->path : path, f->pass);
    }
    return step;
}

// --- how far two runs are apart in one step -------------------------------------------------

typedef struct {
    long   values, differing;
    double worst;                  // largest |x - y|; NaN as soon as a NaN met anything else
    double x, y;                   // there
    bool   wide;                   // both are float64
    char   name[PLACE], index[PLACE]; // where
    char   fault[PLACE + 256];     // why the two cannot be held against each other; or ""
} Difference;

// Two values at the same place.
static void meet(Difference *d, double x, double y, const Series *s, const Row *row, long column,
                 bool nan_expected)
{
    double diff = fabs(x - y);
    d->values++;
    if (equal(x, y, nan_expected))
        return;
    // Once NaN, worst stays: nothing is greater than it.
    if (d->differing++ && !(isnan(diff) && !isnan(d->worst)) && !(diff > d->worst))
        return;
    d->worst = diff;
    d->x = x;
    d->y = y;
    d->name[0] = d->index[0] = '\0';
    append_name(d->name, PLACE, s, row->pass);
    append_index(d->index, PLACE, s, row, column);
}

// Is it a row of a pass before the last?
static bool early(const Series *s, const Row *row)
{
    return row->pass < s->row[s->rows - 1].pass;
}

// A row of an early pass ends at the last key that existed. What the other run has beyond must
// amount to nothing: -inf where it is masked, weight 0; its scores are discarded unseen.
static void meet_row(Difference *d, const Series *x, const Series *y, long r, bool nan_expected)
{
    const Row *i = &x->row[r], *j = &y->row[r];
    bool is_masked = strcmp(x->step, "masked") == 0, is_weight = strcmp(x->step, "weights") == 0;
    bool is_score = strcmp(x->step, "scores") == 0 || strcmp(x->step, "scaled") == 0;
    bool excused = i->width < j->width ? early(x, i) : early(y, j);
    if (i->width != j->width && !(excused && (is_masked || is_weight || is_score))) {
        append_name(d->fault, sizeof d->fault, x, i->pass);
        append(d->fault, sizeof d->fault, ": row %ld has %ld values and %ld", r, i->width,
               j->width);
        return;
    }
    double nothing = is_masked ? -INFINITY : 0.0;
    for (long c = 0; c < i->width || c < j->width; c++)
        if ((c < i->width && c < j->width) || !is_score)
            meet(d, c < i->width ? x->value[i->start + c] : nothing,
                 c < j->width ? y->value[j->start + c] : nothing, x, i, c, nan_expected);
}

static bool same_place(const Series *x, const Series *y)
{
    return x->batch == y->batch && x->head == y->head;
}

static const Series *series_beside(const Step *step, const Series *s)
{
    for (long n = 0; n < step->count; n++)
        if (same_place(&step->series[n], s))
            return &step->series[n];
    return NULL;
}

// The first series that has no counterpart in the other run; or NULL.
static const Series *unmatched(const Step *x, const Step *y)
{
    for (long n = 0; n < x->count; n++)
        if (!series_beside(y, &x->series[n]))
            return &x->series[n];
    return NULL;
}

static bool same_heads(const Step *x, const Step *y)
{
    return !unmatched(x, y) && !unmatched(y, x);
}

// The first axis whose size counts. In a step it is the one below the rows, which the passes share
// out among themselves. In a file axes of 1 in front are left out: a matrix is a batch of one.
static int first_axis(const Series *s)
{
    int a = 0;
    if (!s->file)
        return s->axes > 0 ? 1 : 0;
    while (a < s->axes && s->shape[a] == 1)
        a++;
    return a;
}

// As many values are not yet the same array: [2 x 3], [3 x 2] and [6] are three.
static bool same_shape(const Series *x, const Series *y)
{
    int a = first_axis(x), b = first_axis(y);
    if (x->axes - a != y->axes - b)
        return false;
    for (; a < x->axes; a++, b++)
        if (x->shape[a] != y->shape[b])
            return false;
    return true;
}

static void append_shape(char *to, size_t size, const Series *s)
{
    append(to, size, "[");
    for (int a = 0; a < s->axes; a++)
        append(to, size, a ? " x %ld" : "%ld", s->shape[a]);
    append(to, size, "]");
}

static void meet_shapes(Difference *d, const Series *x, const Series *y)
{
    if (d->fault[0] || same_shape(x, y))
        return;
    append_name(d->fault, sizeof d->fault, x, -1);
    append(d->fault, sizeof d->fault, ": ");
    append_shape(d->fault, sizeof d->fault, x);
    append(d->fault, sizeof d->fault, " and ");
    append_shape(d->fault, sizeof d->fault, y);
}

// All of a step: the same heads, as many rows, row by row. A row that does not fit says more than
// the shapes of a step, which come after it: there may be no row, or several axes below.
static Difference measure(const Step *x, const Step *y, bool nan_expected)
{
    Difference d = {.wide = true};
    const Step *side = unmatched(x, y) ? x : y;
    const Series *alone = unmatched(side, side == x ? y : x);
    if (alone) {
        append_name(d.fault, sizeof d.fault, alone, -1);
        append(d.fault, sizeof d.fault, " is only in %s", side->path);
    }
    for (long n = 0; n < x->count && !d.fault[0]; n++) {
        const Series *s = &x->series[n], *t = series_beside(y, s);
        d.wide = d.wide && s->wide && t->wide;
        if (s->file)
            meet_shapes(&d, s, t);
        if (s->rows != t->rows) {
            append_name(d.fault, sizeof d.fault, s, -1);
            append(d.fault, sizeof d.fault, ": %ld rows and %ld", s->rows, t->rows);
        }
        for (long r = 0; r < s->rows && !d.fault[0]; r++)
            meet_row(&d, s, t, r, nan_expected);
        meet_shapes(&d, s, t);
    }
    return d;
}

// --- what may differ ------------------------------------------------------------------------

// One step of all runs. ref and naive have no series where they were not given.
typedef struct {
    const char *name;
    Step a, b, ref, naive;
    double bound;          // of this step; NaN where the bound does not speak of it
} Contest;

// max |x| over the finite values
static double largest_finite(const Step *step)
{
    double largest = 0;
    for (long n = 0; n < step->count; n++)
        for (long i = 0; i < step->series[n].values; i++) {
            double x = fabs(step->series[n].value[i]);
            largest = isfinite(x) && x > largest ? x : largest;
        }
    return largest;
}

static double largest_of(const Run *run, const char *name)
{
    Step step = step_load(run, name);
    double largest = largest_finite(&step);
    step_free(&step);
    return largest;
}

// From the bound of the output, u ((D+6) A + M + 5) max|V| with u = 2^-23, the bounds of the
// steps before it.
//
// Let e be the bound without its last factor. A scaled score is off by at most (D + 2) u/2 A,
// which is less than e. A weight is what the output is for V = 1: off by at most e.
//     log-sum-exp: logits off by (D + 2) u/2 A move it by no more than that. The sum of M
//     terms and its logarithm add (M + 4) u/2. Adding the largest logit rounds a number of at
//     most A + log M. Together less than e, as log M < M.
// Only the bound is known here, not max|V|. But an output is a mean of V's rows, so
// max|O| <= max|V|, and bound / max|O| is e or more: it never fails a correct run. It is blunt
// where the rows of V cancel. Where max|O| = 0 there is nothing to divide by: the bound itself.
//
// Scores are 1/scale times as large as scaled scores; the runs themselves tell how much.
static double bound_of(const char *name, const Run *run, double bound)
{
    int r = rank(name);
    if (run->single || r == OUTPUT || strcmp(name, "concat") == 0)
        return bound;
    if (r < SCORES || r > OUTPUT)
        return NAN;
    double O = largest_of(run, "output");
    double e = O > 0 ? bound / O : bound;
    return r == SCORES ? e * largest_of(run, "scores") / largest_of(run, "scaled") : e;
}

// 2 x the naive run's largest error + 2 max|(ref + 0.3 - 0.3) - ref| in float32. The second
// term keeps a naive run that was exact by luck from demanding the same of all others: it is
// what rounding costs once, when a number of the size of ref meets another.
static double naive_tolerance(const Contest *t, bool nan_expected)
{
    Difference naive = measure(&t->naive, &t->ref, nan_expected);
    double cancel = 0;
    for (long n = 0; n < t->ref.count; n++)
        for (long i = 0; i < t->ref.series[n].values; i++) {
            float ref = (float)t->ref.series[n].value[i];
            float there = ref + 0.3f, back = there - 0.3f;
            if ((double)fabsf(back - ref) > cancel) // inf and NaN give NaN: never greater
                cancel = (double)fabsf(back - ref);
        }
    return naive.fault[0] ? NAN : 2 * naive.worst + 2 * cancel;
}

// Is one run farther from the reference than it may be? Says where.
static bool too_far(char *why, size_t size, const char *who, const Step *step, const Step *ref,
                    double tolerance, bool nan_expected)
{
    Difference d = measure(step, ref, nan_expected);
    if (d.fault[0])
        append(why, size, "; %s and the reference: %s", who, d.fault);
    else if (beyond(d.worst, tolerance))
        append(why, size, "; %s is %.3g from the reference at %s%s, allowed %.3g", who, d.worst,
               d.name, d.index, tolerance);
    else
        return false;
    return true;
}

// Nobody computes these: they are copied, and copies do not round.
static bool is_copied(const char *step)
{
    int r = rank(step);
    return strcmp(step, "array") != 0 && (r < SCORES || r == OTHERS);
}

// Do the rules excuse the difference d between A and B? Says by what, or why not.
static bool excused(char *why, size_t size, const Contest *t, const Difference *d,
                    CompareRules rules)
{
    bool has_bound = rules.bound >= 0, nan_ok = rules.nan_expected;
    if (is_copied(t->name) || (!has_bound && !t->naive.path))
        return false;
    if (has_bound)
        append(why, size, isnan(t->bound) ? "; no bound is known here" : "; bound %.3g", t->bound);
    if (has_bound && beyond(d->worst, t->bound))
        return false;
    if (has_bound && t->ref.path &&
        (too_far(why, size, "A", &t->a, &t->ref, t->bound, nan_ok) ||
         too_far(why, size, "B", &t->b, &t->ref, t->bound, nan_ok)))
        return false;
    if (!t->naive.path)
        return true;
    double tolerance = naive_tolerance(t, nan_ok);
    append(why, size, "; twice the naive error %.3g", tolerance);
    return !too_far(why, size, "A", &t->a, &t->ref, tolerance, nan_ok) &&
           !too_far(why, size, "B", &t->b, &t->ref, tolerance, nan_ok);
}

// --- the verdict ----------------------------------------------------------------------------

// "2 ulps"; of two float64 numbers it says so, as it counts what lies between them in float32.
static void append_ulps(char *to, size_t size, const Difference *d)
{
    long ulps = ulps_between(d->x, d->y);
    if (ulps < 0)
        append(to, size, "not a number");
    else
        append(to, size, "%ld ulp%s%s", ulps, ulps == 1 ? "" : "s", d->wide ? ", float64" : "");
}

static void append_pair(char *to, size_t size, const Difference *d)
{
    int digits = d->wide ? 17 : 9; // enough to tell any two apart
    append(to, size, "%.*g and %.*g", digits, d->x, digits, d->y);
}

// A failure that has no two values to show.
static void fail_with(Comparison *c, const char *step, const char *reason)
{
    if (c->verdict == FAIL)
        return;
    c->verdict = FAIL;
    snprintf(c->step, sizeof c->step, "%s", step);
    snprintf(c->text, sizeof c->text, "FAIL          %s", reason);
}

// Keeps the first difference; the first failure takes its place.
static void report(Comparison *c, const char *step, const Difference *d, bool ok, const char *why)
{
    char text[COMPARISON_TEXT] = "";
    if (c->verdict == FAIL || (ok && c->verdict == REASSOCIATED))
        return;
    if (ok) {
        append(text, sizeof text, "REASSOCIATED  %s: largest difference %.3g (", step, d->worst);
        append_ulps(text, sizeof text, d);
        append(text, sizeof text, ") at %s%s: ", d->name, d->index);
        append_pair(text, sizeof text, d);
    } else {
        append(text, sizeof text, "FAIL          first %s step %s, worst at %s: ",
               c->verdict == REASSOCIATED ? "failing" : "differing", d->name, d->index);
        append_pair(text, sizeof text, d);
        append(text, sizeof text, ", ");
        append_ulps(text, sizeof text, d);
    }
    append(text, sizeof text, "%s", why);
    memcpy(c->text, text, sizeof text);
    snprintf(c->step, sizeof c->step, "%s", step);
    c->difference = d->worst;
    c->ulps = ulps_between(d->x, d->y);
    c->verdict = ok ? REASSOCIATED : FAIL;
}

// Holds A's and B's values of one step against each other and adds the outcome to *c.
static void judge(Comparison *c, const Contest *t, CompareRules rules)
{
    char why[COMPARISON_TEXT / 2] = "";
    Difference d = measure(&t->a, &t->b, rules.nan_expected);
    c->steps += t->a.count;
    c->values += d.values;
    if (d.fault[0]) {
        append(why, sizeof why, "first differing step %s", d.fault);
        fail_with(c, t->name, why);
    } else if (d.differing) {
        bool ok = excused(why, sizeof why, t, &d, rules);
        report(c, t->name, &d, ok, why);
        if (rules.notes)
            fprintf(rules.notes, "%-10s %ld of %ld values differ, by up to %.3g at %s%s%s\n",
                    t->name, d.differing, d.values, d.worst, d.name, d.index,
                    ok ? ", which is allowed" : "");
    }
}

// No step had anything to report.
static void conclude(Comparison *c)
{
    if (c->verdict == BIT_EXACT)
        snprintf(c->text, sizeof c->text, "BIT-EXACT     %ld step%s, %ld value%s%s", c->steps,
                 c->steps == 1 ? "" : "s", c->values, c->values == 1 ? "" : "s",
                 c->values == 0 ? ": there was nothing to compare" : "");
}

// --- which steps ----------------------------------------------------------------------------

// By default what attention is made of: the inputs and its six steps. Bookkeeping (pages,
// slots, tiles) differs from chapter to chapter by design.
static bool is_wanted(const char *step, const char *steps)
{
    int r = rank(step);
    if (strcmp(step, "array") == 0)
        return true;
    return steps ? listed(steps, step) : r < PAST_K || (SCORES <= r && r <= OUTPUT);
}

// "only in A: pages, slots"
static void note_alone(FILE *notes, const char *who, const Run *run, const Run *other)
{
    const char *before = NULL;
    for (long n = 0; n < run->count; n++) {
        const char *step = run->file[n].step;
        if (has_step(other, step) || (before && strcmp(before, step) == 0))
            continue;
        if (before)
            fprintf(notes, ", %s", step);
        else
            fprintf(notes, "only in %s: %s", who, step);
        before = step;
    }
    if (before)
        fputc('\n', notes);
}

static void fail_without(Comparison *c, const char *step, const Run *run)
{
    char reason[COMPARISON_TEXT / 2] = "";
    append(reason, sizeof reason, "step %s is missing in %s", step, run->path);
    fail_with(c, step, reason);
}

// Every name in `steps` must be a step of both runs.
static void require_steps(Comparison *c, const char *steps, const Run *a, const Run *b)
{
    for (const char *at = steps; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char name[STEP_NAME] = "";
        append(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
        const Run *without = !has_step(a, name) ? a : !has_step(b, name) ? b : NULL;
        if (without)
            fail_without(c, name, without);
    }
}

// What A no longer shows cannot be held against B: of the arithmetic that must not be.
static void require_complete(Comparison *c, const Run *a, const Run *b)
{
    for (int r = SCORES; r <= OUTPUT; r++)
        if (has_step(b, algorithm[r]) && !has_step(a, algorithm[r]))
            fail_without(c, algorithm[r], a);
}

// K and V of runs with a different number of KV heads have no counterpart.
static bool is_grouped_apart(const Contest *t)
{
    bool is_kv = listed("k,v,past_k,past_v", t->name);
    return is_kv && !same_heads(&t->a, &t->b);
}

// Loads one step of every run, judges it and forgets it: traces can be large.
static void judge_step(Comparison *c, const char *name, const Run *a, const Run *b, const Run *ref,
                       const Run *naive, CompareRules rules)
{
    Contest t = {name, step_load(a, name), step_load(b, name), step_load(ref, name),
                 step_load(naive, name), NAN};
    if (rules.bound >= 0)
        t.bound = bound_of(name, b, rules.bound);
    if (rules.steps || !is_grouped_apart(&t)) // what was asked for by name is not left out
        judge(c, &t, rules);
    else if (rules.notes)
        fprintf(rules.notes, "%s: not compared, the runs have different KV heads\n", name);
    step_free(&t.a);
    step_free(&t.b);
    step_free(&t.ref);
    step_free(&t.naive);
}

Comparison compare_paths(const char *a, const char *b, const char *ref, const char *naive,
                         CompareRules rules)
{
    Comparison c = {.verdict = BIT_EXACT};
    Run run[4] = {run_open(a), run_open(b), run_open(ref), run_open(naive)};
    CHECK(ref || !naive, "a naive run needs a reference");
    for (int n = 1; n < 4; n++)
        if (run[n].path && run[n].single != run[0].single)
            refuse(EXIT_USAGE, "%s and %s: expected two files or two directories", a, run[n].path);
    if (run[0].single && (rules.steps || rules.complete))
        refuse(EXIT_USAGE, "%s: a single file has no steps",
               rules.steps ? "--steps" : "--complete");
    if (rules.notes && !run[0].single) {
        note_alone(rules.notes, "A", &run[0], &run[1]);
        note_alone(rules.notes, "B", &run[1], &run[0]);
    }
    if (!run[0].single)
        require_steps(&c, rules.steps ? rules.steps : "output", &run[0], &run[1]);
    if (rules.complete)
        require_complete(&c, &run[0], &run[1]);
    for (long n = 0; n < run[0].count; n++) { // A's files are in the order of the algorithm
        const char *step = run[0].file[n].step;
        bool seen = n > 0 && strcmp(step, run[0].file[n - 1].step) == 0;
        if (!seen && is_wanted(step, rules.steps) && has_step(&run[1], step))
            judge_step(&c, step, &run[0], &run[1], &run[2], &run[3], rules);
    }
    conclude(&c);
    for (int n = 0; n < 4; n++)
        free(run[n].file);
    return c;
}

// --- values in memory -----------------------------------------------------------------------

// n floats or n doubles as a step of one series: what reading them from one file gives.
static Step step_of(const char *name, long n, const float *x, const double *wide)
{
    Step step = {.path = x || wide ? name : NULL};
    if (!step.path)
        return step;
    step.count = 1;
    step.series = grow(NULL, 1, sizeof *step.series);
    Series *s = step.series;
    *s = (Series){.step = "array", .file = true, .wide = wide, .axes = 1, .shape = {n}};
    s->rows = 1;
    s->values = n;
    s->row = grow(NULL, 1, sizeof *s->row);
    s->row[0] = (Row){.width = n};
    s->value = grow(NULL, n, sizeof *s->value);
    for (long i = 0; i < n; i++)
        s->value[i] = x ? (double)x[i] : wide[i];
    return step;
}

Comparison compare_floats(long n, const float *a, const float *b, const double *ref,
                          const float *naive, CompareRules rules)
{
    Comparison c = {.verdict = BIT_EXACT};
    CHECK(ref || !naive, "a naive run needs a reference");
    Contest t = {"array", step_of("A", n, a, NULL), step_of("B", n, b, NULL),
                 step_of("the reference", n, NULL, ref), step_of("the naive run", n, naive, NULL),
                 rules.bound};
    judge(&c, &t, rules);
    conclude(&c);
    step_free(&t.a);
    step_free(&t.b);
    step_free(&t.ref);
    step_free(&t.naive);
    return c;
}

// --- printed runs ---------------------------------------------------------------------------

typedef struct {
    double value;
    bool dot;              // a masked weight, printed as a dot
} Cell;

typedef struct {
    char name[PLACE];
    long rows, columns;
    long count;
    Cell *cell;            // [rows, columns]
    bool matched;
} TextStep;

typedef struct {
    const char *path;
    long count;
    TextStep *step;
} TextRun;

// "== name [3 x 4] ==" or "== name [3] ==", which is one column without a label.
static bool read_heading(TextStep *step, const char *line, bool *has_labels)
{
    int end = 0, name_end = 0, name_start = 0;
    *step = (TextStep){.columns = 1};
    if (sscanf(line, "== %n%*s%n [%ld", &name_start, &name_end, &step->rows) != 1)
        return false;
    if (sscanf(line + name_end, " [%*d x %ld] ==%n", &step->columns, &end) == 1 && end)
        *has_labels = true;
    else if (sscanf(line + name_end, " [%*d] ==%n", &end) == 0 && end)
        *has_labels = false;
    else
        return false;
    append(step->name, PLACE, "%.*s", name_end - name_start, line + name_start);
    return step->rows >= 0 && step->columns >= 0;
}

// A number as it was printed: 0.5000, 1.23e+04, -inf, nan or a dot.
static bool read_cell(Cell *cell, const char *word)
{
    char *end;
    *cell = (Cell){.dot = strcmp(word, ".") == 0};
    if (cell->dot)
        return true;
    cell->value = strtod(word, &end);
    return end != word && *end == '\0';
}

// The last `columns` words of a line are numbers; before them stands the row's label, which
// may hold anything. Words are cut off from the end.
static bool read_row(TextStep *step, char *line)
{
    if ((size_t)step->columns > strlen(line)) // before it is believed and allocated
        return false;
    step->cell = grow(step->cell, step->count + step->columns, sizeof *step->cell);
    for (long c = step->columns - 1; c >= 0; c--) {
        size_t n = strlen(line);
        while (n && isspace((unsigned char)line[n - 1]))
            n--;
        line[n] = '\0';
        while (n && !isspace((unsigned char)line[n - 1]))
            n--;
        if (!line[n] || !read_cell(&step->cell[step->count + c], line + n))
            return false;
        line[n] = '\0';
    }
    step->count += step->columns;
    return true;
}

// All steps of a printed run. An incomplete one is refused by file and line.
static TextRun text_open(const char *path)
{
    TextRun run = {.path = path};
    char *line = NULL;
    size_t size = 0;
    long number = 0;
    bool has_labels;
    TextStep step;
    FILE *f = fopen(path, "r");
    if (!f)
        refuse(EXIT_INPUT, "%s: %s", path, strerror(errno));
    while (getline(&line, &size, f) > 0) {
        number++;
        if (!read_heading(&step, line, &has_labels))
            continue; // what a program says between its steps
        if (has_labels && getline(&line, &size, f) > 0)
            number++;
        for (long r = 0; r < step.rows; r++, number++)
            if (getline(&line, &size, f) <= 0 || !read_row(&step, line))
                refuse(EXIT_INPUT, "%s:%ld: expected row %ld of %s, %ld numbers", path, number + 1,
                       r, step.name, step.columns);
        run.step = grow(run.step, run.count + 1, sizeof *run.step);
        run.step[run.count++] = step;
    }
    if (ferror(f))
        refuse(EXIT_INPUT, "%s: %s", path, strerror(errno));
    if (run.count == 0)
        refuse(EXIT_INPUT, "%s: expected steps headed == name [3 x 4] ==, found none", path);
    fclose(f);
    free(line);
    return run;
}

static void text_free(TextRun *run)
{
    for (long n = 0; n < run->count; n++)
        free(run->step[n].cell);
    free(run->step);
}

// What prints alike is alike, NaN included.
static bool same_cell(Cell x, Cell y)
{
    return x.dot == y.dot && equal(x.value, y.value, true);
}

// Holds one step against its counterpart; true if they agree.
static bool meet_text(TextComparison *c, const TextStep *x, const TextStep *y, FILE *notes)
{
    long differing = 0, at = 0;
    double worst = 0;
    c->steps++;
    if (x->rows != y->rows || x->columns != y->columns) {
        if (notes)
            fprintf(notes, "%-20s [%ld x %ld] and [%ld x %ld]\n", x->name, x->rows, x->columns,
                    y->rows, y->columns);
        return false;
    }
    c->values += x->count;
    for (long n = 0; n < x->count; n++) {
        double diff = fabs(x->cell[n].value - y->cell[n].value);
        if (same_cell(x->cell[n], y->cell[n]))
            continue;
        if (differing++ == 0 || (isnan(diff) && !isnan(worst)) || diff > worst) {
            worst = diff;
            at = n;
        }
    }
    c->differing += differing;
    if (differing && notes)
        fprintf(notes, "%-20s %ld of %ld numbers differ, by up to %.4g at [%ld,%ld]\n", x->name,
                differing, x->count, worst, at / x->columns, at % x->columns);
    return differing == 0;
}

// The next step of that name which nobody has taken yet.
static TextStep *counterpart(TextRun *run, const char *name)
{
    for (long n = 0; n < run->count; n++)
        if (!run->step[n].matched && strcmp(run->step[n].name, name) == 0) {
            run->step[n].matched = true;
            return &run->step[n];
        }
    return NULL;
}

TextComparison compare_texts(const char *a, const char *b, FILE *notes)
{
    TextComparison c = {0};
    TextRun x = text_open(a), y = text_open(b);
    long different = 0, alone = 0;
    for (long n = 0; n < x.count; n++) {
        TextStep *other = counterpart(&y, x.step[n].name);
        if (other)
            different += !meet_text(&c, &x.step[n], other, notes);
        else if (++alone && notes)
            fprintf(notes, "%-20s only in A\n", x.step[n].name);
    }
    for (long n = 0; n < y.count; n++)
        if (!y.step[n].matched && ++alone && notes)
            fprintf(notes, "%-20s only in B\n", y.step[n].name);
    c.same = !different && c.steps; // two runs without a common step are not the same
    if (c.same)
        append(c.text, sizeof c.text, "SAME          %ld step%s, %ld number%s", c.steps,
               c.steps == 1 ? "" : "s", c.values, c.values == 1 ? "" : "s");
    else
        append(c.text, sizeof c.text, "DIFFERS       %ld of %ld steps, %ld of %ld numbers",
               different, c.steps, c.differing, c.values);
    if (alone)
        append(c.text, sizeof c.text, "; in one run alone: %ld", alone);
    text_free(&x);
    text_free(&y);
    return c;
}
