// SPDX-License-Identifier: GPL-2.0
/*
 * Measure many writers with a reader, and a writer with many readers: the throughput and
 * how often the writers sleep, in a channel, a pipe, a socket and a message queue.
 *
 * usage: crowd RUNS WRITERS READERS SIZE COUNT KIND:CAPACITY...
 *
 * KIND is one of
 *	stream	a channel in stream mode, its reader reads up to 64 KiB at a time
 *	record	a channel in record mode, a record a read
 *	pipe	as stream; without CAPACITY, of the kernel's default size
 *	packet	an AF_UNIX SOCK_SEQPACKET pair, a message a read
 *	mqueue	a POSIX message queue, a message a read
 *
 * CAPACITY is in bytes. A socket counts the kernel's overhead, so it holds fewer messages
 * than a channel. A message queue holds CAPACITY / SIZE messages, at most 65536. The
 * machine's limits for it are raised and stay raised: run this in a virtual machine.
 *
 * Each run passes COUNT writes of SIZE bytes by each writer through each KIND in turn,
 * so that the machine's other load affects all equally. Every process opens a channel
 * itself. Prints a line for each: crowd WRITERS READERS SIZE KIND:CAPACITY = RATE SWITCHES
 * FULL BLOCKED SWITCHES-FULL.
 *
 * All are medians. RATE is in bytes a second. SWITCHES counts voluntary context switches
 * of the writers in 1000 writes, also those for a lock. FULL counts how often a channel
 * reached its high mark. BLOCKED is how often each writer waited for room for each time
 * that the channel was full, by the channel's counters. SWITCHES-FULL is the same for
 * voluntary switches. The last three are 0 for all but channels, and where FULL is 0.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/bpipe.h>

#include "bench.h"

#define RUNS_MAX	101
#define PROCESSES_MAX	128
#define STREAM_READ	65536
#define MESSAGES_MAX	65536	/* the kernel's limit for a message queue */
#define START_NS	20000000LL	/* a multiple of the tick, 4 ms */
#define CHANNEL		"crowd"
#define QUEUE		"/crowd"

/* What is measured; open() returns both ends: [0] to read and [1] to write. */
struct kind {
	const char *name;
	void (*open)(int fds[2], size_t capacity);
	void (*close)(void);
	bool stream;
	bool channel;
	bool queue;
};

struct result {
	double rate[RUNS_MAX];
	double switches[RUNS_MAX];
	double full[RUNS_MAX];
	double blocked[RUNS_MAX];
	double switches_full[RUNS_MAX];
};

static int writers, readers;
static size_t size;
static long count;
static unsigned long long *received;	/* bytes of each reader, shared */
static long *switched;			/* voluntary switches of each writer, shared */

static void *shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		err(1, "mmap");
	return memory;
}

static void control(unsigned long command, void *arg)
{
	int fd = open("/dev/bpipe-control", O_RDWR);

	if (fd < 0 || ioctl(fd, command, arg))
		err(1, "bpipe-control");
	close(fd);
}

/* Open the ends that the parent keeps open until each child has its own. */
static void open_node(int fds[2])
{
	fds[1] = open(DEV "-" CHANNEL, O_WRONLY);
	fds[0] = open(DEV "-" CHANNEL, O_RDONLY);
	if (fds[0] < 0 || fds[1] < 0)
		err(1, "%s", DEV "-" CHANNEL);
}

static void add_channel(int fds[2], size_t capacity, unsigned int mode)
{
	struct bpipe_config config = {
		.mask = BPIPE_CFG_SIZE | BPIPE_CFG_MODE, .size = capacity, .mode = mode,
	};
	struct bpipe_add add = {
		.name = CHANNEL, .config = (unsigned long)&config, .config_size = sizeof(config),
	};

	control(BPIPE_ADD, &add);
	open_node(fds);
}

static void open_stream(int fds[2], size_t capacity)
{
	add_channel(fds, capacity, BPIPE_MODE_STREAM);
}

static void open_record(int fds[2], size_t capacity)
{
	add_channel(fds, capacity, BPIPE_MODE_RECORD);
}

static void remove_channel(void)
{
	struct bpipe_remove gone = { .name = CHANNEL };

	control(BPIPE_REMOVE, &gone);
}

static void open_pipe(int fds[2], size_t capacity)
{
	if (pipe(fds) || (capacity && fcntl(fds[1], F_SETPIPE_SZ, (int)capacity) < 0))
		err(1, "pipe of %zu bytes", capacity);
}

static void open_packet(int fds[2], size_t capacity)
{
	int bytes = capacity;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) ||
	    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		err(1, "socket of %zu bytes", capacity);
}

/* Raise a limit of message queues. Never lower it: other programs may rely on it. */
static void raise_limit(const char *name, size_t to)
{
	size_t now = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", name);
	file = fopen(path, "r+");
	if (!file || fscanf(file, "%zu", &now) != 1)
		err(1, "%s", path);
	rewind(file);
	if ((now < to && fprintf(file, "%zu", to) < 0) || fclose(file))
		err(1, "%s", path);
}

static void open_queue(int fds[2], size_t capacity)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	size_t messages = capacity / size;
	struct mq_attr attr = { .mq_msgsize = size };

	attr.mq_maxmsg = messages < MESSAGES_MAX ? messages : MESSAGES_MAX;
	if (setrlimit(RLIMIT_MSGQUEUE, &all))
		err(1, "RLIMIT_MSGQUEUE");
	raise_limit("msg_max", MESSAGES_MAX);
	raise_limit("msgsize_max", size);
	fds[1] = mq_open(QUEUE, O_WRONLY | O_CREAT | O_EXCL, 0600, &attr);
	fds[0] = mq_open(QUEUE, O_RDONLY);
	if (fds[0] < 0 || fds[1] < 0)
		err(1, "message queue of %zu bytes", capacity);
}

static void remove_queue(void)
{
	mq_unlink(QUEUE);
}

static const struct kind kinds[] = {
	{ .name = "stream", .open = open_stream, .close = remove_channel,
	  .stream = true, .channel = true },
	{ .name = "record", .open = open_record, .close = remove_channel, .channel = true },
	{ .name = "pipe", .open = open_pipe, .stream = true },
	{ .name = "packet", .open = open_packet },
	{ .name = "mqueue", .open = open_queue, .close = remove_queue, .queue = true },
};

static long switches_now(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		err(1, "getrusage");
	return usage.ru_nvcsw;
}

/* Write @count times, and count the context switches; waiting for the start does not count. */
static void write_all(const struct kind *kind, int fd, char *buf, int writer)
{
	long before = switches_now();

	for (long i = 0; i < count; i++)
		if (kind->queue ? mq_send(fd, buf, size, 0) :
				  write(fd, buf, size) != (ssize_t)size)
			err(1, "%s: write", kind->name);
	switched[writer] = switches_now() - before;
}

/* Read to the end. An empty message ends a message queue, which has no end-of-file. */
static void read_all(const struct kind *kind, int fd, char *buf, int reader)
{
	size_t most = kind->stream ? STREAM_READ : size;
	unsigned long long sum = 0;
	ssize_t n;

	while ((n = kind->queue ? mq_receive(fd, buf, most, NULL) : read(fd, buf, most)) > 0)
		sum += n;
	if (n)
		err(1, "%s: read", kind->name);
	received[reader] = sum;
}

/*
 * Start a child: the first ones are the writers, the others the readers. It starts once the
 * other end of @go is closed.
 */
static pid_t spawn(const struct kind *kind, const int fds[2], const int ready[2],
		   const int go[2], int child)
{
	int end = child < writers, own[2] = { fds[0], fds[1] };
	char *buf = malloc(size > STREAM_READ ? size : STREAM_READ);
	pid_t pid = fork();

	if (pid < 0 || !buf)
		err(1, "fork");
	if (pid) {
		free(buf);
		return pid;
	}
	memset(buf, 'x', size > STREAM_READ ? size : STREAM_READ);
	if (kind->channel) {
		close(fds[0]);
		close(fds[1]);
		open_node(own);
	}
	close(own[!end]);
	close(go[1]);
	if (write(ready[1], buf, 1) != 1 || read(go[0], buf, 1))
		err(1, "start");
	if (end)
		write_all(kind, own[1], buf, child);
	else
		read_all(kind, own[0], buf, child - writers);
	_exit(0);
}

static void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0 || status)
		errx(1, "a process failed");
}

static void check_received(const struct kind *kind)
{
	unsigned long long sum = 0;

	for (int i = 0; i < readers; i++)
		sum += received[i];
	if (sum != (unsigned long long)size * count * writers)
		errx(1, "%s: %llu bytes came through", kind->name, sum);
}

/* Note how often the writers slept for each time that the channel was full. */
static void count_sleeps(struct result *result, int run, const struct bpipe_stats *stats,
			 long switches)
{
	double full = stats->high_events, blocked = 0, switched = 0;

	if (full) {
		blocked = stats->blocked / full / writers;
		switched = switches / full / writers;
	}
	result->full[run] = full;
	result->blocked[run] = blocked;
	result->switches_full[run] = switched;
}

/*
 * Sleep to the same place between two timer ticks in each run. On a machine that counts
 * instructions, figures then differ by a few percent at most.
 */
static void sleep_to_start(void)
{
	long long next = (now_ns() / START_NS + 2) * START_NS;
	struct timespec until = { .tv_sec = next / 1000000000, .tv_nsec = next % 1000000000 };

	if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
		errx(1, "clock_nanosleep");
}

static void measure(const struct kind *kind, size_t capacity, struct result *result, int run)
{
	int fds[2], ready[2], go[2], ctl = -1, children = writers + readers;
	struct bpipe_stats stats = { 0 };
	pid_t pids[PROCESSES_MAX] = { 0 };
	long switches = 0;
	long long start;
	char byte;

	kind->open(fds, capacity);
	if (kind->channel)
		ctl = open(DEV "-" CHANNEL, O_ACCMODE | O_CLOEXEC);
	if (pipe(ready) || pipe(go))
		err(1, "pipe");
	for (int i = 0; i < children; i++)
		pids[i] = spawn(kind, fds, ready, go, i);
	for (int i = 0; i < children; i++)
		if (read(ready[0], &byte, 1) != 1)
			err(1, "ready");
	close(fds[0]);
	if (!kind->queue)
		close(fds[1]);
	close(go[0]);
	sleep_to_start();
	start = now_ns();
	close(go[1]);
	for (int i = 0; i < writers; i++)
		reap(pids[i]);
	for (int i = 0; kind->queue && i < readers; i++)
		if (mq_send(fds[1], "", 0, 0))
			err(1, "end of the queue");
	for (int i = writers; i < children; i++)
		reap(pids[i]);
	result->rate[run] = (double)size * count * writers * 1e9 / (now_ns() - start);
	for (int i = 0; i < writers; i++)
		switches += switched[i];
	result->switches[run] = switches * 1000.0 / ((double)writers * count);
	check_received(kind);

	if (kind->channel && ioctl(ctl, BPIPE_GET_STATS, &stats))
		err(1, "GET_STATS");
	count_sleeps(result, run, &stats, switches);
	if (kind->channel)
		close(ctl);
	if (kind->queue)
		close(fds[1]);
	close(ready[0]);
	close(ready[1]);
	if (kind->close)
		kind->close();
}

static const struct kind *find_kind(const char *what, size_t *capacity)
{
	size_t len = strcspn(what, ":");

	*capacity = what[len] ? strtoul(what + len + 1, NULL, 0) : 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i].name) == len && !strncmp(what, kinds[i].name, len) &&
		    (*capacity || !strcmp(what, "pipe")))
			return &kinds[i];
	errx(2, "%s: neither KIND:CAPACITY nor pipe", what);
}

int main(int argc, char **argv)
{
	int runs = argc > 1 ? atoi(argv[1]) : 0;
	struct result *results = calloc(argc, sizeof(*results));

	writers = argc > 2 ? atoi(argv[2]) : 0;
	readers = argc > 3 ? atoi(argv[3]) : 0;
	size = argc > 4 ? strtoul(argv[4], NULL, 0) : 0;
	count = argc > 5 ? atol(argv[5]) : 0;
	if (argc < 7 || runs < 1 || runs > RUNS_MAX || writers < 1 || readers < 1 ||
	    writers + readers > PROCESSES_MAX || !size || count < 1 || !results)
		errx(2, "usage: crowd RUNS WRITERS READERS SIZE COUNT KIND:CAPACITY...");
	received = shared(readers * sizeof(*received));
	switched = shared(writers * sizeof(*switched));
	for (int run = 0; run < runs; run++)
		for (int i = 6; i < argc; i++) {
			size_t capacity;
			const struct kind *kind = find_kind(argv[i], &capacity);

			measure(kind, capacity, &results[i], run);
		}
	for (int i = 6; i < argc; i++)
		printf("crowd %d %d %zu %s = %.0f %.2f %.0f %.3f %.3f\n", writers, readers, size,
		       argv[i], median(results[i].rate, runs), median(results[i].switches, runs),
		       median(results[i].full, runs), median(results[i].blocked, runs),
		       median(results[i].switches_full, runs));
	return 0;
}
