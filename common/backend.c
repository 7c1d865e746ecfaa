#include "backend.h"

#include "fail.h"

#include <stddef.h>

// What other builds of this program take, and which of them: a flag that one has seen work there
// deserves an answer here.
static const struct {
    const char *name, *device;
} elsewhere[] = {
    {"--kernel", "simt"},    {"--trace-warp", "counted"},  {"--sites", "counted"},
    {"--counts", "counted"}, {"--cache-bytes", "counted"},
    {"--isa", "fast"},       {"--threads", "fast"},        {"--kv-dtype", "fast"},
};

const Flag *backend_flags(void)
{
    static const char *text;
    static bool on;
    static const Flag flags[] = {
        {"--kernel", FLAG_TEXT, &text, 0, "NAME", NULL},
        {"--trace-warp", FLAG_TEXT, &text, 0, "BLOCK,WARP", NULL},
        {"--sites", FLAG_SWITCH, &on, 0, NULL, NULL},
        {"--counts", FLAG_TEXT, &text, 0, "F.csv", NULL},
        {"--cache-bytes", FLAG_TEXT, &text, 0, "BYTES", NULL},
        {"--isa", FLAG_TEXT, &text, 0, "NAME", NULL},
        {"--threads", FLAG_TEXT, &text, 0, "T", NULL},
        {"--kv-dtype", FLAG_TEXT, &text, 0, "TYPE", NULL},
        {0},
    };
    return flags;
}

void backend_open(const Options *o)
{
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (options_given(o, elsewhere[i].name))
            refuse(EXIT_USAGE, "%s: this is the CPU's build, without kernels; it belongs to: make "
                   "run-%.2s DEVICE=%s ARGS=...", elsewhere[i].name, o->chapter->name,
                   elsewhere[i].device);
}

// One head's scores, in the chapters that make them all.
double backend_scratch(const Options *o, double n, double keys, double d)
{
    (void)d;
    return o->chapter->takes & MAKES_SCORES ? n * keys : 0;
}

// The processor's bytes are the tensors': there is nothing to add to what measure.c counts.
void backend_begin(void) {}
void backend_report(void) {}
void backend_close(void) {}

const char *backend_device(void)
{
    return "cpu";
}

const char *backend_kernel(void)
{
    return "-";
}
