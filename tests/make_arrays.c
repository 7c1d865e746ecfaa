// make_arrays F.npy [--dtype '<f4'] [--fortran] KIND ...
//
// Makes the .npy files that tests/cli.sh feeds to the chapters: good ones in every dtype and
// order, and broken ones. It writes its own headers, sharing no line with common/npy.c: what
// the reader gets wrong would otherwise be written wrong as well, and cancel out.

#include "../common/fail.h"
#include "../common/npy.h"
#include "../common/output.h"
#include "../common/random.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *usage =
    "usage: make_arrays F.npy [--dtype D] [--fortran] KIND ...\n"
    "  random SHAPE SEED [SCALE]   uniform in [-SCALE, SCALE)\n"
    "  values SHAPE X X ...        these; the last one repeats until the array is full\n"
    "  slice G.npy AXIS FROM TO    a part of G\n"
    "  pick G.npy AXIS 0,0,1       those indices of G along an axis, in this order\n"
    "  copies G.npy N              G, N times along a new first axis\n"
    "  set G.npy FROM TO X         G with its rows FROM:TO (of all leading axes) set to X\n"
    "  cut G.npy BYTES             the file G, only its first BYTES; -1: all but one\n"
    "  raw MAJOR MINOR LENGTH TEXT BYTES\n"
    "                              a header of our own, LENGTH - for the true one, then zeros\n"
    "SHAPE is 2,3,4 or - for a single number. D: b1, i1 to u8, f2, f4, f8 after <, > or |.\n"
    "example: make_arrays q.npy --dtype '>f8' values 2,2 1 0 nan -inf\n";

// What the command line asks for.
typedef struct {
    const char *dtype;  // NumPy's three characters: byte order, kind, bytes
    bool fortran;
    int  count;         // of what follows the kind
    char **words;
} Request;

// --- the command line ------------------------------------------------------------------------

// "1e-30", "nan", "-inf", "0x1p-133": whatever C reads as a number.
static double read_number(const char *text)
{
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end)
        refuse(EXIT_USAGE, "expected a number, got \"%s\"", text);
    return x;
}

static long read_long(const char *text)
{
    return (long)read_number(text);
}

// "2,3,4" into shape; returns the axes. "-" has none: the shape of a single number.
static int read_shape(const char *text, long shape[MAX_AXES])
{
    int axes = 0;
    while (*text && strcmp(text, "-") != 0) {
        char *end;
        long n = strtol(text, &end, 10);
        if (end == text || axes == MAX_AXES || n < 0 || (*end && *end != ','))
            refuse(EXIT_USAGE, "expected a shape like 2,3,4, got \"%s\"", text);
        shape[axes++] = n;
        text = *end ? end + 1 : end;
    }
    return axes;
}

// From least to most words behind the kind.
static void want_words(const Request *r, int least, int most)
{
    if (r->count < least || r->count > most)
        refuse(EXIT_USAGE, "%d words after the kind; try --help", r->count);
}

// --- the header ------------------------------------------------------------------------------

// Magic, version, the length that the header claims to have, and the header. The length takes
// 2 bytes in version 1 and 4 from version 2 on, the lowest first.
static void write_head(FILE *f, int major, int minor, uint64_t length, const char *text)
{
    fputs("\x93NUMPY", f);
    fputc(major, f);
    fputc(minor, f);
    for (int i = 0; i < (major == 1 ? 2 : 4); i++)
        fputc((int)(length >> (8 * i) & 255), f);
    fputs(text, f);
}

// A true header for [shape]. It is not padded to 64 bytes as NumPy's are: a reader may not
// count on that.
static void write_header(FILE *f, const Request *r, int axes, const long *shape)
{
    char text[256];
    int n = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': %s, 'shape': (",
                     r->dtype, r->fortran ? "True" : "False");
    for (int a = 0; a < axes; a++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%ld,", shape[a]);
    snprintf(text + n, sizeof text - (size_t)n, ")}\n");
    write_head(f, 1, 0, strlen(text), text);
}

// --- one element -----------------------------------------------------------------------------

// The sixteen bits of x as float16: 1 of sign, 5 of exponent + 15, 10 of fraction. The tests use
// numbers that float16 holds exactly, and none of its subnormals.
static uint64_t half_bits(double x)
{
    int e;
    uint64_t sign = signbit(x) ? 0x8000 : 0;
    if (isnan(x))
        return 0x7e00;
    if (isinf(x) || x == 0)
        return sign | (x == 0 ? 0 : 0x7c00);
    double fraction = frexp(fabs(x), &e); // in [0.5, 1)
    CHECK(-13 <= e && e <= 16, "%g is no normal float16", x);
    return sign | (uint64_t)(e + 14) << 10 | (uint64_t)(fraction * 2048 - 1024);
}

// The bits that an element of this dtype consists of, as one number.
static uint64_t bits_of(const char *dtype, double x)
{
    uint32_t low;
    uint64_t all;
    float single = (float)x;
    memcpy(&low, &single, sizeof low);
    memcpy(&all, &x, sizeof all);
    if (dtype[1] != 'f')
        return dtype[1] == 'b' ? x != 0 : (uint64_t)(int64_t)x;
    return dtype[2] == '2' ? half_bits(x) : dtype[2] == '4' ? low : all;
}

// Those bits, cut into bytes in the dtype's order.
static void write_element(FILE *f, const char *dtype, double x)
{
    uint64_t bits = bits_of(dtype, x);
    int bytes = dtype[2] - '0';
    for (int b = 0; b < bytes; b++) {
        int place = dtype[0] == '>' ? bytes - 1 - b : b; // the most significant byte first, or last
        fputc((int)(bits >> (8 * place) & 255), f);
    }
}

// --- a whole array ---------------------------------------------------------------------------

// Which element of the array, in C order, is the n-th of a file in Fortran order: there the
// first index runs fastest, here the last.
static long c_place(int axes, const long *shape, long n)
{
    long index[MAX_AXES], place = 0;
    for (int a = 0; a < axes; a++) {
        index[a] = n % shape[a];
        n /= shape[a];
    }
    for (int a = 0; a < axes; a++)
        place = place * shape[a] + index[a];
    return place;
}

// values: in C order, as many as the shape says.
static void write_array(FILE *f, const Request *r, int axes, const long *shape,
                        const double *values)
{
    long n = 1;
    for (int a = 0; a < axes; a++)
        n *= shape[a];
    write_header(f, r, axes, shape);
    for (long i = 0; i < n; i++)
        write_element(f, r->dtype, values[r->fortran ? c_place(axes, shape, i) : i]);
}

static double *new_values(long n)
{
    double *values = malloc((size_t)(n + 1) * sizeof *values);
    if (!values)
        refuse(EXIT_MEMORY, "out of memory: %ld values", n);
    return values;
}

// All of t in C order, whatever its strides: slice and copies make views. Returns the end.
static double *copy_values(Tensor t, double *to)
{
    if (t.axes == 0) {
        *to = (double)*t.data;
        return to + 1;
    }
    for (long i = 0; i < t.shape[0]; i++)
        to = copy_values(tensor_at(t, i), to);
    return to;
}

// t: [any shape], in the dtype and order asked for
static void write_tensor(FILE *f, const Request *r, Tensor t)
{
    double *values = new_values(tensor_count(t));
    copy_values(t, values);
    write_array(f, r, t.axes, t.shape, values);
    free(values);
}

// --- the kinds ---------------------------------------------------------------------------------

// The same numbers for the same seed on every machine (common/random.h).
static void make_random(FILE *f, const Request *r)
{
    long shape[MAX_AXES];
    want_words(r, 2, 3);
    Tensor t = tensor_new(read_shape(r->words[0], shape), shape);
    float scale = r->count > 2 ? (float)read_number(r->words[2]) : 1.0f;
    tensor_random(t, (uint64_t)read_long(r->words[1]));
    for (long i = 0; i < tensor_count(t); i++)
        t.data[i] *= scale;
    write_tensor(f, r, t);
    tensor_free(&t);
}

// Fewer values than elements: the last one stands for the rest.
static void make_values(FILE *f, const Request *r)
{
    long shape[MAX_AXES], n = 1;
    want_words(r, 1, 100000);
    int axes = read_shape(r->words[0], shape);
    for (int a = 0; a < axes; a++)
        n *= shape[a];
    if (n > 0 && (r->count < 2 || r->count - 1 > n))
        refuse(EXIT_USAGE, "%d values for an array of %ld", r->count - 1, n);
    double *values = new_values(n);
    for (long i = 0; i < n; i++)
        values[i] = read_number(r->words[i + 1 < r->count ? i + 1 : r->count - 1]);
    write_array(f, r, axes, shape, values);
    free(values);
}

// G[.., FROM:TO, ..]
static void make_slice(FILE *f, const Request *r)
{
    want_words(r, 4, 4);
    Tensor t = npy_read_tensor(r->words[0]);
    write_tensor(f, r, tensor_slice(t, (int)read_long(r->words[1]), read_long(r->words[2]),
                                    read_long(r->words[3])));
    tensor_free(&t);
}

// G[..., 0, ...], G[..., 0, ...], G[..., 1, ...] side by side: heads repeated, say.
static void make_pick(FILE *f, const Request *r)
{
    want_words(r, 3, 3);
    Tensor t = npy_read_tensor(r->words[0]);
    long indices[MAX_AXES] = {0}, shape[MAX_AXES];
    int axis = (int)read_long(r->words[1]), count = read_shape(r->words[2], indices);
    memcpy(shape, t.shape, sizeof shape);
    shape[axis] = count;
    Tensor picked = tensor_new(t.axes, shape);
    for (int i = 0; i < count; i++)
        tensor_copy(tensor_slice(picked, axis, i, i + 1),
                    tensor_slice(t, axis, indices[i], indices[i] + 1));
    write_tensor(f, r, picked);
    tensor_free(&picked);
    tensor_free(&t);
}

// [any] -> [N, any]: a stride of 0 makes one array look like many.
static void make_copies(FILE *f, const Request *r)
{
    want_words(r, 2, 2);
    Tensor t = npy_read_tensor(r->words[0]), many = tensor_lift(t);
    many.shape[0] = read_long(r->words[1]);
    many.stride[0] = 0;
    write_tensor(f, r, many);
    tensor_free(&t);
}

// Rows are those of G as a matrix: its last axis is the width, all others are counted as one.
static void make_set(FILE *f, const Request *r)
{
    want_words(r, 4, 4);
    Tensor t = npy_read_tensor(r->words[0]);
    long width = t.shape[t.axes - 1];
    long from = read_long(r->words[1]) * width, to = read_long(r->words[2]) * width;
    if (from < 0 || from > to || to > tensor_count(t))
        refuse(EXIT_USAGE, "%s has no rows %s to %s", r->words[0], r->words[1], r->words[2]);
    for (long i = from; i < to; i++)
        t.data[i] = (float)read_number(r->words[3]);
    write_tensor(f, r, t);
    tensor_free(&t);
}

// The file as it is, byte by byte, but shorter: what a full disk or a broken download leaves.
static void make_cut(FILE *f, const Request *r)
{
    want_words(r, 2, 2);
    long bytes = read_long(r->words[1]), size = 0;
    FILE *from = fopen(r->words[0], "rb");
    if (!from)
        refuse(EXIT_INPUT, "%s: cannot be read", r->words[0]);
    while (fgetc(from) != EOF)
        size++;
    rewind(from);
    for (long i = bytes < 0 ? -bytes : size - bytes; i < size; i++)
        fputc(fgetc(from), f);
    fclose(from);
}

// A header that need not be true, and zeros for data. LENGTH may claim anything, 2^32 - 1 too.
static void make_raw(FILE *f, const Request *r)
{
    want_words(r, 5, 5);
    const char *text = r->words[3];
    bool true_length = strcmp(r->words[2], "-") == 0;
    uint64_t length = true_length ? strlen(text) : strtoull(r->words[2], NULL, 10);
    write_head(f, (int)read_long(r->words[0]), (int)read_long(r->words[1]), length, text);
    for (long i = read_long(r->words[4]); i > 0; i--)
        fputc(0, f);
}

static const struct {
    const char *name;
    void (*make)(FILE *f, const Request *r);
} kinds[] = {
    {"random", make_random}, {"values", make_values}, {"slice", make_slice},
    {"pick", make_pick},     {"copies", make_copies}, {"set", make_set},
    {"cut", make_cut},       {"raw", make_raw},
};

int main(int argc, char **argv)
{
    Request r = {.dtype = "<f4"};
    int at = 2;
    fail_program("make_arrays");
    output_start();
    if (argc < 3) {
        fputs(usage, stdout);
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : EXIT_USAGE;
    }
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++)
        if (strcmp(argv[at], "--fortran") == 0)
            r.fortran = true;
        else if (strcmp(argv[at], "--dtype") == 0 && at + 1 < argc && strlen(argv[at + 1]) == 3)
            r.dtype = argv[++at];
        else
            refuse(EXIT_USAGE, "unknown argument %s; try --help", argv[at]);
    for (size_t i = 0; at < argc && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(argv[at], kinds[i].name) == 0) {
            r.count = argc - at - 1;
            r.words = argv + at + 1;
            Output out = output_open(argv[1]);
            kinds[i].make(out.file, &r);
            output_close(&out);
            return 0;
        }
    refuse(EXIT_USAGE, "expected a kind of array; try --help");
}
