// The benchmark's own loops, on one instruction set. A share of a peak is worth no more than the
// peak: these do nothing but multiply and add in registers, or nothing but read.

#include "bench_isa.h"

#include "../kernels/cpu/vector.h"

enum {
    CHAINS = 12,        // two units with a latency of four need eight
    AHEAD = 32 << 8,    // floats, 32 KB: what is fetched before it is needed
    LINE = 16,          // floats in a line of the cache
};

// sum = sum factor + term: neither grows nor shrinks away, and each turn waits for the last one.
static float multiply_add(long turns)
{
    volatile float opaque = 0.5f; // or the compiler would know the result
    vec sum[CHAINS], factor = vec_of(opaque), term = vec_of(opaque);
    UNROLL for (int i = 0; i < CHAINS; i++)
        sum[i] = vec_of((float)i);
    for (long t = 0; t < turns; t++)
        UNROLL for (int i = 0; i < CHAINS; i++)
            sum[i] = sum[i] * factor + term;
    UNROLL for (int i = 1; i < CHAINS; i++)
        sum[0] += sum[i];
    return vec_total(sum[0]);
}

// The sum keeps the reads alive. n is a multiple of 16 vectors.
static float read_all(const float *from, long n)
{
    vec sum[16];
    UNROLL for (int i = 0; i < 16; i++)
        sum[i] = (vec){0};
    for (long at = 0; at + 16 * LANES <= n; at += 16 * LANES) {
        UNROLL for (int line = 0; line < LANES; line++)
            __builtin_prefetch(from + at + AHEAD + line * LINE);
        UNROLL for (int i = 0; i < 16; i++)
            sum[i] += vec_load(from + at + i * LANES);
    }
    UNROLL for (int i = 1; i < 16; i++)
        sum[0] += sum[i];
    return vec_total(sum[0]);
}

// `rows` rows of x against a panel, all sums in registers. One row alone reads the panel once, from
// memory: what comes next is asked for.
INLINE void some_rows(float *y, long y_row, const float *x, const float *w, const int rows, long in)
{
    vec sum[STRIP][PANEL];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int c = 0; c < PANEL; c++)
            sum[r][c] = (vec){0};
    for (long i = 0; i < in; i++, w += PANEL_KEYS) {
        UNROLL for (int at = 0; at < PANEL_KEYS && rows == 1; at += LINE)
            __builtin_prefetch(w + AHEAD + at);
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int c = 0; c < PANEL; c++)
                sum[r][c] += vec_of(x[r * in + i]) * vec_load(w + c * LANES);
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int c = 0; c < PANEL; c++)
            vec_store(y + r * y_row + c * LANES, sum[r][c]);
}

static void product(float *y, long y_row, const float *x, const float *w, long rows, long in)
{
    long r = 0;
    for (; r + STRIP <= rows; r += STRIP)
        some_rows(y + r * y_row, y_row, x + r * in, w, STRIP, in);
    for (; r < rows; r++)
        some_rows(y + r * y_row, y_row, x + r * in, w, 1, in);
}

// sigmoid(x) is 1 / (1 + e) or e / (1 + e), with e = exp(-|x|): vec_exp2 takes what is not above 0.
static void gelu(float *x, long n)
{
    for (long i = 0; i < n; i += LANES) {
        vec at = vec_load(x + i), e = vec_exp2(vec_max(at, -at) * vec_of(-1.702f * 0x1.715476p+0f));
        vec one = vec_of(1.0f);
        vec_store(x + i, at * vec_select(at > (vec){0}, one, e) / (one + e));
    }
}

#define NAME_TEXT(isa) #isa
#define NAME(isa) NAME_TEXT(isa)

extern const BenchIsa KERNEL(bench_isa);
const BenchIsa KERNEL(bench_isa) = {
    .name = NAME(ISA),
    .multiply_add = multiply_add,
    .flops = 2l * CHAINS * LANES,
    .read = read_all,
    .panel = PANEL_KEYS,
    .product = product,
    .gelu = gelu,
};
