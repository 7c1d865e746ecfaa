// Where a token lies, asked inside of a kernel: chapters/06_paged_blocks/pages.h, on the device.

#ifndef PAGES_CUH
#define PAGES_CUH

#include "gpu.h"

#include "device_pages.h"

// Where token j of KV head g of sequence b lies: a row of [blocks * G * T, width]. The table says
// which block, and the block has G heads with T slots each. Negative: the sequence is not so long.
__device__ static inline long slot_of(const DevicePages &p, long b, long g, long j)
{
    long block = p.table[b * p.entries + j / p.T];
    return (block * p.G + g) * p.T + j % p.T;
}

#endif
