// A library that is only looked for when it is needed, and that is not trusted: what it gives is
// compared with what a loop gives before anything depends on it.

#define _POSIX_C_SOURCE 200809L
#include "blas.h"

#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What a program that is linked with OpenBLAS would get from its header. It is written down here
// because the header may not be on this machine either.

// Netlib's numbers for what a matrix is like.
enum { ROW_MAJOR = 101, AS_IT_LIES = 111, TURNED = 112 };

// C = alpha A B + beta C, and y = alpha A x + beta y. The strides are from row to row.
typedef void Sgemm(int order, int turn_a, int turn_b, int n, int m, int depth, float alpha,
                   const float *a, int a_stride, const float *b, int b_stride, float beta,
                   float *c, int c_stride);
typedef void Sgemv(int order, int turn, int rows, int columns, float alpha, const float *a,
                   int a_stride, const float *x, int x_step, float beta, float *y, int y_step);

static struct {
    bool looked;
    Sgemm *sgemm; // NULL: a plain loop
    Sgemv *sgemv;
    void (*set_threads)(int count); // NULL: the library decides (Accelerate)
    char name[80];
} blas = {.name = "a plain loop: OpenBLAS is not here"};

// --- products ------------------------------------------------------------------------------------

// C[i,j] = sum over e of A[i,e] B[e,j], the inner loop along a row of whatever B is.
static void multiply_plainly(Tensor c, Tensor a, Tensor b, bool turned)
{
    long n = c.shape[0], m = c.shape[1], depth = a.shape[1];
    tensor_fill(c, 0.0f);
    for (long i = 0; i < n; i++) {
        float *ci = row(c, i), *ai = row(a, i);
        for (long j = 0; turned && j < m; j++)
            for (long e = 0; e < depth; e++)
                ci[j] += ai[e] * row(b, j)[e];
        for (long e = 0; !turned && e < depth; e++)
            for (long j = 0; j < m; j++)
                ci[j] += ai[e] * row(b, e)[j];
    }
}

// One row is a product of a matrix and a vector, which reads the matrix as it lies: the other
// function would copy it into an order of its own first, for the sake of a single use.
static void multiply_by_blas(Tensor c, Tensor a, Tensor b, bool turned)
{
    int n = (int)c.shape[0], m = (int)c.shape[1], depth = (int)a.shape[1];
    int rows = (int)b.shape[0], columns = (int)b.shape[1], stride = (int)b.stride[0];
    if (n == 1)
        blas.sgemv(ROW_MAJOR, turned ? AS_IT_LIES : TURNED, rows, columns, 1.0f, b.data, stride,
                   a.data, 1, 0.0f, c.data, 1);
    else
        blas.sgemm(ROW_MAJOR, AS_IT_LIES, turned ? TURNED : AS_IT_LIES, n, m, depth, 1.0f, a.data,
                   (int)a.stride[0], b.data, stride, 0.0f, c.data, (int)c.stride[0]);
}

// --- opening it ----------------------------------------------------------------------------------

// Whole numbers from -4 to 3: sums of their products are exact, in any order.
static void fill(Tensor t)
{
    static unsigned state = 1;
    for (long i = 0; i < tensor_count(t); i++) {
        state = state * 1664525u + 1013904223u;
        t.data[i] = (float)(state >> 16 & 7) - 4.0f;
    }
}

// Are two numbers the same, or both NaN? Nothing is rounded, so nothing need be allowed for.
static bool agree(float x, float y)
{
    return x == y || (isnan(x) && isnan(y));
}

// Does one product come out as a plain loop's, into memory that held NaN? A NaN in the first row of
// A must not leave that row.
static bool multiplies(long n, long m, long depth, bool turned)
{
    Tensor a = tensor_new(SHAPE(n, depth)), c = tensor_new(SHAPE(n, m));
    Tensor b = turned ? tensor_new(SHAPE(m, depth)) : tensor_new(SHAPE(depth, m));
    Tensor wanted = tensor_new(SHAPE(n, m));
    bool right = true;
    fill(a);
    fill(b);
    if (n > 1)
        row(a, 0)[depth - 1] = NAN;
    multiply_by_blas(c, a, b, turned);
    multiply_plainly(wanted, a, b, turned);
    for (long i = 0; i < n * m; i++)
        right = right && agree(c.data[i], wanted.data[i]);
    tensor_free(&a);
    tensor_free(&b);
    tensor_free(&c);
    tensor_free(&wanted);
    return right;
}

// Sizes below, at and above those that a library's inner loops take at once.
static bool is_right(void)
{
    static const long sizes[][3] = {{1, 33, 17}, {1, 64, 64}, {2, 3, 5}, {7, 31, 9}, {33, 65, 17},
                                    {64, 64, 64}, {97, 130, 70}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (!multiplies(sizes[i][0], sizes[i][1], sizes[i][2], false) ||
            !multiplies(sizes[i][0], sizes[i][1], sizes[i][2], true))
            return false;
    return true;
}

// "OpenBLAS 0.3.21 DYNAMIC_ARCH ..." is what OpenBLAS says of itself: two words of it.
static void name_it(void *library, const char *file)
{
    char *(*config)(void) = (char *(*)(void))dlsym(library, "openblas_get_config");
    char word[2][24] = {"", ""};
    if (config && sscanf(config(), "%23s %23s", word[0], word[1]) == 2)
        snprintf(blas.name, sizeof blas.name, "%s %s", word[0], word[1]);
    else
        snprintf(blas.name, sizeof blas.name, "%.63s", file);
}

// The first of these libraries that has the product; NULL where none is.
static void *open_any(const char **file)
{
    static const char *const files[] = {
        "libopenblas.so.0", "libopenblas.so", "/opt/homebrew/opt/openblas/lib/libopenblas.dylib",
        "/usr/local/opt/openblas/lib/libopenblas.dylib",
        "/System/Library/Frameworks/Accelerate.framework/Accelerate"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        void *library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
        *file = files[i];
        if (library && dlsym(library, "cblas_sgemm") && dlsym(library, "cblas_sgemv"))
            return library;
        if (library)
            dlclose(library);
    }
    return NULL;
}

// Once. What was opened stays open to the end of the program. OpenBLAS makes its threads while it
// is opened, as many as this variable says: one, unless the user wants more.
static void look(void)
{
    const char *file;
    blas.looked = true;
    if (setenv("OPENBLAS_NUM_THREADS", "1", 0) != 0)
        return;
    void *library = open_any(&file);
    if (!library)
        return;
    name_it(library, file);
    blas.sgemm = (Sgemm *)dlsym(library, "cblas_sgemm");
    blas.sgemv = (Sgemv *)dlsym(library, "cblas_sgemv");
    blas.set_threads = (void (*)(int))dlsym(library, "openblas_set_num_threads");
    blas_threads(1);
    if (!is_right()) {
        snprintf(blas.name, sizeof blas.name, "a plain loop: %.30s gives wrong results", file);
        blas.sgemm = NULL;
    }
}

bool blas_is_here(void)
{
    if (!blas.looked)
        look();
    return blas.sgemm;
}

const char *blas_name(void)
{
    (void)blas_is_here();
    return blas.name;
}

void blas_threads(int count)
{
    if (blas_is_here() && blas.set_threads)
        blas.set_threads(count);
}

// The library's sizes are ints.
static bool fits(Tensor t)
{
    return t.shape[0] <= INT_MAX && t.shape[1] <= INT_MAX && t.stride[0] <= INT_MAX;
}

void blas_multiply(Tensor c, Tensor a, Tensor b, bool turned)
{
    long m = turned ? b.shape[0] : b.shape[1], depth = turned ? b.shape[1] : b.shape[0];
    CHECK(a.shape[0] == c.shape[0] && a.shape[1] == depth && m == c.shape[1],
          "[%ld, %ld] x [%ld, %ld] into [%ld, %ld]", a.shape[0], a.shape[1], depth, m, c.shape[0],
          c.shape[1]);
    bool some = c.shape[0] > 0 && m > 0 && depth > 0;
    if (some && fits(a) && fits(b) && fits(c) && blas_is_here())
        multiply_by_blas(c, a, b, turned);
    else
        multiply_plainly(c, a, b, turned);
}
