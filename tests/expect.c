// expect F.npy PREDICATE ...
//
// Holds one .npy file against what it should say, for tests/cli.sh. Two files of the same run
// are tests/compare.c's. Exit: 0 as expected, 1 not (one line says where), 2 usage, 3 bad file.

#include "../common/fail.h"
#include "../common/npy.h"
#include "../common/output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *usage =
    "usage: expect F.npy PREDICATE ...\n"
    "  shape 2,3,4      its shape; - for a single number\n"
    "  all X            every element is X (NaN is NaN, -0 is 0)\n"
    "  values X X ...   the elements, one by one\n"
    "  each X X ...     every row reads so\n"
    "  finite           no NaN, no infinity\n"
    "  same G.npy       element by element as in G\n"
    "and before them, for those that follow:\n"
    "  rows FROM TO     only these rows, all leading axes counted as one\n"
    "  elements A B     only these elements\n"
    "  within TOL       may be off by TOL; 0 ends that\n"
    "example: expect out.npy shape 3,2 rows 0 2 all 0 rows 2 3 values 5 nan\n";

// What is looked at: elements from:to of an array whose rows are `width` wide. An array of one
// axis is a column: each element is a row.
typedef struct {
    const char *path;
    Npy    npy;
    long   width, from, to;
    double tolerance;
} View;

// The words still to be read. Predicates take from the front.
typedef struct {
    int    left;
    char **at;
} Words;

static const char *next(Words *w)
{
    if (w->left == 0)
        refuse(EXIT_USAGE, "a predicate wants one word more; try --help");
    w->left--;
    return *w->at++;
}

// Is the next word a number? "nan" and "inf" are.
static bool number_ahead(const Words *w)
{
    char *end;
    if (w->left == 0)
        return false;
    strtod(*w->at, &end);
    return end > *w->at && *end == '\0';
}

// The next word, which has to be a number.
static double next_number(Words *w)
{
    if (!number_ahead(w))
        refuse(EXIT_USAGE, "expected a number, got \"%s\"", w->left ? *w->at : "nothing");
    return strtod(next(w), NULL);
}

// --- what fails is said once, and ends the program -------------------------------------------

// Element i against what it should be. Equal values pass first, infinities among them, whose
// distance is NaN; a NaN passes for NaN alone, since no distance to it is within a tolerance.
static void want_element(const View *v, long i, double expected)
{
    double came = npy_value(&v->npy, i);
    bool alike = came == expected || (isnan(came) && isnan(expected)) ||
                 fabs(came - expected) <= v->tolerance;
    if (!alike)
        refuse(EXIT_DIFFERS, "%s: row %ld, column %ld: expected %.9g, got %.9g", v->path,
               i / v->width, i % v->width, expected, came);
}

// "2,3,4", as make_arrays takes it.
static void want_shape(const View *v, const char *expected)
{
    char came[96] = "-";
    size_t n = 0;
    for (int a = 0; a < v->npy.axes; a++)
        n += (size_t)snprintf(came + n, sizeof came - n, a ? ",%ld" : "%ld", v->npy.shape[a]);
    if (strcmp(came, expected) != 0)
        refuse(EXIT_DIFFERS, "%s: expected shape %s, got %s", v->path, expected, came);
}

static void want_all(const View *v, double expected)
{
    for (long i = v->from; i < v->to; i++)
        want_element(v, i, expected);
}

// One word for each element, neither more nor fewer: a row that is missing must not pass.
static void want_values(const View *v, Words *w)
{
    long i = v->from;
    for (; number_ahead(w) && i < v->to; i++)
        want_element(v, i, next_number(w));
    if (i != v->to || number_ahead(w))
        refuse(EXIT_DIFFERS, "%s: expected %s values than the %ld that are there", v->path,
               i == v->to ? "more" : "fewer", v->to - v->from);
}

// The same words once more for every row. Where there is none, they are read all the same.
static void want_each(const View *v, Words *w)
{
    Words first = *w;
    for (long i = v->from; i < v->to; i += v->width) {
        View one = *v;
        one.from = i;
        one.to = i + v->width;
        *w = first;
        want_values(&one, w);
    }
    while (v->from == v->to && number_ahead(w))
        next(w);
}

// No element is NaN or infinite.
static void want_finite(const View *v)
{
    for (long i = v->from; i < v->to; i++)
        if (!isfinite(npy_value(&v->npy, i)))
            refuse(EXIT_DIFFERS, "%s: row %ld, column %ld: expected a finite number, got %g",
                   v->path, i / v->width, i % v->width, npy_value(&v->npy, i));
}

// Element by element, whatever the shapes: [N, D] of one chapter is [1, 1, N, D] of another.
static void want_same(const View *v, const char *path)
{
    Npy other = npy_read(path);
    if (other.count != v->npy.count)
        refuse(EXIT_DIFFERS, "%s: expected the %ld elements of %s, got %ld", v->path, other.count,
               path, v->npy.count);
    for (long i = v->from; i < v->to; i++)
        want_element(v, i, npy_value(&other, i));
    npy_free(&other);
}

// The next two words, in units of `width` elements.
static void take_range(View *v, Words *w, long width)
{
    v->from = (long)next_number(w) * width;
    v->to = (long)next_number(w) * width;
    if (v->from < 0 || v->from > v->to || v->to > v->npy.count)
        refuse(EXIT_DIFFERS, "%s: expected elements %ld to %ld, got %ld in all", v->path, v->from,
               v->to, v->npy.count);
}

// One predicate, or one limit to those that follow.
static void take_predicate(View *v, Words *w)
{
    const char *word = next(w);
    if (strcmp(word, "rows") == 0)
        take_range(v, w, v->width);
    else if (strcmp(word, "elements") == 0)
        take_range(v, w, 1);
    else if (strcmp(word, "within") == 0)
        v->tolerance = next_number(w);
    else if (strcmp(word, "shape") == 0)
        want_shape(v, next(w));
    else if (strcmp(word, "all") == 0)
        want_all(v, next_number(w));
    else if (strcmp(word, "values") == 0)
        want_values(v, w);
    else if (strcmp(word, "each") == 0)
        want_each(v, w);
    else if (strcmp(word, "finite") == 0)
        want_finite(v);
    else if (strcmp(word, "same") == 0)
        want_same(v, next(w));
    else
        refuse(EXIT_USAGE, "unknown predicate %s; try --help", word);
}

int main(int argc, char **argv)
{
    fail_program("expect");
    output_start();
    if (argc < 3) {
        fputs(usage, stdout);
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : EXIT_USAGE;
    }
    View v = {.path = argv[1], .npy = npy_read(argv[1])};
    Words words = {argc - 2, argv + 2};
    v.width = v.npy.axes > 1 ? v.npy.shape[v.npy.axes - 1] : 1;
    v.width = v.width > 0 ? v.width : 1;
    v.to = v.npy.count;
    while (words.left > 0)
        take_predicate(&v, &words);
    npy_free(&v.npy);
    output_finish();
    return 0;
}
