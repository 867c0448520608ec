// SPDX-License-Identifier: GPL-2.0
/*
 * Measure how much processes that read the counters of a channel in sysfs slow its writer.
 *
 * usage: pollers RUNS PROCESSES SIZE COUNT
 *
 * A writer and a reader share CPU 0, and pass COUNT writes of SIZE bytes. On CPU 1,
 * PROCESSES processes read "level" as fast as they can. Runs without pollers, with
 * pollers of another channel and with pollers of this one take turns. The second kind
 * shows the cost of a busy second CPU; its difference to the third is the cost of
 * reading the channel's counters.
 *
 * Prints pollers PROCESSES SIZE = ALONE OTHER THIS POLLS-OTHER POLLS-THIS, medians: bytes
 * a second in each kind, and reads of "level" a second.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpipe.h>

#include "bench.h"

#define RUNS_MAX	101
#define PROCESSES_MAX	1000
#define STREAM_READ	65536
#define OTHER		"pollers"	/* the other channel */

enum { ALONE, OTHERS, THIS, ARMS };

static const char *const polled[ARMS] = {
	[OTHERS] = "/sys/class/bpipe/bpipe-" OTHER "/level",
	[THIS] = "/sys/class/bpipe/bpipe/level",
};

static int processes;
static size_t size;
static long count;
static unsigned long long *polls;	/* of each process, shared */

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "CPU %d", cpu);
}

/* Open and read "level", as a shell or a monitor does. */
static void poll_level(const char *path, unsigned long long *times)
{
	char text[32];

	for (;;) {
		int fd = open(path, O_RDONLY);

		if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
			err(1, "%s", path);
		close(fd);
		__atomic_fetch_add(times, 1, __ATOMIC_RELAXED);
	}
}

static unsigned long long sum_polls(void)
{
	unsigned long long sum = 0;

	for (int i = 0; i < processes; i++)
		sum += __atomic_load_n(&polls[i], __ATOMIC_RELAXED);
	return sum;
}

static void start_pollers(const char *path, pid_t *pids)
{
	int ready[2];
	char byte = 0;

	if (pipe(ready))
		err(1, "pipe");
	for (int i = 0; i < processes; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			err(1, "fork");
		if (pids[i])
			continue;
		pin(1);
		if (write(ready[1], &byte, 1) != 1)
			err(1, "ready");
		poll_level(path, &polls[i]);
	}
	for (int i = 0; i < processes; i++)
		if (read(ready[0], &byte, 1) != 1)
			err(1, "ready");
	close(ready[0]);
	close(ready[1]);
}

static void stop_pollers(const pid_t *pids)
{
	for (int i = 0; i < processes; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < processes; i++)
		waitpid(pids[i], NULL, 0);
}

static void write_all(int fd, char *buf)
{
	for (long i = 0; i < count; i++)
		if (write(fd, buf, size) != (ssize_t)size)
			err(1, "write");
}

static void read_all(int fd, char *buf)
{
	ssize_t n;

	while ((n = read(fd, buf, STREAM_READ)) > 0)
		;
	if (n)
		err(1, "read");
}

/* Run writer and reader on CPU 0, so that the pollers take no time from the reader. */
static double pass(void)
{
	static char buf[STREAM_READ];
	int fds[2], status;
	long long start;
	pid_t pid;

	open_ends("bpipe:1048576", fds);
	start = now_ns();
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		close(fds[0]);
		write_all(fds[1], buf);
		_exit(0);
	}
	close(fds[1]);
	read_all(fds[0], buf);
	if (waitpid(pid, &status, 0) < 0 || status)
		errx(1, "the writer failed");
	close(fds[0]);
	return (double)size * count * 1e9 / (now_ns() - start);
}

static double measure(const char *path, double *speed)
{
	static pid_t pids[PROCESSES_MAX];
	unsigned long long before;
	long long start;
	double polled;

	if (!path) {
		*speed = pass();
		return 0;
	}
	start_pollers(path, pids);
	before = sum_polls();
	start = now_ns();
	*speed = pass();
	polled = (sum_polls() - before) * 1e9 / (now_ns() - start);
	stop_pollers(pids);
	return polled;
}

static void change_other(unsigned long command, void *arg)
{
	int fd = open("/dev/bpipe-control", O_RDWR);

	if (fd < 0 || ioctl(fd, command, arg))
		err(1, "bpipe-control");
	close(fd);
}

int main(int argc, char **argv)
{
	double speed[ARMS][RUNS_MAX], polls_s[ARMS][RUNS_MAX];
	int runs = argc > 1 ? atoi(argv[1]) : 0;
	struct bpipe_add add = { .name = OTHER };
	struct bpipe_remove gone = { .name = OTHER };

	processes = argc > 2 ? atoi(argv[2]) : 0;
	size = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
	count = argc > 4 ? atol(argv[4]) : 0;
	if (argc != 5 || runs < 1 || runs > RUNS_MAX || processes < 1 ||
	    processes > PROCESSES_MAX || !size || size > STREAM_READ || count < 1)
		errx(2, "usage: pollers RUNS PROCESSES SIZE COUNT");
	polls = mmap(NULL, processes * sizeof(*polls), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (polls == MAP_FAILED)
		err(1, "mmap");
	pin(0);
	change_other(BPIPE_ADD, &add);
	for (int run = 0; run < runs; run++)
		for (int arm = 0; arm < ARMS; arm++)
			polls_s[arm][run] = measure(polled[arm], &speed[arm][run]);
	change_other(BPIPE_REMOVE, &gone);
	printf("pollers %d %zu = %.0f %.0f %.0f %.0f %.0f\n", processes, size,
	       median(speed[ALONE], runs), median(speed[OTHERS], runs),
	       median(speed[THIS], runs), median(polls_s[OTHERS], runs),
	       median(polls_s[THIS], runs));
	return 0;
}
