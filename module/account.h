/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_ACCOUNT_H
#define BPIPE_ACCOUNT_H

#include <linux/types.h>
#include <linux/u64_stats_sync.h>

/**
 * struct bpipe_count - an amount of data
 * @bytes: bytes, without the overhead of records
 * @records: records; 0 in a stream
 *
 * Protected by the lock of the structure around it.
 */
struct bpipe_count {
	u64 bytes;
	u64 records;
};

static inline void bpipe_count_add(struct bpipe_count *count, u64 bytes, u64 records)
{
	count->bytes += bytes;
	count->records += records;
}

/**
 * struct bpipe_tally - an amount of data, and the calls that moved it
 * @bytes: bytes, without the overhead of records
 * @records: records; 0 in a stream
 * @calls: calls that moved at least one byte
 *
 * A tally changes under a side's lock, and channel.lock alone is enough to read it. A 64-bit
 * machine stores each field at once. Other machines hold both locks for a change, see
 * bpipe_tally_lock().
 */
struct bpipe_tally {
	u64_stats_t bytes;
	u64_stats_t records;
	u64_stats_t calls;
};

static inline void bpipe_tally_add(struct bpipe_tally *tally, u64 bytes, u64 records, u64 calls)
{
	u64_stats_add(&tally->bytes, bytes);
	u64_stats_add(&tally->records, records);
	u64_stats_add(&tally->calls, calls);
}

static inline struct bpipe_count bpipe_tally_count(const struct bpipe_tally *tally)
{
	return (struct bpipe_count) {
		.bytes = u64_stats_read(&tally->bytes),
		.records = u64_stats_read(&tally->records),
	};
}

/**
 * struct bpipe_delay - number and duration of sleeps
 * @times: sleeps begun
 * @ended_ns: duration of the sleeps that ended, nanoseconds
 * @since_sum: sum of the times at which the other sleeps began, nanoseconds, modulo 2^64
 * @sleeping: number of the other sleeps
 *
 * The sum gives the total duration at any time without a walk over the sleepers.
 *
 * Protected by channel.lock.
 */
struct bpipe_delay {
	u64 times;
	u64 ended_ns;
	u64 since_sum;
	unsigned int sleeping;
};

static inline void bpipe_delay_begin(struct bpipe_delay *delay, u64 now)
{
	delay->times++;
	delay->since_sum += now;
	delay->sleeping++;
}

static inline void bpipe_delay_end(struct bpipe_delay *delay, u64 since, u64 now)
{
	delay->ended_ns += now - since;
	delay->since_sum -= since;
	delay->sleeping--;
}

/* Return the duration of all sleeps until @now, nanoseconds. */
static inline u64 bpipe_delay_ns(const struct bpipe_delay *delay, u64 now)
{
	return delay->ended_ns + delay->sleeping * now - delay->since_sum;
}

/**
 * enum bpipe_account - what a call sleeps for
 * @BPIPE_BLOCKED: a write, for room or credit
 * @BPIPE_THROTTLED: a write, for tokens
 * @BPIPE_STARVED: a read, for data
 * @BPIPE_READ_THROTTLED: a read, for tokens
 * @BPIPE_ACCOUNTS: number of accounts; as an argument, all of them
 */
enum bpipe_account {
	BPIPE_BLOCKED,
	BPIPE_THROTTLED,
	BPIPE_STARVED,
	BPIPE_READ_THROTTLED,
	BPIPE_ACCOUNTS,
};

/**
 * struct bpipe_counts - counts that a channel and each of its open files keep
 * @again: writes refused with EAGAIN
 * @timeouts: writes that ended with ETIMEDOUT
 * @delay: sleeps by enum bpipe_account; those for tokens include refusals, as sleeps of no
 *	duration
 *
 * Protected by channel.lock. The functions bpipe_account_*_locked() change the counts of the
 * channel and of the file together.
 */
struct bpipe_counts {
	u64 again;
	u64 timeouts;
	struct bpipe_delay delay[BPIPE_ACCOUNTS];
};

#endif /* BPIPE_ACCOUNT_H */
