/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Structures that the files of the module share, and helpers that need only their fields. lock.h
 * has the functions that take the locks.
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

/* Most bytes copied in one piece under a side's lock. Other tasks may run after each piece. */
#define BPIPE_CHUNK	(256 * 1024)

/* Most sleepers of a side that are woken for one hold of the channel's lock. */
#define BPIPE_WAKE_MAX	16

/* A poll_level below all others: notify no poller of room. */
#define BPIPE_POLL_NONE	S64_MIN

/* Flags of a call, for when it cannot go on at once: */
#define BPIPE_NONBLOCK	0x1	/* do not wait for the other side: O_NONBLOCK */
#define BPIPE_NOWAIT	0x2	/* do not sleep at all: IOCB_NOWAIT; only with BPIPE_NONBLOCK */
#define BPIPE_NOSIGNAL	0x4	/* no SIGPIPE: IOCB_NOSIGNAL */

/**
 * struct bpipe_band - data and counters of one class of a channel
 * @ring: the bytes; in record mode, each record behind its struct bpipe_frame. It has storage
 *	only while the class needs it. wr.lock protects the head, rd.lock the tail,
 *	channel.lock the storage.
 * @writers: open files that are or were of that class. Protected by channel.lock; grows with
 *	channel.config held too.
 * @held: bytes in it, with the overhead of records, 0..channel.flow.size; 0 in a stream.
 *	Protected by channel.lock.
 * @storage: bytes that the buffer of @ring takes, whole pages; 0 without one. Protected by
 *	channel.lock.
 * @written: bytes and records from writers; in a stream, those before the last change of the
 *	mode, see bpipe_band_end_stream_locked(). Protected by channel.lock.
 * @dropped: part of @written that was dropped, by enum bpipe_drop; protected by channel.lock
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
 * @asleep: sleepers (struct bpipe_waiter): writers by class and ticket; readers by threshold,
 *	all in asleep[0]. channel.lock protects this and the fields below.
 * @rate_waiters: sleepers that lack tokens: a writer those of its open file, a reader those of
 *	the readers' rate limit
 * @sleepers: all sleepers, in the order in which they fell asleep
 * @places: writers of each class that wait, asleep or not
 * @waiting: a bit for each class with @places; a writer reads it without the lock
 * @reserved: sum of the reservations of each class's sleepers
 * @released: a bit for each class whose gate is closed: other classes may use the
 *	reservations of its sleepers, except room
 * @woken: sleepers that were woken and have not looked again
 * @poll: wait queue of pollers; a poller queues before it takes channel.lock to look
 * @wake_all_reasons: number of reasons to wake all pollers, because not all of them can go on.
 *	Of writers: files with their own rate, and 1 if limits differ or a rate or credit is
 *	set. Of readers: files with a delay.
 * @fasync: files that want SIGIO; changed by fasync_helper(), which has its own lock
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
 * struct bpipe_notice - pollers of a side to notify; protected by channel.lock
 * @events: EPOLL* bits for one exclusive poller and all pollers that are not exclusive; 0 for
 *	none
 * @each: notify each exclusive poller of @events, not one
 * @all: notify all pollers, of all events
 */
struct bpipe_notice {
	__poll_t events;
	bool each;
	bool all;
};

/**
 * struct bpipe_wakeups - wake-ups that are due once channel.lock is dropped; protected by
 *	channel.lock
 * @any: a task or a poller has to be woken
 * @tasks: number of tasks to wake, 0..BPIPE_WAKE_MAX
 * @writers: number of admitted writers in @task, 0..BPIPE_WAKE_MAX
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
 * struct bpipe_settings - settings of a channel, except those in its flow and its overload
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
 * The settings change with channel.config, both sides' locks and channel.lock held. Any of these
 * locks is enough to read them.
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
 * struct bpipe_overload - overload alarm of a channel, and stalls of its writers; protected by
 *	channel.lock
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
 * @some: share of the time in which a writer stalls, that is, sleeps because it lacks room or
 *	credit
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
 * enum bpipe_life - state of a channel between creation and removal
 * @BPIPE_LIFE_USABLE: all calls work
 * @BPIPE_LIFE_DRAINING: writes fail; the channel is removed once it is empty and not open
 * @BPIPE_LIFE_GONE: no node and no storage are left, only what open files need
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
 * @band: its data, by class; a stream is in the band of class 0. NULL for a class that has had
 *	no writer so far. Set once, with @config and @lock held.
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
 * @lock: protects the fields below, unless they say otherwise, and fields of struct bpipe_side
 *	and struct bpipe_band that say so
 * @stream_from: bytes that had gone in before the stream began. The counts of the band do not
 *	include later bytes.
 * @flow: the gates, the rate limits and the credit. The settings, the writers' rate limit and
 *	the credit change with wr.lock held too, so a writer reads them with wr.lock alone.
 *	The readers' rate limit changes with rd.lock held too. The last reader ends the credit
 *	without wr.lock.
 * @life: usable, draining or gone; changes with @config and both sides' locks held too
 * @set: its other settings
 * @record_files: open files with settings that a stream does not have
 * @writer_opens: times that a writer opened the channel
 * @reader_opens: times that a reader opened the channel
 * @wake: tasks and pollers to wake once @lock is dropped
 * @records: records held
 * @tickets: places given out in the writers' queue
 * @sleeps: times that a reader or writer fell asleep
 * @delays: sleeping readers whose file has a delay, by the delay
 * @file_thresholds: open files of readers, by threshold
 * @file_delays: open files of readers with a delay, by the delay
 * @poll_level: notify pollers of the writers' side when the level is at this or below, bytes;
 *	-1: when less is reserved; BPIPE_POLL_NONE: not
 * @retry_gen: starts at 1, and grows when a write that lacked tokens or credit may succeed. The
 *	causes are a grant, new settings, and a reservation that ended.
 * @counts: refusals and sleeps, also in bpipe_file.counts
 * @high_events: times that the level rose to high
 * @low_events: times that the level fell back to low
 * @event_ns: time of the latest of @high_events, @low_events and overload.events, nanoseconds
 * @state_since: time of the last change of the state, nanoseconds
 * @events_fasync: files of neither side that want SIGIO; changed by fasync_helper(), which has
 *	its own lock
 * @events_sigio: work that sends SIGIO to @events_fasync
 * @overload: overload alarm, and stalls of the writers
 * @notify: work that wakes pollers of the attribute "state"
 * @notify_from: earliest time of the next such wake-up, jiffies
 * @delay: timer that wakes readers when data has waited for their delay
 * @expiry: work that drops expired records
 * @expiry_at: time for which @expiry is scheduled, nanoseconds; U64_MAX for none
 * @status: the status page; NULL without @status_files
 * @status_files: open status files, including closed files that are still mapped
 * @status_poll: wait queue of pollers of status files; woken once, when @life changes to gone
 * @opens: open files, and writes to attributes in sysfs
 * @id: as in struct bpipe_config; does not change
 * @reaper: work to schedule when a draining channel is empty and not open; does not change
 * @node: in the list of channels; protected by the lock of control.c
 * @config: serialises changes of the configuration, and claims on classes. No buffer is
 *	allocated with it held.
 * @memory: account of the buffers' memory; protected by the lock of buffer.c
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
 * struct bpipe_reader_settings - settings of an open file by SET_READER
 * @threshold_node: in the channel's file_thresholds
 * @delay_node: in the channel's file_delays, if @delay_ns is not 0
 * @threshold: level at which readers of the file are woken, bytes, 1..flow.size
 * @delay_ns: age of the data at which readers are woken below @threshold, nanoseconds; 0 for
 *	never
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
 * struct bpipe_writer_settings - settings of an open file by SET_WRITER
 * @class: class of its writes, 0..7
 * @classes: a bit for each class that the file ever had: a write keeps the class it began with
 * @policy: enum bpipe_policy; BPIPE_POLICY_CHANNEL for the channel's policy and timeout
 * @timeout_ns: longest sleep of a write, nanoseconds, 0..BPIPE_TIMEOUT_MAX; 0 for no limit. Not
 *	used with BPIPE_POLICY_CHANNEL.
 * @rate: its own rate limit, bytes
 * @burst_follows: the burst was not set and follows the rate
 *
 * Protected by the channel's lock. All but @classes change with wr.lock held too, so that a
 * writer needs only wr.lock to read them.
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
 * @nr_restarts: number of @restarts, 0..BPIPE_RESTARTS_MAX; read without the lock by a caller
 *	that may find its own deadline there
 * @id: number of the file, unique until the module is unloaded; does not change
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
 * @refused_until: time at which the tokens will be there, nanoseconds; U64_MAX if not known,
 *	and for credit
 * @refused_len: length of its last write, bytes, if that write was atomic and was refused
 *	because it lacked room; else 0
 * @contended: a write with BPIPE_NOWAIT found a side's lock taken, and no write of the file
 *	has been refused since. Set without a lock.
 * @listens: events are kept for this file
 * @high_seen: the channel's high_events when GET_EVENTS last returned them to this file
 * @low_seen: the channel's low_events at that time
 * @overload_seen: the channel's overload.events at that time
 * @written: bytes and records written here; protected by wr.lock, see struct bpipe_tally
 * @dropped: part of @written that was dropped at once; protected by wr.lock and @ch's lock
 * @read: bytes and records read here; protected by rd.lock, see struct bpipe_tally
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

/* Return the state of a channel. Called with the channel's lock held. */
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
 * bpipe_channel_window_locked() - get the number of bytes that a writer may write now
 * @ch: the channel
 * @who: the writer, as for bpipe_flow_window()
 * @level: bytes held, with the overhead of records
 * @now: the time, nanoseconds
 *
 * Context: called with the channel's lock held.
 * Return: bytes; 0 if the channel drains or is gone.
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
 * bpipe_channel_reap_locked() - schedule the reaper if a draining channel is empty and not open
 * @ch: the channel, which has lost an open file or a record
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
 * @account: reason of the sleep
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
 * @account: reason of the sleep
 * @since: time at which the sleep began, nanoseconds
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
 * @account: reason of the sleep that the call would have needed
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
