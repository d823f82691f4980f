// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/workload.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/cleanup.h"

/* What the child needs; the parent's ends are closed on exec. */
struct ends {
	int failed; /* takes errno when exec() fails; closed when it does not */
	int ask, done;
};

static void keep_open(int fd, const char *name)
{
	char number[16];

	fcntl(fd, F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", fd);
	setenv(name, number, 1);
}

static _Noreturn void become(char *const *argv, const struct ends *ends)
{
	sigset_t none;
	int code;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (ends->ask >= 0) {
		keep_open(ends->ask, "MB_EPOCH_ASK_FD");
		keep_open(ends->done, "MB_EPOCH_DONE_FD");
	}
	execvp(argv[0], argv);
	code = errno;
	/* If that is lost, too, it looks as if it had been started and ended with 127. */
	_exit(write(ends->failed, &code, sizeof(code)) == sizeof(code) ? MB_EXIT_NO_EXEC :
									 MB_EXIT_NOT_FOUND);
}

/* 0, or the errno of exec(). */
static int wait_for_exec(int fd)
{
	int code = 0;
	ssize_t n;

	do
		n = read(fd, &code, sizeof(code));
	while (n < 0 && errno == EINTR);
	return n == sizeof(code) ? code : 0;
}

static void close_pipes(int pipes[3][2])
{
	for (int i = 0; i < 3; i++) {
		mb_closep(&pipes[i][0]);
		mb_closep(&pipes[i][1]);
	}
}

int mb_workload_start(char *const *argv, bool asks, struct mb_workload *ret, int *ret_exit_code,
		      struct mb_err *err)
{
	enum { FAILED, ASK, DONE, PIPES };
	int pipes[PIPES][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int code, status;

	*ret = (struct mb_workload){ .fd = -1, .ask_fd = -1, .done_fd = -1 };
	*ret_exit_code = MB_EXIT_MEASURING;
	for (int i = 0; i < (asks ? PIPES : 1); i++) {
		if (pipe2(pipes[i], O_CLOEXEC) < 0) {
			int r = mb_fail(err, errno, "pipe: %m");

			close_pipes(pipes);
			return r;
		}
	}
	fflush(NULL);
	ret->pid = fork();
	if (ret->pid == 0)
		become(argv, &(struct ends){ pipes[FAILED][1], pipes[ASK][1], pipes[DONE][0] });
	if (ret->pid < 0) {
		code = errno;
		ret->pid = 0;
		close_pipes(pipes);
		return mb_fail(err, code, "fork: %s", strerror(code));
	}
	mb_closep(&pipes[FAILED][1]);
	pipes[FAILED][1] = -1;
	code = wait_for_exec(pipes[FAILED][0]);
	if (!code) {
		ret->fd = pidfd_open(ret->pid, 0);
		code = ret->fd < 0 ? errno : 0;
		if (!code && asks) {
			ret->ask_fd = mb_take_fd(pipes[ASK][0]);
			ret->done_fd = mb_take_fd(pipes[DONE][1]);
		}
	} else {
		*ret_exit_code = code == ENOENT ? MB_EXIT_NOT_FOUND : MB_EXIT_NO_EXEC;
	}
	close_pipes(pipes);
	if (!code)
		return 0;
	kill(ret->pid, SIGKILL);
	waitpid(ret->pid, &status, 0);
	ret->pid = 0;
	return mb_fail(err, code, "%s: %s", argv[0], strerror(code));
}

bool mb_workload_ended(struct mb_workload *w, int timeout_ms)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	int status;

	if (w->ended || !w->pid)
		return w->ended;
	while (poll(&p, 1, timeout_ms) < 0 && errno == EINTR)
		;
	if (!(p.revents & POLLIN) || waitpid(w->pid, &status, WNOHANG) != w->pid)
		return false;
	w->ended = true;
	w->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return true;
}

void mb_workload_stop(struct mb_workload *w, int patience_ms)
{
	if (!w->pid || mb_workload_ended(w, 0))
		return;
	kill(w->pid, SIGTERM);
	/* One that waits for an epoch is not to wait for ever. */
	mb_closep(&w->done_fd);
	w->done_fd = -1;
	if (mb_workload_ended(w, patience_ms))
		return;
	kill(w->pid, SIGKILL);
	mb_workload_ended(w, -1);
}

bool mb_workload_asks(struct mb_workload *w)
{
	struct pollfd p = { .fd = w->ask_fd, .events = POLLIN };
	char byte;

	if (w->ask_fd < 0 || poll(&p, 1, 0) <= 0)
		return false;
	if (read(w->ask_fd, &byte, 1) == 1)
		return true;
	mb_closep(&w->ask_fd);
	w->ask_fd = -1;
	return false;
}

void mb_workload_answer(struct mb_workload *w)
{
	/* Whoever does not want to know any more has ended, or will have. */
	if (w->done_fd >= 0 && write(w->done_fd, "\n", 1) != 1) {
		mb_closep(&w->done_fd);
		w->done_fd = -1;
	}
}

void mb_workload_close(struct mb_workload *w)
{
	mb_workload_stop(w, 0);
	mb_closep(&w->fd);
	mb_closep(&w->ask_fd);
	mb_closep(&w->done_fd);
	*w = (struct mb_workload){ .fd = -1, .ask_fd = -1, .done_fd = -1 };
}
