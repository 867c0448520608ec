/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * bpipe: a pipe with a fixed size, watermarks, classes and rate limits.
 *
 * This header is the contract between the module and its users. It only
 * grows: structures get new fields at the end, the mask fields get new bits,
 * and what is here keeps its meaning.
 *
 * How a structure may differ in size
 *	Its size travels in the command number. A caller newer than the module
 *	may pass a longer structure as long as the part the module does not
 *	know is zero (E2BIG otherwise); an older caller passes a shorter one,
 *	down to the size called VER0, and what it does not know stays as it is.
 *	A structure that is read back is cut or padded with zeros to the size
 *	the caller gave. The idea is that of openat2(2) and clone3(2).
 *
 * Errors common to all commands
 *	%ENOTTY  the command is not known to this module
 *	%E2BIG   the part of the structure beyond what is known is not zero
 *	%EINVAL  the structure is shorter than its VER0, or a field is out of
 *	         range
 *	%EOPNOTSUPP  a mask bit or a value is not supported by this module
 *	%EPERM   the caller may look but not change
 *	%EFAULT  the structure is not readable or writable memory
 *	%ENODEV  the channel was removed while it was open
 *
 * A call that fails has changed nothing.
 */
#ifndef _UAPI_LINUX_BPIPE_H
#define _UAPI_LINUX_BPIPE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * Longest name of a channel, with the terminating zero. It is that of its node: "bpipe",
 * or for one that was added, BPIPE_NAME_PREFIX and the name it was given.
 */
#define BPIPE_NAME_MAX		32
#define BPIPE_NAME_PREFIX	"bpipe-"
/* Most channels that there can be. */
#define BPIPE_CHANNELS_MAX	65536

/* Bounds of a channel's size and of a class's limit, in bytes. */
#define BPIPE_SIZE_MIN		4096ULL
#define BPIPE_SIZE_MAX		(1ULL << 30)
/* Largest rate and burst: bytes or records, a second (1 TB/s) or at once. */
#define BPIPE_RATE_MAX		1000000000000ULL
#define BPIPE_BURST_MAX		(1ULL << 32)
/* Largest reader delay, in microseconds (an hour). */
#define BPIPE_DELAY_MAX		3600000000ULL
/* Longest timeout, time that a record may wait, and time until overload, in nanoseconds (a day). */
#define BPIPE_TIMEOUT_MAX	86400000000000ULL
/* Time until overload of a new channel, in nanoseconds (10 s). */
#define BPIPE_OVERLOAD_AFTER	10000000000ULL
/* Value of uid, gid and permissions that are left to the system. */
#define BPIPE_UNSET		0xffffffffU
/* Most credit that can be granted and not used, bytes or records. */
#define BPIPE_CREDIT_MAX	(1ULL << 62)

/* Classes of writers: 0, the most important, to 7. */
#define BPIPE_CLASSES		8
/* What a record takes from the channel's size, beside its bytes. */
#define BPIPE_RECORD_OVERHEAD	32
/* Counters of the time that records waited: see struct bpipe_stats. */
#define BPIPE_SOJOURN_BUCKETS	32

/**
 * enum bpipe_mode - what a write is
 * @BPIPE_MODE_STREAM: bytes, as in a pipe
 * @BPIPE_MODE_RECORD: a record, never split and never joined with another
 */
enum bpipe_mode {
	BPIPE_MODE_STREAM	= 0,
	BPIPE_MODE_RECORD	= 1,
};

/**
 * enum bpipe_order - which of the records is read next
 * @BPIPE_ORDER_FIFO: the oldest, whatever its class
 * @BPIPE_ORDER_PRIORITY: the oldest of the most important class
 */
enum bpipe_order {
	BPIPE_ORDER_FIFO	= 0,
	BPIPE_ORDER_PRIORITY	= 1,
};

/**
 * enum bpipe_policy - what becomes of a write that is not admitted
 * @BPIPE_POLICY_BLOCK: it waits, for as long as the timeout lets it (ETIMEDOUT);
 *	with O_NONBLOCK: EAGAIN
 * @BPIPE_POLICY_ERROR: EAGAIN
 * @BPIPE_POLICY_DROP_NEWEST: it is dropped, and counted; the write succeeds
 * @BPIPE_POLICY_DROP_OLDEST: the oldest records of the least important class make
 *	room for it, as long as that is no more important than its own; if that
 *	does not help, it is dropped itself. Records only.
 * @BPIPE_POLICY_CHANNEL: SET_WRITER: whatever the channel's policy is
 */
enum bpipe_policy {
	BPIPE_POLICY_BLOCK		= 0,
	BPIPE_POLICY_ERROR		= 1,
	BPIPE_POLICY_DROP_NEWEST	= 2,
	BPIPE_POLICY_DROP_OLDEST	= 3,
	BPIPE_POLICY_CHANNEL		= 4,
};

/**
 * enum bpipe_credit - what writers need from readers before they may write
 * @BPIPE_CREDIT_OFF: nothing
 * @BPIPE_CREDIT_BYTES: a byte granted for each byte
 * @BPIPE_CREDIT_RECORDS: a record granted for each record. Records only.
 */
enum bpipe_credit {
	BPIPE_CREDIT_OFF	= 0,
	BPIPE_CREDIT_BYTES	= 1,
	BPIPE_CREDIT_RECORDS	= 2,
};

/**
 * enum bpipe_drop - why something was dropped
 * @BPIPE_DROP_FULL: drop-newest or drop-oldest, and there was no room, credit or
 *	token for it
 * @BPIPE_DROP_SHED: drop-newest or drop-oldest, and only the limit of its class, or its
 *	gate with drop_to_low, stood in the way
 * @BPIPE_DROP_EVICTED: drop-oldest: it made room for another
 * @BPIPE_DROP_EXPIRED: it waited for as long as its class's time to live
 * @BPIPE_DROP_SOJOURN: records of its class have waited for too long
 * @BPIPE_DROP_REASONS: how many reasons there are; arrays have room for more
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
 * enum bpipe_state - what the level says of a channel
 * @BPIPE_STATE_NORMAL: the level fell to the low mark, or never reached high
 * @BPIPE_STATE_PRESSURED: the level reached the high mark and has not been
 *	at or below the low mark since
 * @BPIPE_STATE_OVERLOADED: so it has been for as long as overload_after
 * @BPIPE_STATE_GONE: the channel was removed, which only its status page still says
 */
enum bpipe_state {
	BPIPE_STATE_NORMAL	= 0,
	BPIPE_STATE_PRESSURED	= 1,
	BPIPE_STATE_OVERLOADED	= 2,
	BPIPE_STATE_GONE	= 3,
};

/* Bits of struct bpipe_features.features */
#define BPIPE_FEATURE_STREAM	(1ULL << 0)	/* stream mode */
#define BPIPE_FEATURE_RATE	(1ULL << 1)	/* rate and burst of writers */
#define BPIPE_FEATURE_READER	(1ULL << 2)	/* SET_READER: threshold, delay */
#define BPIPE_FEATURE_EVENTS	(1ULL << 3)	/* GET_EVENTS and EPOLLPRI */
#define BPIPE_FEATURE_RECORD	(1ULL << 4)	/* record mode, framed reads */
#define BPIPE_FEATURE_CLASSES	(1ULL << 5)	/* classes, limits, SET_WRITER */
#define BPIPE_FEATURE_POLICY	(1ULL << 6)	/* policies, timeout */
#define BPIPE_FEATURE_RATES	(1ULL << 7)	/* of records, readers, files */
#define BPIPE_FEATURE_CREDIT	(1ULL << 8)	/* credit, GRANT */
#define BPIPE_FEATURE_TIME	(1ULL << 9)	/* time to live, sojourn */
#define BPIPE_FEATURE_OVERLOAD	(1ULL << 10)	/* overload, pressure */
#define BPIPE_FEATURE_CONTROL	(1ULL << 11)	/* ADD, REMOVE */
#define BPIPE_FEATURE_STATUS	(1ULL << 12)	/* OPEN_STATUS */
#define BPIPE_FEATURE_NODE	(1ULL << 13)	/* owner and permissions of the node */
#define BPIPE_FEATURE_ID	(1ULL << 14)	/* id of a channel */
#define BPIPE_FEATURE_REMOVE	(1ULL << 15)	/* flags of REMOVE */

/**
 * struct bpipe_features - what this module can do
 * @features: BPIPE_FEATURE_* bits
 * @config_mask: the BPIPE_CFG_* bits that SET_CONFIG accepts
 * @reader_mask: the BPIPE_READER_* bits that SET_READER accepts
 * @writer_mask: the BPIPE_WRITER_* bits that SET_WRITER accepts
 */
struct bpipe_features {
	__u64 features;
	__u64 config_mask;
	__u64 reader_mask;
	__u64 writer_mask;
};

#define BPIPE_FEATURES_SIZE_VER0	24

/* Bits of struct bpipe_config.mask: the fields that a SET_CONFIG sets */
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
 * struct bpipe_config - how a channel is set up
 * @mask: SET_CONFIG: which fields to set, BPIPE_CFG_* bits; the others are
 *	ignored. GET_CONFIG: which fields this module can set.
 * @size: capacity in bytes, BPIPE_SIZE_MIN..BPIPE_SIZE_MAX. Changing it loses
 *	nothing; EBUSY while more is queued than the new size holds.
 * @high: high watermark in bytes, @low < @high <= @size
 * @low: low watermark in bytes. A change of @size alone moves both marks and the
 *	limits: each keeps the share of the size that it had when it was set, so a
 *	size that is set and set back moves none of them.
 * @rate: what writers may write, bytes a second, without the overhead of records;
 *	0 is without limit
 * @burst: how much may be written at once after an idle spell, in bytes,
 *	at most BPIPE_BURST_MAX; 0 chooses a tenth of a second's worth of @rate
 *	(8 KiB at least) and follows it. Read back, it is what is in force. A
 *	record that is longer goes into debt, which is paid back.
 * @mode: enum bpipe_mode; EBUSY while something is queued or somebody waits
 * @hold: 1: readers without a writer wait for the next one; 0: end-of-file
 * @epipe: 1: writers without a reader get EPIPE and SIGPIPE, once a reader has been
 *	there since they opened; 0: they go on until the buffer is full
 * @pad: zero
 * @name: the channel's name, read only: SET_CONFIG ignores it
 * @order: enum bpipe_order. Records only.
 * @policy: enum bpipe_policy, for writers who did not choose one; as @timeout, of
 *	writes that begin from then on
 * @credit: enum bpipe_credit. Whenever it changes, and when the last reader
 *	closes, what was granted is void.
 * @pad2: zero
 * @timeout: BPIPE_POLICY_BLOCK: how long a write waits at most, in nanoseconds, at
 *	most BPIPE_TIMEOUT_MAX; 0: for ever
 * @limit: of each class: a write is admitted up to this level, in bytes,
 *	BPIPE_SIZE_MIN..@size; 0 for @size, also when that changes. Read back, it
 *	is what is in force, which a small @size does not let fall below
 *	BPIPE_SIZE_MIN. A class's gate has its marks in proportion.
 * @rate_records: what writers may write, records a second; 0 is without limit.
 *	Records only.
 * @burst_records: how many at once, as @burst; 0 chooses a tenth of a second's
 *	worth, 1 at least
 * @read_rate: what readers may read, bytes a second, as @rate
 * @read_burst: as @burst
 * @read_rate_records: likewise in records. Records only.
 * @read_burst_records: as @burst_records
 * @ttl: of each class: a record that has waited for so long is dropped, in
 *	nanoseconds, at most BPIPE_TIMEOUT_MAX; 0 for never. No read gives one, no
 *	write is refused because of one, and within some milliseconds it is gone also
 *	if nobody does either. Records only.
 * @sojourn: of each class: how long its records should wait at most, as @ttl. Once
 *	all that were read for ten times as long have waited for longer, some are
 *	dropped as others are read, more and more often until it is better: by the
 *	law of CoDel, RFC 8289. The last one of a class is never dropped so.
 * @overload_after: a channel is overloaded that has been pressured for so long, in
 *	nanoseconds, at most BPIPE_TIMEOUT_MAX; 0 for never. BPIPE_OVERLOAD_AFTER in a
 *	new channel.
 * @uid: owner of the device node, a user id of the initial user namespace.
 *	BPIPE_UNSET, as in a new channel: root, or what the udev rules say.
 * @gid: group of the device node. BPIPE_UNSET, as in a new channel: root's, or
 *	what the udev rules say.
 * @permissions: mode bits of the device node, 0..0777. BPIPE_UNSET, as in a new
 *	channel: 0660, or what the udev rules say.
 * @pad3: zero
 * @drop_to_low: 1: once a class's gate is closed, BPIPE_POLICY_DROP_NEWEST drops all
 *	writes of the class until the level is at or below the class's low mark; 0, as
 *	in a new channel: it drops those for which there is no room
 * @pad4: zero
 * @id: what tells the channel apart from all others, read only as @name: @id[0] is
 *	random, chosen when the module is loaded, and @id[1] grows with each channel made
 *	since, starting at 1. A name and a device number come again, an @id does not.
 *
 * devtmpfs makes the node with @uid, @gid and @permissions, so no process can open
 * the node before they apply. Each uevent of the channel carries those that were
 * set, as BPIPE_UID, BPIPE_GID and BPIPE_MODE. A change of one sends a uevent and
 * leaves the node itself to udev. Only CAP_SYS_ADMIN may set them, not the node's
 * owner.
 *
 * "Records only": EOPNOTSUPP for anything but 0 while @mode is, or would become,
 * a stream.
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
 * struct bpipe_class_stats - what became of one class's bytes and records
 * @written_bytes: taken from writers of that class, without overhead, as all here
 * @written_records: likewise; 0 in a stream, as all records here
 * @read_bytes: given to readers
 * @read_records: likewise
 * @queued_bytes: waiting to be read
 * @queued_records: likewise
 * @dropped_bytes: dropped, by enum bpipe_drop
 * @dropped_records: likewise
 *
 * At every snapshot, written = read + queued + dropped, in bytes and in records.
 * What a stream holds counts as class 0's, whoever wrote it.
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
 * struct bpipe_stats - one consistent snapshot of a channel
 * @time_ns: when it was taken, CLOCK_MONOTONIC
 * @level: bytes held now, with the overhead of records
 * @window: bytes that a writer of class 0 who comes by may send now; see struct
 *	bpipe_window
 * @queued_bytes: bytes waiting to be read, without overhead
 * @peak_level: highest level since load or RESET_PEAKS
 * @written_bytes: bytes taken from writers. At every snapshot
 *	written_bytes = read_bytes + queued_bytes + dropped_bytes, and likewise
 *	for records.
 * @read_bytes: bytes given to readers
 * @writes: write calls that took at least one byte
 * @reads: read calls that gave at least one byte
 * @again: writes refused with EAGAIN, but for those of io_uring or with RWF_NOWAIT
 * @blocked: times a writer went to sleep for want of space or credit
 * @blocked_ns: time writers have slept for want of these, those who sleep now
 *	included; summed over writers, so it can grow faster than time
 * @starved: times a reader went to sleep for want of data
 * @starved_ns: time readers have slept for want of data, likewise
 * @high_events: times the level rose to the high mark
 * @low_events: times it fell back to the low mark
 * @wakeups_read: sleeping readers woken
 * @wakeups_write: sleeping writers woken
 * @throttled: times a writer slept, or was refused, for want of tokens
 * @throttled_ns: time writers have slept for want of tokens
 * @state_since_ns: when @state was entered, CLOCK_MONOTONIC
 * @write_wait_ns: how long the writer that has waited longest has waited, or 0
 * @read_wait_ns: how long the reader that has waited longest has waited, or 0
 * @state: enum bpipe_state
 * @readers: open files that can read
 * @writers: open files that can write
 * @readers_waiting: readers asleep now
 * @writers_waiting: writers asleep now
 * @pad: zero
 * @written_records: records taken from writers
 * @read_records: records given to readers
 * @queued_records: records waiting to be read
 * @dropped_bytes: bytes dropped, for whatever reason
 * @dropped_records: records dropped
 * @timeouts: writes that ended with ETIMEDOUT
 * @read_throttled: times a reader slept, or was refused, for want of tokens
 * @read_throttled_ns: time readers have slept for want of tokens
 * @credit: granted and not used
 * @classes: the same by class
 * @sojourn: how long the records that were read had waited: @sojourn[0] counts those
 *	below 1024 ns, the next one those below twice that, and so on; the last
 *	one, all others. Their sum is @read_records.
 * @overload_events: times the channel came to be overloaded
 * @alarm_since_ns: when it did so first since load or RESET_PEAKS, CLOCK_MONOTONIC;
 *	0 if it did not. If it was overloaded then, when that began.
 * @longest_stall_ns: the longest that a writer has stalled since then: slept for want
 *	of room or credit; those who do so now included
 * @stalled_ns: time in which at least one writer stalled
 * @stalled_all_ns: time in which as many stalled as are open
 * @stalled: the share of the time of @stalled_ns in the last 10, 60 and 300 s, by
 *	decay as in /proc/pressure, in 1/100 %
 * @stalled_all: likewise of @stalled_all_ns
 *
 * The byte and event counts start at zero when the channel is made and never
 * go back.
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
 * struct bpipe_window - how much a writer may send now, and why
 * @window: the least of @space, @credit and @tokens, without what is kept for
 *	writers that wait, in bytes; of a record, the longest that would go. 0 while the
 *	channel drains.
 * @space: bytes below the limit of this open file's class
 * @tokens: bytes the channel's rate lets through now; U64_MAX without a limit
 * @wait_ns: nanoseconds until the rate limits let through the next PIPE_BUF
 *	bytes (or one burst, if that is less); 0 if they do so now, U64_MAX if a
 *	writer that waits has to go first, or the channel drains
 * @credit: granted and not used, in the unit of the channel's credit; U64_MAX
 *	without credit
 */
struct bpipe_window {
	__u64 window;
	__u64 space;
	__u64 tokens;
	__u64 wait_ns;
	__u64 credit;
};

#define BPIPE_WINDOW_SIZE_VER0	32

/* Bits of struct bpipe_reader.mask: the fields that a SET_READER sets */
#define BPIPE_READER_THRESHOLD	(1ULL << 0)
#define BPIPE_READER_DELAY	(1ULL << 1)
#define BPIPE_READER_FRAMED	(1ULL << 2)

/**
 * struct bpipe_reader - when to wake this open file's sleeping reader
 * @mask: which fields to set, BPIPE_READER_* bits; the others are ignored
 * @threshold: a reader that found nothing is woken when this many bytes are
 *	there, 1..the channel's size; 1 at open. Whatever it is, a reader is
 *	woken when writers are held up or gone.
 * @delay_us: or when data has waited this long, in microseconds, at most
 *	BPIPE_DELAY_MAX; 0 (at open) waits for the threshold however long
 * @framed: 1: a read gives as many whole records as fit, each behind a struct
 *	bpipe_frame; 0 (at open): one record, bare; of reads that begin from then on.
 *	EOPNOTSUPP in a stream.
 * @pad: zero
 *
 * Threshold and delay govern waking only: a read that finds data returns it, and
 * poll reports it. The idea is that of interrupt coalescing in network drivers.
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
 * struct bpipe_frame - what stands before each record in a framed read
 * @seq: number of the record among all that were written to the channel, dropped
 *	ones included; the first is 0
 * @time_ns: when it was written, CLOCK_MONOTONIC
 * @lost: records of its class that were dropped since the one before it
 * @len: bytes of the record, which follow
 * @class: its class
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

/* Bits of struct bpipe_writer.mask: the fields that a SET_WRITER sets */
#define BPIPE_WRITER_CLASS	(1ULL << 0)
#define BPIPE_WRITER_POLICY	(1ULL << 1)
#define BPIPE_WRITER_TIMEOUT	(1ULL << 2)
#define BPIPE_WRITER_RATE	(1ULL << 3)
#define BPIPE_WRITER_BURST	(1ULL << 4)

/**
 * struct bpipe_writer - how this open file's writes are treated
 * @mask: which fields to set, BPIPE_WRITER_* bits; the others are ignored
 * @class: 0, the most important, at open, to BPIPE_CLASSES - 1; as @policy and
 *	@timeout, of writes that begin from then on
 * @policy: enum bpipe_policy; BPIPE_POLICY_CHANNEL at open
 * @timeout: as in struct bpipe_config; goes with @policy, so it has no effect
 *	while that is BPIPE_POLICY_CHANNEL
 * @rate: what may be written here, bytes a second, beside what the channel's rate
 *	lets through; 0 (at open) is without limit
 * @burst: as in struct bpipe_config
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
 * struct bpipe_grant_credit - what a reader grants to the writers
 * @amount: bytes or records, as the channel's credit is; 1 at least
 */
struct bpipe_grant_credit {
	__u64 amount;
};

#define BPIPE_GRANT_SIZE_VER0	8

/* Bits of struct bpipe_events.events */
#define BPIPE_EVENT_HIGH	(1U << 0)	/* the level rose to high */
#define BPIPE_EVENT_LOW		(1U << 1)	/* the level fell back to low */
#define BPIPE_EVENT_OVERLOAD	(1U << 2)	/* the channel came to be overloaded */

/**
 * struct bpipe_events - what happened since this open file asked last
 * @events: BPIPE_EVENT_* bits since the last GET_EVENTS on this open file; 0 if
 *	nothing happened
 * @state: enum bpipe_state now
 * @level: bytes held now
 * @high_events: as in struct bpipe_stats
 * @low_events: as in struct bpipe_stats
 * @time_ns: when the latest event happened, CLOCK_MONOTONIC; 0 for never
 * @overload_events: as in struct bpipe_stats
 *
 * poll reports EPOLLPRI while the next GET_EVENTS would return a bit. Events are
 * kept for an open file from its first GET_EVENTS on, and from the start for one
 * of access mode 3: many who poll for data wake up for EPOLLPRI, too, and would
 * not know what to do with it.
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
 * struct bpipe_status - a channel at a glance, without a system call
 * @seq: odd while the rest changes; whoever has read the rest, between two reads of an
 *	even one that is the same, has read what belongs together
 * @state: enum bpipe_state
 * @size: as in struct bpipe_config, as are @high and @low
 * @high: high watermark
 * @low: low watermark
 * @level: bytes held
 * @window: what a writer of each class who comes by may send, as in struct
 *	bpipe_window; with a rate limit, as of @time_ns, and more since
 * @time_ns: when it changed last, CLOCK_MONOTONIC
 *
 * It is a page, of a file that BPIPE_OPEN_STATUS opens, to be mapped to be read. While
 * one is open or mapped, each read and write takes a little longer.
 *
 * The file does not keep the channel from being removed. Then the page says
 * BPIPE_STATE_GONE, with a @level and @window of 0, and poll on the file reports
 * EPOLLHUP, to each poller. It never reports anything else: what changes in the page
 * before that wakes no poller.
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
 * struct bpipe_add - a channel that is to be made
 * @name: of 1 to 25 letters, digits, dots, underscores and dashes, of which the first is
 *	a letter or a digit; it does not begin with "bpipe", and the rest is zero. Its
 *	node is BPIPE_NAME_PREFIX and this.
 * @config: address of a struct bpipe_config, with what is to differ from a new channel's;
 *	or 0
 * @config_size: its size, a page at most (E2BIG)
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
 * struct bpipe_remove - a channel that is to go
 * @name: as it was added
 * @flags: one of BPIPE_REMOVE_*; 0 removes a channel that is not open, with what it
 *	holds
 * @pad: zero
 *
 * BPIPE_REMOVE_DRAIN lets what was written be read. The call returns at once. From then
 * on, open for writing fails with ENXIO, and a write with EPIPE, without SIGPIPE; one that
 * sleeps ends so, or with what it had written. Readers may still come. They read what is
 * queued, and then find end-of-file, whatever writers are open, and also with hold. The
 * channel is gone when nothing is queued and no file is open; until then, it can be seen,
 * and its name is taken. BPIPE_REMOVE_FORCE may follow.
 *
 * BPIPE_REMOVE_FORCE removes a channel that is open, with what it holds. Calls on its open
 * files fail with ENODEV, also those that sleep. Poll reports EPOLLHUP and EPOLLERR there,
 * to each poller. Its memory is free, its node is gone, and its name can be used again when
 * the call returns.
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
 * Any opener may use them, on a file opened in any way (also with access mode
 * 3, which counts neither as reader nor as writer), except where said.
 *
 * BPIPE_GET_FEATURES: what the module can do.
 *
 * BPIPE_SET_CONFIG: set all the fields in @mask or none. For the node's owner
 * and CAP_SYS_ADMIN (EPERM); @uid, @gid and @permissions for CAP_SYS_ADMIN
 * alone. EINVAL: the result would not keep
 * low < high <= size, or a field is out of range; EOPNOTSUPP: a mask bit, a mode
 * or another choice that is not known, or one for records only in a stream;
 * EBUSY: more is queued than the new size holds; or the mode changes while
 * something is queued, somebody waits, or a file has a setting for records;
 * ENOMEM: no memory for the new buffer, in all or in the caller's memory
 * cgroup; ENOSPC: the module-wide cap on memory, or the channel's share of it,
 * would be exceeded. Sleepers and pollers look again at once.
 *
 * BPIPE_GET_CONFIG: the configuration in force.
 *
 * BPIPE_GET_STATS: one snapshot. May sleep.
 *
 * BPIPE_GET_WINDOW: how much may be sent now.
 *
 * BPIPE_RESET_PEAKS: peak_level becomes the level, longest_stall_ns 0, and the alarm
 * is over. Same right as SET_CONFIG.
 *
 * BPIPE_SET_READER: wake threshold and delay, framed reads. EBADF: not open for
 * reading.
 *
 * BPIPE_SET_WRITER: class, policy, timeout and rate. EBADF: not open for writing;
 * EOPNOTSUPP: a policy that is not known, or for records only in a stream;
 * ENOMEM, ENOSPC: no memory for records of that class, as in SET_CONFIG.
 *
 * BPIPE_GRANT: writers may write so much more. EBADF: not open for reading;
 * EOPNOTSUPP: the channel has no credit; EINVAL: 0, or more than there may be.
 *
 * BPIPE_GET_EVENTS: fetch and clear this open file's events.
 *
 * BPIPE_OPEN_STATUS: a new file descriptor, closed on exec, of which mmap(2) shows
 * struct bpipe_status: a page, from offset 0, shared or private, to be read alone
 * (EACCES), of which nothing else can be mapped (EINVAL). Poll reports EPOLLHUP once the
 * channel is gone. ENOMEM, EMFILE, ENFILE.
 *
 * On /dev/bpipe-control only, where none of those above are known, and with
 * CAP_SYS_ADMIN (EPERM):
 *
 * BPIPE_ADD: make a channel. EINVAL: the name cannot be one; EEXIST: there is one of
 * that name; ENOSPC: there are as many as can be; else as SET_CONFIG.
 *
 * BPIPE_REMOVE: remove one, and what it holds. ENOENT: there is none of that name;
 * EBUSY: it is open, and @flags is 0; a status file alone does not count. EOPNOTSUPP: a flag
 * that is not known; EINVAL: two flags. That of the module itself stays as long as it
 * does.
 *
 * FIONREAD gives the bytes that can be read, as an int: those of the next record,
 * if they are records.
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
