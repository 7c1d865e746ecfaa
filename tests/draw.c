#include "draw.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool coin(Random *r, long one_in)
{
    return random_below(r, one_in) == 0;
}

long draw_from(Random *r, const long *list, size_t bytes)
{
    return list[random_below(r, (long)(bytes / sizeof *list))];
}

Tensor draw_tensor(Random *r, long b, long heads, long n, long width, float factor)
{
    Tensor t = tensor_new(SHAPE(b, heads, n, width));
    for (long i = 0; i < tensor_count(t); i++)
        t.data[i] = random_normal(r) * factor;
    return t;
}

static int by_size(const void *x, const void *y)
{
    long a = *(const long *)x, b = *(const long *)y;
    return (a > b) - (a < b);
}

void draw_cuts(Random *r, Case *c, long keys)
{
    c->cut_count = coin(r, 2) ? 0 : 1 + random_below(r, 4);
    for (long i = 0; i < c->cut_count; i++)
        c->cuts[i] = random_below(r, keys + 1);
    qsort(c->cuts, (size_t)c->cut_count, sizeof c->cuts[0], by_size);
}

void add_word(char spec[TEXT], const char *format, ...)
{
    size_t n = strlen(spec);
    va_list args;
    if (n)
        spec[n++] = '+';
    va_start(args, format);
    vsnprintf(spec + n, TEXT - n, format, args);
    va_end(args);
}

void add_numbers(char *text, size_t bytes, const long *numbers, long count)
{
    for (long i = 0; i < count; i++) {
        size_t n = strlen(text);
        snprintf(text + n, bytes - n, i ? ",%ld" : "%ld", numbers[i]);
    }
}
