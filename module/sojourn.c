// SPDX-License-Identifier: GPL-2.0
/*
 * How long records have waited, and which of them are dropped for it. Pure, as flow.c
 * is: the time is an argument.
 */

#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>

#include "sojourn.h"
#include "uapi/linux/bpipe.h"

/* A wait that is too long for so many times the target does not end by itself. */
#define BPIPE_SOJOURN_INTERVAL	10

/* So many intervals after the last time, it is not the same trouble any more. */
#define BPIPE_SOJOURN_MEMORY	16

/* When to drop the next one: the more there were, the sooner, by the square root. */
static u64 bpipe_sojourn_next(u64 from, u64 interval, u32 count)
{
	/* An interval is less than 2^50 ns; the root has ten bits after the point. */
	return from + div64_u64(interval << 10, int_sqrt64((u64)count << 20));
}

/**
 * bpipe_sojourn_drop() - is a record to be dropped, that would be read next?
 * @state: of its class
 * @target: how long records of it should wait at most, nanoseconds, at least 1
 * @waited: how long this one has waited
 * @last: there is no other of its class
 * @now: the time, nanoseconds
 *
 * If so, the next one is to be asked about.
 */
bool bpipe_sojourn_drop(struct bpipe_sojourn *state, u64 target, u64 waited, bool last, u64 now)
{
	u64 interval = target * BPIPE_SOJOURN_INTERVAL;
	u32 more;

	if (state->target != target)
		*state = (struct bpipe_sojourn) { .target = target };
	if (waited < target || last) {
		state->first_above_time = 0;
		state->dropping = false;
		return false;
	}
	if (!state->first_above_time)
		state->first_above_time = now + interval;
	if (now < state->first_above_time)
		return false;
	if (state->dropping) {
		if (now < state->drop_next)
			return false;
		/* Saturate: after 2^32 drops, 0 would be divided by. */
		if (state->count < U32_MAX)
			state->count++;
		state->drop_next = bpipe_sojourn_next(state->drop_next, interval, state->count);
		return true;
	}

	/* The same trouble as before needs as many as were needed then. */
	more = state->count - state->lastcount;
	if (more <= 1 || now >= state->drop_next + BPIPE_SOJOURN_MEMORY * interval)
		more = 1;
	state->dropping = true;
	state->count = more;
	state->lastcount = more;
	state->drop_next = bpipe_sojourn_next(now, interval, more);
	return true;
}

/**
 * bpipe_sojourn_bucket() - which counter of struct bpipe_stats.sojourn it goes to
 * @waited: how long a record has waited, nanoseconds
 */
u32 bpipe_sojourn_bucket(u64 waited)
{
	return min(fls64(waited >> 10), BPIPE_SOJOURN_BUCKETS - 1);
}
