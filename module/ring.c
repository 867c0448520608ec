// SPDX-License-Identifier: GPL-2.0
/*
 * Storage: bytes in a buffer of fixed size. See ring.h for the layout.
 *
 * The copies call _copy_from_iter() and _copy_to_iter() instead of the wrappers that check the
 * object size. For storage from vmalloc() that check looks up the area under a lock that all
 * CPUs share, at every copy. The functions below already keep each copy inside the storage.
 */

#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/uio.h>

#include "ring.h"

/**
 * bpipe_ring_init() - make an empty ring
 * @ring: the ring
 * @data: its storage, @size bytes
 * @size: capacity, bytes, at least 1
 *
 * Context: any; the caller owns both ends.
 */
void bpipe_ring_init(struct bpipe_ring *ring, void *data, size_t size)
{
	*ring = (struct bpipe_ring) { .data = data, .size = size };
}

/* Return the offset @n bytes after @place, with the wrap-around. @n is at most the size. */
static size_t bpipe_ring_behind(const struct bpipe_ring *ring, size_t place, size_t n)
{
	place += n;
	return place < ring->size ? place : place - ring->size;
}

/**
 * bpipe_ring_copy() - copy queued bytes to another storage
 * @ring: the ring
 * @at: offset of the first byte to copy from the oldest byte, bytes
 * @data: the other storage, @size bytes
 * @size: capacity of the other storage, bytes
 * @place: offset of the first byte in the other storage, 0..@size - 1
 * @n: bytes to copy, at most @size; @at + @n is at most what is queued
 *
 * Context: called by the owner of the tail.
 */
void bpipe_ring_copy(const struct bpipe_ring *ring, size_t at, void *data, size_t size,
		     size_t place, size_t n)
{
	size_t first = min(n, size - place);

	bpipe_ring_peek(ring, at, data + place, first);
	bpipe_ring_peek(ring, at + first, data, n - first);
}

/**
 * bpipe_ring_move() - switch to another storage
 * @ring: the ring
 * @queued: bytes in the ring, which have been copied to the new storage
 * @data: the new storage, @size bytes; NULL for none, if nothing is queued
 * @size: capacity of the new storage, bytes, at least @queued
 * @tail: offset of the oldest byte in the new storage, 0..@size - 1
 *
 * Context: called by the owner of both ends.
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
 * @ring: the ring
 * @at: offset of the first byte from the head, bytes
 * @from: source of the bytes; advanced by what was copied
 * @n: bytes to copy; @at + @n is at most the free space
 *
 * Context: called by the owner of the head. May sleep in a page fault, unless the caller has
 * disabled page faults.
 * Return: bytes copied, fewer than @n if the source ends or faults.
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
 * @ring: the ring
 * @at: offset of the first byte from the head, bytes
 * @from: source of the bytes
 * @n: bytes to copy; @at + @n is at most the free space
 *
 * Context: called by the owner of the head.
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
 * @ring: the ring
 * @n: number of bytes
 *
 * Context: called by the owner of the head.
 */
void bpipe_ring_push(struct bpipe_ring *ring, size_t n)
{
	ring->head = bpipe_ring_behind(ring, ring->head, n);
}

/**
 * bpipe_ring_drain() - copy bytes out to an iterator
 * @ring: the ring
 * @at: offset of the first byte from the oldest byte, bytes
 * @to: target of the bytes; advanced by what was copied
 * @n: bytes to copy; @at + @n is at most what is queued
 *
 * The bytes stay queued until bpipe_ring_pop().
 *
 * Context: called by the owner of the tail. May sleep in a page fault, unless the caller has
 * disabled page faults.
 * Return: bytes copied, fewer than @n if the target is full or faults.
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
 * @ring: the ring
 * @at: offset of the first byte from the oldest byte, bytes
 * @to: target of the bytes
 * @n: bytes to copy; @at + @n is at most what is queued
 *
 * The bytes stay queued.
 *
 * Context: called by the owner of the tail, or with channel.lock held in a record channel,
 * where only bytes of published records are read.
 */
void bpipe_ring_peek(const struct bpipe_ring *ring, size_t at, void *to, size_t n)
{
	size_t place = bpipe_ring_behind(ring, ring->tail, at);
	size_t first = min(n, ring->size - place);

	memcpy(to, ring->data + place, first);
	memcpy(to + first, ring->data, n - first);
}

/**
 * bpipe_ring_pop() - free bytes that were copied out or are dropped
 * @ring: the ring
 * @n: number of bytes
 *
 * Context: called by the owner of the tail.
 */
void bpipe_ring_pop(struct bpipe_ring *ring, size_t n)
{
	ring->tail = bpipe_ring_behind(ring, ring->tail, n);
	ring->passed += n;
}
