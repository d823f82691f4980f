// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/trace_churn.h"

#include "proto/base/cleanup.h"
#include "proto/churn/churn_json.h"
#include "proto/churn/put.h"
#include "server/ctl/trace_file.h"

static void churnp(struct mb_churn **c)
{
	mb_churn_destroy(*c);
}

static int feed(struct mb_trace_file *t, struct mb_churn *c, bool by_frame,
		struct mb_churn_sums *sums, struct mb_err *err)
{
	int r;

	while ((r = mb_trace_file_next(t, err)) == 0) {
		struct mb_frame_array array = { t->pages, 0, t->n_pages };
		const struct mb_frame_stream frames = { mb_frame_array_next, &array };
		struct mb_fingerprint fp;
		struct mb_churn_row row;

		r = mb_trace_file_fingerprint(t, &fp, err);
		if (r == 0)
			r = mb_churn_feed(c, t->taken_ns, &fp, by_frame ? &frames : NULL, &row,
					  err);
		if (r < 0)
			return mb_fail_in(err, r, "%s", t->path);
		mb_churn_sums_add(sums, &row);
	}
	if (r != -ENODATA)
		return r;
	return sums->rows ? 0 : mb_fail(err, EBADMSG, "%s: no epoch in it", t->path);
}

int mb_trace_churn(const char *path, json_t *metrics, struct mb_err *err)
{
	mb_cleanup(mb_trace_file_close) struct mb_trace_file t = { 0 };
	mb_cleanup(mb_json_unrefp) json_t *json = NULL;
	mb_cleanup(churnp) struct mb_churn *c = NULL;
	struct mb_churn_config config = { 0 };
	struct mb_churn_sums sums = { 0 };
	struct mb_churn_summary summary;
	int r = mb_trace_file_open(&t, path, err);

	if (r < 0)
		return r;
	config.by_frame = mb_trace_file_header(&t)->stable_frames;
	config.zero_digest = mb_trace_file_header(&t)->identity.zero_digest;
	if ((r = mb_churn_create(&config, &c, err)) < 0 ||
	    (r = feed(&t, c, config.by_frame, &sums, err)) < 0)
		return r;
	mb_churn_summarize(&sums, &summary);
	json = mb_churn_summary_json(&config, &summary);
	return !json || mb_churn_measure(json, metrics) < 0 ? mb_fail_mem(err, "figures") : 0;
}
