/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_OVERLOAD_H
#define BPIPE_OVERLOAD_H

#include <linux/types.h>

struct bpipe_channel;

void bpipe_overload_init(struct bpipe_channel *ch, u64 now);
void bpipe_overload_stop(struct bpipe_channel *ch);

bool bpipe_overload_look_locked(struct bpipe_channel *ch, u64 now);
void bpipe_overload_account_locked(struct bpipe_channel *ch, u64 now);
void bpipe_overload_stalled_locked(struct bpipe_channel *ch, u64 stalled_ns);
void bpipe_overload_reset_locked(struct bpipe_channel *ch);

#endif /* BPIPE_OVERLOAD_H */
