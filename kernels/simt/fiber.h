// Many stacks on one OS thread. A CUDA block of 1024 threads needs 1024 places to be at, and a
// switch between two of them must cost nanoseconds: it happens at every memory access.

#ifndef FIBER_H
#define FIBER_H

#include <stddef.h>

// A stopped fiber is the stack pointer at which it stopped.
typedef void *Fiber;

// A fiber that will run entry() on the stack that ends at `top`. entry() must never return.
Fiber fiber_new(char *top, void (*entry)(void));

// Stops here, notes where in *from, and goes on where `to` had stopped.
void fiber_switch(Fiber *from, Fiber to);

#endif
