// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/util_agent.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/frame.h"
#include "tests/bench/util_bench.h"

enum { OSES = 4, APPS = 20 };
enum { POOL_ZERO, POOL_OS, POOL_APP, POOL_OWN };

static uint64_t next(struct bench_vm *vm)
{
	return mb_mix64(vm->state += 0x9e3779b97f4a7c15u);
}

static uint64_t digest_of(uint64_t pool, uint64_t which, uint64_t i)
{
	return mb_mix64(mb_mix64(pool << 32 | which) + i);
}

static uint64_t of_app(struct bench_vm *vm)
{
	return digest_of(POOL_APP, vm->id % APPS, next(vm) % (vm->n_pages / 4 + 1));
}

static uint64_t of_own(struct bench_vm *vm)
{
	return digest_of(POOL_OWN, vm->id, next(vm));
}

void bench_vm_init(struct bench_vm *vm, uint32_t id, uint32_t n_pages)
{
	*vm = (struct bench_vm){ .pages = bench_alloc(n_pages * sizeof(*vm->pages)),
				 .id = id,
				 .n_pages = n_pages,
				 .state = id };
	for (uint32_t i = 0; i < n_pages; i++) {
		uint64_t percent = (uint64_t)i * 100 / n_pages;

		vm->pages[i] = percent < 10 ? digest_of(POOL_ZERO, 0, 0) :
			       percent < 35 ? digest_of(POOL_OS, id % OSES, i) :
			       percent < 60 ? of_app(vm) :
					      of_own(vm);
	}
}

void bench_vm_deinit(struct bench_vm *vm)
{
	free(vm->pages);
	*vm = (struct bench_vm){ 0 };
}

void bench_vm_change(struct bench_vm *vm, uint32_t pages)
{
	for (uint32_t i = 0; i < pages; i++) {
		uint32_t at = (uint32_t)(next(vm) % vm->n_pages);

		vm->pages[at] = next(vm) % 3 ? of_own(vm) : of_app(vm);
	}
}

void bench_vm_fingerprint(const struct bench_vm *vm, struct mb_fingerprint *ret)
{
	mb_autofree uint64_t *copy = bench_alloc(vm->n_pages * sizeof(*copy));
	struct mb_err err = { 0 };

	memcpy(copy, vm->pages, vm->n_pages * sizeof(*copy));
	bench_must(mb_fingerprint_from_digests(ret, copy, vm->n_pages, &err), &err);
}

void bench_hello(const char *name, uint64_t boot, uint32_t n_pages, struct mb_hello *ret)
{
	static const uint8_t key[MB_KEY_BYTES] = "a benchmark's";
	struct mb_digester d;
	struct mb_err err = { 0 };

	bench_must(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "bench", key, &err), &err);
	*ret = (struct mb_hello){ .version = MB_PROTOCOL_VERSION,
				  .agent = "benchmark",
				  .vm = name,
				  .host = "",
				  .identity = d.identity,
				  .memory_bytes = (uint64_t)n_pages * MB_PAGE_BYTES,
				  .source = "made up" };
	ret->identity.zero_digest = digest_of(POOL_ZERO, 0, 0);
	mb_put_le64(ret->boot.id, boot);
	ret->boot.id[MB_BOOT_BYTES - 1] = 1;
}

void bench_delta_frame(const struct mb_fingerprint *from, uint64_t from_epoch,
		       const struct mb_fingerprint *to, uint64_t to_epoch, uint32_t changed,
		       const struct mb_audit *audit, struct mb_buf *ret)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta delta = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf fields = { 0 };
	const struct mb_fingerprint empty = { 0 };
	struct mb_msg msg = { .type = MB_MSG_DELTA };
	struct mb_err err = { 0 };

	msg.delta.base_epoch = from ? from_epoch : 0;
	msg.delta.epoch = to_epoch;
	msg.delta.pass = (struct mb_pass_info){ .taken_unix_ns = mb_unix_ns(),
						.duration_ns = 250000000,
						.cpu_ns = 100000000,
						.pages_read = to->n_pages,
						.pages_changed = changed,
						.epochs = 1,
						.full = true,
						.tracker = audit ? "made up" : "none" };
	if (audit)
		msg.delta.pass.audit = *audit;
	bench_must(mb_delta_make(from ? from : &empty, to, &delta, &err), &err);
	bench_must(mb_delta_encode(&delta, 64, &fields, &msg.delta.fields, &err), &err);
	mb_buf_clear(ret);
	bench_must(mb_msg_to_frame(&msg, ret, &err), &err);
}
