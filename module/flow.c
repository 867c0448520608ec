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
static s64 bpipe_bucket_fill(const struct bpipe_bucket *bucket, u64 now)
{
	s64 full = bucket->burst * NSEC_PER_SEC;
	u64 missing = full - bucket->fill;
	u64 passed = now > bucket->stamp ? now - bucket->stamp : 0;

	/* Divide before multiplying: an idle day must not overflow. */
	if (passed > div64_u64(missing, bucket->rate))
		return full;
	return bucket->fill + passed * bucket->rate;
}

/**
 * bpipe_bucket_tokens() - what the rate limit lets through now
 * @bucket: the bucket
 * @now: the time, nanoseconds
 *
 * Return: whole tokens, 0 while in debt, U64_MAX without a limit.
 */
u64 bpipe_bucket_tokens(const struct bpipe_bucket *bucket, u64 now)
{
	s64 fill;

	if (!bucket->rate)
		return U64_MAX;
	fill = bpipe_bucket_fill(bucket, now);
	return fill > 0 ? div_u64(fill, NSEC_PER_SEC) : 0;
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
	missing = tokens * NSEC_PER_SEC - bpipe_bucket_fill(bucket, now);
	return missing > 0 ? div64_u64(missing + bucket->rate - 1, bucket->rate) : 0;
}

/**
 * bpipe_bucket_take() - pay
 * @bucket: the bucket
 * @tokens: how many; more than there are tokens leaves a debt
 * @now: the time, nanoseconds
 */
void bpipe_bucket_take(struct bpipe_bucket *bucket, u64 tokens, u64 now)
{
	if (!bucket->rate)
		return;
	bucket->fill = bpipe_bucket_fill(bucket, now) - tokens * NSEC_PER_SEC;
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

	bucket->fill = bucket->rate ? min(bpipe_bucket_fill(bucket, now), full) : full;
	bucket->rate = rate;
	bucket->burst = burst;
	bucket->stamp = now;
}

/* Pays for something: one record, unless it is a stream. */
static void bpipe_meter_take(struct bpipe_meter *meter, u64 bytes, u64 now)
{
	bpipe_bucket_take(&meter->bytes, bytes, now);
	bpipe_bucket_take(&meter->records, 1, now);
}

/**
 * bpipe_flow_default_burst() - the burst that goes with a rate
 * @rate: tokens a second
 * @least: the least it has to be
 *
 * A tenth of a second's worth, so that a writer woken late by the scheduler
 * loses nothing.
 */
u64 bpipe_flow_default_burst(u64 rate, u64 least)
{
	return clamp_t(u64, div_u64(rate, 10), least, BPIPE_BURST_MAX);
}

static bool bpipe_bucket_valid(const struct bpipe_bucket *bucket)
{
	return bucket->rate <= BPIPE_RATE_MAX &&
	       bucket->burst >= 1 && bucket->burst <= BPIPE_BURST_MAX;
}

/**
 * bpipe_flow_valid() - do the settings make sense?
 * @flow: the settings: @size, the marks, the limits, the rates and bursts
 */
bool bpipe_flow_valid(const struct bpipe_flow *flow)
{
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++)
		if (flow->limit[class] &&
		    (flow->limit[class] < BPIPE_SIZE_MIN || flow->limit[class] > flow->size))
			return false;
	return flow->size >= BPIPE_SIZE_MIN && flow->size <= BPIPE_SIZE_MAX &&
	       flow->low < flow->high && flow->high <= flow->size &&
	       bpipe_bucket_valid(&flow->write.bytes) &&
	       bpipe_bucket_valid(&flow->write.records) &&
	       bpipe_bucket_valid(&flow->read.bytes) &&
	       bpipe_bucket_valid(&flow->read.records);
}

/* Room that poll speaks for: that of an atomic write. */
static u64 bpipe_flow_atomic(const struct bpipe_flow *flow, u32 class)
{
	return min_t(u64, PIPE_BUF + flow->overhead, flow->mark[class].limit);
}

/**
 * bpipe_flow_set_marks() - work out what follows from the settings
 * @flow: valid settings
 *
 * To a class with a limit of its own the channel is as large as that, so its
 * marks are where they are in the whole, in proportion. A gate is also closed while
 * there is no room for an atomic write, so that a write of PIPE_BUF bytes goes
 * whenever poll says so.
 */
void bpipe_flow_set_marks(struct bpipe_flow *flow)
{
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++) {
		struct bpipe_mark *mark = &flow->mark[class];

		/* Sizes are at most 2^30, so that the products fit. */
		mark->limit = flow->limit[class] ?: flow->size;
		mark->low = div64_u64(flow->low * mark->limit, flow->size);
		mark->high = max(div64_u64(flow->high * mark->limit, flow->size), mark->low + 1);
		mark->high = min(mark->high, mark->limit - bpipe_flow_atomic(flow, class) + 1);
		mark->low = min(mark->low, mark->high - 1);
	}
	flow->limited = flow->write.bytes.rate || flow->write.records.rate || flow->credit_unit;
}

/**
 * bpipe_flow_largest() - the longest write that can ever be stored at once
 * @flow: the state
 * @class: its class
 *
 * Return: bytes, without the overhead.
 */
u64 bpipe_flow_largest(const struct bpipe_flow *flow, u32 class)
{
	return flow->mark[class].limit - flow->overhead;
}

/* How much a write may use: what is @there, less what is reserved for other writes. */
static u64 bpipe_usable(u64 there, u64 reserved, u64 held)
{
	u64 others = reserved - min(reserved, held);

	return max(there - min(there, others), min(there, held));
}

/*
 * Tokens that are worth waiting for: what comes in within 5 ms, so that a second's worth
 * is had within a second, to half a percent. If that is less than an atomic write, it may
 * be up to one, for 50 ms at most. Waiters sleep 200 times a second at the most, at any
 * rate. Half a burst is enough, as a full bucket would let what comes in while a waiter
 * wakes up run over.
 */
static u64 bpipe_bucket_quantum(const struct bpipe_bucket *bucket)
{
	u64 worth = max(div_u64(bucket->rate, 200),
			min_t(u64, div_u64(bucket->rate, 20), PIPE_BUF));

	return clamp_t(u64, worth, 1, max(bucket->burst / 2, 1ULL));
}

/*
 * Tokens that a request needs. More than a burst is never there: such a write goes
 * when the bucket is full, and into debt. What can be split goes with as many as
 * poll speaks for.
 */
static u64 bpipe_bucket_want(const struct bpipe_bucket *bucket, const struct bpipe_request *req)
{
	if (req->atomic)
		return min(req->len, bucket->burst);
	return min3(req->len, bpipe_bucket_quantum(bucket), (u64)PIPE_BUF);
}

/* How long until @want tokens are there beyond those of others; U64_MAX: that cannot be. */
static u64 bpipe_bucket_until(const struct bpipe_bucket *bucket, u64 others, u64 want, u64 now)
{
	if (!bucket->rate)
		return 0;
	want = others + min(want, bucket->burst);
	return want > bucket->burst ? U64_MAX : bpipe_bucket_wait(bucket, want, now);
}

/* Are @want tokens there for it? If not, note how long that takes. */
static bool bpipe_bucket_has(const struct bpipe_bucket *bucket, u64 want, u64 reserved, u64 held,
			     u64 now, u64 *wait_ns)
{
	u64 others = reserved - min(reserved, held);

	if (!bucket->rate || bpipe_usable(bpipe_bucket_tokens(bucket, now), reserved, held) >= want)
		return true;
	/* A quantum is worth the wait, or what the others leave of a burst. */
	want = max(want, min(bpipe_bucket_quantum(bucket),
			     bucket->burst - min(bucket->burst, others)));
	*wait_ns = max(*wait_ns, bpipe_bucket_until(bucket, others, want, now));
	return false;
}

/* No more than there are tokens for. */
static void bpipe_flow_cut(struct bpipe_decision *decision, u64 tokens)
{
	decision->cut |= tokens < decision->bytes;
	decision->bytes = min(decision->bytes, tokens);
}

/* Room is there; do rates and credit allow it, and how much of it? */
static enum bpipe_verdict bpipe_flow_afford(const struct bpipe_flow *flow,
					    const struct bpipe_request *req,
					    u64 now, struct bpipe_decision *decision)
{
	const struct bpipe_need *reserved = &flow->reserved[req->class];
	const struct bpipe_need held = req->held ? *req->held : (struct bpipe_need) { };
	u64 credit = bpipe_usable(flow->credit, READ_ONCE(reserved->credit), held.credit);
	const struct bpipe_meter *meter = &flow->write;
	u64 tokens = READ_ONCE(reserved->bytes);
	bool bytes, records;

	if (flow->credit_unit == BPIPE_CREDIT_BYTES) {
		if (credit < (req->atomic ? req->len : 1))
			return BPIPE_WAIT_CREDIT;
		decision->bytes = min(decision->bytes, credit);
	} else if (flow->credit_unit == BPIPE_CREDIT_RECORDS && !credit) {
		return BPIPE_WAIT_CREDIT;
	}

	/* Of two waits, the longer one. */
	bytes = bpipe_bucket_has(&meter->bytes, bpipe_bucket_want(&meter->bytes, req),
				 tokens, held.bytes, now, &decision->wait_ns);
	records = bpipe_bucket_has(&meter->records, 1, READ_ONCE(reserved->records),
				   held.records, now, &decision->wait_ns);
	if (!bytes || !records)
		return BPIPE_WAIT_TOKENS;
	if (meter->bytes.rate && !req->atomic)
		bpipe_flow_cut(decision, bpipe_usable(bpipe_bucket_tokens(&meter->bytes, now),
						      tokens, held.bytes));
	return BPIPE_GO;
}

/* Has its turn come, and does it find room, with @room to have? */
static inline enum bpipe_verdict bpipe_flow_ask_room(const struct bpipe_flow *flow,
						     const struct bpipe_request *req, u64 room,
						     struct bpipe_decision *decision)
{
	u64 reserved = READ_ONCE(flow->reserved[req->class].room);

	if (unlikely(req->queued || req->must_queue) && !req->held &&
	    (req->queued || bpipe_flow_closed(flow, req->class)))
		return BPIPE_WAIT_TURN;
	if (unlikely(reserved))
		room = bpipe_usable(room, reserved, req->held ? req->held->room : 0);
	if (room < (req->atomic ? req->len + flow->overhead : 1))
		return BPIPE_WAIT_SPACE;
	if (unlikely(req->spent))
		return BPIPE_WAIT_TOKENS;
	decision->bytes = min(req->len, room);
	return BPIPE_GO;
}

/* Is it admitted, with tokens of its own; or what stands in the way? */
static inline enum bpipe_verdict bpipe_flow_ask(const struct bpipe_flow *flow,
						const struct bpipe_request *req, u64 room,
						u64 now, struct bpipe_decision *decision)
{
	enum bpipe_verdict verdict = bpipe_flow_ask_room(flow, req, room, decision);

	return verdict == BPIPE_GO && flow->limited ? bpipe_flow_afford(flow, req, now, decision) :
						      verdict;
}

/* The same, of a write whose file has a rate of its own. */
static enum bpipe_verdict bpipe_flow_ask_own(const struct bpipe_flow *flow,
					     const struct bpipe_request *req, u64 room,
					     u64 now, struct bpipe_decision *decision)
{
	enum bpipe_verdict verdict;

	if (!bpipe_bucket_has(req->own, bpipe_bucket_want(req->own, req), 0, 0, now,
			      &decision->wait_ns))
		return BPIPE_WAIT_OWN;
	verdict = bpipe_flow_ask(flow, req, room, now, decision);
	if (verdict == BPIPE_GO && !req->atomic)
		bpipe_flow_cut(decision, bpipe_bucket_tokens(req->own, now));
	return verdict;
}

/* The same, of any write. */
static enum bpipe_verdict bpipe_flow_wait_reason(const struct bpipe_flow *flow,
						 const struct bpipe_request *req, u64 room,
						 u64 now, struct bpipe_decision *decision)
{
	return req->own && req->own->rate ? bpipe_flow_ask_own(flow, req, room, now, decision) :
					    bpipe_flow_ask(flow, req, room, now, decision);
}

/*
 * How much older records have to free for a write; 0 if that is not what it lacks, or
 * they cannot. It takes no more than it stores from those that wait.
 */
static u64 bpipe_flow_evict(const struct bpipe_flow *flow, const struct bpipe_request *req,
			    u64 level, u64 now, const struct bpipe_decision *decision)
{
	const struct bpipe_need held = { .room = req->len + flow->overhead };
	u64 reserved = READ_ONCE(flow->reserved[req->class].room);
	u64 limit = flow->mark[req->class].limit;
	struct bpipe_request then = *req;
	struct bpipe_decision more = { };
	u64 evict;

	if (req->policy != BPIPE_POLICY_DROP_OLDEST)
		return 0;
	evict = held.room + (level > limit ? level - limit : 0);
	if (decision->wait_reason == BPIPE_WAIT_SPACE)
		evict = min(evict, level + held.room - limit +
				   reserved - (req->held ? min(reserved, req->held->room) : 0));
	else if (decision->wait_reason != BPIPE_WAIT_TURN)
		return 0;
	then.held = &held;
	return evict <= req->evictable &&
	       bpipe_flow_wait_reason(flow, &then, held.room, now, &more) == BPIPE_GO ? evict : 0;
}

/*
 * Return true if drop_to_low drops the write whatever the room. A gate that a long write
 * closed with the level at or below low does not count: nothing has to be read first.
 */
static bool bpipe_flow_drops_to_low(const struct bpipe_flow *flow,
				    const struct bpipe_request *req, u64 level)
{
	return flow->drop_to_low && req->policy == BPIPE_POLICY_DROP_NEWEST &&
	       bpipe_flow_closed(flow, req->class) && level > flow->mark[req->class].low;
}

/*
 * What becomes of a write that does not go, by its policy. This and the next function are
 * not inline, so that a write that goes by room alone has no registers to save.
 */
static noinline enum bpipe_verdict bpipe_flow_turn_away(const struct bpipe_flow *flow,
							const struct bpipe_request *req,
							u64 level, u64 now,
							struct bpipe_decision *decision,
							enum bpipe_verdict verdict)
{
	decision->wait_reason = verdict;
	if (req->policy == BPIPE_POLICY_BLOCK)
		return req->nonblock ? BPIPE_AGAIN : verdict;
	if (req->policy == BPIPE_POLICY_ERROR)
		return BPIPE_AGAIN;
	decision->evict = bpipe_flow_evict(flow, req, level, now, decision);
	if (decision->evict) {
		decision->bytes = req->len;
		return BPIPE_EVICT;
	}
	decision->shed = (verdict == BPIPE_WAIT_SPACE || verdict == BPIPE_WAIT_LOW) &&
		      level + flow->reserved[req->class].room + req->len + flow->overhead <=
		      flow->size;
	return BPIPE_DROP;
}

/* Decide on a write by all that there is. */
static noinline enum bpipe_verdict bpipe_flow_admit_limited(const struct bpipe_flow *flow,
							    const struct bpipe_request *req,
							    u64 level, u64 room, u64 now,
							    struct bpipe_decision *decision)
{
	enum bpipe_verdict verdict = bpipe_flow_wait_reason(flow, req, room, now, decision);

	if (bpipe_flow_drops_to_low(flow, req, level))
		verdict = BPIPE_WAIT_LOW;
	return verdict == BPIPE_GO ? BPIPE_GO :
	       bpipe_flow_turn_away(flow, req, level, now, decision, verdict);
}

/**
 * bpipe_flow_admit() - decide on a write
 * @flow: the state
 * @req: the write
 * @level: bytes held now, at most the size
 * @now: the time, nanoseconds; only looked at if there is a rate limit
 * @decision: what goes with the verdict; zeros before
 *
 * Return: BPIPE_GO; what the write has to wait for; or what else becomes of it,
 * by its policy.
 */
enum bpipe_verdict bpipe_flow_admit(const struct bpipe_flow *flow,
				    const struct bpipe_request *req, u64 level,
				    u64 now, struct bpipe_decision *decision)
{
	u64 limit = flow->mark[req->class].limit;
	u64 room = level < limit ? limit - level : 0;
	enum bpipe_verdict verdict;

	if (unlikely(flow->limited || flow->drop_to_low || (req->own && req->own->rate)))
		return bpipe_flow_admit_limited(flow, req, level, room, now, decision);
	verdict = bpipe_flow_ask_room(flow, req, room, decision);
	if (likely(verdict == BPIPE_GO))
		return BPIPE_GO;
	return bpipe_flow_turn_away(flow, req, level, now, decision, verdict);
}

/**
 * bpipe_flow_deliver() - decide on a read
 * @flow: the state
 * @req: what there is for it
 * @now: the time, nanoseconds; only looked at if there is a rate limit
 * @decision: what goes with the verdict; zeros before
 *
 * Return: BPIPE_GO, or BPIPE_WAIT_TOKENS. The caller waits, or gives EAGAIN to
 * one that does not.
 */
enum bpipe_verdict bpipe_flow_deliver(const struct bpipe_flow *flow,
				      const struct bpipe_request *req, u64 now,
				      struct bpipe_decision *decision)
{
	const struct bpipe_meter *meter = &flow->read;
	bool bytes, records;

	decision->bytes = req->len;
	bytes = bpipe_bucket_has(&meter->bytes, bpipe_bucket_want(&meter->bytes, req), 0, 0, now,
				 &decision->wait_ns);
	records = bpipe_bucket_has(&meter->records, 1, 0, 0, now, &decision->wait_ns);
	if (!bytes || !records)
		return BPIPE_WAIT_TOKENS;
	if (meter->bytes.rate && !req->atomic) {
		u64 tokens = bpipe_bucket_tokens(&meter->bytes, now);

		decision->cut = tokens < decision->bytes;
		decision->bytes = min(decision->bytes, tokens);
	}
	return BPIPE_GO;
}

/**
 * bpipe_flow_need() - what a write that has to wait needs to go on
 * @flow: the state
 * @req: the write
 *
 * One that can be split is worth waking for an atomic write's worth of room, and for the
 * tokens that it waits for: were fewer of them reserved, newcomers would have the rest.
 */
struct bpipe_need bpipe_flow_need(const struct bpipe_flow *flow, const struct bpipe_request *req)
{
	const struct bpipe_bucket *bytes = &flow->write.bytes;

	return (struct bpipe_need) {
		.room = req->atomic ? req->len + flow->overhead :
				      min_t(u64, req->len, PIPE_BUF),
		.bytes = req->atomic ? bpipe_bucket_want(bytes, req) :
				       min(req->len, bpipe_bucket_quantum(bytes)),
		.records = 1,
		.credit = flow->credit_unit == BPIPE_CREDIT_RECORDS || !req->atomic ? 1 : req->len,
	};
}

/**
 * bpipe_flow_reservation() - which part of its need a waiting write reserves
 * @need: what it needs
 * @reason: what it waits for: BPIPE_WAIT_*
 *
 * What it does not lack is left to others meanwhile: one that waits for room at a
 * small limit of its class holds up nobody's tokens.
 */
struct bpipe_need bpipe_flow_reservation(const struct bpipe_need *need, enum bpipe_verdict reason)
{
	switch (reason) {
	case BPIPE_GO:
		return *need;
	case BPIPE_WAIT_TOKENS:
		return (struct bpipe_need) { .bytes = need->bytes, .records = need->records };
	case BPIPE_WAIT_CREDIT:
		return (struct bpipe_need) { .credit = need->credit };
	default:
		return (struct bpipe_need) { .room = need->room };
	}
}

/**
 * bpipe_flow_reserve() - change what a waiting write has reserved
 * @flow: the state
 * @class: its class
 * @from: what it had reserved
 * @to: what it has from now on
 */
void bpipe_flow_reserve(struct bpipe_flow *flow, u32 class, const struct bpipe_need *from,
			const struct bpipe_need *to)
{
	for (; class < BPIPE_CLASSES; class++) {
		struct bpipe_need *sum = &flow->reserved[class];

		WRITE_ONCE(sum->room, sum->room + to->room - from->room);
		WRITE_ONCE(sum->bytes, sum->bytes + to->bytes - from->bytes);
		WRITE_ONCE(sum->records, sum->records + to->records - from->records);
		WRITE_ONCE(sum->credit, sum->credit + to->credit - from->credit);
	}
}

/**
 * bpipe_flow_fits() - has the turn of a waiting write come?
 * @flow: the state
 * @class: its class
 * @need: what it needs
 * @ahead: what is reserved ahead of it
 * @level: bytes held now
 * @now: the time, nanoseconds; only looked at if there is a rate limit
 * @wait_ns: how long until tokens are there, where they lack; 0 before
 *
 * Return: BPIPE_GO, or which BPIPE_WAIT_* stands in the way.
 */
enum bpipe_verdict bpipe_flow_fits(const struct bpipe_flow *flow, u32 class,
				   const struct bpipe_need *need, const struct bpipe_need *ahead,
				   u64 level, u64 now, u64 *wait_ns)
{
	bool bytes, records;

	if (level + ahead->room + need->room > flow->mark[class].limit)
		return BPIPE_WAIT_SPACE;
	if (!flow->limited)
		return BPIPE_GO;
	if (flow->credit_unit && flow->credit < ahead->credit + need->credit)
		return BPIPE_WAIT_CREDIT;
	bytes = bpipe_bucket_has(&flow->write.bytes, need->bytes, ahead->bytes, 0, now, wait_ns);
	records = bpipe_bucket_has(&flow->write.records, need->records, ahead->records, 0, now,
				   wait_ns);
	return bytes && records ? BPIPE_GO : BPIPE_WAIT_TOKENS;
}

/**
 * bpipe_flow_refuse() - a write found no room: close its gate
 * @flow: the state
 * @class: its class
 * @level: bytes held now
 *
 * Not at the low mark or below, where the gate would open at once: what is too long
 * for the room there waits for its own.
 */
void bpipe_flow_refuse(struct bpipe_flow *flow, u32 class, u64 level)
{
	if (level > flow->mark[class].low)
		WRITE_ONCE(flow->closed, flow->closed | 1U << class);
}

/**
 * bpipe_flow_take() - a write of @bytes went in: pay for it
 * @flow: the state
 * @bytes: how many
 * @now: the time, nanoseconds
 */
void bpipe_flow_take(struct bpipe_flow *flow, u64 bytes, u64 now)
{
	bpipe_meter_take(&flow->write, bytes, now);
	/* The last reader may have left, and its credit with it, since it was asked. */
	if (flow->credit_unit == BPIPE_CREDIT_BYTES)
		flow->credit -= min(flow->credit, bytes);
	else if (flow->credit_unit == BPIPE_CREDIT_RECORDS)
		flow->credit -= min(flow->credit, 1ULL);
}

/**
 * bpipe_flow_take_read() - a read of @bytes came out: pay for it
 * @flow: the state
 * @bytes: how many
 * @now: the time, nanoseconds
 */
void bpipe_flow_take_read(struct bpipe_flow *flow, u64 bytes, u64 now)
{
	bpipe_meter_take(&flow->read, bytes, now);
}

/**
 * bpipe_flow_grant() - a reader grants more
 * @flow: the state
 * @credit: how much, in the unit of the flow's credit
 *
 * Return: whether it can be: all together, at most BPIPE_CREDIT_MAX.
 */
bool bpipe_flow_grant(struct bpipe_flow *flow, u64 credit)
{
	if (credit > BPIPE_CREDIT_MAX - flow->credit)
		return false;
	flow->credit += credit;
	return true;
}

/**
 * bpipe_flow_update() - bring the gates in line with the level
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
	u32 class, closed = flow->closed;

	if (level >= flow->high && !flow->pressured) {
		flow->pressured = true;
		changed = BPIPE_FLOW_ROSE;
	} else if (level <= flow->low && flow->pressured) {
		flow->pressured = false;
		changed = BPIPE_FLOW_FELL;
	}
	for (class = 0; class < BPIPE_CLASSES; class++) {
		if (level >= flow->mark[class].high)
			closed |= 1U << class;
		else if (level <= flow->mark[class].low)
			closed &= ~(1U << class);
	}
	if (flow->closed & ~closed)
		changed |= BPIPE_FLOW_OPENED;
	WRITE_ONCE(flow->closed, closed);
	return changed;
}

/**
 * bpipe_flow_next_up() - the level, or above, that changes something on its way up
 * @flow: the state
 *
 * Return: bytes; U64_MAX for none.
 */
u64 bpipe_flow_next_up(const struct bpipe_flow *flow)
{
	u64 up = flow->pressured ? U64_MAX : flow->high;
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++)
		if (!bpipe_flow_closed(flow, class))
			up = min(up, flow->mark[class].high);
	return up;
}

/**
 * bpipe_flow_next_down() - the level, or below, that changes something on its way
 *	down
 * @flow: the state
 *
 * Return: bytes; -1 for none.
 */
s64 bpipe_flow_next_down(const struct bpipe_flow *flow)
{
	s64 down = flow->pressured ? (s64)flow->low : -1;
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++)
		if (bpipe_flow_closed(flow, class))
			down = max_t(s64, down, flow->mark[class].low);
	return down;
}

/**
 * bpipe_flow_victim() - whose oldest record goes to make room
 * @held: bytes held of each class
 * @class: the newcomer's class
 *
 * Return: the least important class that is not above the newcomer and has
 * something; BPIPE_CLASSES for none.
 */
u32 bpipe_flow_victim(const u64 *held, u32 class)
{
	u32 victim = BPIPE_CLASSES;

	while (victim-- > class)
		if (held[victim])
			return victim;
	return BPIPE_CLASSES;
}

/**
 * bpipe_flow_window() - how much a new write may take now
 * @flow: the state
 * @who: its class and its file's rate limit
 * @level: bytes held now, at most the size
 * @now: the time, nanoseconds
 *
 * Return: bytes, the least of free space, credit and tokens; of records, the longest.
 * A write of so many bytes goes at once; 0 if no write does.
 */
u64 bpipe_flow_window(const struct bpipe_flow *flow, const struct bpipe_request *who,
		      u64 level, u64 now)
{
	const struct bpipe_need *reserved = &flow->reserved[who->class];
	u64 limit = flow->mark[who->class].limit;
	u64 room = level < limit ? limit - level : 0;
	struct bpipe_request req = {
		.len = 1,
		.own = who->own,
		.class = who->class,
		.atomic = true,
		.nonblock = true,
		.must_queue = reserved->room || reserved->records || reserved->credit,
	};
	struct bpipe_decision decision = { };
	u64 window;

	if (bpipe_flow_wait_reason(flow, &req, room, now, &decision) != BPIPE_GO)
		return 0;
	window = min(bpipe_usable(room, reserved->room, 0) - flow->overhead,
		     bpipe_usable(bpipe_bucket_tokens(&flow->write.bytes, now),
				  reserved->bytes, 0));
	if (who->own)
		window = min(window, bpipe_bucket_tokens(who->own, now));
	if (flow->credit_unit == BPIPE_CREDIT_BYTES)
		window = min(window, bpipe_usable(flow->credit, reserved->credit, 0));
	return window;
}

/**
 * bpipe_flow_writable() - what poll says to a writer
 * @flow: the state
 * @who: its class and its file's rate limit; as length, that of the write that was
 *	refused last, if it needs more room than an atomic write does; else 0
 * @level: bytes held now
 * @now: the time, nanoseconds
 * @ready: what it would take, filled in
 *
 * poll cannot know how much will be written; it speaks for an atomic write, or for
 * a burst of tokens if that is less.
 */
bool bpipe_flow_writable(const struct bpipe_flow *flow, const struct bpipe_request *who,
			 u64 level, u64 now, struct bpipe_ready *ready)
{
	const struct bpipe_need *reserved = &flow->reserved[who->class];
	const struct bpipe_mark *mark = &flow->mark[who->class];

	ready->room = clamp_t(u64, who->len + flow->overhead, bpipe_flow_atomic(flow, who->class),
			      mark->limit);
	ready->level = max_t(s64, -1, mark->limit - ready->room - reserved->room);
	if (bpipe_flow_closed(flow, who->class))
		ready->level = S64_MIN;
	ready->wait_ns = max(bpipe_bucket_until(&flow->write.bytes, reserved->bytes, PIPE_BUF, now),
			     bpipe_bucket_until(&flow->write.records, reserved->records, 1, now));
	if (who->own)
		ready->wait_ns = max(ready->wait_ns,
				     bpipe_bucket_until(who->own, 0, PIPE_BUF, now));
	return (s64)level <= ready->level && !ready->wait_ns &&
	       (!flow->credit_unit || flow->credit > reserved->credit);
}
