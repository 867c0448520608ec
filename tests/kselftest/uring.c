// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring: a waiting request completes when the other side acts, and no worker thread
 * sleeps for it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <liburing.h>

#include "bpipe_test.h"

/* Return the number of io_uring worker threads of this process. */
static int workers(void)
{
	DIR *tasks = opendir("/proc/self/task");
	char path[300], name[32];
	struct dirent *task;
	int n = 0, fd;

	while ((task = readdir(tasks))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		n += read(fd, name, sizeof(name)) > 7 && !strncmp(name, "iou-wrk", 7);
		close(fd);
	}
	closedir(tasks);
	return n;
}

/* Return the result of the next completion; -ETIME if none comes within ten seconds. */
static int completed(struct io_uring *ring)
{
	struct __kernel_timespec limit = { .tv_sec = 10 };
	struct io_uring_cqe *cqe;
	int ret = io_uring_wait_cqe_timeout(ring, &cqe, &limit);

	if (ret)
		return ret;
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

static bool none_completed(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	return io_uring_peek_cqe(ring, &cqe) == -EAGAIN;
}

TEST_F(channel, uring_read_waits_without_a_worker)
{
	struct io_uring ring;
	char buf[100];

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring on this kernel");
	BLOCKING_READER();
	io_uring_prep_read(io_uring_get_sqe(&ring), self->rdb, buf, sizeof(buf), -1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_TRUE(none_completed(&ring));
	EXPECT_EQ(0, workers());
	ASSERT_EQ(5, write(self->wr, "bytes", 5));
	EXPECT_EQ(5, completed(&ring));
	EXPECT_EQ(0, memcmp(buf, "bytes", 5));
	EXPECT_EQ(0, workers());
}

TEST_F(channel, uring_write_waits_without_a_worker)
{
	struct io_uring ring;
	char buf[100] = { 0 };

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring on this kernel");
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	BLOCKING_WRITER();
	io_uring_prep_write(io_uring_get_sqe(&ring), self->wrb, buf, sizeof(buf), -1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(0, workers());
	ASSERT_EQ(SIZE - LOW - 1, take(self->rd, SIZE - LOW - 1));
	EXPECT_TRUE(none_completed(&ring));
	ASSERT_EQ(1, take(self->rd, 1));
	EXPECT_EQ(100, completed(&ring));
	EXPECT_EQ(LOW + 100, queued(self->rd));
	EXPECT_EQ(0, workers());
}

TEST_F(channel, uring_write_waits_for_tokens_without_a_worker)
{
	const struct bpipe_config limit = {
		.mask = BPIPE_CFG_RATE | BPIPE_CFG_BURST, .rate = 50000, .burst = ATOMIC,
	};
	struct io_uring ring;
	char buf[ATOMIC] = { 0 };

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring on this kernel");
	BLOCKING_WRITER();
	ASSERT_EQ(0, set_config(self->ctl, limit));
	ASSERT_EQ(ATOMIC, put(self->wr, ATOMIC));
	io_uring_prep_write(io_uring_get_sqe(&ring), self->wrb, buf, sizeof(buf), -1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(ATOMIC, completed(&ring));
	EXPECT_EQ(2 * ATOMIC, queued(self->rd));
	EXPECT_EQ(0, workers());
}

/* io_uring polls after EAGAIN, so policy=error, a timeout and O_NONBLOCK have no effect. */
TEST_F(channel, uring_write_waits_under_any_policy)
{
	const struct bpipe_writer error = {
		.mask = BPIPE_WRITER_POLICY, .policy = BPIPE_POLICY_ERROR,
	};
	const struct bpipe_writer timeout = {
		.mask = BPIPE_WRITER_POLICY | BPIPE_WRITER_TIMEOUT,
		.policy = BPIPE_POLICY_BLOCK, .timeout = 1,
	};
	unsigned long long again = get_stats(self->ctl).again;
	struct io_uring ring;
	char buf[100] = { 0 };

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring on this kernel");
	BLOCKING_WRITER();
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(SIZE, put(self->wr, SIZE));
		ASSERT_EQ(0, set_writer(self->wrb, i ? timeout : error));
		io_uring_prep_write(io_uring_get_sqe(&ring), i < 2 ? self->wrb : self->wr, buf,
				    sizeof(buf), -1);
		ASSERT_EQ(1, io_uring_submit(&ring));
		EXPECT_TRUE(none_completed(&ring));
		/* The program has seen no EAGAIN. */
		EXPECT_EQ(again, get_stats(self->ctl).again);
		ASSERT_EQ(SIZE, take(self->rd, SIZE));
		EXPECT_EQ(100, completed(&ring));
		ASSERT_EQ(100, take(self->rd, SIZE));
	}
	EXPECT_EQ(again, get_stats(self->ctl).again);
}

static volatile bool contending;

/* Take the writers' lock again and again. The channel is full, so nothing is written. */
static void *contend(void *fd)
{
	while (contending)
		put(*(int *)fd, ATOMIC);
	return NULL;
}

/* Poll speaks against a write while the channel is full, but a policy that drops never waits. */
TEST_F(channel, uring_write_that_drops_never_waits)
{
	const struct bpipe_writer drop = {
		.mask = BPIPE_WRITER_POLICY, .policy = BPIPE_POLICY_DROP_NEWEST,
	};
	unsigned long long dropped = get_stats(self->ctl).dropped_bytes;
	struct io_uring ring;
	char buf[100] = { 0 };
	pthread_t other;
	int i;

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring here");
	BLOCKING_WRITER();
	ASSERT_EQ(0, set_writer(self->wrb, drop));
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	contending = true;
	ASSERT_EQ(0, pthread_create(&other, NULL, contend, &self->wr));
	for (i = 0; i < 20000; i++) {
		io_uring_prep_write(io_uring_get_sqe(&ring), self->wrb, buf, sizeof(buf), -1);
		if (io_uring_submit(&ring) != 1 || completed(&ring) != sizeof(buf))
			break;
	}
	contending = false;
	pthread_join(other, NULL);
	EXPECT_EQ(20000, i);
	EXPECT_EQ(20000 * sizeof(buf), get_stats(self->ctl).dropped_bytes - dropped);
}

TEST_F(channel, uring_write_with_rwf_nowait_gets_eagain)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char buf[100] = { 0 };

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring on this kernel");
	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, self->wrb, buf, sizeof(buf), -1);
	sqe->rw_flags = RWF_NOWAIT;
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EAGAIN, completed(&ring));
}

TEST_F(channel, uring_link_timeout_cancels_a_waiting_write)
{
	struct __kernel_timespec limit = { .tv_nsec = 20000000 };
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char buf[100] = { 0 };
	int first, second;

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring on this kernel");
	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, self->wrb, buf, sizeof(buf), -1);
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_prep_link_timeout(io_uring_get_sqe(&ring), &limit, 0);
	ASSERT_EQ(2, io_uring_submit(&ring));
	first = completed(&ring);
	second = completed(&ring);
	EXPECT_EQ(-ECANCELED - ETIME, first + second);
	EXPECT_EQ(SIZE, get_stats(self->ctl).level);
}

TEST_F(channel, uring_read_ends_at_end_of_file)
{
	struct io_uring ring;
	char buf[100];

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring on this kernel");
	BLOCKING_READER();
	io_uring_prep_read(io_uring_get_sqe(&ring), self->rdb, buf, sizeof(buf), -1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_TRUE(none_completed(&ring));
	close(self->wr);
	EXPECT_EQ(0, completed(&ring));
	EXPECT_EQ(0, workers());
}

TEST_F(channel, uring_waits_without_a_worker_with_events_pending)
{
	struct io_uring ring;
	char buf[100] = { 0 };

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring on this kernel");
	BLOCKING_READER();
	BLOCKING_WRITER();
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	EXPECT_EQ(POLLPRI, ready(self->ctl, POLLPRI));
	io_uring_prep_write(io_uring_get_sqe(&ring), self->wrb, buf, sizeof(buf), -1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(0, workers());
	ASSERT_EQ(SIZE, take(self->rd, SIZE));
	EXPECT_EQ(100, completed(&ring));
	ASSERT_EQ(100, take(self->rd, SIZE));
	io_uring_prep_read(io_uring_get_sqe(&ring), self->rdb, buf, sizeof(buf), -1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(0, workers());
	ASSERT_EQ(5, put(self->wr, 5));
	EXPECT_EQ(5, completed(&ring));
	EXPECT_EQ(0, workers());
}

TEST_F(channel, uring_poll_reports_data_and_room)
{
	struct io_uring ring;

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring on this kernel");
	io_uring_prep_poll_add(io_uring_get_sqe(&ring), self->rd, POLLIN);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_TRUE(none_completed(&ring));
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_TRUE(completed(&ring) & POLLIN);
	io_uring_prep_poll_add(io_uring_get_sqe(&ring), self->wr, POLLOUT);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_TRUE(none_completed(&ring));
	ASSERT_EQ(HIGH - LOW, take(self->rd, HIGH - LOW));
	EXPECT_TRUE(completed(&ring) & POLLOUT);
	EXPECT_EQ(0, workers());
}

TEST_F(channel, uring_completes_many_waiting_reads)
{
	struct io_uring ring;
	char buf[50];
	int i, sum = 0;

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring on this kernel");
	BLOCKING_READER();
	for (i = 0; i < 50; i++)
		io_uring_prep_read(io_uring_get_sqe(&ring), self->rdb, buf + i, 1, -1);
	ASSERT_EQ(50, io_uring_submit(&ring));
	ASSERT_EQ(50, put(self->wr, 50));
	for (i = 0; i < 50; i++)
		sum += completed(&ring);
	EXPECT_EQ(50, sum);
	EXPECT_EQ(0, workers());
}

TEST_F(channel, uring_uses_registered_buffers)
{
	struct io_uring ring;
	char buf[ATOMIC];
	struct iovec iov = { buf, sizeof(buf) };

	if (io_uring_queue_init(64, &ring, 0))
		SKIP(return, "no io_uring on this kernel");
	BLOCKING_READER();
	BLOCKING_WRITER();
	ASSERT_EQ(0, io_uring_register_buffers(&ring, &iov, 1));
	memset(buf, 'w', sizeof(buf));
	io_uring_prep_write_fixed(io_uring_get_sqe(&ring), self->wrb, buf, ATOMIC, -1, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(ATOMIC, completed(&ring));
	memset(buf, 0, sizeof(buf));
	io_uring_prep_read_fixed(io_uring_get_sqe(&ring), self->rdb, buf, ATOMIC, -1, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(ATOMIC, completed(&ring));
	EXPECT_EQ('w', buf[0]);
	EXPECT_EQ('w', buf[ATOMIC - 1]);
	EXPECT_EQ(0, workers());
}

TEST_HARNESS_MAIN
