/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_WAIT_H
#define BPIPE_WAIT_H

#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/rbtree.h>

#include <asm/barrier.h>

#include "types.h"

/* Internal: the caller is queued and must sleep. Never returned to user space. */
#define EBPIPE_QUEUED	(MAX_ERRNO - 1)
/* Internal: a bounded piece of work is done, and the caller must try again. As above. */
#define EBPIPE_RETRY	(MAX_ERRNO - 2)

/**
 * struct bpipe_waiter - a call of read or write that waits, on the stack of its caller
 * @node: in asleep[@class] of @side: writers by @ticket, readers by @threshold
 * @rate_node: in the rate_waiters of @side, if @rate_waiter
 * @delay_node: of a reader with a delay: in the channel's delays, by @delay_ns
 * @sleeper: in the sleepers of @side
 * @file_sleeper: in the sleepers of @file
 * @side: the side of the call; does not change
 * @file: the open file of the call; does not change
 * @task: the task to wake
 * @ticket: of a writer: its place in the queue of its class
 * @slept: number of this sleep in the channel, see bpipe_channel.sleeps
 * @threshold: of a reader: level at which to wake it, bytes, 1..BPIPE_SIZE_MAX
 * @delay_ns: of a reader: age of the data at which to wake it below @threshold,
 *	nanoseconds; 0 for never
 * @queued_at: time at which it queued, nanoseconds
 * @reason_since: time since which its sleeps count in @account, nanoseconds
 * @since: time at which this sleep, or the part of it in @account, began, nanoseconds
 * @deadline: time at which the call stops waiting; 0 before it is set, KTIME_MAX for never
 * @until: time at which it wakes up without being woken, to try again; KTIME_MAX for never
 * @tokens_at: earliest time to wake it, nanoseconds, if it waits for tokens
 * @need: of a writer: what it needs to go on
 * @reserved: of a writer: the part of @need that is reserved for it now
 * @wait_reason: of a writer: what it lacks, BPIPE_WAIT_*
 * @account: the account in which its sleep counts
 * @class: class of a writer, 0..7; 0 for a reader
 * @queued: it has a place, asleep or not
 * @rate_waiter: it waits outside the queue, for tokens of its own file or of the readers
 * @asleep: it is in the trees and lists, and has not been woken
 * @admitted: of a writer: it was admitted, and all of @need is reserved for it
 * @woken: it was woken, and has not queued or left since; the waiter reads it without the
 *	lock
 *
 * Until the first call of bpipe_wait_queue_locked() or bpipe_wait_claim(), the fields are the
 * caller's. Then channel.lock protects them.
 */
struct bpipe_waiter {
	union {
		struct rb_node node;
		struct list_head rate_node;
	};
	struct rb_node delay_node;
	struct list_head sleeper;
	struct list_head file_sleeper;
	struct bpipe_side *side;
	struct bpipe_file *file;
	struct task_struct *task;
	u64 ticket;
	u64 slept;
	u64 threshold;
	u64 delay_ns;
	u64 queued_at;
	u64 reason_since;
	u64 since;
	ktime_t deadline;
	ktime_t until;
	u64 tokens_at;
	struct bpipe_need need;
	struct bpipe_need reserved;
	enum bpipe_verdict wait_reason;
	enum bpipe_account account;
	u32 class;
	bool queued;
	bool rate_waiter;
	bool asleep;
	bool admitted;
	bool woken;
};

/**
 * bpipe_wait_must_queue() - check for waiting writers that a new writer may have to follow
 * @side: the writers' side
 * @class: class of the new writer, 0..7
 *
 * Context: does not sleep. Without channel.lock, the answer may be out of date at once.
 * Return: true if a writer of @class or of a more important class waits.
 */
static inline bool bpipe_wait_must_queue(const struct bpipe_side *side, u32 class)
{
	return READ_ONCE(side->waiting) & (BIT(class + 1) - 1);
}

void bpipe_wait_init(struct bpipe_channel *ch);
void bpipe_wait_uninit(struct bpipe_channel *ch);

void bpipe_wait_queue_locked(struct bpipe_channel *ch, struct bpipe_waiter *w,
			     enum bpipe_account account);
void bpipe_wait_claim(struct bpipe_channel *ch, struct bpipe_waiter *w);
void bpipe_wait_part_locked(struct bpipe_channel *ch, struct bpipe_waiter *w);
int bpipe_wait_sleep(struct bpipe_channel *ch, struct bpipe_waiter *w);
void bpipe_wait_leave_queue(struct bpipe_channel *ch, struct bpipe_waiter *w);
u64 bpipe_wait_longest_locked(struct bpipe_channel *ch, struct bpipe_side *side,
			      enum bpipe_account account, u64 now);

void bpipe_wait_timer_by(struct hrtimer *timer, u64 now, u64 wait_ns);
void bpipe_wait_poll_locked(struct bpipe_channel *ch, s64 level);
void bpipe_wait_kick_locked(struct bpipe_channel *ch, struct bpipe_side *side);
void bpipe_wait_kick_rest(struct bpipe_channel *ch, struct bpipe_side *side, u64 last);
void bpipe_wait_kick_file_locked(struct bpipe_file *bf);
void bpipe_wait_kick_file_rest(struct bpipe_file *bf, u64 last);
void bpipe_wait_granted_locked(struct bpipe_channel *ch);
void bpipe_wait_watch_locked(struct bpipe_file *bf);
void bpipe_wait_unwatch_locked(struct bpipe_file *bf);
void bpipe_wait_notify_locked(struct bpipe_channel *ch, struct bpipe_side *side, __poll_t events);
void bpipe_wait_notify_all_locked(struct bpipe_channel *ch, struct bpipe_side *side);
void bpipe_wait_state_locked(struct bpipe_channel *ch, bool changed, u64 level, u64 now);
void bpipe_wait_arm_wake_levels_locked(struct bpipe_channel *ch);
void bpipe_wait_update_locked(struct bpipe_channel *ch);
void bpipe_wait_update(struct bpipe_channel *ch);

/**
 * bpipe_wait_leave() - leave the queue, if queued, and hand off to the next waiter
 * @ch: the channel
 * @w: the caller
 *
 * Context: does not sleep; called without the channel's lock.
 */
static inline void bpipe_wait_leave(struct bpipe_channel *ch, struct bpipe_waiter *w)
{
	if (unlikely(w->queued))
		bpipe_wait_leave_queue(ch, w);
}

/**
 * bpipe_wait_update_write() - update if a write has brought the level to wake_above
 * @ch: the channel
 *
 * Context: does not sleep; called without locks, after the level rose.
 */
static inline void bpipe_wait_update_write(struct bpipe_channel *ch)
{
	smp_mb();	/* barrier [B] of the writers; see wait.c */
	if (bpipe_level_now(&ch->level) >= READ_ONCE(ch->wake_above))
		bpipe_wait_update(ch);
}

/**
 * bpipe_wait_update_read() - update if a read has brought the level to wake_below
 * @ch: the channel
 *
 * Context: does not sleep; called without locks, after the level fell.
 */
static inline void bpipe_wait_update_read(struct bpipe_channel *ch)
{
	smp_mb();	/* barrier [B] of the readers; see wait.c */
	if ((long)bpipe_level_now(&ch->level) <= READ_ONCE(ch->wake_below))
		bpipe_wait_update(ch);
}

#endif /* BPIPE_WAIT_H */
