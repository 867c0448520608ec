// SPDX-License-Identifier: GPL-2.0
/*
 * pressure.c: averages at moments whose values are known, whatever the steps to them.
 */

#include <linux/module.h>

#include "kunit.h"
#include "pressure.h"

#define MS	1000000ULL
#define SECOND	(1000 * MS)

/* In 1/100 %, rounded. */
static u32 share(const struct bpipe_pressure *p, int span)
{
	return (p->avg[span] * 10000ULL + BPIPE_PRESSURE_ONE / 2) / BPIPE_PRESSURE_ONE;
}

/* From @from to @to, stalled or not, in steps. */
static void pass(struct bpipe_pressure *p, u64 from, u64 to, u64 step, bool stalled)
{
	u64 now;

	for (now = from + step; now < to; now += step)
		bpipe_pressure_update(p, stalled, now);
	bpipe_pressure_update(p, stalled, to);
}

/* An average may be older by 64 ticks, and come about a little slower. */
#define EXPECT_NEAR(test, p, span, expected) do {			\
	KUNIT_EXPECT_GE(test, share(p, span) + 50, (expected));		\
	KUNIT_EXPECT_LE(test, share(p, span), (expected) + 50);		\
} while (0)

/* What is stalled all the time comes up as 1 - e^(-t/span), and goes down likewise. */
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

/* Half of the time, in turns shorter than what is averaged. */
static void pressure_half(struct kunit *test)
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

/* Nobody looked for years. */
static void pressure_bounds(struct kunit *test)
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
	KUNIT_CASE(pressure_half),
	KUNIT_CASE(pressure_bounds),
	{ }
};

static struct kunit_suite pressure_suite = {
	.name = "pressure",
	.test_cases = pressure_cases,
};

kunit_test_suite(pressure_suite);
