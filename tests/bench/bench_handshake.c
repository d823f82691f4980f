// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a handshake costs a server and its client, and what it would cost to resume: in memory,
 * TLS 1.3 with certificates on both sides. A session that is resumed is held against the CA again,
 * since its certificate may have been revoked; without that it would be cheaper, and no answer.
 * usage: bench_handshake SERVER.pem AGENT.pem CA.pem [--json]
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/clock.h"

enum { ROUNDS = 9, CONNECTIONS = 200, PIPE_BYTES = 65536 };

struct cost {
	double server_us, both_us;
};

static SSL_SESSION *last_session;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench_handshake: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(last_session);
	last_session = session;
	return 1;
}

static SSL_CTX *make_ctx(bool server, const char *pem, const char *ca, bool tickets)
{
	SSL_CTX *c = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	must(c && SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) == 1, "TLS");
	must(SSL_CTX_use_certificate_chain_file(c, pem) == 1 &&
		     SSL_CTX_use_PrivateKey_file(c, pem, SSL_FILETYPE_PEM) == 1,
	     pem);
	must(SSL_CTX_load_verify_locations(c, ca, NULL) == 1, ca);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER | (server ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
			   NULL);
	SSL_CTX_set_session_id_context(c, (const unsigned char *)"bench", 5);
	SSL_CTX_set_num_tickets(c, tickets);
	SSL_CTX_set_session_cache_mode(c,
				       server ? SSL_SESS_CACHE_OFF :
						SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c, keep_session);
	return c;
}

static void check_again(SSL_CTX *ctx, SSL *ssl)
{
	X509_STORE_CTX *c = X509_STORE_CTX_new();

	must(c &&
		     X509_STORE_CTX_init(c, SSL_CTX_get_cert_store(ctx),
					 SSL_get0_peer_certificate(ssl), NULL) == 1 &&
		     X509_STORE_CTX_set_default(c, "ssl_client") == 1 && X509_verify_cert(c) == 1,
	     "a resumed certificate");
	X509_STORE_CTX_free(c);
}

/* One connection; adds what it took. */
static void connect_once(SSL_CTX *at_server, SSL_CTX *at_client, bool resume, struct cost *cost)
{
	uint64_t start = mb_cpu_ns(), server_ns = 0, t;
	SSL *s = SSL_new(at_server), *c = SSL_new(at_client);
	BIO *left, *right;
	int r = 0, q = 0;
	char byte;

	must(s && c && BIO_new_bio_pair(&left, PIPE_BYTES, &right, PIPE_BYTES) == 1, "memory");
	SSL_set_bio(s, left, left);
	SSL_set_bio(c, right, right);
	SSL_set_accept_state(s);
	SSL_set_connect_state(c);
	must(!resume || SSL_set_session(c, last_session) == 1, "a session");
	for (int i = 0; i < 8 && (r != 1 || q != 1); i++) {
		q = SSL_do_handshake(c);
		t = mb_cpu_ns();
		r = SSL_do_handshake(s);
		server_ns += mb_cpu_ns() - t;
	}
	must(r == 1 && q == 1, "handshake");
	must(SSL_session_reused(s) == resume, "resumption");
	t = mb_cpu_ns();
	if (resume)
		check_again(at_server, s);
	must(SSL_write(s, "x", 1) == 1, "a byte");
	server_ns += mb_cpu_ns() - t;
	/* Tickets come with what comes first. */
	must(SSL_read(c, &byte, 1) == 1, "a byte");
	SSL_shutdown(c);
	SSL_shutdown(s);
	SSL_free(c);
	SSL_free(s);
	cost->server_us += (double)server_ns / 1e3 / CONNECTIONS;
	cost->both_us += (double)(mb_cpu_ns() - start) / 1e3 / CONNECTIONS;
}

static int compare(const void *a, const void *b)
{
	const struct cost *x = a, *y = b;

	return (x->server_us > y->server_us) - (x->server_us < y->server_us);
}

static struct cost measure(char **pem, bool tickets, bool resume)
{
	SSL_CTX *s = make_ctx(true, pem[1], pem[3], tickets);
	SSL_CTX *c = make_ctx(false, pem[2], pem[3], tickets);
	struct cost rounds[ROUNDS] = { 0 }, first = { 0 };

	connect_once(s, c, false, &first);
	for (int i = 0; i < ROUNDS; i++)
		for (int k = 0; k < CONNECTIONS; k++)
			connect_once(s, c, resume, &rounds[i]);
	qsort(rounds, ROUNDS, sizeof(*rounds), compare);
	SSL_SESSION_free(last_session);
	last_session = NULL;
	SSL_CTX_free(s);
	SSL_CTX_free(c);
	return rounds[ROUNDS / 2];
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		bool tickets, resume;
	} ways[] = {
		{ "full, no tickets", false, false },
		{ "full, with a ticket", true, false },
		{ "resumed, checked, with a ticket", true, true },
	};
	bool json = argc == 5 && strcmp(argv[4], "--json") == 0;
	double baseline = 0;

	must(argc == 4 || json, "usage: bench_handshake SERVER.pem AGENT.pem CA.pem [--json]");
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct cost c = measure(argv, ways[i].tickets, ways[i].resume);

		baseline = i ? baseline : c.server_us;
		printf(json ? "{\"bench\":\"handshake\",\"what\":\"%s\",\"server_us\":%.0f,"
			      "\"x\":%.2f,\"both_us\":%.0f}\n" :
			      "%-32s server %5.0f us  x %.2f  both %5.0f us\n",
		       ways[i].name, c.server_us, c.server_us / baseline, c.both_us);
	}
	return 0;
}
