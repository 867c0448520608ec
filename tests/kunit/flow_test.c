// SPDX-License-Identifier: GPL-2.0
/*
 * Test flow.c with tables, and over random histories with a reference that tries numbers
 * one by one instead of calculating.
 */

#include <linux/limits.h>
#include <linux/module.h>

#include "flow.h"
#include "kunit.h"
#include "uapi/linux/bpipe.h"

#define SECOND	NSEC_PER_SEC
#define T0	(5 * SECOND)

unsigned int bpipe_kunit_seed;
module_param_named(seed, bpipe_kunit_seed, uint, 0444);
MODULE_PARM_DESC(seed, "seed of the random histories");

/* A bucket with @_tokens tokens; all tokens in the tables are whole. */
#define BUCKET(_rate, _burst, _tokens) { .rate = (_rate), .burst = (_burst), \
	.fill = (s64)(_tokens) * SECOND, .stamp = T0 }
#define FULL	BUCKET(1000, 100, 100)
#define LIMITED	.limited = true, .size = 500

#define HELD(...)	.held = &(const struct bpipe_need){ __VA_ARGS__ }
#define DROP_OLDEST	.policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true, .nonblock = true

static const struct bpipe_bucket own_many = BUCKET(1000, 100, 60);
static const struct bpipe_bucket own_few = BUCKET(1000, 100, 30);
static const struct bpipe_bucket own_none = BUCKET(1000, 100, 0);

/*
 * The test sets the marks: those of class 0 are the channel's, and the limit of class 7 is
 * half of the size.
 */
static const struct admit_row {
	const char *what;
	u64 level;
	struct bpipe_flow flow;
	struct bpipe_request req;
	enum bpipe_verdict verdict;
	u64 answer;	/* bytes; or the wait; or bytes to evict */
} admit_rows[] = {
	{ "empty", 0, { .size = 10 }, { 4, .atomic = true }, BPIPE_GO, 4 },
	{ "fits exactly", 6, { .size = 10 }, { 4, .atomic = true }, BPIPE_GO, 4 },
	{ "one too many, atomic", 7, { .size = 10 }, { 4, .atomic = true }, BPIPE_WAIT_SPACE },
	{ "one too many, split", 7, { .size = 10 }, { 4 }, BPIPE_GO, 3 },
	{ "last byte", 9, { .size = 10 }, { 4 }, BPIPE_GO, 1 },
	{ "full", 10, { .size = 10 }, { 1 }, BPIPE_WAIT_SPACE },
	{ "full, non-blocking", 10, { .size = 10 }, { 1, .nonblock = true }, BPIPE_AGAIN },
	{ "largest request", 3, { .size = 10 }, { SSIZE_MAX }, BPIPE_GO, 7 },
	{ "largest atomic", 0, { .size = 10 }, { SSIZE_MAX, .atomic = true }, BPIPE_WAIT_SPACE },
	{ "closed gate, no waiters", 3, { .size = 10, .pressured = true, .closed = 0xff }, { 4 },
	  BPIPE_GO, 4 },

	{ "others wait, open gate", 0, { .size = 10 }, { 1, .must_queue = true }, BPIPE_GO, 1 },
	{ "others wait, closed gate", 0, { .size = 10, .closed = 1 }, { 1, .must_queue = true },
	  BPIPE_WAIT_TURN },
	{ "others wait, closed gate, non-blocking", 0, { .size = 10, .closed = 1 },
	  { 1, .nonblock = true, .must_queue = true }, BPIPE_AGAIN },
	{ "others wait, another class's gate is closed", 0, { .size = 10, .closed = 2 },
	  { 1, .must_queue = true }, BPIPE_GO, 1 },
	{ "its turn has not come, open gate", 0, { .size = 10 }, { 1, .queued = true },
	  BPIPE_WAIT_TURN },
	{ "its turn has come, closed gate", 0, { .size = 10, .reserved[0].room = 4, .closed = 1 },
	  { 4, .atomic = true, .queued = true, .must_queue = true, HELD(.room = 4) }, BPIPE_GO, 4 },

	{ "leaves reserved room", 2, { .size = 10, .reserved[0].room = 5 }, { 9 },
	  BPIPE_GO, 3 },
	{ "leaves reserved room, atomic", 2, { .size = 10, .reserved[0].room = 5 },
	  { 3, .atomic = true }, BPIPE_GO, 3 },
	{ "does not take reserved room, atomic", 2, { .size = 10, .reserved[0].room = 5 },
	  { 4, .atomic = true }, BPIPE_WAIT_SPACE },
	{ "all is reserved", 5, { .size = 10, .reserved[0].room = 5 }, { 1 }, BPIPE_WAIT_SPACE },
	{ "more is reserved than is free", 8, { .size = 10, .reserved[0].room = 5 }, { 1 },
	  BPIPE_WAIT_SPACE },
	{ "its own reservation", 2, { .size = 10, .reserved[0].room = 5 },
	  { 9, HELD(.room = 5) }, BPIPE_GO, 8 },
	{ "its own reservation and others'", 2, { .size = 10, .reserved[0].room = 7 },
	  { 9, HELD(.room = 5) }, BPIPE_GO, 6 },
	{ "its own reservation, others have more than is free", 2,
	  { .size = 10, .reserved[0].room = 50 }, { 9, HELD(.room = 5) }, BPIPE_GO, 5 },
	{ "less is free than its own reservation", 8, { .size = 10, .reserved[0].room = 50 },
	  { 9, HELD(.room = 5) }, BPIPE_GO, 2 },
	{ "its own reservation is above the sum", 2, { .size = 10, .reserved[0].room = 3 },
	  { 9, HELD(.room = 5) }, BPIPE_GO, 8 },
	{ "reserved by a less important class", 2, { .size = 10, .reserved[1].room = 5 }, { 9 },
	  BPIPE_GO, 8 },
	{ "reserved by the same class", 2, { .size = 10, .reserved[1].room = 5 },
	  { 9, .class = 1 }, BPIPE_GO, 3 },
	{ "tokens have cut it short", 0, { .size = 10 }, { 4, .spent = true },
	  BPIPE_WAIT_TOKENS, 0 },
	{ "tokens have cut it short, full channel", 10, { .size = 10 }, { 4, .spent = true },
	  BPIPE_WAIT_SPACE },

	{ "record with its overhead", 2, { .size = 10, .overhead = 4 },
	  { 4, .atomic = true }, BPIPE_GO, 4 },
	{ "record without room for its overhead", 3, { .size = 10, .overhead = 4 },
	  { 4, .atomic = true }, BPIPE_WAIT_SPACE },
	{ "limit of a class, to the last byte", 1, { .size = 10 },
	  { 4, .atomic = true, .class = 7 }, BPIPE_GO, 4 },
	{ "limit of a class, one over", 2, { .size = 10 },
	  { 4, .atomic = true, .class = 7 }, BPIPE_WAIT_SPACE },
	{ "limit of a class, split", 3, { .size = 10 }, { 4, .class = 7 }, BPIPE_GO, 2 },
	{ "level above the limit of a class", 8, { .size = 10 }, { 1, .class = 7 },
	  BPIPE_WAIT_SPACE },

	{ "error", 10, { .size = 10 }, { 1, .policy = BPIPE_POLICY_ERROR, .nonblock = true },
	  BPIPE_AGAIN },
	{ "drop newest", 10, { .size = 10 },
	  { 1, .policy = BPIPE_POLICY_DROP_NEWEST, .nonblock = true }, BPIPE_DROP },
	{ "drop newest, with room", 9, { .size = 10 },
	  { 1, .policy = BPIPE_POLICY_DROP_NEWEST, .nonblock = true }, BPIPE_GO, 1 },
	{ "drop to low: a closed gate", 5,
	  { .size = 10, .low = 4, .closed = 1, .drop_to_low = true },
	  { 1, .policy = BPIPE_POLICY_DROP_NEWEST, .nonblock = true }, BPIPE_DROP },
	{ "drop to low: at low", 4 * PIPE_BUF,
	  { .size = 10 * PIPE_BUF, .low = 4 * PIPE_BUF, .closed = 1, .drop_to_low = true },
	  { 1, .policy = BPIPE_POLICY_DROP_NEWEST, .nonblock = true }, BPIPE_GO, 1 },
	{ "drop to low: while its gate is open", 9,
	  { .size = 10, .low = 4, .closed = 2, .drop_to_low = true },
	  { 1, .policy = BPIPE_POLICY_DROP_NEWEST, .nonblock = true }, BPIPE_GO, 1 },
	{ "drop to low: not to the low mark of another class", 3,
	  { .size = 10, .low = 4, .closed = 0x80, .drop_to_low = true },
	  { 1, .class = 7, .policy = BPIPE_POLICY_DROP_NEWEST, .nonblock = true }, BPIPE_DROP },
	{ "drop to low: a closed gate without it", 5, { .size = 10, .low = 4, .closed = 1 },
	  { 1, .policy = BPIPE_POLICY_DROP_NEWEST, .nonblock = true }, BPIPE_GO, 1 },
	{ "drop to low: other policies do not drop", 5,
	  { .size = 10, .low = 4, .closed = 1, .drop_to_low = true },
	  { 1, .policy = BPIPE_POLICY_ERROR, .nonblock = true }, BPIPE_GO, 1 },
	{ "drop oldest: as much as it lacks", 8, { .size = 10, .overhead = 1 },
	  { 4, 8, .policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true, .nonblock = true },
	  BPIPE_EVICT, 3 },
	{ "drop oldest: just enough is evictable", 8, { .size = 10, .overhead = 1 },
	  { 4, 3, .policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true, .nonblock = true },
	  BPIPE_EVICT, 3 },
	{ "drop oldest: too little is evictable", 8, { .size = 10, .overhead = 1 },
	  { 4, 2, .policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true, .nonblock = true },
	  BPIPE_DROP },
	{ "drop oldest: down to its limit", 8, { .size = 10 },
	  { 4, 8, .class = 7, .policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true,
	    .nonblock = true }, BPIPE_EVICT, 7 },
	{ "drop oldest: in addition to reserved room", 5, { .size = 10, .reserved[0].room = 4 },
	  { 3, 8, DROP_OLDEST }, BPIPE_EVICT, 2 },
	{ "drop oldest: no more than it stores", 8, { .size = 10, .reserved[0].room = 9 },
	  { 3, 8, DROP_OLDEST }, BPIPE_EVICT, 3 },
	{ "drop oldest: no more than it stores, below its limit", 8,
	  { .size = 10, .reserved[7].room = 4 }, { 3, 8, DROP_OLDEST, .class = 7 },
	  BPIPE_EVICT, 6 },
	{ "drop oldest: less than it stores is evictable", 8, { .size = 10, .reserved[0].room = 9 },
	  { 3, 2, DROP_OLDEST }, BPIPE_DROP },
	{ "drop oldest: room would not help", 10,
	  { .limited = true, .size = 10, .write.records = BUCKET(1, 1, 0) },
	  { 4, 8, DROP_OLDEST }, BPIPE_DROP },
	{ "drop oldest: others have the tokens", 10,
	  { .limited = true, .size = 10, .reserved[0].bytes = 7,
	    .write.bytes = BUCKET(10, 10, 10) }, { 4, 8, DROP_OLDEST }, BPIPE_DROP },
	{ "drop oldest: tokens for all", 10,
	  { .limited = true, .size = 10, .reserved[0].bytes = 6,
	    .write.bytes = BUCKET(10, 10, 10) }, { 4, 8, DROP_OLDEST }, BPIPE_EVICT, 4 },
	{ "drop oldest: lacks only tokens", 2,
	  { .limited = true, .size = 10, .write.bytes = BUCKET(10, 10, 3) },
	  { 4, 8, DROP_OLDEST }, BPIPE_DROP },
	{ "drop oldest: others wait", 5, { .size = 10, .closed = 1 },
	  { 4, 8, DROP_OLDEST, .must_queue = true }, BPIPE_EVICT, 4 },
	{ "drop oldest: others wait, less is evictable", 5, { .size = 10, .closed = 1 },
	  { 4, 3, DROP_OLDEST, .must_queue = true }, BPIPE_DROP },
	{ "drop oldest: others wait, above its limit", 7, { .size = 10, .closed = 0x80 },
	  { 4, 8, DROP_OLDEST, .class = 7, .must_queue = true }, BPIPE_EVICT, 6 },
	{ "drop oldest: others wait, lacks tokens", 5,
	  { .limited = true, .size = 10, .closed = 1, .write.records = BUCKET(1, 1, 0) },
	  { 4, 8, DROP_OLDEST, .must_queue = true }, BPIPE_DROP },

	{ "bucket full", 0, { LIMITED, .write.bytes = FULL }, { 100, .atomic = true },
	  BPIPE_GO, 100 },
	{ "over the burst, atomic: into debt", 0, { LIMITED, .write.bytes = FULL },
	  { 300, .atomic = true }, BPIPE_GO, 300 },
	{ "over the burst, split", 0, { LIMITED, .write.bytes = FULL }, { 300 }, BPIPE_GO, 100 },
	{ "room before tokens", 500, { LIMITED, .write.bytes = BUCKET(1000, 100, 0) },
	  { 1 }, BPIPE_WAIT_SPACE },
	{ "a token short: up to half a burst", 0,
	  { LIMITED, .write.bytes = BUCKET(1000, 100, 39) },
	  { 40, .atomic = true }, BPIPE_WAIT_TOKENS, 11 * SECOND / 1000 },
	{ "a token short of more than that", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, 59) },
	  { 60, .atomic = true }, BPIPE_WAIT_TOKENS, SECOND / 1000 },
	{ "uses all tokens", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, 40) },
	  { 40, .atomic = true }, BPIPE_GO, 40 },
	{ "empty bucket, split: half a burst", 0,
	  { LIMITED, .write.bytes = BUCKET(1000, 100, 0) },
	  { 300 }, BPIPE_WAIT_TOKENS, SECOND / 20 },
	{ "empty bucket, split, a high rate: half a burst", 0,
	  { LIMITED, .write.bytes = BUCKET(10000, 100, 0) },
	  { 300 }, BPIPE_WAIT_TOKENS, SECOND / 200 },
	{ "split: 50 ms of the rate", 0, { LIMITED, .write.bytes = BUCKET(100, 100, 4) },
	  { 300 }, BPIPE_WAIT_TOKENS, SECOND / 100 },
	{ "split: 50 ms of the rate are there", 0, { LIMITED, .write.bytes = BUCKET(100, 100, 5) },
	  { 300 }, BPIPE_GO, 5 },
	{ "split: one token at least", 0, { LIMITED, .write.bytes = BUCKET(19, 100, 0) },
	  { 300 }, BPIPE_WAIT_TOKENS, SECOND / 19 + 1 },
	{ "split: no more than PIPE_BUF", 0,
	  { LIMITED, .write.bytes = BUCKET(1000000, 100000, PIPE_BUF) },
	  { 100000 }, BPIPE_GO, 500 },
	{ "split: PIPE_BUF is not there", 0,
	  { LIMITED, .write.bytes = BUCKET(1000000, 100000, PIPE_BUF - 1) },
	  { 100000 }, BPIPE_WAIT_TOKENS, (5000 - PIPE_BUF + 1) * 1000 },
	{ "split: non-blocking, too few", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, 49) },
	  { 300, .nonblock = true }, BPIPE_AGAIN },
	{ "non-blocking: the bucket is empty", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, 0) },
	  { 300, .nonblock = true }, BPIPE_AGAIN },
	{ "in debt", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, -50) },
	  { 10, .atomic = true }, BPIPE_WAIT_TOKENS, SECOND / 10 },
	{ "rounded up", 0, { LIMITED, .write.bytes = BUCKET(3, 100, 0) },
	  { 1, .atomic = true }, BPIPE_WAIT_TOKENS, SECOND / 3 + 1 },
	{ "burst of one", 0, { LIMITED, .write.bytes = BUCKET(1, 1, 1) }, { 9 }, BPIPE_GO, 1 },
	{ "leaves reserved tokens", 0,
	  { LIMITED, .reserved[0].bytes = 30, .write.bytes = BUCKET(1000, 100, 90) },
	  { 300 }, BPIPE_GO, 60 },
	{ "tokens are reserved", 0,
	  { LIMITED, .reserved[0].bytes = 30, .write.bytes = BUCKET(1000, 100, 39) },
	  { 10, .atomic = true }, BPIPE_WAIT_TOKENS, 41 * SECOND / 1000 },
	{ "others leave less than half a burst", 0,
	  { LIMITED, .reserved[0].bytes = 60, .write.bytes = BUCKET(1000, 100, 65) },
	  { 10, .atomic = true }, BPIPE_WAIT_TOKENS, 35 * SECOND / 1000 },
	{ "others leave just enough", 0,
	  { LIMITED, .reserved[0].bytes = 60, .write.bytes = BUCKET(1000, 100, 99) },
	  { 40, .atomic = true }, BPIPE_WAIT_TOKENS, SECOND / 1000 },
	{ "others do not leave enough", 0,
	  { LIMITED, .reserved[0].bytes = 60, .write.bytes = FULL },
	  { 41, .atomic = true }, BPIPE_WAIT_TOKENS, U64_MAX },
	{ "others have reserved more than a burst", 0,
	  { LIMITED, .reserved[0].bytes = 200, .write.bytes = FULL },
	  { 1, .atomic = true }, BPIPE_WAIT_TOKENS, U64_MAX },
	{ "its own reserved tokens", 0,
	  { LIMITED, .reserved[0].bytes = 30, .write.bytes = BUCKET(1000, 100, 39) },
	  { 10, .atomic = true, HELD(.bytes = 10) }, BPIPE_GO, 10 },
	{ "its own reserved tokens, split", 0,
	  { LIMITED, .reserved[0].bytes = 200, .write.bytes = BUCKET(1000, 100, 70) },
	  { 300, HELD(.room = 1, .bytes = 50) }, BPIPE_GO, 50 },
	{ "no token for a record", 0, { LIMITED, .write.records = BUCKET(10, 5, 0) },
	  { 40, .atomic = true }, BPIPE_WAIT_TOKENS, SECOND / 10 },
	{ "the longer of two waits", 0,
	  { LIMITED, .write.records = BUCKET(10, 5, 0), .write.bytes = BUCKET(100, 100, 0) },
	  { 40, .atomic = true }, BPIPE_WAIT_TOKENS, SECOND * 4 / 10 },
	{ "last record's token is reserved", 0,
	  { LIMITED, .reserved[0].records = 1, .write.records = BUCKET(10, 5, 1) },
	  { 40, .atomic = true }, BPIPE_WAIT_TOKENS, SECOND / 10 },
	{ "all records' tokens are reserved", 0,
	  { LIMITED, .reserved[0].records = 5, .write.records = BUCKET(10, 5, 5) },
	  { 40, .atomic = true }, BPIPE_WAIT_TOKENS, U64_MAX },
	{ "its own reserved token for a record", 0,
	  { LIMITED, .reserved[0].records = 5, .write.records = BUCKET(10, 5, 1) },
	  { 40, .atomic = true, HELD(.room = 40, .records = 1) }, BPIPE_GO, 40 },

	{ "no credit", 0, { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES }, { 4 },
	  BPIPE_WAIT_CREDIT },
	{ "some credit", 0, { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 3 }, { 4 },
	  BPIPE_GO, 3 },
	{ "a byte of credit short", 0, { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 3 },
	  { 4, .atomic = true }, BPIPE_WAIT_CREDIT },
	{ "credit is reserved", 0,
	  { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 9, .reserved[0].credit = 6 },
	  { 4, .atomic = true }, BPIPE_WAIT_CREDIT },
	{ "credit is reserved, split", 0,
	  { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 9, .reserved[0].credit = 6 },
	  { 4 }, BPIPE_GO, 3 },
	{ "its own reserved credit", 0,
	  { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 9, .reserved[0].credit = 6 },
	  { 4, .atomic = true, HELD(.room = 4, .credit = 4) }, BPIPE_GO, 4 },
	{ "credit for a record", 0, { LIMITED, .credit_unit = BPIPE_CREDIT_RECORDS, .credit = 1 },
	  { 40, .atomic = true }, BPIPE_GO, 40 },
	{ "credit for a record is reserved", 0,
	  { LIMITED, .credit_unit = BPIPE_CREDIT_RECORDS, .credit = 1, .reserved[0].credit = 1 },
	  { 40, .atomic = true }, BPIPE_WAIT_CREDIT },
	{ "no credit for a record", 0, { LIMITED, .credit_unit = BPIPE_CREDIT_RECORDS },
	  { 40, .atomic = true }, BPIPE_WAIT_CREDIT },

	{ "tokens of the file", 0, { .size = 500 }, { 300, .own = &own_few }, BPIPE_WAIT_OWN,
	  SECOND * 20 / 1000 },
	{ "tokens of the file, atomic", 0, { .size = 500 },
	  { 30, .own = &own_few, .atomic = true }, BPIPE_GO, 30 },
	{ "the file's tokens, split", 0, { .size = 500 }, { 300, .own = &own_many }, BPIPE_GO, 60 },
	{ "tokens of the file before its turn", 0, { .size = 500, .closed = 1 },
	  { 10, .own = &own_none, .must_queue = true }, BPIPE_WAIT_OWN, SECOND / 20 },
};

static void plan(struct bpipe_flow *flow)
{
	flow->high = flow->size;
	flow->limit[7] = flow->size / 2;
	bpipe_flow_set_marks(flow);
}

static void flow_admit(struct kunit *test)
{
	const struct admit_row *row;
	enum bpipe_verdict verdict;
	struct bpipe_decision decision;
	struct bpipe_flow flow;

	for (row = admit_rows; row < admit_rows + ARRAY_SIZE(admit_rows); row++) {
		decision = (struct bpipe_decision) { };
		flow = row->flow;
		plan(&flow);
		verdict = bpipe_flow_admit(&flow, &row->req, row->level, T0, &decision);
		KUNIT_EXPECT_EQ_MSG(test, verdict, row->verdict, "%s", row->what);
		KUNIT_EXPECT_EQ_MSG(test, flow.limited, row->flow.limited, "%s", row->what);
		if (verdict == BPIPE_AGAIN || verdict == BPIPE_DROP)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, verdict == BPIPE_GO ? decision.bytes :
				    verdict == BPIPE_EVICT ? decision.evict : decision.wait_ns,
				    row->answer, "%s", row->what);
	}
}

/* A drop is shed if only the limit of the class was in the way. */
static void flow_shed_needs_room_in_channel(struct kunit *test)
{
	struct bpipe_flow flow = { .size = 10, .overhead = 1 };
	struct bpipe_request req = {
		.len = 2, .class = 7, .atomic = true, .nonblock = true,
		.policy = BPIPE_POLICY_DROP_NEWEST,
	};
	struct bpipe_decision decision = { };

	plan(&flow);
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 2, T0, &decision), BPIPE_GO);
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 3, T0, &decision), BPIPE_DROP);
	KUNIT_EXPECT_TRUE(test, decision.shed);
	KUNIT_EXPECT_EQ(test, decision.wait_reason, BPIPE_WAIT_SPACE);
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 7, T0, &decision), BPIPE_DROP);
	KUNIT_EXPECT_TRUE(test, decision.shed);
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 8, T0, &decision), BPIPE_DROP);
	KUNIT_EXPECT_FALSE(test, decision.shed);

	/* Reserved room counts like held bytes. */
	flow.reserved[7].room = 4;
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 3, T0, &decision), BPIPE_DROP);
	KUNIT_EXPECT_TRUE(test, decision.shed);
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 4, T0, &decision), BPIPE_DROP);
	KUNIT_EXPECT_FALSE(test, decision.shed);

	/* A closed gate sheds only where the size leaves room. */
	flow.reserved[7].room = 0;
	flow.drop_to_low = true;
	flow.closed = 0x80;
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 2, T0, &decision), BPIPE_DROP);
	KUNIT_EXPECT_TRUE(test, decision.shed);
	KUNIT_EXPECT_EQ(test, decision.wait_reason, BPIPE_WAIT_LOW);
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 8, T0, &decision), BPIPE_DROP);
	KUNIT_EXPECT_FALSE(test, decision.shed);
}

/* decision.cut means that tokens were missing, and room and credit were not. */
static void flow_cut_means_tokens_lack(struct kunit *test)
{
	static const struct {
		u64 level, credit, len;
		s64 tokens;
		const struct bpipe_bucket *own;
		bool cut;
	} rows[] = {
		{ 0, 500, 300, 60, NULL, true },
		{ 0, 500, 60, 60, NULL, false },
		{ 439, 500, 300, 60, NULL, true },
		{ 440, 500, 300, 60, NULL, false },
		{ 0, 61, 300, 60, NULL, true },
		{ 0, 60, 300, 60, NULL, false },
		{ 0, 500, 300, 90, &own_many, true },
		{ 440, 500, 300, 90, &own_many, false },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bpipe_flow flow = {
			.size = 500, .credit_unit = BPIPE_CREDIT_BYTES, .credit = rows[i].credit,
			.write.bytes = BUCKET(1000, 100, rows[i].tokens),
		};
		struct bpipe_request req = { .len = rows[i].len, .own = rows[i].own };
		struct bpipe_decision decision = { };

		plan(&flow);
		KUNIT_EXPECT_EQ(test, BPIPE_GO,
				bpipe_flow_admit(&flow, &req, rows[i].level, T0, &decision));
		KUNIT_EXPECT_EQ_MSG(test, decision.bytes, 60, "row %zu", i);
		KUNIT_EXPECT_EQ_MSG(test, decision.cut, rows[i].cut, "row %zu", i);
	}
}

static void expect_need(struct kunit *test, struct bpipe_need need, struct bpipe_need want)
{
	KUNIT_EXPECT_EQ(test, need.room, want.room);
	KUNIT_EXPECT_EQ(test, need.bytes, want.bytes);
	KUNIT_EXPECT_EQ(test, need.records, want.records);
	KUNIT_EXPECT_EQ(test, need.credit, want.credit);
}

#define EXPECT_NEED(_need, ...) \
	expect_need(test, _need, (struct bpipe_need) { __VA_ARGS__ })

static void flow_need(struct kunit *test)
{
	struct bpipe_flow flow = {
		.size = 500, .overhead = 32, .credit_unit = BPIPE_CREDIT_BYTES,
		.write.bytes = FULL,
	};
	struct bpipe_request req = { .len = 40, .atomic = true };

	EXPECT_NEED(bpipe_flow_need(&flow, &req), 72, 40, 1, 40);
	req.len = 300;
	EXPECT_NEED(bpipe_flow_need(&flow, &req), 332, 100, 1, 300);
	flow.credit_unit = BPIPE_CREDIT_RECORDS;
	EXPECT_NEED(bpipe_flow_need(&flow, &req), 332, 100, 1, 1);
	flow.overhead = 0;
	req.atomic = false;
	EXPECT_NEED(bpipe_flow_need(&flow, &req), 300, 50, 1, 1);
	flow.credit_unit = BPIPE_CREDIT_BYTES;
	req.len = PIPE_BUF + 1;
	EXPECT_NEED(bpipe_flow_need(&flow, &req), PIPE_BUF, 50, 1, 1);
	flow.write.bytes = (struct bpipe_bucket)BUCKET(1000000, 100000, 0);
	EXPECT_NEED(bpipe_flow_need(&flow, &req), PIPE_BUF, PIPE_BUF + 1, 1, 1);
	req.len = 2 * PIPE_BUF;
	EXPECT_NEED(bpipe_flow_need(&flow, &req), PIPE_BUF, 5000, 1, 1);
	req.len = PIPE_BUF - 1;
	EXPECT_NEED(bpipe_flow_need(&flow, &req), PIPE_BUF - 1, PIPE_BUF - 1, 1, 1);
}

static void flow_reservation(struct kunit *test)
{
	const struct bpipe_need need = { 1, 2, 3, 4 };

	EXPECT_NEED(bpipe_flow_reservation(&need, BPIPE_GO), 1, 2, 3, 4);
	EXPECT_NEED(bpipe_flow_reservation(&need, BPIPE_WAIT_SPACE), .room = 1);
	EXPECT_NEED(bpipe_flow_reservation(&need, BPIPE_WAIT_TURN), .room = 1);
	EXPECT_NEED(bpipe_flow_reservation(&need, BPIPE_WAIT_TOKENS), .bytes = 2, .records = 3);
	EXPECT_NEED(bpipe_flow_reservation(&need, BPIPE_WAIT_CREDIT), .credit = 4);
}

/* A reservation counts for its class and the less important ones. */
static void flow_reserve(struct kunit *test)
{
	const struct bpipe_need nothing = { }, one = { 1, 2, 3, 4 }, two = { 50, 0, 7, 1 };
	struct bpipe_flow flow = { }, before;
	u32 class;

	bpipe_flow_reserve(&flow, 3, &nothing, &one);
	bpipe_flow_reserve(&flow, 5, &nothing, &two);
	for (class = 0; class < 3; class++)
		EXPECT_NEED(flow.reserved[class], 0);
	for (; class < 5; class++)
		EXPECT_NEED(flow.reserved[class], 1, 2, 3, 4);
	for (; class < BPIPE_CLASSES; class++)
		EXPECT_NEED(flow.reserved[class], 51, 2, 10, 5);

	before = flow;
	bpipe_flow_reserve(&flow, 0, &nothing, &two);
	bpipe_flow_reserve(&flow, 0, &two, &one);
	EXPECT_NEED(flow.reserved[0], 1, 2, 3, 4);
	bpipe_flow_reserve(&flow, 0, &one, &nothing);
	KUNIT_ASSERT_MEMEQ(test, &flow, &before, sizeof(flow));
}

static const struct fits_row {
	const char *what;
	u64 level;
	struct bpipe_flow flow;
	u32 class;
	struct bpipe_need need;
	struct bpipe_need ahead;
	enum bpipe_verdict verdict;
	u64 wait_ns;
} fits_rows[] = {
	{ "fits exactly", 3, { .size = 10 }, 0, { 4 }, { 3 }, BPIPE_GO },
	{ "one too many", 4, { .size = 10 }, 0, { 4 }, { 3 }, BPIPE_WAIT_SPACE },
	{ "limit of a class", 1, { .size = 10 }, 7, { 4 }, { 0 }, BPIPE_GO },
	{ "limit of a class, one over", 1, { .size = 10 }, 7, { 4 }, { 1 }, BPIPE_WAIT_SPACE },
	{ "reservations behind it do not count", 6,
	  { .size = 10, .reserved[0].room = 100 }, 0, { 4 }, { 0 }, BPIPE_GO },
	{ "a closed gate does not count", 6, { .size = 10, .closed = 1 }, 0, { 4 }, { 0 },
	  BPIPE_GO },
	{ "room before tokens", 500, { LIMITED, .write.bytes = BUCKET(1000, 100, 0) }, 0,
	  { 4, 4 }, { 0 }, BPIPE_WAIT_SPACE },
	{ "credit", 0, { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 9 }, 0,
	  { 4, 4, 1, 4 }, { 0, 0, 0, 5 }, BPIPE_GO },
	{ "a byte of credit short", 0,
	  { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 9 }, 0,
	  { 4, 4, 1, 4 }, { 0, 0, 0, 6 }, BPIPE_WAIT_CREDIT },
	{ "credit is off", 0, { LIMITED, .write.bytes = FULL }, 0,
	  { 4, 4, 1, 4 }, { 0, 0, 0, 6 }, BPIPE_GO },
	{ "tokens", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, 70) }, 0,
	  { 4, 20, 1 }, { 0, 50 }, BPIPE_GO },
	{ "a token short", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, 69) }, 0,
	  { 4, 20, 1 }, { 0, 50 }, BPIPE_WAIT_TOKENS, 31 * SECOND / 1000 },
	{ "too many are reserved ahead", 0, { LIMITED, .write.bytes = FULL }, 0,
	  { 4, 51, 1 }, { 0, 50 }, BPIPE_WAIT_TOKENS, U64_MAX },
	{ "a record's token short", 0, { LIMITED, .write.records = BUCKET(10, 5, 1) }, 0,
	  { 4, 4, 1 }, { 0, 0, 1 }, BPIPE_WAIT_TOKENS, SECOND / 10 },
};

static void flow_fits(struct kunit *test)
{
	const struct fits_row *row;

	for (row = fits_rows; row < fits_rows + ARRAY_SIZE(fits_rows); row++) {
		struct bpipe_flow flow = row->flow;
		u64 wait_ns = 0;

		plan(&flow);
		KUNIT_EXPECT_EQ_MSG(test, bpipe_flow_fits(&flow, row->class, &row->need,
							  &row->ahead, row->level, T0, &wait_ns),
				    row->verdict, "%s", row->what);
		KUNIT_EXPECT_EQ_MSG(test, wait_ns, row->wait_ns, "%s", row->what);
	}
}

/* A write that lacked room closes its gate, but only above the low mark. */
static void flow_refuse(struct kunit *test)
{
	struct bpipe_flow flow = {
		.size = 10 * PIPE_BUF, .high = 7 * PIPE_BUF, .low = 3 * PIPE_BUF,
		.limit[7] = 5 * PIPE_BUF, .closed = 4,
	};

	bpipe_flow_set_marks(&flow);
	bpipe_flow_refuse(&flow, 0, 3 * PIPE_BUF);
	KUNIT_EXPECT_EQ(test, flow.closed, 4);
	bpipe_flow_refuse(&flow, 0, 3 * PIPE_BUF + 1);
	KUNIT_EXPECT_EQ(test, flow.closed, 5);
	bpipe_flow_refuse(&flow, 7, 3 * PIPE_BUF / 2);
	KUNIT_EXPECT_EQ(test, flow.closed, 5);
	bpipe_flow_refuse(&flow, 7, 3 * PIPE_BUF / 2 + 1);
	KUNIT_EXPECT_EQ(test, flow.closed, 0x85);
}

#define WIDE	.size = 10 * PIPE_BUF

static const struct writable_row {
	const char *what;
	u64 level;
	struct bpipe_flow flow;
	struct bpipe_request who;
	bool writable;
	s64 ready_level;
	u64 wait_ns;
} writable_rows[] = {
	{ "room for an atomic write", 9 * PIPE_BUF, { WIDE }, { 0 }, true, 9 * PIPE_BUF },
	{ "a byte short", 9 * PIPE_BUF + 1, { WIDE }, { 0 }, false, 9 * PIPE_BUF },
	{ "with overhead", 9 * PIPE_BUF - 32, { WIDE, .overhead = 32 }, { 0 }, true,
	  9 * PIPE_BUF - 32 },
	{ "a byte short with overhead", 9 * PIPE_BUF - 31, { WIDE, .overhead = 32 }, { 0 },
	  false, 9 * PIPE_BUF - 32 },
	{ "after a refusal", 8 * PIPE_BUF - 32, { WIDE, .overhead = 32 }, { 2 * PIPE_BUF },
	  true, 8 * PIPE_BUF - 32 },
	{ "after a refused short write", 9 * PIPE_BUF, { WIDE }, { 1 }, true, 9 * PIPE_BUF },
	{ "after a refused write that is too long", 0, { WIDE }, { 11 * PIPE_BUF }, true, 0 },
	{ "an empty small channel", 0, { .size = PIPE_BUF, .overhead = 32 }, { 0 },
	  true, 0 },
	{ "a small channel with a byte", 1, { .size = PIPE_BUF, .overhead = 32 }, { 0 },
	  false, 0 },
	{ "at a limit", 4 * PIPE_BUF, { WIDE }, { 0, .class = 7 }, true, 4 * PIPE_BUF },
	{ "reserved by another", PIPE_BUF, { WIDE, .reserved[0].room = 8 * PIPE_BUF }, { 0 },
	  true, PIPE_BUF },
	{ "reserved by another, a byte short", PIPE_BUF + 1,
	  { WIDE, .reserved[0].room = 8 * PIPE_BUF }, { 0 }, false, PIPE_BUF },
	{ "reserved by a less important class", 9 * PIPE_BUF,
	  { WIDE, .reserved[1].room = 8 * PIPE_BUF }, { 0 }, true, 9 * PIPE_BUF },
	{ "too much is reserved", 0, { WIDE, .reserved[0].room = 9 * PIPE_BUF + 1 }, { 0 },
	  false, -1 },
	{ "closed gate", 0, { WIDE, .closed = 1 }, { 0 }, false, S64_MIN },
	{ "another class's gate is closed", 0, { WIDE, .closed = 2 }, { 0 }, true, 9 * PIPE_BUF },
	{ "a burst of tokens", 0, { WIDE, .write.bytes = FULL }, { 0 }, true, 9 * PIPE_BUF },
	{ "a token short", 0, { WIDE, .write.bytes = BUCKET(1000, 100, 99) }, { 0 }, false,
	  9 * PIPE_BUF, SECOND / 1000 },
	{ "PIPE_BUF tokens", 0, { WIDE, .write.bytes = BUCKET(1000, 100000, PIPE_BUF) }, { 0 },
	  true, 9 * PIPE_BUF },
	{ "PIPE_BUF tokens in addition to reserved ones", 0,
	  { WIDE, .reserved[0].bytes = 10, .write.bytes = BUCKET(1000, 100000, PIPE_BUF) },
	  { 0 }, false, 9 * PIPE_BUF, SECOND / 100 },
	{ "others have reserved tokens of this burst", 0,
	  { WIDE, .reserved[0].bytes = 1, .write.bytes = FULL }, { 0 }, false,
	  9 * PIPE_BUF, U64_MAX },
	{ "a record's token is reserved", 0,
	  { WIDE, .reserved[0].records = 1, .write.records = BUCKET(10, 5, 1) }, { 0 }, false,
	  9 * PIPE_BUF, SECOND / 10 },
	{ "tokens of the file", 0, { WIDE }, { 0, .own = &own_few }, false, 9 * PIPE_BUF,
	  SECOND * 70 / 1000 },
	{ "credit", 0, { WIDE, .credit_unit = BPIPE_CREDIT_RECORDS, .credit = 3,
			 .reserved[0].credit = 2 }, { 0 }, true, 9 * PIPE_BUF },
	{ "credit is reserved", 0, { WIDE, .credit_unit = BPIPE_CREDIT_RECORDS, .credit = 3,
				     .reserved[0].credit = 3 }, { 0 }, false, 9 * PIPE_BUF },
};

static void flow_writable(struct kunit *test)
{
	const struct writable_row *row;

	for (row = writable_rows; row < writable_rows + ARRAY_SIZE(writable_rows); row++) {
		struct bpipe_flow flow = row->flow;
		struct bpipe_ready ready;

		plan(&flow);
		KUNIT_EXPECT_EQ_MSG(test, bpipe_flow_writable(&flow, &row->who, row->level, T0,
							      &ready),
				    row->writable, "%s", row->what);
		KUNIT_EXPECT_EQ_MSG(test, ready.level, row->ready_level, "%s", row->what);
		KUNIT_EXPECT_EQ_MSG(test, ready.wait_ns, row->wait_ns, "%s", row->what);
	}
}

static const struct window_row {
	const char *what;
	u64 level;
	struct bpipe_flow flow;
	const struct bpipe_bucket *own;
	u64 window;
} window_rows[] = {
	{ "space", 100, { .size = 500 }, NULL, 400 },
	{ "space less overhead", 100, { .size = 500, .overhead = 32 }, NULL, 368 },
	{ "no space for overhead", 468, { .size = 500, .overhead = 32 }, NULL, 0 },
	{ "space less reserved room", 100, { .size = 500, .reserved[0].room = 30 }, NULL, 370 },
	{ "all is reserved", 100, { .size = 500, .reserved[0].room = 400 }, NULL, 0 },
	{ "tokens", 0, { .size = 500, .write.bytes = BUCKET(1000, 100, 60) }, NULL, 60 },
	{ "few tokens", 0, { .size = 500, .overhead = 32, .write.bytes = BUCKET(1000, 100, 3) },
	  NULL, 3 },
	{ "less reserved tokens", 0,
	  { .size = 500, .reserved[0].bytes = 50, .write.bytes = BUCKET(1000, 100, 60) },
	  NULL, 10 },
	{ "no record's token", 0, { .size = 500, .write.records = BUCKET(10, 5, 0) }, NULL, 0 },
	{ "tokens of the file", 0, { .size = 500 }, &own_few, 30 },
	{ "credit less what is reserved", 0,
	  { .size = 500, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 40,
	    .reserved[0].credit = 15 }, NULL, 25 },
	{ "credit for a record", 0,
	  { .size = 500, .credit_unit = BPIPE_CREDIT_RECORDS, .credit = 1 }, NULL, 500 },
	{ "credit for a record is reserved", 0,
	  { .size = 500, .credit_unit = BPIPE_CREDIT_RECORDS, .credit = 1,
	    .reserved[0].credit = 1 }, NULL, 0 },
	{ "closed gate, no waiters", 100, { .size = 500, .closed = 1 }, NULL, 400 },
	{ "closed gate, a writer waits for room", 100,
	  { .size = 500, .closed = 1, .reserved[0].room = 1 }, NULL, 0 },
	{ "closed gate, a writer waits for tokens", 100,
	  { .size = 500, .closed = 1, .reserved[0] = { .bytes = 1, .records = 1 },
	    .write.bytes = FULL }, NULL, 0 },
	{ "closed gate, a writer waits for credit", 100,
	  { .size = 500, .closed = 1, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 40,
	    .reserved[0].credit = 1 }, NULL, 0 },
	{ "closed gate, a less important writer waits", 100,
	  { .size = 500, .closed = 1, .reserved[1].room = 1 }, NULL, 400 },
};

static void flow_window(struct kunit *test)
{
	const struct window_row *row;

	for (row = window_rows; row < window_rows + ARRAY_SIZE(window_rows); row++) {
		const struct bpipe_request who = { .own = row->own };
		struct bpipe_flow flow = row->flow;

		plan(&flow);
		KUNIT_EXPECT_EQ_MSG(test, bpipe_flow_window(&flow, &who, row->level, T0),
				    row->window, "%s", row->what);
	}
}

static const struct deliver_row {
	const char *what;
	struct bpipe_meter read;
	struct bpipe_request req;
	enum bpipe_verdict verdict;
	u64 answer;
} deliver_rows[] = {
	{ "no rate", { }, { 300 }, BPIPE_GO, 300 },
	{ "as many as there are tokens", { .bytes = BUCKET(1000, 100, 60) }, { 300 },
	  BPIPE_GO, 60 },
	{ "half a burst at least", { .bytes = BUCKET(1000, 100, 49) }, { 300 },
	  BPIPE_WAIT_TOKENS, SECOND / 1000 },
	{ "a short read", { .bytes = BUCKET(1000, 100, 49) }, { 49 }, BPIPE_GO, 49 },
	{ "non-blocking: half a burst at least", { .bytes = BUCKET(1000, 100, 1) },
	  { 300, .nonblock = true }, BPIPE_WAIT_TOKENS, SECOND * 49 / 1000 },
	{ "50 ms of the rate", { .bytes = BUCKET(100, 100, 4) }, { 300 },
	  BPIPE_WAIT_TOKENS, SECOND / 100 },
	{ "no more than PIPE_BUF", { .bytes = BUCKET(1000000, 100000, PIPE_BUF) }, { 100000 },
	  BPIPE_GO, PIPE_BUF },
	{ "record", { .bytes = BUCKET(1000, 100, 49) }, { 50, .atomic = true },
	  BPIPE_WAIT_TOKENS, SECOND / 1000 },
	{ "record into debt", { .bytes = FULL }, { 300, .atomic = true }, BPIPE_GO, 300 },
	{ "no token for a record", { .records = BUCKET(1, 1, 0) }, { 5, .atomic = true },
	  BPIPE_WAIT_TOKENS, SECOND },
	{ "the longer wait", { .records = BUCKET(1, 1, 0), .bytes = BUCKET(10, 100, 0) },
	  { 50, .atomic = true }, BPIPE_WAIT_TOKENS, 5 * SECOND },
};

static void flow_deliver(struct kunit *test)
{
	const struct deliver_row *row;
	struct bpipe_decision decision;

	for (row = deliver_rows; row < deliver_rows + ARRAY_SIZE(deliver_rows); row++) {
		struct bpipe_flow flow = { .read = row->read };

		decision = (struct bpipe_decision) { };
		KUNIT_EXPECT_EQ_MSG(test, bpipe_flow_deliver(&flow, &row->req, T0, &decision),
				    row->verdict, "%s", row->what);
		KUNIT_EXPECT_EQ_MSG(test,
				    row->verdict == BPIPE_GO ? decision.bytes : decision.wait_ns,
				    row->answer, "%s", row->what);
	}
}

#define HALF	(PIPE_BUF / 2)

static const struct update_row {
	u64 level;
	bool pressured;		/* before */
	u32 closed;
	unsigned int changed;
	bool pressured_after;
	u32 closed_after;
} update_rows[] = {	/* low 3, high 7; of class 7: 1.5 and 3.5 (times PIPE_BUF) */
	{ 0, false, 0, 0, false, 0 },
	{ 7 * HALF - 1, false, 0, 0, false, 0 },
	{ 7 * HALF, false, 0, 0, false, 0x80 },
	{ 14 * HALF - 1, false, 0, 0, false, 0x80 },
	{ 14 * HALF, false, 0, BPIPE_FLOW_ROSE, true, 0xff },
	{ 20 * HALF, false, 0x81, BPIPE_FLOW_ROSE, true, 0xff },
	{ 14 * HALF, true, 0xff, 0, true, 0xff },
	{ 6 * HALF + 1, true, 0xff, 0, true, 0xff },
	{ 6 * HALF + 1, false, 0x01, 0, false, 0x01 },
	{ 8 * HALF, false, 0x01, 0, false, 0x81 },
	{ 6 * HALF, true, 0xff, BPIPE_FLOW_FELL | BPIPE_FLOW_OPENED, false, 0x80 },
	{ 6 * HALF, false, 0x81, BPIPE_FLOW_OPENED, false, 0x80 },
	{ 3 * HALF + 1, false, 0x80, 0, false, 0x80 },
	{ 3 * HALF, false, 0x80, BPIPE_FLOW_OPENED, false, 0 },
	{ 0, true, 0xff, BPIPE_FLOW_FELL | BPIPE_FLOW_OPENED, false, 0 },
};

/* Levels where the state may change, and the levels next to them. */
static const u64 turning_points[] = {
	0, 1, 3 * HALF - 1, 3 * HALF, 3 * HALF + 1, 6 * HALF - 1, 6 * HALF, 6 * HALF + 1,
	7 * HALF - 1, 7 * HALF, 7 * HALF + 1, 14 * HALF - 1, 14 * HALF, 14 * HALF + 1,
	20 * HALF - 1, 20 * HALF,
};

static void flow_update(struct kunit *test)
{
	const struct update_row *row;

	for (row = update_rows; row < update_rows + ARRAY_SIZE(update_rows); row++) {
		struct bpipe_flow flow = {
			.size = 20 * HALF, .high = 14 * HALF, .low = 6 * HALF,
			.limit[7] = 10 * HALF, .pressured = row->pressured,
			.closed = row->closed,
		};
		int n = row - update_rows;
		s64 down;
		u64 up;
		size_t i;

		bpipe_flow_set_marks(&flow);
		KUNIT_EXPECT_EQ_MSG(test, bpipe_flow_update(&flow, row->level), row->changed,
				    "row %d", n);
		KUNIT_EXPECT_EQ_MSG(test, flow.pressured, row->pressured_after, "row %d", n);
		KUNIT_EXPECT_EQ_MSG(test, flow.closed, row->closed_after, "row %d", n);

		/* The state changes at the next levels, and not before. */
		up = bpipe_flow_next_up(&flow);
		down = bpipe_flow_next_down(&flow);
		for (i = 0; i < ARRAY_SIZE(turning_points); i++) {
			u64 level = turning_points[i];
			struct bpipe_flow then = flow;
			bool changes;

			bpipe_flow_update(&then, level);
			changes = then.closed != flow.closed || then.pressured != flow.pressured;
			if (level > row->level)
				KUNIT_EXPECT_EQ_MSG(test, level >= up, changes,
						    "row %d, level %llu", n, level);
			if (level < row->level)
				KUNIT_EXPECT_EQ_MSG(test, (s64)level <= down, changes,
						    "row %d, level %llu", n, level);
		}
	}
}

static void flow_marks(struct kunit *test)
{
	struct bpipe_flow flow = {
		.size = BPIPE_SIZE_MAX, .high = BPIPE_SIZE_MAX, .low = BPIPE_SIZE_MAX - 1,
		.limit = { [1] = BPIPE_SIZE_MAX, [2] = BPIPE_SIZE_MAX / 2, [3] = BPIPE_SIZE_MIN },
		.overhead = 32,
	};

	bpipe_flow_set_marks(&flow);
	KUNIT_EXPECT_EQ(test, flow.mark[0].limit, BPIPE_SIZE_MAX);
	/* A gate closes where an atomic write has no room left. */
	KUNIT_EXPECT_EQ(test, flow.mark[1].high, BPIPE_SIZE_MAX - PIPE_BUF - 32 + 1);
	KUNIT_EXPECT_EQ(test, flow.mark[1].low, BPIPE_SIZE_MAX - PIPE_BUF - 32);
	KUNIT_EXPECT_EQ(test, flow.mark[2].high, BPIPE_SIZE_MAX / 2 - PIPE_BUF - 32 + 1);
	KUNIT_EXPECT_EQ(test, flow.mark[2].low, BPIPE_SIZE_MAX / 2 - PIPE_BUF - 32);
	KUNIT_EXPECT_EQ(test, flow.mark[3].limit, BPIPE_SIZE_MIN);
	KUNIT_EXPECT_EQ(test, flow.mark[3].high, 1);
	KUNIT_EXPECT_EQ(test, flow.mark[3].low, 0);
	KUNIT_EXPECT_EQ(test, bpipe_flow_largest(&flow, 3), BPIPE_SIZE_MIN - 32);

	/* Other marks are those of the channel in proportion to the limit. */
	flow.high = BPIPE_SIZE_MAX / 4 * 3;
	flow.low = BPIPE_SIZE_MAX / 4;
	bpipe_flow_set_marks(&flow);
	KUNIT_EXPECT_EQ(test, flow.mark[0].high, flow.high);
	KUNIT_EXPECT_EQ(test, flow.mark[0].low, flow.low);
	KUNIT_EXPECT_EQ(test, flow.mark[2].high, flow.high / 2);
	KUNIT_EXPECT_EQ(test, flow.mark[2].low, flow.low / 2);
	KUNIT_EXPECT_EQ(test, flow.mark[3].high, 1);
	KUNIT_EXPECT_EQ(test, flow.mark[3].low, 0);
	flow.high = 1;
	flow.low = 0;
	bpipe_flow_set_marks(&flow);
	KUNIT_EXPECT_EQ(test, flow.mark[3].high, 1);
	KUNIT_EXPECT_EQ(test, flow.mark[3].low, 0);
}

static void flow_victim(struct kunit *test)
{
	const u64 held[BPIPE_CLASSES] = { [0] = 1, [3] = 5, [6] = 2 };
	const u64 first[BPIPE_CLASSES] = { 1 }, nothing[BPIPE_CLASSES] = { };

	KUNIT_EXPECT_EQ(test, bpipe_flow_victim(held, 0), 6);
	KUNIT_EXPECT_EQ(test, bpipe_flow_victim(held, 6), 6);
	KUNIT_EXPECT_EQ(test, bpipe_flow_victim(held, 7), BPIPE_CLASSES);
	KUNIT_EXPECT_EQ(test, bpipe_flow_victim(nothing, 0), BPIPE_CLASSES);
	KUNIT_EXPECT_EQ(test, bpipe_flow_victim(first, 0), 0);
	KUNIT_EXPECT_EQ(test, bpipe_flow_victim(first, 1), BPIPE_CLASSES);
}

static void flow_credit(struct kunit *test)
{
	struct bpipe_flow flow = { .credit_unit = BPIPE_CREDIT_BYTES };

	KUNIT_EXPECT_TRUE(test, bpipe_flow_grant(&flow, 100));
	bpipe_flow_take(&flow, 30, T0);
	KUNIT_EXPECT_EQ(test, flow.credit, 70);
	KUNIT_EXPECT_FALSE(test, bpipe_flow_grant(&flow, BPIPE_CREDIT_MAX - 69));
	KUNIT_EXPECT_FALSE(test, bpipe_flow_grant(&flow, U64_MAX));
	KUNIT_EXPECT_EQ(test, flow.credit, 70);
	KUNIT_EXPECT_TRUE(test, bpipe_flow_grant(&flow, BPIPE_CREDIT_MAX - 70));
	flow.credit_unit = BPIPE_CREDIT_RECORDS;
	bpipe_flow_take(&flow, 30, T0);
	KUNIT_EXPECT_EQ(test, flow.credit, BPIPE_CREDIT_MAX - 1);
}

static void flow_valid(struct kunit *test)
{
	const struct bpipe_flow good = {
		.size = 4096, .high = 4096,
		.write = { .bytes.burst = 1, .records.burst = 1 },
		.read = { .bytes.burst = 1, .records.burst = 1 },
	};
	struct bpipe_flow flow;

#define VALID(_yes, ...) do {							\
	flow = good;								\
	__VA_ARGS__;								\
	KUNIT_EXPECT_EQ_MSG(test, bpipe_flow_valid(&flow), _yes, #__VA_ARGS__);	\
} while (0)
	VALID(true);
	VALID(false, flow.size = 4095, flow.high = 4095);
	VALID(true, flow.size = BPIPE_SIZE_MAX);
	VALID(false, flow.size = BPIPE_SIZE_MAX + 1);
	VALID(false, flow.size = U64_MAX);
	VALID(false, flow.high = 4097);
	VALID(false, flow.high = 0);
	VALID(true, flow.low = 4095);
	VALID(false, flow.low = 4096);
	VALID(true, flow.high = 1);
	VALID(true, flow.limit[7] = 4096);
	VALID(false, flow.limit[7] = 4095);
	VALID(false, flow.limit[0] = 4097);
	VALID(true, flow.write.bytes.rate = BPIPE_RATE_MAX);
	VALID(false, flow.write.bytes.rate = BPIPE_RATE_MAX + 1);
	VALID(true, flow.write.bytes.burst = BPIPE_BURST_MAX);
	VALID(false, flow.write.bytes.burst = BPIPE_BURST_MAX + 1);
	VALID(false, flow.write.bytes.burst = 0);
	VALID(false, flow.write.records.burst = 0);
	VALID(false, flow.read.bytes.rate = BPIPE_RATE_MAX + 1);
	VALID(false, flow.read.records.burst = BPIPE_BURST_MAX + 1);
#undef VALID
}

static void flow_default_burst(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, bpipe_flow_default_burst(0, 8192), 8192);
	KUNIT_EXPECT_EQ(test, bpipe_flow_default_burst(81929, 8192), 8192);
	KUNIT_EXPECT_EQ(test, bpipe_flow_default_burst(81930, 8192), 8193);
	KUNIT_EXPECT_EQ(test, bpipe_flow_default_burst(19, 1), 1);
	KUNIT_EXPECT_EQ(test, bpipe_flow_default_burst(20, 1), 2);
	KUNIT_EXPECT_EQ(test, bpipe_flow_default_burst(BPIPE_RATE_MAX, 1), BPIPE_BURST_MAX);
}

/* Test the largest settings and the most distant times. */
static void flow_bucket_bounds(struct kunit *test)
{
	struct bpipe_bucket bucket = { };

	KUNIT_EXPECT_EQ(test, bpipe_bucket_tokens(&bucket, 0), U64_MAX);
	KUNIT_EXPECT_EQ(test, bpipe_bucket_wait(&bucket, U64_MAX, 0), 0);
	bpipe_bucket_take(&bucket, U64_MAX, 0);
	bpipe_bucket_set(&bucket, BPIPE_RATE_MAX, BPIPE_BURST_MAX, T0);
	KUNIT_EXPECT_EQ(test, bpipe_bucket_tokens(&bucket, T0), BPIPE_BURST_MAX);
	bpipe_bucket_take(&bucket, 2 * BPIPE_BURST_MAX, T0);
	KUNIT_EXPECT_EQ(test, bpipe_bucket_tokens(&bucket, T0), 0);
	KUNIT_EXPECT_EQ(test, bpipe_bucket_wait(&bucket, 0, T0),
			DIV_ROUND_UP(BPIPE_BURST_MAX, 1000));
	KUNIT_EXPECT_EQ(test, bpipe_bucket_tokens(&bucket, U64_MAX), BPIPE_BURST_MAX);

	/* Time that goes back earns nothing; a smaller burst holds less. */
	KUNIT_EXPECT_EQ(test, bpipe_bucket_tokens(&bucket, 0), 0);
	bpipe_bucket_set(&bucket, 1, 1, U64_MAX);
	KUNIT_EXPECT_EQ(test, bpipe_bucket_tokens(&bucket, U64_MAX), 1);
}

/* Return the fill of a bucket, without overflow in intermediate results. */
static s64 ref_fill(const struct bpipe_bucket *b, u64 now)
{
	__int128 fill = b->fill, full = (__int128)b->burst * SECOND;

	if (now > b->stamp)
		fill += (__int128)(now - b->stamp) * b->rate;
	return fill < full ? fill : full;
}

#define WAITERS		6

/* A waiting writer; @needs are in its order. An admitted waiter has reserved all it needs. */
struct waiter {
	bool queued;
	bool admitted;
	struct bpipe_request req;
	struct bpipe_need need;
	struct bpipe_need reserved;
};

/* The state that a decision of the reference depends on. */
struct ref {
	const struct bpipe_flow *flow;
	struct waiter waiters[WAITERS];
	const struct waiter *self;	/* the waiter that asks; NULL for a new write */
	u64 level;
	u64 now;
};

/* Return the sum of what waiters of @class and above have reserved, except @self. */
static struct bpipe_need ref_others(const struct ref *ref, u32 class, const struct waiter *self)
{
	struct bpipe_need sum = { };
	const struct waiter *w;

	for (w = ref->waiters; w < ref->waiters + WAITERS; w++) {
		if (!w->queued || w == self || w->req.class > class)
			continue;
		sum.room += w->reserved.room;
		sum.bytes += w->reserved.bytes;
		sum.records += w->reserved.records;
		sum.credit += w->reserved.credit;
	}
	return sum;
}

static bool ref_anyone(const struct ref *ref, u32 class)
{
	const struct waiter *w;

	for (w = ref->waiters; w < ref->waiters + WAITERS; w++)
		if (w->queued && w->req.class <= class)
			return true;
	return false;
}

/*
 * Return true if @n of @there may be used: the rest is enough for others, or @n was
 * reserved.
 */
static bool ref_may(u64 there, u64 n, u64 others, u64 held)
{
	return n <= there && (n + others <= there || n <= held);
}

/* Return true if @n tokens may be used, by the same rule. */
static bool ref_tokens(const struct bpipe_bucket *b, u64 n, u64 others, u64 held, u64 now)
{
	s64 fill;

	if (!b->rate)
		return true;
	fill = ref_fill(b, now);
	return (s64)n * SECOND <= fill &&
	       ((s64)(n + others) * SECOND <= fill || n <= held);
}

/*
 * Return the tokens that come in within 5 ms, or within 50 ms up to PIPE_BUF. The result is
 * at most half a burst, and at least 1.
 */
static u64 ref_quantum(const struct bpipe_bucket *b)
{
	u64 n = 1;

	while (((n + 1) * 200 <= b->rate || ((n + 1) * 20 <= b->rate && n < PIPE_BUF)) &&
	       (n + 1) * 2 <= b->burst)
		n++;
	return n;
}

/* Return the tokens that a write needs to start. */
static u64 ref_want(const struct bpipe_bucket *b, const struct bpipe_request *r)
{
	u64 most = r->atomic ? b->burst : ref_quantum(b);

	if (!r->atomic && most > PIPE_BUF)
		most = PIPE_BUF;
	return most < r->len ? most : r->len;
}

static struct bpipe_need ref_need(const struct bpipe_flow *f, const struct bpipe_request *r)
{
	struct bpipe_need need = { .records = 1, .credit = 1 };

	need.room = r->atomic || r->len < PIPE_BUF ? r->len + f->overhead : PIPE_BUF;
	need.bytes = r->atomic ? ref_want(&f->write.bytes, r) :
				 min(r->len, ref_quantum(&f->write.bytes));
	if (r->atomic && f->credit_unit != BPIPE_CREDIT_RECORDS)
		need.credit = r->len;
	return need;
}

/* Return why the write cannot go with @freed more room; or BPIPE_GO and how many bytes can. */
static enum bpipe_verdict ref_wait_reason(const struct ref *ref, const struct bpipe_request *r,
					  u64 freed, u64 *bytes)
{
	const struct bpipe_need others = ref_others(ref, r->class, ref->self);
	const struct bpipe_need held = r->held ? *r->held : (struct bpipe_need) { };
	const struct bpipe_flow *f = ref->flow;
	u64 limit = f->limit[r->class] ?: f->size, n = r->len, room = 0;

	if (!ref_tokens(r->own, ref_want(r->own, r), 0, 0, ref->now))
		return BPIPE_WAIT_OWN;
	if (ref->self ? !ref->self->admitted :
	    ref_anyone(ref, r->class) && f->closed >> r->class & 1 && !freed)
		return BPIPE_WAIT_TURN;

	while (ref->level + room < limit + freed)
		room++;
	while (n && !ref_may(room, n + f->overhead, others.room, held.room ?: freed))
		n--;
	if (!n || (r->atomic && n < r->len))
		return BPIPE_WAIT_SPACE;
	if (r->spent)
		return BPIPE_WAIT_TOKENS;
	while (n && f->credit_unit == BPIPE_CREDIT_BYTES &&
	       !ref_may(f->credit, n, others.credit, held.credit))
		n--;
	if (!n || (r->atomic && n < r->len) ||
	    (f->credit_unit && !ref_may(f->credit, 1, others.credit, held.credit)))
		return BPIPE_WAIT_CREDIT;
	if (!ref_tokens(&f->write.bytes, ref_want(&f->write.bytes, r), others.bytes, held.bytes,
			ref->now) ||
	    !ref_tokens(&f->write.records, 1, others.records, held.records, ref->now))
		return BPIPE_WAIT_TOKENS;
	while (!r->atomic &&
	       (!ref_tokens(&f->write.bytes, n, others.bytes, held.bytes, ref->now) ||
		!ref_tokens(r->own, n, 0, 0, ref->now)))
		n--;
	*bytes = n;
	return BPIPE_GO;
}

/*
 * Return how much to evict: the least that lets the write go without using what is
 * reserved. It is at most what the write stores, plus what is above its limit.
 */
static u64 ref_evict(const struct ref *ref, const struct bpipe_request *r,
		     enum bpipe_verdict reason, u64 *bytes)
{
	u64 limit = ref->flow->limit[r->class] ?: ref->flow->size;
	u64 stores = r->len + ref->flow->overhead, freed = 0, most = stores;
	const struct bpipe_need others = ref_others(ref, r->class, NULL);

	while (ref->level + stores > limit + most)
		most++;
	if (reason == BPIPE_WAIT_TURN)
		freed = most;
	else if (reason == BPIPE_WAIT_SPACE)
		while (freed < most && ref->level + others.room + stores > limit + freed)
			freed++;
	if (!freed || freed > r->evictable || ref_wait_reason(ref, r, freed, bytes) != BPIPE_GO)
		return 0;
	return freed;
}

static enum bpipe_verdict ref_admit(const struct ref *ref, const struct bpipe_request *r,
				    u64 *bytes, u64 *evict)
{
	enum bpipe_verdict reason = ref_wait_reason(ref, r, 0, bytes);

	if (reason == BPIPE_GO)
		return BPIPE_GO;
	if (r->policy == BPIPE_POLICY_BLOCK && !r->nonblock)
		return reason;
	if (r->policy == BPIPE_POLICY_BLOCK || r->policy == BPIPE_POLICY_ERROR)
		return BPIPE_AGAIN;
	*evict = r->policy == BPIPE_POLICY_DROP_OLDEST ? ref_evict(ref, r, reason, bytes) : 0;
	return *evict ? BPIPE_EVICT : BPIPE_DROP;
}

/* Return what a waiter lacks if @ahead is reserved ahead of it. */
static enum bpipe_verdict ref_fits(const struct ref *ref, const struct waiter *w,
				   const struct bpipe_need *ahead)
{
	const struct bpipe_flow *f = ref->flow;
	u64 limit = f->limit[w->req.class] ?: f->size;

	if (ref->level + ahead->room + w->need.room > limit)
		return BPIPE_WAIT_SPACE;
	if (f->credit_unit && ahead->credit + w->need.credit > f->credit)
		return BPIPE_WAIT_CREDIT;
	return ref_tokens(&f->write.bytes, w->need.bytes, ahead->bytes, 0, ref->now) &&
	       ref_tokens(&f->write.records, 1, ahead->records, 0, ref->now) ?
	       BPIPE_GO : BPIPE_WAIT_TOKENS;
}

/* Return the tokens to wait for in a bucket, or 0. */
static u64 ref_missing(const struct bpipe_bucket *b, u64 want, u64 others, u64 held, u64 now)
{
	if (ref_tokens(b, want, others, held, now))
		return 0;
	while (want < ref_quantum(b) && others + want < b->burst)
		want++;
	return others + want;
}

/*
 * Check @wait: after it, all that lacked is there, and before, it is not. It is U64_MAX if
 * a burst cannot hold the tokens in addition to the reserved ones.
 */
static void check_wait(struct kunit *test, const struct bpipe_flow *f, u64 bytes, u64 records,
		       u64 now, u64 wait)
{
	const struct bpipe_meter *m = &f->write;

	if (bytes > m->bytes.burst || records > m->records.burst) {
		KUNIT_ASSERT_EQ(test, wait, U64_MAX);
		return;
	}
#define THERE(_when) ((!bytes || ref_tokens(&m->bytes, bytes, 0, 0, _when)) &&		\
		      (!records || ref_tokens(&m->records, records, 0, 0, _when)))
	KUNIT_ASSERT_TRUE(test, THERE(now + wait));
	if (wait)
		KUNIT_ASSERT_FALSE(test, THERE(now + wait - 1));
#undef THERE
}

static void check_tokens_wait(struct kunit *test, const struct ref *ref,
			      const struct bpipe_request *r, u64 wait)
{
	const struct bpipe_need others = ref_others(ref, r->class, ref->self);
	const struct bpipe_need held = r->held ? *r->held : (struct bpipe_need) { };
	const struct bpipe_meter *m = &ref->flow->write;

	if (r->spent) {
		KUNIT_ASSERT_EQ(test, wait, 0);
		return;
	}
	check_wait(test, ref->flow,
		   ref_missing(&m->bytes, ref_want(&m->bytes, r), others.bytes, held.bytes,
			       ref->now),
		   ref_missing(&m->records, 1, others.records, held.records, ref->now),
		   ref->now, wait);
}

static void check_own_wait(struct kunit *test, const struct ref *ref,
			   const struct bpipe_request *r, u64 wait)
{
	u64 want = ref_missing(r->own, ref_want(r->own, r), 0, 0, ref->now);

	KUNIT_ASSERT_TRUE(test, ref_tokens(r->own, want, 0, 0, ref->now + wait));
	KUNIT_ASSERT_FALSE(test, ref_tokens(r->own, want, 0, 0, ref->now + wait - 1));
}

/* Return @mark in proportion to a class's limit. */
static u64 ref_scale(const struct bpipe_flow *f, u64 mark, u64 limit)
{
	u64 n = 0;

	while ((n + 1) * f->size <= mark * limit)
		n++;
	return n;
}

/* A gate is closed while an atomic write, or one as large as the limit, has no room. */
static void check_marks(struct kunit *test, const struct bpipe_flow *f)
{
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++) {
		u64 limit = f->limit[class] ?: f->size;
		u64 high = ref_scale(f, f->high, limit), low = ref_scale(f, f->low, limit);

		if (high == low)
			high++;
		while (high > 1 && high - 1 + PIPE_BUF + f->overhead > limit)
			high--;
		while (low >= high)
			low--;
		KUNIT_ASSERT_EQ(test, f->mark[class].limit, limit);
		KUNIT_ASSERT_EQ(test, f->mark[class].high, high);
		KUNIT_ASSERT_EQ(test, f->mark[class].low, low);
	}
}

static void any_bucket(struct rnd_state *rnd, struct bpipe_bucket *b, u64 now)
{
	bpipe_bucket_set(b, below(rnd, 3) ? below(rnd, 400) : 0, 1 + below(rnd, 60), now);
}

/* Return a few bytes, or about as many as the longest atomic write. */
static u64 any_len(struct rnd_state *rnd)
{
	return below(rnd, 2) ? 1 + below(rnd, 80) : PIPE_BUF - 40 + below(rnd, 80);
}

/* Choose random settings that allow the current level. */
static void any_settings(struct rnd_state *rnd, struct bpipe_flow *f, u64 level)
{
	u32 class;

	f->size = max_t(u64, level, 2) + below(rnd, below(rnd, 2) ? 60 : 2 * PIPE_BUF);
	f->high = 1 + below(rnd, f->size);
	f->low = below(rnd, f->high);
	for (class = 0; class < BPIPE_CLASSES; class++)
		f->limit[class] = below(rnd, 2) ? 0 : 2 + below(rnd, f->size - 1);
	f->overhead = below(rnd, 2);
	f->credit_unit = below(rnd, 2) ? 0 : below(rnd, 3);
	f->credit = below(rnd, 2 * PIPE_BUF);
	bpipe_flow_set_marks(f);
}

static struct bpipe_request any_write(struct rnd_state *rnd, const struct ref *ref,
				      const struct bpipe_bucket *own)
{
	struct bpipe_request req = {
		.len = any_len(rnd), .class = below(rnd, BPIPE_CLASSES),
		.policy = below(rnd, 4), .own = own,
		.atomic = ref->flow->overhead || below(rnd, 2),
		.nonblock = below(rnd, 2), .spent = !below(rnd, 20),
	};

	req.nonblock |= req.policy != BPIPE_POLICY_BLOCK;
	req.atomic |= req.policy == BPIPE_POLICY_DROP_OLDEST;
	req.must_queue = ref_anyone(ref, req.class);
	req.evictable = below(rnd, ref->level + 1);
	return req;
}

static void reserve(struct bpipe_flow *f, struct waiter *w, struct bpipe_need to)
{
	bpipe_flow_reserve(f, w->req.class, &w->reserved, &to);
	w->reserved = to;
}

/* Let a waiter come, leave, be admitted, or lack something else. */
static void any_turn(struct kunit *test, struct rnd_state *rnd, struct bpipe_flow *f,
		     struct ref *ref, const struct bpipe_bucket *own)
{
	struct waiter *w = &ref->waiters[below(rnd, WAITERS)];

	if (!w->queued) {
		w->req = any_write(rnd, ref, own);
		w->req.policy = BPIPE_POLICY_BLOCK;
		w->req.nonblock = false;
		w->req.queued = true;
		w->need = bpipe_flow_need(f, &w->req);
		w->queued = true;
		expect_need(test, w->need, ref_need(f, &w->req));
	} else if (!below(rnd, 3)) {
		reserve(f, w, (struct bpipe_need) { });
		w->queued = false;
		w->admitted = false;
		return;
	}
	w->admitted = below(rnd, 2);
	reserve(f, w, bpipe_flow_reservation(&w->need, w->admitted ? BPIPE_GO : BPIPE_WAIT_SPACE +
					     below(rnd, BPIPE_WAIT_TURN - BPIPE_WAIT_SPACE + 1)));
}

/* Reserve again what waiters need after a change of the settings. */
static void all_again(struct bpipe_flow *f, struct ref *ref)
{
	struct waiter *w;

	for (w = ref->waiters; w < ref->waiters + WAITERS; w++) {
		if (!w->queued)
			continue;
		w->req.atomic |= f->overhead;
		w->need = bpipe_flow_need(f, &w->req);
		w->admitted = false;
		reserve(f, w, bpipe_flow_reservation(&w->need, BPIPE_WAIT_SPACE));
	}
}

/* Check that the sums are those of the waiters' reservations. */
static void check_reserved(struct kunit *test, const struct ref *ref)
{
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++) {
		const struct bpipe_need sum = ref_others(ref, class, NULL);

		KUNIT_ASSERT_MEMEQ(test, &ref->flow->reserved[class], &sum, sizeof(sum));
	}
}

static void ref_take(struct bpipe_bucket *b, u64 n, u64 now)
{
	s64 fill = ref_fill(b, now);

	if (!b->rate)
		return;
	b->fill = fill - (s64)n * SECOND;
	b->stamp = now;
}

/* Check that a write pays all buckets and the credit once. */
static void check_taken(struct kunit *test, struct bpipe_flow *f, u64 n, u64 now)
{
	struct bpipe_flow ref = *f;

	bpipe_flow_take(f, n, now);
	ref_take(&ref.write.bytes, n, now);
	ref_take(&ref.write.records, 1, now);
	if (ref.credit_unit)
		ref.credit -= ref.credit_unit == BPIPE_CREDIT_BYTES ? n : 1;
	KUNIT_ASSERT_MEMEQ(test, f, &ref, sizeof(ref));
}

/*
 * Compare bpipe_flow_fits() with the reference for a waiter; if it fits, it must be
 * admitted.
 */
static void check_fits(struct kunit *test, struct ref *ref, struct waiter *w)
{
	const struct bpipe_need ahead = ref_others(ref, w->req.class, w);
	const struct bpipe_meter *m = &ref->flow->write;
	struct bpipe_request req = w->req;
	struct bpipe_flow then = *ref->flow;
	struct bpipe_decision decision = { };
	u64 wait_ns = 0;
	enum bpipe_verdict verdict = bpipe_flow_fits(ref->flow, w->req.class, &w->need, &ahead,
						     ref->level, ref->now, &wait_ns);

	KUNIT_ASSERT_EQ(test, verdict, ref_fits(ref, w, &ahead));
	if (verdict == BPIPE_WAIT_TOKENS) {
		check_wait(test, ref->flow,
			   ref_missing(&m->bytes, w->need.bytes, ahead.bytes, 0, ref->now),
			   ref_missing(&m->records, 1, ahead.records, 0, ref->now),
			   ref->now, wait_ns);
		return;
	}
	KUNIT_ASSERT_EQ(test, wait_ns, 0);
	if (verdict != BPIPE_GO)
		return;
	bpipe_flow_reserve(&then, req.class, &w->reserved, &w->need);
	req.own = NULL;
	req.spent = false;
	req.held = &w->need;
	KUNIT_ASSERT_EQ(test, BPIPE_GO,
			bpipe_flow_admit(&then, &req, ref->level, ref->now, &decision));
}

/* Check that the window is the longest write that goes at once without a debt. */
static void check_window(struct kunit *test, struct ref *ref, const struct bpipe_request *who)
{
	const struct bpipe_need others = ref_others(ref, who->class, NULL);
	struct bpipe_request req = {
		.own = who->own, .class = who->class, .atomic = true, .nonblock = true,
		.must_queue = ref_anyone(ref, who->class),
	};
	u64 window = bpipe_flow_window(ref->flow, who, ref->level, ref->now);
	u64 n, bytes;

	ref->self = NULL;
	for (n = window; n <= window + 1; n++) {
		req.len = n;
		if (n)
			KUNIT_ASSERT_EQ(test, n == window,
					ref_tokens(&ref->flow->write.bytes, n, others.bytes, 0,
						   ref->now) &&
					ref_tokens(req.own, n, 0, 0, ref->now) &&
					ref_wait_reason(ref, &req, 0, &bytes) == BPIPE_GO);
	}
}

/* Check poll, which stands for an atomic write, or for a longer one that was refused. */
static void check_writable(struct kunit *test, struct ref *ref, const struct bpipe_request *who)
{
	const struct bpipe_need others = ref_others(ref, who->class, NULL);
	const struct bpipe_flow *f = ref->flow;
	const struct bpipe_bucket *bytes = &f->write.bytes;
	u64 limit = f->limit[who->class] ?: f->size, want, own, room;
	bool closed = f->closed >> who->class & 1, writable, there;
	struct bpipe_decision decision = { };
	struct bpipe_request req = *who;
	struct bpipe_ready ready;

	writable = bpipe_flow_writable(f, who, ref->level, ref->now, &ready);
	room = who->len > PIPE_BUF ? who->len : PIPE_BUF;
	room = room + f->overhead < limit ? room + f->overhead : limit;
	KUNIT_ASSERT_EQ(test, ready.room, room);
	if (closed) {
		KUNIT_ASSERT_EQ(test, ready.level, S64_MIN);
	} else {
		KUNIT_ASSERT_GE(test, ready.level, -1);
		KUNIT_ASSERT_TRUE(test, ready.level + 1 + room + others.room > limit);
		KUNIT_ASSERT_TRUE(test, ready.level == -1 ||
				  ready.level + room + others.room <= limit);
	}

	want = bytes->burst < PIPE_BUF ? bytes->burst : PIPE_BUF;
	own = who->own->burst < PIPE_BUF ? who->own->burst : PIPE_BUF;
	there = ref_tokens(bytes, want, others.bytes, 0, ref->now) &&
		ref_tokens(&f->write.records, 1, others.records, 0, ref->now) &&
		ref_tokens(who->own, own, 0, 0, ref->now);
	KUNIT_ASSERT_EQ(test, there, !ready.wait_ns);
	if ((bytes->rate && others.bytes + want > bytes->burst) ||
	    (f->write.records.rate && others.records + 1 > f->write.records.burst)) {
		KUNIT_ASSERT_EQ(test, ready.wait_ns, U64_MAX);
	} else if (ready.wait_ns) {
		u64 when = ref->now + ready.wait_ns;

#define THERE(_when) (ref_tokens(who->own, own, 0, 0, _when) &&				\
	ref_tokens(bytes, want, others.bytes, 0, _when) &&				\
	ref_tokens(&f->write.records, 1, others.records, 0, _when))
		KUNIT_ASSERT_TRUE(test, THERE(when));
		KUNIT_ASSERT_FALSE(test, THERE(when - 1));
#undef THERE
	}

	KUNIT_ASSERT_EQ(test, writable, !closed && ref->level + room + others.room <= limit &&
			there && (!f->credit_unit || f->credit > others.credit));
	/* If poll says yes, the write goes, unless credit is counted in bytes. */
	if (!writable || f->credit_unit == BPIPE_CREDIT_BYTES || room <= f->overhead)
		return;
	req.len = room - f->overhead;
	req.atomic = true;
	req.must_queue = ref_anyone(ref, req.class);
	KUNIT_ASSERT_EQ(test, BPIPE_GO, bpipe_flow_admit(f, &req, ref->level, ref->now, &decision));
}

/* Let writers come, wait and leave in random order; the flow keeps its state. */
static void flow_random(struct kunit *test)
{
	struct rnd_state rnd = bpipe_kunit_rnd();
	struct bpipe_flow flow = { };
	struct bpipe_bucket own = { .burst = 1 };
	struct ref ref = { .flow = &flow, .now = T0 };
	u64 written = 0, read = 0, bytes, evict;
	struct bpipe_decision decision;
	enum bpipe_verdict verdict;
	u32 class, closed = 0;
	bool pressured = false;
	int i;

	flow.write.bytes.burst = 1;
	flow.write.records.burst = 1;
	any_settings(&rnd, &flow, 0);
	for (i = 0; i < 50000; i++) {
		struct waiter *w = &ref.waiters[below(&rnd, WAITERS)];
		struct bpipe_request req = any_write(&rnd, &ref, &own);

		ref.self = NULL;
		if (w->queued && below(&rnd, 2)) {
			ref.self = w;
			req = w->req;
			req.held = w->admitted ? &w->need : NULL;
			req.must_queue = ref_anyone(&ref, req.class);
		}
		ref.now += below(&rnd, 4) ? below(&rnd, SECOND / 4) : 0;
		switch (below(&rnd, 40)) {
		case 0:
			/* A record is stored or not, but not half of it. */
			if (ref.level >= 3 * PIPE_BUF)
				ref.level = 0, read = written;
			any_settings(&rnd, &flow, ref.level);
			check_marks(test, &flow);
			all_again(&flow, &ref);
			break;
		case 1:
			any_bucket(&rnd, &flow.write.bytes, ref.now);
			any_bucket(&rnd, &flow.write.records, ref.now);
			any_bucket(&rnd, &own, ref.now);
			bpipe_flow_set_marks(&flow);
			all_again(&flow, &ref);
			break;
		case 2 ... 12:
			any_turn(test, &rnd, &flow, &ref, &own);
			break;
		case 13 ... 20:
			bytes = below(&rnd, ref.level + 1);
			ref.level -= bytes;
			read += bytes;
			break;
		case 21:
			flow.credit = min_t(u64, flow.credit + below(&rnd, 2 * PIPE_BUF),
					    BPIPE_CREDIT_MAX);
			break;
		default:
			decision = (struct bpipe_decision) { };
			verdict = bpipe_flow_admit(&flow, &req, ref.level, ref.now, &decision);
			KUNIT_ASSERT_EQ(test, verdict, ref_admit(&ref, &req, &bytes, &evict));
			if (verdict == BPIPE_EVICT) {
				KUNIT_ASSERT_EQ(test, decision.evict, evict);
				ref.level -= evict;
				read += evict;
			}
			if (verdict == BPIPE_GO || verdict == BPIPE_EVICT) {
				KUNIT_ASSERT_EQ(test, decision.bytes, bytes);
				check_taken(test, &flow, bytes, ref.now);
				bpipe_bucket_take(&own, bytes, ref.now);
				ref.level += bytes + flow.overhead;
				written += bytes + flow.overhead;
				if (ref.self) {
					reserve(&flow, w, (struct bpipe_need) { });
					w->queued = false;
					w->admitted = false;
				}
			} else if (decision.wait_reason == BPIPE_WAIT_TOKENS) {
				check_tokens_wait(test, &ref, &req, decision.wait_ns);
			} else if (decision.wait_reason == BPIPE_WAIT_OWN) {
				check_own_wait(test, &ref, &req, decision.wait_ns);
			} else if (decision.wait_reason == BPIPE_WAIT_SPACE) {
				bpipe_flow_refuse(&flow, req.class, ref.level);
				if (ref.level > flow.mark[req.class].low)
					closed |= 1U << req.class;
			}
		}
		KUNIT_ASSERT_EQ(test, written, read + ref.level);
		KUNIT_ASSERT_LE(test, ref.level, flow.size);
		check_reserved(test, &ref);

		bpipe_flow_update(&flow, ref.level);
		pressured = ref.level >= flow.high || (pressured && ref.level > flow.low);
		KUNIT_ASSERT_EQ(test, flow.pressured, pressured);
		for (class = 0; class < BPIPE_CLASSES; class++) {
			if (ref.level >= flow.mark[class].high)
				closed |= 1U << class;
			else if (ref.level <= flow.mark[class].low)
				closed &= ~(1U << class);
		}
		KUNIT_ASSERT_EQ(test, flow.closed, closed);

		if (w->queued)
			check_fits(test, &ref, w);
		req = (struct bpipe_request) {
			.len = below(&rnd, 2) ? 0 : any_len(&rnd), .class = req.class, .own = &own,
		};
		check_window(test, &ref, &req);
		check_writable(test, &ref, &req);
	}
}

static struct kunit_case flow_cases[] = {
	KUNIT_CASE(flow_admit),
	KUNIT_CASE(flow_shed_needs_room_in_channel),
	KUNIT_CASE(flow_cut_means_tokens_lack),
	KUNIT_CASE(flow_need),
	KUNIT_CASE(flow_reservation),
	KUNIT_CASE(flow_reserve),
	KUNIT_CASE(flow_fits),
	KUNIT_CASE(flow_refuse),
	KUNIT_CASE(flow_writable),
	KUNIT_CASE(flow_window),
	KUNIT_CASE(flow_deliver),
	KUNIT_CASE(flow_marks),
	KUNIT_CASE(flow_victim),
	KUNIT_CASE(flow_credit),
	KUNIT_CASE(flow_update),
	KUNIT_CASE(flow_valid),
	KUNIT_CASE(flow_default_burst),
	KUNIT_CASE(flow_bucket_bounds),
	KUNIT_CASE(flow_random),
	{ }
};

static struct kunit_suite flow_suite = {
	.name = "flow",
	.test_cases = flow_cases,
};

kunit_test_suite(flow_suite);

MODULE_DESCRIPTION("Tests of bpipe's ring and flow");
MODULE_LICENSE("GPL");
