// SPDX-License-Identifier: GPL-2.0
/* save: what there is, as files for apply declare it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bpipectl.h"
#include "fields.h"
#include "usual.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first. */
static const struct unit size_units[] = {
	{ "G", 1ULL << 30 }, { "M", 1ULL << 20 }, { "K", 1ULL << 10 }, { "", 1 },
};

static const struct unit rate_units[] = {
	{ "GB/s", 1000000000 }, { "MB/s", 1000000 }, { "kB/s", 1000 }, { "B/s", 1 },
};

static const struct unit time_units[] = {
	{ "h", 3600000000000ULL }, { "m", 60000000000ULL }, { "s", 1000000000 },
	{ "ms", 1000000 }, { "us", 1000 }, { "ns", 1 },
};

/* As short as it can be without rounding: apply reads back the same number. */
static void print_number(uint64_t value, const struct unit *unit)
{
	while (value % unit->factor)
		unit++;
	printf("%" PRIu64 "%s", value / unit->factor, value ? unit->name : "");
}

static void print_value(const struct field *field, const struct channel *ch)
{
	uint64_t value = field_value(field, ch);
	char buf[FIELD_TEXT_MAX];

	switch (field->kind) {
	case FIELD_BYTES:
	case FIELD_LEVEL:
		print_number(value, size_units);
		break;
	case FIELD_RATE:
		print_number(value, rate_units);
		break;
	case FIELD_TIME:
		print_number(value, time_units);
		break;
	default:
		fputs(field_format(field, ch, false, buf), stdout);
	}
}

/* A section with what differs from a new channel; that of the module's own may be empty. */
static void print_section(const struct channel *ch, const struct channel *new)
{
	struct channel now = *ch, usual = *new;
	const struct field *field;

	usual_as_set(&now.config);
	printf("[%s]\n", bpipe_name(ch->config.name));
	for (field = fields; field->name; field++) {
		if (!field->config_bit || field_value(field, &now) == field_value(field, &usual))
			continue;
		printf("%s = ", field->name);
		print_value(field, &now);
		putchar('\n');
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
