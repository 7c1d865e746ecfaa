#include "mask.h"

#include "npy.h"

#include <errno.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>

// What a mask spec is read against: the sizes, and the one tensor it may bring.
typedef struct {
    long B, H, N, M;
    long *lengths;
    Tensor brought; // owner of the floats that mask.bias looks at
} Reading;

// --- the words of a spec -------------------------------------------------------------------

// A whole number at *s, from 0 to most; moves *s behind it.
static long read_number(const char **s, const char *spec, const char *word, long most)
{
    char *end;
    errno = 0;
    long n = strtol(*s, &end, 10);
    if (end == *s || **s == '+' || **s == ' ' || errno || n < 0 || n > most)
        refuse(EXIT_USAGE, "--mask %s: %s expects a whole number from 0 to %ld, got \"%s\"", spec,
               word, most, *s);
    *s = end;
    return n;
}

static long read_last_number(const char *s, const char *spec, const char *word, long most)
{
    long n = read_number(&s, spec, word, most);
    if (*s)
        refuse(EXIT_USAGE, "--mask %s: %s expects one whole number, got \"%s\" behind it", spec,
               word, s);
    return n;
}

// "3,5": the real length of each sequence.
static void read_lengths(Mask *m, Reading *r, const char *s, const char *spec)
{
    m->length_count = 0;
    r->lengths = malloc((size_t)(r->B > 0 ? r->B : 1) * sizeof *r->lengths);
    if (!r->lengths)
        refuse(EXIT_MEMORY, "out of memory: %ld padding lengths", r->B);
    m->lengths = r->lengths;
    for (;;) {
        long n = read_number(&s, spec, "padding", r->M);
        if (m->length_count < (r->B > 0 ? r->B : 1))
            r->lengths[m->length_count] = n;
        m->length_count++;
        if (*s == '\0')
            break;
        if (*s++ != ',')
            refuse(EXIT_USAGE, "--mask %s: padding expects lengths joined by commas", spec);
    }
    if (m->length_count != 1 && m->length_count != r->B)
        refuse(EXIT_USAGE,
               "--mask %s: padding expects one length, or one for each of %ld sequences, got %ld",
               spec, r->B, m->length_count);
}

// --- a tensor that the user brings -----------------------------------------------------------

// bool (or 0 and 1): true may be looked at. Floats are added to the scaled scores.
static float bias_of(const Npy *npy, long i, const char *path)
{
    double x = npy_value(npy, i);
    // A finite float64 that float32 has no room for must not become -inf, which hides.
    if (npy->kind == 'f' && isfinite(x) && fabs(x) > (double)FLT_MAX)
        refuse(EXIT_INPUT, "%s: element %ld: expected a number within float32's range, got %g",
               path, i, x);
    if (npy->kind == 'f')
        return (float)x;
    if (x != 0 && x != 1)
        refuse(EXIT_INPUT, "%s: a mask of whole numbers holds 0 and 1 only, element %ld is %.0f",
               path, i, x);
    return x == 1 ? 0.0f : -INFINITY;
}

// The axes are matched from the right, as NumPy broadcasts: each is 1 or the full size.
static Tensor broadcast(Tensor t, const Reading *r, const char *path)
{
    const long full[MAX_AXES] = {r->B, r->H, r->N, r->M};
    while (t.axes < MAX_AXES)
        t = tensor_lift(t);
    const long *got = t.shape;
    for (int a = 0; a < MAX_AXES; a++)
        if (got[a] != 1 && got[a] != full[a])
            refuse(EXIT_INPUT,
                   "%s: a mask for [B=%ld, H=%ld, N=%ld, M=%ld] has 1 or the full size along each "
                   "axis, got [%ld, %ld, %ld, %ld]", path, r->B, r->H, r->N, r->M, got[0], got[1],
                   got[2], got[3]);
    for (int a = 0; a < MAX_AXES; a++) {
        if (t.shape[a] == 1) // the same for every index along this axis
            t.stride[a] = 0;
        t.shape[a] = full[a];
    }
    t.block = NULL;
    return t;
}

static void read_tensor(Mask *m, Reading *r, const char *path, const char *spec)
{
    if (m->bias.data)
        refuse(EXIT_USAGE, "--mask %s: expected one .npy, got a second: %s", spec, path);
    Npy npy = npy_read(path);
    r->brought = tensor_new(npy.axes, npy.shape);
    for (long i = 0; i < npy.count; i++)
        r->brought.data[i] = bias_of(&npy, i, path);
    npy_free(&npy);
    m->bias = broadcast(r->brought, r, path);
    m->bias.block = r->brought.block; // mask_free's to free
}

// --- the spec ------------------------------------------------------------------------------

static const char *after(const char *word, const char *start)
{
    size_t n = strlen(start);
    return strncmp(word, start, n) == 0 ? word + n : NULL;
}

static void expect_once(bool seen, const char *rule, const char *spec)
{
    if (seen)
        refuse(EXIT_USAGE, "--mask %s: %s stands there twice", spec, rule);
}

// One rule of a spec. A new kind of mask begins here and in mask_allows.
static void read_word(Mask *m, Reading *r, const char *word, const char *spec)
{
    const char *value;
    size_t n = strlen(word);
    if (strcmp(word, "none") == 0)
        return;
    if (strcmp(word, "causal") == 0 || strcmp(word, "causal-end") == 0) {
        if (m->causal)
            refuse(EXIT_USAGE, "--mask %s: expected one causal rule, got \"%s\" too", spec, word);
        m->causal = true;
        m->from_end = strcmp(word, "causal-end") == 0;
    } else if ((value = after(word, "window="))) {
        expect_once(m->window >= 0, "window", spec);
        m->window = read_last_number(value, spec, "window", 1L << 40);
    } else if ((value = after(word, "prefix="))) {
        expect_once(m->prefix >= 0, "prefix", spec);
        m->prefix = read_last_number(value, spec, "prefix", 1L << 40);
    } else if ((value = after(word, "padding="))) {
        expect_once(m->lengths, "padding", spec);
        read_lengths(m, r, value, spec);
    } else if (n > 4 && strcmp(word + n - 4, ".npy") == 0) {
        read_tensor(m, r, word, spec);
    } else {
        refuse(EXIT_USAGE,
               "--mask %s: expected none, causal, causal-end, window=W, prefix=P, padding=L,… or "
               "a .npy, got \"%s\"", spec, word);
    }
}

Mask mask_read(const char *spec, long B, long H, long N, long M)
{
    Mask m = {.window = -1, .prefix = -1, .keys = M};
    Reading r = {.B = B, .H = H, .N = N, .M = M};
    const char *rest = spec;
    for (;;) {
        char word[OUTPUT_PATH];
        size_t n = strcspn(rest, "+");
        if (n >= sizeof word)
            refuse(EXIT_USAGE, "--mask: a rule of %zu characters", n);
        memcpy(word, rest, n);
        word[n] = '\0';
        read_word(&m, &r, word, spec);
        if (rest[n] == '\0')
            break;
        rest += n + 1;
    }
    return m;
}

void mask_free(Mask *m)
{
    if (m->bias.block) {
        // The view's shape is the full one; the block remembers nothing, so rebuild its size.
        for (int a = 0; a < m->bias.axes; a++)
            if (m->bias.stride[a] == 0)
                m->bias.shape[a] = 1;
        tensor_free(&m->bias);
    }
    free(m->lengths);
    *m = (Mask){.window = -1, .prefix = -1};
}

// --- narrowing -----------------------------------------------------------------------------

Mask mask_head(const Mask *m, long b, long h)
{
    Mask one = *m;
    if (m->lengths) {
        long length = m->lengths[m->length_count == 1 ? 0 : b];
        one.keys = length < m->keys ? length : m->keys;
    }
    if (m->bias.axes == MAX_AXES) {
        one.bias = tensor_at(tensor_at(m->bias, b), h);
        one.bias.block = NULL;
    }
    return one;
}

Mask mask_pass(const Mask *mask, long first, long n, long past, long m)
{
    Mask pass = *mask;
    pass.offset = mask->from_end ? m - n : past + first;
    pass.keys = mask->keys < m ? mask->keys : m;
    if (pass.bias.data)
        pass.bias = tensor_slice(pass.bias, 2, first, first + n);
    return pass;
}

Mask mask_part(const Mask *mask, long i, long j)
{
    Mask part = *mask;
    part.offset += i - j;
    part.keys -= j;
    if (part.prefix >= 0)
        part.prefix = part.prefix > j ? part.prefix - j : 0;
    if (part.bias.data)
        part.bias.data += i * part.bias.stride[0] + j * part.bias.stride[1];
    return part;
}
