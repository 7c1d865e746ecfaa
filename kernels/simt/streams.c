// Streams and events of the emulated CUDA runtime. All work is done at once, so that a stream
// is only a name, and an event a time. Names are checked all the same: a stream that was destroyed
// is refused, as on a GPU.

#include "include/cuda_runtime_api.h"
#include "simt.h"

#include <stdlib.h>
#include <time.h>

// The answer of every call: an error that has killed a kernel goes before its own.
static cudaError_t answer(int code)
{
    int before = simt_get_error(0);
    if (before >= cudaErrorIllegalAddress)
        return (cudaError_t)before;
    if (code)
        simt_set_error(code);
    return (cudaError_t)code;
}

// --- streams and events ----------------------------------------------------------------------

// Why the order of asking is allowed: CUDA promises order within a stream, and none between streams
// but what events say (CUDA C++ Programming Guide, "Streams"). What is done in the order of the
// calls keeps every such promise, and some that nobody made.
enum { STREAMS = 64 };
struct CUstream_st {
    int alive; // a name may be given out again after cudaStreamDestroy
};
static struct CUstream_st streams[STREAMS];

struct CUevent_st {
    struct timespec at; // the host's clock
    int recorded, untimed; // cudaEventDisableTiming: it only orders
};

// NULL, and NVIDIA's two names for "the default stream", are always there.
// The pointer is compared before it is followed: any value may come in.
int simt_stream_is_alive(void *stream)
{
    struct CUstream_st *s = stream;
    if (s == NULL || (size_t)s <= 2)
        return 1;
    return s >= streams && s < streams + STREAMS && s->alive;
}

// The first name that is free.
cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    if (!stream)
        return answer(cudaErrorInvalidValue);
    for (int i = 0; i < STREAMS; i++)
        if (!streams[i].alive) {
            streams[i].alive = 1;
            *stream = &streams[i];
            return answer(cudaSuccess);
        }
    return answer(cudaErrorMemoryAllocation);
}

// cudaStreamNonBlocking frees a stream from waiting for the default stream; here nobody waits.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    (void)flags;
    return cudaStreamCreate(stream);
}

// The default stream cannot be destroyed; others only once.
cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    if (!stream || !simt_stream_is_alive(stream))
        return answer(cudaErrorInvalidResourceHandle);
    stream->alive = 0;
    return answer(cudaSuccess);
}

// Nothing is left to wait for; an error of a kernel shows here at the latest.
cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    return simt_stream_is_alive(stream) ? (cudaError_t)simt_get_error(0)
                                        : answer(cudaErrorInvalidResourceHandle);
}

// Never cudaErrorNotReady: all that was asked for is done.
cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    return cudaStreamSynchronize(stream);
}

// The event has happened: all that was asked for before is done.
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    return answer(simt_stream_is_alive(stream) && event ? cudaSuccess
                                                        : cudaErrorInvalidResourceHandle);
}

// An event that was never recorded has no time.
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    if (!event)
        return answer(cudaErrorInvalidValue);
    *event = calloc(1, sizeof **event);
    if (*event)
        (*event)->untimed = (flags & cudaEventDisableTiming) != 0;
    return answer(*event ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

// The host's clock will do, as the host has waited for all the work.
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (!event || !simt_stream_is_alive(stream))
        return answer(cudaErrorInvalidResourceHandle);
    timespec_get(&event->at, TIME_UTC);
    event->recorded = 1;
    return answer(cudaSuccess);
}

// An event is memory of the host's heap: unlike a stream, a destroyed one is not recognised.
cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    return event ? (cudaError_t)simt_get_error(0) : answer(cudaErrorInvalidResourceHandle);
}

// Never cudaErrorNotReady: what was recorded has happened.
cudaError_t cudaEventQuery(cudaEvent_t event)
{
    return cudaEventSynchronize(event);
}

// Milliseconds between two events, both of which must have been recorded, and with a time.
// That is time of the emulator on this processor, and says nothing of a GPU's.
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    if (!ms)
        return answer(cudaErrorInvalidValue);
    if (!start || !end || !start->recorded || !end->recorded || start->untimed || end->untimed)
        return answer(cudaErrorInvalidResourceHandle);
    *ms = (float)((double)(end->at.tv_sec - start->at.tv_sec) * 1e3 +
                  (double)(end->at.tv_nsec - start->at.tv_nsec) * 1e-6);
    return answer(cudaSuccess);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    free(event);
    return answer(event ? cudaSuccess : cudaErrorInvalidResourceHandle);
}
