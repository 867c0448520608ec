// SPDX-License-Identifier: GPL-2.0
/*
 * Overload: pressure that does not end. Listeners get one uevent when overload begins and one
 * when it ends. The alarm stays until the peaks are reset.
 */

#include <linux/jiffies.h>
#include <linux/kobject.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>

#include "lock.h"
#include "overload.h"
#include "types.h"

/*
 * Send at most five uevents a second, since any opener can cause changes of state and each
 * uevent wakes all listeners. Changes in between are skipped, but the last state is always sent.
 */
#define BPIPE_OVERLOAD_PAUSE	(HZ / 5)

/* Schedule the work item that sends a uevent, after the pause since the last one. */
static void bpipe_overload_schedule_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct bpipe_overload *ov = &ch->overload;
	u64 now = get_jiffies_64(), at = max(now, ov->notify_from);

	lockdep_assert_held(&ch->lock);
	schedule_delayed_work(&ov->notify, at - now);
}

/**
 * bpipe_overload_look_locked() - update whether the channel is overloaded
 * @ch: the channel, whose pressure or settings may have changed
 * @now: the time, nanoseconds
 *
 * If the channel is pressured but not yet overloaded, start the timer for when it will be.
 *
 * Context: called with channel.lock held.
 * Return: true if the channel has become overloaded or is not overloaded any more.
 */
bool bpipe_overload_look_locked(struct bpipe_channel *ch, u64 now)
	__must_hold(&ch->lock)
{
	struct bpipe_overload *ov = &ch->overload;
	bool may = ch->flow.pressured && ov->after_ns;
	bool over = may && now - ov->pressured_since >= ov->after_ns;

	lockdep_assert_held(&ch->lock);
	if (may && !over && !ov->off)
		hrtimer_start(&ov->timer, ns_to_ktime(ov->pressured_since + ov->after_ns),
			      HRTIMER_MODE_ABS_SOFT);
	else
		hrtimer_try_to_cancel(&ov->timer);
	if (over == ov->active)
		return false;
	ov->active = over;
	if (over) {
		ov->events++;
		if (!ov->alarm_since)
			ov->alarm_since = now;
	}
	if (!ov->off)
		bpipe_overload_schedule_locked(ch);
	return true;
}

static void bpipe_overload_notify(struct work_struct *work)
{
	struct bpipe_channel *ch = container_of(to_delayed_work(work), struct bpipe_channel,
						overload.notify);
	char *env[2] = { };
	bool active, before;

	bpipe_channel_lock(ch);
	active = ch->overload.active;
	before = ch->overload.notified;
	ch->overload.notified = active;
	if (active != before)
		ch->overload.notify_from = get_jiffies_64() + BPIPE_OVERLOAD_PAUSE;
	bpipe_channel_unlock(ch);
	env[0] = active ? "BPIPE_STATE=overloaded" : "BPIPE_STATE=normal";
	if (active != before)
		kobject_uevent_env(&ch->dev.kobj, KOBJ_CHANGE, env);
}

/**
 * bpipe_overload_account_locked() - account for the time that writers stalled until now
 * @ch: the channel; call this before a writer falls asleep, wakes up, comes or goes, and before
 *	the averages are read
 * @now: the time, nanoseconds
 *
 * Context: called with channel.lock held.
 */
void bpipe_overload_account_locked(struct bpipe_channel *ch, u64 now)
	__must_hold(&ch->lock)
{
	unsigned int stalled = ch->counts.delay[BPIPE_BLOCKED].sleeping;

	lockdep_assert_held(&ch->lock);
	bpipe_pressure_update(&ch->overload.some, stalled, now);
	bpipe_pressure_update(&ch->overload.full, stalled && stalled >= ch->wr.open, now);
}

/**
 * bpipe_overload_stalled_locked() - record how long a writer stalled
 * @ch: the channel
 * @stalled_ns: duration of the stall, nanoseconds
 *
 * Context: called with channel.lock held.
 */
void bpipe_overload_stalled_locked(struct bpipe_channel *ch, u64 stalled_ns)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	ch->overload.longest_ns = max(ch->overload.longest_ns, stalled_ns);
}

/**
 * bpipe_overload_reset_locked() - reset the longest stall and the alarm
 * @ch: the channel; if it is overloaded, the alarm stays, with the time of the change of state
 *
 * Context: called with channel.lock held.
 */
void bpipe_overload_reset_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	ch->overload.longest_ns = 0;
	ch->overload.alarm_since = ch->overload.active ? ch->state_since : 0;
}

/**
 * bpipe_overload_init() - set up the overload state, except its timer
 * @ch: the channel, which others do not see yet
 * @now: the time, nanoseconds
 *
 * Context: any.
 */
void bpipe_overload_init(struct bpipe_channel *ch, u64 now)
{
	struct bpipe_overload *ov = &ch->overload;

	ov->after_ns = BPIPE_OVERLOAD_AFTER;
	bpipe_pressure_init(&ov->some, now);
	bpipe_pressure_init(&ov->full, now);
	INIT_DELAYED_WORK(&ov->notify, bpipe_overload_notify);
	ov->notify_from = get_jiffies_64();
}

/**
 * bpipe_overload_stop() - stop the timer and the uevents
 * @ch: the channel, whose device still exists
 *
 * Context: may sleep.
 */
void bpipe_overload_stop(struct bpipe_channel *ch)
{
	bpipe_channel_lock(ch);
	ch->overload.off = true;
	bpipe_channel_unlock(ch);
	hrtimer_cancel(&ch->overload.timer);
	cancel_delayed_work_sync(&ch->overload.notify);
}
