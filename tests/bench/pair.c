// SPDX-License-Identifier: GPL-2.0
/*
 * Measure the cost of one write and one read of the same bytes by one thread, in a pipe
 * and in /dev/bpipe. Meant for a guest whose clock counts instructions
 * (tests/vm/run --icount): there, a nanosecond is an instruction.
 *
 * usage: pair SIZE WHAT...	WHAT as for open_ends()
 *
 * Prints a line for each WHAT: pair SIZE WHAT = NANOSECONDS. The figure is the median of
 * short batches, so that timer ticks do not count. First uses cost up to twice as
 * much; they are not measured.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define BATCHES	101

static long long batch(int fds[2], char *buf, size_t size, int pairs)
{
	long long start = now_ns();

	for (int i = 0; i < pairs; i++)
		if (write(fds[1], buf, size) != (ssize_t)size ||
		    read(fds[0], buf, size) != (ssize_t)size)
			err(1, "pair of %zu bytes", size);
	return now_ns() - start;
}

int main(int argc, char **argv)
{
	size_t size = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
	int pairs = size >= 16384 ? 4 : 200;
	double ns[BATCHES];
	char *buf = malloc(size);
	int fds[2];

	if (argc < 3 || !size || !buf)
		errx(2, "usage: pair SIZE WHAT...");
	memset(buf, 'x', size);
	for (char **what = argv + 2; *what; what++) {
		open_ends(*what, fds);
		batch(fds, buf, size, 100);
		sleep(30);
		for (int i = 0; i < BATCHES; i++)
			ns[i] = (double)batch(fds, buf, size, pairs) / pairs;
		printf("pair %zu %s = %.1f\n", size, *what, median(ns, BATCHES));
		fflush(stdout);
		close(fds[0]);
		close(fds[1]);
	}
	free(buf);
	return 0;
}
