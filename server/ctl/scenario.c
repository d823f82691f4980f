// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/scenario.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/msg.h"

/* An object of the document, and how errors call it: "types[2]". */
struct place {
	const json_t *object;
	char name[32];
};

static const char *dot(const struct place *at)
{
	return *at->name ? "." : "";
}

static int check_keys(const struct place *at, const char *const *known, struct mb_err *err)
{
	const char *sep = *at->name ? ": " : "";
	char shown[48];
	void *i;

	if (!json_is_object(at->object))
		return mb_fail(err, EINVAL, "%s%snot an object", at->name, sep);
	for (i = json_object_iter((json_t *)(uintptr_t)at->object); i;
	     i = json_object_iter_next((json_t *)(uintptr_t)at->object, i)) {
		const char *key = json_object_iter_key(i);
		size_t k = 0;

		while (known[k] && strcmp(known[k], key) != 0)
			k++;
		if (known[k])
			continue;
		for (k = 0; key[k] && k < sizeof(shown) - 1; k++)
			shown[k] = isprint((unsigned char)key[k]) ? key[k] : '?';
		shown[k] = 0;
		return mb_fail(err, EINVAL, "%s%sunknown key \"%s\"", at->name, sep, shown);
	}
	return 0;
}

/* An object in the document's root; an empty one where it is missing. */
static int enter(const struct place *root, const char *key, struct place *ret,
		 const char *const *known, struct mb_err *err)
{
	ret->object = json_object_get(root->object, key);
	snprintf(ret->name, sizeof(ret->name), "%s", key);
	return ret->object ? check_keys(ret, known, err) : 0;
}

struct range {
	uint64_t min, max;
};

/* A missing key leaves *ret as it is, unless it is required. */
static int get_u64(const struct place *at, const char *key, bool required, struct range in,
		   uint64_t *ret, struct mb_err *err)
{
	const json_t *v = json_object_get(at->object, key);

	if (!v && !required)
		return 0;
	if (!v)
		return mb_fail(err, EINVAL, "%s%sno \"%s\"", at->name, *at->name ? ": " : "", key);
	if (!json_is_integer(v) || json_integer_value(v) < (json_int_t)in.min ||
	    json_integer_value(v) > (json_int_t)in.max)
		return mb_fail(err, EINVAL,
			       "%s%s%s: not a whole number from %" PRIu64 " to %" PRIu64, at->name,
			       dot(at), key, in.min, in.max);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int get_u32(const struct place *at, const char *key, bool required, struct range in,
		   uint32_t *ret, struct mb_err *err)
{
	uint64_t v = *ret;
	int r = get_u64(at, key, required, in, &v, err);

	*ret = (uint32_t)v;
	return r;
}

static int get_bool(const struct place *at, const char *key, bool *ret, struct mb_err *err)
{
	const json_t *v = json_object_get(at->object, key);

	if (v && !json_is_boolean(v))
		return mb_fail(err, EINVAL, "%s%s%s: neither true nor false", at->name, dot(at),
			       key);
	*ret = v ? json_is_true(v) : *ret;
	return 0;
}

/* *ret is NULL where the key is missing. */
static int get_text(const struct place *at, const char *key, char **ret, struct mb_err *err)
{
	const json_t *v = json_object_get(at->object, key);

	*ret = NULL;
	if (!v)
		return 0;
	if (!json_is_string(v) || !json_string_length(v))
		return mb_fail(err, EINVAL, "%s%s%s: not a text of at least one character",
			       at->name, dot(at), key);
	/* It goes to terminals. */
	for (const char *c = json_string_value(v); *c; c++)
		if (iscntrl((unsigned char)*c))
			return mb_fail(err, EINVAL, "%s%s%s: has a control character", at->name,
				       dot(at), key);
	*ret = strdup(json_string_value(v));
	return *ret ? 0 : mb_fail_mem(err, "a scenario");
}

static int get_list(const struct place *root, const char *key, size_t max, const json_t **ret,
		    struct mb_err *err)
{
	*ret = json_object_get(root->object, key);
	if (!*ret)
		return mb_fail(err, EINVAL, "no \"%s\"", key);
	if (!json_is_array(*ret) || !json_array_size(*ret))
		return mb_fail(err, EINVAL, "%s: not a list of at least one", key);
	if (json_array_size(*ret) > max)
		return mb_fail(err, EINVAL, "%s: %zu of them; %zu are allowed", key,
			       json_array_size(*ret), max);
	return 0;
}

static int parse_hosts(const struct place *root, struct mb_scenario *s, struct mb_err *err)
{
	static const char *const known[] = { "count", "memory_mb", NULL };
	const json_t *list;
	int r = get_list(root, "hosts", MB_SCENARIO_HOSTS_MAX, &list, err);

	if (r < 0)
		return r;
	s->host_mb = calloc(MB_SCENARIO_HOSTS_MAX, sizeof(*s->host_mb));
	if (!s->host_mb)
		return mb_fail_mem(err, "a scenario");
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct place at = { .object = json_array_get(list, i) };
		uint32_t count = 1;
		uint64_t mb = 0;

		snprintf(at.name, sizeof(at.name), "hosts[%zu]", i);
		if ((r = check_keys(&at, known, err)) < 0 ||
		    (r = get_u32(&at, "count", false, (struct range){ 1, MB_SCENARIO_HOSTS_MAX },
				 &count, err)) < 0 ||
		    (r = get_u64(&at, "memory_mb", true,
				 (struct range){ 1, MB_SCENARIO_MEMORY_MB_MAX }, &mb, err)) < 0)
			return r;
		if (count > MB_SCENARIO_HOSTS_MAX - s->n_hosts)
			return mb_fail(err, EINVAL, "%s.count: more than %d hosts in all", at.name,
				       MB_SCENARIO_HOSTS_MAX);
		while (count--)
			s->host_mb[s->n_hosts++] = mb;
	}
	return 0;
}

static int join(const char *folder, char **path, struct mb_err *err)
{
	char *joined = NULL;

	if (!*path || !*folder || **path == '/')
		return 0;
	if (asprintf(&joined, "%s/%s", folder, *path) < 0)
		return mb_fail_mem(err, "a path");
	free(*path);
	*path = joined;
	return 0;
}

/* What VMs of a type have in common is made of the parts that the keys name. */
static int check_shares(const struct place *at, const struct mb_scenario_type *t,
			struct mb_err *err)
{
	if (t->data_percent > t->share_percent)
		return mb_fail(err, EINVAL, "%s.data_percent: %u, a part of share_percent, %u",
			       at->name, t->data_percent, t->share_percent);
	if (t->share_percent + t->self_percent > 100)
		return mb_fail(err, EINVAL, "%s.self_percent: %u, and share_percent is %u",
			       at->name, t->self_percent, t->share_percent);
	if (t->data_sets && !t->data_percent)
		return mb_fail(err, EINVAL, "%s.data_sets: without data_percent", at->name);
	return 0;
}

static int parse_type(struct place *at, const char *folder, struct mb_scenario_type *t,
		      struct mb_err *err)
{
	static const char *const synthetic[] = {
		"name",		"memory_mb", "share_percent", "data_percent", "data_sets",
		"self_percent", NULL
	};
	static const char *const recorded[] = { "name", "memory_mb", "trace", NULL };
	const struct range percent = { 0, 100 };
	bool trace = json_object_get(at->object, "trace") != NULL;
	int r;

	if ((r = check_keys(at, trace ? recorded : synthetic, err)) < 0 ||
	    (r = get_text(at, "name", &t->name, err)) < 0)
		return r;
	if (!t->name)
		return mb_fail(err, EINVAL, "%s: no \"name\"", at->name);
	if (mb_name_check(t->name, "type", err) < 0)
		return mb_fail_in(err, -EINVAL, "%s.name", at->name);
	if ((r = get_u64(at, "memory_mb", !trace, (struct range){ 1, MB_SCENARIO_MEMORY_MB_MAX },
			 &t->memory_mb, err)) < 0 ||
	    (r = get_text(at, "trace", &t->trace, err)) < 0 ||
	    (r = join(folder, &t->trace, err)) < 0 ||
	    (r = get_u32(at, "share_percent", !trace, percent, &t->share_percent, err)) < 0 ||
	    (r = get_u32(at, "data_percent", false, percent, &t->data_percent, err)) < 0 ||
	    (r = get_u32(at, "self_percent", false, percent, &t->self_percent, err)) < 0 ||
	    (r = get_u32(at, "data_sets", false, (struct range){ 1, MB_SCENARIO_DATA_SETS_MAX },
			 &t->data_sets, err)) < 0)
		return r;
	r = check_shares(at, t, err);
	if (t->data_percent && !t->data_sets)
		t->data_sets = 1;
	return r;
}

static int parse_types(const struct place *root, const char *folder, struct mb_scenario *s,
		       struct mb_err *err)
{
	const json_t *list;
	int r = get_list(root, "types", MB_SCENARIO_TYPES_MAX, &list, err);

	if (r < 0)
		return r;
	s->types = calloc(json_array_size(list), sizeof(*s->types));
	if (!s->types)
		return mb_fail_mem(err, "a scenario");
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct place at = { .object = json_array_get(list, i) };
		struct mb_scenario_type *t = &s->types[s->n_types++];

		snprintf(at.name, sizeof(at.name), "types[%zu]", i);
		r = parse_type(&at, folder, t, err);
		if (r < 0)
			return r;
		for (size_t k = 0; k < i; k++)
			if (strcmp(s->types[k].name, t->name) == 0)
				return mb_fail(err, EINVAL, "%s.name: \"%s\" is types[%zu] already",
					       at.name, t->name, k);
		if (!t->trace != !s->types[0].trace)
			return mb_fail(err, EINVAL,
				       "%s: all types have a trace, or none; types[0] has %s",
				       at.name, s->types[0].trace ? "one" : "none");
	}
	return 0;
}

/* The pages that VMs of all types have: a part of what those of the least sharing type do. */
static int parse_common(const struct place *root, struct mb_scenario *s, struct mb_err *err)
{
	uint64_t smallest_mb = UINT64_MAX;
	int r = get_u32(root, "common_percent", false, (struct range){ 0, 100 }, &s->common_percent,
			err);

	if (r < 0)
		return r;
	if (s->types[0].trace && json_object_get(root->object, "common_percent"))
		return mb_fail(err, EINVAL, "common_percent: traces have in common what they have");
	for (uint32_t i = 0; i < s->n_types; i++)
		smallest_mb = MB_MIN(smallest_mb, s->types[i].memory_mb);
	for (uint32_t i = 0; i < s->n_types; i++) {
		const struct mb_scenario_type *t = &s->types[i];

		if (smallest_mb * s->common_percent >
		    t->memory_mb * (t->share_percent - t->data_percent))
			return mb_fail(err, EINVAL,
				       "common_percent: %u; two VMs of type \"%s\" share less "
				       "beside data",
				       s->common_percent, t->name);
	}
	return 0;
}

static int parse_arrivals(const struct place *root, struct mb_scenario *s, struct mb_err *err)
{
	static const char *const known[] = { "count", "order", "start", NULL };
	struct place at;
	char *order = NULL;
	int r;

	s->n_vms = s->n_types;
	if ((r = enter(root, "arrivals", &at, known, err)) < 0 ||
	    (r = get_u32(&at, "count", !s->types[0].trace, (struct range){ 1, MB_SCENARIO_VMS_MAX },
			 &s->n_vms, err)) < 0 ||
	    (r = get_u32(&at, "start", false, (struct range){ 0, s->n_vms }, &s->rules.n_start,
			 err)) < 0 ||
	    (r = get_text(&at, "order", &order, err)) < 0)
		return r;
	s->random_order = order && strcmp(order, "random") == 0;
	if (order && !s->random_order && strcmp(order, "in turn") != 0)
		r = mb_fail(err, EINVAL, "arrivals.order: neither \"in turn\" nor \"random\"");
	else if ((uint64_t)s->n_vms * s->n_hosts > MB_SCENARIO_CELLS_MAX)
		r = mb_fail(err, EINVAL, "arrivals.count: %u VMs times %u hosts; %d are allowed",
			    s->n_vms, s->n_hosts, MB_SCENARIO_CELLS_MAX);
	free(order);
	return r;
}

static int parse_options(const struct place *root, struct mb_scenario *s, struct mb_err *err)
{
	static const char *const known[] = { "overcommit_percent", "count_sharing_percent",
					     "arrive_merged", "make_room", NULL };
	struct place at;
	int r;

	s->options.count_sharing_percent = 100;
	if ((r = enter(root, "options", &at, known, err)) < 0 ||
	    (r = get_u32(&at, "overcommit_percent", false, (struct range){ 0, 1000 },
			 &s->options.overcommit_percent, err)) < 0 ||
	    (r = get_u32(&at, "count_sharing_percent", false, (struct range){ 0, 100 },
			 &s->options.count_sharing_percent, err)) < 0 ||
	    (r = get_bool(&at, "arrive_merged", &s->rules.arrive_merged, err)) < 0)
		return r;
	return get_bool(&at, "make_room", &s->rules.make_room, err);
}

static int parse_churn(const struct place *root, struct mb_scenario *s, struct mb_err *err)
{
	static const char *const known[] = { "steps",	       "leave_percent", "change_percent",
					     "arrive_percent", "rebalance",	NULL };
	const struct range percent = { 0, 100 };
	struct mb_sim_rules *rules = &s->rules;
	bool any_data = false;
	struct place at;
	int r = enter(root, "churn", &at, known, err);

	if (r < 0 || !at.object)
		return r;
	if ((r = get_u32(&at, "steps", true, (struct range){ 1, MB_SCENARIO_STEPS_MAX },
			 &rules->n_steps, err)) < 0 ||
	    (r = get_u32(&at, "leave_percent", false, percent, &rules->leave_percent, err)) < 0 ||
	    (r = get_u32(&at, "change_percent", false, percent, &rules->change_percent, err)) < 0 ||
	    (r = get_u32(&at, "arrive_percent", false, percent, &rules->arrive_percent, err)) < 0 ||
	    (r = get_bool(&at, "rebalance", &rules->rebalance, err)) < 0)
		return r;
	for (uint32_t i = 0; i < s->n_types; i++)
		any_data |= s->types[i].data_sets > 1;
	if (rules->change_percent && !any_data)
		return mb_fail(err, EINVAL,
			       "churn.change_percent: no type has several data sets to change");
	return 0;
}

static int parse_published(const struct place *root, struct mb_scenario *s, struct mb_err *err)
{
	static const char *const known[] = { "where", "aware", "oblivious", NULL };
	const struct range any = { 1, UINT32_MAX };
	struct place at;
	int r = enter(root, "published", &at, known, err);

	if (r < 0 || !at.object)
		return r;
	if ((r = get_text(&at, "where", &s->published, err)) < 0 ||
	    (r = get_u32(&at, "aware", true, any, &s->published_aware, err)) < 0 ||
	    (r = get_u32(&at, "oblivious", true, any, &s->published_oblivious, err)) < 0)
		return r;
	return s->published ? 0 : mb_fail(err, EINVAL, "published: no \"where\"");
}

static int parse(const struct place *root, const char *folder, struct mb_scenario *s,
		 struct mb_err *err)
{
	static const char *const known[] = { "note",	       "hosts",	    "types",
					     "common_percent", "arrivals",  "options",
					     "churn",	       "published", NULL };
	int r;

	if ((r = check_keys(root, known, err)) < 0 ||
	    (r = get_text(root, "note", &s->note, err)) < 0 ||
	    (r = parse_hosts(root, s, err)) < 0 || (r = parse_types(root, folder, s, err)) < 0 ||
	    (r = parse_common(root, s, err)) < 0 || (r = parse_arrivals(root, s, err)) < 0 ||
	    (r = parse_options(root, s, err)) < 0 || (r = parse_churn(root, s, err)) < 0)
		return r;
	return parse_published(root, s, err);
}

int mb_scenario_parse(const char *text, size_t n, const char *folder, struct mb_scenario *ret,
		      struct mb_err *err)
{
	json_error_t where;
	json_t *document = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
	struct place root = { .object = document };
	int r;

	*ret = (struct mb_scenario){ .rules = { .seed = 1 } };
	if (!document)
		return mb_fail(err, EINVAL, "line %d, column %d: %s", where.line, where.column,
			       where.text);
	r = parse(&root, folder, ret, err);
	json_decref(document);
	if (r < 0)
		mb_scenario_deinit(ret);
	return r;
}

int mb_scenario_read(const char *path, struct mb_scenario *ret, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };
	const char *slash = strrchr(path, '/');
	/* "/s.json": its folder is "/", which must not become "". */
	mb_autofree char *folder =
		slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup("");
	int r;

	*ret = (struct mb_scenario){ 0 };
	if (!folder)
		return mb_fail_mem(err, "a path");
	r = mb_file_read(path, MB_SCENARIO_BYTES_MAX, &text, err);
	if (r < 0)
		return r;
	r = mb_scenario_parse((const char *)text.data, text.len, folder, ret, err);
	return r < 0 ? mb_fail_in(err, r, "%s", path) : 0;
}

void mb_scenario_deinit(struct mb_scenario *s)
{
	for (uint32_t i = 0; i < s->n_types; i++) {
		free(s->types[i].name);
		free(s->types[i].trace);
	}
	free(s->types);
	free(s->host_mb);
	free(s->note);
	free(s->published);
	*s = (struct mb_scenario){ 0 };
}
