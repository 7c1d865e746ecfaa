#define _POSIX_C_SOURCE 200809L
#include "measure.h"

#include "backend.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

double measure_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

const char *measure_hardware(void)
{
    static char line[256], *name;
    FILE *f = name ? NULL : fopen("/proc/cpuinfo", "r");
    while (f && !name && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0 && (name = strchr(line, ':'))) {
            name += 2;
            name[strcspn(name, "\n")] = '\0';
        }
    if (f)
        fclose(f);
    return name ? name : "unknown processor";
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double measure_median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

Measure measure_start(const Options *o, const Input *in, Trace *trace)
{
    int timed = o->bench ? BENCH_ROUNDS : o->stats ? 1 : 0;
    // Round 0 is the traced one; under --bench it prints nothing and warms up.
    return (Measure){.options = o, .input = in, .trace = trace, .rounds = 1 + timed};
}

static void end_round(Measure *m)
{
    double seconds = measure_clock() - m->began;
    m->counts = counts;
    m->peak = tensor_peak_bytes();
    if (m->round > 1)
        m->seconds[m->timed++] = seconds;
}

bool measure_again(Measure *m, Tensor out, Tensor lse)
{
    if (m->round > 0)
        end_round(m);
    if (m->round == m->rounds) {
        m->trace->quiet = m->options->bench;
        return false;
    }
    m->trace->quiet = m->round > 0 || m->options->bench;
    m->trace->pass = 0;
    m->round++;
    tensor_fill(out, NAN);
    tensor_fill(lse, NAN);
    if (m->input->projected) {
        tensor_fill(m->input->concat, NAN);
        tensor_fill(m->input->result, NAN);
    }
    tensor_reset_peak();
    backend_begin();
    counts = (Counts){0};
    m->live = tensor_live_bytes();
    m->began = measure_clock();
    return true;
}

long measure_scratch(const Measure *m)
{
    return m->peak - m->live - m->cache_bytes;
}

static void print_stats(const Measure *m, double median)
{
    printf("== stats ==\n");
    printf("%-16s %16ld\n", "scores", m->counts.scores);
    printf("%-16s %16ld\n", "flops", m->counts.flops);
    if (m->counts.tiles + m->counts.skipped > 0) {
        printf("%-16s %16ld\n", "tiles", m->counts.tiles);
        printf("%-16s %16ld\n", "tiles skipped", m->counts.skipped);
    }
    printf("%-16s %16ld\n", "bytes read", m->counts.read_bytes);
    printf("%-16s %16ld\n", "bytes written", m->counts.written_bytes);
    printf("%-16s %16ld\n", "bytes live", m->live);
    printf("%-16s %16ld\n", "bytes peak", m->peak);
    printf("%-16s %16ld\n", "bytes scratch", measure_scratch(m));
    printf("%-16s %16ld\n", "bytes KV", m->kv_bytes);
    printf("%-16s %16.6f   %s\n", "seconds", median, measure_hardware());
    backend_report();
}

static void print_csv(const Measure *m, double median)
{
    const Input *in = m->input;
    printf("# %s, %s\n", measure_hardware(), __VERSION__);
    printf("chapter,B,H,G,N,M,D,Dv,rounds,median_s,min_s,max_s,flops,read_bytes,written_bytes,"
           "scratch_bytes,peak_bytes,kv_bytes,device,kernel\n");
    printf("%s,%ld,%ld,%ld,%ld,%ld,%ld,%ld,%d,%.9f,%.9f,%.9f,%ld,%ld,%ld,%ld,%ld,%ld,"
           "%s,%s\n",
           m->options->chapter->name, in->B, in->H, in->G, in->N, in->P + in->M, in->D, in->Dv,
           m->timed, median, m->seconds[0], m->seconds[m->timed - 1], m->counts.flops,
           m->counts.read_bytes, m->counts.written_bytes, measure_scratch(m), m->peak, m->kv_bytes,
           backend_device(), backend_kernel());
}

void measure_report(const Measure *m)
{
    if (!m->timed)
        return;
    Measure sorted = *m;
    double median = measure_median(sorted.seconds, sorted.timed);
    if (m->options->bench)
        print_csv(&sorted, median);
    else
        print_stats(&sorted, median);
}
