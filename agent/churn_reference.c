// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/churn_reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

struct digests {
	uint64_t *list; /* owned */
	size_t n;
};

static void digests_deinit(struct digests *d)
{
	free(d->list);
}

static int add(struct digests *to, const struct mb_fingerprint *fp, struct mb_err *err)
{
	void *list = realloc(to->list, (to->n + fp->n_distinct + 1) * sizeof(*to->list));

	if (!list)
		return mb_fail_mem(err, "the reference");
	to->list = list;
	if (fp->n_distinct)
		memcpy(to->list + to->n, fp->digests, fp->n_distinct * sizeof(*fp->digests));
	to->n += fp->n_distinct;
	return 0;
}

/* The pass keys raw digests; those that are keyed must be so with the same key. */
static int last_epoch(struct mb_agent *a, struct mb_fingerprint *ret, struct mb_err *err)
{
	struct mb_epoch e;
	int r;

	while ((r = mb_pass_run(&a->pass, &e, err)) == 0) {
		mb_fingerprint_deinit(ret);
		*ret = e.fingerprint;
	}
	return r == -ENODATA && a->pass.epochs ? 0 : r;
}

static int add_trace(const struct mb_agent_config *config, const struct mb_identity *identity,
		     const char *path, struct digests *to, struct mb_err *err)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	struct mb_agent_config of_trace = *config;
	mb_autofree char *uri = NULL;
	struct mb_agent a;
	int r;

	if (asprintf(&uri, "trace:%s", path) < 0) {
		uri = NULL;
		return mb_fail_mem(err, "a name");
	}
	of_trace.source = uri;
	r = mb_agent_open(&a, &of_trace, NULL, err);
	if (r < 0)
		return r;
	r = mb_identity_compare(identity, &a.pass.digester.identity, err);
	if (r == 0)
		r = last_epoch(&a, &fp, err);
	if (r == 0)
		r = add(to, &fp, err);
	mb_agent_close(&a);
	return r;
}

int mb_churn_reference(const struct mb_agent_config *config, const struct mb_identity *identity,
		       const char *const *paths, size_t n, struct mb_fingerprint *ret,
		       struct mb_err *err)
{
	mb_cleanup(digests_deinit) struct digests all = { 0 };
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint sum = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = add_trace(config, identity, paths[i], &all, err);
		if (r < 0)
			return mb_fail_in(err, r, "--reference %s", paths[i]);
	}
	r = mb_fingerprint_from_digests(&sum, all.list, all.n, err);
	if (r == 0)
		r = mb_fingerprint_init(ret, sum.n_distinct, 0, err);
	for (uint32_t i = 0; r == 0 && i < sum.n_distinct; i++)
		mb_fingerprint_push(ret, sum.digests[i], 1);
	return r;
}
