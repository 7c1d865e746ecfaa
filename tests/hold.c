#include "hold.h"

#include "naive_bf16.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

// Equal values pass first (-inf equals -inf), and NaN where NaN must be; what is left is negated,
// so that any other NaN fails.
static bool beyond(double x, double ref, double bound)
{
    return x != ref && !(isnan(x) && isnan(ref)) && !(fabs(x - ref) <= bound);
}

long count_wrong(const char *what, Tensor got, const double *ref, double bound,
                 const double *spread)
{
    long wrong = 0;
    for (long i = 0; i < tensor_count(got); i++) {
        double most = spread && isfinite(spread[i]) ? bound + BF16_UNIT * spread[i] : bound;
        if (beyond((double)got.data[i], ref[i], most) && wrong++ == 0)
            printf("  %s %ld is %.9g, the oracle has %.9g, bound %.3g\n", what, i,
                   (double)got.data[i], ref[i], most);
    }
    return wrong;
}

long count_undead(Tensor out, const double *lse)
{
    long wrong = 0, Dv = out.shape[out.axes - 1];
    for (long i = 0; i < tensor_count(out); i++)
        if (lse[i / Dv] == -INFINITY && out.data[i] != 0.0f && wrong++ == 0)
            printf("  output %ld of a dead row is %.9g\n", i, (double)out.data[i]);
    return wrong;
}

long count_other(const char *what, Tensor got, Tensor other, const char *is, const char *was)
{
    long wrong = 0;
    for (long i = 0; i < tensor_count(got); i++)
        if (beyond((double)got.data[i], (double)other.data[i], 0) && wrong++ == 0)
            printf("  %s %ld is %.9g %s, %.9g %s\n", what, i, (double)got.data[i], is,
                   (double)other.data[i], was);
    return wrong;
}
