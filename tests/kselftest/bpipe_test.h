/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the tests: a fixture with an empty channel of a known size, and helpers.
 * Helpers wait for a condition instead of sleeping for a guessed time.
 */
#ifndef BPIPE_TEST_H
#define BPIPE_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/bpipe.h>
#include <linux/netlink.h>

#include "kselftest_harness.h"

#define DEV		"/dev/bpipe"
#define CONTROL		"/dev/bpipe-control"
#define SYSFS		"/sys/class/bpipe/bpipe/"
#define SIZE		65536
#define HIGH		49152
#define LOW		16384
#define ATOMIC		4096	/* PIPE_BUF */

static inline unsigned long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static inline struct bpipe_stats get_stats(int fd)
{
	struct bpipe_stats stats = { 0 };

	if (ioctl(fd, BPIPE_GET_STATS, &stats))
		abort();
	return stats;
}

static inline struct bpipe_config get_config(int fd)
{
	struct bpipe_config config = { 0 };

	if (ioctl(fd, BPIPE_GET_CONFIG, &config))
		abort();
	return config;
}

static inline struct bpipe_window get_window(int fd)
{
	struct bpipe_window window = { 0 };

	if (ioctl(fd, BPIPE_GET_WINDOW, &window))
		abort();
	return window;
}

static inline struct bpipe_events get_events(int fd)
{
	struct bpipe_events events = { 0 };

	if (ioctl(fd, BPIPE_GET_EVENTS, &events))
		abort();
	return events;
}

/* This and the ioctl wrappers below return 0 or -errno. */
static inline int set_config(int fd, struct bpipe_config config)
{
	return ioctl(fd, BPIPE_SET_CONFIG, &config) ? -errno : 0;
}

static inline int set_reader(int fd, unsigned long long threshold, unsigned long long delay_us)
{
	struct bpipe_reader reader = {
		.mask = BPIPE_READER_THRESHOLD | BPIPE_READER_DELAY,
		.threshold = threshold,
		.delay_us = delay_us,
	};

	return ioctl(fd, BPIPE_SET_READER, &reader) ? -errno : 0;
}

static inline int set_writer(int fd, struct bpipe_writer writer)
{
	return ioctl(fd, BPIPE_SET_WRITER, &writer) ? -errno : 0;
}

static inline int grant(int fd, unsigned long long amount)
{
	struct bpipe_grant_credit credit = { .amount = amount };

	return ioctl(fd, BPIPE_GRANT, &credit) ? -errno : 0;
}

static inline int add_channel(int control, const char *name, const struct bpipe_config *config)
{
	struct bpipe_add add = { .config = (unsigned long)config };

	add.config_size = config ? sizeof(*config) : 0;
	memcpy(add.name, name, strnlen(name, sizeof(add.name)));
	return ioctl(control, BPIPE_ADD, &add) ? -errno : 0;
}

static inline int remove_with(int control, const char *name, unsigned int flags)
{
	struct bpipe_remove remove = { .flags = flags };

	memcpy(remove.name, name, strnlen(name, sizeof(remove.name)));
	return ioctl(control, BPIPE_REMOVE, &remove) ? -errno : 0;
}

static inline int remove_channel(int control, const char *name)
{
	return remove_with(control, name, 0);
}

/* Open a socket that receives the kernel's uevents. */
static inline int uevents_open(void)
{
	const struct sockaddr_nl all = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	const struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&all, sizeof(all)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		abort();
	return fd;
}

/*
 * Receive the next uevent of @channel into @text, one variable a line. Return the number
 * of bytes, or -1 if no uevent arrives within the socket's timeout.
 */
static inline ssize_t next_uevent(int fd, const char *channel, char *text, size_t len)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/bpipe/%s\n", channel);
	do {
		n = recv(fd, text, len - 1, 0);
		for (ssize_t i = 0; i < n; i++)
			if (!text[i])
				text[i] = '\n';
		if (n >= 0)
			text[n] = 0;
	} while (n >= 0 && !strstr(text, path));
	return n;
}

/* Return true if a uevent of @channel has @line before the socket's timeout expires. */
static inline bool uevent(int fd, const char *channel, const char *line)
{
	char text[4096], wanted[64];

	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	while (next_uevent(fd, channel, text, sizeof(text)) >= 0)
		if (strstr(text, wanted))
			return true;
	return false;
}

static inline int queued(int fd)
{
	int n = -1;

	return ioctl(fd, FIONREAD, &n) ? -1 : n;
}

/* Return the events of @events that poll() reports now. */
static inline int ready(int fd, int events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

/* Write @n zero bytes; return the result of write() and keep its errno. */
static inline ssize_t put(int fd, size_t n)
{
	char *buf = calloc(1, n ? n : 1);
	ssize_t ret = write(fd, buf, n);
	int error = errno;

	free(buf);
	errno = error;
	return ret;
}

/* Read up to @n bytes and discard them; return the result of read() and keep its errno. */
static inline ssize_t take(int fd, size_t n)
{
	char *buf = malloc(n ? n : 1);
	ssize_t ret = read(fd, buf, n);
	int error = errno;

	free(buf);
	errno = error;
	return ret;
}

/* Wait at most ten seconds until a condition holds; true if it holds by then. */
#define EVENTUALLY(cond) ({						\
	unsigned long long _end = now_ns() + 10000000000ULL;		\
	bool _ok;							\
	while (!(_ok = (cond)) && now_ns() < _end)			\
		sched_yield();						\
	_ok; })

/* One read() or write() made by another thread. */
struct helper {
	pthread_t thread;
	int fd;
	void *buf;	/* NULL: write zero bytes, or discard the bytes read */
	size_t n;
	bool write;
	volatile bool done;
	ssize_t ret;
	int error;
};

static inline void *helper_main(void *arg)
{
	struct helper *h = arg;

	if (h->buf)
		h->ret = h->write ? write(h->fd, h->buf, h->n) : read(h->fd, h->buf, h->n);
	else
		h->ret = h->write ? put(h->fd, h->n) : take(h->fd, h->n);
	h->error = errno;
	h->done = true;
	return NULL;
}

static inline void helper_start_with(struct helper *h, int fd, bool write, void *buf, size_t n)
{
	*h = (struct helper) { .fd = fd, .write = write, .buf = buf, .n = n };
	if (pthread_create(&h->thread, NULL, helper_main, h))
		abort();
}

static inline void helper_start(struct helper *h, int fd, bool write, size_t n)
{
	helper_start_with(h, fd, write, NULL, n);
}

/* Return the result of the helper's call, or -errno; -ETIMEDOUT after ten seconds. */
static inline ssize_t helper_end(struct helper *h)
{
	if (!EVENTUALLY(h->done))
		return -ETIMEDOUT;
	pthread_join(h->thread, NULL);
	return h->ret < 0 ? -h->error : h->ret;
}

/* Fork a child that is killed when the test ends, however the test ends. */
static inline pid_t spawn(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		abort();
	if (!pid && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent))
		_exit(125);
	return pid;
}

/* Wait for a child; return its exit status, or minus the signal that killed it. */
static inline int reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		abort();
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * Fill @buf with @n bytes of a stream, starting at position @at. All aligned four-byte words
 * of the stream differ, so a comparison detects lost, duplicated and displaced bytes.
 */
static inline void pattern(unsigned char *buf, size_t at, size_t n)
{
	for (; n--; at++)
		*buf++ = (unsigned int)(at / 4) * 2654435761U >> at % 4 * 8;
}

/* Return the size of the buffers of all channels, in bytes. */
static inline unsigned long long memory(void)
{
	FILE *file = fopen("/sys/class/bpipe/memory", "r");
	unsigned long long bytes = 0;

	if (!file || fscanf(file, "%llu", &bytes) != 1)
		abort();
	fclose(file);
	return bytes;
}

/* Write @value to a file in sysfs or cgroupfs; return true if the kernel accepts it. */
static inline bool set_number(const char *file, unsigned long long value)
{
	char text[32];
	int fd = open(file, O_WRONLY);
	int n = snprintf(text, sizeof(text), "%llu\n", value);
	bool done = fd >= 0 && write(fd, text, n) == n;

	close(fd);
	return done;
}

/* Switch the channel to record mode. */
static inline int set_records(int fd, unsigned int order, unsigned int policy)
{
	return set_config(fd, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_ORDER | BPIPE_CFG_POLICY,
		.mode = BPIPE_MODE_RECORD, .order = order, .policy = policy,
	});
}

/* Open a separate writer of @class; blocking unless @flags has O_NONBLOCK. */
static inline int open_class(unsigned int class, int flags)
{
	const struct bpipe_writer writer = { .mask = BPIPE_WRITER_CLASS, .class = class };
	int fd = open(DEV, O_WRONLY | flags);

	if (fd < 0 || set_writer(fd, writer))
		abort();
	return fd;
}

/* Read the next record; return its text, or that of the error. */
static inline const char *next_text(int fd)
{
	static char text[256];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return strerror(errno);
	text[n] = 0;
	return text;
}

/* Return true if written = read + queued + dropped, for each class and in total. */
static inline bool lawful(const struct bpipe_stats *s)
{
	unsigned long long bytes = 0, records = 0, held = 0, waited = 0;
	bool holds = true;

	for (int i = 0; i < BPIPE_SOJOURN_BUCKETS; i++)
		waited += s->sojourn[i];

	for (int c = 0; c < BPIPE_CLASSES; c++) {
		const struct bpipe_class_stats *class = &s->classes[c];
		unsigned long long dropped_bytes = 0, dropped_records = 0;

		for (int i = 0; i < BPIPE_DROP_REASONS; i++) {
			dropped_bytes += class->dropped_bytes[i];
			dropped_records += class->dropped_records[i];
		}
		holds &= class->written_bytes == class->read_bytes + class->queued_bytes +
						 dropped_bytes;
		holds &= class->written_records == class->read_records +
						   class->queued_records + dropped_records;
		bytes += dropped_bytes;
		records += dropped_records;
		held += class->queued_bytes + class->queued_records * BPIPE_RECORD_OVERHEAD;
	}
	return holds && held == s->level && waited == s->read_records &&
	       bytes == s->dropped_bytes && records == s->dropped_records &&
	       s->written_bytes == s->read_bytes + s->queued_bytes + bytes &&
	       s->written_records == s->read_records + s->queued_records + records;
}

FIXTURE(channel) {
	int ctl;	/* for ioctls only: neither reader nor writer */
	int rd;		/* non-blocking */
	int wr;		/* non-blocking */
	int rdb;	/* blocking, after BLOCKING_READER() */
	int wrb;	/* blocking, after BLOCKING_WRITER() */
};

FIXTURE_SETUP(channel)
{
	/* Every setting as in a new channel, except size and marks. */
	struct bpipe_config clean = {
		.size = SIZE, .high = HIGH, .low = LOW, .uid = BPIPE_UNSET, .gid = BPIPE_UNSET,
		.permissions = BPIPE_UNSET,
	};

	signal(SIGPIPE, SIG_IGN);
	self->ctl = open(DEV, O_ACCMODE);
	ASSERT_LE(0, self->ctl);
	ASSERT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_READ_RATE | BPIPE_CFG_READ_RATE_RECORDS }));
	self->rd = open(DEV, O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, self->rd);
	while (take(self->rd, 1 << 20) > 0)
		;
	clean.mask = get_config(self->ctl).mask;
	ASSERT_EQ(0, set_config(self->ctl, clean));
	self->wr = open(DEV, O_WRONLY | O_NONBLOCK);
	ASSERT_LE(0, self->wr);
	self->rdb = -1;
	self->wrb = -1;
}

FIXTURE_TEARDOWN(channel)
{
	struct bpipe_stats stats;

	stats = get_stats(self->ctl);
	EXPECT_TRUE(lawful(&stats));
	EXPECT_EQ(0, set_config(self->ctl, (struct bpipe_config) {
		.mask = BPIPE_CFG_READ_RATE | BPIPE_CFG_READ_RATE_RECORDS }));
	EXPECT_EQ(0, set_reader(self->rd, 1, 0));
	while (take(self->rd, 1 << 20) > 0)
		;
	stats = get_stats(self->ctl);
	EXPECT_TRUE(lawful(&stats));
	EXPECT_EQ(0, stats.level);
}

#define BLOCKING_READER() (self->rdb = open(DEV, O_RDONLY))
#define BLOCKING_WRITER() (self->wrb = open(DEV, O_WRONLY))

#endif /* BPIPE_TEST_H */
