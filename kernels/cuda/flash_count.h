// What a pass of chapter 07 costs on the device, by formula, for --stats: common/count.h counts
// floats and flops, and no kernel can call it. The bytes are those that the kernels ask global
// memory for, to the byte, but for the numbers that say where: block tables, cuts and lengths. The
// emulator's counted build counts all.

#ifndef FLASH_COUNT_H
#define FLASH_COUNT_H

#include "../../common/mask.h"
#include "07_flash_tiling.h"

// How a kernel walks over the scores.
typedef struct {
    int  rows, keys; // of a tile
    bool skips;      // tiles that the mask empties
    bool splits;     // a block takes one part of the keys; another kernel merges
    bool groups;     // the rows of a tile are queries of all heads that share a KV head
    bool halves;     // Q, K and V are copied to bf16 first
} FlashWalk;

// mask: the rule of the pass, on the host, with the real length of each sequence.
// bounds: [f->parts + 1], on the host; NULL where the kernel does not split.
void flash_count(const Flash *f, FlashWalk walk, const Mask *mask, const long *bounds);

#endif
