// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/doctor_host.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/processes.h"
#include "proto/base/cleanup.h"
#include "proto/base/file.h"

#define KSM "/sys/kernel/mm/ksm/"
#define THP "/sys/kernel/mm/transparent_hugepage/"

enum { FILE_MAX = 65536 };

static const char *const files[MB_HOST_NUMBERS] = {
	[MB_KSM_RUN] = KSM "run",
	[MB_KSM_PAGES_TO_SCAN] = KSM "pages_to_scan",
	[MB_KSM_SLEEP_MS] = KSM "sleep_millisecs",
	[MB_KSM_SHARED] = KSM "pages_shared",
	[MB_KSM_SHARING] = KSM "pages_sharing",
	[MB_KSM_UNSHARED] = KSM "pages_unshared",
	[MB_KSM_VOLATILE] = KSM "pages_volatile",
	[MB_KSM_SKIPPED] = KSM "pages_skipped",
	[MB_KSM_SCANNED] = KSM "pages_scanned",
	[MB_KSM_FULL_SCANS] = KSM "full_scans",
	[MB_KSM_ACROSS_NODES] = KSM "merge_across_nodes",
	[MB_KSM_MAX_SHARING] = KSM "max_page_sharing",
	[MB_KSM_USE_ZERO] = KSM "use_zero_pages",
	[MB_KSM_ZERO_PAGES] = KSM "ksm_zero_pages",
	[MB_KSM_SMART_SCAN] = KSM "smart_scan",
	[MB_KSM_PROFIT] = KSM "general_profit",
	[MB_KSM_CHAINS] = KSM "stable_node_chains",
	[MB_KSM_DUPS] = KSM "stable_node_dups",
	[MB_KSM_TARGET_S] = KSM "advisor_target_scan_time",
	[MB_THP_KHUGEPAGED_PAGES] = THP "khugepaged/pages_to_scan",
	[MB_THP_KHUGEPAGED_SLEEP_MS] = THP "khugepaged/scan_sleep_millisecs",
	[MB_NUMA_BALANCING] = "/proc/sys/kernel/numa_balancing",
	[MB_SWAPPINESS] = "/proc/sys/vm/swappiness",
};

const char *mb_host_file(enum mb_host_number n)
{
	return files[n];
}

const char *mb_host_key(enum mb_host_number n)
{
	return strrchr(files[n], '/') + 1;
}

/* The whole file; NULL: it is not there, or cannot be read. */
static const char *read_text(const struct mb_doctor_host *h, const char *path, struct mb_buf *b)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", h->root, path);
	mb_buf_clear(b);
	return mb_file_read(full, FILE_MAX, b, NULL) < 0 ? NULL : (const char *)b->data;
}

static void read_number(struct mb_doctor_host *h, int n, struct mb_buf *b)
{
	const char *text = read_text(h, files[n], b);
	char *end;

	if (!text)
		return;
	errno = 0;
	h->number[n] = strtoll(text, &end, 10);
	h->known[n] = end != text && errno == 0;
}

/* "always [madvise] never": madvise. Without brackets the first word. */
static void read_choice(const struct mb_doctor_host *h, const char *path, char *ret, size_t size,
			struct mb_buf *b)
{
	const char *text = read_text(h, path, b), *open = text ? strchr(text, '[') : NULL;

	if (!text)
		return;
	if (open)
		snprintf(ret, size, "%.*s", (int)strcspn(open + 1, "]"), open + 1);
	else
		snprintf(ret, size, "%.*s", (int)strcspn(text, " \n"), text);
}

/* "0-1,3": 3. */
static uint32_t count_list(const char *text)
{
	uint32_t n = 0;

	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (last >= first)
			n += (uint32_t)MB_MIN(last - first + 1, 4096ul);
		text = *end == ',' ? end + 1 : end;
	}
	return n;
}

static bool find_number(const char *text, const char *key, uint64_t *ret)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) == 0) {
			*ret = strtoull(line + n, NULL, 10);
			return true;
		}
	}
	return false;
}

static void read_memory(struct mb_doctor_host *h, struct mb_buf *b)
{
	const char *text = read_text(h, "/proc/meminfo", b);
	uint64_t total = 0, swap = 0, swap_free = 0;

	if (text) {
		find_number(text, "MemTotal:", &total);
		find_number(text, "SwapTotal:", &swap);
		find_number(text, "SwapFree:", &swap_free);
	}
	h->memory_bytes = total << 10;
	h->swap_bytes = swap << 10;
	h->swap_used_bytes = swap > swap_free ? (swap - swap_free) << 10 : 0;
	text = read_text(h, "/proc/vmstat", b);
	h->has_copies = text && find_number(text, "cow_ksm ", &h->write_copies);
	if (text)
		find_number(text, "ksm_swpin_copy ", &h->swapin_copies);
}

static int look_at_name(void *arg, const struct mb_process *p, struct mb_err *err)
{
	struct mb_doctor_host *h = arg;
	mb_autoclose int fd = openat(p->dir, "comm", O_RDONLY | O_CLOEXEC);
	char name[32];
	ssize_t n = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);

	(void)err;
	name[n > 0 ? n : 0] = 0;
	name[strcspn(name, "\n")] = 0;
	h->has_ksmd |= strcmp(name, "ksmd") == 0;
	h->has_ksmtuned |= strcmp(name, "ksmtuned") == 0;
	h->sees_kernel |= strcmp(name, "kthreadd") == 0;
	return 1;
}

int mb_doctor_host_read(struct mb_doctor_host *h, const char *root, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	char path[512];
	const char *text;
	uint64_t n;
	int r;

	*h = (struct mb_doctor_host){ 0 };
	if ((size_t)snprintf(h->root, sizeof(h->root), "%s", root) >= sizeof(h->root))
		return mb_fail(err, ENAMETOOLONG, "%.100s: too long", root);
	snprintf(path, sizeof(path), "%s/proc", h->root);
	r = mb_processes_each(path, look_at_name, h, &n, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s" KSM, h->root);
	h->has_ksm = access(path, F_OK) == 0;
	for (int i = 0; i < MB_HOST_NUMBERS; i++)
		read_number(h, i, &b);
	read_choice(h, KSM "advisor_mode", h->advisor, sizeof(h->advisor), &b);
	read_choice(h, THP "enabled", h->thp_enabled, sizeof(h->thp_enabled), &b);
	read_choice(h, THP "defrag", h->thp_defrag, sizeof(h->thp_defrag), &b);
	read_choice(h, "/sys/kernel/security/lockdown", h->lockdown, sizeof(h->lockdown), &b);
	read_choice(h, "/proc/sys/kernel/osrelease", h->release, sizeof(h->release), &b);
	text = read_text(h, "/sys/devices/system/node/has_memory", &b);
	h->n_nodes = text ? MB_MAX(count_list(text), 1u) : 1;
	read_memory(h, &b);
	snprintf(path, sizeof(path), "%s/sys/kernel/btf/vmlinux", h->root);
	h->has_btf = access(path, F_OK) == 0;
	return 0;
}
