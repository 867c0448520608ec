// SPDX-License-Identifier: GPL-2.0
/*
 * Record mode: each write is read as one record; classes and their order; and the
 * frames of framed reads.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/uio.h>

#include "bpipe_test.h"

#define OVERHEAD	BPIPE_RECORD_OVERHEAD
#define MOST		(SIZE - OVERHEAD)	/* length of the longest record */

static int set_mode(int fd, unsigned int mode)
{
	return set_config(fd, (struct bpipe_config) { .mask = BPIPE_CFG_MODE, .mode = mode });
}

static int set_framed(int fd, unsigned int framed)
{
	struct bpipe_reader reader = { .mask = BPIPE_READER_FRAMED, .framed = framed };

	return ioctl(fd, BPIPE_SET_READER, &reader) ? -errno : 0;
}

static ssize_t say(int fd, const char *text)
{
	return write(fd, text, strlen(text));
}

TEST_F(channel, each_write_is_read_as_one_record)
{
	struct iovec parts[] = { { "on", 2 }, { "", 0 }, { "e", 1 } };

	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	ASSERT_EQ(3, writev(self->wr, parts, 3));
	ASSERT_EQ(3, say(self->wr, "two"));
	EXPECT_EQ(0, write(self->wr, "", 0));
	ASSERT_EQ(5, say(self->wr, "three"));
	EXPECT_STREQ("one", next_text(self->rd));
	EXPECT_STREQ("two", next_text(self->rd));
	EXPECT_STREQ("three", next_text(self->rd));
	EXPECT_EQ(-1, take(self->rd, 100));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(channel, level_counts_each_record_and_its_overhead)
{
	struct bpipe_stats s;

	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	ASSERT_EQ(100, put(self->wr, 100));
	ASSERT_EQ(1, put(self->wr, 1));
	s = get_stats(self->ctl);
	EXPECT_EQ(101 + 2 * OVERHEAD, s.level);
	EXPECT_EQ(101, s.queued_bytes);
	EXPECT_EQ(2, s.queued_records);
	EXPECT_EQ(SIZE - s.level - OVERHEAD, get_window(self->wr).window);
	EXPECT_EQ(100, queued(self->rd));
}

TEST_F(channel, records_and_overhead_fill_the_size_exactly)
{
	int n;

	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	for (n = 0; put(self->wr, 1024 - OVERHEAD) > 0; n++)
		;
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(SIZE / 1024, n);
	EXPECT_EQ(SIZE, get_stats(self->ctl).level);
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	EXPECT_EQ(0, get_window(self->wr).window);
}

TEST_F(channel, oversized_record_gives_emsgsize_at_once)
{
	struct bpipe_stats before, after;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	before = get_stats(self->ctl);
	EXPECT_EQ(-1, put(self->wrb, MOST + 1));
	EXPECT_EQ(EMSGSIZE, errno);
	after = get_stats(self->ctl);
	EXPECT_EQ(before.written_bytes, after.written_bytes);
	EXPECT_EQ(0, after.level);
	EXPECT_EQ(MOST, put(self->wrb, MOST));
	EXPECT_EQ(MOST, take(self->rd, MOST));
}

TEST_F(channel, sleeping_writer_gets_emsgsize_when_the_channel_shrinks)
{
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	ASSERT_EQ(100, put(self->wr, 100));
	helper_start(&h, self->wrb, true, MOST);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_SIZE, .size = SIZE - 1 }));
	EXPECT_EQ(-EMSGSIZE, helper_end(&h));
}

TEST_F(channel, read_into_small_buffer_gives_emsgsize_and_loses_nothing)
{
	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	ASSERT_EQ(5, say(self->wr, "whole"));
	EXPECT_EQ(-1, take(self->rd, 4));
	EXPECT_EQ(EMSGSIZE, errno);
	EXPECT_EQ(1, get_stats(self->ctl).queued_records);
	EXPECT_STREQ("whole", next_text(self->rd));
}

TEST_F(channel, records_stay_whole_across_the_wrap)
{
	static unsigned char in[MOST], out[MOST];
	size_t n, at = 0;

	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	for (n = 1; n <= MOST; n = n * 5 / 4 + 7, at += n) {
		pattern(in, at, n);
		ASSERT_EQ(n, write(self->wr, in, n));
		ASSERT_EQ(n, read(self->rd, out, MOST));
		ASSERT_EQ(0, memcmp(in, out, n));
	}
}

TEST_F(channel, bad_buffers_give_efault_and_move_no_record)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_EQ(0, munmap(pages + 4096, 4096));
	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	EXPECT_EQ(-1, write(self->wr, pages, 5000));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, get_stats(self->ctl).level);

	ASSERT_EQ(5000, put(self->wr, 5000));
	EXPECT_EQ(-1, read(self->rd, pages, 5000));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(1, get_stats(self->ctl).queued_records);
	EXPECT_EQ(5000, take(self->rd, 5000));
}

TEST_F(channel, framed_read_returns_whole_records_with_frames)
{
	unsigned char buf[1000];
	struct bpipe_frame *first = (void *)buf, *second = (void *)(buf + sizeof(*first) + 3);
	unsigned long long before = now_ns(), seq;

	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	seq = get_stats(self->ctl).written_records;
	ASSERT_EQ(3, say(self->wr, "abc"));
	ASSERT_EQ(2, say(self->wr, "de"));
	ASSERT_EQ(4, say(self->wr, "left"));
	ASSERT_EQ(0, set_framed(self->rd, 1));
	/* Room for two records, and for all but a byte of the third. */
	ASSERT_EQ(2 * sizeof(*first) + 5, read(self->rd, buf, 3 * sizeof(*first) + 8));
	EXPECT_EQ(3, first->len);
	EXPECT_EQ(0, memcmp("abc", first + 1, 3));
	EXPECT_EQ(2, second->len);
	EXPECT_EQ(0, memcmp("de", second + 1, 2));
	EXPECT_EQ(first->seq + 1, second->seq);
	EXPECT_LE(seq, first->seq);
	EXPECT_EQ(0, first->lost);
	EXPECT_EQ(0, first->class);
	EXPECT_LE(before, first->time_ns);
	EXPECT_LE(first->time_ns, second->time_ns);
	EXPECT_GE(now_ns(), second->time_ns);

	EXPECT_EQ(-1, read(self->rd, buf, sizeof(*first) + 3));
	EXPECT_EQ(EMSGSIZE, errno);
	EXPECT_EQ(sizeof(*first) + 4, read(self->rd, buf, sizeof(buf)));
	ASSERT_EQ(0, set_framed(self->rd, 0));
}

TEST_F(channel, end_of_file_comes_after_the_last_record)
{
	BLOCKING_READER();
	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	ASSERT_EQ(3, say(self->wr, "end"));
	close(self->wr);
	EXPECT_STREQ("end", next_text(self->rdb));
	EXPECT_EQ(0, take(self->rdb, 100));
	EXPECT_EQ(POLLIN | POLLHUP, ready(self->rdb, POLLIN));
}

TEST_F(channel, fifo_order_ignores_the_class)
{
	int low = open_class(7, O_NONBLOCK), mid = open_class(3, O_NONBLOCK);

	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, 0));
	ASSERT_EQ(1, say(low, "1"));
	ASSERT_EQ(1, say(self->wr, "2"));
	ASSERT_EQ(1, say(mid, "3"));
	ASSERT_EQ(1, say(low, "4"));
	EXPECT_STREQ("1", next_text(self->rd));
	EXPECT_STREQ("2", next_text(self->rd));
	EXPECT_STREQ("3", next_text(self->rd));
	EXPECT_STREQ("4", next_text(self->rd));
}

TEST_F(channel, priority_order_goes_by_class_then_arrival)
{
	int low = open_class(7, O_NONBLOCK), mid = open_class(3, O_NONBLOCK);

	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_PRIORITY, 0));
	ASSERT_EQ(1, say(low, "4"));
	ASSERT_EQ(1, say(mid, "2"));
	ASSERT_EQ(1, say(low, "5"));
	ASSERT_EQ(1, say(mid, "3"));
	ASSERT_EQ(1, say(self->wr, "1"));
	EXPECT_STREQ("1", next_text(self->rd));
	EXPECT_STREQ("2", next_text(self->rd));
	EXPECT_STREQ("3", next_text(self->rd));
	EXPECT_STREQ("4", next_text(self->rd));
	EXPECT_STREQ("5", next_text(self->rd));
}

TEST_F(channel, counters_are_kept_for_each_class)
{
	struct bpipe_stats before = get_stats(self->ctl), after;
	int low = open_class(7, O_NONBLOCK);

	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_PRIORITY, 0));
	ASSERT_EQ(10, put(low, 10));
	ASSERT_EQ(20, put(low, 20));
	ASSERT_EQ(5, put(self->wr, 5));
	ASSERT_EQ(5, take(self->rd, 100));
	after = get_stats(self->ctl);
	EXPECT_EQ(30, after.classes[7].written_bytes - before.classes[7].written_bytes);
	EXPECT_EQ(2, after.classes[7].queued_records);
	EXPECT_EQ(30, after.classes[7].queued_bytes);
	EXPECT_EQ(5, after.classes[0].read_bytes - before.classes[0].read_bytes);
	EXPECT_EQ(0, after.classes[0].queued_records);
}

TEST_F(channel, resize_keeps_the_records_of_all_classes)
{
	int low = open_class(7, O_NONBLOCK);
	struct bpipe_config size = { .mask = BPIPE_CFG_SIZE };
	char text[16];

	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, 0));
	for (int i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "%d", i);
		ASSERT_LT(0, say(i % 2 ? low : self->wr, text));
	}
	size.size = 1 << 20;
	ASSERT_EQ(0, set_config(self->ctl, size));
	size.size = 4096;
	ASSERT_EQ(0, set_config(self->ctl, size));
	for (int i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "%d", i);
		ASSERT_STREQ(text, next_text(self->rd));
	}
	ASSERT_EQ(4000, put(low, 4000));
	ASSERT_EQ(4000, take(self->rd, 4096));
}

/* Fill @buf with record number @n, different from all others; return its length. */
static size_t numbered(unsigned char *buf, unsigned int n)
{
	size_t len = 4 + n * 7919 % 6000;

	pattern(buf, (size_t)n * 8192, len);
	return len;
}

/* A resize copies so long a queue in pieces, and both sides go on between two pieces. */
TEST_F(channel, resize_under_load_loses_no_record)
{
	const unsigned int records = 3000, long_queue = 600000;
	struct bpipe_config set = { .mask = BPIPE_CFG_SIZE };
	unsigned char sent[8192], got[8192];
	volatile unsigned int *resized = mmap(NULL, sizeof(*resized), PROT_READ | PROT_WRITE,
					      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid, resizer;
	int wr[2];

	ASSERT_NE(MAP_FAILED, (void *)resized);
	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	set.size = 1 << 20;
	ASSERT_EQ(0, set_config(self->ctl, set));
	wr[0] = open_class(0, 0);
	wr[1] = open_class(7, 0);
	pid = spawn();
	if (!pid) {
		for (unsigned int i = 0; i < records; i++) {
			size_t len = numbered(sent, i);

			if (write(wr[i % 2], sent, len) != (ssize_t)len)
				_exit(1);
		}
		_exit(0);
	}
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).level > long_queue));
	resizer = spawn();
	if (!resizer) {
		for (unsigned int i = 0;; i++) {
			set.size = (1 << 20) + i * 65537 % (1 << 21);
			*resized += !set_config(self->ctl, set);
		}
	}
	ASSERT_TRUE(EVENTUALLY(*resized));
	BLOCKING_READER();
	for (unsigned int i = 0; i < records; i++) {
		size_t len = numbered(sent, i);

		ASSERT_EQ(len, read(self->rdb, got, sizeof(got)));
		ASSERT_EQ(0, memcmp(sent, got, len));
	}
	kill(resizer, SIGKILL);
	EXPECT_EQ(-SIGKILL, reap(resizer));
	EXPECT_EQ(0, reap(pid));
	munmap((void *)resized, sizeof(*resized));
}

/* The sleeping write is the only user of class 7 once its file has changed to class 0. */
TEST_F(channel, sleeping_write_keeps_the_class_it_began_with)
{
	int wr = open_class(7, 0);
	struct helper h;

	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, 0));
	ASSERT_EQ(SIZE - OVERHEAD, put(self->wr, SIZE - OVERHEAD));
	helper_start(&h, wr, true, 1000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(0, set_writer(wr, (struct bpipe_writer) { .mask = BPIPE_WRITER_CLASS }));
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_SIZE, .size = 2 * SIZE }));
	ASSERT_EQ(1000, helper_end(&h));
	EXPECT_EQ(1000, get_stats(self->ctl).classes[7].queued_bytes);
	close(wr);
}

TEST_F(channel, mode_change_gives_ebusy_while_data_is_queued)
{
	ASSERT_EQ(1, put(self->wr, 1));
	EXPECT_EQ(-EBUSY, set_mode(self->ctl, BPIPE_MODE_RECORD));
	EXPECT_EQ(BPIPE_MODE_STREAM, get_config(self->ctl).mode);
	ASSERT_EQ(1, take(self->rd, 1));
	EXPECT_EQ(0, set_mode(self->ctl, BPIPE_MODE_RECORD));
	ASSERT_EQ(1, put(self->wr, 1));
	EXPECT_EQ(-EBUSY, set_mode(self->ctl, BPIPE_MODE_STREAM));
}

TEST_F(channel, mode_change_gives_ebusy_while_a_writer_waits)
{
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_RATE | BPIPE_CFG_BURST, .rate = 1, .burst = 1000 }));
	ASSERT_EQ(1000, put(self->wr, 1000));
	ASSERT_EQ(1000, take(self->rd, 1000));
	helper_start(&h, self->wrb, true, 1000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	EXPECT_EQ(-EBUSY, set_mode(self->ctl, BPIPE_MODE_RECORD));
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) { .mask = BPIPE_CFG_RATE }));
	EXPECT_EQ(1000, helper_end(&h));
}

TEST_F(channel, mode_change_gives_ebusy_under_file_settings_for_records)
{
	struct bpipe_writer writer = {
		.mask = BPIPE_WRITER_POLICY, .policy = BPIPE_POLICY_DROP_OLDEST,
	};

	ASSERT_EQ(0, set_mode(self->ctl, BPIPE_MODE_RECORD));
	ASSERT_EQ(0, set_framed(self->rd, 1));
	EXPECT_EQ(-EBUSY, set_mode(self->ctl, BPIPE_MODE_STREAM));
	ASSERT_EQ(0, set_framed(self->rd, 0));
	ASSERT_EQ(0, set_writer(self->wr, writer));
	EXPECT_EQ(-EBUSY, set_mode(self->ctl, BPIPE_MODE_STREAM));
	writer.policy = BPIPE_POLICY_CHANNEL;
	ASSERT_EQ(0, set_writer(self->wr, writer));
	EXPECT_EQ(0, set_mode(self->ctl, BPIPE_MODE_STREAM));
}

TEST_F(channel, closing_a_file_drops_its_settings_for_records)
{
	int framed = open(DEV, O_RDONLY);

	ASSERT_EQ(0, set_mode(self->ctl, BPIPE_MODE_RECORD));
	ASSERT_EQ(0, set_framed(framed, 1));
	close(framed);
	EXPECT_EQ(0, set_mode(self->ctl, BPIPE_MODE_STREAM));
}

TEST_F(channel, settings_for_records_are_refused_in_a_stream)
{
	const struct bpipe_config refused[] = {
		{ .mask = BPIPE_CFG_ORDER, .order = BPIPE_ORDER_PRIORITY },
		{ .mask = BPIPE_CFG_POLICY, .policy = BPIPE_POLICY_DROP_OLDEST },
		{ .mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_RECORDS },
		{ .mask = BPIPE_CFG_RATE_RECORDS, .rate_records = 1 },
		{ .mask = BPIPE_CFG_READ_RATE_RECORDS, .read_rate_records = 1 },
	};
	struct bpipe_config both, before, after;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		before = get_config(self->ctl);
		EXPECT_EQ(-EOPNOTSUPP, set_config(self->ctl, refused[i])) TH_LOG("%zu", i);
		after = get_config(self->ctl);
		EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));

		/* Record mode allows the setting, which then keeps the mode from changing back. */
		both = refused[i];
		both.mask |= BPIPE_CFG_MODE;
		both.mode = BPIPE_MODE_RECORD;
		EXPECT_EQ(0, set_config(self->ctl, both)) TH_LOG("%zu", i);
		EXPECT_EQ(-EOPNOTSUPP, set_mode(self->ctl, BPIPE_MODE_STREAM)) TH_LOG("%zu", i);
		ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
			.mask = refused[i].mask | BPIPE_CFG_MODE }));
	}
	EXPECT_EQ(-EOPNOTSUPP, set_framed(self->rd, 1));
	EXPECT_EQ(-EOPNOTSUPP, set_writer(self->wr, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_POLICY, .policy = BPIPE_POLICY_DROP_OLDEST }));
}

TEST_F(channel, threshold_counts_the_overhead_of_records)
{
	struct helper h;

	BLOCKING_READER();
	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	ASSERT_EQ(0, set_reader(self->rdb, 2 * (10 + OVERHEAD), 0));
	helper_start(&h, self->rdb, false, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(10, put(self->wr, 10));
	EXPECT_EQ(1, get_stats(self->ctl).readers_waiting);
	ASSERT_EQ(10, put(self->wr, 10));
	EXPECT_EQ(10, helper_end(&h));
}

TEST_F(channel, two_readers_share_the_records)
{
	static const char * const wanted = "xy";
	struct helper a, b;
	char got_a, got_b;

	BLOCKING_READER();
	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	helper_start_with(&a, self->rdb, false, &got_a, 1);
	helper_start_with(&b, self->rdb, false, &got_b, 1);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 2));
	ASSERT_EQ(1, say(self->wr, "x"));
	ASSERT_EQ(1, say(self->wr, "y"));
	EXPECT_EQ(1, helper_end(&a));
	EXPECT_EQ(1, helper_end(&b));
	EXPECT_EQ(wanted[0] + wanted[1], got_a + got_b);
}

TEST_HARNESS_MAIN
