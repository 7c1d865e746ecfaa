// Which GPU is here? One line for a script, fields separated by |:
//
//     $ build/cuda/tests/gpu_probe
//     name|capability|driver's CUDA|runtime's CUDA|multiprocessors|bytes of L2|bytes of memory
//
// Exits with 4, and one line that says why, where there is none.

#include "../common/fail.h"

#include <cuda_runtime_api.h>
#include <stdio.h>

int main(void)
{
    struct cudaDeviceProp p;
    int count = 0, driver = 0, runtime = 0;
    fail_program("gpu_probe");
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0)
        error = cudaGetDeviceProperties(&p, 0);
    if (error != cudaSuccess || count == 0)
        refuse(EXIT_DEVICE, "no GPU that CUDA can use: %s",
               error != cudaSuccess ? cudaGetErrorString(error) : "there is none");
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    printf("%s|%d.%d|%d.%d|%d.%d|%d|%d|%zu\n", p.name, p.major, p.minor, driver / 1000,
           driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10, p.multiProcessorCount,
           p.l2CacheSize, p.totalGlobalMem);
    return 0;
}
