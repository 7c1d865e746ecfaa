// oracle TRACE_DIR OUT_DIR [--mask SPEC] [--scale X]
//
// Reads Q, K and V of a recorded run, computes every step again in float64 and writes it under
// the names of the trace, for tests/compare.c to hold the run against. Prints `bound X`: how
// far the run's output may be from it.

#define _POSIX_C_SOURCE 200809L
#include "oracle.h"

#include "../common/fail.h"
#include "../common/npy.h"
#include "../common/output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *trace, *out, *mask;
    double scale; // NaN: 1/sqrt(D)
} Arguments;

typedef char Path[OUTPUT_PATH];

// --- the command line -----------------------------------------------------------------------

static const char *usage =
    "usage: oracle TRACE_DIR OUT_DIR [--mask SPEC] [--scale X]\n"
    "Computes a recorded run again in float64, the whole sequence at once.\n"
    "  --mask SPEC   as the chapters take it; default none\n"
    "  --scale X     default 1/sqrt(D)\n"
    "example: oracle build/trace/02 build/oracle/02 --mask causal\n";

// Negative scales and 0 mean something; inf and NaN do not.
static double read_scale(const char *text)
{
    char *end;
    double scale = strtod(text, &end);
    if (end == text || *end || !isfinite(scale))
        refuse(EXIT_USAGE, "--scale: expected a finite number, got \"%s\"", text);
    return scale;
}

static Arguments read_arguments(int argc, char **argv)
{
    Arguments a = {.mask = NULL, .scale = NAN};
    for (int n = 1; n < argc; n++) {
        bool is_mask = strcmp(argv[n], "--mask") == 0, is_scale = strcmp(argv[n], "--scale") == 0;
        if (strcmp(argv[n], "--help") == 0) {
            fputs(usage, stdout);
            output_finish();
            exit(0);
        }
        if ((is_mask || is_scale) && n + 1 == argc)
            refuse(EXIT_USAGE, "%s: expected a value", argv[n]);
        if ((is_mask && a.mask) || (is_scale && !isnan(a.scale)))
            refuse(EXIT_USAGE, "%s: given twice", argv[n]);
        if (is_mask)
            a.mask = argv[++n];
        else if (is_scale)
            a.scale = read_scale(argv[++n]);
        else if (argv[n][0] == '-' || a.out)
            refuse(EXIT_USAGE, "unknown argument %s; try --help", argv[n]);
        else if (a.trace)
            a.out = argv[n];
        else
            a.trace = argv[n];
    }
    if (!a.out)
        refuse(EXIT_USAGE, "expected TRACE_DIR and OUT_DIR; try --help");
    return a;
}

// --- reading a trace ------------------------------------------------------------------------

// Where step `step` of pass p, sequence b and head h lies in a trace directory.
static void path_of(Path path, const char *dir, long p, long b, long h, const char *step)
{
    int n = snprintf(path, OUTPUT_PATH, "%s/p%ld.b%ld.h%ld.%s.npy", dir, p, b, h, step);
    if (n >= OUTPUT_PATH)
        refuse(EXIT_USAGE, "%s: the name is too long", dir);
}

static bool has(const char *dir, long p, long b, long h, const char *step)
{
    Path path;
    path_of(path, dir, p, b, h, step);
    return access(path, F_OK) == 0;
}

// B, H and G are not written down anywhere: the file names tell. Both counts are 1 or more;
// where there is no file at all, reading the first one says so.
static long count_heads(const char *dir, const char *step)
{
    long heads = 1;
    while (has(dir, 0, 0, heads, step))
        heads++;
    return heads;
}

static long count_batches(const char *dir)
{
    long batches = 1;
    while (has(dir, 0, batches, 0, "q"))
        batches++;
    return batches;
}

static Tensor read_matrix(const char *dir, long p, long b, long h, const char *step)
{
    Path path;
    path_of(path, dir, p, b, h, step);
    Tensor t = npy_read_tensor(path);
    if (t.axes != 2)
        refuse(EXIT_INPUT, "%s: expected a matrix, got %d axes", path, t.axes);
    return t;
}

// a [n, D] over b [m, D] -> [n + m, D]; frees both.
static Tensor stack(Tensor a, Tensor b, const char *dir, const char *step)
{
    if (a.shape[1] != b.shape[1])
        refuse(EXIT_INPUT, "%s: %s has passes of %ld and of %ld columns", dir, step, a.shape[1],
               b.shape[1]);
    Tensor both = tensor_new(SHAPE(a.shape[0] + b.shape[0], a.shape[1]));
    tensor_copy(tensor_slice(both, 0, 0, a.shape[0]), a);
    tensor_copy(tensor_slice(both, 0, a.shape[0], both.shape[0]), b);
    tensor_free(&a);
    tensor_free(&b);
    return both;
}

// One head's rows in the whole run. Each pass of a cached run records the rows that came in
// with it; under each other they are the sequence.
static Tensor read_head(const char *dir, long b, long h, const char *step)
{
    Tensor all = read_matrix(dir, 0, b, h, step);
    for (long p = 1; has(dir, p, b, h, step); p++)
        all = stack(all, read_matrix(dir, p, b, h, step), dir, step);
    return all;
}

// The matrices of all batches and heads as one tensor [B, heads, rows, columns].
static Tensor read_step(const char *dir, long B, long heads, const char *step)
{
    Tensor first = read_head(dir, 0, 0, step);
    long rows = first.shape[0], columns = first.shape[1];
    Tensor all = tensor_new(SHAPE(B, heads, rows, columns));
    tensor_free(&first);
    for (long n = 0; n < B * heads; n++) {
        Tensor one = read_head(dir, n / heads, n % heads, step);
        if (one.shape[0] != rows || one.shape[1] != columns)
            refuse(EXIT_INPUT, "%s: %s of b%ld.h%ld is [%ld, %ld], of b0.h0 [%ld, %ld]", dir, step,
                   n / heads, n % heads, one.shape[0], one.shape[1], rows, columns);
        tensor_copy(tensor_at(tensor_at(all, n / heads), n % heads), one);
        tensor_free(&one);
    }
    return all;
}

// K or V, and in front of it what the cache held before the run: [B, G, P + M, D].
static Tensor read_keys(const char *dir, long B, const char *step, const char *past_step, long *P)
{
    Tensor now = read_step(dir, B, count_heads(dir, step), step);
    *P = 0;
    if (!has(dir, 0, 0, 0, past_step))
        return now;
    Tensor past = read_step(dir, B, now.shape[1], past_step);
    if (past.shape[3] != now.shape[3])
        refuse(EXIT_INPUT, "%s: %s has %ld columns, %s %ld", dir, past_step, past.shape[3], step,
               now.shape[3]);
    *P = past.shape[2];
    Tensor all = tensor_new(SHAPE(B, now.shape[1], *P + now.shape[2], now.shape[3]));
    tensor_copy(tensor_slice(all, 2, 0, *P), past);
    tensor_copy(tensor_slice(all, 2, *P, all.shape[2]), now);
    tensor_free(&past);
    tensor_free(&now);
    return all;
}

// What the steps must have in common; each file is sound by itself by now.
static void check_shapes(const char *dir, Tensor q, Tensor k, Tensor v, long past_k, long past_v)
{
    if (q.shape[3] != k.shape[3])
        refuse(EXIT_INPUT, "%s: q has %ld columns, k %ld", dir, q.shape[3], k.shape[3]);
    if (k.shape[1] != v.shape[1] || k.shape[2] != v.shape[2] || past_k != past_v)
        refuse(EXIT_INPUT, "%s: k has %ld heads of %ld + %ld rows, v %ld of %ld + %ld", dir,
               k.shape[1], past_k, k.shape[2] - past_k, v.shape[1], past_v, v.shape[2] - past_v);
    if (q.shape[1] % k.shape[1])
        refuse(EXIT_INPUT, "%s: %ld query heads do not divide over %ld KV heads", dir, q.shape[1],
               k.shape[1]);
}

// --- writing the answer ---------------------------------------------------------------------

// values [B, H, shape] -> one file a head, as one pass: the comparer stacks the other side.
static void write_step(const char *dir, OracleSizes s, const char *step, int axes,
                       const long *shape, const double *values)
{
    long count = axes == 1 ? shape[0] : shape[0] * shape[1];
    for (long n = 0; n < s.B * s.H; n++) {
        Path path;
        path_of(path, dir, 0, n / s.H, n % s.H, step);
        npy_write_double(path, axes, shape, values + n * count);
    }
}

static void compute_and_write(const char *dir, Tensor q, Tensor k, Tensor v, OracleSizes s,
                              double scale, const OracleMask *mask)
{
    long rows = s.B * s.H * s.N;
    OracleSteps to = {.scores = oracle_zeros(rows * s.M), .scaled = oracle_zeros(rows * s.M),
                      .masked = oracle_zeros(rows * s.M), .weights = oracle_zeros(rows * s.M),
                      .output = oracle_zeros(rows * s.Dv), .lse = oracle_zeros(rows)};
    oracle_attention(to, q.data, k.data, v.data, s, scale, mask);
    output_directory(dir);
    write_step(dir, s, "scores", SHAPE(s.N, s.M), to.scores);
    write_step(dir, s, "scaled", SHAPE(s.N, s.M), to.scaled);
    write_step(dir, s, "masked", SHAPE(s.N, s.M), to.masked);
    write_step(dir, s, "weights", SHAPE(s.N, s.M), to.weights);
    write_step(dir, s, "output", SHAPE(s.N, s.Dv), to.output);
    write_step(dir, s, "lse", SHAPE(s.N), to.lse);
    free(to.scores);
    free(to.scaled);
    free(to.masked);
    free(to.weights);
    free(to.output);
    free(to.lse);
}

int main(int argc, char **argv)
{
    fail_program("oracle");
    output_start();
    Arguments a = read_arguments(argc, argv);
    long past_k, past_v, B = count_batches(a.trace);
    Tensor q = read_step(a.trace, B, count_heads(a.trace, "q"), "q");
    Tensor k = read_keys(a.trace, B, "k", "past_k", &past_k);
    Tensor v = read_keys(a.trace, B, "v", "past_v", &past_v);
    check_shapes(a.trace, q, k, v, past_k, past_v);
    OracleSizes s = {B, q.shape[1], k.shape[1], q.shape[2], k.shape[2], q.shape[3], v.shape[3]};
    double scale = isnan(a.scale) ? 1 / sqrt((double)s.D) : a.scale;
    OracleMask mask = oracle_mask(a.mask ? a.mask : "none", s);
    mask.offset = past_k;
    compute_and_write(a.out, q, k, v, s, scale, &mask);
    printf("bound %.9g\n", oracle_bound(q.data, k.data, v.data, s, scale, &mask));
    oracle_mask_free(&mask);
    tensor_free(&q);
    tensor_free(&k);
    tensor_free(&v);
    output_finish();
    return 0;
}
