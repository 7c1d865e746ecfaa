#include "json.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

void json_number(FILE *f, float x)
{
    if (isfinite(x))
        fprintf(f, "%.9g", (double)x);
    else
        fprintf(f, "\"%s\"", isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
}

// Bytes of the UTF-8 character that s begins with (RFC 3629), 0 where it begins with none: too
// long a form, a surrogate, a number beyond U+10FFFF, an end in the middle.
static size_t utf8_length(const unsigned char *s)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    unsigned character = n > 1 ? s[0] & (0x7fu >> n) : s[0];
    for (size_t i = 1; i < n; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        character = character << 6 | (s[i] & 0x3f);
    }
    bool surrogate = character >= 0xd800 && character <= 0xdfff;
    return n == 0 || character < least[n] || character > 0x10ffff || surrogate ? 0 : n;
}

void json_string(FILE *f, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    if (!text) {
        fputs("null", f);
        return;
    }
    fputc('"', f);
    while (*s) {
        size_t n = utf8_length(s);
        if (n == 0)
            fputs("\xef\xbf\xbd", f); // U+FFFD
        else if (*s < 0x20)
            fprintf(f, "\\u%04x", *s);
        else
            fprintf(f, *s == '"' || *s == '\\' ? "\\%.*s" : "%.*s", (int)n, (const char *)s);
        s += n > 0 ? n : 1;
    }
    fputc('"', f);
}
