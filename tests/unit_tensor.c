// Tensors: shapes and strides, views, who owns what, the guards, and every byte counted.
#define _DEFAULT_SOURCE // MAP_ANONYMOUS and MAP_NORESERVE
#include "../common/tensor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "child.h"

enum { ABORTED = 128 + SIGABRT };

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

// --- helpers ----------------------------------------------------------------------------

// A new tensor that holds 0, 1, 2, ... in row-major order.
static Tensor counting(int axes, const long *shape)
{
    Tensor t = tensor_new(axes, shape);
    for (long i = 0; i < tensor_count(t); i++)
        t.data[i] = (float)i;
    return t;
}

// Compares t with the numbers in row-major order and returns those that are left.
static const float *expect_next(Tensor t, const float *numbers)
{
    if (t.axes == 0) {
        if (!(*t.data == *numbers || (isnan(*t.data) && isnan(*numbers))))
            fail_msg("expected %g, got %g", (double)*numbers, (double)*t.data);
        return numbers + 1;
    }
    for (long i = 0; i < t.shape[0]; i++)
        numbers = expect_next(tensor_at(t, i), numbers);
    return numbers;
}

static void expect_floats(Tensor t, const float *numbers, int count)
{
    assert_int_equal(tensor_count(t), count);
    assert_ptr_equal(expect_next(t, numbers), numbers + count);
}

#define EXPECT(t, ...) \
    expect_floats(t, (float[]){__VA_ARGS__}, COUNT(((float[]){__VA_ARGS__})))

static void expect_shape(Tensor t, int axes, const long *shape)
{
    assert_int_equal(t.axes, axes);
    for (int a = 0; a < axes; a++)
        assert_int_equal(t.shape[a], shape[a]);
}

// --- making and freeing -----------------------------------------------------------------

// Row-major: the last axis is contiguous. Whatever nobody wrote is NaN.
static void test_new(void **state)
{
    (void)state;
    Tensor t = tensor_new(SHAPE(2, 3, 4));
    expect_shape(t, SHAPE(2, 3, 4));
    assert_int_equal(t.stride[0], 12);
    assert_int_equal(t.stride[1], 4);
    assert_int_equal(t.stride[2], 1);
    assert_int_equal(tensor_count(t), 24);
    assert_non_null(t.block);
    for (long i = 0; i < 24; i++)
        assert_true(isnan(t.data[i]));
    tensor_free(&t);
    assert_null(t.block);
    assert_null(t.data);
    assert_int_equal(t.axes, 0);
}

// A size of 0 is a tensor without elements (hard case 75): it can be filled, copied, cut.
static void test_no_elements(void **state)
{
    (void)state;
    Tensor t = tensor_new(SHAPE(2, 0, 3)), other = tensor_new(SHAPE(2, 0, 3));
    assert_int_equal(tensor_count(t), 0);
    assert_int_equal(t.stride[0], 3); // as if the 0 were a 1
    assert_int_equal(t.stride[1], 3);
    assert_int_equal(tensor_live_bytes(), 0);
    tensor_fill(t, 1);
    tensor_copy(t, other);
    expect_shape(tensor_at(t, 1), SHAPE(0, 3));
    expect_shape(tensor_slice(t, 1, 0, 0), SHAPE(2, 0, 3));
    expect_shape(tensor_slice(t, 0, 2, 2), SHAPE(0, 0, 3));
    expect_shape(tensor_lift(tensor_at(t, 0)), SHAPE(1, 0, 3));
    tensor_free(&other);
    tensor_free(&t);
}

// No axes at all is one number.
static void test_one_number(void **state)
{
    (void)state;
    Tensor x = tensor_new(0, NULL), y = tensor_new(0, NULL);
    assert_int_equal(tensor_count(x), 1);
    assert_int_equal(tensor_live_bytes(), 8);
    EXPECT(x, NAN);
    tensor_fill(x, 7);
    tensor_copy(y, x);
    EXPECT(y, 7);
    expect_shape(tensor_lift(y), SHAPE(1));
    EXPECT(tensor_lift(y), 7);
    tensor_free(&y);
    tensor_free(&x);
}

// Live bytes are those of the elements, the guards not included; the peak is the most so far.
static void test_bytes(void **state)
{
    (void)state;
    assert_int_equal(tensor_live_bytes(), 0);
    tensor_reset_peak();
    assert_int_equal(tensor_peak_bytes(), 0);
    Tensor a = tensor_new(SHAPE(10));
    Tensor b = tensor_new(SHAPE(3, 5, 2));
    assert_int_equal(tensor_live_bytes(), 40 + 120);
    tensor_free(&a);
    assert_int_equal(tensor_live_bytes(), 120);
    assert_int_equal(tensor_peak_bytes(), 160);
    Tensor c = tensor_new(SHAPE(7)); // fits below the old peak
    assert_int_equal(tensor_live_bytes(), 148);
    assert_int_equal(tensor_peak_bytes(), 160);
    tensor_reset_peak();
    assert_int_equal(tensor_peak_bytes(), 148);
    tensor_swap(tensor_at(b, 0), 0, 0); // views cost nothing
    tensor_slice(b, 1, 0, 1);
    assert_int_equal(tensor_live_bytes(), 148);
    assert_int_equal(tensor_peak_bytes(), 148);
    tensor_free(&b);
    tensor_free(&c);
    assert_int_equal(tensor_live_bytes(), 0);
    assert_int_equal(tensor_peak_bytes(), 148);
    tensor_hold(200); // memory that is no tensor's counts as one
    assert_int_equal(tensor_live_bytes(), 200);
    assert_int_equal(tensor_peak_bytes(), 200);
    tensor_hold(-200);
    assert_int_equal(tensor_live_bytes(), 0);
    assert_int_equal(tensor_peak_bytes(), 200);
}

// --- views ------------------------------------------------------------------------------

static void test_at(void **state)
{
    (void)state;
    Tensor t = counting(SHAPE(2, 3, 2)), second = tensor_at(t, 1);
    expect_shape(second, SHAPE(3, 2));
    assert_null(second.block);
    EXPECT(second, 6, 7, 8, 9, 10, 11);
    EXPECT(tensor_at(second, 2), 10, 11);
    EXPECT(tensor_at(tensor_at(second, 2), 1), 11);
    tensor_at(second, 0).data[1] = 70; // the same floats, not a copy of them
    assert_true(t.data[7] == 70);
    assert_ptr_equal(row(second, 2), t.data + 10);
    tensor_free(&t);
}

static void test_slice(void **state)
{
    (void)state;
    Tensor t = counting(SHAPE(3, 4));
    assert_null(tensor_slice(t, 0, 0, 3).block);
    EXPECT(tensor_slice(t, 0, 1, 3), 4, 5, 6, 7, 8, 9, 10, 11);
    EXPECT(tensor_slice(t, 1, 1, 3), 1, 2, 5, 6, 9, 10);
    EXPECT(tensor_slice(tensor_slice(t, 0, 1, 3), 1, 3, 4), 7, 11);
    expect_shape(tensor_slice(t, 1, 4, 4), SHAPE(3, 0)); // half-open: empty at the very end
    expect_shape(tensor_slice(t, 0, 0, 3), SHAPE(3, 4));
    tensor_free(&t);
}

static void test_swap(void **state)
{
    (void)state;
    Tensor t = counting(SHAPE(2, 3, 2)), swapped = tensor_swap(t, 0, 1);
    expect_shape(swapped, SHAPE(3, 2, 2));
    assert_null(swapped.block);
    EXPECT(swapped, 0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11);
    EXPECT(tensor_swap(swapped, 1, 0), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    EXPECT(tensor_at(swapped, 1), 2, 3, 8, 9);
    tensor_free(&t);
}

static void test_split(void **state)
{
    (void)state;
    Tensor t = counting(SHAPE(2, 6)), heads = tensor_split(t, 1, 3);
    expect_shape(heads, SHAPE(2, 3, 2));
    assert_null(heads.block);
    EXPECT(heads, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    EXPECT(tensor_at(tensor_swap(heads, 0, 1), 1), 2, 3, 8, 9); // head 1 of both rows
    expect_shape(tensor_split(t, 0, 2), SHAPE(2, 1, 6));
    expect_shape(tensor_split(t, 1, 1), SHAPE(2, 1, 6));
    expect_shape(tensor_split(t, 1, 6), SHAPE(2, 6, 1));
    EXPECT(tensor_split(tensor_slice(t, 1, 2, 6), 1, 2), 2, 3, 4, 5, 8, 9, 10, 11);
    tensor_free(&t);
}

// The new axis has one element, and the right stride for more of them.
static void test_lift(void **state)
{
    (void)state;
    Tensor t = counting(SHAPE(2, 3)), lifted = tensor_lift(t);
    expect_shape(lifted, SHAPE(1, 2, 3));
    assert_null(lifted.block);
    assert_int_equal(lifted.stride[0], 6);
    assert_int_equal(tensor_lift(tensor_slice(t, 1, 0, 2)).stride[0], 6);
    EXPECT(lifted, 0, 1, 2, 3, 4, 5);
    expect_shape(tensor_lift(lifted), SHAPE(1, 1, 2, 3));
    tensor_free(&t);
}

// --- filling and copying ----------------------------------------------------------------

// Both sides may have any strides; what lies between their elements is left alone.
static void test_copy(void **state)
{
    (void)state;
    Tensor from = counting(SHAPE(2, 2, 2)), to = tensor_new(SHAPE(2, 3, 2));
    tensor_copy(tensor_slice(to, 1, 1, 3), tensor_swap(from, 0, 1));
    EXPECT(to, NAN, NAN, 0, 1, 4, 5, NAN, NAN, 2, 3, 6, 7);
    tensor_copy(tensor_at(tensor_at(to, 0), 0), tensor_at(tensor_at(from, 1), 1));
    EXPECT(tensor_at(to, 0), 6, 7, 0, 1, 4, 5);
    tensor_free(&to);
    tensor_free(&from);
}

static void test_fill(void **state)
{
    (void)state;
    Tensor t = counting(SHAPE(3, 3));
    tensor_fill(tensor_slice(t, 1, 1, 2), -1);
    EXPECT(t, 0, -1, 2, 3, -1, 5, 6, -1, 8);
    tensor_fill(tensor_slice(t, 0, 1, 1), 100); // no rows
    EXPECT(t, 0, -1, 2, 3, -1, 5, 6, -1, 8);
    tensor_free(&t);
}

// --- what the program may get wrong -----------------------------------------------------

// Writes one float at `argument`, counted from the first element of a [2, 3], and frees it.
static void overrun(const char *argument)
{
    Tensor t = tensor_new(SHAPE(2, 3));
    t.data[strtol(argument, NULL, 10)] = NAN; // even a NaN, if not the guard's own
    tensor_free(&t);
}

// Sixteen floats on either side are watched, each of them; the six in between are free.
static void test_guards(void **state)
{
    char text[CHILD_TEXT], index[8];
    (void)state;
    for (int i = -16; i < 6 + 16; i++) {
        snprintf(index, sizeof index, "%d", i);
        int status = child(overrun, index, text);
        if (status != (i < 0 || i >= 6 ? ABORTED : 0))
            fail_msg("float %d: status %d, %s", i, status, text);
        if (i < 0)
            expect_words(text, "overrun: float");
        if (i < 0 || i >= 6)
            expect_words(text, i < 0 ? "before its first element" : "after its last element");
    }
}

static Tensor matrix; // [2, 3]; those who abort never free it

static void free_view(const char *a)
{
    (void)a;
    Tensor view = tensor_at(matrix, 0);
    tensor_free(&view);
}

static void free_slice(const char *a)
{
    (void)a;
    Tensor view = tensor_slice(matrix, 0, 0, 2);
    tensor_free(&view);
}

static void free_twice(const char *a)
{
    (void)a;
    Tensor t = tensor_new(SHAPE(1));
    tensor_free(&t);
    tensor_free(&t);
}

static void five_axes(const char *a) { (void)a; tensor_new(SHAPE(1, 1, 1, 1, 1)); }
static void negative(const char *a) { (void)a; tensor_new(SHAPE(2, -1)); }
static void at_past(const char *a) { (void)a; tensor_at(matrix, 2); }
static void at_before(const char *a) { (void)a; tensor_at(matrix, -1); }
static void at_number(const char *a) { (void)a; tensor_at((Tensor){.data = matrix.data}, 0); }
static void row_past(const char *a) { (void)a; row(matrix, 2)[0] = 0; }
static void row_of_one(const char *a) { (void)a; row(tensor_at(matrix, 0), 0)[0] = 0; }
static void slice_past(const char *a) { (void)a; tensor_slice(matrix, 1, 0, 4); }
static void slice_back(const char *a) { (void)a; tensor_slice(matrix, 1, 2, 1); }
static void slice_axis(const char *a) { (void)a; tensor_slice(matrix, 2, 0, 0); }
static void swap_last(const char *a) { (void)a; tensor_swap(matrix, 0, 1); }
static void swap_before(const char *a) { (void)a; tensor_swap(matrix, -1, 0); }
static void split_uneven(const char *a) { (void)a; tensor_split(matrix, 1, 2); }
static void split_zero(const char *a) { (void)a; tensor_split(matrix, 1, 0); }
static void lift_fifth(const char *a) { (void)a; tensor_lift(tensor_lift(tensor_lift(matrix))); }
static void copy_axes(const char *a) { (void)a; tensor_copy(matrix, tensor_at(matrix, 0)); }

static void copy_inner(const char *a)
{
    (void)a;
    tensor_copy(matrix, tensor_slice(matrix, 1, 0, 2));
}

// One line with file and line number, then SIGABRT.
static void test_checks(void **state)
{
    static const struct {
        void (*body)(const char *);
        const char *words;
    } WRONG[] = {
        {free_view, "only the owner of a block may free it"},
        {free_slice, "only the owner of a block may free it"},
        {free_twice, "only the owner of a block may free it"},
        {five_axes, "a tensor has up to 4 axes, not 5"},
        {negative, "axis 1 has size -1"},
        {at_past, "index 2 of 2"},
        {at_before, "index -1 of 2"},
        {at_number, "index 0 of"},
        {row_past, "row 2 of 2"},
        {row_of_one, "row 0 of"},
        {slice_past, "slice 0:4 of 3"},
        {slice_back, "slice 2:1 of 3"},
        {slice_axis, "axis 2 of 2"},
        {swap_last, "the last axis stays contiguous"},
        {swap_before, "the last axis stays contiguous"},
        {split_uneven, "an axis of 3 does not split into 2 parts"},
        {split_zero, "does not split into 0 parts"},
        {lift_fifth, "no room for another axis"},
        {copy_axes, "copy: 2 axes from 1"},
        {copy_inner, "copy: 3 from 2"},
    };
    char text[CHILD_TEXT];
    (void)state;
    matrix = tensor_new(SHAPE(2, 3));
    tensor_fill(matrix, 0);
    for (int i = 0; i < COUNT(WRONG); i++) {
        int status = child(WRONG[i].body, NULL, text);
        if (status != ABORTED)
            fail_msg("expected an abort with \"%s\", got status %d", WRONG[i].words, status);
        expect_words(text, WRONG[i].words);
        expect_words(text, "tensor.");
    }
    tensor_free(&matrix);
}

// --- what would not fit -----------------------------------------------------------------

static void require_much(const char *what) { memory_require(0x1p60, what); }
static void require_nan(const char *what)  { memory_require(NAN, what); }

// 2^40 floats: the product of the sizes is right, and too large for any machine.
static void new_large(const char *a) { (void)a; tensor_new(SHAPE(1L << 20, 1L << 20)); }

// Products that no longer fit 64 bits: 2^64 wraps around to 0, 2^63 + 2^32 to a negative.
static void new_zero(const char *a) { (void)a; tensor_new(SHAPE(1L << 32, 1L << 32, 1)); }
static void new_sign(const char *a) { (void)a; tensor_new(SHAPE(1L << 32, (1L << 31) + 1)); }

// 2^62 elements fit a long, their bytes (2^64) do not.
static void new_wide(const char *a) { (void)a; tensor_new(SHAPE(1L << 62)); }

// Empty, but the strides would overflow.
static void new_empty(const char *a) { (void)a; tensor_new(SHAPE(0, 1L << 40, 1L << 40)); }

// Each ends with EXIT_MEMORY and one line; nothing was allocated or wrapped around.
static void test_too_large(void **state)
{
    static const struct {
        void (*body)(const char *);
        const char *argument, *words;
    } LARGE[] = {
        {require_much, "the scores of one head",
         "out of memory: the scores of one head would take 1.07e+09 GiB, "},
        {require_nan, "the keys", "out of memory: the keys would take nan GiB"},
        {new_large, NULL, "out of memory: a tensor would take 4.1e+03 GiB, "},
        {new_zero, NULL, "out of memory: a tensor of 1.84e+19 elements"},
        {new_sign, NULL, "out of memory: a tensor of 9.22e+18 elements"},
        {new_wide, NULL, "out of memory: a tensor of 4.61e+18 elements"},
        {new_empty, NULL, "out of memory: a tensor of 1.21e+24 elements"},
    };
    char text[CHILD_TEXT];
    (void)state;
    for (int i = 0; i < COUNT(LARGE); i++) {
        int status = child(LARGE[i].body, LARGE[i].argument, text);
        if (status != EXIT_MEMORY)
            fail_msg("expected exit 5 with \"%s\", got %d: %s", LARGE[i].words, status, text);
        expect_words(text, LARGE[i].words);
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    }
}

// What fits is not refused; below 1 MiB nobody looks.
static void test_small_enough(void **state)
{
    (void)state;
    memory_require(0, "nothing");
    memory_require(0x1p20, "little");
}

// As under `ulimit -v 65536`: 64 MiB of addresses.
static void require_under_limit(const char *mebibytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = 64 << 20;
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        abort();
    memory_require(0x1p20 * strtod(mebibytes, NULL), "a test");
}

// The addresses that this process has taken; many where a sanitizer or valgrind watches it.
static double addresses_taken(void)
{
    double pages = INFINITY;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lf", &pages) != 1)
        pages = INFINITY;
    if (f)
        fclose(f);
    return pages * (double)sysconf(_SC_PAGESIZE);
}

static void test_limit(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    if (!(addresses_taken() < 32 << 20)) {
        print_message("skipped: this process takes too many addresses to be limited to 64 MiB\n");
        skip();
    }
    assert_int_equal(child(require_under_limit, "63", text), 0);
    assert_int_equal(child(require_under_limit, "65", text), EXIT_MEMORY);
    expect_words(text, "a test would take 0.0635 GiB, 0.0625 GiB are available");
}

// --- 64-bit offsets (hard case 41) ------------------------------------------------------

// Two rows of 2^31 + 8 floats: 16 GiB of addresses of which only the touched pages exist.
enum { EXTRA = 8 };

static void test_far_elements(void **state)
{
    long columns = (1L << 31) + EXTRA;
    size_t bytes = 2 * (size_t)columns * sizeof(float);
    (void)state;
    float *floats = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (floats == MAP_FAILED) {
        print_message("skipped: no 16 GiB of addresses to be had here\n");
        skip();
    }
    Tensor t = {.axes = 2, .shape = {2, columns}, .stride = {columns, 1}, .data = floats};
    assert_int_equal(tensor_count(t), 2 * columns);
    assert_ptr_equal(row(t, 1), floats + columns);
    assert_ptr_equal(tensor_at(t, 1).data, floats + columns);

    Tensor end = tensor_slice(t, 1, columns - 2, columns); // the last two of both rows
    assert_ptr_equal(end.data, floats + columns - 2);
    tensor_fill(end, 5);
    assert_true(floats[columns - 1] == 5 && floats[2 * columns - 1] == 5);
    assert_true(floats[2 * columns - 3] == 0);
    floats[2 * columns - 1] = 6;
    tensor_copy(tensor_slice(t, 1, 0, 2), end);
    EXPECT(tensor_slice(t, 1, 0, 3), 5, 5, 0, 5, 6, 0);

    Tensor halves = tensor_split(t, 1, 2); // [2, 2, 2^30 + 4]
    assert_int_equal(halves.stride[1], columns / 2);
    assert_ptr_equal(tensor_at(tensor_at(halves, 1), 1).data, floats + columns + columns / 2);
    assert_int_equal(tensor_lift(t).stride[0], 2 * columns);
    assert_ptr_equal(tensor_at(tensor_swap(halves, 0, 1), 1).data, floats + columns / 2);
    munmap(floats, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_no_elements),
        cmocka_unit_test(test_one_number),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_at),
        cmocka_unit_test(test_slice),
        cmocka_unit_test(test_swap),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_lift),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_guards),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_small_enough),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_far_elements),
    };
    return cmocka_run_group_tests_name("tensor", tests, NULL, NULL);
}
