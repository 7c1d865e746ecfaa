// Draws who holds what in a tensor core's instruction, as the emulator's own functions say it:
//
//     build/tests/fragments a | b | c | ldmatrix | trans     a matrix, "lane.number" at each place
//     build/tests/fragments lane N                           what lane N holds
//     build/tests/fragments reuse                            why P needs not move to become A

#include "../kernels/simt/simt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static simt_place plain(int lane, int i) { return simt_place_ldmatrix(lane, i, 0); }
static simt_place transposed(int lane, int i) { return simt_place_ldmatrix(lane, i, 1); }

// A matrix of rows x columns, of which each lane holds `numbers`.
typedef struct {
    const char *name;
    int rows, columns, numbers;
    simt_place (*place)(int lane, int i);
} Fragment;

static const Fragment fragments[] = {
    {"a", 16, 16, 8, simt_place_a},   {"b", 16, 8, 4, simt_place_b},
    {"c", 16, 8, 4, simt_place_c},    {"ldmatrix", 8, 8, 2, plain},
    {"trans", 8, 8, 2, transposed},
};
enum { FRAGMENTS = sizeof fragments / sizeof fragments[0] };

static void draw(const Fragment *f)
{
    int holder[16][16];
    memset(holder, -1, sizeof holder);
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < f->numbers; i++) {
            simt_place at = f->place(lane, i);
            holder[at.row][at.column] = lane * 8 + i;
        }
    printf("      ");
    for (int j = 0; j < f->columns; j++)
        printf("%5d", j);
    printf("\n");
    for (int i = 0; i < f->rows; i++) {
        printf("row %2d", i);
        for (int j = 0; j < f->columns; j++)
            printf("%3d.%d", holder[i][j] / 8, holder[i][j] % 8);
        printf("\n");
    }
}

static void list(int lane)
{
    for (int k = 0; k < FRAGMENTS; k++) {
        const Fragment *f = &fragments[k];
        printf("%-9s", f->name);
        for (int i = 0; i < f->numbers; i++) {
            simt_place at = f->place(lane, i);
            printf(" %d:(%d,%d)", i, at.row, at.column);
        }
        printf("\n");
    }
}

// Columns 0 to 15 of P lie in two tiles C, of columns 0 to 7 and 8 to 15. Where does each number
// that a lane must bring as A lie already? -1: in another lane.
static int number_of_c(int lane, simt_place at)
{
    for (int i = 0; i < 8; i++) {
        simt_place c = simt_place_c(lane, i % 4);
        if (c.row == at.row && c.column + i / 4 * 8 == at.column)
            return i;
    }
    return -1;
}

static int reuse(void)
{
    int moved = 0;
    for (int i = 0; i < 8; i++) {
        int first = number_of_c(0, simt_place_a(0, i));
        for (int lane = 0; lane < 32; lane++)
            moved += number_of_c(lane, simt_place_a(lane, i)) != first || first < 0;
        printf("A number %d (register a%d, %s half) = c%d of the %s tile\n", i, i / 2,
               i % 2 ? "upper" : "lower", first % 4, first / 4 ? "right" : "left");
    }
    printf("%d of 256 numbers lie elsewhere\n", moved);
    return moved > 0;
}

int main(int argc, char **argv)
{
    for (int k = 0; argc == 2 && k < FRAGMENTS; k++)
        if (strcmp(argv[1], fragments[k].name) == 0) {
            draw(&fragments[k]);
            return 0;
        }
    if (argc == 3 && strcmp(argv[1], "lane") == 0 && atoi(argv[2]) >= 0 && atoi(argv[2]) < 32) {
        list(atoi(argv[2]));
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "reuse") == 0)
        return reuse();
    fprintf(stderr, "usage: fragments a|b|c|ldmatrix|trans, or lane 0..31, or reuse\n");
    return 2;
}
