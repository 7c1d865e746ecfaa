// From rounds to a row: what is left out, medians, ratios; and the file of rows, which holds whole
// rows only, however the benchmark ends.

#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE // getloadavg
#include "bench.h"

#include "../common/measure.h"
#include "../kernels/cpu/blas.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double STANDS = 0.85; // of the best, or a round does not count

// --- what rounds come to ------------------------------------------------------------------------

static double of(Sample s, Bound bound)
{
    return bound == BY_PEAK ? s.peak : s.dram;
}

bool round_stands(const Rounds *r, int i, Sample best, Bound bound)
{
    double least = STANDS * of(best, bound);
    return of(r->before[i], bound) >= least && of(r->after[i], bound) >= least;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static Spread spread_of(double *values, int n)
{
    if (n == 0)
        return (Spread){NAN, NAN, NAN, 0};
    double median = measure_median(values, n); // sorts them
    return (Spread){median, values[0], values[n - 1], n};
}

// A share is that of its own round: the larger of the limits before and after, since what disturbs
// a calibration only makes it smaller. A ratio pairs two timings of one round.
Summary summarize(const Rounds *own, const Rounds *against, Sample best, Bound bound, double flops,
                  double bytes)
{
    double seconds[MOST_ROUNDS], peak[MOST_ROUNDS], dram[MOST_ROUNDS], of_peak[MOST_ROUNDS],
           of_dram[MOST_ROUNDS], ratio[MOST_ROUNDS];
    Summary s = {0};
    int pairs = 0;
    for (int i = 0; i < own->count; i++) {
        if (!round_stands(own, i, best, bound))
            continue;
        int n = s.kept++;
        seconds[n] = own->seconds[i];
        peak[n] = larger(own->before[i].peak, own->after[i].peak);
        dram[n] = larger(own->before[i].dram, own->after[i].dram);
        of_peak[n] = flops / seconds[n] / peak[n];
        of_dram[n] = bytes / seconds[n] / dram[n];
        if (against && i < against->count && round_stands(against, i, best, bound))
            ratio[pairs++] = against->seconds[i] / seconds[n];
    }
    s.left_out = own->count - s.kept;
    s.peak = spread_of(peak, s.kept).median;
    s.dram = spread_of(dram, s.kept).median;
    s.of_peak = spread_of(of_peak, s.kept);
    s.of_dram = spread_of(of_dram, s.kept);
    s.seconds = spread_of(seconds, s.kept);
    s.ratio = spread_of(ratio, pairs);
    return s;
}

// --- the file -----------------------------------------------------------------------------------

static const char HEADER[] =
    "suite,name,what,kernel,isa,threads,B,H,G,N,M,D,Dv,mask,kv_dtype,block_size,tile,rounds,"
    "left_out,median_s,min_s,max_s,flops,moved_bytes,scratch_bytes,peak_bytes,kv_bytes,gflops,"
    "gbytes_s,of_peak,of_dram,peak_gflops,dram_gbytes_s,against,ratio,ratio_min,ratio_max\n";

// Until it is whole the file has another name. A signal gives it its own name if it has a row: each
// row was written at once, so there is no half one.
static struct {
    char place[4096], partial[4200];
    int  file;
    volatile sig_atomic_t rows;
    bool open;
} csv = {.file = -1};

static void settle(void)
{
    if (csv.rows > 0)
        (void)rename(csv.partial, csv.place);
    else
        (void)unlink(csv.partial);
}

static void interrupted(int signal)
{
    static const char some[] = "\nbench: interrupted; the rows that were done are kept\n",
                      none[] = "\nbench: interrupted before the first row\n";
    (void)signal;
    settle();
    peers_clean();
    ssize_t written = csv.rows > 0 ? write(STDERR_FILENO, some, sizeof some - 1)
                                   : write(STDERR_FILENO, none, sizeof none - 1);
    (void)written;
    _exit(130);
}

// refuse() in the middle of it all: rows that are done are kept, too.
static void settle_at_exit(void)
{
    if (csv.open)
        settle();
}

// At once, past any buffer: a signal finds whole lines.
static void put(const char *text)
{
    size_t n = strlen(text);
    if (write(csv.file, text, n) != (ssize_t)n)
        refuse(EXIT_WRITE, "%s: cannot be written: %s", csv.partial, strerror(errno));
}

static void put_comment(const char *format, ...)
{
    char text[1024] = "# ";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + 2, sizeof text - 3, format, arguments);
    va_end(arguments);
    put(strcat(text, "\n"));
}

// Which processor OpenBLAS takes this one for; OPENBLAS_CORETYPE overrides it.
static const char *blas_core(void)
{
    static char text[128];
    void *library = blas_is_here() ? dlopen("libopenblas.so.0", RTLD_LAZY | RTLD_NOLOAD) : NULL;
    void *found = library ? dlsym(library, "openblas_get_corename") : NULL;
    char *(*core_name)(void);
    memcpy(&core_name, &found, sizeof found); // C has no cast from an object to a function
    if (found)
        snprintf(text, sizeof text, ", kernels for %s%s", core_name(),
                 getenv("OPENBLAS_CORETYPE") ? ", as OPENBLAS_CORETYPE says" : "");
    return text;
}

// What belongs to every timing: where, when, by which compiler, beside how much else.
static void put_machine(void)
{
    char date[64];
    time_t now = time(NULL);
    double load[3] = {NAN, NAN, NAN};
    Limit *one = limit_of(isa_best(), 1), *all = limit_of(isa_best(), (int)flags.threads);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime(&now));
    (void)getloadavg(load, 3);
    put_comment("%s, %ld threads, %s", measure_hardware(), flags.threads, isa_best()->name);
    put_comment("%s", date);
    put_comment("compiler %s", __VERSION__);
    put_comment("flags %s", bench_flags);
    put_comment("load average %.2f %.2f %.2f", load[0], load[1], load[2]);
    put_comment("peak %.1f GFLOP/s on 1 thread, %.1f on %ld", one->best.peak * 1e-9,
                all->best.peak * 1e-9, flags.threads);
    put_comment("DRAM read %.1f GB/s on 1 thread, %.1f on %ld", one->best.dram * 1e-9,
                all->best.dram * 1e-9, flags.threads);
    put_comment("%s%s", blas_name(), blas_core());
    put_comment("last cache %ld bytes, calibrated over %ld bytes", last_cache_bytes(),
                limits_bytes());
}

// The file must be there before a quarter of an hour is spent on it.
void csv_open(const char *path)
{
    snprintf(csv.place, sizeof csv.place, "%s", path);
    snprintf(csv.partial, sizeof csv.partial, "%s.partial-%ld", path, (long)getpid());
    csv.file = open(csv.partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (csv.file < 0)
        refuse(EXIT_WRITE, "%s: cannot be written: %s", path, strerror(errno));
    csv.open = true;
    CHECK(atexit(settle_at_exit) == 0, "no room for an exit handler");
    struct sigaction action = {.sa_handler = interrupted};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    put_machine();
    put(HEADER);
}

static const char *kept_name(Kept kept)
{
    static const char *const names[] = {"f32", "bf16", "f16"};
    return names[kept];
}

// A column more: a number, or nothing where there is none.
static void add_number(char *row, size_t room, const char *format, double x)
{
    size_t n = strlen(row);
    row[n++] = ',';
    row[n] = '\0';
    if (isfinite(x))
        snprintf(row + n, room - n, format, x);
}

// Below 0: not known.
static void add_long(char *row, size_t room, long x)
{
    add_number(row, room, "%.0f", x < 0 ? NAN : (double)x);
}

// From suite to tile.
static void begin_row(char *row, size_t room, const char *suite, const Entry *e)
{
    const Shape *s = &e->shape;
    snprintf(row, room, "%s,%s,%s,%s,%s,%d,%ld,%ld,%ld,%ld,%ld,%ld,%ld,%s,%s,%ld,%ld", suite,
             e->name, e->what, e->kernel, e->isa ? e->isa->name : "-", e->threads, s->B, s->H,
             s->G, s->N, s->M, s->D, s->D, s->causal ? "causal" : "none", kept_name(s->kept),
             s->block_size, s->tile);
}

static void add_counts(char *row, size_t room, const Entry *e)
{
    add_number(row, room, "%.0f", e->flops);
    add_long(row, room, e->moved);
    add_long(row, room, e->scratch);
    add_long(row, room, e->peak);
    add_long(row, room, e->kv);
}

static void end_row(char *row, size_t room)
{
    strncat(row, "\n", room - strlen(row) - 1);
    put(row);
    csv.rows++;
}

void csv_row(const char *suite, const Entry *e)
{
    char row[2048];
    const Summary *s = &e->summary;
    begin_row(row, sizeof row, suite, e);
    add_long(row, sizeof row, s->kept);
    add_long(row, sizeof row, s->left_out);
    const double times[] = {s->seconds.median, s->seconds.min, s->seconds.max};
    for (int i = 0; i < 3; i++)
        add_number(row, sizeof row, "%.9f", times[i]);
    add_counts(row, sizeof row, e);
    const double rates[] = {e->flops / s->seconds.median * 1e-9,
                            e->streamed / s->seconds.median * 1e-9, s->of_peak.median,
                            s->of_dram.median, s->peak * 1e-9, s->dram * 1e-9};
    for (int i = 0; i < 6; i++)
        add_number(row, sizeof row, "%.5g", rates[i]);
    snprintf(row + strlen(row), sizeof row - strlen(row), ",%s",
             e->against ? e->against->name : "");
    add_number(row, sizeof row, "%.5g", s->ratio.median);
    add_number(row, sizeof row, "%.5g", s->ratio.min);
    add_number(row, sizeof row, "%.5g", s->ratio.max);
    end_row(row, sizeof row);
}

// No rounds: nothing was timed.
void csv_counts(const char *suite, const Entry *e)
{
    char row[2048];
    begin_row(row, sizeof row, suite, e);
    strcat(row, ",0,0,,,");
    add_counts(row, sizeof row, e);
    strcat(row, ",,,,,,,,,,");
    end_row(row, sizeof row);
}

long csv_rows(void)
{
    return csv.rows;
}

void csv_close(void)
{
    if (close(csv.file) != 0)
        refuse(EXIT_WRITE, "%s: cannot be written: %s", csv.partial, strerror(errno));
    csv.open = false;
    if (rename(csv.partial, csv.place) != 0)
        refuse(EXIT_WRITE, "%s: cannot be written: %s", csv.place, strerror(errno));
}
