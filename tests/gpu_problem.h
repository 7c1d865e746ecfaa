// One problem of attention in device memory, and every way to solve it: what tests/gpu_bench.c
// times, repeats and checks. Host and device know the same numbers without a copy of them: an
// array's element e is noise[(e + shift) % noise_count].
//
//     problem_start(16777213);                          // that much noise, once
//     Problem p = problem_make(&shape);
//     problem_prepare(&p, &solvers[i]);
//     cudaError_t error = solve(&solvers[i], &p);       // queued on device_stream()
//     double wrong = problem_error(&p, &solvers[i]);    // against float64, row by row
//     problem_free(&p);

#ifndef GPU_PROBLEM_H
#define GPU_PROBLEM_H

#include "../kernels/cuda/07_flash_tiling.h"
#include "../kernels/cuda/device.h"

#include <stdbool.h>

// N queries and M keys; one query is decode. Key heads are shared by H / G heads.
typedef struct {
    int B, H, G, N, M, D;
    bool causal;
} Shape;

typedef struct {
    Shape shape;
    float *q, *k, *v;  // [B, H, N, D], [B, G, M, D], [B, G, M, D]
    float *out, *lse;  // [B, H, N, D], [B, H, N]
    float *scores;     // [B, H, N, M], for those who keep them; NULL: there is no room
    float *halves;     // Q, K and V once more, in bf16
    float *state, *acc;
    long  *cuts, *table;
    long  *pages;      // the table once more, for the host: [B, M / PAGE]
    Flash flash;       // all of that, as chapter 07's launchers take it
} Problem;

// Chapter 04's kernels keep all scores (BY ...), chapter 07's are launchers.
typedef struct {
    const char *name, *type;                              // as the tables call it; fp32 or bf16
    int by;                                               // 04: thread, warp or cublas; else -1
    cudaError_t (*launch)(const Flash *f, cudaStream_t);  // 07
    bool prefill, decode;
    int  part;                                            // keys a part, where keys are split
    bool paged;
} Solver;

extern const Solver solvers[];
extern const int solver_count;

enum { PAGE = 16 }; // tokens in a block of the paged cache

// Makes the noise, normal numbers, on the host and on the device.
void problem_start(long count);
void problem_stop(void);

Problem problem_make(const Shape *s);
void    problem_free(Problem *p);

// Does this solver take such problems at all?
bool solver_applies(const Solver *w, const Problem *p);

// Before solve(), whenever another solver had its turn: the cuts where it wants them.
void problem_prepare(Problem *p, const Solver *w);

// Asks for the solution. cudaErrorNotSupported: this GPU, or this shape, is not for this kernel.
cudaError_t solve(const Solver *w, Problem *p);

// Output and log-sum-exp become NaN: what a solver forgets to write shows.
void problem_poison(Problem *p);

// |O - R| / |R| over a few rows, R computed here in float64, or the same of the log-sum-exp where
// that is worse; NaN where any number of the whole output is none.
double problem_error(const Problem *p, const Solver *w);

// How far a right solver may be off: rounding, times some room. A wrong index is off by 1.
double solver_bound(const Solver *w);

// Multiplications and additions: 4 B H N M D, half of it where causal. Bytes of K and V.
double shape_flops(const Shape *s);
double shape_kv_bytes(const Shape *s);

// `count` floats of noise, or twice as many bf16, on the device. Free with device_free.
float *noise_floats(long count, long shift);
float *noise_halves(long count);

#endif
