// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/json_line.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
	const char *at, *end;
};

static char here(const struct cursor *c)
{
	return c->at < c->end ? *c->at : 0;
}

static void skip_blanks(struct cursor *c)
{
	while (c->at < c->end && strchr(" \t\r\n", *c->at))
		c->at++;
}

/* From its first quote to past its last one. */
static void skip_string(struct cursor *c)
{
	for (c->at++; c->at < c->end && *c->at != '"'; c->at++)
		c->at += *c->at == '\\';
	c->at += c->at < c->end;
}

/* Brackets are counted, not followed: depth costs no stack. */
static void skip_value(struct cursor *c)
{
	size_t depth = 0;

	while (c->at < c->end) {
		char ch = *c->at;

		if (ch == '"') {
			skip_string(c);
			if (!depth)
				return;
			continue;
		}
		if (!depth && strchr(",]} \t\r\n", ch))
			return;
		depth += ch == '[' || ch == '{';
		depth -= ch == ']' || ch == '}';
		c->at++;
		if (!depth && (ch == ']' || ch == '}'))
			return;
	}
}

/* To the next element or member; false at the end of the list or object. */
static bool next(struct cursor *c)
{
	skip_blanks(c);
	if (here(c) != ',')
		return false;
	c->at++;
	skip_blanks(c);
	return true;
}

static bool enter_element(struct cursor *c, unsigned long index)
{
	if (here(c) != '[')
		return false;
	c->at++;
	skip_blanks(c);
	for (unsigned long i = 0; i < index; i++) {
		skip_value(c);
		if (!next(c))
			return false;
	}
	return here(c) != ']';
}

/* *ret_key is where its name stands, if it is there. */
static bool enter_member(struct cursor *c, const char *key, size_t key_len, const char **ret_key)
{
	if (here(c) != '{')
		return false;
	c->at++;
	skip_blanks(c);
	while (here(c) == '"') {
		const char *name = c->at;
		bool found;

		skip_string(c);
		found = (size_t)(c->at - name) == key_len + 2 &&
			memcmp(name + 1, key, key_len) == 0;
		skip_blanks(c);
		c->at += here(c) == ':';
		skip_blanks(c);
		if (found) {
			*ret_key = name;
			return true;
		}
		skip_value(c);
		if (!next(c))
			break;
	}
	return false;
}

static const char *find(const char *text, size_t n, const char *path, const char *key)
{
	struct cursor c = { text, text + n };
	const char *found, *name;

	skip_blanks(&c);
	found = c.at;
	while (*path) {
		if (*path == '[') {
			char *end;

			if (!enter_element(&c, strtoul(path + 1, &end, 10)))
				return found;
			path = end + 1;
		} else {
			size_t len = strcspn(path += *path == '.', ".[");

			if (!enter_member(&c, path, len, &name))
				return found;
			path += len;
		}
		found = c.at;
	}
	if (key && enter_member(&c, key, strlen(key), &name))
		found = name;
	return found;
}

uint32_t mb_json_line(const char *text, size_t n, const char *path, const char *key)
{
	const char *found = find(text, n, path, key);
	uint32_t line = 1;

	for (const char *p = text; p < found; p++)
		line += *p == '\n';
	return line;
}
