// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_mover_fake.h"

static struct fake *fake_of(struct mb_mover *m)
{
	return (struct fake *)m;
}

static void note(struct fake *f, uint64_t what)
{
	f->hash = (f->hash ^ what) * 0x100000001b3u;
}

static void wrong(struct fake *f, const char *what, uint32_t vm, uint32_t host)
{
	if (!*f->wrong)
		snprintf(f->wrong, sizeof(f->wrong), "%s: v%u, host %u", what, vm, host);
}

const char *fake_host_name(uint32_t host)
{
	static const char *const names[] = { "h0",  "h1",  "h2",  "h3",	 "h4",	"h5",
					     "h6",  "h7",  "h8",  "h9",	 "h10", "h11",
					     "h12", "h13", "h14", "h15", "far" };

	return host == MB_NOWHERE ? NULL : names[host];
}

static uint32_t index_of(const char *name)
{
	return name ? (uint32_t)strtoul(name + 1, NULL, 10) : MB_NOWHERE;
}

/* At full size, those that move on both ends. */
static uint64_t used_mb(const struct fake *f, uint32_t host)
{
	uint64_t sum = 0;

	for (uint32_t v = 0; v < f->n_vms; v++)
		if (f->vms[v].host == host || (f->vms[v].moving && f->vms[v].to == host))
			sum += f->vms[v].memory_mb;
	return sum;
}

static uint32_t busy(const struct fake *f, uint32_t host)
{
	uint32_t n = 0;

	for (uint32_t v = 0; v < f->n_vms; v++)
		n += f->vms[v].moving && !f->vms[v].quiet &&
		     (f->vms[v].from == host || f->vms[v].to == host);
	return n;
}

static enum fake_fate draw(struct fake *f)
{
	if (f->script && *f->script != FATES)
		return *f->script++;
	if (rng_below(&f->rng, 100) >= f->trouble_percent)
		return FATE_ARRIVES;
	return (enum fake_fate)rng_below(&f->rng, FATES);
}

/* Draws the fate of the next attempt, and does what others do to the VM before. */
static void before_begin(struct fake *f, uint32_t v)
{
	struct fake_vm *vm = &f->vms[v];
	uint32_t host;

	vm->fated = true;
	vm->fate = draw(f);
	f->calls[vm->fate]++;
	switch (vm->fate) {
	case FATE_STOLEN:
		host = (uint32_t)rng_below(&f->rng, f->n_hosts);
		if (host == vm->host || used_mb(f, host) + vm->memory_mb > f->capacity_mb[host])
			host = FAKE_FAR;
		vm->host = host;
		break;
	case FATE_BY_HAND:
		vm->host = vm->to;
		break;
	case FATE_GONE:
		vm->host = MB_NOWHERE;
		break;
	case FATE_UNSEEN:
		vm->unseen = 1 + (uint32_t)rng_below(&f->rng, 4);
		break;
	default:
		break;
	}
}

static void settle(struct fake *f, uint32_t v)
{
	struct fake_vm *vm = &f->vms[v];

	(void)f;
	vm->moving = false;
	if (vm->fate == FATE_DIES)
		vm->host = MB_NOWHERE;
	else if (vm->arrives)
		vm->host = vm->to;
}

void fake_pass_time(struct fake *f, uint64_t now_ms)
{
	for (uint32_t v = 0; v < f->n_vms; v++)
		if (f->vms[v].moving && now_ms >= f->vms[v].end_ms)
			settle(f, v);
}

static void fake_close(struct mb_mover *m)
{
	(void)m;
}

static void start(struct fake *f, struct fake_vm *vm, const struct mb_migration *g, uint64_t now_ms)
{
	uint64_t ms = g->time_s * 1000, deadline = g->deadline_ms - now_ms;

	vm->moving = true;
	vm->from = index_of(g->from);
	vm->to = index_of(g->to);
	vm->begun_ms = vm->restarted_ms = g->begun_ms;
	vm->end_ms = now_ms + ms;
	vm->known_ms = 0;
	vm->cancelled = false;
	vm->arrives = true;
	vm->quiet = false;
	switch (vm->fate) {
	case FATE_FAILS:
	case FATE_LIES_DONE:
	case FATE_DIES:
		vm->end_ms = now_ms + rng_below(&f->rng, ms + 1);
		vm->arrives = false;
		break;
	case FATE_HANGS:
	case FATE_DIVERGES:
	case FATE_LATE:
		vm->end_ms = UINT64_MAX;
		break;
	case FATE_DEAF:
		vm->quiet = true;
		vm->end_ms = now_ms + 10 * deadline;
		vm->arrives = rng_below(&f->rng, 2);
		break;
	case FATE_LOST_A_WHILE:
		vm->quiet = true;
		vm->known_ms = now_ms + ms + rng_below(&f->rng, 100000);
		vm->arrives = rng_below(&f->rng, 2);
		break;
	case FATE_LOST_FOR_GOOD:
		vm->quiet = true;
		vm->known_ms = UINT64_MAX;
		vm->arrives = rng_below(&f->rng, 2);
		break;
	case FATE_SLOW:
		vm->end_ms = now_ms + 3 * ms;
		break;
	case FATE_RESTARTS:
		vm->restarted_ms = now_ms + ms / 2;
		vm->end_ms = vm->restarted_ms + ms;
		break;
	default:
		break;
	}
}

static void check_begin(struct fake *f, uint32_t v, const struct mb_migration *g)
{
	const struct fake_vm *vm = &f->vms[v];
	uint32_t from = index_of(g->from), to = index_of(g->to);

	if (vm->moving) {
		wrong(f, "two migrations of one VM", v, to);
		return;
	}
	if (vm->host != from)
		wrong(f, "begun from where it is not", v, from);
	if (used_mb(f, to) + vm->memory_mb > f->capacity_mb[to])
		wrong(f, "no room at full size", v, to);
	if (busy(f, to) >= f->per_host_max)
		wrong(f, "too many at a time", v, to);
	if (from != MB_NOWHERE && busy(f, from) >= f->per_host_max)
		wrong(f, "too many at a time", v, from);
}

static enum mb_begun fake_begin(struct mb_mover *m, const struct mb_migration *g, uint64_t now_ms,
				struct mb_err *err)
{
	struct fake *f = fake_of(m);
	uint32_t v = index_of(g->vm);
	struct fake_vm *vm = &f->vms[v];

	fake_pass_time(f, now_ms);
	if (f->on_begin)
		f->on_begin(f->ctx, v);
	check_begin(f, v, g);
	f->n_begun++;
	note(f, now_ms * 64 + v);
	/* Its fate was drawn when it was located before. */
	vm->fated = false;
	vm->attempts++;
	switch (vm->fate) {
	case FATE_REFUSED:
		mb_fail(err, EAGAIN, "host %s: Cannot allocate memory", g->to);
		return MB_BEGUN_REFUSED;
	case FATE_NEVER:
		mb_fail(err, EOPNOTSUPP, "VM %s has assigned devices", g->vm);
		return MB_BEGUN_NEVER;
	case FATE_UNSURE_NOT:
		mb_fail(err, EIO, "connection reset");
		return MB_BEGUN_UNSURE;
	case FATE_UNSURE_BEGUN:
		start(f, vm, g, now_ms);
		mb_fail(err, EIO, "connection reset");
		return MB_BEGUN_UNSURE;
	default:
		start(f, vm, g, now_ms);
		return MB_BEGUN_OK;
	}
}

static enum mb_polled answer(struct fake *f, struct fake_vm *vm, const struct mb_migration *g,
			     uint64_t now_ms, struct mb_copied *ret_progress, struct mb_err *err)
{
	if (vm->begun_ms != g->begun_ms) {
		mb_fail(err, ENOENT, "no such migration");
		return MB_POLLED_FAILED;
	}
	if (now_ms < vm->known_ms && (vm->known_ms == UINT64_MAX || rng_below(&f->rng, 3))) {
		mb_fail(err, EIO, "no connection to host %s", g->to);
		return MB_POLLED_LOST;
	}
	if (vm->moving) {
		uint64_t since = now_ms >= vm->restarted_ms ? vm->restarted_ms : vm->begun_ms;

		if (vm->fate == FATE_DIVERGES)
			ret_progress->left_mb = vm->memory_mb + (now_ms - vm->begun_ms) / 1000;
		else if (vm->fate != FATE_HANGS)
			ret_progress->copied_mb = (now_ms - since) / 1000;
		return MB_POLLED_RUNNING;
	}
	if (vm->arrives ? vm->fate != FATE_LIES_FAILED : vm->fate == FATE_LIES_DONE)
		return MB_POLLED_DONE;
	mb_fail(err, EIO,
		vm->cancelled ? "operation aborted: canceled by client" :
				"operation failed: job: unexpectedly failed");
	return MB_POLLED_FAILED;
}

static enum mb_polled fake_poll(struct mb_mover *m, const struct mb_migration *g, uint64_t now_ms,
				struct mb_copied *ret_progress, struct mb_err *err)
{
	struct fake *f = fake_of(m);
	struct fake_vm *vm = &f->vms[index_of(g->vm)];
	enum mb_polled said;

	fake_pass_time(f, now_ms);
	said = answer(f, vm, g, now_ms, ret_progress, err);
	note(f, now_ms * 8 + said);
	return said;
}

static enum mb_cancelled fake_cancel(struct mb_mover *m, const struct mb_migration *g,
				     uint64_t now_ms, struct mb_err *err)
{
	struct fake *f = fake_of(m);
	struct fake_vm *vm = &f->vms[index_of(g->vm)];

	fake_pass_time(f, now_ms);
	note(f, now_ms * 4 + 3);
	if (!vm->moving || vm->begun_ms != g->begun_ms)
		return MB_CANCELLED_LATE;
	if (rng_below(&f->rng, 8) == 0) {
		mb_fail(err, EIO, "no connection to host %s", g->to);
		return MB_CANCELLED_LOST;
	}
	if (vm->fate == FATE_DEAF || vm->fate == FATE_LOST_FOR_GOOD)
		return MB_CANCELLED_ASKED;
	vm->cancelled = true;
	vm->arrives = vm->fate == FATE_LATE;
	vm->end_ms = now_ms + rng_below(&f->rng, 3000);
	return MB_CANCELLED_ASKED;
}

static enum mb_located fake_locate(struct mb_mover *m, const struct mb_migration *g,
				   uint64_t now_ms, const char **ret_host, struct mb_err *err)
{
	struct fake *f = fake_of(m);
	uint32_t v = index_of(g->vm);
	struct fake_vm *vm = &f->vms[v];

	fake_pass_time(f, now_ms);
	if (!g->begun_ms && !vm->fated && !vm->moving) {
		vm->to = index_of(g->to);
		before_begin(f, v);
	}
	note(f, now_ms * 4 + 1);
	if (vm->unseen || (vm->known_ms == UINT64_MAX && vm->begun_ms == g->begun_ms)) {
		vm->unseen -= vm->unseen > 0;
		mb_fail(err, EIO, "no connection to any host");
		return MB_LOCATED_UNKNOWN;
	}
	/* Between two hosts it may be seen on neither, for a moment. */
	if (g->begun_ms && g->from && vm->blinked != vm->attempts &&
	    rng_below(&f->rng, 100) < f->trouble_percent) {
		vm->blinked = vm->attempts;
		return MB_LOCATED_NOWHERE;
	}
	*ret_host = fake_host_name(vm->host);
	return *ret_host ? MB_LOCATED_HOST : MB_LOCATED_NOWHERE;
}

static const struct mb_mover_ops fake_ops = {
	.name = "fake",
	.close = fake_close,
	.begin = fake_begin,
	.poll = fake_poll,
	.cancel = fake_cancel,
	.locate = fake_locate,
};

void fake_init(struct fake *f, const struct fleet *fleet, uint64_t seed)
{
	*f = (struct fake){ .mover = { &fake_ops },
			    .rng = { seed },
			    .n_vms = fleet->view.n_vms,
			    .n_hosts = fleet->view.n_hosts,
			    .per_host_max = 1,
			    .hash = 0xcbf29ce484222325u };
	for (uint32_t v = 0; v < f->n_vms; v++)
		f->vms[v] = (struct fake_vm){ .host = fleet->vms[v].host,
					      .memory_mb = fleet->vms[v].memory_mb };
	for (uint32_t h = 0; h < f->n_hosts; h++)
		f->capacity_mb[h] = fleet->hosts[h].memory_mb;
}
