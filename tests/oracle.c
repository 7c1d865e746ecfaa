// Row by row and as plainly as the formula: softmax(scale Q K^T + bias) V over the keys that
// are seen. Float64 has 29 bits more than float32, so plain sums are exact enough to judge it.

#define _POSIX_C_SOURCE 200809L
#include "oracle.h"

#include "../common/fail.h"
#include "../common/npy.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const OracleMask ORACLE_SEES_ALL = {.window = -1, .prefix = -1};

// n zero elements, or a refusal.
static void *zeros(long n, size_t bytes)
{
    memory_require((double)n * (double)bytes, "the oracle");
    void *block = calloc((size_t)n + 1, bytes); // + 1: calloc(0) may return NULL
    if (!block)
        refuse(EXIT_MEMORY, "out of memory: %ld elements of %zu bytes", n, bytes);
    return block;
}

double *oracle_zeros(long n)
{
    return zeros(n, sizeof(double));
}

// --- the rules ------------------------------------------------------------------------------

// Where cell (b, h, i, j) lies in [B, H, N, M].
static long cell(OracleSizes s, long b, long h, long i, long j)
{
    return ((b * s.H + h) * s.N + i) * s.M + j;
}

static double bias_at(const OracleMask *mask, long at)
{
    return mask->bias ? mask->bias[at] : 0.0;
}

// One rule after the other, each able to say no.
bool oracle_allows(const OracleMask *mask, OracleSizes s, long b, long h, long i, long j)
{
    long p = i + (mask->from_end ? s.M - s.N : mask->offset);
    bool not_later = j <= p;
    if (mask->causal && !not_later)
        return false;
    // p - j rather than p - W: a window may be as large as a long.
    if (mask->window >= 0 && !(not_later && p - j <= mask->window))
        return false;
    if (mask->prefix >= 0 && !(not_later || j < mask->prefix))
        return false;
    if (mask->padding && j >= mask->padding[b])
        return false;
    return bias_at(mask, cell(s, b, h, i, j)) != -INFINITY;
}

// --- attention ------------------------------------------------------------------------------

// sum over d of x[d] y[d]. The product of two float32 numbers is exact in float64.
static double dot(const float *x, const float *y, long D)
{
    double sum = 0;
    for (long d = 0; d < D; d++)
        sum += (double)x[d] * (double)y[d];
    return sum;
}

// A step that was not asked for goes nowhere.
static void keep(double *step, long at, double x)
{
    if (step)
        step[at] = x;
}

// weight[j] = exp(logit[j] - L) over the keys that are seen; returns L = log sum exp(logit).
// The largest logit is subtracted first, so that exp cannot overflow. A NaN, once the
// largest, stays: nothing compares greater than it.
static double softmax(double *weight, const double *logit, const bool *sees, long M)
{
    double top = -INFINITY, sum = 0;
    for (long j = 0; j < M; j++)
        if (sees[j] && (isnan(logit[j]) || logit[j] > top))
            top = logit[j];
    bool dead = top == -INFINITY;
    for (long j = 0; j < M; j++) {
        weight[j] = sees[j] && !dead ? exp(logit[j] - top) : 0.0;
        sum += weight[j];
    }
    for (long j = 0; j < M; j++)
        if (sees[j] && !dead)
            weight[j] /= sum;
    return dead ? -INFINITY : top + log(sum);
}

// out[c] = sum over j of weight[j] V[j,c]. V is read only where its key is seen and the row
// lives: 0 times NaN would be NaN.
static void mix(double *out, const double *weight, const bool *sees, const float *v,
                OracleSizes s, bool dead)
{
    for (long c = 0; c < s.Dv; c++) {
        out[c] = 0;
        for (long j = 0; j < s.M && !dead; j++)
            if (sees[j])
                out[c] += weight[j] * (double)v[j * s.Dv + c];
    }
}

// Steps `scores` to `masked` of one row; what softmax needs of it goes to logit and sees.
static void score_row(OracleSteps to, double *logit, bool *sees, const float *q, const float *k,
                      OracleSizes s, const long at[3], double scale, const OracleMask *mask)
{
    for (long j = 0; j < s.M; j++) {
        long n = cell(s, at[0], at[1], at[2], j);
        double score = dot(q, k + j * s.D, s.D);
        sees[j] = oracle_allows(mask, s, at[0], at[1], at[2], j);
        logit[j] = sees[j] ? score * scale + bias_at(mask, n) : -INFINITY;
        keep(to.scores, n, score);
        keep(to.scaled, n, score * scale);
        keep(to.masked, n, logit[j]);
    }
}

void oracle_attention(OracleSteps to, const float *q, const float *k, const float *v,
                      OracleSizes s, double scale, const OracleMask *mask)
{
    double *logit = oracle_zeros(s.M), *weight = oracle_zeros(s.M), *out = oracle_zeros(s.Dv);
    bool *sees = zeros(s.M, sizeof *sees);
    for (long r = 0; r < s.B * s.H * s.N; r++) { // r counts the rows of q
        long i = r % s.N, h = r / s.N % s.H, b = r / s.N / s.H;
        long kv_head = b * s.G + h / (s.H / s.G); // neighbours share
        const long at[3] = {b, h, i};
        score_row(to, logit, sees, q + r * s.D, k + kv_head * s.M * s.D, s, at, scale, mask);
        double lse = softmax(weight, logit, sees, s.M);
        mix(out, weight, sees, v + kv_head * s.M * s.Dv, s, lse == -INFINITY);
        keep(to.lse, r, lse);
        for (long j = 0; j < s.M; j++)
            keep(to.weights, r * s.M + j, weight[j]);
        for (long c = 0; c < s.Dv; c++)
            keep(to.output, r * s.Dv + c, out[c]);
    }
    free(logit);
    free(weight);
    free(out);
    free(sees);
}

// --- the bound ------------------------------------------------------------------------------

// max(largest, |x|), or what there was if x is NaN or inf.
static double larger_finite(double largest, double x)
{
    return isfinite(x) && fabs(x) > largest ? fabs(x) : largest;
}

// sum over d of |x[d] y[d]|
static double dot_absolute(const float *x, const float *y, long D)
{
    double sum = 0;
    for (long d = 0; d < D; d++)
        sum += fabs((double)x[d] * (double)y[d]);
    return sum;
}

// The rounding of one logit costs (D + 2) 2^-24 A, and every logit counts twice, in its weight
// and in the sum that divides it; exp, that sum, the division and P V make up the rest. A bias
// is added and subtracted but never multiplied: 4 roundings of its size. M 2^-149 is what
// products w v below the smallest normal number may lose.
double oracle_bound(const float *q, const float *k, const float *v, OracleSizes s, double scale,
                    const OracleMask *mask)
{
    double A = 0, bias = 0, V = 0;
    for (long r = 0; r < s.B * s.H * s.N; r++) {
        long i = r % s.N, h = r / s.N % s.H, b = r / s.N / s.H;
        long kv_head = b * s.G + h / (s.H / s.G);
        for (long j = 0; j < s.M; j++) {
            if (!oracle_allows(mask, s, b, h, i, j))
                continue;
            long key = kv_head * s.M + j;
            A = larger_finite(A, scale * dot_absolute(q + r * s.D, k + key * s.D, s.D));
            bias = larger_finite(bias, bias_at(mask, r * s.M + j));
            for (long c = 0; c < s.Dv; c++)
                V = larger_finite(V, (double)v[key * s.Dv + c]);
        }
    }
    double roundings = (double)(s.D + 6) * A + 4 * bias + (double)(s.M + 5);
    return 0x1p-23 * roundings * V + (double)s.M * 0x1p-149;
}

// --- masks as they are written on the command line ------------------------------------------

// The number at *text, which must be all of it or end in a comma; moves behind the comma.
static long take_number(const char **text, const char *part)
{
    char *end;
    errno = 0;
    long n = strtol(*text, &end, 10);
    if (!isdigit((unsigned char)**text) || errno || (*end && *end != ','))
        refuse(EXIT_USAGE, "--mask %s: expected a whole number, got \"%s\"", part, *text);
    *text = *end ? end + 1 : end;
    return n;
}

// For rules that take one number and no list.
static long only_number(const char *text, const char *part)
{
    long n = take_number(&text, part);
    if (text[-1] == ',' || *text)
        refuse(EXIT_USAGE, "--mask %s: expected one number", part);
    return n;
}

// "3,5" -> how many keys count in each sequence, [B]
static const long *read_padding(const char *text, const char *part, long B)
{
    long given = 1;
    for (const char *c = text; *c; c++)
        given += *c == ',';
    if (given != B && given != 1)
        refuse(EXIT_USAGE, "--mask %s: expected %ld lengths, or 1 for all, got %ld", part, B,
               given);
    long *lengths = zeros(B, sizeof *lengths);
    for (long b = 0; b < B; b++)
        lengths[b] = given == 1 && b ? lengths[0] : take_number(&text, part);
    return lengths;
}

// numpy's broadcasting: axes are matched from the right, and an axis of 1 is repeated.
static void check_broadcast(const Npy *file, const char *path, const long full[4])
{
    if (file->kind != 'b' && file->kind != 'f')
        refuse(EXIT_INPUT, "%s: expected bool or float, got kind '%c'", path, file->kind);
    for (int a = 0; a < file->axes; a++) {
        int to = a + 4 - file->axes;
        if (to < 0 || (file->shape[a] != 1 && file->shape[a] != full[to]))
            refuse(EXIT_INPUT, "%s: axis %d has %ld elements, expected 1 or %ld", path, a,
                   file->shape[a], to < 0 ? 1 : full[to]);
    }
}

// Which element of the file cell n of [B, H, N, M] falls on.
static long broadcast_from(const Npy *file, const long full[4], long n)
{
    long at = 0, stride = 1;
    for (int to = 3, a = file->axes - 1; a >= 0; to--, a--) {
        at += file->shape[a] == 1 ? 0 : n % full[to] * stride;
        stride *= file->shape[a];
        n /= full[to];
    }
    return at;
}

// A second array adds to the first: allowed by both, -inf from either.
static const double *read_bias(const double *before, const char *path, OracleSizes s)
{
    const long full[4] = {s.B, s.H, s.N, s.M};
    long count = s.B * s.H * s.N * s.M;
    Npy file = npy_read(path);
    check_broadcast(&file, path, full);
    double *bias = oracle_zeros(count);
    for (long n = 0; n < count; n++) {
        double x = npy_value(&file, broadcast_from(&file, full, n));
        double add = file.kind == 'b' ? (x != 0 ? 0.0 : -INFINITY) : x;
        // -inf wins over whatever else is added, or -inf + inf would be NaN.
        double sum = before ? before[n] + add : add;
        bias[n] = add == -INFINITY || (before && before[n] == -INFINITY) ? -INFINITY : sum;
    }
    free((void *)before);
    npy_free(&file);
    return bias;
}

// One rule of "causal+padding=3,5". A rule that is there already is refused: which of two
// windows was meant?
static void take_part(OracleMask *mask, const char *part, OracleSizes s)
{
    size_t n = strlen(part);
    if (n > 4 && strcmp(part + n - 4, ".npy") == 0)
        mask->bias = read_bias(mask->bias, part, s);
    else if (strcmp(part, "causal") == 0 && !mask->causal)
        mask->causal = true;
    else if (strcmp(part, "causal-end") == 0 && !mask->causal) // one position, one offset
        mask->causal = mask->from_end = true;
    else if (strncmp(part, "prefix=", 7) == 0 && mask->prefix < 0)
        mask->prefix = only_number(part + 7, part);
    else if (strncmp(part, "window=", 7) == 0 && mask->window < 0)
        mask->window = only_number(part + 7, part);
    else if (strncmp(part, "padding=", 8) == 0 && !mask->padding)
        mask->padding = read_padding(part + 8, part, s.B);
    else if (strcmp(part, "none") != 0)
        refuse(EXIT_USAGE,
               "--mask: expected none, causal or causal-end, prefix=P, window=W, "
               "padding=L0,L1,... or a .npy, each once and joined by '+', got \"%s\"", part);
}

OracleMask oracle_mask(const char *spec, OracleSizes s)
{
    OracleMask mask = ORACLE_SEES_ALL;
    char *copy = strdup(spec);
    if (!copy)
        refuse(EXIT_MEMORY, "out of memory: %zu bytes", strlen(spec));
    for (char *part = copy, *next; part; part = next) {
        next = strchr(part, '+');
        if (next)
            *next++ = '\0';
        take_part(&mask, part, s);
    }
    free(copy);
    return mask;
}

void oracle_mask_free(OracleMask *mask)
{
    free((void *)mask->padding);
    free((void *)mask->bias);
    *mask = ORACLE_SEES_ALL;
}
