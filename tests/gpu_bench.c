// The kernels on problems that stay on the device: right, the same every time, how fast.
//
//     gpu_bench check  [FLAGS]    each kernel against float64: an ok or not ok line each
//     gpu_bench repeat [FLAGS]    1000 runs of each kernel: the same bits every time?
//     gpu_bench once   [FLAGS]    each kernel once on two problems, for a profiler to watch
//     gpu_bench time   [FLAGS]    CSV: milliseconds, TFLOP/s, GB/s; the limits of the same run
//     gpu_bench shapes [FLAGS]    the problems of `time`, as CSV
//     gpu_bench names             the kernels
//
//     --tiny            problems for the emulator
//     --only NAME       one kernel;  --without A,B  not these
//     --seconds S       `time` starts no new measurement after that
//
// Exits with 1 if a kernel failed. A launch that breaks the device ends the program: the row of
// `time` and the last line of the others name the kernel, to be left out of another run.

#include "gpu_bench.h"

#include <stdlib.h>
#include <string.h>

Flags flags = {.seconds = 1e9, .repeats = 1000};
long failures;

// --- which kernels, which problems ---------------------------------------------------------------

// Is `name` one of those in `list`, separated by commas?
static bool is_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; at && (at = strstr(at, name)); at += n)
        if ((at == list || at[-1] == ',') && (at[n] == ',' || !at[n]))
            return true;
    return false;
}

bool is_wanted(const Solver *w, const Problem *p)
{
    return solver_applies(w, p) && (!flags.only || strcmp(flags.only, w->name) == 0) &&
           !is_listed(flags.without, w->name);
}

static int add(Shape *list, int count, Shape s)
{
    CHECK(count < MOST_SHAPES, "more than %d problems", MOST_SHAPES);
    list[count] = s;
    return count + 1;
}

// What is timed: prefill with 16384 tokens and H D = 2048 in all, as the papers on flash attention
// do it; decode from 1 to 4.3 GB of keys and values, far beyond any L2.
int timed_shapes(Shape list[MOST_SHAPES])
{
    static const int lengths[] = {1024, 4096, 16384, 2048, 8192};
    int n = 0;
    if (flags.tiny) {
        n = add(list, n, (Shape){2, 2, 1, 33, 33, 64, true});
        return add(list, n, (Shape){2, 4, 2, 1, 160, 32, false});
    }
    for (int i = 0; i < 5; i++)
        for (int D = 64; D <= 128; D += 64)
            for (int causal = 0; causal < 2; causal++)
                n = add(list, n, (Shape){16384 / lengths[i], 2048 / D, 2048 / D, lengths[i],
                                         lengths[i], D, causal});
    n = add(list, n, (Shape){32, 32, 8, 1, 16384, 128, false});
    n = add(list, n, (Shape){64, 32, 32, 1, 4096, 64, false});
    n = add(list, n, (Shape){8, 32, 8, 1, 16384, 128, false});
    return add(list, n, (Shape){1, 32, 8, 1, 131072, 128, false});
}

// What is checked: tiles that are full, that are not, that are alone; heads that share.
static int checked_shapes(Shape *list)
{
    int n = 0;
    n = add(list, n, (Shape){1, 2, 1, 64, 64, 64, true});
    n = add(list, n, (Shape){2, 2, 2, 33, 47, 64, false});
    n = add(list, n, (Shape){1, 4, 2, 1, 160, 64, false});
    if (flags.tiny)
        return n;
    n = add(list, n, (Shape){2, 8, 2, 511, 511, 64, true});
    n = add(list, n, (Shape){1, 8, 8, 1024, 1024, 128, false});
    n = add(list, n, (Shape){1, 4, 4, 1025, 1025, 128, true});
    return add(list, n, (Shape){4, 16, 4, 1, 4096, 128, false});
}

// What a profiler and the emulator both count.
static int counted_shapes(Shape *list)
{
    int n = add(list, 0, (Shape){1, 2, 1, 128, 128, 64, true});
    return add(list, n, (Shape){1, 4, 2, 1, 512, 64, false});
}

void print_shape(const Shape *s)
{
    printf("%s,%d,%d,%d,%d,%d,%d,%s", s->N == 1 ? "decode" : "prefill", s->B, s->H, s->G, s->N,
           s->M, s->D, s->causal ? "causal" : "full");
}

static void print_shapes(void)
{
    Shape list[MOST_SHAPES];
    int n = timed_shapes(list);
    printf("what,B,H,G,N,M,D,mask\n");
    for (int i = 0; i < n; i++) {
        print_shape(&list[i]);
        printf("\n");
    }
}

// --- one launch ----------------------------------------------------------------------------------

cudaError_t launch_and_wait(const Solver *w, Problem *p)
{
    problem_prepare(p, w);
    fprintf(stderr, "gpu_bench: %s\n", w->name); // whoever hangs has been named
    cudaError_t error = solve(w, p), later = cudaStreamSynchronize(device_stream());
    if (error == cudaErrorNotSupported)
        cudaGetLastError(); // not to be found by the next one
    return error != cudaSuccess ? error : later;
}

// The words of a check's line behind its verdict.
static void print_problem(const char *what, const Solver *w, const Problem *p)
{
    const Shape *s = &p->shape;
    printf("%s %s B=%d H=%d G=%d N=%d M=%d D=%d%s", what, w->name, s->B, s->H, s->G, s->N, s->M,
           s->D, s->causal ? " causal" : "");
}

// A kernel that failed in a way that the device does not survive.
static void give_up(const char *what, const Solver *w, const Problem *p, cudaError_t error)
{
    printf("not ok - ");
    print_problem(what, w, p);
    printf(": %s\n", cudaGetErrorString(error));
    exit(EXIT_DIFFERS);
}

static void check(const Solver *w, Problem *p)
{
    problem_poison(p);
    cudaError_t error = launch_and_wait(w, p);
    if (error == cudaErrorNotSupported) {
        printf("skip - ");
        print_problem("check", w, p);
        printf(": not for this device or shape\n");
        return;
    }
    if (error != cudaSuccess)
        give_up("check", w, p, error);
    double off = problem_error(p, w);
    bool good = off <= solver_bound(w);
    printf("%s - ", good ? "ok" : "not ok");
    print_problem("check", w, p);
    printf(": off by %.2g, bound %.2g\n", off, solver_bound(w));
    failures += !good;
}

// --- the same bits every time ----------------------------------------------------------------

static Tensor fetch(const Problem *p)
{
    const Shape *s = &p->shape;
    Tensor t = tensor_new(SHAPE((long)s->B * s->H * s->N, s->D));
    device_download(t, p->out);
    return t;
}

// A race that no result has shown yet moves a last bit now and then.
static void repeat(const Solver *w, Problem *p)
{
    long differ = 0;
    problem_poison(p);
    cudaError_t error = launch_and_wait(w, p);
    if (error == cudaErrorNotSupported)
        return;
    if (error != cudaSuccess)
        give_up("repeat", w, p, error);
    Tensor first = fetch(p);
    for (long i = 1; i < flags.repeats; i++) {
        problem_poison(p);
        error = solve(w, p);
        if (error != cudaSuccess)
            give_up("repeat", w, p, error);
        Tensor again = fetch(p);
        differ += memcmp(first.data, again.data,
                         (size_t)tensor_count(first) * sizeof *first.data) != 0;
        tensor_free(&again);
    }
    tensor_free(&first);
    printf("%s - ", differ ? "not ok" : "ok");
    print_problem("repeat", w, p);
    printf(": %ld of %ld runs differ from the first\n", differ, flags.repeats - 1);
    failures += differ > 0;
}

// Without a check: only the kernels themselves are launched.
static void once(const Solver *w, Problem *p)
{
    cudaError_t error = launch_and_wait(w, p);
    if (error != cudaSuccess && error != cudaErrorNotSupported)
        give_up("once", w, p, error);
}

static void each(int (*shapes)(Shape *), void (*try)(const Solver *, Problem *))
{
    Shape list[MOST_SHAPES];
    int n = shapes(list);
    for (int i = 0; i < n; i++) {
        Problem p = problem_make(&list[i]);
        for (int w = 0; w < solver_count; w++)
            if (is_wanted(&solvers[w], &p))
                try(&solvers[w], &p);
        problem_free(&p);
    }
}

// --- the command line --------------------------------------------------------------------------

static void read_flags(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--tiny") == 0) {
            flags.tiny = true;
            flags.repeats = 3;
            continue;
        }
        if (strcmp(argv[i], "--only") == 0)
            flags.only = value;
        else if (strcmp(argv[i], "--without") == 0)
            flags.without = value;
        else if (strcmp(argv[i], "--seconds") == 0 && atof(value) > 0)
            flags.seconds = atof(value);
        else
            refuse(EXIT_USAGE, "%s %s: no such flag, or not its value", argv[i], value);
        i++;
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    fail_program("gpu_bench");
    setvbuf(stdout, NULL, _IOLBF, 0);
    read_flags(argc, argv);
    if (strcmp(mode, "shapes") == 0) {
        print_shapes();
        return 0;
    }
    if (strcmp(mode, "names") == 0) {
        for (int w = 0; w < solver_count; w++)
            printf("%s\n", solvers[w].name);
        return 0;
    }
    bool timed = strcmp(mode, "time") == 0; // arrays that cannot be in a cache in part
    problem_start(flags.tiny ? 65521 : timed ? 16777213 : 1048573);
    if (strcmp(mode, "check") == 0)
        each(checked_shapes, check);
    else if (strcmp(mode, "repeat") == 0)
        each(counted_shapes, repeat);
    else if (strcmp(mode, "once") == 0)
        each(counted_shapes, once);
    else if (strcmp(mode, "time") == 0)
        time_all();
    else
        refuse(EXIT_USAGE, "expected check, repeat, once, time, shapes or names, got \"%s\"", mode);
    problem_stop();
    return failures ? EXIT_DIFFERS : 0;
}
