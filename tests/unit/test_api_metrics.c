// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/api_metrics.h"


#include <unistd.h>
#include "proto/base/cleanup.h"
#include "tests/unit/util_server.h"

/* Two VMs that have 10 contents in common, a host that the file names and one that it does not. */
struct scene {
	char db[128], file[128];
	struct mb_fleet *fleet;
	struct mb_store *store;
	struct mb_refusals refusals;
	struct mb_health health;
	struct mb_api api;
	struct mb_buf text;
};

static void add(struct scene *s, const char *name, uint64_t first, const char *host)
{
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	struct mb_vm vm;

	make_fingerprint_of(first, 1, 20, &fp);
	make_vm(name, 7, &fp, &vm);
	mb_fingerprint_deinit(&fp);
	snprintf(vm.host, sizeof(vm.host), "%s", host);
	store_vm(s->store, &vm);
	assert_ok(mb_fleet_add(s->fleet, &vm, &err), &err);
}

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct mb_err err = { 0 };
	FILE *f;

	scratch_path("m.db", s->db);
	scratch_path("m.json", s->file);
	f = fopen(s->file, "we");
	fputs("{ \"hosts\": [ { \"name\": \"h1\", \"memory_mb\": 3 } ], \"vms\": [] }", f);
	fclose(f);
	assert_ok(mb_fleet_create(&s->fleet, &err), &err);
	assert_ok(mb_store_open(s->db, &s->store, &err), &err);
	add(s, "a\"1", 100, "h1");
	add(s, "b1", 110, "h1");
	add(s, "c1", 110, "elsewhere");
	s->api = (struct mb_api){ .fleet = s->fleet,
				  .store = s->store,
				  .fleet_path = s->file,
				  .health = &s->health };
	assert_ok(mb_sharing_create(s->fleet, &s->api.sharing, &err), &err);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	mb_buf_deinit(&s->text);
	mb_sharing_destroy(s->api.sharing);
	mb_store_close(s->store);
	mb_fleet_destroy(s->fleet);
	unlink(s->db);
	free(s);
	return 0;
}

static const char *scrape(struct scene *s)
{
	struct mb_err err = { 0 };

	mb_buf_clear(&s->text);
	assert_ok(mb_api_metrics(&s->api, &s->text, &err), &err);
	mb_buf_put_u8(&s->text, 0);
	return (const char *)s->text.data;
}

static void compute(struct scene *s)
{
	const struct mb_sharing_view *view;
	struct mb_err err = { 0 };

	assert_ok(mb_sharing_lock(s->api.sharing, &view, &err), &err);
	mb_sharing_unlock(s->api.sharing);
}

static void expect(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("no \"%s\" in\n%s", line, text);
}

static void test_vms(void **state)
{
	const char *text = scrape(*state);

	expect(text, "\nmemory_buddies_vms 3\n");
	expect(text, "\nmemory_buddies_vm_pages{vm=\"a\\\"1\"} 20\n");
	expect(text, "\nmemory_buddies_vm_distinct_pages{vm=\"b1\"} 20\n");
	expect(text, "\nmemory_buddies_vm_online{vm=\"b1\"} 0\n");
	expect(text, "\nmemory_buddies_build_info{version=\"");
	expect(text, "\nprocess_resident_memory_bytes ");
}

/* A scrape computes nothing, and what is not known is not there: 0 would be a figure. */
static void test_sharing_when_it_was_computed(void **state)
{
	struct scene *s = *state;
	const char *text = scrape(s);

	assert_null(strstr(text, "_inter_"));
	assert_null(strstr(text, "memory_buddies_host_"));
	compute(s);
	text = scrape(s);
	expect(text, "\nmemory_buddies_vm_inter_sharable_pages{vm=\"a\\\"1\"} 10\n");
	expect(text, "\nmemory_buddies_vm_inter_sharable_pages{vm=\"b1\"} 20\n");
	expect(text, "\nmemory_buddies_host_vms{host=\"h1\"} 2\n");
	expect(text, "\nmemory_buddies_host_pages{host=\"h1\"} 40\n");
	expect(text, "\nmemory_buddies_host_saving_pages{host=\"h1\"} 10\n");
	expect(text, "\nmemory_buddies_host_inter_saving_pages{host=\"h1\"} 10\n");
	expect(text, "\nmemory_buddies_host_inter_saving_pages{host=\"elsewhere\"} 0\n");
	expect(text, "\nmemory_buddies_host_memory_bytes{host=\"h1\"} 3145728\n");
	assert_null(strstr(text, "memory_buddies_host_memory_bytes{host=\"elsewhere\"}"));
}

static void test_what_an_epoch_adds(void **state)
{
	struct scene *s = *state;
	struct mb_vm vm;

	mb_fleet_get(s->fleet, 1, &vm);
	vm.epoch = 9;
	vm.wire_bytes = 1000;
	vm.pass.epochs = 2;
	vm.pass.pages_changed = 30;
	vm.pass.audit = (struct mb_audit){ .audits = 1, .follows = 1 << MB_CLASS_ANON };
	vm.pass.audit.changed[MB_CLASS_ANON] = 12;
	vm.pass.audit.changed[MB_CLASS_SLAB] = 100;
	vm.pass.audit.stale[MB_CLASS_ANON] = 3;
	vm.pass.audit.stale[MB_CLASS_SLAB] = 50;
	for (int i = 0; i < 2; i++) {
		mb_fpref_get(vm.fp);
		mb_fleet_publish(s->fleet, 1, &vm);
	}
	mb_vm_deinit(&vm);
	expect(scrape(s), "\nmemory_buddies_vm_epochs_total{vm=\"b1\"} 4\n");
	expect(scrape(s), "\nmemory_buddies_vm_received_bytes_total{vm=\"b1\"} 2000\n");
	expect(scrape(s), "\nmemory_buddies_vm_changed_pages_total{vm=\"b1\"} 60\n");
	expect(scrape(s), "\nmemory_buddies_vm_audits_total{vm=\"b1\"} 2\n");
	expect(scrape(s), "\nmemory_buddies_vm_audit_changed_pages_total{vm=\"b1\"} 24\n");
	expect(scrape(s), "\nmemory_buddies_vm_audit_stale_pages_total{vm=\"b1\"} 6\n");
	expect(scrape(s), "\nmemory_buddies_vm_epochs_total{vm=\"c1\"} 0\n");
}

static void test_failures(void **state)
{
	struct scene *s = *state;
	struct mb_err err = { 0 };

	assert_null(strstr(scrape(s), "refused"));
	s->api.refusals = &s->refusals;
	mb_refusals_count(&s->refusals, MB_FOR_REVOKED);
	mb_health_stored(&s->health, false);
	expect(scrape(s), "\nmemory_buddies_refused_connections_total{reason=\"revoked\"} 1\n");
	expect(scrape(s), "\nmemory_buddies_failed_epochs_total 1\n");
	/* A broken fleet file is told, not passed over. */
	compute(s);
	unlink(s->file);
	mb_buf_clear(&s->text);
	assert_fails(mb_api_metrics(&s->api, &s->text, &err), EIO, &err, "fleet file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_vms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sharing_when_it_was_computed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_an_epoch_adds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("api_metrics", tests, NULL, NULL);
}
