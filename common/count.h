// What a run costs, counted where it happens rather than estimated.
//
//     count_flops(2 * N * M * D);          // one multiply and one add for each term of Q K^T
//     count_moved(N * D + M * D, N * M);   // floats read from slow memory, and written to it
//
// One addition, multiplication, division, comparison or exponential counts as one flop.
// From chapter 07 on the reads and writes are those of the explicit tile copies; before
// it, every step reads its inputs once from slow memory and writes its result once.

#ifndef COUNT_H
#define COUNT_H

typedef struct {
    long flops;
    long read_bytes;
    long written_bytes;
    long scores;          // how many q.k products were computed
    long tiles, skipped;  // chapter 07: tiles computed, tiles that the mask emptied
} Counts;

extern Counts counts;

static inline void count_flops(long n)  { counts.flops += n; }
static inline void count_scores(long n) { counts.scores += n; }

static inline void count_moved(long floats_read, long floats_written)
{
    counts.read_bytes += floats_read * 4;
    counts.written_bytes += floats_written * 4;
}

static inline void count_tile(int skipped)
{
    counts.tiles += !skipped;
    counts.skipped += skipped;
}

#endif
