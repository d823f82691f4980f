// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/churn_live.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum { BAR = 30 };

void mb_churn_live_begin(struct mb_churn_live *l, bool on)
{
	*l = (struct mb_churn_live){ .on = on, .terminal = on && isatty(1) };
}

static double percent(uint64_t of, uint64_t all)
{
	return all ? 100 * (double)of / (double)all : 0;
}

static void put_kept(const char *what, const struct mb_churn_sharable *s)
{
	printf("; %s %" PRIu64 " pages", what, s->pages);
	if (s->before)
		printf(", %.1f %% kept", percent(s->kept, s->before));
}

static void put_line(const struct mb_churn_config *c, const struct mb_churn_row *row)
{
	printf("%9.3f s  epoch %" PRIu32 ": %" PRIu64 " pages, %" PRIu64
	       " dirtied; digests +%" PRIu64 " -%" PRIu64,
	       (double)row->at_ns / 1e9, row->epoch, row->pages, mb_churn_dirtied(row),
	       row->gained_digests, row->lost_digests);
	put_kept("self", &row->sharable[MB_CHURN_SELF]);
	if (c->reference)
		put_kept("reference", &row->sharable[MB_CHURN_REFERENCE]);
	putchar('\n');
}

/* A line of the block; what stood there is wiped. */
static void next(struct mb_churn_live *l)
{
	fputs("\033[K\n", stdout);
	l->lines++;
}

static void put_share(const char *what, uint64_t of, uint64_t all)
{
	int full = all ? (int)(BAR * of / all) : 0;

	printf("  %-26s [%.*s%*s] %5.1f %% of %" PRIu64, what, full,
	       "##############################", BAR - full, "", percent(of, all), all);
}

static void put_kind(struct mb_churn_live *l, const struct mb_churn_config *c,
		     const struct mb_churn_row *row, enum mb_churn_kind kind,
		     const struct mb_half_life *half)
{
	const struct mb_churn_sharable *s = &row->sharable[kind];

	printf("sharable with %s: %" PRIu64 " pages", kind ? "the reference" : "itself", s->pages);
	if (half->how == MB_HALF_LIFE_OBSERVED || half->how == MB_HALF_LIFE_FITTED)
		printf(", half-life %.3g s (%s)", half->ns / 1e9, mb_half_life_how_name(half->how));
	next(l);
	put_share("kept since the last epoch", s->kept, s->before);
	next(l);
	for (uint32_t w = 0; w < row->windows_known; w++) {
		char what[32];

		snprintf(what, sizeof(what), "unchanged for %g s", (double)c->windows_ns[w] / 1e9);
		put_share(what, s->durable_pages[w], s->pages);
		next(l);
	}
}

static void put_block(struct mb_churn_live *l, const struct mb_churn_config *c,
		      const struct mb_churn_row *row, const struct mb_churn_sums *sums)
{
	struct mb_churn_summary y;

	mb_churn_summarize(sums, &y);
	if (l->lines)
		printf("\033[%uA\r", l->lines);
	l->lines = 0;
	printf("epoch %" PRIu32 ", %.1f s: %" PRIu64 " pages, %" PRIu64 " distinct, %" PRIu64
	       " zero",
	       row->epoch, (double)row->at_ns / 1e9, row->pages, row->distinct, row->zero);
	next(l);
	printf("dirtied: %" PRIu64 " pages", mb_churn_dirtied(row));
	if (y.epochs)
		printf("; %.1f an epoch, %.1f a second in the mean", y.dirtied, y.dirtied_per_s);
	next(l);
	for (unsigned int i = 0; c->by_frame && i < MB_CLASS_END; i++) {
		const struct mb_churn_class *cls = &row->classes[i];
		char what[40];

		if (!cls->pages || (i == MB_CLASS_UNKNOWN && cls->pages == row->pages))
			continue;
		snprintf(what, sizeof(what), "of %s", mb_class_name(i));
		put_share(what, cls->changed + cls->came, cls->pages);
		next(l);
	}
	printf("digests: %" PRIu64 " gained, %" PRIu64 " lost", row->gained_digests,
	       row->lost_digests);
	next(l);
	put_kind(l, c, row, MB_CHURN_SELF, &y.kinds[MB_CHURN_SELF].half_life);
	if (c->reference)
		put_kind(l, c, row, MB_CHURN_REFERENCE, &y.kinds[MB_CHURN_REFERENCE].half_life);
	/* A block that was longer before leaves nothing behind. */
	fputs("\033[J", stdout);
}

void mb_churn_live_row(struct mb_churn_live *l, const struct mb_churn_config *config,
		       const struct mb_churn_row *row, const struct mb_churn_sums *sums)
{
	if (!l->on)
		return;
	if (l->terminal)
		put_block(l, config, row, sums);
	else
		put_line(config, row);
	fflush(stdout);
}

void mb_churn_live_end(struct mb_churn_live *l)
{
	if (l->lines)
		putchar('\n');
	l->lines = 0;
}
