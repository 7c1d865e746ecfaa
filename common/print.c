#include "print.h"

#include <string.h>

enum { LABEL = 10, CELL = 9 };

// --- numbers and names -----------------------------------------------------------------------

void print_number(FILE *f, float x)
{
    if (isnan(x))
        fprintf(f, "%*s", CELL, "nan");
    else if (isinf(x))
        fprintf(f, "%*s", CELL, x > 0 ? "inf" : "-inf");
    else if (fabsf(x) >= 9999.99995f)
        fprintf(f, "%*.2e", CELL, (double)x);
    else // what rounds to zero prints without a sign
        fprintf(f, "%*.4f", CELL, fabsf(x) <= 0.00005f ? 0.0 : (double)x);
}

void name_of(char *to, size_t size, Names names, long i)
{
    if (names.words && i + names.first < names.count)
        snprintf(to, size, "%s", names.words[i + names.first]);
    else
        snprintf(to, size, "%c%ld", names.letter, i + names.first);
}

// Bytes of the first `most` characters of UTF-8 text, and how many characters those are.
static size_t utf8_prefix(const char *s, int most, int *characters)
{
    size_t n = 0;
    *characters = 0;
    while (s[n]) {
        if (((unsigned char)s[n] & 0xc0) != 0x80 && ++*characters > most) {
            *characters = most;
            break;
        }
        n++;
    }
    return n;
}

static void print_name(FILE *f, Names names, long i, int width, bool right)
{
    char name[256];
    int characters;
    name_of(name, sizeof name, names, i);
    size_t bytes = utf8_prefix(name, width, &characters);
    fprintf(f, "%*s%.*s%*s", right ? width - characters : 0, "", (int)bytes, name,
            right ? 0 : width - characters, "");
}

// --- matrices ----------------------------------------------------------------------------------

static void print_cell(FILE *f, float x, bool hidden, Hide hide)
{
    fputc(' ', f);
    if (hidden)
        fprintf(f, "%*s", CELL, hide == HIDE_SCORES ? "-inf" : ".");
    else
        print_number(f, x);
}

void print_matrix(FILE *f, const char *heading, Tensor x, Names rows, Names cols,
                  const Mask *mask, Hide hide)
{
    long width = x.axes == 2 ? x.shape[1] : 1;
    CHECK(x.axes == 1 || x.axes == 2, "%s: a matrix to print has 2 axes, not %d", heading, x.axes);
    fprintf(f, x.axes == 2 ? "== %s [%ld x %ld] ==\n" : "== %s [%ld] ==\n", heading, x.shape[0],
            width);
    if (x.axes == 2) {
        fprintf(f, "%*s", LABEL, "");
        for (long j = 0; j < width; j++) {
            fputc(' ', f);
            print_name(f, cols, j, CELL, true);
        }
        fputc('\n', f);
    }
    for (long i = 0; i < x.shape[0]; i++) {
        print_name(f, rows, i, LABEL, false);
        for (long j = 0; j < width; j++)
            print_cell(f, x.data[i * x.stride[0] + j],
                       hide != HIDE_NOTHING && !mask_allows(mask, i, j), hide);
        fputc('\n', f);
    }
    fputc('\n', f);
}

// --- heat maps -----------------------------------------------------------------------------------

// Nine samples of viridis (Smith and van der Walt, matplotlib 2015): as dark as the weight is
// small for every kind of eye, and in print.
static const unsigned char VIRIDIS[9][3] = {
    {68, 1, 84},   {71, 45, 123}, {59, 82, 139},  {44, 114, 142}, {33, 145, 140},
    {40, 174, 128}, {94, 201, 98}, {173, 220, 48}, {253, 231, 37},
};

static int shade(float x, int shades)
{
    if (!(x > 0.0f))
        return 0;
    return x >= 1.0f ? shades - 1 : (int)(x * (float)(shades - 1) + 0.5f);
}

// layer 38 is the foreground, 48 the background.
static void print_colour(FILE *f, int layer, float x)
{
    const unsigned char *c = VIRIDIS[shade(x, 9)];
    fprintf(f, "\x1b[%d;2;%d;%d;%dm", layer, c[0], c[1], c[2]);
}

// Two cells, one above the other. A masked one keeps the terminal's own colour.
static void print_pair(FILE *f, float top, bool see_top, float bottom, bool see_bottom)
{
    fputs("\x1b[0m", f);
    if (see_top)
        print_colour(f, 38, top);
    else if (see_bottom)
        print_colour(f, 38, bottom);
    if (see_top && see_bottom)
        print_colour(f, 48, bottom);
    fputs(see_top ? "▀▀" : see_bottom ? "▄▄" : "  ", f);
}

static void heat_in_colour(FILE *f, Tensor weights, const Mask *mask)
{
    for (long i = 0; i < weights.shape[0]; i += 2) {
        bool two = i + 1 < weights.shape[0];
        for (long j = 0; j < weights.shape[1]; j++)
            print_pair(f, row(weights, i)[j], mask_allows(mask, i, j),
                       two ? row(weights, i + 1)[j] : 0, two && mask_allows(mask, i + 1, j));
        fputs("\x1b[0m\n", f);
    }
}

static void heat_in_text(FILE *f, Tensor weights, const Mask *mask)
{
    static const char ramp[] = ".:-=+*#%@";
    for (long i = 0; i < weights.shape[0]; i++) {
        for (long j = 0; j < weights.shape[1]; j++) {
            char c = mask_allows(mask, i, j) ? ramp[shade(row(weights, i)[j], 9)] : ' ';
            fprintf(f, "%c%c", c, c);
        }
        fputc('\n', f);
    }
}

void print_heat(FILE *f, const char *heading, Tensor weights, const Mask *mask, bool colour)
{
    fprintf(f, "-- %s as a heat map, 0 dark to 1 bright --\n", heading);
    if (colour)
        heat_in_colour(f, weights, mask);
    else
        heat_in_text(f, weights, mask);
    fputc('\n', f);
}
