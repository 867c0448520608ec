// SPDX-License-Identifier: GPL-2.0
/*
 * The hostile opener: an unprivileged member of the channels' group. It can only
 * open channels, and does all that an open file allows, as often as it can.
 *
 * On the channel DEV, where the others check each byte, it moves no data. There, it has
 * thousands of files open, requests odd settings, polls, and sleeps in reads into
 * memory that cannot be written to.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpipe.h>

#include "../random.h"
#include "torture.h"

#define FILES		3000U		/* open files of channels, at most */
#define POLLED		1024U
#define EPOLLS		8U
#define CHILDREN	12U
#define THREADS		6U
#define THREADS_FD	(FILES + 128)	/* descriptors of threads; open() returns lower numbers */
#define PAGES		16U		/* status pages mapped */
#define MOVE_MAX	(192U << 10)
#define PAGE		4096U
#define MAIN		0		/* channels: DEV; the arena; one that comes and goes */

static struct {
	int fd;
	unsigned char channel;
} files[FILES];

static unsigned int nr_files;
static int epolls[EPOLLS];
static pid_t children[CHILDREN];
static void *pages[PAGES];
static atomic_uint threads;
static char *memory;			/* MOVE_MAX bytes, followed by an unmapped page */
static struct io_uring ring;
static bool ring_on;

/* End despite a storm of signals. */
static void on_signal(int signal)
{
	(void)signal;
	if (stopping())
		_exit(0);
}

/* Interrupt each sleeping call every @us until called with 0. */
static void interrupt_each(unsigned int us)
{
	const struct itimerval timer = { .it_value.tv_usec = us, .it_interval.tv_usec = us };

	setitimer(ITIMER_REAL, &timer, NULL);
}

static uint64_t any_number(void)
{
	switch (rnd(8)) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return 1ULL << rnd(64);
	case 3:
		return (1ULL << rnd(64)) - 1;
	case 4:
		return rnd(UINT64_MAX);
	default:
		return rnd(200000);
	}
}

static size_t any_length(void)
{
	switch (rnd(6)) {
	case 0:
		return rnd(4);
	case 1:
		return 4090 + rnd(12);
	case 2:
		return rnd(MOVE_MAX + 1);
	default:
		return 1 + rnd(3000);
	}
}

/* Return memory that cannot be used. */
static char *nowhere(void)
{
	return memory + MOVE_MAX;
}

/* Return memory for @n bytes; sometimes, a part of it cannot be used. */
static char *any_memory(size_t n)
{
	switch (rnd(16)) {
	case 0:
		return nowhere();
	case 1:
		return memory + MOVE_MAX - n / 2;
	default:
		return memory + MOVE_MAX - n;
	}
}

static unsigned int any_file(void)
{
	return rnd(nr_files);
}

/* Choose a file where data may be moved. Return false if none was found. */
static bool any_data_file(int *fd)
{
	for (int i = 0; i < 8; i++) {
		unsigned int f = any_file();

		*fd = files[f].fd;
		if (files[f].channel != MAIN)
			return true;
	}
	return false;
}

/* Files. */

static void open_one(void)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE };
	unsigned int channel = rnd(4);
	char path[64];
	int fd;

	if (channel == MAIN)
		snprintf(path, sizeof(path), DEV);
	else if (channel < 3)
		snprintf(path, sizeof(path), DEV "-" ARENA);
	else
		snprintf(path, sizeof(path), DEV "-" FOUNDED_NAME "%u",
			 (unsigned int)rnd(FOUNDED));
	fd = open(path, modes[rnd(4)] | O_CLOEXEC | (rnd(4) ? O_NONBLOCK : 0));
	if (fd >= 0) {
		files[nr_files].fd = fd;
		files[nr_files++].channel = channel;
		return;
	}
	/* A new channel belongs to root until its permissions are set. */
	if (errno != ENOENT && errno != ENXIO && errno != ENODEV && errno != ENOMEM &&
	    errno != ENOSPC && errno != EMFILE && errno != ENFILE && errno != EINTR &&
	    (errno != EACCES || channel < 3))
		fail("a member of the group opens %s: %s", path, strerror(errno));
}

static void open_many(void)
{
	unsigned int n = 1 + rnd(rnd(8) ? 8 : 1000);

	while (n-- && nr_files < FILES && !stopping())
		open_one();
}

static void close_one(void)
{
	unsigned int f = any_file();

	close(files[f].fd);
	files[f] = files[--nr_files];
}

static void close_many(void)
{
	unsigned int n = 1 + rnd(rnd(8) ? 8 : FILES);

	while (n-- && nr_files > 1)
		close_one();
}

static void double_one(void)
{
	unsigned int f = any_file(), to = any_file();
	int fd;

	if (rnd(2)) {
		/* Replace another file, which dup3() closes. */
		if (f != to && dup3(files[f].fd, files[to].fd, O_CLOEXEC) >= 0)
			files[to].channel = files[f].channel;
		return;
	}
	if (nr_files == FILES)
		return;
	fd = fcntl(files[f].fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return;
	files[nr_files].channel = files[f].channel;
	files[nr_files++].fd = fd;
}

/* Settings. */

static void set_writer(int fd)
{
	struct bpipe_writer w = {
		.mask = rnd(32), .class = rnd(BPIPE_CLASSES), .policy = rnd(5),
		.timeout = rnd(20000000), .rate = rnd(2) ? 0 : rnd(100000000),
		.burst = rnd(100000),
	};

	if (!rnd(3)) {
		w.mask = rnd(2) ? w.mask : any_number();
		w.class = any_number();
		w.policy = any_number();
		w.timeout = any_number();
		w.rate = any_number();
		w.burst = any_number();
	}
	ioctl(fd, BPIPE_SET_WRITER, &w);
}

static void set_reader(int fd)
{
	struct bpipe_reader r = {
		.mask = rnd(8), .threshold = 1 + rnd(100000), .delay_us = rnd(3000),
		.framed = rnd(2),
	};

	if (!rnd(3)) {
		r.mask = rnd(2) ? r.mask : any_number();
		r.threshold = any_number();
		r.delay_us = any_number();
		r.framed = any_number();
		r.pad = rnd(8) ? 0 : any_number();
	}
	ioctl(fd, BPIPE_SET_READER, &r);
}

/* Call any command, with any size. */
static void call_odd(int fd)
{
	unsigned long cmd = _IOC(rnd(4), BPIPE_IOC_MAGIC, rnd(16), rnd(3) ? rnd(900) : rnd(16384));
	int file = ioctl(fd, cmd, any_memory(16384));

	/* The command may be OPEN_STATUS. */
	if (file > 0)
		close(file);
}

/* Call commands that only the owner may use. */
static void call_forbidden(int fd)
{
	struct bpipe_config c = { .mask = any_number(), .size = 4096 };

	if (!ioctl(fd, BPIPE_SET_CONFIG, &c) || (errno != EPERM && errno != ENODEV))
		fail("a member of the group sets the configuration: %s", strerror(errno));
	if (!ioctl(fd, BPIPE_RESET_PEAKS) || (errno != EPERM && errno != ENODEV))
		fail("a member of the group resets the peaks: %s", strerror(errno));
}

static void look_at(int fd)
{
	struct bpipe_window window;
	struct bpipe_events events;
	struct bpipe_stats stats;
	char path[64];
	int file, n;

	switch (rnd(5)) {
	case 0:
		ioctl(fd, BPIPE_GET_STATS, &stats);
		break;
	case 1:
		ioctl(fd, BPIPE_GET_WINDOW, &window);
		break;
	case 2:
		ioctl(fd, BPIPE_GET_EVENTS, &events);
		break;
	case 3:
		ioctl(fd, FIONREAD, &n);
		break;
	default:
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		file = open(path, O_RDONLY | O_CLOEXEC);
		if (file >= 0 && read(file, memory, PAGE) < 0 && errno != EINTR && errno != ENOMEM)
			fail("%s: %s", path, strerror(errno));
		close(file);
	}
}

static void grant(int fd)
{
	const struct bpipe_grant_credit g = { .amount = rnd(2) ? rnd(1000000) : any_number() };

	ioctl(fd, BPIPE_GRANT, &g);
}

/* Map a status page in place of another, and keep it. */
static void map_status(int fd)
{
	unsigned int i = rnd(PAGES);
	int file = ioctl(fd, BPIPE_OPEN_STATUS);
	void *at;

	if (file < 0)
		return;
	at = mmap(NULL, PAGE, PROT_READ, rnd(2) ? MAP_SHARED : MAP_PRIVATE, file, 0);
	close(file);
	if (at == MAP_FAILED)
		return;
	if (pages[i])
		munmap(pages[i], PAGE);
	pages[i] = at;
	__atomic_load_n((uint32_t *)at, __ATOMIC_RELAXED);
}

/* Ask for SIGIO, or another signal, on one file or many. */
static void ask_for_signals(void)
{
	unsigned int n = rnd(8) ? 1 : rnd(nr_files);
	bool on = rnd(2);

	while (n-- && !stopping()) {
		int fd = files[any_file()].fd, flags = fcntl(fd, F_GETFL);

		fcntl(fd, F_SETOWN, rnd(2) ? getpid() : -getpid());
		fcntl(fd, F_SETSIG, rnd(2) ? 0 : SIGRTMIN + rnd(8));
		fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC);
	}
}

/* Data. */

static void write_some(int fd)
{
	size_t n = any_length(), first = rnd(n + 1);
	char *at = any_memory(n);
	struct iovec iov[3] = { { at, first }, { NULL, 0 }, { at + first, n - first } };
	ssize_t ret;

	interrupt_each(500 + rnd(20000));
	switch (rnd(4)) {
	case 0:
		ret = pwritev2(fd, iov, 3, -1, rnd(2) ? RWF_NOWAIT : 0);
		break;
	case 1:
		ret = writev(fd, iov, rnd(4));
		break;
	default:
		ret = write(fd, at, n);
	}
	interrupt_each(0);
	if (ret > (ssize_t)n)
		fail("a write of %zu takes %zd", n, ret);
}

static void read_some(int fd)
{
	size_t n = any_length(), first = rnd(n + 1);
	char *at = any_memory(n);
	struct iovec iov[3] = { { at, first }, { NULL, 0 }, { at + first, n - first } };
	ssize_t ret;

	interrupt_each(500 + rnd(20000));
	if (rnd(4))
		ret = read(fd, at, n);
	else
		ret = preadv2(fd, iov, 3, -1, rnd(2) ? RWF_NOWAIT : 0);
	interrupt_each(0);
	if (ret > (ssize_t)n)
		fail("a read of %zu gives %zd", n, ret);
}

/* Sleep in a read that must fail with EFAULT and take nothing. */
static void read_nowhere(int fd)
{
	ssize_t ret;

	interrupt_each(500 + rnd(20000));
	ret = read(fd, nowhere(), 1 + rnd(100000));
	interrupt_each(0);
	if (ret > 0)
		fail("a read into no memory gives %zd", ret);
}

/* Pollers. */

static void poll_many(int timeout)
{
	static struct pollfd set[POLLED];
	unsigned int n = 1 + rnd(rnd(4) ? 16 : POLLED);

	for (unsigned int i = 0; i < n; i++) {
		set[i].fd = files[any_file()].fd;
		set[i].events = rnd(0x400);
	}
	poll(set, n, timeout);
}

static void epoll_many(void)
{
	unsigned int i = rnd(EPOLLS), n = rnd(rnd(4) ? 16 : FILES);
	struct epoll_event ev;

	if (epolls[i] && !rnd(4)) {
		close(epolls[i]);
		epolls[i] = 0;
	}
	if (!epolls[i])
		epolls[i] = epoll_create1(EPOLL_CLOEXEC);
	if (epolls[i] < 0) {
		epolls[i] = 0;
		return;
	}
	for (; n && !stopping(); n--) {
		int fd = files[any_file()].fd;

		ev.events = rnd(0x20);
		if (rnd(2))
			ev.events |= EPOLLET;
		if (rnd(2))
			ev.events |= EPOLLEXCLUSIVE;
		else if (!rnd(4))
			ev.events |= EPOLLONESHOT;
		ev.data.fd = fd;
		epoll_ctl(epolls[i], rnd(8) ? EPOLL_CTL_ADD : rnd(2) ? EPOLL_CTL_MOD :
			  EPOLL_CTL_DEL, fd, &ev);
	}
	epoll_wait(epolls[i], &ev, 1, rnd(5));
}

/* Start requests that run in the background; they are cancelled when the ring is closed. */
static void use_ring(void)
{
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	int fd;

	if (ring_on && !rnd(32)) {
		io_uring_queue_exit(&ring);
		ring_on = false;
	}
	if (!ring_on)
		ring_on = !io_uring_queue_init(64, &ring, 0);
	if (!ring_on)
		return;
	for (unsigned int n = 1 + rnd(16); n; n--) {
		sqe = io_uring_get_sqe(&ring);
		if (!sqe)
			break;
		/*
		 * No data request with IOSQE_ASYNC: its worker may find a file of DEV at
		 * that number later.
		 */
		if (!any_data_file(&fd) || !rnd(3)) {
			io_uring_prep_poll_add(sqe, files[any_file()].fd, rnd(0x20));
			sqe->flags |= rnd(8) ? 0 : IOSQE_ASYNC;
		} else if (rnd(2)) {
			io_uring_prep_read(sqe, fd, memory, any_length(), -1);
		} else {
			io_uring_prep_write(sqe, fd, memory, any_length(), -1);
		}
	}
	io_uring_submit(&ring);
	while (!io_uring_peek_cqe(&ring, &cqe))
		io_uring_cqe_seen(&ring, cqe);
}

/* Processes and threads that share the files. */

static void be_child(uint64_t seed, pid_t parent)
{
	int fd;

	rnd_seed(seed, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent may have been killed before prctl(). */
	if (getppid() != parent)
		_exit(0);
	ring_on = false;
	for (int n = rnd(200); n && !stopping(); n--) {
		switch (rnd(8)) {
		case 0:
			poll_many(rnd(2) ? -1 : 20);
			break;
		case 1:
			close_many();
			break;
		case 2:
			fd = files[any_file()].fd;
			fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
			break;
		case 3:
			read(files[any_file()].fd, nowhere(), 1 + rnd(10000));
			break;
		case 4:
			if (epolls[0])
				epoll_wait(epolls[0], &(struct epoll_event) { 0 }, 1, -1);
			break;
		case 5:
			if (any_data_file(&fd))
				read(fd, memory, any_length());
			break;
		default:
			if (any_data_file(&fd))
				write(fd, memory, any_length());
		}
	}
	_exit(0);
}

static void fork_and_kill(void)
{
	unsigned int i = rnd(CHILDREN);
	uint64_t seed = rnd(UINT64_MAX);
	pid_t parent = getpid();

	if (children[i] && !rnd(3)) {
		kill(children[i], rnd(2) ? SIGSTOP : SIGCONT);
		return;
	}
	if (children[i]) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		children[i] = 0;
	}
	if (!rnd(4))
		return;
	children[i] = fork();
	if (!children[i])
		be_child(seed, parent);
	if (children[i] < 0)
		children[i] = 0;
}

struct call {
	int fd;
	unsigned int way;
	bool main, close;
};

static void *thread_main(void *arg)
{
	const struct call *c = arg;
	struct pollfd p = { .fd = c->fd, .events = POLLIN | POLLOUT };

	if (c->way == 0)
		poll(&p, 1, 1000);
	else if (c->main)
		read(c->fd, nowhere(), 100);
	else if (c->way == 1)
		read(c->fd, memory, PAGE);
	else
		write(c->fd, memory, PAGE);
	if (c->close)
		close(c->fd);
	free(arg);
	threads--;
	return NULL;
}

/*
 * Start a thread that uses a file, which the main thread may close meanwhile. A data file
 * gets a number that open() does not use again: the thread could otherwise move data on
 * DEV.
 */
static void start_thread(void)
{
	struct call *c;
	pthread_attr_t attr;
	pthread_t thread;
	unsigned int f = any_file();
	int fd;

	/* A thread that sleeps in a read forever keeps its place. */
	if (threads >= THREADS)
		return;
	c = malloc(sizeof(*c));
	if (!c)
		return;
	*c = (struct call) {
		.fd = files[f].fd, .way = rnd(3), .main = files[f].channel == MAIN,
	};
	if (!c->main) {
		c->fd = fcntl(files[f].fd, F_DUPFD_CLOEXEC, THREADS_FD);
		c->close = rnd(2);
	}
	fd = c->main || c->close ? -1 : c->fd;
	threads++;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 65536);
	if (pthread_create(&thread, &attr, thread_main, c)) {
		if (!c->main)
			close(c->fd);
		free(c);
		threads--;
	} else if (fd >= 0) {
		close(fd);
	}
	pthread_attr_destroy(&attr);
}

static void odds_and_ends(int fd)
{
	switch (rnd(8)) {
	case 0:
		lseek(fd, any_number(), rnd(5));
		break;
	case 1:
		if (!ftruncate(fd, 0))
			fail("a channel can be truncated");
		break;
	case 2:
		fsync(fd);
		break;
	case 3:
		flock(fd, LOCK_EX | LOCK_NB);
		break;
	case 4:
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) ^ O_NONBLOCK);
		break;
	case 5:
		fcntl(fd, F_SETPIPE_SZ, 65536);
		break;
	case 6:
		pread(fd, memory, 0, 10);
		break;
	default:
		write(fd, memory, 0);
	}
}

static void do_one(void)
{
	int fd = files[any_file()].fd, data;

	switch (rnd(20)) {
	case 0: case 1:
		open_many();
		break;
	case 2:
		close_many();
		break;
	case 3:
		double_one();
		break;
	case 4: case 5:
		set_writer(fd);
		break;
	case 6: case 7:
		set_reader(fd);
		break;
	case 8:
		call_odd(fd);
		call_forbidden(fd);
		break;
	case 9:
		look_at(fd);
		break;
	case 10:
		grant(fd);
		map_status(fd);
		break;
	case 11:
		ask_for_signals();
		break;
	case 12:
		poll_many(rnd(5));
		break;
	case 13:
		epoll_many();
		break;
	case 14:
		use_ring();
		break;
	case 15:
		fork_and_kill();
		break;
	case 16:
		start_thread();
		break;
	case 17:
		read_nowhere(fd);
		odds_and_ends(fd);
		break;
	case 18:
		if (any_data_file(&data))
			write_some(data);
		break;
	default:
		if (any_data_file(&data))
			read_some(data);
	}
}

/* Become a member of the group without other privileges. */
static bool drop_privileges(void)
{
	const struct rlimit limit = { FILES + 256, FILES + 256 };
	const gid_t group = HOSTILE_ID;

	if (setrlimit(RLIMIT_NOFILE, &limit) || setgroups(1, &group) || setgid(HOSTILE_ID) ||
	    setuid(HOSTILE_ID))
		return false;
	/* Changing the user clears both. */
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	return true;
}

void be_hostile(uint64_t seed)
{
	struct sigaction act = { .sa_handler = on_signal };

	rnd_seed(seed, 0);
	if (!drop_privileges()) {
		fail("no privileges to drop: %s", strerror(errno));
		return;
	}
	sigaction(SIGALRM, &act, NULL);
	sigaction(SIGIO, &act, NULL);
	sigaction(SIGURG, &act, NULL);
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		sigaction(s, &act, NULL);
	memory = mmap(NULL, MOVE_MAX + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED || mprotect(memory + MOVE_MAX, PAGE, PROT_NONE))
		return;

	while (!stopping()) {
		if (!nr_files) {
			open_one();
			continue;
		}
		do_one();
		count_call();
	}
	for (unsigned int i = 0; i < CHILDREN; i++) {
		if (children[i])
			kill(children[i], SIGKILL);
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
}
