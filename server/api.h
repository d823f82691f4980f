/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The answers of the HTTP API as JSON; docs/json.md has every key. One thread at a time. */
#ifndef MB_SERVER_API_H
#define MB_SERVER_API_H

#include <jansson.h>

#include "server/ask.h"
#include "server/contacts.h"
#include "server/executor.h"
#include "server/health.h"
#include "server/refusals.h"
#include "server/sharing.h"
#include "server/store.h"

struct mb_api {
	struct mb_fleet *fleet;
	struct mb_sharing *sharing;
	struct mb_store *store; /* for history, and executions */
	const char *db_path;
	const char *fleet_path; /* read at every question, so that it can be edited; NULL: none */
	const struct mb_refusals *refusals; /* NULL: nothing is counted */
	struct mb_contacts *contacts; /* NULL: nobody knows who came */
	const struct mb_health *health;
	struct mb_executor *executor; /* NULL: plans are carried out by the dry mover, at once */
	uint64_t start_ns;
};

typedef mb_ask_query mb_api_query;

/*
 * Answers `path`; *ret_json is a new reference. -ENOENT: no such thing (HTTP 404); -EINVAL: a bad
 * parameter (400); -ENOSPC: no placement is possible (422); anything else is the server's (500).
 */
int mb_api_get(struct mb_api *api, const char *path, mb_api_query query, void *ctx,
	       json_t **ret_json, struct mb_err *err);
/*
 * /v1/rotate begins the change of a trust domain's key. All else is the same question as by
 * mb_api_get(), and its plan is carried out and kept: the answer has an "execution", too. Or
 * what an operator wants of one that is under way: /v1/executions/ID/cancel, /decide.
 * -EOPNOTSUPP: a path that can only be read (405); -EALREADY, -EBUSY: not now (409).
 */
int mb_api_post(struct mb_api *api, const char *path, mb_api_query query, void *ctx,
		json_t **ret_json, struct mb_err *err);

#endif
