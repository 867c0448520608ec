// SPDX-License-Identifier: GPL-2.0
/*
 * The locks of a channel, and the wake-ups that are due when its spinlock is dropped. The
 * order of the locks is at the top of channel.c.
 */

#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/wait.h>

#include "lock.h"

static void bpipe_notify(struct wait_queue_head *poll, const struct bpipe_notice *notice)
{
	if (notice->all)
		wake_up_interruptible_all(poll);
	else if (notice->events)
		__wake_up(poll, TASK_INTERRUPTIBLE, notice->each ? 0 : 1,
			  poll_to_key(notice->events));
}

/**
 * bpipe_channel_unlock_and_wake() - drop a channel's lock and wake waiters and pollers
 * @ch: the channel
 *
 * Wake-ups come after the unlock, so that a woken task does not find the lock taken.
 *
 * Context: called with the channel's lock held, and drops it; does not sleep.
 */
void bpipe_channel_unlock_and_wake(struct bpipe_channel *ch) __releases(&ch->lock)
{
	struct bpipe_wakeups wake = ch->wake;
	unsigned int i;

	ch->wake.any = false;
	ch->wake.tasks = 0;
	ch->wake.writers = 0;
	ch->wake.wr = (struct bpipe_notice) { };
	ch->wake.rd = (struct bpipe_notice) { };
	spin_unlock_bh(&ch->lock);

	for (i = 0; i < wake.tasks; i++) {
		wake_up_process(wake.task[i]);
		put_task_struct(wake.task[i]);
	}
	bpipe_notify(&ch->rd.poll, &wake.rd);
	bpipe_notify(&ch->wr.poll, &wake.wr);
}

/**
 * bpipe_channel_lock_sides() - take the locks of both sides, the writers' first
 * @ch: the channel
 *
 * Context: may sleep.
 * Return: 0 with both locks held; -EINTR with neither if the caller was killed.
 */
int bpipe_channel_lock_sides(struct bpipe_channel *ch)
{
	int ret = mutex_lock_killable(&ch->wr.lock);

	if (ret)
		return ret;
	ret = mutex_lock_killable(&ch->rd.lock);
	if (ret)
		mutex_unlock(&ch->wr.lock);
	return ret;
}

/**
 * bpipe_channel_unlock_sides() - drop the locks of both sides
 * @ch: the channel
 *
 * Context: called with both locks held, and drops them; does not sleep.
 */
void bpipe_channel_unlock_sides(struct bpipe_channel *ch)
{
	mutex_unlock(&ch->rd.lock);
	mutex_unlock(&ch->wr.lock);
}

/**
 * bpipe_channel_lock_config() - take the configuration lock of a channel that is not gone
 * @ch: the channel
 *
 * Context: may sleep.
 * Return: 0 with the lock held; without it, -EINTR if the caller was killed, or -ENODEV if the
 * channel is gone.
 */
int bpipe_channel_lock_config(struct bpipe_channel *ch)
{
	int ret = mutex_lock_killable(&ch->config);

	if (ret || ch->life != BPIPE_LIFE_GONE)
		return ret;
	mutex_unlock(&ch->config);
	return -ENODEV;
}
