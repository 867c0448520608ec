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

/* Tokens are whole here: credit in bytes. */
#define BUCKET(_rate, _burst, _bytes) { .rate = (_rate), .burst = (_burst), \
	.credit = (s64)(_bytes) * SECOND, .stamp = T0 }
#define FULL	BUCKET(1000, 100, 100)

static const struct admit_row {
	const char *what;
	u64 level;
	struct bpipe_flow flow;
	struct bpipe_request req;
	enum bpipe_verdict verdict;
	u64 answer;	/* bytes, or how long to wait */
} admit_rows[] = {
	{ "empty", 0, { .size = 10 }, { 4, true }, BPIPE_GO, 4 },
	{ "fits exactly", 6, { .size = 10 }, { 4, true }, BPIPE_GO, 4 },
	{ "one too many, atomic", 7, { .size = 10 }, { 4, true }, BPIPE_WAIT_SPACE },
	{ "one too many, split", 7, { .size = 10 }, { 4 }, BPIPE_GO, 3 },
	{ "last byte", 9, { .size = 10 }, { 4 }, BPIPE_GO, 1 },
	{ "full", 10, { .size = 10 }, { 1 }, BPIPE_WAIT_SPACE },
	{ "full, non-blocking", 10, { .size = 10 }, { 1, .nonblock = true }, BPIPE_WAIT_SPACE },
	{ "largest request", 3, { .size = 10 }, { U64_MAX }, BPIPE_GO, 7 },
	{ "largest atomic", 0, { .size = 10 }, { U64_MAX, true }, BPIPE_WAIT_SPACE },
	{ "shut gate, nobody before", 3, { .size = 10, .pressured = true }, { 4 }, BPIPE_GO, 4 },

	{ "behind", 0, { .size = 10 }, { 1, .behind = true }, BPIPE_WAIT_TURN },
	{ "behind, non-blocking", 0, { .size = 10 },
	  { 1, .nonblock = true, .behind = true }, BPIPE_GO, 1 },
	{ "behind, pressured", 0, { .size = 10, .pressured = true },
	  { 1, .nonblock = true, .behind = true }, BPIPE_WAIT_TURN },
	{ "behind, refused", 0, { .size = 10, .refused = true },
	  { 1, .nonblock = true, .behind = true }, BPIPE_WAIT_TURN },

	{ "leaves what is promised", 2, { .size = 10, .promised.room = 5 }, { 9 }, BPIPE_GO, 3 },
	{ "all is promised", 5, { .size = 10, .promised.room = 5 }, { 1 }, BPIPE_WAIT_SPACE },
	{ "more is promised than is", 8, { .size = 10, .promised.room = 5 }, { 1 },
	  BPIPE_WAIT_SPACE },
	{ "it was promised to this one", 2, { .size = 10, .promised.room = 5 },
	  { 9, .turn = true }, BPIPE_GO, 8 },

	{ "bucket full", 0, { .size = 500, .bucket = FULL }, { 100, true }, BPIPE_GO, 100 },
	{ "over the burst, atomic: into debt", 0, { .size = 500, .bucket = FULL },
	  { 300, true }, BPIPE_GO, 300 },
	{ "over the burst, split", 0, { .size = 500, .bucket = FULL }, { 300 }, BPIPE_GO, 100 },
	{ "room before tokens", 500, { .size = 500, .bucket = BUCKET(1000, 100, 0) },
	  { 1 }, BPIPE_WAIT_SPACE },
	{ "a token short", 0, { .size = 500, .bucket = BUCKET(1000, 100, 39) },
	  { 40, true }, BPIPE_WAIT_TOKENS, SECOND / 1000 },
	{ "tokens to the last", 0, { .size = 500, .bucket = BUCKET(1000, 100, 40) },
	  { 40, true }, BPIPE_GO, 40 },
	{ "empty bucket, split: half a burst", 0, { .size = 500, .bucket = BUCKET(1000, 100, 0) },
	  { 300 }, BPIPE_WAIT_TOKENS, SECOND / 20 },
	{ "non-blocking: whatever is there", 0, { .size = 500, .bucket = BUCKET(1000, 100, 7) },
	  { 300, .nonblock = true }, BPIPE_GO, 7 },
	{ "non-blocking: nothing is", 0, { .size = 500, .bucket = BUCKET(1000, 100, 0) },
	  { 300, .nonblock = true }, BPIPE_WAIT_TOKENS, SECOND / 1000 },
	{ "in debt", 0, { .size = 500, .bucket = BUCKET(1000, 100, -50) },
	  { 10, true }, BPIPE_WAIT_TOKENS, 60 * SECOND / 1000 },
	{ "rounded up", 0, { .size = 500, .bucket = BUCKET(3, 100, 0) },
	  { 1, true }, BPIPE_WAIT_TOKENS, SECOND / 3 + 1 },
	{ "burst of one", 0, { .size = 500, .bucket = BUCKET(1, 1, 1) }, { 9 }, BPIPE_GO, 1 },
	{ "leaves promised tokens", 0,
	  { .size = 500, .promised.tokens = 30, .bucket = BUCKET(1000, 100, 90) },
	  { 300 }, BPIPE_GO, 60 },
	{ "tokens are promised", 0,
	  { .size = 500, .promised.tokens = 30, .bucket = BUCKET(1000, 100, 39) },
	  { 10, true }, BPIPE_WAIT_TOKENS, 0 },
	{ "they were promised to this one", 0,
	  { .size = 500, .promised.tokens = 30, .bucket = BUCKET(1000, 100, 39) },
	  { 10, true, .turn = true }, BPIPE_GO, 10 },
};

static void flow_admit(struct kunit *test)
{
	const struct admit_row *row;
	struct bpipe_grant grant;

	for (row = admit_rows; row < admit_rows + ARRAY_SIZE(admit_rows); row++) {
		grant = (struct bpipe_grant) { };
		KUNIT_EXPECT_EQ_MSG(test, bpipe_flow_admit(&row->flow, &row->req, row->level, T0,
							   &grant), row->verdict, "%s", row->what);
		KUNIT_EXPECT_EQ_MSG(test, row->verdict == BPIPE_GO ? grant.bytes : grant.wait_ns,
				    row->answer, "%s", row->what);
	}
}

static const struct update_row {
	u64 level;
	bool pressured, refused;	/* before */
	unsigned int changed;
	bool pressured_after, refused_after;
} update_rows[] = {	/* low 3, high 7 */
	{ 0, false, false, 0, false, false },
	{ 6, false, false, 0, false, false },
	{ 7, false, false, BPIPE_FLOW_ROSE, true, false },
	{ 10, false, true, BPIPE_FLOW_ROSE, true, true },
	{ 7, true, false, 0, true, false },
	{ 4, true, false, 0, true, false },
	{ 4, true, true, 0, true, true },
	{ 4, false, true, 0, false, true },
	{ 3, true, false, BPIPE_FLOW_FELL | BPIPE_FLOW_OPENED, false, false },
	{ 3, true, true, BPIPE_FLOW_FELL | BPIPE_FLOW_OPENED, false, false },
	{ 3, false, true, BPIPE_FLOW_OPENED, false, false },
	{ 0, true, false, BPIPE_FLOW_FELL | BPIPE_FLOW_OPENED, false, false },
};

static void flow_update(struct kunit *test)
{
	const struct update_row *row;

	for (row = update_rows; row < update_rows + ARRAY_SIZE(update_rows); row++) {
		struct bpipe_flow flow = {
			.size = 10, .high = 7, .low = 3,
			.pressured = row->pressured, .refused = row->refused,
		};
		int n = row - update_rows;

		KUNIT_EXPECT_EQ_MSG(test, bpipe_flow_update(&flow, row->level), row->changed,
				    "row %d", n);
		KUNIT_EXPECT_EQ_MSG(test, flow.pressured, row->pressured_after, "row %d", n);
		KUNIT_EXPECT_EQ_MSG(test, flow.refused, row->refused_after, "row %d", n);
	}
}

static void flow_valid(struct kunit *test)
{
	const struct bpipe_flow good = { .size = 4096, .high = 4096, .bucket.burst = 1 };
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
	VALID(true, flow.bucket.rate = BPIPE_RATE_MAX);
	VALID(false, flow.bucket.rate = BPIPE_RATE_MAX + 1);
	VALID(true, flow.bucket.burst = BPIPE_BURST_MAX);
	VALID(false, flow.bucket.burst = BPIPE_BURST_MAX + 1);
	VALID(false, flow.bucket.burst = 0);
#undef VALID
}

static void flow_default_burst(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, bpipe_flow_default_burst(0), 8192);
	KUNIT_EXPECT_EQ(test, bpipe_flow_default_burst(81929), 8192);
	KUNIT_EXPECT_EQ(test, bpipe_flow_default_burst(81930), 8193);
	KUNIT_EXPECT_EQ(test, bpipe_flow_default_burst(BPIPE_RATE_MAX), BPIPE_BURST_MAX);
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
static s64 ref_credit(const struct bpipe_bucket *b, u64 now)
{
	__int128 credit = b->credit, full = (__int128)b->burst * SECOND;

	if (now > b->stamp)
		credit += (__int128)(now - b->stamp) * b->rate;
	return credit < full ? credit : full;
}

/* Is it a grant of @n bytes that room and tokens allow? */
static bool ref_room(const struct bpipe_flow *f, const struct bpipe_request *r, u64 level, u64 n)
{
	return level + n + (r->turn ? 0 : f->promised.room) <= f->size;
}

static bool ref_tokens(const struct bpipe_flow *f, const struct bpipe_request *r, u64 n, u64 now)
{
	return !f->bucket.rate ||
	       (__int128)(n + (r->turn ? 0 : f->promised.tokens)) * SECOND <=
	       ref_credit(&f->bucket, now);
}

/* The tokens it takes for a write to be worth starting. */
static u64 ref_want(const struct bpipe_flow *f, const struct bpipe_request *r)
{
	u64 want = r->nonblock ? 1 : f->bucket.burst / 2 ?: 1;

	if (r->atomic)
		want = f->bucket.burst;
	return want < r->len ? want : r->len;
}

static enum bpipe_verdict ref_admit(const struct bpipe_flow *f, const struct bpipe_request *r,
				    u64 level, u64 now, u64 *bytes)
{
	u64 n = r->len;

	if (r->behind && !(r->nonblock && !f->pressured && !f->refused))
		return BPIPE_WAIT_TURN;
	while (n && !ref_room(f, r, level, n))
		n--;
	if (!n || (r->atomic && n < r->len))
		return BPIPE_WAIT_SPACE;
	if (!ref_tokens(f, r, ref_want(f, r), now))
		return BPIPE_WAIT_TOKENS;
	while (!r->atomic && !ref_tokens(f, r, n, now))
		n--;
	*bytes = n;
	return BPIPE_GO;
}

/* No earlier, no later: at @now + @wait the tokens are there, before they are not. */
static void check_wait(struct kunit *test, const struct bpipe_bucket *b, u64 tokens, u64 now,
		       u64 wait)
{
	__int128 needed = (__int128)tokens * SECOND;

	KUNIT_ASSERT_TRUE(test, ref_credit(b, now + wait) >= needed);
	if (wait)
		KUNIT_ASSERT_TRUE(test, ref_credit(b, now + wait - 1) < needed);
}

/* Some writer or other, with the flow as they left it. */
static void flow_random(struct kunit *test)
{
	struct rnd_state rnd = bpipe_kunit_rnd();
	struct bpipe_flow flow = { .size = 50, .high = 40, .low = 10, .bucket.burst = 1 };
	u64 level = 0, now = T0, written = 0, read = 0, bytes, wait_ns, tokens;
	bool pressured = false, refused = false;
	struct bpipe_grant grant;
	enum bpipe_verdict verdict;
	int i;

	for (i = 0; i < 100000; i++) {
		struct bpipe_request req = {
			.len = 1 + below(&rnd, 80), .atomic = below(&rnd, 2),
			.nonblock = below(&rnd, 2), .turn = below(&rnd, 2),
		};

		now += below(&rnd, 4) ? below(&rnd, 2 * SECOND) : 0;
		req.behind = !req.turn && !below(&rnd, 3);
		switch (below(&rnd, 40)) {
		case 0:
			flow.size = max_t(u64, level, 2) + below(&rnd, 60);
			flow.high = 1 + below(&rnd, flow.size);
			flow.low = below(&rnd, flow.high);
			break;
		case 1:
			bpipe_bucket_set(&flow.bucket, below(&rnd, 3) ? below(&rnd, 100) : 0,
					 1 + below(&rnd, 60), now);
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
			verdict = bpipe_flow_admit(&flow, &req, level, now, &grant);
			KUNIT_ASSERT_EQ(test, verdict, ref_admit(&flow, &req, level, now, &bytes));
			if (verdict == BPIPE_GO) {
				KUNIT_ASSERT_EQ(test, grant.bytes, bytes);
				bpipe_bucket_take(&flow.bucket, bytes, now);
				level += bytes;
				written += bytes;
			} else if (verdict == BPIPE_WAIT_TOKENS) {
				check_wait(test, &flow.bucket, ref_want(&flow, &req), now,
					   grant.wait_ns);
			} else if (verdict == BPIPE_WAIT_SPACE) {
				bpipe_flow_refuse(&flow);
				refused = true;
			}
		}
		KUNIT_ASSERT_EQ(test, written, read + level);
		KUNIT_ASSERT_LE(test, level, flow.size);

		bpipe_flow_update(&flow, level);
		pressured = level >= flow.high || (pressured && level > flow.low);
		refused = refused && level > flow.low;
		KUNIT_ASSERT_EQ(test, flow.pressured, pressured);
		KUNIT_ASSERT_EQ(test, flow.refused, refused);

		/* The window is what a writer who takes what it can get would get. */
		req = (struct bpipe_request) {
			.len = flow.size, .nonblock = true,
			.behind = flow.promised.room,
		};
		bytes = 0;
		ref_admit(&flow, &req, level, now, &bytes);
		KUNIT_ASSERT_EQ(test, bpipe_flow_window(&flow, level, now), bytes);

		tokens = flow.promised.tokens + flow.bucket.burst;
		KUNIT_ASSERT_EQ(test, bpipe_flow_writable(&flow, now, &wait_ns),
				!pressured && !refused && !wait_ns);
		if (!flow.bucket.rate)
			KUNIT_ASSERT_EQ(test, wait_ns, 0);
		else if (flow.promised.tokens)
			KUNIT_ASSERT_EQ(test, wait_ns, U64_MAX);
		else
			check_wait(test, &flow.bucket, tokens, now, wait_ns);
	}
}

static struct kunit_case flow_cases[] = {
	KUNIT_CASE(flow_admit),
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
