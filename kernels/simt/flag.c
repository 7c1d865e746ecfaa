// Orders that kernels make themselves, with a flag or a counter that is updated by atomics:
//
//     partial[block] = x;                           while (atomicAdd(&ready, 0) < blocks)
//     __threadfence();                                  ;
//     atomicAdd(&ready, 1);                         sum over partial[]
//
// An atomic releases what its thread has fenced before, and what others have fenced and told it;
// who later updates or reads the same place by an atomic learns all that was released there
// (CUDA C++ Programming Guide, "Memory Fence Functions"; PTX ISA, "Memory Consistency Model").
// We are lenient where the Guide's own example is: the reader need not fence. Not followed: flags
// that are read without an atomic, and what a block learned from one flag and passes on by another.

#include "inside.h"

#include <pthread.h>
#include <stdlib.h>

enum { FLAGS = 1 << 12 };

// What one atomic released, and, before it, all others at the same address.
struct Release {
    const Release *earlier;
    Release *made_before;       // all of a launch, to be freed with the next one
    unsigned block;
    int thread;
    uint32_t moment;            // of the atomic itself
    uint32_t known[];           // [2, threads]: to the device, to the block
};

static struct {
    uintptr_t address;
    const Release *latest;
} flag[FLAGS];
static Release *all;
static atomic_int flags;        // most kernels have none, and pay for none
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void flag_launch(void)
{
    for (Release *next; all; all = next) {
        next = all->made_before;
        free(all);
    }
    for (int i = 0; i < FLAGS && flags; i++)
        flag[i].address = 0, flag[i].latest = NULL;
    flags = 0;
}

void flag_block(Worker *w)
{
    w->fences = 0;
    w->lessons = 0;
}

void simt_fence(void)
{
    simt_worker->fences++;
    clock_fence(simt_worker->current, DEVICE);
}

void simt_fence_block(void)
{
    simt_worker->fences++;
    clock_fence(simt_worker->current, BLOCK);
}

// The flag at an address, -1 if there is none. The lock is held.
static int find(uintptr_t a, bool make)
{
    int i = (int)((a >> 2) * 2654435761u % FLAGS);
    while (flag[i].address && flag[i].address != a)
        i = (i + 1) % FLAGS;
    if (flag[i].address == a)
        return i;
    if (!make || flags >= FLAGS / 2)
        return -1;
    flag[i].address = a;
    flags++;
    return i;
}

// Just before an atomic update of *a by t.
void flag_release(Thread *t, uintptr_t a)
{
    Worker *w = t->worker;
    if (!simt_counted || !w->fences || (t->flag == a && t->flag_fences == w->fences))
        return; // nothing to tell, or it has been told: a loop that waits
    Release *r = malloc(sizeof *r + 2 * (size_t)launch.threads * sizeof(uint32_t));
    if (!r)
        abort();
    for (int i = 0; i < 2 * launch.threads; i++) {
        int s = i / launch.threads, other = i % launch.threads;
        uint32_t known = other == t->index ? t->moment : clock_of(t->knows, other);
        uint32_t own = clock_of(t->fenced[s], other), theirs = w->thread[other].fence[s];
        theirs = theirs < known ? theirs : known;
        r->known[i] = own > theirs ? own : theirs;
    }
    r->block = w->block;
    r->thread = t->index;
    r->moment = ++t->moment;
    t->flag = a;
    t->flag_fences = w->fences;
    pthread_mutex_lock(&lock);
    int i = find(a, true);
    r->earlier = i < 0 ? NULL : flag[i].latest;
    r->made_before = all;
    all = r;
    if (i >= 0)
        flag[i].latest = r;
    pthread_mutex_unlock(&lock);
}

// Just after an atomic of t saw *a.
void flag_learn(Thread *t, uintptr_t a)
{
    Worker *w = t->worker;
    if (!simt_counted || !atomic_load_explicit(&flags, memory_order_relaxed))
        return;
    pthread_mutex_lock(&lock);
    int i = find(a, false);
    const Release *latest = i < 0 ? NULL : flag[i].latest;
    pthread_mutex_unlock(&lock);
    if (!latest || t->learned == latest)
        return; // nothing new: a loop that waits
    t->learned = latest;
    t->moment++; // whom it has told its past so far knows nothing of this
    if (w->lessons == w->lesson_room) {
        w->lesson_room = w->lesson_room ? 2 * w->lesson_room : 64;
        w->lesson = realloc(w->lesson, (size_t)w->lesson_room * sizeof *w->lesson);
        if (!w->lesson)
            abort();
    }
    w->lesson[w->lessons++] = (Lesson){latest, t->index, t->moment};
}

// Has t, or somebody it has met since, seen a flag that came after that access?
bool flag_orders(const Thread *t, unsigned block, int thread, uint32_t moment)
{
    int first = (t->worker->block == block ? BLOCK : DEVICE) * launch.threads;
    for (int i = t->worker->lessons; i-- > 0;) {
        const Lesson *l = &t->worker->lesson[i];
        if (!clock_knows(t, l->thread, l->moment))
            continue;
        for (const Release *r = l->release; r; r = r->earlier)
            if (r->block == block && (moment <= r->known[first + thread] ||
                                      (thread == r->thread && moment == r->moment)))
                return true;
    }
    return false;
}
