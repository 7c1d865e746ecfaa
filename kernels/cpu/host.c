#include "host.h"

#include "workspace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

HostChoice host_choice;

static bool used_prefill[PREFILL_STEPS], used_decode[DECODE_STEPS + 1];

// --- kernels by name ----------------------------------------------------------------------------

// The place of `name` in a list that NULL ends; -1: it is not there.
static int place_of(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

bool host_has_kernel(const char *name)
{
    return place_of(prefill_names, name) >= 0 || place_of(decode_names, name) >= 0;
}

bool host_holds_scores(void)
{
    return host_choice.kernel && prefill_traces(place_of(prefill_names, host_choice.kernel));
}

static void add_names(char *text, size_t room, const char *const *names, const char *ladder,
                      bool *used)
{
    for (int i = 0; names[i]; i++) {
        size_t n = strlen(text);
        if (used[i])
            snprintf(text + n, room - n, "%s%s-%s", n ? "+" : "", ladder, names[i]);
        used[i] = false;
    }
}

const char *host_kernels_used(void)
{
    static char text[512];
    text[0] = '\0';
    add_names(text, sizeof text, prefill_names, "prefill", used_prefill);
    add_names(text, sizeof text, decode_names, "decode", used_decode);
    return text[0] ? text : "-";
}

// A name that both ladders have is the one that fits the pass. But where steps are shown, one that
// holds its scores computes every pass: decode's first step keeps none.
static PassKernel *choose(const Pass *p, bool shown)
{
    const char *name = host_choice.kernel;
    const Isa *isa = isa_best();
    if (host_choice.always)
        return host_choice.always;
    int prefill = name ? place_of(prefill_names, name) : PREFILL_STEPS - 1;
    int decode = name ? place_of(decode_names, name) : DECODE_STEPS - 1;
    bool shows = shown && name && prefill >= 0 && prefill_traces(prefill);
    if (decode >= 0 && !shows && (p->N == 1 || prefill < 0)) {
        used_decode[decode] = true;
        return isa->decode[decode];
    }
    used_prefill[prefill] = true;
    return isa->prefill[prefill];
}

// Does that kernel show its steps itself?
static bool traces(PassKernel *kernel)
{
    for (int step = 0; step < PREFILL_STEPS; step++)
        if (kernel == isa_best()->prefill[step])
            return prefill_traces(step);
    return false;
}

// --- 16-bit keys and values ---------------------------------------------------------------------

// To bf16, to the nearest, ties to even; a NaN stays one.
static uint16_t bf16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// To fp16, the same. The float unit rounds: adding a number whose last bit is worth what fp16's is
// leaves no more bits than fp16 has.
static uint16_t f16_of(float x)
{
    uint32_t bits, magic_bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (size >= 0x477ff000) // 65520 and more round to infinity
        return (uint16_t)(sign | 0x7c00);
    if (size < 0x38800000) { // subnormal in fp16: steps of 2^-24
        float magic = 0.5f, positive;
        memcpy(&positive, &size, sizeof positive);
        positive += magic;
        memcpy(&magic_bits, &positive, sizeof magic_bits);
        return (uint16_t)(sign | (magic_bits - 0x3f000000));
    }
    uint32_t rounded = size + 0xfff + (size >> 13 & 1);
    return (uint16_t)(sign | ((rounded - 0x38000000) >> 13));
}

// Every row of all sequences as 16-bit numbers, [B, G, M, width], the caller's to free. lengths
// NULL: all have M.
static uint16_t *narrow(Rows *rows, long B, long G, const long *lengths, long M, long width)
{
    uint16_t *all = huge_alloc(B * G * M * width * (long)sizeof *all);
    Rows to = {.data = all, .kept = host_choice.kept, .sequence = G * M * width,
               .head = M * width, .token = width};
    for (long b = 0; b < B; b++)
        for (long g = 0; g < G; g++)
            for (long j = 0; j < (lengths ? lengths[b] : M); j++) {
                const float *from = row_of(rows, b, g, j);
                uint16_t *at = all + ((b * G + g) * M + j) * width;
                for (long d = 0; d < width; d++)
                    at[d] = to.kept == KEPT_BF16 ? bf16_of(from[d]) : f16_of(from[d]);
            }
    *rows = to;
    return all;
}

// --- the pass -----------------------------------------------------------------------------------

// The keys that each sequence has: those that the user hides as padding and those that its table
// does not hold are not there. The caller's to free.
static long *key_counts(const Pass *p, long B)
{
    long *counts = malloc((B > 0 ? (size_t)B : 1) * sizeof *counts);
    if (!counts)
        refuse(EXIT_MEMORY, "out of memory: %ld lengths", B);
    for (long b = 0; b < B; b++) {
        counts[b] = mask_head(p->mask, b, 0).keys;
        if (p->k.tables && p->k.tables[b].len < counts[b])
            counts[b] = p->k.tables[b].len;
    }
    return counts;
}

static void show(const Pass *p, Trace *trace)
{
    for (long b = 0; b < p->B; b++)
        for (long h = 0; h < p->H; h++) {
            trace_at(trace, b, h);
            trace_step(trace, "output", tensor_at(tensor_at(p->out, b), h));
            trace_step(trace, "lse", tensor_at(tensor_at(p->lse, b), h));
        }
}

void host_pass(Pass p, Trace *trace)
{
    Mask own = *p.mask;
    uint16_t *k = NULL, *v = NULL;
    p.B = p.q.shape[0], p.H = p.q.shape[1], p.N = p.q.shape[2], p.D = p.q.shape[3];
    p.Dv = p.out.shape[3];
    own.lengths = key_counts(&p, p.B);
    own.length_count = p.B;
    p.mask = &own;
    for (long b = 0; b < p.B; b++)
        p.M = own.lengths[b] > p.M ? own.lengths[b] : p.M;
    PassKernel *kernel = choose(&p, !trace->quiet);
    if (traces(kernel) && !trace->quiet) { // it shows the scores of hidden keys, too
        p.trace = trace;
        p.M = trace->mask.keys;
    }
    own.keys = p.M;
    if (host_choice.kept != KEPT_F32) {
        k = narrow(&p.k, p.B, p.G, p.trace ? NULL : own.lengths, p.M, p.D);
        v = narrow(&p.v, p.B, p.G, p.trace ? NULL : own.lengths, p.M, p.Dv);
    }
    kernel(&p);
    if (!p.trace)
        show(&p, trace);
    free(k);
    free(v);
    free(own.lengths);
}
