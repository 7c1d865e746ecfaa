#include "device.h"

#include <stdlib.h>
#include <string.h>

// --- calls -----------------------------------------------------------------------------------

void device_check(cudaError_t error, const char *call, const char *file, int line)
{
    if (error != cudaSuccess)
        refuse(EXIT_DEVICE, "%s:%d: %s: %s", file, line, call, cudaGetErrorString(error));
}

void device_check_blas(cublasStatus_t status, const char *call, const char *file, int line)
{
    if (status != CUBLAS_STATUS_SUCCESS)
        refuse(EXIT_DEVICE, "%s:%d: %s: %s", file, line, call, cublasGetStatusString(status));
}

// --- starting and ending -----------------------------------------------------------------------

// One array in device memory.
typedef struct {
    void *at;
    long  bytes;
} Array;

static Array *arrays; // [array_count], in no order
static long array_count, array_room;
static long live_bytes, peak_bytes, uploaded_bytes, downloaded_bytes;
static char used[128]; // names of kernels, joined by +

static cudaStream_t stream;
static cublasHandle_t blas;

// Nothing is checked here: the program may be ending because the device failed.
void device_free_all(void)
{
    if (blas)
        cublasDestroy(blas);
    while (array_count > 0)
        cudaFree(arrays[--array_count].at);
    if (stream)
        cudaStreamDestroy(stream);
    free(arrays);
    blas = NULL;
    stream = NULL;
    arrays = NULL;
    array_room = live_bytes = 0;
}

void device_require(void)
{
    int devices = 0;
    cudaError_t error = cudaGetDeviceCount(&devices);
    if (error != cudaSuccess || devices == 0)
        refuse(EXIT_DEVICE, "no such device: expected a GPU that CUDA can use, got %s",
               error != cudaSuccess ? cudaGetErrorString(error) : "none");
}

void device_check_grid(long B, long H)
{
    const long most = 65535; // CUDA C++ Programming Guide, "Compute Capabilities"
    if (B > most || H > most)
        refuse(EXIT_USAGE, "%ld sequences of %ld heads: the kernels take up to %ld of each", B, H,
               most);
}

cudaStream_t device_stream(void)
{
    if (stream)
        return stream;
    device_require();
    GPU(cudaStreamCreate(&stream));
    CHECK(atexit(device_free_all) == 0, "no room for an exit handler");
    return stream;
}

cublasHandle_t device_blas(void)
{
    cudaStream_t s = device_stream();
    if (blas)
        return blas;
    BLAS(cublasCreate(&blas));
    BLAS(cublasSetStream(blas, s));
    return blas;
}

// --- memory ------------------------------------------------------------------------------------

// Which of `arrays` begins at this address.
static long find_array(const void *at)
{
    long i = 0;
    while (i < array_count && arrays[i].at != at)
        i++;
    CHECK(i < array_count, "%p is no array of the device's", at);
    return i;
}

static void remember(void *at, long bytes)
{
    if (array_count == array_room) {
        array_room = 2 * array_room + 16;
        arrays = realloc(arrays, (size_t)array_room * sizeof *arrays);
        if (!arrays)
            refuse(EXIT_MEMORY, "out of memory: a list of %ld device arrays", array_room);
    }
    arrays[array_count++] = (Array){at, bytes};
    live_bytes += bytes;
    if (live_bytes > peak_bytes)
        peak_bytes = live_bytes;
}

static void *new_array(long bytes)
{
    void *at = NULL;
    cudaStream_t s = device_stream();
    size_t room = bytes > 0 ? (size_t)bytes : sizeof(float);
    cudaError_t error = cudaMalloc(&at, room);
    if (error == cudaErrorMemoryAllocation)
        refuse(EXIT_MEMORY, "out of memory on the device: %ld bytes beside the %ld held", bytes,
               live_bytes);
    GPU(error);
    GPU(cudaMemsetAsync(at, 0xff, room, s)); // four bytes of ones are a NaN
    remember(at, bytes);
    return at;
}

float *device_floats(long n)
{
    return new_array(n * (long)sizeof(float));
}

// To or from the host. The host's memory may be gone or used right after, so this waits.
static void copy(void *to, const void *from, long bytes, enum cudaMemcpyKind kind)
{
    if (bytes == 0)
        return;
    GPU(cudaMemcpyAsync(to, from, (size_t)bytes, kind, device_stream()));
    GPU(cudaStreamSynchronize(device_stream()));
    *(kind == cudaMemcpyHostToDevice ? &uploaded_bytes : &downloaded_bytes) += bytes;
}

long *device_longs(const long *from, long n)
{
    long *at = new_array(n * (long)sizeof(long));
    copy(at, from, n * (long)sizeof(long), cudaMemcpyHostToDevice);
    return at;
}

// Do the elements of t follow each other in memory?
static bool is_contiguous(Tensor t)
{
    long next = 1;
    for (int a = t.axes - 1; a >= 0; a--) {
        if (t.shape[a] != 1 && t.stride[a] != next)
            return false;
        next *= t.shape[a];
    }
    return true;
}

float *device_upload(Tensor t)
{
    long n = tensor_count(t);
    float *at = device_floats(n);
    if (n > 0 && is_contiguous(t)) {
        copy(at, t.data, n * (long)sizeof(float), cudaMemcpyHostToDevice);
    } else if (n > 0) {
        Tensor packed = tensor_new(t.axes, t.shape);
        tensor_copy(packed, t);
        copy(at, packed.data, n * (long)sizeof(float), cudaMemcpyHostToDevice);
        tensor_free(&packed);
    }
    return at;
}

void device_download(Tensor to, const float *from)
{
    long n = tensor_count(to);
    if (n > 0 && is_contiguous(to)) {
        copy(to.data, from, n * (long)sizeof(float), cudaMemcpyDeviceToHost);
    } else if (n > 0) {
        Tensor packed = tensor_new(to.axes, to.shape);
        copy(packed.data, from, n * (long)sizeof(float), cudaMemcpyDeviceToHost);
        tensor_copy(to, packed);
        tensor_free(&packed);
    }
}

void device_free(void *array)
{
    void *at;
    memcpy(&at, array, sizeof at); // a float ** or a long **: the pointer, whatever it points to
    if (!at)
        return;
    long i = find_array(at);
    GPU(cudaStreamSynchronize(device_stream())); // a kernel may still be reading it
    GPU(cudaFree(at));
    live_bytes -= arrays[i].bytes;
    arrays[i] = arrays[--array_count];
    at = NULL;
    memcpy(array, &at, sizeof at);
}

long device_live_bytes(void)
{
    return live_bytes;
}

long device_peak_bytes(void)
{
    return peak_bytes;
}

long device_uploaded_bytes(void)
{
    return uploaded_bytes;
}

long device_downloaded_bytes(void)
{
    return downloaded_bytes;
}

void device_reset_counts(void)
{
    peak_bytes = live_bytes;
    uploaded_bytes = downloaded_bytes = 0;
    used[0] = '\0';
}

// --- masks -------------------------------------------------------------------------------------

// What is broadcast has stride 0 there, and travels once.
static void upload_bias(DeviceMask *m, Tensor bias)
{
    long shape[MAX_AXES] = {0};
    for (int a = 0; a < bias.axes; a++)
        shape[a] = bias.shape[a] > 0 && bias.stride[a] == 0 ? 1 : bias.shape[a];
    Tensor once = tensor_new(bias.axes, shape), part = bias;
    memcpy(part.shape, shape, sizeof shape);
    tensor_copy(once, part);
    m->bias = device_upload(once);
    for (int a = 0, at = MAX_AXES - bias.axes; a < bias.axes; a++, at++) // [N, M] is [.., N, M]
        m->stride[at] = bias.stride[a] == 0 ? 0 : once.stride[a];
    tensor_free(&once);
}

// One length for every sequence, also where the user gave one for all.
static const long *upload_lengths(const Mask *m, long B)
{
    long *lengths = malloc((size_t)B * sizeof *lengths + 1);
    if (!lengths)
        refuse(EXIT_MEMORY, "out of memory: %ld lengths", B);
    for (long b = 0; b < B; b++)
        lengths[b] = m->lengths[m->length_count == 1 ? 0 : b];
    const long *at = device_longs(lengths, B);
    free(lengths);
    return at;
}

DeviceMask device_mask(const Mask *m, long B)
{
    DeviceMask d = {.causal = m->causal, .window = m->window, .prefix = m->prefix,
                    .keys = m->keys, .offset = m->offset};
    if (m->bias.data)
        upload_bias(&d, m->bias);
    if (m->lengths && B > 0) // of one head they are in d.keys already
        d.lengths = upload_lengths(m, B);
    return d;
}

void device_mask_free(DeviceMask *m)
{
    device_free(&m->bias);
    device_free(&m->lengths);
}

// --- kernels by name ----------------------------------------------------------------------------

// Where `name` stands among names separated by spaces, or -1.
static int position(const char *names, const char *name)
{
    size_t n = strlen(name);
    for (int i = 0; *names; i++) {
        size_t word = strcspn(names, " ");
        if (word == n && memcmp(names, name, n) == 0)
            return i;
        names += word + strspn(names + word, " ");
    }
    return -1;
}

static const char *chosen; // by --kernel

void device_choose_kernel(const char *by, const char *name, const char *names)
{
    if (position(names, name) < 0)
        refuse(EXIT_USAGE, "%s: expected one of %s, or list, got \"%s\"", by, names, name);
    chosen = name;
}

static void note_used(const char *name)
{
    size_t n = strlen(used);
    for (const char *at = used; *at; at += strspn(at, "+")) {
        size_t word = strcspn(at, "+");
        if (word == strlen(name) && memcmp(at, name, word) == 0)
            return;
        at += word;
    }
    snprintf(used + n, sizeof used - n, "%s%s", n ? "+" : "", name);
}

const char *device_kernels_used(void)
{
    return *used ? used : "none";
}

int device_kernel(const char *names, const char *usual)
{
    const char *name = chosen ? chosen : getenv("ATTENTION_KERNEL");
    if (!name || !*name)
        name = usual;
    int i = position(names, name);
    if (i < 0)
        refuse(EXIT_USAGE, "ATTENTION_KERNEL: expected one of %s, got \"%s\"", names, name);
    note_used(name);
    return i;
}

// --- steps --------------------------------------------------------------------------------------

void device_step(Trace *trace, const char *name, const float *from, int axes, const long *shape)
{
    if (trace->quiet)
        return;
    Tensor copied = tensor_new(axes, shape);
    device_download(copied, from);
    trace_step(trace, name, copied);
    tensor_free(&copied);
}
