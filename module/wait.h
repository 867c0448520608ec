/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_WAIT_H
#define BPIPE_WAIT_H

#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/rbtree.h>

#include <asm/barrier.h>

#include "types.h"

/* Internal: the caller was queued and has to sleep. Never seen by users. */
#define EBPIPE_QUEUED	(MAX_ERRNO - 1)
/* Internal: the caller has done a bounded piece of work and tries again. Never seen by users. */
#define EBPIPE_RETRY	(MAX_ERRNO - 2)

/**
 * struct bpipe_waiter - a reader or writer that waits, on its own stack
 * @node: in @side's asleep[@class]: writers by @ticket, readers by @threshold
 * @rate_node: in @side's rate_waiters, if @rate_waiter
 * @delay_node: in the channel's delays, by @delay_ns, of a reader whose file has a delay
 * @sleeper: in @side's sleepers
 * @file_sleeper: in @file's sleepers
 * @side: its side
 * @file: the open file of the call
 * @task: the task to wake
 * @ticket: of a writer: its place in the queue of its class
 * @slept: the channel's number of this sleep, see bpipe_channel.sleeps
 * @threshold: of a reader: wake it at this level, bytes, from 1
 * @delay_ns: of a reader: wake it when data has waited so long, nanoseconds; 0 for never
 * @queued_at: time at which it queued, nanoseconds
 * @reason_since: time at which its sleeps began to count in @account, nanoseconds
 * @since: time at which this sleep began, nanoseconds
 * @deadline: time at which it gives up; KTIME_MAX for never
 * @until: time at which it looks again by itself; KTIME_MAX for never
 * @tokens_at: time until which tokens are left to come in, nanoseconds, if it waits for them
 * @need: of a writer: what it needs to go on
 * @reserved: of a writer: what of @need is reserved for it now
 * @wait_reason: what it waits for: BPIPE_WAIT_*
 * @account: what this sleep counts as
 * @class: of a writer: its class, 0..7; of a reader: 0
 * @queued: it has a place, asleep or not
 * @rate_waiter: it waits for tokens of its own file, or of the readers, beside the queue
 * @asleep: it is in the trees and lists, and has not been woken
 * @admitted: of a writer: its turn has come, and all of @need is reserved for it
 * @woken: it has to look again; read without the lock by the waiter
 *
 * The caller sets the fields up to its first call of bpipe_wait_queue_locked(). From then
 * channel.lock protects them.
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
 * bpipe_wait_must_queue() - return true if writers of a class or above wait
 * @side: the writers' side
 * @class: the class
 *
 * Without the lock, the answer is as good as the moment is.
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
 * bpipe_wait_leave() - leave the queue, if in it, and let others go on
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
 * bpipe_wait_update_write() - look at the readers' wake-up level, after bytes went in
 * @ch: the channel
 *
 * Context: does not sleep; no lock held.
 */
static inline void bpipe_wait_update_write(struct bpipe_channel *ch)
{
	smp_mb();	/* barrier [B] of the writers; see wait.c */
	if (bpipe_level_now(&ch->level) >= READ_ONCE(ch->wake_above))
		bpipe_wait_update(ch);
}

/**
 * bpipe_wait_update_read() - look at the writers' wake-up level, after bytes came out
 * @ch: the channel
 *
 * Context: does not sleep; no lock held.
 */
static inline void bpipe_wait_update_read(struct bpipe_channel *ch)
{
	smp_mb();	/* barrier [B] of the readers; see wait.c */
	if ((long)bpipe_level_now(&ch->level) <= READ_ONCE(ch->wake_below))
		bpipe_wait_update(ch);
}

#endif /* BPIPE_WAIT_H */
