// SPDX-License-Identifier: GPL-2.0
/*
 * Reading: from a channel into a caller's memory.
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
 * struct bpipe_reading - a read, and how far it has come
 * @self: its place among those that wait
 * @flags: BPIPE_NONBLOCK, BPIPE_NOWAIT
 * @pos: where in the stream it goes on, if it has taken something
 * @begun: the settings that it began with are known
 * @record: what it found was a record
 * @framed: it gives frames
 * @first: it has taken nothing yet
 * @spent: tokens have cut short what it got
 * @partly: a page of the caller's cannot be had, so take what goes before it
 * @missing: bytes of the caller's memory that were needed and not there
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

/* Queue the read, or let it wait for tokens beside the queue. */
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
 * Nothing to read: end-of-file, EAGAIN, or a place in the queue.
 *
 * Return: 0 for end-of-file, -EAGAIN, -EBPIPE_QUEUED, -ENODEV, or 1 if there is
 * something by now.
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
		/* The last writer wrote before it closed. */
		ret = bpipe_level_queued(&ch->level) ? 1 : 0;
	} else if (op->flags & BPIPE_NONBLOCK) {
		ret = bpipe_level_queued(&ch->level) ? 1 : -EAGAIN;
	} else {
		/* A delay runs from the first byte that comes now. */
		hrtimer_try_to_cancel(&ch->delay);
		bpipe_queue_rd_locked(bf, op, false, BPIPE_STARVED);
		ret = -EBPIPE_QUEUED;
	}
	bpipe_channel_unlock(ch);
	return ret;
}

/*
 * Nothing is there for it.
 *
 * Return: as bpipe_starve_rd(); -EAGAIN also if it has got something.
 */
static int bpipe_nothing_rd(struct bpipe_file *bf, struct bpipe_reading *op)
{
	lockdep_assert_held(&bf->ch->rd.lock);
	return op->first ? bpipe_starve_rd(bf, op) : -EAGAIN;
}

/* Too few tokens: EAGAIN, or a place in the queue until the timer goes off. */
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

/* May @len bytes be read now, all at once or as many as possible, by the rates there are? */
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

/* What the rates ask for, and what of a record is to be gone, at one moment. */
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

/* The first data of a file: now it can be at its end, and pollers are told. */
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
 * Takes what is there of a stream, once, and all for which there is room: if it
 * were a part because of a missing page, another reader might take what comes
 * next while the page is fetched.
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
 * Takes the next record, if there is room for it.
 *
 * Return: as bpipe_read_rd(); -EMSGSIZE if the record is longer than what is left.
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
 * Takes something, once.
 *
 * Return: bytes given, 0 at end-of-file, -EFAULT if a page of the caller's is not
 * there, -EBPIPE_QUEUED, -EBPIPE_RETRY once others had a look, -EMSGSIZE, -ENODEV; or
 * -EAGAIN, also if there is no more for it.
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
	/* What the mode was as it took something holds for the rest of the read. */
	if (unlikely(!op->first && op->record != bpipe_is_record(ch)))
		return -EAGAIN;
	op->record = bpipe_is_record(ch);
	return op->record ? bpipe_read_record_rd(bf, to, op) :
			    bpipe_read_stream_rd(bf, to, op, queued);
}

/* Fetch the pages that the next bytes go to; return true if it is worth trying again. */
static bool bpipe_read_fetch(const struct iov_iter *to, struct bpipe_reading *op)
{
	size_t n = min(op->missing, iov_iter_count(to));
	size_t there = bpipe_fetch(to, n);

	/* A record is not given in part. */
	if (op->record)
		return there == n;
	op->partly = there < n;
	return there;
}

/**
 * bpipe_channel_read() - read from a channel
 * @bf: the open file, open for reading
 * @to: where to; advanced by what was given
 * @flags: BPIPE_NONBLOCK, BPIPE_NOWAIT
 *
 * Gives what is there, up to the count; sleeps only if there is nothing. The
 * bytes of a stream follow each other in it, also with other readers. Of records,
 * it gives one; or, to a file that wants frames, as many as fit.
 *
 * Context: may sleep, except with BPIPE_NOWAIT for anything but user pages.
 * Return: bytes read, 0 at end-of-file, -EAGAIN, -EFAULT, -EINTR, -EMSGSIZE, -ENODEV or
 * -ERESTARTSYS.
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
	/* What is no memory of a user's is as long as it is. */
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
			/* Look for more only where more can be. */
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
			/* Nobody waits while a page of ours is fetched. */
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
