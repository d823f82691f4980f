// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_server.h"

#include <ftw.h>
#include <unistd.h>

#include "proto/frame.h"

static char dir[64];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static void remove_all(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void scratch_path(const char *name, char *path)
{
	if (!*dir) {
		strcpy(dir, "/tmp/mbserver.XXXXXX");
		assert_non_null(mkdtemp(dir));
		atexit(remove_all);
	}
	assert_true(snprintf(path, 128, "%s/%s", dir, name) < 128);
}

void make_identity(const char *domain, uint8_t key, struct mb_identity *ret)
{
	uint8_t k[MB_KEY_BYTES] = { key };
	struct mb_digester d;
	struct mb_err err = { 0 };

	assert_ok(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, domain, k, &err), &err);
	*ret = d.identity;
}

void make_hello(const char *vm, uint8_t boot, struct mb_hello *ret)
{
	*ret = (struct mb_hello){
		.version = MB_PROTOCOL_VERSION,
		.agent = "test",
		.vm = vm,
		.host = "",
		.boot.id = { boot },
		.memory_bytes = 64 << 20,
		.source = "source of the test",
	};
	make_identity("d", 1, &ret->identity);
}

void make_fingerprint_of(uint64_t first, uint64_t step, size_t n, struct mb_fingerprint *ret)
{
	uint64_t *digests = malloc((n + 1) * sizeof(*digests));
	struct mb_err err = { 0 };

	assert_non_null(digests);
	for (size_t i = 0; i < n; i++)
		digests[i] = first + i * step;
	assert_ok(mb_fingerprint_from_digests(ret, digests, n, &err), &err);
	free(digests);
}

static void frame_of(const struct mb_fingerprint *base, uint64_t base_epoch,
		     const struct mb_fingerprint *result, uint64_t epoch, uint32_t bits,
		     struct mb_sample_of sample, struct mb_buf *ret)
{
	const struct mb_fingerprint empty = { 0 };
	struct mb_msg msg = { .type = MB_MSG_DELTA };
	struct mb_buf fields = { 0 };
	struct mb_delta delta;
	struct mb_err err = { 0 };

	msg.delta.base_epoch = base_epoch;
	msg.delta.epoch = epoch;
	msg.delta.sample = sample;
	msg.delta.pass = (struct mb_pass_info){
		.taken_unix_ns = 1000000000 + epoch,
		.duration_ns = 2000000,
		.cpu_ns = 1000000,
		.pages_read = result->n_pages,
		.pages_changed = 7,
		.pages_unread = 3,
		.epochs = 1,
		.full = true,
		.tracker = "none",
	};
	assert_ok(mb_delta_make(base ? base : &empty, result, &delta, &err), &err);
	assert_ok(mb_delta_encode(&delta, bits, &fields, &msg.delta.fields, &err), &err);
	mb_buf_clear(ret);
	assert_ok(mb_msg_to_frame(&msg, ret, &err), &err);
	mb_delta_deinit(&delta);
	mb_buf_deinit(&fields);
}

void make_frame(const struct mb_fingerprint *base, uint64_t base_epoch,
		const struct mb_fingerprint *result, uint64_t epoch, uint32_t bits,
		struct mb_buf *ret)
{
	frame_of(base, base_epoch, result, epoch, bits, (struct mb_sample_of){ 0 }, ret);
}

void make_small_frame(const struct mb_fingerprint *base, uint64_t base_epoch,
		      const struct mb_fingerprint *whole, uint64_t epoch,
		      const struct mb_sample_of *how, const struct mb_identity *identity,
		      struct mb_fingerprint *ret_small, struct mb_buf *ret)
{
	struct mb_sample_of of;
	struct mb_err err = { 0 };

	assert_ok(mb_small_make(whole, identity, how, ret_small, &of, &err), &err);
	frame_of(base, base_epoch, ret_small, epoch, mb_small_bits(&of, identity->bits), of, ret);
}

void make_vm(const char *name, uint64_t epoch, const struct mb_fingerprint *fp, struct mb_vm *ret)
{
	struct mb_fingerprint copy;
	struct mb_err err = { 0 };

	*ret = (struct mb_vm){
		.source = "source of the test",
		.tracker = "none",
		.memory_bytes = 64 << 20,
		.boot.id = { 1 },
		.epoch = epoch,
		.pass = { .taken_unix_ns = 1000000000 + epoch,
			  .duration_ns = 2500000,
			  .cpu_ns = 1500000,
			  .pages_changed = 7,
			  .pages_unread = 3,
			  .epochs = 2,
			  .full = true },
		.acked_unix_ns = 2000000000 + epoch,
	};
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	make_identity("d", 1, &ret->identity);
	assert_ok(mb_fingerprint_init(&copy, fp->n_distinct, fp->n_multi, &err), &err);
	for (uint32_t rank = 0, at = 0; rank < fp->n_distinct; rank++)
		mb_fingerprint_push(&copy, fp->digests[rank], mb_fingerprint_copies(fp, &at, rank));
	mb_fingerprint_self_sharing(&copy, ret->identity.zero_digest, &ret->sharing);
	ret->fp = mb_fpref_new(&copy);
	assert_non_null(ret->fp);
}

void small_vm(struct mb_vm *vm, const struct mb_sample_of *how)
{
	struct mb_fingerprint small;
	struct mb_err err = { 0 };

	assert_ok(mb_small_make(mb_fpref_fingerprint(vm->fp), &vm->identity, how, &small,
				&vm->sample, &err),
		  &err);
	mb_fpref_put(vm->fp);
	vm->fp = mb_fpref_new(&small);
	assert_non_null(vm->fp);
}

void store_vm_with(struct mb_store *s, struct mb_vm *vm, struct mb_slice who)
{
	struct mb_epoch_record rec = { .snapshot = true, .added = vm->sharing.pages, .who = who };
	struct mb_buf frame = { 0 };
	struct mb_err err = { 0 };

	frame_of(NULL, 0, mb_fpref_fingerprint(vm->fp), vm->epoch,
		 mb_small_bits(&vm->sample, vm->identity.bits), vm->sample, &frame);
	rec.frame = mb_buf_slice(&frame);
	vm->wire_bytes = frame.len;
	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(mb_store_put_epoch(s, vm, &rec, &err), &err);
	assert_ok(mb_store_commit(s, &err), &err);
	mb_buf_deinit(&frame);
}

void store_vm(struct mb_store *s, struct mb_vm *vm)
{
	store_vm_with(s, vm, (struct mb_slice){ 0 });
}
