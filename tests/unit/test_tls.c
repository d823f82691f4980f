// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/tls.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "tests/unit/util_pki.h"

static char server_pem[128], agent_pem[128], other_pem[128], other_ca[128], brief_pem[128];
static char ca_pem[128], crl_pem[128];

static int set_up(void **state)
{
	(void)state;
	pki_init("ours");
	pki_init("theirs");
	pki_server("ours", "server", "127.0.0.1", server_pem);
	pki_agent("ours", "agent", "web1", agent_pem);
	pki_agent_for("ours", "brief", "web1", 1000000000, brief_pem);
	pki_agent("theirs", "agent", "web1", other_pem);
	pki_path("ours", "ca.pem", ca_pem);
	pki_path("ours", "crl.pem", crl_pem);
	pki_path("theirs", "ca.pem", other_ca);
	return 0;
}

/* Two ends in memory, in turns until both have said what they think of each other. */
struct pair {
	SSL *server, *client;
	unsigned long server_error, client_error;
	bool server_done, client_done;
};

static bool shake(SSL *ssl, unsigned long *error)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(ssl);
	if (r != 1 && SSL_get_error(ssl, r) == SSL_ERROR_SSL && !*error)
		*error = ERR_get_error();
	ERR_clear_error();
	return r == 1;
}

/* A byte from the server, or its alert. */
static void listen_to_server(struct pair *p)
{
	char c;
	int r;

	SSL_write(p->server, "x", 1);
	ERR_clear_error();
	r = SSL_read(p->client, &c, 1);
	if (r != 1 && SSL_get_error(p->client, r) == SSL_ERROR_SSL)
		p->client_error = ERR_get_error();
	ERR_clear_error();
}

static void meet(struct pair *p, const struct mb_tls *server, SSL *client)
{
	BIO *a, *b;

	*p = (struct pair){ .server = mb_tls_accept(server), .client = client };
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(p->server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(p->server);
	for (int i = 0; i < 10; i++) {
		p->client_done = shake(client, &p->client_error);
		p->server_done = shake(p->server, &p->server_error);
	}
	if (p->client_done)
		listen_to_server(p);
}

static void part(struct pair *p)
{
	SSL_free(p->server);
	SSL_free(p->client);
}

static struct mb_tls *open_tls(bool server, const char *cert, const char *ca, const char *crl)
{
	const struct mb_tls_files files = { .cert = cert, .ca = ca, .crl = crl };
	struct mb_err err = { 0 };
	struct mb_tls *t = NULL;

	assert_ok(mb_tls_create(server, &files, &t, &err), &err);
	return t;
}

/* Of an agent whose certificate ends within a second; on a slow machine it may be over already. */
static struct mb_tls *open_brief(void)
{
	struct mb_err err = { 0 };
	struct mb_tls *t = NULL;

	for (int i = 0; i < 20 && !t; i++) {
		char name[32], pem[128];
		const struct mb_tls_files files = { .cert = pem };

		snprintf(name, sizeof(name), "brief-%d", i);
		pki_agent_for("ours", name, "web1", 1000000000, pem);
		if (mb_tls_create(false, &files, &t, &err) < 0)
			t = NULL;
	}
	assert_non_null(t);
	return t;
}

static void expect_fault(const struct mb_tls *server, SSL *client, enum mb_tls_fault fault)
{
	struct pair p;
	char text[300];

	meet(&p, server, client);
	assert_false(p.server_done);
	if (mb_tls_why(p.server, p.server_error, text, sizeof(text)) != fault)
		fail_msg("%s", text);
	assert_true(strlen(text) > 5);
	part(&p);
}

static bool is_uri(const char *uri, void *ctx)
{
	return strcmp(uri, ctx) == 0;
}

static void test_both_know_each_other(void **state)
{
	static char web1[] = "memory-buddies:vm:web1", web2[] = "memory-buddies:vm:web2";
	struct mb_tls *server = open_tls(true, server_pem, NULL, crl_pem);
	struct mb_tls *agent = open_tls(false, agent_pem, NULL, NULL);
	struct pair p;
	char name[80];

	(void)state;
	meet(&p, server, mb_tls_connect(agent, -1, "127.0.0.1"));
	assert_true(p.server_done && p.client_done);
	assert_string_equal(SSL_get_version(p.client), "TLSv1.3");
	mb_tls_peer_name(p.server, name, sizeof(name));
	assert_string_equal(name, "agent");
	assert_true(mb_tls_peer_has_uri(p.server, is_uri, web1));
	assert_false(mb_tls_peer_has_uri(p.server, is_uri, web2));
	/* Nothing of this connection is good for another. */
	assert_false(SSL_SESSION_is_resumable(SSL_get0_session(p.client)));
	assert_int_equal(SSL_SESSION_get_max_early_data(SSL_get0_session(p.client)), 0);
	part(&p);
	mb_tls_destroy(agent);
	mb_tls_destroy(server);
	mb_tls_destroy(NULL);
}

static void test_server_refuses(void **state)
{
	struct mb_tls *server = open_tls(true, server_pem, NULL, crl_pem);
	struct mb_tls *agent = open_tls(false, agent_pem, NULL, NULL);
	struct mb_tls *brief = open_brief();
	struct mb_tls *other = open_tls(false, other_pem, ca_pem, NULL);
	SSL_CTX *bare = SSL_CTX_new(TLS_client_method());
	SSL *old;

	(void)state;
	expect_fault(server, mb_tls_connect(other, -1, "127.0.0.1"), MB_TLS_UNKNOWN_CA);
	expect_fault(server, SSL_new(bare), MB_TLS_BROKEN); /* which does not know our CA */
	SSL_CTX_set_verify(bare, SSL_VERIFY_NONE, NULL);
	old = SSL_new(bare);
	SSL_set_connect_state(old);
	expect_fault(server, old, MB_TLS_NO_CERTIFICATE);
	SSL_CTX_set_max_proto_version(bare, TLS1_2_VERSION);
	old = SSL_new(bare);
	SSL_set_connect_state(old);
	expect_fault(server, old, MB_TLS_NOT_TLS13);
	sleep(2);
	expect_fault(server, mb_tls_connect(brief, -1, "127.0.0.1"), MB_TLS_EXPIRED);
	SSL_CTX_free(bare);
	mb_tls_destroy(other);
	mb_tls_destroy(brief);
	mb_tls_destroy(agent);
	mb_tls_destroy(server);
}

static void test_agent_refuses(void **state)
{
	struct mb_tls *server = open_tls(true, server_pem, NULL, NULL);
	struct mb_tls *agent = open_tls(false, agent_pem, NULL, NULL);
	struct mb_tls *other = open_tls(false, agent_pem, other_ca, NULL);
	struct pair p;
	char text[300];

	(void)state;
	meet(&p, server, mb_tls_connect(agent, -1, "127.0.0.2"));
	assert_false(p.client_done);
	mb_tls_why(p.client, p.client_error, text, sizeof(text));
	assert_non_null(strstr(text, "IP address mismatch"));
	part(&p);
	meet(&p, server, mb_tls_connect(agent, -1, "localhost"));
	assert_false(p.client_done);
	part(&p);
	meet(&p, server, mb_tls_connect(other, -1, "127.0.0.1"));
	assert_false(p.client_done);
	assert_int_equal(mb_tls_why(p.client, p.client_error, text, sizeof(text)),
			 MB_TLS_UNKNOWN_CA);
	part(&p);
	mb_tls_destroy(other);
	mb_tls_destroy(agent);
	mb_tls_destroy(server);
}

/* An agent's certificate makes no server, nor the other way round. */
static void test_roles(void **state)
{
	struct mb_tls *t = NULL;
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_tls_create(true, &(struct mb_tls_files){ .cert = agent_pem }, &t, &err),
		     EBADMSG, &err, "no certificate for a server");
	assert_fails(mb_tls_create(false, &(struct mb_tls_files){ .cert = server_pem }, &t, &err),
		     EBADMSG, &err, "no certificate for an agent");
}

static void test_revoked(void **state)
{
	struct mb_tls *server = open_tls(true, server_pem, NULL, crl_pem);
	struct mb_tls *agent;
	struct mb_err err = { 0 };
	char pem[128], text[300];
	struct pair p, running;

	(void)state;
	pki_agent("ours", "fired", "web1", pem);
	agent = open_tls(false, pem, NULL, NULL);
	meet(&running, server, mb_tls_connect(agent, -1, "127.0.0.1"));
	assert_true(running.server_done);
	pki_revoke("ours", "fired");
	assert_ok(mb_tls_recheck(server, running.server, &err), &err);
	assert_ok(mb_tls_reload(server, &err), &err);
	assert_fails(mb_tls_recheck(server, running.server, &err), EACCES, &err, "revoked");
	meet(&p, server, mb_tls_connect(agent, -1, "127.0.0.1"));
	assert_false(p.server_done);
	assert_int_equal(mb_tls_why(p.server, p.server_error, text, sizeof(text)), MB_TLS_REVOKED);
	/* The agent learns it. */
	mb_tls_why(p.client, p.client_error, text, sizeof(text));
	assert_non_null(strstr(text, "certificate revoked"));
	part(&p);
	part(&running);
	mb_tls_destroy(agent);
	mb_tls_destroy(server);
}

static void copy(const char *from, const char *to, size_t cut, mode_t mode)
{
	struct mb_buf b = { 0 };
	struct mb_err err = { 0 };
	int fd;

	assert_ok(mb_file_read(from, 1 << 20, &b, &err), &err);
	unlink(to);
	fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	assert_true(fd >= 0 && fchmod(fd, mode) == 0);
	assert_ok(mb_write_all(fd, b.data, b.len - cut, &err), &err);
	close(fd);
	mb_buf_deinit(&b);
}

/* Every bad file is refused with its name, and what was there before goes on working. */
static void test_bad_files_change_nothing(void **state)
{
	char pem[128], crl[128], theirs[128], no_key[128];
	struct mb_tls_files files = { .cert = pem, .ca = ca_pem, .crl = crl };
	struct mb_tls *server = NULL, *agent = open_tls(false, agent_pem, NULL, NULL);
	struct mb_err err = { 0 };
	struct pair p;

	(void)state;
	scratch_path("now.pem", pem);
	scratch_path("now.crl", crl);
	pki_path("theirs", "crl.pem", theirs);
	copy(server_pem, pem, 0, 0600);
	copy(crl_pem, crl, 0, 0600);
	assert_ok(mb_tls_create(true, &files, &server, &err), &err);

	unlink(pem);
	assert_fails(mb_tls_reload(server, &err), ENOENT, &err, "now.pem");
	copy(server_pem, pem, 0, 0604);
	assert_fails(mb_tls_reload(server, &err), EPERM, &err, "others can read the key");
	copy(ca_pem, pem, 0, 0600);
	assert_fails(mb_tls_reload(server, &err), EBADMSG, &err, "now.pem");
	/* The CA at the end of it is cut. */
	copy(server_pem, pem, 40, 0600);
	assert_fails(mb_tls_reload(server, &err), EBADMSG, &err, "chain");
	copy(brief_pem, pem, 0, 0600);
	sleep(1);
	assert_fails(mb_tls_reload(server, &err), EKEYEXPIRED, &err, "expired");
	copy(server_pem, pem, 0, 0600);
	copy(theirs, crl, 0, 0600);
	assert_fails(mb_tls_reload(server, &err), EBADMSG, &err, "not by our CA");
	copy(crl_pem, crl, 30, 0600);
	assert_fails(mb_tls_reload(server, &err), EBADMSG, &err, "now.crl");
	copy("/dev/null", crl, 0, 0600);
	assert_fails(mb_tls_reload(server, &err), EBADMSG, &err, "no revocation list");
	copy(crl_pem, crl, 0, 0600);
	/* Another's key. */
	scratch_path("key.pem", no_key);
	copy(agent_pem, no_key, 0, 0600);
	files.key = no_key;
	{
		struct mb_tls *t = NULL;

		assert_fails(mb_tls_create(true, &files, &t, &err), EBADMSG, &err, "private key");
	}
	meet(&p, server, mb_tls_connect(agent, -1, "127.0.0.1"));
	assert_true(p.server_done && p.client_done);
	part(&p);
	assert_ok(mb_tls_reload(server, &err), &err);
	mb_tls_destroy(agent);
	mb_tls_destroy(server);
}

struct uris {
	char text[400];
};

static void add_uri(const char *uri, void *ctx)
{
	struct uris *u = ctx;

	strcat(u->text, uri);
	strcat(u->text, " ");
}

/* By another library's handshake: the same verdict, by the same files. */
static void test_check_client(void **state)
{
	struct mb_tls *server = open_tls(true, server_pem, NULL, crl_pem);
	struct mb_buf mine = { 0 }, ca = { 0 }, theirs = { 0 };
	struct mb_slice chain[3];
	struct mb_err err = { 0 };
	struct uris u = { 0 };
	char name[80];

	(void)state;
	pki_der(agent_pem, &mine);
	pki_der(ca_pem, &ca);
	pki_der(other_pem, &theirs);
	chain[0] = mb_buf_slice(&mine);
	chain[1] = mb_buf_slice(&ca);
	for (size_t n = 1; n <= 2; n++) {
		*u.text = 0;
		assert_ok(mb_tls_check_client(server, chain, n, add_uri, &u, name, sizeof(name),
					      &err),
			  &err);
		assert_string_equal(name, "agent");
		assert_string_equal(u.text, "memory-buddies:vm:web1 ");
	}
	/* One's own name before a certificate that is not one's own helps nothing. */
	chain[0] = mb_buf_slice(&theirs);
	chain[1] = mb_buf_slice(&mine);
	assert_fails(mb_tls_check_client(server, chain, 2, add_uri, &u, name, sizeof(name), &err),
		     EACCES, &err, "unable to get local issuer");
	assert_fails(mb_tls_check_client(server, chain, 0, add_uri, &u, name, sizeof(name), &err),
		     EBADMSG, &err, "no certificate");
	for (size_t cut = 0; cut < mine.len; cut++) {
		chain[0] = (struct mb_slice){ mine.data, cut };
		assert_fails(mb_tls_check_client(server, chain, 1, add_uri, &u, name, sizeof(name),
						 &err),
			     EBADMSG, &err, "no certificate");
	}
	mb_buf_put_u8(&mine, 0);
	chain[0] = mb_buf_slice(&mine);
	assert_fails(mb_tls_check_client(server, chain, 1, add_uri, &u, name, sizeof(name), &err),
		     EBADMSG, &err, "no certificate");
	mb_buf_deinit(&mine);
	mb_buf_deinit(&ca);
	mb_buf_deinit(&theirs);
	mb_tls_destroy(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_know_each_other),
		cmocka_unit_test(test_server_refuses),
		cmocka_unit_test(test_agent_refuses),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_revoked),
		cmocka_unit_test(test_bad_files_change_nothing),
		cmocka_unit_test(test_check_client),
	};

	return cmocka_run_group_tests_name("tls", tests, set_up, NULL);
}
