// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers of the classes: allocated before the first use, freed after the last.
 *
 * Class 0 gets its buffer with the first writer and keeps it. In record mode, each other class
 * has a buffer while it has a writer or holds a record.
 *
 * An allocation can take minutes, because the caller's memory cgroup may be throttled. So no
 * lock is held meanwhile. The code looks under the locks which buffers are missing, drops the
 * locks, allocates, and looks again. The configuration lock is held from the last look until the
 * buffers are installed, so size, mode and claims on classes do not change.
 */

#include <linux/bitops.h>
#include <linux/lockdep.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "band.h"
#include "buffer.h"
#include "lock.h"
#include "ring.h"
#include "storage.h"
#include "types.h"

/* Return true if a class needs a buffer in @mode. Class 0 keeps its buffer in any case. */
static bool bpipe_storage_needed_locked(const struct bpipe_channel *ch, u32 mode, u32 class)
	__must_hold(&ch->lock)
{
	const struct bpipe_band *band = ch->band[class];

	lockdep_assert_held(&ch->lock);
	if (!band)
		return false;
	if (class == 0 && band->ring.data)
		return true;
	return mode == BPIPE_MODE_RECORD && (band->writers || band->held);
}

/**
 * bpipe_storage_missing_config() - find the classes that need a buffer
 * @ch: the channel
 * @mode: new mode of the channel, enum bpipe_mode
 * @size: new size of the channel, bytes
 * @spare: buffers at hand
 *
 * Context: called with the configuration lock held; does not sleep.
 * Return: a bit for each class that lacks a buffer of @size bytes.
 */
u32 bpipe_storage_missing_config(struct bpipe_channel *ch, u32 mode, size_t size,
				 const struct bpipe_storage *spare)
{
	u32 class, lacks = 0;

	lockdep_assert_held(&ch->config);
	bpipe_channel_lock(ch);
	for (class = 0; class < BPIPE_CLASSES; class++) {
		if (!bpipe_storage_needed_locked(ch, mode, class))
			continue;
		if (ch->band[class]->ring.data && ch->flow.size == size)
			continue;
		if (!spare->data[class] || spare->size != size)
			lacks |= BIT(class);
	}
	bpipe_channel_unlock(ch);
	return lacks;
}

static void bpipe_storage_free_buffers(struct bpipe_channel *ch, struct bpipe_storage *storage)
{
	u32 class;

	for (class = 0; class < BPIPE_CLASSES; class++) {
		if (storage->data[class])
			bpipe_buffer_free(&ch->memory, storage->data[class], storage->size);
		storage->data[class] = NULL;
	}
}

/**
 * bpipe_storage_free() - free buffers that no class uses
 * @ch: the channel
 * @storage: the buffers; empty afterwards
 *
 * If the caller has allocated buffers, report the end of that to bpipe_storage_await().
 *
 * Context: may sleep.
 */
void bpipe_storage_free(struct bpipe_channel *ch, struct bpipe_storage *storage)
{
	bpipe_storage_free_buffers(ch, storage);
	if (!storage->pending)
		return;
	storage->pending = false;
	bpipe_channel_lock(ch);
	ch->allocating--;
	WRITE_ONCE(ch->allocated, ch->allocated + 1);
	bpipe_channel_unlock(ch);
	wake_up_all(&ch->allocators);
}

/**
 * bpipe_storage_fit() - free spare buffers of the wrong size
 * @ch: the channel
 * @spare: the buffers
 * @size: bytes that each buffer must have
 *
 * Context: may sleep.
 */
void bpipe_storage_fit(struct bpipe_channel *ch, struct bpipe_storage *spare, size_t size)
{
	if (spare->size != size)
		bpipe_storage_free_buffers(ch, spare);
	spare->size = size;
}

/**
 * bpipe_storage_alloc() - allocate buffers for classes
 * @ch: the channel
 * @spare: gets the buffers; its buffers of another size are freed
 * @classes: a bit for each class
 * @size: bytes of each buffer
 *
 * The caller frees @spare, even after an error.
 *
 * Context: called without locks; may sleep, for minutes if the memory cgroup is throttled.
 * Return: 0 or an error
 *
 * * -ENODEV if the channel is gone
 * * -ENOMEM if memory is lacking, or the caller is being killed
 * * -ENOSPC if the cap on all buffers, or the channel's share, would be exceeded
 */
int bpipe_storage_alloc(struct bpipe_channel *ch, struct bpipe_storage *spare, u32 classes,
			size_t size)
{
	u64 bytes = PAGE_ALIGN(size);
	u32 class;

	bpipe_channel_lock(ch);
	ch->allocating += !spare->pending;
	spare->seen = ch->allocated;
	bpipe_channel_unlock(ch);
	spare->pending = true;
	bpipe_storage_fit(ch, spare, size);
	if (bpipe_buffer_charge(&ch->memory, hweight32(classes) * bytes))
		return -ENOSPC;
	for (; classes; classes &= ~BIT(class)) {
		class = __ffs(classes);
		spare->data[class] = bpipe_buffer_alloc(&ch->memory, size);
		if (!spare->data[class]) {
			bpipe_buffer_uncharge(&ch->memory, hweight32(classes) * bytes);
			return READ_ONCE(ch->memory.gone) ? -ENODEV : -ENOMEM;
		}
	}
	return 0;
}

/*
 * Wait, after a refused charge, until another allocation for the channel has ended. Two first
 * writers allocate a buffer each, although the class uses only one. The limits may not allow
 * both.
 *
 * Return: -EAGAIN to look again; -EINTR if the caller was killed; -ENOSPC if no other task
 * allocates for the channel.
 */
static int bpipe_storage_await(struct bpipe_channel *ch, struct bpipe_storage *spare)
{
	bool others;

	bpipe_channel_lock(ch);
	others = ch->allocating > 1 || ch->allocated != spare->seen;
	if (others) {
		ch->allocating--;
		spare->pending = false;
	}
	bpipe_channel_unlock(ch);
	if (!others)
		return -ENOSPC;
	if (wait_event_killable(ch->allocators, READ_ONCE(ch->allocated) != spare->seen))
		return -EINTR;
	return -EAGAIN;
}

/*
 * Count a file as a writer of a class, which has a band. The caller sets the class of later
 * writes.
 *
 * The count lasts until the file is closed. A write that has begun keeps its class, and may
 * still run when later writes have another class.
 */
static void bpipe_storage_add_writer_locked(struct bpipe_file *bf, u32 class)
	__must_hold(&bf->ch->lock)
{
	lockdep_assert_held(&bf->ch->config);
	lockdep_assert_held(&bf->ch->lock);
	if (bf->writer.classes & BIT(class))
		return;
	bf->writer.classes |= BIT(class);
	bf->ch->band[class]->writers++;
}

/**
 * bpipe_storage_forget_locked() - undo all claims of an open file
 * @bf: the open file, which is about to be freed
 *
 * Context: called with the channel's lock held.
 */
void bpipe_storage_forget_locked(struct bpipe_file *bf)
	__must_hold(&bf->ch->lock)
{
	u32 class;

	lockdep_assert_held(&bf->ch->lock);
	for (class = 0; class < BPIPE_CLASSES; class++)
		if (bf->writer.classes & BIT(class))
			bf->ch->band[class]->writers--;
}

/*
 * Claim a class for a file, and return true. The class must have its band and buffer, or takes
 * what it lacks from @band and @spare. Otherwise return false, with @size set to the bytes of
 * the missing buffer, or to 0 if only the band is missing.
 */
static bool bpipe_storage_try_claim(struct bpipe_file *bf, u32 class, struct bpipe_band **band,
				    struct bpipe_storage *spare, size_t *size)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_band *own;
	bool done = false;

	bpipe_channel_lock(ch);
	if (!ch->band[class])
		swap(ch->band[class], *band);
	own = ch->band[class];
	*size = (class == 0 || bpipe_is_record(ch)) && !(own && own->ring.data) ?
		ch->flow.size : 0;
	if (own && *size && spare->data[class] && spare->size == *size) {
		bpipe_ring_init(&own->ring, spare->data[class], *size);
		own->storage = PAGE_ALIGN(*size);
		spare->data[class] = NULL;
		*size = 0;
	}
	if (own && !*size) {
		bpipe_storage_add_writer_locked(bf, class);
		done = true;
	}
	bpipe_channel_unlock(ch);
	return done;
}

/**
 * bpipe_storage_claim() - claim a class for an open file, and lock the configuration
 * @bf: the open file
 * @class: the class, 0..7
 * @for_records: refuse a channel in stream mode
 *
 * Allocate all memory that later writes need, so that no write lacks memory.
 *
 * Context: called without locks; may sleep, for minutes if the memory cgroup is throttled.
 * Return: 0 with the configuration lock held; or an error without it
 *
 * * -EINTR if the caller was killed
 * * -ENODEV if the channel is gone
 * * -ENOMEM if memory is lacking
 * * -ENOSPC if the cap on all buffers, or the channel's share, would be exceeded
 * * -ENXIO if the channel drains and the file has no class yet
 * * -EOPNOTSUPP if the channel is in stream mode and @for_records is set
 */
int bpipe_storage_claim(struct bpipe_file *bf, u32 class, bool for_records)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_storage spare = { };
	struct bpipe_band *band = NULL;
	size_t size = 0;
	bool fresh;
	int ret;

	for (;;) {
		ret = bpipe_channel_lock_config(ch);
		if (ret)
			break;
		if (ch->life == BPIPE_LIFE_DRAINING && !bf->writer.classes)
			ret = -ENXIO;
		else if (for_records && !bpipe_is_record(ch))
			ret = -EOPNOTSUPP;
		else if (bpipe_storage_try_claim(bf, class, &band, &spare, &size))
			break;
		fresh = !ch->band[class];
		mutex_unlock(&ch->config);
		if (!ret && fresh && !band) {
			band = bpipe_band_create();
			ret = band ? 0 : -ENOMEM;
		}
		if (!ret && size)
			ret = bpipe_storage_alloc(ch, &spare, BIT(class), size);
		if (ret == -ENOSPC)
			ret = bpipe_storage_await(ch, &spare);
		if (ret && ret != -EAGAIN)
			break;
	}
	bpipe_band_free(band, &ch->memory);
	bpipe_storage_free(ch, &spare);
	return ret;
}

/* Return the bytes that a class holds. Without the writers' lock, more may arrive at any time. */
static size_t bpipe_storage_queued_locked(struct bpipe_channel *ch, u32 class)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (!ch->band[class])
		return 0;
	if (class == 0 && !bpipe_is_record(ch))
		return bpipe_level_queued(&ch->level);
	return ch->band[class]->held;
}

static size_t bpipe_storage_queued_rd(struct bpipe_channel *ch, u32 class)
{
	size_t queued;

	lockdep_assert_held(&ch->rd.lock);
	bpipe_channel_lock(ch);
	queued = bpipe_storage_queued_locked(ch, class);
	bpipe_channel_unlock(ch);
	return queued;
}

/* Return the offset, in a buffer of @size bytes, of the byte at position @passed of a ring. */
static size_t bpipe_storage_place(u64 passed, u32 size)
{
	u32 place;

	div_u64_rem(passed, size, &place);
	return place;
}

/*
 * Copy up to @piece bytes of a class, and subtract the bytes copied from @piece. Return the
 * number of bytes left to copy.
 */
static size_t bpipe_storage_copy_rd(struct bpipe_channel *ch, struct bpipe_storage *spare,
				    u32 class, size_t *piece)
{
	size_t queued = bpipe_storage_queued_rd(ch, class), n;
	u64 *copied = &spare->copied[class];
	const struct bpipe_ring *ring;

	lockdep_assert_held(&ch->rd.lock);
	/* A resize fails if more is queued than the new buffer holds. */
	if (!queued || !spare->data[class] || queued > spare->size)
		return 0;
	ring = &ch->band[class]->ring;
	*copied = max(*copied, ring->passed);
	n = min_t(u64, ring->passed + queued - *copied, *piece);
	bpipe_ring_copy(ring, *copied - ring->passed, spare->data[class], spare->size,
			bpipe_storage_place(*copied, spare->size), n);
	*copied += n;
	*piece -= n;
	return ring->passed + queued - *copied;
}

/**
 * bpipe_storage_copy() - copy queued data to buffers of another size
 * @ch: the channel
 * @spare: the buffers; @copied is advanced
 * @rest: copy all data that is left; the caller holds the writers' lock, so the rest is bounded
 *
 * Readers may take their lock after each BPIPE_CHUNK. Without @rest, writers may write at any
 * time, and new data is copied, too. The copy ends when no data is left, or after twice the
 * size of a buffer. This is the pre-copy of a live migration.
 *
 * Context: called with the configuration lock held, and with the writers' lock if @rest is set;
 * may sleep.
 * Return: 0, or -EINTR if the caller was killed.
 */
int bpipe_storage_copy(struct bpipe_channel *ch, struct bpipe_storage *spare, bool rest)
{
	unsigned int pieces = 2 * (spare->size / BPIPE_CHUNK + 1);
	size_t piece, left;
	u32 class;
	int ret;

	lockdep_assert_held(&ch->config);
	if (!memchr_inv(spare->data, 0, sizeof(spare->data)))
		return 0;
	do {
		ret = mutex_lock_killable(&ch->rd.lock);
		if (ret)
			return ret;
		piece = BPIPE_CHUNK;
		left = 0;
		for (class = 0; class < BPIPE_CLASSES; class++)
			left += bpipe_storage_copy_rd(ch, spare, class, &piece);
		mutex_unlock(&ch->rd.lock);
		cond_resched();
	} while (left && (rest || --pieces));
	return 0;
}

/**
 * bpipe_storage_copied_rd() - return true if the copy of all queued data is complete
 * @ch: the channel
 * @spare: the buffers
 *
 * bpipe_storage_copy() skips a class that holds more than its new buffer. Readers may since have
 * made the data fit, so that it must be copied now. If the data still does not fit, the resize
 * fails and needs no copy.
 *
 * Context: called with both sides' locks held; does not sleep.
 * Return: true if no data has to be copied.
 */
bool bpipe_storage_copied_rd(struct bpipe_channel *ch, const struct bpipe_storage *spare)
{
	size_t queued;
	u32 class;

	lockdep_assert_held(&ch->wr.lock);
	lockdep_assert_held(&ch->rd.lock);
	for (class = 0; class < BPIPE_CLASSES; class++) {
		queued = spare->data[class] ? bpipe_storage_queued_rd(ch, class) : 0;
		if (queued && queued <= spare->size &&
		    spare->copied[class] < ch->band[class]->ring.passed + queued)
			return false;
	}
	return true;
}

/**
 * bpipe_storage_swap_locked() - exchange the buffers of a channel for new ones
 * @ch: the channel, still with its old configuration
 * @mode: new mode of the channel, enum bpipe_mode
 * @spare: new buffers, with a copy of all queued data; buffers that are not used stay here
 * @old: gets the buffers that are no longer used
 *
 * A class may have lost its last writer since its new buffer was allocated.
 *
 * Context: called with the configuration lock, both sides' locks and the channel's lock held.
 */
void bpipe_storage_swap_locked(struct bpipe_channel *ch, u32 mode, struct bpipe_storage *spare,
			       struct bpipe_storage *old)
	__must_hold(&ch->lock)
{
	u32 class;

	lockdep_assert_held(&ch->config);
	lockdep_assert_held(&ch->wr.lock);
	lockdep_assert_held(&ch->rd.lock);
	lockdep_assert_held(&ch->lock);
	old->size = ch->flow.size;
	for (class = 0; class < BPIPE_CLASSES; class++) {
		struct bpipe_band *band = ch->band[class];

		if (!band)
			continue;
		if (!bpipe_storage_needed_locked(ch, mode, class)) {
			old->data[class] = band->ring.data;
			band->ring.data = NULL;
		} else if (spare->data[class]) {
			old->data[class] = bpipe_ring_move(&band->ring,
				bpipe_storage_queued_locked(ch, class), spare->data[class],
				spare->size, bpipe_storage_place(band->ring.passed, spare->size));
			spare->data[class] = NULL;
		}
		band->storage = band->ring.data ? PAGE_ALIGN(band->ring.size) : 0;
	}
}

/**
 * bpipe_storage_trim_locked() - take the buffers of unused classes
 * @ch: the channel
 * @old: gets the buffers of classes 1 to 7 that have neither a writer nor a record
 *
 * Context: called with the channel's lock held.
 */
void bpipe_storage_trim_locked(struct bpipe_channel *ch, struct bpipe_storage *old)
	__must_hold(&ch->lock)
{
	u32 class;

	lockdep_assert_held(&ch->lock);
	old->size = ch->flow.size;
	for (class = 1; class < BPIPE_CLASSES; class++) {
		struct bpipe_band *band = ch->band[class];

		if (!bpipe_band_unused_locked(ch, band))
			continue;
		old->data[class] = band->ring.data;
		band->ring.data = NULL;
		band->storage = 0;
	}
}

/**
 * bpipe_storage_strip_locked() - take all buffers of a channel that is gone
 * @ch: the channel; the data in it is lost, and counts as neither read nor dropped
 * @old: gets the buffers
 *
 * Context: called with the configuration lock, both sides' locks and the channel's lock held.
 */
void bpipe_storage_strip_locked(struct bpipe_channel *ch, struct bpipe_storage *old)
	__must_hold(&ch->lock)
{
	u32 class;

	lockdep_assert_held(&ch->config);
	lockdep_assert_held(&ch->wr.lock);
	lockdep_assert_held(&ch->rd.lock);
	lockdep_assert_held(&ch->lock);
	bpipe_band_end_stream_locked(ch);
	bpipe_level_sub(&ch->level, bpipe_level_now(&ch->level));
	ch->records = 0;
	old->size = ch->flow.size;
	for (class = 0; class < BPIPE_CLASSES; class++) {
		struct bpipe_band *band = ch->band[class];

		if (!band || !band->ring.data)
			continue;
		band->held = 0;
		band->storage = 0;
		old->data[class] = bpipe_ring_move(&band->ring, 0, NULL, ch->flow.size, 0);
	}
}

/**
 * bpipe_storage_bytes() - report the memory that the buffers of a channel take
 * @ch: the channel
 * @bytes: filled in
 *
 * Context: does not sleep.
 */
void bpipe_storage_bytes(struct bpipe_channel *ch, struct bpipe_storage_bytes *bytes)
{
	u32 class;

	bpipe_channel_lock(ch);
	for (class = 0; class < BPIPE_CLASSES; class++)
		bytes->class[class] = ch->band[class] ? ch->band[class]->storage : 0;
	bytes->all = bpipe_buffer_used_by(&ch->memory);
	bpipe_channel_unlock(ch);
}
