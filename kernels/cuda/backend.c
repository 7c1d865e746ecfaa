// The device's answers to common/backend.h, in the place of common/backend.c: --kernel, and what
// --stats and --bench say of the device. What only one sort of device can do is probe.h's.

#include "../../common/backend.h"

#include "device.h"
#include "probe.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_FLAGS = 8 };

static const char *kernel_text;
static long live_at_entry;

const Flag *backend_flags(void)
{
    static Flag flags[MOST_FLAGS];
    static char meaning[160];
    const DeviceKernels *k = &device_kernels;
    int n = 0;
    snprintf(meaning, sizeof meaning, "which kernel; list names them (usually %s%s%s)", k->usual,
             k->otherwise ? "; " : "", k->otherwise ? k->otherwise : "");
    flags[n++] = (Flag){"--kernel", FLAG_TEXT, &kernel_text, 0, "NAME", meaning};
    for (const Flag *own = probe_flags(); own->name; own++)
        flags[n++] = *own;
    CHECK(n < MOST_FLAGS, "%d flags", n);
    return flags;
}

// One name a line, and the usual one marked.
static void list_kernels(void)
{
    for (const char *at = device_kernels.names; *at; at += strspn(at, " ")) {
        int n = (int)strcspn(at, " ");
        bool usual = n == (int)strlen(device_kernels.usual) &&
                     strncmp(at, device_kernels.usual, (size_t)n) == 0;
        printf("%.*s%s\n", n, at, usual ? " (usual)" : "");
        at += n;
    }
    output_finish();
    exit(0);
}

// --kernel, and where it was not given the environment, which a script sets for many runs.
static void choose_kernel(void)
{
    const char *name = kernel_text ? kernel_text : getenv("ATTENTION_KERNEL");
    if (!name || !*name)
        return;
    if (strcmp(name, "list") == 0)
        list_kernels();
    device_choose_kernel(kernel_text ? "--kernel" : "ATTENTION_KERNEL", name,
                         device_kernels.names);
}

void backend_open(const Options *o)
{
    choose_kernel();
    // An experiment holds the CPU's bytes, tiles and bits to formulas, which a kernel's are not.
    if (o->experiment)
        refuse(EXIT_USAGE, "--experiment: this build computes by kernels; it belongs to the CPU's: "
               "make run-%.2s ARGS=...", o->chapter->name);
    probe_open(o);
    device_require();
}

// The device's own memory is asked for on the device; this is what comes back to be shown.
double backend_scratch(const Options *o, double n, double keys, double d)
{
    (void)d;
    return o->chapter->takes & MAKES_SCORES ? n * keys : 0;
}

void backend_begin(void)
{
    live_at_entry = device_live_bytes();
    device_reset_counts();
    probe_begin();
}

const char *backend_device(void)
{
    static struct cudaDeviceProp properties;
    GPU(cudaGetDeviceProperties(&properties, 0));
    return properties.name;
}

const char *backend_kernel(void)
{
    return device_kernels_used();
}

void backend_report(void)
{
    printf("%-16s %16s   %s\n", "device", "", backend_device());
    printf("%-16s %16s\n", "kernel", backend_kernel());
    printf("%-16s %16ld\n", "device live", live_at_entry);
    printf("%-16s %16ld\n", "device peak", device_peak_bytes());
    printf("%-16s %16ld\n", "bytes uploaded", device_uploaded_bytes());
    printf("%-16s %16ld\n", "bytes downloaded", device_downloaded_bytes());
    probe_report();
    printf("the seconds include allocating on the device and copying there and back\n");
}

void backend_close(void)
{
    probe_close();
}
