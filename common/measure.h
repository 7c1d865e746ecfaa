// What a run costs: bytes and flops counted, and with --stats or --bench its time.
//
//     Measure m = measure_start(&o, &in, &trace);
//     while (measure_again(&m, out, lse))
//         attention(out, ...);           // traced once; then quietly, to be timed
//     measure_report(&m);

#ifndef MEASURE_H
#define MEASURE_H

#include "count.h"
#include "trace.h"

enum { BENCH_ROUNDS = 9 };

typedef struct {
    const Options *options;
    const Input   *input;
    Trace *trace;
    int    round, rounds;   // rounds still to come: the traced one, warm-up, timed ones
    double seconds[BENCH_ROUNDS];
    int    timed;           // how many of them
    double began;
    Counts counts;          // of the last round
    long   live, peak;      // bytes at entry, and the most during the round
    long   kv_bytes;        // set by the chapter: what K and V take
    long   cache_bytes;     // and how much of that its own cache holds: no scratch
} Measure;

Measure measure_start(const Options *o, const Input *in, Trace *trace);

// True once for the traced run, then as often as --stats or --bench time it. Fills all that the
// run is to write with NaN: what it forgets shows.
bool measure_again(Measure *m, Tensor out, Tensor lse);

// The most that was held beyond the inputs and the cache.
long measure_scratch(const Measure *m);

// Prints what --stats or --bench asked for.
void measure_report(const Measure *m);

// Seconds on a clock that never goes back.
double measure_clock(void);

// The processor's name, for the line that belongs to every timing.
const char *measure_hardware(void);

// The median of n values, sorted in place.
double measure_median(double *values, int n);

#endif
