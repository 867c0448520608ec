// SPDX-License-Identifier: GPL-2.0
/*
 * Test sojourn.c: when CoDel's control law drops, in a history whose drops were computed by
 * hand.
 */

#include <linux/limits.h>
#include <linux/module.h>

#include "kunit.h"
#include "sojourn.h"
#include "uapi/linux/bpipe.h"

#define US		1000ULL
#define TARGET		(100 * US)	/* the interval is a millisecond */
#define T0		(5000000 * US)
#define LONG		(TARGET + 1)

static bool drops(struct bpipe_sojourn *s, u64 at_us, u64 waited)
{
	return bpipe_sojourn_drop(s, TARGET, waited, false, T0 + at_us * US);
}

/* Drop after an interval, and then after 1, 1/sqrt(2), 1/sqrt(3), 1/2 of one. */
static void sojourn_follows_control_law(struct kunit *test)
{
	static const u64 due[] = { 1000, 2000, 2708, 3285, 3785 };
	struct bpipe_sojourn s = { };
	size_t i = 0;
	u64 at;

	for (at = 0; at < 4000; at++) {
		bool dropped = drops(&s, at, LONG);

		KUNIT_ASSERT_EQ(test, dropped, i < ARRAY_SIZE(due) && at == due[i]);
		i += dropped;
	}
	KUNIT_EXPECT_EQ(test, i, ARRAY_SIZE(due));
}

static void sojourn_good_enough(struct kunit *test)
{
	struct bpipe_sojourn s = { };
	u64 at;

	for (at = 0; at < 10000; at++)
		KUNIT_ASSERT_FALSE(test, drops(&s, at, TARGET - 1));
	/*
	 * A sojourn time at the target is too long; one below the target restarts the
	 * interval.
	 */
	for (at = 10000; at < 11000; at++)
		KUNIT_ASSERT_FALSE(test, drops(&s, at, TARGET));
	KUNIT_EXPECT_FALSE(test, drops(&s, 11000, TARGET - 1));
	for (at = 11001; at < 12001; at++)
		KUNIT_ASSERT_FALSE(test, drops(&s, at, TARGET));
	KUNIT_EXPECT_TRUE(test, drops(&s, 12001, TARGET));
}

static void sojourn_spares_last_record(struct kunit *test)
{
	struct bpipe_sojourn s = { };

	drops(&s, 0, LONG);
	KUNIT_EXPECT_FALSE(test, bpipe_sojourn_drop(&s, TARGET, LONG, true, T0 + 5000 * US));
	/* The last record ended the dropping state: an interval passes before the next drop. */
	KUNIT_EXPECT_FALSE(test, drops(&s, 5001, LONG));
	KUNIT_EXPECT_TRUE(test, drops(&s, 6001, LONG));
}

/* A short pause keeps the count of drops; a long one resets it. */
static void sojourn_resumes_after_short_pause(struct kunit *test)
{
	static const struct {
		u64 pause;
		u32 count;
	} rows[] = { { 5000, 4 }, { 30000, 1 } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bpipe_sojourn s = { };
		u64 at;

		for (at = 0; at < 4000; at++)
			drops(&s, at, LONG);
		KUNIT_ASSERT_EQ(test, s.count, 5);
		drops(&s, 4000, 0);
		drops(&s, 4000 + rows[i].pause, LONG);
		KUNIT_EXPECT_TRUE(test, drops(&s, 5000 + rows[i].pause, LONG));
		KUNIT_EXPECT_EQ(test, s.count, rows[i].count);
	}
}

/* The previous drop_next may be in the future when dropping starts again. */
static void sojourn_restarts_before_next_drop(struct kunit *test)
{
	struct bpipe_sojourn s = {
		.target = TARGET, .count = 5, .lastcount = 1, .drop_next = T0 + 3000 * US,
	};

	KUNIT_EXPECT_FALSE(test, drops(&s, 0, LONG));
	KUNIT_EXPECT_TRUE(test, drops(&s, 1000, LONG));
	KUNIT_EXPECT_EQ(test, s.count, 4);
}

/* A count that wrapped to 0, after 2^32 drops, would cause a division by zero. */
static void sojourn_count_saturates(struct kunit *test)
{
	struct bpipe_sojourn s = {
		.target = TARGET, .dropping = true, .first_above_time = 1, .drop_next = T0,
		.count = U32_MAX - 1,
	};
	u64 before = T0;
	u32 i;

	for (i = 0; i < 5; i++) {
		KUNIT_EXPECT_TRUE(test, bpipe_sojourn_drop(&s, TARGET, LONG, false, s.drop_next));
		KUNIT_EXPECT_EQ(test, s.count, U32_MAX);
		KUNIT_EXPECT_LE(test, s.drop_next - before, 1000 * US);
		before = s.drop_next;
	}
}

static void sojourn_restarts_with_new_target(struct kunit *test)
{
	struct bpipe_sojourn s = { };

	drops(&s, 0, LONG);
	KUNIT_EXPECT_TRUE(test, drops(&s, 1000, LONG));
	KUNIT_EXPECT_FALSE(test, bpipe_sojourn_drop(&s, TARGET / 2, LONG, false, T0 + 9000 * US));
	/* The next drop comes an interval of the new target later. */
	KUNIT_EXPECT_FALSE(test, bpipe_sojourn_drop(&s, TARGET / 2, LONG, false, T0 + 9499 * US));
	KUNIT_EXPECT_TRUE(test, bpipe_sojourn_drop(&s, TARGET / 2, LONG, false, T0 + 9500 * US));
}

/* Test the extremes of settings and times. */
static void sojourn_bounds(struct kunit *test)
{
	struct bpipe_sojourn s = { };
	u64 now = 1;
	u32 i;

	for (i = 0; i < 1000; i++, now += 10)
		bpipe_sojourn_drop(&s, 1, U64_MAX, false, now);
	KUNIT_EXPECT_TRUE(test, s.dropping);
	s = (struct bpipe_sojourn) {
		.target = BPIPE_TIMEOUT_MAX, .dropping = true, .first_above_time = 1,
		.count = U32_MAX - 1,
	};
	KUNIT_EXPECT_TRUE(test, bpipe_sojourn_drop(&s, BPIPE_TIMEOUT_MAX, U64_MAX, false, now));
	/* An interval of 864000 s divided by the square root of 2^32, rounded down. */
	KUNIT_EXPECT_LE(test, s.drop_next - (864000 * 1000000000ULL >> 16), 1000ULL);
}

static void sojourn_buckets(struct kunit *test)
{
	static const struct {
		u64 waited;
		u32 bucket;
	} rows[] = {
		{ 0, 0 }, { 1023, 0 }, { 1024, 1 }, { 2047, 1 }, { 2048, 2 }, { 1 << 20, 11 },
		{ (1ULL << 40) - 1, 30 }, { 1ULL << 40, 31 }, { 1ULL << 41, 31 },
		{ U64_MAX, 31 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		KUNIT_EXPECT_EQ(test, bpipe_sojourn_bucket(rows[i].waited), rows[i].bucket);
}

static struct kunit_case sojourn_cases[] = {
	KUNIT_CASE(sojourn_follows_control_law),
	KUNIT_CASE(sojourn_good_enough),
	KUNIT_CASE(sojourn_spares_last_record),
	KUNIT_CASE(sojourn_resumes_after_short_pause),
	KUNIT_CASE(sojourn_restarts_before_next_drop),
	KUNIT_CASE(sojourn_count_saturates),
	KUNIT_CASE(sojourn_restarts_with_new_target),
	KUNIT_CASE(sojourn_bounds),
	KUNIT_CASE(sojourn_buckets),
	{ }
};

static struct kunit_suite sojourn_suite = {
	.name = "sojourn",
	.test_cases = sojourn_cases,
};

kunit_test_suite(sojourn_suite);
