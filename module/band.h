/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_BAND_H
#define BPIPE_BAND_H

#include <linux/types.h>

#include "ring.h"
#include "sojourn.h"
#include "stats.h"
#include "uapi/linux/bpipe.h"

struct bpipe_channel;
struct bpipe_memory;
struct iov_iter;

/**
 * struct bpipe_band - what a channel holds of one class
 * @ring: the bytes; of records, each behind its struct bpipe_frame. Without
 *	storage while there is no use for it.
 * @writers: open files that are or were of that class; grows under the channel's
 *	config lock, and is guarded by the channel's lock, as is @held
 * @held: bytes in it, with overhead; 0 in a stream
 * @storage: bytes that the buffer of @ring takes, whole pages; 0 without one. Guarded by
 *	the channel's lock.
 * @written: bytes and records that came from writers; of a stream, see
 *	bpipe_stats_end_stream_locked(). Guarded by the channel's lock, as are @dropped and
 *	@read.
 * @dropped: what of it was dropped, by enum bpipe_drop
 * @lost_before: records dropped since the last one that was stored, guarded by the
 *	writers' lock
 * @read: bytes and records that went to readers
 * @lost: records dropped since the last one that was read, guarded by the readers' lock
 * @sojourn: whether they wait for too long, likewise
 */
struct bpipe_band {
	struct bpipe_ring ring;
	unsigned int writers;
	u64 held;
	size_t storage;
	struct bpipe_count written;
	struct bpipe_count dropped[BPIPE_DROP_REASONS];
	u64 lost_before;
	struct bpipe_count read;
	u64 lost;
	struct bpipe_sojourn sojourn;
};

struct bpipe_band *bpipe_band_create(void);
void bpipe_band_free(struct bpipe_band *band, struct bpipe_memory *memory);

size_t bpipe_band_fill_wr(struct bpipe_band *band, struct iov_iter *from, size_t len);
void bpipe_band_push_wr(struct bpipe_channel *ch, struct bpipe_frame *frame);

struct bpipe_band *bpipe_band_next_locked(struct bpipe_channel *ch, struct bpipe_frame *frame);
struct bpipe_band *bpipe_band_next_rd(struct bpipe_channel *ch, struct bpipe_frame *frame);
size_t bpipe_band_drain_rd(struct bpipe_band *band, const struct bpipe_frame *frame, bool framed,
			   struct iov_iter *to);
void bpipe_band_pop_rd(struct bpipe_channel *ch, const struct bpipe_frame *frame, u64 now);
size_t bpipe_band_discard_rd(struct bpipe_channel *ch, u32 class, enum bpipe_drop reason);

u64 bpipe_band_evictable(struct bpipe_channel *ch, u32 class);
u64 bpipe_band_evict_rd(struct bpipe_channel *ch, u32 class, u64 bytes);

#endif /* BPIPE_BAND_H */
