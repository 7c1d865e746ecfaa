// Each step: admit who fits, give every running request its next token, look, let go who is done.

#include "workload.h"

#include "pages.h"

#include "../../common/random.h"

#include <stdbool.h>
#include <stdlib.h>

// --- requests ------------------------------------------------------------------------------

typedef struct {
    long prompt, final; // tokens at the start and at the end
    long arrives;       // the step in which it joins the queue
    long held;          // tokens so far, the prompt's included; kept when it is preempted
    bool running;
    long at, room;      // one piece of the memory: where and how long
    BlockTable table;   // paged: its blocks
} Request;

// Between 2^low and 2^high, every doubling equally likely: many are short, a few very long.
static long spread(Random *r, long low, long high)
{
    long octave = low + random_below(r, high - low); // integers only: the same everywhere
    return (1L << octave) + random_below(r, 1L << octave);
}

// Seven of eight are chats; the eighth brings a document. The times between arrivals are short
// enough that every scheme has a queue.
static Request *new_requests(uint64_t seed)
{
    Random r = random_seed(seed);
    Request *requests = calloc(REQUESTS, sizeof *requests);
    long now = 0;
    if (!requests)
        refuse(EXIT_MEMORY, "out of memory: %d requests", REQUESTS);
    for (long i = 0; i < REQUESTS; i++) {
        bool document = random_below(&r, 8) == 0;
        long prompt = document ? spread(&r, 9, 11) : spread(&r, 3, 9);
        long output = document ? spread(&r, 4, 8) : spread(&r, 4, 10);
        now += random_below(&r, 4) == 0; // four requests a step
        requests[i].arrives = now;
        requests[i].prompt = requests[i].held = prompt < LONGEST - 16 ? prompt : LONGEST - 16;
        requests[i].final = requests[i].prompt + output;
        if (requests[i].final > LONGEST)
            requests[i].final = LONGEST;
    }
    return requests;
}

static int compare_longs(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

// The requests sorted by length, so that the median can be read off.
Mix workload_mix(uint64_t seed)
{
    Request *requests = new_requests(seed);
    long lengths[REQUESTS];
    Mix mix = {0};
    for (long i = 0; i < REQUESTS; i++) {
        lengths[i] = requests[i].final;
        mix.prompts += requests[i].prompt;
        mix.outputs += requests[i].final - requests[i].prompt;
    }
    qsort(lengths, REQUESTS, sizeof *lengths, compare_longs);
    mix.shortest = lengths[0];
    mix.median = lengths[REQUESTS / 2];
    mix.mean = (mix.prompts + mix.outputs) / REQUESTS;
    mix.longest = lengths[REQUESTS - 1];
    free(requests);
    return mix;
}

// --- memory in one piece, first fit ----------------------------------------------------------

typedef struct {
    long at, size;
} Hole;

// The holes between the pieces that are taken, by address; two never touch.
typedef struct {
    Hole holes[REQUESTS + 1];
    long count, free;
} Arena;

static void remove_hole(Arena *a, long i)
{
    a->count--;
    for (; i < a->count; i++)
        a->holes[i] = a->holes[i + 1];
}

// The address of `size` tokens in the first hole that is large enough, or -1. The holes stand in
// the order of their addresses: pieces crowd at the start, large holes stay at the end.
static long arena_take(Arena *a, long size)
{
    for (long i = 0; i < a->count; i++)
        if (a->holes[i].size >= size) {
            long at = a->holes[i].at;
            a->holes[i].at += size;
            a->holes[i].size -= size;
            a->free -= size;
            if (a->holes[i].size == 0)
                remove_hole(a, i);
            return at;
        }
    return -1;
}

// Gives a piece back and joins it with the holes on either side.
static void arena_give(Arena *a, long at, long size)
{
    long i = 0;
    while (i < a->count && a->holes[i].at < at)
        i++;
    CHECK(a->count <= REQUESTS, "%ld holes", a->count);
    for (long j = a->count++; j > i; j--)
        a->holes[j] = a->holes[j - 1];
    a->holes[i] = (Hole){at, size};
    a->free += size;
    if (i + 1 < a->count && at + size == a->holes[i + 1].at) {
        a->holes[i].size += a->holes[i + 1].size;
        remove_hole(a, i + 1);
    }
    if (i > 0 && a->holes[i - 1].at + a->holes[i - 1].size == at) {
        a->holes[i - 1].size += a->holes[i].size;
        remove_hole(a, i);
    }
}

static long arena_largest(const Arena *a)
{
    long largest = 0;
    for (long i = 0; i < a->count; i++)
        largest = a->holes[i].size > largest ? a->holes[i].size : largest;
    return largest;
}

// --- room for a request ------------------------------------------------------------------------

// The memory is the arena or the pool, never both.
typedef struct {
    Room  how;
    Arena arena;
    Pool  pool;
    Tensor tokens; // [1, 1, LONGEST, 1]: what is appended to the pages; its contents do not matter
    Request *requests;
    long next;     // the first request that waits, unless it has left already
    Tally tally;
} Server;

// The tokens that a request asks for in order to hold `tokens`. The less a scheme knows of what
// will come, the more it must take; paged knows nothing either, and takes T - 1 too many at most.
static long asks(const Server *s, const Request *r, long tokens)
{
    long room = 1;
    switch (s->how) {
    case ROOM_PREALLOC:
        return LONGEST;
    case ROOM_ORACLE:
        return r->final;
    case ROOM_GROW:
        while (room < tokens)
            room *= 2;
        return room;
    case ROOM_PAGED:
        break;
    }
    return (tokens + s->pool.T - 1) / s->pool.T * s->pool.T;
}

// Another piece, large enough, and what was held is copied there. The old piece is given back
// only then: for a moment both are needed.
static bool move_out(Server *s, Request *r, long tokens)
{
    long size = asks(s, r, tokens), at = arena_take(&s->arena, size);
    if (at < 0)
        return false;
    if (r->room > 0) {
        s->tally.copied += tokens - 1;
        arena_give(&s->arena, r->at, r->room);
    }
    r->at = at;
    r->room = size;
    return true;
}

// Makes room for `tokens` in all. false: there is none, and nothing has changed.
static bool reserve(Server *s, Request *r, long tokens)
{
    if (s->how != ROOM_PAGED)
        return tokens <= r->room || move_out(s, r, tokens);
    // The pages take a new block only where the last one is full.
    Tensor fresh = tensor_slice(s->tokens, 2, 0, tokens - r->table.len); // [1, 1, n, 1]
    PagesStatus status = pages_append(&s->pool, &r->table, fresh, fresh);
    CHECK(status != PAGES_TABLE_FULL, "a request of %ld tokens", tokens);
    r->room = pages_count(&s->pool, &r->table) * s->pool.T;
    return status == PAGES_OK;
}

// Gives back all that a request has.
static void leave(Server *s, Request *r)
{
    if (s->how == ROOM_PAGED) {
        PagesStatus status = pages_clear(&s->pool, &r->table);
        CHECK(status == PAGES_OK, "a request leaves: %s", pages_message(status));
    } else
        arena_give(&s->arena, r->at, r->room);
    r->room = 0;
    r->running = false;
}

// Free in all, wherever it lies.
static long free_tokens(const Server *s)
{
    return s->how == ROOM_PAGED ? s->pool.free_count * s->pool.T : s->arena.free;
}

// The longest piece that a request could be given; any free blocks make one.
static long largest_piece(const Server *s)
{
    return s->how == ROOM_PAGED ? free_tokens(s) : arena_largest(&s->arena);
}

// --- one step ----------------------------------------------------------------------------------

// Has it all its tokens? (Asked of requests that do not run.)
static bool has_left(const Request *r)
{
    return r->held == r->final;
}

// The first request in the queue, or NULL. All that run came before it: requests enter in order,
// and the last to enter is the first to be sent back.
static Request *first_waiting(Server *s, long now)
{
    while (s->next < REQUESTS && has_left(&s->requests[s->next]))
        s->next++;
    Request *r = &s->requests[s->next];
    return s->next < REQUESTS && r->arrives <= now ? r : NULL;
}

// Does the next request leave enough for those that run and will ask for more? One token in a
// hundred stays free, or whoever was let in would be sent back a few steps later. (vLLM does the
// same and calls it a watermark.)
static bool may_enter(const Server *s, const Request *r)
{
    bool asks_again = s->how == ROOM_GROW || s->how == ROOM_PAGED;
    return !asks_again || free_tokens(s) - asks(s, r, r->held + 1) >= MEMORY / 100;
}

// In the order of arrival, and no one overtakes: when the first does not fit, the rest wait too.
static void admit(Server *s, long now)
{
    Request *r = first_waiting(s, now);
    while (r && may_enter(s, r) && reserve(s, r, r->held + 1)) {
        r->running = true;
        s->next++;
        r = first_waiting(s, now);
    }
}

// Memory ran out: the request that came last goes back to the head of the queue. It will have to
// compute all that it held again. (vLLM's recomputation, section 4.5 of the paper.)
static Request *preempt(Server *s)
{
    do
        s->next--;
    while (!s->requests[s->next].running);
    Request *r = &s->requests[s->next];
    s->tally.preempted++;
    s->tally.recomputed += r->held;
    leave(s, r);
    return r;
}

// Every request that runs gets its next token, the oldest first.
static void decode(Server *s)
{
    for (long i = 0; i < s->next; i++) {
        Request *r = &s->requests[i];
        if (!r->running)
            continue;
        while (r->running && !reserve(s, r, r->held + 1))
            preempt(s); // itself, if it is the last to have come
        r->held += r->running;
    }
}

// Where every token of the memory is in this step: held, or reserved inside of a request's room
// (internal waste), or free. What is free is external waste where its pieces are too small.
static void measure(Server *s, const Request *waiting)
{
    long used = 0, later = 0, never = 0, running = 0, entries = 0, left = free_tokens(s);
    for (long i = 0; i < s->next; i++) {
        const Request *r = &s->requests[i];
        if (!r->running)
            continue;
        long reach = r->room < r->final ? r->room : r->final; // what it will fill of its room
        used += r->held;
        later += reach - r->held;
        never += r->room - reach;
        running++;
        entries += s->how == ROOM_PAGED ? r->room / s->pool.T : 1;
    }
    CHECK(used + later + never + left == MEMORY, "%ld tokens of %d are accounted for",
          used + later + never + left, MEMORY);
    Tally *t = &s->tally;
    t->peak = running > t->peak ? running : t->peak;
    t->entries = entries > t->entries ? entries : t->entries;
    if (!waiting) // the arrivals, not the memory, decide how many run
        return;
    long need = asks(s, waiting, waiting->held + 1);
    bool scattered = left >= need && largest_piece(s) < need;
    t->used += used, t->later += later, t->never += never;
    t->scattered += scattered ? left : 0;
    t->left += scattered ? 0 : left;
    t->running += running;
    t->loaded++;
}

// Requests that have all their tokens leave at the end of the step. Returns how many.
static long let_go(Server *s)
{
    long gone = 0;
    for (long i = 0; i < s->next; i++)
        if (s->requests[i].running && has_left(&s->requests[i])) {
            leave(s, &s->requests[i]);
            gone++;
        }
    return gone;
}

// --- a whole run -------------------------------------------------------------------------------

static void open_memory(Server *s, long T)
{
    if (s->how != ROOM_PAGED) {
        arena_give(&s->arena, 0, MEMORY); // one hole
        return;
    }
    // One KV head with one float a token: blocks are handed out alike, whatever they hold.
    s->pool = pages_pool(MEMORY / T, 1, T, 1, 1, 0);
    s->tokens = tensor_new(SHAPE(1, 1, LONGEST, 1));
    for (long i = 0; i < REQUESTS; i++)
        s->requests[i].table = pages_table(LONGEST / T + 1); // long enough: only the pool runs out
}

// What was reserved must be back: a token that is missing would be a leak.
static void close_memory(Server *s)
{
    CHECK(free_tokens(s) == MEMORY, "%ld of %d tokens came back", free_tokens(s), MEMORY);
    if (s->how != ROOM_PAGED)
        return;
    for (long i = 0; i < REQUESTS; i++)
        pages_free_table(&s->requests[i].table);
    tensor_free(&s->tokens);
    pages_free_pool(&s->pool);
}

Tally workload_serve(uint64_t seed, Room how, long T)
{
    Server s = {.how = how, .requests = new_requests(seed)};
    open_memory(&s, T);
    for (long gone = 0; gone < REQUESTS; s.tally.steps++) {
        admit(&s, s.tally.steps);
        decode(&s);
        // Looked at when it is fullest: after the new tokens, before anybody leaves.
        measure(&s, first_waiting(&s, s.tally.steps));
        gone += let_go(&s);
        CHECK(s.tally.steps < LONGEST * REQUESTS / 16, "%ld requests stay", REQUESTS - gone);
    }
    close_memory(&s);
    free(s.requests);
    return s.tally;
}
