// Reading and writing .npy files: what is taken, with which values, and what is refused.
#define _XOPEN_SOURCE 700
#include "../common/npy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "child.h"

enum { FILE_BYTES = 70000 };

static unsigned char bytes[FILE_BYTES]; // a file being made up

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

// Magic, version major.0, the header's length and the header; returns their bytes.
static long put_header(int major, const char *header)
{
    long length = (long)strlen(header), at = 8, width = major == 1 ? 2 : 4;
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (unsigned char)major;
    for (long i = 0; i < width; i++)
        bytes[at++] = (unsigned char)(length >> (8 * i));
    memcpy(bytes + at, header, (size_t)length);
    return at + length;
}

// Writes n bytes as a file.
static void save(const char *name, const void *from, long n)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(from, 1, (size_t)n, f), n);
    assert_int_equal(fclose(f), 0);
}

// A version 1 file of this header and these data.
static void save_npy(const char *name, const char *header, const void *data, long n)
{
    long at = put_header(1, header);
    memcpy(bytes + at, data, (size_t)n);
    save(name, bytes, at + n);
}

// The file that `bytes` holds is refused, with these words among the reason's.
static void expect_refused(long size, const char *words)
{
    Npy npy;
    char error[NPY_ERROR] = "";
    if (npy_parse(bytes, size, &npy, error) != 0)
        fail_msg("taken, expected \"%s\"", words);
    expect_words(error, words);
}

// --- headers ----------------------------------------------------------------------------

#define DICT(descr, order, shape) \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"
#define F4(shape) DICT("'<f4'", "False", shape)
#define TYPE(descr) DICT(descr, "False", "(2,)")

static const struct {
    const char *header, *words;
} REFUSED[] = {
    // the shape (hard cases 69 to 71): products that wrap around, signs, fractions
    {F4("(4294967296, 4294967296, 2)"), "more than"},
    {F4("(4294967296, 4294967296)"), "more than"},
    {F4("(0, 4294967296, 4294967296)"), "more than"},
    {F4("(4611686018427387905, 4)"), "more than"},
    {F4("(2305843009213693952,)"), "more than"},
    {F4("(9223372036854775807,)"), "more than"},
    {F4("(9223372036854775808,)"), "an axis of more than"},
    {F4("(99999999999999999999999,)"), "an axis of more than"},
    {F4("(2500000000,)"), "truncated: 2500000000 elements of 4 bytes take 10000000000 bytes"},
    {F4("(26,)"), "truncated: 26 elements of 4 bytes take 104 bytes, the file has 100"},
    {F4("(-1,)"), "expected a size (0 or more), got '-'"},
    {F4("(3, -4)"), "got '-'"},
    {F4("(3.0,)"), "expected ',' or ')' after a size, got '.'"},
    {F4("(3e0,)"), "got 'e'"},
    {F4("('3',)"), "expected a size"},
    {F4("(03,)"), "starts with 0"},
    {F4("(1_0,)"), "got '_'"},
    {F4("(3)"), "expected (3,), got the number (3)"},
    {F4("3"), "expected '(', got '3'"},
    {F4("[3, 4]"), "expected '(', got '['"},
    {F4("(,)"), "expected a size"},
    {F4("(3,,)"), "expected a size"},
    {F4("(3 4)"), "after a size"},
    {F4("(3LL,)"), "after a size"},
    {F4("None"), "expected '('"},
    {F4("(1, 1, 1, 1, 1)"), "expected up to 4 axes, got 5"},
    {F4("(1, 1, 1, 1, 1, 1, 1, 1)"), "expected up to 4 axes, got 8"},
    // the dtype (68): everything that is not one plain number
    {TYPE("'|O'"), "dtype '|O'"},
    {TYPE("[('x', '<f4'), ('y', '<f4')]"), "structured"},
    {TYPE("('<f4', (2,))"), "structured"},
    {TYPE("'<c8'"), "dtype '<c8'"},
    {TYPE("'<f16'"), "dtype '<f16'"},
    {TYPE("'<f1'"), "dtype '<f1'"},
    {TYPE("'<b2'"), "dtype '<b2'"},
    {TYPE("'<i3'"), "dtype '<i3'"},
    {TYPE("'<U4'"), "dtype '<U4'"},
    {TYPE("'|S4'"), "dtype '|S4'"},
    {TYPE("'|V2'"), "dtype '|V2'"},
    {TYPE("'<M8[ns]'"), "dtype '<M8[ns]'"},
    {TYPE("'f4'"), "dtype 'f4'"},
    {TYPE("'=f4'"), "dtype '=f4'"},
    {TYPE("'<4f'"), "dtype '<4f'"},
    {TYPE("'<2 '"), "dtype '<2 '"},
    {TYPE("''"), "dtype ''"},
    {TYPE("'|f4'"), "dtype '|f4': expected < or > for the byte order"},
    {TYPE("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"), "more than 31 letters"},
    {TYPE("'<f4"), "dtype '<f4, '"},
    {"{'descr': '<f4\n", "expected plain letters, got byte 0x0a"},
    {"{'descr': '<f4\"\n", "expected plain letters, got byte 0x0a"},
    {TYPE("'\\x3cf4'"), "plain letters, got '\\'"},
    {TYPE("'\xff'"), "got byte 0xff"},
    {TYPE("4"), "expected a dtype, got '4'"},
    // the order
    {DICT("'<f4'", "0", "(2,)"), "True or False"},
    {DICT("'<f4'", "'False'", "(2,)"), "True or False"},
    {DICT("'<f4'", "Falsey", "(2,)"), "',' or '}' after a value, got 'y'"},
    // the dictionary
    {"", "expected '{', got its end"},
    {"\n", "expected '{', got its end"},
    {"[1]", "expected '{', got '['"},
    {"{}", "no key 'descr'"},
    {"{,}", "expected a key"},
    {"{'descr': '<f4', 'shape': (2,)}", "no key 'fortran_order'"},
    {"{'descr': '<f4', 'fortran_order': False}", "no key 'shape'"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'shape': (2,)}",
     "repeated key 'shape'"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", "unknown key 'x'"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,),, }", "expected a key, got ','"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "got its end"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), ", "got its end"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2", "got its end"},
    {"{'descr': '<f4', 'fortran_order': Fal", "True or False"},
    {"{'descr': '<f4", "expected a closing quote, got its end"},
    {"{'descr' '<f4'}", "expected ':', got '''"},
    {"{'descr': '<f4' 'shape': (2,)}", "after a value"},
    {"{descr: '<f4'}", "expected a key, got 'd'"},
    {F4("(2,)") "x", "expected nothing after '}', got 'x'"},
    {F4("(2,)") "}", "expected nothing after '}', got '}'"},
};

// 100 bytes of data follow, so that only the header can be at fault.
static void test_refused_headers(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(REFUSED); i++) {
        long at = put_header(1, REFUSED[i].header);
        expect_refused(at + 100, REFUSED[i].words);
    }
}

// A header and everything that must be known about it afterwards.
static const struct {
    int major;
    const char *header;
    char kind;
    int bytes;
    bool big, fortran;
    int axes;
    long shape[MAX_AXES];
    long count;
} TAKEN[] = {
    {1, F4("(3, 4)"), 'f', 4, false, false, 2, {3, 4}, 12},
    {2, F4("(3, 4)"), 'f', 4, false, false, 2, {3, 4}, 12},
    {3, F4("(3, 4)"), 'f', 4, false, false, 2, {3, 4}, 12},
    {1, DICT("'>f8'", "True", "(3, 4)"), 'f', 8, true, true, 2, {3, 4}, 12},
    {1, DICT("'<f2'", "True", "(2, 1, 3, 1)"), 'f', 2, false, true, 4, {2, 1, 3, 1}, 6},
    {1, TYPE("'|b1'"), 'b', 1, false, false, 1, {2}, 2},
    {1, TYPE("'<b1'"), 'b', 1, false, false, 1, {2}, 2},
    {1, TYPE("'|i1'"), 'i', 1, false, false, 1, {2}, 2},
    {1, TYPE("'>i2'"), 'i', 2, true, false, 1, {2}, 2},
    {1, TYPE("'<i4'"), 'i', 4, false, false, 1, {2}, 2},
    {1, TYPE("'<i8'"), 'i', 8, false, false, 1, {2}, 2},
    {1, TYPE("'|u1'"), 'u', 1, false, false, 1, {2}, 2},
    {1, TYPE("'<u2'"), 'u', 2, false, false, 1, {2}, 2},
    {1, TYPE("'>u4'"), 'u', 4, true, false, 1, {2}, 2},
    {1, TYPE("'<u8'"), 'u', 8, false, false, 1, {2}, 2},
    // rank 0 and axes of 0 (75)
    {1, F4("()"), 'f', 4, false, false, 0, {0}, 1},
    {1, F4("( )"), 'f', 4, false, false, 0, {0}, 1},
    {1, F4("(0,)"), 'f', 4, false, false, 1, {0}, 0},
    {1, F4("(3, 0, 5)"), 'f', 4, false, false, 3, {3, 0, 5}, 0},
    {1, F4("(0, 1152921504606846975)"), 'f', 4, false, false, 2, {0, 1152921504606846975}, 0},
    // the same said in other ways (73)
    {1, F4("(3L, 4L)"), 'f', 4, false, false, 2, {3, 4}, 12},
    {1, F4("(3, 4,)"), 'f', 4, false, false, 2, {3, 4}, 12},
    {1, "{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"<f4\"}", 'f', 4, false, false, 1,
     {2}, 2},
    {1, " \t{ 'shape'\n:\r( 2 , )\n, 'descr' : '<f4' , 'fortran_order' : True , } \r\n", 'f', 4,
     false, true, 1, {2}, 2},
};

static void test_taken_headers(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(TAKEN); i++) {
        Npy npy;
        char error[NPY_ERROR] = "";
        long at = put_header(TAKEN[i].major, TAKEN[i].header);
        long size = at + TAKEN[i].count * TAKEN[i].bytes;
        if (npy_parse(bytes, size, &npy, error) != at)
            fail_msg("%s: %s", TAKEN[i].header, error);
        assert_int_equal(npy.kind, TAKEN[i].kind);
        assert_int_equal(npy.bytes, TAKEN[i].bytes);
        assert_int_equal(npy.big_endian, TAKEN[i].big);
        assert_int_equal(npy.fortran, TAKEN[i].fortran);
        assert_int_equal(npy.axes, TAKEN[i].axes);
        for (int a = 0; a < npy.axes; a++)
            assert_int_equal(npy.shape[a], TAKEN[i].shape[a]);
        assert_int_equal(npy.count, TAKEN[i].count);
        assert_null(npy.data);
        // One byte less and it is truncated, wherever that byte was (65).
        expect_refused(size - 1, TAKEN[i].count > 0 ? "truncated: " : "truncated: a header");
    }
}

// --- what comes before the header -------------------------------------------------------

// The first `size` bytes of a file of `file_bytes`, the others 0.
static const struct {
    long size, file_bytes;
    const char *start, *words;
} STARTS[] = {
    {0, 0, "", "not a .npy file (0 bytes)"},
    {1, 1, "\x93", "not a .npy file (1 bytes)"},
    {5, 5, "\x93NUMP", "not a .npy file"},
    {7, 7, "garbage", "not a .npy file (7 bytes)"},
    {8, 100, "PK\3\4\24\0\0\0", "not a .npy file"},
    {6, 6, "\x93NUMPY", "truncated after 6 bytes: no version"},
    {7, 7, "\x93NUMPY\1", "truncated after 7 bytes: no version"},
    {8, 8, "\x93NUMPY\1\0", "truncated after 8 bytes: no header length"},
    {9, 9, "\x93NUMPY\1\0\2", "truncated after 9 bytes: no header length"},
    {11, 11, "\x93NUMPY\2\0\2\0\0", "no header length"},
    {8, 100, "\x93NUMPY\1\1", "version 1.1: expected 1.0, 2.0 or 3.0"},
    {8, 100, "\x93NUMPY\0\0", "version 0.0"},
    {8, 100, "\x93NUMPY\4\0", "version 4.0"},
    {8, 100, "\x93NUMPY\377\377", "version 255.255"},
    // lengths of headers that are not there (72)
    {10, 10, "\x93NUMPY\1\0\1\0", "a header of 1 bytes, the file has 0"},
    {10, 100, "\x93NUMPY\1\0\377\377", "a header of 65535 bytes, the file has 90"},
    {12, 100, "\x93NUMPY\2\0\377\377\0\0", "a header of 65535 bytes, the file has 88"},
    {12, 100, "\x93NUMPY\2\0\0\0\1\0", "a header of 65536 bytes: expected up to 65535"},
    {12, 100, "\x93NUMPY\2\0\1\341\365\5", "a header of 100000001 bytes: expected up to"},
    {12, 100, "\x93NUMPY\3\0\377\377\377\377", "a header of 4294967295 bytes: expected up to"},
};

static void test_refused_starts(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(STARTS); i++) {
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, STARTS[i].start, (size_t)STARTS[i].size);
        expect_refused(STARTS[i].file_bytes, STARTS[i].words);
    }
}

// The longest header there is, blanks to its end, is taken.
static void test_longest_header(void **state)
{
    static char header[65536];
    Npy npy;
    char error[NPY_ERROR] = "";
    (void)state;
    memset(header, ' ', 65535);
    memcpy(header, F4("(2,)"), strlen(F4("(2,)")));
    for (int major = 1; major <= 3; major++) {
        long at = put_header(major, header);
        assert_int_equal(npy_parse(bytes, at + 8, &npy, error), at);
        assert_int_equal(npy.count, 2);
    }
}

// Every beginning of a good file is refused, for one reason or another.
static void test_every_truncation(void **state)
{
    (void)state;
    long size = put_header(1, F4("(3, 4)")) + 48;
    for (long n = 0; n < size; n++)
        expect_refused(n, n < 6 ? "not a .npy file" : "truncated");
}

// --- values -----------------------------------------------------------------------------

static const struct {
    const char *descr;
    unsigned char data[8]; // one element, as in the file
    double value;
} VALUES[] = {
    {"<f2", {0x00, 0x00}, 0},
    {"<f2", {0x01, 0x00}, 0x1p-24},           // the least subnormal
    {"<f2", {0xff, 0x03}, 1023 * 0x1p-24},    // the greatest
    {"<f2", {0x00, 0x04}, 0x1p-14},           // the least normal number
    {"<f2", {0x00, 0x3c}, 1},
    {"<f2", {0x01, 0x3c}, 1 + 0x1p-10},
    {"<f2", {0x55, 0x35}, 0.333251953125},
    {"<f2", {0xff, 0x7b}, 65504},
    {"<f2", {0x00, 0xc0}, -2},
    {"<f2", {0x01, 0x80}, -0x1p-24},
    {"<f2", {0x00, 0x7c}, INFINITY},
    {"<f2", {0x00, 0xfc}, -INFINITY},
    {"<f2", {0x01, 0x7c}, NAN},
    {"<f2", {0x00, 0x7e}, NAN},
    {">f2", {0x35, 0x55}, 0.333251953125},
    {"<f4", {0x00, 0x00, 0x80, 0x3f}, 1},
    {"<f4", {0x01, 0x00, 0x00, 0x00}, 0x1p-149},
    {"<f4", {0x00, 0x00, 0x80, 0xff}, -INFINITY},
    {"<f4", {0x00, 0x00, 0xc0, 0x7f}, NAN},
    {">f4", {0xc0, 0x49, 0x0f, 0xdb}, -0x1.921fb6p+1},
    {"<f8", {0x18, 0x2d, 0x44, 0x54, 0xfb, 0x21, 0x09, 0x40}, 0x1.921fb54442d18p+1},
    {">f8", {0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18}, 0x1.921fb54442d18p+1},
    {"|b1", {0x00}, 0},
    {"|b1", {0x01}, 1},
    {"|b1", {0x02}, 1},
    {"|i1", {0x7f}, 127},
    {"|i1", {0x80}, -128},
    {"|u1", {0x80}, 128},
    {"<i2", {0xfe, 0xff}, -2},
    {">i2", {0x01, 0x02}, 258},
    {"<u2", {0xfe, 0xff}, 65534},
    {"<i4", {0x00, 0x00, 0x00, 0x80}, -2147483648.0},
    {">u4", {0x80, 0x00, 0x00, 0x01}, 2147483649.0},
    {"<i8", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -1},
    {">i8", {0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00}, -0x1p63},
    {"<u8", {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80}, 0x1p63},
};

static void test_values(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(VALUES); i++) {
        unsigned char data[8];
        memcpy(data, VALUES[i].data, sizeof data);
        Npy npy = {.kind = VALUES[i].descr[1], .bytes = VALUES[i].descr[2] - '0',
                   .big_endian = VALUES[i].descr[0] == '>', .count = 1, .data = data};
        double value = npy_value(&npy, 0);
        if (isnan(VALUES[i].value) ? !isnan(value) : value != VALUES[i].value)
            fail_msg("row %d, %s: expected %a, got %a", i, VALUES[i].descr, VALUES[i].value,
                     value);
    }
}

// -0 equals 0, so the table cannot tell them apart.
static void test_negative_zero(void **state)
{
    (void)state;
    unsigned char half[] = {0x00, 0x80};
    Npy npy = {.kind = 'f', .bytes = 2, .count = 1, .data = half};
    assert_true(npy_value(&npy, 0) == 0 && signbit(npy_value(&npy, 0)));
}

// In Fortran order the first axis runs fastest: element [i,j,k] of a 2 x 3 x 4 array lies at
// i + 2 j + 6 k. The file's element number n holds the value n.
static void test_fortran_order(void **state)
{
    (void)state;
    unsigned char data[24];
    for (int n = 0; n < 24; n++)
        data[n] = (unsigned char)n;
    Npy npy = {.kind = 'u', .bytes = 1, .fortran = true, .axes = 3, .shape = {2, 3, 4},
               .count = 24, .data = data};
    for (long i = 0, n = 0; i < 2; i++)
        for (long j = 0; j < 3; j++)
            for (long k = 0; k < 4; k++, n++)
                assert_int_equal(npy_value(&npy, n), i + 2 * j + 6 * k);
}

// --- files ------------------------------------------------------------------------------

// NumPy's header for a shape, from the shape to its closing brace.
static const struct {
    int axes;
    long shape[MAX_AXES];
    const char *dict;
} SHAPES[] = {
    {0, {0}, "'shape': (), }"},
    {1, {3}, "'shape': (3,), }"},
    {1, {0}, "'shape': (0,), }"},
    {2, {3, 4}, "'shape': (3, 4), }"},
    {2, {0, 5}, "'shape': (0, 5), }"},
    {3, {2, 3, 4}, "'shape': (2, 3, 4), }"},
    {4, {2, 3, 1, 5}, "'shape': (2, 3, 1, 5), }"},
    {4, {0, 1000000000, 100000000, 1}, "'shape': (0, 1000000000, 100000000, 1), }"},
};

// The first 128 bytes, blanks and all, are what numpy.save writes.
static void check_header(const char *name, const char *dtype, int i)
{
    char expected[128], got[128];
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    memset(expected, ' ', sizeof expected);
    memcpy(expected, "\x93NUMPY\1\0\x76\0", 10); // version 1.0, 0x76 = 118 bytes to come
    int length = sprintf(expected + 10, "{'descr': '%s', 'fortran_order': False, %s", dtype,
                         SHAPES[i].dict);
    expected[10 + length] = ' '; // where sprintf left its 0
    expected[127] = '\n';
    assert_int_equal(fread(got, 1, 128, f), 128);
    assert_memory_equal(got, expected, 128);
    fclose(f);
}

// What was written is read back, element for element.
static void test_written_files(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(SHAPES); i++) {
        Tensor t = tensor_new(SHAPES[i].axes, SHAPES[i].shape);
        long n = tensor_count(t);
        double values[30];
        assert_in_range(n, 0, 30);
        for (long e = 0; e < n; e++) {
            t.data[e] = (float)e / 7;
            values[e] = (double)e / 7;
        }
        npy_write("f4.npy", t);
        npy_write_double("f8.npy", t.axes, t.shape, values);
        check_header("f4.npy", "<f4", i);
        check_header("f8.npy", "<f8", i);
        Tensor back = npy_read_tensor("f4.npy");
        Npy doubles = npy_read("f8.npy");
        assert_int_equal(back.axes, t.axes);
        assert_memory_equal(back.shape, t.shape, sizeof t.shape);
        assert_memory_equal(back.data, t.data, (size_t)n * sizeof(float));
        assert_int_equal(doubles.count, n);
        for (long e = 0; e < n; e++)
            assert_true(npy_value(&doubles, e) == values[e]);
        npy_free(&doubles);
        tensor_free(&back);
        tensor_free(&t);
    }
}

// A view whose rows are neither adjacent nor in order is written as the array it shows.
static void test_written_view(void **state)
{
    (void)state;
    Tensor t = tensor_new(SHAPE(4, 3, 5));
    for (long e = 0; e < 60; e++)
        t.data[e] = (float)e;
    Tensor view = tensor_slice(tensor_swap(t, 0, 1), 2, 1, 3); // [3, 4, 2]
    npy_write("view.npy", view);
    Tensor back = npy_read_tensor("view.npy");
    for (long i = 0; i < 3; i++)
        for (long j = 0; j < 4; j++)
            for (long k = 0; k < 2; k++)
                assert_true(back.data[(i * 4 + j) * 2 + k] == (float)(j * 15 + i * 5 + k + 1));
    tensor_free(&back);
    tensor_free(&t);
}

// The bits of a float32 come through, those of a NaN among them.
static void test_bits_survive(void **state)
{
    static const uint32_t BITS[] = {0x7f812345, 0xffc00001, 0x80000000, 0x00000001, 0xff800000};
    (void)state;
    Tensor t = tensor_new(SHAPE(5));
    memcpy(t.data, BITS, sizeof BITS);
    npy_write("bits.npy", t);
    Tensor back = npy_read_tensor("bits.npy");
    assert_memory_equal(back.data, BITS, sizeof BITS);
    tensor_free(&back);
    tensor_free(&t);
}

// --- what the user sees -----------------------------------------------------------------

static void read_array(const char *path)
{
    Npy npy = npy_read(path);
    npy_free(&npy);
}

static void read_tensor(const char *path)
{
    Tensor t = npy_read_tensor(path);
    tensor_free(&t);
}

// Without root's privileges, for whom no file is unreadable.
static void read_unprivileged(const char *path)
{
    if (geteuid() == 0 && setuid(65534) != 0)
        abort();
    read_array(path);
}

// body(path) ends with this status and says these words, the path among them, in one line.
static void expect_exit(void (*body)(const char *), const char *path, int status,
                        const char *words)
{
    char text[CHILD_TEXT];
    int got = child(body, path, text);
    if (got != status)
        fail_msg("%s: expected exit %d, got %d: %s", path, status, got, text);
    expect_words(text, words);
    if (text[0])
        expect_words(text, path);
    assert_true(!*text || strchr(text, '\n') == text + strlen(text) - 1);
}

// Whatever the path leads to, the system's reason is named, and nothing waits for a pipe.
static void test_not_a_file(void **state)
{
    (void)state;
    assert_int_equal(mkdir("folder.npy", 0777), 0);
    assert_int_equal(mkfifo("pipe.npy", 0666), 0);
    assert_int_equal(symlink("loop.npy", "loop.npy"), 0);
    save_npy("secret.npy", F4("()"), "\0\0\0\0", 4);
    assert_int_equal(chmod("secret.npy", 0), 0);
    expect_exit(read_array, "folder.npy", EXIT_INPUT, "Is a directory");
    expect_exit(read_array, "pipe.npy", EXIT_INPUT, "a pipe or device, expected a file");
    expect_exit(read_array, "/dev/null", EXIT_INPUT, "a pipe or device");
    expect_exit(read_array, "loop.npy", EXIT_INPUT, "Too many levels of symbolic links");
    expect_exit(read_array, "missing.npy", EXIT_INPUT, "No such file or directory");
    expect_exit(read_array, "secret.npy/x", EXIT_INPUT, "Not a directory");
    expect_exit(read_unprivileged, "secret.npy", EXIT_INPUT, "Permission denied");
}

// The parser's reasons reach the user, behind the file's name.
static void test_bad_files(void **state)
{
    (void)state;
    save("empty.npy", "", 0);
    save_npy("short.npy", F4("(3,)"), "\0\0\0\0\0\0\0\0\0\0\0", 11);
    save_npy("claims.npy", F4("(2500000000,)"), "", 0);
    save_npy("object.npy", TYPE("'|O'"), "", 0);
    expect_exit(read_array, "empty.npy", EXIT_INPUT, "not a .npy file (0 bytes)");
    expect_exit(read_array, "short.npy", EXIT_INPUT, "take 12 bytes, the file has 11");
    expect_exit(read_array, "claims.npy", EXIT_INPUT, "take 10000000000 bytes, the file has 0");
    expect_exit(read_array, "object.npy", EXIT_INPUT, "dtype '|O'");
}

// What is taken with a change is taken with a note.
static void test_notes(void **state)
{
    (void)state;
    save_npy("plain.npy", F4("(1,)"), "\0\0\0\0", 4);
    save_npy("longer.npy", F4("(1,)"), "\0\0\0\0junk!", 9);
    save_npy("half.npy", DICT("'<f2'", "False", "(1,)"), "\0\0", 2);
    save_npy("double.npy", DICT("'<f8'", "False", "(1,)"), "\0\0\0\0\0\0\0\0", 8);
    expect_exit(read_tensor, "plain.npy", 0, "");
    expect_exit(read_tensor, "longer.npy", 0, "5 bytes after the array are ignored");
    expect_exit(read_tensor, "half.npy", 0, "float16 converted to float32");
    expect_exit(read_tensor, "double.npy", 0, "float64 converted to float32");
    // Silence where there is nothing to say.
    char text[CHILD_TEXT];
    child(read_tensor, "plain.npy", text);
    assert_string_equal(text, "");
}

// Masks are no numbers, and a finite number that would turn infinite is not taken.
static void test_refused_tensors(void **state)
{
    (void)state;
    static const double BIG[] = {1, -1e300}, INFINITE[] = {-INFINITY, NAN};
    save_npy("bool.npy", DICT("'|b1'", "False", "(1,)"), "\1", 1);
    save_npy("int.npy", DICT("'<i4'", "False", "(1,)"), "\1\0\0\0", 4);
    save_npy("big.npy", DICT("'<f8'", "False", "(2,)"), BIG, sizeof BIG);
    save_npy("infinite.npy", DICT("'<f8'", "False", "(2,)"), INFINITE, sizeof INFINITE);
    expect_exit(read_tensor, "bool.npy", EXIT_INPUT, "expected floats, got dtype 'b1'");
    expect_exit(read_tensor, "int.npy", EXIT_INPUT, "expected floats, got dtype 'i4'");
    char text[CHILD_TEXT];
    assert_int_equal(child(read_tensor, "big.npy", text), EXIT_INPUT);
    expect_words(text, "big.npy: element 1: expected a number within float32's range, got -1e");
    assert_int_equal(child(read_tensor, "infinite.npy", text), 0);
}

// The 2 x 2 array [[1, 3], [2, 4]], stored in other ways than float32's usual one.
static void test_converted_tensors(void **state)
{
    static const unsigned char HALF[] = {0x3c, 0x00, 0x40, 0x00, 0x42, 0x00, 0x44, 0x00},
                               BIG[] = {0x3f, 0x80, 0x00, 0x00, 0x40, 0x40, 0x00, 0x00,
                                        0x40, 0x00, 0x00, 0x00, 0x40, 0x80, 0x00, 0x00};
    static const float FORTRAN[] = {1, 2, 3, 4}, EXPECTED[] = {1, 3, 2, 4};
    static const char *const NAMES[] = {"half.npy", "big.npy", "fortran.npy"};
    (void)state;
    save_npy("half.npy", DICT("'>f2'", "True", "(2, 2)"), HALF, sizeof HALF);
    save_npy("big.npy", DICT("'>f4'", "False", "(2, 2)"), BIG, sizeof BIG);
    save_npy("fortran.npy", DICT("'<f4'", "True", "(2, 2)"), FORTRAN, sizeof FORTRAN);
    for (int i = 0; i < COUNT(NAMES); i++) {
        Tensor t = npy_read_tensor(NAMES[i]);
        assert_int_equal(t.axes, 2);
        assert_memory_equal(t.data, EXPECTED, sizeof EXPECTED);
        tensor_free(&t);
    }
}

// A file that really is larger than memory: 4 TiB, all of it a hole.
static void test_larger_than_memory(void **state)
{
    (void)state;
    save_npy("hole.npy", F4("(1099511627776,)"), "", 0);
    if (truncate("hole.npy", (off_t)(4.1 * 0x1p40)) != 0) {
        print_message("skipped: this file system takes no file of 4 TiB\n");
        skip();
    }
    expect_exit(read_array, "hole.npy", EXIT_MEMORY, "would take 4.1e+03 GiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_headers),
        cmocka_unit_test(test_taken_headers),
        cmocka_unit_test(test_refused_starts),
        cmocka_unit_test(test_longest_header),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_negative_zero),
        cmocka_unit_test(test_fortran_order),
        cmocka_unit_test_teardown(test_written_files, scratch_empty),
        cmocka_unit_test_teardown(test_written_view, scratch_empty),
        cmocka_unit_test_teardown(test_bits_survive, scratch_empty),
        cmocka_unit_test_teardown(test_not_a_file, scratch_empty),
        cmocka_unit_test_teardown(test_bad_files, scratch_empty),
        cmocka_unit_test_teardown(test_notes, scratch_empty),
        cmocka_unit_test_teardown(test_refused_tensors, scratch_empty),
        cmocka_unit_test_teardown(test_converted_tensors, scratch_empty),
        cmocka_unit_test_teardown(test_larger_than_memory, scratch_empty),
    };
    return cmocka_run_group_tests_name("npy", tests, scratch_enter, scratch_leave);
}
