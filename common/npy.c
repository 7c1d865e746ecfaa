// A .npy file is 6 bytes of magic, 2 of version, the header's length, the header (a Python
// dictionary written as text), then the elements. It may come from anywhere, so nothing in
// it is believed: every length is held against the file's size before it is used.
#define _POSIX_C_SOURCE 200809L
#include "npy.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Floats are copied between file and memory as they are.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a little-endian machine is needed");

static const char MAGIC[] = "\x93NUMPY";

enum { WORD = 32 }; // room for a text in the header: a key, a dtype

// --- the header's text ------------------------------------------------------------------
//
// The part of Python's grammar that a header may use:
//
//     header = "{" [ pair { "," pair } [ "," ] ] "}"
//     pair   = word ":" ( word | "True" | "False" | shape )
//     word   = "'" letters "'"  |  '"' letters '"'
//     shape  = "(" [ number { "," number } [ "," ] ] ")"    one number needs its comma
//
// with blanks between any two tokens. Each reader below takes one of these off the front
// and returns true, or sets the error and returns false.

typedef struct {
    const char *at, *end; // what is left
    char *error;          // [NPY_ERROR]
} Text;

// Writes the reason and returns false, so that `return wrong(...)` ends a reader.
__attribute__((format(printf, 2, 3)))
static bool wrong(char *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, NPY_ERROR, format, args);
    va_end(args);
    return false;
}

static void skip_blanks(Text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n' || *t->at == '\r'))
        t->at++;
}

// "header: expected ':', got 'x'", whatever byte x may be.
static bool wrong_here(Text *t, const char *expected)
{
    int c = t->at < t->end ? (unsigned char)*t->at : EOF;
    if (c == EOF)
        return wrong(t->error, "header: expected %s, got its end", expected);
    if (c < ' ' || c > '~')
        return wrong(t->error, "header: expected %s, got byte 0x%02x", expected, (unsigned)c);
    return wrong(t->error, "header: expected %s, got '%c'", expected, c);
}

// Takes c if it comes next.
static bool take(Text *t, char c)
{
    skip_blanks(t);
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

// Takes c, which must come next.
static bool read_char(Text *t, char c)
{
    const char expected[] = {'\'', c, '\'', '\0'};
    return take(t, c) || wrong_here(t, expected);
}

// A text in either kind of quotes; `what` names it in errors.
static bool read_word(Text *t, const char *what, char word[WORD])
{
    int n = 0;
    char quote = take(t, '\'') ? '\'' : '"';
    if (quote == '"' && !take(t, '"'))
        return wrong_here(t, what);
    while (t->at < t->end && *t->at != quote) {
        // A backslash would begin an escape; no key and no dtype that we know has one.
        if (*t->at < ' ' || *t->at > '~' || *t->at == '\\')
            return wrong_here(t, "plain letters");
        if (n == WORD - 1)
            return wrong(t->error, "header: %s of more than %d letters", what, WORD - 1);
        word[n++] = *t->at++;
    }
    word[n] = '\0';
    return take(t, quote) || wrong_here(t, "a closing quote");
}

// A whole number that fits a long. Python 2 wrote some of them with an L behind.
static bool read_number(Text *t, long *number)
{
    skip_blanks(t);
    const char *from = t->at;
    *number = 0;
    while (t->at < t->end && isdigit((unsigned char)*t->at)) {
        int digit = *t->at++ - '0';
        // Asked before multiplying: afterwards it would have overflowed already.
        if (*number > (LONG_MAX - digit) / 10)
            return wrong(t->error, "shape: an axis of more than %ld elements", LONG_MAX);
        *number = *number * 10 + digit;
    }
    if (t->at == from)
        return wrong_here(t, "a size (0 or more)");
    if (*from == '0' && t->at - from > 1)
        return wrong(t->error, "shape: a size that starts with 0");
    if (t->at < t->end && *t->at == 'L')
        t->at++;
    return true;
}

// All axes are counted, so that the refusal can name their number; four are kept.
static bool read_shape(Text *t, Npy *npy)
{
    bool comma = true;
    int axes = 0;
    if (!read_char(t, '('))
        return false;
    while (!take(t, ')')) {
        long size;
        if (!comma)
            return wrong_here(t, "',' or ')' after a size");
        if (!read_number(t, &size))
            return false;
        if (axes < MAX_AXES)
            npy->shape[axes] = size;
        axes++;
        comma = take(t, ',');
    }
    if (axes == 1 && !comma)
        return wrong(t->error, "shape: expected (%ld,), got the number (%ld)", npy->shape[0],
                     npy->shape[0]);
    if (axes > MAX_AXES)
        return wrong(t->error, "shape: expected up to %d axes, got %d", MAX_AXES, axes);
    npy->axes = axes;
    return true;
}

// True or False.
static bool read_order(Text *t, Npy *npy)
{
    static const char *const NAMES[] = {"False", "True"};
    skip_blanks(t);
    for (int value = 0; value < 2; value++) {
        size_t n = strlen(NAMES[value]);
        if ((size_t)(t->end - t->at) >= n && memcmp(t->at, NAMES[value], n) == 0) {
            t->at += n;
            npy->fortran = value;
            return true;
        }
    }
    return wrong_here(t, "True or False for 'fortran_order'");
}

// '<f4': the byte order (< little, > big, | a single byte), the kind, the bytes.
static bool read_dtype(Text *t, Npy *npy)
{
    char word[WORD];
    skip_blanks(t);
    if (t->at < t->end && (*t->at == '[' || *t->at == '('))
        return wrong(t->error, "a structured dtype: expected one number per element");
    if (!read_word(t, "a dtype", word))
        return false;
    if (strlen(word) != 3 || !strchr("<>|", word[0]) || !strchr("fbiu", word[1]) ||
        !strstr("f2 f4 f8 b1 i1 i2 i4 i8 u1 u2 u4 u8", word + 1))
        return wrong(t->error, "dtype '%s': expected f2, f4, f8, b1, i1 to i8 or u1 to u8, "
                     "with < or > for the byte order", word);
    npy->kind = word[1];
    npy->bytes = word[2] - '0';
    npy->big_endian = word[0] == '>';
    if (word[0] == '|' && npy->bytes > 1)
        return wrong(t->error, "dtype '%s': expected < or > for the byte order, got |", word);
    return true;
}

// The three keys, in any order, each once, and no other.
static bool read_header(Text *t, Npy *npy)
{
    static const char *const KEYS[] = {"descr", "fortran_order", "shape"};
    static bool (*const READERS[])(Text *, Npy *) = {read_dtype, read_order, read_shape};
    bool found[3] = {false, false, false};
    bool comma = true;
    if (!read_char(t, '{'))
        return false;
    while (!take(t, '}')) {
        char key[WORD];
        int k = 0;
        if (!comma)
            return wrong_here(t, "',' or '}' after a value");
        if (!read_word(t, "a key", key))
            return false;
        while (k < 3 && strcmp(key, KEYS[k]) != 0)
            k++;
        if (k == 3 || found[k])
            return wrong(t->error, "header: %s key '%s'", k == 3 ? "unknown" : "repeated", key);
        if (!read_char(t, ':') || !READERS[k](t, npy))
            return false;
        found[k] = true;
        comma = take(t, ',');
    }
    for (int k = 0; k < 3; k++)
        if (!found[k])
            return wrong(t->error, "header: no key '%s'", KEYS[k]);
    skip_blanks(t);
    return t->at == t->end || wrong_here(t, "nothing after '}'");
}

// --- sizes: what the file claims against what it has ------------------------------------

// The header's first byte and its last plus one; its length is 2 bytes wide in version 1,
// 4 from version 2 on.
static bool find_header(const unsigned char *head, long file_bytes, long *from, long *to,
                        char *error)
{
    int magic = (int)sizeof MAGIC - 1;
    if (file_bytes < magic || memcmp(head, MAGIC, (size_t)magic) != 0)
        return wrong(error, "not a .npy file (%ld bytes): it does not begin with \\x93NUMPY",
                     file_bytes);
    if (file_bytes < magic + 2)
        return wrong(error, "truncated after %ld bytes: no version", file_bytes);
    // 1.0, 2.0 with its wider length, 3.0 with UTF-8 field names; nothing else was ever made.
    int major = head[magic], minor = head[magic + 1];
    if (major < 1 || major > 3 || minor != 0)
        return wrong(error, "version %d.%d: expected 1.0, 2.0 or 3.0", major, minor);
    int width = major == 1 ? 2 : 4;
    long length = 0;
    *from = magic + 2 + width;
    if (file_bytes < *from)
        return wrong(error, "truncated after %ld bytes: no header length", file_bytes);
    for (int i = width - 1; i >= 0; i--) // little-endian: the last byte counts most
        length = length * 256 + head[magic + 2 + i];
    *to = *from + length;
    if (length > 65535)
        return wrong(error, "a header of %ld bytes: expected up to 65535", length);
    if (*to > file_bytes)
        return wrong(error, "truncated: a header of %ld bytes, the file has %ld", length,
                     file_bytes - *from);
    return true;
}

// count = the product of the axes. It is first taken without the zeros among them: an array
// too large to count stays so when an axis of 0 is put beside the others, and whoever
// multiplies the shape in another order must not overflow either.
static bool count_elements(Npy *npy, char *error)
{
    long n = 1;
    bool empty = false;
    for (int a = 0; a < npy->axes; a++) {
        long size = npy->shape[a];
        empty = empty || size == 0;
        if (size > 0 && n > LONG_MAX / 8 / size)
            return wrong(error, "shape: more than %ld elements", LONG_MAX / 8);
        n *= size > 0 ? size : 1;
    }
    npy->count = empty ? 0 : n;
    return true;
}

// Head, dictionary, sizes: each is looked at only once the one before it holds.
long npy_parse(const unsigned char *head, long file_bytes, Npy *npy, char error[NPY_ERROR])
{
    long from = 0, to = 0;
    *npy = (Npy){0};
    if (!find_header(head, file_bytes, &from, &to, error))
        return 0;
    Text text = {(const char *)head + from, (const char *)head + to, error};
    if (!read_header(&text, npy) || !count_elements(npy, error))
        return 0;
    long bytes = npy->count * npy->bytes; // fits: count <= LONG_MAX / 8
    if (bytes > file_bytes - to) {
        wrong(error, "truncated: %ld elements of %d bytes take %ld bytes, the file has %ld",
              npy->count, npy->bytes, bytes, file_bytes - to);
        return 0;
    }
    return to;
}

// --- reading a file ---------------------------------------------------------------------

// The file could not be read, for the system's reason.
static _Noreturn void refuse_input(const char *path, int reason)
{
    refuse(EXIT_INPUT, "%s: cannot be read: %s", path, strerror(reason));
}

// Opens a regular file and asks for its size. What it is is asked before opening, since
// opening can do things to a device, and again after, since it may have changed in between.
// Without O_NONBLOCK, opening a FIFO would wait for somebody to write into it.
static int open_regular(const char *path, long *file_bytes)
{
    struct stat st;
    int file = -1;
    if (stat(path, &st) != 0)
        refuse_input(path, errno);
    if (S_ISREG(st.st_mode)) {
        file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (file < 0 || fstat(file, &st) != 0)
            refuse_input(path, errno);
    }
    if (S_ISDIR(st.st_mode))
        refuse_input(path, EISDIR);
    if (!S_ISREG(st.st_mode)) // the array's size must be known in advance
        refuse(EXIT_INPUT, "%s: cannot be read: a pipe or device, expected a file: %s", path,
               strerror(ESPIPE));
    *file_bytes = (long)st.st_size;
    return file;
}

// `bytes` bytes from offset `from` on. One pread may deliver fewer than asked for.
static void read_at(const char *path, int file, unsigned char *to, long bytes, long from)
{
    while (bytes > 0) {
        ssize_t n = pread(file, to, (size_t)bytes, (off_t)from);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            refuse_input(path, errno);
        if (n == 0) // somebody is cutting the file shorter at this moment
            refuse(EXIT_INPUT, "%s: ended %ld bytes early while it was read", path, bytes);
        to += n;
        bytes -= (long)n;
        from += (long)n;
    }
}

// First the head alone, then, once it is known to be true, room for the data and the data.
Npy npy_read(const char *path)
{
    Npy npy;
    char error[NPY_ERROR];
    unsigned char head[NPY_HEAD];
    long file_bytes;
    int file = open_regular(path, &file_bytes);
    read_at(path, file, head, file_bytes < NPY_HEAD ? file_bytes : NPY_HEAD, 0);
    long at = npy_parse(head, file_bytes, &npy, error);
    if (at == 0)
        refuse(EXIT_INPUT, "%s: %s", path, error);
    long bytes = npy.count * npy.bytes;
    memory_require((double)bytes, path);
    npy.data = malloc((size_t)bytes + 1); // one more: malloc(0) may return NULL
    if (!npy.data)
        refuse(EXIT_MEMORY, "out of memory: %s would take %ld bytes", path, bytes);
    read_at(path, file, npy.data, bytes, at);
    close(file);
    if (at + bytes < file_bytes)
        fprintf(stderr, "note: %s: %ld bytes after the array are ignored\n", path,
                file_bytes - at - bytes);
    return npy;
}

void npy_free(Npy *npy)
{
    free(npy->data);
    *npy = (Npy){0};
}

// --- one element ------------------------------------------------------------------------

// Element i in C order lies at element sum over a of index[a] * (product of shape[0..a)) of
// a file in Fortran order. i gives up its indices from the last axis to the first.
static long fortran_place(const Npy *npy, long i)
{
    long place = 0, stride = npy->count;
    for (int a = npy->axes - 1; a >= 0; a--) {
        stride /= npy->shape[a];
        place += i % npy->shape[a] * stride;
        i /= npy->shape[a];
    }
    return place;
}

// float16: 1 sign bit, 5 of exponent e, 10 of fraction f.
//     0 < e < 31:  (1 + f/1024) 2^(e-15) = (1024 + f) 2^(e-25)
//     e = 0:       subnormal, without the leading 1: f 2^-24
//     e = 31:      infinity where f = 0, else NaN
// Every case is exact in float32, and so in float64.
static double half_value(uint64_t bits)
{
    int e = (int)(bits >> 10 & 31), f = (int)(bits & 1023);
    double x = e == 0 ? ldexp(f, -24) : ldexp(1024 + f, e - 25);
    if (e == 31)
        x = f == 0 ? INFINITY : NAN;
    return bits >> 15 ? -x : x;
}

// IEEE 754 float32 and float64 are the machine's own float and double.
static double float_value(uint64_t bits, int bytes)
{
    uint32_t low = (uint32_t)bits;
    float single;
    double full;
    if (bytes == 2)
        return half_value(bits);
    // memcpy, since a cast would convert the number instead of taking its bits.
    memcpy(&single, &low, sizeof single);
    memcpy(&full, &bits, sizeof full);
    return bytes == 4 ? (double)single : full;
}

// Two's complement of `bytes` bytes: with the top bit set, -(inverted + 1).
static double signed_value(uint64_t bits, int bytes)
{
    uint64_t mask = UINT64_MAX >> (64 - 8 * bytes);
    bool negative = bits >> (8 * bytes - 1);
    return negative ? -(double)((~bits & mask) + 1) : (double)bits;
}

// The element's bytes, put together to one unsigned number, then taken for what they are.
double npy_value(const Npy *npy, long i)
{
    CHECK(0 <= i && i < npy->count, "element %ld of %ld", i, npy->count);
    const unsigned char *at = npy->data + (npy->fortran ? fortran_place(npy, i) : i) * npy->bytes;
    uint64_t bits = 0;
    // From the most significant byte to the least: that is the big-endian file's order.
    for (int b = 0; b < npy->bytes; b++)
        bits = bits << 8 | at[npy->big_endian ? b : npy->bytes - 1 - b];
    switch (npy->kind) {
    case 'f': return float_value(bits, npy->bytes);
    case 'i': return signed_value(bits, npy->bytes);
    case 'b': return bits != 0;
    default:  return (double)bits;
    }
}

// --- a whole tensor ---------------------------------------------------------------------

// A finite number must not become infinite: -1e300 in an additive mask is a score like any
// other, -infinity hides a key.
static float to_float(const char *path, const Npy *npy, long i)
{
    double x = npy_value(npy, i);
    float rounded = (float)x;
    if (isinf(rounded) && !isinf(x))
        refuse(EXIT_INPUT, "%s: element %ld: expected a number within float32's range, got %g",
               path, i, x);
    return rounded;
}

Tensor npy_read_tensor(const char *path)
{
    Npy npy = npy_read(path);
    if (npy.kind != 'f')
        refuse(EXIT_INPUT, "%s: expected floats, got dtype '%c%d'", path, npy.kind, npy.bytes);
    Tensor t = tensor_new(npy.axes, npy.shape);
    // The usual file is copied bit by bit, NaN payloads and all.
    if (npy.bytes == 4 && !npy.big_endian && !npy.fortran)
        memcpy(t.data, npy.data, (size_t)npy.count * sizeof(float));
    else
        for (long i = 0; i < npy.count; i++)
            t.data[i] = to_float(path, &npy, i);
    if (npy.bytes != 4)
        fprintf(stderr, "note: %s: float%d converted to float32\n", path, npy.bytes * 8);
    npy_free(&npy);
    return t;
}

// --- writing ----------------------------------------------------------------------------

// The bytes in front of the elements, the same as numpy.save's: blanks fill the header up
// until the data begins at a multiple of 64 bytes, so that it can be mapped into memory and
// used in place. For up to four axes of a size that can exist, that is always byte 128.
static void write_header(FILE *f, const char *dtype, int axes, const long *shape)
{
    enum { LENGTH = 128 - 10 }; // behind magic, version and length
    static const char VERSION_AND_LENGTH[4] = {1, 0, LENGTH, 0};
    char text[LENGTH + 1];
    int n = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                     dtype);
    // Python writes (), (3,) and (3, 4): a comma makes one number a tuple.
    for (int a = 0; a < axes; a++) {
        n += snprintf(text + n, sizeof text - (size_t)n, a > 0 ? ", %ld" : "%ld", shape[a]);
        CHECK(n < LENGTH - 5, "no room in the header for axis %d of %d", a, axes);
    }
    n += snprintf(text + n, sizeof text - (size_t)n, axes == 1 ? ",), }" : "), }");
    memset(text + n, ' ', (size_t)(LENGTH - n));
    text[LENGTH - 1] = '\n';
    fwrite(MAGIC, 1, sizeof MAGIC - 1, f);
    fwrite(VERSION_AND_LENGTH, 1, sizeof VERSION_AND_LENGTH, f);
    fwrite(text, 1, LENGTH, f);
}

// Row by row: only the last axis is sure to be contiguous.
static void write_floats(FILE *f, Tensor t)
{
    if (t.axes <= 1)
        fwrite(t.data, sizeof(float), (size_t)tensor_count(t), f);
    else
        for (long i = 0; i < t.shape[0]; i++)
            write_floats(f, tensor_at(t, i));
}

// [any shape] -> the file, through a temporary one (see output.h).
void npy_write(const char *path, Tensor t)
{
    Output out = output_open(path);
    write_header(out.file, "<f4", t.axes, t.shape);
    write_floats(out.file, t);
    output_close(&out);
}

// [shape], C order, as it lies in memory.
void npy_write_double(const char *path, int axes, const long *shape, const double *values)
{
    long n = 1;
    CHECK(0 <= axes && axes <= MAX_AXES, "an array has up to %d axes, not %d", MAX_AXES, axes);
    for (int a = 0; a < axes; a++)
        n *= shape[a];
    Output out = output_open(path);
    write_header(out.file, "<f8", axes, shape);
    fwrite(values, sizeof(double), (size_t)n, out.file);
    output_close(&out);
}
