// Chapter 03, multi-head. Built alone, from the project's root:
//
//     cc -std=c11 -O2 -ffp-contract=off -o multi_head chapters/03_multi_head/*.c common/*.c -lm

#include "attention.h"

#include "../../common/chapter.h"

static const Chapter chapter = {
    .name = "03_multi_head",
    .idea = {
        "Chapter 03, multi-head attention: H small attentions side by side, each on its own slice",
        "of Q, K and V; their outputs are concatenated and projected back.",
    },
    .example = "build/cpu/03_multi_head --heads 2",
    .takes = TAKES_MASK | TAKES_HEADS | MAKES_SCORES,
    .mask = "causal",
    .heads = 4,
};

int main(int argc, char **argv)
{
    Options o;
    output_start();
    options_read(&o, argc, argv, &chapter);
    Input in = input_read(&o);
    Tensor out = tensor_new(SHAPE(in.B, in.H, in.N, in.Dv));
    Tensor lse = tensor_new(SHAPE(in.B, in.H, in.N));
    Trace trace = trace_open(&o, &in);
    Measure measure = measure_start(&o, &in, &trace);
    measure.kv_bytes = 4 * (tensor_count(in.k) + tensor_count(in.v));

    while (measure_again(&measure, out, lse)) {
        input_project_q(&in, 0, in.N);
        input_project_kv(&in, 0, in.M);
        Mask mask = trace_pass(&trace, 0, in.N, in.M);
        attention(out, lse, in.q, in.k, in.v, in.scale, &mask, &trace);
        chapter_combine(&in, out, 0, in.N, &trace);
    }
    if (o.explain_row >= 0)
        explain_row(&in, o.explain_row, o.explain_head, in.M, 0);

    chapter_finish(&o, &in, &trace, &measure, out, lse);
}
