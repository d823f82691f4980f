// SPDX-License-Identifier: GPL-2.0-or-later
/* Sessions by TLS: who is let in, who is refused, counted and told why, and what cuts one short. */
#include "server/session.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <unistd.h>

#include "agent/uplink.h"
#include "proto/base/clock.h"
#include "proto/frame.h"
#include "tests/unit/util_pki.h"

#define PATIENCE_NS ((uint64_t)5000000000)

static char server_pem[128], web1_pem[128], any_pem[128], other_pem[128];
static char ca_pem[128], crl_pem[128];

static int set_up(void **state)
{
	(void)state;
	pki_init("ours");
	pki_init("theirs");
	pki_server("ours", "server", "127.0.0.1", server_pem);
	pki_agent("ours", "web1", "web1", web1_pem);
	pki_agent("ours", "any", "*", any_pem);
	pki_agent("theirs", "web1", "web1", other_pem);
	pki_path("ours", "ca.pem", ca_pem);
	pki_path("ours", "crl.pem", crl_pem);
	return 0;
}

/* A server, and one that talks to it, in one thread: they take turns. */
struct scene {
	struct event_base *base;
	struct mb_fleet *fleet;
	struct mb_store *store;
	struct mb_ingest *ingest;
	struct mb_tls *tls;
	struct mb_refusals refusals;
	struct mb_sessions *sessions;
	struct mb_address tcp, local;
	char said[4000];
};

static void on_say(void *ctx, bool warning, const char *text)
{
	struct scene *s = ctx;
	size_t n = strlen(s->said);

	(void)warning;
	snprintf(s->said + n, sizeof(s->said) - n, "%s\n", text);
}

static void listen_on(struct scene *s, const char *uri, struct mb_address *ret)
{
	struct mb_address wanted;
	struct mb_err err = { 0 };

	assert_ok(mb_uri_parse(uri, &wanted, &err), &err);
	assert_ok(mb_sessions_listen(s->sessions, &wanted, ret, &err), &err);
}

static void scene_open(struct scene *s)
{
	static int n;
	const struct mb_tls_files files = { .cert = server_pem, .crl = crl_pem };
	struct mb_sessions_config c = { .max_sessions = 8,
					.max_frame_bytes = 1 << 20,
					.frame_budget_bytes = 2 << 20,
					.refusals = &s->refusals,
					.say = on_say,
					.ctx = s };
	struct mb_err err = { 0 };
	char name[32], path[128], uri[140];

	*s = (struct scene){ 0 };
	snprintf(name, sizeof(name), "%d.db", n);
	scratch_path(name, path);
	s->base = event_base_new();
	assert_non_null(s->base);
	assert_ok(mb_tls_create(true, &files, &s->tls, &err), &err);
	c.tls = s->tls;
	assert_ok(mb_fleet_create(&s->fleet, &err), &err);
	assert_ok(mb_store_open(path, &s->store, &err), &err);
	assert_ok(mb_ingest_create(s->fleet, s->store, MB_FRAME_RAW_MAX, &s->ingest, &err), &err);
	assert_ok(mb_sessions_create(s->base, s->fleet, s->ingest, &c, &s->sessions, &err), &err);
	listen_on(s, "tcp:127.0.0.1:0", &s->tcp);
	snprintf(name, sizeof(name), "%d.sock", n++);
	scratch_path(name, path);
	snprintf(uri, sizeof(uri), "unix:%s", path);
	listen_on(s, uri, &s->local);
}

static void scene_close(struct scene *s)
{
	mb_sessions_destroy(s->sessions);
	mb_ingest_destroy(s->ingest);
	mb_store_close(s->store);
	mb_fleet_destroy(s->fleet);
	mb_tls_destroy(s->tls);
	event_base_free(s->base);
}

static void turn(struct scene *s)
{
	event_base_loop(s->base, EVLOOP_NONBLOCK);
	poll(NULL, 0, 1);
}

/* One of these was counted, and nothing else; the log has the word. */
static void expect_counted(struct scene *s, enum mb_refused_for why, uint64_t n, const char *word)
{
	for (int i = 0; i < MB_FOR_END; i++)
		assert_int_equal(mb_refusals_get(&s->refusals, (enum mb_refused_for)i),
				 i == (int)why ? n : 0);
	if (!strstr(s->said, word))
		fail_msg("%s", s->said);
}

/* --- an agent --------------------------------------------------------------------------------- */

struct agent {
	struct scene *scene;
	int fd;
	struct mb_tls *tls;
	SSL *ssl; /* NULL: in clear */
	struct mb_buf in, raw;
};

static void agent_close(struct agent *a)
{
	SSL_free(a->ssl);
	mb_tls_destroy(a->tls);
	close(a->fd);
	mb_buf_deinit(&a->in);
	mb_buf_deinit(&a->raw);
	for (int i = 0; i < 5; i++)
		turn(a->scene);
}

static void agent_reach(struct agent *a, struct scene *s, const struct mb_address *to)
{
	*a = (struct agent){ .scene = s, .fd = socket(to->sa.sa_family, SOCK_STREAM, 0) };
	assert_int_equal(connect(a->fd, &to->sa, to->len), 0);
	assert_int_equal(fcntl(a->fd, F_SETFL, O_NONBLOCK), 0);
}

/* Reads what comes; 0: the end, -1: TLS says no. */
static int agent_read(struct agent *a)
{
	uint64_t end = mb_now_ns() + PATIENCE_NS;

	for (;;) {
		uint8_t *to = (ERR_clear_error(), mb_buf_reserve(&a->in, 16384));
		int n = a->ssl ? SSL_read(a->ssl, to, 16384) :
				 (int)recv(a->fd, to, 16384, MSG_DONTWAIT);
		int why = !a->ssl ? SSL_ERROR_WANT_READ : SSL_get_error(a->ssl, n);

		assert_true(mb_now_ns() < end);
		if (n > 0) {
			a->in.len += (size_t)n;
			return n;
		}
		if (why == SSL_ERROR_SSL) {
			ERR_clear_error();
			return -1;
		}
		if (n == 0 || why == SSL_ERROR_ZERO_RETURN || why == SSL_ERROR_SYSCALL)
			return 0;
		turn(a->scene);
	}
}

/* Hands are shaken, as far as the agent can tell. */
static bool agent_shake(struct agent *a, const char *pem, const char *ca)
{
	const struct mb_tls_files files = { .cert = pem, .ca = ca };
	uint64_t end = mb_now_ns() + PATIENCE_NS;
	struct mb_err err = { 0 };
	int n;

	assert_ok(mb_tls_create(false, &files, &a->tls, &err), &err);
	a->ssl = mb_tls_connect(a->tls, a->fd, "127.0.0.1");
	assert_non_null(a->ssl);
	while ((n = SSL_do_handshake(a->ssl)) != 1) {
		assert_true(mb_now_ns() < end);
		if (SSL_get_error(a->ssl, n) != SSL_ERROR_WANT_READ) {
			ERR_clear_error();
			return false;
		}
		turn(a->scene);
	}
	return true;
}

static void agent_put(struct agent *a, const struct mb_buf *bytes)
{
	ssize_t n = a->ssl ? SSL_write(a->ssl, bytes->data, (int)bytes->len) :
			     send(a->fd, bytes->data, bytes->len, MSG_NOSIGNAL);

	assert_int_equal(n, (ssize_t)bytes->len);
}

static void agent_greet(struct agent *a, const char *vm)
{
	struct mb_msg msg = { .type = MB_MSG_HELLO };
	struct mb_buf bytes = { 0 };
	struct mb_err err = { 0 };

	make_hello(vm, 1, &msg.hello);
	assert_ok(mb_msg_to_frame(&msg, &bytes, &err), &err);
	agent_put(a, &bytes);
	mb_buf_deinit(&bytes);
}

static void agent_send_epoch(struct agent *a, uint64_t epoch)
{
	struct mb_fingerprint fp;
	struct mb_buf bytes = { 0 };

	make_fingerprint_of(1000 * epoch, 77, 40, &fp);
	make_frame(NULL, 0, &fp, epoch, 64, &bytes);
	mb_fingerprint_deinit(&fp);
	agent_put(a, &bytes);
	mb_buf_deinit(&bytes);
}

/* The next message must be this; its code if it is a Refusal. */
static uint32_t agent_expect(struct agent *a, enum mb_msg_type type)
{
	struct mb_msg msg = { 0 };
	struct mb_err err = { 0 };
	struct mb_slice in;
	uint32_t code;
	int r;

	while (in = mb_buf_slice(&a->in), r = mb_frame_take(&in, 65536, &a->raw, &err),
	       r == -ENODATA)
		assert_true(agent_read(a) > 0);
	assert_ok(r, &err);
	assert_ok(mb_msg_unpack(mb_buf_slice(&a->raw), &msg, &err), &err);
	if (msg.type != type)
		fail_msg("%s: %s", mb_msg_type_name(msg.type), a->scene->said);
	code = msg.type == MB_MSG_REFUSAL ? msg.refusal.code : 0;
	mb_msg_deinit(&msg);
	memmove(a->in.data, in.data, in.len);
	a->in.len = in.len;
	return code;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_let_in(void **state)
{
	static const struct {
		const char *pem, *vm;
	} cases[] = { { web1_pem, "web1" }, { any_pem, "web2" }, { any_pem, "*" } };
	struct scene s;

	(void)state;
	scene_open(&s);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct agent a;

		agent_reach(&a, &s, &s.tcp);
		assert_true(agent_shake(&a, cases[i].pem, NULL));
		agent_greet(&a, cases[i].vm);
		agent_expect(&a, MB_MSG_WELCOME);
		agent_send_epoch(&a, 1);
		agent_expect(&a, MB_MSG_ACK);
		agent_close(&a);
	}
	for (int i = 0; i < MB_FOR_END; i++)
		assert_int_equal(mb_refusals_get(&s.refusals, (enum mb_refused_for)i), 0);
	scene_close(&s);
}

/* For each way that is not the certificate's: nothing is made, nothing is kept. */
static void test_other_vm(void **state)
{
	static const char *const vms[] = { "web2", "web", "web11",
					   "WEB1", "*",	  "memory-buddies:vm:web1" };
	struct mb_fleet_snapshot view;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	scene_open(&s);
	for (size_t i = 0; i < sizeof(vms) / sizeof(*vms); i++) {
		struct agent a;

		agent_reach(&a, &s, &s.tcp);
		assert_true(agent_shake(&a, web1_pem, NULL));
		agent_greet(&a, vms[i]);
		assert_int_equal(agent_expect(&a, MB_MSG_REFUSAL), MB_REFUSED_RIGHT);
		assert_int_equal(agent_read(&a), 0);
		expect_counted(&s, MB_FOR_OTHER_VM, i + 1, "does not name VM \"web2\"");
		agent_close(&a);
	}
	assert_ok(mb_fleet_snapshot(s.fleet, &view, &err), &err);
	assert_int_equal(view.n, 0);
	mb_fleet_snapshot_deinit(&view);
	scene_close(&s);
}

/* Hands are shaken for the agent before the server has seen its certificate: the next read tells.
 */
static void expect_kept_out(const char *pem, enum mb_refused_for why, const char *word)
{
	struct scene s;
	struct agent a;

	scene_open(&s);
	agent_reach(&a, &s, &s.tcp);
	if (agent_shake(&a, pem, ca_pem)) {
		agent_greet(&a, "web1");
		assert_int_equal(agent_read(&a), -1);
	}
	assert_int_equal(a.in.len, 0);
	expect_counted(&s, why, 1, word);
	agent_close(&a);
	scene_close(&s);
}

static void test_kept_out(void **state)
{
	char fired_pem[128];

	(void)state;
	expect_kept_out(other_pem, MB_FOR_UNKNOWN_CA, "unable to get local issuer");
	pki_agent("ours", "fired", "web1", fired_pem);
	pki_revoke("ours", "fired");
	expect_kept_out(fired_pem, MB_FOR_REVOKED, "certificate revoked");
}

static void test_in_clear(void **state)
{
	struct scene s;
	struct agent a;

	(void)state;
	scene_open(&s);
	agent_reach(&a, &s, &s.tcp);
	agent_greet(&a, "web1");
	/* An alert, if anything; no Welcome. */
	while (agent_read(&a) > 0)
		;
	assert_true(a.in.len < 16);
	expect_counted(&s, MB_FOR_NOT_TLS13, 1, "refused: TLS: ");
	agent_close(&a);
	/* By unix socket the machine itself says who gets in. */
	agent_reach(&a, &s, &s.local);
	agent_greet(&a, "web1");
	agent_expect(&a, MB_MSG_WELCOME);
	agent_close(&a);
	scene_close(&s);
}

/* Who only knocks is neither counted nor told of. */
static void test_knock(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct scene s;
	struct agent a;

	(void)state;
	scene_open(&s);
	for (int rudely = 0; rudely < 2; rudely++) {
		agent_reach(&a, &s, &s.tcp);
		turn(&s);
		if (rudely)
			setsockopt(a.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		agent_close(&a);
	}
	for (int i = 0; i < MB_FOR_END; i++)
		assert_int_equal(mb_refusals_get(&s.refusals, (enum mb_refused_for)i), 0);
	assert_string_equal(s.said, "");
	scene_close(&s);
}

/* Revoked in the middle of a session: it is cut and told, the others go on. */
static void test_recheck(void **state)
{
	char fired_pem[128];
	struct agent stays, goes, local;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	scene_open(&s);
	pki_agent("ours", "fired2", "web2", fired_pem);
	agent_reach(&stays, &s, &s.tcp);
	assert_true(agent_shake(&stays, web1_pem, NULL));
	agent_greet(&stays, "web1");
	agent_expect(&stays, MB_MSG_WELCOME);
	agent_reach(&goes, &s, &s.tcp);
	assert_true(agent_shake(&goes, fired_pem, NULL));
	agent_greet(&goes, "web2");
	agent_expect(&goes, MB_MSG_WELCOME);
	agent_reach(&local, &s, &s.local);
	agent_greet(&local, "web3");
	agent_expect(&local, MB_MSG_WELCOME);
	pki_revoke("ours", "fired2");
	/* Nobody has told the server yet. */
	assert_int_equal(mb_sessions_recheck(s.sessions), 0);
	assert_ok(mb_tls_reload(s.tls, &err), &err);
	assert_int_equal(mb_sessions_recheck(s.sessions), 1);
	assert_int_equal(mb_sessions_recheck(s.sessions), 0);
	assert_int_equal(agent_expect(&goes, MB_MSG_REFUSAL), MB_REFUSED_RIGHT);
	assert_int_equal(agent_read(&goes), 0);
	expect_counted(&s, MB_FOR_REVOKED, 1, "VM web2: cut: ");
	agent_send_epoch(&stays, 1);
	agent_expect(&stays, MB_MSG_ACK);
	agent_send_epoch(&local, 1);
	agent_expect(&local, MB_MSG_ACK);
	agent_close(&local);
	agent_close(&goes);
	agent_close(&stays);
	scene_close(&s);
}

/* Counted every time, said once a minute for each peer and reason. */
static void test_said_once(void **state)
{
	const char *word = "unable to get local issuer";
	struct scene s;
	int n = 0;

	(void)state;
	scene_open(&s);
	for (uint64_t i = 1; i <= 3; i++) {
		struct agent a;

		agent_reach(&a, &s, &s.tcp);
		if (agent_shake(&a, other_pem, ca_pem))
			assert_int_equal(agent_read(&a), -1);
		agent_close(&a);
		expect_counted(&s, MB_FOR_UNKNOWN_CA, i, word);
	}
	for (const char *p = s.said; (p = strstr(p, word)); p++)
		n++;
	assert_int_equal(n, 1);
	scene_close(&s);
}

/* --- the agent's own uplink ------------------------------------------------------------------- */

struct ours {
	struct scene *scene;
	struct mb_uplink *uplink;
	struct mb_tls *tls;
	char said[600];
	uint64_t acked;
};

static void on_uplink_say(void *ctx, enum mb_log_level level, const char *text)
{
	struct ours *o = ctx;

	(void)level;
	snprintf(o->said, sizeof(o->said), "%s", text);
}

static void on_acked(void *ctx, uint64_t epoch, size_t wire_bytes)
{
	struct ours *o = ctx;

	(void)wire_bytes;
	o->acked = epoch;
}

static void ours_open(struct ours *o, struct scene *s, const char *pem, const char *ca,
		      const char *name)
{
	const struct mb_tls_files files = { .cert = pem, .ca = ca };
	struct mb_uplink_config c = { .uri = "the server",
				      .address = s->tcp,
				      .tls_name = name,
				      .retry_min_ns = 1000000,
				      .retry_max_ns = 4000000,
				      .say = on_uplink_say,
				      .acked = on_acked,
				      .ctx = o };
	struct mb_epoch epoch = { .info = { .tracker = "none", .epochs = 1 } };
	struct mb_err err = { 0 };

	*o = (struct ours){ .scene = s };
	assert_ok(mb_tls_create(false, &files, &o->tls, &err), &err);
	c.tls = o->tls;
	make_hello("web1", 1, &c.hello);
	assert_ok(mb_uplink_create(&c, &o->uplink, &err), &err);
	make_fingerprint_of(1, 1, 100, &epoch.fingerprint);
	mb_uplink_offer(o->uplink, &epoch);
}

static void ours_close(struct ours *o)
{
	mb_uplink_destroy(o->uplink);
	mb_tls_destroy(o->tls);
	for (int i = 0; i < 5; i++)
		turn(o->scene);
}

/* Until it has an ack, or says that. */
static void ours_run(struct ours *o, uint64_t acked, const char *word)
{
	uint64_t end = mb_now_ns() + PATIENCE_NS;
	struct mb_err err = { 0 };

	while (acked ? o->acked != acked : !strstr(o->said, word)) {
		if (mb_now_ns() > end)
			fail_msg("%s", o->said);
		assert_ok(mb_uplink_run(o->uplink, mb_now_ns() + 1000000, -1, &err), &err);
		turn(o->scene);
	}
}

/* What keeps it from the server it says, and comes again; it holds on to its epoch. */
static void test_an_agent_of_ours(void **state)
{
	char their_ca[128];
	struct scene s;
	struct ours o;

	(void)state;
	pki_path("theirs", "ca.pem", their_ca);
	scene_open(&s);
	ours_open(&o, &s, web1_pem, NULL, "127.0.0.1");
	ours_run(&o, 1, NULL);
	ours_close(&o);
	ours_open(&o, &s, other_pem, ca_pem, "127.0.0.1");
	ours_run(&o, 0, "it refuses our certificate or TLS: unknown ca; trying again");
	assert_false(mb_uplink_idle(o.uplink));
	ours_close(&o);
	ours_open(&o, &s, web1_pem, NULL, "elsewhere");
	ours_run(&o, 0, "hostname mismatch; trying again");
	ours_close(&o);
	ours_open(&o, &s, web1_pem, their_ca, "127.0.0.1");
	ours_run(&o, 0, "unable to get local issuer certificate; trying again");
	assert_int_equal(o.acked, 0);
	ours_close(&o);
	scene_close(&s);
}

static void test_listen(void **state)
{
	struct mb_sessions_config c = { .max_sessions = 1, .say = on_say };
	struct mb_sessions *sessions;
	struct mb_address a, bound;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	scene_open(&s);
	assert_ok(mb_uri_parse("tcp:0.0.0.0:0", &a, &err), &err);
	assert_ok(mb_sessions_listen(s.sessions, &a, &bound, &err), &err);
	/* Without TLS just where nobody else can come, or who says so. */
	assert_ok(mb_sessions_create(s.base, s.fleet, s.ingest, &c, &sessions, &err), &err);
	assert_fails(mb_sessions_listen(sessions, &a, &bound, &err), EPERM, &err, "needs TLS");
	assert_ok(mb_uri_parse("tcp:127.0.0.1:0", &a, &err), &err);
	assert_ok(mb_sessions_listen(sessions, &a, &bound, &err), &err);
	mb_sessions_destroy(sessions);
	c.insecure = true;
	assert_ok(mb_sessions_create(s.base, s.fleet, s.ingest, &c, &sessions, &err), &err);
	assert_ok(mb_uri_parse("tcp:0.0.0.0:0", &a, &err), &err);
	assert_ok(mb_sessions_listen(sessions, &a, &bound, &err), &err);
	mb_sessions_destroy(sessions);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_let_in),	 cmocka_unit_test(test_other_vm),
		cmocka_unit_test(test_kept_out), cmocka_unit_test(test_in_clear),
		cmocka_unit_test(test_knock),	 cmocka_unit_test(test_an_agent_of_ours),
		cmocka_unit_test(test_recheck),	 cmocka_unit_test(test_said_once),
		cmocka_unit_test(test_listen),
	};

	return cmocka_run_group_tests_name("session_tls", tests, set_up, NULL);
}
