/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A histogram of times. Each power of two has 64 equal slots, so a value read back is
 * within 1 %. The size is fixed, because histograms are in shared memory.
 */
#ifndef BPIPE_LOAD_HIST_H
#define BPIPE_LOAD_HIST_H

#include <stdint.h>

#define HIST_BITS	6
#define HIST_SLOTS	((65 - HIST_BITS) << HIST_BITS)

struct hist {
	uint64_t count;
	uint64_t max;		/* exact */
	uint64_t slot[HIST_SLOTS];
};

void hist_add(struct hist *h, uint64_t value);
void hist_merge(struct hist *into, const struct hist *from);

/* Return the value that @percent of all values do not exceed, or 0 without values. */
uint64_t hist_percentile(const struct hist *h, double percent);

#endif
