#include "experiment.h"
void experiment(const Options *o) { (void)o; }
