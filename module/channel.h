/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_CHANNEL_H
#define BPIPE_CHANNEL_H

#include <linux/fs.h>
#include <linux/types.h>

struct bpipe_channel;
struct bpipe_file;

int bpipe_channel_get(struct bpipe_channel *ch);
void bpipe_channel_put(struct bpipe_channel *ch);
int bpipe_channel_retire(struct bpipe_channel *ch, u32 flags);

struct bpipe_file *bpipe_channel_open(struct bpipe_channel *ch, fmode_t mode);
void bpipe_channel_release(struct bpipe_file *bf);

bool bpipe_channel_at_end_locked(const struct bpipe_file *bf);
int bpipe_channel_write_error_locked(const struct bpipe_file *bf);

#endif /* BPIPE_CHANNEL_H */
