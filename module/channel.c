// SPDX-License-Identifier: GPL-2.0
/*
 * A channel: the way of bytes through the ring, and who waits for whom.
 *
 * Lock order
 *	1. channel.config	one change of the configuration at a time
 *	2. channel.wr.lock	owner of the ring's head: copying in
 *	3. channel.rd.lock	owner of the ring's tail: copying out
 *	4. channel.lock		gate, sleepers, counts (spin, softirq)
 *	5. wait queues' own
 * A function whose name ends in _wr, _rd or _locked is called with wr.lock,
 * rd.lock or lock held. No user page is faulted in under any of them.
 *
 * Sleeping and waking
 *	Who wants to sleep queues a struct bpipe_waiter, sets a trip wire (a
 *	level at which the other side has to look at the sleepers), and then
 *	looks at the level once more. The other side moves its end of the ring
 *	and then looks at the trip wire. Each has a full barrier between its two
 *	steps, so at least one of them sees the other:
 *
 *	sleeper				other side
 *	  trip wire = ...		  push() or pop()
 *	  smp_mb()   [A]		  smp_mb()   [B]
 *	  look at the level		  look at the trip wire
 *
 *	Barriers [A] are in bpipe_set_trips_locked(), [B] in bpipe_settle_write()
 *	and bpipe_settle_read(). A waiter stays in its place in the queue until
 *	it is done or gives up; whoever leaves the queue hands on to the next.
 */

#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#include "channel.h"
#include "compat.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Bytes copied in one go under a side's lock, so that others get their turn. */
#define BPIPE_CHUNK	(256 * 1024)

/* Internal: the caller was queued and has to sleep. Never seen by users. */
#define EBPIPE_QUEUED	(MAX_ERRNO - 1)

/**
 * struct bpipe_waiter - a sleeping reader or writer, on its own stack
 * @node: in its side's queue
 * @task: whom to wake
 * @delay: the channel's account that this sleep goes to
 * @file_delay: the open file's account
 * @queued_at: since when it waits
 * @since: when this sleep began
 * @threshold: readers: level to be woken at
 * @delay_ns: readers: or when data has waited so long
 * @promise: writers: what is kept for it once it is the first
 * @queued: it is in the queue
 * @woken: it has been told to look again
 * @progress: it moved bytes since it was queued
 */
struct bpipe_waiter {
	struct list_head node;
	struct task_struct *task;
	struct bpipe_delay *delay;
	struct bpipe_delay *file_delay;
	u64 queued_at;
	u64 since;
	u64 threshold;
	u64 delay_ns;
	struct bpipe_promise promise;
	bool queued;
	bool woken;
	bool progress;
};

/*
 * Memory: all buffers together stay below a cap, beside being charged to the
 * memory cgroup of whoever asks for them.
 */
static atomic64_t bpipe_memory_used;
static u64 bpipe_memory_cap;

/* Channels not yet freed; unloading waits until there are none. */
static atomic_t bpipe_channels;
static DECLARE_WAIT_QUEUE_HEAD(bpipe_channels_wait);

u64 bpipe_memory(void)
{
	return atomic64_read(&bpipe_memory_used);
}

u64 bpipe_memory_max(void)
{
	return READ_ONCE(bpipe_memory_cap);
}

void bpipe_memory_set_max(u64 bytes)
{
	WRITE_ONCE(bpipe_memory_cap, bytes);
}

static void bpipe_buffer_free(void *data, size_t size)
{
	vfree(data);
	atomic64_sub(PAGE_ALIGN(size), &bpipe_memory_used);
}

/* Return: the buffer, or ERR_PTR of -ENOSPC (the cap) or -ENOMEM. */
static void *bpipe_buffer_alloc(size_t size)
{
	size_t bytes = PAGE_ALIGN(size);
	void *data;

	if (atomic64_add_return(bytes, &bpipe_memory_used) > bpipe_memory_max()) {
		atomic64_sub(bytes, &bpipe_memory_used);
		return ERR_PTR(-ENOSPC);
	}
	/* RETRY_MAYFAIL: a memory cgroup at its limit is an error, not a kill. */
	data = __vmalloc(bytes, GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!data) {
		atomic64_sub(bytes, &bpipe_memory_used);
		return ERR_PTR(-ENOMEM);
	}
	return data;
}

static bool bpipe_is_writer(const struct bpipe_file *bf)
{
	return bf->mode & FMODE_WRITE;
}

static bool bpipe_is_reader(const struct bpipe_file *bf)
{
	return bf->mode & FMODE_READ;
}

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

/* First of the queue, or NULL. */
static struct bpipe_waiter *bpipe_first_locked(struct bpipe_side *side)
{
	return list_first_entry_or_null(&side->waiters, struct bpipe_waiter, node);
}

static void bpipe_wake_locked(struct bpipe_side *side, struct bpipe_waiter *w)
{
	if (w->woken)
		return;
	side->wakeups++;
	WRITE_ONCE(w->woken, true);
	wake_up_process(w->task);
}

static void bpipe_wake_pollers_locked(struct bpipe_side *side, __poll_t events, int band)
{
	if (waitqueue_active(&side->poll))
		wake_up_interruptible_poll(&side->poll, events);
	kill_fasync(&side->fasync, SIGIO, band);
}

/**
 * bpipe_channel_waits_locked() - how long the one that has waited longest waits
 * @side: its side
 * @now: the time, nanoseconds
 *
 * Context: called with the channel's lock held.
 * Return: nanoseconds; 0 if nobody waits.
 */
u64 bpipe_channel_waits_locked(struct bpipe_side *side, u64 now)
{
	struct bpipe_waiter *w = bpipe_first_locked(side);

	return w ? now - w->queued_at : 0;
}

/* Wakes all of a side: the rules changed, let everybody look again. */
static void bpipe_wake_all_locked(struct bpipe_side *side, __poll_t events, int band)
{
	struct bpipe_waiter *w;

	list_for_each_entry(w, &side->waiters, node)
		bpipe_wake_locked(side, w);
	bpipe_wake_pollers_locked(side, events, band);
}

/* Start @timer, or bring it forward. */
static void bpipe_timer_by(struct hrtimer *timer, u64 now, u64 wait_ns)
{
	ktime_t when = ns_to_ktime(now + wait_ns);

	if (!hrtimer_is_queued(timer) || ktime_before(when, hrtimer_get_expires(timer)))
		hrtimer_start(timer, when, HRTIMER_MODE_ABS_SOFT);
}

/* It is the turn of the first of the writers' queue, once the gate is open. */
static void bpipe_wake_writer_locked(struct bpipe_channel *ch)
{
	struct bpipe_waiter *w = bpipe_first_locked(&ch->wr);

	if (w && !bpipe_flow_shut(&ch->flow))
		bpipe_wake_locked(&ch->wr, w);
}

/* The writers' queue has changed: what is kept is for whoever is first now. */
static void bpipe_keep_promise_locked(struct bpipe_channel *ch)
{
	struct bpipe_waiter *w = bpipe_first_locked(&ch->wr);

	bpipe_flow_keep(&ch->flow, w ? w->promise : (struct bpipe_promise) { });
}

/* The smallest threshold, or the shortest delay, that readers' files ask for. */
static u64 bpipe_files_threshold_locked(struct bpipe_channel *ch)
{
	struct bpipe_file *bf;
	u64 least = ch->flow.size;

	list_for_each_entry(bf, &ch->files, node)
		if (bpipe_is_reader(bf))
			least = min(least, bf->threshold);
	return least;
}

static u64 bpipe_files_delay_locked(struct bpipe_channel *ch)
{
	struct bpipe_file *bf;
	u64 least = U64_MAX;

	list_for_each_entry(bf, &ch->files, node)
		if (bpipe_is_reader(bf) && bf->delay_ns)
			least = min(least, bf->delay_ns);
	return least;
}

/* Is anybody there who learns of data by poll or SIGIO? */
static bool bpipe_polled_locked(struct bpipe_side *side)
{
	return waitqueue_active(&side->poll) || side->fasync;
}

/*
 * Wakes the readers whose threshold the level has reached: pollers, and the
 * first sleeper that is content; it wakes the next when it leaves. Readers
 * are woken whatever the level if writers are held up or gone; with @due, so
 * are those whose delay is over.
 */
static void bpipe_wake_readers_locked(struct bpipe_channel *ch, u64 level, bool due)
{
	bool now = bpipe_flow_shut(&ch->flow) || !ch->wr.open;
	u64 delay_ns = U64_MAX;
	struct bpipe_waiter *w;

	if (!level)
		return;
	list_for_each_entry(w, &ch->rd.waiters, node) {
		if (w->woken)
			break;
		if (now || level >= w->threshold || (due && w->delay_ns)) {
			bpipe_wake_locked(&ch->rd, w);
			break;
		}
		if (w->delay_ns)
			delay_ns = min(delay_ns, w->delay_ns);
	}
	if (bpipe_polled_locked(&ch->rd)) {
		if (now || due || level >= bpipe_files_threshold_locked(ch))
			bpipe_wake_pollers_locked(&ch->rd, EPOLLIN | EPOLLRDNORM, POLL_IN);
		else
			delay_ns = min(delay_ns, bpipe_files_delay_locked(ch));
	}
	if (delay_ns != U64_MAX && !hrtimer_is_queued(&ch->rd.timer))
		bpipe_timer_by(&ch->rd.timer, ktime_get_ns(), delay_ns);
}

/*
 * Sets the trip wires to what the gate and the sleepers are waiting for. Ends
 * in barrier [A]: the caller looks at the level after this.
 */
static void bpipe_set_trips_locked(struct bpipe_channel *ch)
{
	bool timed = !hrtimer_is_queued(&ch->rd.timer);
	unsigned long up = ch->flow.pressured ? ULONG_MAX : ch->flow.high;
	struct bpipe_waiter *w;

	list_for_each_entry(w, &ch->rd.waiters, node) {
		if (w->woken)
			break;
		up = min_t(unsigned long, up, timed && w->delay_ns ? 1 : w->threshold);
	}
	if (bpipe_polled_locked(&ch->rd))
		up = min_t(unsigned long, up,
			   timed && bpipe_files_delay_locked(ch) != U64_MAX ?
			   1 : bpipe_files_threshold_locked(ch));

	WRITE_ONCE(ch->trip_up, up);
	WRITE_ONCE(ch->trip_down, bpipe_flow_shut(&ch->flow) ? (long)ch->flow.low : -1);
	smp_mb();
}

/* Brings the gate in line with the level. */
static void bpipe_update_gate_locked(struct bpipe_channel *ch, u64 level)
{
	unsigned int changed = bpipe_flow_update(&ch->flow, level);

	if (changed & (BPIPE_FLOW_ROSE | BPIPE_FLOW_FELL)) {
		bool rose = changed & BPIPE_FLOW_ROSE;

		ch->high_events += rose;
		ch->low_events += !rose;
		ch->event_ns = ktime_get_ns();
		ch->state_since = ch->event_ns;
		trace_bpipe_state(ch, ch->flow.pressured, level);
		if (waitqueue_active(&ch->rd.poll))
			wake_up_interruptible_poll(&ch->rd.poll, EPOLLPRI);
		if (waitqueue_active(&ch->wr.poll))
			wake_up_interruptible_poll(&ch->wr.poll, EPOLLPRI);
	}
	if (changed & BPIPE_FLOW_OPENED)
		bpipe_wake_pollers_locked(&ch->wr, EPOLLOUT | EPOLLWRNORM, POLL_OUT);
}

/*
 * Brings gate, sleepers, pollers and trip wires in line with the level; and
 * once more if it has crossed a new trip wire before that was there to see.
 */
static void __bpipe_settle_locked(struct bpipe_channel *ch, bool due)
{
	u64 seen, level = bpipe_ring_level(&ch->ring);

	do {
		seen = level;
		bpipe_update_gate_locked(ch, seen);
		bpipe_wake_writer_locked(ch);
		bpipe_wake_readers_locked(ch, seen, due);
		bpipe_set_trips_locked(ch);
		level = bpipe_ring_level(&ch->ring);
	} while ((seen < ch->trip_up && level >= ch->trip_up) ||
		 ((long)seen > ch->trip_down && (long)level <= ch->trip_down));
}

static void bpipe_settle_locked(struct bpipe_channel *ch)
{
	__bpipe_settle_locked(ch, false);
}

static void bpipe_settle(struct bpipe_channel *ch)
{
	spin_lock_bh(&ch->lock);
	bpipe_settle_locked(ch);
	spin_unlock_bh(&ch->lock);
}

/* After push(): barrier [B] of the writers, then their trip wire. */
static void bpipe_settle_write(struct bpipe_channel *ch)
{
	smp_mb();
	if (bpipe_ring_level(&ch->ring) >= READ_ONCE(ch->trip_up))
		bpipe_settle(ch);
}

/* After pop(): barrier [B] of the readers, then theirs. */
static void bpipe_settle_read(struct bpipe_channel *ch)
{
	smp_mb();
	if ((long)bpipe_ring_level(&ch->ring) <= READ_ONCE(ch->trip_down))
		bpipe_settle(ch);
}

/* Tokens are there for whoever waits for them; they see for themselves. */
static enum hrtimer_restart bpipe_tokens_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, wr.timer);
	struct bpipe_waiter *w;

	spin_lock_bh(&ch->lock);
	w = bpipe_first_locked(&ch->wr);
	if (w)
		bpipe_wake_locked(&ch->wr, w);
	if (!bpipe_flow_shut(&ch->flow))
		bpipe_wake_pollers_locked(&ch->wr, EPOLLOUT | EPOLLWRNORM, POLL_OUT);
	spin_unlock_bh(&ch->lock);
	return HRTIMER_NORESTART;
}

/* Data has waited as long as the readers let it. */
static enum hrtimer_restart bpipe_data_due(struct hrtimer *timer)
{
	struct bpipe_channel *ch = container_of(timer, struct bpipe_channel, rd.timer);

	spin_lock_bh(&ch->lock);
	__bpipe_settle_locked(ch, true);
	spin_unlock_bh(&ch->lock);
	return HRTIMER_NORESTART;
}

static int bpipe_side_lock(struct bpipe_side *side, unsigned int how)
{
	if (!(how & BPIPE_NOWAIT))
		mutex_lock(&side->lock);
	else if (!mutex_trylock(&side->lock))
		return -EAGAIN;
	return 0;
}

/*
 * Puts a caller into its side's queue, or leaves it in its place there; one
 * that got something in the meantime goes to the end.
 */
static void bpipe_queue_locked(struct bpipe_side *side, struct bpipe_waiter *w,
			       struct bpipe_delay *delay, struct bpipe_delay *file_delay)
{
	u64 now = ktime_get_ns();

	if (w->queued && w->progress)
		list_del(&w->node);
	if (!w->queued || w->progress) {
		list_add_tail(&w->node, &side->waiters);
		w->queued_at = now;
	}
	w->queued = true;
	w->progress = false;
	w->woken = false;
	w->task = current;
	w->since = now;
	w->delay = delay;
	w->file_delay = file_delay;
	bpipe_delay_begin(delay, now);
	bpipe_delay_begin(file_delay, now);
}

/*
 * Sleeps until woken.
 *
 * Return: 0, or -ERESTARTSYS if a signal came first.
 */
static int bpipe_sleep(struct bpipe_channel *ch, struct bpipe_waiter *w)
{
	int ret = 0;
	u64 now;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (READ_ONCE(w->woken))
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	__set_current_state(TASK_RUNNING);

	spin_lock_bh(&ch->lock);
	now = ktime_get_ns();
	bpipe_delay_end(w->delay, w->since, now);
	bpipe_delay_end(w->file_delay, w->since, now);
	spin_unlock_bh(&ch->lock);
	return ret;
}

/* Leaves the queue, if in it, and hands on to whoever is next. */
static void bpipe_leave(struct bpipe_channel *ch, struct bpipe_side *side, struct bpipe_waiter *w)
{
	if (likely(!w->queued))
		return;
	spin_lock_bh(&ch->lock);
	list_del(&w->node);
	w->queued = false;
	bpipe_keep_promise_locked(ch);
	bpipe_settle_locked(ch);
	spin_unlock_bh(&ch->lock);
}

/* Asks the flow about a write, with its place among those that wait. */
static enum bpipe_verdict bpipe_ask_wr(struct bpipe_channel *ch, struct bpipe_request *req,
				       struct bpipe_waiter *w, size_t held, u64 now,
				       struct bpipe_grant *grant)
{
	req->turn = w->queued && bpipe_first_locked(&ch->wr) == w;
	req->behind = !req->turn && !list_empty(&ch->wr.waiters);
	return bpipe_flow_admit(&ch->flow, req, held, now, grant);
}

/*
 * A write was not admitted: note why, and queue it or turn it away.
 *
 * Return: -EAGAIN, -EBPIPE_QUEUED, or 0 if things are otherwise by now.
 */
static int bpipe_refuse_wr(struct bpipe_file *bf, struct bpipe_request *req,
			   enum bpipe_verdict verdict, struct bpipe_waiter *w, u64 now)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_grant grant;
	bool throttled;
	int ret = 0;

	spin_lock_bh(&ch->lock);
	if (verdict == BPIPE_WAIT_SPACE) {
		bpipe_flow_refuse(&ch->flow);
		bpipe_wake_readers_locked(ch, bpipe_ring_level(&ch->ring), false);
		bpipe_set_trips_locked(ch);
	}
	if (bpipe_ask_wr(ch, req, w, bpipe_ring_held(&ch->ring), now, &grant) != verdict) {
		bpipe_settle_locked(ch);
		goto out;
	}

	throttled = verdict == BPIPE_WAIT_TOKENS;
	if (throttled)
		bpipe_timer_by(&ch->wr.timer, now,
			       req->nonblock ? bpipe_flow_poll_wait(&ch->flow, now) :
			       grant.wait_ns);
	else if (verdict == BPIPE_WAIT_TURN)
		throttled = bpipe_first_locked(&ch->wr)->delay == &ch->throttled;
	if (req->nonblock) {
		ch->again++;
		bf->again++;
		ch->throttled.times += throttled;
		bf->throttled.times += throttled;
		ret = -EAGAIN;
		goto out;
	}

	w->promise = bpipe_flow_promise(&ch->flow, req);
	bpipe_queue_locked(&ch->wr, w, throttled ? &ch->throttled : &ch->blocked,
			   throttled ? &bf->throttled : &bf->blocked);
	bpipe_keep_promise_locked(ch);
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
		return bpipe_refuse_wr(bf, req, verdict, w, now);

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
	ch->peak = max(ch->peak, held + done);
	if (ch->flow.bucket.rate) {
		spin_lock_bh(&ch->lock);
		bpipe_bucket_take(&ch->flow.bucket, done, now);
		spin_unlock_bh(&ch->lock);
	}
	trace_bpipe_write(ch, done, held + done);
	return done;
}

/**
 * bpipe_channel_write() - write to a channel
 * @bf: the open file, open for writing
 * @from: what to write; advanced by what was taken
 * @how: BPIPE_NONBLOCK, BPIPE_NOWAIT
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
	req.nonblock = how;
	self.queued = false;
	self.progress = false;

	for (;;) {
		ret = bpipe_side_lock(&ch->wr, how);
		if (ret)
			break;
		ret = bpipe_write_wr(bf, from, &req, &self, !done);
		mutex_unlock(&ch->wr.lock);
		if (likely(ret > 0)) {
			bpipe_settle_write(ch);
			done += ret;
			self.progress = true;
			req.len -= ret;
			if (likely(!req.len))
				break;
		} else if (ret == -EBPIPE_QUEUED) {
			ret = bpipe_sleep(ch, &self);
			if (ret)
				break;
		} else if (ret == -EFAULT) {
			/* Nobody waits while a page of ours is fetched. */
			bpipe_leave(ch, &ch->wr, &self);
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
	bpipe_leave(ch, &ch->wr, &self);
	if (unlikely(ret == -EPIPE) && !done)
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
	} else if (how) {
		ret = bpipe_ring_queued(&ch->ring) ? 1 : -EAGAIN;
	} else {
		/* A delay runs from the first byte that comes now. */
		hrtimer_try_to_cancel(&ch->rd.timer);
		w->threshold = bf->threshold;
		w->delay_ns = bf->delay_ns;
		bpipe_queue_locked(&ch->rd, w, &ch->starved, &bf->starved);
		bpipe_set_trips_locked(ch);
		if (bpipe_ring_queued(&ch->ring))
			w->woken = true;
		ret = -EBPIPE_QUEUED;
	}
	spin_unlock_bh(&ch->lock);
	return ret;
}

/*
 * Takes what is there, once.
 *
 * Return: bytes taken, 0 at end-of-file, -EFAULT if a page of the caller's is
 * not there, -EAGAIN or -EBPIPE_QUEUED.
 */
static ssize_t bpipe_read_rd(struct bpipe_file *bf, struct iov_iter *to,
			     struct bpipe_waiter *w, bool first, unsigned int how)
{
	struct bpipe_channel *ch = bf->ch;
	size_t queued, done;
	int ret;

	while (unlikely(!(queued = bpipe_ring_queued(&ch->ring)))) {
		if (!first)
			return -EAGAIN;
		ret = bpipe_starve_rd(bf, w, how);
		if (ret <= 0)
			return ret;
	}

	pagefault_disable();
	done = bpipe_ring_drain(&ch->ring, to,
				min3(queued, iov_iter_count(to), (size_t)BPIPE_CHUNK));
	pagefault_enable();
	if (unlikely(!done))
		return -EFAULT;

	bpipe_ring_pop(&ch->ring, done);
	ch->rd.traffic.bytes += done;
	ch->rd.traffic.calls += first;
	bf->read.bytes += done;
	bf->read.calls += first;
	bf->read_any = true;
	trace_bpipe_read(ch, done, queued - done);
	return done;
}

/**
 * bpipe_channel_read() - read from a channel
 * @bf: the open file, open for reading
 * @to: where to; advanced by what was given
 * @how: BPIPE_NONBLOCK, BPIPE_NOWAIT
 *
 * Gives what is there, up to the count; sleeps only if there is nothing.
 *
 * Context: may sleep, except with BPIPE_NOWAIT for anything but user pages.
 * Return: bytes read, 0 at end-of-file, -EAGAIN, -EFAULT or -ERESTARTSYS.
 */
ssize_t bpipe_channel_read(struct bpipe_file *bf, struct iov_iter *to, unsigned int how)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_waiter self;
	ssize_t ret, done = 0;

	if (!iov_iter_count(to))
		return 0;
	self.queued = false;
	self.progress = false;

	for (;;) {
		ret = bpipe_side_lock(&ch->rd, how);
		if (ret)
			break;
		ret = bpipe_read_rd(bf, to, &self, !done, how);
		mutex_unlock(&ch->rd.lock);
		if (likely(ret > 0)) {
			bpipe_settle_read(ch);
			done += ret;
			if (!iov_iter_count(to))
				break;
			/* Look for more only where more can be. */
			if (!bpipe_ring_level(&ch->ring))
				break;
		} else if (ret == -EBPIPE_QUEUED) {
			ret = bpipe_sleep(ch, &self);
			if (ret)
				break;
		} else if (ret == -EFAULT) {
			/* Nobody waits while a page of ours is fetched. */
			bpipe_leave(ch, &ch->rd, &self);
			if (!user_backed_iter(to) || fault_in_iov_iter_writeable(to, 1))
				break;
			if (fatal_signal_pending(current)) {
				ret = -EINTR;
				break;
			}
		} else {
			break;
		}
	}
	bpipe_leave(ch, &ch->rd, &self);
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
	bpipe_set_trips_locked(ch);
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
		} else if (!bpipe_flow_shut(&ch->flow)) {
			now = ktime_get_ns();
			wait_ns = bpipe_flow_poll_wait(&ch->flow, now);
			if (wait_ns)
				bpipe_timer_by(&ch->wr.timer, now, wait_ns);
			else
				mask |= EPOLLOUT | EPOLLWRNORM;
		}
	}
	if (bf->high_seen != ch->high_events || bf->low_seen != ch->low_events)
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
	bpipe_settle(ch);
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

	spin_lock_bh(&ch->lock);
	bf->high_seen = ch->high_events;
	bf->low_seen = ch->low_events;
	/* A writer that is there counts as seen. */
	bf->opens_before = ch->writer_opens - (ch->wr.open ? 1 : 0);
	if (bpipe_is_writer(bf)) {
		ch->wr.open++;
		ch->writer_opens++;
	}
	if (bpipe_is_reader(bf))
		ch->rd.open++;
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
	if (bpipe_is_reader(bf) && !--ch->rd.open && ch->epipe)
		bpipe_wake_all_locked(&ch->wr, EPOLLOUT | EPOLLERR, POLL_OUT);
	if (bpipe_is_writer(bf) && !--ch->wr.open)
		bpipe_wake_all_locked(&ch->rd, EPOLLIN | EPOLLHUP, POLL_IN);
	bpipe_settle_locked(ch);
	spin_unlock_bh(&ch->lock);

	put_device(&ch->dev);
	kfree(bf);
}

/* What @set would make of the flow's settings; the state stays. */
static void bpipe_plan(const struct bpipe_channel *ch, const struct bpipe_config *set,
		       struct bpipe_flow *plan, bool *burst_follows)
{
	const struct bpipe_flow *old = &ch->flow;

	*plan = *old;
	*burst_follows = ch->burst_follows;
	if (set->mask & BPIPE_CFG_SIZE) {
		/* Sizes are below 2^30, so that the products fit. */
		plan->size = set->size;
		if (set->size <= BPIPE_SIZE_MAX) {
			plan->low = div64_u64(old->low * plan->size, old->size);
			plan->high = max(div64_u64(old->high * plan->size, old->size),
					 plan->low + 1);
		}
	}
	if (set->mask & BPIPE_CFG_HIGH)
		plan->high = set->high;
	if (set->mask & BPIPE_CFG_LOW)
		plan->low = set->low;
	if (set->mask & BPIPE_CFG_RATE)
		plan->bucket.rate = set->rate;
	if (set->mask & BPIPE_CFG_BURST) {
		plan->bucket.burst = set->burst;
		*burst_follows = !set->burst;
	}
	if (*burst_follows)
		plan->bucket.burst = bpipe_flow_default_burst(plan->bucket.rate);
}

/* The new settings are in force from here on: all look again. */
static void bpipe_apply_locked(struct bpipe_channel *ch, const struct bpipe_flow *plan)
{
	struct bpipe_flow *flow = &ch->flow;

	flow->size = plan->size;
	flow->high = plan->high;
	flow->low = plan->low;
	bpipe_bucket_set(&flow->bucket, plan->bucket.rate, plan->bucket.burst, ktime_get_ns());
	bpipe_settle_locked(ch);
	bpipe_wake_all_locked(&ch->wr, EPOLLOUT | EPOLLWRNORM, POLL_OUT);
	bpipe_wake_all_locked(&ch->rd, EPOLLIN | EPOLLRDNORM, POLL_IN);
}

/**
 * bpipe_channel_configure() - SET_CONFIG
 * @ch: the channel
 * @set: which fields to set, and to what
 *
 * Context: may sleep.
 * Return: 0, or -EINVAL, -EOPNOTSUPP, -EBUSY, -ENOMEM or -ENOSPC, and then
 * nothing has changed.
 */
int bpipe_channel_configure(struct bpipe_channel *ch, const struct bpipe_config *set)
{
	struct bpipe_flow plan;
	bool burst_follows;
	void *data = NULL;
	size_t old_size;
	int ret = 0;

	if (set->mask & ~BPIPE_CFG_KNOWN)
		return -EOPNOTSUPP;
	if (set->mask & BPIPE_CFG_MODE && set->mode != BPIPE_MODE_STREAM)
		return -EOPNOTSUPP;
	if (set->pad || (set->mask & BPIPE_CFG_HOLD && set->hold > 1) ||
	    (set->mask & BPIPE_CFG_EPIPE && set->epipe > 1))
		return -EINVAL;

	mutex_lock(&ch->config);
	bpipe_plan(ch, set, &plan, &burst_follows);
	old_size = ch->ring.size;
	if (!bpipe_flow_valid(&plan)) {
		ret = -EINVAL;
		goto out;
	}
	if (plan.size != old_size) {
		data = bpipe_buffer_alloc(plan.size);
		if (IS_ERR(data)) {
			ret = PTR_ERR(data);
			data = NULL;
			goto out;
		}
	}

	mutex_lock(&ch->wr.lock);
	mutex_lock(&ch->rd.lock);
	if (bpipe_ring_level(&ch->ring) > plan.size) {
		ret = -EBUSY;
	} else {
		spin_lock_bh(&ch->lock);
		if (data)
			data = bpipe_ring_move(&ch->ring, data, plan.size);
		ch->burst_follows = burst_follows;
		if (set->mask & BPIPE_CFG_HOLD)
			ch->hold = set->hold;
		if (set->mask & BPIPE_CFG_EPIPE)
			ch->epipe = set->epipe;
		bpipe_apply_locked(ch, &plan);
		spin_unlock_bh(&ch->lock);
		trace_bpipe_config(ch, &ch->flow);
	}
	mutex_unlock(&ch->rd.lock);
	mutex_unlock(&ch->wr.lock);
	if (data)
		bpipe_buffer_free(data, ret ? plan.size : old_size);
out:
	mutex_unlock(&ch->config);
	return ret;
}

/**
 * bpipe_channel_config() - GET_CONFIG
 * @ch: the channel
 * @config: filled in
 *
 * Context: does not sleep.
 */
void bpipe_channel_config(struct bpipe_channel *ch, struct bpipe_config *config)
{
	spin_lock_bh(&ch->lock);
	*config = (struct bpipe_config) {
		.mask = BPIPE_CFG_KNOWN,
		.size = ch->flow.size,
		.high = ch->flow.high,
		.low = ch->flow.low,
		.rate = ch->flow.bucket.rate,
		.burst = ch->flow.bucket.burst,
		.mode = ch->mode,
		.hold = ch->hold,
		.epipe = ch->epipe,
	};
	spin_unlock_bh(&ch->lock);
	strscpy(config->name, dev_name(&ch->dev), sizeof(config->name));
}

/**
 * bpipe_channel_set_reader() - SET_READER
 * @bf: the open file
 * @set: which fields to set, and to what
 *
 * Context: does not sleep.
 * Return: 0, -EBADF, -EINVAL or -EOPNOTSUPP.
 */
int bpipe_channel_set_reader(struct bpipe_file *bf, const struct bpipe_reader *set)
{
	struct bpipe_channel *ch = bf->ch;
	int ret = 0;

	if (!bpipe_is_reader(bf))
		return -EBADF;
	if (set->mask & ~BPIPE_READER_KNOWN)
		return -EOPNOTSUPP;

	spin_lock_bh(&ch->lock);
	if ((set->mask & BPIPE_READER_THRESHOLD &&
	     (!set->threshold || set->threshold > ch->flow.size)) ||
	    (set->mask & BPIPE_READER_DELAY && set->delay_us > BPIPE_DELAY_MAX)) {
		ret = -EINVAL;
		goto out;
	}
	if (set->mask & BPIPE_READER_THRESHOLD)
		bf->threshold = set->threshold;
	if (set->mask & BPIPE_READER_DELAY)
		bf->delay_ns = set->delay_us * NSEC_PER_USEC;
	bpipe_settle_locked(ch);
out:
	spin_unlock_bh(&ch->lock);
	return ret;
}

/**
 * bpipe_channel_window() - GET_WINDOW
 * @ch: the channel
 * @window: filled in
 *
 * Context: does not sleep.
 */
void bpipe_channel_window(struct bpipe_channel *ch, struct bpipe_window *window)
{
	u64 level, now;

	spin_lock_bh(&ch->lock);
	level = bpipe_ring_level(&ch->ring);
	now = ktime_get_ns();
	*window = (struct bpipe_window) {
		.window = bpipe_flow_window(&ch->flow, level, now),
		.space = ch->flow.size - level,
		.tokens = bpipe_bucket_tokens(&ch->flow.bucket, now),
		.wait_ns = bpipe_flow_poll_wait(&ch->flow, now),
	};
	spin_unlock_bh(&ch->lock);
}

/**
 * bpipe_channel_events() - GET_EVENTS
 * @bf: the open file, whose events are cleared
 * @events: filled in
 *
 * Context: does not sleep.
 */
void bpipe_channel_events(struct bpipe_file *bf, struct bpipe_events *events)
{
	struct bpipe_channel *ch = bf->ch;

	spin_lock_bh(&ch->lock);
	*events = (struct bpipe_events) {
		.events = (bf->high_seen != ch->high_events ? BPIPE_EVENT_HIGH : 0) |
			  (bf->low_seen != ch->low_events ? BPIPE_EVENT_LOW : 0),
		.state = ch->flow.pressured ? BPIPE_STATE_PRESSURED : BPIPE_STATE_NORMAL,
		.level = bpipe_ring_level(&ch->ring),
		.high_events = ch->high_events,
		.low_events = ch->low_events,
		.time_ns = ch->event_ns,
	};
	bf->high_seen = ch->high_events;
	bf->low_seen = ch->low_events;
	spin_unlock_bh(&ch->lock);
}

static void bpipe_side_init(struct bpipe_side *side,
			    enum hrtimer_restart (*due)(struct hrtimer *timer))
{
	INIT_LIST_HEAD(&side->waiters);
	init_waitqueue_head(&side->poll);
	bpipe_hrtimer_setup(&side->timer, due, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
}

static void bpipe_channel_free(struct device *dev)
{
	struct bpipe_channel *ch = container_of(dev, struct bpipe_channel, dev);

	hrtimer_cancel(&ch->wr.timer);
	hrtimer_cancel(&ch->rd.timer);
	if (ch->ring.data)
		bpipe_buffer_free(ch->ring.data, ch->ring.size);
	kfree(ch);
	if (atomic_dec_and_test(&bpipe_channels))
		wake_up(&bpipe_channels_wait);
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
	bpipe_side_init(&ch->wr, bpipe_tokens_due);
	bpipe_side_init(&ch->rd, bpipe_data_due);
	ch->trip_down = -1;
	ch->burst_follows = true;
	ch->state_since = ktime_get_ns();
	ch->flow.size = size;
	ch->flow.high = size - size / 4;
	ch->flow.low = size / 4;
	ch->flow.bucket.burst = bpipe_flow_default_burst(0);
	ch->trip_up = ch->flow.high;

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
	wait_event(bpipe_channels_wait, !atomic_read(&bpipe_channels));
}
