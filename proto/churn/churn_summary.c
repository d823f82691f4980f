// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_summary.h"

#include <math.h>

void mb_churn_sums_add(struct mb_churn_sums *s, const struct mb_churn_row *row)
{
	s->rows++;
	s->duration_ns = row->at_ns;
	s->pages += row->pages;
	s->distinct += row->distinct;
	s->zero += row->zero;
	s->gained += row->gained_pages;
	s->lost += row->lost_pages;
	s->gained_digests += row->gained_digests;
	s->lost_digests += row->lost_digests;
	for (int i = 0; i < MB_CLASS_END; i++) {
		s->classes[i].pages += row->classes[i].pages;
		s->classes[i].changed += row->classes[i].changed;
		s->classes[i].came += row->classes[i].came;
		s->classes[i].went += row->classes[i].went;
	}
	for (uint32_t w = 0; w < row->windows_known; w++)
		s->windows[w]++;
	for (int k = 0; k < MB_CHURN_KINDS; k++) {
		const struct mb_churn_sharable *of = &row->sharable[k];

		s->kinds[k].digests += of->digests;
		s->kinds[k].pages += of->pages;
		s->kinds[k].before += of->before;
		s->kinds[k].kept += of->kept;
		mb_survival_feed(&s->kinds[k].survival, row->at_ns, of->survivors);
		for (uint32_t w = 0; w < row->windows_known; w++) {
			s->kinds[k].durable[w] += of->durable_pages[w];
			s->kinds[k].of[w] += of->pages;
		}
	}
}

static double ratio(double a, double b)
{
	return b > 0 ? a / b : NAN;
}

void mb_churn_summarize(const struct mb_churn_sums *s, struct mb_churn_summary *ret)
{
	double rows = (double)s->rows, epochs = s->rows ? rows - 1 : 0;

	*ret = (struct mb_churn_summary){
		.epochs = (uint32_t)epochs,
		.duration_ns = s->duration_ns,
		.pages = ratio((double)s->pages, rows),
		.distinct = ratio((double)s->distinct, rows),
		.zero = ratio((double)s->zero, rows),
		.gained = ratio((double)s->gained, epochs),
		.lost = ratio((double)s->lost, epochs),
		.gained_digests = ratio((double)s->gained_digests, epochs),
		.lost_digests = ratio((double)s->lost_digests, epochs),
	};
	for (int i = 0; i < MB_CLASS_END; i++) {
		ret->classes[i].pages = ratio((double)s->classes[i].pages, rows);
		ret->classes[i].changed = ratio((double)s->classes[i].changed, epochs);
		ret->classes[i].came = ratio((double)s->classes[i].came, epochs);
		ret->classes[i].went = ratio((double)s->classes[i].went, epochs);
		ret->changed += ret->classes[i].changed;
		ret->came += ret->classes[i].came;
		ret->went += ret->classes[i].went;
	}
	ret->dirtied = ret->changed + ret->came;
	ret->dirtied_per_s = ratio(ret->dirtied * epochs, (double)s->duration_ns / 1e9);
	for (int k = 0; k < MB_CHURN_KINDS; k++) {
		struct mb_churn_kind_summary *to = &ret->kinds[k];

		to->digests = ratio((double)s->kinds[k].digests, rows);
		to->pages = ratio((double)s->kinds[k].pages, rows);
		to->kept = ratio((double)s->kinds[k].kept, (double)s->kinds[k].before);
		to->half_life = mb_survival_half_life(&s->kinds[k].survival);
		for (int w = 0; w < MB_CHURN_WINDOWS_MAX; w++) {
			double known = (double)s->windows[w];

			to->durable_pages[w] = ratio((double)s->kinds[k].durable[w], known);
			to->of_pages[w] = ratio((double)s->kinds[k].of[w], known);
		}
	}
}
