// Where memory accesses come from. The compiler puts a call in front of every load and store
// (-fsanitize=thread) and at the start of every basic block (-fsanitize-coverage=trace-pc). Its
// own library would look for races between OS threads; we answer the calls ourselves.

#include "inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool simt_counted;

// --- is this access allowed? -----------------------------------------------------------------

static const char *const verb[] = {"reads", "writes", "updates"};

static void describe(char *out, size_t room, const Thread *t, uintptr_t a, bool shared)
{
    if (shared)
        describe_shared(out, room, t->worker, a);
    else
        describe_global(out, room, a);
}

// No block of memory holds all the bytes of this access.
static void refuse_bounds(Thread *t, uintptr_t a, int size, int how, bool shared, uintptr_t pc)
{
    char place[256];
    describe(place, sizeof place, t, a, shared);
    report(ERROR_ADDRESS, shared ? "OUT OF BOUNDS in shared memory" : "OUT OF BOUNDS", t, pc,
           "it %s %d byte%s at %s", verb[how], size, size == 1 ? "" : "s", place);
    thread_gives_up(t->worker);
}

// CUDA C++ Programming Guide, "Device Memory Accesses": an address must be a multiple of the
// size, which is 1, 2, 4, 8 or 16.
static void refuse_alignment(Thread *t, uintptr_t a, int size, int how, bool shared, uintptr_t pc)
{
    char place[256];
    describe(place, sizeof place, t, a, shared);
    report(ERROR_MISALIGNED, "MISALIGNED", t, pc,
           "it %s %d bytes at %s, an address that is %d more than a multiple of %d: a GPU moves "
           "%d bytes at once only at multiples of %d", verb[how], size, place,
           (int)(a % (unsigned)size), size, size, size);
    thread_gives_up(t->worker);
}

// Neither global nor shared: this thread's own variables, or constants of the program.
static void check_local(Thread *t, uintptr_t a, int how, uintptr_t pc)
{
    uintptr_t stack = (uintptr_t)t->worker->stacks + (uintptr_t)t->index * STACK_BYTES;
    if (a - stack < STACK_BYTES || in_program(a) ||
        a - (uintptr_t)launch.kernel.args < launch.kernel.args_bytes)
        return;
    bool others = a - (uintptr_t)t->worker->stacks < (uintptr_t)MAX_THREADS * STACK_BYTES;
    if (a < 4096)
        report(ERROR_ADDRESS, "NULL POINTER", t, pc, "it %s at address %lu", verb[how],
               (unsigned long)a);
    else if (others)
        report(ERROR_ADDRESS, "NOT YOUR VARIABLE", t, pc,
               "it %s a local variable of another thread: those lie in registers", verb[how]);
    else
        report(ERROR_ADDRESS, "HOST MEMORY", t, pc,
               "it %s at %p, which is memory of the host, or a pointer gone wild: a kernel sees "
               "only what cudaMalloc gave", verb[how], (void *)a);
    thread_gives_up(t->worker);
}

// One of SIMT_LOAD_GLOBAL..., or -1 for a thread's own memory.
int access_kind(Thread *t, uintptr_t a, int size, int how, uintptr_t pc)
{
    bool global = in_arena(a), shared = !global && shared_offset(t->worker, a) >= 0;
    if (!global && !shared) {
        check_local(t, a, how, pc);
        return -1;
    }
    if (global ? !allocated(a, (size_t)size) : !shared_in_bounds(t->worker, a, (size_t)size))
        refuse_bounds(t, a, size, how, shared, pc);
    if (size <= 16 && (size & (size - 1)) == 0 && a % (unsigned)size)
        refuse_alignment(t, a, size, how, shared, pc);
    return (shared ? SIMT_LOAD_SHARED : SIMT_LOAD_GLOBAL) + how;
}

// Every access goes this way. It is checked against the past before it waits for its warp: the
// order in which lanes are looked at does not matter, as none knows of another's access in this
// moment.
void access_memory(uintptr_t a, int size, int how, uintptr_t pc)
{
    Worker *w = simt_worker;
    if (!w || !w->current)
        return;
    Thread *t = w->current;
    int kind = access_kind(t, a, size, how, pc);
    if (kind < 0 || !simt_counted)
        return;
    race_access(t, a, size, kind, pc);
    t->pc = pc;
    t->address = a;
    t->size = size;
    t->kind = kind;
    thread_waits(t, AT_ACCESS); // goes on with all lanes that do the same
}

// For the shim's own functions, which the compiler does not watch: a float4 as one access, an
// atomic as one update.
void simt_touch(const void *p, int size, int how, const void *pc)
{
    Worker *w = simt_worker;
    access_memory((uintptr_t)p, size, how, (uintptr_t)pc);
    if (simt_counted || how != SIMT_ATOMIC || !w || !w->current)
        return;
    if (++w->current->steps % TURN == 0) { // a fast build knows no other place to let others go on
        w->current->pc = (uintptr_t)pc;
        w->current->kind = NO_ACCESS;
        thread_waits(w->current, AT_ACCESS);
    }
}

// Real atomics, for blocks run on several OS threads.
static int exchange(void *p, void *old, const void *next, size_t bytes)
{
    uint64_t value8;
    uint32_t value4;
    uint16_t value2;
    switch (bytes) {
    case 2:
        memcpy(&value2, next, 2);
        return atomic_compare_exchange_strong((_Atomic uint16_t *)p, (uint16_t *)old, value2);
    case 4:
        memcpy(&value4, next, 4);
        return atomic_compare_exchange_strong((_Atomic uint32_t *)p, (uint32_t *)old, value4);
    case 8:
        memcpy(&value8, next, 8);
        return atomic_compare_exchange_strong((_Atomic uint64_t *)p, (uint64_t *)old, value8);
    default:
        abort();
    }
}

// What it saw may be a flag that another block has raised (flag.c).
int simt_exchange(void *p, void *old, const void *next, size_t bytes)
{
    int done = exchange(p, old, next, bytes);
    if (simt_worker && simt_worker->current)
        flag_learn(simt_worker->current, (uintptr_t)p);
    return done;
}

// --- the compiler's calls --------------------------------------------------------------------

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_vptr_update(void **at, void *value);
void __tsan_vptr_read(void **at);
void __tsan_read_range(void *p, unsigned long size);
void __tsan_write_range(void *p, unsigned long size);
void __sanitizer_cov_trace_pc(void);
void __ubsan_handle_out_of_bounds(void *data, void *index);

// Runs before main in every program with a kernel compiled this way.
void __tsan_init(void)
{
    simt_counted = true;
}

// Calls that tell of functions and virtual tables: nothing a kernel does.
void __tsan_func_entry(void *pc) { (void)pc; }
void __tsan_func_exit(void) {}
void __tsan_vptr_update(void **at, void *value) { (void)at, (void)value; }
void __tsan_vptr_read(void **at) { (void)at; }

#define HOOK(name, size, how)                                     \
    void name(void *p);                                           \
    void name(void *p) { access_memory((uintptr_t)p, size, how, CALLER); }
#define HOOKS(size)                                               \
    HOOK(__tsan_read##size, size, SIMT_READ)                      \
    HOOK(__tsan_write##size, size, SIMT_WRITE)                    \
    HOOK(__tsan_unaligned_read##size, size, SIMT_READ)            \
    HOOK(__tsan_unaligned_write##size, size, SIMT_WRITE)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

// A struct: in pieces of at most 16 bytes, as a GPU does it.
static void access_range(uintptr_t a, unsigned long size, int how, uintptr_t pc)
{
    for (unsigned long done = 0, piece; done < size; done += piece) {
        for (piece = 16; piece > size - done || (a + done) % piece;)
            piece /= 2;
        access_memory(a + done, (int)piece, how, pc);
    }
}

// A struct that is copied whole.
void __tsan_read_range(void *p, unsigned long size)
{
    access_range((uintptr_t)p, size, SIMT_READ, CALLER);
}

void __tsan_write_range(void *p, unsigned long size)
{
    access_range((uintptr_t)p, size, SIMT_WRITE, CALLER);
}

// A basic block begins: note it, for the way a lane took decides with whom it goes on.
void __sanitizer_cov_trace_pc(void)
{
    Worker *w = simt_worker;
    if (!w || !w->current)
        return;
    Thread *t = w->current;
    t->path[t->path_length++] = CALLER;
    t->path_hash = t->path_hash * 31 + CALLER;
    if (++t->steps > settings.steps) {
        t->pc = CALLER;
        dump_waiting(w, ERROR_TIMEOUT, "NEVER ENDS");
        thread_gives_up(w);
    }
    if (t->path_length == PATH) { // a long way without an access: let the others catch up
        t->pc = CALLER;
        t->kind = NO_ACCESS;
        thread_waits(t, AT_ACCESS);
    }
}

// What the compiler says of an index beyond an array: the place, and two types by their names. Of
// a whole number, `info` tells whether it has a sign (bit 0) and how wide it is (2^(info / 2)).
typedef struct {
    uint16_t kind, info;
    char name[];
} Type;

typedef struct {
    const char *file;
    unsigned line, column;
    const Type *array, *index;
} Beyond;

// An int comes as 64 bits without its sign.
static long signed_index(const Type *type, uintptr_t index)
{
    int unused = 64 - (1 << (type->info >> 1));
    if (type->kind != 0 || !(type->info & 1) || unused < 0)
        return (long)index;
    return (long)(index << unused) >> unused;
}

// -fsanitize=bounds-strict: an index beyond an array whose size the compiler knows.
void __ubsan_handle_out_of_bounds(void *data, void *index)
{
    Worker *w = simt_worker;
    const Beyond *said = data;
    long i = signed_index(said->index, (uintptr_t)index);
    if (!w || !w->current) {
        fprintf(stderr, "simt: %s:%u: index %ld is out of bounds\n", said->file, said->line, i);
        return;
    }
    report(ERROR_ADDRESS, "OUT OF BOUNDS in an array", w->current, CALLER,
           "index %ld of %s is %s", i, said->array->name, i < 0 ? "below 0" : "beyond its end");
    thread_gives_up(w);
}
