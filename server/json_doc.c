// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/json_doc.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "server/json_line.h"

int mb_json_open(const char *text, size_t n, struct mb_json_doc *ret, struct mb_err *err)
{
	json_error_t where;

	*ret = (struct mb_json_doc){ text, n, json_loadb(text, n, JSON_REJECT_DUPLICATES, &where) };
	if (!ret->root)
		return mb_fail(err, EINVAL, "line %d, column %d: %s", where.line, where.column,
			       where.text);
	return 0;
}

void mb_json_close(struct mb_json_doc *doc)
{
	json_decref(doc->root);
	*doc = (struct mb_json_doc){ 0 };
}

/* `shown` is the part of the place behind the path, `key` the one whose line it is. */
static int fail_at(const struct mb_json_at *at, const char *shown, const char *key,
		   struct mb_err *err)
{
	uint32_t line = mb_json_line(at->doc->text, at->doc->n, at->path, key);

	if (*at->path || *shown)
		mb_fail_in(err, -EINVAL, "%s%s%s", at->path, *at->path && *shown ? "." : "", shown);
	return mb_fail_in(err, -EINVAL, "line %" PRIu32, line);
}

int mb_json_fail(const struct mb_json_at *at, const char *key, struct mb_err *err, const char *fmt,
		 ...)
{
	char words[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	mb_fail(err, EINVAL, "%s", words);
	return fail_at(at, key ? key : "", key, err);
}

int mb_json_keys(const struct mb_json_at *at, const char *const *known, struct mb_err *err)
{
	json_t *object = (json_t *)(uintptr_t)at->value, *value;
	char shown[48];
	const char *key;
	size_t i;

	if (!json_is_object(object))
		return mb_json_fail(at, NULL, err, "not an object");
	json_object_foreach(object, key, value)
	{
		for (i = 0; known[i] && strcmp(known[i], key) != 0;)
			i++;
		if (known[i])
			continue;
		for (i = 0; key[i] && i < sizeof(shown) - 1; i++)
			shown[i] = isprint((unsigned char)key[i]) ? key[i] : '?';
		shown[i] = 0;
		mb_fail(err, EINVAL, "unknown key \"%s\"", shown);
		return fail_at(at, "", key, err);
	}
	return 0;
}

int mb_json_missing(const struct mb_json_at *at, const char *key, struct mb_err *err)
{
	return mb_json_fail(at, NULL, err, "no \"%s\"", key);
}

int mb_json_list(const struct mb_json_at *at, const char *key, size_t max, struct mb_json_at *ret,
		 struct mb_err *err)
{
	const json_t *v = json_object_get(at->value, key);

	if (!v)
		return 0;
	if (!json_is_array(v))
		return mb_json_fail(at, key, err, "not a list");
	if (json_array_size(v) > max)
		return mb_json_fail(at, key, err, "%zu of them; %zu are allowed",
				    json_array_size(v), max);
	mb_json_member(at, key, ret);
	return 0;
}

int mb_json_text(const struct mb_json_at *at, const char *key, const char **ret, struct mb_err *err)
{
	const json_t *v = json_object_get(at->value, key);

	if (!v)
		return 0;
	if (!json_is_string(v) || !json_string_length(v))
		return mb_json_fail(at, key, err, "not a text of at least one character");
	*ret = json_string_value(v);
	return 0;
}

int mb_json_bool(const struct mb_json_at *at, const char *key, bool *ret, struct mb_err *err)
{
	const json_t *v = json_object_get(at->value, key);

	if (!v)
		return 0;
	if (!json_is_boolean(v))
		return mb_json_fail(at, key, err, "neither true nor false");
	*ret = json_is_true(v);
	return 0;
}

int mb_json_whole(const struct mb_json_at *at, const char *key, uint64_t min, uint64_t max,
		  uint64_t *ret, struct mb_err *err)
{
	const json_t *v = json_object_get(at->value, key);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) < min || (uint64_t)json_integer_value(v) > max)
		return mb_json_fail(at, key, err, "not a whole number from %" PRIu64 " to %" PRIu64,
				    min, max);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

int mb_json_scaled(const struct mb_json_at *at, const char *key, double max, double scale,
		   uint64_t *ret, struct mb_err *err)
{
	const json_t *v = json_object_get(at->value, key);

	if (!v)
		return 0;
	if (!json_is_number(v) || !(json_number_value(v) >= 0 && json_number_value(v) <= max))
		return mb_json_fail(at, key, err, "not a number from 0 to %.0f", max);
	*ret = (uint64_t)(json_number_value(v) * scale + .5);
	return 0;
}

void mb_json_element(const struct mb_json_at *list, size_t i, struct mb_json_at *ret)
{
	*ret = (struct mb_json_at){ .doc = list->doc, .value = json_array_get(list->value, i) };
	snprintf(ret->path, sizeof(ret->path), "%.25s[%zu]", list->path, i);
}

void mb_json_member(const struct mb_json_at *at, const char *key, struct mb_json_at *ret)
{
	/* `ret` may be `at`. */
	struct mb_json_at member = { .doc = at->doc, .value = json_object_get(at->value, key) };

	snprintf(member.path, sizeof(member.path), "%.22s%s%.22s", at->path, *at->path ? "." : "",
		 key);
	*ret = member;
}
