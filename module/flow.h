/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_FLOW_H
#define BPIPE_FLOW_H

#include <linux/compiler.h>
#include <linux/types.h>

#include "uapi/linux/bpipe.h"

/**
 * struct bpipe_bucket - a token bucket
 * @rate: tokens a second; 0 lets everything through
 * @burst: most tokens it holds
 * @fill: what it held at @stamp, in units of a token times a nanosecond, so
 *	that nothing is lost to rounding; negative while in debt
 * @stamp: time of the last change, nanoseconds
 *
 * It fills by time passing; nothing has to be run for that. The idea is that
 * of tc-tbf(8).
 */
struct bpipe_bucket {
	u64 rate;
	u64 burst;
	s64 fill;
	u64 stamp;
};

/**
 * struct bpipe_meter - a rate limit
 * @bytes: in bytes
 * @records: in records; without limit for a stream
 */
struct bpipe_meter {
	struct bpipe_bucket bytes;
	struct bpipe_bucket records;
};

/**
 * struct bpipe_mark - levels that matter to a class
 * @limit: a write is admitted up to here
 * @high: at this level or above its gate is closed
 * @low: down to here it stays so
 */
struct bpipe_mark {
	u64 limit;
	u64 high;
	u64 low;
};

/**
 * struct bpipe_need - what a write takes, or what is reserved for writers
 * @room: bytes of free space, with the overhead of records
 * @bytes: tokens of the byte rate
 * @records: tokens of the record rate
 * @credit: credit, in the flow's unit
 */
struct bpipe_need {
	u64 room;
	u64 bytes;
	u64 records;
	u64 credit;
};

/**
 * struct bpipe_flow - the state that decides whether a write may go on
 * @size: capacity in bytes
 * @high: level that asserts pressure
 * @low: level that releases it
 * @limit: of each class, in bytes; 0 for @size
 * @overhead: what a record takes beside its bytes; 0 in a stream
 * @credit_unit: enum bpipe_credit: what the readers grant
 * @drop_to_low: drop-newest drops from when a gate closes until the level is at low
 * @mark: what follows from these for each class
 * @limited: a rate or credit is in force
 * @pressured: the level reached @high and has not been back at @low since
 * @closed: a bit for each class: its level reached its high mark, or a write found
 *	no room, and the level has not been at its low mark since
 * @credit: granted and not used, in @credit_unit
 * @reserved: of each class, what the waiting writers of that class and of all
 *	above it have reserved
 * @write: the writers' rate limit
 * @read: the readers'
 *
 * A class's gate closes at its high mark, or when a write above its low mark
 * finds no room, and opens at the low mark: hysteresis. While it is closed, poll
 * does not report the channel as writable, waiting writers stay asleep, and a new
 * write queues behind waiting writers of its class or above. While it is open, a
 * write goes if it leaves what they have reserved.
 *
 * @closed and @reserved may change while a writer asks: an old value costs the
 * writer a second look, or its place in the order.
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
 * enum bpipe_verdict - what becomes of a write, or a read
 * @BPIPE_GO: it may move bytes now
 * @BPIPE_WAIT_SPACE: it has to wait for room
 * @BPIPE_WAIT_CREDIT: it has to wait until a reader grants more
 * @BPIPE_WAIT_TOKENS: it has to wait for the rate limit
 * @BPIPE_WAIT_TURN: others wait already and it has to queue behind them
 * @BPIPE_WAIT_OWN: it has to wait for its own file's rate limit, on its own
 * @BPIPE_WAIT_LOW: it would have to wait for the low mark, and is dropped instead
 * @BPIPE_AGAIN: it has to be turned away
 * @BPIPE_DROP: it has to be dropped
 * @BPIPE_EVICT: it may be stored once older records have made room
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
 * struct bpipe_request - a write, or what is left of it; or a read
 * @len: bytes, at least 1, without the overhead
 * @evictable: bytes that could be made free for it
 * @own: the rate limit of its own file, or NULL
 * @class: its class
 * @policy: enum bpipe_policy: what becomes of it if it is not admitted
 * @atomic: all of it at once, or nothing
 * @nonblock: it takes what it can get and does not wait
 * @queued: it waits, and its turn has not come
 * @must_queue: other writers of its class or above wait
 * @spent: tokens have cut short what it was granted before
 * @held: what is reserved for it now that its turn has come; NULL for a new write
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
 * struct bpipe_decision - the answer to a request
 * @bytes: BPIPE_GO and BPIPE_EVICT: how many bytes it may store
 * @wait_ns: where tokens lack: nanoseconds until it is worth asking again; U64_MAX
 *	if other writers have to go first
 * @evict: BPIPE_EVICT: bytes to be made free
 * @wait_reason: if not BPIPE_GO: which BPIPE_WAIT_* stood in the way
 * @cut: BPIPE_GO: there was room for more than the tokens let through
 * @shed: BPIPE_DROP: only its class's limit did
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
 * struct bpipe_ready - when a channel will be writable
 * @room: bytes of free space asked for; with the overhead of records
 * @level: room is there once the level is at this or below, bytes; -1: not while
 *	as much is reserved as now; S64_MIN: once the gate opens
 * @wait_ns: tokens are there after so many nanoseconds; 0 if they are there now,
 *	U64_MAX: not while as much is reserved as now
 */
struct bpipe_ready {
	u64 room;
	s64 level;
	u64 wait_ns;
};

/* What bpipe_flow_update() did: */
#define BPIPE_FLOW_ROSE		0x1	/* pressure was asserted */
#define BPIPE_FLOW_FELL		0x2	/* pressure was released */
#define BPIPE_FLOW_OPENED	0x4	/* a gate was closed and is open */

/* The gates of all classes. */
#define BPIPE_CLOSED_ALL		((1U << BPIPE_CLASSES) - 1)

/**
 * bpipe_flow_closed() - return true if the gate of a class is closed
 * @flow: the state
 * @class: the class
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
