// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/findings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"

enum { LIST_MAX = 100000, WIDTH = 100, INDENT = 10 };

static const char *const severities[] = { "ok", "note", "problem" };

void mb_findings_deinit(struct mb_findings *f)
{
	free(f->list);
	*f = (struct mb_findings){ 0 };
}

static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
}

static void put(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text);
	make_printable(to);
}

static bool make_room(struct mb_findings *f)
{
	size_t cap = f->cap ? 2 * f->cap : 16;
	void *p;

	if (f->n < f->cap)
		return true;
	p = f->n < LIST_MAX ? reallocarray(f->list, cap, sizeof(*f->list)) : NULL;
	if (!p)
		return false;
	f->list = p;
	f->cap = cap;
	return true;
}

struct mb_finding *mb_findings_add(struct mb_findings *f, enum mb_severity severity, const char *id,
				   const char *of)
{
	static _Thread_local struct mb_finding lost;
	struct mb_finding *ret = make_room(f) ? &f->list[f->n++] : &lost;

	f->failed |= ret == &lost;
	*ret = (struct mb_finding){ .severity = severity };
	put(ret->id, sizeof(ret->id), id);
	put(ret->of, sizeof(ret->of), of);
	return ret;
}

#define put_formatted(to, fmt)                                                                     \
	do {                                                                                       \
		va_list ap_;                                                                       \
		va_start(ap_, fmt);                                                                \
		vsnprintf(to, sizeof(to), fmt, ap_);                                               \
		va_end(ap_);                                                                       \
		make_printable(to);                                                                \
	} while (0)

void mb_finding_say(struct mb_finding *f, const char *fmt, ...)
{
	put_formatted(f->text, fmt);
}

void mb_finding_fix(struct mb_finding *f, const char *fmt, ...)
{
	put_formatted(f->fix, fmt);
}

void mb_finding_saw(struct mb_finding *f, const char *what, const char *fmt, ...)
{
	if (f->n_seen == MB_SEEN_MAX)
		return;
	put(f->seen[f->n_seen].what, sizeof(f->seen[0].what), what);
	put_formatted(f->seen[f->n_seen].value, fmt);
	f->n_seen++;
}

void mb_finding_cost(struct mb_finding *f, uint64_t lost_pages, bool at_most)
{
	f->has_lost = true;
	f->lost_pages = lost_pages;
	f->at_most = at_most;
}

int mb_findings_check(const struct mb_findings *f, struct mb_err *err)
{
	return f->failed ? mb_fail_mem(err, "what was found") : 0;
}

/* Whether `b` belongs in front of `a`. */
static bool comes_first(const struct mb_finding *b, const struct mb_finding *a)
{
	if (a->severity != b->severity)
		return b->severity > a->severity;
	return (b->has_lost ? b->lost_pages : 0) > (a->has_lost ? a->lost_pages : 0);
}

/* Merge sort: it keeps the order of equals, and lists may be long. */
static void sort(struct mb_finding *list, size_t n, struct mb_finding *spare)
{
	size_t half = n / 2, a = 0, b = half, out = 0;

	if (n < 2)
		return;
	sort(list, half, spare);
	sort(list + half, n - half, spare);
	while (a < half || b < n)
		spare[out++] = b == n || (a < half && !comes_first(&list[b], &list[a])) ?
				       list[a++] :
				       list[b++];
	memcpy(list, spare, n * sizeof(*list));
}

void mb_findings_sort(struct mb_findings *f)
{
	mb_autofree struct mb_finding *spare = calloc(f->n + 1, sizeof(*spare));

	if (spare)
		sort(f->list, f->n, spare);
	else
		f->failed = true;
}

size_t mb_findings_count(const struct mb_findings *f, enum mb_severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->list[i].severity == severity;
	return n;
}

int mb_findings_exit_code(const struct mb_findings *f)
{
	return mb_findings_count(f, MB_SEVERITY_PROBLEM) ? MB_EXIT_FAILED : MB_EXIT_OK;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *finding_to_json(const struct mb_finding *f)
{
	json_t *seen = json_array();

	for (unsigned int i = 0; i < f->n_seen; i++)
		json_array_append_new(seen, json_pack("{s:s, s:s}", "what", f->seen[i].what,
						      "value", f->seen[i].value));
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:b, s:s}", "id", f->id, "severity",
			 severities[f->severity], "of", f->of, "text", f->text, "seen", seen,
			 "lost_pages",
			 f->has_lost ? json_integer((json_int_t)f->lost_pages) : json_null(),
			 "at_most", (int)f->at_most, "fix", f->fix);
}

json_t *mb_findings_to_json(const struct mb_findings *f)
{
	json_t *array = json_array();

	for (size_t i = 0; i < f->n; i++)
		if (json_array_append_new(array, finding_to_json(&f->list[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static int severity_of(const json_t *o)
{
	for (int i = MB_SEVERITY_OK; i <= MB_SEVERITY_PROBLEM; i++)
		if (strcmp(text_of(o, "severity"), severities[i]) == 0)
			return i;
	return -1;
}

int mb_findings_from_json(const json_t *array, struct mb_findings *f, struct mb_err *err)
{
	const json_t *o, *seen;
	size_t i, k;

	if (!json_is_array(array))
		return mb_fail(err, EBADMSG, "no list of findings");
	json_array_foreach(array, i, o)
	{
		const json_t *lost = json_object_get(o, "lost_pages");
		int severity = severity_of(o);
		struct mb_finding *to;

		if (severity < 0 || !*text_of(o, "id"))
			return mb_fail(err, EBADMSG, "finding %zu has no id or no known severity",
				       i);
		to = mb_findings_add(f, (enum mb_severity)severity, text_of(o, "id"),
				     text_of(o, "of"));
		put(to->text, sizeof(to->text), text_of(o, "text"));
		put(to->fix, sizeof(to->fix), text_of(o, "fix"));
		json_array_foreach(json_object_get(o, "seen"), k, seen)
			mb_finding_saw(to, text_of(seen, "what"), "%s", text_of(seen, "value"));
		if (json_is_integer(lost) && json_integer_value(lost) >= 0)
			mb_finding_cost(to, (uint64_t)json_integer_value(lost),
					json_is_true(json_object_get(o, "at_most")));
	}
	return mb_findings_check(f, err);
}

/* --- text ------------------------------------------------------------------------------------- */

/* Words of `text` in lines of WIDTH, the first of which has begun at column `at`. */
static void print_wrapped(FILE *to, const char *text, size_t at)
{
	bool space = false;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (at + space + n > WIDTH && at > INDENT) {
			fprintf(to, "\n%*s", INDENT, "");
			at = INDENT;
			space = false;
		}
		fprintf(to, "%s%.*s", space ? " " : "", (int)n, text);
		at += space + n;
		text += n;
		space = *text == ' ';
		text += space;
	}
	fputc('\n', to);
}

static void print_part(FILE *to, const char *label, const char *text)
{
	fprintf(to, "  %-*s", INDENT - 2, label);
	print_wrapped(to, text, INDENT);
}

static void print_one(const struct mb_finding *f, FILE *to)
{
	char text[MB_SEEN_MAX * (sizeof(f->seen[0].what) + sizeof(f->seen[0].value) + 4)];
	size_t n = 0;

	snprintf(text, sizeof(text), "%s%s%s: %s", f->id, *f->of ? " " : "", f->of, f->text);
	fprintf(to, "%-*s", INDENT, severities[f->severity]);
	print_wrapped(to, text, INDENT);
	if (f->has_lost) {
		snprintf(text, sizeof(text), "%s%" PRIu64 " pages (%.1f MB)",
			 f->at_most ? "at most " : "", f->lost_pages, (double)f->lost_pages / 256);
		print_part(to, "costs", text);
	}
	for (unsigned int i = 0; i < f->n_seen && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s: %s", i ? "; " : "",
				      f->seen[i].what, f->seen[i].value);
	if (f->n_seen)
		print_part(to, "seen", text);
	/* Not broken into lines: it is there to be copied. */
	if (*f->fix)
		fprintf(to, "  %-*s%s\n", INDENT - 2, "fix", f->fix);
}

void mb_findings_print(const struct mb_findings *f, FILE *to)
{
	for (size_t i = 0; i < f->n; i++)
		print_one(&f->list[i], to);
	fprintf(to, "%s%zu problems, %zu notes, %zu checks are well\n", f->n ? "\n" : "",
		mb_findings_count(f, MB_SEVERITY_PROBLEM), mb_findings_count(f, MB_SEVERITY_NOTE),
		mb_findings_count(f, MB_SEVERITY_OK));
}
