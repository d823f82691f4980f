// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_mbwalk.h"

#include "proto/base/cleanup.h"

struct fake_device device;

uint64_t fake_digest(uint64_t frame)
{
	return (frame + 1) * 0x9e3779b97f4a7c15;
}

int fake_reason(uint64_t frame)
{
	switch (frame % 1000) {
	case 10:
		return MBWALK_COUNT_OFFLINE;
	case 20 ... 21:
		return MBWALK_COUNT_HWPOISON;
	case 30 ... 32:
		return MBWALK_COUNT_BALLOON;
	case 40 ... 43:
		return MBWALK_COUNT_UNREADABLE;
	case 50:
		return MBWALK_COUNT_HOLE;
	case 60:
		return MBWALK_COUNT_NOT_RAM;
	case 70 ... 79:
		return MBWALK_COUNT_FREE;
	case 80:
		return 12; /* a newer module's */
	default:
		return -1;
	}
}

uint8_t fake_class(uint64_t frame)
{
	return (uint8_t)(1 + frame % 11); /* some that nobody knows, yet */
}

uint32_t fake_zero_parts(uint64_t frame)
{
	return (uint32_t)frame * 2654435761u;
}

static int fake_open(void)
{
	if (device.open_result < 0)
		return device.open_result;
	device.opened++;
	return 1000;
}

static void fake_close(int fd)
{
	assert_int_equal(fd, 1000);
	device.closed++;
}

static int fake_info(struct mbwalk_info *info)
{
	struct mbwalk_range *to = (void *)(uintptr_t)info->ranges;
	uint64_t cap = info->cap_ranges;

	assert_int_equal(info->size, sizeof(*info));
	if (device.info_result < 0)
		return device.info_result;
	*info = device.info;
	for (size_t i = 0; to && i < MB_MIN(cap, info->n_ranges); i++)
		to[i] = device.ranges[i % MB_ARRAY_LEN(device.ranges)];
	if (device.lie == MANY_RANGES)
		info->n_ranges = UINT64_MAX;
	if (!to)
		return 0;
	if (device.lie == OVERLAP)
		to[1].first = to[0].first + to[0].n - 1;
	if (device.lie == EMPTY_RANGE)
		to[0].n = 0;
	if (device.lie == WRAPPING_RANGE)
		to[1].n = UINT64_MAX - to[1].first + 10;
	if (device.lie == OTHER_SUM)
		info->ram_frames++;
	if (device.more_ranges) {
		device.more_ranges--;
		info->n_ranges = cap + 1;
	}
	return 0;
}

static uint8_t known_class(const struct mbwalk_scan *s, uint64_t frame)
{
	const uint8_t *known = (void *)(uintptr_t)s->known;

	return known ? known[frame - s->bitmap_first] : 0;
}

static bool is_dirty(const struct mbwalk_scan *s, uint64_t frame)
{
	const uint64_t *words = (void *)(uintptr_t)s->bitmap;
	uint64_t bit = frame - s->bitmap_first;

	return !words || words[bit / 64] >> bit % 64 & 1 ||
	       (s->known && known_class(s, frame) != fake_class(frame));
}

static void put_record(const struct mbwalk_scan *s, struct mbwalk_record *to)
{
	uint64_t *digests = (uint64_t *)(uintptr_t)s->digests + (s->n_records - 1) * s->parts;

	*to = (struct mbwalk_record){
		.frame = s->next,
		.digest = s->parts ? 0 : fake_digest(s->next),
		.cls = fake_class(s->next),
		.flags = (uint16_t)(s->next % 128),
		.zero_parts = fake_zero_parts(s->next) & ((1ull << s->parts) - 1),
	};
	for (uint32_t i = 0; i < s->parts; i++)
		digests[i] = fake_digest(s->next * 64 + i);
}

static void tell_lie(struct mbwalk_scan *s)
{
	struct mbwalk_record *records = (void *)(uintptr_t)s->records;

	switch (device.lie) {
	case MANY_RECORDS:
		s->n_records = s->cap_records + 1;
		break;
	case STUCK:
		s->next = s->first;
		s->n_records = 0;
		memset(s->counts, 0, sizeof(s->counts));
		break;
	case BEHIND:
		s->next = s->first - 1;
		break;
	case BEYOND:
		s->next = s->first + s->n + 1;
		s->counts[MBWALK_COUNT_HOLE]++;
		break;
	case NOT_ASCENDING:
		records[1].frame = records[0].frame;
		break;
	case GONE:
		records[1].cls = MBWALK_GONE;
		s->counts[MBWALK_COUNT_FREE]++;
		break;
	case ZERO_PARTS:
		records[1].zero_parts |= 1u << s->parts;
		break;
	case LOST_FRAMES:
		s->n_records--;
		break;
	case HUGE_COUNT:
		s->counts[MBWALK_COUNT_HOLE] += 1ull << 63;
		s->counts[MBWALK_COUNT_NOT_RAM] += 1ull << 63;
		break;
	default:
		break;
	}
}

static int fake_scan(struct mbwalk_scan *s)
{
	struct mbwalk_record *records = (void *)(uintptr_t)s->records;
	uint64_t end = s->first + (device.most ? MB_MIN(device.most, s->n) : s->n);

	/* What the real one refuses. */
	assert_int_equal(s->size, sizeof(*s));
	assert_true(s->n && s->records && s->cap_records);
	assert_true(s->bitmap ? s->bitmap_first <= s->first : !s->bitmap_first);
	assert_true(s->bitmap || !s->known);
	assert_false(s->reserved);
	assert_int_equal(!s->parts, !s->digests);
	assert_true(!s->parts || (s->parts > 1 && s->parts <= device.info.parts_max));
	device.scans++;
	device.last = *s;
	if (device.eintr) {
		device.eintr--;
		return -EINTR;
	}
	if (device.scan_result < 0)
		return device.scan_result;
	for (s->next = s->first; s->next < end && s->n_records < s->cap_records; s->next++) {
		int reason = fake_reason(s->next);

		if (reason == MBWALK_COUNT_FREE && s->flags & MBWALK_SCAN_FREE)
			reason = -1;
		/* With `known` every frame is looked at. */
		if ((reason < 0 || !s->known) && !is_dirty(s, s->next))
			reason = MBWALK_COUNT_CLEAN;
		if (reason >= 0)
			s->counts[reason]++;
		if (reason >= 0 && reason != MBWALK_COUNT_CLEAN && known_class(s, s->next))
			records[s->n_records++] = (struct mbwalk_record){ .frame = s->next };
		else if (reason < 0)
			put_record(s, &records[s->n_records++]);
	}
	tell_lie(s);
	return 0;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	assert_int_equal(fd, 1000);
	if (device.eagain) {
		device.eagain--;
		return -EAGAIN;
	}
	if (request == MBWALK_INFO)
		return fake_info(arg);
	assert_int_equal(request, MBWALK_SCAN);
	return fake_scan(arg);
}

static int fake_insert(const char *file, struct mb_err *err)
{
	device.inserted++;
	device.module = file;
	if (device.insert_result < 0)
		return mb_fail(err, -device.insert_result, "not this module");
	device.open_result = device.open_result_then;
	return 0;
}

static int fake_insert_check(const char *file, char ret_path[PATH_MAX], struct mb_err *err)
{
	assert_null(file);
	if (device.insert_result < 0)
		return mb_fail(err, -device.insert_result, "not this module");
	strcpy(ret_path, "/somewhere/mbwalk.ko");
	return 0;
}

void fake_device_init(const struct mbwalk_range *ranges, size_t n)
{
	device = (struct fake_device){
		.info = { .size = sizeof(device.info),
			  .version = MBWALK_VERSION,
			  .page_bytes = 4096,
			  .algorithms = 1 << MBWALK_XXH64 | 1 << MBWALK_SUPERFASTHASH32,
			  .knows = MBWALK_KNOWS_PAGE_TABLE | MBWALK_KNOWS_BALLOON,
			  .generation = 1,
			  .parts_max = 32,
			  .n_ranges = n },
	};
	for (size_t i = 0; i < n; i++) {
		device.ranges[i] = ranges[i];
		device.info.ram_frames += ranges[i].n;
		device.info.end_frame = ranges[i].first + ranges[i].n;
	}
	mb_mbwalk_machine = (struct mb_mbwalk_machine){
		.open = fake_open,
		.close = fake_close,
		.ioctl = fake_ioctl,
		.insert = fake_insert,
		.insert_check = fake_insert_check,
	};
}
