/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_KUNIT_H
#define BPIPE_KUNIT_H

#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/string.h>

/* Linux 6.1, the only source in Debian 12 without its security archive, lacks it. */
#ifndef KUNIT_ASSERT_MEMEQ
#define KUNIT_ASSERT_MEMEQ(test, left, right, size) \
	KUNIT_ASSERT_EQ(test, memcmp(left, right, size), 0)
#endif

extern unsigned int bpipe_kunit_seed;

/* Return a random history: separate for each test, the same for the same seed. */
static inline struct rnd_state bpipe_kunit_rnd(void)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, bpipe_kunit_seed);
	return rnd;
}

/* Return a number in 0..@below - 1. */
static inline u32 below(struct rnd_state *rnd, u32 below)
{
	return prandom_u32_state(rnd) % below;
}

#endif /* BPIPE_KUNIT_H */
