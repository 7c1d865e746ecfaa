#include "tiles.h"

#include "merge.h"

#include "../../common/count.h"

Fast fast_new(long R, long C, long D, long Dv)
{
    return (Fast){.q = tensor_new(SHAPE(R, D)), .k = tensor_new(SHAPE(C, D)),
                  .v = tensor_new(SHAPE(C, Dv)), .s = tensor_new(SHAPE(R, C)),
                  .mixed = tensor_new(SHAPE(R, Dv)),
                  .state = tensor_new(SHAPE(R, STATE_SIZE)), .acc = tensor_new(SHAPE(R, Dv)),
                  .state2 = tensor_new(SHAPE(R, STATE_SIZE)), .acc2 = tensor_new(SHAPE(R, Dv))};
}

void fast_free(Fast *f)
{
    tensor_free(&f->q), tensor_free(&f->k), tensor_free(&f->v);
    tensor_free(&f->s), tensor_free(&f->mixed);
    tensor_free(&f->state), tensor_free(&f->acc);
    tensor_free(&f->state2), tensor_free(&f->acc2);
}

Tensor first_rows(Tensor tile, long n)
{
    return tensor_slice(tile, 0, 0, n);
}

Tensor load_rows(Tensor tile, Tensor x, long from, long to)
{
    tile = first_rows(tile, to - from);
    tensor_copy(tile, tensor_slice(x, 0, from, to));
    count_moved(tensor_count(tile), 0);
    return tile;
}

Tensor load_tokens(Tensor tile, Keys keys, Tensor memory, long from, long to)
{
    long T = keys.pool->T;
    tile = first_rows(tile, to - from);
    for (long t = from; t < to; t++) {
        Tensor block = pages_block(keys.pool, memory, keys.table, keys.g, t / T); // [<= T, D]
        tensor_copy(tensor_at(tile, t - from), tensor_at(block, t % T));
    }
    count_moved(tensor_count(tile), 0);
    return tile;
}

bool tile_is_empty(const Mask *mask, long N, long C)
{
    for (long i = 0; i < N; i++)
        for (long j = 0; j < C; j++)
            if (mask_allows(mask, i, j))
                return false;
    return true;
}
