// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/api.h"

#include "proto/base/clock.h"
#include "tests/unit/util_server.h"

/* "vm\0web1\0limit\09\0" and so on; an empty name ends it. */
static const char *on_query(void *ctx, const char *name)
{
	for (const char *p = ctx; p && *p;) {
		const char *value = p + strlen(p) + 1;

		if (strcmp(p, name) == 0)
			return value;
		p = value + strlen(value) + 1;
	}
	return NULL;
}

/* web1 and web2 share 15 digests, db1 has none of them; other1 is of another domain. */
struct scene {
	struct mb_fleet *fleet;
	struct mb_store *store;
	struct mb_sharing *sharing;
	struct mb_api api;
	char db[128], file[128];
};

static void put_vm(struct scene *s, const char *name, uint64_t first, const char *domain,
		   const char *host)
{
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	struct mb_vm vm;

	make_fingerprint_of(first, 1, 20, &fp);
	make_vm(name, 3, &fp, &vm);
	mb_fingerprint_deinit(&fp);
	make_identity(domain, 1, &vm.identity);
	strcpy(vm.host, host);
	vm.pass.pages_read = 19;
	store_vm(s->store, &vm);
	vm.session = name[0] == 'd' ? 9 : 0;
	if (name[0] == 'd')
		vm.pass.guest = (struct mb_guest){ .known = true,
						   .available_bytes = 7,
						   .free_bytes = 5,
						   .swapped_bytes = 3,
						   .swapped_ns = 1500000000,
						   .has_stalls = true,
						   .some_per_myriad = 150,
						   .full_per_myriad = 25 };
	assert_ok(mb_fleet_add(s->fleet, &vm, &err), &err);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

#define FLEET                                                                                      \
	"{\"hosts\":[{\"name\":\"h1\",\"memory_mb\":200},{\"name\":\"h2\",\"memory_mb\":200}],"    \
	"\"vms\":[{\"name\":\"new1\",\"memory_mb\":10}]}"

static void scene_open(struct scene *s)
{
	static int n;
	struct mb_vm silent = { .name = "silent" };
	struct mb_err err = { 0 };
	char name[32];

	*s = (struct scene){ 0 };
	snprintf(name, sizeof(name), "%d.db", n);
	scratch_path(name, s->db);
	snprintf(name, sizeof(name), "%d.json", n++);
	scratch_path(name, s->file);
	write_text(s->file, FLEET);
	assert_ok(mb_fleet_create(&s->fleet, &err), &err);
	assert_ok(mb_store_open(s->db, &s->store, &err), &err);
	assert_ok(mb_sharing_create(s->fleet, &s->sharing, &err), &err);
	put_vm(s, "web1", 100, "d", "h1");
	put_vm(s, "web2", 105, "d", "h2");
	put_vm(s, "db1", 500, "d", "h1");
	put_vm(s, "other1", 100, "e", "far");
	make_identity("d", 1, &silent.identity);
	assert_ok(mb_fleet_add(s->fleet, &silent, &err), &err);
	s->api = (struct mb_api){ .sharing = s->sharing,
				  .store = s->store,
				  .db_path = s->db,
				  .fleet_path = s->file,
				  .start_ns = mb_now_ns() - 5000000000 };
}

static void scene_close(struct scene *s)
{
	mb_sharing_destroy(s->sharing);
	mb_store_close(s->store);
	mb_fleet_destroy(s->fleet);
}

static json_t *get(struct scene *s, const char *path, const char *query)
{
	struct mb_err err = { 0 };
	json_t *j = NULL;

	assert_ok(mb_api_get(&s->api, path, on_query, (void *)(uintptr_t)query, &j, &err), &err);
	assert_non_null(j);
	return j;
}

static void refused(struct scene *s, const char *path, const char *query, int code,
		    const char *word)
{
	struct mb_err err = { 0 };
	json_t *j = (json_t *)s;

	assert_fails(mb_api_get(&s->api, path, on_query, (void *)(uintptr_t)query, &j, &err), code,
		     &err, word);
	assert_null(j);
}

/* Follows "vms.0.name". */
static json_t *at(json_t *j, const char *path)
{
	char part[64];

	while (j && *path) {
		size_t n = strcspn(path, ".");

		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		j = json_is_array(j) ? json_array_get(j, strtoul(part, NULL, 10)) :
				       json_object_get(j, part);
		path += n + (path[n] == '.');
	}
	if (!j)
		fail_msg("no %s", part);
	return j;
}

static const char *text_at(json_t *j, const char *path)
{
	assert_true(json_is_string(at(j, path)));
	return json_string_value(at(j, path));
}

static int64_t number_at(json_t *j, const char *path)
{
	assert_true(json_is_integer(at(j, path)));
	return json_integer_value(at(j, path));
}

/* Just these keys, separated by blanks: what docs/json.md promises. */
static void assert_keys(json_t *j, const char *keys)
{
	char all[400], *rest = all;
	size_t n = 0;

	snprintf(all, sizeof(all), "%s", keys);
	for (const char *key; (key = strsep(&rest, " ")); n++)
		if (!json_object_get(j, key))
			fail_msg("no key %s", key);
	assert_int_equal(json_object_size(j), n);
}

#define SELF "pages distinct zero self self_nonzero"

static void test_status(void **state)
{
	struct scene s;
	json_t *j;

	(void)state;
	scene_open(&s);
	j = get(&s, "/v1/status", NULL);
	assert_keys(j, "server hosts vms rotations");
	assert_keys(at(j, "server"), "version uptime_s db generation memory");
	assert_string_equal(text_at(j, "server.db"), s.db);
	assert_int_equal(number_at(j, "server.uptime_s"), 5);
	assert_int_equal(number_at(j, "server.generation"), mb_fleet_generation(s.fleet));
	assert_int_equal(json_array_size(at(j, "hosts")), 3);
	assert_keys(at(j, "hosts.0"), "name memory_mb vms");
	assert_string_equal(text_at(j, "hosts.0.name"), "h1");
	assert_int_equal(number_at(j, "hosts.0.memory_mb"), 200);
	assert_int_equal(json_array_size(at(j, "hosts.0.vms")), 2);
	assert_string_equal(text_at(j, "hosts.2.name"), "far");
	assert_true(json_is_null(at(j, "hosts.2.memory_mb")));
	/* By name; those that only the file knows have no status. */
	assert_int_equal(json_array_size(at(j, "vms")), 5);
	for (int i = 0; i < 5; i++)
		assert_keys(json_array_get(at(j, "vms"), (size_t)i),
			    "name host online domain key algorithm bits epoch memory_mb " SELF
			    " taken_unix_ms acked_unix_ms source tracker last_wire_bytes "
			    "paged_out guest sample");
	assert_string_equal(text_at(j, "vms.0.name"), "db1");
	assert_true(json_is_true(at(j, "vms.0.online")));
	assert_true(json_is_false(at(j, "vms.3.online")));
	assert_keys(at(j, "vms.0.guest"), "available_bytes free_bytes swapped_bytes_s "
					  "stall_some_percent stall_full_percent");
	assert_int_equal(number_at(j, "vms.0.guest.available_bytes"), 7);
	assert_true(json_real_value(at(j, "vms.0.guest.swapped_bytes_s")) == 2);
	assert_true(json_real_value(at(j, "vms.0.guest.stall_some_percent")) == 1.5);
	assert_true(json_real_value(at(j, "vms.0.guest.stall_full_percent")) == 0.25);
	assert_true(json_is_null(at(j, "vms.3.guest")));
	assert_string_equal(text_at(j, "vms.1.domain"), "e");
	assert_string_equal(text_at(j, "vms.3.host"), "h1");
	assert_string_equal(text_at(j, "vms.3.algorithm"), "xxh64");
	assert_int_equal(number_at(j, "vms.3.bits"), 64);
	assert_int_equal(number_at(j, "vms.3.epoch"), 3);
	assert_int_equal(number_at(j, "vms.3.memory_mb"), 64);
	assert_int_equal(number_at(j, "vms.3.pages"), 20);
	assert_int_equal(number_at(j, "vms.3.acked_unix_ms"), 2000);
	assert_true(number_at(j, "vms.3.last_wire_bytes") > 0);
	/* Connected once, never sent anything. */
	assert_string_equal(text_at(j, "vms.2.name"), "silent");
	assert_true(json_is_null(at(j, "vms.2.host")));
	assert_int_equal(number_at(j, "vms.2.epoch"), 0);
	json_decref(j);
	scene_close(&s);
}

static void test_share(void **state)
{
	struct scene s;
	json_t *j;

	(void)state;
	scene_open(&s);
	j = get(&s, "/v1/share", NULL);
	assert_keys(j, "identities hosts rotations");
	assert_int_equal(json_array_size(at(j, "identities")), 2);
	assert_keys(at(j, "identities.0"), "domain key algorithm bits page_bytes vms inter sample");
	assert_string_equal(text_at(j, "identities.0.domain"), "d");
	assert_int_equal(json_array_size(at(j, "identities.0.vms")), 3);
	assert_keys(at(j, "identities.0.vms.0"), "name host inter sample " SELF);
	assert_string_equal(text_at(j, "identities.0.vms.1.name"), "web1");
	assert_int_equal(number_at(j, "identities.0.vms.1.inter"), 15);
	assert_int_equal(number_at(j, "identities.0.vms.0.inter"), 0);
	assert_int_equal(number_at(j, "identities.0.inter.1.2"), 15);
	assert_int_equal(number_at(j, "identities.0.inter.2.1"), 15);
	assert_int_equal(number_at(j, "identities.0.inter.1.1"), 0);
	assert_int_equal(number_at(j, "identities.0.inter.0.1"), 0);
	/* The same digests, but of another key: they say nothing. */
	assert_int_equal(number_at(j, "identities.1.vms.0.inter"), 0);
	assert_keys(at(j, "hosts.0"),
		    "name vms pages distinct_union saving_pages inter_saving_pages");
	assert_int_equal(number_at(j, "hosts.0.pages"), 40);
	assert_int_equal(number_at(j, "hosts.0.distinct_union"), 40);
	assert_int_equal(number_at(j, "hosts.0.saving_pages"), 0);
	json_decref(j);

	/* The file moves web2 to web1's host: it is read at every question. */
	write_text(s.file, "{\"hosts\":[{\"name\":\"h1\",\"memory_mb\":200}],"
			   "\"vms\":[{\"name\":\"web2\",\"memory_mb\":64,\"host\":\"h1\"}]}");
	j = get(&s, "/v1/share", NULL);
	assert_int_equal(number_at(j, "hosts.0.pages"), 60);
	assert_int_equal(number_at(j, "hosts.0.distinct_union"), 45);
	assert_int_equal(number_at(j, "hosts.0.saving_pages"), 15);
	assert_int_equal(number_at(j, "hosts.0.inter_saving_pages"), 15);
	json_decref(j);
	scene_close(&s);
}

static void test_plan(void **state)
{
	struct scene s;
	json_t *j;

	(void)state;
	scene_open(&s);
	/* A gain of 15 pages is not worth a migration, unless the file or the question says so. */
	j = get(&s, "/v1/plan", NULL);
	assert_int_equal(number_at(j, "saving.gain_pages"), 0);
	json_decref(j);
	j = get(&s, "/v1/plan", "min_gain_mb\0000\0");
	assert_keys(j,
		    "planner strict note hosts before_mb after_mb saved_mb placement saving copy_mb"
		    " time_s moves question vms_on_unknown_hosts");
	assert_string_equal(text_at(j, "planner"), "best");
	assert_true(json_is_false(at(j, "strict")));
	/* Host "far" has no known size. */
	assert_int_equal(number_at(j, "vms_on_unknown_hosts"), 1);
	assert_int_equal(json_array_size(at(j, "hosts")), 2);
	assert_keys(at(j, "hosts.0"),
		    "name memory_mb before_mb after_mb full_before_mb full_after_mb vms_before"
		    " vms_after");
	assert_string_equal(text_at(j, "placement.web1"), text_at(j, "placement.web2"));
	assert_int_equal(json_object_size(at(j, "placement")), 6);
	assert_int_equal(number_at(j, "saving.gain_pages"), 15);
	assert_true(json_array_size(at(j, "moves")) >= 1);
	assert_keys(at(j, "moves.0"),
		    "vm from to memory_mb feasible detour why gain_pages there_pages with copy_mb"
		    " start_s time_s converges reason");
	json_decref(j);
	j = get(&s, "/v1/plan", "planner\0seed\0strict\0001\0overcommit\00050\0");
	assert_string_equal(text_at(j, "planner"), "seed");
	assert_true(json_is_true(at(j, "strict")));
	json_decref(j);
	refused(&s, "/v1/plan", "planner\0magic\0", EINVAL, "no planner \"magic\"");
	refused(&s, "/v1/plan", "planner\0\0", EINVAL, "no planner \"\"");
	refused(&s, "/v1/plan", "strict\0002\0", EINVAL, "strict");
	refused(&s, "/v1/plan", "strict\0yes\0", EINVAL, "strict");
	refused(&s, "/v1/plan", "overcommit\0-1\0", EINVAL, "overcommit");
	refused(&s, "/v1/plan", "overcommit\0001001\0", EINVAL, "overcommit");
	/* Nowhere to go. */
	write_text(s.file, "{\"hosts\":[{\"name\":\"h1\",\"memory_mb\":1}],\"vms\":[]}");
	refused(&s, "/v1/plan", NULL, ENOSPC, "");
	s.api.fleet_path = NULL;
	refused(&s, "/v1/plan", NULL, ENOSPC, "no hosts are known");
	scene_close(&s);
}

static void test_history(void **state)
{
	struct scene s;
	json_t *j;

	(void)state;
	scene_open(&s);
	j = get(&s, "/v1/history", "vm\0web1\0");
	assert_keys(j, "vm rows");
	assert_string_equal(text_at(j, "vm"), "web1");
	assert_int_equal(json_array_size(at(j, "rows")), 1);
	assert_keys(at(j, "rows.0"),
		    "at_unix_ms epoch " SELF " inter changed added removed wire_bytes"
		    " duration_ms cpu_ms full tracker read unread epochs audit");
	assert_int_equal(number_at(j, "rows.0.at_unix_ms"), 1000);
	assert_int_equal(number_at(j, "rows.0.epoch"), 3);
	/* Asking for it made the matrix. */
	assert_int_equal(number_at(j, "rows.0.inter"), 15);
	assert_int_equal(number_at(j, "rows.0.epochs"), 2);
	assert_true(json_is_real(at(j, "rows.0.duration_ms")));
	assert_true(json_real_value(at(j, "rows.0.duration_ms")) == 2.5);
	assert_true(json_is_true(at(j, "rows.0.full")));
	assert_string_equal(text_at(j, "rows.0.tracker"), "none");
	assert_int_equal(number_at(j, "rows.0.read"), 19);
	assert_true(json_is_null(at(j, "rows.0.audit")));
	json_decref(j);
	j = get(&s, "/v1/history", "limit\0000\0vm\0web1\0");
	assert_int_equal(json_array_size(at(j, "rows")), 0);
	json_decref(j);
	refused(&s, "/v1/history", NULL, EINVAL, "vm is missing");
	refused(&s, "/v1/history", "vm\0nobody\0", ENOENT, "no VM \"nobody\"");
	refused(&s, "/v1/history", "vm\0\0", EINVAL, "VM name of 0 bytes");
	refused(&s, "/v1/history", "vm\0\xff\xfe\0", EINVAL, "printable");
	refused(&s, "/v1/history", "vm\0';DROP/**/TABLE/**/vm;--\0", ENOENT, "no VM");
	refused(&s, "/v1/history", "vm\0web1\0limit\000100001\0", EINVAL, "limit");
	refused(&s, "/v1/history", "vm\0web1\0limit\0-1\0", EINVAL, "limit");
	/* The fleet knows it, the store does not yet. */
	refused(&s, "/v1/history", "vm\0silent\0", ENOENT, "silent");
	scene_close(&s);
}

static void test_churn(void **state)
{
	struct scene s;
	json_t *j;

	(void)state;
	scene_open(&s);
	/* What is stored is of 1970. */
	j = get(&s, "/v1/churn", "since_s\000316224000\0");
	assert_string_equal(text_at(j, "name"), "fleet");
	assert_int_equal(json_array_size(at(j, "history")), 5);
	assert_int_equal(json_array_size(at(j, "runs")), 0);
	assert_keys(at(j, "history.0"), "vm host deltas epochs duration_s pages distinct zero"
					" changed changed_per_s added removed inter");
	assert_int_equal(number_at(j, "history.0.deltas"), 0);
	assert_true(json_is_null(at(j, "history.0.pages")));
	json_decref(j);
	j = get(&s, "/v1/churn", "of\0h1\0");
	assert_string_equal(text_at(j, "name"), "host h1");
	assert_int_equal(json_array_size(at(j, "history")), 2);
	assert_string_equal(text_at(j, "history.0.vm"), "db1");
	json_decref(j);
	j = get(&s, "/v1/churn", "of\0web2\0");
	assert_string_equal(text_at(j, "name"), "VM web2");
	assert_string_equal(text_at(j, "history.0.host"), "h2");
	/* One epoch tells of no change. */
	assert_int_equal(json_array_size(at(j, "runs")), 0);
	json_decref(j);
	/* The fleet knows it, the store does not yet. */
	j = get(&s, "/v1/churn", "of\0silent\0");
	assert_int_equal(json_array_size(at(j, "history")), 1);
	json_decref(j);
	refused(&s, "/v1/churn", "of\0nobody\0", ENOENT, "no VM and no host \"nobody\"");
	refused(&s, "/v1/churn", "since_s\000-1\0", EINVAL, "since_s");
	scene_close(&s);
}

/* One more epoch of web1. */
static void put_epoch(struct scene *s, uint64_t epoch, const struct mb_audit *audit,
		      struct mb_slice who)
{
	struct mb_fleet_snapshot f;
	struct mb_err err = { 0 };

	assert_ok(mb_fleet_snapshot(s->fleet, &f, &err), &err);
	for (uint32_t i = 0; i < f.n; i++) {
		if (strcmp(f.vms[i].name, "web1") != 0)
			continue;
		f.vms[i].epoch = f.vms[i].acked_unix_ns = epoch;
		f.vms[i].pass.audit = *audit;
		store_vm_with(s->store, &f.vms[i], who);
	}
	mb_fleet_snapshot_deinit(&f);
}

static void put_audited(struct scene *s, uint64_t epoch, const struct mb_audit *audit)
{
	put_epoch(s, epoch, audit, (struct mb_slice){ 0 });
}

static void put_who_list(struct scene *s, uint64_t epoch, struct mb_slice who)
{
	put_epoch(s, epoch, &(struct mb_audit){ 0 }, who);
}

#define put_who(s, epoch, list)                                                                    \
	put_who_list(s, epoch, (struct mb_slice){ (const uint8_t *)(list), sizeof(list) - 1 })

static void test_history_of_audits(void **state)
{
	static const struct mb_audit audit = {
		.audits = 3,
		.doubted = 2,
		.follows = 1 << MB_CLASS_ANON | 1 << MB_CLASS_FILE,
		.changed = { [MB_CLASS_ANON] = 100, [MB_CLASS_PAGE_TABLE] = 100 },
		.stale = { [MB_CLASS_ANON] = 25, [MB_CLASS_PAGE_TABLE] = 75 },
		.flagged = 8,
		.flagged_changed = 4,
	};
	static const struct mb_audit idle = { .audits = 1 };
	struct scene s;
	json_t *j, *a;

	(void)state;
	scene_open(&s);
	put_audited(&s, 4, &audit);
	j = get(&s, "/v1/history", "vm\0web1\0");
	a = at(j, "rows.1.audit");
	assert_keys(a,
		    "audits doubted recall recall_all precision flagged flagged_changed classes");
	assert_int_equal(number_at(a, "audits"), 3);
	assert_int_equal(number_at(a, "doubted"), 2);
	assert_true(json_real_value(at(a, "recall")) == .75);
	assert_true(json_real_value(at(a, "recall_all")) == .5);
	assert_true(json_real_value(at(a, "precision")) == .5);
	assert_int_equal(number_at(a, "flagged"), 8);
	assert_int_equal(number_at(a, "flagged_changed"), 4);
	assert_keys(at(a, "classes"), "anon file page_table");
	assert_keys(at(a, "classes.file"), "followed changed stale");
	assert_true(json_is_true(at(a, "classes.file.followed")));
	assert_int_equal(number_at(a, "classes.file.changed"), 0);
	assert_true(json_is_false(at(a, "classes.page_table.followed")));
	assert_int_equal(number_at(a, "classes.page_table.changed"), 100);
	assert_int_equal(number_at(a, "classes.page_table.stale"), 75);
	json_decref(j);
	put_audited(&s, 5, &idle);
	j = get(&s, "/v1/history", "vm\0web1\0limit\0001\0");
	a = at(j, "rows.0.audit");
	assert_true(json_is_null(at(a, "recall")) && json_is_null(at(a, "recall_all")));
	assert_true(json_is_null(at(a, "precision")));
	assert_int_equal(number_at(a, "doubted"), 0);
	assert_int_equal(json_object_size(at(a, "classes")), 0);
	json_decref(j);
	scene_close(&s);
}

static void test_history_of_who(void **state)
{
	struct scene s;
	json_t *j;

	(void)state;
	scene_open(&s);
	j = get(&s, "/v1/history", "vm\0web1\0who\0001\0");
	assert_keys(j, "vm rows who");
	assert_keys(at(j, "who"), "rows by");
	assert_int_equal(number_at(j, "who.rows"), 0);
	assert_int_equal(json_array_size(at(j, "who.by")), 0);
	json_decref(j);
	put_who(&s, 4, "\0\0\3\0\2\5\3cc1\3/ci\5\0\0\0\1\6");
	put_who(&s, 5, "\0\0\1\1\2sh\1/\2\0\144\3cc1\3/ci\4\0\0\0\3");
	j = get(&s, "/v1/history", "vm\0web1\0who\0001\0");
	assert_int_equal(json_array_size(at(j, "rows")), 3);
	assert_int_equal(number_at(j, "who.rows"), 2);
	assert_int_equal(json_array_size(at(j, "who.by")), 3);
	assert_keys(at(j, "who.by.0"), "process cgroup frames kinds");
	assert_string_equal(text_at(j, "who.by.0.process"), "sh");
	assert_int_equal(number_at(j, "who.by.0.frames"), 100);
	assert_string_equal(text_at(j, "who.by.1.process"), "cc1");
	assert_string_equal(text_at(j, "who.by.1.cgroup"), "/ci");
	assert_int_equal(number_at(j, "who.by.1.frames"), 10);
	assert_int_equal(json_object_size(at(j, "who.by.1.kinds")), 2);
	assert_int_equal(number_at(at(j, "who.by.1.kinds"), "first write"), 4);
	assert_true(json_is_null(at(j, "who.by.2.process")));
	assert_true(json_is_null(at(j, "who.by.2.cgroup")));
	assert_int_equal(number_at(j, "who.by.2.frames"), 8);
	json_decref(j);
	j = get(&s, "/v1/history", "vm\0web1\0");
	assert_null(json_object_get(j, "who"));
	json_decref(j);
	refused(&s, "/v1/history", "vm\0web1\0who\0002\0", EINVAL, "who");
	scene_close(&s);
}

/* Each epoch with other names: the answer is bounded, and nothing is missing in it. */
static void test_many_names(void **state)
{
	struct scene s;
	json_t *j, *row;
	json_int_t sum = 0;
	size_t i;

	(void)state;
	scene_open(&s);
	for (int epoch = 4; epoch < 10; epoch++) {
		struct mb_buf b = { 0 };

		mb_buf_put(&b, "\0\0\1\1", 4);
		for (int k = 0; k < 50; k++) {
			const uint8_t name[] = {
				2, (uint8_t)('0' + epoch), (uint8_t)('0' + k), 0, 1, 2
			};

			mb_buf_put(&b, name, sizeof(name));
		}
		put_who_list(&s, (uint64_t)epoch, mb_buf_slice(&b));
		mb_buf_deinit(&b);
	}
	j = get(&s, "/v1/history", "vm\0web1\0who\0001\0");
	assert_int_equal(json_array_size(at(j, "who.by")), 201);
	json_array_foreach(at(j, "who.by"), i, row) sum +=
		json_integer_value(json_object_get(row, "frames"));
	assert_int_equal(sum, 6 * 101);
	json_decref(j);
	scene_close(&s);
}

static void test_paths(void **state)
{
	static const char *const bad[] = { "",		 "/",		"/v1",
					   "/v1/",	 "/v1/status/", "/v1/Status",
					   "/v2/status", "v1/status",	"/v1/../v1/status" };
	struct scene s;

	(void)state;
	scene_open(&s);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refused(&s, bad[i], NULL, ENOENT, "/v1/status, /v1/share, /v1/plan, /v1/history");
	scene_close(&s);
}

static void test_bad_fleet_file(void **state)
{
	static const char *const paths[] = { "/v1/status", "/v1/share", "/v1/plan", "/v1/history" };
	struct scene s;
	json_t *j;

	(void)state;
	scene_open(&s);
	write_text(s.file, "{\"hosts\":[");
	for (int i = 0; i < 4; i++)
		refused(&s, paths[i], "vm\0web1\0", EIO, s.file);
	s.api.fleet_path = "/nonexistent/fleet.json";
	for (int i = 0; i < 4; i++)
		refused(&s, paths[i], "vm\0web1\0", EIO, "/nonexistent/fleet.json");
	/* Nothing stays locked behind an error. */
	s.api.fleet_path = s.file;
	write_text(s.file, FLEET);
	j = get(&s, "/v1/status", NULL);
	json_decref(j);
	scene_close(&s);
}

/* POST: the question's answer, and what became of its plan, kept. */
static void test_carries_out(void **state)
{
	struct mb_err err = { 0 };
	json_t *j = NULL, *kept;
	struct scene s;

	(void)state;
	scene_open(&s);
	assert_ok(mb_api_post(&s.api, "/v1/plan", on_query, NULL, &j, &err), &err);
	assert_string_equal(text_at(j, "question"), "plan");
	assert_string_equal(text_at(j, "execution.state"), "done");
	assert_string_equal(text_at(j, "execution.mover"), "dry");
	assert_int_equal(number_at(j, "execution.id"), 1);
	assert_int_equal(json_array_size(at(j, "execution.moves")),
			 json_array_size(at(j, "moves")));
	assert_true(json_array_size(at(j, "moves")) > 0);
	kept = get(&s, "/v1/executions", "id\0001\0");
	assert_true(json_equal(at(kept, "execution"), at(j, "execution")));
	json_decref(kept);
	kept = get(&s, "/v1/executions", NULL);
	assert_int_equal(json_array_size(at(kept, "executions")), 1);
	assert_keys(at(kept, "executions.0"),
		    "id mover question planner state created_unix_ms ended_unix_ms moves done");
	json_decref(kept);
	json_decref(j);
	/* To ask is not to do. */
	json_decref(get(&s, "/v1/plan", NULL));
	kept = get(&s, "/v1/executions", "limit\0009\0");
	assert_int_equal(json_array_size(at(kept, "executions")), 1);
	json_decref(kept);
	refused(&s, "/v1/executions", "id\0002\0", ENOENT, "no execution 2");
	refused(&s, "/v1/executions", "limit\0x\0", EINVAL, "limit");
	assert_fails(mb_api_post(&s.api, "/v1/status", on_query, NULL, &j, &err), EOPNOTSUPP, &err,
		     "nothing can be changed");
	assert_null(j);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),	       cmocka_unit_test(test_share),
		cmocka_unit_test(test_plan),	       cmocka_unit_test(test_history),
		cmocka_unit_test(test_churn),	       cmocka_unit_test(test_history_of_audits),
		cmocka_unit_test(test_history_of_who), cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_paths),	       cmocka_unit_test(test_bad_fleet_file),
		cmocka_unit_test(test_carries_out),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
