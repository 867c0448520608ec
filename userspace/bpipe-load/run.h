/* SPDX-License-Identifier: GPL-2.0 */
/* A run: its workers, when they must stop, and the rate that they share. */
#ifndef BPIPE_LOAD_RUN_H
#define BPIPE_LOAD_RUN_H

#include "load.h"

struct run {
	const struct options *opt;
	atomic_uint opened;		/* workers that have the path open */
	atomic_uint_least64_t opened_ns;	/* when all had opened it; 0 before */
	atomic_uint_least64_t give_up_ns;	/* 0: go on; else the latest time to stop */
	atomic_uint_least64_t pace;		/* bytes; see run_pace_wait() */
	atomic_bool failed;
	struct worker worker[];
};

uint64_t now_ns(void);

/* Run all workers to their end. Return NULL, with a message, if none could be started. */
struct run *run_all(const struct options *opt);

/*
 * Return true if workers must stop. From then, sleeping calls fail with EINTR at each tick,
 * so that workers check this.
 */
static inline bool run_stopping(struct run *run)
{
	return atomic_load_explicit(&run->give_up_ns, memory_order_relaxed);
}

static inline bool run_given_up(struct run *run)
{
	return run_stopping(run) && now_ns() >= atomic_load(&run->give_up_ns);
}

/* End the run as failed. Print the message only for the first failure of all workers. */
void run_fail(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sleep until the rate allows more bytes or the run stops; account for moved bytes. */
void run_pace_wait(struct run *run);
void run_pace_take(struct run *run, uint64_t bytes);

/* Count a call that took @ns as a stall if it is one. */
void worker_stalled(struct worker *w, uint64_t ns);

#endif
