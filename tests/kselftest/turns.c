// SPDX-License-Identifier: GPL-2.0
/*
 * The order of waiting writers and their reservations. The number of sleeps must not grow
 * with the number of writes.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "bpipe_test.h"

#define OVERHEAD	32
#define WRITES		16000	/* of all writers */

struct crowd {
	int fd;
	size_t len;
	unsigned int writes;
	pthread_t thread;
};

static void *write_on(void *arg)
{
	struct crowd *c = arg;
	char text[4096] = { 0 };

	for (unsigned int i = 0; i < c->writes; i++)
		if (write(c->fd, text, c->len) != (ssize_t)c->len)
			return c;
	return NULL;
}

/*
 * Run @writers writers without pause, and read all that they write, @len bytes at a time.
 * Return the number of sleeps for each time that the channel filled; -1 on failure.
 */
static long sleeps_of(int ctl, int rd, unsigned int writers, size_t len)
{
	const struct bpipe_stats before = get_stats(ctl);
	unsigned long long left = WRITES / writers * writers * len, full;
	struct crowd crowd[100];
	char got[4096];
	bool failed = false;
	void *stopped;

	for (unsigned int i = 0; i < writers; i++) {
		crowd[i] = (struct crowd) { open(DEV, O_WRONLY), len, WRITES / writers };
		if (pthread_create(&crowd[i].thread, NULL, write_on, &crowd[i]))
			abort();
	}
	while (left) {
		ssize_t n = read(rd, got, len);

		if (n <= 0)
			return -1;
		left -= n;
	}
	for (unsigned int i = 0; i < writers; i++) {
		pthread_join(crowd[i].thread, &stopped);
		if (stopped)
			failed = true;
		close(crowd[i].fd);
	}
	full = get_stats(ctl).high_events - before.high_events + 1;
	return failed ? -1 : (get_stats(ctl).blocked - before.blocked) / full;
}

static const struct {
	unsigned long long size;
	unsigned int mode, writers;
} crowds[] = {
	{ SIZE, BPIPE_MODE_STREAM, 4 },
	{ SIZE, BPIPE_MODE_RECORD, 4 },
	{ SIZE, BPIPE_MODE_RECORD, 16 },
	{ 1 << 20, BPIPE_MODE_STREAM, 16 },
	{ 1 << 20, BPIPE_MODE_RECORD, 100 },
};

TEST_F(channel, sleeps_grow_with_times_full_not_with_writes)
{
	int rd = open(DEV, O_RDONLY);

	for (unsigned int i = 0; i < sizeof(crowds) / sizeof(*crowds); i++) {
		long sleeps;

		ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
			.mask = BPIPE_CFG_SIZE | BPIPE_CFG_MODE,
			.size = crowds[i].size, .mode = crowds[i].mode }));
		sleeps = sleeps_of(self->ctl, rd, crowds[i].writers, 128);
		EXPECT_LE(0, sleeps);
		EXPECT_GE(10l * crowds[i].writers, sleeps);
	}
	close(rd);
}

/* A writer sleeps for tokens at most twenty times a second; the test allows thirty. */
TEST_F(channel, sleeps_for_tokens_grow_with_time_not_with_writes)
{
	unsigned long long start = now_ns(), before = get_stats(self->ctl).throttled, seconds;
	int rd = open(DEV, O_RDONLY);

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_RATE, .rate = 100000 }));
	ASSERT_LE(0, sleeps_of(self->ctl, rd, 4, 10));
	seconds = (now_ns() - start) / 1000000000 + 1;
	EXPECT_LT(before, get_stats(self->ctl).throttled);
	EXPECT_GE(before + 4 * 30 * seconds, get_stats(self->ctl).throttled);
	close(rd);
}

/* A long record reserves the room it waits for, and later short ones must not take it. */
TEST_F(channel, newcomer_does_not_take_reserved_room)
{
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE, .mode = BPIPE_MODE_RECORD }));
	/* Below low, so that no gate is closed. */
	ASSERT_EQ(8000, put(self->wr, 8000));
	helper_start(&h, self->wrb, true, SIZE - 4000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	EXPECT_EQ(-1, put(self->wr, 10));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(8000, take(self->rd, SIZE));
	EXPECT_EQ(SIZE - 4000, helper_end(&h));
	EXPECT_EQ(10, put(self->wr, 10));
}

/* More important writers need not respect the reservation. */
TEST_F(channel, more_important_newcomer_passes_waiters)
{
	int low = open(DEV, O_WRONLY);
	struct helper h;

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE, .mode = BPIPE_MODE_RECORD }));
	ASSERT_EQ(0, set_writer(low, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_CLASS, .class = 3 }));
	ASSERT_EQ(8000, put(self->wr, 8000));
	helper_start(&h, low, true, SIZE - 4000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	EXPECT_EQ(10, put(self->wr, 10));
	ASSERT_EQ(8000, take(self->rd, SIZE));
	EXPECT_EQ(SIZE - 4000, helper_end(&h));
	close(low);
}

/* A drop-oldest write that would have to queue evicts as much as it stores. */
TEST_F(channel, drop_oldest_behind_waiters_evicts_what_it_stores)
{
	struct bpipe_stats stats = get_stats(self->ctl);
	const unsigned long long evicted = stats.classes[0].dropped_records[BPIPE_DROP_EVICTED];
	const unsigned long long full = stats.classes[0].dropped_records[BPIPE_DROP_FULL];
	int drop = open(DEV, O_WRONLY);
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE, .mode = BPIPE_MODE_RECORD }));
	ASSERT_EQ(0, set_writer(drop, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_POLICY, .policy = BPIPE_POLICY_DROP_OLDEST }));
	while (put(self->wr, 1000 - OVERHEAD) > 0)
		;
	helper_start(&h, self->wrb, true, 1000 - OVERHEAD);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	for (int i = 0; i < 5; i++)
		ASSERT_EQ(1000 - OVERHEAD, put(drop, 1000 - OVERHEAD));
	stats = get_stats(self->ctl);
	EXPECT_EQ(evicted + 5, stats.classes[0].dropped_records[BPIPE_DROP_EVICTED]);
	EXPECT_EQ(full, stats.classes[0].dropped_records[BPIPE_DROP_FULL]);
	EXPECT_EQ(1u, stats.writers_waiting);
	for (int i = 0; i < 50; i++)
		take(self->rd, 1000);
	EXPECT_EQ(1000 - OVERHEAD, helper_end(&h));
	close(drop);
}

/* A writer that lacks room at its class's limit must not keep tokens from other classes. */
TEST_F(channel, waiting_for_room_reserves_no_tokens)
{
	int low = open(DEV, O_WRONLY | O_NONBLOCK);
	unsigned int spins = 0, written = 0;
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_RATE | BPIPE_CFG_BURST | BPIPE_CFG_LIMIT(0),
		.mode = BPIPE_MODE_RECORD, .rate = 1000000, .burst = 10000, .limit[0] = 8192 }));
	ASSERT_EQ(0, set_writer(low, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_CLASS, .class = 7 }));
	ASSERT_EQ(8000, put(self->wr, 8000));
	helper_start(&h, self->wrb, true, 4000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	while (written < 5) {
		struct pollfd p = { .fd = low, .events = POLLOUT };

		ASSERT_EQ(1, poll(&p, 1, 10000));
		if (put(low, 8000) > 0)
			written++;
		else
			spins++;
	}
	/* The first try of each record may fail, since POLLOUT stands for PIPE_BUF bytes. */
	EXPECT_GE(written, spins);
	while (take(self->rd, SIZE) > 0)
		;
	EXPECT_EQ(4000, helper_end(&h));
	close(low);
}

TEST_F(channel, each_record_wakes_one_reader)
{
	struct bpipe_stats before;
	struct helper h[6];

	BLOCKING_READER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE, .mode = BPIPE_MODE_RECORD }));
	for (int i = 0; i < 6; i++) {
		helper_start(&h[i], self->rdb, false, 100);
		ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == i + 1u));
	}
	before = get_stats(self->ctl);
	for (int i = 0; i < 6; i++)
		ASSERT_EQ(100, put(self->wr, 100));
	for (int i = 0; i < 6; i++)
		EXPECT_EQ(100, helper_end(&h[i]));
	EXPECT_EQ(before.wakeups_read + 6, get_stats(self->ctl).wakeups_read);
	EXPECT_EQ(before.starved, get_stats(self->ctl).starved);
}

/* Memory pressure may take a page again whenever its writer sleeps. */
TEST_F(channel, page_lost_during_each_sleep_is_no_fault)
{
	FILE *file = tmpfile();
	struct helper h, other;
	char *page;

	BLOCKING_WRITER();
	ASSERT_EQ(0, ftruncate(fileno(file), ATOMIC));
	page = mmap(NULL, ATOMIC, PROT_READ, MAP_PRIVATE, fileno(file), 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	ASSERT_EQ(SIZE - OVERHEAD, put(self->wr, SIZE - OVERHEAD));
	helper_start_with(&h, self->wrb, true, page, ATOMIC);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	for (int i = 0; i < 20; i++) {
		/* The fault costs the writer its place, so this one is the head next. */
		helper_start(&other, self->wrb, true, SIZE - OVERHEAD);
		ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 2));
		ASSERT_EQ(0, madvise(page, ATOMIC, MADV_DONTNEED));
		ASSERT_EQ(SIZE - OVERHEAD, take(self->rd, SIZE));
		ASSERT_EQ(SIZE - OVERHEAD, helper_end(&other));
		ASSERT_TRUE(EVENTUALLY(h.done || get_stats(self->ctl).writers_waiting == 1));
		ASSERT_FALSE(h.done);
	}
	ASSERT_EQ(SIZE - OVERHEAD, take(self->rd, SIZE));
	EXPECT_EQ(ATOMIC, helper_end(&h));
	munmap(page, ATOMIC);
	fclose(file);
}

/* A waiter that comes to lack room, not tokens, releases the tokens that it reserved. */
TEST_F(channel, pollout_returns_when_a_waiter_releases_its_tokens)
{
	int wr1 = open_class(1, O_NONBLOCK), wr2 = open_class(2, O_NONBLOCK);
	struct helper h;

	ASSERT_EQ(0, fcntl(wr1, F_SETFL, 0));
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_RATE | BPIPE_CFG_BURST | BPIPE_CFG_LIMIT(1),
		.mode = BPIPE_MODE_RECORD, .rate = 2000, .burst = 2000, .limit[1] = 8192 }));
	ASSERT_EQ(2000, put(self->wr, 2000));
	helper_start(&h, wr1, true, 6000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(-1, put(wr2, 100));
	ASSERT_EQ(EAGAIN, errno);
	EXPECT_EQ(~0ULL, get_window(wr2).wait_ns);
	while (get_stats(self->ctl).level < 2200)
		put(self->wr, 100);
	EXPECT_TRUE(EVENTUALLY(ready(wr2, POLLOUT) == POLLOUT));
	EXPECT_EQ(100, put(wr2, 100));
	while (take(self->rd, SIZE) > 0)
		;
	EXPECT_EQ(6000, helper_end(&h));
	close(wr1);
	close(wr2);
}

/* A writer whose gate closes while it sleeps for tokens waits for the gate instead. */
TEST_F(channel, closed_gate_releases_tokens_to_less_important_writers)
{
	int wr1 = open_class(1, 0), wr2 = open_class(2, O_NONBLOCK);
	struct helper h;

	ASSERT_EQ(0, fcntl(wr1, F_SETFL, 0));
	ASSERT_EQ(2096, put(self->wr, 2096));
	/* The gate of class 1 closes at 4097 bytes. A second brings a burst. */
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_RATE | BPIPE_CFG_BURST | BPIPE_CFG_LIMIT(1),
		.rate = 2000, .burst = 2000, .limit[1] = 8192 }));
	ASSERT_EQ(2000, put(self->wr, 2000));
	helper_start(&h, wr1, true, 2000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_TRUE(EVENTUALLY(put(self->wr, 100) == 100));
	EXPECT_TRUE(EVENTUALLY(put(wr2, 100) == 100));
	EXPECT_FALSE(h.done);
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) { .mask = BPIPE_CFG_RATE }));
	while (take(self->rd, SIZE) > 0)
		;
	EXPECT_EQ(2000, helper_end(&h));
	close(wr1);
	close(wr2);
}

TEST_HARNESS_MAIN
