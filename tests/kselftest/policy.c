// SPDX-License-Identifier: GPL-2.0
/*
 * Writes that are not admitted: policies, classes and limits; credit; and the rates of
 * channels, files and readers.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/stat.h>

#include "bpipe_test.h"

#define OVERHEAD	BPIPE_RECORD_OVERHEAD
#define KIB		(1024 - OVERHEAD)	/* length of a record that takes 1 KiB */

static int set_policy(int fd, unsigned int policy, unsigned long long timeout)
{
	return set_config(fd, (struct bpipe_config) {
		.mask = BPIPE_CFG_POLICY | BPIPE_CFG_TIMEOUT,
		.policy = policy, .timeout = timeout });
}

static int set_limit(int fd, unsigned int class, unsigned long long limit)
{
	struct bpipe_config config = { .mask = BPIPE_CFG_LIMIT(class) };

	config.limit[class] = limit;
	return set_config(fd, config);
}

static unsigned long long dropped(int fd, unsigned int class, unsigned int reason)
{
	return get_stats(fd).classes[class].dropped_records[reason];
}

static int fill(int fd)
{
	int n = 0;

	while (put(fd, KIB) > 0)
		n++;
	return n;
}

TEST_F(channel, error_policy_gives_eagain_to_a_blocking_file)
{
	BLOCKING_WRITER();
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_ERROR, 0));
	ASSERT_EQ(SIZE, put(self->wrb, SIZE));
	EXPECT_EQ(-1, put(self->wrb, 1));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_LE(1, get_stats(self->ctl).again);
}

TEST_F(channel, blocked_write_times_out)
{
	unsigned long long start, timeouts = get_stats(self->ctl).timeouts;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_BLOCK, 50000000));
	ASSERT_EQ(SIZE, put(self->wrb, SIZE));
	start = now_ns();
	EXPECT_EQ(-1, put(self->wrb, 1));
	EXPECT_EQ(ETIMEDOUT, errno);
	EXPECT_LE(50000000, now_ns() - start);
	EXPECT_EQ(timeouts + 1, get_stats(self->ctl).timeouts);
	EXPECT_EQ(0, get_stats(self->ctl).writers_waiting);
	EXPECT_EQ(SIZE, get_stats(self->ctl).level);
}

TEST_F(channel, timeout_after_partial_write_returns_bytes_written)
{
	unsigned long long timeouts = get_stats(self->ctl).timeouts;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_BLOCK, 50000000));
	EXPECT_EQ(SIZE, put(self->wrb, SIZE + 10000));
	EXPECT_EQ(timeouts, get_stats(self->ctl).timeouts);
}

static void nothing(int sig)
{
	(void)sig;
}

/* A write restarted by SA_RESTART would start its timeout again. */
TEST_F(channel, signal_ends_a_write_with_a_timeout_without_restart)
{
	struct sigaction sa = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct helper h;

	sigaction(SIGUSR1, &sa, NULL);
	BLOCKING_WRITER();
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_BLOCK, 60000000000));
	ASSERT_EQ(SIZE, put(self->wrb, SIZE));
	helper_start(&h, self->wrb, true, 1);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	pthread_kill(h.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, helper_end(&h));
}

#define CGROUP	"/sys/fs/cgroup/bpipe-frozen"

static bool is_frozen(void)
{
	FILE *f = fopen(CGROUP "/cgroup.events", "r");
	char line[64];
	bool frozen = false;

	while (f && fgets(line, sizeof(line), f))
		frozen |= !strcmp(line, "frozen 1\n");
	if (f)
		fclose(f);
	return frozen;
}

/* Start a process in the cgroup that writes @n single bytes; it exits with errno, or 0. */
static pid_t frozen_writer(int fd, int n)
{
	pid_t pid = spawn();

	if (!pid && !set_number(CGROUP "/cgroup.procs", getpid()))
		_exit(125);
	while (!pid && n--)
		if (put(fd, 1) != 1)
			_exit(errno);
	if (!pid)
		_exit(0);
	return pid;
}

/* A frozen writer must not keep room reserved. */
TEST_F(channel, frozen_writer_leaves_the_queue_until_thawed)
{
	pid_t pid;

	if (mkdir(CGROUP, 0700) && errno != EEXIST)
		SKIP(return, "no cgroups at /sys/fs/cgroup");
	BLOCKING_WRITER();
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_BLOCK, 3600000000000));
	ASSERT_EQ(SIZE, put(self->wrb, SIZE));
	pid = frozen_writer(self->wrb, 1);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_TRUE(set_number(CGROUP "/cgroup.freeze", 1));
	EXPECT_TRUE(EVENTUALLY(is_frozen()));
	EXPECT_EQ(0, get_stats(self->ctl).writers_waiting);
	ASSERT_TRUE(set_number(CGROUP "/cgroup.freeze", 0));
	EXPECT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	EXPECT_EQ(0, reap(pid));
}

/* The old deadline passes while the writer is frozen, and the new timeout must not apply. */
TEST_F(channel, frozen_writer_keeps_its_deadline)
{
	const unsigned long long timeout = 5000000000;
	unsigned long long start;
	pid_t pid;

	if (mkdir(CGROUP, 0700) && errno != EEXIST)
		SKIP(return, "no cgroups at /sys/fs/cgroup");
	BLOCKING_WRITER();
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_BLOCK, timeout));
	ASSERT_EQ(SIZE, put(self->wrb, SIZE));
	pid = frozen_writer(self->wrb, 1);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	start = now_ns();
	ASSERT_TRUE(set_number(CGROUP "/cgroup.freeze", 1));
	EXPECT_TRUE(EVENTUALLY(is_frozen()));
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_BLOCK, 3600000000000));
	while (now_ns() - start < timeout)
		usleep(10000);
	ASSERT_TRUE(set_number(CGROUP "/cgroup.freeze", 0));
	EXPECT_EQ(ETIMEDOUT, reap(pid));
}

/* The deadline kept for a frozen write must not apply to the task's next write. */
TEST_F(channel, next_write_of_a_thawed_writer_has_its_full_timeout)
{
	const unsigned long long timeout = 5000000000;
	unsigned long long start;
	pid_t pid;

	if (mkdir(CGROUP, 0700) && errno != EEXIST)
		SKIP(return, "no cgroups at /sys/fs/cgroup");
	BLOCKING_WRITER();
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_BLOCK, timeout));
	ASSERT_EQ(SIZE, put(self->wrb, SIZE));
	pid = frozen_writer(self->wrb, 2);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	start = now_ns();
	ASSERT_TRUE(set_number(CGROUP "/cgroup.freeze", 1));
	EXPECT_TRUE(EVENTUALLY(is_frozen()));
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	ASSERT_EQ(SIZE - 1, put(self->wrb, SIZE - 1));
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_BLOCK, 3600000000000));
	while (now_ns() - start < timeout)
		usleep(10000);
	ASSERT_TRUE(set_number(CGROUP "/cgroup.freeze", 0));
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(channel, timed_out_writer_gives_up_its_reservation)
{
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_writer(self->wrb, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_POLICY | BPIPE_WRITER_TIMEOUT,
		.policy = BPIPE_POLICY_BLOCK, .timeout = 100000000 }));
	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	ASSERT_EQ(100, put(self->wr, 100));
	/* The sleeper reserves all of the room, so that even a short write must queue. */
	helper_start(&h, self->wrb, true, SIZE - OVERHEAD);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	EXPECT_EQ(-1, put(self->wr, 100));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(-ETIMEDOUT, helper_end(&h));
	ASSERT_EQ(100, take(self->rd, 1000));
	EXPECT_EQ(100, put(self->wr, 100));
}

TEST_F(channel, drop_newest_write_succeeds_and_is_counted)
{
	struct bpipe_stats s;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_NEWEST));
	for (int i = 0; i < 100; i++)
		ASSERT_EQ(KIB, put(self->wrb, KIB));
	s = get_stats(self->ctl);
	EXPECT_EQ(64, s.queued_records);
	EXPECT_TRUE(lawful(&s));
	EXPECT_LE(36, s.classes[0].dropped_records[BPIPE_DROP_FULL]);
}

TEST_F(channel, drop_newest_in_a_stream_keeps_what_fits)
{
	struct bpipe_stats before = get_stats(self->ctl), after;

	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_DROP_NEWEST, 0));
	EXPECT_EQ(SIZE + 10000, put(self->wr, SIZE + 10000));
	/* An atomic write of 4000 bytes does not fit and is dropped whole. */
	ASSERT_EQ(2000, take(self->rd, 2000));
	EXPECT_EQ(4000, put(self->wr, 4000));
	after = get_stats(self->ctl);
	EXPECT_EQ(SIZE - 2000, after.level);
	EXPECT_EQ(14000, after.dropped_bytes - before.dropped_bytes);
	EXPECT_EQ(0, after.dropped_records - before.dropped_records);
	EXPECT_TRUE(lawful(&after));
}

TEST_F(channel, file_policy_overrides_the_channel_policy)
{
	struct bpipe_writer writer = {
		.mask = BPIPE_WRITER_POLICY, .policy = BPIPE_POLICY_DROP_NEWEST,
	};

	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_ERROR));
	EXPECT_EQ(64, fill(self->wr));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, set_writer(self->wr, writer));
	EXPECT_EQ(KIB, put(self->wr, KIB));
	writer.policy = BPIPE_POLICY_CHANNEL;
	ASSERT_EQ(0, set_writer(self->wr, writer));
	EXPECT_EQ(-1, put(self->wr, KIB));
}

TEST_F(channel, drop_oldest_admits_the_newest)
{
	unsigned long long before = dropped(self->ctl, 0, BPIPE_DROP_EVICTED);
	char text[KIB];

	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_OLDEST));
	for (int i = 0; i < 100; i++) {
		memset(text, 0, sizeof(text));
		snprintf(text, sizeof(text), "%d", i);
		ASSERT_EQ(KIB, write(self->wr, text, KIB));
	}
	EXPECT_EQ(36, dropped(self->ctl, 0, BPIPE_DROP_EVICTED) - before);
	EXPECT_EQ(SIZE, get_stats(self->ctl).level);
	ASSERT_EQ(KIB, read(self->rd, text, KIB));
	EXPECT_STREQ("36", text);
}

TEST_F(channel, drop_oldest_evicts_the_least_important_first)
{
	int mid = open_class(4, O_NONBLOCK), low = open_class(7, O_NONBLOCK);
	unsigned long long of4 = dropped(self->ctl, 4, BPIPE_DROP_EVICTED);
	unsigned long long of7 = dropped(self->ctl, 7, BPIPE_DROP_EVICTED);

	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_OLDEST));
	for (int i = 0; i < 32; i++) {
		ASSERT_EQ(KIB, put(mid, KIB));
		ASSERT_EQ(KIB, put(low, KIB));
	}
	for (int i = 0; i < 32; i++)
		ASSERT_EQ(KIB, put(self->wr, KIB));
	EXPECT_EQ(32, dropped(self->ctl, 7, BPIPE_DROP_EVICTED) - of7);
	EXPECT_EQ(0, dropped(self->ctl, 4, BPIPE_DROP_EVICTED) - of4);
	for (int i = 0; i < 40; i++)
		ASSERT_EQ(KIB, put(self->wr, KIB));
	EXPECT_EQ(32, dropped(self->ctl, 4, BPIPE_DROP_EVICTED) - of4);
	EXPECT_EQ(64, get_stats(self->ctl).classes[0].queued_records);
}

TEST_F(channel, drop_oldest_spares_more_important_records)
{
	int low = open_class(7, O_NONBLOCK);
	unsigned long long full = dropped(self->ctl, 7, BPIPE_DROP_FULL);
	unsigned long long evicted = dropped(self->ctl, 7, BPIPE_DROP_EVICTED);

	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_OLDEST));
	for (int i = 0; i < 63; i++)
		ASSERT_EQ(KIB, put(self->wr, KIB));
	ASSERT_EQ(KIB, put(low, KIB));
	/* Two records would have to go and only one may, so the newcomer is dropped. */
	EXPECT_EQ(2 * KIB, put(low, 2 * KIB));
	EXPECT_EQ(1, dropped(self->ctl, 7, BPIPE_DROP_FULL) - full);
	EXPECT_EQ(0, dropped(self->ctl, 7, BPIPE_DROP_EVICTED) - evicted);
	EXPECT_EQ(1, get_stats(self->ctl).classes[7].queued_records);
	EXPECT_EQ(KIB, put(low, KIB));
	EXPECT_EQ(1, dropped(self->ctl, 7, BPIPE_DROP_EVICTED) - evicted);
	EXPECT_EQ(63, get_stats(self->ctl).classes[0].queued_records);
}

TEST_F(channel, unreadable_record_evicts_nothing)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct bpipe_stats before, after;

	ASSERT_EQ(0, munmap(pages + 4096, 4096));
	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_OLDEST));
	for (int i = 0; i < 64; i++)
		ASSERT_EQ(KIB, put(self->wr, KIB));
	before = get_stats(self->ctl);
	EXPECT_EQ(-1, write(self->wr, pages, 5000));
	EXPECT_EQ(EFAULT, errno);
	after = get_stats(self->ctl);
	EXPECT_EQ(before.dropped_records, after.dropped_records);
	EXPECT_EQ(64, after.queued_records);
}

TEST_F(channel, eviction_wakes_writers_waiting_for_room)
{
	struct helper h;
	int low = open_class(7, O_NONBLOCK);

	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	ASSERT_EQ(0, set_writer(low, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_POLICY, .policy = BPIPE_POLICY_DROP_OLDEST }));
	/*
	 * A record takes nearly all of the room. The waiter behind it has a class that the
	 * evicting write may pass.
	 */
	ASSERT_EQ(SIZE - OVERHEAD - 100, put(low, SIZE - OVERHEAD - 100));
	self->wrb = open_class(7, 0);
	helper_start(&h, self->wrb, true, 1000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(0, set_writer(low, (struct bpipe_writer) { .mask = BPIPE_WRITER_CLASS }));
	ASSERT_EQ(200, put(low, 200));
	EXPECT_EQ(1000, helper_end(&h));
}

TEST_F(channel, frames_count_the_records_lost_before)
{
	struct bpipe_reader framed = { .mask = BPIPE_READER_FRAMED, .framed = 1 };
	unsigned char buf[2048];
	struct bpipe_frame *frame = (void *)buf;
	unsigned long long seq;

	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_OLDEST));
	ASSERT_EQ(0, ioctl(self->rd, BPIPE_SET_READER, &framed));
	for (int i = 0; i < 67; i++)
		ASSERT_EQ(KIB, put(self->wr, KIB));
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_DROP_NEWEST, 0));
	for (int i = 0; i < 5; i++)
		ASSERT_EQ(KIB, put(self->wr, KIB));

	/* Three were evicted before the first record, five dropped before the next write. */
	ASSERT_EQ(1024, read(self->rd, buf, 1024));
	EXPECT_EQ(3, frame->lost);
	seq = frame->seq;
	ASSERT_EQ(KIB, put(self->wr, KIB));
	for (int i = 1; i < 64; i++) {
		ASSERT_EQ(1024, read(self->rd, buf, 1024));
		ASSERT_EQ(0, frame->lost);
		ASSERT_EQ(seq + i, frame->seq);
	}
	ASSERT_EQ(1024, read(self->rd, buf, 1024));
	EXPECT_EQ(5, frame->lost);
	EXPECT_EQ(seq + 69, frame->seq);
	framed.framed = 0;
	ASSERT_EQ(0, ioctl(self->rd, BPIPE_SET_READER, &framed));
}

TEST_F(channel, class_is_admitted_up_to_its_limit)
{
	int low = open_class(7, O_NONBLOCK);

	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	ASSERT_EQ(0, set_limit(self->ctl, 7, 16384));
	EXPECT_EQ(16, fill(low));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(48, fill(self->wr));
	ASSERT_EQ(KIB, take(self->rd, 2000));
	/* The limit applies to the level, which all classes share. */
	EXPECT_EQ(-1, put(low, 1));
	EXPECT_EQ(KIB, put(self->wr, KIB));
}

TEST_F(channel, class_limits_hold_in_a_stream)
{
	int low = open_class(7, O_NONBLOCK);

	ASSERT_EQ(0, set_limit(self->ctl, 7, 16384));
	EXPECT_EQ(16384, put(low, SIZE));
	EXPECT_EQ(-1, put(low, 1));
	EXPECT_EQ(SIZE - 16384, put(self->wr, SIZE));
	EXPECT_EQ(0, get_window(low).space);
}

TEST_F(channel, record_refused_by_its_limit_alone_is_shed)
{
	int low = open_class(7, O_NONBLOCK);
	unsigned long long shed = dropped(self->ctl, 7, BPIPE_DROP_SHED);
	unsigned long long full = dropped(self->ctl, 7, BPIPE_DROP_FULL);

	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_NEWEST));
	ASSERT_EQ(0, set_limit(self->ctl, 7, 16384));
	for (int i = 0; i < 20; i++)
		ASSERT_EQ(KIB, put(low, KIB));
	EXPECT_EQ(4, dropped(self->ctl, 7, BPIPE_DROP_SHED) - shed);
	for (int i = 0; i < 48; i++)
		ASSERT_EQ(KIB, put(self->wr, KIB));
	ASSERT_EQ(KIB, put(low, KIB));
	EXPECT_EQ(4, dropped(self->ctl, 7, BPIPE_DROP_SHED) - shed);
	EXPECT_EQ(1, dropped(self->ctl, 7, BPIPE_DROP_FULL) - full);
}

TEST_F(channel, resize_scales_the_class_limits)
{
	struct bpipe_config config = { .mask = BPIPE_CFG_SIZE, .size = 2 * SIZE };

	ASSERT_EQ(0, set_limit(self->ctl, 7, 16384));
	ASSERT_EQ(0, set_config(self->ctl, config));
	EXPECT_EQ(32768, get_config(self->ctl).limit[7]);
	EXPECT_EQ(2 * SIZE, get_config(self->ctl).limit[0]);
	ASSERT_EQ(0, set_limit(self->ctl, 7, 0));
	EXPECT_EQ(2 * SIZE, get_config(self->ctl).limit[7]);
	EXPECT_EQ(-EINVAL, set_limit(self->ctl, 7, 4095));
	EXPECT_EQ(-EINVAL, set_limit(self->ctl, 7, 2 * SIZE + 1));
	EXPECT_EQ(2 * SIZE, get_config(self->ctl).limit[7]);
}

static int set_drop_to_low(int fd, unsigned int on)
{
	return set_config(fd, (struct bpipe_config) {
		.mask = BPIPE_CFG_DROP_TO_LOW, .drop_to_low = on });
}

TEST_F(channel, drop_to_low_drops_until_the_level_reaches_low)
{
	int low = open_class(7, O_NONBLOCK), n = 0;
	unsigned long long shed = dropped(self->ctl, 7, BPIPE_DROP_SHED);

	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_NEWEST));
	ASSERT_EQ(0, set_limit(self->ctl, 7, 16384));
	ASSERT_EQ(0, set_drop_to_low(self->ctl, 1));
	EXPECT_EQ(1, get_config(self->ctl).drop_to_low);
	/* The class's marks are 12288 and 4096; the record that reaches high is stored. */
	while (get_stats(self->ctl).level < 12288 && n++ < 20)
		ASSERT_EQ(KIB, put(low, KIB));
	EXPECT_EQ(12, n);
	EXPECT_EQ(0, dropped(self->ctl, 7, BPIPE_DROP_SHED) - shed);
	/* Every later record is dropped, however short. */
	for (int i = 0; i < 7; i++) {
		ASSERT_EQ(1, put(low, 1));
		ASSERT_EQ(KIB, take(self->rd, KIB));
	}
	EXPECT_EQ(5 * 1024, get_stats(self->ctl).level);
	ASSERT_EQ(1, put(low, 1));
	EXPECT_EQ(8, dropped(self->ctl, 7, BPIPE_DROP_SHED) - shed);
	/* Other classes have their own gates. */
	ASSERT_EQ(KIB, put(self->wr, KIB));
	EXPECT_EQ(6 * 1024, get_stats(self->ctl).level);
	ASSERT_EQ(KIB, take(self->rd, KIB));
	ASSERT_EQ(KIB, take(self->rd, KIB));
	EXPECT_EQ(4 * 1024, get_stats(self->ctl).level);
	ASSERT_EQ(KIB, put(low, KIB));
	EXPECT_EQ(5 * 1024, get_stats(self->ctl).level);
	EXPECT_EQ(8, dropped(self->ctl, 7, BPIPE_DROP_SHED) - shed);
}

TEST_F(channel, freed_room_is_used_at_once_without_drop_to_low)
{
	int low = open_class(7, O_NONBLOCK);
	unsigned long long shed = dropped(self->ctl, 7, BPIPE_DROP_SHED);

	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_NEWEST));
	ASSERT_EQ(0, set_limit(self->ctl, 7, 16384));
	EXPECT_EQ(0, get_config(self->ctl).drop_to_low);
	for (int i = 0; i < 17; i++)
		ASSERT_EQ(KIB, put(low, KIB));
	ASSERT_EQ(KIB, take(self->rd, KIB));
	ASSERT_EQ(KIB, put(low, KIB));
	EXPECT_EQ(1, dropped(self->ctl, 7, BPIPE_DROP_SHED) - shed);
	EXPECT_EQ(16384, get_stats(self->ctl).level);
	/* The setting also applies to a gate that is closed already. */
	ASSERT_EQ(KIB, take(self->rd, KIB));
	ASSERT_EQ(0, set_drop_to_low(self->ctl, 1));
	ASSERT_EQ(KIB, put(low, KIB));
	EXPECT_EQ(2, dropped(self->ctl, 7, BPIPE_DROP_SHED) - shed);
}

/* A long record refused at or below low closes no gate: no read is due to open it. */
TEST_F(channel, drop_to_low_drops_nothing_below_low)
{
	int low = open_class(7, O_NONBLOCK);

	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_NEWEST));
	ASSERT_EQ(0, set_limit(self->ctl, 7, 16384));
	ASSERT_EQ(0, set_drop_to_low(self->ctl, 1));
	ASSERT_EQ(KIB, put(low, KIB));
	ASSERT_EQ(16000, put(low, 16000));
	EXPECT_EQ(1024, get_stats(self->ctl).level);
	ASSERT_EQ(KIB, put(low, KIB));
	EXPECT_EQ(2048, get_stats(self->ctl).level);
}

TEST_F(channel, drop_to_low_applies_to_drop_newest_only)
{
	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_OLDEST));
	ASSERT_EQ(0, set_drop_to_low(self->ctl, 1));
	EXPECT_EQ(-EINVAL, set_drop_to_low(self->ctl, 2));
	for (int i = 0; i < 65; i++)
		ASSERT_EQ(KIB, put(self->wr, KIB));
	ASSERT_EQ(KIB, take(self->rd, KIB));
	ASSERT_EQ(KIB, put(self->wr, KIB));
	EXPECT_EQ(SIZE, get_stats(self->ctl).level);
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_ERROR, 0));
	ASSERT_EQ(KIB, take(self->rd, KIB));
	EXPECT_EQ(KIB, put(self->wr, KIB));
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_BLOCK, 0));
	ASSERT_EQ(KIB, take(self->rd, KIB));
	EXPECT_EQ(KIB, put(self->wr, KIB));
}

TEST_F(channel, pollout_follows_the_marks_of_the_class)
{
	int low = open_class(7, O_NONBLOCK);

	ASSERT_EQ(0, set_limit(self->ctl, 7, 16384));
	EXPECT_EQ(POLLOUT, ready(low, POLLOUT));
	/* The limit is a quarter of the size, so the class's marks are 12288 and 4096. */
	ASSERT_EQ(12287, put(self->wr, 12287));
	EXPECT_EQ(POLLOUT, ready(low, POLLOUT));
	ASSERT_EQ(1, put(self->wr, 1));
	EXPECT_EQ(0, ready(low, POLLOUT));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	ASSERT_EQ(8191, take(self->rd, 8191));
	EXPECT_EQ(0, ready(low, POLLOUT));
	ASSERT_EQ(1, take(self->rd, 1));
	EXPECT_EQ(POLLOUT, ready(low, POLLOUT));
}

TEST_F(channel, poller_of_a_class_wakes_at_the_class_mark)
{
	struct pollfd p = { .events = POLLOUT };
	pid_t pid;

	p.fd = open_class(7, O_NONBLOCK);
	ASSERT_EQ(0, set_limit(self->ctl, 7, 16384));
	ASSERT_EQ(16384, put(p.fd, SIZE));
	pid = spawn();
	if (!pid)
		_exit(poll(&p, 1, 20000) == 1 && p.revents == POLLOUT ? 0 : 1);
	ASSERT_EQ(16384 - 4096, take(self->rd, 16384 - 4096));
	EXPECT_EQ(0, reap(pid));
}

/* One of these records fits at a time, and the queue goes by class, then by arrival. */
TEST_F(channel, sleeping_writers_are_served_by_class_then_arrival)
{
	enum { LONG = 40 * KIB };
	static const char order[] = "0337";
	struct helper h[4];
	char text[4][LONG], got[LONG];

	memset(text, 0, sizeof(text));
	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, 0));
	ASSERT_EQ(SIZE - 32, put(self->wr, SIZE - 32));
	for (int i = 3; i >= 0; i--) {
		/* Number 1 of class 3 must arrive before number 2. */
		int nr = i == 2 ? 1 : i == 1 ? 2 : i;

		text[nr][0] = order[nr];
		text[nr][1] = nr;
		helper_start_with(&h[nr], open_class(order[nr] - '0', 0), true, text[nr], LONG);
		ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 4u - i));
	}
	ASSERT_EQ(SIZE - 32, take(self->rd, SIZE));
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(LONG, helper_end(&h[i]));
		ASSERT_EQ(LONG, read(self->rd, got, LONG));
		EXPECT_EQ(order[i], got[0]);
		EXPECT_EQ(i, got[1]);
	}
}

TEST_F(channel, important_writer_passes_less_important_waiters)
{
	struct helper h;

	self->wrb = open_class(7, 0);
	ASSERT_EQ(0, set_limit(self->ctl, 7, 16384));
	ASSERT_EQ(16384, put(self->wr, 16384));
	helper_start(&h, self->wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	EXPECT_EQ(100, put(self->wr, 100));
	EXPECT_EQ(1, get_stats(self->ctl).writers_waiting);
	ASSERT_EQ(12388, take(self->rd, 12388));
	EXPECT_EQ(100, helper_end(&h));
}

TEST_F(channel, nothing_is_admitted_without_credit)
{
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_BYTES }));
	EXPECT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	EXPECT_EQ(0, get_window(self->wr).window);
	EXPECT_EQ(0, get_window(self->wr).credit);
	helper_start(&h, self->wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(0, grant(self->rd, 99));
	/* The grant is one byte short: the writer sleeps again if it was woken. */
	EXPECT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(0, grant(self->rd, 51));
	EXPECT_EQ(100, helper_end(&h));
	EXPECT_EQ(50, get_window(self->wr).window);
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	EXPECT_EQ(-1, put(self->wr, 51));
	EXPECT_EQ(50, put(self->wr, 50));
	EXPECT_EQ(0, get_stats(self->ctl).credit);
}

/* A writer that lacks credit and a reader below its threshold would wait for each other. */
TEST_F(channel, writer_without_credit_wakes_readers_below_threshold)
{
	struct helper reader, writer;
	int wr = open_class(7, 0);

	BLOCKING_READER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_BYTES }));
	ASSERT_EQ(0, set_reader(self->rdb, 1000, 0));

	/* A writer that goes to sleep wakes the reader. */
	ASSERT_EQ(0, grant(self->rdb, 100));
	helper_start(&reader, self->rdb, false, 1000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(100, put(self->wr, 100));
	helper_start(&writer, wr, true, 500);
	EXPECT_EQ(100, helper_end(&reader));

	/* A sleeping writer still wakes the reader when a more important writer passes. */
	ASSERT_EQ(0, grant(self->rdb, 100));
	helper_start(&reader, self->rdb, false, 1000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(50, put(self->wr, 50));
	EXPECT_EQ(50, helper_end(&reader));
	ASSERT_EQ(0, grant(self->rdb, 450));
	EXPECT_EQ(500, helper_end(&writer));
	ASSERT_EQ(500, take(self->rd, 1000));

	/* A refused non-blocking writer wakes the reader. */
	ASSERT_EQ(0, grant(self->rdb, 100));
	helper_start(&reader, self->rdb, false, 1000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(100, put(self->wr, 100));
	ASSERT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(100, helper_end(&reader));
	close(wr);
}

/* A writer that polls first makes no write without credit that could wake the reader. */
TEST_F(channel, exhausted_credit_wakes_a_reader_below_threshold)
{
	struct helper reader;

	BLOCKING_READER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_BYTES }));
	ASSERT_EQ(0, set_reader(self->rdb, 1000, 0));
	ASSERT_EQ(0, grant(self->rdb, 500));
	helper_start(&reader, self->rdb, false, 1000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(500, put(self->wr, 500));
	EXPECT_EQ(500, helper_end(&reader));
}

TEST_F(channel, refusal_for_credit_clears_pollout_until_a_change)
{
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_BYTES }));
	ASSERT_EQ(0, grant(self->rd, 500));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	ASSERT_EQ(-1, put(self->wr, 600));
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	ASSERT_EQ(0, grant(self->rd, 1));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	ASSERT_EQ(-1, put(self->wr, 600));
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	/* A write that succeeds sets POLLOUT again. */
	ASSERT_EQ(1, put(self->wr, 1));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	ASSERT_EQ(-1, put(self->wr, 600));
	/* So does a new configuration. */
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) { .mask = BPIPE_CFG_CREDIT }));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
}

/* Below low, no read is due that would open a gate closed by the refusal. */
TEST_F(channel, refusal_below_low_leaves_the_gate_open)
{
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_CREDIT,
		.mode = BPIPE_MODE_RECORD, .credit = BPIPE_CREDIT_RECORDS }));
	ASSERT_EQ(0, grant(self->rd, 2));
	ASSERT_EQ(10000, put(self->wr, 10000));
	ASSERT_EQ(-1, put(self->wr, 60000));
	ASSERT_EQ(1, put(self->wr, 1));
	helper_start(&h, self->wrb, true, 1000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(0, grant(self->rd, 2));
	EXPECT_EQ(1000, helper_end(&h));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
}

TEST_F(channel, record_credit_counts_records)
{
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_CREDIT,
		.mode = BPIPE_MODE_RECORD, .credit = BPIPE_CREDIT_RECORDS }));
	ASSERT_EQ(0, grant(self->rd, 2));
	EXPECT_EQ(1000, put(self->wr, 1000));
	EXPECT_EQ(1, put(self->wr, 1));
	EXPECT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(channel, credit_ends_with_the_last_reader_or_a_new_unit)
{
	int rd = open(DEV, O_RDONLY);

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_BYTES }));
	ASSERT_EQ(0, grant(self->rd, 100));
	close(rd);
	EXPECT_EQ(100, get_stats(self->ctl).credit);
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) { .mask = BPIPE_CFG_CREDIT }));
	EXPECT_EQ(0, get_stats(self->ctl).credit);
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_BYTES }));
	ASSERT_EQ(0, grant(self->rd, 100));
	close(self->rd);
	EXPECT_EQ(0, get_stats(self->ctl).credit);
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
}

TEST_F(channel, invalid_grants_are_refused)
{
	EXPECT_EQ(-EOPNOTSUPP, grant(self->rd, 1));
	EXPECT_EQ(-EBADF, grant(self->wr, 1));
	EXPECT_EQ(-EBADF, grant(self->ctl, 1));
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_BYTES }));
	EXPECT_EQ(-EINVAL, grant(self->rd, 0));
	EXPECT_EQ(0, grant(self->rd, BPIPE_CREDIT_MAX));
	EXPECT_EQ(-EINVAL, grant(self->rd, 1));
	EXPECT_EQ(BPIPE_CREDIT_MAX, get_stats(self->ctl).credit);
}

TEST_F(channel, record_rate_counts_records)
{
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_RATE_RECORDS | BPIPE_CFG_BURST_RECORDS,
		.mode = BPIPE_MODE_RECORD, .rate_records = 1, .burst_records = 3 }));
	EXPECT_EQ(1000, put(self->wr, 1000));
	EXPECT_EQ(1, put(self->wr, 1));
	EXPECT_EQ(10, put(self->wr, 10));
	EXPECT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	EXPECT_LT(0, get_window(self->wr).wait_ns);
}

TEST_F(channel, tightest_of_several_rates_wins)
{
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_RATE_RECORDS | BPIPE_CFG_BURST_RECORDS |
			BPIPE_CFG_RATE | BPIPE_CFG_BURST,
		.mode = BPIPE_MODE_RECORD, .rate_records = 1, .burst_records = 100,
		.rate = 1, .burst = 1000 }));
	EXPECT_EQ(900, put(self->wr, 900));
	EXPECT_EQ(-1, put(self->wr, 200));
	EXPECT_EQ(100, get_window(self->wr).window);
	ASSERT_EQ(0, set_writer(self->wr, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_RATE | BPIPE_WRITER_BURST, .rate = 1, .burst = 50 }));
	EXPECT_EQ(50, get_window(self->wr).window);
	EXPECT_EQ(50, put(self->wr, 50));
	EXPECT_EQ(-1, put(self->wr, 40));
}

TEST_F(channel, read_rate_throttles_readers)
{
	struct helper h;

	BLOCKING_READER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_READ_RATE | BPIPE_CFG_READ_BURST,
		.read_rate = 1, .read_burst = 1000 }));
	ASSERT_EQ(5000, put(self->wr, 5000));
	EXPECT_EQ(POLLIN, ready(self->rd, POLLIN));
	EXPECT_EQ(1000, take(self->rd, 5000));
	EXPECT_EQ(-1, take(self->rd, 5000));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ready(self->rd, POLLIN));
	EXPECT_EQ(4000, queued(self->rd));
	EXPECT_LE(1, get_stats(self->ctl).read_throttled);
	helper_start(&h, self->rdb, false, 5000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) { .mask = BPIPE_CFG_READ_RATE }));
	EXPECT_EQ(4000, helper_end(&h));
	EXPECT_LT(0, get_stats(self->ctl).read_throttled_ns);
}

TEST_F(channel, tokens_wake_a_throttled_reader_and_poller)
{
	struct pollfd p = { .fd = self->rd, .events = POLLIN };
	struct helper h;

	BLOCKING_READER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_READ_RATE | BPIPE_CFG_READ_BURST,
		.read_rate = 200, .read_burst = 1000 }));
	/* The threshold must not delay a reader that found data and lacks tokens. */
	ASSERT_EQ(0, set_reader(self->rdb, SIZE, 0));
	ASSERT_EQ(5000, put(self->wr, 5000));
	ASSERT_EQ(1000, take(self->rd, 1000));
	helper_start(&h, self->rdb, false, 10);
	EXPECT_EQ(10, helper_end(&h));
	while (take(self->rd, 1000) > 0)
		;
	EXPECT_EQ(1, poll(&p, 1, 10000));
	EXPECT_LT(0, take(self->rd, 100));
}

TEST_F(channel, read_rate_counts_records_and_allows_debt)
{
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_READ_RATE | BPIPE_CFG_READ_BURST |
			BPIPE_CFG_READ_RATE_RECORDS | BPIPE_CFG_READ_BURST_RECORDS,
		.mode = BPIPE_MODE_RECORD, .read_rate = 1, .read_burst = 1000,
		.read_rate_records = 1, .read_burst_records = 3 }));
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(100, put(self->wr, 100));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(100, take(self->rd, 1000));
	EXPECT_EQ(-1, take(self->rd, 1000));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ready(self->rd, POLLIN));

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_READ_RATE_RECORDS | BPIPE_CFG_READ_RATE }));
	ASSERT_EQ(100, take(self->rd, 1000));
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_READ_RATE, .read_rate = 1 }));
	ASSERT_EQ(5000, put(self->wr, 5000));
	ASSERT_EQ(1, put(self->wr, 1));
	/* A full bucket admits a record longer than the burst, then nothing until paid. */
	EXPECT_EQ(POLLIN, ready(self->rd, POLLIN));
	EXPECT_EQ(5000, take(self->rd, 5000));
	EXPECT_EQ(0, ready(self->rd, POLLIN));
	EXPECT_EQ(-1, take(self->rd, 5000));
	EXPECT_EQ(EAGAIN, errno);
}

/* Start a writer that sleeps for tokens of its file, for longer than the test takes. */
static bool start_throttled(struct helper *h, int wrb, int ctl)
{
	const struct bpipe_writer slow = {
		.mask = BPIPE_WRITER_RATE | BPIPE_WRITER_BURST, .rate = 1, .burst = 100,
	};

	if (set_writer(wrb, slow) || put(wrb, 100) != 100)
		return false;
	helper_start(h, wrb, true, 100);
	return EVENTUALLY(get_stats(ctl).writers_waiting == 1);
}

TEST_F(channel, file_rate_throttles_that_file_only)
{
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_TRUE(start_throttled(&h, self->wrb, self->ctl));
	EXPECT_EQ(0, ready(self->wrb, POLLOUT));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	EXPECT_EQ(5000, put(self->wr, 5000));
	ASSERT_EQ(0, set_writer(self->wrb, (struct bpipe_writer) { .mask = BPIPE_WRITER_RATE }));
	EXPECT_EQ(100, helper_end(&h));
	EXPECT_LE(1, get_stats(self->ctl).throttled);
}

TEST_F(channel, throttled_writer_notices_a_new_configuration)
{
	const struct bpipe_config epipe = { .mask = BPIPE_CFG_EPIPE, .epipe = 1 };
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_TRUE(start_throttled(&h, self->wrb, self->ctl));
	close(self->rd);
	ASSERT_EQ(0, set_config(self->ctl, epipe));
	EXPECT_EQ(-EPIPE, helper_end(&h));
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
}

TEST_F(channel, throttled_file_waits_for_its_tokens)
{
	unsigned long long start;

	BLOCKING_WRITER();
	/* 4000 bytes at 20 kB/s: 200 ms. */
	ASSERT_EQ(0, set_writer(self->wrb, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_RATE | BPIPE_WRITER_BURST, .rate = 20000, .burst = 4000 }));
	ASSERT_EQ(4000, put(self->wrb, 4000));
	start = now_ns();
	EXPECT_EQ(4000, put(self->wrb, 4000));
	EXPECT_LE(190000000, now_ns() - start);
}

TEST_F(channel, throttled_write_times_out)
{
	BLOCKING_WRITER();
	ASSERT_EQ(0, set_policy(self->ctl, BPIPE_POLICY_BLOCK, 50000000));
	ASSERT_EQ(0, set_writer(self->wrb, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_RATE | BPIPE_WRITER_BURST, .rate = 1, .burst = 100 }));
	ASSERT_EQ(100, put(self->wrb, 100));
	EXPECT_EQ(-1, put(self->wrb, 100));
	EXPECT_EQ(ETIMEDOUT, errno);
	EXPECT_EQ(0, get_stats(self->ctl).writers_waiting);
}

TEST_F(channel, drop_policy_drops_without_tokens_or_credit)
{
	unsigned long long full = dropped(self->ctl, 0, BPIPE_DROP_FULL);
	unsigned long long evicted = dropped(self->ctl, 0, BPIPE_DROP_EVICTED);

	ASSERT_EQ(0, set_records(self->ctl, 0, BPIPE_POLICY_DROP_OLDEST));
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_RATE_RECORDS | BPIPE_CFG_BURST_RECORDS,
		.rate_records = 1, .burst_records = 64 }));
	for (int i = 0; i < 64; i++)
		ASSERT_EQ(KIB, put(self->wr, KIB));
	/* The channel also lacks tokens, so an eviction would not help. */
	EXPECT_EQ(KIB, put(self->wr, KIB));
	EXPECT_EQ(1, dropped(self->ctl, 0, BPIPE_DROP_FULL) - full);
	EXPECT_EQ(0, dropped(self->ctl, 0, BPIPE_DROP_EVICTED) - evicted);
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_RATE_RECORDS | BPIPE_CFG_CREDIT,
		.credit = BPIPE_CREDIT_BYTES }));
	EXPECT_EQ(KIB, put(self->wr, KIB));
	EXPECT_EQ(2, dropped(self->ctl, 0, BPIPE_DROP_FULL) - full);
}

TEST_F(channel, writer_settings_out_of_range_are_refused)
{
	const struct {
		int error;
		struct bpipe_writer set;
	} rows[] = {
		{ -EOPNOTSUPP, { .mask = 1ULL << 63 } },
		{ -EOPNOTSUPP, { .mask = BPIPE_WRITER_POLICY, .policy = 5 } },
		{ -EOPNOTSUPP, { .mask = BPIPE_WRITER_POLICY,
				 .policy = BPIPE_POLICY_DROP_OLDEST } },
		{ -EINVAL, { .mask = BPIPE_WRITER_CLASS, .class = BPIPE_CLASSES } },
		{ -EINVAL, { .mask = BPIPE_WRITER_TIMEOUT, .timeout = BPIPE_TIMEOUT_MAX + 1 } },
		{ -EINVAL, { .mask = BPIPE_WRITER_RATE, .rate = BPIPE_RATE_MAX + 1 } },
		{ -EINVAL, { .mask = BPIPE_WRITER_BURST, .burst = BPIPE_BURST_MAX + 1 } },
	};
	const struct bpipe_writer most = {
		.mask = BPIPE_WRITER_CLASS | BPIPE_WRITER_TIMEOUT | BPIPE_WRITER_RATE |
			BPIPE_WRITER_BURST | BPIPE_WRITER_POLICY,
		.class = 7, .policy = BPIPE_POLICY_DROP_NEWEST, .timeout = BPIPE_TIMEOUT_MAX,
		.rate = BPIPE_RATE_MAX, .burst = BPIPE_BURST_MAX,
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		EXPECT_EQ(rows[i].error, set_writer(self->wr, rows[i].set));
	EXPECT_EQ(-EBADF, set_writer(self->rd, most));
	EXPECT_EQ(-EBADF, set_writer(self->ctl, most));
	EXPECT_EQ(0, set_writer(self->wr, most));
}

TEST_F(channel, settings_out_of_range_are_refused_and_change_nothing)
{
	const struct {
		int error;
		struct bpipe_config set;
	} rows[] = {
		{ -EOPNOTSUPP, { .mask = BPIPE_CFG_ORDER, .order = 2 } },
		{ -EOPNOTSUPP, { .mask = BPIPE_CFG_POLICY, .policy = BPIPE_POLICY_CHANNEL } },
		{ -EOPNOTSUPP, { .mask = BPIPE_CFG_CREDIT, .credit = 3 } },
		{ -EINVAL, { .pad2 = 1 } },
		{ -EINVAL, { .mask = BPIPE_CFG_TIMEOUT, .timeout = BPIPE_TIMEOUT_MAX + 1 } },
		{ -EINVAL, { .mask = BPIPE_CFG_RATE_RECORDS, .rate_records = BPIPE_RATE_MAX + 1 } },
		{ -EINVAL, { .mask = BPIPE_CFG_BURST_RECORDS,
			     .burst_records = BPIPE_BURST_MAX + 1 } },
		{ -EINVAL, { .mask = BPIPE_CFG_READ_RATE, .read_rate = BPIPE_RATE_MAX + 1 } },
		{ -EINVAL, { .mask = BPIPE_CFG_READ_BURST, .read_burst = BPIPE_BURST_MAX + 1 } },
		{ -EINVAL, { .mask = BPIPE_CFG_READ_RATE_RECORDS,
			     .read_rate_records = BPIPE_RATE_MAX + 1 } },
		{ -EINVAL, { .mask = BPIPE_CFG_READ_BURST_RECORDS,
			     .read_burst_records = BPIPE_BURST_MAX + 1 } },
	};
	struct bpipe_config before, after;

	ASSERT_EQ(0, set_records(self->ctl, 0, 0));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		before = get_config(self->ctl);
		EXPECT_EQ(rows[i].error, set_config(self->ctl, rows[i].set)) TH_LOG("%zu", i);
		after = get_config(self->ctl);
		EXPECT_EQ(0, memcmp(&before, &after, sizeof(before))) TH_LOG("%zu", i);
	}
}

TEST_HARNESS_MAIN
