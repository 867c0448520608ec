// SPDX-License-Identifier: GPL-2.0
/*
 * REMOVE with flags: channels that drain, and channels that are removed while open.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/stat.h>

#include "bpipe_test.h"

#define NAME	"removed"
#define NODE	"/dev/bpipe-" NAME
#define CLASS	"/sys/class/bpipe/bpipe-" NAME

FIXTURE(removal) {
	int control, rd, wr, ctl;
	unsigned long long memory;
};

/* Add a channel; open a non-blocking reader and writer, and a file that is neither. */
FIXTURE_SETUP(removal)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW,
		.size = SIZE, .high = HIGH, .low = LOW,
	};

	signal(SIGPIPE, SIG_DFL);
	self->memory = memory();
	self->control = open(CONTROL, O_RDWR);
	ASSERT_LE(0, self->control);
	ASSERT_EQ(0, add_channel(self->control, NAME, &config));
	self->rd = open(NODE, O_RDONLY | O_NONBLOCK);
	self->wr = open(NODE, O_WRONLY | O_NONBLOCK);
	self->ctl = open(NODE, O_ACCMODE);
	ASSERT_LE(0, self->ctl);
}

FIXTURE_TEARDOWN(removal)
{
	int ret;

	close(self->rd);
	close(self->wr);
	close(self->ctl);
	ret = remove_with(self->control, NAME, BPIPE_REMOVE_FORCE);
	EXPECT_TRUE(!ret || ret == -ENOENT);
	EXPECT_EQ(self->memory, memory());
}

static bool exists(void)
{
	return !access(NODE, F_OK) || !access(CLASS, F_OK);
}

static int open_fails(int flags)
{
	int fd = open(NODE, flags | O_NONBLOCK);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

TEST_F(removal, features_report_removal_flags_and_ids)
{
	struct bpipe_features features;

	ASSERT_EQ(0, ioctl(self->ctl, BPIPE_GET_FEATURES, &features));
	EXPECT_TRUE(features.features & BPIPE_FEATURE_REMOVE);
	EXPECT_TRUE(features.features & BPIPE_FEATURE_ID);
}

TEST_F(removal, invalid_removal_flags_are_refused)
{
	struct bpipe_remove remove = { .name = NAME, .flags = BPIPE_REMOVE_FORCE, .pad = 1 };

	for (unsigned int bit = 2; bit < 32; bit++)
		EXPECT_EQ(-EOPNOTSUPP, remove_with(self->control, NAME, 1U << bit));
	EXPECT_EQ(-EOPNOTSUPP, remove_with(self->control, NAME, ~0U));
	EXPECT_EQ(-EINVAL, remove_with(self->control, NAME,
				       BPIPE_REMOVE_DRAIN | BPIPE_REMOVE_FORCE));
	EXPECT_EQ(-1, ioctl(self->control, BPIPE_REMOVE, &remove));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-EBUSY, remove_with(self->control, NAME, 0));
	EXPECT_EQ(-ENOENT, remove_with(self->control, "other", BPIPE_REMOVE_DRAIN));
	EXPECT_EQ(-ENOENT, remove_with(self->control, "other", BPIPE_REMOVE_FORCE));
	EXPECT_EQ(-ENOENT, remove_with(self->control, "bpipe", BPIPE_REMOVE_FORCE));
	/* The refused calls have changed nothing. */
	ASSERT_EQ(100, put(self->wr, 100));
	EXPECT_EQ(100, take(self->rd, SIZE));
	ASSERT_EQ(0, seteuid(65534));
	EXPECT_EQ(-EPERM, remove_with(self->control, NAME, BPIPE_REMOVE_FORCE));
	EXPECT_EQ(-EPERM, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
	ASSERT_EQ(0, seteuid(0));
	EXPECT_EQ(100, put(self->wr, 100));
}

TEST_F(removal, drain_lets_readers_finish)
{
	int second;

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_HOLD, .hold = 1 }));
	ASSERT_EQ(3000, put(self->wr, 3000));
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
	/* No SIGPIPE is sent: it would kill the test. */
	EXPECT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(ENXIO, open_fails(O_WRONLY));
	EXPECT_EQ(ENXIO, open_fails(O_RDWR));
	EXPECT_EQ(0, open_fails(O_ACCMODE));
	EXPECT_EQ(0, get_stats(self->ctl).window);
	EXPECT_EQ(0, get_window(self->wr).window);
	EXPECT_EQ(~0ULL, get_window(self->wr).wait_ns);
	EXPECT_EQ(POLLOUT | POLLERR, ready(self->wr, POLLOUT));
	EXPECT_EQ(POLLIN | POLLHUP, ready(self->rd, POLLIN));
	EXPECT_EQ(-EEXIST, add_channel(self->control, NAME, NULL));
	EXPECT_EQ(-EBUSY, remove_channel(self->control, NAME));

	EXPECT_EQ(1000, take(self->rd, 1000));
	second = open(NODE, O_RDONLY);
	ASSERT_LE(0, second);
	EXPECT_EQ(2000, take(second, SIZE));
	/* Readers get end-of-file despite hold, even if they have seen no data. */
	EXPECT_EQ(0, take(second, SIZE));
	EXPECT_EQ(0, take(self->rd, SIZE));
	close(second);
	second = open(NODE, O_RDONLY);
	ASSERT_LE(0, second);
	EXPECT_EQ(0, take(second, SIZE));
	EXPECT_EQ(POLLIN | POLLHUP, ready(second, POLLIN));
	EXPECT_EQ(3000, get_stats(self->ctl).read_bytes);

	/* The empty channel stays as long as a file is open. */
	close(second);
	close(self->rd);
	close(self->wr);
	EXPECT_TRUE(exists());
	EXPECT_EQ(-EEXIST, add_channel(self->control, NAME, NULL));
	close(self->ctl);
	EXPECT_TRUE(EVENTUALLY(!exists()));
	EXPECT_TRUE(EVENTUALLY(memory() == self->memory));
	EXPECT_EQ(0, add_channel(self->control, NAME, NULL));
	EXPECT_EQ(0, remove_channel(self->control, NAME));
}

TEST_F(removal, idle_channel_drains_at_once)
{
	close(self->rd);
	close(self->wr);
	close(self->ctl);
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
	EXPECT_FALSE(exists());
	EXPECT_EQ(-ENOENT, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
}

TEST_F(removal, drain_keeps_records_written_before)
{
	int fd;

	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	ASSERT_EQ(5, write(self->wr, "first", 5));
	ASSERT_EQ(6, write(self->wr, "second", 6));
	close(self->rd);
	close(self->wr);
	close(self->ctl);
	/* A second request changes nothing. */
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
	EXPECT_TRUE(exists());
	fd = open(NODE, O_RDONLY);
	EXPECT_EQ(5, take(fd, 100));
	close(fd);
	fd = open(NODE, O_RDONLY);
	EXPECT_EQ(6, take(fd, 100));
	EXPECT_EQ(0, take(fd, 100));
	close(fd);
	EXPECT_TRUE(EVENTUALLY(!exists()));
}

TEST_F(removal, drain_ends_when_records_expire)
{
	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_TTL(0), .ttl[0] = 300000000 }));
	ASSERT_EQ(100, put(self->wr, 100));
	close(self->rd);
	close(self->wr);
	close(self->ctl);
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
	EXPECT_TRUE(EVENTUALLY(!exists()));
}

TEST_F(removal, drain_wakes_sleeping_readers_and_writers)
{
	struct helper partly, whole, reader;
	int rdb = open(NODE, O_RDONLY), wrb = open(NODE, O_WRONLY);

	ASSERT_EQ(SIZE - 1000, put(self->wr, SIZE - 1000));
	helper_start(&partly, wrb, true, 2 * ATOMIC);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	helper_start(&whole, wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 2));
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
	/* A partial write returns the bytes stored. */
	EXPECT_EQ(1000, helper_end(&partly));
	EXPECT_EQ(-EPIPE, helper_end(&whole));
	EXPECT_EQ(SIZE, take(self->rd, 2 * SIZE));
	close(self->rd);
	close(self->wr);
	close(self->ctl);
	close(wrb);
	EXPECT_EQ(0, take(rdb, 1));
	close(rdb);
	ASSERT_TRUE(EVENTUALLY(!exists()));

	ASSERT_EQ(0, add_channel(self->control, NAME, NULL));
	self->ctl = open(NODE, O_ACCMODE);
	self->wr = open(NODE, O_WRONLY | O_NONBLOCK);
	rdb = open(NODE, O_RDONLY);
	helper_start(&reader, rdb, false, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
	EXPECT_EQ(0, helper_end(&reader));
	close(rdb);
}

TEST_F(removal, drain_updates_the_status_page)
{
	int status = ioctl(self->ctl, BPIPE_OPEN_STATUS);
	const struct bpipe_status *page = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED,
					       status, 0);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
	EXPECT_EQ(BPIPE_STATE_PRESSURED, page->state);
	EXPECT_EQ(HIGH, page->level);
	EXPECT_EQ(0, page->window[0]);
	EXPECT_EQ(0, ready(status, POLLIN));
	EXPECT_EQ(HIGH, take(self->rd, SIZE));
	EXPECT_EQ(BPIPE_STATE_NORMAL, page->state);
	EXPECT_EQ(0, page->window[0]);
	close(self->rd);
	close(self->wr);
	close(self->ctl);
	/* Neither the status file nor its mapping keeps the channel. */
	EXPECT_TRUE(EVENTUALLY(ready(status, POLLIN) == POLLHUP));
	EXPECT_EQ(BPIPE_STATE_GONE, page->state);
	EXPECT_EQ(0, munmap((void *)page, getpagesize()));
	close(status);
}

TEST_F(removal, forced_removal_may_follow_a_drain)
{
	ASSERT_EQ(1000, put(self->wr, 1000));
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_FORCE));
	EXPECT_FALSE(exists());
	EXPECT_EQ(self->memory, memory());
	EXPECT_EQ(-1, take(self->rd, 1));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(removal, draining_channel_can_be_removed_once_closed)
{
	ASSERT_EQ(1000, put(self->wr, 1000));
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
	EXPECT_EQ(-EBUSY, remove_channel(self->control, NAME));
	close(self->rd);
	close(self->wr);
	close(self->ctl);
	EXPECT_EQ(0, remove_channel(self->control, NAME));
	EXPECT_FALSE(exists());
}

/* Every ioctl of a channel. */
static const unsigned int commands[] = {
	BPIPE_GET_FEATURES, BPIPE_SET_CONFIG, BPIPE_GET_CONFIG, BPIPE_GET_STATS, BPIPE_GET_WINDOW,
	BPIPE_RESET_PEAKS, BPIPE_SET_READER, BPIPE_GET_EVENTS, BPIPE_SET_WRITER, BPIPE_GRANT,
	BPIPE_OPEN_STATUS, FIONREAD, _IO(BPIPE_IOC_MAGIC, 0x3f),
};

TEST_F(removal, forced_removal_fails_all_calls_with_enodev)
{
	static char argument[sizeof(struct bpipe_stats)];	/* the longest structure */
	int fds[] = { self->rd, self->wr, self->ctl, open(NODE, O_RDWR | O_NONBLOCK) };
	char path[64], line[128] = "";
	FILE *file;

	ASSERT_LE(0, fds[3]);
	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	ASSERT_EQ(0, set_writer(self->wr, (struct bpipe_writer) {
		.mask = BPIPE_WRITER_CLASS, .class = 5 }));
	ASSERT_EQ(1000, put(self->wr, 1000));
	ASSERT_EQ(1000, put(fds[3], 1000));
	ASSERT_EQ(self->memory + 2 * SIZE, memory());
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_FORCE));
	EXPECT_FALSE(exists());
	EXPECT_EQ(self->memory, memory());
	EXPECT_EQ(-ENOENT, remove_with(self->control, NAME, BPIPE_REMOVE_FORCE));

	for (size_t i = 0; i < 4; i++) {
		for (size_t c = 0; c < sizeof(commands) / sizeof(commands[0]); c++) {
			EXPECT_EQ(-1, ioctl(fds[i], commands[c], argument));
			EXPECT_EQ(ENODEV, errno);
		}
		EXPECT_EQ(POLLERR | POLLHUP, ready(fds[i], POLLIN | POLLOUT | POLLPRI));
	}
	EXPECT_EQ(-1, take(self->rd, 1));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, take(fds[3], 1));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, put(fds[3], SIZE));
	EXPECT_EQ(ENODEV, errno);

	/* fdinfo does not confuse the removed channel with a new one of that name. */
	ASSERT_EQ(0, add_channel(self->control, NAME, NULL));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fds[3]);
	file = fopen(path, "r");
	while (fgets(line, sizeof(line), file) && strncmp(line, "bpipe-channel:", 14))
		;
	fclose(file);
	EXPECT_STREQ("bpipe-channel:\tbpipe-" NAME "(removed)\n", line);
	EXPECT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(0, remove_channel(self->control, NAME));
	close(fds[3]);
}

TEST_F(removal, forced_removal_wakes_sleeping_readers_and_writers)
{
	int rdb = open(NODE, O_RDONLY), wrb = open(NODE, O_WRONLY);
	struct helper partly, whole, reader;

	helper_start(&reader, rdb, false, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_FORCE));
	EXPECT_EQ(-ENODEV, helper_end(&reader));
	close(rdb);
	close(wrb);
	close(self->rd);
	close(self->wr);
	close(self->ctl);

	ASSERT_EQ(0, add_channel(self->control, NAME, &(struct bpipe_config) {
		.mask = BPIPE_CFG_SIZE, .size = SIZE }));
	self->ctl = open(NODE, O_ACCMODE);
	self->wr = open(NODE, O_WRONLY | O_NONBLOCK);
	wrb = open(NODE, O_WRONLY);
	ASSERT_EQ(SIZE - 1000, put(self->wr, SIZE - 1000));
	helper_start(&partly, wrb, true, 2 * ATOMIC);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	helper_start(&whole, wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 2));
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_FORCE));
	EXPECT_EQ(1000, helper_end(&partly));
	EXPECT_EQ(-ENODEV, helper_end(&whole));
	close(wrb);
}

struct poller {
	pthread_t thread;
	int fd;
	short events;
	short revents;
};

static void *poll_for_ever(void *arg)
{
	struct poller *poller = arg;
	struct pollfd p = { .fd = poller->fd, .events = poller->events };

	poll(&p, 1, -1);
	poller->revents = p.revents;
	return NULL;
}

TEST_F(removal, forced_removal_wakes_pollers)
{
	struct poller pollers[] = {
		{ .fd = self->rd, .events = POLLIN },
		{ .fd = self->rd, .events = POLLIN },
		{ .fd = self->wr, .events = POLLOUT },
		{ .fd = self->wr, .events = POLLPRI },
		{ .fd = self->ctl, .events = POLLPRI },
		{ .fd = self->ctl, .events = 0 },
	};

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_BYTES }));
	for (int i = 0; i < 6; i++)
		ASSERT_EQ(0, pthread_create(&pollers[i].thread, NULL, poll_for_ever,
					    &pollers[i]));
	/* A thread that calls poll() only after the removal must return, too. */
	sched_yield();
	ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_FORCE));
	for (int i = 0; i < 6; i++) {
		ASSERT_EQ(0, pthread_join(pollers[i].thread, NULL));
		EXPECT_EQ(POLLERR | POLLHUP, pollers[i].revents);
	}
}

/* Write or read without pause until an error; return its errno. */
static void *go_on(void *arg)
{
	int fd = *(int *)arg;
	bool writes = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;

	while ((writes ? put(fd, 30000) : take(fd, 30000)) > 0)
		;
	return (void *)(long)errno;
}

/* Remove while copies are made: KASAN would report a buffer freed too early. */
TEST_F_TIMEOUT(removal, forced_removal_is_safe_under_load, 120)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_MODE, .size = 1 << 20,
		.mode = BPIPE_MODE_RECORD,
	};
	pthread_t threads[4];
	int fds[4];
	void *error;

	close(self->rd);
	close(self->wr);
	close(self->ctl);
	ASSERT_EQ(0, remove_channel(self->control, NAME));
	for (int round = 0; round < 100; round++) {
		ASSERT_EQ(0, add_channel(self->control, NAME, round % 2 ? &config : NULL));
		for (int i = 0; i < 4; i++) {
			fds[i] = open(NODE, i % 2 ? O_WRONLY : O_RDONLY);
			ASSERT_LE(0, fds[i]);
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, go_on, &fds[i]));
		}
		while (get_stats(fds[0]).reads < 10)
			sched_yield();
		ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_FORCE));
		ASSERT_EQ(self->memory, memory());
		for (int i = 0; i < 4; i++) {
			ASSERT_EQ(0, pthread_join(threads[i], &error));
			EXPECT_EQ(ENODEV, (long)error);
			close(fds[i]);
		}
	}
	self->rd = -1;
	self->wr = -1;
	self->ctl = -1;
}

/* Readers get all that a writer stores before its EPIPE or ENXIO. */
TEST_F_TIMEOUT(removal, drain_loses_nothing, 120)
{
	unsigned long long sent, got;
	int status, rdb;
	pid_t writer;
	ssize_t n;

	close(self->rd);
	close(self->wr);
	close(self->ctl);
	ASSERT_EQ(0, remove_channel(self->control, NAME));
	for (int round = 0; round < 50; round++) {
		int told[2];

		ASSERT_EQ(0, pipe(told));
		ASSERT_EQ(0, add_channel(self->control, NAME, &(struct bpipe_config) {
			.mask = BPIPE_CFG_SIZE, .size = SIZE }));
		rdb = open(NODE, O_RDONLY);
		writer = spawn();
		if (!writer) {
			close(rdb);
			/* Open, write and close again and again. */
			for (sent = 0; ; sent += n > 0 ? n : 0) {
				int fd = open(NODE, O_WRONLY);

				if (fd < 0 && (errno == ENXIO || errno == ENOENT))
					break;
				n = put(fd, 1000);
				if (fd < 0 || (n < 0 && errno != EPIPE))
					_exit(1);
				close(fd);
			}
			_exit(write(told[1], &sent, sizeof(sent)) != sizeof(sent));
		}
		for (got = 0; got < 20000; got += n) {
			n = take(rdb, 3000);
			ASSERT_LE(0, n);
		}
		ASSERT_EQ(0, remove_with(self->control, NAME, BPIPE_REMOVE_DRAIN));
		while ((n = take(rdb, 3000)) > 0)
			got += n;
		EXPECT_EQ(0, n);
		close(rdb);
		status = reap(writer);
		ASSERT_EQ(0, status);
		ASSERT_EQ(sizeof(sent), read(told[0], &sent, sizeof(sent)));
		EXPECT_EQ(sent, got);
		close(told[0]);
		close(told[1]);
		ASSERT_TRUE(EVENTUALLY(!exists()));
	}
	self->rd = -1;
	self->wr = -1;
	self->ctl = -1;
}

TEST_HARNESS_MAIN
