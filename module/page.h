/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_PAGE_H
#define BPIPE_PAGE_H

#include <linux/lockdep.h>

#include "types.h"

void bpipe_page_write_locked(struct bpipe_channel *ch);

/**
 * bpipe_page_update_locked() - update the status page if it exists
 * @ch: the channel
 *
 * Context: called with the channel's lock held; does not sleep.
 */
static inline void bpipe_page_update_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (unlikely(ch->status))
		bpipe_page_write_locked(ch);
}

#endif /* BPIPE_PAGE_H */
