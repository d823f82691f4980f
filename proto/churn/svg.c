// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/svg.h"

#include <math.h>
#include <stdio.h>

#include "proto/base/cleanup.h"
#include "proto/churn/put.h"

/* Of the drawing, in its own units. */
enum { WIDTH = 640, HEIGHT = 220, LEFT = 62, RIGHT = 10, TOP = 18, BOTTOM = 34, POINTS_MAX = 160 };

struct points {
	size_t n;
	double at_s[POINTS_MAX];
	double values[MB_SVG_SERIES_MAX][POINTS_MAX];
	double top, span_s;
};

static double mean(const double *v, size_t first, size_t last)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = first; i < last; i++) {
		if (!isfinite(v[i]))
			continue;
		sum += v[i];
		n++;
	}
	return n ? sum / (double)n : NAN;
}

/* 1, 2 or 5 times a power of ten. */
static double round_up(double v)
{
	double power = pow(10, floor(log10(v)));

	return v <= power     ? power :
	       v <= 2 * power ? 2 * power :
	       v <= 5 * power ? 5 * power :
				10 * power;
}

static void take_points(const struct mb_svg_plot *p, struct points *ret)
{
	double most = 0;

	*ret = (struct points){ .n = MB_MIN(p->n, (size_t)POINTS_MAX) };
	for (size_t i = 0; i < ret->n; i++) {
		size_t first = i * p->n / ret->n, last = (i + 1) * p->n / ret->n;
		double sum = 0;

		ret->at_s[i] = mean(p->at_s, first, last);
		for (size_t s = 0; s < p->n_series; s++) {
			double v = mean(p->series[s].values, first, last);

			ret->values[s][i] = v;
			v = v > 0 ? v : 0;
			sum = p->stacked ? sum + v : MB_MAX(sum, v);
		}
		most = MB_MAX(most, sum);
	}
	ret->top = p->top > 0 ? p->top : most > 0 ? round_up(most) : 1;
	ret->span_s = ret->n && ret->at_s[ret->n - 1] > 0 ? ret->at_s[ret->n - 1] : 1;
}

static double x_of(const struct points *p, double at_s)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * at_s / p->span_s;
}

static double y_of(const struct points *p, double v)
{
	return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * MB_MIN(v, p->top) / p->top;
}

static void put_amount(struct mb_buf *to, double v)
{
	if (v >= 1e6)
		mb_put(to, "%.3gM", v / 1e6);
	else if (v >= 1e4)
		mb_put(to, "%.3gk", v / 1e3);
	else
		mb_put(to, "%.4g", v);
}

static void put_time(struct mb_buf *to, double s)
{
	if (s >= 7200)
		mb_put(to, "%.3g h", s / 3600);
	else if (s >= 120)
		mb_put(to, "%.3g min", s / 60);
	else
		mb_put(to, "%.3g s", s);
}

static void put_axes(struct mb_buf *to, const struct points *p)
{
	for (int i = 0; i <= 4; i++) {
		double v = p->top * i / 4, y = y_of(p, v), at = p->span_s * i / 4;

		mb_put(to, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
		       LEFT, WIDTH - RIGHT, y, y);
		mb_put(to, "<text class=\"label\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
		       LEFT - 6, y + 4);
		put_amount(to, v);
		mb_put(to,
		       "</text>\n<text class=\"label\" x=\"%.1f\" y=\"%d\" "
		       "text-anchor=\"%s\">",
		       x_of(p, at), HEIGHT - BOTTOM + 18,
		       i == 0 ? "start" :
		       i == 4 ? "end" :
				"middle");
		put_time(to, at);
		mb_put(to, "</text>\n");
	}
}

/* What a pointer that rests on it is told. */
static void put_tip(struct mb_buf *to, const struct mb_svg_plot *p, size_t series, double v,
		    double at_s)
{
	mb_put(to, "<title>");
	put_time(to, at_s);
	mb_put(to, ", ");
	mb_put_escaped(to, p->series[series].name);
	mb_put(to, ": %.6g ", v);
	mb_put_escaped(to, p->unit);
	mb_put(to, "</title>");
}

static void put_bars(struct mb_buf *to, const struct mb_svg_plot *plot, const struct points *p)
{
	double width = (double)(WIDTH - LEFT - RIGHT) / (double)MB_MAX(p->n, (size_t)1);

	for (size_t i = 0; i < p->n; i++) {
		double base = 0, x = LEFT + width * (double)i;

		for (size_t s = 0; s < plot->n_series; s++) {
			double v = p->values[s][i];

			if (!(v > 0))
				continue;
			mb_put(to,
			       "<rect class=\"s%zu\" x=\"%.1f\" width=\"%.1f\" y=\"%.1f\" "
			       "height=\"%.1f\">",
			       s, x + width * .08, MB_MAX(width * .84, .5), y_of(p, base + v),
			       y_of(p, base) - y_of(p, base + v));
			put_tip(to, plot, s, v, p->at_s[i]);
			mb_put(to, "</rect>\n");
			base += v;
		}
	}
}

static void put_line(struct mb_buf *to, const struct mb_svg_plot *plot, const struct points *p,
		     size_t series)
{
	bool drawing = false;

	mb_put(to, "<path class=\"s%zu\" d=\"", series);
	for (size_t i = 0; i < p->n; i++) {
		double v = p->values[series][i];

		if (isfinite(v))
			mb_put(to, "%s%.1f %.1f", drawing ? "L" : "M", x_of(p, p->at_s[i]),
			       y_of(p, v));
		drawing = isfinite(v);
	}
	mb_put(to, "\"/>\n");
	for (size_t i = 0; i < p->n; i++) {
		double v = p->values[series][i];

		if (!isfinite(v))
			continue;
		mb_put(to, "<circle class=\"s%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\">", series,
		       x_of(p, p->at_s[i]), y_of(p, v), p->n > 60 ? "1.2" : "2.2");
		put_tip(to, plot, series, v, p->at_s[i]);
		mb_put(to, "</circle>\n");
	}
}

/* Bars stand side by side, one an epoch: their times are those of the first and of the last. */
void mb_svg_put(struct mb_buf *to, const struct mb_svg_plot *plot)
{
	struct points p;

	take_points(plot, &p);
	mb_put(to, "<figure>\n<figcaption>");
	mb_put_escaped(to, plot->title);
	mb_put(to, " <span class=\"unit\">");
	mb_put_escaped(to, plot->unit);
	mb_put(to, "</span></figcaption>\n<p class=\"legend\">");
	for (size_t s = 0; s < plot->n_series; s++) {
		mb_put(to, "<span><i class=\"s%zu\"></i>", s);
		mb_put_escaped(to, plot->series[s].name);
		mb_put(to, "</span> ");
	}
	mb_put(to, "</p>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
	mb_put_escaped(to, plot->title);
	mb_put(to, "\">\n");
	put_axes(to, &p);
	if (plot->stacked)
		put_bars(to, plot, &p);
	for (size_t s = 0; !plot->stacked && s < plot->n_series; s++)
		put_line(to, plot, &p, s);
	mb_put(to, "</svg>\n</figure>\n");
}
