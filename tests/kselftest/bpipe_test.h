/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests share: a fixture with a clean channel of a known size, and
 * ways to wait for something to happen without guessing how long it takes.
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

/* 0 or -errno */
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

/* Likewise. */
static inline int set_writer(int fd, struct bpipe_writer writer)
{
	return ioctl(fd, BPIPE_SET_WRITER, &writer) ? -errno : 0;
}

static inline int grant(int fd, unsigned long long amount)
{
	struct bpipe_grant_credit credit = { .amount = amount };

	return ioctl(fd, BPIPE_GRANT, &credit) ? -errno : 0;
}

/* ADD; 0 or -errno */
static inline int add_channel(int control, const char *name, const struct bpipe_config *config)
{
	struct bpipe_add add = { .config = (unsigned long)config };

	add.config_size = config ? sizeof(*config) : 0;
	memcpy(add.name, name, strnlen(name, sizeof(add.name)));
	return ioctl(control, BPIPE_ADD, &add) ? -errno : 0;
}

/* REMOVE; 0 or -errno */
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

/* A socket on which the kernel's uevents arrive, starting now. */
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
 * Receive the next uevent of a channel into @text, as lines; the number of bytes, or
 * -1 if none arrives within ten seconds.
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

/* Return true once a uevent of the channel has this line. */
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

/* poll's answer for @events at once */
static inline int ready(int fd, int events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

/* Writes @n bytes of no meaning; what write said. */
static inline ssize_t put(int fd, size_t n)
{
	char *buf = calloc(1, n ? n : 1);
	ssize_t ret = write(fd, buf, n);
	int error = errno;

	free(buf);
	errno = error;
	return ret;
}

/* Reads up to @n bytes and forgets them; what read said. */
static inline ssize_t take(int fd, size_t n)
{
	char *buf = malloc(n ? n : 1);
	ssize_t ret = read(fd, buf, n);
	int error = errno;

	free(buf);
	errno = error;
	return ret;
}

/* Waits, for at most ten seconds, until a condition holds; whether it did. */
#define EVENTUALLY(cond) ({						\
	unsigned long long _end = now_ns() + 10000000000ULL;		\
	bool _ok;							\
	while (!(_ok = (cond)) && now_ns() < _end)			\
		sched_yield();						\
	_ok; })

/* The system calls of another thread, one at a time. */
struct helper {
	pthread_t thread;
	int fd;
	void *buf;	/* NULL: bytes of no meaning */
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

/* Its result once it is done; -ETIMEDOUT if it is not within ten seconds. */
static inline ssize_t helper_end(struct helper *h)
{
	if (!EVENTUALLY(h->done))
		return -ETIMEDOUT;
	pthread_join(h->thread, NULL);
	return h->ret < 0 ? -h->error : h->ret;
}

/* fork(), for a child that does not outlive the test however that ends. */
static inline pid_t spawn(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		abort();
	if (!pid && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent))
		_exit(125);
	return pid;
}

/* The exit status of a child, or minus the signal that ended it. */
static inline int reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		abort();
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * A stream in which no four bytes, at a multiple of four, come twice: what is
 * lost, doubled or displaced shows.
 */
static inline void pattern(unsigned char *buf, size_t at, size_t n)
{
	for (; n--; at++)
		*buf++ = (unsigned int)(at / 4) * 2654435761U >> at % 4 * 8;
}

/* Bytes that the buffers of all channels take. */
static inline unsigned long long memory(void)
{
	FILE *file = fopen("/sys/class/bpipe/memory", "r");
	unsigned long long bytes = 0;

	if (!file || fscanf(file, "%llu", &bytes) != 1)
		abort();
	fclose(file);
	return bytes;
}

/* Write a number to a file of the kernel's; return true if it was taken. */
static inline bool set_number(const char *file, unsigned long long value)
{
	char text[32];
	int fd = open(file, O_WRONLY);
	int n = snprintf(text, sizeof(text), "%llu\n", value);
	bool done = fd >= 0 && write(fd, text, n) == n;

	close(fd);
	return done;
}

/* For tests that need records, of whatever policy and order. */
static inline int set_records(int fd, unsigned int order, unsigned int policy)
{
	return set_config(fd, (struct bpipe_config) {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_ORDER | BPIPE_CFG_POLICY,
		.mode = BPIPE_MODE_RECORD, .order = order, .policy = policy,
	});
}

/* A writer of its own, of that class; non-blocking unless @flags says so. */
static inline int open_class(unsigned int class, int flags)
{
	const struct bpipe_writer writer = { .mask = BPIPE_WRITER_CLASS, .class = class };
	int fd = open(DEV, O_WRONLY | flags);

	if (fd < 0 || set_writer(fd, writer))
		abort();
	return fd;
}

/* The text of the next record in @fd, or what read said instead. */
static inline const char *next_text(int fd)
{
	static char text[256];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return strerror(errno);
	text[n] = 0;
	return text;
}

/* Does the law hold, for each class and in all? */
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
	int ctl;	/* looks and steers; neither reader nor writer */
	int rd;		/* non-blocking */
	int wr;		/* non-blocking */
	int rdb;	/* blocking, after open_blocking() */
	int wrb;
};

FIXTURE_SETUP(channel)
{
	/* All that there is to set, as it is in a new channel. */
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
