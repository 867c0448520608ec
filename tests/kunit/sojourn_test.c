// SPDX-License-Identifier: GPL-2.0
/*
 * sojourn.c: when CoDel's law drops, in a history whose drops were worked out by hand.
 */

#include <linux/limits.h>
#include <linux/module.h>

#include "kunit.h"
#include "sojourn.h"
#include "uapi/linux/bpipe.h"

#define US		1000ULL
#define TARGET		(100 * US)	/* and an interval of a millisecond */
#define T0		(5000000 * US)
#define LONG		(TARGET + 1)

static bool drops(struct bpipe_sojourn *s, u64 at_us, u64 waited)
{
	return bpipe_sojourn_drop(s, TARGET, waited, false, T0 + at_us * US);
}

/* Not before an interval is over; then by 1, 1, 1/sqrt(2), 1/sqrt(3), 1/2 of one. */
static void sojourn_law(struct kunit *test)
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
	/* At the target it is too long, and one that was in time begins it anew. */
	for (at = 10000; at < 11000; at++)
		KUNIT_ASSERT_FALSE(test, drops(&s, at, TARGET));
	KUNIT_EXPECT_FALSE(test, drops(&s, 11000, TARGET - 1));
	for (at = 11001; at < 12001; at++)
		KUNIT_ASSERT_FALSE(test, drops(&s, at, TARGET));
	KUNIT_EXPECT_TRUE(test, drops(&s, 12001, TARGET));
}

static void sojourn_last_is_spared(struct kunit *test)
{
	struct bpipe_sojourn s = { };

	drops(&s, 0, LONG);
	KUNIT_EXPECT_FALSE(test, bpipe_sojourn_drop(&s, TARGET, LONG, true, T0 + 5000 * US));
	/* And it was the end of it. */
	KUNIT_EXPECT_FALSE(test, drops(&s, 5001, LONG));
	KUNIT_EXPECT_TRUE(test, drops(&s, 6001, LONG));
}

/* After a short better time, it goes on where it was; after a long one, it begins anew. */
static void sojourn_memory(struct kunit *test)
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

/* The drop that was due next may lie ahead when records have to wait again. */
static void sojourn_memory_of_a_drop_to_come(struct kunit *test)
{
	struct bpipe_sojourn s = {
		.target = TARGET, .count = 5, .lastcount = 1, .drop_next = T0 + 3000 * US,
	};

	KUNIT_EXPECT_FALSE(test, drops(&s, 0, LONG));
	KUNIT_EXPECT_TRUE(test, drops(&s, 1000, LONG));
	KUNIT_EXPECT_EQ(test, s.count, 4);
}

/* A count that wrapped to 0 would be divided by, 2^32 drops into an overload. */
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

static void sojourn_new_target(struct kunit *test)
{
	struct bpipe_sojourn s = { };

	drops(&s, 0, LONG);
	KUNIT_EXPECT_TRUE(test, drops(&s, 1000, LONG));
	KUNIT_EXPECT_FALSE(test, bpipe_sojourn_drop(&s, TARGET / 2, LONG, false, T0 + 9000 * US));
	/* An interval of the new one later. */
	KUNIT_EXPECT_FALSE(test, bpipe_sojourn_drop(&s, TARGET / 2, LONG, false, T0 + 9499 * US));
	KUNIT_EXPECT_TRUE(test, bpipe_sojourn_drop(&s, TARGET / 2, LONG, false, T0 + 9500 * US));
}

/* The extremes of what can be set, and of what can be asked. */
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
	/* An interval of 864000 s by the root of 2^32, which is rounded down. */
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
	KUNIT_CASE(sojourn_law),
	KUNIT_CASE(sojourn_good_enough),
	KUNIT_CASE(sojourn_last_is_spared),
	KUNIT_CASE(sojourn_memory),
	KUNIT_CASE(sojourn_memory_of_a_drop_to_come),
	KUNIT_CASE(sojourn_count_saturates),
	KUNIT_CASE(sojourn_new_target),
	KUNIT_CASE(sojourn_bounds),
	KUNIT_CASE(sojourn_buckets),
	{ }
};

static struct kunit_suite sojourn_suite = {
	.name = "sojourn",
	.test_cases = sojourn_cases,
};

kunit_test_suite(sojourn_suite);
