// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fleet_file.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/msg.h"

/* An object of the document, and how errors call it: "hosts[2]". */
struct place {
	json_t *object;
	char name[32];
};

struct named {
	const char *name;
	uint32_t index;
};

static void json_unref(json_t **j)
{
	json_decref(*j);
}

static int check_keys(const struct place *at, const char *const *known, struct mb_err *err)
{
	const char *sep = *at->name ? ": " : "";
	char shown[48];
	const char *key;
	json_t *value;
	size_t i;

	if (!json_is_object(at->object))
		return mb_fail(err, EINVAL, "%s%snot an object", at->name, sep);
	json_object_foreach(at->object, key, value)
	{
		for (i = 0; known[i] && strcmp(known[i], key) != 0;)
			i++;
		if (known[i])
			continue;
		for (i = 0; key[i] && i < sizeof(shown) - 1; i++)
			shown[i] = isprint((unsigned char)key[i]) ? key[i] : '?';
		shown[i] = 0;
		return mb_fail(err, EINVAL, "%s%sunknown key \"%s\"", at->name, sep, shown);
	}
	return 0;
}

static int missing(const struct place *at, const char *key, struct mb_err *err)
{
	return mb_fail(err, EINVAL, "%s%sno \"%s\"", at->name, *at->name ? ": " : "", key);
}

static int get_list(const struct place *at, const char *key, size_t max, const json_t **ret,
		    struct mb_err *err)
{
	*ret = json_object_get(at->object, key);
	if (!*ret)
		return missing(at, key, err);
	if (!json_is_array(*ret))
		return mb_fail(err, EINVAL, "%s: not a list", key);
	if (json_array_size(*ret) > max)
		return mb_fail(err, EINVAL, "%s: %zu of them; %zu are allowed", key,
			       json_array_size(*ret), max);
	return 0;
}

/* *ret is NULL where an optional key is missing. */
static int get_text(const struct place *at, const char *key, bool required, const char **ret,
		    struct mb_err *err)
{
	const json_t *v = json_object_get(at->object, key);

	*ret = NULL;
	if (!v)
		return required ? missing(at, key, err) : 0;
	if (!json_is_string(v) || !json_string_length(v))
		return mb_fail(err, EINVAL, "%s.%s: not a text of at least one character", at->name,
			       key);
	*ret = json_string_value(v);
	return 0;
}

static int get_name(const struct place *at, const char *what, char **ret, struct mb_err *err)
{
	const char *name;
	int r = get_text(at, "name", true, &name, err);

	if (r < 0)
		return r;
	r = mb_name_check(name, what, err);
	if (r < 0)
		return mb_fail_in(err, r, "%s.name", at->name);
	*ret = strdup(name);
	return *ret ? 0 : mb_fail_mem(err, "a name");
}

static int get_memory(const struct place *at, uint64_t *ret, struct mb_err *err)
{
	const json_t *v = json_object_get(at->object, "memory_mb");

	if (!v)
		return missing(at, "memory_mb", err);
	if (!json_is_integer(v) || json_integer_value(v) < 1 ||
	    (uint64_t)json_integer_value(v) > MB_FLEET_MEMORY_MB_MAX)
		return mb_fail(err, EINVAL, "%s.memory_mb: not a whole number from 1 to %" PRIu64,
			       at->name, MB_FLEET_MEMORY_MB_MAX);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int named_compare(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : (x->index > y->index) - (x->index < y->index);
}

/* Sorts; fails for two of one name. */
static int index_names(const char *list, struct named *names, size_t n, struct mb_err *err)
{
	qsort(names, n, sizeof(*names), named_compare);
	for (size_t i = 1; i < n; i++)
		if (strcmp(names[i - 1].name, names[i].name) == 0)
			return mb_fail(err, EINVAL,
				       "%s[%" PRIu32 "].name: \"%s\" is %s[%" PRIu32 "] already",
				       list, names[i].index, names[i].name, list,
				       names[i - 1].index);
	return 0;
}

static int parse_host(const struct place *at, struct mb_fleet_file_host *host, struct mb_err *err)
{
	static const char *const known[] = { "name", "memory_mb", NULL };
	int r = check_keys(at, known, err);

	if (r == 0)
		r = get_name(at, "host", &host->name, err);
	if (r == 0)
		r = get_memory(at, &host->memory_mb, err);
	return r;
}

static int parse_vm(const struct place *at, const char *folder, const struct named *hosts,
		    size_t n_hosts, struct mb_fleet_file_vm *vm, struct mb_err *err)
{
	static const char *const known[] = { "name", "memory_mb", "trace", "host", NULL };
	const char *trace, *host;
	int r = check_keys(at, known, err);

	if (r < 0 || (r = get_name(at, "VM", &vm->name, err)) < 0 ||
	    (r = get_memory(at, &vm->memory_mb, err)) < 0 ||
	    (r = get_text(at, "trace", false, &trace, err)) < 0 ||
	    (r = get_text(at, "host", false, &host, err)) < 0)
		return r;
	if (trace) {
		bool join = *folder && *trace != '/';

		if (asprintf(&vm->trace, "%s%s%s", join ? folder : "", join ? "/" : "", trace) <
		    0) {
			vm->trace = NULL;
			return mb_fail_mem(err, "a path");
		}
	}
	vm->host = MB_NOWHERE;
	if (host) {
		const struct named *found = NULL;
		size_t first = 0, n = n_hosts;

		while (n && !found) {
			int c = strcmp(host, hosts[first + n / 2].name);

			if (c == 0)
				found = &hosts[first + n / 2];
			first += c > 0 ? n / 2 + 1 : 0;
			n = c > 0 ? n - n / 2 - 1 : n / 2;
		}
		if (!found && (r = mb_name_check(host, "host", err)) < 0)
			return mb_fail_in(err, r, "%s.host", at->name);
		if (!found)
			return mb_fail(err, EINVAL, "%s.host: no host \"%s\"", at->name, host);
		vm->host = found->index;
	}
	return 0;
}

static int parse_lists(const json_t *hosts, const json_t *vms, const char *folder,
		       struct mb_fleet_file *f, struct mb_err *err)
{
	size_t n_hosts = json_array_size(hosts), n_vms = json_array_size(vms);
	mb_autofree struct named *host_names = calloc(n_hosts + 1, sizeof(*host_names));
	mb_autofree struct named *vm_names = calloc(n_vms + 1, sizeof(*vm_names));
	struct place at;
	int r;

	f->hosts = calloc(n_hosts + 1, sizeof(*f->hosts));
	f->vms = calloc(n_vms + 1, sizeof(*f->vms));
	if (!host_names || !vm_names || !f->hosts || !f->vms)
		return mb_fail_mem(err, "a fleet");
	for (size_t i = 0; i < n_hosts; i++) {
		at.object = json_array_get(hosts, i);
		snprintf(at.name, sizeof(at.name), "hosts[%zu]", i);
		f->n_hosts++;
		r = parse_host(&at, &f->hosts[i], err);
		if (r < 0)
			return r;
		host_names[i] = (struct named){ f->hosts[i].name, (uint32_t)i };
	}
	r = index_names("hosts", host_names, n_hosts, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_vms; i++) {
		at.object = json_array_get(vms, i);
		snprintf(at.name, sizeof(at.name), "vms[%zu]", i);
		f->n_vms++;
		r = parse_vm(&at, folder, host_names, n_hosts, &f->vms[i], err);
		if (r < 0)
			return r;
		vm_names[i] = (struct named){ f->vms[i].name, (uint32_t)i };
	}
	return index_names("vms", vm_names, n_vms, err);
}

int mb_fleet_file_parse(const char *text, size_t n, const char *folder, struct mb_fleet_file *ret,
			struct mb_err *err)
{
	static const char *const known[] = { "hosts", "vms", NULL };
	const json_t *hosts, *vms;
	json_error_t where;
	mb_cleanup(json_unref) json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
	struct place at = { root, "" };
	int r;

	*ret = (struct mb_fleet_file){ 0 };
	if (!root)
		return mb_fail(err, EINVAL, "line %d, column %d: %s", where.line, where.column,
			       where.text);
	if ((r = check_keys(&at, known, err)) < 0 ||
	    (r = get_list(&at, "hosts", MB_FLEET_HOSTS_MAX, &hosts, err)) < 0 ||
	    (r = get_list(&at, "vms", MB_FLEET_VMS_MAX, &vms, err)) < 0)
		return r;
	r = parse_lists(hosts, vms, folder, ret, err);
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

	*ret = (struct mb_fleet_file){ 0 };
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
	for (uint32_t i = 0; i < f->n_hosts; i++)
		free(f->hosts[i].name);
	for (uint32_t i = 0; i < f->n_vms; i++) {
		free(f->vms[i].name);
		free(f->vms[i].trace);
	}
	free(f->hosts);
	free(f->vms);
	*f = (struct mb_fleet_file){ 0 };
}
