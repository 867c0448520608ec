// SPDX-License-Identifier: GPL-2.0
/*
 * module/ring.c and ring.h, by CBMC.
 *
 * mirrors: module/ring.c
 * mirrors: module/ring.h
 * mirrors: tests/proof/kernel.h
 *
 * Bounds: sizes up to 8 KiB, and within them every place of both ends, every
 * position, every length, and copies cut short anywhere. For bpipe_ring_level(),
 * sizes up to 15, positions about to wrap, and others pop and push twice.
 *
 * Each proof starts from any ring that sane() allows, lets one function work on
 * it, and shows that sane() allows what it leaves: so it does after a history
 * of any length. Where bytes go is shown for one of them, any one: number
 * @witness of those that a call copies. There are no bytes behind it.
 */

#include "../../module/ring.c"

#define MOST	(8 * 1024)

static struct bpipe_ring ring;
static size_t queued;			/* what should be in it */
static size_t witness, copied;
static const char *from, *to;		/* where the witness came from and went to */

/* Where in the storage byte number @n behind the oldest one has its place. */
static size_t place(size_t n)
{
	return n < ring.size - ring.tail.off ? ring.tail.off + n :
	       ring.tail.off + n - ring.size;
}

static bool sane(void)
{
	return ring.size >= 1 && ring.size <= MOST && queued <= ring.size &&
	       ring.tail.off < ring.size && ring.head.off == place(queued) &&
	       ring.head.pos - ring.tail.pos == queued;
}

static size_t any_to(size_t most)
{
	size_t n = any();

	assume(n <= most);
	return n;
}

static void *any_storage(size_t size)
{
	return __CPROVER_allocate(size, false);
}

static void any_ring(void)
{
	ring.size = any();
	ring.head = (struct bpipe_ring_end) { .pos = any(), .off = any() };
	ring.tail = (struct bpipe_ring_end) { .pos = any(), .off = any() };
	queued = any();
	witness = any();
	assume(sane());
	ring.data = any_storage(ring.size);
}

/* @n bytes were copied; @there is memory as large as that. */
void copy(void *dst, const void *src, size_t n)
{
	prove(__CPROVER_w_ok(dst, n));
	prove(__CPROVER_r_ok(src, n));
	if (witness >= copied && witness - copied < n) {
		to = (char *)dst + (witness - copied);
		from = (const char *)src + (witness - copied);
	}
	copied += n;
}

/* It may be cut short by a page that is not there, or by the end of it. */
static size_t copy_iter(char *storage, size_t n, struct iov_iter *i)
{
	size_t done = any_to(min(n, i->count));

	prove(__CPROVER_w_ok(storage, n));
	copy(storage, storage, done);
	i->count -= done;
	return done;
}

size_t _copy_from_iter(void *dst, size_t n, struct iov_iter *i)
{
	return copy_iter(dst, n, i);
}

size_t _copy_to_iter(const void *src, size_t n, struct iov_iter *i)
{
	return copy_iter((char *)src, n, i);
}

static int acts;

void others_act(void)
{
	size_t n;

	if (!acts)
		return;
	acts--;
	n = any_to(queued);
	ring.tail.pos += n;
	queued -= n;
	n = any_to(ring.size - queued);
	ring.head.pos += n;
	queued += n;
}

void prove_init(void)
{
	size_t size = 1 + any_to(MOST - 1);

	bpipe_ring_init(&ring, any_storage(size), size);
	prove(sane());
	prove(bpipe_ring_level(&ring) == 0);
}

void prove_fill(void)
{
	struct iov_iter i = { .count = any() };
	size_t n, done, count = i.count;

	any_ring();
	n = any_to(ring.size - queued);
	done = bpipe_ring_fill(&ring, &i, n);
	prove(done <= n && done == copied && i.count == count - done);
	prove(witness >= done || to == ring.data + place(queued + witness));
	prove(sane());

	done = any_to(done);
	bpipe_ring_push(&ring, done);
	queued += done;
	prove(sane());
	prove(bpipe_ring_held(&ring) == queued && bpipe_ring_queued(&ring) == queued);
}

void prove_drain(void)
{
	struct iov_iter i = { .count = any() };
	size_t n, done, count = i.count;

	any_ring();
	n = any_to(queued);
	done = bpipe_ring_drain(&ring, &i, n);
	prove(done <= n && done == copied && i.count == count - done);
	prove(witness >= done || from == ring.data + place(witness));
	prove(sane());

	done = any_to(done);
	bpipe_ring_pop(&ring, done);
	queued -= done;
	prove(sane());
	prove(bpipe_ring_held(&ring) == queued && bpipe_ring_queued(&ring) == queued);
}

void prove_move(void)
{
	unsigned long head, tail;
	const char *was;
	char *old, *data;
	size_t size;

	any_ring();
	assume(witness <= queued);
	old = ring.data;
	head = ring.head.pos;
	tail = ring.tail.pos;
	was = old + place(witness);
	size = queued + any_to(MOST - queued);
	assume(size);
	data = any_storage(size);

	prove(bpipe_ring_move(&ring, data, size) == old);
	prove(copied == queued);
	prove(witness >= queued || (from == was && to == ring.data + place(witness)));
	prove(ring.data == data && ring.size == size && sane());
	prove(ring.head.pos == head && ring.tail.pos == tail);
}

/* The level is never more than there can be, while others work. */
void prove_level(void)
{
	size_t level;

	any_ring();
	assume(ring.size <= 15 && ring.tail.pos >= -15UL);
	acts = 2;
	level = bpipe_ring_level(&ring);
	prove(level <= ring.size);
}
