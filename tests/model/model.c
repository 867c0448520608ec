// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define MODELS_MAX	5000
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

unsigned char model_byte(uint32_t id, uint32_t at)
{
	return (id * 2654435761U + at / 4 * 40503U) >> (at % 4 * 8);
}

uint64_t model_sum(uint64_t sum, unsigned char byte)
{
	return sum * 31 + byte + 1;
}

static uint64_t level(const struct model *m)
{
	return m->stats.level;
}

static bool records(const struct model *m)
{
	return m->config.mode == BPIPE_MODE_RECORD;
}

static uint64_t overhead(const struct model *m)
{
	return records(m) ? BPIPE_RECORD_OVERHEAD : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Return the room that POLLOUT stands for: an atomic write's, or the whole limit. */
static uint64_t atomic_room(const struct model *m, unsigned int class)
{
	return least(PIPE_BUF + overhead(m), m->config.limit[class]);
}

/*
 * The marks of a class are those of the channel in proportion to its limit. The high mark
 * is low enough that an open gate has room for an atomic write.
 */
static uint64_t high_of(const struct model *m, unsigned int class)
{
	uint64_t low = m->config.low * m->config.limit[class] / m->config.size;
	uint64_t high = m->config.high * m->config.limit[class] / m->config.size;

	return least(high > low ? high : low + 1,
		     m->config.limit[class] - atomic_room(m, class) + 1);
}

static uint64_t low_of(const struct model *m, unsigned int class)
{
	return least(m->config.low * m->config.limit[class] / m->config.size,
		     high_of(m, class) - 1);
}

static bool is_closed(const struct model *m, unsigned int class)
{
	return m->closed >> class & 1;
}

static bool pressured(const struct model *m)
{
	return m->stats.state != BPIPE_STATE_NORMAL;
}

/* Return true if the time may expire at any moment; other times never expire. */
static bool is_short(uint64_t ns)
{
	return ns && ns < MODEL_SHORT_NS;
}

/* Return true if the channel will become overloaded without any further call. */
static bool will_be_overloaded(const struct model *m)
{
	return m->stats.state == BPIPE_STATE_PRESSURED && is_short(m->config.overload_after);
}

/* Return true if a record may have expired. */
static bool is_over(const struct model *m, const struct piece *p)
{
	return records(m) && is_short(m->config.ttl[p->class]);
}

/* Return true if records may be dropped for their age. */
static bool sheds(const struct model *m)
{
	for (int i = 0; i < BPIPE_CLASSES; i++)
		if (m->config.ttl[i] || m->config.sojourn[i])
			return true;
	return false;
}

/* Return true if a reader that finds no data gets end-of-file. */
static bool at_end(const struct model *m, const struct model_file *f)
{
	return m->draining || (!m->stats.writers && !m->config.hold && f->seen);
}

/* Return true if writes fail, whatever room there is. */
static bool is_broken(const struct model *m, const struct model_file *f)
{
	return m->draining || (m->config.epipe && !m->stats.readers && f->seen_reader);
}

/* The queue of bytes, or of records in the order of writing. */

static void put(struct model *m, uint32_t id, uint32_t from, uint32_t len, unsigned int class)
{
	struct piece *p = &m->queue[m->nr_pieces++];

	*p = (struct piece) { .id = id, .from = from, .len = len };
	if (records(m)) {
		p->class = class;
		p->seq = m->seq++;
		p->lost = m->lost_before[class];
		m->lost_before[class] = 0;
	}
	m->stats.level += len + overhead(m);
	m->stats.classes[p->class].written_bytes += len;
	m->stats.classes[p->class].written_records += records(m);
}

static void drop(struct model *m, uint32_t len, unsigned int class, enum bpipe_drop reason)
{
	struct bpipe_class_stats *stats = &m->stats.classes[class];

	stats->dropped_bytes[reason] += len;
	stats->dropped_records[reason] += records(m);
}

static void queue_cut(struct model *m, struct piece *p, struct piece *end)
{
	m->nr_pieces -= end - p;
	memmove(p, end, (m->queue + m->nr_pieces - p) * sizeof(*p));
	/* Clear the rest: models are compared byte by byte. */
	memset(m->queue + m->nr_pieces, 0, (end - p) * sizeof(*p));
}

static uint64_t take_stream(struct model *m, uint32_t len, uint64_t sum)
{
	struct piece *p = m->queue;

	m->stats.level -= len;
	m->stats.classes[0].read_bytes += len;
	for (; len--; p->from++, p->len--) {
		if (!p->len)
			p++;
		sum = model_sum(sum, model_byte(p->id, p->from));
	}
	if (!p->len)
		p++;
	queue_cut(m, m->queue, p);
	return sum;
}

/* Return the record to read next, or NULL. */
static struct piece *next_record(const struct model *m)
{
	const struct piece *p, *next = m->queue;

	if (!m->nr_pieces)
		return NULL;
	for (p = m->queue; p < m->queue + m->nr_pieces; p++)
		if (m->config.order == BPIPE_ORDER_PRIORITY && p->class < next->class)
			next = p;
	return (struct piece *)next;
}

static uint64_t take_record(struct model *m, struct piece *p, bool framed, uint64_t sum)
{
	const struct bpipe_frame frame = {
		.seq = p->seq,
		.lost = p->lost + m->lost[p->class],
		.len = p->len,
		.class = p->class,
	};
	unsigned char bytes[sizeof(frame)];

	memcpy(bytes, &frame, sizeof(bytes));
	for (size_t i = 0; framed && i < sizeof(bytes); i++)
		sum = model_sum(sum, bytes[i]);
	for (uint32_t i = 0; i < p->len; i++)
		sum = model_sum(sum, model_byte(p->id, i));
	m->lost[p->class] = 0;
	m->stats.level -= p->len + BPIPE_RECORD_OVERHEAD;
	m->stats.classes[p->class].read_bytes += p->len;
	m->stats.classes[p->class].read_records++;
	queue_cut(m, p, p + 1);
	return sum;
}

/* Return the bytes that evictions could free for a record of that class. */
static uint64_t evictable(const struct model *m, unsigned int class)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < m->nr_pieces; i++)
		if (m->queue[i].class >= class)
			sum += m->queue[i].len + BPIPE_RECORD_OVERHEAD;
	return sum;
}

/* Drop a queued record. */
static void discard(struct model *m, struct piece *p, enum bpipe_drop reason)
{
	m->lost[p->class] += p->lost + 1;
	m->stats.level -= p->len + BPIPE_RECORD_OVERHEAD;
	drop(m, p->len, p->class, reason);
	queue_cut(m, p, p + 1);
}

/* Evict the oldest record of the least important class. */
static void evict(struct model *m)
{
	struct piece *p, *worst = m->queue;

	for (p = m->queue; p < m->queue + m->nr_pieces; p++)
		if (p->class > worst->class)
			worst = p;
	discard(m, worst, BPIPE_DROP_EVICTED);
}

/* Why a write cannot go on. */
enum wait_reason {
	NOTHING, NOT_ITS_TURN, NO_ROOM, NO_CREDIT, NOT_YET_LOW,
};

/* Waiters and wake-ups. */

static bool is_asleep(const struct model_proc *p)
{
	return p->where == ASLEEP && !p->woken;
}

static void wake(struct model *m, struct model_proc *p)
{
	p->woken = true;
	*(p->call == READ ? &m->stats.wakeups_read : &m->stats.wakeups_write) += 1;
}

static struct model_proc *waiter(const struct model *m, enum call of, int i)
{
	return (struct model_proc *)&m->proc[m->waiting[of][i]];
}

static bool lacks(const struct model_proc *p, bool credit)
{
	return (p->wait_reason == NO_CREDIT) == credit;
}

/*
 * Return the room, or credit, that waiting writers of a class and above have reserved,
 * except @p.
 */
static uint64_t reserved(const struct model *m, unsigned int class, bool credit,
			 const struct model_proc *p)
{
	uint64_t sum = 0;

	for (int i = 0; i < m->nr_waiting[WRITE]; i++) {
		const struct model_proc *w = waiter(m, WRITE, i);

		/* A sleeper reserves what it lacks; an admitted writer, all it needs. */
		if (w != p && w->class <= class && (w->admitted || lacks(w, credit)))
			sum += credit ? w->credit : w->room;
	}
	return sum;
}

/* Return true if writers of that class or above are queued. */
static bool others_wait(const struct model *m, unsigned int class)
{
	for (int i = 0; i < m->nr_waiting[WRITE]; i++)
		if (waiter(m, WRITE, i)->class <= class)
			return true;
	return false;
}

static void queue_remove(struct model *m, struct model_proc *p)
{
	uint8_t *w = m->waiting[p->call], i;

	for (i = 0; &m->proc[w[i]] != p; i++)
		;
	m->nr_waiting[p->call]--;
	memmove(w + i, w + i + 1, m->nr_waiting[p->call] - i);
	w[m->nr_waiting[p->call]] = 0;
}

/* Queue after writers of the same class, and before writers of the next. */
static void queue_insert(struct model *m, struct model_proc *p)
{
	uint8_t *w = m->waiting[p->call], i = m->nr_waiting[p->call]++;

	for (; i && m->proc[w[i - 1]].class > p->class; i--)
		w[i] = w[i - 1];
	w[i] = p - m->proc;
}

/* Allow retries of writes that were refused because they lacked credit. */
static void forgive(struct model *m)
{
	for (int i = 0; i < MODEL_FILES; i++)
		m->file[i].refused = false;
	if (m->poll_level != MODEL_NO_POLL)
		m->poll_level = INT64_MAX;
}

/* Put to sleep. A writer keeps its place; readers are in the order of falling asleep. */
static void queue_add(struct model *m, struct model_proc *p)
{
	if (p->queued && p->call == READ)
		queue_remove(m, p);
	if (!p->queued || p->call == READ)
		queue_insert(m, p);
	p->queued = true;
	p->admitted = false;
	p->woken = false;
	p->where = ASLEEP;
}

/* Give up the writer's place and its reservation. */
static void part(struct model *m, struct model_proc *p)
{
	queue_remove(m, p);
	p->queued = false;
	p->admitted = false;
	p->woken = false;
	if (p->call == WRITE)
		forgive(m);
}

/* Wake all sleepers of a call; with @file >= 0, only those of that file. */
static void kick(struct model *m, enum call of, int file)
{
	for (int i = 0; i < m->nr_waiting[of]; i++) {
		struct model_proc *p = waiter(m, of, i);

		if (is_asleep(p) && (file < 0 || p->file == file))
			wake(m, p);
	}
}

/* Return the first sleeping writer of a class. */
static struct model_proc *first_asleep(const struct model *m, unsigned int class)
{
	for (int i = 0; i < m->nr_waiting[WRITE]; i++) {
		struct model_proc *w = waiter(m, WRITE, i);

		if (w->class == class && is_asleep(w))
			return w;
	}
	return NULL;
}

/* Return what is reserved ahead of a writer: by all but the sleepers of its class. */
static uint64_t ahead(const struct model *m, const struct model_proc *p, bool credit)
{
	uint64_t sum = reserved(m, p->class, credit, NULL);

	for (int i = 0; i < m->nr_waiting[WRITE]; i++) {
		const struct model_proc *w = waiter(m, WRITE, i);

		if (w->class == p->class && is_asleep(w) && lacks(w, credit))
			sum -= credit ? w->credit : w->room;
	}
	return sum;
}

/* Return what a sleeping writer at an open gate lacks. */
static enum wait_reason fits(const struct model *m, const struct model_proc *p)
{
	if (level(m) + ahead(m, p, false) + p->room > m->config.limit[p->class])
		return NO_ROOM;
	if (m->config.credit && m->stats.credit < ahead(m, p, true) + p->credit)
		return NO_CREDIT;
	return NOTHING;
}

/* Wake writers of each class in order while they fit, and reserve what they need. */
static void wake_writers(struct model *m)
{
	struct model_proc *p;

	for (unsigned int class = 0; class < BPIPE_CLASSES; class++) {
		while (!is_closed(m, class) && (p = first_asleep(m, class))) {
			enum wait_reason reason = fits(m, p);

			if (reason != NOTHING) {
				p->wait_reason = reason;
				break;
			}
			p->admitted = true;
			wake(m, p);
		}
	}
}

/* Return true if a writer needs readers to make progress, or no writer is open. */
static bool writer_stalled(const struct model *m)
{
	if (!m->stats.writers || m->poll_level != MODEL_NO_POLL)
		return true;
	for (unsigned int class = 0; class < BPIPE_CLASSES; class++) {
		if (first_asleep(m, class))
			return true;
		for (int i = 0; is_closed(m, class) && i < MODEL_FILES; i++)
			if (m->file[i].writer && m->file[i].classes >> class & 1)
				return true;
	}
	return false;
}

/* Return the number of readers to wake: one for each record, or one for a stream. */
static unsigned int readers_due(const struct model *m)
{
	unsigned int n = records(m) ? m->nr_pieces : 1;

	for (int i = 0; level(m) && i < m->nr_waiting[READ]; i++)
		n -= n && waiter(m, READ, i)->woken;
	return level(m) ? n : 0;
}

/*
 * Return the sleeping reader with the smallest threshold, if the level reaches it or @now
 * ignores thresholds. Otherwise, if a delay has expired (@due), return the reader with the
 * shortest delay.
 */
static struct model_proc *next_reader(const struct model *m, bool now, bool due)
{
	struct model_proc *best = NULL, *timed = NULL;

	for (int i = 0; i < m->nr_waiting[READ]; i++) {
		struct model_proc *p = waiter(m, READ, i);
		const struct model_file *f = &m->file[p->file];

		if (!is_asleep(p))
			continue;
		if (!best || f->threshold < m->file[best->file].threshold)
			best = p;
		if (f->delay_us && (!timed || f->delay_us < m->file[timed->file].delay_us))
			timed = p;
	}
	if (best && (now || level(m) >= m->file[best->file].threshold))
		return best;
	return due ? timed : NULL;
}

/*
 * Return true if a poller waits for data below all thresholds, and a reader's file has a
 * delay.
 */
static bool poller_is_delayed(const struct model *m, bool now)
{
	bool polled = false, delay = false;

	if (!level(m) || now)
		return false;
	for (int i = 0; i < MODEL_PROCS; i++) {
		const struct model_proc *p = &m->proc[i];

		polled |= p->where == POLL && (m->file[p->file].reader || p->events & POLLPRI);
	}
	for (int i = 0; i < MODEL_FILES; i++) {
		const struct model_file *f = &m->file[i];

		if (f->reader && level(m) >= f->threshold)
			return false;
		delay |= f->reader && f->delay_us;
	}
	return polled && delay;
}

static void wake_readers(struct model *m, bool due)
{
	bool now = writer_stalled(m), delayed = false;
	unsigned int n = readers_due(m);
	struct model_proc *p;

	for (; n && (p = next_reader(m, now, due)); n--)
		wake(m, p);
	for (int i = 0; n && i < m->nr_waiting[READ]; i++) {
		p = waiter(m, READ, i);
		delayed |= is_asleep(p) && m->file[p->file].delay_us;
	}
	/*
	 * Start a delay for a reader that was there before the data, or for a poller. The
	 * previous delay may have expired and wait only for this update.
	 */
	if (delayed || (!due && poller_is_delayed(m, now))) {
		m->late |= m->timer;
		m->timer = true;
	}
}

/* Return the room that POLLOUT promises to the file's next write. */
static uint64_t poll_room(const struct model *m, const struct model_file *f)
{
	uint64_t room = atomic_room(m, f->class);

	if (f->refused_len && f->refused_len + overhead(m) > room)
		room = f->refused_len + overhead(m);
	return least(room, m->config.limit[f->class]);
}

static bool has_room(const struct model *m, const struct model_file *f)
{
	return !is_closed(m, f->class) && level(m) + reserved(m, f->class, false, NULL) +
					poll_room(m, f) <= m->config.limit[f->class];
}

/* Arm the writers' POLLOUT. Readers are woken for it, whatever their threshold. */
static void want_room(struct model *m, const struct model_file *f)
{
	int64_t at = m->config.limit[f->class] - poll_room(m, f) -
		     reserved(m, f->class, false, NULL);

	if (has_room(m, f) || is_closed(m, f->class))
		return;
	if (at < -1)
		at = -1;
	if (at > m->poll_level)
		m->poll_level = at;
}

static void pollers_want_room(struct model *m)
{
	for (int i = 0; i < MODEL_PROCS; i++)
		if (m->proc[i].where == POLL && m->file[m->proc[i].file].writer)
			want_room(m, &m->file[m->proc[i].file]);
}

/* Update the marks and gates, then wake the tasks that wait for them. */
static void update(struct model *m, bool due)
{
	if (level(m) >= m->config.high && !pressured(m)) {
		m->stats.state = BPIPE_STATE_PRESSURED;
		m->stats.high_events++;
	} else if (level(m) <= m->config.low) {
		m->stats.low_events += pressured(m);
		m->stats.state = BPIPE_STATE_NORMAL;
	}
	for (unsigned int c = 0; c < BPIPE_CLASSES; c++) {
		if (level(m) >= high_of(m, c))
			m->closed |= 1 << c;
		else if (level(m) <= low_of(m, c))
			m->closed &= ~(1 << c);
	}
	wake_writers(m);
	wake_readers(m, due);
	if ((int64_t)level(m) <= m->poll_level) {
		m->poll_level = MODEL_NO_POLL;
		pollers_want_room(m);
		if (m->poll_level != MODEL_NO_POLL)
			wake_readers(m, false);
	}
}

/* Return true if a read must wake writers or pollers. */
static bool is_past_wake_level(const struct model *m)
{
	if ((pressured(m) && level(m) <= m->config.low) || (int64_t)level(m) <= m->poll_level)
		return true;
	for (unsigned int c = 0; c < BPIPE_CLASSES; c++) {
		const struct model_proc *p = first_asleep(m, c);

		if (is_closed(m, c) ? level(m) <= low_of(m, c) : p && fits(m, p) == NOTHING)
			return true;
	}
	return false;
}

/* Drop the first expired record, lowest class number first; return true if there was one. */
static bool expire(struct model *m)
{
	struct piece *p, *first = NULL;

	for (p = m->queue; p < m->queue + m->nr_pieces; p++)
		if (is_over(m, p) && (!first || p->class < first->class))
			first = p;
	if (!first)
		return false;
	discard(m, first, BPIPE_DROP_EXPIRED);
	update(m, false);
	return true;
}

/* Return true if a read would return data. */
static bool readable(const struct model *m)
{
	for (uint32_t i = 0; i < m->nr_pieces; i++)
		if (!is_over(m, &m->queue[i]))
			return true;
	return false;
}

/* Calls that end at once. */

void model_init(struct model *m, const struct bpipe_config *config,
		const struct bpipe_stats *stats)
{
	memset(m, 0, sizeof(*m));
	m->config = *config;
	m->stats = *stats;
	m->seq = stats->written_records;
	m->follows = config->mask;
	m->poll_level = MODEL_NO_POLL;
	m->high = (struct share) { config->high, config->size };
	m->low = (struct share) { config->low, config->size };
	for (int i = 0; i < BPIPE_CLASSES; i++)
		m->limit[i] = (struct share) { config->limit[i], config->size };
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
	f->classes = writer;
	f->listens = !reader && !writer;
	f->policy = BPIPE_POLICY_CHANNEL;
	f->high_seen = m->stats.high_events;
	f->low_seen = m->stats.low_events;
	f->overload_seen = m->stats.overload_events;
	m->stats.readers += reader;
	m->stats.writers += writer;
	f->seen = m->stats.writers;
	for (int i = 0; writer && i < MODEL_FILES; i++)
		m->file[i].seen = m->file[i].fd || m->file[i].calls;
	f->seen_reader = m->stats.readers;
	for (int i = 0; reader && i < MODEL_FILES; i++)
		m->file[i].seen_reader = m->file[i].fd || m->file[i].calls;
}

static void release(struct model *m, struct model_file *f)
{
	bool lost, end;

	m->stats.readers -= f->reader;
	m->stats.writers -= f->writer;
	if (f->reader && !m->stats.readers)
		m->stats.credit = 0;
	lost = f->reader && !m->stats.readers && m->config.epipe;
	end = f->writer && !m->stats.writers;
	memset(f, 0, sizeof(*f));
	update(m, false);
	if (lost)
		kick(m, WRITE, -1);
	if (end)
		kick(m, READ, -1);
}

void model_close(struct model *m, int file)
{
	m->file[file].fd = false;
	if (!m->file[file].calls)
		release(m, &m->file[file]);
}

static uint64_t default_burst(uint64_t rate, uint64_t least)
{
	uint64_t burst = rate / 10;

	return burst < least ? least : burst > BPIPE_BURST_MAX ? BPIPE_BURST_MAX : burst;
}

/* Set a rate and its burst, which may follow the rate. Return true if both are in range. */
static bool set_rate(struct model *m, uint64_t mask, uint64_t rate_bit, uint64_t rate,
		     uint64_t burst_bit, uint64_t burst, uint64_t least,
		     __u64 *to_rate, __u64 *to_burst)
{
	if (mask & rate_bit)
		*to_rate = rate;
	if (mask & burst_bit) {
		*to_burst = burst;
		m->follows = burst ? m->follows & ~burst_bit : m->follows | burst_bit;
	}
	if (m->follows & burst_bit)
		*to_burst = default_burst(*to_rate, least);
	return *to_rate <= BPIPE_RATE_MAX && *to_burst <= BPIPE_BURST_MAX;
}

static bool set_rates(struct model *m, const struct bpipe_config *set)
{
	struct bpipe_config *c = &m->config;

	return set_rate(m, set->mask, BPIPE_CFG_RATE, set->rate, BPIPE_CFG_BURST, set->burst,
			8192, &c->rate, &c->burst) &&
	       set_rate(m, set->mask, BPIPE_CFG_RATE_RECORDS, set->rate_records,
			BPIPE_CFG_BURST_RECORDS, set->burst_records,
			1, &c->rate_records, &c->burst_records) &&
	       set_rate(m, set->mask, BPIPE_CFG_READ_RATE, set->read_rate,
			BPIPE_CFG_READ_BURST, set->read_burst,
			8192, &c->read_rate, &c->read_burst) &&
	       set_rate(m, set->mask, BPIPE_CFG_READ_RATE_RECORDS, set->read_rate_records,
			BPIPE_CFG_READ_BURST_RECORDS, set->read_burst_records,
			1, &c->read_rate_records, &c->read_burst_records);
}

static uint64_t share_of(const struct share *share, uint64_t size)
{
	return share->part * size / share->of;
}

/* Scale marks and limits with the size, rounded down. */
static void resize(struct model *m, uint64_t size)
{
	struct bpipe_config *c = &m->config;

	c->low = share_of(&m->low, size);
	c->high = share_of(&m->high, size);
	if (c->high <= c->low)
		c->high = c->low + 1;
	for (unsigned int i = 0; i < BPIPE_CLASSES; i++) {
		c->limit[i] = share_of(&m->limit[i], size);
		if (c->limit[i] < BPIPE_SIZE_MIN)
			c->limit[i] = BPIPE_SIZE_MIN;
	}
	c->size = size;
}

/* Set the size, the marks and the limits. Return true if they are in range. */
static bool set_levels(struct model *m, const struct bpipe_config *set)
{
	struct bpipe_config *c = &m->config;
	bool good;

	if (set->mask & BPIPE_CFG_SIZE) {
		if (set->size < BPIPE_SIZE_MIN || set->size > BPIPE_SIZE_MAX)
			return false;
		if (set->size != c->size)
			resize(m, set->size);
	}
	if (set->mask & BPIPE_CFG_HIGH) {
		c->high = set->high;
		m->high = (struct share) { set->high, c->size };
	}
	if (set->mask & BPIPE_CFG_LOW) {
		c->low = set->low;
		m->low = (struct share) { set->low, c->size };
	}
	good = c->low < c->high && c->high <= c->size;
	for (unsigned int i = 0; i < BPIPE_CLASSES; i++) {
		if (set->mask & BPIPE_CFG_LIMIT(i)) {
			c->limit[i] = set->limit[i];
			m->limit[i] = (struct share) { set->limit[i], c->size };
			m->follows = set->limit[i] ? m->follows & ~BPIPE_CFG_LIMIT(i) :
						     m->follows | BPIPE_CFG_LIMIT(i);
		}
		if (m->follows & BPIPE_CFG_LIMIT(i))
			c->limit[i] = c->size;
		good &= c->limit[i] >= BPIPE_SIZE_MIN && c->limit[i] <= c->size;
	}
	return good;
}

static int set_choices(struct model *m, const struct bpipe_config *set)
{
	struct bpipe_config *c = &m->config;

	if ((set->mask & BPIPE_CFG_MODE && set->mode > BPIPE_MODE_RECORD) ||
	    (set->mask & BPIPE_CFG_ORDER && set->order > BPIPE_ORDER_PRIORITY) ||
	    (set->mask & BPIPE_CFG_POLICY && set->policy > BPIPE_POLICY_DROP_OLDEST) ||
	    (set->mask & BPIPE_CFG_CREDIT && set->credit > BPIPE_CREDIT_RECORDS))
		return -EOPNOTSUPP;
	for (int i = 0; i < BPIPE_CLASSES; i++) {
		if ((set->mask & BPIPE_CFG_TTL(i) && set->ttl[i] > BPIPE_TIMEOUT_MAX) ||
		    (set->mask & BPIPE_CFG_SOJOURN(i) && set->sojourn[i] > BPIPE_TIMEOUT_MAX))
			return -EINVAL;
		if (set->mask & BPIPE_CFG_TTL(i))
			c->ttl[i] = set->ttl[i];
		if (set->mask & BPIPE_CFG_SOJOURN(i))
			c->sojourn[i] = set->sojourn[i];
	}
	if (set->pad || set->pad2 || set->pad3 || set->pad4 ||
	    (set->mask & BPIPE_CFG_PERMISSIONS && set->permissions > 0777 &&
	     set->permissions != BPIPE_UNSET) ||
	    (set->mask & BPIPE_CFG_HOLD && set->hold > 1) ||
	    (set->mask & BPIPE_CFG_EPIPE && set->epipe > 1) ||
	    (set->mask & BPIPE_CFG_DROP_TO_LOW && set->drop_to_low > 1) ||
	    (set->mask & BPIPE_CFG_TIMEOUT && set->timeout > BPIPE_TIMEOUT_MAX) ||
	    (set->mask & BPIPE_CFG_OVERLOAD_AFTER && set->overload_after > BPIPE_TIMEOUT_MAX))
		return -EINVAL;
	if (set->mask & BPIPE_CFG_OVERLOAD_AFTER)
		c->overload_after = set->overload_after;
	if (set->mask & BPIPE_CFG_MODE)
		c->mode = set->mode;
	if (set->mask & BPIPE_CFG_ORDER)
		c->order = set->order;
	if (set->mask & BPIPE_CFG_POLICY)
		c->policy = set->policy;
	if (set->mask & BPIPE_CFG_CREDIT)
		c->credit = set->credit;
	if (set->mask & BPIPE_CFG_TIMEOUT)
		c->timeout = set->timeout;
	if (set->mask & BPIPE_CFG_HOLD)
		c->hold = set->hold;
	if (set->mask & BPIPE_CFG_EPIPE)
		c->epipe = set->epipe;
	if (set->mask & BPIPE_CFG_DROP_TO_LOW)
		c->drop_to_low = set->drop_to_low;
	if (set->mask & BPIPE_CFG_UID)
		c->uid = set->uid;
	if (set->mask & BPIPE_CFG_GID)
		c->gid = set->gid;
	if (set->mask & BPIPE_CFG_PERMISSIONS)
		c->permissions = set->permissions;
	return 0;
}

/* Return true if an open file has a setting that a stream does not have. */
static bool files_for_records(const struct model *m)
{
	for (int i = 0; i < MODEL_FILES; i++)
		if (m->file[i].framed || m->file[i].policy == BPIPE_POLICY_DROP_OLDEST)
			return true;
	return false;
}

/* Apply the settings to @m. Return 0 or a negative error; then @m may be half changed. */
static int configure(struct model *m, const struct bpipe_config *set)
{
	const struct bpipe_config old = m->config, *c = &m->config;
	int error;

	if (set->mask & ~old.mask)
		return -EOPNOTSUPP;
	error = set_choices(m, set);
	if (error)
		return error;
	if (!set_rates(m, set) || !set_levels(m, set))
		return -EINVAL;
	if (!records(m) && (c->order || c->policy == BPIPE_POLICY_DROP_OLDEST ||
			    c->credit == BPIPE_CREDIT_RECORDS || c->rate_records ||
			    c->read_rate_records || sheds(m)))
		return -EOPNOTSUPP;
	if (level(m) > c->size)
		return -EBUSY;
	if (c->mode != old.mode && (level(m) || m->nr_waiting[WRITE] ||
				    (!records(m) && files_for_records(m))))
		return -EBUSY;
	if (c->credit != old.credit)
		m->stats.credit = 0;
	return 0;
}

int model_set_config(struct model *m, const struct bpipe_config *set, bool may)
{
	struct model new = *m;
	int error = may ? configure(&new, set) : -EPERM;

	if (error)
		return error;
	*m = new;
	forgive(m);
	m->closed = 0;
	m->poll_level = MODEL_NO_POLL;
	update(m, false);
	if (pressured(m) && !is_short(m->config.overload_after))
		m->stats.state = BPIPE_STATE_PRESSURED;
	kick(m, WRITE, -1);
	kick(m, READ, -1);
	return 0;
}

int model_set_writer(struct model *m, int file, const struct bpipe_writer *set)
{
	struct model_file *f = &m->file[file];

	if (!f->writer)
		return -EBADF;
	if (set->mask & ~(BPIPE_WRITER_CLASS | BPIPE_WRITER_POLICY | BPIPE_WRITER_TIMEOUT |
			  BPIPE_WRITER_RATE | BPIPE_WRITER_BURST) ||
	    (set->mask & BPIPE_WRITER_POLICY && set->policy > BPIPE_POLICY_CHANNEL))
		return -EOPNOTSUPP;
	if ((set->mask & BPIPE_WRITER_CLASS && set->class >= BPIPE_CLASSES) ||
	    (set->mask & BPIPE_WRITER_TIMEOUT && set->timeout > BPIPE_TIMEOUT_MAX) ||
	    (set->mask & BPIPE_WRITER_RATE && set->rate > BPIPE_RATE_MAX) ||
	    (set->mask & BPIPE_WRITER_BURST && set->burst > BPIPE_BURST_MAX))
		return -EINVAL;
	if (set->mask & BPIPE_WRITER_POLICY && set->policy == BPIPE_POLICY_DROP_OLDEST &&
	    !records(m))
		return -EOPNOTSUPP;
	if (set->mask & BPIPE_WRITER_CLASS) {
		f->class = set->class;
		f->classes |= 1 << set->class;
	}
	if (set->mask & BPIPE_WRITER_POLICY)
		f->policy = set->policy;
	f->refused = false;
	f->refused_len = 0;
	update(m, false);
	kick(m, WRITE, file);
	kick(m, READ, file);
	return 0;
}

void model_drain(struct model *m)
{
	m->draining = true;
	update(m, false);
	kick(m, WRITE, -1);
	kick(m, READ, -1);
}

int model_grant(struct model *m, int file, uint64_t amount)
{
	if (!m->file[file].reader)
		return -EBADF;
	if (!m->config.credit)
		return -EOPNOTSUPP;
	if (!amount || amount > BPIPE_CREDIT_MAX - m->stats.credit)
		return -EINVAL;
	m->stats.credit += amount;
	forgive(m);
	update(m, false);
	return 0;
}

int model_set_reader(struct model *m, int file, const struct bpipe_reader *set)
{
	struct model_file *f = &m->file[file];

	if (!f->reader)
		return -EBADF;
	if (set->mask & ~(BPIPE_READER_THRESHOLD | BPIPE_READER_DELAY | BPIPE_READER_FRAMED))
		return -EOPNOTSUPP;
	if (set->mask & BPIPE_READER_THRESHOLD &&
	    (!set->threshold || set->threshold > m->config.size))
		return -EINVAL;
	if (set->mask & BPIPE_READER_DELAY && set->delay_us > BPIPE_DELAY_MAX)
		return -EINVAL;
	if (set->mask & BPIPE_READER_FRAMED && set->framed > 1)
		return -EINVAL;
	if (set->mask & BPIPE_READER_FRAMED && set->framed && !records(m))
		return -EOPNOTSUPP;
	if (set->mask & BPIPE_READER_FRAMED)
		f->framed = set->framed;
	if (set->mask & BPIPE_READER_THRESHOLD)
		f->threshold = set->threshold;
	if (set->mask & BPIPE_READER_DELAY)
		f->delay_us = set->delay_us;
	update(m, false);
	kick(m, WRITE, file);
	kick(m, READ, file);
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
	       (f->low_seen != m->stats.low_events ? BPIPE_EVENT_LOW : 0) |
	       (f->overload_seen != m->stats.overload_events ? BPIPE_EVENT_OVERLOAD : 0);
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
		.overload_events = m->stats.overload_events,
	};
	f->listens = true;
	f->overload_seen = m->stats.overload_events;
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
	p->framed = call == READ && f->framed;
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
	if (m->file[file].writer && !(model_poll(m, file) & POLLOUT)) {
		want_room(m, &m->file[file]);
		update(m, false);
	}
}

/* Send a signal to a sleeping process. */
void model_interrupt(struct model *m, int proc, bool kill)
{
	struct model_proc *p = &m->proc[proc];

	p->killed = kill;
	end(p, -EINTR);
}

/* Return how much of @there a write may use: all but what other writes have reserved. */
static uint64_t usable(uint64_t there, uint64_t others, uint64_t own)
{
	uint64_t spare = there - least(there, others);

	own = least(there, own);
	return spare > own ? spare : own;
}

static bool is_whole(const struct model_proc *p)
{
	return p->record || p->len <= PIPE_BUF;
}

/* Set what the write needs to go on, when it starts to wait. */
static void set_need(const struct model *m, struct model_proc *p)
{
	uint32_t left = p->len - p->moved;

	p->room = is_whole(p) ? left + overhead(m) : least(left, PIPE_BUF);
	p->credit = m->config.credit == BPIPE_CREDIT_BYTES && is_whole(p) ? left : 1;
}

/*
 * Return why the write cannot go on, or NOTHING and @bytes to store. @own is its
 * reservation.
 */
static enum wait_reason ask_with(const struct model *m, const struct model_proc *p, uint64_t room,
				 uint64_t own, uint64_t own_credit, uint32_t *bytes)
{
	const struct model_proc *self = p->queued && p->admitted ? p : NULL;
	uint64_t credit = usable(m->stats.credit, reserved(m, p->class, true, self), own_credit);
	uint32_t left = p->len - p->moved;

	room = usable(room, reserved(m, p->class, false, self), own);
	if (room < (is_whole(p) ? left + overhead(m) : 1))
		return NO_ROOM;
	*bytes = least(left, room);
	if (m->config.credit == BPIPE_CREDIT_RECORDS && !credit)
		return NO_CREDIT;
	if (m->config.credit == BPIPE_CREDIT_BYTES) {
		if (credit < (is_whole(p) ? left : 1))
			return NO_CREDIT;
		*bytes = least(*bytes, credit);
	}
	return NOTHING;
}

static enum wait_reason ask(const struct model *m, const struct model_proc *p, uint32_t *bytes)
{
	uint64_t limit = m->config.limit[p->class];
	uint64_t room = level(m) < limit ? limit - level(m) : 0;

	if (m->config.drop_to_low && p->policy == BPIPE_POLICY_DROP_NEWEST &&
	    is_closed(m, p->class) && level(m) > low_of(m, p->class))
		return NOT_YET_LOW;
	if ((p->queued && p->admitted) || p->evicted)
		return ask_with(m, p, room, p->room, p->credit, bytes);
	/* A queued writer must be woken first; at a closed gate, no writer overtakes. */
	if (p->queued || (is_closed(m, p->class) && others_wait(m, p->class)))
		return NOT_ITS_TURN;
	return ask_with(m, p, room, 0, 0, bytes);
}

/*
 * Return how many bytes to evict for a record, 0 for none. Room that is neither used nor
 * reserved reduces the number.
 */
static uint64_t to_evict(const struct model *m, const struct model_proc *p)
{
	uint64_t limit = m->config.limit[p->class], need = p->len + overhead(m), evict;
	uint32_t bytes;
	enum wait_reason reason = ask(m, p, &bytes);

	if (p->policy != BPIPE_POLICY_DROP_OLDEST || (reason != NO_ROOM && reason != NOT_ITS_TURN))
		return 0;
	evict = need + (level(m) > limit ? level(m) - limit : 0);
	if (reason == NO_ROOM)
		evict = least(evict, level(m) + reserved(m, p->class, false, NULL) + need - limit);
	return evict <= evictable(m, p->class) &&
	       ask_with(m, p, need, need, 0, &bytes) == NOTHING ? evict : 0;
}

static void taken(struct model *m, struct model_proc *p, uint32_t bytes)
{
	struct model_file *f = &m->file[p->file];

	m->stats.writes += !p->moved;
	f->writes += !p->moved;
	f->written_bytes += bytes;
	f->written_records += p->record;
	p->moved += bytes;
}

static void write_drop(struct model *m, struct model_proc *p)
{
	struct model_file *f = &m->file[p->file];
	uint32_t left = p->len - p->moved;
	bool shed = (p->wait_reason == NO_ROOM || p->wait_reason == NOT_YET_LOW) &&
		    level(m) + reserved(m, p->class, false, NULL) + left + overhead(m) <=
		    m->config.size;

	m->stats.classes[p->class].written_bytes += left;
	m->stats.classes[p->class].written_records += p->record;
	drop(m, left, p->class, shed ? BPIPE_DROP_SHED : BPIPE_DROP_FULL);
	m->lost_before[p->class] += p->record;
	m->seq += p->record;
	f->dropped_bytes += left;
	f->dropped_records += p->record;
	taken(m, p, left);
	p->where = MOVED;
}

static void write_wait(struct model *m, struct model_proc *p)
{
	struct model_file *f = &m->file[p->file];
	uint32_t bytes;

	p->where = TRY;
	if (is_broken(m, f))
		return;
	/* Check again, because the state may have changed since TRY. */
	p->wait_reason = ask(m, p, &bytes);
	if (p->wait_reason == NOTHING || to_evict(m, p))
		return;
	if (p->wait_reason == NO_ROOM && level(m) > low_of(m, p->class))
		m->closed |= 1 << p->class;
	if (p->policy == BPIPE_POLICY_DROP_NEWEST || p->policy == BPIPE_POLICY_DROP_OLDEST) {
		write_drop(m, p);
	} else if (p->nonblock || p->policy == BPIPE_POLICY_ERROR) {
		m->stats.again += !p->moved && !p->nowait;
		f->again += !p->moved && !p->nowait;
		f->refused |= p->wait_reason == NO_CREDIT;
		f->refused_len = p->wait_reason == NO_ROOM && is_whole(p) ? p->len - p->moved : 0;
		want_room(m, f);
		end(p, -EAGAIN);
	} else {
		m->stats.blocked++;
		f->blocked++;
		set_need(m, p);
		queue_add(m, p);
	}
	update(m, false);
}

/* Store bytes, evict first, or wait. */
static void write_admit(struct model *m, struct model_proc *p)
{
	struct model_file *f = &m->file[p->file];
	uint32_t bytes;

	if (to_evict(m, p)) {
		p->where = EVICT;
		return;
	}
	p->wait_reason = ask(m, p, &bytes);
	if (p->wait_reason != NOTHING) {
		p->where = WAIT;
		return;
	}
	put(m, p->id, p->moved, bytes, p->class);
	if (records(m) || m->config.credit)
		f->refused_len = 0;
	p->evicted = false;
	if (m->config.credit) {
		m->stats.credit -= m->config.credit == BPIPE_CREDIT_BYTES ? bytes : 1;
		f->refused = false;
		/*
		 * A writer that polls first will not block in write(), so wake the readers
		 * now.
		 */
		if (!m->stats.credit) {
			if (m->poll_level < -1)
				m->poll_level = -1;
			update(m, false);
		}
	}
	taken(m, p, bytes);
	p->where = PUT;
}

static void write_try(struct model *m, struct model_proc *p)
{
	struct model_file *f = &m->file[p->file];
	enum wait_reason reason;
	uint32_t bytes;

	if (is_broken(m, f)) {
		p->sigpipe = !p->moved && !m->draining;
		end(p, -EPIPE);
		return;
	}
	if (!p->begun) {
		p->begun = true;
		p->record = records(m);
		p->class = f->class;
		p->policy = f->policy == BPIPE_POLICY_CHANNEL ? m->config.policy : f->policy;
	}
	if (p->record && p->len + BPIPE_RECORD_OVERHEAD > m->config.limit[p->class]) {
		end(p, -EMSGSIZE);
		return;
	}
	/* Do not refuse a write because of an expired record. */
	reason = ask(m, p, &bytes);
	if (sheds(m) && (reason == NO_ROOM || reason == NOT_ITS_TURN || reason == NOT_YET_LOW))
		p->where = EXPIRE;
	else
		write_admit(m, p);
}

static void write_expire(struct model *m, struct model_proc *p)
{
	while (expire(m))
		;
	write_admit(m, p);
}

/* Evict what is still necessary: a reader may have made room. */
static void write_evict(struct model *m, struct model_proc *p)
{
	uint64_t much = to_evict(m, p), before = level(m);

	while (before - level(m) < much)
		evict(m);
	if (much) {
		set_need(m, p);
		p->evicted = true;
	}
	update(m, false);
	p->where = TRY;
}

static void given(struct model *m, struct model_proc *p, uint32_t bytes, bool record)
{
	struct model_file *f = &m->file[p->file];

	m->stats.reads += !p->moved;
	f->reads += !p->moved;
	f->read_bytes += bytes;
	f->read_records += record;
	f->seen = true;
	p->where = MOVED;
}

static void read_record(struct model *m, struct model_proc *p)
{
	struct piece *next;
	uint32_t len, need;

	if (p->moved && !p->framed) {
		end(p, 0);
		return;
	}
	while ((next = next_record(m)) && is_over(m, next)) {
		discard(m, next, BPIPE_DROP_EXPIRED);
		update(m, false);
	}
	if (!next) {
		p->where = WAIT;
		if (p->moved)
			end(p, 0);
		return;
	}
	len = next->len;
	need = len + (p->framed ? sizeof(struct bpipe_frame) : 0);
	if (need > p->len - p->moved) {
		end(p, -EMSGSIZE);
		return;
	}
	p->sum = take_record(m, next, p->framed, p->sum);
	given(m, p, len, true);
	p->moved += need;
}

static void read_try(struct model *m, struct model_proc *p)
{
	uint32_t bytes = p->len - p->moved;

	if (!level(m)) {
		p->where = WAIT;
		if (p->moved)
			end(p, 0);
		return;
	}
	if (records(m)) {
		read_record(m, p);
		return;
	}
	if (bytes > level(m))
		bytes = level(m);
	p->sum = take_stream(m, bytes, p->sum);
	given(m, p, bytes, false);
	p->moved += bytes;
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
	update(m, false);
}

/*
 * Return true if another process may hold a lock that a call with RWF_NOWAIT does not wait
 * for.
 */
static bool may_be_locked(const struct model *m, const struct model_proc *self)
{
	for (const struct model_proc *p = m->proc; p < m->proc + MODEL_PROCS; p++)
		if (p != self && p->where != IDLE && p->where != DONE && p->where != POLL &&
		    p->where != ASLEEP)
			return true;
	/* The work that drops expired records takes the locks at any moment. */
	return sheds(m);
}

/*
 * Take the next step of a call. Return true if the step has two outcomes; @way then selects
 * one.
 */
static bool step(struct model *m, struct model_proc *p, bool way)
{
	bool ways;

	switch (p->where) {
	case TRY:
		ways = p->nowait && (p->moved || may_be_locked(m, p));
		if (ways && way) {
			end(p, -EAGAIN);
			return true;
		}
		(p->call == READ ? read_try : write_try)(m, p);
		return ways;
	case WAIT:
		(p->call == READ ? read_wait : write_wait)(m, p);
		break;
	case EXPIRE:
		ways = p->nowait && may_be_locked(m, p);
		if (ways && way)
			end(p, -EAGAIN);
		else
			write_expire(m, p);
		return ways;
	case EVICT:
		ways = p->nowait && may_be_locked(m, p);
		if (ways && way)
			end(p, -EAGAIN);
		else
			write_evict(m, p);
		return ways;
	case PUT:
		if (m->stats.peak_level < level(m))
			m->stats.peak_level = level(m);
		p->where = MOVED;
		break;
	case MOVED:
		p->where = p->moved == p->len ? LEAVE : p->call == READ ? MORE : TRY;
		p->result = p->moved;
		if (p->call == READ) {
			if (is_past_wake_level(m))
				update(m, false);
			break;
		}
		update(m, false);
		if (p->where == TRY && p->queued)
			p->where = PART;
		break;
	case PART:
		part(m, p);
		update(m, false);
		p->where = TRY;
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
			part(m, p);
			update(m, false);
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

/* Return true if the call has a step to take. */
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
 * Let a reader's delay expire. It has no effect if no reader waits for it any more.
 *
 * Return: true if the expiry must be handled, because a reader waits for it.
 */
static bool ring(struct model *m)
{
	bool waited_for = readers_due(m) && next_reader(m, writer_stalled(m), true);

	if (waited_for) {
		m->timer = m->late;
		m->late = false;
		update(m, true);
	}
	return waited_for;
}

/* Return true if the next step affects no other call, so that it can be taken at once. */
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

/* Return the slot of a model in the hash table of a set, or the free slot for it. */
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

/* Add a model, unless the set has it. */
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

/* Take a step and the private steps that follow it; returns as step(). */
static bool go_on(struct model *m, struct model_proc *p, bool way)
{
	bool ways = step(m, p, way);

	while (is_private(m, p))
		step(m, p, false);
	return ways;
}

/*
 * Add all states that can be reached from @seen to it, and those without a next step to
 * @end. Return false if there are too many.
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
		memcpy(&m, &seen->at[i], sizeof(m));
		if (expire(&m)) {
			over = false;
			models_add(seen, &m);
		}
		if (will_be_overloaded(&seen->at[i])) {
			over = false;
			memcpy(&m, &seen->at[i], sizeof(m));
			m.stats.state = BPIPE_STATE_OVERLOADED;
			m.stats.overload_events++;
			models_add(seen, &m);
		}
		if (over)
			models_add(end, &seen->at[i]);
	}
	return true;
}

/**
 * model_explore() - let all calls proceed until they end or sleep, in any order
 * @set: all possible states; on return, all possible final states
 *
 * Return: false if there are too many states.
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

/* What a program can observe. */

/* Return the credit that a writer of that class may use; UINT64_MAX if credit is off. */
static uint64_t credit_for(const struct model *m, unsigned int class)
{
	uint64_t credit = m->stats.credit;

	if (!m->config.credit)
		return UINT64_MAX;
	return credit - least(credit, reserved(m, class, true, NULL));
}

short model_poll(const struct model *m, int file)
{
	const struct model_file *f = &m->file[file];
	short mask = events_of(m, f) ? POLLPRI : 0;

	if (f->reader && (readable(m) || at_end(m, f)))
		mask |= POLLIN | POLLRDNORM;
	if (f->reader && at_end(m, f))
		mask |= POLLHUP;
	if (f->writer && is_broken(m, f))
		mask |= POLLERR | POLLOUT | POLLWRNORM;
	if (f->writer && has_room(m, f) && credit_for(m, f->class) && !f->refused)
		mask |= POLLOUT | POLLWRNORM;
	return mask;
}

uint64_t model_space(const struct model *m, unsigned int class)
{
	uint64_t limit = m->config.limit[class];

	return level(m) < limit ? limit - level(m) : 0;
}

uint64_t model_window(const struct model *m, unsigned int class)
{
	uint64_t room = model_space(m, class), credit = credit_for(m, class);

	if (m->draining || (others_wait(m, class) && is_closed(m, class)))
		return 0;
	room -= least(room, reserved(m, class, false, NULL));
	room -= least(room, overhead(m));
	if (m->config.credit == BPIPE_CREDIT_RECORDS)
		return credit ? room : 0;
	return room < credit ? room : credit;
}

uint64_t model_readable(const struct model *m)
{
	return !level(m) ? 0 : records(m) ? next_record(m)->len : level(m);
}

void model_stats(const struct model *m, struct bpipe_stats *stats)
{
	__u64 *const sums[] = {
		&stats->written_bytes, &stats->written_records, &stats->read_bytes,
		&stats->read_records, &stats->queued_bytes, &stats->queued_records,
		&stats->dropped_bytes, &stats->dropped_records,
	};

	/* The sums and the queued counts are not kept in the model: compute them. */
	*stats = m->stats;
	for (uint32_t i = 0; i < ARRAY_SIZE(sums); i++)
		*sums[i] = 0;
	for (uint32_t i = 0; i < BPIPE_CLASSES; i++) {
		stats->classes[i].queued_bytes = 0;
		stats->classes[i].queued_records = 0;
	}
	for (uint32_t i = 0; i < m->nr_pieces; i++) {
		stats->classes[m->queue[i].class].queued_bytes += m->queue[i].len;
		stats->classes[m->queue[i].class].queued_records += records(m);
	}
	for (uint32_t i = 0; i < BPIPE_CLASSES; i++) {
		const struct bpipe_class_stats *class = &stats->classes[i];

		stats->written_bytes += class->written_bytes;
		stats->written_records += class->written_records;
		stats->read_bytes += class->read_bytes;
		stats->read_records += class->read_records;
		stats->queued_bytes += class->queued_bytes;
		stats->queued_records += class->queued_records;
		for (int r = 0; r < BPIPE_DROP_REASONS; r++) {
			stats->dropped_bytes += class->dropped_bytes[r];
			stats->dropped_records += class->dropped_records[r];
		}
	}
	stats->window = model_window(m, 0);
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
