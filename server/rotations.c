// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/rotations.h"

#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "server/store_key.h"

struct resume {
	struct mb_fleet *fleet;
	struct mb_key_rotations over;
};

static int resume_one(void *ctx, const struct mb_key_rotation *r, struct mb_err *err)
{
	struct resume *to = ctx;
	int e = mb_fleet_begin_rotation(to->fleet, r, err);

	/* Its last VM has changed its key, or is forgotten. */
	return e > 0 ? mb_key_rotations_put(&to->over, r, err) : e;
}

int mb_rotations_resume(struct mb_fleet *f, struct mb_store *s, struct mb_err *err)
{
	mb_cleanup(mb_key_rotations_deinit) struct mb_key_rotations none = { 0 };
	struct resume to = { .fleet = f, .over = none };
	int r = mb_store_key_rotations(s, resume_one, &to, err);

	none = to.over;
	for (uint32_t i = 0; r == 0 && i < none.n; i++)
		r = mb_store_end_key_rotation(s, none.list[i].domain, err);
	return r;
}

static json_t *to_json(const struct mb_key_rotation *r)
{
	char from[MB_KEY_ID_TEXT], to[MB_KEY_ID_TEXT];

	mb_key_id_format(r->from, from);
	mb_key_id_format(r->to, to);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "domain", r->domain, "from", from, "to",
			 to, "vms", (json_int_t)r->n_from + r->n_to, "moved", (json_int_t)r->n_to,
			 "begun_unix_ms", (json_int_t)(r->begun_unix_ns / 1000000));
}

json_t *mb_rotations_list(struct mb_fleet *f)
{
	json_t *list = json_array();
	struct mb_key_rotation r;

	for (uint32_t i = 0; f && mb_fleet_rotation(f, i, &r); i++)
		json_array_append_new(list, to_json(&r));
	return list;
}

int mb_rotations_begin(struct mb_fleet *f, struct mb_store *s, const char *domain, const char *to,
		       json_t **ret, struct mb_err *err)
{
	struct mb_key_rotation rotation;
	uint32_t id;
	int r;

	if (!domain || !to)
		return mb_fail(err, EINVAL, "parameter %s is missing", domain ? "to" : "domain");
	if (strlen(domain) >= MB_DOMAIN_MAX)
		return mb_fail(err, ENOENT, "no trust domain has so long a name");
	if ((r = mb_key_id_parse(to, &id, err)) < 0 ||
	    (r = mb_fleet_plan_rotation(f, domain, id, &rotation, err)) < 0)
		return r;
	rotation.begun_unix_ns = mb_unix_ns();
	/* Agents with the new key are taken only when that will be remembered. */
	r = mb_store_put_key_rotation(s, &rotation, err);
	if (r == 0)
		r = mb_fleet_begin_rotation(f, &rotation, err);
	/* Back before any VM had gone. */
	if (r > 0)
		r = mb_store_end_key_rotation(s, domain, err);
	if (r < 0)
		return r;
	*ret = json_pack("{s:o}", "rotations", mb_rotations_list(f));
	return *ret ? 0 : mb_fail_mem(err, "an answer");
}
