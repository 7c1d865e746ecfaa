// Drawing random cases: what property.c and kernels.c have in common. Everything comes from one
// stream of random numbers, so that the order of the calls is part of the case.

#ifndef DRAW_H
#define DRAW_H

#include "book.h"

#include "../common/random.h"

#include <stddef.h>

enum { TEXT = 512 }; // the longest mask, as --mask takes it

// True once in so many times.
bool coin(Random *r, long one_in);

// One of a list of numbers that takes so many bytes.
long draw_from(Random *r, const long *list, size_t bytes);

// [b, heads, n, width], normal numbers times the factor.
Tensor draw_tensor(Random *r, long b, long heads, long n, long width, float factor);

// Up to four cuts among so many keys, or none. They may coincide, and may lie at either end: then
// a part is empty.
void draw_cuts(Random *r, Case *c, long keys);

// One more rule to a mask of several, joined by +.
__attribute__((format(printf, 2, 3)))
void add_word(char spec[TEXT], const char *format, ...);

// "1,4,9" behind what text holds.
void add_numbers(char *text, size_t bytes, const long *numbers, long count);

#endif
