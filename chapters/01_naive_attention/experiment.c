// What if sqrt(D) were missing? Random q and k of growing size D: the variance of q.k, and the
// softmax of a row of such scores, without the factor 1/sqrt(D) and with it.

#include "experiment.h"

#include "../../common/random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { KEYS = 64, QUERIES = 64, SMALLEST = 4, LARGEST = 4096 };

// Sums over the rows of scores seen so far, in double: what is measured is not the rounding.
typedef struct {
    long   rows;            // of KEYS scores each
    double scores, squares; // of every score s, and of s^2: the variance comes from both
    double largest;         // of each row's largest weight
    double entropy;         // of each row's -(sum over i of P_i log P_i), in nats
    double gradient;        // of each row's mean |dP_i/dS_j|
} Sums;

// S[j] = sum over d of q[d] K[j,d]
static void score_row(double *s, const float *q, Tensor k)
{
    for (long j = 0; j < KEYS; j++) {
        const float *kj = row(k, j);
        s[j] = 0.0;
        for (long d = 0; d < k.shape[1]; d++)
            s[j] += (double)q[d] * (double)kj[d];
    }
}

// P_i = exp(S_i - L),  L the row's log-sum-exp;    dP_i/dS_j = P_i ((1 if i = j, else 0) - P_j)
//
// The P_i sum to one, so row i of that matrix holds P_i (1 - P_i) on the diagonal and, in
// absolute values, as much again beside it. The mean |dP_i/dS_j| of all KEYS * KEYS entries is
// therefore 2 * (sum over i of P_i (1 - P_i)) / KEYS^2.
static void add_weights(Sums *to, const double *s)
{
    double max = -INFINITY, sum = 0.0;
    for (long i = 0; i < KEYS; i++)
        max = fmax(max, s[i]);
    for (long i = 0; i < KEYS; i++)
        sum += exp(s[i] - max);
    for (long i = 0; i < KEYS; i++) {
        double log_p = s[i] - max - log(sum), p = exp(log_p);
        to->entropy -= p * log_p;
        to->gradient += 2.0 * p * (1.0 - p) / (KEYS * KEYS);
    }
    to->largest += 1.0 / sum; // exp(max - max) / sum
}

// One row of scores, each times the factor.
static void add_row(Sums *to, const double *s, double factor)
{
    double scaled[KEYS];
    for (long j = 0; j < KEYS; j++) {
        scaled[j] = factor * s[j];
        to->scores += scaled[j];
        to->squares += scaled[j] * scaled[j];
    }
    add_weights(to, scaled);
    to->rows++;
}

// Blocks of QUERIES x KEYS scores, each from new random vectors: 16 of them (65,536 scores) at
// D = 4096, and more where D is small, since a block then draws few numbers: 528 at D = 4.
static void sample(Sums *bare, Sums *scaled, long D, Random *r)
{
    Tensor q = tensor_new(SHAPE(QUERIES, D)), k = tensor_new(SHAPE(KEYS, D));
    for (long block = 0; block < 16 + 2048 / D; block++) {
        tensor_normal(q, r);
        tensor_normal(k, r);
        for (long i = 0; i < QUERIES; i++) {
            double s[KEYS];
            score_row(s, row(q, i), k);
            add_row(bare, s, 1.0);
            add_row(scaled, s, 1.0 / sqrt((double)D));
        }
    }
    tensor_free(&q);
    tensor_free(&k);
}

// The means behind the sums: four columns of the table.
static void print_sums(const Sums *t)
{
    double rows = (double)t->rows, scores = rows * KEYS, mean = t->scores / scores;
    printf("  %9.2f %8.4f %8.4f %9.2e", t->squares / scores - mean * mean, t->largest / rows,
           t->entropy / rows, t->gradient / rows);
}

static void print_head(void)
{
    static const char *const columns = "   variance  largest  entropy  gradient";
    printf("== scaling: q.k of random normal vectors, softmax of rows of %d scores ==\n", KEYS);
    printf("%6s%40s%40s\n", "", "without the factor", "with 1/sqrt(D)");
    printf("%6s%s%s\n", "D", columns, columns);
}

// What the columns would be if no key stood out: all scores 0.
static void print_equal(void)
{
    static const double zeros[KEYS];
    Sums equal = {0};
    add_row(&equal, zeros, 1.0);
    printf("%6s", "equal");
    print_sums(&equal);
    print_sums(&equal);
    printf("\n\n");
}

// Three lines on the last row, where the factor matters most.
static void print_conclusion(const Sums *bare, const Sums *scaled)
{
    double rows = (double)bare->rows;
    printf("largest: weight of a row. entropy: of its weights, in nats; log %d = %.4f if equal.\n"
           "gradient: |dP_i/dS_j|, mean of all %d x %d pairs i, j. All averaged over rows.\n\n",
           KEYS, log(KEYS), KEYS, KEYS);
    printf("If sqrt(D) were missing, q.k would have variance D: at D = %d one key of %d takes\n"
           "%.0f %% of the weight, and the softmax passes back a gradient %.0f times smaller.\n"
           "With the factor the variance is 1, and the softmax hardly depends on the head size.\n",
           LARGEST, KEYS, 100.0 * bare->largest / rows, scaled->gradient / bare->gradient);
}

static void run_scaling(const Options *o)
{
    Random r = random_seed((uint64_t)o->seed);
    Sums bare = {0}, scaled = {0};
    print_head();
    for (long D = SMALLEST; D <= LARGEST; D *= 2) {
        bare = scaled = (Sums){0};
        sample(&bare, &scaled, D, &r);
        printf("%6ld", D);
        print_sums(&bare);
        print_sums(&scaled);
        printf("\n");
    }
    print_equal();
    print_conclusion(&bare, &scaled);
}

void experiment(const Options *o)
{
    options_only(o, "--experiment", "--experiment --seed");
    if (strcmp(o->experiment, "scaling") != 0)
        refuse(EXIT_USAGE, "--experiment: expected %s, got \"%s\"", o->chapter->experiments,
               o->experiment);
    run_scaling(o);
}
