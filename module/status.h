/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_STATUS_H
#define BPIPE_STATUS_H

#include "channel.h"

int bpipe_status_open(struct bpipe_channel *ch);
void bpipe_status_write_locked(struct bpipe_channel *ch);

/**
 * bpipe_status_update_locked() - let the page say what is the case, if there is one
 * @ch: the channel
 *
 * Context: called with the channel's lock held.
 */
static inline void bpipe_status_update_locked(struct bpipe_channel *ch)
{
	if (unlikely(ch->status))
		bpipe_status_write_locked(ch);
}

#endif /* BPIPE_STATUS_H */
