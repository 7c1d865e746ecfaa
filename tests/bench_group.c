// A group is what is measured side by side: in every round each entry has its turn, with the limits
// taken just before and just after it, so that whatever the machine does meets all of them.

#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include "../common/count.h"
#include "../common/measure.h"
#include "../kernels/cpu/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double ENOUGH = 0.005;   // seconds: a shorter run is timed several times over
static const double SLOW = 0.1;       // and a longer one is timed no more often than it must be
static const double WARM = 0.02;      // of untimed runs: a calibration empties the caches
static const double CALIBRATION = 0.02;

Plan plan;

static struct {
    const char *suite;
    Bound bound;
    Entry entries[MOST_ENTRIES];
    int   count;
} group;

static const double QUICK = 105;      // seconds after which --quick begins no other group

static double began, done; // when the first group began; seconds of the plan that are over

// --- what is in it ------------------------------------------------------------------------------

void group_begin(const char *suite, Bound bound)
{
    group.suite = suite, group.bound = bound, group.count = 0;
}

Entry *group_add(const Shape *s, int threads)
{
    CHECK(group.count < MOST_ENTRIES, "more than %d entries in a group", MOST_ENTRIES);
    Entry *e = &group.entries[group.count++];
    *e = (Entry){.shape = *s, .threads = threads, .isa = isa_best(), .flops = shape_flops(s),
                 .streamed = shape_bytes(s), .kv = shape_kv_bytes(s), .reported = -1,
                 .repeats = 1};
    return e;
}

Entry *add_fast(const Shape *s, int step, int threads)
{
    Entry *e = group_add(s, threads);
    fast_entry(e, false, step < 0 ? PREFILL_STEPS - 1 : step);
    return e;
}

// Where there is no kernel for decode, prefill's last step computes one query, too.
Entry *add_decode(const Shape *s, int step, int threads)
{
    if (DECODE_STEPS == 0)
        return add_fast(s, -1, threads);
    Entry *e = group_add(s, threads);
    fast_entry(e, true, step < 0 ? DECODE_STEPS - 1 : step);
    return e;
}

Entry *add_chapter(int chapter, const Shape *s)
{
    Entry *e = group_add(s, 1);
    chapter_entry(e, chapter);
    return e;
}

Entry *add_peer(const char *library, const Shape *s, int threads)
{
    Entry *e = group_add(s, threads);
    peer_entry(e, library);
    return e;
}

// --- planning -----------------------------------------------------------------------------------

// Chapters up to 06, and the steps that hold all scores, need N M floats, some of them twice.
static double entry_bytes(const Entry *e)
{
    const Shape *s = &e->shape;
    double scores = 4.0 * (double)s->N * (double)s->M;
    double kept = s->kept != KEPT_F32 || s->block_size || strcmp(e->what, "fast") != 0
                      ? (double)shape_kv_bytes(s) : 0;
    return 2 * scores * (strcmp(e->what, "peer") == 0 ? (double)s->H : 1) + kept;
}

// Arrays are counted for each entry, though many share theirs: a limit, not a sum.
static double group_bytes(void)
{
    double bytes = (double)limits_bytes();
    for (int i = 0; i < group.count; i++) {
        Shape s = group.entries[i].shape;
        s.kept = KEPT_F32;
        bytes += shape_bytes(&s) + 8.0 * (double)(s.B * s.H * s.N * s.D) +
                 entry_bytes(&group.entries[i]) + group.entries[i].room;
    }
    return bytes;
}

// What reads from memory is timed with empty caches. What multiplies is timed as it runs again and
// again, for which one run is not enough (docs/BENCH.md; why is a guess: the last cache may keep
// what was read once less eagerly). Where a run is long its first reads do not show.
static double seconds_of_warming(const Entry *e)
{
    if (group.bound != BY_PEAK || e->guess > SLOW || flags.tiny)
        return 0;
    return e->guess > WARM ? e->guess : WARM;
}

// Every round, a run to warm up and one to be sure.
static double entry_seconds(const Entry *e)
{
    double once = (e->guess > ENOUGH ? e->guess : ENOUGH) + seconds_of_warming(e);
    return e->skipped ? 0 : (double)(flags.rounds + 2) * (once + CALIBRATION);
}

static double group_seconds(void)
{
    double seconds = 0;
    for (int i = 0; i < group.count; i++)
        seconds += entry_seconds(&group.entries[i]);
    return seconds;
}

// --- the line for whoever waits -----------------------------------------------------------------

// The plan guesses how long the rest takes, what has been measured so far corrects the guess.
static void progress(double part)
{
    if (!isatty(STDERR_FILENO))
        return;
    double now = measure_clock() - began, over = done + part * group_seconds();
    double left = over > 0 ? now / over * (plan.seconds - over) : plan.seconds;
    fprintf(stderr, "\r%-16s %3.0f %%, about %2d:%02d left ", group.suite,
            100 * over / plan.seconds, (int)left / 60, (int)left % 60);
}

static void progress_end(void)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%60s\r", "");
}

// --- before the rounds --------------------------------------------------------------------------

// Said once a suite and name: the reason is the same for the next shape, as a rule.
static void skip(Entry *e, const char *why)
{
    static char said[4096];
    char key[160];
    e->skipped = why;
    snprintf(key, sizeof key, "%s/%s;", group.suite, e->name);
    if (strstr(said, key))
        return;
    if (strlen(said) + strlen(key) < sizeof said)
        strcat(said, key);
    progress_end();
    fprintf(stderr, "skip - %s, %s: %s\n", group.suite, e->name, why);
}

// Another process tells its own.
static double seconds_of_run(Entry *e)
{
    double start = measure_clock();
    e->reported = -1;
    e->run(e);
    double seconds = e->reported >= 0 ? e->reported : measure_clock() - start;
    if (e->reset)
        e->reset(e);
    return seconds;
}

// All that compute the same thing must have got the same: a fast wrong kernel is not measured.
static bool agrees(Entry *e)
{
    Tensor ref = e->arrays->reference;
    long n = tensor_count(ref);
    double most = 0, off = 0, room = e->shape.kept == KEPT_F32 ? 2e-3 : 2e-2;
    if (!e->arrays->has_reference)
        tensor_copy(ref, e->out);
    e->arrays->has_reference = true;
    for (long i = 0; i < n; i++) {
        double x = fabs((double)ref.data[i]), d = fabs((double)e->out.data[i] - ref.data[i]);
        most = x > most ? x : most;
        off = d > off || d != d ? d : off;
    }
    return off <= room * most;
}

// What it works on; e->skipped if that is not to be had.
static void make_entry(Entry *e)
{
    const Shape *s = &e->shape;
    if (e->alone)
        tensor_hold((long)e->room);
    else {
        e->arrays = arrays_use(s);
        e->out = tensor_new(SHAPE(s->B, s->H, s->N, s->D));
        e->lse = tensor_new(SHAPE(s->B, s->H, s->N));
    }
    if (e->open)
        e->open(e);
}

// The first run warms up and is counted.
static void first_run(Entry *e)
{
    long live = tensor_live_bytes();
    tensor_reset_peak();
    counts = (Counts){0};
    double seconds = seconds_of_run(e);
    e->peak = tensor_peak_bytes();
    e->scratch = e->peak - live;
    e->moved = counts.read_bytes + counts.written_bytes;
    if (e->reported >= 0) // another process's memory
        e->peak = e->scratch = e->moved = -1;
    seconds = seconds < ENOUGH / 4 ? seconds_of_run(e) : seconds; // it was cold
    e->repeats = seconds < ENOUGH ? (int)(ENOUGH / seconds) + 1 : 1;
}

static void open_entry(Entry *e)
{
    if (!e->skipped)
        make_entry(e);
    if (e->skipped) {
        skip(e, e->skipped);
        return;
    }
    first_run(e);
    if (!e->alone && !agrees(e))
        skip(e, "its result is not that of the others");
}

// --- rounds -------------------------------------------------------------------------------------

static Limit *limit_for(const Entry *e)
{
    return limit_of(e->isa ? e->isa : isa_best(), e->threads);
}

// The best that a round is held against: of the processor, that of the whole run; of memory, whose
// rate drifts for minutes where a machine is shared, that of this group.
static Sample best_of(const Entry *e)
{
    Sample best = {.peak = limit_for(e)->best.peak};
    for (int i = 0; i < group.count; i++) {
        const Rounds *r = &group.entries[i].rounds;
        for (int k = 0; limit_for(&group.entries[i]) == limit_for(e) && k < r->count; k++) {
            best.dram = r->before[k].dram > best.dram ? r->before[k].dram : best.dram;
            best.dram = r->after[k].dram > best.dram ? r->after[k].dram : best.dram;
        }
    }
    return best;
}

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){0, 30000000}, NULL);
}

// Where the limit before it tells that the round will not count the rest of it is spared, and the
// machine given a moment.
static void one_turn(Entry *e, int round)
{
    Limit *l = limit_for(e);
    Rounds *r = &e->rounds;
    double seconds = 0;
    r->count = round + 1;
    r->seconds[round] = NAN;
    r->before[round] = r->after[round] = limit_sample(l);
    limit_note(l, r->before[round]);
    if (!round_stands(r, round, best_of(e), group.bound)) {
        wait_a_little();
        return;
    }
    for (double warmed = 0; warmed < seconds_of_warming(e);)
        warmed += seconds_of_run(e);
    for (int i = 0; i < e->repeats; i++)
        seconds += seconds_of_run(e);
    r->seconds[round] = seconds / e->repeats;
    r->after[round] = limit_sample(l);
    limit_note(l, r->after[round]);
}

// Rounds that stand; with `other`, those in which both do.
static int rounds_standing(const Entry *e, const Entry *other)
{
    int stand = 0;
    for (int r = 0; r < e->rounds.count; r++)
        stand += round_stands(&e->rounds, r, best_of(e), group.bound) &&
                 (!other || (r < other->rounds.count &&
                             round_stands(&other->rounds, r, best_of(other), group.bound)));
    return stand;
}

// Has it as many rounds that stand as it needs, alone and in each comparison that it is part of?
static bool has_enough(const Entry *e)
{
    bool enough = rounds_standing(e, NULL) >= flags.rounds;
    for (int i = 0; enough && i < group.count; i++) {
        const Entry *x = &group.entries[i];
        const Entry *other = x == e ? e->against : x->against == e ? x : NULL;
        if (other && !other->skipped)
            enough = rounds_standing(e, other) >= flags.rounds;
    }
    return enough;
}

// The rounds of an entry that is slow and has enough end early: others may need more.
static bool takes_part(const Entry *e, int round)
{
    bool slow = e->guess > SLOW;
    return !e->skipped && e->rounds.count == round && !(slow && has_enough(e));
}

static bool all_have_enough(void)
{
    for (int i = 0; i < group.count; i++)
        if (!group.entries[i].skipped && !has_enough(&group.entries[i]))
            return false;
    return true;
}

// Each round begins with another entry. Where rounds had to be left out there are more, as long as
// the group does not take several times what it was to take.
static void run_rounds(void)
{
    double start = measure_clock(), times = flags.quick ? 1.5 : flags.check ? 6 : 3;
    double most = times * group_seconds() + 1;
    if (flags.tiny && flags.spoil == 0)
        most = 0;
    for (int round = 0; round < MOST_ROUNDS && !all_have_enough(); round++) {
        if (round >= flags.rounds && measure_clock() - start > most)
            break;
        for (int i = 0; i < group.count; i++) {
            Entry *e = &group.entries[(round + i) % group.count];
            if (takes_part(e, round))
                one_turn(e, round);
        }
        double part = (double)(round + 1) / (double)flags.rounds;
        progress(part < 1 ? part : 1);
    }
}

static double weight_of(const Entry *e)
{
    return e->weight > 0 ? e->weight : 1;
}

static void finish_entry(Entry *e)
{
    if (e->skipped)
        return;
    if (e->against && e->against->skipped)
        e->against = NULL;
    Summary *s = &e->summary;
    *s = summarize(&e->rounds, e->against ? &e->against->rounds : NULL, best_of(e), group.bound,
                   e->flops, e->streamed);
    if (e->against) {
        double factor = weight_of(e->against) / weight_of(e);
        s->ratio.median *= factor, s->ratio.min *= factor, s->ratio.max *= factor;
    }
    csv_row(group.suite, e);
}

void group_run(void)
{
    if (flags.planning) {
        plan.seconds += group_seconds();
        plan.bytes = group_bytes() > plan.bytes ? group_bytes() : plan.bytes;
        return;
    }
    if (began == 0)
        began = measure_clock();
    bool late = flags.quick && measure_clock() - began > QUICK;
    for (int i = 0; i < group.count; i++) {
        progress(0);
        if (late)
            group.entries[i].skipped = "out of time (--quick)";
        open_entry(&group.entries[i]);
    }
    run_rounds();
    for (int i = 0; i < group.count; i++)
        finish_entry(&group.entries[i]);
    done += group_seconds();
    progress_end();
}

void group_count(void)
{
    if (flags.planning) {
        plan.bytes = group_bytes() > plan.bytes ? group_bytes() : plan.bytes;
        return;
    }
    for (int i = 0; i < group.count; i++) {
        open_entry(&group.entries[i]);
        if (!group.entries[i].skipped)
            csv_counts(group.suite, &group.entries[i]);
    }
}

void group_end(void)
{
    for (int i = 0; i < group.count; i++) {
        Entry *e = &group.entries[i];
        if (e->close && e->state)
            e->close(e);
        if (e->alone && e->state)
            tensor_hold(-(long)e->room);
        if (e->out.block)
            tensor_free(&e->out), tensor_free(&e->lse);
    }
    arrays_free();
    group.count = 0;
}
