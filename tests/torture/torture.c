// SPDX-License-Identifier: GPL-2.0
/*
 * All features at once: writers, readers, resizers and meddlers, in processes
 * that are killed, stopped and interrupted at any moment.
 *
 * The data consists of cells of 64 bytes, each with its producer, its number, and
 * a payload derived from both. All lengths and sizes are multiples of 64, so a
 * reader gets whole cells, whatever calls move them, and can check each. A shared
 * table has a bit for each cell that was read. No cell may be read twice. At the
 * end, none may be missing, except cells that killed readers had taken.
 *
 * A rate limit splits long writes wherever tokens run out. Every other round has a rate
 * limit, and all its writes are short. Every other two rounds write records, of all
 * classes and policies; then as many may be missing as were counted as dropped. Other
 * channels come and go meanwhile.
 *
 * Hostile openers (hostile.c) have thousands of files open: of this channel, of a channel
 * where they move data, and of those channels. Half of the writers and readers share a
 * cgroup with them, which is frozen, thawed and kept short of memory. Two pairs that
 * misuse nothing (innocent.c) measure how much of that they notice.
 *
 * At the end of each round, killing and interrupting stops. Writers finish their
 * current call, readers read up to end-of-file, and all must end without help. A process
 * that does not end has missed a wake-up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpipe.h>

#include "../random.h"
#include "torture.h"

#define SYSFS		"/sys/class/bpipe/bpipe/"
#define CGROUP		"/sys/fs/cgroup/bpipe-torture"
#define VICTIMS		"/sys/fs/cgroup/bpipe-victims"
#define CELL		64U
#define ATOMIC_CELLS	(4096 / CELL)
#define PRODUCERS	4096U
#define CELLS		16384U		/* written by one producer, at most */
#define MOVE_MAX	(256U * 1024)	/* bytes in one call */
#define PIPE_SIZE	(64U * 1024)
#define ROUND_S		6
#define QUIET_S		3		/* that the innocents run without torture */
#define PATIENCE_S	120		/* time for processes to end without a signal */
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct cell {
	uint32_t producer;
	uint32_t number;
	uint16_t place;		/* in its write */
	uint16_t of;		/* cells of its write, if that was atomic; else 0 */
	uint32_t payload[CELL / 4 - 3];
};

enum role {
	WRITER, READER, CONFIGURER, SYSFS_USER, MEDDLER, CONFINED, FOUNDER, HOSTILE, OWNER, ROLES,
};

static const char *const role_names[] = {
	"writer", "reader", "configurer", "sysfs", "meddler", "confined", "founder", "hostile",
	"owner",
};

static const enum role cast[] = {
	WRITER, WRITER, WRITER, WRITER, WRITER, READER, READER, READER, READER,
	CONFIGURER, SYSFS_USER, MEDDLER, MEDDLER, CONFINED, FOUNDER, FOUNDER,
	HOSTILE, HOSTILE, HOSTILE, OWNER,
};

#define ACTORS ARRAY_SIZE(cast)

/* State that all processes share. */
static struct shared {
	atomic_bool stop;
	atomic_uint failed;
	bool rated;		/* this round: a rate limit, and short writes */
	bool records;		/* this round: records and their settings */
	atomic_uint producers;
	atomic_ullong read_cells;
	atomic_ullong calls[ROLES];
	struct {
		atomic_uint intended;
		atomic_uint acked;
	} producer[PRODUCERS];
	struct {
		atomic_uint reading;	/* bytes that it may have taken, unchecked */
		atomic_bool open;	/* it has its file open until stopping() */
	} actor[ACTORS];
	atomic_uchar seen[PRODUCERS][CELLS / 8];
} *shared;

static pid_t pids[ACTORS];
static int me;			/* index of this process among the actors */
static bool interrupts;		/* interrupts itself by a timer */

void fail(const char *format, ...)
{
	va_list args;

	if (shared->failed++ > 20)
		return;
	va_start(args, format);
	printf("torture: FAILED: ");
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

void nap_us(unsigned int us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000L };

	nanosleep(&ts, NULL);
}

bool stopping(void)
{
	return shared->stop;
}

void count_call(void)
{
	shared->calls[cast[me]]++;
}

/* Cells. */

static uint32_t payload(const struct cell *c, unsigned int i)
{
	return (c->producer * 2654435761U ^ c->number * 40503U) + i * 0x9e3779b9U;
}

static void cells_make(struct cell *c, uint32_t producer, uint32_t number, unsigned int nr,
		       bool atomic)
{
	for (unsigned int i = 0; i < nr; i++, c++) {
		c->producer = producer;
		c->number = number + i;
		c->place = i;
		c->of = atomic && nr <= ATOMIC_CELLS ? nr : 0;
		for (unsigned int j = 0; j < ARRAY_SIZE(c->payload); j++)
			c->payload[j] = payload(c, j);
	}
}

static void cell_check(const struct cell *c)
{
	static uint32_t next[PRODUCERS];
	unsigned char bit;

	if (c->producer >= PRODUCERS || c->number >= CELLS) {
		fail("a cell of no producer: %u %u", c->producer, c->number);
		return;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(c->payload); i++) {
		if (c->payload[i] != payload(c, i)) {
			fail("cell %u of %u is torn", c->number, c->producer);
			return;
		}
	}
	if (c->number >= shared->producer[c->producer].intended)
		fail("cell %u of %u has not been written yet", c->number, c->producer);
	if (c->number < next[c->producer])
		fail("cell %u of %u comes after %u", c->number, c->producer, next[c->producer] - 1);
	next[c->producer] = c->number + 1;
	bit = 1 << c->number % 8;
	if (atomic_fetch_or(&shared->seen[c->producer][c->number / 8], bit) & bit)
		fail("cell %u of %u comes twice", c->number, c->producer);
	shared->read_cells++;
}

static void cells_check(const struct cell *c, size_t bytes)
{
	if (bytes % CELL)
		fail("%zu bytes are no whole cells", bytes);
	for (size_t i = 0; i < bytes / CELL; i++) {
		cell_check(&c[i]);
		if (i + 1 < bytes / CELL && c[i].of && c[i].place + 1 < c[i].of &&
		    (c[i + 1].producer != c[i].producer || c[i + 1].number != c[i].number + 1))
			fail("an atomic write of %u is mixed with one of %u", c[i].producer,
			     c[i + 1].producer);
	}
}

/* Slow page faults: a thread fills the memory on demand. */

struct slow {
	int fd;
	unsigned char *at;
	const unsigned char *content;	/* NULL: zeros */
};

static void *slow_main(void *arg)
{
	struct slow *slow = arg;
	struct uffd_msg msg;

	while (read(slow->fd, &msg, sizeof(msg)) == sizeof(msg)) {
		size_t at = (msg.arg.pagefault.address & ~4095ULL) - (uintptr_t)slow->at;

		nap_us(rnd(20000));
		if (slow->content) {
			struct uffdio_copy copy = {
				.dst = (uintptr_t)slow->at + at,
				.src = (uintptr_t)slow->content + at,
				.len = 4096,
			};

			ioctl(slow->fd, UFFDIO_COPY, &copy);
		} else {
			struct uffdio_zeropage zero = {
				.range = { (uintptr_t)slow->at + at, 4096 },
			};

			ioctl(slow->fd, UFFDIO_ZEROPAGE, &zero);
		}
	}
	return NULL;
}

/*
 * Return @bytes of slow memory, to read @content from or to write to; NULL if userfaultfd
 * fails.
 */
static void *slow_get(struct slow *slow, pthread_t *thread, const void *content, size_t bytes)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg;
	sigset_t all, old;
	int error;

	slow->fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (slow->fd < 0)
		return NULL;
	slow->content = content;
	slow->at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg = (struct uffdio_register) {
		.range = { (uintptr_t)slow->at, (bytes + 4095) & ~4095ULL },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	/* Signals are for the thread that moves bytes. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = ioctl(slow->fd, UFFDIO_API, &api) || ioctl(slow->fd, UFFDIO_REGISTER, &reg) ||
		pthread_create(thread, NULL, slow_main, slow);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error) {
		munmap(slow->at, bytes);
		close(slow->fd);
		return NULL;
	}
	return slow->at;
}

static void slow_put(struct slow *slow, pthread_t thread, size_t bytes)
{
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	munmap(slow->at, bytes);
	close(slow->fd);
}

/* Calls that move bytes: they return a number of bytes or a negative error. */

static ssize_t said(ssize_t ret)
{
	return ret < 0 ? -errno : ret;
}

static ssize_t by_ring(int fd, bool write, void *buf, size_t n)
{
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	ssize_t ret;

	if (io_uring_queue_init(2, &ring, 0))
		return write ? said(pwritev2(fd, &(struct iovec) { buf, n }, 1, -1, 0)) :
			       said(preadv2(fd, &(struct iovec) { buf, n }, 1, -1, 0));
	sqe = io_uring_get_sqe(&ring);
	if (write)
		io_uring_prep_write(sqe, fd, buf, n, -1);
	else
		io_uring_prep_read(sqe, fd, buf, n, -1);
	if (rnd(2))
		sqe->flags |= IOSQE_ASYNC;
	/* Wait for the request even if interrupted, because it moves bytes. */
	while (io_uring_submit(&ring) < 0)
		;
	while (io_uring_wait_cqe(&ring, &cqe))
		;
	ret = cqe->res;
	io_uring_queue_exit(&ring);
	return ret;
}

static ssize_t by_slow_memory(int fd, bool write_it, void *buf, size_t n)
{
	static struct slow slow;
	pthread_t thread;
	ssize_t ret;
	void *at;

	at = slow_get(&slow, &thread, write_it ? buf : NULL, n);
	if (!at)
		return -EAGAIN;
	ret = said(write_it ? write(fd, at, n) : read(fd, at, n));
	if (!write_it && ret > 0)
		memcpy(buf, at, ret);
	slow_put(&slow, thread, n);
	return ret;
}

static ssize_t by_vector(int fd, bool write, void *buf, size_t n, int flags)
{
	size_t first = rnd(n + 1);
	struct iovec iov[3] = { { buf, first }, { buf, 0 }, { buf + first, n - first } };

	return said(write ? pwritev2(fd, iov, 3, -1, flags) : preadv2(fd, iov, 3, -1, flags));
}

static ssize_t write_by_splice(int fd, void *buf, size_t n)
{
	struct iovec iov = { buf, n };
	ssize_t ret;
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	fcntl(p[1], F_SETPIPE_SZ, MOVE_MAX);
	ret = said(vmsplice(p[1], &iov, 1, SPLICE_F_NONBLOCK));
	if (ret > 0)
		ret = said(splice(p[0], NULL, fd, NULL, ret / CELL * CELL,
				  rnd(2) ? SPLICE_F_NONBLOCK : 0));
	close(p[0]);
	close(p[1]);
	return ret;
}

static ssize_t write_by_sendfile(int fd, void *buf, size_t n)
{
	int file = memfd_create("cells", MFD_CLOEXEC);
	off_t at = 0;
	ssize_t ret;

	if (file < 0)
		return -errno;
	ret = said(pwrite(file, buf, n, 0));
	if (ret > 0)
		ret = said(sendfile(fd, file, &at, ret / CELL * CELL));
	close(file);
	return ret;
}

/* Read from a pipe, and check that tee() shows the same bytes first. */
static void read_twice(int pipe, void *buf, size_t n)
{
	static char copy[PIPE_SIZE];
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return;
	if (tee(pipe, p[1], n, SPLICE_F_NONBLOCK) == (ssize_t)n &&
	    read(p[0], copy, n) == (ssize_t)n && read(pipe, buf, n) == (ssize_t)n &&
	    memcmp(copy, buf, n))
		fail("tee shows other bytes than read");
	close(p[0]);
	close(p[1]);
}

static ssize_t read_by_splice(int fd, void *buf, size_t n)
{
	unsigned int way = rnd(3);
	ssize_t ret, got = 0, part;
	int p[2];

	n = n < PIPE_SIZE ? n : PIPE_SIZE;
	if (pipe2(p, O_CLOEXEC))
		return -errno;
	if (way)
		ret = said(splice(fd, NULL, p[1], NULL, n, rnd(2) ? SPLICE_F_NONBLOCK : 0));
	else
		ret = said(sendfile(p[1], fd, NULL, n));
	if (ret > 0 && way == 2) {
		struct pollfd left = { .fd = p[0], .events = POLLIN };

		read_twice(p[0], buf, ret);
		got = poll(&left, 1, 0) == 1 ? 0 : ret;
	}
	while (ret > 0 && got < ret) {
		part = read(p[0], buf + got, ret - got);
		if (part > 0)
			got += part;
	}
	close(p[0]);
	close(p[1]);
	return ret;
}

static ssize_t move(int fd, bool write_it, void *buf, size_t n, unsigned int way)
{
	switch (way) {
	case 0:
		return by_vector(fd, write_it, buf, n, 0);
	case 1:
		return by_vector(fd, write_it, buf, n, RWF_NOWAIT);
	case 2:
		return write_it ? write_by_splice(fd, buf, n) : read_by_splice(fd, buf, n);
	case 3:
		return write_it ? write_by_sendfile(fd, buf, n) : read_by_splice(fd, buf, n);
	case 4:
		return by_ring(fd, write_it, buf, n);
	case 5:
		return by_slow_memory(fd, write_it, buf, n);
	default:
		return said(write_it ? write(fd, buf, n) : read(fd, buf, n));
	}
}

/* Wait without a time limit until the file is ready. */
static void wait_for(int fd, short events)
{
	struct epoll_event ev = { .events = events | (rnd(2) ? EPOLLET : 0) };
	struct pollfd p = { .fd = fd, .events = events };
	int ep;

	if (rnd(2)) {
		poll(&p, 1, -1);
		return;
	}
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (rnd(2))
		ev.events |= EPOLLEXCLUSIVE;
	if (ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		epoll_wait(ep, &ev, 1, -1);
	close(ep);
}

/* Other operations on an open file. */

/* In record mode, a read may return frames: keep only the cells. */
static ssize_t unframe(unsigned char *buf, ssize_t n)
{
	struct timespec ts;
	struct bpipe_frame frame;
	ssize_t at = 0, cells = 0;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	while (at < n) {
		memcpy(&frame, buf + at, sizeof(frame));
		at += sizeof(frame);
		if (frame.len % CELL || !frame.len || frame.len > (size_t)(n - at) ||
		    frame.class >= BPIPE_CLASSES || frame.flags ||
		    frame.time_ns > ts.tv_sec * 1000000000ULL + ts.tv_nsec) {
			fail("a frame of %u bytes, class %u", frame.len, frame.class);
			return cells;
		}
		memmove(buf + cells, buf + at, frame.len);
		at += frame.len;
		cells += frame.len;
	}
	return cells;
}

/* Return true if the channel is gone; other processes may remove a founder's by force. */
static bool removed(void)
{
	return errno == ENODEV && cast[me] == FOUNDER;
}

static void law(int fd)
{
	uint64_t waited = 0;
	struct bpipe_stats s;

	if (ioctl(fd, BPIPE_GET_STATS, &s)) {
		if (!removed())
			fail("GET_STATS: %s", strerror(errno));
		return;
	}
	for (int i = 0; i < BPIPE_SOJOURN_BUCKETS; i++)
		waited += s.sojourn[i];
	if (waited != s.read_records)
		fail("%llu records were read, and %llu had waited", s.read_records,
		     (unsigned long long)waited);
	else if (s.written_bytes != s.read_bytes + s.queued_bytes + s.dropped_bytes ||
		 s.written_records != s.read_records + s.queued_records + s.dropped_records ||
		 s.level != s.queued_bytes + s.queued_records * BPIPE_RECORD_OVERHEAD)
		fail("sums differ: %llu written, %llu read, %llu queued, %llu dropped, level %llu",
		     s.written_bytes, s.read_bytes, s.queued_bytes, s.dropped_bytes, s.level);
}

/* Check the status page while it may change. */
static void look(int fd)
{
	int file = ioctl(fd, BPIPE_OPEN_STATUS);
	const struct bpipe_status *page;
	struct bpipe_status copy;
	unsigned int seq, patience = 1000;

	if (file < 0) {
		if (errno != ENOMEM && !removed())
			fail("OPEN_STATUS: %s", strerror(errno));
		return;
	}
	page = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, file, 0);
	close(file);
	if (page == MAP_FAILED)
		return;
	do {
		seq = __atomic_load_n(&page->seq, __ATOMIC_ACQUIRE);
		memcpy(&copy, page, sizeof(copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((seq % 2 || __atomic_load_n(&page->seq, __ATOMIC_RELAXED) != seq) && --patience);
	munmap((void *)page, getpagesize());
	if (patience && (copy.low >= copy.high || copy.high > copy.size ||
			 copy.state > BPIPE_STATE_GONE))
		fail("the status page has %llu %llu %llu, state %u", copy.low, copy.high,
		     copy.size, copy.state);
}

/* Let a child have the file for a while, by fork and perhaps by exec. */
static void lend(int fd)
{
	char name[16];
	pid_t pid = fork();

	if (pid > 0)
		return;
	if (pid < 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(5);
	if (rnd(2)) {
		nap_us(rnd(100000));
		_exit(0);
	}
	fcntl(fd, F_SETFD, 0);
	snprintf(name, sizeof(name), "%d", fd);
	execl("/proc/self/exe", "torture", "--look", name, NULL);
	_exit(0);
}

static void play(int fd)
{
	struct bpipe_reader reader = {
		.mask = rnd(4), .threshold = 1 + rnd(100000), .delay_us = rnd(3000),
	};
	struct bpipe_events events;
	struct bpipe_window window;
	int n;

	switch (rnd(13)) {
	case 0:
		ioctl(fd, BPIPE_SET_READER, &reader);
		break;
	case 1:
		ioctl(fd, BPIPE_GET_EVENTS, &events);
		break;
	case 2:
		ioctl(fd, BPIPE_GET_WINDOW, &window);
		break;
	case 3:
		ioctl(fd, FIONREAD, &n);
		break;
	case 4:
		fcntl(fd, F_SETOWN, getpid());
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) ^ O_ASYNC);
		break;
	case 5:
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) ^ O_NONBLOCK);
		break;
	case 6:
		lend(fd);
		break;
	case 7:
		close(dup(fd));
		break;
	case 8:
		look(fd);
		break;
	default:
		law(fd);
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void interrupt_later(void)
{
	struct itimerval timer = { .it_value.tv_usec = 1 + rnd(20000) };

	if (interrupts && !shared->stop)
		setitimer(ITIMER_REAL, &timer, NULL);
}

/* ECANCELED: a signal kept io_uring from starting a thread for the request. */
static bool usual(ssize_t ret, bool write_it)
{
	return ret >= 0 || ret == -EAGAIN || ret == -EINTR || ret == -ENOMEM ||
	       ret == -ECANCELED ||
	       (write_it && ret == -EPIPE) || (shared->records && ret == -EMSGSIZE) ||
	       (shared->records && write_it && ret == -ETIMEDOUT);
}

static unsigned int some_bytes(void)
{
	switch (rnd(4)) {
	case 0:
		if (shared->rated && !shared->records)
			return 4096;
		return CELL * (1 + rnd(MOVE_MAX / CELL));
	case 1:
		return CELL;
	default:
		return CELL * (1 + rnd(ATOMIC_CELLS));
	}
}

/* The roles. */

static int open_channel(const char *path, int mode)
{
	int fd = open(path, mode | O_CLOEXEC);

	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

static int any_open(int mode)
{
	return open_channel(DEV, mode | (rnd(3) ? 0 : O_NONBLOCK));
}

/* Set a class and a policy for as long as the file is open. */
static void some_writer(int fd)
{
	struct bpipe_writer w = {
		.mask = rnd(32), .class = rnd(BPIPE_CLASSES), .policy = rnd(5),
		.timeout = rnd(20000000), .rate = rnd(2) ? 0 : 10000000, .burst = rnd(100000),
	};

	if (shared->records && ioctl(fd, BPIPE_SET_WRITER, &w) && errno != ENOMEM &&
	    errno != ENOSPC)
		fail("SET_WRITER: %s", strerror(errno));
}

static void be_writer(void)
{
	static struct cell cells[MOVE_MAX / CELL] __attribute__((aligned(4096)));
	unsigned int producer = shared->producers++, number = 0;
	int fd = any_open(rnd(8) ? O_WRONLY : O_RDWR);

	if (producer >= PRODUCERS)
		pause();
	some_writer(fd);
	while (!shared->stop) {
		unsigned int way = rnd(10), bytes = some_bytes();
		ssize_t ret;

		if (number + bytes / CELL > CELLS)
			break;
		cells_make(cells, producer, number, bytes / CELL, way != 2 && way != 3);
		shared->producer[producer].intended = number + bytes / CELL;
		interrupt_later();
		if (!rnd(4))
			wait_for(fd, POLLOUT);
		ret = move(fd, true, cells, bytes, way);
		if (!usual(ret, true))
			fail("write by way %u: %s", way, strerror(-ret));
		if (ret > 0) {
			if (ret % CELL)
				fail("write by way %u of %u took %zd", way, bytes, ret);
			number += ret / CELL;
			shared->producer[producer].acked = number;
		} else if (ret == -EAGAIN && !shared->stop) {
			nap_us(rnd(1000));
		}
		shared->calls[WRITER]++;
		if (!rnd(8))
			play(fd);
	}
}

/* Open a reader's file; set @framed if it returns frames. */
static int open_reader(bool *framed)
{
	struct bpipe_reader r = { .mask = BPIPE_READER_FRAMED, .framed = rnd(2) };
	int fd = any_open(O_RDONLY);

	*framed = false;
	if (shared->records) {
		if (ioctl(fd, BPIPE_SET_READER, &r))
			fail("SET_READER: %s", strerror(errno));
		*framed = r.framed;
	}
	return fd;
}

static void be_reader(void)
{
	static struct cell cells[MOVE_MAX / CELL] __attribute__((aligned(4096)));
	bool framed;
	int fd = open_reader(&framed);

	shared->actor[me].open = true;
	for (;;) {
		unsigned int way = rnd(10), bytes = some_bytes();
		struct bpipe_grant_credit grant = { .amount = 1 + rnd(1000000) };
		ssize_t ret;

		if (shared->records && rnd(4))
			bytes = MOVE_MAX;
		if (shared->records)
			ioctl(fd, BPIPE_GRANT, &grant);
		interrupt_later();
		if (!rnd(4))
			wait_for(fd, POLLIN);
		shared->actor[me].reading = bytes;
		ret = move(fd, false, cells, bytes, way);
		if (!usual(ret, false))
			fail("read by way %u: %s", way, strerror(-ret));
		if (ret > 0)
			cells_check(cells, framed ? unframe((unsigned char *)cells, ret) : ret);
		shared->actor[me].reading = 0;
		shared->calls[READER]++;
		/*
		 * While the round runs, no writer may be open; at its end, end-of-file ends
		 * the reader.
		 */
		if (!ret && shared->stop)
			break;
		if (ret <= 0)
			nap_us(rnd(1000));
		if (!rnd(8))
			play(fd);
		if (!rnd(200)) {
			shared->actor[me].open = false;
			if (!shared->stop) {
				close(fd);
				fd = open_reader(&framed);
			}
			shared->actor[me].open = true;
		}
	}
}

static void some_config(struct bpipe_config *c, unsigned int size_max)
{
	static const uint64_t rates[] = { 0, 0, 0, 20000000, 200000000 };

	memset(c, 0, sizeof(*c));
	c->mask = rnd(256) | (rnd(3) ? 0 : BPIPE_CFG_OVERLOAD_AFTER);
	if (!shared->rated)
		c->mask &= ~BPIPE_CFG_RATE;
	c->size = CELL * (4096 / CELL + rnd((size_max - 4096) / CELL));
	c->high = 1 + rnd(c->size);
	c->low = rnd(c->high);
	c->rate = rates[rnd(ARRAY_SIZE(rates))];
	c->burst = rnd(2) ? 0 : 1 + rnd(1000000);
	c->hold = rnd(2);
	c->epipe = !rnd(4);
	c->overload_after = rnd(4) ? rnd(2000000) : 0;
}

/* Settings for records. */
static void some_record_config(struct bpipe_config *c, uint64_t known)
{
	unsigned int bit;

	for (bit = 8; bit < 48; bit++)
		c->mask |= !rnd(6) ? 1ULL << bit & known : 0;
	if (!rnd(3))
		c->mask |= BPIPE_CFG_CREDIT;
	c->order = rnd(2);
	c->policy = rnd(4);
	c->credit = rnd(4) ? 0 : rnd(3);
	c->drop_to_low = rnd(2);
	c->timeout = rnd(2) ? 0 : rnd(20000000);
	for (int i = 0; i < BPIPE_CLASSES; i++) {
		c->limit[i] = rnd(2) ? 0 : 4096 + rnd(c->size - 4095);
		c->ttl[i] = rnd(2) ? 0 : rnd(50000000);
		c->sojourn[i] = rnd(2) ? 0 : rnd(1000000);
	}
	if (!shared->rated)
		return;
	c->rate_records = rnd(2) ? 0 : 1000 + rnd(100000);
	c->read_rate = rnd(2) ? 0 : 20000000;
	c->read_rate_records = rnd(2) ? 0 : 1000 + rnd(100000);
}

/* Change the configuration; of the arena also the mode, whenever it is empty. */
static void be_configurer(const char *path, unsigned int size_max)
{
	bool arena = cast[me] == OWNER;
	int fd = open_channel(path, O_ACCMODE);
	struct bpipe_config c = { 0 };
	uint64_t known;

	ioctl(fd, BPIPE_GET_CONFIG, &c);
	known = c.mask & ~(BPIPE_CFG_UID | BPIPE_CFG_GID | BPIPE_CFG_PERMISSIONS);
	while (!shared->stop) {
		some_config(&c, size_max);
		c.mode = rnd(2);
		if (!arena)
			c.mask &= ~BPIPE_CFG_MODE;
		if (shared->records || arena)
			some_record_config(&c, known);
		if (ioctl(fd, BPIPE_SET_CONFIG, &c) && errno != EINVAL && errno != EBUSY &&
		    errno != ENOMEM && errno != ENOSPC && errno != EINTR &&
		    (errno != EOPNOTSUPP || !arena))
			fail("SET_CONFIG: %s", strerror(errno));
		if (!rnd(4))
			ioctl(fd, BPIPE_RESET_PEAKS);
		if (ioctl(fd, BPIPE_GET_CONFIG, &c) || c.low >= c.high || c.high > c.size)
			fail("GET_CONFIG: %llu %llu %llu", c.low, c.high, c.size);
		law(fd);
		shared->calls[cast[me]]++;
		nap_us(rnd(5000));
	}
}

static void be_sysfs_user(void)
{
	static const char *const names[] = {
		"size", "high", "low", "rate", "burst", "hold", "epipe", "drop_to_low", "level",
		"state", "window", "blocked_ns", "write_wait_ns", "read_wait_ns",
		"readers_waiting", "peak_level", "mode", "written_bytes", "pressure",
		"alarm_since_ns", "memory", "memory.7", "stats", "config",
	};
	char path[64], text[64];
	int fd;

	while (!shared->stop) {
		unsigned int i = rnd(ARRAY_SIZE(names));

		snprintf(path, sizeof(path), SYSFS "%s", names[i]);
		fd = open(path, i < 8 && rnd(2) ? O_RDWR : O_RDONLY);
		if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
			fail("%s: %s", path, strerror(errno));
		snprintf(text, sizeof(text), "%llu%s\n", i < 3 ? CELL * rnd(2000) : rnd(2),
			 rnd(20) ? "" : "K");
		if (i != 3 && write(fd, text, strlen(text)) < 0)
			shared->calls[SYSFS_USER]++;
		shared->calls[SYSFS_USER]++;
		close(fd);
		nap_us(rnd(2000));
	}
}

/* Send files over a socket, to a receiver or to none. */
static void pass(const int *fds, int nr)
{
	char control[CMSG_SPACE(sizeof(int) * 4)] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = CMSG_SPACE(sizeof(int) * nr),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int s[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, s))
		return;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * nr);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * nr);
	if (sendmsg(s[0], &msg, 0) == 1 && rnd(2)) {
		msg.msg_controllen = sizeof(control);
		if (recvmsg(s[1], &msg, MSG_CMSG_CLOEXEC) == 1) {
			c = CMSG_FIRSTHDR(&msg);
			for (int i = 0; c && i < nr; i++) {
				int fd;

				memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
				law(fd);
				close(fd);
			}
		}
	}
	close(s[0]);
	close(s[1]);
}

static void be_meddler(void)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE };

	while (!shared->stop) {
		int fds[4], nr = 1 + rnd(4);

		for (int i = 0; i < nr; i++)
			fds[i] = any_open(modes[rnd(4)]);
		if (!syscall(SYS_delete_module, "bpipe", O_NONBLOCK) ||
		    (errno != EWOULDBLOCK && errno != EINTR))
			fail("unloaded while open: %s", strerror(errno));
		pass(fds, nr);
		for (int i = 0; i < nr; i++) {
			if (!rnd(4))
				lend(fds[i]);
			close(fds[i]);
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		shared->calls[MEDDLER]++;
		nap_us(rnd(5000));
	}
	while (wait(NULL) > 0)
		;
}

static void put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		fail("%s: %s", path, strerror(errno));
	close(fd);
}

/* Use large buffers in a memory cgroup with little room, where allocations fail. */
static void be_confined(void)
{
	put_text(CGROUP "/cgroup.procs", "0");
	be_configurer(DEV, 32 << 20);
}

/* Add, use and remove channels, also while open; all founders use the same names. */
static void be_founder(void)
{
	int control = open(DEV "-control", O_RDWR | O_CLOEXEC), fd;
	struct bpipe_remove gone = { 0 };
	char path[64], bytes[8192] = { 0 };

	while (!shared->stop) {
		struct bpipe_config config = { 0 };
		struct bpipe_add add = {
			.config = (uintptr_t)&config, .config_size = sizeof(config),
		};

		some_config(&config, 256 * 1024);
		snprintf(gone.name, sizeof(gone.name), FOUNDED_NAME "%u",
			 (unsigned int)rnd(FOUNDED));
		memcpy(add.name, gone.name, sizeof(add.name));
		if (ioctl(control, BPIPE_ADD, &add) && errno != EEXIST && errno != EINVAL &&
		    errno != ENOMEM && errno != ENOSPC)
			fail("ADD: %s", strerror(errno));
		snprintf(path, sizeof(path), DEV "-%s", gone.name);
		chmod(path, 0666);
		fd = open(path, (rnd(2) ? O_RDWR : O_WRONLY) | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0) {
			if (write(fd, bytes, rnd(sizeof(bytes))) > 0 && rnd(2))
				read(fd, bytes, sizeof(bytes));
			play(fd);
			close(fd);
		} else if (errno != ENOENT && errno != ENXIO && errno != ENODEV &&
			   errno != ENOMEM && errno != ENOSPC && errno != EINTR) {
			fail("%s: %s", path, strerror(errno));
		}
		gone.flags = rnd(3);
		if (rnd(2) && ioctl(control, BPIPE_REMOVE, &gone) && errno != ENOENT &&
		    (errno != EBUSY || gone.flags))
			fail("REMOVE by %u: %s", gone.flags, strerror(errno));
		shared->calls[FOUNDER]++;
		nap_us(rnd(5000));
	}
	while (wait(NULL) > 0)
		;
}

static void ignore(int signal)
{
	(void)signal;
}

static void act(unsigned int i, uint64_t seed)
{
	struct sigaction act = { .sa_handler = ignore };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGALRM, &act, NULL);
	sigaction(SIGIO, &act, NULL);
	signal(SIGPIPE, SIG_IGN);
	rnd_seed(seed, i);
	me = i;
	interrupts = !rnd(3);
	if (cast[i] == HOSTILE || ((cast[i] == WRITER || cast[i] == READER) && rnd(2)))
		put_text(VICTIMS "/cgroup.procs", "0");
	switch (cast[i]) {
	case WRITER:
		be_writer();
		break;
	case READER:
		be_reader();
		break;
	case CONFIGURER:
		be_configurer(DEV, 256 * 1024);
		break;
	case OWNER:
		be_configurer(DEV "-" ARENA, 1 << 20);
		break;
	case HOSTILE:
		be_hostile(rnd(UINT64_MAX));
		break;
	case SYSFS_USER:
		be_sysfs_user();
		break;
	case MEDDLER:
		be_meddler();
		break;
	case FOUNDER:
		be_founder();
		break;
	default:
		be_confined();
	}
	exit(0);
}

/* The director. */

static unsigned long long forgiven;	/* bytes that killed readers may have taken */
static unsigned int killed;

static void start(unsigned int i)
{
	uint64_t seed = rnd(UINT64_MAX);

	shared->actor[i].open = false;
	pids[i] = fork();
	if (pids[i] < 0) {
		perror("fork");
		exit(2);
	}
	if (!pids[i])
		act(i, seed);
}

static void ended(unsigned int i, int status)
{
	if (WIFSIGNALED(status)) {
		if (WTERMSIG(status) != SIGKILL)
			fail("a %s ended by signal %d", role_names[cast[i]], WTERMSIG(status));
		forgiven += shared->actor[i].reading;
		shared->actor[i].reading = 0;
	}
	pids[i] = 0;
}

static void reap(bool restart)
{
	int status;

	for (unsigned int i = 0; i < ACTORS; i++) {
		if (pids[i] && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
			ended(i, status);
			if (restart)
				start(i);
		}
	}
}

static bool any_left(enum role role)
{
	for (unsigned int i = 0; i < ACTORS; i++)
		if (pids[i] && cast[i] == role)
			return true;
	return false;
}

static void show(unsigned int i)
{
	char path[64], line[256];
	FILE *file;

	printf("torture: %s %d does not end:\n", role_names[cast[i]], pids[i]);
	for (int what = 0; what < 2; what++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pids[i], what ? "stack" : "syscall");
		file = fopen(path, "r");
		while (file && fgets(line, sizeof(line), file))
			printf("\t%s", line);
		if (file)
			fclose(file);
	}
}

/* Wait until all actors with these roles have ended; readers then get end-of-file. */
static void wait_until_gone(enum role from, enum role to)
{
	uint64_t end = now_ms() + PATIENCE_S * 1000;
	bool left = true;

	while (left && now_ms() < end) {
		reap(false);
		left = false;
		for (enum role r = from; r <= to; r++)
			left |= any_left(r);
		nap_us(2000);
	}
	if (!left)
		return;
	fail("some actors are asleep and are not woken");
	for (unsigned int i = 0; i < ACTORS; i++)
		if (pids[i])
			show(i);
	for (unsigned int i = 0; i < ACTORS; i++)
		if (pids[i])
			kill(pids[i], SIGKILL);
	end = now_ms() + PATIENCE_S * 1000;
	for (unsigned int i = 0; i < ACTORS; i++)
		while (pids[i] && now_ms() < end)
			reap(false);
	for (unsigned int i = 0; i < ACTORS; i++) {
		if (pids[i]) {
			fail("cannot be killed");
			show(i);
		}
	}
}

/* Wait for the readers: one that opens after the last writer left waits for the next. */
static void wait_until_readers_are_open(void)
{
	for (unsigned int i = 0; i < ACTORS; i++)
		while (pids[i] && cast[i] == READER && !shared->actor[i].open) {
			reap(false);
			nap_us(2000);
		}
}

static void account(const struct bpipe_stats *before, const struct bpipe_stats *after)
{
	unsigned long long written = after->written_bytes - before->written_bytes;
	unsigned long long read = after->read_bytes - before->read_bytes;
	unsigned long long dropped = after->dropped_bytes - before->dropped_bytes;
	unsigned long long acked = 0, intended = 0, lost = 0;
	unsigned int nr = shared->producers < PRODUCERS ? shared->producers : PRODUCERS;

	for (unsigned int p = 0; p < nr; p++) {
		acked += shared->producer[p].acked;
		intended += shared->producer[p].intended;
		for (unsigned int c = 0; c < shared->producer[p].acked; c++)
			lost += !(shared->seen[p][c / 8] >> c % 8 & 1);
	}
	if (after->level || written != read + dropped)
		fail("%llu written, %llu read, %llu dropped, %llu left", written, read, dropped,
		     after->level);
	if (lost * CELL > forgiven + dropped || read < shared->read_cells * CELL ||
	    read - shared->read_cells * CELL > forgiven)
		fail("%llu bytes lost, %llu read but not seen; killed readers had at most %llu",
		     lost * CELL, read - shared->read_cells * CELL, forgiven);
	if (written < acked * CELL || written > intended * CELL)
		fail("%llu written, but write() returned %llu of %llu", written,
		     acked * CELL, intended * CELL);
}

/* Without writers and records, only class 0 has a buffer. */
static void check_memory(void)
{
	char path[64], text[64];
	unsigned int class;
	ssize_t n;
	int fd;

	for (class = 1; class < BPIPE_CLASSES; class++) {
		snprintf(path, sizeof(path), SYSFS "memory.%u", class);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = read(fd, text, sizeof(text));
		close(fd);
		if (n != 2 || memcmp(text, "0\n", 2))
			fail("%s: %.*s", path, n > 0 ? (int)n : 0, text);
	}
}

/* The kernel closes the files of killed processes in the background: wait for that. */
static struct bpipe_stats quiet_stats(int ctl)
{
	uint64_t end = now_ms() + PATIENCE_S * 1000;
	struct bpipe_stats s;

	do {
		if (ioctl(ctl, BPIPE_GET_STATS, &s))
			fail("GET_STATS: %s", strerror(errno));
	} while ((s.readers || s.writers) && now_ms() < end);
	if (s.readers || s.writers || s.readers_waiting || s.writers_waiting)
		fail("%u readers and %u writers are still there", s.readers, s.writers);
	return s;
}

/* Empty the channel, and give it a size of whole cells. */
static void clean(int ctl, bool records)
{
	struct bpipe_config config = {
		.mask = BPIPE_CFG_READ_RATE | BPIPE_CFG_READ_RATE_RECORDS,
	};
	int fd = open(DEV, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	static char buf[MOVE_MAX];

	if (ioctl(ctl, BPIPE_SET_CONFIG, &config))
		fail("SET_CONFIG: %s", strerror(errno));
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
	ioctl(ctl, BPIPE_GET_CONFIG, &config);
	config = (struct bpipe_config) {
		.mask = config.mask, .size = 65536, .high = 49152, .low = 16384, .mode = records,
		.uid = BPIPE_UNSET, .gid = BPIPE_UNSET,
		.permissions = BPIPE_UNSET,
	};
	if (ioctl(ctl, BPIPE_SET_CONFIG, &config))
		fail("SET_CONFIG: %s", strerror(errno));
}

/* Freeze the victims or limit their memory for a while; the OOM killer may end them. */
static void press_victims(void)
{
	static const char *const high[] = { "4M", "16M", "max" };
	static const char *const max[] = { "16M", "32M", "max" };

	switch (rnd(32)) {
	case 0:
		put_text(VICTIMS "/memory.high", high[rnd(3)]);
		break;
	case 1:
		put_text(VICTIMS "/memory.max", max[rnd(3)]);
		break;
	case 2:
		put_text(VICTIMS "/cgroup.freeze", "1");
		break;
	case 3:
	case 4:
		put_text(VICTIMS "/cgroup.freeze", "0");
	}
}

static void relieve_victims(void)
{
	put_text(VICTIMS "/memory.high", "max");
	put_text(VICTIMS "/memory.max", "max");
	put_text(VICTIMS "/cgroup.freeze", "0");
}

static void play_round(int ctl, int arena, unsigned int nr, uint64_t until)
{
	const struct bpipe_config calm = {
		.mask = BPIPE_CFG_RATE | BPIPE_CFG_HOLD | BPIPE_CFG_EPIPE | BPIPE_CFG_CREDIT |
			BPIPE_CFG_RATE_RECORDS | BPIPE_CFG_READ_RATE | BPIPE_CFG_READ_RATE_RECORDS,
	};
	struct bpipe_stats before = quiet_stats(ctl), after;
	int writer;

	memset(shared, 0, sizeof(*shared));
	shared->rated = nr % 2;
	shared->records = nr / 2 % 2;
	forgiven = 0;
	clean(ctl, shared->records);
	for (unsigned int i = 0; i < ACTORS; i++)
		start(i);
	while (now_ms() < until && !shared->failed) {
		unsigned int victim = rnd(ACTORS);

		nap_us(rnd(20000));
		reap(true);
		press_victims();
		if (!rnd(16))
			put_text(CGROUP "/memory.high", rnd(2) ? "1M" : "max");
		if (!rnd(8) && pids[victim]) {
			kill(pids[victim], SIGKILL);
			killed++;
		} else if (!rnd(8) && pids[victim]) {
			kill(pids[victim], SIGSTOP);
			nap_us(rnd(100000));
			kill(pids[victim], SIGCONT);
		}
	}

	shared->stop = true;
	put_text(CGROUP "/memory.high", "max");
	relieve_victims();
	wait_until_gone(CONFIGURER, OWNER);
	law(arena);
	/* Readers have now seen a writer, and get end-of-file once it leaves. */
	writer = any_open(O_WRONLY);
	wait_until_readers_are_open();
	if (ioctl(ctl, BPIPE_SET_CONFIG, &calm))
		fail("SET_CONFIG: %s", strerror(errno));
	wait_until_gone(WRITER, WRITER);
	close(writer);
	wait_until_gone(READER, READER);
	after = quiet_stats(ctl);
	account(&before, &after);
	check_memory();
}

/* Add a channel for records that stays until the end; return an open file of it. */
static int channel_add(int control, const char *name, gid_t group)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_MODE | BPIPE_CFG_SIZE, .mode = BPIPE_MODE_RECORD, .size = 65536,
	};
	struct bpipe_add add = { .config = (uintptr_t)&config, .config_size = sizeof(config) };
	char path[64];

	snprintf(add.name, sizeof(add.name), "%s", name);
	if (ioctl(control, BPIPE_ADD, &add))
		fail("ADD: %s", strerror(errno));
	snprintf(path, sizeof(path), DEV "-%s", name);
	if (chown(path, 0, group) || chmod(path, 0660))
		fail("%s: %s", path, strerror(errno));
	return open_channel(path, O_ACCMODE);
}

/* Retry: files that are closed in the background hold the module for a moment. */
static void unload(void)
{
	uint64_t end = now_ms() + PATIENCE_S * 1000;
	int ret;

	do {
		ret = syscall(SYS_delete_module, "bpipe", O_NONBLOCK);
		nap_us(2000);
	} while (ret && errno == EWOULDBLOCK && now_ms() < end);
	if (ret)
		fail("cannot unload the module at the end: %s", strerror(errno));
}

static int torture(unsigned int seconds, uint64_t seed)
{
	unsigned long long calls[ROLES] = { 0 }, cells = 0;
	unsigned int rounds = 0;
	uint64_t end, until;
	int ctl, control, arena, calm;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	ctl = open(DEV, O_ACCMODE | O_CLOEXEC);
	control = open(DEV "-control", O_RDWR | O_CLOEXEC);
	if (shared == MAP_FAILED || ctl < 0 || control < 0) {
		perror(DEV);
		return 2;
	}
	mkdir(CGROUP, 0755);
	mkdir(VICTIMS, 0755);
	put_text(CGROUP "/memory.max", "8M");
	printf("torture: seed %llu, %u seconds\n", (unsigned long long)seed, seconds);
	fflush(stdout);
	rnd_seed(seed, 0);
	if (chown(DEV, 0, HOSTILE_ID) || chmod(DEV, 0660))
		fail("chown " DEV ": %s", strerror(errno));
	arena = channel_add(control, ARENA, HOSTILE_ID);
	calm = channel_add(control, CALM, 0);
	if (!innocents_start())
		fail("innocents: %s", strerror(errno));
	innocents_phase(INNOCENT_QUIET);
	nap_us(QUIET_S * 1000000);
	innocents_phase(INNOCENT_TORTURE);

	end = now_ms() + seconds * 1000ULL;
	while (now_ms() < end && !shared->failed) {
		until = now_ms() + ROUND_S * 1000;
		play_round(ctl, arena, rounds++, until < end ? until : end);
		cells += shared->read_cells;
		for (unsigned int r = 0; r < ROLES; r++)
			calls[r] += shared->calls[r];
		printf("torture: round %u: %llu KiB read and checked, %u killed so far\n", rounds,
		       shared->read_cells * CELL / 1024, killed);
		fflush(stdout);
	}
	innocents_end(PATIENCE_S * 1000);
	close(arena);
	close(calm);
	close(control);
	close(ctl);
	unload();
	innocents_print();
	printf("torture: %u rounds, %llu MiB;", rounds, cells * CELL >> 20);
	for (unsigned int r = 0; r < ROLES; r++)
		printf(" %s %llu", role_names[r], calls[r]);
	printf("\ntorture: %s\n", shared->failed ? "FAILED" : "passed");
	return !!shared->failed;
}

int main(int argc, char **argv)
{
	uint64_t seed = time(NULL), seconds = 60;
	const struct setting settings[] = {
		{ "--seconds", .number = &seconds }, { "--seed", .number = &seed }, { 0 },
	};
	struct bpipe_stats stats;

	/* The program that lend() starts. */
	if (argc == 3 && !strcmp(argv[1], "--look"))
		return ioctl(atoi(argv[2]), BPIPE_GET_STATS, &stats) != 0;
	if (!settings_get(argc, argv, settings)) {
		fprintf(stderr, "usage: torture [--seconds N] [--seed N]\n");
		return 2;
	}
	return torture(seconds, seed);
}
