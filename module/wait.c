// SPDX-License-Identifier: GPL-2.0
/*
 * Sleeping and waking: the queues of waiters, the wake-up levels, and the timers.
 *
 * A caller that must sleep queues a struct bpipe_waiter and sets a wake-up level: the level
 * at which the other side must run the update. Then it looks at the level again. The other
 * side moves bytes and then looks at the wake-up level. Each has a full barrier between its
 * two steps. At least one of them sees the other, so no wake-up is lost:
 *
 *	waiter				other side
 *	  set the wake-up level		  move bytes in or out
 *	  smp_mb()   [A]		  smp_mb()   [B]
 *	  look at the level		  look at the wake-up level
 *
 * Barrier [A] is in bpipe_wait_arm_wake_levels_locked(), [B] in bpipe_wait_update_write()
 * and bpipe_wait_update_read().
 *
 * Writers
 *	The queue is ordered by class, then by arrival. Each waiter reserves what it lacks.
 *	While the gate of a class is open, the longest prefix of its queue that fits is woken.
 *	What is reserved ahead counts as used. A woken writer keeps its whole need reserved
 *	until it goes or leaves. So the order among writers woken together is free, and a
 *	writer sleeps once for each time that it lacks something.
 *
 * Readers
 *	Sleeping readers reserve nothing and do not queue behind each other. As many are woken
 *	as records came. Of a stream one is woken, and hands off to the next as it leaves.
 *
 * Bounds
 *	Under one hold of the lock, at most BPIPE_WAKE_MAX writers are admitted, and as many
 *	sleepers are woken by changed settings. Each look at the level wakes as many readers
 *	at most. Each woken waiter runs the update as it leaves, so the rest follow. Tasks
 *	and pollers are woken after the lock is dropped; work items send SIGIO.
 *
 * A wait queue of the kernel cannot keep a place, a class and a reservation. So the waiters
 * are in separate trees, as ipc/mqueue.c and rwsem.c have separate lists.
 */

#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "announce.h"
#include "compat.h"
#include "flow.h"
#include "lock.h"
#include "overload.h"
#include "page.h"
#include "trace.h"
#include "wait.h"

static struct bpipe_waiter *bpipe_first_asleep(const struct bpipe_side *side, u32 class)
{
	struct rb_node *node = rb_first_cached(&side->asleep[class]);

	return node ? rb_entry(node, struct bpipe_waiter, node) : NULL;
}

static bool bpipe_is_writing(const struct bpipe_channel *ch, const struct bpipe_waiter *w)
{
	return w->side == &ch->wr;
}

static bool bpipe_ticket_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct bpipe_waiter, node)->ticket <
	       rb_entry(b, struct bpipe_waiter, node)->ticket;
}

static bool bpipe_threshold_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct bpipe_waiter, node)->threshold <
	       rb_entry(b, struct bpipe_waiter, node)->threshold;
}

static bool bpipe_delay_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct bpipe_waiter, delay_node)->delay_ns <
	       rb_entry(b, struct bpipe_waiter, delay_node)->delay_ns;
}

/* Replace the reservation of a waiting writer. */
static void bpipe_reserve_locked(struct bpipe_channel *ch, struct bpipe_waiter *w,
				 const struct bpipe_need *to)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	bpipe_flow_reserve(&ch->flow, w->class, &w->reserved, to);
	w->reserved = *to;
}

/* Release @reserved of a class's sleepers, except room; or reserve it again. */
static void bpipe_release_locked(struct bpipe_channel *ch, u32 class,
				 const struct bpipe_need *reserved, bool release)
	__must_hold(&ch->lock)
{
	static const struct bpipe_need nothing;
	const struct bpipe_need part = {
		.bytes = reserved->bytes,
		.records = reserved->records,
		.credit = reserved->credit,
	};

	lockdep_assert_held(&ch->lock);
	bpipe_flow_reserve(&ch->flow, class, release ? &part : &nothing,
			   release ? &nothing : &part);
}

/* Add @w to the sum of what the sleepers of its class have reserved, or take it out. */
static void bpipe_sum_asleep_locked(struct bpipe_channel *ch, const struct bpipe_waiter *w,
				    bool with)
	__must_hold(&ch->lock)
{
	struct bpipe_need *sum = &ch->wr.reserved[w->class];
	const struct bpipe_need *n = &w->reserved;

	lockdep_assert_held(&ch->lock);
	sum->room += with ? n->room : -n->room;
	sum->bytes += with ? n->bytes : -n->bytes;
	sum->records += with ? n->records : -n->records;
	sum->credit += with ? n->credit : -n->credit;
	if (unlikely(ch->wr.released & BIT(w->class)))
		bpipe_release_locked(ch, w->class, n, with);
}

/* Put a waiter into the trees and lists of its side. */
static void bpipe_fall_asleep_locked(struct bpipe_channel *ch, struct bpipe_waiter *w)
	__must_hold(&ch->lock)
{
	struct bpipe_side *side = w->side;

	lockdep_assert_held(&ch->lock);
	w->asleep = true;
	w->slept = ++ch->sleeps;
	list_add_tail(&w->sleeper, &side->sleepers);
	list_add_tail(&w->file_sleeper, &w->file->sleepers);
	if (w->rate_waiter) {
		list_add_tail(&w->rate_node, &side->rate_waiters);
	} else if (bpipe_is_writing(ch, w)) {
		rb_add_cached(&w->node, &side->asleep[w->class], bpipe_ticket_less);
		bpipe_sum_asleep_locked(ch, w, true);
	} else {
		rb_add_cached(&w->node, &side->asleep[0], bpipe_threshold_less);
		if (w->delay_ns)
			rb_add_cached(&w->delay_node, &ch->delays, bpipe_delay_less);
	}
}

/* Remove a waiter from the trees and lists: it is woken, or ends its sleep itself. */
static void bpipe_wake_up_locked(struct bpipe_channel *ch, struct bpipe_waiter *w)
	__must_hold(&ch->lock)
{
	struct bpipe_side *side = w->side;

	lockdep_assert_held(&ch->lock);
	w->asleep = false;
	list_del(&w->sleeper);
	list_del(&w->file_sleeper);
	if (w->rate_waiter) {
		list_del(&w->rate_node);
	} else if (bpipe_is_writing(ch, w)) {
		rb_erase_cached(&w->node, &side->asleep[w->class]);
		bpipe_sum_asleep_locked(ch, w, false);
	} else {
		rb_erase_cached(&w->node, &side->asleep[0]);
		if (w->delay_ns)
			rb_erase_cached(&w->delay_node, &ch->delays);
	}
}

/* Wake a sleeper: after the lock is dropped, or now if the list of tasks to wake is full. */
static void bpipe_wake_locked(struct bpipe_channel *ch, struct bpipe_waiter *w)
	__must_hold(&ch->lock)
{
	struct bpipe_wakeups *wake = &ch->wake;

	lockdep_assert_held(&ch->lock);
	bpipe_wake_up_locked(ch, w);
	w->side->wakeups++;
	w->side->woken++;
	WRITE_ONCE(w->woken, true);
	wake->any = true;
	if (wake->tasks < BPIPE_WAKE_MAX)
		wake->task[wake->tasks++] = get_task_struct(w->task);
	else
		wake_up_process(w->task);
}

/* Return the notice for the pollers of a side. bpipe_channel_unlock() delivers it. */
static struct bpipe_notice *bpipe_notice(struct bpipe_channel *ch, struct bpipe_side *side)
{
	ch->wake.any = true;
	return side == &ch->wr ? &ch->wake.wr : &ch->wake.rd;
}

/**
 * bpipe_wait_notify_locked() - notify one exclusive poller of a side, and all others
 * @ch: the channel
 * @side: the side
 * @events: EPOLL* bits, at least one
 *
 * waitqueue_active() needs no barrier: a poller queues before it takes the lock to look.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_notify_locked(struct bpipe_channel *ch, struct bpipe_side *side, __poll_t events)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (waitqueue_active(&side->poll))	/* as above */
		bpipe_notice(ch, side)->events |= events;
}

/**
 * bpipe_wait_notify_all_locked() - notify all pollers of a side, whatever they wait for
 * @ch: the channel
 * @side: the side
 *
 * Wake all exclusive pollers, too: an event as end-of-file is not consumed by the first of
 * them, so a single wake-up would leave the others asleep.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_notify_all_locked(struct bpipe_channel *ch, struct bpipe_side *side)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (waitqueue_active(&side->poll))	/* as above */
		bpipe_notice(ch, side)->all = true;
}

/*
 * Notify pollers and SIGIO that a side can go on. One exclusive poller is enough, unless
 * @each or the side has reasons to wake each: a writer may find its own gate closed, and
 * readers with a delay are notified once for several records. Pollers of other events, as
 * EPOLLPRI, sleep on.
 */
static void bpipe_notify_ready_locked(struct bpipe_channel *ch, struct bpipe_side *side,
				      __poll_t events, bool each)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (waitqueue_active(&side->poll)) {	/* as above */
		struct bpipe_notice *notice = bpipe_notice(ch, side);

		notice->events |= events;
		notice->each |= each || side->wake_all_reasons;
	}
	if (READ_ONCE(side->fasync))
		schedule_work(&side->sigio);
}

static void bpipe_notify_writers_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	bpipe_notify_ready_locked(ch, &ch->wr, EPOLLOUT | EPOLLWRNORM, false);
}

/**
 * bpipe_wait_longest_locked() - return the age of the oldest waiter
 * @ch: the channel
 * @side: the side
 * @account: consider only writers whose sleep counts in this account, from the time at which
 *	it began to; BPIPE_ACCOUNTS for all waiters, from the time at which they queued
 * @now: the time, nanoseconds
 *
 * To bound the work, look only at the head of each class and at the first sleeper.
 *
 * Context: called with the channel's lock held.
 * Return: nanoseconds; 0 without such a waiter.
 */
u64 bpipe_wait_longest_locked(struct bpipe_channel *ch, struct bpipe_side *side,
			      enum bpipe_account account, u64 now)
	__must_hold(&ch->lock)
{
	struct bpipe_waiter *w;
	u64 since = now;
	u32 class;

	lockdep_assert_held(&ch->lock);
	for (class = 0; class < BPIPE_CLASSES; class++) {
		w = bpipe_first_asleep(side, class);
		if (w && account == BPIPE_ACCOUNTS)
			since = min(since, w->queued_at);
		else if (w && w->account == account)
			since = min(since, w->reason_since);
	}
	if (account != BPIPE_ACCOUNTS)
		return now - since;
	w = list_first_entry_or_null(&side->sleepers, struct bpipe_waiter, sleeper);
	return now - (w ? min(since, w->queued_at) : since);
}

/*
 * Wake at most BPIPE_WAKE_MAX sleepers of a list of a side, or of a file, up to sleep number
 * @last. Return true if more may remain.
 */
static bool bpipe_kick_locked(struct bpipe_channel *ch, struct list_head *list, bool file,
			      u64 last)
	__must_hold(&ch->lock)
{
	int n;

	lockdep_assert_held(&ch->lock);
	for (n = 0; n < BPIPE_WAKE_MAX; n++) {
		struct bpipe_waiter *w = file ?
			list_first_entry_or_null(list, struct bpipe_waiter, file_sleeper) :
			list_first_entry_or_null(list, struct bpipe_waiter, sleeper);

		if (!w || w->slept > last)
			return false;
		bpipe_wake_locked(ch, w);
	}
	return true;
}

/* Wake the remaining sleepers up to @last, BPIPE_WAKE_MAX for each hold of the lock. */
static void bpipe_kick_rest(struct bpipe_channel *ch, struct list_head *list, bool file, u64 last)
{
	bool more;

	do {
		bpipe_channel_lock(ch);
		more = bpipe_kick_locked(ch, list, file, last);
		bpipe_channel_unlock(ch);
		cond_resched();
	} while (more);
}

/**
 * bpipe_wait_kick_locked() - wake the sleepers and pollers of a side after a change
 * @ch: the channel, whose settings, open files or life have changed
 * @side: the side
 *
 * The first BPIPE_WAKE_MAX sleepers are woken. The caller reads bpipe_channel.sleeps, drops
 * the lock, and calls bpipe_wait_kick_rest(). A waiter that falls asleep later has already
 * seen the change.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_kick_locked(struct bpipe_channel *ch, struct bpipe_side *side)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	bpipe_wait_notify_all_locked(ch, side);
	if (READ_ONCE(side->fasync))
		schedule_work(&side->sigio);
	bpipe_kick_locked(ch, &side->sleepers, false, ch->sleeps);
}

/**
 * bpipe_wait_kick_rest() - wake the sleepers that bpipe_wait_kick_locked() left asleep
 * @ch: the channel
 * @side: the side that was kicked
 * @last: value of bpipe_channel.sleeps when it was kicked
 *
 * Context: may sleep.
 */
void bpipe_wait_kick_rest(struct bpipe_channel *ch, struct bpipe_side *side, u64 last)
{
	bpipe_kick_rest(ch, &side->sleepers, false, last);
}

/**
 * bpipe_wait_kick_file_locked() - wake the sleepers of a file whose settings changed
 * @bf: the open file
 *
 * All pollers of the writers' side are notified, too. The caller reads bpipe_channel.sleeps,
 * drops the lock, and calls bpipe_wait_kick_file_rest().
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_kick_file_locked(struct bpipe_file *bf)
	__must_hold(&bf->ch->lock)
{
	struct bpipe_channel *ch = bf->ch;

	lockdep_assert_held(&ch->lock);
	bpipe_wait_notify_all_locked(ch, &ch->wr);
	bpipe_kick_locked(ch, &bf->sleepers, true, ch->sleeps);
}

/**
 * bpipe_wait_kick_file_rest() - wake the sleepers that bpipe_wait_kick_file_locked() left
 * @bf: the open file
 * @last: value of bpipe_channel.sleeps when it was kicked
 *
 * Context: may sleep.
 */
void bpipe_wait_kick_file_rest(struct bpipe_file *bf, u64 last)
{
	bpipe_kick_rest(bf->ch, &bf->sleepers, true, last);
}

/**
 * bpipe_wait_timer_by() - start a timer, or bring it forward
 * @timer: a timer of the channel
 * @now: the time, nanoseconds
 * @wait_ns: time from @now at which it must expire at the latest, nanoseconds
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_timer_by(struct hrtimer *timer, u64 now, u64 wait_ns)
{
	ktime_t when = ns_to_ktime(now + wait_ns);

	if (!hrtimer_is_queued(timer) || ktime_before(when, hrtimer_get_expires(timer)))
		hrtimer_start(timer, when, HRTIMER_MODE_ABS_SOFT);
}

/* Return what is reserved ahead of the first sleeper of a class. */
static struct bpipe_need bpipe_ahead_locked(const struct bpipe_channel *ch, u32 class)
	__must_hold(&ch->lock)
{
	const struct bpipe_need *all = &ch->flow.reserved[class];
	const struct bpipe_need *asleep = &ch->wr.reserved[class];

	lockdep_assert_held(&ch->lock);
	return (struct bpipe_need) {
		.room = all->room - asleep->room,
		.bytes = all->bytes - asleep->bytes,
		.records = all->records - asleep->records,
		.credit = all->credit - asleep->credit,
	};
}

/* Return the account in which the sleep of a writer in the queue counts. */
static enum bpipe_account bpipe_account_for(enum bpipe_verdict reason)
{
	return reason == BPIPE_WAIT_TOKENS ? BPIPE_THROTTLED : BPIPE_BLOCKED;
}

/* End a sleep, or the part of it that counts in one account. */
static void bpipe_end_account_locked(struct bpipe_channel *ch, struct bpipe_waiter *w, u64 now)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (bpipe_is_writing(ch, w))
		bpipe_overload_account_locked(ch, now);
	if (w->account == BPIPE_BLOCKED)
		bpipe_overload_stalled_locked(ch, now - w->reason_since);
	bpipe_account_end_locked(w->file, w->account, w->since, now);
}

/* Have the next update notify writers that poll for room, whatever the level is. */
static void bpipe_poll_again_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (ch->poll_level != BPIPE_POLL_NONE)
		ch->poll_level = S64_MAX;
}

/* A reservation ended: let refused and polling writers try again. */
static void bpipe_unreserved_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	ch->retry_gen++;
	bpipe_poll_again_locked(ch);
	if (ch->flow.limited && ch->flow.closed != BPIPE_CLOSED_ALL)
		bpipe_notify_writers_locked(ch);
}

/* Let the head of a class wait for @reason: move its reservation and its account. */
static void bpipe_relabel_locked(struct bpipe_channel *ch, struct bpipe_waiter *w,
				 enum bpipe_verdict reason)
	__must_hold(&ch->lock)
{
	const struct bpipe_need reserve = bpipe_flow_reservation(&w->need, reason);
	u64 now;

	lockdep_assert_held(&ch->lock);
	if (w->wait_reason == reason)
		return;
	w->wait_reason = reason;
	if (memcmp(&w->reserved, &reserve, sizeof(reserve)))
		bpipe_unreserved_locked(ch);
	bpipe_sum_asleep_locked(ch, w, false);
	bpipe_reserve_locked(ch, w, &reserve);
	bpipe_sum_asleep_locked(ch, w, true);
	if (w->account == bpipe_account_for(reason))
		return;
	now = ktime_get_ns();
	bpipe_end_account_locked(ch, w, now);
	w->account = bpipe_account_for(reason);
	w->since = now;
	w->reason_since = now;
	bpipe_account_begin_locked(w->file, w->account, now);
}

/* Admit the head of a class: wake it, and reserve its whole need. */
static void bpipe_admit_waiter_locked(struct bpipe_channel *ch, struct bpipe_waiter *w)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	bpipe_wake_locked(ch, w);
	bpipe_reserve_locked(ch, w, &w->need);
	w->admitted = true;
	ch->wake.writers++;
}

/*
 * Admit the longest prefix of a class's queue that fits. A head that waits for tokens sleeps
 * until its tokens_at, even if enough tokens come in before: it waits for a quantum, so that it
 * is not woken for each byte. A queued timer does not mean that the head set it: pollers set it
 * as well.
 */
static void bpipe_wake_class_locked(struct bpipe_channel *ch, u32 class, u64 level, u64 now)
	__must_hold(&ch->lock)
{
	struct bpipe_waiter *w;

	lockdep_assert_held(&ch->lock);
	while ((w = bpipe_first_asleep(&ch->wr, class)) && ch->wake.writers < BPIPE_WAKE_MAX) {
		struct bpipe_need ahead = bpipe_ahead_locked(ch, class);
		u64 wait_ns = 0;
		enum bpipe_verdict reason = bpipe_flow_fits(&ch->flow, class, &w->need, &ahead,
							    level, now, &wait_ns);

		if (reason == BPIPE_GO && w->wait_reason == BPIPE_WAIT_TOKENS && now < w->tokens_at)
			wait_ns = w->tokens_at - now;
		else if (reason == BPIPE_GO)
			bpipe_admit_waiter_locked(ch, w);
		else
			bpipe_relabel_locked(ch, w, reason);
		if (wait_ns && wait_ns != U64_MAX) {
			w->tokens_at = now + wait_ns;
			bpipe_wait_timer_by(&ch->wr.tokens, now, wait_ns);
		}
		if (w->asleep)
			break;
	}
}

static void bpipe_wake_writers_locked(struct bpipe_channel *ch, u64 level)
	__must_hold(&ch->lock)
{
	u64 now = ch->flow.limited ? ktime_get_ns() : 0;
	u32 class;

	lockdep_assert_held(&ch->lock);
	for (class = 0; class < BPIPE_CLASSES; class++)
		if (ch->wr.waiting & BIT(class) && !bpipe_flow_closed(&ch->flow, class))
			bpipe_wake_class_locked(ch, class, level, now);
}

/**
 * bpipe_wait_granted_locked() - wake and notify writers after a reader granted credit
 * @ch: the channel
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_granted_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	ch->retry_gen++;
	bpipe_poll_again_locked(ch);
	bpipe_wait_update_locked(ch);
	if (ch->flow.closed != BPIPE_CLOSED_ALL)
		bpipe_notify_writers_locked(ch);
}

static bool bpipe_file_threshold_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct bpipe_file, reader.threshold_node)->reader.threshold <
	       rb_entry(b, struct bpipe_file, reader.threshold_node)->reader.threshold;
}

static bool bpipe_file_delay_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct bpipe_file, reader.delay_node)->reader.delay_ns <
	       rb_entry(b, struct bpipe_file, reader.delay_node)->reader.delay_ns;
}

/**
 * bpipe_wait_watch_locked() - notify pollers by the threshold and the delay of a file
 * @bf: the open file of a reader
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_watch_locked(struct bpipe_file *bf)
	__must_hold(&bf->ch->lock)
{
	lockdep_assert_held(&bf->ch->lock);
	rb_add_cached(&bf->reader.threshold_node, &bf->ch->file_thresholds,
		      bpipe_file_threshold_less);
	if (!bf->reader.delay_ns)
		return;
	rb_add_cached(&bf->reader.delay_node, &bf->ch->file_delays, bpipe_file_delay_less);
	/* The end of a delay is one event for all records that came during the delay. */
	bf->ch->rd.wake_all_reasons++;
}

/**
 * bpipe_wait_unwatch_locked() - undo bpipe_wait_watch_locked()
 * @bf: the open file of a reader, before its threshold or its delay changes
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_unwatch_locked(struct bpipe_file *bf)
	__must_hold(&bf->ch->lock)
{
	lockdep_assert_held(&bf->ch->lock);
	rb_erase_cached(&bf->reader.threshold_node, &bf->ch->file_thresholds);
	if (!bf->reader.delay_ns)
		return;
	rb_erase_cached(&bf->reader.delay_node, &bf->ch->file_delays);
	bf->ch->rd.wake_all_reasons--;
}

/* Return the smallest threshold of the readers' files, bytes; U64_MAX without a reader. */
static u64 bpipe_files_threshold_locked(const struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct rb_node *node = rb_first_cached(&ch->file_thresholds);

	lockdep_assert_held(&ch->lock);
	return node ? rb_entry(node, struct bpipe_file, reader.threshold_node)->reader.threshold :
		      U64_MAX;
}

/* Return the shortest delay of the readers' files, nanoseconds; U64_MAX without one. */
static u64 bpipe_files_delay_locked(const struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct rb_node *node = rb_first_cached(&ch->file_delays);

	lockdep_assert_held(&ch->lock);
	return node ? rb_entry(node, struct bpipe_file, reader.delay_node)->reader.delay_ns :
		      U64_MAX;
}

/* Return the shortest delay of the sleeping readers, nanoseconds; U64_MAX without one. */
static u64 bpipe_sleepers_delay_locked(const struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct rb_node *node = rb_first_cached(&ch->delays);

	lockdep_assert_held(&ch->lock);
	return node ? rb_entry(node, struct bpipe_waiter, delay_node)->delay_ns : U64_MAX;
}

/* Return true if a process waits for the side by poll or SIGIO. */
static bool bpipe_polled_locked(struct bpipe_channel *ch, struct bpipe_side *side)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	/* No barrier, as in bpipe_wait_notify_locked(). */
	return waitqueue_active(&side->poll) || READ_ONCE(side->fasync);
}

/*
 * Return true if a writer is stalled: its gate is closed, or it lacks room or credit. Then
 * readers must be woken below their thresholds, or both sides could wait for each other.
 */
static bool bpipe_writer_stalled_locked(const struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	u32 class;

	lockdep_assert_held(&ch->lock);
	if (ch->poll_level != BPIPE_POLL_NONE)
		return true;
	for (class = 0; class < BPIPE_CLASSES; class++) {
		const struct bpipe_waiter *w = bpipe_first_asleep(&ch->wr, class);

		if (w && w->wait_reason != BPIPE_WAIT_TOKENS)
			return true;
		if (bpipe_flow_closed(&ch->flow, class) && ch->band[class] &&
		    ch->band[class]->writers)
			return true;
	}
	return false;
}

/* Return how many more readers to wake: one for each record; of a stream, one. */
static u64 bpipe_readers_due_locked(const struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	u64 due = bpipe_is_record(ch) ? ch->records : 1;

	lockdep_assert_held(&ch->lock);
	return due - min_t(u64, due, ch->rd.woken);
}

/*
 * Return the next reader to wake at @level: one whose threshold is reached, with @any
 * whatever its threshold, with @due one with a delay; or NULL.
 */
static struct bpipe_waiter *bpipe_next_reader_locked(struct bpipe_channel *ch, u64 level, bool any,
						     bool due)
	__must_hold(&ch->lock)
{
	struct bpipe_waiter *w = bpipe_first_asleep(&ch->rd, 0);
	struct rb_node *node = rb_first_cached(&ch->delays);

	lockdep_assert_held(&ch->lock);
	if (w && (any || level >= w->threshold))
		return w;
	return due && node ? rb_entry(node, struct bpipe_waiter, delay_node) : NULL;
}

/* Return the first reader that waits for tokens, if they are due. Otherwise arm the timer. */
static struct bpipe_waiter *bpipe_rate_waiter_due_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct bpipe_waiter *w = list_first_entry_or_null(&ch->rd.rate_waiters, struct bpipe_waiter,
							  rate_node);
	u64 now;

	lockdep_assert_held(&ch->lock);
	if (!w)
		return NULL;
	now = ktime_get_ns();
	if (now >= w->tokens_at)
		return w;
	bpipe_wait_timer_by(&ch->rd.tokens, now, w->tokens_at - now);
	return NULL;
}

/*
 * Wake and notify the readers for which @level is enough, and arm the delay timer for the
 * others. With @due, a delay has expired, so wake readers with a delay, too.
 */
static void bpipe_wake_readers_locked(struct bpipe_channel *ch, u64 level, bool due)
	__must_hold(&ch->lock)
{
	bool any = !ch->wr.open || bpipe_writer_stalled_locked(ch);
	u64 n = min_t(u64, bpipe_readers_due_locked(ch), BPIPE_WAKE_MAX);
	struct bpipe_waiter *w;
	u64 delay_ns;

	lockdep_assert_held(&ch->lock);
	/* One at a time: a woken reader may take all tokens that came in. */
	w = bpipe_rate_waiter_due_locked(ch);
	if (!level)
		return;
	if (n && w) {
		bpipe_wake_locked(ch, w);
		n--;
	}
	for (; n && (w = bpipe_next_reader_locked(ch, level, any, due)); n--)
		bpipe_wake_locked(ch, w);

	delay_ns = n ? bpipe_sleepers_delay_locked(ch) : U64_MAX;
	if (bpipe_polled_locked(ch, &ch->rd)) {
		if (any || due || level >= bpipe_files_threshold_locked(ch))
			bpipe_notify_ready_locked(ch, &ch->rd, EPOLLIN | EPOLLRDNORM, false);
		else
			delay_ns = min(delay_ns, bpipe_files_delay_locked(ch));
	}
	if (delay_ns != U64_MAX)
		bpipe_wait_timer_by(&ch->delay, ktime_get_ns(), delay_ns);
}

/* Return the lowest level at which a reader needs a wake-up, bytes; U64_MAX for none. */
static u64 bpipe_wake_above_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	/* The next byte starts a delay. A timer queued in an empty channel is left over. */
	bool arms_timer = !hrtimer_is_queued(&ch->delay) || !bpipe_level_now(&ch->level);
	bool any = bpipe_writer_stalled_locked(ch);
	struct bpipe_waiter *w = bpipe_first_asleep(&ch->rd, 0);
	u64 up = U64_MAX;

	if (bpipe_rate_waiter_due_locked(ch))
		any = true;
	if ((w || any) && (bpipe_is_record(ch) || !ch->rd.woken)) {
		up = any || (arms_timer && !RB_EMPTY_ROOT(&ch->delays.rb_root)) ? 1 : w->threshold;
		/* Each woken reader takes a record, so another reader needs one more. */
		if (ch->rd.woken)
			up = max_t(u64, up, bpipe_level_now(&ch->level) + 1);
	}
	if (bpipe_polled_locked(ch, &ch->rd))
		up = min(up, any || (arms_timer && !RB_EMPTY_ROOT(&ch->file_delays.rb_root)) ?
			     1 : bpipe_files_threshold_locked(ch));
	return up;
}

/*
 * Return the highest level at which a writer needs a wake-up, bytes; BPIPE_POLL_NONE, or a
 * negative level, for none.
 */
static s64 bpipe_wake_below_locked(const struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	s64 down = ch->poll_level;
	u32 class;

	lockdep_assert_held(&ch->lock);
	for (class = 0; class < BPIPE_CLASSES; class++) {
		const struct bpipe_waiter *w = bpipe_first_asleep(&ch->wr, class);

		if (w && w->wait_reason != BPIPE_WAIT_TOKENS &&
		    !bpipe_flow_closed(&ch->flow, class))
			down = max_t(s64, down, ch->flow.mark[class].limit - w->need.room -
						bpipe_ahead_locked(ch, class).room);
	}
	return down;
}

/**
 * bpipe_wait_arm_wake_levels_locked() - set wake_above and wake_below
 * @ch: the channel
 *
 * Derive the levels from the gates, the waiters and the pollers. This ends in barrier [A]:
 * the caller must look at the level afterwards.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_arm_wake_levels_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	u64 up = min(bpipe_flow_next_up(&ch->flow), bpipe_wake_above_locked(ch));
	s64 down = max(bpipe_flow_next_down(&ch->flow), bpipe_wake_below_locked(ch));

	lockdep_assert_held(&ch->lock);
	/* The status page shows the level, so each move of bytes must update it. */
	if (unlikely(ch->status)) {
		up = 0;
		down = LONG_MAX;
	}
	WRITE_ONCE(ch->wake_above, min_t(u64, up, ULONG_MAX));
	WRITE_ONCE(ch->wake_below, min_t(s64, down, LONG_MAX));
	smp_mb();	/* barrier [A] */
}

/**
 * bpipe_wait_poll_locked() - register a writer that waits for room without sleeping
 * @ch: the channel
 * @level: highest level at which to notify it, bytes; -1: once less is reserved, or a reader
 *	grants credit; BPIPE_POLL_NONE: not here, because the opening of its gate notifies it
 *
 * The caller updates afterwards. The update wakes readers below their thresholds, because a
 * writer is stalled.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_poll_locked(struct bpipe_channel *ch, s64 level)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	ch->poll_level = max(ch->poll_level, level);
}

/* Notify the writers of bpipe_wait_poll_locked() if the level is low enough. */
static void bpipe_poll_due_locked(struct bpipe_channel *ch, u64 level)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (ch->poll_level == BPIPE_POLL_NONE || (s64)level > ch->poll_level)
		return;
	ch->poll_level = BPIPE_POLL_NONE;
	bpipe_wait_notify_all_locked(ch, &ch->wr);
	if (READ_ONCE(ch->wr.fasync))
		schedule_work(&ch->wr.sigio);
}

/**
 * bpipe_wait_state_locked() - check for overload, and announce a change of the state
 * @ch: the channel
 * @changed: the state has changed apart from overload
 * @level: bytes held, 0..flow.size
 * @now: the time, nanoseconds
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_state_locked(struct bpipe_channel *ch, bool changed, u64 level, u64 now)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (!bpipe_overload_look_locked(ch, now) && !changed)
		return;
	ch->event_ns = now;
	ch->state_since = now;
	trace_bpipe_state(ch, bpipe_channel_state_locked(ch), level);
	bpipe_page_update_locked(ch);
	bpipe_announce_locked(ch);
	bpipe_wait_notify_locked(ch, &ch->rd, EPOLLPRI);
	bpipe_wait_notify_locked(ch, &ch->wr, EPOLLPRI);
	if (READ_ONCE(ch->events_fasync))
		schedule_work(&ch->events_sigio);
}

/* Open and close the gates according to the level, and announce what changed. */
static void bpipe_update_gates_locked(struct bpipe_channel *ch, u64 level)
	__must_hold(&ch->lock)
{
	unsigned int changed = bpipe_flow_update(&ch->flow, level);

	lockdep_assert_held(&ch->lock);
	if (changed & (BPIPE_FLOW_ROSE | BPIPE_FLOW_FELL)) {
		bool rose = changed & BPIPE_FLOW_ROSE;
		u64 now = ktime_get_ns();

		ch->high_events += rose;
		ch->low_events += !rose;
		if (rose)
			ch->overload.pressured_since = now;
		bpipe_wait_state_locked(ch, true, level, now);
	}
	if (changed & BPIPE_FLOW_OPENED)
		bpipe_notify_writers_locked(ch);
}

/*
 * Release the tokens and the credit that the sleepers of a class with a closed gate have
 * reserved, and reserve them again when the gate opens. Those sleepers wait for the gate, and
 * less important classes can use both now. Room stays reserved.
 */
static void bpipe_release_closed_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct bpipe_side *side = &ch->wr;
	u32 changed = ch->flow.closed ^ side->released, class;
	bool released = false;

	lockdep_assert_held(&ch->lock);
	side->released = ch->flow.closed;
	for (class = 0; changed && class < BPIPE_CLASSES; class++) {
		const struct bpipe_need *n = &side->reserved[class];
		bool release = side->released & BIT(class);

		if (!(changed & BIT(class)) || !(n->bytes || n->records || n->credit))
			continue;
		bpipe_release_locked(ch, class, n, release);
		released |= release;
	}
	if (released)
		bpipe_unreserved_locked(ch);
}

/*
 * Bring gates, waiters, pollers and wake-up levels in line with the level. Repeat if the level
 * has crossed a wake-up level meanwhile: the other side may not have seen that wake-up level.
 * With @due, a delay of the readers has expired.
 */
static void bpipe_update_due_locked(struct bpipe_channel *ch, bool due)
	__must_hold(&ch->lock)
{
	u64 seen, level = bpipe_level_now(&ch->level);

	lockdep_assert_held(&ch->lock);
	do {
		seen = level;
		bpipe_update_gates_locked(ch, seen);
		bpipe_release_closed_locked(ch);
		bpipe_wake_writers_locked(ch, seen);
		bpipe_wake_readers_locked(ch, seen, due);
		bpipe_poll_due_locked(ch, seen);
		bpipe_wait_arm_wake_levels_locked(ch);
		level = bpipe_level_now(&ch->level);
	} while ((level > seen && level >= ch->wake_above) ||
		 (level < seen && (long)level <= ch->wake_below));
	bpipe_page_update_locked(ch);
}

/**
 * bpipe_wait_update_locked() - bring gates, waiters and pollers in line with the level
 * @ch: the channel
 *
 * Whatever changes under the channel's lock ends here.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_update_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	bpipe_update_due_locked(ch, false);
}

/**
 * bpipe_wait_update() - take the channel's lock and run bpipe_wait_update_locked()
 * @ch: the channel
 *
 * Context: does not sleep; called without the channel's lock.
 */
void bpipe_wait_update(struct bpipe_channel *ch)
{
	bpipe_channel_lock(ch);
	bpipe_wait_update_locked(ch);
	bpipe_channel_unlock(ch);
}

/* Timer: tokens came in for writers. Pollers are notified, and check their own need. */
static enum hrtimer_restart bpipe_write_tokens_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, wr.tokens);

	bpipe_channel_lock(ch);
	bpipe_wait_update_locked(ch);
	if (ch->flow.closed != BPIPE_CLOSED_ALL)
		bpipe_notify_writers_locked(ch);
	bpipe_channel_unlock(ch);
	return HRTIMER_NORESTART;
}

/*
 * Timer: tokens came in for readers. Notify pollers whatever their thresholds: the timer was
 * armed by a reader that found data. Wake all exclusive pollers: without tokens, each record
 * woke a poller that could not read it, and only a poller that looks arms the timer again.
 */
static enum hrtimer_restart bpipe_read_tokens_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, rd.tokens);

	bpipe_channel_lock(ch);
	bpipe_wait_update_locked(ch);
	bpipe_notify_ready_locked(ch, &ch->rd, EPOLLIN | EPOLLRDNORM, true);
	bpipe_channel_unlock(ch);
	return HRTIMER_NORESTART;
}

/* Timer: data has waited for the delay of a reader. */
static enum hrtimer_restart bpipe_data_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, delay);

	bpipe_channel_lock(ch);
	bpipe_update_due_locked(ch, true);
	bpipe_channel_unlock(ch);
	return HRTIMER_NORESTART;
}

/* Timer: the channel may have been pressured for longer than overload_after. */
static enum hrtimer_restart bpipe_overload_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, overload.timer);

	bpipe_channel_lock(ch);
	bpipe_wait_state_locked(ch, false, bpipe_level_now(&ch->level), ktime_get_ns());
	bpipe_channel_unlock(ch);
	return HRTIMER_NORESTART;
}

/* Give a caller a place: of a writer, the last in the queue of its class. */
static void bpipe_join_locked(struct bpipe_channel *ch, struct bpipe_waiter *w)
	__must_hold(&ch->lock)
{
	struct bpipe_side *side = w->side;

	lockdep_assert_held(&ch->lock);
	w->queued = true;
	w->woken = false;
	w->admitted = false;
	w->reserved = (struct bpipe_need) { };
	if (w->rate_waiter || !bpipe_is_writing(ch, w))
		return;
	w->ticket = ch->tickets++;
	side->places[w->class]++;
	WRITE_ONCE(side->waiting, side->waiting | BIT(w->class));
}

/**
 * bpipe_wait_part_locked() - give up a place and its reservation
 * @ch: the channel
 * @w: the caller, queued and awake
 *
 * The caller updates afterwards, to hand off what was reserved.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_part_locked(struct bpipe_channel *ch, struct bpipe_waiter *w)
	__must_hold(&ch->lock)
{
	static const struct bpipe_need nothing;
	struct bpipe_side *side = w->side;

	lockdep_assert_held(&ch->lock);
	if (w->woken)
		side->woken--;
	w->woken = false;
	w->queued = false;
	if (w->rate_waiter || !bpipe_is_writing(ch, w))
		return;
	bpipe_reserve_locked(ch, w, &nothing);
	if (!--side->places[w->class])
		WRITE_ONCE(side->waiting, side->waiting & ~BIT(w->class));
	bpipe_unreserved_locked(ch);
}

/**
 * bpipe_wait_queue_locked() - queue a caller that will sleep
 * @ch: the channel
 * @w: the caller; its side, file, need, reason and times are set
 * @account: the account in which its sleep counts
 *
 * A caller that is already queued keeps its place. The caller updates afterwards, drops its
 * locks, and calls bpipe_wait_sleep().
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_queue_locked(struct bpipe_channel *ch, struct bpipe_waiter *w,
			     enum bpipe_account account)
	__must_hold(&ch->lock)
{
	u64 now = ktime_get_ns();

	lockdep_assert_held(&ch->lock);
	if (!w->queued || w->account != account)
		w->reason_since = now;
	if (!w->queued) {
		bpipe_join_locked(ch, w);
		w->queued_at = now;
	}
	if (w->woken)
		w->side->woken--;
	w->admitted = false;
	w->woken = false;
	w->task = current;
	w->since = now;
	w->account = account;
	if (bpipe_is_writing(ch, w) && !w->rate_waiter) {
		const struct bpipe_need reserve = bpipe_flow_reservation(&w->need, w->wait_reason);

		bpipe_reserve_locked(ch, w, &reserve);
	}
	bpipe_fall_asleep_locked(ch, w);
	if (account == BPIPE_BLOCKED)
		bpipe_overload_account_locked(ch, now);
	bpipe_account_begin_locked(w->file, account, now);
}

/**
 * bpipe_wait_claim() - give a writer a place and reserve its whole need, without a sleep
 * @ch: the channel
 * @w: the caller, not queued; its side, class and need are set
 *
 * Context: does not sleep; called without the channel's lock.
 */
void bpipe_wait_claim(struct bpipe_channel *ch, struct bpipe_waiter *w)
{
	bpipe_channel_lock(ch);
	bpipe_join_locked(ch, w);
	bpipe_reserve_locked(ch, w, &w->need);
	w->admitted = true;
	bpipe_channel_unlock(ch);
}

/**
 * bpipe_wait_sleep() - sleep until woken, a signal comes, or a time is reached
 * @ch: the channel
 * @w: the caller, queued by bpipe_wait_queue_locked(); it keeps its place
 *
 * Context: sleeps; called without locks.
 * Return: 0 if the caller must try again: it was woken, or its @until was reached;
 * -ERESTARTSYS on a signal; -ETIMEDOUT if its deadline expired and it was not woken.
 */
int bpipe_wait_sleep(struct bpipe_channel *ch, struct bpipe_waiter *w)
{
	ktime_t until = min(w->until, w->deadline);
	int ret = 0;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (READ_ONCE(w->woken))
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		if (until == KTIME_MAX) {
			schedule();
		} else if (!schedule_hrtimeout(&until, HRTIMER_MODE_ABS)) {
			ret = until == w->deadline ? -ETIMEDOUT : 0;
			break;
		}
	}
	__set_current_state(TASK_RUNNING);

	bpipe_channel_lock(ch);
	if (w->asleep)
		bpipe_wake_up_locked(ch, w);
	else if (ret == -ETIMEDOUT)
		ret = 0;
	bpipe_end_account_locked(ch, w, ktime_get_ns());
	bpipe_channel_unlock(ch);
	return ret;
}

/**
 * bpipe_wait_leave_queue() - leave the queue, and hand off to the next waiter
 * @ch: the channel
 * @w: the caller, queued and awake
 *
 * Context: does not sleep; called without the channel's lock.
 */
void bpipe_wait_leave_queue(struct bpipe_channel *ch, struct bpipe_waiter *w)
{
	bpipe_channel_lock(ch);
	bpipe_wait_part_locked(ch, w);
	bpipe_wait_update_locked(ch);
	bpipe_channel_unlock(ch);
}

static void bpipe_side_init(struct bpipe_side *side,
			    enum hrtimer_restart (*due)(struct hrtimer *timer))
{
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++)
		side->asleep[class] = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&side->rate_waiters);
	INIT_LIST_HEAD(&side->sleepers);
	init_waitqueue_head(&side->poll);
	hrtimer_setup(&side->tokens, due, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
}

/**
 * bpipe_wait_init() - initialise the queues, the timers and the wake-up levels
 * @ch: the channel, not yet used, with its flow set up
 *
 * Context: does not sleep.
 */
void bpipe_wait_init(struct bpipe_channel *ch)
{
	bpipe_side_init(&ch->wr, bpipe_write_tokens_due);
	bpipe_side_init(&ch->rd, bpipe_read_tokens_due);
	hrtimer_setup(&ch->overload.timer, bpipe_overload_due, CLOCK_MONOTONIC,
		      HRTIMER_MODE_ABS_SOFT);
	hrtimer_setup(&ch->delay, bpipe_data_due, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
	ch->delays = RB_ROOT_CACHED;
	ch->file_thresholds = RB_ROOT_CACHED;
	ch->file_delays = RB_ROOT_CACHED;
	ch->poll_level = BPIPE_POLL_NONE;
	ch->retry_gen = 1;
	ch->wake_above = ch->flow.high;
	ch->wake_below = -1;
}

/**
 * bpipe_wait_uninit() - stop the timers of waiters
 * @ch: the channel, without an open file
 *
 * bpipe_overload_stop() stops the timer of the overload.
 *
 * Context: may sleep.
 */
void bpipe_wait_uninit(struct bpipe_channel *ch)
{
	hrtimer_cancel(&ch->wr.tokens);
	hrtimer_cancel(&ch->rd.tokens);
	hrtimer_cancel(&ch->delay);
}
