// SPDX-License-Identifier: GPL-2.0
/*
 * The content of the status page. status.c has its file.
 */

#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "page.h"

/**
 * bpipe_page_write_locked() - write the current status to the status page
 * @ch: the channel, whose status page exists
 *
 * The page begins with a sequence count. It works as seqcount_t, which user space cannot use.
 *
 * Context: called with the channel's lock held; does not sleep.
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
	smp_wmb();	/* odd before the content; pairs with a reader's second look at seq */
	memcpy(status, &new, sizeof(new));
	smp_wmb();	/* even after the content; pairs with a reader's first look at seq */
	WRITE_ONCE(status->seq, new.seq + 1);
}
