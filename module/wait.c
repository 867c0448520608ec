// SPDX-License-Identifier: GPL-2.0
/*
 * Sleeping and waking.
 *
 * A caller that wants to sleep queues a struct bpipe_waiter, sets a wake-up level (a
 * level at which the other side has to look at the waiters), and then looks at the
 * level once more. The other side changes the level and then looks at the trip
 * wire. Each has a full barrier between its two steps, so at least one of them sees
 * the other:
 *
 *	waiter				other side
 *	  wake-up level = ...		  bytes in, or out
 *	  smp_mb()   [A]		  smp_mb()   [B]
 *	  look at the level		  look at the wake-up level
 *
 * Barrier [A] is in bpipe_wait_arm_wake_levels_locked(), [B] in bpipe_wait_update_write()
 * and bpipe_wait_update_read().
 *
 * Writers
 *	The queue goes by class, then by arrival, and each waiter has reserved what it
 *	lacks. While a gate is open, the longest run of waiters from the head of its
 *	queue is woken that fits, with all that is reserved ahead. A woken one has all
 *	that it needs reserved until it goes or leaves, so the order among those woken
 *	together is free, and each sleeps once for each time that something lacked.
 *
 * Readers
 *	They reserve nothing and do not queue behind each other. As many are woken
 *	as records came; of a stream, one, which wakes the next as it leaves.
 *
 * Bounds
 *	At most BPIPE_WAKE_MAX writers have their turn come in one hold of the lock, and
 *	as many of a side are woken by new rules, or readers for each look at the level.
 *	Those left are not forgotten: each waiter that was woken updates as it leaves,
 *	and wakes more. Tasks, pollers and SIGIO are woken when the lock has been dropped.
 *
 * Wait queues of the kernel cannot keep a place, a class and a reservation, so the
 * waiters have trees of their own, as those of ipc/mqueue.c and rwsem.c have lists.
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

/* Change what a waiting writer has reserved. */
static void bpipe_reserve_locked(struct bpipe_channel *ch, struct bpipe_waiter *w,
				 const struct bpipe_need *to)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	bpipe_flow_reserve(&ch->flow, w->class, &w->reserved, to);
	w->reserved = *to;
}

/* Release what a class's sleepers have reserved, except room; or reserve it again. */
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

/* What the sleepers of @w's class have reserved, with or without @w. */
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

/* Into the trees and lists of its side. */
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

/* Out of them: it was woken, or something else woke it. */
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

/* Wake a sleeper, once the lock is dropped if there is room to note it. */
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

static struct bpipe_notice *bpipe_notice(struct bpipe_channel *ch, struct bpipe_side *side)
{
	ch->wake.any = true;
	return side == &ch->wr ? &ch->wake.wr : &ch->wake.rd;
}

/**
 * bpipe_wait_notify_locked() - notify the pollers of a side
 * @ch: the channel
 * @side: that side
 * @events: EPOLL* bits
 *
 * waitqueue_active() needs no barrier here: a poller queues first, and then takes
 * the lock, to look.
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
 * bpipe_wait_notify_all_locked() - have all pollers of a side look again
 * @ch: the channel
 * @side: that side
 *
 * Wake exclusive pollers, too: what is no turn to take, as end-of-file, is not
 * consumed by the first, so a single wake-up would leave the others asleep.
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
 * Something can be done. Writers whose classes or files differ do not stand for each
 * other: an exclusive poller may be woken and find its own gate closed. Nor does one reader
 * stand for all, where data was announced late.
 */
static void bpipe_notify_ready_locked(struct bpipe_channel *ch, struct bpipe_side *side,
				      __poll_t events)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (side->wake_all_reasons)
		bpipe_wait_notify_all_locked(ch, side);
	else
		bpipe_wait_notify_locked(ch, side, events);
	if (READ_ONCE(side->fasync))
		schedule_work(&side->sigio);
}

static void bpipe_notify_writers_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	bpipe_notify_ready_locked(ch, &ch->wr, EPOLLOUT | EPOLLWRNORM);
}

/**
 * bpipe_wait_longest_locked() - age of the oldest waiter
 * @ch: the channel
 * @side: its side
 * @account: of those whose sleep goes there; BPIPE_ACCOUNTS for all
 * @now: the time, nanoseconds
 *
 * Writers are looked at by class, the head of each queue; readers in the order in
 * which they fell asleep.
 *
 * Context: called with the channel's lock held.
 * Return: nanoseconds; 0 if nobody waits.
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
 * Wake some of a list of a side's or of a file's, up to sleep @last. Return whether there
 * may be more.
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

/* Wake the rest of them, some for each hold of the lock. */
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
 * bpipe_wait_kick_locked() - the rules changed: let all of a side look again
 * @ch: the channel
 * @side: whose sleepers and pollers
 *
 * The caller drops the lock and then calls bpipe_wait_kick_rest(). Who falls asleep
 * after the change knows the new rules, and is left asleep.
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
 * bpipe_wait_kick_rest() - wake who was too many for bpipe_wait_kick_locked()
 * @ch: the channel
 * @side: as there
 * @last: bpipe_channel.sleeps then
 *
 * Context: may sleep.
 */
void bpipe_wait_kick_rest(struct bpipe_channel *ch, struct bpipe_side *side, u64 last)
{
	bpipe_kick_rest(ch, &side->sleepers, false, last);
}

/**
 * bpipe_wait_kick_file_locked() - an open file's settings have changed
 * @bf: the open file, whose sleepers look again, as all pollers of writers do
 *
 * The caller drops the lock and then calls bpipe_wait_kick_file_rest().
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
 * bpipe_wait_kick_file_rest() - wake who was too many for bpipe_wait_kick_file_locked()
 * @bf: the open file
 * @last: bpipe_channel.sleeps then
 *
 * Context: may sleep.
 */
void bpipe_wait_kick_file_rest(struct bpipe_file *bf, u64 last)
{
	bpipe_kick_rest(bf->ch, &bf->sleepers, true, last);
}

/**
 * bpipe_wait_timer_by() - start a timer, or bring it forward
 * @timer: a side's timer
 * @now: the time, nanoseconds
 * @wait_ns: when it has to fire at the latest, from then
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_timer_by(struct hrtimer *timer, u64 now, u64 wait_ns)
{
	ktime_t when = ns_to_ktime(now + wait_ns);

	if (!hrtimer_is_queued(timer) || ktime_before(when, hrtimer_get_expires(timer)))
		hrtimer_start(timer, when, HRTIMER_MODE_ABS_SOFT);
}

/* What is reserved ahead of the first sleeper of a class. */
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

/* The account that a writer's sleep goes to. */
static enum bpipe_account bpipe_account_for(enum bpipe_verdict reason)
{
	return reason == BPIPE_WAIT_TOKENS ? BPIPE_THROTTLED : BPIPE_BLOCKED;
}

/* A sleep, or the part of it that goes to one account, is over. */
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

/* Have the writers that wait for room without sleeping notified whatever the level is. */
static void bpipe_poll_again_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (ch->poll_level != BPIPE_POLL_NONE)
		ch->poll_level = S64_MAX;
}

/* A reservation ended: what was kept from pollers may be there for them now. */
static void bpipe_unreserved_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	ch->retry_gen++;
	bpipe_poll_again_locked(ch);
	if (ch->flow.limited && ch->flow.closed != BPIPE_CLOSED_ALL)
		bpipe_notify_writers_locked(ch);
}

/* The first of a class lacks something else by now. */
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

/* The turn of the first of a class has come. */
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
 * Wake the writers of a class whose turn has come. The first leaves tokens to come in until
 * its own time, also when there are enough for it before. That the timer is queued says
 * nothing: pollers, too, set it.
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
 * bpipe_wait_granted_locked() - a reader granted more
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
 * bpipe_wait_watch_locked() - pollers of an open file wait for its threshold and delay
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
	/* The end of a delay is one event for all the records that came during it. */
	bf->ch->rd.wake_all_reasons++;
}

/**
 * bpipe_wait_unwatch_locked() - undo bpipe_wait_watch_locked(), before either changes
 * @bf: the open file
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

/* The smallest threshold, or the shortest delay, that readers' files ask for. */
static u64 bpipe_files_threshold_locked(const struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct rb_node *node = rb_first_cached(&ch->file_thresholds);

	lockdep_assert_held(&ch->lock);
	return node ? rb_entry(node, struct bpipe_file, reader.threshold_node)->reader.threshold :
		      U64_MAX;
}

static u64 bpipe_files_delay_locked(const struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct rb_node *node = rb_first_cached(&ch->file_delays);

	lockdep_assert_held(&ch->lock);
	return node ? rb_entry(node, struct bpipe_file, reader.delay_node)->reader.delay_ns :
		      U64_MAX;
}

static u64 bpipe_sleepers_delay_locked(const struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct rb_node *node = rb_first_cached(&ch->delays);

	lockdep_assert_held(&ch->lock);
	return node ? rb_entry(node, struct bpipe_waiter, delay_node)->delay_ns : U64_MAX;
}

/* Does a process learn of data by poll or SIGIO? */
static bool bpipe_polled_locked(struct bpipe_channel *ch, struct bpipe_side *side)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	/* as in bpipe_wait_notify_locked() */
	return waitqueue_active(&side->poll) || READ_ONCE(side->fasync);
}

/*
 * Does a writer need readers to come, be it for less than they wait for? Its gate is
 * closed, or it lacks room or credit.
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

/* How many readers there is something for: as many as records, or one. */
static u64 bpipe_readers_due_locked(const struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	u64 due = bpipe_is_record(ch) ? ch->records : 1;

	lockdep_assert_held(&ch->lock);
	return due - min_t(u64, due, ch->rd.woken);
}

/* The next reader to wake for @level bytes; NULL if none is content with that. */
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

/* The first reader that has waited for tokens, if they are due; else the timer is set. */
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
 * Wake the readers that are content with @level bytes. With @due, data has waited for
 * long enough, so also one that set a delay.
 */
static void bpipe_wake_readers_locked(struct bpipe_channel *ch, u64 level, bool due)
	__must_hold(&ch->lock)
{
	bool any = !ch->wr.open || bpipe_writer_stalled_locked(ch);
	u64 n = min_t(u64, bpipe_readers_due_locked(ch), BPIPE_WAKE_MAX);
	struct bpipe_waiter *w;
	u64 delay_ns;

	lockdep_assert_held(&ch->lock);
	/* Those that wait for tokens are woken one by one. */
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
			bpipe_notify_ready_locked(ch, &ch->rd, EPOLLIN | EPOLLRDNORM);
		else
			delay_ns = min(delay_ns, bpipe_files_delay_locked(ch));
	}
	if (delay_ns != U64_MAX)
		bpipe_wait_timer_by(&ch->delay, ktime_get_ns(), delay_ns);
}

/* The level, or above, at which readers want to be woken. */
static u64 bpipe_wake_above_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	/* A delay runs from the next byte on; the timer may be left from old ones. */
	bool arms_timer = !hrtimer_is_queued(&ch->delay) || !bpipe_level_now(&ch->level);
	bool any = bpipe_writer_stalled_locked(ch);
	struct bpipe_waiter *w = bpipe_first_asleep(&ch->rd, 0);
	u64 up = U64_MAX;

	if (bpipe_rate_waiter_due_locked(ch))
		any = true;
	if ((w || any) && (bpipe_is_record(ch) || !ch->rd.woken)) {
		up = any || (arms_timer && !RB_EMPTY_ROOT(&ch->delays.rb_root)) ? 1 : w->threshold;
		/* One more record for one more reader. */
		if (ch->rd.woken)
			up = max_t(u64, up, bpipe_level_now(&ch->level) + 1);
	}
	if (bpipe_polled_locked(ch, &ch->rd))
		up = min(up, any || (arms_timer && !RB_EMPTY_ROOT(&ch->file_delays.rb_root)) ?
			     1 : bpipe_files_threshold_locked(ch));
	return up;
}

/* The level, or below, at which writers want to be woken; -1 for none. */
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
 * bpipe_wait_arm_wake_levels_locked() - set the wake-up levels to what is waited for
 * @ch: the channel
 *
 * Ends in barrier [A]: the caller looks at the level after this.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_arm_wake_levels_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	u64 up = min(bpipe_flow_next_up(&ch->flow), bpipe_wake_above_locked(ch));
	s64 down = max(bpipe_flow_next_down(&ch->flow), bpipe_wake_below_locked(ch));

	lockdep_assert_held(&ch->lock);
	/* The status page changes with every byte. */
	if (unlikely(ch->status)) {
		up = 0;
		down = LONG_MAX;
	}
	WRITE_ONCE(ch->wake_above, min_t(u64, up, ULONG_MAX));
	WRITE_ONCE(ch->wake_below, min_t(s64, down, LONG_MAX));
	smp_mb();	/* barrier [A] */
}

/**
 * bpipe_wait_poll_locked() - a writer that does not wait wants room
 * @ch: the channel
 * @level: notify it once the level is at this or below, bytes; -1: once less is
 *	reserved; S64_MIN: when its gate opens, which is seen to anyway
 *
 * The caller updates after this, and so readers come for what there is, be it less
 * than they wait for.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_poll_locked(struct bpipe_channel *ch, s64 level)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	ch->poll_level = max(ch->poll_level, level);
}

/* Notify those writers, if that is so by now. */
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
 * bpipe_wait_state_locked() - the state of the channel has changed, or may have
 * @ch: the channel
 * @changed: it has
 * @level: bytes held
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

/* Brings the gates in line with the level. */
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
 * While the gate of a class is closed, its sleepers wait for that. They keep their room, but
 * no tokens and no credit, from less important classes: those can use them now.
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
 * Bring gates, waiters, pollers and wake-up levels in line with the level. Do so again if
 * the level has moved past a wake-up level: whoever moved it may not have seen that one.
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
 * bpipe_wait_update_locked() - bring all in line with the level
 * @ch: the channel
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
 * bpipe_wait_update() - bring all in line with the level
 * @ch: the channel
 *
 * Context: does not sleep.
 */
void bpipe_wait_update(struct bpipe_channel *ch)
{
	bpipe_channel_lock(ch);
	bpipe_wait_update_locked(ch);
	bpipe_channel_unlock(ch);
}

/* Tokens are there for those that wait for them; pollers see for themselves. */
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
 * Likewise for readers, whatever their thresholds: they have seen something. Wake exclusive
 * pollers, too: while tokens lacked, each record woke a poller that could not read it, and
 * the timer runs again only for a poller that looks.
 */
static enum hrtimer_restart bpipe_read_tokens_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, rd.tokens);

	bpipe_channel_lock(ch);
	bpipe_wait_update_locked(ch);
	bpipe_notify_ready_locked(ch, &ch->rd, EPOLLIN | EPOLLRDNORM);
	bpipe_wait_notify_all_locked(ch, &ch->rd);
	bpipe_channel_unlock(ch);
	return HRTIMER_NORESTART;
}

/* Data has waited as long as the readers let it. */
static enum hrtimer_restart bpipe_data_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, delay);

	bpipe_channel_lock(ch);
	bpipe_update_due_locked(ch, true);
	bpipe_channel_unlock(ch);
	return HRTIMER_NORESTART;
}

/* The channel may have been pressured for too long. */
static enum hrtimer_restart bpipe_overload_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, overload.timer);

	bpipe_channel_lock(ch);
	bpipe_wait_state_locked(ch, false, bpipe_level_now(&ch->level), ktime_get_ns());
	bpipe_channel_unlock(ch);
	return HRTIMER_NORESTART;
}

/* A place in the queue, the last of its class. */
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
 * bpipe_wait_part_locked() - give up a place, and what was reserved with it
 * @ch: the channel
 * @w: the caller, in a queue and awake
 *
 * The caller of this updates after it.
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
 * bpipe_wait_queue_locked() - queue a caller, that then sleeps
 * @ch: the channel
 * @w: the caller; what it needs, where it waits and until when is set
 * @account: what it sleeps for
 *
 * A caller that is queued keeps its place. The caller of this updates after it.
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
 * bpipe_wait_claim() - reserve all that a writer needs, without waiting
 * @ch: the channel
 * @w: the caller, not queued; its side, class and need are set
 *
 * Context: does not sleep.
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
 * bpipe_wait_sleep() - sleep until woken, or it is time
 * @ch: the channel
 * @w: the caller, in a queue of it
 *
 * Context: sleeps.
 * Return: 0 to look again, -ERESTARTSYS if a signal came first, -ETIMEDOUT if its deadline
 * did.
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
 * bpipe_wait_leave_queue() - leave the queue, and let others go on
 * @ch: the channel
 * @w: the caller, in it
 *
 * Context: does not sleep.
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
 * bpipe_wait_init() - nobody waits
 * @ch: the channel, its flow set up
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
 * bpipe_wait_uninit() - stop the timers
 * @ch: the channel, which nobody has open
 *
 * Context: may sleep.
 */
void bpipe_wait_uninit(struct bpipe_channel *ch)
{
	hrtimer_cancel(&ch->wr.tokens);
	hrtimer_cancel(&ch->rd.tokens);
	hrtimer_cancel(&ch->delay);
}
