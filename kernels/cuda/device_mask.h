// A mask as the device knows it: common/mask.h's rule with the user's tensor and the lengths in
// device memory. Plain data, the same for C and for a kernel; mask.cuh has the rule itself.

#ifndef DEVICE_MASK_H
#define DEVICE_MASK_H

typedef struct {
    int  causal;         // no key after the query's own position
    long window;         // only the last window + 1 keys; -1: no limit
    long prefix;         // the first `prefix` keys are seen by all; -1: no such rule
    long keys;           // keys from here on are padding
    long offset;         // query i stands at position p = i + offset
    const long *lengths; // [B] in device memory: the real length of each sequence, or NULL
    const float *bias;   // added to the scaled scores, -inf hides; NULL: none
    long stride[4];      // of bias along B, H, N and M: 0 where it is broadcast
} DeviceMask;

#endif
