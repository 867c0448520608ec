/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_FLOW_H
#define BPIPE_FLOW_H

#include <linux/compiler.h>
#include <linux/types.h>

/**
 * struct bpipe_bucket - a token bucket
 * @rate: tokens (bytes) a second; 0 lets everything through
 * @burst: most tokens it holds
 * @credit: what it held at @stamp, in units of a byte times a nanosecond, so
 *	that nothing is lost to rounding; negative while in debt
 * @stamp: time of the last change, nanoseconds
 *
 * It fills by time passing; nothing has to be run for that. The idea is that
 * of tc-tbf(8).
 */
struct bpipe_bucket {
	u64 rate;
	u64 burst;
	s64 credit;
	u64 stamp;
};

/**
 * struct bpipe_promise - what is kept for a writer that waits
 * @room: bytes of free space
 * @tokens: bytes that the rate limit lets through
 */
struct bpipe_promise {
	u64 room;
	u64 tokens;
};

/**
 * struct bpipe_flow - the state that decides whether a write may go on
 * @size: capacity in bytes
 * @high: level that asserts pressure
 * @low: level that releases it
 * @pressured: the level reached @high and has not been back at @low since
 * @refused: a write found no room and the level has not been at @low since
 * @promised: what belongs to the first of the writers that wait, and not to
 *	those who come by
 * @bucket: the rate limit
 *
 * While @pressured or @refused, the gate is shut: poll does not report the
 * channel as writable, sleeping writers are left asleep, and as long as there
 * are any, nobody overtakes them. It opens at @low.
 *
 * Of these, @pressured, @refused and @promised may change while a writer asks:
 * an old value costs it a second look, or a place in the order.
 */
struct bpipe_flow {
	u64 size;
	u64 high;
	u64 low;
	bool pressured;
	bool refused;
	struct bpipe_promise promised;
	struct bpipe_bucket bucket;
};

/**
 * enum bpipe_verdict - what becomes of a write
 * @BPIPE_GO: it may store bytes now
 * @BPIPE_WAIT_SPACE: it has to wait for room
 * @BPIPE_WAIT_TOKENS: it has to wait for the rate limit
 * @BPIPE_WAIT_TURN: others wait already and it has to queue behind them
 */
enum bpipe_verdict {
	BPIPE_GO,
	BPIPE_WAIT_SPACE,
	BPIPE_WAIT_TOKENS,
	BPIPE_WAIT_TURN,
};

/**
 * struct bpipe_request - a write, or what is left of it
 * @len: bytes, at least 1
 * @atomic: all of it at once, or nothing
 * @nonblock: it takes what it can get and does not wait
 * @turn: it has waited, and is the first of those that wait
 * @behind: others wait, and before it
 */
struct bpipe_request {
	u64 len;
	bool atomic;
	bool nonblock;
	bool turn;
	bool behind;
};

/**
 * struct bpipe_grant - the answer to a request
 * @bytes: BPIPE_GO: how many bytes it may store
 * @wait_ns: BPIPE_WAIT_TOKENS: how long until enough tokens are there
 */
struct bpipe_grant {
	u64 bytes;
	u64 wait_ns;
};

/* What bpipe_flow_update() did: */
#define BPIPE_FLOW_ROSE		0x1	/* pressure was asserted */
#define BPIPE_FLOW_FELL		0x2	/* pressure was released */
#define BPIPE_FLOW_OPENED	0x4	/* the gate was shut and is open */

/**
 * bpipe_flow_shut() - is the gate shut?
 * @flow: the state
 */
static inline bool bpipe_flow_shut(const struct bpipe_flow *flow)
{
	return READ_ONCE(flow->pressured) || READ_ONCE(flow->refused);
}

bool bpipe_flow_valid(const struct bpipe_flow *flow);
u64 bpipe_flow_default_burst(u64 rate);

enum bpipe_verdict bpipe_flow_admit(const struct bpipe_flow *flow,
				    const struct bpipe_request *req, u64 level,
				    u64 now, struct bpipe_grant *grant);
struct bpipe_promise bpipe_flow_promise(const struct bpipe_flow *flow,
					const struct bpipe_request *req);
void bpipe_flow_keep(struct bpipe_flow *flow, struct bpipe_promise promise);
void bpipe_flow_refuse(struct bpipe_flow *flow);
unsigned int bpipe_flow_update(struct bpipe_flow *flow, u64 level);
u64 bpipe_flow_window(const struct bpipe_flow *flow, u64 level, u64 now);
bool bpipe_flow_writable(const struct bpipe_flow *flow, u64 now, u64 *wait_ns);

u64 bpipe_bucket_tokens(const struct bpipe_bucket *bucket, u64 now);
u64 bpipe_bucket_wait(const struct bpipe_bucket *bucket, u64 tokens, u64 now);
void bpipe_bucket_take(struct bpipe_bucket *bucket, u64 bytes, u64 now);
void bpipe_bucket_set(struct bpipe_bucket *bucket, u64 rate, u64 burst, u64 now);

#endif /* BPIPE_FLOW_H */
