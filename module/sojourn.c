// SPDX-License-Identifier: GPL-2.0
/*
 * Sojourn times: which records are dropped because they have waited for too long. The functions
 * are pure, as those of flow.c: the time is an argument.
 */

#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>

#include "sojourn.h"
#include "uapi/linux/bpipe.h"

/* CoDel's interval, in targets: after that long above the target, the queue is a standing one. */
#define BPIPE_SOJOURN_INTERVAL	10

/* Intervals within which a new standing queue continues at the drop rate of the last one. */
#define BPIPE_SOJOURN_MEMORY	16

/* Return the time of the next drop: drops speed up with the square root of their number. */
static u64 bpipe_sojourn_next(u64 from, u64 interval, u32 count)
{
	/* The product fits: an interval is less than 2^50 ns. The root has ten fraction bits. */
	return from + div64_u64(interval << 10, int_sqrt64((u64)count << 20));
}

/**
 * bpipe_sojourn_drop() - decide whether to drop the record that is read next
 * @state: state of its class
 * @target: longest time that records of the class should wait, nanoseconds, at least 1
 * @waited: time that this record has waited, nanoseconds
 * @last: the class has no other record
 * @now: the time, nanoseconds
 *
 * The decision changes @state, so ask once for each record. After a drop, ask about the next one.
 *
 * Context: called with rd.lock held.
 * Return: true to drop the record.
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
		/* Saturate: an overflow would make the next division one by 0. */
		if (state->count < U32_MAX)
			state->count++;
		state->drop_next = bpipe_sojourn_next(state->drop_next, interval, state->count);
		return true;
	}

	/* If the last standing queue ended recently, continue at its drop rate. */
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
 * bpipe_sojourn_bucket() - return the index in struct bpipe_stats.sojourn for a wait
 * @waited: time that a record has waited, nanoseconds
 *
 * Context: any.
 */
u32 bpipe_sojourn_bucket(u64 waited)
{
	return min(fls64(waited >> 10), BPIPE_SOJOURN_BUCKETS - 1);
}
