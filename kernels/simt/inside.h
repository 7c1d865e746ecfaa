// What the emulator's own files share. Kernels and tests see simt.h alone.

#ifndef INSIDE_H
#define INSIDE_H

#include "fiber.h"
#include "simt.h"

#include <stdatomic.h>
#include <stdbool.h>

enum {
    LANES = 32,                 // threads in a warp
    MAX_THREADS = 1024,         // in a block, as on every NVIDIA GPU since 2010
    MAX_WARPS = MAX_THREADS / LANES,
    MAX_SHARED = 227 << 10,     // bytes a block may have, as on an H100
    MAX_STATIC = 48 << 10,      // bytes of it without cudaFuncSetAttribute
    MAX_WORKERS = 16,           // OS threads
    STACK_BYTES = 128 << 10,    // of one CUDA thread
    PATH = 64,                  // basic blocks remembered between two accesses
    TURN = 1024,                // atomics after which a warp lets others go first
    DEPOSIT = 40,               // bytes that a lane brings to a collective
};

// CUDA's own codes, cudaError_t.
enum {
    ERROR_VALUE = 1, ERROR_MEMORY = 2, ERROR_CONFIGURATION = 9, ERROR_FUNCTION = 98,
    ERROR_HANDLE = 400, ERROR_ADDRESS = 700, ERROR_TIMEOUT = 702, ERROR_ASSERT = 710,
    ERROR_STACK = 714,
    ERROR_MISALIGNED = 716, ERROR_LAUNCH = 719,
};

// --- threads, warps, blocks ------------------------------------------------------------------

// Who sees what a fence has passed. A wider one does what the narrower one does, too.
typedef enum { DEVICE, BLOCK } Scope;

// At an access that is none: the path became too long to remember; __activemask() looks round.
enum { LOOK = -2, NO_ACCESS = -1 };

// Where a thread is. All but the first mean that it waits.
typedef enum { RUNS, AT_ACCESS, AT_COLLECTIVE, AT_BARRIER, AT_MBARRIER, RETURNED, STATES } State;

// The operations for which a warp's lanes meet.
typedef enum { SYNCWARP, SHUFFLE, VOTE, MMA, LDMATRIX } Meeting;

typedef struct Warp Warp;
typedef struct Worker Worker;
typedef struct Copy Copy;
typedef struct Clock Clock;     // clock.c: what is known of everybody's past
typedef struct Release Release; // flag.c: what an atomic told to whoever reads it

typedef struct {
    Fiber fiber;
    Worker *worker;
    Warp *warp;
    int index, lane;            // within the block, within the warp
    simt_dim at;                // threadIdx
    State state;

    // AT_ACCESS: what it wants of the memory, and the way it came since its last access.
    uintptr_t pc, address;
    int size, kind;             // SIMT_LOAD_GLOBAL..., or one of the two below 0
    uintptr_t path[PATH], path_hash;
    int path_length, path_next;
    uint64_t steps;

    // AT_COLLECTIVE, AT_BARRIER, AT_MBARRIER: what it waits for, and since when.
    Meeting meeting;
    uint32_t mask, came;        // who must come; who did, when it took place (an access, too)
    int line, barrier, barrier_threads;
    int vote;                   // what it brought to __syncthreads_count and its like
    uintptr_t wait_pc;
    unsigned char deposit[DEPOSIT];

    // cp.async: copies under way, oldest first, and the number of groups closed so far.
    Copy *copies;
    int copy_count, copy_room, group;
    uintptr_t mbarrier;         // AT_MBARRIER: which one

    // What it knows of others, and how far it is itself: clock.c. What it has fenced: flag.c.
    Clock *knows, *fenced[2];
    uint32_t moment, fence[2];
    uintptr_t flag;
    uint64_t flag_fences;
    const Release *learned;
} Thread;

// What a thread has learned from a flag, and when.
typedef struct {
    const Release *release;
    int thread;
    uint32_t moment;
} Lesson;

struct Warp {
    Thread *lane[LANES];
    int index;
    uint32_t all, in[STATES];   // a bit for every lane
    unsigned char deposit[LANES][DEPOSIT]; // what they brought to the latest meeting
    uint32_t patient;           // lanes that stand back, for they may wait for the others
    int updates;                // atomics of this turn
    float product[16][8];       // of the latest mma, and how many lanes have yet to take theirs
    int product_left;
};

typedef struct Cell Cell;       // race.c: what is known about some bytes of shared memory
typedef struct Site Site;       // account.c: the counts of one instruction
typedef struct Async Async;     // async.c: a worker's mbarriers and bulk copies
typedef struct Log Log;         // cache.c: the sectors that a block touched, in order

// An OS thread with room for one block at a time.
struct Worker {
    int index;
    Fiber scheduler;
    Thread *current;            // the running thread; NULL in the scheduler
    Thread *queue[LANES];       // who runs next without a detour through the scheduler
    int queued, next;

    Thread *thread;             // [MAX_THREADS]
    Warp *warp;                 // [MAX_WARPS]
    char *stacks;               // [MAX_THREADS][STACK_BYTES], the lowest page of each a guard
    int guarded;                // how many have their guard already
    unsigned block;             // its number in the grid
    simt_dim at;                // blockIdx
    char *shared;               // dynamic shared memory
    uintptr_t statics;          // where this OS thread keeps the kernels' __shared__ arrays
    uint64_t progress;          // grows whenever something happened that others may wait for
    int votes;                  // the sum at the latest __syncthreads

    simt_stats stats;
    Site *sites;
    Cell *cells;
    uint32_t stamp;             // race.c: the block to which a cell belongs
    int granule;                // race.c: log2 of the bytes in a cell
    uint32_t *spread;           // race.c: moments of lanes that have different ones
    uint32_t spreads;
    char *clocks;               // clock.c: room for them
    int clock_count;
    Clock *spare;
    uint64_t fences;            // flag.c: how many __threadfence() so far
    Lesson *lesson;
    int lessons, lesson_room;
    Async *async;
    Log *log;

    atomic_ullong beat;         // grows with every block: the watchdog looks at it
    atomic_int stop;            // set by the watchdog
    uintptr_t os_thread;        // its pthread_t, for the watchdog
    atomic_bool busy;
};

// The kernel that runs now. One at a time, as on one CUDA stream.
typedef struct {
    simt_kernel kernel;
    unsigned blocks;
    int threads, warps;         // in a block
    atomic_uint next;           // the next block nobody has taken
    atomic_int stopped;         // an error ended the launch
    atomic_int error;           // the first report's code
} Launch;

extern Launch launch;
extern __thread Worker *simt_worker; // NULL outside kernels

// The environment, read once. See README.md for the names.
typedef struct {
    int threads, devices;
    long trace_block, trace_warp; // -1: none
    bool sites, table;
    const char *counts;           // a path; simt_set_counts gives a file instead
    size_t memory;                // bytes of the device; more than ARENA is ARENA
    size_t cache;
    bool cache_keep;              // between two launches
    uint64_t steps;               // after which a thread counts as one that never ends
    double patience;              // seconds for one block
} Settings;

extern Settings settings;
void settings_read(void);

// --- schedule.c ------------------------------------------------------------------------------

void wake(Warp *p, uint32_t mask);         // these lanes may go on
void thread_waits(Thread *t, State state); // returns when the scheduler lets it go on
unsigned char (*simt_meet(int meeting, const void *bring, size_t bytes, int line,
                          uintptr_t pc))[DEPOSIT]; // all lanes; what everybody brought
void run_block(Worker *w, unsigned block);
static inline uint32_t bit_of(const Thread *t) { return 1u << t->lane; }
static inline uint32_t live_lanes(const Warp *p) { return p->all & ~p->in[RETURNED]; }

// --- barrier.c -------------------------------------------------------------------------------

bool open_barriers(Worker *w);

// --- stop.c ----------------------------------------------------------------------------------

void dump_waiting(Worker *w, int code, const char *what);
void watch_begin(void);
void watch_worker(Worker *w, bool busy);
_Noreturn void thread_gives_up(Worker *w); // leaves the kernel for good

// --- memory.c, shared.c ----------------------------------------------------------------------

#define ARENA ((size_t)4 << 30) // bytes of the device's memory
extern char *simt_arena;
void *reserve(size_t bytes);
bool in_arena(uintptr_t a);
bool allocated(uintptr_t a, size_t bytes);
size_t arena_used(void);
void describe_global(char *out, size_t room, uintptr_t a);

// Shared memory as one row of bytes: the dynamic part, then the __shared__ arrays.
// Returns -1 for an address that is no shared memory.
long shared_offset(const Worker *w, uintptr_t a);
bool shared_in_bounds(const Worker *w, uintptr_t a, size_t bytes);
size_t shared_room(void);                            // the largest offset + 1
void shared_begin(Worker *w);                        // a new block: everything is poison
uintptr_t shared_find(void);                         // this OS thread's statics
void describe_shared(char *out, size_t room, const Worker *w, uintptr_t a);

// --- symbols.c -------------------------------------------------------------------------------

void symbols_statics(void (*visit)(const char *name, size_t from, size_t bytes));
const char *kernel_name(const void *kernel, const char *text);
size_t kernel_statics(const void *kernel);           // bytes of its own __shared__ arrays

// --- report.c --------------------------------------------------------------------------------

// "file.cu:12" for a return address. The text stays valid.
const char *where(uintptr_t pc);
void where_all(const uintptr_t *pc, int n);          // asks for many at once
uintptr_t load_address(void);
bool in_program(uintptr_t a);                        // the executable's own constants

// One report: what happened, where, to whom; and a second line with the reason. Each code line
// reports each sort once a launch.
void report(int code, const char *what, const Thread *t, uintptr_t pc, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void report_begin(void);                             // a new launch

// --- account.c, cache.c, tables.c ------------------------------------------------------------

void account_begin(Worker *w);
void account_merge(Worker **workers, int n, simt_stats *s);
void account_request(Worker *w, Warp *p, const Thread *first, uint32_t mask,
                     const uintptr_t *address);
void sites_end(Worker **workers, int n, const char *name);
void cache_begin(unsigned blocks);
void cache_note(Worker *w, uint32_t sector, bool write);
void cache_block_ends(Worker *w);
void cache_end(simt_stats *s);
void tables_launch(const simt_stats *s);
void tables_exit(void);
void tables_site(const char *kernel, uintptr_t pc, int kind, const simt_count *c);
void trace_request(const Worker *w, const Warp *p, const Thread *first, uint32_t mask,
                   const uintptr_t *address, unsigned units, unsigned ideal);
extern const char *const kind_name[SIMT_KINDS];

// --- hooks.c ---------------------------------------------------------------------------------

extern bool simt_counted; // some kernel was compiled with the compiler's hooks
void access_memory(uintptr_t a, int size, int how, uintptr_t pc);
int access_kind(Thread *t, uintptr_t a, int size, int how, uintptr_t pc);

// --- clock.c, flag.c -------------------------------------------------------------------------

void clock_block(Worker *w);
bool clock_knows(const Thread *t, int thread, uint32_t moment);
uint32_t clock_of(const Clock *c, int thread);
void clock_meet(Worker *w, const uint32_t *at);      // the lanes at[warp] of every warp
void clock_give(Thread *t, Clock **into);
void clock_take(Thread *t, const Clock *from);
void clock_join(Worker *w, Clock **into, const Clock *from);
void clock_drop(Worker *w, Clock **place);
void clock_fence(Thread *t, Scope scope);
void flag_launch(void);
void flag_block(Worker *w);
void flag_release(Thread *t, uintptr_t a);
void flag_learn(Thread *t, uintptr_t a);
bool flag_orders(const Thread *t, unsigned block, int thread, uint32_t moment);

// --- race.c, race_global.c, race_words.c -----------------------------------------------------

// How an access came about: by an instruction of its own, by a copy in the background, or as the
// look at an mbarrier.
typedef enum { PLAIN, ASYNC_COPY, BULK_COPY, MBARRIER } Means;

void race_worker(Worker *w);
void race_block(Worker *w);
void race_access(Thread *t, uintptr_t a, int size, int kind, uintptr_t pc);
void race_shared(Thread *t, uintptr_t a, int size, int kind, Means means, uintptr_t pc);
void race_launch(void);
void race_async(Worker *w, uintptr_t a, int size, Means pending); // PLAIN: it has landed
void race_global(Thread *t, uintptr_t a, int size, int kind, uintptr_t pc);

// One of two accesses that nothing orders.
typedef struct {
    int thread;                 // -1 - b: some thread of block b
    const char *did;
    uintptr_t pc;
    Means means;
} Deed;

void race_found(Thread *t, const char *what, uintptr_t a, Deed now, Deed before);

// --- async.c ---------------------------------------------------------------------------------

void async_worker(Worker *w);
void async_block(Worker *w);
bool async_lands(Worker *w);    // the copy engine's turn: true if something arrived
void async_thread_ends(Thread *t);
void async_describe(char *out, size_t room, const Thread *t); // why it waits at its mbarrier
bool async_has_barriers(const Worker *w);

#define CALLER ((uintptr_t)__builtin_return_address(0))

#endif
