// SPDX-License-Identifier: GPL-2.0
/*
 * Records, stored by class: each band is a ring of its own, in which every record
 * stands behind its struct bpipe_frame. They share the channel's size, so that
 * all of it can be of any class.
 *
 * A record is there, and gone, for both sides at once: what moves it is done under
 * the channel's lock. The bytes are copied under one side's lock only.
 */

#include <linux/lockdep.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "band.h"
#include "buffer.h"
#include "flow.h"
#include "lock.h"
#include "ring.h"
#include "sojourn.h"
#include "trace.h"

static_assert(sizeof(struct bpipe_frame) == BPIPE_RECORD_OVERHEAD);

/**
 * bpipe_band_create() - make a band, without storage
 *
 * Context: may sleep.
 * Return: the band, or NULL if there is no memory.
 */
struct bpipe_band *bpipe_band_create(void)
{
	return kzalloc(sizeof(struct bpipe_band), GFP_KERNEL_ACCOUNT);
}

/**
 * bpipe_band_free() - give a band and its storage back
 * @band: the band, or NULL
 * @memory: the account that its storage is charged to
 *
 * Context: may sleep.
 */
void bpipe_band_free(struct bpipe_band *band, struct bpipe_memory *memory)
{
	if (band && band->ring.data)
		bpipe_buffer_free(memory, band->ring.data, band->ring.size);
	kfree(band);
}

/**
 * bpipe_band_fill_wr() - copy a record in, where it will stand
 * @ch: the channel
 * @class: its class
 * @from: where to copy from; advanced by what was copied
 * @len: its length
 *
 * In pieces, between which others may run: it may be as long as the channel. A short one
 * does not give up the processor: the others of its side would wait until it has it back.
 *
 * Context: called with the writers' lock held; user pages are not faulted in.
 * Return: bytes copied, fewer than @len if a page is not there, or the caller was killed.
 */
size_t bpipe_band_fill_wr(struct bpipe_channel *ch, u32 class, struct iov_iter *from, size_t len)
{
	struct bpipe_band *band = ch->band[class];
	size_t n, part, done = 0;

	lockdep_assert_held(&ch->wr.lock);
	do {
		part = min_t(size_t, len - done, BPIPE_CHUNK);
		pagefault_disable();
		n = bpipe_ring_fill(&band->ring, sizeof(struct bpipe_frame) + done, from, part);
		pagefault_enable();
		done += n;
		if (done < len)
			cond_resched();
	} while (n == part && done < len && !fatal_signal_pending(current));
	return done;
}

/**
 * bpipe_band_push_wr() - a record that was copied in is there from now on
 * @ch: the channel
 * @frame: what stands before it: its class, length and time; the rest is filled in
 *
 * Context: called with the writers' lock and the channel's lock held.
 */
void bpipe_band_push_wr(struct bpipe_channel *ch, struct bpipe_frame *frame)
{
	struct bpipe_band *band = ch->band[frame->class];
	size_t n = sizeof(*frame) + frame->len;

	lockdep_assert_held(&ch->wr.lock);
	lockdep_assert_held(&ch->lock);
	frame->seq = ch->seq++;
	frame->lost = band->lost_before;
	band->lost_before = 0;
	bpipe_ring_put(&band->ring, 0, frame, sizeof(*frame));
	bpipe_ring_push(&band->ring, n);
	bpipe_count_add(&band->written, frame->len, 1);
	band->held += n;
	ch->records++;
	bpipe_level_add(&ch->level, n);
}

/**
 * bpipe_band_next_locked() - which record is read next
 * @ch: the channel
 * @frame: what stands before it
 *
 * Context: called with the channel's lock held.
 * Return: its band; NULL if there is none.
 */
struct bpipe_band *bpipe_band_next_locked(struct bpipe_channel *ch, struct bpipe_frame *frame)
	__must_hold(&ch->lock)
{
	struct bpipe_band *next = NULL;
	struct bpipe_frame head;
	u32 class;

	lockdep_assert_held(&ch->lock);
	for (class = 0; class < BPIPE_CLASSES; class++) {
		struct bpipe_band *band = ch->band[class];

		if (!band || !band->held)
			continue;
		bpipe_ring_peek(&band->ring, 0, &head, sizeof(head));
		if (next && head.seq > frame->seq)
			continue;
		next = band;
		*frame = head;
		if (ch->set.order == BPIPE_ORDER_PRIORITY)
			break;
	}
	if (next)
		frame->lost += next->lost;
	return next;
}

/**
 * bpipe_band_next_rd() - which record is read next
 * @ch: the channel
 * @frame: what stands before it
 *
 * Context: called with the readers' lock held; does not sleep.
 * Return: its band; NULL if there is none.
 */
struct bpipe_band *bpipe_band_next_rd(struct bpipe_channel *ch, struct bpipe_frame *frame)
{
	struct bpipe_band *next;

	lockdep_assert_held(&ch->rd.lock);
	bpipe_channel_lock(ch);
	next = bpipe_band_next_locked(ch, frame);
	bpipe_channel_unlock(ch);
	return next;
}

/**
 * bpipe_band_drain_rd() - copy a record out
 * @ch: the channel
 * @frame: what stands before it, the oldest of its class
 * @framed: copy that, too
 * @to: where to copy to, with room for it; advanced by what was copied
 *
 * Context: called with the readers' lock held; user pages are not faulted in.
 * Return: bytes copied; fewer than there are if a page is not there, or the caller was
 * killed.
 */
size_t bpipe_band_drain_rd(struct bpipe_channel *ch, const struct bpipe_frame *frame, bool framed,
			   struct iov_iter *to)
{
	struct bpipe_band *band = ch->band[frame->class];
	size_t n, part, done = 0, head = 0;

	lockdep_assert_held(&ch->rd.lock);
	if (framed) {
		pagefault_disable();
		head = copy_to_iter(frame, sizeof(*frame), to);
		pagefault_enable();
		if (head < sizeof(*frame))
			return head;
	}
	do {
		part = min_t(size_t, frame->len - done, BPIPE_CHUNK);
		pagefault_disable();
		n = bpipe_ring_drain(&band->ring, sizeof(*frame) + done, to, part);
		pagefault_enable();
		done += n;
		if (done < frame->len)
			cond_resched();
	} while (n == part && done < frame->len && !fatal_signal_pending(current));
	return head + done;
}

/**
 * bpipe_band_unused_locked() - return true if no class needs the buffer of a band
 * @ch: the channel
 * @band: the band, or NULL
 *
 * Context: called with the channel's lock held.
 */
bool bpipe_band_unused_locked(const struct bpipe_channel *ch, const struct bpipe_band *band)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	return band && band != ch->band[0] && !band->writers && !band->held && band->ring.data;
}

/*
 * Free a buffer that lost its last record.
 *
 * No copy is under way: a record stays in its class while a reader copies it, and a writer
 * counts until its file is closed.
 */
static void bpipe_band_idle_locked(struct bpipe_channel *ch, struct bpipe_band *band)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (!bpipe_band_unused_locked(ch, band))
		return;
	bpipe_buffer_free_later(&ch->memory, band->ring.data, band->ring.size);
	band->ring.data = NULL;
	band->storage = 0;
}

/* The oldest record of a band goes. */
static void bpipe_remove_rd(struct bpipe_channel *ch, struct bpipe_band *band, u32 len)
{
	size_t n = sizeof(struct bpipe_frame) + len;

	lockdep_assert_held(&ch->rd.lock);
	lockdep_assert_held(&ch->lock);
	bpipe_ring_pop(&band->ring, n);
	band->held -= n;
	ch->records--;
	bpipe_level_sub(&ch->level, n);
	if (unlikely(!band->held && !band->writers))
		bpipe_band_idle_locked(ch, band);
}

/**
 * bpipe_band_pop_rd() - a record that was copied out is gone from now on
 * @ch: the channel
 * @frame: what stood before it
 * @now: the time, nanoseconds
 *
 * Context: called with the readers' lock and the channel's lock held.
 */
void bpipe_band_pop_rd(struct bpipe_channel *ch, const struct bpipe_frame *frame, u64 now)
{
	struct bpipe_band *band = ch->band[frame->class];

	lockdep_assert_held(&ch->rd.lock);
	lockdep_assert_held(&ch->lock);
	bpipe_remove_rd(ch, band, frame->len);
	bpipe_count_add(&band->read, frame->len, 1);
	band->lost = 0;
	ch->sojourn[bpipe_sojourn_bucket(now - frame->time_ns)]++;
}

/**
 * bpipe_band_discard_rd() - the oldest record of a class is dropped
 * @ch: the channel
 * @class: the class, of which there is one
 * @reason: why
 *
 * Context: called with the readers' lock and the channel's lock held.
 * Return: bytes that are free by it.
 */
size_t bpipe_band_discard_rd(struct bpipe_channel *ch, u32 class, enum bpipe_drop reason)
{
	struct bpipe_band *band = ch->band[class];
	struct bpipe_frame frame;

	lockdep_assert_held(&ch->rd.lock);
	lockdep_assert_held(&ch->lock);
	bpipe_ring_peek(&band->ring, 0, &frame, sizeof(frame));
	bpipe_remove_rd(ch, band, frame.len);
	bpipe_count_add(&band->dropped[reason], frame.len, 1);
	band->lost += frame.lost + 1;
	trace_bpipe_drop(ch, class, reason, frame.len);
	return sizeof(frame) + frame.len;
}

/* What is held of a class and those below it, by class. */
static u64 bpipe_held_locked(const struct bpipe_channel *ch, u32 class, u64 *held)
	__must_hold(&ch->lock)
{
	u64 sum = 0;

	lockdep_assert_held(&ch->lock);
	for (; class < BPIPE_CLASSES; class++) {
		held[class] = ch->band[class] ? ch->band[class]->held : 0;
		sum += held[class];
	}
	return sum;
}

/**
 * bpipe_band_evictable() - what could be made free for a record
 * @ch: the channel
 * @class: its class
 *
 * Context: does not sleep.
 * Return: bytes, with overhead.
 */
u64 bpipe_band_evictable(struct bpipe_channel *ch, u32 class)
{
	u64 held[BPIPE_CLASSES], sum;

	bpipe_channel_lock(ch);
	sum = bpipe_held_locked(ch, class, held);
	bpipe_channel_unlock(ch);
	return sum;
}

/**
 * bpipe_band_evict_rd() - make room for a record
 * @ch: the channel
 * @class: its class
 * @bytes: how much is to be made free
 *
 * Context: called with the readers' lock held; does not sleep.
 * Return: how much was: less if BPIPE_BAND_PIECE records were not enough; all that
 * was wanted if there are no more.
 */
u64 bpipe_band_evict_rd(struct bpipe_channel *ch, u32 class, u64 bytes)
{
	u64 held[BPIPE_CLASSES], freed = 0;
	int n;

	lockdep_assert_held(&ch->rd.lock);
	bpipe_channel_lock(ch);
	for (n = 0; n < BPIPE_BAND_PIECE && freed < bytes; n++)
		freed += bpipe_held_locked(ch, class, held) ?
			 bpipe_band_discard_rd(ch, bpipe_flow_victim(held, class),
					       BPIPE_DROP_EVICTED) : bytes;
	bpipe_channel_unlock(ch);
	return freed;
}

/**
 * bpipe_band_end_stream_locked() - let the band of a stream count what has passed
 * @ch: the channel, before its mode changes or what it holds is dropped; after that, it
 *	holds nothing
 *
 * Context: called with both sides' locks and the channel's lock held.
 */
void bpipe_band_end_stream_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct bpipe_band *band = ch->band[0];
	u64 in, out;

	lockdep_assert_held(&ch->wr.lock);
	lockdep_assert_held(&ch->rd.lock);
	lockdep_assert_held(&ch->lock);
	bpipe_level_totals(&ch->level, &in, &out);
	if (band && !bpipe_is_record(ch)) {
		bpipe_count_add(&band->written, in - ch->stream_from, 0);
		bpipe_count_add(&band->read, out - ch->stream_from, 0);
	}
	ch->stream_from = in;
}
