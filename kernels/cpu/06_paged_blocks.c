// Chapter 06 by the fast kernels: they find every key and value through the block tables.

#include "../../chapters/06_paged_blocks/attention.h"

#include "host.h"

PagesStatus attention(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, float scale,
                      const Mask *mask, Pool *pool, BlockTable *tables, Trace *trace)
{
    PagesStatus status = pages_append(pool, tables, k, v);
    if (status != PAGES_OK)
        return status;
    host_pass((Pass){.q = q, .out = out, .lse = lse, .k = pass_pages(pool->k, tables),
                     .v = pass_pages(pool->v, tables), .G = k.shape[1], .scale = scale,
                     .mask = mask}, trace);
    return PAGES_OK;
}
