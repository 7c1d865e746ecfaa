// Chapter 01's contract on the device: what goes there, the steps in the chapter's order, what
// comes back. No arithmetic happens here.

#include "../../chapters/01_naive_attention/attention.h"
#include "01_naive_attention.h"
#include "device.h"

#include "../../common/count.h"

const DeviceKernels device_kernels = {"thread warp cublas", "warp", NULL};

// cuBLAS is told sizes as ints.
static int size_of(long n)
{
    CHECK(n <= 2147483647, "a side of %ld is too long for cuBLAS", n);
    return (int)n;
}

// A factor of 0 lets cuBLAS write zeros without looking at Q and K, but 0 * NaN is NaN: that
// factor is left to our own kernel.
static float scale_for_cublas(float scale)
{
    return scale == 0.0f ? 1.0f : scale;
}

// cuBLAS and rows. cuBLAS was made for Fortran: it believes that a matrix lies in memory column
// by column. What we store as rows of an [r, c] matrix A it therefore takes for the columns of a
// [c, r] matrix: it sees A^T. Nothing has to be moved, for (A B)^T = B^T A^T: ask it for the
// product of what it sees, factors exchanged, and what it stores as columns are our rows.
//
//     S   = Q K^T  [N, M]     S^T = K Q^T     it sees K^T, so K is "transposed"; Q^T is as wanted
//     O   = P V    [N, Dv]    O^T = V^T P^T   it sees both as wanted
//
// The number beside each matrix is the length of its rows here, of its columns there.
static void scores_by_cublas(float *s, const float *q, const float *k, long N, long M, long D,
                             float scale)
{
    const float zero = 0.0f, factor = scale_for_cublas(scale);
    int n = size_of(N), m = size_of(M), d = size_of(D);
    if (N * M > 0)
        BLAS(cublasSgemm(device_blas(), CUBLAS_OP_T, CUBLAS_OP_N, m, n, d, &factor, k, d, q, d,
                         &zero, s, m));
    if (scale == 0.0f)
        GPU(naive_scale(s, N, M, scale, device_stream()));
}

static void output_by_cublas(float *out, const float *p, const float *v, const float *lse, long N,
                             long M, long Dv)
{
    const float one = 1.0f, zero = 0.0f;
    int n = size_of(N), m = size_of(M), dv = size_of(Dv);
    if (N * M > 0)
        BLAS(cublasSgemm(device_blas(), CUBLAS_OP_N, CUBLAS_OP_N, dv, n, m, &one, v, dv, p, m,
                         &zero, out, dv));
    GPU(naive_clear(out, lse, N, Dv, device_stream()));
}

// S[i,j] = scale * sum over d of Q[i,d] K[j,d]
static void scores(int by, float *s, const float *q, const float *k, long N, long M, long D,
                   float scale)
{
    if (by == BY_CUBLAS)
        scores_by_cublas(s, q, k, N, M, D, scale);
    else
        GPU(naive_scores(by, s, q, k, N, M, D, scale, device_stream()));
    count_scores(N * M);
    count_flops(2 * N * M * D + N * M);
    count_moved(N * D + M * D, N * M);
}

// The scores as the chapter shows them, before they are scaled and after. Whoever does not look
// gets them scaled at once: one kernel fewer, the same bits.
static void traced_scores(int by, float *s, const float *q, const float *k, long N, long M, long D,
                          float scale, Trace *trace)
{
    scores(by, s, q, k, N, M, D, 1.0f);
    device_step(trace, "scores", s, SHAPE(N, M));
    GPU(naive_scale(s, N, M, scale, device_stream()));
    count_moved(N * M, N * M);
    device_step(trace, "scaled", s, SHAPE(N, M));
}

// O[i,d] = sum over j of P[i,j] V[j,d]
static void output(int by, float *out, const float *p, const float *v, const float *lse, long N,
                   long M, long Dv)
{
    if (by == BY_CUBLAS)
        output_by_cublas(out, p, v, lse, N, M, Dv);
    else
        GPU(naive_output(by, out, p, v, lse, N, M, Dv, device_stream()));
    count_flops(2 * N * M * Dv);
    count_moved(N * M + M * Dv, N * Dv);
}

void attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale, Trace *trace)
{
    long N = q.shape[0], M = k.shape[0], D = q.shape[1], Dv = v.shape[1];
    long held = device_live_bytes();
    int by = device_kernel(device_kernels.names, device_kernels.usual);
    float *q_there = device_upload(q), *k_there = device_upload(k), *v_there = device_upload(v);
    float *s = device_floats(N * M); // the scores; the weights in the end
    float *out_there = device_floats(N * Dv), *lse_there = device_floats(N);

    if (trace_wanted(trace))
        traced_scores(by, s, q_there, k_there, N, M, D, scale, trace);
    else
        scores(by, s, q_there, k_there, N, M, D, scale);
    GPU(naive_softmax(by, s, lse_there, N, M, device_stream()));
    count_flops(5 * N * M);
    count_moved(N * M, N * M + N);
    device_step(trace, "weights", s, SHAPE(N, M));
    output(by, out_there, s, v_there, lse_there, N, M, Dv);
    device_download(out, out_there);
    device_download(lse, lse_there);
    trace_step(trace, "output", out);
    trace_step(trace, "lse", lse);

    float **owned[] = {&q_there, &k_there, &v_there, &s, &out_there, &lse_there};
    for (int i = 0; i < 6; i++)
        device_free(owned[i]);
    CHECK(device_live_bytes() == held, "%ld bytes stay on the device", device_live_bytes() - held);
}
