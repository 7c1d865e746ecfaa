// Result files appear whole or not at all: written beside their place under another name,
// then renamed. What is not a regular file (/dev/stdout, a pipe) is written to directly.
//
// An interrupted program (SIGINT, SIGTERM, SIGPIPE, refuse()) removes what it had begun;
// a file that stood there before stays as it was.

#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdio.h>

enum { OUTPUT_PATH = 4096 };

typedef struct {
    FILE *file;              // write here
    char  path[OUTPUT_PATH]; // where it will be, links followed
    int   slot;              // its place in the list of unfinished files; -1: written directly
} Output;

// Opens `path` for writing; refuses with EXIT_WRITE and the reason (missing directory,
// no permission, a directory, a file without write permission).
Output output_open(const char *path);

// Flushes, checks that every byte was taken, renames. Refuses with EXIT_WRITE otherwise.
void output_close(Output *out);

// Makes directory `path` unless it is there; refuses with EXIT_WRITE.
void output_directory(const char *path);

// Called first in main: makes sure that descriptors 0 to 2 are open (so that no result
// file can be taken for stdout) and that unfinished files are removed on any exit.
void output_start(void);

// Called last in main: flushes stdout. A closed pipe (`| head`) ends quietly, a full disk
// refuses with EXIT_WRITE.
void output_finish(void);

#endif
