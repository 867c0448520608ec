// SPDX-License-Identifier: GPL-2.0
/*
 * Records that have waited for too long are dropped: as others are read, and, if their
 * time to live is over, by a work of the channel's, so that they make room also
 * while nobody reads.
 */

#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "band.h"
#include "lock.h"
#include "ring.h"
#include "shed.h"
#include "sojourn.h"
#include "types.h"
#include "wait.h"

/* Is the record that would be read next to be dropped? The reason, or BPIPE_DROP_REASONS. */
static enum bpipe_drop bpipe_shed_reason_locked(struct bpipe_channel *ch,
						const struct bpipe_frame *frame, u64 now)
	__must_hold(&ch->lock)
{
	u64 ttl = ch->set.ttl_ns[frame->class], target = ch->set.sojourn_ns[frame->class];
	struct bpipe_band *band = ch->band[frame->class];
	bool last = band->held == sizeof(*frame) + frame->len;
	u64 waited = now - frame->time_ns;

	lockdep_assert_held(&ch->lock);
	if (ttl && waited >= ttl)
		return BPIPE_DROP_EXPIRED;
	if (target && bpipe_sojourn_drop(&band->sojourn, target, waited, last, now))
		return BPIPE_DROP_SOJOURN;
	return BPIPE_DROP_REASONS;
}

/**
 * bpipe_shed_next_rd() - which record is read next, of those that may be
 * @ch: the channel
 * @frame: what stands before it
 *
 * The others, before it, are dropped, BPIPE_BAND_PIECE at most.
 *
 * Context: called with the readers' lock held; does not sleep.
 * Return: its band; NULL if there is none; ERR_PTR(-EAGAIN) if there are more to drop
 * first, for which other readers should not have to wait.
 */
struct bpipe_band *bpipe_shed_next_rd(struct bpipe_channel *ch, struct bpipe_frame *frame)
{
	enum bpipe_drop reason = BPIPE_DROP_REASONS;
	struct bpipe_band *band;
	unsigned int n = 0;

	lockdep_assert_held(&ch->rd.lock);
	if (likely(!ch->set.sheds))
		return bpipe_band_next_rd(ch, frame);
	bpipe_channel_lock(ch);
	while ((band = bpipe_band_next_locked(ch, frame))) {
		reason = bpipe_shed_reason_locked(ch, frame, ktime_get_ns());
		if (reason == BPIPE_DROP_REASONS || n++ == BPIPE_BAND_PIECE)
			break;
		bpipe_band_discard_rd(ch, frame->class, reason);
	}
	if (n)
		bpipe_wait_update_locked(ch);
	bpipe_channel_unlock(ch);
	return band && reason != BPIPE_DROP_REASONS ? ERR_PTR(-EAGAIN) : band;
}

/* Drops the oldest record of a class if it has expired; or says when it will. */
static bool bpipe_shed_expired_locked(struct bpipe_channel *ch, u32 class, u64 now, u64 *when)
	__must_hold(&ch->lock)
{
	struct bpipe_band *band = ch->band[class];
	u64 ttl = ch->set.ttl_ns[class];
	struct bpipe_frame frame;

	lockdep_assert_held(&ch->rd.lock);
	lockdep_assert_held(&ch->lock);
	if (!ttl || !band || !band->held)
		return false;
	bpipe_ring_peek(&band->ring, 0, &frame, sizeof(frame));
	/* It may have been written since @now. */
	if (frame.time_ns + ttl > now) {
		*when = min(*when, frame.time_ns + ttl);
		return false;
	}
	bpipe_band_discard_rd(ch, class, BPIPE_DROP_EXPIRED);
	return true;
}

/**
 * bpipe_shed_expired_rd() - drop expired records
 * @ch: the channel
 *
 * Once there are no more, the next one to expire is seen to in time.
 *
 * Context: called with the readers' lock held; does not sleep.
 * Return: how many were dropped. If it is BPIPE_BAND_PIECE, there may be more: drop
 * the lock before the next.
 */
int bpipe_shed_expired_rd(struct bpipe_channel *ch)
{
	u64 now = ktime_get_ns(), when = U64_MAX;
	int n = 0;
	u32 class;

	lockdep_assert_held(&ch->rd.lock);
	if (!ch->set.sheds)
		return 0;
	bpipe_channel_lock(ch);
	for (class = 0; class < BPIPE_CLASSES; class++)
		while (n < BPIPE_BAND_PIECE && bpipe_shed_expired_locked(ch, class, now, &when))
			n++;
	if (n)
		bpipe_wait_update_locked(ch);
	if (when != U64_MAX && n < BPIPE_BAND_PIECE)
		bpipe_shed_by_locked(ch, when);
	bpipe_channel_unlock(ch);
	return n;
}

/* Finds the oldest record of a class that has not expired, @left records on at most. */
static bool bpipe_shed_skip_locked(const struct bpipe_channel *ch, u32 class, u64 now, int *left,
				   struct bpipe_frame *frame)
	__must_hold(&ch->lock)
{
	const struct bpipe_band *band = ch->band[class];
	u64 ttl = ch->set.ttl_ns[class];
	size_t at = 0;

	lockdep_assert_held(&ch->lock);
	while (band && at < band->held && *left) {
		bpipe_ring_peek(&band->ring, at, frame, sizeof(*frame));
		if (!ttl || frame->time_ns + ttl > now)
			return true;
		at += sizeof(*frame) + frame->len;
		--*left;
	}
	return false;
}

/**
 * bpipe_shed_next_len_locked() - length of the record that is read next
 * @ch: the channel
 *
 * For callers that only look: expired records are not given any more, and stay for
 * the channel's work to drop, which lets pollers look again.
 *
 * Context: called with the channel's lock held.
 * Return: bytes, without overhead; 0 if there is none behind BPIPE_BAND_PIECE expired
 * ones.
 */
u64 bpipe_shed_next_len_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	u64 now = ktime_get_ns(), seq = U64_MAX, len = 0;
	int left = BPIPE_BAND_PIECE;
	struct bpipe_frame frame;
	u32 class;

	lockdep_assert_held(&ch->lock);
	for (class = 0; class < BPIPE_CLASSES; class++) {
		if (!bpipe_shed_skip_locked(ch, class, now, &left, &frame) || frame.seq > seq)
			continue;
		seq = frame.seq;
		len = frame.len;
		if (ch->set.order == BPIPE_ORDER_PRIORITY)
			break;
	}
	if (left < BPIPE_BAND_PIECE)
		bpipe_shed_by_locked(ch, now);
	return left ? len : 0;
}

/**
 * bpipe_shed_by_locked() - a record's time will be over
 * @ch: the channel
 * @when: then, nanoseconds
 *
 * Context: called with the channel's lock held.
 */
void bpipe_shed_by_locked(struct bpipe_channel *ch, u64 when)
	__must_hold(&ch->lock)
{
	u64 now = ktime_get_ns();

	lockdep_assert_held(&ch->lock);
	if (when >= ch->expiry_at)
		return;
	ch->expiry_at = when;
	/* A tick more, for the one that has begun. */
	mod_delayed_work(system_unbound_wq, &ch->expiry,
			 when > now ? nsecs_to_jiffies(when - now) + 1 : 0);
}

static void bpipe_shed_work(struct work_struct *work)
{
	struct bpipe_channel *ch = container_of(to_delayed_work(work), struct bpipe_channel,
						expiry);

	int n;

	bpipe_channel_lock(ch);
	ch->expiry_at = U64_MAX;
	bpipe_channel_unlock(ch);
	do {
		mutex_lock(&ch->rd.lock);
		n = bpipe_shed_expired_rd(ch);
		mutex_unlock(&ch->rd.lock);
		cond_resched();
	} while (n == BPIPE_BAND_PIECE);
	bpipe_channel_lock(ch);
	bpipe_channel_reap_locked(ch);
	bpipe_channel_unlock(ch);
}

/**
 * bpipe_shed_init() - nothing has waited yet
 * @ch: the channel
 */
void bpipe_shed_init(struct bpipe_channel *ch)
{
	INIT_DELAYED_WORK(&ch->expiry, bpipe_shed_work);
	ch->expiry_at = U64_MAX;
}

/**
 * bpipe_shed_uninit() - nobody sees to it any more
 * @ch: the channel, which nobody has open
 *
 * Context: may sleep.
 */
void bpipe_shed_uninit(struct bpipe_channel *ch)
{
	cancel_delayed_work_sync(&ch->expiry);
}
