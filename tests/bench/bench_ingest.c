// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From frames to durable fingerprints, by the server's own ingest thread and a store on disk, next
 * to decoding and proving them without a store, and to writing the same bytes with as many
 * fdatasync(2). usage: bench_ingest [--json] [FOLDER]     the database and a file go there (.)
 *
 * In digests that the server has taken in per second: of a snapshot all, of a delta those that it
 * adds, removes or recounts.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/file.h"
#include "proto/frame.h"
#include "server/ingest.h"
#include "tests/bench/util_agent.h"
#include "tests/bench/util_bench.h"

enum { VMS = 64, PAGES = 65536, DELTAS = 8, CHANGED = PAGES / 20, EPOCHS = 1 + DELTAS };

struct frames {
	struct mb_buf frame[EPOCHS][VMS];
	double entries[2]; /* of all snapshots, of all deltas */
	double bytes[2];
};

struct figures {
	double wall_ns, cpu_ns;
};

static struct mb_err err;
static char name[VMS][16];

static uint64_t entries_of(const struct mb_buf *frame)
{
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_slice in = mb_buf_slice(frame);

	bench_must(mb_frame_take(&in, MB_FRAME_RAW_MAX, &raw, &err), &err);
	bench_must(mb_msg_unpack(mb_buf_slice(&raw), &msg, &err), &err);
	return (uint64_t)msg.delta.fields.n_added + msg.delta.fields.n_removed +
	       msg.delta.fields.n_changed;
}

static void make_frames(struct frames *f)
{
	for (uint32_t v = 0; v < VMS; v++) {
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint held = { 0 };
		mb_cleanup(bench_vm_deinit) struct bench_vm vm;

		bench_vm_init(&vm, v, PAGES);
		for (uint32_t e = 0; e < EPOCHS; e++) {
			struct mb_fingerprint fp;

			if (e)
				bench_vm_change(&vm, CHANGED);
			bench_vm_fingerprint(&vm, &fp);
			bench_delta_frame(e ? &held : NULL, e, &fp, e + 1, CHANGED, NULL,
					  &f->frame[e][v]);
			f->entries[e > 0] += (double)entries_of(&f->frame[e][v]);
			f->bytes[e > 0] += (double)f->frame[e][v].len;
			mb_fingerprint_deinit(&held);
			held = fp;
		}
	}
}

/* --- with a store ----------------------------------------------------------------------------- */

struct scene {
	struct mb_fleet *fleet;
	struct mb_store *store;
	struct mb_ingest *ingest;
	struct mb_hello hello;
	char path[4096];
};

static void remove_database(const char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	char file[4200];

	for (size_t i = 0; i < MB_ARRAY_LEN(suffixes); i++) {
		snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		unlink(file);
	}
}

static void scene_open(struct scene *s, const char *folder)
{
	struct mb_welcome w = { 0 };
	uint32_t vm;

	snprintf(s->path, sizeof(s->path), "%s/ingest.db", folder);
	remove_database(s->path);
	bench_must(mb_fleet_create(&s->fleet, &err), &err);
	bench_must(mb_store_open(s->path, &s->store, &err), &err);
	bench_must(mb_ingest_create(s->fleet, s->store, MB_FRAME_RAW_MAX, &s->ingest, &err), &err);
	for (uint32_t v = 0; v < VMS; v++) {
		snprintf(name[v], sizeof(name[v]), "vm%u", v);
		bench_hello(name[v], 1, PAGES, &s->hello);
		bench_must(mb_fleet_greet(s->fleet, &s->hello, v + 1, &w, &vm, &err), &err);
	}
}

static void scene_close(struct scene *s)
{
	mb_ingest_destroy(s->ingest);
	mb_store_close(s->store);
	mb_fleet_destroy(s->fleet);
	remove_database(s->path);
}

static void submit(struct scene *s, uint32_t v, const struct mb_buf *frame)
{
	struct mb_ingest_job *job = bench_alloc(sizeof(*job));

	job->vm = v;
	job->boot = s->hello.boot;
	job->identity = s->hello.identity;
	mb_buf_put(&job->frame, frame->data, frame->len);
	mb_ingest_submit(s->ingest, job);
}

static void take(struct scene *s, unsigned int n)
{
	struct pollfd p = { .fd = mb_ingest_fd(s->ingest), .events = POLLIN };

	for (unsigned int got = 0; got < n;) {
		struct mb_ingest_job *next;

		poll(&p, 1, -1);
		for (struct mb_ingest_job *j = mb_ingest_take(s->ingest); j; j = next) {
			next = j->next;
			if (j->verdict != MB_INGEST_DURABLE)
				bench_must(mb_fail(&err, EIO, "not durable: %s", j->reason.text),
					   &err);
			mb_ingest_job_free(j);
			got++;
		}
	}
}

static struct figures ingest(struct scene *s, const struct frames *f, uint32_t first, uint32_t end)
{
	uint64_t wall = mb_now_ns(), cpu = mb_cpu_ns();

	for (uint32_t e = first; e < end; e++)
		for (uint32_t v = 0; v < VMS; v++)
			submit(s, v, &f->frame[e][v]);
	take(s, (end - first) * VMS);
	/* What lasts is worked out behind the acks: it counts. */
	mb_fleet_settle(s->fleet);
	return (struct figures){ (double)(mb_now_ns() - wall), (double)(mb_cpu_ns() - cpu) };
}

/* --- without one ------------------------------------------------------------------------------ */

static struct figures prove(struct mb_fingerprint held[VMS], const struct frames *f, uint32_t first,
			    uint32_t end)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	uint64_t wall = mb_now_ns(), cpu = mb_cpu_ns();

	for (uint32_t e = first; e < end; e++)
		for (uint32_t v = 0; v < VMS; v++) {
			mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
			mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 };
			struct mb_slice in = mb_buf_slice(&f->frame[e][v]);
			struct mb_fingerprint fp;

			bench_must(mb_frame_take(&in, MB_FRAME_RAW_MAX, &raw, &err), &err);
			bench_must(mb_msg_unpack(mb_buf_slice(&raw), &msg, &err), &err);
			bench_must(mb_delta_decode(&msg.delta.fields, 64, &d, &err), &err);
			bench_must(mb_delta_apply(&held[v], &d, &fp, &err), &err);
			mb_fingerprint_deinit(&held[v]);
			held[v] = fp;
		}
	return (struct figures){ (double)(mb_now_ns() - wall), (double)(mb_cpu_ns() - cpu) };
}

/* A sync for as many frames as ingest commits at once. */
static struct figures write_only(const char *folder, const struct frames *f, uint32_t first,
				 uint32_t end)
{
	uint64_t wall = mb_now_ns(), cpu = mb_cpu_ns();
	mb_autoclose int fd = -1;
	char path[4096];

	snprintf(path, sizeof(path), "%s/ingest.bytes", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bench_must(fd < 0 ? mb_fail(&err, errno, "%s: %m", path) : 0, &err);
	for (uint32_t e = first; e < end; e++) {
		for (uint32_t v = 0; v < VMS; v++)
			bench_must(mb_write_all(fd, f->frame[e][v].data, f->frame[e][v].len, &err),
				   &err);
		fdatasync(fd);
	}
	unlink(path);
	return (struct figures){ (double)(mb_now_ns() - wall), (double)(mb_cpu_ns() - cpu) };
}

/* --- the run ---------------------------------------------------------------------------------- */

enum { INGEST, PROVE, WRITE, WAYS };

static void report(const struct bench_options *o, const struct frames *f, int deltas,
		   struct figures *figures[WAYS])
{
	static const char *const what[WAYS] = { "durable, by ingest and store",
						"decoded and proved only",
						"written and synced only" };
	struct bench_report r;
	double wall[WAYS], cpu[WAYS];
	char note[160];

	for (int w = 0; w < WAYS; w++) {
		mb_autofree double *v = bench_alloc(o->rounds * sizeof(*v));

		for (unsigned int i = 0; i < o->rounds; i++)
			v[i] = figures[w][i].wall_ns;
		wall[w] = bench_median(v, o->rounds);
		for (unsigned int i = 0; i < o->rounds; i++)
			v[i] = figures[w][i].cpu_ns;
		cpu[w] = bench_median(v, o->rounds);
	}
	snprintf(note, sizeof(note), "%s of %d VMs of %d pages, %.1f bytes a digest on the wire",
		 deltas ? "8 deltas (5 % changed)" : "a snapshot", VMS, PAGES,
		 f->bytes[deltas] / f->entries[deltas]);
	bench_begin(&r, o, "ingest", note, what[INGEST]);
	r.base_value = f->entries[deltas] / cpu[INGEST] * 1e3;
	for (int w = 0; w < WAYS; w++)
		bench_row(&r, what[w], f->entries[deltas] / cpu[w] * 1e3, "M digests/s of CPU");
	r.base_value = f->entries[deltas] / wall[INGEST] * 1e3;
	for (int w = 0; w < WAYS; w++)
		bench_row(&r, what[w], f->entries[deltas] / wall[w] * 1e3,
			  "M digests/s by the clock");
}

int main(int argc, char **argv)
{
	struct bench_options o = { .rounds = 5 };
	struct frames *f = bench_alloc(sizeof(*f));
	struct figures *figures[2][WAYS];
	const char *folder;
	int at;

	argp_parse(&bench_argp, argc, argv, 0, &at, &o);
	folder = at < argc ? argv[at] : ".";
	make_frames(f);
	for (int d = 0; d < 2; d++)
		for (int w = 0; w < WAYS; w++)
			figures[d][w] = bench_alloc(o.rounds * sizeof(**figures[d]));
	for (unsigned int i = 0; i < o.rounds; i++) {
		struct mb_fingerprint held[VMS] = { 0 };
		struct scene s = { 0 };

		scene_open(&s, folder);
		for (uint32_t d = 0; d < 2; d++) {
			uint32_t first = d ? 1 : 0, end = d ? EPOCHS : 1;

			figures[d][INGEST][i] = ingest(&s, f, first, end);
			figures[d][PROVE][i] = prove(held, f, first, end);
			figures[d][WRITE][i] = write_only(folder, f, first, end);
		}
		scene_close(&s);
		for (uint32_t v = 0; v < VMS; v++)
			mb_fingerprint_deinit(&held[v]);
	}
	for (int d = 0; d < 2; d++)
		report(&o, f, d, figures[d]);
	for (int d = 0; d < 2; d++)
		for (int w = 0; w < WAYS; w++)
			free(figures[d][w]);
	for (uint32_t e = 0; e < EPOCHS; e++)
		for (uint32_t v = 0; v < VMS; v++)
			mb_buf_deinit(&f->frame[e][v]);
	free(f);
	return 0;
}
