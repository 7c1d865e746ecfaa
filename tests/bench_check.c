// make bench-check: the figures that the fast kernels must reach, all of them ratios of one run.
// Prints a row for each: what is wanted, the median of the rounds that stand, the smallest and the
// largest of them, yes or no.

#include "bench.h"

#include <math.h>
#include <string.h>

enum { KB = 1 << 10 };

static int missed;

static Shape of_12(long N, long M, bool causal)
{
    return (Shape){.B = 1, .H = 12, .G = 12, .N = N, .M = M, .D = 64, .causal = causal};
}

static Shape of_32(long N, long M, bool causal)
{
    return (Shape){.B = 1, .H = 32, .G = 8, .N = N, .M = M, .D = 128, .causal = causal};
}

// --- a line of the table ------------------------------------------------------------------------

static const char *shape_text(const Shape *s, int threads)
{
    static char text[96];
    snprintf(text, sizeof text, "H%ld/%ld D%ld %c%ld%s, %d thread%s", s->H, s->G, s->D,
             s->N == 1 ? 'M' : 'N', s->M, s->N == 1 ? "" : s->causal ? " causal" : " full",
             threads, threads > 1 ? "s" : "");
    return text;
}

// sign: '>' for at least, '<' for at most. The median must reach it.
static void judge(const char *row, const char *what, const char *where, char sign, double wanted,
                  Spread got)
{
    bool yes = sign == '>' ? got.median >= wanted : got.median <= wanted; // NaN: no
    yes = yes && got.count >= flags.rounds;
    missed += !yes;
    if (got.count < flags.rounds)
        printf("%-2s %-26s %-34s %c= %-6g too much noise: %2d rounds stand no\n", row, what, where,
               sign, wanted, got.count);
    else
        printf("%-2s %-26s %-34s %c= %-6g %8.4g  %8.4g .. %-8.4g %s\n", row, what, where, sign,
               wanted, got.median, got.min, got.max, yes ? "yes" : "no");
    fflush(stdout);
}

static void not_here(const char *row, const char *what, const char *where, const char *why)
{
    printf("%-2s %-26s %-34s skipped: %s\n", row, what, where, why);
}

// Of a ratio the other way round, the smallest is the largest.
static Spread inverse(Spread s)
{
    return (Spread){1 / s.median, 1 / s.max, 1 / s.min, s.count};
}

// --- rows 1 and 2: prefill ----------------------------------------------------------------------

// Their time over ours, of that library which comes closest.
static void judge_peers(Entry *const *peers, int count, const char *where, double wanted)
{
    const Entry *best = NULL;
    char what[40];
    for (int i = 0; i < count; i++) {
        const Entry *e = peers[i];
        bool first = !best || isnan(best->summary.ratio.median);
        if (!e->skipped && (first || e->summary.ratio.median > best->summary.ratio.median))
            best = e;
    }
    if (!best) {
        not_here("2", "against peers", where, "no library is here");
        return;
    }
    snprintf(what, sizeof what, "against %.*s", (int)strcspn(best->kernel, "-"), best->kernel);
    judge("2", what, where, '>', wanted, inverse(best->summary.ratio));
}

static int step_of(const char *name)
{
    for (int i = 0; i < PREFILL_STEPS; i++)
        if (strcmp(prefill_names[i], name) == 0)
            return i;
    return -1;
}

// OpenBLAS in three passes is a step of our own ladder.
static int add_peers(const Shape *s, int threads, Entry *against, Entry *peers[3])
{
    int count = 0, blas = step_of("blas");
    if (blas >= 0)
        peers[count++] = add_fast(s, blas, threads);
    peers[count++] = add_peer("onnxruntime", s, threads);
    peers[count++] = add_peer("torch", s, threads);
    for (int i = 0; i < count; i++)
        peers[i]->against = against;
    return count;
}

// Short prompts are held against the peak alone.
static void check_prefill(Shape s, int threads, double share, bool against_naive)
{
    group_begin("check", BY_PEAK);
    Entry *fast = add_fast(&s, -1, threads), *naive = NULL, *peers[3];
    int count = s.N >= 2048 ? add_peers(&s, threads, fast, peers) : 0;
    if (against_naive && step_of("naive") >= 0)
        naive = add_fast(&s, step_of("naive"), threads), naive->against = fast;
    group_run();
    if (!flags.planning) {
        char where[96];
        snprintf(where, sizeof where, "%s", shape_text(&s, threads));
        judge("1", "share of FMA peak", where, '>', share, fast->summary.of_peak);
        if (count > 0)
            judge_peers(peers, count, where, s.causal ? 1.6 : 1.1);
        if (naive)
            judge("2", "against naive", where, '>', 30, inverse(naive->summary.ratio));
    }
    group_end();
}

// Two shapes and a short one, full and causal, on one thread and on two.
static void check_prefills(void)
{
    for (int causal = 0; causal < 2; causal++) {
        check_prefill(of_12(512, 512, causal), 1, causal ? 0.72 : 0.80, false);
        check_prefill(of_12(2048, 2048, causal), 1, causal ? 0.86 : 0.90, !causal);
        check_prefill(of_12(4096, 4096, causal), 1, causal ? 0.86 : 0.90, false);
        check_prefill(of_32(2048, 2048, causal), 1, causal ? 0.86 : 0.90, false);
        if (flags.threads < 2)
            continue;
        check_prefill(of_12(4096, 4096, causal), 2, causal ? 0.82 : 0.85, false);
        check_prefill(of_32(2048, 2048, causal), 2, causal ? 0.82 : 0.85, false);
    }
}

// --- rows 3 and 4: decode -----------------------------------------------------------------------

// K and V are read once: more than the rate of memory is not to be had.
static void check_decode(Shape s, int threads)
{
    group_begin("check", BY_DRAM);
    Entry *f32 = add_decode(&s, -1, threads);
    s.kept = KEPT_BF16;
    Entry *bf16 = add_decode(&s, -1, threads);
    bf16->against = f32;
    snprintf(bf16->name, sizeof bf16->name, "%.40s-bf16", f32->name);
    group_run();
    if (!flags.planning) {
        char where[96];
        snprintf(where, sizeof where, "%s", shape_text(&s, threads));
        judge("3", "KV at the DRAM rate", where, '>', 0.85, f32->summary.of_dram);
        judge("3", "bf16 KV against float32", where, '>', 1.8, bf16->summary.ratio);
    }
    group_end();
}

static bool same_bits(Tensor a, Tensor b)
{
    return memcmp(a.data, b.data, (size_t)tensor_count(a) * sizeof *a.data) == 0;
}

// Blocks in no order must cost next to nothing, and change no bit.
static void check_paging(int threads)
{
    static const long blocks[] = {16, 64};
    static const double wanted[] = {1.10, 1.05};
    Shape s = of_32(1, 16384, false);
    Entry *paged[2];
    group_begin("check", BY_DRAM);
    Entry *contiguous = add_decode(&s, -1, threads);
    for (int i = 0; i < 2; i++) {
        s.block_size = blocks[i];
        paged[i] = add_decode(&s, -1, threads);
        paged[i]->against = contiguous;
        snprintf(paged[i]->name, sizeof paged[i]->name, "%.40s-block%ld", contiguous->name,
                 blocks[i]);
    }
    group_run();
    for (int i = 0; i < 2 && !flags.planning; i++) {
        char what[40], where[96];
        bool same = same_bits(contiguous->out, paged[i]->out);
        snprintf(what, sizeof what, "block %ld over contiguous", blocks[i]);
        snprintf(where, sizeof where, "%s", shape_text(&s, threads));
        judge("4", what, where, '<', wanted[i], inverse(paged[i]->summary.ratio));
        judge("4", "the same bits, 1 or 0", where, '>', 1,
              (Spread){same, same, same, FEWEST_ROUNDS});
    }
    group_end();
}

// --- rows 5 and 6: what grows how ---------------------------------------------------------------

// Twice the tokens are four times the work, and nothing else may grow so; half of it is masked.
static void check_growth(int threads)
{
    Shape s = of_12(2048, 2048, false), twice = of_12(4096, 4096, false);
    Shape causal = of_12(4096, 4096, true);
    group_begin("check", BY_PEAK);
    Entry *half = add_fast(&s, -1, threads), *full = add_fast(&twice, -1, threads);
    Entry *part = add_fast(&causal, -1, threads);
    half->against = full, part->against = full;
    group_run();
    if (!flags.planning) {
        char where[96];
        snprintf(where, sizeof where, "%s", shape_text(&twice, threads));
        double most = threads * (4.0 * (double)(twice.N * twice.D) + 256 * KB);
        double scratch = (double)full->scratch;
        judge("5", "scratch bytes", where, '<', most,
              (Spread){scratch, scratch, scratch, FEWEST_ROUNDS});
        judge("5", "time over that of N2048", where, '<', 4.1, half->summary.ratio);
        judge("6", "causal over full", where, '<', 0.54, inverse(part->summary.ratio));
    }
    group_end();
}

// --- row 7 --------------------------------------------------------------------------------------

// A whole model's decode: weights are most of its bytes.
static void check_model(int threads)
{
    group_begin("check", BY_DRAM);
    Entry *e = gpt2_add_cached(threads);
    group_run();
    if (!flags.planning) {
        char where[96];
        snprintf(where, sizeof where, "GPT-2 small, 1000 tokens, %d thread%s", threads,
                 threads > 1 ? "s" : "");
        judge("7", "weights + KV at DRAM rate", where, '>', 0.85, e->summary.of_dram);
    }
    group_end();
}

int check_all(void)
{
    if (!flags.planning)
        printf("%-2s %-26s %-34s %-9s %8s  %8s .. %-8s\n", "", "what", "where", "wanted", "median",
               "min", "max");
    check_prefills();
    for (int threads = 1; threads <= 2 && threads <= flags.threads; threads++) {
        check_decode(of_32(1, 16384, false), threads);
        check_decode(of_12(1, 16384, false), threads);
        check_paging(threads);
        check_growth(threads);
        check_model(threads);
    }
    if (!flags.planning)
        printf("%d missed\n", missed);
    return missed ? EXIT_DIFFERS : 0;
}
