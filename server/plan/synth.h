/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Synthetic memory, as sharing groups at once: no digest is ever made.
 *
 * An image is content that several VMs may have: an operating system, an application, a data set,
 * the zero page. It falls into parts of unequal size; a VM that has the image has each of its parts
 * with a chance of keep_percent. Two such VMs share keep^2 of the image, and a part is shared by a
 * random subset of them: with many parts no partition of the VMs is clean, as in real memory. What
 * a VM has beside its images is its own.
 *
 * Which parts a VM has depends on (seed, image, part, the VM's salt) only: the same VM has the same
 * memory in every fleet, and another salt is other memory of the same kind.
 */
#ifndef MB_PLAN_SYNTH_H
#define MB_PLAN_SYNTH_H

#include "server/groups.h"

enum { MB_SYNTH_IMAGES_MAX = 6 };
#define MB_SYNTH_NONE UINT32_MAX

struct mb_synth_image {
	uint32_t pages;
	uint32_t parts; /* at least 1 */
	uint32_t keep_percent;
};

struct mb_synth_vm {
	uint64_t distinct; /* pages, its own included */
	uint64_t salt;
	uint32_t images[MB_SYNTH_IMAGES_MAX]; /* or MB_SYNTH_NONE */
};

/* A number that is random, and the same for the same arguments. */
uint64_t mb_synth_random(uint64_t seed, uint64_t a, uint64_t b);

/* -EINVAL names an image or VM that cannot be: no parts, or more in its images than it has. */
int mb_synth_groups(struct mb_groups *ret, uint64_t seed, const struct mb_synth_image *images,
		    uint32_t n_images, const struct mb_synth_vm *vms, uint32_t n_vms,
		    struct mb_err *err);

#endif
