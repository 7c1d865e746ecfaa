#include "gpu_problem.h"

#include "../common/random.h"
#include "../kernels/cuda/04_gqa.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_CHECKED = 12, NAIVE = -1 };

const Solver solvers[] = {
    {"thread", "fp32", BY_THREAD, NULL, true, true, 0, false},
    {"warp", "fp32", BY_WARP, NULL, true, true, 0, false},
    {"cublas", "fp32", BY_CUBLAS, NULL, true, true, 0, false},
    {"tile", "fp32", NAIVE, launch_tile, true, false, 0, false},
    {"vector", "fp32", NAIVE, launch_vector, true, false, 0, false},
    {"banks", "fp32", NAIVE, launch_banks, true, false, 0, false},
    {"skip", "fp32", NAIVE, launch_skip, true, true, 0, false},
    {"split128", "fp32", NAIVE, launch_split, false, true, 128, false},
    {"split1024", "fp32", NAIVE, launch_split, false, true, 1024, false},
    {"paged128", "fp32", NAIVE, launch_paged, false, true, 128, true},
    {"paged1024", "fp32", NAIVE, launch_paged, false, true, 1024, true},
    {"mma", "bf16", NAIVE, launch_mma, true, false, 0, false},
    {"async", "bf16", NAIVE, launch_async, true, false, 0, false},
    {"wgmma", "bf16", NAIVE, launch_wgmma, true, false, 0, false},
};
const int solver_count = sizeof solvers / sizeof solvers[0];

// --- noise -------------------------------------------------------------------------------------

static Tensor noise;                    // [noise_count]
static float *noise_there, *noise16_there;

// The upper half of each number is itself one, cut to bf16: two in the place of a float.
static Tensor cut_halves(Tensor from)
{
    long n = from.shape[0] / 2;
    Tensor halves = tensor_new(SHAPE(n));
    for (long i = 0; i < n; i++) {
        uint32_t low, high;
        memcpy(&low, &from.data[2 * i], sizeof low);
        memcpy(&high, &from.data[2 * i + 1], sizeof high);
        low = low >> 16 | (high & 0xffff0000u);
        memcpy(&halves.data[i], &low, sizeof low);
    }
    return halves;
}

void problem_start(long count)
{
    Random r = random_seed(7);
    noise = tensor_new(SHAPE(count));
    for (long i = 0; i < count; i++)
        noise.data[i] = random_normal(&r);
    Tensor halves = cut_halves(noise);
    noise_there = device_upload(noise);
    noise16_there = device_upload(halves);
    tensor_free(&halves);
}

void problem_stop(void)
{
    device_free(&noise_there);
    device_free(&noise16_there);
    tensor_free(&noise);
}

// Copies of `from` [period] one behind the other, the first beginning at `shift`.
static float *repeated(const float *from, long period, long count, long shift)
{
    float *to = device_floats(count);
    for (long at = 0; at < count;) {
        long begin = (at + shift) % period, n = period - begin;
        n = n < count - at ? n : count - at;
        GPU(cudaMemcpyAsync(to + at, from + begin, (size_t)n * sizeof *to,
                            cudaMemcpyDeviceToDevice, device_stream()));
        at += n;
    }
    return to;
}

float *noise_floats(long count, long shift)
{
    return repeated(noise_there, noise.shape[0], count, shift);
}

float *noise_halves(long count)
{
    return repeated(noise16_there, noise.shape[0] / 2, count, 0);
}

enum { SHIFT_Q = 0, SHIFT_K = 1001, SHIFT_V = 500009 };

static double element(long e, long shift)
{
    return (double)noise.data[(e + shift) % noise.shape[0]];
}

// --- a problem ---------------------------------------------------------------------------------

double shape_flops(const Shape *s)
{
    return (s->causal ? 2.0 : 4.0) * s->B * s->H * s->N * (double)s->M * s->D;
}

double shape_kv_bytes(const Shape *s)
{
    return 8.0 * s->B * s->G * (double)s->M * s->D;
}

// Every block somewhere else: block i of all lies where i * 7919 + 3 points, a permutation as long
// as 7919, a prime, does not divide their number. M is a multiple of PAGE.
static void make_pages(Problem *p)
{
    long count = (long)p->shape.B * (p->shape.M / PAGE);
    p->pages = malloc((size_t)count * sizeof *p->pages);
    if (!p->pages)
        refuse(EXIT_MEMORY, "out of memory: a table of %ld blocks", count);
    CHECK(p->shape.M % PAGE == 0 && count % 7919 != 0, "%ld blocks", count);
    for (long i = 0; i < count; i++)
        p->pages[i] = (i * 7919 + 3) % count;
    p->table = device_longs(p->pages, count);
}

// Scores take the most room by far: at most a quarter of what is free.
static bool scores_fit(const Shape *s)
{
    size_t available = 0, total = 0;
    double bytes = 4.0 * s->B * s->H * s->N * (double)s->M;
    GPU(cudaMemGetInfo(&available, &total));
    return bytes < (double)available / 4;
}

static void make_decode(Problem *p)
{
    const Shape *s = &p->shape;
    long rows = (long)s->B * s->H, parts = (s->M + 127) / 128;
    p->state = device_floats(rows * parts * 2);
    p->acc = device_floats(rows * parts * s->D);
    make_pages(p);
}

// Room for Q, K and V in bf16. D is a multiple of 8, so that rows have no gaps.
static void make_halves(Problem *p, long queries, long keys)
{
    p->halves = device_floats((queries + 2 * keys) / 2);
    p->flash.q16 = (uint16_t *)(void *)p->halves;
    p->flash.k16 = p->flash.q16 + queries;
    p->flash.v16 = p->flash.k16 + keys;
}

Problem problem_make(const Shape *s)
{
    Problem p = {.shape = *s};
    long rows = (long)s->B * s->H * s->N, keys = (long)s->B * s->G * s->M;
    p.q = noise_floats(rows * s->D, SHIFT_Q);
    p.k = noise_floats(keys * s->D, SHIFT_K);
    p.v = noise_floats(keys * s->D, SHIFT_V);
    p.out = device_floats(rows * s->D);
    p.lse = device_floats(rows);
    if (scores_fit(s))
        p.scores = device_floats(rows * s->M);
    if (s->N == 1)
        make_decode(&p);
    else
        make_halves(&p, rows * s->D, keys * s->D);
    Flash f = {.B = s->B, .H = s->H, .G = s->G, .N = s->N, .M = s->M, .D = s->D, .Dv = s->D,
               .scale = 1 / sqrtf((float)s->D), .q = p.q, .k = p.k, .v = p.v, .out = p.out,
               .lse = p.lse, .mask = {.causal = s->causal, .window = -1, .prefix = -1,
               .keys = s->M}, .state = p.state, .acc = p.acc, .table = p.table,
               .entries = s->M / PAGE, .T = PAGE, .q16 = p.flash.q16, .k16 = p.flash.k16,
               .v16 = p.flash.v16};
    p.flash = f;
    return p;
}

void problem_free(Problem *p)
{
    float **floats[] = {&p->q, &p->k, &p->v, &p->out, &p->lse, &p->scores, &p->halves, &p->state,
                        &p->acc};
    for (int i = 0; i < 9; i++)
        device_free(floats[i]);
    device_free(&p->cuts);
    device_free(&p->table);
    free(p->pages);
    p->pages = NULL;
}

void problem_poison(Problem *p)
{
    size_t rows = (size_t)p->shape.B * (size_t)p->shape.H * (size_t)p->shape.N;
    GPU(cudaMemsetAsync(p->out, 0xff, rows * (size_t)p->shape.D * sizeof(float),
                        device_stream()));
    GPU(cudaMemsetAsync(p->lse, 0xff, rows * sizeof(float), device_stream()));
}

// --- solving it --------------------------------------------------------------------------------

bool solver_applies(const Solver *w, const Problem *p)
{
    return (p->shape.N == 1 ? w->decode : w->prefill) && (w->launch || p->scores);
}

// S = Q K^T and O = P V for all groups at once, as kernels/cuda/04_gqa.c has them.
static cublasStatus_t multiply_scores(const Problem *p)
{
    const float zero = 0.0f;
    const Shape *s = &p->shape;
    int n = s->H / s->G * s->N;
    return cublasSgemmStridedBatched(device_blas(), CUBLAS_OP_T, CUBLAS_OP_N, s->M, n, s->D,
                                     &p->flash.scale, p->k, s->D, (long long)s->M * s->D, p->q,
                                     s->D, (long long)n * s->D, &zero, p->scores, s->M,
                                     (long long)n * s->M, s->B * s->G);
}

static cublasStatus_t multiply_values(const Problem *p)
{
    const float one = 1.0f, zero = 0.0f;
    const Shape *s = &p->shape;
    int n = s->H / s->G * s->N;
    return cublasSgemmStridedBatched(device_blas(), CUBLAS_OP_N, CUBLAS_OP_N, s->D, n, s->M, &one,
                                     p->v, s->D, (long long)s->M * s->D, p->scores, s->M,
                                     (long long)n * s->M, &zero, p->out, s->D,
                                     (long long)n * s->D, s->B * s->G);
}

// Scores, weights, output: the three passes of chapter 04.
static cudaError_t solve_in_passes(int by, Problem *p)
{
    const Shape *s = &p->shape;
    const DeviceMask mask = p->flash.mask;
    cudaStream_t stream = device_stream();
    cudaError_t error = cudaSuccess;
    if (by == BY_CUBLAS)
        BLAS(multiply_scores(p));
    else
        error = groups_scores(by, p->scores, p->q, p->k, s->B, s->H, s->G, s->N, s->M, s->D,
                              p->flash.scale, mask, stream);
    if (error == cudaSuccess && by == BY_CUBLAS && s->causal)
        error = groups_hide(p->scores, s->B, s->H, s->N, s->M, mask, stream);
    if (error == cudaSuccess)
        error = groups_softmax(by, p->scores, p->lse, s->B, s->H, s->N, s->M, stream);
    if (error == cudaSuccess && by == BY_CUBLAS)
        BLAS(multiply_values(p));
    else if (error == cudaSuccess)
        error = groups_output(by, p->out, p->scores, p->v, p->lse, s->B, s->H, s->G, s->N, s->M,
                              s->D, mask, stream);
    return error;
}

// A cut every `part` keys, unless that is how they lie already.
static void make_cuts(Problem *p, int part)
{
    long parts = (p->shape.M + part - 1) / part;
    if (p->cuts && p->flash.parts == parts)
        return;
    long *cuts = malloc((size_t)(parts + 1) * sizeof *cuts);
    if (!cuts)
        refuse(EXIT_MEMORY, "out of memory: %ld cuts", parts);
    for (long c = 0; c <= parts; c++)
        cuts[c] = c < parts ? c * part : p->shape.M;
    device_free(&p->cuts);
    p->cuts = device_longs(cuts, parts + 1);
    free(cuts);
    p->flash.cuts = p->cuts;
    p->flash.parts = (int)parts;
}

cudaError_t solve(const Solver *w, Problem *p)
{
    return w->launch ? w->launch(&p->flash, device_stream()) : solve_in_passes(w->by, p);
}

void problem_prepare(Problem *p, const Solver *w)
{
    if (w->part)
        make_cuts(p, w->part);
}

// --- is it right? --------------------------------------------------------------------------------

double solver_bound(const Solver *w)
{
    return strcmp(w->type, "bf16") == 0 ? 2e-2 : 1e-5;
}

// Which row of K and V is key j of group g of sequence b?
static long key_row(const Problem *p, const Solver *w, long b, long g, long j)
{
    const Shape *s = &p->shape;
    if (!w->paged)
        return (b * s->G + g) * s->M + j;
    return (p->pages[b * (s->M / PAGE) + j / PAGE] * s->G + g) * PAGE + j % PAGE;
}

// O[i,:] and L[i] in float64: out [D]. weights: [M], scratch. Returns L.
static double reference_row(const Problem *p, const Solver *w, long b, long h, long i, double *out,
                            double *weights)
{
    const Shape *s = &p->shape;
    long g = h / (s->H / s->G), keys = s->causal ? i + 1 : s->M, D = s->D;
    double max = -INFINITY, sum = 0;
    for (long j = 0; j < keys; j++) {
        long row = key_row(p, w, b, g, j);
        weights[j] = 0;
        for (long d = 0; d < D; d++)
            weights[j] += element(((b * s->H + h) * s->N + i) * D + d, SHIFT_Q) *
                          element(row * D + d, SHIFT_K);
        weights[j] *= (double)p->flash.scale;
        max = fmax(max, weights[j]);
    }
    memset(out, 0, (size_t)D * sizeof *out);
    for (long j = 0; j < keys; j++) {
        double weight = exp(weights[j] - max);
        long row = key_row(p, w, b, g, j);
        sum += weight;
        for (long d = 0; d < D; d++)
            out[d] += weight * element(row * D + d, SHIFT_V);
    }
    for (long d = 0; d < D; d++)
        out[d] /= sum;
    return max + log(sum);
}

static bool has_nan(Tensor t)
{
    for (long i = 0; i < tensor_count(t); i++)
        if (isnan(t.data[i]))
            return true;
    return false;
}

// The rows that are checked: the first, the last, and some between.
static double rows_error(const Problem *p, const Solver *w, Tensor out, Tensor lse)
{
    const Shape *s = &p->shape;
    long rows = (long)s->B * s->H * s->N, D = s->D;
    double *ref = malloc((size_t)D * sizeof *ref), *weights = malloc((size_t)s->M * sizeof *ref);
    double off = 0, norm = 0, lse_off = 0;
    CHECK(ref && weights, "no room for a row of %d keys", s->M);
    for (long c = 0; c < ROWS_CHECKED; c++) {
        long row = c * (rows - 1) / (ROWS_CHECKED - 1);
        double l = reference_row(p, w, row / s->N / s->H, row / s->N % s->H, row % s->N, ref,
                                 weights);
        for (long d = 0; d < D; d++) {
            double x = (double)out.data[row * D + d] - ref[d];
            off += x * x;
            norm += ref[d] * ref[d];
        }
        lse_off = fmax(lse_off, fabs((double)lse.data[row] - l) / fmax(1, fabs(l)));
    }
    free(ref);
    free(weights);
    return fmax(sqrt(off / norm), lse_off);
}

double problem_error(const Problem *p, const Solver *w)
{
    long rows = (long)p->shape.B * p->shape.H * p->shape.N;
    Tensor out = tensor_new(SHAPE(rows, p->shape.D)), lse = tensor_new(SHAPE(rows));
    device_download(out, p->out);
    device_download(lse, p->lse);
    double error = has_nan(out) || has_nan(lse) ? (double)NAN : rows_error(p, w, out, lse);
    tensor_free(&out);
    tensor_free(&lse);
    return error;
}
