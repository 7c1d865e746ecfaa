// What the kernels on the tensor cores share beside the tile: Q, K and V in bf16, and the rows
// that have to be computed again.
//
// A bf16 is the upper half of a float: the same range, 8 bits of precision. Rounding is to the
// nearest, ties to even. NaN stays NaN; what is beyond 3.39e38 becomes infinite.

#ifndef BF16_CUH
#define BF16_CUH

#include "07_flash_tiling.h"
#include "mask.cuh"

// --- fp32 to bf16 -------------------------------------------------------------------------------

// The 4 floats from x on, as one. x is a multiple of 16 bytes.
static __device__ const float4 &float4_at(const float *x)
{
    return *reinterpret_cast<const float4 *>(x);
}

// to[r,c] = x[r,c] in 16 bits, a thread for 4 of a row's columns. Those behind the last are 0.
// x: [rows, width]    to: [rows, width rounded up to 8]
static __global__ void __launch_bounds__(256) round_to_bf16(uint16_t *to, const float *x,
                                                            long rows, int width)
{
    int fours = flash_pitch16(width) / 4;
    long e = (long)blockIdx.x * blockDim.x + threadIdx.x, r = e / fours;
    int c = (int)(e % fours) * 4;
    if (r >= rows)
        return;
    float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    const float *from = x + r * width + c;
    if (width % 4 == 0) {
        if (c < width)
            four = float4_at(from);
    } else {
        four.x = c < width ? from[0] : 0.0f;
        four.y = c + 1 < width ? from[1] : 0.0f;
        four.z = c + 2 < width ? from[2] : 0.0f;
        four.w = c + 3 < width ? from[3] : 0.0f;
    }
    *reinterpret_cast<uint2 *>(to + 4 * e) =
        make_uint2(pack_bf16(four.x, four.y), pack_bf16(four.z, four.w));
}

static cudaError_t round_rows(uint16_t *to, const float *x, long rows, int width,
                              cudaStream_t stream)
{
    long threads = rows * (flash_pitch16(width) / 4);
    if (threads == 0) // a grid of no blocks is refused
        return cudaSuccess;
    LAUNCH(round_to_bf16, dim3((unsigned)((threads + 255) / 256)), dim3(256), 0, stream, to, x,
           rows, width);
    return cudaGetLastError();
}

// Q, K and V of all heads.
static cudaError_t round_inputs(const Flash *f, cudaStream_t stream)
{
    long queries = (long)f->B * f->H * f->N, keys = (long)f->B * f->G * f->M;
    cudaError_t error = round_rows(f->q16, f->q, queries, f->D, stream);
    if (error == cudaSuccess)
        error = round_rows(f->k16, f->k, keys, f->D, stream);
    return error == cudaSuccess ? round_rows(f->v16, f->v, keys, f->Dv, stream) : error;
}

// --- rows computed again ------------------------------------------------------------------------
//
// A tensor core multiplies all of a tile. A hidden key has weight 0, but 0 times NaN is NaN, and
// so is 0 times infinity: what such a key's value holds reaches rows that must not see it. What
// has once become NaN stays NaN, thus it is enough to look at the end: a row of the output that
// is finite is right. One that is not is computed again, key by key, and only from what the row
// sees; if that is NaN or infinite as well, then so be it.

static __device__ float warp_sum(float x)
{
    for (int apart = 16; apart > 0; apart /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, apart);
    return x;
}

static __device__ float bf16_at(const uint16_t *x)
{
    return __bfloat162float(__ushort_as_bfloat16(*x));
}

// O[i] = sum over the keys it sees of exp(S[j] - max) V[j] / sum, by a whole warp.
static __device__ void repair_row(const Flash &f, const DeviceMask &mask, int i, float max,
                                  float sum)
{
    int lane = threadIdx.x % 32, h = blockIdx.y, b = blockIdx.z, g = h / (f.H / f.G);
    long row = ((long)b * f.H + h) * f.N + i, keys = ((long)b * f.G + g) * f.M;
    const uint16_t *q = f.q16 + row * flash_pitch16(f.D);
    for (int first = 0; first < f.Dv; first += 32) {
        float acc = 0.0f;
        for (int j = 0; j < f.M; j++) {
            const uint16_t *k = f.k16 + (keys + j) * flash_pitch16(f.D);
            const uint16_t *v = f.v16 + (keys + j) * flash_pitch16(f.Dv);
            if (!mask_allows(mask, i, j)) // the same for all lanes
                continue;
            float s = 0.0f;
            for (int d = lane; d < f.D; d += 32)
                s += bf16_at(q + d) * bf16_at(k + d);
            s = f.scale * warp_sum(s) + mask_bias(mask, i, j);
            if (first + lane < f.Dv)
                acc += expf(s - max) * bf16_at(v + first + lane);
        }
        if (first + lane < f.Dv)
            f.out[row * f.Dv + first + lane] = acc / sum;
    }
}

#endif
