// Running a chapter's program from a test: its words, its exit status, its traces, and a folder
// for its files that is gone when the test ends. Define _XOPEN_SOURCE 700 before including this.

#ifndef PROGRAM_H
#define PROGRAM_H

#include "comparer.h"

#include "../common/npy.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_WORDS = 48, WORD_TEXT = 1024 }; // of a command; in bytes, paths included

static const char *const chapter_names[] = {
    NULL, "01_naive_attention", "02_masking", "03_multi_head", "04_gqa", "05_kv_cache",
    "06_paged_blocks", "07_flash_tiling",
};

// --- a folder for files ------------------------------------------------------------------------

static char scratch_path[] = "/tmp/attention-run-XXXXXX";

// What nftw calls for each file, and for each folder once it is empty.
static inline int scratch_remove_one(const char *path, const struct stat *st, int kind,
                                     struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

// The folder with all that is in it.
static inline void scratch_remove(void)
{
    nftw(scratch_path, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

// What an earlier run left must not pass for the next one's.
static inline void scratch_empty(void)
{
    scratch_remove();
    if (mkdir(scratch_path, 0700) != 0)
        refuse(EXIT_WRITE, "%s: cannot be made", scratch_path);
}

// The folder, until the program exits.
static inline void scratch_make(void)
{
    if (!mkdtemp(scratch_path))
        refuse(EXIT_WRITE, "%s: cannot be made", scratch_path);
    CHECK(atexit(scratch_remove) == 0, "no room for an exit handler");
}

// A file in it, in one of a few buffers, so that one call can name several.
static inline const char *scratch_file(const char *name)
{
    static char paths[4][WORD_TEXT];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, WORD_TEXT, "%s/%s", scratch_path, name);
    return path;
}

// --- a command ---------------------------------------------------------------------------------

typedef struct {
    int  count;
    char word[MOST_WORDS][WORD_TEXT];
} Command;

// Room for one more.
static inline char *next_word(Command *c)
{
    CHECK(c->count < MOST_WORDS, "more than %d words", MOST_WORDS);
    return c->word[c->count++];
}

// Several words at once: command_words(&c, "--tile 2,3 --cut 4").
static inline void command_words(Command *c, const char *words)
{
    for (size_t n; *(words += strspn(words, " ")); words += n) {
        n = strcspn(words, " ");
        snprintf(next_word(c), WORD_TEXT, "%.*s", (int)n, words);
    }
}

// A flag and its value, which may hold spaces. Neither is added where the value is empty.
__attribute__((format(printf, 3, 4)))
static inline void command_flag(Command *c, const char *flag, const char *format, ...)
{
    char value[WORD_TEXT];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(value, sizeof value, format, args);
    va_end(args);
    CHECK(n < WORD_TEXT, "%s: a value of %d characters", flag, n);
    if (n == 0)
        return;
    memcpy(next_word(c), flag, strlen(flag) + 1);
    memcpy(next_word(c), value, sizeof value);
}

// Chapter n's program, in $BUILD (build/cpu unless set), printing nothing; the folder is empty.
static inline void command_start(Command *c, int n)
{
    const char *build = getenv("BUILD");
    scratch_empty();
    c->count = 0;
    snprintf(next_word(c), WORD_TEXT, "%s/%s", build ? build : "build/cpu", chapter_names[n]);
    command_words(c, "--print none");
}

// Its exit status; 127 if it could not be started, 128 + the signal that ended it. What it has
// to say on stderr is let through, what it prints is not.
static inline int command_run(Command *c)
{
    char *words[MOST_WORDS + 1] = {NULL};
    int status = 0;
    for (int i = 0; i < c->count; i++)
        words[i] = c->word[i];
    fflush(NULL); // or the child would print once more what is still buffered here
    pid_t id = fork();
    CHECK(id >= 0, "no process for %s", words[0]);
    if (id == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        execv(words[0], words);
        perror(words[0]);
        _exit(127);
    }
    CHECK(waitpid(id, &status, 0) == id, "lost %s", words[0]);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// --- results -----------------------------------------------------------------------------------

// Step `name` of a trace's only pass against an array [B, H, N, columns] that holds all heads.
static inline Comparison compare_step(const char *trace, const char *name, const char *wanted,
                                      double bound)
{
    Comparison c = {.verdict = FAIL, .text = "FAIL          nothing to compare"};
    Tensor want = npy_read_tensor(wanted);
    CHECK(want.axes == 4, "%s has %d axes, not 4", wanted, want.axes);
    for (long b = 0; b < want.shape[0]; b++)
        for (long h = 0; h < want.shape[1]; h++) {
            char path[WORD_TEXT];
            snprintf(path, sizeof path, "%s/p0.b%ld.h%ld.%s.npy", trace, b, h, name);
            Tensor got = npy_read_tensor(path), one = tensor_at(tensor_at(want, b), h);
            bool fits = got.axes == 2 && got.shape[0] == one.shape[0] &&
                        got.shape[1] == one.shape[1];
            if (fits)
                c = compare_floats(tensor_count(one), got.data, one.data, NULL, NULL,
                                   (CompareRules){.bound = bound});
            else
                c = (Comparison){.verdict = FAIL, .text = "FAIL          another shape"};
            tensor_free(&got);
            if (c.verdict == FAIL) {
                tensor_free(&want);
                return c;
            }
        }
    tensor_free(&want);
    return c;
}

#endif
