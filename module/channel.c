// SPDX-License-Identifier: GPL-2.0
/*
 * Life of an open file and end of a channel: open, release, removal. write.c and read.c move
 * data in and out, and control.c creates channels.
 *
 * Lock order
 *	1. lock of control.c	list of channels, their names and minors
 *	2. channel.config	one change of the configuration at a time; claims on classes
 *	3. channel.wr.lock	heads of all rings: copying in
 *	4. channel.rd.lock	tails of all rings: copying out, dropping
 *	5. channel.lock		gates, waiters, reservations, counts, settings (spin, softirqs off)
 *	6. lock of buffer.c	memory charged to channels (spin, softirqs off)
 *	7. locks of wait queues	the kernel's own (spin)
 *
 * The suffixes _control, _config, _wr, _rd and _locked stand for locks 1 to 5, which the caller
 * of the function holds. No user page is faulted in and no buffer is allocated under any of
 * these locks. Both take minutes if the caller's memory cgroup is throttled.
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

/* Number of files opened since the module was loaded; gives each file its id. */
static atomic64_t bpipe_files;

/**
 * bpipe_channel_at_end_locked() - return true if a read that finds nothing gets end-of-file
 * @bf: open file of the reader
 *
 * Data may still come while a writer is open, and in a channel with "hold" at any time. Either
 * side may start first, so a file that has seen neither data nor a writer waits for the first
 * writer. A channel that drains or is gone gets no more data.
 *
 * Context: called with the channel's lock held.
 * Return: true at end-of-file.
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
 * bpipe_channel_write_error_locked() - get the error of a write that fails for any length
 * @bf: open file of the writer
 *
 * Either side may start first. So with "epipe", a write without a reader fails only if this file
 * has seen a reader before.
 *
 * Context: called with the channel's lock held.
 * Return: 0 if the write may go on; -ENODEV if the channel is gone; -EPIPE if the channel
 * drains, or lacks a reader that it must have.
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
 * bpipe_channel_open() - create an open file of a channel
 * @ch: the channel; the open file takes a reference
 * @mode: FMODE_READ, FMODE_WRITE, both, or none; other bits are ignored
 *
 * The first writer allocates the buffer of class 0.
 *
 * Context: called without locks; may sleep, for minutes if the memory cgroup is throttled.
 * Return: the open file, or an ERR_PTR
 *
 * * -EINTR if the caller was killed
 * * -ENOMEM if memory is lacking
 * * -ENOSPC if the cap on all buffers, or the channel's share, would be exceeded
 * * -ENXIO if the channel is gone, or drains and @mode has FMODE_WRITE
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
	/* A writer or reader that is open by now counts as seen. */
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
 * bpipe_channel_release() - close and free an open file
 * @bf: the open file, after its last reference is gone
 *
 * Context: called without locks; may sleep.
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
		/* Credit ends with the last reader, because no reader is left to honour it. */
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
 * bpipe_channel_get() - count a user of a channel, as an open file does
 * @ch: the channel, which is not removed without force until bpipe_channel_put()
 *
 * Context: does not sleep.
 * Return: 0, or -ENODEV if the channel is gone.
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

/*
 * Change a channel to gone or draining, and wake its waiters. Move the buffers of a channel that
 * is gone to @old. The configuration lock and both sides' locks are held, too. The caller wakes
 * the rest with bpipe_wait_kick_rest() and frees @old, after it has dropped the locks.
 *
 * Return: 0, -EBUSY or -EINPROGRESS, as bpipe_channel_retire().
 */
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
 * bpipe_channel_retire() - remove a channel, or begin to drain it
 * @ch: the channel
 * @flags: BPIPE_REMOVE_DRAIN, BPIPE_REMOVE_FORCE, or 0
 *
 * The buffers of a removed channel are freed at once. Open files keep the rest of it.
 *
 * Context: called with the lock of control.c held; may sleep.
 * Return: status of the channel
 *
 * * 0 if the channel is gone
 * * -EINPROGRESS if the channel drains; the reaper runs once it is empty and not open
 * * -EBUSY if the channel is open and @flags is 0
 * * -EINTR if the caller was killed
 */
int bpipe_channel_retire(struct bpipe_channel *ch, u32 flags)
{
	struct bpipe_storage old = { };
	int ret = mutex_lock_killable(&ch->config);
	u64 sleeps = 0;

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
	/* Removal is not consumed by one poller, so wake exclusive waiters, too. */
	if (!ret)
		wake_up_interruptible_all(&ch->status_poll);
	bpipe_storage_free(ch, &old);
	return ret;
}

