// SPDX-License-Identifier: GPL-2.0
/* save: print channels as files for apply declare them. */
#include <stdio.h>
#include <string.h>

#include "bpipectl.h"
#include "fields.h"
#include "usual.h"

/* Print a section with the keys that differ from a new channel; it may have none. */
static void print_section(const struct channel *ch, const struct channel *new)
{
	struct channel now = *ch, usual = *new;
	const struct field *field;
	char value[FIELD_TEXT_MAX];

	usual_as_set(&now.config);
	printf("[%s]\n", bpipe_name(ch->config.name));
	for (field = fields; field->name; field++) {
		if (!field->config_bit || field_value(field, &now) == field_value(field, &usual))
			continue;
		/* Fields of the configuration are also keys of the library. */
		if (!bpipe_config_format(&now.config, sizeof(now.config), field->name, value,
					 sizeof(value)))
			printf("%s = %s\n", field->name, value);
		/* Compare with the usual marks of this size, not of a new channel's size. */
		if (field->config_bit == BPIPE_CFG_SIZE) {
			usual.config.size = now.config.size;
			usual_marks(&usual.config);
		}
	}
}

int save(const struct options *opts, char **args)
{
	struct channels all;
	struct channel new;
	int status, failed;

	status = channels_open(&all, args);
	failed = all.nr ? usual_new(&new) : EXIT_OK;
	if (failed)
		status = failed;
	for (size_t i = 0; !failed && !opts->json && i < all.nr; i++) {
		if (i)
			putchar('\n');
		print_section(&all.at[i], &new);
	}
	if (opts->json)
		json_print(&all, NULL);
	channels_close(&all);
	return status;
}
