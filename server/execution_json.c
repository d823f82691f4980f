// SPDX-License-Identifier: GPL-2.0-or-later
/* An execution written down and read again: one table of fields serves both ways. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/execution_inside.h"

enum { HOSTS_MAX = 10000 };

/* Sizes and times that can be added up. */
#define U64_MAX_HERE ((uint64_t)1 << 50)

struct field {
	const char *key;
	size_t offset;
	enum { U32, U64, BOOL } type;
};

#define FIELD(type, of, name, key)                                                                 \
	{                                                                                          \
		key, offsetof(struct of, name), type                                               \
	}

static const struct field option_fields[] = {
	FIELD(U32, mb_execution_options, per_host_max, "per_host_max"),
	FIELD(U32, mb_execution_options, total_max, "total_max"),
	FIELD(U32, mb_execution_options, tries_max, "tries_max"),
	FIELD(U32, mb_execution_options, cancels_max, "cancels_max"),
	FIELD(U32, mb_execution_options, trouble_max, "trouble_max"),
	FIELD(U32, mb_execution_options, deadline_percent, "deadline_percent"),
	FIELD(U64, mb_execution_options, deadline_min_ms, "deadline_min_ms"),
	FIELD(U64, mb_execution_options, poll_ms, "poll_ms"),
	FIELD(U64, mb_execution_options, backoff_ms, "backoff_ms"),
	FIELD(U64, mb_execution_options, backoff_max_ms, "backoff_max_ms"),
	FIELD(U64, mb_execution_options, cancel_ms, "cancel_ms"),
	FIELD(U64, mb_execution_options, lost_max_ms, "lost_max_ms"),
	FIELD(U32, mb_execution_options, bandwidth_mbit_s, "bandwidth_mbit_s"),
	{ 0 },
};

static const struct field host_fields[] = {
	FIELD(U64, mb_execution_host, base_mb, "base_mb"),
	FIELD(U64, mb_execution_host, limit_mb, "limit_mb"),
	FIELD(BOOL, mb_execution_host, in_order, "in_order"),
	FIELD(U32, mb_execution_host, troubles, "troubles"),
	{ 0 },
};

static const struct field move_fields[] = {
	FIELD(U64, mb_execution_move, memory_mb, "memory_mb"),
	FIELD(U64, mb_execution_move, copy_mb, "copy_mb"),
	FIELD(U64, mb_execution_move, time_s, "time_s"),
	FIELD(U64, mb_execution_move, merge_s, "merge_s"),
	FIELD(U32, mb_execution_move, tries, "tries"),
	FIELD(U32, mb_execution_move, looks, "looks"),
	FIELD(U32, mb_execution_move, absences, "absences"),
	FIELD(U32, mb_execution_move, cancels, "cancels"),
	FIELD(U64, mb_execution_move, due_ms, "due_unix_ms"),
	FIELD(U64, mb_execution_move, begun_ms, "begun_unix_ms"),
	FIELD(U64, mb_execution_move, cancelled_ms, "cancelled_unix_ms"),
	FIELD(U64, mb_execution_move, recancel_ms, "recancel_unix_ms"),
	FIELD(U64, mb_execution_move, lost_ms, "lost_unix_ms"),
	FIELD(U64, mb_execution_move, ended_ms, "ended_unix_ms"),
	FIELD(U64, mb_execution_move, copied_mb, "copied_mb"),
	FIELD(U64, mb_execution_move, left_mb, "left_mb"),
	FIELD(BOOL, mb_execution_move, holds_to, "holds_to"),
	FIELD(BOOL, mb_execution_move, said_done, "said_done"),
	FIELD(BOOL, mb_execution_move, is_too_slow, "is_too_slow"),
	FIELD(BOOL, mb_execution_move, is_hopeless, "is_hopeless"),
	FIELD(BOOL, mb_execution_move, blames_host, "blames_host"),
	{ 0 },
};

static const struct field execution_fields[] = {
	FIELD(U64, mb_execution, created_ms, "created_unix_ms"),
	FIELD(U64, mb_execution, cancelled_ms, "cancelled_unix_ms"),
	FIELD(U64, mb_execution, ended_ms, "ended_unix_ms"),
	{ 0 },
};

static const char *const next_names[MB_NEXT_END] = { "none",   "locate", "begin", "poll",
						     "cancel", "settle", "peek" };

/* --- writing ---------------------------------------------------------------------------------- */

/* A time that never was is null, as everywhere in docs/json.md. */
static json_t *field_value(const struct field *f, const void *at)
{
	uint64_t v;

	switch (f->type) {
	case BOOL:
		return json_boolean(*(const bool *)at);
	case U32:
		return json_integer(*(const uint32_t *)at);
	default:
		v = *(const uint64_t *)at;
		return !v && strstr(f->key, "_unix_ms") ? json_null() : json_integer((json_int_t)v);
	}
}

static int put_fields(json_t *to, const struct field *f, const void *from)
{
	int r = to ? 0 : -1;

	for (; f->key && r == 0; f++)
		r = json_object_set_new(to, f->key, field_value(f, (const char *)from + f->offset));
	return r;
}

static json_t *finish(json_t *json, int r)
{
	if (r == 0)
		return json;
	json_decref(json);
	return NULL;
}

static json_t *host_name(const struct mb_execution *x, uint32_t host)
{
	return host == MB_NOWHERE ? json_null() : json_string(x->hosts[host].name);
}

static json_t *move_json(const struct mb_execution *x, const struct mb_execution_move *m)
{
	json_t *ret = json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:I}", "vm", m->vm, "from",
				host_name(x, m->from), "to", host_name(x, m->to), "state",
				mb_move_state_name(m->state), "reason", m->reason, "next",
				next_names[m->next], "found", host_name(x, m->found), "group",
				(json_int_t)m->group);

	return finish(ret, put_fields(ret, move_fields, m));
}

json_t *mb_execution_to_json(const struct mb_execution *x)
{
	json_t *options = json_object(), *hosts = json_array(), *moves = json_array();
	json_t *ret = json_pack("{s:s, s:o, s:o, s:o}", "state",
				mb_execution_state_name(mb_execution_state(x)), "options", options,
				"hosts", hosts, "moves", moves);
	int r = put_fields(ret, execution_fields, x);

	if (r == 0)
		r = put_fields(options, option_fields, &x->options);
	for (uint32_t h = 0; h < x->n_hosts && r == 0; h++) {
		json_t *host = json_pack("{s:s}", "name", x->hosts[h].name);

		r = json_array_append_new(hosts, host);
		if (r == 0)
			r = put_fields(host, host_fields, &x->hosts[h]);
	}
	for (uint32_t i = 0; i < x->n_moves && r == 0; i++)
		r = json_array_append_new(moves, move_json(x, &x->moves[i]));
	return finish(ret, r);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int bad(struct mb_err *err, const char *key)
{
	return mb_fail(err, EINVAL, "\"%s\" is missing, or not what it must be", key);
}

static int get_fields(const json_t *from, const struct field *f, void *to, struct mb_err *err)
{
	for (; f->key; f++) {
		const json_t *v = json_object_get(from, f->key);
		json_int_t n = json_integer_value(v);
		char *at = (char *)to + f->offset;
		bool is_time = strstr(f->key, "_unix_ms") != NULL;

		if (f->type == BOOL ? !json_is_boolean(v) :
				      !json_is_integer(v) && !(is_time && json_is_null(v)))
			return bad(err, f->key);
		if (n < 0 || (uint64_t)n > (f->type == U32 ? UINT32_MAX : U64_MAX_HERE))
			return bad(err, f->key);
		if (f->type == BOOL)
			*(bool *)at = json_is_true(v);
		else if (f->type == U32)
			*(uint32_t *)(void *)at = (uint32_t)n;
		else
			*(uint64_t *)(void *)at = (uint64_t)n;
	}
	return 0;
}

static int get_name(const json_t *from, const char *key, char to[MB_NAME_MAX], struct mb_err *err)
{
	const char *name = json_string_value(json_object_get(from, key));
	int r;

	if (!name)
		return bad(err, key);
	r = mb_name_check(name, key, err);
	if (r == 0)
		strcpy(to, name);
	return r;
}

static int get_host(const json_t *from, const char *key, const json_t *index, bool may_be_null,
		    uint32_t *ret, struct mb_err *err)
{
	const json_t *v = json_object_get(from, key);
	const json_t *found = v ? json_object_get(index, json_string_value(v)) : NULL;

	if (may_be_null && json_is_null(v)) {
		*ret = MB_NOWHERE;
		return 0;
	}
	if (!found)
		return bad(err, key);
	*ret = (uint32_t)json_integer_value(found);
	return 0;
}

static int get_word(const json_t *from, const char *key, const char *const *words, unsigned int n,
		    unsigned int *ret, struct mb_err *err)
{
	const char *word = json_string_value(json_object_get(from, key));

	for (unsigned int i = 0; word && i < n; i++)
		if (strcmp(words[i], word) == 0) {
			*ret = i;
			return 0;
		}
	return bad(err, key);
}

/* What the machine takes for granted. */
static int check_move(struct mb_execution_move *m, struct mb_err *err)
{
	bool ended = mb_move_has_ended(m);
	bool active = !ended && (m->state == MB_MOVE_RUNNING || m->state == MB_MOVE_LOST);

	if (m->from == m->to)
		return bad(err, "to");
	if (ended ? m->state == MB_MOVE_WAITING || m->state == MB_MOVE_RUNNING :
		    m->state != MB_MOVE_WAITING && !active)
		return bad(err, "state");
	if (active ? m->next == MB_NEXT_NONE : m->next != MB_NEXT_NONE)
		return bad(err, "next");
	if (active && m->next != MB_NEXT_LOCATE && m->next != MB_NEXT_BEGIN && !m->begun_ms)
		return bad(err, "begun_unix_ms");
	if ((active || m->state == MB_MOVE_DONE) ? !m->holds_to :
	    m->state == MB_MOVE_WAITING		 ? m->holds_to :
						   false)
		return bad(err, "holds_to");
	/* Much may have happened since it was seen on its host. */
	if (m->next == MB_NEXT_BEGIN)
		m->next = MB_NEXT_LOCATE;
	return 0;
}

static int get_move(const json_t *from, const json_t *index, struct mb_execution_move *m,
		    struct mb_err *err)
{
	const char *states[MB_MOVE_STATES], *reason;
	unsigned int state = 0, next = 0;
	json_int_t group;
	int r;

	for (unsigned int i = 0; i < MB_MOVE_STATES; i++)
		states[i] = mb_move_state_name(i);
	if ((r = get_name(from, "vm", m->vm, err)) < 0 ||
	    (r = get_host(from, "from", index, true, &m->from, err)) < 0 ||
	    (r = get_host(from, "to", index, false, &m->to, err)) < 0 ||
	    (r = get_host(from, "found", index, true, &m->found, err)) < 0 ||
	    (r = get_word(from, "state", states, MB_MOVE_STATES, &state, err)) < 0 ||
	    (r = get_word(from, "next", next_names, MB_NEXT_END, &next, err)) < 0 ||
	    (r = get_fields(from, move_fields, m, err)) < 0)
		return r;
	m->state = state;
	m->next = next;
	/* Servers before did not write it. */
	group = json_integer_value(json_object_get(from, "group"));
	if (group < 0 || group > UINT32_MAX)
		return bad(err, "group");
	m->group = (uint32_t)group;
	reason = json_string_value(json_object_get(from, "reason"));
	if (!reason)
		return bad(err, "reason");
	mb_execution_reason(m, "%s", reason);
	return check_move(m, err);
}

static int get_list(const json_t *json, const char *key, size_t max, size_t element, void **ret,
		    uint32_t *ret_n, struct mb_err *err)
{
	const json_t *list = json_object_get(json, key);

	if (!json_is_array(list) || json_array_size(list) > max)
		return bad(err, key);
	*ret = calloc(json_array_size(list) + 1, element);
	*ret_n = (uint32_t)json_array_size(list);
	return *ret ? 0 : mb_fail_mem(err, "an execution");
}

static void json_unref(json_t **j)
{
	json_decref(*j);
}

static int read_lists(struct mb_execution *x, const json_t *json, struct mb_err *err)
{
	mb_cleanup(json_unref) json_t *index = json_object(); /* hosts by name */
	const json_t *hosts = json_object_get(json, "hosts"),
		     *moves = json_object_get(json, "moves");
	int r = index ? 0 : mb_fail_mem(err, "an execution");

	for (uint32_t h = 0; h < x->n_hosts && r == 0; h++) {
		const json_t *host = json_array_get(hosts, h);

		if ((r = get_name(host, "name", x->hosts[h].name, err)) == 0)
			r = get_fields(host, host_fields, &x->hosts[h], err);
		if (r == 0 && json_object_get(index, x->hosts[h].name))
			r = mb_fail(err, EINVAL, "\"name\": there is another one");
		if (r == 0 && json_object_set_new(index, x->hosts[h].name, json_integer(h)) < 0)
			r = mb_fail_mem(err, "an execution");
		if (r < 0)
			return mb_fail_in(err, r, "hosts[%u]", h);
	}
	for (uint32_t i = 0; i < x->n_moves && r == 0; i++) {
		r = get_move(json_array_get(moves, i), index, &x->moves[i], err);
		if (r < 0)
			return mb_fail_in(err, r, "moves[%u]", i);
	}
	return r;
}

int mb_execution_from_json(struct mb_execution *ret, const json_t *json, struct mb_err *err)
{
	void *hosts = NULL, *moves = NULL;
	int r;

	*ret = (struct mb_execution){ 0 };
	r = get_list(json, "hosts", HOSTS_MAX, sizeof(*ret->hosts), &hosts, &ret->n_hosts, err);
	ret->hosts = hosts;
	if (r == 0)
		r = get_list(json, "moves", MB_EXECUTION_MOVES_MAX, sizeof(*ret->moves), &moves,
			     &ret->n_moves, err);
	ret->moves = moves;
	if (r == 0)
		r = get_fields(json, execution_fields, ret, err);
	if (r == 0 && ((r = get_fields(json_object_get(json, "options"), option_fields,
				       &ret->options, err)) < 0 ||
		       (r = mb_execution_options_check(&ret->options, err)) < 0))
		mb_fail_in(err, r, "options");
	if (r == 0)
		r = read_lists(ret, json, err);
	if (r == 0)
		r = mb_execution_derive(ret, err);
	if (r < 0)
		mb_execution_deinit(ret);
	return r;
}
