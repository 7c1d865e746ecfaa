// The vectors of kernels/cpu on every instruction set: the exponential for every float of its
// range, and what lies around it.

#include "../kernels/cpu/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PART = 4096 };

static const double ULPS = 2.1; // what kernels/cpu/vector.h states

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// 2^y in float64 for a part of all floats, and the distance between floats at it.
static void references(double *ref, double *ulp, const float *y, int n)
{
    for (int i = 0; i < n; i++) {
        int exponent;
        ref[i] = exp2((double)y[i]);
        frexp(ref[i], &exponent);
        ulp[i] = ldexp(1.0, exponent - 24 > -149 ? exponent - 24 : -149);
    }
}

// Every float above -126.5 and up to -0, one in `step`: the worst error of each set must be below
// what is stated. STEP=1 in the environment tries all of them.
static void exponential_is_within_its_bound(void **state)
{
    static float y[PART], got[PART];
    static double ref[PART], ulp[PART], worst[16];
    const char *text = getenv("STEP");
    uint32_t step = text ? (uint32_t)atoi(text) : 61, last;
    float end = nextafterf(-126.5f, 0.0f);
    (void)state;
    memcpy(&last, &end, sizeof last);
    assert_true(step > 0);
    for (uint64_t from = 0x80000000u; from <= last;) {
        int n = 0;
        for (; n < PART && from <= last; n++, from += step)
            y[n] = float_of((uint32_t)from);
        references(ref, ulp, y, n);
        for (int i = 0; isa_at(i); i++) {
            if (!isa_runs(isa_at(i)))
                continue;
            isa_at(i)->exp2(got, y, n);
            for (int j = 0; j < n; j++) {
                double error = fabs((double)got[j] - ref[j]) / ulp[j];
                if (!(error <= worst[i]))
                    worst[i] = error;
            }
        }
    }
    for (int i = 0; isa_at(i); i++)
        if (isa_runs(isa_at(i))) {
            printf("# %s: %.4f ulps at most\n", isa_at(i)->name, worst[i]);
            assert_true(worst[i] > 0.5 && worst[i] < ULPS);
        }
}

// What softmax leans on: the largest score weighs exactly 1, a hidden one exactly 0, a NaN shows.
static void exponential_at_its_ends(void **state)
{
    static const struct { float y, must; } cases[] = {
        {0.0f, 1.0f}, {-0.0f, 1.0f}, {-1.0f, 0.5f}, {-126.0f, 0x1p-126f}, {-127.0f, 0.0f},
        {-128.0f, 0.0f}, {-1e30f, 0.0f}, {-INFINITY, 0.0f}, {-0x1p-149f, 1.0f},
    };
    (void)state;
    for (int i = 0; isa_at(i); i++) {
        if (!isa_runs(isa_at(i)))
            continue;
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
            float got[3] = {7, 7, 7};
            isa_at(i)->exp2(got, &cases[c].y, 1);
            assert_true(got[0] == cases[c].must);
            assert_true(got[1] == 7.0f); // the lanes behind the last number are not written
        }
        // NaNs of any sign and payload, among them the one that guards tensors.
        static const uint32_t nans[] = {0x7fc00000, 0xffc00000, 0x7fa5a5a5, 0xffffffff, 0x7f800001};
        for (int j = 0; j < 5; j++) {
            float y = float_of(nans[j]), got;
            isa_at(i)->exp2(&got, &y, 1);
            assert_true(isnan(got));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponential_is_within_its_bound),
        cmocka_unit_test(exponential_at_its_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
