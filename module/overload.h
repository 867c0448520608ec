/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_OVERLOAD_H
#define BPIPE_OVERLOAD_H

#include <linux/hrtimer.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "pressure.h"

struct bpipe_channel;

/**
 * struct bpipe_overload - whether a channel is pressured for too long, and how much its
 *	writers suffer; guarded by the channel's lock
 * @after_ns: how long it may be pressured; 0 for any time
 * @now: it has been for longer
 * @off: the channel goes away, and nobody is to be told any more
 * @told: what user space was told last
 * @tell_from: when the next uevent may be sent, in jiffies since boot
 * @pressured_since: when it came to be pressured last
 * @events: times it came to be overloaded
 * @alarm_since: when it did so first; 0 if not since the peaks were reset
 * @longest_ns: the longest that a writer has stalled since then
 * @some: a writer stalls: it sleeps for want of room or credit
 * @all: so many do as there are
 * @timer: looks whether it is overloaded
 * @tell: sends uevents, each at least BPIPE_OVERLOAD_PAUSE after the last
 */
struct bpipe_overload {
	u64 after_ns;
	bool now;
	bool off;
	bool told;
	u64 tell_from;
	u64 pressured_since;
	u64 events;
	u64 alarm_since;
	u64 longest_ns;
	struct bpipe_pressure some;
	struct bpipe_pressure all;
	struct hrtimer timer;
	struct delayed_work tell;
};

void bpipe_overload_init(struct bpipe_channel *ch, u64 now);
void bpipe_overload_stop(struct bpipe_channel *ch);

bool bpipe_overload_look_locked(struct bpipe_channel *ch, u64 now);
void bpipe_overload_account_locked(struct bpipe_channel *ch, u64 now);
void bpipe_overload_stalled_locked(struct bpipe_channel *ch, u64 stalled_ns);
void bpipe_overload_reset_locked(struct bpipe_channel *ch);

#endif /* BPIPE_OVERLOAD_H */
