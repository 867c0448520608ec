// SPDX-License-Identifier: GPL-2.0
/*
 * Prove module/flow.c at the largest settings, by CBMC.
 *
 * mirrors: module/flow.c
 * mirrors: module/flow.h
 * mirrors: tests/proof/kernel.h
 *
 * Bounds: any time, at the extremes of rate, burst and fill listed below; any settings
 * for the functions that only compare. The reference calculates in 128 bits.
 */

#include "../../module/flow.c"

#define FULL(burst)	((s64)(burst) * NSEC_PER_SEC)
#define DEBT		(-(PIPE_BUF - 1) * NSEC_PER_SEC)

/* Check a bucket of that @rate, @burst and @fill at any time. */
static void corner(u64 rate, u64 burst, s64 fill)
{
	struct bpipe_bucket b = {
		.rate = rate, .burst = burst, .fill = fill, .stamp = any(),
	};
	u64 wait, now = any();
	s128 earned = now > b.stamp ? (s128)(now - b.stamp) * rate : 0;

	prove(bpipe_bucket_fill(&b, now) == min(fill + earned, (s128)FULL(burst)));

	wait = bpipe_bucket_wait(&b, burst, b.stamp);
	prove((s128)wait * rate >= (s128)FULL(burst) - fill);
	prove(!wait || (s128)(wait - 1) * rate < (s128)FULL(burst) - fill);
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

/* Tokens that a burst cannot hold in addition to reservations never come, whatever the sums. */
void prove_until(void)
{
	struct bpipe_bucket b = {
		.rate = 1, .burst = BPIPE_BURST_MAX, .fill = DEBT, .stamp = any(),
	};
	u64 others = any(), want = any();

	assume(others <= BPIPE_CREDIT_MAX && others + min(want, BPIPE_BURST_MAX) > BPIPE_BURST_MAX);
	prove(bpipe_bucket_until(&b, others, want, b.stamp) == U64_MAX);
}

/*
 * A write that can be split needs as many tokens as poll waits for, however large the burst
 * is.
 */
void prove_split(void)
{
	const struct bpipe_bucket b = { .rate = BPIPE_RATE_MAX, .burst = BPIPE_BURST_MAX };
	const struct bpipe_flow f = { .write.bytes = b };
	const struct bpipe_request req = { .len = any() };

	prove(bpipe_bucket_want(&b, &req) == min_t(u64, req.len, PIPE_BUF));
	prove(bpipe_flow_need(&f, &req).bytes == min_t(u64, req.len, BPIPE_BURST_MAX / 2));
}

/* Marks in the largest channel, at a limit and without: a gate opens, and then has room. */
void prove_set_marks(void)
{
	struct bpipe_flow f = {
		.size = BPIPE_SIZE_MAX, .high = any(), .low = any(),
		.overhead = any() & 1 ? BPIPE_RECORD_OVERHEAD : 0,
	};
	const struct bpipe_mark *at = &f.mark[0], *without = &f.mark[1];

	f.limit[0] = any();
	assume(f.low < f.high && f.high <= f.size);
	assume(f.limit[0] >= BPIPE_SIZE_MIN && f.limit[0] <= f.size);
	bpipe_flow_set_marks(&f);
	prove(at->limit == f.limit[0] && at->low < at->high && at->high <= at->limit);
	prove(at->high == 1 || at->high + PIPE_BUF + f.overhead <= at->limit + 1);
	prove(without->limit == f.size);
	prove(without->high == min(f.high, f.size - PIPE_BUF - f.overhead + 1));
	prove(without->low == min(f.low, without->high - 1));
}

static bool any_limit(const struct bpipe_bucket *b)
{
	return b->rate <= BPIPE_RATE_MAX && b->burst >= 1 && b->burst <= BPIPE_BURST_MAX;
}

/* Valid settings meet the assumptions of the other proofs. */
void prove_valid(void)
{
	struct bpipe_flow f = {
		.size = any(), .high = any(), .low = any(),
		.write.bytes = { .rate = any(), .burst = any() },
		.write.records = { .rate = any(), .burst = any() },
		.read.bytes = { .rate = any(), .burst = any() },
		.read.records = { .rate = any(), .burst = any() },
	};
	u32 class = any();

	assume(class < BPIPE_CLASSES);
	f.limit[class] = any();
	prove(bpipe_flow_valid(&f) ==
	      (f.size >= BPIPE_SIZE_MIN && f.size <= BPIPE_SIZE_MAX && f.low < f.high &&
	       f.high <= f.size && any_limit(&f.write.bytes) && any_limit(&f.write.records) &&
	       any_limit(&f.read.bytes) && any_limit(&f.read.records) &&
	       (!f.limit[class] ||
		(f.limit[class] >= BPIPE_SIZE_MIN && f.limit[class] <= f.size))));
}

void prove_burst(void)
{
	u64 rate = any(), least = any(), burst;

	assume(least >= 1 && least <= 2 * PIPE_BUF);
	burst = bpipe_flow_default_burst(rate, least);
	prove(burst >= least && burst <= BPIPE_BURST_MAX);
	prove(burst == least || burst == BPIPE_BURST_MAX || burst == rate / 10);
}
