// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tell.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void __attribute__((format(printf, 2, 3)))
add(char ret[MB_TELL_MAX], const char *format, ...)
{
	size_t n = strlen(ret);
	va_list args;

	va_start(args, format);
	vsnprintf(ret + n, MB_TELL_MAX - n, format, args);
	va_end(args);
}

void mb_tell_epoch(const struct mb_epoch *e, uint64_t number, char ret[MB_TELL_MAX])
{
	*ret = 0;
	add(ret,
	    "epoch %" PRIu64 ": %" PRIu64 " pages, %u distinct, %" PRIu64 " changed, %" PRIu64
	    " unread",
	    number, e->fingerprint.n_pages, e->fingerprint.n_distinct, e->info.pages_changed,
	    e->info.pages_unread);
	if (!e->info.full)
		add(ret, "; %" PRIu64 " read", e->info.pages_read);
	if (e->doubt && number > 1)
		add(ret, "; all read, %s doubts itself: %s", e->info.tracker, e->doubt);
	add(ret, ", %.0f ms", (double)e->info.duration_ns / 1e6);
}

/* 100 % is all; what is not must not be rounded to it. */
static void add_percent(char ret[MB_TELL_MAX], double share)
{
	double percent = share * 100;

	if (share < 1 && percent > 99.99)
		percent = 99.99;
	add(ret, "%.4g %%", percent);
}

void mb_tell_audit(const struct mb_epoch *e, char ret[MB_TELL_MAX])
{
	const struct mb_audit *a = &e->info.audit;
	const char *before = "; stale: ";

	*ret = 0;
	add(ret, "audit: recall ");
	add_percent(ret, mb_audit_recall(a, a->follows));
	add(ret, " of %" PRIu64 " changed pages that %s follows, ",
	    mb_audit_sum(a->changed, a->follows), e->info.tracker);
	add_percent(ret, mb_audit_recall(a, UINT32_MAX));
	add(ret, " of all %" PRIu64 "; precision ", mb_audit_sum(a->changed, UINT32_MAX));
	add_percent(ret, mb_audit_precision(a));
	for (unsigned int i = 0; i < MB_CLASS_END; i++) {
		if (!a->stale[i])
			continue;
		add(ret, "%s%" PRIu64 " %s", before, a->stale[i], mb_class_name(i));
		before = ", ";
	}
}
