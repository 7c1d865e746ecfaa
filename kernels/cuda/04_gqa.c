// Chapter 04's contract on the device: K and V are uploaded once for each group, and read there by
// all its heads.

#include "../../chapters/04_gqa/attention.h"
#include "04_gqa.h"
#include "device.h"

#include "../../common/count.h"

const DeviceKernels device_kernels = {"thread warp cublas", "warp", NULL};

// The sizes of a call, by the letters of docs/NOTATION.md.
typedef struct {
    long B, H, G, N, M, D, Dv;
} Sizes;

// --- products by cuBLAS ----------------------------------------------------------------------

// cuBLAS is told sizes as ints.
static int size_of(long n)
{
    CHECK(n <= 2147483647, "a side of %ld is too long for cuBLAS", n);
    return (int)n;
}

// The queries of the H / G heads of a group follow each other in memory: one matrix with H / G
// times as many rows, and one product for all heads that share a K.
static int rows_of_group(Sizes z)
{
    return size_of(z.H / z.G * z.N);
}

// A factor of 0 lets cuBLAS write zeros without looking at Q and K, but 0 * NaN is NaN: that
// factor is left to our own kernel.
static float scale_for_cublas(float scale)
{
    return scale == 0.0f ? 1.0f : scale;
}

// S = Q K^T in cuBLAS's columns (01_naive_attention.c explains them), B * G of them in one call:
// it is told how far apart the groups' matrices lie. Hiding comes after.
static void scores_by_cublas(float *s, const float *q, const float *k, Sizes z, float scale,
                             DeviceMask mask)
{
    const float zero = 0.0f, factor = scale_for_cublas(scale);
    int n = rows_of_group(z), m = size_of(z.M), d = size_of(z.D), groups = size_of(z.B * z.G);
    if (z.B * z.N * z.M > 0)
        BLAS(cublasSgemmStridedBatched(device_blas(), CUBLAS_OP_T, CUBLAS_OP_N, m, n, d, &factor,
                                       k, d, z.M * z.D, q, d, n * z.D, &zero, s, m, n * z.M,
                                       groups));
    if (scale == 0.0f)
        GPU(groups_scale(s, z.B, z.H, z.N, z.M, scale, device_stream()));
    GPU(groups_hide(s, z.B, z.H, z.N, z.M, mask, device_stream()));
}

// O = P V, likewise.
static void output_by_cublas(float *out, const float *p, const float *v, const float *lse, Sizes z,
                             DeviceMask mask)
{
    const float one = 1.0f, zero = 0.0f;
    int n = rows_of_group(z), m = size_of(z.M), dv = size_of(z.Dv), groups = size_of(z.B * z.G);
    if (z.B * z.N * z.M > 0)
        BLAS(cublasSgemmStridedBatched(device_blas(), CUBLAS_OP_N, CUBLAS_OP_N, dv, n, m, &one, v,
                                       dv, z.M * z.Dv, p, m, n * z.M, &zero, out, dv,
                                       n * z.Dv, groups));
    GPU(groups_repair(out, p, v, lse, z.B, z.H, z.G, z.N, z.M, z.Dv, mask, device_stream()));
}

// --- steps -----------------------------------------------------------------------------------

// What a trace shows of all heads, [B, H, N, M] each; no data where nobody looks. The device
// computes all heads of a step before the next step; a trace has all steps of a head together.
typedef struct {
    Tensor scores, scaled, masked, weights;
} Seen;

static Tensor look(const float *s, Sizes z)
{
    Tensor copied = tensor_new(SHAPE(z.B, z.H, z.N, z.M));
    device_download(copied, s);
    return copied;
}

// S[i,j] = scale * sum over d of Q[i,d] K[j,d] + bias[i,j], -inf where i may not look at j
static void scores(int by, float *s, const float *q, const float *k, Sizes z, float scale,
                   DeviceMask mask)
{
    long pairs = z.B * z.H * z.N * z.M;
    if (by == BY_CUBLAS)
        scores_by_cublas(s, q, k, z, scale, mask);
    else
        GPU(groups_scores(by, s, q, k, z.B, z.H, z.G, z.N, z.M, z.D, scale, mask,
                          device_stream()));
    count_scores(pairs);
    count_flops(2 * pairs * z.D + pairs);
    count_moved(z.B * (z.H * z.N + z.G * z.M) * z.D, pairs);
}

// The scores as the chapter shows them: bare, scaled, masked. Whoever does not look gets all
// three in one kernel, with the same bits.
static void traced_scores(int by, float *s, const float *q, const float *k, Sizes z, float scale,
                          DeviceMask mask, Seen *seen)
{
    const DeviceMask sees_all = {.window = -1, .prefix = -1, .keys = z.M};
    long pairs = z.B * z.H * z.N * z.M;
    scores(by, s, q, k, z, 1.0f, sees_all);
    seen->scores = look(s, z);
    GPU(groups_scale(s, z.B, z.H, z.N, z.M, scale, device_stream()));
    count_moved(pairs, pairs);
    seen->scaled = look(s, z);
    GPU(groups_hide(s, z.B, z.H, z.N, z.M, mask, device_stream()));
    count_moved(pairs, pairs);
    seen->masked = look(s, z);
}

// P[i,j] = exp(S[i,j] - max) / sum of the row, in place;    L[i] = max + log(sum)
static void softmax(int by, float *s, float *lse, Sizes z)
{
    long rows = z.B * z.H * z.N;
    GPU(groups_softmax(by, s, lse, z.B, z.H, z.N, z.M, device_stream()));
    count_flops(5 * rows * z.M);
    count_moved(rows * z.M, rows * z.M + rows);
}

// O[i,d] = sum over allowed j of P[i,j] V[j,d]
static void output(int by, float *out, const float *p, const float *v, const float *lse, Sizes z,
                   DeviceMask mask)
{
    long rows = z.B * z.H * z.N;
    if (by == BY_CUBLAS)
        output_by_cublas(out, p, v, lse, z, mask);
    else
        GPU(groups_output(by, out, p, v, lse, z.B, z.H, z.G, z.N, z.M, z.Dv, mask,
                          device_stream()));
    count_flops(2 * rows * z.M * z.Dv); // as if nothing were hidden
    count_moved(rows * z.M + z.B * z.G * z.M * z.Dv, rows * z.Dv);
}

// x[b][h]: the matrix of one head, [N, D] of [B, H, N, D].
static Tensor head(Tensor x, long b, long h)
{
    return tensor_at(tensor_at(x, b), h);
}

static void emit(Trace *trace, const char *name, Tensor x, long b, long h)
{
    if (x.data)
        trace_step(trace, name, head(x, b, h));
}

// Head by head, in the chapter's order.
static void emit_all(Trace *trace, const Seen *seen, Tensor out, Tensor lse)
{
    for (long b = 0; b < out.shape[0]; b++)
        for (long h = 0; h < out.shape[1]; h++) {
            trace_at(trace, b, h);
            emit(trace, "scores", seen->scores, b, h);
            emit(trace, "scaled", seen->scaled, b, h);
            emit(trace, "masked", seen->masked, b, h);
            emit(trace, "weights", seen->weights, b, h);
            emit(trace, "output", out, b, h);
            emit(trace, "lse", lse, b, h);
        }
}

static void forget(Seen *seen)
{
    Tensor *owned[] = {&seen->scores, &seen->scaled, &seen->masked, &seen->weights};
    for (int i = 0; i < 4; i++)
        if (owned[i]->block)
            tensor_free(owned[i]);
}

// --- the contract ----------------------------------------------------------------------------

void attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
               const Mask *mask, Trace *trace)
{
    Sizes z = {.B = q.shape[0], .H = q.shape[1], .G = k.shape[1], .N = q.shape[2],
               .M = k.shape[2], .D = q.shape[3], .Dv = v.shape[3]};
    Seen seen = {0};
    long held = device_live_bytes();
    int by = device_kernel(device_kernels.names, device_kernels.usual);
    device_check_grid(z.B, z.H);
    float *q_there = device_upload(q), *k_there = device_upload(k), *v_there = device_upload(v);
    float *s = device_floats(z.B * z.H * z.N * z.M); // the scores; the weights in the end
    float *out_there = device_floats(z.B * z.H * z.N * z.Dv);
    float *lse_there = device_floats(z.B * z.H * z.N);
    DeviceMask rule = device_mask(mask, z.B);

    if (trace_wanted(trace))
        traced_scores(by, s, q_there, k_there, z, scale, rule, &seen);
    else
        scores(by, s, q_there, k_there, z, scale, rule);
    softmax(by, s, lse_there, z);
    if (!trace->quiet)
        seen.weights = look(s, z);
    output(by, out_there, s, v_there, lse_there, z, rule);
    device_download(out, out_there);
    device_download(lse, lse_there);
    emit_all(trace, &seen, out, lse);

    float **owned[] = {&q_there, &k_there, &v_there, &s, &out_there, &lse_there};
    for (int i = 0; i < 6; i++)
        device_free(owned[i]);
    device_mask_free(&rule);
    forget(&seen);
    CHECK(device_live_bytes() == held, "%ld bytes stay on the device", device_live_bytes() - held);
}
