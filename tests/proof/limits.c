// SPDX-License-Identifier: GPL-2.0
/*
 * module/flow.c, by CBMC: settings as large as they may be.
 *
 * mirrors: module/flow.c
 * mirrors: module/flow.h
 * mirrors: tests/proof/kernel.h
 *
 * Bounds: any time at all, at the corners of rate, burst and credit listed below;
 * any settings, for the functions that only compare. The reference calculates
 * in 128 bits.
 */

#include "../../module/flow.c"

#define FULL(burst)	((s64)(burst) * NSEC_PER_SEC)
#define DEBT		(-(PIPE_BUF - 1) * NSEC_PER_SEC)

/* What a bucket of that @rate, @burst and @credit says at any time. */
static void corner(u64 rate, u64 burst, s64 credit)
{
	struct bpipe_bucket b = {
		.rate = rate, .burst = burst, .credit = credit, .stamp = any(),
	};
	u64 wait, now = any();
	s128 earned = now > b.stamp ? (s128)(now - b.stamp) * rate : 0;

	prove(bpipe_bucket_credit(&b, now) == min(credit + earned, (s128)FULL(burst)));

	wait = bpipe_bucket_wait(&b, burst, b.stamp);
	prove((s128)wait * rate >= (s128)FULL(burst) - credit);
	prove(!wait || (s128)(wait - 1) * rate < (s128)FULL(burst) - credit);
}

void prove_slow_in_debt(void)
{
	corner(1, BPIPE_BURST_MAX, DEBT);
}

void prove_odd_in_debt(void)
{
	corner(3, BPIPE_BURST_MAX, DEBT);
}

void prove_fast_in_debt(void)
{
	corner(BPIPE_RATE_MAX, 1, DEBT);
}

void prove_fast_and_full(void)
{
	corner(BPIPE_RATE_MAX, BPIPE_BURST_MAX, FULL(BPIPE_BURST_MAX));
}

/* What passes for valid is what the others take for granted. */
void prove_valid(void)
{
	struct bpipe_flow f = {
		.size = any(), .high = any(), .low = any(),
		.bucket = { .rate = any(), .burst = any() },
	};

	prove(bpipe_flow_valid(&f) ==
	      (f.size >= BPIPE_SIZE_MIN && f.size <= BPIPE_SIZE_MAX && f.low < f.high &&
	       f.high <= f.size && f.bucket.rate <= BPIPE_RATE_MAX && f.bucket.burst >= 1 &&
	       f.bucket.burst <= BPIPE_BURST_MAX));
}

void prove_burst(void)
{
	u64 rate = any(), burst = bpipe_flow_default_burst(rate);

	prove(burst >= 2 * PIPE_BUF && burst <= BPIPE_BURST_MAX);
	prove(burst == 2 * PIPE_BUF || burst == BPIPE_BURST_MAX || burst == rate / 10);
}
