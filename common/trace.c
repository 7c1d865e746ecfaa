#define _POSIX_C_SOURCE 200809L
#include "trace.h"

#include "count.h"
#include "describe.h"
#include "json.h"
#include "npy.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP = 96, SMALL = 16, WIDE = 64 }; // --print all is the default up to these

// --- the directory -------------------------------------------------------------------------

// p0.b0.h0.scores.npy and its like: written by an earlier trace, stale now.
static bool is_step_file(const char *name)
{
    long pass, batch, head;
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".npy") == 0 &&
           sscanf(name, "p%ld.b%ld.h%ld.", &pass, &batch, &head) == 3;
}

static void remove_old_steps(const char *dir)
{
    char path[OUTPUT_PATH];
    DIR *d = opendir(dir);
    if (!d)
        return;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (is_step_file(e->d_name) &&
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name) < (int)sizeof path)
            unlink(path);
    closedir(d);
}

static Output open_in(const char *dir, const char *name)
{
    char path[OUTPUT_PATH];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        refuse(EXIT_WRITE, "%s: the path is too long", dir);
    return output_open(path);
}

// Rows that no terminal shows: a model's hidden size, say.
static bool is_wide(const Input *in)
{
    return in->D > WIDE || in->Dv > WIDE || (in->projected && in->x.shape[2] > WIDE);
}

Trace trace_open(const Options *o, const Input *in)
{
    Trace t = {.options = o, .input = in, .print = o->print, .mask = in->mask};
    long longest = in->N > in->P + in->M ? in->N : in->P + in->M;
    if (t.print == PRINT_DEFAULT)
        t.print = o->bench || o->explain_row >= 0 || longest > SMALL || is_wide(in) ? PRINT_NONE
                                                                                    : PRINT_ALL;
    if (o->bench)
        t.print = PRINT_NONE;
    if (o->trace) {
        output_directory(o->trace);
        remove_old_steps(o->trace);
        t.text = open_in(o->trace, "trace.txt");
        t.json = open_in(o->trace, "trace.jsonl");
        t.costs = open_in(o->trace, "counts.csv");
        t.run = open_in(o->trace, "run.json"); // here, so that what cannot be written is told now
        fputs("step,scores,flops,read_bytes,written_bytes,live_bytes,peak_bytes\n", t.costs.file);
    }
    return t;
}

void trace_close(Trace *t)
{
    if (t->text.file) {
        describe_run(t->run.file, t->options, t->input);
        Output *files[] = {&t->text, &t->json, &t->costs, &t->run};
        for (int i = 0; i < 4; i++)
            output_close(files[i]);
    }
    if (t->options->print == PRINT_DEFAULT && t->print == PRINT_NONE && !t->options->bench &&
        t->options->explain_row < 0 && !t->options->stats && !t->options->heat)
        printf("%ld queries, %ld keys, heads of %ld: more than %d tokens or %d columns, so nothing "
               "is printed; --print output shows the result, --print all every step\n",
               t->input->N, t->input->P + t->input->M, t->input->D, SMALL, WIDE);
}

// --- what a step looks like --------------------------------------------------------------------

static Hide hide_of(const char *name)
{
    if (strcmp(name, "masked") == 0)
        return HIDE_SCORES;
    return strcmp(name, "weights") == 0 ? HIDE_WEIGHTS : HIDE_NOTHING;
}

static Names rows_of(const Trace *t, const char *name)
{
    Names keys = t->input->keys[t->batch];
    if (word_among(name, "past_k past_v"))
        return keys;
    if (!word_among(name, "k v"))
        return trace_queries(t, 0);
    keys.first += t->first + t->input->P;
    return keys;
}

static Names columns_of(const Trace *t, const char *name)
{
    Names features = {NULL, 0, 'd', 0};
    if (word_among(name, "scores scaled masked weights"))
        return t->input->keys[t->batch];
    return word_among(name, "q k v past_k past_v output change") ? t->input->features : features;
}

static bool is_printed(const Trace *t, const char *name)
{
    return t->print == PRINT_ALL || (t->print == PRINT_WEIGHTS && strcmp(name, "weights") == 0) ||
           (t->print == PRINT_OUTPUT &&
            word_among(name, t->input->projected ? "result" : "output"));
}

bool trace_wanted(const Trace *t)
{
    return !t->quiet && (t->text.file || t->print == PRINT_ALL);
}

// --- JSON lines ----------------------------------------------------------------------------------

static void json_names(FILE *f, const char *key, Names names, long count)
{
    fprintf(f, "\"%s\":[", key);
    for (long i = 0; i < count; i++) {
        char name[256];
        name_of(name, sizeof name, names, i);
        if (i > 0)
            fputc(',', f);
        json_string(f, name);
    }
    fputs("],", f);
}

static void json_step(Trace *t, const char *name, Tensor x, Names rows, Names columns)
{
    FILE *f = t->json.file;
    long width = x.axes == 2 ? x.shape[1] : 1;
    fprintf(f, "{\"step\":\"p%ld.b%ld.h%ld.%s\",\"pass\":%ld,\"batch\":%ld,\"head\":%ld,"
            "\"name\":\"%s\",\"shape\":[%ld", t->pass, t->batch, t->head, name, t->pass, t->batch,
            t->head, name, x.shape[0]);
    fprintf(f, x.axes == 2 ? ",%ld]," : "],", width);
    json_names(f, "rows", rows, x.shape[0]);
    json_names(f, "columns", columns, x.axes == 2 ? width : 0);
    fputs("\"data\":[", f);
    for (long i = 0; i < x.shape[0]; i++)
        for (long j = 0; j < width; j++) {
            if (i + j > 0)
                fputc(',', f);
            json_number(f, x.data[i * x.stride[0] + j]);
        }
    fputs("]}\n", f);
}

// --- costs ---------------------------------------------------------------------------------------

// Bytes that are there only because somebody looks: tables that a chapter makes to show them.
static long made_to_show(const char *name, Tensor x)
{
    return word_among(name, "cache block_table change") ? 4 * tensor_count(x) : 0;
}

// All that this round has cost by now. What was made to be shown is no part of it, so that the last
// peak is the one of --stats.
static void cost_of(Trace *t, const char *heading, long made)
{
    if (made == 0 && tensor_peak_bytes() > t->peak)
        t->peak = tensor_peak_bytes();
    fprintf(t->costs.file, "%s,%ld,%ld,%ld,%ld,%ld,%ld\n", heading, counts.scores, counts.flops,
            counts.read_bytes, counts.written_bytes, tensor_live_bytes() - made, t->peak);
}

// --- emitting ------------------------------------------------------------------------------------

static void emit(Trace *t, const char *name, Tensor x, Names rows, Names columns, Hide hide)
{
    char heading[STEP], path[OUTPUT_PATH];
    // A table is not masked; nor is a batch of none, which has no head to ask for.
    Mask mask = hide == HIDE_NOTHING ? t->mask : mask_head(&t->mask, t->batch, t->head);
    snprintf(heading, sizeof heading, "p%ld.b%ld.h%ld.%s", t->pass, t->batch, t->head, name);
    if (is_printed(t, name))
        print_matrix(stdout, heading, x, rows, columns, &mask, hide);
    if (t->options->heat && strcmp(name, "weights") == 0)
        print_heat(stdout, heading, x, &mask, isatty(1) && getenv("NO_COLOR") == NULL);
    if (!t->text.file)
        return;
    print_matrix(t->text.file, heading, x, rows, columns, &mask, hide);
    json_step(t, name, x, rows, columns);
    cost_of(t, heading, made_to_show(name, x));
    if (snprintf(path, sizeof path, "%s/%s.npy", t->options->trace, heading) >= (int)sizeof path)
        refuse(EXIT_WRITE, "%s: the path is too long", t->options->trace);
    npy_write(path, x);
}

void trace_at(Trace *t, long b, long h)
{
    t->batch = b;
    t->head = h;
}

void trace_step(Trace *t, const char *name, Tensor x)
{
    if (!t->quiet)
        emit(t, name, x, rows_of(t, name), columns_of(t, name), hide_of(name));
}

void trace_table(Trace *t, const char *name, Tensor x, Names rows, Names columns)
{
    if (!t->quiet)
        emit(t, name, x, rows, columns, HIDE_NOTHING);
}

Names trace_queries(const Trace *t, long i)
{
    Names names = t->input->queries[t->batch];
    names.first += t->first + i;
    return names;
}

void trace_note(Trace *t, const char *format, ...)
{
    FILE *files[] = {t->print == PRINT_ALL ? stdout : NULL, t->text.file};
    for (int i = 0; i < 2 && !t->quiet; i++)
        if (files[i]) {
            va_list args;
            va_start(args, format);
            vfprintf(files[i], format, args);
            va_end(args);
        }
}

// --- passes --------------------------------------------------------------------------------------

// The new rows of one of Q, K, V in every head, as steps.
static void emit_rows(Trace *t, const char *name, Tensor heads, long from, long to)
{
    for (long b = 0; b < heads.shape[0]; b++)
        for (long h = 0; h < heads.shape[1]; h++) {
            trace_at(t, b, h);
            trace_step(t, name, tensor_slice(tensor_at(tensor_at(heads, b), h), 0, from, to));
        }
}

Mask trace_pass(Trace *t, long first, long n, long m)
{
    const Input *in = t->input;
    t->first = first;
    t->mask = mask_pass(&in->mask, first, n, in->P, m);
    if (t->quiet)
        return t->mask;
    if (t->costs.file && t->pass > 0) // the table of the pass before is gone, and its peak with it
        tensor_reset_peak();
    for (long b = 0; in->projected && b < in->B; b++) {
        trace_at(t, b, 0);
        trace_step(t, "x", tensor_slice(tensor_at(in->x, b), 0, first, first + n));
    }
    if (in->P > 0 && t->pass == 0) {
        emit_rows(t, "past_k", in->past_k, 0, in->P);
        emit_rows(t, "past_v", in->past_v, 0, in->P);
    }
    emit_rows(t, "q", in->q, first, first + n);
    emit_rows(t, "k", in->k, first, m - in->P);
    emit_rows(t, "v", in->v, first, m - in->P);
    return t->mask;
}
