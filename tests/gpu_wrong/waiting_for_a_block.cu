// Report: NEVER ENDS at waiting_for_a_block.cu:10
// A barrier for the whole grid, made by hand, waits for one block more than there are.

#include "wrong.h"

__global__ void meeting(unsigned *arrived)
{
    if (threadIdx.x == 0) {
        atomicAdd(arrived, 1);
        while (atomicAdd(arrived, 0) <= gridDim.x)
            ;
    }
}

int main()
{
    unsigned *arrived = reinterpret_cast<unsigned *>(zeros(1));
    LAUNCH(meeting, 2, 32, 0, 0, arrived);
    return verdict();
}
