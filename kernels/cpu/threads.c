#define _GNU_SOURCE // the processors that this process may use are Linux's to say
#include "threads.h"

#include "../../common/fail.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

// A worker looks so often for the next job, some ten microseconds, before it goes to sleep. Waking
// it takes longer than that, and what lies between two products of a model's layer is shorter: with
// a tenth as many looks GPT-2's decode on two threads fell from 0.95 to 0.88 of memory's rate.
enum { LOOKS = 20000 };

static struct {
    pthread_t threads[MOST_THREADS];
    int started; // workers there are, thread 0 not among them
    int wanted;  // threads for the next job; 0: not yet asked
    pthread_mutex_t lock;
    pthread_cond_t more;
    void (*work)(void *job, int thread);
    void *job;
    int count;          // threads of this job
    atomic_long number; // of the job: workers wait for it to change
    atomic_int left;    // workers that have not finished it
    bool leave;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static int processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef CPU_COUNT
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) == 0)
        n = CPU_COUNT(&mine);
#endif
    return n < 1 ? 1 : n > MOST_THREADS ? MOST_THREADS : (int)n;
}

void threads_set(int count)
{
    CHECK(1 <= count && count <= MOST_THREADS, "%d threads", count);
    pool.wanted = count;
}

int threads_count(void)
{
    if (pool.wanted == 0)
        pool.wanted = processors();
    return pool.wanted;
}

void threads_yield(void)
{
    sched_yield();
}

// Waits until there is a job after number `seen`.
static void wait_for_job(long seen)
{
    for (int i = 0; i < LOOKS; i++)
        if (atomic_load(&pool.number) != seen)
            return;
    pthread_mutex_lock(&pool.lock);
    while (atomic_load(&pool.number) == seen)
        pthread_cond_wait(&pool.more, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}

static void *worker(void *argument)
{
    int thread = (int)(long)argument;
    for (long seen = 0;;) {
        wait_for_job(seen);
        seen++;
        if (pool.leave)
            return NULL;
        if (thread < pool.count)
            pool.work(pool.job, thread);
        atomic_fetch_sub(&pool.left, 1);
    }
}

// Announces the next job to all workers.
static void announce(void)
{
    atomic_store(&pool.left, pool.started);
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.number, 1);
    pthread_cond_broadcast(&pool.more);
    pthread_mutex_unlock(&pool.lock);
}

static void stop_workers(void)
{
    pool.leave = true;
    announce();
    for (int t = 1; t <= pool.started; t++)
        pthread_join(pool.threads[t], NULL);
    pool.started = 0;
}

// A machine that gives no more threads gets by with those that it gave. A worker begins to wait
// with the next job: all earlier ones count as seen.
static void start_workers(int count)
{
    static bool registered;
    if (!registered)
        CHECK(atexit(stop_workers) == 0, "no room for an exit handler");
    registered = true;
    if (pool.started >= count - 1)
        return;
    if (pool.started > 0) { // fewer than wanted: begin anew, so that all count from job 0
        stop_workers();
        pool.leave = false;
    }
    atomic_store(&pool.number, 0);
    while (pool.started < count - 1) {
        long thread = pool.started + 1;
        if (pthread_create(&pool.threads[thread], NULL, worker, (void *)thread) != 0)
            break;
        pool.started++;
    }
}

void threads_run(void (*work)(void *job, int thread), void *job)
{
    int count = threads_count();
    if (count == 1) {
        work(job, 0);
        return;
    }
    start_workers(count);
    pool.work = work;
    pool.job = job;
    pool.count = count;
    announce();
    work(job, 0);
    while (atomic_load(&pool.left) > 0)
        sched_yield();
}
