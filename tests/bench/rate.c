// SPDX-License-Identifier: GPL-2.0
/*
 * Measure how well a rate is kept, by the reader's clock.
 *
 * usage: rate hold WHAT RATE WRITERS SIZE	WHAT: bpipe or pv
 *	  rate change FROM TO WRITERS SIZE
 *
 * hold: writers write as fast as possible for 11 s, pause for another 11 s, and
 * continue for 2 s. Prints: hold WHAT RATE WRITERS SIZE = HELD LEAST MOST EXCESS.
 * HELD is bytes a second over 10 s, after the first half second. LEAST and MOST are
 * the bytes in the second of the 11 s with the fewest, and with the most. EXCESS is how
 * many bytes the data after the pause was ahead of the rate, at most.
 *
 * change: changes the rate once all writers sleep because they lack tokens. Prints:
 * change FROM TO WRITERS SIZE = BYTES FIRST: bytes in the following second, and
 * microseconds until the first byte.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/bpipe.h>

#include "bench.h"

#define SECOND		1000000000LL
#define WRITERS_MAX	64

/* All reads: the time, and the bytes read in all up to then. */
static struct {
	long long ns;
	long long total;
} *reads;
static int n_reads;

static int writers;
static size_t size;
static char *buf;
static pid_t pids[WRITERS_MAX];

static void sleep_until(long long ns)
{
	struct timespec ts = { .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL))
		;
}

static void write_until(int fd, long long end)
{
	while (now_ns() < end)
		if (write(fd, buf, size) != (ssize_t)size)
			err(1, "write");
}

/* Start the writers, which write in [from[0], to[0]) and in [from[1], to[1]). */
static void start_writers(const int fds[2], const long long from[2], const long long to[2])
{
	for (int i = 0; i < writers; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			err(1, "fork");
		if (pids[i])
			continue;
		close(fds[0]);
		for (int spell = 0; spell < 2; spell++) {
			sleep_until(from[spell]);
			write_until(fds[1], to[spell]);
		}
		_exit(0);
	}
	close(fds[1]);
}

/* Read once and note it. Return false at end-of-file. */
static bool read_some(int fd)
{
	long long total = n_reads ? reads[n_reads - 1].total : 0;
	static char into[65536];
	ssize_t n = read(fd, into, sizeof(into));

	if (n < 0)
		err(1, "read");
	if (!n)
		return false;
	if (!(n_reads & (n_reads - 1))) {
		reads = realloc(reads, (n_reads ? 2 * n_reads : 1) * sizeof(*reads));
		if (!reads)
			err(1, "memory");
	}
	reads[n_reads].ns = now_ns();
	reads[n_reads].total = total + n;
	n_reads++;
	return true;
}

/* Return the number of reads up to a time. */
static int reads_at(long long ns)
{
	int least = 0, most = n_reads;

	while (least < most) {
		int mid = (least + most) / 2;

		if (reads[mid].ns <= ns)
			least = mid + 1;
		else
			most = mid;
	}
	return least;
}

static long long total_at(long long ns)
{
	int n = reads_at(ns);

	return n ? reads[n - 1].total : 0;
}

/*
 * Return bytes a second in about [start, end]. Measure between reads, so that it does not
 * matter where @start and @end cut a lump of data.
 */
static double speed(long long start, long long end)
{
	int from = reads_at(start), to = reads_at(end);

	if (!from || from >= to || to == n_reads)
		errx(1, "too little was read");
	return (double)(reads[to - 1].total - reads[from - 1].total) * SECOND /
	       (reads[to].ns - reads[from].ns);
}

/* Find the least and the most bytes in any second of [start, end]. */
static void any_second(long long start, long long end, long long *least, long long *most)
{
	long long n;

	*least = -1;
	*most = 0;
	for (int i = reads_at(start); i < n_reads && reads[i].ns + SECOND <= end; i++) {
		/* A second that starts just after this read, or just before it. */
		n = total_at(reads[i].ns + SECOND - 1) - reads[i].total;
		if (*least < 0 || n < *least)
			*least = n;
		n += reads[i].total - (i ? reads[i - 1].total : 0);
		if (n > *most)
			*most = n;
	}
}

/*
 * Put pv between the ends of two pipes. Wait for a byte to pass: while pv is loaded,
 * counted time runs far ahead.
 */
static void open_pv(int fds[2], const char *rate)
{
	int in[2], out[2];
	char byte = 0;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		err(1, "pipe");
	switch (fork()) {
	case -1:
		err(1, "fork");
	case 0:
		dup2(in[0], 0);
		dup2(out[1], 1);
		execlp("pv", "pv", "-q", "-L", rate, NULL);
		err(1, "pv");
	}
	close(in[0]);
	close(out[1]);
	fds[0] = out[0];
	fds[1] = in[1];
	if (write(fds[1], &byte, 1) != 1 || read(fds[0], &byte, 1) != 1)
		errx(1, "nothing comes through pv");
}

static void set_rate(int fd, const char *rate)
{
	struct bpipe_config config = {
		.mask = BPIPE_CFG_RATE | BPIPE_CFG_BURST, .rate = strtoull(rate, NULL, 0),
	};

	if (ioctl(fd, BPIPE_SET_CONFIG, &config))
		err(1, "rate %s", rate);
}

static void hold(const char *what, const char *rate)
{
	long long start, resume;
	double per_ns = strtod(rate, NULL) / SECOND;
	long long least, most, before, n, excess = 0;
	int fds[2];

	if (!strcmp(what, "pv")) {
		open_pv(fds, rate);
	} else {
		open_ends(what, fds);
		set_rate(fds[0], rate);
	}
	start = now_ns() + SECOND / 10;
	resume = start + 22 * SECOND;
	start_writers(fds, (long long[]){ start, resume },
		      (long long[]){ start + 11 * SECOND, resume + 2 * SECOND });
	while (read_some(fds[0]))
		;

	any_second(start, start + 11 * SECOND, &least, &most);
	before = total_at(resume);
	if (total_at(resume - 10 * SECOND) != before)
		errx(1, "the pause was not 10 s");
	for (int i = reads_at(resume); i < n_reads; i++) {
		n = reads[i].total - before - (long long)(per_ns * (reads[i].ns - resume));
		if (n > excess)
			excess = n;
	}
	printf("hold %s %s %d %zu = %.1f %lld %lld %lld\n", what, rate, writers, size,
	       speed(start + SECOND / 2, start + 21 * SECOND / 2), least, most, excess);
}

static bool all_asleep(int fd)
{
	struct bpipe_stats stats = { 0 };

	if (ioctl(fd, BPIPE_GET_STATS, &stats))
		err(1, "stats");
	return !stats.level && stats.writers_waiting == (unsigned int)writers;
}

/* Read until @end; with @asleep, until all writers sleep after that. */
static void read_until(int fd, long long end, bool asleep)
{
	struct pollfd data = { .fd = fd, .events = POLLIN };
	long long left;

	while ((left = end - now_ns()) > 0 || (asleep && !all_asleep(fd)))
		if (poll(&data, 1, left > 0 ? (left + 999999) / 1000000 : 1) > 0)
			read_some(fd);
}

static void change(const char *from, const char *to)
{
	const long long at_once[2] = { 0 }, for_ever[2] = { now_ns() + 3600 * SECOND };
	long long then, before;
	int fds[2], first;

	open_ends("bpipe", fds);
	set_rate(fds[0], from);
	start_writers(fds, at_once, for_ever);
	read_until(fds[0], now_ns() + 3 * SECOND, true);
	before = total_at(now_ns());
	then = now_ns();
	set_rate(fds[0], to);
	read_until(fds[0], then + 2 * SECOND, false);
	for (int i = 0; i < writers; i++)
		kill(pids[i], SIGKILL);

	first = reads_at(then);
	if (first == n_reads)
		errx(1, "nothing came after the change");
	printf("change %s %s %d %zu = %lld %lld\n", from, to, writers, size,
	       total_at(then + SECOND) - before, (reads[first].ns - then) / 1000);
}

int main(int argc, char **argv)
{
	writers = argc > 4 ? atoi(argv[4]) : 0;
	size = argc > 5 ? strtoul(argv[5], NULL, 0) : 0;
	buf = calloc(1, size);
	if (argc != 6 || writers < 1 || writers > WRITERS_MAX || !size || !buf)
		errx(2, "usage: rate hold|change WHAT|FROM RATE|TO WRITERS SIZE");
	if (!strcmp(argv[1], "hold"))
		hold(argv[2], argv[3]);
	else
		change(argv[2], argv[3]);
	while (wait(NULL) > 0)
		;
	return 0;
}
