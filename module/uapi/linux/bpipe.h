/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * bpipe: a pipe with a fixed size, watermarks and a rate limit.
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
 *
 * A call that fails has changed nothing.
 */
#ifndef _UAPI_LINUX_BPIPE_H
#define _UAPI_LINUX_BPIPE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Longest name of a channel, with the terminating zero. */
#define BPIPE_NAME_MAX		32

/* Bounds of a channel's size and of the burst of its rate limit, in bytes. */
#define BPIPE_SIZE_MIN		4096ULL
#define BPIPE_SIZE_MAX		(1ULL << 30)
#define BPIPE_BURST_MAX		(1ULL << 32)
/* Largest rate, in bytes a second (1 TB/s). */
#define BPIPE_RATE_MAX		1000000000000ULL
/* Largest reader delay, in microseconds (an hour). */
#define BPIPE_DELAY_MAX		3600000000ULL

/**
 * enum bpipe_mode - what a write is
 * @BPIPE_MODE_STREAM: bytes, as in a pipe
 */
enum bpipe_mode {
	BPIPE_MODE_STREAM	= 0,
};

/**
 * enum bpipe_state - what the level says of a channel
 * @BPIPE_STATE_NORMAL: the level fell to the low mark, or never reached high
 * @BPIPE_STATE_PRESSURED: the level reached the high mark and has not been
 *	at or below the low mark since
 */
enum bpipe_state {
	BPIPE_STATE_NORMAL	= 0,
	BPIPE_STATE_PRESSURED	= 1,
};

/* Bits of struct bpipe_features.features */
#define BPIPE_FEATURE_STREAM	(1ULL << 0)	/* stream mode */
#define BPIPE_FEATURE_RATE	(1ULL << 1)	/* rate and burst of writers */
#define BPIPE_FEATURE_READER	(1ULL << 2)	/* SET_READER: threshold, delay */
#define BPIPE_FEATURE_EVENTS	(1ULL << 3)	/* GET_EVENTS and EPOLLPRI */

/**
 * struct bpipe_features - what this module can do
 * @features: BPIPE_FEATURE_* bits
 * @config_mask: the BPIPE_CFG_* bits that SET_CONFIG accepts
 * @reader_mask: the BPIPE_READER_* bits that SET_READER accepts
 */
struct bpipe_features {
	__u64 features;
	__u64 config_mask;
	__u64 reader_mask;
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

/**
 * struct bpipe_config - how a channel is set up
 * @mask: SET_CONFIG: which fields to set, BPIPE_CFG_* bits; the others are
 *	ignored. GET_CONFIG: which fields this module can set.
 * @size: capacity in bytes, BPIPE_SIZE_MIN..BPIPE_SIZE_MAX. Changing it loses
 *	nothing; EBUSY while more is queued than the new size holds.
 * @high: high watermark in bytes, @low < @high <= @size
 * @low: low watermark in bytes. A change of @size alone moves both marks in
 *	proportion.
 * @rate: what writers may write, bytes a second; 0 is without limit
 * @burst: how much may be written at once after an idle spell, in bytes,
 *	at most BPIPE_BURST_MAX; 0 chooses a tenth of a second's worth of @rate
 *	(8 KiB at least) and follows it. Read back, it is what is in force.
 * @mode: enum bpipe_mode
 * @hold: 1: readers without a writer wait for the next one; 0: end-of-file
 * @epipe: 1: writers without a reader get EPIPE and SIGPIPE; 0: they go on
 *	until the buffer is full
 * @pad: zero
 * @name: the channel's name, read only
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
};

#define BPIPE_CONFIG_SIZE_VER0	96

/**
 * struct bpipe_stats - one consistent snapshot of a channel
 * @time_ns: when it was taken, CLOCK_MONOTONIC
 * @level: bytes held now
 * @window: bytes that a writer who comes by may send now; see struct
 *	bpipe_window
 * @queued_bytes: bytes waiting to be read
 * @peak_level: highest level since load or RESET_PEAKS
 * @written_bytes: bytes taken from writers. At every snapshot
 *	written_bytes = read_bytes + queued_bytes.
 * @read_bytes: bytes given to readers
 * @writes: write calls that took at least one byte
 * @reads: read calls that gave at least one byte
 * @again: writes refused with EAGAIN
 * @blocked: times a writer went to sleep for want of space
 * @blocked_ns: time writers have slept for want of space, those who sleep now
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
};

#define BPIPE_STATS_SIZE_VER0	208

/**
 * struct bpipe_window - how much a writer may send now, and why
 * @window: the least of @space and @tokens, without what is kept for writers
 *	that wait, in bytes
 * @space: free bytes in the buffer
 * @tokens: bytes the rate limit lets through now; U64_MAX without a limit
 * @wait_ns: nanoseconds until the rate limit lets through the next PIPE_BUF
 *	bytes (or one burst, if that is less); 0 if it does so now, U64_MAX if a
 *	writer that waits has to go first
 */
struct bpipe_window {
	__u64 window;
	__u64 space;
	__u64 tokens;
	__u64 wait_ns;
};

#define BPIPE_WINDOW_SIZE_VER0	32

/* Bits of struct bpipe_reader.mask: the fields that a SET_READER sets */
#define BPIPE_READER_THRESHOLD	(1ULL << 0)
#define BPIPE_READER_DELAY	(1ULL << 1)

/**
 * struct bpipe_reader - when to wake this open file's sleeping reader
 * @mask: which fields to set, BPIPE_READER_* bits; the others are ignored
 * @threshold: a reader that found nothing is woken when this many bytes are
 *	there, 1..the channel's size; 1 at open. Whatever it is, a reader is
 *	woken when writers are held up or gone.
 * @delay_us: or when data has waited this long, in microseconds, at most
 *	BPIPE_DELAY_MAX; 0 (at open) waits for the threshold however long
 *
 * It governs waking only: a read that finds data returns it, and poll reports
 * it. The idea is that of interrupt coalescing in network drivers.
 */
struct bpipe_reader {
	__u64 mask;
	__u64 threshold;
	__u64 delay_us;
};

#define BPIPE_READER_SIZE_VER0	24

/* Bits of struct bpipe_events.events */
#define BPIPE_EVENT_HIGH	(1U << 0)	/* the level rose to high */
#define BPIPE_EVENT_LOW		(1U << 1)	/* the level fell back to low */

/**
 * struct bpipe_events - what happened since this open file asked last
 * @events: BPIPE_EVENT_* bits since the last GET_EVENTS on this open file; 0 if
 *	nothing happened
 * @state: enum bpipe_state now
 * @level: bytes held now
 * @high_events: as in struct bpipe_stats
 * @low_events: as in struct bpipe_stats
 * @time_ns: when the latest event happened, CLOCK_MONOTONIC; 0 for never
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
};

#define BPIPE_EVENTS_SIZE_VER0	40

#define BPIPE_IOC_MAGIC		0xBB

/**
 * DOC: Commands
 *
 * Any opener may use them, on a file opened in any way (also with access mode
 * 3, which counts neither as reader nor as writer), except where said.
 *
 * BPIPE_GET_FEATURES: what the module can do. May not sleep.
 *
 * BPIPE_SET_CONFIG: set all the fields in @mask or none. For the node's owner
 * and CAP_SYS_ADMIN (EPERM). EINVAL: the result would not keep
 * low < high <= size, or a field is out of range; EOPNOTSUPP: a mask bit or a
 * mode that is not known; EBUSY: more is queued than the new size holds;
 * ENOMEM: no memory for the new buffer, in all or in the caller's memory
 * cgroup; ENOSPC: the module-wide cap on memory is reached. Sleepers and
 * pollers look again at once.
 *
 * BPIPE_GET_CONFIG: the configuration in force.
 *
 * BPIPE_GET_STATS: one snapshot. May sleep.
 *
 * BPIPE_GET_WINDOW: how much may be sent now.
 *
 * BPIPE_RESET_PEAKS: peak_level becomes the level. Same right as SET_CONFIG.
 *
 * BPIPE_SET_READER: wake threshold and delay. EBADF: not open for reading.
 *
 * BPIPE_GET_EVENTS: fetch and clear this open file's events.
 *
 * FIONREAD gives the bytes that can be read, as an int.
 */
#define BPIPE_GET_FEATURES	_IOR(BPIPE_IOC_MAGIC, 0x00, struct bpipe_features)
#define BPIPE_SET_CONFIG	_IOW(BPIPE_IOC_MAGIC, 0x01, struct bpipe_config)
#define BPIPE_GET_CONFIG	_IOR(BPIPE_IOC_MAGIC, 0x02, struct bpipe_config)
#define BPIPE_GET_STATS		_IOR(BPIPE_IOC_MAGIC, 0x03, struct bpipe_stats)
#define BPIPE_GET_WINDOW	_IOR(BPIPE_IOC_MAGIC, 0x04, struct bpipe_window)
#define BPIPE_RESET_PEAKS	_IO(BPIPE_IOC_MAGIC, 0x05)
#define BPIPE_SET_READER	_IOW(BPIPE_IOC_MAGIC, 0x06, struct bpipe_reader)
#define BPIPE_GET_EVENTS	_IOR(BPIPE_IOC_MAGIC, 0x07, struct bpipe_events)

#endif /* _UAPI_LINUX_BPIPE_H */
