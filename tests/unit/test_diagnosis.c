// SPDX-License-Identifier: GPL-2.0-or-later
/* GET /v1/doctor: server/doctor*.c on fleets that have one fault each. */
#include "server/doctor.h"

#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "tests/unit/util_server.h"

static const uint64_t second_ns = 1000000000;

struct scene {
	struct mb_fleet *fleet;
	struct mb_store *store;
	struct mb_sharing *sharing;
	struct mb_contacts *contacts;
	struct mb_refusals refusals;
	struct mb_health health;
	struct mb_api api;
	char db[128], file[128];
	uint64_t now_ns;
	struct mb_findings found;
	int64_t problems;
};

static void write_fleet(struct scene *s, const char *text)
{
	FILE *f = fopen(s->file, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* A server that is well, with a fleet file that has the host h1, and no VM. */
static int scene_open(void **state)
{
	static struct scene scene;
	static int n;
	struct scene *s = &scene;
	struct mb_err err = { 0 };
	char name[32];

	*s = (struct scene){ .now_ns = mb_unix_ns() };
	snprintf(name, sizeof(name), "%d.db", n);
	scratch_path(name, s->db);
	snprintf(name, sizeof(name), "%d.json", n++);
	scratch_path(name, s->file);
	write_fleet(s, "{\"hosts\":[{\"name\":\"h1\",\"memory_mb\":200}],\"vms\":[]}");
	assert_ok(mb_fleet_create(&s->fleet, &err), &err);
	assert_ok(mb_store_open(s->db, &s->store, &err), &err);
	assert_ok(mb_sharing_create(s->fleet, &s->sharing, &err), &err);
	assert_ok(mb_contacts_create(&s->contacts, &err), &err);
	mb_health_beat(&s->health, mb_now_ns());
	s->api = (struct mb_api){ .fleet = s->fleet,
				  .sharing = s->sharing,
				  .store = s->store,
				  .contacts = s->contacts,
				  .refusals = &s->refusals,
				  .health = &s->health,
				  .db_path = s->db,
				  .fleet_path = s->file };
	*state = s;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *s = *state;

	mb_findings_deinit(&s->found);
	mb_sharing_destroy(s->sharing);
	mb_store_close(s->store);
	mb_fleet_destroy(s->fleet);
	mb_contacts_destroy(s->contacts);
	return 0;
}

/* One that was acked now, and is not connected; not in the fleet yet. */
static void prepare_vm(struct scene *s, const char *name, const char *host, struct mb_vm *vm)
{
	struct mb_fingerprint fp;

	make_fingerprint_of(100, 1, 20, &fp);
	make_vm(name, 3, &fp, vm);
	mb_fingerprint_deinit(&fp);
	strcpy(vm->host, host);
	vm->pass.taken_unix_ns = vm->acked_unix_ns = s->now_ns;
	vm->pass.pages_unread = 0;
}

static void put_vm(struct scene *s, struct mb_vm *vm)
{
	struct mb_err err = { 0 };

	assert_ok(mb_fleet_add(s->fleet, vm, &err), &err);
}

static void add_vm(struct scene *s, const char *name, const char *host)
{
	struct mb_vm vm;

	prepare_vm(s, name, host, &vm);
	put_vm(s, &vm);
}

struct parameters {
	const char *of, *stale_s;
};

static const char *on_query(void *ctx, const char *name)
{
	const struct parameters *p = ctx;

	return strcmp(name, "of") == 0 ? p->of : strcmp(name, "stale_s") == 0 ? p->stale_s : NULL;
}

static int try(struct scene *s, const char *of, const char *stale_s, struct mb_err *err)
{
	struct parameters p = { of, stale_s };
	json_t *j = NULL;
	int r = mb_api_get(&s->api, "/v1/doctor", on_query, &p, &j, err);

	mb_findings_deinit(&s->found);
	if (r < 0)
		return r;
	assert_ok(mb_findings_from_json(json_object_get(j, "findings"), &s->found, err), err);
	s->problems = json_integer_value(json_object_get(j, "problems"));
	assert_int_equal(s->problems, mb_findings_count(&s->found, MB_SEVERITY_PROBLEM));
	json_decref(j);
	return 0;
}

static void look(struct scene *s, const char *of)
{
	struct mb_err err = { 0 };

	assert_ok(try(s, of, NULL, &err), &err);
}

static const struct mb_finding *find(struct scene *s, const char *id, const char *of)
{
	for (size_t i = 0; i < s->found.n; i++)
		if (strcmp(s->found.list[i].id, id) == 0 && strcmp(s->found.list[i].of, of) == 0)
			return &s->found.list[i];
	return NULL;
}

static void expect(struct scene *s, const char *id, const char *of, enum mb_severity severity,
		   const char *fix)
{
	const struct mb_finding *f = find(s, id, of);

	if (!f)
		fail_msg("no %s of \"%s\"", id, of);
	assert_int_equal(f->severity, severity);
	if (!strstr(f->fix, fix))
		fail_msg("%s: \"%s\", without \"%s\"", id, f->fix, fix);
}

static bool has_seen(const struct mb_finding *f, const char *word)
{
	for (unsigned int i = 0; i < f->n_seen; i++)
		if (strstr(f->seen[i].value, word))
			return true;
	return false;
}

/* --- agents ----------------------------------------------------------------------------------- */

static void test_well(void **state)
{
	struct scene *s = *state;

	add_vm(s, "web1", "h1");
	add_vm(s, "web2", "h1");
	look(s, NULL);
	assert_int_equal(s->problems, 0);
	expect(s, "agents-fresh", "", MB_SEVERITY_OK, "");
	expect(s, "store", "", MB_SEVERITY_OK, "");
	assert_int_equal(s->found.n, 2);
}

static void test_stale(void **state)
{
	struct scene *s = *state;
	struct mb_err err = { 0 };
	struct mb_vm vm;

	add_vm(s, "web2", "h1");
	prepare_vm(s, "web1", "h1", &vm);
	vm.acked_unix_ns = vm.pass.taken_unix_ns = s->now_ns - 200 * second_ns;
	put_vm(s, &vm);
	look(s, NULL);
	expect(s, "agent-stale", "web1", MB_SEVERITY_PROBLEM,
	       "systemctl restart mbagent@web1 on h1; of a VM that is no more: mbserver "
	       "--forget-vm web1");
	assert_non_null(strstr(find(s, "agent-stale", "web1")->text, "3 min 2"));
	assert_null(find(s, "agent-stale", "web2"));
	assert_null(find(s, "agents-fresh", ""));
	assert_ok(try(s, NULL, "1000", &err), &err);
	assert_null(find(s, "agent-stale", "web1"));
	/* With what is known of its agent. */
	mb_contacts_greeted(s->contacts, "web1", "tcp:192.0.2.1:99", s->now_ns - 100);
	look(s, NULL);
	assert_true(has_seen(find(s, "agent-stale", "web1"), "tcp:192.0.2.1:99"));
	mb_contacts_refused(s->contacts, "web1", "tcp:192.0.2.1:100", 0, MB_FOR_EXPIRED,
			    "certificate has expired", s->now_ns);
	look(s, NULL);
	expect(s, "agent-stale", "web1", MB_SEVERITY_PROBLEM, "mbctl pki agent NAME --vm web1");
	assert_true(has_seen(find(s, "agent-stale", "web1"), "certificate has expired"));
	/* That is said once. */
	assert_null(find(s, "agent-refused", "web1"));
}

/* One that comes every ten minutes is not late after five. */
static void test_own_pace(void **state)
{
	struct scene *s = *state;
	struct mb_vm vm;

	prepare_vm(s, "slow", "h1", &vm);
	for (uint64_t age_s = 1500; age_s > 600; age_s -= 600) {
		vm.acked_unix_ns = vm.pass.taken_unix_ns = s->now_ns - age_s * second_ns;
		vm.epoch++;
		store_vm(s->store, &vm);
	}
	vm.acked_unix_ns = vm.pass.taken_unix_ns = s->now_ns - 300 * second_ns;
	vm.epoch++;
	store_vm(s->store, &vm);
	put_vm(s, &vm);
	look(s, NULL);
	assert_null(find(s, "agent-stale", "slow"));
	expect(s, "agents-fresh", "", MB_SEVERITY_OK, "");
	prepare_vm(s, "quick", "h1", &vm);
	vm.acked_unix_ns = vm.pass.taken_unix_ns = s->now_ns - 300 * second_ns;
	vm.session = 7;
	put_vm(s, &vm);
	look(s, NULL);
	expect(s, "agent-stale", "quick", MB_SEVERITY_PROBLEM, "it is connected");
}

static void test_no_epoch(void **state)
{
	struct scene *s = *state;
	struct mb_vm vm = { .name = "new", .session = 3 };

	make_identity("d", 1, &vm.identity);
	put_vm(s, &vm);
	mb_contacts_greeted(s->contacts, "new", "a", s->now_ns);
	look(s, NULL);
	expect(s, "agent-no-epoch", "new", MB_SEVERITY_NOTE, "");
	mb_contacts_greeted(s->contacts, "new", "a", s->now_ns - 300 * second_ns);
	look(s, NULL);
	expect(s, "agent-no-epoch", "new", MB_SEVERITY_PROBLEM, "journalctl -u mbagent@new");
}

static void refuse(struct scene *s, const char *vm, enum mb_refusal code, int why)
{
	mb_contacts_refused(s->contacts, vm, "tcp:192.0.2.7:1", code, why, "because",
			    s->now_ns - second_ns);
}

static void test_refused(void **state)
{
	struct scene *s = *state;

	add_vm(s, "busy", "h1");
	refuse(s, "busy", MB_REFUSED_BUSY, -1);
	refuse(s, "key", MB_REFUSED_IDENTITY, -1);
	refuse(s, "old", MB_REFUSED_VERSION, -1);
	refuse(s, "foreign", 0, MB_FOR_OTHER_VM);
	refuse(s, "much", 0, MB_FOR_QUOTA + MB_QUOTA_MB_PER_HOUR);
	refuse(s, "disk", 0, MB_FOR_STORE);
	refuse(s, "came", MB_REFUSED_IDENTITY, -1);
	mb_contacts_greeted(s->contacts, "came", "a", s->now_ns);
	look(s, NULL);
	expect(s, "agent-duplicate", "busy", MB_SEVERITY_PROBLEM, "systemctl stop mbagent@busy");
	expect(s, "agent-refused", "key", MB_SEVERITY_PROBLEM, "mbctl key id");
	expect(s, "agent-refused", "old", MB_SEVERITY_PROBLEM, "--version");
	expect(s, "agent-refused", "foreign", MB_SEVERITY_PROBLEM, "--vm foreign");
	expect(s, "agent-put-off", "much", MB_SEVERITY_NOTE, "--quota mb_per_hour=N");
	expect(s, "agent-put-off", "disk", MB_SEVERITY_NOTE, "df -h");
	assert_true(has_seen(find(s, "agent-refused", "key"), "tcp:192.0.2.7:1"));
	assert_null(find(s, "agent-refused", "came"));
	/* All of it is about one VM each; a VM that never got in can be asked about, too. */
	look(s, "key");
	assert_int_equal(s->found.n, 1);
	look(s, "busy");
	assert_null(find(s, "agent-refused", "key"));
}

static void test_strangers(void **state)
{
	struct scene *s = *state;

	for (int why = 0; why < MB_FOR_END; why++) {
		char from[32];

		snprintf(from, sizeof(from), "tcp:192.0.2.%d", why);
		mb_contacts_refused(s->contacts, "", from, 0, why, "because", s->now_ns);
	}
	mb_contacts_refused(s->contacts, "", "long ago", 0, MB_FOR_EXPIRED, "because",
			    s->now_ns - 7200 * second_ns);
	look(s, NULL);
	expect(s, "peer-refused", "tcp:192.0.2.0", MB_SEVERITY_PROBLEM, "mbctl pki agent");
	expect(s, "peer-refused", "tcp:192.0.2.6", MB_SEVERITY_NOTE, "--tls-cert");
	assert_null(find(s, "peer-refused", "long ago"));
	/* Each reason that there is has something to be done. */
	for (size_t i = 0; i < s->found.n; i++)
		if (strcmp(s->found.list[i].id, "peer-refused") == 0 &&
		    strcmp(s->found.list[i].of, "tcp:192.0.2.10") != 0 &&
		    strcmp(s->found.list[i].of, "tcp:192.0.2.11") != 0)
			assert_true(*s->found.list[i].fix);
}

static void test_rotation(void **state)
{
	struct scene *s = *state;
	struct mb_key_rotation r;
	struct mb_identity new_key;
	struct mb_err err = { 0 };

	add_vm(s, "web1", "h1");
	add_vm(s, "web2", "h1");
	make_identity("d", 2, &new_key);
	assert_ok(mb_fleet_plan_rotation(s->fleet, "d", mb_identity_key_id(&new_key), &r, &err),
		  &err);
	r.begun_unix_ns = s->now_ns;
	assert_ok(mb_fleet_begin_rotation(s->fleet, &r, &err), &err);
	look(s, NULL);
	expect(s, "rotation-pending", "domain d", MB_SEVERITY_NOTE, "mbserver --forget-vm web1");
	assert_non_null(strstr(find(s, "rotation-pending", "domain d")->text, "2 of its VMs"));
	r.begun_unix_ns = s->now_ns - 8 * 86400 * second_ns;
	assert_ok(mb_fleet_begin_rotation(s->fleet, &r, &err), &err);
	look(s, NULL);
	expect(s, "rotation-pending", "domain d", MB_SEVERITY_PROBLEM, "");
}

/* --- tracking --------------------------------------------------------------------------------- */

static void test_trackers(void **state)
{
	struct scene *s = *state;
	struct mb_vm vm;

	add_vm(s, "outside", "h1");
	prepare_vm(s, "inside", "h1", &vm);
	strcpy(vm.source, "this machine, 256 MiB");
	put_vm(s, &vm);
	prepare_vm(s, "soft", "h1", &vm);
	vm.pass.guest.known = true;
	strcpy(vm.tracker, "softdirty");
	put_vm(s, &vm);
	prepare_vm(s, "best", "h1", &vm);
	vm.pass.guest.known = true;
	strcpy(vm.tracker, "bpf");
	put_vm(s, &vm);
	look(s, NULL);
	expect(s, "tracker-fell-back", "inside", MB_SEVERITY_PROBLEM, "mbagent doctor, in inside");
	expect(s, "tracker-fell-back", "soft", MB_SEVERITY_NOTE, "mbagent doctor");
	assert_null(find(s, "tracker-fell-back", "outside"));
	assert_null(find(s, "tracker-fell-back", "best"));
}

static void add_audited(struct scene *s, const char *name, uint64_t changed, uint64_t stale,
			uint32_t doubted)
{
	struct mb_vm vm;

	prepare_vm(s, name, "h1", &vm);
	vm.totals.audit =
		(struct mb_audit){ .audits = 4, .doubted = doubted, .follows = 1 << MB_CLASS_ANON };
	vm.totals.audit.changed[MB_CLASS_ANON] = changed;
	vm.totals.audit.stale[MB_CLASS_ANON] = stale;
	/* Not followed: never relied on. */
	vm.totals.audit.changed[MB_CLASS_SLAB] = 500;
	vm.totals.audit.stale[MB_CLASS_SLAB] = 500;
	put_vm(s, &vm);
}

static void test_audits(void **state)
{
	struct scene *s = *state;
	struct mb_vm vm;

	add_audited(s, "exact", 10000, 0, 0);
	add_audited(s, "near", 10000, 50, 1);
	add_audited(s, "bad", 10000, 500, 0);
	add_audited(s, "doubting", 10000, 0, 2);
	prepare_vm(s, "unread", "h1", &vm);
	vm.pass.pages_unread = 2;
	put_vm(s, &vm);
	look(s, NULL);
	expect(s, "audit-recall", "bad", MB_SEVERITY_PROBLEM, "mbctl history bad");
	assert_non_null(strstr(find(s, "audit-recall", "bad")->text, "95.00 %"));
	expect(s, "audit-recall", "near", MB_SEVERITY_NOTE, "--audit N");
	assert_null(find(s, "audit-recall", "exact"));
	assert_null(find(s, "tracker-doubts", "near"));
	expect(s, "tracker-doubts", "doubting", MB_SEVERITY_NOTE, "mbagent@doubting");
	expect(s, "pages-unread", "unread", MB_SEVERITY_NOTE, "mbagent scan");
	assert_null(find(s, "pages-unread", "exact"));
	look(s, "near");
	assert_null(find(s, "audit-recall", "bad"));
}

/* --- the fleet -------------------------------------------------------------------------------- */

static void test_fleet_file(void **state)
{
	struct scene *s = *state;

	add_vm(s, "web1", "h1");
	add_vm(s, "far1", "h2");
	add_vm(s, "lost", "");
	write_fleet(s, "{\"hosts\":[{\"name\":\"h1\",\"memory_mb\":200}],\"vms\":[{\"name\":"
		       "\"later\",\"memory_mb\":9}]}");
	look(s, NULL);
	expect(s, "host-unknown", "h2", MB_SEVERITY_PROBLEM, "\"name\": \"h2\"");
	assert_true(has_seen(find(s, "host-unknown", "h2"), "far1"));
	expect(s, "vm-nowhere", "", MB_SEVERITY_NOTE, "--host NAME");
	assert_true(has_seen(find(s, "vm-nowhere", ""), "lost"));
	expect(s, "vm-unseen", "", MB_SEVERITY_NOTE, "");
	assert_true(has_seen(find(s, "vm-unseen", ""), "later"));
	look(s, "web1");
	assert_int_equal(s->problems, 0);
	look(s, "far1");
	expect(s, "host-unknown", "h2", MB_SEVERITY_PROBLEM, "");
	look(s, "h2");
	expect(s, "host-unknown", "h2", MB_SEVERITY_PROBLEM, "");
	write_fleet(s, "{");
	look(s, NULL);
	expect(s, "fleet-file", "", MB_SEVERITY_PROBLEM, "mend the file");
	assert_true(has_seen(find(s, "fleet-file", ""), "line 1"));
	assert_null(find(s, "host-unknown", "h2"));
	s->api.fleet_path = NULL;
	look(s, NULL);
	expect(s, "fleet-file", "", MB_SEVERITY_NOTE, "--fleet FILE");
}

static void add_of(struct scene *s, const char *name, const char *domain, uint32_t bits)
{
	struct mb_vm vm;

	prepare_vm(s, name, "h1", &vm);
	make_identity(domain, 1, &vm.identity);
	vm.identity.bits = bits;
	put_vm(s, &vm);
}

static void test_identities(void **state)
{
	struct scene *s = *state;

	add_of(s, "a1", "d", 64);
	add_of(s, "a2", "d", 64);
	add_of(s, "other", "d", 48);
	add_of(s, "tenant", "e", 64);
	look(s, NULL);
	expect(s, "not-compared", "domain d", MB_SEVERITY_PROBLEM, "--bits");
	assert_true(has_seen(find(s, "not-compared", "domain d"), "other"));
	assert_true(has_seen(find(s, "not-compared", "domain d"), "48"));
	expect(s, "alone-in-domain", "", MB_SEVERITY_NOTE, "--domain");
	assert_true(has_seen(find(s, "alone-in-domain", ""), "tenant"));
	look(s, "a1");
	assert_null(find(s, "not-compared", "domain d"));
	look(s, "other");
	expect(s, "not-compared", "domain d", MB_SEVERITY_PROBLEM, "");
}

static void test_filters(void **state)
{
	struct scene *s = *state;
	struct mb_vm vm;

	prepare_vm(s, "small", "h1", &vm);
	small_vm(&vm, &(struct mb_sample_of){ .cut_bits = 20 });
	put_vm(s, &vm);
	look(s, NULL);
	expect(s, "bloom-filters", "", MB_SEVERITY_NOTE, "--sample");
}

/* --- the server ------------------------------------------------------------------------------- */

static void test_store(void **state)
{
	struct scene *s = *state;

	mb_health_stored(&s->health, false);
	refuse(s, "web1", 0, MB_FOR_STORE);
	look(s, NULL);
	expect(s, "store-fails", "", MB_SEVERITY_PROBLEM, "df -h");
	assert_true(has_seen(find(s, "store-fails", ""), "because"));
	mb_health_stored(&s->health, true);
	look(s, NULL);
	expect(s, "store-fails", "", MB_SEVERITY_NOTE, "");
	assert_null(find(s, "api-refused", ""));
	mb_refusals_count(&s->refusals, MB_FOR_API_ROLE);
	look(s, NULL);
	expect(s, "api-refused", "", MB_SEVERITY_NOTE, "--access-log");
}

static void test_memory(void **state)
{
	struct scene *s = *state;
	struct mb_err err = { 0 };

	/* No more than a few bytes fit; what the store has is not needed for that. */
	for (int i = 0; i < 4; i++) {
		struct mb_fingerprint fp;
		struct mb_vm vm;
		char name[16];

		snprintf(name, sizeof(name), "vm%d", i);
		make_fingerprint_of(1, (uint64_t)1 << 40, 100000, &fp);
		make_vm(name, 3, &fp, &vm);
		mb_fingerprint_deinit(&fp);
		vm.acked_unix_ns = s->now_ns;
		store_vm(s->store, &vm);
		assert_ok(mb_fleet_add(s->fleet, &vm, &err), &err);
	}
	look(s, NULL);
	assert_null(find(s, "memory-budget", ""));
	mb_fleet_set_budget(s->fleet, 1 << 20);
	mb_fleet_trim(s->fleet);
	look(s, NULL);
	expect(s, "memory-budget", "", MB_SEVERITY_NOTE, "--memory-budget");
	assert_true(has_seen(find(s, "memory-budget", ""), "1 MB"));
}

/* --- the question ----------------------------------------------------------------------------- */

static void test_bad_questions(void **state)
{
	struct scene *s = *state;
	struct mb_err err = { 0 };

	add_vm(s, "web1", "h1");
	assert_fails(try(s, "nobody", NULL, &err), ENOENT, &err, "\"nobody\"");
	assert_fails(try(s, NULL, "0", &err), EINVAL, &err, "stale_s");
	assert_fails(try(s, NULL, "soon", &err), EINVAL, &err, "stale_s");
	/* A server that remembers nobody. */
	s->api.contacts = NULL;
	s->api.refusals = NULL;
	s->api.health = NULL;
	look(s, NULL);
	look(s, "web1");
	assert_int_equal(s->problems, 0);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_well),       test(test_stale),      test(test_own_pace),
		test(test_no_epoch),   test(test_refused),    test(test_strangers),
		test(test_rotation),   test(test_trackers),   test(test_audits),
		test(test_fleet_file), test(test_identities), test(test_filters),
		test(test_store),      test(test_memory),     test(test_bad_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
