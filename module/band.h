/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_BAND_H
#define BPIPE_BAND_H

#include <linux/types.h>

#include "types.h"

struct iov_iter;

/* Most records dropped for one hold of rd.lock. */
#define BPIPE_BAND_PIECE	64

struct bpipe_band *bpipe_band_create(void);
void bpipe_band_free(struct bpipe_band *band, struct bpipe_memory *memory);

size_t bpipe_band_fill_wr(struct bpipe_channel *ch, u32 class, struct iov_iter *from, size_t len);
void bpipe_band_push_wr(struct bpipe_channel *ch, struct bpipe_frame *frame);

struct bpipe_band *bpipe_band_next_locked(struct bpipe_channel *ch, struct bpipe_frame *frame);
struct bpipe_band *bpipe_band_next_rd(struct bpipe_channel *ch, struct bpipe_frame *frame);
size_t bpipe_band_drain_rd(struct bpipe_channel *ch, const struct bpipe_frame *frame, bool framed,
			   struct iov_iter *to);
void bpipe_band_pop_rd(struct bpipe_channel *ch, const struct bpipe_frame *frame, u64 now);
size_t bpipe_band_discard_rd(struct bpipe_channel *ch, u32 class, enum bpipe_drop reason);

bool bpipe_band_unused_locked(const struct bpipe_channel *ch, const struct bpipe_band *band);
void bpipe_band_end_stream_locked(struct bpipe_channel *ch);

u64 bpipe_band_evictable(struct bpipe_channel *ch, u32 class);
u64 bpipe_band_evict_rd(struct bpipe_channel *ch, u32 class, u64 bytes);

#endif /* BPIPE_BAND_H */
