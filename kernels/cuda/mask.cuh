// Which keys a query may look at, asked inside of a kernel: common/mask.h, rule for rule. No
// [N, M] array is read unless the user brought one.

#ifndef MASK_CUH
#define MASK_CUH

#include "gpu.h"

#include "device_mask.h"

// The rule for one head of one sequence: its key length, its [N, M] slice of the tensor.
__device__ static inline DeviceMask mask_of_head(DeviceMask m, long b, long h)
{
    if (m.lengths) {
        long length = m.lengths[b];
        m.keys = length < m.keys ? length : m.keys;
    }
    if (m.bias)
        m.bias += b * m.stride[0] + h * m.stride[1];
    return m;
}

// From one head's rule to that of the head `further` heads on: only the tensor is another.
__device__ static inline DeviceMask mask_further(DeviceMask m, long further)
{
    if (m.bias)
        m.bias += further * m.stride[1];
    return m;
}

// What the user's own tensor adds to score (i, j); 0 where there is none.
__device__ static inline float mask_bias(const DeviceMask &m, long i, long j)
{
    return m.bias ? m.bias[i * m.stride[2] + j * m.stride[3]] : 0.0f;
}

// May query i look at key j, whatever the user's tensor says?
__device__ static inline bool mask_rule(const DeviceMask &m, long i, long j)
{
    long p = i + m.offset; // the query's position in its sequence
    return (!m.causal || j <= p) &&
           (m.window < 0 || (p - m.window <= j && j <= p)) &&
           (m.prefix < 0 || j < m.prefix || j <= p) &&
           j < m.keys;
}

// What is added to score (i, j): -inf where any rule hides key j from query i. Whoever needs both
// answers asks once, for the tensor lies in memory.
__device__ static inline float mask_added(const DeviceMask &m, long i, long j)
{
    return mask_rule(m, i, j) ? mask_bias(m, i, j) : -INFINITY;
}

// May query i look at key j? Every rule that is on must say yes.
__device__ static inline bool mask_allows(const DeviceMask &m, long i, long j)
{
    return mask_added(m, i, j) != -INFINITY;
}

#endif
