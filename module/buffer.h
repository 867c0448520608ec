/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_BUFFER_H
#define BPIPE_BUFFER_H

#include <linux/types.h>

u64 bpipe_buffer_used(void);
u64 bpipe_buffer_max(void);
void bpipe_buffer_set_max(u64 bytes);

void *bpipe_buffer_alloc(size_t size);
void bpipe_buffer_free(void *data, size_t size);

#endif /* BPIPE_BUFFER_H */
