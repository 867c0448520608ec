// SPDX-License-Identifier: GPL-2.0
/*
 * The status page: what it says. Its files are in status.c.
 */

#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "page.h"

/**
 * bpipe_page_write_locked() - let the page say what is the case
 * @ch: the channel, which has one
 *
 * As a seqcount, but for user space, where the kernel's own is not known.
 *
 * Context: called with the channel's lock held.
 */
void bpipe_page_write_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	struct bpipe_status *status = page_address(ch->status);
	struct bpipe_request who = { };
	struct bpipe_status new = {
		.seq = status->seq + 1,
		.state = bpipe_channel_state_locked(ch),
		.size = ch->flow.size,
		.high = ch->flow.high,
		.low = ch->flow.low,
		.level = bpipe_level_now(&ch->level),
		.time_ns = ktime_get_ns(),
	};

	lockdep_assert_held(&ch->lock);
	for (who.class = 0; who.class < BPIPE_CLASSES; who.class++)
		new.window[who.class] = bpipe_channel_window_locked(ch, &who, new.level,
								    new.time_ns);
	WRITE_ONCE(status->seq, new.seq);
	smp_wmb();	/* odd before anything changes; pairs with the reader's second look */
	memcpy(status, &new, sizeof(new));
	smp_wmb();	/* even after all has; pairs with the reader's first look */
	WRITE_ONCE(status->seq, new.seq + 1);
}
