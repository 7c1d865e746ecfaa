// Any bytes at all go into the .npy parser. It may refuse them; what it takes must lie
// within the file, and every element of it must be readable.
//
//     clang -g -O1 -fsanitize=fuzzer,address,undefined tests/fuzz_npy.c common/*.c -lm
#include "../common/npy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Its elements, copied into a block of just their size: the sanitizer sees one byte too far.
static void read_elements(Npy npy, const uint8_t *elements)
{
    size_t bytes = (size_t)(npy.count * npy.bytes);
    npy.data = malloc(bytes ? bytes : 1);
    CHECK(npy.data, "out of memory: %zu bytes", bytes);
    memcpy(npy.data, elements, bytes);
    for (long i = 0; i < npy.count; i++)
        npy_value(&npy, i);
    npy_free(&npy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Npy npy;
    char error[NPY_ERROR] = "";
    long at = npy_parse(data, (long)size, &npy, error);
    if (at == 0) {
        CHECK(error[0] && memchr(error, 0, NPY_ERROR), "refused without a reason");
        return 0;
    }
    long product = 1;
    for (int a = 0; a < npy.axes; a++)
        product *= npy.shape[a];
    CHECK(0 <= npy.axes && npy.axes <= MAX_AXES, "%d axes", npy.axes);
    CHECK(product == npy.count, "%ld elements in a shape of %ld", npy.count, product);
    CHECK(at + npy.count * npy.bytes <= (long)size, "the array ends behind the file");
    read_elements(npy, data + at);
    return 0;
}
