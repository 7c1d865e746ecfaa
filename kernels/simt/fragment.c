// Who holds what: in a tensor core's instruction a matrix lies in pieces in the registers of all 32
// lanes of a warp. PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type" and
// "Warp-level matrix load instruction: ldmatrix"; docs/FRAGMENTS.md draws what is written here.
//
// PTX calls lane / 4 the group and lane % 4 the thread in the group. Number i of a lane is half
// i % 2 (0: the lower) of register i / 2, except for C and D, whose numbers are floats, one a
// register.

#include "simt.h"

// A [16, 16], i < 8: registers 0 and 1 hold rows g and g + 8 of the left half, 2 and 3 the right's.
simt_place simt_place_a(int lane, int i)
{
    return (simt_place){lane / 4 + i / 2 % 2 * 8, lane % 4 * 2 + i % 2 + i / 4 * 8};
}

// B [16, 8], i < 4: a lane's column is its group, so that a register holds two neighbours of a
// column. B is "col": it lies in memory as its transpose, as K does for S = Q K^T.
simt_place simt_place_b(int lane, int i)
{
    return (simt_place){lane % 4 * 2 + i % 2 + i / 2 * 8, lane / 4};
}

// C and D [16, 8], i < 4.
simt_place simt_place_c(int lane, int i)
{
    return (simt_place){lane / 4 + i / 2 * 8, lane % 4 * 2 + i % 2};
}

// ldmatrix, one [8, 8] matrix a register: half i of it. Transposed, rows and columns change roles.
simt_place simt_place_ldmatrix(int lane, int i, int transposed)
{
    int g = lane / 4, t = lane % 4 * 2 + i;
    return transposed ? (simt_place){t, g} : (simt_place){g, t};
}
