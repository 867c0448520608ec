/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_SOJOURN_H
#define BPIPE_SOJOURN_H

#include <linux/types.h>

/**
 * struct bpipe_sojourn - whether the records of a class wait for too long
 * @target: how long they should wait at most; with another one, all begins anew
 * @first_above_time: when it will be so if the next ones have waited for too long as well;
 *	0 while they have not
 * @drop_next: when the next one is dropped
 * @count: how many were dropped since it is so
 * @lastcount: @count at the start of the last dropping state, as in CoDel
 * @dropping: it is so
 *
 * The idea, and the law by which it goes, are those of CoDel, RFC 8289.
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
