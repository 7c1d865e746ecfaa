// Chapter 04, grouped-query attention. Built alone, from the project's root:
//
//     cc -std=c11 -O2 -ffp-contract=off -o gqa chapters/04_gqa/*.c common/*.c -lm

#include "attention.h"
#include "experiment.h"

#include "../../common/chapter.h"

static const Chapter chapter = {
    .name = "04_gqa",
    .idea = {
        "Chapter 04, grouped-query attention: H query heads share G heads of K and V, so that what",
        "must be kept for every token is H/G times smaller.",
    },
    .example = "build/cpu/04_gqa --heads 4 --kv-heads 1",
    .takes = TAKES_MASK | TAKES_HEADS | TAKES_KV_HEADS | MAKES_SCORES,
    .mask = "causal",
    .heads = 4,
    .kv_heads = 2,
    .experiments = "groups",
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
