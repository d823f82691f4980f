// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/ticker.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "tests/unit/util_test.h"

static bool is_readable(const struct mb_ticker *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void test_signals(void **state)
{
	struct mb_ticker t;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_ticker_open(&t, &err), &err);
	assert_false(is_readable(&t) || t.stop || t.epoch_now);
	mb_ticker_take(&t);
	assert_false(t.stop || t.epoch_now);

	raise(SIGUSR1);
	raise(SIGUSR1);
	assert_true(is_readable(&t));
	mb_ticker_take(&t);
	assert_true(t.epoch_now && !t.stop);
	assert_false(is_readable(&t));
	/* It stays until it is dealt with. */
	mb_ticker_take(&t);
	assert_true(t.epoch_now);
	t.epoch_now = false;

	raise(SIGTERM);
	mb_ticker_take(&t);
	assert_true(t.stop && !t.epoch_now);
	t.stop = false;
	raise(SIGINT);
	raise(SIGUSR1);
	mb_ticker_take(&t);
	assert_true(t.stop && t.epoch_now);

	mb_ticker_close(&t);
	mb_ticker_close(&t);
	assert_int_equal(t.fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals),
	};

	return cmocka_run_group_tests_name("ticker", tests, NULL, NULL);
}
