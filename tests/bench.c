// The benchmark: every chapter, the fast kernels and peers, measured side by side.
//
//     bench [FLAGS]              CSV; docs/BENCH.md explains a row
//     bench --check              the figures that the fast kernels must reach; exit 1 if one is not
//
// Exits with 2 for a flag, 5 where it would not fit in memory, 6 where the file cannot be written,
// 130 where it was interrupted: then the file holds the rows that were done.

#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include "../common/output.h"
#include "../kernels/cpu/threads.h"

#include <stdlib.h>
#include <string.h>

BenchFlags flags;

static const char *place = "build/bench/bench.csv", *wanted;

// --- canned rounds, for the self-test ----------------------------------------------------------

// Reads "flops bytes best_peak best_dram", then a line a round: seconds, and those of what it is
// held against, peak before and after, DRAM before and after.
static int canned(void)
{
    double flops, bytes;
    Sample best;
    Rounds own = {0}, other = {0};
    if (scanf("%lf %lf %lf %lf", &flops, &bytes, &best.peak, &best.dram) != 4)
        refuse(EXIT_INPUT, "--canned: expected four numbers first");
    while (own.count < MOST_ROUNDS) {
        int i = own.count;
        Sample *b = &own.before[i], *a = &own.after[i];
        if (scanf("%lf %lf %lf %lf %lf %lf", &own.seconds[i], &other.seconds[i], &b->peak,
                  &a->peak, &b->dram, &a->dram) != 6)
            break;
        other.before[i] = *b, other.after[i] = *a;
        other.count = ++own.count;
    }
    for (Bound bound = BY_PEAK; bound <= BY_DRAM; bound++) {
        Summary s = summarize(&own, &other, best, bound, flops, bytes);
        printf("%d %d %.6g %.6g %.6g %.6g %.6g %.6g %.6g %.6g\n", s.kept, s.left_out,
               s.seconds.median, s.seconds.min, s.seconds.max, s.of_peak.median, s.of_dram.median,
               s.ratio.median, s.ratio.min, s.ratio.max);
    }
    output_finish();
    return 0;
}

// --- the command line ---------------------------------------------------------------------------

static void usage(void)
{
    printf("bench [FLAGS]\n"
           "  --out F.csv        where rows go (default %s)\n"
           "  --suite NAME,...   only these:\n", place);
    suites_print();
    printf("  --quick            two minutes at most\n"
           "  --check            the figures to be reached, yes or no; exit 1 if one is not\n"
           "  --rounds R         at least so many, %d to %d (default %d)\n"
           "  --threads T        what \"all threads\" means (default: one for each processor)\n"
           "  --lengths N,...    instead of a suite's own N or M\n"
           "  --no-peers         leave the other libraries out\n"
           "  --tiny             seconds in all, for the self-test\n"
           "  --spoil K          calibrations are made up, K too slow, for the self-test\n"
           "                     (given twice: two of them)\n"
           "  --canned           rounds from stdin, for the self-test\n",
           1, MOST_ROUNDS * 2 / 3, FEWEST_ROUNDS);
    output_finish();
    exit(0);
}

static long number(const char *flag, const char *text, long least, long most)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n < least || n > most)
        refuse(EXIT_USAGE, "%s: expected a whole number from %ld to %ld, got \"%s\"", flag, least,
               most, text);
    return n;
}

// --lengths 64,128: sizes that a suite goes through instead of its own.
static void read_lengths(const char *text)
{
    char copy[512], *rest, *word;
    snprintf(copy, sizeof copy, "%s", text);
    for (word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (flags.length_count == 30)
            refuse(EXIT_USAGE, "--lengths: expected at most 30, got more");
        flags.lengths[flags.length_count++] = number("--lengths", word, 2, 1l << 40);
    }
    if (flags.length_count == 0)
        refuse(EXIT_USAGE, "--lengths: expected N,..., got \"%s\"", text);
}

// Names are looked up now, so that a slip is told before anything is measured.
static void read_suites(const char *text)
{
    char copy[512], *rest, *word;
    snprintf(copy, sizeof copy, "%s", text);
    for (word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        if (!suites_have(word))
            refuse(EXIT_USAGE, "--suite: there is no suite \"%s\"; --help names them", word);
    wanted = text;
}

// True where the word is a flag that stands alone.
static bool read_switch(const char *word)
{
    static const struct {
        const char *name;
        bool *value;
    } switches[] = {{"--quick", &flags.quick}, {"--check", &flags.check}, {"--tiny", &flags.tiny},
                    {"--no-peers", &flags.no_peers}};
    for (int i = 0; i < 4; i++)
        if (strcmp(word, switches[i].name) == 0)
            return *switches[i].value = true;
    return false;
}

static void read_value(const char *flag, const char *value)
{
    static const char *const names[] = {"--out", "--suite", "--rounds", "--threads", "--lengths",
                                        "--spoil"};
    int which = 0;
    while (which < 6 && strcmp(flag, names[which]) != 0)
        which++;
    if (which == 6)
        refuse(EXIT_USAGE, "%s: no such flag; --help lists them", flag);
    if (!value || !*value)
        refuse(EXIT_USAGE, "%s: expected a value, got none", flag);
    if (which == 0)
        place = value;
    else if (which == 1)
        read_suites(value);
    else if (which == 2)
        flags.rounds = number(flag, value, 1, MOST_ROUNDS * 2 / 3);
    else if (which == 3)
        flags.threads = number(flag, value, 1, MOST_THREADS);
    else if (which == 4)
        read_lengths(value);
    else
        *(flags.spoil ? &flags.spoil_too : &flags.spoil) = number(flag, value, 1, 1000000);
}

static void read_flags(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            usage();
        if (!read_switch(argv[i])) {
            read_value(argv[i], argv[i + 1]);
            i++;
        }
    }
    if (flags.check && (flags.quick || flags.tiny || wanted))
        refuse(EXIT_USAGE, "--check: expected alone, got --quick, --tiny or --suite, too");
    if (flags.rounds == 0)
        flags.rounds = flags.tiny ? 2 : FEWEST_ROUNDS;
    if (flags.threads == 0)
        flags.threads = threads_count();
}

// Twice: first planned, then measured.
static int everything(void)
{
    if (flags.check)
        return check_all();
    suites_run(wanted);
    return 0;
}

int main(int argc, char **argv)
{
    output_start();
    fail_program("bench");
    if (argc == 2 && strcmp(argv[1], "--canned") == 0)
        return canned();
    read_flags(argc, argv);
    flags.planning = true; // adds up what it would take, before anything is made
    everything();
    flags.planning = false;
    memory_require(plan.bytes, "the largest of these measurements");
    csv_open(place);
    int status = everything();
    peers_stop();
    csv_close();
    printf("%ld rows in %s\n", csv_rows(), place);
    output_finish();
    return status;
}
