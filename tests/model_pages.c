// Chapter 06's pages against a model too plain to be wrong: arrays that say, for each block,
// who has it and which token lies in each slot. A random script of operations runs on both
// (hard case 63), and after every single one everything is compared.
//
//     model_pages [operations [seeds]]        200000 operations for each of 3 seeds
#define _POSIX_C_SOURCE 200809L
#include "../chapters/06_paged_blocks/pages.h"
#include "../common/random.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TABLES = 4, MOST_BLOCKS = 12, MOST_T = 4, MOST_ENTRIES = 5 };
enum { ROUND = 1000 };           // operations on one pool; then it must empty, and another comes
enum { FREE = -1, LOOSE = -2 };  // who has a block, if no table: nobody, or this test itself

// Both sides of the comparison.
typedef struct {
    Random random;
    Pool pool;                   // what is tested
    BlockTable tables[TABLES];
    long G, D, Dv;

    long who[MOST_BLOCKS];             // the model: a table's number, FREE or LOOSE
    long token[MOST_BLOCKS][MOST_T];   // the number of the token in each slot; 0: none
    long entries[TABLES][MOST_ENTRIES], len[TABLES], capacity[TABLES];
    long tokens;                       // how many there have been: each has its own number
} World;

// --- complaints -------------------------------------------------------------------------

static char problem[200]; // the first one of an operation; "": none
static long seed, operation;

static void wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!problem[0])
        vsnprintf(problem, sizeof problem, format, args);
    va_end(args);
}

// A CHECK that fails aborts: say where in the script that was.
static void on_abort(int number)
{
    char text[100];
    (void)number;
    int n = snprintf(text, sizeof text, "not ok - seed %ld, operation %ld: aborted\n", seed,
                     operation);
    _exit(write(STDOUT_FILENO, text, (size_t)n) == n ? EXIT_DIFFERS : EXIT_WRITE);
}

// --- what the script met ----------------------------------------------------------------

enum { ALLOCATE, RELEASE, APPEND, CLEAR, OPERATIONS };
static const char *const names[] = {"allocate", "release", "append", "clear"};
static long met[OPERATIONS][PAGES_NAMED_TWICE + 1];

static void expect_status(int what, PagesStatus got, PagesStatus expected)
{
    met[what][expected]++;
    if (got != expected)
        wrong("%s: expected \"%s\", got \"%s\"", names[what], pages_message(expected),
              pages_message(got));
}

// Each of the ten ways in which the four operations can end.
static long ways_not_met(void)
{
    static const struct {
        int what;
        PagesStatus status;
    } WAYS[] = {
        {ALLOCATE, PAGES_OK}, {ALLOCATE, PAGES_NO_FREE_BLOCKS}, {RELEASE, PAGES_OK},
        {RELEASE, PAGES_NO_SUCH_BLOCK}, {RELEASE, PAGES_NOT_ALLOCATED},
        {RELEASE, PAGES_NAMED_TWICE}, {APPEND, PAGES_OK}, {APPEND, PAGES_NO_FREE_BLOCKS},
        {APPEND, PAGES_TABLE_FULL}, {CLEAR, PAGES_OK},
    };
    long missing = 0;
    for (int i = 0; i < 10; i++)
        missing += met[WAYS[i].what][WAYS[i].status] == 0;
    return missing;
}

// --- comparing everything ---------------------------------------------------------------

// What a token holds in feature d of head g: a whole number, exact in a float, and another one
// for every token alive at the same time. part 0: key, 1: value.
static float content(long token, long g, long d, int part)
{
    return (float)(token % (1 << 20) * 8 + g * 4 + d * 2 + part);
}

static void check_slot(const World *w, long id, long slot, const float *floats, long g,
                       long width, int part)
{
    long token = w->token[id][slot];
    for (long d = 0; d < width; d++)
        if (token ? floats[d] != content(token, g, d, part) : !isnan(floats[d]))
            wrong("block %ld, slot %ld: expected token %ld, got %g", id, slot, token,
                  (double)floats[d]);
}

// Every slot of every block, whoever has it: its token's numbers, or NaN.
static void check_contents(const World *w)
{
    long T = w->pool.T, G = w->G;
    for (long id = 0; id < w->pool.blocks; id++)
        for (long g = 0; g < G; g++)
            for (long slot = 0; slot < T; slot++) {
                long at = (id * G + g) * T + slot;
                check_slot(w, id, slot, w->pool.k.data + at * w->D, g, w->D, 0);
                check_slot(w, id, slot, w->pool.v.data + at * w->Dv, g, w->Dv, 1);
            }
}

// The free list holds the blocks that nobody has, each of them once; free + used = all.
static void check_free_list(const World *w)
{
    long listed[MOST_BLOCKS] = {0}, used = 0, nobodys = 0;
    for (long id = 0; id < w->pool.blocks; id++) {
        used += w->pool.owners[id] != 0;
        nobodys += w->who[id] == FREE;
    }
    if (w->pool.free_count + used != w->pool.blocks || w->pool.free_count != nobodys) {
        wrong("%ld free and %ld used of %ld blocks, %ld are free in the model",
              w->pool.free_count, used, w->pool.blocks, nobodys);
        return;
    }
    for (long i = 0; i < w->pool.free_count; i++) {
        long id = w->pool.free_list[i];
        if (id < 0 || id >= w->pool.blocks || w->who[id] != FREE || listed[id]++)
            wrong("entry %ld of the free list is block %ld", i, id);
    }
}

// A block has as many owners as tables list it, and one more where this test holds it.
static void check_owners(const World *w)
{
    long listed[MOST_BLOCKS] = {0};
    for (int b = 0; b < TABLES; b++) {
        if (w->tables[b].len != w->len[b] || w->tables[b].capacity != w->capacity[b])
            wrong("table %d: %ld of %ld tokens", b, w->tables[b].len, w->len[b]);
        for (long i = 0; !problem[0] && i < pages_count(&w->pool, &w->tables[b]); i++) {
            if (w->tables[b].blocks[i] != w->entries[b][i])
                wrong("table %d, entry %ld: block %ld instead of %ld", b, i,
                      w->tables[b].blocks[i], w->entries[b][i]);
            else
                listed[w->tables[b].blocks[i]]++;
        }
    }
    for (long id = 0; id < w->pool.blocks; id++)
        if (w->pool.owners[id] != listed[id] + (w->who[id] == LOOSE) || listed[id] > 1)
            wrong("block %ld: %ld owners, %ld tables list it", id, w->pool.owners[id],
                  listed[id]);
}

// One sequence, read as attention reads it, block by block.
static void check_reading(const World *w, long b, long g)
{
    long t = 0;
    for (long i = 0; !problem[0] && i < pages_count(&w->pool, &w->tables[b]); i++) {
        Tensor k = pages_block(&w->pool, w->pool.k, &w->tables[b], g, i);
        Tensor v = pages_block(&w->pool, w->pool.v, &w->tables[b], g, i);
        for (long slot = 0; slot < k.shape[0]; slot++, t++) {
            check_slot(w, w->entries[b][i], slot, row(k, slot), g, w->D, 0);
            check_slot(w, w->entries[b][i], slot, row(v, slot), g, w->Dv, 1);
        }
    }
    if (t != w->len[b])
        wrong("table %ld: %ld tokens were read, it has %ld", b, t, w->len[b]);
}

static void check_all(World *w)
{
    check_free_list(w);
    check_owners(w);
    check_contents(w);
    check_reading(w, random_below(&w->random, TABLES), random_below(&w->random, w->G));
}

// --- operations: each predicts what must happen, then lets it happen -----------------------

static long free_in_model(const World *w)
{
    long n = 0;
    for (long id = 0; id < w->pool.blocks; id++)
        n += w->who[id] == FREE;
    return n;
}

// Which of the free blocks it is, is the pool's business; that it was free, is not.
static void take(World *w, long id, long who)
{
    if (id < 0 || id >= w->pool.blocks || w->who[id] != FREE)
        wrong("block %ld was handed out but is not free", id);
    else
        w->who[id] = who;
}

static void give(World *w, long id)
{
    w->who[id] = FREE;
    memset(w->token[id], 0, sizeof w->token[id]);
}

static void allocate(World *w)
{
    long ids[MOST_BLOCKS + 2], available = free_in_model(w);
    long n = random_below(&w->random, w->pool.blocks + 2);
    if (random_below(&w->random, 2) == 0)
        n = random_below(&w->random, available + 1);
    PagesStatus expected = n > available ? PAGES_NO_FREE_BLOCKS : PAGES_OK;
    expect_status(ALLOCATE, pages_allocate(&w->pool, n, ids), expected);
    for (long i = 0; i < n && expected == PAGES_OK && !problem[0]; i++)
        take(w, ids[i], LOOSE);
}

// Blocks of this test's own, each with even odds; of the tables' as well if asked. Returns how
// many.
static long pick_blocks(World *w, long *ids, bool of_tables)
{
    long n = 0;
    for (long id = 0; id < w->pool.blocks; id++)
        if ((w->who[id] == LOOSE || (of_tables && w->who[id] >= 0)) &&
            random_below(&w->random, 2) == 0)
            ids[n++] = id;
    for (long i = n - 1; i > 0; i--) { // in any order
        long j = random_below(&w->random, i + 1), other = ids[j];
        ids[j] = ids[i];
        ids[i] = other;
    }
    return n;
}

static void release(World *w)
{
    long ids[MOST_BLOCKS], n = pick_blocks(w, ids, false);
    expect_status(RELEASE, pages_release(&w->pool, ids, n), PAGES_OK);
    for (long i = 0; i < n; i++)
        give(w, ids[i]);
}

// A number that does not belong among ids[0:n]: no block at all, a free one, or one of them.
static long bad_id(World *w, const long *ids, long n)
{
    const long none[] = {-1, w->pool.blocks, w->pool.blocks + 1, LONG_MAX, LONG_MIN};
    long kind = random_below(&w->random, 3), first = random_below(&w->random, w->pool.blocks);
    for (long i = 0; kind == 0 && i < w->pool.blocks; i++)
        if (w->who[(first + i) % w->pool.blocks] == FREE)
            return (first + i) % w->pool.blocks;
    return kind == 1 && n > 0 ? ids[random_below(&w->random, n)]
                              : none[random_below(&w->random, 5)];
}

// The first thing wrong with a list of blocks to give back.
static PagesStatus first_mistake(const World *w, const long *ids, long n)
{
    for (long i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= w->pool.blocks)
            return PAGES_NO_SUCH_BLOCK;
        if (w->who[ids[i]] == FREE)
            return PAGES_NOT_ALLOCATED;
        for (long j = 0; j < i; j++)
            if (ids[j] == ids[i])
                return PAGES_NAMED_TWICE;
    }
    return PAGES_OK;
}

// Good blocks, the tables' among them, and one or two numbers that spoil the call: nothing may
// change, so the model does not.
static void release_wrongly(World *w)
{
    long ids[MOST_BLOCKS + 2], n = pick_blocks(w, ids, true);
    for (long bad = 1 + random_below(&w->random, 2); bad > 0; bad--) {
        long at = random_below(&w->random, n + 1), id = bad_id(w, ids, n);
        memmove(ids + at + 1, ids + at, (size_t)(n - at) * sizeof *ids);
        ids[at] = id;
        n++;
    }
    expect_status(RELEASE, pages_release(&w->pool, ids, n), first_mistake(w, ids, n));
}

// n tokens for each of the sequences first:first + B: counted slot by slot.
static PagesStatus predict_append(const World *w, long first, long B, long n)
{
    long needed = 0;
    for (long b = first; b < first + B; b++) {
        if (w->len[b] + n > w->capacity[b] * w->pool.T)
            return PAGES_TABLE_FULL;
        for (long t = w->len[b]; t < w->len[b] + n; t++)
            needed += t % w->pool.T == 0; // a token in the first slot opens a block
    }
    return needed > free_in_model(w) ? PAGES_NO_FREE_BLOCKS : PAGES_OK;
}

// The next n * B tokens' numbers as a tensor [B, G, n, width]; they count from w->tokens + 1.
static Tensor new_tokens(const World *w, long B, long n, long width, int part)
{
    Tensor x = tensor_new(SHAPE(B, w->G, n, width));
    for (long i = 0; i < tensor_count(x); i++) {
        long d = i % width, t = i / width % n, g = i / width / n % w->G;
        long b = i / width / n / w->G;
        x.data[i] = content(w->tokens + 1 + b * n + t, g, d, part);
    }
    return x;
}

static void append(World *w)
{
    long first = random_below(&w->random, TABLES), T = w->pool.T;
    long B = 1 + random_below(&w->random, TABLES - first), n = random_below(&w->random, 2 * T + 2);
    PagesStatus expected = predict_append(w, first, B, n);
    Tensor k = new_tokens(w, B, n, w->D, 0), v = new_tokens(w, B, n, w->Dv, 1);
    expect_status(APPEND, pages_append(&w->pool, w->tables + first, k, v), expected);
    tensor_free(&k);
    tensor_free(&v);
    for (long i = 0; i < B * n && expected == PAGES_OK && !problem[0]; i++) {
        long b = first + i / n, t = w->len[b]++;
        if (t % T == 0)
            take(w, w->entries[b][t / T] = w->tables[b].blocks[t / T], b);
        if (!problem[0])
            w->token[w->entries[b][t / T]][t % T] = w->tokens + 1 + i;
    }
    w->tokens += B * n;
}

// The whole table is filled with numbers that are no block: nobody may read them.
static void spoil(World *w, long b)
{
    for (long i = 0; i < w->capacity[b]; i++)
        w->tables[b].blocks[i] = random_below(&w->random, 2) ? LONG_MIN : w->pool.blocks + i;
}

static void clear(World *w, long b)
{
    expect_status(CLEAR, pages_clear(&w->pool, &w->tables[b]), PAGES_OK);
    for (long i = 0; i * w->pool.T < w->len[b]; i++)
        give(w, w->entries[b][i]);
    w->len[b] = 0;
    spoil(w, b);
}

static void new_table(World *w, long b)
{
    w->capacity[b] = random_below(&w->random, MOST_ENTRIES + 1);
    w->len[b] = 0;
    w->tables[b] = pages_table(w->capacity[b]);
    spoil(w, b);
}

static void replace_table(World *w, long b)
{
    clear(w, b);
    pages_free_table(&w->tables[b]);
    new_table(w, b);
}

static void operate(World *w)
{
    long dice = random_below(&w->random, 100);
    if (dice < 15)
        allocate(w);
    else if (dice < 30)
        release(w);
    else if (dice < 45)
        release_wrongly(w);
    else if (dice < 80)
        append(w);
    else if (dice < 92)
        clear(w, random_below(&w->random, TABLES));
    else
        replace_table(w, random_below(&w->random, TABLES));
}

// --- the script -------------------------------------------------------------------------

// A pool of another shape each time, as small as one block of one token; in order or shuffled.
static void open_world(World *w)
{
    Random *r = &w->random;
    long blocks = 1 + random_below(r, MOST_BLOCKS), T = 1 + random_below(r, MOST_T);
    w->G = 1 + random_below(r, 2);
    w->D = 1 + random_below(r, 2);
    w->Dv = 1 + random_below(r, 2);
    w->pool = pages_pool(blocks, w->G, T, w->D, w->Dv, (uint64_t)random_below(r, 3));
    for (long id = 0; id < blocks; id++)
        give(w, id);
    for (long b = 0; b < TABLES; b++)
        new_table(w, b);
}

// Everything is given back: all blocks are free, and no byte is left.
static void close_world(World *w)
{
    for (long b = 0; b < TABLES; b++)
        clear(w, b);
    while (!problem[0] && free_in_model(w) < w->pool.blocks)
        release(w);
    if (!problem[0])
        check_all(w);
    if (!problem[0] && w->pool.free_count != w->pool.blocks)
        wrong("%ld of %ld blocks came back", w->pool.free_count, w->pool.blocks);
    for (long b = 0; b < TABLES; b++)
        pages_free_table(&w->tables[b]);
    pages_free_pool(&w->pool);
    if (tensor_live_bytes() != 0)
        wrong("%ld bytes were never freed", tensor_live_bytes());
}

// `operations` operations; stops at the first that goes wrong, and returns whether none did.
static bool run_script(long operations)
{
    World w = {.random = random_seed((uint64_t)seed)};
    problem[0] = '\0';
    for (operation = 0; operation < operations && !problem[0];) {
        open_world(&w);
        check_all(&w);
        for (long i = 0; i < ROUND && operation < operations && !problem[0]; i++, operation++) {
            operate(&w);
            check_all(&w);
        }
        if (!problem[0])
            close_world(&w);
    }
    return !problem[0];
}

static long argument(int argc, char **argv, int i, long otherwise)
{
    char *end;
    long n = i < argc ? strtol(argv[i], &end, 10) : otherwise;
    if (i < argc && (*end || n < 1))
        refuse(EXIT_USAGE, "usage: model_pages [operations [seeds]], got \"%s\"", argv[i]);
    return n;
}

int main(int argc, char **argv)
{
    fail_program("model_pages");
    long operations = argument(argc, argv, 1, 200000), seeds = argument(argc, argv, 2, 3);
    long passed = 0, failed = 0, skipped = 0;
    signal(SIGABRT, on_abort);
    for (seed = 1; seed <= seeds; seed++) {
        bool good = run_script(operations);
        if (good)
            printf("ok - seed %ld: %ld operations as the model has it\n", seed, operations);
        else
            printf("not ok - seed %ld, operation %ld: %s\n", seed, operation, problem);
        fflush(stdout);
        passed += good;
        failed += !good;
    }
    if (operations < 10000) {
        printf("skip - outcomes: %ld operations are too few to meet each of them\n", operations);
        skipped++;
    } else if (failed == 0) {
        long missing = ways_not_met();
        printf("%s - outcomes: %ld of 10 were met\n", missing ? "not ok" : "ok", 10 - missing);
        passed += missing == 0;
        failed += missing != 0;
    }
    printf("model_pages: %ld passed, %ld failed, %ld skipped\n", passed, failed, skipped);
    return failed ? EXIT_DIFFERS : 0;
}
