// The kernels of one instruction set. Compiled once for each.

#include "kernels.h"
#include "vector.h"

#define DECLARE_PREFILL(name) PassKernel KERNEL(prefill_##name);
#define DECLARE_DECODE(name) PassKernel KERNEL(decode_##name);
PREFILL_LADDER(DECLARE_PREFILL)
DECODE_LADDER(DECLARE_DECODE)

static void exp2_of(float *to, const float *from, long n)
{
    for (long i = 0; i < n; i += LANES)
        if (i + LANES <= n)
            vec_store(to + i, vec_exp2(vec_load(from + i)));
        else
            vec_store_part(to + i, vec_exp2(vec_load_part(from + i, n - i)), n - i);
}

#define NAME_TEXT(isa) #isa
#define NAME(isa) NAME_TEXT(isa)
#define PREFILL_ROW(name) KERNEL(prefill_##name),
#define DECODE_ROW(name) KERNEL(decode_##name),

const Isa KERNEL(isa) = {
    .name = NAME(ISA),
    .lanes = LANES,
    .prefill = {PREFILL_LADDER(PREFILL_ROW)},
    .decode = {DECODE_LADDER(DECODE_ROW) NULL},
    .exp2 = exp2_of,
};
