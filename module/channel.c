// SPDX-License-Identifier: GPL-2.0
/*
 * A channel and its open files: open, release, and the end of a channel. How bytes get in
 * and out is in write.c and read.c, how a channel is made in control.c.
 *
 * Lock order
 *	1. control.c's lock	which channels there are
 *	2. channel.config	one change of the configuration at a time
 *	3. channel.wr.lock	owner of the rings' heads: copying in
 *	4. channel.rd.lock	owner of the rings' tails: copying out
 *	5. channel.lock		gate, sleepers, counts (spin, softirq)
 *	6. buffer.c's lock	what the buffers take (spin, softirq)
 *	7. wait queues' own
 * A function whose name ends in _config, _wr, _rd or _locked is called with config,
 * wr.lock, rd.lock or lock held. No user page is faulted in under any of them, and no
 * buffer is allocated: that takes as long as the caller's memory cgroup is throttled.
 */

#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/slab.h>

#include "channel.h"
#include "lock.h"
#include "overload.h"
#include "restart.h"
#include "storage.h"
#include "types.h"
#include "wait.h"

/* Files that were ever opened. */
static atomic64_t bpipe_files;

/**
 * bpipe_channel_at_end_locked() - would a reader that finds nothing be told
 *	end-of-file?
 * @bf: its open file
 *
 * Not while there is a writer, and not before this file has seen data or a writer; but
 * always once the channel drains, as there will be no more.
 *
 * Context: called with the channel's lock held.
 */
bool bpipe_channel_at_end_locked(const struct bpipe_file *bf)
	__must_hold(&bf->ch->lock)
{
	const struct bpipe_channel *ch = bf->ch;

	lockdep_assert_held(&ch->lock);
	if (unlikely(ch->life != BPIPE_LIFE_USABLE))
		return true;
	return !ch->wr.open && !ch->set.hold &&
	       (bf->read_any || ch->writer_opens != bf->opens_before);
}

/**
 * bpipe_channel_write_error_locked() - error of a write, whatever room there is
 * @bf: its open file
 *
 * A write lacks a reader that the channel is set up to need only once this file has seen
 * one: either side may start first.
 *
 * Context: called with the channel's lock held.
 * Return: -ENODEV if the channel is gone; -EPIPE if it drains, or a reader is lacking; else 0.
 */
int bpipe_channel_write_error_locked(const struct bpipe_file *bf)
	__must_hold(&bf->ch->lock)
{
	const struct bpipe_channel *ch = bf->ch;

	lockdep_assert_held(&ch->lock);
	if (unlikely(ch->life != BPIPE_LIFE_USABLE))
		return ch->life == BPIPE_LIFE_GONE ? -ENODEV : -EPIPE;
	if (ch->set.epipe && !ch->rd.open && ch->reader_opens != bf->readers_before)
		return -EPIPE;
	return 0;
}

/**
 * bpipe_channel_open() - a file is opened
 * @ch: the channel; the file holds a reference to it
 * @mode: FMODE_READ, FMODE_WRITE, both, or none
 *
 * Context: may sleep for memory: the first writer finds the channel's buffer.
 * Return: the open file, or ERR_PTR: -EINTR, -ENOMEM, -ENOSPC, -ENXIO.
 */
struct bpipe_file *bpipe_channel_open(struct bpipe_channel *ch, fmode_t mode)
{
	struct bpipe_file *bf = kzalloc(sizeof(*bf), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!bf)
		return ERR_PTR(-ENOMEM);
	bf->ch = ch;
	ret = mode & FMODE_WRITE ? bpipe_storage_claim(bf, 0, false) :
				   bpipe_channel_lock_config(ch);
	if (ret) {
		kfree(bf);
		return ERR_PTR(ret == -ENODEV ? -ENXIO : ret);
	}
	get_device(&ch->dev);
	bf->id = atomic64_inc_return(&bpipe_files);
	bf->mode = mode & (FMODE_READ | FMODE_WRITE);
	bf->reader.threshold = 1;
	bf->writer.policy = BPIPE_POLICY_CHANNEL;
	bf->writer.burst_follows = true;
	bf->writer.rate.burst = 1;
	bf->listens = !bf->mode;
	INIT_LIST_HEAD(&bf->sleepers);
	INIT_LIST_HEAD(&bf->restarts);

	bpipe_channel_lock(ch);
	ch->opens++;
	bf->high_seen = ch->high_events;
	bf->low_seen = ch->low_events;
	bf->overload_seen = ch->overload.events;
	/* A writer or reader that is there counts as seen. */
	bf->opens_before = ch->writer_opens - (ch->wr.open ? 1 : 0);
	bf->readers_before = ch->reader_opens - (ch->rd.open ? 1 : 0);
	if (bpipe_is_writer(bf)) {
		bpipe_overload_account_locked(ch, ktime_get_ns());
		WRITE_ONCE(ch->wr.open, ch->wr.open + 1);
		ch->writer_opens++;
	}
	if (bpipe_is_reader(bf)) {
		WRITE_ONCE(ch->rd.open, ch->rd.open + 1);
		ch->reader_opens++;
		bpipe_wait_watch_locked(bf);
	}
	bpipe_channel_unlock(ch);
	mutex_unlock(&ch->config);
	return bf;
}

/**
 * bpipe_channel_release() - the last reference to an open file is gone
 * @bf: the open file, freed here
 *
 * Context: may sleep.
 */
void bpipe_channel_release(struct bpipe_file *bf)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_storage unused = { };
	bool lost = false, end = false;
	u64 sleeps;

	bpipe_channel_lock(ch);
	bpipe_storage_forget_locked(bf);
	ch->record_files -= bpipe_file_for_records(bf);
	ch->wr.wake_all_reasons -= !!bf->writer.rate.rate;
	bpipe_storage_trim_locked(ch, &unused);
	ch->opens--;
	if (bpipe_is_reader(bf)) {
		bpipe_wait_unwatch_locked(bf);
		WRITE_ONCE(ch->rd.open, ch->rd.open - 1);
		/* What was granted was for readers who are there. */
		if (!ch->rd.open)
			ch->flow.credit = 0;
		lost = !ch->rd.open && ch->set.epipe;
	}
	if (bpipe_is_writer(bf)) {
		bpipe_overload_account_locked(ch, ktime_get_ns());
		WRITE_ONCE(ch->wr.open, ch->wr.open - 1);
		end = !ch->wr.open;
	}
	bpipe_wait_update_locked(ch);
	if (lost)
		bpipe_wait_kick_locked(ch, &ch->wr);
	if (end)
		bpipe_wait_kick_locked(ch, &ch->rd);
	bpipe_channel_reap_locked(ch);
	sleeps = ch->sleeps;
	bpipe_channel_unlock(ch);
	if (lost)
		bpipe_wait_kick_rest(ch, &ch->wr, sleeps);
	if (end)
		bpipe_wait_kick_rest(ch, &ch->rd, sleeps);

	bpipe_storage_free(ch, &unused);
	bpipe_restart_forget(bf);
	put_device(&ch->dev);
	kfree(bf);
}

/**
 * bpipe_channel_get() - let nothing remove a channel, as if it were open
 * @ch: the channel
 *
 * Context: does not sleep.
 * Return: 0, or -ENODEV if it is gone.
 */
int bpipe_channel_get(struct bpipe_channel *ch)
{
	int ret;

	bpipe_channel_lock(ch);
	ret = ch->life == BPIPE_LIFE_GONE ? -ENODEV : 0;
	ch->opens += !ret;
	bpipe_channel_unlock(ch);
	return ret;
}

/**
 * bpipe_channel_put() - undo bpipe_channel_get()
 * @ch: the channel
 *
 * Context: does not sleep.
 */
void bpipe_channel_put(struct bpipe_channel *ch)
{
	bpipe_channel_lock(ch);
	ch->opens--;
	bpipe_channel_reap_locked(ch);
	bpipe_channel_unlock(ch);
}

/* Called with both sides' locks held, too; the caller frees @old, and kicks the rest. */
static int bpipe_channel_retire_locked(struct bpipe_channel *ch, u32 flags,
				       struct bpipe_storage *old)
	__must_hold(&ch->lock)
{
	int ret = 0;

	lockdep_assert_held(&ch->config);
	lockdep_assert_held(&ch->wr.lock);
	lockdep_assert_held(&ch->rd.lock);
	lockdep_assert_held(&ch->lock);
	if (ch->opens && !flags)
		return -EBUSY;
	if (flags & BPIPE_REMOVE_DRAIN && (ch->opens || bpipe_level_now(&ch->level))) {
		WRITE_ONCE(ch->life, BPIPE_LIFE_DRAINING);
		ret = -EINPROGRESS;
	} else {
		WRITE_ONCE(ch->life, BPIPE_LIFE_GONE);
		WRITE_ONCE(ch->memory.gone, true);
		bpipe_storage_strip_locked(ch, old);
	}
	bpipe_wait_update_locked(ch);
	bpipe_wait_kick_locked(ch, &ch->wr);
	bpipe_wait_kick_locked(ch, &ch->rd);
	return ret;
}

/**
 * bpipe_channel_retire() - let a channel be gone, or drain
 * @ch: the channel
 * @flags: BPIPE_REMOVE_DRAIN, BPIPE_REMOVE_FORCE, or 0
 *
 * The storage of one that is gone is freed at once, whatever keeps the rest of it.
 *
 * Context: may sleep.
 * Return: 0 if the channel is gone; -EINPROGRESS if it drains, and the reaper will be
 * scheduled; -EBUSY without @flags if it is open; -EINTR.
 */
int bpipe_channel_retire(struct bpipe_channel *ch, u32 flags)
{
	struct bpipe_storage old = { };
	int ret = mutex_lock_killable(&ch->config);
	u64 sleeps;

	if (ret)
		return ret;
	ret = bpipe_channel_lock_sides(ch);
	if (ret)
		goto unlock_config;
	bpipe_channel_lock(ch);
	ret = bpipe_channel_retire_locked(ch, flags, &old);
	sleeps = ch->sleeps;
	bpipe_channel_unlock(ch);
	bpipe_channel_unlock_sides(ch);

unlock_config:
	mutex_unlock(&ch->config);
	if (ret && ret != -EINPROGRESS)
		return ret;
	bpipe_wait_kick_rest(ch, &ch->wr, sleeps);
	bpipe_wait_kick_rest(ch, &ch->rd, sleeps);
	/* To be gone is not consumed by one poller, so wake the exclusive ones, too. */
	if (!ret)
		wake_up_interruptible_all(&ch->status_poll);
	bpipe_storage_free(ch, &old);
	return ret;
}

