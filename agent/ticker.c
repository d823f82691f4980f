// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/ticker.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int mb_ticker_open(struct mb_ticker *t, struct mb_err *err)
{
	sigset_t set;

	*t = (struct mb_ticker){ .fd = -1 };
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	t->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return t->fd < 0 ? mb_fail(err, errno, "signalfd: %m") : 0;
}

void mb_ticker_close(struct mb_ticker *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

void mb_ticker_take(struct mb_ticker *t)
{
	struct signalfd_siginfo info;

	while (read(t->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			t->epoch_now = true;
		else if (info.ssi_signo == SIGHUP && t->reloads)
			t->reload = true;
		else
			t->stop = true;
	}
}
