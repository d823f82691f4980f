// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "tests/unit/util_doctor.h"

static const struct mb_findings *found(const struct mb_doctor *d)
{
	return found_by(d, mb_doctor_tracker_checks);
}

/* A guest with the module, where bpf, softdirty and none are tried. */
static void make_guest(struct mb_doctor *d)
{
	make_host(d);
	d->has_sources = d->has_module = d->reads_processes = true;
	d->n_trackers = 3;
	d->trackers[0] = (struct mb_doctor_tracker){ .name = "bpf",
						     .works = true,
						     .strength = MB_STRENGTH_PROOF };
	d->trackers[1] = (struct mb_doctor_tracker){ .name = "softdirty",
						     .works = true,
						     .strength = MB_STRENGTH_HINT };
	d->trackers[2] = (struct mb_doctor_tracker){ .name = "none", .works = true };
}

static void fail_tracker(struct mb_doctor_tracker *t, const char *why, const char *missing)
{
	t->works = false;
	snprintf(t->text, sizeof(t->text), "%s", why);
	snprintf(t->missing, sizeof(t->missing), "%s", missing);
}

static void test_well(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_guest(&d);
	assert_finding(found(&d), "tracker", MB_SEVERITY_OK, "");
	assert_string_equal(find_id(found(&d), "tracker")->of, "bpf");
	assert_int_equal(found(&d)->n, 1);
	/* Of a copy of another machine nothing is known. */
	d.has_sources = false;
	d.n_trackers = 0;
	assert_int_equal(found(&d)->n, 0);
}

static void test_no_module(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_guest(&d);
	d.has_module = false;
	strcpy(d.module, "the module mbwalk is not loaded");
	strcpy(d.host.release, "6.1.0");
	strcpy(d.host.lockdown, "integrity");
	fail_tracker(&d.trackers[0], "the module mbwalk is not loaded", "");
	assert_finding(found(&d), "module-missing", MB_SEVERITY_NOTE,
		       "make kmod KDIR=/lib/modules/6.1.0/build");
	assert_non_null(strstr(find_id(found(&d), "module-missing")->seen[1].value, "signed"));
	assert_none(found(&d), "tracker-fails");
	d.reads_processes = false;
	strcpy(d.why_not_read, "ptrace_scope");
	assert_finding(found(&d), "process-unreadable", MB_SEVERITY_NOTE, "root");
	add_process(&d, "qemu", 5);
	assert_finding(found(&d), "process-unreadable", MB_SEVERITY_PROBLEM, "root");
}

/* It is one thing, whatever each tracker says of it. */
static void test_not_loaded(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_guest(&d);
	strcpy(d.module, "not loaded yet; /lib/modules/mbwalk.ko fits this kernel");
	fail_tracker(&d.trackers[0], "the module mbwalk is not loaded (no /dev/mbwalk)", "");
	fail_tracker(&d.trackers[1], "the module mbwalk is not loaded (no /dev/mbwalk)", "");
	assert_finding(found(&d), "module-unloaded", MB_SEVERITY_NOTE, "modprobe mbwalk");
	assert_int_equal(found(&d)->n, 1);
}

static void test_why_bpf_fails(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_guest(&d);
	fail_tracker(&d.trackers[0], "programs: not permitted", "CAP_BPF");
	assert_finding(found(&d), "tracker-fails", MB_SEVERITY_PROBLEM, "with: CAP_BPF");
	fail_tracker(&d.trackers[0], "this kernel does not tell its types", "");
	d.host.has_btf = false;
	assert_finding(found(&d), "tracker-fails", MB_SEVERITY_PROBLEM, "--btf FILE");
	d.host.has_btf = true;
	strcpy(d.host.lockdown, "confidentiality");
	assert_finding(found(&d), "tracker-fails", MB_SEVERITY_PROBLEM, "lockdown=");
	strcpy(d.host.lockdown, "");
	assert_finding(found(&d), "tracker-fails", MB_SEVERITY_PROBLEM, "docs/tracking.md");
	/* The next one is taken, and is no more than a hint. */
	assert_finding(found(&d), "tracker", MB_SEVERITY_NOTE, "");
	assert_string_equal(find_id(found(&d), "tracker")->of, "softdirty");
}

static void test_all_fail(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;
	const struct mb_findings *f;

	(void)state;
	make_guest(&d);
	fail_tracker(&d.trackers[0], "odd", "");
	fail_tracker(&d.trackers[1], "built without CONFIG_MEM_SOFT_DIRTY", "");
	f = found(&d);
	assert_int_equal(f->n, 3);
	assert_string_equal(f->list[1].of, "softdirty");
	assert_int_equal(f->list[1].severity, MB_SEVERITY_NOTE);
	assert_non_null(strstr(f->list[1].fix, "CONFIG_MEM_SOFT_DIRTY"));
	assert_finding(f, "tracker", MB_SEVERITY_NOTE, "above");
}

/* This very machine: whatever it can do, all trackers are tried, and the last one works. */
static void test_here(void **state)
{
	const struct mb_tracker_options options = { 0 };
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d = { 0 };

	(void)state;
	mb_doctor_try_trackers(&d, &options);
	assert_true(d.has_sources);
	assert_true(d.n_trackers >= 3);
	assert_string_equal(d.trackers[d.n_trackers - 1].name, "none");
	assert_true(d.trackers[d.n_trackers - 1].works);
	assert_true(*d.module);
	for (size_t i = 0; i < d.n_trackers; i++)
		assert_true(*d.trackers[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_well),	      cmocka_unit_test(test_no_module),
		cmocka_unit_test(test_not_loaded),    cmocka_unit_test(test_why_bpf_fails),
		cmocka_unit_test(test_all_fail),      cmocka_unit_test(test_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
