// One kernel launch from beginning to end: a real device's limits, then the blocks handed out to
// OS threads, then the counts of all of them added up.

#define _GNU_SOURCE
#include "inside.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

Launch launch; // one kernel at a time, so that one is enough
__thread Worker *simt_worker;
Settings settings;
static simt_stats last; // the latest launch
static Worker *workers[MAX_WORKERS]; // made when first needed, never freed

// --- settings --------------------------------------------------------------------------------

// A number from the environment, or the program ends: a typing mistake must not become a default.
// `!(value >= 0)` and not `value < 0`: strtod reads "nan", too, and that is neither.
static double number(const char *name, double otherwise)
{
    const char *text = getenv(name);
    char *end;
    double value = text ? strtod(text, &end) : otherwise;
    if (text && (end == text || *end || !(value >= 0))) {
        fprintf(stderr, "simt: %s: expected a number, got '%s'\n", name, text);
        exit(2);
    }
    return value;
}

// SIMT_TRACE_WARP=BLOCK,WARP, two whole numbers and nothing else.
static void read_traced_warp(void)
{
    const char *text = getenv("SIMT_TRACE_WARP");
    long block = -1, warp = -1;
    char more;
    // Nine digits fit into any long; %c must find nothing behind them.
    if (text && (text[strspn(text, "0123456789,")] ||
                 sscanf(text, "%9ld,%9ld%c", &block, &warp, &more) != 2)) {
        fprintf(stderr, "simt: SIMT_TRACE_WARP: expected BLOCK,WARP, got '%s'\n", text);
        exit(2);
    }
    settings.trace_block = block;
    settings.trace_warp = warp;
}

// Once, when the first launch or the first question comes.
void settings_read(void)
{
    static bool known;
    if (known)
        return;
    known = true;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    simt_set_threads((int)number("SIMT_THREADS", cores > 0 ? (double)cores : 1));
    settings.devices = number("SIMT_DEVICES", 1) > 0;
    settings.memory = (size_t)number("SIMT_MEMORY", (double)ARENA); // bytes, as is the cache's size
    settings.cache = (size_t)number("SIMT_CACHE", 0);
    settings.cache_keep = number("SIMT_CACHE_KEEP", 0) > 0;
    settings.sites = number("SIMT_SITES", 0) > 0;
    settings.table = number("SIMT_TABLE", 0) > 0;
    settings.steps = (uint64_t)number("SIMT_STEPS", 2e8); // basic blocks
    settings.patience = number("SIMT_SECONDS", 60); // seconds
    settings.counts = getenv("SIMT_COUNTS");
    read_traced_warp();
    atexit(tables_exit);
}

// At most 16: each has a thousand stacks.
void simt_set_threads(int threads)
{
    settings_read();
    settings.threads = threads < 1 ? 1 : threads > MAX_WORKERS ? MAX_WORKERS : threads;
}

// What a program's flags ask for, after the environment: the later word counts (simt.h).
void simt_set_cache(size_t bytes)
{
    settings_read();
    settings.cache = bytes;
}

int simt_devices(void)
{
    settings_read();
    return settings.devices;
}

size_t simt_cache(void)
{
    settings_read();
    return settings.cache;
}

void simt_set_trace(long block, long warp)
{
    settings_read();
    settings.trace_block = block;
    settings.trace_warp = warp;
}

void simt_set_sites(int on)
{
    settings_read();
    settings.sites = on;
}

// For tests, as SIMT_CACHE_KEEP does it for a whole program.
void simt_keep_cache(int keep)
{
    settings_read();
    settings.cache_keep = keep != 0;
}

// --- limits ----------------------------------------------------------------------------------

// A launch beyond a limit does not run at all, and only cudaGetLastError() tells: hence the line.
static int refuse_launch(int code, const char *name, const char *why, double is, double limit)
{
    fprintf(stderr, "simt: LAUNCH REFUSED: kernel %s: %s: %.0f, at most %.0f\n", name, why, is,
            limit);
    return code;
}

// Shared memory of a block: its own __shared__ arrays and what the launch asks for. 48 KiB
// together, and up to 227 KiB for a kernel that asked with cudaFuncSetAttribute.
// (CUDA C++ Programming Guide, "Shared Memory", for compute capability 9.x.) Without
// the check, a kernel that forgot to ask would give good results here and not run on a GPU.
static int check_shared(const simt_kernel *k)
{
    size_t statics = kernel_statics(k->kernel), allowed = simt_shared_limit(k->kernel);
    size_t most = allowed > MAX_STATIC ? MAX_SHARED : MAX_STATIC;
    if (k->shared_bytes > allowed)
        return refuse_launch(ERROR_VALUE, k->name, "bytes of dynamic shared memory "
                             "(cudaFuncSetAttribute allows up to 227 KiB)",
                             (double)k->shared_bytes, (double)allowed);
    if (statics + k->shared_bytes > most)
        return refuse_launch(ERROR_VALUE, k->name, "bytes of shared memory, its own arrays and "
                             "the dynamic part together", (double)(statics + k->shared_bytes),
                             (double)most);
    return 0;
}

// What an H100 (sm_90) allows: CUDA C++ Programming Guide, "Compute Capabilities", table of
// technical specifications. Threads and grids are the same from sm_30 on; an A100 (sm_80) has
// 163 KiB of shared memory for a block instead of 227.
static int check_limits(const simt_kernel *k)
{
    if (!in_program((uintptr_t)k->kernel)) { // shared.c and where.c know the program alone
        fprintf(stderr, "simt: LAUNCH REFUSED: kernel %s lies in a shared library: link kernels "
                "into the program itself\n", k->name);
        return ERROR_FUNCTION;
    }
    const simt_dim g = k->grid, b = k->block;
    const struct {
        const char *why;
        double is, limit;
    } rule[] = {
        // As doubles: the product of three unsigned numbers may not fit into 32 bits.
        {"threads in a block", (double)b.x * b.y * b.z, MAX_THREADS},
        {"blockDim.x", b.x, 1024}, {"blockDim.y", b.y, 1024}, {"blockDim.z", b.z, 64},
        {"gridDim.x", g.x, 2147483647}, {"gridDim.y", g.y, 65535}, {"gridDim.z", g.z, 65535},
    };
    for (size_t i = 0; i < sizeof rule / sizeof rule[0]; i++)
        if (rule[i].is > rule[i].limit)
            return refuse_launch(ERROR_CONFIGURATION, k->name, rule[i].why, rule[i].is,
                                 rule[i].limit);
    if (!g.x || !g.y || !g.z || !b.x || !b.y || !b.z) {
        fprintf(stderr, "simt: LAUNCH REFUSED: kernel %s: grid (%u,%u,%u) of blocks (%u,%u,%u): "
                "no size may be 0\n", k->name, g.x, g.y, g.z, b.x, b.y, b.z);
        return ERROR_CONFIGURATION;
    }
    // CUDA allows more; a block's number has 32 bits here, and `next` runs on a little beyond the
    // last one, once for every OS thread.
    double blocks = (double)g.x * g.y * g.z;
    if (blocks > 4e9)
        return refuse_launch(ERROR_CONFIGURATION, k->name, "blocks, here", blocks, 4e9);
    return check_shared(k);
}

// --- workers ---------------------------------------------------------------------------------

static void *allocate(size_t n, size_t bytes)
{
    void *p = calloc(n, bytes);
    if (!p) {
        fprintf(stderr, "simt: out of memory\n");
        exit(5);
    }
    return p;
}

// An OS thread's room: stacks and shared memory are addresses first, and become memory when
// touched.
// 1024 stacks of 128 KiB are 128 MiB of addresses; a kernel with 64 threads touches few of them.
// A worker lives as long as the program: the next launch finds its room ready.
static Worker *worker_new(int index)
{
    Worker *w = allocate(1, sizeof *w);
    w->index = index;
    w->thread = allocate(MAX_THREADS, sizeof *w->thread);
    w->warp = allocate(MAX_WARPS, sizeof *w->warp);
    w->stacks = reserve((size_t)MAX_THREADS * STACK_BYTES);
    w->shared = reserve(MAX_SHARED + 4096);
    async_worker(w);
    return w;
}

// The lowest page of every stack is forbidden: a stack that grows into it stops (stop.c).
// Without it, a thread's deep recursion would quietly write into its neighbour's stack.
static void guard_stacks(Worker *w)
{
    for (; w->guarded < launch.threads; w->guarded++)
        mprotect(w->stacks + (size_t)w->guarded * STACK_BYTES, 4096, PROT_NONE);
}

// One OS thread: takes the next block that nobody has taken, until there is none.
// Blocks are taken one at a time, not shared out before: some end early, as the blocks of a causal
// mask do. An error that kills the kernel leaves the remaining blocks undone.
static void *work(void *argument)
{
    Worker *w = argument;
    unsigned block;
    simt_worker = w;
    w->statics = shared_find();
    race_worker(w);
    watch_worker(w, true);
    while (!launch.stopped && (block = atomic_fetch_add(&launch.next, 1)) < launch.blocks) {
        run_block(w, block);
        cache_block_ends(w);
    }
    watch_worker(w, false);
    simt_worker = NULL;
    return NULL;
}

// Blocks are independent of each other, so any worker may take any block. The calling thread
// is the first worker: a debugger sees the kernel where it was launched.
// If the system gives fewer OS threads than asked for, those that run do all the blocks.
static int run_blocks(void)
{
    pthread_t thread[MAX_WORKERS];
    int n = (unsigned)settings.threads < launch.blocks ? settings.threads : (int)launch.blocks;
    for (int i = 0; i < n; i++) {
        workers[i] = workers[i] ? workers[i] : worker_new(i);
        guard_stacks(workers[i]);
        account_begin(workers[i]);
    }
    for (int i = 1; i < n; i++)
        if (pthread_create(&thread[i], NULL, work, workers[i]) != 0)
            n = i;
    work(workers[0]);
    for (int i = 1; i < n; i++)
        pthread_join(thread[i], NULL);
    return n;
}

// Seconds from some moment on, for stats.seconds alone.
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// What all workers share, set before the first of them starts.
static void prepare(const simt_kernel *k)
{
    launch.kernel = *k;
    launch.threads = (int)(k->block.x * k->block.y * k->block.z);
    launch.warps = (launch.threads + LANES - 1) / LANES; // the last may be partly empty
    launch.blocks = k->grid.x * k->grid.y * k->grid.z;
    launch.next = 0;
    launch.stopped = 0;
    launch.error = 0;
    report_begin();
    race_launch();
    cache_begin(launch.blocks);
    watch_begin();
}

// The whole launch, before it returns: on a GPU it would only have been queued. A device that is
// lost to an earlier error takes none.
// The order matters: a name first, so that even a refusal says which kernel. A launch has no answer
// in CUDA; the code waits for cudaGetLastError() (CUDA C++ Programming Guide, "Error Checking").
int simt_launch(const simt_kernel *given, void *stream)
{
    simt_kernel named = *given, *k = &named;
    named.name = kernel_name(given->kernel, given->name);
    settings_read();
    int code = simt_stream_is_alive(stream) ? simt_get_error(0) : ERROR_HANDLE;
    if (code != ERROR_HANDLE && code < ERROR_ADDRESS)
        code = check_limits(k);
    if (code) {
        simt_set_error(code);
        return code;
    }
    double start = now();
    prepare(k);
    simt_open_memory();
    int n = run_blocks();
    simt_close_memory();
    last = (simt_stats){.name = k->name, .grid = k->grid, .block = k->block,
                        .shared_bytes = k->shared_bytes};
    account_merge(workers, n, &last);
    cache_end(&last);
    last.seconds = now() - start;
    sites_end(workers, n, k->name);
    tables_launch(&last);
    if (launch.error)
        simt_set_error(launch.error);
    return launch.error;
}

// Valid until the next launch.
const simt_stats *simt_last(void)
{
    return &last;
}
