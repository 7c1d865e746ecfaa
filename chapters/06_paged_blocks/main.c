// Chapter 06, paged blocks. Built alone, from the project's root:
//
//     cc -std=c11 -O2 -ffp-contract=off -o paged chapters/06_paged_blocks/*.c common/*.c -lm

#include "attention.h"
#include "experiment.h"

#include "../../common/chapter.h"
#include "../../common/npy.h"

#include <stdlib.h>

static long block_size = 2, blocks, shuffle = 1;

static const Flag flags[] = {
    {"--block-size", FLAG_SIZE, &block_size, 0, "T", "tokens in a block (default 2)"},
    {"--blocks", FLAG_SIZE, &blocks, 0, "N",
     "blocks in the pool (default: what the run needs, and two)"},
    {"--shuffle", FLAG_COUNT, &shuffle, 0, "S",
     "seed of the blocks' order (default 1; 0: in order)"},
    {0},
};

static const Chapter chapter = {
    .name = "06_paged_blocks",
    .idea = {
        "Chapter 06, paged blocks: the cache is cut into blocks that lie anywhere in a pool; a",
        "table says where, and attention walks the table without copying anything together.",
    },
    .example = "build/cpu/06_paged_blocks --block-size 1 --explain 2",
    .takes = TAKES_MASK | TAKES_HEADS | TAKES_KV_HEADS | TAKES_PAST | MAKES_SCORES,
    .mask = "causal",
    .heads = 4,
    .kv_heads = 2,
    .experiments = "waste|sequences",
    .flags = flags,
};

// The pool and the tables of all sequences.
typedef struct {
    Pool pool;
    BlockTable *tables; // [B]
    long B;
} Pages;

static long blocks_each(const Input *in)
{
    return (in->P + in->M + block_size - 1) / block_size;
}

// Blocks in the pool. Too few for the run, or too many for the memory, are refused before
// anything is traced.
static long read_blocks(const Input *in)
{
    long needed = in->B * blocks_each(in), count = blocks ? blocks : needed + 2;
    if (count < needed)
        refuse(EXIT_MEMORY, "no free blocks: this run needs %ld blocks of %ld tokens, the pool has "
               "%ld (--blocks)", needed, block_size, count);
    double block = 4.0 * (double)in->G * (double)block_size * (double)(in->D + in->Dv);
    memory_require((double)count * (block + 2 * sizeof(long)), "the pool of KV blocks");
    return count;
}

// Empty tables, or tables that hold the past.
static Pages open_pages(const Input *in, long count)
{
    Pages p = {.B = in->B};
    p.pool = pages_pool(count, in->G, block_size, in->D, in->Dv, (uint64_t)shuffle);
    p.tables = calloc(in->B > 0 ? (size_t)in->B : 1, sizeof *p.tables);
    if (!p.tables)
        refuse(EXIT_MEMORY, "out of memory: %ld block tables", in->B);
    for (long b = 0; b < in->B; b++)
        p.tables[b] = pages_table(blocks_each(in));
    if (in->P > 0) {
        PagesStatus status = pages_append(&p.pool, p.tables, in->past_k, in->past_v);
        CHECK(status == PAGES_OK, "the past: %s", pages_message(status));
    }
    return p;
}

// Every block goes back before the pool does: one that is missing would be a leak.
static void close_pages(Pages *p)
{
    for (long b = 0; b < p->B; b++) {
        PagesStatus status = pages_clear(&p->pool, &p->tables[b]);
        CHECK(status == PAGES_OK, "sequence %ld: %s", b, pages_message(status));
        pages_free_table(&p->tables[b]);
    }
    CHECK(p->pool.free_count == p->pool.blocks, "%ld of %ld blocks came back", p->pool.free_count,
          p->pool.blocks);
    pages_free_pool(&p->pool);
    free(p->tables);
}

// --- the block map -------------------------------------------------------------------------

// Which sequence and which part of it block i holds; false: it is free.
static bool find_owner(const Pages *p, long i, long *b, long *part)
{
    for (*b = 0; *b < p->B; ++*b)
        for (*part = 0; *part < pages_count(&p->pool, &p->tables[*b]); ++*part)
            if (p->tables[*b].blocks[*part] == i)
                return true;
    return false;
}

// One line a block: whose tokens its slots hold, - for a slot not yet used.
static void draw_block(Trace *trace, const Pages *p, long i)
{
    long b, part;
    if (!find_owner(p, i, &b, &part)) {
        trace_note(trace, "block %-3ld free\n", i);
        return;
    }
    trace_note(trace, "block %-3ld sequence %ld:", i, b);
    for (long slot = 0; slot < p->pool.T; slot++) {
        char name[64] = "-";
        long token = part * p->pool.T + slot;
        if (token < p->tables[b].len)
            name_of(name, sizeof name, trace->input->keys[b], token);
        trace_note(trace, " %s", name);
    }
    trace_note(trace, "\n");
}

// The tables as a step, the pool as a picture, and the last token's address translated.
static void trace_pages(Trace *trace, const Pages *p)
{
    if (!trace_wanted(trace) || p->B == 0 || p->tables[0].len == 0)
        return;
    long entries = pages_count(&p->pool, &p->tables[0]), last = p->tables[0].len - 1;
    Tensor table = tensor_new(SHAPE(p->B, entries));
    for (long b = 0; b < p->B; b++)
        for (long i = 0; i < entries; i++)
            row(table, b)[i] = (float)p->tables[b].blocks[i];
    trace_at(trace, 0, 0);
    trace_table(trace, "block_table", table, (Names){.letter = 's'}, (Names){.letter = 'e'});
    tensor_free(&table);
    for (long i = 0; i < p->pool.blocks; i++)
        draw_block(trace, p, i);
    trace_note(trace, "token %ld of sequence 0 -> entry %ld, slot %ld -> block %ld\n\n", last,
               last / p->pool.T, last % p->pool.T, p->tables[0].blocks[last / p->pool.T]);
}

// --- the run -------------------------------------------------------------------------------

// The pass over tokens t to t + n.
static void run_pass(Input *in, Tensor out, Tensor lse, Pages *pages, Trace *trace, long t, long n)
{
    long to = in->N == in->M ? t + n : in->M; // rows of K and V
    input_project_q(in, t, t + n);
    input_project_kv(in, t, to);
    Mask mask = trace_pass(trace, t, n, in->P + to);
    PagesStatus status = attention(tensor_slice(out, 2, t, t + n), tensor_slice(lse, 2, t, t + n),
                                   tensor_slice(in->q, 2, t, t + n), tensor_slice(in->k, 2, t, to),
                                   tensor_slice(in->v, 2, t, to), in->scale, &mask, &pages->pool,
                                   pages->tables, trace);
    CHECK(status == PAGES_OK, "pass %ld: %s", trace->pass, pages_message(status));
    chapter_combine(in, out, t, t + n, trace);
    trace_pages(trace, pages);
}

// Tokens of the first pass: --prefill, or half of them, or all under a mask that looks ahead, as
// a cached token cannot. Where queries and keys do not come in pairs there is no token by token,
// and one pass takes all.
static long first_pass(const Options *o, const Input *in)
{
    bool looks_back = in->mask.causal || in->mask.window >= 0;
    if (in->N != in->M && o->prefill && o->prefill < in->N)
        refuse(EXIT_USAGE, "--prefill %ld: with %ld queries and %ld new keys one pass takes all of "
               "them", o->prefill, in->N, in->M);
    long n = o->prefill ? o->prefill : looks_back ? (in->N + 1) / 2 : in->N;
    return in->N != in->M || n > in->N ? in->N : n;
}

// The keys that were there when row i of the run was computed: its whole pass's.
static long keys_of_row(const Options *o, const Input *in, long i)
{
    long first = first_pass(o, in);
    return in->P + (in->N != in->M ? in->M : i < first ? first : i + 1);
}

// All tokens of one memory, gathered from their blocks: [B, G, tokens, D]
static void write_gathered(const char *path, const Pages *p, Tensor memory, const Input *in)
{
    long G = memory.shape[1], T = p->pool.T;
    Tensor all = tensor_new(SHAPE(p->B, G, in->P + in->M, memory.shape[3]));
    for (long b = 0; b < p->B; b++)
        for (long g = 0; g < G; g++)
            for (long i = 0; i < pages_count(&p->pool, &p->tables[b]); i++) {
                Tensor block = pages_block(&p->pool, memory, &p->tables[b], g, i);
                tensor_copy(tensor_slice(tensor_at(tensor_at(all, b), g), 0, i * T,
                                         i * T + block.shape[0]), block);
            }
    npy_write(path, all);
    tensor_free(&all);
}

static void write_present(const Options *o, const Pages *p, const Input *in)
{
    if (o->present_k)
        write_gathered(o->present_k, p, p->pool.k, in);
    if (o->present_v)
        write_gathered(o->present_v, p, p->pool.v, in);
}

// All passes over one pool: the first over a prompt, then one for each token.
static void run(const Options *o, Input *in, Tensor out, Tensor lse, Pages *pages, Trace *trace)
{
    long t = 0, n = first_pass(o, in);
    do {
        run_pass(in, out, lse, pages, trace, t, n);
        trace->pass++;
        t += n;
        n = 1;
    } while (t < in->N);
}

int main(int argc, char **argv)
{
    Options o;
    output_start();
    options_read(&o, argc, argv, &chapter);
    if (o.experiment) {
        experiment(&o);
        output_finish();
        return 0;
    }
    Input in = input_read(&o);
    long count = read_blocks(&in);
    first_pass(&o, &in); // refuses a --prefill that cannot be, before anything is traced
    Tensor out = tensor_new(SHAPE(in.B, in.H, in.N, in.Dv));
    Tensor lse = tensor_new(SHAPE(in.B, in.H, in.N));
    Trace trace = trace_open(&o, &in);
    Measure measure = measure_start(&o, &in, &trace);

    while (measure_again(&measure, out, lse)) {
        Pages pages = open_pages(&in, count);
        run(&o, &in, out, lse, &pages, &trace);
        if (measure.round == 1)
            write_present(&o, &pages, &in);
        measure.kv_bytes = measure.cache_bytes = pages_bytes(&pages.pool);
        close_pages(&pages);
    }
    if (o.explain_row >= 0)
        explain_row(&in, o.explain_row, o.explain_head,
                    keys_of_row(&o, &in, o.explain_row), block_size);

    chapter_finish(&o, &in, &trace, &measure, out, lse);
}
