// The tensor core's instructions. A matrix lies in pieces in the registers of all 32 lanes; where
// each number lies, fragment.c says, and everything here asks it.
//
// Products of two 16-bit numbers are exact in float; they are summed here in the order of k, on a
// GPU in an order of its own.

#include "inside.h"

#include <string.h>

// --- 16-bit numbers --------------------------------------------------------------------------

// The upper half of a float.
static float from_bf16(uint32_t bits)
{
    uint32_t u = bits << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

// 5 bits of exponent (bias 15), 10 of mantissa; subnormals count, as they do in a tensor core.
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

// --- mma -------------------------------------------------------------------------------------

// All lanes of a full warp must have met: the matrices lie in the registers of all of them.
static void check_lanes(const Thread *t, const char *what, uintptr_t pc)
{
    if (t->came == ~0u)
        return;
    report(ERROR_LAUNCH, "MISSING LANES", t, pc, "%s takes all 32 lanes of a warp, and here are "
           "only those of mask %08x: the others have returned, or the block is too small", what,
           t->came);
    thread_gives_up(t->worker);
}

static uint16_t half_of(const unsigned char *bytes, int i)
{
    uint16_t half;
    memcpy(&half, bytes + 2 * i, sizeof half);
    return half;
}

// D = A B + C. Lanes bring 8 numbers of A, 4 of B and 4 of C; the first lane that goes on computes
// the product for its warp.
static void whole_product(float D[16][8], unsigned char (*brought)[DEPOSIT],
                          float (*number)(uint32_t))
{
    float A[16][16], B[16][8], c[4];
    for (int lane = 0; lane < LANES; lane++) {
        for (int i = 0; i < 8; i++) {
            simt_place at = simt_place_a(lane, i);
            A[at.row][at.column] = number(half_of(brought[lane], i));
        }
        for (int i = 0; i < 4; i++) {
            simt_place at = simt_place_b(lane, i);
            B[at.row][at.column] = number(half_of(brought[lane] + 16, i));
        }
        memcpy(c, brought[lane] + 24, sizeof c);
        for (int i = 0; i < 4; i++) {
            simt_place at = simt_place_c(lane, i);
            D[at.row][at.column] = c[i];
        }
    }
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 16; k++)
            for (int j = 0; j < 8; j++)
                D[i][j] += A[i][k] * B[k][j];
}

// One mma of a warp. The sum of each element starts with C, as `d = a b + c` says.
static void multiply(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4],
                     float (*number)(uint32_t), int line, uintptr_t pc)
{
    unsigned char bring[DEPOSIT];
    Thread *t = simt_worker->current;
    Warp *p = t->warp;
    memcpy(bring, a, 16);
    memcpy(bring + 16, b, 8);
    memcpy(bring + 24, c, 16);
    unsigned char(*brought)[DEPOSIT] = simt_meet(MMA, bring, sizeof bring, line, pc);
    check_lanes(t, "mma", pc);
    if (p->product_left == 0) { // the first
        whole_product(p->product, brought, number);
        p->product_left = LANES;
    }
    p->product_left--;
    for (int i = 0; i < 4; i++) {
        simt_place at = simt_place_c(t->lane, i);
        d[i] = p->product[at.row][at.column];
    }
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

// A row of ldmatrix is 16 bytes in shared memory, at a multiple of 16 (PTX ISA, "ldmatrix").
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
    check_lanes(t, "ldmatrix", pc);
    for (int i = 0; i < LANES; i++)
        memcpy(&at[i], brought[i], sizeof at[i]);
    for (int m = 0; m < n; m++) {
        r[m] = 0;
        for (int i = 0; i < 2; i++) {
            simt_place place = simt_place_ldmatrix(t->lane, i, transposed);
            uintptr_t from = at[8 * m + place.row] + 2 * (uintptr_t)place.column;
            r[m] |= (uint32_t)*(const uint16_t *)from << 16 * i;
            if (i == 0 || transposed) // plain, the two lie in one word
                race_access(t, from & ~(uintptr_t)3, 4, SIMT_LOAD_SHARED, pc);
        }
    }
    if (t->lane == 0 && simt_counted) {
        t->pc = pc;
        t->size = 16;
        t->kind = SIMT_LOAD_SHARED;
        account_request(t->worker, t->warp, t, n == 4 ? ~0u : (1u << 8 * n) - 1, at);
    }
}
