// What the hosts of all chapters have in common: kernels/cpu/NN_name.c brings the chapter's K and V
// to one of the kernels, which --kernel, --isa and --kv-dtype choose (backend.c).

#ifndef HOST_H
#define HOST_H

#include "kernels.h"

// What the flags say. kernel NULL: decode's last step for one query a sequence, prefill's for more.
typedef struct {
    const char *kernel;
    Kept kept;
    PassKernel *always; // for tests: this one for every pass; or NULL
} HostChoice;

extern HostChoice host_choice;

// Is there a step of that name?
bool host_has_kernel(const char *name);

// Does the step that was chosen hold all scores of a head?
bool host_holds_scores(void);

// Steps that host_pass has used since this was last called, joined by +.
const char *host_kernels_used(void);

// One pass, all heads: fills in what `p` says of the run's sizes from its tensors, M from its mask,
// computes p->out and p->lse, and shows both as steps. Set are q, out, lse, k, v, G, scale, mask.
void host_pass(Pass p, Trace *trace);

#endif
