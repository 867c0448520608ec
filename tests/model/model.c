// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define MODELS_MAX	5000

unsigned char model_byte(uint32_t id, uint32_t at)
{
	return (id * 2654435761U + at / 4 * 40503U) >> (at % 4 * 8);
}

uint64_t model_sum(uint64_t sum, unsigned char byte)
{
	return sum * 31 + byte + 1;
}

static bool shut(const struct model *m)
{
	return m->stats.state == BPIPE_STATE_PRESSURED || m->refused;
}

static uint64_t level(const struct model *m)
{
	return m->stats.level;
}

static struct model_proc *first(struct model *m, enum call call)
{
	return m->nr_waiting[call] ? &m->proc[m->waiting[call][0]] : NULL;
}

/* End-of-file, for a reader that finds nothing. */
static bool at_end(const struct model *m, const struct model_file *f)
{
	return !m->stats.writers && !m->config.hold && f->seen;
}

/* The queue of bytes. */

static void put(struct model *m, uint32_t id, uint32_t from, uint32_t len)
{
	m->queue[m->nr_pieces++] = (struct piece) { id, from, len };
	m->stats.level += len;
	m->stats.written_bytes += len;
}

static uint64_t take(struct model *m, uint32_t len, uint64_t sum)
{
	struct piece *p = m->queue;

	m->stats.level -= len;
	m->stats.read_bytes += len;
	for (; len--; p->from++, p->len--) {
		if (!p->len)
			p++;
		sum = model_sum(sum, model_byte(p->id, p->from));
	}
	if (!p->len)
		p++;
	m->nr_pieces -= p - m->queue;
	memmove(m->queue, p, m->nr_pieces * sizeof(*p));
	/* Models are compared byte by byte. */
	memset(m->queue + m->nr_pieces, 0, (MODEL_PIECES - m->nr_pieces) * sizeof(*p));
	return sum;
}

/* Who waits, and who is woken. */

static void queue_remove(struct model *m, struct model_proc *p)
{
	uint8_t *w = m->waiting[p->call], i;

	for (i = 0; &m->proc[w[i]] != p; i++)
		;
	m->nr_waiting[p->call]--;
	memmove(w + i, w + i + 1, m->nr_waiting[p->call] - i);
	w[m->nr_waiting[p->call]] = 0;
}

/* A writer that got something in the meantime goes to the end. */
static void queue_add(struct model *m, struct model_proc *p)
{
	if (p->queued && p->progress)
		queue_remove(m, p);
	if (!p->queued || p->progress)
		m->waiting[p->call][m->nr_waiting[p->call]++] = p - m->proc;
	p->queued = true;
	p->progress = false;
	p->woken = false;
	p->where = ASLEEP;
}

static void wake(struct model *m, struct model_proc *p)
{
	if (p->woken)
		return;
	p->woken = true;
	*(p->call == READ ? &m->stats.wakeups_read : &m->stats.wakeups_write) += 1;
}

static void wake_all(struct model *m, enum call call)
{
	for (int i = 0; i < m->nr_waiting[call]; i++)
		wake(m, &m->proc[m->waiting[call][i]]);
}

/*
 * The first reader that is content with what is there, if none is on its way;
 * with @due, a delay was over. Whoever leaves hands on to the next.
 */
static struct model_proc *next_reader(struct model *m, bool due)
{
	bool now = shut(m) || !m->stats.writers;

	for (int i = 0; level(m) && i < m->nr_waiting[READ]; i++) {
		struct model_proc *p = &m->proc[m->waiting[READ][i]];
		struct model_file *f = &m->file[p->file];

		if (p->woken)
			return NULL;
		if (now || level(m) >= f->threshold || (due && f->delay_us))
			return p;
	}
	return NULL;
}

static void wake_reader(struct model *m, bool due)
{
	struct model_proc *p = next_reader(m, due);

	/* For one who came before that, a delay begins. */
	if (next_reader(m, true) != p)
		m->timer = true;
	if (p)
		wake(m, p);
}

/* The marks, then those who wait for them. */
static void settle(struct model *m, bool due)
{
	struct model_proc *writer = first(m, WRITE);

	if (level(m) >= m->config.high && m->stats.state == BPIPE_STATE_NORMAL) {
		m->stats.state = BPIPE_STATE_PRESSURED;
		m->stats.high_events++;
	} else if (level(m) <= m->config.low) {
		m->stats.low_events += m->stats.state == BPIPE_STATE_PRESSURED;
		m->stats.state = BPIPE_STATE_NORMAL;
		m->refused = false;
	}
	if (writer && !shut(m))
		wake(m, writer);
	wake_reader(m, due);
}

/* Calls that end at once. */

void model_init(struct model *m, const struct bpipe_config *config,
		const struct bpipe_stats *stats)
{
	memset(m, 0, sizeof(*m));
	m->config = *config;
	m->stats = *stats;
	m->burst_follows = true;
}

void model_open(struct model *m, int file, bool reader, bool writer, bool nonblock)
{
	struct model_file *f = &m->file[file];

	memset(f, 0, sizeof(*f));
	f->fd = true;
	f->reader = reader;
	f->writer = writer;
	f->nonblock = nonblock;
	f->threshold = 1;
	f->listens = !reader && !writer;
	f->high_seen = m->stats.high_events;
	f->low_seen = m->stats.low_events;
	m->stats.readers += reader;
	m->stats.writers += writer;
	f->seen = m->stats.writers;
	for (int i = 0; writer && i < MODEL_FILES; i++)
		m->file[i].seen = m->file[i].fd || m->file[i].calls;
}

static void release(struct model *m, struct model_file *f)
{
	m->stats.readers -= f->reader;
	m->stats.writers -= f->writer;
	if (f->reader && !m->stats.readers && m->config.epipe)
		wake_all(m, WRITE);
	if (f->writer && !m->stats.writers)
		wake_all(m, READ);
	settle(m, false);
	memset(f, 0, sizeof(*f));
}

void model_close(struct model *m, int file)
{
	m->file[file].fd = false;
	if (!m->file[file].calls)
		release(m, &m->file[file]);
}

static uint64_t default_burst(uint64_t rate)
{
	uint64_t burst = rate / 10;

	return burst < 8192 ? 8192 : burst > BPIPE_BURST_MAX ? BPIPE_BURST_MAX : burst;
}

int model_set_config(struct model *m, const struct bpipe_config *set, bool may)
{
	struct bpipe_config c = m->config;
	bool follows = m->burst_follows;

	if (!may)
		return -EPERM;
	if (set->mask & ~m->config.mask || (set->mask & BPIPE_CFG_MODE && set->mode))
		return -EOPNOTSUPP;
	if (set->pad)
		return -EINVAL;
	if (set->mask & BPIPE_CFG_SIZE) {
		if (set->size < BPIPE_SIZE_MIN || set->size > BPIPE_SIZE_MAX)
			return -EINVAL;
		/* In proportion, rounded down; high stays above low. */
		c.low = c.low * set->size / c.size;
		c.high = c.high * set->size / c.size;
		if (c.high <= c.low)
			c.high = c.low + 1;
		c.size = set->size;
	}
	if (set->mask & BPIPE_CFG_HIGH)
		c.high = set->high;
	if (set->mask & BPIPE_CFG_LOW)
		c.low = set->low;
	if (set->mask & BPIPE_CFG_RATE)
		c.rate = set->rate;
	if (set->mask & BPIPE_CFG_BURST) {
		c.burst = set->burst;
		follows = !set->burst;
	}
	if (follows)
		c.burst = default_burst(c.rate);
	if (set->mask & BPIPE_CFG_HOLD)
		c.hold = set->hold;
	if (set->mask & BPIPE_CFG_EPIPE)
		c.epipe = set->epipe;
	if (c.low >= c.high || c.high > c.size || c.rate > BPIPE_RATE_MAX ||
	    c.burst > BPIPE_BURST_MAX || c.hold > 1 || c.epipe > 1)
		return -EINVAL;
	if (level(m) > c.size)
		return -EBUSY;

	m->config = c;
	m->burst_follows = follows;
	settle(m, false);
	wake_all(m, WRITE);
	wake_all(m, READ);
	return 0;
}

int model_set_reader(struct model *m, int file, const struct bpipe_reader *set)
{
	struct model_file *f = &m->file[file];

	if (!f->reader)
		return -EBADF;
	if (set->mask & ~(BPIPE_READER_THRESHOLD | BPIPE_READER_DELAY))
		return -EOPNOTSUPP;
	if (set->mask & BPIPE_READER_THRESHOLD &&
	    (!set->threshold || set->threshold > m->config.size))
		return -EINVAL;
	if (set->mask & BPIPE_READER_DELAY && set->delay_us > BPIPE_DELAY_MAX)
		return -EINVAL;
	if (set->mask & BPIPE_READER_THRESHOLD)
		f->threshold = set->threshold;
	if (set->mask & BPIPE_READER_DELAY)
		f->delay_us = set->delay_us;
	settle(m, false);
	return 0;
}

int model_reset_peaks(struct model *m, bool may)
{
	if (!may)
		return -EPERM;
	m->stats.peak_level = level(m);
	return 0;
}

static uint32_t events_of(const struct model *m, const struct model_file *f)
{
	if (!f->listens)
		return 0;
	return (f->high_seen != m->stats.high_events ? BPIPE_EVENT_HIGH : 0) |
	       (f->low_seen != m->stats.low_events ? BPIPE_EVENT_LOW : 0);
}

void model_events(struct model *m, int file, struct bpipe_events *events)
{
	struct model_file *f = &m->file[file];

	*events = (struct bpipe_events) {
		.events = events_of(m, f),
		.state = m->stats.state,
		.level = level(m),
		.high_events = m->stats.high_events,
		.low_events = m->stats.low_events,
	};
	f->listens = true;
	f->high_seen = m->stats.high_events;
	f->low_seen = m->stats.low_events;
}

/* Calls that may sleep. */

static void end(struct model_proc *p, int64_t result)
{
	p->result = p->moved ? p->moved : result;
	p->where = LEAVE;
}

void model_begin(struct model *m, int proc, enum call call, int file, uint32_t len,
		 bool nowait, uint32_t id)
{
	struct model_file *f = &m->file[file];
	struct model_proc *p = &m->proc[proc];

	memset(p, 0, sizeof(*p));
	p->where = TRY;
	p->call = call;
	p->file = file;
	p->len = len;
	p->nonblock = f->nonblock || nowait;
	p->nowait = nowait;
	p->id = id;
	f->calls++;
	if (call == READ ? !f->reader : !f->writer)
		end(p, -EBADF);
	else if (!len)
		end(p, 0);
}

void model_begin_poll(struct model *m, int proc, int file, short events)
{
	struct model_proc *p = &m->proc[proc];

	memset(p, 0, sizeof(*p));
	p->where = POLL;
	p->file = file;
	p->events = events;
	m->file[file].calls++;
}

/* A signal, to one that sleeps. */
void model_interrupt(struct model *m, int proc, bool kill)
{
	struct model_proc *p = &m->proc[proc];

	p->killed = kill;
	end(p, -EINTR);
}

enum verdict {
	GO, NO_ROOM, NOT_ITS_TURN,
};

/* May the writer go on, and how many bytes may it put in? */
static enum verdict ask(struct model *m, struct model_proc *p, uint32_t *bytes)
{
	struct model_proc *before = first(m, WRITE);
	uint64_t room = m->config.size - level(m);
	uint32_t left = p->len - p->moved;

	/* Nobody overtakes; but one who cannot wait may have what is left over. */
	if (before && before != p) {
		if (!p->nonblock || shut(m))
			return NOT_ITS_TURN;
		room -= room < before->kept ? room : before->kept;
	}
	if (room < (p->len <= PIPE_BUF ? left : 1))
		return NO_ROOM;
	*bytes = left < room ? left : room;
	return GO;
}

static void write_wait(struct model *m, struct model_proc *p)
{
	struct model_file *f = &m->file[p->file];
	uint32_t left = p->len - p->moved, bytes;
	enum verdict verdict = ask(m, p, &bytes);

	p->where = TRY;
	if (m->config.epipe && !m->stats.readers)
		return;
	if (verdict != NOT_ITS_TURN) {
		m->refused = true;
		wake_reader(m, false);
	}
	if (verdict == GO) {
		settle(m, false);
		return;
	}
	if (p->nonblock) {
		m->stats.again += !p->moved;
		f->again += !p->moved;
		end(p, -EAGAIN);
		return;
	}
	m->stats.blocked++;
	f->blocked++;
	/* One that can be split is worth waking for PIPE_BUF bytes. */
	p->kept = left < PIPE_BUF ? left : PIPE_BUF;
	queue_add(m, p);
}

static void write_try(struct model *m, struct model_proc *p)
{
	struct model_file *f = &m->file[p->file];
	enum verdict verdict;
	uint32_t bytes;

	if (m->config.epipe && !m->stats.readers) {
		p->sigpipe = !p->moved;
		end(p, -EPIPE);
		return;
	}
	verdict = ask(m, p, &bytes);
	if (verdict != GO) {
		p->where = WAIT;
		if (verdict == NOT_ITS_TURN)
			write_wait(m, p);
		return;
	}
	put(m, p->id, p->moved, bytes);
	m->stats.writes += !p->moved;
	f->writes += !p->moved;
	f->written_bytes += bytes;
	p->moved += bytes;
	p->progress = true;
	p->where = PUT;
}

static void read_try(struct model *m, struct model_proc *p)
{
	struct model_file *f = &m->file[p->file];
	uint32_t bytes = p->len - p->moved;

	if (!level(m)) {
		p->where = WAIT;
		if (p->moved)
			end(p, 0);
		return;
	}
	if (bytes > level(m))
		bytes = level(m);
	p->sum = take(m, bytes, p->sum);
	m->stats.reads += !p->moved;
	f->reads += !p->moved;
	f->read_bytes += bytes;
	f->seen = true;
	p->moved += bytes;
	p->where = MOVED;
}

static void read_wait(struct model *m, struct model_proc *p)
{
	struct model_file *f = &m->file[p->file];

	p->where = TRY;
	if (at_end(m, f)) {
		if (!level(m))
			end(p, 0);
		return;
	}
	if (p->nonblock) {
		if (!level(m))
			end(p, -EAGAIN);
		return;
	}
	m->stats.starved++;
	f->starved++;
	queue_add(m, p);
	/* What came at the last moment needs nobody to wake it. */
	p->woken = level(m);
}

/*
 * The next step of a call. Where it can go two ways, it goes one or the other
 * by @way, and the return value is true.
 */
static bool step(struct model *m, struct model_proc *p, bool way)
{
	switch (p->where) {
	case TRY:
		if (p->nowait && p->moved && way) {
			end(p, 0);
			return true;
		}
		(p->call == READ ? read_try : write_try)(m, p);
		return p->nowait;
	case WAIT:
		(p->call == READ ? read_wait : write_wait)(m, p);
		break;
	case PUT:
		if (m->stats.peak_level < level(m))
			m->stats.peak_level = level(m);
		p->where = MOVED;
		break;
	case MOVED:
		p->where = p->moved == p->len ? LEAVE : p->call == READ ? MORE : TRY;
		p->result = p->moved;
		if (p->call == READ) {
			if (shut(m) && level(m) <= m->config.low)
				settle(m, false);
			break;
		}
		if (m->refused && level(m) <= m->config.low) {
			if (way)
				settle(m, false);
			return true;
		}
		settle(m, false);
		break;
	case MORE:
		p->where = TRY;
		if (!level(m))
			end(p, 0);
		break;
	case ASLEEP:
		p->where = TRY;
		break;
	case POLL:
		end(p, model_poll(m, p->file) & (p->events | POLLERR | POLLHUP));
		break;
	case LEAVE:
		p->where = RELEASE;
		if (p->queued) {
			queue_remove(m, p);
			p->queued = false;
			settle(m, false);
		}
		break;
	case RELEASE:
		p->where = DONE;
		if (!--m->file[p->file].calls && !m->file[p->file].fd)
			release(m, &m->file[p->file]);
		if (p->killed)
			memset(p, 0, sizeof(*p));
		break;
	case IDLE:
	case DONE:
		break;
	}
	return false;
}

/* Has the call a step to take? */
static bool goes_on(const struct model *m, const struct model_proc *p)
{
	switch (p->where) {
	case IDLE:
	case DONE:
		return false;
	case ASLEEP:
		return p->woken;
	case POLL:
		return model_poll(m, p->file) & (p->events | POLLERR | POLLHUP);
	default:
		return true;
	}
}

/*
 * Data has waited long enough. It may be that nobody waits for this any more;
 * then it makes a difference only to who was refused at or below low.
 *
 * Return: whether this has to come.
 */
static bool ring(struct model *m)
{
	bool waited_for = next_reader(m, true);

	if (waited_for || (shut(m) && level(m) <= m->config.low)) {
		m->timer = false;
		settle(m, true);
	}
	return waited_for;
}

/* Is the next step nobody else's business, so that it can as well come at once? */
static bool is_private(const struct model *m, const struct model_proc *p)
{
	switch (p->where) {
	case ASLEEP:
		return p->woken;
	case LEAVE:
		return !p->queued;
	case RELEASE:
		return m->file[p->file].fd || m->file[p->file].calls > 1;
	default:
		return false;
	}
}

/* Sets of models. */

/* Where a model is in the table of a set, or would be. */
static size_t slot_of(const struct models *set, const struct model *m)
{
	const uint64_t *word = (const uint64_t *)m;
	uint64_t hash = 0;
	size_t i;

	for (i = 0; i < sizeof(*m) / sizeof(*word); i++)
		hash = (hash ^ word[i]) * 0x9e3779b97f4a7c15ULL >> 1 ^ hash << 63;
	for (i = hash % set->slots; set->slot[i]; i = (i + 1) % set->slots)
		if (!memcmp(&set->at[set->slot[i] - 1], m, sizeof(*m)))
			break;
	return i;
}

static void grow(struct models *set)
{
	set->room = set->room ? 2 * set->room : 64;
	set->slots = 4 * set->room;
	set->at = realloc(set->at, set->room * sizeof(*set->at));
	free(set->slot);
	set->slot = calloc(set->slots, sizeof(*set->slot));
	if (!set->at || !set->slot)
		abort();
	for (size_t i = 0; i < set->nr; i++)
		set->slot[slot_of(set, &set->at[i])] = i + 1;
}

/* Adds a model, if the set does not have it. */
void models_add(struct models *set, const struct model *m)
{
	size_t i;

	if (set->nr == set->room)
		grow(set);
	i = slot_of(set, m);
	if (set->slot[i])
		return;
	memcpy(&set->at[set->nr++], m, sizeof(*m));
	set->slot[i] = set->nr;
}

void models_free(struct models *set)
{
	free(set->at);
	free(set->slot);
	memset(set, 0, sizeof(*set));
}

/* A step, and what follows from it at once; as step(). */
static bool go_on(struct model *m, struct model_proc *p, bool way)
{
	bool ways = step(m, p, way);

	while (is_private(m, p))
		step(m, p, false);
	return ways;
}

/*
 * Every state that can be reached from one that is still to be looked at, until
 * there is none. False: too many.
 */
static bool reach_all(struct models *seen, struct models *end)
{
	for (size_t i = 0; i < seen->nr; i++) {
		bool over = true;
		struct model m;

		if (seen->nr > MODELS_MAX)
			return false;
		for (int p = 0; p < MODEL_PROCS; p++) {
			if (!goes_on(&seen->at[i], &seen->at[i].proc[p]))
				continue;
			over = false;
			memcpy(&m, &seen->at[i], sizeof(m));
			if (go_on(&m, &m.proc[p], false)) {
				models_add(seen, &m);
				memcpy(&m, &seen->at[i], sizeof(m));
				go_on(&m, &m.proc[p], true);
			}
			models_add(seen, &m);
		}
		if (seen->at[i].timer) {
			memcpy(&m, &seen->at[i], sizeof(m));
			over &= !ring(&m);
			models_add(seen, &m);
		}
		if (over)
			models_add(end, &seen->at[i]);
	}
	return true;
}

/**
 * model_explore() - let all calls go on until they end or sleep, in any order
 * @set: what may be the case; becomes what may be in the end
 *
 * Return: false if there are too many ways.
 */
bool model_explore(struct models *set)
{
	struct models seen = { 0 }, end = { 0 };
	bool ok;

	for (size_t i = 0; i < set->nr; i++) {
		for (int p = 0; p < MODEL_PROCS; p++)
			while (is_private(&set->at[i], &set->at[i].proc[p]))
				step(&set->at[i], &set->at[i].proc[p], false);
		models_add(&seen, &set->at[i]);
	}
	ok = reach_all(&seen, &end);
	models_free(&seen);
	models_free(set);
	*set = end;
	return ok;
}

/* What can be seen. */

short model_poll(const struct model *m, int file)
{
	const struct model_file *f = &m->file[file];
	short mask = events_of(m, f) ? POLLPRI : 0;

	if (f->reader && (level(m) || at_end(m, f)))
		mask |= POLLIN | POLLRDNORM;
	if (f->reader && at_end(m, f))
		mask |= POLLHUP;
	if (f->writer && m->config.epipe && !m->stats.readers)
		mask |= POLLERR | POLLOUT | POLLWRNORM;
	if (f->writer && !shut(m))
		mask |= POLLOUT | POLLWRNORM;
	return mask;
}

uint64_t model_window(const struct model *m)
{
	const struct model_proc *writer = first((struct model *)m, WRITE);
	uint64_t room = m->config.size - level(m);

	if (!writer)
		return room;
	if (shut(m))
		return 0;
	return room < writer->kept ? 0 : room - writer->kept;
}

void model_stats(const struct model *m, struct bpipe_stats *stats)
{
	*stats = m->stats;
	stats->queued_bytes = level(m);
	stats->window = model_window(m);
	stats->readers_waiting = 0;
	stats->writers_waiting = 0;
	for (int i = 0; i < MODEL_PROCS; i++) {
		if (m->proc[i].where != ASLEEP)
			continue;
		if (m->proc[i].call == READ)
			stats->readers_waiting++;
		else
			stats->writers_waiting++;
	}
}
