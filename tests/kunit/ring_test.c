// SPDX-License-Identifier: GPL-2.0
/*
 * Test ring.c and level.h with a queue too simple to need a test: an array whose bytes move
 * down when some are taken. The level's positions start just below the end of their type,
 * so that they wrap around early.
 */

#include <linux/string.h>
#include <linux/uio.h>

#include "kunit.h"
#include "level.h"
#include "ring.h"

#define MOST 64	/* bytes of the largest ring */

/* @next is the next byte to put in: all bytes in a ring differ. */
struct both {
	struct bpipe_ring ring;
	struct bpipe_level level;
	u8 queue[MOST];
	size_t queued;
	u8 next;
};

/* Allocate exactly @size bytes, so that KASAN reports an access beyond them. */
static void *storage(struct kunit *test, size_t size)
{
	void *data = kunit_kmalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, data);
	return data;
}

static void start(struct kunit *test, struct both *b, size_t size, unsigned long pos)
{
	*b = (struct both) { };
	bpipe_ring_init(&b->ring, storage(test, size), size);
	b->level = (struct bpipe_level) { .in.pos = pos, .out.pos = pos };
}

static void same(struct kunit *test, const struct both *b)
{
	u8 bytes[MOST];

	KUNIT_ASSERT_EQ(test, bpipe_level_queued(&b->level), b->queued);
	KUNIT_ASSERT_EQ(test, bpipe_level_held(&b->level), b->queued);
	KUNIT_ASSERT_EQ(test, bpipe_level_now(&b->level), b->queued);
	KUNIT_ASSERT_LT(test, b->ring.head, b->ring.size);
	KUNIT_ASSERT_LT(test, b->ring.tail, b->ring.size);
	bpipe_ring_peek(&b->ring, 0, bytes, b->queued);
	KUNIT_ASSERT_MEMEQ(test, bytes, b->queue, b->queued);
}

/*
 * Copy @n bytes in from a source that has @there, and publish @publish. Copy the first byte
 * from kernel memory, if possible.
 */
static void put(struct kunit *test, struct both *b, size_t n, size_t there, size_t publish)
{
	u8 bytes[MOST];
	struct kvec vec = { .iov_base = bytes, .iov_len = there };
	struct iov_iter from;
	size_t i, copied = min(n, there), head = min_t(size_t, copied, n % 3);

	for (i = 0; i < there; i++)
		bytes[i] = b->next + i;
	bpipe_ring_put(&b->ring, 0, bytes, head);
	iov_iter_kvec(&from, ITER_SOURCE, &vec, 1, there);
	iov_iter_advance(&from, head);
	KUNIT_ASSERT_EQ(test, bpipe_ring_fill(&b->ring, head, &from, n - head), copied - head);
	KUNIT_ASSERT_EQ(test, iov_iter_count(&from), there - copied);
	same(test, b);

	publish = min(publish, copied);
	bpipe_ring_push(&b->ring, publish);
	bpipe_level_add(&b->level, publish);
	memcpy(b->queue + b->queued, bytes, publish);
	b->queued += publish;
	b->next += publish;
	same(test, b);
}

/*
 * Copy @n bytes out to a target with room for @room, and release @release. If possible,
 * peek at the first byte and copy from the place behind it.
 */
static void take(struct kunit *test, struct both *b, size_t n, size_t room, size_t release)
{
	u8 bytes[MOST];
	struct kvec vec = { .iov_base = bytes, .iov_len = room };
	struct iov_iter to;
	size_t copied = min(n, room), head = min_t(size_t, copied, n % 3);

	bpipe_ring_peek(&b->ring, 0, bytes, head);
	iov_iter_kvec(&to, ITER_DEST, &vec, 1, room);
	iov_iter_advance(&to, head);
	KUNIT_ASSERT_EQ(test, bpipe_ring_drain(&b->ring, head, &to, n - head), copied - head);
	KUNIT_ASSERT_EQ(test, iov_iter_count(&to), room - copied);
	KUNIT_ASSERT_MEMEQ(test, bytes, b->queue, copied);
	same(test, b);

	release = min(release, copied);
	bpipe_ring_pop(&b->ring, release);
	bpipe_level_sub(&b->level, release);
	b->queued -= release;
	memmove(b->queue, b->queue + release, b->queued);
	same(test, b);
}

/* Move the bytes to another storage in two parts, to a place derived from what has passed. */
static void move(struct kunit *test, struct both *b, size_t size)
{
	void *old = b->ring.data, *data = storage(test, size);
	size_t first = b->queued / 2, tail = b->ring.passed % size;

	bpipe_ring_copy(&b->ring, 0, data, size, tail, first);
	bpipe_ring_copy(&b->ring, first, data, size, (tail + first) % size, b->queued - first);
	KUNIT_ASSERT_PTR_EQ(test, bpipe_ring_move(&b->ring, b->queued, data, size, tail), old);
	kunit_kfree(test, old);
	KUNIT_ASSERT_EQ(test, b->ring.size, size);
	same(test, b);
}

/* Test each size up to 6, each place of the tail, each level, each length. */
static void ring_every_place(struct kunit *test)
{
	size_t size, off, queued, n;
	struct both b;

	for (size = 1; size <= 6; size++)
		for (off = 0; off < size; off++)
			for (queued = 0; queued <= size; queued++)
				for (n = 0; n <= size; n++) {
					start(test, &b, size, -off - queued);
					put(test, &b, off, off, off);
					take(test, &b, off, off, off);
					put(test, &b, queued, queued, queued);
					put(test, &b, min(n, size - queued), n, n);
					take(test, &b, min(n, b.queued), n, n);
					take(test, &b, b.queued, MOST, MOST);
					kunit_kfree(test, b.ring.data);
				}
}

/* Test moves from each size to each size, from each place and with each level that fits. */
static void ring_every_move(struct kunit *test)
{
	size_t from, to, off, queued;
	struct both b;

	for (from = 1; from <= 6; from++)
		for (to = 1; to <= 7; to++)
			for (off = 0; off < from; off++)
				for (queued = 0; queued <= min(from, to); queued++) {
					start(test, &b, from, -off);
					put(test, &b, off, off, off);
					take(test, &b, off, off, off);
					put(test, &b, queued, queued, queued);
					move(test, &b, to);
					put(test, &b, to - queued, MOST, MOST);
					take(test, &b, b.queued, MOST, MOST);
					kunit_kfree(test, b.ring.data);
				}
}

/* Bytes copied but not published are not in the ring, and are overwritten. */
static void ring_overwrites_unpublished(struct kunit *test)
{
	struct both b;

	start(test, &b, 5, ULONG_MAX - 1);
	put(test, &b, 4, 4, 4);
	take(test, &b, 4, 4, 3);
	put(test, &b, 4, 4, 0);
	put(test, &b, 4, 3, 2);
	take(test, &b, 3, 3, 0);
	take(test, &b, 3, 2, MOST);
	take(test, &b, 1, 1, 1);
}

static void ring_random(struct kunit *test)
{
	struct rnd_state rnd = bpipe_kunit_rnd();
	struct both b;
	int i;

	start(test, &b, 1 + below(&rnd, MOST), ULONG_MAX - below(&rnd, 2000));
	for (i = 0; i < 50000; i++) {
		size_t space = b.ring.size - b.queued;

		switch (below(&rnd, 20)) {
		case 0:
			space = b.queued + below(&rnd, MOST + 1 - b.queued);
			move(test, &b, space ?: 1);
			break;
		case 1 ... 10:
			put(test, &b, below(&rnd, space + 1), below(&rnd, MOST + 1),
			    below(&rnd, 2 * MOST));
			break;
		default:
			take(test, &b, below(&rnd, b.queued + 1), below(&rnd, MOST + 1),
			     below(&rnd, 2 * MOST));
		}
	}
}

/* Step over the first halves of 32 bits; the count of halves may be one behind. */
static void ring_extends_position_to_64_bits(struct kunit *test)
{
	const u64 step = (1U << 30) - 1;
	u64 pos, halves;

	for (pos = 0; pos < 6ULL << 32; pos += step) {
		halves = pos >> 31;
		KUNIT_ASSERT_EQ(test, bpipe_end_extend(pos, halves), pos);
		if (halves)
			KUNIT_ASSERT_EQ(test, bpipe_end_extend(pos, halves - 1), pos);
	}
}

static struct kunit_case ring_cases[] = {
	KUNIT_CASE(ring_every_place),
	KUNIT_CASE(ring_every_move),
	KUNIT_CASE(ring_overwrites_unpublished),
	KUNIT_CASE(ring_random),
	KUNIT_CASE(ring_extends_position_to_64_bits),
	{ }
};

static struct kunit_suite ring_suite = {
	.name = "ring",
	.test_cases = ring_cases,
};

kunit_test_suite(ring_suite);
