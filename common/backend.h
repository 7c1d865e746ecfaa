// Where a chapter's attention() is computed. common/ and the chapters know no device: they ask
// what is declared here, and the build decides who answers. backend.c is the processor's answer;
// kernels/cuda/backend.c takes its place, as kernels/cuda/NN_name.c takes that of attention.c.

#ifndef BACKEND_H
#define BACKEND_H

#include "options.h"

// The flags that this build has beyond the chapter's, ended by one without a name. A flag without
// a meaning is not shown by --help: it is known in order to be refused with a reason.
const Flag *backend_flags(void);

// The flags have been read and nothing has been printed: the last moment to refuse. What a build
// has not is refused with EXIT_USAGE, a device that is not there with EXIT_DEVICE.
void backend_open(const Options *o);

// Floats that a pass over n queries and so many keys of d features will hold beyond its inputs and
// outputs: for the estimate of memory, before anything is made.
double backend_scratch(const Options *o, double n, double keys, double d);

// A round begins: what --stats shows is counted from here.
void backend_begin(void);

// The device's lines of --stats; and for --bench the device's name, and which of its kernels were
// used, joined by +.
void backend_report(void);
const char *backend_device(void);
const char *backend_kernel(void);

// The run has gone well: what the device's own flags asked for is printed or written now.
void backend_close(void);

#endif
