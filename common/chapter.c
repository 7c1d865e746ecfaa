#include "chapter.h"

#include "backend.h"
#include "npy.h"

void chapter_combine(Input *in, Tensor out, long from, long to, Trace *trace)
{
    input_combine(in, out, from, to);
    for (long b = 0; in->projected && b < in->B; b++) {
        trace_at(trace, b, 0);
        trace_step(trace, "concat", tensor_slice(tensor_at(in->concat, b), 0, from, to));
        trace_step(trace, "result", tensor_slice(tensor_at(in->result, b), 0, from, to));
    }
}

void chapter_finish(const Options *o, Input *in, Trace *trace, const Measure *m, Tensor out,
                    Tensor lse)
{
    trace_close(trace);
    if (o->output)
        npy_write(o->output, in->projected ? in->result : out);
    if (o->lse)
        npy_write(o->lse, lse);
    measure_report(m);
    backend_close();
    tensor_free(&out);
    tensor_free(&lse);
    input_free(in);
    CHECK(tensor_live_bytes() == 0, "%ld bytes of tensors were never freed", tensor_live_bytes());
    output_finish();
}
