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

/* Notify no writer of room. */
#define BPIPE_POLL_NONE	S64_MIN

/* How a caller wants to be treated when nothing can be done at once: */
#define BPIPE_NONBLOCK	0x1	/* do not wait for the other side: O_NONBLOCK */
#define BPIPE_NOWAIT	0x2	/* do not sleep at all: IOCB_NOWAIT; with the former */
#define BPIPE_NOSIGNAL	0x4	/* no SIGPIPE: IOCB_NOSIGNAL */

/**
 * struct bpipe_band - what a channel holds of one class
 * @ring: the bytes; of records, each behind its struct bpipe_frame. Without storage while
 *	there is no use for it. wr.lock protects the head, rd.lock the tail, channel.lock
 *	the storage.
 * @writers: open files that are or were of that class. Protected by channel.lock; grows with
 *	channel.config held too.
 * @held: bytes in it, with the overhead of records, 0..channel.flow.size; 0 in a stream.
 *	Protected by channel.lock.
 * @storage: bytes that the buffer of @ring takes, whole pages; 0 without one. Protected by
 *	channel.lock.
 * @written: bytes and records from writers; in a stream, those before the last change of the
 *	mode, see bpipe_band_end_stream_locked(). Protected by channel.lock.
 * @dropped: what of @written was dropped, by enum bpipe_drop; protected by channel.lock
 * @lost_before: records dropped since the last one that was stored; protected by wr.lock
 * @read: bytes and records that went to readers, as @written; protected by channel.lock
 * @lost: records dropped since the last one that was read; protected by rd.lock
 * @sojourn: state of the sojourn control; protected by rd.lock
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
 * @lock: owner of this end of the bands' rings. Held over a copy of at most BPIPE_CHUNK bytes
 *	or one record, with page faults disabled.
 * @calls: calls that moved at least one byte; protected by @lock, see struct bpipe_tally
 * @asleep: sleepers (struct bpipe_waiter): writers by class and ticket; readers, in the first,
 *	by threshold. channel.lock protects this and the fields below.
 * @rate_waiters: sleepers that wait for tokens of their own file, or of the readers
 * @sleepers: all sleepers, in the order in which they fell asleep
 * @places: writers of each class that wait, asleep or not
 * @waiting: a bit for each class with @places; a writer reads it without the lock
 * @reserved: what the sleepers of each class have reserved
 * @released: a bit for each class whose gate is closed: other classes may use what its
 *	sleepers have reserved, except room
 * @woken: sleepers that were woken and have not looked again
 * @poll: wait queue of pollers; a poller queues before it takes channel.lock to look
 * @wake_all_reasons: reasons to wake all pollers, because not all of them can go on: files
 *	with a separate rate, and 1 if limits differ or a rate or credit is set; of readers,
 *	files with a delay
 * @fasync: files that want SIGIO; changed by fasync_helper() with its own lock
 * @sigio: work that sends SIGIO
 * @tokens: timer that wakes the side when tokens have come in
 * @open: open files; read without the lock where only 0 matters
 * @wakeups: sleepers woken since the channel was made
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
	u32 released;
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
 * struct bpipe_notice - which pollers of a side to notify; protected by channel.lock
 * @events: EPOLL* bits for one exclusive poller and all others; 0 for none
 * @all: notify all pollers, whatever they wait for
 */
struct bpipe_notice {
	__poll_t events;
	bool all;
};

/**
 * struct bpipe_wakeups - what to do once channel.lock is dropped, which protects it
 * @any: there is something to do
 * @tasks: number of tasks to wake, 0..BPIPE_WAKE_MAX
 * @writers: number of them that are writers whose turn has come, 0..BPIPE_WAKE_MAX
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
 * struct bpipe_settings - how a channel is set up, apart from its flow and its overload
 * @mode: enum bpipe_mode
 * @order: enum bpipe_order
 * @policy: enum bpipe_policy, not BPIPE_POLICY_CHANNEL
 * @hold: readers without a writer get no end-of-file
 * @epipe: writers without a reader get EPIPE
 * @sheds: one of @ttl_ns and @sojourn_ns is not 0
 * @timeout_ns: longest sleep of a write, nanoseconds, 0..BPIPE_TIMEOUT_MAX; 0 for no limit
 * @ttl_ns: time to live of a record of each class, nanoseconds, 0..BPIPE_TIMEOUT_MAX; 0 for
 *	no limit
 * @sojourn_ns: target of the sojourn time of each class, nanoseconds, 0..BPIPE_TIMEOUT_MAX;
 *	0 for none
 * @burst_follows: BPIPE_CFG_* bits of bursts that were not set and follow the rate
 * @high: the high mark as it was set; a change of the size derives flow.high from it
 * @low: the low mark as it was set, for flow.low
 * @limit: the limit of each class as it was set, for flow.limit; a part of 0 for the size
 * @uid: owner of the node, or BPIPE_UNSET
 * @gid: group of the node, or BPIPE_UNSET
 * @permissions: mode bits of the node, 0..0777, or BPIPE_UNSET
 *
 * Changes with channel.config, both sides' locks and channel.lock held; any of them is enough
 * to read it.
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
 *	writers stall; protected by channel.lock
 * @after_ns: longest time under pressure, nanoseconds, 0..BPIPE_TIMEOUT_MAX; 0 for no limit
 * @active: the channel has been pressured for longer than @after_ns
 * @off: the channel is being removed: start no timer and no work
 * @notified: @active as of the last uevent
 * @notify_from: earliest time of the next uevent, jiffies
 * @pressured_since: time of the last change to pressured, nanoseconds
 * @events: changes to overloaded
 * @alarm_since: time of the first of @events since the peaks were reset, nanoseconds; 0 for
 *	none
 * @longest_ns: longest stall of a writer since the peaks were reset, nanoseconds
 * @some: share of the time in which a writer stalls: sleeps because it lacks room or credit
 * @full: share of the time in which all writers stall
 * @timer: expires when @after_ns have passed
 * @notify: work that sends uevents, each at least BPIPE_OVERLOAD_PAUSE after the last
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
 * @level: bytes held, with the overhead of records, 0..flow.size. wr.lock protects one end,
 *	rd.lock the other.
 * @band: what it holds, by class; a stream is in that of class 0. NULL for a class without a
 *	writer so far. Set once, with @config and @lock held.
 * @wr: the writers' side
 * @peak: highest level since the peaks were reset, bytes, 0..BPIPE_SIZE_MAX. Protected by
 *	wr.lock, and read without it.
 * @seq: number of the next record, from 0; protected by wr.lock
 * @rd: the readers' side
 * @sojourn: records by the time that they waited, see struct bpipe_stats; protected by
 *	@lock, and changed with rd.lock held too
 * @wake_above: a writer that brings the level to this or above, bytes, calls
 *	bpipe_wait_update(); ULONG_MAX for none. Changes with @lock held, and is read
 *	without it.
 * @wake_below: a reader that brings the level to this or below, bytes, calls
 *	bpipe_wait_update(); -1 for none. Changes with @lock held, and is read without it.
 * @lock: protects the fields below, unless they say otherwise, and what struct bpipe_side and
 *	struct bpipe_band say
 * @stream_from: bytes that had gone in before the stream began. The counts of the band lack
 *	those after it.
 * @flow: the gates, the rate limits and the credit. The settings, the writers' rate limit and
 *	the credit change with wr.lock held too, so that a writer reads them with that alone;
 *	the readers' rate limit changes with rd.lock held too. The last reader ends the
 *	credit without wr.lock.
 * @life: what there is of the channel; changes with @config and both sides' locks held too
 * @set: its other settings
 * @record_files: open files with settings that a stream does not have
 * @writer_opens: times that a writer opened the channel
 * @reader_opens: times that a reader opened the channel
 * @wake: what to wake once @lock is dropped
 * @records: records held
 * @tickets: places given out in the writers' queue
 * @sleeps: times that a reader or writer fell asleep
 * @delays: sleeping readers whose file has a delay, by the delay
 * @file_thresholds: open files of readers, by threshold
 * @file_delays: open files of readers with a delay, by the delay
 * @poll_level: notify pollers of the writers' side when the level is at this or below, bytes;
 *	-1: when less is reserved; BPIPE_POLL_NONE: not
 * @retry_gen: starts at 1, and grows when a write that lacked tokens or credit may succeed: by
 *	a grant, new settings, or a reservation that ended
 * @counts: refusals and sleeps, also in bpipe_file.counts
 * @high_events: times that the level rose to high
 * @low_events: times that the level fell back to low
 * @event_ns: time of the last of these, or of those of @overload, nanoseconds
 * @state_since: time of the last change of the state, nanoseconds
 * @events_fasync: files of neither side that want SIGIO; changed by fasync_helper() with
 *	its own lock
 * @events_sigio: work that sends it
 * @overload: whether it is pressured for too long
 * @notify: work that wakes pollers of the attribute "state"
 * @notify_from: earliest time of the next such wake-up, jiffies
 * @delay: timer that wakes readers when data has waited for their delay
 * @expiry: work that drops expired records
 * @expiry_at: time for which @expiry is scheduled, nanoseconds; U64_MAX for none
 * @status: the status page; NULL without @status_files
 * @status_files: open status files, also if only mapped
 * @status_poll: wait queue of pollers of status files; woken once, when @life changes to gone
 * @opens: open files, and writes to attributes in sysfs
 * @id: as in struct bpipe_config; does not change
 * @reaper: work to schedule when a draining channel is empty and not open; does not change
 * @node: in the list of channels; protected by the lock of control.c
 * @config: serialises changes of the configuration, and claims on classes. No buffer is
 *	allocated with it held.
 * @memory: what the buffers take; protected by the lock of buffer.c
 * @allocating: calls that are allocating buffers
 * @allocated: such calls that have ended; wraps around. Read without the lock.
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
	struct bpipe_counts counts;
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
 * struct bpipe_reader_settings - what SET_READER sets for an open file
 * @threshold_node: in the channel's file_thresholds
 * @delay_node: in the channel's file_delays, if @delay_ns is not 0
 * @threshold: bytes at which readers of the file are woken, from 1 to the channel's size
 * @delay_ns: age of the data at which they are woken below @threshold, nanoseconds; 0 for never
 * @framed: reads return frames; changes with rd.lock held too
 *
 * Protected by the channel's lock.
 */
struct bpipe_reader_settings {
	struct rb_node threshold_node;
	struct rb_node delay_node;
	u64 threshold;
	u64 delay_ns;
	bool framed;
};

/**
 * struct bpipe_writer_settings - what SET_WRITER sets for an open file
 * @class: class of its writes, 0..7
 * @classes: a bit for each class that it ever had: a write keeps the class it began with
 * @policy: enum bpipe_policy; BPIPE_POLICY_CHANNEL for the channel's
 * @timeout_ns: longest sleep of a write, nanoseconds, if @policy is its own; 0 for no limit
 * @rate: its own rate limit, bytes
 * @burst_follows: the burst was not set and follows the rate
 *
 * Protected by the channel's lock. All but @classes change with wr.lock held too, so that a
 * writer reads them with that alone.
 */
struct bpipe_writer_settings {
	u32 class;
	u32 classes;
	u32 policy;
	u64 timeout_ns;
	struct bpipe_bucket rate;
	bool burst_follows;
};

/**
 * struct bpipe_file - one open file of a channel
 * @ch: the channel; does not change
 * @sleepers: its calls that are asleep. The channel's lock protects this and the fields
 *	below, unless they say otherwise.
 * @restarts: deadlines of its writes that will be restarted, see restart.c
 * @nr_restarts: number of @restarts, 0..BPIPE_RESTARTS_MAX; read without the lock by the
 *	caller that may have one of them
 * @id: number of the file, which no other open file of the module has; does not change
 * @mode: FMODE_READ, FMODE_WRITE, both, or none; does not change
 * @read_any: a read has returned data; changes with rd.lock held too
 * @opens_before: the channel's writer_opens when this file was opened, without a writer
 *	that was open then; does not change
 * @readers_before: the channel's reader_opens when this file was opened, without a reader
 *	that was open then; does not change
 * @reader: its settings as a reader
 * @writer: its settings as a writer
 * @refused_gen: the channel's retry_gen when its last write was refused because it lacked
 *	tokens or credit; 0 if it was not
 * @refused_until: time at which the tokens will be there, nanoseconds; U64_MAX for credit
 * @refused_len: length of its last write, bytes, if that was refused because it lacked room;
 *	else 0
 * @contended: a write with BPIPE_NOWAIT found a side's lock taken, and no write of the file
 *	has been refused since. Set without a lock.
 * @listens: events are kept for this file
 * @high_seen: the channel's high_events when GET_EVENTS last returned them to this file
 * @low_seen: the channel's low_events then
 * @overload_seen: the channel's overload.events then
 * @written: what was written here; protected by wr.lock, see struct bpipe_tally
 * @dropped: what of @written was dropped at once
 * @read: what was read here; protected by rd.lock, see struct bpipe_tally
 * @counts: refusals and sleeps, also in bpipe_channel.counts
 */
struct bpipe_file {
	struct bpipe_channel *ch;
	struct list_head sleepers;
	struct list_head restarts;
	unsigned int nr_restarts;
	u64 id;
	fmode_t mode;
	bool read_any;
	u64 opens_before;
	u64 readers_before;
	struct bpipe_reader_settings reader;
	struct bpipe_writer_settings writer;
	u64 refused_gen;
	u64 refused_until;
	u64 refused_len;
	bool contended;
	bool listens;
	u64 high_seen;
	u64 low_seen;
	u64 overload_seen;
	struct bpipe_tally written;
	struct bpipe_count dropped;
	struct bpipe_tally read;
	struct bpipe_counts counts;
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
	__must_hold(&ch->lock)
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
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (unlikely(ch->life != BPIPE_LIFE_USABLE))
		return 0;
	return bpipe_flow_window(&ch->flow, who, level, now);
}

/* Return true if the file has a setting that a stream does not have. */
static inline bool bpipe_file_for_records(const struct bpipe_file *bf)
{
	return bf->reader.framed || bf->writer.policy == BPIPE_POLICY_DROP_OLDEST;
}

/**
 * bpipe_channel_reap_locked() - see to the end of a channel that may have drained
 * @ch: the channel, which lost an open file or a record
 *
 * Context: called with the channel's lock held.
 */
static inline void bpipe_channel_reap_locked(struct bpipe_channel *ch)
	__must_hold(&ch->lock)
{
	lockdep_assert_held(&ch->lock);
	if (unlikely(ch->life == BPIPE_LIFE_DRAINING) && !ch->opens &&
	    !bpipe_level_now(&ch->level))
		schedule_work(ch->reaper);
}

/**
 * bpipe_account_begin_locked() - count a sleep that begins
 * @bf: the open file
 * @account: what it is for
 * @now: the time, nanoseconds
 *
 * Context: called with the channel's lock held.
 */
static inline void bpipe_account_begin_locked(struct bpipe_file *bf, enum bpipe_account account,
					      u64 now)
	__must_hold(&bf->ch->lock)
{
	lockdep_assert_held(&bf->ch->lock);
	bpipe_delay_begin(&bf->ch->counts.delay[account], now);
	bpipe_delay_begin(&bf->counts.delay[account], now);
}

/**
 * bpipe_account_end_locked() - count a sleep that ends
 * @bf: the open file
 * @account: what it was for
 * @since: when it began, nanoseconds
 * @now: the time, nanoseconds
 *
 * Context: called with the channel's lock held.
 */
static inline void bpipe_account_end_locked(struct bpipe_file *bf, enum bpipe_account account,
					    u64 since, u64 now)
	__must_hold(&bf->ch->lock)
{
	lockdep_assert_held(&bf->ch->lock);
	bpipe_delay_end(&bf->ch->counts.delay[account], since, now);
	bpipe_delay_end(&bf->counts.delay[account], since, now);
}

/**
 * bpipe_account_refused_locked() - count a call that was refused instead of put to sleep
 * @bf: the open file
 * @account: what it lacked
 *
 * Context: called with the channel's lock held.
 */
static inline void bpipe_account_refused_locked(struct bpipe_file *bf, enum bpipe_account account)
	__must_hold(&bf->ch->lock)
{
	lockdep_assert_held(&bf->ch->lock);
	bf->ch->counts.delay[account].times++;
	bf->counts.delay[account].times++;
}

/**
 * bpipe_account_again_locked() - count a write that was refused with EAGAIN
 * @bf: the open file
 *
 * Context: called with the channel's lock held.
 */
static inline void bpipe_account_again_locked(struct bpipe_file *bf)
	__must_hold(&bf->ch->lock)
{
	lockdep_assert_held(&bf->ch->lock);
	bf->ch->counts.again++;
	bf->counts.again++;
}

/**
 * bpipe_account_timeout_locked() - count a write that ended with ETIMEDOUT
 * @bf: the open file
 *
 * Context: called with the channel's lock held.
 */
static inline void bpipe_account_timeout_locked(struct bpipe_file *bf)
	__must_hold(&bf->ch->lock)
{
	lockdep_assert_held(&bf->ch->lock);
	bf->ch->counts.timeouts++;
	bf->counts.timeouts++;
}

#endif /* BPIPE_TYPES_H */
