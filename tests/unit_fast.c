// What the fast CPU kernels stand on: which keys a query sees, where rows lie, the pool of threads,
// the memory that is kept from pass to pass.
#define _XOPEN_SOURCE 700
#include "../chapters/06_paged_blocks/pages.h"
#include "../common/random.h"
#include "../kernels/cpu/blas.h"
#include "../kernels/cpu/kernels.h"
#include "../kernels/cpu/threads.h"
#include "../kernels/cpu/workspace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "child.h"

enum { ABORTED = 128 + SIGABRT };

// --- masks ---------------------------------------------------------------------------------------

static Mask random_mask(Random *r, long keys)
{
    return (Mask){.causal = random_below(r, 2), .window = random_below(r, keys + 4) - 2,
                  .prefix = random_below(r, keys + 4) - 2, .keys = random_below(r, keys + 1),
                  .offset = random_below(r, 12) - 6};
}

// The run of keys is what mask_allows allows, lies among the keys, and never goes back.
static void seen_is_what_the_mask_allows(void **state)
{
    enum { N = 9, KEYS = 11 };
    Random r = random_seed(3);
    (void)state;
    for (int round = 0; round < 20000; round++) {
        Mask m = random_mask(&r, KEYS);
        m.window = m.window < 0 ? -1 : m.window;
        m.prefix = m.prefix < 0 ? -1 : m.prefix;
        Seen before = {0, 0};
        for (long i = 0; i < N; i++) {
            Seen s = mask_seen(&m, i);
            assert_true(0 <= s.from && s.from <= s.to && s.to <= m.keys);
            assert_true(s.from >= before.from && s.to >= before.to);
            for (long j = 0; j < KEYS; j++)
                assert_int_equal(mask_allows(&m, i, j), s.from <= j && j < s.to);
            before = s;
        }
    }
}

// --- rows ----------------------------------------------------------------------------------------

static void rows_of_a_view(void **state)
{
    Tensor t = tensor_new(SHAPE(2, 3, 5, 4));
    Tensor part = tensor_slice(tensor_swap(t, 0, 1), 2, 1, 4); // [3, 2, 3, 4]
    Rows rows = pass_tensor(part);
    (void)state;
    for (long b = 0; b < 3; b++)
        for (long g = 0; g < 2; g++)
            for (long j = 0; j < 3; j++)
                assert_ptr_equal(row_of(&rows, b, g, j),
                                 row(tensor_at(tensor_at(part, b), g), j));
    rows.kept = KEPT_F16; // the same numbers of two bytes
    long at = 2 * part.stride[0] + part.stride[1] + 2 * part.stride[2];
    assert_int_equal((const char *)row_of(&rows, 2, 1, 2) - (const char *)rows.data, 2 * at);
    tensor_free(&t);
}

static void rows_of_pages(void **state)
{
    enum { G = 2, T = 3, TOKENS = 8 };
    Pool pool = pages_pool(5, G, T, 4, 4, 7);
    BlockTable table = pages_table(3);
    Tensor k = tensor_new(SHAPE(1, G, TOKENS, 4));
    (void)state;
    tensor_random(k, 1);
    assert_int_equal(pages_append(&pool, &table, k, k), PAGES_OK);
    Rows rows = pass_pages(pool.k, &table);
    for (long g = 0; g < G; g++)
        for (long j = 0; j < TOKENS; j++)
            assert_memory_equal(row_of(&rows, 0, g, j), row(tensor_at(tensor_at(k, 0), g), j), 16);
    assert_int_equal(rows_together(&rows, 0), 3);
    assert_int_equal(rows_together(&rows, 5), 1);
    pages_free_table(&table);
    pages_free_pool(&pool);
    tensor_free(&k);
}

// --- threads -------------------------------------------------------------------------------------

typedef struct {
    atomic_int calls[MOST_THREADS];
    atomic_long sum;
} Job;

static void count_call(void *argument, int thread)
{
    Job *job = argument;
    atomic_fetch_add(&job->calls[thread], 1);
    atomic_fetch_add(&job->sum, thread + 1);
}

// Every thread is called once a job, however often their number changes.
static void every_thread_is_called_once(void **state)
{
    static const int counts[] = {1, 4, 2, 7, 3, 7, 1, 5};
    static Job job;
    (void)state;
    for (int round = 0; round < 400; round++) {
        int count = counts[round % 8];
        memset(&job, 0, sizeof job);
        threads_set(count);
        assert_int_equal(threads_count(), count);
        threads_run(count_call, &job);
        for (int t = 0; t < count; t++)
            assert_int_equal(atomic_load(&job.calls[t]), 1);
        assert_int_equal(atomic_load(&job.sum), (long)count * (count + 1) / 2);
    }
}

static void ask_for_none(const char *unused)
{
    (void)unused;
    threads_set(0);
}

static void no_threads_at_all_is_a_bug(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(ask_for_none, NULL, text), ABORTED);
}

// --- the workspace -------------------------------------------------------------------------------

static void workspace_is_counted_and_kept(void **state)
{
    long live = tensor_live_bytes();
    (void)state;
    float *room = workspace_take(1000);
    assert_int_equal((uintptr_t)room % (1 << 21), 0);
    assert_int_equal(tensor_live_bytes(), live + 4000);
    room[999] = 7;
    workspace_give(1000);
    assert_int_equal(tensor_live_bytes(), live);
    float *again = workspace_take(500); // less fits: the same memory
    assert_ptr_equal(again, room);
    assert_true(again[999] == 7.0f);
    workspace_give(500);
}

static void take_twice(const char *unused)
{
    (void)unused;
    workspace_take(10);
    workspace_take(10);
}

static void give_nothing(const char *unused)
{
    (void)unused;
    workspace_give(10);
}

static void ask_for_too_much(const char *unused)
{
    (void)unused;
    workspace_take(1l << 45);
}

static void workspace_is_one_at_a_time(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(take_twice, NULL, text), ABORTED);
    assert_int_equal(child(give_nothing, NULL, text), ABORTED);
    assert_int_equal(child(ask_for_too_much, NULL, text), EXIT_MEMORY);
}

// --- OpenBLAS ------------------------------------------------------------------------------------

// C = A B, or A B^T, of views with strides of their own, whole numbers: exact in any order, whoever
// multiplies. What lies around the views stays.
static void products_are_exact(void **state)
{
    static const long sizes[] = {1, 2, 3, 8, 17, 40};
    Tensor a = tensor_new(SHAPE(40, 50)), b = tensor_new(SHAPE(50, 50));
    Tensor c = tensor_new(SHAPE(40, 50));
    Random r = random_seed(5);
    (void)state;
    for (long i = 0; i < tensor_count(a); i++)
        a.data[i] = (float)(random_below(&r, 19) - 9);
    for (long i = 0; i < tensor_count(b); i++)
        b.data[i] = (float)(random_below(&r, 19) - 9);
    for (int round = 0; round < 200; round++) {
        long n = sizes[random_below(&r, 6)], m = sizes[random_below(&r, 6)];
        long depth = sizes[random_below(&r, 6)], turned = random_below(&r, 2);
        Tensor x = tensor_slice(tensor_slice(a, 0, 0, n), 1, 3, 3 + depth);
        Tensor y = tensor_slice(tensor_slice(b, 0, 0, turned ? m : depth), 1, 2,
                                2 + (turned ? depth : m));
        Tensor z = tensor_slice(tensor_slice(c, 0, 0, n), 1, 1, 1 + m);
        tensor_fill(c, 0.5f);
        blas_multiply(z, x, y, turned);
        for (long i = 0; i < 40; i++)
            for (long j = 0; j < 50; j++) {
                float sum = i < n && 1 <= j && j < 1 + m ? 0.0f : 0.5f;
                for (long d = 0; sum != 0.5f && d < depth; d++)
                    sum += row(x, i)[d] * (turned ? row(y, j - 1)[d] : row(y, d)[j - 1]);
                assert_true(row(c, i)[j] == sum);
            }
    }
    assert_true(strlen(blas_name()) > 0);
    tensor_free(&a), tensor_free(&b), tensor_free(&c);
}

// --- instruction sets ----------------------------------------------------------------------------

// The last of the list runs everywhere; what runs is chosen from the front.
static void the_best_set_comes_first(void **state)
{
    int n = 0;
    (void)state;
    while (isa_at(n))
        n++;
    assert_true(n >= 2 && isa_runs(isa_at(n - 1)));
    for (int i = 0; isa_at(i) != isa_best(); i++)
        assert_false(isa_runs(isa_at(i)));
    isa_choose(isa_at(n - 1));
    assert_ptr_equal(isa_best(), isa_at(n - 1));
    isa_choose(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seen_is_what_the_mask_allows),
        cmocka_unit_test(rows_of_a_view),
        cmocka_unit_test(rows_of_pages),
        cmocka_unit_test(no_threads_at_all_is_a_bug),
        cmocka_unit_test(workspace_is_counted_and_kept),
        cmocka_unit_test(workspace_is_one_at_a_time),
        cmocka_unit_test(products_are_exact),
        cmocka_unit_test(the_best_set_comes_first),
        cmocka_unit_test(every_thread_is_called_once), // last: children would have no threads
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
