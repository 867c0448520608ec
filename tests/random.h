/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs that do things at random share: numbers that follow from a
 * seed, and settings from the command line.
 */
#ifndef BPIPE_RANDOM_H
#define BPIPE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;

/* The same numbers from the same seed; and others in each @part of a run. */
static inline void rnd_seed(uint64_t seed, uint64_t part)
{
	random_state = (seed + 1) * 0x9e3779b97f4a7c15ULL ^ part * 0xbf58476d1ce4e5b9ULL;
	random_state |= !random_state;
}

/* 0 to below - 1: Marsaglia's xorshift. */
static inline unsigned long long rnd(unsigned long long below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % below;
}

/* "--name VALUE", a number or a text. */
struct setting {
	const char *name;
	uint64_t *number;
	const char **text;
};

/* Takes the values of those @known, up to one without a name; whether all are known. */
static inline bool settings_get(int argc, char **argv, const struct setting *known)
{
	const struct setting *s;
	int i;

	for (i = 1; i + 1 < argc; i += 2) {
		for (s = known; s->name && strcmp(s->name, argv[i]); s++)
			;
		if (!s->name)
			return false;
		if (s->number)
			*s->number = strtoull(argv[i + 1], NULL, 0);
		else
			*s->text = argv[i + 1];
	}
	return i == argc;
}

#endif /* BPIPE_RANDOM_H */
