/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_SOJOURN_H
#define BPIPE_SOJOURN_H

#include <linux/types.h>

/**
 * struct bpipe_sojourn - state of the sojourn control of a class
 * @target: longest time that its records should wait, nanoseconds; a change resets the state
 * @first_above_time: time at which the waits will have exceeded the target for an interval,
 *	nanoseconds; 0 while they do not exceed it
 * @drop_next: time of the next drop, nanoseconds
 * @count: drops since @dropping was set, those carried over from the time before included
 * @lastcount: @count when @dropping was last set
 * @dropping: the waits have exceeded the target for an interval: records are dropped
 *
 * The algorithm and the names are those of CoDel, RFC 8289.
 *
 * Protected by rd.lock.
 */
struct bpipe_sojourn {
	u64 target;
	u64 first_above_time;
	u64 drop_next;
	u32 count;
	u32 lastcount;
	bool dropping;
};

bool bpipe_sojourn_drop(struct bpipe_sojourn *state, u64 target, u64 waited, bool last, u64 now);
u32 bpipe_sojourn_bucket(u64 waited);

#endif /* BPIPE_SOJOURN_H */
