// SPDX-License-Identifier: GPL-2.0
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "unit.h"

struct wire {
	uint8_t magic[4];
	uint32_t length;
	uint64_t producer;
	uint64_t sequence;
	uint64_t sent_ns;
	uint32_t flags;
	uint32_t check;
};

static_assert(sizeof(struct wire) == UNIT_HEADER, "the header has no holes");

static const uint8_t magic[4] = { UNIT_MAGIC0, 'P', 'U', '1' };

/* Spread a change of any bit over all bits. Odd factors keep this invertible. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 29;
	x *= 0xc2b2ae3d27d4eb4fULL;
	return x ^ x >> 32;
}

static uint32_t check_of(const struct wire *w)
{
	uint64_t sum = mix((uint64_t)le32toh(w->length) << 32 | le32toh(w->flags));

	sum = mix(sum ^ le64toh(w->producer));
	sum = mix(sum ^ le64toh(w->sequence));
	return (uint32_t)mix(sum ^ le64toh(w->sent_ns));
}

/*
 * The payload counts up from a key in large odd steps. This is as fast as a copy. No two
 * words of a unit are the same, and no two units.
 */
#define STEP	0x9e3779b97f4a7c15ULL

static uint64_t key_of(const struct unit *unit)
{
	return mix(unit->producer ^ mix(unit->sequence + STEP));
}

void unit_fill(uint8_t *buf, const struct unit *unit)
{
	uint64_t next = key_of(unit), word;
	uint32_t at;

	for (at = UNIT_HEADER; at < unit->length; at += sizeof(word), next += STEP) {
		uint32_t left = unit->length - at;

		word = htole64(next);
		memcpy(buf + at, &word, left < sizeof(word) ? left : sizeof(word));
	}
}

bool unit_intact(const uint8_t *buf, const struct unit *unit)
{
	uint64_t next = key_of(unit), word, wrong = 0;
	uint32_t at;

	for (at = UNIT_HEADER; at + sizeof(word) <= unit->length; at += sizeof(word)) {
		memcpy(&word, buf + at, sizeof(word));
		wrong |= word ^ htole64(next);
		next += STEP;
	}
	word = htole64(next);
	return !wrong && !memcmp(buf + at, &word, unit->length - at);
}

void unit_seal(uint8_t *buf, const struct unit *unit)
{
	struct wire w = {
		.length = htole32(unit->length),
		.producer = htole64(unit->producer),
		.sequence = htole64(unit->sequence),
		.sent_ns = htole64(unit->sent_ns),
		.flags = htole32(unit->flags),
	};

	memcpy(w.magic, magic, sizeof(magic));
	w.check = htole32(check_of(&w));
	memcpy(buf, &w, sizeof(w));
}

bool unit_open(const uint8_t *buf, struct unit *unit)
{
	struct wire w;

	memcpy(&w, buf, sizeof(w));
	if (memcmp(w.magic, magic, sizeof(magic)) || le32toh(w.check) != check_of(&w))
		return false;

	*unit = (struct unit) {
		.producer = le64toh(w.producer),
		.sequence = le64toh(w.sequence),
		.sent_ns = le64toh(w.sent_ns),
		.length = le32toh(w.length),
		.flags = le32toh(w.flags),
	};
	return unit->length >= UNIT_HEADER && unit->length <= UNIT_MAX;
}
