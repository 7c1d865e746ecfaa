// The CUDA runtime, as far as this project calls it: the same names, the same error codes.
// Work is done at once, in the order in which it was asked for. That is a correct execution of
// any streams, and hides mistakes with streams: only a GPU can show those.

#include "include/cuda_runtime_api.h"
#include "simt.h"

#include <stdlib.h>
#include <string.h>

// --- errors ----------------------------------------------------------------------------------

static int latest, fatal; // after a fatal one, every call fails, as on a GPU

// Codes from cudaErrorIllegalAddress on mean that the device is lost to this program: they stay
// (CUDA Runtime API, cudaError_t: "this leaves the process in an inconsistent state").
void simt_set_error(int code)
{
    latest = code;
    if (code >= cudaErrorIllegalAddress && !fatal)
        fatal = code;
}

// cudaGetLastError forgets what it says, cudaPeekAtLastError does not; neither forgets a lost
// device.
int simt_get_error(int forget)
{
    int code = fatal ? fatal : latest;
    if (forget)
        latest = 0;
    return code;
}

void simt_reset_error(void)
{
    latest = fatal = 0;
}

// What a call returns, it also leaves for cudaGetLastError.
static cudaError_t answer(int code)
{
    code = fatal ? fatal : code;
    if (code)
        latest = code;
    return (cudaError_t)code;
}

cudaError_t cudaGetLastError(void)
{
    return (cudaError_t)simt_get_error(1);
}

cudaError_t cudaPeekAtLastError(void)
{
    return (cudaError_t)simt_get_error(0);
}

static const struct {
    cudaError_t code;
    const char *name, *text;
} error_text[] = {
    {cudaSuccess, "cudaSuccess", "no error"}, // 0: `if (code)` asks for an error
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"}, // a grid or block beyond the limits (launch.c)
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"}, // not 0
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection",
     "invalid copy direction for memcpy"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"}, // 700: from here to 719 the device is lost
    {cudaErrorLaunchTimeout, "cudaErrorLaunchTimeout",
     "the launch timed out and was terminated"}, // also where a GPU would hang for ever
    {cudaErrorAssert, "cudaErrorAssert", "device-side assert triggered"},
    {cudaErrorHardwareStackError, "cudaErrorHardwareStackError", "hardware stack error"},
    {cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"}, // a race
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
};

// NVIDIA's own words, so that a message found here is found elsewhere.
static const char *error_string(cudaError_t code, int name)
{
    for (size_t i = 0; i < sizeof error_text / sizeof error_text[0]; i++)
        if (error_text[i].code == code)
            return name ? error_text[i].name : error_text[i].text;
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t code) { return error_string(code, 0); }
const char *cudaGetErrorName(cudaError_t code) { return error_string(code, 1); }

#define CALLER __builtin_return_address(0) // the line of the program that made the wrong call

// --- memory ----------------------------------------------------------------------------------

// 0 bytes: a null pointer and no error, as on a GPU. Otherwise NaN in every float.
cudaError_t cudaMalloc(void **p, size_t bytes)
{
    if (!p || fatal)
        return answer(cudaErrorInvalidValue);
    *p = bytes ? simt_malloc(bytes, __builtin_return_address(0)) : NULL;
    return answer(*p || !bytes ? cudaSuccess : cudaErrorMemoryAllocation);
}

// A null pointer may be freed, an address twice may not.
cudaError_t cudaFree(void *p)
{
    if (simt_free(p) == 0)
        return answer(cudaSuccess);
    simt_refuse_call("cudaFree", CALLER, "no allocation begins here, or it was freed already", p);
    return answer(cudaErrorInvalidValue);
}

// Pinned memory is memory of the host; here there is nothing to pin it for.
cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    if (!p)
        return answer(cudaErrorInvalidValue);
    *p = malloc(bytes ? bytes : 1); // malloc(0) may return NULL, which is no error
    return answer(*p ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned flags)
{
    (void)flags; // mapped, portable: all of it is the host's own memory
    return cudaMallocHost(p, bytes);
}

cudaError_t cudaFreeHost(void *p)
{
    free(p);
    return answer(cudaSuccess);
}

// A pointer may be used as what `device` says it is.
static int right_side(const void *p, size_t bytes, int device, const void *caller)
{
    if (device ? simt_range_is_allocated(p, bytes) : p && !simt_is_device(p))
        return 1;
    simt_refuse_call("a copy", caller, device ? "it takes this for memory of the device, all in "
                                                "one allocation that was not freed"
                                              : "it takes this for memory of the host", p);
    return 0;
}

// Directions are checked, and that all bytes are there on both sides, which a GPU does not
// promise to notice. All earlier work is done, so that nothing has to be waited for.
static cudaError_t copy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                        const void *caller)
{
    int to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    int from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (kind > cudaMemcpyDefault) // the last of the five kinds
        return answer(cudaErrorInvalidMemcpyDirection);
    if (bytes == 0 || fatal)
        return answer(cudaSuccess);
    if (kind == cudaMemcpyDefault) { // the pointers tell, as with unified addressing
        to_device = simt_is_device(to);
        from_device = simt_is_device(from);
    }
    if (!right_side(to, bytes, to_device, caller) || !right_side(from, bytes, from_device, caller))
        return answer(cudaErrorInvalidValue);
    simt_open_memory();
    memmove(to, from, bytes); // memcpy must not overlap, and a program may
    simt_close_memory();
    return answer(cudaSuccess);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    return copy(to, from, bytes, kind, CALLER);
}

cudaError_t cudaMemset(void *p, int value, size_t bytes)
{
    if (bytes && !right_side(p, bytes, 1, CALLER))
        return answer(cudaErrorInvalidValue);
    simt_open_memory();
    if (bytes)
        memset(p, value, bytes);
    simt_close_memory();
    return answer(cudaSuccess);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    return simt_stream_is_alive(stream) ? copy(to, from, bytes, kind, CALLER)
                                        : answer(cudaErrorInvalidResourceHandle);
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream)
{
    return simt_stream_is_alive(stream) ? cudaMemset(p, value, bytes)
                                        : answer(cudaErrorInvalidResourceHandle);
}

// Rows of `width` bytes that begin a pitch apart.
cudaError_t cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                         size_t width, size_t height, enum cudaMemcpyKind kind)
{
    if (width > to_pitch || width > from_pitch) // rows would overlap
        return answer(cudaErrorInvalidValue);
    for (size_t i = 0; i < height; i++) {
        cudaError_t code = copy((char *)to + i * to_pitch, (const char *)from + i * from_pitch,
                                width, kind, CALLER);
        if (code)
            return code;
    }
    return answer(cudaSuccess);
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total)
{
    if (!available || !total)
        return answer(cudaErrorInvalidValue);
    *available = simt_memory_free(); // bytes, as is the total
    *total = simt_memory_total();
    return answer(cudaSuccess);
}

// --- the device ------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int *count)
{
    if (!count)
        return answer(cudaErrorInvalidValue);
    *count = simt_devices();
    return answer(*count ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    if (!version)
        return answer(cudaErrorInvalidValue);
    *version = CUDART_VERSION; // 1000 * major + 10 * minor
    return answer(cudaSuccess);
}

cudaError_t cudaDriverGetVersion(int *version)
{
    return cudaRuntimeGetVersion(version);
}

cudaError_t cudaSetDevice(int device)
{
    return answer(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaGetDevice(int *device)
{
    if (!device)
        return answer(cudaErrorInvalidValue);
    *device = 0; // the only one
    return answer(cudaSuccess);
}

// A device in the likeness of an H100, apart from its memory.
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    if (!p || device != 0)
        return answer(p ? cudaErrorInvalidDevice : cudaErrorInvalidValue);
    *p = (struct cudaDeviceProp){
        .name = "SIMT emulator", .totalGlobalMem = simt_memory_total(), .major = 9, .minor = 0,
        .sharedMemPerBlock = 48 << 10, .sharedMemPerBlockOptin = 227 << 10, .warpSize = 32,
        .maxThreadsPerBlock = 1024, .multiProcessorCount = 132, .l2CacheSize = 50 << 20, // 50 MiB
        .maxThreadsDim = {1024, 1024, 64}, .maxGridSize = {2147483647, 65535, 65535}}; // x, y, z
    return answer(cudaSuccess);
}

// One number of the device, as cudaGetDeviceProperties has it.
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    struct cudaDeviceProp p;
    cudaError_t code = value ? cudaGetDeviceProperties(&p, device) : answer(cudaErrorInvalidValue);
    if (code)
        return code;
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = p.maxThreadsPerBlock; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = (int)p.sharedMemPerBlock; break;
    case cudaDevAttrWarpSize: *value = p.warpSize; break;
    case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; break;
    case cudaDevAttrL2CacheSize: *value = p.l2CacheSize; break;
    case cudaDevAttrComputeCapabilityMajor: *value = p.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = p.minor; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = (int)p.sharedMemPerBlockOptin; break;
    default: return answer(cudaErrorInvalidValue);
    }
    return answer(cudaSuccess);
}

// All work is done already; what is left is whether a kernel went wrong.
cudaError_t cudaDeviceSynchronize(void)
{
    return (cudaError_t)simt_get_error(0);
}

// The only way back from an error that killed a kernel. Frees everything.
cudaError_t cudaDeviceReset(void)
{
    simt_free_all(); // pointers into the device are wild from here on
    simt_reset_error();
    return cudaSuccess;
}

// --- functions -------------------------------------------------------------------------------

enum { FUNCTIONS = 512 };
static struct {
    const void *kernel; // NULL: a free place
    size_t bytes; // of dynamic shared memory
} limit[FUNCTIONS];

// A small hash table: kernel to bytes of dynamic shared memory it may ask for.
static size_t *limit_of(const void *kernel)
{
    size_t i = ((size_t)kernel >> 4) % FUNCTIONS; // many begin at multiples of 16
    for (int tries = 0; tries < FUNCTIONS && limit[i].kernel && limit[i].kernel != kernel; tries++)
        i = (i + 1) % FUNCTIONS;
    if (limit[i].kernel != kernel)
        limit[i].bytes = 48 << 10; // what a kernel has without asking
    limit[i].kernel = kernel;
    return &limit[i].bytes;
}

size_t simt_shared_limit(const void *kernel)
{
    return *limit_of(kernel);
}

void simt_set_shared_limit(const void *kernel, size_t bytes)
{
    *limit_of(kernel) = bytes;
}

// Above 48 KiB a kernel must be told so by name (CUDA C++ Programming Guide, "Shared Memory", for
// compute capability 8.x and 9.0).
cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value)
{
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) // a hint; there is no L1 here
        return answer(cudaSuccess);
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || value > 227 << 10)
        return answer(cudaErrorInvalidValue);
    if (!kernel)
        return answer(cudaErrorInvalidDeviceFunction);
    simt_set_shared_limit(kernel, (size_t)value);
    return answer(cudaSuccess);
}
