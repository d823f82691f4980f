// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/historian.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/clock.h"

struct mb_historian {
	struct mb_sharing *sharing;
	struct mb_historian_config config;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};

static void keep(struct mb_historian *h)
{
	struct mb_err store = { 0 }, err = { 0 };
	const struct mb_sharing_view *view;
	uint64_t now = mb_unix_ns();

	if (mb_sharing_lock(h->sharing, &view, &store, &err) == 0)
		mb_sharing_unlock(h->sharing);
	if (!*err.text && !*store.text && h->config.keep_ns && h->config.keep_ns < now)
		mb_sharing_forget(h->sharing, now - h->config.keep_ns, &store);
	if (*err.text || *store.text)
		h->config.warn(h->config.ctx, *err.text ? err.text : store.text);
}

/* Waits for the next time; false: the end has come. */
static bool wait_interval(struct mb_historian *h)
{
	uint64_t at = mb_now_ns() + h->config.interval_ns;
	struct timespec until = { .tv_sec = (time_t)(at / 1000000000),
				  .tv_nsec = (long)(at % 1000000000) };
	bool stop;

	pthread_mutex_lock(&h->lock);
	while (!h->stop && pthread_cond_timedwait(&h->wake, &h->lock, &until) == 0)
		;
	stop = h->stop;
	pthread_mutex_unlock(&h->lock);
	return !stop;
}

static void *work(void *arg)
{
	struct mb_historian *h = arg;

	while (wait_interval(h))
		keep(h);
	return NULL;
}

int mb_historian_start(struct mb_sharing *sharing, const struct mb_historian_config *config,
		       struct mb_historian **ret, struct mb_err *err)
{
	struct mb_historian *h = calloc(1, sizeof(*h));
	pthread_condattr_t attr;
	int r;

	if (!h)
		return mb_fail_mem(err, "the history thread");
	h->sharing = sharing;
	h->config = *config;
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->wake, &attr);
	pthread_condattr_destroy(&attr);
	r = pthread_create(&h->thread, NULL, work, h);
	if (r) {
		pthread_cond_destroy(&h->wake);
		pthread_mutex_destroy(&h->lock);
		free(h);
		return mb_fail(err, r, "history thread: %s", strerror(r));
	}
	*ret = h;
	return 0;
}

void mb_historian_stop(struct mb_historian *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
