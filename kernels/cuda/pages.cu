// Tokens into their blocks and out of them, by the device itself: what a pass brings is its new
// rows, whatever the pool holds. A thread a float; gridDim.y counts KV heads, gridDim.z sequences.

#include "pages.cuh"

constexpr int BLOCK = 128; // threads

// New token t goes to the slot of token held + t.    rows: [B, G, n, width]
static __global__ void append_tokens(float *memory, DevicePages pages, const float *rows, long n,
                                     long width)
{
    long at = (long)blockIdx.x * BLOCK + threadIdx.x, t = at / width, d = at % width;
    long b = blockIdx.z, g = blockIdx.y;
    if (t >= n)
        return;
    long slot = slot_of(pages, b, g, pages.held[b] + t);
    memory[slot * width + d] = rows[((b * pages.G + g) * n + t) * width + d];
}

// The M tokens of a sequence in one piece, for those who cannot read a table.
static __global__ void gather_tokens(float *rows, const float *memory, DevicePages pages, long M,
                                     long width)
{
    long at = (long)blockIdx.x * BLOCK + threadIdx.x, j = at / width, d = at % width;
    long b = blockIdx.z, g = blockIdx.y;
    long slot = j < M ? slot_of(pages, b, g, j) : -1;
    if (slot >= 0)
        rows[((b * pages.G + g) * M + j) * width + d] = memory[slot * width + d];
}

static dim3 blocks_of(long floats, long G, long B)
{
    return dim3((unsigned)((floats + BLOCK - 1) / BLOCK), (unsigned)G, (unsigned)B);
}

cudaError_t paged_append(float *memory, DevicePages pages, const float *rows, long B, long n,
                         long width, cudaStream_t stream)
{
    if (B * n * width == 0)
        return cudaSuccess;
    LAUNCH(append_tokens, blocks_of(n * width, pages.G, B), BLOCK, 0, stream, memory, pages, rows,
           n, width);
    return cudaGetLastError();
}

cudaError_t paged_gather(float *rows, const float *memory, DevicePages pages, long B, long M,
                         long width, cudaStream_t stream)
{
    if (B * M * width == 0)
        return cudaSuccess;
    LAUNCH(gather_tokens, blocks_of(M * width, pages.G, B), BLOCK, 0, stream, rows, memory, pages,
           M, width);
    return cudaGetLastError();
}
