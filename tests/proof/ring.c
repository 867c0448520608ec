// SPDX-License-Identifier: GPL-2.0
/*
 * Prove module/ring.c, ring.h and level.h, by CBMC.
 *
 * mirrors: module/ring.c
 * mirrors: module/ring.h
 * mirrors: module/level.h
 * mirrors: tests/proof/kernel.h
 *
 * Bounds: sizes up to 512, or 64 where bytes move from one ring to another. Within
 * them: every place of both ends, every length, every distance from an end, and copies
 * cut short anywhere. For the level: sizes up to 15, positions about to wrap, and others
 * that read and write twice.
 *
 * Each proof starts from any ring that sane() allows, calls one function on it, and
 * shows that sane() allows the result. By induction, this holds after a history of any
 * length. The destination is shown for one byte, which may be any: number @witness of
 * the bytes that a call copies. No bytes exist beyond it.
 */

#include "../../module/ring.c"
#include "../../module/level.h"

#define MOST	512
#define MOST_MOVED	64	/* two rings: the time grows with the square */

static struct bpipe_ring ring;
static struct bpipe_level level;
static size_t queued;			/* what it should hold */
static size_t witness, copied;
static const char *from, *to;		/* where the witness was copied from and to */

/* Return where in the storage byte number @n after the oldest one is. */
static size_t place(size_t n)
{
	return n < ring.size - ring.tail ? ring.tail + n :
	       ring.tail + n - ring.size;
}

static bool sane(void)
{
	return ring.size >= 1 && ring.size <= MOST && queued <= ring.size &&
	       ring.tail < ring.size && ring.head == place(queued);
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
	ring.head = any();
	ring.tail = any();
	ring.passed = any();
	queued = any();
	witness = any();
	assume(sane());
	ring.data = any_storage(ring.size);
}

/* Model memcpy(): check both ranges, and note where the witness goes. */
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

/* Copy from or to an iterator, cut short anywhere, as by a page that cannot be used. */
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
	level.out.pos += n;
	queued -= n;
	n = any_to(ring.size - queued);
	level.in.pos += n;
	queued += n;
}

void prove_init(void)
{
	size_t size = 1 + any_to(MOST - 1);

	bpipe_ring_init(&ring, any_storage(size), size);
	prove(sane());
}

void prove_fill(void)
{
	struct iov_iter i = { .count = any() };
	size_t at, n, done, count = i.count;

	any_ring();
	at = any_to(ring.size - queued);
	n = any_to(ring.size - queued - at);
	done = bpipe_ring_fill(&ring, at, &i, n);
	prove(done <= n && done == copied && i.count == count - done);
	prove(witness >= done || to == ring.data + place(queued + at + witness));
	prove(sane());

	n = any_to(at + done);
	bpipe_ring_push(&ring, n);
	queued += n;
	prove(sane());
}

void prove_put(void)
{
	size_t at, n;
	char *from_there;

	any_ring();
	at = any_to(ring.size - queued);
	n = any_to(ring.size - queued - at);
	from_there = any_storage(n);
	bpipe_ring_put(&ring, at, from_there, n);
	prove(copied == n);
	prove(witness >= n || (to == ring.data + place(queued + at + witness) &&
			       from == from_there + witness));
	prove(sane());
}

void prove_drain(void)
{
	struct iov_iter i = { .count = any() };
	size_t at, n, done, count = i.count;
	u64 passed;

	any_ring();
	at = any_to(queued);
	n = any_to(queued - at);
	done = bpipe_ring_drain(&ring, at, &i, n);
	prove(done <= n && done == copied && i.count == count - done);
	prove(witness >= done || from == ring.data + place(at + witness));
	prove(sane());

	n = any_to(at + done);
	passed = ring.passed;
	bpipe_ring_pop(&ring, n);
	prove(ring.passed == passed + n);
	queued -= n;
	prove(sane());
}

void prove_peek(void)
{
	size_t at, n;
	char *there;

	any_ring();
	at = any_to(queued);
	n = any_to(queued - at);
	there = any_storage(n);
	bpipe_ring_peek(&ring, at, there, n);
	prove(copied == n);
	prove(witness >= n || (from == ring.data + place(at + witness) &&
			       to == there + witness));
	prove(sane());
}

void prove_copy(void)
{
	size_t size = 1 + any_to(MOST_MOVED - 1), at, n, there;
	char *data = any_storage(size);

	any_ring();
	assume(ring.size <= MOST_MOVED);
	at = any_to(queued);
	n = any_to(min(queued - at, size));
	there = any_to(size - 1);
	bpipe_ring_copy(&ring, at, data, size, there, n);
	prove(copied == n);
	prove(witness >= n || (from == ring.data + place(at + witness) &&
			       to == data + (there + witness < size ? there + witness :
					     there + witness - size)));
	prove(sane());
}

void prove_move(void)
{
	char *old, *data;
	size_t size, tail;

	any_ring();
	old = ring.data;
	size = queued + any_to(MOST - queued);
	assume(size);
	data = any_storage(size);
	tail = any_to(size - 1);

	prove(bpipe_ring_move(&ring, queued, data, size, tail) == old);
	prove(ring.data == data && ring.size == size && ring.tail == tail && sane());
}

/* The level is what went in less what came out, for either side, wherever the positions are. */
void prove_count(void)
{
	size_t in = any_to(MOST), out;

	level.in.pos = any();
	level.out.pos = level.in.pos;
	bpipe_level_add(&level, in);
	out = any_to(in);
	bpipe_level_sub(&level, out);
	prove(bpipe_level_queued(&level) == in - out);
	prove(bpipe_level_held(&level) == in - out);
	prove(bpipe_level_now(&level) == in - out);
}

/*
 * A whole position follows from its lower half, even just before the count of halves
 * changes.
 */
void prove_whole(void)
{
	u64 whole = any();
	u32 halves = whole >> 31;

	assume(whole < 1ULL << 63);
	prove(bpipe_end_extend(whole, halves) == whole);
	prove(whole < 1U << 31 || bpipe_end_extend(whole, halves - 1) == whole);
}

/* A level whose positions are about to wrap, while others read and write. */
static void any_level(void)
{
	ring.size = any_to(15);
	queued = any_to(ring.size);
	level.out.pos = any();
	assume(level.out.pos >= -15UL);
	level.in.pos = level.out.pos + queued;
	acts = 2;
}

/* The level never exceeds the size. */
void prove_level(void)
{
	any_level();
	prove(bpipe_level_now(&level) <= ring.size);
}

/* The difference of the counters never exceeds the size. */
void prove_totals(void)
{
	u64 in, out;

	any_level();
	bpipe_level_totals(&level, &in, &out);
	prove(in - out <= ring.size);
}
