// SPDX-License-Identifier: GPL-2.0
/*
 * Reads and writes in stream mode, as bpipe(4) promises them.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "bpipe_test.h"

TEST_F(channel, exactly_size_bytes_fit)
{
	EXPECT_EQ(SIZE, put(self->wr, SIZE));
	EXPECT_EQ(SIZE, queued(self->rd));
	EXPECT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
}

TEST_F(channel, single_byte_writes_fill_exactly_size)
{
	size_t n = 0;

	while (write(self->wr, "x", 1) == 1)
		n++;
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(SIZE, n);
}

TEST_F(channel, odd_size_holds_exactly_that_many_bytes)
{
	const struct bpipe_config odd = { .mask = BPIPE_CFG_SIZE, .size = 12345 };

	ASSERT_EQ(0, set_config(self->ctl, odd));
	EXPECT_EQ(12345, put(self->wr, 20000));
	EXPECT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(12345, take(self->rd, 20000));
}

TEST_F(channel, bytes_keep_their_order_across_the_wrap)
{
	unsigned char next_in = 0, next_out = 0, buf[10007];

	for (int round = 0; round < 100; round++) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = next_in++;
		ASSERT_EQ((ssize_t)sizeof(buf), write(self->wr, buf, sizeof(buf)));
		ASSERT_EQ((ssize_t)sizeof(buf), read(self->rd, buf, sizeof(buf)));
		for (size_t i = 0; i < sizeof(buf); i++)
			ASSERT_EQ(next_out++, buf[i]);
	}
}

TEST_F(channel, atomic_write_is_whole_or_refused)
{
	ASSERT_EQ(SIZE - 100, put(self->wr, SIZE - 100));
	EXPECT_EQ(-1, put(self->wr, 101));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(SIZE - 100, queued(self->rd));
	EXPECT_EQ(100, put(self->wr, 100));
}

TEST_F(channel, larger_nonblocking_write_may_be_short)
{
	ASSERT_EQ(SIZE - 100, put(self->wr, SIZE - 100));
	EXPECT_EQ(100, put(self->wr, ATOMIC + 1));
}

TEST_F(channel, writev_of_pipe_buf_is_atomic)
{
	char buf[ATOMIC] = { 0 };
	struct iovec iov[2] = { { buf, ATOMIC / 2 }, { buf, ATOMIC / 2 } };

	ASSERT_EQ(SIZE - ATOMIC + 1, put(self->wr, SIZE - ATOMIC + 1));
	EXPECT_EQ(-1, writev(self->wr, iov, 2));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(1, take(self->rd, 1));
	EXPECT_EQ(ATOMIC, writev(self->wr, iov, 2));
}

#define AUTHORS	4
#define RECORDS	300

/* Write records of random atomic length: author, length, then the author's letter. */
static void write_records(int fd, unsigned char author)
{
	unsigned char buf[ATOMIC];

	srand(author);
	memset(buf, author, sizeof(buf));
	for (int i = 0; i < RECORDS; i++) {
		unsigned short len = 3 + rand() % (ATOMIC - 2);

		memcpy(buf + 1, &len, 2);
		if (write(fd, buf, len) != len)
			_exit(1);
		memset(buf + 1, author, 2);
	}
	_exit(0);
}

static ssize_t read_all(int fd, unsigned char *buf, size_t n)
{
	ssize_t ret = 1;
	size_t done;

	for (done = 0; done < n && ret > 0; done += ret)
		ret = read(fd, buf + done, n - done);
	return ret > 0 ? (ssize_t)done : ret;
}

TEST_F(channel, atomic_writes_of_many_writers_do_not_interleave)
{
	unsigned char buf[ATOMIC], pure[ATOMIC];
	pid_t pid[AUTHORS];
	unsigned short len;
	int i;

	BLOCKING_WRITER();
	BLOCKING_READER();
	for (i = 0; i < AUTHORS; i++) {
		pid[i] = spawn();
		if (!pid[i])
			write_records(self->wrb, 'a' + i);
	}
	for (i = 0; i < AUTHORS * RECORDS; i++) {
		ASSERT_EQ(3, read_all(self->rdb, buf, 3));
		memcpy(&len, buf + 1, 2);
		ASSERT_GE(ATOMIC, len);
		memset(pure, buf[0], len);
		ASSERT_EQ(len - 3, len > 3 ? read_all(self->rdb, buf, len - 3) : 0);
		ASSERT_EQ(0, memcmp(buf, pure, len - 3));
	}
	for (i = 0; i < AUTHORS; i++)
		EXPECT_EQ(0, reap(pid[i]));
}

TEST_F(channel, zero_length_calls_and_empty_vectors_do_nothing)
{
	struct iovec empty[2] = { { NULL, 0 }, { NULL, 0 } };

	EXPECT_EQ(0, put(self->wr, 0));
	EXPECT_EQ(0, writev(self->wr, empty, 2));
	EXPECT_EQ(0, take(self->rd, 0));
	EXPECT_EQ(0, readv(self->rd, empty, 2));
	EXPECT_EQ(0, queued(self->rd));
}

TEST_F(channel, blocking_write_waits_until_low)
{
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	helper_start(&h, self->wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	/* One byte above low, the writer still sleeps. */
	ASSERT_EQ(SIZE - LOW - 1, take(self->rd, SIZE - LOW - 1));
	EXPECT_EQ(1, get_stats(self->ctl).writers_waiting);
	ASSERT_EQ(1, take(self->rd, 1));
	EXPECT_EQ(100, helper_end(&h));
}

/* Twelve of fourteen writers fit between low and the size; each is woken once. */
TEST_F(channel, low_mark_wakes_as_many_writers_as_fit)
{
	const int fit = (SIZE - LOW) / ATOMIC, n = fit + 2;
	struct bpipe_stats before;
	struct helper h[n];
	int i, done = 0;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	for (i = 0; i < n; i++) {
		helper_start(&h[i], self->wrb, true, ATOMIC);
		ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == i + 1u));
	}
	before = get_stats(self->ctl);
	ASSERT_EQ(SIZE - LOW, take(self->rd, SIZE - LOW));
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).level == SIZE));
	EXPECT_EQ(before.wakeups_write + fit, get_stats(self->ctl).wakeups_write);
	EXPECT_EQ(2u, get_stats(self->ctl).writers_waiting);
	for (i = 0; i < n; i++)
		done += h[i].done;
	EXPECT_GE(fit, done);
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	for (i = 0; i < n; i++)
		EXPECT_EQ(ATOMIC, helper_end(&h[i]));
	EXPECT_EQ(before.wakeups_write + n, get_stats(self->ctl).wakeups_write);
	EXPECT_EQ(before.blocked, get_stats(self->ctl).blocked);
}

TEST_F(channel, blocking_write_sleeps_only_without_room)
{
	BLOCKING_WRITER();
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_EQ(SIZE - HIGH, put(self->wrb, SIZE - HIGH));
	EXPECT_EQ(0, get_stats(self->ctl).writers_waiting);
}

TEST_F(channel, waiting_writers_are_served_in_arrival_order)
{
	struct helper h[4];
	unsigned int i;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	for (i = 0; i < 4; i++) {
		/* The length identifies the writer. */
		helper_start(&h[i], self->wrb, true, 1000 + i);
		ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == i + 1));
	}
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(1000 + i, helper_end(&h[i]));
	EXPECT_EQ(1000 + 1001 + 1002 + 1003, queued(self->rd));
}

TEST_F(channel, newcomer_does_not_overtake_a_sleeping_writer_above_low)
{
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	ASSERT_EQ(1000, take(self->rd, 1000));
	EXPECT_EQ(500, put(self->wr, 500));
	helper_start(&h, self->wrb, true, 1000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	EXPECT_EQ(-1, put(self->wr, 1));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(SIZE - LOW, take(self->rd, SIZE - LOW));
	EXPECT_EQ(1000, helper_end(&h));
	EXPECT_EQ(1, put(self->wr, 1));
}

static void nothing(int sig)
{
	(void)sig;
}

static void interrupt(pthread_t thread)
{
	struct sigaction sa = { .sa_handler = nothing };

	sigaction(SIGUSR1, &sa, NULL);
	pthread_kill(thread, SIGUSR1);
}

TEST_F(channel, signal_ends_a_waiting_write)
{
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	helper_start(&h, self->wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	interrupt(h.thread);
	EXPECT_EQ(-EINTR, helper_end(&h));
	EXPECT_EQ(SIZE, queued(self->rd));
}

TEST_F(channel, signal_after_partial_write_returns_bytes_written)
{
	struct helper h;

	BLOCKING_WRITER();
	helper_start(&h, self->wrb, true, SIZE + 1000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	interrupt(h.thread);
	EXPECT_EQ(SIZE, helper_end(&h));
}

TEST_F(channel, signal_ends_a_waiting_read)
{
	struct helper h;

	BLOCKING_READER();
	helper_start(&h, self->rdb, false, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	interrupt(h.thread);
	EXPECT_EQ(-EINTR, helper_end(&h));
}

TEST_F(channel, interrupted_writer_hands_off_to_the_next)
{
	struct helper a, b;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	helper_start(&a, self->wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	helper_start(&b, self->wrb, true, 200);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 2));
	interrupt(a.thread);
	ASSERT_EQ(-EINTR, helper_end(&a));
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	EXPECT_EQ(200, helper_end(&b));
}

TEST_F(channel, read_returns_the_bytes_available)
{
	ASSERT_EQ(300, put(self->wr, 300));
	EXPECT_EQ(100, take(self->rd, 100));
	EXPECT_EQ(200, take(self->rd, SIZE));
	EXPECT_EQ(-1, take(self->rd, 1));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(channel, drained_channel_returns_end_of_file_each_time)
{
	ASSERT_EQ(10, put(self->wr, 10));
	close(self->wr);
	EXPECT_EQ(10, take(self->rd, 100));
	EXPECT_EQ(0, take(self->rd, 100));
	EXPECT_EQ(0, take(self->rd, 100));
	self->wr = open(DEV, O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(-1, take(self->rd, 100));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(channel, last_writer_closing_wakes_readers_with_end_of_file)
{
	struct helper a, b;

	BLOCKING_READER();
	helper_start(&a, self->rdb, false, 100);
	helper_start(&b, self->rdb, false, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 2));
	close(self->wr);
	EXPECT_EQ(0, helper_end(&a));
	EXPECT_EQ(0, helper_end(&b));
}

TEST_F(channel, new_reader_waits_for_the_first_writer)
{
	struct helper h;

	close(self->wr);
	BLOCKING_READER();
	helper_start(&h, self->rdb, false, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	self->wr = open(DEV, O_WRONLY | O_NONBLOCK);
	ASSERT_EQ(5, put(self->wr, 5));
	EXPECT_EQ(5, helper_end(&h));
}

TEST_F(channel, open_does_not_wait_for_the_other_side)
{
	close(self->rd);
	close(self->wr);
	self->wrb = open(DEV, O_WRONLY);
	EXPECT_LE(0, self->wrb);
	close(self->wrb);
	self->rdb = open(DEV, O_RDONLY);
	EXPECT_LE(0, self->rdb);
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
}

TEST_F(channel, hold_replaces_end_of_file_by_eagain)
{
	const struct bpipe_config hold = { .mask = BPIPE_CFG_HOLD, .hold = 1 };

	ASSERT_EQ(0, set_config(self->ctl, hold));
	ASSERT_EQ(10, put(self->wr, 10));
	close(self->wr);
	EXPECT_EQ(10, take(self->rd, 100));
	EXPECT_EQ(-1, take(self->rd, 100));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ready(self->rd, POLLIN));
}

TEST_F(channel, hold_keeps_a_reader_asleep_until_the_next_writer)
{
	const struct bpipe_config hold = { .mask = BPIPE_CFG_HOLD, .hold = 1 };
	struct helper h;

	ASSERT_EQ(0, set_config(self->ctl, hold));
	BLOCKING_READER();
	helper_start(&h, self->rdb, false, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	close(self->wr);
	self->wr = open(DEV, O_WRONLY | O_NONBLOCK);
	/* The close may wake the reader to check for end-of-file; the reader sleeps again. */
	EXPECT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(5, put(self->wr, 5));
	EXPECT_EQ(5, helper_end(&h));
}

TEST_F(channel, clearing_hold_ends_a_sleeping_read_with_end_of_file)
{
	struct bpipe_config hold = { .mask = BPIPE_CFG_HOLD, .hold = 1 };
	struct helper h;

	ASSERT_EQ(0, set_config(self->ctl, hold));
	BLOCKING_READER();
	close(self->wr);
	helper_start(&h, self->rdb, false, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	hold.hold = 0;
	ASSERT_EQ(0, set_config(self->ctl, hold));
	EXPECT_EQ(0, helper_end(&h));
}

TEST_F(channel, bytes_written_without_a_reader_are_kept)
{
	close(self->rd);
	EXPECT_EQ(1000, put(self->wr, 1000));
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(1000, take(self->rd, SIZE));
}

TEST_F(channel, write_without_a_reader_gives_epipe_if_set)
{
	const struct bpipe_config epipe = { .mask = BPIPE_CFG_EPIPE, .epipe = 1 };

	ASSERT_EQ(0, set_config(self->ctl, epipe));
	EXPECT_EQ(10, put(self->wr, 10));
	close(self->rd);
	EXPECT_EQ(-1, put(self->wr, 10));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(POLLOUT | POLLERR, ready(self->wr, POLLOUT));
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
}

/* A writer waits for the first reader, just as a reader waits for the first writer. */
TEST_F(channel, writer_gets_no_epipe_before_the_first_reader)
{
	const struct bpipe_config epipe = { .mask = BPIPE_CFG_EPIPE, .epipe = 1 };
	struct helper h;
	int early;

	ASSERT_EQ(0, set_config(self->ctl, epipe));
	close(self->rd);
	/* self->wr has seen a reader and gets EPIPE; a writer that opens now has not. */
	early = open(DEV, O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(POLLOUT | POLLERR, ready(self->wr, POLLOUT));
	EXPECT_EQ(-1, put(self->wr, 10));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(POLLOUT, ready(early, POLLOUT));
	EXPECT_EQ(SIZE, put(early, SIZE));
	EXPECT_EQ(-1, put(early, 1));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ready(early, POLLOUT));
	/* A writer waits for room until a first reader has come and gone. */
	BLOCKING_WRITER();
	helper_start(&h, self->wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
	close(self->rd);
	EXPECT_EQ(-EPIPE, helper_end(&h));
	EXPECT_EQ(POLLOUT | POLLERR, ready(early, POLLOUT));
	EXPECT_EQ(-1, put(early, 1));
	EXPECT_EQ(EPIPE, errno);
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(SIZE, take(self->rd, SIZE));
	EXPECT_EQ(100, put(early, 100));
	/* A reader that is present at open() counts as seen. */
	close(early);
	early = open(DEV, O_WRONLY | O_NONBLOCK);
	close(self->rd);
	EXPECT_EQ(-1, put(early, 1));
	EXPECT_EQ(EPIPE, errno);
	close(early);
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
}

TEST_F(channel, setting_epipe_wakes_a_sleeping_writer)
{
	const struct bpipe_config epipe = { .mask = BPIPE_CFG_EPIPE, .epipe = 1 };
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	close(self->rd);
	helper_start(&h, self->wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(0, set_config(self->ctl, epipe));
	EXPECT_EQ(-EPIPE, helper_end(&h));
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
}

static volatile sig_atomic_t sigpipe_seen;

static void sigpipe(int sig)
{
	(void)sig;
	sigpipe_seen++;
}

TEST_F(channel, sigpipe_is_sent_only_if_epipe_is_set)
{
	const struct bpipe_config epipe = { .mask = BPIPE_CFG_EPIPE, .epipe = 1 };

	signal(SIGPIPE, sigpipe);
	close(self->rd);
	EXPECT_EQ(10, put(self->wr, 10));
	EXPECT_EQ(0, sigpipe_seen);
	ASSERT_EQ(0, set_config(self->ctl, epipe));
	EXPECT_EQ(-1, put(self->wr, 10));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(1, sigpipe_seen);
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
}

TEST_F(channel, last_reader_closing_wakes_a_writer_with_epipe)
{
	const struct bpipe_config epipe = { .mask = BPIPE_CFG_EPIPE, .epipe = 1 };
	struct helper h;

	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, epipe));
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	helper_start(&h, self->wrb, true, 100);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	close(self->rd);
	EXPECT_EQ(-EPIPE, helper_end(&h));
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
}

TEST_F(channel, ioctl_only_open_is_neither_reader_nor_writer)
{
	struct bpipe_stats stats = get_stats(self->ctl);
	int fd = open(DEV, O_ACCMODE);

	ASSERT_LE(0, fd);
	EXPECT_EQ(stats.readers, get_stats(fd).readers);
	EXPECT_EQ(stats.writers, get_stats(fd).writers);
	EXPECT_EQ(-1, take(fd, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, put(fd, 1));
	EXPECT_EQ(EBADF, errno);
	close(fd);
}

TEST_F(channel, read_write_open_is_reader_and_writer)
{
	struct bpipe_stats stats = get_stats(self->ctl);
	int fd = open(DEV, O_RDWR | O_NONBLOCK);

	EXPECT_EQ(stats.readers + 1, get_stats(fd).readers);
	EXPECT_EQ(stats.writers + 1, get_stats(fd).writers);
	EXPECT_EQ(7, put(fd, 7));
	EXPECT_EQ(7, take(fd, 100));
	close(fd);
}

TEST_F(channel, bad_buffers_give_efault_and_move_nothing)
{
	char *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_EQ(-1, write(self->wr, bad, 100));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, queued(self->rd));
	ASSERT_EQ(100, put(self->wr, 100));
	EXPECT_EQ(-1, read(self->rd, bad, 100));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(100, queued(self->rd));
}

TEST_F(channel, partly_bad_buffers_move_the_good_part)
{
	char *two = mmap(NULL, 2 * ATOMIC + 8192, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *edge = two + 2 * ATOMIC;

	ASSERT_EQ(0, mprotect(edge, 8192, PROT_NONE));
	/* An atomic write stores nothing; a larger one stores its readable part. */
	EXPECT_EQ(-1, write(self->wr, edge - 100, 200));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(2 * ATOMIC, write(self->wr, two, 2 * ATOMIC + 100));
	EXPECT_EQ(100, read(self->rd, edge - 100, 200));
	EXPECT_EQ(2 * ATOMIC - 100, queued(self->rd));
}

TEST_F(channel, lseek_and_positioned_io_give_espipe)
{
	char c;

	EXPECT_EQ(-1, lseek(self->rd, 0, SEEK_CUR));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, pread(self->rd, &c, 1, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, pwrite(self->wr, &c, 1, 0));
	EXPECT_EQ(ESPIPE, errno);
}

TEST_F(channel, splice_moves_bytes_in_and_out)
{
	char buf[100] = "spliced";
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(100, write(fds[1], buf, 100));
	EXPECT_EQ(100, splice(fds[0], NULL, self->wr, NULL, 100, 0));
	EXPECT_EQ(100, queued(self->rd));
	EXPECT_EQ(100, splice(self->rd, NULL, fds[1], NULL, 100, 0));
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(100, read(fds[0], buf, 100));
	EXPECT_STREQ("spliced", buf);
}

TEST_F(channel, sendfile_moves_bytes_in_and_out)
{
	int in = memfd_create("in", 0), out = memfd_create("out", 0);
	char buf[5000];
	off_t start = 0;

	memset(buf, 's', sizeof(buf));
	ASSERT_EQ(5000, write(in, buf, 5000));
	EXPECT_EQ(5000, sendfile(self->wr, in, &start, 5000));
	EXPECT_EQ(5000, queued(self->rd));
	EXPECT_EQ(5000, sendfile(out, self->rd, NULL, 5000));
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(5000, pread(out, buf, 5000, 0));
	EXPECT_EQ('s', buf[4999]);
}

TEST_F(channel, rwf_nowait_returns_eagain_instead_of_sleeping)
{
	char buf[8] = { 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };

	BLOCKING_READER();
	BLOCKING_WRITER();
	EXPECT_EQ(-1, preadv2(self->rdb, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(8, pwritev2(self->wrb, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(8, preadv2(self->rdb, &iov, 1, -1, RWF_NOWAIT));
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	EXPECT_EQ(-1, pwritev2(self->wrb, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(EAGAIN, errno);
}

/* Return how often this thread has gone to sleep. */
static long sleeps(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

TEST_F(channel, rwf_nowait_does_not_sleep_for_locks)
{
	char buf[64] = { 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	pid_t pid[4];
	long before;
	int i;

	if (!access("/sys/kernel/realtime", F_OK))
		SKIP(return, "spinlocks sleep on a real-time kernel");
	BLOCKING_READER();
	BLOCKING_WRITER();
	for (i = 0; i < 4; i++) {
		pid[i] = spawn();
		while (!pid[i])
			i % 2 ? put(self->wrb, 50000) : take(self->rdb, 50000);
	}
	before = sleeps();
	for (i = 0; i < 20000; i++) {
		preadv2(self->rdb, &iov, 1, -1, RWF_NOWAIT);
		pwritev2(self->wrb, &iov, 1, -1, RWF_NOWAIT);
	}
	EXPECT_EQ(before, sleeps());
	for (i = 0; i < 4; i++) {
		kill(pid[i], SIGKILL);
		reap(pid[i]);
	}
}

/* A processor may copy several bytes at once, some of them on a page that is not present. */
TEST_F(channel, unaligned_writes_fault_in_their_pages)
{
	const size_t page = 4096, n = 3 * page + 2;

	for (size_t at = 0; at < 64; at++) {
		char *map = mmap(NULL, 4 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		ASSERT_NE(MAP_FAILED, (void *)map);
		ASSERT_EQ(n, write(self->wr, map + at, n));
		munmap(map, 4 * page);
		ASSERT_EQ(n, take(self->rd, n));
	}
}

TEST_F(channel, counts_above_int_max_are_written_in_part)
{
	/* With a 32-bit size_t, the kernel refuses counts above INT_MAX. */
	size_t huge = sizeof(huge) > 4 ? 3ULL << 30 : INT_MAX;
	char *map = mmap(NULL, huge, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(SIZE, write(self->wr, map, huge));
}

TEST_HARNESS_MAIN
