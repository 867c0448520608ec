/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_LOCK_H
#define BPIPE_LOCK_H

#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "types.h"

void bpipe_channel_unlock_and_wake(struct bpipe_channel *ch) __releases(&ch->lock);

/**
 * bpipe_channel_lock() - take a channel's spinlock
 * @ch: the channel
 *
 * Timers take the lock in softirq context, so softirqs are off while it is held.
 *
 * Context: does not sleep.
 */
static inline void bpipe_channel_lock(struct bpipe_channel *ch) __acquires(&ch->lock)
{
	spin_lock_bh(&ch->lock);
}

/**
 * bpipe_channel_unlock() - drop a channel's spinlock, and do the wake-ups that are due
 * @ch: the channel
 *
 * Every path that may have woken a waiter or a poller must drop the lock by this.
 *
 * Context: called with the channel's lock held, and drops it; does not sleep.
 */
static inline void bpipe_channel_unlock(struct bpipe_channel *ch) __releases(&ch->lock)
{
	if (unlikely(ch->wake.any))
		bpipe_channel_unlock_and_wake(ch);
	else
		spin_unlock_bh(&ch->lock);
}

/**
 * bpipe_tally_lock() - begin a change of a struct bpipe_tally
 * @ch: the channel
 *
 * A 64-bit machine needs no lock here: it reads and writes each counter in one access.
 *
 * Context: does not sleep; called with the lock of the tally's side held.
 */
static inline void bpipe_tally_lock(struct bpipe_channel *ch)
{
	if (BITS_PER_LONG == 32)
		bpipe_channel_lock(ch);
}

/**
 * bpipe_tally_unlock() - end a change of a struct bpipe_tally
 * @ch: the channel
 *
 * Context: after bpipe_tally_lock(); does not sleep.
 */
static inline void bpipe_tally_unlock(struct bpipe_channel *ch)
{
	if (BITS_PER_LONG == 32)
		bpipe_channel_unlock(ch);
}

/**
 * bpipe_channel_lock_side() - take the lock of one side
 * @side: the side
 * @flags: BPIPE_NOWAIT to fail if the lock is taken
 *
 * Context: may sleep, except with BPIPE_NOWAIT.
 * Return: 0 with the lock held; -EAGAIN with BPIPE_NOWAIT if it is taken; -EINTR if the caller
 * was killed.
 */
static inline int bpipe_channel_lock_side(struct bpipe_side *side, unsigned int flags)
{
	if (!(flags & BPIPE_NOWAIT))
		return mutex_lock_killable(&side->lock);
	return mutex_trylock(&side->lock) ? 0 : -EAGAIN;
}

int bpipe_channel_lock_sides(struct bpipe_channel *ch);
void bpipe_channel_unlock_sides(struct bpipe_channel *ch);
int bpipe_channel_lock_config(struct bpipe_channel *ch);

#endif /* BPIPE_LOCK_H */
