// SPDX-License-Identifier: GPL-2.0
/*
 * Announce changes of the state to user space: wake pollers of the attribute "state".
 */

#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "announce.h"
#include "types.h"

/* Least time between wake-ups, jiffies: any opener can change the state at any rate. */
#define BPIPE_ANNOUNCE_PAUSE	(HZ / 5)

static void bpipe_announce(struct work_struct *work)
{
	struct bpipe_channel *ch = container_of(to_delayed_work(work), struct bpipe_channel,
						notify);

	sysfs_notify(&ch->dev.kobj, NULL, "state");
}

/**
 * bpipe_announce_init() - initialise the work that announces changes of the state
 * @ch: the channel, not yet used
 *
 * Context: does not sleep.
 */
void bpipe_announce_init(struct bpipe_channel *ch)
{
	INIT_DELAYED_WORK(&ch->notify, bpipe_announce);
}

/**
 * bpipe_announce_locked() - wake pollers of the attribute after a change of the state
 * @ch: the channel
 *
 * Changes within BPIPE_ANNOUNCE_PAUSE of the last wake-up share one wake-up at its end, so the
 * last state is always announced.
 *
 * Context: called with the channel's lock held; does not sleep.
 */
void bpipe_announce_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	u64 now = get_jiffies_64(), at = max(now, ch->notify_from);

	lockdep_assert_held(&ch->lock);
	if (ch->overload.off || delayed_work_pending(&ch->notify))
		return;
	ch->notify_from = at + BPIPE_ANNOUNCE_PAUSE;
	schedule_delayed_work(&ch->notify, at - now);
}

/**
 * bpipe_announce_stop() - stop announcing changes of the state
 * @ch: the channel, whose device still exists, after bpipe_overload_stop()
 *
 * Context: may sleep.
 * Return: the attribute "state" with a reference, which bpipe_announce_gone() drops.
 */
struct kernfs_node *bpipe_announce_stop(struct bpipe_channel *ch)
{
	cancel_delayed_work_sync(&ch->notify);
	return sysfs_get_dirent(ch->dev.kobj.sd, "state");
}

/**
 * bpipe_announce_gone() - wake pollers of the attribute after the node was removed
 * @state: the attribute that bpipe_announce_stop() returned
 *
 * The removal itself wakes no poller. A poller woken before the removal could still read the
 * attribute. Now a read fails with ENODEV.
 *
 * Context: may sleep.
 */
void bpipe_announce_gone(struct kernfs_node *state)
{
	sysfs_notify_dirent(state);
	sysfs_put(state);
}
