/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bpipe(4) promises, as a program: slow, obvious, and made from the manual
 * page and <linux/bpipe.h> alone.
 *
 * A model is a plain value: a channel, its open files, and the processes in
 * the middle of a call. A call is a chain of steps, and the steps of calls that
 * run at the same time can come in any order; model_explore() tries all of
 * them. So where the promise leaves freedom, there is a set of models, and
 * what the device did has to be in it. The freedom there is:
 *
 * - Who runs first of several who were woken. This decides what they get.
 * - A read with room left goes on if a writer was quick, or ends.
 * - Pressure that comes and goes while a writer returns may go unnoticed, as
 *   may a peak.
 * - A call with RWF_NOWAIT may be short, or EAGAIN and not counted, not to wait for a
 *   lock.
 *
 * Time is not modelled. What is over after a time, a delay, a record's time to live, or
 * pressure that may not last, is a step that comes at any moment, or never: a time is
 * short, below MODEL_SHORT_NS, or endless. Rates are without limit, or so high that
 * nobody notices. What a threshold does to poll is not modelled.
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

/*
 * Bytes @from to @from + @len of the write that is called @id; of records, with what
 * their frame says.
 */
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
	uint8_t calls;		/* that use it now */
	bool reader;
	bool writer;
	bool nonblock;
	bool seen;		/* data or a writer, since it was opened */
	bool seen_reader;	/* since it was opened */
	bool listens;
	bool framed;
	bool refused;		/* its last write, as it lacked credit */
	uint8_t class;
	uint8_t classes;	/* a bit for each that it ever had */
	uint8_t policy;
	uint64_t high_seen;
	uint64_t low_seen;
	uint64_t overload_seen;
	uint64_t threshold;
	uint64_t delay_us;
	uint64_t refused_len;	/* its last write, as it lacked room; or 0 */
	uint64_t written_bytes, written_records, writes, again, blocked;
	uint64_t dropped_bytes, dropped_records;
	uint64_t read_bytes, read_records, reads, starved;
};

/* Where a call is. */
enum where {
	IDLE,		/* no call */
	TRY,		/* looks whether it can go on */
	WAIT,		/* could not: says so, looks again, then sleeps or gives up */
	EXPIRE,		/* write: drops records whose time is over, for room */
	EVICT,		/* write: makes room, if it still has to */
	PUT,		/* has put bytes in; the peak may be new */
	MOVED,		/* has moved bytes; others may have to be told */
	MORE,		/* read: is there more? */
	PART,		/* write: has got a part, and gives up its place */
	ASLEEP,
	POLL,		/* sleeps in poll */
	LEAVE,		/* has its result */
	RELEASE,	/* gives its file back */
	DONE,		/* the result is there to be collected */
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
	bool woken;		/* and not queued again or gone since */
	bool admitted;		/* its turn has come */
	bool evicted;		/* others made room for it */
	bool record;		/* a write that began as one */
	bool framed;		/* a read that gives frames */
	bool killed;		/* nobody will collect the result */
	uint8_t wait_reason;	/* enum wait_reason: why a write cannot go on */
	uint8_t class;		/* of a write, as its policy, from its beginning on */
	uint8_t policy;
	bool begun;
	bool sigpipe;
	short events;		/* of a poll */
	uint32_t id;
	uint32_t len;		/* asked for */
	uint32_t moved;
	uint64_t room;		/* that it needs to go on, once it waits */
	uint64_t credit;
	int64_t result;		/* or minus the error */
	uint64_t sum;		/* of what it read; see model_sum() */
};

/* A mark or a limit as it was set, and the size that the channel had then. */
struct share {
	uint64_t part;
	uint64_t of;
};

struct model {
	struct bpipe_config config;
	struct share high, low, limit[BPIPE_CLASSES];	/* as set; in force is what config has */
	uint64_t follows;	/* BPIPE_CFG_*: bursts, and limits, that follow others */
	uint8_t closed;		/* a bit for each class */
	int64_t poll_level;	/* writers that do not wait want room; NO_POLL */
	bool timer;		/* a delay runs */
	bool late;		/* and one before it is over, with nothing done yet */
	bool draining;
	uint64_t seq;
	uint64_t lost_before[BPIPE_CLASSES];	/* dropped since one was stored */
	uint64_t lost[BPIPE_CLASSES];		/* dropped since one was read */
	uint32_t nr_pieces;
	struct piece queue[MODEL_PIECES];
	struct bpipe_stats stats;	/* all but the fields of time, and window */
	struct model_file file[MODEL_FILES];
	struct model_proc proc[MODEL_PROCS];
	uint8_t waiting[2][MODEL_PROCS];	/* places, by enum call, first come first */
	uint8_t nr_waiting[2];
};

/* A set of models: what may be the case now. */
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

/* Content: what byte @at of write @id is, and a sum that tells texts apart. */
unsigned char model_byte(uint32_t id, uint32_t at);
uint64_t model_sum(uint64_t sum, unsigned char byte);

void model_init(struct model *m, const struct bpipe_config *config,
		const struct bpipe_stats *stats);

/* Calls that end at once; 0 or minus the error. */
void model_open(struct model *m, int file, bool reader, bool writer, bool nonblock);
void model_close(struct model *m, int file);
int model_set_config(struct model *m, const struct bpipe_config *set, bool may);
int model_set_reader(struct model *m, int file, const struct bpipe_reader *set);
int model_set_writer(struct model *m, int file, const struct bpipe_writer *set);
int model_grant(struct model *m, int file, uint64_t amount);
int model_reset_peaks(struct model *m, bool may);
void model_drain(struct model *m);
void model_events(struct model *m, int file, struct bpipe_events *events);

/* Calls that may sleep: they begin here, and end in model_explore(). */
void model_begin(struct model *m, int proc, enum call call, int file, uint32_t len,
		 bool nowait, uint32_t id);
void model_begin_poll(struct model *m, int proc, int file, short events);
void model_interrupt(struct model *m, int proc, bool kill);

/* What can be seen. */
short model_poll(const struct model *m, int file);
uint64_t model_space(const struct model *m, unsigned int class);
uint64_t model_window(const struct model *m, unsigned int class);
uint64_t model_readable(const struct model *m);
void model_stats(const struct model *m, struct bpipe_stats *stats);

#endif /* BPIPE_MODEL_H */
