// A test that must fail loudly needs a process that may die and a folder that may be
// littered: both are here. Include this after the cmocka headers.

#ifndef CHILD_H
#define CHILD_H

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_TEXT = 8192, CHILD_SECONDS = 20 };

// Runs body(argument) in a child process and collects what it prints on stderr. Returns its
// exit status (0 when body returns), or 128 + the signal that ended it; one that hangs is
// ended by SIGALRM.
static inline int child(void (*body)(const char *), const char *argument, char text[CHILD_TEXT])
{
    int ends[2], status;
    size_t n = 0;
    ssize_t got;
    fflush(NULL); // or the child would print once more what is still buffered here
    if (pipe(ends) != 0)
        abort();
    pid_t id = fork();
    if (id < 0)
        abort();
    if (id == 0) {
        alarm(CHILD_SECONDS);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        body(argument);
        exit(0);
    }
    close(ends[1]);
    while (n < CHILD_TEXT - 1 && (got = read(ends[0], text + n, CHILD_TEXT - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    close(ends[0]);
    waitpid(id, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static inline void expect_words(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("expected \"%s\" in \"%s\"", words, text);
}

// --- a folder of one's own: the tests of a file run inside it ---------------------------

static char scratch_path[] = "/tmp/attention-test-XXXXXX";

// Entries of the current folder, "." and ".." left out; removes them if asked to.
static inline int scratch_entries(int removed)
{
    int n = 0;
    DIR *folder = opendir(".");
    for (struct dirent *e; folder && (e = readdir(folder));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        n++;
        if (removed)
            remove(e->d_name);
    }
    closedir(folder);
    return n;
}

static inline int scratch_enter(void **state)
{
    (void)state;
    return mkdtemp(scratch_path) && chmod(scratch_path, 0755) == 0 ? chdir(scratch_path) : -1;
}

static inline int scratch_empty(void **state)
{
    (void)state;
    scratch_entries(1);
    return 0;
}

static inline int scratch_leave(void **state)
{
    scratch_empty(state);
    return chdir("/") == 0 ? rmdir(scratch_path) : -1;
}

#endif
