// The rank of the weight matrix P [N, N]: how many independent mixtures of the values its rows
// make. P comes from scores of rank D; a causal mask makes it triangular. Measured by singular
// values, which LAPACK computes where the machine has it.
#define _POSIX_C_SOURCE 200809L
#include "experiment.h"

#include "attention.h"

#include "../../common/measure.h"
#include "../../common/random.h"

#include <dlfcn.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 9, LEAST_N = 8, MOST_N = 128 };

// What was found in each sample of one size, with one mask.
typedef struct {
    double rank[SAMPLES];     // singular values above N * 2^-23 * the largest
    double ratio[SAMPLES];    // the smallest over the largest: 1 / condition
    double diagonal[SAMPLES]; // the least P[i,i]
} Found;

// --- singular values -----------------------------------------------------------------------

// LAPACKE_dgesdd, from LAPACK's C interface: a = U diag(s) V^T. With job 'N' only s, in falling
// order; a is overwritten. Returns 0 unless it failed.
typedef int Svd(int layout, char job, int rows, int columns, double *a, int a_stride, double *s,
                double *u, int u_stride, double *vt, int vt_stride);

enum { ROW_MAJOR = 101 };

// Looked for when the experiment runs, not when it is linked: the chapter builds without it.
// NULL where no such library is. The library stays loaded until dlclose(*library).
static Svd *svd_load(void **library)
{
    static const char *const names[] = {"liblapacke.so.3", "liblapacke.so", "liblapacke.dylib"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *library = dlopen(names[i], RTLD_NOW);
        Svd *svd = *library ? (Svd *)dlsym(*library, "LAPACKE_dgesdd") : NULL;
        if (svd)
            return svd;
    }
    return NULL;
}

// --- one weight matrix -----------------------------------------------------------------------

// p: [N, N]    q, k: [N, D]
//
// attention() keeps its weights to itself and returns O = P V. With the identity for V that is
// P, to the last bit: each cell is one weight times 1, plus zeros.
static void weigh(Tensor p, Tensor q, Tensor k, float scale, const char *spec)
{
    long N = q.shape[0];
    Tensor identity = tensor_new(SHAPE(N, N)), lse = tensor_new(SHAPE(N));
    Mask all = mask_read(spec, 1, 1, N, N), mask = mask_head(&all, 0, 0);
    Trace quiet = {.quiet = true};
    tensor_fill(identity, 0.0f);
    for (long i = 0; i < N; i++)
        row(identity, i)[i] = 1.0f;
    attention(p, lse, q, k, identity, scale, &mask, &quiet);
    mask_free(&all);
    tensor_free(&identity);
    tensor_free(&lse);
}

// The rule of numpy.linalg.matrix_rank: what is not above max(rows, columns) * eps * the largest
// counts as 0. eps is float32's, 2^-23: P was computed in float32, its singular values in double.
static void examine(Found *to, int sample, Tensor p, Svd *svd)
{
    static double a[MOST_N * MOST_N], s[MOST_N];
    long N = p.shape[0];
    double least = 1.0, rank = 0.0;
    for (long i = 0; i < N; i++) {
        for (long j = 0; j < N; j++)
            a[i * N + j] = (double)row(p, i)[j];
        least = fmin(least, a[i * N + i]);
    }
    int n = (int)N, info = svd(ROW_MAJOR, 'N', n, n, a, n, s, NULL, n, NULL, n);
    CHECK(info == 0, "LAPACKE_dgesdd returned %d", info);
    for (long i = 0; i < N; i++)
        rank += s[i] > (double)N * (double)FLT_EPSILON * s[0];
    to->rank[sample] = rank;
    to->ratio[sample] = s[N - 1] / s[0];
    to->diagonal[sample] = least;
}

// --- the table -------------------------------------------------------------------------------

// A double SVD finds nothing below about N * 2^-52 of the largest; its digits there are noise,
// another with every library.
static void print_ratio(double ratio)
{
    if (ratio < 1e-13)
        printf("%13s", "< 1e-13");
    else
        printf("%13.0e", ratio);
}

// SAMPLES pairs of Q and K, each weighed without a mask and with the causal one.
static void print_size(long N, long D, float factor, Random *r, Svd *svd)
{
    Tensor q = tensor_new(SHAPE(N, D)), k = tensor_new(SHAPE(N, D)); // [N, D]
    Tensor p = tensor_new(SHAPE(N, N));                              // [N, N]
    float scale = factor / sqrtf((float)D);
    Found open, causal;
    for (int sample = 0; sample < SAMPLES; sample++) {
        tensor_normal(q, r);
        tensor_normal(k, r);
        weigh(p, q, k, scale, "none");
        examine(&open, sample, p, svd);
        weigh(p, q, k, scale, "causal");
        examine(&causal, sample, p, svd);
    }
    printf("%6.0f %4ld %5ld %12.0f", (double)factor, D, N, measure_median(open.rank, SAMPLES));
    print_ratio(measure_median(open.ratio, SAMPLES));
    printf(" %12.0f", measure_median(causal.rank, SAMPLES));
    print_ratio(measure_median(causal.ratio, SAMPLES));
    printf(" %13.0e\n", measure_median(causal.diagonal, SAMPLES));
    tensor_free(&q);
    tensor_free(&k);
    tensor_free(&p);
}

// What holds of the table under any seed.
static void print_conclusion(void)
{
    printf("\nrank: singular values above N * 2^-23 * the largest. factor: of q.k / sqrt(D).\n\n"
           "A causal P is triangular, so det P is the product of its diagonal, all positive: on\n"
           "paper its rank is N, whatever Q and K. Measured, that holds only nearly: at large N\n"
           "the smallest singular value falls far below the least P[i,i], and a few directions\n"
           "are lost, more of them the sharper the scores.\n"
           "Without the mask the rank depends on D. D = 2 leaves it far below a large N, and the\n"
           "mask raises it; at D = 8 it is all but full, and better conditioned than masked.\n");
}

static void run_rank(const Options *o)
{
    void *library = NULL;
    Svd *svd = svd_load(&library);
    if (!svd) {
        printf("rank: skipped: liblapacke.so.3 is not here (apt install liblapacke; "
               "macOS: brew install lapack)\n");
        return;
    }
    Random r = random_seed((uint64_t)o->seed);
    printf("== rank of the weights P [N x N], median of %d random Q and K ==\n", SAMPLES);
    printf("%17s%26s%40s\n", "", "without a mask", "with the causal mask");
    printf("%6s %4s %5s %12s%13s %12s%13s %13s\n", "factor", "D", "N", "rank", "s_min/s_max",
           "rank", "s_min/s_max", "least P[i,i]");
    for (long factor = 1; factor <= 4; factor *= 4)
        for (long D = 2; D <= 8; D *= 2)
            for (long N = LEAST_N; N <= MOST_N; N *= 2)
                print_size(N, D, (float)factor, &r, svd);
    print_conclusion();
    dlclose(library);
}

void experiment(const Options *o)
{
    options_only(o, "--experiment", "--experiment --seed");
    if (strcmp(o->experiment, "rank") != 0)
        refuse(EXIT_USAGE, "--experiment: expected %s, got \"%s\"", o->chapter->experiments,
               o->experiment);
    run_rank(o);
}
