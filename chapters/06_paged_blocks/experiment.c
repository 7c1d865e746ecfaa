// Two looks at the pool: what it saves on a workload, and what happens in it block by block.

#include "experiment.h"

#include "pages.h"
#include "workload.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// --- waste ---------------------------------------------------------------------------------

// A share of the memory in percent, averaged over the steps in which a request had to wait.
// (In the others the arrivals decide how full it is, and every scheme looks wasteful.)
static double share(const Tally *t, long tokens)
{
    return t->loaded ? 100.0 * (double)tokens / ((double)t->loaded * MEMORY) : 0.0;
}

// The headings of print_tally; print_legend says what they mean.
static void print_columns(void)
{
    printf("%-9s %5s %5s %5s %5s %5s %7s %7s %5s %6s %7s %6s %7s %6s\n", "", "used", "later",
           "never", "holes", "free", "useful", "mean", "peak", "steps", "copied", "again",
           "redone", "listed");
}

// One way of asking for room, as a line. used + later + never + holes + free is 100 percent.
// useful leaves out what is free: of the tokens that somebody has, how many hold something.
static void print_tally(const char *name, const Tally *t)
{
    long reserved = t->used + t->later + t->never;
    printf("%-9s %5.1f %5.1f %5.1f %5.1f %5.1f %7.1f %7.1f %5ld %6ld %7ld %6ld %7ld %6ld\n", name,
           share(t, t->used), share(t, t->later), share(t, t->never), share(t, t->scattered),
           share(t, t->left), reserved ? 100.0 * (double)t->used / (double)reserved : 0.0,
           t->loaded ? (double)t->running / (double)t->loaded : 0.0, t->peak, t->steps, t->copied,
           t->preempted, t->recomputed, t->entries);
}

// The lengths come first, for they explain the table: prealloc pays for the distance from the
// mean to the longest, grow for that to the next power of two, paged for half a block.
static void print_workload(long seed)
{
    Mix mix = workload_mix((uint64_t)seed);
    printf("-- waste: one memory of %d tokens, %d requests, seed %ld --\n", MEMORY, REQUESTS,
           seed);
    printf("a request: %ld to %ld tokens, median %ld, mean %ld; prompts %ld, decoded %ld in all\n",
           mix.shortest, mix.longest, mix.median, mix.mean, mix.prompts, mix.outputs);
    printf("prealloc: %d tokens a request. oracle: what it will need in the end. grow: a power\n"
           "of two, doubled and copied. paged:T: blocks of T tokens. The first three want their\n"
           "room in one piece.\n\n", LONGEST);
}

// later, never and holes are what the paper calls reserved slots, internal fragmentation and
// external fragmentation (section 3.1).
static void print_legend(void)
{
    printf("\nin percent of the memory, averaged over the steps in which a request had to wait:\n"
           "  used     holds a token\n"
           "  later    internal waste: reserved for tokens that this request has yet to make\n"
           "  never    internal waste: reserved, and never used by anybody\n"
           "  holes    external waste: free, enough for the next request, but in no one piece\n"
           "  free     free: too little for the next request, or kept for those that run\n"
           "useful     used / reserved, in percent\n"
           "mean, peak requests that ran at the same time\n"
           "steps      until all were served; each running request gains a token a step\n"
           "copied     tokens moved by growing\n"
           "again      requests sent back to the queue because the memory had run out\n"
           "redone     the tokens that they held and had to compute again\n"
           "listed     pieces or blocks in use at the peak: the entries of all tables\n");
}

// What the paper measured, for comparison and not for agreement. Its percentages are of all the
// memory, free or not: they belong beside the column `used`.
static void print_paper(void)
{
    printf("\nPagedAttention (arXiv 2309.06180), figure 2, percent of the KV memory in use:\n"
           "  Orca (Max)      20.4   reserves the longest, as prealloc does\n"
           "  Orca (Pow2)     26.8   reserves the power of two above the output's length\n"
           "  Orca (Oracle)   38.2   knows the length in advance, as oracle does\n"
           "  vLLM            96.3   blocks: waste under 4 percent\n"
           "What differs: there, conversations from ShareGPT and Alpaca served by OPT models,\n"
           "and a buddy allocator that rounds each piece up. Here, lengths drawn from two\n"
           "ranges, first fit, and averages over steps with a queue. Equal numbers are a\n"
           "coincidence.\n");
}

// The same requests under every scheme. The larger T, the more of a sequence's last block lies
// idle; the smaller T, the more entries the tables have.
static void waste(const Options *o)
{
    static const char *const names[] = {"prealloc", "oracle", "grow"};
    print_workload(o->seed);
    print_columns();
    for (int how = ROOM_PREALLOC; how < ROOM_PAGED; how++) {
        Tally t = workload_serve((uint64_t)o->seed, (Room)how, 0);
        print_tally(names[how], &t);
    }
    for (long T = 1; T <= 256; T *= 2) {
        char name[32];
        Tally t = workload_serve((uint64_t)o->seed, ROOM_PAGED, T);
        snprintf(name, sizeof name, "paged:%ld", T);
        print_tally(name, &t);
    }
    print_legend();
    print_paper();
}

// --- sequences -----------------------------------------------------------------------------

// SLOTS is T, the tokens in a block: small enough to draw. No sequence below ends where a block
// does, so that each has slots that hold nothing.
enum { SEQUENCES = 5, BLOCKS = 8, SLOTS = 4 };

// A pool and the sequences A, B, C, ... in it. Each token's key is its sequence's number and its
// value the token's own, so that the pool's memory itself says what lies where.
typedef struct {
    Pool pool;
    BlockTable tables[SEQUENCES];
} Story;

// One slot as it lies in memory: - is a free block's, . holds no token yet.
static char letter_in(const Pool *pool, long block, long slot)
{
    float key = tensor_at(tensor_at(pool->k, block), 0).data[slot]; // of [blocks, 1, T, 1]
    return pool->owners[block] == 0 ? '-' : isnan(key) ? '.' : (char)('A' + (int)key);
}

// The pool block by block, in the order in which it lies in memory; then each sequence's table,
// in the order of its tokens.
static void draw_pool(const Story *s)
{
    printf("   ");
    for (long block = 0; block < BLOCKS; block++) {
        printf(" %ld:", block);
        for (long slot = 0; slot < SLOTS; slot++)
            putchar(letter_in(&s->pool, block, slot));
    }
    printf("   %ld free\n", s->pool.free_count);
    for (long b = 0; b < SEQUENCES; b++) {
        const BlockTable *table = &s->tables[b];
        if (table->len == 0)
            continue;
        printf("    %c: %ld tokens in", (char)('A' + b), table->len);
        for (long i = 0; i < pages_count(&s->pool, table); i++)
            printf(" %ld", table->blocks[i]);
        printf("\n");
    }
    printf("\n");
}

// What must not change when a call is refused.
typedef struct {
    long free_count;
    long owners;     // bit i: block i has an owner
    long tokens;     // of all sequences
} Census;

static Census census(const Story *s)
{
    Census c = {.free_count = s->pool.free_count};
    for (long block = 0; block < BLOCKS; block++)
        c.owners += s->pool.owners[block] << block; // a block has 0 owners or 1
    for (long b = 0; b < SEQUENCES; b++)
        c.tokens += s->tables[b].len;
    return c;
}

// The pool after a call that did what it was asked; proof that nothing changed after any other.
static void report(const Story *s, PagesStatus status, Census before)
{
    Census after = census(s);
    if (status == PAGES_OK) {
        draw_pool(s);
        return;
    }
    CHECK(memcmp(&before, &after, sizeof before) == 0, "refused, and yet something changed");
    printf("    refused: %s; nothing changed, %ld free\n\n", pages_message(status),
           after.free_count);
}

// The three things that can happen to a pool, each announced and drawn: `why` ends the sentence.
static PagesStatus append(Story *s, char name, long n, const char *why)
{
    BlockTable *table = &s->tables[name - 'A'];
    // [B, G, n, D] with a sequence, a head and a feature of one each
    Tensor k = tensor_new(SHAPE(1, 1, n, 1)), v = tensor_new(SHAPE(1, 1, n, 1));
    Census before = census(s);
    printf("%c %s %ld token%s%s\n", name, table->len ? "appends" : "begins with", n,
           n == 1 ? "" : "s", why);
    tensor_fill(k, (float)(name - 'A'));
    for (long t = 0; t < n; t++)
        v.data[t] = (float)(table->len + t);
    PagesStatus status = pages_append(&s->pool, table, k, v);
    report(s, status, before);
    tensor_free(&k);
    tensor_free(&v);
    return status;
}

static PagesStatus end(Story *s, char name, const char *why)
{
    Census before = census(s);
    printf("%c ends%s\n", name, why);
    PagesStatus status = pages_clear(&s->pool, &s->tables[name - 'A']);
    report(s, status, before);
    return status;
}

// Blocks given back by number, past the tables: what a program would do that kept a list of its
// own, and how a block comes to be freed twice.
static PagesStatus release(Story *s, const long *ids, long n, const char *why)
{
    Census before = census(s);
    printf("release of block");
    for (long i = 0; i < n; i++)
        printf("%s%ld", i ? "," : n > 1 ? "s " : " ", ids[i]);
    printf("%s\n", why);
    PagesStatus status = pages_release(&s->pool, ids, n);
    report(s, status, before);
    return status;
}

// Token t of a sequence: through the table to a place in the pool, and what lies there. A
// processor does the same with an address: page number, offset in the page, page table.
static void translate(const Story *s, char name, long t)
{
    const BlockTable *table = &s->tables[name - 'A'];
    long entry = t / SLOTS, slot = t % SLOTS, block = table->blocks[entry];
    Tensor value = tensor_at(tensor_at(s->pool.v, block), 0); // [T, 1]
    printf("token %ld of %c -> entry %ld / %d = %ld, slot %ld %% %d = %ld -> block %ld\n", t, name,
           t, SLOTS, entry, t, SLOTS, slot, block);
    printf("    in that block and slot lies token %.0f of %c\n\n", (double)value.data[slot],
           letter_in(&s->pool, block, slot));
    CHECK(value.data[slot] == (float)t && letter_in(&s->pool, block, slot) == name,
          "token %ld of %c is somewhere else", t, name);
}

// The story is a claim about the pool: each line must go as it is told.
static void expect(PagesStatus status, PagesStatus expected)
{
    CHECK(status == expected, "expected \"%s\", got \"%s\"", pages_message(expected),
          pages_message(status));
}

// A, B and C fill the pool; B makes room for D; E gets what C leaves, and B's last block.
static void tell(Story *s)
{
    const long stale[] = {2, 3, 4}, foreign[] = {0, BLOCKS}, twice[] = {0, 0};
    expect(append(s, 'A', 6, ""), PAGES_OK);
    expect(append(s, 'B', 9, ""), PAGES_OK);
    expect(append(s, 'C', 3, ""), PAGES_OK);
    // Growing needs no free neighbour: whatever block is free will do.
    expect(append(s, 'A', 3, ": two fill its last block, the third opens one behind C"), PAGES_OK);
    expect(append(s, 'C', 2, ": the pool is full"), PAGES_OK);
    // No room, and not a single block is taken on the way to finding that out.
    expect(append(s, 'D', 6, ": two blocks"), PAGES_NO_FREE_BLOCKS);
    expect(end(s, 'B', ": three holes, in the middle of the others"), PAGES_OK);
    expect(append(s, 'D', 6, ": its blocks are B's, the last one freed first"), PAGES_OK);
    expect(append(s, 'E', 9, ": three blocks, and one is free"), PAGES_NO_FREE_BLOCKS);
    // A table that is kept after its sequence ended is a danger: only block 4 gives it away here.
    // That is why pages_clear empties the table.
    expect(release(s, stale, 3, ": B's once more. 2 and 3 are D's by now, 4 is free"),
           PAGES_NOT_ALLOCATED);
    expect(release(s, foreign, 2, ": there are 0 to 7"), PAGES_NO_SUCH_BLOCK);
    expect(release(s, twice, 2, ": in one call"), PAGES_NAMED_TWICE);
    expect(end(s, 'C', ""), PAGES_OK);
    expect(append(s, 'E', 9, ": three blocks, out of order and not in one piece"), PAGES_OK);
    // E's tokens 4 to 7 lie in block 7 and token 8 before them, in block 4: only the table knows.
    translate(s, 'E', 6);
    expect(end(s, 'A', ""), PAGES_OK);
    expect(end(s, 'D', ""), PAGES_OK);
    expect(end(s, 'E', ": all blocks are back"), PAGES_OK);
}

static void sequences(void)
{
    // Seed 0 hands blocks out in order: every hole in the pictures is the story's own.
    Story s = {.pool = pages_pool(BLOCKS, 1, SLOTS, 1, 1, 0)};
    for (int b = 0; b < SEQUENCES; b++)
        s.tables[b] = pages_table(BLOCKS);
    printf("-- sequences: a pool of %d blocks of %d tokens --\n", BLOCKS, SLOTS);
    printf("A letter is a token of that sequence, . a slot not yet used, ---- a free block.\n\n");
    tell(&s);
    CHECK(s.pool.free_count == BLOCKS, "%ld of %d blocks came back", s.pool.free_count, BLOCKS);
    for (int b = 0; b < SEQUENCES; b++)
        pages_free_table(&s.tables[b]);
    pages_free_pool(&s.pool);
}

void experiment(const Options *o)
{
    options_only(o, "--experiment", "--experiment --seed");
    if (strcmp(o->experiment, "waste") == 0)
        waste(o);
    else if (strcmp(o->experiment, "sequences") == 0) {
        options_only(o, "--experiment sequences", "--experiment"); // nothing in it is random
        sequences();
    } else
        refuse(EXIT_USAGE, "--experiment: expected waste or sequences, got \"%s\"", o->experiment);
}
