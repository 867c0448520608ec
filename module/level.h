/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_LEVEL_H
#define BPIPE_LEVEL_H

#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/types.h>

#include <asm/barrier.h>

/**
 * struct bpipe_end - bytes that have passed one end of a channel since it was made
 * @pos: how many; wraps around with the type
 * @halves: where that has 32 bits, times that its upper bit has changed
 */
struct bpipe_end {
	unsigned long pos;
#if BITS_PER_LONG == 32
	u32 halves;
#endif
} ____cacheline_aligned_in_smp;

/**
 * struct bpipe_level - how much a channel holds
 * @in: what has gone in
 * @out: what has come out
 *
 * Each of the two has an owner at any time, who may change it: the owner of the
 * writers' and of the readers' side of the channel.
 *
 * Barrier pairs: bpipe_level_add() releases @in after bytes were stored, and
 * bpipe_level_queued() acquires it before they are read; bpipe_level_sub()
 * releases @out after bytes were read, and bpipe_level_held() acquires it before
 * they are overwritten.
 */
struct bpipe_level {
	struct bpipe_end in;
	struct bpipe_end out;
};

/**
 * bpipe_end_extend() - the whole of a number of which 32 bits are stored at once
 * @low: its lower half
 * @halves: times that bit 31 of it had changed a moment earlier. It is stored after the
 *	lower half is, and so may be one behind.
 */
static inline u64 bpipe_end_extend(u32 low, u32 halves)
{
	halves += (halves & 1) != low >> 31;
	return (u64)(halves >> 1) << 32 | low;
}

#if BITS_PER_LONG == 32
/* No more than 2^30 bytes pass at once, or between the two loads of the total. */
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

/* For the owner of the end. */
static inline void bpipe_end_move(struct bpipe_end *end, size_t n)
{
	smp_store_release(&end->pos, end->pos + n);	/* total(), queued(), held() */
	bpipe_end_count_half(end);
}

/**
 * bpipe_level_queued() - bytes held, for the owner of @out
 * @level: the level
 */
static inline size_t bpipe_level_queued(const struct bpipe_level *level)
{
	return smp_load_acquire(&level->in.pos) - level->out.pos;	/* add() */
}

/**
 * bpipe_level_held() - bytes held, for the owner of @in
 * @level: the level
 */
static inline size_t bpipe_level_held(const struct bpipe_level *level)
{
	return level->in.pos - smp_load_acquire(&level->out.pos);	/* sub() */
}

/**
 * bpipe_level_now() - bytes held, for whoever owns neither
 * @level: the level
 *
 * It is what was there at one moment of the call: had @out moved while @in was
 * read, the difference might be more than there ever was.
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
 * bpipe_level_totals() - read the totals of both ends as of one moment
 * @level: the level; the caller owns neither end
 * @in: set to the bytes that have gone in since the channel was made
 * @out: set to the bytes that have come out
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
 * bpipe_level_add() - bytes have been stored: they are there now
 * @level: the level; the caller owns @in
 * @n: how many
 */
static inline void bpipe_level_add(struct bpipe_level *level, size_t n)
{
	bpipe_end_move(&level->in, n);		/* queued() */
}

/**
 * bpipe_level_sub() - bytes have been read, and their room is free
 * @level: the level; the caller owns @out
 * @n: how many
 */
static inline void bpipe_level_sub(struct bpipe_level *level, size_t n)
{
	bpipe_end_move(&level->out, n);		/* held() */
}

#endif /* BPIPE_LEVEL_H */
