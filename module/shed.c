// SPDX-License-Identifier: GPL-2.0
/*
 * Expiry and sojourn control: drop records that have waited for too long. Readers drop them as
 * they take the next record. A work item of the channel drops records whose time to live has
 * expired, so that they make room even if no reader comes.
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

/* Return the reason to drop the record that is read next; BPIPE_DROP_REASONS to keep it. */
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
 * bpipe_shed_next_rd() - drop expired records up to the next one to read
 * @ch: the channel
 * @frame: set to the header of the record
 *
 * Sojourn control drops records, too. At most BPIPE_BAND_PIECE records are dropped.
 *
 * Context: called with rd.lock held; does not sleep.
 * Return: the band of the record; NULL if there is none; ERR_PTR(-EAGAIN) if more records must
 * be dropped first: release rd.lock, because other readers wait for it, and call again.
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

/*
 * Drop the oldest record of a class if it has expired. Otherwise lower @when to the time at
 * which it will.
 */
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
	/* Do not subtract: the record may have been written after @now. */
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
 * At most BPIPE_BAND_PIECE records are dropped. If no expired record remains, the work item
 * is scheduled for the next one that will expire.
 *
 * Context: called with rd.lock held; does not sleep.
 * Return: number of records dropped. If it is BPIPE_BAND_PIECE, more may remain: release
 * rd.lock before the next call.
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

/*
 * Find the oldest record of a class that has not expired. Skip at most @left expired ones, and
 * subtract their number from @left.
 */
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
 * bpipe_shed_next_len_locked() - return the length of the record that is read next
 * @ch: the channel
 *
 * For callers that only look. Expired records are skipped, because only the holder of rd.lock
 * may drop them. The work item is scheduled to do so at once; its update lets pollers look again.
 *
 * Context: called with channel.lock held.
 * Return: bytes, without overhead; 0 if there is no record, or BPIPE_BAND_PIECE expired ones
 * were skipped.
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
 * bpipe_shed_by_locked() - have expired records dropped by a given time
 * @ch: the channel
 * @when: time at which a record expires, nanoseconds
 *
 * Does nothing if the work item is already scheduled for that time or earlier.
 *
 * Context: called with channel.lock held.
 */
void bpipe_shed_by_locked(struct bpipe_channel *ch, u64 when)
	__must_hold(&ch->lock)
{
	u64 now = ktime_get_ns();

	lockdep_assert_held(&ch->lock);
	if (when >= ch->expiry_at)
		return;
	ch->expiry_at = when;
	/* Add a jiffy, because the current one has partly passed. */
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
 * bpipe_shed_init() - set up the work item that drops expired records
 * @ch: the channel, which others do not see yet
 *
 * Context: any.
 */
void bpipe_shed_init(struct bpipe_channel *ch)
{
	INIT_DELAYED_WORK(&ch->expiry, bpipe_shed_work);
	ch->expiry_at = U64_MAX;
}

/**
 * bpipe_shed_uninit() - stop the work item that drops expired records
 * @ch: the channel, which is not open
 *
 * Context: may sleep.
 */
void bpipe_shed_uninit(struct bpipe_channel *ch)
{
	cancel_delayed_work_sync(&ch->expiry);
}
