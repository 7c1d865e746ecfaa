// Float to bf16 and fp16 and back, for all 2^32 floats and all 2^16 halves. Compiled once with the
// emulator's headers and once with NVIDIA's, it must print the same: tests/simt_machine.sh
// compares. A line holds a checksum of 2^24 floats, so that a difference names its range.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

template <class T> static uint64_t add(uint64_t sum, T x)
{
    uint64_t bits = 0;
    memcpy(&bits, &x, sizeof x);
    return (sum ^ bits) * 0x9E3779B97F4A7C15u + (sum >> 29);
}

int main()
{
    uint64_t bf16 = 0, fp16 = 0;
    for (uint32_t high = 0; high < 256; high++) {
        for (uint32_t low = 0; low < 1u << 24; low++) {
            float f = float_of(high << 24 | low);
            bf16 = add(bf16, __float2bfloat16(f));
            fp16 = add(fp16, __float2half(f));
        }
        printf("floats %02x......: %016lx %016lx\n", high, (unsigned long)bf16,
               (unsigned long)fp16);
    }
    for (uint32_t i = 0; i < 1u << 16; i++) {
        uint16_t bits = (uint16_t)i;
        __nv_bfloat16 b;
        __half h;
        memcpy(static_cast<void *>(&b), &bits, sizeof b);
        memcpy(static_cast<void *>(&h), &bits, sizeof h);
        bf16 = add(bf16, __bfloat162float(b));
        fp16 = add(fp16, __half2float(h));
        if (i % 4096 == 4095)
            printf("halves %x...: %016lx %016lx\n", i >> 12, (unsigned long)bf16,
                   (unsigned long)fp16);
    }
    return 0;
}
