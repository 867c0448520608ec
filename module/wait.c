// SPDX-License-Identifier: GPL-2.0
/*
 * Sleeping and waking.
 *
 * Who wants to sleep queues a struct bpipe_waiter, sets a trip wire (a level at
 * which the other side has to look at the sleepers), and then looks at the
 * level once more. The other side changes the level and then looks at the trip
 * wire. Each has a full barrier between its two steps, so at least one
 * of them sees the other:
 *
 *	sleeper				other side
 *	  trip wire = ...		  bytes in, or out
 *	  smp_mb()   [A]		  smp_mb()   [B]
 *	  look at the level		  look at the trip wire
 *
 * Barrier [A] is in bpipe_wait_set_trips_locked(), [B] in
 * bpipe_wait_settle_write() and bpipe_wait_settle_read().
 *
 * A waiter stays in its place in the queue until it is done or gives up;
 * whoever leaves the queue hands on to the next. Writers queue by class, and the
 * first is that of the most important class; readers are all of class 0.
 */

#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "channel.h"
#include "compat.h"
#include "status.h"
#include "trace.h"
#include "wait.h"

static void bpipe_wake_locked(struct bpipe_side *side, struct bpipe_waiter *w)
{
	if (w->woken)
		return;
	side->wakeups++;
	WRITE_ONCE(w->woken, true);
	wake_up_process(w->task);
}

/*
 * waitqueue_active() needs no barrier here: who polls queues first, and then
 * takes the lock, to look.
 */
static void bpipe_tell_locked(struct bpipe_side *side, __poll_t events)
{
	if (waitqueue_active(&side->poll))	/* as above */
		wake_up_interruptible_poll(&side->poll, events);
}

/**
 * bpipe_wait_tell_all_locked() - have all pollers of a side look again
 * @side: that side
 *
 * Also each of those who poll exclusively: of what is no turn to take, as the
 * end, nobody who heard would tell the others.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_tell_all_locked(struct bpipe_side *side)
{
	if (waitqueue_active(&side->poll))	/* as above */
		wake_up_interruptible_all(&side->poll);
}

/*
 * Writers whose classes or files differ do not stand for each other: one who
 * polls exclusively may have been told and be shut out.
 */
static void bpipe_wake_pollers_locked(struct bpipe_side *side, __poll_t events, int band)
{
	if (side->uneven)
		bpipe_wait_tell_all_locked(side);
	else
		bpipe_tell_locked(side, events);
	kill_fasync(&side->fasync, SIGIO, band);
}

/**
 * bpipe_wait_longest_locked() - how long the one that has waited longest waits
 * @side: its side
 * @account: of those in the queue whose sleep goes there; NULL for all
 * @now: the time, nanoseconds
 *
 * Context: called with the channel's lock held.
 * Return: nanoseconds; 0 if nobody waits.
 */
u64 bpipe_wait_longest_locked(struct bpipe_side *side, const struct bpipe_delay *account, u64 now)
{
	struct bpipe_waiter *w;
	u64 since = now;
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++) {
		w = list_first_entry_or_null(&side->waiters[class], struct bpipe_waiter, node);
		if (w && !account)
			since = min(since, w->queued_at);
		else if (w && w->delay == account)
			since = min(since, w->lacking_since);
	}
	if (account)
		return now - since;
	w = list_first_entry_or_null(&side->apart, struct bpipe_waiter, node);
	return now - (w ? min(since, w->queued_at) : since);
}

/**
 * bpipe_wait_wake_all_locked() - the rules changed: let everybody look again
 * @side: whose sleepers and pollers
 * @band: what SIGIO says: POLL_IN or POLL_OUT
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_wake_all_locked(struct bpipe_side *side, int band)
{
	struct bpipe_waiter *w;
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++)
		list_for_each_entry(w, &side->waiters[class], node)
			bpipe_wake_locked(side, w);
	list_for_each_entry(w, &side->apart, node)
		bpipe_wake_locked(side, w);
	bpipe_wait_tell_all_locked(side);
	kill_fasync(&side->fasync, SIGIO, band);
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

/*
 * It is the turn of the first of the writers' queue, once its gate is open;
 * unless the timer will tell it.
 */
static void bpipe_wake_writer_locked(struct bpipe_channel *ch)
{
	struct bpipe_waiter *w = bpipe_wait_first(&ch->wr);

	if (w && !w->timed && !bpipe_flow_shut(&ch->flow, w->class))
		bpipe_wake_locked(&ch->wr, w);
}

/**
 * bpipe_wait_wake_file_locked() - an open file's settings as a writer have changed
 * @bf: the open file, whose own sleepers and all pollers look again
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_wake_file_locked(struct bpipe_file *bf)
{
	struct bpipe_side *side = &bf->ch->wr;
	struct bpipe_waiter *w;
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++)
		list_for_each_entry(w, &side->waiters[class], node)
			if (w->file == bf)
				bpipe_wake_locked(side, w);
	list_for_each_entry(w, &side->apart, node)
		if (w->file == bf)
			bpipe_wake_locked(side, w);
	bpipe_wait_tell_all_locked(side);
}

/**
 * bpipe_wait_granted_locked() - a reader granted more
 * @ch: the channel
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_granted_locked(struct bpipe_channel *ch)
{
	ch->chances++;
	/* A gate that was shut where it is to be open again was left to the next to come. */
	bpipe_wait_settle_locked(ch);
	if (ch->flow.shut != BPIPE_SHUT_ALL)
		bpipe_wake_pollers_locked(&ch->wr, EPOLLOUT | EPOLLWRNORM, POLL_OUT);
}

/*
 * The writers' queue has changed: what is kept is for whoever is first now. If
 * that is another one than @before, no timer was started for it, so it has to
 * look whether there is enough for it, unless that is what the caller has just
 * done; and pollers may find less kept from them.
 */
static void bpipe_writer_first_locked(struct bpipe_channel *ch, const struct bpipe_waiter *before)
{
	struct bpipe_waiter *w = bpipe_wait_first(&ch->wr);

	bpipe_flow_keep(&ch->flow, w ? w->promise : (struct bpipe_promise) { });
	if (w == before)
		return;
	ch->chances++;
	if (w)
		w->timed = false;
	if (!before || ch->flow.shut == BPIPE_SHUT_ALL)
		return;
	if (w && w->task != current)
		bpipe_wake_writer_locked(ch);
	bpipe_wake_pollers_locked(&ch->wr, EPOLLOUT | EPOLLWRNORM, POLL_OUT);
}

/* The smallest threshold, or the shortest delay, that readers' files ask for. */
static u64 bpipe_files_threshold_locked(struct bpipe_channel *ch)
{
	struct bpipe_file *bf;
	u64 least = ch->flow.size;

	list_for_each_entry(bf, &ch->rd.files, rd_node)
		least = min(least, bf->threshold);
	return least;
}

static u64 bpipe_files_delay_locked(struct bpipe_channel *ch)
{
	struct bpipe_file *bf;
	u64 least = U64_MAX;

	list_for_each_entry(bf, &ch->rd.files, rd_node)
		if (bf->delay_ns)
			least = min(least, bf->delay_ns);
	return least;
}

/* Is anybody there who learns of data by poll or SIGIO? */
static bool bpipe_polled_locked(struct bpipe_side *side)
{
	/* as in bpipe_tell_locked() */
	return waitqueue_active(&side->poll) || READ_ONCE(side->fasync);
}

/* Is the first of the writers asleep for want of credit? No gate is shut by that. */
static bool bpipe_owed_locked(struct bpipe_channel *ch)
{
	const struct bpipe_waiter *w = bpipe_wait_first(&ch->wr);

	return w && w->owed && !w->woken;
}

/*
 * Wakes the readers who are content with @level bytes: pollers, and the first sleeper
 * whose threshold it has reached; that one wakes the next when it leaves. With @now,
 * no threshold matters; with @due, as data has waited long enough, none of those who
 * set a delay. Who waits for tokens is told by the timer.
 */
static void bpipe_wake_readers_locked(struct bpipe_channel *ch, u64 level, bool now, bool due)
{
	u64 delay_ns = U64_MAX;
	struct bpipe_waiter *w;

	if (!level)
		return;
	list_for_each_entry(w, &ch->rd.waiters[0], node) {
		if (w->woken || w->timed)
			break;
		if (now || level >= w->file->threshold || (due && w->file->delay_ns)) {
			bpipe_wake_locked(&ch->rd, w);
			break;
		}
		if (w->file->delay_ns)
			delay_ns = min(delay_ns, w->file->delay_ns);
	}
	if (bpipe_polled_locked(&ch->rd)) {
		if (now || due || level >= bpipe_files_threshold_locked(ch))
			bpipe_wake_pollers_locked(&ch->rd, EPOLLIN | EPOLLRDNORM, POLL_IN);
		else
			delay_ns = min(delay_ns, bpipe_files_delay_locked(ch));
	}
	if (delay_ns != U64_MAX)
		bpipe_wait_timer_by(&ch->delay, ktime_get_ns(), delay_ns);
}

/**
 * bpipe_wait_set_trips_locked() - set the trip wires to what is waited for
 * @ch: the channel
 *
 * Ends in barrier [A]: the caller looks at the level after this.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_set_trips_locked(struct bpipe_channel *ch)
{
	/* A delay runs from the next byte on; the timer may be left from old ones. */
	bool timed = !hrtimer_is_queued(&ch->delay) || !bpipe_level_now(&ch->level);
	bool owed = bpipe_owed_locked(ch);
	unsigned long up = min_t(u64, bpipe_flow_next_up(&ch->flow), ULONG_MAX);
	long down = bpipe_flow_next_down(&ch->flow);
	struct bpipe_waiter *w;

	list_for_each_entry(w, &ch->rd.waiters[0], node) {
		if (w->woken || w->timed)
			break;
		up = min_t(unsigned long, up,
			   owed || (timed && w->file->delay_ns) ? 1 : w->file->threshold);
	}
	if (bpipe_polled_locked(&ch->rd))
		up = min_t(unsigned long, up,
			   owed || (timed && bpipe_files_delay_locked(ch) != U64_MAX) ?
			   1 : bpipe_files_threshold_locked(ch));

	/* The status page changes with every byte. */
	if (unlikely(ch->status)) {
		up = 0;
		down = LONG_MAX;
	}
	WRITE_ONCE(ch->trip_up, up);
	WRITE_ONCE(ch->trip_down, down);
	smp_mb();	/* barrier [A] */
}

/**
 * bpipe_wait_held_up_locked() - a writer cannot go on until something is read
 * @ch: the channel
 *
 * So readers come for what there is, be it less than they wait for. Ends in
 * barrier [A], as bpipe_wait_set_trips_locked().
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_held_up_locked(struct bpipe_channel *ch)
{
	bpipe_wake_readers_locked(ch, bpipe_level_now(&ch->level), true, false);
	bpipe_wait_set_trips_locked(ch);
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
{
	if (!bpipe_overload_look_locked(ch, now) && !changed)
		return;
	ch->event_ns = now;
	ch->state_since = now;
	trace_bpipe_state(ch, bpipe_channel_state_locked(ch), level);
	bpipe_status_update_locked(ch);
	bpipe_tell_locked(&ch->rd, EPOLLPRI);
	bpipe_tell_locked(&ch->wr, EPOLLPRI);
}

/* Brings the gates in line with the level. */
static void bpipe_update_gates_locked(struct bpipe_channel *ch, u64 level)
{
	unsigned int changed = bpipe_flow_update(&ch->flow, level);

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
		bpipe_wake_pollers_locked(&ch->wr, EPOLLOUT | EPOLLWRNORM, POLL_OUT);
}

/*
 * Brings gate, sleepers, pollers and trip wires in line with the level; and
 * once more if it has crossed a new trip wire before that was there to see.
 */
static void bpipe_settle_due_locked(struct bpipe_channel *ch, bool due)
{
	u64 seen, level = bpipe_level_now(&ch->level);
	bool now;

	do {
		seen = level;
		bpipe_update_gates_locked(ch, seen);
		now = ch->flow.shut || !ch->wr.open || bpipe_owed_locked(ch);
		bpipe_wake_writer_locked(ch);
		bpipe_wake_readers_locked(ch, seen, now, due);
		bpipe_wait_set_trips_locked(ch);
		level = bpipe_level_now(&ch->level);
	} while ((seen < ch->trip_up && level >= ch->trip_up) ||
		 ((long)seen > ch->trip_down && (long)level <= ch->trip_down));
	bpipe_status_update_locked(ch);
}

/**
 * bpipe_wait_settle_locked() - bring all in line with the level
 * @ch: the channel
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_settle_locked(struct bpipe_channel *ch)
{
	bpipe_settle_due_locked(ch, false);
}

/**
 * bpipe_wait_settle() - bring all in line with the level
 * @ch: the channel
 *
 * Context: does not sleep.
 */
void bpipe_wait_settle(struct bpipe_channel *ch)
{
	spin_lock_bh(&ch->lock);
	bpipe_wait_settle_locked(ch);
	spin_unlock_bh(&ch->lock);
}

/* Tokens are there for whoever waits for them; they see for themselves. */
static enum hrtimer_restart bpipe_write_tokens_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, wr.tokens);
	struct bpipe_waiter *w;

	spin_lock_bh(&ch->lock);
	w = bpipe_wait_first(&ch->wr);
	if (w)
		bpipe_wake_locked(&ch->wr, w);
	if (ch->flow.shut != BPIPE_SHUT_ALL)
		bpipe_wake_pollers_locked(&ch->wr, EPOLLOUT | EPOLLWRNORM, POLL_OUT);
	spin_unlock_bh(&ch->lock);
	return HRTIMER_NORESTART;
}

/* Likewise for readers, whatever their thresholds: they have seen something. */
static enum hrtimer_restart bpipe_read_tokens_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, rd.tokens);
	struct bpipe_waiter *w;

	spin_lock_bh(&ch->lock);
	list_for_each_entry(w, &ch->rd.waiters[0], node)
		if (w->timed)
			bpipe_wake_locked(&ch->rd, w);
	bpipe_wake_pollers_locked(&ch->rd, EPOLLIN | EPOLLRDNORM, POLL_IN);
	spin_unlock_bh(&ch->lock);
	return HRTIMER_NORESTART;
}

/* Data has waited as long as the readers let it. */
static enum hrtimer_restart bpipe_data_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, delay);

	spin_lock_bh(&ch->lock);
	bpipe_settle_due_locked(ch, true);
	spin_unlock_bh(&ch->lock);
	return HRTIMER_NORESTART;
}

/* Into its queue, at the end. */
static void bpipe_join_locked(struct bpipe_waiter *w)
{
	struct bpipe_side *side = w->side;

	list_add_tail(&w->node, w->apart ? &side->apart : &side->waiters[w->class]);
	if (!w->apart)
		WRITE_ONCE(side->waiting, side->waiting | BIT(w->class));
	w->queued = true;
}

static void bpipe_part_locked(struct bpipe_waiter *w)
{
	struct bpipe_side *side = w->side;

	list_del(&w->node);
	if (!w->apart && list_empty(&side->waiters[w->class]))
		WRITE_ONCE(side->waiting, side->waiting & ~BIT(w->class));
	w->queued = false;
}

/**
 * bpipe_wait_queue_locked() - put a caller into its side's queue
 * @ch: the channel
 * @w: the caller, who then sleeps; its @side, @file, @until and @deadline are set
 * @class: in whose queue
 * @apart: not in the queue, but apart
 * @delay: the channel's account for that
 * @file_delay: the open file's
 *
 * One that is in the queue keeps its place, unless it got something in the
 * meantime: then it goes to the end.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_queue_locked(struct bpipe_channel *ch, struct bpipe_waiter *w, u32 class,
			     bool apart, struct bpipe_delay *delay,
			     struct bpipe_delay *file_delay)
{
	const struct bpipe_waiter *before = bpipe_wait_first(&ch->wr);
	u64 now = ktime_get_ns();

	if (w->queued && (w->progress || w->apart != apart))
		bpipe_part_locked(w);
	if (!w->queued || w->delay != delay)
		w->lacking_since = now;
	if (!w->queued) {
		w->class = class;
		w->apart = apart;
		bpipe_join_locked(w);
		w->queued_at = now;
	}
	w->progress = false;
	w->woken = false;
	w->task = current;
	w->since = now;
	w->delay = delay;
	w->file_delay = file_delay;
	if (delay == &ch->blocked)
		bpipe_overload_account_locked(ch, now);
	bpipe_delay_begin(delay, now);
	bpipe_delay_begin(file_delay, now);
	bpipe_writer_first_locked(ch, before);
	bpipe_status_update_locked(ch);
}

/**
 * bpipe_wait_sleep() - sleep until woken, or it is time
 * @ch: the channel
 * @w: the caller, in a queue of it
 *
 * Context: sleeps.
 * Return: 0 to look again, -ERESTARTSYS if a signal came first (-EINTR if it has a
 * deadline), -ETIMEDOUT if its deadline did.
 */
int bpipe_wait_sleep(struct bpipe_channel *ch, struct bpipe_waiter *w)
{
	ktime_t until = min(w->until, w->deadline);
	int ret = 0;
	u64 now;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (READ_ONCE(w->woken))
			break;
		if (signal_pending(current)) {
			/* Begun anew, it would have all of its time again. */
			ret = w->deadline == KTIME_MAX ? -ERESTARTSYS : -EINTR;
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

	spin_lock_bh(&ch->lock);
	now = ktime_get_ns();
	if (w->delay == &ch->blocked) {
		bpipe_overload_account_locked(ch, now);
		bpipe_overload_stalled_locked(ch, now - w->lacking_since);
	}
	bpipe_delay_end(w->delay, w->since, now);
	bpipe_delay_end(w->file_delay, w->since, now);
	spin_unlock_bh(&ch->lock);
	return ret;
}

/**
 * bpipe_wait_leave_queue() - leave the queue, and hand on to the next
 * @ch: the channel
 * @w: the caller, in it
 *
 * Context: does not sleep.
 */
void bpipe_wait_leave_queue(struct bpipe_channel *ch, struct bpipe_waiter *w)
{
	const struct bpipe_waiter *before;

	spin_lock_bh(&ch->lock);
	before = bpipe_wait_first(&ch->wr);
	bpipe_part_locked(w);
	bpipe_writer_first_locked(ch, before);
	bpipe_wait_settle_locked(ch);
	spin_unlock_bh(&ch->lock);
}

static void bpipe_side_init(struct bpipe_side *side,
			    enum hrtimer_restart (*due)(struct hrtimer *timer))
{
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++)
		INIT_LIST_HEAD(&side->waiters[class]);
	INIT_LIST_HEAD(&side->apart);
	INIT_LIST_HEAD(&side->files);
	init_waitqueue_head(&side->poll);
	bpipe_hrtimer_setup(&side->tokens, due, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
}

/**
 * bpipe_wait_init() - nobody waits
 * @ch: the channel, its flow set up
 */
void bpipe_wait_init(struct bpipe_channel *ch)
{
	bpipe_side_init(&ch->wr, bpipe_write_tokens_due);
	bpipe_side_init(&ch->rd, bpipe_read_tokens_due);
	bpipe_hrtimer_setup(&ch->delay, bpipe_data_due, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
	ch->chances = 1;
	ch->trip_up = ch->flow.high;
	ch->trip_down = -1;
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
