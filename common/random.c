#include "random.h"

// splitmix64 (Steele, Lea and Flood, OOPSLA 2014): a counter, scrambled. Any seed is good,
// neighbouring seeds give unrelated streams.
Random random_seed(uint64_t seed)
{
    return (Random){seed};
}

uint64_t random_bits(Random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

float random_uniform(Random *r)
{
    return (float)(random_bits(r) >> 40) * 0x1p-23f - 1.0f; // 24 bits: exact in a float
}

// The sum of twelve uniform numbers has variance 12 * 1/12 = 1 and looks normal out to
// about three standard deviations. Unlike Box-Muller it needs no log or cos, whose last
// bit differs from one C library to the next.
float random_normal(Random *r)
{
    int64_t sum = 0;
    for (int i = 0; i < 12; i++)
        sum += (int64_t)(random_bits(r) >> 44); // 20 bits: the sum stays exact in a float
    return (float)(sum - 6 * (1 << 20)) * 0x1p-20f;
}

long random_below(Random *r, long n)
{
    CHECK(n > 0, "a random number below %ld", n);
    return (long)(random_bits(r) % (uint64_t)n);
}

static void fill(Tensor t, Random *r)
{
    if (t.axes == 0)
        *t.data = random_uniform(r);
    else
        for (long i = 0; i < t.shape[0]; i++)
            fill(tensor_at(t, i), r);
}

void tensor_random(Tensor t, uint64_t seed)
{
    Random r = random_seed(seed);
    fill(t, &r);
}

void tensor_normal(Tensor matrix, Random *r)
{
    for (long i = 0; i < matrix.shape[0]; i++)
        for (long j = 0; j < matrix.shape[1]; j++)
            row(matrix, i)[j] = random_normal(r);
}
