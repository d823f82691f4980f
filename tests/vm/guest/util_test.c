// SPDX-License-Identifier: GPL-2.0-or-later
#include "util_test.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A line is one write(): processes and threads do not cut each other's. */
static void line(const char *before, const char *format, va_list ap, const char *after)
{
	char text[1024];
	int n = snprintf(text, sizeof text, "%s", before);

	n += vsnprintf(text + n, sizeof text - n, format, ap);
	if (n > (int)sizeof text - 1)
		n = sizeof text - 1;
	n += snprintf(text + n, sizeof text - n, "%s\n", after);
	if (n > (int)sizeof text - 1)
		n = sizeof text - 1;
	if (write(STDOUT_FILENO, text, n) < 0)
		_exit(1);
}

void say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	line("", format, ap, "");
	va_end(ap);
}

void fail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	line("failed: ", format, ap, "");
	va_end(ap);
	_exit(1);
}

void fail_errno(const char *format, ...)
{
	char after[128];
	va_list ap;

	snprintf(after, sizeof after, ": %s", strerror(errno));
	va_start(ap, format);
	line("failed: ", format, ap, after);
	va_end(ap);
	_exit(1);
}

void skip(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	line("", format, ap, "");
	va_end(ap);
	_exit(77);
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

void nap(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds };

	t.tv_nsec = (seconds - t.tv_sec) * 1e9;
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

void wait_good(int pid, const char *what)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail_errno("%s: waitpid", what);
	if (WIFSIGNALED(status))
		fail("%s: killed by signal %d", what, WTERMSIG(status));
	if (WEXITSTATUS(status))
		fail("%s: exit code %d", what, WEXITSTATUS(status));
}

uint64_t random64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t random_seed(void)
{
	struct timespec t;
	uint64_t state;

	/* A guest's /dev/urandom may be the same at each boot; its clock is not. */
	clock_gettime(CLOCK_REALTIME, &t);
	state = (uint64_t)t.tv_sec << 32 ^ (uint64_t)t.tv_nsec << 8 ^ (uint64_t)getpid();
	return random64(&state);
}
