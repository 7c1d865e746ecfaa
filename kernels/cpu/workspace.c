#define _GNU_SOURCE // madvise
#include "workspace.h"

#include "../../common/tensor.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

static const long HUGE_PAGE = 1l << 21;

static struct {
    float *data;
    long floats;
    bool taken;
} room;

void *huge_alloc(long bytes)
{
    long whole = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    memory_require((double)whole, "scratch memory");
    void *data = aligned_alloc((size_t)HUGE_PAGE, (size_t)(whole > 0 ? whole : HUGE_PAGE));
    if (!data)
        refuse(EXIT_MEMORY, "out of memory: %ld bytes of scratch", bytes);
#ifdef MADV_HUGEPAGE
    (void)madvise(data, (size_t)whole, MADV_HUGEPAGE); // a wish: small pages do as well
#endif
    return data;
}

static void free_room(void)
{
    free(room.data);
    room.data = NULL;
    room.floats = 0;
}

float *workspace_take(long floats)
{
    static bool registered;
    CHECK(!room.taken, "the workspace is taken");
    if (!registered)
        CHECK(atexit(free_room) == 0, "no room for an exit handler");
    registered = true;
    if (room.floats < floats) {
        free_room();
        room.data = huge_alloc(floats * (long)sizeof(float));
        room.floats = floats;
    }
    room.taken = true;
    tensor_hold(floats * (long)sizeof(float));
    return room.data;
}

void workspace_give(long floats)
{
    CHECK(room.taken, "the workspace is not taken");
    room.taken = false;
    tensor_hold(-floats * (long)sizeof(float));
}
