// SPDX-License-Identifier: GPL-2.0
/*
 * A channel: its life, and the way of bytes through its ring.
 *
 * Lock order
 *	1. channel.config	one change of the configuration at a time
 *	2. channel.wr.lock	owner of the ring's head: copying in
 *	3. channel.rd.lock	owner of the ring's tail: copying out
 *	4. channel.lock		gate, sleepers, counts (spin, softirq)
 *	5. wait queues' own
 * A function whose name ends in _wr, _rd or _locked is called with wr.lock,
 * rd.lock or lock held. No user page is faulted in under any of them.
 */

#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/wait_bit.h>

#include "buffer.h"
#include "channel.h"
#include "compat.h"
#include "config.h"
#include "trace.h"
#include "wait.h"

/* Bytes copied in one go under a side's lock, so that others get their turn. */
#define BPIPE_CHUNK	(256 * 1024)

/* Channels not yet freed; unloading waits until there are none. */
static atomic_t bpipe_channels;

/*
 * Would a reader of @bf that finds nothing be told end-of-file? Not while
 * there is a writer, and not before this file has seen data or a writer.
 */
static bool bpipe_at_end_locked(const struct bpipe_file *bf)
{
	const struct bpipe_channel *ch = bf->ch;

	return !ch->wr.open && !ch->hold &&
	       (bf->read_any || ch->writer_opens != bf->opens_before);
}

static int bpipe_side_lock(struct bpipe_side *side, unsigned int how)
{
	if (!(how & BPIPE_NOWAIT))
		mutex_lock(&side->lock);
	else if (!mutex_trylock(&side->lock))
		return -EAGAIN;
	return 0;
}

/* Asks the flow about a write, with its place among those that wait. */
static enum bpipe_verdict bpipe_ask_wr(struct bpipe_channel *ch, struct bpipe_request *req,
				       struct bpipe_waiter *w, size_t held, u64 now,
				       struct bpipe_grant *grant)
{
	req->turn = w->queued && bpipe_wait_first(&ch->wr) == w;
	req->behind = !req->turn && !list_empty(&ch->wr.waiters);
	return bpipe_flow_admit(&ch->flow, req, held, now, grant);
}

/*
 * A write was not admitted: note why, and queue it or turn it away.
 *
 * Return: -EAGAIN, -EBPIPE_QUEUED, or 0 if things are otherwise by now.
 */
static int bpipe_refuse_wr(struct bpipe_file *bf, struct bpipe_request *req,
			   enum bpipe_verdict verdict, struct bpipe_waiter *w, bool first,
			   u64 now)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_grant grant;
	bool throttled;
	u64 wait_ns;
	int ret = 0;

	spin_lock_bh(&ch->lock);
	/* The last reader, as it left, woke only those in the queue. */
	if (ch->epipe && !ch->rd.open)
		goto out;
	if (verdict == BPIPE_WAIT_SPACE) {
		bpipe_flow_refuse(&ch->flow);
		bpipe_wait_wake_readers_locked(ch, bpipe_ring_level(&ch->ring), false);
		bpipe_wait_set_trips_locked(ch);
	}
	if (bpipe_ask_wr(ch, req, w, bpipe_ring_held(&ch->ring), now, &grant) != verdict) {
		bpipe_wait_settle_locked(ch);
		goto out;
	}

	throttled = verdict == BPIPE_WAIT_TOKENS ||
		    (verdict == BPIPE_WAIT_TURN &&
		     bpipe_wait_first(&ch->wr)->delay == &ch->throttled);
	if (req->nonblock) {
		/* Whoever polls on is told when there are tokens for them. */
		bpipe_flow_writable(&ch->flow, now, &wait_ns);
		if (verdict == BPIPE_WAIT_TOKENS && wait_ns != U64_MAX)
			bpipe_wait_timer_by(&ch->wr.timer, now, wait_ns);
		ch->again += first;
		bf->again += first;
		ch->throttled.times += first && throttled;
		bf->throttled.times += first && throttled;
		ret = -EAGAIN;
		goto out;
	}

	if (verdict == BPIPE_WAIT_TOKENS)
		bpipe_wait_timer_by(&ch->wr.timer, now, grant.wait_ns);
	w->promise = bpipe_flow_promise(&ch->flow, req);
	bpipe_wait_queue_locked(ch, w, throttled ? &ch->throttled : &ch->blocked,
				throttled ? &bf->throttled : &bf->blocked);
	w->timed = verdict == BPIPE_WAIT_TOKENS;
	ret = -EBPIPE_QUEUED;
out:
	spin_unlock_bh(&ch->lock);
	trace_bpipe_refuse(ch, verdict, req->len, ret);
	return ret;
}

/*
 * Stores what the flow admits of a write, once.
 *
 * Return: bytes stored; -EFAULT if a page of the caller's is not there, to be
 * faulted in outside; 0 to try again; or as bpipe_refuse_wr().
 */
static ssize_t bpipe_write_wr(struct bpipe_file *bf, struct iov_iter *from,
			      struct bpipe_request *req, struct bpipe_waiter *w, bool first)
{
	struct bpipe_channel *ch = bf->ch;
	size_t held = bpipe_ring_held(&ch->ring);
	u64 now = ch->flow.bucket.rate ? ktime_get_ns() : 0;
	enum bpipe_verdict verdict;
	struct bpipe_grant grant;
	size_t n, done;

	if (unlikely(ch->epipe && !READ_ONCE(ch->rd.open)))
		return -EPIPE;

	verdict = bpipe_ask_wr(ch, req, w, held, now, &grant);
	if (unlikely(verdict != BPIPE_GO))
		return bpipe_refuse_wr(bf, req, verdict, w, first, now);

	n = req->atomic ? grant.bytes : min_t(u64, grant.bytes, BPIPE_CHUNK);
	pagefault_disable();
	done = bpipe_ring_fill(&ch->ring, from, n);
	pagefault_enable();
	if (unlikely(done < n) && req->atomic) {
		iov_iter_revert(from, done);
		done = 0;
	}
	if (unlikely(!done))
		return -EFAULT;

	bpipe_ring_push(&ch->ring, done);
	ch->wr.traffic.bytes += done;
	ch->wr.traffic.calls += first;
	bf->written.bytes += done;
	bf->written.calls += first;
	held = bpipe_ring_held(&ch->ring);
	ch->peak = max(ch->peak, held);
	if (ch->flow.bucket.rate) {
		spin_lock_bh(&ch->lock);
		bpipe_bucket_take(&ch->flow.bucket, done, now);
		spin_unlock_bh(&ch->lock);
	}
	trace_bpipe_write(ch, done, held);
	return done;
}

/**
 * bpipe_channel_write() - write to a channel
 * @bf: the open file, open for writing
 * @from: what to write; advanced by what was taken
 * @how: BPIPE_NONBLOCK, BPIPE_NOWAIT, BPIPE_NOSIGNAL
 *
 * Up to PIPE_BUF bytes are stored at once or not at all.
 *
 * Context: may sleep, except with BPIPE_NOWAIT for anything but user pages.
 * Return: bytes taken, if any were; else -EAGAIN, -EFAULT, -EPIPE or
 * -ERESTARTSYS.
 */
ssize_t bpipe_channel_write(struct bpipe_file *bf, struct iov_iter *from, unsigned int how)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_waiter self;
	struct bpipe_request req;
	ssize_t ret, done = 0;

	req.len = iov_iter_count(from);
	if (!req.len)
		return 0;
	req.atomic = req.len <= PIPE_BUF;
	req.nonblock = how & BPIPE_NONBLOCK;
	self.side = &ch->wr;
	self.file = bf;
	self.queued = false;
	self.progress = false;

	for (;;) {
		ret = bpipe_side_lock(&ch->wr, how);
		if (ret)
			break;
		ret = bpipe_write_wr(bf, from, &req, &self, !done);
		mutex_unlock(&ch->wr.lock);
		if (likely(ret > 0)) {
			bpipe_wait_settle_write(ch);
			done += ret;
			self.progress = true;
			req.len -= ret;
			if (likely(!req.len))
				break;
		} else if (ret == -EBPIPE_QUEUED) {
			ret = bpipe_wait_sleep(ch, &self);
			if (ret)
				break;
		} else if (ret == -EFAULT) {
			/* Nobody waits while a page of ours is fetched. */
			bpipe_wait_leave(ch, &self);
			if (!user_backed_iter(from) ||
			    fault_in_iov_iter_readable(from, req.atomic ? req.len : 1))
				break;
			if (fatal_signal_pending(current)) {
				ret = -EINTR;
				break;
			}
		} else if (ret) {
			break;
		}
	}
	bpipe_wait_leave(ch, &self);
	if (unlikely(ret == -EPIPE) && !done && !(how & BPIPE_NOSIGNAL))
		send_sig(SIGPIPE, current, 0);
	return done ? done : ret;
}

/*
 * Nothing to read: end-of-file, EAGAIN, or a place in the queue.
 *
 * Return: 0 for end-of-file, -EAGAIN, -EBPIPE_QUEUED, or 1 if there is
 * something by now.
 */
static int bpipe_starve_rd(struct bpipe_file *bf, struct bpipe_waiter *w, unsigned int how)
{
	struct bpipe_channel *ch = bf->ch;
	int ret;

	spin_lock_bh(&ch->lock);
	if (bpipe_at_end_locked(bf)) {
		/* The last writer wrote before it closed. */
		ret = bpipe_ring_queued(&ch->ring) ? 1 : 0;
	} else if (how & BPIPE_NONBLOCK) {
		ret = bpipe_ring_queued(&ch->ring) ? 1 : -EAGAIN;
	} else {
		/* A delay runs from the first byte that comes now. */
		hrtimer_try_to_cancel(&ch->rd.timer);
		bpipe_wait_queue_locked(ch, w, &ch->starved, &bf->starved);
		bpipe_wait_set_trips_locked(ch);
		if (bpipe_ring_queued(&ch->ring))
			w->woken = true;
		ret = -EBPIPE_QUEUED;
	}
	spin_unlock_bh(&ch->lock);
	return ret;
}

/* The first data of a file: now it can be at its end, and pollers are told. */
static void bpipe_seen_rd(struct bpipe_file *bf)
{
	struct bpipe_channel *ch = bf->ch;

	spin_lock_bh(&ch->lock);
	bf->read_any = true;
	if (bpipe_at_end_locked(bf))
		bpipe_wait_tell_all_locked(&ch->rd);
	spin_unlock_bh(&ch->lock);
}

/**
 * struct bpipe_gather - how far a read has come
 * @pos: where in the stream it goes on, if it has taken something
 * @first: it has taken nothing yet
 * @partly: a page of the caller's cannot be had, so take what goes before it
 */
struct bpipe_gather {
	unsigned long pos;
	bool first;
	bool partly;
};

/*
 * Takes what is there, once, and all for which there is room: if it were a part
 * because of a missing page, another reader might take what comes next
 * while the page is fetched.
 *
 * Return: bytes taken, 0 at end-of-file, -EFAULT if a page of the caller's is
 * not there, -EBPIPE_QUEUED, or -EAGAIN, also if what follows is gone.
 */
static ssize_t bpipe_read_rd(struct bpipe_file *bf, struct iov_iter *to,
			     struct bpipe_waiter *w, struct bpipe_gather *gather,
			     unsigned int how)
{
	struct bpipe_channel *ch = bf->ch;
	bool first = gather->first;
	size_t queued, n, done;
	int ret;

	if (!first && gather->pos != ch->ring.tail.pos)
		return -EAGAIN;
	while (unlikely(!(queued = bpipe_ring_queued(&ch->ring)))) {
		if (!first)
			return -EAGAIN;
		ret = bpipe_starve_rd(bf, w, how);
		if (ret <= 0)
			return ret;
	}

	n = min3(queued, iov_iter_count(to), (size_t)BPIPE_CHUNK);
	pagefault_disable();
	done = bpipe_ring_drain(&ch->ring, to, n);
	pagefault_enable();
	if (unlikely(done < n) && !gather->partly) {
		iov_iter_revert(to, done);
		done = 0;
	}
	if (unlikely(!done))
		return -EFAULT;

	bpipe_ring_pop(&ch->ring, done);
	gather->pos = ch->ring.tail.pos;
	gather->first = false;
	ch->rd.traffic.bytes += done;
	ch->rd.traffic.calls += first;
	bf->read.bytes += done;
	bf->read.calls += first;
	if (unlikely(!bf->read_any))
		bpipe_seen_rd(bf);
	trace_bpipe_read(ch, done, queued - done);
	return done;
}

/*
 * Fetches the pages that the next bytes go to. Whether it is worth trying again.
 */
static bool bpipe_read_fault_in(struct bpipe_channel *ch, const struct iov_iter *to,
				struct bpipe_gather *gather)
{
	size_t n = min3(bpipe_ring_level(&ch->ring), iov_iter_count(to), (size_t)BPIPE_CHUNK);
	size_t missing;

	n = max_t(size_t, n, 1);
	missing = fault_in_iov_iter_writeable(to, n);
	gather->partly = missing;
	return missing < n;
}

/**
 * bpipe_channel_read() - read from a channel
 * @bf: the open file, open for reading
 * @to: where to; advanced by what was given
 * @how: BPIPE_NONBLOCK, BPIPE_NOWAIT
 *
 * Gives what is there, up to the count; sleeps only if there is nothing. The
 * bytes follow each other in the stream, also with other readers.
 *
 * Context: may sleep, except with BPIPE_NOWAIT for anything but user pages.
 * Return: bytes read, 0 at end-of-file, -EAGAIN, -EFAULT or -ERESTARTSYS.
 */
ssize_t bpipe_channel_read(struct bpipe_file *bf, struct iov_iter *to, unsigned int how)
{
	struct bpipe_channel *ch = bf->ch;
	/* What is no memory of a user's is as long as it is. */
	struct bpipe_gather gather = { .first = true, .partly = !user_backed_iter(to) };
	struct bpipe_waiter self;
	ssize_t ret, done = 0;

	if (!iov_iter_count(to))
		return 0;
	self.side = &ch->rd;
	self.file = bf;
	self.queued = false;
	self.progress = false;

	for (;;) {
		ret = bpipe_side_lock(&ch->rd, how);
		if (ret)
			break;
		ret = bpipe_read_rd(bf, to, &self, &gather, how);
		mutex_unlock(&ch->rd.lock);
		if (likely(ret > 0)) {
			bpipe_wait_settle_read(ch);
			done += ret;
			if (!iov_iter_count(to))
				break;
			/* Look for more only where more can be. */
			if (!bpipe_ring_level(&ch->ring))
				break;
		} else if (ret == -EBPIPE_QUEUED) {
			ret = bpipe_wait_sleep(ch, &self);
			if (ret)
				break;
		} else if (ret == -EFAULT) {
			/* Nobody waits while a page of ours is fetched. */
			bpipe_wait_leave(ch, &self);
			if (!user_backed_iter(to) || !bpipe_read_fault_in(ch, to, &gather))
				break;
			if (fatal_signal_pending(current)) {
				ret = -EINTR;
				break;
			}
		} else {
			break;
		}
	}
	bpipe_wait_leave(ch, &self);
	return done ? done : ret;
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
	bool pri = poll_requested_events(wait) & EPOLLPRI;
	__poll_t mask = 0;
	u64 now, wait_ns;

	if (bpipe_is_reader(bf) || pri)
		poll_wait(file, &ch->rd.poll, wait);
	if (bpipe_is_writer(bf))
		poll_wait(file, &ch->wr.poll, wait);

	spin_lock_bh(&ch->lock);
	bpipe_wait_set_trips_locked(ch);
	if (bpipe_is_reader(bf)) {
		bool end = bpipe_at_end_locked(bf);

		if (end || bpipe_ring_level(&ch->ring))
			mask |= EPOLLIN | EPOLLRDNORM;
		if (end)
			mask |= EPOLLHUP;
	}
	if (bpipe_is_writer(bf)) {
		if (ch->epipe && !ch->rd.open) {
			mask |= EPOLLOUT | EPOLLWRNORM | EPOLLERR;
		} else {
			now = ktime_get_ns();
			if (bpipe_flow_writable(&ch->flow, now, &wait_ns))
				mask |= EPOLLOUT | EPOLLWRNORM;
			else if (wait_ns && wait_ns != U64_MAX)
				bpipe_wait_timer_by(&ch->wr.timer, now, wait_ns);
		}
	}
	if (bf->listens && (bf->high_seen != ch->high_events || bf->low_seen != ch->low_events))
		mask |= EPOLLPRI;
	spin_unlock_bh(&ch->lock);
	return mask;
}

/**
 * bpipe_channel_fasync() - turn SIGIO on or off
 * @bf: the open file
 * @fd: its descriptor
 * @file: the same, as fasync_helper() wants it
 * @on: on or off
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int bpipe_channel_fasync(struct bpipe_file *bf, int fd, struct file *file, int on)
{
	struct bpipe_channel *ch = bf->ch;
	int ret = 0;

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
 * bpipe_channel_open() - a file is opened
 * @ch: the channel; the file holds a reference to it
 * @mode: FMODE_READ, FMODE_WRITE, both, or none
 *
 * Context: may sleep for memory.
 * Return: the open file, or ERR_PTR(-ENOMEM).
 */
struct bpipe_file *bpipe_channel_open(struct bpipe_channel *ch, fmode_t mode)
{
	struct bpipe_file *bf = kzalloc(sizeof(*bf), GFP_KERNEL_ACCOUNT);

	if (!bf)
		return ERR_PTR(-ENOMEM);
	get_device(&ch->dev);
	bf->ch = ch;
	bf->mode = mode & (FMODE_READ | FMODE_WRITE);
	bf->threshold = 1;
	bf->listens = !bf->mode;

	spin_lock_bh(&ch->lock);
	bf->high_seen = ch->high_events;
	bf->low_seen = ch->low_events;
	/* A writer that is there counts as seen. */
	bf->opens_before = ch->writer_opens - (ch->wr.open ? 1 : 0);
	if (bpipe_is_writer(bf)) {
		WRITE_ONCE(ch->wr.open, ch->wr.open + 1);
		ch->writer_opens++;
	}
	if (bpipe_is_reader(bf))
		WRITE_ONCE(ch->rd.open, ch->rd.open + 1);
	list_add_tail(&bf->node, &ch->files);
	spin_unlock_bh(&ch->lock);
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

	spin_lock_bh(&ch->lock);
	list_del(&bf->node);
	if (bpipe_is_reader(bf)) {
		WRITE_ONCE(ch->rd.open, ch->rd.open - 1);
		if (!ch->rd.open && ch->epipe)
			bpipe_wait_wake_all_locked(&ch->wr, POLL_OUT);
	}
	if (bpipe_is_writer(bf)) {
		WRITE_ONCE(ch->wr.open, ch->wr.open - 1);
		if (!ch->wr.open)
			bpipe_wait_wake_all_locked(&ch->rd, POLL_IN);
	}
	bpipe_wait_settle_locked(ch);
	spin_unlock_bh(&ch->lock);

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

	spin_lock_bh(&ch->lock);
	*events = (struct bpipe_events) {
		.state = ch->flow.pressured ? BPIPE_STATE_PRESSURED : BPIPE_STATE_NORMAL,
		.level = bpipe_ring_level(&ch->ring),
		.high_events = ch->high_events,
		.low_events = ch->low_events,
		.time_ns = ch->event_ns,
	};
	if (bf->listens && bf->high_seen != ch->high_events)
		events->events |= BPIPE_EVENT_HIGH;
	if (bf->listens && bf->low_seen != ch->low_events)
		events->events |= BPIPE_EVENT_LOW;
	spin_unlock_bh(&ch->lock);
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

	spin_lock_bh(&ch->lock);
	told = !(events->events & BPIPE_EVENT_HIGH && bf->high_seen >= events->high_events) &&
	       !(events->events & BPIPE_EVENT_LOW && bf->low_seen >= events->low_events);
	if (told) {
		bf->high_seen = max(bf->high_seen, events->high_events);
		bf->low_seen = max(bf->low_seen, events->low_events);
		bf->listens = true;
	}
	spin_unlock_bh(&ch->lock);
	return told;
}

static void bpipe_channel_free(struct device *dev)
{
	struct bpipe_channel *ch = container_of(dev, struct bpipe_channel, dev);

	bpipe_wait_uninit(ch);
	if (ch->ring.data)
		bpipe_buffer_free(ch->ring.data, ch->ring.size);
	kfree(ch);
	if (atomic_dec_and_test(&bpipe_channels))
		wake_up_var(&bpipe_channels);
}

/**
 * bpipe_channel_create() - make a channel and its device node
 * @name: the node's name under /dev
 * @devt: its device number
 * @size: capacity in bytes
 *
 * Context: may sleep.
 * Return: the channel; or ERR_PTR: -EINVAL for the size, -ENOMEM, -ENOSPC, or
 * what the driver core says.
 */
struct bpipe_channel *bpipe_channel_create(const char *name, dev_t devt, u64 size)
{
	struct bpipe_channel *ch;
	void *data;
	int ret;

	ch = kzalloc(sizeof(*ch), GFP_KERNEL_ACCOUNT);
	if (!ch)
		return ERR_PTR(-ENOMEM);

	mutex_init(&ch->config);
	mutex_init(&ch->wr.lock);
	mutex_init(&ch->rd.lock);
	spin_lock_init(&ch->lock);
	INIT_LIST_HEAD(&ch->files);
	ch->burst_follows = true;
	ch->state_since = ktime_get_ns();
	ch->flow.size = size;
	ch->flow.high = size - size / 4;
	ch->flow.low = size / 4;
	ch->flow.bucket.burst = bpipe_flow_default_burst(0);
	bpipe_wait_init(ch);

	atomic_inc(&bpipe_channels);
	device_initialize(&ch->dev);
	ch->dev.class = &bpipe_class;
	ch->dev.devt = devt;
	ch->dev.groups = bpipe_channel_groups;
	ch->dev.release = bpipe_channel_free;
	cdev_init(&ch->cdev, &bpipe_fops);
	ch->cdev.owner = THIS_MODULE;

	ret = -EINVAL;
	if (!bpipe_flow_valid(&ch->flow))
		goto put;
	data = bpipe_buffer_alloc(size);
	ret = PTR_ERR_OR_ZERO(data);
	if (ret)
		goto put;
	bpipe_ring_init(&ch->ring, data, size);

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
 * bpipe_channel_destroy() - take a channel's node away and drop it
 * @ch: the channel; gone with its last open file
 *
 * Context: may sleep.
 */
void bpipe_channel_destroy(struct bpipe_channel *ch)
{
	cdev_device_del(&ch->cdev, &ch->dev);
	put_device(&ch->dev);
}

/**
 * bpipe_channel_drain() - wait until every channel is freed
 *
 * A reference may outlive the node by a moment, and the function that frees a
 * channel is in this module.
 *
 * Context: may sleep.
 */
void bpipe_channel_drain(void)
{
	wait_var_event(&bpipe_channels, !atomic_read(&bpipe_channels));
}
