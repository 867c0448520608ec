// SPDX-License-Identifier: GPL-2.0
/*
 * Storage: bytes in a buffer of fixed size. See ring.h for the layout.
 *
 * The copies call _copy_from_iter() and _copy_to_iter() and not their checking
 * wrappers: on storage from vmalloc() the check looks the area up under a
 * lock that all CPUs share, at every copy, only to learn what the lines
 * around it here have made sure of.
 */

#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/uio.h>

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

/* The place @n bytes behind another one, at most the size. */
static size_t bpipe_ring_behind(const struct bpipe_ring *ring, size_t place, size_t n)
{
	place += n;
	return place < ring->size ? place : place - ring->size;
}

/**
 * bpipe_ring_copy() - copy queued bytes to where they will stand in another storage
 * @ring: the ring; the caller owns the tail
 * @at: how far behind the oldest byte they begin
 * @data: the other storage, @size bytes
 * @size: bytes it is to hold
 * @place: where in it the first one goes
 * @n: how many bytes; with @at, at most what is queued, and at most @size
 */
void bpipe_ring_copy(const struct bpipe_ring *ring, size_t at, void *data, size_t size,
		     size_t place, size_t n)
{
	size_t first = min(n, size - place);

	bpipe_ring_peek(ring, at, data + place, first);
	bpipe_ring_peek(ring, at + first, data, n - first);
}

/**
 * bpipe_ring_move() - go on with another storage
 * @ring: the ring; the caller owns both ends
 * @queued: bytes in it, which have been copied there
 * @data: the new storage, @size bytes; NULL for none, if nothing is queued
 * @size: bytes it is to hold, at least @queued
 * @tail: where in it the oldest byte stands
 *
 * Return: the old storage.
 */
void *bpipe_ring_move(struct bpipe_ring *ring, size_t queued, void *data, size_t size,
		      size_t tail)
{
	void *old = ring->data;

	ring->data = data;
	ring->size = size;
	ring->tail = tail;
	ring->head = bpipe_ring_behind(ring, tail, queued);
	return old;
}

/**
 * bpipe_ring_fill() - copy bytes in from an iterator
 * @ring: the ring; the caller owns the head
 * @at: how far beyond the head they go
 * @from: where to copy from; advanced by what was copied
 * @n: how many bytes; with @at, at most the free space
 *
 * Return: bytes copied, fewer than @n if the source has no more or faults.
 */
size_t bpipe_ring_fill(struct bpipe_ring *ring, size_t at, struct iov_iter *from, size_t n)
{
	size_t place = bpipe_ring_behind(ring, ring->head, at);
	size_t first = ring->size - place;
	size_t done;

	if (likely(n <= first))
		return _copy_from_iter(ring->data + place, n, from);

	done = _copy_from_iter(ring->data + place, first, from);
	if (done == first)
		done += _copy_from_iter(ring->data, n - first, from);
	return done;
}

/**
 * bpipe_ring_put() - copy bytes in from kernel memory
 * @ring: the ring; the caller owns the head
 * @at: how far beyond the head they go
 * @from: where to copy from
 * @n: how many bytes; with @at, at most the free space
 */
void bpipe_ring_put(struct bpipe_ring *ring, size_t at, const void *from, size_t n)
{
	size_t place = bpipe_ring_behind(ring, ring->head, at);
	size_t first = min(n, ring->size - place);

	memcpy(ring->data + place, from, first);
	memcpy(ring->data, from + first, n - first);
}

/**
 * bpipe_ring_push() - move the head over bytes that were copied in
 * @ring: the ring; the caller owns the head
 * @n: how many
 */
void bpipe_ring_push(struct bpipe_ring *ring, size_t n)
{
	ring->head = bpipe_ring_behind(ring, ring->head, n);
}

/**
 * bpipe_ring_drain() - copy bytes out to an iterator
 * @ring: the ring; the caller owns the tail
 * @at: how far behind the oldest byte they begin
 * @to: where to copy to; advanced by what was copied
 * @n: how many bytes; with @at, at most what is queued
 *
 * Return: bytes copied, fewer than @n if the target is full or faults. They
 * stay queued until bpipe_ring_pop().
 */
size_t bpipe_ring_drain(const struct bpipe_ring *ring, size_t at, struct iov_iter *to, size_t n)
{
	size_t place = bpipe_ring_behind(ring, ring->tail, at);
	size_t first = ring->size - place;
	size_t done;

	if (likely(n <= first))
		return _copy_to_iter(ring->data + place, n, to);

	done = _copy_to_iter(ring->data + place, first, to);
	if (done == first)
		done += _copy_to_iter(ring->data, n - first, to);
	return done;
}

/**
 * bpipe_ring_peek() - copy bytes out to kernel memory
 * @ring: the ring; the caller owns the tail
 * @at: how far behind the oldest byte they begin
 * @to: where to copy to
 * @n: how many bytes; with @at, at most what is queued
 */
void bpipe_ring_peek(const struct bpipe_ring *ring, size_t at, void *to, size_t n)
{
	size_t place = bpipe_ring_behind(ring, ring->tail, at);
	size_t first = min(n, ring->size - place);

	memcpy(to, ring->data + place, first);
	memcpy(to + first, ring->data, n - first);
}

/**
 * bpipe_ring_pop() - free bytes that were copied out
 * @ring: the ring; the caller owns the tail
 * @n: how many
 */
void bpipe_ring_pop(struct bpipe_ring *ring, size_t n)
{
	ring->tail = bpipe_ring_behind(ring, ring->tail, n);
	ring->passed += n;
}
