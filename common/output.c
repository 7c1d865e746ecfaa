// A result file is written under a temporary name beside its place and renamed when it is
// complete: rename() is atomic, so a reader sees the old file or the new one, never half.
#define _XOPEN_SOURCE 700
#include "output.h"

#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 16 }; // files that may be unfinished at the same time

// The temporary names. A signal handler reads them, so they are static and never move, and
// a name counts only while its flag is up.
static char unfinished[SLOTS][OUTPUT_PATH + 256];
static volatile sig_atomic_t in_use[SLOTS];

static _Noreturn void refuse_output(const char *path, int reason)
{
    refuse(EXIT_WRITE, "%s: cannot be written: %s", path, strerror(reason));
}

// --- leaving nothing behind -------------------------------------------------------------

// Runs inside signal handlers: nothing but unlink, which POSIX allows there.
static void remove_unfinished(void)
{
    for (int slot = 0; slot < SLOTS; slot++)
        if (in_use[slot])
            unlink(unfinished[slot]);
}

// SA_RESETHAND has put the default action back by now, so raising the signal again ends
// the program the way its parent expects: killed by this signal, not exited.
static void on_signal(int number)
{
    remove_unfinished();
    raise(number);
}

// The signals that end a program from outside (a closed terminal, ^C, ^\, kill), from a
// pipe, and from abort(), which CHECK calls.
static void catch_signals(void)
{
    static const int SIGNALS[] = {SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGPIPE, SIGTERM};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigfillset(&action.sa_mask); // one ending at a time
    for (size_t i = 0; i < sizeof SIGNALS / sizeof SIGNALS[0]; i++) {
        struct sigaction before;
        // What the parent ignores stays ignored: under nohup a SIGHUP ends nothing.
        if (sigaction(SIGNALS[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(SIGNALS[i], &action, NULL);
    }
    // Beyond `ulimit -f` a write then fails with "File too large" and is refused like any other.
    signal(SIGXFSZ, SIG_IGN);
}

void output_start(void)
{
    // open() hands out the lowest free number: without this, the first result file of a
    // program started with `>&-` would become descriptor 1, and receive what is printed.
    // Opened for reading only, a missing stdout still makes every write fail.
    for (int d = 0; d <= 2; d++)
        if (fcntl(d, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != d)
            refuse_output("/dev/null", errno);
    catch_signals();
    CHECK(atexit(remove_unfinished) == 0, "no room for one more exit handler");
}

// --- opening ----------------------------------------------------------------------------

// Where a new file at `path` will lie, links followed, into `into`. rename() would put the
// file in a link's place; the user meant the file that the link leads to.
static void follow_links(const char *path, bool exists, char *into)
{
    struct stat link;
    char *real = NULL;
    if (exists && !(real = realpath(path, NULL)))
        refuse_output(path, errno);
    if (!exists && lstat(path, &link) == 0)
        refuse(EXIT_WRITE, "%s: cannot be written: a link that leads nowhere: %s", path,
               strerror(ENOENT));
    if (strlen(real ? real : path) >= OUTPUT_PATH)
        refuse_output(path, ENAMETOOLONG);
    strcpy(into, real ? real : path);
    free(real);
}

// A file that nobody may write stays as it is, although replacing it by rename() would ask
// only the directory for permission, and although access() grants root everything.
static void check_writable(const char *path, const struct stat *there)
{
    if (!(there->st_mode & 0222))
        refuse_output(path, EACCES);
    if (access(path, W_OK) != 0)
        refuse_output(path, errno);
}

// A place in the list for one more name.
static int free_slot(void)
{
    int slot = 0;
    while (slot < SLOTS && in_use[slot])
        slot++;
    CHECK(slot < SLOTS, "more than %d unfinished files", SLOTS);
    return slot;
}

// A new file named target.tmp-PROCESS-n, entered in the list of unfinished ones. Returns
// its descriptor, -1 with errno otherwise.
static int create_beside(const char *target, int *slot)
{
    const char *slash = strrchr(target, '/');
    int folder = slash ? (int)(slash + 1 - target) : 0;
    sigset_t all, before;
    int file = -1;
    *slot = free_slot();
    // Held back, a signal cannot come between making the file and listing it.
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    // The number moves on past what a killed process of the same id may have left. A file
    // name ends at 255 bytes, hence the 200.
    for (int n = 0; n < 1000; n++) {
        snprintf(unfinished[*slot], sizeof unfinished[*slot], "%.*s%.200s.tmp-%ld-%d", folder,
                 target, target + folder, (long)getpid(), n);
        file = open(unfinished[*slot], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST)
            break;
    }
    int reason = errno;
    in_use[*slot] = file >= 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = reason;
    return file;
}

// The descriptor of stdout or stderr if it leads to the very file `there`, else -1.
static int standard_stream(const struct stat *there)
{
    for (int d = 1; d <= 2; d++) {
        struct stat own;
        if (fstat(d, &own) == 0 && own.st_dev == there->st_dev && own.st_ino == there->st_ino &&
            (fcntl(d, F_GETFL) & O_ACCMODE) != O_RDONLY)
            return d;
    }
    return -1;
}

// A second open() of /dev/stdout would start over at byte 0 and write on top of what was
// printed; a duplicate of the descriptor carries on where stdout stands.
static int open_directly(const char *path, int stream)
{
    if (stream < 0)
        return open(path, O_WRONLY | O_CLOEXEC);
    fflush(stdout);
    return dup(stream);
}

// Three cases: a regular file or nothing yet, which rename() will put in place; a device, a
// pipe or our own stdout, written to as it is; a directory, which open() refuses.
Output output_open(const char *path)
{
    Output out = {.slot = -1};
    struct stat there = {0};
    bool exists = stat(path, &there) == 0;
    if (!exists && errno != ENOENT)
        refuse_output(path, errno);
    int stream = exists ? standard_stream(&there) : -1;
    int file;
    if (stream >= 0 || (exists && !S_ISREG(there.st_mode))) {
        snprintf(out.path, sizeof out.path, "%s", path);
        file = open_directly(path, stream);
    } else {
        if (exists)
            check_writable(path, &there);
        follow_links(path, exists, out.path);
        file = create_beside(out.path, &out.slot);
        // A replaced file keeps its permissions; a new one has what the umask leaves of 0666.
        if (file >= 0 && exists && fchmod(file, there.st_mode & 0777) != 0)
            refuse_output(path, errno);
    }
    if (file < 0 || !(out.file = fdopen(file, "w")))
        refuse_output(path, errno);
    return out;
}

// --- closing ----------------------------------------------------------------------------

// Why not every byte written to f was taken; 0 if all were. A write that failed earlier has
// left only ferror() behind, its reason is lost: an input/output error.
static int flush_reason(FILE *f)
{
    if (fflush(f) != 0)
        return errno;
    return ferror(f) ? EIO : 0;
}

// Nobody reads from this pipe any more.
static bool reader_gone(int descriptor)
{
    struct pollfd p = {.fd = descriptor, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP));
}

// The order matters: flush, so that every byte has been taken; close, so that no error is
// still to come; only then rename, which makes the file visible under its name.
void output_close(Output *out)
{
    int reason = flush_reason(out->file);
    bool quiet = reason && out->slot < 0 && (reason == EPIPE || reader_gone(fileno(out->file)));
    // A network file system may report a full disk as late as here.
    if (fclose(out->file) != 0 && !reason)
        reason = errno;
    out->file = NULL;
    if (reason && !quiet)
        refuse_output(out->path, reason);
    if (out->slot < 0)
        return;
    if (rename(unfinished[out->slot], out->path) != 0)
        refuse_output(out->path, errno);
    in_use[out->slot] = 0;
    out->slot = -1;
}

// Made first and looked at afterwards: two programs that start together may both want it.
void output_directory(const char *path)
{
    struct stat there;
    if (mkdir(path, 0777) == 0)
        return;
    int reason = errno;
    if (stat(path, &there) != 0 || !S_ISDIR(there.st_mode))
        refuse(EXIT_WRITE, "%s: no directory can be made here: %s", path, strerror(reason));
}

// A reader that has gone is told by EPIPE, or, where printf met it and kept the reason to
// itself, by the pipe.
void output_finish(void)
{
    int reason = flush_reason(stdout);
    if (reason && reason != EPIPE && !reader_gone(STDOUT_FILENO))
        refuse_output("stdout", reason);
}
