/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * bpipe: a pipe with a fixed size, watermarks, classes and rate limits.
 *
 * This header is the contract between the module and user space. It only grows: a
 * structure gets new fields at its end, a mask gets new bits, and what exists keeps its
 * meaning.
 *
 * Sizes of structures
 *	The command number carries the size of the structure, as with openat2(2) and
 *	clone3(2). A caller newer than the module may pass a longer structure if all
 *	bytes beyond what the module knows are zero. A caller older than the module may
 *	pass a shorter one, of at least *_SIZE_VER0 bytes; it sets none of the newer
 *	fields. What the module returns is cut, or padded with zeros, to the caller's size.
 *
 * Units
 *	Sizes, levels and windows are in bytes. A level includes BPIPE_RECORD_OVERHEAD for
 *	each record; all counts of bytes leave it out. Durations are in nanoseconds
 *	unless a field says otherwise; times are nanoseconds of CLOCK_MONOTONIC.
 *
 * Errors of all commands
 *	%ENOTTY  the module does not know the command
 *	%E2BIG   a byte beyond the part of the structure that the module knows is not zero
 *	%EINVAL  the structure is shorter than *_SIZE_VER0, a field is out of range, or
 *	         padding is not zero
 *	%EOPNOTSUPP  the module does not support a bit of a mask or a value
 *	%EPERM   the caller lacks the right to change this
 *	%EFAULT  the structure is not in readable or writable memory of the caller
 *	%ENODEV  the channel was removed while it was open
 *
 * A command that fails has changed nothing.
 */
#ifndef _UAPI_LINUX_BPIPE_H
#define _UAPI_LINUX_BPIPE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * Length of a channel's name in bytes, with the terminating zero. The name is that of the
 * device node: "bpipe", or BPIPE_NAME_PREFIX and the name given to BPIPE_ADD.
 */
#define BPIPE_NAME_MAX		32
#define BPIPE_NAME_PREFIX	"bpipe-"
/* Most channels at a time. */
#define BPIPE_CHANNELS_MAX	65536

/* Range of a channel's size and of a class's limit, in bytes. */
#define BPIPE_SIZE_MIN		4096ULL
#define BPIPE_SIZE_MAX		(1ULL << 30)
/*
 * Largest rate, in bytes or records a second (1 TB/s), and largest burst, in bytes or
 * records (4 GiB).
 */
#define BPIPE_RATE_MAX		1000000000000ULL
#define BPIPE_BURST_MAX		(1ULL << 32)
/* Longest delay of a reader's wake-up, in microseconds (an hour). */
#define BPIPE_DELAY_MAX		3600000000ULL
/* Longest timeout, ttl, sojourn and overload_after, in nanoseconds (a day). */
#define BPIPE_TIMEOUT_MAX	86400000000000ULL
/* overload_after of a new channel, in nanoseconds (10 s). */
#define BPIPE_OVERLOAD_AFTER	10000000000ULL
/* Value of uid, gid and permissions that leaves them to devtmpfs and udev. */
#define BPIPE_UNSET		0xffffffffU
/* Most unused credit, in bytes or records. */
#define BPIPE_CREDIT_MAX	(1ULL << 62)

/* Number of classes. Class 0 is the most important, class 7 the least. */
#define BPIPE_CLASSES		8
/* Bytes that each record takes from the channel's size in addition to its length. */
#define BPIPE_RECORD_OVERHEAD	32
/* Buckets of the histogram of waiting times, see struct bpipe_stats. */
#define BPIPE_SOJOURN_BUCKETS	32

/**
 * enum bpipe_mode - unit of a write
 * @BPIPE_MODE_STREAM: a write adds bytes, as to a pipe
 * @BPIPE_MODE_RECORD: each write is one record, never split or merged
 */
enum bpipe_mode {
	BPIPE_MODE_STREAM	= 0,
	BPIPE_MODE_RECORD	= 1,
};

/**
 * enum bpipe_order - which record is read next
 * @BPIPE_ORDER_FIFO: the oldest record of all classes
 * @BPIPE_ORDER_PRIORITY: the oldest record of the most important class that has one
 */
enum bpipe_order {
	BPIPE_ORDER_FIFO	= 0,
	BPIPE_ORDER_PRIORITY	= 1,
};

/**
 * enum bpipe_policy - what happens to a write that is not admitted
 * @BPIPE_POLICY_BLOCK: the writer sleeps, at most for the timeout (%ETIMEDOUT); with
 *	O_NONBLOCK, the write fails with %EAGAIN
 * @BPIPE_POLICY_ERROR: the write fails with %EAGAIN, with or without O_NONBLOCK
 * @BPIPE_POLICY_DROP_NEWEST: the write succeeds and is dropped; of a stream, the part
 *	that is not admitted is dropped
 * @BPIPE_POLICY_DROP_OLDEST: the channel evicts the oldest records of the least important
 *	class that has any, but never of a more important class than the writer's. If
 *	eviction cannot admit the write, the write itself is dropped and nothing is evicted.
 *	Records only, see struct bpipe_config.
 * @BPIPE_POLICY_CHANNEL: the channel's policy and timeout apply. Only for SET_WRITER.
 */
enum bpipe_policy {
	BPIPE_POLICY_BLOCK		= 0,
	BPIPE_POLICY_ERROR		= 1,
	BPIPE_POLICY_DROP_NEWEST	= 2,
	BPIPE_POLICY_DROP_OLDEST	= 3,
	BPIPE_POLICY_CHANNEL		= 4,
};

/**
 * enum bpipe_credit - unit of the credit that writes consume
 * @BPIPE_CREDIT_OFF: writes need no credit
 * @BPIPE_CREDIT_BYTES: each byte written consumes one
 * @BPIPE_CREDIT_RECORDS: each record written consumes one. Records only, see struct
 *	bpipe_config.
 */
enum bpipe_credit {
	BPIPE_CREDIT_OFF	= 0,
	BPIPE_CREDIT_BYTES	= 1,
	BPIPE_CREDIT_RECORDS	= 2,
};

/**
 * enum bpipe_drop - why a record, or bytes of a stream, were dropped
 * @BPIPE_DROP_FULL: not admitted, with drop-newest or drop-oldest: the write lacked room in
 *	the channel, credit or tokens, or would have had to queue
 * @BPIPE_DROP_SHED: not admitted, with drop-newest or drop-oldest: the channel had room, but
 *	the limit of the class, or its gate with drop_to_low, did not admit the write
 * @BPIPE_DROP_EVICTED: drop-oldest evicted the record to admit another
 * @BPIPE_DROP_EXPIRED: the record reached the ttl of its class
 * @BPIPE_DROP_SOJOURN: records of the class waited longer than its sojourn target
 * @BPIPE_DROP_REASONS: length of arrays by reason, with room for further reasons
 */
enum bpipe_drop {
	BPIPE_DROP_FULL		= 0,
	BPIPE_DROP_SHED		= 1,
	BPIPE_DROP_EVICTED	= 2,
	BPIPE_DROP_EXPIRED	= 3,
	BPIPE_DROP_SOJOURN	= 4,
	BPIPE_DROP_REASONS	= 8,
};

/**
 * enum bpipe_state - state of a channel
 * @BPIPE_STATE_NORMAL: the level has not reached high since it was last at low or below,
 *	or has never reached high
 * @BPIPE_STATE_PRESSURED: the level has reached high and has not been at low or below since
 * @BPIPE_STATE_OVERLOADED: pressured for overload_after without a break
 * @BPIPE_STATE_GONE: the channel was removed; only its status page shows this
 */
enum bpipe_state {
	BPIPE_STATE_NORMAL	= 0,
	BPIPE_STATE_PRESSURED	= 1,
	BPIPE_STATE_OVERLOADED	= 2,
	BPIPE_STATE_GONE	= 3,
};

/* Bits of struct bpipe_features.features. Test these, not the version of the module. */
#define BPIPE_FEATURE_STREAM	(1ULL << 0)	/* stream mode */
#define BPIPE_FEATURE_RATE	(1ULL << 1)	/* rate and burst of writers */
#define BPIPE_FEATURE_READER	(1ULL << 2)	/* SET_READER: threshold, delay */
#define BPIPE_FEATURE_EVENTS	(1ULL << 3)	/* GET_EVENTS and EPOLLPRI */
#define BPIPE_FEATURE_RECORD	(1ULL << 4)	/* record mode, framed reads */
#define BPIPE_FEATURE_CLASSES	(1ULL << 5)	/* classes, limits, SET_WRITER */
#define BPIPE_FEATURE_POLICY	(1ULL << 6)	/* policies, timeout */
#define BPIPE_FEATURE_RATES	(1ULL << 7)	/* rates of records, readers, files */
#define BPIPE_FEATURE_CREDIT	(1ULL << 8)	/* credit, GRANT */
#define BPIPE_FEATURE_TIME	(1ULL << 9)	/* ttl, sojourn */
#define BPIPE_FEATURE_OVERLOAD	(1ULL << 10)	/* overload_after, stalled times */
#define BPIPE_FEATURE_CONTROL	(1ULL << 11)	/* ADD, REMOVE */
#define BPIPE_FEATURE_STATUS	(1ULL << 12)	/* OPEN_STATUS */
#define BPIPE_FEATURE_NODE	(1ULL << 13)	/* uid, gid, permissions */
#define BPIPE_FEATURE_ID	(1ULL << 14)	/* id of a channel */
#define BPIPE_FEATURE_REMOVE	(1ULL << 15)	/* flags of REMOVE */

/**
 * struct bpipe_features - capabilities of the module
 * @features: BPIPE_FEATURE_* bits
 * @config_mask: BPIPE_CFG_* bits that SET_CONFIG accepts
 * @reader_mask: BPIPE_READER_* bits that SET_READER accepts
 * @writer_mask: BPIPE_WRITER_* bits that SET_WRITER accepts
 */
struct bpipe_features {
	__u64 features;
	__u64 config_mask;
	__u64 reader_mask;
	__u64 writer_mask;
};

#define BPIPE_FEATURES_SIZE_VER0	24

/* Bits of struct bpipe_config.mask, one for each field, and for arrays one for each class */
#define BPIPE_CFG_SIZE		(1ULL << 0)
#define BPIPE_CFG_HIGH		(1ULL << 1)
#define BPIPE_CFG_LOW		(1ULL << 2)
#define BPIPE_CFG_RATE		(1ULL << 3)
#define BPIPE_CFG_BURST		(1ULL << 4)
#define BPIPE_CFG_MODE		(1ULL << 5)
#define BPIPE_CFG_HOLD		(1ULL << 6)
#define BPIPE_CFG_EPIPE		(1ULL << 7)
#define BPIPE_CFG_ORDER		(1ULL << 8)
#define BPIPE_CFG_POLICY	(1ULL << 9)
#define BPIPE_CFG_TIMEOUT	(1ULL << 10)
#define BPIPE_CFG_CREDIT	(1ULL << 11)
#define BPIPE_CFG_RATE_RECORDS	(1ULL << 12)
#define BPIPE_CFG_BURST_RECORDS	(1ULL << 13)
#define BPIPE_CFG_READ_RATE	(1ULL << 14)
#define BPIPE_CFG_READ_BURST	(1ULL << 15)
#define BPIPE_CFG_READ_RATE_RECORDS	(1ULL << 16)
#define BPIPE_CFG_READ_BURST_RECORDS	(1ULL << 17)
#define BPIPE_CFG_OVERLOAD_AFTER	(1ULL << 18)
#define BPIPE_CFG_UID		(1ULL << 19)
#define BPIPE_CFG_GID		(1ULL << 20)
#define BPIPE_CFG_PERMISSIONS	(1ULL << 21)
#define BPIPE_CFG_DROP_TO_LOW	(1ULL << 22)
#define BPIPE_CFG_LIMIT(class)	(1ULL << (24 + (class)))
#define BPIPE_CFG_TTL(class)	(1ULL << (32 + (class)))
#define BPIPE_CFG_SOJOURN(class)	(1ULL << (40 + (class)))

/**
 * struct bpipe_config - configuration of a channel
 * @mask: SET_CONFIG: BPIPE_CFG_* bits of the fields to set; the other fields are ignored.
 *	GET_CONFIG: BPIPE_CFG_* bits that the module knows.
 * @size: capacity in bytes, BPIPE_SIZE_MIN..BPIPE_SIZE_MAX. A change keeps what is queued;
 *	%EBUSY if the level is above the new size.
 * @high: high watermark in bytes, @low < @high <= @size; 3/4 of the size in a new channel
 * @low: low watermark in bytes, 0..@high - 1; 1/4 of the size in a new channel. A change of
 *	@size scales the marks and limits that are not set with it. Each keeps the share
 *	of the size that it had when it was set, so rounding does not accumulate.
 * @rate: rate limit of all writers, bytes a second, 0..BPIPE_RATE_MAX; 0 is no limit. The
 *	overhead of records does not count.
 * @burst: size of the token bucket of @rate in bytes, 0..BPIPE_BURST_MAX. 0 makes it follow
 *	the rate: 100 ms worth of tokens, at least 8 KiB. GET_CONFIG returns the burst in force. A
 *	longer record waits for a full bucket and leaves a debt.
 * @mode: enum bpipe_mode. %EBUSY while something is queued or a writer waits, and for a
 *	stream while an open file has a setting for records.
 * @hold: 1: a reader waits for the next writer; 0: a reader gets end-of-file once the last
 *	writer has closed and the channel is empty
 * @epipe: 1: without readers, a write fails with %EPIPE and SIGPIPE if the file has seen a
 *	reader since it was opened; 0: writers fill the channel, then @policy applies
 * @pad: zero
 * @name: name of the channel and of its node; read-only, SET_CONFIG ignores it
 * @order: enum bpipe_order. Records only.
 * @policy: enum bpipe_policy for writers that have not chosen one; at most
 *	BPIPE_POLICY_DROP_OLDEST. A write uses the policy and timeout that were in force
 *	when it began.
 * @credit: enum bpipe_credit. A change of the unit, and the close of the last reader, void
 *	unused credit.
 * @pad2: zero
 * @timeout: longest time that a write sleeps with BPIPE_POLICY_BLOCK, in nanoseconds,
 *	0..BPIPE_TIMEOUT_MAX; 0 is no limit
 * @limit: by class: level up to which a write of the class is admitted, in bytes,
 *	BPIPE_SIZE_MIN..@size, or 0 for the size. GET_CONFIG returns the limit in force, at
 *	least BPIPE_SIZE_MIN whatever the size. The marks of the class's gate are @high
 *	and @low in proportion.
 * @rate_records: rate limit of all writers, records a second, 0..BPIPE_RATE_MAX; 0 is no
 *	limit. Records only.
 * @burst_records: size of the token bucket of @rate_records in records, 0..BPIPE_BURST_MAX.
 *	0 makes it follow the rate: 100 ms worth of tokens, at least 1.
 * @read_rate: rate limit of all readers, bytes a second, as @rate
 * @read_burst: size of the token bucket of @read_rate in bytes, as @burst
 * @read_rate_records: rate limit of all readers, records a second, as @rate_records. Records
 *	only.
 * @read_burst_records: size of the token bucket of @read_rate_records in records, as
 *	@burst_records
 * @ttl: by class: time to live of a record in nanoseconds, 0..BPIPE_TIMEOUT_MAX; 0 is no
 *	limit. No read returns an expired record and no write is refused because of one.
 *	Expired records are dropped within some milliseconds even if no call comes. Records
 *	only.
 * @sojourn: by class: target for the waiting time of records in nanoseconds,
 *	0..BPIPE_TIMEOUT_MAX; 0 is none. If for ten times the target all records of the
 *	class that reach the head have waited longer, CoDel (RFC 8289) drops some there. It
 *	drops at an increasing rate until the target is met, but never the last record of a
 *	class. Records only.
 * @overload_after: time under pressure after which the channel is overloaded, in
 *	nanoseconds, 0..BPIPE_TIMEOUT_MAX; 0 is never. BPIPE_OVERLOAD_AFTER in a new channel.
 * @uid: owner of the device node, a user id of the initial user namespace. BPIPE_UNSET, as
 *	in a new channel: root, or as the udev rules say.
 * @gid: group of the device node, as @uid
 * @permissions: mode bits of the device node, 0..0777. BPIPE_UNSET, as in a new channel:
 *	0660, or as the udev rules say.
 * @pad3: zero
 * @drop_to_low: 1: while the gate of a class is closed and the level is above the class's
 *	low mark, BPIPE_POLICY_DROP_NEWEST drops each write of the class; 0: it drops only
 *	writes that lack room
 * @pad4: zero
 * @id: identity of the channel; read-only, SET_CONFIG ignores it. @id[0] is chosen at random
 *	when the module is loaded; @id[1] counts channels since, starting at 1. Names and
 *	device numbers are reused, an @id is not.
 *
 * devtmpfs creates the node with @uid, @gid and @permissions, so no process can open it
 * earlier. Each uevent of the channel carries the ones that are set, as BPIPE_UID, BPIPE_GID
 * and BPIPE_MODE. A change sends a uevent and leaves the node itself to udev. Setting
 * them takes CAP_SYS_ADMIN; ownership of the node does not suffice.
 *
 * "Records only": %EOPNOTSUPP for any value but 0 if @mode is, or would become, a stream.
 */
struct bpipe_config {
	__u64 mask;
	__u64 size;
	__u64 high;
	__u64 low;
	__u64 rate;
	__u64 burst;
	__u32 mode;
	__u32 hold;
	__u32 epipe;
	__u32 pad;
	char name[BPIPE_NAME_MAX];
	__u32 order;
	__u32 policy;
	__u32 credit;
	__u32 pad2;
	__u64 timeout;
	__u64 limit[BPIPE_CLASSES];
	__u64 rate_records;
	__u64 burst_records;
	__u64 read_rate;
	__u64 read_burst;
	__u64 read_rate_records;
	__u64 read_burst_records;
	__u64 ttl[BPIPE_CLASSES];
	__u64 sojourn[BPIPE_CLASSES];
	__u64 overload_after;
	__u32 uid;
	__u32 gid;
	__u32 permissions;
	__u32 pad3;
	__u32 drop_to_low;
	__u32 pad4;
	__u64 id[2];
};

#define BPIPE_CONFIG_SIZE_VER0	96

/**
 * struct bpipe_class_stats - counts of one class
 * @written_bytes: bytes taken from writers of the class, including dropped ones
 * @written_records: records taken from writers of the class, including dropped ones
 * @read_bytes: bytes given to readers
 * @read_records: records given to readers
 * @queued_bytes: bytes waiting to be read
 * @queued_records: records waiting to be read
 * @dropped_bytes: bytes dropped, by enum bpipe_drop
 * @dropped_records: records dropped, by enum bpipe_drop
 *
 * In every snapshot, written = read + queued + dropped, in bytes and in records. Counts of
 * records are 0 for a stream. Bytes stored in a stream count in class 0, whatever the class
 * of their writer.
 */
struct bpipe_class_stats {
	__u64 written_bytes;
	__u64 written_records;
	__u64 read_bytes;
	__u64 read_records;
	__u64 queued_bytes;
	__u64 queued_records;
	__u64 dropped_bytes[BPIPE_DROP_REASONS];
	__u64 dropped_records[BPIPE_DROP_REASONS];
};

/**
 * struct bpipe_stats - consistent snapshot of a channel
 * @time_ns: time of the snapshot, CLOCK_MONOTONIC
 * @level: bytes held, including the overhead of records
 * @window: bytes that a new write of class 0 may send now, as in struct bpipe_window,
 *	without a rate limit of its file
 * @queued_bytes: bytes waiting to be read
 * @peak_level: highest level since the channel was created or since RESET_PEAKS, in bytes
 * @written_bytes: bytes taken from writers, including dropped ones. In every snapshot,
 *	written_bytes = read_bytes + queued_bytes + dropped_bytes; the same holds for
 *	records.
 * @read_bytes: bytes given to readers
 * @writes: write calls that took at least one byte
 * @reads: read calls that returned at least one byte
 * @again: writes that failed with %EAGAIN, except those of io_uring or with RWF_NOWAIT
 * @blocked: times a writer slept because it lacked room or credit, or had to queue
 * @blocked_ns: total time of these sleeps in nanoseconds, including writers asleep now;
 *	summed over writers, so it can grow faster than time
 * @starved: times a reader slept because there was no data
 * @starved_ns: total time of these sleeps in nanoseconds, including readers asleep now;
 *	summed over readers
 * @high_events: times the level rose to the high mark
 * @low_events: times the level fell back to the low mark
 * @wakeups_read: wake-ups of sleeping readers
 * @wakeups_write: wake-ups of sleeping writers
 * @throttled: times a writer slept, or a write failed with %EAGAIN, because it lacked tokens
 * @throttled_ns: total time of these sleeps in nanoseconds, summed as @blocked_ns
 * @state_since_ns: time of the last change of @state, CLOCK_MONOTONIC
 * @write_wait_ns: age of the oldest waiting writer in nanoseconds; 0 without one
 * @read_wait_ns: age of the oldest waiting reader in nanoseconds; 0 without one
 * @state: enum bpipe_state
 * @readers: open files that can read
 * @writers: open files that can write
 * @readers_waiting: sleeping readers
 * @writers_waiting: sleeping writers
 * @pad: zero
 * @written_records: records taken from writers, including dropped ones
 * @read_records: records given to readers
 * @queued_records: records waiting to be read
 * @dropped_bytes: bytes dropped, for all reasons
 * @dropped_records: records dropped, for all reasons
 * @timeouts: writes that failed with %ETIMEDOUT
 * @read_throttled: times a reader slept, or a read failed with %EAGAIN, because it lacked
 *	tokens
 * @read_throttled_ns: total time of these sleeps in nanoseconds, summed as @starved_ns
 * @credit: unused credit, in the unit of the channel's credit; 0 without credit
 * @classes: counts by class
 * @sojourn: histogram of the time that records had waited when they were read. @sojourn[0]
 *	counts those below 1024 ns, and each next bucket those below twice the bound of
 *	the one before; the last bucket counts all others. The sum is @read_records.
 * @overload_events: times the channel became overloaded
 * @alarm_since_ns: time of the first overload since the channel was created or since
 *	RESET_PEAKS, CLOCK_MONOTONIC; 0 without one. If RESET_PEAKS found the channel
 *	overloaded, the time that overload began.
 * @longest_stall_ns: longest stall of a writer in the same period, in nanoseconds, including
 *	stalls that last. A writer stalls while it sleeps as counted by @blocked.
 * @stalled_ns: time during which at least one writer stalled, in nanoseconds
 * @stalled_all_ns: time during which as many writers stalled as are open, in nanoseconds
 * @stalled: share of time of @stalled_ns as a decaying average over 10, 60 and 300 s, as in
 *	/proc/pressure, in units of 0.01 %, 0..10000
 * @stalled_all: share of time of @stalled_all_ns, in the form of @stalled
 *
 * Counts of bytes and events start at 0 when the channel is created and never decrease.
 */
struct bpipe_stats {
	__u64 time_ns;
	__u64 level;
	__u64 window;
	__u64 queued_bytes;
	__u64 peak_level;
	__u64 written_bytes;
	__u64 read_bytes;
	__u64 writes;
	__u64 reads;
	__u64 again;
	__u64 blocked;
	__u64 blocked_ns;
	__u64 starved;
	__u64 starved_ns;
	__u64 high_events;
	__u64 low_events;
	__u64 wakeups_read;
	__u64 wakeups_write;
	__u64 throttled;
	__u64 throttled_ns;
	__u64 state_since_ns;
	__u64 write_wait_ns;
	__u64 read_wait_ns;
	__u32 state;
	__u32 readers;
	__u32 writers;
	__u32 readers_waiting;
	__u32 writers_waiting;
	__u32 pad;
	__u64 written_records;
	__u64 read_records;
	__u64 queued_records;
	__u64 dropped_bytes;
	__u64 dropped_records;
	__u64 timeouts;
	__u64 read_throttled;
	__u64 read_throttled_ns;
	__u64 credit;
	struct bpipe_class_stats classes[BPIPE_CLASSES];
	__u64 sojourn[BPIPE_SOJOURN_BUCKETS];
	__u64 overload_events;
	__u64 alarm_since_ns;
	__u64 longest_stall_ns;
	__u64 stalled_ns;
	__u64 stalled_all_ns;
	__u32 stalled[3];
	__u32 stalled_all[3];
};

#define BPIPE_STATS_SIZE_VER0	208

/**
 * struct bpipe_window - how much this open file may write now
 * @window: bytes that a write may send now: the least of @space, @credit and @tokens, without
 *	what waiting writers have reserved. For records, the longest one that is admitted. 0
 *	while the channel drains.
 * @space: bytes from the level to the limit of this file's class, including reserved ones
 * @tokens: tokens of the channel's byte rate, in bytes; 0 in debt, U64_MAX without a rate
 * @wait_ns: nanoseconds until the buckets hold tokens for PIPE_BUF bytes, or one burst if
 *	that is less, in addition to reserved ones. 0 if they do now; U64_MAX while waiting writers
 *	have reserved them, or the channel drains.
 * @credit: unused credit, in the unit of the channel's credit; U64_MAX without credit
 */
struct bpipe_window {
	__u64 window;
	__u64 space;
	__u64 tokens;
	__u64 wait_ns;
	__u64 credit;
};

#define BPIPE_WINDOW_SIZE_VER0	32

/* Bits of struct bpipe_reader.mask, one for each field */
#define BPIPE_READER_THRESHOLD	(1ULL << 0)
#define BPIPE_READER_DELAY	(1ULL << 1)
#define BPIPE_READER_FRAMED	(1ULL << 2)

/**
 * struct bpipe_reader - settings of an open file for its reads
 * @mask: BPIPE_READER_* bits of the fields to set; the other fields are ignored
 * @threshold: level at which to wake a reader of this file, in bytes, 1..the channel's size;
 *	1 at open. At a lower level, a reader is woken when a writer stalls, or when no
 *	writer has the channel open.
 * @delay_us: time that data waits until a reader is woken at a level below @threshold, in
 *	microseconds, 0..BPIPE_DELAY_MAX; 0, as at open, is no limit
 * @framed: 1: a read returns as many whole records as fit, each behind a struct
 *	bpipe_frame; 0, as at open: one record without a frame. A read uses the setting in
 *	force when it began. %EOPNOTSUPP for a stream.
 * @pad: zero
 *
 * Threshold and delay govern only wake-ups of sleeping readers and pollers: a read that
 * finds data returns it, and poll reports it. Compare interrupt coalescing of network drivers.
 */
struct bpipe_reader {
	__u64 mask;
	__u64 threshold;
	__u64 delay_us;
	__u32 framed;
	__u32 pad;
};

#define BPIPE_READER_SIZE_VER0	24

/**
 * struct bpipe_frame - header of each record in a framed read
 * @seq: sequence number of the record among all records written to the channel, including
 *	dropped ones, starting at 0
 * @time_ns: time of its write, CLOCK_MONOTONIC
 * @lost: records of its class that were dropped since the previous record of the class
 * @len: length of the record, which follows, in bytes
 * @class: class of the record, 0..BPIPE_CLASSES - 1
 * @flags: zero
 */
struct bpipe_frame {
	__u64 seq;
	__u64 time_ns;
	__u64 lost;
	__u32 len;
	__u16 class;
	__u16 flags;
};

/* Bits of struct bpipe_writer.mask, one for each field */
#define BPIPE_WRITER_CLASS	(1ULL << 0)
#define BPIPE_WRITER_POLICY	(1ULL << 1)
#define BPIPE_WRITER_TIMEOUT	(1ULL << 2)
#define BPIPE_WRITER_RATE	(1ULL << 3)
#define BPIPE_WRITER_BURST	(1ULL << 4)

/**
 * struct bpipe_writer - settings of an open file for its writes
 * @mask: BPIPE_WRITER_* bits of the fields to set; the other fields are ignored
 * @class: class of its writes, 0..BPIPE_CLASSES - 1; 0 at open
 * @policy: enum bpipe_policy; BPIPE_POLICY_CHANNEL at open
 * @timeout: as in struct bpipe_config, in nanoseconds, 0..BPIPE_TIMEOUT_MAX; 0 at open. It
 *	takes effect only with a @policy of this file.
 * @rate: rate limit of this file in addition to the channel's, bytes a second,
 *	0..BPIPE_RATE_MAX; 0, as at open, is no limit
 * @burst: size of the token bucket of @rate in bytes, as in struct bpipe_config
 *
 * A write uses the class, policy and timeout that were in force when it began.
 */
struct bpipe_writer {
	__u64 mask;
	__u32 class;
	__u32 policy;
	__u64 timeout;
	__u64 rate;
	__u64 burst;
};

#define BPIPE_WRITER_SIZE_VER0	40

/**
 * struct bpipe_grant_credit - credit that a reader grants to writers
 * @amount: bytes or records, by the channel's credit; at least 1, and no more than keeps the
 *	unused credit at or below BPIPE_CREDIT_MAX
 */
struct bpipe_grant_credit {
	__u64 amount;
};

#define BPIPE_GRANT_SIZE_VER0	8

/* Bits of struct bpipe_events.events */
#define BPIPE_EVENT_HIGH	(1U << 0)	/* the level rose to high */
#define BPIPE_EVENT_LOW		(1U << 1)	/* the level fell back to low */
#define BPIPE_EVENT_OVERLOAD	(1U << 2)	/* the channel became overloaded */

/**
 * struct bpipe_events - events since the last GET_EVENTS of an open file
 * @events: BPIPE_EVENT_* bits of the events since then; 0 without one
 * @state: enum bpipe_state, now
 * @level: bytes held now, including the overhead of records
 * @high_events: as in struct bpipe_stats
 * @low_events: as in struct bpipe_stats
 * @time_ns: time of the last change of state, CLOCK_MONOTONIC; 0 without one
 * @overload_events: as in struct bpipe_stats
 *
 * poll reports EPOLLPRI while GET_EVENTS would return a bit. Events are kept for an open
 * file starting with its first GET_EVENTS, and for one of access mode 3 from open. Without
 * that, a poller for data that also watches for exceptions would see EPOLLPRI unasked.
 */
struct bpipe_events {
	__u32 events;
	__u32 state;
	__u64 level;
	__u64 high_events;
	__u64 low_events;
	__u64 time_ns;
	__u64 overload_events;
};

#define BPIPE_EVENTS_SIZE_VER0	40

/**
 * struct bpipe_status - content of the status page
 * @seq: sequence count, odd during an update. Data is consistent if @seq was even, and the
 *	same, before and after it was read.
 * @state: enum bpipe_state
 * @size: capacity in bytes
 * @high: high watermark in bytes
 * @low: low watermark in bytes
 * @level: bytes held, including the overhead of records
 * @window: by class: bytes that a new write may send, as in struct bpipe_window, without a
 *	rate limit of its file. With a rate of the channel, as of @time_ns; it grows
 *	until the next update.
 * @time_ns: time of the last update, CLOCK_MONOTONIC
 *
 * BPIPE_OPEN_STATUS returns a file whose mapping is this page, updated with every change of
 * the level. While such a file is open or mapped, each read and write takes a little
 * longer.
 *
 * The file does not keep the channel from being removed. After removal, the page shows
 * BPIPE_STATE_GONE with a @level and @window of 0, and poll on the file reports EPOLLHUP to
 * all pollers. poll reports nothing else: an update before that wakes no poller.
 */
struct bpipe_status {
	__u32 seq;
	__u32 state;
	__u64 size;
	__u64 high;
	__u64 low;
	__u64 level;
	__u64 window[BPIPE_CLASSES];
	__u64 time_ns;
};

/**
 * struct bpipe_add - channel to create
 * @name: 1 to 25 ASCII letters, digits, dots, underscores and dashes, padded with zeros. The
 *	first is a letter or a digit. The name is not "control" and does not begin with
 *	"bpipe". The node is BPIPE_NAME_PREFIX and the name.
 * @config: address of a struct bpipe_config with the settings in which the channel differs
 *	from a new one; or 0
 * @config_size: size of that structure in bytes, BPIPE_CONFIG_SIZE_VER0..one page (%E2BIG); 0
 *	if @config is 0
 * @pad: zero
 */
struct bpipe_add {
	char name[BPIPE_NAME_MAX];
	__u64 config;
	__u32 config_size;
	__u32 pad;
};

#define BPIPE_ADD_SIZE_VER0	48

/**
 * struct bpipe_remove - channel to remove
 * @name: as in struct bpipe_add
 * @flags: one of BPIPE_REMOVE_*, or 0 to remove a channel that is not open, with its data
 * @pad: zero
 *
 * BPIPE_REMOVE_DRAIN lets readers read what was written. The command returns at once. From
 * then, open(2) for writing fails with %ENXIO. A write fails with %EPIPE, without
 * SIGPIPE; a sleeping writer is woken and returns that, or what it had written. A
 * reader may still open the channel. It reads what is queued, then gets
 * end-of-file, even with writers open or with hold. The channel is removed once it is empty
 * and not open; until then it is visible and its name is taken. BPIPE_REMOVE_FORCE may
 * follow.
 *
 * BPIPE_REMOVE_FORCE removes a channel although it is open, with its data. Calls on its open
 * files, sleeping ones included, fail with %ENODEV; poll reports EPOLLHUP and EPOLLERR to all
 * pollers. When the command returns, the memory is freed, the node is gone, and the name can
 * be used again.
 */
struct bpipe_remove {
	char name[BPIPE_NAME_MAX];
	__u32 flags;
	__u32 pad;
};

/* Values of struct bpipe_remove.flags */
#define BPIPE_REMOVE_DRAIN	(1U << 0)	/* once it is empty and not open */
#define BPIPE_REMOVE_FORCE	(1U << 1)	/* at once, even if it is open */

#define BPIPE_REMOVE_SIZE_VER0	32

#define BPIPE_IOC_MAGIC		0xBB

/**
 * DOC: Commands
 *
 * The commands work on an open file of any access mode, unless stated. Access mode 3 counts
 * neither as reader nor as writer. The errors above apply to all commands; each one lists
 * its own in addition.
 *
 * BPIPE_GET_FEATURES: return what the module supports.
 *
 * BPIPE_SET_CONFIG: set all fields named in @mask, or none. Wake all sleepers and pollers to
 * apply them. %EPERM: the caller neither owns the node nor has CAP_SYS_ADMIN; for @uid, @gid
 * and @permissions, it lacks CAP_SYS_ADMIN. %EINVAL: a field is out of range, or not
 * low < high <= size. %EOPNOTSUPP: a bit of @mask or a value is unknown, or a setting for
 * records would meet a stream. %EBUSY: the level is above the new size; or the mode would
 * change while something is queued, a writer waits, or an open file has a setting for
 * records. %ENOMEM: no memory for a buffer, in the system or in the caller's memory cgroup.
 * %ENOSPC: the buffers would exceed the cap on all channels, or the channel's share of it.
 *
 * BPIPE_GET_CONFIG: return the configuration in force.
 *
 * BPIPE_GET_STATS: return a consistent snapshot. %ENOMEM.
 *
 * BPIPE_GET_WINDOW: return how much this file may write now, and what limits it.
 *
 * BPIPE_RESET_PEAKS: set peak_level to the level and longest_stall_ns to 0, and clear the
 * alarm. %EPERM: as for SET_CONFIG.
 *
 * BPIPE_SET_READER: set the wake-up threshold, delay and framing of this file. %EBADF: it is
 * not open for reading. %EOPNOTSUPP: @framed, and the channel is a stream.
 *
 * BPIPE_SET_WRITER: set the class, policy, timeout and rate of this file. %EBADF: it is not
 * open for writing. %EOPNOTSUPP: an unknown policy, or drop-oldest in a stream. %ENOMEM,
 * %ENOSPC: no memory for the buffer of the class, as for SET_CONFIG.
 *
 * BPIPE_GRANT: grant credit to writers. %EBADF: the file is not open for reading.
 * %EOPNOTSUPP: the channel has no credit. %EINVAL: the amount is 0 or exceeds
 * BPIPE_CREDIT_MAX with the unused credit.
 *
 * BPIPE_GET_EVENTS: return and clear the events of this file.
 *
 * BPIPE_OPEN_STATUS: return a new file descriptor, close-on-exec, for the status page. mmap(2)
 * maps struct bpipe_status: one page at offset 0 (%EINVAL), read-only (%EACCES), shared or
 * private. %ENOMEM, %EMFILE, %ENFILE.
 *
 * FIONREAD: return the bytes that can be read as an int; in record mode, the length of the
 * next record.
 *
 * The following two work on /dev/bpipe-control, which knows no other command. They take
 * CAP_SYS_ADMIN (%EPERM).
 *
 * BPIPE_ADD: create a channel. %EINVAL: the name is not valid, or only one of @config
 * and @config_size is 0. %EEXIST: a channel has the name. %ENOSPC: BPIPE_CHANNELS_MAX
 * channels exist. The errors of SET_CONFIG apply, too.
 *
 * BPIPE_REMOVE: remove a channel. %ENOENT: no added channel has the name; "bpipe" stays as
 * long as the module. %EBUSY: the channel is open and @flags is 0; status files do not
 * count. %EOPNOTSUPP: an unknown flag. %EINVAL: two flags.
 */
#define BPIPE_GET_FEATURES	_IOR(BPIPE_IOC_MAGIC, 0x00, struct bpipe_features)
#define BPIPE_SET_CONFIG	_IOW(BPIPE_IOC_MAGIC, 0x01, struct bpipe_config)
#define BPIPE_GET_CONFIG	_IOR(BPIPE_IOC_MAGIC, 0x02, struct bpipe_config)
#define BPIPE_GET_STATS		_IOR(BPIPE_IOC_MAGIC, 0x03, struct bpipe_stats)
#define BPIPE_GET_WINDOW	_IOR(BPIPE_IOC_MAGIC, 0x04, struct bpipe_window)
#define BPIPE_RESET_PEAKS	_IO(BPIPE_IOC_MAGIC, 0x05)
#define BPIPE_SET_READER	_IOW(BPIPE_IOC_MAGIC, 0x06, struct bpipe_reader)
#define BPIPE_GET_EVENTS	_IOR(BPIPE_IOC_MAGIC, 0x07, struct bpipe_events)
#define BPIPE_SET_WRITER	_IOW(BPIPE_IOC_MAGIC, 0x08, struct bpipe_writer)
#define BPIPE_GRANT		_IOW(BPIPE_IOC_MAGIC, 0x09, struct bpipe_grant_credit)
#define BPIPE_OPEN_STATUS	_IO(BPIPE_IOC_MAGIC, 0x0a)
#define BPIPE_ADD		_IOW(BPIPE_IOC_MAGIC, 0x20, struct bpipe_add)
#define BPIPE_REMOVE		_IOW(BPIPE_IOC_MAGIC, 0x21, struct bpipe_remove)

#endif /* _UAPI_LINUX_BPIPE_H */
