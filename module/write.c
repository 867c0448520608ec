// SPDX-License-Identifier: GPL-2.0
/*
 * Write path: copy data from a caller's memory into a channel; or queue, drop or refuse a write.
 */

#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "band.h"
#include "channel.h"
#include "fetch.h"
#include "flow.h"
#include "lock.h"
#include "restart.h"
#include "ring.h"
#include "shed.h"
#include "trace.h"
#include "types.h"
#include "wait.h"
#include "write.h"

/**
 * struct bpipe_writing - state of one write
 * @req: rest of the write, as a request to the flow
 * @self: place among the waiting writers; struct bpipe_waiter says which lock protects it
 * @flags: BPIPE_NONBLOCK, BPIPE_NOWAIT and BPIPE_NOSIGNAL
 * @begun: @record, @timeout_ns and the settings in @req are valid, and do not change
 * @record: the write is a record
 * @timeout_ns: longest wait, nanoseconds, 0..BPIPE_TIMEOUT_MAX; 0 for no limit
 * @first: no byte has been stored or dropped yet
 * @fetched: the caller's pages have been faulted in before
 * @evict: bytes that evictions still have to free for the write
 *
 * A local variable of one task. No lock protects it, except @self.
 */
struct bpipe_writing {
	struct bpipe_request req;
	struct bpipe_waiter self;
	unsigned int flags;
	bool begun;
	bool record;
	u64 timeout_ns;
	bool first;
	bool fetched;
	u64 evict;
};

/*
 * Take a side's lock for a writer, as bpipe_channel_lock_side() does. If the lock is taken, let
 * poll report EPOLLOUT, so that io_uring retries the write.
 */
static int bpipe_writer_lock_side(struct bpipe_file *bf, struct bpipe_side *side,
				  unsigned int flags)
{
	int ret = bpipe_channel_lock_side(side, flags);

	if (unlikely(ret == -EAGAIN))
		WRITE_ONCE(bf->contended, true);
	return ret;
}

/* Take over the settings that are in force as a write begins. They hold for all of it. */
static void bpipe_begin_wr(struct bpipe_file *bf, struct bpipe_writing *op)
{
	const struct bpipe_channel *ch = bf->ch;
	bool own = bf->writer.policy != BPIPE_POLICY_CHANNEL;
	struct bpipe_request *req = &op->req;

	lockdep_assert_held(&ch->wr.lock);
	op->begun = true;
	op->timeout_ns = own ? bf->writer.timeout_ns : ch->set.timeout_ns;
	op->record = bpipe_is_record(ch);
	req->class = bf->writer.class;
	req->policy = own ? bf->writer.policy : ch->set.policy;
	req->own = &bf->writer.rate;
	req->atomic = op->record || req->len <= PIPE_BUF;
	req->nonblock = op->flags & BPIPE_NONBLOCK || req->policy != BPIPE_POLICY_BLOCK;
}

/* Call bpipe_channel_write_error_locked(), with its lock, only if an error is possible. */
static int bpipe_error_wr(struct bpipe_file *bf)
{
	struct bpipe_channel *ch = bf->ch;
	int ret;

	lockdep_assert_held(&ch->wr.lock);
	if (likely(ch->life == BPIPE_LIFE_USABLE && (!ch->set.epipe || READ_ONCE(ch->rd.open))))
		return 0;
	bpipe_channel_lock(ch);
	ret = bpipe_channel_write_error_locked(bf);
	bpipe_channel_unlock(ch);
	return ret;
}

/*
 * Check whether a write may be stored at all, and take over its settings at first. The mode may
 * change while no lock is held. The write then begins again, or ends with the bytes taken so far.
 *
 * Return: 0; -EAGAIN if the mode changed after some bytes were taken; -EMSGSIZE for a record that
 * never fits; or as bpipe_channel_write_error_locked().
 */
static inline int bpipe_check_wr(struct bpipe_file *bf, struct bpipe_writing *op)
{
	const struct bpipe_channel *ch = bf->ch;
	int ret = bpipe_error_wr(bf);

	lockdep_assert_held(&ch->wr.lock);
	if (unlikely(ret))
		return ret;
	if (unlikely(op->begun && op->record != bpipe_is_record(ch))) {
		if (!op->first)
			return -EAGAIN;
		op->begun = false;
	}
	if (likely(!op->begun))
		bpipe_begin_wr(bf, op);
	if (op->record && op->req.len > bpipe_flow_largest(&ch->flow, op->req.class))
		return -EMSGSIZE;
	return 0;
}

/* Ask the flow for a decision on a write, given the place of the write among the waiters. */
static inline enum bpipe_verdict bpipe_ask_wr(struct bpipe_channel *ch, struct bpipe_writing *op,
					      u64 now, struct bpipe_decision *decision)
{
	struct bpipe_request *req = &op->req;
	struct bpipe_waiter *w = &op->self;

	lockdep_assert_held(&ch->wr.lock);
	req->queued = unlikely(w->queued) && !w->rate_waiter;
	req->must_queue = bpipe_wait_must_queue(&ch->wr, req->class);
	req->held = unlikely(req->queued) && w->admitted ? &w->need : NULL;
	*decision = (struct bpipe_decision) { };
	return bpipe_flow_admit(&ch->flow, req, bpipe_level_held(&ch->level), now, decision);
}

/*
 * Return true if dropping expired records may admit a write. Expired records take room that the
 * write, or a waiter ahead of it, lacks. They also keep the level above the low mark.
 */
static bool bpipe_expiry_helps(const struct bpipe_channel *ch, enum bpipe_verdict reason)
{
	return ch->set.sheds && (reason == BPIPE_WAIT_SPACE || reason == BPIPE_WAIT_TURN ||
				 reason == BPIPE_WAIT_LOW);
}

/*
 * Evict a piece of the older records for a write. Other tasks may run between two pieces, so
 * reserve the need of the write before the first. All pieces together free no more than @bytes
 * of the first, whatever is written meanwhile.
 */
static void bpipe_evict_rd(struct bpipe_channel *ch, struct bpipe_writing *op, u64 bytes)
{
	lockdep_assert_held(&ch->rd.lock);
	op->evict = min(op->evict ?: U64_MAX, bytes);
	if (!op->self.queued) {
		op->self.side = &ch->wr;
		op->self.class = op->req.class;
		op->self.rate_waiter = false;
		op->self.need = bpipe_flow_need(&ch->flow, &op->req);
		bpipe_wait_claim(ch, &op->self);
	}
	op->evict -= min(op->evict, bpipe_band_evict_rd(ch, op->req.class, op->evict));
}

/*
 * Ask the flow to admit a write. If expired or evictable records stand in the way, take the
 * readers' lock, drop the expired records and ask again. A reader may have made room meanwhile.
 * If the flow still wants an eviction, evict a piece. Evict nothing for data that cannot be read.
 *
 * Return: a verdict other than BPIPE_EVICT; -EBPIPE_RETRY after a piece; -EFAULT if the caller's
 * pages must be faulted in before an eviction; -EAGAIN if a lock is taken and BPIPE_NOWAIT is
 * set; -EINTR if the caller was killed.
 */
static int bpipe_admit_wr(struct bpipe_file *bf, const struct iov_iter *from,
			  struct bpipe_writing *op, u64 now, struct bpipe_decision *decision)
{
	struct bpipe_channel *ch = bf->ch;
	bool locked = false;
	int verdict, ret;

	lockdep_assert_held(&ch->wr.lock);
	for (;;) {
		if (op->req.policy == BPIPE_POLICY_DROP_OLDEST)
			op->req.evictable = bpipe_band_evictable(ch, op->req.class);
		verdict = bpipe_ask_wr(ch, op, now, decision);
		if (likely(verdict == BPIPE_GO) || locked ||
		    (verdict != BPIPE_EVICT && !bpipe_expiry_helps(ch, decision->wait_reason)))
			break;
		ret = bpipe_writer_lock_side(bf, &ch->rd, op->flags);
		if (ret)
			return ret;
		locked = true;
		if (bpipe_expiry_helps(ch, decision->wait_reason) &&
		    bpipe_shed_expired_rd(ch) == BPIPE_BAND_PIECE) {
			/* More may have expired. Let other tasks take the locks before that. */
			mutex_unlock(&ch->rd.lock);
			return -EBPIPE_RETRY;
		}
	}
	if (likely(verdict != BPIPE_EVICT)) {
		op->evict = 0;
		if (unlikely(locked))
			mutex_unlock(&ch->rd.lock);
		return verdict;
	}

	ret = -EFAULT;
	if (op->fetched || !user_backed_iter(from)) {
		bpipe_evict_rd(ch, op, decision->evict);
		ret = -EBPIPE_RETRY;
	}
	mutex_unlock(&ch->rd.lock);
	/* The eviction may have freed more than the write needs: wake waiters for the rest. */
	if (ret == -EBPIPE_RETRY)
		bpipe_wait_update(ch);
	return ret;
}

/* Drop the rest of a write: count it as written and as dropped. */
static void bpipe_drop_wr(struct bpipe_file *bf, const struct bpipe_writing *op, bool shed)
{
	enum bpipe_drop reason = shed ? BPIPE_DROP_SHED : BPIPE_DROP_FULL;
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_band *band = ch->band[op->req.class];

	lockdep_assert_held(&ch->wr.lock);
	bpipe_count_add(&band->written, op->req.len, op->record);
	bpipe_count_add(&band->dropped[reason], op->req.len, op->record);
	band->lost_before += op->record;
	ch->seq += op->record;
	bpipe_count_add(&bf->dropped, op->req.len, op->record);
	trace_bpipe_drop(ch, op->req.class, reason, op->req.len);
}

/* Return true if a write lacks tokens, of the channel or of its own file. */
static bool bpipe_lacks_tokens(const struct bpipe_decision *decision)
{
	return decision->wait_reason == BPIPE_WAIT_TOKENS ||
	       decision->wait_reason == BPIPE_WAIT_OWN;
}

/*
 * Refuse a write with EAGAIN, and note what it lacks: room, tokens or credit. Poll then reports
 * EPOLLOUT once the same write would succeed.
 */
static void bpipe_again_wr_locked(struct bpipe_file *bf, const struct bpipe_writing *op,
				  const struct bpipe_decision *decision, u64 now)
	__must_hold(&bf->ch->lock)
{
	bool throttled = bpipe_lacks_tokens(decision);
	/* io_uring polls after EAGAIN, even with O_NONBLOCK: its user sees no error to count. */
	bool counts = op->first && !(op->flags & BPIPE_NOWAIT);
	const struct bpipe_request *req = &op->req;
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_request who = *req;
	struct bpipe_ready ready;

	lockdep_assert_held(&ch->wr.lock);
	lockdep_assert_held(&ch->lock);
	WRITE_ONCE(bf->contended, false);
	bf->refused_len = 0;
	if (decision->wait_reason == BPIPE_WAIT_SPACE && req->atomic)
		bf->refused_len = req->len;
	who.len = bf->refused_len;
	if (!bpipe_flow_writable(&ch->flow, &who, bpipe_level_now(&ch->level), now, &ready))
		bpipe_wait_poll_locked(ch, ready.level);
	if (throttled || decision->wait_reason == BPIPE_WAIT_CREDIT) {
		bool timer_armed = throttled && decision->wait_ns != U64_MAX;

		bf->refused_gen = ch->retry_gen;
		bf->refused_until = timer_armed ? now + decision->wait_ns : U64_MAX;
		if (timer_armed)
			bpipe_wait_timer_by(&ch->wr.tokens, now, decision->wait_ns);
	}
	if (counts)
		bpipe_account_again_locked(bf);
	if (counts && throttled)
		bpipe_account_refused_locked(bf, BPIPE_THROTTLED);
}

/*
 * Queue a write. A write that lacks only tokens of its own file stays out of the queue of its
 * class: it delays no other writer.
 */
static void bpipe_queue_wr_locked(struct bpipe_file *bf, struct bpipe_writing *op,
				  const struct bpipe_decision *decision, u64 now)
	__must_hold(&bf->ch->lock)
{
	bool throttled = bpipe_lacks_tokens(decision);
	bool rate_waiter = decision->wait_reason == BPIPE_WAIT_OWN;
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_waiter *w = &op->self;

	lockdep_assert_held(&ch->wr.lock);
	lockdep_assert_held(&ch->lock);
	if (w->queued && w->rate_waiter != rate_waiter)
		bpipe_wait_part_locked(ch, w);
	w->side = &ch->wr;
	w->file = bf;
	w->class = op->req.class;
	w->rate_waiter = rate_waiter;
	w->wait_reason = decision->wait_reason;
	w->need = bpipe_flow_need(&ch->flow, &op->req);
	if (!w->deadline)
		w->deadline = !op->timeout_ns ? KTIME_MAX :
			      ns_to_ktime(ktime_get_ns() + op->timeout_ns);
	w->until = rate_waiter ? ns_to_ktime(now + decision->wait_ns) : KTIME_MAX;
	w->tokens_at = 0;
	bpipe_wait_queue_locked(ch, w, throttled ? BPIPE_THROTTLED : BPIPE_BLOCKED);
}

/*
 * Queue, drop or refuse a write that was not admitted. Ask the flow once more before that, under
 * the channel's lock. Nothing changes between this answer and the queueing, so no writer sleeps
 * on a condition that is already met.
 *
 * Return: bytes dropped; -EAGAIN; -EBPIPE_QUEUED; -EBPIPE_RETRY if the write may go by now, or
 * must fail.
 */
static ssize_t bpipe_refuse_wr(struct bpipe_file *bf, struct iov_iter *from,
			       struct bpipe_writing *op, u64 now)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_decision decision = { };
	enum bpipe_verdict verdict;
	ssize_t ret = -EBPIPE_RETRY;

	lockdep_assert_held(&ch->wr.lock);
	bpipe_channel_lock(ch);
	/* The last reader may have left since the check, and woke only queued writers. */
	if (bpipe_channel_write_error_locked(bf))
		goto out;
	verdict = bpipe_ask_wr(ch, op, now, &decision);
	if (verdict == BPIPE_GO || verdict == BPIPE_EVICT)
		goto out;

	if (decision.wait_reason == BPIPE_WAIT_SPACE)
		bpipe_flow_refuse(&ch->flow, op->req.class, bpipe_level_held(&ch->level));
	if (verdict == BPIPE_AGAIN) {
		bpipe_again_wr_locked(bf, op, &decision, now);
		ret = -EAGAIN;
	} else if (verdict == BPIPE_DROP) {
		bpipe_drop_wr(bf, op, decision.shed);
		iov_iter_advance(from, op->req.len);
		ret = op->req.len;
	} else {
		bpipe_queue_wr_locked(bf, op, &decision, now);
		ret = -EBPIPE_QUEUED;
	}
	bpipe_wait_update_locked(ch);
out:
	bpipe_channel_unlock(ch);
	if (ret != -EBPIPE_RETRY)
		trace_bpipe_refuse(ch, decision.wait_reason, op->req.len, ret);
	return ret;
}

/*
 * Copy bytes of a stream in beyond the head. An atomic write copies all @n or none, another write
 * at most BPIPE_CHUNK. Return the number of bytes copied.
 */
static size_t bpipe_fill_stream_wr(struct bpipe_channel *ch, struct iov_iter *from,
				   const struct bpipe_request *req, size_t n)
{
	struct bpipe_band *band = ch->band[0];
	size_t done;

	lockdep_assert_held(&ch->wr.lock);
	n = req->atomic ? n : min_t(size_t, n, BPIPE_CHUNK);
	pagefault_disable();
	done = bpipe_ring_fill(&band->ring, 0, from, n);
	pagefault_enable();
	if (unlikely(done < n) && req->atomic) {
		iov_iter_revert(from, done);
		done = 0;
	}
	return done;
}

/*
 * Publish @n bytes that were copied in, and take tokens and credit for them. A stream without
 * rate limit and credit has nothing to take, and needs no channel lock: @now is 0 then.
 */
static void bpipe_push_wr(struct bpipe_file *bf, const struct bpipe_writing *op, size_t n, u64 now)
{
	struct bpipe_channel *ch = bf->ch;

	lockdep_assert_held(&ch->wr.lock);
	if (!op->record) {
		bpipe_ring_push(&ch->band[0]->ring, n);
		bpipe_level_add(&ch->level, n);
	}
	if (unlikely(now)) {
		struct bpipe_frame frame = {
			.time_ns = now,
			.len = n,
			.class = op->req.class,
		};

		bpipe_channel_lock(ch);
		if (op->record) {
			u64 ttl = ch->set.ttl_ns[frame.class];

			bpipe_band_push_wr(ch, &frame);
			if (unlikely(ttl))
				bpipe_shed_by_locked(ch, now + ttl);
		}
		bpipe_flow_take(&ch->flow, n, now);
		bpipe_bucket_take(&bf->writer.rate, n, now);
		bf->refused_gen = 0;
		bf->refused_len = 0;
		/*
		 * A writer that polls first will not block in write(), so wake the readers when
		 * the credit runs out.
		 */
		if (ch->flow.credit_unit && !ch->flow.credit) {
			bpipe_wait_poll_locked(ch, -1);
			bpipe_wait_update_locked(ch);
		}
		bpipe_channel_unlock(ch);
	}
}

/*
 * Store the part of a write that was admitted.
 *
 * Return: bytes stored; -EFAULT if a page of the caller is missing and must be faulted in
 * without locks.
 */
static inline ssize_t bpipe_store_wr(struct bpipe_file *bf, struct iov_iter *from,
				     struct bpipe_writing *op, u64 now,
				     const struct bpipe_decision *decision)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_request *req = &op->req;
	size_t done, held;

	lockdep_assert_held(&ch->wr.lock);
	if (op->record) {
		done = bpipe_band_fill_wr(ch, req->class, from, req->len);
		if (unlikely(done < req->len)) {
			iov_iter_revert(from, done);
			done = 0;
		}
	} else {
		done = bpipe_fill_stream_wr(ch, from, req, decision->bytes);
	}
	if (unlikely(!done))
		return -EFAULT;
	req->spent = unlikely(decision->cut) && req->nonblock && done == decision->bytes;

	bpipe_push_wr(bf, op, done, now);
	held = bpipe_level_held(&ch->level);
	if (held > ch->peak)
		WRITE_ONCE(ch->peak, held);
	trace_bpipe_write(ch, done, held);
	return done;
}

/*
 * Make one pass of a write: check it, admit it, and store or refuse it.
 *
 * Return: bytes taken, whether stored or dropped; -EBPIPE_QUEUED, -EBPIPE_RETRY, -EAGAIN, -EFAULT
 * or -EINTR; or as bpipe_check_wr().
 */
static ssize_t bpipe_write_wr(struct bpipe_file *bf, struct iov_iter *from,
			      struct bpipe_writing *op)
{
	struct bpipe_decision decision;
	u64 now = 0;
	int ret;

	lockdep_assert_held(&bf->ch->wr.lock);
	ret = bpipe_check_wr(bf, op);
	if (unlikely(ret))
		return min(ret, 0);
	if (unlikely(op->record || bf->ch->flow.limited || bf->writer.rate.rate))
		now = ktime_get_ns();
	ret = bpipe_admit_wr(bf, from, op, now, &decision);
	if (likely(ret == BPIPE_GO))
		return bpipe_store_wr(bf, from, op, now, &decision);
	return ret < 0 ? ret : bpipe_refuse_wr(bf, from, op, now);
}

/* Account for @n bytes taken from a write, whether stored or dropped. */
static void bpipe_taken_wr(struct bpipe_file *bf, struct bpipe_writing *op, size_t n)
{
	struct bpipe_channel *ch = bf->ch;

	lockdep_assert_held(&ch->wr.lock);
	bpipe_tally_lock(ch);
	u64_stats_add(&ch->wr.calls, op->first);
	bpipe_tally_add(&bf->written, n, op->record, op->first);
	bpipe_tally_unlock(ch);
	op->first = false;
	op->req.len -= n;
}

/*
 * Fault in the caller's next pages. Return true if another copy can make progress.
 *
 * For a stream, fault in more than the first byte. i386 copies several bytes at a time, and none
 * of them if any is on a missing page.
 */
static bool bpipe_write_fetch(const struct iov_iter *from, struct bpipe_writing *op)
{
	size_t n = op->req.atomic ? op->req.len : min_t(size_t, op->req.len, PAGE_SIZE);
	size_t there = bpipe_fetch(from, n);

	op->fetched = true;
	return op->req.atomic ? there == n : there;
}

/*
 * Finish a write that failed before any byte was taken. Count a timeout, send SIGPIPE, or keep
 * the deadline for a restart. Return the error for the caller of write().
 */
static ssize_t bpipe_write_failed(struct bpipe_file *bf, const struct bpipe_writing *op,
				  ssize_t error)
{
	if (error == -ERESTARTSYS)
		return bpipe_restart_error(bf, op->req.len, op->self.deadline);
	if (error == -ETIMEDOUT) {
		bpipe_channel_lock(bf->ch);
		bpipe_account_timeout_locked(bf);
		bpipe_channel_unlock(bf->ch);
	} else if (error == -EPIPE && !(op->flags & BPIPE_NOSIGNAL) &&
		   READ_ONCE(bf->ch->life) == BPIPE_LIFE_USABLE) {
		send_sig(SIGPIPE, current, 0);
	}
	return error;
}

/**
 * bpipe_channel_write() - write to a channel
 * @bf: the open file, open for writing
 * @from: source of the data; advanced by the bytes taken
 * @flags: any of BPIPE_NONBLOCK, BPIPE_NOWAIT and BPIPE_NOSIGNAL
 *
 * Store a record, or up to PIPE_BUF bytes, at once or not at all. Bytes that the policy drops are
 * taken, too. Partial progress beats an error.
 *
 * Context: called without locks; may sleep, but with BPIPE_NOWAIT only to fault in user pages.
 * Return: bytes taken, if any, or 0 for an empty write; else
 *
 * * -EAGAIN if the write would wait, and its policy or @flags forbid it
 * * -EFAULT if the caller's memory cannot be read
 * * -EMSGSIZE for a record that never fits
 * * -ENODEV if the channel is gone
 * * -EPIPE if the channel drains, or lacks a reader that it must have
 * * -ETIMEDOUT if the timeout has expired
 * * -ERESTARTSYS, -ERESTARTNOHAND or -EINTR after a signal
 */
ssize_t bpipe_channel_write(struct bpipe_file *bf, struct iov_iter *from, unsigned int flags)
{
	struct bpipe_channel *ch = bf->ch;
	size_t count = iov_iter_count(from);
	unsigned int faults = 0;
	struct bpipe_writing op;
	ssize_t ret, done = 0;
	bool there;

	if (!count)
		return 0;
	op.req.len = count;
	op.req.atomic = false;
	op.req.evictable = 0;
	op.req.spent = false;
	op.flags = flags;
	op.begun = false;
	op.record = false;
	op.first = true;
	op.fetched = false;
	op.evict = 0;
	op.self.deadline = unlikely(READ_ONCE(bf->nr_restarts)) ?
			   bpipe_restart_take(bf, count) : 0;
	op.self.queued = false;

	for (;;) {
		ret = bpipe_writer_lock_side(bf, &ch->wr, flags);
		if (ret)
			break;
		ret = bpipe_write_wr(bf, from, &op);
		if (likely(ret > 0))
			bpipe_taken_wr(bf, &op, ret);
		mutex_unlock(&ch->wr.lock);
		if (likely(ret > 0)) {
			bpipe_wait_update_write(ch);
			done += ret;
			faults = 0;
			if (likely(!op.req.len) || fatal_signal_pending(current))
				break;
			/* After partial progress, the rest queues behind the other waiters. */
			bpipe_wait_leave(ch, &op.self);
			cond_resched();
		} else if (ret == -EBPIPE_QUEUED) {
			ret = bpipe_wait_sleep(ch, &op.self);
			if (ret)
				break;
			faults = 0;
		} else if (ret == -EFAULT) {
			/* Leave the queue: no waiter is delayed by a page fault of this caller. */
			bpipe_wait_leave(ch, &op.self);
			op.evict = 0;
			if (!user_backed_iter(from) || faults++ == BPIPE_FAULTS_MAX)
				break;
			there = bpipe_write_fetch(from, &op);
			if (fatal_signal_pending(current))
				ret = -EINTR;
			if (!there || ret == -EINTR)
				break;
		} else if (ret != -EBPIPE_RETRY) {
			break;
		} else if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
	}
	bpipe_wait_leave(ch, &op.self);
	if (unlikely(!done))
		return bpipe_write_failed(bf, &op, ret);
	return done;
}
