// Chapter 01 by the fast kernels: one head, no mask.

#include "../../chapters/01_naive_attention/attention.h"

#include "host.h"

void attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale, Trace *trace)
{
    Mask none = {.window = -1, .prefix = -1, .keys = k.shape[0]};
    host_pass((Pass){.q = tensor_lift(tensor_lift(q)), .out = tensor_lift(tensor_lift(out)),
                     .lse = tensor_lift(tensor_lift(lse)),
                     .k = pass_tensor(tensor_lift(tensor_lift(k))),
                     .v = pass_tensor(tensor_lift(tensor_lift(v))), .G = 1, .scale = scale,
                     .mask = &none}, trace);
}
