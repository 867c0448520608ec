/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_PRESSURE_H
#define BPIPE_PRESSURE_H

#include <linux/types.h>

/* Averages over the last 10, 60 and 300 s. */
#define BPIPE_PRESSURE_SPANS	3
/* All of the time. */
#define BPIPE_PRESSURE_ONE	0x40000000ULL

/**
 * struct bpipe_pressure - how much of the time something stalled
 * @stalled_ns: time stalled, up to @updated
 * @updated: up to when that is known, nanoseconds
 * @folded_ns: what @stalled_ns was when the averages were brought up to date
 * @folded: when that was
 * @avg: the averages, of BPIPE_PRESSURE_ONE
 *
 * They decay as those of /proc/pressure do, but need nothing to run for it: nothing is
 * averaged between two changes, and it is known what came between.
 */
struct bpipe_pressure {
	u64 stalled_ns;
	u64 updated;
	u64 folded_ns;
	u64 folded;
	u32 avg[BPIPE_PRESSURE_SPANS];
};

void bpipe_pressure_init(struct bpipe_pressure *p, u64 now);
void bpipe_pressure_update(struct bpipe_pressure *p, bool stalled, u64 now);

#endif /* BPIPE_PRESSURE_H */
