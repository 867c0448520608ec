// SPDX-License-Identifier: GPL-2.0
/*
 * Measure writers and a reader, each a process, at full speed: their throughput and
 * context switches, in a pipe and in /dev/bpipe.
 *
 * usage: pass RUNS WRITERS SIZE COUNT WHAT...	WHAT as for open_ends()
 *
 * Each run passes COUNT writes of SIZE bytes by each writer through each WHAT in turn, so
 * that the machine's other load affects all equally. Prints a line for each with the
 * medians: pass WRITERS SIZE WHAT = BYTES-A-SECOND SWITCHES SLEEPS. SWITCHES counts
 * the context switches of all processes, and SLEEPS the voluntary ones, both for 1000
 * writes.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define RUNS_MAX	101

struct result {
	double rate[RUNS_MAX];
	double switches[RUNS_MAX];
	double sleeps[RUNS_MAX];
};

static void write_all(int fd, char *buf, size_t size, long count)
{
	while (count--)
		if (write(fd, buf, size) != (ssize_t)size)
			err(1, "write");
}

static void read_all(int fd, char *buf, size_t size, long count)
{
	long long left = (long long)size * count;
	ssize_t n;

	while ((n = read(fd, buf, size)) > 0)
		left -= n;
	if (n || left)
		errx(1, "read: %lld bytes are missing", left);
}

/* Start a process that does its part once the other end of @go is closed. */
static void spawn(void (*part)(int fd, char *buf, size_t size, long count), int fds[2],
		  int end, int go[2], size_t size, long count)
{
	pid_t pid = fork();
	char *buf;

	if (pid < 0)
		err(1, "fork");
	if (pid)
		return;
	buf = malloc(size);
	if (!buf)
		err(1, "memory");
	memset(buf, 'x', size);
	close(fds[!end]);
	close(go[1]);
	if (read(go[0], buf, 1))
		err(1, "start");
	part(fds[end], buf, size, count);
	_exit(0);
}

static void reap(long *switches, long *sleeps)
{
	struct rusage usage;
	int status;

	if (wait4(-1, &status, 0, &usage) < 0 || status)
		errx(1, "a process failed");
	*switches += usage.ru_nvcsw + usage.ru_nivcsw;
	*sleeps += usage.ru_nvcsw;
}

static void pass(const char *what, int writers, size_t size, long count, struct result *result,
		 int run)
{
	double writes = (double)writers * count;
	long switches = 0, sleeps = 0;
	int fds[2], go[2];
	long long start;

	open_ends(what, fds);
	if (pipe(go))
		err(1, "pipe");
	for (int i = 0; i < writers; i++)
		spawn(write_all, fds, 1, go, size, count);
	spawn(read_all, fds, 0, go, size, writers * count);
	close(fds[0]);
	close(fds[1]);
	close(go[0]);
	start = now_ns();
	close(go[1]);
	for (int i = 0; i <= writers; i++)
		reap(&switches, &sleeps);
	result->rate[run] = size * writes * 1e9 / (now_ns() - start);
	result->switches[run] = switches * 1000 / writes;
	result->sleeps[run] = sleeps * 1000 / writes;
}

int main(int argc, char **argv)
{
	int runs = argc > 1 ? atoi(argv[1]) : 0;
	int writers = argc > 2 ? atoi(argv[2]) : 0;
	size_t size = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
	long count = argc > 4 ? atol(argv[4]) : 0;
	struct result *results = calloc(argc, sizeof(*results));

	if (argc < 6 || runs < 1 || runs > RUNS_MAX || writers < 1 || !size || count < 1 ||
	    !results)
		errx(2, "usage: pass RUNS WRITERS SIZE COUNT WHAT...");
	for (int run = 0; run < runs; run++)
		for (int i = 5; i < argc; i++)
			pass(argv[i], writers, size, count, &results[i], run);
	for (int i = 5; i < argc; i++)
		printf("pass %d %zu %s = %.0f %.1f %.1f\n", writers, size, argv[i],
		       median(results[i].rate, runs), median(results[i].switches, runs),
		       median(results[i].sleeps, runs));
	return 0;
}
