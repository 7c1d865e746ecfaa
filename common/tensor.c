#define _POSIX_C_SOURCE 200809L
#include "tensor.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { GUARD = 16 };                       // floats in front of a block and behind it
static const uint32_t GUARD_BITS = 0x7fa5a5a5; // a NaN that no arithmetic produces

static long live_bytes, peak_bytes;

// --- memory --------------------------------------------------------------------------------

// The number in a file of one line; -1 where there is no such file or no number in it ("max").
static double read_bytes(const char *path)
{
    double bytes = -1;
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%lf", &bytes) != 1)
        bytes = -1;
    if (f)
        fclose(f);
    return bytes;
}

// A container's limit (control groups version 2, or 1). What it uses already counts for nothing
// here: most of that is a cache of files, which gives way.
static double container_limit(void)
{
    double limit = read_bytes("/sys/fs/cgroup/memory.max");
    if (limit < 0)
        limit = read_bytes("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    return limit < 0 ? INFINITY : limit;
}

// What this process may still take: the kernel's estimate where there is one, the machine's
// memory elsewhere, and never more than its container or `ulimit -v` allow.
static double memory_available(void)
{
    double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    struct rlimit limit;
    FILE *f = fopen("/proc/meminfo", "r");
    char line[128];
    while (f && fgets(line, sizeof line, f)) {
        double kib;
        if (sscanf(line, "MemAvailable: %lf kB", &kib) == 1)
            bytes = kib * 1024;
    }
    if (f)
        fclose(f);
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        (double)limit.rlim_cur < bytes)
        bytes = (double)limit.rlim_cur;
    return fmin(bytes, container_limit());
}

void memory_require(double bytes, const char *what)
{
    // Small requests are not worth the look at /proc; malloc still answers for them.
    if (bytes < 1 << 20)
        return;
    double free_bytes = memory_available();
    if (!(bytes <= free_bytes))
        refuse(EXIT_MEMORY, "out of memory: %s would take %.3g GiB, %.3g GiB are available", what,
               bytes / 0x1p30, free_bytes / 0x1p30);
}

// --- making and freeing ------------------------------------------------------------------

long tensor_count(Tensor t)
{
    long n = 1;
    for (int a = 0; a < t.axes; a++)
        n *= t.shape[a];
    return n;
}

static void fill_guard(float *at)
{
    for (int i = 0; i < GUARD; i++)
        memcpy(at + i, &GUARD_BITS, sizeof GUARD_BITS);
}

static void check_guard(const float *at, const char *where)
{
    for (int i = 0; i < GUARD; i++)
        CHECK(memcmp(at + i, &GUARD_BITS, sizeof GUARD_BITS) == 0,
              "a tensor was overrun: float %d %s was written", i, where);
}

void tensor_hold(long bytes)
{
    live_bytes += bytes;
    if (live_bytes > peak_bytes)
        peak_bytes = live_bytes;
}

Tensor tensor_new(int axes, const long *shape)
{
    Tensor t = {.axes = axes};
    double floats = 1;
    CHECK(0 <= axes && axes <= MAX_AXES, "a tensor has up to %d axes, not %d", MAX_AXES, axes);
    for (int a = 0; a < axes; a++) {
        CHECK(shape[a] >= 0, "axis %d has size %ld", a, shape[a]);
        floats *= shape[a] > 0 ? (double)shape[a] : 1; // strides are products even of an empty one
    }
    if (floats > (double)(LONG_MAX / 8)) // before any of it is computed in integers
        refuse(EXIT_MEMORY, "out of memory: a tensor of %.3g elements", floats);
    for (long a = axes - 1, stride = 1; a >= 0; a--) {
        t.shape[a] = shape[a];
        t.stride[a] = stride;
        stride *= shape[a] > 0 ? shape[a] : 1;
    }
    long n = tensor_count(t);
    memory_require((double)n * sizeof(float), "a tensor");
    float *block = malloc(((size_t)n + 2 * GUARD) * sizeof(float));
    if (!block)
        refuse(EXIT_MEMORY, "out of memory: %ld floats", n);
    fill_guard(block);
    fill_guard(block + GUARD + n);
    t.block = block;
    t.data = block + GUARD;
    tensor_hold(n * (long)sizeof(float));
    for (long i = 0; i < n; i++)
        t.data[i] = NAN;
    return t;
}

void tensor_free(Tensor *t)
{
    CHECK(t->block, "only the owner of a block may free it");
    check_guard(t->block, "before its first element");
    check_guard(t->block + GUARD + tensor_count(*t), "after its last element");
    tensor_hold(-tensor_count(*t) * (long)sizeof(float));
    free(t->block);
    *t = (Tensor){0};
}

void tensor_copy(Tensor to, Tensor from)
{
    CHECK(to.axes == from.axes, "copy: %d axes from %d", to.axes, from.axes);
    if (to.axes == 0) {
        *to.data = *from.data;
        return;
    }
    CHECK(to.shape[0] == from.shape[0], "copy: %ld from %ld", to.shape[0], from.shape[0]);
    if (to.axes == 1)
        memcpy(to.data, from.data, (size_t)to.shape[0] * sizeof(float));
    else
        for (long i = 0; i < to.shape[0]; i++)
            tensor_copy(tensor_at(to, i), tensor_at(from, i));
}

void tensor_fill(Tensor t, float x)
{
    if (t.axes == 0)
        *t.data = x;
    else if (t.axes == 1)
        for (long i = 0; i < t.shape[0]; i++)
            t.data[i] = x;
    else
        for (long i = 0; i < t.shape[0]; i++)
            tensor_fill(tensor_at(t, i), x);
}

// --- views -----------------------------------------------------------------------------------

Tensor tensor_at(Tensor t, long i)
{
    CHECK(t.axes > 0 && 0 <= i && i < t.shape[0], "index %ld of %ld", i, t.shape[0]);
    Tensor view = {.axes = t.axes - 1, .data = t.data + i * t.stride[0]};
    for (int a = 0; a < view.axes; a++) {
        view.shape[a] = t.shape[a + 1];
        view.stride[a] = t.stride[a + 1];
    }
    return view;
}

Tensor tensor_slice(Tensor t, int axis, long from, long to)
{
    CHECK(0 <= axis && axis < t.axes, "axis %d of %d", axis, t.axes);
    CHECK(0 <= from && from <= to && to <= t.shape[axis], "slice %ld:%ld of %ld", from, to,
          t.shape[axis]);
    t.data += from * t.stride[axis];
    t.shape[axis] = to - from;
    t.block = NULL;
    return t;
}

Tensor tensor_swap(Tensor t, int a, int b)
{
    CHECK(0 <= a && a < t.axes - 1 && 0 <= b && b < t.axes - 1, "the last axis stays contiguous");
    long shape = t.shape[a], stride = t.stride[a];
    t.shape[a] = t.shape[b];
    t.stride[a] = t.stride[b];
    t.shape[b] = shape;
    t.stride[b] = stride;
    t.block = NULL;
    return t;
}

Tensor tensor_split(Tensor t, int axis, long parts)
{
    CHECK(t.axes < MAX_AXES && 0 <= axis && axis < t.axes, "axis %d of %d", axis, t.axes);
    CHECK(parts > 0 && t.shape[axis] % parts == 0, "an axis of %ld does not split into %ld parts",
          t.shape[axis], parts);
    for (int a = t.axes; a > axis; a--) {
        t.shape[a] = t.shape[a - 1];
        t.stride[a] = t.stride[a - 1];
    }
    t.axes++;
    t.shape[axis] = parts;
    t.shape[axis + 1] /= parts;
    t.stride[axis] = t.stride[axis + 1] * t.shape[axis + 1];
    t.block = NULL;
    return t;
}

Tensor tensor_lift(Tensor t)
{
    CHECK(t.axes < MAX_AXES, "no room for another axis");
    for (int a = t.axes; a > 0; a--) {
        t.shape[a] = t.shape[a - 1];
        t.stride[a] = t.stride[a - 1];
    }
    t.axes++;
    t.shape[0] = 1;
    t.stride[0] = t.axes > 1 ? t.shape[1] * t.stride[1] : 1;
    t.block = NULL;
    return t;
}

long tensor_live_bytes(void)
{
    return live_bytes;
}

long tensor_peak_bytes(void)
{
    return peak_bytes;
}

void tensor_reset_peak(void)
{
    peak_bytes = live_bytes;
}
