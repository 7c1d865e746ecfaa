// How far apart two floats are, in ulps: units in the last place, the steps from one float to the
// next. 0 is equal (and -0 equals 0), 1 is neighbours; -1 where either is not a number.

#ifndef ULPS_H
#define ULPS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// The floats in order, numbered: as bits, positive floats rise with their value, and negative
// ones fall from the sign bit on.
static inline long float_number(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? -(long)(bits & INT32_MAX) : bits;
}

static inline long ulps_apart(float a, float b)
{
    return isnan(a) || isnan(b) ? -1 : labs(float_number(a) - float_number(b));
}

#endif
