// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <linux/bpipe.h>

#include "bench.h"

long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *values, int n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

void open_ends(const char *what, int fds[2])
{
	struct bpipe_config config = { .mask = BPIPE_CFG_SIZE };
	struct bpipe_reader reader = { .mask = BPIPE_READER_THRESHOLD };
	unsigned long long size = 0, threshold = 0;
	char name[6];

	if (sscanf(what, "%5[a-z]:%llu:%llu", name, &size, &threshold) < 1)
		errx(2, "%s: neither a pipe nor a bpipe", what);
	if (!strcmp(name, "pipe")) {
		if (pipe(fds) || (size && fcntl(fds[1], F_SETPIPE_SZ, (int)size) < 0))
			err(1, "%s", what);
		return;
	}

	config.size = size;
	reader.threshold = threshold;
	fds[1] = open(DEV, O_WRONLY);
	fds[0] = open(DEV, O_RDONLY);
	if (fds[0] < 0 || fds[1] < 0)
		err(1, DEV);
	if ((size && ioctl(fds[0], BPIPE_SET_CONFIG, &config)) ||
	    (threshold && ioctl(fds[0], BPIPE_SET_READER, &reader)))
		err(1, "%s", what);
}
