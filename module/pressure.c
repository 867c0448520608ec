// SPDX-License-Identifier: GPL-2.0
/*
 * Decaying averages of the time stalled. The functions are pure, as those of flow.c: the time
 * is an argument.
 */

#include <linux/bitops.h>
#include <linux/math64.h>
#include <linux/minmax.h>

#include "pressure.h"

/* Averages decay in ticks of 2^20 ns, and are calculated at most once in 64. */
#define BPIPE_PRESSURE_TICK	20
#define BPIPE_PRESSURE_FOLD	64

/* Weight that an average keeps after a tick: e^(-tick/span), times 2^32. */
static const u32 bpipe_pressure_decay[BPIPE_PRESSURE_SPANS] = {
	4294516960U, 4294892237U, 4294952284U,
};

/* Return the weight that an average keeps after @ticks, 0..BPIPE_PRESSURE_ONE. */
static u64 bpipe_pressure_left(u32 decay, u64 ticks)
{
	u64 left = BPIPE_PRESSURE_ONE, base = decay;

	for (; ticks && left; ticks >>= 1) {
		if (ticks & 1)
			left = left * base >> 32;
		base = base * base >> 32;
	}
	return left;
}

/* Return @part as a share of @whole, 0..BPIPE_PRESSURE_ONE. @whole must not be 0. */
static u64 bpipe_pressure_share(u64 part, u64 whole)
{
	int shift = max(fls64(whole) - 33, 0);

	return div64_u64((part >> shift) * BPIPE_PRESSURE_ONE, whole >> shift);
}

/**
 * bpipe_pressure_init() - start the averages at zero
 * @p: the averages
 * @now: the time, nanoseconds
 *
 * Context: any; @p belongs to the caller.
 */
void bpipe_pressure_init(struct bpipe_pressure *p, u64 now)
{
	*p = (struct bpipe_pressure) { .updated = now, .folded = now };
}

/**
 * bpipe_pressure_update() - account for the time since the last update
 * @p: the averages
 * @stalled: all of that time was stalled; otherwise none of it was
 * @now: the time, nanoseconds
 *
 * Context: called with channel.lock held.
 */
void bpipe_pressure_update(struct bpipe_pressure *p, bool stalled, u64 now)
{
	u64 passed, ticks, share, left;
	int i;

	if (stalled)
		p->stalled_ns += now - p->updated;
	p->updated = now;

	passed = now - p->folded;
	ticks = passed >> BPIPE_PRESSURE_TICK;
	if (ticks < BPIPE_PRESSURE_FOLD)
		return;
	share = bpipe_pressure_share(p->stalled_ns - p->folded_ns, passed);
	for (i = 0; i < BPIPE_PRESSURE_SPANS; i++) {
		left = bpipe_pressure_left(bpipe_pressure_decay[i], ticks);
		p->avg[i] = (p->avg[i] * left + share * (BPIPE_PRESSURE_ONE - left)) /
			    BPIPE_PRESSURE_ONE;
	}
	/* Leave the time after the last whole tick, about 1 ms at most, to the next calculation. */
	passed -= ticks << BPIPE_PRESSURE_TICK;
	p->folded_ns = p->stalled_ns - passed * share / BPIPE_PRESSURE_ONE;
	p->folded = now - passed;
}
