// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ingest.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/frame.h"
#include "server/heap.h"
#include "server/store_key.h"

/* A commit holds so many jobs or bytes at most: memory, and the first agent's patience. */
enum { BATCH_JOBS = 64, BATCH_BYTES = 64 << 20, LOG_BYTES_MIN = 65536, LOG_FRAMES_MAX = 64 };
/* What replaced fingerprints leave free goes back so long after the last, or at most so often. */
#define TRIM_IDLE_NS ((uint64_t)1000000000)
#define TRIM_BUSY_NS ((uint64_t)10000000000)

struct queue {
	struct mb_ingest_job *first, **end;
};

struct batch {
	struct mb_ingest_job *jobs[BATCH_JOBS];
	struct mb_vm vms[BATCH_JOBS];
	bool changed[BATCH_JOBS];
	int n;
};

struct mb_ingest {
	struct mb_fleet *fleet;
	struct mb_store *store;
	uint32_t raw_max_bytes;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	struct queue jobs, results;
	int fd;
	struct mb_buf raw, scratch, snapshot;
	struct batch batch;
	bool untrimmed; /* since trimmed_ns */
	uint64_t trimmed_ns;
};

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void queue_put(struct queue *q, struct mb_ingest_job *job)
{
	job->next = NULL;
	*q->end = job;
	q->end = &job->next;
}

static struct mb_ingest_job *queue_take(struct queue *q)
{
	struct mb_ingest_job *job = q->first;

	if (job) {
		q->first = job->next;
		if (!q->first)
			q->end = &q->first;
	}
	return job;
}

void mb_ingest_job_free(struct mb_ingest_job *job)
{
	if (!job)
		return;
	mb_buf_deinit(&job->frame);
	free(job);
}

/* --- one job ---------------------------------------------------------------------------------- */

static int unpack(struct mb_ingest *in, struct mb_ingest_job *job, struct mb_msg *msg)
{
	struct mb_slice frame = mb_buf_slice(&job->frame);
	int r = mb_frame_take(&frame, in->raw_max_bytes, &in->raw, &job->reason);

	if (r == 0)
		r = mb_msg_unpack(mb_buf_slice(&in->raw), msg, &job->reason);
	if (r == 0 && msg->type != MB_MSG_DELTA)
		r = mb_fail(&job->reason, EBADMSG, "a %s message, where a Delta belongs",
			    mb_msg_type_name(msg->type));
	return r;
}

/*
 * The result of the delta on what is held, and the pages that it brings. -EALREADY: it is held
 * already.
 */
static int apply(const struct mb_ingest_job *job, const struct mb_vm *vm,
		 const struct mb_delta_msg *msg, struct mb_fingerprint *ret, uint64_t *ret_gained,
		 struct mb_err *err)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta delta = { 0 };
	const struct mb_fingerprint *held = mb_fpref_fingerprint(vm->fp);
	const struct mb_fingerprint empty = { 0 };
	struct mb_fingerprint_id id = mb_fingerprint_id(held);
	struct mb_fingerprint_id base = msg->base_epoch ? id : mb_fingerprint_id(&empty);
	struct mb_err no;
	/* As mb_fleet_greet() told the agent: digests of another identity are no base. */
	bool same_boot = mb_small_alike(&vm->sample, &job->agreed) &&
			 memcmp(&vm->boot, &job->boot, sizeof(job->boot)) == 0 &&
			 mb_identity_compare(&vm->identity, &job->identity, &no) == 0;
	int r;

	if (same_boot && msg->epoch == vm->epoch &&
	    mb_fingerprint_id_equal(&id, &msg->fields.result))
		return -EALREADY;
	if (msg->base_epoch && (!same_boot || msg->base_epoch != vm->epoch))
		return mb_fail(err, ESTALE,
			       "epoch %" PRIu64 " starts from epoch %" PRIu64
			       ", but %s epoch %" PRIu64 " is held",
			       msg->epoch, msg->base_epoch, same_boot ? "its" : "another source's",
			       vm->epoch);
	/* Before decoding: how much a delta may remove is bounded by the base only. */
	if (!mb_fingerprint_id_equal(&base, &msg->fields.base))
		return mb_fail(err, ESTALE,
			       "epoch %" PRIu64
			       " starts from another fingerprint than epoch %" PRIu64 " has here",
			       msg->epoch, msg->base_epoch);
	r = mb_delta_decode(&msg->fields, mb_small_bits(&msg->sample, job->identity.bits), &delta,
			    err);
	if (r < 0)
		return r;
	if (!msg->base_epoch)
		held = &empty;
	r = mb_delta_apply(held, &delta, ret, err);
	if (r == 0)
		*ret_gained = mb_delta_gained(held, &delta);
	return r;
}

/*
 * Deltas that outweigh a snapshot, or that are many, cost more at the next start than a snapshot
 * costs now. One that cannot be made is no reason to refuse an epoch: then it stays a log.
 */
static int compact(struct mb_ingest *in, struct mb_vm *vm, struct mb_err *err)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta delta = { 0 };
	struct mb_msg msg = { .type = MB_MSG_DELTA };
	const struct mb_fingerprint empty = { 0 };

	if (vm->log_bytes <= MB_MAX(vm->snapshot_bytes, (uint64_t)LOG_BYTES_MIN) &&
	    vm->log_seq < LOG_FRAMES_MAX)
		return 0;
	msg.delta.epoch = vm->epoch;
	msg.delta.pass = vm->pass;
	msg.delta.pass.tracker = vm->tracker;
	msg.delta.sample = vm->sample;
	mb_buf_clear(&in->snapshot);
	if (mb_delta_make(&empty, mb_fpref_fingerprint(vm->fp), &delta, NULL) < 0 ||
	    mb_delta_encode(&delta, mb_small_bits(&vm->sample, vm->identity.bits), &in->scratch,
			    &msg.delta.fields, NULL) < 0 ||
	    mb_msg_to_frame(&msg, &in->snapshot, NULL) < 0)
		return 0;
	return mb_store_put_snapshot(in->store, vm, mb_buf_slice(&in->snapshot), err);
}

/* What the new epoch makes of the VM. Takes the fingerprint over. */
static int update_vm(struct mb_vm *vm, const struct mb_ingest_job *job,
		     const struct mb_delta_msg *msg, struct mb_fingerprint *fp, struct mb_err *err)
{
	struct mb_fpref *ref;

	if (!mb_small_is_all(&msg->sample))
		mb_sample_self_sharing(&msg->sample, &vm->sharing);
	else
		mb_fingerprint_self_sharing(fp, job->identity.zero_digest, &vm->sharing);
	ref = mb_fpref_new(fp);
	if (!ref) {
		mb_fingerprint_deinit(fp);
		return mb_fail_mem(err, "a fingerprint");
	}
	mb_fpref_put(vm->fp);
	vm->fp = ref;
	vm->boot = job->boot;
	memcpy(vm->writer, job->writer, sizeof(vm->writer));
	vm->identity = job->identity;
	vm->sample = msg->sample;
	vm->epoch = msg->epoch;
	vm->pass = msg->pass;
	/* What lives in the message. */
	vm->pass.tracker = NULL;
	vm->pass.who = (struct mb_slice){ 0 };
	snprintf(vm->tracker, sizeof(vm->tracker), "%s", msg->pass.tracker);
	vm->wire_bytes = job->frame.len;
	vm->acked_unix_ns = mb_unix_ns();
	return 0;
}

/*
 * Hello was judged by what was durable then. Agents that came with different keys before the first
 * of them was acked are told apart here: the first one's key is the trust domain's.
 */
static int check_key(struct mb_ingest *in, struct mb_ingest_job *job)
{
	int r = mb_fleet_check_key(in->fleet, job->vm, &job->identity, &job->reason);

	for (int i = 0; r == 0 && i < in->batch.n; i++)
		if (in->batch.changed[i] &&
		    mb_identity_same_space(&in->batch.vms[i].identity, &job->identity) &&
		    !mb_fleet_may_coexist(in->fleet, &in->batch.vms[i].identity, &job->identity))
			r = mb_identity_compare(&job->identity, &in->batch.vms[i].identity,
						&job->reason);
	return r;
}

static int check_agreed(struct mb_ingest_job *job, const struct mb_delta_msg *msg)
{
	char came[MB_SMALL_TEXT], agreed[MB_SMALL_TEXT];

	if (mb_small_alike(&msg->sample, &job->agreed))
		return 0;
	mb_small_text(&msg->sample, came);
	mb_small_text(&job->agreed, agreed);
	return mb_fail(&job->reason, EINVAL, "epoch %" PRIu64 " is %s; %s was agreed", msg->epoch,
		       came, agreed);
}

/* A snapshot would say the same again. */
static int check_small(struct mb_ingest_job *job, const struct mb_delta_msg *msg,
		       struct mb_fingerprint *fp)
{
	if (mb_small_check(fp, &msg->sample, &job->identity, &job->reason) == 0)
		return 0;
	mb_fingerprint_deinit(fp);
	return mb_fail_in(&job->reason, -EINVAL, "epoch %" PRIu64, msg->epoch);
}

/* `gained`: what apply() said. */
static void count_change(const struct mb_ingest_job *job, const struct mb_vm *vm,
			 const struct mb_delta_msg *msg, const struct mb_fingerprint *fp,
			 uint64_t gained, struct mb_epoch_record *rec)
{
	const struct mb_fingerprint *held = mb_fpref_fingerprint(vm->fp);
	bool all = mb_small_is_all(&msg->sample);
	struct mb_pair_sharing change;

	if (!vm->epoch || !mb_small_alike(&vm->sample, &msg->sample)) {
		/* All that was held, if any, goes; all that came is new. */
		rec->added = all ? fp->n_pages : msg->sample.pages;
		rec->removed = vm->sharing.pages;
	} else if (all && msg->base_epoch) {
		rec->added = gained;
		rec->removed = held->n_pages + gained - fp->n_pages;
	} else if (all) {
		mb_fingerprint_pair_sharing(held, fp, &change);
		rec->added = change.gained;
		rec->removed = change.lost;
	} else {
		mb_small_change(held, &vm->sample, fp, &msg->sample, job->identity.bits,
				&rec->added, &rec->removed);
	}
}

/*
 * Has the fingerprint in memory again. Where the store cannot give it, a snapshot is as good a
 * beginning as any: then nothing is held.
 */
static int page_in(struct mb_ingest *in, struct mb_ingest_job *job, struct mb_vm *vm)
{
	struct mb_fingerprint fp = { 0 };
	int r;

	if (!mb_fpref_is_paged_out(vm->fp))
		return 0;
	r = mb_store_load_fingerprint(in->store, vm, &fp, &job->reason);
	if (r == 0)
		r = mb_fleet_page_in(in->fleet, job->vm, &fp, &job->reason);
	mb_fingerprint_deinit(&fp);
	if (r == -ENOMEM || r == -EIO || r == -EBUSY || r == -ENOSPC)
		return r;
	mb_vm_deinit(vm);
	mb_fleet_get(in->fleet, job->vm, vm);
	if (r < 0) {
		mb_fpref_put(vm->fp);
		vm->fp = NULL;
		vm->epoch = 0;
	}
	return 0;
}

/*
 * Everything but the commit. Sets job->verdict, and *ret_changed when `vm` is now another; fails
 * only when the store did.
 */
static int ingest(struct mb_ingest *in, struct mb_ingest_job *job, struct mb_vm *vm,
		  bool *ret_changed)
{
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	struct mb_fingerprint fp = { 0 };
	struct mb_epoch_record rec = { .frame = mb_buf_slice(&job->frame) };
	uint64_t gained = 0;
	int r;

	*ret_changed = false;
	r = unpack(in, job, &msg);
	job->verdict = r == -ENOMEM ? MB_INGEST_FAILED : MB_INGEST_BAD;
	if (r < 0)
		return 0;
	job->verdict = MB_INGEST_FOREIGN;
	if (check_key(in, job) < 0)
		return 0;
	job->epoch = msg.delta.epoch;
	job->verdict = MB_INGEST_FAILED;
	r = page_in(in, job, vm);
	if (r < 0)
		return r;
	r = check_agreed(job, &msg.delta);
	if (r == 0)
		r = apply(job, vm, &msg.delta, &fp, &gained, &job->reason);
	if (r == 0)
		r = check_small(job, &msg.delta, &fp);
	/* A snapshot mends whatever is wrong with a delta (FORMAT.md 3.4). */
	job->verdict = r == -EALREADY || r == 0 ? MB_INGEST_DURABLE :
		       r == -ENOMEM		? MB_INGEST_FAILED :
		       r == -EINVAL		? MB_INGEST_BAD :
						  MB_INGEST_RESYNC;
	job->fingerprint = msg.delta.fields.result;
	if (r < 0)
		return 0;
	count_change(job, vm, &msg.delta, &fp, gained, &rec);
	rec.snapshot = !msg.delta.base_epoch;
	rec.who = msg.delta.pass.who;
	if ((r = update_vm(vm, job, &msg.delta, &fp, &job->reason)) < 0 ||
	    (r = mb_store_put_epoch(in->store, vm, &rec, &job->reason)) < 0)
		return r;
	*ret_changed = true;
	return compact(in, vm, &job->reason);
}

/* --- many jobs, one commit -------------------------------------------------------------------- */

static void trim_heap(struct mb_ingest *in)
{
	mb_heap_trim();
	in->untrimmed = false;
	in->trimmed_ns = mb_now_ns();
}

/* Under the lock, which is let go of meanwhile. */
static void wait_for_work(struct mb_ingest *in)
{
	uint64_t until_ns = mb_now_ns() + TRIM_IDLE_NS;
	const struct timespec until = { .tv_sec = (time_t)(until_ns / 1000000000),
					.tv_nsec = (long)(until_ns % 1000000000) };

	if (!in->untrimmed) {
		pthread_cond_wait(&in->wake, &in->lock);
	} else if (pthread_cond_timedwait(&in->wake, &in->lock, &until) == ETIMEDOUT) {
		pthread_mutex_unlock(&in->lock);
		trim_heap(in);
		pthread_mutex_lock(&in->lock);
	}
}

/* Waits for work; false: there is none and there will be none. */
static bool gather(struct mb_ingest *in, struct batch *b)
{
	size_t bytes = 0;

	b->n = 0;
	pthread_mutex_lock(&in->lock);
	while (!in->jobs.first && !in->stop)
		wait_for_work(in);
	while (in->jobs.first && b->n < BATCH_JOBS && bytes < BATCH_BYTES) {
		/* The next epoch of one VM must see this one published. */
		for (int i = 0; i < b->n; i++)
			if (b->jobs[i]->vm == in->jobs.first->vm)
				goto full;
		bytes += in->jobs.first->frame.len;
		b->jobs[b->n++] = queue_take(&in->jobs);
	}
full:
	pthread_mutex_unlock(&in->lock);
	return b->n > 0;
}

/* Jobs [first, end) of the batch in one transaction: all of them are in it, or none. */
static int commit_jobs(struct mb_ingest *in, struct batch *b, int first, int end, bool *ret_job,
		       struct mb_err *err)
{
	int r = mb_store_begin(in->store, err);

	*ret_job = false;
	for (int i = first; i < end; i++)
		mb_fleet_get(in->fleet, b->jobs[i]->vm, &b->vms[i]);
	for (int i = first; r == 0 && i < end; i++) {
		b->jobs[i]->reason = (struct mb_err){ 0 };
		r = ingest(in, b->jobs[i], &b->vms[i], &b->changed[i]);
		if (r < 0) {
			*err = b->jobs[i]->reason;
			*ret_job = true;
		}
	}
	if (r == 0)
		r = mb_store_commit(in->store, err);
	else
		mb_store_rollback(in->store);
	for (int i = first; i < end; i++) {
		/* An epoch that was held already, or was refused, changes nothing. */
		if (r == 0 && b->changed[i])
			mb_fleet_publish(in->fleet, b->jobs[i]->vm, &b->vms[i]);
		else
			mb_vm_deinit(&b->vms[i]);
		b->changed[i] = false;
		if (r < 0) {
			b->jobs[i]->verdict = MB_INGEST_FAILED;
			b->jobs[i]->reason = *err;
		}
	}
	return r;
}

/*
 * One job that the store fails is not the others' fault: then each has a transaction of its own.
 * That is rare. A savepoint per job, to undo that one alone, has SQLite write a second journal of
 * all that is changed.
 */
static void run_batch(struct mb_ingest *in, struct batch *b)
{
	struct mb_err err = { 0 };
	bool job;

	memset(b->changed, 0, sizeof(b->changed));
	if (commit_jobs(in, b, 0, b->n, &job, &err) == 0 || !job || b->n == 1)
		return;
	for (int i = 0; i < b->n; i++)
		commit_jobs(in, b, i, i + 1, &job, &err);
}

/* One that is not deleted here is when the next server starts. */
static void end_rotations(struct mb_ingest *in, struct mb_ingest_job *teller)
{
	struct mb_key_rotation r;

	while (mb_fleet_end_rotation(in->fleet, &r)) {
		mb_store_end_key_rotation(in->store, r.domain, &(struct mb_err){ 0 });
		snprintf(teller->news, sizeof(teller->news),
			 "trust domain %s: its %" PRIu32 " VMs all have key %08" PRIx32
			 ", %08" PRIx32 " is refused from now on",
			 r.domain, r.n_to, r.to, r.from);
	}
}

static void deliver(struct mb_ingest *in, struct batch *b)
{
	uint64_t one = 1;

	pthread_mutex_lock(&in->lock);
	for (int i = 0; i < b->n; i++) {
		/* The bytes are not needed any more; the loop may be slow to come. */
		mb_buf_deinit(&b->jobs[i]->frame);
		queue_put(&in->results, b->jobs[i]);
	}
	pthread_mutex_unlock(&in->lock);
	while (write(in->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *work(void *arg)
{
	struct mb_ingest *in = arg;

	while (gather(in, &in->batch)) {
		run_batch(in, &in->batch);
		end_rotations(in, in->batch.jobs[0]);
		deliver(in, &in->batch);
		/* No ack waits for it. */
		mb_fleet_settle(in->fleet);
		mb_fleet_trim(in->fleet);
		in->untrimmed = true;
		if (mb_now_ns() - in->trimmed_ns >= TRIM_BUSY_NS)
			trim_heap(in);
	}
	return NULL;
}

/* --- the outside ------------------------------------------------------------------------------ */

int mb_ingest_create(struct mb_fleet *fleet, struct mb_store *store, uint32_t raw_max_bytes,
		     struct mb_ingest **ret, struct mb_err *err)
{
	struct mb_ingest *in = calloc(1, sizeof(*in));
	pthread_condattr_t attr;
	int r;

	if (!in)
		return mb_fail_mem(err, "ingest");
	in->trimmed_ns = mb_now_ns();
	in->fleet = fleet;
	in->store = store;
	in->raw_max_bytes = raw_max_bytes;
	queue_init(&in->jobs);
	queue_init(&in->results);
	pthread_mutex_init(&in->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&in->wake, &attr);
	pthread_condattr_destroy(&attr);
	in->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = in->fd < 0 ? errno : pthread_create(&in->thread, NULL, work, in);
	if (r) {
		if (in->fd >= 0)
			close(in->fd);
		free(in);
		return mb_fail(err, r, "ingest thread: %s", strerror(r));
	}
	*ret = in;
	return 0;
}

void mb_ingest_destroy(struct mb_ingest *in)
{
	if (!in)
		return;
	pthread_mutex_lock(&in->lock);
	in->stop = true;
	pthread_cond_signal(&in->wake);
	pthread_mutex_unlock(&in->lock);
	pthread_join(in->thread, NULL);
	for (struct mb_ingest_job *j; (j = queue_take(&in->results));)
		mb_ingest_job_free(j);
	close(in->fd);
	pthread_mutex_destroy(&in->lock);
	pthread_cond_destroy(&in->wake);
	mb_buf_deinit(&in->raw);
	mb_buf_deinit(&in->scratch);
	mb_buf_deinit(&in->snapshot);
	free(in);
}

void mb_ingest_submit(struct mb_ingest *in, struct mb_ingest_job *job)
{
	pthread_mutex_lock(&in->lock);
	queue_put(&in->jobs, job);
	pthread_cond_signal(&in->wake);
	pthread_mutex_unlock(&in->lock);
}

int mb_ingest_fd(const struct mb_ingest *in)
{
	return in->fd;
}

struct mb_ingest_job *mb_ingest_take(struct mb_ingest *in)
{
	struct mb_ingest_job *first;
	uint64_t n;

	while (read(in->fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&in->lock);
	first = in->results.first;
	queue_init(&in->results);
	pthread_mutex_unlock(&in->lock);
	return first;
}
