/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_LOCK_H
#define BPIPE_LOCK_H

#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "types.h"

void bpipe_channel_unlock_and_wake(struct bpipe_channel *ch) __releases(&ch->lock);

static inline void bpipe_channel_lock(struct bpipe_channel *ch) __acquires(&ch->lock)
{
	spin_lock_bh(&ch->lock);
}

/* Every path that may have woken a waiter or a poller drops the lock by this. */
static inline void bpipe_channel_unlock(struct bpipe_channel *ch) __releases(&ch->lock)
{
	if (unlikely(ch->wake.any))
		bpipe_channel_unlock_and_wake(ch);
	else
		spin_unlock_bh(&ch->lock);
}

/* Tallies change between these, which cost nothing on a 64-bit machine. */
static inline void bpipe_tally_lock(struct bpipe_channel *ch)
{
	if (BITS_PER_LONG == 32)
		bpipe_channel_lock(ch);
}

static inline void bpipe_tally_unlock(struct bpipe_channel *ch)
{
	if (BITS_PER_LONG == 32)
		bpipe_channel_unlock(ch);
}

/**
 * bpipe_channel_lock_side() - become the owner of one end
 * @side: which
 * @flags: with BPIPE_NOWAIT, not if it takes time
 *
 * Context: may sleep, except with BPIPE_NOWAIT.
 * Return: 0, -EAGAIN, or -EINTR: the caller was killed.
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
