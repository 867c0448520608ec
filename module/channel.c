// SPDX-License-Identifier: GPL-2.0
/*
 * A channel: its life, its open files, and what they can see of it. How bytes get
 * in and out is in write.c and read.c.
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

#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait_bit.h>

#include "buffer.h"
#include "channel.h"
#include "compat.h"
#include "config.h"
#include "node.h"
#include "restart.h"
#include "shed.h"
#include "status.h"
#include "storage.h"
#include "sysfs.h"
#include "trace.h"
#include "wait.h"

/* Channels not yet freed; unloading waits until there are none. */
static atomic_t bpipe_channels;

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
{
	const struct bpipe_channel *ch = bf->ch;

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
{
	const struct bpipe_channel *ch = bf->ch;

	if (unlikely(ch->life != BPIPE_LIFE_USABLE))
		return ch->life == BPIPE_LIFE_GONE ? -ENODEV : -EPIPE;
	if (ch->set.epipe && !ch->rd.open && ch->reader_opens != bf->readers_before)
		return -EPIPE;
	return 0;
}

/*
 * What the next read has to pay for, so that poll and read agree: of a stream what is
 * there, or a record; 0 if there is nothing to read. The record itself is looked at
 * only where there is a rate, or it may have to go.
 */
static u64 bpipe_next_len_locked(struct bpipe_channel *ch)
{
	if (bpipe_is_record(ch) && (ch->flow.read.bytes.rate || ch->set.sheds))
		return bpipe_shed_next_len_locked(ch);
	return bpipe_level_now(&ch->level);
}

/* Return true if a read would give something. If it lacks tokens, arm the timer. */
static bool bpipe_readable_locked(struct bpipe_channel *ch)
{
	const struct bpipe_request req = {
		.len = bpipe_next_len_locked(ch),
		.atomic = bpipe_is_record(ch),
	};
	struct bpipe_grant grant = { };
	u64 now = ktime_get_ns();

	if (!req.len)
		return false;
	if (bpipe_flow_deliver(&ch->flow, &req, now, &grant) == BPIPE_GO)
		return true;
	bpipe_wait_timer_by(&ch->rd.tokens, now, grant.wait_ns);
	return false;
}

/*
 * Return true if a write would go: one such as was refused last, or an atomic one. If
 * it lacks room, have the writer notified; if it lacks tokens, arm the timer.
 */
static bool bpipe_writable_locked(struct bpipe_file *bf)
{
	const struct bpipe_request who = {
		.len = bf->refused_len,
		.class = bf->class,
		.own = &bf->rate,
	};
	struct bpipe_channel *ch = bf->ch;
	u64 level = bpipe_level_now(&ch->level), now = ktime_get_ns();
	struct bpipe_ready ready;
	bool writable;

	writable = bpipe_flow_writable(&ch->flow, &who, level, now, &ready);
	if (bf->refused_at == ch->chances && now < bf->refused_until) {
		writable = false;
		ready.wait_ns = bf->refused_until == U64_MAX ? U64_MAX : bf->refused_until - now;
	}
	if ((s64)level > ready.level)
		bpipe_wait_poll_locked(ch, ready.level);
	if (ready.wait_ns && ready.wait_ns != U64_MAX)
		bpipe_wait_timer_by(&ch->wr.tokens, now, ready.wait_ns);
	return writable;
}

/* What happened that this file was not told yet: BPIPE_EVENT_* */
static u32 bpipe_events_locked(const struct bpipe_file *bf)
{
	const struct bpipe_channel *ch = bf->ch;
	u32 events = 0;

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
 * bpipe_channel_poll() - what can be done now, and who to tell when that changes
 * @bf: the open file
 * @file: the same, as poll_wait() wants it
 * @wait: the poll table
 *
 * Context: does not sleep.
 * Return: EPOLL* bits; see bpipe(4).
 */
__poll_t bpipe_channel_poll(struct bpipe_file *bf, struct file *file, poll_table *wait)
{
	struct bpipe_channel *ch = bf->ch;
	bool pri = poll_requested_events(wait) & EPOLLPRI, stalled;
	__poll_t mask = 0;

	/* A file of neither side, too, has to hear that the channel is gone. */
	if (bpipe_is_reader(bf) || !bpipe_is_writer(bf) || pri)
		poll_wait(file, &ch->rd.poll, wait);
	if (bpipe_is_writer(bf))
		poll_wait(file, &ch->wr.poll, wait);

	bpipe_channel_lock(ch);
	if (unlikely(ch->life == BPIPE_LIFE_GONE)) {
		bpipe_channel_unlock(ch);
		return EPOLLERR | EPOLLHUP;
	}
	/*
	 * What lacks room is noted before the trip wires are set, and looked for again after
	 * that. Readers hear of the first that does; more often would wake this poller, too.
	 */
	stalled = ch->poll_level != BPIPE_POLL_NONE;
	if (bpipe_is_writer(bf))
		bpipe_writable_locked(bf);
	if (!stalled && ch->poll_level != BPIPE_POLL_NONE)
		bpipe_wait_settle_locked(ch);
	else
		bpipe_wait_set_trips_locked(ch);
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
		else if (bpipe_writable_locked(bf))
			mask |= EPOLLOUT | EPOLLWRNORM;
	}
	if (bpipe_events_locked(bf))
		mask |= EPOLLPRI;
	bpipe_channel_unlock(ch);
	return mask;
}

/**
 * bpipe_channel_fasync() - turn SIGIO on or off: of room, of data; or of events, for a file
 *	that is neither a writer nor a reader
 * @bf: the open file
 * @fd: its descriptor
 * @file: the same, as fasync_helper() wants it
 * @on: on or off
 *
 * Context: may sleep.
 * Return: at least 0, or -ENOMEM.
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
	bpipe_wait_settle(ch);
	return ret < 0 ? ret : 0;
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
	bf->threshold = 1;
	bf->policy = BPIPE_POLICY_CHANNEL;
	bf->burst_follows = true;
	bf->rate.burst = 1;
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
		bpipe_config_watch_locked(bf);
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
	bpipe_config_forget_locked(bf);
	bpipe_storage_trim_locked(ch, &unused);
	ch->opens--;
	if (bpipe_is_reader(bf)) {
		bpipe_config_unwatch_locked(bf);
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
	bpipe_wait_settle_locked(ch);
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
 * bpipe_channel_events() - GET_EVENTS: look
 * @bf: the open file
 * @events: filled in
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
 * bpipe_channel_events_told() - GET_EVENTS: clear what was told
 * @bf: the open file, for which events are kept from now on
 * @events: what bpipe_channel_events() gave
 *
 * Context: does not sleep.
 * Return: false if another caller was told one of them in the meantime.
 */
bool bpipe_channel_events_told(struct bpipe_file *bf, const struct bpipe_events *events)
{
	struct bpipe_channel *ch = bf->ch;
	bool told;

	bpipe_channel_lock(ch);
	told = !(events->events & BPIPE_EVENT_HIGH && bf->high_seen >= events->high_events) &&
	       !(events->events & BPIPE_EVENT_LOW && bf->low_seen >= events->low_events) &&
	       !(events->events & BPIPE_EVENT_OVERLOAD &&
		 bf->overload_seen >= events->overload_events);
	if (told) {
		bf->high_seen = max(bf->high_seen, events->high_events);
		bf->low_seen = max(bf->low_seen, events->low_events);
		bf->overload_seen = max(bf->overload_seen, events->overload_events);
		bf->listens = true;
	}
	bpipe_channel_unlock(ch);
	return told;
}

static void bpipe_channel_free(struct device *dev)
{
	struct bpipe_channel *ch = container_of(dev, struct bpipe_channel, dev);
	u32 class;

	bpipe_shed_uninit(ch);
	bpipe_wait_uninit(ch);
	for (class = 0; class < BPIPE_CLASSES; class++)
		bpipe_band_free(ch->band[class], &ch->memory);
	kfree(ch);
	if (atomic_dec_and_test(&bpipe_channels))
		wake_up_var(&bpipe_channels);
}

/**
 * bpipe_channel_create() - make a channel and its device node
 * @name: the node's name under /dev
 * @devt: its device number
 * @id: what tells it apart from all other channels
 * @size: capacity in bytes, if @config does not set it
 * @config: what is to differ from a new channel's configuration
 *
 * Context: may sleep.
 * Return: the channel; or ERR_PTR: -EINVAL for the size, -ENOMEM, -ENOSPC, as
 * bpipe_config_set(), or what the driver core says.
 */
struct bpipe_channel *bpipe_channel_create(const char *name, dev_t devt, const u64 id[2],
					   u64 size, const struct bpipe_config *config)
{
	struct bpipe_channel *ch;
	int ret;

	ch = kzalloc(sizeof(*ch), GFP_KERNEL_ACCOUNT);
	if (!ch)
		return ERR_PTR(-ENOMEM);

	mutex_init(&ch->config);
	mutex_init(&ch->wr.lock);
	mutex_init(&ch->rd.lock);
	init_waitqueue_head(&ch->status_poll);
	spin_lock_init(&ch->lock);
	init_waitqueue_head(&ch->allocators);
	memcpy(ch->id, id, sizeof(ch->id));
	ch->state_since = ktime_get_ns();
	bpipe_config_init(ch, size);
	bpipe_wait_init(ch);
	bpipe_shed_init(ch);
	bpipe_overload_init(ch, ch->state_since);
	bpipe_sysfs_notify_init(ch);

	atomic_inc(&bpipe_channels);
	device_initialize(&ch->dev);
	ch->dev.class = &bpipe_class;
	ch->dev.type = &bpipe_node_type;
	ch->dev.devt = devt;
	ch->dev.groups = bpipe_channel_groups;
	ch->dev.release = bpipe_channel_free;
	cdev_init(&ch->cdev, &bpipe_fops);
	ch->cdev.owner = THIS_MODULE;

	ret = -EINVAL;
	if (!bpipe_flow_valid(&ch->flow))
		goto put;
	bpipe_flow_plan(&ch->flow);
	ret = -ENOMEM;
	ch->band[0] = bpipe_band_create();
	if (!ch->band[0])
		goto put;

	ret = bpipe_config_set(ch, config);
	if (!ret && PAGE_ALIGN(ch->flow.size) > bpipe_buffer_share())
		ret = -ENOSPC;
	if (!ret)
		ret = dev_set_name(&ch->dev, "%s", name);
	if (!ret)
		ret = cdev_device_add(&ch->cdev, &ch->dev);
	if (!ret)
		return ch;
put:
	put_device(&ch->dev);
	return ERR_PTR(ret);
}

/**
 * bpipe_channel_reap_locked() - see to the end of a channel that may have drained
 * @ch: the channel, which lost an open file or a record
 *
 * Context: called with the channel's lock held.
 */
void bpipe_channel_reap_locked(struct bpipe_channel *ch)
{
	if (unlikely(ch->life == BPIPE_LIFE_DRAINING) && !ch->opens &&
	    !bpipe_level_now(&ch->level))
		schedule_work(ch->reaper);
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
{
	int ret = 0;

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
	bpipe_wait_settle_locked(ch);
	bpipe_wait_kick_locked(ch, &ch->wr);
	bpipe_wait_kick_locked(ch, &ch->rd);
	return ret;
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
	if (ret) {
		mutex_unlock(&ch->config);
		return ret;
	}
	bpipe_channel_lock(ch);
	ret = bpipe_channel_retire_locked(ch, flags, &old);
	sleeps = ch->sleeps;
	bpipe_channel_unlock(ch);
	bpipe_channel_unlock_sides(ch);
	mutex_unlock(&ch->config);
	if (ret != -EBUSY) {
		bpipe_wait_kick_rest(ch, &ch->wr, sleeps);
		bpipe_wait_kick_rest(ch, &ch->rd, sleeps);
	}
	/* To be gone is not consumed by one poller, so wake the exclusive ones, too. */
	if (!ret)
		wake_up_interruptible_all(&ch->status_poll);
	bpipe_storage_free(ch, &old);
	return ret;
}

/**
 * bpipe_channel_destroy() - take a channel's node away and drop it
 * @ch: the channel; gone with its last open file
 *
 * Context: may sleep.
 */
void bpipe_channel_destroy(struct bpipe_channel *ch)
{
	struct kernfs_node *state;

	bpipe_overload_stop(ch);
	state = bpipe_sysfs_notify_stop(ch);
	cdev_device_del(&ch->cdev, &ch->dev);
	bpipe_sysfs_notify_gone(state);
	put_device(&ch->dev);
}

/**
 * bpipe_channel_wait_freed() - wait until every channel is freed, and all buffers
 *
 * A reference may outlive the node by a moment, and the functions that free a
 * channel and its buffers are in this module.
 *
 * Context: may sleep.
 */
void bpipe_channel_wait_freed(void)
{
	wait_var_event(&bpipe_channels, !atomic_read(&bpipe_channels));
	bpipe_buffer_flush();
}
