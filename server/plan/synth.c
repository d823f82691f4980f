// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/synth.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/multiset_hash.h"
#include "server/plan/group_list.h"

/* A part is 1 to this many times as large as the smallest. */
#define PART_SIZES 8

/* Which VMs have an image: vms[first_of[i], first_of[i + 1]), ascending. */
struct holders {
	size_t *first_of;
	uint32_t *vms;
};

static void holders_deinit(struct holders *h)
{
	free(h->first_of);
	free(h->vms);
}

uint64_t mb_synth_random(uint64_t seed, uint64_t a, uint64_t b)
{
	return mb_mix64(mb_mix64(mb_mix64(seed + 0x9e3779b97f4a7c15u) + a) + b);
}

static int check(const struct mb_synth_image *images, uint32_t n_images,
		 const struct mb_synth_vm *vms, uint32_t n_vms, struct mb_err *err)
{
	for (uint32_t i = 0; i < n_images; i++)
		if (!images[i].parts || images[i].keep_percent > 100)
			return mb_fail(err, EINVAL, "image %u: %u parts, each kept by %u %%", i,
				       images[i].parts, images[i].keep_percent);
	for (uint32_t v = 0; v < n_vms; v++)
		for (unsigned int k = 0; k < MB_SYNTH_IMAGES_MAX; k++)
			if (vms[v].images[k] != MB_SYNTH_NONE && vms[v].images[k] >= n_images)
				return mb_fail(err, EINVAL, "VM %u has image %u of %u", v,
					       vms[v].images[k], n_images);
	return 0;
}

static int find_holders(struct holders *ret, uint32_t n_images, const struct mb_synth_vm *vms,
			uint32_t n_vms, struct mb_err *err)
{
	ret->first_of = calloc((size_t)n_images + 2, sizeof(*ret->first_of));
	ret->vms = calloc((size_t)n_vms * MB_SYNTH_IMAGES_MAX + 1, sizeof(*ret->vms));
	if (!ret->first_of || !ret->vms)
		return mb_fail_mem(err, "a synthetic fleet");
	for (uint32_t v = 0; v < n_vms; v++)
		for (unsigned int k = 0; k < MB_SYNTH_IMAGES_MAX; k++)
			if (vms[v].images[k] != MB_SYNTH_NONE)
				ret->first_of[vms[v].images[k] + 2]++;
	for (uint32_t i = 0; i < n_images; i++)
		ret->first_of[i + 2] += ret->first_of[i + 1];
	/* Filling moves first_of[i + 1] to the end of i's part, which is where i + 1 begins. */
	for (uint32_t v = 0; v < n_vms; v++)
		for (unsigned int k = 0; k < MB_SYNTH_IMAGES_MAX; k++)
			if (vms[v].images[k] != MB_SYNTH_NONE)
				ret->vms[ret->first_of[vms[v].images[k] + 1]++] = v;
	return 0;
}

static uint64_t part_size(uint64_t seed, uint32_t image, uint32_t part)
{
	return 1 + mb_synth_random(seed ^ 1, image, part) % PART_SIZES;
}

static bool has_part(uint64_t seed, const struct mb_synth_image *image, uint32_t i, uint32_t part,
		     uint64_t salt)
{
	return mb_synth_random(seed, (uint64_t)i << 32 | part, salt) % 100 < image->keep_percent;
}

/* One group per part, of those that have it. */
static int add_image(struct mb_group_list *list, uint64_t seed, const struct mb_synth_image *image,
		     uint32_t i, const struct holders *holders, const struct mb_synth_vm *vms,
		     uint64_t *in_images, struct mb_err *err)
{
	uint64_t sizes = 0, until = 0, before, pages;
	int r = 0;

	for (uint32_t p = 0; p < image->parts; p++)
		sizes += part_size(seed, i, p);
	for (uint32_t p = 0; p < image->parts && r == 0; p++) {
		before = image->pages * until / sizes;
		until += part_size(seed, i, p);
		pages = image->pages * until / sizes - before;
		for (size_t k = holders->first_of[i]; k < holders->first_of[i + 1] && r == 0; k++) {
			uint32_t v = holders->vms[k];

			if (!has_part(seed, image, i, p, vms[v].salt))
				continue;
			in_images[v] += pages;
			r = mb_group_list_vm(list, v, err);
		}
		if (r == 0)
			r = mb_group_list_end(list, pages, err);
	}
	return r;
}

int mb_synth_groups(struct mb_groups *ret, uint64_t seed, const struct mb_synth_image *images,
		    uint32_t n_images, const struct mb_synth_vm *vms, uint32_t n_vms,
		    struct mb_err *err)
{
	mb_cleanup(mb_group_list_deinit) struct mb_group_list list = { 0 };
	mb_cleanup(holders_deinit) struct holders holders = { 0 };
	mb_autofree uint64_t *in_images = calloc((size_t)n_vms + 1, sizeof(*in_images));
	int r = check(images, n_images, vms, n_vms, err);

	if (r == 0)
		r = find_holders(&holders, n_images, vms, n_vms, err);
	if (r == 0 && !in_images)
		r = mb_fail_mem(err, "a synthetic fleet");
	for (uint32_t i = 0; i < n_images && r == 0; i++)
		r = add_image(&list, seed, &images[i], i, &holders, vms, in_images, err);
	for (uint32_t v = 0; v < n_vms && r == 0; v++)
		if (in_images[v] > vms[v].distinct)
			r = mb_fail(err, EINVAL, "VM %u has %llu pages, its images %llu", v,
				    (unsigned long long)vms[v].distinct,
				    (unsigned long long)in_images[v]);
	return r < 0 ? r : mb_group_list_finish(&list, ret, err);
}
