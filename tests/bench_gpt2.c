#include "bench.h"
void gpt2_suite(void) {}
