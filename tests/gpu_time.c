// gpu_bench time: milliseconds by the device's own clock, kernels in turn, caches emptied before
// each launch; every result is checked before it is timed.

#define _POSIX_C_SOURCE 200809L
#include "gpu_bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_ROUNDS = 15 };

// --- time ----------------------------------------------------------------------------------------

static cudaEvent_t begin, end;
static float *flushed;           // as large as twice any L2, written before each launch
static size_t flushed_bytes;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double started;

static bool out_of_time(void)
{
    return now() - started > flags.seconds;
}

static void flush(void)
{
    GPU(cudaMemsetAsync(flushed, 0, flushed_bytes, device_stream()));
    GPU(cudaEventRecord(begin, device_stream()));
}

// Milliseconds since flush().
static double elapsed(void)
{
    float ms;
    GPU(cudaEventRecord(end, device_stream()));
    GPU(cudaEventSynchronize(end));
    GPU(cudaEventElapsedTime(&ms, begin, end));
    return (double)ms;
}

static double time_once(const Solver *w, Problem *p)
{
    problem_prepare(p, w);
    flush();
    cudaError_t error = solve(w, p);
    CHECK(error == cudaSuccess, "%s: %s", w->name, cudaGetErrorString(error));
    return elapsed();
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The samples of one kernel on one problem.
typedef struct {
    double ms[MOST_ROUNDS], off;
    int rounds, wanted;
    const char *status;
} Samples;

static const char header[] = "what,B,H,G,N,M,D,mask,kernel,type,rounds,median_ms,min_ms,max_ms,"
                             "tflops,gbs,off,status\n";

static void print_samples(Samples *x, double flops, double bytes)
{
    double ms;
    if (x->rounds == 0) {
        printf(",0,,,,,,,%s\n", x->status);
        return;
    }
    qsort(x->ms, (size_t)x->rounds, sizeof *x->ms, by_size);
    ms = x->ms[x->rounds / 2];
    printf(",%d,%.5f,%.5f,%.5f,%.3f,%.1f,%.2g,%s\n", x->rounds, ms, x->ms[0],
           x->ms[x->rounds - 1], flops / ms * 1e-9, bytes / ms * 1e-6, x->off, x->status);
}

static void print_row(const Solver *w, const Shape *s, Samples *x)
{
    print_shape(s);
    printf(",%s,%s", w->name, w->type);
    print_samples(x, shape_flops(s), s->N == 1 ? shape_kv_bytes(s) : 0);
    fflush(stdout);
}

static double rate[MOST_SOLVERS]; // flops a millisecond, when last seen

// The first run: right or not, and how many more fit into a third of a second.
static Samples first_run(const Solver *w, Problem *p)
{
    Samples x = {.status = "ok"};
    double *known = &rate[w - solvers];
    if (*known > 0 && shape_flops(&p->shape) / *known > 4000)
        return (Samples){.status = "too slow"};
    problem_poison(p);
    cudaError_t error = launch_and_wait(w, p);
    if (error == cudaErrorNotSupported)
        return (Samples){.status = "not supported"};
    if (error != cudaSuccess) {
        x.status = "failed";
        print_row(w, &p->shape, &x);
        exit(EXIT_DIFFERS);
    }
    x.off = problem_error(p, w);
    if (!(x.off <= solver_bound(w))) {
        failures++;
        x.status = "wrong";
    }
    double ms = time_once(w, p);
    *known = shape_flops(&p->shape) / ms;
    x.wanted = ms > 700 ? 1 : ms > 100 ? 3 : MOST_ROUNDS;
    if (flags.tiny)
        x.wanted = 1;
    return x;
}

// Round by round, all kernels in turn, so that a clock that falls meets all of them.
static void time_shape(const Shape *s)
{
    Samples x[MOST_SOLVERS] = {0};
    Problem p = problem_make(s);
    for (int w = 0; w < solver_count; w++)
        if (is_wanted(&solvers[w], &p))
            x[w] = first_run(&solvers[w], &p);
    for (int round = 0; round < MOST_ROUNDS; round++)
        for (int w = 0; w < solver_count; w++)
            if (round < x[w].wanted)
                x[w].ms[x[w].rounds++] = time_once(&solvers[w], &p);
    for (int w = 0; w < solver_count; w++)
        if (x[w].status)
            print_row(&solvers[w], s, &x[w]);
    problem_free(&p);
}

// --- the limits ------------------------------------------------------------------------------

// What the chip does at best, by the same clock: a matrix product by cuBLAS, a copy.
typedef struct {
    float *a, *b, *c;
    int n;
    long floats;
} Limit;

static void multiply_fp32(const Limit *l)
{
    const float one = 1, zero = 0;
    BLAS(cublasSgemm(device_blas(), CUBLAS_OP_N, CUBLAS_OP_N, l->n, l->n, l->n, &one, l->a, l->n,
                     l->b, l->n, &zero, l->c, l->n));
}

static void multiply_bf16(const Limit *l)
{
    const float one = 1, zero = 0;
    BLAS(cublasGemmEx(device_blas(), CUBLAS_OP_T, CUBLAS_OP_N, l->n, l->n, l->n, &one, l->a,
                      CUDA_R_16BF, l->n, l->b, CUDA_R_16BF, l->n, &zero, l->c, CUDA_R_16BF, l->n,
                      CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
}

static void copy(const Limit *l)
{
    GPU(cudaMemcpyAsync(l->c, l->a, (size_t)l->floats * sizeof(float), cudaMemcpyDeviceToDevice,
                        device_stream()));
}

static void time_limit(const char *name, const char *type, void (*work)(const Limit *), Limit l,
                       double flops, double bytes)
{
    Samples x = {.status = "ok"};
    for (int round = -2; round < (flags.tiny ? 1 : MOST_ROUNDS); round++) {
        flush();
        work(&l);
        double ms = elapsed();
        if (round >= 0)
            x.ms[x.rounds++] = ms;
    }
    printf("limit,,,,%d,,,,%s,%s", l.n, name, type);
    print_samples(&x, flops, bytes);
    fflush(stdout);
}

static void time_limits(void)
{
    int n = flags.tiny ? 48 : 8192;
    long count = (long)n * n, many = flags.tiny ? 4096 : 1L << 29;
    double flops = 2.0 * n * n * n;
    Limit l = {.a = noise_floats(count, 0), .b = noise_floats(count, 5), .c = device_floats(count),
               .n = n};
    time_limit("cublas", "fp32", multiply_fp32, l, flops, 0);
    float **owned[] = {&l.a, &l.b, &l.c};
    for (int i = 0; i < 3; i++)
        device_free(owned[i]);
    l.a = noise_halves(count / 2);
    l.b = noise_halves(count / 2);
    l.c = device_floats(count / 2);
    time_limit("cublas", "bf16", multiply_bf16, l, flops, 0);
    for (int i = 0; i < 3; i++)
        device_free(owned[i]);
    l = (Limit){.a = noise_floats(many, 0), .c = device_floats(many), .floats = many};
    time_limit("copy", "bytes", copy, l, 0, 8.0 * (double)many);
    device_free(&l.a);
    device_free(&l.c);
}

void time_all(void)
{
    Shape list[MOST_SHAPES];
    int n = timed_shapes(list);
    flushed_bytes = flags.tiny ? 4096 : (size_t)256 << 20;
    flushed = device_floats((long)(flushed_bytes / sizeof *flushed));
    GPU(cudaEventCreate(&begin));
    GPU(cudaEventCreate(&end));
    started = now();
    printf("%s", header);
    time_limits();
    for (int i = 0; i < n && !out_of_time(); i++)
        time_shape(&list[i]);
    GPU(cudaEventDestroy(begin));
    GPU(cudaEventDestroy(end));
    device_free(&flushed);
}

