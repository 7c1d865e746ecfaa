// Chapter 02's contract on the device: the mask travels as a rule, and becomes an array only
// where the user brought one.

#include "../../chapters/02_masking/attention.h"
#include "02_masking.h"
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

// S = Q K^T in cuBLAS's columns (01_naive_attention.c explains them). It scores hidden pairs,
// too; hiding comes after.
static void scores_by_cublas(float *s, const float *q, const float *k, long N, long M, long D,
                             float scale, DeviceMask mask)
{
    const float zero = 0.0f, factor = scale_for_cublas(scale);
    int n = size_of(N), m = size_of(M), d = size_of(D);
    if (N * M > 0)
        BLAS(cublasSgemm(device_blas(), CUBLAS_OP_T, CUBLAS_OP_N, m, n, d, &factor, k, d, q, d,
                         &zero, s, m));
    if (scale == 0.0f)
        GPU(masked_scale(s, N, M, scale, device_stream()));
    GPU(masked_hide(s, N, M, mask, device_stream()));
}

static void output_by_cublas(float *out, const float *p, const float *v, const float *lse, long N,
                             long M, long Dv, DeviceMask mask)
{
    const float one = 1.0f, zero = 0.0f;
    int n = size_of(N), m = size_of(M), dv = size_of(Dv);
    if (N * M > 0)
        BLAS(cublasSgemm(device_blas(), CUBLAS_OP_N, CUBLAS_OP_N, dv, n, m, &one, v, dv, p, m,
                         &zero, out, dv));
    GPU(masked_repair(out, p, v, lse, N, M, Dv, mask, device_stream()));
}

// S[i,j] = scale * sum over d of Q[i,d] K[j,d] + bias[i,j], -inf where i may not look at j
static void scores(int by, float *s, const float *q, const float *k, long N, long M, long D,
                   float scale, DeviceMask mask)
{
    if (by == BY_CUBLAS)
        scores_by_cublas(s, q, k, N, M, D, scale, mask);
    else
        GPU(masked_scores(by, s, q, k, N, M, D, scale, mask, device_stream()));
    count_scores(N * M);
    count_flops(2 * N * M * D + N * M);
    count_moved(N * D + M * D, N * M);
}

// The scores as the chapter shows them: bare, scaled, masked. Whoever does not look gets all
// three in one kernel, with the same bits.
static void traced_scores(int by, float *s, const float *q, const float *k, long N, long M, long D,
                          float scale, DeviceMask mask, Trace *trace)
{
    const DeviceMask sees_all = {.window = -1, .prefix = -1, .keys = M};
    scores(by, s, q, k, N, M, D, 1.0f, sees_all);
    device_step(trace, "scores", s, SHAPE(N, M));
    GPU(masked_scale(s, N, M, scale, device_stream()));
    count_moved(N * M, N * M);
    device_step(trace, "scaled", s, SHAPE(N, M));
    GPU(masked_hide(s, N, M, mask, device_stream()));
    count_moved(N * M, N * M);
    device_step(trace, "masked", s, SHAPE(N, M));
}

// O[i,d] = sum over allowed j of P[i,j] V[j,d]
static void output(int by, float *out, const float *p, const float *v, const float *lse, long N,
                   long M, long Dv, DeviceMask mask)
{
    if (by == BY_CUBLAS)
        output_by_cublas(out, p, v, lse, N, M, Dv, mask);
    else
        GPU(masked_output(by, out, p, v, lse, N, M, Dv, mask, device_stream()));
    count_flops(2 * N * M * Dv); // as if nothing were hidden
    count_moved(N * M + M * Dv, N * Dv);
}

void attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
               const Mask *mask, Trace *trace)
{
    long N = q.shape[0], M = k.shape[0], D = q.shape[1], Dv = v.shape[1];
    long held = device_live_bytes();
    int by = device_kernel(device_kernels.names, device_kernels.usual);
    float *q_there = device_upload(q), *k_there = device_upload(k), *v_there = device_upload(v);
    float *s = device_floats(N * M); // the scores; the weights in the end
    float *out_there = device_floats(N * Dv), *lse_there = device_floats(N);
    DeviceMask rule = device_mask(mask, 0);

    if (trace_wanted(trace))
        traced_scores(by, s, q_there, k_there, N, M, D, scale, rule, trace);
    else
        scores(by, s, q_there, k_there, N, M, D, scale, rule);
    GPU(masked_softmax(by, s, lse_there, N, M, device_stream()));
    count_flops(5 * N * M);
    count_moved(N * M, N * M + N);
    device_step(trace, "weights", s, SHAPE(N, M));
    output(by, out_there, s, v_there, lse_there, N, M, Dv, rule);
    device_download(out, out_there);
    device_download(lse, lse_there);
    trace_step(trace, "output", out);
    trace_step(trace, "lse", lse);

    float **owned[] = {&q_there, &k_there, &v_there, &s, &out_there, &lse_there};
    for (int i = 0; i < 6; i++)
        device_free(owned[i]);
    device_mask_free(&rule);
    CHECK(device_live_bytes() == held, "%ld bytes stay on the device", device_live_bytes() - held);
}
