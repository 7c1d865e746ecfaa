// Saying what is wrong. A report is two lines: what happened, in which kernel, source line, block,
// warp, lane; then why that is wrong, with the address and the other thread.
//
// Each source line is reported once for each sort of mistake: the same slip in a loop, done by
// 256 threads, is one mistake.

#define _GNU_SOURCE
#include "inside.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN = 8, KNOWN = 64 }; // reports a launch that are printed, that are told apart

// OS threads run blocks side by side: without the lock two reports would mix their lines.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const char *what; // the sort: "RACE in shared memory"
    const char *place; // "file.cu:12"
} known[KNOWN];
static int known_count;

// A new launch may repeat what an earlier one was told.
void report_begin(void)
{
    known_count = 0;
}

// Was this sort of mistake reported for this source line?
// A full list says "no": who has 64 mistakes needs no 65th.
static bool is_new(const char *what, const char *place)
{
    for (int i = 0; i < known_count; i++)
        if (strcmp(known[i].what, what) == 0 && strcmp(known[i].place, place) == 0)
            return false;
    if (known_count == KNOWN)
        return false;
    known[known_count].what = what;
    known[known_count++].place = place;
    return true;
}

// A thread under all its names: CUDA's indices, and the warp and lane that they come to, as x runs
// fastest (CUDA C++ Programming Guide, "Thread Hierarchy").
static void print_thread(const Thread *t)
{
    const Worker *w = t->worker;
    fprintf(stderr, ", block (%u,%u,%u), thread (%u,%u,%u) = warp %d lane %d", w->at.x, w->at.y,
            w->at.z, t->at.x, t->at.y, t->at.z, t->warp->index, t->lane);
}

// A GPU's own answer is a code and no more; who does not look at it never learns of it.
void simt_refuse_call(const char *call, const void *caller, const char *why, const void *p)
{
    char place[256];
    if (simt_is_device(p))
        describe_global(place, sizeof place, (uintptr_t)p);
    else
        snprintf(place, sizeof place, p ? "memory of the host" : "a null pointer");
    fprintf(stderr, "simt: CALL REFUSED: %s at %s: %s: %s\n", call, where((uintptr_t)caller), why,
            place);
}

// The codes after which a real GPU takes no more work from this program.
// The others, a race for example, let the kernel run on: a second mistake may be found in the same
// run. The launch fails in the end all the same.
static bool kills(int code)
{
    return code == ERROR_ADDRESS || code == ERROR_MISALIGNED || code == ERROR_STACK ||
           code == ERROR_TIMEOUT;
}

// Prints, counts, and decides how the launch ends: with the first report's code.
void report(int code, const char *what, const Thread *t, uintptr_t pc, const char *format, ...)
{
    const char *place = where(pc);
    pthread_mutex_lock(&lock);
    if (t)
        t->worker->stats.reports++;
    if (is_new(what, place) && known_count <= SHOWN) {
        va_list values;
        fprintf(stderr, "simt: %s at %s, kernel %s", what, place, launch.kernel.name);
        if (t)
            print_thread(t);
        fprintf(stderr, "\n      ");
        va_start(values, format);
        vfprintf(stderr, format, values);
        va_end(values);
        fprintf(stderr, "\n");
    }
    int none = 0; // only the first report finds 0 there and sets its code
    atomic_compare_exchange_strong(&launch.error, &none, code);
    if (kills(code))
        launch.stopped = 1;
    pthread_mutex_unlock(&lock);
}
