/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_RING_H
#define BPIPE_RING_H

#include <linux/cache.h>
#include <linux/types.h>

struct iov_iter;

/**
 * struct bpipe_ring - bytes in a buffer of fixed size, first in, first out
 * @data: the storage
 * @size: bytes it holds
 * @head: where in it bytes are put in
 * @tail: where bytes are taken out
 * @passed: bytes that have been taken out since it was made; changes with @tail
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
 * The ring stores and does nothing else: it does not wait, decide or lock, and
 * how much is queued is known to whoever uses it. At any time one caller may own
 * the head and another one the tail, and both may copy at once. Bytes are copied
 * in beyond the head, and push() moves it over them; they are copied out from
 * the tail, and pop() frees them. So a copy that failed half way is undone by
 * not moving.
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
