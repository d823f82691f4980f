/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines, parsed as a program would. */
#ifndef MB_UTIL_ARGP_H
#define MB_UTIL_ARGP_H

#include <argp.h>

/* Arguments of a program "x", for the functions below. */
#define ARGV(...) ((char *[]){ (char[]){ "x" }, __VA_ARGS__ NULL })
#define ARG(text) (char[]){ text },

void argp_taken(const struct argp *argp, char **argv, void *input);
/* In a process of its own: it ends as wrong usage does, and says `word` on standard error. */
void argp_refused(const struct argp *argp, char **argv, void *input, const char *word);

#endif
