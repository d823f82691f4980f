// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "proto/base/cleanup.h"
#include "proto/churn/churn_report.h"
#include "proto/churn/put.h"
#include "proto/page.h"
#include "proto/who.h"

static const char *const columns[] = {
	"epoch", "at_s", "pages",  "distinct", "zero",		 "dirtied",	 "changed",
	"came",	 "went", "gained", "lost",     "gained_digests", "lost_digests",
};
static const char *const kinds[] = { "self", "reference" };
static const char *const of_kind[] = { "digests", "pages", "before", "kept", "survivors" };
static const char *const of_class[] = { "pages", "changed", "came", "went" };

/* "frames_copy_on_write" */
static void put_kind(struct mb_buf *to, unsigned int kind)
{
	mb_put(to, ",frames_");
	for (const char *p = mb_who_kind_name(kind); *p; p++)
		mb_buf_put_u8(to, *p == ' ' ? '_' : (uint8_t)*p);
}

static void put_heads(const json_t *windows, struct mb_buf *to)
{
	mb_put(to, "run");
	for (size_t i = 0; i < MB_ARRAY_LEN(columns); i++)
		mb_put(to, ",%s", columns[i]);
	for (size_t k = 0; k < MB_ARRAY_LEN(kinds); k++) {
		const json_t *w;
		size_t i;

		for (i = 0; i < MB_ARRAY_LEN(of_kind); i++)
			mb_put(to, ",%s_%s", kinds[k], of_kind[i]);
		json_array_foreach(windows, i, w)
			mb_put(to, ",%s_durable_%gs", kinds[k], json_number_value(w));
	}
	for (unsigned int c = 0; c < MB_CLASS_END; c++)
		for (size_t i = 0; i < MB_ARRAY_LEN(of_class); i++)
			mb_put(to, ",%s_%s", mb_class_name(c), of_class[i]);
	for (unsigned int k = 0; k < MB_WHO_KINDS; k++)
		put_kind(to, k);
	mb_put(to, "\n");
}

static void put_cell(struct mb_buf *to, const json_t *v)
{
	if (json_is_real(v))
		mb_put(to, ",%.9g", json_real_value(v));
	else if (json_is_integer(v))
		mb_put(to, ",%lld", (long long)json_integer_value(v));
	else
		mb_put(to, ",");
}

static void put_row(size_t run, const json_t *row, size_t n_windows, struct mb_buf *to)
{
	const json_t *classes = json_object_get(row, "classes");

	mb_put(to, "%zu", run);
	for (size_t i = 0; i < MB_ARRAY_LEN(columns); i++)
		put_cell(to, json_object_get(row, columns[i]));
	for (size_t k = 0; k < MB_ARRAY_LEN(kinds); k++) {
		const json_t *kind = json_object_get(row, kinds[k]);

		for (size_t i = 0; i < MB_ARRAY_LEN(of_kind); i++)
			put_cell(to, json_object_get(kind, of_kind[i]));
		for (size_t i = 0; i < n_windows; i++)
			put_cell(to, json_array_get(json_object_get(kind, "durable"), i));
	}
	for (unsigned int c = 0; c < MB_CLASS_END; c++)
		for (size_t i = 0; i < MB_ARRAY_LEN(of_class); i++)
			put_cell(to, json_object_get(json_object_get(classes, mb_class_name(c)),
						     of_class[i]));
	for (unsigned int k = 0; k < MB_WHO_KINDS; k++)
		put_cell(to, json_object_get(json_object_get(row, "kinds"), mb_who_kind_name(k)));
	mb_put(to, "\n");
}

void mb_churn_csv(const json_t *root, struct mb_buf *to)
{
	const json_t *runs = json_object_get(root, "runs"), *run, *row;
	const json_t *windows = json_object_get(root, "windows_s");
	size_t i, k;

	put_heads(windows, to);
	json_array_foreach(runs, i, run)
	{
		json_array_foreach(json_object_get(run, "epochs"), k, row)
			put_row(i + 1, row, json_array_size(windows), to);
	}
}
