// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The round-number test: an agent that tracks by BPF against what is in memory, epoch by epoch.
 *
 *	alive	a program writes all the time, others start, caches are dropped, memory is
 *		compacted; an epoch is taken in the midst of it
 *	quiet	these stand still; every writer (util_writer.h) writes contents that no page had
 *		before; an epoch is taken, between two walks of our own
 *
 * We are the server, too. What both walks have found must be in the fingerprint that the agent has
 * brought up to then. At the end its audits must have found no page stale that it follows, and
 *among those who dirtied memory it must have named the program that wrote all the time.
 *
 * With MB_DEBUG_TRACK, which breaks a rule, it must fail: test_rounds_broken.sh.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/pass.h" /* of which only the words are used: it links us with the agent's code */
#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/delta.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/who.h"
#include "util_content.h"
#include "util_file.h"
#include "util_test.h"
#include "util_walk.h"
#include "util_writer.h"

#define SOCKET "/tmp/rounds.socket"
#define LOG    "/tmp/rounds.log"

enum {
	ROUNDS = 29, /* of two epochs; with the first and the last one 60 */
	AUDIT_EVERY = 10,
	LIVE_PAGES = 256,
	EXPECTED_MAX = 8192,
};

/* --- the server --- */

static int line = -1, agent_pid;
static struct mb_buf in;
static struct mb_fingerprint held;
static uint32_t bits;
static struct mb_audit audit; /* of passes that were relied on */
static uint32_t doubted;
static struct mb_who who;
static size_t delta_bytes, who_bytes; /* on the wire: all, and what that adds */
static size_t epochs, full, incremental;
static uint64_t read_incremental, pages_incremental;

/* The agent's words, or the lines that have one of these two. */
static void say_log(const char *a, const char *b)
{
	static char text[1 << 16];

	if (!file_get(LOG, text, sizeof(text)))
		return;
	for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n")) {
		if (!a || strstr(at, a) || strstr(at, b))
			say("agent: %s", at);
	}
}

static _Noreturn void broken(const char *what, const struct mb_err *err)
{
	say_log(NULL, NULL);
	fail("%s: %s", what, err->text);
}

static void answer(const struct mb_msg *msg)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf out = { 0 };
	struct mb_err err = { 0 };

	if (mb_msg_to_frame(msg, &out, &err) < 0 || mb_write_all(line, out.data, out.len, &err) < 0)
		broken("answer", &err);
}

static void greet(const struct mb_hello *hello)
{
	struct mb_msg msg = { .type = MB_MSG_WELCOME };

	bits = hello->identity.bits;
	msg.welcome = (struct mb_welcome){ .version = MB_PROTOCOL_VERSION,
					   .server = "test_rounds",
					   .max_frame_bytes = MB_FRAME_RAW_MAX };
	answer(&msg);
}

static void take_who(struct mb_slice list)
{
	struct mb_who_row row;
	struct mb_err err = { 0 };

	if (!list.len)
		fail("epoch %zu does not say who dirtied memory", epochs);
	while (mb_who_next(&list, &row, &err) > 0)
		mb_who_put(&who, &row);
}

static size_t frame_bytes(const struct mb_msg *msg)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_err err = { 0 };

	if (mb_msg_to_frame(msg, &b, &err) < 0)
		broken("a frame", &err);
	return b.len;
}

/* Of incremental passes, which are what most are. */
static void weigh(const struct mb_delta_msg *d)
{
	struct mb_msg msg = { .type = MB_MSG_DELTA, .delta = *d };
	size_t with = frame_bytes(&msg);

	if (d->pass.full)
		return;
	msg.delta.pass.who = (struct mb_slice){ 0 };
	delta_bytes += with;
	who_bytes += with - frame_bytes(&msg);
}

static void take_delta(const struct mb_delta_msg *d)
{
	struct mb_msg msg = { .type = MB_MSG_ACK };
	struct mb_fingerprint next;
	struct mb_delta delta;
	struct mb_err err = { 0 };

	if (mb_delta_decode(&d->fields, bits, &delta, &err) < 0 ||
	    mb_delta_apply(&held, &delta, &next, &err) < 0)
		broken("delta", &err);
	mb_delta_deinit(&delta);
	mb_fingerprint_deinit(&held);
	held = next;
	epochs++;
	take_who(d->pass.who);
	weigh(d);
	if (d->pass.audit.doubted)
		doubted++;
	else
		mb_audit_add(&audit, &d->pass.audit);
	if (d->pass.full) {
		full++;
	} else {
		incremental++;
		read_incremental += d->pass.pages_read;
		pages_incremental += held.n_pages;
	}
	msg.ack.epoch = d->epoch;
	msg.ack.fingerprint = mb_fingerprint_id(&held);
	answer(&msg);
}

/* Takes what there is; false: a whole message is not there yet. */
static bool take_message(void)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	struct mb_slice s = mb_buf_slice(&in);
	struct mb_frame_header h;
	struct mb_err err = { 0 };

	if (in.len < MB_FRAME_HEADER_BYTES)
		return false;
	if (mb_frame_header_decode(in.data, MB_FRAME_RAW_MAX, &h, &err) < 0)
		broken("frame", &err);
	if (in.len < MB_FRAME_HEADER_BYTES + (size_t)h.payload_bytes)
		return false;
	if (mb_frame_take(&s, MB_FRAME_RAW_MAX, &raw, &err) < 0 ||
	    mb_msg_unpack(mb_buf_slice(&raw), &msg, &err) < 0)
		broken("message", &err);
	memmove(in.data, s.data, s.len);
	in.len = s.len;
	if (msg.type == MB_MSG_HELLO)
		greet(&msg.hello);
	else if (msg.type == MB_MSG_DELTA)
		take_delta(&msg.delta);
	else
		fail("the agent sends %s", mb_msg_type_name(msg.type));
	return true;
}

/* Until so many epochs have come. */
static void serve(size_t until)
{
	while (epochs < until) {
		struct pollfd p = { .fd = line, .events = POLLIN };
		uint8_t *to;
		ssize_t n;

		if (take_message())
			continue;
		if (poll(&p, 1, 120000) <= 0) {
			say_log(NULL, NULL);
			fail("nothing from the agent for two minutes, after epoch %zu", epochs);
		}
		to = mb_buf_reserve(&in, 1 << 16);
		n = to ? read(line, to, 1 << 16) : -1;
		if (n <= 0) {
			say_log(NULL, NULL);
			fail("the agent has gone, after epoch %zu", epochs);
		}
		in.len += (size_t)n;
	}
}

static void run_agent(void)
{
	int log = open(LOG, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

	if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		_exit(126);
	execlp("mbagent", "mbagent", "run", "--source", "kmod", "--tracker", "bpf", "--server",
	       "unix:" SOCKET, "--vm", "rounds", "--interval", "1h", "--budget", "0", "--audit",
	       "10", NULL);
	_exit(127);
}

static void start_agent(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = listener, .events = POLLIN };

	if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(listener, 1) < 0)
		fail_errno(SOCKET);
	agent_pid = fork();
	if (agent_pid < 0)
		fail_errno("fork");
	if (!agent_pid)
		run_agent();
	if (poll(&p, 1, 120000) <= 0) {
		say_log(NULL, NULL);
		fail("the agent does not connect");
	}
	line = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (line < 0)
		fail_errno("accept");
	close(listener);
}

/* One epoch more, begun now. */
static void epoch(void)
{
	size_t next = epochs + 1;

	if (kill(agent_pid, SIGUSR1) < 0) {
		say_log(NULL, NULL);
		fail_errno("the agent");
	}
	serve(next);
}

/* --- what goes on meanwhile --- */

static char *live;
static int live_pid, load_pid;

static int start(const char *name, void (*run)(void))
{
	int pid = fork();

	if (pid < 0)
		fail_errno("fork");
	if (!pid) {
		setpgid(0, 0);
		prctl(PR_SET_NAME, name);
		for (;;)
			run();
	}
	/* Whoever of us is first. */
	setpgid(pid, pid);
	return pid;
}

/* Round after round into pages of its own; each content is another one. */
static void live_round(void)
{
	static uint64_t seed;

	if (!seed)
		seed = random_seed();
	for (int i = 0; i < 64; i++)
		content_fill(live + random64(&seed) % LIVE_PAGES * PAGE, random64(&seed));
	usleep(2000);
}

static void load_round(void)
{
	static const char *const program[] = { "true", NULL };
	static unsigned int n;
	char *at =
		mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/tmp/rounds.load", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (at == MAP_FAILED || fd < 0)
		_exit(1);
	for (size_t i = 0; i < 64; i++)
		at[i * PAGE] = (char)n;
	if (write(fd, at, 64 * PAGE) < 0)
		_exit(1);
	run_program(program);
	if (n % 16 == 3)
		file_put("/proc/sys/vm/drop_caches", "1");
	if (n % 16 == 11)
		file_put("/proc/sys/vm/compact_memory", "1");
	if (n++ % 4 == 0 && ftruncate(fd, 0) < 0)
		_exit(1);
	munmap(at, 64 * PAGE);
	close(fd);
	usleep(5000);
}

static void stand_still(int pid, bool still)
{
	int status;

	if (kill(-pid, still ? SIGSTOP : SIGCONT) < 0)
		fail_errno("what goes on meanwhile");
	if (still && (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status)))
		fail("what goes on meanwhile does not");
}

/* --- the verdict --- */

static struct expected {
	uint64_t digest;
	size_t writer; /* n_writers: the one that is alive */
	bool before, after;
} expected[EXPECTED_MAX];
static size_t n_expected;
static struct tally {
	uint64_t written, there, wrong;
} tallies[64];
static struct walk walked;

static void expect(uint64_t digest, size_t writer)
{
	CHECK(n_expected < EXPECTED_MAX);
	expected[n_expected++] = (struct expected){ .digest = digest, .writer = writer };
}

static void expect_live(void)
{
	static char pages[LIVE_PAGES * PAGE];
	struct iovec to = { pages, sizeof(pages) }, from = { live, sizeof(pages) };

	if (process_vm_readv(live_pid, &to, 1, &from, 1, 0) != (ssize_t)sizeof(pages))
		fail_errno("process_vm_readv");
	for (size_t i = 0; i < LIVE_PAGES; i++)
		expect(content_digest(MBWALK_XXH64, pages + i * PAGE), n_writers);
	/* Ours would pass for its. */
	memset(pages, 0, sizeof(pages));
}

static int by_digest(const void *a, const void *b)
{
	const struct expected *x = a, *y = b;

	return (x->digest > y->digest) - (x->digest < y->digest);
}

/* Which of them are in memory. */
static void look(int fd, bool after)
{
	walk_all(fd, MBWALK_XXH64, 0, &walked);
	for (size_t i = 0; i < walked.n; i++) {
		struct expected key = { .digest = walked.records[i].digest }, *e;

		e = bsearch(&key, expected, n_expected, sizeof(*expected), by_digest);
		if (!e)
			continue;
		if (after)
			e->after = true;
		else
			e->before = true;
	}
}

static uint64_t judge(void)
{
	uint64_t wrong = 0;

	for (size_t i = 0; i < n_expected; i++) {
		const struct expected *e = &expected[i];
		struct tally *t = &tallies[e->writer];

		t->written++;
		if (!e->before || !e->after)
			continue;
		t->there++;
		if (mb_fingerprint_find(&held, e->digest))
			continue;
		t->wrong++;
		if (!wrong++)
			say("epoch %zu: %s: the page with digest %llx is not what the server has",
			    epochs, e->writer < n_writers ? writers[e->writer].name : "alive",
			    (unsigned long long)e->digest);
	}
	return wrong;
}

static uint64_t quiet_round(int fd, const bool *started)
{
	uint64_t wrong;

	n_expected = 0;
	for (size_t i = 0; i < n_writers; i++) {
		struct writer *w = &writers[i];

		w->n = 0;
		if (started[i])
			w->round(w);
		for (size_t k = 0; k < w->n; k++)
			expect(w->digests[k], i);
	}
	expect_live();
	qsort(expected, n_expected, sizeof(*expected), by_digest);
	look(fd, false);
	epoch();
	look(fd, true);
	wrong = judge();
	for (size_t i = 0; i < n_writers; i++) {
		if (started[i] && writers[i].settle)
			writers[i].settle(&writers[i]);
	}
	return wrong;
}

static void report(const bool *started)
{
	for (size_t i = 0; i <= n_writers; i++) {
		const struct tally *t = &tallies[i];

		if (i == n_writers || started[i])
			say("%-18s written %5llu, in memory %5llu, wrong at the server %llu",
			    i < n_writers ? writers[i].name : "alive",
			    (unsigned long long)t->written, (unsigned long long)t->there,
			    (unsigned long long)t->wrong);
	}
	say("%zu epochs, %zu of them full walks, %u of these for doubts; an incremental one reads "
	    "%.1f %% of the pages",
	    epochs, full, doubted,
	    pages_incremental ? 100. * (double)read_incremental / (double)pages_incremental : 0);
	say("%u audits: %llu changed pages followed, %llu stale; of all %llu, %llu stale; "
	    "precision "
	    "%.1f %%",
	    audit.audits, (unsigned long long)mb_audit_sum(audit.changed, audit.follows),
	    (unsigned long long)mb_audit_sum(audit.stale, audit.follows),
	    (unsigned long long)mb_audit_sum(audit.changed, UINT32_MAX),
	    (unsigned long long)mb_audit_sum(audit.stale, UINT32_MAX),
	    100 * mb_audit_precision(&audit));
	for (unsigned int i = 0; i < MB_CLASS_END; i++) {
		if (audit.changed[i])
			say("audits: %-10s changed %6llu, stale %llu", mb_class_name(i),
			    (unsigned long long)audit.changed[i],
			    (unsigned long long)audit.stale[i]);
	}
}

/* Each of its pages is written anew between two of the live epochs, and counts once. */
static void check_who(void)
{
	uint64_t rewritten = 0, least = ROUNDS * LIVE_PAGES * 9ull / 10;

	say("who dirtied memory: %.0f of %.0f bytes on the wire an incremental pass; others: %llu "
	    "frames",
	    (double)who_bytes / (double)incremental, (double)delta_bytes / (double)incremental,
	    (unsigned long long)mb_who_frames(who.others));
	for (uint32_t i = 0; i < who.n; i++) {
		const struct mb_who_row *row = &who.rows[i];

		say("who: %-15s in %s: %llu frames, %llu of them rewritten", row->process,
		    row->cgroup, (unsigned long long)mb_who_frames(row->frames),
		    (unsigned long long)row->frames[MB_WHO_REWRITE]);
		if (strcmp(row->process, "w-alive") == 0)
			rewritten += row->frames[MB_WHO_REWRITE];
	}
	/*
	 * Once in each of the epochs at most, and the two parts of an audit are two; estimated from
	 * a sample of some thousand.
	 */
	if (rewritten < least || rewritten > (epochs + audit.audits) * LIVE_PAGES * 11 / 10)
		fail("w-alive rewrote %llu frames, they say; it wrote to %d of its own all the "
		     "time, through %zu epochs",
		     (unsigned long long)rewritten, LIVE_PAGES, epochs);
}

int main(void)
{
	static bool started[64];
	uint64_t wrong = 0, stale;
	int fd = walk_open();

	CHECK(n_writers < 64);
	live = mmap(NULL, LIVE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (live == MAP_FAILED)
		fail_errno("mmap");
	madvise(live, LIVE_PAGES * PAGE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n_writers; i++) {
		started[i] = writers[i].start(&writers[i]);
		if (!started[i])
			say("%s: not here", writers[i].name);
	}
	start_agent();
	serve(1);
	live_pid = start("w-alive", live_round);
	load_pid = start("w-load", load_round);
	for (int round = 0; round < ROUNDS; round++) {
		nap(.2);
		for (size_t i = 0; i < n_writers; i++) {
			if (started[i] && writers[i].hurry)
				writers[i].hurry(&writers[i]);
		}
		epoch();
		stand_still(live_pid, true);
		stand_still(load_pid, true);
		wrong += quiet_round(fd, started);
		stand_still(live_pid, false);
		stand_still(load_pid, false);
	}
	epoch();
	kill(-live_pid, SIGKILL);
	kill(-load_pid, SIGKILL);
	kill(agent_pid, SIGTERM);
	wait_good(agent_pid, "agent");
	say_log("audit:", "doubts");
	report(started);
	stale = mb_audit_sum(audit.stale, audit.follows);
	if (wrong || stale)
		fail("%llu pages were wrong at the server; audits found %llu stale",
		     (unsigned long long)wrong, (unsigned long long)stale);
	CHECK(epochs == 2 * ROUNDS + 2);
	check_who();
	/* Doubts put it off. */
	if (audit.audits < 3 || audit.audits + doubted < epochs / AUDIT_EVERY ||
	    incremental < epochs / 4)
		fail("%u audits, %zu incremental passes: too few to tell", audit.audits,
		     incremental);
	for (size_t i = 0; i <= n_writers; i++)
		if ((i == n_writers || started[i]) && !tallies[i].there)
			fail("%s: nothing of it was ever in memory", writers[i].name);
	return 0;
}
