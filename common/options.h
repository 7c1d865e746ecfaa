// The flags that all chapters share, read once, the same way everywhere. A chapter says what
// it takes and adds its own; what does not apply to it is refused by name.

#ifndef OPTIONS_H
#define OPTIONS_H

#include "config.h"

#include <stdbool.h>

// What a chapter takes beyond --example, --q --k --v and the rest that everyone takes.
enum {
    TAKES_MASK       = 1 << 0, // --mask
    TAKES_HEADS      = 1 << 1, // --heads, --batch, --x and the projections, --config
    TAKES_KV_HEADS   = 1 << 2, // --kv-heads
    TAKES_PAST       = 1 << 3, // --past-k --past-v --prefill --present-k --present-v
    MAKES_SCORES     = 1 << 4, // an [N, M] matrix a head: counted when memory is estimated
};

typedef enum {
    FLAG_TEXT,   // const char *: any text, "" refused
    FLAG_SIZE,   // long: 1 to 2^31 - 1
    FLAG_COUNT,  // long: 0 to 2^31 - 1
    FLAG_NUMBER, // float: finite
    FLAG_SWITCH, // bool: no value
} FlagKind;

typedef struct {
    const char *name;    // "--heads"
    FlagKind    kind;
    void       *to;      // where the value goes
    unsigned    needs;   // TAKES_… bits without which the flag does not apply
    const char *value;   // "H", "F.npy": for --help
    const char *meaning; // one line for --help
} Flag;

typedef struct {
    const char *name;        // "04_gqa"
    const char *idea[2];     // what it is about, in two lines
    const char *example;     // a command to paste
    unsigned    takes;
    const char *mask;        // the default of --mask
    long        heads, kv_heads; // their defaults; kv_heads 0: as many as heads
    const char *experiments; // names joined by '|', or NULL
    const Flag *flags;       // its own, ended by a flag without a name; or NULL
} Chapter;

typedef enum { PRINT_DEFAULT, PRINT_ALL, PRINT_WEIGHTS, PRINT_OUTPUT, PRINT_NONE } Print;

enum { MAX_FLAGS = 64 };

typedef struct {
    const Chapter *chapter;
    int    argc;        // the command line, as it was given
    char **argv;
    const char *example, *tokens, *mask, *trace, *output, *lse, *experiment;
    const char *q, *k, *v, *past_k, *past_v, *present_k, *present_v;
    const char *x, *wq, *wk, *wv, *wo, *bq, *bk, *bv, *bo;
    const Config *config;
    long  n, m, dim, dim_v, heads, kv_heads, batch, seed, hidden;
    long  prefill;      // tokens of the first pass; 0: the chapter's choice
    float scale;        // only if has_scale; else 1/sqrt(D)
    bool  has_scale, heat, stats, bench;
    Print print;
    long  explain_row, explain_head; // explain_row -1: do not
    bool  given[MAX_FLAGS];          // which flags stood on the command line
    Flag  flags[MAX_FLAGS];
    int   flag_count;
} Options;

// Reads the command line. --help and --version are answered here (exit 0); anything wrong is
// refused with EXIT_USAGE. Last, the device is asked whether it can do this (backend.h).
void options_read(Options *o, int argc, char **argv, const Chapter *chapter);

// Was the flag given?
bool options_given(const Options *o, const char *flag);

// Refuses every given flag that is not among `names` ("--seed --n"): what an experiment would
// ignore in silence is a mistake worth a word.
void options_only(const Options *o, const char *what, const char *names);

// Is `word` one of `words`, which are separated by single spaces?
bool word_among(const char *word, const char *words);

// "16,32": two sizes joined by a comma. Refuses anything else, naming the flag.
void options_pair(const char *flag, const char *text, long *first, long *second);

#endif
