// SPDX-License-Identifier: GPL-2.0
/*
 * Counters, gathered for those who ask.
 */

#include <linux/ktime.h>
#include <linux/seq_file.h>

#include "channel.h"
#include "wait.h"

/**
 * bpipe_stats_snapshot() - GET_STATS: all counters, as of one moment
 * @ch: the channel
 * @stats: filled in
 *
 * Both ends rest meanwhile, so that the sums hold exactly.
 *
 * Context: may sleep.
 */
void bpipe_stats_snapshot(struct bpipe_channel *ch, struct bpipe_stats *stats)
{
	u64 level, now;

	mutex_lock(&ch->wr.lock);
	mutex_lock(&ch->rd.lock);
	spin_lock_bh(&ch->lock);
	level = bpipe_ring_level(&ch->ring);
	now = ktime_get_ns();
	*stats = (struct bpipe_stats) {
		.time_ns = now,
		.level = level,
		.window = bpipe_flow_window(&ch->flow, level, now),
		.queued_bytes = level,
		.peak_level = ch->peak,
		.written_bytes = ch->wr.traffic.bytes,
		.read_bytes = ch->rd.traffic.bytes,
		.writes = ch->wr.traffic.calls,
		.reads = ch->rd.traffic.calls,
		.again = ch->again,
		.blocked = ch->blocked.times,
		.blocked_ns = bpipe_delay_ns(&ch->blocked, now),
		.starved = ch->starved.times,
		.starved_ns = bpipe_delay_ns(&ch->starved, now),
		.high_events = ch->high_events,
		.low_events = ch->low_events,
		.wakeups_read = ch->rd.wakeups,
		.wakeups_write = ch->wr.wakeups,
		.throttled = ch->throttled.times,
		.throttled_ns = bpipe_delay_ns(&ch->throttled, now),
		.state_since_ns = ch->state_since,
		.write_wait_ns = bpipe_wait_longest_locked(&ch->wr, now),
		.read_wait_ns = bpipe_wait_longest_locked(&ch->rd, now),
		.state = ch->flow.pressured ? BPIPE_STATE_PRESSURED : BPIPE_STATE_NORMAL,
		.readers = ch->rd.open,
		.writers = ch->wr.open,
		.readers_waiting = ch->starved.sleeping,
		.writers_waiting = ch->blocked.sleeping + ch->throttled.sleeping,
	};
	spin_unlock_bh(&ch->lock);
	mutex_unlock(&ch->rd.lock);
	mutex_unlock(&ch->wr.lock);
}

/**
 * bpipe_stats_window() - GET_WINDOW
 * @ch: the channel
 * @window: filled in
 *
 * Context: does not sleep.
 */
void bpipe_stats_window(struct bpipe_channel *ch, struct bpipe_window *window)
{
	u64 level, now, wait_ns;

	spin_lock_bh(&ch->lock);
	level = bpipe_ring_level(&ch->ring);
	now = ktime_get_ns();
	bpipe_flow_writable(&ch->flow, now, &wait_ns);
	*window = (struct bpipe_window) {
		.window = bpipe_flow_window(&ch->flow, level, now),
		.space = ch->flow.size - level,
		.tokens = bpipe_bucket_tokens(&ch->flow.bucket, now),
		.wait_ns = wait_ns,
	};
	spin_unlock_bh(&ch->lock);
}

/**
 * bpipe_stats_reset_peaks() - RESET_PEAKS: start peaks anew from now
 * @ch: the channel
 *
 * Context: may sleep.
 */
void bpipe_stats_reset_peaks(struct bpipe_channel *ch)
{
	mutex_lock(&ch->wr.lock);
	ch->peak = bpipe_ring_level(&ch->ring);
	mutex_unlock(&ch->wr.lock);
}

/**
 * bpipe_stats_show_file() - fdinfo: what one open file did
 * @m: where to print
 * @bf: the open file
 *
 * Context: may sleep.
 */
void bpipe_stats_show_file(struct seq_file *m, struct bpipe_file *bf)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_file copy;
	u64 now;

	mutex_lock(&ch->wr.lock);
	mutex_lock(&ch->rd.lock);
	spin_lock_bh(&ch->lock);
	copy = *bf;
	now = ktime_get_ns();
	spin_unlock_bh(&ch->lock);
	mutex_unlock(&ch->rd.lock);
	mutex_unlock(&ch->wr.lock);

	seq_printf(m, "bpipe-channel:\t%s\n", dev_name(&ch->dev));
	if (copy.mode & FMODE_WRITE) {
		seq_printf(m, "written_bytes:\t%llu\n", copy.written.bytes);
		seq_printf(m, "writes:\t%llu\n", copy.written.calls);
		seq_printf(m, "again:\t%llu\n", copy.again);
		seq_printf(m, "blocked:\t%llu\n", copy.blocked.times);
		seq_printf(m, "blocked_ns:\t%llu\n", bpipe_delay_ns(&copy.blocked, now));
		seq_printf(m, "throttled:\t%llu\n", copy.throttled.times);
		seq_printf(m, "throttled_ns:\t%llu\n", bpipe_delay_ns(&copy.throttled, now));
	}
	if (copy.mode & FMODE_READ) {
		seq_printf(m, "read_bytes:\t%llu\n", copy.read.bytes);
		seq_printf(m, "reads:\t%llu\n", copy.read.calls);
		seq_printf(m, "starved:\t%llu\n", copy.starved.times);
		seq_printf(m, "starved_ns:\t%llu\n", bpipe_delay_ns(&copy.starved, now));
		seq_printf(m, "threshold:\t%llu\n", copy.threshold);
		seq_printf(m, "delay_us:\t%llu\n", div_u64(copy.delay_ns, NSEC_PER_USEC));
	}
}
