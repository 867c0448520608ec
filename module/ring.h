/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_RING_H
#define BPIPE_RING_H

#include <linux/cache.h>
#include <linux/types.h>

struct iov_iter;

/**
 * struct bpipe_ring - bytes in a buffer of fixed size, first in, first out
 * @data: the storage; NULL without one
 * @size: capacity of the storage, bytes
 * @head: offset at which the next byte is stored, 0..@size - 1
 * @tail: offset of the oldest byte, 0..@size - 1
 * @passed: bytes removed since the ring was made; changes with @tail
 *
 * ::
 *
 *	            tail                 head
 *	             v                    v
 *	 +-----------+====================+-----------+
 *	 |   free    |       queued       |   free    |
 *	 +-----------+====================+-----------+
 *	 data                                 data + size
 *
 * A ring only stores bytes: it takes no lock, does not wait and decides nothing. The caller
 * knows how many bytes are queued. The head and the tail have one owner each at any time, and
 * both owners may copy at once. See struct bpipe_band for the locks.
 *
 * Bytes are copied in beyond the head, and bpipe_ring_push() moves the head over them. Bytes are
 * copied out behind the tail, and bpipe_ring_pop() moves the tail over them. A copy that failed
 * half way is undone by not moving the head or tail.
 */
struct bpipe_ring {
	char *data;
	size_t size;
	size_t head ____cacheline_aligned_in_smp;
	size_t tail ____cacheline_aligned_in_smp;
	u64 passed;
};

void bpipe_ring_init(struct bpipe_ring *ring, void *data, size_t size);
void bpipe_ring_copy(const struct bpipe_ring *ring, size_t at, void *data, size_t size,
		     size_t place, size_t n);
void *bpipe_ring_move(struct bpipe_ring *ring, size_t queued, void *data, size_t size,
		      size_t tail);

size_t bpipe_ring_fill(struct bpipe_ring *ring, size_t at, struct iov_iter *from, size_t n);
void bpipe_ring_put(struct bpipe_ring *ring, size_t at, const void *from, size_t n);
void bpipe_ring_push(struct bpipe_ring *ring, size_t n);

size_t bpipe_ring_drain(const struct bpipe_ring *ring, size_t at, struct iov_iter *to, size_t n);
void bpipe_ring_peek(const struct bpipe_ring *ring, size_t at, void *to, size_t n);
void bpipe_ring_pop(struct bpipe_ring *ring, size_t n);

#endif /* BPIPE_RING_H */
