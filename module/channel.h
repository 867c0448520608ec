/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_CHANNEL_H
#define BPIPE_CHANNEL_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/spinlock.h>

#include "flow.h"
#include "ring.h"
#include "stats.h"
#include "uapi/linux/bpipe.h"

struct iov_iter;

/**
 * struct bpipe_side - the writers' or the readers' side of a channel
 * @lock: owner of this end of the ring. Held over the copy, with page faults
 *	disabled, so never for longer than the copy takes.
 * @traffic: what went through, guarded by @lock
 * @waiters: sleepers (struct bpipe_waiter), first come first; guarded by the
 *	channel's lock, as is all below
 * @poll: pollers
 * @fasync: those who want SIGIO
 * @timer: wakes for tokens (writers), or data that waited long enough (readers)
 * @open: open files
 * @wakeups: sleepers woken
 */
struct bpipe_side {
	struct mutex lock;
	struct bpipe_traffic traffic;
	struct list_head waiters;
	wait_queue_head_t poll;
	struct fasync_struct *fasync;
	struct hrtimer timer;
	unsigned int open;
	u64 wakeups;
};

/**
 * struct bpipe_channel - one bounded queue with its device node
 * @ring: the bytes
 * @wr: the writers' side
 * @rd: the readers' side
 * @trip_up: a writer that brings the level to this or above has to settle
 * @trip_down: a reader that brings it to this or below has to settle; -1 for
 *	never. Both change under @lock and are read without it.
 * @lock: guards what follows, and what struct bpipe_side says
 * @flow: the gate and the rate limit. Its settings and its bucket change with
 *	@wr.lock held too, so that a writer can read them under that alone.
 * @mode: enum bpipe_mode
 * @hold: no end-of-file for readers without a writer; as @epipe, changes with
 *	both sides' locks held too
 * @epipe: EPIPE for writers without a reader
 * @burst_follows: the burst was not set and follows the rate
 * @files: open files (struct bpipe_file)
 * @writer_opens: times a writer opened
 * @again: writes refused with EAGAIN
 * @blocked: writers' sleep for want of space
 * @throttled: writers' sleep and refusals for want of tokens
 * @starved: readers' sleep for want of data
 * @high_events: times the level rose to high
 * @low_events: times it fell back to low
 * @event_ns: when the latest of these happened
 * @state_since: when the state was entered
 * @peak: highest level, guarded by @wr.lock
 * @config: serialises changes of the configuration
 * @dev: the device, which owns the channel's lifetime
 * @cdev: its character device
 */
struct bpipe_channel {
	struct bpipe_ring ring;
	struct bpipe_side wr ____cacheline_aligned_in_smp;
	size_t peak;
	struct bpipe_side rd ____cacheline_aligned_in_smp;
	unsigned long trip_up ____cacheline_aligned_in_smp;
	long trip_down;
	spinlock_t lock;
	struct bpipe_flow flow;
	u32 mode;
	bool hold;
	bool epipe;
	bool burst_follows;
	struct list_head files;
	u64 writer_opens;
	u64 again;
	struct bpipe_delay blocked;
	struct bpipe_delay throttled;
	struct bpipe_delay starved;
	u64 high_events;
	u64 low_events;
	u64 event_ns;
	u64 state_since;
	struct mutex config;
	struct device dev;
	struct cdev cdev;
};

/**
 * struct bpipe_file - one open file of a channel
 * @ch: the channel
 * @node: in the channel's @files; guarded by its lock, as is all below but
 *	the traffic
 * @mode: FMODE_READ, FMODE_WRITE, both, or none
 * @read_any: a read has returned data; set with rd.lock held too, so that either
 *	is enough to look
 * @opens_before: the channel's writer_opens when this file was opened, not
 *	counting a writer that was there
 * @threshold: wake this file's readers at so many bytes
 * @delay_ns: or when data has waited so long; 0 for never
 * @listens: events are kept for this file
 * @high_seen: the channel's high_events as last told to this file
 * @low_seen: the channel's low_events, likewise
 * @written: what was written here, guarded by the writers' lock
 * @read: what was read here, guarded by the readers' lock
 * @again: writes refused with EAGAIN
 * @blocked: sleep for want of space
 * @throttled: sleep and refusals for want of tokens
 * @starved: sleep for want of data
 */
struct bpipe_file {
	struct bpipe_channel *ch;
	struct list_head node;
	fmode_t mode;
	bool read_any;
	u64 opens_before;
	u64 threshold;
	u64 delay_ns;
	bool listens;
	u64 high_seen;
	u64 low_seen;
	struct bpipe_traffic written;
	struct bpipe_traffic read;
	u64 again;
	struct bpipe_delay blocked;
	struct bpipe_delay throttled;
	struct bpipe_delay starved;
};

static inline bool bpipe_is_writer(const struct bpipe_file *bf)
{
	return bf->mode & FMODE_WRITE;
}

static inline bool bpipe_is_reader(const struct bpipe_file *bf)
{
	return bf->mode & FMODE_READ;
}

/* How a caller wants to be treated when nothing can be done at once: */
#define BPIPE_NONBLOCK	0x1	/* do not wait for the other side: O_NONBLOCK */
#define BPIPE_NOWAIT	0x2	/* do not sleep at all: IOCB_NOWAIT; with the former */
#define BPIPE_NOSIGNAL	0x4	/* no SIGPIPE: IOCB_NOSIGNAL */

struct bpipe_channel *bpipe_channel_create(const char *name, dev_t devt, u64 size);
void bpipe_channel_destroy(struct bpipe_channel *ch);
void bpipe_channel_drain(void);

struct bpipe_file *bpipe_channel_open(struct bpipe_channel *ch, fmode_t mode);
void bpipe_channel_release(struct bpipe_file *bf);

ssize_t bpipe_channel_write(struct bpipe_file *bf, struct iov_iter *from, unsigned int how);
ssize_t bpipe_channel_read(struct bpipe_file *bf, struct iov_iter *to, unsigned int how);
__poll_t bpipe_channel_poll(struct bpipe_file *bf, struct file *file, poll_table *wait);
int bpipe_channel_fasync(struct bpipe_file *bf, int fd, struct file *file, int on);

void bpipe_channel_events(struct bpipe_file *bf, struct bpipe_events *events);
bool bpipe_channel_events_told(struct bpipe_file *bf, const struct bpipe_events *events);

extern struct class bpipe_class;
extern const struct file_operations bpipe_fops;
extern const struct attribute_group *bpipe_channel_groups[];
extern const struct attribute_group *bpipe_class_groups[];

long bpipe_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
bool bpipe_file_may_configure(const struct file *file);

#endif /* BPIPE_CHANNEL_H */
