// The benchmark's parts. docs/BENCH.md says what is measured and how to read a row; tests/bench.c
// is the program.
//
//     group_begin("prefill", BY_PEAK);           // what is measured side by side
//     Entry *e = add_fast(&shape, step, 1);
//     add_chapter(7, &shape)->against = e;
//     group_run();                               // rounds, in turn; then a row of CSV each
//     group_end();

#ifndef BENCH_H
#define BENCH_H

#include "../common/tensor.h"
#include "../kernels/cpu/kernels.h"

#include <stdbool.h>
#include <stdio.h>

enum { FEWEST_ROUNDS = 9, MOST_ROUNDS = 27, MOST_ENTRIES = 16 };

// --- what the command line says ---------------------------------------------------------------

typedef struct {
    bool quick, check, tiny;  // tiny: for the self-test, seconds in all
    bool planning;            // nothing is run: what will be is added up
    long rounds, threads;     // at least so many rounds; all threads
    long lengths[32];         // instead of a suite's own
    int  length_count;
    long spoil, spoil_too;    // calibrations are made up, these two slow; 0: they are taken
    bool no_peers;
} BenchFlags;

extern BenchFlags flags;

// --- limits: bench_limits.c ---------------------------------------------------------------------

// Floating-point operations a second in registers, bytes a second from memory.
typedef struct {
    double peak, dram;
} Sample;

typedef struct {
    const Isa *isa;
    int threads;
    Sample best;  // of the whole run
} Limit;

extern const char *const bench_flags; // how the kernels were compiled

Limit *limit_of(const Isa *isa, int threads);
Sample limit_sample(const Limit *l);
void   limit_note(Limit *l, Sample s);
long   limits_bytes(void);            // what calibrating takes
long   last_cache_bytes(void);

// --- rounds and what they come to: bench_rows.c ---------------------------------------------

// Which limit must have stood still for a round to count.
typedef enum { BY_PEAK, BY_DRAM } Bound;

// One thing's rounds: its seconds, and the limits just before and just after.
typedef struct {
    int    count;
    double seconds[MOST_ROUNDS];
    Sample before[MOST_ROUNDS], after[MOST_ROUNDS];
} Rounds;

typedef struct {
    double median, min, max;
    int    count; // of rounds
} Spread;

typedef struct {
    int    kept, left_out;
    Spread seconds, of_peak, of_dram, ratio; // NaN where there is none
    double peak, dram;                       // medians of the limits, a second
} Summary;

// Did both limits around round i stay within 15 % of the best?
bool round_stands(const Rounds *r, int i, Sample best, Bound bound);

// against: what was run in the same rounds, or NULL. flops and bytes are those of one run.
Summary summarize(const Rounds *own, const Rounds *against, Sample best, Bound bound, double flops,
                  double bytes);

// --- what is measured: bench_work.c -----------------------------------------------------------

typedef struct {
    long B, H, G, N, M, D;
    bool causal;
    Kept kept;
    long block_size, tile; // 0: none
} Shape;

// Q, K and V of a shape, made once for all that share them, and the first result, which all later
// ones must agree with.
typedef struct {
    Shape  shape;
    Tensor q, k, v, reference;
    bool   has_reference;
} Arrays;

typedef struct Entry Entry;
struct Entry {
    const char *what, *kernel; // chapter, fast, peer or simt
    char   name[96];
    const Isa *isa;            // NULL: as the compiler was told
    int    threads;
    Shape  shape;
    Entry *against;
    bool   decodes;
    int    step;               // of a ladder, or a chapter's number
    double flops, streamed;    // of one run; bytes that must come from memory at least once
    double guess;              // seconds, before anything is known
    // Makes what the run needs; one run; back to what was before it; and the end.
    void (*open)(Entry *e);
    void (*run)(Entry *e);
    void (*reset)(Entry *e);
    void (*close)(Entry *e);
    double reported;           // seconds of the last run, where another process measured it; or -1
    bool   alone;              // it makes its arrays itself, and has no result to be compared
    double room;               // bytes that it makes, where its shape does not tell
    double weight;             // a run stands for so many in a ratio; 0: for itself
    Arrays *arrays;
    Tensor out, lse;
    void  *state;
    const char *skipped;       // why it is not measured
    long   moved, scratch, peak, kv;
    int    repeats;            // runs of one timing
    Rounds rounds;
    Summary summary;
};

double shape_flops(const Shape *s);  // 4 H N M D, half of it where causal
long   shape_kv_bytes(const Shape *s);
double shape_bytes(const Shape *s);  // Q, K, V and the output

Arrays *arrays_use(const Shape *s);
void    arrays_free(void); // those of a group that is over

void chapter_entry(Entry *e, int chapter);
void fast_entry(Entry *e, bool decodes, int step);

// --- peers: bench_peers.c -----------------------------------------------------------------------

void peer_entry(Entry *e, const char *library);
void peers_stop(void);
void peers_clean(void); // the arrays that they were given

// --- groups: bench_group.c ----------------------------------------------------------------------

void   group_begin(const char *suite, Bound bound);
Entry *group_add(const Shape *s, int threads);
Entry *add_fast(const Shape *s, int step, int threads);    // -1: the last step of the ladder
Entry *add_decode(const Shape *s, int step, int threads);  // the same
Entry *add_chapter(int chapter, const Shape *s);
Entry *add_peer(const char *library, const Shape *s, int threads);
void   group_run(void);
void   group_count(void); // one run each, no clock: a row of what is counted
void   group_end(void);   // frees what the entries point to: their summaries are gone, too

typedef struct {
    double seconds, bytes; // what all groups together take; the most that one holds
} Plan;

extern Plan plan;

// --- the file: bench_rows.c --------------------------------------------------------------------

void csv_open(const char *path);
void csv_row(const char *suite, const Entry *e);
void csv_counts(const char *suite, const Entry *e); // what was counted; nothing of clocks
void csv_close(void);
long csv_rows(void);

// --- suites: bench_suites.c, bench_gpt2.c, bench_check.c ---------------------------------------

bool suites_have(const char *name);
void suites_print(void);
void suites_run(const char *names); // separated by commas; NULL: all
void gpt2_suite(void);
Entry *gpt2_add_cached(int threads); // tokens of a small model, to the group that was begun
int  check_all(void);               // 1 if a figure was not reached

#endif
