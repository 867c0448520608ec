// SPDX-License-Identifier: GPL-2.0
/*
 * Overload: pressure that does not end. Who listens is told once, when it comes, and
 * once when it goes; and the alarm stays until somebody has seen it.
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
 * Any opener can cause changes of state, and each uevent wakes all that listen: send a
 * few a second at most. What changed in between is not sent, the last state always is.
 */
#define BPIPE_OVERLOAD_PAUSE	(HZ / 5)

static void bpipe_overload_schedule_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct bpipe_overload *ov = &ch->overload;
	u64 now = get_jiffies_64(), at = max(now, ov->notify_from);

	lockdep_assert_held(&ch->lock);
	schedule_delayed_work(&ov->notify, at - now);
}

/**
 * bpipe_overload_look_locked() - is the channel overloaded, by now?
 * @ch: the channel, whose pressure or settings may have changed
 * @now: the time, nanoseconds
 *
 * And see to it that it is noticed when it will be.
 *
 * Context: called with the channel's lock held.
 * Return: whether that has changed.
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
 * bpipe_overload_account_locked() - how much of the time until now writers stalled
 * @ch: the channel, of which who sleeps or is there is about to change, or is asked
 * @now: the time, nanoseconds
 *
 * Context: called with the channel's lock held.
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
 * bpipe_overload_stalled_locked() - a writer has stalled, until now
 * @ch: the channel
 * @stalled_ns: for so long
 *
 * Context: called with the channel's lock held.
 */
void bpipe_overload_stalled_locked(struct bpipe_channel *ch, u64 stalled_ns)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	ch->overload.longest_ns = max(ch->overload.longest_ns, stalled_ns);
}

/**
 * bpipe_overload_reset_locked() - the alarm was seen
 * @ch: the channel
 *
 * Context: called with the channel's lock held.
 */
void bpipe_overload_reset_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	ch->overload.longest_ns = 0;
	ch->overload.alarm_since = ch->overload.active ? ch->state_since : 0;
}

/**
 * bpipe_overload_init() - it is not overloaded
 * @ch: the channel
 * @now: the time, nanoseconds
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
 * bpipe_overload_stop() - nobody is told any more
 * @ch: the channel, whose device is still there
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
