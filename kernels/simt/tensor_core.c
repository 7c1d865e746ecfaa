// The tensor core's instructions. A warp holds its matrices in pieces: with g = lane / 4 and
// t = lane % 4 (PTX ISA, "Matrix Fragments for mma.m16n8k16"; two 16-bit numbers a register)
//
//   A [16, 16]  a0: (g, 2t) and (g, 2t+1)      a1: row g+8      a2: columns + 8      a3: both
//   B [16, 8]   b0: (2t, g) and (2t+1, g)      b1: rows + 8
//   C [16, 8]   c0, c1: (g, 2t) and (g, 2t+1)  c2, c3: row g+8
//
// Products are exact; they are summed here in the order of k, on a GPU in an order of its own.

#include "inside.h"

#include <string.h>

static float from_bf16(uint32_t bits)
{
    uint32_t u = bits << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static float from_f16(uint32_t bits)
{
    uint32_t exponent = bits >> 10 & 31u, mantissa = bits & 1023u;
    float f = (float)mantissa * 0x1p-24f; // a subnormal
    if (exponent) {
        uint32_t u = (exponent == 31 ? 255u : exponent + 112) << 23 | mantissa << 13;
        memcpy(&f, &u, sizeof f);
    }
    return bits & 0x8000u ? -f : f;
}

// Number `half` (0, 1) of register r that a lane brought.
static uint32_t half_of(unsigned char (*brought)[DEPOSIT], int lane, int r, int half)
{
    uint32_t value;
    memcpy(&value, brought[lane] + 4 * r, 4);
    return half ? value >> 16 : value & 0xffffu;
}

static void multiply(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4],
                     float (*number)(uint32_t), int line, uintptr_t pc)
{
    unsigned char bring[24];
    memcpy(bring, a, 16);
    memcpy(bring + 16, b, 8);
    unsigned char(*brought)[DEPOSIT] = simt_meet(MMA, bring, sizeof bring, line, pc);
    int lane = simt_worker->current->lane, g = lane / 4, t = lane % 4;
    float result[4];
    for (int i = 0; i < 4; i++) {
        int row = g + i / 2 * 8, column = 2 * t + i % 2;
        float sum = c[i];
        for (int k = 0; k < 16; k++) {
            uint32_t x = half_of(brought, row % 8 * 4 + k % 8 / 2, row / 8 + k / 8 * 2, k % 2);
            uint32_t y = half_of(brought, column * 4 + k % 8 / 2, 4 + k / 8, k % 2);
            sum += number(x) * number(y);
        }
        result[i] = sum;
    }
    memcpy(d, result, sizeof result);
}

void simt_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4],
                   int line)
{
    multiply(d, a, b, c, from_bf16, line, CALLER);
}

void simt_mma_f16(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4],
                  int line)
{
    multiply(d, a, b, c, from_f16, line, CALLER);
}

// --- ldmatrix --------------------------------------------------------------------------------

static void check_row(Thread *t, uintptr_t row, uintptr_t pc)
{
    if (access_kind(t, row, 16, SIMT_READ, pc) == SIMT_LOAD_SHARED)
        return;
    report(ERROR_ADDRESS, "WRONG ldmatrix", t, pc, "the row's address is not in shared memory");
    thread_gives_up(t->worker);
}

// Each row is read once, and counted once, by the first lane; but for races every lane reads
// what it gets.
void simt_ldmatrix(uint32_t *r, int n, int transposed, const void *row, int line)
{
    Thread *t = simt_worker->current;
    uintptr_t mine = (uintptr_t)row, at[LANES], pc = CALLER;
    if (t->lane < 8 * n)
        check_row(t, mine, pc);
    unsigned char(*brought)[DEPOSIT] = simt_meet(LDMATRIX, &mine, sizeof mine, line, pc);
    for (int i = 0; i < LANES; i++)
        memcpy(&at[i], brought[i], sizeof at[i]);
    int g = t->lane / 4, c = t->lane % 4;
    for (int m = 0; m < n; m++) {
        // Plain: row g, columns 2c and 2c + 1. Transposed: rows 2c and 2c + 1, column g.
        const uint16_t *upper = (const uint16_t *)at[8 * m + (transposed ? 2 * c : g)];
        const uint16_t *lower = transposed ? (const uint16_t *)at[8 * m + 2 * c + 1] : upper;
        const uint16_t *x = upper + (transposed ? g : 2 * c);
        const uint16_t *y = lower + (transposed ? g : 2 * c + 1);
        race_access(t, (uintptr_t)x & ~(uintptr_t)3, 4, SIMT_LOAD_SHARED, pc);
        if (transposed)
            race_access(t, (uintptr_t)y & ~(uintptr_t)3, 4, SIMT_LOAD_SHARED, pc);
        r[m] = *x | (uint32_t)*y << 16;
    }
    if (t->lane == 0 && simt_counted) {
        t->pc = pc;
        t->size = 16;
        t->kind = SIMT_LOAD_SHARED;
        account_request(t->worker, t->warp, t, n == 4 ? ~0u : (1u << 8 * n) - 1, at);
    }
}
