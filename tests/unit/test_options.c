// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/options.h"

#include <unistd.h>

#include "server/http.h"
#include "tests/unit/util_argp.h"
#include "tests/unit/util_server.h"

struct scene {
	struct mb_server_options o;
	struct mb_option_file file;
	char path[128], config[140]; /* a file of options, and what names it */
};

static void scene_init(struct scene *s, const char *text)
{
	FILE *f;

	*s = (struct scene){ 0 };
	mb_server_options_init(&s->o, &s->file);
	scratch_path("conf", s->path);
	unlink(s->path);
	snprintf(s->config, sizeof(s->config), "--config=%s", s->path);
	f = fopen(s->path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_nothing_said(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "");
	argp_taken(&mb_server_argp, ARGV(), &s.o);
	assert_int_equal(s.o.n_listen, 1);
	assert_string_equal(s.o.listen[0], "tcp:127.0.0.1:9876");
	assert_string_equal(s.o.http, "127.0.0.1:9877");
	assert_int_equal(s.o.keep_ns, 30 * 86400000000000);
	assert_int_equal(s.o.quota.max[MB_QUOTA_VMS], mb_quota_default.max[MB_QUOTA_VMS]);
	assert_int_equal(s.o.quota_local.max[MB_QUOTA_VMS], 0);
	assert_int_equal(s.o.http_group, MB_NO_GROUP);
	assert_int_equal(s.o.sandbox, MB_SANDBOX_REFUSE);
	assert_false(s.o.insecure || s.o.no_samples || s.o.check || s.o.rehearse);
}

static void test_all_said(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "");
	argp_taken(&mb_server_argp,
		   ARGV(ARG("--listen=unix:/a") ARG("-lunix:/b") ARG("--quota=vms=3")
				ARG("--mover=rehearsal") ARG("--seccomp=kill") ARG("--insecure")
					ARG("--http-group=root") ARG("--keep-history=2d")),
		   &s.o);
	assert_int_equal(s.o.n_listen, 2);
	assert_string_equal(s.o.listen[1], "unix:/b");
	/* What is given holds for all. */
	assert_int_equal(s.o.quota.max[MB_QUOTA_VMS], 3);
	assert_int_equal(s.o.quota_local.max[MB_QUOTA_VMS], 3);
	assert_true(s.o.rehearse && s.o.insecure);
	assert_int_equal(s.o.sandbox, MB_SANDBOX_KILL);
	assert_int_equal(s.o.http_group, 0);
	assert_int_equal(s.o.keep_ns, 2 * 86400000000000);
}

/* In the order in which they come; addresses add up. */
static void test_file(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "listen unix:/f\nmax-agents 7\nmover dry\n");
	argp_taken(&mb_server_argp, ARGV(s.config, ARG("--max-agents=9") ARG("--listen=unix:/c")),
		   &s.o);
	assert_int_equal(s.o.max_agents, 9);
	assert_int_equal(s.o.n_listen, 2);
	assert_string_equal(s.o.listen[0], "unix:/f");
	mb_option_file_deinit(&s.file);
	scene_init(&s, "max-agents 7\n");
	argp_taken(&mb_server_argp, ARGV(ARG("--max-agents=9") s.config, ), &s.o);
	assert_int_equal(s.o.max_agents, 7);
	mb_option_file_deinit(&s.file);
}

static void test_wrong(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "verbose\nmax-agents 0\n");
	argp_refused(&mb_server_argp, ARGV(s.config, ), &s.o, "conf: line 2: ");
	argp_refused(&mb_server_argp, ARGV(ARG("--config=/nowhere")), &s.o, "/nowhere");
	argp_refused(&mb_server_argp, ARGV(ARG("--mover=horse")), &s.o, "no mover \"horse\"");
	argp_refused(&mb_server_argp, ARGV(ARG("--seccomp=on")), &s.o, "refuse, kill or off");
	argp_refused(&mb_server_argp, ARGV(ARG("--tls-key=x")), &s.o, "need --tls-cert");
	argp_refused(&mb_server_argp, ARGV(ARG("--quota=cats=1")), &s.o, "--quota");
	argp_refused(&mb_server_argp, ARGV(ARG("--http-group=no.such")), &s.o, "no group");
	argp_refused(&mb_server_argp,
		     ARGV(ARG("-la") ARG("-la") ARG("-la") ARG("-la") ARG("-la") ARG("-la")
				  ARG("-la") ARG("-la") ARG("-la")),
		     &s.o, "more than 8");
}

static void test_where_it_is_wrong(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "verbose\n");
	argp_refused(&mb_server_argp, ARGV(s.config, s.config, ), &s.o, "one file only");
	/* Behind the file it is the command line again. */
	argp_refused(&mb_server_argp, ARGV(s.config, ARG("--mover=horse")), &s.o, "x: --mover");
}

/* A start that forgets a VM, or puts a backup back, must not do so each time. */
static void test_once_is_not_for_files(void **state)
{
	static const char *const lines[] = { "forget-vm a\n", "backup a\n", "restore a\n",
					     "check\n", "config a\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct scene s;

		scene_init(&s, lines[i]);
		argp_refused(&mb_server_argp, ARGV(s.config, ), &s.o, "on the command line only");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_said),
		cmocka_unit_test(test_all_said),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_where_it_is_wrong),
		cmocka_unit_test(test_once_is_not_for_files),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
