/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bpipe(4) promises, as a program: slow, obvious, and derived from the manual
 * page and <linux/bpipe.h> alone.
 *
 * A model is a plain value: a channel, its open files, and the processes in
 * the middle of a call. A call is a chain of steps. The steps of calls that
 * run at the same time can come in any order, and model_explore() tries all
 * orders. Where the promise leaves freedom, the result is a set of models, and
 * the state of the device must be in that set. The freedom is:
 *
 * - Which of several woken tasks runs first. This decides what each task gets.
 * - A read with room left continues if a writer was quick, or ends.
 * - Pressure that comes and goes while a writer returns may go unnoticed, as
 *   may a peak.
 * - A call with RWF_NOWAIT does not wait for a lock: it may be short, or fail with
 *   EAGAIN without being counted.
 *
 * Time is not modelled. A delay, a record's time to live and a limit of the time under
 * pressure are either short, below MODEL_SHORT_NS, or endless. A short time expires in a
 * step that comes at any moment, or never. A rate is without limit, or so high that it
 * has no effect. The effect of a threshold on poll is not modelled.
 */
#ifndef BPIPE_MODEL_H
#define BPIPE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/bpipe.h>

#define MODEL_SHORT_NS	1000
#define MODEL_NO_POLL	INT64_MIN
#define MODEL_FILES	6
#define MODEL_PROCS	5
#define MODEL_PIECES	100	/* pieces of writes, or records, that can be queued */

/* Bytes @from to @from + @len of the write @id; of a record, also what its frame reports. */
struct piece {
	uint32_t id;
	uint32_t from;
	uint32_t len;
	uint32_t class;
	uint64_t seq;
	uint64_t lost;
};

/* An open file. It lives until it is closed and its last call has ended. */
struct model_file {
	bool fd;		/* not closed */
	uint8_t calls;		/* calls in progress */
	bool reader;
	bool writer;
	bool nonblock;
	bool seen;		/* data or a writer, since the open */
	bool seen_reader;	/* a reader, since the open */
	bool listens;
	bool framed;
	bool refused;		/* the last write lacked credit */
	uint8_t class;
	uint8_t classes;	/* a bit for each class it ever had */
	uint8_t policy;
	uint64_t high_seen;
	uint64_t low_seen;
	uint64_t overload_seen;
	uint64_t threshold;
	uint64_t delay_us;
	uint64_t refused_len;	/* length of the last write, if it lacked room; or 0 */
	uint64_t written_bytes, written_records, writes, again, blocked;
	uint64_t dropped_bytes, dropped_records;
	uint64_t read_bytes, read_records, reads, starved;
};

/* The next step of a call. */
enum where {
	IDLE,		/* no call */
	TRY,		/* checks whether it can go on */
	WAIT,		/* could not: notifies, checks again, then sleeps or gives up */
	EXPIRE,		/* write: drops expired records to make room */
	EVICT,		/* write: evicts records if it still lacks room */
	PUT,		/* has stored bytes; updates the peak */
	MOVED,		/* has moved bytes; updates the marks and wakes */
	MORE,		/* read: checks for more data */
	PART,		/* write: has stored a part, and gives up its place */
	ASLEEP,
	POLL,		/* sleeps in poll */
	LEAVE,		/* has its result */
	RELEASE,	/* drops its reference to the file */
	DONE,		/* the result waits to be collected */
};

enum call {
	READ, WRITE,
};

struct model_proc {
	enum where where;
	enum call call;
	uint8_t file;
	bool nonblock;
	bool nowait;
	bool queued;
	bool woken;		/* and has neither queued again nor left */
	bool admitted;		/* woken in turn, with all it needs reserved */
	bool evicted;		/* has evicted records for its own record */
	bool record;		/* a write that started in record mode */
	bool framed;		/* a read that returns frames */
	bool killed;		/* the result will not be collected */
	uint8_t wait_reason;	/* enum wait_reason: why a write cannot go on */
	uint8_t class;		/* of a write, like its policy: fixed when it starts */
	uint8_t policy;
	bool begun;
	bool sigpipe;
	short events;		/* of a poll */
	uint32_t id;
	uint32_t len;		/* requested */
	uint32_t moved;
	uint64_t room;		/* needed to go on, of a queued write */
	uint64_t credit;
	int64_t result;		/* or a negative error */
	uint64_t sum;		/* of the bytes read; see model_sum() */
};

/* A mark or a limit as it was set, and the channel's size at that time. */
struct share {
	uint64_t part;
	uint64_t of;
};

struct model {
	struct bpipe_config config;
	struct share high, low, limit[BPIPE_CLASSES];	/* as set; config has the values in force */
	uint64_t follows;	/* BPIPE_CFG_*: bursts and limits that follow other settings */
	uint8_t closed;		/* a bit for each class */
	int64_t poll_level;	/* writers that do not wait want room; or MODEL_NO_POLL */
	bool timer;		/* a delay is running */
	bool late;		/* and an earlier one has expired, but was not handled */
	bool draining;
	uint64_t seq;
	uint64_t lost_before[BPIPE_CLASSES];	/* dropped since a record was stored */
	uint64_t lost[BPIPE_CLASSES];		/* dropped since a record was read */
	uint32_t nr_pieces;
	struct piece queue[MODEL_PIECES];
	struct bpipe_stats stats;	/* all but times and the window */
	struct model_file file[MODEL_FILES];
	struct model_proc proc[MODEL_PROCS];
	uint8_t waiting[2][MODEL_PROCS];	/* queues, by enum call, first come first */
	uint8_t nr_waiting[2];
};

/* A set of models: all states that the channel may be in. */
struct models {
	struct model *at;
	size_t nr;
	size_t room;
	uint32_t *slot;		/* a hash table: indices in @at, plus one */
	size_t slots;
};

void models_add(struct models *set, const struct model *m);
void models_free(struct models *set);
bool model_explore(struct models *set);

/* Content: byte @at of write @id, and a checksum that depends on the order of bytes. */
unsigned char model_byte(uint32_t id, uint32_t at);
uint64_t model_sum(uint64_t sum, unsigned char byte);

void model_init(struct model *m, const struct bpipe_config *config,
		const struct bpipe_stats *stats);

/* Calls that end at once; they return 0 or a negative error. */
void model_open(struct model *m, int file, bool reader, bool writer, bool nonblock);
void model_close(struct model *m, int file);
int model_set_config(struct model *m, const struct bpipe_config *set, bool may);
int model_set_reader(struct model *m, int file, const struct bpipe_reader *set);
int model_set_writer(struct model *m, int file, const struct bpipe_writer *set);
int model_grant(struct model *m, int file, uint64_t amount);
int model_reset_peaks(struct model *m, bool may);
void model_drain(struct model *m);
void model_events(struct model *m, int file, struct bpipe_events *events);

/* Calls that may sleep: they start here, and end in model_explore(). */
void model_begin(struct model *m, int proc, enum call call, int file, uint32_t len,
		 bool nowait, uint32_t id);
void model_begin_poll(struct model *m, int proc, int file, short events);
void model_interrupt(struct model *m, int proc, bool kill);

/* What a program can observe. */
short model_poll(const struct model *m, int file);
uint64_t model_space(const struct model *m, unsigned int class);
uint64_t model_window(const struct model *m, unsigned int class);
uint64_t model_readable(const struct model *m);
void model_stats(const struct model *m, struct bpipe_stats *stats);

#endif /* BPIPE_MODEL_H */
