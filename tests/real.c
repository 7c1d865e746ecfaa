// Q, K and V of trained models through the chapters' programs, against what those models gave.
//
//     real [DIR]        DIR/nano_sort and DIR/stories260k, see ../shared/README.md
//
// nano_sort is a model that sorts letters, with every step of its attention published.
// stories260k writes stories; its output is float64 attention, rounded. Programs are those of
// $BUILD, build/cpu unless set; with OUTPUT_ONLY set they hold no scores to show. Exits with 1 if
// one differs.

#define _XOPEN_SOURCE 700
#include "program.h"

#include <sys/stat.h>

static const char *folder = "../shared/real";
static long passed, failed, skipped;

// One way to run a chapter.
typedef struct {
    int    chapter;
    double tolerance;  // absolute: 1e-6, or 3e-6 where sums are reordered
    const char *words; // its flags
} Run;

static const Run sorting[] = {
    {3, 1e-6, ""},
    {4, 1e-6, ""},
    {5, 1e-6, "--prefill 11"},
    {6, 1e-6, "--prefill 11 --block-size 4"},
};

static const Run stories[] = {
    {4, 1e-6, ""},
    {5, 1e-6, "--prefill 16"},
    {5, 1e-6, "--prefill 1 --cache grow"},
    {5, 1e-6, "--prefill 7 --layout tokens --capacity 16"},
    {6, 1e-6, "--prefill 16 --block-size 16"},
    {6, 1e-6, "--prefill 1 --block-size 1 --shuffle 9"},
    {6, 1e-6, "--prefill 5 --block-size 3"},
    {7, 3e-6, "--prefill 16 --tile 16,16 --block-size 16"},
    {7, 3e-6, "--prefill 16 --tile 1,1"},
    {7, 3e-6, "--prefill 1 --tile 4,3 --block-size 5"},
    {7, 3e-6, "--prefill 9 --tile 3,5 --block-size 4 --cut 7"},
    {7, 3e-6, "--prefill 16 --tile 5,2 --cut 0,1,8,8,16"},
};

// One line for one step of one run.
static void report(const char *model, const Run *run, const char *step, Comparison c)
{
    bool good = c.verdict != FAIL;
    printf("%s - real %s, %s%s%s: %s within %g%s%s\n", good ? "ok" : "not ok", model,
           chapter_names[run->chapter], *run->words ? " " : "", run->words, step, run->tolerance,
           good ? "" : ": ", good ? "" : c.text);
    passed += good;
    failed += !good;
}

// Runs a chapter on a model's q.npy, k.npy and v.npy; false, and a failure, if it would not.
static bool run_model(const char *model, const Run *run, Command *c)
{
    static const char *const flags[] = {"--q", "--k", "--v"};
    for (int i = 0; i < 3; i++)
        command_flag(c, flags[i], "%s/%s/%s.npy", folder, model, flags[i] + 2);
    command_words(c, "--mask causal");
    command_words(c, run->words);
    command_flag(c, "--output", "%s", scratch_file("output.npy"));
    int status = command_run(c);
    if (status != 0) {
        printf("not ok - real %s, %s %s: exit status %d\n", model, chapter_names[run->chapter],
               run->words, status);
        failed++;
    }
    return status == 0;
}

// What --output wrote: [B, H, N, Dv]
static void check_output(const char *model, const Run *run)
{
    char want[WORD_TEXT];
    snprintf(want, sizeof want, "%s/%s/output.npy", folder, model);
    report(model, run, "output", compare_paths(scratch_file("output.npy"), want, NULL, NULL,
                                               (CompareRules){.bound = run->tolerance}));
}

// --- nano_sort ---------------------------------------------------------------------------------

// Three inputs as batch, three heads; its steps were published before the softmax and after it.
static void sort_letters(const Run *run)
{
    static const char *const steps[] = {"masked", "weights", "output"};
    Command c;
    char want[WORD_TEXT];
    command_start(&c, run->chapter);
    command_words(&c, "--scale 0.25");
    command_flag(&c, "--trace", "%s", scratch_file("trace"));
    if (!run_model("nano_sort", run, &c))
        return;
    check_output("nano_sort", run);
    for (int i = getenv("OUTPUT_ONLY") ? 2 : 0; i < 3; i++) {
        snprintf(want, sizeof want, "%s/nano_sort/%s.npy", folder, steps[i]);
        report("nano_sort", run, i < 2 ? steps[i] : "output in the trace",
               compare_step(scratch_file("trace"), steps[i], want, run->tolerance));
    }
}

// --- stories260k -------------------------------------------------------------------------------

// tokens.txt, one line of words.
static void read_tokens(const char *model, char tokens[WORD_TEXT])
{
    char path[WORD_TEXT];
    snprintf(path, sizeof path, "%s/%s/tokens.txt", folder, model);
    FILE *f = fopen(path, "r");
    if (!f || !fgets(tokens, WORD_TEXT, f))
        refuse(EXIT_INPUT, "%s: cannot be read", path);
    tokens[strcspn(tokens, "\n")] = '\0';
    fclose(f);
}

// Five layers as batch, 8 query heads over 4 KV heads.
static void tell_story(const Run *run)
{
    Command c;
    char tokens[WORD_TEXT];
    read_tokens("stories260k", tokens);
    command_start(&c, run->chapter);
    command_flag(&c, "--tokens", "%s", tokens);
    if (run_model("stories260k", run, &c))
        check_output("stories260k", run);
}

// --- both --------------------------------------------------------------------------------------

// What is missing is skipped, and said to be.
static bool is_there(const char *model)
{
    char path[WORD_TEXT];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, model);
    if (stat(path, &st) == 0)
        return true;
    printf("skip - real %s: %s is not there\n", model, path);
    skipped++;
    return false;
}

int main(int argc, char **argv)
{
    fail_program("real");
    if (argc > 2)
        refuse(EXIT_USAGE, "expected [DIR], got %d words", argc - 1);
    folder = argc > 1 ? argv[1] : folder;
    scratch_make();
    if (is_there("nano_sort"))
        for (size_t i = 0; i < sizeof sorting / sizeof sorting[0]; i++)
            sort_letters(&sorting[i]);
    if (is_there("stories260k"))
        for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++)
            tell_story(&stories[i]);
    printf("real: %ld passed, %ld failed, %ld skipped\n", passed, failed, skipped);
    return failed ? EXIT_DIFFERS : 0;
}
