// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/historian.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "server/heap.h"
#include "server/history_clock.h"
#include "server/live_fleet.h"
#include "server/plan/error.h"

#define FORGET_EVERY_NS ((uint64_t)3600000000000)

struct mb_historian {
	struct mb_sharing *sharing;
	struct mb_store *store;
	struct mb_historian_config config;
	uint64_t kept_generation; /* whose rows the store has; 0: none */
	uint64_t forget_ns;	  /* when next */
	struct mb_history_clock clock;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};

/* Where VMs run, by agents and fleet file; a file that cannot be read is told to who asks. */
struct placed {
	struct mb_fleet_file file;
	struct mb_live_fleet fleet;
	uint32_t *host;
	uint64_t *here;
};

static void placed_deinit(struct placed *p)
{
	mb_live_fleet_deinit(&p->fleet);
	mb_fleet_file_deinit(&p->file);
	free(p->host);
	free(p->here);
}

static int find_places(struct placed *p, const char *path, const struct mb_sharing_view *view,
		       struct mb_err *err)
{
	int r;

	mb_fleet_file_init(&p->file);
	if (path && mb_fleet_file_read(path, &p->file, NULL) < 0) {
		mb_fleet_file_deinit(&p->file);
		mb_fleet_file_init(&p->file);
	}
	r = mb_live_fleet_init(&p->fleet, view, &p->file, err);
	if (r < 0)
		return r;
	p->host = calloc((size_t)p->fleet.view.n_vms + 1, sizeof(*p->host));
	p->here = calloc((size_t)p->fleet.view.n_vms + 1, sizeof(*p->here));
	if (!p->host || !p->here)
		return mb_fail_mem(err, "sharing history");
	for (uint32_t v = 0; v < p->fleet.view.n_vms; v++)
		p->host[v] = p->fleet.vms[v].host;
	mb_score_here(&p->fleet.view, p->host, p->here);
	return 0;
}

struct names {
	char host[MB_NAME_MAX], partner[MB_NAME_MAX];
};

/* What goes to the store, without the lock on what is shared: the store may keep us waiting. */
struct rows {
	struct mb_sharing_record *list; /* owned, as are names, to which it points */
	struct names *names;
	size_t n;
};

static void rows_deinit(struct rows *r)
{
	free(r->list);
	free(r->names);
}

static const char *keep_name(char to[MB_NAME_MAX], const char *name)
{
	snprintf(to, MB_NAME_MAX, "%s", name);
	return to;
}

static void add_row(struct rows *rows, const struct mb_sharing_view *view,
		    const struct mb_comparable *set, uint32_t i, const struct placed *p)
{
	uint32_t v = set->vms[i], host = p->host[v];
	const struct mb_vm *vm = &view->fleet.vms[v];
	const uint64_t *inter = set->inter + (size_t)i * set->n;
	struct mb_sharing_record *row = &rows->list[rows->n];
	uint32_t partner = i;

	*row = (struct mb_sharing_record){ .vm_id = vm->id,
					   .epoch = vm->epoch,
					   .acked_unix_ns = vm->acked_unix_ns,
					   .inter = set->any[i],
					   .error = mb_comparable_any_error(set, i),
					   .here = p->here[v],
					   .here_error =
						   mb_plan_count_error(p->here[v], set->shift) };
	if (host != MB_NOWHERE)
		row->host = keep_name(rows->names[rows->n].host, p->fleet.hosts[host].name);
	for (uint32_t j = 0; j < set->n; j++)
		if (inter[j] > row->partner_inter) {
			row->partner_inter = inter[j];
			partner = j;
		}
	if (partner != i) {
		row->partner_error = mb_comparable_inter_error(set, i, partner);
		row->partner = keep_name(rows->names[rows->n].partner,
					 view->fleet.vms[set->vms[partner]].name);
	}
	rows->n++;
}

static int find_rows(struct rows *rows, const char *fleet_path, const struct mb_sharing_view *view,
		     struct mb_err *err)
{
	mb_cleanup(placed_deinit) struct placed p = { 0 };
	int r;

	rows->list = calloc(view->fleet.n + 1, sizeof(*rows->list));
	rows->names = calloc(view->fleet.n + 1, sizeof(*rows->names));
	if (!rows->list || !rows->names)
		return mb_fail_mem(err, "sharing history");
	r = find_places(&p, fleet_path, view, err);
	if (r < 0)
		return r;
	for (uint32_t k = 0; k < view->n_sets; k++)
		for (uint32_t i = 0; i < view->sets[k].n; i++)
			add_row(rows, view, &view->sets[k], i, &p);
	return 0;
}

static int keep(struct mb_historian *h, struct mb_err *err)
{
	mb_cleanup(rows_deinit) struct rows rows = { 0 };
	const struct mb_sharing_view *view;
	uint64_t generation;
	int r = mb_sharing_lock(h->sharing, &view, err);

	if (r < 0)
		return r;
	generation = view->fleet.generation;
	if (generation != h->kept_generation)
		r = find_rows(&rows, h->config.fleet_path, view, err);
	mb_sharing_unlock(h->sharing);
	if (r < 0 || generation == h->kept_generation)
		return r;
	r = mb_store_put_sharing(h->store, rows.list, rows.n, mb_unix_ns(), err);
	if (r == 0)
		h->kept_generation = generation;
	return r;
}

static int forget(struct mb_historian *h, struct mb_err *err)
{
	uint64_t now_ns = mb_now_ns(), date = mb_history_clock_unix_ns(&h->clock, now_ns);

	if (!h->config.keep_ns || h->config.keep_ns >= date || now_ns < h->forget_ns)
		return 0;
	h->forget_ns = now_ns + FORGET_EVERY_NS;
	return mb_store_forget(h->store, date - h->config.keep_ns, err);
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

	while (wait_interval(h)) {
		struct mb_err err = { 0 };

		if (keep(h, &err) < 0 || forget(h, &err) < 0)
			h->config.warn(h->config.ctx, err.text);
		/* Or the busiest minute of all would be held for ever. */
		mb_heap_trim();
	}
	return NULL;
}

int mb_historian_start(struct mb_sharing *sharing, struct mb_store *store,
		       const struct mb_historian_config *config, struct mb_historian **ret,
		       struct mb_err *err)
{
	struct mb_historian *h;
	pthread_condattr_t attr;
	uint64_t newest_unix_ns;
	int r = mb_store_newest(store, &newest_unix_ns, err);

	if (r < 0)
		return r;
	h = calloc(1, sizeof(*h));
	if (!h)
		return mb_fail_mem(err, "the history thread");
	mb_history_clock_start(&h->clock, mb_unix_ns(), newest_unix_ns, mb_now_ns());
	h->sharing = sharing;
	h->store = store;
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
	mb_store_close(h->store);
	free(h);
}
