// The program's own symbol table: where its __shared__ arrays lie, and what its kernels are
// called, template arguments and all.

#define _GNU_SOURCE
#include "inside.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// A kernel's __shared__ array becomes `static __thread` (include/), and C cannot list such arrays
// at run time; the executable's symbol table can. A stripped program has none, and no names.
static const ElfW(Sym) *symbol;
static size_t symbols; // in the table
static const char *names; // all names, each ended by a 0; st_name is an offset into it

// Maps the executable and finds its table. The mapping stays: the names point into it.
static void find_table(void)
{
    static bool known;
    int file = known ? -1 : open("/proc/self/exe", O_RDONLY);
    struct stat info;
    known = true;
    if (file < 0 || fstat(file, &info) != 0)
        return;
    const char *image = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (image == MAP_FAILED)
        return;
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)(const void *)image;
    const ElfW(Shdr) *section = (const ElfW(Shdr) *)(const void *)(image + header->e_shoff);
    // SHT_SYMTAB has every symbol; .dynsym, the other table, lacks what is static. sh_link is the
    // number of the section with the names (ELF specification, "Sections").
    for (int i = 0; i < header->e_shnum; i++)
        if (section[i].sh_type == SHT_SYMTAB) {
            symbol = (const ElfW(Sym) *)(const void *)(image + section[i].sh_offset);
            symbols = section[i].sh_size / sizeof *symbol;
            names = image + section[section[i].sh_link].sh_offset;
        }
}

// Calls visit for every thread_local variable: name, offset and size.
// The offset is from the beginning of the program's thread-local storage: each OS thread has its
// own copy, as each block has its own shared memory (shared.c).
void symbols_statics(void (*visit)(const char *name, size_t from, size_t bytes))
{
    find_table();
    for (size_t i = 0; i < symbols; i++)
        if (ELF64_ST_TYPE(symbol[i].st_info) == STT_TLS)
            visit(names + symbol[i].st_name, symbol[i].st_value, symbol[i].st_size);
}

// --- names of kernels ------------------------------------------------------------------------

char *__cxa_demangle(const char *mangled, char *out, size_t *room, int *status); // C++'s own

// The mangled name of the function at this address.
// The table has addresses as in the file; load_address() is how far the program was moved.
static const char *symbol_of(uintptr_t address)
{
    find_table();
    for (size_t i = 0; i < symbols; i++)
        if (ELF64_ST_TYPE(symbol[i].st_info) == STT_FUNC &&
            symbol[i].st_value + load_address() == address)
            return names + symbol[i].st_name;
    return NULL;
}

// C++ calls a kernel _Z6kernelPf and the arrays inside it _ZZ6kernelPfE4tile.
// Bytes of a kernel's own __shared__ arrays, which a launch's limit counts, too (launch.c). The
// names are the Itanium C++ ABI's: Z, the function's name without _Z, E, the array's name. Without
// the E, the arrays of kernelPfi would be taken for those of kernelPf.
size_t kernel_statics(const void *kernel)
{
    const char *name = symbol_of((uintptr_t)kernel);
    size_t length = name ? strlen(name) : 0, bytes = 0;
    for (size_t i = 0; i < symbols && length > 2; i++) {
        const char *array = names + symbol[i].st_name;
        if (ELF64_ST_TYPE(symbol[i].st_info) == STT_TLS && strncmp(array, "_ZZ", 3) == 0 &&
            strncmp(array + 3, name + 2, length - 2) == 0 && array[length + 1] == 'E')
            bytes += symbol[i].st_size;
    }
    return bytes;
}

// "void ns::flash<64, 32>(float const*, int)" -> "flash<64,32>"
// The demangler writes a return type only before templates. A blank or a colon inside <...> is
// no end of a name: hence the depth.
static char *shorten(const char *full)
{
    char *out = malloc(strlen(full) + 1);
    size_t n = 0;
    int depth = 0;
    for (const char *p = full; out && *p; p++) {
        if (depth == 0 && (*p == '(' && strncmp(p, "(anonymous", 10) != 0))
            break; // the parameters
        if (depth == 0 && (*p == ' ' || *p == ':')) {
            n = 0; // what stood before was a type or a namespace
            continue;
        }
        depth += (*p == '<') - (*p == '>');
        if (*p != ' ')
            out[n++] = *p;
    }
    if (out)
        out[n] = 0;
    return out;
}

// The kernel's own name; what stood in LAUNCH where the program has no symbols. Stays valid.
const char *kernel_name(const void *kernel, const char *text)
{
    static struct {
        const void *kernel;
        const char *name;
    } known[256];
    // The last place is shared by all kernels from the 256th on: they are looked up again.
    int i = 0;
    while (i < 255 && known[i].kernel && known[i].kernel != kernel)
        i++;
    if (known[i].kernel == kernel)
        return known[i].name;
    const char *found = symbol_of((uintptr_t)kernel);
    char *full = found ? __cxa_demangle(found, NULL, NULL, NULL) : NULL;
    known[i].kernel = kernel;
    known[i].name = full ? shorten(full) : found ? found : text;
    free(full);
    return known[i].name;
}
