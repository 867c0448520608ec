/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_LEVEL_H
#define BPIPE_LEVEL_H

#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/types.h>

#include <asm/barrier.h>

/**
 * struct bpipe_level - how much a channel holds
 * @in: bytes that have gone in since it was made; wraps around with the type
 * @out: bytes that have come out, likewise
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
	unsigned long in ____cacheline_aligned_in_smp;
	unsigned long out ____cacheline_aligned_in_smp;
};

/**
 * bpipe_level_queued() - bytes held, for the owner of @out
 * @level: the level
 */
static inline size_t bpipe_level_queued(const struct bpipe_level *level)
{
	return smp_load_acquire(&level->in) - level->out;	/* add() */
}

/**
 * bpipe_level_held() - bytes held, for the owner of @in
 * @level: the level
 */
static inline size_t bpipe_level_held(const struct bpipe_level *level)
{
	return level->in - smp_load_acquire(&level->out);	/* sub() */
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

	again = smp_load_acquire(&level->out);		/* sub() */
	do {
		out = again;
		in = smp_load_acquire(&level->in);	/* add() */
		again = smp_load_acquire(&level->out);	/* sub() */
	} while (unlikely(out != again));
	return in - out;
}

/**
 * bpipe_level_add() - bytes have been stored: they are there now
 * @level: the level; the caller owns @in
 * @n: how many
 */
static inline void bpipe_level_add(struct bpipe_level *level, size_t n)
{
	smp_store_release(&level->in, level->in + n);	/* queued() */
}

/**
 * bpipe_level_sub() - bytes have been read, and their room is free
 * @level: the level; the caller owns @out
 * @n: how many
 */
static inline void bpipe_level_sub(struct bpipe_level *level, size_t n)
{
	smp_store_release(&level->out, level->out + n);	/* held() */
}

#endif /* BPIPE_LEVEL_H */
