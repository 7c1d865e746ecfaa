// The ONNX Attention operator's own test cases, run through the chapters' programs.
//
//     onnx [DIR]        DIR/manifest.json lists the cases
//
// Every chapter that knows enough for a case must give its outputs: 03 to 07 where every head
// has its own K and V, 04 to 07 where they are shared, 05 to 07 where there is a past. Programs
// are those of $BUILD, build/cpu unless set. Exits with 1 if one differs.

#define _XOPEN_SOURCE 700
#include "program.h"

#include <cjson/cJSON.h>
#include <math.h>

static const double TOLERANCE = 1e-6; // absolute

static const char *folder = "../shared/conformance/onnx_attention";

// --- the manifest ------------------------------------------------------------------------------

// A file as text, the caller's to free; NULL if it cannot be opened.
static char *read_all(const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t size = 0, n;
    char *text = NULL;
    if (!f)
        return NULL;
    do {
        text = realloc(text, size + (1 << 16) + 1);
        CHECK(text, "no memory for %s", path);
        n = fread(text + size, 1, 1 << 16, f);
        size += n;
    } while (n > 0);
    text[size] = '\0';
    fclose(f);
    return text;
}

// What a case must have.
static const cJSON *field(const cJSON *of, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(of, name);
    if (!value)
        refuse(EXIT_INPUT, "%s/manifest.json: a case without \"%s\"", folder, name);
    return value;
}

// An attribute of the operator, `otherwise` where it is not set.
static double attribute(const cJSON *one, const char *name, double otherwise)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(field(one, "attributes"), name);
    return cJSON_IsNumber(value) ? value->valuedouble : otherwise;
}

// The path of an input or output into `path`; false where the case has none of that name.
static bool array(const cJSON *one, const char *side, const char *name, char path[WORD_TEXT])
{
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(field(one, side), name);
    path[0] = '\0';
    if (entry)
        snprintf(path, WORD_TEXT, "%s/%s", folder, field(entry, "file")->valuestring);
    return entry != NULL;
}

// A size of the case, by the name that the manifest gives it.
static long size_of(const cJSON *one, const char *name)
{
    return (long)field(field(one, "params"), name)->valuedouble;
}

// --- one case, one chapter ---------------------------------------------------------------------

// Which step qk_matmul_output is. There is no softcap, so mode 1 is mode 0.
static const char *qk_step(const cJSON *one)
{
    static const char *const steps[] = {"scaled", "scaled", "masked", "weights"};
    int mode = (int)attribute(one, "qk_matmul_output_mode", 0);
    CHECK(0 <= mode && mode < 4, "qk_matmul_output_mode %d", mode);
    return steps[mode];
}

// A flag with the path of an input; nothing where the case has none of that name.
static void add_input(Command *c, const char *flag, const cJSON *one, const char *name)
{
    char path[WORD_TEXT];
    if (array(one, "inputs", name, path))
        command_flag(c, flag, "%s", path);
}

// Rule and array are joined: both must allow a key.
static void add_mask(Command *c, const cJSON *one)
{
    char path[WORD_TEXT];
    const char *rule = attribute(one, "is_causal", 0) != 0 ? "causal" : "none";
    if (array(one, "inputs", "attn_mask", path))
        command_flag(c, "--mask", "%s+%s", rule, path);
    else
        command_flag(c, "--mask", "%s", rule);
}

// One pass: token by token, early ones would miss later keys where the case is not causal.
static void write_command(Command *c, int n, const cJSON *one)
{
    double scale = attribute(one, "scale", NAN);
    command_start(c, n);
    add_input(c, "--q", one, "Q");
    add_input(c, "--k", one, "K");
    add_input(c, "--v", one, "V");
    add_mask(c, one);
    if (!isnan(scale))
        command_flag(c, "--scale", "%.9g", scale);
    command_flag(c, "--output", "%s", scratch_file("output.npy"));
    command_flag(c, "--trace", "%s", scratch_file("trace"));
    if (n < 5)
        return;
    add_input(c, "--past-k", one, "past_key");
    add_input(c, "--past-v", one, "past_value");
    command_flag(c, "--prefill", "%ld", size_of(one, "Nq"));
    command_flag(c, "--present-k", "%s", scratch_file("present_k.npy"));
    command_flag(c, "--present-v", "%s", scratch_file("present_v.npy"));
}

// Says what is wrong; returns whether nothing is.
static bool agrees(int n, const cJSON *one, const char *what, Comparison c)
{
    if (c.verdict == FAIL)
        printf("# %s, %s, %s: %s\n", field(one, "name")->valuestring, chapter_names[n], what,
               c.text);
    return c.verdict != FAIL;
}

// The file that the program wrote against an output of the case, if it has that one.
static bool output_agrees(int n, const cJSON *one, const char *file, const char *name,
                          double bound)
{
    char want[WORD_TEXT];
    return !array(one, "outputs", name, want) ||
           agrees(n, one, name, compare_paths(scratch_file(file), want, NULL, NULL,
                                              (CompareRules){.bound = bound}));
}

// The step that the operator calls qk_matmul_output. 07 never has all scores of a row at once, and
// with OUTPUT_ONLY in the environment no chapter has.
static bool step_agrees(int n, const cJSON *one)
{
    if (getenv("OUTPUT_ONLY"))
        return true;
    char want[WORD_TEXT];
    const char *step = qk_step(one);
    return n == 7 || !array(one, "outputs", "qk_matmul_output", want) ||
           agrees(n, one, step, compare_step(scratch_file("trace"), step, want, TOLERANCE));
}

// One chapter on one case: every output that both have must agree.
static bool run_case(int n, const cJSON *one)
{
    Command c;
    write_command(&c, n, one);
    int status = command_run(&c);
    if (status != 0) {
        printf("# %s, %s: exit status %d\n", field(one, "name")->valuestring, chapter_names[n],
               status);
        return false;
    }
    bool good = output_agrees(n, one, "output.npy", "Y", TOLERANCE);
    if (n >= 5) { // copies: to the bit
        good = output_agrees(n, one, "present_k.npy", "present_key", -1) && good;
        good = output_agrees(n, one, "present_v.npy", "present_value", -1) && good;
    }
    return step_agrees(n, one) && good;
}

// --- all of them -------------------------------------------------------------------------------

// Every head has its own K and V from 03 on, shares them from 04 on, has a past from 05 on.
static int first_chapter(const cJSON *one)
{
    if (size_of(one, "past") > 0)
        return 5;
    return size_of(one, "Hkv") < size_of(one, "H") ? 4 : 3;
}

// All chapters that can take the case.
static bool run_chapters(const cJSON *one)
{
    bool good = true;
    for (int n = first_chapter(one); n <= 7; n++)
        good = run_case(n, one) && good;
    printf("%s - onnx %s, %02d to 07\n", good ? "ok" : "not ok", field(one, "name")->valuestring,
           first_chapter(one));
    return good;
}

// What the chapters do not have: a case may ask for it, and is then skipped aloud.
static bool is_beyond(const cJSON *one)
{
    const cJSON *needs = field(one, "needs");
    if (cJSON_IsTrue(field(one, "in_scope")) && cJSON_GetArraySize(needs) == 0)
        return false;
    char *text = cJSON_PrintUnformatted(needs);
    printf("skip - onnx %s: it needs %s\n", field(one, "name")->valuestring, text);
    free(text);
    return true;
}

int main(int argc, char **argv)
{
    long passed = 0, failed = 0, skipped = 0;
    char path[WORD_TEXT];
    fail_program("onnx");
    if (argc > 2)
        refuse(EXIT_USAGE, "expected [DIR], got %d words", argc - 1);
    folder = argc > 1 ? argv[1] : folder;
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    char *text = read_all(path);
    if (!text) {
        printf("skip - onnx: %s is not there\nonnx: 0 passed, 0 failed, 1 skipped\n", folder);
        return 0;
    }
    scratch_make();
    cJSON *manifest = cJSON_Parse(text);
    if (!manifest)
        refuse(EXIT_INPUT, "%s: no JSON", path);
    const cJSON *cases = field(manifest, "cases"), *one;
    if (cJSON_GetArraySize(cases) == 0)
        refuse(EXIT_INPUT, "%s: no cases", path);
    cJSON_ArrayForEach(one, cases) {
        if (is_beyond(one))
            skipped++;
        else if (run_chapters(one))
            passed++;
        else
            failed++;
    }
    printf("%ld of %d\n", passed, cJSON_GetArraySize(cases));
    printf("onnx: %ld passed, %ld failed, %ld skipped\n", passed, failed, skipped);
    cJSON_Delete(manifest);
    free(text);
    return failed ? EXIT_DIFFERS : 0;
}
