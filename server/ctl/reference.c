// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbctl reference`: what the VMs of a server hold, as a trace that agents measure against. */
#include <argp.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"
#include "proto/base/file.h"
#include "proto/base/version.h"
#include "proto/trace.h"
#include "server/ctl/ctl.h"
#include "server/store.h"

struct options {
	const char *db, *path, *except, *domain;
};

enum { OPT_EXCEPT = 1, OPT_DOMAIN, EXPORT_PAGES = 1 << 20 };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'd':
		o->db = arg;
		return 0;
	case 'o':
		o->path = arg;
		return 0;
	case OPT_EXCEPT:
		o->except = arg;
		return 0;
	case OPT_DOMAIN:
		o->domain = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is too much", arg);
		return 0;
	case ARGP_KEY_END:
		if (!o->db || !o->path)
			argp_error(state, "--db and --output are missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

struct gather {
	const struct options *o;
	struct mb_identity identity;
	uint32_t n_vms;
	uint64_t *digests; /* owned */
	size_t n;
};

static int add_vm(struct gather *g, const struct mb_vm *vm, struct mb_err *err)
{
	const struct mb_fingerprint *fp = mb_fpref_fingerprint(vm->fp);
	void *list;
	int r;

	if (g->n_vms) {
		r = mb_identity_compare(&g->identity, &vm->identity, err);
		if (r < 0)
			return mb_fail_in(err, r, "VM %s (--domain NAME takes one trust domain)",
					  vm->name);
	}
	g->identity = vm->identity;
	g->n_vms++;
	list = realloc(g->digests, (g->n + fp->n_distinct + 1) * sizeof(*g->digests));
	if (!list)
		return mb_fail_mem(err, "the reference");
	g->digests = list;
	if (fp->n_distinct)
		memcpy(g->digests + g->n, fp->digests, fp->n_distinct * sizeof(*fp->digests));
	g->n += fp->n_distinct;
	return 0;
}

static int each_vm(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *err)
{
	struct gather *g = ctx;
	int r = 0;

	if (damage)
		r = mb_fail(err, EBADMSG, "VM %s: %s", vm->name, damage);
	else if (vm->epoch && (!g->o->except || strcmp(vm->name, g->o->except) != 0) &&
		 (!g->o->domain || strcmp(vm->identity.domain, g->o->domain) == 0))
		r = add_vm(g, vm, err);
	mb_vm_deinit(vm);
	return r;
}

/* Digests stand in no order of frames: each is its own "frame". */
static int put_pages(const struct mb_fingerprint *fp, struct mb_buf *out, struct mb_err *err)
{
	mb_autofree struct mb_page *pages = calloc(EXPORT_PAGES, sizeof(*pages));
	int r = pages ? 0 : mb_fail_mem(err, "pages");

	for (uint32_t i = 0; r == 0 && i < fp->n_distinct;) {
		size_t n = 0;

		for (; n < EXPORT_PAGES && i < fp->n_distinct; n++, i++)
			pages[n] = (struct mb_page){ .frame = i, .digest = fp->digests[i] };
		r = mb_trace_put_pages(pages, n, out, err);
	}
	return r;
}

static int make_trace(const struct gather *g, const struct mb_fingerprint *fp, struct mb_buf *out,
		      struct mb_err *err)
{
	struct mb_trace_header h = { .version = MB_PROTOCOL_VERSION,
				     .agent = mb_version,
				     .vm = "",
				     .source = "a server's VMs",
				     .identity = g->identity };
	struct mb_trace_epoch e = { .epoch = 1,
				    .pass = { .tracker = "none", .taken_unix_ns = mb_unix_ns() },
				    .fingerprint = mb_fingerprint_id(fp) };
	int r = mb_trace_put_header(&h, out, err);

	if (r == 0)
		r = put_pages(fp, out, err);
	return r < 0 ? r : mb_trace_put_epoch(&e, out, err);
}

static int write_file(const char *path, const struct mb_buf *data, struct mb_err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), r;

	if (fd < 0)
		return mb_fail(err, errno, "%s: %m", path);
	r = mb_write_all(fd, data->data, data->len, err);
	if (close(fd) < 0 && r == 0)
		r = mb_fail(err, errno, "%m");
	return r < 0 ? mb_fail_in(err, r, "%s", path) : 0;
}

static int export(const struct options *o, struct mb_err *err)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint all = { 0 }, each = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf out = { 0 };
	struct gather g = { .o = o };
	struct mb_store *s;
	int r;

	if (access(o->db, R_OK) < 0)
		return mb_fail(err, errno, "%s: %m", o->db);
	r = mb_store_open(o->db, &s, err);
	if (r < 0)
		return r;
	r = mb_store_load(s, each_vm, &g, err);
	mb_store_close(s);
	if (r == 0 && !g.n_vms)
		r = mb_fail(err, ENODATA, "%s: no such VM with an epoch", o->db);
	if (r == 0)
		r = mb_fingerprint_from_digests(&all, g.digests, g.n, err);
	if (r == 0)
		r = mb_fingerprint_init(&each, all.n_distinct, 0, err);
	for (uint32_t i = 0; r == 0 && i < all.n_distinct; i++)
		mb_fingerprint_push(&each, all.digests[i], 1);
	if (r == 0)
		r = make_trace(&g, &each, &out, err);
	if (r == 0)
		r = write_file(o->path, &out, err);
	if (r == 0)
		printf("%s: %" PRIu32 " digests of %" PRIu32 " VMs\n", o->path, each.n_distinct,
		       g.n_vms);
	free(g.digests);
	return r;
}

int mb_ctl_reference(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "db", 'd', "FILE", 0, "The server's database; the server may be running", 0 },
		{ "output", 'o', "FILE", 0, "The trace to write", 0 },
		{ "except", OPT_EXCEPT, "VM", 0, "Leave this VM out: the one that is measured", 0 },
		{ "domain", OPT_DOMAIN, "NAME", 0, "Only VMs of this trust domain", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Writes the distinct digests of all VMs of a server, as of their last "
		       "epochs, to a trace: what `mbagent churn --reference FILE` looks for "
		       "sharing "
		       "with. It has digests as agents sent them: who measures needs the same key.",
	};
	struct options o = { 0 };
	struct mb_err err = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return mb_ctl_end(export(&o, &err), &err);
}
