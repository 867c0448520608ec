// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "stream.h"
#include "unit.h"

/* Faults that are reported one by one; further faults are only counted. */
#define FAULTS_TOLD	10

#define BUCKETS		256

/* Skipped sequence numbers that have not arrived since: first <= n < end. */
struct gap {
	uint64_t first;
	uint64_t end;
};

struct producer {
	struct producer *next;
	uint64_t id;
	uint64_t expect;
	bool finished;
	struct gap *gap;
	size_t gaps;
	size_t gap_room;
};

/*
 * While @hunting, the buffered bytes belong to no unit, and the parser looks for the next
 * header. If the hunt began in a unit with a wrong payload, @until is the end of that unit;
 * otherwise it is 0.
 */
struct stream {
	struct worker *w;
	bool verify;
	bool foreign;		/* not verifying, and the data has no units: do not parse it */
	uint8_t *buf;
	size_t have;
	size_t room;
	uint64_t offset;	/* of buf in the stream */
	bool hunting;
	uint64_t hunt_from;
	uint64_t until;
	unsigned int told;
	struct producer *bucket[BUCKETS];
};

struct stream *stream_new(struct worker *w)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->w = w;
	s->verify = w->opt->verify;
	/* Each of several readers gets parts of units, which cannot be parsed. */
	s->foreign = w->opt->workers > 1;
	return s;
}

void *stream_room(struct stream *s, size_t want)
{
	if (s->room - s->have < want) {
		uint8_t *buf = realloc(s->buf, s->have + want);

		if (!buf)
			return NULL;
		s->buf = buf;
		s->room = s->have + want;
	}
	return s->buf + s->have;
}

static void __attribute__((format(printf, 2, 3))) fault(struct stream *s, const char *fmt, ...)
{
	va_list args;

	if (s->told++ >= FAULTS_TOLD)
		return;
	va_start(args, fmt);
	vcomplain(fmt, args);
	va_end(args);
	if (s->told == FAULTS_TOLD)
		complain("further faults are counted, but not reported");
}

static struct producer *producer_get(struct stream *s, uint64_t id)
{
	struct producer **head = &s->bucket[id % BUCKETS], *p;

	for (p = *head; p; p = p->next)
		if (p->id == id)
			return p;

	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->id = id;
	p->next = *head;
	*head = p;
	s->w->verdict.producers++;
	return p;
}

static bool gap_add(struct producer *p, uint64_t first, uint64_t end)
{
	if (p->gaps == p->gap_room) {
		size_t room = p->gap_room ? 2 * p->gap_room : 16;
		struct gap *gap = realloc(p->gap, room * sizeof(*gap));

		if (!gap)
			return false;
		p->gap = gap;
		p->gap_room = room;
	}
	p->gap[p->gaps++] = (struct gap) { first, end };
	return true;
}

/*
 * Remove a number from the gaps. Return false if it was in none. Set *@memory to false if
 * memory runs out.
 */
static bool gap_fill(struct producer *p, uint64_t sequence, bool *memory)
{
	uint64_t end;
	size_t i;

	for (i = 0; i < p->gaps; i++) {
		struct gap *g = &p->gap[i];

		if (sequence < g->first || sequence >= g->end)
			continue;
		end = g->end;
		g->end = sequence;
		if (g->first == g->end)
			*g = p->gap[--p->gaps];
		if (sequence + 1 < end)
			*memory = gap_add(p, sequence + 1, end);
		return true;
	}
	return false;
}

/* Check the order: each number of a producer must be one more than the number before it. */
static void account(struct stream *s, const struct unit *u, uint64_t at)
{
	struct verdict *v = &s->w->verdict;
	struct producer *p = producer_get(s, u->producer);
	bool memory = p;

	if (!p)
		goto out;

	if (u->sequence >= p->expect) {
		if (u->sequence > p->expect) {
			fault(s, "byte %" PRIu64 ": producer %" PRIu64 ": unit %" PRIu64
			      " came when %" PRIu64 " was due", at, u->producer,
			      u->sequence, p->expect);
			memory = gap_add(p, p->expect, u->sequence);
			v->lost += u->sequence - p->expect;
		}
		p->expect = u->sequence + 1;
	} else if (gap_fill(p, u->sequence, &memory)) {
		fault(s, "byte %" PRIu64 ": producer %" PRIu64 ": unit %" PRIu64
		      " came late, out of order", at, u->producer, u->sequence);
		v->lost--;
		v->reordered++;
	} else {
		fault(s, "byte %" PRIu64 ": producer %" PRIu64 ": unit %" PRIu64
		      " came a second time", at, u->producer, u->sequence);
		v->duplicated++;
	}
	p->finished |= u->flags & UNIT_END;
out:
	if (!memory)
		run_fail(s->w->run, "no memory to keep track of the producers");
}

static void hunt_begin(struct stream *s, uint64_t at, uint64_t until)
{
	s->hunting = true;
	s->hunt_from = at;
	s->until = until;
}

/* End the hunt and count a fault: the next unit, or the end of the stream, is at @at. */
static void hunt_end(struct stream *s, uint64_t at)
{
	s->hunting = false;
	if (at < s->until) {
		s->w->verdict.torn++;
		fault(s, "byte %" PRIu64 ": this unit was torn: %" PRIu64 " of its %" PRIu64
		      " bytes came", s->hunt_from, at - s->hunt_from, s->until - s->hunt_from);
	} else {
		s->w->verdict.corrupt++;
		fault(s, "byte %" PRIu64 ": %" PRIu64 " bytes are %s", s->hunt_from,
		      at - s->hunt_from, s->until ? "a unit with a wrong payload" : "no unit");
	}
}

/* Return the distance to the next byte that can begin a header. */
static size_t to_next(const uint8_t *at, size_t have)
{
	const uint8_t *next = have > 1 ? memchr(at + 1, UNIT_MAGIC0, have - 1) : NULL;

	return next ? (size_t)(next - at) : have;
}

/* Parse the units in the buffer and remove them. @now is 0 at the end of the stream. */
static void parse(struct stream *s, uint64_t now)
{
	struct worker *w = s->w;
	size_t pos = 0, left;
	struct unit u;

	while ((left = s->have - pos) >= UNIT_HEADER) {
		const uint8_t *p = s->buf + pos;
		uint64_t at = s->offset + pos;

		if (!unit_open(p, &u)) {
			if (!s->verify) {
				s->foreign = true;
				break;
			}
			if (!s->hunting)
				hunt_begin(s, at, 0);
			pos += to_next(p, left);
			continue;
		}
		if (s->hunting)
			hunt_end(s, at);
		if (left < u.length && now)
			break;

		if (s->verify) {
			account(s, &u, at);
			if (left < u.length || !unit_intact(p, &u)) {
				hunt_begin(s, at, at + u.length);
				pos += to_next(p, left);
				continue;
			}
		}
		tally(&w->units, 1);
		if (now > u.sent_ns)
			hist_add(&w->latency, now - u.sent_ns);
		pos += u.length;
	}

	s->have -= pos;
	s->offset += pos;
	if (pos && s->have)
		memmove(s->buf, s->buf + pos, s->have);
}

void stream_feed(struct stream *s, size_t n, uint64_t now)
{
	if (s->foreign)
		return;
	s->have += n;
	parse(s, now);
	if (s->foreign)
		s->have = 0;
}

static void producers_end(struct stream *s)
{
	struct producer *p, *next;
	unsigned int i;

	for (i = 0; i < BUCKETS; i++) {
		for (p = s->bucket[i]; p; p = next) {
			next = p->next;
			s->w->verdict.unfinished += !p->finished;
			free(p->gap);
			free(p);
		}
	}
}

void stream_end(struct stream *s, bool eof)
{
	/* If the reader stops before end-of-file, a remaining part of a unit is no fault. */
	if (eof && s->verify) {
		parse(s, 0);
		if (s->have && !s->hunting)
			hunt_begin(s, s->offset, s->buf[0] == UNIT_MAGIC0 ?
				   s->offset + UNIT_HEADER : 0);
		if (s->hunting)
			hunt_end(s, s->offset + s->have);
	}
	producers_end(s);
	free(s->buf);
	free(s);
}
