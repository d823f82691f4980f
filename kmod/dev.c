// SPDX-License-Identifier: GPL-2.0
#include "compat.h"
#include "dev.h"

#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched.h>
#ifdef HAVE_SCHED_SIGNAL_H
#include <linux/sched/signal.h>
#endif
#include <linux/slab.h>

#include "mbwalk.h"
#include "ram.h"
#include "walk.h"

/* By algorithm, and log2 of the parts. */
static u64 zero_digest[MBWALK_SUPERFASTHASH32 + 1][ilog2(MBWALK_PARTS_MAX) + 1];

static void __user *user_pointer(u64 address)
{
	return (void __user *)(unsigned long)address;
}

static bool all_zero(const u64 *words, size_t n)
{
	while (n)
		if (words[--n])
			return false;
	return true;
}

/* --- info ---------------------------------------------------------------------------------------
 */

static void fill_info(struct mbwalk_info *info, const struct mbwalk_ram *ram)
{
	/* Keeps what came in; what is not known stays 0. */
	*info = (struct mbwalk_info){ .size = info->size,
				      .ranges = info->ranges,
				      .cap_ranges = info->cap_ranges };
	info->version = MBWALK_VERSION;
	info->page_bytes = PAGE_SIZE;
	info->algorithms = BIT(MBWALK_XXH64) | BIT(MBWALK_SUPERFASTHASH32);
	info->knows = (MBWALK_PINNED_KNOWN ? MBWALK_KNOWS_PINNED : 0) |
		      (MBWALK_PAGE_TABLE_KNOWN ? MBWALK_KNOWS_PAGE_TABLE : 0) |
		      (MBWALK_BALLOON_KNOWN ? MBWALK_KNOWS_BALLOON : 0) |
		      (MBWALK_ONLINE_KNOWN ? MBWALK_KNOWS_ONLINE : 0);
	info->struct_page_bytes = sizeof(struct page);
	info->generation = ram->generation;
	info->ram_frames = ram->frames;
	info->end_frame = ram->end_frame;
#ifdef CONFIG_SPARSEMEM_VMEMMAP
	info->vmemmap_base = (unsigned long)pfn_to_page(0);
#endif
	info->page_offset_base = (unsigned long)__va(0);
	info->n_ranges = ram->n;
	info->parts_max = MBWALK_PARTS_MAX;
}

static long do_info(struct mbwalk_info __user *to)
{
	struct mbwalk_info info;
	struct mbwalk_ram ram;
	size_t n;
	long r;

	if (copy_from_user(&info, to, sizeof(info)))
		return -EFAULT;
	if (info.size != sizeof(info) || info.reserved0 ||
	    !all_zero(info.reserved, ARRAY_SIZE(info.reserved)))
		return -EINVAL;
	r = mbwalk_ram_snapshot(&ram);
	if (r < 0)
		return r;
	fill_info(&info, &ram);
	n = min_t(u64, ram.n, info.cap_ranges);
	if (info.ranges &&
	    copy_to_user(user_pointer(info.ranges), ram.ranges, n * sizeof(*ram.ranges)))
		r = -EFAULT;
	else if (copy_to_user(to, &info, sizeof(info)))
		r = -EFAULT;
	mbwalk_ram_release(&ram);
	return r;
}

/* --- scan ---------------------------------------------------------------------------------------
 */

struct scan {
	struct mbwalk_scan args;
	struct mbwalk_ram ram;
	struct mbwalk_chunk chunk;
};

static bool are_parts_valid(const struct mbwalk_scan *args)
{
	if (!args->parts)
		return !args->digests;
	return args->digests && args->parts > 1 && args->parts <= MBWALK_PARTS_MAX &&
	       is_power_of_2(args->parts);
}

static int check_scan(const struct mbwalk_scan *args)
{
	if (args->size != sizeof(*args) || args->reserved || !are_parts_valid(args) ||
	    args->flags & ~(u32)MBWALK_SCAN_FREE ||
	    (args->algorithm != MBWALK_XXH64 && args->algorithm != MBWALK_SUPERFASTHASH32) ||
	    args->first + args->n < args->first || !args->records || !args->cap_records ||
	    (args->bitmap ? args->bitmap_first > args->first : args->known))
		return -EINVAL;
	return 0;
}

/* Bits of frames [first, first + n), n <= MBWALK_CHUNK_FRAMES; those above are 0. */
static int fetch_bitmap(const struct mbwalk_scan *args, u64 first, unsigned int n, u64 *dirty)
{
	u64 bit = first - args->bitmap_first, at = args->bitmap + bit / 64 * 8;
	unsigned int shift = bit % 64, have = DIV_ROUND_UP(shift + n, 64), i;
	u64 words[MBWALK_CHUNK_FRAMES / 64 + 1] = { 0 };

	memset(dirty, 0, MBWALK_CHUNK_FRAMES / 8);
	if (copy_from_user(words, user_pointer(at), have * 8))
		return -EFAULT;
	for (i = 0; i < DIV_ROUND_UP(n, 64); i++)
		dirty[i] = words[i] >> shift | (shift ? words[i + 1] << (64 - shift) : 0);
	if (n % 64)
		dirty[n / 64] &= (1ull << (n % 64)) - 1;
	return 0;
}

/* What the caller says of the next frames. */
static int fetch_wishes(const struct mbwalk_scan *args, struct mbwalk_chunk *c)
{
	c->has_known = args->known;
	if (!args->bitmap) {
		memset(c->dirty, 0xff, sizeof(c->dirty));
		return 0;
	}
	if (c->has_known &&
	    copy_from_user(c->known, user_pointer(args->known + c->first - args->bitmap_first),
			   c->n))
		return -EFAULT;
	return fetch_bitmap(args, c->first, c->n, c->dirty);
}

static bool is_clean(const struct mbwalk_chunk *c)
{
	return all_zero(c->dirty, ARRAY_SIZE(c->dirty)) && !c->has_known;
}

static int put_records(const struct scan *s)
{
	const struct mbwalk_scan *args = &s->args;
	const struct mbwalk_chunk *c = &s->chunk;
	const size_t record_bytes = sizeof(c->records[0]);
	const size_t digest_bytes = c->parts * sizeof(c->digests[0]);

	if (copy_to_user(user_pointer(args->records + args->n_records * record_bytes), c->records,
			 c->n_records * record_bytes))
		return -EFAULT;
	if (c->digests && copy_to_user(user_pointer(args->digests + args->n_records * digest_bytes),
				       c->digests, c->n_records * digest_bytes))
		return -EFAULT;
	return 0;
}

/* RAM from args.next, `most` frames at most. */
static int scan_ram(struct scan *s, u64 most)
{
	struct mbwalk_scan *args = &s->args;
	struct mbwalk_chunk *c = &s->chunk;
	u64 room = args->cap_records - args->n_records;

	c->first = args->next;
	/* No more frames than could all need a record: then none has to be done twice. */
	c->n = min3(most, room, (u64)MBWALK_CHUNK_FRAMES);
	c->n_records = 0;
	if (fetch_wishes(args, c) < 0)
		return -EFAULT;
	if (is_clean(c)) {
		args->counts[MBWALK_COUNT_CLEAN] += c->n;
	} else {
		if (!mbwalk_ram_lock(&s->ram)) {
			mbwalk_ram_release(&s->ram);
			return mbwalk_ram_snapshot(&s->ram);
		}
		mbwalk_chunk(c);
		mbwalk_ram_unlock();
	}
	if (put_records(s) < 0)
		return -EFAULT;
	args->n_records += c->n_records;
	args->next += c->n;
	return 0;
}

static int scan_some(struct scan *s)
{
	struct mbwalk_scan *args = &s->args;
	u64 end = args->first + args->n, until;
	bool ram = mbwalk_ram_at(&s->ram, args->next, &until);

	until = min(until, end);
	if (ram)
		return scan_ram(s, until - args->next);
	if (args->next >= s->ram.end_frame) {
		args->counts[MBWALK_COUNT_HOLE] += end - args->next;
		args->next = end;
	} else {
		args->next = mbwalk_count_no_ram(args->next, until, args->counts);
	}
	return 0;
}

static int scan(struct scan *s)
{
	struct mbwalk_scan *args = &s->args;
	u64 end = args->first + args->n;
	int r = 0;

	args->next = args->first;
	args->n_records = 0;
	memset(args->counts, 0, sizeof(args->counts));
	while (r == 0 && args->next < end && args->n_records < args->cap_records) {
		if (signal_pending(current))
			return args->next == args->first || fatal_signal_pending(current) ? -EINTR :
											    0;
		r = scan_some(s);
		cond_resched();
	}
	return r;
}

/* What the arguments, which are checked, say of a chunk. */
static int begin_chunks(struct scan *s)
{
	struct mbwalk_chunk *c = &s->chunk;

	c->algorithm = s->args.algorithm;
	c->flags = s->args.flags;
	c->parts = s->args.parts ? s->args.parts : 1;
	c->zero_digest = zero_digest[c->algorithm][ilog2(c->parts)];
	c->counts = s->args.counts;
	if (!s->args.parts)
		return 0;
	c->digests = kcalloc(MBWALK_CHUNK_FRAMES * c->parts, sizeof(*c->digests), GFP_KERNEL);
	return c->digests ? 0 : -ENOMEM;
}

static long do_scan(struct mbwalk_scan __user *to)
{
	struct scan *s = kzalloc(sizeof(*s), GFP_KERNEL);
	long r = -ENOMEM;

	if (!s)
		return r;
	s->chunk.bounce = (void *)__get_free_page(GFP_KERNEL);
	if (!s->chunk.bounce)
		goto out;
	r = -EFAULT;
	if (copy_from_user(&s->args, to, sizeof(s->args)))
		goto out;
	r = check_scan(&s->args);
	if (r == 0)
		r = begin_chunks(s);
	if (r < 0)
		goto out;
	r = mbwalk_ram_snapshot(&s->ram);
	if (r == 0)
		r = scan(s);
	s->args.generation = s->ram.generation;
	if (r == 0 && copy_to_user(to, &s->args, sizeof(s->args)))
		r = -EFAULT;
	mbwalk_ram_release(&s->ram);
out:
	free_page((unsigned long)s->chunk.bounce);
	kfree(s->chunk.digests);
	kfree(s);
	return r;
}

/* --- the file -----------------------------------------------------------------------------------
 */

static int dev_open(struct inode *inode, struct file *file)
{
	return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

/* By number: a struct of another size is told as such. */
static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (cmd == MBWALK_GET_VERSION)
		return MBWALK_VERSION;
	if (_IOC_TYPE(cmd) != _IOC_TYPE(MBWALK_INFO))
		return -ENOTTY;
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(MBWALK_INFO):
		return cmd == MBWALK_INFO ? do_info((struct mbwalk_info __user *)arg) : -EINVAL;
	case _IOC_NR(MBWALK_SCAN):
		return cmd == MBWALK_SCAN ? do_scan((struct mbwalk_scan __user *)arg) : -EINVAL;
	}
	return -ENOTTY;
}

#ifdef CONFIG_COMPAT
/* The structs are the same; only the pointer to them is narrower. */
static long dev_compat_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return dev_ioctl(file, cmd, (__force unsigned long)compat_ptr(arg));
}
#endif

static const struct file_operations dev_ops = {
	.owner = THIS_MODULE, /* an open file keeps the module */
	.open = dev_open,
	.unlocked_ioctl = dev_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl = dev_compat_ioctl,
#endif
};

static struct miscdevice dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = MBWALK_DEVICE,
	.fops = &dev_ops,
	.mode = 0600,
};

int mbwalk_dev_init(void)
{
	void *zero = (void *)get_zeroed_page(GFP_KERNEL);
	u32 i, n;

	BUILD_BUG_ON(sizeof(struct mbwalk_record) != 24);
	BUILD_BUG_ON(sizeof(struct mbwalk_range) != 16);
	BUILD_BUG_ON(sizeof(struct mbwalk_info) != 120);
	BUILD_BUG_ON(sizeof(struct mbwalk_scan) != 240);
	if (!zero)
		return -ENOMEM;
	for (i = MBWALK_XXH64; i <= MBWALK_SUPERFASTHASH32; i++)
		for (n = 1; n <= MBWALK_PARTS_MAX; n *= 2)
			zero_digest[i][ilog2(n)] = mbwalk_hash(i, zero, PAGE_SIZE / n);
	free_page((unsigned long)zero);
	return misc_register(&dev);
}

void mbwalk_dev_exit(void)
{
	misc_deregister(&dev);
}
