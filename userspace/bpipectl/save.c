// SPDX-License-Identifier: GPL-2.0
/* save: what there is, as files for apply declare it. */
#include <stdio.h>
#include <string.h>

#include "bpipectl.h"
#include "fields.h"
#include "usual.h"

/* A section with what differs from a new channel; that of the module's own may be empty. */
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
		/* Fields of the configuration are keys of the library. */
		if (!bpipe_config_format(&now.config, sizeof(now.config), field->name, value,
					 sizeof(value)))
			printf("%s = %s\n", field->name, value);
		/* The usual marks of this size, not of that of a new channel. */
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
