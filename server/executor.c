// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/executor.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "server/execution_drive.h"
#include "server/executions.h"
#include "server/store_wish.h"

/* However long nothing is due: the wall clock, which executions go by, may be set meanwhile. */
#define WAIT_MAX_MS ((uint64_t)60000)

struct job {
	int64_t id;
	struct mb_execution x;
	uint32_t restarts;
	uint64_t wake_ms; /* of the wall clock */
};

struct mb_executor {
	struct mb_store *store;
	struct mb_mover *mover;
	struct mb_executor_config config;
	struct job *jobs; /* by id */
	size_t n_jobs;
	char last_warning[sizeof(((struct mb_err *)0)->text)];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop, kicked;
	bool behind; /* the thread's own: news could not be read, or wishes not be granted */
};

static uint64_t now_ms(void)
{
	return mb_unix_ns() / 1000000;
}

static void warn(struct mb_executor *e, const char *text)
{
	if (strcmp(e->last_warning, text) == 0)
		return;
	snprintf(e->last_warning, sizeof(e->last_warning), "%s", text);
	e->config.warn(e->config.ctx, text);
}

struct saving {
	struct mb_executor *e;
	struct job *job;
};

static int save(void *ctx, const struct mb_execution *x, struct mb_err *err)
{
	struct saving *s = ctx;

	return mb_executions_save(s->e->store, s->job->id, x, s->e->mover->ops->name,
				  s->job->restarts, err);
}

/* --- what is new in the database -------------------------------------------------------------- */

static struct job *find(const struct mb_executor *e, int64_t id)
{
	for (size_t i = 0; i < e->n_jobs; i++)
		if (e->jobs[i].id == id)
			return &e->jobs[i];
	return NULL;
}

/* `restart`: a server before us had it. */
static int take_up(struct mb_executor *e, int64_t id, bool restart, struct mb_err *err)
{
	struct job job = { .id = id }, *more;
	struct saving s = { e, &job };
	struct mb_err why = { 0 };
	int r = mb_executions_load(e->store, id, &job.x, &job.restarts, &why);

	if (r == -EINVAL) {
		char text[sizeof(why.text) + 64];

		snprintf(text, sizeof(text), "execution %" PRId64 ": %s", id, why.text);
		warn(e, text);
		return mb_executions_give_up(e->store, id, now_ms(), err);
	}
	if (r < 0)
		return mb_fail(err, -r, "%s", why.text);
	more = realloc(e->jobs, (e->n_jobs + 1) * sizeof(*more));
	if (!more) {
		mb_execution_deinit(&job.x);
		return mb_fail_mem(err, "an execution");
	}
	e->jobs = more;
	if (restart) {
		job.restarts++;
		r = save(&s, &job.x, err);
	}
	if (r == 0)
		e->jobs[e->n_jobs++] = job;
	else
		mb_execution_deinit(&job.x);
	return r;
}

static int take_up_all(struct mb_executor *e, bool restart, struct mb_err *err)
{
	mb_autofree struct mb_executions_open *open = NULL;
	size_t n = 0;
	int r = mb_executions_open(e->store, &open, &n, err);

	for (size_t i = 0; i < n && r == 0; i++)
		if (strcmp(open[i].mover, e->mover->ops->name) == 0 && !find(e, open[i].id))
			r = take_up(e, open[i].id, restart, err);
	return r;
}

struct granting {
	struct job *job;
	int64_t last;
};

static int grant(void *ctx, const struct mb_wish *wish)
{
	struct granting *g = ctx;

	/* What is not lost any more needs no decision: then the wish comes too late. */
	if (wish->kind == MB_WISH_CANCEL)
		mb_execution_cancel(&g->job->x, now_ms());
	else
		mb_execution_decide(&g->job->x, wish->move, wish->kind == MB_WISH_ARRIVED, now_ms(),
				    NULL);
	g->last = wish->id;
	return 0;
}

/* Dropped only when what they changed is durable: granted twice they do no harm. */
static int grant_wishes(struct mb_executor *e, struct job *job, struct mb_err *err)
{
	struct granting g = { .job = job };
	struct saving s = { e, job };
	int r = mb_store_wishes(e->store, job->id, grant, &g, err);

	if (r < 0 || !g.last)
		return r;
	if (job->x.changed) {
		r = save(&s, &job->x, err);
		if (r < 0)
			return r;
		mb_execution_saved(&job->x);
	}
	return mb_store_drop_wishes(e->store, job->id, g.last, err);
}

/* --- the thread ------------------------------------------------------------------------------- */

static int drive(struct mb_executor *e, struct job *job, bool news, struct mb_err *err)
{
	struct saving s = { e, job };
	int r = news ? grant_wishes(e, job, err) : 0;

	if (r < 0) {
		job->wake_ms = now_ms() + job->x.options.poll_ms;
		return r;
	}
	return mb_execution_drive(&job->x, e->mover, save, &s, now_ms(), &job->wake_ms, err);
}

/* Returns when to look again. What could not be read or written is tried again then. */
static uint64_t round_of(struct mb_executor *e, bool news)
{
	uint64_t wake_ms = now_ms() + WAIT_MAX_MS;
	struct mb_err err = { 0 };

	news |= e->behind;
	e->behind = news && take_up_all(e, false, &err) < 0;
	if (e->behind) {
		warn(e, err.text);
		wake_ms = now_ms() + mb_execution_options_default.poll_ms;
	}
	for (size_t i = 0; i < e->n_jobs;) {
		struct job *job = &e->jobs[i];

		if (drive(e, job, news, &err) < 0) {
			warn(e, err.text);
			e->behind = true;
		}
		if (mb_execution_has_ended(&job->x) && !job->x.changed) {
			mb_store_drop_wishes(e->store, job->id, INT64_MAX, NULL);
			mb_execution_deinit(&job->x);
			memmove(job, job + 1, (--e->n_jobs - i) * sizeof(*job));
			continue;
		}
		wake_ms = MB_MIN(wake_ms, job->wake_ms);
		i++;
	}
	if (!e->behind)
		*e->last_warning = 0;
	return wake_ms;
}

/* Until then or a kick; false: the end has come. */
static bool wait_until(struct mb_executor *e, uint64_t wake_ms, bool *ret_news)
{
	uint64_t now = now_ms(), ms = wake_ms > now ? MB_MIN(wake_ms - now, WAIT_MAX_MS) : 0;
	uint64_t at = mb_now_ns() + ms * 1000000;
	struct timespec until = { .tv_sec = (time_t)(at / 1000000000),
				  .tv_nsec = (long)(at % 1000000000) };
	bool stop;

	pthread_mutex_lock(&e->lock);
	while (!e->stop && !e->kicked && pthread_cond_timedwait(&e->wake, &e->lock, &until) == 0)
		;
	*ret_news = e->kicked;
	e->kicked = false;
	stop = e->stop;
	pthread_mutex_unlock(&e->lock);
	return !stop;
}

static void *work(void *arg)
{
	struct mb_executor *e = arg;
	uint64_t wake_ms = 0;
	bool news = true;

	do
		wake_ms = round_of(e, news);
	while (wait_until(e, wake_ms, &news));
	return NULL;
}

static void free_executor(struct mb_executor *e)
{
	for (size_t i = 0; i < e->n_jobs; i++)
		mb_execution_deinit(&e->jobs[i].x);
	free(e->jobs);
	e->mover->ops->close(e->mover);
	mb_store_close(e->store);
	pthread_cond_destroy(&e->wake);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

int mb_executor_start(struct mb_store *store, struct mb_mover *mover,
		      const struct mb_executor_config *config, struct mb_executor **ret,
		      struct mb_err *err)
{
	struct mb_executor *e = calloc(1, sizeof(*e));
	pthread_condattr_t attr;
	int r;

	if (!e) {
		mover->ops->close(mover);
		mb_store_close(store);
		return mb_fail_mem(err, "the thread of executions");
	}
	e->store = store;
	e->mover = mover;
	e->config = *config;
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->wake, &attr);
	pthread_condattr_destroy(&attr);
	r = take_up_all(e, true, err);
	if (r == 0 && (r = pthread_create(&e->thread, NULL, work, e)) != 0)
		r = mb_fail(err, r, "thread of executions: %s", strerror(r));
	if (r < 0) {
		free_executor(e);
		return r;
	}
	*ret = e;
	return 0;
}

void mb_executor_kick(struct mb_executor *e)
{
	pthread_mutex_lock(&e->lock);
	e->kicked = true;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->lock);
}

const char *mb_executor_mover(const struct mb_executor *e)
{
	return e->mover->ops->name;
}

void mb_executor_stop(struct mb_executor *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	e->stop = true;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	free_executor(e);
}
