// Other libraries in the same rounds: tests/bench_peers.py runs them in a process of its own, is
// given the same arrays, and takes its turns over two pipes. It measures its own seconds, so that
// the pipes cost nothing.

#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    pid_t process;
    FILE *to, *from;
    char  folder[64]; // where the arrays lie
    const char *missing;
    long  opened;
} driver;

// What one entry keeps: the name by which the driver knows it, and what was answered.
typedef struct {
    long number;
    char said[400];
} Peer;

// --- the driver ---------------------------------------------------------------------------------

static const char *const array_names[] = {"q", "k", "v", "out"};

static const char *path_of(const char *array)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s.f32", driver.folder, array);
    return path;
}

void peers_clean(void)
{
    if (driver.process > 0)
        kill(driver.process, SIGTERM);
    for (int i = 0; i < 4 && driver.folder[0]; i++)
        unlink(path_of(array_names[i]));
    if (driver.folder[0])
        rmdir(driver.folder);
}

// In the child: its standard input and output are the pipes.
static _Noreturn void become_driver(const char *python, const int in[2], const int out[2])
{
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[0]), close(in[1]), close(out[0]), close(out[1]);
    execlp(python, python, "tests/bench_peers.py", driver.folder, (char *)NULL);
    _exit(127);
}

// True if it runs, or ran before; else driver.missing says why not.
static bool start_driver(void)
{
    const char *python = getenv("PYTHON");
    int in[2], out[2];
    if (driver.process || driver.missing)
        return driver.process > 0;
    driver.missing = "there is no Python with numpy (PYTHON=...)";
    if (!python || !*python)
        return false;
    strcpy(driver.folder, "build/bench-peers-XXXXXX");
    CHECK(mkdtemp(driver.folder) && pipe(in) == 0 && pipe(out) == 0, "no pipe to %s", python);
    CHECK(atexit(peers_clean) == 0, "no room for an exit handler");
    signal(SIGPIPE, SIG_IGN); // one that died is noticed by its silence
    driver.process = fork();
    CHECK(driver.process >= 0, "no process for %s", python);
    if (driver.process == 0)
        become_driver(python, in, out);
    close(in[0]), close(out[1]);
    fcntl(in[1], F_SETFD, FD_CLOEXEC), fcntl(out[0], F_SETFD, FD_CLOEXEC);
    driver.to = fdopen(in[1], "w"), driver.from = fdopen(out[0], "r");
    return true;
}

void peers_stop(void)
{
    if (driver.process <= 0)
        return;
    fclose(driver.to), fclose(driver.from);
    waitpid(driver.process, NULL, 0);
    driver.process = 0;
}

// One command, one line back, without its newline. "skip ..." where the driver is gone.
static void ask(char *said, size_t room, const char *command)
{
    fprintf(driver.to, "%s\n", command);
    fflush(driver.to);
    if (!fgets(said, (int)room, driver.from))
        snprintf(said, room, "skip its process ended");
    said[strcspn(said, "\n")] = '\0';
}

// --- arrays -------------------------------------------------------------------------------------

// As they lie in memory: the driver knows the shape.
static void write_array(const char *name, Tensor t)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "wb");
    size_t n = (size_t)tensor_count(t);
    bool whole = f && fwrite(t.data, sizeof *t.data, n, f) == n;
    if (!f || fclose(f) != 0 || !whole)
        refuse(EXIT_WRITE, "%s: cannot be written: %s", path, strerror(errno));
}

static bool read_output(Tensor out)
{
    FILE *f = fopen(path_of("out"), "rb");
    size_t n = (size_t)tensor_count(out);
    bool whole = f && fread(out.data, sizeof *out.data, n, f) == n;
    if (f)
        fclose(f);
    return whole;
}

// --- an entry -----------------------------------------------------------------------------------

// Its answer goes where ours would be, to be compared.
static bool fetch_output(Entry *e, long number)
{
    char command[64], said[400];
    snprintf(command, sizeof command, "write %ld", number);
    ask(said, sizeof said, command);
    return strcmp(said, "ok") == 0 && read_output(e->out);
}

// The library gets the arrays and makes ready; why it cannot is the reason to skip it.
static void open_peer(Entry *e)
{
    const Shape *s = &e->shape;
    char command[256];
    if (!start_driver()) {
        e->skipped = driver.missing;
        return;
    }
    Peer *p = e->state = calloc(1, sizeof *p);
    CHECK(p, "no memory for a peer");
    p->number = ++driver.opened;
    write_array("q", e->arrays->q), write_array("k", e->arrays->k);
    write_array("v", e->arrays->v);
    snprintf(command, sizeof command, "open %ld %s %d %ld %ld %ld %ld %ld %s", p->number,
             e->kernel, e->threads, s->H, s->G, s->N, s->M, s->D, s->causal ? "causal" : "none");
    ask(p->said, sizeof p->said, command);
    if (strncmp(p->said, "ok ", 3) != 0) {
        e->skipped = p->said + (strncmp(p->said, "skip ", 5) == 0 ? 5 : 0);
        return;
    }
    e->kernel = p->said + 3; // library, version, and which of its ways
    if (!fetch_output(e, p->number))
        e->skipped = "its result cannot be read";
}

// A peer that answered before and does not now is no peer that is missing.
static void run_peer(Entry *e)
{
    Peer *p = e->state;
    char command[64], said[400];
    snprintf(command, sizeof command, "time %ld", p->number);
    ask(said, sizeof said, command);
    if (sscanf(said, "ok %lf", &e->reported) != 1)
        refuse(EXIT_DIFFERS, "%s: expected its seconds, got \"%s\"", e->name, said);
}

static void close_peer(Entry *e)
{
    Peer *p = e->state;
    char command[64], said[400];
    snprintf(command, sizeof command, "close %ld", p->number);
    ask(said, sizeof said, command);
    free(p);
}

void peer_entry(Entry *e, const char *library)
{
    e->what = "peer", e->kernel = library, e->isa = NULL;
    e->open = open_peer, e->run = run_peer, e->close = close_peer;
    e->guess = shape_flops(&e->shape) / (50e9 * e->threads) + shape_bytes(&e->shape) / 4e9;
    snprintf(e->name, sizeof e->name, "peer-%s", library);
    if (flags.no_peers)
        e->skipped = "--no-peers";
    else if (e->shape.B != 1)
        e->skipped = "only one sequence is asked of it";
}
