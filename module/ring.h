/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_RING_H
#define BPIPE_RING_H

#include <linux/cache.h>
#include <linux/types.h>

struct iov_iter;

/**
 * struct bpipe_ring_end - one end of a ring
 * @pos: bytes that have passed this end since the ring was made; wraps around
 *	with the type. Stored with release and loaded with acquire semantics.
 * @off: where in the storage @pos is; only for the owner of this end
 */
struct bpipe_ring_end {
	unsigned long pos;
	size_t off;
};

/**
 * struct bpipe_ring - bytes in a buffer of fixed size, first in, first out
 * @data: the storage
 * @size: bytes it holds
 * @head: where bytes are put in
 * @tail: where bytes are taken out
 *
 * ::
 *
 *	          tail.off             head.off
 *	             v                    v
 *	 +-----------+====================+-----------+
 *	 |   free    |       queued       |   free    |
 *	 +-----------+====================+-----------+
 *	 data                                 data + size
 *
 * The ring stores and does nothing else: it does not wait, decide or lock. At
 * any time one caller may own the head and another one the tail, and both may
 * copy at once. fill() copies beyond the head, where the reader does not look,
 * and push() publishes; drain() copies from the tail and pop() frees. So a copy
 * that failed half way is undone by not publishing it.
 *
 * Barrier pairs: push() releases @head.pos after the bytes were written, and
 * bpipe_ring_queued() acquires it before they are read; pop() releases
 * @tail.pos after the bytes were read, and bpipe_ring_held() acquires it before
 * they are overwritten.
 */
struct bpipe_ring {
	char *data;
	size_t size;
	struct bpipe_ring_end head ____cacheline_aligned_in_smp;
	struct bpipe_ring_end tail ____cacheline_aligned_in_smp;
};

/**
 * bpipe_ring_queued() - bytes that can be taken out
 * @ring: the ring, whose tail the caller owns
 */
static inline size_t bpipe_ring_queued(const struct bpipe_ring *ring)
{
	return smp_load_acquire(&ring->head.pos) - ring->tail.pos;	/* push() */
}

/**
 * bpipe_ring_held() - bytes in the ring
 * @ring: the ring, whose head the caller owns
 */
static inline size_t bpipe_ring_held(const struct bpipe_ring *ring)
{
	return ring->head.pos - smp_load_acquire(&ring->tail.pos);	/* pop() */
}

/**
 * bpipe_ring_level() - bytes in the ring, for a caller that owns neither end
 * @ring: the ring
 *
 * It is what was there at one moment of the call: had the tail moved while the
 * head was read, the difference might be more than there ever was.
 */
static inline size_t bpipe_ring_level(const struct bpipe_ring *ring)
{
	unsigned long head, tail, again;

	again = smp_load_acquire(&ring->tail.pos);		/* pop() */
	do {
		tail = again;
		head = smp_load_acquire(&ring->head.pos);	/* push() */
		again = smp_load_acquire(&ring->tail.pos);	/* pop() */
	} while (unlikely(tail != again));
	return head - tail;
}

void bpipe_ring_init(struct bpipe_ring *ring, void *data, size_t size);
void *bpipe_ring_move(struct bpipe_ring *ring, void *data, size_t size);

size_t bpipe_ring_fill(struct bpipe_ring *ring, struct iov_iter *from, size_t n);
void bpipe_ring_push(struct bpipe_ring *ring, size_t n);

size_t bpipe_ring_drain(struct bpipe_ring *ring, struct iov_iter *to, size_t n);
void bpipe_ring_pop(struct bpipe_ring *ring, size_t n);

#endif /* BPIPE_RING_H */
