// Chapter 03 by the fast kernels: every head has keys of its own.

#include "../../chapters/03_multi_head/attention.h"

#include "host.h"

void attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
               const Mask *mask, Trace *trace)
{
    host_pass((Pass){.q = q, .out = out, .lse = lse, .k = pass_tensor(k), .v = pass_tensor(v),
                     .G = k.shape[1], .scale = scale, .mask = mask}, trace);
}
