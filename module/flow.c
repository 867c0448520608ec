// SPDX-License-Identifier: GPL-2.0
/*
 * The decision: may this write go on, and if not, what does it wait for?
 *
 * This is the one place where "full" is decided; blocking and non-blocking
 * writes, poll, and what is shown to users all ask here. Nothing here locks,
 * waits, or looks at a clock: the level and the time are arguments, so that
 * every answer can be checked against a table.
 */

#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/time64.h>

#include "flow.h"
#include "uapi/linux/bpipe.h"

/* What the bucket holds at @now, in its own unit. */
static s64 bpipe_bucket_credit(const struct bpipe_bucket *bucket, u64 now)
{
	s64 full = bucket->burst * NSEC_PER_SEC;
	u64 missing = full - bucket->credit;
	u64 passed = now > bucket->stamp ? now - bucket->stamp : 0;

	/* Divide before multiplying: an idle day must not overflow. */
	if (passed > div64_u64(missing, bucket->rate))
		return full;
	return bucket->credit + passed * bucket->rate;
}

/**
 * bpipe_bucket_tokens() - bytes that the rate limit lets through now
 * @bucket: the bucket
 * @now: the time, nanoseconds
 *
 * Return: whole tokens, 0 while in debt, U64_MAX without a limit.
 */
u64 bpipe_bucket_tokens(const struct bpipe_bucket *bucket, u64 now)
{
	s64 credit;

	if (!bucket->rate)
		return U64_MAX;
	credit = bpipe_bucket_credit(bucket, now);
	return credit > 0 ? div_u64(credit, NSEC_PER_SEC) : 0;
}

/**
 * bpipe_bucket_wait() - how long until so many tokens are there
 * @bucket: the bucket
 * @tokens: how many, at most the burst
 * @now: the time, nanoseconds
 *
 * Return: nanoseconds, rounded up; 0 if they are there now.
 */
u64 bpipe_bucket_wait(const struct bpipe_bucket *bucket, u64 tokens, u64 now)
{
	s64 missing;

	if (!bucket->rate)
		return 0;
	missing = tokens * NSEC_PER_SEC - bpipe_bucket_credit(bucket, now);
	return missing > 0 ? div64_u64(missing + bucket->rate - 1, bucket->rate) : 0;
}

/**
 * bpipe_bucket_take() - pay for bytes
 * @bucket: the bucket
 * @bytes: how many; more than there are tokens leaves a debt
 * @now: the time, nanoseconds
 */
void bpipe_bucket_take(struct bpipe_bucket *bucket, u64 bytes, u64 now)
{
	if (!bucket->rate)
		return;
	bucket->credit = bpipe_bucket_credit(bucket, now) - bytes * NSEC_PER_SEC;
	bucket->stamp = now;
}

/**
 * bpipe_bucket_set() - change the limit
 * @bucket: the bucket
 * @rate: tokens a second, at most BPIPE_RATE_MAX; 0 for no limit
 * @burst: most tokens, 1..BPIPE_BURST_MAX
 * @now: the time, nanoseconds
 *
 * What was earned at the old rate stays, up to the new burst. A bucket that
 * had no limit starts full.
 */
void bpipe_bucket_set(struct bpipe_bucket *bucket, u64 rate, u64 burst, u64 now)
{
	s64 full = burst * NSEC_PER_SEC;

	bucket->credit = bucket->rate ? min(bpipe_bucket_credit(bucket, now), full) : full;
	bucket->rate = rate;
	bucket->burst = burst;
	bucket->stamp = now;
}

/**
 * bpipe_flow_default_burst() - the burst that goes with a rate
 * @rate: bytes a second
 *
 * A tenth of a second's worth, so that a writer woken late by the scheduler
 * loses nothing, and never less than two atomic writes.
 */
u64 bpipe_flow_default_burst(u64 rate)
{
	return clamp_t(u64, div_u64(rate, 10), 2 * PIPE_BUF, BPIPE_BURST_MAX);
}

/**
 * bpipe_flow_valid() - do the settings make sense?
 * @flow: the settings: @size, the marks, and the bucket's rate and burst
 */
bool bpipe_flow_valid(const struct bpipe_flow *flow)
{
	return flow->size >= BPIPE_SIZE_MIN && flow->size <= BPIPE_SIZE_MAX &&
	       flow->low < flow->high && flow->high <= flow->size &&
	       flow->bucket.rate <= BPIPE_RATE_MAX &&
	       flow->bucket.burst >= 1 && flow->bucket.burst <= BPIPE_BURST_MAX;
}

/*
 * How many tokens a request waits for. One that can be split and may sleep
 * asks for half a burst at a time: fewer would be many short sleeps, and a
 * full bucket would let what comes in while the writer wakes up run over and
 * hold the rate below what was set. More than a burst is never there: such a
 * write goes when the bucket is full, and into debt.
 */
static u64 bpipe_flow_want(const struct bpipe_flow *flow, const struct bpipe_request *req)
{
	if (req->atomic)
		return min(req->len, flow->bucket.burst);
	if (req->nonblock)
		return 1;
	return min(req->len, max(flow->bucket.burst / 2, 1ULL));
}

/**
 * bpipe_flow_admit() - decide on a write
 * @flow: the state
 * @req: the write
 * @level: bytes held now, at most the size
 * @now: the time, nanoseconds; only looked at if there is a rate limit
 * @grant: what goes with the verdict
 *
 * Return: BPIPE_GO or what the write has to wait for. The caller waits, or
 * gives EAGAIN to one that does not.
 */
enum bpipe_verdict bpipe_flow_admit(const struct bpipe_flow *flow,
				    const struct bpipe_request *req, u64 level,
				    u64 now, struct bpipe_grant *grant)
{
	u64 room = flow->size - level;
	u64 tokens, want, kept = 0;

	if (req->behind && (!req->nonblock || bpipe_flow_shut(flow)))
		return BPIPE_WAIT_TURN;

	if (!req->turn) {
		kept = READ_ONCE(flow->promised.tokens);
		room -= min(room, READ_ONCE(flow->promised.room));
	}
	if (room < (req->atomic ? req->len : 1))
		return BPIPE_WAIT_SPACE;
	grant->bytes = min(req->len, room);
	if (likely(!flow->bucket.rate))
		return BPIPE_GO;

	tokens = bpipe_bucket_tokens(&flow->bucket, now);
	want = bpipe_flow_want(flow, req);
	if (tokens < kept + want) {
		grant->wait_ns = bpipe_bucket_wait(&flow->bucket, want, now);
		return BPIPE_WAIT_TOKENS;
	}
	if (!req->atomic)
		grant->bytes = min(grant->bytes, tokens - kept);
	return BPIPE_GO;
}

/**
 * bpipe_flow_promise() - what to keep for a writer that has to wait
 * @flow: the state
 * @req: its request
 *
 * One that can be split is worth waking for an atomic write's worth of room.
 */
struct bpipe_promise bpipe_flow_promise(const struct bpipe_flow *flow,
					const struct bpipe_request *req)
{
	return (struct bpipe_promise) {
		.room = req->atomic ? req->len : min_t(u64, req->len, PIPE_BUF),
		.tokens = bpipe_flow_want(flow, req),
	};
}

/**
 * bpipe_flow_keep() - keep something for the first of those that wait
 * @flow: the state
 * @promise: what; nothing if nobody waits
 */
void bpipe_flow_keep(struct bpipe_flow *flow, struct bpipe_promise promise)
{
	WRITE_ONCE(flow->promised.room, promise.room);
	WRITE_ONCE(flow->promised.tokens, promise.tokens);
}

/**
 * bpipe_flow_refuse() - a write found no room: shut the gate
 * @flow: the state
 */
void bpipe_flow_refuse(struct bpipe_flow *flow)
{
	WRITE_ONCE(flow->refused, true);
}

/**
 * bpipe_flow_update() - bring the gate in line with the level
 * @flow: the state
 * @level: bytes held now
 *
 * Between the marks nothing changes.
 *
 * Return: BPIPE_FLOW_* bits for what changed.
 */
unsigned int bpipe_flow_update(struct bpipe_flow *flow, u64 level)
{
	unsigned int changed = 0;

	if (level >= flow->high && !flow->pressured) {
		WRITE_ONCE(flow->pressured, true);
		return BPIPE_FLOW_ROSE;
	}
	if (level > flow->low || !bpipe_flow_shut(flow))
		return 0;
	if (flow->pressured)
		changed = BPIPE_FLOW_FELL;
	WRITE_ONCE(flow->pressured, false);
	WRITE_ONCE(flow->refused, false);
	return changed | BPIPE_FLOW_OPENED;
}

/**
 * bpipe_flow_window() - how much a writer that comes by may send now
 * @flow: the state
 * @level: bytes held now, at most the size
 * @now: the time, nanoseconds
 *
 * Return: bytes, the least of free space and tokens.
 */
u64 bpipe_flow_window(const struct bpipe_flow *flow, u64 level, u64 now)
{
	u64 tokens = bpipe_bucket_tokens(&flow->bucket, now);
	u64 room = flow->size - level;

	/* Somebody waits, and is not to be overtaken. */
	if (flow->promised.room && bpipe_flow_shut(flow))
		return 0;
	room -= min(room, flow->promised.room);
	tokens -= min(tokens, flow->promised.tokens);
	return min(room, tokens);
}

/**
 * bpipe_flow_writable() - what poll says to a writer
 * @flow: the state
 * @now: the time, nanoseconds
 * @wait_ns: how long until the rate limit lets a write through; 0 if it does
 *	now, U64_MAX if somebody else has to go first
 *
 * poll cannot know how much will be written; as to tokens, it speaks for an
 * atomic write, or for a burst if that is less.
 */
bool bpipe_flow_writable(const struct bpipe_flow *flow, u64 now, u64 *wait_ns)
{
	u64 tokens = flow->promised.tokens + min_t(u64, PIPE_BUF, flow->bucket.burst);

	*wait_ns = !flow->bucket.rate ? 0 : tokens > flow->bucket.burst ? U64_MAX :
		   bpipe_bucket_wait(&flow->bucket, tokens, now);
	return !bpipe_flow_shut(flow) && !*wait_ns;
}
