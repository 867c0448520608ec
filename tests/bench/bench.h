/* SPDX-License-Identifier: GPL-2.0 */
/* What the benchmarks share. */
#ifndef BPIPE_BENCH_H
#define BPIPE_BENCH_H

#define DEV	"/dev/bpipe"

long long now_ns(void);

/* The median, of values that are left sorted. */
double median(double *values, int n);

/*
 * Opens both ends of what is to be measured, [0] to read and [1] to write: "pipe"
 * or "bpipe" as they are, "pipe:SIZE" or "bpipe:SIZE" made that large, or
 * "bpipe:SIZE:THRESHOLD", whose reader is woken at so many bytes.
 */
void open_ends(const char *what, int fds[2]);

#endif /* BPIPE_BENCH_H */
