// Chapter 02 by the fast kernels: the mask is a rule that they ask for the keys that a query sees.

#include "../../chapters/02_masking/attention.h"

#include "host.h"

void attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
               const Mask *mask, Trace *trace)
{
    Mask all = *mask; // of one head, its length known; the kernels want [B, H, N, M]
    all.lengths = NULL;
    if (all.bias.data)
        all.bias = tensor_lift(tensor_lift(all.bias));
    host_pass((Pass){.q = tensor_lift(tensor_lift(q)), .out = tensor_lift(tensor_lift(out)),
                     .lse = tensor_lift(tensor_lift(lse)),
                     .k = pass_tensor(tensor_lift(tensor_lift(k))),
                     .v = pass_tensor(tensor_lift(tensor_lift(v))), .G = 1, .scale = scale,
                     .mask = &all}, trace);
}
