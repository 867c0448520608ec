// SPDX-License-Identifier: GPL-2.0
/*
 * What one write and one read of the same bytes cost, in a pipe and in
 * /dev/bpipe, side by side. Meant for a guest whose clock counts instructions
 * (tests/vm/run --icount): then a nanosecond is an instruction.
 *
 * usage: pair SIZE [pipe|bpipe]...
 *
 * Prints a line for each: SIZE WHAT NANOSECONDS-A-PAIR. Batches are short, and
 * the median is taken, so that timer ticks do not count.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCHES	101

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return (x > y) - (x < y);
}

static long long batch(int in, int out, char *buf, size_t size, int pairs)
{
	long long start = now_ns();

	for (int i = 0; i < pairs; i++)
		if (write(in, buf, size) != (ssize_t)size ||
		    read(out, buf, size) != (ssize_t)size)
			err(1, "pair of %zu bytes", size);
	return now_ns() - start;
}

int main(int argc, char **argv)
{
	size_t size = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
	int pairs = size >= 16384 ? 4 : 200;
	long long ns[BATCHES];
	char *buf = malloc(size);
	int fds[2];

	if (argc < 3 || !size || !buf)
		errx(2, "usage: pair SIZE pipe|bpipe...");
	memset(buf, 'x', size);
	for (int a = 2; a < argc; a++) {
		if (!strcmp(argv[a], "bpipe")) {
			fds[1] = open("/dev/bpipe", O_WRONLY);
			fds[0] = open("/dev/bpipe", O_RDONLY);
			if (fds[0] < 0 || fds[1] < 0)
				err(1, "/dev/bpipe");
		} else if (pipe(fds)) {
			err(1, "pipe");
		}
		batch(fds[1], fds[0], buf, size, 100);
		sleep(30);
		for (int i = 0; i < BATCHES; i++)
			ns[i] = batch(fds[1], fds[0], buf, size, pairs);
		qsort(ns, BATCHES, sizeof(ns[0]), compare);
		printf("%zu %s %.1f\n", size, argv[a], (double)ns[BATCHES / 2] / pairs);
		fflush(stdout);
		close(fds[0]);
		close(fds[1]);
	}
	return 0;
}
