// A GPU does not show its accesses to the program that it runs. Who asks is sent to the emulator.

#include "probe.h"

#include "../../common/fail.h"

#include <stddef.h>

const Flag *probe_flags(void)
{
    static const char *text;
    static bool on;
    static const Flag flags[] = {
        {"--trace-warp", FLAG_TEXT, &text, 0, "BLOCK,WARP", NULL},
        {"--sites", FLAG_SWITCH, &on, 0, NULL, NULL},
        {"--counts", FLAG_TEXT, &text, 0, "F.csv", NULL},
        {"--cache-bytes", FLAG_TEXT, &text, 0, "BYTES", NULL},
        {0},
    };
    return flags;
}

void probe_open(const Options *o)
{
    for (const Flag *flag = probe_flags(); flag->name; flag++)
        if (options_given(o, flag->name))
            refuse(EXIT_USAGE, "%s: a GPU counts for its profilers only; the emulator counts for "
                   "you: make run-%.2s DEVICE=counted ARGS=...", flag->name, o->chapter->name);
}

void probe_begin(void) {}
void probe_report(void) {}
void probe_close(void) {}
