/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_LEVEL_H
#define BPIPE_LEVEL_H

#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/types.h>

#include <asm/barrier.h>

/**
 * struct bpipe_end - bytes that have passed one end of a channel since it was made
 * @pos: number of bytes; wraps around
 * @halves: only if @pos has 32 bits: times that its bit 31 has changed; wraps around
 */
struct bpipe_end {
	unsigned long pos;
#if BITS_PER_LONG == 32
	u32 halves;
#endif
} ____cacheline_aligned_in_smp;

/**
 * struct bpipe_level - bytes that a channel holds, as the difference of two positions
 * @in: bytes that went in; only the owner of the writers' side, with wr.lock, changes it
 * @out: bytes that came out; only the owner of the readers' side, with rd.lock, changes it
 *
 * Barrier pairs: bpipe_level_add() releases @in after bytes were stored, and
 * bpipe_level_queued() acquires it before they are read. bpipe_level_sub() releases @out after
 * bytes were read, and bpipe_level_held() acquires it before they are overwritten.
 */
struct bpipe_level {
	struct bpipe_end in;
	struct bpipe_end out;
};

/**
 * bpipe_end_extend() - extend a position from 32 to 64 bits
 * @low: the lower 32 bits
 * @halves: times that bit 31 of the position had changed a moment earlier
 *
 * bpipe_end_count_half() stores @halves after the position, so @halves may be one behind.
 *
 * Context: any.
 * Return: the position.
 */
static inline u64 bpipe_end_extend(u32 low, u32 halves)
{
	halves += (halves & 1) != low >> 31;
	return (u64)(halves >> 1) << 32 | low;
}

#if BITS_PER_LONG == 32
/*
 * Count a change of bit 31 of a position. At most 2^30 bytes pass in one move, or between the
 * two loads of bpipe_end_total(), so no change is missed.
 */
static inline void bpipe_end_count_half(struct bpipe_end *end)
{
	if ((end->halves & 1) != end->pos >> 31)
		smp_store_release(&end->halves, end->halves + 1);	/* total() */
}

static inline u64 bpipe_end_total(const struct bpipe_end *end)
{
	u32 halves = smp_load_acquire(&end->halves);			/* count_half() */

	return bpipe_end_extend(smp_load_acquire(&end->pos), halves);	/* move() */
}
#else
static inline void bpipe_end_count_half(struct bpipe_end *end)
{
}

static inline u64 bpipe_end_total(const struct bpipe_end *end)
{
	return smp_load_acquire(&end->pos);				/* move() */
}
#endif

/* Advance a position. Called by the owner of the end. */
static inline void bpipe_end_move(struct bpipe_end *end, size_t n)
{
	smp_store_release(&end->pos, end->pos + n);	/* total(), queued(), held() */
	bpipe_end_count_half(end);
}

/**
 * bpipe_level_queued() - return the bytes that a reader may read
 * @level: the level
 *
 * Context: called with rd.lock held. More bytes may come meanwhile.
 */
static inline size_t bpipe_level_queued(const struct bpipe_level *level)
{
	return smp_load_acquire(&level->in.pos) - level->out.pos;	/* add() */
}

/**
 * bpipe_level_held() - return the bytes whose room a writer may not use
 * @level: the level
 *
 * Context: called with wr.lock held. Room may come free meanwhile.
 */
static inline size_t bpipe_level_held(const struct bpipe_level *level)
{
	return level->in.pos - smp_load_acquire(&level->out.pos);	/* sub() */
}

/**
 * bpipe_level_now() - return the bytes held at one moment of the call
 * @level: the level
 *
 * Retry while @out moves: a new @in minus an old @out may exceed what was ever held.
 *
 * Context: any.
 */
static inline size_t bpipe_level_now(const struct bpipe_level *level)
{
	unsigned long in, out, again;

	again = smp_load_acquire(&level->out.pos);	/* sub() */
	do {
		out = again;
		in = smp_load_acquire(&level->in.pos);	/* add() */
		again = smp_load_acquire(&level->out.pos);	/* sub() */
	} while (unlikely(out != again));
	return in - out;
}

/**
 * bpipe_level_totals() - read both positions as of one moment of the call
 * @level: the level
 * @in: set to the bytes that went in since the channel was made
 * @out: set to the bytes that came out
 *
 * Context: any.
 */
static inline void bpipe_level_totals(const struct bpipe_level *level, u64 *in, u64 *out)
{
	u64 again = bpipe_end_total(&level->out);	/* sub() */

	do {
		*out = again;
		*in = bpipe_end_total(&level->in);	/* add() */
		again = bpipe_end_total(&level->out);	/* sub() */
	} while (unlikely(*out != again));
}

/**
 * bpipe_level_add() - publish bytes that were stored
 * @level: the level
 * @n: number of bytes, at most 2^30
 *
 * Context: called with wr.lock held.
 */
static inline void bpipe_level_add(struct bpipe_level *level, size_t n)
{
	bpipe_end_move(&level->in, n);		/* queued() */
}

/**
 * bpipe_level_sub() - free the room of bytes that were read or dropped
 * @level: the level
 * @n: number of bytes, at most 2^30
 *
 * Context: called with rd.lock held.
 */
static inline void bpipe_level_sub(struct bpipe_level *level, size_t n)
{
	bpipe_end_move(&level->out, n);		/* held() */
}

#endif /* BPIPE_LEVEL_H */
