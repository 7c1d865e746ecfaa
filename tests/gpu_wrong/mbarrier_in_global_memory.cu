// Report: WRONG mbarrier at mbarrier_in_global_memory.cu:8
// One barrier for all blocks would be handy, but an mbarrier lies in shared memory.

#include "wrong.h"

__global__ void begin(uint64_t *bar)
{
    mbarrier_init(bar, 32);
}

int main()
{
    uint64_t *bar = reinterpret_cast<uint64_t *>(zeros(2));
    LAUNCH(begin, 1, 1, 0, 0, bar);
    return verdict();
}
