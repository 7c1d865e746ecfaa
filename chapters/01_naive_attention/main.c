// Chapter 01, naive attention. Built alone, from the project's root:
//
//     cc -std=c11 -O2 -ffp-contract=off -o naive chapters/01_naive_attention/*.c common/*.c -lm

#include "attention.h"
#include "experiment.h"

#include "../../common/chapter.h"

#include <string.h>

static const Chapter chapter = {
    .name = "01_naive_attention",
    .idea = {
        "Chapter 01, naive attention: every query scores every key, a softmax turns each row of",
        "scores into weights, and the output is the values mixed by those weights.",
    },
    .example = "build/cpu/01_naive_attention --example worked --explain 2",
    .takes = MAKES_SCORES,
    .heads = 1,
    .experiments = "scaling",
};

// --example fruit: how each token's vector changed by looking at the others.
static void print_change(Trace *trace, const Input *in, Tensor before, Tensor after)
{
    Tensor change = tensor_new(SHAPE(in->N, in->Dv)); // [N, Dv]
    for (long i = 0; i < in->N; i++)
        for (long d = 0; d < in->Dv; d++)
            row(change, i)[d] = row(after, i)[d] - row(before, i)[d];
    trace_step(trace, "change", change);
    for (int d = 0; d < 2; d++)
        trace_note(trace, "apple, its %s part: %.4f before, %.4f after\n",
                   in->features.words[d], (double)row(before, 1)[d], (double)row(after, 1)[d]);
    tensor_free(&change);
}

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
        trace_pass(&trace, 0, in.N, in.M);
        attention(out, lse, q, k, v, in.scale, &trace);
    }
    if (o.example && strcmp(o.example, "fruit") == 0)
        print_change(&trace, &in, v, out);
    if (o.explain_row >= 0)
        explain_row(&in, o.explain_row, o.explain_head, in.M, 0);

    chapter_finish(&o, &in, &trace, &measure, out, lse);
}
