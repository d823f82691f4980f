// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_doctor.h"

#include <string.h>
#include <sys/stat.h>

void root_put(const char *path, const char *text)
{
	char full[256], *slash;

	snprintf(full, sizeof(full), "%s/%s", proc_root, path);
	for (slash = full + strlen(proc_root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		if (mkdir(full, 0700) < 0)
			assert_int_equal(errno, EEXIST);
		*slash = '/';
	}
	proc_put(path, text);
}

void set_number(struct mb_doctor *d, enum mb_host_number n, int64_t value)
{
	d->host.known[n] = true;
	d->host.number[n] = value;
}

void make_host(struct mb_doctor *d)
{
	*d = (struct mb_doctor){ 0 };
	d->host.has_ksm = d->host.sees_kernel = d->host.has_ksmd = d->host.has_btf = true;
	d->host.n_nodes = 1;
	set_number(d, MB_KSM_RUN, 1);
	set_number(d, MB_KSM_PAGES_TO_SCAN, 100);
	set_number(d, MB_KSM_SLEEP_MS, 20);
	set_number(d, MB_KSM_SHARED, 100);
	set_number(d, MB_KSM_SHARING, 900);
	set_number(d, MB_KSM_UNSHARED, 1000);
	set_number(d, MB_KSM_VOLATILE, 0);
	set_number(d, MB_KSM_FULL_SCANS, 40);
	set_number(d, MB_KSM_MAX_SHARING, 256);
	set_number(d, MB_KSM_ACROSS_NODES, 1);
}

struct mb_doctor_process *add_process(struct mb_doctor *d, const char *name, uint64_t pages)
{
	struct mb_doctor_processes *p = &d->processes;

	p->list = reallocarray(p->list, p->n + 1, sizeof(*p->list));
	assert_non_null(p->list);
	p->list[p->n] = (struct mb_doctor_process){ .pid = 100 + (int)p->n, .monitor = true };
	snprintf(p->list[p->n].name, sizeof(p->list[0].name), "%s", name);
	p->list[p->n].resident[MB_GAP_WAITING] = pages;
	return &p->list[p->n++];
}

const struct mb_findings *found_by(const struct mb_doctor *d, const mb_doctor_check *checks)
{
	static struct mb_findings f;
	struct mb_err err = { 0 };

	mb_findings_deinit(&f);
	for (; *checks; checks++)
		(*checks)(d, &f);
	assert_ok(mb_findings_check(&f, &err), &err);
	return &f;
}

const struct mb_finding *find_id(const struct mb_findings *f, const char *id)
{
	const struct mb_finding *ret = NULL;

	for (size_t i = 0; i < f->n; i++) {
		if (strcmp(f->list[i].id, id) != 0)
			continue;
		if (ret)
			fail_msg("%s is found twice", id);
		ret = &f->list[i];
	}
	if (!ret)
		fail_msg("no %s", id);
	return ret;
}

void assert_none(const struct mb_findings *f, const char *id)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->list[i].id, id) == 0)
			fail_msg("%s: %s", id, f->list[i].text);
}

void assert_finding(const struct mb_findings *f, const char *id, enum mb_severity severity,
		    const char *fix)
{
	const struct mb_finding *x = find_id(f, id);

	assert_int_equal(x->severity, severity);
	if (!strstr(x->fix, fix))
		fail_msg("%s: fix \"%s\", without \"%s\"", id, x->fix, fix);
	/* Each problem says what to do, and what was seen. */
	if (severity == MB_SEVERITY_PROBLEM)
		assert_true(*x->fix && x->n_seen);
	assert_true(*x->text);
}
