// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/guest_memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/cleanup.h"

/* vmstat is the longest: some 200 lines. */
#define TEXT_MAX 32768

static int open_in(const char *proc, const char *name, struct mb_err *err)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", proc, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? mb_fail(err, errno, "%s: %m", path) : fd;
}

int mb_guest_memory_open(struct mb_guest_memory *m, const char *proc, struct mb_err *err)
{
	*m = (struct mb_guest_memory){ .meminfo = -1, .vmstat = -1, .pressure = -1 };
	m->meminfo = open_in(proc, "meminfo", err);
	if (m->meminfo < 0)
		return m->meminfo;
	m->vmstat = open_in(proc, "vmstat", err);
	if (m->vmstat < 0) {
		int r = m->vmstat;

		mb_guest_memory_close(m);
		return r;
	}
	m->pressure = open_in(proc, "pressure/memory", NULL);
	return 0;
}

void mb_guest_memory_close(struct mb_guest_memory *m)
{
	mb_closep(&m->meminfo);
	mb_closep(&m->vmstat);
	mb_closep(&m->pressure);
	m->meminfo = m->vmstat = m->pressure = -1;
}

/* From the begin. "" when it cannot be read. */
static void read_text(int fd, char text[TEXT_MAX])
{
	size_t n = 0;
	ssize_t got = fd < 0 ? 0 : 1;

	while (got > 0 && n < TEXT_MAX - 1) {
		got = pread(fd, text + n, TEXT_MAX - 1 - n, (off_t)n);
		if (got > 0)
			n += (size_t)got;
	}
	text[got < 0 ? 0 : n] = 0;
}

/* The number behind `key` at the begin of a line. */
static bool find_number(const char *text, const char *key, uint64_t *ret)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) == 0) {
			char *end;

			*ret = strtoull(line + n, &end, 10);
			return end != line + n;
		}
	}
	return false;
}

/* "some avg10=0.00 avg60=1.25 ...": 125. */
static bool find_avg60(const char *text, const char *kind, uint32_t *ret)
{
	const char *line = strstr(text, kind);
	const char *at = line ? strstr(line, "avg60=") : NULL;
	unsigned int whole, hundredths;

	if (!at || sscanf(at, "avg60=%3u.%2u", &whole, &hundredths) != 2)
		return false;
	*ret = MB_MIN(whole * 100 + hundredths, 10000u);
	return true;
}

static void look_at_swapping(struct mb_guest_memory *m, const char *text, uint64_t now_ns,
			     struct mb_guest *ret)
{
	uint64_t in, out, before = m->swapped_pages, at_ns = m->at_ns;

	/* A kernel without swap does not say. */
	if (!find_number(text, "pswpin ", &in) || !find_number(text, "pswpout ", &out))
		return;
	m->swapped_pages = in + out;
	m->at_ns = now_ns;
	if (!at_ns || now_ns <= at_ns || m->swapped_pages < before)
		return;
	ret->swapped_bytes = (m->swapped_pages - before) * (uint64_t)sysconf(_SC_PAGESIZE);
	ret->swapped_ns = now_ns - at_ns;
}

void mb_guest_memory_look(struct mb_guest_memory *m, uint64_t now_ns, struct mb_guest *ret)
{
	mb_autofree char *text = malloc(TEXT_MAX);
	uint64_t available_kb, free_kb;

	*ret = (struct mb_guest){ 0 };
	if (!text || m->meminfo < 0)
		return;
	read_text(m->meminfo, text);
	if (!find_number(text, "MemAvailable:", &available_kb) ||
	    !find_number(text, "MemFree:", &free_kb))
		return;
	ret->known = true;
	ret->available_bytes = available_kb * 1024;
	ret->free_bytes = free_kb * 1024;
	read_text(m->vmstat, text);
	look_at_swapping(m, text, now_ns, ret);
	read_text(m->pressure, text);
	ret->has_stalls = find_avg60(text, "some ", &ret->some_per_myriad) &&
			  find_avg60(text, "full ", &ret->full_per_myriad);
}
