#include "examples.h"

#include <stddef.h>
#include <string.h>

// --- worked: every step can be redone with a pencil -------------------------------------------

static const float worked_q[] = {
    1, 0, 1, 0,
    0, 1, 0, 1,
    1, 1, 1, 0,
};
static const float worked_k[] = {
    1, 0, 0, 1,
    0, 1, 1, 0,
    1, 1, 1, 1,
};
static const float worked_v[] = {
    1, 2,  3,  4,
    5, 6,  7,  8,
    9, 10, 11, 12,
};

// --- notes: the same as widely copied notes have it (chapter 01 says what they get wrong) -----

static const float notes_q[] = {
    1, 0, 1, 0,
    0, 1, 0, 1,
    1, 1, 0, 0,
};

// --- onehot: each token looks at the one before it, the first at itself -------------------------

// A score of 1000 against 0 leaves exp(-500) = 0 for the others: the output is V's rows, moved.
static const float onehot_q[] = {
    1000, 0,    0,    0,
    1000, 0,    0,    0,
    0,    1000, 0,    0,
    0,    0,    1000, 0,
};
// [4, 4]. As K it makes the scores Q, as V the output the weights.
static const float identity_4[] = {
    1, 0, 0, 0,
    0, 1, 0, 0,
    0, 0, 1, 0,
    0, 0, 0, 1,
};
static const float onehot_v[] = {
    11, 12, 13, 14,
    21, 22, 23, 24,
    31, 32, 33, 34,
    41, 42, 43, 44,
};

// --- rows: four rows of scores, known beforehand; run with --scale 1 ----------------------------

// K is the identity, so the scores are Q; so is V, and the output is the weights. The 9s lie in
// the future: a causal mask hides them, and a row into which one leaks looks at little else.
static const float rows_q[] = {
    0.5f, 9,    9,    9,
    0.3f, 0.7f, 9,    9,
    0.2f, 0.4f, 0.6f, 9,
    0.1f, 0.3f, 0.5f, 0.8f,
};

// --- fruit: "apple" may be a fruit or a brand; "orange" settles it -----------------------------

static const char *const fruit_features[] = {"fruit", "brand", "article", "joins", NULL};
static const float fruit_x[] = {
    0, 0, 3, 0, // an
    2, 2, 0, 0, // apple
    0, 0, 0, 3, // and
    0, 0, 3, 0, // an
    5, 0, 0, 0, // orange
};

static const Example examples[] = {
    {"worked", 3, 4, worked_q, worked_k, worked_v, NULL, NULL},
    {"notes", 3, 4, notes_q, worked_k, worked_v, NULL, NULL},
    {"onehot", 4, 4, onehot_q, identity_4, onehot_v, NULL, NULL},
    {"rows", 4, 4, rows_q, identity_4, identity_4, NULL, NULL},
    {"fruit", 5, 4, fruit_x, fruit_x, fruit_x, "an apple and an orange", fruit_features},
};

const Example *example_find(const char *name)
{
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        if (strcmp(examples[i].name, name) == 0)
            return &examples[i];
    return NULL;
}
