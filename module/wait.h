/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_WAIT_H
#define BPIPE_WAIT_H

#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/poll.h>

#include <asm/barrier.h>

#include "channel.h"

/* Internal: the caller was queued and has to sleep. Never seen by users. */
#define EBPIPE_QUEUED	(MAX_ERRNO - 1)

/**
 * struct bpipe_waiter - a sleeping reader or writer, on its own stack
 * @node: in the queue of its class, or among those who wait apart
 * @side: its side
 * @file: the open file it came by
 * @task: whom to wake
 * @delay: the channel's account that this sleep goes to
 * @file_delay: the open file's account
 * @queued_at: since when it waits
 * @lacking_since: since when its sleep goes to the account that it goes to now
 * @since: when this sleep began
 * @deadline: when it gives up; KTIME_MAX for never
 * @until: when it looks again by itself; KTIME_MAX for never
 * @promise: writers: what is kept for it once it is the first
 * @class: whose queue it is in; readers have but one
 * @queued: it is in a queue, or apart
 * @apart: it waits for its own file's tokens, and holds up nobody
 * @woken: it has been told to look again
 * @progress: it moved bytes since it was queued
 * @timed: it waits for tokens, and its side's timer was started for it
 * @owed: it waits for credit
 */
struct bpipe_waiter {
	struct list_head node;
	struct bpipe_side *side;
	const struct bpipe_file *file;
	struct task_struct *task;
	struct bpipe_delay *delay;
	struct bpipe_delay *file_delay;
	u64 queued_at;
	u64 lacking_since;
	u64 since;
	ktime_t deadline;
	ktime_t until;
	struct bpipe_promise promise;
	u32 class;
	bool queued;
	bool apart;
	bool woken;
	bool progress;
	bool timed;
	bool owed;
};

/*
 * First of the queue of the most important class in which somebody waits, or NULL.
 * Without the lock, as good as the moment is.
 */
static inline struct bpipe_waiter *bpipe_wait_first(struct bpipe_side *side)
{
	u32 waiting = READ_ONCE(side->waiting);

	return waiting ? list_first_entry_or_null(&side->waiters[__ffs(waiting)],
						  struct bpipe_waiter, node) : NULL;
}

/* Does somebody wait who is as important as @class, or more? Likewise. */
static inline bool bpipe_wait_behind(const struct bpipe_side *side, u32 class)
{
	return READ_ONCE(side->waiting) & (BIT(class + 1) - 1);
}

void bpipe_wait_init(struct bpipe_channel *ch);
void bpipe_wait_uninit(struct bpipe_channel *ch);

void bpipe_wait_queue_locked(struct bpipe_channel *ch, struct bpipe_waiter *w, u32 class,
			     bool apart, struct bpipe_delay *delay,
			     struct bpipe_delay *file_delay);
int bpipe_wait_sleep(struct bpipe_channel *ch, struct bpipe_waiter *w);
void bpipe_wait_leave_queue(struct bpipe_channel *ch, struct bpipe_waiter *w);
u64 bpipe_wait_longest_locked(struct bpipe_side *side, const struct bpipe_delay *account,
			      u64 now);

void bpipe_wait_timer_by(struct hrtimer *timer, u64 now, u64 wait_ns);
void bpipe_wait_held_up_locked(struct bpipe_channel *ch);
void bpipe_wait_wake_all_locked(struct bpipe_side *side, int band);
void bpipe_wait_wake_file_locked(struct bpipe_file *bf);
void bpipe_wait_granted_locked(struct bpipe_channel *ch);
void bpipe_wait_tell_all_locked(struct bpipe_side *side);
void bpipe_wait_state_locked(struct bpipe_channel *ch, bool changed, u64 level, u64 now);
void bpipe_wait_set_trips_locked(struct bpipe_channel *ch);
void bpipe_wait_settle_locked(struct bpipe_channel *ch);
void bpipe_wait_settle(struct bpipe_channel *ch);

/**
 * bpipe_wait_leave() - leave the queue, if in it, and hand on to the next
 * @ch: the channel
 * @w: the caller
 *
 * Context: does not sleep.
 */
static inline void bpipe_wait_leave(struct bpipe_channel *ch, struct bpipe_waiter *w)
{
	if (unlikely(w->queued))
		bpipe_wait_leave_queue(ch, w);
}

/**
 * bpipe_wait_settle_write() - look at the readers' trip wire, after bytes went in
 * @ch: the channel
 *
 * Context: does not sleep; no lock held.
 */
static inline void bpipe_wait_settle_write(struct bpipe_channel *ch)
{
	smp_mb();	/* barrier [B] of the writers; see wait.c */
	if (bpipe_level_now(&ch->level) >= READ_ONCE(ch->trip_up))
		bpipe_wait_settle(ch);
}

/**
 * bpipe_wait_settle_read() - look at the writers' trip wire, after bytes came out
 * @ch: the channel
 *
 * Context: does not sleep; no lock held.
 */
static inline void bpipe_wait_settle_read(struct bpipe_channel *ch)
{
	smp_mb();	/* barrier [B] of the readers; see wait.c */
	if ((long)bpipe_level_now(&ch->level) <= READ_ONCE(ch->trip_down))
		bpipe_wait_settle(ch);
}

#endif /* BPIPE_WAIT_H */
