// SPDX-License-Identifier: GPL-2.0
/*
 * Records that wait too long: time to live, sojourn target, and their counters.
 */
#include "bpipe_test.h"

#define MS	1000000ULL

static int set_ttl(int fd, unsigned int class, unsigned long long ttl)
{
	struct bpipe_config config = { .mask = BPIPE_CFG_TTL(class) };

	config.ttl[class] = ttl;
	return set_config(fd, config);
}

static int set_sojourn(int fd, unsigned int class, unsigned long long target)
{
	struct bpipe_config config = { .mask = BPIPE_CFG_SOJOURN(class) };

	config.sojourn[class] = target;
	return set_config(fd, config);
}

static unsigned long long dropped(int fd, unsigned int class, unsigned int reason)
{
	return get_stats(fd).classes[class].dropped_records[reason];
}

static bool is_past(unsigned long long when)
{
	return now_ns() > when;
}

static void records(struct __test_metadata *_metadata, int ctl)
{
	ASSERT_EQ(0, set_records(ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
}

TEST_F(channel, expired_record_is_not_read)
{
	unsigned long long before = dropped(self->ctl, 3, BPIPE_DROP_EXPIRED);
	int wr3;

	records(_metadata, self->ctl);
	wr3 = open_class(3, O_NONBLOCK);
	ASSERT_EQ(0, set_ttl(self->ctl, 3, 5 * MS));
	ASSERT_EQ(3, write(wr3, "old", 3));
	ASSERT_EQ(4, write(self->wr, "kept", 4));
	ASSERT_TRUE(EVENTUALLY(dropped(self->ctl, 3, BPIPE_DROP_EXPIRED) > before));
	EXPECT_STREQ("kept", next_text(self->rd));
	EXPECT_EQ(before + 1, dropped(self->ctl, 3, BPIPE_DROP_EXPIRED));
	EXPECT_STREQ("Resource temporarily unavailable", next_text(self->rd));
	close(wr3);
}

TEST_F(channel, expired_record_is_hidden_at_once)
{
	unsigned long long when;

	records(_metadata, self->ctl);
	ASSERT_EQ(0, set_ttl(self->ctl, 0, MS));
	/* Repeat until the calls win the race with the expiry work. */
	for (int i = 0; i < 50; i++) {
		ASSERT_EQ(3, write(self->wr, "old", 3));
		when = now_ns() + MS;
		while (!is_past(when))
			;
		EXPECT_EQ(0, ready(self->rd, POLLIN));
		EXPECT_EQ(0, queued(self->rd));
		EXPECT_EQ(-1, take(self->rd, 10));
		EXPECT_EQ(EAGAIN, errno);
	}
}

TEST_F(channel, expired_records_are_dropped_without_a_reader)
{
	unsigned long long before = dropped(self->ctl, 0, BPIPE_DROP_EXPIRED);
	struct bpipe_stats stats;

	records(_metadata, self->ctl);
	ASSERT_EQ(0, set_ttl(self->ctl, 0, 20 * MS));
	ASSERT_EQ(3, write(self->wr, "one", 3));
	ASSERT_EQ(3, write(self->wr, "two", 3));
	EXPECT_TRUE(EVENTUALLY(!get_stats(self->ctl).level));
	stats = get_stats(self->ctl);
	EXPECT_EQ(before + 2, stats.classes[0].dropped_records[BPIPE_DROP_EXPIRED]);
	EXPECT_TRUE(lawful(&stats));
}

/*
 * Room appears once the expiry work drops records of class 0. They are so many that a
 * record of class 7 can be written before the work reaches class 7.
 */
TEST_F(channel, record_written_during_expiry_is_kept)
{
	const unsigned long long size = 16 * SIZE, each = 1 + BPIPE_RECORD_OVERHEAD;
	unsigned long long before = dropped(self->ctl, 7, BPIPE_DROP_EXPIRED), room;
	bool between = false;
	int wr7;

	records(_metadata, self->ctl);
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_SIZE, .size = size }));
	ASSERT_EQ(0, set_ttl(self->ctl, 7, 3600000 * MS));
	wr7 = open_class(7, O_NONBLOCK);
	for (int i = 0; i < 20 && !between; i++) {
		for (room = size; room >= 2 * each; room -= each)
			ASSERT_EQ(1, put(self->wr, 1));
		ASSERT_EQ(0, set_ttl(self->ctl, 0, 1));
		ASSERT_TRUE(EVENTUALLY(get_window(wr7).space > room));
		ASSERT_EQ(1, put(wr7, 1));
		between = get_window(wr7).space < size - 2 * each;
		ASSERT_TRUE(EVENTUALLY(take(self->rd, 1) == 1));
		ASSERT_EQ(0, set_ttl(self->ctl, 0, 0));
	}
	EXPECT_EQ(before, dropped(self->ctl, 7, BPIPE_DROP_EXPIRED));
	close(wr7);
}

/* Expired records must not hold up a non-blocking read, however many there are. */
TEST_F(channel, many_expired_records_do_not_delay_a_read)
{
	const int n = 16 * SIZE / (1 + BPIPE_RECORD_OVERHEAD);
	struct bpipe_stats stats;

	records(_metadata, self->ctl);
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_SIZE, .size = 16 * SIZE }));
	for (int i = 0; i < n; i++)
		ASSERT_EQ(1, put(self->wr, 1));
	ASSERT_EQ(0, set_ttl(self->ctl, 0, 1));
	EXPECT_EQ(-1, take(self->rd, 1));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ready(self->rd, POLLIN));
	EXPECT_EQ(0, queued(self->rd));
	ASSERT_TRUE(EVENTUALLY(!get_stats(self->ctl).level));
	stats = get_stats(self->ctl);
	EXPECT_TRUE(lawful(&stats));
}

TEST_F(channel, new_ttl_applies_to_queued_records)
{
	records(_metadata, self->ctl);
	ASSERT_EQ(3, write(self->wr, "one", 3));
	ASSERT_EQ(0, set_ttl(self->ctl, 0, 3600000 * MS));
	EXPECT_EQ(3, queued(self->rd));
	ASSERT_EQ(0, set_ttl(self->ctl, 0, MS));
	EXPECT_TRUE(EVENTUALLY(!get_stats(self->ctl).level));
}

TEST_F(channel, shorter_ttl_does_not_wait_for_a_longer_one)
{
	int wr3;

	records(_metadata, self->ctl);
	wr3 = open_class(3, O_NONBLOCK);
	ASSERT_EQ(0, set_ttl(self->ctl, 0, 3600000 * MS));
	ASSERT_EQ(0, set_ttl(self->ctl, 3, 10 * MS));
	ASSERT_EQ(4, write(self->wr, "long", 4));
	ASSERT_EQ(5, write(wr3, "short", 5));
	EXPECT_TRUE(EVENTUALLY(get_stats(self->ctl).queued_records == 1));
	EXPECT_STREQ("long", next_text(self->rd));
	close(wr3);
}

TEST_F(channel, waiting_writer_gets_the_room_of_expired_records)
{
	struct helper h;

	records(_metadata, self->ctl);
	BLOCKING_WRITER();
	ASSERT_EQ(0, set_ttl(self->ctl, 0, 100 * MS));
	ASSERT_EQ(SIZE / 2, put(self->wr, SIZE / 2));
	helper_start(&h, self->wrb, true, SIZE / 2);
	EXPECT_EQ(SIZE / 2, helper_end(&h));
	EXPECT_TRUE(EVENTUALLY(!get_stats(self->ctl).level));
}

TEST_F(channel, expired_record_does_not_refuse_a_write)
{
	unsigned long long when;

	records(_metadata, self->ctl);
	ASSERT_EQ(0, set_ttl(self->ctl, 0, MS));
	for (int i = 0; i < 50; i++) {
		ASSERT_EQ(SIZE / 2, put(self->wr, SIZE / 2));
		when = now_ns() + MS;
		while (!is_past(when))
			;
	}
}

/* A waiter sleeps until the expiry is noticed; until then, it reserves the room. */
TEST_F(channel, waiter_for_expired_room_does_not_refuse_a_write)
{
	unsigned long long when;
	struct helper h;

	records(_metadata, self->ctl);
	BLOCKING_WRITER();
	ASSERT_EQ(0, set_ttl(self->ctl, 0, 100 * MS));
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(60000, put(self->wr, 60000));
		when = now_ns() + 100 * MS;
		helper_start(&h, self->wrb, true, 6000);
		/* On a slow machine, the record expires before the helper has to wait. */
		ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1 || h.done));
		while (!is_past(when))
			;
		EXPECT_EQ(6000, put(self->wr, 6000));
		EXPECT_EQ(6000, helper_end(&h));
		while (take(self->rd, SIZE) > 0)
			;
	}
}

TEST_F(channel, frames_count_expired_records)
{
	struct { struct bpipe_frame frame; char text[4]; } got;
	const struct bpipe_reader framed = { .mask = BPIPE_READER_FRAMED, .framed = 1 };

	records(_metadata, self->ctl);
	ASSERT_EQ(1, put(self->wr, 1));
	ASSERT_EQ(1, take(self->rd, 1));
	ASSERT_EQ(0, ioctl(self->rd, BPIPE_SET_READER, &framed));
	ASSERT_EQ(0, set_ttl(self->ctl, 0, MS));
	ASSERT_EQ(3, write(self->wr, "one", 3));
	ASSERT_EQ(3, write(self->wr, "two", 3));
	ASSERT_TRUE(EVENTUALLY(!get_stats(self->ctl).level));
	ASSERT_EQ(0, set_ttl(self->ctl, 0, 0));
	ASSERT_EQ(4, write(self->wr, "next", 4));
	ASSERT_EQ(sizeof(got.frame) + 4, read(self->rd, &got, sizeof(got)));
	EXPECT_EQ(2, got.frame.lost);
}

/* Read all records, @pause nanoseconds apart; return their number. */
static int read_slowly(int fd, unsigned long long pause)
{
	unsigned long long when = now_ns() + pause;
	int n = 0;

	while (take(fd, 100) > 0) {
		n++;
		while (!is_past(when))
			;
		when += pause;
	}
	return n;
}

TEST_F(channel, sojourn_drops_some_records_once_all_wait_too_long)
{
	unsigned long long before = dropped(self->ctl, 5, BPIPE_DROP_SOJOURN);
	unsigned long long before0 = get_stats(self->ctl).classes[0].read_records;
	struct bpipe_stats stats;
	int wr5, gone;

	records(_metadata, self->ctl);
	wr5 = open_class(5, O_NONBLOCK);
	ASSERT_EQ(0, set_sojourn(self->ctl, 5, MS));
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(1, put(wr5, 1));
		ASSERT_EQ(1, put(self->wr, 1));
	}
	/* 200 reads, 1 ms apart, take many intervals of 10 ms. */
	gone = 200 - read_slowly(self->rd, MS);
	stats = get_stats(self->ctl);
	EXPECT_LE(3, gone);
	EXPECT_GT(100, gone);
	EXPECT_EQ(before + gone, stats.classes[5].dropped_records[BPIPE_DROP_SOJOURN]);
	EXPECT_EQ(before0 + 100, stats.classes[0].read_records);
	EXPECT_TRUE(lawful(&stats));
	close(wr5);
}

TEST_F(channel, reader_in_time_loses_nothing)
{
	unsigned long long before = get_stats(self->ctl).dropped_records;

	records(_metadata, self->ctl);
	ASSERT_EQ(0, set_sojourn(self->ctl, 0, 10000 * MS));
	for (int i = 0; i < 100; i++)
		ASSERT_EQ(1, put(self->wr, 1));
	EXPECT_EQ(100, read_slowly(self->rd, 0));
	EXPECT_EQ(before, get_stats(self->ctl).dropped_records);
}

TEST_F(channel, histogram_counts_the_sojourn_of_a_record)
{
	struct bpipe_stats before, after;
	unsigned long long start, least, most;
	int i;

	records(_metadata, self->ctl);
	before = get_stats(self->ctl);
	start = now_ns();
	ASSERT_EQ(1, put(self->wr, 1));
	least = now_ns();
	while (!is_past(least + 3 * MS))
		;
	least = now_ns() - least;
	ASSERT_EQ(1, take(self->rd, 10));
	most = now_ns() - start;
	after = get_stats(self->ctl);
	for (i = 0; i < BPIPE_SOJOURN_BUCKETS; i++)
		if (after.sojourn[i] != before.sojourn[i])
			break;
	ASSERT_GT(BPIPE_SOJOURN_BUCKETS - 1, i);
	EXPECT_LE(1, i);
	EXPECT_EQ(before.sojourn[i] + 1, after.sojourn[i]);
	/* Bucket i counts sojourns of [512 << i, 1024 << i) ns. */
	EXPECT_LE(512ULL << i, most);
	EXPECT_GT(1024ULL << i, least);
	EXPECT_TRUE(lawful(&after));
}

TEST_F(channel, invalid_ttl_and_sojourn_are_refused)
{
	unsigned long long too_long = BPIPE_TIMEOUT_MAX + 1;
	struct bpipe_config before = get_config(self->ctl), after;

	EXPECT_EQ(-EOPNOTSUPP, set_ttl(self->ctl, 0, MS));
	EXPECT_EQ(-EOPNOTSUPP, set_sojourn(self->ctl, 7, MS));
	EXPECT_EQ(-EINVAL, set_ttl(self->ctl, 0, too_long));
	EXPECT_EQ(-EINVAL, set_sojourn(self->ctl, 7, too_long));
	after = get_config(self->ctl);
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(after)));

	records(_metadata, self->ctl);
	EXPECT_EQ(0, set_ttl(self->ctl, 0, BPIPE_TIMEOUT_MAX));
	EXPECT_EQ(-EOPNOTSUPP, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE, .mode = BPIPE_MODE_STREAM }));
	EXPECT_EQ(BPIPE_TIMEOUT_MAX, get_config(self->ctl).ttl[0]);
}

TEST_HARNESS_MAIN
