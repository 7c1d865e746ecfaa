// From an instruction's address to "file.cu:12". The debugging information is read by addr2line,
// which takes a tenth of a second however many addresses it is asked for: so we ask for many at
// once, and never twice.

#define _GNU_SOURCE
#include "inside.h"

#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TABLE = 1 << 14 };

static struct {
    uintptr_t pc; // 0: a free place
    const char *text; // "file.cu:12"; NULL while it is asked for
} table[TABLE];
// Over the table: OS threads report at the same time. A text never changes once it is there.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uintptr_t base, program_from = UINTPTR_MAX, program_to; // addresses from <= a < to

// Where the program was loaded: addresses in it are the file's, plus base. The first entry is the
// program itself, libraries follow.
static int find_program(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        uintptr_t from = base + info->dlpi_phdr[i].p_vaddr;
        uintptr_t to = from + info->dlpi_phdr[i].p_memsz;
        program_from = from < program_from ? from : program_from;
        program_to = to > program_to ? to : program_to;
    }
    return 1; // only the first: the program itself
}

// Asked for once; counts and tables speak of addresses without it, the same in every run.
uintptr_t load_address(void)
{
    if (!program_to)
        dl_iterate_phdr(find_program, NULL);
    return base;
}

// The program's own constants, such as the tables of a switch, may be read by a kernel.
// Code that was not linked into the executable, such as a shared library's, is not in here.
bool in_program(uintptr_t a)
{
    load_address();
    return program_from <= a && a < program_to;
}

// A hash table from addresses to texts that is never emptied.
// Collisions take the next place. The factor is 2^64 over the golden ratio: neighbouring addresses,
// which those of one kernel are, come to lie far apart.
static unsigned slot_of(uintptr_t pc)
{
    unsigned i = (unsigned)(pc * 0x9E3779B97F4A7C15u >> 40) % TABLE;
    while (table[i].pc && table[i].pc != pc)
        i = (i + 1) % TABLE;
    return i;
}

// A line of the emulator's own headers says nothing to who wrote the kernel: addr2line -i lists
// the places into which such a line was inlined, and the first foreign one counts.
static bool is_ours(const char *path)
{
    return strstr(path, "simt/include/") || strstr(path, "/gpu.h:");
}

// "dir/file.cu:12 (discriminator 3)" -> "file.cu:12"
// The discriminator tells parts of one line apart, which nobody asked.
static const char *keep(const char *path)
{
    const char *name = strrchr(path, '/');
    char text[256];
    snprintf(text, sizeof text, "%.255s", name ? name + 1 : path);
    text[strcspn(text, " (\n")] = 0; // "(discriminator 3)"
    return strdup(text);
}

// The answer is, for every address, a line 0x..., then one line for each level of inlining.
static void read_answer(FILE *answer, const uintptr_t *pc, int n)
{
    char line[1024], best[1024] = "";
    int i = -1;
    bool more = true;
    while (more) {
        more = fgets(line, sizeof line, answer) != NULL;
        if (!more || strncmp(line, "0x", 2) == 0) {
            if (i >= 0 && i < n && best[0] && best[0] != '?')
                table[slot_of(pc[i])].text = keep(best);
            i++;
            best[0] = 0;
        } else if (!best[0] || is_ours(best)) {
            memcpy(best, line, sizeof best);
        }
    }
}

// addr2line reads addresses from a file and knows all it needs from /proc: the program may have
// been moved since.
static void ask(const uintptr_t *pc, int n)
{
    char list[] = "/tmp/simt-XXXXXX", command[256];
    int file = mkstemp(list);
    FILE *f = file < 0 ? NULL : fdopen(file, "w");
    if (!f)
        return;
    for (int i = 0; i < n; i++) // one before the return address lies in the call itself
        fprintf(f, "0x%lx\n", (unsigned long)(pc[i] - load_address() - 1));
    fclose(f);
    snprintf(command, sizeof command, "addr2line -a -i -e /proc/%d/exe < %s 2>/dev/null",
             (int)getpid(), list);
    FILE *answer = popen(command, "r");
    if (answer) {
        read_answer(answer, pc, n);
        pclose(answer);
    }
    unlink(list);
}

// Looks up many addresses, with one call for those that are new.
// An address is entered before it is asked for, so that one which comes twice is asked once. Where
// addr2line is missing or knows nothing, the text is "pc 0x...", counted from the program's
// beginning: the loader puts it elsewhere in every run, and the text stays the same.
void where_all(const uintptr_t *pc, int n)
{
    uintptr_t *unknown = malloc((size_t)(n ? n : 1) * sizeof *unknown);
    int count = 0;
    if (!unknown)
        return;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < n; i++)
        if (!table[slot_of(pc[i])].pc) {
            table[slot_of(pc[i])].pc = pc[i];
            unknown[count++] = pc[i];
        }
    if (count)
        ask(unknown, count);
    for (int i = 0; i < count; i++) {
        unsigned s = slot_of(unknown[i]);
        char text[32];
        snprintf(text, sizeof text, "pc 0x%lx", (unsigned long)(unknown[i] - load_address()));
        if (!table[s].text)
            table[s].text = strdup(text);
    }
    pthread_mutex_unlock(&lock);
    free(unknown);
}

// For a return address, which lies behind the call: ask() takes one off.
const char *where(uintptr_t pc)
{
    if (!pc)
        return "an unknown place";
    where_all(&pc, 1);
    return table[slot_of(pc)].text;
}
