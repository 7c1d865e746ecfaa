#include "kernels.h"

#include <stddef.h>
#include <string.h>

#define NAME_OF(name) #name,
const char *const prefill_names[] = {PREFILL_LADDER(NAME_OF) NULL};
const char *const decode_names[] = {DECODE_LADDER(NAME_OF) NULL};

bool prefill_traces(int step)
{
    return step == PREFILL_naive || step == PREFILL_order || step == PREFILL_blas;
}

// COMPILED is the build's list of instruction sets, the best first: SET(avx512) SET(avx2) ...
#define DECLARE(name) extern const Isa isa_##name;
#define ROW(name) &isa_##name,
#define SET DECLARE
COMPILED
#undef SET
#define SET ROW
static const Isa *const compiled[] = {COMPILED NULL};

static const Isa *chosen;

const Isa *isa_at(int i)
{
    return compiled[i];
}

// base and scalar are what every processor of this kind has.
bool isa_runs(const Isa *isa)
{
#if defined __x86_64__
    if (strcmp(isa->name, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
    if (strcmp(isa->name, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#endif
    (void)isa;
    return true;
}

const Isa *isa_best(void)
{
    for (int i = 0; !chosen && compiled[i]; i++)
        if (isa_runs(compiled[i]))
            chosen = compiled[i];
    return chosen;
}

void isa_choose(const Isa *isa)
{
    chosen = isa;
}
