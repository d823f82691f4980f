// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/exact/exact.h"

#include <glpk.h>
#include <math.h>

#include "tests/unit/util_test.h"

/* GLPK counts columns, rows and the entries of a row from 1. */
#define ENTRIES_MAX 256

struct programme {
	const struct mb_fleet_view *fleet;
	glp_prob *glp;
	int columns[ENTRIES_MAX + 1]; /* the row that is being written */
	double values[ENTRIES_MAX + 1];
	int n;
};

static int x(const struct programme *p, uint32_t vm, uint32_t host)
{
	return (int)(vm * p->fleet->n_hosts + host) + 1;
}

static void term(struct programme *p, double value, int column)
{
	assert_true(p->n < ENTRIES_MAX);
	p->n++;
	p->columns[p->n] = column;
	p->values[p->n] = value;
}

/* Ends the row: its terms add up to `bound` (GLP_FX), at most (GLP_UP) or at least (GLP_LO). */
static void row(struct programme *p, int kind, double bound)
{
	int i = glp_add_rows(p->glp, 1);

	glp_set_row_bnds(p->glp, i, kind, bound, bound);
	glp_set_mat_row(p->glp, i, p->n, p->columns, p->values);
	p->n = 0;
}

/* A new column in [0, 1] that is no less than any of these VMs' x on `host`. */
static int any_of(struct programme *p, const uint32_t *vms, uint32_t n, uint32_t host)
{
	int y = glp_add_cols(p->glp, 1);

	glp_set_col_bnds(p->glp, y, GLP_DB, 0, 1);
	for (uint32_t k = 0; k < n; k++) {
		term(p, 1, y);
		term(p, -1, x(p, vms[k], host));
		row(p, GLP_LO, 0);
	}
	return y;
}

static void add_vms(struct programme *p)
{
	const struct mb_fleet_view *f = p->fleet;

	glp_add_cols(p->glp, (int)(f->n_vms * f->n_hosts));
	for (uint32_t v = 0; v < f->n_vms; v++) {
		for (uint32_t h = 0; h < f->n_hosts; h++) {
			glp_set_col_kind(p->glp, x(p, v, h), GLP_BV);
			if (f->vms[v].pinned && f->vms[v].host == h)
				glp_set_col_bnds(p->glp, x(p, v, h), GLP_FX, 1, 1);
			term(p, 1, x(p, v, h));
		}
		row(p, GLP_FX, 1);
	}
}

static void add_memory(struct programme *p, const struct mb_plan_options *options)
{
	const struct mb_fleet_view *f = p->fleet;

	assert_int_equal(options->count_sharing_percent, 0);
	for (uint32_t h = 0; h < f->n_hosts; h++) {
		assert_true(f->hosts[h].state == MB_HOST_ACTIVE && !f->hosts[h].trust);
		for (uint32_t v = 0; v < f->n_vms; v++)
			term(p, (double)f->vms[v].memory_mb, x(p, v, h));
		row(p, GLP_UP, (double)mb_plan_capacity_mb(&f->hosts[h], options));
	}
}

static void add_apart(struct programme *p)
{
	const struct mb_fleet_view *f = p->fleet;

	for (uint32_t i = 0; i < f->n_rules; i++) {
		assert_int_equal(f->rules[i].kind, MB_RULE_APART);
		for (uint32_t h = 0; h < f->n_hosts; h++) {
			for (uint32_t k = 0; k < f->rules[i].n_vms; k++)
				term(p, 1, x(p, f->rules[i].vms[k], h));
			row(p, GLP_UP, 1);
		}
	}
}

static bool first_of_tenant(const struct mb_fleet_view *f, uint32_t vm)
{
	for (uint32_t v = 0; v < vm; v++)
		if (f->vms[v].tenant == f->vms[vm].tenant)
			return false;
	return true;
}

static void add_tenants(struct programme *p)
{
	const struct mb_fleet_view *f = p->fleet;
	uint32_t vms[ENTRIES_MAX];

	for (uint32_t h = 0; h < f->n_hosts; h++) {
		int u[ENTRIES_MAX], n_tenants = 0;

		for (uint32_t v = 0; v < f->n_vms; v++) {
			uint32_t n = 0;

			if (!first_of_tenant(f, v))
				continue;
			for (uint32_t w = v; w < f->n_vms; w++)
				if (f->vms[w].tenant == f->vms[v].tenant)
					vms[n++] = w;
			u[n_tenants++] = any_of(p, vms, n, h);
		}
		for (int i = 0; i < n_tenants; i++)
			term(p, 1, u[i]);
		row(p, GLP_UP, 1);
	}
}

static void add_saving(struct programme *p)
{
	const struct mb_groups *g = p->fleet->groups;
	double together = 0;

	glp_set_obj_dir(p->glp, GLP_MAX);
	for (size_t i = 0; i < g->n_groups; i++) {
		double weight = (double)g->groups[i].weight_pages;

		together += weight * g->groups[i].n_vms;
		for (uint32_t h = 0; h < p->fleet->n_hosts; h++)
			glp_set_obj_coef(
				p->glp,
				any_of(p, g->vms + g->groups[i].first_vm, g->groups[i].n_vms, h),
				-weight);
	}
	glp_set_obj_coef(p->glp, 0, together);
}

static uint64_t solve(struct programme *p, uint32_t *ret_host)
{
	glp_iocp how;
	int r;

	glp_init_iocp(&how);
	how.presolve = GLP_ON;
	how.msg_lev = GLP_MSG_OFF;
	r = glp_intopt(p->glp, &how);
	if (r == GLP_ENOPFS || (r == 0 && glp_mip_status(p->glp) == GLP_NOFEAS))
		return UINT64_MAX;
	if (r != 0 || glp_mip_status(p->glp) != GLP_OPT)
		fail_msg("GLPK: %d, status %d", r, glp_mip_status(p->glp));
	for (uint32_t v = 0; v < p->fleet->n_vms; v++)
		for (uint32_t h = 0; h < p->fleet->n_hosts; h++)
			if (glp_mip_col_val(p->glp, x(p, v, h)) > 0.5)
				ret_host[v] = h;
	return (uint64_t)llround(glp_mip_obj_val(p->glp));
}

uint64_t exact_optimum(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		       uint32_t *ret_host)
{
	struct programme p = { .fleet = fleet, .glp = glp_create_prob() };
	uint64_t saving;

	add_vms(&p);
	add_memory(&p, options);
	add_apart(&p);
	if (options->one_tenant_per_host)
		add_tenants(&p);
	add_saving(&p);
	saving = solve(&p, ret_host);
	glp_delete_prob(p.glp);
	/* Else its allocator's own blocks look like a leak. */
	glp_free_env();
	return saving;
}
