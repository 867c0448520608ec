/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_BUFFER_H
#define BPIPE_BUFFER_H

#include <linux/types.h>

/**
 * struct bpipe_memory - account of the memory that the buffers of one channel take
 * @bytes: bytes charged, whole pages, including buffers that are being allocated or replaced;
 *	0..bpipe_buffer_share(), unless the share was lowered. Protected by the lock of buffer.c.
 * @gone: the channel is gone, so an allocation for it gives up. Set once, with
 *	bpipe_channel.lock held, and read without a lock.
 */
struct bpipe_memory {
	u64 bytes;
	bool gone;
};

u64 bpipe_buffer_used(void);
u64 bpipe_buffer_used_by(const struct bpipe_memory *memory);
u64 bpipe_buffer_max(void);
void bpipe_buffer_set_max(u64 bytes);
unsigned int bpipe_buffer_percent(void);
void bpipe_buffer_set_percent(unsigned int percent);
u64 bpipe_buffer_share(void);

int bpipe_buffer_charge(struct bpipe_memory *memory, u64 bytes);
void bpipe_buffer_uncharge(struct bpipe_memory *memory, u64 bytes);

void *bpipe_buffer_alloc(const struct bpipe_memory *memory, size_t size);
void bpipe_buffer_free(struct bpipe_memory *memory, void *data, size_t size);
void bpipe_buffer_free_later(struct bpipe_memory *memory, void *data, size_t size);
void bpipe_buffer_flush(void);

#endif /* BPIPE_BUFFER_H */
