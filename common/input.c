#include "input.h"

#include "backend.h"
#include "examples.h"
#include "npy.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Tensor own(Input *in, Tensor t)
{
    CHECK(in->owned_count < 8, "an input owns at most 8 tensors");
    in->owned[in->owned_count++] = t;
    t.block = NULL;
    return t;
}

// The bytes of Q, K, V and the output, and of what is held beside them.
static void require_memory(const Options *o, const Input *in)
{
    double b = (double)in->B, n = (double)in->N, keys = (double)(in->M + in->P);
    double rows = b * (double)in->H * n * (double)(in->D + in->Dv) +
                  b * (double)in->G * keys * (double)(in->D + in->Dv);
    double scratch = backend_scratch(o, n, keys, (double)in->D);
    char what[160];
    snprintf(what, sizeof what, "Q, K, V and the output of N=%ld, M=%ld with %ld heads%s", in->N,
             in->M + in->P, in->H, scratch >= n * keys && scratch > 0
                                   ? ", and the N*M scores of one head," : "");
    memory_require(4 * (rows + scratch), what);
}

// --- built-in and random -------------------------------------------------------------------

// [rows, parts * D] as [1, parts, rows, D]: each head gets its own columns.
static Tensor split_columns(Tensor x, long parts)
{
    return tensor_swap(tensor_split(tensor_lift(x), 2, parts), 1, 2);
}

static Tensor matrix_of(Input *in, const float *numbers, long rows, long columns)
{
    Tensor t = own(in, tensor_new(SHAPE(rows, columns)));
    memcpy(t.data, numbers, (size_t)(rows * columns) * sizeof(float));
    return t;
}

// The first G * D columns of K and V are the KV heads, so that G = H gives every head its own.
static void read_example(Input *in, const Options *o, const Example *e)
{
    if (e->columns % in->H != 0)
        refuse(EXIT_USAGE, "--heads: expected a divisor of the %ld columns of %s, got %ld",
               e->columns, e->name, in->H);
    in->B = 1;
    in->N = in->M = e->rows;
    in->D = in->Dv = e->columns / in->H;
    require_memory(o, in);
    Tensor k = matrix_of(in, e->k, e->rows, e->columns);
    Tensor v = matrix_of(in, e->v, e->rows, e->columns);
    in->q = split_columns(matrix_of(in, e->q, e->rows, e->columns), in->H);
    in->k = split_columns(tensor_slice(k, 1, 0, in->G * in->D), in->G);
    in->v = split_columns(tensor_slice(v, 1, 0, in->G * in->D), in->G);
}

static void read_random(Input *in, const Options *o)
{
    in->B = o->batch;
    in->N = o->n;
    in->M = options_given(o, "--m") ? o->m : o->n;
    in->D = o->dim;
    in->Dv = options_given(o, "--dim-v") ? o->dim_v : o->dim;
    require_memory(o, in);
    in->q = own(in, tensor_new(SHAPE(in->B, in->H, in->N, in->D)));
    in->k = own(in, tensor_new(SHAPE(in->B, in->G, in->M, in->D)));
    in->v = own(in, tensor_new(SHAPE(in->B, in->G, in->M, in->Dv)));
    tensor_random(in->q, (uint64_t)o->seed * 3 + 0);
    tensor_random(in->k, (uint64_t)o->seed * 3 + 1);
    tensor_random(in->v, (uint64_t)o->seed * 3 + 2);
}

// --- files -----------------------------------------------------------------------------------

// "[2 x 3 x 4]", in one of a few buffers so that one message can show two shapes.
static const char *shape_text(Tensor t)
{
    static char texts[4][96];
    static int next;
    char *text = texts[next++ % 4];
    size_t n = (size_t)snprintf(text, sizeof texts[0], "[");
    for (int a = 0; a < t.axes; a++)
        n += (size_t)snprintf(text + n, sizeof texts[0] - n, "%s%ld", a ? " x " : "", t.shape[a]);
    snprintf(text + n, sizeof texts[0] - n, "]");
    return text;
}

// Reads a .npy as [B, heads, rows, columns]; fewer axes are a smaller batch.
static Tensor read_heads(Input *in, const Options *o, const char *path)
{
    Tensor t = own(in, npy_read_tensor(path));
    bool one_matrix = t.axes == 2 || (t.axes > 2 && t.shape[0] == 1 && t.shape[t.axes - 3] == 1);
    if (!(o->chapter->takes & TAKES_HEADS) && !one_matrix)
        refuse(EXIT_INPUT, "%s: %s expects one matrix [rows x columns], got %s", path,
               o->chapter->name, shape_text(t));
    if (t.axes < 2)
        refuse(EXIT_INPUT, "%s: expected [N, D], [H, N, D] or [B, H, N, D], got %s", path,
               shape_text(t));
    while (t.axes < 4)
        t = tensor_lift(t);
    if (t.shape[3] == 0)
        refuse(EXIT_INPUT, "%s: expected at least one column, got %s", path, shape_text(t));
    return t;
}

// Refuses t unless each axis has the wanted size; -1 takes any. letters name the axes.
static void want(const char *path, Tensor t, const char *letters, long b, long h, long n, long d)
{
    const long sizes[] = {b, h, n, d};
    for (int a = 0; a < 4; a++)
        if (sizes[a] >= 0 && t.shape[a] != sizes[a])
            refuse(EXIT_INPUT, "%s: expected [%c, %c, %c, %c] with %c = %ld, got %s", path,
                   letters[0], letters[1], letters[2], letters[3], letters[a], sizes[a],
                   shape_text(t));
}

// Heads come from the files; a flag that says otherwise is a mistake worth a word.
static void want_heads(const Options *o, const char *flag, long asked, const char *path, long got)
{
    if (options_given(o, flag) && asked != got)
        refuse(EXIT_USAGE, "%s %ld: %s has %ld", flag, asked, path, got);
}

static void check_groups(const Options *o, long H, long G, int code)
{
    if (H == 0 || G == 0)
        refuse(code, "expected at least one head, got H = %ld and G = %ld", H, G);
    if (!(o->chapter->takes & TAKES_KV_HEADS) && G != H)
        refuse(code, "%s gives every query head its own K and V: expected %ld KV heads, got "
               "%ld (chapter 04 shares them)", o->chapter->name, H, G);
    if (H % G != 0)
        refuse(code, "expected query heads in equal groups: %ld heads over %ld KV heads leave "
               "%ld", H, G, H % G);
}

static void read_files(Input *in, const Options *o)
{
    in->q = read_heads(in, o, o->q);
    in->k = read_heads(in, o, o->k);
    in->v = read_heads(in, o, o->v);
    in->B = in->q.shape[0];
    in->H = in->q.shape[1];
    in->N = in->q.shape[2];
    in->D = in->q.shape[3];
    in->G = in->k.shape[1];
    in->M = in->k.shape[2];
    in->Dv = in->v.shape[3];
    want(o->k, in->k, "BGMD", in->B, -1, -1, in->D);
    want(o->v, in->v, "BGMV", in->B, in->G, in->M, -1);
    want_heads(o, "--heads", o->heads, o->q, in->H);
    want_heads(o, "--kv-heads", o->kv_heads, o->k, in->G);
    check_groups(o, in->H, in->G, EXIT_INPUT);
    require_memory(o, in);
}

static void read_past(Input *in, const Options *o)
{
    if (!o->past_k)
        return;
    in->past_k = read_heads(in, o, o->past_k);
    in->past_v = read_heads(in, o, o->past_v);
    in->P = in->past_k.shape[2];
    want(o->past_k, in->past_k, "BGPD", in->B, in->G, -1, in->D);
    want(o->past_v, in->past_v, "BGPV", in->B, in->G, in->P, in->Dv);
    require_memory(o, in);
}

// --- X and its projections -----------------------------------------------------------------

static void read_x(Input *in, const Options *o)
{
    const char *name = o->example ? o->example : "worked";
    const Example *e = o->x && strcmp(o->x, "example") == 0 ? example_find(name) : NULL;
    if (e) {
        in->x = tensor_lift(matrix_of(in, e->q, e->rows, e->columns));
    } else if (!o->x || strcmp(o->x, "random") == 0) {
        long hidden = options_given(o, "--hidden") ? o->hidden
                    : o->config ? o->config->hidden : in->H * o->dim;
        memory_require(4.0 * (double)o->batch * (double)o->n * (double)hidden, "X");
        in->x = own(in, tensor_new(SHAPE(o->batch, o->n, hidden)));
        tensor_random(in->x, (uint64_t)o->seed * 3);
    } else {
        in->x = own(in, npy_read_tensor(o->x));
        if (in->x.axes == 2)
            in->x = tensor_lift(in->x);
        if (in->x.axes != 3 || in->x.shape[2] == 0)
            refuse(EXIT_INPUT, "%s: --x expects [B, N, hidden], got %s", o->x, shape_text(in->x));
    }
}

// How wide a head is: the flag, the model's own number, or hidden shared out among the heads.
static long head_size(const Options *o, long hidden, long H)
{
    if (options_given(o, "--dim"))
        return o->dim;
    if (o->config)
        return o->config->head_dim;
    if (hidden % H != 0)
        refuse(EXIT_USAGE, "%ld heads do not share a hidden size of %ld evenly; --dim D sets the "
               "head size", H, hidden);
    return hidden / H;
}

static void read_projected(Input *in, const Options *o)
{
    uint64_t seed = (uint64_t)o->seed * 3;
    in->projected = true;
    read_x(in, o);
    long hidden = in->x.shape[2];
    in->B = in->x.shape[0];
    in->N = in->M = in->x.shape[1];
    in->D = in->Dv = head_size(o, hidden, in->H);
    double weights = (double)hidden * (double)in->D * (double)(2 * in->H + 2 * in->G);
    memory_require(4 * weights, "the weights W_Q, W_K, W_V and W_O");
    require_memory(o, in);
    in->wq = linear_read("--wq", o->wq, o->bq, in->H * in->D, hidden, seed + 101);
    in->wk = linear_read("--wk", o->wk, o->bk, in->G * in->D, hidden, seed + 102);
    in->wv = linear_read("--wv", o->wv, o->bv, in->G * in->D, hidden, seed + 103);
    in->wo = linear_read("--wo", o->wo, o->bo, hidden, in->H * in->D, seed + 104);
    Tensor q = own(in, tensor_new(SHAPE(in->B, in->N, in->H * in->D)));
    Tensor k = own(in, tensor_new(SHAPE(in->B, in->N, in->G * in->D)));
    Tensor v = own(in, tensor_new(SHAPE(in->B, in->N, in->G * in->D)));
    in->concat = own(in, tensor_new(SHAPE(in->B, in->N, in->H * in->Dv)));
    in->result = own(in, tensor_new(SHAPE(in->B, in->N, hidden)));
    in->q = tensor_swap(tensor_split(q, 2, in->H), 1, 2);
    in->k = tensor_swap(tensor_split(k, 2, in->G), 1, 2);
    in->v = tensor_swap(tensor_split(v, 2, in->G), 1, 2);
}

// q is [B, H, N, D] over the memory of [B, N, H*D]: each row of it is the heads side by side.
static Tensor side_by_side(Tensor heads, long b, long from, long to)
{
    Tensor t = tensor_slice(tensor_at(tensor_swap(heads, 1, 2), b), 0, from, to); // [n, H, D]
    t.axes = 2;
    t.shape[1] *= t.shape[2];
    t.stride[1] = 1;
    return t;
}

void input_project_q(Input *in, long from, long to)
{
    for (long b = 0; in->projected && b < in->B; b++)
        linear(side_by_side(in->q, b, from, to), tensor_slice(tensor_at(in->x, b), 0, from, to),
               in->wq);
}

void input_project_kv(Input *in, long from, long to)
{
    for (long b = 0; in->projected && b < in->B; b++) {
        Tensor x = tensor_slice(tensor_at(in->x, b), 0, from, to);
        linear(side_by_side(in->k, b, from, to), x, in->wk);
        linear(side_by_side(in->v, b, from, to), x, in->wv);
    }
}

void input_combine(Input *in, Tensor out, long from, long to)
{
    for (long b = 0; in->projected && b < in->B; b++) {
        Tensor concat = tensor_slice(tensor_at(in->concat, b), 0, from, to);   // [n, H*Dv]
        Tensor result = tensor_slice(tensor_at(in->result, b), 0, from, to);   // [n, hidden]
        Tensor heads = tensor_slice(tensor_at(out, b), 1, from, to);           // [H, n, Dv]
        tensor_copy(tensor_swap(tensor_split(concat, 1, in->H), 0, 1), heads);
        linear(result, concat, in->wo);
    }
}

// --- labels ----------------------------------------------------------------------------------

// Cuts `text` into words at spaces; puts them from words[at] on, returns the next place.
static long cut_words(char *text, const char **words, long at)
{
    for (char *word = strtok(text, " \t"); word; word = strtok(NULL, " \t"))
        words[at++] = word;
    return at;
}

// One line of labels: "a b c", or "a b | c d" with rows before the bar and columns behind it.
static long read_line(Input *in, char *line, long at, long b, long keys)
{
    char *bar = strstr(line, "|");
    if (bar)
        *bar = '\0';
    long end = cut_words(line, in->words, at), n = end - at;
    Names names = {in->words + at, n, 'q', 0};
    bool fits_rows = n == in->N || n == keys, fits_columns = n == keys;
    if (bar) {
        in->queries[b] = names;
        at = end;
        end = cut_words(bar + 1, in->words, at);
        in->keys[b] = (Names){in->words + at, end - at, 'k', 0};
        fits_rows = n == in->N;
        fits_columns = end - at == keys;
        if (!fits_rows || !fits_columns)
            refuse(EXIT_USAGE, "--tokens: expected %ld labels | %ld labels, got %ld | %ld", in->N,
                   keys, n, end - at);
        return end;
    }
    if (!fits_rows && !fits_columns)
        refuse(EXIT_USAGE, "--tokens: expected %ld labels, got %ld", keys, n);
    if (fits_columns)
        in->keys[b] = (Names){in->words + at, n, 'k', 0};
    // With a past, row i is token P + i of the sequence; otherwise rows need their own number.
    if (n == keys && in->N == in->M)
        in->queries[b] = (Names){in->words + at, n, 'q', in->P};
    else if (n == in->N)
        in->queries[b] = names;
    return end;
}

// Until words say otherwise: q0, k0, d0. With a past, the first query is number P.
static void number_labels(Input *in, const Example *e, long B)
{
    for (long b = 0; b < B; b++) {
        in->queries[b] = (Names){NULL, 0, 'q', in->P};
        in->keys[b] = (Names){NULL, 0, 'k', 0};
    }
    in->features = (Names){NULL, 0, 'd', 0};
    if (e && e->features && in->H == 1) {
        in->features.words = e->features;
        in->features.count = e->columns;
    }
}

static void read_labels(Input *in, const Options *o, const Example *e)
{
    const char *text = o->tokens ? o->tokens : e && e->tokens ? e->tokens : "";
    long keys = in->P + in->M, B = in->B > 0 ? in->B : 1;
    size_t length = strlen(text);
    // The words and, behind them, the text that they point into.
    in->words = malloc((length + 2) * sizeof *in->words + length + 1);
    in->queries = calloc((size_t)B, sizeof *in->queries);
    in->keys = calloc((size_t)B, sizeof *in->keys);
    if (!in->words || !in->queries || !in->keys)
        refuse(EXIT_MEMORY, "out of memory: %zu bytes of labels", length);
    number_labels(in, e, B);
    if (*text == '\0')
        return;
    char *line = (char *)(in->words + length + 2), *next;
    memcpy(line, text, length + 1);
    if (line[length - 1] == '\n')
        line[length - 1] = '\0';
    long at = 0, b = 0;
    for (; line; line = next, b++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (b < B)
            at = read_line(in, line, at, b, keys);
    }
    if (b != 1 && b != B)
        refuse(EXIT_USAGE, "--tokens: expected 1 line of labels or %ld, one a sequence, got %ld", B,
               b);
    for (long rest = b; b == 1 && rest < B; rest++) { // one line serves every sequence
        in->queries[rest] = in->queries[0];
        in->keys[rest] = in->keys[0];
    }
}

// --- all of it ---------------------------------------------------------------------------------

// The example that the options name; NULL: random.
static const Example *pick_example(const Options *o)
{
    static const char *const sizes[] = {"--n", "--m", "--dim", "--dim-v", "--batch", "--seed"};
    const char *name = o->example ? o->example : "worked";
    for (int i = 0; i < 6 && !o->example; i++)
        if (options_given(o, sizes[i]))
            name = "random";
    const Example *e = example_find(name);
    if (!e && strcmp(name, "random") != 0)
        refuse(EXIT_USAGE, "--example: expected worked, notes, onehot, rows, fruit or random, got "
               "\"%s\"", name);
    return e;
}

static void pick_heads(Input *in, const Options *o)
{
    bool heads = o->chapter->takes & TAKES_HEADS, groups = o->chapter->takes & TAKES_KV_HEADS;
    in->H = heads ? o->heads : 1;
    if (o->config && !options_given(o, "--heads"))
        in->H = o->config->heads;
    in->G = groups && o->kv_heads ? o->kv_heads : in->H;
    if (groups && o->config && !options_given(o, "--kv-heads"))
        in->G = o->config->kv_heads;
    else if (groups && options_given(o, "--heads") && !options_given(o, "--kv-heads") &&
             in->H % in->G != 0)
        in->G = in->H;
    if (o->config && !groups && o->config->kv_heads != o->config->heads)
        fprintf(stderr, "note: %s shares %ld KV heads; %s gives each of the %ld heads its own\n",
                o->config->name, o->config->kv_heads, o->chapter->name, in->H);
}

Input input_read(const Options *o)
{
    Input in = {0};
    const Example *e = NULL;
    pick_heads(&in, o);
    if (o->q) {
        read_files(&in, o);
    } else {
        check_groups(o, in.H, in.G, EXIT_USAGE);
        e = pick_example(o);
        if (o->x || o->config)
            read_projected(&in, o);
        else if (e)
            read_example(&in, o, e);
        else
            read_random(&in, o);
    }
    if (in.projected && !(o->x && strcmp(o->x, "example") == 0))
        e = NULL;
    read_past(&in, o);
    if (o->explain_row >= 0 && (o->explain_row >= in.N || o->explain_head >= in.H || in.B == 0))
        refuse(EXIT_USAGE, "--explain: expected a row below %ld and a head below %ld, got %ld,%ld",
               in.N, in.H, o->explain_row, o->explain_head);
    in.scale = o->has_scale ? o->scale : 1.0f / sqrtf((float)in.D);
    in.mask = mask_read(o->mask ? o->mask : "none", in.B, in.H, in.N, in.P + in.M);
    read_labels(&in, o, e);
    return in;
}

void input_free(Input *in)
{
    for (int i = 0; i < in->owned_count; i++)
        tensor_free(&in->owned[i]);
    linear_free(&in->wq);
    linear_free(&in->wk);
    linear_free(&in->wv);
    linear_free(&in->wo);
    mask_free(&in->mask);
    free(in->words);
    free(in->queries);
    free(in->keys);
    *in = (Input){0};
}
