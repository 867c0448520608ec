// SPDX-License-Identifier: GPL-2.0
/*
 * Measure how long a channel with many of something keeps other processes waiting.
 *
 * usage: bounds many WHAT NUMBER
 *	Make NUMBER of WHAT on a channel, and cause an event that concerns all of them.
 *	Meanwhile a bystander, another process with two open files and a real-time
 *	priority, calls write, read and poll without blocking. Print the longest call of
 *	each kind that the bystander made, in nanoseconds.
 *
 *        bounds kill STATE
 *	Kill a process with one open file of a channel, in STATE, at several moments.
 *	Print the longest time from the signal to the end, in nanoseconds, and how often
 *	the process was in that state.
 *
 * On the machine whose clock counts instructions, a nanosecond is an instruction.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
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
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpipe.h>

#define NAME		"bounds"
#define DEV		"/dev/bpipe"
#define PATH		DEV "-" NAME
#define SYSFS		"/sys/class/bpipe/bpipe-" NAME "/"
#define SIZE		65536U
#define STACK		4096U
#define ROUNDS		100	/* of the bystander, at least */
#define WARM		20	/* before those, not counted */
#define LONG		(256UL << 20)	/* a record whose copy takes long */
#define CHUNK		(2UL << 20)
#define TRIES		8	/* of each kind: at doubling intervals, and evenly spaced */
#define MS		1000000ULL

static struct shared {
	atomic_bool made, end;		/* bounds many: all is made; the bystander must end */
	atomic_bool begun, done;	/* bounds kill: the victim's call */
	atomic_bool other_begun, other_done;
	atomic_uint rounds;
	uint64_t longest[3];
} *shared;

static int ctl;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
	const struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	nanosleep(&ts, NULL);
}

static int open_file(int mode)
{
	int fd = open(PATH, mode | O_CLOEXEC);

	if (fd < 0)
		err(2, "%s", PATH);
	return fd;
}

static struct bpipe_stats get_stats(void)
{
	struct bpipe_stats s;

	if (ioctl(ctl, BPIPE_GET_STATS, &s))
		err(2, "GET_STATS");
	return s;
}

static void set(struct bpipe_config c)
{
	if (ioctl(ctl, BPIPE_SET_CONFIG, &c))
		err(2, "SET_CONFIG");
}

/* Wait for a condition. Fail on a timeout, to measure nothing else. */
#define UNTIL(cond) do {							\
	uint64_t _end = now_ns() + 600000000000ULL;				\
										\
	while (!(cond)) {							\
		if (now_ns() > _end)						\
			errx(2, "timed out waiting for: %s", #cond);			\
		sleep_ns(MS);							\
	}									\
} while (0)

static void channel_add(const struct bpipe_config *config)
{
	int control = open(DEV "-control", O_RDWR | O_CLOEXEC);
	struct bpipe_remove gone = { .name = NAME, .flags = BPIPE_REMOVE_FORCE };
	struct bpipe_add add = {
		.name = NAME, .config = (uintptr_t)config, .config_size = sizeof(*config),
	};

	ioctl(control, BPIPE_REMOVE, &gone);
	if (ioctl(control, BPIPE_ADD, &add))
		err(2, "ADD");
	close(control);
	ctl = open_file(O_ACCMODE);
}

static void channel_remove(void)
{
	int control = open(DEV "-control", O_RDWR | O_CLOEXEC);
	struct bpipe_remove gone = { .name = NAME, .flags = BPIPE_REMOVE_FORCE };

	if (ioctl(control, BPIPE_REMOVE, &gone))
		err(2, "REMOVE");
	close(control);
	close(ctl);
}

static void go_first(void)
{
	const struct sched_param first = { .sched_priority = 10 };

	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first))
		err(2, "SCHED_FIFO");
}

static pid_t start(void (*be)(int n), int n)
{
	pid_t pid = fork();

	if (pid < 0)
		err(2, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	be(n);
	_exit(0);
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The bystander. */

static void be_bystander(int n)
{
	int wr = open_file(O_WRONLY | O_NONBLOCK), rd = open_file(O_RDONLY | O_NONBLOCK);
	uint64_t at[4], *longest = shared->longest;
	const struct bpipe_writer own = {
		.mask = BPIPE_WRITER_POLICY, .policy = BPIPE_POLICY_ERROR,
	};
	static char buf[4096];

	(void)n;
	/* The bystander must not evict records. */
	if (ioctl(wr, BPIPE_SET_WRITER, &own))
		err(2, "SET_WRITER");
	go_first();
	while (!shared->end) {
		struct pollfd p[2] = { { wr, POLLOUT, 0 }, { rd, POLLIN, 0 } };

		at[0] = now_ns();
		if (write(wr, buf, 1) < 0 && errno != EAGAIN)
			err(2, "write");
		at[1] = now_ns();
		if (read(rd, buf, sizeof(buf)) < 0 && errno != EAGAIN)
			err(2, "read");
		at[2] = now_ns();
		poll(p, 2, 0);
		at[3] = now_ns();
		for (int i = 0; i < 3 && shared->rounds >= WARM; i++)
			if (at[i + 1] - at[i] > longest[i])
				longest[i] = at[i + 1] - at[i];
		shared->rounds++;
		sleep_ns(50000);
	}
}

/* Things to have many of. */

static int thread_fd;

static int read_for_ever(void *unused)
{
	char c;

	(void)unused;
	for (;;)
		syscall(SYS_read, thread_fd, &c, 1);
	return 0;
}

static int write_once(void *unused)
{
	(void)unused;
	syscall(SYS_write, thread_fd, "", 1);
	for (;;)
		syscall(SYS_pause);
	return 0;
}

/* Start threads with one page of stack each. They must not use libc, as they lack its state. */
static void threads_start(int (*main)(void *), int n)
{
	char *stacks = mmap(NULL, (size_t)n * STACK, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (stacks == MAP_FAILED)
		err(2, "stacks");
	for (int i = 1; i <= n; i++)
		if (clone(main, stacks + (size_t)i * STACK, CLONE_VM | CLONE_FS | CLONE_FILES |
			  CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, NULL) < 0)
			err(2, "thread %d of %d", i, n);
}

static void make_files(int n)
{
	for (int i = 0; i < n; i++) {
		struct bpipe_reader r = {
			.mask = BPIPE_READER_THRESHOLD | BPIPE_READER_DELAY,
			.threshold = 1 + i % SIZE, .delay_us = i % 2 * 1000,
		};

		if (ioctl(open_file(O_RDONLY | O_NONBLOCK), BPIPE_SET_READER, &r))
			err(2, "SET_READER");
	}
}

static void make_readers(int n)
{
	thread_fd = open_file(O_RDONLY);
	threads_start(read_for_ever, n);
	UNTIL(get_stats().readers_waiting == (unsigned int)n);
}

/* Change the configuration: all sleepers check again. */
static void new_rules(int n)
{
	struct bpipe_stats s = get_stats();

	set((struct bpipe_config) { .mask = BPIPE_CFG_HOLD, .hold = 1 });
	UNTIL(get_stats().wakeups_read >= s.wakeups_read + n &&
	      get_stats().readers_waiting == (unsigned int)n);
}

static void fill(void)
{
	static char buf[4096];
	int fd = open_file(O_WRONLY | O_NONBLOCK);

	while (write(fd, buf, sizeof(buf)) > 0)
		;
	while (write(fd, buf, 1) > 0)
		;
	close(fd);
}

static void make_writers(int n)
{
	fill();
	thread_fd = open_file(O_WRONLY);
	threads_start(write_once, n);
	UNTIL(get_stats().writers_waiting);
}

static void drain(int n)
{
	static char buf[4096];
	int fd = open_file(O_RDONLY | O_NONBLOCK);

	(void)n;
	while (get_stats().writers_waiting || get_stats().level)
		if (read(fd, buf, sizeof(buf)) < 0 && errno != EAGAIN)
			err(2, "read");
	close(fd);
}

static void make_sigio(int n)
{
	signal(SIGIO, SIG_IGN);
	for (int i = 0; i < n; i++) {
		int fd = open_file(O_RDONLY);

		if (fcntl(fd, F_SETOWN, getpid()) ||
		    fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK))
			err(2, "O_ASYNC");
	}
}

static void nothing_more(int n)
{
	(void)n;
}

/* Fill the channel with @n records; the bystander's records follow. */
static void records(int n, struct bpipe_config c)
{
	size_t len = n < 120 ? 4096 / n - BPIPE_RECORD_OVERHEAD : 1;
	int fd = open_file(O_WRONLY | O_NONBLOCK);
	static char buf[4096];

	c.mask |= BPIPE_CFG_MODE | BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW;
	c.mode = BPIPE_MODE_RECORD;
	c.size = n * (len + BPIPE_RECORD_OVERHEAD);
	if (c.size < 4096)
		c.size = 4096;
	c.high = c.size;
	c.low = c.size / 128;
	set(c);
	for (int i = 0; i < n; i++)
		if (write(fd, buf, len) != (ssize_t)len)
			err(2, "record %d of %d", i, n);
	close(fd);
}

static void make_expiring(int n)
{
	records(n, (struct bpipe_config) {
		.mask = BPIPE_CFG_TTL(0), .ttl = { BPIPE_TIMEOUT_MAX } });
}

static void expire(int n)
{
	(void)n;
	set((struct bpipe_config) { .mask = BPIPE_CFG_TTL(0), .ttl = { 1 } });
	UNTIL(!get_stats().queued_records);
}

static void make_evictable(int n)
{
	records(n, (struct bpipe_config) {
		.mask = BPIPE_CFG_POLICY, .policy = BPIPE_POLICY_DROP_OLDEST });
}

/* Lower the limit of the class, so that a small record evicts nearly all records. */
static void evict(int n)
{
	int fd = open_file(O_WRONLY);
	uint64_t evicted;

	set((struct bpipe_config) {
		.mask = BPIPE_CFG_LIMIT(0), .limit = { BPIPE_SIZE_MIN } });
	write(fd, "", 1);
	evicted = get_stats().classes[0].dropped_records[BPIPE_DROP_EVICTED];
	if (n > 1000 && evicted < (unsigned int)n * 9 / 10)
		errx(2, "only %llu records were evicted", (unsigned long long)evicted);
	close(fd);
}

static void look_for_ever(int n)
{
	int fd = open(SYSFS "stats", O_RDONLY | O_CLOEXEC);
	char buf[4096];

	(void)n;
	for (;;)
		if (pread(fd, buf, sizeof(buf), 0) < 0)
			err(2, "stats");
}

static void make_lookers(int n)
{
	struct epoll_event ev = { .events = EPOLLPRI };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	char c;

	for (int i = 0; i < n; i++) {
		int fd = open(SYSFS "state", O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, &c, 1) != 1 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
			err(2, SYSFS "state");
	}
}

/* Change the state while another process reads it. */
static void change_state(int n)
{
	static char buf[SIZE];
	int wr = open_file(O_WRONLY | O_NONBLOCK), rd = open_file(O_RDONLY | O_NONBLOCK);
	pid_t looker = start(look_for_ever, n);

	for (int i = 0; i < 5; i++) {
		write(wr, buf, SIZE * 7 / 8);
		sleep_ns(300 * MS);
		read(rd, buf, SIZE);
		sleep_ns(300 * MS);
	}
	stop(looker);
	close(wr);
	close(rd);
}

static void make_pollers(int n)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC), fd = open_file(O_RDONLY | O_NONBLOCK);

	for (int i = 0; i < n; i++) {
		int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

		if (copy < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, copy, &ev))
			err(2, "epoll");
	}
}

static const struct many {
	const char *what;
	void (*make)(int n);
	void (*happen)(int n);
} manys[] = {
	{ "files", make_files, nothing_more },
	{ "readers", make_readers, new_rules },
	{ "writers", make_writers, drain },
	{ "sigio", make_sigio, nothing_more },
	{ "expired", make_expiring, expire },
	{ "evicted", make_evictable, evict },
	{ "sysfs", make_lookers, change_state },
	{ "pollers", make_pollers, nothing_more },
	{ NULL, NULL, NULL }
};

static const struct many *many_found;

/* Make many of something. A separate process, so that its exit removes all of it. */
static void be_many(int n)
{
	unsigned int rounds;

	many_found->make(n);
	/*
	 * Wait: the kernel frees memory in the background, which would interrupt the
	 * bystander.
	 */
	sleep_ns(3000 * MS);
	shared->made = true;
	UNTIL(shared->rounds >= WARM);
	many_found->happen(n);
	rounds = shared->rounds;
	UNTIL(shared->rounds >= rounds + ROUNDS);
}

static int measure_many(const char *what, int n)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW,
		.size = SIZE, .high = SIZE * 3 / 4, .low = SIZE / 4,
	};
	pid_t many, bystander;
	int status;

	for (many_found = manys; many_found->what; many_found++)
		if (!strcmp(many_found->what, what))
			break;
	if (!many_found->what || n < 1)
		errx(2, "no %s", what);
	channel_add(&config);
	many = start(be_many, n);
	UNTIL(shared->made || waitpid(many, &status, WNOHANG));
	if (!shared->made)
		return 2;
	bystander = start(be_bystander, 0);
	if (waitpid(many, &status, 0) != many || status)
		return 2;
	shared->end = true;
	waitpid(bystander, NULL, 0);
	channel_remove();
	printf("%s %d %llu %llu %llu\n", what, n, (unsigned long long)shared->longest[0],
	       (unsigned long long)shared->longest[1], (unsigned long long)shared->longest[2]);
	return 0;
}

/* The victim's calls. */

/* Return LONG bytes of memory: a small part, mapped again and again. */
static char *long_memory(void)
{
	int fd = memfd_create("record", MFD_CLOEXEC);
	char *at = mmap(NULL, LONG, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (fd < 0 || ftruncate(fd, CHUNK) || at == MAP_FAILED)
		err(2, "memory");
	for (size_t i = 0; i < LONG; i += CHUNK)
		if (mmap(at + i, CHUNK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED |
			 MAP_POPULATE, fd, 0) == MAP_FAILED)
			err(2, "memory");
	close(fd);
	return at;
}

static char *long_at;

static void be_reader(int fd)
{
	read(fd, long_at, LONG);
}

static void be_writer(int fd)
{
	write(fd, long_at, LONG);
}

static void be_small_writer(int fd)
{
	write(fd, "", 1);
}

static void be_faulting(int fd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	void *at = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	reg.range.start = (uintptr_t)at;
	reg.range.len = CHUNK;
	if (ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		err(2, "userfaultfd");
	write(fd, at, 1000);
}

static void be_looker(int fd)
{
	struct bpipe_stats s;

	ioctl(fd, BPIPE_GET_STATS, &s);
}

static void be_fdinfo_reader(int fd)
{
	char path[64], buf[4096];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	read(open(path, O_RDONLY), buf, sizeof(buf));
}

static void be_reader_setter(int fd)
{
	struct bpipe_reader r = { .mask = BPIPE_READER_THRESHOLD, .threshold = 1 };

	ioctl(fd, BPIPE_SET_READER, &r);
}

static void be_writer_setter(int fd)
{
	struct bpipe_writer w = { .mask = BPIPE_WRITER_TIMEOUT, .timeout = 1 };

	ioctl(fd, BPIPE_SET_WRITER, &w);
}

static void be_granter(int fd)
{
	const struct bpipe_grant_credit g = { .amount = 1 };

	ioctl(fd, BPIPE_GRANT, &g);
}

static void be_configurer(int fd)
{
	struct bpipe_config c = { .mask = BPIPE_CFG_HOLD, .hold = 1 };

	ioctl(fd, BPIPE_SET_CONFIG, &c);
}

/* The state of the channel before the victim's call. */

static void be_empty(void)
{
}

static void be_full(void)
{
	fill();
}

/* Store many small records; a call must drop all of them first. */
static void be_many_records(void)
{
	static char buf[4096];
	int fd = open_file(O_WRONLY | O_NONBLOCK);

	set((struct bpipe_config) {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW, .size = 33 * 200000,
		.high = 33 * 200000, .low = 33 });
	while (write(fd, buf, 1) == 1)
		;
	close(fd);
}

static void be_evictable(void)
{
	be_many_records();
	set((struct bpipe_config) {
		.mask = BPIPE_CFG_POLICY | BPIPE_CFG_LIMIT(0),
		.policy = BPIPE_POLICY_DROP_OLDEST, .limit = { BPIPE_SIZE_MIN } });
}

static void be_expired(void)
{
	be_many_records();
	/* Let the records expire now, and not while they are stored. */
	set((struct bpipe_config) { .mask = BPIPE_CFG_TTL(0), .ttl = { 1 } });
}

static void be_large(void)
{
	const uint64_t size = LONG + BPIPE_RECORD_OVERHEAD;

	set((struct bpipe_config) {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_HIGH | BPIPE_CFG_LOW,
		.size = size, .high = size, .low = 4096 });
}

static void be_long_read(void)
{
	int fd = open_file(O_WRONLY);

	be_large();
	write(fd, long_at, LONG);
	close(fd);
}

static const struct state {
	const char *name;
	int mode;
	void (*before)(void);		/* prepare the channel */
	void (*be)(int fd);		/* the victim's call */
	void (*other)(int fd);		/* call of another process meanwhile, or NULL */
	int other_mode;
} states[] = {
	{ "asleep-in-read", O_RDWR, be_empty, be_reader, NULL, 0 },
	{ "asleep-in-write", O_WRONLY, be_full, be_small_writer, NULL, 0 },
	{ "copying-in", O_WRONLY, be_large, be_writer, NULL, 0 },
	{ "copying-out", O_RDONLY, be_long_read, be_reader, NULL, 0 },
	{ "evicting", O_WRONLY, be_evictable, be_small_writer, NULL, 0 },
	{ "expiring", O_RDONLY, be_expired, be_reader, NULL, 0 },
	{ "faulting", O_WRONLY, be_empty, be_faulting, NULL, 0 },
	{ "lock-write", O_WRONLY, be_large, be_small_writer, be_writer, O_WRONLY },
	{ "lock-read", O_RDONLY, be_long_read, be_reader, be_reader, O_RDONLY },
	{ "lock-stats", O_ACCMODE, be_large, be_looker, be_writer, O_WRONLY },
	{ "lock-fdinfo", O_ACCMODE, be_large, be_fdinfo_reader, be_writer, O_WRONLY },
	{ "lock-set-reader", O_RDONLY, be_long_read, be_reader_setter, be_reader, O_RDONLY },
	{ "lock-set-writer", O_WRONLY, be_large, be_writer_setter, be_writer, O_WRONLY },
	{ "lock-grant", O_RDONLY, be_large, be_granter, be_writer, O_WRONLY },
	{ "lock-set-config", O_ACCMODE, be_large, be_configurer, be_writer, O_WRONLY },
	{ NULL, 0, NULL, NULL, NULL, 0 }
};

static const struct state *state_found;

static void be_victim(int unused)
{
	int fd = open_file(state_found->mode);

	(void)unused;
	close(ctl);
	shared->begun = true;
	state_found->be(fd);
	shared->done = true;
	for (;;)
		pause();
}

static void be_other(int unused)
{
	int fd = open_file(state_found->other_mode);

	(void)unused;
	shared->other_begun = true;
	state_found->other(fd);
	shared->other_done = true;
	for (;;)
		pause();
}

static void prepare(void)
{
	const struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_MODE | BPIPE_CFG_CREDIT,
		.size = SIZE, .mode = BPIPE_MODE_RECORD,
	};

	channel_add(&config);
	state_found->before();
	shared->begun = false;
	shared->done = false;
	shared->other_begun = false;
	shared->other_done = false;
}

/* Return how long the other process's call takes. */
static uint64_t other_takes(void)
{
	uint64_t from;
	pid_t other;

	prepare();
	other = start(be_other, 0);
	UNTIL(shared->other_begun);
	from = now_ns();
	UNTIL(shared->other_done);
	from = now_ns() - from;
	stop(other);
	channel_remove();
	return from;
}

/* Kill the victim @in ns after its call, or the other's, began. Return the time to its end. */
static uint64_t kill_once(uint64_t in, int *hits)
{
	pid_t victim, other = 0;
	uint64_t from;

	prepare();
	if (state_found->other) {
		other = start(be_other, 0);
		UNTIL(shared->other_begun);
		sleep_ns(in);
		in = MS;
	}
	victim = start(be_victim, 0);
	UNTIL(shared->begun);
	sleep_ns(in);
	*hits += !shared->done;
	from = now_ns();
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	from = now_ns() - from;
	if (other)
		stop(other);
	channel_remove();
	return from;
}

static int measure_kill(const char *name)
{
	uint64_t longest = 0, took, spread = 240 * MS;
	int hits = 0;

	for (state_found = states; state_found->name; state_found++)
		if (!strcmp(state_found->name, name))
			break;
	if (!state_found->name)
		errx(2, "no state %s", name);
	long_at = long_memory();
	go_first();
	if (state_found->other)
		spread = other_takes();
	for (int i = 0; i < 2 * TRIES; i++) {
		took = kill_once(i < TRIES ? (1ULL << i) * 400000 :
					     spread * (i - TRIES + 1) / (TRIES + 1), &hits);
		if (took > longest)
			longest = took;
	}
	printf("kill %s %llu %d\n", name, (unsigned long long)longest, hits);
	/* With another process, the victim's call may not have to wait for it. */
	return hits || state_found->other ? 0 : 2;
}

int main(int argc, char **argv)
{
	const struct rlimit files = { 1000000, 1000000 };

	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (argc == 4 && !strcmp(argv[1], "many"))
		return measure_many(argv[2], atoi(argv[3]));
	if (argc == 3 && !strcmp(argv[1], "kill"))
		return measure_kill(argv[2]);
	errx(2, "usage: bounds many WHAT NUMBER | bounds kill STATE");
}
