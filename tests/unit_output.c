// Result files: whole or not there, and whatever ends the program, nothing half done is left.
#define _XOPEN_SOURCE 700
#include "../common/fail.h"
#include "../common/output.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

// --- helpers ----------------------------------------------------------------------------

static void put(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void expect_content(const char *name, const char *expected)
{
    char text[256];
    FILE *f = fopen(name, "r");
    if (!f)
        fail_msg("%s: %s", name, strerror(errno));
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(text, expected);
}

static int mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(lstat(name, &st), 0);
    return (int)(st.st_mode & 07777);
}

// Writes "new" into `path` the way a program does.
static void write_new(const char *path)
{
    output_start();
    Output out = output_open(path);
    fputs("new", out.file);
    output_close(&out);
    output_finish();
}

// The same without root's privileges, for whom nothing is forbidden.
static void write_unprivileged(const char *path)
{
    if (geteuid() == 0 && setuid(65534) != 0)
        abort();
    write_new(path);
}

static void expect_written(const char *path)
{
    char text[CHILD_TEXT];
    assert_int_equal(child(write_new, path, text), 0);
    assert_string_equal(text, "");
}

// Refused in one line that names the path and the reason, and the folder is as it was.
static void expect_refused(const char *path, const char *reason)
{
    char text[CHILD_TEXT];
    int entries = scratch_entries(0);
    int status = child(write_new, path, text);
    if (status != EXIT_WRITE)
        fail_msg("%s: expected exit %d, got %d: %s", path, EXIT_WRITE, status, text);
    expect_words(text, path);
    expect_words(text, reason);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_int_equal(scratch_entries(0), entries);
}

// --- files that are written -------------------------------------------------------------

// A new file has the permissions that the umask leaves of 0666, as from fopen().
static void test_new_file(void **state)
{
    (void)state;
    mode_t before = umask(027);
    expect_written("result");
    umask(before);
    expect_content("result", "new");
    assert_int_equal(mode_of("result"), 0640);
    assert_int_equal(scratch_entries(0), 1);
}

// A replaced one keeps its own, and no tail of its old content.
static void test_replaced_file(void **state)
{
    (void)state;
    put("result", "the old one, which is longer");
    assert_int_equal(chmod("result", 0604), 0);
    expect_written("result");
    expect_content("result", "new");
    assert_int_equal(mode_of("result"), 0604);
    assert_int_equal(scratch_entries(0), 1);
}

// Until output_close the old content stands, and the new one has another name.
static void test_old_until_closed(void **state)
{
    (void)state;
    put("result", "old");
    Output out = output_open("result");
    fputs("new", out.file);
    fflush(out.file);
    expect_content("result", "old");
    assert_int_equal(scratch_entries(0), 2);
    output_close(&out);
    expect_content("result", "new");
    assert_int_equal(scratch_entries(0), 1);
}

// The link stays a link; the file behind it is the new one.
static void test_link_is_followed(void **state)
{
    char target[16];
    (void)state;
    put("real", "old");
    assert_int_equal(mkdir("folder", 0777), 0);
    assert_int_equal(symlink("../real", "folder/link"), 0);
    expect_written("folder/link");
    expect_content("real", "new");
    assert_int_equal(readlink("folder/link", target, sizeof target), 7);
    assert_int_equal(unlink("folder/link"), 0);
}

// 255 bytes is the longest name there is; the temporary one must not be longer.
static void test_longest_name(void **state)
{
    char name[256] = {0};
    (void)state;
    memset(name, 'n', 255);
    expect_written(name);
    expect_content(name, "new");
}

// More files one after the other than may be unfinished at a time, two of them together.
static void test_many_files(void **state)
{
    char name[16];
    (void)state;
    for (int i = 0; i < 50; i++) {
        Output first = output_open("first");
        snprintf(name, sizeof name, "file%d", i);
        Output second = output_open(name);
        fprintf(first.file, "first %d", i);
        fprintf(second.file, "second %d", i);
        output_close(&first);
        output_close(&second);
    }
    expect_content("first", "first 49");
    expect_content("file7", "second 7");
    assert_int_equal(scratch_entries(0), 51);
}

// The temporary file of a killed process whose id came round again is in nobody's way.
static void test_stale_temporary(void **state)
{
    char stale[64];
    (void)state;
    snprintf(stale, sizeof stale, "result.tmp-%ld-0", (long)getpid());
    put(stale, "stale");
    Output out = output_open("result");
    fputs("new", out.file);
    output_close(&out);
    expect_content("result", "new");
    expect_content(stale, "stale");
}

// --- what is not a regular file ---------------------------------------------------------

// A pipe is written into, not replaced.
static void test_fifo(void **state)
{
    char text[8] = {0};
    (void)state;
    assert_int_equal(mkfifo("pipe", 0666), 0);
    int reader = open("pipe", O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    expect_written("pipe");
    assert_int_equal(read(reader, text, sizeof text), 3);
    assert_string_equal(text, "new");
    close(reader);
    assert_int_equal(scratch_entries(0), 1);
}

// Never as root: a bug here would put a regular file in the place of the device.
static void test_devices(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(write_unprivileged, "/dev/null", text), 0);
    assert_string_equal(text, "");
    assert_int_equal(child(write_unprivileged, "/dev/full", text), EXIT_WRITE);
    expect_words(text, "/dev/full: cannot be written: No space left on device");
}

static void print_and_write(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(file, STDOUT_FILENO);
    output_start();
    printf("before ");
    Output out = output_open("/dev/stdout");
    fputs("result ", out.file);
    output_close(&out);
    printf("after");
    output_finish();
}

// `program --output /dev/stdout > file`: printed text and result stand one after the other.
static void test_stdout_as_file(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(print_and_write, "printed", text), 0);
    assert_string_equal(text, "");
    expect_content("printed", "before result after");
    assert_int_equal(scratch_entries(0), 1);
}

// --- files that are refused -------------------------------------------------------------

// 0444 is refused to everybody, root included.
static void test_refused_paths(void **state)
{
    (void)state;
    put("file", "old");
    put("locked", "old");
    assert_int_equal(chmod("locked", 0444), 0);
    assert_int_equal(mkdir("folder", 0777), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(symlink("nothing", "dangling"), 0);
    expect_refused("folder", "Is a directory");
    expect_refused("folder/", "Is a directory");
    expect_refused(".", "Is a directory");
    expect_refused("locked", "Permission denied");
    expect_refused("missing/result", "No such file or directory");
    expect_refused("result/", "No such file or directory");
    expect_refused("", "No such file or directory");
    expect_refused("file/result", "Not a directory");
    expect_refused("loop", "Too many levels of symbolic links");
    expect_refused("dangling", "a link that leads nowhere");
    expect_content("locked", "old");
}

static void test_name_too_long(void **state)
{
    char name[5001] = {0};
    (void)state;
    memset(name, 'n', 256);
    expect_refused(name, "File name too long");
    for (int i = 0; i < 5000; i++)
        name[i] = i % 2 ? '/' : '.'; // ././././
    char text[CHILD_TEXT];
    assert_int_equal(child(write_new, name, text), EXIT_WRITE);
}

// The file itself may not exist yet: it is the folder that says no.
static void test_locked_folder(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(mkdir("folder", 0555), 0);
    assert_int_equal(child(write_unprivileged, "folder/result", text), EXIT_WRITE);
    expect_words(text, "folder/result: cannot be written: Permission denied");
}

// A folder that anybody may write into, and in it a file that we may not: rename() would
// succeed. (The owner's permissions count for the owner, whatever the group's are.)
static void test_others_file(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(mkdir("folder", 0777), 0);
    assert_int_equal(chmod("folder", 0777), 0);
    put("folder/result", "old");
    assert_int_equal(chmod("folder/result", geteuid() == 0 ? 0644 : 0020), 0);
    assert_int_equal(child(write_unprivileged, "folder/result", text), EXIT_WRITE);
    expect_words(text, "folder/result: cannot be written: Permission denied");
    assert_int_equal(chmod("folder/result", 0644), 0);
    expect_content("folder/result", "old");
    assert_int_equal(unlink("folder/result"), 0);
}

// A full disk, played by a limit of 1000 bytes a file.
static void write_beyond_limit(const char *path)
{
    struct rlimit limit = {1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    output_start();
    Output out = output_open(path);
    for (int i = 0; i < 100000; i++)
        fputc('x', out.file);
    output_close(&out);
}

static void test_full_disk(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    put("result", "old");
    assert_int_equal(child(write_beyond_limit, "result", text), EXIT_WRITE);
    expect_words(text, "result: cannot be written: File too large");
    expect_content("result", "old");
    assert_int_equal(scratch_entries(0), 1);
}

// --- interrupted ------------------------------------------------------------------------

static int the_signal; // what the child is to raise; 0: refuse, -1: fail a CHECK

static void write_and_die(const char *path)
{
    if (the_signal > 0)
        signal(the_signal, SIG_DFL); // under nohup, or in a shell's background, some are ignored
    output_start();
    Output out = output_open(path), other = output_open("other");
    fputs("new", out.file);
    fflush(out.file);
    fflush(other.file);
    if (scratch_entries(0) != 3) // the old result and two unfinished files
        exit(99);
    if (the_signal == 0)
        refuse(EXIT_INPUT, "refused");
    CHECK(the_signal > 0, "failed");
    raise(the_signal);
}

// Killed by a signal, refused or aborted: the old result stands alone, and the parent sees
// the true cause.
static void test_interrupted(void **state)
{
    static const struct {
        int number, status;
    } ENDS[] = {
        {SIGINT, 128 + SIGINT},   {SIGTERM, 128 + SIGTERM}, {SIGHUP, 128 + SIGHUP},
        {SIGPIPE, 128 + SIGPIPE}, {SIGQUIT, 128 + SIGQUIT}, {0, EXIT_INPUT},
        {-1, 128 + SIGABRT},
    };
    char text[CHILD_TEXT];
    struct rlimit no_core = {0, 0};
    (void)state;
    setrlimit(RLIMIT_CORE, &no_core);
    for (int i = 0; i < COUNT(ENDS); i++) {
        put("result", "old");
        the_signal = ENDS[i].number;
        int status = child(write_and_die, "result", text);
        if (status != ENDS[i].status)
            fail_msg("signal %d: expected status %d, got %d", the_signal, ENDS[i].status, status);
        expect_content("result", "old");
        if (scratch_entries(0) != 1)
            fail_msg("signal %d left a file behind", the_signal);
    }
}

// Under nohup a hangup is ignored, and the work goes on.
static void write_through_hangup(const char *path)
{
    signal(SIGHUP, SIG_IGN);
    output_start();
    Output out = output_open(path);
    raise(SIGHUP);
    fputs("new", out.file);
    output_close(&out);
}

static void test_ignored_signal(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(write_through_hangup, "result", text), 0);
    expect_content("result", "new");
}

// What was finished before stays.
static void finish_then_die(const char *path)
{
    write_new(path);
    Output out = output_open("other");
    fputs("new", out.file);
    raise(SIGTERM);
}

static void test_finished_stays(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(finish_then_die, "result", text), 128 + SIGTERM);
    expect_content("result", "new");
    assert_int_equal(scratch_entries(0), 1);
}

// --- standard streams -------------------------------------------------------------------

// Descriptor 1 closed: the result file must not become number 1 and take in what is printed.
static void write_without_stdout(const char *path)
{
    close(1);
    output_start();
    Output out = output_open(path);
    fputs("new", out.file);
    printf("printed");
    fflush(stdout);
    output_close(&out);
}

// The /dev/null that output_start put in stdout's place is not the one the user named.
static void write_null_without_stdout(const char *path)
{
    close(1);
    write_unprivileged(path);
}

// With all three closed, a failure shows in the exit code alone.
static void write_without_streams(const char *path)
{
    close(0);
    close(2);
    write_without_stdout(path);
    output_finish();
}

static void test_closed_streams(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    assert_int_equal(child(write_without_stdout, "result", text), 0);
    expect_content("result", "new");
    assert_int_equal(child(write_without_streams, "result", text), EXIT_WRITE);
    expect_content("result", "new");
    assert_int_equal(child(write_null_without_stdout, "/dev/null", text), 0);
}

// Nothing vanishes in silence: printing to a closed stdout fails.
static void print_to_nowhere(const char *text)
{
    close(1);
    output_start();
    printf("%s", text);
    output_finish();
}

static void print_to_full(const char *text)
{
    dup2(open("/dev/full", O_WRONLY), 1);
    output_start();
    printf("%s", text);
    output_finish();
}

static void test_lost_output(void **state)
{
    static char long_text[100001];
    char text[CHILD_TEXT];
    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    assert_int_equal(child(print_to_nowhere, "printed", text), EXIT_WRITE);
    expect_words(text, "stdout: cannot be written: Bad file descriptor");
    assert_int_equal(child(print_to_full, "printed", text), EXIT_WRITE);
    expect_words(text, "stdout: cannot be written: No space left on device");
    // Longer than stdio's buffer: it failed inside printf, long before output_finish.
    assert_int_equal(child(print_to_full, long_text, text), EXIT_WRITE);
    expect_words(text, "stdout: cannot be written: ");
    // Having nothing to say is no failure.
    assert_int_equal(child(print_to_nowhere, "", text), 0);
}

// stdout is a pipe that nobody reads from any more.
static void use_closed_pipe(void)
{
    int ends[2];
    if (pipe(ends) != 0)
        abort();
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
}

static void print_to_closed_pipe(const char *text)
{
    use_closed_pipe();
    output_start();
    printf("%s", text);
    output_finish();
}

static void print_ignoring_sigpipe(const char *text)
{
    signal(SIGPIPE, SIG_IGN);
    print_to_closed_pipe(text);
}

static void write_ignoring_sigpipe(const char *path)
{
    signal(SIGPIPE, SIG_IGN);
    use_closed_pipe();
    write_new(path);
}

// `program | head -1`: the reader has had enough, and that is nobody's mistake.
static void test_closed_pipe(void **state)
{
    static char long_text[100001];
    char text[CHILD_TEXT];
    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    assert_int_equal(child(print_to_closed_pipe, "printed", text), 128 + SIGPIPE);
    assert_string_equal(text, "");
    assert_int_equal(child(print_ignoring_sigpipe, "printed", text), 0);
    assert_string_equal(text, "");
    assert_int_equal(child(print_ignoring_sigpipe, long_text, text), 0);
    assert_string_equal(text, "");
    assert_int_equal(child(write_ignoring_sigpipe, "/dev/stdout", text), 0);
    assert_string_equal(text, "");
}

// --- directories ------------------------------------------------------------------------

static void test_directories(void **state)
{
    char text[CHILD_TEXT];
    (void)state;
    mode_t before = umask(022);
    output_directory("made");
    umask(before);
    assert_int_equal(mode_of("made"), 0755);
    output_directory("made"); // it is there: nothing to do
    assert_int_equal(symlink("made", "link"), 0);
    output_directory("link");
    put("file", "old");
    assert_int_equal(child(output_directory, "file", text), EXIT_WRITE);
    expect_words(text, "file: no directory can be made here: File exists");
    assert_int_equal(child(output_directory, "missing/folder", text), EXIT_WRITE);
    expect_words(text, "missing/folder: no directory can be made here: No such file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_new_file, scratch_empty),
        cmocka_unit_test_teardown(test_replaced_file, scratch_empty),
        cmocka_unit_test_teardown(test_old_until_closed, scratch_empty),
        cmocka_unit_test_teardown(test_link_is_followed, scratch_empty),
        cmocka_unit_test_teardown(test_longest_name, scratch_empty),
        cmocka_unit_test_teardown(test_many_files, scratch_empty),
        cmocka_unit_test_teardown(test_stale_temporary, scratch_empty),
        cmocka_unit_test_teardown(test_fifo, scratch_empty),
        cmocka_unit_test_teardown(test_devices, scratch_empty),
        cmocka_unit_test_teardown(test_stdout_as_file, scratch_empty),
        cmocka_unit_test_teardown(test_refused_paths, scratch_empty),
        cmocka_unit_test_teardown(test_name_too_long, scratch_empty),
        cmocka_unit_test_teardown(test_locked_folder, scratch_empty),
        cmocka_unit_test_teardown(test_others_file, scratch_empty),
        cmocka_unit_test_teardown(test_full_disk, scratch_empty),
        cmocka_unit_test_teardown(test_interrupted, scratch_empty),
        cmocka_unit_test_teardown(test_ignored_signal, scratch_empty),
        cmocka_unit_test_teardown(test_finished_stays, scratch_empty),
        cmocka_unit_test_teardown(test_closed_streams, scratch_empty),
        cmocka_unit_test_teardown(test_lost_output, scratch_empty),
        cmocka_unit_test_teardown(test_closed_pipe, scratch_empty),
        cmocka_unit_test_teardown(test_directories, scratch_empty),
    };
    return cmocka_run_group_tests_name("output", tests, scratch_enter, scratch_leave);
}
