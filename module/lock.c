// SPDX-License-Identifier: GPL-2.0
/*
 * The locks of a channel, and the wake-ups that wait until its spinlock is dropped.
 *
 * Their order is at the top of channel.c.
 */

#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/wait.h>

#include "lock.h"

/**
 * bpipe_channel_unlock_and_wake() - drop a channel's lock and wake waiters and pollers
 * @ch: the channel
 *
 * Context: called with the channel's lock held, and drops it.
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
	if (wake.rd.all)
		wake_up_interruptible_all(&ch->rd.poll);
	else if (wake.rd.events)
		wake_up_interruptible_poll(&ch->rd.poll, wake.rd.events);
	if (wake.wr.all)
		wake_up_interruptible_all(&ch->wr.poll);
	else if (wake.wr.events)
		wake_up_interruptible_poll(&ch->wr.poll, wake.wr.events);
}

/**
 * bpipe_channel_lock_sides() - become the owner of both ends
 * @ch: the channel
 *
 * Context: may sleep.
 * Return: 0, or -EINTR: the caller was killed.
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
 * bpipe_channel_unlock_sides() - undo bpipe_channel_lock_sides()
 * @ch: the channel
 */
void bpipe_channel_unlock_sides(struct bpipe_channel *ch)
{
	mutex_unlock(&ch->rd.lock);
	mutex_unlock(&ch->wr.lock);
}

/**
 * bpipe_channel_lock_config() - lock the configuration of a channel that is in use
 * @ch: the channel
 *
 * Context: may sleep.
 * Return: 0 with the configuration lock held; or without, -EINTR, or -ENODEV if the channel
 * is gone.
 */
int bpipe_channel_lock_config(struct bpipe_channel *ch)
{
	int ret = mutex_lock_killable(&ch->config);

	if (ret || ch->life != BPIPE_LIFE_GONE)
		return ret;
	mutex_unlock(&ch->config);
	return -ENODEV;
}
