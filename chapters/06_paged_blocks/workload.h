// A serving system in small: requests arrive, wait, read their prompt, decode a token a step and
// leave, all in one memory of fixed size. How many run at the same time, and what of the memory
// is wasted, depends on how they ask for room. Nothing here computes attention.
//
//     prealloc   room for the longest sequence that is allowed, at once
//     oracle     exactly the room that the request will have used in the end; nobody knows that
//     grow       a power of two; doubled and copied when it runs out
//     paged      blocks of T tokens, one at a time: pages.h, the real thing
//
// The first three want their room in one piece, and get the first hole that is large enough.

#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stdint.h>

enum {
    LONGEST  = 2048,  // tokens of a request, prompt and output together: at most
    MEMORY   = 65536, // tokens that fit in the memory
    REQUESTS = 1000,
};

typedef enum { ROOM_PREALLOC, ROOM_ORACLE, ROOM_GROW, ROOM_PAGED } Room;

// The requests as they come: what the workload is, before anybody serves it.
typedef struct {
    long shortest, median, mean, longest; // tokens, prompt and output together
    long prompts, outputs;                // tokens of all prompts, of all outputs
} Mix;

// One run of the workload. The shares are sums of tokens over all steps in which a request had to
// wait, so that the memory decides how many run and not the arrivals; they add up to `loaded`
// times MEMORY.
typedef struct {
    long used;       // hold a token
    long later;      // reserved, and the request will use it
    long never;      // reserved, and nobody will ever use it
    long scattered;  // free, enough for the next request, but in no one piece
    long left;       // free, and too little for the next request, or kept for those that run
    long loaded;     // steps in which a request had to wait
    long running;    // requests that ran, summed over those steps
    long peak;       // the most requests that ran in any step
    long steps;      // until the last request had left
    long copied;     // tokens moved by growing
    long preempted;  // requests sent back to the queue because memory ran out
    long recomputed; // tokens that they held and had to compute again
    long entries;    // the most block table entries in use
} Tally;

Mix   workload_mix(uint64_t seed);

// Serves the requests of that seed. T: tokens in a block, for ROOM_PAGED.
Tally workload_serve(uint64_t seed, Room how, long T);

#endif
