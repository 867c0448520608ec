/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of bpipe-load share: the options and the workers. */
#ifndef BPIPE_LOAD_H
#define BPIPE_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hist.h"

#define NSEC_PER_SEC	1000000000ULL
#define NSEC_PER_MSEC	1000000ULL

/* A write or read that takes at least this long is a stall. */
#define STALL_NS	(10 * NSEC_PER_MSEC)

enum {
	EXIT_OK		= 0,
	EXIT_RUN	= 1,	/* the run failed */
	EXIT_USAGE	= 2,
	EXIT_WRONG	= 3,	/* --verify: data lost, duplicated, reordered, torn or corrupt */
	EXIT_OPEN	= 4,	/* --verify: end-of-file before the last unit of each producer */
};

struct worker;

struct verb {
	const char *name;
	unsigned int bit;
	const char *summary;
	const char *call;		/* title of the row of its latencies */
	int open_flags;
	int std_fd;			/* descriptor for the path "-" */
	void (*work)(struct worker *w);
};

/* Every option is a number, so that one table can describe them all. */
struct options {
	const struct verb *verb;
	const char *path;
	uint64_t size;
	uint64_t count;
	uint64_t bytes;
	uint64_t duration_ns;
	uint64_t rate;
	uint64_t threads;
	uint64_t processes;
	uint64_t id;
	uint64_t threshold;
	uint64_t delay_ns;
	uint64_t class;
	uint64_t policy;
	uint64_t nonblock;
	uint64_t verify;
	uint64_t json;
	uint64_t quiet;
	unsigned int workers;
};

/* What --verify found. */
struct verdict {
	uint64_t producers;
	uint64_t lost;
	uint64_t duplicated;
	uint64_t reordered;
	uint64_t torn;
	uint64_t corrupt;
	uint64_t unfinished;
};

/* Written only by its worker. The progress line reads it at any time. */
typedef _Atomic uint64_t tally_t;

static inline void tally(tally_t *t, uint64_t n)
{
	uint64_t old = atomic_load_explicit(t, memory_order_relaxed);

	atomic_store_explicit(t, old + n, memory_order_relaxed);
}

/*
 * A worker is a thread or a separate process, and works the same way in both. It is in
 * shared memory.
 */
struct worker {
	struct run *run;
	const struct options *opt;
	unsigned int index;
	int fd;

	tally_t bytes;
	tally_t units;
	tally_t calls;
	tally_t again;
	tally_t shorts;
	tally_t stalls;
	tally_t stalled_ns;
	tally_t first_ns;		/* when the first byte moved */
	tally_t last_ns;		/* when the last byte moved */
	atomic_bool eof;
	struct hist latency;
	struct verdict verdict;

	pthread_t thread;
	pid_t pid;
	atomic_bool done;		/* set by a thread as it ends */
	bool gone;			/* the thread was joined, or the process reaped */
};

#endif
