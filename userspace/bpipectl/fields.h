/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fields of a channel: everything that shows, selects, sets, waits for or
 * encodes a value goes by the one table in fields.c.
 */
#ifndef FIELDS_H
#define FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel.h"

enum field_kind {
	FIELD_NAME,	/* text */
	FIELD_WORD,	/* a number that stands for a word */
	FIELD_BOOL,
	FIELD_COUNT,
	FIELD_BYTES,
	FIELD_LEVEL,	/* bytes in the buffer: may be given as a part of its size, 25% */
	FIELD_RATE,	/* bytes a second, 0 is without limit */
	FIELD_COUNT_RATE,	/* records a second, likewise */
	FIELD_TIME,	/* nanoseconds */
	FIELD_STAMP,	/* when it was, nanoseconds of CLOCK_MONOTONIC; 0 is never */
	FIELD_SHARE,	/* of the time, in 1/100 % */
	FIELD_UID,	/* or BPIPE_UNSET, as the next two */
	FIELD_GID,
	FIELD_PERMISSIONS,
	FIELD_ID,	/* two numbers of 64 bits, as 32 hexadecimal digits */
};

struct field {
	const char *name;	/* as in <linux/bpipe.h>, and in JSON */
	enum field_kind kind;
	size_t offset;		/* in struct channel */
	size_t width;
	uint64_t config_bit;	/* BPIPE_CFG_*; 0: cannot be set */
	bool listed;		/* in the table of list, unless others are asked for */
	enum bpipe_words words;	/* of FIELD_WORD */
};

/* All of them; ends with one that has no name. */
extern const struct field fields[];

/* A field by its name, in upper or lower case; NULL if there is none. */
const struct field *field_find(const char *name, size_t len);

uint64_t field_value(const struct field *field, const struct channel *ch);
/* Return true for an owner, group or permissions that are left to the udev rules. */
bool field_is_unset(const struct field *field, const struct channel *ch);
void field_store(const struct field *field, struct channel *ch, uint64_t value);

/*
 * A value from what people write, for a channel of that size: an exit status,
 * having complained if it is not EXIT_OK.
 */
int field_parse(const struct field *field, const char *text, uint64_t size, uint64_t *value);

/* A value as text: as plain a number as possible if exact, else for people. */
#define FIELD_TEXT_MAX	(BPIPE_TEXT_MAX + 8)
const char *field_format(const struct field *field, const struct channel *ch, bool exact,
			 char buf[FIELD_TEXT_MAX]);

/* A choice of fields; ends with NULL. */
struct columns {
	const struct field *at[160];
};

/*
 * Those in a comma-separated list of names; without it those listed, or all.
 * An exit status.
 */
int columns_choose(struct columns *columns, const char *names, bool all);

/* Print the channels as one JSON object; all fields, if none are chosen. */
void json_print(const struct channels *all, const struct columns *chosen);

/*
 * All fields of one channel as a JSON object, in a line, with @time and how many @times
 * it came to its state.
 */
void json_print_line(const struct channel *ch, const char *time, uint64_t times);

/* Likewise the versions; @module is NULL if it is not loaded. */
void json_print_versions(const char *bpipectl, const char *commit, const char *module);

#endif /* FIELDS_H */
