// The suites: which groups are measured. To add one: write a function that adds groups, and give it
// a line in the table at the end.

#include "bench.h"

#include <stdlib.h>
#include <string.h>

// GPT-2 small's heads, and those of a model whose heads share keys.
static Shape heads_of_12(long N, long M, bool causal)
{
    return (Shape){.B = 1, .H = 12, .G = 12, .N = N, .M = M, .D = 64, .causal = causal};
}

static Shape heads_of_32(long N, long M, bool causal)
{
    return (Shape){.B = 1, .H = 32, .G = 8, .N = N, .M = M, .D = 128, .causal = causal};
}

// --lengths, or the suite's own: from `from` to `to`, times `factor` each.
static int lengths_of(long *lengths, long from, long to, long factor)
{
    int n = 0;
    for (; n < flags.length_count; n++)
        lengths[n] = flags.lengths[n];
    for (long N = from; flags.length_count == 0 && N <= to; N *= factor)
        lengths[n++] = N;
    return n;
}

// The usual length of a suite that does not vary it.
static long length_or(long usual)
{
    return flags.length_count ? flags.lengths[0] : flags.tiny ? 64 : usual;
}

static void run_and_end(void)
{
    group_run();
    group_end();
}

// --- prefill ------------------------------------------------------------------------------------

// Chapters take seconds where the kernels take milliseconds: they come along as far as is bearable.
static void prefill_group(Shape s)
{
    long far = s.D == 64 ? 512 : 256;
    group_begin("prefill", BY_PEAK);
    Entry *fast = add_fast(&s, -1, 1);
    if (flags.threads > 1)
        add_fast(&s, -1, (int)flags.threads)->against = fast;
    if (s.N <= (flags.quick ? 256 : far)) {
        add_chapter(4, &s)->against = fast;
        add_chapter(6, &s)->against = fast;
        add_chapter(7, &s)->against = fast;
    }
    run_and_end();
}

static void prefill(void)
{
    long N[32];
    int n = lengths_of(N, 128, flags.tiny ? 128 : flags.quick ? 2048 : 16384, flags.quick ? 4 : 2);
    for (int causal = 0; causal < 2; causal++)
        for (int i = 0; i < n; i++) {
            prefill_group(heads_of_12(N[i], N[i], causal));
            if (N[i] <= 4096 && !flags.quick && !flags.tiny)
                prefill_group(heads_of_32(N[i], N[i], causal));
        }
}

// All steps at one shape, and the last one on every instruction set that is here.
static void ladder_group(Shape s)
{
    Entry *first = NULL;
    group_begin("prefill_ladder", BY_PEAK);
    for (int step = 0; step < PREFILL_STEPS; step++) {
        Entry *e = add_fast(&s, step, 1);
        e->against = first;
        first = first ? first : e;
    }
    if (flags.threads > 1)
        add_fast(&s, -1, (int)flags.threads)->against = first;
    for (int i = 0; isa_at(i); i++)
        if (isa_runs(isa_at(i)) && isa_at(i) != isa_best() && !flags.quick) {
            Entry *e = add_fast(&s, -1, 1);
            e->isa = isa_at(i);
            e->against = first;
            snprintf(e->name, sizeof e->name, "prefill-%s-%s", e->kernel, e->isa->name);
        }
    run_and_end();
}

static void prefill_ladder(void)
{
    long N = length_or(flags.quick ? 512 : 1024);
    ladder_group(heads_of_12(N, N, false));
    ladder_group(heads_of_12(N, N, true));
}

// --- decode -------------------------------------------------------------------------------------

// Chapters 05 to 07 hold all keys but the last, which comes with the query; 04 is given all.
static void decode_group(Shape s)
{
    group_begin("decode", BY_DRAM);
    Entry *fast = add_decode(&s, -1, 1);
    if (flags.threads > 1)
        add_decode(&s, -1, (int)flags.threads)->against = fast;
    for (int chapter = 4; chapter <= 7 && !(flags.quick && s.M > 4096); chapter++)
        if (chapter != 4 || !flags.quick)
            add_chapter(chapter, &s)->against = fast;
    run_and_end();
}

static void decode(void)
{
    long M[32];
    int n = lengths_of(M, 512, flags.tiny ? 512 : 16384, flags.quick ? 32 : 2);
    for (int i = 0; i < n; i++) {
        decode_group(heads_of_12(1, M[i], false));
        if (!flags.tiny)
            decode_group(heads_of_32(1, M[i], false));
    }
}

// Every step, and the last one on all threads.
static void decode_ladder_group(Shape s)
{
    Entry *first = NULL;
    group_begin("decode_ladder", BY_DRAM);
    for (int step = 0; step < DECODE_STEPS; step++) {
        Entry *e = add_decode(&s, step, 1);
        e->against = first;
        first = first ? first : e;
    }
    if (flags.threads > 1 || !first)
        add_decode(&s, -1, (int)flags.threads)->against = first;
    run_and_end();
}

static void decode_ladder(void)
{
    decode_ladder_group(heads_of_12(1, length_or(16384), false));
    decode_ladder_group(heads_of_32(1, length_or(16384), false));
}

// --- how keys and values are kept ---------------------------------------------------------------

// The pool's blocks lie in no order.
static void paging(void)
{
    static const long blocks[] = {16, 64, 256};
    for (int threads = 1; threads <= flags.threads; threads += threads) {
        Shape s = heads_of_32(1, length_or(16384), false);
        group_begin("paging", BY_DRAM);
        Entry *contiguous = add_decode(&s, -1, threads);
        for (int i = 0; i < 3; i++) {
            s.block_size = blocks[i];
            Entry *e = add_decode(&s, -1, threads);
            e->against = contiguous;
            snprintf(e->name, sizeof e->name, "%s-%s-block%ld", contiguous->decodes ? "decode"
                     : "prefill", e->kernel, blocks[i]);
        }
        run_and_end();
    }
}

// Half the bytes should be half the time, where memory is what one waits for.
static void kv_dtype(void)
{
    static const char *const names[] = {"f32", "bf16", "f16"};
    for (int threads = 1; threads <= flags.threads; threads += threads) {
        Shape s = heads_of_32(1, length_or(16384), false);
        group_begin("kv_dtype", BY_DRAM);
        Entry *first = NULL;
        for (int kept = 0; kept < 3; kept++) {
            s.kept = (Kept)kept;
            Entry *e = add_decode(&s, -1, threads);
            e->against = first;
            first = first ? first : e;
            snprintf(e->name, sizeof e->name, "%s-%s-%s", e->decodes ? "decode" : "prefill",
                     e->kernel, names[kept]);
        }
        run_and_end();
    }
}

// --- one letter at a time -----------------------------------------------------------------------

// The same query heads, fewer and fewer KV heads: MHA, GQA, MQA.
static void heads(void)
{
    for (int decodes = 0; decodes < 2; decodes++) {
        Entry *first = NULL;
        group_begin("heads", decodes ? BY_DRAM : BY_PEAK);
        for (long G = 32; G >= 1; G /= flags.quick || flags.tiny ? 32 : 2) {
            long M = length_or(decodes ? 8192 : 1024);
            Shape s = {.B = 1, .H = 32, .G = G, .N = decodes ? 1 : M, .M = M, .D = 64,
                       .causal = !decodes};
            Entry *e = decodes ? add_decode(&s, -1, 1) : add_fast(&s, -1, 1);
            e->against = first;
            first = first ? first : e;
            snprintf(e->name, sizeof e->name, "%s-%s-G%ld", e->decodes ? "decode" : "prefill",
                     e->kernel, G);
        }
        run_and_end();
    }
}

// H D stays the same, and with it the work of a full pass.
static void head_size(void)
{
    Entry *first = NULL;
    long N = length_or(1024);
    group_begin("head_size", BY_PEAK);
    for (long D = 16; D <= 256; D *= flags.quick || flags.tiny ? 16 : 2) {
        Shape s = {.B = 1, .H = 1024 / D, .G = 1024 / D, .N = N, .M = N, .D = D};
        Entry *e = add_fast(&s, -1, 1);
        e->against = first;
        first = first ? first : e;
        snprintf(e->name, sizeof e->name, "prefill-%s-D%ld", e->kernel, D);
    }
    run_and_end();
}

// Chapter 07's tiles: the counts are its point, the clock comes along.
static void tile(void)
{
    Entry *first = NULL;
    long N = length_or(flags.quick ? 256 : 512);
    group_begin("tile", BY_PEAK);
    for (long T = 8; T <= 256 && T <= N; T *= flags.quick ? 4 : 2) {
        Shape s = {.B = 1, .H = 4, .G = 4, .N = N, .M = N, .D = 64, .tile = T};
        Entry *e = add_chapter(7, &s);
        e->against = first;
        first = first ? first : e;
        snprintf(e->name, sizeof e->name, "chapter-07-tile%ld", T);
    }
    run_and_end();
}

// Twice as many each time, and all at last.
static void threads_of(Shape s, bool decodes)
{
    Entry *one = NULL;
    group_begin("threads", decodes ? BY_DRAM : BY_PEAK);
    for (long t = 1; t <= flags.threads; t = t < flags.threads && 2 * t > flags.threads
                                                 ? flags.threads : 2 * t) {
        Entry *e = decodes ? add_decode(&s, -1, (int)t) : add_fast(&s, -1, (int)t);
        e->against = one;
        one = one ? one : e;
        snprintf(e->name, sizeof e->name, "%s-%s-threads%ld", e->decodes ? "decode" : "prefill",
                 e->kernel, t);
    }
    run_and_end();
}

static void threads(void)
{
    long N = length_or(flags.quick ? 1024 : 4096), M = length_or(16384);
    threads_of(heads_of_12(N, N, false), false);
    threads_of(heads_of_12(N, N, true), false);
    threads_of(heads_of_32(1, M, false), true);
}

// All chapters in one group: each against chapter 01, which the others must agree with.
static void chapters(void)
{
    long N[32];
    int n = lengths_of(N, 64, flags.tiny ? 64 : flags.quick ? 256 : 1024, flags.quick ? 4 : 2);
    for (int i = 0; i < n; i++) {
        Shape s = heads_of_12(N[i], N[i], false);
        group_begin("chapters", BY_PEAK);
        Entry *naive = add_chapter(1, &s);
        for (int chapter = 2; chapter <= 7; chapter++)
            add_chapter(chapter, &s)->against = naive;
        add_fast(&s, -1, 1)->against = naive;
        run_and_end();
    }
}

// --- memory: counted, each run once -------------------------------------------------------------

// The names that the figures use.
static void memory_row(const char *name, Entry *e)
{
    snprintf(e->name, sizeof e->name, "%s", name);
}

// Two heads: what is held for one head at a time shows as such.
static void memory(void)
{
    long N[32];
    int n = lengths_of(N, 64, flags.tiny ? 128 : flags.quick ? 1024 : 4096, flags.quick ? 4 : 2);
    for (int i = 0; i < n; i++) {
        Shape s = {.B = 1, .H = 2, .G = 2, .N = N[i], .M = N[i], .D = 64};
        group_begin("memory", BY_PEAK);
        memory_row("naive", add_chapter(1, &s));
        memory_row("paged", add_chapter(6, &s));
        memory_row("flash", add_chapter(7, &s));
        memory_row("fast", add_fast(&s, -1, 1));
        group_count();
        group_end();
    }
}

// What make counts wrote: the CUDA kernels' bytes on the emulator, whose clock says nothing.
static void simt(void)
{
    char line[512], kernel[64], mask[16];
    FILE *f = fopen("plots/data/bytes_by_length.csv", "r");
    if (!f)
        fprintf(stderr, "skip - simt: plots/data/bytes_by_length.csv is not here (make counts)\n");
    while (f && !flags.planning && fgets(line, sizeof line, f)) {
        long N, D, requested;
        if (sscanf(line, "%63[^,],%ld,%ld,%15[^,],%ld", kernel, &N, &D, mask, &requested) != 5)
            continue;
        Shape s = {.B = 1, .H = 1, .G = 1, .N = N, .M = N, .D = D,
                   .causal = strcmp(mask, "causal") == 0};
        Entry e = {.what = "simt", .kernel = kernel, .shape = s, .flops = shape_flops(&s),
                   .moved = requested, .kv = shape_kv_bytes(&s)};
        snprintf(e.name, sizeof e.name, "simt-%.60s", kernel);
        csv_counts("simt", &e);
    }
    if (f)
        fclose(f);
}

// --- peers --------------------------------------------------------------------------------------

// Library by library, with ours in the same rounds. OpenBLAS in three passes is a step of ours.
static void peers_group(Shape s, int count)
{
    group_begin("peers", s.N == 1 ? BY_DRAM : BY_PEAK);
    Entry *ours = s.N == 1 ? add_decode(&s, -1, count) : add_fast(&s, -1, count);
    for (int step = 0; step < PREFILL_STEPS && s.N > 1; step++)
        if (strcmp(prefill_names[step], "blas") == 0)
            add_fast(&s, step, count)->against = ours;
    add_peer("onnxruntime", &s, count)->against = ours;
    add_peer("torch", &s, count)->against = ours;
    run_and_end();
}

static void peers(void)
{
    for (int count = 1; count <= flags.threads; count += count) {
        for (int causal = 0; causal < 2; causal++) {
            long N = length_or(flags.quick ? 1024 : 4096);
            peers_group(heads_of_12(N, N, causal), count);
            if (!flags.quick && !flags.tiny) {
                peers_group(heads_of_12(1024, 1024, causal), count);
                peers_group(heads_of_32(2048, 2048, causal), count);
            }
        }
        peers_group(heads_of_32(1, length_or(16384), false), count);
        peers_group(heads_of_12(1, length_or(16384), false), count);
    }
}

// --- the table ----------------------------------------------------------------------------------

static const struct {
    const char *name;
    void (*run)(void);
    const char *what;
} suites[] = {
    {"prefill", prefill, "time against N, full and causal, one thread and all"},
    {"prefill_ladder", prefill_ladder, "every step of the ladder, every instruction set"},
    {"decode", decode, "one token against the context, one thread and all"},
    {"decode_ladder", decode_ladder, "every step of the ladder"},
    {"paging", paging, "blocks of 16, 64 and 256 tokens against contiguous keys"},
    {"kv_dtype", kv_dtype, "keys and values as float32, bf16, fp16"},
    {"heads", heads, "H / G from 1 to 32"},
    {"head_size", head_size, "D from 16 to 256"},
    {"tile", tile, "chapter 07's tiles"},
    {"threads", threads, "one thread to all"},
    {"chapters", chapters, "the seven chapters against N"},
    {"memory", memory, "scratch against N, counted"},
    {"simt", simt, "bytes of the CUDA kernels, counted on the emulator"},
    {"gpt2", gpt2_suite, "with and without a cache, GPT-2 small's shape"},
    {"peers", peers, "OpenBLAS, ONNX Runtime, PyTorch"},
};

enum { SUITES = sizeof suites / sizeof *suites };

// Is `name` one of the words of `list`, between commas?
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += n)
        if ((at == list || at[-1] == ',') && (at[n] == ',' || !at[n]))
            return true;
    return false;
}

bool suites_have(const char *name)
{
    for (int i = 0; i < SUITES; i++)
        if (strcmp(suites[i].name, name) == 0)
            return true;
    return false;
}

void suites_print(void)
{
    for (int i = 0; i < SUITES; i++)
        printf("%-16s %s\n", suites[i].name, suites[i].what);
}

void suites_run(const char *names)
{
    for (int i = 0; i < SUITES; i++)
        if (!names || listed(names, suites[i].name))
            suites[i].run();
}
