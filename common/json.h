// Numbers and strings as JSON takes them: for every file that other programs read.

#ifndef JSON_H
#define JSON_H

#include <stdio.h>

// Nine digits, which give back the very float. JSON has no infinities and no NaN: they travel as
// the strings "inf", "-inf" and "nan".
void json_number(FILE *f, float x);

// In quotes, whatever bytes it holds: what is no UTF-8 becomes U+FFFD. NULL is null.
void json_string(FILE *f, const char *text);

#endif
