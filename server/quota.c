// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/quota.h"

#include <inttypes.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"

static const struct {
	const char *name, *words; /* "quota of 5 ..." */
	uint64_t period_ns, unit_bytes;
} kinds[MB_QUOTA_END] = {
	[MB_QUOTA_MB_PER_HOUR] = { "mb_per_hour", "MB an hour", 3600000000000, 1 << 20 },
	[MB_QUOTA_MB_PER_DAY] = { "mb_per_day", "MB a day", 86400000000000, 1 << 20 },
	[MB_QUOTA_FRAMES_PER_MINUTE] = { "frames_per_minute", "frames a minute", 60000000000, 0 },
	[MB_QUOTA_VMS] = { "vms", "VMs", 0, 0 },
	[MB_QUOTA_SESSIONS] = { "sessions", "sessions", 0, 0 },
};

/* A host's worth of busy VMs stays far below. */
const struct mb_quota mb_quota_default = {
	.max = {
		[MB_QUOTA_MB_PER_HOUR] = 65536,
		[MB_QUOTA_MB_PER_DAY] = 524288,
		[MB_QUOTA_FRAMES_PER_MINUTE] = 12000,
		[MB_QUOTA_VMS] = 1024,
		[MB_QUOTA_SESSIONS] = 1024,
	},
};

const char *mb_quota_name(enum mb_quota_kind kind)
{
	return kinds[kind].name;
}

static int parse_one(const char *word, size_t len, struct mb_quota *quota, struct mb_err *err)
{
	char text[64];

	snprintf(text, sizeof(text), "%.*s", (int)len, word);
	for (int i = 0; i < MB_QUOTA_END; i++) {
		size_t n = strlen(kinds[i].name);

		if (strncmp(text, kinds[i].name, n) == 0 && text[n] == '=')
			return mb_parse_u64(text + n + 1, 0, 1u << 30, kinds[i].name,
					    &quota->max[i], err);
	}
	return mb_fail(err, EINVAL,
		       "\"%s\": not NAME=NUMBER; names are mb_per_hour, mb_per_day, "
		       "frames_per_minute, vms, sessions",
		       text);
}

int mb_quota_parse(const char *text, struct mb_quota *quota, struct mb_err *err)
{
	int r = 0;

	for (const char *word = text, *end; r == 0; word = end + 1) {
		end = strchrnul(word, ',');
		r = parse_one(word, (size_t)(end - word), quota, err);
		if (!*end)
			break;
	}
	return r;
}

int mb_quota_fail(const struct mb_quota *quota, enum mb_quota_kind kind, struct mb_err *err)
{
	return mb_fail(err, EDQUOT, "quota of %" PRIu64 " %s is used up", quota->max[kind],
		       kinds[kind].words);
}

static uint64_t cost_ns(const struct mb_quota *quota, int kind, uint64_t bytes)
{
	double part = kinds[kind].unit_bytes ? (double)bytes / (double)kinds[kind].unit_bytes : 1;

	return (uint64_t)(part / (double)quota->max[kind] * (double)kinds[kind].period_ns);
}

int mb_flow_take(struct mb_flow *f, const struct mb_quota *quota, uint64_t bytes, uint64_t now_ns,
		 enum mb_quota_kind *ret_kind, uint64_t *ret_wait_ns, struct mb_err *err)
{
	uint64_t full_ns[MB_ARRAY_LEN(f->full_ns)];

	memcpy(full_ns, f->full_ns, sizeof(full_ns));
	for (size_t i = 0; i < MB_ARRAY_LEN(full_ns); i++) {
		uint64_t limit_ns = now_ns + kinds[i].period_ns, before_ns;

		if (!quota->max[i])
			continue;
		before_ns = MB_MAX(full_ns[i], now_ns);
		full_ns[i] = before_ns + cost_ns(quota, (int)i, bytes);
		/* A frame is one frame, but may be of more bytes than there ever are. */
		if (kinds[i].unit_bytes ? before_ns < limit_ns : full_ns[i] <= limit_ns)
			continue;
		*ret_kind = (enum mb_quota_kind)i;
		*ret_wait_ns = (kinds[i].unit_bytes ? before_ns : full_ns[i]) - limit_ns;
		return mb_quota_fail(quota, *ret_kind, err);
	}
	memcpy(f->full_ns, full_ns, sizeof(full_ns));
	return 0;
}

void mb_flow_recall(struct mb_flow *f, const struct mb_quota *quota,
		    const uint64_t bytes[MB_FLOW_HOURS], uint64_t now_ns)
{
	const uint64_t hour_ns = kinds[MB_QUOTA_MB_PER_HOUR].period_ns;

	for (size_t i = 0; i < MB_ARRAY_LEN(f->full_ns); i++) {
		uint64_t taken_ns = 0; /* until all is given back, from the hour's end */

		if (!quota->max[i] || !kinds[i].unit_bytes)
			continue;
		for (int h = MB_FLOW_HOURS; h-- > 0;) {
			taken_ns -= MB_MIN(taken_ns, hour_ns);
			taken_ns += cost_ns(quota, (int)i, bytes[h]);
		}
		f->full_ns[i] = taken_ns ? now_ns + taken_ns : 0;
	}
}

bool mb_flow_is_idle(const struct mb_flow *f, uint64_t now_ns)
{
	for (size_t i = 0; i < MB_ARRAY_LEN(f->full_ns); i++)
		if (f->full_ns[i] > now_ns)
			return false;
	return true;
}
