// SPDX-License-Identifier: GPL-2.0
/*
 * Notification of open files: poll, SIGIO and events.
 */

#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#include "channel.h"
#include "flow.h"
#include "lock.h"
#include "poll.h"
#include "shed.h"
#include "types.h"
#include "wait.h"

/*
 * Return the bytes for which the next read needs tokens: the length of the next record, or
 * the level of a stream; 0 if nothing can be read. poll and read must agree. The record itself
 * matters only with a rate, or if it may have to be dropped; otherwise the level is enough.
 */
static u64 bpipe_next_len_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (bpipe_is_record(ch) && (ch->flow.read.bytes.rate || ch->set.sheds))
		return bpipe_shed_next_len_locked(ch);
	return bpipe_level_now(&ch->level);
}

/* Return true if a read would return data. If it lacks tokens, arm the timer. */
static bool bpipe_readable_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	const struct bpipe_request req = {
		.len = bpipe_next_len_locked(ch),
		.atomic = bpipe_is_record(ch),
	};
	struct bpipe_decision decision = { };
	u64 now = ktime_get_ns();

	lockdep_assert_held(&ch->lock);
	if (!req.len)
		return false;
	if (bpipe_flow_deliver(&ch->flow, &req, now, &decision) == BPIPE_GO)
		return true;
	bpipe_wait_timer_by(&ch->rd.tokens, now, decision.wait_ns);
	return false;
}

/*
 * Return true if poll must report the channel as writable although it is not. The last write
 * with BPIPE_NOWAIT found a lock taken, and io_uring polls before it tries again. Once the
 * channel is writable, a writer with policy block or error can wait for the gate again. A
 * write that drops never waits for the gate.
 */
static bool bpipe_contended_locked(struct bpipe_file *bf, bool writable)
	__must_hold(&bf->ch->lock)
{
	bool own = bf->writer.policy != BPIPE_POLICY_CHANNEL;
	u32 policy = own ? bf->writer.policy : bf->ch->set.policy;

	lockdep_assert_held(&bf->ch->lock);
	if (writable && (policy == BPIPE_POLICY_BLOCK || policy == BPIPE_POLICY_ERROR))
		WRITE_ONCE(bf->contended, false);
	return READ_ONCE(bf->contended);
}

/*
 * Return true if the write last refused on this file, or else an atomic write, would succeed
 * now. If it lacks room, register the writer for a notification. If it lacks tokens, arm the
 * timer.
 */
static bool bpipe_writable_locked(struct bpipe_file *bf)
	__must_hold(&bf->ch->lock)
{
	const struct bpipe_request who = {
		.len = bf->refused_len,
		.class = bf->writer.class,
		.own = &bf->writer.rate,
	};
	struct bpipe_channel *ch = bf->ch;
	u64 level = bpipe_level_now(&ch->level), now = ktime_get_ns();
	struct bpipe_ready ready;
	bool writable;

	lockdep_assert_held(&ch->lock);
	writable = bpipe_flow_writable(&ch->flow, &who, level, now, &ready);
	if (bf->refused_gen == ch->retry_gen && now < bf->refused_until) {
		writable = false;
		ready.wait_ns = bf->refused_until == U64_MAX ? U64_MAX : bf->refused_until - now;
	}
	if ((s64)level > ready.level)
		bpipe_wait_poll_locked(ch, ready.level);
	if (ready.wait_ns && ready.wait_ns != U64_MAX)
		bpipe_wait_timer_by(&ch->wr.tokens, now, ready.wait_ns);
	return bpipe_contended_locked(bf, writable) || writable;
}

/*
 * Return true if a write would succeed now. If not, a wake-up level is set for the poller.
 *
 * Look for room again after the levels are set: else a wake-up could be lost. Another writer
 * may take the room before that look, which then registers a lack of room that no level is set
 * for, so set the levels again. The update wakes readers for the first writer that lacks room;
 * an update by each poll would wake this poller as well.
 */
static bool bpipe_poll_writable_locked(struct bpipe_file *bf)
	__must_hold(&bf->ch->lock)
{
	struct bpipe_channel *ch = bf->ch;
	bool stalled = ch->poll_level != BPIPE_POLL_NONE, writable;
	s64 armed;

	lockdep_assert_held(&ch->lock);
	bpipe_writable_locked(bf);
	if (!stalled && ch->poll_level != BPIPE_POLL_NONE)
		bpipe_wait_update_locked(ch);
	else
		bpipe_wait_arm_wake_levels_locked(ch);
	for (;;) {
		armed = ch->poll_level;
		writable = bpipe_writable_locked(bf);
		if (writable || ch->poll_level == armed)
			return writable;
		bpipe_wait_arm_wake_levels_locked(ch);
	}
}

/* Return the events that GET_EVENTS has not yet returned to this file: BPIPE_EVENT_* */
static u32 bpipe_events_locked(const struct bpipe_file *bf)
	__must_hold(&bf->ch->lock)
{
	const struct bpipe_channel *ch = bf->ch;
	u32 events = 0;

	lockdep_assert_held(&ch->lock);
	if (!bf->listens)
		return 0;
	if (bf->high_seen != ch->high_events)
		events |= BPIPE_EVENT_HIGH;
	if (bf->low_seen != ch->low_events)
		events |= BPIPE_EVENT_LOW;
	if (bf->overload_seen != ch->overload.events)
		events |= BPIPE_EVENT_OVERLOAD;
	return events;
}

/**
 * bpipe_channel_poll() - queue the poller, and return what the file can do now
 * @bf: the open file
 * @file: the struct file of @bf, for poll_wait()
 * @wait: the poll table
 *
 * Context: does not sleep.
 * Return: EPOLL* bits; see bpipe(4).
 */
__poll_t bpipe_channel_poll(struct bpipe_file *bf, struct file *file, poll_table *wait)
{
	struct bpipe_channel *ch = bf->ch;
	bool pri = poll_requested_events(wait) & EPOLLPRI, writable = false;
	__poll_t mask = 0;

	/* Pollers of a file of neither side must learn that the channel is gone. */
	if (bpipe_is_reader(bf) || !bpipe_is_writer(bf) || pri)
		poll_wait(file, &ch->rd.poll, wait);
	if (bpipe_is_writer(bf))
		poll_wait(file, &ch->wr.poll, wait);

	bpipe_channel_lock(ch);
	if (unlikely(ch->life == BPIPE_LIFE_GONE)) {
		bpipe_channel_unlock(ch);
		return EPOLLERR | EPOLLHUP;
	}
	if (bpipe_is_writer(bf))
		writable = bpipe_poll_writable_locked(bf);
	else
		bpipe_wait_arm_wake_levels_locked(ch);
	if (bpipe_is_reader(bf)) {
		bool end = bpipe_channel_at_end_locked(bf);

		if (bpipe_readable_locked(ch) || (end && !bpipe_level_now(&ch->level)))
			mask |= EPOLLIN | EPOLLRDNORM;
		if (end)
			mask |= EPOLLHUP;
	}
	if (bpipe_is_writer(bf)) {
		if (bpipe_channel_write_error_locked(bf))
			mask |= EPOLLOUT | EPOLLWRNORM | EPOLLERR;
		else if (writable)
			mask |= EPOLLOUT | EPOLLWRNORM;
	}
	if (bpipe_events_locked(bf))
		mask |= EPOLLPRI;
	bpipe_channel_unlock(ch);
	return mask;
}

static void bpipe_write_sigio(struct work_struct *work)
{
	struct bpipe_side *side = container_of(work, struct bpipe_side, sigio);

	kill_fasync(&side->fasync, SIGIO, POLL_OUT);
}

static void bpipe_read_sigio(struct work_struct *work)
{
	struct bpipe_side *side = container_of(work, struct bpipe_side, sigio);

	kill_fasync(&side->fasync, SIGIO, POLL_IN);
}

static void bpipe_events_sigio(struct work_struct *work)
{
	struct bpipe_channel *ch = container_of(work, struct bpipe_channel, events_sigio);

	kill_fasync(&ch->events_fasync, SIGIO, POLL_PRI);
}

/**
 * bpipe_channel_fasync() - turn SIGIO on or off
 * @bf: the open file
 * @fd: the file descriptor; -1 as the file is released
 * @file: the struct file of @bf, for fasync_helper()
 * @on: 0 to turn it off
 *
 * A reader gets SIGIO for data, a writer for room, a file of neither side for events.
 *
 * Context: may sleep.
 * Return: 0 or more, or -ENOMEM.
 */
int bpipe_channel_fasync(struct bpipe_file *bf, int fd, struct file *file, int on)
{
	struct bpipe_channel *ch = bf->ch;
	int ret = 0;

	if (!bf->mode)
		return fasync_helper(fd, file, on, &ch->events_fasync);
	if (bpipe_is_reader(bf))
		ret = fasync_helper(fd, file, on, &ch->rd.fasync);
	if (ret >= 0 && bpipe_is_writer(bf)) {
		ret = fasync_helper(fd, file, on, &ch->wr.fasync);
		if (ret < 0 && bpipe_is_reader(bf))
			fasync_helper(-1, file, 0, &ch->rd.fasync);
	}
	bpipe_wait_update(ch);
	return ret < 0 ? ret : 0;
}

/**
 * bpipe_channel_events() - take a snapshot of the events for GET_EVENTS
 * @bf: the open file
 * @events: the snapshot
 *
 * Context: does not sleep.
 */
void bpipe_channel_events(struct bpipe_file *bf, struct bpipe_events *events)
{
	struct bpipe_channel *ch = bf->ch;

	bpipe_channel_lock(ch);
	*events = (struct bpipe_events) {
		.events = bpipe_events_locked(bf),
		.state = bpipe_channel_state_locked(ch),
		.level = bpipe_level_now(&ch->level),
		.high_events = ch->high_events,
		.low_events = ch->low_events,
		.time_ns = ch->event_ns,
		.overload_events = ch->overload.events,
	};
	bpipe_channel_unlock(ch);
}

/**
 * bpipe_channel_clear_events() - clear the events that GET_EVENTS returns
 * @bf: the open file; events are kept for it starting with the first call
 * @events: the snapshot of bpipe_channel_events()
 *
 * Context: does not sleep.
 * Return: true; false if another call returned one of the events meanwhile, and nothing was
 * cleared.
 */
bool bpipe_channel_clear_events(struct bpipe_file *bf, const struct bpipe_events *events)
{
	struct bpipe_channel *ch = bf->ch;
	bool cleared;

	bpipe_channel_lock(ch);
	cleared = !(events->events & BPIPE_EVENT_HIGH && bf->high_seen >= events->high_events) &&
	       !(events->events & BPIPE_EVENT_LOW && bf->low_seen >= events->low_events) &&
	       !(events->events & BPIPE_EVENT_OVERLOAD &&
		 bf->overload_seen >= events->overload_events);
	if (cleared) {
		bf->high_seen = max(bf->high_seen, events->high_events);
		bf->low_seen = max(bf->low_seen, events->low_events);
		bf->overload_seen = max(bf->overload_seen, events->overload_events);
		bf->listens = true;
	}
	bpipe_channel_unlock(ch);
	return cleared;
}

/**
 * bpipe_poll_init() - initialise the work that sends SIGIO
 * @ch: the channel, not yet used
 *
 * Context: does not sleep.
 */
void bpipe_poll_init(struct bpipe_channel *ch)
{
	INIT_WORK(&ch->wr.sigio, bpipe_write_sigio);
	INIT_WORK(&ch->rd.sigio, bpipe_read_sigio);
	INIT_WORK(&ch->events_sigio, bpipe_events_sigio);
}

/**
 * bpipe_poll_uninit() - stop the work that sends SIGIO
 * @ch: the channel, without an open file, after bpipe_wait_uninit(): the timers schedule
 *	the work
 *
 * Context: may sleep.
 */
void bpipe_poll_uninit(struct bpipe_channel *ch)
{
	cancel_work_sync(&ch->wr.sigio);
	cancel_work_sync(&ch->rd.sigio);
	cancel_work_sync(&ch->events_sigio);
}
