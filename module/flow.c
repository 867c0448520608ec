// SPDX-License-Identifier: GPL-2.0
/*
 * The admission decision: whether a write may go on, and what it lacks otherwise.
 *
 * This is the only place where "full" is decided. Blocking and non-blocking writes, poll and
 * the window that users see ask the same functions.
 *
 * The functions are pure: they take no lock, do not sleep and read no clock. The level and the
 * time are arguments, so tables can check every answer. Each Context line names the locks that
 * keep the arguments stable.
 */

#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/time64.h>

#include "flow.h"
#include "uapi/linux/bpipe.h"

/* Return what the bucket holds at @now, in the unit of its fill; negative while in debt. */
static s64 bpipe_bucket_fill(const struct bpipe_bucket *bucket, u64 now)
{
	s64 full = bucket->burst * NSEC_PER_SEC;
	u64 missing = full - bucket->fill;
	u64 passed = now > bucket->stamp ? now - bucket->stamp : 0;

	/* Divide before multiplying: the product overflows after a long idle time. */
	if (passed > div64_u64(missing, bucket->rate))
		return full;
	return bucket->fill + passed * bucket->rate;
}

/**
 * bpipe_bucket_tokens() - count the tokens in a bucket
 * @bucket: the bucket
 * @now: the time, nanoseconds
 *
 * Context: called with a lock held that @bucket changes under.
 * Return: whole tokens, 0..burst, 0 while in debt; U64_MAX without a limit.
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
 * bpipe_bucket_wait() - calculate when a bucket will hold enough tokens
 * @bucket: the bucket
 * @tokens: tokens to wait for, 0..burst
 * @now: the time, nanoseconds
 *
 * Context: called with a lock held that @bucket changes under.
 * Return: nanoseconds from @now, rounded up; 0 if the tokens are there, or without a limit.
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
 * bpipe_bucket_take() - take tokens out of a bucket
 * @bucket: the bucket
 * @tokens: tokens to take; more than the bucket holds leaves a debt
 * @now: the time, nanoseconds
 *
 * Context: called with all locks held that @bucket changes under.
 */
void bpipe_bucket_take(struct bpipe_bucket *bucket, u64 tokens, u64 now)
{
	if (!bucket->rate)
		return;
	bucket->fill = bpipe_bucket_fill(bucket, now) - tokens * NSEC_PER_SEC;
	bucket->stamp = now;
}

/**
 * bpipe_bucket_set() - change the rate and the burst of a bucket
 * @bucket: the bucket
 * @rate: tokens a second, 0..BPIPE_RATE_MAX; 0 for no limit
 * @burst: most tokens that the bucket holds, 1..BPIPE_BURST_MAX
 * @now: the time, nanoseconds
 *
 * Tokens earned at the old rate stay, up to the new burst. A bucket without a limit before
 * starts full.
 *
 * Context: called with all locks held that @bucket changes under.
 */
void bpipe_bucket_set(struct bpipe_bucket *bucket, u64 rate, u64 burst, u64 now)
{
	s64 full = burst * NSEC_PER_SEC;

	bucket->fill = bucket->rate ? min(bpipe_bucket_fill(bucket, now), full) : full;
	bucket->rate = rate;
	bucket->burst = burst;
	bucket->stamp = now;
}

/* Pay for a read or write. In a stream, the bucket of records has no limit. */
static void bpipe_meter_take(struct bpipe_meter *meter, u64 bytes, u64 now)
{
	bpipe_bucket_take(&meter->bytes, bytes, now);
	bpipe_bucket_take(&meter->records, 1, now);
}

/**
 * bpipe_flow_default_burst() - derive a burst from a rate
 * @rate: tokens a second, 0..BPIPE_RATE_MAX
 * @least: smallest burst to return, tokens, at most BPIPE_BURST_MAX
 *
 * A writer that the scheduler wakes up to 100 ms late loses no tokens at this burst.
 *
 * Context: any.
 * Return: the tokens of 100 ms, @least..BPIPE_BURST_MAX.
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
 * bpipe_flow_valid() - check settings
 * @flow: the settings: size, marks, limits, rates and bursts
 *
 * Context: any; @flow belongs to the caller.
 * Return: true if all settings are in range and consistent with each other.
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

/* Return the room that an atomic write needs, which poll promises, up to the limit of @class. */
static u64 bpipe_flow_atomic(const struct bpipe_flow *flow, u32 class)
{
	return min_t(u64, PIPE_BUF + flow->overhead, flow->mark[class].limit);
}

/**
 * bpipe_flow_set_marks() - derive the marks of each class from the settings
 * @flow: valid settings
 *
 * The marks of a class have the same proportion to its limit as the marks of the channel have
 * to its size. The gate is also closed while an atomic write finds no room: when poll reports
 * the channel as writable, a write of PIPE_BUF bytes must succeed.
 *
 * Context: called with both sides' locks and channel.lock held, or before others can see @flow.
 */
void bpipe_flow_set_marks(struct bpipe_flow *flow)
{
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++) {
		struct bpipe_mark *mark = &flow->mark[class];

		/* The products fit because sizes are at most 2^30. */
		mark->limit = flow->limit[class] ?: flow->size;
		mark->low = div64_u64(flow->low * mark->limit, flow->size);
		mark->high = max(div64_u64(flow->high * mark->limit, flow->size), mark->low + 1);
		mark->high = min(mark->high, mark->limit - bpipe_flow_atomic(flow, class) + 1);
		mark->low = min(mark->low, mark->high - 1);
	}
	flow->limited = flow->write.bytes.rate || flow->write.records.rate || flow->credit_unit;
}

/**
 * bpipe_flow_largest() - calculate the longest atomic write that can ever be stored
 * @flow: the state
 * @class: class of the write, 0..7
 *
 * Context: called with wr.lock or channel.lock held.
 * Return: bytes, without overhead.
 */
u64 bpipe_flow_largest(const struct bpipe_flow *flow, u32 class)
{
	return flow->mark[class].limit - flow->overhead;
}

/*
 * Return what a write may use of @there. @reserved includes @held, which is reserved for this
 * write itself: a later reservation never takes it away.
 */
static u64 bpipe_usable(u64 there, u64 reserved, u64 held)
{
	u64 others = reserved - min(reserved, held);

	return max(there - min(there, others), min(there, held));
}

/*
 * Return the tokens that a waiting write sleeps for.
 *
 * Tokens of 5 ms limit waiters to 200 sleeps a second at any rate, and cost at most half a
 * percent of a second's tokens. If that is less than an atomic write, sleep up to 50 ms for the
 * tokens of one. Sleep for half a burst at most: a full bucket would lose the tokens that come
 * in while the waiter wakes up.
 */
static u64 bpipe_bucket_quantum(const struct bpipe_bucket *bucket)
{
	u64 worth = max(div_u64(bucket->rate, 200),
			min_t(u64, div_u64(bucket->rate, 20), PIPE_BUF));

	return clamp_t(u64, worth, 1, max(bucket->burst / 2, 1ULL));
}

/*
 * Return the tokens that a request needs. A bucket never holds more than its burst, so a longer
 * atomic write goes when the bucket is full, and leaves a debt. A write that can be split needs
 * no more tokens than poll promises.
 */
static u64 bpipe_bucket_want(const struct bpipe_bucket *bucket, const struct bpipe_request *req)
{
	if (req->atomic)
		return min(req->len, bucket->burst);
	return min3(req->len, bpipe_bucket_quantum(bucket), (u64)PIPE_BUF);
}

/*
 * Return the nanoseconds until the bucket holds @want tokens in addition to the @others, which
 * are reserved. Return U64_MAX if the burst is too small for both.
 */
static u64 bpipe_bucket_until(const struct bpipe_bucket *bucket, u64 others, u64 want, u64 now)
{
	if (!bucket->rate)
		return 0;
	want = others + min(want, bucket->burst);
	return want > bucket->burst ? U64_MAX : bpipe_bucket_wait(bucket, want, now);
}

/*
 * Return true if @want tokens are usable. Otherwise raise @wait_ns to the time until it is worth
 * asking again. @reserved includes @held, as in bpipe_usable().
 */
static bool bpipe_bucket_has(const struct bpipe_bucket *bucket, u64 want, u64 reserved, u64 held,
			     u64 now, u64 *wait_ns)
{
	u64 others = reserved - min(reserved, held);

	if (!bucket->rate || bpipe_usable(bpipe_bucket_tokens(bucket, now), reserved, held) >= want)
		return true;
	/* Sleep for a quantum, or for the part of a burst that is not reserved. */
	want = max(want, min(bpipe_bucket_quantum(bucket),
			     bucket->burst - min(bucket->burst, others)));
	*wait_ns = max(*wait_ns, bpipe_bucket_until(bucket, others, want, now));
	return false;
}

/* Limit a write to the tokens that are usable. */
static void bpipe_flow_cut(struct bpipe_decision *decision, u64 tokens)
{
	decision->cut |= tokens < decision->bytes;
	decision->bytes = min(decision->bytes, tokens);
}

/* Check rates and credit for a write that has room, and limit it to what they allow. */
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

	/* Ask both buckets, so that the longer wait counts. */
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

/*
 * Check the place of a write in the queue, and whether it fits into @room, which includes
 * reservations. Limit the write to the room that it may use.
 */
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

/* Check everything for a write except the rate of its own file. */
static inline enum bpipe_verdict bpipe_flow_ask(const struct bpipe_flow *flow,
						const struct bpipe_request *req, u64 room,
						u64 now, struct bpipe_decision *decision)
{
	enum bpipe_verdict verdict = bpipe_flow_ask_room(flow, req, room, decision);

	return verdict == BPIPE_GO && flow->limited ? bpipe_flow_afford(flow, req, now, decision) :
						      verdict;
}

/*
 * Check everything for a write whose file has a rate. That rate comes first: a writer that
 * lacks its own tokens must not delay others by a place in the queue.
 */
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

/* Return which BPIPE_WAIT_* stands in the way of a write; BPIPE_GO for none. */
static enum bpipe_verdict bpipe_flow_wait_reason(const struct bpipe_flow *flow,
						 const struct bpipe_request *req, u64 room,
						 u64 now, struct bpipe_decision *decision)
{
	return req->own && req->own->rate ? bpipe_flow_ask_own(flow, req, room, now, decision) :
					    bpipe_flow_ask(flow, req, room, now, decision);
}

/*
 * Return how many bytes to evict for a write; 0 if eviction cannot admit it. The write
 * replaces what it evicts, so waiters keep the room that is reserved for them.
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
 * Return true if drop_to_low drops the write whatever the room. A gate that a long write closed
 * with the level at or below low does not count: nothing has to be read first.
 */
static bool bpipe_flow_drops_to_low(const struct bpipe_flow *flow,
				    const struct bpipe_request *req, u64 level)
{
	return flow->drop_to_low && req->policy == BPIPE_POLICY_DROP_NEWEST &&
	       bpipe_flow_closed(flow, req->class) && level > flow->mark[req->class].low;
}

/*
 * Apply the policy to a write that is not admitted. This function and the next one are not
 * inlined, so that a write that needs only room saves no registers.
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

/* Decide on a write that needs more than room: tokens, credit, or an open gate. */
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
 * @level: bytes held, 0..size
 * @now: the time, nanoseconds; used only with a rate limit
 * @decision: details of the verdict; the caller sets it to zeros
 *
 * Context: called with wr.lock held. Reservations and gates may change meanwhile unless
 * channel.lock is held too, see struct bpipe_flow.
 * Return: BPIPE_GO, the BPIPE_WAIT_* that a blocking write has to wait for, or what the policy
 * makes of the write: BPIPE_AGAIN, BPIPE_DROP or BPIPE_EVICT.
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
 * @req: the read: bytes that could be returned, and whether they may be split
 * @now: the time, nanoseconds; used only with a rate limit
 * @decision: details of the verdict; the caller sets it to zeros
 *
 * Context: called with rd.lock or channel.lock held.
 * Return: BPIPE_GO or BPIPE_WAIT_TOKENS.
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
 * bpipe_flow_need() - calculate what a waiting write needs to go on
 * @flow: the state
 * @req: the write
 *
 * A write that can be split is woken for the room of an atomic write, and for a quantum of
 * tokens. A smaller reservation would leave the rest of the quantum to newcomers.
 *
 * Context: called with wr.lock or channel.lock held.
 * Return: the need.
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
 * bpipe_flow_reservation() - select the part of a need to reserve
 * @need: what the waiting write needs
 * @reason: what it lacks: BPIPE_WAIT_*; BPIPE_GO if its turn has come
 *
 * Only what the write lacks is reserved. A write that lacks room at a small limit of its class
 * withholds no tokens from other writers.
 *
 * Context: any.
 * Return: the part to reserve; all of @need for BPIPE_GO.
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
 * bpipe_flow_reserve() - change the reservation of a waiting write
 * @flow: the state
 * @class: class of the write, 0..7
 * @from: its reservation so far
 * @to: its new reservation
 *
 * A reservation counts against its class and all less important classes.
 *
 * Context: called with channel.lock held.
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
 * bpipe_flow_fits() - decide whether the turn of a waiting write has come
 * @flow: the state
 * @class: class of the write, 0..7
 * @need: what the write needs
 * @ahead: sum of the reservations ahead of it
 * @level: bytes held, 0..size
 * @now: the time, nanoseconds; used only with a rate limit
 * @wait_ns: for BPIPE_WAIT_TOKENS, raised to the nanoseconds until it is worth asking again,
 *	U64_MAX while as much is reserved as now; the caller sets it to 0
 *
 * Context: called with channel.lock held.
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
 * bpipe_flow_refuse() - close the gate of a class whose write found no room
 * @flow: the state
 * @class: class of the write, 0..7
 * @level: bytes held, 0..size
 *
 * At or below the low mark the gate would open again at once, so it stays open. A write that
 * is too long for the room there waits until it fits.
 *
 * Context: called with channel.lock held.
 */
void bpipe_flow_refuse(struct bpipe_flow *flow, u32 class, u64 level)
{
	if (level > flow->mark[class].low)
		WRITE_ONCE(flow->closed, flow->closed | 1U << class);
}

/**
 * bpipe_flow_take() - pay tokens and credit for a stored write
 * @flow: the state
 * @bytes: bytes stored, without overhead
 * @now: the time, nanoseconds
 *
 * Context: called with wr.lock and channel.lock held.
 */
void bpipe_flow_take(struct bpipe_flow *flow, u64 bytes, u64 now)
{
	bpipe_meter_take(&flow->write, bytes, now);
	/* The last reader may have left since the write was admitted, which ends its credit. */
	if (flow->credit_unit == BPIPE_CREDIT_BYTES)
		flow->credit -= min(flow->credit, bytes);
	else if (flow->credit_unit == BPIPE_CREDIT_RECORDS)
		flow->credit -= min(flow->credit, 1ULL);
}

/**
 * bpipe_flow_take_read() - pay tokens for a read
 * @flow: the state
 * @bytes: bytes read, without overhead
 * @now: the time, nanoseconds
 *
 * Context: called with rd.lock and channel.lock held.
 */
void bpipe_flow_take_read(struct bpipe_flow *flow, u64 bytes, u64 now)
{
	bpipe_meter_take(&flow->read, bytes, now);
}

/**
 * bpipe_flow_grant() - add credit
 * @flow: the state
 * @credit: credit to add, in flow.credit_unit
 *
 * Context: called with wr.lock and channel.lock held.
 * Return: false if the sum would exceed BPIPE_CREDIT_MAX; no credit is added then.
 */
bool bpipe_flow_grant(struct bpipe_flow *flow, u64 credit)
{
	if (credit > BPIPE_CREDIT_MAX - flow->credit)
		return false;
	flow->credit += credit;
	return true;
}

/**
 * bpipe_flow_update() - update pressure and gates after a change of the level
 * @flow: the state
 * @level: bytes held, 0..size
 *
 * Between the marks nothing changes: hysteresis.
 *
 * Context: called with channel.lock held.
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
 * bpipe_flow_next_up() - find the lowest level at which a rise changes pressure or a gate
 * @flow: the state
 *
 * Context: called with channel.lock held.
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
 * bpipe_flow_next_down() - find the highest level at which a fall changes pressure or a gate
 * @flow: the state
 *
 * Context: called with channel.lock held.
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
 * bpipe_flow_victim() - choose the class to evict from
 * @held: bytes held, by class
 * @class: class of the new record, 0..7
 *
 * Context: any.
 * Return: the least important class with a record, never more important than @class;
 * BPIPE_CLASSES for none.
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
 * bpipe_flow_window() - calculate how much a new write may store now
 * @flow: the state
 * @who: the writer: its class and the rate limit of its file
 * @level: bytes held, 0..size
 * @now: the time, nanoseconds; used only with a rate limit
 *
 * Context: called with channel.lock held.
 * Return: bytes without overhead: the least of room, credit and tokens, minus reservations. A
 * write of that length is stored at once. 0 if no write is.
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
 * bpipe_flow_writable() - decide whether poll reports a channel as writable
 * @flow: the state
 * @who: the writer: its class, the rate limit of its file, and as length that of its last
 *	write if it was refused for lack of room; 0 otherwise
 * @level: bytes held, 0..size
 * @now: the time, nanoseconds; used only with a rate limit
 * @ready: set to what must hold for the channel to be writable
 *
 * poll does not know the length of the next write. It promises room for an atomic write, or
 * for the refused one if that needs more; and tokens for an atomic write, up to the burst.
 *
 * Context: called with channel.lock held.
 * Return: true if the channel is writable.
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
