/* SPDX-License-Identifier: GPL-2.0 */
/* Functions that the benchmarks share. */
#ifndef BPIPE_BENCH_H
#define BPIPE_BENCH_H

#define DEV	"/dev/bpipe"

long long now_ns(void);

/* Return the median. Sorts the values. */
double median(double *values, int n);

/*
 * Open both ends of a pipe or channel, [0] to read and [1] to write. @what is "pipe" or
 * "bpipe" for the default size, "pipe:SIZE" or "bpipe:SIZE", or "bpipe:SIZE:THRESHOLD",
 * whose reader is woken at THRESHOLD bytes.
 */
void open_ends(const char *what, int fds[2]);

#endif /* BPIPE_BENCH_H */
