/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The structures that the files of the module share, and what follows from their fields
 * alone. The locks that protect the fields are in lock.h.
 */
#ifndef BPIPE_TYPES_H
#define BPIPE_TYPES_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "account.h"
#include "buffer.h"
#include "flow.h"
#include "level.h"
#include "pressure.h"
#include "ring.h"
#include "sojourn.h"
#include "uapi/linux/bpipe.h"

struct page;

/* Bytes copied in one go under a side's lock, so that others get their turn. */
#define BPIPE_CHUNK	(256 * 1024)

/* Sleepers of a side that are woken for one hold of the channel's lock, at most. */
#define BPIPE_WAKE_MAX	16

/* No writer is to be notified of room. */
#define BPIPE_POLL_NONE	S64_MIN

/* How a caller wants to be treated when nothing can be done at once: */
#define BPIPE_NONBLOCK	0x1	/* do not wait for the other side: O_NONBLOCK */
#define BPIPE_NOWAIT	0x2	/* do not sleep at all: IOCB_NOWAIT; with the former */
#define BPIPE_NOSIGNAL	0x4	/* no SIGPIPE: IOCB_NOSIGNAL */

/**
 * struct bpipe_band - what a channel holds of one class
 * @ring: the bytes; of records, each behind its struct bpipe_frame. Without
 *	storage while there is no use for it.
 * @writers: open files that are or were of that class; grows under the channel's
 *	config lock, and is guarded by the channel's lock, as is @held
 * @held: bytes in it, with overhead; 0 in a stream
 * @storage: bytes that the buffer of @ring takes, whole pages; 0 without one. Guarded by
 *	the channel's lock.
 * @written: bytes and records that came from writers; of a stream, see
 *	bpipe_band_end_stream_locked(). Guarded by the channel's lock, as are @dropped and
 *	@read.
 * @dropped: what of it was dropped, by enum bpipe_drop
 * @lost_before: records dropped since the last one that was stored, guarded by the
 *	writers' lock
 * @read: bytes and records that went to readers
 * @lost: records dropped since the last one that was read, guarded by the readers' lock
 * @sojourn: whether they wait for too long, likewise
 */
struct bpipe_band {
	struct bpipe_ring ring;
	unsigned int writers;
	u64 held;
	size_t storage;
	struct bpipe_count written;
	struct bpipe_count dropped[BPIPE_DROP_REASONS];
	u64 lost_before;
	struct bpipe_count read;
	u64 lost;
	struct bpipe_sojourn sojourn;
};

/**
 * struct bpipe_side - the writers' or the readers' side of a channel
 * @lock: owner of this end of the bands' rings. Held over the copy, with page
 *	faults disabled, so never for longer than the copy takes.
 * @calls: calls that moved at least one byte, as in struct bpipe_tally
 * @asleep: sleepers (struct bpipe_waiter): writers by class and ticket; readers, in
 *	the first, by threshold. The channel's lock guards this and the fields below.
 * @rate_waiters: sleepers who wait for tokens of their own file, or of the readers
 * @sleepers: all of these, in the order in which they fell asleep
 * @places: writers of each class that wait, asleep or not
 * @waiting: a bit for each class in which there are some; read without the lock
 * @reserved: what those of a class that are asleep have reserved
 * @woken: sleepers woken that have not looked yet
 * @poll: pollers
 * @wake_all_reasons: how many reasons there are for some to be admitted and others not
 * @fasync: those who want SIGIO
 * @sigio: sends it
 * @tokens: wakes for tokens
 * @open: open files
 * @wakeups: sleepers woken
 */
struct bpipe_side {
	struct mutex lock;
	u64_stats_t calls;
	struct rb_root_cached asleep[BPIPE_CLASSES];
	struct list_head rate_waiters;
	struct list_head sleepers;
	unsigned int places[BPIPE_CLASSES];
	u32 waiting;
	struct bpipe_need reserved[BPIPE_CLASSES];
	unsigned int woken;
	wait_queue_head_t poll;
	unsigned int wake_all_reasons;
	struct fasync_struct *fasync;
	struct work_struct sigio;
	struct hrtimer tokens;
	unsigned int open;
	u64 wakeups;
};

/**
 * struct bpipe_notice - which pollers of a side to notify
 * @events: EPOLL* bits: one exclusive poller, and all others
 * @all: all, whatever they wait for
 */
struct bpipe_notice {
	__poll_t events;
	bool all;
};

/**
 * struct bpipe_wakeups - what to do once the channel's lock is dropped
 * @any: anything
 * @tasks: how many tasks to wake
 * @writers: how many of them are writers whose turn has come
 * @task: the tasks, each with a reference
 * @wr: pollers of the writers' side
 * @rd: pollers of the readers' side
 */
struct bpipe_wakeups {
	bool any;
	unsigned int tasks;
	unsigned int writers;
	struct task_struct *task[BPIPE_WAKE_MAX];
	struct bpipe_notice wr;
	struct bpipe_notice rd;
};

/**
 * struct bpipe_share - a level as it was set, in proportion to the size
 * @part: the level, 0..@of bytes
 * @of: the channel's size when it was set, in bytes
 */
struct bpipe_share {
	u64 part;
	u64 of;
};

/**
 * struct bpipe_settings - how a channel is set up, beside its flow and its overload
 * @mode: enum bpipe_mode
 * @order: enum bpipe_order
 * @policy: enum bpipe_policy
 * @hold: no end-of-file for readers without a writer
 * @epipe: EPIPE for writers without a reader
 * @sheds: one of @ttl_ns and @sojourn_ns is not 0
 * @timeout_ns: how long a write waits; 0 for ever
 * @ttl_ns: of each class, how long a record lives; 0 for ever
 * @sojourn_ns: of each class, how long records should wait at most; 0 for any time
 * @burst_follows: BPIPE_CFG_* bits of bursts that were not set and follow the rate
 * @high: the high mark as it was set; a change of the size works out flow.high from it
 * @low: the low mark as it was set, for flow.low
 * @limit: of each class: the limit as it was set, for flow.limit; a part of 0 for the size
 * @uid: owner of the node, or BPIPE_UNSET
 * @gid: group of the node, or BPIPE_UNSET
 * @permissions: mode bits of the node, 0..0777, or BPIPE_UNSET
 */
struct bpipe_settings {
	u32 mode;
	u32 order;
	u32 policy;
	bool hold;
	bool epipe;
	bool sheds;
	u64 timeout_ns;
	u64 ttl_ns[BPIPE_CLASSES];
	u64 sojourn_ns[BPIPE_CLASSES];
	u64 burst_follows;
	struct bpipe_share high;
	struct bpipe_share low;
	struct bpipe_share limit[BPIPE_CLASSES];
	u32 uid;
	u32 gid;
	u32 permissions;
};

/**
 * struct bpipe_overload - whether a channel is pressured for too long, and how much its
 *	writers suffer; guarded by the channel's lock
 * @after_ns: how long it may be pressured; 0 for any time
 * @active: it has been for longer
 * @off: the channel goes away, and nobody is to be notified any more
 * @notified: what user space was told last
 * @notify_from: when the next uevent may be sent, in jiffies since boot
 * @pressured_since: when it came to be pressured last
 * @events: times it came to be overloaded
 * @alarm_since: when it did so first; 0 if not since the peaks were reset
 * @longest_ns: the longest that a writer has stalled since then
 * @some: a writer stalls: it sleeps for want of room or credit
 * @full: so many do as there are
 * @timer: looks whether it is overloaded
 * @notify: sends uevents, each at least BPIPE_OVERLOAD_PAUSE after the last
 */
struct bpipe_overload {
	u64 after_ns;
	bool active;
	bool off;
	bool notified;
	u64 notify_from;
	u64 pressured_since;
	u64 events;
	u64 alarm_since;
	u64 longest_ns;
	struct bpipe_pressure some;
	struct bpipe_pressure full;
	struct hrtimer timer;
	struct delayed_work notify;
};

/**
 * enum bpipe_life - what there is of a channel
 * @BPIPE_LIFE_USABLE: all of it
 * @BPIPE_LIFE_DRAINING: no writing; it is gone once it is empty and not open
 * @BPIPE_LIFE_GONE: no node and no storage, only what its open files need
 */
enum bpipe_life {
	BPIPE_LIFE_USABLE,
	BPIPE_LIFE_DRAINING,
	BPIPE_LIFE_GONE,
};

/**
 * struct bpipe_channel - one bounded queue with its device node
 * @level: how much it holds, with the overhead of records
 * @band: what it holds, by class; a stream is in that of class 0. NULL for a class
 *	that nobody has used. They appear with @config and @lock held, and stay. Their
 *	storage comes and goes with @lock held, see storage.c.
 * @wr: the writers' side
 * @rd: the readers' side
 * @peak: highest level; changes under @wr.lock and is read without it
 * @seq: number of the next record, guarded by @wr.lock
 * @sojourn: how long the records that were read had waited, guarded by @rd.lock
 * @wake_above: a writer that brings the level to this or above has to update
 * @wake_below: a reader that brings it to this or below has to update; -1 for
 *	never. Both change under @lock and are read without it.
 * @lock: guards what follows, and what struct bpipe_side and struct bpipe_band say
 * @stream_from: in a stream, bytes that had gone in before it began: what has passed since
 *	is not in the counts of its band
 * @flow: the gates, the rate limits and the credit. Its settings, and the writers'
 *	rate limit and credit, change with @wr.lock held too, so that a writer can
 *	read them under that alone; likewise the readers' rate limit with @rd.lock.
 *	But the credit also ends with the last reader, whatever a writer has read.
 * @life: what there is of it; changes with @config and both sides' locks held too
 * @set: what else is set; changes with both sides' locks held too
 * @record_files: open files with settings that a stream does not have
 * @writer_opens: times a writer opened
 * @reader_opens: times a reader opened
 * @wake: whom to wake once @lock is dropped
 * @records: how many records it holds
 * @tickets: places in the writers' queue that were given out
 * @sleeps: times that a reader or writer fell asleep
 * @delays: readers that are asleep and whose file has a delay, by it
 * @file_thresholds: open files of readers, by threshold
 * @file_delays: those that have a delay, by it
 * @poll_level: a writer that does not wait is to be notified once the level is at
 *	this or below; -1: once less is reserved; BPIPE_POLL_NONE if there is none
 * @retry_gen: from 1 on, times that a write that was refused for want of tokens or
 *	credit got a new chance: by a grant, new settings, or another writer's being
 *	the first to wait
 * @again: writes refused with EAGAIN
 * @timeouts: writes that ended with ETIMEDOUT
 * @blocked: writers' sleep for want of space or credit
 * @throttled: writers' sleep and refusals for want of tokens
 * @starved: readers' sleep for want of data
 * @read_throttled: readers' sleep and refusals for want of tokens
 * @high_events: times the level rose to high
 * @low_events: times it fell back to low
 * @event_ns: when the latest of these, or of those of @overload, happened
 * @state_since: when the state was entered
 * @events_fasync: open files that neither read nor write and want SIGIO
 * @events_sigio: sends it
 * @overload: whether it is pressured for too long
 * @notify: wakes those that poll the attribute "state", on the system's workqueue
 * @notify_from: when the next wake-up may be, in jiffies since boot; guarded by @lock
 * @delay: wakes readers for data that waited long enough
 * @expiry: drops records whose time is over
 * @expiry_at: when it will; U64_MAX for never
 * @status: the status page; NULL without @status_files
 * @status_files: open status files, also those that are only mapped
 * @status_poll: pollers of status files; woken once, when @life changes to gone
 * @opens: open files, and writes to attributes in sysfs
 * @id: as in struct bpipe_config; does not change
 * @reaper: work to schedule when a draining channel is empty and not open; does not change
 * @node: in the list of channels, guarded by the lock of that
 * @config: serialises changes of the configuration, and claims on classes. No buffer is
 *	allocated under it.
 * @memory: what the buffers take
 * @allocating: calls that are allocating buffers, guarded by @lock
 * @allocated: such calls that have ended; wraps around. Changes under @lock and is read
 *	without it.
 * @allocators: wait queue of calls that were refused memory while others were @allocating
 * @dev: the device, which owns the channel's lifetime
 * @cdev: its character device
 */
struct bpipe_channel {
	struct bpipe_level level;
	struct bpipe_band *band[BPIPE_CLASSES];
	struct bpipe_side wr ____cacheline_aligned_in_smp;
	size_t peak;
	u64 seq;
	struct bpipe_side rd ____cacheline_aligned_in_smp;
	u64 sojourn[BPIPE_SOJOURN_BUCKETS];
	unsigned long wake_above ____cacheline_aligned_in_smp;
	long wake_below;
	spinlock_t lock;
	u64 stream_from;
	struct bpipe_flow flow;
	enum bpipe_life life;
	struct bpipe_settings set;
	unsigned int record_files;
	u64 writer_opens;
	u64 reader_opens;
	struct bpipe_wakeups wake;
	u64 records;
	u64 tickets;
	u64 sleeps;
	struct rb_root_cached delays;
	struct rb_root_cached file_thresholds;
	struct rb_root_cached file_delays;
	s64 poll_level;
	u64 retry_gen;
	u64 again;
	u64 timeouts;
	struct bpipe_delay blocked;
	struct bpipe_delay throttled;
	struct bpipe_delay starved;
	struct bpipe_delay read_throttled;
	u64 high_events;
	u64 low_events;
	u64 event_ns;
	u64 state_since;
	struct fasync_struct *events_fasync;
	struct work_struct events_sigio;
	struct bpipe_overload overload;
	struct delayed_work notify;
	u64 notify_from;
	struct hrtimer delay;
	struct delayed_work expiry;
	u64 expiry_at;
	struct page *status;
	unsigned int status_files;
	wait_queue_head_t status_poll;
	unsigned int opens;
	u64 id[2];
	struct work_struct *reaper;
	struct list_head node;
	struct mutex config;
	struct bpipe_memory memory;
	unsigned int allocating;
	unsigned int allocated;
	wait_queue_head_t allocators;
	struct device dev;
	struct cdev cdev;
};

/**
 * struct bpipe_file - one open file of a channel
 * @ch: the channel
 * @sleepers: its calls that are asleep. The channel's lock guards this and the fields
 *	below, except @written and @read.
 * @restarts: deadlines of its writes that will be restarted, see restart.c
 * @nr_restarts: how many; read without the lock by the caller that may have one of them
 * @threshold_node: readers: in the channel's file_thresholds
 * @delay_node: readers with a delay: in the channel's file_delays
 * @id: its number, which no other open file of the module has
 * @mode: FMODE_READ, FMODE_WRITE, both, or none
 * @read_any: a read has returned data; set with rd.lock held too, so that either
 *	is enough to look
 * @opens_before: the channel's writer_opens when this file was opened, not
 *	counting a writer that was there
 * @readers_before: the channel's reader_opens when this file was opened, not
 *	counting a reader that was there
 * @threshold: wake this file's readers at so many bytes
 * @delay_ns: or when data has waited so long; 0 for never
 * @framed: reads give frames; changes with rd.lock held too
 * @class: of its writes; as @policy, @timeout_ns and @rate, changes with wr.lock
 *	held too
 * @classes: a bit for each class that it ever had: a write that has begun keeps the
 *	one it began with
 * @policy: enum bpipe_policy
 * @timeout_ns: how long its writes wait, if the policy is its own; 0 for ever
 * @rate: its own rate limit
 * @burst_follows: the burst was not set and follows the rate
 * @refused_gen: the channel's retry_gen when its last write was refused for want of tokens
 *	or credit; 0 if it was not
 * @refused_until: when there will be the tokens, nanoseconds; U64_MAX for credit
 * @refused_len: length of its last write, if that was refused because it lacked room; else 0
 * @listens: events are kept for this file
 * @high_seen: the channel's high_events as last told to this file
 * @low_seen: the channel's low_events, likewise
 * @overload_seen: the channel's times of overload, likewise
 * @written: what was written here
 * @dropped: what of it was dropped at once
 * @read: what was read here
 * @again: writes refused with EAGAIN
 * @timeouts: writes that ended with ETIMEDOUT
 * @blocked: sleep for want of space or credit
 * @throttled: sleep and refusals of writers for want of tokens
 * @starved: sleep for want of data
 * @read_throttled: sleep and refusals of readers for want of tokens
 */
struct bpipe_file {
	struct bpipe_channel *ch;
	struct list_head sleepers;
	struct list_head restarts;
	unsigned int nr_restarts;
	struct rb_node threshold_node;
	struct rb_node delay_node;
	u64 id;
	fmode_t mode;
	bool read_any;
	u64 opens_before;
	u64 readers_before;
	u64 threshold;
	u64 delay_ns;
	bool framed;
	u32 class;
	u32 classes;
	u32 policy;
	u64 timeout_ns;
	struct bpipe_bucket rate;
	bool burst_follows;
	u64 refused_gen;
	u64 refused_until;
	u64 refused_len;
	bool listens;
	u64 high_seen;
	u64 low_seen;
	u64 overload_seen;
	struct bpipe_tally written;
	struct bpipe_count dropped;
	struct bpipe_tally read;
	u64 again;
	u64 timeouts;
	struct bpipe_delay blocked;
	struct bpipe_delay throttled;
	struct bpipe_delay starved;
	struct bpipe_delay read_throttled;
};

static inline bool bpipe_is_writer(const struct bpipe_file *bf)
{
	return bf->mode & FMODE_WRITE;
}

static inline bool bpipe_is_reader(const struct bpipe_file *bf)
{
	return bf->mode & FMODE_READ;
}

static inline bool bpipe_is_record(const struct bpipe_channel *ch)
{
	return ch->set.mode == BPIPE_MODE_RECORD;
}

/* Called with the channel's lock held. */
static inline enum bpipe_state bpipe_channel_state_locked(const struct bpipe_channel *ch)
{
	lockdep_assert_held(&ch->lock);
	if (unlikely(ch->life == BPIPE_LIFE_GONE))
		return BPIPE_STATE_GONE;
	if (!ch->flow.pressured)
		return BPIPE_STATE_NORMAL;
	return ch->overload.active ? BPIPE_STATE_OVERLOADED : BPIPE_STATE_PRESSURED;
}

/**
 * bpipe_channel_window_locked() - how much a writer may send now
 * @ch: the channel
 * @who: the writer, as for bpipe_flow_window()
 * @level: bytes held
 * @now: the time, nanoseconds
 *
 * Context: called with the channel's lock held.
 * Return: bytes; 0 once the channel is removed.
 */
static inline u64 bpipe_channel_window_locked(const struct bpipe_channel *ch,
					      const struct bpipe_request *who, u64 level, u64 now)
{
	lockdep_assert_held(&ch->lock);
	if (unlikely(ch->life != BPIPE_LIFE_USABLE))
		return 0;
	return bpipe_flow_window(&ch->flow, who, level, now);
}

/* Return true if the file has a setting that a stream does not have. */
static inline bool bpipe_file_for_records(const struct bpipe_file *bf)
{
	return bf->framed || bf->policy == BPIPE_POLICY_DROP_OLDEST;
}

/**
 * bpipe_channel_reap_locked() - see to the end of a channel that may have drained
 * @ch: the channel, which lost an open file or a record
 *
 * Context: called with the channel's lock held.
 */
static inline void bpipe_channel_reap_locked(struct bpipe_channel *ch)
{
	lockdep_assert_held(&ch->lock);
	if (unlikely(ch->life == BPIPE_LIFE_DRAINING) && !ch->opens &&
	    !bpipe_level_now(&ch->level))
		schedule_work(ch->reaper);
}

#endif /* BPIPE_TYPES_H */
