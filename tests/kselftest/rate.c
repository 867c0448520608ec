// SPDX-License-Identifier: GPL-2.0
/*
 * The rate limit: how much it admits, and that poll and EAGAIN agree with it.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/uio.h>

#include "bpipe_test.h"

static struct bpipe_config limit(unsigned long long rate, unsigned long long burst)
{
	return (struct bpipe_config) {
		.mask = BPIPE_CFG_RATE | BPIPE_CFG_BURST, .rate = rate, .burst = burst,
	};
}

TEST_F(channel, exhausted_burst_gives_eagain_and_no_pollout)
{
	ASSERT_EQ(0, set_config(self->ctl, limit(1, 10000)));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	EXPECT_EQ(10000, put(self->wr, 20000));
	EXPECT_EQ(-1, put(self->wr, 100));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	EXPECT_LE(1, get_stats(self->ctl).throttled);
	EXPECT_LE(10000, get_window(self->ctl).space);
	EXPECT_GE(100, get_window(self->ctl).tokens);
	EXPECT_LT(0, get_window(self->ctl).wait_ns);
}

#define LARGE	(1 << 20)	/* more than a burst, and more than one piece of a copy */
#define BURST	8192

/* Return settings with room for LARGE bytes and tokens for BURST; more accrue during a copy. */
static struct bpipe_config large(unsigned int policy)
{
	return (struct bpipe_config) {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_RATE | BPIPE_CFG_BURST |
			BPIPE_CFG_POLICY,
		.size = 2 * LARGE, .high = 2 * LARGE, .rate = 100000000, .burst = BURST,
		.policy = policy,
	};
}

TEST_F(channel, nonblocking_write_ends_where_tokens_end)
{
	ASSERT_EQ(0, set_config(self->ctl, large(BPIPE_POLICY_BLOCK)));
	EXPECT_EQ(BURST, put(self->wr, LARGE));
}

TEST_F(channel, write_by_policy_error_ends_where_tokens_end)
{
	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, large(BPIPE_POLICY_ERROR)));
	EXPECT_EQ(BURST, put(self->wrb, LARGE));
}

TEST_F(channel, write_with_rwf_nowait_ends_where_tokens_end)
{
	struct iovec iov = { .iov_base = calloc(1, LARGE), .iov_len = LARGE };

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, large(BPIPE_POLICY_BLOCK)));
	EXPECT_EQ(BURST, pwritev2(self->wrb, &iov, 1, -1, RWF_NOWAIT));
	free(iov.iov_base);
}

TEST_F(channel, nonblocking_write_ends_where_tokens_of_its_file_end)
{
	struct bpipe_config config = large(BPIPE_POLICY_BLOCK);

	config.mask &= ~(BPIPE_CFG_RATE | BPIPE_CFG_BURST);
	ASSERT_EQ(0, set_config(self->ctl, config));
	ASSERT_EQ(0, set_writer(self->wr, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_RATE | BPIPE_WRITER_BURST,
		.rate = 100000000, .burst = BURST }));
	EXPECT_EQ(BURST, put(self->wr, LARGE));
}

TEST_F(channel, drop_newest_drops_the_bytes_without_tokens)
{
	unsigned long long before = get_stats(self->ctl).dropped_bytes;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, large(BPIPE_POLICY_DROP_NEWEST)));
	EXPECT_EQ(LARGE, put(self->wrb, LARGE));
	EXPECT_EQ(LARGE - BURST, get_stats(self->ctl).dropped_bytes - before);
}

TEST_F(channel, nonblocking_read_ends_where_tokens_end)
{
	struct bpipe_config config = large(BPIPE_POLICY_BLOCK);

	config.mask &= ~(BPIPE_CFG_RATE | BPIPE_CFG_BURST);
	config.mask |= BPIPE_CFG_READ_RATE | BPIPE_CFG_READ_BURST;
	config.read_rate = config.rate;
	config.read_burst = config.burst;
	ASSERT_EQ(0, set_config(self->ctl, config));
	ASSERT_EQ(LARGE, put(self->wr, LARGE));
	EXPECT_EQ(BURST, take(self->rd, LARGE));
}

TEST_F(channel, window_is_the_least_of_space_and_tokens)
{
	EXPECT_EQ(SIZE, get_window(self->ctl).window);
	EXPECT_EQ(~0ULL, get_window(self->ctl).tokens);
	ASSERT_EQ(0, set_config(self->ctl, limit(1, 10000)));
	EXPECT_EQ(10000, get_window(self->ctl).window);
	EXPECT_EQ(SIZE, get_window(self->ctl).space);
	ASSERT_EQ(4000, put(self->wr, 4000));
	EXPECT_EQ(6000, get_window(self->ctl).window);
}

TEST_F(channel, write_larger_than_the_burst_goes_into_debt)
{
	ASSERT_EQ(0, set_config(self->ctl, limit(1, 100)));
	EXPECT_EQ(1000, put(self->wr, 1000));
	EXPECT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, get_window(self->ctl).tokens);
}

TEST_F(channel, throttled_writer_waits_for_its_tokens)
{
	unsigned long long start, took;
	struct helper h;

	BLOCKING_WRITER();
	/* 4000 bytes at 20 kB/s: 200 ms. */
	ASSERT_EQ(0, set_config(self->ctl, limit(20000, 4000)));
	ASSERT_EQ(4000, put(self->wr, 4000));
	start = now_ns();
	helper_start(&h, self->wrb, true, 4000);
	EXPECT_EQ(4000, helper_end(&h));
	took = now_ns() - start;
	EXPECT_LE(190000000ULL, took);
	EXPECT_LT(0, get_stats(self->ctl).throttled_ns);
}

TEST_F(channel, pollout_returns_with_the_tokens)
{
	struct pollfd p = { .fd = self->wr, .events = POLLOUT };

	ASSERT_EQ(0, set_config(self->ctl, limit(50000, 4096)));
	ASSERT_EQ(4096, put(self->wr, 4096));
	EXPECT_EQ(1, poll(&p, 1, 10000));
	EXPECT_EQ(4096, put(self->wr, 4096));
}

/* The refused record needs more tokens than POLLOUT usually stands for. */
TEST_F(channel, pollout_returns_when_the_refused_write_can_go)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	struct pollfd p = { .fd = self->wr, .events = POLLOUT };
	int ep = epoll_create1(0);

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_RATE | BPIPE_CFG_BURST,
		.mode = BPIPE_MODE_RECORD, .rate = 8000, .burst = 8000 }));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->wr, &ev));
	ASSERT_EQ(8000, put(self->wr, 8000));
	ASSERT_EQ(-1, put(self->wr, 8000));
	ASSERT_EQ(1, poll(&p, 1, 10000));
	EXPECT_EQ(8000, put(self->wr, 8000));

	ASSERT_EQ(-1, put(self->wr, 8000));
	epoll_wait(ep, &ev, 1, 0);
	do {
		ASSERT_EQ(1, epoll_wait(ep, &ev, 1, 10000));
	} while (put(self->wr, 8000) < 0);
	close(ep);
}

TEST_F(channel, idle_time_saves_at_most_the_burst)
{
	unsigned long long idle, start;
	ssize_t n;

	ASSERT_EQ(0, set_config(self->ctl, limit(1000, 5000)));
	ASSERT_EQ(100, put(self->wr, 100));
	ASSERT_TRUE(EVENTUALLY(get_window(self->ctl).tokens == 5000));
	idle = now_ns();
	ASSERT_TRUE(EVENTUALLY(now_ns() - idle > 300000000ULL));
	/* 300 ms would have earned 300 more tokens, which the burst does not allow. */
	EXPECT_EQ(5000, get_window(self->ctl).tokens);
	start = now_ns();
	n = put(self->wr, 20000);
	EXPECT_LE(5000, n);
	EXPECT_GE(5001 + (ssize_t)((now_ns() - start) / 1000000), n);
}

TEST_F(channel, tokens_reserved_by_a_sleeper_are_not_taken_by_others)
{
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, limit(20000, 8000)));
	ASSERT_EQ(8000, put(self->wr, 8000));
	helper_start(&h, self->wrb, true, 4000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	/* If these writes took each token as it accrued, the sleeper would starve. */
	while (!h.done)
		put(self->wr, 8000);
	EXPECT_EQ(4000, helper_end(&h));
}

TEST_F_TIMEOUT(channel, token_count_stays_exact_under_queries, 120)
{
	unsigned long long tokens, start = now_ns();
	unsigned long long before = get_stats(self->ctl).written_bytes;
	pid_t pid;
	int i;

	ASSERT_EQ(0, set_config(self->ctl, limit(1, 1000000)));
	pid = spawn();
	if (!pid) {
		for (i = 0; i < 20000; i++)
			if (write(self->wr, "", 1) != 1)
				_exit(1);
		_exit(0);
	}
	while (get_stats(self->ctl).written_bytes - before < 20000)
		EXPECT_GE(1000000, get_window(self->ctl).tokens);
	EXPECT_EQ(0, reap(pid));
	tokens = get_window(self->ctl).tokens;
	EXPECT_LE(1000000 - 20000, tokens);
	EXPECT_GE(1000000 - 20000 + (now_ns() - start) / 1000000000 + 1, tokens);
}

TEST_F(channel, next_writer_waits_for_its_own_tokens_only)
{
	struct helper big, small;
	char buf[40000];

	/* Touch the pages: a writer leaves the queue for a page fault. */
	memset(buf, 1, sizeof(buf));
	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	ASSERT_EQ(0, set_config(self->ctl, limit(100, 32000)));
	helper_start_with(&big, self->wrb, true, buf, sizeof(buf));
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	helper_start(&small, self->wrb, true, 1);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 2));

	/* The long write takes all tokens, queues again, and waits for 8000 more. */
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	EXPECT_TRUE(EVENTUALLY(small.done));
	EXPECT_FALSE(big.done);

	ASSERT_EQ(0, set_config(self->ctl, limit(0, 0)));
	EXPECT_EQ(1, helper_end(&small));
	EXPECT_EQ(sizeof(buf), helper_end(&big));
}

TEST_F(channel, nonblocking_write_behind_a_token_waiter_gives_eagain)
{
	struct helper h;

	BLOCKING_WRITER();
	/* The gate is open below low, and the sleeper reserves the room left there. */
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_LOW | BPIPE_CFG_HIGH, .low = 60000, .high = SIZE }));
	ASSERT_EQ(60000, put(self->wr, 60000));
	ASSERT_EQ(0, set_config(self->ctl, limit(1, 4096)));
	ASSERT_EQ(4096, put(self->wr, 4096));
	ASSERT_EQ(4096, take(self->rd, 4096));
	helper_start(&h, self->wrb, true, 4096);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	EXPECT_EQ(-1, put(self->wr, 4096));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, set_config(self->ctl, limit(0, 0)));
	EXPECT_EQ(4096, helper_end(&h));
}

TEST_F(channel, new_rate_wakes_a_sleeping_writer)
{
	struct helper h;
	int i;

	BLOCKING_WRITER();
	/* Twice, because an old timer might cause the first wake-up. */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, set_config(self->ctl, limit(1, 100)));
		ASSERT_EQ(1000, put(self->wr, 1000));
		helper_start(&h, self->wrb, true, 1000);
		ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
		ASSERT_EQ(0, set_config(self->ctl, limit(0, 0)));
		EXPECT_EQ(1000, helper_end(&h));
	}
}

/* The poller's own tokens are due in an hour, on the timer shared with the writers. */
TEST_F(channel, pollers_do_not_delay_writers_waiting_for_tokens)
{
	int poller = open(DEV, O_WRONLY | O_NONBLOCK);
	pid_t pid;

	ASSERT_EQ(0, set_config(self->ctl, limit(20000, 8192)));
	ASSERT_EQ(0, set_writer(poller, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_RATE | BPIPE_WRITER_BURST, .rate = 1, .burst = 4096 }));
	ASSERT_EQ(4096, put(poller, 4096));
	BLOCKING_WRITER();
	pid = spawn();
	while (!pid)
		ready(poller, POLLOUT);
	for (int i = 0; i < 30; i++)
		ASSERT_EQ(1000, put(self->wrb, 1000));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, reap(pid));
	close(poller);
}

TEST_F(channel, burst_follows_the_rate_unless_set)
{
	ASSERT_EQ(0, set_config(self->ctl, limit(10000000, 0)));
	EXPECT_EQ(1000000, get_config(self->ctl).burst);
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_RATE, .rate = 1000000 }));
	EXPECT_EQ(100000, get_config(self->ctl).burst);
	ASSERT_EQ(0, set_config(self->ctl, limit(1000000, 12345)));
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_RATE, .rate = 2000000 }));
	EXPECT_EQ(12345, get_config(self->ctl).burst);
}

TEST_HARNESS_MAIN
