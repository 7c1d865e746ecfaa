// Shared memory. The dynamic part is a buffer of the worker. A __shared__ array inside a kernel
// is compiled as `static __thread`: every OS thread, which runs one block at a time, has its own.
// The executable's symbol table says where these arrays lie, how long they are and their names.

#define _GNU_SOURCE
#include "inside.h"

#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    size_t from, to;  // offsets from the start of an OS thread's statics
    const char *name; // mangled: _ZZ6kernelPfE4tile
} Array;

static Array *arrays;
static int array_count;
static size_t statics_bytes; // of all thread_local variables of the program

// --- finding the arrays ----------------------------------------------------------------------

// dl_iterate_phdr's view of the program: where this OS thread's copy of its thread_local data
// lies.
static int find_statics(struct dl_phdr_info *info, size_t size, void *result)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            *(uintptr_t *)result = (uintptr_t)info->dlpi_tls_data;
            statics_bytes = info->dlpi_phdr[i].p_memsz;
        }
    return 1; // the first entry is the program itself: look no further
}

uintptr_t shared_find(void)
{
    uintptr_t at = 0;
    dl_iterate_phdr(find_statics, &at);
    return at;
}

// C++ begins the names of a function's own statics with _ZZ.
static void note_array(const char *name, size_t from, size_t bytes)
{
    if (strncmp(name, "_ZZ", 3) != 0)
        return;
    arrays = realloc(arrays, (size_t)(array_count + 1) * sizeof *arrays);
    if (!arrays)
        abort();
    arrays[array_count++] = (Array){from, from + bytes, name};
}

// --- addresses -------------------------------------------------------------------------------

size_t shared_room(void)
{
    return MAX_SHARED + statics_bytes;
}

// The dynamic part first, then the statics: one number for both, which race.c uses as an index.
long shared_offset(const Worker *w, uintptr_t a)
{
    if (a - (uintptr_t)w->shared < MAX_SHARED)
        return (long)(a - (uintptr_t)w->shared);
    if (a - w->statics < statics_bytes)
        return (long)(MAX_SHARED + (a - w->statics));
    return -1;
}

static const Array *array_at(const Worker *w, uintptr_t a)
{
    for (int i = 0; i < array_count; i++)
        if (arrays[i].from <= a - w->statics && a - w->statics < arrays[i].to)
            return &arrays[i];
    return NULL;
}

// Do all bytes lie in one __shared__ array, or in the dynamic part that the launch asked for?
bool shared_in_bounds(const Worker *w, uintptr_t a, size_t bytes)
{
    if (a - (uintptr_t)w->shared < MAX_SHARED)
        return a - (uintptr_t)w->shared + bytes <= launch.kernel.shared_bytes;
    if (!array_count)
        return true; // a stripped program: nothing is known
    const Array *array = array_at(w, a);
    return array && a - w->statics + bytes <= array->to;
}

// A new block finds 0xff in every byte, that is NaN in every float: what a GPU leaves there is
// chance.
void shared_begin(Worker *w)
{
    static atomic_bool known;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (!atomic_load(&known)) {
        pthread_mutex_lock(&lock);
        if (!atomic_load(&known))
            symbols_statics(note_array);
        atomic_store(&known, true);
        pthread_mutex_unlock(&lock);
    }
    memset(w->shared, 0xff, launch.kernel.shared_bytes);
    for (int i = 0; i < array_count; i++)
        memset((char *)w->statics + arrays[i].from, 0xff, arrays[i].to - arrays[i].from);
}

// The last name in _ZZ6kernelPfE4tile: letters, and before them their number.
static void plain_name(char *out, size_t room, const char *mangled)
{
    const char *end = strrchr(mangled, 'E');
    int length = 0, read = 0;
    if (end && sscanf(end + 1, "%d%n", &length, &read) == 1 && length < (int)room)
        snprintf(out, room, "%.*s", length, end + 1 + read);
    else
        snprintf(out, room, "a __shared__ array");
}

// "tile, byte 12 of 512" or "dynamic shared memory, byte 12 of 4096"
void describe_shared(char *out, size_t room, const Worker *w, uintptr_t a)
{
    const Array *array = array_at(w, a), *before = NULL;
    for (int i = 0; !array && i < array_count; i++) // just behind the end of which?
        if (arrays[i].to <= a - w->statics && (!before || before->to < arrays[i].to))
            before = &arrays[i];
    array = array ? array : before;
    char name[64];
    if (a - (uintptr_t)w->shared < MAX_SHARED) {
        snprintf(out, room, "dynamic shared memory, byte %lu of %lu",
                 (unsigned long)(a - (uintptr_t)w->shared),
                 (unsigned long)launch.kernel.shared_bytes);
    } else if (array) {
        plain_name(name, sizeof name, array->name);
        snprintf(out, room, "shared %s, byte %lu of %lu", name,
                 (unsigned long)(a - w->statics - array->from),
                 (unsigned long)(array->to - array->from));
    } else {
        snprintf(out, room, "shared memory");
    }
}
