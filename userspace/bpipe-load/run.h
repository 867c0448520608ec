/* SPDX-License-Identifier: GPL-2.0 */
/* A run: its workers, when they must stop, and the rate they share. */
#ifndef BPIPE_LOAD_RUN_H
#define BPIPE_LOAD_RUN_H

#include "load.h"

struct run {
	const struct options *opt;
	atomic_uint opened;		/* workers that have the path open */
	atomic_uint_least64_t opened_ns;	/* when all had: 0 until then */
	atomic_uint_least64_t give_up_ns;	/* 0: go on; else stop, at the latest then */
	atomic_uint_least64_t pace;		/* bytes; see run_pace_wait() */
	atomic_bool failed;
	struct worker worker[];
};

uint64_t now_ns(void);

/* Run all workers to their end. NULL: nothing was started, and it was said why. */
struct run *run_all(const struct options *opt);

/*
 * For workers. A call that sleeps comes back with EINTR, again and again, once
 * it is time to stop: look then whether to go on.
 */
static inline bool run_stopping(struct run *run)
{
	return atomic_load_explicit(&run->give_up_ns, memory_order_relaxed);
}

static inline bool run_given_up(struct run *run)
{
	return run_stopping(run) && now_ns() >= atomic_load(&run->give_up_ns);
}

/* Say why, once for all workers, and end the run. */
void run_fail(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sleep until the rate allows more (or the run stops); account what was moved. */
void run_pace_wait(struct run *run);
void run_pace_take(struct run *run, uint64_t bytes);

/* Account a call that took `ns`. */
void worker_stalled(struct worker *w, uint64_t ns);

#endif
