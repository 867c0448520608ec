// SPDX-License-Identifier: GPL-2.0
/*
 * flow.c against tables, and over random histories against a reference that
 * tries numbers one by one instead of calculating.
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
MODULE_PARM_DESC(seed, "of the random histories");

/* Tokens are whole here: what is filled in, in tokens. */
#define BUCKET(_rate, _burst, _tokens) { .rate = (_rate), .burst = (_burst), \
	.fill = (s64)(_tokens) * SECOND, .stamp = T0 }
#define FULL	BUCKET(1000, 100, 100)
#define LIMITED	.limited = true, .size = 500

static const struct bpipe_bucket own_few = BUCKET(1000, 100, 30);
static const struct bpipe_bucket own_none = BUCKET(1000, 100, 0);

/*
 * Marks are not given here: those of class 0 are the channel's, and class 7 is
 * limited to a half of it.
 */
static const struct admit_row {
	const char *what;
	u64 level;
	struct bpipe_flow flow;
	struct bpipe_request req;
	enum bpipe_verdict verdict;
	u64 answer;	/* bytes, or how long to wait, or how much to evict */
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
	{ "shut gate, nobody before", 3, { .size = 10, .pressured = true, .shut = 0xff }, { 4 },
	  BPIPE_GO, 4 },

	{ "behind", 0, { .size = 10 }, { 1, .behind = true }, BPIPE_WAIT_TURN },
	{ "behind, non-blocking", 0, { .size = 10 },
	  { 1, .nonblock = true, .behind = true }, BPIPE_GO, 1 },
	{ "behind, shut", 0, { .size = 10, .shut = 1 },
	  { 1, .nonblock = true, .behind = true }, BPIPE_AGAIN },
	{ "behind, another class's gate is shut", 0, { .size = 10, .shut = 2 },
	  { 1, .nonblock = true, .behind = true }, BPIPE_GO, 1 },

	{ "leaves what is promised", 2, { .size = 10, .promised.room = 5 }, { 9 }, BPIPE_GO, 3 },
	{ "all is promised", 5, { .size = 10, .promised.room = 5 }, { 1 }, BPIPE_WAIT_SPACE },
	{ "more is promised than is", 8, { .size = 10, .promised.room = 5 }, { 1 },
	  BPIPE_WAIT_SPACE },
	{ "it was promised to this one", 2, { .size = 10, .promised.room = 5 },
	  { 9, .turn = true }, BPIPE_GO, 8 },
	{ "it was promised to one less important", 2,
	  { .size = 10, .promised = { .class = 1, .room = 5 } }, { 9 }, BPIPE_GO, 8 },
	{ "it was promised to one of the same class", 2,
	  { .size = 10, .promised = { .class = 1, .room = 5 } }, { 9, .class = 1 },
	  BPIPE_GO, 3 },

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
	{ "drop oldest: as much as it lacks", 8, { .size = 10, .overhead = 1 },
	  { 4, 8, .policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true, .nonblock = true },
	  BPIPE_EVICT, 3 },
	{ "drop oldest: just enough can go", 8, { .size = 10, .overhead = 1 },
	  { 4, 3, .policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true, .nonblock = true },
	  BPIPE_EVICT, 3 },
	{ "drop oldest: not enough can go", 8, { .size = 10, .overhead = 1 },
	  { 4, 2, .policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true, .nonblock = true },
	  BPIPE_DROP },
	{ "drop oldest: as its limit wants it", 8, { .size = 10 },
	  { 4, 8, .class = 7, .policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true,
	    .nonblock = true }, BPIPE_EVICT, 7 },
	{ "drop oldest: and what is promised", 5, { .size = 10, .promised.room = 4 },
	  { 3, 8, .policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true, .nonblock = true },
	  BPIPE_EVICT, 2 },
	{ "drop oldest: room would not help", 10,
	  { .limited = true, .size = 10, .write.records = BUCKET(1, 1, 0) },
	  { 4, 8, .policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true, .nonblock = true },
	  BPIPE_DROP },
	{ "drop oldest: others wait", 5, { .size = 10, .shut = 1 },
	  { 4, 8, .policy = BPIPE_POLICY_DROP_OLDEST, .atomic = true, .nonblock = true,
	    .behind = true }, BPIPE_DROP },

	{ "bucket full", 0, { LIMITED, .write.bytes = FULL }, { 100, .atomic = true },
	  BPIPE_GO, 100 },
	{ "over the burst, atomic: into debt", 0, { LIMITED, .write.bytes = FULL },
	  { 300, .atomic = true }, BPIPE_GO, 300 },
	{ "over the burst, split", 0, { LIMITED, .write.bytes = FULL }, { 300 }, BPIPE_GO, 100 },
	{ "room before tokens", 500, { LIMITED, .write.bytes = BUCKET(1000, 100, 0) },
	  { 1 }, BPIPE_WAIT_SPACE },
	{ "a token short", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, 39) },
	  { 40, .atomic = true }, BPIPE_WAIT_TOKENS, SECOND / 1000 },
	{ "tokens to the last", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, 40) },
	  { 40, .atomic = true }, BPIPE_GO, 40 },
	{ "empty bucket, split: half a burst", 0,
	  { LIMITED, .write.bytes = BUCKET(1000, 100, 0) },
	  { 300 }, BPIPE_WAIT_TOKENS, SECOND / 20 },
	{ "non-blocking: whatever is there", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, 7) },
	  { 300, .nonblock = true }, BPIPE_GO, 7 },
	{ "non-blocking: nothing is", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, 0) },
	  { 300, .nonblock = true }, BPIPE_AGAIN },
	{ "in debt", 0, { LIMITED, .write.bytes = BUCKET(1000, 100, -50) },
	  { 10, .atomic = true }, BPIPE_WAIT_TOKENS, 60 * SECOND / 1000 },
	{ "rounded up", 0, { LIMITED, .write.bytes = BUCKET(3, 100, 0) },
	  { 1, .atomic = true }, BPIPE_WAIT_TOKENS, SECOND / 3 + 1 },
	{ "burst of one", 0, { LIMITED, .write.bytes = BUCKET(1, 1, 1) }, { 9 }, BPIPE_GO, 1 },
	{ "leaves promised tokens", 0,
	  { LIMITED, .promised.bytes = 30, .write.bytes = BUCKET(1000, 100, 90) },
	  { 300 }, BPIPE_GO, 60 },
	{ "tokens are promised", 0,
	  { LIMITED, .promised.bytes = 30, .write.bytes = BUCKET(1000, 100, 39) },
	  { 10, .atomic = true }, BPIPE_WAIT_TOKENS, 0 },
	{ "they were promised to this one", 0,
	  { LIMITED, .promised.bytes = 30, .write.bytes = BUCKET(1000, 100, 39) },
	  { 10, .atomic = true, .turn = true }, BPIPE_GO, 10 },
	{ "no token for a record", 0, { LIMITED, .write.records = BUCKET(10, 5, 0) },
	  { 40, .atomic = true }, BPIPE_WAIT_TOKENS, SECOND / 10 },
	{ "of two waits the longer", 0,
	  { LIMITED, .write.records = BUCKET(10, 5, 0), .write.bytes = BUCKET(100, 100, 0) },
	  { 40, .atomic = true }, BPIPE_WAIT_TOKENS, SECOND * 4 / 10 },
	{ "last record's token is promised", 0,
	  { LIMITED, .promised.records = 1, .write.records = BUCKET(10, 5, 1) },
	  { 40, .atomic = true }, BPIPE_WAIT_TOKENS, 0 },

	{ "no credit", 0, { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES }, { 4 },
	  BPIPE_WAIT_CREDIT },
	{ "some credit", 0, { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 3 }, { 4 },
	  BPIPE_GO, 3 },
	{ "a byte of credit short", 0, { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 3 },
	  { 4, .atomic = true }, BPIPE_WAIT_CREDIT },
	{ "credit is promised", 0,
	  { LIMITED, .credit_unit = BPIPE_CREDIT_BYTES, .credit = 9, .promised.credit = 6 },
	  { 4, .atomic = true }, BPIPE_WAIT_CREDIT },
	{ "credit for a record", 0, { LIMITED, .credit_unit = BPIPE_CREDIT_RECORDS, .credit = 1 },
	  { 40, .atomic = true }, BPIPE_GO, 40 },
	{ "none for a record", 0, { LIMITED, .credit_unit = BPIPE_CREDIT_RECORDS },
	  { 40, .atomic = true }, BPIPE_WAIT_CREDIT },

	{ "its own tokens", 0, { .size = 500 }, { 300, .own = &own_few }, BPIPE_WAIT_OWN,
	  SECOND * 20 / 1000 },
	{ "its own tokens, non-blocking", 0, { .size = 500 },
	  { 300, .own = &own_few, .nonblock = true }, BPIPE_GO, 30 },
	{ "its own before its turn", 0, { .size = 500 },
	  { 10, .own = &own_none, .behind = true }, BPIPE_WAIT_OWN, SECOND / 100 },
};

static void plan(struct bpipe_flow *flow)
{
	flow->high = flow->size;
	flow->limit[7] = flow->size / 2;
	bpipe_flow_plan(flow);
}

static void flow_admit(struct kunit *test)
{
	const struct admit_row *row;
	enum bpipe_verdict verdict;
	struct bpipe_grant grant;
	struct bpipe_flow flow;

	for (row = admit_rows; row < admit_rows + ARRAY_SIZE(admit_rows); row++) {
		grant = (struct bpipe_grant) { };
		flow = row->flow;
		plan(&flow);
		verdict = bpipe_flow_admit(&flow, &row->req, row->level, T0, &grant);
		KUNIT_EXPECT_EQ_MSG(test, verdict, row->verdict, "%s", row->what);
		KUNIT_EXPECT_EQ_MSG(test, flow.limited, row->flow.limited, "%s", row->what);
		if (verdict == BPIPE_AGAIN || verdict == BPIPE_DROP)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, verdict == BPIPE_GO ? grant.bytes :
				    verdict == BPIPE_EVICT ? grant.evict : grant.wait_ns,
				    row->answer, "%s", row->what);
	}
}

/* Why it was dropped: for its limit alone, or also for others. */
static void flow_shed(struct kunit *test)
{
	struct bpipe_flow flow = { .size = 10, .overhead = 1 };
	struct bpipe_request req = {
		.len = 2, .class = 7, .atomic = true, .nonblock = true,
		.policy = BPIPE_POLICY_DROP_NEWEST,
	};
	struct bpipe_grant grant = { };

	plan(&flow);
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 2, T0, &grant), BPIPE_GO);
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 3, T0, &grant), BPIPE_DROP);
	KUNIT_EXPECT_TRUE(test, grant.shed);
	KUNIT_EXPECT_EQ(test, grant.lack, BPIPE_WAIT_SPACE);
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 7, T0, &grant), BPIPE_DROP);
	KUNIT_EXPECT_TRUE(test, grant.shed);
	KUNIT_EXPECT_EQ(test, bpipe_flow_admit(&flow, &req, 8, T0, &grant), BPIPE_DROP);
	KUNIT_EXPECT_FALSE(test, grant.shed);
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
	{ "less is asked for", { .bytes = BUCKET(1000, 100, 49) }, { 49 }, BPIPE_GO, 49 },
	{ "non-blocking: any", { .bytes = BUCKET(1000, 100, 1) }, { 300, .nonblock = true },
	  BPIPE_GO, 1 },
	{ "non-blocking: none", { .bytes = BUCKET(1000, 100, 0) }, { 300, .nonblock = true },
	  BPIPE_WAIT_TOKENS, SECOND / 1000 },
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
	struct bpipe_grant grant;

	for (row = deliver_rows; row < deliver_rows + ARRAY_SIZE(deliver_rows); row++) {
		struct bpipe_flow flow = { .read = row->read };

		grant = (struct bpipe_grant) { };
		KUNIT_EXPECT_EQ_MSG(test, bpipe_flow_deliver(&flow, &row->req, T0, &grant),
				    row->verdict, "%s", row->what);
		KUNIT_EXPECT_EQ_MSG(test, row->verdict == BPIPE_GO ? grant.bytes : grant.wait_ns,
				    row->answer, "%s", row->what);
	}
}

static const struct update_row {
	u64 level;
	bool pressured;		/* before */
	u32 shut;
	unsigned int changed;
	bool pressured_after;
	u32 shut_after;
} update_rows[] = {	/* low 3, high 7; class 7: 1 and 3 */
	{ 0, false, 0, 0, false, 0 },
	{ 2, false, 0, 0, false, 0 },
	{ 3, false, 0, 0, false, 0x80 },
	{ 6, false, 0, 0, false, 0x80 },
	{ 7, false, 0, BPIPE_FLOW_ROSE, true, 0xff },
	{ 10, false, 0x81, BPIPE_FLOW_ROSE, true, 0xff },
	{ 7, true, 0xff, 0, true, 0xff },
	{ 4, true, 0xff, 0, true, 0xff },
	{ 4, false, 0x01, 0, false, 0x81 },
	{ 3, true, 0xff, BPIPE_FLOW_FELL | BPIPE_FLOW_OPENED, false, 0x80 },
	{ 3, false, 0x81, BPIPE_FLOW_OPENED, false, 0x80 },
	{ 2, false, 0x80, 0, false, 0x80 },
	{ 1, false, 0x80, BPIPE_FLOW_OPENED, false, 0 },
	{ 0, true, 0xff, BPIPE_FLOW_FELL | BPIPE_FLOW_OPENED, false, 0 },
};

static void flow_update(struct kunit *test)
{
	const struct update_row *row;

	for (row = update_rows; row < update_rows + ARRAY_SIZE(update_rows); row++) {
		struct bpipe_flow flow = {
			.size = 10, .high = 7, .low = 3, .limit[7] = 5,
			.pressured = row->pressured, .shut = row->shut,
		};
		int n = row - update_rows;
		u64 up, level;

		bpipe_flow_plan(&flow);
		KUNIT_EXPECT_EQ_MSG(test, bpipe_flow_update(&flow, row->level), row->changed,
				    "row %d", n);
		KUNIT_EXPECT_EQ_MSG(test, flow.pressured, row->pressured_after, "row %d", n);
		KUNIT_EXPECT_EQ_MSG(test, flow.shut, row->shut_after, "row %d", n);

		/* Where it says that something changes next, it does, and not before. */
		up = bpipe_flow_next_up(&flow);
		for (level = row->level + 1; level <= 10; level++) {
			struct bpipe_flow then = flow;

			bpipe_flow_update(&then, level);
			KUNIT_EXPECT_EQ_MSG(test, level >= up,
					    then.shut != flow.shut ||
					    then.pressured != flow.pressured,
					    "row %d, level %llu", n, level);
		}
		for (level = 0; level < row->level; level++) {
			struct bpipe_flow then = flow;

			bpipe_flow_update(&then, level);
			KUNIT_EXPECT_EQ_MSG(test, (s64)level <= bpipe_flow_next_down(&flow),
					    then.shut != flow.shut ||
					    then.pressured != flow.pressured,
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

	bpipe_flow_plan(&flow);
	KUNIT_EXPECT_EQ(test, flow.mark[0].limit, BPIPE_SIZE_MAX);
	KUNIT_EXPECT_EQ(test, flow.mark[1].high, BPIPE_SIZE_MAX);
	KUNIT_EXPECT_EQ(test, flow.mark[1].low, BPIPE_SIZE_MAX - 1);
	KUNIT_EXPECT_EQ(test, flow.mark[2].high, BPIPE_SIZE_MAX / 2);
	KUNIT_EXPECT_EQ(test, flow.mark[2].low, BPIPE_SIZE_MAX / 2 - 1);
	KUNIT_EXPECT_EQ(test, flow.mark[3].limit, BPIPE_SIZE_MIN);
	KUNIT_EXPECT_EQ(test, flow.mark[3].high, BPIPE_SIZE_MIN);
	KUNIT_EXPECT_EQ(test, flow.mark[3].low, BPIPE_SIZE_MIN - 1);
	KUNIT_EXPECT_EQ(test, bpipe_flow_largest(&flow, 3), BPIPE_SIZE_MIN - 32);
	flow.high = 1;
	flow.low = 0;
	bpipe_flow_plan(&flow);
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

/* Settings as large as they may be, and times as far apart. */
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

	/* Time that goes back is no time; a smaller burst holds less. */
	KUNIT_EXPECT_EQ(test, bpipe_bucket_tokens(&bucket, 0), 0);
	bpipe_bucket_set(&bucket, 1, 1, U64_MAX);
	KUNIT_EXPECT_EQ(test, bpipe_bucket_tokens(&bucket, U64_MAX), 1);
}

/* What the bucket holds, with room for whatever comes out in between. */
static s64 ref_fill(const struct bpipe_bucket *b, u64 now)
{
	__int128 fill = b->fill, full = (__int128)b->burst * SECOND;

	if (now > b->stamp)
		fill += (__int128)(now - b->stamp) * b->rate;
	return fill < full ? fill : full;
}

/* What a request must leave to the first of those that wait. */
static struct bpipe_promise ref_kept(const struct bpipe_flow *f, const struct bpipe_request *r)
{
	bool mine = r->turn || f->promised.class > r->class;

	return mine ? (struct bpipe_promise) { } : f->promised;
}

/* Is it a grant of @n bytes that the room allows, with @freed more of it? */
static bool ref_room(const struct bpipe_flow *f, const struct bpipe_request *r, u64 level, u64 n,
		     u64 freed)
{
	u64 limit = f->limit[r->class] ?: f->size;

	return level + n + f->overhead + ref_kept(f, r).room <= limit + freed;
}

static bool ref_tokens(const struct bpipe_bucket *b, u64 n, u64 now)
{
	return !b->rate || (__int128)n * SECOND <= ref_fill(b, now);
}

/* The tokens it takes for a write to be worth starting. */
static u64 ref_want(const struct bpipe_bucket *b, const struct bpipe_request *r)
{
	u64 want = r->nonblock ? 1 : b->burst / 2 ?: 1;

	if (r->atomic)
		want = b->burst;
	return want < r->len ? want : r->len;
}

/* What stands in the way of it, with @freed more room; or how many bytes may go. */
static enum bpipe_verdict ref_lack(const struct bpipe_flow *f, const struct bpipe_request *r,
				   u64 level, u64 freed, u64 now, u64 *bytes)
{
	const struct bpipe_promise kept = ref_kept(f, r);
	u64 n = r->len;

	if (!ref_tokens(r->own, ref_want(r->own, r), now))
		return BPIPE_WAIT_OWN;
	if (r->behind && !(r->nonblock && !(f->shut >> r->class & 1)))
		return BPIPE_WAIT_TURN;
	while (n && !ref_room(f, r, level, n, freed))
		n--;
	if (!n || (r->atomic && n < r->len))
		return BPIPE_WAIT_SPACE;
	while (n && f->credit_unit == BPIPE_CREDIT_BYTES && n + kept.credit > f->credit)
		n--;
	if (!n || (r->atomic && n < r->len) ||
	    (f->credit_unit == BPIPE_CREDIT_RECORDS && f->credit <= kept.credit))
		return BPIPE_WAIT_CREDIT;
	if (!ref_tokens(&f->write.bytes, ref_want(&f->write.bytes, r) + kept.bytes, now) ||
	    !ref_tokens(&f->write.records, 1 + kept.records, now))
		return BPIPE_WAIT_TOKENS;
	while (!r->atomic && (!ref_tokens(&f->write.bytes, n + kept.bytes, now) ||
			      !ref_tokens(r->own, n, now)))
		n--;
	*bytes = n;
	return BPIPE_GO;
}

static enum bpipe_verdict ref_admit(const struct bpipe_flow *f, const struct bpipe_request *r,
				    u64 level, u64 now, u64 *bytes, u64 *evict)
{
	enum bpipe_verdict lack = ref_lack(f, r, level, 0, now, bytes);

	if (lack == BPIPE_GO)
		return BPIPE_GO;
	if (r->policy == BPIPE_POLICY_BLOCK && !r->nonblock)
		return lack;
	if (r->policy == BPIPE_POLICY_BLOCK || r->policy == BPIPE_POLICY_ERROR)
		return BPIPE_AGAIN;
	if (r->policy == BPIPE_POLICY_DROP_OLDEST && lack == BPIPE_WAIT_SPACE)
		for (*evict = 1; *evict <= r->evictable; ++*evict)
			if (ref_lack(f, r, level, *evict, now, bytes) == BPIPE_GO)
				return BPIPE_EVICT;
	return BPIPE_DROP;
}

/* No earlier, no later: at @now + @wait the tokens are there, before they are not. */
static void check_wait(struct kunit *test, const struct bpipe_bucket *b, u64 tokens, u64 now,
		       u64 wait)
{
	KUNIT_ASSERT_TRUE(test, ref_tokens(b, tokens, now + wait));
	if (wait)
		KUNIT_ASSERT_FALSE(test, ref_tokens(b, tokens, now + wait - 1));
}

/* Both are there after @wait, and one of them is not before. */
static void check_waits(struct kunit *test, const struct bpipe_flow *f,
			const struct bpipe_request *r, u64 now, u64 wait)
{
	u64 want = ref_want(&f->write.bytes, r);

	KUNIT_ASSERT_TRUE(test, ref_tokens(&f->write.bytes, want, now + wait) &&
				ref_tokens(&f->write.records, 1, now + wait));
	if (wait)
		KUNIT_ASSERT_FALSE(test, ref_tokens(&f->write.bytes, want, now + wait - 1) &&
					 ref_tokens(&f->write.records, 1, now + wait - 1));
}

static void any_bucket(struct rnd_state *rnd, struct bpipe_bucket *b, u64 now)
{
	bpipe_bucket_set(b, below(rnd, 3) ? below(rnd, 100) : 0, 1 + below(rnd, 60), now);
}

/* Settings, for what is held now. */
static void any_settings(struct rnd_state *rnd, struct bpipe_flow *f, u64 level)
{
	u32 class;

	f->size = max_t(u64, level, 2) + below(rnd, 60);
	f->high = 1 + below(rnd, f->size);
	f->low = below(rnd, f->high);
	for (class = 0; class < BPIPE_CLASSES; class++)
		f->limit[class] = below(rnd, 2) ? 0 : 2 + below(rnd, f->size - 1);
	f->overhead = below(rnd, 2);
	f->credit_unit = below(rnd, 2) ? 0 : below(rnd, 3);
	f->credit = below(rnd, 200);
	f->promised = (struct bpipe_promise) { };
	bpipe_flow_plan(f);
}

static struct bpipe_request any_write(struct rnd_state *rnd, const struct bpipe_flow *f,
				      const struct bpipe_bucket *own, u64 level)
{
	struct bpipe_request req = {
		.len = 1 + below(rnd, 80), .class = below(rnd, BPIPE_CLASSES),
		.policy = below(rnd, 4), .own = own, .atomic = f->overhead || below(rnd, 2),
		.nonblock = below(rnd, 2), .turn = below(rnd, 2),
	};

	req.nonblock |= req.policy != BPIPE_POLICY_BLOCK;
	req.atomic |= req.policy == BPIPE_POLICY_DROP_OLDEST;
	req.behind = !req.turn && !below(rnd, 3);
	req.evictable = below(rnd, level + 1);
	return req;
}

static void ref_take(struct bpipe_bucket *b, u64 n, u64 now)
{
	s64 fill = ref_fill(b, now);

	if (!b->rate)
		return;
	b->fill = fill - (s64)n * SECOND;
	b->stamp = now;
}

/* It is paid for everywhere, and once. */
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

/* Some writer or other, with the flow as they left it. */
static void flow_random(struct kunit *test)
{
	struct rnd_state rnd = bpipe_kunit_rnd();
	struct bpipe_flow flow = { };
	struct bpipe_bucket own = { .burst = 1 };
	u64 level = 0, now = T0, written = 0, read = 0, bytes, evict, wait_ns;
	struct bpipe_grant grant;
	enum bpipe_verdict verdict;
	u32 class, shut = 0;
	bool pressured = false;
	int i;

	flow.write.bytes.burst = 1;
	flow.write.records.burst = 1;
	any_settings(&rnd, &flow, 0);
	for (i = 0; i < 100000; i++) {
		struct bpipe_request req = any_write(&rnd, &flow, &own, level);

		now += below(&rnd, 4) ? below(&rnd, 2 * SECOND) : 0;
		switch (below(&rnd, 40)) {
		case 0:
			/* What a record takes is held or not, but not half. */
			if (level < 1000)
				any_settings(&rnd, &flow, level);
			else
				level = 0, read = written;
			break;
		case 1:
			any_bucket(&rnd, &flow.write.bytes, now);
			any_bucket(&rnd, &flow.write.records, now);
			any_bucket(&rnd, &own, now);
			bpipe_flow_plan(&flow);
			break;
		case 2 ... 5:
			bpipe_flow_keep(&flow, below(&rnd, 2) ? (struct bpipe_promise) { } :
					bpipe_flow_promise(&flow, &req));
			break;
		case 6 ... 20:
			bytes = below(&rnd, level + 1);
			level -= bytes;
			read += bytes;
			break;
		default:
			grant = (struct bpipe_grant) { };
			verdict = bpipe_flow_admit(&flow, &req, level, now, &grant);
			KUNIT_ASSERT_EQ(test, verdict,
					ref_admit(&flow, &req, level, now, &bytes, &evict));
			if (verdict == BPIPE_EVICT) {
				KUNIT_ASSERT_EQ(test, grant.evict, evict);
				level -= evict;
				read += evict;
			}
			if (verdict == BPIPE_GO || verdict == BPIPE_EVICT) {
				KUNIT_ASSERT_EQ(test, grant.bytes, bytes);
				check_taken(test, &flow, bytes, now);
				bpipe_bucket_take(&own, bytes, now);
				level += bytes + flow.overhead;
				written += bytes + flow.overhead;
			} else if (grant.lack == BPIPE_WAIT_TOKENS) {
				check_waits(test, &flow, &req, now, grant.wait_ns);
			} else if (grant.lack == BPIPE_WAIT_OWN) {
				check_wait(test, &own, ref_want(&own, &req), now, grant.wait_ns);
			} else if (grant.lack == BPIPE_WAIT_SPACE) {
				bpipe_flow_refuse(&flow, req.class);
				shut |= 1U << req.class;
			}
		}
		KUNIT_ASSERT_EQ(test, written, read + level);
		KUNIT_ASSERT_LE(test, level, flow.size);

		bpipe_flow_update(&flow, level);
		pressured = level >= flow.high || (pressured && level > flow.low);
		KUNIT_ASSERT_EQ(test, flow.pressured, pressured);
		for (class = 0; class < BPIPE_CLASSES; class++) {
			if (level >= flow.mark[class].high)
				shut |= 1U << class;
			else if (level <= flow.mark[class].low)
				shut &= ~(1U << class);
		}
		KUNIT_ASSERT_EQ(test, flow.shut, shut);

		/* The window is what a writer who takes what it can get would get. */
		req = (struct bpipe_request) {
			.len = flow.size, .class = req.class, .own = &own, .nonblock = true,
			.behind = flow.promised.room && flow.promised.class <= req.class,
		};
		bytes = 0;
		ref_admit(&flow, &req, level, now, &bytes, &evict);
		KUNIT_ASSERT_EQ(test, bpipe_flow_window(&flow, &req, level, now), bytes);

		KUNIT_ASSERT_EQ(test, bpipe_flow_writable(&flow, &req, now, &wait_ns),
				!(shut >> req.class & 1) && !wait_ns &&
				(!flow.credit_unit || flow.credit > ref_kept(&flow, &req).credit));
		if (wait_ns && wait_ns != U64_MAX) {
			struct bpipe_promise kept = ref_kept(&flow, &req);

			/* After it, a burst is there of each kind; before, not of each. */
#define THERE(_when) (ref_tokens(&own, own.burst, _when) &&			\
	ref_tokens(&flow.write.bytes, kept.bytes + flow.write.bytes.burst, _when) &&	\
	ref_tokens(&flow.write.records, kept.records + 1, _when))
			KUNIT_ASSERT_TRUE(test, THERE(now + wait_ns));
			KUNIT_ASSERT_FALSE(test, THERE(now + wait_ns - 1));
#undef THERE
		}
	}
}

static struct kunit_case flow_cases[] = {
	KUNIT_CASE(flow_admit),
	KUNIT_CASE(flow_shed),
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
