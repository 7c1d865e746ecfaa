// Kernels that do not come to an end, and kernels that touch memory which is not there.
//
//   nobody can go on              the scheduler calls dump_waiting: who waits where
//   a block takes for ever        a watching OS thread asks the worker to stop; a signal makes it
//   a bad address, a full stack   the processor's own trap, SIGSEGV

#define _GNU_SOURCE
#include "inside.h"

#include <assert.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

// --- who waits where -------------------------------------------------------------------------

static const char *const meeting_name[] = {"__syncwarp", "a shuffle", "a vote", "mma", "ldmatrix"};

// Would the two be one line of the dump?
static bool same_wait(const Thread *a, const Thread *b)
{
    if (a->state != b->state || a->state == RETURNED)
        return a->state == b->state;
    if (a->state == RUNS || a->state == AT_ACCESS)
        return a->pc == b->pc;
    if (a->state == AT_BARRIER && a->barrier != b->barrier)
        return false;
    return a->line == b->line && a->mask == b->mask && a->mbarrier == b->mbarrier;
}

// One line of the dump: where threads `from` to `to` are, of which t is the first.
static int tell(char *out, size_t room, const Thread *t, int from, int to)
{
    char who[48], lacks[96], barrier[32] = "__syncthreads()";
    snprintf(who, sizeof who, from == to ? "thread %d" : "threads %d-%d", from, to);
    if (t->barrier)
        snprintf(barrier, sizeof barrier, "barrier %d of %d threads", t->barrier,
                 t->barrier_threads);
    switch (t->state) {
    case RETURNED:
        return snprintf(out, room, "\n      %s: returned from the kernel", who);
    case AT_BARRIER:
        return snprintf(out, room, "\n      %s: at %s in %s", who, barrier, where(t->wait_pc));
    case AT_COLLECTIVE:
        return snprintf(out, room, "\n      %s: at %s in %s, waiting for lanes %08x", who,
                        meeting_name[t->meeting], where(t->wait_pc), t->mask);
    case AT_MBARRIER:
        async_describe(lacks, sizeof lacks, t);
        return snprintf(out, room, "\n      %s: at an mbarrier in %s%s", who, where(t->wait_pc),
                        lacks);
    case AT_ACCESS:
        return snprintf(out, room, "\n      %s: between memory accesses, at %s", who,
                        where(t->pc));
    default:
        return snprintf(out, room, "\n      %s: still running, at %s", who, where(t->pc));
    }
}

// Of all the places where threads wait, the one to name first: a collective whose lanes do not
// all come says more than the barrier at which the others wait for them.
static uintptr_t telling_place(const Worker *w)
{
    static const State order[] = {AT_COLLECTIVE, AT_MBARRIER, AT_ACCESS, RUNS, AT_BARRIER};
    for (size_t k = 0; k < sizeof order / sizeof order[0]; k++)
        for (int i = 0; i < launch.threads; i++)
            if (w->thread[i].state == order[k])
                return order[k] == AT_ACCESS || order[k] == RUNS ? w->thread[i].pc
                                                                 : w->thread[i].wait_pc;
    return 0;
}

// Neighbours in the same place share a line: "threads 16-31: at __syncthreads() in sum.cu:9".
void dump_waiting(Worker *w, int code, const char *what)
{
    char text[4096] = "";
    size_t length = 0;
    bool hangs = strcmp(what, "DEADLOCK") == 0;
    for (int i = 0, last; i < launch.threads && length < sizeof text - 512; i = last + 1) {
        const Thread *t = &w->thread[i];
        for (last = i; last + 1 < launch.threads && same_wait(t, &w->thread[last + 1]);)
            last++;
        length += (size_t)tell(text + length, sizeof text - length, t, i, last);
    }
    w->stats.reports++;
    report(code, what, NULL, telling_place(w), "block (%u,%u,%u): %s:%s", w->at.x, w->at.y,
           w->at.z, hangs ? "no thread can go on" : "it was stopped while its threads were", text);
}

// __trap(), and an assertion that fails: the compiler calls __assert_fail for it, in a kernel and
// on the host alike.
void simt_trap(void)
{
    report(ERROR_LAUNCH, "TRAP", simt_worker->current, CALLER, "the kernel called __trap()");
    thread_gives_up(simt_worker);
}

void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
    if (simt_worker && simt_worker->current) {
        report(ERROR_ASSERT, "ASSERTION", simt_worker->current, CALLER, "'%s' does not hold",
               assertion);
        thread_gives_up(simt_worker);
    }
    fprintf(stderr, "%s:%u: %s: Assertion '%s' failed.\n", file, line, function, assertion);
    abort();
}

// --- traps -----------------------------------------------------------------------------------

// Whose stack has its forbidden page at a? -1: nobody's.
static int overflowed(const Worker *w, uintptr_t a)
{
    uintptr_t offset = a - (uintptr_t)w->stacks;
    if (offset >= (uintptr_t)MAX_THREADS * STACK_BYTES || offset % STACK_BYTES >= 4096)
        return -1;
    return (int)(offset / STACK_BYTES);
}

// The instruction at which a signal came, plus one: a return address lies behind its call, and
// where() takes one off.
static uintptr_t interrupted_at(void *context)
{
#if defined(__x86_64__)
    return (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] + 1;
#elif defined(__aarch64__)
    return (uintptr_t)((ucontext_t *)context)->uc_mcontext.pc + 1;
#else
    (void)context;
    return 0;
#endif
}

// The line of the host's own code that was interrupted; it may have been on its way in the C
// library, in memcpy for one.
static uintptr_t host_line(uintptr_t pc)
{
    void *frame[32];
    int n = in_program(pc) ? 0 : backtrace(frame, 32), i = 0;
    while (i < n && (uintptr_t)frame[i] + 1 != pc)
        i++;
    while (i < n && !in_program((uintptr_t)frame[i]))
        i++;
    return i < n ? (uintptr_t)frame[i] : pc;
}

// A host that follows a pointer which cudaMalloc gave: the commonest mistake of all.
static void tell_host(uintptr_t a, uintptr_t pc)
{
    char place[256];
    describe_global(place, sizeof place, a);
    fprintf(stderr, "simt: HOST TOUCHES DEVICE MEMORY at %s: %s: only kernels reach it, and copies "
            "(cudaMemcpy)\n", where(host_line(pc)), place);
}

// SIGSEGV, on the worker's spare stack. Fast builds find null pointers and full stacks this way
// only. After the report the thread is left where it is, and the scheduler goes on.
static void on_trap(int number, siginfo_t *info, void *context)
{
    Worker *w = simt_worker;
    uintptr_t a = (uintptr_t)info->si_addr, pc = interrupted_at(context);
    if (!w || !w->current) { // not a kernel's fault: die as any program would
        if (in_arena(a))
            tell_host(a, pc);
        signal(number, SIG_DFL);
        return;
    }
    const Thread *t = w->current; // its own code, rather than what that had called
    if (t->path_length)
        pc = t->path[t->path_length - 1];
    if (overflowed(w, a) >= 0)
        report(ERROR_STACK, "STACK OVERFLOW", t, pc,
               "stack overflow of thread %d: its local variables and calls need more than %d KiB",
               t->index, STACK_BYTES / 1024);
    else
        report(ERROR_ADDRESS, "BAD ADDRESS", t, pc,
               "address 0x%lx is no memory at all: a null pointer, or an index gone wild",
               (unsigned long)a);
    thread_gives_up(w);
}

// --- patience --------------------------------------------------------------------------------

static Worker *watched[MAX_WORKERS];

// Sent to a worker whose kernel calls nothing of ours: it stops where it is.
static void on_alarm(int number, siginfo_t *info, void *context)
{
    Worker *w = simt_worker;
    (void)number;
    (void)info;
    if (!w || !w->current)
        return;
    Thread *t = w->current;
    report(ERROR_TIMEOUT, "NEVER ENDS", t, interrupted_at(context),
           "the block has run for %.0f seconds, and this thread still runs (SIMT_SECONDS)",
           settings.patience);
    thread_gives_up(w);
}

// An OS thread of its own: ten times a second it looks whether each busy worker has finished a
// block. First it asks politely, by a flag that the scheduler reads; a second later by a signal,
// for a kernel that never comes to the scheduler.
static void *watch(void *unused)
{
    unsigned long long beat[MAX_WORKERS] = {0};
    double waited[MAX_WORKERS] = {0};
    (void)unused;
    for (;;) {
        usleep(100000);
        for (int i = 0; i < MAX_WORKERS; i++) {
            Worker *w = watched[i];
            if (!w || !w->busy || w->beat != beat[i]) {
                waited[i] = 0;
                beat[i] = w ? w->beat : 0;
                continue;
            }
            waited[i] += 0.1;
            if (waited[i] > settings.patience)
                w->stop = 1; // the scheduler looks at it
            if (waited[i] > settings.patience + 1 && w->busy && w->stop) {
                pthread_t thread;
                memcpy(&thread, &w->os_thread, sizeof thread);
                pthread_kill(thread, SIGUSR2);
                waited[i] = settings.patience;
            }
        }
    }
    return NULL;
}

// A worker begins or ends its part of a launch. The watchman sees it by its place in the table.
void watch_worker(Worker *w, bool busy)
{
    static __thread char *spare; // a trap on a full stack needs another one to be handled on
    if (!spare) {
        stack_t stack = {.ss_size = 64 << 10};
        spare = stack.ss_sp = malloc(stack.ss_size);
        sigaltstack(&stack, NULL);
    }
    pthread_t self = pthread_self();
    memcpy(&w->os_thread, &self, sizeof self);
    watched[w->index] = w;
    w->stop = 0;
    w->busy = busy;
    if (!busy && w->index > 0) { // the OS thread is about to end
        stack_t none = {.ss_flags = SS_DISABLE};
        sigaltstack(&none, NULL);
        free(spare);
        spare = NULL;
    }
}

// Handlers and, where patience ends, the watchman, once for the program. SA_NODEFER: we leave the
// handler without returning.
void watch_begin(void)
{
    static bool begun;
    if (begun)
        return;
    begun = true;
    settings_read();
    struct sigaction action = {.sa_sigaction = on_trap,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    action.sa_sigaction = on_alarm;
    sigaction(SIGUSR2, &action, NULL);
    pthread_t thread;
    if (settings.patience > 0 && pthread_create(&thread, NULL, watch, NULL) == 0)
        pthread_detach(thread);
}
