// Report: HOST TOUCHES DEVICE MEMORY at host_copies_by_itself.cu:11
// memcpy where cudaMemcpy should be.

#include "wrong.h"
#include <string.h>

int main()
{
    float *a = zeros(256), host[256];
    volatile size_t bytes = sizeof host;
    memcpy(host, a, bytes);
    printf("%g\n", host[4]);
    return verdict();
}
