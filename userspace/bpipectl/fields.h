/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fields of a channel. All code that shows, selects, sets, compares or encodes a value
 * uses the table in fields.c.
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
	FIELD_LEVEL,	/* bytes in the buffer; may be given as a share of its size, 25% */
	FIELD_RATE,	/* bytes per second, 0 for no limit */
	FIELD_COUNT_RATE,	/* records per second, 0 for no limit */
	FIELD_TIME,	/* nanoseconds */
	FIELD_STAMP,	/* a time, nanoseconds of CLOCK_MONOTONIC; 0 is never */
	FIELD_SHARE,	/* share of the time, in 1/100 % */
	FIELD_UID,	/* this and the next two may be BPIPE_UNSET */
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
	bool listed;		/* in the table of list by default */
	enum bpipe_words words;	/* for FIELD_WORD */
};

/* All fields; the last entry has no name. */
extern const struct field fields[];

/* Return the field with this name, in upper or lower case, or NULL. */
const struct field *field_find(const char *name, size_t len);

uint64_t field_value(const struct field *field, const struct channel *ch);
/* Return true for an owner, group or permissions that are left to the udev rules. */
bool field_is_unset(const struct field *field, const struct channel *ch);
void field_store(const struct field *field, struct channel *ch, uint64_t value);

/*
 * Parse a value as users write it, for a channel of that size. Return an exit status, with a
 * message unless it is EXIT_OK.
 */
int field_parse(const struct field *field, const char *text, uint64_t size, uint64_t *value);

/* Format a value: with @exact, as a plain number where possible; otherwise for people. */
#define FIELD_TEXT_MAX	(BPIPE_TEXT_MAX + 8)
const char *field_format(const struct field *field, const struct channel *ch, bool exact,
			 char buf[FIELD_TEXT_MAX]);

/* Selected fields; the last entry is NULL. */
struct columns {
	const struct field *at[160];
};

/*
 * Select the fields in a comma-separated list of names. Without it, select all fields or,
 * without @all, the listed ones. Return an exit status.
 */
int columns_choose(struct columns *columns, const char *names, bool all);

/* Print the channels as one JSON object, with all fields if @chosen is NULL. */
void json_print(const struct channels *all, const struct columns *chosen);

/*
 * Print all fields of a channel as a JSON object in one line, with two keys: @time, and
 * @times, how often it has entered its state.
 */
void json_print_line(const struct channel *ch, const char *time, uint64_t times);

/* Print the versions as a JSON object; @module is NULL if it is not loaded. */
void json_print_versions(const char *bpipectl, const char *commit, const char *module);

#endif /* FIELDS_H */
