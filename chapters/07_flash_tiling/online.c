#include "online.h"

#include "../../common/explain.h"

#include <stdio.h>

void explain_online(const Input *in, long i, long h, long C)
{
    (void)C;
    explain_row(in, i, h, 0);
}
