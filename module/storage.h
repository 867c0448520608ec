/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_STORAGE_H
#define BPIPE_STORAGE_H

#include <linux/types.h>

#include "uapi/linux/bpipe.h"

struct bpipe_band;
struct bpipe_channel;
struct bpipe_file;

/**
 * struct bpipe_storage - buffers that are not yet, or no longer, in use by a class
 * @data: buffer for each class, or NULL
 * @size: bytes of each buffer, 0..BPIPE_SIZE_MAX
 * @copied: position in the ring of each class of the next byte to copy into its buffer, as
 *	bpipe_ring.passed
 * @pending: the task counts in bpipe_channel.allocating
 * @seen: bpipe_channel.allocated when the latest allocation began
 *
 * A local variable of one task, so no lock protects it.
 */
struct bpipe_storage {
	void *data[BPIPE_CLASSES];
	size_t size;
	u64 copied[BPIPE_CLASSES];
	bool pending;
	unsigned int seen;
};

/**
 * struct bpipe_storage_bytes - memory that the buffers of a channel take
 * @all: bytes of all buffers, including buffers that are being allocated or replaced
 * @class: bytes of the buffer in use by each class, whole pages; 0 without a buffer
 *
 * A snapshot of one task, so no lock protects it.
 */
struct bpipe_storage_bytes {
	u64 all;
	u64 class[BPIPE_CLASSES];
};

int bpipe_storage_claim(struct bpipe_file *bf, u32 class, bool for_records);
u32 bpipe_storage_missing_config(struct bpipe_channel *ch, u32 mode, size_t size,
				 const struct bpipe_storage *spare);
int bpipe_storage_alloc(struct bpipe_channel *ch, struct bpipe_storage *spare, u32 classes,
			size_t size);
void bpipe_storage_free(struct bpipe_channel *ch, struct bpipe_storage *storage);

void bpipe_storage_fit(struct bpipe_channel *ch, struct bpipe_storage *spare, size_t size);
bool bpipe_storage_copied_rd(struct bpipe_channel *ch, const struct bpipe_storage *spare);
int bpipe_storage_copy(struct bpipe_channel *ch, struct bpipe_storage *spare, bool rest);
void bpipe_storage_swap_locked(struct bpipe_channel *ch, u32 mode, struct bpipe_storage *spare,
			       struct bpipe_storage *old);
void bpipe_storage_forget_locked(struct bpipe_file *bf);
void bpipe_storage_trim_locked(struct bpipe_channel *ch, struct bpipe_storage *old);
void bpipe_storage_strip_locked(struct bpipe_channel *ch, struct bpipe_storage *old);

void bpipe_storage_bytes(struct bpipe_channel *ch, struct bpipe_storage_bytes *bytes);

#endif /* BPIPE_STORAGE_H */
