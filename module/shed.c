// SPDX-License-Identifier: GPL-2.0
/*
 * Records that have waited for too long are dropped: as others are read, and, if their
 * time to live is over, by a work of the channel's, so that they make room also
 * while nobody reads.
 */

#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "channel.h"
#include "shed.h"
#include "wait.h"

/* Is the record that would be read next to be dropped? The reason, or BPIPE_DROP_REASONS. */
static enum bpipe_drop bpipe_shed_reason_locked(struct bpipe_channel *ch,
						const struct bpipe_frame *frame, u64 now)
{
	u64 ttl = ch->set.ttl_ns[frame->class], target = ch->set.sojourn_ns[frame->class];
	struct bpipe_band *band = ch->band[frame->class];
	bool last = band->held == sizeof(*frame) + frame->len;
	u64 waited = now - frame->time_ns;

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
 * The others, before it, are dropped.
 *
 * Context: called with the readers' lock held; does not sleep.
 * Return: its band; NULL if there is none.
 */
struct bpipe_band *bpipe_shed_next_rd(struct bpipe_channel *ch, struct bpipe_frame *frame)
{
	enum bpipe_drop reason;
	struct bpipe_band *band;

	for (;;) {
		band = bpipe_band_next_rd(ch, frame);
		if (!band || likely(!ch->set.sheds))
			return band;
		bpipe_channel_lock(ch);
		reason = bpipe_shed_reason_locked(ch, frame, ktime_get_ns());
		if (reason != BPIPE_DROP_REASONS) {
			bpipe_band_discard_rd(ch, frame->class, reason);
			bpipe_wait_settle_locked(ch);
		}
		bpipe_channel_unlock(ch);
		if (reason == BPIPE_DROP_REASONS)
			return band;
		cond_resched();
	}
}

/* Drops the oldest record of a class if its time is over; or says when that will be. */
static bool bpipe_shed_expired_locked(struct bpipe_channel *ch, u32 class, u64 now, u64 *when)
{
	struct bpipe_band *band = ch->band[class];
	u64 ttl = ch->set.ttl_ns[class];
	struct bpipe_frame frame;

	if (!ttl || !band || !band->held)
		return false;
	bpipe_ring_peek(&band->ring, 0, &frame, sizeof(frame));
	/* It may have been written since @now. */
	if (frame.time_ns + ttl > now) {
		*when = min(*when, frame.time_ns + ttl);
		return false;
	}
	bpipe_band_discard_rd(ch, class, BPIPE_DROP_EXPIRED);
	bpipe_wait_settle_locked(ch);
	return true;
}

/**
 * bpipe_shed_expired_rd() - drop all records whose time is over
 * @ch: the channel
 *
 * And see to the next one in time.
 *
 * Context: called with the readers' lock held; may be preempted.
 */
void bpipe_shed_expired_rd(struct bpipe_channel *ch)
{
	u64 now = ktime_get_ns(), when = U64_MAX;
	bool dropped;
	u32 class;

	if (!ch->set.sheds)
		return;
	for (class = 0; class < BPIPE_CLASSES; class++) {
		do {
			bpipe_channel_lock(ch);
			dropped = bpipe_shed_expired_locked(ch, class, now, &when);
			bpipe_channel_unlock(ch);
			cond_resched();
		} while (dropped);
	}
	if (when != U64_MAX) {
		bpipe_channel_lock(ch);
		bpipe_shed_by_locked(ch, when);
		bpipe_channel_unlock(ch);
	}
}

/**
 * bpipe_shed_by_locked() - a record's time will be over
 * @ch: the channel
 * @when: then, nanoseconds
 *
 * Context: called with the channel's lock held.
 */
void bpipe_shed_by_locked(struct bpipe_channel *ch, u64 when)
{
	u64 now = ktime_get_ns();

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

	mutex_lock(&ch->rd.lock);
	bpipe_channel_lock(ch);
	ch->expiry_at = U64_MAX;
	bpipe_channel_unlock(ch);
	bpipe_shed_expired_rd(ch);
	mutex_unlock(&ch->rd.lock);
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
