// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_text(struct mb_buf *out, const char *text)
{
	mb_buf_put(out, text, strlen(text));
}

void mb_metrics_family(struct mb_metrics *m, const char *name, enum mb_metrics_type type,
		       const char *help)
{
	m->name = name;
	m->n_labels = 0;
	put_text(m->out, "# HELP ");
	put_text(m->out, name);
	put_text(m->out, " ");
	put_text(m->out, help);
	put_text(m->out, "\n# TYPE ");
	put_text(m->out, name);
	put_text(m->out, type == MB_COUNTER ? " counter\n" : " gauge\n");
}

void mb_metrics_label(struct mb_metrics *m, const char *name, const char *value)
{
	if (!m->n_labels)
		put_text(m->out, m->name);
	put_text(m->out, m->n_labels++ ? "," : "{");
	put_text(m->out, name);
	put_text(m->out, "=\"");
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			mb_buf_put_u8(m->out, '\\');
		if (*value == '\n')
			put_text(m->out, "\\n");
		else
			mb_buf_put_u8(m->out, (uint8_t)*value);
	}
	put_text(m->out, "\"");
}

void mb_metrics_put(struct mb_metrics *m, double value)
{
	char text[40];

	put_text(m->out, m->n_labels ? "} " : m->name);
	if (!m->n_labels)
		put_text(m->out, " ");
	if (isnan(value))
		snprintf(text, sizeof(text), "NaN\n");
	else if (isinf(value))
		snprintf(text, sizeof(text), "%cInf\n", value < 0 ? '-' : '+');
	else
		snprintf(text, sizeof(text), "%.17g\n", value);
	put_text(m->out, text);
	m->n_labels = 0;
}

void mb_metrics_one(struct mb_metrics *m, const char *name, enum mb_metrics_type type,
		    const char *help, double value)
{
	mb_metrics_family(m, name, type, help);
	mb_metrics_put(m, value);
}

void mb_metrics_process(struct mb_metrics *m, const struct mb_process_info *info)
{
	mb_metrics_one(m, "process_cpu_seconds_total", MB_COUNTER,
		       "Total user and system CPU time spent in seconds.", info->cpu_s);
	mb_metrics_one(m, "process_resident_memory_bytes", MB_GAUGE,
		       "Resident memory size in bytes.", (double)info->resident_bytes);
	mb_metrics_one(m, "process_virtual_memory_bytes", MB_GAUGE,
		       "Virtual memory size in bytes.", (double)info->virtual_bytes);
	mb_metrics_one(m, "process_start_time_seconds", MB_GAUGE,
		       "Start time of the process since unix epoch in seconds.",
		       (double)info->start_unix_s);
	mb_metrics_one(m, "process_open_fds", MB_GAUGE, "Number of open file descriptors.",
		       (double)info->open_fds);
	mb_metrics_one(m, "process_max_fds", MB_GAUGE,
		       "Maximum number of open file descriptors.",
		       info->max_fds == UINT64_MAX ? INFINITY : (double)info->max_fds);
}
