// SPDX-License-Identifier: GPL-2.0
/*
 * Notification: poll, select, epoll, SIGIO and events, and the marks that they follow.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "bpipe_test.h"

TEST_F(channel, pollout_is_off_from_high_down_to_low)
{
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	ASSERT_EQ(HIGH - 1, put(self->wr, HIGH - 1));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	ASSERT_EQ(1, put(self->wr, 1));
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	ASSERT_EQ(HIGH - LOW - 1, take(self->rd, HIGH - LOW - 1));
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	ASSERT_EQ(1, take(self->rd, 1));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
}

TEST_F(channel, state_has_hysteresis_and_is_counted)
{
	struct bpipe_stats before = get_stats(self->ctl), now;

	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	now = get_stats(self->ctl);
	EXPECT_EQ(BPIPE_STATE_PRESSURED, now.state);
	EXPECT_EQ(before.high_events + 1, now.high_events);
	/* A level that wavers around high, above low, changes nothing. */
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(200, take(self->rd, 200));
		ASSERT_EQ(200, put(self->wr, 200));
	}
	now = get_stats(self->ctl);
	EXPECT_EQ(BPIPE_STATE_PRESSURED, now.state);
	EXPECT_EQ(before.high_events + 1, now.high_events);
	EXPECT_EQ(before.low_events, now.low_events);
	ASSERT_EQ(HIGH - LOW, take(self->rd, HIGH - LOW));
	now = get_stats(self->ctl);
	EXPECT_EQ(BPIPE_STATE_NORMAL, now.state);
	EXPECT_EQ(before.low_events + 1, now.low_events);
}

TEST_F(channel, refused_write_clears_pollout_until_low)
{
	const struct bpipe_config top = { .mask = BPIPE_CFG_HIGH, .high = SIZE };

	ASSERT_EQ(0, set_config(self->ctl, top));
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE, .mode = BPIPE_MODE_RECORD }));
	ASSERT_EQ(SIZE - 2 * ATOMIC, put(self->wr, SIZE - 2 * ATOMIC));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	EXPECT_EQ(-1, put(self->wr, 2 * ATOMIC));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	EXPECT_EQ(BPIPE_STATE_NORMAL, get_stats(self->ctl).state);
	ASSERT_LT(0, take(self->rd, SIZE));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
}

/* As for a pipe, POLLOUT means that a write of PIPE_BUF bytes succeeds. */
TEST_F(channel, pollout_implies_room_for_an_atomic_write)
{
	static const struct { unsigned long long size, high; } marks[] = {
		{ 4096 }, { 8192 }, { 12288 }, { SIZE, SIZE }, { SIZE, SIZE - 100 },
	};
	unsigned int i, n;

	for (i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
		ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
			.mask = BPIPE_CFG_SIZE | (marks[i].high ? BPIPE_CFG_HIGH : 0),
			.size = marks[i].size, .high = marks[i].high }));
		for (n = 0; ready(self->wr, POLLOUT); n++) {
			ASSERT_EQ(ATOMIC, put(self->wr, ATOMIC));
			ASSERT_EQ(ATOMIC, take(self->rd, ATOMIC));
			ASSERT_EQ(100, put(self->wr, 100));
		}
		EXPECT_LT(0u, n);
		while (take(self->rd, SIZE) > 0)
			;
		EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	}
}

/* A record that does not fit at low waits until the room that it needs is free. */
TEST_F(channel, pollout_returns_when_the_refused_record_fits)
{
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE, .mode = BPIPE_MODE_RECORD }));
	ASSERT_EQ(100, put(self->wr, 100));
	ASSERT_EQ(LOW - 1000, put(self->wr, LOW - 1000));
	EXPECT_EQ(-1, put(self->wr, SIZE - LOW + 1000));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	ASSERT_EQ(100, take(self->rd, SIZE));
	EXPECT_EQ(0, ready(self->wr, POLLOUT));
	ASSERT_EQ(LOW - 1000, take(self->rd, SIZE));
	EXPECT_EQ(POLLOUT, ready(self->wr, POLLOUT));
	EXPECT_EQ(SIZE - LOW + 1000, put(self->wr, SIZE - LOW + 1000));
}

TEST_F(channel, pollin_means_data_or_end_of_file)
{
	EXPECT_EQ(0, ready(self->rd, POLLIN));
	ASSERT_EQ(1, put(self->wr, 1));
	EXPECT_EQ(POLLIN, ready(self->rd, POLLIN));
	close(self->wr);
	EXPECT_EQ(POLLIN | POLLHUP, ready(self->rd, POLLIN));
	ASSERT_EQ(1, take(self->rd, 1));
	EXPECT_EQ(POLLIN | POLLHUP, ready(self->rd, POLLIN));
	EXPECT_EQ(0, take(self->rd, 1));
}

TEST_F(channel, select_agrees_with_poll)
{
	struct timeval zero = { 0 };
	fd_set in, out;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(self->rd, &in);
	FD_SET(self->wr, &out);
	EXPECT_EQ(1, select(self->wr + 1, &in, &out, NULL, &zero));
	EXPECT_FALSE(FD_ISSET(self->rd, &in));
	EXPECT_TRUE(FD_ISSET(self->wr, &out));
}

static int epoll_of(int fd, unsigned int events)
{
	struct epoll_event ev = { .events = events };
	int ep = epoll_create1(0);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		abort();
	return ep;
}

static unsigned int epoll_now(int ep)
{
	struct epoll_event ev = { 0 };

	return epoll_wait(ep, &ev, 1, 0) == 1 ? ev.events : 0;
}

TEST_F(channel, epoll_level_triggered_reports_data_until_read)
{
	int ep = epoll_of(self->rd, EPOLLIN);

	EXPECT_EQ(0, epoll_now(ep));
	ASSERT_EQ(10, put(self->wr, 10));
	EXPECT_EQ(EPOLLIN, epoll_now(ep));
	EXPECT_EQ(EPOLLIN, epoll_now(ep));
	ASSERT_EQ(10, take(self->rd, 10));
	EXPECT_EQ(0, epoll_now(ep));
}

TEST_F(channel, epoll_edge_triggered_reader_is_notified_of_each_write)
{
	int ep = epoll_of(self->rd, EPOLLIN | EPOLLET);

	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(10, put(self->wr, 10));
		EXPECT_EQ(EPOLLIN, epoll_now(ep));
		EXPECT_EQ(0, epoll_now(ep));
	}
}

TEST_F(channel, epoll_edge_triggered_writer_is_notified_once_at_low)
{
	int ep = epoll_of(self->wr, EPOLLOUT | EPOLLET);

	EXPECT_EQ(EPOLLOUT, epoll_now(ep));
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	EXPECT_EQ(0, epoll_now(ep));
	ASSERT_EQ(SIZE - LOW - 1, take(self->rd, SIZE - LOW - 1));
	EXPECT_EQ(0, epoll_now(ep));
	ASSERT_EQ(1, take(self->rd, 1));
	EXPECT_EQ(EPOLLOUT, epoll_now(ep));
	EXPECT_EQ(0, epoll_now(ep));
	ASSERT_EQ(LOW, take(self->rd, LOW));
	EXPECT_EQ(0, epoll_now(ep));
}

/* A thread that sleeps in epoll_pwait(2) on a file, with EPOLLEXCLUSIVE. */
struct sleeper {
	pthread_t thread;
	int ep;
	volatile pid_t tid;
	volatile bool done;
	unsigned int events;	/* the events reported; 0 if none within ten seconds */
};

static void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;
	struct epoll_event ev = { 0 };

	s->tid = syscall(SYS_gettid);
	epoll_pwait(s->ep, &ev, 1, 10000, NULL);
	s->events = ev.events;
	s->done = true;
	return NULL;
}

static bool sleeps(const struct sleeper *s)
{
	char path[64], text[16] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", s->tid);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return false;
	close(fd);
	return atoi(text) == SYS_epoll_pwait;
}

static void sleeper_start(struct sleeper *s, int fd, unsigned int events)
{
	*s = (struct sleeper) { .ep = epoll_of(fd, events | EPOLLEXCLUSIVE) };
	if (pthread_create(&s->thread, NULL, sleeper_main, s) || !EVENTUALLY(sleeps(s)))
		abort();
}

static unsigned int sleeper_end(struct sleeper *s)
{
	pthread_join(s->thread, NULL);
	return s->events;
}

static int woken(const struct sleeper *s)
{
	return s[0].done + s[1].done + s[2].done;
}

static int asleep(const struct sleeper *s)
{
	return sleeps(&s[0]) + sleeps(&s[1]) + sleeps(&s[2]);
}

/* A waiter's reservation binds writers of its class, and not more important ones. */
TEST_F(channel, epoll_exclusive_writers_of_two_classes_both_wake)
{
	int other = open_class(1, O_NONBLOCK), wr = open_class(1, 0);
	struct sleeper s[2];
	struct helper h;

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_CREDIT, .credit = BPIPE_CREDIT_BYTES }));
	sleeper_start(&s[0], other, EPOLLOUT);
	sleeper_start(&s[1], self->wr, EPOLLOUT);
	helper_start(&h, wr, true, 4000);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).writers_waiting == 1));
	ASSERT_EQ(0, grant(self->rd, 3000));
	EXPECT_EQ(EPOLLOUT, sleeper_end(&s[1]));
	ASSERT_EQ(0, grant(self->rd, 3000));
	EXPECT_EQ(4000, helper_end(&h));
	EXPECT_EQ(EPOLLOUT, sleeper_end(&s[0]));
	close(other);
	close(wr);
}

TEST_F(channel, epoll_exclusive_readers_wake_one_by_one)
{
	struct sleeper s[3];
	int i;

	for (i = 0; i < 3; i++)
		sleeper_start(&s[i], self->rd, EPOLLIN);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(3 - i, asleep(s));
		ASSERT_EQ(10, put(self->wr, 10));
		ASSERT_TRUE(EVENTUALLY(woken(s) == i + 1));
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(EPOLLIN, sleeper_end(&s[i]));
}

/* Return true if two records wake both of two exclusive pollers of a reader. */
static bool both_exclusive_readers_wake(int rd, int wr)
{
	struct sleeper s[2];
	bool both = true;
	int i;

	for (i = 0; i < 2; i++)
		sleeper_start(&s[i], rd, EPOLLIN);
	for (i = 0; i < 2; i++)
		both &= put(wr, 10) == 10;
	for (i = 0; i < 2; i++)
		both &= sleeper_end(&s[i]) == EPOLLIN;
	return both;
}

/* A token is enough for the first poller that reads; the next one comes later. */
TEST_F(channel, tokens_wake_all_epoll_exclusive_readers)
{
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_READ_RATE_RECORDS | BPIPE_CFG_READ_BURST_RECORDS,
		.mode = BPIPE_MODE_RECORD, .read_rate_records = 2, .read_burst_records = 1 }));
	ASSERT_EQ(10, put(self->wr, 10));
	ASSERT_EQ(10, take(self->rd, 10));
	EXPECT_TRUE(both_exclusive_readers_wake(self->rd, self->wr));
}

/* The end of a delay is one event for all records that came during the delay. */
TEST_F(channel, end_of_a_delay_wakes_all_epoll_exclusive_readers)
{
	ASSERT_EQ(0, set_records(self->ctl, BPIPE_ORDER_FIFO, BPIPE_POLICY_BLOCK));
	ASSERT_EQ(0, set_reader(self->rd, SIZE, 500000));
	EXPECT_TRUE(both_exclusive_readers_wake(self->rd, self->wr));
}

/* A poller of a file open for both sides must not wake itself again and again. */
TEST_F(channel, poll_for_room_and_events_does_not_spin)
{
	struct pollfd p = { .fd = open(DEV, O_RDWR | O_NONBLOCK), .events = POLLOUT | POLLPRI };
	struct rusage before, after;

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE, .mode = BPIPE_MODE_RECORD }));
	ASSERT_EQ(LOW - 100, put(p.fd, LOW - 100));
	ASSERT_EQ(-1, put(p.fd, SIZE - LOW + 100));
	ASSERT_EQ(0, getrusage(RUSAGE_THREAD, &before));
	EXPECT_EQ(0, poll(&p, 1, 500));
	ASSERT_EQ(0, getrusage(RUSAGE_THREAD, &after));
	EXPECT_GE(3, after.ru_nvcsw - before.ru_nvcsw);
	EXPECT_GT(100000, (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
			  after.ru_stime.tv_usec - before.ru_stime.tv_usec);
	close(p.fd);
}

/* With a delay, data wakes each poller of data, and no poller of other events. */
TEST_F(channel, poller_of_events_sleeps_while_data_moves)
{
	struct pollfd p = { .fd = self->rd, .events = POLLPRI };
	struct rusage usage;
	pid_t pid;
	int status;

	ASSERT_EQ(0, set_reader(self->rd, 1, 1000));
	pid = spawn();
	if (!pid)
		_exit(poll(&p, 1, 2000));
	for (int i = 0; i < 300; i++) {
		ASSERT_EQ(10, put(self->wr, 10));
		ASSERT_EQ(10, take(self->rd, 10));
		usleep(1000);
	}
	ASSERT_EQ(pid, wait4(pid, &status, 0, &usage));
	EXPECT_EQ(0, status);
	EXPECT_GT(100, usage.ru_nvcsw);
}

TEST_F(channel, epoll_exclusive_writers_wake_one_by_one)
{
	struct sleeper s[3];
	int i;

	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	for (i = 0; i < 3; i++)
		sleeper_start(&s[i], self->wr, EPOLLOUT);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(3 - i, asleep(s));
		ASSERT_EQ(SIZE, take(self->rd, SIZE));
		ASSERT_TRUE(EVENTUALLY(woken(s) == i + 1));
		ASSERT_EQ(SIZE, put(self->wr, SIZE));
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(EPOLLOUT, sleeper_end(&s[i]));
}

/* End-of-file is not consumed by one reader, so all of them must wake. */
TEST_F(channel, end_of_file_wakes_all_epoll_exclusive_readers)
{
	struct sleeper s[3];
	int i;

	for (i = 0; i < 3; i++)
		sleeper_start(&s[i], self->rd, EPOLLIN);
	close(self->wr);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(EPOLLIN | EPOLLHUP, sleeper_end(&s[i]));
}

TEST_F(channel, last_reader_closing_wakes_all_epoll_exclusive_writers)
{
	struct sleeper s[3];
	int i;

	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_EPIPE, .epipe = 1 }));
	ASSERT_EQ(SIZE, put(self->wr, SIZE));
	for (i = 0; i < 3; i++)
		sleeper_start(&s[i], self->wr, EPOLLOUT);
	close(self->rd);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(EPOLLOUT | EPOLLERR, sleeper_end(&s[i]));
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(SIZE, take(self->rd, SIZE));
}

static volatile sig_atomic_t sigio_seen;

static void sigio(int sig)
{
	(void)sig;
	sigio_seen++;
}

TEST_F(channel, data_and_room_send_sigio)
{
	struct sigaction sa = { .sa_handler = sigio };

	sigaction(SIGIO, &sa, NULL);
	ASSERT_EQ(0, fcntl(self->rd, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(self->rd, F_SETFL, O_NONBLOCK | O_ASYNC));
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_TRUE(EVENTUALLY(sigio_seen == 1));
	ASSERT_EQ(0, fcntl(self->rd, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, fcntl(self->wr, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(self->wr, F_SETFL, O_NONBLOCK | O_ASYNC));
	ASSERT_EQ(HIGH - LOW, take(self->rd, HIGH - LOW));
	EXPECT_TRUE(EVENTUALLY(sigio_seen == 2));
}

TEST_F(channel, end_of_file_sends_sigio)
{
	struct sigaction sa = { .sa_handler = sigio };

	sigaction(SIGIO, &sa, NULL);
	ASSERT_EQ(0, fcntl(self->rd, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(self->rd, F_SETFL, O_NONBLOCK | O_ASYNC));
	close(self->wr);
	EXPECT_TRUE(EVENTUALLY(sigio_seen == 1));
}

TEST_F(channel, signal_set_by_f_setsig_identifies_the_file)
{
	siginfo_t info = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ASSERT_EQ(0, fcntl(self->rd, F_SETSIG, SIGRTMIN));
	ASSERT_EQ(0, fcntl(self->rd, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(self->rd, F_SETFL, O_NONBLOCK | O_ASYNC));
	ASSERT_EQ(10, put(self->wr, 10));
	ASSERT_EQ(SIGRTMIN, sigtimedwait(&set, &info, &(struct timespec) { .tv_sec = 10 }));
	EXPECT_EQ(self->rd, info.si_fd);
	EXPECT_EQ(POLLIN | POLLRDNORM, info.si_band);
}

/* A file with access mode 3 gets SIGIO when the level crosses a mark, not for each write. */
TEST_F(channel, events_send_sigio_to_a_file_without_access)
{
	siginfo_t info = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ASSERT_EQ(0, fcntl(self->ctl, F_SETSIG, SIGRTMIN));
	ASSERT_EQ(0, fcntl(self->ctl, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(self->ctl, F_SETFL, O_ASYNC));
	EXPECT_EQ(O_ASYNC, fcntl(self->ctl, F_GETFL) & O_ASYNC);
	for (int i = 0; i < 10; i++)
		ASSERT_EQ(10, put(self->wr, 10));
	ASSERT_EQ(HIGH - 100, put(self->wr, HIGH - 100));
	ASSERT_EQ(SIGRTMIN, sigtimedwait(&set, &info, &(struct timespec) { .tv_sec = 10 }));
	EXPECT_EQ(self->ctl, info.si_fd);
	EXPECT_EQ(POLLPRI | POLLRDBAND, info.si_band);
	EXPECT_EQ(BPIPE_EVENT_HIGH, get_events(self->ctl).events);
	ASSERT_EQ(HIGH, take(self->rd, HIGH));
	EXPECT_EQ(SIGRTMIN, sigtimedwait(&set, &info, &(struct timespec) { .tv_sec = 10 }));
	EXPECT_EQ(BPIPE_EVENT_LOW, get_events(self->ctl).events);
	EXPECT_EQ(-1, sigtimedwait(&set, &info, &(struct timespec) { 0 }));
}

TEST_F(channel, events_are_reported_once_to_each_open_file)
{
	int other = open(DEV, O_ACCMODE);

	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_EQ(POLLPRI, ready(other, POLLPRI));
	EXPECT_EQ(POLLPRI, ready(self->ctl, POLLPRI));
	EXPECT_EQ(BPIPE_EVENT_HIGH, get_events(other).events);
	EXPECT_EQ(0, get_events(other).events);
	EXPECT_EQ(0, ready(other, POLLPRI));
	ASSERT_EQ(HIGH, take(self->rd, HIGH));
	EXPECT_EQ(BPIPE_EVENT_LOW, get_events(other).events);
	EXPECT_EQ(BPIPE_EVENT_HIGH | BPIPE_EVENT_LOW, get_events(self->ctl).events);
	close(other);
}

TEST_F(channel, events_are_kept_after_the_first_query_of_a_reader)
{
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_EQ(0, ready(self->rd, POLLPRI));
	EXPECT_EQ(0, get_events(self->rd).events);
	ASSERT_EQ(HIGH, take(self->rd, HIGH));
	EXPECT_EQ(POLLPRI, ready(self->rd, POLLPRI));
	EXPECT_EQ(BPIPE_EVENT_LOW, get_events(self->rd).events);
}

TEST_F(channel, events_wake_a_poller)
{
	int ep = epoll_of(self->ctl, EPOLLPRI);
	struct epoll_event ev;

	EXPECT_EQ(0, epoll_now(ep));
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_EQ(1, epoll_wait(ep, &ev, 1, 10000));
	EXPECT_EQ(EPOLLPRI, ev.events);
}

/* EPOLLERR and EPOLLHUP reach every poller, whatever events it asked for. */
TEST_F(channel, setting_epipe_wakes_pollers_not_asking_for_pollout)
{
	const struct bpipe_config epipe = { .mask = BPIPE_CFG_EPIPE, .epipe = 1 };
	int ep = epoll_of(self->wr, EPOLLPRI);
	struct epoll_event ev;

	close(self->rd);
	EXPECT_EQ(0, epoll_now(ep));
	ASSERT_EQ(0, set_config(self->ctl, epipe));
	ASSERT_EQ(1, epoll_wait(ep, &ev, 1, 10000));
	EXPECT_EQ(EPOLLERR, ev.events);
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
}

TEST_F(channel, clearing_hold_wakes_pollers_not_asking_for_pollin)
{
	const struct bpipe_config hold = { .mask = BPIPE_CFG_HOLD, .hold = 1 };
	const struct bpipe_config no_hold = { .mask = BPIPE_CFG_HOLD };
	int ep = epoll_of(self->rd, EPOLLPRI);
	struct epoll_event ev;

	ASSERT_EQ(0, set_config(self->ctl, hold));
	close(self->wr);
	EXPECT_EQ(0, epoll_now(ep));
	ASSERT_EQ(0, set_config(self->ctl, no_hold));
	ASSERT_EQ(1, epoll_wait(ep, &ev, 1, 10000));
	EXPECT_EQ(EPOLLHUP, ev.events);
}

TEST_F(channel, first_read_without_a_writer_reports_pollhup)
{
	struct epoll_event ev;
	int rd, ep;

	ASSERT_EQ(10, put(self->wr, 10));
	close(self->wr);
	rd = open(DEV, O_RDONLY | O_NONBLOCK);
	ep = epoll_of(rd, EPOLLPRI);
	EXPECT_EQ(0, epoll_now(ep));
	ASSERT_EQ(10, take(rd, 10));
	ASSERT_EQ(1, epoll_wait(ep, &ev, 1, 10000));
	EXPECT_EQ(EPOLLHUP, ev.events);
	close(rd);
}

TEST_F(channel, threshold_keeps_a_reader_asleep)
{
	struct helper h;

	BLOCKING_READER();
	ASSERT_EQ(0, set_reader(self->rdb, 10000, 0));
	helper_start(&h, self->rdb, false, SIZE);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(9999, put(self->wr, 9999));
	EXPECT_EQ(1, get_stats(self->ctl).readers_waiting);
	EXPECT_FALSE(h.done);
	ASSERT_EQ(1, put(self->wr, 1));
	EXPECT_EQ(10000, helper_end(&h));
}

TEST_F(channel, high_mark_wakes_a_reader_below_its_threshold)
{
	struct helper h;

	BLOCKING_READER();
	ASSERT_EQ(0, set_reader(self->rdb, SIZE, 0));
	helper_start(&h, self->rdb, false, SIZE);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(HIGH, put(self->wr, HIGH));
	EXPECT_EQ(HIGH, helper_end(&h));
}

TEST_F(channel, closed_gate_of_an_unused_class_keeps_the_threshold)
{
	struct helper h;

	BLOCKING_READER();
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_LIMIT(7), .limit[7] = 4096 }));
	ASSERT_EQ(0, set_reader(self->rdb, 10000, 0));
	helper_start(&h, self->rdb, false, SIZE);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	for (int i = 0; i < 100; i++)
		ASSERT_EQ(100, put(self->wr, 100));
	EXPECT_EQ(10000, helper_end(&h));
}

TEST_F(channel, end_of_file_wakes_a_reader_below_its_threshold)
{
	struct helper h;

	BLOCKING_READER();
	ASSERT_EQ(0, set_reader(self->rdb, 10000, 0));
	helper_start(&h, self->rdb, false, SIZE);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(10, put(self->wr, 10));
	close(self->wr);
	EXPECT_EQ(10, helper_end(&h));
}

TEST_F(channel, delay_wakes_a_reader_below_its_threshold)
{
	unsigned long long start;
	struct helper h;

	BLOCKING_READER();
	ASSERT_EQ(0, set_reader(self->rdb, 10000, 20000));
	helper_start(&h, self->rdb, false, SIZE);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	start = now_ns();
	ASSERT_EQ(10, put(self->wr, 10));
	EXPECT_EQ(10, helper_end(&h));
	EXPECT_LE(20000000ULL, now_ns() - start);
}

TEST_F(channel, shorter_delay_does_not_wait_for_a_longer_one)
{
	struct pollfd p = { .fd = self->rd, .events = POLLIN };
	int third = open(DEV, O_RDONLY | O_NONBLOCK);
	struct helper h;

	BLOCKING_READER();
	ASSERT_EQ(0, set_reader(self->rdb, 1000, 3600000000ULL));
	helper_start(&h, self->rdb, false, SIZE);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	/* Start the timer for an hour, then read the data that started it. */
	ASSERT_EQ(10, put(self->wr, 10));
	ASSERT_EQ(10, take(third, 10));
	ASSERT_EQ(0, set_reader(third, 1000, 3600000000ULL));
	ASSERT_EQ(0, set_reader(self->rd, 1000, 10000));
	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_EQ(10, put(self->wr, 10));
	EXPECT_EQ(1, poll(&p, 1, 10000));
	ASSERT_EQ(1000, put(self->wr, 1000));
	EXPECT_EQ(1010, helper_end(&h));
	close(third);
}

TEST_F(channel, set_reader_wakes_a_sleeping_reader)
{
	struct helper h;

	BLOCKING_READER();
	ASSERT_EQ(0, set_reader(self->rdb, 1000, 0));
	helper_start(&h, self->rdb, false, SIZE);
	ASSERT_TRUE(EVENTUALLY(get_stats(self->ctl).readers_waiting == 1));
	ASSERT_EQ(10, put(self->wr, 10));
	EXPECT_EQ(1, get_stats(self->ctl).readers_waiting);
	ASSERT_EQ(0, set_reader(self->rdb, 10, 0));
	EXPECT_EQ(10, helper_end(&h));
}

TEST_F(channel, delay_wakes_a_poller_below_its_threshold)
{
	struct pollfd p = { .fd = self->rd, .events = POLLIN };

	ASSERT_EQ(0, set_reader(self->rd, 10000, 20000));
	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_EQ(10, put(self->wr, 10));
	EXPECT_EQ(1, poll(&p, 1, 10000));
}

TEST_F(channel, delay_of_a_waiting_poller_starts_with_the_first_byte)
{
	int ep = epoll_of(self->rd, EPOLLIN);
	struct epoll_event ev;

	ASSERT_EQ(0, set_reader(self->rd, 10000, 20000));
	ASSERT_EQ(10, put(self->wr, 10));
	EXPECT_EQ(1, epoll_wait(ep, &ev, 1, 10000));
	close(ep);
}

TEST_HARNESS_MAIN
