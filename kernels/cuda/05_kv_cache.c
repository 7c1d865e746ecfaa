// Chapter 05's contract on the device: what the cache holds stays there from pass to pass, and a
// new token brings one row. The host's cache is kept up beside it: the chapter prints it.

#include "../../chapters/05_kv_cache/attention.h"
#include "05_kv_cache.h"
#include "device.h"

#include "../../common/count.h"

const DeviceKernels device_kernels = {"thread warp cublas", "warp", NULL};

// The sizes of a call, by the letters of docs/NOTATION.md.
typedef struct {
    long B, H, G, N, M, D, Dv;
} Sizes;

// --- the cache's mirror ----------------------------------------------------------------------

// The cache's memory once more, float for float, in device memory.
static struct {
    const Cache *of;
    const float *host;  // where the cache's memory was
    long len, capacity; // tokens
    float *k, *v;
} mirror;

static DeviceRows rows_of(float *data, Tensor held)
{
    return (DeviceRows){data, {held.stride[0], held.stride[1], held.stride[2]}};
}

// Does the mirror hold what the cache holds? Pass 0 of a run begins with a cache that nobody here
// has seen, at whatever address. Later passes find it as the one before left it, or rewound.
static bool mirror_follows(const Cache *c, const Trace *trace)
{
    return trace->pass > 0 && mirror.of == c && mirror.host == c->k.data &&
           mirror.capacity == c->capacity && mirror.len >= c->len;
}

// The whole memory, free rows and all: they are NaN there, too.
static void mirror_upload(const Cache *c)
{
    device_free(&mirror.k);
    device_free(&mirror.v);
    mirror.k = device_upload(c->k);
    mirror.v = device_upload(c->v);
    mirror.of = c;
    mirror.host = c->k.data;
    mirror.len = c->len;
    mirror.capacity = c->capacity;
}

// The new tokens of one memory, written by the device itself.
static void append_rows(DeviceRows memory, Tensor rows, long from)
{
    float *there = device_upload(rows);
    GPU(cached_append(memory, there, rows.shape[0], rows.shape[1], from, rows.shape[2],
                      rows.shape[3], device_stream()));
    device_free(&there);
}

// Chapter 05's cache_append, on both sides. A cache that grew lies elsewhere: it is uploaded.
static void append(Cache *c, Tensor k, Tensor v, const Trace *trace)
{
    long from = c->len, room = c->capacity;
    if (!mirror_follows(c, trace))
        mirror_upload(c);
    cache_append(c, k, v);
    if (c->capacity != room) {
        mirror_upload(c);
        return;
    }
    append_rows(rows_of(mirror.k, cache_keys(c)), k, from);
    append_rows(rows_of(mirror.v, cache_values(c)), v, from);
    mirror.len = c->len;
}

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

// S = Q K^T in cuBLAS's columns (01_naive_attention.c explains them), one call a sequence: its G
// groups lie a stride apart, and a key's row may be longer than the key. Hiding comes after.
static void scores_by_cublas(float *s, const float *q, DeviceRows k, Sizes z, float scale,
                             DeviceMask mask)
{
    const float zero = 0.0f, factor = scale_for_cublas(scale);
    int n = rows_of_group(z), m = size_of(z.M), d = size_of(z.D), groups = size_of(z.G);
    for (long b = 0; b < z.B && z.N * z.M > 0; b++)
        BLAS(cublasSgemmStridedBatched(device_blas(), CUBLAS_OP_T, CUBLAS_OP_N, m, n, d, &factor,
                                       k.data + b * k.stride[0], size_of(k.stride[2]), k.stride[1],
                                       q + b * z.H * z.N * z.D, d, n * z.D, &zero,
                                       s + b * z.H * z.N * z.M, m, n * z.M, groups));
    if (scale == 0.0f)
        GPU(cached_scale(s, z.B, z.H, z.N, z.M, scale, device_stream()));
    GPU(cached_hide(s, z.B, z.H, z.N, z.M, mask, device_stream()));
}

// O = P V, likewise.
static void output_by_cublas(float *out, const float *p, DeviceRows v, const float *lse, Sizes z,
                             DeviceMask mask)
{
    const float one = 1.0f, zero = 0.0f;
    int n = rows_of_group(z), m = size_of(z.M), dv = size_of(z.Dv), groups = size_of(z.G);
    for (long b = 0; b < z.B && z.N * z.M > 0; b++)
        BLAS(cublasSgemmStridedBatched(device_blas(), CUBLAS_OP_N, CUBLAS_OP_N, dv, n, m, &one,
                                       v.data + b * v.stride[0], size_of(v.stride[2]), v.stride[1],
                                       p + b * z.H * z.N * z.M, m, n * z.M, &zero,
                                       out + b * z.H * z.N * z.Dv, dv, n * z.Dv, groups));
    GPU(cached_repair(out, p, v, lse, z.B, z.H, z.G, z.N, z.M, z.Dv, mask, device_stream()));
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
static void scores(int by, float *s, const float *q, DeviceRows k, Sizes z, float scale,
                   DeviceMask mask)
{
    long pairs = z.B * z.H * z.N * z.M;
    if (by == BY_CUBLAS)
        scores_by_cublas(s, q, k, z, scale, mask);
    else
        GPU(cached_scores(by, s, q, k, z.B, z.H, z.G, z.N, z.M, z.D, scale, mask,
                          device_stream()));
    count_scores(pairs);
    count_flops(2 * pairs * z.D + pairs);
    count_moved(z.B * (z.H * z.N + z.G * z.M) * z.D, pairs);
}

// The scores as the chapter shows them: bare, scaled, masked. Whoever does not look gets all
// three in one kernel, with the same bits.
static void traced_scores(int by, float *s, const float *q, DeviceRows k, Sizes z, float scale,
                          DeviceMask mask, Seen *seen)
{
    const DeviceMask sees_all = {.window = -1, .prefix = -1, .keys = z.M};
    long pairs = z.B * z.H * z.N * z.M;
    scores(by, s, q, k, z, 1.0f, sees_all);
    seen->scores = look(s, z);
    GPU(cached_scale(s, z.B, z.H, z.N, z.M, scale, device_stream()));
    count_moved(pairs, pairs);
    seen->scaled = look(s, z);
    GPU(cached_hide(s, z.B, z.H, z.N, z.M, mask, device_stream()));
    count_moved(pairs, pairs);
    seen->masked = look(s, z);
}

// P[i,j] = exp(S[i,j] - max) / sum of the row, in place;    L[i] = max + log(sum)
static void softmax(int by, float *s, float *lse, Sizes z)
{
    long rows = z.B * z.H * z.N;
    GPU(cached_softmax(by, s, lse, z.B, z.H, z.N, z.M, device_stream()));
    count_flops(5 * rows * z.M);
    count_moved(rows * z.M, rows * z.M + rows);
}

// O[i,d] = sum over allowed j of P[i,j] V[j,d]
static void output(int by, float *out, const float *p, DeviceRows v, const float *lse, Sizes z,
                   DeviceMask mask)
{
    long rows = z.B * z.H * z.N;
    if (by == BY_CUBLAS)
        output_by_cublas(out, p, v, lse, z, mask);
    else
        GPU(cached_output(by, out, p, v, lse, z.B, z.H, z.G, z.N, z.M, z.Dv, mask,
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
               const Mask *mask, Cache *cache, Trace *trace)
{
    Seen seen = {0};
    int by = device_kernel(device_kernels.names, device_kernels.usual);
    device_check_grid(q.shape[0], q.shape[1]);
    append(cache, k, v, trace);
    Tensor all_k = cache_keys(cache), all_v = cache_values(cache); // [B, G, P + n, D or Dv]
    DeviceRows k_there = rows_of(mirror.k, all_k), v_there = rows_of(mirror.v, all_v);
    Sizes z = {.B = q.shape[0], .H = q.shape[1], .G = k.shape[1], .N = q.shape[2],
               .M = all_k.shape[2], .D = q.shape[3], .Dv = v.shape[3]};
    long held = device_live_bytes(); // the mirror stays
    float *q_there = device_upload(q);
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

    float **owned[] = {&q_there, &s, &out_there, &lse_there};
    for (int i = 0; i < 4; i++)
        device_free(owned[i]);
    device_mask_free(&rule);
    forget(&seen);
    CHECK(device_live_bytes() == held, "%ld bytes stay on the device", device_live_bytes() - held);
}
