// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/cells.h"

#include <string.h>
#include <time.h>

#include "proto/base/buf.h"
#include "proto/base/cleanup.h"
#include "proto/digest.h"

int mb_cell_list(const json_t *root, const char *key, const json_t **ret, struct mb_err *err)
{
	*ret = json_object_get(root, key);
	return json_is_array(*ret) ? 0 :
				     mb_fail(err, EBADMSG, "the answer has no list \"%s\"", key);
}

void mb_cell_text(struct mb_table *t, const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	mb_table_put(t, "%s", s && *s ? s : "-");
}

void mb_cell_number(struct mb_table *t, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v))
		mb_table_put(t, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		mb_table_put(t, "%.1f", json_real_value(v));
	else
		mb_table_put(t, "-");
}

void mb_cell_bool(struct mb_table *t, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	mb_table_put(t, "%s", json_is_true(v) ? "yes" : json_is_false(v) ? "no" : "-");
}

void mb_cell_time(struct mb_table *t, const json_t *o, const char *key, bool with_ms)
{
	json_int_t ms = json_integer_value(json_object_get(o, key));
	time_t seconds = (time_t)(ms / 1000);
	char text[40];
	struct tm tm;

	if (ms <= 0 || !localtime_r(&seconds, &tm) ||
	    !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		mb_table_put(t, "-");
	else if (with_ms)
		mb_table_put(t, "%s.%03d", text, (int)(ms % 1000));
	else
		mb_table_put(t, "%s", text);
}

void mb_cell_names(struct mb_table *t, const json_t *list, size_t max)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	size_t n = json_array_size(list), i;

	for (i = 0; i < n; i++) {
		const char *name = json_string_value(json_array_get(list, i));

		name = name ? name : "-";
		if (i && b.len + strlen(name) + 2 > max)
			break;
		mb_buf_put(&b, ", ", i ? 2 : 0);
		mb_buf_put(&b, name, strlen(name));
	}
	mb_buf_put_u8(&b, 0);
	if (b.failed)
		t->failed = true;
	else if (!n)
		mb_table_put(t, "-");
	else if (i < n)
		mb_table_put(t, "%s and %zu more", (const char *)b.data, n - i);
	else
		mb_table_put(t, "%s", (const char *)b.data);
}

void mb_cell_identity(FILE *to, const json_t *o)
{
	const char *domain = json_string_value(json_object_get(o, "domain"));
	const char *algorithm = json_string_value(json_object_get(o, "algorithm"));

	fprintf(to, "Trust domain %s: %s, %lld bits", domain && *domain ? domain : "-",
		algorithm ? algorithm : "-",
		(long long)json_integer_value(json_object_get(o, "bits")));
}

uint32_t mb_cell_page_bytes(const json_t *o)
{
	json_int_t v = json_integer_value(json_object_get(o, "page_bytes"));

	return v >= MB_PAGE_BYTES_MIN && v <= 65536 ? (uint32_t)v : 4096;
}

double mb_cell_mb_of(int64_t pages, uint32_t page_bytes)
{
	double tenths = (double)pages * page_bytes * 10 / (1 << 20);

	/* In 64 bits without overflow for any number of pages; whole, so that no zero is negative.
	 */
	return (double)(int64_t)(tenths + (tenths < 0 ? -0.5 : 0.5)) / 10;
}

void mb_cell_mb_value(struct mb_table *t, int64_t pages, uint32_t page_bytes)
{
	mb_table_put(t, "%.1f", mb_cell_mb_of(pages, page_bytes));
}

void mb_cell_mb(struct mb_table *t, const json_t *o, const char *key, uint32_t page_bytes)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v))
		mb_cell_mb_value(t, json_integer_value(v), page_bytes);
	else
		mb_table_put(t, "-");
}

double mb_cell_error_mb_of(int64_t pages, uint32_t page_bytes)
{
	double tenths = (double)pages * page_bytes * 10 / (1 << 20);

	return ((double)(int64_t)tenths + (tenths > (double)(int64_t)tenths)) / 10;
}

void mb_cell_mb_error(struct mb_table *t, const json_t *o, const char *key, const char *error_key,
		      uint32_t page_bytes)
{
	const json_t *v = json_object_get(o, key), *error = json_object_get(o, error_key);

	if (json_is_integer(v) && json_is_integer(error))
		mb_table_put(t, "%.1f +-%.1f", mb_cell_mb_of(json_integer_value(v), page_bytes),
			     mb_cell_error_mb_of(json_integer_value(error), page_bytes));
	else
		mb_cell_mb(t, o, key, page_bytes);
}

void mb_cell_number_error(struct mb_table *t, const json_t *o, const char *key,
			  const char *error_key)
{
	const json_t *v = json_object_get(o, key), *error = json_object_get(o, error_key);

	if (json_is_integer(v) && json_is_integer(error))
		mb_table_put(t, "%lld +-%lld", (long long)json_integer_value(v),
			     (long long)json_integer_value(error));
	else
		mb_cell_number(t, o, key);
}

void mb_cell_estimate(FILE *to, const json_t *root)
{
	const json_t *e = json_object_get(root, "estimate");

	long long one_in = json_integer_value(json_object_get(e, "one_in"));
	long long paged_out = json_integer_value(json_object_get(e, "paged_out"));

	if (!json_is_object(e))
		return;
	if (paged_out)
		fprintf(to,
			"Estimated from one digest in %lld, since %lld VMs are paged out: +- holds "
			"with 95 %%\nconfidence (--exact reads them)\n\n",
			one_in, paged_out);
	else
		fprintf(to,
			"Estimated from one digest in %lld, since agents send samples: +- holds "
			"with "
			"95 %%\nconfidence\n\n",
			one_in);
}

void mb_cell_sharing_heads(struct mb_table *t, bool inter)
{
	mb_table_columns(t, ">pages|>MB|>zero MB|>self MB");
	mb_table_columns(t, inter ? ">inter any MB|>distinct MB" : ">distinct MB");
}

void mb_cell_sharing(struct mb_table *t, const json_t *o, uint32_t page_bytes, bool inter)
{
	mb_cell_number(t, o, "pages");
	mb_cell_mb(t, o, "pages", page_bytes);
	mb_cell_mb(t, o, "zero", page_bytes);
	mb_cell_mb(t, o, "self_nonzero", page_bytes);
	if (inter)
		mb_cell_mb_error(t, o, "inter", "inter_error", page_bytes);
	mb_cell_mb(t, o, "distinct", page_bytes);
}

void mb_cell_sharing_legend(FILE *to, bool inter)
{
	fputs("zero: copies of the zero page; self: further copies of other pages than the zero "
	      "page\n",
	      to);
	if (inter)
		fputs("inter any: distinct pages that at least one other VM has, too\n", to);
}

void mb_pairs_top_offer(struct mb_pairs_top *top, int64_t value, size_t a, size_t b)
{
	size_t i = top->n;

	if (i == MB_RENDER_PAIRS_MAX && value <= top->items[i - 1].value)
		return;
	if (i < MB_RENDER_PAIRS_MAX)
		top->n++;
	else
		i--;
	for (; i && top->items[i - 1].value < value; i--)
		top->items[i] = top->items[i - 1];
	top->items[i] = (struct mb_pair_value){ value, a, b };
}
