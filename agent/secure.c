// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/secure.h"

#include <string.h>

enum { OPT_CERT = 768, OPT_KEY, OPT_CA, OPT_CRL, OPT_NAME, OPT_INSECURE };

static const struct argp_option options[] = {
	{ "tls-cert", OPT_CERT, "FILE", 0,
	  "TLS 1.3 with the server: this agent's certificate, PEM, which must name the VM (mbctl "
	  "pki agent makes one file of all that is needed). SIGHUP: read the files again",
	  3 },
	{ "tls-key", OPT_KEY, "FILE", 0, "its private key (default: in the same file)", 3 },
	{ "tls-ca", OPT_CA, "FILE", 0,
	  "CA that the server's certificate comes from (default: in the same file)", 3 },
	{ "tls-crl", OPT_CRL, "FILE", 0, "server certificates that are revoked (none)", 3 },
	{ "tls-name", OPT_NAME, "NAME", 0,
	  "who the server's certificate must be for (default: the host of --server)", 3 },
	{ "insecure", OPT_INSECURE, 0, 0, "speak to a server on another machine without TLS", 3 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct mb_secure *s = state->input;

	switch (key) {
	case OPT_CERT:
		s->files.cert = arg;
		return 0;
	case OPT_KEY:
		s->files.key = arg;
		return 0;
	case OPT_CA:
		s->files.ca = arg;
		return 0;
	case OPT_CRL:
		s->files.crl = arg;
		return 0;
	case OPT_NAME:
		s->name = arg;
		return 0;
	case OPT_INSECURE:
		s->insecure = true;
		return 0;
	case ARGP_KEY_END:
		if (!s->files.cert && (s->files.key || s->files.ca || s->files.crl || s->name))
			argp_error(state,
				   "--tls-key, --tls-ca, --tls-crl, --tls-name: need --tls-cert");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp mb_secure_argp = { .options = options, .parser = parse };

/* tcp:HOST:PORT, the host perhaps in brackets. */
static void host_of(const char *uri, char *host, size_t size)
{
	const char *from = uri + strlen("tcp:"), *colon = strrchr(from, ':');
	size_t n = colon ? (size_t)(colon - from) : strlen(from);

	if (n >= 2 && from[0] == '[' && from[n - 1] == ']') {
		from++;
		n -= 2;
	}
	snprintf(host, size, "%.*s", (int)n, from);
}

int mb_secure_open(struct mb_secure *s, const char *uri, const struct mb_address *address,
		   struct mb_err *err)
{
	bool tcp = address->sa.sa_family == AF_INET || address->sa.sa_family == AF_INET6;

	if (s->files.cert && !tcp)
		return mb_fail(err, EINVAL, "--tls-cert: %s is no TCP address", uri);
	if (tcp && !s->files.cert && !mb_address_is_local(address) && !s->insecure)
		return mb_fail(err, EPERM,
			       "%s is another machine: needs --tls-cert, or --insecure where a "
			       "tunnel does that",
			       uri);
	if (!s->files.cert)
		return 0;
	if (!s->name) {
		host_of(uri, s->host, sizeof(s->host));
		s->name = s->host;
	}
	return mb_tls_create(false, &s->files, &s->tls, err);
}

void mb_secure_close(struct mb_secure *s)
{
	mb_tls_destroy(s->tls);
	s->tls = NULL;
}
