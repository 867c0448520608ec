// SPDX-License-Identifier: GPL-2.0
/*
 * Measure the promised limits.
 *
 * usage: limits rates | overload | writers N | memory
 *
 * rates: every kind of rate, alone and combined. Prints for each: rates NAME = SET HELD....
 * SET is the rate that was set, in bytes or records a second. HELD is the throughput over
 * 20 s of all writers, or of each if their files have separate rates.
 *
 * overload: prints overload = MS, the time from overload_after to the notification.
 *
 * writers: N writers, each with a separate file, at a channel from which 5000 records a
 * second are read, for 60 s. Prints writers N = LEAST MOST, records of the writer with
 * the fewest, and of the one with the most.
 *
 * memory: prints memory = OPENER CHANNEL BUFFERED, bytes of kernel memory. OPENER is for an
 * open file, without what any open file takes. CHANNEL is for a channel that was never
 * opened, and BUFFERED for one of 4 KiB that a writer has opened and closed.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/bpipe.h>

#include "bench.h"

#define SECOND		1000000000LL
#define WINDOW		20	/* seconds */
#define SERVED		60
#define FILES_MAX	4
#define OPENS		10000
#define CHANNELS	1000

static int ctl;

static void sleep_s(int seconds)
{
	struct timespec ts = { .tv_sec = seconds };

	while (nanosleep(&ts, &ts))
		;
}

static void set(struct bpipe_config config)
{
	if (ioctl(ctl, BPIPE_SET_CONFIG, &config))
		err(1, "SET_CONFIG");
}

static struct bpipe_stats stats(void)
{
	static struct bpipe_stats stats;

	if (ioctl(ctl, BPIPE_GET_STATS, &stats))
		err(1, "GET_STATS");
	return stats;
}

/* Restore the settings of a new channel. */
static void clean(void)
{
	static char into[1 << 20];
	struct bpipe_config config = { 0 };
	int fd = open(DEV, O_RDONLY | O_NONBLOCK);

	set((struct bpipe_config) { .mask = BPIPE_CFG_READ_RATE | BPIPE_CFG_READ_RATE_RECORDS });
	while (read(fd, into, sizeof(into)) > 0)
		;
	close(fd);
	if (ioctl(ctl, BPIPE_GET_CONFIG, &config))
		err(1, "GET_CONFIG");
	config = (struct bpipe_config) {
		.mask = config.mask, .size = 1 << 20, .high = 786432, .low = 262144,
		.uid = BPIPE_UNSET, .gid = BPIPE_UNSET, .permissions = BPIPE_UNSET,
	};
	set(config);
}

/* A kind of rate, or several, and the expected throughput. */
static const struct kind {
	const char *name;
	struct bpipe_config config;
	size_t len;			/* of a write */
	unsigned long long set;		/* expected rate, of each file */
	int files;
	unsigned long long own[FILES_MAX];	/* rates of the files */
	bool in_records;
} kinds[] = {
#define RECORDS(more)	.mode = BPIPE_MODE_RECORD, .mask = BPIPE_CFG_MODE | (more)
	{ "records", { RECORDS(BPIPE_CFG_RATE_RECORDS), .rate_records = 1000 },
	  100, 1000, 1, .in_records = true },
	{ "read", { .mask = BPIPE_CFG_READ_RATE, .read_rate = 1000000 },
	  65536, 1000000, .files = 1 },
	{ "read-records", { RECORDS(BPIPE_CFG_READ_RATE_RECORDS), .read_rate_records = 1000 },
	  100, 1000, 1, .in_records = true },
	{ "bytes-and-records-1", { RECORDS(BPIPE_CFG_RATE | BPIPE_CFG_RATE_RECORDS),
	  .rate = 1000000, .rate_records = 500 }, 1000, 500, 1, .in_records = true },
	{ "bytes-and-records-2", { RECORDS(BPIPE_CFG_RATE | BPIPE_CFG_RATE_RECORDS),
	  .rate = 200000, .rate_records = 500 }, 1000, 200, 1, .in_records = true },
	{ "write-and-read", { .mask = BPIPE_CFG_RATE | BPIPE_CFG_READ_RATE,
	  .rate = 10000000, .read_rate = 1000000 }, 65536, 1000000, .files = 1 },
	{ "debt", { RECORDS(BPIPE_CFG_RATE | BPIPE_CFG_BURST), .rate = 1000000, .burst = 10000 },
	  100000, 1000000, .files = 1 },
	{ "file", { 0 }, 4096, 300000, 1, .own = { 300000 } },
	{ "files-of-a-channel", { .mask = BPIPE_CFG_RATE, .rate = 2000000 }, 4096, 500000, 4,
	  .own = { 1000000, 1000000, 1000000, 1000000 } },
};

static unsigned long long *written;	/* by each file, shared */

static pid_t start_writer(const struct kind *kind, int i)
{
	const struct bpipe_writer writer = { .mask = BPIPE_WRITER_RATE, .rate = kind->own[i] };
	char *buf = calloc(1, kind->len);
	pid_t pid = fork();
	int fd;

	if (pid) {
		free(buf);
		return pid;
	}
	fd = open(DEV, O_WRONLY);
	if (fd < 0 || ioctl(fd, BPIPE_SET_WRITER, &writer))
		err(1, "a writer");
	for (;;) {
		ssize_t n = write(fd, buf, kind->len);

		if (n < 0)
			err(1, "write");
		__atomic_fetch_add(&written[i], kind->in_records ? 1 : n, __ATOMIC_RELAXED);
	}
}

static pid_t start_reader(void)
{
	static char into[1 << 20];
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	fd = open(DEV, O_RDONLY);
	while (read(fd, into, sizeof(into)) > 0)
		;
	_exit(0);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void measure_kind(const struct kind *kind)
{
	unsigned long long before[FILES_MAX];
	struct bpipe_stats from, to;
	pid_t pids[FILES_MAX + 1];
	int files = kind->files;
	double passed;

	clean();
	set(kind->config);
	memset(written, 0, FILES_MAX * sizeof(*written));
	for (int i = 0; i < files; i++)
		pids[i] = start_writer(kind, i);
	pids[files] = start_reader();
	sleep_s(2);
	from = stats();
	memcpy(before, written, sizeof(before));
	sleep_s(WINDOW);
	to = stats();
	passed = (double)(to.time_ns - from.time_ns) / SECOND;
	printf("rates %s = %llu", kind->name, kind->set);
	if (files == 1)
		printf(" %.1f", (kind->in_records ? to.read_records - from.read_records :
				 to.read_bytes - from.read_bytes) / passed);
	for (int i = 0; files > 1 && i < files; i++)
		printf(" %.1f", (written[i] - before[i]) / passed);
	putchar('\n');
	fflush(stdout);
	for (int i = 0; i <= files; i++)
		end(pids[i]);
}

static void overload(void)
{
	struct pollfd event = { .fd = ctl, .events = POLLPRI };
	static const char some[786432];
	struct bpipe_events high, over;
	int fd = open(DEV, O_WRONLY);

	clean();
	set((struct bpipe_config) { .mask = BPIPE_CFG_OVERLOAD_AFTER,
				    .overload_after = SECOND / 2 });
	ioctl(ctl, BPIPE_GET_EVENTS, &high);
	if (write(fd, some, sizeof(some)) != sizeof(some))
		err(1, "write");
	poll(&event, 1, -1);
	ioctl(ctl, BPIPE_GET_EVENTS, &high);
	poll(&event, 1, -1);
	over.time_ns = now_ns();
	printf("overload = %.3f\n", (over.time_ns - high.time_ns - SECOND / 2) / 1e6);
	ioctl(ctl, BPIPE_GET_EVENTS, &over);
	if (over.state != BPIPE_STATE_OVERLOADED)
		errx(1, "it is not overloaded");
	clean();
}

static unsigned int *served;

static void *be_writer(void *arg)
{
	int fd = open(DEV, O_WRONLY), i = (long)arg;
	char record[100] = "";

	if (fd < 0)
		err(1, DEV);
	while (write(fd, record, sizeof(record)) == sizeof(record))
		served[i]++;
	return NULL;
}

static void raise_limits(void)
{
	struct rlimit limit = { 1 << 17, 1 << 17 };
	FILE *threads = fopen("/proc/sys/kernel/threads-max", "w");

	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "RLIMIT_NOFILE");
	/* A small machine's default limit is lower than what the machine can run. */
	if (!threads || fprintf(threads, "%d", 1 << 17) < 0 || fclose(threads))
		err(1, "threads-max");
}

static void writers(int n)
{
	unsigned int *before = calloc(n, sizeof(*before)), least = -1, most = 0, d;
	pthread_attr_t attr;
	pthread_t thread;
	pid_t reader;

	raise_limits();
	clean();
	set((struct bpipe_config) { RECORDS(BPIPE_CFG_READ_RATE_RECORDS),
				    .read_rate_records = 5000 });
	served = calloc(n, sizeof(*served));
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	for (long i = 0; i < n; i++)
		if (pthread_create(&thread, &attr, be_writer, (void *)i))
			err(1, "thread %ld", i);
	reader = start_reader();
	/* Wait until all but one are queued. */
	while (stats().writers_waiting < (unsigned int)n - 1)
		sleep_s(1);
	memcpy(before, served, n * sizeof(*before));
	sleep_s(SERVED);
	for (int i = 0; i < n; i++) {
		d = served[i] - before[i];
		least = d < least ? d : least;
		most = d > most ? d : most;
	}
	printf("writers %d = %u %u\n", n, least, most);
	fflush(stdout);
	end(reader);
	_exit(0);
}

/* Return the bytes of all objects in the slabs, and of pages that are accounted elsewhere. */
static double kernel_memory(void)
{
	FILE *file = fopen("/proc/slabinfo", "r");
	unsigned long active, all, size;
	char line[512];
	double sum = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%*s %lu %lu %lu", &active, &all, &size) == 3)
			sum += (double)active * size;
	if (!file)
		err(1, "slabinfo");
	fclose(file);
	return sum;
}

static double open_many(const char *path)
{
	static int fds[OPENS];
	double before, after;

	before = kernel_memory();
	for (int i = 0; i < OPENS; i++) {
		fds[i] = open(path, O_ACCMODE);
		if (fds[i] < 0)
			err(1, "%s", path);
	}
	after = kernel_memory();
	for (int i = 0; i < OPENS; i++)
		close(fds[i]);
	return (after - before) / OPENS;
}

static void memory(void)
{
	int control = open("/dev/bpipe-control", O_RDWR);
	const struct bpipe_config small = { .mask = BPIPE_CFG_SIZE, .size = 4096 };
	struct bpipe_add add = { .config = (unsigned long)&small, .config_size = sizeof(small) };
	struct bpipe_remove gone = { .name = "" };
	double file, opener, channel, before, buffered;

	raise_limits();
	open_many("/dev/null");
	file = open_many("/dev/null");
	open_many(DEV);
	opener = open_many(DEV);
	before = kernel_memory();
	for (int i = 0; i < CHANNELS; i++) {
		sprintf(add.name, "%d", i);
		if (ioctl(control, BPIPE_ADD, &add))
			err(1, "ADD");
	}
	channel = (kernel_memory() - before) / CHANNELS;
	before = kernel_memory();
	for (int i = 0; i < CHANNELS; i++) {
		char path[64];

		sprintf(path, DEV "-%d", i);
		close(open(path, O_WRONLY));
	}
	/* The buffer itself consists of pages, not of slab objects. */
	buffered = (kernel_memory() - before) / CHANNELS + channel + small.size;
	for (int i = 0; i < CHANNELS; i++) {
		sprintf(gone.name, "%d", i);
		if (ioctl(control, BPIPE_REMOVE, &gone))
			err(1, "REMOVE");
	}
	printf("memory = %.0f %.0f %.0f\n", opener - file, channel, buffered);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	ctl = open(DEV, O_ACCMODE);
	if (ctl < 0)
		err(1, DEV);
	written = mmap(NULL, FILES_MAX * sizeof(*written), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (written == MAP_FAILED)
		err(1, "mmap");
	if (argc == 2 && !strcmp(argv[1], "rates")) {
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			measure_kind(&kinds[i]);
		clean();
	} else if (argc == 2 && !strcmp(argv[1], "overload")) {
		overload();
	} else if (argc == 3 && !strcmp(argv[1], "writers")) {
		writers(atoi(argv[2]));
	} else if (argc == 2 && !strcmp(argv[1], "memory")) {
		memory();
	} else {
		errx(2, "usage: limits rates | overload | writers N | memory");
	}
	return 0;
}
