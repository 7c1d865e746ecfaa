// The built-in inputs, small enough to redo with a pencil.

#ifndef EXAMPLES_H
#define EXAMPLES_H

typedef struct {
    const char *name;
    long rows, columns;             // Q, K and V are all [rows, columns]
    const float *q, *k, *v;
    const char *tokens;             // labels of the rows, or NULL
    const char *const *features;    // labels of the columns, or NULL
} Example;

// NULL when there is no such example ("random" is not one of these: it has no numbers yet).
const Example *example_find(const char *name);

#endif
