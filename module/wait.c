// SPDX-License-Identifier: GPL-2.0
/*
 * Sleeping and waking.
 *
 * Who wants to sleep queues a struct bpipe_waiter, sets a trip wire (a level at
 * which the other side has to look at the sleepers), and then looks at the
 * level once more. The other side moves its end of the ring and then looks at
 * the trip wire. Each has a full barrier between its two steps, so at least one
 * of them sees the other:
 *
 *	sleeper				other side
 *	  trip wire = ...		  push() or pop()
 *	  smp_mb()   [A]		  smp_mb()   [B]
 *	  look at the level		  look at the trip wire
 *
 * Barrier [A] is in bpipe_wait_set_trips_locked(), [B] in
 * bpipe_wait_settle_write() and bpipe_wait_settle_read().
 *
 * A waiter stays in its place in the queue until it is done or gives up;
 * whoever leaves the queue hands on to the next.
 */

#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "channel.h"
#include "compat.h"
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

static void bpipe_wake_pollers_locked(struct bpipe_side *side, __poll_t events, int band)
{
	bpipe_tell_locked(side, events);
	kill_fasync(&side->fasync, SIGIO, band);
}

/**
 * bpipe_wait_longest_locked() - how long the one that has waited longest waits
 * @side: its side
 * @now: the time, nanoseconds
 *
 * Context: called with the channel's lock held.
 * Return: nanoseconds; 0 if nobody waits.
 */
u64 bpipe_wait_longest_locked(struct bpipe_side *side, u64 now)
{
	struct bpipe_waiter *w = bpipe_wait_first(side);

	return w ? now - w->queued_at : 0;
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

	list_for_each_entry(w, &side->waiters, node)
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
 * It is the turn of the first of the writers' queue, once the gate is open;
 * unless the timer will tell it.
 */
static void bpipe_wake_writer_locked(struct bpipe_channel *ch)
{
	struct bpipe_waiter *w = bpipe_wait_first(&ch->wr);

	if (w && !w->timed && !bpipe_flow_shut(&ch->flow))
		bpipe_wake_locked(&ch->wr, w);
}

/*
 * The writers' queue has changed: what is kept is for whoever is first now. If
 * that is another one than @before, no timer was started for it, so it has to
 * look whether there is enough for it; and pollers may find less kept from them.
 */
static void bpipe_writer_first_locked(struct bpipe_channel *ch, const struct bpipe_waiter *before)
{
	struct bpipe_waiter *w = bpipe_wait_first(&ch->wr);

	bpipe_flow_keep(&ch->flow, w ? w->promise : (struct bpipe_promise) { });
	if (w == before)
		return;
	if (w)
		w->timed = false;
	if (!before || bpipe_flow_shut(&ch->flow))
		return;
	if (w)
		bpipe_wake_locked(&ch->wr, w);
	bpipe_wake_pollers_locked(&ch->wr, EPOLLOUT | EPOLLWRNORM, POLL_OUT);
}

/* The smallest threshold, or the shortest delay, that readers' files ask for. */
static u64 bpipe_files_threshold_locked(struct bpipe_channel *ch)
{
	struct bpipe_file *bf;
	u64 least = ch->flow.size;

	list_for_each_entry(bf, &ch->files, node)
		if (bpipe_is_reader(bf))
			least = min(least, bf->threshold);
	return least;
}

static u64 bpipe_files_delay_locked(struct bpipe_channel *ch)
{
	struct bpipe_file *bf;
	u64 least = U64_MAX;

	list_for_each_entry(bf, &ch->files, node)
		if (bpipe_is_reader(bf) && bf->delay_ns)
			least = min(least, bf->delay_ns);
	return least;
}

/* Is anybody there who learns of data by poll or SIGIO? */
static bool bpipe_polled_locked(struct bpipe_side *side)
{
	/* as in bpipe_tell_locked() */
	return waitqueue_active(&side->poll) || READ_ONCE(side->fasync);
}

/**
 * bpipe_wait_wake_readers_locked() - wake the readers who are content
 * @ch: the channel
 * @level: bytes held
 * @due: data has waited long enough for those who set a delay
 *
 * That is pollers, and the first sleeper whose threshold the level has
 * reached; it wakes the next when it leaves. If writers are held up or gone,
 * the threshold does not matter.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_wake_readers_locked(struct bpipe_channel *ch, u64 level, bool due)
{
	bool now = bpipe_flow_shut(&ch->flow) || !ch->wr.open;
	u64 delay_ns = U64_MAX;
	struct bpipe_waiter *w;

	if (!level)
		return;
	list_for_each_entry(w, &ch->rd.waiters, node) {
		if (w->woken)
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
		bpipe_wait_timer_by(&ch->rd.timer, ktime_get_ns(), delay_ns);
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
	bool timed = !hrtimer_is_queued(&ch->rd.timer) || !bpipe_ring_level(&ch->ring);
	unsigned long up = ch->flow.pressured ? ULONG_MAX : ch->flow.high;
	struct bpipe_waiter *w;

	list_for_each_entry(w, &ch->rd.waiters, node) {
		if (w->woken)
			break;
		up = min_t(unsigned long, up,
			   timed && w->file->delay_ns ? 1 : w->file->threshold);
	}
	if (bpipe_polled_locked(&ch->rd))
		up = min_t(unsigned long, up,
			   timed && bpipe_files_delay_locked(ch) != U64_MAX ?
			   1 : bpipe_files_threshold_locked(ch));

	WRITE_ONCE(ch->trip_up, up);
	WRITE_ONCE(ch->trip_down, bpipe_flow_shut(&ch->flow) ? (long)ch->flow.low : -1);
	smp_mb();	/* barrier [A] */
}

/* Brings the gate in line with the level. */
static void bpipe_update_gate_locked(struct bpipe_channel *ch, u64 level)
{
	unsigned int changed = bpipe_flow_update(&ch->flow, level);

	if (changed & (BPIPE_FLOW_ROSE | BPIPE_FLOW_FELL)) {
		bool rose = changed & BPIPE_FLOW_ROSE;

		ch->high_events += rose;
		ch->low_events += !rose;
		ch->event_ns = ktime_get_ns();
		ch->state_since = ch->event_ns;
		trace_bpipe_state(ch, ch->flow.pressured, level);
		bpipe_tell_locked(&ch->rd, EPOLLPRI);
		bpipe_tell_locked(&ch->wr, EPOLLPRI);
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
	u64 seen, level = bpipe_ring_level(&ch->ring);

	do {
		seen = level;
		bpipe_update_gate_locked(ch, seen);
		bpipe_wake_writer_locked(ch);
		bpipe_wait_wake_readers_locked(ch, seen, due);
		bpipe_wait_set_trips_locked(ch);
		level = bpipe_ring_level(&ch->ring);
	} while ((seen < ch->trip_up && level >= ch->trip_up) ||
		 ((long)seen > ch->trip_down && (long)level <= ch->trip_down));
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
static enum hrtimer_restart bpipe_tokens_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, wr.timer);
	struct bpipe_waiter *w;

	spin_lock_bh(&ch->lock);
	w = bpipe_wait_first(&ch->wr);
	if (w)
		bpipe_wake_locked(&ch->wr, w);
	if (!bpipe_flow_shut(&ch->flow))
		bpipe_wake_pollers_locked(&ch->wr, EPOLLOUT | EPOLLWRNORM, POLL_OUT);
	spin_unlock_bh(&ch->lock);
	return HRTIMER_NORESTART;
}

/* Data has waited as long as the readers let it. */
static enum hrtimer_restart bpipe_data_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, rd.timer);

	spin_lock_bh(&ch->lock);
	bpipe_settle_due_locked(ch, true);
	spin_unlock_bh(&ch->lock);
	return HRTIMER_NORESTART;
}

/**
 * bpipe_wait_queue_locked() - put a caller into its side's queue
 * @ch: the channel
 * @w: the caller, who then sleeps; its @side and @file are set
 * @delay: the channel's account for that
 * @file_delay: the open file's
 *
 * One that is in the queue keeps its place, unless it got something in the
 * meantime: then it goes to the end.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_wait_queue_locked(struct bpipe_channel *ch, struct bpipe_waiter *w,
			     struct bpipe_delay *delay, struct bpipe_delay *file_delay)
{
	const struct bpipe_waiter *before = bpipe_wait_first(&ch->wr);
	u64 now = ktime_get_ns();

	if (w->queued && w->progress)
		list_del(&w->node);
	if (!w->queued || w->progress) {
		list_add_tail(&w->node, &w->side->waiters);
		w->queued_at = now;
	}
	w->queued = true;
	w->progress = false;
	w->woken = false;
	w->task = current;
	w->since = now;
	w->delay = delay;
	w->file_delay = file_delay;
	bpipe_delay_begin(delay, now);
	bpipe_delay_begin(file_delay, now);
	bpipe_writer_first_locked(ch, before);
}

/**
 * bpipe_wait_sleep() - sleep until woken
 * @ch: the channel
 * @w: the caller, in a queue of it
 *
 * Context: sleeps.
 * Return: 0, or -ERESTARTSYS if a signal came first.
 */
int bpipe_wait_sleep(struct bpipe_channel *ch, struct bpipe_waiter *w)
{
	int ret = 0;
	u64 now;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (READ_ONCE(w->woken))
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	__set_current_state(TASK_RUNNING);

	spin_lock_bh(&ch->lock);
	now = ktime_get_ns();
	bpipe_delay_end(w->delay, w->since, now);
	bpipe_delay_end(w->file_delay, w->since, now);
	spin_unlock_bh(&ch->lock);
	return ret;
}

/**
 * bpipe_wait_leave() - leave the queue, if in it, and hand on to the next
 * @ch: the channel
 * @w: the caller
 *
 * Context: does not sleep.
 */
void bpipe_wait_leave(struct bpipe_channel *ch, struct bpipe_waiter *w)
{
	const struct bpipe_waiter *before;

	if (likely(!w->queued))
		return;
	spin_lock_bh(&ch->lock);
	before = bpipe_wait_first(&ch->wr);
	list_del(&w->node);
	w->queued = false;
	bpipe_writer_first_locked(ch, before);
	bpipe_wait_settle_locked(ch);
	spin_unlock_bh(&ch->lock);
}

static void bpipe_side_init(struct bpipe_side *side,
			    enum hrtimer_restart (*due)(struct hrtimer *timer))
{
	INIT_LIST_HEAD(&side->waiters);
	init_waitqueue_head(&side->poll);
	bpipe_hrtimer_setup(&side->timer, due, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
}

/**
 * bpipe_wait_init() - nobody waits
 * @ch: the channel, its flow set up
 */
void bpipe_wait_init(struct bpipe_channel *ch)
{
	bpipe_side_init(&ch->wr, bpipe_tokens_due);
	bpipe_side_init(&ch->rd, bpipe_data_due);
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
	hrtimer_cancel(&ch->wr.timer);
	hrtimer_cancel(&ch->rd.timer);
}
