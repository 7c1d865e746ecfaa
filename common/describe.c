#include "describe.h"

#include "backend.h"
#include "json.h"

#include <string.h>

// --- the command ---------------------------------------------------------------------------

// Words, from this one on, that only say where results go: 2 for --trace DIR, 1 for --trace=DIR.
static int words_about_place(const char *word)
{
    static const char *const flags[] = {"--trace", "--print", "--output", "--lse", "--present-k",
                                        "--present-v"};
    size_t n = strcspn(word, "=");
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strlen(flags[i]) == n && memcmp(word, flags[i], n) == 0)
            return word[n] == '=' ? 1 : 2;
    return 0;
}

static void describe_flags(FILE *f, const Options *o)
{
    const char *before = "";
    for (int i = 1; i < o->argc;) {
        int skipped = words_about_place(o->argv[i]);
        if (skipped) {
            i += skipped;
            continue;
        }
        fputs(before, f);
        json_string(f, o->argv[i++]);
        before = ",";
    }
}

// Every flag of the chapter's own, given or not: "block-size":2
static void describe_settings(FILE *f, const Flag *own)
{
    for (const Flag *flag = own; flag && flag->name; flag++) {
        if (flag != own)
            fputc(',', f);
        json_string(f, flag->name + strlen("--"));
        fputc(':', f);
        if (flag->kind == FLAG_TEXT)
            json_string(f, *(const char **)flag->to);
        else if (flag->kind == FLAG_NUMBER)
            json_number(f, *(float *)flag->to);
        else if (flag->kind == FLAG_SWITCH)
            fputs(*(bool *)flag->to ? "true" : "false", f);
        else
            fprintf(f, "%ld", *(long *)flag->to);
    }
}

// --- the masks -------------------------------------------------------------------------------

// What the user's own tensor adds, [N, M], row by row.
static void describe_bias(FILE *f, const Mask *mask, long N, long M)
{
    fputs(",\n\"bias\":[", f);
    for (long i = 0; i < N; i++)
        for (long j = 0; j < M; j++) {
            if (i + j > 0)
                fputc(',', f);
            json_number(f, mask_bias(mask, i, j));
        }
    fputc(']', f);
}

// One head of one sequence: a row a query, 1 where it may see the key.
static void describe_mask(FILE *f, const Mask *run, long b, long h, long N, long M)
{
    Mask mask = mask_head(run, b, h);
    fprintf(f, "%s\n{\"batch\":%ld,\"head\":%ld,\"rows\":[", b + h > 0 ? "," : "", b, h);
    for (long i = 0; i < N; i++) {
        fputs(i ? ",\"" : "\"", f);
        for (long j = 0; j < M; j++)
            fputc(mask_allows(&mask, i, j) ? '1' : '0', f);
        fputc('"', f);
    }
    fputc(']', f);
    if (mask.bias.data)
        describe_bias(f, &mask, N, M);
    fputc('}', f);
}

// As if one pass took the whole run. A pass over a cache sees the same row of its query, up to the
// keys that are there by then: positions count from the beginning of the run in either.
static void describe_masks(FILE *f, const Input *in)
{
    Mask run = mask_pass(&in->mask, 0, in->N, in->P, in->P + in->M);
    bool alike = !run.bias.data && run.length_count <= 1;
    for (long b = 0; b < (alike && in->B > 1 ? 1 : in->B); b++)
        for (long h = 0; h < (alike ? 1 : in->H); h++)
            describe_mask(f, &run, b, h, in->N, in->P + in->M);
}

// --- all of it -------------------------------------------------------------------------------

// The kernel is left out: this is written after the last round, which a device may compute by
// another one than the round that was traced; and the fast build, asked once, knows it no more.
void describe_run(FILE *f, const Options *o, const Input *in)
{
    fputs("{\"program\":", f);
    json_string(f, o->chapter->name);
    fputs(",\"device\":", f);
    json_string(f, backend_device());
    fputs(",\n\"flags\":[", f);
    describe_flags(f, o);
    fprintf(f, "],\n\"B\":%ld,\"H\":%ld,\"G\":%ld,\"N\":%ld,\"M\":%ld,\"P\":%ld,\"D\":%ld,"
            "\"Dv\":%ld,\"scale\":", in->B, in->H, in->G, in->N, in->M, in->P, in->D, in->Dv);
    json_number(f, in->scale);
    fputs(",\n\"settings\":{", f);
    describe_settings(f, o->chapter->flags);
    fputs("},\n\"mask\":", f);
    json_string(f, o->mask);
    fputs(",\n\"masks\":[", f);
    if (o->chapter->takes & TAKES_MASK)
        describe_masks(f, in);
    fputs("]}\n", f);
}
