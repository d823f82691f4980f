// SPDX-License-Identifier: GPL-2.0-or-later
#include "util_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util_test.h"

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

bool file_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error;
	ssize_t n;

	if (fd < 0)
		return false;
	n = write(fd, text, strlen(text));
	error = errno;
	close(fd);
	errno = error;
	return n == (ssize_t)strlen(text);
}

bool file_get(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while (have < size - 1 && (n = read(fd, text + have, size - 1 - have)) > 0)
		have += n;
	text[have] = 0;
	close(fd);
	return true;
}

long long file_number(const char *path)
{
	char text[64], *end;
	long long n;

	if (!file_get(path, text, sizeof text))
		return -1;
	n = strtoll(text, &end, 10);
	return end == text ? -1 : n;
}

long long meminfo_frames(const char *name)
{
	char text[8192], *at = text;
	size_t n = strlen(name);

	if (!file_get("/proc/meminfo", text, sizeof text))
		fail_errno("/proc/meminfo");
	for (; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (strncmp(at, name, n) == 0 && at[n] == ':')
			return strtoll(at + n + 1, NULL, 10) / 4;
	return -1;
}

int run_program(const char *const *words)
{
	int status, pid = fork();

	if (pid < 0)
		fail_errno("fork");
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY);

		if (null >= 0)
			dup2(null, STDIN_FILENO);
		execvp(words[0], (char *const *)words);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail_errno("waitpid %s", words[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool ask_host(const char *request)
{
	char command[128];

	snprintf(command, sizeof command, "mbhost %s", request);
	return run_program((const char *const[]){ "sh", "-c", command, NULL }) == 0;
}
