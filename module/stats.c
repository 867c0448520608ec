// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of the counters, for ioctl, sysfs and fdinfo.
 */

#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "flow.h"
#include "lock.h"
#include "overload.h"
#include "shed.h"
#include "stats.h"
#include "types.h"
#include "wait.h"

/*
 * Fill in the counters of a class, and add them to the sums. @in and @out are the bytes of a
 * stream that its band does not count; 0 in record mode.
 */
static void bpipe_stats_class(const struct bpipe_band *band, u64 in, u64 out,
			      struct bpipe_class_stats *class, struct bpipe_stats *sum)
{
	u64 dropped_bytes = 0, dropped_records = 0;
	int i;

	for (i = 0; i < BPIPE_DROP_REASONS; i++) {
		class->dropped_bytes[i] = band->dropped[i].bytes;
		class->dropped_records[i] = band->dropped[i].records;
		dropped_bytes += band->dropped[i].bytes;
		dropped_records += band->dropped[i].records;
	}
	class->written_bytes = band->written.bytes + in;
	class->written_records = band->written.records;
	class->read_bytes = band->read.bytes + out;
	class->read_records = band->read.records;
	class->queued_bytes = class->written_bytes - class->read_bytes - dropped_bytes;
	class->queued_records = class->written_records - class->read_records - dropped_records;

	sum->written_bytes += class->written_bytes;
	sum->written_records += class->written_records;
	sum->read_bytes += class->read_bytes;
	sum->read_records += class->read_records;
	sum->queued_bytes += class->queued_bytes;
	sum->queued_records += class->queued_records;
	sum->dropped_bytes += dropped_bytes;
	sum->dropped_records += dropped_records;
}

/* Convert averages, in parts of BPIPE_PRESSURE_ONE, to 1/100 %. */
static void bpipe_stats_shares(u32 *shares, const struct bpipe_pressure *p)
{
	int i;

	for (i = 0; i < BPIPE_PRESSURE_SPANS; i++)
		shares[i] = p->avg[i] * 10000ULL / BPIPE_PRESSURE_ONE;
}

static void bpipe_stats_overload_locked(struct bpipe_channel *ch, u64 now,
					struct bpipe_stats *stats)
	__must_hold(&ch->lock)
{
	struct bpipe_overload *ov = &ch->overload;

	lockdep_assert_held(&ch->lock);
	bpipe_overload_account_locked(ch, now);
	stats->overload_events = ov->events;
	stats->alarm_since_ns = ov->alarm_since;
	stats->longest_stall_ns = max(ov->longest_ns,
				      bpipe_wait_longest_locked(ch, &ch->wr, BPIPE_BLOCKED, now));
	stats->stalled_ns = ov->some.stalled_ns;
	stats->stalled_all_ns = ov->full.stalled_ns;
	bpipe_stats_shares(stats->stalled, &ov->some);
	bpipe_stats_shares(stats->stalled_all, &ov->full);
}

/**
 * bpipe_stats_snapshot() - take a consistent snapshot of all counters (GET_STATS)
 * @ch: the channel
 * @stats: filled in
 *
 * Take no lock under which data is copied, so that reads and writes are not delayed. The sums
 * are exact nevertheless. Records move, and drops happen, under the channel's lock. The bytes of
 * a stream are computed from both ends of the level, read as of one moment.
 *
 * Context: does not sleep.
 * Return: 0, or -ENODEV if the channel is gone. The data lost with a channel is in no counter, so
 * the sums are no longer exact.
 */
int bpipe_stats_snapshot(struct bpipe_channel *ch, struct bpipe_stats *stats)
{
	const struct bpipe_delay *delay = ch->counts.delay;
	const struct bpipe_request who = { };
	u64 in, out, level, now;
	u32 class;

	memset(stats, 0, sizeof(*stats));
	bpipe_channel_lock(ch);
	if (ch->life == BPIPE_LIFE_GONE) {
		bpipe_channel_unlock(ch);
		return -ENODEV;
	}
	bpipe_level_totals(&ch->level, &in, &out);
	level = in - out;
	now = ktime_get_ns();
	stats->time_ns = now;
	stats->level = level;
	stats->window = bpipe_channel_window_locked(ch, &who, level, now);
	stats->peak_level = max_t(u64, READ_ONCE(ch->peak), level);
	stats->writes = u64_stats_read(&ch->wr.calls);
	stats->reads = u64_stats_read(&ch->rd.calls);
	stats->again = ch->counts.again;
	stats->blocked = delay[BPIPE_BLOCKED].times;
	stats->blocked_ns = bpipe_delay_ns(&delay[BPIPE_BLOCKED], now);
	stats->starved = delay[BPIPE_STARVED].times;
	stats->starved_ns = bpipe_delay_ns(&delay[BPIPE_STARVED], now);
	stats->high_events = ch->high_events;
	stats->low_events = ch->low_events;
	stats->wakeups_read = ch->rd.wakeups;
	stats->wakeups_write = ch->wr.wakeups;
	stats->throttled = delay[BPIPE_THROTTLED].times;
	stats->throttled_ns = bpipe_delay_ns(&delay[BPIPE_THROTTLED], now);
	stats->state_since_ns = ch->state_since;
	stats->write_wait_ns = bpipe_wait_longest_locked(ch, &ch->wr, BPIPE_ACCOUNTS, now);
	stats->read_wait_ns = bpipe_wait_longest_locked(ch, &ch->rd, BPIPE_ACCOUNTS, now);
	stats->state = bpipe_channel_state_locked(ch);
	stats->readers = ch->rd.open;
	stats->writers = ch->wr.open;
	stats->readers_waiting = delay[BPIPE_STARVED].sleeping +
				 delay[BPIPE_READ_THROTTLED].sleeping;
	stats->writers_waiting = delay[BPIPE_BLOCKED].sleeping + delay[BPIPE_THROTTLED].sleeping;
	stats->timeouts = ch->counts.timeouts;
	stats->read_throttled = delay[BPIPE_READ_THROTTLED].times;
	stats->read_throttled_ns = bpipe_delay_ns(&delay[BPIPE_READ_THROTTLED], now);
	stats->credit = ch->flow.credit;
	bpipe_stats_overload_locked(ch, now, stats);
	memcpy(stats->sojourn, ch->sojourn, sizeof(stats->sojourn));
	for (class = 0; class < BPIPE_CLASSES; class++) {
		bool stream = class == 0 && !bpipe_is_record(ch);

		if (ch->band[class])
			bpipe_stats_class(ch->band[class], stream ? in - ch->stream_from : 0,
					  stream ? out - ch->stream_from : 0,
					  &stats->classes[class], stats);
	}
	bpipe_channel_unlock(ch);
	return 0;
}

/**
 * bpipe_stats_window() - report how much a file may write now (GET_WINDOW)
 * @bf: the open file; its class and its own rate limit apply
 * @window: filled in
 *
 * Context: does not sleep.
 */
void bpipe_stats_window(struct bpipe_file *bf, struct bpipe_window *window)
{
	struct bpipe_channel *ch = bf->ch;
	const struct bpipe_flow *flow = &ch->flow;
	struct bpipe_request who = { .own = &bf->writer.rate };
	struct bpipe_ready ready;
	u64 level, limit, now;

	bpipe_channel_lock(ch);
	who.class = bf->writer.class;
	level = bpipe_level_now(&ch->level);
	limit = flow->mark[bf->writer.class].limit;
	now = ktime_get_ns();
	bpipe_flow_writable(flow, &who, level, now, &ready);
	if (ch->life != BPIPE_LIFE_USABLE)
		ready.wait_ns = U64_MAX;
	*window = (struct bpipe_window) {
		.window = bpipe_channel_window_locked(ch, &who, level, now),
		.space = level < limit ? limit - level : 0,
		.tokens = bpipe_bucket_tokens(&flow->write.bytes, now),
		.wait_ns = ready.wait_ns,
		.credit = flow->credit_unit ? flow->credit : U64_MAX,
	};
	bpipe_channel_unlock(ch);
}

/**
 * bpipe_stats_readable() - get the number of bytes that a read finds now (FIONREAD)
 * @ch: the channel
 *
 * Context: does not sleep.
 * Return: bytes of the stream; in record mode, length of the next record, or 0 without a record.
 */
u64 bpipe_stats_readable(struct bpipe_channel *ch)
{
	u64 n;

	bpipe_channel_lock(ch);
	n = bpipe_is_record(ch) ? bpipe_shed_next_len_locked(ch) : bpipe_level_now(&ch->level);
	bpipe_channel_unlock(ch);
	return n;
}

/**
 * bpipe_stats_reset_peaks() - reset the peaks of the level and of stalls (RESET_PEAKS)
 * @ch: the channel
 *
 * Context: may sleep.
 * Return: 0, or -EINTR if the caller was killed.
 */
int bpipe_stats_reset_peaks(struct bpipe_channel *ch)
{
	int ret = mutex_lock_killable(&ch->wr.lock);

	if (ret)
		return ret;
	WRITE_ONCE(ch->peak, bpipe_level_now(&ch->level));
	bpipe_channel_lock(ch);
	bpipe_overload_reset_locked(ch);
	bpipe_channel_unlock(ch);
	mutex_unlock(&ch->wr.lock);
	return 0;
}

/* Print how often and how long the calls of an open file slept for one reason. */
static void bpipe_show_delay(struct seq_file *m, const char *name,
			     const struct bpipe_delay *delay, u64 now)
{
	seq_printf(m, "%s:\t%llu\n", name, delay->times);
	seq_printf(m, "%s_ns:\t%llu\n", name, bpipe_delay_ns(delay, now));
}

static void bpipe_show_writer(struct seq_file *m, struct bpipe_file *bf)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_delay blocked, throttled;
	struct bpipe_count written, dropped;
	u64 writes, again, timeouts, rate, now;
	u32 class;

	bpipe_channel_lock(ch);
	written = bpipe_tally_count(&bf->written);
	writes = u64_stats_read(&bf->written.calls);
	dropped = bf->dropped;
	again = bf->counts.again;
	timeouts = bf->counts.timeouts;
	blocked = bf->counts.delay[BPIPE_BLOCKED];
	throttled = bf->counts.delay[BPIPE_THROTTLED];
	class = bf->writer.class;
	rate = bf->writer.rate.rate;
	now = ktime_get_ns();
	bpipe_channel_unlock(ch);

	seq_printf(m, "written_bytes:\t%llu\n", written.bytes);
	seq_printf(m, "writes:\t%llu\n", writes);
	seq_printf(m, "again:\t%llu\n", again);
	bpipe_show_delay(m, "blocked", &blocked, now);
	bpipe_show_delay(m, "throttled", &throttled, now);
	seq_printf(m, "timeouts:\t%llu\n", timeouts);
	seq_printf(m, "written_records:\t%llu\n", written.records);
	seq_printf(m, "dropped_bytes:\t%llu\n", dropped.bytes);
	seq_printf(m, "dropped_records:\t%llu\n", dropped.records);
	seq_printf(m, "class:\t%u\n", class);
	seq_printf(m, "rate:\t%llu\n", rate);
}

static void bpipe_show_reader(struct seq_file *m, struct bpipe_file *bf)
{
	struct bpipe_channel *ch = bf->ch;
	struct bpipe_delay starved, throttled;
	u64 reads, threshold, delay_ns, now;
	struct bpipe_count read;

	bpipe_channel_lock(ch);
	read = bpipe_tally_count(&bf->read);
	reads = u64_stats_read(&bf->read.calls);
	starved = bf->counts.delay[BPIPE_STARVED];
	throttled = bf->counts.delay[BPIPE_READ_THROTTLED];
	threshold = bf->reader.threshold;
	delay_ns = bf->reader.delay_ns;
	now = ktime_get_ns();
	bpipe_channel_unlock(ch);

	seq_printf(m, "read_bytes:\t%llu\n", read.bytes);
	seq_printf(m, "reads:\t%llu\n", reads);
	bpipe_show_delay(m, "starved", &starved, now);
	bpipe_show_delay(m, "read_throttled", &throttled, now);
	seq_printf(m, "read_records:\t%llu\n", read.records);
	seq_printf(m, "threshold:\t%llu\n", threshold);
	seq_printf(m, "delay_us:\t%llu\n", div_u64(delay_ns, NSEC_PER_USEC));
}

/**
 * bpipe_stats_show_file() - print the counters of one open file (fdinfo)
 * @m: file to print to
 * @bf: the open file
 *
 * Context: may sleep.
 */
void bpipe_stats_show_file(struct seq_file *m, struct bpipe_file *bf)
{
	struct bpipe_channel *ch = bf->ch;

	/* Another channel may have the name of a removed channel by now. */
	seq_printf(m, "bpipe-channel:\t%s%s\n", dev_name(&ch->dev),
		   READ_ONCE(ch->life) == BPIPE_LIFE_GONE ? "(removed)" : "");
	seq_printf(m, "bpipe-file:\t%llu\n", bf->id);
	if (bpipe_is_writer(bf))
		bpipe_show_writer(m, bf);
	if (bpipe_is_reader(bf))
		bpipe_show_reader(m, bf);
}
