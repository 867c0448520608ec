// SPDX-License-Identifier: GPL-2.0
/* list and stats: print fields of channels, as a table or as lines for scripts. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "bpipectl.h"
#include "fields.h"

/*
 * Format a cell of the table; row 0 is the heading. Remove blanks, as in "1.5MiB", so that a
 * value is one word for scripts.
 */
static const char *cell(const struct field *field, const struct channels *all, size_t row,
			bool exact, char buf[FIELD_TEXT_MAX])
{
	const char *from = field->name;
	char *to = buf;

	if (row)
		from = field_format(field, &all->at[row - 1], exact, buf);
	do {
		if (*from != ' ')
			*to++ = row ? *from : toupper((unsigned char)*from);
	} while (*from++);
	return buf;
}

static void print_table(const struct channels *all, const struct columns *columns,
			const struct options *opts)
{
	int width[ARRAY_SIZE(columns->at)] = { 0 };
	const struct field *field;
	char buf[FIELD_TEXT_MAX];
	size_t row, i;
	int len;

	for (row = opts->noheadings; row <= all->nr && !opts->raw; row++) {
		for (i = 0; (field = columns->at[i]); i++) {
			len = strlen(cell(field, all, row, opts->bytes, buf));
			if (len > width[i])
				width[i] = len;
		}
	}
	for (row = opts->noheadings; row <= all->nr; row++) {
		for (i = 0; (field = columns->at[i]); i++) {
			bool word = field->kind == FIELD_NAME || field->kind == FIELD_WORD;

			printf("%s%*s", i ? " " : "", word ? -width[i] : width[i],
			       cell(field, all, row, opts->bytes, buf));
		}
		putchar('\n');
	}
}

static void print_lines(const struct channels *all, const struct columns *columns,
			const struct options *opts)
{
	const struct field *const *field;
	char buf[FIELD_TEXT_MAX];
	size_t i;

	(void)opts;
	for (i = 0; i < all->nr; i++) {
		if (i)
			putchar('\n');
		for (field = columns->at; *field; field++)
			printf("%s %s\n", (*field)->name,
			       field_format(*field, &all->at[i], true, buf));
	}
}

static int print_all(const struct options *opts, char **args, bool every_field,
		     void (*print)(const struct channels *, const struct columns *,
				   const struct options *))
{
	struct columns columns;
	struct channels all;
	int status;

	status = columns_choose(&columns, opts->output, every_field);
	if (status)
		return status;
	status = channels_open(&all, args);
	if (opts->json)
		json_print(&all, &columns);
	else if (all.nr)
		print(&all, &columns, opts);
	channels_close(&all);
	return status;
}

int list(const struct options *opts, char **args)
{
	return print_all(opts, args, false, print_table);
}

int stats(const struct options *opts, char **args)
{
	return print_all(opts, args, true, print_lines);
}
