// Two ways to stop, and the difference between them:
//
//   refuse(code, ...)   the *user* got something wrong (a flag, a file, too large a
//                       size): one clear line, then exit with the documented code.
//   CHECK(ok, ...)      the *program* got something wrong (an index, a shape): one line
//                       with file and line, then abort, so that a debugger stops there.
//
// CHECK stays on in every build.

#ifndef FAIL_H
#define FAIL_H

// Exit codes, the same in every program here.
enum {
    EXIT_DIFFERS = 1, // a comparison failed
    EXIT_USAGE   = 2, // a flag is unknown, repeated, out of range or does not apply
    EXIT_INPUT   = 3, // an input file cannot be taken
    EXIT_DEVICE  = 4, // no such device
    EXIT_MEMORY  = 5, // it would not fit in memory
    EXIT_WRITE   = 6, // a result could not be written
};

// The name that refuse() puts before its message. Keeps the pointer, not a copy.
void fail_program(const char *name);

// Prints "program: message\n" on stderr and exits. The message names what and where,
// what was expected and what came:
//     refuse(EXIT_USAGE, "--heads: expected 1 to 4096, got %s", text);
_Noreturn void refuse(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

_Noreturn void check_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define CHECK(ok, ...) ((ok) ? (void)0 : check_failed(__FILE__, __LINE__, __VA_ARGS__))

#endif
