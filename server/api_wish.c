// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/api_wish.h"

#include <inttypes.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"
#include "server/executions.h"
#include "server/store_wish.h"

/* One that is under way, so that somebody is there to carry the wish out. */
static int check_driven(struct mb_api *api, int64_t id, struct mb_err *err)
{
	mb_autofree struct mb_executions_open *open = NULL;
	size_t n = 0;
	int r = mb_executions_open(api->store, &open, &n, err);

	for (size_t i = 0; i < n && r == 0; i++) {
		if (open[i].id != id ||
		    (api->executor && strcmp(open[i].mover, mb_executor_mover(api->executor)) == 0))
			continue;
		r = mb_fail(err, EBUSY,
			    "execution %" PRId64 " is interrupted: its mover \"%.60s\" is not here "
			    "(mbserver --mover)",
			    id, open[i].mover);
	}
	return r;
}

static int parse_decision(mb_api_query query, void *ctx, struct mb_wish *w, struct mb_err *err)
{
	const char *move = query(ctx, "move"), *where = query(ctx, "vm_has");
	uint64_t n;
	int r;

	if (!move || !where)
		return mb_fail(err, EINVAL, "parameters move and vm_has are needed");
	r = mb_parse_u64(move, 1, MB_EXECUTION_MOVES_MAX, "move", &n, err);
	if (r < 0)
		return r;
	w->move = (uint32_t)n - 1;
	w->kind = mb_wish_find(where);
	if (w->kind != MB_WISH_ARRIVED && w->kind != MB_WISH_STAYED)
		return mb_fail(err, EINVAL, "vm_has \"%.60s\": neither arrived nor stayed", where);
	return 0;
}

/* Now: that it may be otherwise when the wish is read is the executor's business. */
static int check_lost(struct mb_api *api, const struct mb_wish *w, struct mb_err *err)
{
	mb_cleanup(mb_execution_deinit) struct mb_execution x = { 0 };
	uint32_t restarts;
	int r = mb_executions_load(api->store, w->execution, &x, &restarts, err);

	if (r == -EINVAL)
		return mb_fail(err, EALREADY, "execution %" PRId64 " has ended", w->execution);
	if (r < 0)
		return r;
	if (w->move >= x.n_moves)
		return mb_fail(err, EINVAL, "move %" PRIu32 ": there are %" PRIu32, w->move + 1,
			       x.n_moves);
	if (x.moves[w->move].state != MB_MOVE_LOST || x.moves[w->move].ended_ms)
		return mb_fail(err, EALREADY, "move %" PRIu32 " is not lost, but %s", w->move + 1,
			       mb_move_state_name(x.moves[w->move].state));
	return 0;
}

int mb_api_wish(struct mb_api *api, const char *rest, mb_api_query query, void *ctx,
		json_t **ret_json, struct mb_err *err)
{
	const char *slash = strchr(rest, '/');
	char number[24] = "";
	struct mb_wish w = { .kind = MB_WISH_CANCEL };
	uint64_t id;
	int r;

	if (!slash || (strcmp(slash, "/cancel") != 0 && strcmp(slash, "/decide") != 0) ||
	    (size_t)(slash - rest) >= sizeof(number))
		return mb_fail(err, EOPNOTSUPP, "nothing can be changed there");
	memcpy(number, rest, (size_t)(slash - rest));
	r = mb_parse_u64(number, 1, INT64_MAX, "execution", &id, err);
	w.execution = (int64_t)id;
	if (r == 0 && strcmp(slash, "/decide") == 0)
		r = parse_decision(query, ctx, &w, err);
	if (r == 0)
		r = check_driven(api, w.execution, err);
	if (r == 0 && w.kind != MB_WISH_CANCEL)
		r = check_lost(api, &w, err);
	if (r == 0)
		r = mb_store_put_wish(api->store, &w, mb_unix_ns(), err);
	if (r < 0)
		return r;
	/* Without one there is nothing under way, and so no wish. */
	if (api->executor)
		mb_executor_kick(api->executor);
	*ret_json = json_pack("{s:I, s:s}", "id", (json_int_t)w.execution, "wish",
			      mb_wish_name(w.kind));
	return *ret_json ? 0 : mb_fail_mem(err, "an answer");
}

int mb_api_check_idle(struct mb_api *api, struct mb_err *err)
{
	mb_autofree struct mb_executions_open *open = NULL;
	size_t n = 0;
	int r = api->executor ? mb_executions_open(api->store, &open, &n, err) : 0;

	for (size_t i = 0; i < n && r == 0; i++)
		if (strcmp(open[i].mover, mb_executor_mover(api->executor)) == 0)
			r = mb_fail(err, EBUSY,
				    "execution %" PRId64 " is under way: wait for its end, or end "
				    "it (mbctl executions cancel %" PRId64 ")",
				    open[i].id, open[i].id);
	return r;
}
