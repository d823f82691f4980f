// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/bpf_set.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "agent/bpf_object.h"

/* "raw_mm_page_alloc", "fexit_handle_mm_fault" */
static struct bpf_program *program(const struct mb_bpf_set *set, const char *prefix,
				   const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "%s_%s", prefix, name);
	return bpf_object__find_program_by_name(set->object, text);
}

static size_t programs_of(const struct mb_bpf_set *set, const struct mb_hook_plan *plan,
			  size_t hook, struct bpf_program *ret[2])
{
	size_t n = 0;

	switch (plan->way[hook]) {
	case MB_WAY_NONE:
		return 0;
	case MB_WAY_TRACEPOINT:
		ret[n++] = program(set, "raw", plan->name[hook]);
		break;
	case MB_WAY_FEXIT:
		ret[n] = program(set, "fexit", plan->name[hook]);
		if (!ret[n])
			ret[n] = program(set, "fentry", plan->name[hook]);
		n++;
		break;
	case MB_WAY_KPROBE:
		/* The way back first: who is on the way in must be met when he returns. */
		ret[n] = program(set, "leave", plan->name[hook]);
		n += !!ret[n];
		ret[n++] = program(set, "enter", plan->name[hook]);
		break;
	}
	return n;
}

bool mb_bpf_set_is_in_second(const struct mb_hook_plan *plan, size_t hook)
{
	return mb_hooks[hook].need != MB_NEED_WHO &&
	       (plan->way[hook] == MB_WAY_TRACEPOINT || plan->way[hook] == MB_WAY_FEXIT);
}

static int load(struct mb_bpf_set *set, const struct mb_hook_plan *plan, bool second,
		struct mb_err *err)
{
	struct bpf_program *p, *wanted[2];

	bpf_object__for_each_program(p, set->object) bpf_program__set_autoload(p, false);
	for (size_t i = 0; i < mb_n_hooks; i++) {
		size_t n = second && !mb_bpf_set_is_in_second(plan, i) ?
				   0 :
				   programs_of(set, plan, i, wanted);

		for (size_t k = 0; k < n; k++) {
			if (!wanted[k])
				return mb_fail(err, EINVAL, "no program for %s", plan->name[i]);
			bpf_program__set_autoload(wanted[k], true);
		}
	}
	return mb_bpf_object_load(set->object, err);
}

int mb_bpf_set_load(struct mb_bpf_set *set, const struct mb_hook_plan *plan, struct mb_err *err)
{
	return load(set, plan, false, err);
}

int mb_bpf_set_load_second(struct mb_bpf_set *set, const struct mb_bpf_set *first,
			   const struct mb_hook_plan *plan, struct mb_err *err)
{
	struct bpf_map *map;
	int r;

	bpf_object__for_each_map(map, set->object)
	{
		const char *name = bpf_map__name(map);
		int fd = bpf_object__find_map_fd_by_name(first->object, name);

		r = fd < 0 ? fd : bpf_map__reuse_fd(map, fd);
		if (r < 0)
			return mb_fail(err, -r, "map %s: %s", name, strerror(-r));
	}
	return load(set, plan, true, err);
}

static int attach_hook(struct mb_bpf_set *set, const struct mb_hook_plan *plan, size_t hook)
{
	struct bpf_program *wanted[2];
	size_t n = programs_of(set, plan, hook, wanted), first = set->n_links;
	int r;

	for (size_t k = 0; k < n; k++) {
		struct bpf_link *link = bpf_program__attach(wanted[k]);

		if (!link) {
			r = -errno;
			while (set->n_links > first)
				bpf_link__destroy(set->links[--set->n_links]);
			return r;
		}
		set->links[set->n_links++] = link;
	}
	return 0;
}

int mb_bpf_set_attach(struct mb_bpf_set *set, struct mb_hook_plan *plan, struct mb_err *err)
{
	for (size_t i = 0; i < mb_n_hooks; i++) {
		int r = attach_hook(set, plan, i);

		if (r < 0 && mb_hooks[i].need == MB_NEED_ALWAYS)
			return mb_fail(err, -r, "cannot hook %s: %s", plan->name[i], strerror(-r));
		if (r < 0)
			plan->way[i] = MB_WAY_NONE;
	}
	return 0;
}

int mb_bpf_set_attach_second(struct mb_bpf_set *set, const struct mb_hook_plan *plan,
			     struct mb_err *err)
{
	for (size_t i = 0; i < mb_n_hooks; i++) {
		int r = mb_bpf_set_is_in_second(plan, i) ? attach_hook(set, plan, i) : 0;

		if (r < 0)
			return mb_fail(err, -r, "cannot hook %s twice: %s", plan->name[i],
				       strerror(-r));
	}
	return 0;
}

int mb_bpf_set_count(struct mb_bpf_set *set, const struct mb_hook_plan *plan, struct mb_err *err)
{
	struct bpf_program *of[2];

	set->run_ns = 0;
	for (size_t i = 0; i < mb_n_hooks; i++) {
		size_t n = programs_of(set, plan, i, of);

		set->missed[i] = 0;
		for (size_t k = 0; k < n; k++) {
			int fd = bpf_program__fd(of[k]);
			struct bpf_prog_info info = { 0 };
			__u32 size = sizeof(info);

			/* Of the second set some are not loaded. */
			if (fd < 0)
				continue;
			if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
				return mb_fail(err, errno, "%s: %m", bpf_program__name(of[k]));
			set->missed[i] += info.recursion_misses;
			set->calls[i] = info.run_cnt;
			set->run_ns += info.run_time_ns;
		}
	}
	return 0;
}

void mb_bpf_set_close(struct mb_bpf_set *set)
{
	while (set->n_links)
		bpf_link__destroy(set->links[--set->n_links]);
	bpf_object__close(set->object);
	*set = (struct mb_bpf_set){ 0 };
}
