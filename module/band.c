// SPDX-License-Identifier: GPL-2.0
/*
 * Bands: storage of records by class. Each class has its own ring, in which every record stands
 * behind its struct bpipe_frame. The rings share the size of the channel, so all of it can be
 * of any class.
 *
 * Bytes are copied under the lock of one side. A record appears and disappears under
 * channel.lock, so bytes and counts change together.
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
 * bpipe_band_create() - allocate a band without storage
 *
 * Context: may sleep.
 * Return: the band, or NULL if memory is short.
 */
struct bpipe_band *bpipe_band_create(void)
{
	return kzalloc(sizeof(struct bpipe_band), GFP_KERNEL_ACCOUNT);
}

/**
 * bpipe_band_free() - free a band and its storage
 * @band: the band, or NULL
 * @memory: account that the storage is charged to
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
 * bpipe_band_fill_wr() - copy a record in, beyond the head of its ring
 * @ch: the channel
 * @class: class of the record, 0..7
 * @from: source of the bytes; advanced by what was copied
 * @len: length of the record, bytes, without overhead
 *
 * A record may be as long as the channel, so it is copied in pieces. Between two of them is a
 * chance to reschedule. There is none once the copy is complete: a writer that
 * gives up the processor with wr.lock held keeps the other writers waiting.
 *
 * Context: called with wr.lock held; may sleep, but does not fault in user pages.
 * Return: bytes copied, fewer than @len if a page is not present or the caller was killed.
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
 * bpipe_band_push_wr() - publish a record that was copied in
 * @ch: the channel
 * @frame: header of the record: its class, length and time; set to the complete header
 *
 * Context: called with wr.lock and channel.lock held.
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
 * bpipe_band_next_locked() - find the record that is read next
 * @ch: the channel
 * @frame: set to the header of the record
 *
 * Context: called with channel.lock held.
 * Return: the band of the record; NULL if there is none.
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
 * bpipe_band_next_rd() - find the record that is read next
 * @ch: the channel
 * @frame: set to the header of the record
 *
 * Context: called with rd.lock held; does not sleep.
 * Return: the band of the record; NULL if there is none.
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
 * @frame: header of the record, which is the oldest one of its class
 * @framed: copy the header, too
 * @to: target of the bytes, with room for the record; advanced by what was copied
 *
 * Context: called with rd.lock held; may sleep, but does not fault in user pages.
 * Return: bytes copied, fewer than the record has if a page is not present or the caller was
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

/* Remove the oldest record of a band. */
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
 * bpipe_band_pop_rd() - remove a record that was copied out, and count it as read
 * @ch: the channel
 * @frame: header of the record, which is the oldest one of its class
 * @now: the time, nanoseconds
 *
 * Context: called with rd.lock and channel.lock held.
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
 * bpipe_band_discard_rd() - drop the oldest record of a class
 * @ch: the channel
 * @class: the class, 0..7, which has a record
 * @reason: reason to count
 *
 * Context: called with rd.lock and channel.lock held.
 * Return: bytes freed, with overhead.
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

/* Set @held to the bytes held of @class and of each less important class, and return the sum. */
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
 * bpipe_band_evictable() - calculate the room that eviction could free for a record
 * @ch: the channel
 * @class: class of the record, 0..7
 *
 * Context: any; takes channel.lock.
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
 * bpipe_band_evict_rd() - evict records to make room for another one
 * @ch: the channel
 * @class: class of the new record, 0..7
 * @bytes: bytes to free, with overhead
 *
 * Context: called with rd.lock held; does not sleep.
 * Return: bytes freed. Fewer than @bytes if BPIPE_BAND_PIECE records were not enough: evict
 * more after a release of rd.lock. At least @bytes also if no record is left to evict.
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
 * bpipe_band_end_stream_locked() - add what a stream moved to the counts of its band
 * @ch: the channel, before its mode changes or what it holds is dropped. The caller leaves it
 *	empty.
 *
 * Context: called with both sides' locks and channel.lock held.
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
