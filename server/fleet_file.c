// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fleet_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/msg.h"
#include "server/fleet_check.h"
#include "server/json_doc.h"
#include "server/names.h"

/* Caps a load times its unit far below 2^63. */
#define LOAD_MAX 1e9

enum kind { NAME, TRACE, WHOLE, SCALED, LOAD, YES_OR_NO, STATE, HOST, KIND, VMS };

/* A key of an object, and where its value goes. */
struct field {
	const char *key;
	enum kind kind;
	bool required;
	size_t offset;
	uint64_t min;
	double scale;	  /* from the file's unit to the field's */
	const char *what; /* whose name it is */
};

#define FIELD(type, key, member, ...)                                                              \
	{                                                                                          \
		key, __VA_ARGS__, .offset = offsetof(struct mb_fleet_file_##type, member)          \
	}

static const struct field host_fields[] = {
	FIELD(host, "name", name, NAME, true, .what = "host"),
	FIELD(host, "memory_mb", memory_mb, WHOLE, true, .min = 1),
	FIELD(host, "reserve_mb", reserve_mb, WHOLE, false),
	FIELD(host, "cpu_millicores", capacity[MB_CPU_MILLICORES], SCALED, false, .scale = 1),
	FIELD(host, "network_mbit_s", capacity[MB_NETWORK_KBIT_S], SCALED, false, .scale = 1000),
	FIELD(host, "disk_mb_s", capacity[MB_DISK_KB_S], SCALED, false, .scale = 1024),
	FIELD(host, "state", state, STATE, false),
	FIELD(host, "trust_domain", trust_domain, NAME, false, .what = "trust domain"),
	FIELD(host, "free_mb", free_mb, WHOLE, false),
	{ 0 },
};

static const struct field vm_fields[] = {
	FIELD(vm, "name", name, NAME, true, .what = "VM"),
	FIELD(vm, "memory_mb", memory_mb, WHOLE, true, .min = 1),
	FIELD(vm, "trace", trace, TRACE, false),
	FIELD(vm, "host", host, HOST, false),
	FIELD(vm, "pinned", pinned, YES_OR_NO, false),
	FIELD(vm, "tenant", tenant, NAME, false, .what = "tenant"),
	FIELD(vm, "trust_domain", trust_domain, NAME, false, .what = "trust domain"),
	FIELD(vm, "cpu_millicores", load[MB_CPU_MILLICORES], LOAD, false, .scale = 1),
	FIELD(vm, "network_mbit_s", load[MB_NETWORK_KBIT_S], LOAD, false, .scale = 1000),
	FIELD(vm, "disk_mb_s", load[MB_DISK_KB_S], LOAD, false, .scale = 1024),
	FIELD(vm, "dirty_mb_s", dirty_kb_s, SCALED, false, .scale = 1024),
	FIELD(vm, "swap_pages_s", swap_pages_s, WHOLE, false),
	FIELD(vm, "stall_percent", stall_percent, WHOLE, false),
	{ 0 },
};

static const struct field rule_fields[] = {
	FIELD(rule, "name", name, NAME, true, .what = "rule"),
	FIELD(rule, "kind", kind, KIND, true),
	FIELD(rule, "vms", vms, VMS, true),
	{ 0 },
};

static const struct field load_fields[] = {
	FIELD(load, "mean", mean, SCALED, true, .scale = 1),
	FIELD(load, "peak", peak, SCALED, true, .scale = 1),
	{ 0 },
};

enum { KEYS_MAX = 16 };

struct parser {
	struct mb_fleet_file *file;
	const char *folder;
	struct mb_names hosts, vms, rules;
};

static void parser_deinit(struct parser *p)
{
	mb_names_deinit(&p->hosts);
	mb_names_deinit(&p->vms);
	mb_names_deinit(&p->rules);
}

/* Tenants and trust domains have names, too. */
static int read_name(const struct mb_json_at *at, const struct field *f, char **ret,
		     struct mb_err *err)
{
	const char *text = NULL;
	struct mb_err why;
	int r = mb_json_text(at, f->key, &text, err);

	if (r < 0 || !text)
		return r;
	if (mb_name_check(text, f->what, &why) < 0)
		return mb_json_fail(at, f->key, err, "%s", why.text);
	*ret = strdup(text);
	return *ret ? 0 : mb_fail_mem(err, "a name");
}

static int read_trace(struct parser *p, const struct mb_json_at *at, const char *key, char **ret,
		      struct mb_err *err)
{
	const char *text = NULL;
	int r = mb_json_text(at, key, &text, err);
	bool join = text && *p->folder && *text != '/';

	if (r < 0 || !text)
		return r;
	if (asprintf(ret, "%s%s%s", join ? p->folder : "", join ? "/" : "", text) >= 0)
		return 0;
	*ret = NULL;
	return mb_fail_mem(err, "a path");
}

static int read_choice(const struct mb_json_at *at, const char *key, const char *const *words,
		       size_t n, int *ret, struct mb_err *err)
{
	const char *text = NULL;
	char all[64] = "";
	int r = mb_json_text(at, key, &text, err);

	if (r < 0 || !text)
		return r;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(all);

		if (strcmp(words[i], text) == 0) {
			*ret = (int)i;
			return 0;
		}
		snprintf(all + len, sizeof(all) - len, "%s\"%s\"", i ? ", " : "", words[i]);
	}
	return mb_json_fail(at, key, err, "none of %s", all);
}

static int read_host(struct parser *p, const struct mb_json_at *at, const char *key, uint32_t *ret,
		     struct mb_err *err)
{
	const char *text = NULL;
	struct mb_err why;
	int r = mb_json_text(at, key, &text, err);

	if (r < 0 || !text)
		return r;
	*ret = mb_names_find(&p->hosts, text);
	if (*ret != MB_NO_NAME)
		return 0;
	if (mb_name_check(text, "host", &why) < 0)
		return mb_json_fail(at, key, err, "%s", why.text);
	return mb_json_fail(at, key, err, "no host \"%s\"", text);
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int read_rule_vm(struct parser *p, const struct mb_json_at *at, uint32_t *ret,
			struct mb_err *err)
{
	const char *name = json_string_value(at->value);
	struct mb_err why;

	if (!name || mb_name_check(name, "VM", &why) < 0)
		return mb_json_fail(at, NULL, err, "%s", name ? why.text : "not the name of a VM");
	*ret = mb_names_find(&p->vms, name);
	if (*ret == MB_NO_NAME)
		return mb_json_fail(at, NULL, err, "no VM \"%s\" in this file", name);
	return 0;
}

static int read_vms(struct parser *p, const struct mb_json_at *at, const char *key,
		    struct mb_fleet_file_rule *rule, struct mb_err *err)
{
	struct mb_json_at list = { 0 }, one;
	int r = mb_json_list(at, key, MB_FLEET_VMS_MAX, &list, err);
	size_t n = json_array_size(list.value);

	if (r < 0 || !list.value)
		return r;
	if (n < 2)
		return mb_json_fail(at, key, err, "a rule is about two VMs at least");
	rule->vms = calloc(n, sizeof(*rule->vms));
	if (!rule->vms)
		return mb_fail_mem(err, "a rule");
	for (size_t i = 0; i < n; i++) {
		mb_json_element(&list, i, &one);
		r = read_rule_vm(p, &one, &rule->vms[i], err);
		if (r < 0)
			return r;
	}
	rule->n_vms = (uint32_t)n;
	qsort(rule->vms, n, sizeof(*rule->vms), compare_u32);
	for (size_t i = 1; i < n; i++)
		if (rule->vms[i - 1] == rule->vms[i])
			return mb_json_fail(at, key, err, "VM \"%s\" is in it twice",
					    p->file->vms[rule->vms[i]].name);
	return 0;
}

static int read_fields(struct parser *p, const struct mb_json_at *at, const struct field *fields,
		       void *object, double scale, struct mb_err *err);

/* A number, which is mean and peak, or both apart. */
static int read_load(struct parser *p, const struct mb_json_at *at, const struct field *f,
		     struct mb_fleet_file_load *ret, struct mb_err *err)
{
	struct mb_json_at both;
	int r;

	if (!json_is_object(json_object_get(at->value, f->key))) {
		r = mb_json_scaled(at, f->key, LOAD_MAX, f->scale, &ret->mean, err);
		ret->peak = ret->mean;
		return r;
	}
	mb_json_member(at, f->key, &both);
	r = read_fields(p, &both, load_fields, ret, f->scale, err);
	if (r == 0 && ret->mean > ret->peak)
		return mb_json_fail(&both, NULL, err, "the mean is above the peak");
	return r;
}

static int read_field(struct parser *p, const struct mb_json_at *at, const struct field *f,
		      void *object, double scale, struct mb_err *err)
{
	static const char *const states[] = { "active", "maintenance", "pool" };
	static const char *const kinds[] = { "together", "apart" };
	void *to = (char *)object + f->offset;
	int choice = 0, r;

	_Static_assert(MB_HOST_POOL == 2 && MB_RULE_APART == 1, "by number");
	switch (f->kind) {
	case NAME:
		return read_name(at, f, to, err);
	case TRACE:
		return read_trace(p, at, f->key, to, err);
	case WHOLE:
		return mb_json_whole(at, f->key, f->min, MB_FLEET_MEMORY_MB_MAX, to, err);
	case SCALED:
		return mb_json_scaled(at, f->key, LOAD_MAX, scale * f->scale, to, err);
	case LOAD:
		return read_load(p, at, f, to, err);
	case YES_OR_NO:
		return mb_json_bool(at, f->key, to, err);
	case STATE:
		r = read_choice(at, f->key, states, MB_ARRAY_LEN(states), &choice, err);
		*(enum mb_host_state *)to = (enum mb_host_state)choice;
		return r;
	case HOST:
		return read_host(p, at, f->key, to, err);
	case KIND:
		r = read_choice(at, f->key, kinds, MB_ARRAY_LEN(kinds), &choice, err);
		*(enum mb_rule_kind *)to = (enum mb_rule_kind)choice;
		return r;
	case VMS:
		return read_vms(p, at, f->key, object, err);
	}
	return 0;
}

static int read_fields(struct parser *p, const struct mb_json_at *at, const struct field *fields,
		       void *object, double scale, struct mb_err *err)
{
	const char *known[KEYS_MAX + 1] = { 0 };
	int r;

	for (size_t i = 0; i < KEYS_MAX && fields[i].key; i++)
		known[i] = fields[i].key;
	r = mb_json_keys(at, known, err);
	for (const struct field *f = fields; r == 0 && f->key; f++) {
		if (f->required && !json_object_get(at->value, f->key))
			return mb_json_missing(at, f->key, err);
		r = read_field(p, at, f, object, scale, err);
	}
	return r;
}

/* Each name once per list. */
static int note_name(const struct mb_json_at *at, struct mb_names *names, const char *list,
		     const char *name, uint32_t i, struct mb_err *err)
{
	uint32_t first = mb_names_put(names, name, i);

	if (first == i)
		return 0;
	return mb_json_fail(at, "name", err, "\"%s\" is %s[%" PRIu32 "] already", name, list,
			    first);
}

static int read_hosts(struct parser *p, const struct mb_json_at *list, struct mb_err *err)
{
	size_t n = json_array_size(list->value);
	struct mb_fleet_file *f = p->file;
	int r = mb_names_init(&p->hosts, n, err);
	struct mb_json_at at;

	f->hosts = calloc(n + 1, sizeof(*f->hosts));
	if (r == 0 && !f->hosts)
		r = mb_fail_mem(err, "a fleet");
	while (r == 0 && f->n_hosts < n) {
		uint32_t i = f->n_hosts++;

		f->hosts[i].free_mb = UINT64_MAX;
		mb_json_element(list, i, &at);
		r = read_fields(p, &at, host_fields, &f->hosts[i], 1, err);
		if (r == 0)
			r = note_name(&at, &p->hosts, "hosts", f->hosts[i].name, i, err);
	}
	return r;
}

static int read_vm_list(struct parser *p, const struct mb_json_at *list, struct mb_err *err)
{
	size_t n = json_array_size(list->value);
	struct mb_fleet_file *f = p->file;
	int r = mb_names_init(&p->vms, n, err);
	struct mb_json_at at;

	f->vms = calloc(n + 1, sizeof(*f->vms));
	if (r == 0 && !f->vms)
		r = mb_fail_mem(err, "a fleet");
	while (r == 0 && f->n_vms < n) {
		uint32_t i = f->n_vms++;

		f->vms[i].host = MB_NOWHERE;
		mb_json_element(list, i, &at);
		r = read_fields(p, &at, vm_fields, &f->vms[i], 1, err);
		if (r == 0)
			r = note_name(&at, &p->vms, "vms", f->vms[i].name, i, err);
	}
	return r;
}

static int read_rules(struct parser *p, const struct mb_json_at *list, struct mb_err *err)
{
	size_t n = json_array_size(list->value);
	struct mb_fleet_file *f = p->file;
	int r = mb_names_init(&p->rules, n, err);
	struct mb_json_at at;

	f->rules = calloc(n + 1, sizeof(*f->rules));
	if (r == 0 && !f->rules)
		r = mb_fail_mem(err, "a fleet");
	while (r == 0 && f->n_rules < n) {
		uint32_t i = f->n_rules++;

		mb_json_element(list, i, &at);
		r = read_fields(p, &at, rule_fields, &f->rules[i], 1, err);
		if (r == 0)
			r = note_name(&at, &p->rules, "rules", f->rules[i].name, i, err);
	}
	return r;
}

static int read_options(const struct mb_json_at *root, struct mb_fleet_options *o,
			struct mb_err *err)
{
	const char *known[MB_OPTIONS + 1] = { 0 };
	struct mb_json_at at;
	int r;

	if (!json_object_get(root->value, "options"))
		return 0;
	mb_json_member(root, "options", &at);
	for (int i = 0; i < MB_OPTIONS; i++)
		known[i] = mb_option_infos[i].name;
	r = mb_json_keys(&at, known, err);
	for (int i = 0; i < MB_OPTIONS && r == 0; i++) {
		const struct mb_option_info *info = &mb_option_infos[i];
		bool yes = o->value[i];

		if (!info->flag) {
			r = mb_json_whole(&at, info->name, info->min, info->max, &o->value[i], err);
			continue;
		}
		r = mb_json_bool(&at, info->name, &yes, err);
		o->value[i] = yes;
	}
	return r;
}

static int parse(const struct mb_json_doc *doc, const char *folder, struct mb_fleet_file *ret,
		 struct mb_err *err)
{
	static const char *const known[] = { "hosts", "vms", "rules", "options", NULL };
	mb_cleanup(parser_deinit) struct parser p = { .file = ret, .folder = folder };
	struct mb_json_at root = { .doc = doc, .value = doc->root };
	struct mb_json_at hosts = { 0 }, vms = { 0 }, rules = { 0 };
	int r = mb_json_keys(&root, known, err);

	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++)
		if (!json_object_get(doc->root, known[i]))
			return mb_json_missing(&root, known[i], err);
	if ((r = mb_json_list(&root, "hosts", MB_FLEET_HOSTS_MAX, &hosts, err)) < 0 ||
	    (r = mb_json_list(&root, "vms", MB_FLEET_VMS_MAX, &vms, err)) < 0 ||
	    (r = mb_json_list(&root, "rules", MB_FLEET_RULES_MAX, &rules, err)) < 0 ||
	    (r = read_hosts(&p, &hosts, err)) < 0 || (r = read_vm_list(&p, &vms, err)) < 0 ||
	    (r = read_rules(&p, &rules, err)) < 0 ||
	    (r = read_options(&root, &ret->options, err)) < 0)
		return r;
	return mb_fleet_check(doc, ret, err);
}

void mb_fleet_file_init(struct mb_fleet_file *f)
{
	*f = (struct mb_fleet_file){ 0 };
	mb_fleet_options_init(&f->options);
}

int mb_fleet_file_parse(const char *text, size_t n, const char *folder, struct mb_fleet_file *ret,
			struct mb_err *err)
{
	mb_cleanup(mb_json_close) struct mb_json_doc doc = { 0 };
	int r;

	mb_fleet_file_init(ret);
	r = mb_json_open(text, n, &doc, err);
	if (r < 0)
		return r;
	r = parse(&doc, folder, ret, err);
	if (r < 0)
		mb_fleet_file_deinit(ret);
	return r;
}

int mb_fleet_file_read(const char *path, struct mb_fleet_file *ret, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };
	mb_autofree char *folder = NULL;
	const char *slash = strrchr(path, '/');
	int r;

	mb_fleet_file_init(ret);
	/* "/fleet.json": its folder is "/", which must not become "". */
	folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup("");
	if (!folder)
		return mb_fail_mem(err, "a path");
	r = mb_file_read(path, MB_FLEET_FILE_BYTES_MAX, &text, err);
	if (r < 0)
		return r;
	r = mb_fleet_file_parse((const char *)text.data, text.len, folder, ret, err);
	return r < 0 ? mb_fail_in(err, r, "%s", path) : 0;
}

void mb_fleet_file_deinit(struct mb_fleet_file *f)
{
	for (uint32_t i = 0; i < f->n_hosts; i++) {
		free(f->hosts[i].name);
		free(f->hosts[i].trust_domain);
	}
	for (uint32_t i = 0; i < f->n_vms; i++) {
		free(f->vms[i].name);
		free(f->vms[i].trace);
		free(f->vms[i].tenant);
		free(f->vms[i].trust_domain);
	}
	for (uint32_t i = 0; i < f->n_rules; i++) {
		free(f->rules[i].name);
		free(f->rules[i].vms);
	}
	free(f->hosts);
	free(f->vms);
	free(f->rules);
	mb_fleet_file_init(f);
}

const char *mb_fleet_file_key(const char *list, size_t i)
{
	const struct field *fields = strcmp(list, "hosts") == 0 ? host_fields :
				     strcmp(list, "vms") == 0	? vm_fields :
								  rule_fields;

	if (strcmp(list, "options") == 0)
		return i < MB_OPTIONS ? mb_option_infos[i].name : NULL;
	for (size_t k = 0; k < i; k++)
		if (!fields[k].key)
			return NULL;
	return fields[i].key;
}
