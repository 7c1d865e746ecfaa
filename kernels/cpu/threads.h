// A pool of threads that are made once and then wait for work: making them anew for every pass
// would take longer than a short pass does.
//
//     threads_run(work, &job);   // work(&job, t) on every thread t; returns when all are done
//
// Whoever calls is thread 0. What a thread does must not depend on how many there are: results
// are the same bits for any number. One pass at a time; not to be called from inside of work().

#ifndef THREADS_H
#define THREADS_H

// How many threads run from now on, 1 to MOST_THREADS; as many as there are processors unless told
// otherwise.
enum { MOST_THREADS = 256 };
void threads_set(int count);
int  threads_count(void);

void threads_run(void (*work)(void *job, int thread), void *job);

// Lets another thread go on: for loops that wait for one.
void threads_yield(void);

#endif
