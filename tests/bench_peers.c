#include "bench.h"
void peer_entry(Entry *e, const char *library) { snprintf(e->name, sizeof e->name, "peer-%s", library); e->what = "peer"; e->kernel = library; e->skipped = "not yet"; }
void peers_stop(void) {}
