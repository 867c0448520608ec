// SPDX-License-Identifier: GPL-2.0
/*
 * Read path: copy data from a channel into a caller's memory.
 */

#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "band.h"
#include "channel.h"
#include "fetch.h"
#include "flow.h"
#include "lock.h"
#include "read.h"
#include "ring.h"
#include "shed.h"
#include "trace.h"
#include "types.h"
#include "wait.h"

/**
 * struct bpipe_reading - state of one read
 * @self: place among the waiting readers; struct bpipe_waiter says which lock protects it
 * @flags: BPIPE_NONBLOCK and BPIPE_NOWAIT
 * @pos: position in the stream behind the bytes returned so far, as bpipe_end.pos; valid in a
 *	stream if @first is false
 * @begun: @framed is valid, and does not change
 * @record: the channel is in record mode; fixed once @first is false
 * @framed: each record is returned behind its struct bpipe_frame
 * @first: nothing has been returned yet
 * @spent: tokens have cut short the latest copy
 * @partly: accept a short copy of a stream, because the page behind it cannot be faulted in
 * @missing: bytes of the caller's memory that the latest copy needed, when it came up short
 *
 * A local variable of one task. No lock protects it, except @self.
 */
struct bpipe_reading {
	struct bpipe_waiter self;
	unsigned int flags;
	unsigned long pos;
	bool begun;
	bool record;
	bool framed;
	bool first;
	bool spent;
	bool partly;
	size_t missing;
};

/* Queue a read: in the tree of thresholds, or with the rate waiters if it lacks tokens. */
static void bpipe_queue_rd_locked(struct bpipe_file *bf, struct bpipe_reading *op, bool rate_waiter,
				  enum bpipe_account account)
	__must_hold(&bf->ch->lock)
{
	struct bpipe_waiter *w = &op->self;

	lockdep_assert_held(&bf->ch->rd.lock);
	lockdep_assert_held(&bf->ch->lock);
	if (w->queued && w->rate_waiter != rate_waiter)
		bpipe_wait_part_locked(bf->ch, w);
	w->side = &bf->ch->rd;
	w->file = bf;
	w->class = 0;
	w->rate_waiter = rate_waiter;
	w->threshold = bf->reader.threshold;
	w->delay_ns = bf->reader.delay_ns;
	w->deadline = KTIME_MAX;
	w->until = KTIME_MAX;
	bpipe_wait_queue_locked(bf->ch, w, account);
	bpipe_wait_update_locked(bf->ch);
}

/*
 * Queue a read that finds nothing, unless it must end.
 *
 * Return: 0 for end-of-file; -EAGAIN with BPIPE_NONBLOCK; -EBPIPE_QUEUED; -ENODEV if the channel
 * is gone; 1 if data has arrived meanwhile.
 */
static int bpipe_starve_rd(struct bpipe_file *bf, struct bpipe_reading *op)
{
	struct bpipe_channel *ch = bf->ch;
	int ret;

	lockdep_assert_held(&ch->rd.lock);
	bpipe_channel_lock(ch);
	if (unlikely(ch->life == BPIPE_LIFE_GONE)) {
		ret = -ENODEV;
	} else if (bpipe_channel_at_end_locked(bf)) {
		/* The last writer may have written before it closed. */
		ret = bpipe_level_queued(&ch->level) ? 1 : 0;
	} else if (op->flags & BPIPE_NONBLOCK) {
		ret = bpipe_level_queued(&ch->level) ? 1 : -EAGAIN;
	} else {
		/* The channel is empty, so the delay starts again with the next byte. */
		hrtimer_try_to_cancel(&ch->delay);
		bpipe_queue_rd_locked(bf, op, false, BPIPE_STARVED);
		ret = -EBPIPE_QUEUED;
	}
	bpipe_channel_unlock(ch);
	return ret;
}

/*
 * End a read that finds nothing more, or queue a read that finds nothing at all.
 *
 * Return: as bpipe_starve_rd(); -EAGAIN also if the read has returned something.
 */
static int bpipe_nothing_rd(struct bpipe_file *bf, struct bpipe_reading *op)
{
	lockdep_assert_held(&bf->ch->rd.lock);
	return op->first ? bpipe_starve_rd(bf, op) : -EAGAIN;
}

/*
 * Queue a read that lacks tokens until the token timer expires. With BPIPE_NONBLOCK, return
 * -EAGAIN instead.
 */
static int bpipe_throttle_rd(struct bpipe_file *bf, struct bpipe_reading *op, u64 now,
			     u64 wait_ns)
{
	struct bpipe_channel *ch = bf->ch;
	int ret;

	lockdep_assert_held(&ch->rd.lock);
	bpipe_channel_lock(ch);
	bpipe_wait_timer_by(&ch->rd.tokens, now, wait_ns);
	op->self.tokens_at = now + wait_ns;
	if (op->flags & BPIPE_NONBLOCK) {
		if (!(op->flags & BPIPE_NOWAIT))
			bpipe_account_refused_locked(bf, BPIPE_READ_THROTTLED);
		ret = -EAGAIN;
	} else {
		bpipe_queue_rd_locked(bf, op, true, BPIPE_READ_THROTTLED);
		ret = -EBPIPE_QUEUED;
	}
	bpipe_channel_unlock(ch);
	return ret;
}

static bool bpipe_rated_rd(const struct bpipe_channel *ch)
{
	lockdep_assert_held(&ch->rd.lock);
	return ch->flow.read.bytes.rate || ch->flow.read.records.rate;
}

/*
 * Limit @len to the bytes that the readers' rate limit lets through now. An atomic read needs
 * tokens for all of @len.
 *
 * Return: 0; -EBPIPE_QUEUED; -EAGAIN with BPIPE_NONBLOCK, or if the read has returned something.
 */
static int bpipe_afford_rd(struct bpipe_file *bf, struct bpipe_reading *op, size_t *len,
			   bool atomic)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_request req = {
		.len = *len,
		.atomic = atomic,
		.nonblock = op->flags & BPIPE_NONBLOCK,
	};
	struct bpipe_decision decision = { };
	u64 now = ktime_get_ns();

	lockdep_assert_held(&ch->rd.lock);
	if (bpipe_flow_deliver(&ch->flow, &req, now, &decision) != BPIPE_GO)
		return op->first ? bpipe_throttle_rd(bf, op, now, decision.wait_ns) : -EAGAIN;
	*len = decision.bytes;
	op->spent = decision.cut;
	return 0;
}

/* Remove @record, unless it is NULL, and take tokens for @n bytes. */
static void bpipe_pay_rd(struct bpipe_channel *ch, const struct bpipe_frame *record,
			 size_t n)
{
	u64 now;

	lockdep_assert_held(&ch->rd.lock);
	bpipe_channel_lock(ch);
	now = ktime_get_ns();
	if (record)
		bpipe_band_pop_rd(ch, record, now);
	bpipe_flow_take_read(&ch->flow, n, now);
	bpipe_channel_unlock(ch);
}

/* Note that a file has seen data. If that puts the file at end-of-file, notify the pollers. */
static void bpipe_seen_rd(struct bpipe_file *bf)
{
	struct bpipe_channel *ch = bf->ch;

	lockdep_assert_held(&ch->rd.lock);
	bpipe_channel_lock(ch);
	bf->read_any = true;
	if (bpipe_channel_at_end_locked(bf))
		bpipe_wait_notify_all_locked(ch, &ch->rd);
	bpipe_channel_unlock(ch);
}

/* Account for @n bytes that a read returned: a record, or a part of a stream. */
static inline void bpipe_given_rd(struct bpipe_file *bf, struct bpipe_reading *op, size_t n,
			   bool record)
{
	struct bpipe_channel *ch = bf->ch;

	lockdep_assert_held(&ch->rd.lock);
	bpipe_tally_lock(ch);
	u64_stats_add(&ch->rd.calls, op->first);
	bpipe_tally_add(&bf->read, n, record, op->first);
	bpipe_tally_unlock(ch);
	op->first = false;
	if (unlikely(!bf->read_any))
		bpipe_seen_rd(bf);
	trace_bpipe_read(ch, n, bpipe_level_queued(&ch->level));
}

/*
 * Read from a stream once. The bytes of one read are consecutive, so end the read if another
 * reader has taken bytes meanwhile. For the same reason, undo a copy that came up short. Another
 * reader could take the next bytes while the missing page is faulted in. With op->partly, that
 * page cannot be had, and the read ends with the short copy.
 *
 * Return: as bpipe_read_rd().
 */
static ssize_t bpipe_read_stream_rd(struct bpipe_file *bf, struct iov_iter *to,
				    struct bpipe_reading *op, size_t queued)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_band *band = ch->band[0];
	size_t n = min3(queued, iov_iter_count(to), (size_t)BPIPE_CHUNK);
	bool rated = bpipe_rated_rd(ch);
	size_t done;
	int ret;

	lockdep_assert_held(&ch->rd.lock);
	if (!op->first && op->pos != ch->level.out.pos)
		return -EAGAIN;
	ret = unlikely(rated) ? bpipe_afford_rd(bf, op, &n, false) : 0;
	if (ret)
		return ret;
	pagefault_disable();
	done = bpipe_ring_drain(&band->ring, 0, to, n);
	pagefault_enable();
	if (unlikely(done < n) && !op->partly) {
		iov_iter_revert(to, done);
		done = 0;
	}
	if (unlikely(!done)) {
		op->missing = n;
		return -EFAULT;
	}

	bpipe_ring_pop(&band->ring, done);
	bpipe_level_sub(&ch->level, done);
	op->pos = ch->level.out.pos;
	if (unlikely(rated))
		bpipe_pay_rd(ch, NULL, done);
	bpipe_given_rd(bf, op, done, false);
	return done;
}

/*
 * Read the next record, if the rest of the caller's buffer can hold it.
 *
 * Return: as bpipe_read_rd(); -EMSGSIZE if the record is too long.
 */
static ssize_t bpipe_read_record_rd(struct bpipe_file *bf, struct iov_iter *to,
				    struct bpipe_reading *op)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_frame frame;
	struct bpipe_band *band;
	size_t need, done, len;
	int ret;

	lockdep_assert_held(&ch->rd.lock);
	if (!op->first && !op->framed)
		return -EAGAIN;
	for (;;) {
		band = bpipe_shed_next_rd(ch, &frame);
		if (IS_ERR(band))
			return op->flags & BPIPE_NONBLOCK || !op->first ? -EAGAIN : -EBPIPE_RETRY;
		if (band)
			break;
		ret = bpipe_nothing_rd(bf, op);
		if (ret <= 0)
			return ret;
	}
	len = frame.len;
	need = len + (op->framed ? sizeof(frame) : 0);
	if (need > iov_iter_count(to))
		return -EMSGSIZE;
	ret = bpipe_rated_rd(ch) ? bpipe_afford_rd(bf, op, &len, true) : 0;
	if (ret)
		return ret;
	done = bpipe_band_drain_rd(ch, &frame, op->framed, to);
	if (unlikely(done < need)) {
		iov_iter_revert(to, done);
		op->missing = need;
		return -EFAULT;
	}
	bpipe_pay_rd(ch, &frame, len);
	bpipe_given_rd(bf, op, len, true);
	return done;
}

/*
 * Make one pass of a read.
 *
 * Return: bytes returned; 0 at end-of-file; -EFAULT if a page of the caller is missing;
 * -EBPIPE_QUEUED; -EBPIPE_RETRY after a piece of drops; -EMSGSIZE; -ENODEV; -EAGAIN with
 * BPIPE_NONBLOCK, or if the read has returned all that it can.
 */
static ssize_t bpipe_read_rd(struct bpipe_file *bf, struct iov_iter *to,
			     struct bpipe_reading *op)
{
	struct bpipe_channel *ch = bf->ch;
	size_t queued;
	int ret;

	lockdep_assert_held(&ch->rd.lock);
	if (likely(!op->begun)) {
		op->begun = true;
		op->framed = bf->reader.framed;
	}
	while (unlikely(!(queued = bpipe_level_queued(&ch->level)))) {
		ret = bpipe_nothing_rd(bf, op);
		if (ret <= 0)
			return ret;
	}
	/* A read that has returned something ends when the mode changes. */
	if (unlikely(!op->first && op->record != bpipe_is_record(ch)))
		return -EAGAIN;
	op->record = bpipe_is_record(ch);
	return op->record ? bpipe_read_record_rd(bf, to, op) :
			    bpipe_read_stream_rd(bf, to, op, queued);
}

/* Fault in the caller's next pages. Return true if another copy can make progress. */
static bool bpipe_read_fetch(const struct iov_iter *to, struct bpipe_reading *op)
{
	size_t n = min(op->missing, iov_iter_count(to));
	size_t there = bpipe_fetch(to, n);

	/* A record is copied whole, so all of its pages must be there. */
	if (op->record)
		return there == n;
	op->partly = there < n;
	return there;
}

/**
 * bpipe_channel_read() - read from a channel
 * @bf: the open file, open for reading
 * @to: destination of the data; advanced by the bytes returned
 * @flags: any of BPIPE_NONBLOCK and BPIPE_NOWAIT
 *
 * Return what is there, up to the count, and sleep only if nothing is there. The bytes of a
 * stream are consecutive, even if other readers read at the same time. In record mode, return
 * one record. A file with framed reads gets as many records as fit.
 *
 * Context: called without locks; may sleep, but with BPIPE_NOWAIT only to fault in user pages.
 * Return: bytes read, if any; 0 at end-of-file and for an empty read; else
 *
 * * -EAGAIN if the read would wait, and @flags forbid it
 * * -EFAULT if the caller's memory cannot be written
 * * -EMSGSIZE if the next record does not fit
 * * -ENODEV if the channel is gone
 * * -ERESTARTSYS or -EINTR after a signal
 */
ssize_t bpipe_channel_read(struct bpipe_file *bf, struct iov_iter *to, unsigned int flags)
{
	struct bpipe_channel *ch = bf->ch;
	unsigned int faults = 0;
	struct bpipe_reading op;
	ssize_t ret, done = 0;
	bool there;

	if (!iov_iter_count(to))
		return 0;
	op.flags = flags;
	op.begun = false;
	op.first = true;
	op.spent = false;
	/* Kernel memory cannot be faulted in, so a short copy is final. */
	op.partly = !user_backed_iter(to);
	op.self.queued = false;

	for (;;) {
		ret = bpipe_channel_lock_side(&ch->rd, flags);
		if (ret)
			break;
		ret = bpipe_read_rd(bf, to, &op);
		mutex_unlock(&ch->rd.lock);
		if (likely(ret > 0)) {
			bpipe_wait_update_read(ch);
			done += ret;
			faults = 0;
			if (!iov_iter_count(to))
				break;
			/* End the read if another pass would find nothing, or must not begin. */
			if (!bpipe_level_now(&ch->level) || op.spent ||
			    fatal_signal_pending(current))
				break;
			cond_resched();
		} else if (ret == -EBPIPE_QUEUED) {
			ret = bpipe_wait_sleep(ch, &op.self);
			if (ret)
				break;
			faults = 0;
		} else if (ret == -EFAULT) {
			/* Leave the queue: no waiter is delayed by a page fault of this caller. */
			bpipe_wait_leave(ch, &op.self);
			if (!user_backed_iter(to) || faults++ == BPIPE_FAULTS_MAX)
				break;
			there = bpipe_read_fetch(to, &op);
			if (fatal_signal_pending(current))
				ret = -EINTR;
			if (!there || ret == -EINTR)
				break;
			op.partly |= faults == BPIPE_FAULTS_MAX;
		} else if (ret != -EBPIPE_RETRY) {
			break;
		} else if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
	}
	bpipe_wait_leave(ch, &op.self);
	return done ? done : ret;
}
