// The fast build's linear(), by OpenBLAS's matrix product. The rest of common/projection.c is used
// as it is; its own linear() is called linear_plain in this build.

#include "../../common/projection.h"

#include "blas.h"

#include "../../common/count.h"

void linear_plain(Tensor y, Tensor x, Linear l);

// y = x W^T, the bias last. Counts what the plain one counts.
void linear(Tensor y, Tensor x, Linear l)
{
    long n = x.shape[0], in = x.shape[1], out = l.w.shape[0];
    if (!blas_is_here()) {
        linear_plain(y, x, l);
        return;
    }
    blas_multiply(y, x, l.w, true);
    for (long i = 0; l.b.data && i < n; i++)
        for (long o = 0; o < out; o++)
            row(y, i)[o] += l.b.data[o];
    count_flops(2 * n * out * in + (l.b.data ? n * out : 0));
    count_moved(n * in + out * in + (l.b.data ? out : 0), n * out);
}
