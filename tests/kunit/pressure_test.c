// SPDX-License-Identifier: GPL-2.0
/*
 * Test pressure.c: averages at times whose values are known must not depend on the steps to
 * them.
 */

#include <linux/module.h>

#include "kunit.h"
#include "pressure.h"

#define MS	1000000ULL
#define SECOND	(1000 * MS)

/* Return an average in 1/100 %, rounded. */
static u32 share(const struct bpipe_pressure *p, int span)
{
	return (p->avg[span] * 10000ULL + BPIPE_PRESSURE_ONE / 2) / BPIPE_PRESSURE_ONE;
}

/* Let time pass from @from to @to, stalled or not, in steps. */
static void pass(struct bpipe_pressure *p, u64 from, u64 to, u64 step, bool stalled)
{
	u64 now;

	for (now = from + step; now < to; now += step)
		bpipe_pressure_update(p, stalled, now);
	bpipe_pressure_update(p, stalled, to);
}

/* An average may be up to 64 ticks old, and change a little later. */
#define EXPECT_NEAR(test, p, span, expected) do {			\
	KUNIT_EXPECT_GE(test, share(p, span) + 50, (expected));		\
	KUNIT_EXPECT_LE(test, share(p, span), (expected) + 50);		\
} while (0)

/*
 * A constant stall raises an average as 1 - e^(-t/span); its end lowers the average as
 * e^(-t/span).
 */
static void pressure_averages(struct kunit *test)
{
	static const u64 steps[] = { 1 * MS, 70 * MS, 333 * MS, 10 * SECOND };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		struct bpipe_pressure p;

		bpipe_pressure_init(&p, SECOND);
		pass(&p, SECOND, 11 * SECOND, steps[i], true);
		EXPECT_NEAR(test, &p, 0, 6321);
		EXPECT_NEAR(test, &p, 1, 1535);
		EXPECT_NEAR(test, &p, 2, 328);
		KUNIT_EXPECT_EQ(test, p.stalled_ns, 10 * SECOND);
		pass(&p, 11 * SECOND, 21 * SECOND, steps[i], false);
		EXPECT_NEAR(test, &p, 0, 2325);
		EXPECT_NEAR(test, &p, 1, 1299);
		EXPECT_NEAR(test, &p, 2, 317);
		KUNIT_EXPECT_EQ(test, p.stalled_ns, 10 * SECOND);
	}
}

/* A stall for half of the time, in turns shorter than the averages' period. */
static void pressure_averages_half_stalled(struct kunit *test)
{
	struct bpipe_pressure p;
	u64 now = 0;

	bpipe_pressure_init(&p, 0);
	while (now < 3000 * SECOND) {
		bpipe_pressure_update(&p, true, now += 5 * MS);
		bpipe_pressure_update(&p, false, now += 5 * MS);
	}
	EXPECT_NEAR(test, &p, 0, 5000);
	EXPECT_NEAR(test, &p, 1, 5000);
	EXPECT_NEAR(test, &p, 2, 5000);
	KUNIT_EXPECT_EQ(test, p.stalled_ns, 1500 * SECOND);
}

/* Averages stay in range if they were not updated for years. */
static void pressure_stays_in_range(struct kunit *test)
{
	const u64 years = 100 * 365 * 86400ULL * SECOND;
	struct bpipe_pressure p;
	int i;

	bpipe_pressure_init(&p, 0);
	bpipe_pressure_update(&p, true, years);
	for (i = 0; i < BPIPE_PRESSURE_SPANS; i++)
		EXPECT_NEAR(test, &p, i, 10000);
	bpipe_pressure_update(&p, true, years);
	bpipe_pressure_update(&p, false, 2 * years);
	for (i = 0; i < BPIPE_PRESSURE_SPANS; i++)
		KUNIT_EXPECT_EQ(test, share(&p, i), 0);
	KUNIT_EXPECT_EQ(test, p.stalled_ns, years);
}

static struct kunit_case pressure_cases[] = {
	KUNIT_CASE(pressure_averages),
	KUNIT_CASE(pressure_averages_half_stalled),
	KUNIT_CASE(pressure_stays_in_range),
	{ }
};

static struct kunit_suite pressure_suite = {
	.name = "pressure",
	.test_cases = pressure_cases,
};

kunit_test_suite(pressure_suite);
