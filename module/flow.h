/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_FLOW_H
#define BPIPE_FLOW_H

#include <linux/compiler.h>
#include <linux/types.h>

#include "uapi/linux/bpipe.h"

/**
 * struct bpipe_bucket - a token bucket
 * @rate: tokens a second, 0..BPIPE_RATE_MAX; 0 for no limit
 * @burst: most tokens that it holds, 1..BPIPE_BURST_MAX
 * @fill: tokens that it held at @stamp, times NSEC_PER_SEC, so that rounding loses nothing;
 *	negative while in debt
 * @stamp: time of the last change, nanoseconds
 *
 * The fill at any later time follows from the time passed, so no timer refills the bucket. As
 * in tc-tbf(8), idle time never saves up more than @burst.
 *
 * Protected by the lock of the structure around it.
 */
struct bpipe_bucket {
	u64 rate;
	u64 burst;
	s64 fill;
	u64 stamp;
};

/**
 * struct bpipe_meter - a rate limit
 * @bytes: limit in bytes
 * @records: limit in records; without a limit in a stream
 *
 * Protected as the flow that contains it.
 */
struct bpipe_meter {
	struct bpipe_bucket bytes;
	struct bpipe_bucket records;
};

/**
 * struct bpipe_mark - levels that matter to a class
 * @limit: highest level up to which its writes are admitted, bytes, BPIPE_SIZE_MIN..flow.size
 * @high: lowest level at which its gate closes, bytes, 1..@limit
 * @low: highest level at which its gate opens, bytes, 0..@high - 1
 *
 * Protected as the settings of the flow that contains it.
 */
struct bpipe_mark {
	u64 limit;
	u64 high;
	u64 low;
};

/**
 * struct bpipe_need - what a write needs, or a sum of reservations
 * @room: bytes of free space, with overhead
 * @bytes: tokens of the byte rate
 * @records: tokens of the record rate
 * @credit: credit, in flow.credit_unit
 *
 * Protected by channel.lock where it is shared.
 */
struct bpipe_need {
	u64 room;
	u64 bytes;
	u64 records;
	u64 credit;
};

/**
 * struct bpipe_flow - the state that decides whether a write may go on
 * @size: capacity, bytes, BPIPE_SIZE_MIN..BPIPE_SIZE_MAX
 * @high: level that asserts pressure, bytes, 1..@size
 * @low: level that releases it, bytes, 0..@high - 1
 * @limit: limit of each class, bytes, BPIPE_SIZE_MIN..@size; 0 for @size
 * @overhead: bytes that a record takes in addition to its length; 0 in a stream
 * @credit_unit: enum bpipe_credit: unit of @credit
 * @drop_to_low: drop-newest drops all writes from when a gate closes until the level is at low
 * @mark: marks of each class; bpipe_flow_set_marks() derives them and @limited from the above
 * @limited: a rate of writers or a credit is in force
 * @pressured: the level has reached @high and has not been at @low since
 * @closed: a bit for each class whose gate is closed
 * @credit: credit granted and not used, 0..BPIPE_CREDIT_MAX, in @credit_unit
 * @reserved: for each class, the sum of reservations of that class and all more important ones
 * @write: rate limit of all writers
 * @read: rate limit of all readers
 *
 * The gate of a class closes at its high mark, or when a write above its low mark finds no
 * room. It opens at the low mark: hysteresis. While the gate is closed, poll does not report
 * the channel as writable, and waiting writers stay asleep. A new write queues behind waiting
 * writers of its class or above. While the gate is open, a new write goes if it leaves what
 * waiting writers have reserved.
 *
 * Protected by channel.lock. Some fields change with a side's lock held too, see struct
 * bpipe_channel. A writer reads @closed and @reserved with wr.lock alone. An old value makes
 * the writer ask again, or costs its place in the order.
 */
struct bpipe_flow {
	u64 size;
	u64 high;
	u64 low;
	u64 limit[BPIPE_CLASSES];
	u32 overhead;
	u32 credit_unit;
	bool drop_to_low;
	struct bpipe_mark mark[BPIPE_CLASSES];
	bool limited;
	bool pressured;
	u32 closed;
	u64 credit;
	struct bpipe_need reserved[BPIPE_CLASSES];
	struct bpipe_meter write;
	struct bpipe_meter read;
};

/**
 * enum bpipe_verdict - what happens to a write, or to a read
 * @BPIPE_GO: it may move bytes now
 * @BPIPE_WAIT_SPACE: it lacks room
 * @BPIPE_WAIT_CREDIT: it lacks credit
 * @BPIPE_WAIT_TOKENS: it lacks tokens of the side
 * @BPIPE_WAIT_TURN: it has to queue behind other writers
 * @BPIPE_WAIT_OWN: it lacks tokens of its own file; it waits outside the queue
 * @BPIPE_WAIT_LOW: drop_to_low drops it until the level is at the low mark
 * @BPIPE_AGAIN: it fails with EAGAIN
 * @BPIPE_DROP: it is dropped
 * @BPIPE_EVICT: it may be stored once older records have been evicted
 */
enum bpipe_verdict {
	BPIPE_GO,
	BPIPE_WAIT_SPACE,
	BPIPE_WAIT_CREDIT,
	BPIPE_WAIT_TOKENS,
	BPIPE_WAIT_TURN,
	BPIPE_WAIT_OWN,
	BPIPE_WAIT_LOW,
	BPIPE_AGAIN,
	BPIPE_DROP,
	BPIPE_EVICT,
};

/**
 * struct bpipe_request - a write or its remaining part, or a read
 * @len: bytes, at least 1, without overhead
 * @evictable: bytes that eviction could free for it, with overhead
 * @own: rate limit of its file, or NULL
 * @class: its class, 0..7
 * @policy: enum bpipe_policy, not BPIPE_POLICY_CHANNEL: what happens if it is not admitted
 * @atomic: it must not be split
 * @nonblock: it does not wait
 * @queued: it has a place in the queue
 * @must_queue: other writers of its class or above wait
 * @spent: tokens limited an earlier part of it; it takes no tokens that came in since
 * @held: its reservation, once its turn has come; NULL before, and for a new write
 *
 * Belongs to the caller.
 */
struct bpipe_request {
	u64 len;
	u64 evictable;
	const struct bpipe_bucket *own;
	u32 class;
	u32 policy;
	bool atomic;
	bool nonblock;
	bool queued;
	bool must_queue;
	bool spent;
	const struct bpipe_need *held;
};

/**
 * struct bpipe_decision - details of a verdict
 * @bytes: for BPIPE_GO and BPIPE_EVICT: bytes that the call may move, at least 1
 * @wait_ns: where tokens lack: nanoseconds until it is worth asking again; U64_MAX while as
 *	much is reserved as now
 * @evict: for BPIPE_EVICT: bytes to evict, with overhead
 * @wait_reason: for AGAIN, DROP, EVICT and WAIT_*: which BPIPE_WAIT_* stands in the way
 * @cut: for BPIPE_GO: tokens limited @bytes
 * @shed: for BPIPE_DROP: only the limit or the gate of its class stands in the way
 *
 * Belongs to the caller.
 */
struct bpipe_decision {
	u64 bytes;
	u64 wait_ns;
	u64 evict;
	enum bpipe_verdict wait_reason;
	bool cut;
	bool shed;
};

/**
 * struct bpipe_ready - what must hold for a channel to be writable
 * @room: bytes of free space, with overhead, 1..limit of the class
 * @level: highest level at which that room is free, bytes; -1: none while as much is reserved
 *	as now; S64_MIN: none before the gate opens
 * @wait_ns: nanoseconds until the tokens are there, 0 if they are; U64_MAX: not while as much
 *	is reserved as now
 *
 * Belongs to the caller.
 */
struct bpipe_ready {
	u64 room;
	s64 level;
	u64 wait_ns;
};

/* Changes that bpipe_flow_update() reports: */
#define BPIPE_FLOW_ROSE		0x1	/* pressure was asserted */
#define BPIPE_FLOW_FELL		0x2	/* pressure was released */
#define BPIPE_FLOW_OPENED	0x4	/* a closed gate opened */

/* bpipe_flow.closed with the gates of all classes. */
#define BPIPE_CLOSED_ALL		((1U << BPIPE_CLASSES) - 1)

/**
 * bpipe_flow_closed() - return true if the gate of a class is closed
 * @flow: the state
 * @class: the class, 0..7
 *
 * Context: any; the answer may be old unless channel.lock is held.
 */
static inline bool bpipe_flow_closed(const struct bpipe_flow *flow, u32 class)
{
	return READ_ONCE(flow->closed) & (1U << class);
}

bool bpipe_flow_valid(const struct bpipe_flow *flow);
void bpipe_flow_set_marks(struct bpipe_flow *flow);
u64 bpipe_flow_default_burst(u64 rate, u64 least);

enum bpipe_verdict bpipe_flow_admit(const struct bpipe_flow *flow,
				    const struct bpipe_request *req, u64 level,
				    u64 now, struct bpipe_decision *decision);
enum bpipe_verdict bpipe_flow_deliver(const struct bpipe_flow *flow,
				      const struct bpipe_request *req, u64 now,
				      struct bpipe_decision *decision);
struct bpipe_need bpipe_flow_need(const struct bpipe_flow *flow, const struct bpipe_request *req);
struct bpipe_need bpipe_flow_reservation(const struct bpipe_need *need, enum bpipe_verdict reason);
void bpipe_flow_reserve(struct bpipe_flow *flow, u32 class, const struct bpipe_need *from,
			const struct bpipe_need *to);
enum bpipe_verdict bpipe_flow_fits(const struct bpipe_flow *flow, u32 class,
				   const struct bpipe_need *need, const struct bpipe_need *ahead,
				   u64 level, u64 now, u64 *wait_ns);
void bpipe_flow_refuse(struct bpipe_flow *flow, u32 class, u64 level);
void bpipe_flow_take(struct bpipe_flow *flow, u64 bytes, u64 now);
void bpipe_flow_take_read(struct bpipe_flow *flow, u64 bytes, u64 now);
bool bpipe_flow_grant(struct bpipe_flow *flow, u64 credit);
unsigned int bpipe_flow_update(struct bpipe_flow *flow, u64 level);
u64 bpipe_flow_next_up(const struct bpipe_flow *flow);
s64 bpipe_flow_next_down(const struct bpipe_flow *flow);
u64 bpipe_flow_largest(const struct bpipe_flow *flow, u32 class);
u32 bpipe_flow_victim(const u64 *held, u32 class);
u64 bpipe_flow_window(const struct bpipe_flow *flow, const struct bpipe_request *who,
		      u64 level, u64 now);
bool bpipe_flow_writable(const struct bpipe_flow *flow, const struct bpipe_request *who,
			 u64 level, u64 now, struct bpipe_ready *ready);

u64 bpipe_bucket_tokens(const struct bpipe_bucket *bucket, u64 now);
u64 bpipe_bucket_wait(const struct bpipe_bucket *bucket, u64 tokens, u64 now);
void bpipe_bucket_take(struct bpipe_bucket *bucket, u64 tokens, u64 now);
void bpipe_bucket_set(struct bpipe_bucket *bucket, u64 rate, u64 burst, u64 now);

#endif /* BPIPE_FLOW_H */
