// SPDX-License-Identifier: GPL-2.0
#include "compat.h"
#include "ram.h"

#include <linux/kernel.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/rwsem.h>
#include <linux/slab.h>

/* More than any machine has; a tree of resources that was read in mid-change could be a ring. */
#define MAX_RANGES 65536

/*
 * Taken for reading by scans, a chunk at a time, and for writing by the notifier. So when memory
 * goes offline, the notifier waits for those who still look at it.
 */
static DECLARE_RWSEM(plugging);
static u64 generation = 1;

static int on_plugging(struct notifier_block *nb, unsigned long action, void *data)
{
	switch (action) {
	case MEM_ONLINE:
	case MEM_OFFLINE:
	case MEM_GOING_OFFLINE:
	case MEM_CANCEL_OFFLINE:
		down_write(&plugging);
		generation++;
		up_write(&plugging);
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block plugging_notifier = { .notifier_call = on_plugging };

int mbwalk_ram_init(void)
{
	return register_memory_notifier(&plugging_notifier);
}

void mbwalk_ram_exit(void)
{
	unregister_memory_notifier(&plugging_notifier);
}

static int append(struct mbwalk_ram *ram, u64 first, u64 n)
{
	if (ram->n == ram->cap) {
		size_t cap = ram->cap ? 2 * ram->cap : 32;
		struct mbwalk_range *more;

		if (cap > MAX_RANGES)
			return -ENOMEM;
		more = krealloc(ram->ranges, cap * sizeof(*more), GFP_KERNEL);
		if (!more)
			return -ENOMEM;
		ram->ranges = more;
		ram->cap = cap;
	}
	ram->ranges[ram->n++] = (struct mbwalk_range){ .first = first, .n = n };
	ram->frames += n;
	ram->end_frame = first + n;
	return 0;
}

/* Bytes [start, end], as resources have it. Half a frame is not ours. */
static int take_resource(void *ctx, u64 start, u64 end)
{
	struct mbwalk_ram *ram = ctx;
	u64 first = (start + PAGE_SIZE - 1) >> PAGE_SHIFT, limit = (end + 1) >> PAGE_SHIFT;

	/* Ascending and apart, whatever the kernel's tree looked like. */
	if (first < ram->end_frame)
		first = ram->end_frame;
	return first < limit ? append(ram, first, limit - first) : 0;
}

int mbwalk_ram_snapshot(struct mbwalk_ram *ram)
{
	int r, tries;

	for (tries = 0; tries < 8; tries++) {
		memset(ram, 0, sizeof(*ram));
		down_read(&plugging);
		ram->generation = generation;
		up_read(&plugging);
		r = mbwalk_for_each_system_ram(take_resource, ram);
		if (r == 0)
			return 0;
		mbwalk_ram_release(ram);
		if (r != -EAGAIN)
			break;
	}
	return r;
}

void mbwalk_ram_release(struct mbwalk_ram *ram)
{
	kfree(ram->ranges);
	memset(ram, 0, sizeof(*ram));
}

bool mbwalk_ram_lock(const struct mbwalk_ram *ram)
{
	down_read(&plugging);
	if (ram->generation == generation)
		return true;
	up_read(&plugging);
	return false;
}

void mbwalk_ram_unlock(void)
{
	up_read(&plugging);
}

bool mbwalk_ram_at(const struct mbwalk_ram *ram, u64 frame, u64 *ret_end)
{
	size_t low = 0, high = ram->n;

	/* The first range that ends above `frame`. */
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (ram->ranges[mid].first + ram->ranges[mid].n <= frame)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == ram->n) {
		*ret_end = U64_MAX;
		return false;
	}
	if (frame < ram->ranges[low].first) {
		*ret_end = ram->ranges[low].first;
		return false;
	}
	*ret_end = ram->ranges[low].first + ram->ranges[low].n;
	return true;
}
