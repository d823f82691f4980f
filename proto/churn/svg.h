/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plots over time as inline SVG, whose colours are the page's: classes s0 to s7 of a series, axis,
 * grid and label. Each scales with the width that it is given.
 */
#ifndef MB_CHURN_SVG_H
#define MB_CHURN_SVG_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/buf.h"

enum { MB_SVG_SERIES_MAX = 8 };

struct mb_svg_series {
	const char *name;
	const double *values; /* [0, n) of the plot; NAN: not known */
};

struct mb_svg_plot {
	const char *title, *unit;
	const double *at_s; /* ascending */
	size_t n;
	struct mb_svg_series series[MB_SVG_SERIES_MAX];
	size_t n_series;
	bool stacked; /* bars on top of each other; else lines */
	double top;   /* of the scale; 0: what the values need */
};

/* More points than there is room for are put together: means of their times and values. */
void mb_svg_put(struct mb_buf *to, const struct mb_svg_plot *p);

#endif
