// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/cells_audit.h"

#include "proto/base/cleanup.h"

/* A newer server may know of more classes than we do. */
enum { CLASSES_MAX = 32 };

void mb_cell_share(struct mb_table *t, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	double share = json_number_value(v);

	if (json_is_number(v) && share >= 0 && share <= 1)
		mb_table_put(t, "%.1f %%", (double)(int)(1000 * share + 1e-6) / 10);
	else
		mb_table_put(t, "-");
}

void mb_cell_stale(struct mb_table *t, json_t *classes, size_t width)
{
	const char *names[CLASSES_MAX], *name;
	struct mb_pairs_top top = { 0 };
	json_t *cls, *list = json_array();
	json_int_t sum = 0;
	size_t n = 0;

	json_object_foreach(classes, name, cls)
	{
		json_int_t stale = json_integer_value(json_object_get(cls, "stale"));

		if (stale <= 0 || n == CLASSES_MAX || stale > INT64_MAX - sum)
			continue;
		sum += stale;
		names[n] = name;
		mb_pairs_top_offer(&top, stale, n++, 0);
	}
	for (size_t i = 0; i < top.n; i++)
		json_array_append_new(list, json_sprintf("%s %lld", names[top.items[i].a],
							 (long long)top.items[i].value));
	mb_table_put(t, "%lld", (long long)sum);
	mb_cell_names(t, list, width);
	json_decref(list);
}

void mb_cell_audit_legend(FILE *to, bool doubted)
{
	fputs("recall: of the pages that changed, those that an incremental pass would have read, "
	      "among the\n"
	      "classes that the tracker follows; recall all: among all classes\n"
	      "precision: of the pages that the tracker flagged, those that had changed\n"
	      "stale: pages that changed and that it would have missed: with them the fingerprint "
	      "is wrong\n",
	      to);
	if (doubted)
		fputs("doubted: the tracker said itself that it may have missed some, so a full "
		      "walk was made and\n"
		      "nothing stale was relied on; of several audits, how many were\n",
		      to);
}
