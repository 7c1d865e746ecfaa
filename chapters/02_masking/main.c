// Chapter 02, masking. Built alone, from the project's root:
//
//     cc -std=c11 -O2 -ffp-contract=off -o masking chapters/02_masking/*.c common/*.c -lm -ldl

#include "attention.h"
#include "experiment.h"

#include "../../common/chapter.h"

static const Chapter chapter = {
    .name = "02_masking",
    .idea = {
        "Chapter 02, masking: a rule says which keys a query may look at; what it hides becomes",
        "-inf before the softmax, weighs exactly nothing after it, and its value is never read.",
    },
    .example = "build/cpu/02_masking --example fruit --mask window=1",
    .takes = TAKES_MASK | MAKES_SCORES,
    .mask = "causal",
    .heads = 1,
    .experiments = "rank",
};

int main(int argc, char **argv)
{
    Options o;
    output_start();
    options_read(&o, argc, argv, &chapter);
    if (o.experiment) {
        experiment(&o);
        output_finish();
        return 0;
    }
    Input in = input_read(&o);
    Tensor q = tensor_at(tensor_at(in.q, 0), 0);                                  // [N, D]
    Tensor k = tensor_at(tensor_at(in.k, 0), 0), v = tensor_at(tensor_at(in.v, 0), 0); // [M, D]
    Tensor out = tensor_new(SHAPE(in.N, in.Dv)), lse = tensor_new(SHAPE(in.N));
    Trace trace = trace_open(&o, &in);
    Measure measure = measure_start(&o, &in, &trace);
    measure.kv_bytes = 4 * (tensor_count(in.k) + tensor_count(in.v));

    while (measure_again(&measure, out, lse)) {
        Mask pass = trace_pass(&trace, 0, in.N, in.M), mask = mask_head(&pass, 0, 0);
        attention(out, lse, q, k, v, in.scale, &mask, &trace);
    }
    if (o.explain_row >= 0)
        explain_row(&in, o.explain_row, o.explain_head, in.M, 0);

    chapter_finish(&o, &in, &trace, &measure, out, lse);
}
