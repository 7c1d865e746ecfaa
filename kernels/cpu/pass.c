#include "pass.h"

#include "../../common/count.h"

Rows pass_tensor(Tensor t)
{
    return (Rows){.data = t.data, .sequence = t.stride[0], .head = t.stride[1],
                  .token = t.stride[2]};
}

Rows pass_pages(Tensor memory, const BlockTable *tables)
{
    Rows rows = pass_tensor(memory);
    rows.tables = tables;
    rows.T = memory.shape[2];
    return rows;
}

Seen mask_seen(const Mask *m, long i)
{
    long p = i + m->offset; // the query's position
    Seen s = {0, m->keys};
    if ((m->causal || m->window >= 0) && s.to > p + 1)
        s.to = p + 1;
    if (m->window >= 0 && p > m->window)
        s.from = p - m->window;
    long prefix_end = m->prefix > p + 1 ? m->prefix : p + 1;
    if (m->prefix >= 0 && s.to > prefix_end)
        s.to = prefix_end;
    if (s.from > m->keys) // a window that lies behind the last key
        s.from = m->keys;
    return s.from < s.to ? s : (Seen){s.from, s.from};
}

void pass_count(const Pass *p)
{
    long pairs = 0;
    for (long b = 0; b < p->B; b++) {
        Mask m = mask_head(p->mask, b, 0);
        for (long i = 0; p->H > 0 && i < p->N; i++) {
            Seen s = mask_seen(&m, i);
            pairs += p->H * (s.to - s.from);
        }
    }
    count_scores(pairs);
    count_flops(pairs * (2 * (p->D + p->Dv) + 4));
}
