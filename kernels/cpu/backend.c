// The fast build's answers to common/backend.h, in the place of common/backend.c: which kernel,
// which instruction set, how many threads, and how K and V are kept.

#include "../../common/backend.h"

#include "blas.h"
#include "host.h"
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *isa_text, *kept_text = "f32";
static long threads;
static const char *nothing; // where flags go that are only known to be refused
static bool nothing_given;

const Flag *backend_flags(void)
{
    static const Flag flags[] = {
        {"--kernel", FLAG_TEXT, &host_choice.kernel, 0, "NAME",
         "which step of the ladders; list names them (usually the last)"},
        {"--isa", FLAG_TEXT, &isa_text, 0, "NAME", "which instruction set; list names them"},
        {"--threads", FLAG_SIZE, &threads, 0, "T", "threads (default: one for each processor)"},
        {"--kv-dtype", FLAG_TEXT, &kept_text, 0, "TYPE",
         "K and V as f32 (default), bf16 or f16"},
        {"--trace-warp", FLAG_TEXT, &nothing, 0, "BLOCK,WARP", NULL},
        {"--sites", FLAG_SWITCH, &nothing_given, 0, NULL, NULL},
        {"--counts", FLAG_TEXT, &nothing, 0, "F.csv", NULL},
        {"--cache-bytes", FLAG_TEXT, &nothing, 0, "BYTES", NULL},
        {0},
    };
    return flags;
}

static void list_kernels(void)
{
    for (int i = 0; prefill_names[i]; i++)
        printf("prefill %-10s%s\n", prefill_names[i], prefill_names[i + 1] ? "" : " (usual)");
    for (int i = 0; decode_names[i]; i++)
        printf("decode  %-10s%s\n", decode_names[i],
               decode_names[i + 1] ? "" : " (usual for one query)");
    output_finish();
    exit(0);
}

static void list_isas(void)
{
    for (int i = 0; isa_at(i); i++)
        printf("%-8s %2d floats a vector%s\n", isa_at(i)->name, isa_at(i)->lanes,
               isa_at(i) == isa_best() ? " (usual)" : isa_runs(isa_at(i)) ? "" : " (not here)");
    output_finish();
    exit(0);
}

// The set of that name; refused where this build, or this processor, does not have it.
static void choose_isa(const char *by, const char *name)
{
    if (strcmp(name, "list") == 0)
        list_isas();
    for (int i = 0; isa_at(i); i++)
        if (strcmp(isa_at(i)->name, name) == 0) {
            if (!isa_runs(isa_at(i)))
                refuse(EXIT_DEVICE, "%s %s: expected a processor that has it, got %s", by, name,
                       isa_best()->name);
            isa_choose(isa_at(i));
            return;
        }
    refuse(EXIT_USAGE, "%s: there is no instruction set \"%s\"; list names them", by, name);
}

static void choose_kept(void)
{
    static const char *const names[] = {"f32", "bf16", "f16"};
    for (int i = 0; i < 3; i++)
        if (strcmp(kept_text, names[i]) == 0) {
            host_choice.kept = (Kept)i;
            return;
        }
    refuse(EXIT_USAGE, "--kv-dtype: expected f32, bf16 or f16, got \"%s\"", kept_text);
}

// A flag, and where it was not given the environment, which a script sets for many runs.
static const char *flag_or(const char *flag, const char *variable)
{
    const char *value = flag ? flag : getenv(variable);
    return value && *value ? value : NULL;
}

void backend_open(const Options *o)
{
    static const char *const counted[] = {"--trace-warp", "--sites", "--counts", "--cache-bytes"};
    for (int i = 0; i < 4; i++)
        if (options_given(o, counted[i]))
            refuse(EXIT_USAGE, "%s: this is the fast build for a CPU; it belongs to: make run-%.2s "
                   "DEVICE=counted ARGS=...", counted[i], o->chapter->name);
    const char *isa = flag_or(isa_text, "ATTENTION_ISA");
    const char *by = host_choice.kernel ? "--kernel" : "ATTENTION_KERNEL";
    if (isa)
        choose_isa(isa_text ? "--isa" : "ATTENTION_ISA", isa);
    host_choice.kernel = flag_or(host_choice.kernel, "ATTENTION_KERNEL");
    if (host_choice.kernel && strcmp(host_choice.kernel, "list") == 0)
        list_kernels();
    if (host_choice.kernel && !host_has_kernel(host_choice.kernel))
        refuse(EXIT_USAGE, "%s: there is no kernel \"%s\"; list names them", by,
               host_choice.kernel);
    choose_kept();
    if (threads > MOST_THREADS)
        refuse(EXIT_USAGE, "--threads: expected 1 to %d, got %ld", MOST_THREADS, threads);
    if (threads > 0)
        threads_set((int)threads);
    // An experiment holds the chapter's own bytes, tiles and bits to formulas.
    if (o->experiment)
        refuse(EXIT_USAGE, "--experiment: this build computes by kernels; it belongs to the "
               "chapter's own code: make run-%.2s ARGS=...", o->chapter->name);
}

// Two heads' packed keys and what the threads work on, or one head's scores in the steps that hold
// them all.
double backend_scratch(const Options *o, double n, double keys, double d)
{
    (void)o;
    if (host_holds_scores())
        return n * keys;
    return 2 * keys * d + threads_count() * 0x1p17;
}

void backend_begin(void)
{
    (void)host_kernels_used();
}

const char *backend_device(void)
{
    static char text[64];
    snprintf(text, sizeof text, "fast-%s-%d", isa_best()->name, threads_count());
    return text;
}

const char *backend_kernel(void)
{
    static char text[512];
    snprintf(text, sizeof text, "%s", host_kernels_used());
    return text;
}

void backend_report(void)
{
    printf("%-16s %16s\n", "instructions", isa_best()->name);
    printf("%-16s %16d\n", "threads", threads_count());
    printf("%-16s %16s   %s\n", "kernel", "", backend_kernel());
    printf("%-16s %16s   %s\n", "projections", "", blas_name());
}

void backend_close(void) {}
