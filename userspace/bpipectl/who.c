// SPDX-License-Identifier: GPL-2.0
/* who: print the open files of channels, with their processes and counters. */
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bpipectl.h"
#include "channel.h"
#include "holders.h"
#include "text.h"

/* The columns of counters, by their names in fdinfo. */
static const struct column {
	const char *name, *heading;
	size_t offset;
	enum { NUMBER, BYTES, TIME } kind;
	bool of_writers, of_readers;
} columns[] = {
#define COLUMN(field, heading, ...) { #field, heading, offsetof(struct holder, field), __VA_ARGS__ }
	COLUMN(written_bytes, "WRITTEN", BYTES, .of_writers = true),
	COLUMN(dropped_bytes, "DROPPED", BYTES, .of_writers = true),
	COLUMN(again, "AGAIN", NUMBER, .of_writers = true),
	COLUMN(blocked_ns, "BLOCKED", TIME, .of_writers = true),
	COLUMN(throttled_ns, "THROTTLED", TIME, .of_writers = true),
	COLUMN(read_bytes, "READ", BYTES, .of_readers = true),
	COLUMN(starved_ns, "STARVED", TIME, .of_readers = true),
};

static uint64_t value_of(const struct column *column, const struct holder *holder)
{
	return *(const uint64_t *)((const char *)holder + column->offset);
}

/* The column to sort by, largest value first, then by process. */
static const struct column *sorted_by;

static int compare(const void *a, const void *b)
{
	const struct holder *one = a, *other = b;
	uint64_t x = value_of(sorted_by, one), y = value_of(sorted_by, other);

	if (x != y)
		return x < y ? 1 : -1;
	return (one->pid > other->pid) - (one->pid < other->pid);
}

static const struct column *find_column(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(columns); i++)
		if (!strcasecmp(columns[i].name, name))
			return &columns[i];
	complain("--sort: %s: no such counter; use written_bytes, dropped_bytes, again, blocked_ns, throttled_ns, read_bytes or starved_ns",
		 name);
	return NULL;
}

static const char *cell(const struct column *column, const struct holder *holder, bool exact,
			char buf[BPIPE_TEXT_MAX])
{
	uint64_t value = value_of(column, holder);
	char *from, *to;

	if ((column->of_writers && !holder->writes) || (column->of_readers && !holder->reads))
		return "-";
	if (exact || column->kind == NUMBER)
		snprintf(buf, BPIPE_TEXT_MAX, "%" PRIu64, value);
	else if (column->kind == BYTES)
		bpipe_format_size(value, buf, BPIPE_TEXT_MAX);
	else
		bpipe_format_time(value, buf, BPIPE_TEXT_MAX);
	/* Remove blanks, so that a value is one word for scripts. */
	for (from = to = buf; *from; from++)
		if (*from != ' ')
			*to++ = *from;
	*to = '\0';
	return buf;
}

enum { CHANNEL, PID, COMMAND, FD, MODE, CLASS, FIRST };	/* the columns before the counters */

#define CELL_MAX	TEXT_WORD_MAX(HOLDER_NAME_MAX)

/* Format a column; without @holder, return its heading. */
static const char *text_of(size_t column, const struct holder *holder, bool exact,
			   char buf[CELL_MAX])
{
	static const char *const headings[] = {
		"CHANNEL", "PID", "COMMAND", "FD", "MODE", "CLASS"
	};

	if (!holder)
		return column < FIRST ? headings[column] : columns[column - FIRST].heading;
	switch (column) {
	case CHANNEL:
		return text_word(holder->channel, buf, CELL_MAX);
	case COMMAND:
		return text_word(holder->command, buf, CELL_MAX);
	case MODE:
		return holder->writes && holder->reads ? "rw" : holder->writes ? "w" :
		       holder->reads ? "r" : "-";
	case PID:
		snprintf(buf, CELL_MAX, "%d", (int)holder->pid);
		return buf;
	case FD:
		snprintf(buf, CELL_MAX, "%d", holder->fd);
		return buf;
	case CLASS:
		if (!holder->writes)
			return "-";
		snprintf(buf, CELL_MAX, "%" PRIu64, holder->class);
		return buf;
	}
	return cell(&columns[column - FIRST], holder, exact, buf);
}

static void print_table(const struct options *opts, const struct holders *all)
{
	int width[FIRST + ARRAY_SIZE(columns)] = { 0 }, len;
	char buf[CELL_MAX];
	size_t row, i;

	for (row = opts->noheadings; row <= all->nr; row++) {
		for (i = 0; i < ARRAY_SIZE(width); i++) {
			len = strlen(text_of(i, row ? &all->at[row - 1] : NULL, opts->bytes, buf));
			if (len > width[i])
				width[i] = len;
		}
	}
	for (row = opts->noheadings; row <= all->nr; row++) {
		for (i = 0; i < ARRAY_SIZE(width); i++) {
			bool word = i == CHANNEL || i == COMMAND || i == MODE;

			printf("%s%*s", i ? " " : "", word ? -width[i] : width[i],
			       text_of(i, row ? &all->at[row - 1] : NULL, opts->bytes, buf));
		}
		putchar('\n');
	}
}

/* Report hidden processes: even with an empty table, a channel may be open. */
static void explain_hidden(const struct holders *all)
{
	if (all->more_hidden)
		complain("who: /proc hides the processes of other users; try sudo");
	else if (all->hidden)
		complain("who: %zu process%s of other users could not be read; try sudo",
			 all->hidden, all->hidden == 1 ? "" : "es");
}

int who(const struct options *opts, char **args)
{
	struct holders all;
	int status, failed;

	sorted_by = find_column(opts->sort ? opts->sort : "written_bytes");
	if (!sorted_by)
		return EXIT_USAGE;
	status = channels_exist(args);
	failed = holders_find(&all, args);
	if (failed)
		status = failed;
	qsort(all.at, all.nr, sizeof(*all.at), compare);
	if (opts->json)
		json_print_holders(&all);
	else if (!status || all.nr)
		print_table(opts, &all);
	if (!opts->json)
		explain_hidden(&all);
	holders_free(&all);
	return status;
}
