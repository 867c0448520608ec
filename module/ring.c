// SPDX-License-Identifier: GPL-2.0
/*
 * Storage: bytes in a buffer of fixed size. See ring.h for the layout and the
 * barriers.
 *
 * The copies call _copy_from_iter() and _copy_to_iter() and not their checking
 * wrappers: on storage from vmalloc() the check looks the area up under a
 * lock that all CPUs share, at every copy, only to learn what the lines
 * around it here have made sure of.
 */

#include <linux/string.h>
#include <linux/uio.h>

#include <asm/barrier.h>

#include "ring.h"

/**
 * bpipe_ring_init() - make an empty ring
 * @ring: the ring
 * @data: its storage, @size bytes
 * @size: bytes it is to hold, at least 1
 */
void bpipe_ring_init(struct bpipe_ring *ring, void *data, size_t size)
{
	*ring = (struct bpipe_ring) { .data = data, .size = size };
}

/**
 * bpipe_ring_move() - move what is queued to another storage
 * @ring: the ring; the caller owns both ends
 * @data: the new storage, @size bytes
 * @size: bytes it is to hold, at least what is queued
 *
 * The positions stay, so that level and totals do.
 *
 * Return: the old storage.
 */
void *bpipe_ring_move(struct bpipe_ring *ring, void *data, size_t size)
{
	size_t queued = bpipe_ring_queued(ring);
	size_t first = min(queued, ring->size - ring->tail.off);
	void *old = ring->data;

	memcpy(data, ring->data + ring->tail.off, first);
	memcpy(data + first, ring->data, queued - first);

	ring->data = data;
	ring->size = size;
	ring->tail.off = 0;
	ring->head.off = queued < size ? queued : 0;
	return old;
}

/**
 * bpipe_ring_fill() - copy bytes in, behind what is queued
 * @ring: the ring; the caller owns the head
 * @from: where to copy from; advanced by what was copied
 * @n: how many bytes, at most the free space
 *
 * Return: bytes copied, fewer than @n if the source has no more or faults.
 * They are not there for the reader until bpipe_ring_push().
 */
size_t bpipe_ring_fill(struct bpipe_ring *ring, struct iov_iter *from, size_t n)
{
	size_t first = ring->size - ring->head.off;
	size_t done;

	if (likely(n <= first))
		return _copy_from_iter(ring->data + ring->head.off, n, from);

	done = _copy_from_iter(ring->data + ring->head.off, first, from);
	if (done == first)
		done += _copy_from_iter(ring->data, n - first, from);
	return done;
}

/**
 * bpipe_ring_push() - give bytes that were copied in to the reader
 * @ring: the ring; the caller owns the head
 * @n: how many, at most what bpipe_ring_fill() returned
 */
void bpipe_ring_push(struct bpipe_ring *ring, size_t n)
{
	size_t off = ring->head.off + n;

	ring->head.off = off < ring->size ? off : off - ring->size;
	smp_store_release(&ring->head.pos, ring->head.pos + n);	/* queued() */
}

/**
 * bpipe_ring_drain() - copy bytes out, oldest first
 * @ring: the ring; the caller owns the tail
 * @to: where to copy to; advanced by what was copied
 * @n: how many bytes, at most what is queued
 *
 * Return: bytes copied, fewer than @n if the target is full or faults. They
 * stay queued until bpipe_ring_pop().
 */
size_t bpipe_ring_drain(struct bpipe_ring *ring, struct iov_iter *to, size_t n)
{
	size_t first = ring->size - ring->tail.off;
	size_t done;

	if (likely(n <= first))
		return _copy_to_iter(ring->data + ring->tail.off, n, to);

	done = _copy_to_iter(ring->data + ring->tail.off, first, to);
	if (done == first)
		done += _copy_to_iter(ring->data, n - first, to);
	return done;
}

/**
 * bpipe_ring_pop() - free bytes that were copied out
 * @ring: the ring; the caller owns the tail
 * @n: how many, at most what bpipe_ring_drain() returned
 */
void bpipe_ring_pop(struct bpipe_ring *ring, size_t n)
{
	size_t off = ring->tail.off + n;

	ring->tail.off = off < ring->size ? off : off - ring->size;
	smp_store_release(&ring->tail.pos, ring->tail.pos + n);	/* held() */
}
