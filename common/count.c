#include "count.h"

Counts counts;
