#include "projection.h"

#include "count.h"
#include "npy.h"
#include "random.h"

#include <math.h>
#include <string.h>

// y[i,o] = b[o] + sum over e of x[i,e] W[o,e]
void linear(Tensor y, Tensor x, Linear l)
{
    long n = x.shape[0], in = x.shape[1], out = l.w.shape[0];
    CHECK(y.shape[0] == n && y.shape[1] == out && l.w.shape[1] == in,
          "linear: [%ld, %ld] x [%ld, %ld] into [%ld, %ld]", n, in, out, l.w.shape[1], y.shape[0],
          y.shape[1]);
    for (long i = 0; i < n; i++)
        for (long o = 0; o < out; o++) {
            const float *xi = row(x, i), *wo = row(l.w, o);
            float sum = 0.0f;
            for (long e = 0; e < in; e++)
                sum += xi[e] * wo[e];
            row(y, i)[o] = l.b.data ? sum + l.b.data[o] : sum;
        }
    count_flops(2 * n * out * in + (l.b.data ? n * out : 0));
    count_moved(n * in + out * in + (l.b.data ? out : 0), n * out);
}

static void fill_identity(Tensor w)
{
    tensor_fill(w, 0.0f);
    for (long i = 0; i < w.shape[0]; i++)
        row(w, i)[i] = 1.0f;
}

// Uniform in +-1/sqrt(in), as nn.Linear begins: a sum of `in` products stays near 1.
static void fill_seeded(Tensor w, uint64_t seed)
{
    float most = 1.0f / sqrtf((float)w.shape[1]);
    tensor_random(w, seed);
    for (long i = 0; i < w.shape[0]; i++)
        for (long j = 0; j < w.shape[1]; j++)
            row(w, i)[j] *= most;
}

Linear linear_read(const char *flag, const char *weights, const char *bias, long out, long in,
                   uint64_t seed)
{
    Linear l = {0};
    if (weights && strcmp(weights, "identity") != 0) {
        l.w = npy_read_tensor(weights);
        if (l.w.axes != 2 || l.w.shape[0] != out || l.w.shape[1] != in)
            refuse(EXIT_INPUT, "%s: %s expects [%ld x %ld], got %d axes, the first two %ld x %ld",
                   weights, flag, out, in, l.w.axes, l.w.shape[0], l.w.shape[1]);
    } else {
        if (weights && out != in)
            refuse(EXIT_USAGE, "%s identity: expected a square matrix, this one is [%ld x %ld]",
                   flag, out, in);
        l.w = tensor_new(SHAPE(out, in));
        if (weights)
            fill_identity(l.w);
        else
            fill_seeded(l.w, seed);
    }
    if (bias) {
        l.b = npy_read_tensor(bias);
        if (l.b.axes != 1 || l.b.shape[0] != out)
            refuse(EXIT_INPUT, "%s: a bias expects [%ld], got %d axes, the first %ld", bias, out,
                   l.b.axes, l.b.shape[0]);
    }
    return l;
}

void linear_free(Linear *l)
{
    if (l->w.block)
        tensor_free(&l->w);
    if (l->b.block)
        tensor_free(&l->b);
}
