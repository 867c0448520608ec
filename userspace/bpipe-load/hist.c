// SPDX-License-Identifier: GPL-2.0
#include "hist.h"

/*
 * Return the shift of a value's slot: the slot holds lead << shift, where lead has
 * HIST_BITS + 1 bits. Below 2 << HIST_BITS, the shift is 0 and slots are exact.
 */
static unsigned int shift_of(uint64_t value)
{
	unsigned int bits = 64 - (unsigned int)__builtin_clzll(value | 1);

	return bits > HIST_BITS + 1 ? bits - HIST_BITS - 1 : 0;
}

void hist_add(struct hist *h, uint64_t value)
{
	unsigned int shift = shift_of(value);

	h->slot[((uint64_t)shift << HIST_BITS) + (value >> shift)]++;
	h->count++;
	if (value > h->max)
		h->max = value;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	unsigned int i;

	for (i = 0; i < HIST_SLOTS; i++)
		into->slot[i] += from->slot[i];
	into->count += from->count;
	if (from->max > into->max)
		into->max = from->max;
}

/* Return the middle of a slot's range. */
static uint64_t value_of(unsigned int slot)
{
	unsigned int shift = slot >> HIST_BITS;
	uint64_t lead;

	shift -= shift > 0;
	lead = slot - ((uint64_t)shift << HIST_BITS);
	return (lead << shift) + ((1ULL << shift) >> 1);
}

uint64_t hist_percentile(const struct hist *h, double percent)
{
	uint64_t want = (uint64_t)((double)h->count * percent / 100 + 0.5);
	uint64_t seen = 0;
	unsigned int i;

	for (i = 0; i < HIST_SLOTS && h->count; i++) {
		seen += h->slot[i];
		if (h->slot[i] && seen >= want)
			return value_of(i) < h->max ? value_of(i) : h->max;
	}
	return 0;
}
