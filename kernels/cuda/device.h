// The device as the hosts of all kernels see it: one counted allocator, copies to and from
// tensors of any strides, one stream, and a check around every call.
//
//     float *q = device_upload(host_q);          // contiguous there, whatever it was here
//     GPU(naive_scores(s, q, k, ...));           // a launch: refuses by name when it fails
//     device_download(out, o);
//     device_free(&q);
//
// Whatever goes wrong here is a matter of the machine: refuse(EXIT_DEVICE), or EXIT_MEMORY
// where the device has no room. Everything still held at exit is freed.

#ifndef DEVICE_H
#define DEVICE_H

#include "../../common/mask.h"
#include "../../common/trace.h"
#include "device_mask.h"

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

// Around every call of the CUDA runtime and every launcher; BLAS around those of cuBLAS.
#define GPU(call) device_check((call), #call, __FILE__, __LINE__)
#define BLAS(call) device_check_blas((call), #call, __FILE__, __LINE__)

void device_check(cudaError_t error, const char *call, const char *file, int line);
void device_check_blas(cublasStatus_t status, const char *call, const char *file, int line);

// Refuses with EXIT_DEVICE where there is no device.
void device_require(void);

// The stream on which everything is done in order, and cuBLAS's handle on it. The first call
// of either requires a device.
cudaStream_t   device_stream(void);
cublasHandle_t device_blas(void);

// Heads lie along a grid's y and sequences along its z, of which no GPU has more than 65535:
// refuses more.
void device_check_grid(long B, long H);

// --- memory --------------------------------------------------------------------------------

// n floats, each NaN until somebody writes it. An array of none has an address, too.
float *device_floats(long n);

// The n floats, or longs, of the host, and the elements of t in row-major order. Copies.
long  *device_longs(const long *from, long n);
float *device_upload(Tensor t);

// All elements of `to`, any strides, from contiguous device memory. Waits for the stream.
void   device_download(Tensor to, const float *from);

void   device_free(void *array);       // the address of the pointer: freed, and made NULL
long   device_live_bytes(void);
long   device_peak_bytes(void);
long   device_uploaded_bytes(void);    // copied to the device, and back from it
long   device_downloaded_bytes(void);
void   device_reset_counts(void);      // peak = live, nothing copied, no kernel used yet
void   device_free_all(void);          // runs by itself at exit

// --- masks -----------------------------------------------------------------------------------

// The rule of m for all heads of B sequences, or after mask_head for one (B is 0), with its
// tensor and lengths on the device. Free with device_mask_free.
DeviceMask device_mask(const Mask *m, long B);
void       device_mask_free(DeviceMask *m);

// --- kernels by name ---------------------------------------------------------------------------

// The kernels that a host offers. Each host defines its own table under this name.
typedef struct {
    const char *names;     // separated by spaces
    const char *usual;     // the one that is taken unless a user says another
    const char *otherwise; // when it is another, in words for --help; or NULL
} DeviceKernels;

extern const DeviceKernels device_kernels;

// What `by`, a flag or a variable of the environment, says; refused unless it is one of `names`.
void device_choose_kernel(const char *by, const char *name, const char *names);

// Which of `names` was chosen, or else the environment's ATTENTION_KERNEL says, or else is
// `usual`: its place, counted from 0.
int device_kernel(const char *names, const char *usual);

// Those that device_kernel has named since the counts were reset, joined by +.
const char *device_kernels_used(void);

// --- steps --------------------------------------------------------------------------------------

// A copy of a device's array as a step of that shape, unless this round is a quiet one:
//     device_step(trace, "scores", s, SHAPE(N, M));
void device_step(Trace *trace, const char *name, const float *from, int axes, const long *shape);

#endif
