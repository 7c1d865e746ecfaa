#include "mirror.h"

#include "device.h"

#include "../../common/count.h"

#include <stdlib.h>

static struct {
    const Pool *of;
    const float *host; // where the pool's memory was
    long tokens;       // of all sequences together
    float *k, *v;
} mirror;

static long tokens_held(const BlockTable *tables, long B)
{
    long tokens = 0;
    for (long b = 0; b < B; b++)
        tokens += tables[b].len;
    return tokens;
}

long mirror_longest(const BlockTable *tables, long B)
{
    long most = 0;
    for (long b = 0; b < B; b++)
        most = tables[b].len > most ? tables[b].len : most;
    return most;
}

// Does the mirror hold what the pool holds? Pass 0 of a run begins with a pool that nobody here
// has seen, at whatever address. Later passes find it as the one before left it.
static bool follows(const Pool *pool, const BlockTable *tables, long B, const Trace *trace)
{
    return trace->pass > 0 && mirror.of == pool && mirror.host == pool->k.data &&
           mirror.tokens == tokens_held(tables, B);
}

// The whole pool, free slots and all: they are NaN there, too.
static void upload_pool(const Pool *pool, long tokens)
{
    device_free(&mirror.k);
    device_free(&mirror.v);
    mirror.k = device_upload(pool->k);
    mirror.v = device_upload(pool->v);
    mirror.of = pool;
    mirror.host = pool->k.data;
    mirror.tokens = tokens;
}

// How many tokens each sequence held, and the B tables, in one array: [B], [B, entries].
static void upload_tables(DevicePages *pages, const Pool *pool, const BlockTable *tables, long B,
                          long n)
{
    long *all = malloc((size_t)(B * (1 + pages->entries)) * sizeof *all + 1);
    if (!all)
        refuse(EXIT_MEMORY, "out of memory: %ld tables of %ld blocks", B, pages->entries);
    for (long b = 0; b < B; b++) {
        all[b] = tables[b].len - n;
        for (long i = 0; i < pages->entries; i++)
            all[B + b * pages->entries + i] =
                i < pages_count(pool, &tables[b]) ? tables[b].blocks[i] : -1;
    }
    pages->held = device_longs(all, B * (1 + pages->entries));
    pages->table = pages->held + B;
    free(all);
}

// The new tokens of one memory, written to their slots by the device.
static void append_rows(float *memory, DevicePages pages, Tensor rows)
{
    float *there = device_upload(rows);
    GPU(paged_append(memory, pages, there, rows.shape[0], rows.shape[2], rows.shape[3],
                     device_stream()));
    device_free(&there);
}

PagesStatus mirror_append(DevicePages *pages, Pool *pool, BlockTable *tables, Tensor k, Tensor v,
                          const Trace *trace)
{
    long B = k.shape[0];
    if (B > 0 && !follows(pool, tables, B, trace))
        upload_pool(pool, tokens_held(tables, B));
    PagesStatus status = pages_append(pool, tables, k, v);
    if (status != PAGES_OK)
        return status;
    *pages = (DevicePages){.k = mirror.k, .v = mirror.v, .G = k.shape[1], .T = pool->T};
    pages->entries = (mirror_longest(tables, B) + pool->T - 1) / pool->T;
    upload_tables(pages, pool, tables, B, k.shape[2]);
    append_rows(mirror.k, *pages, k);
    append_rows(mirror.v, *pages, v);
    mirror.tokens = tokens_held(tables, B);
    return PAGES_OK;
}

void mirror_free_tables(DevicePages *pages)
{
    device_free(&pages->held);
    pages->table = NULL;
}

float *mirror_gather(const float *memory, DevicePages pages, long B, long M, long width)
{
    float *rows = device_floats(B * pages.G * M * width);
    GPU(paged_gather(rows, memory, pages, B, M, width, device_stream()));
    count_moved(B * pages.G * M * width, B * pages.G * M * width);
    return rows;
}
