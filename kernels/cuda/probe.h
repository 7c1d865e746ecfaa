// What one sort of device can show of a kernel's work, and another cannot. probe_simt.c is the
// emulator's, which sees every access; probe_gpu.c a real GPU's, which sees none.

#ifndef PROBE_H
#define PROBE_H

#include "../../common/options.h"

// The flags of this device, for backend_flags().
const Flag *probe_flags(void);

// Refuses what this build cannot show (EXIT_USAGE), and prepares the rest.
void probe_open(const Options *o);

// A round begins: counts from here.
void probe_begin(void);

// Lines of --stats: what was counted since.
void probe_report(void);

// Prints or writes what the flags asked for.
void probe_close(void);

#endif
