// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/whatif.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/msg.h"
#include "server/estimate.h"
#include "server/names.h"
#include "server/plan/question.h"

struct picture {
	const struct mb_fleet_view *view;
	struct mb_names vms, hosts;
	bool *named;			 /* [0, n_vms) */
	uint32_t *before, *after;	 /* [0, n_vms) */
	struct mb_whatif_host *was, *is; /* [0, n_hosts) */
	uint64_t *was_error, *is_error;	 /* [0, n_hosts): of what is shared there; NULL: exact */
};

static void picture_deinit(struct picture *p)
{
	mb_names_deinit(&p->vms);
	mb_names_deinit(&p->hosts);
	free(p->named);
	free(p->before);
	free(p->after);
	free(p->was);
	free(p->is);
	free(p->was_error);
	free(p->is_error);
}

static int picture_init(struct picture *p, struct mb_err *err)
{
	const struct mb_fleet_view *v = p->view;
	size_t n = (size_t)v->n_vms + 1, n_hosts = (size_t)v->n_hosts + 1;
	int r;

	p->named = calloc(n, sizeof(*p->named));
	p->before = calloc(n, sizeof(*p->before));
	p->after = calloc(n, sizeof(*p->after));
	p->was = calloc(n_hosts, sizeof(*p->was));
	p->is = calloc(n_hosts, sizeof(*p->is));
	if (!p->named || !p->before || !p->after || !p->was || !p->is)
		return mb_fail_mem(err, "an answer");
	if ((r = mb_names_init(&p->vms, v->n_vms, err)) < 0 ||
	    (r = mb_names_init(&p->hosts, v->n_hosts, err)) < 0)
		return r;
	for (uint32_t i = 0; i < v->n_vms; i++) {
		mb_names_put(&p->vms, v->vms[i].name, i);
		p->before[i] = p->after[i] = v->vms[i].host;
	}
	for (uint32_t i = 0; i < v->n_hosts; i++)
		mb_names_put(&p->hosts, v->hosts[i].name, i);
	return 0;
}

static int name_vm(struct picture *p, const char *name, uint32_t *ret, struct mb_err *err)
{
	int r = mb_name_check(name, "VM", err);

	if (r < 0)
		return r;
	*ret = mb_names_find(&p->vms, name);
	if (*ret == MB_NO_NAME)
		return mb_fail(err, ENOENT, "no VM \"%s\"", name);
	if (p->named[*ret])
		return mb_fail(err, EINVAL, "VM \"%s\" is named twice", name);
	p->named[*ret] = true;
	return 0;
}

/* Names may have a '=' themselves: then the one counts that makes a VM of what is before it. */
static int put_move(struct picture *p, char *word, struct mb_err *err)
{
	char *cut = strchr(word, '=');
	uint32_t vm, host = MB_NOWHERE;
	int r;

	if (!cut)
		return mb_fail(err, EINVAL, "\"%.100s\" is not VM=HOST", word);
	for (char *next = cut; next; next = strchr(next + 1, '=')) {
		*next = 0;
		if (mb_names_find(&p->vms, word) != MB_NO_NAME)
			cut = next;
		*next = '=';
	}
	*cut = 0;
	r = name_vm(p, word, &vm, err);
	if (r < 0)
		return r;
	if (strcmp(cut + 1, "-") != 0) {
		r = mb_name_check(cut + 1, "host", err);
		if (r < 0)
			return r;
		host = mb_names_find(&p->hosts, cut + 1);
		if (host == MB_NO_NAME)
			return mb_fail(err, ENOENT, "no host \"%s\" in the fleet file", cut + 1);
	}
	p->after[vm] = host;
	return 0;
}

/* The first of the largest hosts that are on. */
static uint32_t largest_host(const struct mb_fleet_view *v, const struct mb_plan_options *options)
{
	uint32_t best = 0;
	uint64_t most = 0;

	for (uint32_t i = 0; i < v->n_hosts; i++) {
		uint64_t mb = mb_plan_capacity_mb(&v->hosts[i], options);

		if (v->hosts[i].state == MB_HOST_ACTIVE && mb > most) {
			most = mb;
			best = i;
		}
	}
	return best;
}

static int paint(struct picture *p, const struct mb_plan_options *options, const char *words,
		 bool together, struct mb_err *err)
{
	uint32_t host = largest_host(p->view, options), vm;
	mb_autofree char *copy = strdup(words);
	char *rest = copy, *word;
	size_t n = 0;
	int r = copy ? 0 : mb_fail_mem(err, "an answer");

	while (r == 0 && (word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		n++;
		if (!together) {
			r = put_move(p, word, err);
			continue;
		}
		r = name_vm(p, word, &vm, err);
		if (r == 0)
			p->after[vm] = host;
	}
	if (r == 0 && !n)
		r = mb_fail(err, EINVAL, "no VM is named");
	return r;
}

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

/* Takes `vms` over. */
static json_t *side(const struct mb_whatif_host *h, json_t *vms)
{
	return json_pack("{s:o, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "vms", vms, "fits",
			 (int)h->fits, "reason", h->reason, "full_mb", number(h->full_mb), "pages",
			 number(h->pages), "zero_pages", number(h->zero_pages), "self_pages",
			 number(h->self_pages), "inter_pages", number(h->inter_pages),
			 "distinct_pages", number(h->distinct_pages));
}

/* The same error in what is shared and in what is used. */
static int put_error(json_t *to, const uint64_t *errors, uint32_t host)
{
	return errors ? json_object_set_new(to, "error_pages", number(errors[host])) : 0;
}

static int find_errors(struct picture *p, unsigned int shift, struct mb_err *err)
{
	const struct mb_fleet_view *v = p->view;
	uint64_t sum;
	int r;

	if (!shift)
		return 0;
	p->was_error = calloc((size_t)v->n_hosts + 1, sizeof(*p->was_error));
	p->is_error = calloc((size_t)v->n_hosts + 1, sizeof(*p->is_error));
	if (!p->was_error || !p->is_error)
		return mb_fail_mem(err, "an answer");
	r = mb_estimate_saving_errors(v->groups, shift, p->before, NULL, v->n_vms, v->n_hosts,
				      p->was_error, &sum, err);
	return r < 0 ? r :
		       mb_estimate_saving_errors(v->groups, shift, p->after, NULL, v->n_vms,
						 v->n_hosts, p->is_error, &sum, err);
}

/* One pass over the VMs, since hosts x VMs is too many: ret[0, n_hosts), lists where VMs are. */
static int list_vms(const struct picture *p, const uint32_t *at, json_t **ret)
{
	for (uint32_t i = 0; i < p->view->n_vms; i++) {
		json_t **list = at[i] == MB_NOWHERE ? NULL : &ret[at[i]];

		if (!list)
			continue;
		if (!*list)
			*list = json_array();
		if (json_array_append_new(*list, json_string(p->view->vms[i].name)) < 0)
			return -1;
	}
	return 0;
}

/* Hosts without a VM in either picture say nothing. */
static json_t *show(const struct picture *p)
{
	const struct mb_fleet_view *v = p->view;
	mb_autofree json_t **was = calloc((size_t)v->n_hosts + 1, sizeof(*was));
	mb_autofree json_t **is = calloc((size_t)v->n_hosts + 1, sizeof(*is));
	json_t *hosts = json_array();
	int r = was && is && hosts ? 0 : -1;

	if (r == 0)
		r = list_vms(p, p->before, was);
	if (r == 0)
		r = list_vms(p, p->after, is);
	for (uint32_t h = 0; was && is && h < v->n_hosts; h++) {
		json_t *before, *after;

		if (!was[h] && !is[h])
			continue;
		was[h] = was[h] ? was[h] : json_array();
		is[h] = is[h] ? is[h] : json_array();
		before = side(&p->was[h], was[h]);
		after = side(&p->is[h], is[h]);
		r |= put_error(before, p->was_error, h) | put_error(after, p->is_error, h);
		r |= json_array_append_new(hosts, json_pack("{s:s, s:o, s:o, s:o}", "name",
							    v->hosts[h].name, "memory_mb",
							    number(v->hosts[h].memory_mb), "before",
							    before, "after", after));
	}
	if (r == 0)
		return json_pack("{s:o}", "hosts", hosts);
	json_decref(hosts);
	return NULL;
}

int mb_whatif_answer(const struct mb_live_fleet *f, const struct mb_plan_options *options,
		     const char *moves, const char *together, bool only, json_t **ret,
		     struct mb_err *err)
{
	mb_cleanup(picture_deinit) struct picture p = { .view = &f->view };
	int r;

	if (!moves == !together)
		return mb_fail(err, EINVAL, "either moves or together, one of the two");
	r = picture_init(&p, err);
	if (r == 0)
		r = paint(&p, options, moves ? moves : together, together, err);
	for (uint32_t i = 0; r == 0 && i < f->view.n_vms; i++)
		if (!p.named[i] && (only || together))
			p.before[i] = p.after[i] = MB_NOWHERE;
	if (r == 0)
		r = mb_plan_whatif(p.was, &f->view, options, p.before, f->zero_pages, err);
	if (r == 0)
		r = mb_plan_whatif(p.is, &f->view, options, p.after, f->zero_pages, err);
	if (r == 0)
		r = find_errors(&p, f->sample_shift, err);
	if (r < 0)
		return r;
	*ret = show(&p);
	return *ret ? 0 : mb_fail_mem(err, "an answer");
}
