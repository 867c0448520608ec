/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_PRESSURE_H
#define BPIPE_PRESSURE_H

#include <linux/types.h>

/* Averages over the last 10, 60 and 300 s. */
#define BPIPE_PRESSURE_SPANS	3
/* Unit of the averages: stalled all of the time. */
#define BPIPE_PRESSURE_ONE	0x40000000ULL

/**
 * struct bpipe_pressure - share of the time that writers stall
 * @stalled_ns: time stalled until @updated, nanoseconds
 * @updated: time of the last update, nanoseconds
 * @folded_ns: part of @stalled_ns that the averages include, nanoseconds
 * @folded: time up to which the averages go, nanoseconds
 * @avg: the averages, 0..BPIPE_PRESSURE_ONE
 *
 * The averages decay as those in /proc/pressure do. They need no timer: between two updates
 * the state does not change, so the share of that time is known.
 *
 * Protected by channel.lock.
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
