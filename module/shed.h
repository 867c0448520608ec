/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_SHED_H
#define BPIPE_SHED_H

#include <linux/types.h>

struct bpipe_band;
struct bpipe_channel;
struct bpipe_frame;

void bpipe_shed_init(struct bpipe_channel *ch);
void bpipe_shed_uninit(struct bpipe_channel *ch);

struct bpipe_band *bpipe_shed_next_rd(struct bpipe_channel *ch, struct bpipe_frame *frame);
int bpipe_shed_expired_rd(struct bpipe_channel *ch);
u64 bpipe_shed_next_len_locked(struct bpipe_channel *ch);
void bpipe_shed_by_locked(struct bpipe_channel *ch, u64 when);

#endif /* BPIPE_SHED_H */
