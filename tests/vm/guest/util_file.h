/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files of /proc and /sys, and what the host does for us. */
#ifndef UTIL_FILE_H
#define UTIL_FILE_H

#include <stdbool.h>
#include <stddef.h>

bool file_exists(const char *path);
/* False with errno set: it cannot be written. */
bool file_put(const char *path, const char *text);
/* The whole file or its beginning, a string; false: it cannot be read. */
bool file_get(const char *path, char *text, size_t size);
/* The number that the file begins with, or -1. */
long long file_number(const char *path);
/* A line of /proc/meminfo ("MemFree"), in frames; -1: it has no such line. */
long long meminfo_frames(const char *name);
/* Runs the words, NULL at the end, with nothing to read; its exit code. */
int run_program(const char *const *words);
/* As root with a shell would: mbhost(1) of the harness; false: the host cannot.
 */
bool ask_host(const char *request);

#endif
